/* plan.c: place every buffer.  Changes ops (alloc -> view) and signatures; types stay.
 *
 * Each function that needs scratch gets one block of it as a parameter and divides it: buffers that are never alive
 * at the same time share bytes, and a callee's block lies where nothing is alive during the call.  Alive is counted in
 * the function's outermost ops; a buffer inside a loop is alive for the whole loop.  Buffers whose size depends on the number
 * of steps lie in a second block of bytes for each step. */
#include "passes/passes.h"

#include <stdlib.h>
#include <string.h>

typedef struct {
	Op *op;                 /* alloc or call */
	Block *block;           /* that holds op */
	bool timed;             /* bytes for each step */
	uint32_t size, align, at;
	int first, last;        /* outermost ops between which it is alive */
} Item;

typedef struct Plan { Func *f; uint32_t size, step; bool busy, done; } Plan;

typedef struct {
	Module *m;
	Diag *d;
	Plan *plan;
	int nplan;
} Planner;

typedef struct { Item *item; int n, cap; int *root; } Items;    /* root: by value id, item + 1 */

static Plan *plan_of(Planner *p, const Func *f)
{
	for (int i = 0; i < p->nplan; i++)
		if (p->plan[i].f == f)
			return &p->plan[i];
	return 0;
}

static Item *add_item(Items *s, Op *o, Block *b, int at)
{
	if (s->n == s->cap) {
		s->cap = s->cap ? 2 * s->cap : 32;
		s->item = realloc(s->item, sizeof *s->item * (size_t)s->cap);
		if (!s->item)
			abort();
	}
	s->item[s->n] = (Item){.op = o, .block = b, .first = at, .last = at};
	return &s->item[s->n++];
}

static uint32_t round_up(uint64_t n, uint32_t to) { return (uint32_t)((n + to - 1) / to * to); }

static void collect(Planner *p, Items *s, Block *b, int at, bool top)
{
	for (Op *o = b->first; o; o = o->next, at += top) {
		for (int i = 0; i < o->nin; i++)
			if (o->in[i] && o->in[i]->id != ~0u && s->root[o->in[i]->id])
				s->item[s->root[o->in[i]->id] - 1].last = at;
		if (o->kind == O_alloc) {
			const Type *t = o->out[0]->type;
			Item *it = add_item(s, o, b, at);
			it->timed = type_has_t(t);
			it->align = it->timed || type_size(t, 1) >= 64 ? 16 : t->elem == E_i64 ? 8 : 4;
			it->size = round_up((uint64_t)type_size(t, 1), it->align);
			s->root[o->out[0]->id] = s->n;
		} else if (o->kind == O_view && o->in[0]->id != ~0u) {
			s->root[o->out[0]->id] = s->root[o->in[0]->id];
		} else if (o->kind == O_call) {
			Plan *c = plan_of(p, o->callee);
			if (c->size) {
				Item *it = add_item(s, o, b, at);
				it->size = c->size, it->align = 16;
			}
			if (c->step) {
				Item *it = add_item(s, o, b, at);
				it->size = c->step, it->align = 16, it->timed = true;
			}
		}
		if (o->body)
			collect(p, s, o->body, at, false);
	}
}

/* Lowest place that is free while the item is alive. */
static uint32_t place(Items *s)
{
	uint32_t total[2] = {0, 0};
	for (int i = 0; i < s->n; i++) {
		Item *it = &s->item[i];
		uint32_t at = 0;
		for (bool moved = true; moved;) {
			moved = false;
			for (int k = 0; k < i; k++) {
				const Item *o = &s->item[k];
				if (o->timed == it->timed && o->first <= it->last && it->first <= o->last
				    && at < o->at + o->size && o->at < at + it->size) {
					at = round_up(o->at + o->size, it->align);
					moved = true;
				}
			}
		}
		it->at = at;
		if (at + it->size > total[it->timed])
			total[it->timed] = at + it->size;
	}
	s->cap = (int)round_up(total[1], 16);
	return round_up(total[0], 16);
}

static Val *insert_param(Module *m, Func *f, int at, const char *name, const Type *t)
{
	Val *v = val_new(m, f, name, t), **p = NEWN(m->arena, Val *, f->nparam + 1);
	memcpy(p, f->param, sizeof *p * (size_t)at);
	p[at] = v;
	memcpy(p + at + 1, f->param + at, sizeof *p * (size_t)(f->nparam - at));
	f->param = p;
	f->nparam++;
	return v;
}

static bool last_is_t(const Func *f)
{
	return f->nparam && !strcmp(f->param[f->nparam - 1]->name, "T") && f->param[f->nparam - 1]->type->form == T_REG;
}

static Val *part(Module *m, Func *f, Item *it, Val *scratch, Val *scratch_t, const Type *t)
{
	const Type *w = type_reg(m, E_i32, 1);
	Val *in[3];
	int n = 2;
	if (it->timed) {
		Val *mul[2] = {f->param[f->nparam - 1], val_int(m, w, it->at)};
		in[0] = scratch_t, in[1] = val_int(m, w, 0), n = 3;
		in[2] = op_out(m, f, op_before(m, it->block, it->op, O_mulw, 2, mul), 0, w);
	} else {
		in[0] = scratch, in[1] = val_int(m, w, it->at);
	}
	return op_out(m, f, op_before(m, it->block, it->op, O_view, n, in), 0, t);
}

static void rewrite_call(Module *m, Op *o, Val *arg, int at)
{
	Val **in = NEWN(m->arena, Val *, o->nin + 1);
	memcpy(in, o->in, sizeof *in * (size_t)at);
	in[at] = arg;
	memcpy(in + at + 1, o->in + at, sizeof *in * (size_t)(o->nin - at));
	o->in = in;
	o->nin++;
}

static bool is_entry(const Func *f)
{
	return !strncmp(f->name, "step_", 5) || !strncmp(f->name, "run_", 4);
}

static void rewrite(Planner *p, Func *f, Items *s, Val *scratch, Val *scratch_t)
{
	Module *m = p->m;
	for (int i = 0; i < s->n; i++) {
		Item *it = &s->item[i];
		if (it->op->kind == O_alloc) {
			Val *from = it->op->out[0];
			Val *v = part(m, f, it, scratch, scratch_t, from->type);
			v->name = from->name;   /* keeps the name it had */
			val_replace(f, from, v);
			op_remove(it->block, it->op);
			continue;
		}
		Func *c = it->op->callee;
		int32_t dim[2] = {it->timed ? DIM_T : (int32_t)it->size, (int32_t)it->size};
		Val *v = part(m, f, it, scratch, scratch_t, type_ref(m, E_u8, it->timed ? 2 : 1, dim));
		rewrite_call(m, it->op, v, it->op->nin - last_is_t(c));        /* .., scratch, scratch_t, T */
	}
}

static bool plan_func(Planner *p, Func *f);

static bool plan_callees(Planner *p, Block *b)
{
	for (Op *o = b->first; o; o = o->next) {
		if (o->kind == O_call && !plan_func(p, o->callee))
			return false;
		if (o->body && !plan_callees(p, o->body))
			return false;
	}
	return true;
}

static bool plan_func(Planner *p, Func *f)
{
	Plan *me = plan_of(p, f);
	if (me->done)
		return true;
	if (me->busy) {
		diag_error(p->d, "%s: @%s calls itself", p->m->name, f->name);
		return false;
	}
	me->busy = true;
	if (!plan_callees(p, &f->body))
		return false;
	func_renumber(f);
	Items s = {.root = calloc(f->nval + 1, sizeof(int))};
	if (!s.root)
		abort();
	collect(p, &s, &f->body, 0, true);
	me->size = place(&s);
	me->step = (uint32_t)s.cap;
	Val *scratch = 0, *scratch_t = 0;
	bool entry = is_entry(f);
	int at = entry ? 1 : f->nparam - last_is_t(f);
	int32_t size = (int32_t)me->size, dims[2] = {DIM_T, (int32_t)me->step};
	if (entry || me->size)
		scratch = insert_param(p->m, f, at++, "scratch", type_ref(p->m, E_u8, 1, &size));
	if (me->step)
		scratch_t = insert_param(p->m, f, at, "scratch_t", type_ref(p->m, E_u8, 2, dims));
	rewrite(p, f, &s, scratch, scratch_t);
	func_renumber(f);
	free(s.item);
	free(s.root);
	me->done = true;
	return true;
}

/* Every entry function has the same scratch. */
static void settle_entries(Planner *p, const Options *opt)
{
	Module *m = p->m;
	m->scratch_size = opt->least_scratch > 16 ? opt->least_scratch : 16;
	m->scratch_step = opt->least_scratch_step;
	for (int i = 0; i < p->nplan; i++)
		if (is_entry(p->plan[i].f)) {
			if (p->plan[i].size > m->scratch_size)
				m->scratch_size = p->plan[i].size;
			if (p->plan[i].step > m->scratch_step)
				m->scratch_step = p->plan[i].step;
		}
	int32_t size = (int32_t)m->scratch_size, dims[2] = {DIM_T, (int32_t)m->scratch_step};
	each_func(f, m) {
		if (!is_entry(f))
			continue;
		f->param[1]->type = type_ref(m, E_u8, 1, &size);
		if (f->nparam > 2 && !strcmp(f->param[2]->name, "scratch_t"))
			f->param[2]->type = type_ref(m, E_u8, 2, dims);
	}
}

/* Scratch is a number of bytes, and a number for each step: what has T x T elements fits neither. */
static const Val *square(const Block *b)
{
	const Val *v = 0;
	for (const Op *o = b->first; o && !v; o = o->next) {
		int n = 0;
		for (int i = 0; o->kind == O_alloc && i < o->out[0]->type->rank; i++)
			n += o->out[0]->type->dim[i] == DIM_T;
		v = n > 1 ? o->out[0] : o->body ? square(o->body) : 0;
	}
	return v;
}

bool pass_plan(Module *m, const Options *opt, Diag *d)
{
	if (m->planned)
		return true;
	Planner p = {.m = m, .d = d};
	each_func(f, m)
		p.nplan++;
	p.plan = calloc((size_t)p.nplan + 1, sizeof *p.plan);
	if (!p.plan)
		abort();
	int n = 0;
	bool ok = true;
	each_func(f, m)
		p.plan[n++].f = f;
	for (int i = 0; i < p.nplan && ok; i++) {
		const Val *v = square(&p.plan[i].f->body);
		if (v)
			diag_error(d, "%s: '%s' has an element for each pair of steps: fix their number with --dim", m->name,
			           v->name);
		ok = !v && plan_func(&p, p.plan[i].f);
	}
	if (ok) {
		settle_entries(&p, opt);
		m->planned = true;
	}
	free(p.plan);
	return ok;
}

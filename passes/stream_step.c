/* stream_step.c: write @step: the ops of @main on one step.
 *
 * Every value keeps its type but for the time axis, which has size 1, so the ops stay the same.  A scan over
 * time is replaced by its step function's ops, whose states become states of @step: lstm_0_h. */
#include "passes/stream.h"

#include <string.h>

typedef struct Builder {
	const Stream *s;
	Func *f;                /* @step */
	Val **map;              /* value of main -> value of f, by id */
	Val **next;             /* state, value, state, value, ... */
	int nnext;
} Builder;

static Val *mapped(Val *const *map, Val *v)
{
	return !v || v->data || is_literal(v) ? v : map[v->id];
}

static const Type *step_type(const Stream *s, const Val *v)
{
	int time = operand_time(s, v);
	int32_t dim[MAX_RANK];
	memcpy(dim, v->type->dim, sizeof dim);
	if (time >= 0)
		dim[time] = 1;
	return type_like(s->m, v->type, v->type->rank, dim);
}

static Attr *copy_attrs(Arena *a, const Attr *from)
{
	Attr *first = 0, **at = &first;
	for (; from; from = from->next, at = &(*at)->next) {
		size_t size = from->kind == A_INT ? sizeof *from->v.i
		              : from->kind == A_FLOAT ? sizeof *from->v.f : sizeof *from->v.s;
		*at = arena_copy(a, from, sizeof *from);
		(*at)->v.i = arena_copy(a, from->v.i, size * from->n);
		(*at)->next = 0;
	}
	return first;
}

static Val *copy_out(Builder *b, Op *to, const Val *v, const char *prefix, const Type *t)
{
	const char *name = v->name;
	if (prefix && name)
		name = arena_printf(b->s->m->arena, "%s_%s", prefix, name);
	Val *c = op_out(b->s->m, b->f, to, name, t);
	c->ranged = v->ranged;
	c->lo = v->lo;
	c->hi = v->hi;
	c->clip = v->clip;
	c->steps = v->steps;
	c->levels = v->levels;
	return c;
}

static Op *copy_op(Builder *b, const Op *o, Val *const *map)
{
	Module *m = b->s->m;
	Op *c = op_new(m, &b->f->body, o->kind, o->nin, 0);
	for (int i = 0; i < o->nin; i++)
		c->in[i] = mapped(map, o->in[i]);
	c->attr = copy_attrs(m->arena, o->attr);
	c->callee = o->callee;
	c->loc = o->loc;
	return c;
}

/* v in shape t; of reshapes in a row just the last one counts. */
static Val *shaped(Builder *b, const Op *o, Val *v, const char *name, const Type *t)
{
	while (v->def && v->def->kind == O_reshape)
		v = v->def->in[0];
	if (v->type == t)
		return v;
	Val *r = op1(b->s->m, b->f, &b->f->body, O_reshape, t, name, 1, v);
	r->def->loc = o->loc;
	return r;
}

/* ---- the body of a scan -------------------------------------------------------------------- */

static Data *unless_zeros(Data *d)
{
	for (size_t i = 0; d && i < d->size; i++)
		if (((const char *)d->bytes)[i])
			return d;
	return 0;
}

/* State i of the scan's function starts from the scan's operand in every step, and is not kept. */
static bool is_passed(const Stream *s, const Op *o, int i)
{
	return s->carried && i < attr_int(o, "init", 0);
}

/* Parameters and states of o's callee as values of @step, by id. */
static Val **enter(Builder *b, const Op *o)
{
	Module *m = b->s->m;
	const Func *g = o->callee;
	int nseq = (int)attr_int(o, "seq", 0), ninit = (int)attr_int(o, "init", 0);
	Val **map = NEWN(m->arena, Val *, g->nval);
	for (int i = 0; i < g->nparam; i++) {
		Val *v = mapped(b->map, o->in[i < nseq ? i : i + ninit]);
		map[g->param[i]->id] = i < nseq ? shaped(b, o, v, 0, g->param[i]->type) : v;
	}
	for (int i = 0; i < g->nstate; i++) {
		if (is_passed(b->s, o, i)) {
			map[g->state[i]->id] = shaped(b, o, mapped(b->map, o->in[nseq + i]), 0, g->state[i]->type);
			continue;
		}
		Data *init = i < ninit ? o->in[nseq + i]->data : g->init[i];
		const char *name = arena_printf(m->arena, "%s_%s", g->name, g->state[i]->name);
		map[g->state[i]->id] = func_state(m, b->f, name, g->state[i]->type, unless_zeros(init));
	}
	return map;
}

/* The value of state v after the step. */
static Val *after(const Func *g, Val *const *map, const Val *v)
{
	for (const Op *o = g->body.first; o; o = o->next)
		for (int i = 0; o->kind == O_next && i < o->nin; i += 2)
			if (o->in[i] == v)
				return mapped(map, o->in[i + 1]);
	return map[v->id];
}

static void inline_scan(Builder *b, const Op *o)
{
	const Func *g = o->callee;
	int ninit = (int)attr_int(o, "init", 0);
	Val **map = enter(b, o);
	for (const Op *p = g->body.first; p; p = p->next) {
		if (p->kind == O_ret)
			for (int i = 0; i < g->nret; i++)
				b->map[o->out[i]->id] = shaped(b, o, mapped(map, p->in[i]), o->out[i]->name,
				                               step_type(b->s, o->out[i]));
		if (p->kind == O_ret || p->kind == O_next)
			continue;
		Op *c = copy_op(b, p, map);
		for (int i = 0; i < p->nout; i++)
			map[p->out[i]->id] = copy_out(b, c, p->out[i], g->name, p->out[i]->type);
	}
	for (int i = 0; i < g->nstate; i++) {
		if (!is_passed(b->s, o, i)) {
			b->next[b->nnext++] = map[g->state[i]->id];
			b->next[b->nnext++] = after(g, map, g->state[i]);
		}
		if (i < ninit)
			b->map[o->out[g->nret + i]->id] = after(g, map, g->state[i]);
	}
}

/* ---- main ---------------------------------------------------------------------------------- */

static void add_op(Builder *b, const Op *o)
{
	const Stream *s = b->s;
	if (o->kind == O_scan && scan_streams(s, o)) {
		inline_scan(b, o);
		return;
	}
	if (o->kind == O_next) {
		for (int i = 0; i < o->nin; i++)
			b->next[b->nnext++] = mapped(b->map, o->in[i]);
		return;
	}
	if (o->nout == 1) {
		int time = operand_time(s, o->nin ? o->in[0] : 0);
		const Val *r = o->out[0];
		const Type *t = step_type(s, r);
		if (o->kind == O_reshape || (time >= 0 && (is_slice_along(o, time) || s->time[r->id] == LAST))) {
			/* the last step, or all steps: of one step that is the step itself */
			b->map[r->id] = shaped(b, o, mapped(b->map, o->in[0]), r->name, t);
			return;
		}
	}
	Op *c = copy_op(b, o, b->map);
	for (int i = 0; i < o->nout; i++)
		b->map[o->out[i]->id] = copy_out(b, c, o->out[i], 0, step_type(s, o->out[i]));
}

static int count_states(const Stream *s)
{
	int n = s->main->nstate;
	for (const Op *o = s->main->body.first; o; o = o->next)
		if (o->kind == O_scan && scan_streams(s, o))
			n += o->callee->nstate;
	return n;
}

Func *build_step(const Stream *s)
{
	Arena *a = s->m->arena;
	Builder b = {.s = s, .f = func_new(s->m, "step")};
	b.map = NEWN(a, Val *, s->main->nval);
	b.next = NEWN(a, Val *, 2 * count_states(s));
	for (int i = 0; i < s->main->nparam; i++) {
		const Val *p = s->main->param[i];
		b.map[p->id] = func_param(s->m, b.f, p->name, step_type(s, p));
	}
	for (int i = 0; i < s->main->nstate; i++) {
		const Val *v = s->main->state[i];
		b.map[v->id] = func_state(s->m, b.f, v->name, v->type, s->main->init[i]);
	}
	const Op *o = s->main->body.first;
	for (; o && o->kind != O_ret; o = o->next)
		add_op(&b, o);
	if (b.nnext)
		op_new(s->m, &b.f->body, O_next, b.nnext, b.next);
	Op *ret = copy_op(&b, o, b.map);
	for (int i = 0; i < ret->nin; i++)
		func_ret(s->m, b.f, ret->in[i]->type);
	return b.f;
}

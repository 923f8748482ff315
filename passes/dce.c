/* dce.c: drop what nothing uses.
 *
 * From @main on, callers first: an op lives when it has an effect or a result that is used, a state when
 * something but its own `next` reads it; results of a scan that nobody reads leave its step function, too.
 * Functions live when a living op calls them, data and quantized types when something living names them. */
#include "passes/passes.h"

#include <string.h>

typedef struct { const void **item; int n, room; } Set;

static bool has(const Set *s, const void *p)
{
	for (int i = 0; i < s->n; i++)
		if (s->item[i] == p)
			return true;
	return false;
}

static void add(Module *m, Set *s, const void *p)
{
	if (!p || has(s, p))
		return;
	if (s->n == s->room) {
		const void **more = NEWN(m->arena, const void *, s->room * 2 + 16);
		if (s->n)
			memcpy(more, s->item, sizeof *more * s->n);
		s->item = more;
		s->room = s->room * 2 + 16;
	}
	s->item[s->n++] = p;
}

/* ---- within a function ----------------------------------------------------------------------- */

typedef struct { int callers, local; } Called;  /* local: states that scans start from operands */

static Called called(const Module *m, const Func *g)
{
	Called c = {0, 0};
	each_func(f, m)
		each_op(o, &f->body)
			if (o->callee == g) {
				int64_t init = o->kind == O_scan ? attr_int(o, "init", 0) : 0;
				c.callers++;
				c.local = init > c.local ? (int)init : c.local;
			}
	return c;
}

static bool is_used(const bool *used, const Val *v)
{
	return v->id == ~0u || used[v->id];
}

static bool is_live(const bool *used, const Op *o)
{
	if (has_effect(o) || !o->nout)
		return true;
	for (int i = 0; i < o->nout; i++)
		if (used[o->out[i]->id])
			return true;
	return false;
}

static bool mark_val(bool *used, const Val *v)
{
	if (!v || is_used(used, v))
		return false;
	return used[v->id] = true;
}

/* One walk from the end; true when it found more: a state may be seen to be read only after its `next`. */
static bool mark_uses(bool *used, const Func *f)
{
	bool more = false;
	for (const Op *o = f->body.last; o; o = o->prev) {
		if (!is_live(used, o))
			continue;
		for (int i = 0; i < o->nin; i++)
			if (o->kind != O_next || (i % 2 && is_used(used, o->in[i - 1])))
				more |= mark_val(used, o->in[i]);
	}
	return more;
}

static void drop_states(Func *f, const bool *used)
{
	int n = 0;
	for (int i = 0; i < f->nstate; i++)
		if (is_used(used, f->state[i])) {
			f->state[n] = f->state[i];
			f->init[n++] = f->init[i];
		}
	f->nstate = n;
	each_op(o, &f->body) {
		if (o->kind != O_next)
			continue;
		int k = 0;
		for (int i = 0; i < o->nin; i += 2)
			if (is_used(used, o->in[i])) {
				o->in[k++] = o->in[i];
				o->in[k++] = o->in[i + 1];
			}
		o->nin = (uint16_t)k;
		if (!k)
			op_remove(&f->body, o);
	}
}

/* ---- results of a scan ------------------------------------------------------------------------- */

static void drop_from_list(Module *m, Op *o, const char *name, int at)
{
	const Attr *a = attr_find(o, name);
	if (!a || at >= a->n)
		return;
	Attr rest = *a;
	size_t size = a->kind == A_INT ? sizeof(int64_t) : sizeof(char *);
	rest.v.i = arena_copy(m->arena, a->v.i, size * a->n);
	memmove((char *)rest.v.i + size * at, (char *)rest.v.i + size * (at + 1), size * (a->n - at - 1));
	if (a->kind == A_INT)
		attr_set_ints(m, o, name, a->n - 1, rest.v.i);
	else if (a->kind == A_STRING)
		attr_set_strings(m, o, name, a->n - 1, rest.v.s);
}

static void drop_result(Module *m, Op *scan, int at)
{
	Func *g = scan->callee;
	Op *ret = g->body.last;
	memmove(scan->out + at, scan->out + at + 1, sizeof *scan->out * (scan->nout - at - 1));
	memmove(ret->in + at, ret->in + at + 1, sizeof *ret->in * (ret->nin - at - 1));
	memmove(g->ret + at, g->ret + at + 1, sizeof *g->ret * (g->nret - at - 1));
	scan->nout--;
	ret->nin--;
	g->nret--;
	drop_from_list(m, scan, "out_axis", at);
	drop_from_list(m, scan, "keep", at);
}

static void trim_scans(Module *m, Func *f, const bool *used)
{
	each_op(o, &f->body) {
		if (o->kind != O_scan || called(m, o->callee).callers != 1)
			continue;
		for (int i = o->callee->nret - 1; i >= 0; i--)
			if (!is_used(used, o->out[i]))
				drop_result(m, o, i);
	}
}

static void clean(Module *m, Func *f, bool is_entry)
{
	bool *used = NEWN(m->arena, bool, f->nval);
	int local = called(m, f).local;
	for (int i = 0; i < f->nstate; i++)
		used[f->state[i]->id] = i < local || is_entry;
	while (mark_uses(used, f))
		;
	each_op(o, &f->body)
		if (!is_live(used, o))
			op_remove(&f->body, o);
	drop_states(f, used);
	trim_scans(m, f, used);
	func_renumber(f);
}

/* ---- the module -------------------------------------------------------------------------------- */

static void name_type(Module *m, Set *live, const Type *t)
{
	if (!t || !t->quant)
		return;
	add(m, live, t->quant);
	add(m, live, t->quant->rows);
	add(m, live, t->quant->book);
	add(m, live, t->quant->levels);
}

static void name_val(Module *m, Set *live, const Val *v)
{
	if (!v)
		return;
	add(m, live, v->data);
	add(m, live, v->steps);
	add(m, live, v->levels);
	name_type(m, live, v->type);
}

/* All data and quantized types that f names. */
static void name_all(Module *m, Set *live, const Func *f)
{
	for (int i = 0; i < f->nparam; i++)
		name_val(m, live, f->param[i]);
	for (int i = 0; i < f->nstate; i++) {
		name_val(m, live, f->state[i]);
		add(m, live, f->init[i]);
		name_type(m, live, f->init[i] ? f->init[i]->type : 0);
	}
	for (int i = 0; i < f->nret; i++)
		name_type(m, live, f->ret[i]);
	each_op(o, &f->body) {
		for (int i = 0; i < o->nin; i++)
			name_val(m, live, o->in[i]);
		for (int i = 0; i < o->nout; i++)
			name_val(m, live, o->out[i]);
	}
}

#define KEEP_LIVE(list, live) \
	for (__typeof__(&(list)) at = &(list); *at;) { \
		if (has(live, *at)) \
			at = &(*at)->next; \
		else \
			*at = (*at)->next; \
	}

bool pass_dce(Module *m, const Options *opt, Diag *d)
{
	Set live = {0}, todo = {0};
	Func *main = func_find(m, "main");
	if (!main)
		return true;
	add(m, &todo, main);
	for (int i = 0; i < todo.n; i++) {
		Func *f = (Func *)todo.item[i];
		clean(m, f, f == main);
		each_op(o, &f->body)
			add(m, &todo, o->callee);
		name_all(m, &live, f);
	}
	for (const Port *p = m->in; p; p = p->next)
		name_type(m, &live, p->type);
	for (const Port *p = m->out; p; p = p->next)
		name_type(m, &live, p->type);
	each_data(what, m) {
		const Data *owner = data_owner(m, what);
		if (owner && has(&live, owner))
			add(m, &live, what);
	}
	KEEP_LIVE(m->funcs, &todo)
	KEEP_LIVE(m->data, &live)
	KEEP_LIVE(m->quants, &live)
	return true;
}

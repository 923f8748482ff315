/* tap.c: a copy of a module in which inner values are outputs as well.
 *
 * A value of a function becomes one more result of it; whoever calls the function gets it, and hands it
 * on: a scan as the stack of all steps.  So values of float and integer models are seen by running them
 * like any model, whole sequences at a time, and nothing in the executors knows of it. */
#include "passes/tap.h"

#include <string.h>

enum { MOST_RANK = MAX_RANK - 3 };      /* axes are left for the steps of scans in scans */

bool only_moves(OpKind k)
{
	return k == O_reshape || k == O_transpose || k == O_slice || k == O_expand;
}

bool is_tapped(const Func *f, const Val *v)
{
	if (v->type->form != T_TENSOR || v->type->rank > MOST_RANK || !v->name)
		return false;
	if (!v->def)
		return !strcmp(f->name, "main");
	return !v->def->callee && !only_moves(v->def->kind);
}

/* Parameters, results of ops, states. */
static Val *value_at(const Func *f, int i)
{
	if (i < f->nparam)
		return f->param[i];
	i -= f->nparam;
	for (Op *o = f->body.first; o; i -= o->nout, o = o->next)
		if (i < o->nout)
			return o->out[i];
	return i < f->nstate ? f->state[i] : 0;
}

const char **tapped_names(Module *m, int *n)
{
	const char **names = 0;
	for (int pass = 0; pass < 2; pass++) {
		*n = 0;
		each_func(f, m)
			for (int i = 0; value_at(f, i); i++) {
				const Val *v = value_at(f, i);
				if (!is_tapped(f, v))
					continue;
				if (pass)
					names[*n] = arena_printf(m->arena, "%s.%s", f->name, v->name);
				++*n;
			}
		if (!pass)
			names = NEWN(m->arena, const char *, *n + 1);
	}
	return names;
}

/* ---- the copy ----------------------------------------------------------------------------------- */

/* What a function gives beyond its own results. */
typedef struct Extra {
	Tap tap;
	Val *val;               /* of the copy */
	struct Extra *next;
} Extra;

typedef struct Tapped {
	Func *copy;
	int old, n;             /* results before, extra ones */
	Extra *first, **end;
	struct Tapped *next;
} Tapped;

typedef struct {
	Module *m, *copy;
	const char *const *names;
	int nnames;
	Tapped *funcs;
} Tapper;

static void add_extra(Tapper *t, Tapped *f, Tap tap, Val *v)
{
	Extra *x = NEW(t->m->arena, Extra);
	*x = (Extra){tap, v, 0};
	*f->end = x;
	f->end = &x->next;
	f->n++;
}

static bool name_taken(const Tapped *f, const char *name)
{
	for (const Extra *x = f->first; x; x = x->next)
		if (!strcmp(x->tap.name, name))
			return true;
	return false;
}

static const char *free_name(Tapper *t, const Tapped *f, const char *name)
{
	const char *s = name;
	for (int k = 1; name_taken(f, s); k++)
		s = arena_printf(t->m->arena, "%s_%d", name, k);
	return s;
}

static int32_t scan_steps(const Op *o)
{
	const Attr *axis = attr_find(o, "axis");
	return o->in[0]->type->dim[axis && axis->n ? axis->v.i[0] : 0];
}

static const Type *stacked(Tapper *t, const Type *step, int32_t steps)
{
	int32_t dim[MAX_RANK] = {steps};
	memcpy(dim + 1, step->dim, sizeof *dim * (size_t)step->rank);
	return type_like(t->copy, step, step->rank + 1, dim);
}

/* The scan's lists, written out for n results: what it has, then "all" along axis 0. */
static void extend_lists(Tapper *t, Op *o, int old, int n)
{
	const Attr *keep = attr_find(o, "keep"), *axis = attr_find(o, "out_axis");
	const char **k = NEWN(t->copy->arena, const char *, n);
	int64_t *a = NEWN(t->copy->arena, int64_t, n);
	for (int i = 0; i < n; i++) {
		k[i] = i < old && keep && i < keep->n ? keep->v.s[i] : "all";
		a[i] = i < old && axis && i < axis->n ? axis->v.i[i] : 0;
	}
	attr_set_strings(t->copy, o, "keep", n, k);
	attr_set_ints(t->copy, o, "out_axis", n, a);
}

static Tapped *tapped(const Tapper *t, const char *name)
{
	Tapped *f = t->funcs;
	while (f && strcmp(f->copy->name, name))
		f = f->next;
	return f;
}

/* A call's results: the callee's own, the extra ones, for a scan the final states. */
static void extend_call(Tapper *t, Tapped *f, Op *o)
{
	Tapped *callee = tapped(t, o->callee->name);
	if (!callee->n)
		return;
	Val **out = NEWN(t->copy->arena, Val *, o->nout + callee->n);
	int n = callee->old, k = n;
	memcpy(out, o->out, sizeof *out * (size_t)n);
	memcpy(out + n + callee->n, o->out + n, sizeof *out * (size_t)(o->nout - n));
	for (Extra *x = callee->first; x; x = x->next) {
		bool scan = o->kind == O_scan;
		const Type *type = scan ? stacked(t, x->val->type, scan_steps(o)) : x->val->type;
		Val *v = val_new(t->copy, f->copy, 0, type);
		v->def = o;
		out[k++] = v;
		Tap tap = x->tap;
		tap.name = free_name(t, f, tap.name);
		tap.stepped |= scan;
		add_extra(t, f, tap, v);
	}
	o->out = out;
	o->nout = (uint16_t)(o->nout + callee->n);
	if (o->kind == O_scan)
		extend_lists(t, o, callee->old, callee->old + callee->n);
}

static void extend_ret(Tapper *t, Tapped *f)
{
	Op *ret = f->copy->body.last;
	Val **in = NEWN(t->copy->arena, Val *, ret->nin + f->n);
	memcpy(in, ret->in, sizeof *in * ret->nin);
	for (Extra *x = f->first; x; x = x->next) {
		in[ret->nin++] = x->val;
		func_ret(t->copy, f->copy, x->val->type);
	}
	ret->in = in;
}

static bool is_wanted(const Tapper *t, const Func *f, const Val *v)
{
	size_t n = strlen(f->name);
	if (v->type->form != T_TENSOR || v->type->rank > MOST_RANK || !v->name)
		return false;
	for (int i = 0; i < t->nnames; i++)
		if (!strncmp(t->names[i], f->name, n) && t->names[i][n] == '.' && !strcmp(t->names[i] + n + 1, v->name))
			return true;
	return false;
}

/* `next` stands before `ret`: what a state was, a copy must keep. */
static Val *copy_of_state(Tapper *t, Func *f, Val *state)
{
	Op *o = op_before(t->copy, &f->body, f->body.first, O_cast, 1, &state);
	return op_out(t->copy, f, o, 0, state->type);
}

/* Values first, while both functions have the same ones; copies of states last. */
static void tap_values(Tapper *t, Tapped *f, Func *src)
{
	int n = 0;
	while (value_at(src, n))
		n++;
	Val **v = NEWN(t->m->arena, Val *, n);
	for (int i = 0; i < n; i++)
		v[i] = value_at(f->copy, i);
	for (int i = 0; i < n; i++) {
		const Val *from = value_at(src, i);
		if (!is_wanted(t, src, from))
			continue;
		const char *name = arena_printf(t->m->arena, "%s.%s", src->name, from->name);
		bool state = i >= n - src->nstate;
		add_extra(t, f, (Tap){.name = free_name(t, f, name), .func = src, .val = from},
		          state ? copy_of_state(t, f->copy, v[i]) : v[i]);
	}
}

static Tapped *tap_func(Tapper *t, Func *src)
{
	if (tapped(t, src->name))
		return tapped(t, src->name);
	Tapped *f = NEW(t->m->arena, Tapped);
	*f = (Tapped){.copy = func_find(t->copy, src->name), .next = t->funcs};
	f->end = &f->first;
	f->old = f->copy->nret;
	t->funcs = f;
	for (Op *o = src->body.first; o; o = o->next)
		if (o->callee)
			tap_func(t, o->callee);
	tap_values(t, f, src);
	for (Op *to = f->copy->body.first; to; to = to->next)
		if (to->callee)
			extend_call(t, f, to);
	extend_ret(t, f);
	return f;
}

static void add_port(Module *m, const char *name, const Type *type)
{
	Port **end = &m->out;
	while (*end)
		end = &(*end)->next;
	*end = NEW(m->arena, Port);
	**end = (Port){arena_strdup(m->arena, name), type, 0};
}

Module *tap_module(Module *m, const char *const *names, int nnames, Tap **tap, int *ntap)
{
	Tapper t = {.m = m, .copy = module_clone(m), .names = names, .nnames = nnames};
	Tapped *f = tap_func(&t, func_find(m, "main"));
	*tap = NEWN(m->arena, Tap, f->n + 1);
	*ntap = 0;
	for (Extra *x = f->first; x; x = x->next) {
		x->tap.port = f->old + *ntap;
		(*tap)[(*ntap)++] = x->tap;
		add_port(t.copy, x->tap.name, x->val->type);
	}
	Func *step = func_find(t.copy, "step");
	if (step && f->n)
		step->name = "tapped_step";
	return t.copy;
}

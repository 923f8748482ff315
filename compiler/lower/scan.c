/* scan.c: `scan @f` is a loop that calls @f with one slice of each sequence; `call @f` calls it once.
 * States of @f beyond the scan's own initial ones belong to whoever calls: they become parameters of the
 * calling function, up to the model's state. */
#include "lower/lower.h"

#include <string.h>

enum { MAX_ARGS = 256 };

/* Where fr's function finds expanded weights, once something in it uses them. */
static Val *place_of(const Frame *fr, const StoredWeights *w)
{
	for (const Place *p = fr->place; p; p = p->next)
		if (p->stored == w)
			return p->ref;
	return 0;
}

/* References for the states that @f keeps in the caller: new parameters of the caller. */
static int callee_places(Frame *fr, const struct Lowered *callee, int skip, Val **arg)
{
	int n = 0;
	Module *m = fr->l->m;
	Place **end = &fr->place;
	while (*end)
		end = &(*end)->next;
	for (Place *p = callee->place; p; p = p->next) {
		if (skip-- > 0)
			continue;
		if (p->stored && (arg[n] = place_of(fr, p->stored))) {
			n++;
			continue;
		}
		Place *q = NEW(m->arena, Place);
		*q = *p;
		q->next = 0;
		for (int k = 1;; k++) {         /* called twice: the second one's states are ..._1 */
			Place *same = fr->place;
			while (same && strcmp(same->name, q->name))
				same = same->next;
			if (!same)
				break;
			q->name = arena_printf(m->arena, "%s_%d", p->name, k);
		}
		*end = q;
		end = &q->next;
		q->ref = arg[n++] = func_param(m, fr->f, ident(m->arena, q->name), ref_type(m, q->type));
	}
	return n;
}

/* A reference with exactly the shape of t, which has as many elements. */
static Val *as_shape(Frame *fr, Val *ref, const Type *t)
{
	const Type *want = ref_type(fr->l->m, t);
	if (ref->type == want)
		return ref;
	Val *in[1 + MAX_RANK];
	in[0] = ref;
	for (int d = 0; d < ref->type->rank; d++)
		in[d + 1] = e_w(fr, 0);
	Op *o = op_new(fr->l->m, fr->b, O_view, 1 + ref->type->rank, in);
	return op_out(fr->l->m, fr->f, o, 0, want);
}

/* Arguments in the order of lower_func: own states, inputs, outputs, places, T. */
static int gather_args(Frame *fr, const struct Lowered *c, Val *const *states, Val *const *in, Val *const *out,
                       Val *const *places, int nplaces, Val **arg)
{
	int n = 0;
	for (int i = 0; i < c->src->nstate; i++)
		arg[n++] = states[i];
	for (int i = 0; i < c->src->nparam; i++)
		arg[n++] = in[i];
	for (int i = 0; i < c->src->nret; i++)
		arg[n++] = out[i];
	for (int i = 0; i < nplaces; i++)
		arg[n++] = places[i];
	if (c->dst->nparam > n)
		arg[n++] = fr->T;
	return n;
}

static bool too_many(Frame *fr, const Op *o, const struct Lowered *c)
{
	if (c->dst->nparam < MAX_ARGS - 2)
		return false;
	e_fail(fr, o, "more than %d states and operands", MAX_ARGS - 2);
	return true;
}

void lower_call(Frame *fr, Op *o)
{
	struct Lowered *c = lower_func(fr->l, tensor_func(fr->l, o->callee->name));
	if (too_many(fr, o, c))
		return;
	Val *in[MAX_ARGS], *out[MAX_ARGS], *places[MAX_ARGS], *arg[MAX_ARGS];
	int nplaces = callee_places(fr, c, 0, places);
	for (int i = 0; i < o->nin; i++)
		in[i] = as_shape(fr, access_ref(fr, access_of(fr, o->in[i])), c->src->param[i]->type);
	for (int i = 0; i < o->nout; i++)
		out[i] = as_shape(fr, place_result(fr, o->out[i]).base, c->src->ret[i]);
	int own = c->src->nstate;
	int n = gather_args(fr, c, places, in, out, places + own, nplaces - own, arg);
	e_call(fr, c->dst, n, arg);
}

static int64_t list_at(const Op *o, const char *name, int i, int64_t otherwise)
{
	const Attr *a = attr_find(o, name);
	return a && i < a->n ? a->v.i[i] : otherwise;
}

static bool keeps_last(const Op *o, int i)
{
	const Attr *a = attr_find(o, "keep");
	return a && i < a->n && !strcmp(a->v.s[i], "last");
}

/* The part of `a` that belongs to step %t, with the shape the callee wants (axis dropped, or of size 1). */
static Access step_slice(Frame *fr, Access a, const Type *want, int axis, Val *t)
{
	for (int d = 0; d < a.base->type->rank; d++) {  /* a dynamic index counts elements of base */
		if (a.from[d] != axis)
			continue;
		if (a.step[d] != 1)
			t = e_op(fr, O_mulw, reg_w(fr), 2, t, e_w(fr, a.step[d]));
		if (a.at[d].dyn)
			t = e_op(fr, O_addw, reg_w(fr), 2, a.at[d].dyn, t);
	}
	Index at = {.dyn = t};
	return want->rank == a.type->rank ? access_slice(a, want, axis, at, 0) : access_drop(a, want, axis, at);
}

typedef struct {
	Op *o;
	struct Lowered *c;
	Access seq[MAX_ARGS], out[MAX_ARGS];    /* whole sequences */
	Val *state[MAX_ARGS], *inv[MAX_ARGS], *places[MAX_ARGS];
	int nseq, ninit, nplaces;
} Scan;

static void scan_body(Frame *fr, Scan *s, Val *t)
{
	Val *in[MAX_ARGS], *out[MAX_ARGS], *arg[MAX_ARGS];
	Func *f = s->c->src;
	Access copy_to[MAX_ARGS];
	for (int i = 0; i < f->nparam; i++) {
		if (i >= s->nseq) {
			in[i] = s->inv[i - s->nseq];
			continue;
		}
		Access a = step_slice(fr, s->seq[i], f->param[i]->type, (int)list_at(s->o, "axis", i, 0), t);
		in[i] = as_shape(fr, access_ref(fr, a), f->param[i]->type);
	}
	for (int i = 0; i < f->nret; i++) {
		copy_to[i].base = 0;
		if (keeps_last(s->o, i)) {
			out[i] = as_shape(fr, s->out[i].base, f->ret[i]);
			continue;
		}
		Access a = step_slice(fr, s->out[i], f->ret[i], (int)list_at(s->o, "out_axis", i, 0), t);
		if (access_contiguous(&a)) {
			out[i] = as_shape(fr, access_ref(fr, a), f->ret[i]);
		} else {
			out[i] = e_alloc(fr, 0, f->ret[i]);
			copy_to[i] = a;
		}
	}
	int own = f->nstate;
	Val *states[MAX_ARGS];
	for (int i = 0; i < own; i++)
		states[i] = i < s->ninit ? s->state[i] : s->places[i - s->ninit];
	int own_places = own - s->ninit;
	int n = gather_args(fr, s->c, states, in, out, s->places + own_places, s->nplaces - own_places, arg);
	e_call(fr, s->c->dst, n, arg);
	for (int i = 0; i < f->nret; i++)
		if (copy_to[i].base)
			e_copy(fr, access_whole(fr, out[i], f->ret[i]), copy_to[i]);
}

static void scan_loop(Frame *fr, Scan *s, int32_t steps)
{
	Val *before = fr->status, *zero = e_w(fr, 0);
	bool fails = s->c->dst->nret > 0;
	Block *outer = fr->b;
	Val *count = e_dim(fr, steps);
	Op *loop = e_for(fr, count, "t", fails, &zero);
	fr->status = fails ? loop->body->arg[1] : before;
	Val *t = loop->body->arg[0];
	if (attr_int(s->o, "reverse", 0)) {
		Val *last = e_op(fr, O_subw, reg_w(fr), 2, count, e_w(fr, 1));
		t = e_op(fr, O_subw, reg_w(fr), 2, last, t);
	}
	scan_body(fr, s, t);
	Val *yield = fr->status;
	e_end(fr, loop, outer, &yield);
	fr->status = before;
	if (fails)
		e_or_status(fr, loop->out[0]);
}

void lower_scan(Frame *fr, Op *o)
{
	Scan s = {.o = o, .c = lower_func(fr->l, tensor_func(fr->l, o->callee->name))};
	if (too_many(fr, o, s.c))
		return;
	s.nseq = (int)attr_int(o, "seq", 0);
	s.ninit = (int)attr_int(o, "init", 0);
	Func *f = s.c->src;
	int32_t steps = 0;
	for (int i = 0; i < s.nseq; i++) {
		s.seq[i] = access_of(fr, o->in[i]);
		steps = o->in[i]->type->dim[list_at(o, "axis", i, 0)];
	}
	for (int i = s.nseq + s.ninit; i < o->nin; i++)
		s.inv[i - s.nseq - s.ninit] = as_shape(fr, access_ref(fr, access_of(fr, o->in[i])),
		                                       f->param[i - s.ninit]->type);
	for (int i = 0; i < f->nret; i++)
		s.out[i] = place_result(fr, o->out[i]);
	for (int i = 0; i < s.ninit; i++) {
		/* A final state is a result: the state lives in that result's memory. */
		Val *result = f->nret + i < o->nout ? o->out[f->nret + i] : 0;
		Access st = result ? place_result(fr, result)
		                   : access_whole(fr, e_alloc(fr, f->state[i]->name, f->state[i]->type), f->state[i]->type);
		s.state[i] = as_shape(fr, st.base, f->state[i]->type);
		Val *from = access_ref(fr, access_of(fr, o->in[s.nseq + i]));
		e_copy(fr, access_whole(fr, as_shape(fr, from, f->state[i]->type), f->state[i]->type),
		       access_whole(fr, s.state[i], f->state[i]->type));
	}
	s.nplaces = callee_places(fr, s.c, s.ninit, s.places);
	scan_loop(fr, &s, steps);
}

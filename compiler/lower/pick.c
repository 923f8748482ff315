/* pick.c: along one axis, the element that an index says, and the index of the greatest element. */
#include "lower/lower.h"

#include <math.h>

/* ---- pick ---------------------------------------------------------------------------------------------- */

typedef struct { Access x, index, y; int axis; } Pick;

static Val *pick_one(Frame *fr, Pick *p, Val *const *idx, Val *status)
{
	Val *from[MAX_RANK], *bad, *i = access_load(fr, &p->index, idx);
	if (i->type->elem == E_i64)
		i = e_op(fr, O_truncw, reg_w(fr), 1, i);
	for (int d = 0; d < p->y.type->rank; d++)
		from[d] = idx[d];
	from[p->axis] = clamp_index(fr, i, e_dim(fr, p->x.type->dim[p->axis]), &bad);
	Num n = num_load(fr, access_load(fr, &p->x, from), p->x.type);
	access_store(fr, &p->y, idx, num_store(fr, n, p->y.type));
	return e_op(fr, O_orw, reg_w(fr), 2, status, bad);
}

/* Nested loops that carry the status along. */
static Val *pick_nest(Frame *fr, Pick *p, int d, Val **idx, Val *status)
{
	const Type *t = p->y.type;
	if (d == t->rank)
		return pick_one(fr, p, idx, status);
	Block *outer = fr->b;
	Op *loop = e_for(fr, e_dim(fr, t->dim[d]), "g", 1, &status);
	idx[d] = loop->body->arg[0];
	Val *s = pick_nest(fr, p, d + 1, idx, loop->body->arg[1]);
	e_end(fr, loop, outer, &s);
	return loop->out[0];
}

static int axis_of(const Op *o)
{
	int64_t axis = attr_int(o, "axis", 0);
	return (int)(axis < 0 ? axis + o->in[0]->type->rank : axis);
}

void lower_pick(Frame *fr, Op *o)
{
	const Type *xt = o->in[0]->type, *yt = o->out[0]->type;
	if ((xt->quant && xt->quant->rows) || (yt->quant && yt->quant->rows)) {
		e_fail(fr, o, "row scales are not supported here");
		return;
	}
	Pick p = {.x = access_of(fr, o->in[0]), .axis = axis_of(o)};
	p.index = access_broadcast(fr, access_of(fr, o->in[1]), yt);
	p.y = place_result(fr, o->out[0]);
	Val *idx[MAX_RANK];
	e_or_status(fr, pick_nest(fr, &p, 0, idx, e_w(fr, 0)));
}

/* ---- argmax -------------------------------------------------------------------------------------------- */

typedef struct { Access x, y; int axis; bool keep, last; } Argmax;

/* Element 0 stands first; a later one takes its place when it is greater, or with `last` as great. */
static void argmax_one(Frame *fr, Val *const *idx, void *arg)
{
	Argmax *a = arg;
	const Type *w = reg_w(fr), *t = a->x.type;
	Val *at[MAX_RANK];
	for (int d = 0, k = 0; d < t->rank; d++)
		at[d] = d == a->axis ? (k += a->keep, e_w(fr, 0)) : idx[k++];
	Val *carry[2] = {access_load(fr, &a->x, at), e_w(fr, 0)};
	bool real = elem_is_float(t->elem);
	Block *outer = fr->b;
	Op *loop = e_for(fr, e_dim(fr, t->dim[a->axis]), "a", 2, carry);
	Val *i = at[a->axis] = loop->body->arg[0], *best = loop->body->arg[1];
	Val *v = access_load(fr, &a->x, at);
	OpKind compare = real ? a->last ? O_les : O_lts : a->last ? O_lew : O_ltw;
	Val *greater = e_op(fr, compare, w, 2, best, v);
	Val *next[2] = {e_op(fr, real ? O_sels : O_selw, best->type, 3, greater, v, best),
	                e_op(fr, O_selw, w, 3, greater, i, loop->body->arg[2])};
	e_end(fr, loop, outer, next);
	access_store(fr, &a->y, idx, loop->out[1]);
}

void lower_argmax(Frame *fr, Op *o)
{
	const Type *t = o->in[0]->type;
	if (elem_stored(t->elem) == E_i64 || (t->quant && t->quant->rows)) {
		e_fail(fr, o, "no lowering for these types");
		return;
	}
	Argmax a = {.x = access_of(fr, o->in[0]), .axis = axis_of(o), .keep = attr_int(o, "keepdims", 1) != 0,
	            .last = attr_int(o, "last", 0) != 0};
	a.y = place_result(fr, o->out[0]);
	e_nest(fr, o->out[0]->type, o->out[0]->type->rank, argmax_one, &a);
}

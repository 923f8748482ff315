/* reduce.c: sum, mean, max, min, product over some axes. */
#include "lower/lower.h"

#include <math.h>

typedef struct {
	Op *o;
	Access x, y;
	bool over[MAX_RANK];    /* axes that are reduced */
	int to[MAX_RANK];       /* axis of the result for a kept one, -1 */
	double count;           /* of elements that become one, for bounds and mean */
	bool wide, fixed, isf;
} Reduce;

static OpKind step_op(const Reduce *r)
{
	switch (r->o->kind) {
	case O_reducemax: return r->isf ? O_maxs : O_maxw;
	case O_reducemin: return r->isf ? O_mins : O_minw;
	case O_reduceprod: return r->isf ? O_muls : O_mulw;
	default: return r->isf ? O_adds : r->wide ? O_addl : O_addw;
	}
}

static Val *start(Frame *fr, const Reduce *r)
{
	switch (r->o->kind) {
	case O_reducemax: return r->isf ? e_s(fr, -INFINITY) : e_w(fr, INT32_MIN);
	case O_reducemin: return r->isf ? e_s(fr, INFINITY) : e_w(fr, INT32_MAX);
	case O_reduceprod: return r->isf ? e_s(fr, 1) : e_w(fr, 1);
	default: return r->isf ? e_s(fr, 0) : r->wide ? e_l(fr, 0) : e_w(fr, 0);
	}
}

static Val *loops(Frame *fr, Reduce *r, int d, Val **idx, Val *acc)
{
	const Type *t = r->x.type;
	while (d < t->rank && !r->over[d])
		d++;
	if (d == t->rank) {
		Val *v = access_load(fr, &r->x, idx);
		if (r->wide)
			v = e_op(fr, O_extl, reg_l(fr), 1, v);
		return e_op(fr, step_op(r), acc->type, 2, acc, v);
	}
	Block *outer = fr->b;
	Op *loop = e_for(fr, e_dim(fr, t->dim[d]), "n", 1, &acc);
	idx[d] = loop->body->arg[0];
	Val *s = loops(fr, r, d + 1, idx, loop->body->arg[1]);
	e_end(fr, loop, outer, &s);
	return loop->out[0];
}

static Val *finish(Frame *fr, const Reduce *r, Val *acc, Val *count)
{
	const Op *o = r->o;
	bool mean = o->kind == O_reducemean, sums = mean || o->kind == O_reducesum;
	if (r->isf)
		return mean ? e_op(fr, O_divs, reg_s(fr), 2, acc, count) : acc;
	if (!r->fixed)
		return acc;
	Num n = num_load(fr, acc, r->x.type);
	if (sums)
		n.lo *= r->count, n.hi *= r->count;
	if (!mean)
		return num_store(fr, n, r->y.type);
	Term t = {n, 1 / r->count};
	n = num_lincomb(fr, 1, &t, 0, r->y.type->quant->scale);
	return num_store(fr, n, r->y.type);
}

static void element(Frame *fr, Val *const *yi, void *arg)
{
	Reduce *r = arg;
	Val *idx[MAX_RANK], *count = 0;
	for (int d = 0; d < r->x.type->rank; d++)
		if (!r->over[d])
			idx[d] = r->to[d] < 0 ? e_w(fr, 0) : yi[r->to[d]];
	Val *acc = loops(fr, r, 0, idx, start(fr, r));
	if (r->isf && r->o->kind == O_reducemean) {
		count = e_w(fr, 1);
		for (int d = 0; d < r->x.type->rank; d++)
			if (r->over[d])
				count = e_op(fr, O_mulw, reg_w(fr), 2, count, e_dim(fr, r->x.type->dim[d]));
		count = e_op(fr, O_itof, reg_s(fr), 1, count);
	}
	access_store(fr, &r->y, yi, finish(fr, r, acc, count));
}

void lower_reduce(Frame *fr, Op *o)
{
	Reduce r = {.o = o, .x = access_of(fr, o->in[0]), .count = 1};
	const Type *t = o->in[0]->type;
	const Attr *axes = attr_find(o, "axes");
	bool keep = attr_int(o, "keepdims", 1) != 0;
	for (int i = 0; axes && i < axes->n; i++)
		r.over[axes->v.i[i] < 0 ? axes->v.i[i] + t->rank : axes->v.i[i]] = true;
	r.isf = elem_is_float(t->elem);
	r.fixed = t->quant != 0;
	for (int d = 0, k = 0; d < t->rank; d++) {
		if (!axes)
			r.over[d] = true;
		r.to[d] = r.over[d] ? -1 : k;
		k += keep || !r.over[d];
		if (r.over[d] && t->dim[d] == DIM_T && r.fixed) {
			e_fail(fr, o, "a fixed-point reduction over the steps needs their number: fix it with --dim");
			return;
		}
		if (r.over[d])
			r.count *= t->dim[d];
	}
	if (r.fixed && o->kind == O_reduceprod) {
		e_fail(fr, o, "no fixed-point form");
		return;
	}
	bool sums = o->kind == O_reducesum || o->kind == O_reducemean;
	r.wide = r.fixed && sums && r.count * ldexp(1, elem_bits(t->elem) - 1) >= 2147483648.0;
	r.y = place_result(fr, o->out[0]);
	e_nest(fr, o->out[0]->type, o->out[0]->type->rank, element, &r);
}

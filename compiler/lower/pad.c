/* pad.c: elements put around a tensor. */
#include "lower/lower.h"

#include <math.h>
#include <string.h>

typedef struct {
	Access x, y;
	const Attr *lo;
	Val *fill;
	bool reflect;
} Pad;

static void fill_one(Frame *fr, Val *const *idx, void *arg)
{
	Pad *p = arg;
	access_store(fr, &p->y, idx, p->fill);
}

/* The value as the type stores it: for -inf the least it can hold. */
static Val *fill_value(Frame *fr, const Type *t, double value)
{
	if (elem_is_float(t->elem))
		return e_s(fr, (float)value);
	double q = t->quant ? floor(value / t->quant->scale + 0.5) : value;
	int64_t v = (int64_t)fmax(fmin(q, (double)elem_max(t->elem)), (double)elem_min(t->elem));
	return elem_stored(t->elem) == E_i64 ? e_l(fr, v) : e_w(fr, v);
}

static void pad_constant(Frame *fr, const Op *o, Pad *p)
{
	const Type *xt = o->in[0]->type, *yt = o->out[0]->type;
	Access inner = p->y;
	p->fill = fill_value(fr, yt, (double)attr_float(o, "value", 0));
	e_nest(fr, yt, yt->rank, fill_one, p);
	for (int d = 0; d < xt->rank; d++) {
		int32_t dim[MAX_RANK];
		memcpy(dim, inner.type->dim, sizeof dim);
		dim[d] = xt->dim[d];
		const Type *t = type_like(fr->l->m, yt, yt->rank, dim);
		inner = access_slice(inner, t, d, (Index){.c = p->lo ? p->lo->v.i[d] : 0}, 1);
	}
	e_copy(fr, p->x, inner);
}

/* j = i - lo, pushed back to the edge, or mirrored at it: |j|, then 2 (n - 1) - j where that is less. */
static Val *inside(Frame *fr, const Pad *p, Val *i, int64_t lo, int32_t n)
{
	const Type *w = reg_w(fr);
	Val *j = e_op(fr, O_subw, w, 2, i, e_w(fr, lo)), *last = e_w(fr, n - 1);
	if (!p->reflect)
		return e_op(fr, O_maxw, w, 2, e_op(fr, O_minw, w, 2, j, last), e_w(fr, 0));
	j = e_op(fr, O_maxw, w, 2, j, e_op(fr, O_subw, w, 2, e_w(fr, 0), j));
	return e_op(fr, O_minw, w, 2, j, e_op(fr, O_subw, w, 2, e_w(fr, 2 * ((int64_t)n - 1)), j));
}

static void mirror_one(Frame *fr, Val *const *idx, void *arg)
{
	Pad *p = arg;
	Val *from[MAX_RANK];
	for (int d = 0; d < p->y.type->rank; d++) {
		int32_t n = p->x.type->dim[d];
		bool grows = n != p->y.type->dim[d];
		from[d] = grows ? inside(fr, p, idx[d], p->lo ? p->lo->v.i[d] : 0, n) : idx[d];
	}
	access_store(fr, &p->y, idx, access_load(fr, &p->x, from));
}

void lower_pad(Frame *fr, Op *o)
{
	const char *mode = attr_string(o, "mode", "constant");
	const Type *xt = o->in[0]->type, *yt = o->out[0]->type;
	if (xt->quant != yt->quant) {
		e_fail(fr, o, "the operand and the result differ in their fixed-point types");
		return;
	}
	Pad p = {.x = access_of(fr, o->in[0]), .lo = attr_find(o, "lo"), .reflect = !strcmp(mode, "reflect")};
	p.y = place_result(fr, o->out[0]);
	if (!strcmp(mode, "constant"))
		pad_constant(fr, o, &p);
	else
		e_nest(fr, yt, yt->rank, mirror_one, &p);
}

/* matmul.c: a product of two computed matrices, [..,M,K] x [..,K,N] with broadcast leading axes. */
#include "lower/lower.h"

#include <math.h>

typedef struct {
	Access a, b, y;
	int32_t K;
	bool fixed;
} Mat;

static void element(Frame *fr, Val *const *idx, void *arg)
{
	Mat *m = arg;
	int ra = m->a.type->rank, rb = m->b.type->rank, ry = m->y.type->rank;
	double bound = 0;
	Num na = {0}, nb = {0};
	if (m->fixed) {
		na = num_load(fr, e_w(fr, 0), m->a.type), nb = num_load(fr, e_w(fr, 0), m->b.type);
		bound = fmax(-na.lo, na.hi) * fmax(-nb.lo, nb.hi) * m->K;
	}
	bool wide = bound >= 2147483648.0;
	Val *zero = m->fixed ? wide ? e_l(fr, 0) : e_w(fr, 0) : e_s(fr, 0), *ia[MAX_RANK], *ib[MAX_RANK];
	Block *outer = fr->b;
	Op *loop = e_for(fr, e_dim(fr, m->K), "k", 1, &zero);
	for (int d = 0; d < ra; d++)
		ia[d] = d == ra - 1 ? loop->body->arg[0] : idx[ry - ra + d];
	for (int d = 0; d < rb; d++)
		ib[d] = d == rb - 2 ? loop->body->arg[0] : idx[ry - rb + d];
	Val *x = access_load(fr, &m->a, ia), *w = access_load(fr, &m->b, ib), *s = loop->body->arg[1];
	if (!m->fixed) {
		s = e_op(fr, O_adds, reg_s(fr), 2, s, e_op(fr, O_muls, reg_s(fr), 2, x, w));
	} else if (wide) {
		s = e_op(fr, O_addl, reg_l(fr), 2, s, e_op(fr, O_mulwl, reg_l(fr), 2, x, w));
	} else {
		s = e_op(fr, O_addw, reg_w(fr), 2, s, e_op(fr, O_mulw, reg_w(fr), 2, x, w));
	}
	e_end(fr, loop, outer, &s);
	Num acc = {.v = loop->out[0], .lo = -bound, .hi = bound, .scale = na.scale * nb.scale};
	access_store(fr, &m->y, idx, m->fixed ? num_store(fr, acc, m->y.type) : acc.v);
}

void lower_matmul(Frame *fr, Op *o)
{
	const Type *ta = o->in[0]->type, *tb = o->in[1]->type, *ty = o->out[0]->type;
	Mat m = {.K = ta->dim[ta->rank - 1], .fixed = ty->quant != 0};
	if (ta->rank < 2 || tb->rank < 2 || m.K == DIM_T) {
		e_fail(fr, o, m.K == DIM_T ? "the inner dimension is the number of steps: fix it with --dim"
		                           : "operands must be matrices");
		return;
	}
	/* Leading axes broadcast: bring both operands to the result's. */
	int32_t da[MAX_RANK], db[MAX_RANK];
	for (int d = 0; d < ty->rank - 2; d++)
		da[d] = db[d] = ty->dim[d];
	da[ty->rank - 2] = ta->dim[ta->rank - 2], da[ty->rank - 1] = m.K;
	db[ty->rank - 2] = m.K, db[ty->rank - 1] = tb->dim[tb->rank - 1];
	m.a = access_broadcast(fr, access_of(fr, o->in[0]), type_like(fr->l->m, ta, ty->rank, da));
	m.b = access_broadcast(fr, access_of(fr, o->in[1]), type_like(fr->l->m, tb, ty->rank, db));
	m.y = place_result(fr, o->out[0]);
	e_nest(fr, ty, ty->rank, element, &m);
}

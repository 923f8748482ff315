/* map.c: chains of element-wise ops of one shape become one loop nest.
 *
 * An element-wise op waits (is pending) until somebody needs its result in memory, or an op of another
 * shape comes; then the whole chain is emitted: loads of what comes from outside, registers between
 * the ops, stores of what is used outside, all at the end of the body.  Pure ops that do not read a pending
 * value may be emitted before the chain: nothing they could see changes. */
#include "lower/lower.h"

#include <stdlib.h>

bool is_elementwise(OpKind k)
{
	switch (k) {
	case O_add: case O_sub: case O_mul: case O_div: case O_min: case O_max: case O_pow: case O_neg: case O_abs:
	case O_relu: case O_sigmoid: case O_tanh: case O_exp: case O_log: case O_sqrt: case O_erf: case O_affine:
	case O_leakyrelu: case O_thresholdedrelu: case O_scaledtanh: case O_hardsigmoid: case O_elu: case O_softsign:
	case O_softplus: case O_clip: case O_eq: case O_less: case O_lesseq: case O_and: case O_or: case O_not:
	case O_where: case O_cast:
		return true;
	default:
		return false;
	}
}

bool map_pending(const Frame *fr, const Val *v)
{
	for (int i = 0; i < fr->npending; i++)
		if (fr->pending[i]->out[0] == v)
			return true;
	return false;
}

void map_add(Frame *fr, Op *o)
{
	const Type *t = o->out[0]->type;
	bool fits = !fr->npending || type_same_shape(fr->pending[0]->out[0]->type, t);
	for (int i = 0; i < o->nin && fits; i++)
		fits = !map_pending(fr, o->in[i]) || type_same_shape(o->in[i]->type, t);
	if (!fits)
		map_flush(fr);
	if (fr->npending == fr->cap) {
		fr->cap = fr->cap ? 2 * fr->cap : 32;
		fr->pending = realloc(fr->pending, sizeof *fr->pending * (size_t)fr->cap);
		if (!fr->pending)
			abort();
	}
	fr->pending[fr->npending++] = o;
}

typedef struct {
	Num *num;               /* by value id: in registers in this iteration */
	bool *have;
	bool *keep;             /* by pending op: its result goes to memory */
	Access *out;
} Chain;

static Num operand(Frame *fr, Chain *c, Val *v, const Type *shape, Val *const *idx)
{
	if (is_literal(v))
		return (Num){.v = elem_is_float(v->type->elem) ? e_s(fr, v->lit.f) : e_w(fr, v->lit.i),
			.lo = (double)v->lit.i, .hi = (double)v->lit.i};
	if (!v->data && c->have[v->id])
		return c->num[v->id];
	Access a = access_broadcast(fr, access_of(fr, v), shape);
	Num n = num_load(fr, access_load(fr, &a, idx), v->type);
	if (!v->data) {
		c->num[v->id] = n;
		c->have[v->id] = true;
	}
	return n;
}

static void chain_body(Frame *fr, Val *const *idx, void *arg)
{
	Chain *c = arg;
	for (int i = 0; i < fr->npending; i++) {
		Op *o = fr->pending[i];
		Num in[3];
		const Type *type[3];
		for (int k = 0; k < o->nin; k++) {
			in[k] = operand(fr, c, o->in[k], o->out[0]->type, idx);
			type[k] = o->in[k]->type;
		}
		c->num[o->out[0]->id] = scalar_op(fr, o, in, type);
		c->have[o->out[0]->id] = true;
	}
	for (int i = 0; i < fr->npending; i++)
		if (c->keep[i])
			access_store(fr, &c->out[i], idx, c->num[fr->pending[i]->out[0]->id].v);
}

static int uses_inside(const Frame *fr, const Val *v)
{
	int n = 0;
	for (int i = 0; i < fr->npending; i++)
		for (int k = 0; k < fr->pending[i]->nin; k++)
			n += fr->pending[i]->in[k] == v;
	return n;
}

void map_flush(Frame *fr)
{
	int n = fr->npending;
	if (!n)
		return;
	size_t nval = fr->src->nval;
	Chain c = {calloc(nval, sizeof(Num)), calloc(nval, 1), calloc((size_t)n, 1), calloc((size_t)n, sizeof(Access))};
	if (!c.num || !c.have || !c.keep || !c.out)
		abort();
	for (int i = 0; i < n; i++) {
		Val *v = fr->pending[i]->out[0];
		c.keep[i] = fr->uses[v->id] > uses_inside(fr, v);
		if (c.keep[i])
			c.out[i] = place_result(fr, v);
	}
	const Type *t = fr->pending[0]->out[0]->type;
	e_nest(fr, t, t->rank, chain_body, &c);
	fr->npending = 0;
	free(c.num);
	free(c.have);
	free(c.keep);
	free(c.out);
}

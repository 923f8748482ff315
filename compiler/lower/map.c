/* map.c: chains of element-wise ops of one shape become one loop nest.
 *
 * An element-wise op waits (is pending) until somebody needs its result in memory, or an op of another
 * shape comes; then the whole chain is emitted: loads of what comes from outside, registers between
 * the ops, stores of what is used outside, all at the end of the body.  Pure ops that do not read a pending
 * value may be emitted before the chain: nothing they could see changes. */
#include "lower/lower.h"

#include <stdlib.h>
#include <string.h>

bool is_elementwise(OpKind k)
{
	switch (k) {
	case O_add: case O_sub: case O_mul: case O_div: case O_min: case O_max: case O_pow: case O_neg: case O_abs:
	case O_relu: case O_sigmoid: case O_tanh: case O_exp: case O_log: case O_sqrt: case O_erf: case O_affine:
	case O_leakyrelu: case O_thresholdedrelu: case O_scaledtanh: case O_hardsigmoid: case O_elu: case O_softsign:
	case O_softplus: case O_clip: case O_eq: case O_less: case O_lesseq: case O_and: case O_or: case O_not:
	case O_where: case O_cast: case O_floor: case O_round:
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
		const Type *t = o->out[0]->type;
		fr->from_up = has_units(type[0]) ? units_load(fr, type[0], t, idx) : 0;
		fr->to_up = has_units(t) ? units_load(fr, t, t, idx) : 0;
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

/* ---- several elements at once ------------------------------------------------------------------------------- */

/* Would the chain's registers all be 32-bit integers?  Emitted once to nowhere to see. */
static bool only_w(Frame *fr, Chain *c)
{
	Block *b = fr->b, nowhere = {0};
	Val *status = fr->status, *zero[MAX_RANK];
	for (int d = 0; d < MAX_RANK; d++)
		zero[d] = e_w(fr, 0);
	fr->b = &nowhere;
	chain_body(fr, zero, c);
	fr->b = b;
	fr->status = status;
	memset(c->have, 0, fr->src->nval);
	for (const Op *o = nowhere.first; o; o = o->next)
		if (o->body || (o->nout && (o->out[0]->type->form != T_REG || o->out[0]->type->elem != E_i32)))
			return false;
	return true;
}

/* scalar_func.c works on one element at a time. */
static bool has_lanes(const Op *o)
{
	switch (o->kind) {
	case O_div: case O_pow: case O_exp: case O_log: case O_sqrt: case O_erf: case O_elu: case O_softsign:
	case O_softplus: case O_floor: case O_round:
		return false;
	case O_cast:
		return !o->in[0]->type->quant || o->out[0]->type->quant;
	default:
		return true;
	}
}

static bool in_lanes(Frame *fr, Chain *c)
{
	const Type *t = fr->pending[0]->out[0]->type;
	if (!fr->l->isa || !t->rank || t->dim[t->rank - 1] < VECTOR_LANES)
		return false;
	for (int i = 0; i < fr->npending; i++) {
		const Op *o = fr->pending[i];
		if (elem_is_float(o->out[0]->type->elem) || !has_lanes(o) || (c->keep[i] && !access_lanes(&c->out[i])))
			return false;
		for (int k = 0; k < o->nin; k++) {
			const Val *v = o->in[k];
			if (elem_is_float(v->type->elem) || v->type->elem == E_i64)
				return false;
			if (is_literal(v) || map_pending(fr, v))
				continue;
			Access a = access_broadcast(fr, access_of(fr, o->in[k]), t);
			if (!access_lanes(&a))
				return false;
		}
	}
	return only_w(fr, c);
}

/* The last axis: VECTOR_LANES elements at a time, then one by one. */
static void lanes_body(Frame *fr, Val *const *lead, void *arg)
{
	Chain *c = arg;
	const Type *t = fr->pending[0]->out[0]->type;
	int last = t->rank - 1;
	int32_t whole = t->dim[last] / VECTOR_LANES, rest = t->dim[last] % VECTOR_LANES;
	Val *idx[MAX_RANK];
	memcpy(idx, lead, sizeof *idx * (size_t)last);
	for (int part = 0; part < 2; part++) {
		if (part && !rest)
			continue;
		Block *outer = fr->b;
		Op *loop = e_for(fr, e_w(fr, part ? rest : whole), "v", 0, 0);
		Val *i = loop->body->arg[0];
		idx[last] = part ? e_op(fr, O_addw, reg_w(fr), 2, i, e_w(fr, whole * VECTOR_LANES))
		                 : e_op(fr, O_mulw, reg_w(fr), 2, i, e_w(fr, VECTOR_LANES));
		fr->lanes = part ? 1 : VECTOR_LANES;
		memset(c->have, 0, fr->src->nval);
		chain_body(fr, idx, c);
		fr->lanes = 1;
		e_end(fr, loop, outer, 0);
	}
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
	if (in_lanes(fr, &c))
		e_nest(fr, t, t->rank - 1, lanes_body, &c);
	else
		e_nest(fr, t, t->rank, chain_body, &c);
	fr->npending = 0;
	free(c.num);
	free(c.have);
	free(c.keep);
	free(c.out);
}

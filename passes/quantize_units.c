/* quantize_units.c: few bits with a step for each unit.
 *
 * Units (indices of the last axis) differ in size: an LSTM's c has some that count far and many that stay near 0.  Behind
 * the ranges of such values there are `steps`, the least one times powers of two (estimate_units.c finds them).  Then what is
 * read is a copy of few bits, each unit on its own step, brought to the finest unit's step without rounding:
 *
 *	%c8 =:c8[1,300] cast %c		type :c8 = i8 * $c1_steps
 *	%c8_13 =:c13[1,300] cast %c8	type :c13 = i13 * 0x1p-11
 *
 * so kernels multiply plain integers.  What the copy is taken of has 16 bits, unless nothing but a state or a function's boundary
 * holds it: that is kept in the few bits themselves.  Of a group that linears read, these have such copies (x, h); of a state
 * that only element-wise ops read (c), all that read it. */
#include "passes/quantize.h"

static bool is_kept(const Node *g)
{
	return g->free_state;
}

void units_widen(Quantizer *q)
{
	for (int n = 0; n < q->n; n++) {
		Node *c = &q->node[n], *g = &q->node[group_of(q, n)];
		if (c->class_up != n || !g->steps || !(is_kept(g) ? c->state : c->n_linear > 0))
			continue;
		int bits = is_kept(g) ? c->narrow_bits ? c->narrow_bits : c->bits : narrow_bits(q, n);
		if (bits >= WIDE_BITS)
			continue;
		c->unit_bits = bits;
		if (!is_kept(g))
			c->narrow_bits = bits;
		if (is_kept(g) || !c->port_in)
			c->bits = WIDE_BITS;
	}
}

static int32_t units(const Data *steps)
{
	return steps->type->dim[0];
}

static bool has_axis(const Val *v, const Data *steps)
{
	return v && v->type->rank && v->type->dim[v->type->rank - 1] == units(steps);
}

bool reads_units(const Quantizer *q, int n)
{
	return q->node[class_of(q, n)].unit_bits && has_axis(q->node[n].val, q->node[group_of(q, n)].steps);
}

/* ---- types ------------------------------------------------------------------------------------------- */

/* Classes of a group with as many bits share the types. */
static const Node *same_copy(const Quantizer *q, int n)
{
	int bits = q->node[class_of(q, n)].unit_bits, g = group_of(q, n);
	for (int i = 0; i < q->n; i++) {
		const Node *c = &q->node[i];
		if (c->class_up == i && c->unit && c->unit_bits == bits && group_of(q, i) == g)
			return c;
	}
	return 0;
}

static void make_types(Quantizer *q, int n)
{
	Node *c = &q->node[class_of(q, n)];
	const Node *have = c->unit ? c : same_copy(q, n);
	Data *steps = q->node[group_of(q, n)].steps;
	float least;
	int spread;
	if (have) {
		c->unit = have->unit, c->level = have->level;
		return;
	}
	if (!steps_are_octaves(steps, &least, &spread) || c->unit_bits + spread > WIDE_BITS) {
		diag_error(q->d, "$%s: the steps of units are the least of them times powers of two, and a number of %d bits "
		           "on the greatest has at most %d on the least", steps->name, c->unit_bits, WIDE_BITS);
		spread = 0, least = 1;
	}
	Quant *k = quant_new(q->m, name_with_bits(q, c->name, c->unit_bits), (Elem)c->unit_bits, 1);
	k->rows = steps;
	c->unit = k;
	int bits = c->unit_bits + spread;
	c->level = quant_new(q->m, name_with_bits(q, c->name, bits), (Elem)bits, least);
}

const Quant *unit_quant(Quantizer *q, int n)
{
	make_types(q, n);
	return q->node[class_of(q, n)].unit;
}

const Quant *level_quant(Quantizer *q, int n)
{
	make_types(q, n);
	return q->node[class_of(q, n)].level;
}

const Quant *read_quant(Quantizer *q, int n)
{
	return is_kept(&q->node[group_of(q, n)]) && reads_units(q, n) ? level_quant(q, n) : class_quant(q, n);
}

/* ---- classes that hold such numbers ------------------------------------------------------------------ */

static bool in_class(const Quantizer *q, int n, const Func *f, const Val *v)
{
	int k = node_of(q, f, v);
	return k >= 0 && class_of(q, k) == n;
}

/* Does o, whose operand and result are of the class, keep elements in their units? */
static bool keeps_units(const Op *o)
{
	int last = o->in[0]->type->rank - 1;
	const Attr *perm = attr_find(o, "perm");
	switch (o->kind) {
	case O_reshape: case O_expand: return true;     /* all of the class have the axis, and it is the last */
	case O_slice:                  return attr_int(o, "axis", 0) != last;
	case O_transpose:              return perm && perm->n == last + 1 && perm->v.i[last] == last;
	default:                       return false;
	}
}

static int64_t axis_at(const Op *o, const char *name, int i)
{
	const Attr *a = attr_find(o, name);
	return a && i < a->n ? a->v.i[i] : 0;
}

/* Steps of a sequence are taken along another axis, and constants do not flow in. */
static bool scan_keeps_units(const Quantizer *q, int n, const Func *f, const Op *o)
{
	int seq = (int)attr_int(o, "seq", 0), init = (int)attr_int(o, "init", 0);
	for (int i = 0; i < o->nin; i++) {
		const Val *to = i >= seq && i < seq + init ? o->callee->state[i - seq] : o->callee->param[i < seq ? i : i - init];
		bool here = in_class(q, n, f, o->in[i]);
		if (o->in[i] && o->in[i]->data && in_class(q, n, o->callee, to))
			return false;
		if (here && i < seq && axis_at(o, "axis", i) == o->in[i]->type->rank - 1)
			return false;
	}
	for (int i = 0; i < o->nout - init; i++)
		if (in_class(q, n, f, o->out[i]) && axis_at(o, "out_axis", i) == o->out[i]->type->rank - 1)
			return false;
	return true;
}

static bool op_keeps_units(const Quantizer *q, int n, const Func *f, const Op *o)
{
	Role r = (Role)op_role[o->kind];
	if (o->kind == O_scan && !scan_keeps_units(q, n, f, o))
		return false;
	for (int i = 0; i < o->nin; i++) {
		const Val *v = o->in[i];
		bool to_class = (o->kind == O_call && in_class(q, n, o->callee, o->callee->param[i])) ||
			(o->kind == O_next && i % 2 && in_class(q, n, f, o->in[i - 1])) ||
			(o->kind == O_ret && ret_node(q, f, i) >= 0 && class_of(q, ret_node(q, f, i)) == n);
		if (v && v->data && to_class)
			return false;
		if (in_class(q, n, f, v) && (r == R_PICK || r == R_GATHER || (r == R_MOVE && !keeps_units(o))))
			return false;
	}
	for (int i = 0; i < o->nout; i++)
		if (in_class(q, n, f, o->out[i]) && r != R_FLOW && !(r == R_MOVE && !o->in[0]->data && keeps_units(o)))
			return false;
	return true;
}

/* Only states and what moves between functions; an op that computes numbers rounds them once, to 16 bits. */
bool holds_units(Quantizer *q, int n)
{
	const Node *c = &q->node[n], *g = &q->node[group_of(q, n)];
	if (!c->unit_bits || c->port_in || c->port_out)
		return false;
	if (!is_kept(g) && (c->n_arith || c->n_squash || c->n_softmax || c->n_other || c->n_addend))
		return false;
	for (int i = 0; i < q->n; i++)
		if (class_of(q, i) == n && q->node[i].val && !has_axis(q->node[i].val, g->steps))
			return false;
	for (int i = 0; i < q->nfunc; i++) {
		const Func *f = q->func[i];
		for (int k = 0; k < f->nstate; k++)
			if (f->init[k] && in_class(q, n, f, f->state[k]))
				return false;
		each_op(o, &f->body)
			if (!op_keeps_units(q, n, f, o))
				return false;
	}
	return true;
}

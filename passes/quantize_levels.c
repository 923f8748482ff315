/* quantize_levels.c: values of few bits that are one of a few trained numbers.
 *
 * Behind the ranges of such values there are `levels` (estimate.c finds them).  What linears read is a copy that is an i8, of
 * which only these levels occur; the kernels multiply plain integers:
 *
 *	%h1_4 =:h4[1,300] cast %h1		type :h4 = i8 * 0x1p-7 of $h4_levels
 *
 * What the copy is taken of has 16 bits, or those that were asked for it.  States and what moves between functions are the
 * copies themselves where nothing else is asked of them. */
#include "passes/quantize.h"

#include <math.h>

int levels_bits(const Data *levels)
{
	int bits = 0;
	while (levels->type->dim[0] > 1 << bits)
		bits++;
	return bits;
}

/* ---- integers ---------------------------------------------------------------------------------------- */

static double most_of(const float *x, int n)
{
	return fmax(fabs((double)x[0]), fabs((double)x[n - 1]));
}

static bool ascending(const Data *levels)
{
	const float *x = levels->bytes;
	int n = levels->type->dim[0];
	for (int i = 0; i < n; i++)
		if (!isfinite(x[i]) || (i && !(x[i - 1] < x[i])))
			return false;
	return n > 0 && n <= 1 << LEVEL_BITS && most_of(x, n) > 0;
}

/* Levels that become the same integer are one. */
static Data *integers(Quantizer *q, const Data *levels, const char *name, double scale)
{
	const float *x = levels->bytes;
	int8_t level[1 << LEVEL_BITS];
	int32_t n = 0;
	for (int i = 0; i < levels->type->dim[0]; i++) {
		int8_t v = (int8_t)fmax(-127, fmin(127, grid_round(x[i] / scale)));
		if (!n || v > level[n - 1])
			level[n++] = v;
	}
	Data *d = data_new(q->m, arena_printf(q->m->arena, "%s_levels", name), type_tensor(q->m, E_i8, 1, &n));
	for (int32_t i = 0; i < n; i++)
		((int8_t *)d->bytes)[i] = level[i];
	return d;
}

const Quant *levels_quant(Quantizer *q, int n)
{
	Node *g = &q->node[group_of(q, n)];
	if (g->leveled)
		return g->leveled;
	const float *x = g->levels->bytes;
	double most = most_of(x, g->levels->type->dim[0]);
	float scale = q->opt->real_scales ? (float)(most / 127) : ldexpf(1, fit_exponent(most, DEFAULT_BITS, true));
	const char *name = name_with_bits(q, q->node[class_of(q, n)].name, levels_bits(g->levels));
	Quant *k = quant_new(q->m, name, E_i8, scale);
	k->levels = integers(q, g->levels, k->name, scale);
	return g->leveled = k;
}

/* ---- classes ----------------------------------------------------------------------------------------- */

static bool in_class(const Quantizer *q, int n, const Func *f, const Val *v)
{
	int k = node_of(q, f, v);
	return k >= 0 && class_of(q, k) == n;
}

static bool moves(OpKind k)
{
	return k == O_reshape || k == O_transpose || k == O_slice || k == O_expand;
}

static bool has_zero(const Data *levels)
{
	for (int i = 0; i < levels->type->dim[0]; i++)
		if (((const float *)levels->bytes)[i] == 0)
			return true;
	return false;
}

/* Do only casts and moves bring numbers into the class at o? */
static bool op_keeps_levels(const Quantizer *q, int n, const Func *f, const Op *o)
{
	Role r = (Role)op_role[o->kind];
	int seq = (int)attr_int(o, "seq", 0), init = (int)attr_int(o, "init", 0);
	for (int i = 0; i < o->nin; i++) {
		const Val *v = o->in[i], *to = 0;
		if (o->kind == O_scan)
			to = i >= seq && i < seq + init ? o->callee->state[i - seq] : o->callee->param[i < seq ? i : i - init];
		else if (o->kind == O_call)
			to = o->callee->param[i];
		bool here = to && in_class(q, n, o->callee, to);
		here |= o->kind == O_next && i % 2 && in_class(q, n, f, o->in[i - 1]);
		here |= o->kind == O_ret && ret_node(q, f, i) >= 0 && class_of(q, ret_node(q, f, i)) == n;
		if (v && v->data && here)
			return false;
		if (in_class(q, n, f, v) && !(r == R_FLOW || r == R_LINEAR || r == R_MATMUL || moves(o->kind)))
			return false;
	}
	for (int i = 0; i < o->nout; i++)
		if (in_class(q, n, f, o->out[i]) && r != R_FLOW && !(moves(o->kind) && !o->in[0]->data))
			return false;
	return true;
}

bool holds_levels(const Quantizer *q, int n)
{
	const Node *c = &q->node[n];
	if (!c->has_levels || c->port_in || c->port_out || c->n_addend)
		return false;
	for (int i = 0; i < q->nfunc; i++) {
		const Func *f = q->func[i];
		for (int k = 0; k < f->nstate; k++)
			if (in_class(q, n, f, f->state[k]) && (f->init[k] || !has_zero(q->node[group_of(q, n)].levels)))
				return false;
		each_op(o, &f->body)
			if (!op_keeps_levels(q, n, f, o))
				return false;
	}
	return true;
}

/* Of a class that only hands numbers on nothing is asked so far. */
static int bits_of(const Quantizer *q, int n)
{
	return q->node[n].bits ? narrow_bits(q, n) : width(q->opt->activations, DEFAULT_BITS);
}

static bool has_levels(Quantizer *q, int n)
{
	Node *g = &q->node[group_of(q, n)];
	int bits = bits_of(q, n);
	if (!g->levels || g->steps || bits > LEVEL_BITS)
		return false;
	if (ascending(g->levels))
		return levels_bits(g->levels) <= bits;
	if (!g->reported)
		diag_error(q->d, "$%s: levels are at most %d numbers, each greater than the one before", g->levels->name,
		           1 << LEVEL_BITS);
	g->reported = true;
	return false;
}

void levels_widen(Quantizer *q)
{
	for (int n = 0; n < q->n; n++) {
		Node *c = &q->node[n];
		if (c->class_up != n || !has_levels(q, n))
			continue;
		int bits = bits_of(q, n);
		bool computed = c->n_arith || c->n_squash;      /* with the bits that were asked for: --state-bits, --gate-bits */
		c->has_levels = c->n_linear > 0 || c->n_link > 0;
		c->narrow_bits = bits;
		if (c->bits <= bits && !computed && !c->port_in && !holds_levels(q, n))
			c->bits = WIDE_BITS;
	}
}

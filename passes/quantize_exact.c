/* quantize_exact.c: values whose scale is a product of other scales, so that sums need no rounding.
 *
 *	addends		%gx = linear %x, $W, $b; %g = linear %h, $R, %gx: %gx has scale(h) * scale(R) (rows if R has
 *			them), so the second sum starts from it.  Its width (i24, say: stored in 32 bits) is the
 *			bound of %gx; with it lower proves that the second sum fits 32 bits.
 *	sums		%d = sub %h, %n; %zd = mul %z, %d: %d is exact, one bit wider than %h and %n.  Rounded to 16
 *			bits its halves would all go upward, and the state that %zd is added to would drift
 *	products	%fc = mul %f, %c; %c1 = add %fc, %iu: both i32 at one scale, so that only %c1 is rounded */
#include "passes/quantize.h"

#include <math.h>
#include <stdlib.h>

/* Room for one more sum of the same size in 32 bits. */
static const double ROOM = 1 << 30;

static float scale_at(const Quant *k, int row)
{
	return k->rows ? ((const float *)k->rows->bytes)[row] : k->scale;
}

static int row_count(const Quant *k)
{
	return k->rows ? (int)(k->rows->size / sizeof(float)) : 1;
}

const Quant *sum_quant(Quantizer *q, const Quant *x, const Quant *w, const char *name, Elem e, int shift)
{
	Module *m = q->m;
	if (!w->rows)
		return quant_new(m, name, e, (float)ldexp((double)x->scale * w->scale, shift));
	int32_t n = row_count(w);
	Quant *k = quant_new(m, name, e, 1);
	k->rows = data_new(m, arena_printf(m->arena, "%s_s", name), type_tensor(m, E_f32, 1, &n));
	for (int i = 0; i < n; i++)
		((float *)k->rows->bytes)[i] = (float)ldexp((double)x->scale * scale_at(w, i), shift);
	return k;
}

static double finest_sum(const Quant *x, const Quant *w)
{
	double finest = scale_at(w, 0);
	for (int i = 1; i < row_count(w); i++)
		finest = fmin(finest, scale_at(w, i));
	return finest * x->scale;
}

int sum_shift(const Quant *x, const Quant *w, double most)
{
	int shift = 0;
	while (most / ldexp(finest_sum(x, w), shift) > ROOM)
		shift++;
	return shift;
}

const Quant *addend_quant(Quantizer *q, const Quant *x, const Quant *w, const char *name, double most)
{
	int shift = sum_shift(x, w, most), bits;
	frexp(most / ldexp(finest_sum(x, w), shift), &bits);
	bits = bits < 15 ? 16 : bits + 1;
	return sum_quant(q, x, w, name, (Elem)bits, shift);
}

/* ---- addends ----------------------------------------------------------------------------------------- */

static int64_t stored(const Data *d, size_t i)
{
	switch (elem_stored(d->type->elem)) {
	case E_i8:  return ((const int8_t *)d->bytes)[i];
	case E_u8:  return ((const uint8_t *)d->bytes)[i];
	case E_i16: return ((const int16_t *)d->bytes)[i];
	default:    return ((const int32_t *)d->bytes)[i];
	}
}

/* Greatest magnitude x W' + b can have, from the actual weights and all that x's type can hold. */
static double linear_bound(Quantizer *q, Func *f, const Op *o)
{
	const Data *w = data_weights(q, o->in[1]->data, true)->data;
	const Quant *x = narrow_quant(q, node_of(q, f, o->in[0])), *k = w->type->quant;
	int32_t rows = w->type->dim[0], cols = w->type->dim[1];
	double most = 0, bias = o->nin > 2 && o->in[2] ? data_was(q, o->in[2]->data) : 0;
	for (int32_t i = 0; i < rows; i++) {
		double sum = 0;
		for (int32_t j = 0; j < cols; j++)
			sum += k->book ? 1 : (double)llabs(stored(w, (size_t)i * (size_t)cols + (size_t)j));
		most = fmax(most, sum * scale_at(k, i));
	}
	return most * x->scale * (double)(elem_max(x->elem) + 1) + bias;
}

static bool is_plain_linear(const Quantizer *q, Func *f, const Op *o)
{
	bool adds = o->nin > 2 && o->in[2] && !o->in[2]->data;
	return o->kind == O_linear && o->in[1]->data && node_of(q, f, o->in[0]) >= 0 && !adds;
}

/* The bound of class n: of the linears that define it, else twice what was seen. */
static double addend_bound(Quantizer *q, int n)
{
	double most = 0;
	bool other = false;
	for (int i = 0; i < q->n; i++) {
		const Node *x = &q->node[i];
		if (!x->val || !x->val->def || class_of(q, i) != n)
			continue;
		Role r = (Role)op_role[x->val->def->kind];
		if (is_plain_linear(q, x->func, x->val->def))
			most = fmax(most, linear_bound(q, x->func, x->val->def));
		else
			other |= r != R_MOVE && r != R_FLOW;
	}
	return other || most == 0 ? fmax(most, 2 * group_most(q, n)) : most;
}

/* The linear that adds class n, first one found. */
static Op *adder(Quantizer *q, int n, Func **in)
{
	for (int i = 0; i < q->nfunc; i++)
		each_op(o, &q->func[i]->body) {
			int a = o->kind == O_linear && o->nin > 2 ? node_of(q, q->func[i], o->in[2]) : -1;
			if (a >= 0 && class_of(q, a) == n) {
				*in = q->func[i];
				return o;
			}
		}
	return 0;
}

static void choose_addend(Quantizer *q, int n)
{
	Func *f;
	Op *o = adder(q, n, &f);
	Node *c = &q->node[n];
	const Quant *x = narrow_quant(q, node_of(q, f, o->in[0]));
	const Quant *w = data_weights(q, o->in[1]->data, true)->type->quant;
	c->quant = addend_quant(q, x, w, c->name, addend_bound(q, n));
}

/* ---- products ---------------------------------------------------------------------------------------- */

/* Type of an operand of mul or add; data get theirs now. */
static const Quant *operand_quant(Quantizer *q, Func *f, Val *v)
{
	int n = node_of(q, f, v);
	if (n >= 0)
		return read_quant(q, n);
	return v && is_real_data(q, v) ? data_constant(q, v->data)->type->quant : 0;
}

static bool is_power(double x)
{
	int e;
	return frexp(x, &e) == 0.5;
}

/* The exact scale of a product, 0 if it has none that shifts can align. */
static double exact_scale(Quantizer *q, Func *f, const Op *mul)
{
	const Quant *a = operand_quant(q, f, mul->in[0]), *b = operand_quant(q, f, mul->in[1]);
	int e;
	if (!a || !b || a->rows || b->rows || a->book || b->book || !is_pow2(a->scale, &e) || !is_pow2(b->scale, &e))
		return 0;
	int over = elem_bits(a->elem) + elem_bits(b->elem) - 2 - 30;    /* magnitudes up to 2^30 */
	return ldexp((double)a->scale * b->scale, over > 0 ? over : 0);
}

static double product_bound(Quantizer *q, Func *f, const Op *mul)
{
	const Quant *a = operand_quant(q, f, mul->in[0]), *b = operand_quant(q, f, mul->in[1]);
	return (double)(elem_max(a->elem) + 1) * a->scale * ((double)(elem_max(b->elem) + 1) * b->scale);
}

/* Sums of at most this many bits still give 32-bit products with 16-bit factors, but for a few low bits. */
enum { SUM_BITS = 20 };

static void choose_sum(Quantizer *q, Func *f, Op *o)
{
	int n = node_of(q, f, o->out[0]), e;
	const Quant *a = operand_quant(q, f, o->in[0]), *b = operand_quant(q, f, o->in[1]);
	if (n < 0 || class_quant(q, n) || !only_scaled(q, n) || !a || !b || a->rows || b->rows ||
	    !is_pow2(a->scale, &e) || !is_pow2(b->scale, &e))
		return;
	double fine = fmin(a->scale, b->scale);
	double most = (double)(elem_max(a->elem) + 1) * a->scale + (double)(elem_max(b->elem) + 1) * b->scale;
	int bits = ilogb(most / fine) + (is_power(most / fine) ? 1 : 2);
	if (bits <= SUM_BITS)
		q->node[class_of(q, n)].quant = quant_new(q->m, o->out[0]->name, (Elem)bits, (float)fine);
}

/* Types of the products that o (add, sub) takes: one scale, coarse enough that the sum fits 32 bits. */
static void choose_products(Quantizer *q, Func *f, Op *o)
{
	double scale = 0, most = 0;
	int prod[2] = {-1, -1};
	for (int i = 0; i < 2; i++) {
		int n = node_of(q, f, o->in[i]);
		double s = n >= 0 && !class_quant(q, n) && only_added(q, n) ? exact_scale(q, f, o->in[i]->def) : 0;
		if (s > 0) {
			prod[i] = n;
			scale = fmax(scale, s);
			most += product_bound(q, f, o->in[i]->def);
		}
	}
	if (scale == 0)
		return;
	for (int i = 0; i < 2; i++) {
		const Quant *k = prod[i] < 0 ? operand_quant(q, f, o->in[i]) : 0;
		if (k && !k->rows)
			most += (double)(elem_max(k->elem) + 1) * k->scale;
	}
	while (most / scale > 2 * ROOM - 1)
		scale *= 2;
	for (int i = 0; i < 2; i++)
		if (prod[i] >= 0) {
			Node *c = &q->node[class_of(q, prod[i])];
			c->quant = quant_new(q->m, c->name, E_i32, (float)scale);
		}
}

/* A sum or product that cannot be exact is an ordinary value after all. */
static void choose_rest(Quantizer *q)
{
	for (int n = 0; n < q->n; n++) {
		Node *c = &q->node[n];
		if (c->class_up != n || !c->func || c->quant)
			continue;
		int bits = c->bits > WIDE_BITS ? c->bits : WIDE_BITS;
		if (!q->node[group_of(q, n)].ranged)
			diag_error(q->d, "%%%s in @%s has no range: calibrate with --calib, or write range=[lo, hi] "
			           "behind it", c->name, c->func->name);
		float scale = ldexpf(1, fit_exponent(class_most(q, n, bits), bits, false));
		c->quant = quant_new(q->m, c->name, (Elem)bits, scale);
	}
}

void exact_choose(Quantizer *q)
{
	for (int i = 0; i < q->nfunc; i++)
		each_op(o, &q->func[i]->body)
			if (o->kind == O_add || o->kind == O_sub)
				choose_sum(q, q->func[i], o);
	for (int i = 0; i < q->nfunc; i++)
		each_op(o, &q->func[i]->body)
			if (o->kind == O_add || o->kind == O_sub)
				choose_products(q, q->func[i], o);
	for (int n = 0; n < q->n; n++)
		if (q->node[n].class_up == n && q->node[n].func && only_addend(&q->node[n]) && !q->node[n].quant)
			choose_addend(q, n);
	choose_rest(q);
}

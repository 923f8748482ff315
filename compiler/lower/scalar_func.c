/* scalar_func.c: quotients, roots, exponentials and logarithms of fixed-point numbers: the kernels of
 * func_int.ir with the constants that the scales ask for.  A factor of real numbers is an integer of 31 bits
 * and a shift. */
#include "lower/lower.h"

#include <math.h>

static const double LN2 = 0.6931471805599453;
static const double MOST = 2147483647.0;

/* factor = mul * 2^-shift, mul in [2^30, 2^31) */
static void split(double factor, int64_t *mul, int *shift)
{
	int e;
	double m = frexp(factor, &e);
	*mul = (int64_t)floor(ldexp(m, 31) + 0.5);
	*shift = 31 - e;
	if (*mul > INT32_MAX)
		*mul /= 2, --*shift;
}

static Val *call(Frame *fr, Func *f, int n, Val *a, Val *b)
{
	if (!f) {
		fr->failed = true;
		return a;
	}
	Val *in[2] = {a, b};
	Op *o = op_new(fr->l->m, fr->b, O_call, n, in);
	o->callee = f;
	return op_out(fr->l->m, fr->f, o, 0, reg_w(fr));
}

/* The kernel with its helpers; times `factor`, of a result in units of 2^-q. */
static Func *kernel(Frame *fr, const char *name, double factor, int q)
{
	Lower *l = fr->l;
	int64_t mul;
	int shift;
	split(factor, &mul, &shift);
	Sym sym[] = {{"MUL", sym_int(l, mul)}, {"SHIFT", sym_int(l, shift + q)}, {"SCALEUP", 0},
	             {"HEADROOM", 0}};
	Func *up = kernel_get(l, "scale_up", l->isa, 2, sym);
	Func *head = kernel_get(l, "headroom", l->isa, 2, sym);
	if (!up || !head)
		return 0;
	sym[2].value = up->name;
	sym[3].value = head->name;
	return kernel_get(l, name, l->isa, 4, sym);
}

static Num whole(Frame *fr, Num a)
{
	a.v = num_saturate(fr, a, -MOST, MOST);
	a.lo = fmax(a.lo, -MOST);
	a.hi = fmin(a.hi, MOST);
	return a;
}

static Num term(Frame *fr, Num a, double k, double c, double scale)
{
	Term t = {a, k};
	return num_lincomb(fr, 1, &t, c, scale);
}

/* ---- the functions ------------------------------------------------------------------------------------- */

static Num quotient(Frame *fr, Num a, Num b, double scale)
{
	Func *f = kernel(fr, "div_q", a.scale / (b.scale * scale), 29);
	return (Num){call(fr, f, 2, whole(fr, a).v, whole(fr, b).v), -MOST, MOST, scale};
}

static Num root(Frame *fr, Num a)
{
	a = whole(fr, a);
	return (Num){call(fr, kernel(fr, "sqrt_q", 1, 0), 1, a.v, 0), 0, 0x1p30, sqrt(a.scale) * 0x1p-14};
}

/* 2^a, from -a in Q24: 127 octaves either way. */
static Num power_of_two(Frame *fr, Num minus, double scale)
{
	Func *f = kernel(fr, "exp2_q", 1 / scale, 30);
	return (Num){call(fr, f, 1, whole(fr, minus).v, 0), 0, MOST, scale};
}

static Num exponential(Frame *fr, Num a, double scale)
{
	return power_of_two(fr, term(fr, a, -1 / LN2, 0, 0x1p-24), scale);
}

/* log2 of the real number: the integer's, and the scale's. */
static Num log_two(Frame *fr, Num a)
{
	a = whole(fr, a);
	Num y = {call(fr, kernel(fr, "log2_q", 1, 0), 1, a.v, 0), 0, 31 * 0x1p24, 0x1p-24};
	return term(fr, y, 1, log2(a.scale), 0x1p-24);
}

/* a to a constant power that is no whole number: a > 0, and 0 below. */
static Num power(Frame *fr, Num a, Num b, double scale)
{
	Num z = num_mul(fr, log_two(fr, a), b);
	Num y = power_of_two(fr, term(fr, z, -1, 0, 0x1p-24), scale);
	Val *above = e_op(fr, O_ltw, reg_w(fr), 2, e_w(fr, 0), whole(fr, a).v);
	y.v = e_op(fr, O_selw, reg_w(fr), 3, above, y.v, e_w(fr, 0));
	return y;
}

static Num absolute(Frame *fr, Num a)
{
	a = whole(fr, a);
	Val *minus = e_op(fr, O_subw, reg_w(fr), 2, e_w(fr, 0), a.v);
	return (Num){e_op(fr, O_maxw, reg_w(fr), 2, a.v, minus), 0, fmax(-a.lo, a.hi), a.scale};
}

static Num least(Frame *fr, Num a, OpKind k)
{
	a = whole(fr, a);
	a.v = e_op(fr, k, reg_w(fr), 2, a.v, e_w(fr, 0));
	return k == O_minw ? (a.hi = fmin(a.hi, 0), a) : (a.lo = fmax(a.lo, 0), a);
}

/* a < 0 ? alpha * (e^a - 1) : a */
static Num elu(Frame *fr, Num a, double alpha, double scale)
{
	Num e = exponential(fr, least(fr, a, O_minw), 0x1p-30);
	e.hi = 0x1p30;
	Term t[2] = {{e, alpha}, {least(fr, a, O_maxw), 1}};
	return num_lincomb(fr, 2, t, -alpha, scale);
}

/* max(a, 0) + log(1 + e^-|a|) */
static Num softplus(Frame *fr, Num a, double scale)
{
	Num small = absolute(fr, a);
	Num e = power_of_two(fr, term(fr, small, 1 / LN2, 0, 0x1p-24), 0x1p-29);
	e.hi = 0x1p29;
	Num ln = log_two(fr, term(fr, e, 1, 1, 0x1p-29));
	Term t[2] = {{ln, LN2}, {least(fr, a, O_maxw), 1}};
	return num_lincomb(fr, 2, t, 0, scale);
}

/* a / (1 + |a|) */
static Num softsign(Frame *fr, Num a, double scale)
{
	double fine = fmin(a.scale, 0x1p-12);
	return quotient(fr, a, term(fr, absolute(fr, a), 1, 1, fine), scale);
}

static Num error_function(Frame *fr, Num a)
{
	Lower *l = fr->l;
	int e;
	if (!exact_log2(a.scale, &e) || e < -18 || e > -5)
		a = num_rescale(fr, a, 0x1p-14), e = -14;
	int seg = -e - 4;               /* bits below 1/16 */
	Sym sym[] = {{"SEG", sym_int(l, seg)}, {"LIMIT", sym_int(l, ((int64_t)64 << seg) - 1)},
	             {"MASK", sym_int(l, ((int64_t)1 << seg) - 1)}, {"UP", sym_int(l, 15 - seg)},
	             {"DOWN", "0"}};
	return (Num){call(fr, kernel_get(l, "erf_q", l->isa, 5, sym), 1, whole(fr, a).v, 0), -32767, 32767,
	             0x1p-15};
}

/* The nearest whole number; of two that are as near, which only scales below 1 that are powers of two give
 * exactly, the even one. */
static Num nearest(Frame *fr, Num a)
{
	const Type *w = reg_w(fr);
	int e;
	bool ties = exact_log2(a.scale, &e) && e < 0 && e >= -30;
	a = whole(fr, a);
	Num y = term(fr, a, 1, 0, 1);
	if (!ties)
		return y;
	y = whole(fr, y);
	Val *part = e_op(fr, O_andw, w, 2, a.v, e_w(fr, ((int64_t)1 << -e) - 1));
	Val *tie = e_op(fr, O_eqw, w, 2, part, e_w(fr, (int64_t)1 << (-e - 1)));
	y.v = e_op(fr, O_subw, w, 2, y.v, e_op(fr, O_andw, w, 2, tie, y.v));
	y.lo -= 1;
	return y;
}

/* Whole exponents of negative numbers would need their sign; import writes small ones as products. */
static bool has_power(const Op *o)
{
	const Data *d = o->in[1]->data;
	if (!d || type_count(d->type, 1) != 1 || !d->type->quant || elem_stored(d->type->elem) != E_i16)
		return false;
	double p = ((const int16_t *)d->bytes)[0] * (double)d->type->quant->scale;
	return p != floor(p);
}

/* The whole part: |a| rounded down (a half less, and halves go upward), with a's sign. */
Num scalar_whole_part(Frame *fr, Num a)
{
	Num up = term(fr, absolute(fr, a), 1, -0.5, 1);
	Val *v = num_saturate(fr, up, 0, MOST);
	Val *below = e_op(fr, O_ltw, reg_w(fr), 2, whole(fr, a).v, e_w(fr, 0));
	v = e_op(fr, O_selw, reg_w(fr), 3, below, e_op(fr, O_subw, reg_w(fr), 2, e_w(fr, 0), v), v);
	return (Num){v, -up.hi, up.hi, 0};
}

bool scalar_function(Frame *fr, const Op *o, const Num *in, Num *y)
{
	const Type *t = o->out[0]->type;
	double scale = t->quant ? (double)t->quant->scale : 0;
	Num a = in[0];
	if (scale == 0 || a.scale == 0 || (o->kind == O_div && in[1].scale == 0))
		return false;
	switch (o->kind) {
	case O_div: *y = quotient(fr, a, in[1], scale); return true;
	case O_sqrt: *y = root(fr, a); return true;
	case O_exp: *y = exponential(fr, a, scale); return true;
	case O_log: *y = log_two(fr, a), *y = term(fr, *y, LN2, 0, scale); return true;
	case O_pow:
		if (!has_power(o))
			return false;
		*y = power(fr, a, in[1], scale);
		return true;
	case O_erf: *y = error_function(fr, a); return true;
	case O_elu: *y = elu(fr, a, (double)attr_float(o, "alpha", 1), scale); return true;
	case O_softplus: *y = softplus(fr, a, scale); return true;
	case O_softsign: *y = softsign(fr, a, scale); return true;
	case O_floor: *y = term(fr, a, 1, -0.5, 1); return true;       /* halves go upward */
	case O_round: *y = nearest(fr, a); return true;
	default: return false;
	}
}

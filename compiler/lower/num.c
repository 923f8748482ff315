/* num.c: fixed-point numbers in registers.
 *
 * A Num is an integer register with the bounds it can take and the scale that makes it real.  Every step
 * computes new bounds, so whether 32 bits suffice is decided here, from bounds, and never by hope.  One
 * rounding rule: halves go upward, (v + 2^(n-1)) >> n. */
#include "lower/lower.h"

#include <math.h>

bool exact_log2(double x, int *e)
{
	int k;
	if (!(x > 0) || frexp(x, &k) != 0.5)
		return false;
	*e = k - 1;
	return true;
}

int num_lanes(const Num *a) { return a->v->type->lanes ? a->v->type->lanes : 1; }

static bool is_l(const Num *a) { return a->v->type->elem == E_i64; }
static bool fits_w(double lo, double hi) { return lo >= -2147483648.0 && hi <= 2147483647.0; }
static const Type *w_of(Frame *fr, int lanes) { return type_reg(fr->l->m, E_i32, lanes); }
static const Type *l_of(Frame *fr, int lanes) { return type_reg(fr->l->m, E_i64, lanes); }

static Num to_l(Frame *fr, Num a)
{
	if (!is_l(&a))
		a.v = is_literal(a.v) ? e_l(fr, a.v->lit.i) : e_op(fr, O_extl, l_of(fr, num_lanes(&a)), 1, a.v);
	return a;
}

static Num to_w(Frame *fr, Num a)
{
	if (is_l(&a))
		a.v = is_literal(a.v) ? e_w(fr, a.v->lit.i) : e_op(fr, O_truncw, w_of(fr, num_lanes(&a)), 1, a.v);
	return a;
}

Num num_load(Frame *fr, Val *v, const Type *t)
{
	(void)fr;
	Num x = {.v = v};
	if (elem_is_float(t->elem))
		return x;
	x.lo = (double)elem_min(t->elem);
	x.hi = (double)elem_max(t->elem);
	if (t->quant)
		x.scale = t->quant->scale;
	return x;
}

/* x * k for an integer k; 64 bits when the bounds ask for it. */
static Num times(Frame *fr, Num x, int64_t k)
{
	double a = x.lo * (double)k, b = x.hi * (double)k;
	Num y = {.lo = a < b ? a : b, .hi = a < b ? b : a, .scale = x.scale};
	int lanes = num_lanes(&x), sh;
	bool wide = is_l(&x) || !fits_w(y.lo, y.hi);
	if (k == 1) {
		y.v = x.v;
	} else if (exact_log2((double)k, &sh)) {
		x = wide ? to_l(fr, x) : x;
		y.v = e_op(fr, wide ? O_shll : O_shlw, wide ? l_of(fr, lanes) : w_of(fr, lanes), 2, x.v, e_w(fr, sh));
	} else if (!wide) {
		y.v = e_op(fr, O_mulw, w_of(fr, lanes), 2, x.v, e_w(fr, k));
	} else if (!is_l(&x) && k >= INT32_MIN && k <= INT32_MAX) {
		y.v = e_op(fr, O_mulwl, l_of(fr, lanes), 2, x.v, e_w(fr, k));
	} else {
		y.v = e_op(fr, O_mull, l_of(fr, lanes), 2, to_l(fr, x).v, e_l(fr, k));
	}
	return y;
}

static Num plus(Frame *fr, Num a, Num b)
{
	Num y = {.lo = a.lo + b.lo, .hi = a.hi + b.hi, .scale = a.scale};
	int lanes = num_lanes(&a) > num_lanes(&b) ? num_lanes(&a) : num_lanes(&b);
	bool wide = is_l(&a) || is_l(&b) || !fits_w(y.lo, y.hi);
	if (wide)
		a = to_l(fr, a), b = to_l(fr, b);
	y.v = e_op(fr, wide ? O_addl : O_addw, wide ? l_of(fr, lanes) : w_of(fr, lanes), 2, a.v, b.v);
	return y;
}

static Num constant(Frame *fr, double c)
{
	bool w = fits_w(c, c);
	return (Num){.v = w ? e_w(fr, (int64_t)c) : e_l(fr, (int64_t)c), .lo = c, .hi = c};
}

/* (x + 2^(n-1)) >> n, the half already added to x by the caller. */
static Num shift_down(Frame *fr, Num x, int n)
{
	int lanes = num_lanes(&x);
	double s = ldexp(1, -n);
	Num y = {.lo = floor(x.lo * s), .hi = floor(x.hi * s), .scale = x.scale};
	bool l = is_l(&x);
	y.v = e_op(fr, l ? O_sarl : O_sarw, l ? l_of(fr, lanes) : w_of(fr, lanes), 2, x.v, e_w(fr, n));
	return fits_w(y.lo, y.hi) ? to_w(fr, y) : y;
}

/* The shift and the integer multipliers for sum k_i x_i: exact where all ratios are dyadic, else the largest
 * 31-bit multipliers for which the sum stays below 2^62. */
static int choose_shift(int n, const Term *t, double scale, double c)
{
	int shift = 0, e;
	bool dyadic = true;
	double most = 0, sum = fabs(c / scale);
	for (int i = 0; i < n; i++) {
		double r = fabs(t[i].k) * t[i].x.scale / scale;
		if (r == 0)
			continue;
		dyadic &= exact_log2(r, &e);
		if (dyadic && -e > shift)
			shift = -e;
		most = fmax(most, r);
		sum += r * fmax(fabs(t[i].x.lo), fabs(t[i].x.hi));
	}
	if (dyadic && shift <= 30)
		return shift;
	shift = 30 - ilogb(most > 0 ? most : 1);
	int room = 61 - ilogb(sum > 1 ? sum : 1);
	shift = shift < room ? shift : room;
	return shift < 0 ? 0 : shift > 61 ? 61 : shift;
}

Num num_lincomb(Frame *fr, int n, const Term *t, double c, double scale)
{
	int shift = choose_shift(n, t, scale, c);
	double half = shift ? ldexp(1, shift - 1) : 0;
	double add = floor(c / scale * ldexp(1, shift) + 0.5) + half;
	Num sum = {0};
	for (int i = 0; i < n; i++) {
		double k = floor(t[i].k * t[i].x.scale / scale * ldexp(1, shift) + 0.5);
		if (k == 0)
			continue;
		Num p = times(fr, t[i].x, (int64_t)k);
		sum = sum.v ? plus(fr, sum, p) : p;
	}
	if (!sum.v)
		sum = constant(fr, add);
	else if (add)
		sum = plus(fr, sum, constant(fr, add));
	sum.scale = scale;
	return shift ? shift_down(fr, sum, shift) : sum;
}

Num num_rescale(Frame *fr, Num a, double scale)
{
	if (a.scale == scale)
		return a;
	Term t = {a, 1};
	return num_lincomb(fr, 1, &t, 0, scale);
}

Num num_rescale_up(Frame *fr, Num a, double scale, Val *up, int spread)
{
	Term t = {a, 1};
	int shift = choose_shift(1, &t, scale, 0), lanes = num_lanes(&a) > fr->lanes ? num_lanes(&a) : fr->lanes;
	shift = shift + spread > 62 ? 62 - spread : shift;
	Num p = times(fr, a, (int64_t)floor(a.scale / scale * ldexp(1, shift) + 0.5));
	double half = ldexp(1, shift + spread) / 2;
	bool wide = is_l(&p) || shift + spread > 30 || !fits_w(p.lo, p.hi + half);
	Num y = {.lo = floor(ldexp(p.lo, -shift)), .hi = floor(ldexp(p.hi, -shift) + 0.5), .scale = scale};
	const Type *r = wide ? l_of(fr, lanes) : w_of(fr, lanes);
	Val *one = wide ? e_l(fr, 1) : e_w(fr, 1), *n = e_op(fr, O_addw, lane_w(fr), 2, up, e_w(fr, shift));
	p = wide ? to_l(fr, p) : p;
	Val *h = e_op(fr, wide ? O_sarl : O_sarw, r, 2, e_op(fr, wide ? O_shll : O_shlw, r, 2, one, n), e_w(fr, 1));
	Val *sum = e_op(fr, wide ? O_addl : O_addw, r, 2, p.v, h);
	y.v = e_op(fr, wide ? O_sarl : O_sarw, r, 2, sum, n);
	y.lo = fmin(y.lo, 0), y.hi = fmax(y.hi, 0);     /* coarser units have less */
	return fits_w(y.lo, y.hi) ? to_w(fr, y) : y;
}

Num num_mul(Frame *fr, Num a, Num b)
{
	double p[4] = {a.lo * b.lo, a.lo * b.hi, a.hi * b.lo, a.hi * b.hi};
	Num y = {.lo = p[0], .hi = p[0], .scale = a.scale * b.scale};
	for (int i = 1; i < 4; i++)
		y.lo = fmin(y.lo, p[i]), y.hi = fmax(y.hi, p[i]);
	int lanes = num_lanes(&a) > num_lanes(&b) ? num_lanes(&a) : num_lanes(&b);
	if (is_l(&a) || is_l(&b))
		y.v = e_op(fr, O_mull, l_of(fr, lanes), 2, to_l(fr, a).v, to_l(fr, b).v);
	else if (fits_w(y.lo, y.hi) && a.lo >= -32768 && a.hi <= 32767 && b.lo >= -32768 && b.hi <= 32767)
		y.v = e_op(fr, O_mulh, w_of(fr, lanes), 2, a.v, b.v);
	else if (fits_w(y.lo, y.hi))
		y.v = e_op(fr, O_mulw, w_of(fr, lanes), 2, a.v, b.v);
	else
		y.v = e_op(fr, O_mulwl, l_of(fr, lanes), 2, a.v, b.v);
	return y;
}

Val *num_saturate(Frame *fr, Num a, double lo, double hi)
{
	bool l = is_l(&a);
	const Type *t = l ? l_of(fr, num_lanes(&a)) : w_of(fr, num_lanes(&a));
	if (a.lo < lo) {
		a.v = e_op(fr, l ? O_maxl : O_maxw, t, 2, a.v, l ? e_l(fr, (int64_t)lo) : e_w(fr, (int64_t)lo));
		a.lo = lo;
	}
	if (a.hi > hi) {
		a.v = e_op(fr, l ? O_minl : O_minw, t, 2, a.v, l ? e_l(fr, (int64_t)hi) : e_w(fr, (int64_t)hi));
		a.hi = hi;
	}
	return fits_w(a.lo, a.hi) ? to_w(fr, a).v : a.v;
}

Val *num_store(Frame *fr, Num a, const Type *t)
{
	if (elem_is_float(t->elem))
		return a.v;
	if (t->quant)
		a = num_rescale(fr, a, t->quant->scale);
	return num_saturate(fr, a, (double)elem_min(t->elem), (double)elem_max(t->elem));
}

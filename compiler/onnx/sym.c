/* sym.c: integers a*T + b, where T is the number of time steps, at least 1: what shapes are computed with.
 * Results that would depend on which T it is are not guessed: SYM_PIN. */
#include "onnx/import.h"

SymStatus sym_add(Sym x, Sym y, Sym *z)
{
	bool over = __builtin_add_overflow(x.a, y.a, &z->a) | __builtin_add_overflow(x.b, y.b, &z->b);
	return over ? SYM_OVERFLOW : SYM_OK;
}

SymStatus sym_sub(Sym x, Sym y, Sym *z)
{
	bool over = __builtin_sub_overflow(x.a, y.a, &z->a) | __builtin_sub_overflow(x.b, y.b, &z->b);
	return over ? SYM_OVERFLOW : SYM_OK;
}

SymStatus sym_mul(Sym x, Sym y, Sym *z)
{
	if (x.a && y.a)
		return SYM_PIN;
	if (x.a) {
		Sym t = x;
		x = y;
		y = t;
	}
	bool over = __builtin_mul_overflow(x.b, y.a, &z->a) | __builtin_mul_overflow(x.b, y.b, &z->b);
	return over ? SYM_OVERFLOW : SYM_OK;
}

/* Truncates, as ONNX's Div. */
SymStatus sym_div(Sym x, Sym y, Sym *z)
{
	if (y.a) {                      /* (k*y) / y */
		int64_t k = x.a / y.a;
		Sym all;
		if (x.a % y.a || sym_mul((Sym){ 0, k }, y, &all) || all.b != x.b)
			return SYM_PIN;
		if (y.b < 0 ? y.a > 0 && -y.b >= y.a : y.a < 0 && y.b >= -y.a)
			return SYM_PIN;         /* y may be 0 */
		*z = (Sym){ 0, k };
		return SYM_OK;
	}
	if (y.b == 0)
		return SYM_ZERO;
	if (y.b == -1)
		return sym_sub((Sym){ 0, 0 }, x, z);
	if (x.a && (x.a % y.b || x.b % y.b))
		return SYM_PIN;
	*z = (Sym){ x.a / y.b, x.b / y.b };
	return SYM_OK;
}

/* The result has the divisor's sign, as ONNX's Mod of integers. */
SymStatus sym_mod(Sym x, Sym y, Sym *z)
{
	if (y.a || (y.b && y.b != -1 && x.a % y.b))
		return SYM_PIN;
	if (!y.b)
		return SYM_ZERO;
	int64_t r = y.b == -1 ? 0 : x.b % y.b;
	*z = (Sym){ 0, r && (r < 0) != (y.b < 0) ? r + y.b : r };
	return SYM_OK;
}

SymStatus sym_pow(Sym x, Sym y, Sym *z)
{
	if (y.a)
		return SYM_PIN;
	if (y.b < 0)
		return SYM_ZERO;
	if (y.b > 63) {
		*z = (Sym){ 0, x.b == -1 && y.b % 2 == 0 ? 1 : x.b };
		return x.a ? SYM_PIN : x.b >= -1 && x.b <= 1 ? SYM_OK : SYM_OVERFLOW;
	}
	*z = (Sym){ 0, 1 };
	SymStatus s = SYM_OK;
	for (int64_t i = 0; i < y.b && !s; i++)
		s = sym_mul(*z, x, z);
	return s;
}

/* ---- comparisons: decided when they come out the same for every T >= 1 -------------------------- */

/* The sign of x - y: -1, 0, 1; or for all T "at most 0" (-2) or "at least 0" (2); 3: unknown. */
static int order(Sym x, Sym y)
{
	Sym d;
	if (sym_sub(x, y, &d))
		return 3;
	int64_t first;                  /* at T = 1 */
	if (__builtin_add_overflow(d.a, d.b, &first))
		return 3;
	if (!d.a)
		return (d.b > 0) - (d.b < 0);
	if (d.a > 0)
		return first > 0 ? 1 : first == 0 ? 2 : 3;
	return first < 0 ? -1 : first == 0 ? -2 : 3;
}

static SymStatus truth(int known, Sym *z)
{
	*z = (Sym){ 0, known > 0 };
	return known < 0 ? SYM_PIN : SYM_OK;
}

SymStatus sym_equal(Sym x, Sym y, Sym *z)
{
	int o = order(x, y);
	return truth(o == 0 ? 1 : o == 1 || o == -1 ? 0 : -1, z);
}

SymStatus sym_less(Sym x, Sym y, Sym *z)
{
	int o = order(x, y);
	return truth(o == -1 ? 1 : o == 0 || o == 1 || o == 2 ? 0 : -1, z);
}

SymStatus sym_lesseq(Sym x, Sym y, Sym *z)
{
	int o = order(x, y);
	return truth(o == -1 || o == 0 || o == -2 ? 1 : o == 1 ? 0 : -1, z);
}

SymStatus sym_min(Sym x, Sym y, Sym *z)
{
	int o = order(x, y);
	*z = o == -1 || o == 0 || o == -2 ? x : y;
	return o == 3 ? SYM_PIN : SYM_OK;
}

SymStatus sym_max(Sym x, Sym y, Sym *z)
{
	int o = order(x, y);
	*z = o == -1 || o == 0 || o == -2 ? y : x;
	return o == 3 ? SYM_PIN : SYM_OK;
}

SymStatus sym_and(Sym x, Sym y, Sym *z)
{
	return truth(x.b && y.b, z);
}

SymStatus sym_or(Sym x, Sym y, Sym *z)
{
	return truth(x.b || y.b, z);
}

SymStatus sym_xor(Sym x, Sym y, Sym *z)
{
	return truth(!x.b != !y.b, z);
}

bool sym_fail(Node *n, SymStatus s)
{
	switch (s) {
	case SYM_OK: return true;
	case SYM_PIN: return fail_fixed(n, "a shape is computed from it in a way that depends on its value");
	case SYM_OVERFLOW: return fail(n, "integers overflow in a constant computation");
	case SYM_ZERO: break;
	}
	return fail(n, "a constant computation divides by zero or has a negative exponent");
}

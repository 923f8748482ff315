/* compare.c: how far an output is from its reference. */
#include "driver/compare.h"

#include <math.h>
#include <string.h>

static bool is_integer(HostType t)
{
	return t != H_F32 && t != H_F64 && t != H_F16 && t != H_BF16;
}

static bool same_shape(const Tensor *a, const Tensor *b)
{
	if (a->rank != b->rank)
		return false;
	for (int i = 0; i < a->rank; i++)
		if (a->dim[i] != b->dim[i])
			return false;
	return true;
}

static double error_of(double out, double ref)
{
	if (isnan(out) && isnan(ref))
		return 0;
	if (out == ref)
		return 0;
	return isfinite(out) && isfinite(ref) ? fabs(out - ref) : INFINITY;
}

Comparison compare(const Tensor *out, const Tensor *ref, double rtol, double atol)
{
	Comparison c = {.shape = same_shape(out, ref)};
	if (!c.shape)
		return c;
	double signal = 0, noise = 0;
	c.close = true;
	for (int64_t i = 0; i < ref->count; i++) {
		double r = tensor_get(ref, i), e = error_of(tensor_get(out, i), r);
		double size = isfinite(r) ? fmax(1, fabs(r)) : 1;
		c.max_error = fmax(c.max_error, e / size);
		if (is_integer(ref->type) ? e != 0 : e > atol + rtol * size)
			c.close = false;
		if (isfinite(r)) {
			signal += r * r;
			noise += e * e;
		}
	}
	c.snr_db = noise > 0 ? 10 * log10(signal / noise) : INFINITY;
	return c;
}

bool same_bytes(const void *a, const void *b, size_t n, bool floats)
{
	if (!memcmp(a, b, n) || !floats)
		return !memcmp(a, b, n);
	const float *x = a, *y = b;
	for (size_t i = 0; i < n / sizeof(float); i++)
		if (memcmp(&x[i], &y[i], sizeof(float)) && !(isnan(x[i]) && isnan(y[i])))
			return false;
	return true;
}

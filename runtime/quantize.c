/* quantize.c: real numbers to stored ones and back, for programs that have floats. */
#include "gatefold.h"

/* 2^63 as a float: the least that an int64_t cannot hold. */
#define TOO_LARGE 9223372036854775808.0f

static int64_t least(const gf_tensor *t)
{
	return t->elem == GF_U8 ? 0 : -(int64_t)(((uint64_t)1 << (t->bits - 1)) - 1) - 1;
}

static int64_t most(const gf_tensor *t)
{
	int value_bits = t->elem == GF_U8 ? t->bits : t->bits - 1;
	return (int64_t)(((uint64_t)1 << value_bits) - 1);
}

/* x / scale + zero, halves upward. */
static int64_t to_stored(const gf_tensor *t, float x)
{
	float v = t->scale > 0 ? x / t->scale : x;
	if (v != v)
		return t->zero;
	if (v >= TOO_LARGE)
		return most(t);
	if (v < -TOO_LARGE)
		return least(t);
	int64_t q = (int64_t)v;
	float rest = v - (float)q;      /* exact: floats with a fraction are small */
	if (rest >= 0.5f)
		q++;
	else if (rest < -0.5f)
		q--;
	if (q >= most(t) - t->zero)     /* no overflow: 64-bit elements have no zero point */
		return most(t);
	if (q <= least(t) - t->zero)
		return least(t);
	return q + t->zero;
}

void gf_quantize(const gf_tensor *t, const float *x, void *q, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++)
		switch (t->elem) {
		case GF_I8:  ((int8_t *)q)[i] = (int8_t)to_stored(t, x[i]); break;
		case GF_U8:  ((uint8_t *)q)[i] = (uint8_t)to_stored(t, x[i]); break;
		case GF_I16: ((int16_t *)q)[i] = (int16_t)to_stored(t, x[i]); break;
		case GF_I32: ((int32_t *)q)[i] = (int32_t)to_stored(t, x[i]); break;
		case GF_I64: ((int64_t *)q)[i] = to_stored(t, x[i]); break;
		default:     ((float *)q)[i] = x[i];
		}
}

static float to_real(const gf_tensor *t, int64_t q)
{
	float v = (float)(q - t->zero);
	return t->scale > 0 ? v * t->scale : v;
}

void gf_dequantize(const gf_tensor *t, const void *q, float *x, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++)
		switch (t->elem) {
		case GF_I8:  x[i] = to_real(t, ((const int8_t *)q)[i]); break;
		case GF_U8:  x[i] = to_real(t, ((const uint8_t *)q)[i]); break;
		case GF_I16: x[i] = to_real(t, ((const int16_t *)q)[i]); break;
		case GF_I32: x[i] = to_real(t, ((const int32_t *)q)[i]); break;
		case GF_I64: x[i] = to_real(t, ((const int64_t *)q)[i]); break;
		default:     x[i] = ((const float *)q)[i];
		}
}

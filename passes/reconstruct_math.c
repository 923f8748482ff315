/* reconstruct_math.c: see reconstruct_math.h.  Compiled with -O3: the loops become vector code. */
#include "passes/reconstruct_math.h"
#include "passes/simd.h"

#include <math.h>

static const float MOST_EXP = 88, LEAST_EXP = -87;

/* exp(x) = 2^k exp(r), |r| <= log(2) / 2; log(2) in two parts so that r is exact; Taylor to r^7. */
static inline __attribute__((always_inline)) float exp_one(float x)
{
	const float to_whole = 12582912;        /* 1.5 * 2^23: adding it rounds to whole numbers */
	x = x < LEAST_EXP ? LEAST_EXP : x;
	x = x > MOST_EXP ? MOST_EXP : x;
	float k = x * 1.44269504f + to_whole - to_whole;
	float r = x - k * 0.693359375f + k * 2.12194440e-4f;
	float p = 1 / 5040.0f;
	p = p * r + 1 / 720.0f;
	p = p * r + 1 / 120.0f;
	p = p * r + 1 / 24.0f;
	p = p * r + 1 / 6.0f;
	p = p * r + 0.5f;
	p = p * r + 1;
	p = p * r + 1;
	union { int32_t i; float f; } two = {.i = ((int32_t)k + 127) << 23};
	return p * two.f;
}

ANY_SIMD void many_exp(float *restrict y, const float *restrict x, size_t n)
{
	for (size_t i = 0; i < n; i++)
		y[i] = exp_one(x[i]);
}

ANY_SIMD void many_sigmoid(float *restrict y, const float *restrict x, size_t n)
{
	for (size_t i = 0; i < n; i++)
		y[i] = 1 / (1 + exp_one(-x[i]));
}

ANY_SIMD void many_tanh(float *restrict y, const float *restrict x, size_t n)
{
	for (size_t i = 0; i < n; i++)
		y[i] = 1 - 2 / (1 + exp_one(2 * x[i]));
}

/* Sums go by lane, then over the lanes in their order. */
ANY_SIMD static float exp_less(float *y, const float *x, size_t n, float most)
{
	float sum[16] = {0}, all = 0;
	size_t i = 0;
	for (; i + 16 <= n; i += 16)
		for (int l = 0; l < 16; l++) {
			float e = exp_one(x[i + l] - most);
			y[i + l] = e;
			sum[l] += e;
		}
	for (; i < n; i++)
		sum[i % 16] += y[i] = exp_one(x[i] - most);
	for (int l = 0; l < 16; l++)
		all += sum[l];
	return all;
}

ANY_SIMD static float most_of(const float *x, size_t n)
{
	float most[16], all = x[0];
	for (int l = 0; l < 16; l++)
		most[l] = x[0];
	size_t i = 0;
	for (; i + 16 <= n; i += 16)
		for (int l = 0; l < 16; l++)
			most[l] = x[i + l] > most[l] ? x[i + l] : most[l];
	for (; i < n; i++)
		most[0] = x[i] > most[0] ? x[i] : most[0];
	for (int l = 0; l < 16; l++)
		all = most[l] > all ? most[l] : all;
	return all;
}

ANY_SIMD static void scale_all(float *y, size_t n, float by)
{
	for (size_t i = 0; i < n; i++)
		y[i] *= by;
}

double softmax_row(float *y, const float *x, size_t n)
{
	float most = most_of(x, n), sum = exp_less(y, x, n, most);
	scale_all(y, n, 1 / sum);
	return (double)most + exact_log(sum);
}

/* x = m 2^e with m in [sqrt(1/2), sqrt(2)): log m = 2 artanh((m - 1) / (m + 1)). */
double exact_log(double x)
{
	int e;
	double m = frexp(x, &e);
	if (m < 0.70710678118654752)
		m *= 2, e--;
	double t = (m - 1) / (m + 1), s = t * t, sum = 0;
	for (int k = 17; k >= 1; k -= 2)
		sum = sum * s + 1.0 / k;
	return 2 * t * sum + e * 0.69314718055994531;
}

ANY_SIMD void many_add(float *restrict y, const float *restrict x, size_t n)
{
	for (size_t i = 0; i < n; i++)
		y[i] += x[i];
}

ANY_SIMD void many_add_scaled(float *restrict y, float a, const float *restrict x, size_t n)
{
	for (size_t i = 0; i < n; i++)
		y[i] += a * x[i];
}

ANY_SIMD void many_add_products(float *restrict y, const float *restrict a, const float *restrict b, size_t n)
{
	for (size_t i = 0; i < n; i++)
		y[i] += a[i] * b[i];
}

ANY_SIMD void many_round(float *restrict y, const float *restrict x, size_t n, float scale, float lo,
        float hi)
{
	for (size_t i = 0; i < n; i++) {
		float q = floorf(x[i] / scale + 0.5f);
		q = q < lo ? lo : q;
		y[i] = (q > hi ? hi : q) * scale;
	}
}

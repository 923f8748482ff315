/* linalg.c: moments, factors of the inverse (linalg.h).  Inner loops run along rows, so that compilers vectorize them;
 * sums of products keep LANES partial sums, which fixes their order. */
#include "passes/linalg.h"
#include "util/mem.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { LANES = 8, STRIP = 8 };

double dot(const double *a, const double *b, int n)
{
	double s[LANES] = {0}, t = 0;
	int i = 0;
	for (; i + LANES <= n; i += LANES)
		for (int k = 0; k < LANES; k++)
			s[k] += a[i + k] * b[i + k];
	for (; i < n; i++)
		t += a[i] * b[i];
	for (int k = 0; k < LANES; k++)
		t += s[k];
	return t;
}

double rms(const double *x, size_t n)
{
	double sum = 0;
	for (size_t i = 0; i < n; i++)
		sum += x[i] * x[i];
	return n ? sqrt(sum / (double)n) : 0;
}

void axpy(double *y, double a, const double *x, int n)
{
	for (int i = 0; i < n; i++)
		y[i] += a * x[i];
}

/* STRIP rows at once: each sum is read and written once for all of them. */
static void strip_add(double *restrict sum, double *const a, const double *restrict y, int stride, int m)
{
	const double *y1 = y + stride, *y2 = y1 + stride, *y3 = y2 + stride;
	const double *y4 = y3 + stride, *y5 = y4 + stride, *y6 = y5 + stride, *y7 = y6 + stride;
	for (int j = 0; j < m; j++)
		sum[j] += ((a[0] * y[j] + a[1] * y1[j]) + (a[2] * y2[j] + a[3] * y3[j])) +
		          ((a[4] * y4[j] + a[5] * y5[j]) + (a[6] * y6[j] + a[7] * y7[j]));
}

static void widen(double *to, const float *x, int rows, int n)
{
	memset(to, 0, sizeof *to * STRIP * (size_t)n);
	for (int i = 0; i < rows * n; i++)
		to[i] = x[i];
}

void moments_add(double *sum, int n, const float *x, int rows)
{
	double *y = mem_array((size_t)n, sizeof *y * STRIP);
	for (int r = 0; r < rows; r += STRIP) {
		widen(y, x + (size_t)r * n, rows - r < STRIP ? rows - r : STRIP, n);
		for (int i = 0; i < n; i++) {
			double a[STRIP];
			for (int k = 0; k < STRIP; k++)
				a[k] = y[(size_t)k * n + i];
			strip_add(sum + (size_t)i * n, a, y, n, i + 1);
		}
	}
	free(y);
}

void mirror(double *sum, int n)
{
	for (int i = 0; i < n; i++)
		for (int j = 0; j < i; j++)
			sum[(size_t)j * n + i] = sum[(size_t)i * n + j];
}

/* h = R R' with R upper, from the last row on; then U = the inverse of R, which is upper, too. */
bool inverse_factor(double *h, int n)
{
	for (int j = n - 1; j >= 0; j--) {
		double *rj = h + (size_t)j * n, d = rj[j] - dot(rj + j + 1, rj + j + 1, n - 1 - j);
		if (!(d > 0))
			return false;
		rj[j] = sqrt(d);
		for (int i = 0; i < j; i++) {
			double *ri = h + (size_t)i * n;
			ri[j] = (ri[j] - dot(ri + j + 1, rj + j + 1, n - 1 - j)) / rj[j];
		}
	}
	double *row = mem_array((size_t)n, sizeof *row);
	for (int i = n - 1; i >= 0; i--) {
		double *ri = h + (size_t)i * n, inv = 1 / ri[i];
		memcpy(row, ri, sizeof *row * (size_t)n);
		memset(ri, 0, sizeof *ri * (size_t)n);
		for (int k = i + 1; k < n; k++)
			axpy(ri + k, -inv * row[k], h + (size_t)k * n + k, n - k);
		ri[i] = inv;
	}
	free(row);
	return true;
}

void product_f32(const float *w, int rows, int n, const float *x, const float *b, float *y)
{
	for (int i = 0; i < rows; i++, w += n) {
		float s[2 * LANES] = {0}, t = b ? b[i] : 0;
		int k = 0;
		for (; k + 2 * LANES <= n; k += 2 * LANES)
			for (int j = 0; j < 2 * LANES; j++)
				s[j] += w[k + j] * x[k + j];
		for (; k < n; k++)
			t += w[k] * x[k];
		for (int j = 0; j < 2 * LANES; j++)
			t += s[j];
		y[i] = t;
	}
}

/* histogram.c: numbers counted, and where few bits should saturate. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "passes/estimate.h"
#include "passes/histogram.h"
#include "passes/levels.h"

enum { N = 20000 };

static uint64_t rng = 1;

static double uniform(void)
{
	rng = rng * 6364136223846793005u + 1442695040888963407u;
	return (double)(rng >> 40) / (1 << 24) - 0.5;
}

/* Near enough to a normal distribution of deviation 1. */
static float bell(void)
{
	double sum = 0;
	for (int i = 0; i < 12; i++)
		sum += uniform();
	return (float)sum;
}

static double squared_error(const float *x, int n, double clip, int bits)
{
	double q = ldexp(1, bits - 1) - 1, s = clip / q, sum = 0;
	for (int i = 0; i < n; i++) {
		double y = floor(x[i] / s + 0.5);
		y = fmin(fmax(y, -q - 1), q) * s - x[i];
		sum += y * y;
	}
	return sum;
}

static Histogram *seen(const float *x, int n)
{
	Histogram *h = calloc(1, sizeof *h);
	for (int i = 0; i < n; i++)
		histogram_add(h, x[i]);
	return h;
}

/* The clip's true squared error is within 2 % of the best of many. */
static void mse_is_least(void **state)
{
	(void)state;
	float *x = malloc(N * sizeof *x);
	for (int i = 0; i < N; i++)
		x[i] = 0.1f * bell();
	Histogram *h = seen(x, N);
	for (int bits = 2; bits <= 8; bits++) {
		double clip = histogram_clip(h, RANGE_MSE, bits, false), least = INFINITY;
		for (int k = 1; k <= 300; k++)
			least = fmin(least, squared_error(x, N, h->most * k / 300, bits));
		assert_true(clip <= h->most);
		assert_true(squared_error(x, N, clip, bits) < 1.02 * least);
	}
	double q = 7, clip = histogram_clip(h, RANGE_MSE, 4, true);
	int e;
	assert_true(clip == h->most || frexp(clip / q, &e) == 0.5);
	free(x), free(h);
}

/* However numbers come, the counts are the same, and none is lost as the range grows. */
static void order_does_not_matter(void **state)
{
	(void)state;
	static const float up[] = {0, 1e-20f, -3e-6f, 0.125f, -0.7f, 0.7f, 1, 900, -1e9f};
	enum { n = sizeof up / sizeof *up };
	float down[n];
	for (int i = 0; i < n; i++)
		down[i] = up[n - 1 - i];
	Histogram *a = seen(up, n), *b = seen(down, n);
	assert_memory_equal(a, b, sizeof *a);
	double sum = 0;
	for (int i = 0; i < HISTOGRAM_BINS; i++)
		sum += a->below[i] + a->above[i];
	assert_true(sum == n && a->n == n && a->most == 1e9f);
	histogram_add(a, NAN);
	histogram_add(a, INFINITY);
	assert_true(a->n == n);
	free(a), free(b);
}

/* One number in 20,000 is far out: a percentile leaves it out.  Of a long tail kl leaves out some. */
static void outliers(void **state)
{
	(void)state;
	float *x = malloc(N * sizeof *x);
	for (int i = 0; i < N; i++)
		x[i] = (float)uniform();
	x[77] = 40;
	Histogram *h = seen(x, N);
	assert_true(histogram_clip(h, RANGE_MINMAX, 4, false) == 40);
	assert_true(histogram_clip(h, RANGE_PERCENTILE, 4, false) < 0.6);
	for (int i = 0; i < N; i++)     /* a tail that grows thin: cubes of a bell */
		x[i] = x[i] == 40 ? 0 : bell(), x[i] *= x[i] * x[i];
	free(h);
	h = seen(x, N);
	double kl = histogram_clip(h, RANGE_KL, 4, false);
	assert_true(kl > 1 && kl < 0.7 * h->most);
	free(x), free(h);
}

static void zeros(void **state)
{
	(void)state;
	static const float x[3] = {0, -0.0f, 0};
	Histogram *h = seen(x, 3);
	for (RangeKind k = RANGE_MINMAX; k <= RANGE_KL; k++)
		assert_true(histogram_clip(h, k, 4, false) == 0);
	free(h);
}

/* A step for each unit, octaves apart: of units that reach 4, 1 and 1/8 evenly, and one that is always 0. */
static void units(void **state)
{
	(void)state;
	static const float reach[4] = {4, 1, 0.125f, 0};
	Arena *a = arena_new();
	for (int real = 0; real < 2; real++)
		for (int most_bits = 5; most_bits <= 16; most_bits += 11) {
			UnitSteps *u = unit_steps_new(a, 4);
			u->bits = 4, u->most_bits = most_bits, u->kind = RANGE_MSE, u->pow2 = !real;
			for (int i = 0; i < N; i++) {
				float row[4];
				for (int k = 0; k < 4; k++)
					row[k] = 2 * reach[k] * (float)uniform();
				unit_steps_count(u, row, 1);
			}
			for (int k = 0; k < 4; k++)
				u->weight[k] = 1;
			float step[4];
			assert_true(unit_steps_choose(u, step));
			assert_true(step[0] >= 0.4f && step[0] <= 0.6f && (real || step[0] == 0.5f));
			assert_true(step[1] == step[0] / (most_bits == 5 ? 2 : 4));
			assert_true(step[2] == step[0] / (most_bits == 5 ? 1 : 32));    /* nothing but 0 on either */
		}
	arena_free(a);
}

static double levels_error(const float *x, int count, const float *level, int n)
{
	double sum = 0;
	for (int i = 0; i < count; i++) {
		double least = INFINITY;
		for (int k = 0; k < n; k++)
			least = fmin(least, ((double)x[i] - level[k]) * ((double)x[i] - level[k]));
		sum += least;
	}
	return sum;
}

/* Rising, 0 among them, and better than any grid of as many numbers; as far as there are different numbers, these. */
static void trained(void **state)
{
	(void)state;
	float *x = malloc(N * sizeof *x), level[64];
	for (int i = 0; i < N; i++)
		x[i] = i % 3 ? bell() : i % 2 ? 3 : 0;
	Histogram *h = seen(x, N);
	for (int bits = 2; bits <= 6; bits++) {
		int n = levels_train(h, 1 << bits, level), zeros = 0;
		assert_int_equal(n, 1 << bits);
		for (int k = 0; k < n; k++) {
			assert_true(!k || level[k - 1] < level[k]);
			zeros += level[k] == 0;
		}
		assert_int_equal(zeros, 1);
		double q = ldexp(1, bits - 1) - 1, clip = histogram_clip(h, RANGE_MSE, bits, false);
		assert_true(levels_error(x, N, level, n) < 0.9 * histogram_error(h, clip / q, bits));
	}
	free(x), free(h);
	static const float few[5] = {0, 1, 0, 2, -1};
	h = seen(few, 5);
	assert_int_equal(levels_train(h, 16, level), 4);
	assert_true(levels_error(few, 5, level, 4) < 1e-5);
	free(h);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(mse_is_least),
		cmocka_unit_test(order_does_not_matter),
		cmocka_unit_test(outliers),
		cmocka_unit_test(zeros),
		cmocka_unit_test(units),
		cmocka_unit_test(trained),
	};
	return cmocka_run_group_tests(tests, 0, 0);
}

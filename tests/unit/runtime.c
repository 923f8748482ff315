/* runtime.c: the helpers of gatefold.h, against plain double arithmetic. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "gatefold.h"

static void test_status(void **unused)
{
	assert_string_equal(gf_status_text(GF_OK), "ok");
	assert_non_null(strstr(gf_status_text(GF_CHECK), "self-test"));
	assert_string_equal(gf_status_text(GF_NSTATUS), "unknown status");
	assert_string_equal(gf_status_text(-1), "unknown status");
}

static void test_sizes(void **unused)
{
	const gf_tensor t[] = {
		{ "a", GF_I16, 3, 16, { 2, -1, 5 }, 0, 0 },
		{ "b", GF_F32, 0, 32, { 0 }, 0, 0 },
		{ "c", GF_I64, 1, 64, { 3 }, 0, 0 },
	};
	const gf_model m = { .nin = 1, .nout = 3, .in = t, .out = t };
	assert_int_equal(gf_count(&t[0], 7), 70);
	assert_int_equal(gf_count(&t[1], 7), 1);
	assert_int_equal(gf_io_size(&m, 0, 1), 16 + 32);                /* a pointer, 10 elements */
	assert_int_equal(gf_io_size(&m, 1, 7), 32 + 144 + 16 + 32);
}

/* x / scale + zero with halves upward, saturated to `bits`. */
static double expected(const gf_tensor *t, double x)
{
	double lo = t->elem == GF_U8 ? 0 : -ldexp(1, t->bits - 1);
	double hi = (t->elem == GF_U8 ? ldexp(1, t->bits) : ldexp(1, t->bits - 1)) - 1;
	double q = isnan(x) ? t->zero : floor((double)((float)x / t->scale) + 0.5) + t->zero;
	return q < lo ? lo : q > hi ? hi : q;
}

static double stored(const gf_tensor *t, const void *q)
{
	switch (t->elem) {
	case GF_I8:  return *(const int8_t *)q;
	case GF_U8:  return *(const uint8_t *)q;
	case GF_I16: return *(const int16_t *)q;
	default:     return *(const int32_t *)q;
	}
}

static void test_quantize(void **unused)
{
	static const gf_tensor t[] = {
		{ "i8", GF_I8, 0, 8, { 0 }, 0x1p-7f, 0 },     { "i5", GF_I8, 0, 5, { 0 }, 0x1.3p-2f, 0 },
		{ "z8", GF_I8, 0, 8, { 0 }, 0x1.7p-5f, -100 }, { "u8", GF_U8, 0, 8, { 0 }, 0x1p-3f, 128 },
		{ "u4", GF_U8, 0, 4, { 0 }, 1, 7 },           { "i16", GF_I16, 0, 16, { 0 }, 0x1p-12f, 5 },
		{ "i32", GF_I32, 0, 32, { 0 }, 0x1p-20f, 0 }, { "z32", GF_I32, 0, 32, { 0 }, 0x1p-20f, 1000 },
	};
	static const float odd[] = { 0, -0.0f, NAN, INFINITY, -INFINITY, 3e38f, -3e38f, 1e-40f, 0.49999997f,
	                             -0.5f, 2048, -2048, 2047.9999f };
	for (size_t k = 0; k < sizeof t / sizeof *t; k++)
		for (int i = -3000; i < 3000 + (int)(sizeof odd / sizeof *odd); i++) {
			/* quarters of a step, so halves occur; and beyond the range */
			float x = i < 3000 ? (float)i * t[k].scale * 0.25f : odd[i - 3000], y;
			int32_t q;
			gf_quantize(&t[k], &x, &q, 1);
			if (stored(&t[k], &q) != expected(&t[k], x))
				fail_msg("%s: %a is %g, not %g", t[k].name, (double)x, stored(&t[k], &q), expected(&t[k], x));
			gf_dequantize(&t[k], &q, &y, 1);
			assert_true(y == (float)(stored(&t[k], &q) - t[k].zero) * t[k].scale);
		}
}

static void test_plain(void **unused)
{
	const gf_tensor f = { "f", GF_F32, 1, 32, { 3 }, 0, 0 }, i = { "i", GF_I32, 1, 32, { 3 }, 0, 0 };
	const gf_tensor l = { "l", GF_I64, 1, 64, { 3 }, 0, 0 };
	const float x[3] = { 1.5f, -7, 1e30f };
	float y[3];
	int32_t q[3];
	int64_t r[3];
	gf_quantize(&f, x, y, 3);
	assert_memory_equal(x, y, sizeof x);
	gf_dequantize(&f, x, y, 3);
	assert_memory_equal(x, y, sizeof x);
	gf_quantize(&i, x, q, 3);
	assert_true(q[0] == 2 && q[1] == -7 && q[2] == INT32_MAX);
	gf_quantize(&l, x, r, 3);
	assert_true(r[0] == 2 && r[1] == -7 && r[2] == INT64_MAX);
	gf_dequantize(&l, r, y, 2);
	assert_true(y[0] == 2 && y[1] == -7);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_status), cmocka_unit_test(test_sizes), cmocka_unit_test(test_quantize),
		cmocka_unit_test(test_plain),
	};
	return cmocka_run_group_tests(tests, 0, 0);
}

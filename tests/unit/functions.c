/* test_functions: fixed-point functions (lower/scalar_func.c) against the real ones, over all 16-bit inputs
 * or a dense sample of 32-bit ones.  Prints the greatest error of each in units of the result; every executor
 * gives the same integers. */
#include "executors.h"

#include "passes/passes.h"

#include <math.h>
#include <stdio.h>

enum { N = 65536 };

typedef double Real(double x);

typedef struct {
	const char *name, *op;          /* op as text behind the result's type, with %x */
	const char *x, *y;              /* element types */
	int ex, ey;                     /* scales are 2^ex, 2^ey */
	Real *real;
	double units;                   /* error allowed, of the result, beyond `relative` of its size */
	double relative;
} Case;

static double softplus(double x) { return x > 30 ? x : log1p(exp(x)); }
static double softsign(double x) { return x / (1 + fabs(x)); }
static double elu(double x) { return x < 0 ? 1.5 * expm1(x) : x; }
static double positive_sqrt(double x) { return x > 0 ? sqrt(x) : 0; }
static double power(double x) { return x > 0 ? pow(x, 1.5) : 0; }
static double third(double x) { return x / 3; }
static double inverse(double x) { return 1 / x; }
static double tenth(double x) { return x / -0.1015625; }

static const Case cases[] = {
	{ "sqrt", "sqrt %x", "i16", "i16", -8, -11, positive_sqrt, 0.6, 0x1p-15 },
	{ "sqrt of i32", "sqrt %x", "i32", "i16", -20, -9, positive_sqrt, 0.6, 0x1p-15 },
	{ "exp", "exp %x", "i16", "i16", -13, -9, exp, 0.51, 0x1p-20 },
	{ "exp, wide", "exp %x", "i16", "i32", -11, -6, exp, 0.51, 0x1p-20 },
	{ "log", "log %x", "i16", "i16", -10, -11, log, 0.51, 0 },
	{ "log of i32", "log %x", "i32", "i32", -24, -20, log, 2, 0 },
	{ "pow 1.5", "pow %x, $p", "i16", "i16", -13, -11, power, 0.51, 0x1p-18 },
	{ "erf", "erf %x", "i16", "i16", -13, -15, erf, 2, 0 },
	{ "erf, coarse", "erf %x", "i16", "i16", -3, -15, erf, 2, 0 },
	{ "elu", "elu %x, alpha=0x1.8p+0", "i16", "i16", -12, -12, elu, 0.51, 0 },
	{ "softplus", "softplus %x", "i16", "i16", -11, -11, softplus, 0.51, 0 },
	{ "softsign", "softsign %x", "i16", "i16", -11, -15, softsign, 0.51, 0 },
	{ "x / 3", "div %x, $three", "i16", "i16", -11, -12, third, 0.51, 0 },
	{ "x / -0.1", "div %x, $small", "i16", "i32", -11, -16, tenth, 0.51, 0x1p-25 },
	{ "floor", "floor %x", "i16", "i16", -4, 0, floor, 0, 0 },
	{ "round", "round %x", "i16", "i16", -3, -2, rint, 0, 0 },
	{ "round, coarse", "round %x", "i16", "i32", 2, 0, rint, 0, 0 },
	{ "1 / x", "div $one, %x", "i16", "i32", -11, -16, inverse, 0.51, 0x1p-25 },
};

static const char text[] =
	"module \"f\" level=tensor\n"
	"input \"x\" :x[65536]\noutput \"y\" :y[65536]\n"
	"type :x = %s * %a\ntype :y = %s * %a\ntype :c = i16 * 0x1p-10\n"
	"data $p :c[1] = [1536]\ndata $three :c[1] = [3072]\n"
	"data $one :c[1] = [1024]\ndata $small :c[1] = [-104]\n"
	"func @main(%%x :x[65536]) :y[65536] {\n\t%%y =:y[65536] %s\n\tret %%y\n}\n";

static Module *module_of(const Case *c)
{
	char ir[2000];
	snprintf(ir, sizeof ir, text, c->x, ldexp(1, c->ex), c->y, ldexp(1, c->ey), c->op);
	return lowered_for(ir, "thumbv7em-none-eabi");
}

static void *inputs(const Case *c)
{
	bool wide = !strcmp(c->x, "i32");
	void *x = calloc(N, 4);
	for (int i = 0; i < N; i++) {
		if (wide)       /* every size: 2^(i / 2048), and a few near 0 */
			((int32_t *)x)[i] = i < 100 ? i - 50 : (int32_t)fmin(exp2(i / 2114.0), 2147483647.0);
		else
			((int16_t *)x)[i] = (int16_t)(i - 32768);
	}
	return x;
}

static void check_case(void **arg)
{
	const Case *c = *arg;
	Module *m = module_of(c);
	void *x = inputs(c);
	Outcome o = run_everywhere(m, (const void *[]){ x }, 1);
	bool wide_x = !strcmp(c->x, "i32"), wide_y = !strcmp(c->y, "i32");
	double most = 0, top = wide_y ? 2147483647 : 32767, at = 0;
	for (int i = 0; i < N; i++) {
		int32_t q = wide_x ? ((int32_t *)x)[i] : ((int16_t *)x)[i];
		if (q == 0 && (c->real == log || c->real == inverse))
			q = 1;                  /* nothing smaller can be told from 0 */
		if (q < 0 && c->real == log)
			continue;
		double want = c->real(ldexp(q, c->ex)) / ldexp(1, c->ey);
		want = fmax(fmin(want, top), -top - 1);
		double have = wide_y ? ((int32_t *)o.out[0])[i] : ((int16_t *)o.out[0])[i];
		double error = fabs(have - want) - c->relative * fabs(want);
		if (error > most)
			most = error, at = q;
	}
	printf("%-12s %.3f units, for %.0f\n", c->name, most, at);
	assert_true(most <= c->units);
	free_outcome(&o);
	free(x);
	module_free(m);
}

int main(void)
{
	enum { COUNT = sizeof cases / sizeof *cases };
	struct CMUnitTest tests[COUNT];
	for (int i = 0; i < COUNT; i++)
		tests[i] = (struct CMUnitTest){ cases[i].name, check_case, 0, 0, (void *)&cases[i] };
	return cmocka_run_group_tests(tests, 0, 0);
}

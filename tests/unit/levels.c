/* test_levels: a cast to a type with levels gives the nearest of them, halfway the greater, for every 16-bit input; element by
 * element and in vectors, every executor the same. */
#include "executors.h"

#include "passes/passes.h"

#include <math.h>
#include <stdio.h>

enum { N = 65536 };

typedef struct {
	const char *name, *levels;
	int n, level[8];
	double sx, sy;
} Case;

static const Case cases[] = {
	{ "thresholds at halves", "-3, -2, 0, 7", 4, {-3, -2, 0, 7}, 0x1p-10, 0x1p-3 },
	{ "thresholds at integers", "-128, -4, 0, 2, 8, 126", 6, {-128, -4, 0, 2, 8, 126}, 0x1p-15, 0x1p-7 },
	{ "one level", "5", 1, {5}, 0x1p-15, 0x1p-7 },
	{ "the operand is coarser", "-64, -7, 0, 33, 127", 5, {-64, -7, 0, 33, 127}, 0x1p-3, 0x1p-5 },
	{ "the same scale", "-64, -7, 0, 33, 127", 5, {-64, -7, 0, 33, 127}, 0x1p-5, 0x1p-5 },
	{ "a ratio that is no power of two", "-127, -20, 0, 19, 90", 5, {-127, -20, 0, 19, 90}, 0x1p-15, 0x1.b33c18p-8 },
};

static const char text[] =
	"module \"f\" level=tensor\n"
	"input \"x\" :x[16,4096]\noutput \"y\" :y[16,4096]\n"
	"type :x = i16 * %a\ntype :y = i8 * %a of $l\n"
	"data $l i8[%d] = [%s]\n"
	"func @main(%%x :x[16,4096]) :y[16,4096] {\n\t%%y =:y[16,4096] cast %%x\n\tret %%y\n}\n";

static int nearest(const Case *c, double x)
{
	int best = 0;
	for (int k = 1; k < c->n; k++)
		if (fabs(x - c->level[k]) <= fabs(x - c->level[best]))
			best = k;
	return c->level[best];
}

static void check(const Case *c, const char *target)
{
	char ir[2000];
	snprintf(ir, sizeof ir, text, c->sx, c->sy, c->n, c->levels);
	Module *m = lowered_for(ir, target);
	int16_t *x = malloc(N * sizeof *x);
	for (int i = 0; i < N; i++)
		x[i] = (int16_t)(i - 32768);
	Outcome o = run_everywhere(m, (const void *[]){ x }, 1);
	for (int i = 0; i < N; i++)
		if (((int8_t *)o.out[0])[i] != nearest(c, x[i] * c->sx / c->sy))
			fail_msg("%d: %d, not %d", x[i], ((int8_t *)o.out[0])[i], nearest(c, x[i] * c->sx / c->sy));
	free_outcome(&o);
	free(x);
	module_free(m);
}

static void check_case(void **arg)
{
	check(*arg, "thumbv7em-none-eabi");
	check(*arg, "x86_64-unknown-linux-gnu");
}

int main(void)
{
	enum { COUNT = sizeof cases / sizeof *cases };
	struct CMUnitTest tests[COUNT];
	for (int i = 0; i < COUNT; i++)
		tests[i] = (struct CMUnitTest){ cases[i].name, check_case, 0, 0, (void *)&cases[i] };
	return cmocka_run_group_tests(tests, 0, 0);
}

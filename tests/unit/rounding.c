/* test_rounding: what feedback and --size are made of: linear algebra, grids, units, rounding in a metric. */
#include "passes/feedback.h"
#include "passes/linalg.h"
#include "passes/worth.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static uint64_t rng = 1;

static double draw(void)                /* -1 .. 1, in the middle more often */
{
	double s = 0;
	for (int i = 0; i < 4; i++) {
		rng = rng * 6364136223846793005u + 1442695040888963407u;
		s += (double)(rng >> 40) / (1 << 24) - 0.5;
	}
	return s / 2;
}

enum { N = 21, ROWS = 43 };

/* Vectors with correlated elements. */
static void vectors(float *x)
{
	for (int r = 0; r < ROWS; r++) {
		double common = draw();
		for (int i = 0; i < N; i++)
			x[r * N + i] = (float)(common + 0.5 * draw() + 0.02 * i);
	}
}

static void sums(void **state)
{
	(void)state;
	float x[ROWS * N];
	double h[N * N] = {0}, a[N * N];
	vectors(x);
	moments_add(h, N, x, ROWS);
	mirror(h, N);
	for (int i = 0; i < N; i++)
		for (int j = 0; j < N; j++) {
			double want = 0;
			for (int r = 0; r < ROWS; r++)
				want += (double)x[r * N + i] * x[r * N + j];
			assert_true(fabs(h[i * N + j] - want) < 1e-12 * ROWS);
		}
	memcpy(a, h, sizeof a);
	assert_true(inverse_factor(a, N));
	for (int i = 0; i < N; i++)             /* U' U h = 1 */
		for (int j = 0; j < N; j++) {
			double one = 0;
			for (int k = 0; k < N; k++) {
				double inv = 0;
				for (int l = 0; l < N; l++)
					inv += a[l * N + i] * a[l * N + k];
				one += inv * h[k * N + j];
			}
			assert_true(fabs(one - (i == j)) < 1e-8);
		}
	for (int i = 0; i < N; i++)
		for (int j = 0; j < i; j++)
			assert_true(a[i * N + j] == 0);
	memset(a, 0, sizeof a);
	assert_false(inverse_factor(a, N));
}

static void functions(void **state)
{
	(void)state;
	for (double x = 1e-6; x < 1e6; x *= 1.37) {
		assert_true(fabs(log2_of(x) - log2(x)) < 1e-8);
		assert_true(fabs(exp2_of(log2(x)) / x - 1) < 1e-8);
	}
	for (double x = -39; x <= 0; x += 0.37)
		assert_true(fabs(exp_below(x) - exp(x)) < 1e-6 * exp(x) + 1e-12);
}

static void grids(void **state)
{
	(void)state;
	Grid odd = {.step = 0.5f, .most = 3, .odd = true}, even = {.step = 0.5f, .most = 3};
	const double at[] = {-9, -1.01, -0.99, -0.1, 0, 0.1, 0.99, 1.01, 9}, want[] = {-3, -3, -1, -1, 1, 1, 1, 3, 3};
	for (int i = 0; i < 9; i++)
		assert_true(grid_integer(&odd, at[i]) == want[i]);
	assert_true(grid_integer(&even, 0.25) == 1 && grid_integer(&even, -0.25) == 0 && grid_integer(&even, 9) == 3);
	for (double s = 1e-4; s < 1e4; s *= 1.013) {
		double list = step_near(STEP_LIST, s) / s, pow2 = step_near(STEP_POW2, s) / s;
		assert_true(list < 1.0906 && list > 1 / 1.0906);        /* 2^(1/8) */
		assert_true(pow2 < 1.4143 && pow2 > 0.7071);
	}
	assert_true(step_beside(STEP_LIST, step_near(STEP_LIST, 0.3), 4) == 2 * step_near(STEP_LIST, 0.3));
	const float two[] = {1, -1, -1, 1, 1}, levels[] = {-3, 3, 1, -1, 3, -3};
	Grid g = grid_fit(two, 0, 5, 1, STEP_POW2, ODD_IF_BETTER);
	assert_true(g.odd && g.most == 1 && g.step == 1);
	g = grid_fit(levels, 0, 6, 2, STEP_REAL, ODD_IF_BETTER);         /* mid-rise: four values in two bits */
	assert_true(g.odd && g.most == 3 && fabsf(g.step - 1) < 0.05f);
	g = grid_fit(levels, 0, 6, 2, STEP_REAL, ODD_NEVER);
	assert_true(!g.odd && g.most == 1);
	assert_true(grid_fit(levels, 0, 6, 0, STEP_REAL, ODD_IF_BETTER).most == 0);
}

/* The error of whole rows in the metric: feedback never makes it worse than rounding to the nearest, in the sum. */
static void rounding(void **state)
{
	(void)state;
	float v[ROWS * N];
	vectors(v);
	double H[N * N] = {0}, sum[N] = {0}, error[2] = {0};
	moments_add(H, N, v, ROWS);
	mirror(H, N);
	for (int i = 0; i < ROWS * N; i++)
		sum[i % N] += v[i];
	Moments mo = {.H = H, .sum = sum, .count = ROWS};
	Unit u = {.n = 1, .M = 1, .K = N};
	Metric t;
	assert_true(metric_of_moments(&t, &u, &mo, false, false));
	Grid g[MAX_PARTS] = {{.step = 0.25f, .most = 3}};
	for (int row = 0; row < 100; row++) {
		double x[N];
		float q[N];
		for (int i = 0; i < N; i++)
			x[i] = draw();
		round_row(&t, &u, x, g, 0, q);
		for (int k = 0; k < 2; k++)
			for (int r = 0; r < ROWS; r++) {
				double e = 0;
				for (int i = 0; i < N; i++)
					e += v[r * N + i] * (x[i] - g[0].step * (k ? grid_integer(g, x[i]) : q[i]));
				error[k] += e * e;
			}
		for (int i = 0; i < N; i++)
			assert_true(fabsf(q[i]) <= 3 && q[i] == floorf(q[i]));
	}
	assert_true(error[0] < 0.5 * error[1]);
	metric_free(&t);
}

/* Rows along paths through a book: better than the nearest integers of as many bits, better with memory, in the metric. */
static void paths(void **state)
{
	(void)state;
	enum { K = 60, M = 80, BITS = 2 };
	static float x[M * K];
	double lost[3] = {0}, nearest = 0;
	for (int i = 0; i < M * K; i++)
		x[i] = (float)(draw() / 0.2887);        /* of variance 1 */
	float push[K * (K + 2)], weight[K];
	for (int i = 0; i < K; i++) {
		weight[i] = 1 + 0.01f * (float)i;
		for (int j = 0; j < K + 2; j++)
			push[i * (K + 2) + j] = j == i + 1 ? 0.5f : j == i + 3 ? -0.2f : 0;
	}
	Trellis *t = trellis_new();
	for (int k = 0; k < 3; k++) {
		Book *b = book_train(x, M, K, BITS, (int[]){0, 3, 6}[k], (TrellisMetric){push, K + 2, weight});
		for (int i = 0; i < b->n; i++)
			assert_true(b->value[i] == b->real[i] && b->value[i] >= -127);
		for (int row = 0; row < M; row++) {
			double left[K], after[2] = {0}, want[K + 2] = {0}, error = 0;
			uint16_t window[K];
			for (int i = 0; i < K; i++)
				want[i] = left[i] = x[row * K + i] / b->step;
			double told = trellis_row(t, b, (TrellisMetric){push, K + 2, weight}, left, K, after, 2, window);
			for (int i = 0, from = 0; i < K; i++) {         /* a path, and the error that was told */
				assert_int_equal(window[i] >> BITS, from);
				from = window[i] & (b->n / (1 << BITS) - 1);
				double e = want[i] - b->value[window[i]];
				error += weight[i] * e * e;
				for (int j = i + 1; j < K + 2; j++)
					want[j] -= e * push[i * (K + 2) + j];
			}
			assert_true(fabs(error - told) <= 1e-6 * error);
			assert_true(fabs(after[0] - want[K]) < 1e-6 && fabs(after[1] - want[K + 1]) < 1e-6);
			lost[k] += error * b->step * b->step;
		}
		book_free(b);
	}
	trellis_free(t);
	Grid g = grid_fit(x, 0, M * K, BITS, STEP_REAL, ODD_IF_BETTER);
	for (int row = 0; row < M; row++) {
		double want[K];
		for (int i = 0; i < K; i++)
			want[i] = x[row * K + i];
		for (int i = 0; i < K; i++) {
			double e = want[i] - grid_integer(&g, want[i]) * g.step;
			nearest += weight[i] * e * e;
			for (int j = i + 1; j < K; j++)
				want[j] -= e * push[i * (K + 2) + j];
		}
	}
	assert_true(lost[0] < 1.02 * nearest && lost[1] < 0.85 * lost[0] && lost[2] < 0.75 * lost[0]);
}

static const char text[] =
	"module \"m\"\n"
	"input \"t\" i32[T,1]\n"
	"output \"y\" f32[T,1,5]\n"
	"data $E f32[7,3] = 0x1p-1\n"
	"data $W f32[4,3] = 0x1p-1\n"
	"data $b f32[4] = 0x1p-1\n"
	"data $R f32[4,4] = 0x1p-1\n"
	"data $O f32[5,4] = 0x1p-1\n"
	"func @main(%t i32[T,1]) f32[T,1,5] {\n"
	"	%y =f32[T,1,5] scan @step, %t, seq=1, init=0, axis=[0], out_axis=[0], keep=[\"all\"]\n"
	"	ret %y\n"
	"}\n"
	"func @step(%t i32[1]) state(%h f32[1,4] = 0) f32[1,5] {\n"
	"	%x =f32[1,3] gather $E, %t, axis=0\n"
	"	%gx =f32[1,4] linear %x, $W, $b\n"
	"	%g =f32[1,4] linear %h, $R, %gx\n"
	"	%h1 =f32[1,4] tanh %g\n"
	"	%y =f32[1,5] linear %h1, $O\n"
	"	next %h = %h1\n"
	"	ret %y\n"
	"}\n";

static int all(const Data *d, const void *arg) { return (void)arg, strcmp(d->name, "b") ? 4 : 0; }

static int all_but_w(const Data *d, const void *arg) { return strcmp(d->name, "W") ? all(d, arg) : 0; }

static void units(void **state)
{
	(void)state;
	char err[500];
	Module *m = module_parse("text", text, strlen(text), err, sizeof err);
	assert_non_null(m);
	Unit *u = units_find(m, all, 0);
	assert_true(u && u->table && u->M == 7 && u->K == 3 && u->nreader == 1);
	assert_int_equal(units_port(m, u->func, u->op[0]->in[1]), 0);
	u = u->next;
	assert_true(u && u->n == 2 && u->K == 7 && !strcmp(u->data[0]->name, "W") && !strcmp(u->data[1]->name, "R"));
	assert_true(u->at[1] == 3 && !u->classes && bias_is_free(m, u));
	double more[4] = {1, 2, 3, 4};
	bias_add(m, u, more);
	assert_true(((float *)data_find(m, "b")->bytes)[3] == 4.5f);
	u = u->next;
	assert_true(u && u->n == 1 && u->classes && u->M == 5 && u->level > 1 && !u->next);
	bias_add(m, u, (double[]){1, 2, 3, 4, 5});      /* there was none */
	assert_true(u->op[0]->nin == 3 && ((float *)u->op[0]->in[2]->data->bytes)[4] == 5);
	assert_true(module_verify(m, err, sizeof err));
	u = units_find(m, all_but_w, 0)->next;
	assert_true(u->n == 1 && !strcmp(u->data[0]->name, "R"));
	module_free(m);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sums), cmocka_unit_test(functions), cmocka_unit_test(grids),
		cmocka_unit_test(rounding), cmocka_unit_test(paths), cmocka_unit_test(units),
	};
	return cmocka_run_group_tests(tests, 0, 0);
}

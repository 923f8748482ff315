/* reconstruct.c: derivatives of each op against finite differences, through scans and carried states;
 * products and functions against plain loops; small models whose loss must fall, with the same weights
 * each time. */
#include "passes/feedback.h"
#include "passes/passes.h"
#include "passes/reconstruct.h"
#include "passes/reconstruct_math.h"
#include "storage/storage.h"
#include "util/npz.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static float noise(uint64_t *s)
{
	*s = *s * 6364136223846793005u + 1442695040888963407u;
	return (float)(*s >> 40) / 8388608.0f - 1;
}

typedef struct { Module *m; Param *params; Net *net; } World;

static const int no_pair[8] = {-1, -1, -1, -1, -1, -1, -1, -1};

static World world_open(const char *text, const int *pair, int units, int streams, int steps)
{
	World w = {0};
	char err[400] = "";
	w.m = module_parse("test", text, strlen(text), err, sizeof err);
	if (!w.m)
		fail_msg("%s", err);
	uint64_t seed = 1;
	each_data(d, w.m)
		for (size_t i = 0; d->type->elem == E_f32 && i < d->size / sizeof(float); i++)
			((float *)d->bytes)[i] = noise(&seed) * 0.7f;
	w.net = net_new(w.m, &w.params, 0, pair, units, streams, steps, true, err, sizeof err);
	if (!w.net)
		fail_msg("%s", err);
	for (Param *p = w.params; p; p = p->next)
		learn_bias(p);
	net_reset(w.net);
	for (int i = 0; i < w.net->main->func->nparam; i++) {
		Buf *b = &w.net->main->buf[w.net->main->func->param[i]->id];
		for (size_t k = 0; k < (size_t)units * (size_t)streams * b->per; k++)
			if (b->i)
				b->i[k] = (int32_t)(k * 7 % 5);
			else
				b->x[k] = noise(&seed);
	}
	return w;
}

/* The loss: outputs weighted by fixed numbers. */
static double loss(World *w, bool derive)
{
	double sum = 0;
	net_reset(w->net);
	for (Param *p = w->params; p; p = p->next)
		memset(p->fresh, 0, sizeof p->fresh);
	net_forward(w->net);
	if (derive)
		net_clear(w->net);
	for (int i = 0; i < w->net->main->func->nret; i++) {
		Buf *b = net_output(w->net, i);
		for (size_t k = 0; k < b->per * (size_t)w->net->streams * (size_t)w->net->main->count; k++) {
			float by = (float)((k * 5 + 3) % 7) / 7.0f - 0.4f;
			sum += (double)by * b->x[k];
			if (derive)
				b->g[k] += by;
		}
	}
	if (derive)
		net_backward(w->net);
	return sum;
}

static void check_one(World *w, const char *what, float *x, float g)
{
	const float step = 1e-2f, was = *x;
	*x = was + step;
	double up = loss(w, false);
	*x = was - step;
	double down = loss(w, false), slope = (up - down) / (2 * (double)step);
	*x = was;
	if (fabs(slope - g) > 2e-3 * fmax(1, fabs(slope)))
		fail_msg("%s: derivative %g, differences say %g", what, g, slope);
}

/* Each constant and each input that is no integer.  want: the hash of the derivatives' bits, on every machine. */
static void check(const char *text, const int *pair, int units, int streams, int steps, uint32_t want)
{
	World w = world_open(text, pair, units, streams, steps);
	loss(&w, true);
	int seen = 0;
	for (Param *p = w.params; p; p = p->next)
		for (int i = 0; p->data->name[0] != 'k' && i < p->rows * p->cols; i++, seen++)     /* $k does not learn */
			check_one(&w, p->data->name, &p->now[i], p->grad[i]);
	for (int i = 0; i < w.net->main->func->nparam; i++) {
		Buf *b = &w.net->main->buf[w.net->main->func->param[i]->id];
		for (size_t k = 0; b->x && pair[i] < 0 && k < (size_t)units * (size_t)streams * b->per; k++, seen++)
			check_one(&w, w.net->main->func->param[i]->name, &b->x[k], b->g[k]);
	}
	assert_true(seen > 0);
	for (Param *p = w.params; p; p = p->next)
		memset(p->grad, 0, sizeof(float) * (size_t)(p->rows * p->cols));
	loss(&w, true);
	uint32_t hash = 2166136261u;
	for (Param *p = w.params; p; p = p->next)
		for (int i = 0; i < p->rows * p->cols * (int)sizeof(float); i++)
			hash = (hash ^ ((uint8_t *)p->grad)[i]) * 16777619u;
	if (hash != want)
		fail_msg("derivatives have the hash 0x%08x, on other machines 0x%08x", hash, want);
	for (Param *p = w.params; p; p = p->next)
		learn_free(p);
	net_free(w.net);
	module_free(w.m);
}

static const char lstm[] =
	"module \"m\" level=tensor\ninput \"x\" i32[T,1]\noutput \"y\" f32[T,1,4]\n"
	"data $E f32[5,3] = 0.0\ndata $W f32[8,3] = 0.0\ndata $R f32[8,2] = 0.0\ndata $b f32[8] = 0.0\n"
	"data $O f32[4,2] = 0.0\ndata $ob f32[4] = 0.0\n"
	"func @main(%x i32[T,1]) f32[T,1,4] {\n"
	"%e =f32[T,1,3] gather $E, %x, axis=0\n"
	"%h =f32[T,1,2] scan @step, %e, seq=1, init=0, axis=[0], out_axis=[0], keep=[\"all\"]\n"
	"%y =f32[T,1,4] linear %h, $O, $ob\nret %y\n}\n"
	"func @step(%x f32[1,3]) state(%h f32[1,2] = 0, %c f32[1,2] = 0) f32[1,2] {\n"
	"%gx =f32[1,8] linear %x, $W, $b\n%g =f32[1,8] linear %h, $R, %gx\n"
	"%i0 =f32[1,2] slice %g, axis=1, at=0\n%i =f32[1,2] sigmoid %i0\n"
	"%f0 =f32[1,2] slice %g, axis=1, at=2\n%f =f32[1,2] sigmoid %f0\n"
	"%u0 =f32[1,2] slice %g, axis=1, at=4\n%u =f32[1,2] tanh %u0\n"
	"%o0 =f32[1,2] slice %g, axis=1, at=6\n%o =f32[1,2] sigmoid %o0\n"
	"%fc =f32[1,2] mul %f, %c\n%iu =f32[1,2] mul %i, %u\n%c1 =f32[1,2] add %fc, %iu\n"
	"%t =f32[1,2] tanh %c1\n%h1 =f32[1,2] mul %o, %t\nnext %h = %h1, %c = %c1\nret %h1\n}\n";

static void test_lstm(void **state)
{
	(void)state;
	check(lstm, no_pair, 1, 3, 5, 0x219ecc89);
}

/* A state handed in and out by ports, runs in a row, a scan from the last step to the first that keeps its
 * last result, and its final state as a result. */
static void test_states(void **state)
{
	static const char text[] =
		"module \"m\" level=tensor\ninput \"x\" f32[4,1,3]\ninput \"h0\" f32[1,2]\n"
		"output \"y\" f32[1,2]\noutput \"hn\" f32[1,2]\noutput \"all\" f32[4,2]\n"
		"data $W f32[2,3] = 0.0\ndata $R f32[2,2] = 0.0\ndata $b f32[2] = 0.0\n"
		"func @main(%x f32[4,1,3], %h0 f32[1,2]) f32[1,2], f32[1,2], f32[4,2] {\n"
		"%y, %all, %hn =f32[1,2], f32[4,2], f32[1,2] scan @step, %x, %h0, %h0, seq=1, init=1, axis=[0], "
		"out_axis=[0, 0], keep=[\"last\", \"all\"], reverse=1\n"
		"ret %y, %hn, %all\n}\n"
		"func @step(%x f32[1,3], %k f32[1,2]) state(%h f32[1,2] = 0) f32[1,2], f32[1,2] {\n"
		"%a =f32[1,2] linear %x, $W, $b\n%g =f32[1,2] linear %h, $R, %a\n%n =f32[1,2] tanh %g\n"
		"%d =f32[1,2] sub %h, %n\n%z =f32[1,2] sigmoid %k\n%e =f32[1,2] mul %z, %d\n%h1 =f32[1,2] add %n, %e\n"
		"next %h = %h1\nret %h, %h1\n}\n";
	static const int pair[8] = {-1, 1, -1, -1, -1, -1, -1, -1};
	(void)state;
	check(text, pair, 3, 2, 1, 0xa11dd7fe);
}

static void test_ops(void **state)
{
	static const char text[] =
		"module \"m\" level=tensor\ninput \"x\" f32[2,6]\noutput \"y\" f32[2,6]\noutput \"p\" f32[2,6]\n"
		"output \"q\" f32[3,8]\n"
		"data $k f32[6] = 0.0\ndata $W f32[6,6] = 0.0\n"
		"func @main(%x f32[2,6]) f32[2,6], f32[2,6], f32[3,8] {\n"
		"%l =f32[2,6] linear %x, $W\n%r =f32[2,6] relu %l\n%n =f32[2,6] neg %r\n"
		"%a =f32[2,6] affine %n, alpha=0.5, beta=0.25\n"
		"%i =f32[2,6] leakyrelu %a, alpha=0.25\n%j =f32[2,6] hardsigmoid %i, alpha=0.25, beta=0.5\n"
		"%c =f32[2,6] clip %j, lo=-0.5, hi=0.75\n%m =f32[2,6] mul %c, $k\n%m2 =f32[2,6] mul %m, %m\n"
		"%y =f32[2,6] call @sum, %m2, %x\n"
		"%p =f32[2,6] softmax %x, axis=-1\n%s0 =f32[2,6] logsoftmax %l, axis=1\n"
		"%s1 =f32[2,3] slice %s0, axis=1, at=1, step=2\n%s2 =f32[2,1] slice %x, axis=1, at=-1\n"
		"%s3 =f32[2,4] concat %s1, %s2, axis=1\n%t =f32[4,2] transpose %s3, perm=[1, 0]\n%u =f32[1,8] reshape %t\n"
		"%q =f32[3,8] expand %u\nret %y, %p, %q\n}\n"
		"func @sum(%a f32[2,6], %b f32[2,6]) f32[2,6] {\n%c =f32[2,6] add %a, %b\nret %c\n}\n";
	(void)state;
	check(text, no_pair, 1, 2, 1, 0x3ecbc129);
}

static void test_refused(void **state)
{
	static const char text[] =
		"module \"m\" level=tensor\ninput \"x\" f32[2,6]\noutput \"y\" f32[2,6]\n"
		"func @main(%x f32[2,6]) f32[2,6] {\n%y =f32[2,6] erf %x\nret %y\n}\n";
	char err[200];
	Param *params = 0;
	(void)state;
	Module *m = module_parse("test", text, strlen(text), err, sizeof err);
	assert_non_null(m);
	assert_null(net_new(m, &params, 0, no_pair, 1, 1, 1, true, err, sizeof err));
	assert_string_equal(err, "no derivative of erf");
	module_free(m);
}

/* ---- arithmetic ------------------------------------------------------------------------------------- */

static void one_product(int m, int n, int k, bool add)
{
	uint64_t seed = (uint64_t)(m * n + k);
	float *a = malloc(sizeof *a * (size_t)(m * k)), *b = malloc(sizeof *b * (size_t)(k * n));
	float *c = malloc(sizeof *c * (size_t)(m * n));
	for (int i = 0; i < m * k; i++)
		a[i] = noise(&seed);
	for (int i = 0; i < k * n; i++)
		b[i] = noise(&seed);
	for (int form = 0; form < 4; form++) {
		Packed p = {0};
		bool at = form & 1, bt = form & 2;
		for (int i = 0; i < m * n; i++)
			c[i] = (float)i;
		gemm_pack(&p, k, n, b, bt ? 1 : (size_t)n, bt ? (size_t)k : 1);
		gemm(m, a, at ? 1 : (size_t)k, at ? (size_t)m : 1, &p, c, (size_t)n, add);
		for (int i = 0; i < m; i++)
			for (int j = 0; j < n; j++) {
				double sum = add ? i * n + j : 0;
				for (int q = 0; q < k; q++)
					sum += (double)a[at ? q * m + i : i * k + q] * b[bt ? j * k + q : q * n + j];
				if (fabs(sum - c[i * n + j]) > 1e-5 * (1 + k + fabs(sum)))
					fail_msg("%d x %d x %d, form %d: %g, not %g", m, n, k, form, c[i * n + j], sum);
			}
		gemm_unpack(&p);
	}
	free(a), free(b), free(c);
}

static void test_products(void **state)
{
	(void)state;
	one_product(1, 1, 1, false);
	one_product(7, 5, 3, false);
	one_product(6, 16, 40, true);
	one_product(13, 33, 700, true);         /* deeper than a block */
	one_product(250, 20, 9, false);         /* more rows than a block */
	one_product(3, 400, 5, false);          /* more columns */
}

static void test_functions(void **state)
{
	(void)state;
	for (int i = -4000; i <= 4000; i++) {
		float x = (float)i * 0.01f, e, s, t;
		many_exp(&e, &x, 1);
		many_sigmoid(&s, &x, 1);
		many_tanh(&t, &x, 1);
		assert_true(fabs(e / exp(x) - 1) < 2e-7 && fabs(s - 1 / (1 + exp(-(double)x))) < 3e-7 &&
		        fabs(t - tanh(x)) < 3e-7);
	}
	for (double x = 1e-9; x < 1e9; x *= 1.7)
		assert_true(fabs(exact_log(x) - log(x)) < 1e-12 * (1 + fabs(log(x))));
}

/* ---- learning --------------------------------------------------------------------------------------- */

static const char learner[] =
	"module \"m\" level=tensor\ninput \"x\" f32[T,1,4]\noutput \"y\" f32[T,1,%d]\n"
	"data $W f32[12,4] = 0.0\ndata $R f32[12,6] = 0.0\ndata $b f32[12] = 0.0\n"
	"data $O f32[%d,6] = 0.0\ndata $ob f32[%d] = 0.0\n"
	"func @main(%%x f32[T,1,4]) f32[T,1,%d] {\n"
	"%%h =f32[T,1,6] scan @cell, %%x, seq=1, init=0, axis=[0], out_axis=[0], keep=[\"all\"]\n"
	"%%y =f32[T,1,%d] linear %%h, $O, $ob\nret %%y\n}\n"
	"func @cell(%%x f32[1,4]) state(%%h f32[1,6] = 0) f32[1,6] {\n"
	"%%gx =f32[1,12] linear %%x, $W, $b\n%%g =f32[1,12] linear %%h, $R, %%gx\n"
	"%%z0 =f32[1,6] slice %%g, axis=1, at=0\n%%z =f32[1,6] sigmoid %%z0\n"
	"%%n0 =f32[1,6] slice %%g, axis=1, at=6\n"
	"%%n =f32[1,6] tanh %%n0\n%%d =f32[1,6] sub %%h, %%n\n%%e =f32[1,6] mul %%z, %%d\n"
	"%%h1 =f32[1,6] add %%n, %%e\n"
	"next %%h = %%h1\nret %%h1\n}\n";

static char calib[] = "/tmp/gatefold-reconstruct-XXXXXX.npz";

static int write_data(void **state)
{
	enum { STEPS = 1300 };
	(void)state;
	Diag *d = diag_new();
	Tensor *t = tensor_new(H_F32, 3, (const int64_t[]){STEPS, 1, 4});
	uint64_t seed = 5;
	FILE *f = fdopen(mkstemps(calib, 4), "wb");
	for (int i = 0; i < STEPS * 4; i++)
		((float *)t->bytes)[i] = noise(&seed);
	t->name = strdup("x");
	int bad = !f || !npz_write(f, &t, 1, calib, d);
	tensor_free(t);
	diag_free(d);
	return bad | fclose(f);
}

static int drop_data(void **state)
{
	(void)state;
	return unlink(calib);
}

static Module *learn_once(int outputs, int storage, Reconstructed *result)
{
	char text[2000], err[400];
	snprintf(text, sizeof text, learner, outputs, outputs, outputs, outputs, outputs);
	Module *m = module_parse("test", text, strlen(text), err, sizeof err);
	if (!m)
		fail_msg("%s", err);
	uint64_t seed = 9;
	each_data(data, m)
		for (size_t i = 0; i < data->size / sizeof(float); i++)
			((float *)data->bytes)[i] = noise(&seed) * (data->name[0] == 'R' ? 1.2f : 0.8f);
	Options opt = {.integer = true, .weights = 2, .effort = 3, .per_row = true, .real_scales = true,
	               .calib = calib,               .storage = storage, .exec = "interp"};
	BitsRule fine = {"O", 8};      /* the output layer: it is left alone where it is wide */
	opt.rule = &fine;
	opt.nrule = 1;
	Diag *d = diag_new();
	bool good = passes_run(m, &opt, "feedback", d) && reconstruct(m, &opt, d, result);
	diag_print(d, stderr);
	diag_free(d);
	assert_true(good);
	return m;
}

static bool on_grid(const Module *m, const char *name, int most, bool odd)
{
	char grid_name[40];
	snprintf(grid_name, sizeof grid_name, "%s_grid", name);
	const Data *w = data_find(m, name), *grid = data_find(m, grid_name);
	size_t n = w->size / sizeof(float), row = n / (grid->size / sizeof(float));
	for (size_t i = 0; i < n; i++) {
		double q = (double)((float *)w->bytes)[i] / ((float *)grid->bytes)[i / row];
		if (fabs(q - rint(q)) > 1e-5 || fabs(q) > most + 1e-5 || (odd && fmod(rint(q), 2) == 0))
			return false;
	}
	return true;
}

static void one_learner(int outputs, int storage, double much)
{
	Reconstructed first, again;
	Module *a = learn_once(outputs, storage, &first), *b = learn_once(outputs, storage, &again);
	assert_true(first.did && first.first > 0);
	if (!(first.least < much * first.first))
		fail_msg("%d outputs: loss %g from %g", outputs, first.least, first.first);
	assert_true(on_grid(a, "W", 3, true) && on_grid(a, "R", 3, true) && on_grid(a, "O", 127, false));
	assert_true(first.least == again.least && module_equal(a, b));
	module_free(a);
	module_free(b);
}

static void test_squares(void **state)
{
	(void)state;
	one_learner(3, STORE_PLAIN, 0.9);
}

static void test_wide(void **state)
{
	(void)state;
	one_learner(300, STORE_ROWS, 0.9);
}

static void test_coded(void **state)
{
	(void)state;
	one_learner(3, STORE_CODED, 1.0001);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_lstm), cmocka_unit_test(test_states), cmocka_unit_test(test_ops),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_products), cmocka_unit_test(test_functions), cmocka_unit_test(test_squares),
		cmocka_unit_test(test_wide), cmocka_unit_test(test_coded),
	};
	return cmocka_run_group_tests(tests, write_data, drop_data);
}

/* test_windows: random Conv, ConvTranspose, MaxPool and AveragePool nodes through the whole compiler against
 * their definitions, written out in double precision.
 *
 *	test_windows [--count N] [--seed S]	*/
#include "onnx_build.h"

#include "exec/exec.h"
#include "passes/passes.h"

#include <math.h>
#include <stdio.h>

enum { SPACE = 3 };
enum { CONV, TRANSPOSED, MAXPOOL, AVERAGE, KINDS };

static const char *const op_names[] = { "Conv", "ConvTranspose", "MaxPool", "AveragePool" };

typedef struct {
	int kind, n, batch, groups, C, M;       /* C, M: all channels */
	int x[SPACE], y[SPACE], k[SPACE], s[SPACE], d[SPACE], lo[SPACE], hi[SPACE], more[SPACE];
	bool bias, norm, ceil, count_pad;
	const char *same;
	float *in, *w, *b, *scale, *shift, *mean, *var;
	double *want;
} Case;

/* ---- random numbers: the same on every machine ------------------------------------------------ */

static uint64_t rng;

static int draw(int below)
{
	rng = rng * 6364136223846793005u + 1442695040888963407u;
	return (int)((rng >> 33) % (unsigned)below);
}

static float *reals(int n, float least)
{
	float *v = malloc(sizeof *v * (size_t)n);
	for (int i = 0; i < n; i++)
		v[i] = least + (float)draw(2001) / 1000 - 1;
	return v;
}

static int product(const int *v, int n)
{
	int p = 1;
	while (n--)
		p *= v[n];
	return p;
}

/* ---- a case ------------------------------------------------------------------------------------ */

/* Padding and size of the result along axis i; false: draw again. */
static bool draw_axis(Case *c, int i)
{
	c->x[i] = 1 + draw(9);
	c->k[i] = 1 + draw(c->kind == MAXPOOL && c->n == 1 ? 12 : 4);
	c->s[i] = 1 + draw(3);
	c->d[i] = c->kind == AVERAGE || draw(3) ? 1 : 2;
	int span = c->d[i] * (c->k[i] - 1) + 1;
	c->lo[i] = draw(span < 4 ? span : 4);
	c->hi[i] = draw(span < 4 ? span : 4);
	if (c->kind == TRANSPOSED) {
		if (c->s[i] > 1)
			c->d[i] = 1, span = c->k[i];
		c->more[i] = c->s[i] > 1 ? draw(c->s[i]) : 0;
		if (c->same) {
			int rest = c->s[i] * (c->x[i] - 1) + c->more[i] + span - c->x[i] * c->s[i];
			bool upper = !strcmp(c->same, "SAME_UPPER");
			if (rest < 0)
				return false;
			c->lo[i] = upper ? rest / 2 : rest - rest / 2;
			c->hi[i] = rest - c->lo[i];
		}
		c->y[i] = c->s[i] * (c->x[i] - 1) + c->more[i] + span - c->lo[i] - c->hi[i];
		return c->y[i] > 0;
	}
	if (c->same) {
		int count = (c->x[i] + c->s[i] - 1) / c->s[i], rest = (count - 1) * c->s[i] + span - c->x[i];
		rest = rest < 0 ? 0 : rest;
		c->lo[i] = !strcmp(c->same, "SAME_UPPER") ? rest / 2 : rest - rest / 2;
		c->hi[i] = rest - c->lo[i];
	}
	int room = c->x[i] + c->lo[i] + c->hi[i] - span;
	if (room < 0)
		return false;
	c->y[i] = room / c->s[i] + 1;
	if (c->ceil && !c->same && room % c->s[i] && c->y[i] * c->s[i] < c->x[i] + c->lo[i])
		c->y[i]++;
	return true;
}

static Case draw_case(void)
{
	static const char *const same[] = { 0, 0, 0, "SAME_UPPER", "SAME_LOWER" };
	Case c = { .kind = draw(KINDS), .n = 1 + draw(SPACE), .batch = 1 + draw(2), .groups = 1 + draw(3) };
	bool conv = c.kind <= TRANSPOSED;
	c.same = same[draw(5)];
	c.bias = draw(2);
	c.norm = conv && draw(3) == 0;
	c.ceil = !conv && !c.same && draw(2);
	c.count_pad = c.kind == AVERAGE && draw(2);
	c.groups = conv ? c.groups : 1;
	c.C = c.groups * (1 + draw(3));
	c.M = conv ? c.groups * (1 + draw(5)) : c.C;
	for (int i = 0; i < c.n; i++)
		while (!draw_axis(&c, i))
			;
	c.in = reals(c.batch * c.C * product(c.x, c.n), 0);
	c.w = reals(c.C * c.M / c.groups * product(c.k, c.n), 0);
	c.b = reals(c.M, 0);
	c.scale = reals(c.M, 0);
	c.shift = reals(c.M, 0);
	c.mean = reals(c.M, 0);
	c.var = reals(c.M, 2);
	c.want = calloc((size_t)(c.batch * c.M * product(c.y, c.n)), sizeof(double));
	return c;
}

static void free_case(Case *c)
{
	void *all[] = { c->in, c->w, c->b, c->scale, c->shift, c->mean, c->var, c->want };
	for (int i = 0; i < 8; i++)
		free(all[i]);
}

/* ---- the definitions ----------------------------------------------------------------------------- */

static void unravel(int flat, const int *dim, int n, int *at)
{
	for (int i = n - 1; i >= 0; i--) {
		at[i] = flat % dim[i];
		flat /= dim[i];
	}
}

/* Where element k of the window at o lies in a space of `size`; -1: outside. */
static int place(const Case *c, const int *o, const int *k, const int *size, bool *in_padding)
{
	int flat = 0;
	bool outside = false;
	*in_padding = true;
	for (int i = 0; i < c->n; i++) {
		int at = o[i] * c->s[i] - c->lo[i] + k[i] * c->d[i];
		outside |= at < 0 || at >= size[i];
		*in_padding &= at >= -c->lo[i] && at < size[i] + c->hi[i];
		flat = flat * size[i] + at;
	}
	return outside ? -1 : flat;
}

static void convolve(Case *c)
{
	int X = product(c->x, c->n), Y = product(c->y, c->n), K = product(c->k, c->n), o[SPACE], k[SPACE];
	int Cg = c->C / c->groups, Mg = c->M / c->groups;
	bool pad, back = c->kind == TRANSPOSED;
	int outer = back ? X : Y;       /* windows lie at results, or at the elements that are spread */
	for (int nm = 0; nm < c->batch * c->M; nm++) {
		int n = nm / c->M, m = nm % c->M, g = m / Mg;
		for (int y = 0; y < Y; y++)
			c->want[nm * Y + y] = c->bias ? c->b[m] : 0;
		for (int i = 0; i < outer * Cg * K; i++) {
			int ch = i / K % Cg, at;
			unravel(i / K / Cg, back ? c->x : c->y, c->n, o);
			unravel(i % K, c->k, c->n, k);
			if ((at = place(c, o, k, back ? c->y : c->x, &pad)) < 0)
				continue;
			int from = back ? i / K / Cg : at, to = back ? at : i / K / Cg, all = g * Cg + ch;
			int w = back ? (all * Mg + m % Mg) * K : (m * Cg + ch) * K;
			c->want[nm * Y + to] += (double)c->in[(n * c->C + all) * X + from] * c->w[w + i % K];
		}
		for (int y = 0; y < Y && c->norm; y++)
			c->want[nm * Y + y] = (c->want[nm * Y + y] - c->mean[m]) * c->scale[m]
			                      / sqrt(c->var[m] + (double)1e-5f) + c->shift[m];
	}
}

static void pool(Case *c)
{
	int X = product(c->x, c->n), Y = product(c->y, c->n), K = product(c->k, c->n), o[SPACE], k[SPACE];
	for (int i = 0; i < c->batch * c->C * Y; i++) {
		double most = -INFINITY, sum = 0;
		int count = 0;
		unravel(i % Y, c->y, c->n, o);
		for (int e = 0; e < K; e++) {
			bool pad;
			unravel(e, c->k, c->n, k);
			int at = place(c, o, k, c->x, &pad);
			count += c->count_pad ? pad : at >= 0;
			if (at >= 0) {
				most = fmax(most, c->in[i / Y * X + at]);
				sum += c->in[i / Y * X + at];
			}
		}
		c->want[i] = c->kind == MAXPOOL ? most : sum / count;
	}
}

/* ---- the compiler -------------------------------------------------------------------------------- */

static const char *list(Build *b, int lead0, int lead1, const int *v, int n, const int *more)
{
	char *s = arena_strdup(b->a, "");
	if (lead0)
		s = arena_printf(b->a, "%d %d", lead0, lead1);
	for (int i = 0; i < n; i++)
		s = arena_printf(b->a, "%s %d", s, v[i]);
	for (int i = 0; i < n && more; i++)
		s = arena_printf(b->a, "%s %d", s, more[i]);
	return s;
}

static void set_values(Onnx__Tensor *t, const float *v)
{
	memcpy(t->float_data, v, sizeof *v * t->n_float_data);
}

static void build_case(Build *b, const Case *c)
{
	bool conv = c->kind <= TRANSPOSED;
	char *size = arena_printf(b->a, "%d", c->M);
	add_input(b, "x", ONNX__TENSOR__DATA_TYPE__FLOAT, list(b, c->batch, c->C, c->x, c->n, 0));
	bool back = c->kind == TRANSPOSED;
	int rows = back ? c->C : c->M, columns = (back ? c->M : c->C) / c->groups;
	if (conv) {
		set_values(add_floats(b, "w", list(b, rows, columns, c->k, c->n, 0)), c->w);
		set_values(add_floats(b, "b", size), c->b);
	}
	const char *in = !conv ? "x" : c->bias ? "x w b" : "x w";
	Onnx__Node *p = add_node(b, op_names[c->kind], in, c->norm ? "u" : "y");
	set_ints(b, p, "kernel_shape", list(b, 0, 0, c->k, c->n, 0));
	set_ints(b, p, "strides", list(b, 0, 0, c->s, c->n, 0));
	if (c->kind != AVERAGE)
		set_ints(b, p, "dilations", list(b, 0, 0, c->d, c->n, 0));
	if (c->same)
		set_string(b, p, "auto_pad", c->same);
	else
		set_ints(b, p, "pads", list(b, 0, 0, c->lo, c->n, c->hi));
	if (conv)
		set_int(b, p, "group", c->groups);
	else
		set_int(b, p, "ceil_mode", c->ceil);
	if (c->kind == TRANSPOSED)
		set_ints(b, p, "output_padding", list(b, 0, 0, c->more, c->n, 0));
	if (c->kind == AVERAGE)
		set_int(b, p, "count_include_pad", c->count_pad);
	if (c->norm) {
		set_values(add_floats(b, "scale", size), c->scale);
		set_values(add_floats(b, "shift", size), c->shift);
		set_values(add_floats(b, "mean", size), c->mean);
		set_values(add_floats(b, "var", size), c->var);
		add_node(b, "BatchNormalization", "u scale shift mean var", "y");
	}
	add_output(b, "y");
}

static bool run_case(const Case *c, const char **why)
{
	static char text[2000];
	Build *b = build_new(13);
	build_case(b, c);
	size_t size;
	uint8_t *bytes = pack(b, &size);
	write_bytes(b, b->path, bytes, size);
	Diag *d = diag_new();
	Options opt = b->opt;
	Module *m = import_onnx(b->path, &opt, d);
	bool good = m && passes_run(m, &opt, 0, d);
	int Y = c->batch * c->M * product(c->y, c->n);
	*why = "differs from the definition";
	if (!good) {
		diag_print(d, stderr);
		*why = "refused";
	} else if (type_count(m->out->type, 1) != Y) {
		*why = "has a result of another size";
		good = false;
	} else {
		float *y = malloc(sizeof *y * (size_t)Y);
		Exec *e = exec_open(m, "interp", 0, text, sizeof text);
		assert_non_null(e);
		assert_int_equal(exec_run(e, (const void *[]){ c->in }, (void *[]){ y }, 1), 0);
		for (int i = 0; i < Y; i++)
			good &= fabs((double)y[i] - c->want[i]) <= 1e-4 * fmax(1, fabs(c->want[i]));
		exec_close(e);
		free(y);
	}
	if (m)
		module_free(m);
	diag_free(d);
	build_free(b);
	return good;
}

static int count = 300;
static uint64_t seed = 1;

static void test_cases(void **state)
{
	(void)state;
	for (int i = 0; i < count; i++) {
		rng = seed + (uint64_t)i * 1000003;
		draw(2);
		Case c = draw_case();
		const char *why;
		if (c.kind <= TRANSPOSED)
			convolve(&c);
		else
			pool(&c);
		if (!run_case(&c, &why))
			fail_msg("case %d (%s, %d axes, %s): %s", i, op_names[c.kind], c.n, c.same ? c.same
				 : "pads", why);
		free_case(&c);
	}
}

int main(int argc, char **argv)
{
	for (int i = 1; i + 1 < argc; i += 2) {
		if (!strcmp(argv[i], "--count"))
			count = atoi(argv[i + 1]);
		if (!strcmp(argv[i], "--seed"))
			seed = strtoull(argv[i + 1], 0, 10);
	}
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_cases) };
	return cmocka_run_group_tests(tests, 0, 0);
}

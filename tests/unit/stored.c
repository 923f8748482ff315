/* stored.c: random models with stored weights compute what they compute with plain ones, in every form, decoded a row at a
 * time or once, in every executor and body.
 *
 * A model gathers a row of a table, multiplies it and another input by two matrices (the second adds the first's sums), and has a
 * state, so that it steps.  Matrices are of all kinds: any width, mixed widths, constant rows, odd integers, one row, one column, paths
 * through books. */
#include "executors.h"

#include <stdio.h>

#include "passes/passes.h"
#include "storage/storage.h"

static uint64_t rng = 7;

static int draw(int below)
{
	rng = rng * 6364136223846793005u + 1442695040888963407u;
	return (int)((rng >> 33) % (unsigned)below);
}

/* ---- a model as text ----------------------------------------------------------------------------------------- */

typedef struct { char *s; size_t n; FILE *f; } Text;

enum { PATHS = 13, KINDS };

/* A row of b bits, 0..8; 9: odd integers; 10: few values; 11: mostly zeros */
static int element(int kind, int constant)
{
	switch (kind) {
	case 0: return constant;
	case 9: return 2 * draw(8) - 7;
	case 10: return (int[]){-50, -3, 0, 9, 77}[draw(5)];
	case 11: return draw(12) ? 0 : draw(3) - 1;
	default: return draw(1 << kind) - (1 << (kind - 1));
	}
}

/* Two books and perhaps an order beside the matrix; rows that are paths through them. */
typedef struct { int8_t value[2][64]; int memory[2], *order; } Books;

static Books books(FILE *f, const char *name, int K)
{
	Books b = {.memory = {draw(5), draw(4)}};
	for (int i = 0; i < 2; i++) {
		int n = 1 << (2 + i + b.memory[i]);
		fprintf(f, "data $%s_book%d i8[%d] = [", name, 2 + i, n);
		for (int v = 0; v < n; v++)
			fprintf(f, "%s%d", v ? ", " : "", b.value[i][v] = (int8_t)(draw(255) - 127));
		fprintf(f, "]\n");
	}
	if (draw(2))
		return b;
	b.order = calloc((size_t)K, sizeof *b.order);
	fprintf(f, "data $%s_order i32[%d] = [", name, K);
	for (int k = 0; k < K; k++)
		fprintf(f, "%s%d", k ? ", " : "", b.order[k] = (k + K / 2) % K);
	fprintf(f, "]\n");
	return b;
}

static void path(const Books *b, int K, int8_t *row)
{
	int i = draw(2), at = 0;
	for (int k = 0; k < K; k++) {
		at = (at << (2 + i) | draw(4 << i)) & ((1 << (2 + i + b->memory[i])) - 1);
		row[b->order ? b->order[k] : k] = b->value[i][at];
	}
}

/* Rows of one kind or of many; scales of the geometric grid, with ndiff different ones. */
static void matrix(FILE *f, const char *name, int M, int K, int kind, int ndiff, float *scale)
{
	fprintf(f, "type :%s = i8 * $%s_s\ndata $%s_s f32[%d] = [", name, name, name, M);
	for (int i = 0; i < M; i++) {
		scale[i] = 0x1p-8f * (1 + 0.25f * (float)draw(ndiff));
		fprintf(f, "%s%a", i ? ", " : "", scale[i]);
	}
	fprintf(f, "]\n");
	Books b = kind == PATHS ? books(f, name, K) : (Books){0};
	fprintf(f, "data $%s :%s[%d,%d] = [", name, name, M, K);
	for (int i = 0; i < M; i++) {
		int row = kind < 12 ? kind : draw(12), constant = draw(200) - 100;
		int8_t along[300];
		bool is_path = kind == PATHS && draw(6);
		if (is_path)
			path(&b, K, along);
		for (int k = 0; k < K; k++)
			fprintf(f, "%s%d", i || k ? ", " : "", is_path ? along[k] : element(row, constant));
	}
	fprintf(f, "]\n");
	free(b.order);
}

static void bias(FILE *f, const char *name, int M, const float *scale, int shift, bool narrow)
{
	fprintf(f, "type :%s = %s * $%s_s\ndata $%s_s f32[%d] = [", name, narrow ? "i16" : "i32", name, name, M);
	for (int i = 0; i < M; i++)
		fprintf(f, "%s%a", i ? ", " : "", scale[i] * (float)(1 << shift));
	fprintf(f, "]\ndata $%s :%s[%d] = [", name, name, M);
	for (int i = 0; i < M; i++)
		fprintf(f, "%s%d", i ? ", " : "", draw(4001) - 2000);
	fprintf(f, "]\n");
}

static void times(float *scale, int n, float by)
{
	for (int i = 0; i < n; i++)
		scale[i] *= by;
}

static char *random_model(int i)
{
	Text t = {0};
	float scale[300];
	int V = 1 + draw(i % 2 ? 290 : 8), E = 1 + draw(i % 3 ? 40 : 2), M = i % 4 ? 16 + draw(100) : 1 + draw(20), K = 1 + draw(40);
	int shift = draw(4), kind = i % KINDS, diff = 1 + draw(i % 5 ? 7 : 200);
	bool wide = i % 7 == 3;                 /* 16-bit x: accumulators of 64 bits or no cells */
	t.f = open_memstream(&t.s, &t.n);
	fprintf(t.f, "module \"m\" level=tensor\ninput \"ix\" i32[1]\ninput \"x\" :x[1,%d]\noutput \"y\" :y[1,%d]\noutput \"z\" :z[1,%d]\n",
	        K, M, M);
	fprintf(t.f, "type :x = %s * 0x1p-7\ntype :e = i8 * 0x1p-7\ntype :y = i16 * 0x1p-6\ntype :z = i8 * 0x1p-3\n", wide ? "i16" : "i8");
	matrix(t.f, "T", V, E, kind, diff, scale);
	matrix(t.f, "R", M, K, draw(KINDS), 1 + draw(7), scale);
	times(scale, M, 0x1p-7f);
	fprintf(t.f, "type :g = i32 * $g_s\ndata $g_s f32[%d] = [", M);
	for (int k = 0; k < M; k++)
		fprintf(t.f, "%s%a", k ? ", " : "", scale[k]);
	fprintf(t.f, "]\n");
	matrix(t.f, "W", M, E, (kind + 5) % KINDS, diff, scale);
	times(scale, M, 0x1p-7f);
	bias(t.f, "b", M, scale, shift, draw(2));
	fprintf(t.f, "func @main(%%ix i32[1], %%x :x[1,%d]) :y[1,%d], :z[1,%d] {\n", K, M, M);
	fprintf(t.f, "\t%%e =:e[1,%d] gather $T, %%ix\n\t%%g =:g[1,%d] linear %%e, $W, $b\n", E, M);
	fprintf(t.f, "\t%%y =:y[1,%d] linear %%x, $R, %%g\n\t%%z =:z[1,%d] linear %%e, $W\n\tret %%y, %%z\n}\n", M, M);
	fclose(t.f);
	return t.s;
}

/* ---- running --------------------------------------------------------------------------------------------------- */

static Module *lowered(const char *text, int storage, bool once)
{
	char err[1000] = "";
	Module *m = module_parse("m.ir", text, strlen(text), err, sizeof err);
	Options opt = {.integer = true, .storage = storage, .decode_once = once, .self_check = true};
	Diag *d = diag_new();
	if (!m)
		fail_msg("%s", err);
	if (!pass_lower(m, &opt, d) || !pass_plan(m, &opt, d) || !module_verify(m, err, sizeof err)) {
		diag_print(d, stderr);
		fail_msg("storage %d, once %d: %s", storage, once, err);
	}
	diag_free(d);
	return m;
}

typedef struct { int16_t y[128]; int8_t z[128]; } Result;

static Result outputs(const Module *m, const char *kind, const char *body, int32_t at, const void *x)
{
	char err[1000] = "";
	Result r;
	memset(&r, 0x5A, sizeof r);
	Exec *e = exec_open(m, kind, body, err, sizeof err);
	if (!e)
		fail_msg("%s: %s", kind, err);
	if (exec_run(e, (const void *[]){&at, x}, (void *[]){r.y, r.z}, 1))
		fail_msg("%s: %s", kind, exec_error(e));
	exec_close(e);
	return r;
}

static bool runs_here(const Module *m, const char *body)
{
	char err[1000];
	Exec *e = exec_available("jit") ? exec_open(m, "jit", body, err, sizeof err) : 0;
	bool runs = e != 0;
	exec_close(e);
	return runs;
}

static void same(const char *what, const Result *a, const Result *b)
{
	if (memcmp(a, b, sizeof *a))
		fail_msg("%s differs", what);
}

static int32_t table_rows(const Module *m) { return data_find(m, "T")->type->dim[0]; }

static int stored, kept, windows;

static void compare(const char *text, int i)
{
	char err[400];
	Module *t = module_parse("m.ir", text, strlen(text), err, sizeof err);
	int32_t at = draw(table_rows(t));
	module_free(t);
	int16_t x[64];
	for (int k = 0; k < 64; k++)
		x[k] = (int16_t)(draw(65536) - 32768);
	Module *plain = lowered(text, STORE_PLAIN, false);
	Result want = outputs(plain, "interp", 0, at, x);
	module_free(plain);
	for (int form = STORE_ROWS; form <= STORE_CODED; form++)
		for (int once = 0; once < 2; once++) {
			Module *m = lowered(text, form, once);
			for (int b = 0; b < m->nbody; b++) {
				Result got = outputs(m, "interp", m->body[b], at, x);
				same(m->body[b], &want, &got);
			}
			const char *body = m->body[i % m->nbody];
			if (runs_here(m, body)) {
				Result got = outputs(m, "jit", body, at, x);
				same("jit", &want, &got);
			}
			if (i % 10 == 2 * form - 1 + once) {
				Result got = outputs(m, "c", 0, at, x);
				same("c", &want, &got);
			}
			stored += data_find(m, form == STORE_ROWS ? "T_width" : "T_stream") != 0;
			windows += data_find(m, "T_memory") || data_find(m, "W_memory");
			kept += m->state_size > 64;
			module_free(m);
		}
}

static void random_models(void **state)
{
	(void)state;
	for (int i = 0; i < 40; i++) {
		char *text = random_model(i);
		compare(text, i);
		free(text);
	}
	assert_in_range(stored, 40, 160);       /* of 160: small tables stay plain */
	assert_in_range(kept, 40, 80);
	assert_in_range(windows, 4, 40);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(random_models),
	};
	return cmocka_run_group_tests(tests, 0, 0);
}

/* llvm_ops.c: every row of the op table, for every number of lanes and on every instruction set, in the JIT
 * against the C column of the same row, compiled here by the C compiler.
 *
 * For each instruction set and lane count one module is made: a function for each row (and for each operand
 * that may be one lane for all), and a step that calls them all on the same inputs: all pairs of edge values
 * first, then seeded random ones. */
#include "emit/emit.h"
#include "exec/exec.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { COUNT = 8192, MAX_TESTS = 400 };         /* elements of each buffer; functions of a module */

typedef int8_t T_b;
typedef int16_t T_h;
typedef int32_t T_w;
typedef int64_t T_l;
typedef float T_s;
typedef int8_t T_x;

typedef union {
	T_b b[COUNT], x[COUNT];
	T_h h[COUNT];
	T_w w[COUNT];
	T_l l[COUNT];
	T_s s[COUNT];
} Buffer;

/* ---- the C column ----------------------------------------------------------------------------- */

/* Applies a row to `n` units of lanes. */
typedef void (*Meaning)(int n, Buffer *out, const Buffer *in0, const Buffer *in1, const Buffer *in2);

#define SCALAR(name, r, x, y, z, meaning, llvm) \
	static void c_##name(int n, Buffer *out, const Buffer *in0, const Buffer *in1, const Buffer *in2) \
	{ \
		for (int j = 0; j < n; j++) { \
			T_##x a = in0->x[j]; \
			T_##y b = in1->y[j]; \
			T_##z c = in2->z[j]; \
			(void)a, (void)b, (void)c; \
			out->r[j] = (T_##r)(meaning); \
		} \
	}
#define VECTOR(name, r, nr, x, nx, y, ny, z, nz, meaning, llvm) \
	static void c_##name(int n, Buffer *out, const Buffer *in0, const Buffer *in1, const Buffer *in2) \
	{ \
		const T_##x *a = in0->x; \
		const T_##y *b = in1->y; \
		const T_##z *c = in2->z; \
		(void)a, (void)b, (void)c; \
		for (int j = 0; j < n * nr; j++) \
			out->r[j] = (T_##r)(meaning); \
	}
#include "ir/ops.def"

static const Meaning meaning_of[N_OPS] = {
#define SCALAR(name, ...) [O_##name] = c_##name,
#define VECTOR(name, ...) [O_##name] = c_##name,
#include "ir/ops.def"
};

/* ---- modules ---------------------------------------------------------------------------------- */

static const char classes[] = "bhwls";
static const char *const elems[] = {"i8", "i16", "i32", "i64", "f32"};
static const int sizes[] = {1, 2, 4, 8, 4};

static int class_index(char k)
{
	return (int)(strchr(classes, k) - classes);
}

typedef struct {
	OpKind op;
	int one;                /* the operand that is one lane for all; -1: none */
	Buffer out;
} Test;

static Test tests[MAX_TESTS];
static int ntests;
static Buffer in[3][5];         /* operand, class */

/* Lanes of operand k (3: the result) of a row with n units. */
static int lanes_of(const OpInfo *o, int k, int n)
{
	if (o->klass == OC_SCALAR)
		return n;
	return n * (k == 3 ? o->rres : o->rarg[k]);
}

static char class_of(const OpInfo *o, int k)
{
	return k == 3 ? o->res : o->arg[k];
}

/* Do registers of these lanes exist?  One byte or one halfword alone is no register. */
static bool exists(const OpInfo *o, int n)
{
	for (int k = 0; k < 4; k++) {
		char c = class_of(o, k);
		if (!c)
			continue;
		int lanes = lanes_of(o, k, n);
		if (lanes * sizes[class_index(c)] > MAX_LANE_BYTES || (lanes == 1 && strchr("bh", c)))
			return false;
	}
	return true;
}

static void choose_tests(int n)
{
	ntests = 0;
	for (int op = 1; op < N_OPS; op++) {
		const OpInfo *o = &op_info[op];
		if (!meaning_of[op] || !exists(o, n))
			continue;
		tests[ntests++] = (Test){.op = (OpKind)op, .one = -1};
		for (int k = 0; k < 3 && n > 1 && o->klass == OC_SCALAR; k++)
			if (o->arg[k] && strchr("wls", o->arg[k]))
				tests[ntests++] = (Test){.op = (OpKind)op, .one = k};
	}
}

static const char *reg(char klass, int lanes)
{
	static char text[4][8];
	static int turn;
	char *t = text[turn++ % 4];
	snprintf(t, 8, lanes == 1 ? "%c" : "%c%d", klass, lanes);
	return t;
}

/* @tI(operands.., result): the row on units of n lanes, one after the other. */
static void write_test(FILE *f, int i, int n, const char *isa)
{
	const OpInfo *o = &op_info[tests[i].op];
	fprintf(f, "func @t%d(", i);
	for (int k = 0; k < 3 && o->arg[k]; k++)
		fprintf(f, "%%x%d &%s[%d], ", k, elems[class_index(o->arg[k])], COUNT);
	fprintf(f, "%%y &%s[%d])", elems[class_index(o->res)], COUNT);
	if (isa)
		fprintf(f, " isa=\"%s\"", isa);
	fprintf(f, " {\n\tfor %%i < %d {\n", COUNT / 4 / n);
	for (int k = 0; k < 3 && o->arg[k]; k++) {
		int lanes = tests[i].one == k ? 1 : lanes_of(o, k, n);
		fprintf(f, "\t\t%%i%d =w mulw %%i, %d\n", k, lanes);
		fprintf(f, "\t\t%%v%d =%s load %%x%d[%%i%d]\n", k, reg(o->arg[k], lanes), k, k);
	}
	int lanes = lanes_of(o, 3, n);
	fprintf(f, "\t\t%%iy =w mulw %%i, %d\n\t\t%%r =%s %s ", lanes, reg(o->res, lanes), o->name);
	for (int k = 0; k < 3 && o->arg[k]; k++)
		fprintf(f, "%s%%v%d", k ? ", " : "", k);
	fprintf(f, "\n\t\tstore %%y[%%iy], %%r\n\t}\n}\n");
}

/* The ports: the three operands of each class, then the results of all tests. */
static void write_ports(FILE *f, bool entry)
{
	const char *in_form = entry ? ", %%in%d%c &%s[%d]" : "input \"in%d%c\" %s[%d]\n";
	const char *out_form = entry ? ", %%out%d &%s[%d]" : "output \"out%d\" %s[%d]\n";
	for (int k = 0; k < 3; k++)
		for (int c = 0; c < 5; c++)
			fprintf(f, in_form, k, classes[c], elems[c], COUNT);
	for (int i = 0; i < ntests; i++)
		fprintf(f, out_form, i, elems[class_index(op_info[tests[i].op].res)], COUNT);
}

static void write_entry(FILE *f, const char *what, const char *body)
{
	fprintf(f, "func @%s_%s(%%state &u8[16], %%scratch &u8[16]", what, body);
	write_ports(f, true);
	fprintf(f, "%s) w {\n", what[0] == 'r' ? ", %T w" : "");
	for (int i = 0; i < ntests; i++) {
		const OpInfo *o = &op_info[tests[i].op];
		fprintf(f, "\tcall @t%d, ", i);
		for (int k = 0; k < 3 && o->arg[k]; k++)
			fprintf(f, "%%in%d%c, ", k, o->arg[k]);
		fprintf(f, "%%out%d\n", i);
	}
	fprintf(f, "\tret 0\n}\n");
}

static Module *make_module(int n, const char *body)
{
	char *text = 0, err[500];
	size_t size = 0;
	const char *isa = strcmp(body, "portable") ? body : 0;
	FILE *f = open_memstream(&text, &size);
	fprintf(f, "module \"rows\" level=loop state=16 scratch=16 planned bodies=[portable%s%s]\n",
	        isa ? ", " : "", isa ? isa : "");
	write_ports(f, false);
	for (int i = 0; i < ntests; i++)
		write_test(f, i, n, isa);
	fprintf(f, "func @reset(%%state &u8[16]) {\n\tstore %%state[0], 0\n}\n");
	write_entry(f, "run", "portable");
	if (isa)
		write_entry(f, "run", body);
	fclose(f);
	Module *m = module_parse("rows.ir", text, size, err, sizeof err);
	if (!m) {
		printf("%s\n", err);
		exit(1);
	}
	free(text);
	return m;
}

/* ---- inputs ----------------------------------------------------------------------------------- */

static uint64_t seed = 1;

static uint64_t random64(void)
{
	seed += 0x9e3779b97f4a7c15u;            /* splitmix64 */
	uint64_t z = seed;
	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
	z = (z ^ z >> 27) * 0x94d049bb133111ebu;
	return z ^ z >> 31;
}

static const int64_t edges[] = {0, 1, -1, 2, -2, 3, 7, 8, 15, 16, 31, 32, 63, 64, 127, 128, -127, -128, -129,
	255, 256, 16384, 32767, 32768, -32767, -32768, -32769, 65535, 65536, INT32_MAX, -INT32_MAX, INT32_MIN,
	4294967295, 4294967296, INT64_MAX, -INT64_MAX, INT64_MIN};
static const float float_edges[] = {0, -0.0f, 1, -1, 0.5f, -0.5f, 1.5f, 2.5f, 0x1p-149f, -0x1p-149f,
	0x1p-126f, 3.4e38f, -3.4e38f, INFINITY, -INFINITY, NAN, 2147483648.0f, -2147483648.0f, 2147483520.0f,
	-2147483904.0f, 8388607.5f, 16777217.0f};
#define LEN(a) (sizeof(a) / sizeof *(a))

/* Random integers of all magnitudes. */
static int64_t random_int(void)
{
	int64_t v = (int64_t)random64();
	return v >> random64() % 64;
}

static float random_float(void)
{
	union { uint32_t i; float f; } u = {.i = (uint32_t)random64()};
	return random64() % 4 ? (float)random_int() / 65536 : u.f;
}

/* Element i of operand k: all pairs of edges in the first two, then random. */
static int64_t pick_int(int i, int k)
{
	size_t n = LEN(edges);
	if (k == 2 || (size_t)i >= n * n)
		return random64() % 8 ? random_int() : edges[random64() % n];
	return edges[k ? (size_t)i / n : (size_t)i % n];
}

static float pick_float(int i, int k)
{
	size_t n = LEN(float_edges);
	if (k == 2 || (size_t)i >= n * n)
		return random64() % 8 ? random_float() : float_edges[random64() % n];
	return float_edges[k ? (size_t)i / n : (size_t)i % n];
}

static void fill_inputs(void)
{
	for (int k = 0; k < 3; k++)
		for (int i = 0; i < COUNT; i++) {
			in[k][0].b[i] = (int8_t)pick_int(i, k);
			in[k][1].h[i] = (int16_t)pick_int(i, k);
			in[k][2].w[i] = (int32_t)pick_int(i, k);
			in[k][3].l[i] = pick_int(i, k);
			in[k][4].s[i] = pick_float(i, k);
		}
}

/* ---- comparison ------------------------------------------------------------------------------- */

/* The same number on all lanes of a unit, as a one-lane operand means. */
static void spread(Buffer *to, const Buffer *from, char klass, int n)
{
	for (int i = 0; i < COUNT; i++)
		switch (klass) {
		case 'w': to->w[i] = from->w[i / n]; break;
		case 'l': to->l[i] = from->l[i / n]; break;
		case 's': to->s[i] = from->s[i / n]; break;
		}
}

static bool same(char klass, const Buffer *x, const Buffer *y, int i)
{
	if (klass == 's' && isnan(x->s[i]) && isnan(y->s[i]))
		return true;            /* which NaN is not specified */
	int size = sizes[class_index(klass)];
	return !memcmp((const char *)x + i * size, (const char *)y + i * size, (size_t)size);
}

static int compare(const Test *t, int n, const char *body)
{
	static Buffer want, spread_in;
	const OpInfo *o = &op_info[t->op];
	const Buffer *x[3];
	int units = COUNT / 4 / n * n, differ = 0;
	for (int k = 0; k < 3; k++) {
		x[k] = o->arg[k] ? &in[k][class_index(o->arg[k])] : &in[k][0];
		if (t->one == k) {
			spread(&spread_in, x[k], o->arg[k], n);
			x[k] = &spread_in;
		}
	}
	if (o->klass == OC_SCALAR)
		meaning_of[t->op](units, &want, x[0], x[1], x[2]);
	for (int u = 0; u < units && o->klass == OC_VECTOR; u += n) {
		static Buffer part[3], out;
		for (int k = 0; k < 3 && o->arg[k]; k++) {
			size_t size = (size_t)(lanes_of(o, k, n) * sizes[class_index(o->arg[k])]);
			memcpy(&part[k], (const char *)x[k] + (size_t)(u / n) * size, size);
		}
		meaning_of[t->op](n, &out, &part[0], &part[1], &part[2]);
		size_t size = (size_t)(lanes_of(o, 3, n) * sizes[class_index(o->res)]);
		memcpy((char *)&want + (size_t)(u / n) * size, &out, size);
	}
	for (int i = 0; i < lanes_of(o, 3, units); i++)
		if (!same(o->res, &t->out, &want, i) && !differ++)
			printf("%s, %d lanes, %s: result %d differs\n", o->name, n, body, i);
	return differ;
}

/* Code this machine cannot run is made all the same. */
static bool compiles(const Module *m, char *err, size_t nerr)
{
	bool ok = false;
#ifdef GATEFOLD_LLVM
	void *object;
	size_t size;
	ok = emit_llvm(m, &(EmitInfo){.source = "rows"}, EMIT_OBJECT, &object, &size, err, nerr);
	free(object);
#endif
	return ok;
}

/* false: this machine cannot run the body. */
static bool test_body(const char *body, int n, long *cases, long *differ)
{
	char err[500];
	choose_tests(n);
	Module *m = make_module(n, body);
	Exec *e = exec_open(m, "jit", body, err, sizeof err);
	if (!e) {
		bool skipped = strstr(err, "this machine lacks") && compiles(m, err, sizeof err);
		if (!skipped)
			printf("%s, %d lanes: %s\n", body, n, err);
		*differ += !skipped;
		module_free(m);
		return false;
	}
	const void *inputs[15];
	void *outputs[MAX_TESTS];
	for (int i = 0; i < 15; i++)
		inputs[i] = &in[i / 5][i % 5];
	for (int i = 0; i < ntests; i++)
		outputs[i] = &tests[i].out;
	int32_t status = exec_run(e, inputs, outputs, 1);
	*differ += status != 0;
	for (int i = 0; i < ntests; i++) {
		*cases += lanes_of(&op_info[tests[i].op], 3, COUNT / 4 / n * n);
		*differ += compare(&tests[i], n, body);
	}
	exec_close(e);
	module_free(m);
	return true;
}

int main(int argc, char **argv)
{
	static const char *const bodies[] = {"portable", "avx2", "avx512vnni"};
	long cases = 0, differ = 0;
	if (argc > 1)
		seed = strtoull(argv[1], 0, 0);
	if (!exec_available("jit")) {
		printf("skipped: built without LLVM\n");
		return 0;
	}
	int rows = 0;
	for (int op = 0; op < N_OPS; op++)
		rows += meaning_of[op] != 0;
	fill_inputs();
	for (size_t b = 0; b < LEN(bodies); b++)
		for (int n = 1; n <= 64; n *= 2)
			if (!test_body(bodies[b], n, &cases, &differ) && n == 64)
				printf("skipped: this machine cannot run %s; compiled only\n", bodies[b]);
	printf("llvm_ops: %d rows, %ld cases, %ld differences\n", rows, cases, differ);
	return differ != 0;
}

/* case.c: what harness.c needs to know, as a header: the model, its inputs as stored integers, sizes.
 *
 *	case INPUTS.npz EXPECTED.npz CASE.H EXPECTED.TXT
 *
 * Linked with the compiled model built for this machine (-DMODEL=name), whose descriptor says how the real values of
 * INPUTS are stored.  EXPECTED.npz is `gatefold run --raw --exec interp` on the same inputs; its bytes become the
 * lines that the harness has to print. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gatefold.h"
#include "util/npz.h"

extern const gf_model MODEL;

static const gf_model *const model = &MODEL;

static void fail(const char *what, const char *name)
{
	fprintf(stderr, "case: %s%s%s\n", what, name ? ": " : "", name ? name : "");
	exit(1);
}

static uint32_t elem_size(const gf_tensor *t)
{
	return t->elem == GF_I8 || t->elem == GF_U8 ? 1 : t->elem == GF_I16 ? 2 : t->elem == GF_I64 ? 8 : 4;
}

static bool has_time(const gf_tensor *t)
{
	for (int i = 0; i < t->rank; i++)
		if (t->dim[i] < 0)
			return true;
	return false;
}

/* Steps of a tensor lie one behind the other only if time is its outermost dimension. */
static void check_time(const gf_tensor *t)
{
	for (int i = 0; i < t->rank && t->dim[i] >= 0; i++)
		if (t->dim[i] > 1 && has_time(t) && model->step)
			fail("the steps of this tensor do not follow each other in memory", t->name);
}

static const Tensor *find(const Npz *z, const gf_tensor *t)
{
	const Tensor *v = npz_find(z, t->name);
	if (!v)
		fail("the .npz file lacks", t->name);
	return v;
}

/* The number of steps that the inputs hold. */
static int32_t count_steps(const Npz *in)
{
	for (int i = 0; i < model->nin; i++) {
		const gf_tensor *t = &model->in[i];
		if (has_time(t) && gf_count(t, 1))
			return (int32_t)(find(in, t)->count / gf_count(t, 1));
	}
	return model->steps ? model->steps : 1;
}

/* ---- bytes -------------------------------------------------------------------------------------------- */

/* Real values, or plain integers, as the model stores them; malloc'ed. */
static uint8_t *stored(const Tensor *v, const gf_tensor *t, uint32_t n)
{
	if (v->count != n)
		fail("this input holds another number of elements", t->name);
	uint8_t *q = malloc((size_t)n * 8);
	float *x = malloc(n * sizeof *x);
	for (uint32_t i = 0; i < n; i++) {
		if (t->scale == 0 && t->elem != GF_F32) {
			int32_t k = (int32_t)tensor_get_int(v, i);
			memcpy(q + i * 4, &k, 4);       /* indices are i32 */
		}
		x[i] = (float)tensor_get(v, i);
	}
	if (t->scale == 0 && t->elem != GF_F32 && t->elem != GF_I32)
		fail("plain integers that are not 32 bits wide", t->name);
	if (t->scale != 0 || t->elem == GF_F32)
		gf_quantize(t, x, q, n);
	free(x);
	return q;
}

static void put_array(FILE *f, const char *name, const gf_tensor *t, int n,
                      uint32_t (*value)(const gf_tensor *))
{
	fprintf(f, "static const uint32_t %s[] = {", name);
	for (int i = 0; i < n; i++)
		fprintf(f, " %" PRIu32 ",", value(&t[i]));
	fprintf(f, " 0 };\n");
}

static int32_t steps;

static uint32_t bytes_all(const gf_tensor *t)
{
	return gf_count(t, steps) * elem_size(t);
}

static uint32_t bytes_step(const gf_tensor *t)
{
	return gf_count(t, 1) * elem_size(t);
}

/* From one step's elements to the next's; 0: all steps have the same. */
static uint32_t bytes_next(const gf_tensor *t)
{
	return has_time(t) ? bytes_step(t) : 0;
}

static uint32_t sum(const gf_tensor *t, int n, uint32_t (*value)(const gf_tensor *))
{
	uint32_t all = GF_ALIGN;
	for (int i = 0; i < n; i++)
		all += (value(&t[i]) + GF_ALIGN - 1) / GF_ALIGN * GF_ALIGN;
	return all;
}

static void put_inputs(FILE *f, const Npz *in)
{
	for (int i = 0; i < model->nin; i++) {
		const gf_tensor *t = &model->in[i];
		uint8_t *q = stored(find(in, t), t, gf_count(t, steps));
		fprintf(f, "static _Alignas(GF_ALIGN) const uint8_t input_%d[] = {", i);
		for (uint32_t k = 0; k < bytes_all(t); k++)
			fprintf(f, "%s%d,", k % 24 ? "" : "\n", q[k]);
		fputs("\n};\n", f);
		free(q);
	}
	fputs("static const uint8_t *const case_in[] = {", f);
	for (int i = 0; i < model->nin; i++)
		fprintf(f, " input_%d,", i);
	fputs(" 0 };\n", f);
}

static void define(FILE *f, const char *name, uint32_t n)
{
	fprintf(f, "#define CASE_%s %" PRIu32 "\n", name, n);
}

static void put_case(FILE *f, const Npz *in)
{
	int32_t test = model->check_steps ? model->check_steps : 1;
	int32_t most = steps > test ? steps : test;
	fprintf(f, "/* Written by case.c. */\nextern const gf_model %s;\n", model->name);
	fprintf(f, "#define CASE_MODEL %s\n", model->name);
	define(f, "STEPS", (uint32_t)steps);
	define(f, "NIN", model->nin);
	define(f, "NOUT", model->nout);
	/* Sizes of arrays: C has none of 0 bytes. */
	define(f, "STATE", model->state_size + 1);
	define(f, "SCRATCH", model->scratch_size + model->scratch_step * (uint32_t)most + 1);
	define(f, "STEP_IN", sum(model->in, model->nin, bytes_step));
	define(f, "STEP_OUT", sum(model->out, model->nout, bytes_step));
	define(f, "OUT", sum(model->out, model->nout, bytes_all));
	define(f, "TEST_IN", gf_io_size(model, 0, test) + 1);
	define(f, "TEST_OUT", gf_io_size(model, 1, test) + 1);
	put_array(f, "case_in_step", model->in, model->nin, bytes_step);
	put_array(f, "case_in_next", model->in, model->nin, bytes_next);
	put_array(f, "case_out", model->out, model->nout, bytes_all);
	put_array(f, "case_out_step", model->out, model->nout, bytes_step);
	put_array(f, "case_out_next", model->out, model->nout, bytes_next);
	put_inputs(f, in);
}

/* The interpreter's outputs are plain arrays of the stored element type. */
static void put_expected(FILE *f, const Npz *out)
{
	for (int i = 0; i < model->nout; i++) {
		const gf_tensor *t = &model->out[i];
		const Tensor *v = find(out, t);
		size_t n = (size_t)v->count * host_size(v->type);
		if (n != bytes_all(t))
			fail("the interpreter gave another number of bytes for", t->name);
		fprintf(f, "out %d ", i);
		for (size_t k = 0; k < n; k++)
			fprintf(f, "%02x", ((const uint8_t *)v->bytes)[k]);
		fputc('\n', f);
	}
}

static Npz load(const char *path, Diag *d)
{
	Npz z = {0};
	if (!npz_read(path, &z, d)) {
		diag_print(d, stderr);
		exit(1);
	}
	return z;
}

static FILE *create(const char *path)
{
	FILE *f = fopen(path, "w");
	if (!f)
		fail("cannot write", path);
	return f;
}

int main(int argc, char **argv)
{
	if (argc != 5)
		fail("usage: case INPUTS.npz EXPECTED.npz CASE.H EXPECTED.TXT", 0);
	Diag *d = diag_new();
	Npz in = load(argv[1], d), out = load(argv[2], d);
	for (int i = 0; i < model->nin; i++)
		check_time(&model->in[i]);
	for (int i = 0; i < model->nout; i++)
		check_time(&model->out[i]);
	steps = count_steps(&in);
	FILE *f = create(argv[3]), *g = create(argv[4]);
	put_case(f, &in);
	put_expected(g, &out);
	int bad = (fclose(f) != 0) | (fclose(g) != 0);
	npz_free(&in);
	npz_free(&out);
	diag_free(d);
	return bad;
}

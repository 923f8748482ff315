/* test_operators: small ONNX nodes through the whole compiler, with results worked out by hand. */
#include "onnx_build.h"

#include "exec/exec.h"
#include "passes/passes.h"

#include <math.h>
#include <stdio.h>

#define FLOAT ONNX__TENSOR__DATA_TYPE__FLOAT
#define INT64 ONNX__TENSOR__DATA_TYPE__INT64
#define REALS(...) (const float[]){ __VA_ARGS__ }, sizeof((const float[]){ __VA_ARGS__ }) / sizeof(float)
#define INTS(...) (const int32_t[]){ __VA_ARGS__ }, sizeof((const int32_t[]){ __VA_ARGS__ }) / sizeof(int32_t)

/* Run b's model on the inputs a and b (or 0); its one result is `want`, floats or 32-bit integers. */
static void gives(Build *b, const void *in0, const void *in1, const void *want, size_t n)
{
	char err[400] = "";
	add_output(b, "y");
	size_t size;
	uint8_t *bytes = pack(b, &size);
	write_bytes(b, b->path, bytes, size);
	Diag *d = diag_new();
	Options opt = b->opt;
	Module *m = import_onnx(b->path, &opt, d);
	if (!m || !passes_run(m, &opt, 0, d)) {
		diag_print(d, stderr);
		fail();
	}
	assert_int_equal(type_count(m->out->type, 1), n);
	void *y = calloc(n + 1, 4);
	Exec *e = exec_open(m, "interp", 0, err, sizeof err);
	if (!e)
		fail_msg("%s", err);
	assert_int_equal(exec_run(e, (const void *[]){ in0, in1 }, &y, 1), 0);
	for (size_t i = 0; i < n; i++) {
		bool real = m->out->type->elem == E_f32;
		double have = real ? (double)((float *)y)[i] : ((int32_t *)y)[i];
		double is = real ? (double)((const float *)want)[i] : ((const int32_t *)want)[i];
		if (!(fabs(have - is) <= 1e-5 * fmax(1, fabs(is))))
			fail_msg("element %zu is %g, not %g", i, have, is);
	}
	exec_close(e);
	free(y);
	module_free(m);
	diag_free(d);
	build_free(b);
}

/* A model of one node with the inputs x and, where dims1 is given, z. */
static Build *one(int opset, const char *op, const char *in, int type0, const char *dims0, int type1,
                  const char *dims1)
{
	Build *b = build_new(opset);
	add_input(b, "x", type0, dims0);
	if (dims1)
		add_input(b, "z", type1, dims1);
	add_node(b, op, in, "y");
	return b;
}

/* ---- element by element --------------------------------------------------------------------- */

static void whole_numbers(void **state)
{
	(void)state;
	const float x[] = { -2.5f, -1.5f, -0.2f, 0, 0.5f, 1.5f, 2.5f, 3e9f };
	gives(one(13, "Floor", "x", FLOAT, "8", 0, 0), x, 0, REALS(-3, -2, -1, 0, 0, 1, 2, 3e9f));
	gives(one(13, "Ceil", "x", FLOAT, "8", 0, 0), x, 0, REALS(-2, -1, 0, 0, 1, 2, 3, 3e9f));
	gives(one(13, "Round", "x", FLOAT, "8", 0, 0), x, 0, REALS(-2, -2, 0, 0, 0, 2, 2, 3e9f));
	gives(one(13, "Sign", "x", FLOAT, "8", 0, 0), x, 0, REALS(-1, -1, -1, 0, 1, 1, 1, 1));
}

static void remainders(void **state)
{
	(void)state;
	const int32_t x[] = { 7, -7, 7, -7, 6 }, z[] = { 3, 3, -3, -3, 3 };
	gives(one(13, "Mod", "x z", INT64, "5", INT64, "5"), x, z, INTS(1, 2, -2, -1, 0));
	Build *b = one(13, "Mod", "x z", INT64, "5", INT64, "5");
	set_int(b, b->g.node[0], "fmod", 1);
	gives(b, x, z, INTS(1, -1, 1, -1, 0));
}

static void powers(void **state)
{
	(void)state;
	const float x[] = { -2, 0.5f, 4 };
	static const struct { float p; float y[3]; } cases[] = {
		{ 3, { -8, 0.125f, 64 } }, { -1, { -0.5f, 2, 0.25f } }, { -2, { 0.25f, 4, 0.0625f } },
	};
	for (int i = 0; i < 3; i++) {
		Build *b = one(13, "Pow", "x p", FLOAT, "3", 0, 0);
		add_floats(b, "p", "1")->float_data[0] = cases[i].p;
		gives(b, x, 0, cases[i].y, 3);
	}
}

static void clip_by_inputs(void **state)
{
	(void)state;
	const float x[] = { -3, 0, 3 }, z[] = { 1 };
	gives(one(13, "Clip", "x - z", FLOAT, "3", FLOAT, "1"), x, z, REALS(-3, 0, 1));
}

/* ---- moving elements -------------------------------------------------------------------------- */

static void padding(void **state)
{
	(void)state;
	const float x[] = { 1, 2, 3, 4, 5, 6 };
	static const char *const modes[] = { "constant", "edge", "reflect" };
	static const float want[][10] = {
		{ 9, 9, 1, 2, 3, 9, 9, 4, 5, 6 }, { 1, 1, 1, 2, 3, 4, 4, 4, 5, 6 },
		{ 3, 2, 1, 2, 3, 6, 5, 4, 5, 6 },
	};
	for (int i = 0; i < 3; i++) {
		Build *b = one(13, "Pad", i ? "x pads" : "x pads v", FLOAT, "2 3", 0, 0);
		set_string(b, b->g.node[0], "mode", modes[i]);
		add_ints(b, "pads", "4", "0 2 0 0");
		add_floats(b, "v", "1")->float_data[0] = 9;
		gives(b, x, 0, want[i], 10);
	}
	Build *b = one(13, "Pad", "x pads", FLOAT, "2 3", 0, 0);        /* negative: taken away */
	add_ints(b, "pads", "4", "-1 0 0 -1");
	gives(b, x, 0, REALS(4, 5));
	b = one(18, "Pad", "x pads - axes", FLOAT, "2 3", 0, 0);
	add_ints(b, "pads", "2", "1 0");
	add_ints(b, "axes", "1", "-2");
	gives(b, x, 0, REALS(0, 0, 0, 1, 2, 3, 4, 5, 6));
}

static void gather_elements(void **state)
{
	(void)state;
	const float x[] = { 1, 2, 3, 4, 5, 6 };
	const int32_t z[] = { 2, -3, 0, 1 };
	Build *b = one(13, "GatherElements", "x z", FLOAT, "2 3", INT64, "2 2");
	set_int(b, b->g.node[0], "axis", 1);
	gives(b, x, z, REALS(3, 1, 4, 5));
}

static void reverse_sequence(void **state)
{
	(void)state;
	const float x[] = { 1, 2, 3, 4, 5, 6 };         /* 3 steps of 2 sequences */
	const int32_t z[] = { 2, 3 };
	gives(one(13, "ReverseSequence", "x z", FLOAT, "3 2", INT64, "2"), x, z, REALS(3, 6, 1, 4, 5, 2));
	Build *b = one(13, "ReverseSequence", "x lens", FLOAT, "3 2", 0, 0);
	add_ints(b, "lens", "2", "3 3");
	gives(b, x, 0, REALS(5, 6, 3, 4, 1, 2));
}

static void argmax(void **state)
{
	(void)state;
	const float x[] = { 1, 3, 3, -1, -2, -1 };
	Build *b = one(13, "ArgMax", "x", FLOAT, "2 3", 0, 0);
	set_int(b, b->g.node[0], "axis", -1);
	set_int(b, b->g.node[0], "keepdims", 0);
	gives(b, x, 0, INTS(1, 0));
	b = one(13, "ArgMax", "x", FLOAT, "2 3", 0, 0);
	set_int(b, b->g.node[0], "axis", 1);
	set_int(b, b->g.node[0], "select_last_index", 1);
	gives(b, x, 0, INTS(2, 2));
	gives(one(13, "ArgMin", "x", FLOAT, "2 3", 0, 0), x, 0, INTS(1, 1, 1));
}

static void scatter(void **state)
{
	(void)state;
	const float x[] = { 1, 2, 3, 4, 5, 6 }, z[] = { 7, 8 };
	Build *b = one(13, "ScatterND", "x at z", FLOAT, "2 3", FLOAT, "2");    /* a box */
	add_ints(b, "at", "2 2", "1 1 1 2");
	gives(b, x, z, REALS(1, 2, 3, 4, 7, 8));
	b = one(13, "ScatterND", "x at z", FLOAT, "2 3", FLOAT, "2");           /* here and there */
	add_ints(b, "at", "2 2", "1 -1 0 0");
	gives(b, x, z, REALS(8, 2, 3, 4, 5, 7));
	b = one(13, "ScatterND", "x at z", FLOAT, "3 2", FLOAT, "1 2");         /* slices */
	add_ints(b, "at", "1 1", "1");
	gives(b, x, z, REALS(1, 2, 7, 8, 5, 6));
}

/* ---- normalizations, resize -------------------------------------------------------------------- */

static void normalizations(void **state)
{
	(void)state;
	const float x[] = { 1, 3, -2, 2, 0, 10, 6, 2 };
	Build *b = one(17, "LayerNormalization", "x s", FLOAT, "2 4", 0, 0);
	add_floats(b, "s", "4");
	set_float(b, b->g.node[0], "epsilon", 0);
	gives(b, x, 0, REALS(0, 2 * 1.069045f, -3 * 1.603567f, 4 * 0.534522f, -1.171700f, 2 * 1.432078f,
			     3 * 0.390567f,
	                     -4 * 0.650944f));
	b = one(13, "InstanceNormalization", "x s t", FLOAT, "1 2 4", 0, 0);
	add_floats(b, "s", "2");
	add_floats(b, "t", "2");
	set_float(b, b->g.node[0], "epsilon", 0);
	gives(b, x, 0, REALS(1, 2.069045f, -0.603567f, 1.534522f, 2 - 2 * 1.171700f, 2 + 2 * 1.432078f, 2
			     + 2 * 0.390567f,
	                     2 - 2 * 0.650944f));
}

static void resize(void **state)
{
	(void)state;
	const float x[] = { 1, 2, 4 };
	static const struct { const char *mode, *place; float y[6]; } cases[] = {
		{ "nearest", "asymmetric", { 1, 1, 2, 2, 4, 4 } },
		{ "linear", "half_pixel", { 1, 1.25f, 1.75f, 2.5f, 3.5f, 4 } },
		{ "linear", "align_corners", { 1, 1.4f, 1.8f, 2.4f, 3.2f, 4 } },
	};
	for (int i = 0; i < 3; i++) {
		Build *b = one(13, "Resize", "x - scales", FLOAT, "1 1 3", 0, 0);
		set_string(b, b->g.node[0], "mode", cases[i].mode);
		set_string(b, b->g.node[0], "coordinate_transformation_mode", cases[i].place);
		set_string(b, b->g.node[0], "nearest_mode", "floor");
		Onnx__Tensor *t = add_floats(b, "scales", "3");
		t->float_data[1] = 1;
		t->float_data[2] = 2;
		gives(b, x, 0, cases[i].y, 6);
	}
}

/* ---- what is refused ------------------------------------------------------------------------------ */

static void is_refused(Build *b, const char *part)
{
	add_output(b, "y");
	refused(b, part);
	build_free(b);
}

static void refusals(void **state)
{
	(void)state;
	Build *b = one(13, "Pad", "x pads", FLOAT, "2 3", 0, 0);
	set_string(b, b->g.node[0], "mode", "wrap");
	add_ints(b, "pads", "4", "0 1 0 0");
	is_refused(b, "attribute 'mode' = \"wrap\" is not supported");
	b = one(13, "Conv", "x w", FLOAT, "1 2 8", 0, 0);
	add_floats(b, "w", "3 1 2");
	is_refused(b, "the operand has 2 channels");
	b = one(13, "Conv", "x z", FLOAT, "1 2 8", FLOAT, "3 2 2");
	is_refused(b, "operand 'z' is computed from the model's inputs; it must be a constant");
	b = one(13, "Conv", "x w", FLOAT, "1 1 time", 0, 0);
	add_floats(b, "w", "1 1 3");
	pin(b, "time", 2);
	is_refused(b, "fewer than the kernel");
	b = one(16, "ScatterND", "x at z", FLOAT, "2 3", FLOAT, "1 3");
	add_ints(b, "at", "1 1", "0");
	set_string(b, b->g.node[0], "reduction", "add");
	is_refused(b, "attribute 'reduction' = \"add\" is not supported");
	b = one(13, "Resize", "x - scales", FLOAT, "1 1 3", 0, 0);
	add_floats(b, "scales", "3");
	set_string(b, b->g.node[0], "mode", "cubic");
	is_refused(b, "attribute 'mode' = \"cubic\" is not supported");
	b = one(14, "BatchNormalization", "x a a a a", FLOAT, "1 2 3", 0, 0);
	add_floats(b, "a", "2");
	set_int(b, b->g.node[0], "training_mode", 1);
	is_refused(b, "is in training mode");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(whole_numbers),
		cmocka_unit_test(remainders),
		cmocka_unit_test(powers),
		cmocka_unit_test(clip_by_inputs),
		cmocka_unit_test(padding),
		cmocka_unit_test(gather_elements),
		cmocka_unit_test(reverse_sequence),
		cmocka_unit_test(argmax),
		cmocka_unit_test(scatter),
		cmocka_unit_test(normalizations),
		cmocka_unit_test(resize),
		cmocka_unit_test(refusals),
	};
	return cmocka_run_group_tests(tests, 0, 0);
}

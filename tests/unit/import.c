/* import.c: what ONNX models become. */
#include "onnx/import.h"        /* first: cmocka has a macro `fail` */

#include "unit/onnx_build.h"

enum {
	FLOAT = ONNX__TENSOR__DATA_TYPE__FLOAT,
	INT64 = ONNX__TENSOR__DATA_TYPE__INT64,
	FLOAT16 = ONNX__TENSOR__DATA_TYPE__FLOAT16,
};

/* ---- recurrent layers ---------------------------------------------------------------------- */

static Onnx__Node *add_layer(Build *b, const char *op, int gates, const char *in, int dirs)
{
	add_floats(b, "W", arena_printf(b->a, "%d %d 2", dirs, 3 * gates));
	add_floats(b, "R", arena_printf(b->a, "%d %d 3", dirs, 3 * gates));
	Onnx__Node *p = add_node(b, op, in, "Y Yh");
	set_int(b, p, "hidden_size", 3);
	add_output(b, "Y");
	return p;
}

static void lstm(void **state)
{
	Build *b = build_new(14);
	add_input(b, "x", FLOAT, "5 1 2");
	add_layer(b, "LSTM", 4, "x W R", 1);
	char *t = imported(b);
	has(t, "module \"t\"");
	has(t, "input \"x\" f32[5,1,2]");
	has(t, "output \"Y\" f32[5,1,1,3]");
	has(t,
	    "lstm %x, $W, $R, hidden=3, direction=\"forward\", activations=[\"Sigmoid\", \"Tanh\", \"Tanh\"] "
	    "node=\"n0\"");
	build_free(b);
}

static void gru_with_everything(void **state)
{
	Build *b = build_new(14);
	add_input(b, "x", FLOAT, "1 5 2");
	add_floats(b, "B", "2 18");
	add_floats(b, "h", "1 2 3");
	Onnx__Node *p = add_layer(b, "GRU", 3, "x W R B - h", 2);
	set_string(b, p, "direction", "bidirectional");
	set_strings(b, p, "activations", "hardsigmoid RELU LeakyRelu ScaledTanh");
	set_floats(b, p, "activation_alpha", 3, (float[]){ 0.5f, 0.25f, 2 });
	set_floats(b, p, "activation_beta", 2, (float[]){ 0.75f, 3 });
	set_float(b, p, "clip", 4);
	set_int(b, p, "linear_before_reset", 1);
	set_int(b, p, "layout", 1);
	char *t = imported(b);
	has(t,
	    "gru %x, $W, $R, $B, none, $h, hidden=3, direction=\"bidirectional\", "
	    "activations=[\"HardSigmoid\", \"Relu\", \"LeakyRelu\", \"ScaledTanh\"], "
	    "alpha=[0x1p-1, 0x1p-2, 0x1p+1], beta=[0x1.8p-1, 0x1.8p+1], clip=0x1p+2, linear_before_reset=1, "
	    "layout=1");
	has(t, "f32[1,5,2,3], f32[1,2,3] gru");
	build_free(b);
}

/* ---- dynamic dimensions -------------------------------------------------------------------- */

static Build *dynamic_layer(void)
{
	Build *b = build_new(14);
	add_input(b, "x", FLOAT, "seq batch 2");
	add_layer(b, "RNN", 1, "x W R", 1);
	return b;
}

static void time_is_found(void **state)
{
	Build *b = dynamic_layer();
	has(imported(b), "input \"x\" f32[T,1,2]");
	has(b->message, "note: t.onnx: dimension \"batch\" taken as 1; --dim batch=N for another");
	has_not(b->message, "\"seq\"");
	pin(b, "batch", 4);
	has(imported(b), "input \"x\" f32[T,4,2]");
	pin(b, "seq", 7);
	has(imported(b), "input \"x\" f32[7,4,2]");
	has_not(b->message, "note");
	build_free(b);
}

static void pins_are_checked(void **state)
{
	Build *b = dynamic_layer();
	pin(b, "sequence", 4);
	refused(b, "t.onnx: --dim: there is no dynamic dimension \"sequence\"; there is \"seq\", \"batch\"");
	b->opt.ndim = 0;
	pin(b, "seq", 0);
	refused(b, "--dim seq=0: a size from 1");
	build_free(b);
}

static void unnamed_dimensions(void **state)
{
	Build *b = build_new(14);
	add_input(b, "x", FLOAT, "? 1 2");
	add_input(b, "n", INT64, "");
	add_layer(b, "RNN", 1, "x W R", 1);
	imported(b);
	Diag *d = diag_new();
	int n;
	OnnxInput *in = onnx_inputs(b->path, &n, d);
	assert_int_equal(n, 2);
	assert_string_equal(in[0].symbol[0], "x_0");
	assert_int_equal(in[0].dim[0], 0);
	assert_null(in[0].symbol[2]);
	assert_int_equal(in[0].dim[2], 2);
	assert_string_equal(in[1].name, "n");
	assert_true(in[1].type == H_I64 && in[1].rank == 0);
	onnx_inputs_free(in, n);
	diag_free(d);
	pin(b, "x_0", 3);
	has(imported(b), "input \"x\" f32[3,1,2]");
	build_free(b);
}

/* What PyTorch writes in front of a layer: zeros of a shape that is computed from the input's. */
static void shapes_are_folded(void **state)
{
	Build *b = build_new(13);
	add_input(b, "x", FLOAT, "seq batch 2");
	add_floats(b, "W", "1 3 2");
	add_floats(b, "R", "1 3 3");
	add_ints(b, "one", "", "1");
	add_ints(b, "zero", "1", "0");
	add_ints(b, "tail", "1", "3");
	add_node(b, "Shape", "x", "s");
	add_node(b, "Gather", "s one", "n");
	add_node(b, "Unsqueeze", "n zero", "n1");
	add_ints(b, "first", "1", "1");
	add_node(b, "Concat", "first n1 tail", "hs");
	set_int(b, b->g.node[3], "axis", 0);
	add_node(b, "ConstantOfShape", "hs", "h");
	add_node(b, "RNN", "x W R - - h", "Y Yh");
	add_node(b, "Shape", "Y", "ys");
	add_node(b, "Slice", "ys zero first", "front");
	add_node(b, "Concat", "front n1 tail", "want");
	set_int(b, b->g.node[8], "axis", 0);
	add_node(b, "Reshape", "Y want", "y");
	add_output(b, "y");
	char *t = imported(b);
	has(t, "data $h f32[1,1,3] = 0x0p+0");
	has(t, "%y =f32[T,1,3] reshape %Y");
	pin(b, "batch", 2);
	pin(b, "seq", 4);
	t = imported(b);
	has(t, "data $h f32[1,2,3] = 0x0p+0");
	has(t, "%y =f32[4,2,3] reshape %Y");
	build_free(b);
}

static void last_step(void **state)
{
	Build *b = dynamic_layer();
	add_ints(b, "last", "", "-1");
	set_int(b, add_node(b, "Gather", "Y last", "y"), "axis", 0);
	add_output(b, "y");
	char *t = imported(b);
	has(t, "=f32[1,1,1,3] slice %Y, axis=0, at=-1");
	has(t, "=f32[1,1,3] reshape");
	build_free(b);
}

static void time_that_must_be_fixed(void **state)
{
	Build *b = dynamic_layer();
	add_ints(b, "second", "", "1");
	set_int(b, add_node(b, "Gather", "Y second", "y"), "axis", 0);
	add_output(b, "y");
	refused(b, "t.onnx: node 'n1' (Gather): dimension \"seq\" must be fixed: --dim seq=N");
	pin(b, "seq", 2);
	imported(b);
	build_free(b);
}

/* ---- linear algebra ------------------------------------------------------------------------ */

static void matmul_and_bias(void **state)
{
	Build *b = build_new(13);
	add_input(b, "x", FLOAT, "1 2");
	add_floats(b, "W", "2 3");
	add_floats(b, "c", "3");
	add_node(b, "MatMul", "x W", "p");
	add_node(b, "Add", "c p", "y");
	add_output(b, "y");
	char *t = imported(b);
	has(t, "data $W f32[3,2] = [0x1p+0, 0x1p+2, 0x1p+1, 0x1.4p+2, 0x1.8p+1, 0x1.8p+2]");
	has(t, "%y =f32[1,3] linear %x, $W, $c");
	has_not(t, " add ");
	add_output(b, "p");             /* now the product itself is wanted */
	t = imported(b);
	has(t, "%p =f32[1,3] linear %x, $W node");
	has(t, "%y =f32[1,3] add $c, %p");
	build_free(b);
}

static void gemm(void **state)
{
	Build *b = build_new(13);
	add_input(b, "x", FLOAT, "1 2");
	add_floats(b, "W", "2 2");
	add_floats(b, "C", "1 2");
	Onnx__Node *p = add_node(b, "Gemm", "x W C", "y");
	set_int(b, p, "transB", 1);
	set_float(b, p, "alpha", 0.5f);
	set_float(b, p, "beta", -1);
	add_output(b, "y");
	char *t = imported(b);
	has(t, "data $W f32[2,2] = [0x1p-1, 0x1p+0, 0x1.8p+0, 0x1p+1]");
	has(t, "data $C f32[2] = [-0x1p+0, -0x1p+1]");
	has(t, "linear %x, $W, $C");
	build_free(b);
}

static void equal_matrices_are_one(void **state)
{
	Build *b = build_new(13);
	add_input(b, "x", FLOAT, "1 2");
	add_floats(b, "W", "2 2");
	add_floats(b, "V", "2 2");
	add_node(b, "MatMul", "x W", "p");
	add_node(b, "MatMul", "p V", "y");
	add_output(b, "y");
	has(imported(b), "linear %p, $W");
	build_free(b);
}

/* ---- other operators ----------------------------------------------------------------------- */

static void old_softmax(void **state)
{
	Build *b = build_new(11);
	add_input(b, "x", FLOAT, "2 3 4");
	add_node(b, "Softmax", "x", "y");
	add_output(b, "y");
	char *t = imported(b);
	has(t, "=f32[2,12] reshape %x");
	has(t, "softmax %y, axis=1");
	b->set.version = 13;
	has(imported(b), "softmax %x, axis=2");
	build_free(b);
}

static void branch_is_chosen(void **state)
{
	Build *b = build_new(13);
	add_input(b, "x", FLOAT, "2");
	add_ints(b, "k", "", "3");
	add_node(b, "Equal", "k k", "c");
	Onnx__Node *p = add_node(b, "If", "c", "y");
	const char *const branch[] = { "then_branch", "else_branch" }, *const op[] = { "Tanh", "Sigmoid" };
	Build *in[2];
	for (int i = 0; i < 2; i++) {
		in[i] = build_new(13);
		add_node(in[i], op[i], "x", "z");
		add_output(in[i], "z");
		add_attr(b, p, branch[i], ONNX__ATTRIBUTE__TYPE__GRAPH)->g = &in[i]->g;
	}
	add_output(b, "y");
	char *t = imported(b);
	has(t, "tanh %x");
	has_not(t, "sigmoid");
	build_free(in[0]);
	build_free(in[1]);
	build_free(b);
}

static void odd_names(void **state)
{
	Build *b = build_new(13);
	add_input(b, "1/x:\xc3\xa9", FLOAT, "2");
	add_node(b, "Tanh", "1/x:\xc3\xa9", "while");
	add_node(b, "Tanh", "while", "/a/b");
	add_node(b, "Tanh", "/a/b", "_a.b");
	add_output(b, "_a.b");
	char *t = imported(b);
	has(t, "input \"1/x:\\xc3\\xa9\"");
	has(t, "output \"_a.b\"");
	build_free(b);
}

static void external_data(void **state)
{
	Build *b = build_new(13);
	add_input(b, "x", FLOAT, "2");
	Onnx__Tensor *w = add_tensor(b, "w", FLOAT, "2");
	Onnx__StringStringEntry e[3], *list[3];
	const char *const text[][2] = { { "location", "w.bin" }, { "offset", "4" }, { "length", "8" } };
	for (int i = 0; i < 3; i++) {
		onnx__string_string_entry__init(&e[i]);
		e[i].key = (char *)text[i][0];
		e[i].value = (char *)text[i][1];
		list[i] = &e[i];
	}
	w->data_location = ONNX__TENSOR__LOCATION__EXTERNAL;
	w->external_data = list;
	w->n_external_data = 3;
	add_node(b, "Add", "x w", "y");
	add_output(b, "y");
	char *bin = arena_printf(b->a, "%s/w.bin", b->folder);
	write_bytes(b, bin, (float[]){ 1, 2, 3 }, 12);
	has(imported(b), "data $w f32[2] = [0x1p+1, 0x1.8p+1]");
	unlink(bin);
	build_free(b);
}

static void test_tensors(void **state)
{
	Build *b = build_new(13);
	Onnx__Tensor *t = new_tensor(b, "h", FLOAT16, "3");
	int32_t half[] = { 0x3c00, 0x0001, 0xfc00 };
	t->int32_data = half;
	t->n_int32_data = 3;
	uint8_t bytes[200];
	write_bytes(b, b->path, bytes, onnx__tensor__pack(t, bytes));
	Diag *d = diag_new();
	Tensor *h = read_tensor_pb(b->path, d);
	assert_non_null(h);
	assert_true(h->type == H_F16 && h->rank == 1 && h->count == 3);
	assert_true(tensor_get(h, 0) == 1 && tensor_get(h, 1) == 0x1p-24 && tensor_get(h, 2) == -1.0 / 0.0);
	tensor_free(h);
	write_bytes(b, b->path, bytes, 5);
	assert_null(read_tensor_pb(b->path, d));
	assert_int_equal(diag_errors(d), 1);
	diag_free(d);
	build_free(b);
}

/* ---- integers with T in them --------------------------------------------------------------- */

static void check_sym(SymOp *op, Sym x, Sym y, SymStatus status, Sym z)
{
	Sym got = { 0, 0 };
	assert_int_equal(op(x, y, &got), status);
	if (status == SYM_OK)
		assert_true(got.a == z.a && got.b == z.b);
}

static void sums_with_t(void **state)
{
	const Sym t = {1, 0}, one = {0, 1}, two = {0, 2}, six = {0, 6}, zero = {0, 0}, far = {0, INT64_MAX};
	const Sym t4 = { 4, 0 }, t_1 = { 1, -1 };
	check_sym(sym_add, t, one, SYM_OK, (Sym){ 1, 1 });
	check_sym(sym_sub, t, t, SYM_OK, zero);
	check_sym(sym_mul, t, six, SYM_OK, (Sym){ 6, 0 });
	check_sym(sym_mul, t, t, SYM_PIN, zero);
	check_sym(sym_div, t4, two, SYM_OK, (Sym){ 2, 0 });
	check_sym(sym_div, t4, t, SYM_OK, (Sym){ 0, 4 });
	check_sym(sym_div, t, two, SYM_PIN, zero);
	check_sym(sym_div, six, zero, SYM_ZERO, zero);
	check_sym(sym_div, (Sym){ 0, -7 }, two, SYM_OK, (Sym){ 0, -3 });
	check_sym(sym_div, (Sym){ 0, INT64_MIN }, (Sym){ 0, -1 }, SYM_OVERFLOW, zero);
	check_sym(sym_div, (Sym){ 2, -2 }, t_1, SYM_PIN, zero);         /* 0 / 0 at T = 1 */
	check_sym(sym_mod, (Sym){ 0, -7 }, two, SYM_OK, one);
	check_sym(sym_mod, (Sym){ 4, 3 }, two, SYM_OK, one);
	check_sym(sym_mod, t, two, SYM_PIN, zero);
	check_sym(sym_add, far, one, SYM_OVERFLOW, zero);
	check_sym(sym_pow, two, six, SYM_OK, (Sym){ 0, 64 });
	check_sym(sym_pow, two, (Sym){ 0, 63 }, SYM_OVERFLOW, zero);
	check_sym(sym_pow, (Sym){ 0, -1 }, far, SYM_OK, (Sym){ 0, -1 });
	check_sym(sym_equal, t, (Sym){ 0, -1 }, SYM_OK, zero);          /* T is at least 1 */
	check_sym(sym_equal, t, one, SYM_PIN, zero);
	check_sym(sym_less, zero, t, SYM_OK, one);
	check_sym(sym_less, t, one, SYM_OK, zero);
	check_sym(sym_lesseq, one, t, SYM_OK, one);
	check_sym(sym_less, one, t, SYM_PIN, zero);
	check_sym(sym_max, one, t, SYM_OK, t);
	check_sym(sym_min, t, (Sym){ 1, 3 }, SYM_OK, t);
	check_sym(sym_min, t, two, SYM_PIN, zero);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(lstm),
		cmocka_unit_test(gru_with_everything),
		cmocka_unit_test(time_is_found),
		cmocka_unit_test(pins_are_checked),
		cmocka_unit_test(unnamed_dimensions),
		cmocka_unit_test(shapes_are_folded),
		cmocka_unit_test(last_step),
		cmocka_unit_test(time_that_must_be_fixed),
		cmocka_unit_test(matmul_and_bias),
		cmocka_unit_test(gemm),
		cmocka_unit_test(equal_matrices_are_one),
		cmocka_unit_test(old_softmax),
		cmocka_unit_test(branch_is_chosen),
		cmocka_unit_test(odd_names),
		cmocka_unit_test(external_data),
		cmocka_unit_test(test_tensors),
		cmocka_unit_test(sums_with_t),
	};
	return cmocka_run_group_tests(tests, 0, 0);
}

/* import_quant.c: quantized models: what their operators compute, and what is refused. */
#include "unit/onnx_run.h"

enum {
	FLOAT = ONNX__TENSOR__DATA_TYPE__FLOAT,
	INT8 = ONNX__TENSOR__DATA_TYPE__INT8,
	UINT8 = ONNX__TENSOR__DATA_TYPE__UINT8,
	INT32 = ONNX__TENSOR__DATA_TYPE__INT32,
	INT64 = ONNX__TENSOR__DATA_TYPE__INT64,
};

static Onnx__Tensor *add_typed(Build *b, const char *name, int type, const char *dims, const char *values)
{
	size_t n;
	char **w = words(b, values, &n);
	Onnx__Tensor *t = add_tensor(b, name, type, dims);
	t->n_int32_data = n;
	t->int32_data = NEWN(b->a, int32_t, n);
	for (size_t i = 0; i < n; i++)
		t->int32_data[i] = atoi(w[i]);
	return t;
}

static void add_scale(Build *b, const char *name, float v)
{
	add_floats(b, name, "")->float_data[0] = v;
}

static void refuse(Build *b, const char *part)
{
	refused(b, part);
	build_free(b);
}

/* x: 2 rows of 3; scale s, zero points z (i8) and u (u8). */
static Build *start(int opset, float scale, const char *zero)
{
	Build *b = build_new(opset);
	add_input(b, "x", FLOAT, "2 3");
	add_scale(b, "s", scale);
	add_typed(b, "z", INT8, "", zero);
	add_typed(b, "u", UINT8, "", zero);
	return b;
}

static void rounds_and_saturates(void **state)
{
	Build *b = start(13, 0.5f, "10");
	add_node(b, "QuantizeLinear", "x s z", "q");
	add_node(b, "DequantizeLinear", "q s z", "y");
	add_output(b, "y");
	has(imported(b), "range=[-0x1.14p+6, 0x1.d4p+5]");
	const void *in[] = { (float[]){ 0.25f, 0.75f, -0.25f, -0.75f, 1000, -1000 } };
	gives(b, in, 2, 6, (float[]){ 0, 1, 0, -1, 58.5f, -69 });
	b->g.output[0]->name = arena_strdup(b->a, "q");
	gives(b, in, 2, 6, (float[]){ 10, 12, 10, 8, 127, -128 });
	b->g.node[0]->n_input = 2;      /* without a zero point: uint8 */
	gives(b, in, 2, 6, (float[]){ 0, 2, 0, 0, 255, 0 });
	build_free(b);
}

static void scale_for_each_row(void **state)
{
	Build *b = start(13, 1, "0");
	add_floats(b, "S", "2");        /* 1, 2 */
	add_typed(b, "Z", INT8, "2", "0 1");
	set_int(b, add_node(b, "QuantizeLinear", "x S Z", "q"), "axis", 0);
	set_int(b, add_node(b, "DequantizeLinear", "q S Z", "y"), "axis", -2);
	add_output(b, "y");
	gives(b, (const void *[]){(float[]){1.5f, 2.5f, 3, 3, 5, 6}}, 2, 6, (float[]){2, 2, 3, 4, 4, 6});
	build_free(b);
}

/* Weights become reals here. */
static void constants(void **state)
{
	Build *b = start(13, 0.25f, "1");
	add_typed(b, "W", INT8, "3 2", "1 2 3 4 5 -128");
	add_node(b, "DequantizeLinear", "W s z", "w");
	add_node(b, "MatMul", "x w", "y");
	add_output(b, "y");
	has(imported(b), "data $w f32[2,3] = [0x0p+0, 0x1p-1, 0x1p+0, 0x1p-2, 0x1.8p-1, -0x1.02p+5]");
	add_node(b, "QuantizeLinear", "w s z", "back");
	add_node(b, "Cast", "back", "r");
	set_int(b, b->g.node[3], "to", FLOAT);
	b->g.output[0]->name = arena_strdup(b->a, "r");
	has(imported(b), "[0x1p+0, 0x1p+1, 0x1.8p+1, 0x1p+2, 0x1.4p+2, -0x1p+7]");
	build_free(b);
}

static void dynamic(void **state)
{
	Build *b = start(13, 1, "0");
	add_node(b, "DynamicQuantizeLinear", "x", "q s1 z1");
	add_node(b, "DequantizeLinear", "q s1 z1", "y");
	add_output(b, "y");
	gives(b, (const void *[]){(float[]){-51, 204, 1, 0.5f, -0.5f, 2.5f}}, 2, 6,
	      (float[]){-51, 204, 1, 0, 0, 2});
	gives(b, (const void *[]){ (float[]){ 0, 0, 0, 0, 0, 0 } }, 2, 6, (float[]){ 0, 0, 0, 0, 0, 0 });
	build_free(b);
}

static void integer_products(void **state)
{
	Build *b = start(13, 1, "2");
	add_typed(b, "W", INT8, "3 2", "1 2 3 4 5 6");
	add_node(b, "QuantizeLinear", "x s u", "q");
	add_node(b, "MatMulInteger", "q W u z", "p");
	add_node(b, "Cast", "p", "y");
	set_int(b, b->g.node[2], "to", FLOAT);
	add_output(b, "y");
	const void *in[] = { (float[]){ 1, 2, 3, 4, 5, 6 } };
	has_not(imported(b), "cast %p");        /* to float and back is nothing */
	gives(b, in, 2, 4, (float[]){ 10, 16, 19, 34 });
	b->g.output[0]->name = arena_strdup(b->a, "p");
	const int32_t *y = computed(b, in, 2, 4);
	assert_true(y[0] == 10 && y[1] == 16 && y[2] == 19 && y[3] == 34);
	build_free(b);
}

static void quantized_products(void **state)
{
	Build *b = start(13, 0.5f, "0");
	add_scale(b, "ys", 2);
	add_typed(b, "W", INT8, "3 2", "1 2 3 4 5 6");
	add_node(b, "QuantizeLinear", "x s z", "q");
	add_node(b, "QLinearMatMul", "q s z W s z ys z", "p");
	add_node(b, "DequantizeLinear", "p ys z", "y");
	add_output(b, "y");
	/* 1 2 3 by halves of W: 11, 14; 4 5 6: 24.5, 32; in steps of 2 */
	gives(b, (const void *[]){ (float[]){ 1, 2, 3, 4, 5, 6 } }, 2, 4, (float[]){ 12, 14, 24, 32 });
	build_free(b);
}

static void convolutions(void **state)
{
	Build *b = build_new(13);
	add_input(b, "x", FLOAT, "1 2 3");
	add_scale(b, "s", 1);
	add_typed(b, "z", INT8, "", "0");
	add_floats(b, "ws", "2");       /* 1, 2 */
	add_typed(b, "wz", INT8, "2", "0 0");
	add_typed(b, "W", INT8, "2 2 1", "1 2 3 4");
	add_typed(b, "B", INT32, "2", "10 20");
	add_node(b, "QuantizeLinear", "x s z", "q");
	add_node(b, "QLinearConv", "q s z W ws wz s z B", "p");
	add_node(b, "DequantizeLinear", "p s z", "y");
	add_output(b, "y");
	const void *in[] = { (float[]){ 1, 2, 3, 0, 1, 0 } };
	gives(b, in, 3, 6, (float[]){ 11, 14, 13, 46, 60, 58 });
	add_node(b, "ConvInteger", "q W z z", "i");
	b->g.output[0]->name = arena_strdup(b->a, "i");
	const int32_t *y = computed(b, in, 3, 6);
	static const int32_t want[] = { 1, 4, 3, 3, 10, 9 };
	assert_memory_equal(y, want, sizeof want);
	build_free(b);
}

static void lstm(void **state)
{
	Build *b = build_new(13);
	add_input(b, "x", FLOAT, "5 1 2");
	add_typed(b, "W", INT8, "1 2 4", "1 2 3 4 5 6 7 8");
	add_typed(b, "R", INT8, "1 1 4", "1 2 3 4");
	add_scale(b, "s", 0.5f);
	b->g.initializer[2]->dims = (int64_t[]){ 1 };
	b->g.initializer[2]->n_dims = 1;
	add_typed(b, "z", INT8, "1", "0");
	Onnx__Node *p = add_node(b, "DynamicQuantizeLSTM", "x W R - - - - - s z s z", "Y");
	p->domain = arena_strdup(b->a, "com.microsoft");
	set_int(b, p, "hidden_size", 1);
	add_output(b, "Y");
	char *t = imported(b);
	has(t, "f32[1,4,2] = [0x1p-1, 0x1.4p+1, 0x1p+0, 0x1.8p+1, 0x1.8p+0, 0x1.cp+1, 0x1p+1, 0x1p+2]");
	has(t, "=f32[5,1,1,1], f32[1,1,1], f32[1,1,1] lstm %x, ");
	b->g.node[0]->domain = arena_strdup(b->a, "com.example");
	refuse(b, "operator DynamicQuantizeLSTM of domain com.example is not supported");
}

static void forms_refused(void **state)
{
	Build *b = start(21, 1, "0");
	Onnx__Node *p = add_node(b, "QuantizeLinear", "x s z", "y");
	add_output(b, "y");
	set_int(b, p, "block_size", 2);
	refused(b, "node 'n0' (QuantizeLinear): attribute 'block_size' = 2 is not supported; supported: 0");
	p->n_attribute = 0;
	set_int(b, p, "precision", 1);
	refused(b, "attribute 'precision' is not known in opset 21");
	b->set.version = 23;
	refused(b, "attribute 'precision' = 1 is not supported; supported: 0");
	p->n_attribute = 0;
	p->n_input = 2;
	set_int(b, p, "output_dtype", INT64);
	refused(b, "from float32 to int64 is not supported; supported: to integers of 8 and 16 bits");
	add_floats(b, "S", "2");
	p->n_attribute = 0;
	p->input = words(b, "x S", &p->n_input);
	refused(b, "its scale has 2 numbers, axis 1 of the operand 3");
	b->set.version = 10;
	p->input = words(b, "x s z", &p->n_input);
	set_int(b, p, "axis", 0);
	refused(b, "attribute 'axis' is not known in opset 10");
	p->n_attribute = 0;
	b->set.version = 14;
	add_node(b, "Add", "y y", "d");
	b->g.output[0]->name = arena_strdup(b->a, "d");
	refuse(b, "(Add): operands are int8, which wraps around; that is supported on constants only");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(rounds_and_saturates),
		cmocka_unit_test(scale_for_each_row),
		cmocka_unit_test(constants),
		cmocka_unit_test(dynamic),
		cmocka_unit_test(integer_products),
		cmocka_unit_test(quantized_products),
		cmocka_unit_test(convolutions),
		cmocka_unit_test(lstm),
		cmocka_unit_test(forms_refused),
	};
	return cmocka_run_group_tests(tests, 0, 0);
}

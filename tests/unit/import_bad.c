/* import_bad.c: models that must be refused, with the message. */
#include "unit/onnx_build.h"

enum {
	FLOAT = ONNX__TENSOR__DATA_TYPE__FLOAT,
	INT64 = ONNX__TENSOR__DATA_TYPE__INT64,
	INT4 = ONNX__TENSOR__DATA_TYPE__INT4,
};

/* A model of one node, x: float [2,3]. */
static Build *one(int opset, const char *op, const char *in)
{
	Build *b = build_new(opset);
	add_input(b, "x", FLOAT, "2 3");
	add_node(b, op, in, "y");
	add_output(b, "y");
	return b;
}

static void refuse(Build *b, const char *part)
{
	refused(b, part);
	build_free(b);
}

/* ---- files --------------------------------------------------------------------------------- */

static void damaged_files(void **state)
{
	Build *b = one(13, "Gemm", "x W");
	add_floats(b, "W", "3 4");
	size_t n;
	uint8_t *bytes = pack(b, &n);
	for (size_t i = 0; i < n; i++) {
		write_bytes(b, b->path, bytes, i);
		Module *m = import_file(b);
		module_free(m); /* where a field ends, what is left may be a model of its own */
		if (!m)
			has(b->message, "error: t.onnx: ");
	}
	for (size_t i = 0; i < 8 * n; i++) {
		bytes[i / 8] ^= (uint8_t)(1 << i % 8);
		write_bytes(b, b->path, bytes, n);
		module_free(import_file(b));
		bytes[i / 8] ^= (uint8_t)(1 << i % 8);
	}
	write_bytes(b, b->path, bytes, 0);
	assert_null(import_file(b));
	has(b->message, "t.onnx: not an ONNX model: it holds no graph");
	write_bytes(b, b->path, "this is text, not a model", 25);
	assert_null(import_file(b));
	has(b->message, "t.onnx: not a readable ONNX model: damaged or truncated at byte ");
	unlink(b->path);
	assert_null(import_file(b));
	has(b->message, "No such file");
	build_free(b);
}

static uint8_t *varint(uint8_t *p, uint64_t v)
{
	for (; v > 127; v >>= 7)
		*p++ = (uint8_t)(v | 128);
	*p++ = (uint8_t)v;
	return p;
}

/* graph.node.attribute.g.node ... 20,000 levels deep. */
static void nested_subgraphs(void **state)
{
	enum { LEVELS = 20000, ROOM = 10 * LEVELS };
	static const uint8_t fields[] = { 1 << 3 | 2, 5 << 3 | 2, 6 << 3 | 2 };
	Build *b = build_new(13);
	uint8_t *bytes = arena_alloc(b->a, ROOM), *end = bytes + ROOM, *at = end;
	for (int i = 0; i < LEVELS; i++) {
		uint8_t head[20], *h = head;
		*h++ = i == LEVELS - 1 ? 7 << 3 | 2 : fields[(LEVELS + 1 - i) % 3];
		h = varint(h, (uint64_t)(end - at));
		at -= h - head;
		memcpy(at, head, (size_t)(h - head));
	}
	write_bytes(b, b->path, at, (size_t)(end - at));
	assert_null(import_file(b));
	has(b->message, "t.onnx: not a readable ONNX model: nested more than 100 levels deep");
	build_free(b);
}

static void fields_that_come_twice(void **state)
{
	Build *b = one(13, "Tanh", "x");
	size_t n;
	uint8_t *bytes = pack(b, &n), *twice = arena_alloc(b->a, 2 * n);
	memcpy(twice, bytes, n);
	memcpy(twice + n, bytes, n);
	write_bytes(b, b->path, twice, 2 * n);
	assert_null(import_file(b));
	has(b->message, "Model.graph comes twice (byte ");
	build_free(b);
}

static void opsets(void **state)
{
	Build *b = one(13, "Tanh", "x");
	b->set.version = 99;
	refused(b, "t.onnx: opset 99 of ai.onnx is not known; 1 to ");
	b->set.version = 0;
	refuse(b, "opset 0 of ai.onnx is not known");
}

/* ---- names --------------------------------------------------------------------------------- */

static void names(void **state)
{
	Build *b = one(13, "Add", "x z");
	refuse(b, "t.onnx: 'z' is used by node 'n0' (Add) but defined nowhere");
	b = one(13, "Add", "x z");
	add_node(b, "Tanh", "y", "z");
	refuse(b, "t.onnx: 'z' is used by node 'n0' (Add) before it is computed: a cycle, or nodes out of "
		  "order");
	b = one(13, "Add", "x y");
	refuse(b, "'y' is used by node 'n0' (Add) before it is computed");
	b = one(13, "Tanh", "x");
	add_node(b, "Tanh", "x", "y");
	refuse(b, "t.onnx: 'y' is defined twice");
	b = one(13, "Tanh", "x");
	add_input(b, "x", FLOAT, "1");
	refuse(b, "t.onnx: 'x' is an input twice");
	b = one(13, "Tanh", "x");
	add_output(b, "q");
	refuse(b, "t.onnx: 'q' is an output but defined nowhere");
	b = one(13, "Tanh", "x");
	b->g.n_output = 0;
	refuse(b, "t.onnx: the graph has no output");
	b = one(13, "Tanh", "x");
	add_input(b, "", FLOAT, "1");
	refuse(b, "t.onnx: an input has no name");
	b = one(13, "Tanh\n\033[31m", "x");
	refuse(b, "operator Tanh??[31m (ai.onnx, opset 13) is not supported");
}

static void inputs(void **state)
{
	Build *b = one(13, "Tanh", "x");
	b->g.input[0]->type->tensor_type->shape = 0;
	refuse(b, "t.onnx: input 'x' has no shape; its rank must be known");
	b = one(13, "Tanh", "x");
	b->g.input[0]->type = 0;
	refuse(b, "t.onnx: input 'x' is not a tensor");
	b = one(13, "Tanh", "x");
	add_input(b, "s", ONNX__TENSOR__DATA_TYPE__TEXT, "1");
	refuse(b, "t.onnx: input 's' has element type string, which is not supported");
	b = one(13, "Tanh", "x");
	add_input(b, "s", FLOAT, "1 1 1 1 1 1 1 1 1");
	refuse(b, "t.onnx: input 's' has 9 dimensions; 8 are supported");
	b = one(13, "Tanh", "x");
	add_input(b, "s", FLOAT, "99999999999");
	refuse(b, "t.onnx: input 's': dimension 0 is 99999999999, which is too large");
}

/* ---- tensors ------------------------------------------------------------------------------- */

static void sizes_of_tensors(void **state)
{
	static const struct { const char *dims; int type, floats; const char *message;
	} cases[] = {
		{"4 4", FLOAT, 3, "initializer 'W': dimensions need 16 elements, the file holds 3"},
		{"4 4", FLOAT, 0, "initializer 'W': type and dimensions need 64 bytes, the file holds 0"},
		{"2147483647 2147483647 2147483647", FLOAT, 1,
		 "initializer 'W': dimension 1 is 2147483647: the size overflows"},
		{"-1", FLOAT, 1, "initializer 'W': dimension 0 is -1: the size overflows"},
		{"1 1 1 1 1 1 1 1 1", FLOAT, 1, "initializer 'W': has 9 dimensions; 8 are supported"},
		{"1", INT4, 0, "initializer 'W': element type int4 is not supported"},
		{"1", 77, 0, "initializer 'W': element type of an unknown number is not supported"},
	};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		Build *b = one(13, "Add", "x W");
		Onnx__Tensor *t = add_tensor(b, "W", cases[i].type, cases[i].dims);
		t->n_float_data = (size_t)cases[i].floats;
		t->float_data = NEWN(b->a, float, 4);
		refuse(b, cases[i].message);
	}
	Build *b = one(13, "Add", "x W");
	Onnx__Tensor *t = add_floats(b, "W", "3");
	t->raw_data = (ProtobufCBinaryData){ 12, NEWN(b->a, uint8_t, 12) };
	refuse(b, "initializer 'W': holds its elements twice");
	b = one(13, "Gather", "W x");
	b->g.input[0]->type->tensor_type->elem_type = INT64;
	add_ints(b, "W", "2", "1 3000000000");
	refuse(b, "t.onnx: node 'n0' (Gather): constant 'W' holds 3000000000, which does not fit 32 bits");
}

static void external(Build *b, const char *location, const char *offset, const char *message)
{
	Onnx__Tensor *t = b->g.initializer[0];
	Onnx__StringStringEntry e[2], *list[] = { &e[0], &e[1] };
	for (int i = 0; i < 2; i++)
		onnx__string_string_entry__init(&e[i]);
	e[0].key = (char *)"location";
	e[0].value = (char *)location;
	e[1].key = (char *)"offset";
	e[1].value = (char *)offset;
	t->external_data = list;
	t->n_external_data = 2;
	refused(b, message);
}

static void external_data(void **state)
{
	Build *b = one(13, "Add", "x W");
	add_tensor(b, "W", FLOAT, "3")->data_location = ONNX__TENSOR__LOCATION__EXTERNAL;
	char *bin = arena_printf(b->a, "%s/w.bin", b->folder),
	     *outside = arena_printf(b->a, "%s.bin", b->folder);
	char *link = arena_printf(b->a, "%s/link", b->folder);
	write_bytes(b, bin, "0123456789abcdef", 16);
	write_bytes(b, outside, "0123456789abcdef", 16);
	assert_int_equal(symlink(outside, link), 0);
	external(b, outside, "0", "is not a plain path inside the model's folder");
	external(b, arena_printf(b->a, "../%s", strrchr(outside, '/') + 1), "0",
		 "is not a plain path inside the model's folder");
	external(b, "a/../../x", "0", "is not a plain path inside the model's folder");
	external(b, "", "0", "is not a plain path inside the model's folder");
	external(b, "link", "0", "initializer 'W': external data \"link\": lies outside the model's folder");
	external(b, "none.bin", "0", "external data \"none.bin\": No such file");
	external(b, ".", "0", "external data \".\"");
	external(b, "w.bin", "5", "external data \"w.bin\" has 16 bytes; bytes 5 to 17 are asked for");
	external(b, "w.bin", "9223372036854775807", "has 16 bytes");
	external(b, "w.bin", "-4", "external data: offset \"-4\" is not a number");
	external(b, "w.bin", "0x4", "external data: offset \"0x4\" is not a number");
	Onnx__StringStringEntry entry[2], *entries[] = { &entry[0], &entry[1] };
	onnx__string_string_entry__init(&entry[0]);
	onnx__string_string_entry__init(&entry[1]);
	entry[0].key = (char *)"location";
	entry[0].value = (char *)"w.bin";
	entry[1].key = (char *)"length";
	entry[1].value = (char *)"8";
	Onnx__Tensor *t = b->g.initializer[0];
	t->external_data = entries;
	refused(b, "initializer 'W': external data: length is 8, but type and dimensions need 12 bytes");
	t->dims[0] = INT64_C(1) << 50;
	refused(b, "initializer 'W': tensors ask for more external data than there is");
	unlink(bin);
	unlink(link);
	unlink(outside);
	build_free(b);
}

/* What only the file itself can get wrong. */
static void parts_of_files(void **state)
{
	Build *b = one(13, "Add", "x W");
	Onnx__OperatorSetId other = b->set, *sets[] = { &b->set, &other };
	add_floats(b, "W", "3");
	other.version = 14;
	b->m.opset_import = sets;
	b->m.n_opset_import = 2;
	refused(b, "t.onnx: imports opset 13 and opset 14 of ai.onnx");
	b->m.n_opset_import = 1;
	Onnx__Tensor__Segment segment;
	onnx__tensor__segment__init(&segment);
	b->g.initializer[0]->segment = &segment;
	refused(b, "initializer 'W': is split into segments, which is not supported");
	b->g.initializer[0]->segment = 0;
	Onnx__SparseTensor sparse, *list[] = { &sparse };
	onnx__sparse_tensor__init(&sparse);
	sparse.values = new_tensor(b, "S", FLOAT, "1");
	b->g.sparse_initializer = list;
	b->g.n_sparse_initializer = 1;
	refuse(b, "t.onnx: initializer 'S' is sparse, which is not supported");
	b = one(13, "Constant", "");
	Onnx__Attribute *a = add_attr(b, b->g.node[0], "value", ONNX__ATTRIBUTE__TYPE__TENSOR);
	a->t = new_tensor(b, "c", FLOAT, "1");
	a->t->data_location = ONNX__TENSOR__LOCATION__EXTERNAL;
	refuse(b, "attribute 'value': external data is supported for initializers only");
	b = one(13, "Tanh", "x");
	static const uint8_t odd[] = { 7 << 3 | 0, 1 };         /* Model.graph as a number */
	write_bytes(b, b->path, odd, sizeof odd);
	assert_null(import_file(b));
	has(b->message, "t.onnx: not a readable ONNX model: its fields do not have the types they should");
	char *path = arena_printf(b->a, "%s/t.pb", b->folder);
	static const uint8_t pair[] = { 2 << 3 | 2, 1, 'x' };   /* Tensor.data_type as text */
	write_bytes(b, path, pair, sizeof pair);
	Diag *d = diag_new();
	assert_null(read_tensor_pb(path, d));
	char *text;
	size_t n;
	FILE *f = open_memstream(&text, &n);
	diag_print(d, f);
	fclose(f);
	has(text, "t.pb: not a readable tensor: its fields do not have the types they should");
	free(text);
	diag_free(d);
	unlink(path);
	build_free(b);
}

/* ---- nodes --------------------------------------------------------------------------------- */

static void nodes(void **state)
{
	Build *b = one(13, "Frobnicate", "x");
	add_node(b, "Mumble", "x", "z");
	b->g.node[1]->domain = (char *)"com.acme";
	b->g.node[1]->name = (char *)"";
	add_output(b, "z");
	refused(b,
		"t.onnx: node 'n0' (Frobnicate): operator Frobnicate (ai.onnx, opset 13) is not supported");
	has(b->message, "t.onnx: node #1 (Mumble): operator Mumble of domain com.acme is not supported");
	has(b->message, "note: t.onnx: supported operators: Abs Add ");
	build_free(b);
	refuse(one(13, "Tanh", "x x"), "t.onnx: node 'n0' (Tanh): has 2 operands; it takes 1");
	refuse(one(13, "Gemm", "x"), "t.onnx: node 'n0' (Gemm): has 1 operands; it takes 2 to 3");
	refuse(one(13, "Gemm", "- x"), "t.onnx: node 'n0' (Gemm): operand 0 is missing");
	b = one(13, "Tanh", "x");
	set_int(b, b->g.node[0], "alpha", 1);
	refuse(b, "t.onnx: node 'n0' (Tanh): attribute 'alpha' is not known in opset 13");
	b = one(13, "Flatten", "x");
	set_float(b, b->g.node[0], "axis", 1);
	refuse(b, "t.onnx: node 'n0' (Flatten): attribute 'axis' is of kind float; it must be int");
	b = one(13, "Flatten", "x");
	set_int(b, b->g.node[0], "axis", 1);
	set_int(b, b->g.node[0], "axis", 0);
	refuse(b, "t.onnx: node 'n0' (Flatten): attribute 'axis' comes twice");
	b = one(13, "Unsqueeze", "x");
	set_ints(b, b->g.node[0], "axes", "0");
	refuse(b, "t.onnx: node 'n0' (Unsqueeze): attribute 'axes' is not known in opset 13");
}

/* An operator with operands x [2,3] and integers i; one attribute of integers or an integer. */
static void shapes(void **state)
{
	static const struct { const char *op, *i, *name, *value, *message; } cases[] = {
		{ "Reshape", "4 2", 0, 0, "the operand has 6 elements, the shape 8" },
		{ "Reshape", "-1 -1", 0, 0, "the shape leaves two dimensions open" },
		{ "Reshape", "4 -1", 0, 0, "6 elements cannot be arranged in rows of 4" },
		{ "Reshape", "1 1 0", 0, 0, "the shape takes dimension 2 from an operand that has 2" },
		{ "Reshape", "-2 3", 0, 0, "dimension 0 of the shape is -2" },
		{ "Reshape", "9223372036854775807 9223372036854775807", 0, 0, "the shape's size overflows" },
		{ "Squeeze", "0", 0, 0, "axis 0 has size 2; only axes of size 1 can be dropped" },
		{ "Unsqueeze", "0 0", 0, 0, "axis 0 comes twice" },
		{ "Unsqueeze", "7", 0, 0, "axis 7 is not one of a tensor of rank 3" },
		{ "Expand", "2 4", 0, 0, "operands of sizes 3 and 4 along axis 1 do not fit together" },
		{ "Expand", "-1", 0, 0, "dimension 0 would be -1" },
		{ "Gather", "7", 0, 0, "index 7 is outside of an axis of 2" },
		{ "Gather", "0", "axis", "2", "axis 2 is not one of a tensor of rank 2" },
		{ "Split", "3", 0, 0, "1 sizes that sum to 3 for 1 results of an axis of 2" },
		{ "Split", "1 2", 0, 0, "operand 1 ('i') has 2 elements; at most 1 make sense" },
		{ "Tile", "1", 0, 0, "has 1 repeats for 2 dimensions" },
		{ "Tile", "1 -1", 0, 0, "repeats -1 times" },
		{ "Tile", "4000000000 1", 0, 0, "the result's size overflows" },
		{ "Add", "1", 0, 0, "operands are float32 and int64; they must be alike" },
		{ "MatMul", "1", 0, 0, "operands are float32 and int64" },
		{ "ReduceSum", "5", 0, 0, "axis 5 is not one of a tensor of rank 2" },
	};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		Build *b = one(13, cases[i].op, "x i");
		size_t n;
		words(b, cases[i].i, &n);
		add_ints(b, "i", arena_printf(b->a, "%zu", n), cases[i].i);
		if (cases[i].name)
			set_int(b, b->g.node[0], cases[i].name, atoll(cases[i].value));
		refuse(b, arena_printf(b->a, "t.onnx: node 'n0' (%s): %s", cases[i].op, cases[i].message));
	}
}

static void other_operators(void **state)
{
	Build *b = one(13, "Transpose", "x");
	set_ints(b, b->g.node[0], "perm", "0 0");
	refuse(b, "(Transpose): attribute 'perm' is no permutation");
	b = one(13, "Slice", "x z z z z");
	add_ints(b, "z", "1", "0");
	refuse(b, "(Slice): a step is 0");
	b = one(13, "Slice", "x a m a s");
	add_ints(b, "a", "1", "1");
	add_ints(b, "m", "1", "9223372036854775807");
	add_ints(b, "s", "1", "-1");
	refuse(b, "(Slice): ends at 9223372036854775807 with a negative step");
	b = one(13, "Concat", "x w");
	add_floats(b, "w", "3 3");
	set_int(b, b->g.node[0], "axis", 1);
	refuse(b, "(Concat): operand 1 has size 3 along axis 0, operand 0 has 2");
	b = one(13, "Gemm", "x w");
	add_floats(b, "w", "2 2");
	refuse(b, "(Gemm): the left operand has 3 columns, the right one 2 rows");
	b = one(13, "Dropout", "x - t");
	add_tensor(b, "t", ONNX__TENSOR__DATA_TYPE__BOOL, "")->raw_data =
		(ProtobufCBinaryData){1, (uint8_t *)"\1"};
	refuse(b, "(Dropout): training_mode is on");
	b = one(13, "Reshape", "x c");
	add_node(b, "Cast", "x", "c");
	set_int(b, b->g.node[1], "to", INT64);
	b->g.node[2] = b->g.node[0];            /* in order: Cast, Reshape */
	b->g.node[0] = b->g.node[1];
	b->g.node[1] = b->g.node[2];
	refuse(b, "(Reshape): operand 1 ('c') is computed from the model's inputs; it must be a constant");
	b = one(13, "Reshape", "x d");
	add_ints(b, "six", "1", "6");
	add_ints(b, "z", "1", "0");
	add_node(b, "Div", "six z", "d");
	b->g.node[2] = b->g.node[0];
	b->g.node[0] = b->g.node[1];
	b->g.node[1] = b->g.node[2];
	refuse(b, "(Div): a constant computation divides by zero");
}

/* Constants that would take more memory than the file's size justifies. */
static void floods(void **state)
{
	static const struct { const char *op, *a, *b;
	} cases[] = {
		{"ConstantOfShape", "100000 100000", 0},
		{"Tile", 0, "100000000"},
		{"Expand", 0, "2000 2000 2000"},
	};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		Build *b = one(13, cases[i].op, cases[i].a ? "i" : "one i");
		size_t n;
		words(b, cases[i].a ? cases[i].a : cases[i].b, &n);
		add_ints(b, "i", arena_printf(b->a, "%zu", n), cases[i].a ? cases[i].a : cases[i].b);
		add_floats(b, "one", "1");
		refuse(b, "computing with constants takes too much memory");
	}
}

/* ---- recurrent layers ---------------------------------------------------------------------- */

static Build *layer(const char *op, const char *in, const char *w, const char *r, const char *bias)
{
	Build *b = build_new(14);
	add_input(b, "x", FLOAT, "5 2 3");
	add_floats(b, "W", w);
	add_floats(b, "R", r);
	add_floats(b, "B", bias);
	add_node(b, op, in, "Y");
	add_output(b, "Y");
	return b;
}

static void layer_shapes(void **state)
{
	Build *b = layer("LSTM", "x W R B", "1 16 3", "1 16 4", "1 32");
	module_free(import(b));
	assert_string_equal(b->message, "");
	set_int(b, b->g.node[0], "hidden_size", 5);
	refused(b, "t.onnx: node 'n0' (LSTM): W ('W') is [1,16,3]; with X [5,2,3], hidden size 5 and 1 "
		   "direction it must "
		   "be [1,20,3]");
	has(b->message,
	    "R ('R') is [1,16,4]; with X [5,2,3], hidden size 5 and 1 direction it must be [1,20,5]");
	has(b->message, "B ('B') is [1,32]");
	build_free(b);
	refuse(layer("GRU", "x W R", "1 12 2", "1 12 4", "1"), "(GRU): W ('W') is [1,12,2]");
	refuse(layer("GRU", "x W R B", "1 12 3", "1 12 4", "1 12"),
	       "B ('B') is [1,12]; with X [5,2,3], hidden size 4 and 1 "
	       "direction it must be [1,24]");
	refuse(layer("GRU", "x W R - B", "1 12 3", "1 12 4", "2"), "(GRU): sequence_lens ('B') is float32");
	refuse(layer("GRU", "x W R - - B", "1 12 3", "1 12 4", "1 2 3"), "initial_h ('B') is [1,2,3]");
	b = layer("RNN", "x W R", "1 4 3", "1 4 4", "1");
	set_string(b, b->g.node[0], "direction", "bidirectional");
	refuse(b, "2 directions it must be [2,4,3]");
	b = layer("RNN", "x W R", "1 4 3", "1 4 4", "1");
	set_int(b, b->g.node[0], "hidden_size", 1 << 30);
	refuse(b, "hidden size 1073741824");
	b = layer("LSTM", "x W R B", "1 16 3", "1 16 4", "1 32");
	b->g.input[0]->type->tensor_type->shape->n_dim = 2;
	refuse(b, "(LSTM): X ('x') is float32 [5,2]; it must be real, with 3 dimensions");
}

static void layer_attributes(void **state)
{
	Build *b = layer("LSTM", "x W R B", "1 16 3", "1 16 4", "1 32");
	Onnx__Node *p = b->g.node[0];
	set_strings(b, p, "activations", "Foo Tanh Bar");
	refused(b, "t.onnx: node 'n0' (LSTM): attribute 'activations'[0] = \"Foo\" is not supported; "
		   "supported: Relu, Tanh, ");
	has(b->message, "attribute 'activations'[2] = \"Bar\" is not supported");
	p->n_attribute = 0;
	set_strings(b, p, "activations", "Tanh Tanh");
	refused(b, "attribute 'activations' has 2 names; 3 are needed");
	p->n_attribute = 0;
	set_strings(b, p, "activations", "Affine Tanh Tanh");
	refused(b, "activation Affine has no value in activation_alpha or activation_beta");
	p->n_attribute = 0;
	set_floats(b, p, "activation_alpha", 1, (float[]){ 1 });
	refused(b, "activation_alpha or activation_beta has more values than the activations take");
	p->n_attribute = 0;
	set_string(b, p, "direction", "sideways");
	refused(b, "attribute 'direction' = \"sideways\" is not supported; supported: forward, reverse, "
		   "bidirectional");
	p->n_attribute = 0;
	set_float(b, p, "clip", -1);
	refused(b, "attribute 'clip' is -1; it must be positive");
	p->n_attribute = 0;
	set_int(b, p, "input_forget", 2);
	refused(b, "attribute 'input_forget' is 2; it must be 0 or 1");
	p->n_attribute = 0;
	set_int(b, p, "linear_before_reset", 1);
	refused(b, "attribute 'linear_before_reset' is not known in opset 14");
	p->n_attribute = 0;
	set_int(b, p, "layout", 1);
	b->set.version = 13;
	refuse(b, "attribute 'layout' is not known in opset 13");
}

static void batch_is_no_time(void **state)
{
	Build *b = layer("RNN", "x W R", "1 4 3", "1 4 4", "1");
	Onnx__TensorShape__Dimension *d = b->g.input[0]->type->tensor_type->shape->dim[1];
	d->value_case = ONNX__TENSOR_SHAPE__DIMENSION__VALUE_DIM_PARAM;
	d->dim_param = (char *)"n";
	has(imported(b), "input \"x\" f32[5,1,3]");
	has(b->message, "dimension \"n\" taken as 1");
	build_free(b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(damaged_files), cmocka_unit_test(nested_subgraphs),
		cmocka_unit_test(fields_that_come_twice), cmocka_unit_test(opsets), cmocka_unit_test(names),
		cmocka_unit_test(inputs), cmocka_unit_test(sizes_of_tensors), cmocka_unit_test(external_data),
		cmocka_unit_test(parts_of_files),
		cmocka_unit_test(nodes), cmocka_unit_test(shapes), cmocka_unit_test(other_operators),
		cmocka_unit_test(floods), cmocka_unit_test(layer_shapes), cmocka_unit_test(layer_attributes),
		cmocka_unit_test(batch_is_no_time),
	};
	return cmocka_run_group_tests(tests, 0, 0);
}

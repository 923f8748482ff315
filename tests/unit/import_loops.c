/* import_loops.c: If, Loop, Scan and the model's own functions: what they compute, and what is refused. */
#include "unit/onnx_run.h"

enum {
	FLOAT = ONNX__TENSOR__DATA_TYPE__FLOAT,
	INT64 = ONNX__TENSOR__DATA_TYPE__INT64,
	BOOL = ONNX__TENSOR__DATA_TYPE__BOOL,
};

static const float x32[] = { 1, 10, 2, 20, 3, 30 };
static const void *const in32[] = { x32 };

static Onnx__Tensor *add_bool(Build *b, const char *name, int v)
{
	Onnx__Tensor *t = add_tensor(b, name, BOOL, "");
	t->n_int32_data = 1;
	t->int32_data = NEWN(b->a, int32_t, 1);
	t->int32_data[0] = v;
	return t;
}

static void refuse(Build *b, const char *part)
{
	refused(b, part);
	build_free(b);
}

/* ---- Scan ---------------------------------------------------------------------------------- */

/* s + x: the sums so far, of x along `axis`. */
static Build *sums(const char *dims, const char *state)
{
	Build *b = build_new(11);
	add_input(b, "x", FLOAT, dims);
	Onnx__Tensor *s = add_floats(b, "s", state);
	memset(s->float_data, 0, s->n_float_data * sizeof *s->float_data);
	Onnx__Graph outer = graph_begin(b);
	add_input(b, "s0", FLOAT, state);
	add_input(b, "xt", FLOAT, state);
	add_node(b, "Add", "s0 xt", "s1");
	add_node(b, "Identity", "s1", "y1");
	add_output(b, "s1");
	add_output(b, "y1");
	Onnx__Graph *body = graph_end(b, outer);
	Onnx__Node *p = add_node(b, "Scan", "s x", "last y");
	set_graph(b, p, "body", body);
	set_int(b, p, "num_scan_inputs", 1);
	add_output(b, "y");
	return b;
}

static void scan_directions(void **state)
{
	static const float want[4][6] = {
		{1, 10, 3, 30, 6, 60},
		{6, 60, 3, 30, 1, 10},
		{3, 30, 5, 50, 6, 60},
		{6, 60, 5, 50, 3, 30},
	};
	for (int i = 0; i < 4; i++) {
		Build *b = sums("3 2", "2");
		set_ints(b, b->g.node[0], "scan_input_directions", i & 2 ? "1" : "0");
		set_ints(b, b->g.node[0], "scan_output_directions", i & 1 ? "1" : "0");
		gives(b, in32, 3, 6, want[i]);
		build_free(b);
	}
}

static void scan_axes(void **state)
{
	Build *b = sums("2 3", "2");
	set_ints(b, b->g.node[0], "scan_input_axes", "-1");
	set_ints(b, b->g.node[0], "scan_output_axes", "1");
	gives(b, (const void *[]){(float[]){1, 2, 3, 10, 20, 30}}, 3, 6, (float[]){1, 3, 6, 10, 30, 60});
	build_free(b);
}

static void scan_over_time(void **state)
{
	Build *b = sums("seq 2", "2");
	has(imported(b), "input \"x\" f32[T,2]");
	gives(b, in32, 3, 6, (float[]){ 1, 10, 3, 30, 6, 60 });
	build_free(b);
}

static void scans_refused(void **state)
{
	Build *b = sums("3 2", "2");
	b->set.version = 8;
	refuse(b, "node 'n0' (Scan): is the form of opset 8; export with opset 9 or later");
	b = sums("3 2", "2");
	set_ints(b, b->g.node[0], "scan_input_directions", "2");
	refuse(b, "attribute 'scan_input_directions' holds 2; supported: 0, 1");
	b = sums("3 2", "2");
	set_ints(b, b->g.node[0], "scan_output_axes", "0 0");
	refuse(b, "attribute 'scan_output_axes' has 2 elements; 1 are needed");
	b = sums("3 2", "2");
	b->g.node[0]->attribute[1]->i = 3;
	refuse(b, "attribute 'num_scan_inputs' = 3 does not fit 2 operands");
	b = sums("3 2", "1");
	refuse(b, "(Scan): state 's0' is f32[1] before a step and f32[2] after it");
}

/* ---- Loop ---------------------------------------------------------------------------------- */

/* A Loop over: the number of the iteration i, condition c, states of the given names; the caller adds the
 * body's nodes between begin and end. */
static Onnx__Graph loop_begin(Build *b, const char *states)
{
	size_t n;
	char **w = words(b, states, &n);
	Onnx__Graph outer = graph_begin(b);
	add_input(b, "i", INT64, "");
	add_input(b, "c", BOOL, "");
	for (size_t k = 0; k < n; k++)
		add_input(b, w[k], FLOAT, "");
	return outer;
}

static Onnx__Node *loop_end(Build *b, Onnx__Graph outer, const char *results, const char *in, const char *out)
{
	size_t n;
	char **w = words(b, results, &n);
	for (size_t k = 0; k < n; k++)
		add_output(b, w[k]);
	Onnx__Graph *body = graph_end(b, outer);
	Onnx__Node *p = add_node(b, "Loop", in, out);
	set_graph(b, p, "body", body);
	return p;
}

static Build *loop_model(const char *trips)
{
	Build *b = build_new(13);
	add_input(b, "x", FLOAT, "3 2");
	if (trips)
		add_ints(b, "M", "", trips);
	add_bool(b, "go", 1);
	add_floats(b, "a", "2");
	return b;
}

static void set_gather(Build *b, const char *from, const char *index, const char *to)
{
	add_node(b, "Gather", arena_printf(b->a, "%s %s", from, index), to);
}

/* a = a * 1 + x[i], stacked. */
static void loop_over_rows(void **state)
{
	Build *b = loop_model("3");
	Onnx__Graph o = loop_begin(b, "a0");
	set_gather(b, "x", "i", "xi");
	add_node(b, "Add", "a0 xi", "a1");
	add_node(b, "Identity", "a1", "y1");
	loop_end(b, o, "c a1 y1", "M go a", "last y");
	add_output(b, "y");
	has(imported(b), "scan @loop, %x, $a, seq=1, init=1");
	gives(b, in32, 3, 6, (float[]){ 2, 12, 4, 32, 7, 62 });
	build_free(b);
}

/* A counter of its own from 2 downwards, behind Unsqueeze; the row keeps its axis. */
static void loop_backwards(void **state)
{
	Build *b = loop_model("3");
	add_ints(b, "two", "", "2");
	add_ints(b, "one", "", "1");
	add_ints(b, "axes", "1", "0");
	Onnx__Graph o = loop_begin(b, "k a0");
	add_node(b, "Unsqueeze", "k axes", "k1");
	set_gather(b, "x", "k1", "xi");
	add_node(b, "Squeeze", "xi axes", "row");
	add_node(b, "Add", "a0 row", "a1");
	add_node(b, "Sub", "k one", "k2");
	loop_end(b, o, "c k2 a1 a1", "M go two a", "left last y");
	add_output(b, "y");
	add_output(b, "left");
	gives(b, in32, 3, 6, (float[]){ 4, 32, 6, 52, 7, 62 });
	build_free(b);
}

/* No trip count: while k < 2, which is followed with the counter's values. */
static void loop_condition(void **state)
{
	Build *b = loop_model(0);
	add_ints(b, "zero", "", "0");
	add_ints(b, "one", "", "1");
	add_ints(b, "two", "", "2");
	Onnx__Graph o = loop_begin(b, "k a0");
	set_gather(b, "x", "k", "xi");
	add_node(b, "Add", "a0 xi", "a1");
	add_node(b, "Add", "one k", "k2");
	add_node(b, "Less", "k2 two", "again");
	loop_end(b, o, "again k2 a1", "- go zero a", "k9 last");
	add_output(b, "last");
	gives(b, in32, 3, 2, (float[]){ 4, 32 });
	build_free(b);
}

/* The counter as a number: a + 0 + 1 + 2 + 3. */
static void loop_counter(void **state)
{
	Build *b = loop_model("4");
	Onnx__Graph o = loop_begin(b, "a0");
	set_int(b, add_node(b, "Cast", "i", "f"), "to", FLOAT);
	add_node(b, "Add", "a0 f", "a1");
	loop_end(b, o, "c a1", "M go a", "last");
	add_node(b, "Add", "last x", "y");
	add_output(b, "y");
	gives(b, in32, 3, 6, (float[]){ 8, 18, 9, 28, 10, 38 });
	build_free(b);
}

/* v doubles while its first element is below 10, as the model runs; at most 8 times. */
static void loop_masked(void **state)
{
	Build *b = loop_model("8");
	add_floats(b, "ten", "")->float_data[0] = 10;
	add_ints(b, "at", "", "0");
	set_gather(b, "x", "at", "v");
	Onnx__Graph o = loop_begin(b, "v0");
	add_node(b, "Add", "v0 v0", "v1");
	set_gather(b, "v1", "at", "e");
	add_node(b, "Less", "e ten", "again");
	loop_end(b, o, "again v1", "M go v", "y");
	add_output(b, "y");
	gives(b, in32, 3, 2, (float[]){ 16, 160 });
	build_free(b);
}

static void loop_never(void **state)
{
	Build *b = loop_model("0");
	Onnx__Graph o = loop_begin(b, "a0");
	add_node(b, "Add", "a0 a0", "a1");
	loop_end(b, o, "c a1", "M go a", "last");
	add_node(b, "Add", "last x", "y");
	add_output(b, "y");
	gives(b, in32, 3, 6, (float[]){ 2, 12, 3, 22, 4, 32 });
	build_free(b);
}

/* Weights that are handed on unchanged are constants inside. */
static void loop_weights(void **state)
{
	Build *b = loop_model("3");
	add_floats(b, "W", "2 2");
	Onnx__Graph o = loop_begin(b, "a0 w");
	set_gather(b, "x", "i", "xi");
	add_node(b, "MatMul", "xi w", "z");
	add_node(b, "Identity", "w", "w1");
	loop_end(b, o, "c z w1", "M go a W", "last w9");
	add_output(b, "last");
	has(imported(b), "linear %x_2, $W");
	gives(b, in32, 3, 2, (float[]){ 93, 126 });
	build_free(b);
}

static void loop_over_time(void **state)
{
	Build *b = build_new(13);
	add_input(b, "x", FLOAT, "seq 2");
	add_bool(b, "go", 1);
	add_floats(b, "a", "2");
	add_ints(b, "at", "", "0");
	add_node(b, "Shape", "x", "s");
	set_gather(b, "s", "at", "M");
	Onnx__Graph o = loop_begin(b, "a0");
	set_gather(b, "x", "i", "xi");
	set_int(b, add_node(b, "Cast", "i", "f"), "to", FLOAT);
	add_node(b, "Add", "a0 xi", "a1");
	add_node(b, "Add", "a1 f", "y1");
	loop_end(b, o, "c a1 y1", "M go a", "last y");
	add_output(b, "y");
	has(imported(b), "f32[T,2]");
	gives(b, in32, 3, 6, (float[]){ 2, 12, 5, 33, 9, 64 });
	build_free(b);
}

/* A loop in a loop; the inner one reads the outer one's row. */
static void nested_loops(void **state)
{
	Build *b = loop_model("3");
	add_ints(b, "N", "", "2");
	Onnx__Graph o = loop_begin(b, "a0");
	set_gather(b, "x", "i", "row");
	Onnx__Graph p = graph_begin(b);
	add_input(b, "j", INT64, "");
	add_input(b, "d", BOOL, "");
	add_input(b, "b0", FLOAT, "");
	add_node(b, "Add", "b0 row", "b1");
	loop_end(b, p, "d b1", "N go a0", "a1");
	loop_end(b, o, "c a1", "M go a", "last");
	add_output(b, "last");
	gives(b, in32, 3, 2, (float[]){ 13, 122 });
	build_free(b);
}

static Build *bad_loop(const char *trips, const char *cond, const char *in)
{
	Build *b = loop_model(trips);
	add_node(b, "ReduceMax", "x", "m");
	set_int(b, b->g.node[0], "keepdims", 0);
	set_int(b, add_node(b, "Cast", "m", "N"), "to", INT64);
	Onnx__Graph o = loop_begin(b, "a0");
	set_gather(b, "x", "i", "xi");
	add_node(b, "Add", "a0 xi", "a1");
	add_node(b, "Add", "x a0", "wide");
	add_node(b, "Less", "m m", "again");
	loop_end(b, o, arena_printf(b->a, "%s y1", cond), in, "last y");
	add_node(b, "Identity", "a1", "y1");
	Onnx__Graph *body = b->g.node[2]->attribute[0]->g;
	body->node[body->n_node++] = b->g.node[--b->g.n_node];
	add_output(b, "y");
	return b;
}

static void loops_refused(void **state)
{
	refuse(bad_loop(0, "c a1", "- go a"),
	       "(Loop): never ends: it has no trip count and its condition stays true");
	refuse(bad_loop("3", "c a1", "N go a"),
	       "(Loop): its trip count 'N' is computed from the model's inputs; bind "
	       "the input it comes from with --set NAME=VALUE");
	refuse(bad_loop("3", "again a1", "M go a"),
	       "(Loop): stacks results, but its condition is computed when the model "
	       "runs");
	refuse(bad_loop(0, "again a1", "- go a"),
	       "(Loop): ends by a condition that is computed when the model runs, and "
	       "has no trip count");
	refuse(bad_loop("3", "c wide", "M go a"),
	       "(Loop): state 'a0' is f32[2] before a step and f32[3,2] after it");
	refuse(bad_loop("3", "c a1 a1", "M go a a a"), "which do not fit 5 operands and 2 results");
}

/* ---- If ------------------------------------------------------------------------------------ */

/* y = c ? x + x : x `op` x, where c is whether input k is 1. */
static Build *branches(const char *op)
{
	Build *b = build_new(13);
	add_input(b, "x", FLOAT, "3 2");
	add_input(b, "k", INT64, "");
	add_ints(b, "one", "", "1");
	add_node(b, "Equal", "k one", "c");
	Onnx__Graph o = graph_begin(b);
	add_node(b, "Add", "x x", "y1");
	add_output(b, "y1");
	Onnx__Graph *yes = graph_end(b, o);
	o = graph_begin(b);
	add_node(b, op, "x x", "y2");
	add_output(b, "y2");
	Onnx__Graph *no = graph_end(b, o);
	Onnx__Node *p = add_node(b, "If", "c", "y");
	set_graph(b, p, "then_branch", yes);
	set_graph(b, p, "else_branch", no);
	add_output(b, "y");
	return b;
}

static void both_branches(void **state)
{
	Build *b = branches("Mul");
	gives(b, (const void *[]){ x32, &(int32_t){ 1 } }, 1, 6, (float[]){ 2, 20, 4, 40, 6, 60 });
	gives(b, (const void *[]){ x32, &(int32_t){ 0 } }, 1, 6, (float[]){ 1, 100, 4, 400, 9, 900 });
	build_free(b);
}

static void bound_inputs(void **state)
{
	Build *b = branches("Mul");
	bind(b, "k", "0");
	char *t = imported(b);
	has_not(t, "input \"k\"");
	has_not(t, "where");
	gives(b, in32, 3, 6, (float[]){ 1, 100, 4, 400, 9, 900 });
	bind(b, "sr", "1");
	refused(b, "t.onnx: --set: there is no input \"sr\"");
	bind(b, "k", "1,2");
	refused(b, "--set k=1,2: 1 numbers of type int64 are needed");
	bind(b, "k", "one");
	refused(b, "--set k=one: 1 numbers of type int64 are needed");
	bind(b, "x", "0.5");
	has(imported(b), "data $y1 f32[3,2] = 0x1p+0");
	build_free(b);
}

static void branches_refused(void **state)
{
	Build *b = branches("Shape");
	b->g.node[1]->attribute[1]->g->node[0]->n_input = 1;
	refused(b, "(If): its condition is computed from input 'k' when the model runs, and its branches "
		   "have different types; "
		   "bind the input: --set k=VALUE");
	bind(b, "k", "1");
	gives(b, in32, 3, 6, (float[]){ 2, 20, 4, 40, 6, 60 });
	build_free(b);
	refuse(branches("Frobnicate"),
	       "its branches have no results that can be computed; bind the input: --set k=VALUE");
	b = branches("Mul");
	b->g.node[1]->n_attribute = 1;
	refuse(b, "node 'n1' (If): attribute 'else_branch' is missing");
}

/* ---- functions ----------------------------------------------------------------------------- */

/* A function f(p, q) of domain "own": leaky(p) + q, with attribute slope. */
static Build *with_function(void)
{
	Build *b = build_new(15);
	add_input(b, "x", FLOAT, "3 2");
	Onnx__Graph o = graph_begin(b);
	Onnx__Node *p = add_node(b, "LeakyRelu", "p", "r");
	add_attr(b, p, "alpha", ONNX__ATTRIBUTE__TYPE__FLOAT)->ref_attr_name = arena_strdup(b->a, "slope");
	add_node(b, "Add", "r q", "s");
	Onnx__Function *f = NEW(b->a, Onnx__Function);
	onnx__function__init(f);
	f->name = arena_strdup(b->a, "F");
	f->domain = arena_strdup(b->a, "own");
	f->node = b->g.node;
	f->n_node = b->g.n_node;
	f->input = words(b, "p q", &f->n_input);
	f->output = words(b, "s", &f->n_output);
	f->attribute = words(b, "slope", &f->n_attribute);
	graph_end(b, o);
	b->m.functions = NEWN(b->a, Onnx__Function *, 1);
	b->m.functions[b->m.n_functions++] = f;
	add_node(b, "Neg", "x", "n");
	p = add_node(b, "F", "n x", "t");
	p->domain = arena_strdup(b->a, "own");
	set_float(b, p, "slope", 0.5f);
	p = add_node(b, "F", "t x", "y");
	p->domain = arena_strdup(b->a, "own");
	add_output(b, "y");
	return b;
}

static void functions(void **state)
{
	Build *b = with_function();
	gives(b, in32, 3, 6, (float[]){ 1.5f, 15, 3, 30, 4.5f, 45 });
	build_free(b);
}

static void functions_refused(void **state)
{
	Build *b = with_function();
	set_int(b, b->g.node[2], "depth", 1);
	refuse(b, "node 'n2' (F): attribute 'depth' is not one of the model's function");
	b = with_function();
	b->m.functions[0]->node[0]->op_type = arena_strdup(b->a, "F");
	b->m.functions[0]->node[0]->domain = arena_strdup(b->a, "own");
	b->m.functions[0]->node[0]->n_attribute = 0;
	refuse(b, "functions call each other more than 32 deep");
	b = with_function();
	b->g.node[1]->input = words(b, "n x x", &b->g.node[1]->n_input);
	refuse(b, "has 3 operands and 1 results; the model's function takes 2 and gives 1");
	b = with_function();
	Onnx__OperatorSetId late = b->set, *set = &late;
	late.version = 99;
	b->m.functions[0]->opset_import = &set;
	b->m.functions[0]->n_opset_import = 1;
	refuse(b, "the model's function is written for opset 99; the newest supported is ");
}

static void too_many(void **state)
{
	Build *b = build_new(14);
	add_input(b, "x", FLOAT, "5 1 2");
	add_floats(b, "W", "1 12 2");
	add_floats(b, "R", "1 12 3");
	add_node(b, "LSTM", "x W R W W W W W W W W W W W W W", "y");
	add_output(b, "y");
	refuse(b, "node 'n0' (LSTM): has 16 operands; it takes 3 to 8");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(scan_directions),   cmocka_unit_test(scan_axes),
		cmocka_unit_test(scan_over_time),    cmocka_unit_test(scans_refused),
		cmocka_unit_test(loop_over_rows),    cmocka_unit_test(loop_backwards),
		cmocka_unit_test(loop_condition),    cmocka_unit_test(loop_counter),
		cmocka_unit_test(loop_masked),       cmocka_unit_test(loop_never),
		cmocka_unit_test(loop_weights),      cmocka_unit_test(loop_over_time),
		cmocka_unit_test(nested_loops),      cmocka_unit_test(loops_refused),
		cmocka_unit_test(both_branches),     cmocka_unit_test(bound_inputs),
		cmocka_unit_test(branches_refused),  cmocka_unit_test(functions),
		cmocka_unit_test(functions_refused), cmocka_unit_test(too_many),
	};
	return cmocka_run_group_tests(tests, 0, 0);
}

/* onnx_run.h: for tests of the import: subgraphs and functions, and what a model built here computes. */
#ifndef TEST_ONNX_RUN_H
#define TEST_ONNX_RUN_H

#include "exec/exec.h"
#include "passes/passes.h"
#include "unit/onnx_build.h"

/* What is added from here on belongs to a graph of its own; the one before is given back. */
static inline Onnx__Graph graph_begin(Build *b)
{
	Onnx__Graph outer = b->g;
	onnx__graph__init(&b->g);
	b->g.node = NEWN(b->a, Onnx__Node *, MOST);
	b->g.initializer = NEWN(b->a, Onnx__Tensor *, MOST);
	b->g.input = NEWN(b->a, Onnx__ValueInfo *, MOST);
	b->g.output = NEWN(b->a, Onnx__ValueInfo *, MOST);
	return outer;
}

static inline Onnx__Graph *graph_end(Build *b, Onnx__Graph outer)
{
	Onnx__Graph *g = arena_copy(b->a, &b->g, sizeof b->g);
	b->g = outer;
	return g;
}

static inline void set_graph(Build *b, Onnx__Node *p, const char *name, Onnx__Graph *g)
{
	add_attr(b, p, name, ONNX__ATTRIBUTE__TYPE__GRAPH)->g = g;
}

static inline void bind(Build *b, const char *name, const char *value)
{
	static const char *names[1], *values[1];
	names[0] = name;
	values[0] = value;
	b->opt.set_name = names;
	b->opt.set_value = values;
	b->opt.nset = 1;
}

/* The first output of the model run in the interpreter; n elements of 4 bytes.  steps: how many, for a model
 * that takes any number (`stream` may have made a fixed number one of these). */
static inline void *computed(Build *b, const void *const *in, int32_t steps, size_t n)
{
	char err[500] = "";
	Module *m = import(b);
	if (!m)
		fail_msg("%s", b->message);
	Diag *d = diag_new();
	if (!passes_run(m, &b->opt, 0, d)) {
		diag_print(d, stderr);
		fail_msg("a pass refused it");
	}
	Exec *e = exec_open(m, "interp", 0, err, sizeof err);
	if (!e)
		fail_msg("%s", err);
	void *out[8] = { 0 };
	int i = 0;
	bool timed = false;
	for (const Port *p = m->in; p; p = p->next)
		timed |= type_has_t(p->type);
	steps = timed ? steps : 1;
	for (const Port *p = m->out; p; p = p->next)
		out[i++] = arena_alloc(b->a, (size_t)type_size(p->type, steps) + 1);
	assert_int_equal(type_size(m->out->type, steps), (int64_t)n * 4);
	if (exec_run(e, in, out, steps))
		fail_msg("%s", exec_error(e));
	exec_close(e);
	diag_free(d);
	module_free(m);
	return out[0];
}

static inline void gives(Build *b, const void *const *in, int32_t steps, size_t n, const float *want)
{
	const float *y = computed(b, in, steps, n);
	for (size_t i = 0; i < n; i++)
		if (y[i] != want[i])
			fail_msg("element %zu is %g, not %g", i, (double)y[i], (double)want[i]);
}

#endif

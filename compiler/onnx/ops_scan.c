/* ops_scan.c: Scan: its body becomes the step function of a `scan`. */
#include "onnx/body.h"
#include "onnx/operators.h"

#include <string.h>

typedef struct {
	Node *n;
	const Onnx__Graph *g;
	int nstate, nseq, nout;
	int32_t steps;
	bool reverse;
} ScanOp;

/* Element i of a list attribute; lists may be left out. */
static bool list_entry(ScanOp *s, const char *name, int count, int i, int64_t *v)
{
	const Onnx__Attribute *a = get_attr(s->n, name);
	*v = 0;
	if (!a || !a->n_ints)
		return true;
	if (a->n_ints != (size_t)count)
		return fail(s->n, "attribute '%s' has %zu elements; %d are needed", name, a->n_ints, count);
	*v = a->ints[i];
	return true;
}

static bool direction(ScanOp *s, const char *name, int count, int i, bool *backward)
{
	int64_t v;
	if (!list_entry(s, name, count, i, &v))
		return false;
	*backward = v == 1;
	return v == 0 || v == 1 ||
	       fail(s->n, "attribute '%s' holds %lld; supported: 0, 1", name, (long long)v);
}

static bool read_scan(ScanOp *s)
{
	Node *n = s->n;
	const Onnx__Attribute *body = get_attr(n, "body");
	int64_t nseq = get_int(n, "num_scan_inputs", 0);
	if (n->im->model->opset < 9)
		return fail(n, "is the form of opset 8; export with opset 9 or later");
	if (!body)
		return fail(n, "attribute 'body' is missing");
	if (nseq < 1 || nseq > n->nin)
		return fail(n, "attribute 'num_scan_inputs' = %lld does not fit %d operands", (long long)nseq,
			    n->nin);
	s->g = body->g;
	s->nseq = (int)nseq;
	s->nstate = n->nin - s->nseq;
	s->nout = (int)s->g->n_output - s->nstate;
	if (s->g->n_input != (size_t)n->nin || s->nout < 0 || n->nout > (int)s->g->n_output)
		return fail(n,
			    "its body has %zu inputs and %zu results, which do not fit %d operands and %d "
			    "results",
			    s->g->n_input, s->g->n_output, n->nin, n->nout);
	for (int i = 0; i < n->nin; i++)
		if (!n->in[i])
			return fail(n, "operand %d is missing", i);
	return direction(s, "scan_input_directions", s->nseq, 0, &s->reverse);
}

/* How many steps there are: all sequences have the same. */
static bool read_steps(ScanOp *s)
{
	for (int i = 0; i < s->nseq; i++) {
		Shape x = shape_of(s->n->in[s->nstate + i]);
		int64_t a;
		int axis;
		if (!list_entry(s, "scan_input_axes", s->nseq, i, &a) || !in_axis(s->n, a, x.rank, &axis))
			return false;
		if (i && x.dim[axis] != s->steps)
			return fail(s->n, "its sequences differ in length");
		s->steps = x.dim[axis];
	}
	return s->steps || fail(s->n, "its sequences are empty");
}

/* What the body's inputs stand for.  A sequence that runs against the first one is turned around. */
static bool bind_operands(ScanOp *s, Body *b, Value **in)
{
	for (int i = 0; i < s->nstate; i++)
		if (!(in[i] = body_state(b, s->g->input[i]->name, s->n->in[i])))
			return false;
	for (int i = 0; i < s->nseq; i++) {
		Value *x = s->n->in[s->nstate + i];
		int64_t a;
		int axis;
		bool backward;
		if (!list_entry(s, "scan_input_axes", s->nseq, i, &a) ||
		    !in_axis(s->n, a, shape_of(x).rank, &axis) ||
		    !direction(s, "scan_input_directions", s->nseq, i, &backward))
			return false;
		bool turn = backward != s->reverse;
		int64_t at = !turn ? 0 : s->steps == DIM_T ? -1 : s->steps - 1;
		if (!(in[s->nstate + i] = body_sequence(b, x, axis, at, turn ? -1 : 1)))
			return false;
	}
	return true;
}

static bool add_results(ScanOp *s, Body *b, Value *const *in, Value *const *out)
{
	for (int i = 0; i < s->nstate; i++)
		if (!body_next(b, in[i], out[i]))
			return false;
	for (int i = 0; i < s->nout; i++) {
		int64_t a;
		int axis;
		if (!list_entry(s, "scan_output_axes", s->nout, i, &a)
		    || !in_axis(s->n, a, shape_of(out[s->nstate + i]).rank + 1, &axis))
			return false;
		body_result(b, out[s->nstate + i], axis);
	}
	return true;
}

/* Stacked results lie where their step's sequences lie; ONNX puts them in the order of the steps, or against
 * it. */
static bool set_results(ScanOp *s, const Op *o, Value *const *out)
{
	Node *n = s->n;
	for (int i = 0; i < s->nstate; i++)
		set_run(n, i, o->out[s->nout + i], out[i]->type);
	for (int i = 0; i < s->nout; i++) {
		Val *v = o->out[i];
		bool prepend;
		if (!direction(s, "scan_output_directions", s->nout, i, &prepend))
			return false;
		if (prepend != s->reverse)
			v = emit_slice(n, v, (int)attr_find(o, "out_axis")->v.i[i],
				       s->steps == DIM_T ? -1 : s->steps - 1, -1, s->steps);
		set_run(n, s->nstate + i, v, out[s->nstate + i]->type);
	}
	return true;
}

bool op_scan(Node *n)
{
	ScanOp s = { .n = n };
	if (!read_scan(&s) || !read_steps(&s))
		return false;
	Body *b = body_begin(n, "scan", s.steps);
	Value **in = NEWN(n->im->arena, Value *, s.g->n_input),
	      **out = NEWN(n->im->arena, Value *, s.g->n_output);
	bool good = bind_operands(&s, b, in) &&
		    graph_walk(n->im, n->scope, &(Walk){.g = s.g, .in = in, .body = b}, out);
	for (size_t i = 0; good && i < s.g->n_output; i++)
		good = out[i]->kind != V_UNKNOWN;
	if (!good || !add_results(&s, b, in, out)) {
		body_abandon(b);
		return false;
	}
	Op *o = body_finish(b, s.reverse);
	return o && set_results(&s, o, out);
}

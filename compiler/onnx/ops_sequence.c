/* ops_sequence.c: sequences of tensors.  A sequence is known while the graph is walked: a list of values,
 * each of which may be computed when the model runs, and how many there are is a constant.  No op of the IR
 * comes of it. */
#include "onnx/operators.h"
#include "onnx/sketch.h"

#include <string.h>

enum { MOST_ITEMS = 4096 };

static void set_sequence(Node *n, int nitem, Value **item)
{
	Value *v = result(n, 0);
	if (!v)
		return;
	v->kind = V_SEQUENCE;
	v->item = item;
	v->nitem = nitem;
}

/* The sequence that operand 0 is. */
static const Value *sequence(Node *n)
{
	if (n->in[0]->kind != V_SEQUENCE)
		fail(n, "operand 0 ('%s') is a tensor; it must be a sequence", n->in[0]->name);
	return n->in[0]->kind == V_SEQUENCE ? n->in[0] : 0;
}

/* A place in the sequence, counted from the end when negative; `many` places. */
static bool position(Node *n, int i, int many, int *at)
{
	int64_t v;
	int count;
	if (!input_ints(n, i, &v, 1, &count))
		return false;
	if (count != 1 || v < -many || v >= many)
		return fail(n, "place %lld is outside of a sequence with room for %d", count == 1 ? (long long)v : 0, many);
	*at = (int)(v < 0 ? v + many : v);
	return true;
}

bool op_sequence_empty(Node *n)
{
	set_sequence(n, 0, 0);
	return true;
}

bool op_sequence_construct(Node *n)
{
	for (int i = 0; i < n->nin; i++)
		if (!n->in[i])
			return fail(n, "operand %d is missing", i);
	set_sequence(n, n->nin, n->in);
	return true;
}

bool op_sequence_insert(Node *n)
{
	const Value *s = sequence(n);
	if (!s)
		return false;
	int at = s->nitem;
	if (n->in[1]->kind == V_SEQUENCE)
		return fail(n, "operand 1 ('%s') is a sequence; it must be a tensor", n->in[1]->name);
	if (input(n, 2) && !position(n, 2, s->nitem + 1, &at))
		return false;
	Value **item = NEWN(n->im->arena, Value *, s->nitem + 1);
	for (int i = 0; i <= s->nitem; i++)
		item[i] = i == at ? n->in[1] : s->item[i - (i > at)];
	set_sequence(n, s->nitem + 1, item);
	return true;
}

bool op_sequence_at(Node *n)
{
	const Value *s = sequence(n);
	int at;
	if (!s || !position(n, 1, s->nitem, &at))
		return false;
	set_same(n, 0, s->item[at]);
	return true;
}

bool op_sequence_length(Node *n)
{
	const Value *s = sequence(n);
	Tensor *t = s ? host_new(n, H_I64, 0, 0) : 0;
	if (!t)
		return false;
	tensor_set_int(t, 0, s->nitem);
	set_host(n, 0, t, 0);
	return true;
}

/* ---- made from tensors, and back ---------------------------------------------------------------------- */

/* n as a node whose one result is a value of its own. */
static Node alone(const Node *n)
{
	Node part = *n;
	part.out = NEWN(n->im->arena, Value *, 1);
	part.out[0] = NEW(n->im->arena, Value);
	part.out[0]->name = n->p->output[0];
	part.out[0]->uses = 2;          /* nobody may take it for his own */
	part.out[0]->needed = true;
	part.nout = 1;
	return part;
}

static Value *last_name(Value *v)
{
	while (v->same)
		v = v->same;
	return v;
}

/* x[from .. from + size) along an axis, which is dropped when !keep. */
static Value *slice(Node *n, int axis, int64_t from, int64_t size, bool keep)
{
	Node part = alone(n);
	Sketch *s = sketch_new(&part);
	const char *at = sketch_list(s, 1, (int64_t[]){ axis });
	const char *y = SKETCH(s, "Slice", sketch_value(s, n->in[0]), sketch_list(s, 1, &from),
			       sketch_list(s, 1, (int64_t[]){ from + size }), at);
	if (!keep)
		SKETCH(s, "Squeeze", y, at);
	return sketch_done(s) ? last_name(part.out[0]) : 0;
}

/* The parts' sizes, from operand 1: one for all, of which the last may have fewer, or a list; none: 1. */
static bool part_sizes(Node *n, int64_t whole, int64_t *size, int *count)
{
	const Value *v = input(n, 1);
	int64_t sum = 0;
	*count = 1;
	size[0] = 1;
	if (v && !input_ints(n, 1, size, MOST_ITEMS, count))
		return false;
	if (!v || v->host->rank == 0) {
		int64_t unit = size[0];
		if (unit < 1 || (whole + unit - 1) / unit > MOST_ITEMS)
			return fail(n, "an axis of %lld cannot be split into parts of %lld", (long long)whole, (long long)unit);
		for (*count = 0; sum < whole; sum += unit)
			size[(*count)++] = unit < whole - sum ? unit : whole - sum;
		return true;
	}
	for (int i = 0; i < *count; i++)
		sum = size[i] < 0 || sum < 0 || sum > whole ? -1 : sum + size[i];
	return sum == whole || fail(n, "%d sizes do not make up an axis of %lld", *count, (long long)whole);
}

bool op_split_to_sequence(Node *n)
{
	Shape s = shape_of(n->in[0]);
	int64_t *size = NEWN(n->im->arena, int64_t, MOST_ITEMS), from = 0;
	int axis, count;
	bool keep = input(n, 1) || get_int(n, "keepdims", 1);
	if (!get_axis(n, "axis", 0, s.rank, &axis))
		return false;
	if (s.dim[axis] == DIM_T)
		return fail_fixed(n, "it is split");
	if (!part_sizes(n, s.dim[axis], size, &count))
		return false;
	Value **item = NEWN(n->im->arena, Value *, count);
	for (int i = 0; i < count; from += size[i++])
		if (!(item[i] = slice(n, axis, from, size[i], keep)))
			return false;
	set_sequence(n, count, item);
	return true;
}

static Value *with_axis(Node *n, Value *v, int64_t axis)
{
	Node part = alone(n);
	Sketch *s = sketch_new(&part);
	SKETCH(s, "Unsqueeze", sketch_value(s, v), sketch_list(s, 1, &axis));
	return sketch_done(s) ? last_name(part.out[0]) : 0;
}

bool op_concat_from_sequence(Node *n)
{
	const Value *s = sequence(n);
	if (!s)
		return false;
	if (!get_attr(n, "axis"))
		return fail(n, "attribute 'axis' is missing");
	if (!s->nitem)
		return fail(n, "the sequence is empty: the result would have no shape");
	Node all = *n;
	all.nin = s->nitem;
	all.in = NEWN(n->im->arena, Value *, s->nitem);
	for (int i = 0; i < s->nitem; i++)
		if (!(all.in[i] = get_int(n, "new_axis", 0) ? with_axis(n, s->item[i], get_int(n, "axis", 0)) : s->item[i]))
			return false;
	return op_concat(&all);
}

/* ops_pick.c: GatherElements, ReverseSequence, ArgMax and ArgMin. */
#include "onnx/operators.h"

#include <string.h>

static bool emit_pick(Node *n, Val *x, Val *index, int axis)
{
	Val *v = 0;
	if (x && index) {
		Op *o = op_begin(n, O_pick, 2, (Val *[]){ x, index });
		attr_set_int(n->im->m, o, "axis", axis);
		v = op_end(n, o);
	}
	if (v)
		set_run(n, 0, v, n->in[0]->type);
	return v;
}

/* ---- GatherElements ------------------------------------------------------------------------------ */

bool op_gather_elements(Node *n)
{
	Value *x = n->in[0], *index = n->in[1];
	Shape s = shape_of(x), is = shape_of(index);
	int axis;
	if (!get_axis(n, "axis", 0, s.rank, &axis))
		return false;
	if (is.rank != s.rank || !is_whole(index->type))
		return fail(n, "indices have %d dimensions, the operand %d; they are %s", is.rank, s.rank,
			    host_name(index->type));
	Val *v = operand(n, x), *at = operand(n, index);
	for (int i = 0; i < s.rank && v && at; i++) {
		if (i == axis || is.dim[i] == s.dim[i])
			continue;
		if (s.dim[i] == DIM_T || is.dim[i] == DIM_T)
			return fail_fixed(n, "it meets a dimension of fixed size");
		if (is.dim[i] > s.dim[i])
			return fail(n, "indices have %d elements along axis %d, the operand %d", is.dim[i], i,
				    s.dim[i]);
		v = emit_slice(n, v, i, 0, 1, is.dim[i]);
	}
	return emit_pick(n, v, at, axis);
}

/* ---- ReverseSequence ------------------------------------------------------------------------------- */

/* Are all lengths that of the axis? */
static bool whole_length(const Value *lens, int32_t size)
{
	for (int64_t i = 0; i < lens->host->count; i++) {
		Sym v = host_sym(lens->host, lens->steps, i);
		if (size == DIM_T ? v.a != 1 || v.b : v.a || v.b != size)
			return false;
	}
	return true;
}

/* Place t of a sequence of n takes element n - 1 - t when t < n, else stays. */
static Val *reversed_index(Node *n, Value *lens, const Shape *s, int time, int batch)
{
	int64_t dim[MAX_RANK];
	Shape shape = { .rank = s->rank };
	for (int i = 0; i < s->rank; i++) {
		dim[i] = i == time ? s->dim[i] : 1;
		shape.dim[i] = i == batch ? s->dim[i] : 1;
	}
	Tensor *count = host_new(n, H_I32, s->rank, dim);
	if (!count)
		return 0;
	for (int64_t i = 0; i < count->count; i++)
		tensor_set_int(count, i, i);
	Val *t = operand_data(n, "places", H_I32, count), *len = operand(n, lens);
	if (!t || !len)
		return 0;
	len = emit_reshape(n, len, &shape);
	Val *back = emit2(n, O_sub, emit2(n, O_sub, len, emit_scalar(n, H_I32, 1)), t);
	Val *in[] = { emit2(n, O_less, t, len), back, t };
	return in[0] && back ? op_end(n, op_begin(n, O_where, 3, in)) : 0;
}

bool op_reverse_sequence(Node *n)
{
	Value *x = n->in[0], *lens = n->in[1];
	Shape s = shape_of(x), ls = shape_of(lens);
	int time, batch;
	if (!get_axis(n, "time_axis", 0, s.rank, &time) || !get_axis(n, "batch_axis", 1, s.rank, &batch))
		return false;
	if (time == batch || ls.rank != 1 || ls.dim[0] != s.dim[batch] || !is_whole(lens->type))
		return fail(n, "there should be one length for each sequence of the batch");
	Val *v = operand(n, x);
	if (!v)
		return false;
	if (is_host(lens) && whole_length(lens, s.dim[time])) {
		int64_t last = s.dim[time] == DIM_T ? -1 : s.dim[time] - 1;
		if (s.dim[time] != 0 && s.dim[time] != 1)
			v = emit_slice(n, v, time, last, -1, s.dim[time]);
		set_run(n, 0, v, x->type);
		return true;
	}
	if (s.dim[time] == DIM_T)
		return fail_fixed(n, "sequences are reversed in part");
	if (s.dim[time] == 0) {
		set_same(n, 0, x);
		return true;
	}
	return emit_pick(n, v, reversed_index(n, lens, &s, time, batch), time);
}

/* ---- ArgMax, ArgMin ---------------------------------------------------------------------------------- */

bool op_argmax(Node *n)
{
	bool least = n->row->arg != 0;
	Value *x = n->in[0];
	int axis;
	if (!get_axis(n, "axis", 0, shape_of(x).rank, &axis))
		return false;
	if (x->type == H_BOOL || (is_whole(x->type) && least && x->type != H_I32 && x->type != H_I64))
		return fail(n, "the operand is %s", host_name(x->type));
	Val *v = operand(n, x);
	if (v && least)
		v = emit1(n, O_neg, v);
	if (!v)
		return false;
	Op *o = op_begin(n, O_argmax, 1, &v);
	attr_set_int(n->im->m, o, "axis", axis);
	attr_set_int(n->im->m, o, "keepdims", get_int(n, "keepdims", 1) != 0);
	if (get_int(n, "select_last_index", 0))
		attr_set_int(n->im->m, o, "last", 1);
	v = op_end(n, o);
	if (v)
		set_run(n, 0, v, H_I64);
	return v;
}

/* ops_move.c: Transpose, Concat, Split. */
#include "onnx/operators.h"

#include <string.h>

/* ---- Transpose ----------------------------------------------------------------------------- */

bool op_transpose(Node *n)
{
	Value *x = n->in[0];
	int rank = shape_of(x).rank;
	const Onnx__Attribute *a = get_attr(n, "perm");
	int64_t perm[MAX_RANK];
	unsigned seen = 0;
	if (a && a->n_ints != (size_t)rank)
		return fail(n, "attribute 'perm' has %zu elements, the operand %d dimensions", a->n_ints, rank);
	for (int i = 0; i < rank; i++) {
		perm[i] = a ? a->ints[i] : rank - 1 - i;
		if (perm[i] < 0 || perm[i] >= rank || (seen >> perm[i] & 1))
			return fail(n, "attribute 'perm' is no permutation");
		seen |= 1u << perm[i];
	}
	if (is_host(x)) {
		int64_t own[MAX_RANK], dim[MAX_RANK], stride[MAX_RANK];
		host_strides(x->host, own);
		for (int i = 0; i < rank; i++) {
			dim[i] = x->host->dim[perm[i]];
			stride[i] = own[perm[i]];
		}
		return host_view(n, result(n, 0), x, rank, dim, stride, 0);
	}
	Val *v = emit_transpose(n, x->val, perm);
	if (v)
		set_run(n, 0, v, x->type);
	return v;
}

/* ---- Concat -------------------------------------------------------------------------------- */

/* Rows of `size` bytes for each index before the axis; operands follow each other within a row. */
static void concat_bytes(char *to, size_t row, size_t at, const char *from, size_t part, int64_t rows)
{
	for (int64_t i = 0; i < rows; i++)
		memcpy(to + (size_t)i * row + at, from + (size_t)i * part, part);
}

static bool concat_host(Node *n, int axis, const Shape *s)
{
	int64_t dim[MAX_RANK], rows = 1, inner = 1;
	bool has_t = false;
	for (int i = 0; i < s->rank; i++) {
		dim[i] = s->dim[i];
		if (i < axis)
			rows *= dim[i];
		if (i > axis)
			inner *= dim[i];
	}
	Tensor *t = host_new(n, n->in[0]->type, s->rank, dim);
	if (!t)
		return false;
	for (int i = 0; i < n->nin; i++)
		has_t |= n->in[i]->steps != 0;
	int64_t *steps = has_t ? steps_new(n, t->count) : 0;
	size_t unit = host_size(t->type), row = (size_t)(dim[axis] * inner), at = 0;
	for (int i = 0; i < n->nin; i++) {
		const Tensor *x = n->in[i]->host;
		size_t part = (size_t)(x->dim[axis] * inner);
		concat_bytes(t->bytes, row * unit, at * unit, x->bytes, part * unit, rows);
		if (n->in[i]->steps)
			concat_bytes((char *)steps, row * 8, at * 8, (const char *)n->in[i]->steps, part * 8, rows);
		at += part;
	}
	set_host(n, 0, t, steps);
	return true;
}

/* The result's shape; *count operands have elements, the last of them is *only. */
static bool concat_shape(Node *n, int *axis, Shape *s, int *count, Value **only)
{
	*s = shape_of(n->in[0]);
	if (!get_axis(n, "axis", 1, s->rank, axis))
		return false;
	int64_t sum = 0;
	bool has_t = false;
	*count = 0;
	for (int i = 0; i < n->nin; i++) {
		if (!n->in[i])
			return fail(n, "operand %d is missing", i);
		Shape x = shape_of(n->in[i]);
		if (n->in[i]->type != n->in[0]->type || x.rank != s->rank)
			return fail(n, "operands differ in type or number of dimensions");
		for (int k = 0; k < s->rank; k++)
			if (k != *axis && x.dim[k] != s->dim[k])
				return x.dim[k] == DIM_T || s->dim[k] == DIM_T
					? fail_fixed(n, "it meets a dimension of fixed size")
					: fail(n, "operand %d has size %d along axis %d, operand 0 has %d", i, x.dim[k], k,
					       s->dim[k]);
		has_t |= x.dim[*axis] == DIM_T;
		sum += x.dim[*axis];
		if (x.dim[*axis]) {
			++*count;
			*only = n->in[i];
		}
	}
	if (has_t && *count > 1)
		return fail_fixed(n, "something is joined to it");
	if (sum > INT32_MAX)
		return fail(n, "the result's size overflows");
	s->dim[*axis] = has_t ? DIM_T : (int32_t)sum;
	return true;
}

bool op_concat(Node *n)
{
	int axis, count, k = 0;
	Shape s;
	Value *only = n->in[0];
	if (!concat_shape(n, &axis, &s, &count, &only))
		return false;
	if (count <= 1) {
		set_same(n, 0, only);
		return true;
	}
	if (all_host(n))
		return concat_host(n, axis, &s);
	Val **in = NEWN(n->im->arena, Val *, n->nin);
	for (int i = 0; i < n->nin; i++)
		if (shape_of(n->in[i]).dim[axis] && !(in[k++] = operand(n, n->in[i])))
			return false;
	Op *o = op_begin(n, O_concat, k, in);
	attr_set_int(n->im->m, o, "axis", axis);
	Val *v = op_end(n, o);
	if (v)
		set_run(n, 0, v, n->in[0]->type);
	return v;
}

/* ---- Split --------------------------------------------------------------------------------- */

static bool split_sizes(Node *n, int32_t have, int64_t *size, int parts)
{
	int count;
	if (!list_arg(n, "split", 1, size, parts, &count))
		return false;
	if (count >= 0) {
		int64_t sum = 0;
		for (int i = 0; i < count; i++) {
			if (size[i] < 0 || size[i] > INT32_MAX)
				return fail(n, "part %d has size %lld", i, (long long)size[i]);
			sum += size[i];
		}
		if (count != parts || sum != have)
			return fail(n, "%d sizes that sum to %lld for %d results of an axis of %d", count, (long long)sum,
				    parts, have);
		return true;
	}
	bool uneven = get_attr(n, "num_outputs");
	if (uneven && get_int(n, "num_outputs", 0) != parts)
		return fail(n, "attribute 'num_outputs' is %lld, but there are %d results",
			    (long long)get_int(n, "num_outputs", 0), parts);
	if (!uneven && have % parts)
		return fail(n, "an axis of %d cannot be split into %d equal parts", have, parts);
	int32_t each = have / parts + (have % parts != 0);
	for (int i = 0; i < parts; i++)
		size[i] = i < parts - 1 ? each : have - (int64_t)each * (parts - 1);
	return size[parts - 1] >= 0 || fail(n, "an axis of %d cannot be split into %d parts", have, parts);
}

bool op_split(Node *n)
{
	Value *x = n->in[0];
	Shape s = shape_of(x);
	int axis, parts = (int)n->p->n_output;
	int64_t *size = NEWN(n->im->arena, int64_t, parts), at = 0, dim[MAX_RANK], stride[MAX_RANK];
	if (!parts || !get_axis(n, "axis", 0, s.rank, &axis))
		return false;
	if (s.dim[axis] == DIM_T)
		return fail_fixed(n, "it is split");
	if (!split_sizes(n, s.dim[axis], size, parts))
		return false;
	for (int i = 0; i < parts; at += size[i++]) {
		if (!is_host(x)) {
			if (result(n, i))
				set_run(n, i, emit_slice(n, x->val, axis, size[i] ? at : 0, 1, (int32_t)size[i]), x->type);
			continue;
		}
		memcpy(dim, x->host->dim, sizeof dim);
		dim[axis] = size[i];
		host_strides(x->host, stride);
		if (!host_view(n, result(n, i), x, s.rank, dim, stride, at * stride[axis]))
			return false;
	}
	return true;
}

/* ops_scatter.c: ScatterND: a copy of a tensor with slices replaced, at places that are known now.
 *
 * When the model runs, places that fill a box are joined from the pieces around it; others are picked, one
 * index for each element, out of the tensor and its updates side by side. */
#include "onnx/operators.h"

#include <string.h>

typedef struct {
	const Tensor *index;
	Shape x;
	int64_t depth, rows, inner;     /* axes indexed; tuples; elements of a slice */
	int64_t lo[MAX_RANK], hi[MAX_RANK];     /* bounds of the indices */
} Scatter;

static int64_t index_at(const Scatter *s, int64_t row, int64_t k)
{
	int64_t j = tensor_get_int(s->index, row * s->depth + k);
	return j < 0 ? j + s->x.dim[k] : j;
}

static bool read_scatter(Node *n, Scatter *s)
{
	const Value *x = n->in[0], *index = n->in[1], *u = n->in[2];
	const char *reduction = get_string(n, "reduction", "none");
	if (strcmp(reduction, "none"))
		return fail(n, "attribute 'reduction' = \"%.60s\" is not supported; supported: none",
			    reduction);
	if (!is_host(index))
		return fail(n, "operand '%s' is computed from the model's inputs; it must be a constant",
			    index->name);
	*s = (Scatter){ .index = index->host, .x = shape_of(x), .inner = 1 };
	s->depth = index->host->rank ? index->host->dim[index->host->rank - 1] : 0;
	if (!is_whole(index->type) || index->steps || s->depth < 1 || s->depth > s->x.rank
	    || u->type != x->type)
		return fail(n, "operands do not fit together");
	s->rows = index->host->count / s->depth;
	for (int64_t k = 0; k < s->depth; k++) {
		if (s->x.dim[k] == DIM_T)
			return fail_fixed(n, "places along it are replaced");
		s->lo[k] = s->x.dim[k];
		for (int64_t i = 0; i < s->rows; i++) {
			int64_t j = index_at(s, i, k);
			if (j < 0 || j >= s->x.dim[k])
				return fail(n, "index %lld is outside of an axis of %d", (long long)j,
					    s->x.dim[k]);
			s->lo[k] = j < s->lo[k] ? j : s->lo[k];
			s->hi[k] = j >= s->hi[k] ? j + 1 : s->hi[k];
		}
	}
	for (int64_t k = s->depth; k < s->x.rank; k++)
		s->inner *= s->x.dim[k] == DIM_T ? 1 : s->x.dim[k];
	Shape us = shape_of(u);
	int steps;
	int32_t have = shape_const(&us, 0, us.rank, &steps);
	if (have != s->rows * s->inner)
		return fail(n, "there are %d updates for %lld places", have, (long long)(s->rows * s->inner));
	return true;
}

/* ---- on constants ---------------------------------------------------------------------------------- */

static bool scatter_host(Node *n, const Scatter *s)
{
	const Value *x = n->in[0], *u = n->in[2];
	const Tensor *d = x->host;
	int64_t stride[HOST_RANK], inner = s->inner;
	host_strides(d, stride);
	Tensor *t = host_new(n, x->type, d->rank, d->dim);
	if (!t)
		return false;
	size_t unit = host_size(t->type);
	int64_t *steps = x->steps || u->steps ? steps_new(n, t->count) : 0;
	memcpy(t->bytes, d->bytes, (size_t)t->count * unit);
	if (x->steps)
		memcpy(steps, x->steps, (size_t)t->count * 8);
	for (int64_t i = 0; i < s->rows; i++) {
		int64_t at = 0;
		for (int64_t k = 0; k < s->depth; k++)
			at += index_at(s, i, k) * stride[k];
		memcpy((char *)t->bytes + (size_t)at * unit, (char *)u->host->bytes
		       + (size_t)(i * inner) * unit,
		       (size_t)inner * unit);
		for (int64_t k = 0; steps && k < inner; k++)
			steps[at + k] = u->steps ? u->steps[i * inner + k] : 0;
	}
	set_host(n, 0, t, steps);
	return true;
}

/* ---- a box -------------------------------------------------------------------------------------------- */

/* Do the tuples count through the whole box in order? */
static bool is_box(const Scatter *s)
{
	int64_t count = 1, at[MAX_RANK];
	for (int64_t k = 0; k < s->depth; k++) {
		count *= s->hi[k] - s->lo[k];
		at[k] = s->lo[k];
	}
	if (count != s->rows || !count)
		return false;
	for (int64_t i = 0; i < s->rows; i++) {
		for (int64_t k = 0; k < s->depth; k++)
			if (index_at(s, i, k) != at[k])
				return false;
		for (int64_t k = s->depth - 1; k >= 0 && ++at[k] == s->hi[k]; k--)
			at[k] = s->lo[k];
	}
	return true;
}

/* x with u in place of the box along the axes from `axis` on. */
static Val *emit_box(Node *n, const Scatter *s, Val *x, Val *u, int axis)
{
	while (axis < s->depth && s->lo[axis] == 0 && s->hi[axis] == s->x.dim[axis])
		axis++;
	if (axis == s->depth)
		return u;
	int64_t lo = s->lo[axis], hi = s->hi[axis], size = s->x.dim[axis];
	Val *part[3];
	int count = 0;
	if (lo)
		part[count++] = emit_slice(n, x, axis, 0, 1, (int32_t)lo);
	Val *inside = emit_slice(n, x, axis, lo, 1, (int32_t)(hi - lo));
	if (!(part[count++] = emit_box(n, s, inside, u, axis + 1)))
		return 0;
	if (hi < size)
		part[count++] = emit_slice(n, x, axis, hi, 1, (int32_t)(size - hi));
	Op *o = op_begin(n, O_concat, count, part);
	attr_set_int(n->im->m, o, "axis", axis);
	return op_end(n, o);
}

/* ---- anywhere ----------------------------------------------------------------------------------------- */

/* Rows of the tensor, then rows of the updates: for each row of the result, which of them. */
static Val *emit_anywhere(Node *n, const Scatter *s, Val *x, Val *u)
{
	int64_t rows = 1, *at;
	Shape flat = { .rank = 1 + s->x.rank - (int)s->depth };
	for (int k = 0; k < s->x.rank; k++) {
		if (k < s->depth)
			rows *= s->x.dim[k];
		else
			flat.dim[1 + k - s->depth] = s->x.dim[k];
	}
	if (rows + s->rows > INT32_MAX) {
		fail(n, "the operand is too large");
		return 0;
	}
	Tensor *t = host_new(n, H_I32, 1, &rows);
	if (!t)
		return 0;
	at = NEWN(n->im->arena, int64_t, rows);
	for (int64_t i = 0; i < rows; i++)
		at[i] = i;
	for (int64_t i = 0; i < s->rows; i++) {
		int64_t row = 0;
		for (int64_t k = 0; k < s->depth; k++)
			row = row * s->x.dim[k] + index_at(s, i, k);
		at[row] = rows + i;
	}
	for (int64_t i = 0; i < rows; i++)
		tensor_set_int(t, i, at[i]);
	flat.dim[0] = (int32_t)rows;
	Val *part[] = { emit_reshape(n, x, &flat), 0 };
	flat.dim[0] = (int32_t)s->rows;
	part[1] = emit_reshape(n, u, &flat);
	Op *o = op_begin(n, O_concat, 2, part);
	attr_set_int(n->im->m, o, "axis", 0);
	Val *in[] = { op_end(n, o), operand_data(n, "places", H_I32, t) };
	if (!in[0] || !in[1])
		return 0;
	o = op_begin(n, O_gather, 2, in);
	attr_set_int(n->im->m, o, "axis", 0);
	Val *v = op_end(n, o);
	return v ? emit_reshape(n, v, &s->x) : 0;
}

bool op_scatter_nd(Node *n)
{
	Scatter s;
	if (!read_scatter(n, &s))
		return false;
	if (all_host(n))
		return scatter_host(n, &s);
	if (!s.rows) {
		set_same(n, 0, n->in[0]);
		return true;
	}
	Val *x = operand(n, n->in[0]), *u = operand(n, n->in[2]), *v = 0;
	if (!x || !u)
		return false;
	if (is_box(&s)) {
		Shape box = s.x;
		for (int64_t k = 0; k < s.depth; k++)
			box.dim[k] = (int32_t)(s.hi[k] - s.lo[k]);
		v = emit_box(n, &s, x, emit_reshape(n, u, &box), 0);
	} else {
		v = emit_anywhere(n, &s, x, u);
	}
	if (v)
		set_run(n, 0, v, n->in[0]->type);
	return v;
}

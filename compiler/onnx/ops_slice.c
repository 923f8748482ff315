/* ops_slice.c: Slice and Gather.  Of the time axis whose length is not known, all steps, all in reverse, the
 * first or the last can be taken. */
#include "onnx/operators.h"

#include <string.h>

typedef struct { int64_t at, step, count; } Range;      /* of T steps: at -1 is the last, count DIM_T all */

/* ---- Slice --------------------------------------------------------------------------------- */

static int64_t clamp(int64_t v, int64_t lo, int64_t hi)
{
	return v < lo ? lo : v > hi ? hi : v;
}

static bool known_range(Node *n, int64_t size, Sym from, Sym to, int64_t step, Range *r)
{
	if (from.a || to.a)
		return fail_fixed(n, "a slice of another dimension depends on it");
	if (!size) {
		*r = (Range){ 0, 1, 0 };
		return true;
	}
	int64_t a = from.b < 0 ? from.b + size : from.b, b = to.b < 0 ? to.b + size : to.b;
	a = step > 0 ? clamp(a, 0, size) : clamp(a, 0, size - 1);
	b = step > 0 ? clamp(b, 0, size) : clamp(b, -1, size - 1);
	int64_t far = step > 0 ? b - a : a - b, by = step > 0 ? step : step < -INT64_MAX ? INT64_MAX : -step;
	*r = (Range){ a, step, far > 0 ? (far - 1) / by + 1 : 0 };
	if (r->count <= 1)
		r->step = 1;
	if (!r->count)
		r->at = 0;
	return true;
}

/* Bounds past any length count as the end: exporters write INT32_MAX or INT64_MAX, and their negatives. */
static bool time_range(Node *n, Sym from, Sym to, int64_t step, Range *r)
{
	bool from_start = (!from.a && (from.b == 0 || from.b <= -INT32_MAX)) || (from.a == -1 && from.b == 0);
	bool from_last = (!from.a && from.b == -1) || (from.a == 1 && from.b == -1);
	bool to_end = (!to.a && to.b >= INT32_MAX) || (to.a >= 1 && to.b >= 0);
	bool to_start = !to.a && to.b <= -INT32_MAX;
	if (step == 1 && from_start && to_end)
		*r = (Range){ 0, 1, DIM_T };
	else if (step == 1 && from_start && !to.a && to.b == 1)
		*r = (Range){ 0, 1, 1 };
	else if (step >= 1 && from_last && to_end)
		*r = (Range){ -1, 1, 1 };
	else if (step == -1 &&
		 (from_last || (!from.a && from.b >= INT32_MAX) || (from.a >= 1 && from.b >= 0)) && to_start)
		*r = (Range){ -1, -1, DIM_T };
	else
		return fail_fixed(n, "only the first, the last or all of its steps can be taken");
	return true;
}

static bool slice_bound(Node *n, const char *name, int i, Sym *to, int *count)
{
	const Onnx__Attribute *a = get_attr(n, name);
	if (!a)
		return input_syms(n, i, to, MAX_RANK, count);
	if (a->n_ints > MAX_RANK)
		return fail(n, "attribute '%s' has %zu elements", name, a->n_ints);
	*count = (int)a->n_ints;
	for (int k = 0; k < *count; k++)
		to[k] = (Sym){ 0, a->ints[k] };
	return true;
}

static bool slice_ranges(Node *n, const Shape *s, Range *range)
{
	Sym from[MAX_RANK], to[MAX_RANK];
	int64_t axes[MAX_RANK], steps[MAX_RANK];
	int nfrom, nto, naxes, nsteps = -1, axis;
	bool done[MAX_RANK] = { 0 };
	if (!slice_bound(n, "starts", 1, from, &nfrom) || !slice_bound(n, "ends", 2, to, &nto)
	    || !list_arg(n, "axes", 3, axes, MAX_RANK, &naxes)
	    || (input(n, 4) && !input_ints(n, 4, steps, MAX_RANK, &nsteps)))
		return false;
	if (nto != nfrom || (naxes >= 0 && naxes != nfrom) || (nsteps >= 0 && nsteps != nfrom) ||
	    nfrom > s->rank)
		return fail(n, "starts, ends, axes and steps differ in length");
	for (int i = 0; i < nfrom; i++) {
		int64_t step = nsteps >= 0 ? steps[i] : 1;
		if (!in_axis(n, naxes >= 0 ? axes[i] : i, s->rank, &axis))
			return false;
		if (done[axis])
			return fail(n, "axis %d comes twice", axis);
		if (!step)
			return fail(n, "a step is 0");
		if (step < 0 && !to[i].a && (to[i].b == INT32_MAX || to[i].b == INT64_MAX))
			return fail(n, "ends at %lld with a negative step: by ONNX's text that is nothing, "
				    "ONNX Runtime takes all; write INT_MIN", (long long)to[i].b);
		done[axis] = true;
		if (!(s->dim[axis] == DIM_T ? time_range(n, from[i], to[i], step, &range[axis])
		      : known_range(n, s->dim[axis], from[i], to[i], step, &range[axis])))
			return false;
	}
	return true;
}

bool op_slice(Node *n)
{
	Value *x = n->in[0];
	Shape s = shape_of(x);
	Range range[MAX_RANK];
	for (int i = 0; i < s.rank; i++)
		range[i] = (Range){ 0, 1, s.dim[i] };
	if (!slice_ranges(n, &s, range))
		return false;
	if (is_host(x)) {
		int64_t dim[MAX_RANK], stride[MAX_RANK], offset = 0;
		host_strides(x->host, stride);
		for (int i = 0; i < s.rank; i++) {
			dim[i] = range[i].count;
			offset += range[i].at * stride[i];
			stride[i] *= range[i].step;
		}
		return host_view(n, result(n, 0), x, s.rank, dim, stride, offset);
	}
	Val *v = x->val;
	for (int i = 0; i < s.rank; i++)
		if (range[i].at || range[i].step != 1 || range[i].count != s.dim[i])
			v = emit_slice(n, v, i, range[i].at, range[i].step, (int32_t)range[i].count);
	set_run(n, 0, v, x->type);
	return true;
}

/* ---- Gather -------------------------------------------------------------------------------- */

/* Constant indices, those from the end turned into those from the start. */
static bool known_indices(Node *n, const Value *index, int64_t size, int64_t *at)
{
	if (index->steps)
		return fail_fixed(n, "an index is computed from it");
	for (int64_t i = 0; i < index->host->count; i++) {
		at[i] = tensor_get_int(index->host, i);
		if (at[i] < -size || at[i] >= size)
			return fail(n, "index %lld is outside of an axis of %lld", (long long)at[i],
				    (long long)size);
		if (at[i] < 0)
			at[i] += size;
	}
	return true;
}

static bool gather_host(Node *n, int axis)
{
	const Value *x = n->in[0], *index = n->in[1];
	const Tensor *d = x->host, *ix = index->host;
	int64_t dim[2 * MAX_RANK], rows = 1, inner = 1, *at = NEWN(n->im->arena, int64_t, ix->count);
	int rank = 0;
	if (d->rank - 1 + ix->rank > MAX_RANK)
		return fail(n, "the result has more than %d dimensions", MAX_RANK);
	if (!known_indices(n, index, d->dim[axis], at))
		return false;
	for (int i = 0; i < d->rank; i++) {
		if (i == axis) {
			memcpy(dim + rank, ix->dim, sizeof *dim * (size_t)ix->rank);
			rank += ix->rank;
		} else {
			*(i < axis ? &rows : &inner) *= d->dim[i];
			dim[rank++] = d->dim[i];
		}
	}
	Tensor *t = host_new(n, d->type, rank, dim);
	if (!t)
		return false;
	int64_t *steps = x->steps ? steps_new(n, t->count) : 0;
	size_t part = (size_t)inner * host_size(t->type);
	for (int64_t r = 0, to = 0; r < rows && inner; r++)
		for (int64_t i = 0; i < ix->count; i++, to++) {
			int64_t from = r * d->dim[axis] + at[i];
			memcpy((char *)t->bytes + (size_t)to * part, (char *)d->bytes + (size_t)from * part,
			       part);
			if (steps)
				memcpy(steps + to * inner, x->steps + from * inner, (size_t)inner * 8);
		}
	set_host(n, 0, t, steps);
	return true;
}

/* The first or last step, picked with a constant index from a time axis. */
static bool step_range(Node *n, const Value *index, Range *r)
{
	Sym i = index->host->count == 1 ? host_sym(index->host, index->steps, 0) : (Sym){ 0, 1 };
	bool last = (!i.a && i.b == -1) || (i.a == 1 && i.b == -1);
	*r = (Range){ last ? -1 : 0, 1, 1 };
	return last || (!i.a && !i.b) ||
	       fail_fixed(n, "only the first or the last of its steps can be picked");
}

/* Indices that are evenly spaced are a slice. */
static bool even_range(const int64_t *at, int64_t count, Range *r)
{
	int64_t step = count > 1 ? at[1] - at[0] : 1;
	for (int64_t i = 1; i < count; i++)
		if (at[i] - at[i - 1] != step || !step)
			return false;
	*r = (Range){ count ? at[0] : 0, step, count };
	return true;
}

/* Elements of one range; a single index drops the axis. */
static void gather_range(Node *n, int axis, const Range *r, bool drop)
{
	Val *v = emit_slice(n, n->in[0]->val, axis, r->at, r->step, (int32_t)r->count);
	Shape s = val_shape(v);
	if (drop) {
		memmove(&s.dim[axis], &s.dim[axis + 1], sizeof *s.dim * (size_t)(s.rank - axis - 1));
		s.rank--;
		v = emit_reshape(n, v, &s);
	}
	set_run(n, 0, v, n->in[0]->type);
}

static bool gather_constant(Node *n, int axis)
{
	Value *x = n->in[0], *index = n->in[1];
	int32_t size = x->val->type->dim[axis];
	int64_t *at = NEWN(n->im->arena, int64_t, index->host->count);
	Range r = { 0 };
	if (size == DIM_T && index->host->rank > 1)
		return fail_fixed(n, "only the first or the last of its steps can be picked");
	if (size == DIM_T ? !step_range(n, index, &r) : !known_indices(n, index, size, at))
		return false;
	if (index->host->rank <= 1 && (size == DIM_T || even_range(at, index->host->count, &r))) {
		gather_range(n, axis, &r, !index->host->rank);
		return true;
	}
	Tensor *t = host_new(n, H_I32, index->host->rank, index->host->dim);
	if (!t)
		return false;
	for (int64_t i = 0; i < t->count; i++)
		tensor_set_int(t, i, at[i]);
	Val *in[] = { x->val, operand_data(n, index->name, H_I32, t) };
	Op *o = op_begin(n, O_gather, 2, in);
	attr_set_int(n->im->m, o, "axis", axis);
	Val *v = op_end(n, o);
	if (v)
		set_run(n, 0, v, x->type);
	return v;
}

bool op_gather(Node *n)
{
	Value *x = n->in[0], *index = n->in[1];
	int axis;
	if (!get_axis(n, "axis", 0, shape_of(x).rank, &axis))
		return false;
	if (!is_whole(index->type))
		return fail(n, "indices are %s", host_name(index->type));
	if (is_host(index))
		return is_host(x) ? gather_host(n, axis) : gather_constant(n, axis);
	bool done;
	if (!body_gather(n, axis, &done) || done)
		return done;
	Val *in[] = { operand(n, x), operand(n, index) };
	if (!in[0] || !in[1])
		return false;
	Op *o = op_begin(n, O_gather, 2, in);
	attr_set_int(n->im->m, o, "axis", axis);
	Val *v = op_end(n, o);
	if (v)
		set_run(n, 0, v, x->type);
	return v;
}

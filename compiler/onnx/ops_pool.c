/* ops_pool.c: MaxPool, AveragePool and their global forms.
 *
 * Windows are boxes, so one axis is pooled after the other: the greatest (or the sum) of as many slices as
 * the window has elements along the axis, which is one loop over the result.  A window as long as the axis is
 * a reduction. */
#include "onnx/conv.h"
#include "onnx/operators.h"

#include <string.h>

static Val *reduce_axes(Node *n, OpKind kind, Val *x, int from, int count, bool keep)
{
	int64_t axes[MAX_RANK];
	for (int i = 0; i < count; i++)
		axes[i] = from + i;
	Op *o = op_begin(n, kind, 1, &x);
	attr_set_ints(n->im->m, o, "axes", count, axes);
	attr_set_int(n->im->m, o, "keepdims", keep);
	return op_end(n, o);
}

static bool check_real(Node *n, const Shape *s)
{
	if (is_whole(n->in[0]->type))
		return fail(n, "the operand is %s", host_name(n->in[0]->type));
	return s->rank >= 3 || fail(n, "the operand has %d dimensions", s->rank);
}

/* ---- global ------------------------------------------------------------------------------------ */

bool op_global_pool(Node *n)
{
	Shape s = shape_of(n->in[0]);
	if (!check_real(n, &s))
		return false;
	Val *v = operand(n, n->in[0]);
	v = v ? reduce_axes(n, *(const OpKind *)n->row->arg, v, 2, s.rank - 2, true) : 0;
	if (v)
		set_run(n, 0, v, n->in[0]->type);
	return v;
}

/* ---- one axis ------------------------------------------------------------------------------------ */

/* v lies padded already; count windows along axis. */
static Val *pool_axis(Node *n, Val *v, const Space *s, int i, int64_t count, bool max)
{
	int axis = 2 + i;
	int64_t k = s->kernel[i], size = v->type->dim[axis];
	OpKind whole = max ? O_reducemax : O_reducesum;
	if (k == 1 && s->stride[i] == 1)
		return v;
	if (count == 1 && s->dilation[i] == 1 && k > 1)
		return reduce_axes(n, whole, emit_slice(n, v, axis, 0, 1, (int32_t)k), axis, 1, true);
	if (k > 8 && s->stride[i] == k && s->dilation[i] == 1 && count * k <= size
	    && v->type->rank < MAX_RANK) {
		v = emit_slice(n, v, axis, 0, 1, (int32_t)(count * k));
		Shape apart = val_shape(v);
		memmove(&apart.dim[axis + 2], &apart.dim[axis + 1],
			sizeof *apart.dim * (size_t)(apart.rank - axis - 1));
		apart.dim[axis] = (int32_t)count;
		apart.dim[axis + 1] = (int32_t)k;
		apart.rank++;
		return reduce_axes(n, whole, emit_reshape(n, v, &apart), axis + 1, 1, false);
	}
	Val *sum = 0;
	for (int64_t j = 0; j < k; j++) {
		int64_t step = count > 1 ? s->stride[i] : 1;
		Val *part = emit_slice(n, v, axis, j * s->dilation[i], step, (int32_t)count);
		sum = sum ? emit2(n, max ? O_max : O_add, sum, part) : part;
		if (!sum)
			return 0;
	}
	return sum;
}

/* Windows along axis i, and the elements that must be put behind for the last of them (ceil_mode). */
static bool count_windows(Node *n, const Space *s, const Shape *x, int i, bool ceil, int64_t *count,
			  int64_t *more)
{
	int64_t size = x->dim[2 + i], span = s->dilation[i] * (s->kernel[i] - 1) + 1;
	*more = 0;
	if (size == DIM_T) {
		*count = DIM_T;
		return s->kernel[i] == 1 && s->stride[i] == 1 && !s->lo[i] && !s->hi[i]
		       ? true : fail_fixed(n, "it is pooled");
	}
	int64_t room = size + s->lo[i] + s->hi[i] - span;
	if (room < 0)
		return fail(n, "an axis of %lld elements has no window of %lld", (long long)size,
			    (long long)span);
	*count = room / s->stride[i] + 1;
	if (ceil && room % s->stride[i] && *count * s->stride[i] < size + s->lo[i]) {   /* it starts inside */
		*more = *count * s->stride[i] - room;
		++*count;
	}
	return true;
}

/* ---- averages -------------------------------------------------------------------------------------- */

/* How many elements of window o count: those of x, or with the padding that was asked for. */
static int64_t members(const Space *s, int i, int64_t o, int64_t size, bool padding)
{
	int64_t lo = padding ? -s->lo[i] : 0, hi = padding ? size + s->hi[i] : size, c = 0;
	for (int64_t j = 0; j < s->kernel[i]; j++) {
		int64_t at = o * s->stride[i] - s->lo[i] + j * s->dilation[i];
		c += at >= lo && at < hi;
	}
	return c;
}

/* 1 / count for each place, as a tensor that broadcasts to the sums; a single number where all are alike. */
static Val *emit_weights(Node *n, const Space *s, const Shape *x, const int64_t *count)
{
	bool padding = get_int(n, "count_include_pad", 0), alike = true;
	int64_t index[MAX_SPACE] = { 0 }, dim[MAX_SPACE];
	for (int i = 0; i < s->n; i++)
		dim[i] = count[i] == DIM_T ? 1 : count[i];
	Tensor *t = host_new(n, H_F32, s->n, dim);
	if (!t)
		return 0;
	for (int64_t k = 0; k < t->count; k++) {
		double of = 1;
		for (int i = 0; i < s->n; i++)
			of *= (double)(count[i] == DIM_T ? 1
				       : members(s, i, index[i], x->dim[2 + i], padding));
		tensor_set(t, k, of > 0 ? 1 / of : 0);
		alike &= tensor_get(t, k) == tensor_get(t, 0);
		for (int i = s->n - 1; i >= 0 && ++index[i] == dim[i]; i--)
			index[i] = 0;
	}
	return alike ? emit_scalar(n, H_F32, tensor_get(t, 0)) : operand_data(n, "counts", H_F32, t);
}

/* ---- the operators --------------------------------------------------------------------------------- */

/* Each window of a MaxPool has elements of x, and without dilation the first or last one if it reaches beyond
 * x: so repeating that one changes nothing. */
static bool repeats_edge(const Space *s, const int64_t *lo, const int64_t *hi)
{
	for (int i = 0; i < s->n; i++)
		if (s->dilation[i] > 1 && (lo[2 + i] || hi[2 + i]))
			return false;
	return true;
}

bool op_pool(Node *n)
{
	OpKind kind = *(const OpKind *)n->row->arg;
	bool max = kind == O_reducemax, ceil = get_int(n, "ceil_mode", 0);
	Shape x = shape_of(n->in[0]);
	Space s;
	int64_t count[MAX_SPACE], lo[MAX_RANK] = { 0 }, hi[MAX_RANK] = { 0 };
	if (!check_real(n, &x) || !space_read(n, &x, 0, false, &s))
		return false;
	if (result(n, 1) && result(n, 1)->uses)
		return fail(n, "its indices are used, which is not supported");
	for (int i = 0; i < s.n; i++) {
		int64_t more, span = s.dilation[i] * (s.kernel[i] - 1) + 1;
		if (!count_windows(n, &s, &x, i, ceil, &count[i], &more))
			return false;
		if (s.lo[i] >= span || s.hi[i] >= span)
			return fail(n, "the padding is as large as the window");
		lo[2 + i] = s.lo[i];
		hi[2 + i] = s.hi[i] + more;
	}
	bool edge = max && repeats_edge(&s, lo, hi);
	Val *v = operand(n, n->in[0]);
	v = v ? emit_pad(n, v, lo, hi, edge ? "edge" : "constant", max ? -3.4e38f : 0) : 0;
	for (int i = 0; i < s.n && v; i++)
		v = pool_axis(n, v, &s, i, count[i], max);
	if (v && !max)
		v = emit2(n, O_mul, v, emit_weights(n, &s, &x, count));
	if (v)
		set_run(n, 0, v, n->in[0]->type);
	return v;
}

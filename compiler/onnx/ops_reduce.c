/* ops_reduce.c: sums, means, extremes and products along axes; Softmax. */
#include "onnx/operators.h"

#include <math.h>
#include <string.h>

struct Reduce { OpKind op; SymOp *whole; Real2 *real; double start; };

static double add(double x, double y) { return x + y; }
static double mul(double x, double y) { return x * y; }
static double least(double x, double y) { return isnan(x) || x < y ? x : y; }
static double greatest(double x, double y) { return isnan(x) || x > y ? x : y; }

const Reduce reduce_sum = { O_reducesum, sym_add, add, 0 };
const Reduce reduce_mean = { O_reducemean, sym_add, add, 0 };
const Reduce reduce_prod = { O_reduceprod, sym_mul, mul, 1 };
const Reduce reduce_min = { O_reducemin, sym_min, least, INFINITY };
const Reduce reduce_max = { O_reducemax, sym_max, greatest, -INFINITY };

/* The result's index for each of the operand's is its own with the reduced axes left out. */
static bool reduce_host(Node *n, const Reduce *r, const bool *over, bool keep)
{
	const Value *x = n->in[0];
	const Tensor *d = x->host;
	int64_t dim[HOST_RANK], stride[HOST_RANK] = { 0 }, index[HOST_RANK] = { 0 }, s = 1, many = 1;
	int rank = 0;
	bool exact = is_whole(x->type);
	for (int i = d->rank - 1; i >= 0; i--) {
		stride[i] = over[i] ? 0 : s;
		*(over[i] ? &many : &s) *= d->dim[i];
	}
	for (int i = 0; i < d->rank; i++)
		if (!over[i] || keep)
			dim[rank++] = over[i] ? 1 : d->dim[i];
	Tensor *t = host_new(n, x->type, rank, dim);
	if (!t)
		return false;
	if (!many || (exact && r == &reduce_mean))
		return fail(n, "cannot be computed on %lld %ss", (long long)many, host_name(x->type));
	double *real = NEWN(n->im->arena, double, t->count);
	Sym *whole = NEWN(n->im->arena, Sym, t->count);
	int64_t *steps = x->steps ? steps_new(n, t->count) : 0;
	bool *begun = NEWN(n->im->arena, bool, t->count);
	for (int64_t i = 0; i < d->count; i++) {
		int64_t to = 0;
		for (int k = 0; k < d->rank; k++)
			to += index[k] * stride[k];
		Sym v = exact ? host_sym(d, x->steps, i) : (Sym){ 0, 0 };
		if (exact &&
		    !sym_fail(n, begun[to] ? r->whole(whole[to], v, &whole[to]) : (whole[to] = v, SYM_OK)))
			return false;
		if (!exact)
			real[to] = r->real(begun[to] ? real[to] : r->start, tensor_get(d, i));
		begun[to] = true;
		for (int k = d->rank - 1; k >= 0 && ++index[k] == d->dim[k]; k--)
			index[k] = 0;
	}
	for (int64_t i = 0; i < t->count; i++) {
		if (steps)
			steps[i] = whole[i].a;
		if (exact)
			tensor_set_int(t, i, whole[i].b);
		else
			tensor_set(t, i, r == &reduce_mean ? real[i] / (double)many : real[i]);
	}
	set_host(n, 0, t, steps);
	return true;
}

bool op_reduce(Node *n)
{
	const Reduce *r = n->row->arg;
	Value *x = n->in[0];
	int rank = shape_of(x).rank, count, axis, k = 0;
	int64_t axes[MAX_RANK], named[MAX_RANK];
	bool over[MAX_RANK] = { 0 }, keep = get_int(n, "keepdims", 1);
	if (!list_arg(n, "axes", 1, axes, MAX_RANK, &count))
		return false;
	if (count <= 0 && get_int(n, "noop_with_empty_axes", 0)) {
		set_same(n, 0, x);
		return true;
	}
	for (int i = 0; i < rank; i++)
		over[i] = count <= 0;
	for (int i = 0; i < count; i++) {
		if (!in_axis(n, axes[i], rank, &axis))
			return false;
		over[axis] = true;
	}
	if (!rank) {
		set_same(n, 0, x);
		return true;
	}
	if (is_host(x))
		return reduce_host(n, r, over, keep);
	if (x->type == H_BOOL || (is_whole(x->type) && r == &reduce_mean))
		return fail(n, "the operand is %s", host_name(x->type));
	for (int i = 0; i < rank; i++)
		if (over[i])
			named[k++] = i;
	Op *o = op_begin(n, r->op, 1, &x->val);
	attr_set_ints(n->im->m, o, "axes", k, named);
	attr_set_int(n->im->m, o, "keepdims", keep);
	Val *v = op_end(n, o);
	if (v)
		set_run(n, 0, v, x->type);
	return v;
}

/* ---- Softmax ------------------------------------------------------------------------------- */

/* Before opset 13 the operand counts as a matrix, cut before the axis, and each row sums to 1. */
static bool old_shape(Node *n, const Shape *s, int *axis, Shape *flat)
{
	int wide = 0;
	for (int i = *axis; i < s->rank; i++)
		if (s->dim[i] != 1)
			wide++;
	if (wide <= 1) {                /* one axis holds the whole row: no need to flatten */
		for (int i = *axis; i < s->rank; i++)
			if (s->dim[i] != 1)
				*axis = i;
		*flat = *s;
		return true;
	}
	flat->rank = 2;
	for (int i = 0; i < 2; i++) {
		int t;
		flat->dim[i] = i ? shape_const(s, *axis, s->rank, &t) : shape_const(s, 0, *axis, &t);
		if (flat->dim[i] < 0)
			return fail(n, "the operand's size overflows");
		if (t > 1 || (t && flat->dim[i] != 1))
			return fail_fixed(n, "it is joined with other dimensions");
		if (t)
			flat->dim[i] = DIM_T;
	}
	*axis = 1;
	return true;
}

bool op_softmax(Node *n)
{
	Value *x = n->in[0];
	Shape s = shape_of(x), as = s;
	bool old = n->im->model->opset < 13;
	int axis;
	if (is_whole(x->type))
		return fail(n, "the operand is %s", host_name(x->type));
	if (!get_axis(n, "axis", old ? 1 : -1, s.rank, &axis) || (old && !old_shape(n, &s, &axis, &as)))
		return false;
	Val *v = operand(n, x);
	if (!v)
		return false;
	v = emit_reshape(n, v, &as);
	Op *o = op_begin(n, *(const OpKind *)n->row->arg, 1, &v);
	attr_set_int(n->im->m, o, "axis", axis);
	v = op_end(n, o);
	if (v)
		set_run(n, 0, emit_reshape(n, v, &s), x->type);
	return v;
}

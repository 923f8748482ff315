/* infer_conv.c: result types of conv, pad, pick and argmax. */
#include <string.h>

#include "ir/infer.h"

/* Entry i of an attribute that has n numbers; `otherwise` when it is not given. */
static bool entry(const Infer *x, const char *name, int i, int n, int64_t least, int64_t otherwise,
                  int64_t *v)
{
	const Attr *a = attr_find(x->o, name);
	*v = otherwise;
	if (!a)
		return true;
	if (a->kind != A_INT || a->n != n) {
		infer_fail(x, "%s has %d numbers; there should be %d", name, a->n, n);
		return false;
	}
	*v = a->v.i[i];
	if (*v < least || *v > INT32_MAX) {
		infer_fail(x, "%s holds %lld", name, (long long)*v);
		return false;
	}
	return true;
}

/* ---- conv -------------------------------------------------------------------------------------------- */

/* Axis i of n: how many windows of how many elements lie in `size`.  Of T elements T, where they keep their
 * number. */
static bool count_windows(const Infer *x, int i, int n, int32_t size, int32_t *count, int64_t *kernel)
{
	int64_t stride, dilation, lo, hi;
	if (!entry(x, "kernel", i, n, 1, 1, kernel) || !entry(x, "stride", i, n, 1, 1, &stride) ||
	    !entry(x, "dilation", i, n, 1, 1, &dilation) || !entry(x, "pads", i, 2 * n, 0, 0, &lo) ||
	    !entry(x, "pads", n + i, 2 * n, 0, 0, &hi))
		return false;
	int64_t span = dilation * (*kernel - 1), room = size + lo + hi - span - 1;
	*count = DIM_T;
	if (size == DIM_T && (stride != 1 || lo + hi != span)) {
		infer_fail(x, "the number of steps would change");
		return false;
	}
	if (size == DIM_T)
		return true;
	if (room < 0) {
		infer_fail(x, "a window of %lld elements does not fit an axis of %lld", (long long)span + 1,
		           (long long)(size + lo + hi));
		return false;
	}
	if (room / stride >= INT32_MAX) {
		infer_fail(x, "the result is too large");
		return false;
	}
	*count = (int32_t)(room / stride + 1);
	return true;
}

int infer_conv(const Infer *x)
{
	const Type *a = infer_in(x, 0), *w = infer_in(x, 1), *b = infer_in(x, 2);
	const Attr *kernel = attr_find(x->o, "kernel");
	int64_t groups = attr_int(x->o, "groups", 1);
	int n = a->rank - 2;
	int32_t dim[MAX_RANK];
	if (n < 1 || !kernel || kernel->n != n)
		return infer_fail(x, "kernel has %d numbers, the operand %d dimensions behind the first two",
		                  kernel ? kernel->n : 0, n);
	if (a->rank + n > MAX_RANK)
		return infer_fail(x, "at most %d axes have windows", (MAX_RANK - 2) / 2);
	if (plain_elem(a) != E_f32 || plain_elem(w) != E_f32 || w->rank != 2)
		return infer_fail(x, "the operands are real, the weights [M,K]");
	if (groups < 1 || a->dim[1] < 1 || a->dim[1] % groups || w->dim[0] % groups)
		return infer_fail(x, "%lld groups of %d and %d channels", (long long)groups, a->dim[1],
		                  w->dim[0]);
	int64_t k = a->dim[1] / groups;
	dim[0] = a->dim[0];
	dim[1] = w->dim[0];
	for (int i = 0; i < n; i++) {
		int64_t size;
		if (!count_windows(x, i, n, a->dim[2 + i], &dim[2 + i], &size))
			return -1;
		if (size > INT32_MAX / k)
			return infer_fail(x, "a window is too large");
		k *= size;
	}
	if (k != w->dim[1])
		return infer_fail(x, "the weights have %d columns; a window has %lld elements", w->dim[1],
		                  (long long)k);
	if (b && (b->rank != 1 || b->dim[0] != w->dim[0]))
		return infer_fail(x, "the bias has one element for each row of the weights");
	return infer_one(x, E_f32, a->rank, dim);
}

/* ---- pad --------------------------------------------------------------------------------------------- */

int infer_pad(const Infer *x)
{
	const Type *a = infer_in(x, 0);
	bool reflect = !strcmp(attr_string(x->o, "mode", "constant"), "reflect");
	bool constant = !strcmp(attr_string(x->o, "mode", "constant"), "constant");
	int32_t dim[MAX_RANK];
	for (int i = 0; i < a->rank; i++) {
		int64_t lo, hi;
		if (!entry(x, "lo", i, a->rank, 0, 0, &lo) || !entry(x, "hi", i, a->rank, 0, 0, &hi))
			return -1;
		dim[i] = a->dim[i];
		if (!lo && !hi)
			continue;
		if (a->dim[i] == DIM_T)
			return infer_fail(x, "the number of steps would change");
		if (!constant && (a->dim[i] < 1 || (reflect && (lo >= a->dim[i] || hi >= a->dim[i]))))
			return infer_fail(x, "an axis of %d has too few elements for this", a->dim[i]);
		if (lo + hi + a->dim[i] > INT32_MAX)
			return infer_fail(x, "the result is too large");
		dim[i] = (int32_t)(a->dim[i] + lo + hi);
	}
	return infer_one(x, plain_elem(a), a->rank, dim);
}

/* ---- pick, argmax ------------------------------------------------------------------------------------ */

int infer_pick(const Infer *x)
{
	const Type *a = infer_in(x, 0), *index = infer_in(x, 1);
	int axis;
	int32_t dim[MAX_RANK];
	if (!infer_axis(x, "axis", 0, a->rank, &axis))
		return -1;
	if (plain_elem(index) != E_i32 || index->rank != a->rank)
		return infer_fail(x, "indices are i32 and have the operand's number of dimensions");
	if (a->dim[axis] == 0)
		return infer_fail(x, "the axis is empty");
	for (int i = 0; i < a->rank; i++) {
		dim[i] = i == axis ? index->dim[i] : a->dim[i];
		if (i != axis && index->dim[i] != 1 && index->dim[i] != a->dim[i])
			return infer_fail(x, "the indices' axis %d does not broadcast to the operand's", i);
	}
	return infer_one(x, plain_elem(a), a->rank, dim);
}

int infer_argmax(const Infer *x)
{
	const Type *a = infer_in(x, 0);
	int axis, n = 0;
	int32_t dim[MAX_RANK];
	if (!infer_axis(x, "axis", 0, a->rank, &axis))
		return -1;
	if (a->dim[axis] == 0)
		return infer_fail(x, "the axis is empty");
	for (int i = 0; i < a->rank; i++)
		if (i != axis || attr_int(x->o, "keepdims", 1))
			dim[n++] = i == axis ? 1 : a->dim[i];
	return infer_one(x, E_i32, n, dim);
}

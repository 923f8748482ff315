/* space.c: the attributes of operators that look at axes through windows. */
#include "onnx/conv.h"

#include <string.h>

bool entries_read(Node *n, const char *name, int count, int64_t least, int64_t otherwise, int64_t *v)
{
	const Onnx__Attribute *a = get_attr(n, name);
	if (a && a->n_ints != (size_t)count)
		return fail(n, "attribute '%s' has %zu numbers; there should be %d", name, a->n_ints, count);
	for (int i = 0; i < count; i++) {
		v[i] = a ? a->ints[i] : otherwise;
		if (v[i] < least || v[i] > INT32_MAX / 4)
			return fail(n, "attribute '%s' holds %lld", name, (long long)v[i]);
	}
	return true;
}

/* SAME: as many results as there are strides in the axis; the odd element goes behind or before. */
static bool pad_same(Node *n, const Shape *x, bool before, Space *s)
{
	for (int i = 0; i < s->n; i++) {
		int64_t size = x->dim[2 + i], span = s->dilation[i] * (s->kernel[i] - 1) + 1, rest;
		if (size == DIM_T && s->stride[i] != 1)
			return fail_fixed(n, "an operator changes its length");
		if (size == DIM_T) {
			rest = span - 1;
		} else {
			int64_t count = (size + s->stride[i] - 1) / s->stride[i];
			rest = (count - 1) * s->stride[i] + span - size;
		}
		rest = rest < 0 ? 0 : rest;
		s->lo[i] = (rest + before) / 2;
		s->hi[i] = rest - s->lo[i];
	}
	return true;
}

bool space_read(Node *n, const Shape *x, const int64_t *kernel, bool transposed, Space *s)
{
	int64_t pads[2 * MAX_SPACE];
	const char *mode = get_string(n, "auto_pad", "NOTSET");
	s->n = x->rank - 2;
	if (s->n < 1 || s->n > MAX_SPACE)
		return fail(n, "the operand has %d dimensions; supported: 3 to %d", x->rank, MAX_SPACE + 2);
	if (!kernel && !get_attr(n, "kernel_shape"))
		return fail(n, "attribute 'kernel_shape' is missing");
	if (!entries_read(n, "kernel_shape", s->n, 1, 1, s->kernel)
	    || !entries_read(n, "strides", s->n, 1, 1, s->stride)
	    || !entries_read(n, "dilations", s->n, 1, 1, s->dilation)
	    || !entries_read(n, "pads", 2 * s->n, 0, 0, pads))
		return false;
	for (int i = 0; i < s->n; i++) {
		if (kernel && get_attr(n, "kernel_shape") && s->kernel[i] != kernel[i])
			return fail(n, "attribute 'kernel_shape' says %lld where the weights have %lld",
				    (long long)s->kernel[i], (long long)kernel[i]);
		if (kernel)
			s->kernel[i] = kernel[i];
		s->lo[i] = pads[i];
		s->hi[i] = pads[s->n + i];
		if (s->kernel[i] < 1 || s->kernel[i] > INT32_MAX / 4 / s->dilation[i])
			return fail(n, "a window of %lld elements is not supported", (long long)s->kernel[i]);
	}
	if (!strcmp(mode, "NOTSET"))
		return true;
	memset(s->lo, 0, sizeof s->lo);
	memset(s->hi, 0, sizeof s->hi);
	if (!strcmp(mode, "VALID"))
		return true;
	bool upper = !strcmp(mode, "SAME_UPPER"), lower = !strcmp(mode, "SAME_LOWER");
	if (!upper && !lower)
		return fail(n, "attribute 'auto_pad' = \"%.40s\" is not known", mode);
	return transposed || pad_same(n, x, lower, s);
}

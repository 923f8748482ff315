/* ops_pad.c: Pad. */
#include "onnx/conv.h"
#include "onnx/operators.h"

#include <string.h>

Val *emit_pad(Node *n, Val *v, const int64_t *lo, const int64_t *hi, const char *mode, float value)
{
	int rank = v->type->rank;
	int64_t before[MAX_RANK], behind[MAX_RANK];
	bool any = false, constant = !strcmp(mode, "constant");
	for (int i = 0; i < rank; i++) {
		int32_t size = v->type->dim[i];
		if (size == DIM_T && (lo[i] || hi[i])) {
			fail_fixed(n, "it is padded");
			return 0;
		}
		int64_t from = lo[i] < 0 ? -lo[i] : 0, to = hi[i] < 0 ? -hi[i] : 0;
		if (from + to) {
			if (from + to > size) {
				fail(n, "takes more than the %d elements of axis %d away", size, i);
				return 0;
			}
			v = emit_slice(n, v, i, from < size ? from : 0, 1, (int32_t)(size - from - to));
		}
		before[i] = lo[i] > 0 ? lo[i] : 0;
		behind[i] = hi[i] > 0 ? hi[i] : 0;
		any |= before[i] || behind[i];
	}
	if (!any)
		return v;
	Op *o = op_begin(n, O_pad, 1, &v);
	attr_set_ints(n->im->m, o, "lo", rank, before);
	attr_set_ints(n->im->m, o, "hi", rank, behind);
	if (!constant)
		attr_set_string(n->im->m, o, "mode", mode);
	else if (value != 0)
		attr_set_float(n->im->m, o, "value", value);
	return op_end(n, o);
}

/* ---- the operator ---------------------------------------------------------------------------- */

/* lo and hi of each axis, from the list of pads and, since opset 18, of axes. */
static bool read_pads(Node *n, int rank, int64_t *lo, int64_t *hi)
{
	int64_t pads[2 * MAX_RANK], axes[MAX_RANK];
	int count, naxes = -1, axis;
	const char *name = n->im->model->opset < 2 ? "paddings" : "pads";
	if (!list_arg(n, name, 1, pads, 2 * MAX_RANK, &count)
	    || (input(n, 3) && !input_ints(n, 3, axes, MAX_RANK, &naxes)))
		return false;
	int half = naxes >= 0 ? naxes : rank;
	if (count != 2 * half)
		return fail(n, "has %d pads for %d axes", count, half);
	memset(lo, 0, sizeof *lo * (size_t)rank);
	memset(hi, 0, sizeof *hi * (size_t)rank);
	for (int i = 0; i < half; i++) {
		if (!in_axis(n, naxes >= 0 ? axes[i] : i, rank, &axis))
			return false;
		if (pads[i] < -INT32_MAX / 4 || pads[i] > INT32_MAX / 4 || pads[half + i] < -INT32_MAX / 4
		    || pads[half + i] > INT32_MAX / 4)
			return fail(n, "pads hold %lld and %lld", (long long)pads[i],
				    (long long)pads[half + i]);
		lo[axis] = pads[i];
		hi[axis] = pads[half + i];
	}
	return true;
}

static bool read_value(Node *n, double *value)
{
	Value *v = input(n, 2);
	*value = (double)get_float(n, "value", 0);
	if (!v)
		return true;
	if (!is_host(v) || v->host->count != 1 || v->type != n->in[0]->type)
		return fail(n, "the value to pad with must be a constant of the operand's type");
	if (v->steps)
		return sym_fail(n, SYM_PIN);
	*value = tensor_get(v->host, 0);
	return true;
}

/* Of index i of an axis with n elements, the one that stands for it; -1: none. */
static int64_t source(int64_t i, int64_t n, const char *mode)
{
	if (i >= 0 && i < n)
		return i;
	if (!strcmp(mode, "constant"))
		return -1;
	if (!strcmp(mode, "edge"))
		return i < 0 ? 0 : n - 1;
	return i < 0 ? -i : 2 * (n - 1) - i;
}

static bool pad_host(Node *n, const int64_t *lo, const int64_t *hi, const char *mode, double value)
{
	const Value *x = n->in[0];
	const Tensor *d = x->host;
	int64_t dim[HOST_RANK], stride[HOST_RANK], index[HOST_RANK] = { 0 };
	host_strides(d, stride);
	for (int i = 0; i < d->rank; i++)
		dim[i] = d->dim[i] + lo[i] + hi[i];
	Tensor *t = host_new(n, x->type, d->rank, dim);
	if (!t)
		return false;
	int64_t *steps = x->steps ? steps_new(n, t->count) : 0;
	for (int64_t i = 0; i < t->count; i++) {
		int64_t from = 0;
		for (int k = 0; k < d->rank && from >= 0; k++) {
			int64_t at = source(index[k] - lo[k], d->dim[k], mode);
			from = at < 0 ? -1 : from + at * stride[k];
		}
		if (is_whole(x->type))
			tensor_set_int(t, i, from < 0 ? (int64_t)value : tensor_get_int(d, from));
		else
			tensor_set(t, i, from < 0 ? value : tensor_get(d, from));
		if (steps)
			steps[i] = from < 0 ? 0 : x->steps[from];
		for (int k = d->rank - 1; k >= 0 && ++index[k] == dim[k]; k--)
			index[k] = 0;
	}
	set_host(n, 0, t, steps);
	return true;
}

bool op_pad(Node *n)
{
	Value *x = n->in[0];
	Shape s = shape_of(x);
	int64_t lo[MAX_RANK], hi[MAX_RANK];
	double value;
	const char *mode = get_string(n, "mode", "constant");
	bool reflect = !strcmp(mode, "reflect");
	if (strcmp(mode, "constant") && strcmp(mode, "edge") && !reflect)
		return fail(n, "attribute 'mode' = \"%.40s\" is not supported; supported: constant, reflect, "
			    "edge", mode);
	if (!read_pads(n, s.rank, lo, hi) || !read_value(n, &value))
		return false;
	for (int i = 0; i < s.rank; i++)
		if (s.dim[i] != DIM_T && strcmp(mode, "constant") && (lo[i] > 0 || hi[i] > 0)
		    && (s.dim[i] < 1 || (reflect && (lo[i] >= s.dim[i] || hi[i] >= s.dim[i]))))
			return fail(n, "an axis of %d elements cannot be padded by %lld and %lld this way",
				    s.dim[i],
				    (long long)lo[i], (long long)hi[i]);
	if (is_host(x))
		return pad_host(n, lo, hi, mode, value);
	Val *v = emit_pad(n, x->val, lo, hi, mode, (float)value);
	if (v)
		set_run(n, 0, v, x->type);
	return v;
}

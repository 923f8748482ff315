/* ops_resize.c: Resize and Upsample, one axis after the other: nearest elements are gathered, linear ones
 * weighted from their two neighbours.  All places are known while the model is read. */
#include "onnx/operators.h"

#include <math.h>
#include <string.h>

typedef struct { const char *mode, *place, *nearest; } Rule;

/* Where along the operand's axis result i lies. */
static bool place_of(Node *n, const Rule *r, int64_t i, double scale, int64_t from, int64_t to, double *x)
{
	double k = (double)i;
	if (!strcmp(r->place, "half_pixel"))
		*x = (k + 0.5) / scale - 0.5;
	else if (!strcmp(r->place, "pytorch_half_pixel"))
		*x = to > 1 ? (k + 0.5) / scale - 0.5 : 0;
	else if (!strcmp(r->place, "asymmetric"))
		*x = k / scale;
	else if (!strcmp(r->place, "align_corners"))
		*x = to > 1 ? k * (double)(from - 1) / (double)(to - 1) : 0;
	else
		return fail(n, "attribute 'coordinate_transformation_mode' = \"%.40s\" is not supported; "
			    "supported: half_pixel, pytorch_half_pixel, asymmetric, align_corners", r->place);
	return true;
}

static bool nearest_of(Node *n, const Rule *r, double x, double *y)
{
	if (!strcmp(r->nearest, "round_prefer_floor"))
		*y = ceil(x - 0.5);
	else if (!strcmp(r->nearest, "round_prefer_ceil"))
		*y = floor(x + 0.5);
	else if (!strcmp(r->nearest, "floor"))
		*y = floor(x);
	else if (!strcmp(r->nearest, "ceil"))
		*y = ceil(x);
	else
		return fail(n, "attribute 'nearest_mode' = \"%.40s\" is not known", r->nearest);
	return true;
}

static double clamp(double x, double hi)
{
	return x < 0 ? 0 : x > hi ? hi : x;
}

static Val *emit_gather(Node *n, Val *x, int axis, const Tensor *index)
{
	Val *at = operand_data(n, "places", H_I32, index);
	if (!at)
		return 0;
	Op *o = op_begin(n, O_gather, 2, (Val *[]){ x, at });
	attr_set_int(n->im->m, o, "axis", axis);
	return op_end(n, o);
}

static Val *resize_axis(Node *n, const Rule *r, Val *x, int axis, int64_t to, double scale)
{
	int64_t from = x->type->dim[axis], dim[MAX_RANK] = { to };
	bool linear = !strcmp(r->mode, "linear");
	Tensor *lo = host_new(n, H_I32, 1, dim), *hi = host_new(n, H_I32, 1, dim);
	int behind = x->type->rank - axis;
	for (int i = 1; i < behind; i++)
		dim[i] = 1;
	Tensor *part = host_new(n, H_F32, behind, dim);
	if (!lo || !hi || !part)
		return 0;
	for (int64_t i = 0; i < to; i++) {
		double at = 0, near = 0;
		if (!place_of(n, r, i, scale, from, to, &at) || !nearest_of(n, r, at, &near))
			return 0;
		at = clamp(at, (double)(from - 1));
		tensor_set_int(lo, i, (int64_t)(linear ? floor(at) : clamp(near, (double)(from - 1))));
		tensor_set_int(hi, i, (int64_t)ceil(at));
		tensor_set(part, i, at - floor(at));
	}
	Val *a = emit_gather(n, x, axis, lo);
	if (!a || !linear)
		return a;
	Val *b = emit_gather(n, x, axis, hi), *w = operand_data(n, "parts", H_F32, part);
	Val *d = b && w ? emit2(n, O_mul, emit2(n, O_sub, b, a), w) : 0;
	return d ? emit2(n, O_add, a, d) : 0;
}

/* ---- the operator ------------------------------------------------------------------------------------ */

typedef struct { int64_t size[MAX_RANK]; double scale[MAX_RANK]; } Target;

static bool read_scales(Node *n, const Value *v, double *scale, int count)
{
	const Onnx__Attribute *a = get_attr(n, "scales");
	if (!v && (!a || a->n_floats != (size_t)count))
		return fail(n, "there should be %d scales", count);
	if (v && (!is_host(v) || v->host->rank != 1 || v->host->count != count))
		return fail(n, "operand '%s' must be a constant of %d scales", v->name, count);
	for (int i = 0; i < count; i++)
		scale[i] = v ? tensor_get(v->host, i) : (double)a->floats[i];
	return true;
}

static bool read_target(Node *n, const Shape *s, Target *t)
{
	const Onnx__Attribute *axes = get_attr(n, "axes");
	bool old = n->im->model->opset < 11;
	const Value *sizes = old ? 0 : input(n, 3), *scales = input(n, old ? 1 : 2);
	int count = axes ? (int)axes->n_ints : s->rank, axis, got;
	double by[MAX_RANK];
	int64_t size[MAX_RANK];
	for (int i = 0; i < s->rank; i++)
		t->size[i] = s->dim[i], t->scale[i] = 1;
	if (count > MAX_RANK || (sizes && !input_ints(n, 3, size, MAX_RANK, &got)) || (sizes && got != count))
		return fail(n, "sizes do not fit the operand");
	if (!sizes && !read_scales(n, scales, by, count))
		return false;
	for (int i = 0; i < count; i++) {
		if (!in_axis(n, axes ? axes->ints[i] : i, s->rank, &axis))
			return false;
		if (s->dim[axis] == DIM_T && !sizes && by[i] == 1)
			continue;
		if (s->dim[axis] == DIM_T)
			return fail_fixed(n, "it is resized");
		t->size[axis] = sizes ? size[i] : (int64_t)floor(s->dim[axis] * by[i]);
		t->scale[axis] = sizes ? (double)size[i] / s->dim[axis] : by[i];
		if (!(t->scale[axis] > 0) || t->size[axis] < 1 || t->size[axis] > INT32_MAX || !s->dim[axis])
			return fail(n, "axis %d would have %lld elements", axis, (long long)t->size[axis]);
	}
	return true;
}

bool op_resize(Node *n)
{
	Shape s = shape_of(n->in[0]);
	bool old = n->im->model->opset < 11;
	Rule r = { get_string(n, "mode", "nearest"),
		   get_string(n, "coordinate_transformation_mode", old ? "asymmetric" : "half_pixel"),
		   get_string(n, "nearest_mode", old ? "floor" : "round_prefer_floor") };
	Target t;
	if (strcmp(r.mode, "nearest") && strcmp(r.mode, "linear"))
		return fail(n, "attribute 'mode' = \"%.40s\" is not supported; supported: nearest, linear",
			    r.mode);
	if (is_whole(n->in[0]->type) && !strcmp(r.mode, "linear"))
		return fail(n, "the operand is %s", host_name(n->in[0]->type));
	if (get_int(n, "antialias", 0)
	    || strcmp(get_string(n, "keep_aspect_ratio_policy", "stretch"), "stretch"))
		return fail(n, "attributes 'antialias' and 'keep_aspect_ratio_policy' are not supported");
	if (!read_target(n, &s, &t))
		return false;
	Val *v = operand(n, n->in[0]);
	for (int i = 0; i < s.rank && v; i++)
		if (t.size[i] != s.dim[i] || t.scale[i] != 1)
			v = resize_axis(n, &r, v, i, t.size[i], t.scale[i]);
	if (v)
		set_run(n, 0, v, n->in[0]->type);
	return v;
}

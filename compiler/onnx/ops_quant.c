/* ops_quant.c: operators of quantized models, as what they stand for: real = (q - zero) * scale.
 *
 * Weights are turned into reals here.  Integers of 8 and 16 bits that are computed are carried as reals, so
 * that QuantizeLinear is round, add and clip, and the model's own grid survives in float.  What comes out of
 * DequantizeLinear has the grid's range as its range.  Integer products are sums of reals: exact up to
 * 2^24. */
#include "onnx/operators.h"
#include "onnx/sketch.h"

#include <math.h>
#include <string.h>

static void limits(HostType t, double *lo, double *hi)
{
	int bits = (int)host_size(t) * 8;
	bool sign = t == H_I8 || t == H_I16 || t == H_I32;
	*lo = sign ? -ldexp(1, bits - 1) : 0;
	*hi = ldexp(1, sign ? bits - 1 : bits) - 1;
}

/* ---- scales and zero points -------------------------------------------------------------------- */

/* A scale or zero point: one number, or one for each index of `axis` of x.  *axis -1: one number. */
static bool check_grid(Node *n, const Value *v, const Shape *x, const char *what, int *axis)
{
	Shape s = shape_of(v);
	int steps, a;
	*axis = -1;
	if (s.rank <= 1 && shape_const(&s, 0, s.rank, &steps) == 1 && !steps)
		return true;
	if (s.rank != 1)
		return fail(n, "its %s has %d dimensions; supported: one number, or a list", what, s.rank);
	if (!get_axis(n, "axis", 1, x->rank, &a))
		return false;
	if (x->dim[a] != s.dim[0])
		return fail(n, "its %s has %d numbers, axis %d of the operand %d", what, s.dim[0], a,
			    x->dim[a]);
	*axis = a;
	return true;
}

/* As an operand that broadcasts to x. */
static Val *grid_operand(Node *n, Value *v, int axis, int rank)
{
	Val *w = operand(n, v);
	Shape s = { 0 };
	if (!w)
		return 0;
	if (axis >= 0) {
		s.rank = rank;
		for (int i = 0; i < rank; i++)
			s.dim[i] = i == axis ? w->type->dim[0] : 1;
	}
	if (!v->host || v->kind != V_HOST)
		return emit_reshape(n, w, &s);
	int64_t dim[MAX_RANK];
	for (int i = 0; i < s.rank; i++)
		dim[i] = s.dim[i];
	Value *shaped = NEW(n->im->arena, Value);
	shaped->name = v->name;
	host_reshaped(n, shaped, v, s.rank, dim);
	return operand(n, shaped);
}

static bool all_zero(const Value *v)
{
	for (int64_t i = 0; v && (!is_host(v) || i < v->host->count); i++)
		if (!is_host(v) || tensor_get(v->host, i) != 0)
			return false;
	return true;
}

static bool check_form(Node *n)
{
	if (get_int(n, "block_size", 0))
		return fail(n, "attribute 'block_size' = %lld is not supported; supported: 0",
			    (long long)get_int(n, "block_size", 0));
	const Value *scale = n->in[1];
	return !is_whole(scale->type) || fail(n, "its scale is %s", host_name(scale->type));
}

/* ---- DequantizeLinear -------------------------------------------------------------------------- */

static bool dequantize_host(Node *n, int axis)
{
	const Value *x = n->in[0], *scale = n->in[1], *zero = input(n, 2);
	Tensor *t = host_new(n, H_F32, x->host->rank, x->host->dim);
	int64_t inner = 1;
	if (!t)
		return false;
	for (int i = axis + 1; axis >= 0 && i < t->rank; i++)
		inner *= t->dim[i];
	for (int64_t i = 0; i < t->count; i++) {
		int64_t k = axis >= 0 ? i / inner % t->dim[axis] : 0;
		float q = (float)(tensor_get(x->host, i) - (zero ? tensor_get(zero->host, k) : 0));
		tensor_set(t, i, (double)(q * (float)tensor_get(scale->host, k)));
	}
	set_host(n, 0, t, 0);
	return true;
}

static void set_range(Val *v, HostType type, const Value *scale, const Value *zero)
{
	double lo, hi, most = 0, least = 0;
	limits(type, &lo, &hi);
	if (!is_host(scale) || (zero && !is_host(zero)))
		return;
	for (int64_t i = 0; i < scale->host->count; i++) {
		double s = tensor_get(scale->host, i), z = zero ? tensor_get(zero->host, i) : 0;
		least = fmin(least, (lo - z) * s);
		most = fmax(most, (hi - z) * s);
	}
	v->ranged = true;
	v->lo = (float)least;
	v->hi = (float)most;
}

bool op_dequantize(Node *n)
{
	Value *x = n->in[0], *scale = n->in[1], *zero = input(n, 2);
	Shape s = shape_of(x);
	int axis, zero_axis;
	if (!check_form(n) || !check_grid(n, scale, &s, "scale", &axis)
	    || (zero && !check_grid(n, zero, &s, "zero point", &zero_axis)))
		return false;
	if ((!is_small(x->type) && x->type != H_I32) ||
	    (zero && (zero->type != x->type || zero_axis != axis)))
		return fail(n, "operands are %s, %s and %s, which do not fit together", host_name(x->type),
			    host_name(scale->type), zero ? host_name(zero->type) : "none");
	if (all_host(n))
		return dequantize_host(n, axis);
	Val *v = operand(n, x);
	if (v && x->type == H_I32)
		v = x->real ? x->real : emit_cast(n, v, H_F32);
	if (v && !all_zero(zero)) {
		Val *z = grid_operand(n, zero, axis, s.rank);
		if (z && zero->type == H_I32)
			z = emit_cast(n, z, H_F32);
		v = emit2(n, O_sub, v, z);
	}
	v = emit2(n, O_mul, v, grid_operand(n, scale, axis, s.rank));
	if (!v)
		return false;
	if (x->type != H_I32)
		set_range(v, x->type, scale, zero);
	set_run(n, 0, v, H_F32);
	return true;
}

/* ---- QuantizeLinear ---------------------------------------------------------------------------- */

static Val *emit_clip(Node *n, Val *v, double lo, double hi)
{
	if (!v)
		return 0;
	Op *o = op_begin(n, O_clip, 1, &v);
	attr_set_float(n->im->m, o, "lo", (float)lo);
	attr_set_float(n->im->m, o, "hi", (float)hi);
	return op_end(n, o);
}

static bool quantize_host(Node *n, HostType type, int axis)
{
	const Value *x = n->in[0], *scale = n->in[1], *zero = input(n, 2);
	Tensor *t = host_new(n, type, x->host->rank, x->host->dim);
	double lo, hi;
	int64_t inner = 1;
	if (!t)
		return false;
	limits(type, &lo, &hi);
	for (int i = axis + 1; axis >= 0 && i < t->rank; i++)
		inner *= t->dim[i];
	for (int64_t i = 0; i < t->count; i++) {
		int64_t k = axis >= 0 ? i / inner % t->dim[axis] : 0;
		float q = (float)tensor_get(x->host, i) / (float)tensor_get(scale->host, k);
		double v = (double)rintf(q) + (zero ? tensor_get(zero->host, k) : 0);
		tensor_set_int(t, i, (int64_t)fmin(fmax(v, lo), hi));
	}
	set_host(n, 0, t, 0);
	return true;
}

/* x / scale: by a constant power of two it is a product. */
static Val *divide(Node *n, Val *x, Value *scale, int axis, int rank)
{
	int e;
	if (is_host(scale) && scale->host->count == 1 && is_pow2((float)tensor_get(scale->host, 0), &e) &&
	    e > -126)
		return emit2(n, O_mul, x, emit_scalar(n, H_F32, ldexp(1, -e)));
	return emit2(n, O_div, x, grid_operand(n, scale, axis, rank));
}

static Val *emit_quantize(Node *n, Val *x, Value *scale, Value *zero, int axis, HostType type)
{
	int rank = x->type->rank;
	double lo, hi;
	limits(type, &lo, &hi);
	Val *v = emit1(n, O_round, divide(n, x, scale, axis, rank));
	if (v && !all_zero(zero))
		v = emit2(n, O_add, v, grid_operand(n, zero, axis, rank));
	return emit_clip(n, v, lo, hi);
}

bool op_quantize(Node *n)
{
	Value *x = n->in[0], *scale = n->in[1], *zero = input(n, 2);
	Shape s = shape_of(x);
	int axis, zero_axis,
		want = get_attr(n, "output_dtype") ? host_type((int)get_int(n, "output_dtype", 0)) : -1;
	HostType type = zero ? zero->type : want >= 0 ? (HostType)want : H_U8;
	if (!check_form(n) || !check_grid(n, scale, &s, "scale", &axis)
	    || (zero && !check_grid(n, zero, &s, "zero point", &zero_axis)))
		return false;
	if (get_int(n, "precision", 0))
		return fail(n, "attribute 'precision' = %lld is not supported; supported: 0",
			    (long long)get_int(n, "precision", 0));
	if (!is_small(type) || is_whole(x->type) || (zero && zero_axis != axis))
		return fail(n, "from %s to %s is not supported; supported: to integers of 8 and 16 bits",
			    host_name(x->type), host_name(type));
	if (all_host(n))
		return quantize_host(n, type, axis);
	Val *v = operand(n, x);
	v = v ? emit_quantize(n, v, scale, zero, axis, type) : 0;
	if (v)
		set_run(n, 0, v, type);
	return v;
}

/* ---- DynamicQuantizeLinear ----------------------------------------------------------------------- */

static Val *over_all(Node *n, OpKind k, Val *x)
{
	Op *o = op_begin(n, k, 1, &x);
	attr_set_int(n->im->m, o, "keepdims", 0);
	return op_end(n, o);
}

bool op_dynamic_quantize(Node *n)
{
	Value *x = n->in[0];
	Val *v = operand(n, x);
	if (!v || is_whole(x->type))
		return v && fail(n, "the operand is %s", host_name(x->type));
	Val *zero = emit_scalar(n, H_F32, 0), *one = emit_scalar(n, H_F32, 1);
	Val *most = emit2(n, O_max, over_all(n, O_reducemax, v), zero);
	Val *least = emit2(n, O_min, over_all(n, O_reducemin, v), zero);
	Val *scale = emit2(n, O_div, emit2(n, O_sub, most, least), emit_scalar(n, H_F32, 255));
	Val *flat = emit2(n, O_eq, scale, zero);
	if (!flat)
		return false;
	scale = op_end(n, op_begin(n, O_where, 3, (Val *[]){ flat, one, scale }));
	Val *at = emit2(n, O_div, emit2(n, O_sub, zero, least), scale);
	at = emit_clip(n, emit1(n, O_round, at), 0, 255);
	Val *y = emit1(n, O_round, emit2(n, O_div, v, scale));
	y = emit_clip(n, emit2(n, O_add, y, at), 0, 255);
	if (!y)
		return false;
	set_run(n, 0, y, H_U8);
	set_run(n, 1, scale, H_F32);
	set_run(n, 2, at, H_U8);
	return true;
}

/* ---- products ------------------------------------------------------------------------------------ */

/* q as reals; scale "": 1. */
static const char *reals(Sketch *s, Value *q, const char *scale, Value *zero, int64_t axis)
{
	const char *y = SKETCH(s, "DequantizeLinear", sketch_value(s, q),
			       *scale ? scale : sketch_number(s, 1), sketch_value(s, zero));
	sketch_int(s, "axis", axis);
	return y;
}

/* The result is a whole number, which a Cast to float need not turn back. */
static bool whole_result(Sketch *s, const char *y, Node *n)
{
	SKETCH(s, "Cast", y);
	sketch_int(s, "to", 6);
	if (!sketch_done(s))
		return false;
	Value *v = result(n, 0);
	while (v && v->same)
		v = v->same;
	if (v && v->kind == V_RUN && v->val->def && v->val->def->kind == O_cast)
		v->real = v->val->def->in[0];
	return true;
}

bool op_matmul_integer(Node *n)
{
	Sketch *s = sketch_new(n);
	Value *az = input(n, 2), *bz = input(n, 3);
	Shape z = az ? shape_of(az) : (Shape){ 0 };
	if (z.rank > 1 || (z.rank == 1 && z.dim[0] != 1))
		return fail(n,
			    "a zero point for each row of the left operand is not supported; one number is");
	const char *a = reals(s, n->in[0], "", az, -1), *b = reals(s, n->in[1], "", bz, -1);
	return whole_result(s, SKETCH(s, "MatMul", a, b), n);
}

bool op_qlinear_matmul(Node *n)
{
	Sketch *s = sketch_new(n);
	const char *a = reals(s, n->in[0], sketch_value(s, n->in[1]), n->in[2], -1);
	const char *b = reals(s, n->in[3], sketch_value(s, n->in[4]), n->in[5], -1);
	SKETCH(s, "QuantizeLinear", SKETCH(s, "MatMul", a, b), sketch_value(s, n->in[6]),
	       sketch_value(s, n->in[7]));
	return sketch_done(s);
}

bool op_conv_integer(Node *n)
{
	Sketch *s = sketch_new(n);
	const char *x = reals(s, n->in[0], "", input(n, 2), 1), *w = reals(s, n->in[1], "", input(n, 3), 0);
	const char *y = SKETCH(s, "Conv", x, w);
	sketch_attrs(s);
	return whole_result(s, y, n);
}

/* The bias counts in units of the product of both scales. */
bool op_qlinear_conv(Node *n)
{
	Sketch *s = sketch_new(n);
	const char *xs = sketch_value(s, n->in[1]), *ws = sketch_value(s, n->in[4]), *bias = "";
	const char *x = reals(s, n->in[0], xs, n->in[2], 1), *w = reals(s, n->in[3], ws, n->in[5], 0);
	if (input(n, 8))
		bias = reals(s, input(n, 8), SKETCH(s, "Mul", xs, ws), 0, 0);
	const char *y = SKETCH(s, "Conv", x, w, bias);
	sketch_attrs(s);
	SKETCH(s, "QuantizeLinear", y, sketch_value(s, n->in[6]), sketch_value(s, n->in[7]));
	return sketch_done(s);
}

/* ---- DynamicQuantizeLSTM of com.microsoft --------------------------------------------------------- */

/* Weights [D,K,4H] with scales [D] or [D,4H], as LSTM takes them: [D,4H,K]. */
static const char *lstm_weights(Sketch *s, Value *w, Value *scale, Value *zero)
{
	Shape ss = shape_of(scale), zs = shape_of(zero);
	const char *shape = sketch_list(s, 3, (int64_t[]){ ss.dim[0], 1, -1 });
	const char *zero_shape = sketch_list(s, 3, (int64_t[]){ zs.rank ? zs.dim[0] : 1, 1, -1 });
	const char *q = SKETCH(s, "Cast", sketch_value(s, w));
	sketch_int(s, "to", 1);
	const char *z = SKETCH(s, "Cast", sketch_value(s, zero));
	sketch_int(s, "to", 1);
	q = SKETCH(s, "Sub", q, SKETCH(s, "Reshape", z, zero_shape));
	q = SKETCH(s, "Mul", q, SKETCH(s, "Reshape", sketch_value(s, scale), shape));
	q = SKETCH(s, "Transpose", q);
	sketch_ints(s, "perm", 3, (int64_t[]){ 0, 2, 1 });
	return q;
}

/* The weights are what they stand for; activations stay real, which is what their quantization approximates.
 */
bool op_dynamic_quantize_lstm(Node *n)
{
	Sketch *s = sketch_new(n);
	for (int i = 8; i < 12; i++)
		if (!is_host(input(n, i)) || !input(n, i)->host->rank)
			return fail(n, "operand %d must be a constant list", i);
	const char *w = lstm_weights(s, n->in[1], n->in[8], n->in[9]);
	const char *r = lstm_weights(s, n->in[2], n->in[10], n->in[11]);
	SKETCH(s, "LSTM", sketch_value(s, n->in[0]), w, r, sketch_value(s, input(n, 3)),
	       sketch_value(s, input(n, 4)), sketch_value(s, input(n, 5)), sketch_value(s, input(n, 6)),
	       sketch_value(s, input(n, 7)));
	sketch_attrs(s);
	return sketch_done(s);
}

/* ops_norm.c: normalizations.  With constants they are a factor and a shift for each channel, which go into
 * the weights in front where there are some; others are written out as means, differences and a root. */
#include "onnx/conv.h"
#include "onnx/operators.h"

#include <math.h>
#include <string.h>

static bool real_operands(Node *n)
{
	for (int i = 0; i < n->nin; i++)
		if (n->in[i] && is_whole(n->in[i]->type))
			return fail(n, "operand %d is %s", i, host_name(n->in[i]->type));
	return true;
}

static bool only_first_result(Node *n)
{
	for (int k = 1; k < n->nout; k++)
		if (result(n, k) && result(n, k)->uses)
			return fail(n, "result '%s' is used, which is not supported", result(n, k)->name);
	return true;
}

static Val *vector_data(Node *n, const char *name, const float *v, int32_t count, int behind)
{
	Tensor t = { .type = H_F32, .rank = 1 + behind, .dim = { count }, .count = count,
		    .bytes = (void *)v };
	for (int i = 1; i <= behind; i++)
		t.dim[i] = 1;
	return operand_data(n, name, H_F32, &t);
}

/* ---- BatchNormalization ------------------------------------------------------------------------ */

/* Rows of a linear op's weights take the factors; 0: x is no such op's result. */
static Val *linear_scaled(Node *n, const Value *x, const float *scale, const float *shift, int32_t M)
{
	Op *o = x->kind == V_RUN ? x->val->def : 0;
	if (!o || o->kind != O_linear || x->uses != 1 || x->val->type->rank != 2 || !o->in[1]->data
	    || (o->nin > 2 && !o->in[2]->data))
		return 0;
	const Data *w = o->in[1]->data, *b = o->nin > 2 ? o->in[2]->data : 0;
	int64_t dim[] = { M, w->type->dim[1] }, K = dim[1];
	Tensor *rows = host_new(n, H_F32, 2, dim);
	float *bias = NEWN(n->im->arena, float, M);
	if (!rows)
		return 0;
	for (int32_t m = 0; m < M; m++) {
		for (int64_t k = 0; k < K; k++)
			((float *)rows->bytes)[m * K + k] = ((const float *)w->bytes)[m * K + k] * scale[m];
		bias[m] = (b ? ((const float *)b->bytes)[m] * scale[m] : 0) + shift[m];
	}
	Val *in[] = { o->in[0], operand_data(n, w->name, H_F32, rows), vector_data(n, "bias", bias, M, 0) };
	if (!in[1] || !in[2])
		return 0;
	op_remove(&n->im->f->body, o);
	return op_end(n, op_begin(n, O_linear, 3, in));
}

static bool check_statistics(Node *n, int32_t channels)
{
	for (int i = 1; i < 5; i++) {
		const Value *v = n->in[i];
		if (!is_host(v))
			return fail(n, "operand '%s' is computed from the model's inputs; it must be a "
				    "constant", v->name);
		if (v->host->rank != 1 || v->host->dim[0] != channels)
			return fail(n, "operand '%s' does not have one element for each of %d channels",
				    v->name, channels);
	}
	return true;
}

bool op_batch_norm(Node *n)
{
	Value *x = n->in[0];
	Shape s = shape_of(x);
	int opset = n->im->model->opset;
	if (get_int(n, "training_mode", 0) || (opset < 7 && !get_int(n, "is_test", 0)))
		return fail(n, "is in training mode; export the model for inference");
	if (!get_int(n, "spatial", 1))
		return fail(n, "attribute 'spatial' = 0 is not supported");
	if (s.rank < 2)
		return fail(n, "the operand has %d dimensions", s.rank);
	if (s.dim[1] == DIM_T)
		return fail_fixed(n, "it is the axis of channels");
	if (!real_operands(n) || !only_first_result(n) || !check_statistics(n, s.dim[1]))
		return false;
	double eps = (double)get_float(n, "epsilon", 1e-5f);
	float *scale = NEWN(n->im->arena, float, s.dim[1]), *shift = NEWN(n->im->arena, float, s.dim[1]);
	for (int32_t c = 0; c < s.dim[1]; c++) {
		double k = tensor_get(n->in[1]->host, c) / sqrt(tensor_get(n->in[4]->host, c) + eps);
		scale[c] = (float)k;
		shift[c] = (float)(tensor_get(n->in[2]->host, c) - tensor_get(n->in[3]->host, c) * k);
	}
	Val *y = conv_scaled(n, x, scale, shift);
	if (!y)
		y = linear_scaled(n, x, scale, shift, s.dim[1]);
	if (!y) {
		Val *k = vector_data(n, "scale", scale, s.dim[1], s.rank - 2);
		Val *b = vector_data(n, "shift", shift, s.dim[1], s.rank - 2);
		y = emit2(n, O_add, emit2(n, O_mul, operand(n, x), k), b);
	}
	if (y)
		set_run(n, 0, y, x->type);
	return y;
}

/* ---- LayerNormalization, InstanceNormalization ---------------------------------------------------- */

static Val *emit_mean(Node *n, Val *x, int from)
{
	int64_t axes[MAX_RANK];
	int count = 0;
	for (int i = from; i < x->type->rank; i++)
		axes[count++] = i;
	Op *o = op_begin(n, O_reducemean, 1, &x);
	attr_set_ints(n->im->m, o, "axes", count, axes);
	attr_set_int(n->im->m, o, "keepdims", 1);
	return op_end(n, o);
}

/* (x - mean) / sqrt(variance + eps) over the axes from `from` on. */
static Val *emit_normalized(Node *n, Val *x, int from, double eps)
{
	Val *mean = x ? emit_mean(n, x, from) : 0;
	Val *d = mean ? emit2(n, O_sub, x, mean) : 0;
	Val *square = d ? emit2(n, O_mul, d, d) : 0;
	Val *variance = square ? emit_mean(n, square, from) : 0;
	Val *above = variance ? emit2(n, O_add, variance, emit_scalar(n, H_F32, eps)) : 0;
	Val *root = above ? emit1(n, O_sqrt, above) : 0;
	return root ? emit2(n, O_div, d, root) : 0;
}

bool op_layer_norm(Node *n)
{
	Value *x = n->in[0], *bias = input(n, 2);
	int axis;
	if (!real_operands(n) || !only_first_result(n) || !get_axis(n, "axis", -1, shape_of(x).rank, &axis))
		return false;
	double eps = (double)get_float(n, "epsilon", 1e-5f);
	Val *v = operand(n, x), *y = v ? emit_normalized(n, v, axis, eps) : 0;
	y = y ? emit2(n, O_mul, y, operand(n, n->in[1])) : 0;
	if (y && bias)
		y = emit2(n, O_add, y, operand(n, bias));
	if (y && !type_same_shape(y->type, v->type))
		return fail(n, "scale and bias are larger than the operand");
	if (y)
		set_run(n, 0, y, x->type);
	return y;
}

bool op_instance_norm(Node *n)
{
	Value *x = n->in[0];
	Shape s = shape_of(x), channel = { .rank = s.rank - 1 };
	if (s.rank < 3)
		return fail(n, "the operand has %d dimensions", s.rank);
	if (!real_operands(n))
		return false;
	channel.dim[0] = s.dim[1];
	for (int i = 1; i < channel.rank; i++)
		channel.dim[i] = 1;
	Val *v = operand(n, x), *by[2];
	for (int i = 0; i < 2; i++) {
		Shape have = shape_of(n->in[1 + i]);
		if (have.rank != 1 || have.dim[0] != s.dim[1])
			return fail(n, "operand %d does not have one element for each of %d channels", 1 + i,
				    s.dim[1]);
		by[i] = operand(n, n->in[1 + i]);
		if (!by[i] || !(by[i] = emit_reshape(n, by[i], &channel)))
			return false;
	}
	Val *y = v ? emit_normalized(n, v, 2, (double)get_float(n, "epsilon", 1e-5f)) : 0;
	y = y ? emit2(n, O_add, emit2(n, O_mul, y, by[0]), by[1]) : 0;
	if (y)
		set_run(n, 0, y, x->type);
	return y;
}

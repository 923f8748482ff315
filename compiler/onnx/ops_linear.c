/* ops_linear.c: MatMul and Gemm.  With a constant right operand they become `linear`, whose weights lie row
 * by row [M,K]; a constant added to the result becomes its bias (see fuse_bias). */
#include "onnx/import.h"
#include "onnx/operators.h"

#include <string.h>

/* A weight [K,N] (or, transposed, [N,K]) times alpha, as [N,K]. */
static Val *rows_of(Node *n, const Value *w, bool transposed, float alpha)
{
	const Tensor *t = w->host;
	int64_t rows = t->dim[!transposed], columns = t->dim[transposed], dim[] = { rows, columns };
	Tensor *r = host_new(n, t->type == H_F64 ? H_F32 : t->type, 2, dim);
	if (!r)
		return 0;
	for (int64_t i = 0; i < rows; i++)
		for (int64_t k = 0; k < columns; k++) {
			double v = tensor_get(t, transposed ? i * columns + k : k * rows + i);
			tensor_set(r, i * columns + k, alpha == 1 ? v : (double)((float)v * alpha));
		}
	return operand_data(n, w->name, r->type, r);
}

static bool real_operands(Node *n)
{
	for (int i = 0; i < n->nin; i++)
		if (n->in[i] && (is_whole(n->in[i]->type) || n->in[i]->type != n->in[0]->type))
			return fail(n, "operands are %s and %s; products of two alike real tensors are "
				    "supported", host_name(n->in[0]->type), host_name(n->in[i]->type));
	return true;
}

static bool check_inner(Node *n, int32_t a, int32_t b)
{
	if (a == b)
		return true;
	if (a == DIM_T || b == DIM_T)
		return fail_fixed(n, "a product runs over it");
	return fail(n, "the left operand has %d columns, the right one %d rows", a, b);
}

/* ---- MatMul -------------------------------------------------------------------------------- */

/* Vectors count as a row on the left, as a column on the right; that axis is not in the result. */
static bool general_matmul(Node *n, Shape a, Shape b)
{
	Val *x = operand(n, n->in[0]), *y = operand(n, n->in[1]);
	if (!x || !y)
		return false;
	bool row = a.rank == 1, column = b.rank == 1;
	if (row) {
		a = (Shape){ 2, { 1, a.dim[0] } };
		x = emit_reshape(n, x, &a);
	}
	if (column) {
		b = (Shape){ 2, { b.dim[0], 1 } };
		y = emit_reshape(n, y, &b);
	}
	Shape la = a, lb = b, lead;
	la.rank -= 2;
	lb.rank -= 2;
	if (!broadcast_shapes(n, &la, &lb, &lead))
		return false;
	Val *v = emit2(n, O_matmul, x, y);
	if (!v)
		return false;
	Shape s = val_shape(v);
	if (column)
		s.rank--;
	if (row) {
		s.dim[s.rank - (column ? 1 : 2)] = s.dim[s.rank - 1];
		s.rank--;
	}
	set_run(n, 0, emit_reshape(n, v, &s), n->in[0]->type);
	return true;
}

bool op_matmul(Node *n)
{
	Shape a = shape_of(n->in[0]), b = shape_of(n->in[1]);
	if (!real_operands(n))
		return false;
	if (!a.rank || !b.rank)
		return fail(n, "an operand has no dimensions");
	if (!check_inner(n, a.dim[a.rank - 1], b.dim[b.rank > 1 ? b.rank - 2 : 0]))
		return false;
	if (!is_host(n->in[1]) || b.rank != 2)
		return general_matmul(n, a, b);
	Val *x = operand(n, n->in[0]), *w = rows_of(n, n->in[1], false, 1);
	Val *y = emit2(n, O_linear, x, w);
	if (y)
		set_run(n, 0, y, n->in[0]->type);
	return y;
}

/* ---- Gemm ---------------------------------------------------------------------------------- */

/* A constant C that is the same in each row, as a vector [count] times beta; 0: it is not one. */
static Tensor *bias_of(Node *n, const Value *c, int64_t count, float beta)
{
	if (!is_host(c) || c->steps || c->host->rank > 2 || (c->host->rank == 2 && c->host->dim[0] != 1))
		return 0;
	if (c->host->count != 1 && c->host->count != count)
		return 0;
	Tensor *t = host_new(n, H_F32, 1, &count);
	for (int64_t i = 0; t && i < count; i++)
		tensor_set(t, i, (double)((float)tensor_get(c->host, c->host->count == 1 ? 0 : i) * beta));
	return t;
}

static Val *scaled(Node *n, Val *v, float by)
{
	return !v || by == 1 ? v : emit2(n, O_mul, v, emit_scalar(n, H_F32, by));
}

/* y + beta * c, for a c that is no bias. */
static Val *plus_c(Node *n, Val *y, Value *c, float beta)
{
	Shape s = val_shape(y), cs = shape_of(c), sum;
	Val *v = scaled(n, operand(n, c), beta);
	if (!v || !broadcast_shapes(n, &s, &cs, &sum))
		return 0;
	if (sum.rank != s.rank || memcmp(sum.dim, s.dim, sizeof *s.dim * (size_t)s.rank)) {
		fail(n, "operand C is larger than the product");
		return 0;
	}
	return emit2(n, O_add, y, v);
}

bool op_gemm(Node *n)
{
	static const int64_t swap[] = { 1, 0 };
	Shape a = shape_of(n->in[0]), b = shape_of(n->in[1]);
	bool ta = get_int(n, "transA", 0), tb = get_int(n, "transB", 0);
	float alpha = get_float(n, "alpha", 1), beta = get_float(n, "beta", 1);
	Value *c = input(n, 2);
	if (a.rank != 2 || b.rank != 2)
		return fail(n, "operands A and B have %d and %d dimensions; they must have 2", a.rank,
			    b.rank);
	if (!real_operands(n) || !check_inner(n, a.dim[!ta], b.dim[tb]))
		return false;
	Val *x = operand(n, n->in[0]);
	if (x && ta)
		x = emit_transpose(n, x, swap);
	if (!x)
		return false;
	Val *y;
	if (is_host(n->in[1])) {
		Val *w = rows_of(n, n->in[1], tb, alpha);
		Tensor *bias = c && beta != 0 ? bias_of(n, c, b.dim[!tb], beta) : 0;
		Val *in[] = { x, w, bias ? operand_data(n, c->name, H_F32, bias) : 0 };
		if (!w || (bias && !in[2]))
			return false;
		y = op_end(n, op_begin(n, O_linear, bias ? 3 : 2, in));
		c = bias ? 0 : c;
	} else {
		Val *w = operand(n, n->in[1]);
		y = scaled(n, emit2(n, O_matmul, x, w && tb ? emit_transpose(n, w, swap) : w), alpha);
	}
	if (y && c && beta != 0)
		y = plus_c(n, y, c, beta);
	if (y)
		set_run(n, 0, y, n->in[0]->type);
	return y;
}

/* ---- bias ---------------------------------------------------------------------------------- */

/* sum = x + c, where x is the result of a linear that nothing else reads and c a constant vector of one
 * element for each output: the linear gets a bias.  0: it is not so (or fail() was called). */
Val *fuse_bias(Node *n, Value *x, const Value *c)
{
	Op *o = x->kind == V_RUN ? x->val->def : 0;
	if (!o || o->kind != O_linear || o->nin != 2 || x->uses != 1 || !is_host(c) || c->steps ||
	    x->type != c->type)
		return 0;
	int32_t count = x->val->type->dim[x->val->type->rank - 1];
	const Tensor *t = c->host;
	if (t->rank < 1 || t->rank > x->val->type->rank || t->count != count || t->dim[t->rank - 1] != count)
		return 0;
	Tensor flat = *t;
	flat.rank = 1;
	flat.dim[0] = count;
	Val *bias = operand_data(n, c->name, c->type, &flat);
	if (!bias)
		return 0;
	Val *in[] = { o->in[0], o->in[1], bias };
	op_remove(&n->im->f->body, o);
	return op_end(n, op_begin(n, O_linear, 3, in));
}

/* computed.c: a linear op whose weights are computed becomes matmul and add, one of constants a constant.  Changes ops, for
 * fixed point only.
 *
 * Integer kernels of linear want constant weights, packed and with a bound on their sums; products of two computed values have
 * matmul.  Weights handed in as inputs (ONNX node tests do that) come this way. */
#include "passes/passes.h"

#include <string.h>

static Val *transposed(Module *m, Func *f, Op *at, Val *W)
{
	Op *t = op_before(m, &f->body, at, O_transpose, 1, &W);
	attr_set_ints(m, t, "perm", 2, (int64_t[]){1, 0});
	t->loc = at->loc;
	return op_out(m, f, t, 0, type_like(m, W->type, 2, (const int32_t[]){W->type->dim[1], W->type->dim[0]}));
}

static void rewrite(Module *m, Func *f, Op *o)
{
	Val *x = o->in[0], *b = o->nin > 2 ? o->in[2] : 0, *y = o->out[0];
	const Type *type = y->type;
	if (x->type->rank == 1) {       /* a matrix of one row */
		Op *r = op_before(m, &f->body, o, O_reshape, 1, &x);
		x = op_out(m, f, r, 0, type_like(m, x->type, 2, (const int32_t[]){1, x->type->dim[0]}));
		type = type_like(m, type, 2, (const int32_t[]){1, type->dim[0]});
	}
	Op *p = op_before(m, &f->body, o, O_matmul, 2, (Val *[]){x, transposed(m, f, o, o->in[1])});
	p->loc = o->loc;
	Val *v = op_out(m, f, p, 0, type);
	if (b) {
		Op *s = op_before(m, &f->body, o, O_add, 2, (Val *[]){v, b});
		s->loc = o->loc;
		v = op_out(m, f, s, 0, type);
	}
	if (type != y->type) {
		Op *r = op_before(m, &f->body, o, O_reshape, 1, &v);
		v = op_out(m, f, r, 0, y->type);
	}
	if (y->ranged) {
		v->ranged = true;
		v->lo = y->lo, v->hi = y->hi, v->clip = y->clip;
	}
	val_replace(f, y, v);
	op_remove(&f->body, o);
}

/* x W' of constants; double sums. */
static Val *product_of_constants(Module *m, const Op *o)
{
	const Data *x = o->in[0]->data, *W = o->in[1]->data;
	int32_t K = W->type->dim[1], M = W->type->dim[0];
	Data *y = data_new(m, W->name, o->out[0]->type);
	int64_t rows = type_count(y->type, 1) / M;
	for (int64_t r = 0; r < rows; r++)
		for (int32_t i = 0; i < M; i++) {
			double sum = 0;
			for (int32_t k = 0; k < K; k++)
				sum += (double)((const float *)x->bytes)[r * K + k] * ((const float *)W->bytes)[(int64_t)i * K + k];
			((float *)y->bytes)[r * M + i] = (float)sum;
		}
	return val_data(m, y);
}

/* A recurrence's first step that was written out multiplies its initial state. */
static void fold(Module *m, Func *f, Op *o)
{
	Val *v = product_of_constants(m, o), *b = o->nin > 2 ? o->in[2] : 0;
	if (b) {
		Op *s = op_before(m, &f->body, o, O_add, 2, (Val *[]){v, b});
		s->loc = o->loc;
		v = op_out(m, f, s, 0, o->out[0]->type);
	}
	val_replace(f, o->out[0], v);
	op_remove(&f->body, o);
}

bool pass_computed(Module *m, const Options *opt, Diag *d)
{
	(void)d;
	if (!opt->integer || m->level != L_TENSOR || module_is_quantized(m))
		return true;
	each_func(f, m) {
		each_op(o, &f->body)
			if (o->kind == O_linear && !o->in[1]->data)
				rewrite(m, f, o);
			else if (o->kind == O_linear && o->in[0]->data && !type_has_t(o->out[0]->type))
				fold(m, f, o);
		func_renumber(f);
	}
	return true;
}

/* emit.c: from ONNX nodes to IR ops: operands that are constants become data, results get their types. */
#include "onnx/import.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

Elem elem_of(HostType t)
{
	return is_whole(t) ? E_i32 : E_f32;
}

const Type *type_of(Import *im, HostType t, const Shape *s)
{
	return type_tensor(im->m, elem_of(t), s->rank, s->dim);
}

/* ---- data ---------------------------------------------------------------------------------- */

/* Matrices with the same elements are one data: unrolled layers name each step's weights anew. */
struct DataCopy {
	uint64_t hash;
	Data *data;
	struct DataCopy *next;
};

static uint64_t hash_bytes(const void *p, size_t n)
{
	const unsigned char *s = p;
	uint64_t h = 0xcbf29ce484222325;
	for (; n >= 8; n -= 8, s += 8) {
		uint64_t word;
		memcpy(&word, s, 8);
		h = (h ^ word) * 0x9e3779b97f4a7c15;
		h ^= h >> 32;
	}
	while (n--)
		h = (h ^ *s++) * 0x100000001b3;
	return h;
}

static Data *equal_data(Import *im, const Type *t, const void *bytes, size_t size, uint64_t hash)
{
	for (struct DataCopy *c = im->copies; c; c = c->next)
		if (c->hash == hash && c->data->type == t && !memcmp(c->data->bytes, bytes, size))
			return c->data;
	return 0;
}

static Data *data_of(Import *im, const char *name, const Type *t, const void *bytes, size_t size)
{
	bool shared = t->rank >= 2;     /* biases stay apart: each is rounded to its own layer's scale */
	uint64_t hash = shared ? hash_bytes(bytes, size) : 0;
	Data *d = shared ? equal_data(im, t, bytes, size, hash) : 0;
	if (d)
		return d;
	d = data_new(im->m, name, t);
	memcpy(d->bytes, bytes, size);
	if (shared) {
		struct DataCopy *c = NEW(im->arena, struct DataCopy);
		*c = (struct DataCopy){ hash, d, im->copies };
		im->copies = c;
	}
	return d;
}

Val *operand_data(Node *n, const char *name, HostType type, const Tensor *t)
{
	Import *im = n->im;
	Shape s = { .rank = t->rank };
	for (int i = 0; i < t->rank; i++)
		s.dim[i] = (int32_t)t->dim[i];
	size_t size = (size_t)t->count * 4;
	void *bytes = t->bytes;
	if (t->type != H_F32 && t->type != H_I32) {
		Tensor *as = host_new(n, is_whole(type) ? H_I32 : H_F32, t->rank, t->dim);
		if (!as)
			return 0;
		for (int64_t i = 0; i < t->count; i++) {
			if (!is_whole(type)) {
				tensor_set(as, i, tensor_get(t, i));
				continue;
			}
			int64_t v = tensor_get_int(t, i);
			if (v < INT32_MIN || v > INT32_MAX) {
				fail(n, "constant '%s' holds %lld, which does not fit 32 bits", name, (long long)v);
				return 0;
			}
			tensor_set_int(as, i, v);
		}
		bytes = as->bytes;
	}
	return val_data(im->m, data_of(im, name, type_of(im, type, &s), bytes, size));
}

Val *operand(Node *n, Value *v)
{
	if (v->val)
		return v->val;
	if (v->steps) {
		fail_fixed(n, "the number of steps itself is computed with");
		return 0;
	}
	return v->val = operand_data(n, v->name, v->type, v->host);
}

Val *emit_scalar(Node *n, HostType type, double v)
{
	Tensor *t = host_new(n, is_whole(type) ? H_I32 : H_F32, 0, 0);
	if (!t)
		return 0;
	tensor_set(t, 0, v);
	return operand_data(n, "c", type, t);
}

/* ---- ops ----------------------------------------------------------------------------------- */

static const char *node_name(const Node *n)
{
	if (*n->p->name)
		return arena_strdup(n->im->m->arena, n->p->name);
	return arena_printf(n->im->m->arena, "%s #%d", n->p->op_type, n->index);
}

/* The first result with a name gives the IR values of a node theirs. */
static const char *result_name(const Node *n)
{
	for (int i = 0; i < n->nout; i++)
		if (n->out[i])
			return n->out[i]->name;
	return "v";
}

Op *op_begin(Node *n, OpKind k, int nin, Val *const *in)
{
	Op *o = op_new(n->im->m, &n->im->f->body, k, nin, in);
	o->loc.file = n->im->file;
	o->loc.node = node_name(n);
	return o;
}

Val *op_end(Node *n, Op *o)
{
	const Type *t[8];
	char err[300];
	int count = infer_types(n->im->m, o, t, err, sizeof err);
	if (count < 1) {
		op_remove(&n->im->f->body, o);
		fail(n, "%s", count < 0 ? err : "gives no result");
		return 0;
	}
	for (int i = 0; i < count; i++) {
		bool named = i < n->nout && n->out[i];
		op_out(n->im->m, n->im->f, o, named ? n->out[i]->name : result_name(n), t[i]);
	}
	return o->out[0];
}

Val *op_end_as(Node *n, Op *o, const Shape *s)
{
	const Type *t = type_like(n->im->m, o->in[0]->type, s->rank, s->dim);
	return op_out(n->im->m, n->im->f, o, result_name(n), t);
}

Val *emit1(Node *n, OpKind k, Val *x)
{
	return x ? op_end(n, op_begin(n, k, 1, &x)) : 0;
}

Val *emit2(Node *n, OpKind k, Val *a, Val *b)
{
	return a && b ? op_end(n, op_begin(n, k, 2, (Val *[]){ a, b })) : 0;
}

Val *emit_reshape(Node *n, Val *x, const Shape *s)
{
	if (x->type == type_like(n->im->m, x->type, s->rank, s->dim))
		return x;
	return op_end_as(n, op_begin(n, O_reshape, 1, &x), s);
}

Val *emit_slice(Node *n, Val *x, int axis, int64_t at, int64_t step, int32_t count)
{
	Shape s = val_shape(x);
	if (count == s.dim[axis] && step == 1)
		return x;
	s.dim[axis] = count;
	Op *o = op_begin(n, O_slice, 1, &x);
	attr_set_int(n->im->m, o, "axis", axis);
	attr_set_int(n->im->m, o, "at", at);
	if (step != 1)
		attr_set_int(n->im->m, o, "step", step);
	return op_end_as(n, o, &s);
}

Val *emit_transpose(Node *n, Val *x, const int64_t *perm)
{
	int rank = x->type->rank;
	bool same = true;
	for (int i = 0; i < rank; i++)
		same &= perm[i] == i;
	if (same)
		return x;
	Op *o = op_begin(n, O_transpose, 1, &x);
	attr_set_ints(n->im->m, o, "perm", rank, perm);
	return op_end(n, o);
}

/* ---- shapes -------------------------------------------------------------------------------- */

int32_t shape_const(const Shape *s, int from, int to, int *steps)
{
	int64_t c = 1;
	*steps = 0;
	for (int i = from; i < to; i++) {
		if (s->dim[i] == DIM_T)
			++*steps;
		else
			c *= s->dim[i];
		if (c > INT32_MAX)
			return -1;
	}
	return (int32_t)c;
}

bool broadcast_shapes(Node *n, const Shape *a, const Shape *b, Shape *out)
{
	out->rank = a->rank > b->rank ? a->rank : b->rank;
	for (int i = 1; i <= out->rank; i++) {
		int32_t x = i <= a->rank ? a->dim[a->rank - i] : 1;
		int32_t y = i <= b->rank ? b->dim[b->rank - i] : 1;
		int32_t *z = &out->dim[out->rank - i];
		if (x == y || y == 1)
			*z = x;
		else if (x == 1)
			*z = y;
		else if (x == DIM_T || y == DIM_T)
			return fail_fixed(n, "it meets a dimension of fixed size");
		else
			return fail(n, "operands of sizes %d and %d along axis %d do not fit together", x, y,
				    out->rank - i);
	}
	return true;
}

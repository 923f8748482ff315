/* emit.c: from ONNX nodes to IR ops: operands that are constants become data, results get their types. */
#include "onnx/import.h"

#include <stdint.h>
#include <string.h>

/* 8 and 16 bits are what quantized models hold: they are carried as reals, each of which is a whole number, and can
 * be given other integers by our own quantization. */
bool is_small(HostType t)
{
	return t == H_I8 || t == H_U8 || t == H_I16 || t == H_U16;
}

Elem elem_of(HostType t)
{
	return is_whole(t) && !is_small(t) ? E_i32 : E_f32;
}

const Type *type_of(Import *im, HostType t, const Shape *s)
{
	return type_tensor(im->m, elem_of(t), s->rank, s->dim);
}

/* ---- names --------------------------------------------------------------------------------- */

/* An identifier that is new among `names`.  (op_out and data_new look through all names each time, which takes too
 * long for graphs of many thousand nodes; a table remembers the last number behind each name.) */
static const char *new_name(Import *im, Table *names, const char *wanted)
{
	const char *base = ident(im->m->arena, wanted), *name = base;
	uintptr_t number = (uintptr_t)*table_at(names, base);
	while (table_get(names, name))
		name = arena_printf(im->m->arena, "%s_%ju", base, (uintmax_t)number++);
	*table_at(names, base) = (void *)(number + !number);
	*table_at(names, name) = *table_at(names, name) ? *table_at(names, name) : (void *)1;
	return name;
}

Val *add_param(Import *im, const char *name, const Type *t)
{
	Val *v = func_param(im->m, im->f, name, t);
	*table_at(im->val_names, v->name) = (void *)1;
	return v;
}

/* One more result of o. */
static Val *add_result(Import *im, Op *o, const char *name, const Type *t)
{
	Val **out = NEWN(im->m->arena, Val *, o->nout + 1);
	if (o->nout)
		memcpy(out, o->out, sizeof *out * o->nout);
	Val *v = NEW(im->m->arena, Val);
	v->name = new_name(im, im->val_names, name);
	im->f->numbered = 0;
	v->type = t;
	v->id = im->f->nval++;
	v->def = o;
	o->out = out;
	return o->out[o->nout++] = v;
}

static Data *add_data(Import *im, const char *name, const Type *t, const void *bytes, size_t size)
{
	Data *d = NEW(im->m->arena, Data);
	d->name = new_name(im, im->data_names, name);
	d->type = t;
	d->size = size;
	d->bytes = arena_copy(im->m->arena, bytes, size);
	*(im->last_data ? &im->last_data->next : &im->m->data) = d;
	return im->last_data = d;
}

/* ---- data ---------------------------------------------------------------------------------- */

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

/* Matrices with the same elements are one data: unrolled layers name each step's weights anew.  Biases stay apart:
 * each is rounded to its own layer's scale. */
static Data *data_of(Node *n, const char *name, const Type *t, const void *bytes, size_t size)
{
	Import *im = n->im;
	char type[200];
	Data *d = 0;
	const char *key = 0;
	if (t->rank >= 2) {
		key = arena_printf(im->arena, "%s %jx", type_text(t, type, sizeof type),
				   (uintmax_t)hash_bytes(bytes, size));
		d = table_get(im->copies, key);
	}
	if (d && !memcmp(d->bytes, bytes, size))
		return d;
	if (!take_room(n, (int64_t)size))
		return 0;
	d = add_data(im, name, t, bytes, size);
	if (key)
		*table_at(im->copies, key) = d;
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
	bool whole = elem_of(type) == E_i32;
	if (t->type != (whole ? H_I32 : H_F32)) {
		Tensor *as = host_new(n, whole ? H_I32 : H_F32, t->rank, t->dim);
		if (!as)
			return 0;
		for (int64_t i = 0; i < t->count; i++) {
			if (!whole) {
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
	Data *d = data_of(n, name, type_of(im, type, &s), bytes, size);
	return d ? val_data(im->m, d) : 0;
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
	Tensor *t = host_new(n, elem_of(type) == E_i32 ? H_I32 : H_F32, 0, 0);
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
	const Type **t = NEWN(n->im->arena, const Type *, o->callee ? o->callee->nret + o->callee->nstate + 1 : 8);
	char err[300];
	int count = infer_types(n->im->m, o, t, err, sizeof err);
	if (count < 0) {
		op_remove(&n->im->f->body, o);
		fail(n, "%s", err);
		return 0;
	}
	for (int i = 0; i < count; i++) {
		bool named = i < n->nout && n->out[i];
		add_result(n->im, o, named ? n->out[i]->name : result_name(n), t[i]);
	}
	return o->out[0];
}

Val *op_end_as(Node *n, Op *o, const Shape *s)
{
	const Type *t = type_like(n->im->m, o->in[0]->type, s->rank, s->dim);
	return add_result(n->im, o, result_name(n), t);
}

Val *emit_cast(Node *n, Val *x, HostType to)
{
	Op *o = op_begin(n, O_cast, 1, &x);
	return add_result(n->im, o, result_name(n), type_tensor(n->im->m, elem_of(to), x->type->rank, x->type->dim));
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

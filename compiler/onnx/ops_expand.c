/* ops_expand.c: tensors that are made from a shape: Expand, ConstantOfShape, Range, Tile. */
#include "onnx/operators.h"

#include <math.h>
#include <string.h>

/* x broadcast to s.  A constant stays one unless T is in s. */
static bool expand_to(Node *n, Value *x, const Shape *s)
{
	Shape have = shape_of(x);
	bool has_t = false;
	for (int i = 0; i < s->rank; i++)
		has_t |= s->dim[i] == DIM_T;
	if (is_host(x) && !has_t) {
		int64_t dim[MAX_RANK], stride[MAX_RANK] = { 0 }, own[MAX_RANK];
		host_strides(x->host, own);
		for (int i = 0; i < s->rank; i++) {
			int k = i - (s->rank - have.rank);
			dim[i] = s->dim[i];
			stride[i] = k < 0 || have.dim[k] == 1 ? 0 : own[k];
		}
		return host_view(n, result(n, 0), x, s->rank, dim, stride, 0);
	}
	Val *v = operand(n, x);
	if (!v)
		return false;
	if (v->type != type_like(n->im->m, v->type, s->rank, s->dim))
		v = op_end_as(n, op_begin(n, O_expand, 1, &v), s);
	set_run(n, 0, v, x->type);
	return true;
}

bool op_expand(Node *n)
{
	Sym want[MAX_RANK];
	Shape have = shape_of(n->in[0]), to, s;
	if (!input_syms(n, 1, want, MAX_RANK, &to.rank) || !shape_from(n, want, to.rank, &to)
	    || !broadcast_shapes(n, &have, &to, &s))
		return false;
	return expand_to(n, n->in[0], &s);
}

bool op_constant_of_shape(Node *n)
{
	const Onnx__Attribute *a = get_attr(n, "value");
	static const float zero;
	static const Tensor none = { .type = H_F32, .rank = 0, .count = 1, .bytes = (void *)&zero };
	Value *x = NEW(n->im->arena, Value);
	Sym want[MAX_RANK];
	Shape s;
	char err[200];
	*x = (Value){ .name = n->nout && n->out[0] ? n->out[0]->name : "c", .kind = V_HOST, .host = &none };
	if (a && !(x->host = weight_read(n->im->arena, 0, a->t, err, sizeof err)))
		return fail(n, "attribute 'value': %s", err);
	if (x->host->count != 1)
		return fail(n, "attribute 'value' has %lld elements, not one", (long long)x->host->count);
	Tensor *scalar = NEW(n->im->arena, Tensor);
	*scalar = *x->host;
	scalar->rank = 0;
	x->host = scalar;
	x->type = scalar->type;
	if (!input_syms(n, 0, want, MAX_RANK, &s.rank) || !shape_from(n, want, s.rank, &s))
		return false;
	return expand_to(n, x, &s);
}

bool op_range(Node *n)
{
	for (int i = 0; i < 3; i++) {
		const Value *v = n->in[i];
		if (!is_host(v))
			return fail(n,
				    "operand '%s' is computed from the model's inputs; it must be a constant",
				    v->name);
		if (v->steps)
			return fail_fixed(n, "the length of a range is computed from it");
		if (v->host->count != 1 || v->type != n->in[0]->type)
			return fail(n, "operands must be three numbers of one type");
	}
	HostType type = n->in[0]->type;
	double from = tensor_get(n->in[0]->host, 0), to = tensor_get(n->in[1]->host, 0);
	double by = tensor_get(n->in[2]->host, 0), length = ceil((to - from) / by);
	if (!(by != 0) || !(length < 0x1p31))
		return fail(n, "the range from %g to %g by %g has no sensible length", from, to, by);
	int64_t count = length > 0 ? (int64_t)length : 0;
	Tensor *t = host_new(n, type, 1, &count);
	if (!t)
		return false;
	for (int64_t i = 0; i < count; i++) {
		if (is_whole(type))
			tensor_set_int(t, i,
				       tensor_get_int(n->in[0]->host, 0) +
					       i * tensor_get_int(n->in[2]->host, 0));
		else
			tensor_set(t, i, from + (double)i * by);
	}
	set_host(n, 0, t, 0);
	return true;
}

/* ---- Tile ---------------------------------------------------------------------------------- */

/* [a,b] -> [1,a,1,b] -> [m,a,n,b] -> [m*a,n*b], with axes that are not repeated left as they are. */
static bool tile_run(Node *n, Value *x, const int64_t *repeats)
{
	Shape have = shape_of(x), apart = { 0 }, wide = { 0 }, s = have;
	for (int i = 0; i < have.rank; i++) {
		bool repeat = repeats[i] != 1;
		if (repeat && have.dim[i] == DIM_T)
			return fail_fixed(n, "a tensor is repeated along it");
		if (wide.rank + 1 + repeat > MAX_RANK)
			return fail(n, "repeats along too many axes");
		int64_t size = repeat ? have.dim[i] * repeats[i] : have.dim[i];
		if (repeats[i] > INT32_MAX || size > INT32_MAX)
			return fail(n, "the result's size overflows");
		if (repeat) {
			apart.dim[apart.rank++] = 1;
			wide.dim[wide.rank++] = (int32_t)repeats[i];
		}
		apart.dim[apart.rank++] = have.dim[i];
		wide.dim[wide.rank++] = have.dim[i];
		s.dim[i] = (int32_t)size;
	}
	Val *v = emit_reshape(n, x->val, &apart);
	if (wide.rank != have.rank)
		v = op_end_as(n, op_begin(n, O_expand, 1, &v), &wide);
	set_run(n, 0, emit_reshape(n, v, &s), x->type);
	return true;
}

/* One axis after the other: seen as [outer, 1, inner], repeated along the middle. */
static bool tile_host(Node *n, Value *x, const int64_t *repeats)
{
	Value now = *x;
	for (int i = 0; i < x->host->rank; i++) {
		int64_t inner = 1, dim[MAX_RANK];
		for (int k = i; k < now.host->rank; k++)
			inner *= now.host->dim[k];
		memcpy(dim, now.host->dim, sizeof dim);
		int64_t wide[] = {inner ? now.host->count / inner : 0, repeats[i], inner},
			stride[] = {inner, 0, 1};
		if (__builtin_mul_overflow(dim[i], repeats[i], &dim[i]))
			return fail(n, "the result's size overflows");
		if (!host_view(n, &now, &now, 3, wide, stride, 0))
			return false;
		host_reshaped(n, &now, &now, x->host->rank, dim);
	}
	set_host(n, 0, now.host, now.steps);
	return true;
}

bool op_tile(Node *n)
{
	Value *x = n->in[0];
	int64_t repeats[MAX_RANK];
	int count;
	if (!input_ints(n, 1, repeats, MAX_RANK, &count))
		return false;
	if (count != shape_of(x).rank)
		return fail(n, "has %d repeats for %d dimensions", count, shape_of(x).rank);
	for (int i = 0; i < count; i++)
		if (repeats[i] < 0)
			return fail(n, "repeats %lld times", (long long)repeats[i]);
	return is_host(x) ? tile_host(n, x, repeats) : tile_run(n, x, repeats);
}

/* fold.c: element-wise operators on tensors that are known now, with broadcasting.  Integers are exact and
 * may hold T; reals are computed in double and rounded once, which for + - * / and sqrt gives the same as
 * float does. */
#include "onnx/operators.h"

#include <assert.h>

/* Walks a tensor in the order of a result that it is broadcast to. */
typedef struct {
	const Value *v;
	int64_t stride[HOST_RANK];      /* 0 along axes it is repeated on */
	int64_t at;
} Reader;

static Reader reader(const Value *v, const Shape *to)
{
	Reader r = { .v = v };
	int64_t own[HOST_RANK];
	host_strides(v->host, own);
	int skip = to->rank - v->host->rank;
	for (int i = 0; i < v->host->rank; i++)
		r.stride[skip + i] = v->host->dim[i] == 1 ? 0 : own[i];
	return r;
}

static void advance(int64_t *index, const Shape *s, Reader *r, int nr)
{
	for (int k = s->rank - 1; k >= 0; k--) {
		bool carry = ++index[k] == s->dim[k];
		for (int i = 0; i < nr; i++)
			r[i].at += r[i].stride[k] * (carry ? 1 - s->dim[k] : 1);
		if (!carry)
			return;
		index[k] = 0;
	}
}

static Tensor *result_for(Node *n, HostType type, const Shape *s)
{
	int64_t dim[HOST_RANK];
	for (int i = 0; i < s->rank; i++)
		dim[i] = s->dim[i];
	return host_new(n, type, s->rank, dim);
}

static bool store(Node *n, Tensor *t, int64_t *steps, int64_t i, Sym v)
{
	if (steps)
		steps[i] = v.a;
	tensor_set_int(t, i, v.b);
	if (t->type != H_BOOL && tensor_get_int(t, i) != v.b)
		return sym_fail(n, SYM_OVERFLOW);
	return true;
}

bool fold_binary(Node *n, int k, HostType type, const Value *a, const Value *b, SymOp *whole, Real2 *real)
{
	Shape as = shape_of(a), bs = shape_of(b), s;
	if (!broadcast_shapes(n, &as, &bs, &s))
		return false;
	Tensor *t = result_for(n, type, &s);
	if (!t)
		return false;
	bool exact = whole && is_whole(a->type) && is_whole(b->type);
	if (!exact && (a->steps || b->steps))
		return sym_fail(n, SYM_PIN);
	assert(exact || real);          /* operators of integers alone have refused other operands */
	int64_t *steps = a->steps || b->steps ? steps_new(n, t->count) : 0, index[HOST_RANK] = { 0 };
	Reader r[] = { reader(a, &s), reader(b, &s) };
	for (int64_t i = 0; i < t->count; i++, advance(index, &s, r, 2)) {
		if (!exact) {
			tensor_set(t, i, real(tensor_get(a->host, r[0].at), tensor_get(b->host, r[1].at)));
			continue;
		}
		Sym z;
		SymStatus status =
			whole(host_sym(a->host, a->steps, r[0].at), host_sym(b->host, b->steps, r[1].at), &z);
		if (status)
			return sym_fail(n, status);
		if (!store(n, t, steps, i, z))
			return false;
	}
	set_host(n, k, t, steps);
	return true;
}

bool fold_where(Node *n, const Value *c, const Value *a, const Value *b)
{
	Shape cs = shape_of(c), as = shape_of(a), bs = shape_of(b), ab, s;
	if (!broadcast_shapes(n, &as, &bs, &ab) || !broadcast_shapes(n, &cs, &ab, &s))
		return false;
	Tensor *t = result_for(n, a->type, &s);
	if (!t)
		return false;
	int64_t *steps = a->steps || b->steps ? steps_new(n, t->count) : 0, index[HOST_RANK] = { 0 };
	Reader r[] = { reader(c, &s), reader(a, &s), reader(b, &s) };
	for (int64_t i = 0; i < t->count; i++, advance(index, &s, r, 3)) {
		const Reader *chosen = tensor_get_int(c->host, r[0].at) ? &r[1] : &r[2];
		const Value *from = chosen->v;
		if (!is_whole(a->type))
			tensor_set(t, i, tensor_get(from->host, chosen->at));
		else if (!store(n, t, steps, i, host_sym(from->host, from->steps, chosen->at)))
			return false;
	}
	set_host(n, 0, t, steps);
	return true;
}

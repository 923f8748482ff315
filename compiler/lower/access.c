/* access.c: where the elements of a tensor lie.  Slices, transposes and broadcasts cost nothing until
 * somebody needs their elements side by side. */
#include "lower/lower.h"

#include <string.h>

const Type *ref_type(Module *m, const Type *t)
{
	return type_ref(m, elem_stored(t->elem), t->rank, t->dim);
}

Access access_whole(Frame *fr, Val *ref, const Type *t)
{
	(void)fr;
	Access a = {.base = ref, .type = t};
	for (int d = 0; d < t->rank; d++)
		a.from[d] = (int8_t)d, a.step[d] = 1;
	return a;
}

Access access_of(Frame *fr, Val *v)
{
	if (v->data)
		return access_whole(fr, v, v->type);
	return fr->acc[v->id];
}

void set_access(Frame *fr, Val *v, Access a)
{
	a.type = v->type;
	fr->acc[v->id] = a;
	fr->known[v->id] = true;
}

/* The result of an op goes to its home (a state or an output) or to scratch. */
Access place_result(Frame *fr, Val *v)
{
	Val *ref = fr->home[v->id];
	Access a = access_whole(fr, ref ? ref : e_alloc(fr, v->name, v->type), v->type);
	set_access(fr, v, a);
	return a;
}

static Index index_sum(Index a, Index b, int32_t k)
{
	a.c += b.c * k;
	a.t += b.t * k;
	if (b.dyn)
		a.dyn = b.dyn;  /* callers give a dynamic part only where step is 1 and a has none */
	return a;
}

Access access_slice(Access a, const Type *t, int axis, Index at, int32_t step)
{
	a.type = t;
	for (int d = 0; d < a.base->type->rank; d++)
		if (a.from[d] == axis) {
			a.at[d] = index_sum(a.at[d], at, a.step[d]);
			a.step[d] *= step;
		}
	return a;
}

Access access_drop(Access a, const Type *t, int axis, Index at)
{
	a.type = t;
	for (int d = 0; d < a.base->type->rank; d++)
		if (a.from[d] == axis) {
			a.at[d] = index_sum(a.at[d], at, a.step[d]);
			a.from[d] = -1;
		} else if (a.from[d] > axis)
			a.from[d]--;
	return a;
}

Access access_permute(Access a, const Type *t, const int64_t *perm)
{
	a.type = t;
	for (int d = 0; d < a.base->type->rank; d++)
		for (int k = 0; a.from[d] >= 0 && k < t->rank; k++)
			if (perm[k] == a.from[d]) {
				a.from[d] = (int8_t)k;
				break;
			}
	return a;
}

Access access_broadcast(Frame *fr, Access a, const Type *t)
{
	int skip = t->rank - a.type->rank;
	for (int d = 0; d < a.base->type->rank; d++) {
		if (a.from[d] < 0)
			continue;
		int32_t n = a.type->dim[a.from[d]];
		a.from[d] = (int8_t)(a.from[d] + skip);
		if (n == 1 && t->dim[a.from[d]] != 1)
			a.from[d] = -1;
	}
	a.type = type_like(fr->l->m, a.type, t->rank, t->dim);
	return a;
}

/* Row-major and without holes: behind the first axis that is not taken whole every axis is, and before it
 * every index is fixed. */
static bool contiguous_from(const Access *a, int first)
{
	const Type *b = a->base->type;
	int next = a->type->rank - 1;
	bool partial = false;           /* an axis further right was not taken whole */
	for (int d = b->rank - 1; d >= 0; d--) {
		int k = a->from[d];
		if (k < 0 || a->type->dim[k] == 1) {
			if (b->dim[d] != 1)
				partial = true;
			continue;
		}
		while (next > k && a->type->dim[next] == 1)
			next--;
		if (k < first)
			break;
		if (k != next || a->step[d] != 1 || partial)
			return false;
		next--;
		if (a->type->dim[k] != b->dim[d])
			partial = true;
	}
	while (next >= first && a->type->dim[next] == 1)
		next--;
	return next < first;            /* an axis without an index of base is a broadcast */
}

bool access_contiguous(const Access *a) { return contiguous_from(a, 0); }
bool access_rows_contiguous(const Access *a) { return contiguous_from(a, a->type->rank - 1); }

void access_subscript(Frame *fr, const Access *a, Val *const *idx, Val **out)
{
	for (int d = 0; d < a->base->type->rank; d++)
		out[d] = e_index(fr, a->at[d], a->step[d], a->from[d] < 0 ? 0 : idx[a->from[d]]);
}

static Val *view(Frame *fr, const Access *a, Val *const *idx, const Type *ref)
{
	Val *in[1 + MAX_RANK];
	in[0] = a->base;
	access_subscript(fr, a, idx, in + 1);
	Op *o = op_new(fr->l->m, fr->b, O_view, 1 + a->base->type->rank, in);
	return op_out(fr->l->m, fr->f, o, 0, ref);
}

static bool starts_at_zero(const Access *a)
{
	for (int d = 0; d < a->base->type->rank; d++)
		if (a->at[d].c || a->at[d].t || a->at[d].dyn)
			return false;
	return true;
}

static bool same_dims(const Type *a, const Type *b)
{
	return a->rank == b->rank && !memcmp(a->dim, b->dim, sizeof *a->dim * a->rank);
}

Val *access_ref(Frame *fr, Access a)
{
	const Type *want = ref_type(fr->l->m, a.type);
	if (access_contiguous(&a)) {
		const Type *b = a.base->type;
		if (same_dims(b, want) && starts_at_zero(&a))
			return a.base;
		Val *zero[MAX_RANK];
		for (int d = 0; d < MAX_RANK; d++)
			zero[d] = e_w(fr, 0);
		return view(fr, &a, zero, want);
	}
	Val *copy = e_alloc(fr, 0, a.type);
	e_copy(fr, a, access_whole(fr, copy, a.type));
	return copy;
}

Val *access_row(Frame *fr, const Access *a, Val *const *lead)
{
	Val *idx[MAX_RANK];
	int last = a->type->rank - 1;
	for (int d = 0; d < last; d++)
		idx[d] = lead[d];
	idx[last] = e_w(fr, 0);
	return view(fr, a, idx, type_ref(fr->l->m, elem_stored(a->type->elem), 1, &a->type->dim[last]));
}

static const Type *reg_of(Frame *fr, Elem e)
{
	return e == E_f32 ? reg_s(fr) : e == E_i64 ? reg_l(fr) : reg_w(fr);
}

/* Does an index of base follow the last axis? */
static bool uses_last(const Access *a)
{
	for (int d = 0; d < a->base->type->rank; d++)
		if (a->from[d] >= 0 && a->from[d] == a->type->rank - 1)
			return true;
	return false;
}

bool access_lanes(const Access *a)
{
	bool behind = true;             /* base axes further right hold one element */
	for (int d = a->base->type->rank - 1; d >= 0; d--) {
		if (a->from[d] >= 0 && a->from[d] == a->type->rank - 1)
			return a->step[d] == 1 && behind;
		behind &= a->base->type->dim[d] == 1;
	}
	return true;
}

Val *access_load(Frame *fr, const Access *a, Val *const *idx)
{
	Val *in[1 + MAX_RANK];
	in[0] = a->base;
	access_subscript(fr, a, idx, in + 1);
	Op *o = op_new(fr->l->m, fr->b, O_load, 1 + a->base->type->rank, in);
	const Type *t = reg_of(fr, elem_stored(a->base->type->elem));
	if (fr->lanes > 1 && uses_last(a))
		t = type_reg(fr->l->m, t->elem, fr->lanes);
	return op_out(fr->l->m, fr->f, o, 0, t);
}

void access_store(Frame *fr, const Access *a, Val *const *idx, Val *v)
{
	Val *in[2 + MAX_RANK];
	in[0] = a->base;
	in[1] = v;
	access_subscript(fr, a, idx, in + 2);
	op_new(fr->l->m, fr->b, O_store, 2 + a->base->type->rank, in);
}

static void nest(Frame *fr, const Type *t, int rank, int d, Val **idx, NestBody body, void *arg)
{
	static const char *const names[MAX_RANK] = {"i", "j", "k", "m", "n", "p", "q", "r"};
	if (d == rank) {
		body(fr, idx, arg);
		return;
	}
	if (t->dim[d] == 1) {
		idx[d] = e_w(fr, 0);
		nest(fr, t, rank, d + 1, idx, body, arg);
		return;
	}
	Block *outer = fr->b;
	Op *loop = e_for(fr, e_dim(fr, t->dim[d]), names[d], 0, 0);
	idx[d] = loop->body->arg[0];
	nest(fr, t, rank, d + 1, idx, body, arg);
	e_end(fr, loop, outer, 0);
}

void e_nest(Frame *fr, const Type *t, int rank, NestBody body, void *arg)
{
	Val *idx[MAX_RANK];
	nest(fr, t, rank, 0, idx, body, arg);
}

static void copy_one(Frame *fr, Val *const *idx, void *arg)
{
	Access *a = arg;
	access_store(fr, &a[1], idx, access_load(fr, &a[0], idx));
}

void e_copy(Frame *fr, Access from, Access to)
{
	Access pair[2] = {from, to};
	e_nest(fr, to.type, to.type->rank, copy_one, pair);
}

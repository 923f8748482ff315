/* simplify.c: one op for each thing computed.  Changes ops and data, no types.
 *
 * Exporters repeat themselves: the same weights under several names, the same op on the same operands, selections
 * whose condition is known.  Passes that look for repeated steps (roll) see the repetition only when equal things are one. */
#include "passes/match.h"
#include "passes/passes.h"

#include <stdlib.h>
#include <string.h>

/* ---- data -------------------------------------------------------------------------------------------------- */

static uint64_t hash_bytes(const void *p, size_t n)
{
	uint64_t h = 1469598103934665603u;
	for (size_t i = 0; i < n; i++)
		h = (h ^ ((const uint8_t *)p)[i]) * 1099511628211u;
	return h;
}

typedef struct { uint64_t hash; Data *d; } Hashed;

static int by_hash(const void *a, const void *b)
{
	const Hashed *x = a, *y = b;
	return x->hash < y->hash ? -1 : x->hash > y->hash;
}

/* data -> the first with the same type and bytes, in an array parallel to h */
static void merge_data(Module *m)
{
	int n = 0;
	each_data(d, m)
		n++;
	Hashed *h = NEWN(m->arena, Hashed, n + 1);
	n = 0;
	each_data(d, m)
		h[n++] = (Hashed){hash_bytes(d->bytes, d->size), d};
	qsort(h, (size_t)n, sizeof *h, by_hash);
	for (int i = 0; i < n; i++)
		for (int k = i + 1; k < n && h[k].hash == h[i].hash; k++) {
			Data *a = h[i].d, *b = h[k].d;
			if (!a || !b || a->type != b->type || memcmp(a->bytes, b->bytes, a->size))
				continue;
			if (!b->val)
				continue;
			Val *keep = val_data(m, a);
			each_func(f, m)
				val_replace(f, b->val, keep);
			h[k].d = 0;
		}
}

/* ---- ops ----------------------------------------------------------------------------------------------------- */

/* 1: all elements of the constant are true, 0: all false, -1: neither or unknown. */
static int constant_truth(const Val *v)
{
	if (!v->data || v->type->elem != E_i32)
		return -1;
	int64_t n = type_count(v->type, 1);
	const int32_t *p = v->data->bytes;
	for (int64_t i = 1; i < n; i++)
		if (!p[i] != !p[0])
			return -1;
	return n ? p[0] != 0 : -1;
}

static bool is_identity_perm(const Op *o)
{
	const Attr *p = attr_find(o, "perm");
	for (int i = 0; p && i < p->n; i++)
		if (p->v.i[i] != i)
			return false;
	return p != 0;
}

/* What the op's one result always equals, or 0. */
static Val *equal_to(const Op *o)
{
	const Type *t = o->nout == 1 ? o->out[0]->type : 0;
	Val *a = o->nin ? o->in[0] : 0;
	if (!t || !a)
		return 0;
	switch (o->kind) {
	case O_where: {
		int truth = constant_truth(a);
		Val *pick = truth < 0 ? 0 : o->in[truth ? 1 : 2];
		return pick && pick->type == t ? pick : 0;
	}
	case O_reshape: case O_expand: case O_cast:
		return a->type == t ? a : 0;
	case O_transpose:
		return a->type == t && is_identity_perm(o) ? a : 0;
	case O_slice:
		return a->type == t && attr_int(o, "at", 0) == 0 && attr_int(o, "step", 1) == 1 ? a : 0;
	case O_concat:
		return o->nin == 1 ? a : 0;
	default:
		return 0;
	}
}

/* ---- a sequence taken apart and put together again ------------------------------------------------------------- */

static bool nothing_before(const Type *t, int axis)
{
	for (int d = 0; d < axis; d++)
		if (t->dim[d] != 1)
			return false;
	return true;
}

/* The single slice that part i of a concat is, reshapes aside. */
static const Op *part_of(const Val *v)
{
	const Op *o = v->def;
	while (o && o->kind == O_reshape)
		o = o->in[0]->def;
	if (!o || o->kind != O_slice)
		return 0;
	int axis = (int)attr_int(o, "axis", 0);
	return o->out[0]->type->dim[axis] == 1 && o->in[0]->type->dim[axis] != DIM_T ? o : 0;
}

/* concat of the elements of src along one axis, in order or backward: src itself (backward: src walked backward), with the
 * result's shape.  Only where both axes are outermost, so that order in memory is order along the axis. */
static Val *joined_again(Module *m, Func *f, Op *o)
{
	const Op *first = o->nin > 1 ? part_of(o->in[0]) : 0, *last = first ? part_of(o->in[o->nin - 1]) : 0;
	if (!first || !last)
		return 0;
	Val *src = first->in[0];
	int axis = (int)attr_int(first, "axis", 0), n = o->nin;
	int64_t at = attr_int(first, "at", 0), step = at == 0 ? 1 : -1;
	if (src->type->dim[axis] != n || at != (step > 0 ? 0 : n - 1) || !nothing_before(src->type, axis)
	    || !nothing_before(o->out[0]->type, (int)attr_int(o, "axis", 0)))
		return 0;
	for (int i = 0; i < n; i++) {
		const Op *p = part_of(o->in[i]);
		if (!p || p->in[0] != src || attr_int(p, "axis", 0) != axis || attr_int(p, "at", 0) != at + i * step
		    || attr_int(p, "step", 1) != 1)
			return 0;
	}
	if (step < 0) {
		Op *s = op_before(m, &f->body, o, O_slice, 1, &src);
		attr_set_int(m, s, "axis", axis);
		attr_set_int(m, s, "at", n - 1);
		attr_set_int(m, s, "step", -1);
		src = op_out(m, f, s, 0, src->type);
	}
	if (src->type == o->out[0]->type)
		return src;
	return op_out(m, f, op_before(m, &f->body, o, O_reshape, 1, &src), 0, o->out[0]->type);
}

static bool is_pure(const Op *o)
{
	return o->nout && !has_effect(o) && o->kind != O_scan && o->kind != O_call;
}

/* reshape of a reshape looks through it */
static void skip_reshape(Op *o)
{
	if (o->kind == O_reshape && o->in[0]->def && o->in[0]->def->kind == O_reshape)
		o->in[0] = o->in[0]->def->in[0];
}

static void simplify_func(Module *m, Func *f)
{
	OpTable *seen = optable_new(m);
	each_op(o, &f->body) {
		skip_reshape(o);
		Val *v = o->kind == O_concat ? joined_again(m, f, o) : 0;
		v = v ? v : equal_to(o);
		Op *twin = v || !is_pure(o) ? 0 : optable_find(seen, o->kind, o->attr, o->nin, o->in, o->out[0]->type);
		if (v) {
			val_replace(f, o->out[0], v);
			op_remove(&f->body, o);
		} else if (twin && twin->nout == o->nout) {
			for (int i = 0; i < o->nout; i++)
				val_replace(f, o->out[i], twin->out[i]);
			op_remove(&f->body, o);
		} else if (is_pure(o)) {
			optable_add(seen, o);
		}
	}
	func_renumber(f);
}

bool pass_simplify(Module *m, const Options *opt, Diag *d)
{
	(void)opt, (void)d;
	if (m->level != L_TENSOR)
		return true;
	merge_data(m);
	each_func(f, m)
		simplify_func(m, f);
	return true;
}

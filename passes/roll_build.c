/* roll_build.c: write a found recurrence as `scan` over a step function, in place of its steps. */
#include "passes/match.h"
#include "passes/roll.h"

#include <stdlib.h>
#include <string.h>

enum { MAX_OPERANDS = 64 };

typedef struct {
	Roll *r;
	Func *step;
	Op *at;                 /* new ops of @main go in front of it */
	bool reverse;
	Val *operand[MAX_OPERANDS];
	int nseq, ninit, ninv;
	int64_t axis[MAX_OPERANDS];
	Tuple *state[MAX_OPERANDS], *inv[MAX_OPERANDS], *result[MAX_OPERANDS];
	bool last_only[MAX_OPERANDS];
	int nresult;
	uint8_t *body;          /* by value id of @main: result of a step's op */
} Build;

static bool in_body(const Build *b, const Val *v) { return v && v->def && b->body[v->id]; }

static void mark_body(Build *b)
{
	for (const Tuple *t = b->r->tuples; t; t = t->next)
		for (int i = 0; t->what == TUPLE_OP && i < b->r->steps; i++)
			b->body[t->v[i]->id] = 1;
}

/* No operand of the scan may depend on what the scan computes. */
static bool independent(const Build *b)
{
	uint8_t *tainted = calloc(b->r->f->nval + 1, 1);
	bool ok = true;
	for (const Op *o = b->r->f->body.first; o; o = o->next)
		for (int i = 0; i < o->nin; i++)
			if (o->in[i] && o->in[i]->def && (b->body[o->in[i]->id] || tainted[o->in[i]->id]))
				for (int k = 0; k < o->nout; k++)
					tainted[o->out[k]->id] = 1;
	for (const Tuple *t = b->r->tuples; t && ok; t = t->next) {
		int n = t->what == TUPLE_STATE || t->leaf == LEAF_SAME ? 1 : b->r->steps;
		for (int i = 0; t->what != TUPLE_OP && i < n && ok; i++)
			ok = !t->v[i]->def || !(b->body[t->v[i]->id] || tainted[t->v[i]->id]);
	}
	free(tainted);
	return ok;
}

static bool used_outside(const Build *b, const Val *v)
{
	for (const Op *o = b->r->f->body.first; o; o = o->next) {
		bool inside = o->nout && in_body(b, o->out[0]);
		for (int i = 0; !inside && i < o->nin; i++)
			if (o->in[i] == v)
				return true;
	}
	return false;
}

/* ---- operands ------------------------------------------------------------------------------------------------ */

static Val *new_op(Build *b, OpKind k, const Type *t, int nin, Val *const *in, Op **made)
{
	Op *o = op_before(b->r->m, &b->r->f->body, b->at, k, nin, in);
	*made = o;
	return op_out(b->r->m, b->r->f, o, 0, t);
}

/* The values of all steps along a new first axis. */
static Val *stack(Build *b, const Tuple *t)
{
	Roll *r = b->r;
	const Type *one = t->v[0]->type;
	int32_t dim[MAX_RANK];
	dim[0] = 1;
	memcpy(dim + 1, one->dim, sizeof *dim * one->rank);
	const Type *part = type_like(r->m, one, one->rank + 1, dim);
	dim[0] = r->steps;
	const Type *whole = type_like(r->m, one, one->rank + 1, dim);
	bool constant = true;
	for (int i = 0; i < r->steps; i++)
		constant &= t->v[i]->data != 0;
	if (constant) {
		Data *d = data_new(r->m, "steps", whole);
		size_t n = d->size / (size_t)r->steps;
		for (int i = 0; i < r->steps; i++)
			memcpy((char *)d->bytes + n * (size_t)(b->reverse ? r->steps - 1 - i : i), t->v[i]->data->bytes, n);
		return val_data(r->m, d);
	}
	Val **in = NEWN(r->m->arena, Val *, r->steps);
	Op *o;
	for (int i = 0; i < r->steps; i++) {
		Val *v = t->v[i];
		in[b->reverse ? r->steps - 1 - i : i] = new_op(b, O_reshape, part, 1, &v, &o);
	}
	Val *all = new_op(b, O_concat, whole, r->steps, in, &o);
	attr_set_int(r->m, o, "axis", 0);
	return all;
}

/* The slices of all steps as one value, in the order that the scan walks. */
static Val *sequence(Build *b, const Tuple *t)
{
	Roll *r = b->r;
	int64_t at = t->first, step = t->stride;
	if (b->reverse) {
		at += (r->steps - 1) * step;
		step = -step;
	}
	const Type *src = t->source->type;
	if (at == 0 && step == 1 && src->dim[t->axis] == r->steps)
		return t->source;
	int32_t dim[MAX_RANK];
	memcpy(dim, src->dim, sizeof *dim * src->rank);
	dim[t->axis] = r->steps;
	Val *in = t->source;
	Op *o;
	Val *v = new_op(b, O_slice, type_like(r->m, src, src->rank, dim), 1, &in, &o);
	attr_set_int(r->m, o, "axis", t->axis);
	attr_set_int(r->m, o, "at", at);
	if (step != 1)
		attr_set_int(r->m, o, "step", step);
	return v;
}

static bool walks_backward(const Roll *r)
{
	int down = 0, up = 0;
	for (const Tuple *t = r->tuples; t; t = t->next)
		if (t->what == TUPLE_LEAF && t->leaf == LEAF_SLICE) {
			down += t->stride < 0;
			up += t->stride > 0;
		}
	return down && !up;
}

static bool collect_operands(Build *b)
{
	Module *m = b->r->m;
	for (Tuple *t = b->r->tuples; t; t = t->next) {
		if (t->what != TUPLE_LEAF || t->leaf == LEAF_SAME)
			continue;
		bool slices = t->leaf == LEAF_SLICE;
		if (b->nseq == MAX_OPERANDS / 4 || (!slices && t->v[0]->type->rank == MAX_RANK))
			return false;
		b->axis[b->nseq] = slices ? t->axis : 0;
		b->operand[b->nseq++] = slices ? sequence(b, t) : stack(b, t);
		t->made = func_param(m, b->step, slices ? "x" : "s", t->v[0]->type);
	}
	if (!b->nseq) {         /* fed by its own results only: something must still say how many steps */
		int32_t one = 1, steps = b->r->steps;
		b->operand[b->nseq++] = val_data(m, data_new(m, "steps", type_tensor(m, E_i32, 1, &steps)));
		func_param(m, b->step, "t", type_tensor(m, E_i32, 1, &one));
	}
	for (Tuple *t = b->r->tuples; t; t = t->next)
		if (t->what == TUPLE_STATE) {
			if (b->ninit == MAX_OPERANDS / 4)
				return false;
			b->state[b->ninit] = t;
			b->operand[b->nseq + b->ninit++] = t->v[0];
			t->made = func_state(m, b->step, "h", t->v[0]->type, 0);
		}
	for (Tuple *t = b->r->tuples; t; t = t->next) {
		if (t->what != TUPLE_LEAF || t->leaf != LEAF_SAME)
			continue;
		if (t->v[0]->data || is_literal(t->v[0])) {
			t->made = t->v[0];
			continue;
		}
		if (b->ninv == MAX_OPERANDS / 4)
			return false;
		b->operand[b->nseq + b->ninit + b->ninv++] = t->v[0];
		t->made = func_param(m, b->step, "w", t->v[0]->type);
	}
	return true;
}

/* ---- the step function --------------------------------------------------------------------------------------- */

static Val *make(Build *b, Tuple *t)
{
	if (t->made)
		return t->made;
	Module *m = b->r->m;
	const Op *o = t->v[0]->def;
	Val **in = NEWN(m->arena, Val *, o->nin + 1);
	for (int k = 0; k < o->nin; k++)
		in[k] = t->in[k] ? make(b, t->in[k]) : 0;
	Op *c = op_new(m, &b->step->body, o->kind, o->nin, in);
	c->loc = o->loc;
	for (const Attr *a = o->attr, **to = (const Attr **)&c->attr; a; a = a->next) {
		Attr *copy = NEW(m->arena, Attr);
		*copy = *a;
		copy->next = 0;
		*to = copy;
		to = (const Attr **)&copy->next;
	}
	return t->made = op_out(m, b->step, c, o->out[0]->name, o->out[0]->type);
}

static bool choose_results(Build *b)
{
	Roll *r = b->r;
	for (Tuple *t = r->tuples; t; t = t->next) {
		bool any = false, early = false;
		for (int i = 0; t->what == TUPLE_OP && i < r->steps; i++)
			if (used_outside(b, t->v[i])) {
				any = true;
				early |= i + 1 < r->steps;
			}
		if (!any)
			continue;
		if (b->nresult == MAX_OPERANDS || t->v[0]->type->rank == MAX_RANK)
			return false;
		b->last_only[b->nresult] = !early;
		b->result[b->nresult++] = t;
	}
	return b->nresult > 0;
}

static void make_step(Build *b)
{
	Module *m = b->r->m;
	Val **ret = NEWN(m->arena, Val *, b->nresult + 1), **next = NEWN(m->arena, Val *, 2 * b->ninit + 1);
	for (int i = 0; i < b->nresult; i++) {
		ret[i] = make(b, b->result[i]);
		func_ret(m, b->step, ret[i]->type);
	}
	for (int i = 0; i < b->ninit; i++) {
		next[2 * i] = b->state[i]->made;
		next[2 * i + 1] = make(b, b->state[i]->next_state);
	}
	op_new(m, &b->step->body, O_next, 2 * b->ninit, next);
	op_new(m, &b->step->body, O_ret, b->nresult, ret);
}

/* ---- the scan ------------------------------------------------------------------------------------------------ */

static void use_result(Build *b, Val *y, const Tuple *t)
{
	Roll *r = b->r;
	for (int i = 0; i < r->steps; i++) {
		if (!used_outside(b, t->v[i]))
			continue;
		int32_t dim[MAX_RANK];
		memcpy(dim, y->type->dim, sizeof dim);
		dim[0] = 1;
		Op *o;
		Val *one = new_op(b, O_slice, type_like(r->m, y->type, y->type->rank, dim), 1, &y, &o);
		attr_set_int(r->m, o, "axis", 0);
		attr_set_int(r->m, o, "at", b->reverse ? r->steps - 1 - i : i);
		val_replace(r->f, t->v[i], new_op(b, O_reshape, t->v[i]->type, 1, &one, &o));
	}
}

static void make_scan(Build *b)
{
	Roll *r = b->r;
	Module *m = r->m;
	Op *o = op_before(m, &r->f->body, b->at, O_scan, b->nseq + b->ninit + b->ninv, b->operand);
	o->callee = b->step;
	o->loc = r->tuples->v[0]->def->loc;
	attr_set_int(m, o, "seq", b->nseq);
	attr_set_int(m, o, "init", b->ninit);
	attr_set_ints(m, o, "axis", b->nseq, b->axis);
	int64_t zero[MAX_OPERANDS] = {0};
	const char *keep[MAX_OPERANDS];
	for (int i = 0; i < b->nresult; i++)
		keep[i] = b->last_only[i] ? "last" : "all";
	attr_set_ints(m, o, "out_axis", b->nresult, zero);
	attr_set_strings(m, o, "keep", b->nresult, keep);
	if (b->reverse)
		attr_set_int(m, o, "reverse", 1);
	for (int i = 0; i < b->nresult; i++) {
		const Type *t = b->result[i]->v[0]->type;
		int32_t dim[MAX_RANK];
		dim[0] = r->steps;
		memcpy(dim + 1, t->dim, sizeof *dim * t->rank);
		op_out(m, r->f, o, 0, b->last_only[i] ? t : type_like(m, t, t->rank + 1, dim));
	}
	for (int i = 0; i < b->ninit; i++)
		op_out(m, r->f, o, 0, b->state[i]->v[0]->type);
	for (int i = 0; i < b->nresult; i++)
		if (b->last_only[i])
			val_replace(r->f, b->result[i]->v[r->steps - 1], o->out[i]);
		else
			use_result(b, o->out[i], b->result[i]);
}

static void drop_steps(Build *b)
{
	each_op(o, &b->r->f->body)
		if (o->nout == 1 && o->out[0]->id < b->r->f->nval && b->body[o->out[0]->id])
			op_remove(&b->r->f->body, o);
}

bool roll_build(Roll *r, int number)
{
	uint32_t nval = r->f->nval;
	Build b = {.r = r, .reverse = walks_backward(r), .body = calloc(nval + 100000, 1)};
	mark_body(&b);
	for (Op *o = r->f->body.first; o && !b.at; o = o->next)
		if (o->nout && in_body(&b, o->out[0]))
			b.at = o;
	bool ok = b.at && independent(&b) && choose_results(&b);
	if (ok) {
		b.step = func_new(r->m, arena_printf(r->m->arena, "roll_%d", number));
		ok = collect_operands(&b);
	}
	if (ok) {
		make_step(&b);
		make_scan(&b);
		drop_steps(&b);
		ok = func_sort(r->m, r->f);     /* cannot fail: independent() saw to it */
		func_renumber(r->f);
	}
	free(b.body);
	return ok;
}

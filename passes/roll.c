/* roll.c: recurrences that an exporter wrote out step by step become scans again.  Changes ops.
 *
 * Keras 3 and PyTorch's exporter unroll recurrent layers: the same ops again for each step, linked by the state.  The mark
 * of such a chain is a weight matrix that is used n times, each use depending on the one before.  From the operands of
 * these uses (the state before each step) we walk backward through all steps at once, in tuples of one value a step:
 *	ops of one kind with equal attributes		an op of the step; go on with the tuples of its operands
 *	each value is a known op's value one step earlier	a state
 *	the same value in each step			constant, or an operand of the scan
 *	slices at regular distances of one value	a sequence
 *	anything else				a sequence, stacked from the values
 * The last step has no next use of the weights; it is found by looking its ops up. */
#include "passes/roll.h"
#include "passes/match.h"

#include <stdlib.h>
#include <string.h>

enum { MIN_STEPS = 3, MAX_STEPS = 100000 };

/* ---- chains -------------------------------------------------------------------------------------------------- */

typedef struct { Op **op; int n; } Chain;

static bool is_weighted(const Op *o)
{
	return (o->kind == O_linear || o->kind == O_matmul) && o->nin >= 2 && o->in[1] && o->in[1]->data && !o->in[0]->data;
}

static bool is_use(const Op *o, const Data *W)
{
	return (o->kind == O_linear || o->kind == O_matmul) && o->nin >= 2 && o->in[1] && o->in[1]->data == W;
}

/* Does v depend on op `on`?  Ops before `on` cannot; mark holds what is known not to. */
static bool depends(const Val *v, const Op *on, const int *index, uint8_t *no)
{
	const Op **stack = 0;
	int top = 0, cap = 0;
	bool found = false;
	if (v && v->def) {
		stack = malloc(sizeof *stack * (size_t)(cap = 64));
		stack[top++] = v->def;
	}
	while (top && !found) {
		const Op *o = stack[--top];
		int i = index[o->out[0]->id];
		if (o == on) {
			found = true;
			break;
		}
		if (i < index[on->out[0]->id] || no[i])
			continue;
		no[i] = 1;
		for (int k = 0; k < o->nin; k++)
			if (o->in[k] && o->in[k]->def) {
				if (top == cap)
					stack = realloc(stack, sizeof *stack * (size_t)(cap *= 2));
				stack[top++] = o->in[k]->def;
			}
	}
	free(stack);
	return found;
}

/* All uses of W in order, if each depends on the one before. */
static Chain find_chain(Func *f, const Data *W, const int *index, int nops)
{
	Chain c = {0};
	each_op(o, &f->body)
		c.n += is_use(o, W);
	if (c.n < MIN_STEPS || c.n > MAX_STEPS)
		return (Chain){0};
	c.op = malloc(sizeof *c.op * (size_t)c.n);
	c.n = 0;
	each_op(o, &f->body)
		if (is_use(o, W))
			c.op[c.n++] = o;
	uint8_t *no = malloc((size_t)nops + 1);
	for (int i = 1; i < c.n; i++) {
		memset(no, 0, (size_t)nops + 1);
		if (depends(c.op[i]->in[0], c.op[i - 1], index, no))
			continue;
		free(c.op);
		c = (Chain){0};
		break;
	}
	free(no);
	return c;
}

/* ---- tuples -------------------------------------------------------------------------------------------------- */

static Tuple *find_tuple(const Roll *r, Val *const *v)
{
	for (Tuple *t = r->tuples; t; t = t->next)
		if (!memcmp(t->v, v, sizeof *v * (size_t)r->steps))
			return t;
	return 0;
}

static Tuple *add_tuple(Roll *r, Val *const *v)
{
	Tuple *t = NEW(r->m->arena, Tuple);
	t->v = arena_copy(r->m->arena, v, sizeof *v * (size_t)r->steps);
	if (r->last)
		r->last->next = t;
	else
		r->tuples = t;
	return r->last = t;
}

static bool all_same(const Roll *r, Val *const *v)
{
	for (int i = 1; i < r->steps; i++)
		if (v[i] != v[0])
			return false;
	return true;
}

/* An op tuple whose value at step i is v[i + 1]. */
static Tuple *shifted(const Roll *r, Val *const *v)
{
	for (Tuple *t = r->tuples; t; t = t->next)
		if (t->what == TUPLE_OP && !memcmp(t->v, v + 1, sizeof *v * (size_t)(r->steps - 1)))
			return t;
	return 0;
}

/* v[i] = slice of one source at first + i * stride, one element along the axis. */
static bool regular_slices(const Roll *r, Tuple *t)
{
	const Op *a = t->v[0]->def, *b = r->steps > 1 ? t->v[1]->def : 0;
	if (!a || a->kind != O_slice || !b || b->kind != O_slice)
		return false;
	t->source = a->in[0];
	t->axis = (int)attr_int(a, "axis", 0);
	t->first = attr_int(a, "at", 0);
	t->stride = attr_int(b, "at", 0) - t->first;
	if (!t->stride || a->out[0]->type->dim[t->axis] != 1 || t->source->type->dim[t->axis] == DIM_T)
		return false;
	for (int i = 0; i < r->steps; i++) {
		const Op *o = t->v[i]->def;
		if (!o || o->kind != O_slice || o->in[0] != t->source || attr_int(o, "at", 0) != t->first + i * t->stride
		    || !attrs_equal_but(o->attr, a->attr, "at"))
			return false;
	}
	return true;
}

static bool same_ops(const Roll *r, Val *const *v)
{
	const Op *a = v[0]->def;
	if (!a || a->nout != 1 || has_effect(a) || a->kind == O_scan || a->kind == O_call)
		return false;
	for (int i = 1; i < r->steps; i++) {
		const Op *o = v[i]->def;
		if (!o || o->kind != a->kind || o->nin != a->nin || o->nout != 1 || o->out[0]->type != a->out[0]->type
		    || !attrs_equal(o->attr, a->attr))
			return false;
	}
	return true;
}

static Tuple *classify(Roll *r, Val *const *v)
{
	for (int i = 0; i < r->steps; i++)
		if (!v[i])
			return 0;
	Tuple *t = find_tuple(r, v), *u;
	if (t)
		return t;
	t = add_tuple(r, v);
	if (all_same(r, v)) {
		t->what = TUPLE_LEAF;
		t->leaf = LEAF_SAME;
	} else if ((u = shifted(r, v))) {
		t->what = TUPLE_STATE;
		t->next_state = u;
	} else if (regular_slices(r, t)) {
		t->what = TUPLE_LEAF;
		t->leaf = LEAF_SLICE;
	} else if (same_ops(r, v)) {
		t->what = TUPLE_OP;
	} else {
		t->what = TUPLE_LEAF;
		t->leaf = LEAF_STACK;
	}
	return t;
}

/* The operands of every op tuple, in order of discovery. */
static bool walk(Roll *r)
{
	Val **v = malloc(sizeof *v * (size_t)r->steps);
	int ops = 0;
	for (Tuple *t = r->tuples; t; t = t->next) {
		if (t->what != TUPLE_OP)
			continue;
		ops++;
		int nin = t->v[0]->def->nin;
		t->in = NEWN(r->m->arena, Tuple *, nin + 1);
		for (int k = 0; k < nin; k++) {
			bool none = true, some = false;
			for (int i = 0; i < r->steps; i++) {
				v[i] = t->v[i]->def->in[k];
				none &= !v[i];
				some |= !v[i];
			}
			if (none)
				continue;
			t->in[k] = some ? 0 : classify(r, v);
			if (!t->in[k] || ops > 500) {
				free(v);
				return false;
			}
		}
	}
	free(v);
	return true;
}

static const Type *tuple_type(const Tuple *t) { return t->v[0]->type; }

static bool types_agree(const Roll *r)
{
	for (const Tuple *t = r->tuples; t; t = t->next)
		for (int i = 1; i < r->steps; i++)
			if (t->v[i]->type != tuple_type(t))
				return false;
	return true;
}

/* ---- the last step ------------------------------------------------------------------------------------------- */

typedef struct { Roll *r; OpTable *all; Val **found; const Tuple **of; int n; } Last;

static Val *found_value(Last *l, const Tuple *t)
{
	for (int i = 0; i < l->n; i++)
		if (l->of[i] == t)
			return l->found[i];
	return 0;
}

/* The value of tuple t in the step behind the known ones, or 0. */
static Val *extend(Last *l, Tuple *t, int depth)
{
	Roll *r = l->r;
	Val *v = found_value(l, t);
	if (v || depth > 400)
		return v;
	const Op *o = t->v[r->steps - 1]->def;
	if (t->what == TUPLE_STATE) {
		v = t->next_state->v[r->steps - 1];
	} else if (t->what == TUPLE_LEAF && t->leaf == LEAF_SAME) {
		v = t->v[0];
	} else if (t->what == TUPLE_LEAF && t->leaf == LEAF_SLICE) {
		Attr *at = NEW(r->m->arena, Attr), *all = 0;
		for (const Attr *a = o->attr; a; a = a->next) {
			Attr *c = NEW(r->m->arena, Attr);
			*c = *a;
			if (!strcmp(a->name, "at")) {
				at = c;
				c->v.i = NEW(r->m->arena, int64_t);
				*c->v.i = t->first + r->steps * t->stride;
			}
			c->next = all;
			all = c;
		}
		(void)at;
		Op *s = optable_find(l->all, O_slice, all, 1, &t->source, o->out[0]->type);
		v = s ? s->out[0] : 0;
	} else if (t->what == TUPLE_OP) {
		Val *in[16];
		if (o->nin > 16)
			return 0;
		for (int k = 0; k < o->nin; k++) {
			in[k] = t->in[k] ? extend(l, t->in[k], depth + 1) : 0;
			if (t->in[k] && !in[k])
				return 0;
		}
		Op *s = optable_find(l->all, o->kind, o->attr, o->nin, in, o->out[0]->type);
		v = s ? s->out[0] : 0;
	}
	if (v && l->n < 2000) {
		l->of[l->n] = t;
		l->found[l->n++] = v;
	}
	return v;
}

/* One step more, if every op tuple that the states need has a value there. */
static void add_last_step(Roll *r, OpTable *all)
{
	Last l = {r, all, NEWN(r->m->arena, Val *, 2000), NEWN(r->m->arena, const Tuple *, 2000), 0};
	for (Tuple *t = r->tuples; t; t = t->next)
		if (!extend(&l, t, 0))
			return;
	for (Tuple *t = r->tuples; t; t = t->next) {
		Val **v = NEWN(r->m->arena, Val *, r->steps + 1);
		memcpy(v, t->v, sizeof *v * (size_t)r->steps);
		v[r->steps] = found_value(&l, t);
		t->v = v;
	}
	r->steps++;
}

/* ---- the pass ------------------------------------------------------------------------------------------------ */

static bool roll_chain(Module *m, Func *f, const Chain *c, OpTable *all, int number)
{
	Roll r = {.m = m, .f = f, .steps = c->n - 1, .name = c->op[0]->in[1]->data->name};
	Val **v = NEWN(m->arena, Val *, c->n);
	for (int i = 0; i + 1 < c->n; i++)
		v[i] = c->op[i + 1]->in[0];
	if (!same_ops(&r, v))
		return false;
	r.seed = classify(&r, v);
	if (r.seed->what != TUPLE_OP || !walk(&r) || !types_agree(&r))
		return false;
	bool state = false;
	for (const Tuple *t = r.tuples; t; t = t->next)
		state |= t->what == TUPLE_STATE;
	if (!state)
		return false;
	add_last_step(&r, all);
	return roll_build(&r, number);
}

/* The first chain that can be rolled. */
static bool roll_one(Module *m, Func *f, int number)
{
	func_renumber(f);
	int nops = 0;
	int *index = malloc(sizeof *index * (f->nval + 1));
	OpTable *all = optable_new(m);
	each_op(o, &f->body) {
		for (int i = 0; i < o->nout; i++)
			index[o->out[i]->id] = nops;
		optable_add(all, o);
		nops++;
	}
	bool done = false;
	const Data **tried = NEWN(m->arena, const Data *, nops + 1);
	int ntried = 0;
	for (Op *o = f->body.first; o && !done; o = o->next) {
		if (!is_weighted(o))
			continue;
		const Data *W = o->in[1]->data;
		bool again = false;
		for (int i = 0; i < ntried; i++)
			again |= tried[i] == W;
		if (again)
			continue;
		tried[ntried++] = W;
		Chain c = find_chain(f, W, index, nops);
		done = c.n && roll_chain(m, f, &c, all, number);
		free(c.op);
	}
	free(index);
	return done;
}

bool pass_roll(Module *m, const Options *opt, Diag *d)
{
	Func *f = m->level == L_TENSOR ? func_find(m, "main") : 0;
	for (int i = 0; f && i < 100 && roll_one(m, f, i); i++)
		if (!pass_simplify(m, opt, d))  /* the next layer sees this one's results as one sequence */
			return false;
	return true;
}

/* count.c: how many operations a function at loop level executes, without executing it.
 *
 * A loop runs a number of times that its text says, or T times: the sum over the text is the number itself.  Only the
 * functions that find a row of stored weights (kernels/stored.ir) have loops whose number of turns depends on data; they
 * are bounded by what their numbers are computed from, and the sum is then the most there can be. */
#include "lower/count.h"
#include "util/mem.h"

#include <stdlib.h>
#include <string.h>

typedef struct { const Func *f; OpCount n; } Known;

typedef struct {
	int32_t steps;
	Known *known;           /* functions are counted once */
	int nknown;
} Counter;

enum { DEEPEST = 8 };           /* of the numbers that a number of turns comes from */

/* ---- sums, which stay at the greatest number -------------------------------------------------------------------- */

static int64_t plus(int64_t a, int64_t b)
{
	int64_t c;
	return __builtin_add_overflow(a, b, &c) ? INT64_MAX : c;
}

static int64_t times(int64_t a, int64_t b)
{
	int64_t c;
	return __builtin_mul_overflow(a, b, &c) ? INT64_MAX : c;
}

static void add(OpCount *to, const OpCount *n, int64_t often)
{
	to->all = plus(to->all, times(n->all, often));
	to->loads = plus(to->loads, times(n->loads, often));
	to->stores = plus(to->stores, times(n->stores, often));
	to->products = plus(to->products, times(n->products, often));
	to->bound |= n->bound;
	to->unknown |= n->unknown;
}

/* ---- one operation ------------------------------------------------------------------------------------------------ */

bool op_is_counted(OpKind k)
{
	return k != O_NONE && k != O_for && k != O_yield && k != O_alloc && k != O_ret;
}

static bool is_product(OpKind k)
{
	switch (k) {
	case O_mulw: case O_mulh: case O_mull: case O_mulwl: case O_muls: case O_mulhrs: case O_dp4: case O_madub: case O_madw:
		return true;
	default:
		return false;
	}
}

void count_op(OpCount *n, OpKind k, int64_t often)
{
	OpCount one = {.all = op_is_counted(k) || k == O_for, .loads = k == O_load, .stores = k == O_store, .products = is_product(k)};
	add(n, &one, often);
}

/* ---- turns of a loop ------------------------------------------------------------------------------------------------ */

static bool is_number(const Val *v, int64_t *n)
{
	*n = v->lit.i;
	return is_literal(v);
}

static bool made_by(const Val *v, OpKind k, int64_t *n)
{
	return v->def && v->def->kind == k && is_number(v->def->in[1], n);
}

/* The greatest number that v may be, which is not negative either; -1: not known.  Remainders are what is left of x without
 * the multiple of n below it. */
static int64_t most_of(const Val *v, int deep)
{
	int64_t n, by, x, y;
	if (is_number(v, &n))
		return n < 0 ? -1 : n;
	const Op *o = v->def;
	if (!o || o->nin < 2 || deep > DEEPEST)
		return -1;
	const Val *a = o->in[0], *b = o->in[1];
	switch (o->kind) {
	case O_andw:
		return is_number(b, &n) && n >= 0 ? n : -1;
	case O_addw:
		x = most_of(a, deep + 1), y = most_of(b, deep + 1);
		return x < 0 || y < 0 || x + y > INT32_MAX ? -1 : x + y;
	case O_selw:
		x = most_of(b, deep + 1), y = most_of(o->in[2], deep + 1);
		return x < 0 || y < 0 ? -1 : x > y ? x : y;
	case O_subw:
		if (made_by(b, O_shlw, &n) && made_by(b->def->in[0], O_sarw, &by) && n == by && b->def->in[0]->def->in[0] == a)
			return (INT64_C(1) << (n & 31)) - 1;
		if (made_by(b, O_mulw, &n) && made_by(b->def->in[0], O_divuw, &by) && n == by && n > 0 &&
		    b->def->in[0]->def->in[0] == a)
			return n - 1;
		y = is_number(a, &n) ? most_of(b, deep + 1) : -1;
		return y < 0 || y > n ? -1 : n;
	default:
		return -1;
	}
}

static bool is_steps(const Func *f, const Val *v)
{
	return f->nparam && v == f->param[f->nparam - 1] && v->type->form == T_REG && v->name && !strcmp(v->name, "T");
}

static int64_t turns_of(const Counter *c, const Func *f, const Val *v, bool *bound)
{
	int64_t n;
	if (is_steps(f, v))
		return c->steps;
	if (is_number(v, &n))
		return n < 0 ? 0 : n;
	*bound = true;
	return most_of(v, 0);
}

/* ---- the sum over the text ------------------------------------------------------------------------------------------ */

static int lanes_of(const Op *o)
{
	const Val *v = o->kind == O_store ? o->in[1] : o->nout ? o->out[0] : 0;
	return v && v->type->form == T_REG && o->kind != O_call ? v->type->lanes : 1;
}

static void count_func(Counter *c, const Func *f, OpCount *n);

static void count_block(Counter *c, const Func *f, const Block *b, OpCount *n)
{
	each_op(o, b) {
		OpCount inner = {0};
		if (o->kind == O_for) {
			int64_t turns = turns_of(c, f, o->in[0], &inner.bound);
			inner.unknown = turns < 0;
			count_block(c, f, o->body, &inner);
			count_op(&inner, O_for, 1);
			add(n, &inner, turns < 0 ? 0 : turns);
			continue;
		}
		if (op_is_counted(o->kind))
			count_op(n, o->kind, lanes_of(o));
		if (o->callee) {
			count_func(c, o->callee, &inner);
			add(n, &inner, 1);
		}
	}
}

static void count_func(Counter *c, const Func *f, OpCount *n)
{
	for (int i = 0; i < c->nknown; i++)
		if (c->known[i].f == f) {
			*n = c->known[i].n;
			return;
		}
	*n = (OpCount){0};
	count_block(c, f, &f->body, n);
	c->known = mem_grow(c->known, sizeof *c->known * (size_t)(c->nknown + 1));
	c->known[c->nknown++] = (Known){f, *n};
}

OpCount count_executed(const Func *f, int32_t steps)
{
	Counter c = {.steps = steps};
	OpCount n = {0};
	count_func(&c, f, &n);
	free(c.known);
	return n;
}

OpCount count_portable(const Module *m, bool *step)
{
	const Func *f = func_find(m, "step_portable");
	*step = f != 0;
	f = f ? f : func_find(m, "run_portable");
	return f ? count_executed(f, 1) : (OpCount){.unknown = true};
}

/* match.c: finding equal ops, and putting ops in order again after rewrites. */
#include "passes/match.h"

#include <stdlib.h>
#include <string.h>

static bool attr_equal(const Attr *a, const Attr *b)
{
	if (a->kind != b->kind || a->n != b->n || a->list != b->list)
		return false;
	for (int i = 0; i < a->n; i++)
		if (a->kind == A_INT ? a->v.i[i] != b->v.i[i]
		    : a->kind == A_FLOAT ? memcmp(&a->v.f[i], &b->v.f[i], sizeof(float)) : strcmp(a->v.s[i], b->v.s[i]))
			return false;
	return true;
}

static bool covers(const Attr *a, const Attr *b, const char *except)
{
	for (; a; a = a->next) {
		if (except && !strcmp(a->name, except))
			continue;
		const Attr *o = b;
		while (o && strcmp(o->name, a->name))
			o = o->next;
		if (!o || !attr_equal(a, o))
			return false;
	}
	return true;
}

bool attrs_equal_but(const Attr *a, const Attr *b, const char *except)
{
	return covers(a, b, except) && covers(b, a, except);
}

bool attrs_equal(const Attr *a, const Attr *b) { return attrs_equal_but(a, b, 0); }

/* ---- the table ----------------------------------------------------------------------------------------------- */

enum { BUCKETS = 4096 };
typedef struct Entry { Op *op; struct Entry *next; } Entry;
struct OpTable { Module *m; Entry *bucket[BUCKETS]; };

static unsigned hash(OpKind k, int nin, Val *const *in)
{
	uint64_t h = (uint64_t)k * 0x9e3779b97f4a7c15u;
	for (int i = 0; i < nin; i++) {
		const Val *v = in[i];
		/* literals are equal by value */
		uint64_t x = !v ? 1 : is_literal(v) ? (uint64_t)v->lit.i : (uint64_t)(uintptr_t)v >> 4;
		h = (h ^ x) * 0xff51afd7ed558ccdu;
	}
	return (unsigned)(h >> 40) % BUCKETS;
}

OpTable *optable_new(Module *m)
{
	OpTable *t = NEW(m->arena, OpTable);
	t->m = m;
	return t;
}

void optable_add(OpTable *t, Op *o)
{
	Entry *e = NEW(t->m->arena, Entry), **at = &t->bucket[hash(o->kind, o->nin, o->in)];
	*e = (Entry){o, *at};
	*at = e;
}

static bool same_val(const Val *a, const Val *b)
{
	if (a == b)
		return true;
	return a && b && is_literal(a) && is_literal(b) && a->type == b->type && a->lit.i == b->lit.i;
}

Op *optable_find(const OpTable *t, OpKind k, const Attr *attr, int nin, Val *const *in, const Type *type)
{
	for (const Entry *e = t->bucket[hash(k, nin, in)]; e; e = e->next) {
		Op *o = e->op;
		bool same = o->kind == k && o->nin == nin && o->nout && o->out[0]->type == type;
		for (int i = 0; same && i < nin; i++)
			same = same_val(o->in[i], in[i]);
		if (same && attrs_equal(o->attr, attr))
			return o;
	}
	return 0;
}

/* ---- order --------------------------------------------------------------------------------------------------- */

typedef struct { Op **out; int n; uint8_t *mark; } Sort;       /* mark: 1 on the stack, 2 placed */

/* Depth first over definitions with a stack of its own: chains are as long as sequences. */
static bool visit(Sort *s, Op *root, Op **stack, int *next)
{
	int top = 0;
	stack[0] = root;
	next[0] = 0;
	while (top >= 0) {
		Op *o = stack[top];
		int id = o->loc.line;
		if (next[top] == 0)
			s->mark[id] = 1;
		if (next[top] < o->nin) {
			const Val *v = o->in[next[top]++];
			Op *d = v ? v->def : 0;
			if (!d || s->mark[d->loc.line] == 2)
				continue;
			if (s->mark[d->loc.line] == 1)
				return false;
			stack[++top] = d;
			next[top] = 0;
			continue;
		}
		s->mark[id] = 2;
		s->out[s->n++] = o;
		top--;
	}
	return true;
}

bool func_sort(Module *m, Func *f)
{
	int n = 0;
	each_op(o, &f->body)
		n++;
	Sort s = {NEWN(m->arena, Op *, n + 1), 0, NEWN(m->arena, uint8_t, n + 1)};
	int *line = NEWN(m->arena, int, n + 1), *next = NEWN(m->arena, int, n + 1), i = 0;
	Op **op = NEWN(m->arena, Op *, n + 1), **stack = NEWN(m->arena, Op *, n + 1);
	each_op(o, &f->body) {          /* loc.line holds the index while we sort */
		line[i] = o->loc.line;
		op[i] = o;
		o->loc.line = i++;
	}
	bool ok = true;
	for (i = 0; i < n && ok; i++)
		if (!s.mark[i])
			ok = visit(&s, op[i], stack, next);
	for (i = 0; i < n; i++)
		op[i]->loc.line = line[i];
	for (i = 0; ok && i < n; i++) {
		s.out[i]->prev = i ? s.out[i - 1] : 0;
		s.out[i]->next = i + 1 < n ? s.out[i + 1] : 0;
	}
	if (ok && n) {
		f->body.first = s.out[0];
		f->body.last = s.out[n - 1];
	}
	return ok;
}

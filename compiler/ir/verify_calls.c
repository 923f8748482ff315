/* verify_calls.c: every function that is called is in the module, and no function reaches itself. */
#include <stdlib.h>

#include "ir/verify.h"

enum { DEEPEST = 200 };

enum { UNSEEN, OPEN, DONE };

typedef struct {
	Verify *v;
	char *mark;             /* by index in v->funcs */
	int depth;
} Walk;

size_t func_index(const Verify *v, const Func *f)
{
	size_t lo = 0, hi = v->nfuncs;
	while (hi - lo > 1) {
		size_t mid = (lo + hi) / 2;
		if ((uintptr_t)v->funcs[mid] <= (uintptr_t)f)
			lo = mid;
		else
			hi = mid;
	}
	return lo;
}

static bool walk_func(Walk *w, const Func *f);

static bool walk_block(Walk *w, const Block *b, const Func *f)
{
	for (const Op *o = b->first; o; o = o->next) {
		if (o->callee) {
			w->v->f = f;
			w->v->o = o;
			if (!is_member(o->callee, (const void *const *)w->v->funcs, w->v->nfuncs))
				return fault(w->v, "@%s is not in the module", o->callee->name);
			if (!walk_func(w, o->callee))
				return false;
		}
		if (o->body && !walk_block(w, o->body, f))
			return false;
	}
	return true;
}

static bool walk_func(Walk *w, const Func *f)
{
	char *mark = &w->mark[func_index(w->v, f)];
	if (*mark == DONE)
		return true;
	if (*mark == OPEN)
		return fault(w->v, "@%s calls itself, directly or through others", f->name);
	if (w->depth == DEEPEST)
		return fault(w->v, "calls are nested deeper than %d", DEEPEST);
	*mark = OPEN;
	w->depth++;
	bool ok = walk_block(w, &f->body, f);
	w->depth--;
	*mark = DONE;
	return ok;
}

bool verify_calls(Verify *v)
{
	Walk w = { .v = v, .mark = NEWN(v->tmp, char, v->nfuncs + 1) };
	each_func(f, v->m)
		if (!walk_func(&w, f))
			return false;
	v->f = 0;
	v->o = 0;
	return true;
}

/* verify_writes.c: data are constant: no function stores to them, nor passes them to one that stores there.
 * Runs when functions, calls and definitions are known to be legal. */
#include "ir/verify.h"

typedef struct {
	Verify *v;
	bool **stores;          /* by index in v->funcs: which parameters are stored to; 0: not seen yet */
} Writes;

static const Val *root(const Val *x)
{
	while (x->def && x->def->kind == O_view)
		x = x->def->in[0];
	return x;
}

/* f stores to x. */
static bool mark(Writes *w, const Func *f, bool *stores, const Op *o, const Val *x)
{
	x = root(x);
	if (x->data) {
		w->v->f = f;
		w->v->o = o;
		return fault(w->v, "$%s is constant, but is stored to", x->data->name);
	}
	for (int i = 0; i < f->nparam; i++)
		if (f->param[i] == x)
			stores[i] = true;
	return true;
}

static const bool *stores_of(Writes *w, const Func *f);

static bool mark_block(Writes *w, const Func *f, bool *stores, const Block *b)
{
	for (const Op *o = b->first; o; o = o->next) {
		if (o->kind == O_store && !mark(w, f, stores, o, o->in[0]))
			return false;
		if (o->body && !mark_block(w, f, stores, o->body))
			return false;
		if (o->kind != O_call)
			continue;
		const bool *theirs = stores_of(w, o->callee);
		for (int i = 0; theirs && i < o->nin; i++)
			if (theirs[i] && !mark(w, f, stores, o, o->in[i]))
				return false;
		if (!theirs)
			return false;
	}
	return true;
}

/* 0 after a fault. */
static const bool *stores_of(Writes *w, const Func *f)
{
	bool **at = &w->stores[func_index(w->v, f)];
	if (!*at) {
		bool *stores = NEWN(w->v->tmp, bool, f->nparam);
		if (!mark_block(w, f, stores, &f->body))
			return 0;
		*at = stores;
	}
	return *at;
}

bool verify_writes(Verify *v)
{
	Writes w = { v, NEWN(v->tmp, bool *, v->nfuncs) };
	if (v->m->level != L_LOOP)
		return true;
	each_func(f, v->m)
		if (!stores_of(&w, f))
			return false;
	v->f = 0;
	v->o = 0;
	return true;
}

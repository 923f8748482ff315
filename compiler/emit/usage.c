/* usage.c: one walk backward over a function sees every use before its definition. */
#include "emit/usage.h"

static bool by_id(const bool *table, const Val *v)
{
	return v->id != ~0u && table[v->id];
}

bool is_live(const Usage *u, const Val *v)
{
	return by_id(u->live, v);
}

bool is_written(const Usage *u, const Val *v)
{
	return by_id(u->written, v);
}

bool op_is_live(const Usage *u, const Op *o)
{
	if (has_effect(o))
		return true;
	for (int i = 0; i < o->nout; i++)
		if (is_live(u, o->out[i]))
			return true;
	return false;
}

static void mark(bool *table, const Val *v)
{
	if (v->id != ~0u)
		table[v->id] = true;
}

static void sweep(Usage *u, const Block *b);

/* A carry is wanted if its result is or the body reads it; marks what the wanted ones need. */
static int mark_carries(Usage *u, const Op *o)
{
	int wanted = 0;
	for (int i = 0; i < o->nout; i++) {
		if (!is_live(u, o->out[i]) && !is_live(u, o->body->arg[i + 1]))
			continue;
		wanted++;
		mark(u->live, o->body->arg[i + 1]);
		mark(u->live, o->body->last->in[i]);
		mark(u->live, o->in[i + 1]);
	}
	return wanted;
}

/* The body may read a carry only for another carry: sweep again until no more become wanted. */
static void sweep_loop(Usage *u, const Op *o)
{
	mark(u->live, o->in[0]);
	for (int before = -1, wanted; (wanted = mark_carries(u, o)) != before; before = wanted)
		sweep(u, o->body);
}

static void sweep(Usage *u, const Block *b)
{
	for (const Op *o = b->last; o; o = o->prev) {
		if (o->kind == O_yield || !op_is_live(u, o))
			continue;
		if (o->kind == O_for) {
			sweep_loop(u, o);
			continue;
		}
		for (int i = 0; i < o->nin; i++)
			mark(u->live, o->in[i]);
	}
}

static void find_written(Usage *u, Usage **list, Arena *a, const Block *b)
{
	for (const Op *o = b->last; o; o = o->prev) {
		if (o->body)
			find_written(u, list, a, o->body);
		if (o->kind == O_store)
			mark(u->written, o->in[0]);
		if (o->kind == O_view && is_written(u, o->out[0]))
			mark(u->written, o->in[0]);
		if (o->kind != O_call)
			continue;
		const Usage *callee = usage_of(list, a, o->callee);
		for (int i = 0; i < o->nin && i < o->callee->nparam; i++)
			if (is_written(callee, o->callee->param[i]))
				mark(u->written, o->in[i]);
	}
}

Usage *usage_of(Usage **list, Arena *a, const Func *f)
{
	for (Usage *u = *list; u; u = u->next)
		if (u->func == f)
			return u;
	Usage *u = NEW(a, Usage);
	u->func = f;
	u->live = NEWN(a, bool, f->nval + 1);
	u->written = NEWN(a, bool, f->nval + 1);
	find_written(u, list, a, &f->body);
	sweep(u, &f->body);
	while (*list)
		list = &(*list)->next;
	return *list = u;
}

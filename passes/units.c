/* units.c: find the weights that are rounded together, in the order of the data flow (units.h). */
#include "passes/units.h"

#include <string.h>

typedef struct {
	Module *m;
	WidthOf width;
	const void *arg;
	Unit *list;
	struct Levels { Func *f; int *of; struct Levels *next; } *levels;
} Finder;

static bool is_f32(const Val *v)
{
	return v && v->type->form == T_TENSOR && v->type->elem == E_f32 && !v->type->quant;
}

static int last_dim(const Type *t)
{
	return t->rank ? t->dim[t->rank - 1] : 1;
}

static int data_uses(const Module *m, const Data *d)
{
	int n = 0;
	each_func(f, m) {
		each_op(o, &f->body)
			for (int i = 0; i < o->nin; i++)
				n += o->in[i] && o->in[i]->data == d;
		for (int i = 0; i < f->nstate; i++)
			n += f->init[i] == d;
	}
	return n;
}

static int val_uses(const Func *f, const Val *v)
{
	int n = 0;
	each_op(o, &f->body)
		for (int i = 0; i < o->nin; i++)
			n += o->in[i] == v;
	return n;
}

static bool is_matrix(const Finder *s, const Val *v)
{
	return v && v->data && is_f32(v) && v->type->rank == 2 && v->type->dim[0] > 0 && v->type->dim[1] > 0 &&
	       v->type->dim[1] <= MAX_COLUMNS && s->width(v->data, s->arg);
}

static bool is_wanted(const Finder *s, const Op *o)
{
	return o->kind == O_linear && is_f32(o->in[0]) && !o->in[0]->data && is_matrix(s, o->in[1]);
}

/* ---- levels ------------------------------------------------------------------------------------------------- */

static int *levels_of(Finder *s, Func *f)
{
	for (struct Levels *l = s->levels; l; l = l->next)
		if (l->f == f)
			return l->of;
	struct Levels *l = NEW(s->m->arena, struct Levels);
	*l = (struct Levels){f, NEWN(s->m->arena, int, f->nval + 1), s->levels};
	s->levels = l;
	return l->of;
}

static int level_of(const int *of, const Val *v)
{
	return v && v->id != ~0u ? of[v->id] : 0;
}

/* ---- what reads a table's rows -------------------------------------------------------------------------------- */

static bool add_reader(Finder *s, Unit *u, Op *o)
{
	for (int i = 0; i < u->nreader; i++)
		if (u->reader[i] == o)
			return true;
	Op **more = NEWN(s->m->arena, Op *, u->nreader + 1);
	if (u->nreader)
		memcpy(more, u->reader, sizeof *more * (size_t)u->nreader);
	u->reader = more;
	u->reader[u->nreader++] = o;
	return true;
}

/* All uses of v, a value whose rows are the table's: false when one is no linear of constants. */
static bool find_readers(Finder *s, Unit *u, Func *f, const Val *v, int deep)
{
	each_op(o, &f->body)
		for (int i = 0; i < o->nin; i++) {
			if (o->in[i] != v)
				continue;
			int seq = (int)attr_int(o, "seq", 0), init = (int)attr_int(o, "init", 0);
			bool good = false;
			if (o->kind == O_linear && i == 0 && o->in[1]->data && is_f32(o->in[1]))
				good = add_reader(s, u, o);
			else if (o->kind == O_reshape && last_dim(o->out[0]->type) == u->K)
				good = find_readers(s, u, f, o->out[0], deep);
			else if (o->kind == O_scan && deep < 8 && (i < seq || i >= seq + init)) {
				const Val *p = o->callee->param[i < seq ? i : i - init];
				good = last_dim(p->type) == u->K && find_readers(s, u, o->callee, p, deep + 1);
			} else if (o->kind == O_call && deep < 8)
				good = find_readers(s, u, o->callee, o->callee->param[i], deep + 1);
			if (!good)
				return false;
		}
	return true;
}

/* ---- units ---------------------------------------------------------------------------------------------------- */

static bool goes_to_classes(const Module *m, const Func *f, const Val *v, int deep)
{
	const Func *main = func_find(m, "main");
	each_op(o, &f->body)
		for (int i = 0; i < o->nin; i++) {
			if (o->in[i] != v)
				continue;
			if (o->kind == O_softmax || o->kind == O_logsoftmax || o->kind == O_argmax || (o->kind == O_ret && f == main))
				return true;
			if ((o->kind == O_reshape || o->kind == O_slice) && goes_to_classes(m, f, o->out[0], deep))
				return true;
			if (o->kind != O_ret || deep > 8)
				continue;
			each_func(g, m)
				each_op(c, &g->body)
					if (c->callee == f && i < c->nout && goes_to_classes(m, g, c->out[i], deep + 1))
						return true;
		}
	return false;
}

static void add_unit(Finder *s, Unit u)
{
	for (Unit *v = s->list; v; v = v->next)
		for (int i = 0; i < v->n; i++)
			for (int k = 0; k < u.n; k++)
				if (v->data[i] == u.data[k])
					return;         /* shared weights are rounded where they come first */
	Unit *new = arena_copy(s->m->arena, &u, sizeof u), **at = &s->list;
	while (*at && (*at)->level <= u.level)
		at = &(*at)->next;
	new->next = *at;
	*at = new;
}

/* o is the last of a chain of sums: its unit, as long a chain as may be rounded as one. */
static void add_sum(Finder *s, Func *f, Op *o, const int *of)
{
	Op *chain[MAX_PARTS] = {o};
	int n = 1, K = o->in[1]->type->dim[1];
	for (; n < MAX_PARTS; n++) {
		Val *a = chain[n - 1]->nin > 2 ? chain[n - 1]->in[2] : 0;
		Op *p = a && !a->data ? a->def : 0;
		if (!p || !is_wanted(s, p) || p->in[1]->type->dim[0] != o->in[1]->type->dim[0] || val_uses(f, a) != 1 ||
		    data_uses(s->m, p->in[1]->data) != 1 || data_uses(s->m, o->in[1]->data) != 1 ||
		    p->out[0]->type->rank != o->out[0]->type->rank || !type_same_shape(p->out[0]->type, o->out[0]->type) ||
		    K + p->in[1]->type->dim[1] > MAX_COLUMNS)
			break;
		chain[n] = p;
		K += p->in[1]->type->dim[1];
	}
	Unit u = {.func = f, .n = n, .M = o->in[1]->type->dim[0], .K = K};
	for (int i = 0, at = 0; i < n; i++) {
		u.op[i] = chain[n - 1 - i];
		u.data[i] = u.op[i]->in[1]->data;
		u.at[i] = at;
		at += u.data[i]->type->dim[1];
		int level = 1 + level_of(of, u.op[i]->in[0]);
		u.level = level > u.level ? level : u.level;
	}
	u.classes = goes_to_classes(s->m, f, o->out[0], 0);
	add_unit(s, u);
}

static bool is_last_of_chain(const Finder *s, Func *f, const Op *o)
{
	each_op(p, &f->body)
		if (is_wanted(s, p) && p->nin > 2 && p->in[2] == o->out[0])
			return val_uses(f, o->out[0]) != 1 || data_uses(s->m, o->in[1]->data) != 1 ||
			       data_uses(s->m, p->in[1]->data) != 1;
	return true;
}

static void add_table(Finder *s, Func *f, Op *o, const int *of)
{
	const Type *t = o->in[0]->type;
	Unit u = {.func = f, .n = 1, .op = {o}, .data = {o->in[0]->data}, .M = t->dim[0], .K = t->dim[1],
	          .level = 1 + level_of(of, o->in[1]), .table = true};
	if (!find_readers(s, &u, f, o->out[0], 0))
		u.nreader = 0, u.reader = 0;
	add_unit(s, u);
}

/* Weights of everything f does, given its parameters' levels; the greatest level in it. */
static int walk(Finder *s, Func *f, int deep)
{
	int *of = levels_of(s, f), most = 0;
	each_op(o, &f->body) {
		int level = 0;
		for (int i = 0; i < o->nin; i++)
			level = level_of(of, o->in[i]) > level ? level_of(of, o->in[i]) : level;
		if (o->callee && deep < 16) {
			int seq = (int)attr_int(o, "seq", 0), init = (int)attr_int(o, "init", 0), *to = levels_of(s, o->callee);
			for (int i = 0; i < o->nin; i++) {
				if (o->kind == O_scan && i >= seq && i < seq + init)
					continue;
				const Val *p = o->callee->param[o->kind == O_scan && i >= seq ? i - init : i];
				int l = level_of(of, o->in[i]);
				to[p->id] = l > to[p->id] ? l : to[p->id];
			}
			level = walk(s, o->callee, deep + 1);
		}
		if (is_wanted(s, o)) {
			level = 1 + level_of(of, o->in[0]);
			int added = o->nin > 2 ? level_of(of, o->in[2]) : 0;
			level = added > level ? added : level;
			if (is_last_of_chain(s, f, o))
				add_sum(s, f, o, of);
		} else if (o->kind == O_gather && attr_int(o, "axis", 0) == 0 && is_matrix(s, o->in[0])) {
			add_table(s, f, o, of);
			level++;
		}
		for (int i = 0; i < o->nout; i++)
			of[o->out[i]->id] = level;
		most = level > most ? level : most;
	}
	return most;
}

Unit *units_find(Module *m, WidthOf width, const void *arg)
{
	Finder s = {.m = m, .width = width, .arg = arg};
	Func *main = func_find(m, "main");
	if (main)
		walk(&s, main, 0);
	return s.list;
}

Unit unit_in(Module *copy, const Unit *u)
{
	Unit v = *u;
	v.func = func_find(copy, u->func->name);
	for (int k = 0; k < u->n; k++) {
		Op *at = v.func->body.first;
		for (const Op *o = u->func->body.first; o != u->op[k]; o = o->next)
			at = at->next;
		v.op[k] = at;
		v.data[k] = data_find(copy, u->data[k]->name);
	}
	v.reader = 0;           /* not carried over */
	v.nreader = 0;
	return v;
}

int units_port(const Module *m, const Func *f, const Val *v)
{
	for (int deep = 0; v && deep < 64; deep++) {
		if (v->def) {
			if (v->def->kind != O_reshape && v->def->kind != O_slice)
				return -1;
			v = v->def->in[0];
			continue;
		}
		int at = -1;
		for (int i = 0; i < f->nparam; i++)
			at = f->param[i] == v ? i : at;
		if (at < 0 || !strcmp(f->name, "main"))
			return at;
		const Val *from = 0;
		const Func *in = 0;
		each_func(g, m)
			each_op(o, &g->body)
				if (o->callee == f && !from) {
					int seq = (int)attr_int(o, "seq", 0), init = (int)attr_int(o, "init", 0);
					from = o->in[o->kind == O_scan && at >= seq ? at + init : at];
					in = g;
				}
		v = from, f = in;
	}
	return -1;
}

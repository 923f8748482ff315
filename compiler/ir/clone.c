/* clone.c: a deep copy of a module, made by mapping each old pointer to its copy. */
#include <stdlib.h>
#include <string.h>

#include "ir/ir.h"

typedef struct {
	Module *m;
	const void **from;
	void **to;
	size_t n, room;         /* room is a power of two, at most half full */
} Map;

static size_t map_at(const Map *p, const void *from)
{
	size_t i = ((uintptr_t)from >> 4) * 0x9e3779b1u & (p->room - 1);
	while (p->from[i] && p->from[i] != from)
		i = (i + 1) & (p->room - 1);
	return i;
}

static void map_grow(Map *p)
{
	Map big = { .m = p->m, .n = p->n, .room = p->room ? p->room * 2 : 256 };
	Arena *a = p->m->arena;
	big.from = NEWN(a, const void *, big.room);
	big.to = NEWN(a, void *, big.room);
	for (size_t i = 0; i < p->room; i++)
		if (p->from[i]) {
			size_t k = map_at(&big, p->from[i]);
			big.from[k] = p->from[i];
			big.to[k] = p->to[i];
		}
	*p = big;
}

static void *map_add(Map *p, const void *from, void *to)
{
	if (p->n * 2 >= p->room)
		map_grow(p);
	size_t i = map_at(p, from);
	if (!p->from[i])
		p->n++;
	p->from[i] = from;
	return p->to[i] = to;
}

static void *map_get(const Map *p, const void *from)
{
	return from ? p->to[map_at(p, from)] : 0;
}

static const char *str(Map *p, const char *s)
{
	return arena_strdup(p->m->arena, s);
}

static const Type *type(Map *p, const Type *t)
{
	if (!t)
		return 0;
	switch (t->form) {
	case T_REG: return type_reg(p->m, t->elem, t->lanes);
	case T_REF: return type_ref(p->m, t->elem, t->rank, t->dim);
	case T_TENSOR: break;
	default: return 0;
	}
	if (t->quant)
		return type_quant(p->m, map_get(p, t->quant), t->rank, t->dim);
	return type_tensor(p->m, t->elem, t->rank, t->dim);
}

static Val *val(Map *p, const Val *v)
{
	Val *have = map_get(p, v);
	if (!v || have)
		return have;
	if (v->data)
		return map_add(p, v, val_data(p->m, map_get(p, v->data)));
	Val *w = arena_copy(p->m->arena, v, sizeof *v);
	w->type = type(p, v->type);
	w->name = str(p, v->name);
	w->steps = map_get(p, v->steps);
	w->levels = map_get(p, v->levels);
	w->def = 0;
	return map_add(p, v, w);
}

static Val **vals(Map *p, Val *const *v, int n)
{
	Val **w = NEWN(p->m->arena, Val *, n);
	for (int i = 0; i < n; i++)
		w[i] = val(p, v[i]);
	return w;
}

static Attr *attrs(Map *p, const Attr *a)
{
	Attr *first = 0, **at = &first;
	for (; a; a = a->next, at = &(*at)->next) {
		Attr *b = *at = arena_copy(p->m->arena, a, sizeof *a);
		b->name = str(p, a->name);
		b->next = 0;
		if (a->kind == A_STRING) {
			b->v.s = NEWN(p->m->arena, const char *, a->n);
			for (int i = 0; i < a->n; i++)
				b->v.s[i] = str(p, a->v.s[i]);
		} else {
			size_t size = a->kind == A_INT ? sizeof *a->v.i : sizeof *a->v.f;
			b->v.i = arena_copy(p->m->arena, a->v.i, size * (size_t)a->n);
		}
	}
	return first;
}

static void block(Map *p, Block *to, const Block *from)
{
	to->arg = vals(p, from->arg, from->narg);
	to->narg = from->narg;
	for (const Op *o = from->first; o; o = o->next) {
		Op *c = op_new(p->m, to, o->kind, o->nin, 0);
		for (int i = 0; i < o->nin; i++)
			c->in[i] = val(p, o->in[i]);
		c->out = vals(p, o->out, o->nout);
		c->nout = o->nout;
		for (int i = 0; i < o->nout; i++)
			c->out[i]->def = c;
		c->attr = attrs(p, o->attr);
		c->callee = map_get(p, o->callee);
		c->loc = (Loc){ str(p, o->loc.file), o->loc.line, str(p, o->loc.node) };
		if (o->body)
			block(p, c->body, o->body);
	}
}

static void func(Map *p, Func *g, const Func *f)
{
	Arena *a = p->m->arena;
	g->param = vals(p, f->param, f->nparam);
	g->nparam = f->nparam;
	g->state = vals(p, f->state, f->nstate);
	g->nstate = f->nstate;
	g->init = NEWN(a, Data *, f->nstate);
	for (int i = 0; i < f->nstate; i++)
		g->init[i] = map_get(p, f->init[i]);
	g->ret = NEWN(a, const Type *, f->nret);
	g->nret = f->nret;
	for (int i = 0; i < f->nret; i++)
		g->ret[i] = type(p, f->ret[i]);
	g->isa = str(p, f->isa);
	block(p, &g->body, &f->body);
	g->nval = f->nval;
}

static Port *ports(Map *p, const Port *from)
{
	Port *first = 0, **at = &first;
	for (; from; from = from->next, at = &(*at)->next) {
		*at = NEW(p->m->arena, Port);
		(*at)->name = str(p, from->name);
		(*at)->type = type(p, from->type);
	}
	return first;
}

static void quants_and_data(Map *p, const Module *m)
{
	Arena *a = p->m->arena;
	Data **at = &p->m->data;
	Quant **qt = &p->m->quants;
	for (const Data *d = m->data; d; d = d->next, at = &(*at)->next)
		*at = map_add(p, d, NEW(a, Data));
	for (const Quant *q = m->quants; q; q = q->next, qt = &(*qt)->next) {
		Quant *r = *qt = map_add(p, q, arena_copy(a, q, sizeof *q));
		r->name = str(p, q->name);
		r->rows = map_get(p, q->rows);
		r->book = map_get(p, q->book);
		r->levels = map_get(p, q->levels);
		r->next = 0;
	}
	for (const Data *d = m->data; d; d = d->next) {
		Data *c = map_get(p, d);
		c->name = str(p, d->name);
		c->type = type(p, d->type);
		c->size = d->size;
		c->bytes = arena_copy(a, d->bytes, d->size);
	}
}

Module *module_clone(const Module *m)
{
	Module *c = module_new(m->name);
	Arena *a = c->arena;
	Map map = { .m = c };
	map_grow(&map);
	c->level = m->level;
	c->planned = m->planned;
	c->state_size = m->state_size;
	c->scratch_size = m->scratch_size;
	c->scratch_step = m->scratch_step;
	c->nbody = m->nbody;
	c->body = NEWN(a, const char *, m->nbody);
	for (int i = 0; i < m->nbody; i++)
		c->body[i] = str(&map, m->body[i]);
	quants_and_data(&map, m);
	c->in = ports(&map, m->in);
	c->out = ports(&map, m->out);
	Slot **at = &c->slots;
	for (const Slot *s = m->slots; s; s = s->next, at = &(*at)->next) {
		*at = NEW(a, Slot);
		**at = (Slot){ str(&map, s->name), type(&map, s->type), s->at, 0 };
	}
	Func **ft = &c->funcs;
	for (const Func *f = m->funcs; f; f = f->next, ft = &(*ft)->next) {
		*ft = map_add(&map, f, NEW(a, Func));
		(*ft)->name = str(&map, f->name);
	}
	each_func(f, m)
		func(&map, map_get(&map, f), f);
	return c;
}

/* attr.c: attributes of ops: read with a default, set or replace. */
#include <string.h>

#include "ir/ir.h"

const Attr *attr_find(const Op *o, const char *name)
{
	for (const Attr *a = o->attr; a; a = a->next)
		if (!strcmp(a->name, name))
			return a;
	return 0;
}

int64_t attr_int(const Op *o, const char *name, int64_t otherwise)
{
	const Attr *a = attr_find(o, name);
	return a && a->kind == A_INT && a->n ? a->v.i[0] : otherwise;
}

float attr_float(const Op *o, const char *name, float otherwise)
{
	const Attr *a = attr_find(o, name);
	if (!a || !a->n || a->kind == A_STRING)
		return otherwise;
	return a->kind == A_INT ? (float)a->v.i[0] : a->v.f[0];
}

const char *attr_string(const Op *o, const char *name, const char *otherwise)
{
	const Attr *a = attr_find(o, name);
	return a && a->kind == A_STRING && a->n ? a->v.s[0] : otherwise;
}

/* The attribute `name` of o, made new at the end when there is none. */
static Attr *attr_at(Module *m, Op *o, const char *name, AttrKind kind, bool list, int n)
{
	Attr **at = &o->attr;
	while (*at && strcmp((*at)->name, name))
		at = &(*at)->next;
	if (!*at) {
		*at = NEW(m->arena, Attr);
		(*at)->name = arena_strdup(m->arena, name);
	}
	Attr *a = *at;
	a->kind = kind;
	a->list = list;
	a->n = n;
	return a;
}

void attr_set_int(Module *m, Op *o, const char *name, int64_t v)
{
	attr_at(m, o, name, A_INT, false, 1)->v.i = arena_copy(m->arena, &v, sizeof v);
}

void attr_set_ints(Module *m, Op *o, const char *name, int n, const int64_t *v)
{
	attr_at(m, o, name, A_INT, true, n)->v.i = arena_copy(m->arena, v, sizeof *v * (size_t)n);
}

void attr_set_float(Module *m, Op *o, const char *name, float v)
{
	attr_at(m, o, name, A_FLOAT, false, 1)->v.f = arena_copy(m->arena, &v, sizeof v);
}

void attr_set_floats(Module *m, Op *o, const char *name, int n, const float *v)
{
	attr_at(m, o, name, A_FLOAT, true, n)->v.f = arena_copy(m->arena, v, sizeof *v * (size_t)n);
}

void attr_set_string(Module *m, Op *o, const char *name, const char *v)
{
	const char *s = arena_strdup(m->arena, v);
	attr_at(m, o, name, A_STRING, false, 1)->v.s = arena_copy(m->arena, &s, sizeof s);
}

void attr_set_strings(Module *m, Op *o, const char *name, int n, const char *const *v)
{
	const char **s = NEWN(m->arena, const char *, n);
	for (int i = 0; i < n; i++)
		s[i] = arena_strdup(m->arena, v[i]);
	attr_at(m, o, name, A_STRING, true, n)->v.s = s;
}

/* build.c: make and change modules: functions, values, ops, data. */
#include <ctype.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "ir/ir.h"

/* ---- names --------------------------------------------------------------------------------- */

static const char *const keywords[] = {
	"auto", "break", "case", "char", "const", "continue", "default", "do", "double", "else", "enum",
	"extern", "float", "for", "goto", "if", "inline", "int", "long", "register", "restrict", "return",
	"short", "signed", "sizeof", "static", "struct", "switch", "typedef", "union", "unsigned", "void",
	"volatile", "while", "asm", "typeof", "bool", "true", "false", "nullptr", "constexpr", "thread_local", "alignas", "alignof",
	"static_assert", "typeof_unqual", "linux", "unix",
};

static bool is_keyword(const char *s)
{
	for (size_t i = 0; i < sizeof keywords / sizeof *keywords; i++)
		if (!strcmp(s, keywords[i]))
			return true;
	return false;
}

static bool is_letter(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

bool is_ident(const char *s)
{
	if (!s || !is_letter(*s) || is_keyword(s))
		return false;
	for (; *s; s++)
		if (!is_letter(*s) && !is_digit(*s))
			return false;
	return true;
}

char *ident(Arena *a, const char *text)
{
	enum { LONGEST = 60 };          /* compilers tell at least 63 characters apart */
	size_t n = text ? strlen(text) : 0;
	if (is_ident(text) && n <= LONGEST)
		return arena_strdup(a, text);
	if (n > LONGEST)                /* the end of an ONNX path says more than its start */
		text += n - LONGEST;
	bool bare = n && is_letter(*text);
	char *s = arena_printf(a, "%s%s", bare ? "" : "v", n ? text : "");
	for (char *p = s; *p; p++)
		if (!is_letter(*p) && !is_digit(*p))
			*p = '_';
	return is_keyword(s) ? arena_printf(a, "%s_", s) : s;
}

/* Names are made unique by a number after the stem.  One walk over the names in use finds both whether the
 * wanted name is free and the greatest number behind its stem. */
typedef struct {
	const char *name;
	size_t stem;            /* length without an earlier "_12" */
	const char *sep;        /* between stem and number: "_", or "" for values that need no name */
	bool taken;
	long most;
} Unique;

static Unique unique_begin(const char *name, const char *sep)
{
	Unique u = { .name = name, .stem = strlen(name), .sep = sep, .most = *sep != 0 };
	size_t i = u.stem;
	while (i > 1 && is_digit(name[i - 1]))
		i--;
	if (*sep && i < u.stem && i > 1 && name[i - 1] == '_')
		u.stem = i - 1;
	return u;
}

/* Called for every name of a function whenever a value is made: no library calls. */
static void unique_see(Unique *u, const char *name)
{
	if (!name || *name != *u->name)
		return;
	size_t i = 0;
	while (i < u->stem && name[i] == u->name[i])
		i++;
	if (i < u->stem)
		return;
	if (*u->sep && !strcmp(name + i, u->name + i))
		u->taken = true;
	if (*u->sep && name[i++] != *u->sep)
		return;
	long n = 0;
	if (name[i] == '0')
		return;
	for (const char *p = name + i; *p; p++) {
		if (!is_digit(*p) || p - name - (ptrdiff_t)i == 9)
			return;
		n = 10 * n + (*p - '0');
	}
	if (n > u->most)
		u->most = n;
}

static const char *unique_end(const Unique *u, Arena *a)
{
	if (!u->taken && *u->sep)
		return arena_strdup(a, u->name);
	return arena_printf(a, "%.*s%s%ld", (int)u->stem, u->name, u->sep, u->most + 1);
}

static void see_block(Unique *u, const Block *b)
{
	for (int i = 0; i < b->narg; i++)
		unique_see(u, b->arg[i]->name);
	for (const Op *o = b->first; o; o = o->next) {
		for (int i = 0; i < o->nout; i++)
			unique_see(u, o->out[i]->name);
		if (o->body)
			see_block(u, o->body);
	}
}

static void see_func(Unique *u, const Func *f)
{
	for (int i = 0; i < f->nparam; i++)
		unique_see(u, f->param[i]->name);
	for (int i = 0; i < f->nstate; i++)
		unique_see(u, f->state[i]->name);
	see_block(u, &f->body);
}

/* Values that ask for no name are many: their numbers go on from the last one, without a walk. */
static const char *number_name(Module *m, Func *f)
{
	if (!f->numbered) {
		Unique u = unique_begin("v", "");
		see_func(&u, f);
		f->numbered = u.most + 1;
	}
	return arena_printf(m->arena, "v%ld", f->numbered++);
}

static const char *val_name(Module *m, Func *f, const char *name)
{
	if (!name)
		return number_name(m, f);
	Unique u = unique_begin(ident(m->arena, name), "_");
	see_func(&u, f);
	name = unique_end(&u, m->arena);
	if (*name == 'v' && is_digit(name[1]))
		f->numbered = 0;
	return name;
}

/* ---- modules, data, functions ----------------------------------------------------------------- */

Module *module_new(const char *name)
{
	Arena *a = arena_new();
	Module *m = NEW(a, Module);
	m->arena = a;
	m->name = ident(a, name);
	return m;
}

void module_free(Module *m)
{
	if (m)
		arena_free(m->arena);
}

Data *data_new(Module *m, const char *name, const Type *t)
{
	Unique u = unique_begin(ident(m->arena, name), "_");
	Data **at = &m->data;
	for (; *at; at = &(*at)->next)
		unique_see(&u, (*at)->name);
	Data *d = NEW(m->arena, Data);
	d->name = unique_end(&u, m->arena);
	d->type = t;
	d->size = (size_t)type_size(t, 1);
	d->bytes = arena_alloc(m->arena, d->size);
	return *at = d;
}

Data *data_find(const Module *m, const char *name)
{
	each_data(d, m)
		if (!strcmp(d->name, name))
			return d;
	return 0;
}

Func *func_new(Module *m, const char *name)
{
	Unique u = unique_begin(ident(m->arena, name), "_");
	Func **at = &m->funcs;
	for (; *at; at = &(*at)->next)
		unique_see(&u, (*at)->name);
	Func *f = NEW(m->arena, Func);
	f->name = unique_end(&u, m->arena);
	return *at = f;
}

Func *func_find(const Module *m, const char *name)
{
	each_func(f, m)
		if (!strcmp(f->name, name))
			return f;
	return 0;
}

/* An array of n pointers with one more; arrays are short. */
static void *grown(Arena *a, const void *old, int n)
{
	void **p = NEWN(a, void *, n + 1);
	if (n)
		memcpy(p, old, sizeof *p * (size_t)n);
	return p;
}

Val *func_param(Module *m, Func *f, const char *name, const Type *t)
{
	Val *v = val_new(m, f, name, t);
	f->param = grown(m->arena, f->param, f->nparam);
	return f->param[f->nparam++] = v;
}

Val *func_state(Module *m, Func *f, const char *name, const Type *t, Data *init)
{
	Val *v = val_new(m, f, name, t);
	f->state = grown(m->arena, f->state, f->nstate);
	f->init = grown(m->arena, f->init, f->nstate);
	f->init[f->nstate] = init;
	return f->state[f->nstate++] = v;
}

void func_ret(Module *m, Func *f, const Type *t)
{
	f->ret = grown(m->arena, f->ret, f->nret);
	f->ret[f->nret++] = t;
}

/* ---- values ----------------------------------------------------------------------------------- */

Val *val_new(Module *m, Func *f, const char *name, const Type *t)
{
	Val *v = NEW(m->arena, Val);
	v->type = t;
	v->name = val_name(m, f, name);
	v->id = f->nval++;
	return v;
}

Val *val_int(Module *m, const Type *t, int64_t i)
{
	Val *v = NEW(m->arena, Val);
	v->type = t;
	v->lit.i = i;
	v->id = ~0u;
	return v;
}

Val *val_float(Module *m, const Type *t, float f)
{
	Val *v = NEW(m->arena, Val);
	v->type = t;
	v->lit.f = f;
	v->id = ~0u;
	return v;
}

Val *val_data(Module *m, Data *d)
{
	if (!d->val) {
		d->val = NEW(m->arena, Val);
		d->val->data = d;
		d->val->id = ~0u;
	}
	d->val->type = d->type;         /* passes change the type of data */
	return d->val;
}

bool is_literal(const Val *v)
{
	return !v->name && !v->data;
}

/* ---- ops -------------------------------------------------------------------------------------- */

static void link_before(Block *b, Op *o, Op *at)
{
	o->next = at;
	o->prev = at ? at->prev : b->last;
	*(o->prev ? &o->prev->next : &b->first) = o;
	*(at ? &at->prev : &b->last) = o;
}

static void unlink_op(Block *b, Op *o)
{
	*(o->prev ? &o->prev->next : &b->first) = o->next;
	*(o->next ? &o->next->prev : &b->last) = o->prev;
	o->prev = o->next = 0;
}

Op *op_before(Module *m, Block *b, Op *at, OpKind k, int nin, Val *const *in)
{
	Op *o = NEW(m->arena, Op);
	o->kind = (uint8_t)k;
	o->nin = (uint16_t)nin;
	o->in = NEWN(m->arena, Val *, nin);
	if (in && nin)
		memcpy(o->in, in, sizeof *in * (size_t)nin);
	if (k == O_for)
		o->body = NEW(m->arena, Block);
	link_before(b, o, at);
	return o;
}

Op *op_new(Module *m, Block *b, OpKind k, int nin, Val *const *in)
{
	return op_before(m, b, 0, k, nin, in);
}

Val *op_out(Module *m, Func *f, Op *o, const char *name, const Type *t)
{
	Val *v = val_new(m, f, name, t);
	v->def = o;
	o->out = grown(m->arena, o->out, o->nout);
	return o->out[o->nout++] = v;
}

Val *op1(Module *m, Func *f, Block *b, OpKind k, const Type *t, const char *name, int nin, ...)
{
	Op *o = op_new(m, b, k, nin, 0);
	va_list ap;
	va_start(ap, nin);
	for (int i = 0; i < nin; i++)
		o->in[i] = va_arg(ap, Val *);
	va_end(ap);
	return op_out(m, f, o, name, t);
}

void op_remove(Block *b, Op *o)
{
	unlink_op(b, o);
}

void op_move_before(Block *b, Op *o, Op *at)
{
	if (o == at)
		return;
	unlink_op(b, o);
	link_before(b, o, at);
}

static void replace_in(Block *b, Val *from, Val *to)
{
	for (Op *o = b->first; o; o = o->next) {
		for (int i = 0; i < o->nin; i++)
			if (o->in[i] == from)
				o->in[i] = to;
		if (o->body)
			replace_in(o->body, from, to);
	}
}

void val_replace(Func *f, Val *from, Val *to)
{
	replace_in(&f->body, from, to);
}

static void renumber(Func *f, Block *b)
{
	for (int i = 0; i < b->narg; i++)
		b->arg[i]->id = f->nval++;
	for (Op *o = b->first; o; o = o->next) {
		for (int i = 0; i < o->nout; i++)
			o->out[i]->id = f->nval++;
		if (o->body)
			renumber(f, o->body);
	}
}

void func_renumber(Func *f)
{
	f->numbered = 0;
	f->nval = 0;
	for (int i = 0; i < f->nparam; i++)
		f->param[i]->id = f->nval++;
	for (int i = 0; i < f->nstate; i++)
		f->state[i]->id = f->nval++;
	renumber(f, &f->body);
}

bool has_effect(const Op *o)
{
	switch (o->kind) {
	case O_store: case O_next: case O_ret: case O_yield: case O_call: case O_observe:
	case O_record:
		return true;
	case O_for:             /* its own yield only feeds its results */
		for (const Op *p = o->body->first; p; p = p->next)
			if (p->kind != O_yield && has_effect(p))
				return true;
		return false;
	default:
		return false;
	}
}

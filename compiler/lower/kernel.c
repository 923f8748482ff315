/* kernel.c: instantiate a function of the kernel texts.
 *
 * The texts in compiler/kernels hold functions in the IR's own loop level with symbols in capitals (K, M, XE, FIN).
 * An instance is the function's text with the symbols replaced, under a name of its own, parsed and moved into the
 * module.  Functions and data the text names must exist in the module or, data, in the texts. */
#include "lower/lower.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

extern const char *const kernel_names[], *const kernel_texts[];

typedef struct { char *s; size_t n, cap; } Text;

static void put(Text *t, const char *s, size_t n)
{
	if (t->n + n + 1 > t->cap) {
		t->cap = 2 * (t->n + n + 1);
		t->s = realloc(t->s, t->cap);
		if (!t->s)
			abort();
	}
	memcpy(t->s + t->n, s, n);
	t->s[t->n += n] = 0;
}
static void puts_(Text *t, const char *s) { put(t, s, strlen(s)); }

const char *sym_int(Lower *l, int64_t v) { return arena_printf(l->m->arena, "%lld", (long long)v); }

/* The lines from `head` to the end of the item: a function's closing brace in column 0, or the line. */
static const char *find_item(const char *head, size_t *n)
{
	size_t len = strlen(head);
	for (int i = 0; kernel_texts[i]; i++)
		for (const char *p = kernel_texts[i]; p; p = strchr(p, '\n'), p = p ? p + 1 : 0)
			if (!strncmp(p, head, len) && !isalnum((unsigned char)p[len]) && p[len] != '_') {
				const char *e = strstr(p, head[0] == 'f' ? "\n}\n" : "\n");
				*n = e ? (size_t)(e - p) + (head[0] == 'f' ? 3 : 1) : strlen(p);
				return p;
			}
	return 0;
}

static bool word(char c) { return isalnum((unsigned char)c) || c == '_'; }

static void substitute(Text *t, const char *p, size_t n, int nsym, const Sym *sym)
{
	for (const char *end = p + n; p < end;) {
		if (!word(*p)) {
			put(t, p++, 1);
			continue;
		}
		const char *w = p;
		while (p < end && word(*p))
			p++;
		bool name = w[-1] == '%';       /* values are no symbols; @FIN and $CORR are */
		int i = 0;
		while (i < nsym && (name || strlen(sym[i].name) != (size_t)(p - w) || strncmp(sym[i].name, w, (size_t)(p - w))))
			i++;
		if (i < nsym)
			puts_(t, sym[i].value);
		else
			put(t, w, (size_t)(p - w));
	}
}

/* A stand-in with the same signature for a function that the text calls. */
static void stand_in(Lower *l, Text *t, const Func *f)
{
	char b[256];
	puts_(t, "func @");
	puts_(t, f->name);
	puts_(t, "(");
	for (int i = 0; i < f->nparam; i++) {
		puts_(t, arena_printf(l->m->arena, "%s%%%s %s", i ? ", " : "", f->param[i]->name,
		                      type_text(f->param[i]->type, b, sizeof b)));
	}
	puts_(t, ")");
	if (f->nret) {
		const Type *r = f->ret[0];
		puts_(t, arena_printf(l->m->arena, " %s {\n\tret %s\n}\n", type_text(r, b, sizeof b),
		                      r->elem == E_f32 ? "0x0p+0" : "0"));
	} else {
		puts_(t, " {\n}\n");
	}
}

/* Data and callees that the text names, in front of it. */
static void preamble(Lower *l, Text *t, const char *kernel, const char *body)
{
	Text seen = {0};
	puts_(&seen, arena_printf(l->m->arena, " @%s ", kernel));
	for (const char *p = body; *p; p++) {
		if ((*p != '@' && *p != '$') || !word(p[1]))
			continue;
		size_t n = 1;
		while (word(p[n]))
			n++;
		char *name = arena_printf(l->m->arena, "%.*s ", (int)n, p);
		if (strstr(seen.s, name))
			continue;
		puts_(&seen, name);
		name[n] = 0;
		if (*p == '@') {
			Func *f = func_find(l->m, name + 1);
			if (f)
				stand_in(l, t, f);
		} else {
			size_t len;
			const Data *d = data_find(l->m, name + 1);
			if (d) {
				char b[256];
				puts_(t, arena_printf(l->m->arena, "data %s %s = 0\n", name, type_text(d->type, b, sizeof b)));
				continue;
			}
			const char *item = find_item(arena_printf(l->m->arena, "data %s", name), &len);
			if (item)
				put(t, item, len);
		}
	}
	free(seen.s);
}

/* ---- moving a parsed function into the module ------------------------------------------------------------- */

typedef struct { Lower *l; Func *to; Val **map; } Move;

static const Type *move_type(Move *mv, const Type *t)
{
	Module *m = mv->l->m;
	return t->form == T_REG ? type_reg(m, t->elem, t->lanes) : type_ref(m, t->elem, t->rank, t->dim);
}

static Val *move_val(Move *mv, Val *v)
{
	Module *m = mv->l->m;
	if (!v)
		return 0;
	if (v->data) {
		Data *d = data_find(m, v->data->name);
		if (!d) {
			d = data_new(m, v->data->name, type_tensor(m, v->data->type->elem, v->data->type->rank, v->data->type->dim));
			memcpy(d->bytes, v->data->bytes, d->size);
		}
		return val_data(m, d);
	}
	if (is_literal(v))
		return v->type->elem == E_f32 ? val_float(m, move_type(mv, v->type), v->lit.f)
		                              : val_int(m, move_type(mv, v->type), v->lit.i);
	if (!mv->map[v->id])
		mv->map[v->id] = val_new(m, mv->to, v->name, move_type(mv, v->type));
	return mv->map[v->id];
}

static void move_block(Move *mv, Block *to, const Block *from)
{
	Module *m = mv->l->m;
	for (Op *o = from->first; o; o = o->next) {
		Op *c = op_new(m, to, o->kind, o->nin, 0);
		for (int i = 0; i < o->nin; i++)
			c->in[i] = move_val(mv, o->in[i]);
		if (o->nout) {
			c->out = NEWN(m->arena, Val *, o->nout);
			for (int i = 0; i < o->nout; i++) {
				c->out[i] = move_val(mv, o->out[i]);
				c->out[c->nout++]->def = c;
			}
		}
		if (o->callee)
			c->callee = func_find(m, o->callee->name);
		if (o->body) {
			c->body = NEW(m->arena, Block);
			c->body->arg = NEWN(m->arena, Val *, o->body->narg);
			for (int i = 0; i < o->body->narg; i++, c->body->narg++)
				c->body->arg[i] = move_val(mv, o->body->arg[i]);
			move_block(mv, c->body, o->body);
		}
	}
}

static Func *move_func(Lower *l, const Func *from, const char *name)
{
	Func *f = func_new(l->m, name);
	Move mv = {l, f, calloc(from->nval ? from->nval : 1, sizeof(Val *))};
	if (!mv.map)
		abort();
	for (int i = 0; i < from->nparam; i++) {
		Val *p = func_param(l->m, f, from->param[i]->name, move_type(&mv, from->param[i]->type));
		mv.map[from->param[i]->id] = p;
	}
	for (int i = 0; i < from->nret; i++)
		func_ret(l->m, f, move_type(&mv, from->ret[i]));
	move_block(&mv, &f->body, &from->body);
	free(mv.map);
	return f;
}

Func *kernel_get(Lower *l, const char *kernel, const char *isa, int nsym, const Sym *sym)
{
	size_t n;
	const char *item = find_item(arena_printf(l->m->arena, "func @%s", kernel), &n);
	if (!item) {
		diag_error(l->d, "internal error: no kernel '%s'", kernel);
		return 0;
	}
	Text body = {0};
	substitute(&body, item, n, nsym, sym);
	char *key = arena_printf(l->m->arena, "%s\n%s", isa ? isa : "", body.s);
	struct Instance *i = l->instances;
	while (i && strcmp(i->key, key))
		i = i->next;
	if (i) {
		free(body.s);
		return i->f;
	}
	Text text = {0};
	puts_(&text, "module \"k\" level=loop\n");
	preamble(l, &text, kernel, body.s);
	puts_(&text, body.s);
	char err[1000];
	Module *k = module_parse(kernel, text.s, text.n, err, sizeof err);
	Func *f = 0;
	if (!k) {
		diag_error(l->d, "internal error in kernel '%s': %s", kernel, err);
	} else {
		f = move_func(l, func_find(k, kernel), kernel);
		f->isa = isa;
		i = NEW(l->m->arena, struct Instance);
		*i = (struct Instance){key, f, l->instances};
		l->instances = i;
		module_free(k);
	}
	free(body.s);
	free(text.s);
	return f;
}

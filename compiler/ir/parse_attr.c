/* parse_attr.c: name=value behind operands.  range= and node= are written like attributes, but belong to the
 * results and to the op. */
#include <string.h>

#include "ir/parse.h"

enum { MAX_LIST = 1 << 16 };

static AttrKind attr_kind(Parser *p, const Token *t)
{
	switch (t->kind) {
	case K_INT: return A_INT;
	case K_FLOAT: return A_FLOAT;
	case K_STRING: return A_STRING;
	default: parse_fail(p, t, "a number or a string is missing here");
	}
}

static void parse_attr_values(Parser *p, Attr *a)
{
	const Token *start = p->t;
	a->kind = is_punct(start, ']') ? A_INT : attr_kind(p, start);
	for (const Token *t = start; a->list && !is_punct(t, ']'); t++) {
		if (t->kind == K_FLOAT && a->kind == A_INT)     /* [1, 0x1p-1] is a list of floats */
			a->kind = A_FLOAT;
		if (t->kind == K_END || t - start > 2 * MAX_LIST)
			parse_fail(p, start, "a list without end, or too long");
	}
	int room = 1;
	for (const Token *t = start; a->list && !is_punct(t, ']'); t++)
		room += is_punct(t, ',');
	a->v.i = NEWN(p->m->arena, int64_t, room);      /* the largest of the three */
	if (a->list && is_punct(p->t, ']'))
		return;
	do {
		const Token *t = p->t++;
		if (attr_kind(p, t) != a->kind && (a->kind != A_FLOAT || t->kind == K_STRING))
			parse_fail(p, t, "a list has values of one kind");
		if (a->kind == A_INT)
			a->v.i[a->n++] = token_int(p, t, INT64_MIN, INT64_MAX);
		else if (a->kind == A_FLOAT)
			a->v.f[a->n++] = token_float(p, t);
		else
			a->v.s[a->n++] = token_string(p, t);
	} while (a->list && accept_punct(p, ','));
}

bool at_attr(const Parser *p)
{
	return p->t->kind == K_WORD && is_punct(p->t + 1, '=');
}

void parse_ranges(Parser *p, Val **v, int n)
{
	expect_punct(p, '[');
	for (int i = 0; i < n; i++) {
		if (i)
			expect_punct(p, ',');
		if (accept_word(p, "none"))
			continue;
		v[i]->ranged = true;
		v[i]->lo = token_float(p, p->t);
		p->t++;
		expect_punct(p, ',');
		v[i]->hi = token_float(p, p->t);
		p->t++;
		if (accept_word(p, "clip"))
			v[i]->clip = token_float(p, p->t++);
		if (accept_word(p, "steps"))
			v[i]->steps = parse_data_name(p);
		if (accept_word(p, "levels"))
			v[i]->levels = parse_data_name(p);
	}
	expect_punct(p, ']');
}

void parse_attr(Parser *p, Op *o)
{
	const Token *name = p->t;
	p->t += 2;
	if (is_word(name, "range")) {
		parse_ranges(p, o->out, o->nout);
		return;
	}
	if (is_word(name, "node")) {
		o->loc.node = token_string(p, expect(p, K_STRING, "a name in quotes"));
		return;
	}
	Attr **at = &o->attr;
	for (; *at; at = &(*at)->next)
		if (is_word(name, (*at)->name))
			parse_fail(p, name, "attribute '%s' is given twice", (*at)->name);
	Attr *a = *at = NEW(p->m->arena, Attr);
	a->name = token_text(p, name);
	a->list = accept_punct(p, '[');
	parse_attr_values(p, a);
	if (a->list)
		expect_punct(p, ']');
}

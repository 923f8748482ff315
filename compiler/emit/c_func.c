/* c_func.c: functions and their statements, one a line. */
#include "emit/c.h"

#include <string.h>

enum { LINE = 100 };            /* columns; then lists go on in the next line */

static void block(C *c, const Block *b, int depth);

static void tabs(C *c, int depth)
{
	while (depth-- > 0)
		fputc('\t', c->f);
}

/* ---- loops ---------------------------------------------------------------------------------- */

/* The carry of loop o, other than carry i, that v is; -1: none. */
static int other_carry(const Op *o, int i, const Val *v)
{
	for (int k = 0; k < o->nout; k++)
		if (k != i && o->body->arg[k + 1] == v)
			return k;
	return -1;
}

/* Carries change together: a next value that is another carry is read before any is written. */
static void yield(C *c, const Op *o, int depth)
{
	Val *const *next = o->nout ? o->body->last->in : 0;
	for (int i = 0; i < o->nout; i++) {
		const Val *arg = o->body->arg[i + 1];
		if (!is_live(c->u, arg) || other_carry(o, i, next[i]) < 0)
			continue;
		tabs(c, depth);
		fprintf(c->f, "%s %s_next = %s;\n", c_reg(c, arg->type), arg->name, c_value(c, next[i]));
	}
	for (int i = 0; i < o->nout; i++) {
		const Val *arg = o->body->arg[i + 1];
		if (!is_live(c->u, arg) || next[i] == arg)
			continue;
		tabs(c, depth);
		if (other_carry(o, i, next[i]) >= 0)
			fprintf(c->f, "%s = %s_next;\n", c_value(c, arg), arg->name);
		else
			fprintf(c->f, "%s = %s;\n", c_value(c, arg), c_value_as(c, next[i], arg->type));
	}
}

static void loop(C *c, const Op *o, int depth)
{
	const char *i = c_value(c, o->body->arg[0]);
	for (int k = 0; k < o->nout; k++) {
		const Val *arg = o->body->arg[k + 1];
		if (!is_live(c->u, arg))
			continue;
		tabs(c, depth);
		fprintf(c->f, "%s %s = %s;\n", c_reg(c, arg->type), c_value(c, arg),
		        c_value_as(c, o->in[k + 1], arg->type));
	}
	tabs(c, depth);
	fprintf(c->f, "for (int32_t %s = 0; %s < %s; %s++) {\n", i, i, c_value(c, o->in[0]), i);
	block(c, o->body, depth + 1);
	yield(c, o, depth + 1);
	tabs(c, depth);
	fputs("}\n", c->f);
	for (int k = 0; k < o->nout; k++) {
		if (!is_live(c->u, o->out[k]))
			continue;
		tabs(c, depth);
		fprintf(c->f, "%s %s = %s;\n", c_reg(c, o->out[k]->type), c_value(c, o->out[k]),
		        c_value(c, o->body->arg[k + 1]));
	}
}

/* ---- other statements ----------------------------------------------------------------------- */

/* Item i of a list in parentheses, on a new line when this one is full. */
static void item(C *c, int i, int *column, int depth, const char *text)
{
	int n = (int)strlen(text);
	if (i && *column + n > LINE) {
		fputs(",\n", c->f);
		tabs(c, depth + 1);
		*column = 8 * (depth + 1);
	} else if (i) {
		*column += fprintf(c->f, ", ");
	}
	*column += n;
	fputs(text, c->f);
}

/* A row or a call: its live result gets a name. */
static void apply(C *c, const Op *o, const char *function, int depth)
{
	int column = 8 * depth;
	tabs(c, depth);
	if (o->nout && is_live(c->u, o->out[0]))
		column += fprintf(c->f, "%s %s = ", c_reg(c, o->out[0]->type), c_value(c, o->out[0]));
	column += fprintf(c->f, "%s(", function);
	for (int i = 0; i < o->nin; i++)
		item(c, i, &column, depth, c_value(c, o->in[i]));
	fputs(");\n", c->f);
}

static void statement(C *c, const Op *o, int depth)
{
	switch (o->kind) {
	case O_for:   loop(c, o, depth); return;
	case O_load:  c_load(c, o, depth); return;
	case O_store: c_store(c, o, depth); return;
	case O_view:  c_view(c, o, depth); return;
	case O_call:  apply(c, o, arena_printf(c->arena, "k_%s", o->callee->name), depth); return;
	case O_yield: return;           /* written by loop */
	case O_ret:
		if (o->nin) {
			tabs(c, depth);
			fprintf(c->f, "return %s;\n", c_value(c, o->in[0]));
		}
		return;
	case O_alloc:
		fputs("#error \"this module is not planned: alloc is left\"\n", c->f);
		return;
	default:
		apply(c, o, c_row_name(c, o), depth);
	}
}

static void block(C *c, const Block *b, int depth)
{
	for (const Op *o = b->first; o; o = o->next)
		if (op_is_live(c->u, o))
			statement(c, o, depth);
}

/* ---- heads ---------------------------------------------------------------------------------- */

bool c_is_entry(const C *c, const Func *f)
{
	return f == func_find(c->m, "reset") || f == func_find(c->m, "step_portable") ||
	       f == func_find(c->m, "run_portable");
}

/* The first op that knows what it comes from; 0 when none does. */
static const Op *told(const Block *b)
{
	const Op *found = 0;
	for (const Op *o = b->first; o && !found; o = o->next)
		found = o->loc.file || o->loc.node ? o : o->body ? told(o->body) : 0;
	return found;
}

static void origin(C *c, const Func *f)
{
	const Op *o = told(&f->body);
	fputs("/* @", c->f);
	c_comment(c->f, f->name);
	if (o && o->loc.file) {
		fputs(", ", c->f);
		c_comment(c->f, base_name(o->loc.file));
		fprintf(c->f, ":%d", o->loc.line);
	}
	if (o && o->loc.node && *o->loc.node) {
		fputs(", for node '", c->f);
		c_comment(c->f, o->loc.node);
		fputc('\'', c->f);
	}
	fputs(" */\n", c->f);
}

/* References of one function never overlap unless both are only read; those of entry functions are the
 * caller's, of whom we ask nothing. */
static const char *parameter(C *c, const Usage *u, const Val *v)
{
	if (v->type->form != T_REF)
		return arena_printf(c->arena, "%s %s", c_reg(c, v->type), c_value(c, v));
	return arena_printf(c->arena, "%s%s *%s%s", is_written(u, v) ? "" : "const ", c_elem(v->type->elem),
	                    c_is_entry(c, u->func) ? "" : "restrict ", c_value(c, v));
}

void c_function(C *c, const Usage *u)
{
	const Func *f = u->func;
	bool small = f->nret > 0;
	c->u = u;
	for (int i = 0; i < f->nparam; i++)
		small &= f->param[i]->type->form == T_REG;
	origin(c, f);
	int column = fprintf(c->f, "static %s%s k_%s(", small ? "inline " : "",
	                     f->nret ? c_reg(c, f->ret[0]) : "void", f->name);
	for (int i = 0; i < f->nparam; i++)
		item(c, i, &column, 0, parameter(c, u, f->param[i]));
	fputs(f->nparam ? ")\n{\n" : "void)\n{\n", c->f);
	for (int i = 0; i < f->nparam; i++)
		if (!is_live(u, f->param[i]))
			fprintf(c->f, "\t(void)%s;\n", c_value(c, f->param[i]));
	block(c, &f->body, 1);
	fputs("}\n\n", c->f);
}

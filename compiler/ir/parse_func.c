/* parse_func.c: text -> functions: heads, statements, operands.
 *
 * A literal gets its type from its place: the row of a scalar op, the callee's parameter, the result. */
#include <stdlib.h>
#include <string.h>

#include "ir/parse.h"

enum { MAX_NEST = 64, MAX_OPERANDS = 60000 };

typedef struct {                /* as read, before literals have types */
	Val *val;
	const Token *lit;       /* a literal, or 0 */
} Operand;

typedef struct {
	Operand *at;
	int n, room;
} Operands;

typedef struct {
	Parser *p;
	Func *f;
	Table vals;
	Entry **scope;          /* what is visible, in order of definition */
	int nscope, room;
	int depth;
} Body;

/* ---- values ------------------------------------------------------------------------------------- */

static Val *new_val(Parser *p, Func *f, const Token *name, const Type *t)
{
	Val *v = NEW(p->m->arena, Val);
	v->name = token_text(p, name);
	v->type = t;
	v->id = f->nval++;
	return v;
}

static void define(Body *b, const Token *name, Val *v)
{
	if (b->nscope == b->room) {
		Entry **old = b->scope;
		b->room = b->room ? b->room * 2 : 64;
		b->scope = NEWN(b->p->tmp, Entry *, b->room);
		if (b->nscope)
			memcpy(b->scope, old, sizeof *old * (size_t)b->nscope);
	}
	b->scope[b->nscope++] = table_add(b->p, &b->vals, name, v);
}

static Val *find_val(Body *b, const Token *t)
{
	Entry *e = table_find(&b->vals, t);
	if (!e)
		parse_fail(b->p, t, "'%%%.*s' is not defined before", t->len, t->at);
	if (e->hidden)
		parse_fail(b->p, t, "'%%%.*s' is defined in a block that has ended", t->len, t->at);
	return e->what;
}

static void push(Body *b, Operands *l, Operand o)
{
	if (l->n == MAX_OPERANDS)
		parse_fail(b->p, b->p->t, "more than %d operands", MAX_OPERANDS);
	if (l->n == l->room) {
		Operand *old = l->at;
		l->room = l->room ? l->room * 2 : 8;
		l->at = NEWN(b->p->tmp, Operand, l->room);
		if (l->n)
			memcpy(l->at, old, sizeof *old * (size_t)l->n);
	}
	l->at[l->n++] = o;
}

static Operand parse_operand(Body *b)
{
	Parser *p = b->p;
	const Token *t = p->t++;
	switch (t->kind) {
	case K_VAL:
		return (Operand){ find_val(b, t), 0 };
	case K_INT: case K_FLOAT:
		return (Operand){ 0, t };
	case K_DATA: {
		Entry *e = table_find(&p->data, t);
		if (!e)
			parse_fail(p, t, "there is no data '$%.*s'", t->len, t->at);
		return (Operand){ val_data(p->m, e->what), 0 };
	}
	default:
		if (!is_word(t, "none"))
			parse_fail(p, t, "an operand is missing here");
		return (Operand){ 0, 0 };
	}
}

/* The literal's value as the register class of t has it.  Hexadecimal ones may set the top bit. */
static Val *literal(Parser *p, const Token *t, const Type *of)
{
	if (!of || of->form != T_REG)
		parse_fail(p, t, "a number cannot stand here");
	const Type *reg = type_reg(p->m, of->elem, 1);
	if (elem_is_float(of->elem))
		return val_float(p->m, reg, token_float(p, t));
	bool hex = t->len > 2 && t->at[0] == '0' && (t->at[1] == 'x' || t->at[1] == 'X');
	int bits = elem_bits(of->elem);
	int64_t top = elem_max(of->elem);
	int64_t v = token_int(p, t, elem_min(of->elem), hex && bits < 64 ? top * 2 + 1 : top);
	return val_int(p->m, reg, v > top ? v - top * 2 - 2 : v);
}

/* ---- statements --------------------------------------------------------------------------------- */

static void parse_block(Body *b, Block *to, const Op *of);

static void check_end(Parser *p)
{
	if (p->t->kind != K_EOL && !is_punct(p->t, '}') && !is_punct(p->t, '{'))
		parse_fail(p, p->t, "the statement should end here");
}

/* %x[%i, %j] */
static void parse_element_of(Body *b, Operands *l)
{
	push(b, l, parse_operand(b));
	if (!accept_punct(b->p, '['))
		return;
	if (accept_punct(b->p, ']'))
		return;
	do
		push(b, l, parse_operand(b));
	while (accept_punct(b->p, ','));
	expect_punct(b->p, ']');
}

static void parse_callee(Parser *p, Op *o)
{
	const Token *t = expect(p, K_FUNC, "an @function");
	Entry *e = table_find(&p->funcs, t);
	if (!e)
		parse_fail(p, t, "there is no function '@%.*s'", t->len, t->at);
	o->callee = e->what;
}

static void parse_one(Body *b, Op *o, Operands *l)
{
	Parser *p = b->p;
	if (o->kind == O_next) {
		push(b, l, parse_operand(b));
		expect_punct(p, '=');
		push(b, l, parse_operand(b));
	} else if (!l->n && (o->kind == O_load || o->kind == O_store || o->kind == O_view)) {
		parse_element_of(b, l);
	} else {
		push(b, l, parse_operand(b));
	}
}

static void parse_operands(Body *b, Op *o, Operands *l)
{
	Parser *p = b->p;
	if (o->kind == O_call || o->kind == O_scan) {
		parse_callee(p, o);
		if (!accept_punct(p, ',') && !at_attr(p))
			return;
	} else if (p->t->kind == K_EOL || is_punct(p->t, '}')) {
		return;
	}
	do {
		if (at_attr(p))
			parse_attr(p, o);
		else
			parse_one(b, o, l);
	} while (accept_punct(p, ',') || at_attr(p));
}

/* The type a literal at operand i of o has. */
static const Type *literal_type(Body *b, const Op *o, const Operands *l, int i, const Op *of)
{
	Module *m = b->p->m;
	const OpInfo *info = &op_info[o->kind];
	const Type *w = type_reg(m, E_i32, 1);
	if (info->klass == OC_SCALAR || info->klass == OC_VECTOR)
		switch (i < 3 ? info->arg[i] : 0) {
		case 'b': return type_reg(m, E_i8, 1);
		case 'h': return type_reg(m, E_i16, 1);
		case 'w': return w;
		case 'l': return type_reg(m, E_i64, 1);
		case 's': return type_reg(m, E_f32, 1);
		default: return 0;
		}
	switch (o->kind) {
	case O_load: case O_view:
		return i ? w : 0;
	case O_store: {
		if (i == 0 || i < l->n - 1 || !l->at[0].val)
			return i ? w : 0;
		Elem e = l->at[0].val->type->elem;
		return e == E_i64 || e == E_f32 ? type_reg(m, e, 1) : w;
	}
	case O_for:
		return i ? i - 1 < o->nout ? o->out[i - 1]->type : 0 : w;
	case O_yield:
		return of && i < of->nout ? of->out[i]->type : 0;
	case O_ret:
		return i < b->f->nret ? b->f->ret[i] : 0;
	case O_call:
		return i < o->callee->nparam ? o->callee->param[i]->type : 0;
	default:
		return 0;
	}
}

static void set_operands(Body *b, Op *o, const Operands *l, const Op *of)
{
	o->nin = (uint16_t)l->n;
	o->in = NEWN(b->p->m->arena, Val *, l->n);
	for (int i = 0; i < l->n; i++) {
		const Operand *a = &l->at[i];
		int to = i;
		if (o->kind == O_store && i)    /* written last, but kept beside the reference */
			to = i == l->n - 1 ? 1 : i + 1;
		o->in[to] = a->lit ? literal(b->p, a->lit, literal_type(b, o, l, i, of)) : a->val;
	}
}

/* for %i < n carry %s = %s0, ... { ... } */
static void parse_for(Body *b, Op *o, const Op *of)
{
	Parser *p = b->p;
	Module *m = p->m;
	Operands l = { 0 };
	const Token *counter = expect(p, K_VAL, "the counter");
	expect_punct(p, '<');
	push(b, &l, parse_operand(b));
	const Token **names = NEWN(p->tmp, const Token *, o->nout + 1);
	if (accept_word(p, "carry"))
		do {
			const Token *t = expect(p, K_VAL, "a carry");
			if (l.n > o->nout)
				parse_fail(p, t, "more carries than results");
			names[l.n - 1] = t;
			expect_punct(p, '=');
			push(b, &l, parse_operand(b));
		} while (accept_punct(p, ',') && !at_attr(p));
	else
		accept_punct(p, ',');
	if (l.n - 1 != o->nout)
		parse_fail(p, p->t, "%d carries, but %d results", l.n - 1, o->nout);
	while (at_attr(p)) {
		parse_attr(p, o);
		accept_punct(p, ',');
	}
	set_operands(b, o, &l, of);
	int mark = b->nscope;
	o->body = NEW(m->arena, Block);
	o->body->arg = NEWN(m->arena, Val *, l.n);
	o->body->narg = l.n;
	for (int i = 0; i < l.n; i++) {
		const Token *name = i ? names[i - 1] : counter;
		const Type *t = i ? o->out[i - 1]->type : type_reg(m, E_i32, 1);
		define(b, name, o->body->arg[i] = new_val(p, b->f, name, t));
	}
	parse_block(b, o->body, o);
	while (b->nscope > mark)
		b->scope[--b->nscope]->hidden = true;
}

/* %y, %h =f32[4], f32[4] */
static const Token *parse_results(Body *b, Op *o)
{
	Parser *p = b->p;
	const Token *first = p->t;
	if (first->kind != K_VAL)
		return first;
	int n = 0;
	do {
		expect(p, K_VAL, "a result");
		if (++n > MAX_OPERANDS)
			parse_fail(p, first, "too many results");
	} while (accept_punct(p, ','));
	expect_punct(p, '=');
	o->out = NEWN(p->m->arena, Val *, n);
	for (int i = 0; i < n; i++) {
		if (i)
			expect_punct(p, ',');
		o->out[i] = new_val(p, b->f, first + 2 * i, parse_type(p));
		o->out[i]->def = o;
	}
	o->nout = (uint16_t)n;
	return first;
}

/* of: the for whose block this is, or 0. */
static void parse_statement(Body *b, Block *to, const Op *of)
{
	Parser *p = b->p;
	Op *o = op_new(p->m, to, O_NONE, 0, 0);
	o->loc = (Loc){ p->path, p->t->line, 0 };
	const Token *results = parse_results(b, o);
	const Token *name = expect(p, K_WORD, "an op");
	o->kind = (uint8_t)op_find(token_text(p, name));
	if (!o->kind)
		parse_fail(p, name, "there is no op '%.*s'", name->len, name->at);
	if (o->kind == O_for) {
		parse_for(b, o, of);
	} else {
		Operands l = { 0 };
		parse_operands(b, o, &l);
		check_end(p);
		set_operands(b, o, &l, of);
	}
	for (int i = 0; i < o->nout; i++)
		define(b, results + 2 * i, o->out[i]);
}

static void parse_block(Body *b, Block *to, const Op *of)
{
	Parser *p = b->p;
	const Token *open = p->t;
	expect_punct(p, '{');
	if (++b->depth > MAX_NEST)
		parse_fail(p, open, "blocks are nested deeper than %d", MAX_NEST);
	for (;;) {
		while (p->t->kind == K_EOL)
			p->t++;
		if (accept_punct(p, '}'))
			break;
		if (p->t->kind == K_END)
			parse_fail(p, open, "this block does not end");
		parse_statement(b, to, of);
		if (p->t->kind != K_EOL && !is_punct(p->t, '}'))
			parse_fail(p, p->t, "the line should end here");
	}
	b->depth--;
}

/* ---- functions ---------------------------------------------------------------------------------- */

static void *one_more(Parser *p, void *old, int n)
{
	enum { STEP = 16 };
	if (n % STEP)
		return old;
	void **a = NEWN(p->m->arena, void *, n + STEP);
	if (n)
		memcpy(a, old, sizeof *a * (size_t)n);
	return a;
}

static Val *parse_param(Parser *p, Func *f)
{
	if (f->nval > MAX_OPERANDS)
		parse_fail(p, p->t, "more than %d parameters", MAX_OPERANDS);
	const Token *name = expect(p, K_VAL, "a parameter");
	return new_val(p, f, name, parse_type(p));
}

static void parse_range_of(Parser *p, Val *v)
{
	if (accept_word(p, "range")) {
		expect_punct(p, '=');
		parse_ranges(p, &v, 1);
	}
}

static void parse_state(Parser *p, Func *f)
{
	Val *v = parse_param(p, f);
	Data *init = 0;
	expect_punct(p, '=');
	if (p->t->kind == K_DATA) {
		Entry *e = table_find(&p->data, p->t);
		if (!e)
			parse_fail(p, p->t, "there is no data '$%.*s'", p->t->len, p->t->at);
		init = e->what;
	} else {
		token_int(p, p->t, 0, 0);
	}
	p->t++;
	parse_range_of(p, v);
	f->state = one_more(p, f->state, f->nstate);
	f->init = one_more(p, f->init, f->nstate);
	f->init[f->nstate] = init;
	f->state[f->nstate++] = v;
}

void parse_func_head(Parser *p, Func *f)
{
	expect(p, K_FUNC, "an @name");
	expect_punct(p, '(');
	while (!accept_punct(p, ')')) {
		if (f->nparam)
			expect_punct(p, ',');
		f->param = one_more(p, f->param, f->nparam);
		Val *v = parse_param(p, f);
		f->param[f->nparam++] = v;
		parse_range_of(p, v);
	}
	if (accept_word(p, "state")) {
		expect_punct(p, '(');
		while (!accept_punct(p, ')')) {
			if (f->nstate)
				expect_punct(p, ',');
			parse_state(p, f);
		}
	}
	while (!is_punct(p->t, '{')) {
		if (accept_word(p, "isa")) {
			expect_punct(p, '=');
			f->isa = token_string(p, expect(p, K_STRING, "a name in quotes"));
			if (!is_punct(p->t, '{'))
				parse_fail(p, p->t, "'{' is missing here");
			break;
		}
		if (f->nret)
			expect_punct(p, ',');
		f->ret = one_more(p, f->ret, f->nret);
		f->ret[f->nret] = parse_type(p);
		f->nret++;
	}
}

void parse_func_body(Parser *p, Func *f)
{
	Body b = { .p = p, .f = f };
	for (int i = 0; i < f->nparam + f->nstate; i++) {
		Val *v = i < f->nparam ? f->param[i] : f->state[i - f->nparam];
		Token name = { v->name, (int)strlen(v->name), p->t->line, K_WORD };
		if (table_find(&b.vals, &name))
			parse_fail(p, p->t, "'%%%s' is defined twice", v->name);
		define(&b, &name, v);
	}
	parse_block(&b, &f->body, 0);
}

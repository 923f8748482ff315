/* decode.c: a function -> cells and instructions (interp.h).  What the verifier promises about types is
 * taken for granted; recursion is refused here. */
#include <stdio.h>
#include <string.h>

#include "emit/usage.h"
#include "exec/interp.h"

typedef struct {
	Interp *in;
	Code *code;
	bool failed;
} Decoder;

char reg_letter(const Type *t)
{
	switch (t->elem) {
	case E_i8:  return 'b';
	case E_i16: return 'h';
	case E_i64: return 'l';
	case E_f32: return 's';
	default:    return 'w';
	}
}

static void fail(Decoder *d, const char *what, const char *name)
{
	if (!d->failed)
		snprintf(d->in->err, sizeof d->in->err, "@%s: %s %s", d->code->func->name, what, name);
	d->failed = true;
}

/* %T: the last parameter of a function whose types mention T. */
static const int32_t *time_of(Decoder *d)
{
	static const int32_t none = 0;
	const Func *f = d->code->func;
	const Val *last = f->nparam ? f->param[f->nparam - 1] : 0;
	if (last && last->type->form == T_REG && last->name && !strcmp(last->name, "T"))
		return d->code->cell[last->id].w;
	fail(d, "types mention T but there is no parameter", "%T");
	return &none;
}

static Shape shape_of(Decoder *d, const Type *t)
{
	Shape s = { .elem = elem_stored(t->elem), .size = elem_size(t->elem), .rank = t->rank };
	for (int i = 0; i < t->rank; i++)
		s.dim[i] = t->dim[i] == DIM_T ? time_of(d) : &t->dim[i];
	return s;
}

/* A literal stands for all lanes. */
static const Cell *literal(Decoder *d, const Val *v)
{
	Cell *c = NEW(d->in->arena, Cell);
	for (int j = 0; j < MAX_LANE_BYTES / elem_size(v->type->elem); j++)
		switch (reg_letter(v->type)) {
		case 'b': c->b[j] = (int8_t)v->lit.i; break;
		case 'h': c->h[j] = (int16_t)v->lit.i; break;
		case 'w': c->w[j] = (int32_t)v->lit.i; break;
		case 'l': c->l[j] = v->lit.i; break;
		case 's': c->s[j] = v->lit.f; break;
		}
	return c;
}

static const Cell *operand(Decoder *d, const Val *v)
{
	if (v->data) {
		Cell *c = NEW(d->in->arena, Cell);
		c->ref = (Ref){ v->data->bytes, (int64_t)v->data->size, true };
		return c;
	}
	return v->name ? &d->code->cell[v->id] : literal(d, v);
}

static const Cell **operands(Decoder *d, Val *const *v, int n)
{
	const Cell **c = NEWN(d->in->arena, const Cell *, n + 1);
	for (int i = 0; i < n; i++)
		c[i] = operand(d, v[i]);
	return c;
}

static Cell *result(Decoder *d, const Val *v)
{
	return &d->code->cell[v->id];
}

static Insn *decode_block(Decoder *d, const Block *b);

/* value: what a load gives or a store takes, 0 for a view; idx: the operands that are indices. */
static void decode_place(Decoder *d, Insn *i, const Op *o, const Val *value, Val *const *idx)
{
	int nidx = (int)(o->in + o->nin - idx);
	Place *p = NEW(d->in->arena, Place);
	p->shape = shape_of(d, o->in[0]->type);
	p->nidx = nidx;
	if (nidx > p->shape.rank) {
		fail(d, "too many indices in", op_info[o->kind].name);
		nidx = p->nidx = p->shape.rank;
	}
	for (int k = 0; k < nidx; k++)
		p->idx[k] = operand(d, idx[k]);
	if (value) {
		p->klass = reg_letter(value->type);
		p->gather = nidx && idx[nidx - 1]->type->lanes > 1;
		i->lanes = value->type->lanes;
	} else {
		p->view = shape_of(d, o->out[0]->type);
		p->aligned = !d->code->func->isa;
	}
	i->u.place = p;
}

static void decode_for(Decoder *d, Insn *i, const Op *o)
{
	Loop *l = NEW(d->in->arena, Loop);
	l->ncarry = o->nout;
	l->counter = result(d, o->body->arg[0]);
	l->arg = NEWN(d->in->arena, Cell *, o->nout + 1);
	l->out = NEWN(d->in->arena, Cell *, o->nout + 1);
	l->hold = NEWN(d->in->arena, Cell, o->nout + 1);
	for (int k = 0; k < o->nout; k++) {
		l->arg[k] = result(d, o->body->arg[k + 1]);
		l->out[k] = result(d, o->out[k]);
	}
	l->init = operands(d, o->in + 1, o->nin - 1);
	l->body = decode_block(d, o->body);
	if (o->nout)
		l->next = operands(d, o->body->last->in, o->nout);
	i->u.loop = l;
}

static void decode_call(Decoder *d, Insn *i, const Op *o)
{
	Call *c = NEW(d->in->arena, Call);
	c->callee = decode(d->in, o->callee);
	d->failed |= !c->callee;
	if (o->nin != o->callee->nparam)
		fail(d, "wrong number of arguments in a call of", o->callee->name);
	c->arg = operands(d, o->in, o->nin);
	i->u.call = c;
}

static void decode_row(Decoder *d, Insn *i, const Op *o)
{
	const OpInfo *t = &op_info[o->kind];
	i->lanes = o->out[0]->type->lanes;
	i->unit = t->rres ? i->lanes / t->rres : 1;
	for (int k = 0; k < o->nin && k < 3; k++) {
		i->in[k] = operand(d, o->in[k]);
		i->stride[k] = o->in[k]->type->lanes > 1;
	}
}

static void decode_op(Decoder *d, Insn *i, const Op *o)
{
	i->kind = o->kind;
	i->lanes = 1;
	i->op = o;
	i->out = o->nout ? result(d, o->out[0]) : 0;
	for (int k = 0; k < o->nin && k < 3; k++)
		i->in[k] = operand(d, o->in[k]);
	switch (o->kind) {
	case O_for:
		decode_for(d, i, o);
		break;
	case O_load:
		decode_place(d, i, o, o->out[0], o->in + 1);
		break;
	case O_store:
		decode_place(d, i, o, o->in[1], o->in + 2);
		break;
	case O_view:
		decode_place(d, i, o, 0, o->in + 1);
		break;
	case O_alloc: {
		Shape s = shape_of(d, o->out[0]->type);
		i->u.alloc = arena_copy(d->in->arena, &s, sizeof s);
		break;
	}
	case O_call:
		decode_call(d, i, o);
		break;
	case O_ret:
		d->code->result = o->nin ? i->in[0] : 0;
		break;
	default:
		if (op_info[o->kind].c)
			decode_row(d, i, o);
		else
			fail(d, "not a loop level op:", op_info[o->kind].name);
	}
}

static Insn *decode_block(Decoder *d, const Block *b)
{
	int n = 1;
	for (const Op *o = b->first; o; o = o->next)
		n++;
	Insn *first = NEWN(d->in->arena, Insn, n), *i = first;
	for (const Op *o = b->first; o; o = o->next)
		if (o->kind != O_yield)
			decode_op(d, i++, o);
	return first;
}

Code *decode(Interp *in, const Func *f)
{
	for (Code *c = in->codes; c; c = c->next) {
		if (c->func != f)
			continue;
		if (!c->done)
			snprintf(in->err, sizeof in->err, "@%s: recursion", f->name);
		return c->done ? c : 0;
	}
	Code *c = NEW(in->arena, Code);
	Decoder d = { in, c, false };
	c->func = f;
	c->next = in->codes;
	in->codes = c;
	c->cell = NEWN(in->arena, Cell, f->nval + 1);
	c->param = NEWN(in->arena, Shape, f->nparam + 1);
	for (int k = 0; k < f->nparam; k++)
		if (f->param[k]->type->form == T_REF)
			c->param[k] = shape_of(&d, f->param[k]->type);
	c->first = decode_block(&d, &f->body);
	if (d.failed)
		return 0;
	c->written = usage_of(&in->usage, in->arena, f)->written;
	c->done = true;
	return c;
}

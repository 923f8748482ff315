/* verify_func.c: values are defined once and before their uses, blocks end as they should, and each op is of
 * the module's level; the ops' own rules are in verify_tensor.c and verify_loop.c. */
#include <stdlib.h>
#include <string.h>

#include "ir/verify.h"

/* ---- values ----------------------------------------------------------------------------------------- */

static bool check_type(Verify *v, const Val *x)
{
	const Type *t = x->type;
	char buf[128];
	if (!t)
		return fault(v, "%%%s has no type", x->name);
	bool tensor = t->form == T_TENSOR;
	if (tensor != (v->m->level == L_TENSOR) || t->form == T_NONE)
		return fault(v, "%%%s is %s, which is not of this level", x->name,
		             type_text(t, buf, sizeof buf));
	if (t->form == T_REF && elem_stored(t->elem) != t->elem)
		return fault(v, "%%%s: memory does not hold %s", x->name, elem_name(t->elem));
	if (t->form == T_REG && t->lanes == 1 && (t->elem == E_i8 || t->elem == E_i16))
		return fault(v, "%%%s: b and h stand in vectors only", x->name);
	if (x->ranged && !tensor)
		return fault(v, "%%%s: only tensors have a range", x->name);
	if (v->m->level == L_LOOP && type_has_t(t) && !time_param(v->f))
		return fault(v, "%%%s is %s, but the function's last parameter is not %%T w", x->name,
		             type_text(t, buf, sizeof buf));
	if (x->steps && !(x->ranged && is_member(x->steps, v->data, v->ndata) && plain_floats(x->steps)))
		return fault(v, "%%%s: steps stand behind a range and are f32[units]", x->name);
	if (x->levels && !(x->ranged && is_member(x->levels, v->data, v->ndata) && plain_floats(x->levels)))
		return fault(v, "%%%s: levels stand behind a range and are f32[n]", x->name);
	const Quant *q = t->quant;
	if (q && q->rows && (!t->rank || t->dim[t->rank - 1] != q->rows->type->dim[0]))
		return fault(v, "%%%s: its last axis does not have one scale per index", x->name);
	if (q && q->book)
		return fault(v, "%%%s: only data are stored through a code book", x->name);
	return true;
}

static bool define(Verify *v, Val *x, const Op *def)
{
	if (!x || !x->name || x->data)
		return fault(v, "a definition without a name");
	if (x->id >= v->f->nval || v->visible[x->id])
		return fault(v, "%%%s: its id %u is not its own, or not below %u", x->name, x->id,
		             v->f->nval);
	if (x->def != def)
		return fault(v, "%%%s: its def is another op", x->name);
	v->visible[x->id] = x;
	return check_type(v, x);
}

/* Marks an id that is taken but out of scope. */
static Val gone;

static void undefine(Verify *v, const Block *b)
{
	for (int i = 0; i < b->narg; i++)
		v->visible[b->arg[i]->id] = &gone;
	for (const Op *o = b->first; o; o = o->next)
		for (int i = 0; i < o->nout; i++)
			v->visible[o->out[i]->id] = &gone;
}

static bool check_use(Verify *v, const Val *x, int i)
{
	if (!x)
		return v->m->level == L_TENSOR || fault(v, "operand %d is missing", i + 1);
	if (x->data)
		return (is_member(x->data, v->data, v->ndata) && x->data->val == x) ||
		       fault(v, "operand %d: $%s is not in the module", i + 1, x->data->name);
	if (!x->name) {
		if (v->m->level == L_TENSOR || x->type->form != T_REG || x->type->lanes != 1)
			return fault(v, "operand %d: a number cannot stand here", i + 1);
		int64_t top = elem_is_float(x->type->elem) ? 0 : elem_max(x->type->elem);
		return elem_is_float(x->type->elem) || (x->lit.i <= top && x->lit.i >= -top - 1) ||
		       fault(v, "operand %d: the number does not fit its register", i + 1);
	}
	if (x->id >= v->f->nval || v->visible[x->id] != x)
		return fault(v, "operand %d: %%%s is not defined here", i + 1, x->name);
	return true;
}

/* ---- names ------------------------------------------------------------------------------------------ */

static void collect(const Block *b, const char **name, size_t *n)
{
	for (int i = 0; i < b->narg; i++)
		name[(*n)++] = b->arg[i]->name;
	for (const Op *o = b->first; o; o = o->next) {
		for (int i = 0; i < o->nout; i++)
			name[(*n)++] = o->out[i]->name;
		if (o->body)
			collect(o->body, name, n);
	}
}

static int by_text(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* Every id was found to be of one value, so there are at most nval names. */
static bool check_names(Verify *v, const Func *f)
{
	const char **name = NEWN(v->tmp, const char *, f->nval + 1);
	size_t n = 0;
	for (int i = 0; i < f->nparam; i++)
		name[n++] = f->param[i]->name;
	for (int i = 0; i < f->nstate; i++)
		name[n++] = f->state[i]->name;
	collect(&f->body, name, &n);
	qsort(name, n, sizeof *name, by_text);
	for (size_t i = 0; i < n; i++) {
		if (!is_ident(name[i]))
			return fault(v, "'%%%s' is no C identifier", name[i]);
		if (i && !strcmp(name[i - 1], name[i]))
			return fault(v, "'%%%s' is defined twice", name[i]);
	}
	return true;
}

/* ---- ops -------------------------------------------------------------------------------------------- */

static bool check_level(Verify *v, const Op *o)
{
	if (!o->kind || o->kind >= N_OPS)
		return fault(v, "kind %d is no op", o->kind);
	bool tensor = v->m->level == L_TENSOR, ok;
	switch (op_info[o->kind].klass) {
	case OC_TENSOR:  ok = tensor; break;
	case OC_CONTROL: ok = o->kind == O_call || o->kind == O_ret || tensor == (o->kind == O_next); break;
	default:         ok = !tensor;
	}
	if (!ok)
		return fault(v, "not an op of the %s level", tensor ? "tensor" : "loop");
	if (!o->body != (o->kind != O_for))
		return fault(v, "only for has a body");
	if (!o->callee != (o->kind != O_call && o->kind != O_scan))
		return fault(v, "only call and scan name a function");
	return true;
}

static bool check_ret(Verify *v, const Op *o)
{
	char a[128], b[128];
	if (o->nin != v->f->nret || o->nout)
		return fault(v, "%d results, but the function has %d", o->nin, v->f->nret);
	for (int i = 0; i < o->nin; i++)
		if (!o->in[i] || o->in[i]->type != v->f->ret[i])
			return fault(v, "result %d is %s, but the function's is %s", i + 1,
			             type_text(o->in[i] ? o->in[i]->type : 0, a, sizeof a),
			             type_text(v->f->ret[i], b, sizeof b));
	return true;
}

static bool check_next(Verify *v, const Op *o)
{
	const Func *f = v->f;
	char a[128], b[128];
	if (o->nin % 2 || o->nout)
		return fault(v, "operands are pairs of a state and its next value");
	if (o->next && o->next->kind != O_ret)
		return fault(v, "only ret comes after it");
	for (int i = 0; i < o->nin; i += 2) {
		const Val *s = o->in[i], *x = o->in[i + 1];
		bool state = false;
		for (int k = 0; k < f->nstate; k++)
			state |= f->state[k] == s;
		if (!s || !state)
			return fault(v, "operand %d is no state of the function", i + 1);
		if (!x || x->type != s->type)
			return fault(v, "%%%s is %s, but its next value is %s", s->name,
			             type_text(s->type, a, sizeof a),
			             type_text(x ? x->type : 0, b, sizeof b));
		for (int k = 0; k < i; k += 2)
			if (o->in[k] == s)
				return fault(v, "%%%s is set twice", s->name);
	}
	return true;
}

static bool check_block(Verify *v, const Block *b, const Op *loop);

static bool check_op(Verify *v, const Op *o, const Op *loop)
{
	v->o = o;
	if (!check_level(v, o))
		return false;
	for (int i = 0; i < o->nin; i++)
		if (!check_use(v, o->in[i], i))
			return false;
	for (int i = 0; i < o->nout; i++)
		if (!o->out[i] || !o->out[i]->name || !o->out[i]->type)
			return fault(v, "result %d has no name or no type", i + 1);
	bool ends = o->kind == O_ret || o->kind == O_yield;
	if (ends && (o->next || (o->kind == O_yield) != (loop != 0)))
		return fault(v, o->next ? "is not the last op of its block" : "does not end this block");
	if (o->kind == O_ret)
		return check_ret(v, o);
	if (o->kind == O_next)
		return check_next(v, o);
	if (!(v->m->level == L_TENSOR ? verify_tensor_op(v, o) : verify_loop_op(v, o, loop)))
		return false;
	if (o->body) {
		if (!check_block(v, o->body, o))
			return false;
		undefine(v, o->body);
		v->o = o;
	}
	for (int i = 0; i < o->nout; i++)
		if (!define(v, o->out[i], o))
			return false;
	return true;
}

static bool check_block(Verify *v, const Block *b, const Op *loop)
{
	for (int i = 0; i < b->narg; i++)
		if (!define(v, b->arg[i], 0))
			return false;
	const Op *prev = 0;
	for (const Op *o = b->first; o; prev = o, o = o->next) {
		if (o->prev != prev)
			return fault(v, "the list of ops is broken");
		if (!check_op(v, o, loop))
			return false;
	}
	v->o = loop;
	if (b->last != prev)
		return fault(v, "the list of ops is broken");
	if (loop && loop->nout && (!prev || prev->kind != O_yield))
		return fault(v, "its block does not end with yield");
	if (!loop && v->f->nret && (!prev || prev->kind != O_ret))
		return fault(v, "does not end with ret");
	return true;
}

static bool check_state(Verify *v, const Func *f, int i)
{
	const Val *s = f->state[i];
	const Data *d = f->init[i];
	char a[128], b[128];
	if (v->m->level == L_LOOP)
		return fault(v, "functions of the loop level have no states");
	if (type_has_t(s->type))
		return fault(v, "state %%%s: a state has a known size", s->name);
	if (!d)
		return true;
	if (!is_member(d, v->data, v->ndata))
		return fault(v, "state %%%s: $%s is not in the module", s->name, d->name);
	if (d->type != s->type)
		return fault(v, "state %%%s is %s, but $%s is %s", s->name, type_text(s->type, a, sizeof a),
		             d->name,
		             type_text(d->type, b, sizeof b));
	return true;
}

bool verify_func(Verify *v, const Func *f)
{
	v->visible = NEWN(v->tmp, Val *, f->nval + 1);
	for (int i = 0; i < f->nparam; i++)
		if (!define(v, f->param[i], 0))
			return false;
	for (int i = 0; i < f->nstate; i++)
		if (!define(v, f->state[i], 0) || !check_state(v, f, i))
			return false;
	for (int i = 0; i < f->nret; i++) {
		const Type *t = f->ret[i];
		if (!t || t->form != (v->m->level == L_TENSOR ? T_TENSOR : T_REG) ||
		    (i && v->m->level == L_LOOP))
			return fault(v,
			             v->m->level == L_LOOP ? "the result is no register, or not the only one"
			                                      : "result %d is no tensor", i + 1);
	}
	if (f->isa && (v->m->level == L_TENSOR || !is_ident(f->isa)))
		return fault(v, "isa=\"%s\": only functions of the loop level have one, a C identifier",
		             f->isa);
	if (!check_block(v, &f->body, 0))
		return false;
	v->o = 0;
	return check_names(v, f);
}

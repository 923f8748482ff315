/* emit.c: short ways to build loop level ops at the end of fr->b. */
#include "lower/lower.h"

#include <stdarg.h>
#include <stdlib.h>

const Type *reg_w(Frame *fr) { return type_reg(fr->l->m, E_i32, 1); }
const Type *lane_w(Frame *fr) { return type_reg(fr->l->m, E_i32, fr->lanes ? fr->lanes : 1); }
const Type *reg_l(Frame *fr) { return type_reg(fr->l->m, E_i64, 1); }
const Type *reg_s(Frame *fr) { return type_reg(fr->l->m, E_f32, 1); }

Val *e_w(Frame *fr, int64_t i) { return val_int(fr->l->m, reg_w(fr), i); }
Val *e_l(Frame *fr, int64_t i) { return val_int(fr->l->m, reg_l(fr), i); }
Val *e_s(Frame *fr, float x) { return val_float(fr->l->m, reg_s(fr), x); }

Val *e_op(Frame *fr, OpKind k, const Type *t, int n, ...)
{
	Val *in[8];
	va_list ap;
	va_start(ap, n);
	for (int i = 0; i < n; i++)
		in[i] = va_arg(ap, Val *);
	va_end(ap);
	Op *o = op_new(fr->l->m, fr->b, k, n, in);
	return t ? op_out(fr->l->m, fr->f, o, 0, t) : 0;
}

Val *e_dim(Frame *fr, int32_t dim)
{
	return dim == DIM_T ? fr->T : e_w(fr, dim);
}

/* at + step * i, with nothing emitted that a constant could say. */
Val *e_index(Frame *fr, Index at, int32_t step, Val *i)
{
	const Type *w = reg_w(fr);
	Val *v = 0;
	if (i && is_literal(i)) {
		at.c += step * i->lit.i;
		i = 0;
	}
	if (i && step)
		v = step == 1 ? i : e_op(fr, O_mulw, w, 2, i, e_w(fr, step));
	if (at.t) {
		Val *t = at.t == 1 ? fr->T : e_op(fr, O_mulw, w, 2, fr->T, e_w(fr, at.t));
		v = v ? e_op(fr, O_addw, w, 2, v, t) : t;
	}
	if (at.dyn)
		v = v ? e_op(fr, O_addw, w, 2, v, at.dyn) : at.dyn;
	if (!v)
		return e_w(fr, at.c);
	return at.c ? e_op(fr, O_addw, w, 2, v, e_w(fr, at.c)) : v;
}

Op *e_for(Frame *fr, Val *n, const char *counter, int ncarry, Val *const *init)
{
	Module *m = fr->l->m;
	Val *in[16];
	in[0] = n;
	for (int i = 0; i < ncarry; i++)
		in[i + 1] = init[i];
	Op *o = op_new(m, fr->b, O_for, ncarry + 1, in);
	for (int i = 0; i < ncarry; i++)
		op_out(m, fr->f, o, 0, init[i]->type);
	o->body = NEW(m->arena, Block);
	o->body->arg = NEWN(m->arena, Val *, ncarry + 1);
	o->body->arg[0] = val_new(m, fr->f, counter, reg_w(fr));
	o->body->narg++;
	for (int i = 0; i < ncarry; i++, o->body->narg++)
		o->body->arg[i + 1] = val_new(m, fr->f, 0, init[i]->type);
	fr->b = o->body;
	return o;
}

void e_end(Frame *fr, Op *loop, Block *outer, Val *const *yield)
{
	if (loop->nout)
		op_new(fr->l->m, fr->b, O_yield, loop->nout, yield);
	fr->b = outer;
}

/* The statuses of all that can fail are or-ed; RANGE is the only one. */
Val *e_or_status(Frame *fr, Val *s)
{
	fr->status = fr->status ? e_op(fr, O_orw, reg_w(fr), 2, fr->status, s) : s;
	return fr->status;
}

void e_call(Frame *fr, Func *f, int n, Val *const *arg)
{
	Op *o = op_new(fr->l->m, fr->b, O_call, n, arg);
	o->callee = f;
	if (f->nret)
		e_or_status(fr, op_out(fr->l->m, fr->f, o, 0, f->ret[0]));
}

Val *e_alloc(Frame *fr, const char *name, const Type *t)
{
	Op *o = op_new(fr->l->m, fr->b, O_alloc, 0, 0);
	return op_out(fr->l->m, fr->f, o, name, ref_type(fr->l->m, t));
}

void e_fail(Frame *fr, const Op *o, const char *fmt, ...)
{
	char text[400];
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	const char *node = o->loc.node ? o->loc.node : o->nout && o->out[0]->name ? o->out[0]->name : fr->src->name;
	diag_error(fr->l->d, "%s: node '%s' (%s): %s", fr->l->m->name, node, op_info[o->kind].name, text);
	fr->failed = true;
}

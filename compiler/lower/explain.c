/* explain.c: what becomes of one element in each op.
 *
 * The functions are emitted by the very code that lower uses inside its loops: scalar_op for element-wise
 * ops, linear_fin for what follows an inner product.  So a report cannot say something else than what is
 * compiled. */
#include "lower/explain.h"
#include "lower/linear.h"

#include <string.h>

static bool is_integer(const Type *t)
{
	return t->form == T_TENSOR && !elem_is_float(t->elem);
}

static bool all_integers(const Op *o)
{
	for (int i = 0; i < o->nin; i++)
		if (o->in[i] && !is_integer(o->in[i]->type))
			return false;
	return o->nout == 1 && is_integer(o->out[0]->type);
}

static bool same_types(const Op *o)
{
	for (int i = 0; i < o->nin; i++)
		if (o->in[i]->type->quant != o->out[0]->type->quant)
			return false;
	return true;
}

static ExplainKind kind_of(const Op *o)
{
	switch (o->kind) {
	case O_reshape: case O_transpose: case O_slice: case O_expand: case O_scan: case O_call: case O_next: case O_ret:
	case O_gather: case O_pick:
		return EXPLAIN_MOVE;
	case O_concat:
		return same_types(o) ? EXPLAIN_MOVE : EXPLAIN_OTHER;
	case O_linear:
		return all_integers(o) && o->in[1]->data && o->in[1]->type->quant ? EXPLAIN_LINEAR : EXPLAIN_OTHER;
	default:
		return is_elementwise(o->kind) && all_integers(o) ? EXPLAIN_ELEMENT : EXPLAIN_OTHER;
	}
}

/* Of unit k; 0: t has no units. */
static Val *unit_exponent(Frame *fr, const Type *t, Val *k)
{
	return has_units(t) ? e_op(fr, O_load, reg_w(fr), 2, val_data(fr->l->m, units_exponents(fr->l, t)), k) : 0;
}

static Func *element(Lower *l, const Op *o)
{
	Func *f = func_new(l->m, arena_printf(l->m->arena, "%s_%s", op_info[o->kind].name, o->out[0]->name));
	Frame fr = {.l = l, .src = f, .f = f, .b = &f->body, .lanes = 1};
	Num in[3] = {0};
	const Type *type[3] = {0};
	for (int i = 0; i < o->nin && i < 3; i++) {
		const Type *t = o->in[i]->type;
		char name[8];
		snprintf(name, sizeof name, "%c", 'a' + i);
		bool wide = elem_size(t->elem) > 4;
		in[i] = num_load(&fr, func_param(l->m, f, name, type_reg(l->m, wide ? E_i64 : E_i32, 1)), t);
		type[i] = t;
	}
	if (has_units(o->out[0]->type) || (o->nin && has_units(o->in[0]->type))) {
		Val *k = func_param(l->m, f, "k", reg_w(&fr));
		fr.from_up = unit_exponent(&fr, o->in[0]->type, k);
		fr.to_up = unit_exponent(&fr, o->out[0]->type, k);
	}
	Num y = scalar_op(&fr, o, in, type);
	func_ret(l->m, f, y.v->type);
	op_new(l->m, fr.b, O_ret, 1, &y.v);
	return fr.failed ? 0 : f;
}

static bool linear(Lower *l, const Op *o, Explained *x)
{
	Linear n;
	if (!linear_init(&n, o, arena_printf(l->m->arena, "linear_%s", o->out[0]->name)))
		return false;
	x->func = linear_fin(l, &n, 1);
	x->accumulator_bits = n.wide ? 64 : 32;
	x->bound = n.bound;
	x->addend_shift = n.bshift;
	return x->func != 0;
}

static bool explain_op(Lower *l, const Op *o, Explained *x)
{
	switch (x->kind) {
	case EXPLAIN_ELEMENT: return (x->func = element(l, o)) != 0;
	case EXPLAIN_LINEAR:  return linear(l, o, x);
	default:              return true;
	}
}

static int count_ops(const Module *m)
{
	int n = 0;
	each_func(f, m)
		each_op(o, &f->body)
			n++;
	return n;
}

Module *explain(const Module *m, const Options *opt, Explained **list, int *n, Diag *d)
{
	Module *c = module_clone(m);
	Lower l = {.m = c, .opt = opt, .d = d, .tensor = c->funcs, .body = "portable"};
	*list = NEWN(c->arena, Explained, count_ops(m));
	*n = 0;
	c->funcs = 0;
	const Func *from = m->funcs;
	for (Func *f = l.tensor; f; f = f->next, from = from->next) {
		const Op *source = from->body.first;
		for (Op *o = f->body.first; o; o = o->next, source = source->next) {
			Explained *x = &(*list)[(*n)++];
			*x = (Explained){.op = source, .kind = kind_of(o)};
			if (!explain_op(&l, o, x)) {
				if (!diag_errors(d))
					diag_bug(d, "no arithmetic for %s in @%s", op_info[o->kind].name, f->name);
				module_free(c);
				return 0;
			}
		}
	}
	c->level = L_LOOP;
	return c;
}

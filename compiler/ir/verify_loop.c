/* verify_loop.c: loop level ops: classes and lanes of the rows, references and indices, loops, calls. */
#include <string.h>

#include "ir/verify.h"

static char class_of(const Type *t)
{
	switch (t->elem) {
	case E_i8:  return 'b';
	case E_i16: return 'h';
	case E_i32: return 'w';
	case E_i64: return 'l';
	default:    return 's';
	}
}

static bool is_reg(const Val *x, char c)
{
	return x->type->form == T_REG && class_of(x->type) == c;
}

static bool is_w(const Val *x)
{
	return is_reg(x, 'w') && x->type->lanes == 1;
}

static bool is_memory(const Val *x)
{
	return x->type->form == T_REF || x->data;
}

/* A literal or another one-lane operand stands for all lanes of a scalar row; vector rows want theirs. */
static bool check_row(Verify *v, const Op *o)
{
	const OpInfo *info = &op_info[o->kind];
	int nin = 0;
	while (nin < 3 && info->arg[nin])
		nin++;
	if (o->nin != nin || o->nout != 1)
		return fault(v, "%d operands and %d results, but the row has %d and 1", o->nin, o->nout, nin);
	if (!is_reg(o->out[0], info->res))
		return fault(v, "the result should be of class %c", info->res);
	bool scalar = info->klass == OC_SCALAR;
	int lanes = o->out[0]->type->lanes, unit = scalar ? lanes : lanes / info->rres;
	if (!scalar && unit * info->rres != lanes)
		return fault(v, "the result's lanes are no multiple of %d", info->rres);
	for (int i = 0; i < nin; i++) {
		if (!is_reg(o->in[i], info->arg[i]))
			return fault(v, "operand %d should be of class %c", i + 1, info->arg[i]);
		int have = o->in[i]->type->lanes;
		int want = scalar ? lanes : info->rarg[i] ? unit * info->rarg[i] : 1;
		if (have != want && !(scalar && have == 1))
			return fault(v, "operand %d has %d lanes, not %d", i + 1, have, want);
	}
	return true;
}

/* ---- memory ----------------------------------------------------------------------------------------- */

/* Operand 0 is memory and the last n are its indices; *gather: lanes of the last, 1 when it is no vector. */
static bool check_element(Verify *v, const Op *o, int n, int *gather)
{
	Val *const *index = o->in + o->nin - n;
	*gather = 1;
	if (!is_memory(o->in[0]))
		return fault(v, "operand 1 is no reference");
	const Type *t = o->in[0]->type;
	if (n != t->rank)
		return fault(v, "%d indices, but the reference has %d dimensions", n, t->rank);
	for (int i = 1; i <= n; i++) {
		const Val *x = index[i - 1];
		bool vector = i == n && o->kind != O_view;
		if (!is_reg(x, 'w') || (x->type->lanes != 1 && !vector))
			return fault(v, "index %d should be w", i);
		int32_t dim = t->dim[i - 1];
		if (is_literal(x) && (x->lit.i < 0 || (dim >= 0 && x->lit.i >= dim)) && o->kind != O_view)
			return fault(v, "index %d is %lld, outside of 0 .. %d", i, (long long)x->lit.i,
			             dim - 1);
		*gather = x->type->lanes;
	}
	return true;
}

/* Does memory of element e go to and from this register? */
static bool fits(Elem e, const Type *reg)
{
	switch (class_of(reg)) {
	case 'b': return e == E_i8 || e == E_u8;
	case 'h': return e == E_i16;
	case 'w': return e == E_i8 || e == E_u8 || e == E_i16 || e == E_i32;
	case 'l': return e == E_i64;
	default:  return e == E_f32;
	}
}

static bool check_access(Verify *v, const Op *o, const Val *x, int nindex)
{
	int gather;
	char buf[128];
	if (!check_element(v, o, nindex, &gather))
		return false;
	Elem e = memory_elem(o->in[0]->type);
	if (x->type->form != T_REG || !fits(e, x->type))
		return fault(v, "memory of %s does not go with a register %s", elem_name(e),
		             type_text(x->type, buf, sizeof buf));
	if (x->type->lanes > 1 && nindex == 0)
		return fault(v, "a vector wants an index");
	if (gather > 1 && gather != x->type->lanes)
		return fault(v, "%d indices for %d lanes", gather, x->type->lanes);
	return true;
}

static bool check_store(Verify *v, const Op *o)
{
	if (o->nout || o->nin < 2)
		return fault(v, "has a reference, indices, a value and no result");
	return check_access(v, o, o->in[1], o->nin - 2);
}

/* Memory keeps its element, but for bytes with or without sign, blocks of bytes (state, scratch), and what a
 * kernel for one instruction set knows of its little endian machine. */
static bool check_view(Verify *v, const Op *o)
{
	int gather;
	if (o->nin < 1 || o->nout != 1 || o->out[0]->type->form != T_REF)
		return fault(v, "has a reference and another one as result");
	if (!check_element(v, o, o->nin - 1, &gather))
		return false;
	Elem from = memory_elem(o->in[0]->type), to = o->out[0]->type->elem;
	if (from != to && from != E_u8 && !(from == E_i8 && to == E_u8) && !v->f->isa)
		return fault(v, "memory of %s cannot be seen as %s", elem_name(from), elem_name(to));
	return true;
}

static bool check_alloc(Verify *v, const Op *o)
{
	if (o->nin || o->nout != 1 || o->out[0]->type->form != T_REF)
		return fault(v, "has no operand, and one reference as result");
	return !v->m->planned || fault(v, "memory was planned already");
}

/* ---- loops ------------------------------------------------------------------------------------------ */

static bool check_carry(Verify *v, const Val *x, const Type *want, const char *what, int i, bool one_lane)
{
	char a[128], b[128];
	if (x->type == want)
		return true;
	if (one_lane && x->type->form == T_REG && x->type->elem == want->elem && x->type->lanes == 1)
		return true;
	return fault(v, "%s %d is %s, but the result is %s", what, i + 1, type_text(x->type, a, sizeof a),
	             type_text(want, b, sizeof b));
}

static bool check_for(Verify *v, const Op *o)
{
	const Block *b = o->body;
	if (o->nin < 1 || !is_w(o->in[0]))
		return fault(v, "the count should be w");
	if (b->narg != o->nin || o->nout != o->nin - 1)
		return fault(v, "%d first values, %d carries, %d results", o->nin - 1, b->narg - 1, o->nout);
	for (int i = 0; i < b->narg; i++)
		if (!b->arg[i] || !b->arg[i]->name || !b->arg[i]->type)
			return fault(v, "argument %d has no name or no type", i);
	if (!is_w(b->arg[0]))
		return fault(v, "the counter should be w");
	for (int i = 0; i < o->nout; i++) {
		const Type *t = o->out[i]->type;
		if (t->form != T_REG)
			return fault(v, "result %d is no register", i + 1);
		if (!check_carry(v, o->in[i + 1], t, "first value", i, is_literal(o->in[i + 1])) ||
		    !check_carry(v, b->arg[i + 1], t, "carry", i, false))
			return false;
	}
	return true;
}

static bool check_yield(Verify *v, const Op *o, const Op *loop)
{
	if (!loop || o->nout || o->nin != loop->nout)
		return fault(v, "%d values for %d carries", o->nin, loop ? loop->nout : 0);
	for (int i = 0; i < o->nin; i++)
		if (!check_carry(v, o->in[i], loop->out[i]->type, "value", i, is_literal(o->in[i])))
			return false;
	return true;
}

/* ---- calls ------------------------------------------------------------------------------------------ */

/* Does argument x fit a parameter of type t?  The callee's T is `steps`: the caller's own T, or a number. */
static bool fits_param(Verify *v, const Val *x, const Type *t, const Val *steps)
{
	if (t->form == T_REG)
		return x->type == t;
	if (!is_memory(x) || memory_elem(x->type) != t->elem || x->type->rank != t->rank)
		return false;
	for (int i = 0; i < t->rank; i++) {
		int32_t want = t->dim[i];
		if (want == DIM_T && steps && is_literal(steps))
			want = (int32_t)steps->lit.i;
		else if (want == DIM_T && steps != time_param(v->f))
			return false;
		if (want != x->type->dim[i])
			return false;
	}
	return true;
}

static bool check_call(Verify *v, const Op *o)
{
	const Func *f = o->callee;
	char a[128], b[128];
	if (o->nin != f->nparam || o->nout != f->nret)
		return fault(v, "@%s has %d parameters and %d results, not %d and %d", f->name, f->nparam,
		             f->nret,
		             o->nin, o->nout);
	const Val *steps = time_param(f) ? o->in[o->nin - 1] : 0;
	for (int i = 0; i < o->nin; i++)
		if (!fits_param(v, o->in[i], f->param[i]->type, steps))
			return fault(v, "argument %d is %s, but %%%s of @%s is %s", i + 1,
			             type_text(o->in[i]->type, a, sizeof a), f->param[i]->name, f->name,
			             type_text(f->param[i]->type, b, sizeof b));
	if (o->nout && o->out[0]->type != f->ret[0])
		return fault(v, "the result is %s, but that of @%s is %s",
		             type_text(o->out[0]->type, a, sizeof a), f->name,
		             type_text(f->ret[0], b, sizeof b));
	return true;
}

bool verify_loop_op(Verify *v, const Op *o, const Op *loop)
{
	OpClass k = op_info[o->kind].klass;
	if (k == OC_SCALAR || k == OC_VECTOR)
		return check_row(v, o);
	switch (o->kind) {
	case O_load:
		if (o->nout != 1 || o->nin < 1)
			return fault(v, "has a reference and one result");
		return check_access(v, o, o->out[0], o->nin - 1);
	case O_store: return check_store(v, o);
	case O_view:  return check_view(v, o);
	case O_alloc: return check_alloc(v, o);
	case O_for:   return check_for(v, o);
	case O_yield: return check_yield(v, o, loop);
	case O_call:  return check_call(v, o);
	default:      return fault(v, "not an op of the loop level");
	}
}

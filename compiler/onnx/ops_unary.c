/* ops_unary.c: functions of one operand, element by element: activations, rounding, Clip, PRelu. */
#include "onnx/operators.h"

#include <math.h>

struct Unary {
	OpKind op;              /* when the model runs; some are put together from several (emit_unary) */
	SymOp *whole;           /* on constant integers; the second operand is the same */
	double (*real)(double); /* on constants; 0: left to the run */
	const char *param[2];   /* attributes, and what they are when they are not given */
	float otherwise[2];
	bool logical;           /* takes bool */
};

static SymStatus whole_neg(Sym x, Sym y, Sym *z) { return sym_sub((Sym){ 0, 0 }, x, z); }
static SymStatus whole_relu(Sym x, Sym y, Sym *z) { return sym_max(x, (Sym){ 0, 0 }, z); }
static SymStatus whole_not(Sym x, Sym y, Sym *z) { return sym_equal(x, (Sym){ 0, 0 }, z); }

static SymStatus whole_abs(Sym x, Sym y, Sym *z)
{
	Sym minus;
	SymStatus s = whole_neg(x, x, &minus);
	return s ? s : sym_max(x, minus, z);
}

static SymStatus whole_sign(Sym x, Sym y, Sym *z)
{
	Sym above, below;
	SymStatus s = sym_less((Sym){ 0, 0 }, x, &above), t = sym_less(x, (Sym){ 0, 0 }, &below);
	*z = (Sym){ 0, above.b - below.b };
	return s ? s : t;
}

static double neg(double x) { return -x; }
static double sign(double x) { return (x > 0) - (x < 0); }
static double reciprocal(double x) { return 1 / x; }
static double relu(double x) { return x < 0 ? 0 : x; }

const Unary unary_neg = { .op = O_neg, .whole = whole_neg, .real = neg };
const Unary unary_abs = { .op = O_abs, .whole = whole_abs, .real = fabs };
const Unary unary_sign = { .op = O_where, .whole = whole_sign, .real = sign };
const Unary unary_relu = { .op = O_relu, .whole = whole_relu, .real = relu };
const Unary unary_not = { .op = O_not, .whole = whole_not, .logical = true };
const Unary unary_floor = { .op = O_floor, .real = floor };
const Unary unary_ceil = { .op = O_floor, .real = ceil };
const Unary unary_round = { .op = O_round, .real = rint };
const Unary unary_sqrt = { .op = O_sqrt, .real = sqrt };
const Unary unary_reciprocal = { .op = O_div, .real = reciprocal };
const Unary unary_exp = { .op = O_exp, .real = exp };
const Unary unary_log = { .op = O_log, .real = log };
const Unary unary_erf = { .op = O_erf, .real = erf };
const Unary unary_tanh = { .op = O_tanh, .real = tanh };
const Unary unary_sigmoid = { .op = O_sigmoid };
const Unary unary_softsign = { .op = O_softsign };
const Unary unary_softplus = { .op = O_softplus };
const Unary unary_leakyrelu = { .op = O_leakyrelu, .param = { "alpha" }, .otherwise = { 0.01f } };
const Unary unary_thresholdedrelu = { .op = O_thresholdedrelu, .param = { "alpha" }, .otherwise = { 1 } };
const Unary unary_elu = { .op = O_elu, .param = { "alpha" }, .otherwise = { 1 } };
const Unary unary_hardsigmoid = { .op = O_hardsigmoid, .param = { "alpha", "beta" },
				 .otherwise = { 0.2f, 0.5f } };

static bool fold_unary(Node *n, const Unary *u, const Value *x)
{
	bool exact = u->whole && is_whole(x->type);
	if (!exact && x->steps)
		return sym_fail(n, SYM_PIN);
	if (exact)
		return fold_binary(n, 0, x->type, x, x, u->whole, 0);
	Tensor *t = host_new(n, x->type, x->host->rank, x->host->dim);
	for (int64_t i = 0; t && i < t->count; i++)
		tensor_set(t, i, u->real(tensor_get(x->host, i)));
	if (t)
		set_host(n, 0, t, 0);
	return t;
}

/* c ? a : b for numbers a and b */
static Val *emit_choice(Node *n, Val *c, HostType type, double a, Val *b)
{
	Val *in[] = { c, emit_scalar(n, type, a), b };
	return in[0] && in[1] && in[2] ? op_end(n, op_begin(n, O_where, 3, in)) : 0;
}

static Val *emit_sign(Node *n, Val *x, HostType type)
{
	Val *zero = emit_scalar(n, type, 0);
	Val *above = emit_choice(n, emit2(n, O_less, zero, x), type, 1, zero);
	return emit_choice(n, emit2(n, O_less, x, zero), type, -1, above);
}

static Val *emit_unary(Node *n, const Unary *u, Val *x, HostType type)
{
	if (u == &unary_reciprocal)
		return emit2(n, O_div, emit_scalar(n, H_F32, 1), x);
	if (u == &unary_ceil)
		return emit1(n, O_neg, emit1(n, O_floor, emit1(n, O_neg, x)));
	if (u == &unary_sign)
		return emit_sign(n, x, type);
	Op *o = op_begin(n, u->op, 1, &x);
	for (int i = 0; i < 2 && u->param[i]; i++)
		attr_set_float(n->im->m, o, u->param[i], get_float(n, u->param[i], u->otherwise[i]));
	return op_end(n, o);
}

bool op_unary(Node *n)
{
	const Unary *u = n->row->arg;
	Value *x = n->in[0];
	bool whole = is_whole(x->type);
	if (u->logical != (x->type == H_BOOL) || (whole && !u->whole))
		return fail(n, "the operand is %s", host_name(x->type));
	if (is_small(x->type) && !is_host(x) && u != &unary_relu)
		return fail(n, "the operand is %s, which wraps around; that is supported on constants only",
			    host_name(x->type));
	if (is_host(x) && (whole ? u->whole != 0 : u->real != 0))
		return fold_unary(n, u, x);
	Val *v = operand(n, x);
	if (v)
		v = emit_unary(n, u, v, x->type);
	if (v)
		set_run(n, 0, v, x->type);
	return v;
}

/* ---- Clip ---------------------------------------------------------------------------------- */

/* A bound of Clip: a constant of x's type, or a number known when the model runs. */
typedef struct { bool given; double v; Value *run; } Bound;

static bool read_bound(Node *n, const char *name, int i, Bound *b)
{
	Value *bound = input(n, i);
	*b = (Bound){ .given = bound || get_attr(n, name), .v = (double)get_float(n, name, 0) };
	if (!bound)
		return true;
	if (bound->type != n->in[0]->type)
		return fail(n, "operands are %s and %s", host_name(n->in[0]->type), host_name(bound->type));
	Shape s = shape_of(bound);
	int steps;
	if (shape_const(&s, 0, s.rank, &steps) != 1 || steps || s.rank > shape_of(n->in[0]).rank)
		return fail(n, "operand '%s' must be one number", name);
	if (bound->steps)
		return sym_fail(n, SYM_PIN);
	if (is_host(bound))
		b->v = tensor_get(bound->host, 0);
	else
		b->run = bound;
	return true;
}

static Val *bound_operand(Node *n, const Bound *b, HostType type)
{
	return b->run ? operand(n, b->run) : emit_scalar(n, type, b->v);
}

static Val *emit_clip(Node *n, Val *x, const Bound *lo, const Bound *hi, HostType type)
{
	bool known = !lo->run && !hi->run;
	if (known && lo->given && hi->given && !is_whole(type) && lo->v <= hi->v) {
		Op *o = op_begin(n, O_clip, 1, &x);
		attr_set_float(n->im->m, o, "lo", (float)lo->v);
		attr_set_float(n->im->m, o, "hi", (float)hi->v);
		return op_end(n, o);
	}
	if (known && lo->given && !hi->given && lo->v == 0)
		return emit1(n, O_relu, x);
	if (lo->given)
		x = emit2(n, O_max, x, bound_operand(n, lo, type));
	if (hi->given)
		x = emit2(n, O_min, x, bound_operand(n, hi, type));
	return x;
}

static bool clip_host(Node *n, const Value *x, const Bound *lo, const Bound *hi)
{
	Tensor *t = host_new(n, x->type, x->host->rank, x->host->dim);
	for (int64_t i = 0; t && i < t->count; i++) {
		double v = tensor_get(x->host, i);
		v = lo->given && v < lo->v ? lo->v : v;
		tensor_set(t, i, hi->given && v > hi->v ? hi->v : v);
	}
	if (t)
		set_host(n, 0, t, 0);
	return t;
}

bool op_clip(Node *n)
{
	Value *x = n->in[0];
	Bound lo, hi;
	if (!read_bound(n, "min", 1, &lo) || !read_bound(n, "max", 2, &hi))
		return false;
	if (!lo.given && !hi.given) {
		set_same(n, 0, x);
		return true;
	}
	if (is_host(x) && !x->steps && !lo.run && !hi.run)
		return clip_host(n, x, &lo, &hi);
	Val *v = operand(n, x);
	v = v ? emit_clip(n, v, &lo, &hi, x->type) : 0;
	if (v)
		set_run(n, 0, v, x->type);
	return v;
}

/* ---- PRelu --------------------------------------------------------------------------------- */

bool op_prelu(Node *n)
{
	Value *x = n->in[0], *slope = n->in[1];
	Shape xs = shape_of(x), ss = shape_of(slope), s;
	if (is_whole(x->type) || x->type != slope->type)
		return fail(n, "operands are %s and %s", host_name(x->type), host_name(slope->type));
	if (!broadcast_shapes(n, &xs, &ss, &s))
		return false;
	if (s.rank != xs.rank)
		return fail(n, "the slope has more dimensions than the operand");
	for (int i = 0; i < s.rank; i++)
		if (s.dim[i] != xs.dim[i])
			return fail(n, "the slope is larger than the operand");
	Val *v = operand(n, x), *y;
	if (!v)
		return false;
	if (is_host(slope) && slope->host->count == 1) {
		Op *o = op_begin(n, O_leakyrelu, 1, &v);
		attr_set_float(n->im->m, o, "alpha", (float)tensor_get(slope->host, 0));
		y = op_end(n, o);
	} else {
		Val *below = emit2(n, O_less, v, emit_scalar(n, H_F32, 0));
		Val *in[] = { below, emit2(n, O_mul, v, operand(n, slope)), v };
		y = in[0] && in[1] ? op_end(n, op_begin(n, O_where, 3, in)) : 0;
	}
	if (y)
		set_run(n, 0, y, x->type);
	return y;
}

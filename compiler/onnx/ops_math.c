/* ops_math.c: operators of two or more operands, element by element, broadcast as ONNX does. */
#include "onnx/operators.h"

#include <math.h>
#include <string.h>

struct Math {
	OpKind op;              /* when the model runs; O_NONE: on constants only */
	SymOp *whole;           /* on constants */
	Real2 *real;
	bool logical;           /* the result is bool */
	bool swap;              /* op takes the operands in the other order */
};

static double add(double x, double y) { return x + y; }
static double sub(double x, double y) { return x - y; }
static double mul(double x, double y) { return x * y; }
static double divide(double x, double y) { return x / y; }
static double least(double x, double y) { return isnan(x) || x < y ? x : y; }
static double greatest(double x, double y) { return isnan(x) || x > y ? x : y; }
static double equal(double x, double y) { return x == y; }
static double less(double x, double y) { return x < y; }
static double lesseq(double x, double y) { return x <= y; }

const Math math_add = { O_add, sym_add, add, false, false };
const Math math_sub = { O_sub, sym_sub, sub, false, false };
const Math math_mul = { O_mul, sym_mul, mul, false, false };
const Math math_div = { O_div, sym_div, divide, false, false };
const Math math_mod = { O_NONE, sym_mod, fmod, false, false };
const Math math_pow = { O_pow, sym_pow, pow, false, false };
const Math math_min = { O_min, sym_min, least, false, false };
const Math math_max = { O_max, sym_max, greatest, false, false };
const Math math_mean = { O_add, sym_add, add, false, false };
const Math math_equal = { O_eq, sym_equal, equal, true, false };
const Math math_less = { O_less, sym_less, less, true, false };
const Math math_lesseq = { O_lesseq, sym_lesseq, lesseq, true, false };
const Math math_greater = { O_less, sym_less, less, true, true };
const Math math_greatereq = { O_lesseq, sym_lesseq, lesseq, true, true };
const Math math_and = { O_and, sym_and, 0, true, false };
const Math math_or = { O_or, sym_or, 0, true, false };
const Math math_xor = { O_NONE, sym_xor, 0, true, false };

/* ---- two operands -------------------------------------------------------------------------- */

static bool check_types(Node *n, const Math *m, const Value *a, const Value *b)
{
	if (a->type != b->type && m != &math_pow)
		return fail(n, "operands are %s and %s; they must be alike", host_name(a->type),
			    host_name(b->type));
	bool logic = m == &math_and || m == &math_or || m == &math_xor;
	if (logic != (a->type == H_BOOL) && m != &math_equal)
		return fail(n, "operands are %s", host_name(a->type));
	if (is_small(a->type) && !m->logical && m != &math_min && m != &math_max
	    && !(is_host(a) && is_host(b)))
		return fail(n, "operands are %s, which wraps around; that is supported on constants only",
			    host_name(a->type));
	return true;
}

/* Before opset 7 operands had the same shape, unless an attribute said otherwise. */
static bool check_old(Node *n)
{
	if (n->im->model->opset >= 7)
		return true;
	Shape a = shape_of(n->in[0]), b = shape_of(n->in[1]);
	bool same = a.rank == b.rank && !memcmp(a.dim, b.dim, sizeof *a.dim * (size_t)a.rank);
	if (!same && !get_int(n, "broadcast", 0))
		return fail(n, "operands differ in shape and attribute 'broadcast' is not set");
	if (!same && get_attr(n, "axis") && get_int(n, "axis", 0) != a.rank - b.rank)
		return fail(n, "attribute 'axis' = %lld is not supported here; export with opset 7 or later",
			    (long long)get_int(n, "axis", 0));
	return true;
}

static Val *emit_xor(Node *n, Val *a, Val *b)
{
	Val *x = emit2(n, O_and, a, emit1(n, O_not, b)), *y = emit2(n, O_and, emit1(n, O_not, a), b);
	return emit2(n, O_or, x, y);
}

/* x - x / y * y: the rest has x's sign, or without `fmod` y's. */
static Val *emit_mod(Node *n, Val *x, Val *y, bool fmod)
{
	Val *zero = emit_scalar(n, H_I32, 0);
	Val *r = emit2(n, O_sub, x, emit2(n, O_mul, emit2(n, O_div, x, y), y));
	if (fmod || !r || !zero)
		return r;
	Val *differs = emit_xor(n, emit2(n, O_less, r, zero), emit2(n, O_less, y, zero));
	Val *in[] = { emit2(n, O_and, differs, emit1(n, O_not, emit2(n, O_eq, r, zero))), y, zero };
	return in[0] ? emit2(n, O_add, r, op_end(n, op_begin(n, O_where, 3, in))) : 0;
}

/* x to a constant power that is cheaper otherwise; 0: none such. */
static Val *easy_power(Node *n, const Value *a, const Value *b)
{
	if (!is_host(b) || b->steps || b->host->count != 1 || b->host->rank > shape_of(a).rank)
		return 0;
	double p = tensor_get(b->host, 0), size = fabs(p);
	bool whole = size >= 1 && size <= 8 && size == floor(size);
	Val *y = size == 0.5 ? emit1(n, O_sqrt, a->val) : whole ? a->val : 0;
	for (int i = 1; i < size; i++)
		y = emit2(n, O_mul, y, a->val);
	return y && p < 0 ? emit2(n, O_div, emit_scalar(n, H_F32, 1), y) : y;
}

static Val *emit_math(Node *n, const Math *m, Value *a, Value *b)
{
	Shape as = shape_of(a), bs = shape_of(b), s;
	if (!broadcast_shapes(n, &as, &bs, &s))
		return 0;
	if (m == &math_pow) {
		if (is_whole(a->type) || (is_whole(b->type) && !is_host(b))) {
			fail(n, "powers of integers are supported on constants only");
			return 0;
		}
		Val *y = a->kind == V_RUN ? easy_power(n, a, b) : 0;
		if (y)
			return y;
	}
	Val *x = operand(n, a), *y = operand(n, b);
	if (!x || !y)
		return 0;
	if (m == &math_pow && y->type->elem == E_i32) {
		Tensor *real = host_new(n, H_F32, b->host->rank, b->host->dim);
		for (int64_t i = 0; real && i < real->count; i++)
			tensor_set(real, i, tensor_get(b->host, i));
		y = real ? operand_data(n, b->name, H_F32, real) : 0;
	}
	if (m == &math_xor)
		return emit_xor(n, x, y);
	if (m == &math_mod && is_whole(a->type))
		return emit_mod(n, x, y, get_int(n, "fmod", 0));
	if (m->op == O_NONE) {
		fail(n, "is supported on constants only, but '%s' is computed from the model's inputs",
		     (a->kind == V_RUN ? a : b)->name);
		return 0;
	}
	return m->swap ? emit2(n, m->op, y, x) : emit2(n, m->op, x, y);
}

static bool apply(Node *n, const Math *m, Value *a, Value *b)
{
	HostType type = m->logical ? H_BOOL : a->type;
	if (!check_types(n, m, a, b))
		return false;
	if (is_host(a) && is_host(b))
		return m->swap ? fold_binary(n, 0, type, b, a, m->whole, m->real)
			: fold_binary(n, 0, type, a, b, m->whole, m->real);
	if (m == &math_mul && is_host(b) && !b->steps && !b->host->rank && tensor_get(b->host, 0) == 1) {
		set_same(n, 0, a);
		return true;
	}
	Val *v = 0;
	if (m == &math_add && !(v = fuse_bias(n, a, b)))
		v = fuse_bias(n, b, a);
	if (!v)
		v = emit_math(n, m, a, b);
	if (v)
		set_run(n, 0, v, type);
	return v;
}

bool op_binary(Node *n)
{
	const Math *m = n->row->arg;
	bool reals = !is_whole(n->in[0]->type);
	bool by_sign = get_int(n, "fmod", 0) != 0;
	if (m == &math_mod && reals != by_sign && (reals || all_host(n)))
		return fail(n, "attribute 'fmod' = %lld does not go with operands of type %s",
			    (long long)by_sign, host_name(n->in[0]->type));
	return check_old(n) && apply(n, m, n->in[0], n->in[1]);
}

/* ---- any number of operands ---------------------------------------------------------------- */

/* a op b op c ..., from the left; each partial result stands in for the node's own until the last. */
bool op_nary(Node *n)
{
	const Math *m = n->row->arg;
	if (n->nin == 1 || !n->nout) {
		set_same(n, 0, n->in[0]);
		return true;
	}
	Value *result = n->out[0], *sum = n->in[0];
	for (int i = 1; i < n->nin; i++) {
		if (!n->in[i])
			return fail(n, "operand %d is missing", i);
		Value *next = NEW(n->im->arena, Value);
		next->name = result->name;
		n->out[0] = next;
		if (!apply(n, m, sum, n->in[i]))
			return false;
		sum = next;
	}
	n->out[0] = result;
	if (m == &math_mean) {
		if (is_whole(sum->type))
			return fail(n, "operands are %s", host_name(sum->type));
		Value *count = NEW(n->im->arena, Value);
		Tensor *t = host_new(n, sum->type, 0, 0);
		if (!t)
			return false;
		tensor_set(t, 0, n->nin);
		*count = (Value){ .name = "count", .kind = V_HOST, .type = t->type, .host = t };
		return apply(n, &math_div, sum, count);
	}
	set_same(n, 0, sum);
	return true;
}

/* ---- Where --------------------------------------------------------------------------------- */

bool op_where(Node *n)
{
	Value *c = n->in[0], *a = n->in[1], *b = n->in[2];
	if (c->type != H_BOOL || a->type != b->type)
		return fail(n, "operands are %s, %s and %s; they must be bool and two alike",
			    host_name(c->type),
			    host_name(a->type), host_name(b->type));
	if (all_host(n))
		return fold_where(n, c, a, b);
	Shape cs = shape_of(c), as = shape_of(a), bs = shape_of(b), ab, s;
	if (!broadcast_shapes(n, &as, &bs, &ab) || !broadcast_shapes(n, &cs, &ab, &s))
		return false;
	Val *in[] = { operand(n, c), operand(n, a), operand(n, b) };
	if (!in[0] || !in[1] || !in[2])
		return false;
	Val *v = op_end(n, op_begin(n, O_where, 3, in));
	if (v)
		set_run(n, 0, v, a->type);
	return v;
}

/* infer.c: the types of results of tensor ops.  Shapes are constants or T; T equals only T, and broadcasts
 * against 1 like any size.  Quantized operands count as f32: what they stand for is real. */
#include <stdarg.h>
#include <string.h>

#include "ir/infer.h"

int infer_fail(const Infer *x, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	if (x->nerr)
		vsnprintf(x->err, x->nerr, fmt, ap);
	va_end(ap);
	return -1;
}

const Type *infer_in(const Infer *x, int i)
{
	return i < x->o->nin && x->o->in[i] ? x->o->in[i]->type : 0;
}

Elem plain_elem(const Type *t)
{
	return t->quant ? E_f32 : t->elem;
}

int infer_one(const Infer *x, Elem e, int rank, const int32_t *dim)
{
	x->out[0] = type_tensor(x->m, e, rank, dim);
	return 1;
}

int broadcast(const int32_t *a, int na, const int32_t *b, int nb, int32_t *to)
{
	int n = na > nb ? na : nb;
	for (int i = 0; i < n; i++) {
		int32_t p = i < n - na ? 1 : a[i - (n - na)], q = i < n - nb ? 1 : b[i - (n - nb)];
		if (p != q && p != 1 && q != 1)
			return -1;
		to[i] = p == 1 ? q : p;
	}
	return n;
}

/* An axis attribute; negative ones count from the end. */
bool infer_axis(const Infer *x, const char *name, int64_t otherwise, int rank, int *axis)
{
	int64_t a = attr_int(x->o, name, otherwise);
	if (a < -rank || a >= rank) {
		infer_fail(x, "%s=%lld, but the operand has %d dimensions", name, (long long)a, rank);
		return false;
	}
	*axis = (int)(a < 0 ? a + rank : a);
	return true;
}

/* ---- element by element ------------------------------------------------------------------------- */

static bool want_elem(const Infer *x, int from, Elem e, const char *what)
{
	for (int i = from; i < x->o->nin; i++)
		if (plain_elem(infer_in(x, i)) != e) {
			infer_fail(x, "operand %d is %s; %s", i + 1, elem_name(plain_elem(infer_in(x, i))),
			           what);
			return false;
		}
	return true;
}

/* Operands from `from` on have one element; the result has e, or theirs when e is 0. */
static int infer_elementwise(const Infer *x, int from, Elem e)
{
	char a[128], b[128];
	Elem common = plain_elem(infer_in(x, from));
	if (!want_elem(x, from, common, "all operands have one kind of element"))
		return -1;
	int32_t dim[MAX_RANK];
	int rank = 0;
	for (int i = 0; i < x->o->nin; i++) {
		const Type *t = infer_in(x, i);
		int32_t next[MAX_RANK];
		rank = broadcast(dim, rank, t->dim, t->rank, next);
		if (rank < 0)
			return infer_fail(x, "shapes %s and %s do not broadcast",
			                  type_text(infer_in(x, 0), a, sizeof a),
			                  type_text(t, b, sizeof b));
		memcpy(dim, next, sizeof dim[0] * (size_t)rank);
	}
	return infer_one(x, e ? e : common, rank, dim);
}

static int infer_logical(const Infer *x)
{
	return want_elem(x, 0, E_i32, "logical ops have i32 operands") ? infer_elementwise(x, 0, E_i32) : -1;
}

static int infer_real(const Infer *x)
{
	return want_elem(x, 0, E_f32, "this op wants real operands") ? infer_elementwise(x, 0, E_f32) : -1;
}

static int infer_where(const Infer *x)
{
	if (plain_elem(infer_in(x, 0)) != E_i32)
		return infer_fail(x, "the condition is i32");
	return infer_elementwise(x, 1, 0);
}

/* ---- moving elements ------------------------------------------------------------------------------ */

/* The type the result has already: the op is defined by it. */
static const Type *given(const Infer *x)
{
	if (x->o->nout && x->o->out[0]->type)
		return x->o->out[0]->type;
	infer_fail(x, "needs the type of its result");
	return 0;
}

/* Elements of t as a constant and a power of T. */
static int64_t count_with_t(const Type *t, int *nt)
{
	*nt = 0;
	for (int i = 0; i < t->rank; i++)
		*nt += t->dim[i] == DIM_T;
	return type_count(t, 1);
}

static int infer_reshape(const Infer *x)
{
	const Type *a = infer_in(x, 0), *t = given(x);
	int na, nt;
	if (!t)
		return -1;
	int64_t ca = count_with_t(a, &na), ct = count_with_t(t, &nt);
	if (ca != ct || na != nt) {
		char p[128], q[128];
		return infer_fail(x, "%s and %s differ in their number of elements",
		                  type_text(a, p, sizeof p),
		                  type_text(t, q, sizeof q));
	}
	return infer_one(x, plain_elem(a), t->rank, t->dim);
}

static int infer_cast(const Infer *x)
{
	const Type *a = infer_in(x, 0), *t = given(x);
	return t ? infer_one(x, plain_elem(t), a->rank, a->dim) : -1;
}

static int infer_expand(const Infer *x)
{
	const Type *a = infer_in(x, 0), *t = given(x);
	int32_t dim[MAX_RANK];
	if (!t)
		return -1;
	int rank = broadcast(a->dim, a->rank, t->dim, t->rank, dim);
	Type shape = { .rank = (uint8_t)(rank < 0 ? 0 : rank) };
	memcpy(shape.dim, dim, sizeof dim[0] * shape.rank);
	if (rank < 0 || !type_same_shape(&shape, t)) {
		char p[128], q[128];
		return infer_fail(x, "%s does not broadcast to %s", type_text(a, p, sizeof p),
		                  type_text(t, q, sizeof q));
	}
	return infer_one(x, plain_elem(a), t->rank, t->dim);
}

static int infer_transpose(const Infer *x)
{
	const Type *a = infer_in(x, 0);
	const Attr *perm = attr_find(x->o, "perm");
	int32_t dim[MAX_RANK];
	unsigned seen = 0;
	if (perm && (perm->kind != A_INT || perm->n != a->rank))
		return infer_fail(x, "perm has %d numbers, the operand %d dimensions", perm->n, a->rank);
	for (int i = 0; i < a->rank; i++) {
		int64_t p = perm ? perm->v.i[i] : a->rank - 1 - i;
		if (p < 0 || p >= a->rank || (seen >> p & 1))
			return infer_fail(x, "perm is no permutation");
		seen |= 1u << p;
		dim[i] = a->dim[p];
	}
	return infer_one(x, plain_elem(a), a->rank, dim);
}

static int infer_slice(const Infer *x)
{
	const Type *a = infer_in(x, 0), *t = given(x);
	int axis;
	if (!t || !infer_axis(x, "axis", 0, a->rank, &axis))
		return -1;
	int64_t at = attr_int(x->o, "at", 0), step = attr_int(x->o, "step", 1);
	if (t->rank != a->rank || step == 0)
		return infer_fail(x, step ? "the result has another number of dimensions" : "step is 0");
	int64_t have = a->dim[axis], n = t->dim[axis];
	/* Of T elements: all of them; or one, counted from an end, when at is within any length > 0. */
	bool of_t = have == DIM_T, ok;
	if (!of_t && at < 0)
		at += have;
	if (of_t)
		ok = n == DIM_T ? (step == 1 && at == 0) || (step == -1 && at == -1)
		                : n == 1 && (at == 0 || at == -1);
	else
		ok = n == 0 || (n > 0 && at >= 0 && at < have && step >= -have && step <= have &&
		                at + (n - 1) * step >= 0 && at + (n - 1) * step < have);
	if (!ok)
		return infer_fail(x, "elements %lld, step %lld of axis %d are outside of the operand",
		                  (long long)at,
		                  (long long)step, axis);
	int32_t dim[MAX_RANK];
	memcpy(dim, a->dim, sizeof dim);
	dim[axis] = t->dim[axis];
	return infer_one(x, plain_elem(a), a->rank, dim);
}

static int infer_concat(const Infer *x)
{
	const Type *a = infer_in(x, 0);
	int axis;
	if (!infer_axis(x, "axis", 0, a->rank, &axis))
		return -1;
	if (!want_elem(x, 0, plain_elem(a), "all operands have one kind of element"))
		return -1;
	int64_t sum = 0;
	int32_t dim[MAX_RANK];
	memcpy(dim, a->dim, sizeof dim);
	for (int i = 0; i < x->o->nin; i++) {
		const Type *t = infer_in(x, i);
		if (t->rank == a->rank && t->dim[axis] == DIM_T && x->o->nin > 1)
			return infer_fail(x, "the time axis cannot be joined to another");
		bool same = t->rank == a->rank;
		for (int k = 0; same && k < a->rank; k++)
			same = k == axis || t->dim[k] == a->dim[k];
		if (!same)
			return infer_fail(x, "operand %d has another shape than the first", i + 1);
		sum += t->dim[axis];
	}
	if (sum > INT32_MAX)
		return infer_fail(x, "the result is too large");
	dim[axis] = (int32_t)sum;
	return infer_one(x, plain_elem(a), a->rank, dim);
}

static int infer_gather(const Infer *x)
{
	const Type *a = infer_in(x, 0), *index = infer_in(x, 1);
	int axis;
	if (!infer_axis(x, "axis", 0, a->rank, &axis))
		return -1;
	if (plain_elem(index) != E_i32)
		return infer_fail(x, "indices are i32");
	if (a->rank - 1 + index->rank > MAX_RANK)
		return infer_fail(x, "the result has more than %d dimensions", MAX_RANK);
	if (a->dim[axis] == 0)
		return infer_fail(x, "the table is empty");
	int32_t dim[MAX_RANK];
	int n = 0;
	for (int i = 0; i < a->rank; i++) {
		if (i != axis)
			dim[n++] = a->dim[i];
		for (int k = 0; i == axis && k < index->rank; k++)
			dim[n++] = index->dim[k];
	}
	return infer_one(x, plain_elem(a), n, dim);
}

static int infer_reduce(const Infer *x)
{
	const Type *a = infer_in(x, 0);
	const Attr *axes = attr_find(x->o, "axes");
	bool keep = attr_int(x->o, "keepdims", 1) != 0;
	unsigned over = axes ? 0 : (1u << a->rank) - 1;
	for (int i = 0; axes && i < axes->n; i++) {
		int64_t k = axes->kind == A_INT ? axes->v.i[i] : MAX_RANK;
		if (k < -a->rank || k >= a->rank)
			return infer_fail(x, "axes name a dimension the operand does not have");
		over |= 1u << (k < 0 ? k + a->rank : k);
	}
	int32_t dim[MAX_RANK];
	int n = 0;
	for (int i = 0; i < a->rank; i++)
		if (!(over >> i & 1) || keep)
			dim[n++] = over >> i & 1 ? 1 : a->dim[i];
	return infer_one(x, plain_elem(a), n, dim);
}

static int infer_softmax(const Infer *x)
{
	const Type *a = infer_in(x, 0);
	int axis;
	if (!infer_axis(x, "axis", -1, a->rank, &axis) ||
	    !want_elem(x, 0, E_f32, "this op wants a real operand"))
		return -1;
	return infer_one(x, E_f32, a->rank, a->dim);
}

static int infer_observe(const Infer *x)
{
	const Type *table = infer_in(x, 0);
	int64_t at = attr_int(x->o, "at", 0);
	if (table->elem != E_f32 || table->quant || table->rank != 2 || table->dim[1] != 2)
		return infer_fail(x, "the first operand is a state f32[K,2]");
	if (at < 0 || at >= table->dim[0])
		return infer_fail(x, "at=%lld is no row of the first operand", (long long)at);
	return 0;
}

static int infer_record(const Infer *x)
{
	const Type *table = infer_in(x, 0), *v = infer_in(x, 1);
	if (table->elem != E_f32 || table->quant || table->rank != 2 || table->dim[0] < 1 || table->dim[1] < 1)
		return infer_fail(x, "the first operand is a state f32[N+1,K]");
	if (v->elem != E_f32 || v->quant || !v->rank || v->dim[v->rank - 1] != table->dim[1])
		return infer_fail(x, "the second operand's rows do not fit the first");
	return 0;
}

/* ---- the table ---------------------------------------------------------------------------------- */

static bool check_operands(const Infer *x)
{
	const OpInfo *info = &op_info[x->o->kind];
	bool layer = x->o->kind == O_lstm || x->o->kind == O_gru || x->o->kind == O_rnn;
	int n = x->o->nin;
	if (info->klass == OC_TENSOR && (n < info->min_in || (info->max_in >= 0 && n > info->max_in))) {
		infer_fail(x, "%d operands, but the op has %d to %d", n, info->min_in, info->max_in);
		return false;
	}
	for (int i = 0; i < n; i++) {
		const Val *v = x->o->in[i];
		if (!v && layer && i >= info->min_in)
			continue;
		if (!v || !v->type || v->type->form != T_TENSOR) {
			infer_fail(x, "operand %d %s", i + 1, v ? "is no tensor" : "is missing");
			return false;
		}
	}
	return true;
}

static int infer(const Infer *x)
{
	switch (x->o->kind) {
	case O_lstm: case O_gru: case O_rnn:
		return infer_recurrent(x);
	case O_scan: return infer_scan(x);
	case O_call: return infer_call(x);
	case O_linear: return infer_linear(x);
	case O_matmul: return infer_matmul(x);
	case O_conv: return infer_conv(x);
	case O_pad: return infer_pad(x);
	case O_pick: return infer_pick(x);
	case O_argmax: return infer_argmax(x);
	case O_softmax: case O_logsoftmax:
		return infer_softmax(x);
	case O_add: case O_sub: case O_mul: case O_div: case O_min: case O_max: case O_pow: case O_neg:
	case O_abs: case O_relu: case O_clip:
		return infer_elementwise(x, 0, 0);
	case O_sigmoid: case O_tanh: case O_exp: case O_log: case O_sqrt: case O_erf: case O_affine:
	case O_leakyrelu: case O_thresholdedrelu: case O_scaledtanh: case O_hardsigmoid: case O_elu:
	case O_softsign: case O_softplus: case O_floor: case O_round:
		return infer_real(x);
	case O_eq: case O_less: case O_lesseq:
		return infer_elementwise(x, 0, E_i32);
	case O_and: case O_or: case O_not:
		return infer_logical(x);
	case O_where: return infer_where(x);
	case O_cast: return infer_cast(x);
	case O_reshape: return infer_reshape(x);
	case O_transpose: return infer_transpose(x);
	case O_slice: return infer_slice(x);
	case O_concat: return infer_concat(x);
	case O_gather: return infer_gather(x);
	case O_expand: return infer_expand(x);
	case O_reducesum: case O_reducemean: case O_reducemax: case O_reducemin: case O_reduceprod:
		return infer_reduce(x);
	case O_observe: return infer_observe(x);
	case O_record: return infer_record(x);
	default:
		return infer_fail(x, "is no tensor op");
	}
}

int infer_types(Module *m, const Op *o, const Type **out, char *err, size_t nerr)
{
	Infer x = { m, o, out, err, nerr };
	return check_operands(&x) ? infer(&x) : -1;
}

/* infer_layers.c: result types of the ops with inner products or with a step function. */
#include <string.h>

#include "ir/infer.h"

/* ---- lstm, gru, rnn -------------------------------------------------------------------------------- */

typedef struct { int32_t seq, batch, input, dirs, hidden, gates; bool batch_first; } Layer;

/* Operand i, when it is there, has this shape. */
static bool has_shape(const Infer *x, int i, const char *name, int rank, const int32_t *dim)
{
	const Type *t = infer_in(x, i);
	Type want = { .form = T_TENSOR, .elem = E_f32, .rank = (uint8_t)rank };
	memcpy(want.dim, dim, sizeof *dim * (size_t)rank);
	if (!t)
		return true;
	if (type_same_shape(t, &want))
		return true;
	char a[128], b[128];
	infer_fail(x, "%s is %s; its shape should be that of %s", name, type_text(t, a, sizeof a),
	           type_text(&want, b, sizeof b));
	return false;
}

static bool layer_dims(const Infer *x, Layer *l)
{
	const Type *in = infer_in(x, 0), *w = infer_in(x, 1), *r = infer_in(x, 2);
	if (in->rank != 3 || w->rank != 3 || r->rank != 3) {
		infer_fail(x, "X, W and R have 3 dimensions");
		return false;
	}
	l->batch_first = attr_int(x->o, "layout", 0) != 0;
	l->seq = in->dim[l->batch_first];
	l->batch = in->dim[!l->batch_first];
	l->input = in->dim[2];
	l->dirs = r->dim[0];
	l->hidden = r->dim[2];
	l->gates = x->o->kind == O_lstm ? 4 : x->o->kind == O_gru ? 3 : 1;
	const char *direction = attr_string(x->o, "direction", "forward");
	if (l->batch < 0 || l->input < 0 || l->hidden < 0 || l->dirs < 0) {
		infer_fail(x, "batch, input and hidden sizes are constants");
		return false;
	}
	if (l->hidden > INT32_MAX / 8) {
		infer_fail(x, "hidden size %d is too large", l->hidden);
		return false;
	}
	if (attr_int(x->o, "hidden", l->hidden) != l->hidden) {
		infer_fail(x, "hidden=%lld, but R has %d columns", (long long)attr_int(x->o, "hidden", 0),
		           l->hidden);
		return false;
	}
	if (l->dirs != (!strcmp(direction, "bidirectional") ? 2 : 1)) {
		infer_fail(x, "direction=\"%s\", but R has %d directions", direction, l->dirs);
		return false;
	}
	return true;
}

int infer_recurrent(const Infer *x)
{
	Layer l;
	if (!layer_dims(x, &l))
		return -1;
	int32_t rows = l.gates * l.hidden;
	int32_t state[3] = { l.batch_first ? l.batch : l.dirs, l.batch_first ? l.dirs : l.batch, l.hidden };
	if (!has_shape(x, 1, "W", 3, (int32_t[]){ l.dirs, rows, l.input }) ||
	    !has_shape(x, 2, "R", 3, (int32_t[]){ l.dirs, rows, l.hidden }) ||
	    !has_shape(x, 3, "B", 2, (int32_t[]){ l.dirs, 2 * rows }) ||
	    !has_shape(x, 4, "sequence_lens", 1, &l.batch) || !has_shape(x, 5, "initial_h", 3, state) ||
	    !has_shape(x, 6, "initial_c", 3, state) ||
	    !has_shape(x, 7, "P", 2, (int32_t[]){ l.dirs, 3 * l.hidden }))
		return -1;
	for (int i = 0; i < x->o->nin; i++)
		if (infer_in(x, i) && plain_elem(infer_in(x, i)) != (i == 4 ? E_i32 : E_f32))
			return infer_fail(x, "operand %d should be %s", i + 1, i == 4 ? "i32" : "real");
	int32_t y[4] = { l.seq, l.dirs, l.batch, l.hidden };
	int32_t y_first[4] = { l.batch, l.seq, l.dirs, l.hidden };
	x->out[0] = type_tensor(x->m, E_f32, 4, l.batch_first ? y_first : y);
	x->out[1] = type_tensor(x->m, E_f32, 3, state);
	x->out[2] = x->out[1];
	return x->o->kind == O_lstm ? 3 : 2;
}

/* ---- inner products -------------------------------------------------------------------------------- */

int infer_linear(const Infer *x)
{
	const Type *a = infer_in(x, 0), *w = infer_in(x, 1), *b = infer_in(x, 2);
	char p[128], q[128];
	if (w->rank != 2 || type_has_t(w))
		return infer_fail(x, "W has two dimensions, both constant");
	if (a->rank < 1 || a->dim[a->rank - 1] != w->dim[1])
		return infer_fail(x, "%s and W %s differ in their last dimension", type_text(a, p, sizeof p),
		                  type_text(w, q, sizeof q));
	for (int i = 0; i < x->o->nin; i++)
		if (plain_elem(infer_in(x, i)) != E_f32)
			return infer_fail(x, "operand %d should be real", i + 1);
	int32_t dim[MAX_RANK];
	memcpy(dim, a->dim, sizeof dim);
	dim[a->rank - 1] = w->dim[0];
	Type want = { .form = T_TENSOR, .elem = E_f32, .rank = a->rank };
	memcpy(want.dim, dim, sizeof dim);
	if (b && !(b->rank == 1 && b->dim[0] == w->dim[0]) && !type_same_shape(b, &want))
		return infer_fail(x,
		                  "the third operand is %s; it should be a bias [%d], or an addend like the result %s",
		                  type_text(b, p, sizeof p), w->dim[0], type_text(&want, q, sizeof q));
	return infer_one(x, E_f32, a->rank, dim);
}

int infer_matmul(const Infer *x)
{
	const Type *a = infer_in(x, 0), *b = infer_in(x, 1);
	char p[128], q[128];
	if (a->rank < 2 || b->rank < 2)
		return infer_fail(x, "both operands have at least two dimensions");
	if (plain_elem(a) != plain_elem(b))
		return infer_fail(x, "operands are %s and %s", elem_name(plain_elem(a)),
		                  elem_name(plain_elem(b)));
	int32_t dim[MAX_RANK];
	int n = broadcast(a->dim, a->rank - 2, b->dim, b->rank - 2, dim);
	if (n < 0 || a->dim[a->rank - 1] != b->dim[b->rank - 2])
		return infer_fail(x, "shapes %s and %s do not fit", type_text(a, p, sizeof p),
		                  type_text(b, q, sizeof q));
	dim[n] = a->dim[a->rank - 2];
	dim[n + 1] = b->dim[b->rank - 1];
	return infer_one(x, plain_elem(a), n + 2, dim);
}

/* ---- scan and call --------------------------------------------------------------------------------- */

static int64_t list_int(const Op *o, const char *name, int i, int64_t otherwise)
{
	const Attr *a = attr_find(o, name);
	return a && a->kind == A_INT && i < a->n ? a->v.i[i] : otherwise;
}

static bool keeps_all(const Op *o, int i)
{
	const Attr *a = attr_find(o, "keep");
	return !(a && a->kind == A_STRING && i < a->n && !strcmp(a->v.s[i], "last"));
}

/* Is `slice` the shape of `whole` with this axis dropped, or of size 1? */
static bool is_step_of(const Type *slice, const Type *whole, int axis)
{
	bool dropped = slice->rank == whole->rank - 1;
	if (!dropped && slice->rank != whole->rank)
		return false;
	for (int i = 0; i < whole->rank; i++) {
		int32_t want = whole->dim[i];
		if (i == axis) {
			if (!dropped && slice->dim[i] != 1)
				return false;
		} else if (slice->dim[i - (dropped && i > axis)] != want) {
			return false;
		}
	}
	return slice->quant == whole->quant && slice->elem == whole->elem;
}

/* The sequences' slices are the first parameters; all have one length, which goes to *steps. */
static bool check_sequences(const Infer *x, int nseq, int32_t *steps)
{
	const Func *f = x->o->callee;
	char a[128], b[128];
	for (int i = 0; i < nseq; i++) {
		const Type *t = infer_in(x, i);
		int64_t axis = list_int(x->o, "axis", i, 0);
		if (axis < 0 || axis >= t->rank) {
			infer_fail(x, "sequence %d has no axis %lld", i + 1, (long long)axis);
			return false;
		}
		if (i && t->dim[axis] != *steps) {
			infer_fail(x, "sequences differ in length");
			return false;
		}
		*steps = t->dim[axis];
		if (!is_step_of(f->param[i]->type, t, (int)axis)) {
			infer_fail(x, "sequence %d is %s, but a step of @%s takes %s", i + 1,
			           type_text(t, a, sizeof a),
			           f->name, type_text(f->param[i]->type, b, sizeof b));
			return false;
		}
	}
	return true;
}

/* Operands from `from` on have exactly the types of these values. */
static bool check_same(const Infer *x, int from, Val *const *v, int n, const char *what)
{
	char a[128], b[128];
	for (int i = 0; i < n; i++)
		if (infer_in(x, from + i) != v[i]->type) {
			infer_fail(x, "operand %d is %s, but %s %%%s of @%s is %s", from + i + 1,
			           type_text(infer_in(x, from + i), a, sizeof a), what,
			           v[i]->name, x->o->callee->name,
			           type_text(v[i]->type, b, sizeof b));
			return false;
		}
	return true;
}

/* Result i of the callee, stacked along an axis that is new, or of size 1 in it: the result's own type says
 * which. */
static const Type *stacked(const Infer *x, int i, int32_t steps)
{
	const Type *t = x->o->callee->ret[i];
	int64_t axis = list_int(x->o, "out_axis", i, 0);
	const Type *have = i < x->o->nout ? x->o->out[i]->type : 0;
	int32_t dim[MAX_RANK + 1];
	bool same_rank = have ? have->rank == t->rank : t->rank == MAX_RANK;
	if (axis < 0 || axis > t->rank - same_rank || (!same_rank && t->rank == MAX_RANK) ||
	    (same_rank && t->dim[axis] != 1)) {
		infer_fail(x, "result %d cannot be stacked along axis %lld", i + 1, (long long)axis);
		return 0;
	}
	memcpy(dim, t->dim, sizeof dim[0] * MAX_RANK);
	if (!same_rank)
		memmove(dim + axis + 1, dim + axis, sizeof dim[0] * (size_t)(t->rank - axis));
	dim[axis] = steps;
	return type_like(x->m, t, t->rank + !same_rank, dim);
}

int infer_scan(const Infer *x)
{
	const Op *o = x->o;
	const Func *f = o->callee;
	int64_t nseq = attr_int(o, "seq", 0), ninit = attr_int(o, "init", 0);
	int32_t steps = 0;
	if (!f)
		return infer_fail(x, "has no function");
	if (nseq < 1 || ninit < 0 || ninit > f->nstate || nseq + ninit > o->nin)
		return infer_fail(x, "seq=%lld and init=%lld do not fit %d operands and %d states of @%s",
		                  (long long)nseq,
		                  (long long)ninit, o->nin, f->nstate, f->name);
	int s = (int)nseq, k = (int)ninit;
	if (o->nin - k != f->nparam)
		return infer_fail(x, "@%s has %d parameters, but there are %d sequences and invariants",
		                  f->name, f->nparam,
		                  o->nin - k);
	if (!check_sequences(x, s, &steps) || !check_same(x, s, f->state, k, "state") ||
	    !check_same(x, s + k, f->param + s, f->nparam - s, "parameter"))
		return -1;
	for (int i = 0; i < f->nret; i++)
		if (!(x->out[i] = keeps_all(o, i) ? stacked(x, i, steps) : f->ret[i]))
			return -1;
	for (int i = 0; i < k; i++)
		x->out[f->nret + i] = f->state[i]->type;
	return f->nret + k;
}

int infer_call(const Infer *x)
{
	const Func *f = x->o->callee;
	if (!f)
		return infer_fail(x, "has no function");
	if (x->o->nin != f->nparam)
		return infer_fail(x, "@%s has %d parameters, not %d", f->name, f->nparam, x->o->nin);
	if (!check_same(x, 0, f->param, f->nparam, "parameter"))
		return -1;
	for (int i = 0; i < f->nret; i++)
		x->out[i] = f->ret[i];
	return f->nret;
}

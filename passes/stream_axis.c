/* stream_axis.c: how the time axis passes through an op.
 *
 * An op works step by step when each step of its result needs only the same step of its operands: the
 * time axis must survive it, whole and alone. */
#include "passes/stream.h"

#include <string.h>

int operand_time(const Stream *s, const Val *v)
{
	return !v || v->data || is_literal(v) ? CONSTANT : s->time[v->id];
}

/* An attribute that names an axis, counted from the front. */
static int axis_attr(const Op *o, const char *name, int otherwise, int rank)
{
	int64_t a = attr_int(o, name, otherwise);
	return (int)(a < 0 ? a + rank : a);
}

static int rank_of(const Op *o, int k)
{
	return o->in[k]->type->rank;
}

static int through_linear(const Op *o, int k, int a)
{
	if (k == 1 || (k == 0 && a == rank_of(o, 0) - 1))
		return WHOLE;
	return a + o->out[0]->type->rank - rank_of(o, k);
}

static int through_matmul(const Op *o, int k, int a)
{
	int rank = rank_of(o, k), out = o->out[0]->type->rank;
	bool summed = a == (k == 0 || rank == 1 ? rank - 1 : rank - 2);
	if (summed || rank_of(o, !k) == 1)
		return WHOLE;
	return a + out - rank;
}

/* The time axis stays a factor of its own: as much lies before it as did. */
static int through_reshape(const Op *o, int a, int32_t steps)
{
	const Type *from = o->in[0]->type, *to = o->out[0]->type;
	int64_t before = 1, p = 1;
	for (int i = 0; i < a; i++)
		before *= from->dim[i];
	for (int i = 0; i < to->rank; i++) {
		if (p == before && to->dim[i] == steps)
			return i;
		p *= to->dim[i];
	}
	return WHOLE;
}

static int through_transpose(const Op *o, int a)
{
	const Attr *perm = attr_find(o, "perm");
	int rank = rank_of(o, 0);
	if (!perm)
		return rank - 1 - a;
	for (int i = 0; i < perm->n; i++)
		if (perm->v.i[i] == a)
			return i;
	return WHOLE;
}

static bool index_is_last(int64_t i, int32_t steps)
{
	return i == -1 || (steps != DIM_T && i == steps - 1);
}

bool is_slice_along(const Op *o, int a)
{
	return o->kind == O_slice && axis_attr(o, "axis", 0, rank_of(o, 0)) == a;
}

/* Along the time axis: just the last step, or all of them in order. */
static int through_slice(const Op *o, int a, int32_t steps)
{
	if (!is_slice_along(o, a))
		return a;
	int64_t at = attr_int(o, "at", 0);
	int32_t n = o->out[0]->type->dim[a];
	if (n == 1 && index_is_last(at, steps))
		return LAST;
	return at == 0 && attr_int(o, "step", 1) == 1 && n == steps ? a : WHOLE;
}

static int through_gather(const Op *o, int k, int a, int32_t steps)
{
	int axis = axis_attr(o, "axis", 0, rank_of(o, 0));
	if (k == 1)
		return axis + a;
	if (a == axis) {
		const Data *index = o->in[1]->data;
		bool last = index && index->size == 4 && index_is_last(*(const int32_t *)index->bytes, steps);
		return last ? LAST : WHOLE;
	}
	return a < axis ? a : a + rank_of(o, 1) - 1;
}

static int through_reduce(const Op *o, int a)
{
	const Attr *axes = attr_find(o, "axes");
	int rank = rank_of(o, 0), gone = 0;
	if (!axes)
		return WHOLE;
	for (int i = 0; i < axes->n; i++) {
		int64_t x = axes->v.i[i] < 0 ? axes->v.i[i] + rank : axes->v.i[i];
		if (x == a)
			return WHOLE;
		gone += x < a;
	}
	return attr_int(o, "keepdims", 1) ? a : a - gone;
}

static bool is_elementwise(const Op *o)
{
	return o->kind >= O_add && o->kind <= O_cast;   /* the section of that name in ops.def */
}

int axis_through(const Op *o, int k, int a, int32_t steps)
{
	if (is_elementwise(o) || o->kind == O_expand)
		return a + o->out[0]->type->rank - rank_of(o, k);
	switch (o->kind) {
	case O_linear:
		return through_linear(o, k, a);
	case O_matmul:
		return through_matmul(o, k, a);
	case O_softmax: case O_logsoftmax:
		return axis_attr(o, "axis", -1, rank_of(o, 0)) == a ? WHOLE : a;
	case O_reshape:
		return through_reshape(o, a, steps);
	case O_transpose:
		return through_transpose(o, a);
	case O_slice:
		return through_slice(o, a, steps);
	case O_concat:
		return axis_attr(o, "axis", 0, rank_of(o, 0)) == a ? WHOLE : a;
	case O_gather:
		return through_gather(o, k, a, steps);
	case O_reducesum: case O_reducemean: case O_reducemax: case O_reducemin: case O_reduceprod:
		return through_reduce(o, a);
	default:
		return WHOLE;
	}
}

/* Is constant operand k the same for all steps of a result whose time axis is a? */
static bool same_for_all_steps(const Op *o, int k, int a)
{
	const Type *t = o->in[k]->type;
	int rank = o->out[0]->type->rank, at = a - (rank - t->rank);
	if (o->kind == O_concat)
		return false;
	if (o->kind == O_gather || (o->kind == O_linear && k == 1))
		return true;
	if (o->kind == O_matmul && a >= rank - 2)       /* rows of one operand; the other has none there */
		return true;
	return at < 0 || t->dim[at] == 1;
}

/* T appears in t just as its time axis says. */
static bool fits(const Stream *s, const Type *t, int time)
{
	if (time >= 0 && (time >= t->rank || t->dim[time] != s->steps))
		return false;
	for (int i = 0; i < t->rank; i++)
		if (t->dim[i] == DIM_T && i != time)
			return false;
	return true;
}

/* Constants spread over T are not constant any more: they have a time axis. */
static int spread(const Op *o)
{
	const Type *t = o->out[0]->type;
	for (int i = 0; o->kind == O_expand && i < t->rank; i++)
		if (t->dim[i] == DIM_T && same_for_all_steps(o, 0, i))
			return i;
	return CONSTANT;
}

int result_time(const Stream *s, const Op *o)
{
	int time = CONSTANT;
	for (int k = 0; k < o->nin; k++) {
		int a = operand_time(s, o->in[k]);
		if (a == CONSTANT)
			continue;
		int r = a == LAST ? LAST : axis_through(o, k, a, s->steps);
		if (r == WHOLE || (time != CONSTANT && time != r))
			return WHOLE;
		time = r;
	}
	if (time == CONSTANT)
		time = spread(o);
	for (int k = 0; time >= 0 && k < o->nin; k++)
		if (o->in[k] && operand_time(s, o->in[k]) == CONSTANT && o->kind != O_expand
		    && !same_for_all_steps(o, k, time))
			return WHOLE;
	return fits(s, o->out[0]->type, time) ? time : WHOLE;
}

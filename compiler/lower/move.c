/* move.c: ops that only say which element is where.  Most change an Access and emit nothing. */
#include "lower/stored.h"

#include <math.h>
#include <string.h>

/* Axes of one element come and go without a copy: true, with the Access changed, when no other changes. */
static bool squeeze(Access *a, const Type *to)
{
	const Type *t = a->type;
	int8_t at[MAX_RANK];
	int k = 0;
	for (int d = 0; d < t->rank; d++) {
		at[d] = -1;
		if (t->dim[d] == 1)
			continue;
		while (k < to->rank && to->dim[k] == 1)
			k++;
		if (k == to->rank || to->dim[k] != t->dim[d])
			return false;
		at[d] = (int8_t)k++;
	}
	while (k < to->rank)
		if (to->dim[k++] != 1)
			return false;
	for (int d = 0; d < a->base->type->rank; d++)
		if (a->from[d] >= 0)
			a->from[d] = at[a->from[d]];
	a->type = to;
	return true;
}

static void lower_reshape(Frame *fr, Op *o)
{
	Val *y = o->out[0];
	Access a = access_of(fr, o->in[0]);
	if (!access_contiguous(&a) && squeeze(&a, y->type)) {
		set_access(fr, y, a);
		return;
	}
	Val *ref = access_ref(fr, a);
	const Type *want = ref_type(fr->l->m, y->type);
	if (ref->type != want) {
		Val *in[1 + MAX_RANK];
		in[0] = ref;
		for (int d = 0; d < ref->type->rank; d++)
			in[d + 1] = e_w(fr, 0);
		Op *view = op_new(fr->l->m, fr->b, O_view, 1 + ref->type->rank, in);
		ref = op_out(fr->l->m, fr->f, view, 0, want);
	}
	set_access(fr, y, access_whole(fr, ref, y->type));
}

static void lower_transpose(Frame *fr, Op *o)
{
	const Attr *perm = attr_find(o, "perm");
	set_access(fr, o->out[0], access_permute(access_of(fr, o->in[0]), o->out[0]->type, perm->v.i));
}

/* at < 0 counts from the end; on a T axis that is T + at. */
static void lower_slice(Frame *fr, Op *o)
{
	int axis = (int)attr_int(o, "axis", 0);
	int64_t at = attr_int(o, "at", 0), step = attr_int(o, "step", 1);
	int32_t n = o->in[0]->type->dim[axis];
	Index i = {.c = at};
	if (at < 0 && n == DIM_T)
		i.t = 1;
	else if (at < 0)
		i.c += n;
	set_access(fr, o->out[0], access_slice(access_of(fr, o->in[0]), o->out[0]->type, axis, i, (int32_t)step));
}

/* ---- copies with a conversion of scale -------------------------------------------------------------------------- */

typedef struct { Access from, to; } Convert;

static void convert_one(Frame *fr, Val *const *idx, void *arg)
{
	Convert *c = arg;
	Num n = num_load(fr, access_load(fr, &c->from, idx), c->from.type);
	access_store(fr, &c->to, idx, num_store(fr, n, c->to.type));
}

static void lower_concat(Frame *fr, Op *o)
{
	int axis = (int)attr_int(o, "axis", 0);
	Access y = place_result(fr, o->out[0]);
	Index at = {0};
	for (int i = 0; i < o->nin; i++) {
		const Type *t = o->in[i]->type;
		const Type *part = type_like(fr->l->m, o->out[0]->type, t->rank, t->dim);
		Convert c = {access_of(fr, o->in[i]), access_slice(y, part, axis, at, 1)};
		if (t->quant && (t->quant->rows || part->quant->rows)) {
			e_fail(fr, o, "row scales are not supported here");
			return;
		}
		e_nest(fr, t, t->rank, convert_one, &c);
		if (t->dim[axis] == DIM_T)
			at.t++;
		else
			at.c += t->dim[axis];
	}
}

/* ---- gather -------------------------------------------------------------------------------------------------- */

typedef struct {
	Op *o;
	Access table, index, y;
	int axis, nidx;         /* rank of the indices */
	int bits;               /* of packed table fields, 0: plain elements */
	Func *field;
	Val *packed;
	StoredWeights *stored;  /* the table in a stored form, or 0 */
	Data *rows;             /* row scales of the table, times 2^up; stored: its different scales */
	int up;
} Gather;

Val *clamp_index(Frame *fr, Val *i, Val *n, Val **bad)
{
	const Type *w = reg_w(fr);
	Val *neg = e_op(fr, O_ltw, w, 2, i, e_w(fr, 0));
	Val *j = e_op(fr, O_selw, w, 3, neg, e_op(fr, O_addw, w, 2, i, n), i);
	Val *last = e_op(fr, O_subw, w, 2, n, e_w(fr, 1));
	Val *k = e_op(fr, O_maxw, w, 2, e_op(fr, O_minw, w, 2, j, last), e_w(fr, 0));
	Val *same = e_op(fr, O_eqw, w, 2, j, k);
	*bad = e_op(fr, O_xorw, w, 2, same, e_w(fr, 1));        /* GF_RANGE is 1 */
	return k;
}

static Val *table_element(Frame *fr, Gather *g, Val *const *idx)
{
	if (!g->bits)
		return access_load(fr, &g->table, idx);
	Val *in[3] = {g->packed, idx[0], idx[1]};
	Op *o = op_new(fr->l->m, fr->b, O_call, 3, in);
	o->callee = g->field;
	return op_out(fr->l->m, fr->f, o, 0, reg_w(fr));
}

typedef struct { Gather *g; Val *const *outer; Val *row, *scale; Access decoded; } Inner;

static void gather_one(Frame *fr, Val *const *idx, void *arg)
{
	Inner *in = arg;
	Gather *g = in->g;
	int rank = g->o->in[0]->type->rank, axis = g->axis;
	Val *t[MAX_RANK], *y[MAX_RANK];
	/* idx: the table's axes without `axis`; result axes: before axis, the indices', behind axis */
	for (int d = 0, k = 0; d < rank; d++)
		t[d] = d == axis ? in->row : idx[k++];
	for (int d = 0; d < axis; d++)
		y[d] = idx[d];
	for (int d = 0; d < g->nidx; d++)
		y[axis + d] = in->outer[d];
	for (int d = axis; d < rank - 1; d++)
		y[g->nidx + d] = idx[d];
	Val *q = g->stored ? access_load(fr, &in->decoded, t + 1) : table_element(fr, g, t);
	Num n = num_load(fr, q, g->o->in[0]->type);
	const Type *yt = g->o->out[0]->type;
	if (g->rows) {          /* integer multiplier of the row: (q * m + half) >> up */
		Val *m = e_op(fr, O_load, reg_w(fr), 2, val_data(fr->l->m, g->rows), in->scale);
		Val *p = e_op(fr, O_mulwl, reg_l(fr), 2, n.v, m);
		p = e_op(fr, O_addl, reg_l(fr), 2, p, e_l(fr, (int64_t)1 << (g->up - 1)));
		n.v = e_op(fr, O_sarl, reg_l(fr), 2, p, e_w(fr, g->up));
		n.lo = -0x1p40, n.hi = 0x1p40, n.scale = yt->quant->scale;
	}
	access_store(fr, &g->y, y, num_store(fr, n, yt));
}

/* One index: reported even where it picks nothing. */
static Val *gather_index(Frame *fr, Gather *g, Val *const *idx)
{
	const Type *t = g->o->in[0]->type;
	Val *bad, *i = access_load(fr, &g->index, idx);
	if (i->type->elem == E_i64)
		i = e_op(fr, O_truncw, reg_w(fr), 1, i);
	Inner in = {g, idx, clamp_index(fr, i, e_dim(fr, t->dim[g->axis]), &bad), 0, {0}};
	in.scale = in.row;
	if (g->stored) {
		Val *row;
		in.scale = stored_row(fr, g->stored, in.row, &row);
		in.decoded = access_whole(fr, row, type_tensor(fr->l->m, E_i8, 1, &t->dim[1]));
	}
	int32_t rest[MAX_RANK];
	for (int d = 0, k = 0; d < t->rank; d++)
		if (d != g->axis)
			rest[k++] = t->dim[d];
	const Type *shape = type_like(fr->l->m, t, t->rank - 1, rest);
	e_nest(fr, shape, shape->rank, gather_one, &in);
	return bad;
}

/* Nested loops over the indices that carry the status along. */
static Val *gather_nest(Frame *fr, Gather *g, int d, Val **idx, Val *status)
{
	const Type *t = g->o->in[1]->type;
	if (d == t->rank)
		return e_op(fr, O_orw, reg_w(fr), 2, status, gather_index(fr, g, idx));
	Block *outer = fr->b;
	Op *loop = e_for(fr, e_dim(fr, t->dim[d]), "g", 1, &status);
	idx[d] = loop->body->arg[0];
	Val *s = gather_nest(fr, g, d + 1, idx, loop->body->arg[1]);
	e_end(fr, loop, outer, &s);
	return loop->out[0];
}

/* Row scales become multipliers to the result's one scale, of at most 31 bits. */
static Data *row_multipliers(Frame *fr, const Gather *g, const Type *table, const Type *y, int *up)
{
	const Data *rows = table->quant->rows;
	const Stored *form = g->stored ? g->stored->form : 0;
	int32_t M = form && form->nscale ? form->nscale : table->dim[0];
	float *scale = NEWN(fr->l->m->arena, float, M);
	for (int32_t i = 0; i < M; i++)
		scale[i] = ((const float *)rows->bytes)[form && form->nscale ? form->scale_row[i] : i];
	double most = 0;
	for (int32_t i = 0; i < M; i++)
		most = fmax(most, scale[i] / (double)y->quant->scale);
	for (*up = 24; *up > 1 && ldexp(most, *up) >= 0x1p30;)
		--*up;
	Data *d = data_new(fr->l->m, arena_printf(fr->l->m->arena, "%s_gather", rows->name), type_tensor(fr->l->m, E_i32, 1, &M));
	for (int32_t i = 0; i < M; i++)
		((int32_t *)d->bytes)[i] = (int32_t)fmin(ldexp(scale[i] / (double)y->quant->scale, *up) + 0.5, 0x7fffffff);
	return d;
}

static void lower_gather(Frame *fr, Op *o)
{
	const Type *t = o->in[0]->type;
	Gather g = {.o = o, .axis = (int)attr_int(o, "axis", 0), .nidx = o->in[1]->type->rank};
	int bits = o->in[0]->data && t->quant && t->rank == 2 ? pack_width(o->in[0]->data) : elem_bits(t->elem);
	if (t->quant && t->quant->book) {
		e_fail(fr, o, "a table with a code book is not supported");
		return;
	}
	if (t->quant && t->quant->rows) {
		if (g.axis) {
			e_fail(fr, o, "a table with row scales must be gathered along axis 0");
			return;
		}
	}
	if (o->in[0]->data && t->quant && fr->l->opt->storage)
		g.stored = stored_weights(fr, o->in[0]->data);
	if (t->quant && t->quant->rows)
		g.rows = row_multipliers(fr, &g, t, o->out[0]->type, &g.up);
	if (o->in[0]->data && t->quant && t->rank == 2 && bits < 8 && !g.stored) {
		Data *p = pack_bits(fr->l, o->in[0]->data, bits);
		Sym sym[] = {{"M", sym_int(fr->l, t->dim[0])}, {"ROW", sym_int(fr->l, p->type->dim[1])},
		             {"BITS", sym_int(fr->l, bits)}, {"UP", sym_int(fr->l, 32 - bits)}};
		g.bits = bits;
		g.packed = val_data(fr->l->m, p);
		g.field = field_function(fr->l, o->in[0]->data, 4, sym);
	}
	g.table = access_of(fr, o->in[0]);
	g.index = access_of(fr, o->in[1]);
	g.y = place_result(fr, o->out[0]);
	Val *idx[MAX_RANK];
	Val *s = gather_nest(fr, &g, 0, idx, e_w(fr, 0));
	e_or_status(fr, s);
}

bool lower_move(Frame *fr, Op *o)
{
	switch (o->kind) {
	case O_reshape: lower_reshape(fr, o); return true;
	case O_transpose: lower_transpose(fr, o); return true;
	case O_slice: lower_slice(fr, o); return true;
	case O_expand: set_access(fr, o->out[0], access_broadcast(fr, access_of(fr, o->in[0]), o->out[0]->type)); return true;
	case O_concat: lower_concat(fr, o); return true;
	case O_gather: lower_gather(fr, o); return true;
	default: return false;
	}
}

/* observe.c: calibration.  Widen one row [least, greatest] of a state by all elements of a value; keep a value's
 * rows in a state, for the host to read. */
#include "lower/lower.h"

typedef struct { Access x; Val *stat; Val *row; } Observe;

static void one(Frame *fr, Val *const *idx, void *arg)
{
	Observe *w = arg;
	Val *v = access_load(fr, &w->x, idx);
	for (int i = 0; i < 2; i++) {
		Val *old = e_op(fr, O_load, reg_s(fr), 3, w->stat, w->row, e_w(fr, i));
		Val *new = e_op(fr, i ? O_maxs : O_mins, reg_s(fr), 2, v, old);
		Val *in[4] = {w->stat, new, w->row, e_w(fr, i)};
		op_new(fr->l->m, fr->b, O_store, 4, in);
	}
}

void lower_observe(Frame *fr, Op *o)
{
	Observe w = {access_of(fr, o->in[1]), access_of(fr, o->in[0]).base, e_w(fr, attr_int(o, "at", 0))};
	e_nest(fr, o->in[1]->type, o->in[1]->type->rank, one, &w);
}

/* ---- rows as they are ------------------------------------------------------------------------------------- */

typedef struct { Access x; Func *f; Val *rec; } Record;

static void one_row(Frame *fr, Val *const *idx, void *arg)
{
	Record *w = arg;
	Val *in[2] = {w->x.type->rank == 1 ? access_ref(fr, w->x) : access_row(fr, &w->x, idx), w->rec};
	e_call(fr, w->f, 2, in);
}

void lower_record(Frame *fr, Op *o)
{
	const Type *t = o->in[1]->type, *rec = o->in[0]->type;
	Lower *l = fr->l;
	Sym sym[] = {{"K", sym_int(l, rec->dim[1])}, {"N1", sym_int(l, rec->dim[0])}};
	Record w = {access_of(fr, o->in[1]), kernel_get(l, "record_f32", l->isa, 2, sym), access_of(fr, o->in[0]).base};
	if (!w.f) {
		fr->failed = true;
		return;
	}
	if (!access_rows_contiguous(&w.x))
		w.x = access_whole(fr, access_ref(fr, w.x), w.x.type);
	e_nest(fr, t, t->rank - 1, one_row, &w);
}

/* observe.c: calibration.  Widen one row [least, greatest] of a state by all elements of a value. */
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

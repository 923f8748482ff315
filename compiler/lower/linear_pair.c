/* linear_pair.c: the two products of a recurrent cell, g = linear h, R, (linear x, W, b), as one kernel.
 *
 * The first op is put off until the second comes.  A hidden state of the model, `turn`, changes with each step: the kernel walks
 * the rows upward and downward in turn, because what the last step touched last is still in the cache.  The numbers do
 * not depend on it.  Every body keeps the state, so that all bodies have the same states. */
#include "lower/stored.h"

#include <string.h>

static bool one_row(const Type *t)
{
	for (int d = 0; d + 1 < t->rank; d++)
		if (t->dim[d] != 1)
			return false;
	return true;
}

static bool is_state(const Func *f, const Val *v)
{
	for (int i = 0; i < f->nstate; i++)
		if (f->state[i] == v)
			return true;
	return false;
}

static bool fits(Frame *fr, const Op *o, Linear *n)
{
	const Val *W = o->in[1];
	return W->data && W->type->quant && o->in[0]->type->quant && o->out[0]->type->quant && one_row(o->in[0]->type)
	       && elem_bits(W->type->elem) == 8 && W->type->dim[0] % 64 == 0
	       && linear_init(n, o, ident(fr->l->m->arena, W->data->name)) && cells_fit(fr->l, n) && !stored_weights(fr, W->data);
}

/* Is `second` the linear that alone takes the result of `first` as its addend? */
static bool is_pair(Frame *fr, const Op *first, const Op *second, Linear *a, Linear *b)
{
	return first->kind == O_linear && second->kind == O_linear && second->nin > 2 && second->in[2] == first->out[0]
	       && fr->uses[first->out[0]->id] == 1 && first->nin > 2 && first->in[2] && first->in[2]->data
	       && first->in[1]->type->dim[0] == second->in[1]->type->dim[0] && !is_state(fr->src, first->in[0])
	       && fits(fr, first, a) && fits(fr, second, b);
}

bool linear_put_off(Frame *fr, Op *o)
{
	Linear a, b;
	if (fr->l->m->nbody < 2 || !fr->l->isa || strcmp(fr->l->isa, "avx2"))
		return false;
	for (const Op *p = o->next; p; p = p->next)
		if (is_pair(fr, o, p, &a, &b))
			return true;
	return false;
}

/* The register that says the direction of this step, and flips for the next. */
static Val *turn_of(Frame *fr)
{
	if (fr->turn)
		return fr->turn;
	Module *m = fr->l->m;
	int32_t one = 1;
	const Type *t = type_tensor(m, E_i32, 1, &one);
	Place *p = NEW(m->arena, Place), **end = &fr->place;
	*p = (Place){arena_printf(m->arena, "%s.turn", fr->src->name), t, 0, 0, 0, 0};
	while (*end)
		end = &(*end)->next;
	*end = p;
	Val *ref = func_param(m, fr->f, "turn", ref_type(m, t));
	if (!fr->l->isa || strcmp(fr->l->isa, "avx2"))
		return fr->turn = e_w(fr, 0);
	Access a = access_whole(fr, ref, t);
	Val *zero = e_w(fr, 0);
	fr->turn = access_load(fr, &a, &zero);
	access_store(fr, &a, &zero, e_op(fr, O_xorw, reg_w(fr), 2, fr->turn, e_w(fr, 1)));
	return fr->turn;
}

static Val *row(Frame *fr, Val *v, int64_t padded)
{
	Access a = access_of(fr, v);
	if (!access_rows_contiguous(&a))
		a = access_whole(fr, access_ref(fr, a), a.type);
	Val *zero[MAX_RANK];
	for (int d = 0; d < MAX_RANK; d++)
		zero[d] = e_w(fr, 0);
	Val *r = a.type->rank == 1 ? access_ref(fr, a) : access_row(fr, &a, zero);
	return padded > r->type->dim[0] ? padded_row(fr, r, padded) : r;
}

bool linear_pair(Frame *fr, Op *o)
{
	Linear a, b;
	const Op *first = o->nin > 2 && o->in[2] ? o->in[2]->def : 0;
	if (fr->l->m->nbody < 2 || !first || !is_pair(fr, first, o, &a, &b))
		return false;
	Val *turn = turn_of(fr);
	if (!fr->l->isa || strcmp(fr->l->isa, "avx2"))
		return false;
	Val *W, *R;
	int64_t kx, kh;
	Func *f = pair_kernel(fr, &a, &b, &W, &R, &kx, &kh);
	if (!f) {
		fr->failed = true;
		return true;
	}
	Val *in[7] = {row(fr, first->in[0], kx), W, access_ref(fr, access_of(fr, first->in[2])), row(fr, o->in[0], kh), R, turn, 0};
	place_result(fr, o->out[0]);
	in[6] = row(fr, o->out[0], 0);
	e_call(fr, f, 7, in);
	return true;
}

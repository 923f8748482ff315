/* softmax.c: softmax and logsoftmax along one axis, a kernel for each row. */
#include "lower/lower.h"

#include <math.h>

typedef struct { Func *f; Access x, y; } Rows;

static void one_row(Frame *fr, Val *const *idx, void *arg)
{
	Rows *r = arg;
	bool flat = r->x.type->rank == 1;
	Val *in[2] = {flat ? access_ref(fr, r->x) : access_row(fr, &r->x, idx),
	              flat ? access_ref(fr, r->y) : access_row(fr, &r->y, idx)};
	e_call(fr, r->f, 2, in);
}

/* A function of w registers that ends a kernel's row: name(args) -> stored result. */
static Func *fin_begin(Frame *outer, Frame *fr, const char *name, int nparam, Val **param)
{
	Module *m = outer->l->m;
	Func *f = func_new(m, name);
	*fr = (Frame){.l = outer->l, .src = f, .f = f, .b = &f->body};
	f->isa = outer->l->isa;
	for (int i = 0; i < nparam; i++)
		param[i] = func_param(m, f, i ? "b" : "a", type_reg(m, E_i32, 1));
	func_ret(m, f, type_reg(m, E_i32, 1));
	return f;
}

/* Probabilities in Q15 -> result type. */
static Func *softmax_fin(Frame *fr, const Type *y)
{
	Frame in;
	Val *q;
	Func *f = fin_begin(fr, &in, "softmax_fin", 1, &q);
	Num n = {q, 0, 32768, 0x1p-15};
	Val *v = num_store(&in, n, y);
	op_new(fr->l->m, in.b, O_ret, 1, &v);
	return f;
}

/* -(max - x) - ln sum, the first in units of x, the second in Q16. */
static Func *logsoftmax_fin(Frame *fr, const Type *x, const Type *y)
{
	Frame in;
	Val *p[2];
	Func *f = fin_begin(fr, &in, "logsoftmax_fin", 2, p);
	double most = (double)elem_max(x->elem) - (double)elem_min(x->elem);
	Term t[2] = {{{p[0], 0, fmin(most, 2147483647.0), x->quant->scale}, -1}, {{p[1], 0, 0x1p21, 0x1p-16}, -1}};
	Val *v = num_store(&in, num_lincomb(&in, 2, t, 0, y->quant->scale), y);
	op_new(fr->l->m, in.b, O_ret, 1, &v);
	return f;
}

static Func *row_kernel(Frame *fr, const Op *o, int32_t n)
{
	Lower *l = fr->l;
	const Type *x = o->in[0]->type, *y = o->out[0]->type;
	bool logs = o->kind == O_logsoftmax;
	Sym sym[] = {{"N", sym_int(l, n)}, {"XE", elem_name(elem_stored(x->elem))}, {"YE", elem_name(elem_stored(y->elem))},
	             {"EXP", 0}, {"LOG", 0}, {"FIN", 0}, {"MUL", 0}, {"SHIFT", 0}};
	if (!y->quant) {
		Func *e = kernel_get(l, "exp_s", l->isa, 0, 0), *g = kernel_get(l, "log_s", l->isa, 0, 0);
		if (!e || !g)
			return 0;
		sym[3].value = e->name, sym[4].value = g->name;
		return kernel_get(l, logs ? "logsoftmax_f32" : "softmax_f32", l->isa, 5, sym);
	}
	/* steps of x to steps of 2^-16 octaves: z = d * MUL >> SHIFT */
	double octave = x->quant->scale * 1.4426950408889634 * 65536;
	int shift = 30 - ilogb(octave);
	shift = shift < 0 ? 0 : shift > 40 ? 40 : shift;
	sym[6].value = sym_int(l, (int64_t)floor(ldexp(octave, shift) + 0.5));
	sym[7].value = sym_int(l, shift);
	Func *e = kernel_get(l, "exp2_q15", l->isa, 8, sym);
	sym[5].value = (logs ? logsoftmax_fin(fr, x, y) : softmax_fin(fr, y))->name;
	if (!e)
		return 0;
	sym[3].value = e->name;
	return kernel_get(l, logs ? "logsoftmax_q" : "softmax_q", l->isa, 8, sym);
}

void lower_softmax(Frame *fr, Op *o)
{
	const Type *t = o->in[0]->type, *ty = o->out[0]->type;
	int axis = (int)attr_int(o, "axis", -1);
	axis += axis < 0 ? t->rank : 0;
	int32_t n = t->dim[axis];
	if (n == DIM_T || (ty->quant && n > 32767)) {
		e_fail(fr, o, n == DIM_T ? "over the steps: fix their number with --dim" : "more than 32767 classes in fixed point");
		return;
	}
	int64_t perm[MAX_RANK];
	int32_t dim[MAX_RANK];
	for (int d = 0; d < t->rank; d++)
		perm[d] = d == axis ? t->rank - 1 : d == t->rank - 1 ? axis : d;
	for (int d = 0; d < t->rank; d++)
		dim[d] = t->dim[perm[d]];
	Rows r = {.f = row_kernel(fr, o, n)};
	if (!r.f) {
		fr->failed = true;
		return;
	}
	r.x = access_permute(access_of(fr, o->in[0]), type_like(fr->l->m, t, t->rank, dim), perm);
	if (!access_rows_contiguous(&r.x))
		r.x = access_whole(fr, access_ref(fr, r.x), r.x.type);
	const Type *yt = type_like(fr->l->m, ty, t->rank, dim);
	Access y = access_permute(place_result(fr, o->out[0]), yt, perm);
	r.y = access_rows_contiguous(&y) ? y : access_whole(fr, e_alloc(fr, 0, yt), yt);
	e_nest(fr, yt, yt->rank - 1, one_row, &r);
	if (r.y.base != y.base)
		e_copy(fr, r.y, y);
}

/* linear.c: x W' + b as a kernel over one row of x, called for each row.
 *
 * The accumulator is the exact integer sum; a bound from the actual weights decides between 32 and 64 bits.
 * What comes after it (rescale, saturate) is a small function `fin` built here from the types and called by the
 * kernel's text for each row of W. */
#include "lower/stored.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

int64_t data_int(const Data *d, int64_t i)
{
	switch (elem_size(d->type->elem)) {
	case 1: return elem_is_signed(d->type->elem) ? ((const int8_t *)d->bytes)[i] : ((const uint8_t *)d->bytes)[i];
	case 2: return ((const int16_t *)d->bytes)[i];
	case 4: return ((const int32_t *)d->bytes)[i];
	default: return ((const int64_t *)d->bytes)[i];
	}
}

static double scale_of(const Type *t, int64_t row)
{
	const Quant *q = t->quant;
	return q->rows ? (double)((const float *)q->rows->bytes)[row] : (double)q->scale;
}

/* max over rows of sum |W| max|x| + |b|: every partial sum stays within it. */
static double accumulator_bound(const Linear *n)
{
	double x = fmax(-(double)elem_min(n->x->elem), (double)elem_max(n->x->elem)), most = 0;
	for (int64_t i = 0; i < n->M; i++) {
		double s = 0;
		for (int64_t k = 0; k < n->K; k++)
			s += fabs((double)data_int(n->W, i * n->K + k));
		double b = 0;
		if (n->b && n->b->data)
			b = ldexp(fabs((double)data_int(n->b->data, i)), n->bshift);
		else if (n->b)
			b = ldexp(1, elem_bits(n->b->type->elem) - 1 + n->bshift);
		most = fmax(most, s * x + b);
	}
	return most;
}

/* An addend value may have a power-of-two multiple of the accumulator's scale. */
static bool addend_shift(const Linear *n, int *shift)
{
	*shift = 0;
	if (!n->b || !n->b->type->quant)
		return !n->b;
	for (int64_t i = 0; i < n->M; i++) {
		int e;
		double acc = (double)(float)(scale_of(n->W->type, i) * n->x->quant->scale);
		if (!exact_log2(scale_of(n->b->type, i) / acc, &e) || e < 0 || (i && e != *shift))
			return false;
		*shift = e;
		if (!n->W->type->quant->rows && !n->b->type->quant->rows)
			break;
	}
	return true;
}

/* ---- fin: accumulator -> stored result -------------------------------------------------------------------- */

static Data *row_data(Lower *l, const char *name, Elem e, int32_t M)
{
	return data_new(l->m, name, type_tensor(l->m, e, 1, &M));
}

Data *shared_data(Lower *l, const char *name, Elem e, int32_t M, const void *bytes)
{
	const Type *t = type_tensor(l->m, e, 1, &M);
	each_data(d, l->m)
		if (d->type == t && !strncmp(d->name, name, strlen(name)) && !memcmp(d->bytes, bytes, d->size))
			return d;
	Data *d = row_data(l, name, e, M);
	memcpy(d->bytes, bytes, d->size);
	return d;
}

static Val *load_row(Frame *fr, Data *d, Val *i, int lanes)
{
	return e_op(fr, O_load, type_reg(fr->l->m, E_i32, lanes), 2, val_data(fr->l->m, d), i);
}

/* A number for each row.  Where weights are stored in few bytes, few different ones are a table and a byte for each row. */
static Val *load_number(Frame *fr, const char *name, const int32_t *v, int64_t n, Val *i, int lanes)
{
	Lower *l = fr->l;
	int32_t *table = NEWN(l->m->arena, int32_t, 256), used = 0;
	uint8_t *which = NEWN(l->m->arena, uint8_t, n);
	for (int64_t r = 0; l->opt->storage && r < n; r++) {
		int32_t k = 0;
		while (k < used && table[k] != v[r])
			k++;
		if (k == 256 || 4 * (k + 1) + n > 4 * n) {
			used = 0;
			break;
		}
		if (k == used)
			table[used++] = v[r];
		which[r] = (uint8_t)k;
	}
	if (!used)
		return load_row(fr, shared_data(l, name, E_i32, (int32_t)n, v), i, lanes);
	Data *d = shared_data(l, arena_printf(l->m->arena, "%s_of", name), E_u8, (int32_t)n, which);
	return load_row(fr, shared_data(l, name, E_i32, used, table), load_row(fr, d, i, lanes), lanes);
}

/* Row scales that are all powers of two: (acc << left + half_i) >> n_i. */
static bool fin_shift(Frame *fr, const Linear *n, Num *acc, Val *i, int lanes)
{
	int e, lo = 1000, hi = -1000;
	for (int64_t r = 0; r < n->M; r++) {
		if (!exact_log2(n->ratio[r], &e))
			return false;
		lo = -e < lo ? -e : lo;
		hi = -e > hi ? -e : hi;
	}
	int left = lo < 0 ? -lo : 0;
	double bound = ldexp(fmax(-acc->lo, acc->hi), left) + ldexp(1, hi + left - 1);
	if (bound >= 2147483648.0 || acc->v->type->elem == E_i64 || hi + left > 30)
		return false;
	uint8_t *count = NEWN(fr->l->m->arena, uint8_t, n->M);
	for (int64_t r = 0; r < n->M; r++) {
		exact_log2(n->ratio[r], &e);
		count[r] = (uint8_t)(left - e);
	}
	Data *d = shared_data(fr->l, arena_printf(fr->l->m->arena, "%s_shift", n->name), E_u8, (int32_t)n->M, count);
	const Type *w = type_reg(fr->l->m, E_i32, lanes);
	Val *s = load_row(fr, d, i, lanes), *v = acc->v;
	if (left)
		v = e_op(fr, O_shlw, w, 2, v, e_w(fr, left));
	Val *half = e_op(fr, O_sarw, w, 2, e_op(fr, O_shlw, w, 2, e_w(fr, 1), s), e_w(fr, 1));
	acc->v = e_op(fr, O_sarw, w, 2, e_op(fr, O_addw, w, 2, v, half), s);
	acc->lo = -bound;
	acc->hi = bound;
	return true;
}

/* (acc * m_i + half) >> shift, m_i of up to 31 bits. */
static void fin_multiply(Frame *fr, const Linear *n, Num *acc, Val *i, int lanes)
{
	double most = 0, bound = fmax(-acc->lo, acc->hi);
	for (int64_t r = 0; r < n->M; r++)
		most = fmax(most, n->ratio[r]);
	int shift = 30 - ilogb(most), room = 61 - ilogb(fmax(bound, 1) * most);
	shift = shift < room ? shift : room;
	shift = shift < 1 ? 1 : shift > 61 ? 61 : shift;
	int32_t *m = NEWN(fr->l->m->arena, int32_t, n->M);
	for (int64_t r = 0; r < n->M; r++)
		m[r] = (int32_t)floor(ldexp(n->ratio[r], shift) + 0.5);
	const Type *t = type_reg(fr->l->m, E_i64, lanes);
	Val *mul = load_number(fr, arena_printf(fr->l->m->arena, "%s_mul", n->name), m, n->M, i, lanes), *p;
	if (acc->v->type->elem == E_i64)
		p = e_op(fr, O_mull, t, 2, acc->v, e_op(fr, O_extl, t, 1, mul));
	else
		p = e_op(fr, O_mulwl, t, 2, acc->v, mul);
	p = e_op(fr, O_addl, t, 2, p, e_l(fr, (int64_t)1 << (shift - 1)));
	acc->v = e_op(fr, O_sarl, t, 2, p, e_w(fr, shift));
	acc->hi = bound * most + 1;
	acc->lo = -acc->hi;
}

Func *linear_fin(Lower *l, const Linear *n, int lanes)
{
	Module *m = l->m;
	Func *f = func_new(m, arena_printf(m->arena, "%s_fin%s", n->name, lanes > 1 ? "_v" : ""));
	f->isa = l->isa;
	Frame fr = {.l = l, .src = f, .f = f, .b = &f->body};
	Num acc = {.v = func_param(m, f, "acc", type_reg(m, n->wide ? E_i64 : E_i32, lanes)), .lo = -n->bound, .hi = n->bound};
	Val *i = func_param(m, f, "i", type_reg(m, E_i32, n->nscale ? lanes : 1));
	func_ret(m, f, type_reg(m, E_i32, lanes));
	Val *y;
	if (!n->W->type->quant->rows && !n->y->quant->rows) {
		acc.scale = (double)n->W->type->quant->scale * n->x->quant->scale;
		y = num_store(&fr, acc, n->y);
	} else {
		Linear with = *n;
		with.M = n->nscale ? n->nscale : n->M;
		double *ratio = NEWN(m->arena, double, with.M);
		for (int64_t k = 0; k < with.M; k++) {
			int64_t r = n->nscale ? n->scale_row[k] : k;
			ratio[k] = scale_of(n->W->type, r) * n->x->quant->scale / scale_of(n->y, r);
		}
		with.ratio = ratio;
		if (!fin_shift(&fr, &with, &acc, i, lanes))
			fin_multiply(&fr, &with, &acc, i, lanes);
		y = num_saturate(&fr, acc, (double)elem_min(n->y->elem), (double)elem_max(n->y->elem));
	}
	op_new(m, fr.b, O_ret, 1, &y);
	return f;
}

/* ---- one op ---------------------------------------------------------------------------------------------- */

typedef struct { Func *f; Access x, b, y; Val *W; bool addend; int64_t padded; } RowCall;

/* The row with zeros behind it, for kernels that read whole quads. */
Val *padded_row(Frame *fr, Val *row, int64_t n)
{
	int32_t K = row->type->dim[0], dim = (int32_t)n;
	const Type *t = type_tensor(fr->l->m, row->type->elem, 1, &dim);
	const Type *part = type_tensor(fr->l->m, row->type->elem, 1, &K);
	Access all = access_whole(fr, e_alloc(fr, "row", t), t);
	e_copy(fr, access_whole(fr, row, part), access_slice(all, part, 0, (Index){0}, 1));
	for (int64_t k = K; k < n; k++) {
		Val *at = e_w(fr, k);
		access_store(fr, &all, &at, e_w(fr, 0));
	}
	return all.base;
}

static Val *row_of(Frame *fr, const Access *a, Val *const *idx)
{
	return a->type->rank == 1 ? access_ref(fr, *a) : access_row(fr, a, idx);
}

static void call_row(Frame *fr, Val *const *idx, void *arg)
{
	RowCall *c = arg;
	Val *x = row_of(fr, &c->x, idx);
	if (c->padded > x->type->dim[0])
		x = padded_row(fr, x, c->padded);
	Val *in[4] = {x, c->W, c->addend ? row_of(fr, &c->b, idx) : access_ref(fr, c->b),
	              row_of(fr, &c->y, idx)};
	e_call(fr, c->f, 4, in);
}

static Access rows(Frame *fr, Access a)
{
	return access_rows_contiguous(&a) ? a : access_whole(fr, access_ref(fr, a), a.type);
}

Val *linear_zero_bias(Frame *fr, Elem e, int32_t M)
{
	char name[40];
	snprintf(name, sizeof name, "zeros_%s_%d", elem_name(e), (int)M);
	Data *d = data_find(fr->l->m, name);
	return val_data(fr->l->m, d ? d : row_data(fr->l, name, e, M));
}

Func *linear_kernel_f32(Frame *fr, int64_t M, int64_t K)
{
	Lower *l = fr->l;
	Sym sym[] = {{"M", sym_int(l, M)}, {"K", sym_int(l, K)}, {"K8", sym_int(l, K / 8)}, {"KT", sym_int(l, K % 8)},
	             {"KB", sym_int(l, K / 8 * 8)}, {"M4", sym_int(l, M / 4)}, {"ROWFN", 0}};
	Func *row = kernel_get(l, "linear_f32_row", l->isa, 6, sym);
	if (!row)
		return 0;
	sym[6].value = row->name;
	return kernel_get(l, M % 4 ? "linear_f32" : "linear_f32x4", l->isa, 7, sym);
}

bool linear_init(Linear *n, const Op *o, const char *name)
{
	Val *x = o->in[0], *W = o->in[1], *b = o->nin > 2 ? o->in[2] : 0;
	*n = (Linear){.x = x->type, .y = o->out[0]->type, .W = W->data, .b = b, .M = W->type->dim[0], .K = W->type->dim[1],
	              .name = name};
	if (!addend_shift(n, &n->bshift))
		return false;
	n->bound = accumulator_bound(n);
	n->wide = n->bound >= 2147483648.0 || (b && b->type->elem == E_i64);
	return n->bound < 0x1p62;
}

void lower_linear(Frame *fr, Op *o)
{
	Val *x = o->in[0], *W = o->in[1], *b = o->nin > 2 ? o->in[2] : 0, *y = o->out[0];
	int64_t M = W->type->dim[0], K = W->type->dim[1];
	if (stored_linear(fr, o) || linear_put_off(fr, o) || linear_pair(fr, o))
		return;
	RowCall c = {.x = rows(fr, access_of(fr, x)), .W = access_ref(fr, access_of(fr, W))};
	if (!x->type->quant && elem_is_float(x->type->elem)) {
		c.f = linear_kernel_f32(fr, M, K);
	} else {
		if (!W->data || !x->type->quant || !y->type->quant || !W->type->quant) {
			e_fail(fr, o, "integer weights must be constants and all types quantized");
			return;
		}
		Linear n;
		if (!linear_init(&n, o, ident(fr->l->m->arena, W->data->name))) {
			e_fail(fr, o, "the third operand's scale does not fit that of the products");
			return;
		}
		c.f = linear_kernel(fr, &n, &c.W, &c.padded);
	}
	if (!c.f) {
		fr->failed = true;
		return;
	}
	c.b = access_of(fr, b ? b : linear_zero_bias(fr, x->type->quant ? E_i32 : E_f32, (int32_t)M));
	c.addend = b && b->type->rank > 1;
	if (c.addend)
		c.b = rows(fr, access_broadcast(fr, c.b, y->type));
	c.y = place_result(fr, y);
	e_nest(fr, y->type, y->type->rank - 1, call_row, &c);
}

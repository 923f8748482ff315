/* linear_x86.c: linear ops in cells, for the bodies of x86-64: 8-bit x, 8- or 4-bit weights, 32-bit accumulator.
 * All bodies of one object read the same packed weights. */
#include "lower/linear.h"

#include <string.h>

enum { MAX_SYM = 40 };

typedef struct { Lower *l; Sym sym[MAX_SYM]; int n; } Syms;

static void sym_text(Syms *s, const char *name, const char *value) { s->sym[s->n++] = (Sym){name, value}; }
static void sym_number(Syms *s, const char *name, int64_t v) { sym_text(s, name, sym_int(s->l, v)); }

static void shape_syms(Syms *s, const Linear *n, const Cells *c)
{
	int64_t M64 = 64 * c->groups, G128 = c->groups / 2;
	sym_number(s, "M", n->M);
	sym_number(s, "K", 4 * c->quads);
	sym_number(s, "KQ", c->quads);
	sym_number(s, "WB", c->bytes);
	sym_number(s, "G64", c->groups);
	sym_number(s, "G128", G128);
	sym_number(s, "M128", 128 * G128);
	sym_number(s, "M128AT", G128 * 2 * c->group_bytes);
	sym_number(s, "ODD64", c->groups % 2);
	sym_number(s, "GB", c->group_bytes);
	sym_number(s, "GB2", 2 * c->group_bytes);
	sym_number(s, "M64", M64);
	sym_number(s, "CELLS", c->singles);
	sym_number(s, "CELLS1", c->singles - 1);
	sym_number(s, "CELLSAT", c->groups * c->group_bytes);
	sym_number(s, "CB", c->cell_bytes);
	sym_number(s, "MLAST", n->M - c->rows);
	sym_number(s, "MFULL", M64 + (c->singles - 1) * c->rows);
	sym_number(s, "NF", (c->quads + 7) / 8);
	sym_number(s, "BSHIFT", n->bshift);
	sym_text(s, "BE", n->b ? elem_name(elem_stored(n->b->type->elem)) : "i32");
	sym_text(s, "YE", elem_name(elem_stored(n->y->elem)));
}

static Func *get(Syms *s, const char *stem, bool isa)
{
	Lower *l = s->l;
	const char *name = isa && l->isa ? arena_printf(l->m->arena, "%s_%s", stem, l->isa) : stem;
	return kernel_get(l, name, l->isa, s->n, s->sym);
}

/* An instance that later ones call by the name of a symbol. */
static bool define(Syms *s, const char *symbol, const char *stem, bool isa)
{
	Func *f = get(s, stem, isa);
	if (f)
		sym_text(s, symbol, f->name);
	return f != 0;
}

/* 128 times the sum of each row: what x + 128 adds. */
static const char *correction(Lower *l, const Linear *n)
{
	int32_t M = (int32_t)n->M;
	char *name = arena_printf(l->m->arena, "%s_corr", n->name);
	Data *d = data_find(l->m, name);
	if (!d) {
		d = data_new(l->m, name, type_tensor(l->m, E_i32, 1, &M));
		for (int64_t i = 0; i < n->M; i++) {
			int64_t s = 0;
			for (int64_t k = 0; k < n->K; k++)
				s += data_int(n->W, i * n->K + k);
			((int32_t *)d->bytes)[i] = (int32_t)(128 * s);
		}
	}
	return d->name;
}

static bool vnni(const Lower *l) { return l->isa && !strcmp(l->isa, "avx512vnni"); }

static Func *kernel8(Syms *s, const Linear *n)
{
	if (!s->l->isa)
		return define(s, "ROWAT", "row_at8", false) && define(s, "ROWSTEP", "row_step8", false) ? get(s, "linear_c8", false) : 0;
	if (vnni(s->l) && !n->expanded)
		sym_text(s, "CORR", correction(s->l, n));
	else if (!define(s, "SIGNS", "signs8", false))
		return 0;
	if (n->expanded)        /* their sums are not known before the model runs: AVX2's kernel needs none */
		return define(s, "CELLFN", "cells8_avx2", false) ? get(s, "linear_c8_avx2", false) : 0;
	return define(s, "CELLFN", "cells8", true) ? get(s, "linear_c8", true) : 0;
}

static Func *kernel4(Syms *s)
{
	if (!s->l->isa)
		return get(s, "linear_c4", false);
	if (!define(s, "SUMX", "sum_x8", false))
		return 0;
	if (vnni(s->l) && (!define(s, "HALFFN", "half4", true) || !define(s, "ENDFN", "end4", true)))
		return 0;
	return define(s, "CELLFN", "cells4", true) ? get(s, "linear_c4", true) : 0;
}

bool cells_fit(Lower *l, const Linear *n)
{
	int bits = pack_width(n->W);
	bool eight = elem_stored(n->x->elem) == E_i8 && !n->wide && (!n->b || n->b->type->elem != E_i64);
	if (l->m->nbody < 2 || !eight || (bits != 8 && bits != 4) || n->M < (bits == 8 ? 16 : 32) || n->W->type->quant->book)
		return false;
	for (int64_t i = 0; bits == 8 && i < n->M * n->K; i++)
		if (data_int(n->W, i) == -128)  /* pairs of products would not fit 16 bits */
			return false;
	/* VNNI's accumulator also holds x + 128 */
	return n->bound + 128.0 * 127 * (double)n->K < 2147483648.0;
}

Func *cells_kernel(Frame *fr, const Linear *n, Val **W, int64_t *padded)
{
	Lower *l = fr->l;
	int bits = pack_width(n->W);
	if (!cells_fit(l, n))
		return 0;
	Cells c = cells_of(n->W, bits);
	Syms s = {.l = l};
	shape_syms(&s, n, &c);
	sym_text(&s, "FIN", linear_fin(l, n, 1)->name);
	sym_text(&s, "FINV", linear_fin(l, n, 8)->name);
	if (!n->expanded)
		*W = val_data(l->m, pack_cells(l, n->W, bits));
	*padded = 4 * c.quads;
	return bits == 8 ? kernel8(&s, n) : kernel4(&s);
}

Func *pair_kernel(Frame *fr, const Linear *x, const Linear *h, Val **W, Val **R, int64_t *kx, int64_t *kh)
{
	Lower *l = fr->l;
	Cells cx = cells_of(x->W, 8), ch = cells_of(h->W, 8);
	Syms s = {.l = l}, t = {.l = l};
	shape_syms(&s, x, &cx);
	shape_syms(&t, h, &ch);
	sym_number(&s, "HK", 4 * ch.quads);
	sym_number(&s, "HQ", ch.quads);
	sym_number(&s, "HB", ch.group_bytes);
	sym_number(&s, "RB", ch.bytes);
	sym_number(&s, "GLAST", cx.groups - 1);
	sym_number(&s, "SHIFT2", h->bshift);
	for (int i = 0; i < s.n; i++)           /* the results are h's */
		if (!strcmp(s.sym[i].name, "YE"))
			s.sym[i].value = elem_name(elem_stored(h->y->elem));
	sym_text(&s, "FINX", linear_fin(l, x, 8)->name);
	sym_text(&s, "FINV", linear_fin(l, h, 8)->name);
	Func *nx = get(&s, "signs8", false), *nh = get(&t, "signs8", false);
	if (!nx || !nh)
		return 0;
	sym_text(&s, "SIGNX", nx->name);
	sym_text(&s, "SIGNH", nh->name);
	*W = val_data(l->m, pack_cells(l, x->W, 8));
	*R = val_data(l->m, pack_cells(l, h->W, 8));
	*kx = 4 * cx.quads, *kh = 4 * ch.quads;
	return get(&s, "linear_c8_pair", true);
}

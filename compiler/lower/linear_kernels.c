/* linear_kernels.c: which kernel an integer linear op gets, by types, shape and body. */
#include "lower/linear.h"

#include <string.h>

Func *field_function(Lower *l, const Data *W, int nsym, const Sym *sym)
{
	Func *f = kernel_get(l, 8 % pack_width(W) ? "field_any" : "field_aligned", l->isa, nsym, sym);
	if (!f || !pack_is_odd(W))
		return f;
	Sym *more = NEWN(l->m->arena, Sym, nsym + 1);
	memcpy(more, sym, sizeof *sym * (size_t)nsym);
	more[nsym] = (Sym){"HALF", f->name};
	return kernel_get(l, "field_odd", l->isa, nsym + 1, more);
}

static Func *row_kernel(Frame *fr, const Linear *n, const char *kernel, const Data *W, int bits, Func *fin)
{
	Lower *l = fr->l;
	Sym sym[] = {
		{"M", sym_int(l, n->M)}, {"K", sym_int(l, n->K)}, {"FIN", fin->name},
		{"XE", elem_name(elem_stored(n->x->elem))}, {"WE", elem_name(W->type->elem)},
		{"BE", n->b ? elem_name(elem_stored(n->b->type->elem)) : "i32"},
		{"YE", elem_name(elem_stored(n->y->elem))}, {"BSHIFT", sym_int(l, n->bshift)},
		{"ROW", sym_int(l, W->type->dim[1])}, {"BITS", sym_int(l, bits)}, {"UP", sym_int(l, 32 - bits)},
		{"K2", sym_int(l, n->K / 2)}, {"ODD", sym_int(l, n->K % 2)}, {"LAST", sym_int(l, n->K - 1)},
		{"M4", sym_int(l, n->M / 4)}, {"FIELD", ""},
	};
	enum { NSYM = sizeof sym / sizeof *sym };
	if (bits < 8) {
		Func *field = field_function(l, n->W, NSYM - 1, sym);
		if (!field)
			return 0;
		sym[NSYM - 1].value = field->name;
	}
	return kernel_get(l, kernel, l->isa, NSYM, sym);
}

/* Named targets whose cores have no vectors; elsewhere compilers vectorize the plain loop over a row. */
static bool scalar_target(const Lower *l)
{
	static const char *const stems[] = {"thumb", "arm", "riscv32", "avr", "msp430", "xtensa"};
	for (size_t i = 0; l->opt->target && i < sizeof stems / sizeof *stems; i++)
		if (!strncmp(l->opt->target, stems[i], strlen(stems[i])) && strncmp(l->opt->target, "arm64", 5))
			return true;
	return false;
}

Func *linear_kernel(Frame *fr, const Linear *n, Val **W, int64_t *padded)
{
	Lower *l = fr->l;
	Func *cells = cells_kernel(fr, n, W, padded);
	if (cells || diag_errors(l->d))
		return cells;
	*padded = n->K;
	int bits = pack_width(n->W);
	bool long_bias = n->b && n->b->type->elem == E_i64;
	Func *fin = linear_fin(l, n, 1);
	Data *packed;
	const char *kernel;
	if (n->W->type->quant->book) {
		diag_error(l->d, "internal error: no kernel for code book '%s'", n->W->name);
		return 0;
	}
	if (bits >= 8) {
		packed = pack_plain(l, n->W);
		kernel = long_bias ? "linear_ll" : n->wide ? "linear_l"
		         : n->M % 4 == 0 && scalar_target(l) ? "linear_w_x4" : "linear_w";
	} else {
		packed = pack_bits(l, n->W, bits);
		kernel = bits == 4 && !n->wide ? "linear_w4" : n->wide ? "linear_lb" : "linear_wb";
	}
	*W = val_data(l->m, packed);
	return row_kernel(fr, n, kernel, packed, bits, fin);
}

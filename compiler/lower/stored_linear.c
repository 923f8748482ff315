/* stored_linear.c: products with stored weights.
 *
 * --decode row: W comes back a row at a time into scratch.  --decode once: @reset expands W into the model's state, in cells
 * where the x86 kernels can read them (they leave exact sums, which `finish` rescales), else in rows. */
#include "lower/stored.h"

#include <string.h>

typedef struct { Frame *fr; Linear n; StoredWeights *w; bool by_row; Sym sym[30]; int nsym; } Product;

static void sym_text(Product *p, const char *name, const char *value) { p->sym[p->nsym++] = (Sym){name, value}; }
static void sym_number(Product *p, const char *name, int64_t v) { sym_text(p, name, sym_int(p->fr->l, v)); }

static bool define(Product *p, const char *symbol, const char *kernel, const char *isa)
{
	Func *f = kernel_get(p->fr->l, kernel, isa, p->nsym, p->sym);
	if (f)
		sym_text(p, symbol, f->name);
	return f != 0;
}

/* ---- the expanded form --------------------------------------------------------------------------------------- */

static void lay_out(Frame *fr, StoredWeights *w)
{
	Linear n = {.W = w->view, .M = w->form->M, .K = w->form->K};
	(void)fr;
	w->bytes = w->cells ? cells_of(n.W, 8).bytes : n.M * n.K;
	w->scales_at = w->bytes;
	w->at_at = (w->scales_at + n.M + 3) / 4 * 4;
	w->row_at = w->at_at + 8;
	w->all = w->row_at + (w->cells ? n.K : 0);
}

/* The reference to the place where w lies expanded: a further parameter, which @reset fills. */
static Val *kept(Frame *fr, StoredWeights *w)
{
	Module *m = fr->l->m;
	const char *name = arena_printf(m->arena, "%s.kept", w->name);
	Place **end = &fr->place;
	for (; *end; end = &(*end)->next)
		if ((*end)->stored == w)
			return (*end)->ref;
	int32_t all = (int32_t)w->all;
	const Type *t = type_tensor(m, E_u8, 1, &all);
	Place *p = NEW(m->arena, Place);
	*p = (Place){.name = name, .type = t, .stored = w};
	p->ref = func_param(m, fr->f, ident(m->arena, name), ref_type(m, t));
	return (*end = p)->ref;
}

static void common_syms(Product *p)
{
	const Stored *f = p->w->form;
	sym_number(p, "M", f->M);
	sym_number(p, "K", f->K);
	sym_number(p, "ALL", p->w->all);
	sym_number(p, "WB", p->w->bytes);
	sym_number(p, "SCALES", p->w->scales_at);
	sym_number(p, "AT", p->w->at_at);
	sym_number(p, "ROWAT", p->w->row_at);
	sym_text(p, "NEXT", p->w->next->name);
}

void stored_expand(Frame *fr, const StoredWeights *w, Val *kept)
{
	Product p = {.fr = fr, .w = (StoredWeights *)w};
	common_syms(&p);
	if (w->cells) {
		Cells c = cells_of(w->view, 8);
		sym_number(&p, "M64", 64 * c.groups);
		sym_number(&p, "GB", c.group_bytes);
		sym_number(&p, "CB", c.cell_bytes);
		sym_number(&p, "CELLSAT", c.groups * c.group_bytes);
		sym_number(&p, "LASTAT", c.groups * c.group_bytes + (c.singles - 1) * c.cell_bytes);
		sym_number(&p, "MLAST", c.M - c.rows);
		sym_number(&p, "MFULL", 64 * c.groups + (c.singles - 1) * c.rows);
		sym_number(&p, "HASCELLS", c.singles > 0);
		define(&p, "SPREAD", "spread_quads", 0);
	}
	Func *f = kernel_get(fr->l, w->cells ? "keep_cells" : "keep_rows", 0, p.nsym, p.sym);
	if (f)
		e_call(fr, f, 1, &kept);
}

/* ---- kernels ------------------------------------------------------------------------------------------------------ */

static void product_syms(Product *p, int64_t bias)
{
	const Linear *n = &p->n;
	sym_text(p, "XE", elem_name(elem_stored(n->x->elem)));
	sym_text(p, "YE", elem_name(elem_stored(n->y->elem)));
	sym_text(p, "BE", n->b ? elem_name(elem_stored(n->b->type->elem)) : "i32");
	sym_number(p, "BN", bias);
	sym_number(p, "BSTEP", bias > 1);
	sym_number(p, "BSHIFT", n->bshift);
	if (n->wide)
		define(p, "BIAS", n->b && n->b->type->elem == E_i64 ? "stored_bias_l" : "stored_bias", 0);
	define(p, "PICK", p->by_row ? "stored_by_row" : "stored_by_scale", 0);
	sym_text(p, "FIN", linear_fin(p->fr->l, n, 1)->name);
}

typedef struct { Func *f; Access x, b, y; Val *kept; bool addend; } RowCall;

static Val *row_of(Frame *fr, const Access *a, Val *const *idx)
{
	return a->type->rank == 1 ? access_ref(fr, *a) : access_row(fr, a, idx);
}

static void call_row(Frame *fr, Val *const *idx, void *arg)
{
	RowCall *c = arg;
	Val *in[4];
	int n = 0;
	in[n++] = row_of(fr, &c->x, idx);
	if (c->kept)
		in[n++] = c->kept;
	in[n++] = c->addend ? row_of(fr, &c->b, idx) : access_ref(fr, c->b);
	in[n++] = row_of(fr, &c->y, idx);
	e_call(fr, c->f, n, in);
}

/* Sums by a cells kernel, then `finish`. */
typedef struct { RowCall call; Func *finish; int64_t padded; Val *cells; int32_t M; } CellCall;

static void call_cells(Frame *fr, Val *const *idx, void *arg)
{
	CellCall *c = arg;
	Val *x = row_of(fr, &c->call.x, idx), *sums = e_alloc(fr, "sums", type_tensor(fr->l->m, E_i32, 1, &c->M));
	if (c->padded > x->type->dim[0])
		x = padded_row(fr, x, c->padded);
	Val *in[4] = {x, c->cells, c->call.addend ? row_of(fr, &c->call.b, idx) : access_ref(fr, c->call.b), sums};
	e_call(fr, c->call.f, 4, in);
	Val *end[3] = {sums, c->call.kept, row_of(fr, &c->call.y, idx)};
	e_call(fr, c->finish, 3, end);
}

static Access rows(Frame *fr, Access a)
{
	return access_rows_contiguous(&a) ? a : access_whole(fr, access_ref(fr, a), a.type);
}

/* W on a scale of 1, the sums as they are. */
static Linear exact_sums(Product *p)
{
	Module *m = p->fr->l->m;
	Linear n = p->n;
	n.W = p->w->view;
	n.nscale = 0, n.scale_row = 0;
	n.expanded = true;
	n.y = type_quant(m, quant_new(m, "sums", E_i32, n.x->quant->scale), p->n.y->rank, p->n.y->dim);
	n.name = arena_printf(m->arena, "%s_sums", p->w->name);
	return n;
}

static bool in_cells(Product *p)
{
	Linear n = exact_sums(p);
	return cells_fit(p->fr->l, &n);
}

static Func *finish_kernel(Product *p)
{
	Lower *l = p->fr->l;
	if (!l->isa)
		return kernel_get(l, "finish", 0, p->nsym, p->sym);
	sym_number(p, "M8", p->n.M / 8);
	sym_number(p, "MTAIL", p->n.M % 8);
	sym_number(p, "MDONE", p->n.M / 8 * 8);
	sym_text(p, "FINV", linear_fin(l, &p->n, 8)->name);
	return kernel_get(l, p->by_row ? "finish_by_row" : "finish_by_scale", l->isa, p->nsym, p->sym);
}

static bool emit_cells(Product *p, RowCall *row, const Type *y)
{
	Frame *fr = p->fr;
	Linear n = exact_sums(p);
	Val *none = 0;
	CellCall c = {.call = *row, .M = (int32_t)p->n.M};
	c.call.f = cells_kernel(fr, &n, &none, &c.padded);
	c.finish = finish_kernel(p);
	if (!c.call.f || !c.finish)
		return false;
	int32_t bytes = (int32_t)p->w->bytes;
	Val *zero[2] = {row->kept, e_w(fr, 0)};
	Op *o = op_new(fr->l->m, fr->b, O_view, 2, zero);
	c.cells = op_out(fr->l->m, fr->f, o, 0, type_ref(fr->l->m, E_i8, 1, &bytes));
	e_nest(fr, y, y->rank - 1, call_cells, &c);
	return true;
}

bool stored_linear(Frame *fr, Op *o)
{
	Val *x = o->in[0], *W = o->in[1], *b = o->nin > 2 ? o->in[2] : 0, *y = o->out[0];
	Product p = {.fr = fr};
	if (!fr->l->opt->storage || !W->data || !x->type->quant || !y->type->quant || !W->type->quant ||
	    !linear_init(&p.n, o, ident(fr->l->m->arena, W->data->name)) || !(p.w = stored_weights(fr, W->data)))
		return false;
	const Stored *f = p.w->form;
	p.by_row = !f->nscale || y->type->quant->rows || !W->type->quant->rows;
	if (!p.by_row)
		p.n.nscale = f->nscale, p.n.scale_row = f->scale_row;
	RowCall c = {.x = rows(fr, access_of(fr, x))};
	bool bias = b != 0;
	bool once = fr->l->opt->decode_once;
	if (once) {
		if (!p.w->all) {
			p.w->cells = in_cells(&p);
			lay_out(fr, p.w);
		}
		once = !p.w->cells || in_cells(&p);     /* another product chose cells that this one cannot read */
	}
	if (once)
		c.kept = kept(fr, p.w);
	common_syms(&p);
	bool cells = once && p.w->cells;
	if (!bias)
		b = linear_zero_bias(fr, E_i32, cells ? (int32_t)p.n.M : 1);
	product_syms(&p, bias ? p.n.M : 1);
	c.b = access_of(fr, b);
	c.addend = bias && b->type->rank > 1;
	if (c.addend)
		c.b = rows(fr, access_broadcast(fr, c.b, y->type));
	c.y = place_result(fr, y);
	if (cells) {
		fr->failed |= !emit_cells(&p, &c, y->type);
		return true;
	}
	c.f = kernel_get(fr->l, p.n.wide ? once ? "linear_kept_l" : "linear_stored_l" : once ? "linear_kept_w" : "linear_stored_w",
	                 fr->l->isa, p.nsym, p.sym);
	if (!c.f)
		fr->failed = true;
	else
		e_nest(fr, y->type, y->type->rank - 1, call_row, &c);
	return true;
}

/* conv.c: a convolution is a linear op for each position: the window's elements, side by side in the order of
 * the weights' columns (channel, then kernel axes), times the weights' rows.
 *
 * Where a window lies side by side in x already it is taken from there; elsewhere it is copied to a row of
 * scratch.  The result's buffer has the channels last, as the kernels write them; its Access puts the axes in
 * order. */
#include "lower/linear.h"

#include <string.h>

enum { MAX_WINDOW = MAX_RANK - 2 };

typedef struct {
	Op *o;
	int n;                  /* axes with windows */
	int32_t kernel[MAX_WINDOW], stride[MAX_WINDOW], dilation[MAX_WINDOW], lo[MAX_WINDOW], hi[MAX_WINDOW];
	int32_t groups, C, M;   /* channels of a group's window; rows of all weights */
	int64_t K, padded;      /* elements of a window; what the kernel reads */
	Func *f;
	Val *W, *b, *row;       /* row: &x[C, kernel..], or 0 when windows are read where they are */
	Val *flat;              /* the same memory: &x[padded] */
	Access x, rows, y;      /* rows: x with the windows' elements last; y: [N, out.., M] */
} Conv;

static int32_t entry(const Op *o, const char *name, int i, int32_t otherwise)
{
	const Attr *a = attr_find(o, name);
	return a ? (int32_t)a->v.i[i] : otherwise;
}

static Conv read_attributes(Op *o)
{
	Conv c = {.o = o, .n = o->in[0]->type->rank - 2};
	for (int i = 0; i < c.n; i++) {
		c.kernel[i] = entry(o, "kernel", i, 1);
		c.stride[i] = entry(o, "stride", i, 1);
		c.dilation[i] = entry(o, "dilation", i, 1);
		c.lo[i] = entry(o, "pads", i, 0);
		c.hi[i] = entry(o, "pads", c.n + i, 0);
	}
	c.groups = (int32_t)attr_int(o, "groups", 1);
	c.C = o->in[0]->type->dim[1] / c.groups;
	c.M = o->in[1]->type->dim[0];
	c.padded = c.K = o->in[1]->type->dim[1];
	return c;
}

/* ---- the window as a row ------------------------------------------------------------------------------- */

typedef struct { Conv *c; Val *const *at; Val *group; Val *ok[MAX_WINDOW]; Val *from[MAX_WINDOW]; } Window;

/* Is index i of an axis in 0 .. n - 1?  And the nearest index that is. */
static Val *is_inside(Frame *fr, Val *i, Val *n, Val **nearest)
{
	const Type *w = reg_w(fr);
	Val *last = e_op(fr, O_subw, w, 2, n, e_w(fr, 1));
	*nearest = e_op(fr, O_maxw, w, 2, e_op(fr, O_minw, w, 2, i, last), e_w(fr, 0));
	return e_op(fr, O_eqw, w, 2, i, *nearest);
}

/* Element `idx` (channel, kernel axes) of the window; 0 outside of x. */
static void copy_element(Frame *fr, Window *win, Val *const *idx)
{
	Conv *c = win->c;
	Val *from[MAX_RANK] = {win->at[0], 0}, *ok = 0;
	Index channel = {.dyn = win->group};
	from[1] = e_index(fr, channel, 1, idx[0]);
	for (int i = 0; i < c->n; i++) {
		from[2 + i] = win->from[i];
		if (win->ok[i])
			ok = ok ? e_op(fr, O_andw, reg_w(fr), 2, ok, win->ok[i]) : win->ok[i];
	}
	Val *v = access_load(fr, &c->x, from);
	bool real = elem_is_float(c->x.type->elem);
	if (ok)
		v = e_op(fr, real ? O_sels : O_selw, v->type, 3, ok, v, real ? e_s(fr, 0) : e_w(fr, 0));
	Access row = access_whole(fr, c->row, c->row->type);
	access_store(fr, &row, idx, v);
}

/* The kernel's axes outside, channels inside: what depends on the place is computed once for all channels. */
static void copy_axes(Frame *fr, Window *win, int i, Val **idx)
{
	Conv *c = win->c;
	Block *outer = fr->b;
	int32_t n = i < c->n ? c->kernel[i] : c->C;
	Op *loop = n > 1 ? e_for(fr, e_w(fr, n), "k", 0, 0) : 0;
	Val *k = loop ? loop->body->arg[0] : e_w(fr, 0);
	if (i == c->n) {
		idx[0] = k;
		copy_element(fr, win, idx);
	} else {
		Index at = {.c = -c->lo[i], .dyn = e_index(fr, (Index){0}, c->stride[i], win->at[1 + i])};
		idx[1 + i] = k;
		if (at.dyn && is_literal(at.dyn))
			at.c += at.dyn->lit.i, at.dyn = 0;
		win->from[i] = e_index(fr, at, c->dilation[i], k);
		win->ok[i] = 0;
		if (c->lo[i] || c->hi[i])
			win->ok[i] = is_inside(fr, win->from[i], e_dim(fr, c->x.type->dim[2 + i]),
			                       &win->from[i]);
		copy_axes(fr, win, i + 1, idx);
	}
	if (loop)
		e_end(fr, loop, outer, 0);
}

static bool is_padded(const Conv *c)
{
	for (int i = 0; i < c->n; i++)
		if (c->lo[i] || c->hi[i])
			return true;
	return false;
}

/* x seen so that each window is a piece of its last axis; false when it is not. */
static bool windows_in_place(Frame *fr, Conv *c)
{
	const Type *t = c->x.type;
	int64_t perm[MAX_RANK];
	int32_t dim[MAX_RANK];
	if (is_padded(c) || c->padded != c->K || c->groups > 1)
		return false;
	bool pointwise = c->K == c->C, line = c->n == 1 && c->C == 1 && c->dilation[0] == 1;
	if (!pointwise && !line)
		return false;
	for (int d = 0; d < t->rank; d++)
		perm[d] = d == 0 ? 0 : pointwise ? d == t->rank - 1 ? 1 : d + 1 : d;
	for (int d = 0; d < t->rank; d++)
		dim[d] = t->dim[perm[d]];
	c->rows = access_permute(c->x, type_like(fr->l->m, t, t->rank, dim), perm);
	return access_rows_contiguous(&c->rows);
}

/* The window at position `at` where it lies. */
static Val *window_view(Frame *fr, Conv *c, Val *const *at)
{
	int rank = c->rows.type->rank;
	int32_t K = (int32_t)c->K;
	Val *idx[MAX_RANK] = {at[0]}, *in[1 + MAX_RANK] = {c->rows.base};
	bool pointwise = c->K == c->C;
	for (int i = 0; i < c->n; i++)
		idx[pointwise ? 1 + i : 2 + i] = e_index(fr, (Index){0}, c->stride[i], at[1 + i]);
	idx[pointwise ? rank - 1 : 1] = e_w(fr, 0);
	access_subscript(fr, &c->rows, idx, in + 1);
	Op *o = op_new(fr->l->m, fr->b, O_view, 1 + c->rows.base->type->rank, in);
	return op_out(fr->l->m, fr->f, o, 0, type_ref(fr->l->m, elem_stored(c->rows.type->elem), 1, &K));
}

static Val *view_whole(Frame *fr, Val *ref, const Type *want)
{
	Val *in[1 + MAX_RANK] = {ref};
	for (int d = 0; d < ref->type->rank; d++)
		in[1 + d] = e_w(fr, 0);
	Op *o = op_new(fr->l->m, fr->b, O_view, 1 + ref->type->rank, in);
	return op_out(fr->l->m, fr->f, o, 0, want);
}

/* Scratch for one window; what the kernel reads behind it is 0 and stays so. */
static void make_row(Frame *fr, Conv *c)
{
	Module *m = fr->l->m;
	Elem e = elem_stored(c->x.type->elem);
	int32_t padded = (int32_t)c->padded, dim[MAX_RANK] = {c->C};
	const Type *flat = type_tensor(m, e, 1, &padded);
	memcpy(dim + 1, c->kernel, sizeof *dim * (size_t)c->n);
	c->flat = e_alloc(fr, "window", flat);
	c->row = view_whole(fr, c->flat, type_ref(m, e, 1 + c->n, dim));
	Access all = access_whole(fr, c->flat, flat);
	for (int64_t k = c->K; k < c->padded; k++) {
		Val *at = e_w(fr, k);
		access_store(fr, &all, &at, e_w(fr, 0));
	}
}

/* ---- one position -------------------------------------------------------------------------------------- */

static void one_group(Frame *fr, Conv *c, Val *const *at, Val *y, Val *group)
{
	Val *idx[MAX_RANK], *x = c->flat;
	if (c->row) {
		Window win = {.c = c, .at = at, .group = group};
		if (group)
			win.group = e_index(fr, (Index){0}, c->C, group);
		copy_axes(fr, &win, 0, idx);
	} else {
		x = window_view(fr, c, at);
	}
	Val *in[5] = {x, c->W, c->b, y, group ? e_index(fr, (Index){0}, c->M / c->groups, group) : 0};
	e_call(fr, c->f, group ? 5 : 4, in);
}

static void one_position(Frame *fr, Val *const *at, void *arg)
{
	Conv *c = arg;
	Val *y = access_row(fr, &c->y, at);
	if (c->groups == 1) {
		one_group(fr, c, at, y, 0);
		return;
	}
	Block *outer = fr->b;
	Op *loop = e_for(fr, e_w(fr, c->groups), "g", 0, 0);
	one_group(fr, c, at, y, loop->body->arg[0]);
	e_end(fr, loop, outer, 0);
}

/* ---- kernels ------------------------------------------------------------------------------------------- */

static Func *group_kernel_f32(Frame *fr, const Conv *c)
{
	Lower *l = fr->l;
	Sym sym[] = {{"M", sym_int(l, c->M)}, {"K", sym_int(l, c->K)}, {"MG", sym_int(l, c->M / c->groups)}};
	return kernel_get(l, "conv_group_f32", l->isa, 3, sym);
}

static Func *group_kernel(Frame *fr, const Conv *c, const Linear *n, Val **W)
{
	Lower *l = fr->l;
	int bits = pack_width(n->W);
	bool plain = bits >= 8, wide_bias = n->b && n->b->type->elem == E_i64;
	Data *p = plain ? pack_plain(l, n->W) : pack_bits(l, n->W, bits);
	Func *fin = linear_fin(l, n, 1);
	Sym sym[] = {
		{"M", sym_int(l, c->M)}, {"K", sym_int(l, c->K)}, {"MG", sym_int(l, c->M / c->groups)},
		{"ROW", sym_int(l, p->type->dim[1])}, {"XE", elem_name(elem_stored(n->x->elem))},
		{"WE", elem_name(p->type->elem)}, {"BE", wide_bias ? "i64" : "i32"},
		{"YE", elem_name(elem_stored(n->y->elem))},
		{"BITS", sym_int(l, bits)}, {"UP", sym_int(l, 32 - bits)}, {"FIN", fin->name}, {"FIELD", 0},
	};
	enum { NSYM = sizeof sym / sizeof *sym };
	Func *field = plain ? kernel_get(l, "field_plain", l->isa, NSYM - 1, sym) : field_function(l, n->W, NSYM - 1, sym);
	if (!field)
		return 0;
	sym[NSYM - 1].value = field->name;
	*W = val_data(l->m, p);
	return kernel_get(l, wide_bias ? "conv_group_ll" : n->wide ? "conv_group_l" : "conv_group_w", l->isa,
	                  NSYM, sym);
}

static bool choose_kernel(Frame *fr, Conv *c)
{
	const Op *o = c->o;
	const Type *x = o->in[0]->type, *y = o->out[0]->type;
	Val *W = o->in[1], *b = o->nin > 2 ? o->in[2] : 0;
	c->W = access_ref(fr, access_of(fr, W));
	if (!x->quant && elem_is_float(x->elem)) {
		c->f = c->groups > 1 ? group_kernel_f32(fr, c) : linear_kernel_f32(fr, c->M, c->K);
	} else {
		if (!W->data || !x->quant || !y->quant || !W->type->quant || W->type->quant->book
		    || y->quant->rows || (b && !b->data)) {
			e_fail(fr, o, "integer weights must be constants without a code book, "
			       "and all types quantized");
			return false;
		}
		Linear n;
		if (!linear_init(&n, o, ident(fr->l->m->arena, W->data->name)) || n.bshift) {
			e_fail(fr, o, "the third operand's scale does not fit that of the products");
			return false;
		}
		c->f = c->groups > 1 ? group_kernel(fr, c, &n, &c->W)
		                     : linear_kernel(fr, &n, &c->W, &c->padded);
	}
	c->b = access_ref(fr, access_of(fr, b ? b : linear_zero_bias(fr, x->quant ? E_i32 : E_f32, c->M)));
	return c->f != 0;
}

/* ---- the op -------------------------------------------------------------------------------------------- */

void lower_conv(Frame *fr, Op *o)
{
	Module *m = fr->l->m;
	const Type *t = o->out[0]->type;
	Conv c = read_attributes(o);
	if (!type_count(o->in[0]->type, 1)) {
		e_fail(fr, o, "the operand is empty");
		return;
	}
	c.x = access_of(fr, o->in[0]);
	if (!choose_kernel(fr, &c)) {
		fr->failed = true;
		return;
	}
	if (!windows_in_place(fr, &c))
		make_row(fr, &c);
	int64_t perm[MAX_RANK] = {0, t->rank - 1};
	int32_t dim[MAX_RANK] = {t->dim[0]};
	for (int d = 2; d < t->rank; d++)
		perm[d] = d - 1, dim[d - 1] = t->dim[d];
	dim[t->rank - 1] = c.M;
	const Type *last = type_like(m, t, t->rank, dim);
	c.y = access_whole(fr, e_alloc(fr, o->out[0]->name, last), last);
	e_nest(fr, last, last->rank - 1, one_position, &c);
	set_access(fr, o->out[0], access_permute(c.y, t, perm));
}

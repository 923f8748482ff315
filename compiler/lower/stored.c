/* stored.c: weights in a stored form as data, and the functions that bring a row back.
 *
 * compiler/storage finds the form; here its columns become data `<W>_fields`, .. and stored.ir's texts are instantiated
 * for it.  What a model computes does not depend on the form: kernels get the same integers. */
#include "lower/stored.h"

#include <string.h>

enum { SLACK = 16 };

/* ---- the form ---------------------------------------------------------------------------------------------- */

static bool gathered(const Func *tensor, const Data *W)
{
	for (const Func *f = tensor; f; f = f->next)
		each_op(o, &f->body)
			if (o->kind == O_gather && o->in[0]->data == W)
				return true;
	return false;
}

/* Read by products and, along axis 0, by gathers only. */
static bool readable(const Func *tensor, const Data *W)
{
	for (const Func *f = tensor; f; f = f->next)
		each_op(o, &f->body)
			for (int i = 0; i < o->nin; i++)
				if (o->in[i] && o->in[i]->data == W && !(o->kind == O_linear && i == 1) &&
				    !(o->kind == O_gather && i == 0 && attr_int(o, "axis", 0) == 0))
					return false;
	return true;
}

/* What feedback left beside W; a book's size says its memory. */
static void stored_books(Module *m, const Data *W, StoreBooks *to)
{
	*to = (StoreBooks){0};
	for (int width = 1; width <= STORE_BOOKS; width++) {
		const Data *d = data_find(m, book_name(m, W, width));
		int memory = 0;
		while (d && (size_t)1 << (width + memory) < d->size)
			memory++;
		if (d && d->type->elem == E_i8 && d->size == (size_t)1 << (width + memory) && 1 << memory <= STORE_BOOK_STATES)
			to->book[to->n++] = (StoreBook){width, memory, d->bytes};
	}
	const Data *order = data_find(m, order_name(m, W));
	int32_t K = W->type->dim[1];
	uint8_t *seen = NEWN(m->arena, uint8_t, K);
	if (!order || order->type->elem != E_i32 || order->size != 4 * (size_t)K || K > INT16_MAX)
		return;
	for (int32_t k = 0; k < K; k++) {
		int32_t c = ((const int32_t *)order->bytes)[k];
		if (c < 0 || c >= K || seen[c]++)
			return;
	}
	to->order = order->bytes;
}

Stored *stored_form(Module *m, const Options *opt, const Func *tensor, const Data *W)
{
	const Type *t = W->type;
	if (opt->storage == STORE_PLAIN || !t->quant || t->rank != 2 || elem_bits(t->elem) > 8 || !elem_is_signed(t->elem) ||
	    t->quant->book || t->quant->zero || t->dim[0] < 1 || t->dim[1] < 1 || type_count(t, 1) >= 1 << 28 || !readable(tensor, W))
		return 0;
	const float *scale = t->quant->rows ? t->quant->rows->bytes : 0;
	int64_t plain = (int64_t)t->dim[0] * (((int64_t)t->dim[1] * elem_bits(t->elem) + 7) / 8 + (scale ? 4 : 0));
	StoreBooks books;
	stored_books(m, W, &books);
	Stored *s = storage_pack(W->bytes, scale, t->dim[0], t->dim[1], (StorageKind)opt->storage, gathered(tensor, W), &books);
	/* fields of odd widths are read by the way of rows just as well, and can be expanded then */
	int slack = elem_bits(t->elem) == 8 || elem_bits(t->elem) == 4 ? 0 : SLACK;
	if ((int64_t)s->bytes < plain + slack)
		return s;
	storage_free(s);
	return 0;
}

/* ---- columns as data ------------------------------------------------------------------------------------------ */

typedef struct { Frame *fr; StoredWeights *w; Sym sym[40]; int n; } Syms;

static void sym_text(Syms *s, const char *name, const char *value) { s->sym[s->n++] = (Sym){name, value}; }
static void sym_number(Syms *s, const char *name, int64_t v) { sym_text(s, name, sym_int(s->fr->l, v)); }

/* The column as data, its name behind the symbol. */
static void column(Syms *s, const char *symbol, const char *what, const Column *c)
{
	Module *m = s->fr->l->m;
	if (!c->n)
		return;
	Elem e = (Elem)(c->is_signed ? 8 * c->size : E_u8);
	Data *d = data_new(m, arena_printf(m->arena, "%s_%s", s->w->name, what), type_tensor(m, e, 1, &c->n));
	memcpy(d->bytes, c->p, d->size);
	sym_text(s, symbol, d->name);
}

/* An instance for all bodies, named by a symbol for later ones. */
static Func *define(Syms *s, const char *symbol, const char *kernel)
{
	Func *f = kernel_get(s->fr->l, kernel, 0, s->n, s->sym);
	if (f)
		sym_text(s, symbol, f->name);
	return f;
}

static void rows_functions(Syms *s)
{
	const Stored *f = s->w->form;
	sym_number(s, "CBITS", f->class_bits);
	sym_number(s, "CMASK", (1 << f->class_bits) - 1);
	column(s, "CLASSES", "classes", &f->classes);
	column(s, "WIDTH", "width", &f->width);
	column(s, "STEP", "step", &f->step);
	column(s, "ADD", "add", &f->add);
	column(s, "BOOK", "book", &f->book);
	column(s, "FIELDS", "fields", &f->fields);
	column(s, "START", "start", &f->start);
	column(s, "MEMORY", "memory", &f->memory);
	column(s, "PLACE", "place", &f->place);
	column(s, "ORDER", "order", &f->order);
	define(s, "CLASS", f->class_bits ? "rows_class" : "rows_class_one");
	if (f->windows)
		define(s, "COLUMN", f->order.n ? "rows_column" : "rows_column_same");
	else
		define(s, "VALUE", f->book.n ? "rows_value_book" : f->step.n ? "rows_value_step" : "rows_value");
	s->w->next = define(s, "NEXT", f->windows ? "rows_next_window" : "rows_next");
	if (f->reach)
		s->w->row = define(s, "ROW", f->start.n ? "rows_row" : "rows_row_one");
}

static Func *find_of(Syms *s, int symbols)
{
	int steps = 0, n = s->n;
	while (symbols > 1 << steps)
		steps++;
	sym_number(s, "STEPS", steps);
	sym_number(s, "TOP", steps ? 1 << (steps - 1) : 0);
	Func *f = kernel_get(s->fr->l, "coded_find", 0, s->n, s->sym);
	s->n = n;
	return f;
}

static void coded_functions(Syms *s)
{
	const Stored *f = s->w->form;
	const int16_t *first = f->first.p;
	int most = 1;
	for (int t = 1; t + 1 < f->first.n; t++)
		most = first[t + 1] - first[t] > most ? first[t + 1] - first[t] : most;
	sym_number(s, "NCLASS", f->nclass);
	sym_number(s, "GROUP", f->group);
	sym_number(s, "SUPER", f->super);
	column(s, "CTABLE", "table", &f->class_table);
	column(s, "FIRST", "first", &f->first);
	column(s, "CUM", "cum", &f->cum);
	column(s, "LO", "low", &f->lo);
	column(s, "STRIDES", "stride", &f->stride);
	column(s, "STREAM", "stream", &f->stream);
	column(s, "BASE", "base", &f->base);
	column(s, "OFFSET", "offset", &f->offset);
	Func *classes = find_of(s, f->nclass), *values = find_of(s, most);
	if (!classes || !values)
		return;
	sym_text(s, "FINDC", classes->name);
	sym_text(s, "FIND", values->name);
	define(s, "LEFT", "coded_left");
	define(s, "LOW", "coded_low");
	define(s, "MORE", "coded_more");
	define(s, "STRIDE", f->stride.n ? "coded_stride" : "coded_stride_one");
	s->w->next = define(s, "NEXT", "coded_next");
	if (!f->reach)
		return;
	define(s, "PLACE", f->offset.n ? "coded_place" : f->base.n ? "coded_place_base" : "coded_place_one");
	s->w->row = define(s, "ROW", "coded_row");
}

/* ---- once a module ----------------------------------------------------------------------------------------------- */

/* Integers as i8 on one scale of 1, for kernels that know nothing of stored forms. */
static Data *plain_view(Module *m, const Data *W)
{
	Quant *q = quant_new(m, "stored", E_i8, 1);
	Data *d = NEW(m->arena, Data);
	*d = (Data){.name = W->name, .type = type_quant(m, q, 2, W->type->dim), .bytes = W->bytes, .size = W->size};
	return d;
}

StoredWeights *stored_weights(Frame *fr, Data *W)
{
	Lower *l = fr->l;
	for (StoredWeights *w = l->stored; w; w = w->next_weights)
		if (w->W == W)
			return w->form ? w : 0;
	StoredWeights *w = NEW(l->m->arena, StoredWeights);
	*w = (StoredWeights){.W = W, .name = ident(l->m->arena, W->name), .form = stored_form(l->m, l->opt, l->tensor, W),
	                     .next_weights = l->stored};
	l->stored = w;
	if (!w->form)
		return 0;
	Syms s = {.fr = fr, .w = w};
	sym_number(&s, "M", w->form->M);
	sym_number(&s, "K", w->form->K);
	column(&s, "CSCALE", "scale", &w->form->class_scale);
	define(&s, "SCALE", w->form->class_scale.n ? "stored_scale" : "stored_scale_one");
	if (w->form->kind == STORE_ROWS)
		rows_functions(&s);
	else
		coded_functions(&s);
	w->view = plain_view(l->m, W);
	return w;
}

void stored_end(Lower *l)
{
	for (StoredWeights *w = l->stored; w; w = w->next_weights)
		storage_free(w->form);
	l->stored = 0;
}

Val *stored_row(Frame *fr, const StoredWeights *w, Val *i, Val **row)
{
	int32_t two = 2;
	Module *m = fr->l->m;
	Val *at = e_alloc(fr, "at", type_tensor(m, E_i32, 1, &two));
	*row = e_alloc(fr, "row", type_tensor(m, E_i8, 1, &w->form->K));
	Val *in[3] = {at, i, *row};
	Op *o = op_new(m, fr->b, O_call, 3, in);
	o->callee = w->row;
	Val *s = op_out(m, fr->f, o, 0, reg_w(fr));
	return w->form->nscale ? s : i;
}

static Val *narrow(Module *m, Data *b)
{
	int64_t n = type_count(b->type, 1);
	const int32_t *v = b->bytes;
	for (int64_t i = 0; i < n; i++)
		if (v[i] < INT16_MIN || v[i] > INT16_MAX)
			return 0;
	const char *name = arena_printf(m->arena, "%s_16", b->name);
	Quant *q = quant_new(m, name, E_i16, b->type->quant->scale);
	q->rows = b->type->quant->rows;
	Data *d = data_new(m, name, type_quant(m, q, b->type->rank, b->type->dim));
	for (int64_t i = 0; i < n; i++)
		((int16_t *)d->bytes)[i] = (int16_t)v[i];
	return val_data(m, d);
}

/* Every product that adds `from`, from op o of f on. */
static void replace_bias(Func *f, Op *o, const Data *from, Val *to)
{
	for (; f; f = f->next, o = f ? f->body.first : 0)
		for (; o; o = o->next)
			if (o->kind == O_linear && o->nin > 2 && o->in[2] && o->in[2]->data == from)
				o->in[2] = to;
}

void stored_biases(Module *m, Func *tensor)
{
	for (Func *f = tensor; f; f = f->next)
		each_op(o, &f->body) {
			Data *b = o->kind == O_linear && o->nin > 2 && o->in[2] ? o->in[2]->data : 0;
			const Quant *q = b ? b->type->quant : 0;
			Val *v = q && q->elem == E_i32 && !q->zero && !q->book ? narrow(m, b) : 0;
			if (v)
				replace_bias(f, o, b, v);
		}
}

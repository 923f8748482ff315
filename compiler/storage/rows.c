/* rows.c: rows in fields of a fixed width each.
 *
 * A row of b bits holds -2^(b-1) .. 2^(b-1) - 1; of 0 bits, one integer K times; a row of odd integers 2 f + add takes
 * a bit less than its range.  A matrix of few different integers may have a book instead: fields are indices.
 * Rows that quantization chose as paths through books are stored as such (windows.c).
 * Fields follow one another without gaps, least significant bit first. */
#include "storage/parts.h"

enum { MAX_BOOK = 16 };

Shape row_shape(const int8_t *w, int32_t K)
{
	int lo = w[0], hi = w[0], b = 1;
	bool odd = true;
	for (int32_t k = 0; k < K; k++) {
		lo = w[k] < lo ? w[k] : lo;
		hi = w[k] > hi ? w[k] : hi;
		odd &= w[k] & 1;
	}
	if (lo == hi)
		return (Shape){.step = 1, .add = lo};
	if (odd) {
		while (lo < -(1 << b) + 1 || hi > (1 << b) - 1)
			b++;
		return (Shape){.width = b, .step = 2, .add = 1 - (1 << b)};
	}
	while (lo < -(1 << (b - 1)) || hi > (1 << (b - 1)) - 1)
		b++;
	return (Shape){.width = b, .step = 1, .add = -(1 << (b - 1))};
}

/* The different integers of w in order, if they are 2 .. MAX_BOOK; their number, or 0. */
static int find_book(const int8_t *w, size_t n, int8_t *book)
{
	bool seen[256] = {0};
	int d = 0;
	for (size_t i = 0; i < n; i++)
		seen[w[i] + 128] = true;
	for (int v = 0; v < 256; v++)
		if (seen[v]) {
			if (d == MAX_BOOK)
				return 0;
			book[d++] = (int8_t)(v - 128);
		}
	return d > 1 ? d : 0;
}

static int bits_for(int32_t n)          /* of the numbers below n */
{
	int b = 0;
	while (n > 1 << b)
		b++;
	return b;
}

/* ---- classes ------------------------------------------------------------------------------------------------ */

typedef struct { Shape shape; int32_t scale; } Class;

static bool same_class(const Class *a, const Class *b)
{
	return a->shape.width == b->shape.width && a->shape.step == b->shape.step && a->shape.add == b->shape.add &&
	       a->shape.memory == b->shape.memory && a->shape.place == b->shape.place && a->scale == b->scale;
}

/* Numbers the rows' classes in order of appearance; false: more than `most`. */
static bool number_classes(Stored *s, const Shape *shape, bool scales, int32_t most, Class *class)
{
	s->nclass = 0;
	for (int32_t i = 0; i < s->M; i++) {
		Class c = {shape[i], scales ? s->scale_of[i] : 0};
		int32_t k = 0;
		while (k < s->nclass && !same_class(&class[k], &c))
			k++;
		if (k == most)
			return false;
		if (k == s->nclass)
			class[s->nclass++] = c;
		s->class_of[i] = k;
	}
	return true;
}

/* ---- fields -------------------------------------------------------------------------------------------------- */

static void put_field(uint8_t *p, int64_t at, int width, unsigned v)
{
	for (int b = 0; b < width; b++)
		if (v >> b & 1)
			p[(at + b) / 8] |= (uint8_t)(1u << (at + b) % 8);
}

static unsigned get_field(const uint8_t *p, int64_t at, int width)
{
	return ((unsigned)p[at / 8] | (unsigned)p[at / 8 + 1] << 8) >> at % 8 & ((1u << width) - 1);
}

static unsigned field_of(const Stored *s, int32_t class, int8_t v)
{
	unsigned f = 0;
	if (!s->book.n)
		return (unsigned)(v - col_i8(&s->add)[class]) / (s->step.n ? col_u8(&s->step)[class] : 1u);
	while (col_i8(&s->book)[f] != v)
		f++;
	return f;
}

static void class_columns(Stored *s, const Class *class)
{
	bool steps = false;
	for (int32_t c = 0; c < s->nclass; c++)
		steps |= class[c].shape.step != 1;
	s->width = column_new(s->nclass, 1, false);
	if (!s->book.n)
		s->add = column_new(s->nclass, 1, true);
	if (steps && !s->book.n)
		s->step = column_new(s->nclass, 1, false);
	if (s->nscale > 1)
		s->class_scale = column_new(s->nclass, 1, false);
	for (int32_t c = 0; c < s->nclass; c++) {
		col_u8(&s->width)[c] = (uint8_t)class[c].shape.width;
		if (s->add.n)
			col_i8(&s->add)[c] = (int8_t)class[c].shape.add;
		if (s->step.n)
			col_u8(&s->step)[c] = (uint8_t)class[c].shape.step;
		if (s->class_scale.n)
			col_u8(&s->class_scale)[c] = (uint8_t)class[c].scale;
	}
	s->class_bits = bits_for(s->nclass);
	if (s->class_bits) {
		s->classes = column_new((int32_t)(((int64_t)s->M * s->class_bits + 7) / 8 + 1), 1, false);
		for (int32_t i = 0; i < s->M; i++)
			put_field(col_u8(&s->classes), (int64_t)i * s->class_bits, s->class_bits, (unsigned)s->class_of[i]);
	}
}

static void window_columns(Stored *s, const Class *class, const Windows *win, const int32_t *order)
{
	s->memory = column_new(s->nclass, 1, false);
	s->place = column_new(s->nclass, 2, true);
	for (int32_t c = 0; c < s->nclass; c++) {
		col_u8(&s->memory)[c] = (uint8_t)class[c].shape.memory;
		col_i16(&s->place)[c] = (int16_t)class[c].shape.place;
	}
	s->book = column_new(win->nbook, 1, true);
	memcpy(s->book.p, win->book, (size_t)win->nbook);
	if (!order)
		return;
	s->order = column_new(s->K, 2, true);
	for (int32_t k = 0; k < s->K; k++)
		col_i16(&s->order)[k] = (int16_t)order[k];
}

/* Every row in the shape that is its own, or in indices of a book for all; the bits they take. */
static int64_t row_shapes(Stored *s, const int8_t *w, Shape *shape)
{
	int8_t book[MAX_BOOK];
	int nbook = find_book(w, (size_t)s->M * (size_t)s->K, book), bw = bits_for(nbook);
	int64_t bits = 0, indices = (int64_t)bw * s->M * s->K;
	for (int32_t i = 0; i < s->M; i++) {
		shape[i] = row_shape(w + (int64_t)i * s->K, s->K);
		bits += (int64_t)shape[i].width * s->K;
	}
	if (!nbook || indices + 8 * nbook >= bits)
		return bits;
	s->book = column_new(nbook, 1, true);
	memcpy(s->book.p, book, (size_t)nbook);
	for (int32_t i = 0; i < s->M; i++)
		shape[i] = (Shape){.width = bw, .step = 1};
	return indices;
}

void rows_pack(Stored *s, const int8_t *w, const StoreBooks *books)
{
	Shape *shape = mem_array((size_t)s->M, sizeof *shape);
	Class *class = mem_array(STORE_MAX_CLASSES, sizeof *class);
	Windows win = {0};
	s->class_of = mem_array((size_t)s->M, sizeof(int32_t));
	s->windows = books && books->n && windows_find(s, w, books, shape, &win);
	int64_t bits = s->windows ? win.bits : row_shapes(s, w, shape);
	if (!number_classes(s, shape, s->nscale > 1, STORE_MAX_CLASSES, class)) {
		s->nscale = 0;
		if (!number_classes(s, shape, false, STORE_MAX_CLASSES, class)) {       /* constant rows of many kinds */
			bits = 8 * (int64_t)s->M * s->K;
			for (int32_t i = 0; i < s->M; i++)
				shape[i] = (Shape){.width = 8, .step = 1, .add = -128};
			number_classes(s, shape, false, STORE_MAX_CLASSES, class);
		}
	}
	if (s->windows)
		window_columns(s, class, &win, books->order);
	class_columns(s, class);
	s->fields = column_new((int32_t)((bits + 7) / 8 + 2), 1, false);        /* a row of 0 bits may stand behind the last */
	if (s->reach && s->nclass > 1)
		s->start = column_new((s->M + STORE_ROWS_GROUP - 1) / STORE_ROWS_GROUP, 4, true);
	int64_t at = 0;
	for (int32_t i = 0; i < s->M; i++) {
		int32_t c = s->class_of[i];
		int width = col_u8(&s->width)[c];
		if (s->start.n && i % STORE_ROWS_GROUP == 0)
			col_i32(&s->start)[i / STORE_ROWS_GROUP] = (int32_t)at;
		for (int32_t k = 0; width && k < s->K; k++, at += width) {
			int64_t e = (int64_t)i * s->K + k;
			put_field(col_u8(&s->fields), at, width, s->windows ? win.field[e] : field_of(s, c, w[e]));
		}
	}
	free(win.book), free(win.field);
	free(shape);
	free(class);
}

static int32_t class_at(const Stored *s, int32_t row)
{
	return s->class_bits ? (int32_t)get_field(col_u8(&s->classes), (int64_t)row * s->class_bits, s->class_bits) : 0;
}

void rows_unpack(const Stored *s, int32_t row, int32_t n, int8_t *w)
{
	int64_t at = (int64_t)row * s->K * col_u8(&s->width)[0];
	if (s->nclass > 1) {
		int32_t first = s->start.n ? row / STORE_ROWS_GROUP * STORE_ROWS_GROUP : 0;
		at = s->start.n ? col_i32(&s->start)[row / STORE_ROWS_GROUP] : 0;
		for (int32_t i = first; i < row; i++)
			at += (int64_t)s->K * col_u8(&s->width)[class_at(s, i)];
	}
	for (int32_t i = row; i < row + n; i++) {
		int32_t c = class_at(s, i);
		int width = col_u8(&s->width)[c];
		unsigned state = 0;
		for (int32_t k = 0; k < s->K; k++, at += width) {
			unsigned f = width ? get_field(col_u8(&s->fields), at, width) : 0;
			if (s->windows) {
				state = (state << width | f) & ((1u << (width + col_u8(&s->memory)[c])) - 1);
				w[s->order.n ? col_i16(&s->order)[k] : k] = col_i8(&s->book)[(unsigned)col_i16(&s->place)[c] + state];
				continue;
			}
			w[k] = s->book.n ? col_i8(&s->book)[f]
			                 : (int8_t)(col_i8(&s->add)[c] + (int)f * (s->step.n ? col_u8(&s->step)[c] : 1));
		}
		w += s->K;
	}
}

/* windows.c: rows as paths through books (passes/book.h): which fields bring the integers back.
 *
 * Quantization hands over the books and the integers, not the paths.  For each row the states that its integers can have led to
 * are followed from the beginning; any path that ends is as good as another.  Rows that are none get fields of their own width, whose
 * integers are written behind the books. */
#include "storage/parts.h"

enum { MOST_SHAPES = 64, MOST_BOOK = 32767 };

/* ---- paths ----------------------------------------------------------------------------------------------------- */

typedef struct {
	const StoreBook *b;
	int N, S;
	int16_t begin[257], *window;    /* windows by the integer they stand for, + 128 */
	uint8_t *back;                  /* [K][S]: which window of the state's, upper part */
} Finder;

static void index_windows(Finder *f)
{
	int at[257] = {0};
	for (int w = 0; w < f->N; w++)
		at[f->b->value[w] + 129]++;
	for (int v = 1; v <= 256; v++)
		at[v] += at[v - 1];
	for (int v = 0; v <= 256; v++)
		f->begin[v] = (int16_t)at[v];
	f->window = mem_array((size_t)f->N, sizeof *f->window);
	for (int w = 0; w < f->N; w++)
		f->window[at[f->b->value[w] + 128]++] = (int16_t)w;
}

static bool find_path(const Finder *f, const int8_t *w, int32_t K, const int32_t *order, uint8_t *field)
{
	int width = f->b->width, memory = f->b->memory, end = -1;
	uint64_t reached = 1;
	for (int32_t k = 0; k < K; k++) {
		uint64_t next = 0;
		int v = w[order ? order[k] : k] + 128;
		for (int i = f->begin[v]; i < f->begin[v + 1]; i++) {
			int window = f->window[i], to = window & (f->S - 1);
			if (!(reached >> (window >> width) & 1) || next >> to & 1)
				continue;
			next |= (uint64_t)1 << to;
			f->back[(size_t)k * STORE_BOOK_STATES + (size_t)to] = (uint8_t)(window >> memory);
		}
		if (!(reached = next))
			return false;
	}
	while (!(reached >> ++end & 1))
		;
	for (int32_t k = K, at = end; k--;) {
		int window = f->back[(size_t)k * STORE_BOOK_STATES + (size_t)at] << memory | at;
		field[k] = (uint8_t)(window & ((1 << width) - 1));
		at = window >> width;
	}
	return true;
}

/* ---- a matrix ---------------------------------------------------------------------------------------------------- */

static void add_book(Windows *to, const int8_t *value, int n)
{
	to->book = mem_grow(to->book, (size_t)(to->nbook + n));
	memcpy(to->book + to->nbook, value, (size_t)n);
	to->nbook += n;
}

/* A row without a path: the place of its integers, those that other rows of its shape have already. */
static void add_plain(Windows *to, Shape *s, Shape *seen, int *nseen)
{
	Shape plain = *s;
	int k = 0;
	while (k < *nseen && (seen[k].width != plain.width || seen[k].step != plain.step || seen[k].add != plain.add))
		k++;
	if (k == *nseen) {
		int8_t value[256];
		for (int f = 0; f < 1 << plain.width; f++)
			value[f] = (int8_t)(plain.add + f * plain.step);
		plain.place = to->nbook;
		seen[(*nseen)++] = plain;
		add_book(to, value, 1 << plain.width);
	}
	*s = (Shape){.width = plain.width, .step = 1, .place = seen[k].place};
}

static void plain_fields(const int8_t *w, int32_t K, const int32_t *order, Shape s, uint8_t *field)
{
	for (int32_t k = 0; k < K; k++)
		field[k] = (uint8_t)((w[order ? order[k] : k] - s.add) / s.step);
}

bool windows_find(const Stored *s, const int8_t *w, const StoreBooks *books, Shape *shape, Windows *to)
{
	Finder f[STORE_BOOKS] = {0};
	Shape plain[MOST_SHAPES];
	int nplain = 0, place[STORE_BOOKS];
	int64_t plain_bits = 0;
	*to = (Windows){.field = mem_array((size_t)s->M * (size_t)s->K, 1)};
	uint8_t *back = mem_array((size_t)s->K, STORE_BOOK_STATES);
	for (int b = 0; b < books->n; b++) {
		const StoreBook *book = &books->book[b];
		f[b] = (Finder){.b = book, .N = 1 << (book->width + book->memory), .S = 1 << book->memory, .back = back};
		index_windows(&f[b]);
		place[b] = -1;
	}
	bool paths = false;
	for (int32_t i = 0; i < s->M && nplain < MOST_SHAPES; i++) {
		const int8_t *row = w + (int64_t)i * s->K;
		uint8_t *field = to->field + (int64_t)i * s->K;
		int b = 0;
		shape[i] = row_shape(row, s->K);
		plain_bits += (int64_t)shape[i].width * s->K;
		while (b < books->n && books->book[b].width < shape[i].width && !find_path(&f[b], row, s->K, books->order, field))
			b++;
		if (b < books->n && books->book[b].width < shape[i].width) {
			if (place[b] < 0) {
				place[b] = to->nbook;
				add_book(to, books->book[b].value, f[b].N);
			}
			shape[i] = (Shape){.width = books->book[b].width, .step = 1, .memory = books->book[b].memory, .place = place[b]};
			paths = true;
		} else {
			plain_fields(row, s->K, books->order, shape[i], field);
			add_plain(to, &shape[i], plain, &nplain);
		}
		to->bits += (int64_t)shape[i].width * s->K;
	}
	for (int b = 0; b < books->n; b++)
		free(f[b].window);
	free(back);
	int64_t order_bits = books->order ? 16 * (int64_t)s->K : 0;
	if (paths && nplain < MOST_SHAPES && to->nbook <= MOST_BOOK && to->bits + 8 * (int64_t)to->nbook + order_bits < plain_bits)
		return true;
	free(to->book), free(to->field);
	*to = (Windows){0};
	return false;
}

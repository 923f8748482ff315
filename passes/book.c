/* book.c: books trained on rows (book.h): paths are found, each integer becomes the mean of what it stood for, and again
 * (Lloyd's method, with the trellis in place of the nearest value). */
#include "passes/book.h"
#include "passes/trellis.h"
#include "util/mem.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { ROUNDS = 30, QUICK_ROUNDS = 100, FINER = 24, MOST = 127 };
static const float SPREAD = 1.2f;       /* trained books reach further than what they begin with */

typedef struct { double sum, square, count; } Seen;     /* of what columns were to be, weighted */

static uint32_t draw(uint64_t *seed)
{
	*seed = *seed * 6364136223846793005u + 1442695040888963407u;
	return (uint32_t)(*seed >> 33);
}

static int by_value(const void *a, const void *b)
{
	float x = *(const float *)a, y = *(const float *)b;
	return (x > y) - (x < y);
}

/* Without memory the quantiles; else weights at random: trained books of random beginnings are the better ones. */
static void begin(Book *b, const float *x, size_t n)
{
	uint64_t seed = 1;
	if (b->memory) {
		for (int w = 0; w < b->n; w++)
			b->real[w] = x[draw(&seed) % n] * SPREAD;
		return;
	}
	float *sorted = mem_array(n, sizeof *sorted);
	memcpy(sorted, x, n * sizeof *x);
	qsort(sorted, n, sizeof *sorted, by_value);
	for (int w = 0; w < b->n; w++)
		b->real[w] = sorted[(2 * (size_t)w + 1) * n / (2 * (size_t)b->n)];
	free(sorted);
}

static void walk(const Book *b, Trellis *t, TrellisMetric m, const float *x, int rows, int K, Seen *seen)
{
	double *row = mem_array((size_t)K, sizeof *row);
	uint16_t *window = mem_array((size_t)K, sizeof *window);
	memset(seen, 0, sizeof *seen * (size_t)b->n);
	for (int i = 0; i < rows; i++, x += K) {
		for (int k = 0; k < K; k++)
			row[k] = x[k];
		trellis_row(t, b, m, row, K, 0, 0, window);
		for (int k = 0; k < K; k++) {
			Seen *s = &seen[window[k]];
			double w = m.weight ? (double)m.weight[k] : 1;
			s->sum += w * row[k], s->square += w * row[k] * row[k], s->count += w;
		}
	}
	free(row), free(window);
}

/* What the books' values become in steps of 1 / finer. */
static double to_integer(double real, double finer)
{
	double v = floor(real * finer + 0.5);
	return v > MOST ? MOST : v < -MOST ? -MOST : v;
}

static double lost(const Book *b, const Seen *seen, double finer)
{
	double e = 0;
	for (int w = 0; w < b->n; w++) {
		double v = to_integer(b->real[w], finer) / finer;
		e += seen[w].square - 2 * v * seen[w].sum + v * v * seen[w].count;
	}
	return e;
}

/* Integers of such a size that few values are clipped and few are coarse. */
static void settle(Book *b, const Seen *seen)
{
	double most = 0, best = 0, least = INFINITY;
	for (int w = 0; w < b->n; w++)
		most = fmax(most, fabs((double)b->real[w]));
	double finer = most > 0 ? MOST / most : 1;
	for (int k = 0; k < FINER; k++, finer *= 1.09) {
		double e = lost(b, seen, finer);
		if (e < least)
			least = e, best = finer;
	}
	b->step = (float)(1 / best);
	for (int w = 0; w < b->n; w++) {
		b->value[w] = (int8_t)to_integer(b->real[w], best);
		b->real[w] = b->value[w];
	}
}

Book *book_train(const float *x, int rows, int K, int width, int memory, TrellisMetric m)
{
	Book *b = mem_new(sizeof *b);
	*b = (Book){.width = width, .memory = memory, .n = 1 << (width + memory)};
	b->value = mem_array((size_t)b->n, 1);
	b->real = mem_array((size_t)b->n, sizeof(float));
	Seen *seen = mem_array((size_t)b->n, sizeof *seen);
	Trellis *t = trellis_new();
	begin(b, x, (size_t)rows * (size_t)K);
	for (int i = 0; i < (memory ? ROUNDS : QUICK_ROUNDS); i++) {
		walk(b, t, m, x, rows, K, seen);
		for (int w = 0; w < b->n; w++)
			if (seen[w].count > 0)
				b->real[w] = (float)(seen[w].sum / seen[w].count);
	}
	settle(b, seen);
	trellis_free(t);
	free(seen);
	return b;
}

void book_free(Book *b)
{
	if (b)
		free(b->value), free(b->real), free(b);
}

int book_memory(int width, size_t bytes)
{
	int memory = 0;
	while (memory < BOOK_MEMORY && (size_t)1 << (width + memory + 1) <= bytes)
		memory++;
	return memory;
}

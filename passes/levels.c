/* levels.c: the few numbers that stand for all others with the least squared error.
 *
 * On a line the best n clusters are n intervals, and the best division of the first j bins into k of them has the best division
 * of fewer bins into k - 1 in front of its last one (what Lloyd's algorithm approaches, exactly).  Where the last interval begins
 * does not fall as j grows, so the bins in the middle say where to look for the others.  The interval that holds 0 stands for
 * 0: states that begin there and what relu leaves out stay exact, as on a grid.  Only + - * / of doubles decide. */
#include "passes/levels.h"
#include "util/mem.h"

#include <math.h>
#include <stdlib.h>

enum { ALL = 2 * HISTOGRAM_BINS };

typedef struct {
	double *n, *x, *xx;     /* [ALL + 1] sums over the bins in front: counts, numbers, squares */
	double *least;          /* [ALL + 1] error of the first j bins in as many intervals as so far */
	double *next;           /* with one more */
	int16_t *from;          /* [interval][ALL + 1] where the last begins */
} Training;

static double center(const Training *t, int i, int j)
{
	bool zero = i <= HISTOGRAM_BINS && j > HISTOGRAM_BINS;
	double n = t->n[j] - t->n[i];
	return zero || n == 0 ? 0 : (t->x[j] - t->x[i]) / n;
}

static double error(const Training *t, int i, int j)
{
	double c = center(t, i, j), e = t->xx[j] - t->xx[i] - c * (2 * (t->x[j] - t->x[i]) - c * (t->n[j] - t->n[i]));
	return e > 0 ? e : 0;
}

/* next[lo .. hi], whose last intervals begin at from .. to. */
static void divide(Training *t, int16_t *begin, int lo, int hi, int from, int to)
{
	if (lo > hi)
		return;
	int j = (lo + hi) / 2, best = from;
	double least = INFINITY;
	for (int i = from; i <= to && i <= j; i++) {
		double e = t->least[i] + error(t, i, j);
		if (e < least)
			least = e, best = i;
	}
	t->next[j] = least;
	begin[j] = (int16_t)best;
	divide(t, begin, lo, j - 1, from, best);
	divide(t, begin, j + 1, hi, best, to);
}

static void sums(Training *t, const Histogram *h)
{
	for (int j = 0; j < ALL; j++) {
		int i = j - HISTOGRAM_BINS;
		double n = i < 0 ? h->below[-1 - i] : h->above[i], x = (i + 0.5) * h->width;
		if (i == 0)
			x = 0;          /* mostly zeros */
		t->n[j + 1] = t->n[j] + n;
		t->x[j + 1] = t->x[j] + n * x;
		t->xx[j + 1] = t->xx[j] + n * x * x;
	}
}

int levels_train(const Histogram *h, int n, float *level)
{
	Training t = {mem_array(ALL + 1, sizeof(double)), mem_array(ALL + 1, sizeof(double)), mem_array(ALL + 1, sizeof(double)),
	              mem_array(ALL + 1, sizeof(double)), mem_array(ALL + 1, sizeof(double)),
	              mem_array((size_t)n * (ALL + 1), sizeof(int16_t))};
	sums(&t, h);
	for (int j = 0; j <= ALL; j++)
		t.least[j] = error(&t, 0, j);
	for (int k = 1; k < n; k++) {
		divide(&t, t.from + (size_t)k * (ALL + 1), 0, ALL, 0, ALL);
		double *swap = t.least;
		t.least = t.next, t.next = swap;
	}
	int have = 0;
	float down[64];
	for (int k = n - 1, j = ALL; k >= 0; k--) {
		int i = k ? t.from[(size_t)k * (ALL + 1) + (size_t)j] : 0;
		float c = (float)center(&t, i, j);
		if (i < j && t.n[j] > t.n[i] && (!have || c < down[have - 1]))
			down[have++] = c;
		j = i;
	}
	for (int k = 0; k < have; k++)
		level[k] = down[have - 1 - k];
	free(t.n), free(t.x), free(t.xx), free(t.least), free(t.next), free(t.from);
	return have;
}

/* trellis.h: a row of weights as a path through the windows of a book (book.h). */
#ifndef GATEFOLD_TRELLIS_H
#define GATEFOLD_TRELLIS_H

#include "passes/book.h"

#include <stdbool.h>

typedef struct Trellis Trellis;         /* what is needed on the way; for one book after the other */

/* How the error of one column shows in the others. */
typedef struct TrellisMetric {
	const float *push;      /* row i, column j > i: what column j is to take over for each unit of error in column i; 0: nothing */
	int stride;             /* of its rows */
	const float *weight;    /* [K] of the columns' squared errors; 0: all alike */
} TrellisMetric;

Trellis *trellis_new(void);
void trellis_free(Trellis *t);
/* Finds windows for x[K] (in steps of the book's integers): those whose integers have about the least squared error, the
 * error of each column being pushed into the ones behind it, first the K of x, then rest[n], which follow them.  x and rest are
 * used up: rest comes back as what is left to do there.  Returns the error. */
double trellis_row(Trellis *t, const Book *b, TrellisMetric m, double *x, int K, double *rest, int n, uint16_t *window);

#endif

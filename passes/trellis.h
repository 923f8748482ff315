/* trellis.h: a row of weights as a path through the windows of a book (book.h). */
#ifndef GATEFOLD_TRELLIS_H
#define GATEFOLD_TRELLIS_H

#include "passes/book.h"

#include <stdbool.h>

typedef struct Trellis Trellis;         /* what is needed on the way; for one book after the other */

Trellis *trellis_new(void);
void trellis_free(Trellis *t);
/* Finds windows for x[K] (in steps of the book's integers): those whose integers have about the least squared error, the
 * error of each column being pushed into the ones behind it, first the K of x, then rest[n], which follow them.  x and rest are
 * used up: x comes back as what each column was to be when its turn came, rest as what is left to do there.  Returns the error. */
double trellis_row(Trellis *t, const Book *b, TrellisMetric m, double *x, int K, double *rest, int n, uint16_t *window);

#endif

/* book.h: the integers that a row's fields stand for.
 *
 * A row of width b is stored as fields of b bits.  A weight is value[window]: the window is its own field and the `memory` bits
 * in front of it (zeros where the row begins).  Without memory that is a code book of 2^b integers (k-means); with memory the
 * integers that one field may choose from depend on the fields before it, and the row as a whole comes out nearer to what was
 * wanted: a trellis (shift-register trellis codes, as in QTIP, arXiv 2406.11235, here with trained books).  Reading takes one
 * look-up a weight either way. */
#ifndef GATEFOLD_BOOK_H
#define GATEFOLD_BOOK_H

#include <stddef.h>
#include <stdint.h>

enum { BOOK_WIDTH = 5, BOOK_MEMORY = 6 };       /* at most */

/* How the error of one column shows in the others. */
typedef struct TrellisMetric {
	const float *push;      /* row i, column j > i: what column j is to take over for each unit of error in column i; 0: nothing */
	int stride;             /* of its rows */
	const float *weight;    /* [K] of the columns' squared errors; 0: all alike */
} TrellisMetric;

typedef struct Book {
	int width, memory;
	int n;                  /* 2^(width + memory) */
	int8_t *value;          /* [n], -127 .. 127 */
	float *real;            /* [n] the same as floats */
	float step;             /* of a row whose root mean square is 1 */
} Book;

/* A book for rows like x[rows,K], each of root mean square 1 (or 0), that are rounded in the metric m: trained on them.  1 <= width
 * <= BOOK_WIDTH, 0 <= memory <= BOOK_MEMORY.  Needs some 30 weights for each of its integers to mean anything.  The same integers
 * on every machine. */
Book *book_train(const float *x, int rows, int K, int width, int memory, TrellisMetric m);
void book_free(Book *b);
/* The most memory whose book takes at most `bytes` bytes. */
int book_memory(int width, size_t bytes);

#endif

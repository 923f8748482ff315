/* grid.h: the integers one row of weights may take, and their step. */
#ifndef GATEFOLD_GRID_H
#define GATEFOLD_GRID_H

#include "passes/book.h"

#include <stdbool.h>

typedef struct Grid {
	float step;             /* real = integer * step */
	int most;               /* integers -most .. most; 0: zeros only */
	bool odd;               /* odd integers only: 2^b values (q + 1/2) * 2 step, none of them 0 */
	const Book *book;       /* a path through this book; 0: none */
} Grid;

/* Which steps may be chosen. */
typedef enum {
	STEP_POW2,              /* powers of two */
	STEP_REAL,              /* any */
	STEP_LIST,              /* powers of 2^(1/4): few distinct ones, which compact storage writes once */
} StepKind;

/* May the integers be odd ones only? */
typedef enum { ODD_NEVER, ODD_IF_BETTER, ODD_ALWAYS } OddKind;

/* Up to so many bits odd integers are worth their while. */
enum { ODD_BITS = 3 };

double grid_integer(const Grid *g, double x);   /* the nearest, halves upward */
float step_near(StepKind kind, double step);    /* the nearest (in ratio) that the kind has */
float step_beside(StepKind kind, float step, int k);    /* k steps finer (k < 0) or coarser */
/* `bits` >= 1 wide (0: zeros), with the least squared error over x[n], each weighted by weight[i] (0: all alike).
 * 1 bit is odd in any case. */
Grid grid_fit(const float *x, const double *weight, int n, int bits, StepKind kind, OddKind odd);

#endif

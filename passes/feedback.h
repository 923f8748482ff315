/* feedback.h: weights rounded so that what they compute comes out right (feedback.c); its parts. */
#ifndef GATEFOLD_FEEDBACK_H
#define GATEFOLD_FEEDBACK_H

#include "passes/grid.h"
#include "passes/moments.h"
#include "passes/trellis.h"
#include "passes/units.h"

/* --grid: the integers of few bits. */
typedef enum {
	GRID_DEFAULT,           /* GRID_TRELLIS for --size with rows, else GRID_UNIFORM */
	GRID_UNIFORM,           /* equally far from one another */
	GRID_BOOK,              /* trained, the same 2^b for all rows of b bits in a matrix */
	GRID_TRELLIS,           /* trained, and dependent on the fields before (book.h) */
} GridKind;

/* One unit on its way. */
typedef struct Work {
	Unit *u;
	struct Metric *metric;
	struct Metric *group_metric;    /* of classes that are likely in the same places, or 0 */
	const int *group;       /* [M] each row's, or 0 */
	int ngroup;
	double *x;              /* [M,K] real weights, parts side by side */
	Grid *grid;             /* [M * MAX_PARTS] of row i, part k: [i * MAX_PARTS + k] */
	float *q;               /* [M,K] integers */
	Book *book[MAX_PARTS][BOOK_WIDTH + 1];  /* by part and width, once asked for */
	double gain, *need;     /* compact: log2 of the precision it wants beside others, and [M] each row beside its others */
	bool per_row;           /* rows have steps of their own */
} Work;

/* ---- round.c ------------------------------------------------------------------------------------------------- */

typedef struct Metric {
	int K, *order;          /* columns, the most used first */
	double *U;              /* [K,K] in that order: U'U = inverse of the damped metric */
	double *diag;           /* [K] of the metric, in the columns' own order */
	double *mean;           /* [K] of v */
	float *push, *weight;   /* by_part: [K,K], [K] of U as trellis.h wants it */
} Metric;

/* Of second moments: of what is left once the mean goes into a bias, if `centred`.  by_part: columns of one part are not mixed
 * with those of another. */
bool metric_of_moments(Metric *t, const Unit *u, const Moments *s, bool centred, bool by_part);
/* Of classes in group g, in the order of `all`. */
bool metric_of_group(Metric *t, const Unit *u, const Moments *s, int g, const Metric *all);
bool metric_of_readers(Metric *t, const Unit *u, bool by_part); /* sum W'W; without readers the plain squared error */
void metric_free(Metric *t);
/* Round row x[K] to q[K] integers of the parts' grids; returns the squared error in the metric. */
double round_row(const Metric *t, const Unit *u, const double *x, const Grid *grid, Trellis *trellis, float *q);

/* ---- books.c ------------------------------------------------------------------------------------------------- */

GridKind grid_kind(const Options *opt);
/* The grid of row x[K] of the unit's part k in a book of `width` bits, which is trained when it is first asked for. */
Grid book_grid(Work *w, const Options *opt, int k, const double *x, int width);
void books_store(Module *m, const Work *w, const Unit *u);     /* books and orders beside the weights of u, in m */
void books_free(Work *w);

/* ---- bias.c -------------------------------------------------------------------------------------------------- */

bool bias_is_free(Module *m, const Unit *u);            /* is there a bias, or a place for one? */
void bias_add(Module *m, const Unit *u, const double *what);    /* what[M] */

/* ---- compact.c ------------------------------------------------------------------------------------------------ */

/* Grids for rows or entropy coding, for all units at once: as fine as opt->size allows, or of the widths asked for. */
bool compact_choose(Module *m, const Options *opt, Work *w, const Moments *mo, int n, Diag *d);
void work_round(Work *w);               /* x -> q on its grid */
void work_store(Module *m, const Work *w);      /* q into m, the unit's module or a copy: weights, grids, what the bias takes over */

/* reconstruct_was.c: at effort 3, before anything is rounded: keep what the float model has.  Weights and tables W in `<W>_was`,
 * the constant bias beside W (zeros: none) in `<W>_bias_was`. */
void reconstruct_remember(Module *m, const Options *opt);

#endif

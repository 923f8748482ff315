/* feedback.h: weights rounded so that what they compute comes out right (feedback.c); its parts. */
#ifndef GATEFOLD_FEEDBACK_H
#define GATEFOLD_FEEDBACK_H

#include "passes/grid.h"
#include "passes/moments.h"
#include "passes/units.h"

/* The grids of a unit's rows: row i of part k has grid[i * MAX_PARTS + k]. */
typedef struct Grids { Grid *grid; bool per_row; } Grids;

/* ---- round.c ------------------------------------------------------------------------------------------------- */

typedef struct Metric {
	int K, *order;          /* columns, the most used first */
	double *U;              /* [K,K] in that order: U'U = inverse of the damped metric */
	double *diag;           /* [K] of the metric, in the columns' own order */
	double *mean;           /* [K] of v */
} Metric;

/* Of second moments: of what is left once the mean goes into a bias, if `centred`. */
bool metric_of_moments(Metric *t, int K, const Moments *s, bool centred);
bool metric_of_readers(Metric *t, const Unit *u);       /* sum W'W; without readers the plain squared error */
void metric_free(Metric *t);
/* Round row x[K] to q[K] integers of the parts' grids; returns the squared error in the metric. */
double round_row(const Metric *t, const Unit *u, const double *x, const Grid *grid, float *q);

/* ---- bias.c -------------------------------------------------------------------------------------------------- */

bool bias_is_free(Module *m, const Unit *u);            /* is there a bias, or a place for one? */
void bias_add(Module *m, const Unit *u, const double *what);    /* what[M] */

#endif

/* moments.h: what rounding wants to know of the data: second moments of what each unit's weights multiply, how often each row
 * of a table is read, how much each class's probability moves. */
#ifndef GATEFOLD_MOMENTS_H
#define GATEFOLD_MOMENTS_H

#include "passes/units.h"
#include "util/diag.h"

typedef struct Moments {
	double *H;              /* [K,K] sum v v', v = (x, h, ..) of the unit's parts; both triangles */
	double *sum;            /* [K] sum v */
	double count;           /* vectors seen */
	double *diff;           /* [M] sum of results, float model's less this one's; 0: not asked for */
	double *weight;         /* [M] of rows: how often each is read, or sum p (1 - p) of each class; 0: unknown */
	int groups, *group;     /* of classes (classes.h); 0: none; [M] each row's */
	double *group_H;        /* [groups,K,K] moments about the mean where its classes are likely */
} Moments;

typedef struct MomentsWanted {
	int64_t steps;          /* of calibration data at most */
	const Module *was;      /* the float model: collect diff instead of second moments; else 0 */
	int samples;            /* vectors that classes are measured by */
} MomentsWanted;

/* For n units of m, in order.  Frees nothing that `to` held before.  false with the fault in d. */
bool moments_collect(Module *m, const Options *opt, Unit *const *u, int n, MomentsWanted w, Moments *to, Diag *d);
/* weight of tables from the model's inputs, without running it.  Rows nobody can count stay without weights. */
bool moments_count_rows(Module *m, const Options *opt, Unit *const *u, int n, Moments *to, Diag *d);
void moments_free(Moments *s);

#endif

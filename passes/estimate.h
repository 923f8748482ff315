/* estimate.h: steps for each unit (last axis) of values of few bits. */
#ifndef GATEFOLD_ESTIMATE_H
#define GATEFOLD_ESTIMATE_H

#include "ir/ir.h"
#include "options.h"
#include "passes/histogram.h"

typedef struct UnitSteps {
	int32_t K;              /* units */
	int bits, most_bits;    /* of a number, and of one on the finest unit's step */
	RangeKind kind;
	bool pow2;              /* steps are powers of two; else the least may be any number */
	Histogram *seen;        /* of each unit */
	double *weight;         /* of its squared error */
} UnitSteps;

UnitSteps *unit_steps_new(Arena *a, int32_t K);
void unit_steps_count(UnitSteps *u, const float *rows, int64_t n);      /* n rows of K */
/* Fills step[K]; false: one step for all would be about as good. */
bool unit_steps_choose(const UnitSteps *u, float *step);

#endif

/* collect.h: run the float module, as it is now, on calibration data and look at values on the way.
 *
 * A probe is an operand or the result of one op.  The module is copied, each probe gets a state that its rows are recorded
 * in, and what neither a probe nor a state that is carried on needs is dropped: an output layer that nobody looks at costs
 * nothing.  Two collectors may be fed the same samples, for the float model and one with rounded weights. */
#ifndef GATEFOLD_COLLECT_H
#define GATEFOLD_COLLECT_H

#include "data/dataset.h"
#include "ir/ir.h"
#include "options.h"
#include "util/diag.h"

typedef struct Probe {
	const Func *func;
	int place;              /* the op is number `place` of func */
	int operand;            /* -1: its first result */
	int32_t K;              /* elements of a row: the last axis */
} Probe;

typedef struct Collector Collector;

Probe probe_of(const Func *f, const Op *o, int operand);
bool probe_same(const Probe *a, const Probe *b);
/* 0 with the fault in d. */
Collector *collector_open(const Module *m, const Options *opt, const Probe *p, int n, Diag *d);
bool collector_run(Collector *c, const Sample *s, Diag *d);
/* Rows probe i saw in the last run, in order, where its function is called from the k-th place; -1: there is no such place.
 * Of a very long sequence only the first rows are kept; the same ones for each probe with as many rows a call. */
int collector_rows(const Collector *c, int i, int k, const float **rows);
void collector_close(Collector *c);
/* How many steps of calibration data one run takes: all; at efforts 0 and 1 what some 10^11 multiplications do. */
int64_t calibration_steps(const Module *m, const Options *opt);

#endif

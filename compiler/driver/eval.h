/* eval.h: score a model on labelled data. */
#ifndef GATEFOLD_EVAL_H
#define GATEFOLD_EVAL_H

#include "driver/driver.h"
#include "driver/metric.h"

typedef struct {
	Metric metric;
	int64_t bytes, samples;
	int64_t ram;            /* bytes of state and scratch for one step */
	double seconds;
} Result;

/* m with the passes it still needs, in floats or integers, on c->data.  false with the faults in d. */
bool eval_one(const Command *c, const Module *m, bool integer, Result *res, Diag *d);

#endif

/* levels.h: the few numbers that stand for all others with the least squared error. */
#ifndef GATEFOLD_LEVELS_H
#define GATEFOLD_LEVELS_H

#include "passes/histogram.h"

/* Fills level[] with at most n (2..64) numbers, the least first; returns how many.  0 is one of them. */
int levels_train(const Histogram *h, int n, float *level);

#endif

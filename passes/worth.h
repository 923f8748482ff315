/* worth.h: what the rounding of one unit alone does to the model's outputs. */
#ifndef GATEFOLD_WORTH_H
#define GATEFOLD_WORTH_H

#include "passes/feedback.h"

/* damage[i]: mean over calibration steps of what the outputs lose when only w[i] is rounded, as it is now.  For outputs of many
 * classes the Kullback-Leibler divergence, to second order; else squared error beside the output's own variance.
 * m holds the weights of before.  false with the fault in d. */
bool worth_measure(Module *m, const Options *opt, const Work *w, int n, double *damage, Diag *d);
double log2_of(double x);               /* to 1e-9, by + - * / only: the same on every machine */
double exp2_of(double x);
double exp_below(double x);             /* e^x for x <= 0, to 1e-7 */

#endif

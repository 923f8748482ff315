/* histogram.h: how often numbers of each size were seen, and where few bits should saturate (clip). */
#ifndef GATEFOLD_HISTOGRAM_H
#define GATEFOLD_HISTOGRAM_H

#include "options.h"

#include <stdint.h>

enum { HISTOGRAM_BINS = 2048 };

/* Bins of one width on both sides of 0; bin i holds magnitudes from i to i + 1 widths, and numbers beyond the last one double
 * the width: pairs of bins become one.  Widths are powers of two, so the order in which numbers come does not matter. */
typedef struct Histogram {
	double width;           /* 0: nothing but zeros so far */
	double n;               /* numbers seen */
	double most;            /* greatest magnitude */
	double below[HISTOGRAM_BINS], above[HISTOGRAM_BINS];    /* counts of x < 0 and of x >= 0 */
} Histogram;

void histogram_add(Histogram *h, float x);      /* not finite: ignored */
/* The magnitude where numbers of `bits` bits (2..16) had better saturate; at most h->most.  pow2: steps are powers of two. */
double histogram_clip(const Histogram *h, RangeKind kind, int bits, bool pow2);
/* Squared errors of rounding all that was seen to `bits` bits of this step, summed. */
double histogram_error(const Histogram *h, double step, int bits);

#endif

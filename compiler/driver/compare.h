/* compare.h: an output beside its reference. */
#ifndef GATEFOLD_COMPARE_H
#define GATEFOLD_COMPARE_H

#include "util/tensor.h"

typedef struct {
	bool shape;             /* same dimensions */
	bool close;             /* every element within tolerance; integers equal */
	double max_error;       /* greatest |out - ref| / max(1, |ref|); infinite when only one of them is NaN */
	double snr_db;          /* 10 log10 of the reference's power over the error's */
} Comparison;

/* |out - ref| <= atol + rtol * max(1, |ref|); NaN equals NaN, infinities must be equal */
Comparison compare(const Tensor *out, const Tensor *ref, double rtol, double atol);
bool same_bytes(const void *a, const void *b, size_t n, bool floats);   /* NaN equals NaN */

#endif

/* formats.h: fixed-point formats from ranges, integers from real numbers. */
#ifndef GATEFOLD_FORMATS_H
#define GATEFOLD_FORMATS_H

#include "ir/ir.h"

/* The least e such that numbers up to `most` in magnitude fit `bits` bits at scale 2^e.  exact: `most` itself
 * must not saturate; else it may, by at most one step (formats.c says why). */
int fit_exponent(double most, int bits, bool exact);
double grid_round(double x);                    /* halves upward: the one rounding rule */

/* ---- weights.c: data from f32 to integers, in place ------------------------------------------------- */

typedef struct {
	int bits;
	bool rows, real;
	const uint8_t *row_bits;        /* with rows: of each row, at most `bits`; 0: all alike */
} WeightRule;

/* The scales that weights_quantize takes for d: one, or one for each row. */
int weights_scales(Module *m, const Data *d, WeightRule rule, float **scale);
const char *grid_name(Module *m, const Data *d);        /* data of scales chosen before, by feedback */

/* Choose scales for d (f32) and store its integers; of one bit: -1 and +1, in an i2. */
void weights_quantize(Module *m, Data *d, WeightRule rule);
/* Store d (f32) on a given grid: type and scales are q's; saturates. */
void data_quantize(Module *m, Data *d, const Quant *q);
double data_most(const Data *d);                /* greatest magnitude of f32 data; NaN: one is not finite */
void data_range(const Data *d, double *lo, double *hi);

#endif

/* formats.c: which power of two a range needs. */
#include "passes/formats.h"

#include <math.h>

double grid_round(double x)
{
	return floor(x + 0.5);
}

/* Two rules for the greatest magnitude a, with q = 2^(bits-1) - 1 the greatest integer:
 *	exact	round(a / s) <= q: nothing seen in calibration saturates.  For inputs and constants, where a value
 *		like 1 often means exactly that.
 *	else	a <= (q + 1) s: only values within one step of the end saturate, by less than a step.  A gate or state
 *		that comes close to 1 then has scale 2^-(bits-1); the exact rule would double every step to save
 *		one step at the very end. */
int fit_exponent(double most, int bits, bool exact)
{
	double q = ldexp(1, bits - 1) - 1;
	int e;
	if (!(most > 0))
		return 1 - bits;                /* nothing but zeros: any scale; the range of a unit */
	frexp(most, &e);
	e -= bits + 1;                          /* too fine; at most three steps to go */
	if (exact)
		while (grid_round(ldexp(most, -e)) > q)
			e++;
	else
		while (ldexp(most, -e) > q + 1)
			e++;
	return e < -126 ? -126 : e > 126 ? 126 : e;     /* scales are normal floats */
}

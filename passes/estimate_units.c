/* estimate_units.c: a step for each unit.
 *
 * All steps are the least one times a power of two, so that units come together by shifts.  For a least step a unit takes the
 * octave with the least squared error (or the finest that its range fits, where --ranges asks for another kind); of the
 * least steps, eight in an octave where they may be real, and of the spans of octaves that fit the integer all units are read
 * in, those are chosen whose weighted sum is least. */
#include "passes/estimate.h"
#include "passes/formats.h"
#include "util/mem.h"

#include <math.h>
#include <stdlib.h>

enum { OCTAVES = 20, PARTS = 8 };
static const double WORTH = 0.95;       /* of the error with one step for all units */

UnitSteps *unit_steps_new(Arena *a, int32_t K)
{
	UnitSteps *u = NEW(a, UnitSteps);
	u->K = K;
	u->seen = NEWN(a, Histogram, K);
	u->weight = NEWN(a, double, K);
	return u;
}

void unit_steps_count(UnitSteps *u, const float *rows, int64_t n)
{
	for (int64_t i = 0; i < n; i++)
		for (int32_t k = 0; k < u->K; k++)
			histogram_add(&u->seen[k], rows[i * u->K + k]);
}

static double cost(const UnitSteps *u, int32_t k, double step)
{
	const Histogram *h = &u->seen[k];
	if (h->n == 0 || h->most == 0)
		return 0;
	if (u->kind == RANGE_MSE)
		return histogram_error(h, step, u->bits);
	double clip = histogram_clip(h, u->kind, u->bits, true), most = ldexp(step, u->bits - 1);
	return (most >= clip ? step : clip) * (most >= clip ? step : clip) * h->n;
}

/* For each unit the best of the octaves first .. first + n - 1; returns the weighted sum. */
static double best_octaves(const UnitSteps *u, double (*at)[OCTAVES], int first, int n, int *octave)
{
	double sum = 0;
	for (int32_t k = 0; k < u->K; k++) {
		octave[k] = first;
		for (int i = first + 1; i < first + n; i++)
			if (at[k][i] < at[k][octave[k]])
				octave[k] = i;
		sum += u->weight[k] * at[k][octave[k]];
	}
	return sum;
}

bool unit_steps_choose(const UnitSteps *u, float *step)
{
	int n = u->most_bits - u->bits + 1, octave[u->K];
	double (*at)[OCTAVES] = mem_array((size_t)u->K, sizeof *at), most = 0, least = INFINITY, alike = INFINITY, part = 1;
	n = n > MAX_SPREAD + 1 ? MAX_SPREAD + 1 : n;
	for (int32_t k = 0; k < u->K; k++)
		most = fmax(most, u->seen[k].most);
	int e = fit_exponent(most, u->bits, false);
	for (int p = 0; p < (u->pow2 ? 1 : PARTS); p++, part *= sqrt(sqrt(sqrt(0.5)))) {
		for (int32_t k = 0; k < u->K; k++)
			for (int i = 0; i < OCTAVES; i++)
				at[k][i] = cost(u, k, (double)(float)ldexp(part, e - i));
		for (int first = 0; first < OCTAVES; first++)
			alike = fmin(alike, best_octaves(u, at, first, 1, octave));
		for (int first = 0; first + n <= OCTAVES; first++) {
			double sum = best_octaves(u, at, first, n, octave);
			if (sum >= least)
				continue;
			least = sum;
			for (int32_t k = 0; k < u->K; k++)
				step[k] = ldexpf((float)part, e - octave[k]);
		}
	}
	free(at);
	return least < WORTH * alike;
}

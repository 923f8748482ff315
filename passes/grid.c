/* grid.c: choose the step of a row (grid.h).  The squared error over the step has several shallow minima, so all candidates are
 * tried: from the step that just holds the greatest weight downward, as clipping a few outliers pays at few bits. */
#include "passes/grid.h"
#include "passes/formats.h"

#include <math.h>

enum { REAL_STEPS = 40, LIST_STEPS = 12, POW2_STEPS = 4 };
static const double REAL_FINEST = 0.2;
/* 2^(k/4), in floats: the table says the same on every machine */
static const float quarter[4] = {1, 0x1.306fep+0f, 0x1.6a09e6p+0f, 0x1.ae89fap+0f};

double grid_integer(const Grid *g, double x)
{
	double q = g->odd ? 2 * floor(x / (2 * (double)g->step)) + 1 : grid_round(x / (double)g->step);
	return q < -g->most ? -g->most : q > g->most ? g->most : q;
}

static float list_step(int k)
{
	int e = k >> 2;
	return ldexpf(quarter[k & 3], e);
}

/* The index whose step is nearest in ratio. */
static int list_index(double step)
{
	int e, k = 0;
	double f = 2 * frexp(step, &e);         /* 1 <= f < 2 */
	for (int i = 1; i <= 4; i++) {
		double next = i < 4 ? quarter[i] : 2;
		if (f * f > (double)quarter[i - 1] * next)
			k = i;
	}
	return 4 * (e - 1) + k;
}

float step_near(StepKind kind, double step)
{
	if (!(step > 0))
		return 1;
	if (kind == STEP_REAL)
		return (float)step;
	if (kind == STEP_LIST)
		return list_step(list_index(step));
	int e;
	double f = frexp(step, &e);
	return ldexpf(1, 2 * f * f > 1 ? e : e - 1);
}

float step_beside(StepKind kind, float step, int k)
{
	switch (kind) {
	case STEP_LIST: return list_step(list_index(step) + k);
	case STEP_POW2: return ldexpf(step, k);
	default:        return (float)(step * (1 + 0.1 * k));
	}
}

static double error_of(const Grid *g, const float *x, const double *weight, int n)
{
	double sum = 0;
	for (int i = 0; i < n; i++) {
		double e = grid_integer(g, x[i]) * g->step - x[i];
		sum += weight ? weight[i] * e * e : e * e;
	}
	return sum;
}

static void try_steps(Grid g, const float *x, const double *weight, int n, StepKind kind, double widest, Grid *best,
                      double *least)
{
	int steps = kind == STEP_REAL ? REAL_STEPS : kind == STEP_LIST ? LIST_STEPS : POW2_STEPS;
	float coarsest = step_near(kind, widest);
	if (kind != STEP_REAL && coarsest < widest)
		coarsest = step_beside(kind, coarsest, 1);
	for (int i = 0; i < steps; i++) {
		g.step = kind == STEP_REAL ? (float)(widest * (1 - (1 - REAL_FINEST) * i / steps)) : step_beside(kind, coarsest, -i);
		double e = error_of(&g, x, weight, n);
		if (e < *least)
			*least = e, *best = g;
	}
}

Grid grid_fit(const float *x, const double *weight, int n, int bits, StepKind kind, OddKind odd)
{
	double most = 0, least = INFINITY;
	Grid best = {.step = 1};
	for (int i = 0; i < n; i++)
		most = fmax(most, fabs((double)x[i]));
	if (bits < 1 || !(most > 0x1p-100))
		return best;
	if (bits > 1 && odd != ODD_ALWAYS) {
		Grid g = {.step = 1, .most = (1 << (bits - 1)) - 1};
		try_steps(g, x, weight, n, kind, most / g.most, &best, &least);
	}
	if (odd != ODD_NEVER || bits == 1) {
		Grid g = {.step = 1, .most = (1 << bits) - 1, .odd = true};
		try_steps(g, x, weight, n, kind, most / g.most, &best, &least);
	}
	return best;
}

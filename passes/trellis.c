/* trellis.c: the path of least error (trellis.h), by Viterbi's algorithm.
 *
 * A state is the memory's bits; each state keeps the best path that ends in it.  As errors are pushed into later columns, what a
 * column wants differs from path to path (per-survivor processing): each path remembers its errors of the last `lag` columns; of
 * those before them all paths take the best one's, which is nearly always theirs.  The path that wins is walked once more to
 * push exactly what it leaves. */
#include "passes/trellis.h"
#include "passes/simd.h"
#include "util/mem.h"

#include <stdlib.h>
#include <string.h>

enum { LANES = 16, STATES = 1 << BOOK_MEMORY, WINDOWS = 1 << (BOOK_WIDTH + BOOK_MEMORY), LEAST_LAG = 6, MOST_LAG = 16 };
static const float NEVER = 1e30f;

struct Trellis {
	float cost[STATES], want[STATES], best[STATES];
	float all_cost[WINDOWS], all_want[WINDOWS];
	int32_t from[STATES];                   /* the upper part of the window that ends in the state */
	float error[MOST_LAG][STATES];          /* by column (modulo lag) and path */
	uint8_t *back;                          /* [K][STATES] from, of each column */
	double *row;                            /* [K] */
	int room;
};

Trellis *trellis_new(void) { return mem_new(sizeof(Trellis)); }

void trellis_free(Trellis *t)
{
	free(t->back), free(t->row), free(t);
}

/* Of the windows h S + n that end in state n, the cheapest. */
ANY_SIMD
static void choose_wide(int S, int N, const float *cost, const float *want, const float *value, float weight, float *best, int32_t *from)
{
	for (int n = 0; n < S; n += LANES) {
		Lanes b = (Lanes){0} + 2 * NEVER;
		IntLanes f = {0};
		for (int w = n, h = 0; w < N; w += S, h++) {
			Lanes d = *(const Lanes *)(want + w) - *(const Lanes *)(value + w);
			Lanes e = *(const Lanes *)(cost + w) + weight * (d * d);
			IntLanes less = e < b;
			b = (Lanes)((less & (IntLanes)e) | (~less & (IntLanes)b));
			f = (less & h) | (~less & f);
		}
		*(Lanes *)(best + n) = b;
		*(IntLanes *)(from + n) = f;
	}
}

static void choose_narrow(int S, int N, const float *cost, const float *want, const float *value, float weight, float *best,
                          int32_t *from)
{
	for (int n = 0; n < S; n++) {
		best[n] = 2 * NEVER;
		from[n] = 0;
		for (int w = n, h = 0; w < N; w += S, h++) {
			float d = want[w] - value[w], e = cost[w] + weight * (d * d);
			if (e < best[n])
				best[n] = e, from[n] = h;
		}
	}
}

/* Each path from now on is the one it came from and one column more, in place `at`. */
static void follow(Trellis *t, const Book *b, int S, int lag, int at, int kept, uint8_t *back)
{
	float error[STATES];
	int parent[STATES];
	for (int n = 0; n < S; n++) {
		parent[n] = (t->from[n] << b->memory | n) >> b->width;
		back[n] = (uint8_t)t->from[n];
	}
	for (int k = 0; k < kept; k++) {
		float *e = t->error[(at + lag - 1 - k) % lag];
		for (int n = 0; n < S; n++)
			error[n] = e[parent[n]];
		memcpy(e, error, sizeof *e * (size_t)S);
	}
	float least = t->best[0];
	for (int n = 0; n < S; n++) {
		error[n] = t->want[parent[n]] - b->real[t->from[n] << b->memory | n];
		least = t->best[n] < least ? t->best[n] : least;
	}
	memcpy(t->error[at], error, sizeof *error * (size_t)S);
	for (int n = 0; n < S; n++)
		t->cost[n] = t->best[n] < NEVER ? t->best[n] - least : NEVER;
}

static int best_path(const Trellis *t, int S)
{
	int best = 0;
	for (int n = 1; n < S; n++)
		best = t->cost[n] < t->cost[best] ? n : best;
	return best;
}

static void push(TrellisMetric m, int column, double e, double *x, int from, int K)
{
	const float *by = m.push + (size_t)column * (size_t)m.stride;
	for (int k = from; k < K; k++)
		x[k] -= e * by[k];
}

static void wants(Trellis *t, int S, TrellisMetric m, int lag, int column, int kept, double x)
{
	for (int s = 0; s < S; s++)
		t->want[s] = (float)x;
	for (int k = 1; m.push && k <= kept; k++) {
		float u = m.push[(size_t)(column - k) * (size_t)m.stride + (size_t)column];
		const float *e = t->error[(column - k) % lag];
		for (int s = 0; s < S; s++)
			t->want[s] -= u * e[s];
	}
}

static int lag_of(const Book *b, TrellisMetric m)
{
	int lag = LEAST_LAG + 2 * b->memory / b->width;
	return !m.push ? 1 : lag > MOST_LAG ? MOST_LAG : lag;
}

/* The best path's windows, and what it leaves. */
static double walk_back(Trellis *t, const Book *b, TrellisMetric m, double *x, int K, double *rest, int n, uint16_t *window)
{
	int S = 1 << b->memory, at = best_path(t, S);
	for (int j = K; j--;) {
		window[j] = (uint16_t)(t->back[(size_t)j * STATES + (size_t)at] << b->memory | at);
		at = window[j] >> b->width;
	}
	double error = 0;
	for (int j = 0; j < K; j++) {
		double e = x[j] - b->real[window[j]];
		error += (m.weight ? (double)m.weight[j] : 1) * e * e;
		if (m.push) {
			push(m, j, e, x, j + 1, K);
			push((TrellisMetric){m.push + K, m.stride, 0}, j, e, rest, 0, n);
		}
	}
	return error;
}

double trellis_row(Trellis *t, const Book *b, TrellisMetric m, double *x, int K, double *rest, int n, uint16_t *window)
{
	int S = 1 << b->memory, F = 1 << b->width, lag = lag_of(b, m);
	if (K > t->room) {
		t->room = K;
		t->back = mem_grow(t->back, (size_t)K * STATES);
		t->row = mem_grow(t->row, (size_t)K * sizeof(double));
	}
	memcpy(t->row, x, (size_t)K * sizeof(double));
	for (int s = 0; s < S; s++)
		t->cost[s] = s ? NEVER : 0;
	for (int j = 0; j < K; j++) {
		int kept = j < lag ? j : lag;
		if (kept == lag) {      /* the place of the oldest column is needed */
			if (m.push)
				push(m, j - lag, (double)t->error[j % lag][best_path(t, S)], t->row, j, K);
			kept--;
		}
		wants(t, S, m, lag, j, kept, t->row[j]);
		for (int s = 0; s < S; s++)
			for (int f = 0; f < F; f++) {
				t->all_cost[s * F + f] = t->cost[s];
				t->all_want[s * F + f] = t->want[s];
			}
		(S >= LANES ? choose_wide : choose_narrow)(S, b->n, t->all_cost, t->all_want, b->real, m.weight ? m.weight[j] : 1, t->best,
		                                           t->from);
		follow(t, b, S, lag, j % lag, kept, t->back + (size_t)j * STATES);
	}
	return walk_back(t, b, m, x, K, rest, n, window);
}

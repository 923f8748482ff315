/* round.c: one unit's rows, rounded in the metric of their use.
 *
 * Columns are rounded one after the other, the most used first; the error of each is pushed into the columns not yet rounded, so
 * that (w - q) H (w - q)' grows least (optimal brain quantization; in the form of GPTQ, arXiv 2210.17323: the factors are the
 * rows of an upper U with U'U = the inverse of H). */
#include "passes/feedback.h"

#include "passes/formats.h"
#include "passes/linalg.h"
#include "util/mem.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static const double DAMPING = 0.01;     /* of the mean of the metric's diagonal */

/* ---- metrics --------------------------------------------------------------------------------------------------- */

static int compare_use(const void *a, const void *b, void *diag)
{
	double x = ((const double *)diag)[*(const int *)a], y = ((const double *)diag)[*(const int *)b];
	return x > y ? -1 : x < y ? 1 : *(const int *)a - *(const int *)b;
}

static void push_and_weight(Metric *t)
{
	size_t K = (size_t)t->K;
	t->push = mem_array(K * K, sizeof *t->push);
	t->weight = mem_array(K, sizeof *t->weight);
	for (size_t i = 0; i < K; i++) {
		double d = t->U[i * K + i];
		t->weight[i] = (float)(1 / (d * d));
		for (size_t j = i + 1; j < K; j++)
			t->push[i * K + j] = (float)(t->U[i * K + j] / d);
	}
}

/* From H[K,K] in the columns' own order; t->order is chosen. */
static bool factor(Metric *t, const double *H, bool by_part)
{
	int K = t->K;
	double damp = 0;
	for (int k = 0; k < K; k++) {
		t->diag[k] = H[(size_t)k * K + k];
		damp += DAMPING * t->diag[k] / K;
	}
	if (!(damp > 0))
		return false;
	for (int i = 0; i < K; i++)
		for (int j = 0; j < K; j++)
			t->U[(size_t)i * K + j] = H[(size_t)t->order[i] * K + t->order[j]] + (i == j ? damp : 0);
	if (!inverse_factor(t->U, K))
		return false;
	if (by_part)
		push_and_weight(t);
	return true;
}

static bool finish(Metric *t, const Unit *u, const double *H, bool by_part)
{
	int K = t->K;
	for (int k = 0; k < K; k++) {
		t->diag[k] = H[(size_t)k * K + k];
		t->order[k] = k;
	}
	for (int k = 0; k < (by_part ? u->n : 1); k++) {
		int from = by_part ? u->at[k] : 0, to = by_part && k + 1 < u->n ? u->at[k + 1] : K;
		qsort_r(t->order + from, (size_t)(to - from), sizeof *t->order, compare_use, t->diag);
	}
	return factor(t, H, by_part);
}

static void make_room(Metric *t, int K)
{
	*t = (Metric){.K = K, .order = mem_array((size_t)K, sizeof(int)), .U = mem_array((size_t)K * (size_t)K, sizeof(double)),
	              .diag = mem_array((size_t)K, sizeof(double)), .mean = mem_array((size_t)K, sizeof(double))};
}

void metric_free(Metric *t)
{
	free(t->order), free(t->U), free(t->diag), free(t->mean), free(t->push), free(t->weight);
	*t = (Metric){0};
}

bool metric_of_moments(Metric *t, const Unit *u, const Moments *s, bool centred, bool by_part)
{
	int K = u->K;
	make_room(t, K);
	double *H = mem_array((size_t)K * (size_t)K, sizeof *H);
	for (int k = 0; k < K; k++)
		t->mean[k] = s->count > 0 ? s->sum[k] / s->count : 0;
	for (int i = 0; i < K && s->count > 0; i++)
		for (int j = 0; j < K; j++)
			H[(size_t)i * K + j] = s->H[(size_t)i * K + j] / s->count - (centred ? t->mean[i] * t->mean[j] : 0);
	bool good = s->count > 0 && finish(t, u, H, by_part);
	free(H);
	if (!good)
		metric_free(t);
	return good;
}

/* A group's moments come from fewer samples than all rows' do: some of those are mixed in. */
static const double COMMON = 0.2;

bool metric_of_group(Metric *t, const Unit *u, const Moments *s, int g, const Metric *all)
{
	int K = u->K;
	make_room(t, K);
	memcpy(t->order, all->order, sizeof *t->order * (size_t)K);
	memcpy(t->mean, all->mean, sizeof *t->mean * (size_t)K);
	const double *own = s->group_H + (size_t)g * (size_t)K * (size_t)K;
	double *H = mem_array((size_t)K * (size_t)K, sizeof *H);
	for (int i = 0; i < K; i++)
		for (int j = 0; j < K; j++) {
			size_t at = (size_t)i * (size_t)K + (size_t)j;
			H[at] = (1 - COMMON) * own[at] + COMMON * (s->H[at] / s->count - t->mean[i] * t->mean[j]);
		}
	bool good = factor(t, H, all->push != 0);
	free(H);
	if (!good)
		metric_free(t);
	return good;
}

bool metric_of_readers(Metric *t, const Unit *u, bool by_part)
{
	int K = u->K;
	make_room(t, K);
	double *H = mem_array((size_t)K * (size_t)K, sizeof *H);
	for (int i = 0; i < u->nreader; i++) {
		const Data *W = u->reader[i]->in[1]->data;
		moments_add(H, K, W->bytes, W->type->dim[0]);
	}
	mirror(H, K);
	for (int k = 0; k < K && !u->nreader; k++)
		H[(size_t)k * K + k] = 1;
	bool good = finish(t, u, H, by_part);
	free(H);
	if (!good)
		metric_free(t);
	return good;
}

/* ---- rounding ---------------------------------------------------------------------------------------------------- */

/* Columns [from, to) in the metric's order, on a grid of their own. */
static double round_columns(const Metric *t, const Grid *g, double *left, int from, int to, float *q)
{
	int K = t->K;
	double lost = 0;
	for (int i = from; i < to; i++) {
		const double *U = t->U + (size_t)i * K;
		double z = grid_integer(g, left[i]), e = (left[i] - z * g->step) / U[i];
		q[t->order[i]] = (float)z;
		lost += e * e;
		axpy(left + i + 1, -e, U + i + 1, K - i - 1);
	}
	return lost;
}

/* The same along a path through the grid's book. */
static double round_path(const Metric *t, const Grid *g, double *left, int from, int to, Trellis *trellis, float *q)
{
	int K = t->K, n = to - from;
	uint16_t *window = mem_array((size_t)n, sizeof *window);
	TrellisMetric m = {t->push + (size_t)from * (size_t)K + from, K, t->weight + from};
	for (int i = from; i < K; i++)
		left[i] /= g->step;
	double lost = trellis_row(trellis, g->book, m, left + from, n, left + to, K - to, window);
	for (int i = 0; i < n; i++)
		q[t->order[from + i]] = g->book->real[window[i]];
	for (int i = to; i < K; i++)
		left[i] *= g->step;
	free(window);
	return lost * g->step * g->step;
}

static int part_of(const Unit *u, int column)
{
	int k = u->n - 1;
	while (column < u->at[k])
		k--;
	return k;
}

double round_row(const Metric *t, const Unit *u, const double *x, const Grid *grid, Trellis *trellis, float *q)
{
	int K = t->K;
	double *left = mem_array((size_t)K, sizeof *left), lost = 0;
	for (int i = 0; i < K; i++)
		left[i] = x[t->order[i]];
	for (int i = 0, end; i < K; i = end) {
		int k = part_of(u, t->order[i]);
		for (end = i + 1; end < K && part_of(u, t->order[end]) == k;)
			end++;
		lost += grid[k].book ? round_path(t, &grid[k], left, i, end, trellis, q) : round_columns(t, &grid[k], left, i, end, q);
	}
	free(left);
	return lost;
}

/* ---- a unit ------------------------------------------------------------------------------------------------------------ */

void work_round(Work *w)
{
	size_t K = (size_t)w->u->K;
	Trellis *t = trellis_new();
	for (int i = 0; i < w->u->M; i++)
		round_row(w->group ? &w->group_metric[w->group[i]] : w->metric, w->u, w->x + (size_t)i * K,
		          w->grid + (size_t)i * MAX_PARTS, t, w->q + (size_t)i * K);
	trellis_free(t);
}

/* The mean of what rounding took from each result goes into the bias. */
static void cancel_mean(Module *m, const Work *w, const Unit *u)
{
	double *lost = mem_array((size_t)u->M, sizeof *lost);
	for (int i = 0; i < u->M; i++)
		for (int k = 0, j = 0; k < u->n; k++)
			for (; j < (k + 1 < u->n ? u->at[k + 1] : u->K); j++) {
				size_t at = (size_t)i * (size_t)u->K + (size_t)j;
				lost[i] += (w->x[at] - w->q[at] * (double)w->grid[i * MAX_PARTS + k].step) * w->metric->mean[j];
			}
	bias_add(m, u, lost);
	free(lost);
}

void work_store(Module *m, const Work *w)
{
	Unit u = unit_in(m, w->u);
	for (int k = 0; k < u.n; k++) {
		Data *W = u.data[k];
		int K = W->type->dim[1], rows = w->per_row ? u.M : 1;
		Data *g = data_find(m, grid_name(m, W));
		if (!g || g->size != (size_t)rows * sizeof(float))      /* or a model's own of that name */
			g = data_new(m, grid_name(m, W), type_tensor(m, E_f32, 1, (const int32_t[]){rows}));
		for (int i = 0; i < u.M; i++) {
			float step = w->grid[(size_t)i * MAX_PARTS + (size_t)k].step;
			((float *)g->bytes)[i < rows ? i : 0] = step;
			for (int j = 0; j < K; j++)
				((float *)W->bytes)[(size_t)i * (size_t)K + (size_t)j] =
					w->q[(size_t)i * (size_t)u.K + (size_t)(u.at[k] + j)] * step;
		}
	}
	books_store(m, w, &u);
	cancel_mean(m, w, &u);
}

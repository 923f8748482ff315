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

/* From H[K,K] in the columns' own order. */
static bool finish(Metric *t, const double *H)
{
	int K = t->K;
	double damp = 0;
	for (int k = 0; k < K; k++) {
		t->diag[k] = H[(size_t)k * K + k];
		damp += DAMPING * t->diag[k] / K;
		t->order[k] = k;
	}
	if (!(damp > 0))
		return false;
	qsort_r(t->order, (size_t)K, sizeof *t->order, compare_use, t->diag);
	for (int i = 0; i < K; i++)
		for (int j = 0; j < K; j++)
			t->U[(size_t)i * K + j] = H[(size_t)t->order[i] * K + t->order[j]] + (i == j ? damp : 0);
	return inverse_factor(t->U, K);
}

static void make_room(Metric *t, int K)
{
	*t = (Metric){.K = K, .order = mem_array((size_t)K, sizeof(int)), .U = mem_array((size_t)K * (size_t)K, sizeof(double)),
	              .diag = mem_array((size_t)K, sizeof(double)), .mean = mem_array((size_t)K, sizeof(double))};
}

void metric_free(Metric *t)
{
	free(t->order), free(t->U), free(t->diag), free(t->mean);
	*t = (Metric){0};
}

bool metric_of_moments(Metric *t, int K, const Moments *s, bool centred)
{
	make_room(t, K);
	double *H = mem_array((size_t)K * (size_t)K, sizeof *H);
	for (int k = 0; k < K; k++)
		t->mean[k] = s->count > 0 ? s->sum[k] / s->count : 0;
	for (int i = 0; i < K && s->count > 0; i++)
		for (int j = 0; j < K; j++)
			H[(size_t)i * K + j] = s->H[(size_t)i * K + j] / s->count - (centred ? t->mean[i] * t->mean[j] : 0);
	bool good = s->count > 0 && finish(t, H);
	free(H);
	if (!good)
		metric_free(t);
	return good;
}

bool metric_of_readers(Metric *t, const Unit *u)
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
	bool good = finish(t, H);
	free(H);
	if (!good)
		metric_free(t);
	return good;
}

/* ---- rounding ---------------------------------------------------------------------------------------------------- */

static const Grid *grid_at(const Unit *u, const Grid *grid, int column)
{
	int k = u->n - 1;
	while (column < u->at[k])
		k--;
	return &grid[k];
}

double round_row(const Metric *t, const Unit *u, const double *x, const Grid *grid, float *q)
{
	int K = t->K;
	double *left = mem_array((size_t)K, sizeof *left), lost = 0;
	for (int i = 0; i < K; i++)
		left[i] = x[t->order[i]];
	for (int i = 0; i < K; i++) {
		int column = t->order[i];
		const Grid *g = grid_at(u, grid, column);
		const double *U = t->U + (size_t)i * K;
		double z = grid_integer(g, left[i]), e = (left[i] - z * g->step) / U[i];
		q[column] = (float)z;
		lost += e * e;
		axpy(left + i + 1, -e, U + i + 1, K - i - 1);
	}
	free(left);
	return lost;
}

/* ---- a unit ------------------------------------------------------------------------------------------------------------ */

void work_round(Work *w)
{
	size_t K = (size_t)w->u->K;
	for (int i = 0; i < w->u->M; i++)
		round_row(w->metric, w->u, w->x + (size_t)i * K, w->grid + (size_t)i * MAX_PARTS, w->q + (size_t)i * K);
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
		if (!g)
			g = data_new(m, grid_name(m, W), type_tensor(m, E_f32, 1, (const int32_t[]){rows}));
		for (int i = 0; i < u.M; i++) {
			float step = w->grid[(size_t)i * MAX_PARTS + (size_t)k].step;
			((float *)g->bytes)[i < rows ? i : 0] = step;
			for (int j = 0; j < K; j++)
				((float *)W->bytes)[(size_t)i * (size_t)K + (size_t)j] =
					w->q[(size_t)i * (size_t)u.K + (size_t)(u.at[k] + j)] * step;
		}
	}
	cancel_mean(m, w, &u);
}

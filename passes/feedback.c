/* feedback.c: weights rounded so that the layer's result, not the weight, comes out right.  Changes data.
 *
 * Units (units.c) are rounded in the order of the data flow, each in the metric of its use (round.c): the second moments of what
 * it multiplies in the calibration data (moments.c); for the rows of a table, W'W of what reads them.  What is left of the mean
 * goes into the bias.
 *	effort 1	one run of the float model gives all moments
 *	effort 2	each level's moments come from the model as rounded so far; then, level by level, the biases are corrected
 *			by what the rounded model's results lack on average
 * The weights stay floats, now on the grid that `<W>_grid` names, where quantize finds their scales.  Only + - * / and square
 * roots of doubles: the same integers on every machine. */
#include "passes/feedback.h"
#include "passes/collect.h"
#include "passes/formats.h"
#include "passes/passes.h"
#include "passes/widths.h"
#include "util/mem.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { PLAIN_BITS = 8, CLASS_SAMPLES = 8192 };

typedef struct {
	Module *m, *was;        /* was: as it came, in floats */
	const Options *opt;
	Diag *d;
	Unit **u;
	Moments *mo;
	int n;
} Feedback;

/* ---- what is asked for -------------------------------------------------------------------------------------------- */

/* At 8 bits rounding costs nothing that is worth a quick effort's time. */
static int wanted_bits(const Data *W, const void *arg)
{
	const Feedback *s = arg;
	Widths w = weights_widths(s->m, s->opt, W);
	if (s->opt->size > 0 || w.row)
		return w.most <= PLAIN_BITS ? w.most : 0;
	return w.most > (grid_kind(s->opt) == GRID_UNIFORM) && w.most <= PLAIN_BITS && s->opt->effort > (w.most == PLAIN_BITS) ? w.most : 0;
}

/* ---- one unit ------------------------------------------------------------------------------------------------------ */

static const float *was_bytes(const Feedback *s, const Unit *u, int part)
{
	return data_find(s->was, u->data[part]->name)->bytes;
}

/* Odd integers for a whole matrix or for none: so they are packed in fields one bit narrower. */
static OddKind odd_kind(int bits, bool mixed) { return bits <= ODD_BITS && !mixed ? ODD_ALWAYS : ODD_NEVER; }

/* Row i of the unit's part k; of_all: the grid of the whole part, or 0. */
static Grid plain_grid(Feedback *s, Work *w, int k, int i, const Widths *width, const Grid *of_all)
{
	const Options *opt = s->opt;
	Unit *u = w->u;
	int K = u->data[k]->type->dim[1], bits = width->row ? width->row[i] : width->most;
	StepKind kind = opt->real_scales ? STEP_REAL : STEP_POW2;
	if (grid_kind(opt) != GRID_UNIFORM && bits <= BOOK_WIDTH)
		return book_grid(w, opt, k, w->x + (size_t)i * (size_t)u->K + u->at[k], bits);
	if (of_all)
		return *of_all;
	return grid_fit(was_bytes(s, u, k) + (size_t)i * (size_t)K, 0, K, bits, kind, odd_kind(bits, width->row != 0));
}

/* One grid for all rows of a part. */
static Grid common_grid(Feedback *s, const Unit *u, int k, int bits)
{
	const Options *opt = s->opt;
	float *scale;
	if (odd_kind(bits, false) == ODD_ALWAYS)
		return grid_fit(was_bytes(s, u, k), 0, u->M * u->data[k]->type->dim[1], bits, opt->real_scales ? STEP_REAL : STEP_POW2,
		                ODD_ALWAYS);
	weights_scales(s->m, u->data[k], (WeightRule){bits, false, opt->real_scales, 0}, &scale);
	return (Grid){.step = scale[0], .most = (1 << (bits - 1)) - 1};
}

/* Grids by the plain options: a width for each tensor, or for each gate's rows. */
static void plain_grids(Feedback *s, Work *w)
{
	const Options *opt = s->opt;
	Unit *u = w->u;
	w->per_row = opt->per_row || grid_kind(opt) != GRID_UNIFORM;
	for (int k = 0; k < u->n; k++) {
		Widths width = weights_widths(s->m, opt, u->data[k]);
		Grid all = w->per_row ? (Grid){.step = 1} : common_grid(s, u, k, width.most);
		for (int i = 0; i < u->M; i++)
			w->grid[i * MAX_PARTS + k] = plain_grid(s, w, k, i, &width, w->per_row ? 0 : &all);
	}
}

/* Metrics of groups of classes, unless one of them does not come out. */
static void open_groups(Work *w, const Moments *mo)
{
	bool good = mo->groups > 0;
	if (good)
		w->group_metric = mem_array((size_t)mo->groups, sizeof *w->group_metric);
	for (int g = 0; g < mo->groups && good; g++)
		good = metric_of_group(&w->group_metric[g], w->u, mo, g, w->metric);
	w->ngroup = mo->groups;
	w->group = good ? mo->group : 0;
}

/* false: there is no metric for it, leave it to quantize. */
static bool work_open(Feedback *s, int n, Work *w)
{
	Unit *u = s->u[n];
	size_t M = (size_t)u->M, K = (size_t)u->K;
	*w = (Work){.u = u, .metric = mem_new(sizeof *w->metric)};
	bool known = s->mo[n].count > 0;
	bool by_part = grid_kind(s->opt) != GRID_UNIFORM;
	if (!(known ? metric_of_moments(w->metric, u, &s->mo[n], bias_is_free(s->m, u), by_part)
	            : metric_of_readers(w->metric, u, by_part))) {
		free(w->metric);
		*w = (Work){0};
		return false;
	}
	open_groups(w, &s->mo[n]);
	w->x = mem_array(M * K, sizeof *w->x);
	w->q = mem_array(M * K, sizeof *w->q);
	w->grid = mem_array(M * MAX_PARTS, sizeof *w->grid);
	for (int k = 0; k < u->n; k++) {
		size_t Kk = (size_t)u->data[k]->type->dim[1];
		for (size_t i = 0; i < M; i++)
			for (size_t j = 0; j < Kk; j++)
				w->x[i * K + (size_t)u->at[k] + j] = was_bytes(s, u, k)[i * Kk + j];
	}
	return true;
}

static void work_close(Work *w)
{
	if (w->metric)
		metric_free(w->metric);
	for (int g = 0; g < w->ngroup; g++)
		metric_free(&w->group_metric[g]);
	free(w->group_metric);
	free(w->metric), free(w->x), free(w->q), free(w->grid), free(w->need);
	books_free(w);
}

static void round_unit(Feedback *s, int n)
{
	Work w;
	if (!work_open(s, n, &w))
		return;
	plain_grids(s, &w);
	work_round(&w);
	work_store(s->m, &w);
	work_close(&w);
}

/* ---- all of them ----------------------------------------------------------------------------------------------------- */

/* The sums among units first .. last: positions in `at`. */
static int sums_among(const Feedback *s, int first, int last, int *at)
{
	int n = 0;
	for (int i = first; i <= last; i++)
		if (!s->u[i]->table)
			at[n++] = i;
	return n;
}

static bool collect(Feedback *s, int first, int last, MomentsWanted w)
{
	int *at = mem_array((size_t)s->n, sizeof *at), n = sums_among(s, first, last, at);
	Unit **u = mem_array((size_t)n, sizeof *u);
	Moments *mo = mem_array((size_t)n, sizeof *mo);
	for (int i = 0; i < n; i++)
		u[i] = s->u[at[i]];
	bool good = !n || moments_collect(s->m, s->opt, u, n, w, mo, s->d);
	for (int i = 0; i < n; i++) {
		moments_free(&s->mo[at[i]]);
		s->mo[at[i]] = mo[i];
	}
	free(at), free(u), free(mo);
	return good;
}

static bool round_quickly(Feedback *s)
{
	if (!collect(s, 0, s->n - 1, (MomentsWanted){.steps = calibration_steps(s->m, s->opt)}))
		return false;
	for (int i = 0; i < s->n; i++)
		round_unit(s, i);
	return true;
}

static bool round_compactly(Feedback *s)
{
	MomentsWanted wanted = {.steps = calibration_steps(s->m, s->opt), .samples = CLASS_SAMPLES};
	if (s->opt->calib && (!collect(s, 0, s->n - 1, wanted) || !moments_count_rows(s->m, s->opt, s->u, s->n, s->mo, s->d)))
		return false;
	Work *w = mem_array((size_t)s->n, sizeof *w);
	bool good = true;
	for (int i = 0; i < s->n; i++)
		good &= work_open(s, i, &w[i]);
	good = good && compact_choose(s->m, s->opt, w, s->mo, s->n, s->d);
	for (int i = 0; i < s->n; i++) {
		if (good)
			work_store(s->m, &w[i]);
		work_close(&w[i]);
	}
	free(w);
	return good;
}

/* The last unit of the level that starts with `first`. */
static int level_end(const Feedback *s, int first)
{
	int last = first;
	while (last + 1 < s->n && s->u[last + 1]->level == s->u[first]->level)
		last++;
	return last;
}

/* What results lack on average goes into the biases, in the order of the data flow: what a level lacks because of the one
 * before it must not be made up for twice. */
static bool correct_biases(Feedback *s)
{
	for (int first = 0, last; first < s->n; first = last + 1) {
		last = level_end(s, first);
		if (!collect(s, first, last, (MomentsWanted){.steps = calibration_steps(s->m, s->opt), .was = s->was}))
			return false;
		for (int i = first; i <= last; i++) {
			Moments *mo = &s->mo[i];
			for (int k = 0; mo->diff && k < s->u[i]->M; k++)
				mo->diff[k] /= mo->count > 0 ? mo->count : 1;
			if (mo->diff)
				bias_add(s->m, s->u[i], mo->diff);
		}
	}
	return true;
}

static bool round_in_order(Feedback *s)
{
	for (int first = 0, last; first < s->n; first = last + 1) {
		last = level_end(s, first);
		if (!collect(s, first, last, (MomentsWanted){.steps = calibration_steps(s->m, s->opt), .samples = CLASS_SAMPLES}))
			return false;
		for (int i = first; i <= last; i++)
			round_unit(s, i);
	}
	return correct_biases(s);
}

bool pass_feedback(Module *m, const Options *opt, Diag *d)
{
	if (!opt->integer || (!(opt->size > 0) && (!opt->effort || !opt->calib)) || m->level != L_TENSOR || module_is_quantized(m))
		return true;
	int before = diag_errors(d);
	widths_check(m, opt, d);
	if (diag_errors(d) > before)
		return false;
	reconstruct_remember(m, opt);
	Feedback s = {.m = m, .opt = opt, .d = d};
	Unit *list = units_find(m, wanted_bits, &s);
	for (Unit *u = list; u; u = u->next)
		s.n++;
	if (!s.n)
		return true;
	s.u = mem_array((size_t)s.n, sizeof *s.u);
	s.mo = mem_array((size_t)s.n, sizeof *s.mo);
	s.n = 0;
	for (Unit *u = list; u; u = u->next)
		s.u[s.n++] = u;
	s.was = module_clone(m);
	bool good = opt->size > 0 ? round_compactly(&s) : opt->effort > 1 ? round_in_order(&s) : round_quickly(&s);
	for (int i = 0; i < s.n; i++)
		moments_free(&s.mo[i]);
	free(s.u), free(s.mo);
	module_free(s.was);
	return good;
}

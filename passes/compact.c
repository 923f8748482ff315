/* compact.c: `--size`: rows of weights get widths (storage rows) or steps (coded) that together take what may be taken.
 *
 * A row's precision follows from one number for the whole model, the level, and from what the row is worth beside others:
 *	log2 (1 / step) = level + gain of its tensor + POWER / 2 log2 (weight)
 * weight: how often calibration reads the row of a table; p (1 - p) of a class's probability in the mean.  High-resolution theory
 * says POWER = 1; counts are estimates, and at few bits errors grow less than steps: somewhat less is best on held-out text. */
#include "passes/worth.h"

#include "lower/account.h"
#include "passes/formats.h"
#include "passes/linalg.h"
#include "passes/passes.h"
#include "storage/storage.h"
#include "util/mem.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

enum { ROW_BITS = 8, CODED_MOST = 127, WIDTH_OFFSET = 2 };

static const double POWER = 0.7, FLOOR = 0.05;  /* FLOOR: of a row's weight, in means: for rows the data do not reach */
/* Beside equal relative error (log2): rows of a table are read one at a time, sums carry their errors on through the states,
 * errors of an output layer's rows are the result's. */
static const double TABLE_GAIN = -0.3, CLASS_GAIN = 0.3, SUM_GAIN = 0.6;

/* ---- what rows are worth --------------------------------------------------------------------------------------------- */

static void weigh_rows(Work *w, const Moments *mo)
{
	int M = w->u->M;
	double sum = 0;
	w->need = mem_array((size_t)M, sizeof *w->need);
	for (int i = 0; mo->weight && i < M; i++)
		sum += mo->weight[i];
	for (int i = 0; i < M; i++) {
		double f = sum > 0 ? mo->weight[i] * M / sum : 1;
		w->need[i] = 0.5 * POWER * log2_of(f + FLOOR);
	}
}

/* ---- grids of a level ------------------------------------------------------------------------------------------------- */

static StepKind step_kind(const Options *opt) { return opt->pow2_scales ? STEP_POW2 : STEP_LIST; }

/* The steps of a matrix are `common` and quarters of an octave from there (or powers of two), so coarse that no weight is clipped. */
static Grid coded_grid(const Options *opt, double common, double need, const double *x, int K)
{
	double most = 0;
	for (int k = 0; k < K; k++)
		most = fmax(most, fabs(x[k]));
	double quarters = floor(need * 4 + 0.5);
	float step = opt->pow2_scales ? step_near(STEP_POW2, exp2_of(-common - need)) : (float)exp2_of(-common - quarters / 4);
	while (step * (double)CODED_MOST < most)
		step = opt->pow2_scales ? 2 * step : (float)exp2_of(-common - --quarters / 4);
	return (Grid){.step = step, .most = CODED_MOST};
}

static void choose_grids(Work *w, const Options *opt, double level)
{
	Unit *u = w->u;
	float *row = mem_array((size_t)u->K, sizeof *row);
	w->per_row = true;
	for (int i = 0; i < u->M; i++)
		for (int k = 0; k < u->n; k++) {
			Grid *g = &w->grid[(size_t)i * MAX_PARTS + (size_t)k];
			int K = u->data[k]->type->dim[1];
			const double *x = w->x + (size_t)i * (size_t)u->K + u->at[k];
			double need = level + w->gain + w->need[i];
			if (opt->storage == STORE_CODED) {
				*g = coded_grid(opt, level + w->gain, w->need[i], x, K);
				continue;
			}
			double r = rms(x, (size_t)K);
			int bits = r > 0 ? (int)floor(need + log2_of(r) + WIDTH_OFFSET + 0.5) : 0;
			bits = bits < 0 ? 0 : bits > ROW_BITS ? ROW_BITS : bits;
			if (bits && bits <= BOOK_WIDTH && grid_kind(opt) != GRID_UNIFORM) {
				*g = book_grid(w, opt, k, x, bits);
				continue;
			}
			for (int j = 0; j < K; j++)
				row[j] = (float)x[j];
			*g = grid_fit(row, 0, K, bits, step_kind(opt), bits <= ODD_BITS ? ODD_IF_BETTER : ODD_NEVER);
		}
	free(row);
	/* rows of zeros get a scale that others have: theirs would only spoil the common multiplier's precision */
	for (int k = 0; k < u->n; k++) {
		float step = 1;
		for (int i = 0; i < u->M && step == 1; i++)
			step = w->grid[(size_t)i * MAX_PARTS + (size_t)k].most ? w->grid[(size_t)i * MAX_PARTS + (size_t)k].step : step;
		for (int i = 0; i < u->M; i++)
			if (!w->grid[(size_t)i * MAX_PARTS + (size_t)k].most)
				w->grid[(size_t)i * MAX_PARTS + (size_t)k].step = step;
	}
}

static size_t bytes_of(const Work *w, StorageKind kind)
{
	const Unit *u = w->u;
	size_t sum = 0, M = (size_t)u->M;
	for (int k = 0; k < u->n; k++) {
		size_t K = (size_t)u->data[k]->type->dim[1];
		int8_t *q = mem_array(M * K, 1);
		float *step = mem_array(M, sizeof *step);
		for (size_t i = 0; i < M; i++) {
			step[i] = w->grid[i * MAX_PARTS + (size_t)k].step;
			for (size_t j = 0; j < K; j++)
				q[i * K + j] = (int8_t)w->q[i * (size_t)u->K + (size_t)u->at[k] + j];
		}
		sum += storage_bytes(q, step, u->M, (int32_t)K, kind);
		free(q), free(step);
	}
	return sum;
}

/* The same of rows whose widths say it. */
static size_t bytes_of_widths(const Work *w)
{
	const Unit *u = w->u;
	size_t bits = 0;
	for (int k = 0; k < u->n; k++)
		for (int i = 0; i < u->M; i++) {
			const Grid *g = &w->grid[(size_t)i * MAX_PARTS + (size_t)k];
			int width = g->book ? g->book->width : 0;
			while (!g->book && g->most && g->most > (g->odd ? (1 << width) - 1 : (1 << width >> 1) - 1))
				width++;
			bits += (size_t)width * (size_t)u->data[k]->type->dim[1];
		}
	for (int k = 0; k < u->n; k++)
		for (int b = 1; b <= BOOK_WIDTH; b++)
			bits += w->book[k][b] ? 8 * (size_t)w->book[k][b]->n : 0;
	return bits / 8;
}

/* Rounding to the nearest, for a first look. */
static void round_nearest(Work *w)
{
	const Unit *u = w->u;
	for (int i = 0; i < u->M; i++)
		for (int k = 0; k < u->n; k++) {
			const Grid *g = &w->grid[(size_t)i * MAX_PARTS + (size_t)k];
			size_t at = (size_t)i * (size_t)u->K + (size_t)u->at[k], end = at + (size_t)u->data[k]->type->dim[1];
			for (; at < end; at++)
				w->q[at] = (float)grid_integer(g, w->x[at]);
		}
}

/* ---- the budget --------------------------------------------------------------------------------------------------------- */

typedef struct {
	Module *m;
	const Options *opt;
	Diag *d;
	Work *w;
	int n;
	double budget, rest;    /* bytes: of all; of all that is no stored matrix */
} Search;

/* Bytes of the stored matrices at this level. */
static double at_level(Search *s, double level, bool quick)
{
	double bytes = 0;
	for (int i = 0; i < s->n; i++) {
		choose_grids(&s->w[i], s->opt, level);
		if (grid_kind(s->opt) != GRID_UNIFORM) {
			bytes += (double)bytes_of_widths(&s->w[i]);
			continue;
		}
		(quick ? round_nearest : work_round)(&s->w[i]);
		bytes += (double)bytes_of(&s->w[i], (StorageKind)s->opt->storage);
	}
	if (s->opt->verbose)
		fprintf(stderr, "--size: level %.4f: %.0f bytes of weights\n", level, bytes);
	return bytes;
}

/* Rows whose widths say what they take were not rounded for that. */
static void round_paths(Search *s)
{
	for (int i = 0; i < s->n && grid_kind(s->opt) != GRID_UNIFORM; i++)
		work_round(&s->w[i]);
}

/* Every byte of the model with the weights as they are rounded now: quantize and lower a copy.  < 0: that fails. */
static double whole_bytes(Search *s)
{
	Module *copy = module_clone(s->m);
	round_paths(s);
	for (int i = 0; i < s->n; i++)
		work_store(copy, &s->w[i]);
	Options opt = *s->opt;
	opt.target = "any";
	opt.passes = "quantize,lower,plan";
	opt.skip = opt.dump_after = 0;
	opt.time_passes = opt.verbose = false;
	double bytes = passes_run(copy, &opt, 0, s->d) ? (double)portable_bytes(copy) : -1;
	module_free(copy);
	if (s->opt->verbose)
		fprintf(stderr, "--size: %.0f bytes in all, %.0f asked for\n", bytes, s->budget);
	return bytes;
}

/* What is left for stored matrices, once the rest is known from a look at the whole. */
static bool learn_rest(Search *s, double weights)
{
	double all = whole_bytes(s);
	s->rest = all - weights;
	return all >= 0;
}

enum { QUICK_LOOKS = 2, LOOKS = 7, CORRECTIONS = 3 };
enum { MOST_UNITS = 24 };
static const double TRUST = 0.75, MOST_GAIN = 2;     /* of one measurement */
static const double CLOSE = 0.998;      /* of the budget is near enough */

/* The finest level whose matrices take at most `room` bytes: bytes fall by about a bit a weight with each level, so each look
 * moves by what is missing.  NAN: there is none. */
static double search_level(Search *s, double level, double room, int looks)
{
	double params = 0, best = NAN, most = 0;
	for (int i = 0; i < s->n; i++)
		params += (double)s->w[i].u->M * s->w[i].u->K;
	for (int look = 0; look < LOOKS; look++) {
		double bytes = at_level(s, level, look < looks);
		bool fits = bytes <= room && look >= looks;
		if (fits && bytes > most)
			most = bytes, best = level;
		if (fits && bytes >= CLOSE * room)
			break;
		double step = (room * (1 + CLOSE) / 2 - bytes) * 8 / params;
		level += step;
	}
	return best;
}

/* Precision pays best where one more bit a weight buys each unit the same: where damage per weight is equal, as damage falls
 * with the square of the step.  At few bits it falls less, so that not all of the difference is made up. */
static bool learn_gains(Search *s)
{
	double *damage = mem_array((size_t)s->n, sizeof *damage), mean = 0, params = 0;
	round_paths(s);
	bool good = worth_measure(s->m, s->opt, s->w, s->n, damage, s->d);
	for (int i = 0; i < s->n; i++) {
		double size = (double)s->w[i].u->M * s->w[i].u->K, move = damage[i] > 0 ? TRUST * 0.5 * log2_of(damage[i] / size) : 0;
		if (s->opt->verbose)
			fprintf(stderr, "--size: %s alone costs %.5f\n", s->w[i].u->data[0]->name, damage[i]);
		damage[i] = damage[i] > 0 ? move : NAN;
		mean += damage[i] > 0 || damage[i] <= 0 ? move * size : 0;
		params += damage[i] > 0 || damage[i] <= 0 ? size : 0;
	}
	for (int i = 0; good && i < s->n; i++) {
		double move = isnan(damage[i]) ? 0 : damage[i] - mean / params;
		s->w[i].gain += move > MOST_GAIN ? MOST_GAIN : move < -MOST_GAIN ? -MOST_GAIN : move;
	}
	free(damage);
	return good;
}

bool compact_choose(Module *m, const Options *opt, Work *w, const Moments *mo, int n, Diag *d)
{
	Search s = {m, opt, d, w, n, opt->size * (double)count_parameters(m) / 8, 0};
	for (int i = 0; i < n; i++) {
		Unit *u = w[i].u;
		w[i].gain = -log2_of(rms(w[i].x, (size_t)u->M * (size_t)u->K));
		w[i].gain += u->table ? TABLE_GAIN : u->classes ? CLASS_GAIN : SUM_GAIN;
		weigh_rows(&w[i], &mo[i]);
	}
	double level = opt->size - 2, first = at_level(&s, level, true);
	if (!learn_rest(&s, first))
		return false;
	bool compare = opt->calib && n > 1 && n <= MOST_UNITS;
	if (compare) {
		level = search_level(&s, level, s.budget - s.rest, 0);
		if (!isnan(level) && (at_level(&s, level, false), !learn_gains(&s)))
			return false;
	}
	for (int i = 0, looks = compare ? 0 : QUICK_LOOKS; i < CORRECTIONS && !isnan(level); i++, looks = 0) {
		level = search_level(&s, level, s.budget - s.rest, looks);
		if (isnan(level))
			break;
		double weights = at_level(&s, level, false);
		if (!learn_rest(&s, weights))
			return false;
		if (weights + s.rest <= s.budget)
			return true;
		level -= 0.01;
	}
	diag_error(d, "--size %g: the model does not get that small; all but the weights' own integers is %.3f bits per parameter", opt->size,
	           8 * s.rest / (double)count_parameters(m));
	return false;
}

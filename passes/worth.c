/* worth.c: n + 1 float models side by side on some calibration data, each with one unit rounded, the last with none. */
#include "passes/worth.h"

#include "data/runner.h"
#include "data/states.h"
#include "passes/collect.h"
#include "util/mem.h"

#include <math.h>
#include <stdlib.h>

enum { CHUNK = 128, SHARE = 8, MOST_STEPS = 20000, CLASSES = 8 };

double log2_of(double x)
{
	int e;
	double m = frexp(x, &e), z = (m - 0.75) / (m + 0.75), z2 = z * z, s = 0;
	for (int k = 27; k > 0; k -= 2)
		s = s * z2 + 1.0 / k;
	return e - 0.41503749927884381855 + 2.8853900817779268147 * z * s;
}

double exp2_of(double x)
{
	double n = floor(x), f = (x - n) * 0.69314718055994530942, s = 1;
	for (int k = 18; k > 0; k--)
		s = 1 + s * f / k;
	return ldexp(s, (int)n);
}

double exp_below(double x)
{
	if (x < -40)
		return 0;
	double y = x / 1024, e = 1 + y * (1 + y * (0.5 + y * (1.0 / 6)));
	for (int i = 0; i < 10; i++)
		e *= e;
	return e;
}

/* ---- outputs side by side --------------------------------------------------------------------------------------- */

/* Half the variance of b - a under softmax(a). */
static double divergence(const float *a, const float *b, const double *p, int n)
{
	double mean = 0, square = 0;
	for (int i = 0; i < n; i++) {
		double e = (double)b[i] - a[i];
		mean += p[i] * e;
		square += p[i] * e * e;
	}
	return (square - mean * mean) / 2;
}

static void softmax(const float *a, double *p, int n)
{
	double most = a[0], sum = 0;
	for (int i = 1; i < n; i++)
		most = fmax(most, a[i]);
	for (int i = 0; i < n; i++)
		sum += p[i] = exp_below(a[i] - most);
	for (int i = 0; i < n; i++)
		p[i] /= sum;
}

typedef struct {
	int n, nout;
	bool *skip;             /* outputs that are states */
	double *variance, *error;       /* [nout], [nout * n]: squares of plain outputs */
	double *damage, *p;
	size_t room;
} Score;

static void score_output(Score *s, Runner **r, int out)
{
	const Tensor *a = runner_output(r[s->n], out);
	int last = a->rank ? (int)a->dim[a->rank - 1] : 1;
	if (a->type != H_F32 || !a->count)
		return;
	const float *x = a->bytes;
	if ((size_t)last > s->room)
		s->p = mem_grow(s->p, sizeof *s->p * (s->room = (size_t)last));
	for (int64_t at = 0; at < a->count; at += last) {
		if (last >= CLASSES)
			softmax(x + at, s->p, last);
		for (int k = 0; k < last && last < CLASSES; k++)
			s->variance[out] += (double)x[at + k] * x[at + k];
		for (int i = 0; i < s->n; i++) {
			const float *y = (const float *)runner_output(r[i], out)->bytes + at;
			if (last >= CLASSES)
				s->damage[i] += divergence(x + at, y, s->p, last);
			for (int k = 0; k < last && last < CLASSES; k++)
				s->error[out * s->n + i] += ((double)y[k] - x[at + k]) * ((double)y[k] - x[at + k]);
		}
	}
}

static bool run_all(Score *s, Runner **r, const Module *m, const Options *opt, Diag *d)
{
	int64_t steps = calibration_steps(m, opt) / SHARE, done = 0;
	steps = steps < MOST_STEPS ? steps : MOST_STEPS;
	Dataset *set = dataset_open(opt->calib, m, opt, CHUNK, d);
	Sample x;
	bool good = set != 0;
	while (good && done < steps && dataset_next(set, &x)) {
		for (int i = 0; good && i <= s->n; i++)
			good = runner_run(r[i], &x, d);
		for (int k = 0; good && k < s->nout; k++)
			if (!s->skip[k])
				score_output(s, r, k);
		done += x.steps;
	}
	dataset_close(set);
	for (int i = 0; i < s->n; i++) {
		for (int k = 0; k < s->nout; k++)
			s->damage[i] += s->variance[k] > 0 ? (double)done * s->error[k * s->n + i] / s->variance[k] : 0;
		s->damage[i] /= done ? (double)done : 1;
	}
	return good;
}

/* Which outputs are states: unless all are. */
static bool choose_outputs(Score *s, const Module *m, const Options *opt, Diag *d)
{
	int nin = nports(m->in), pair[nin + 1], states = 0;
	s->nout = nports(m->out);
	s->skip = mem_array((size_t)s->nout, sizeof *s->skip);
	if (!state_pairs(m, opt, pair, d))
		return false;
	for (int i = 0; i < nin; i++)
		if (pair[i] >= 0 && !s->skip[pair[i]])
			s->skip[pair[i]] = true, states++;
	for (int i = 0; i < s->nout && states == s->nout; i++)
		s->skip[i] = false;
	return true;
}

bool worth_measure(Module *m, const Options *opt, const Work *w, int n, double *damage, Diag *d)
{
	Score s = {.n = n, .damage = damage};
	Options plain = *opt;
	plain.integer = false;
	plain.calib = 0;
	plain.size = 0;
	plain.storage = 0;
	bool good = choose_outputs(&s, m, opt, d);
	Runner **r = mem_array((size_t)n + 1, sizeof *r);
	s.variance = mem_array((size_t)s.nout, sizeof *s.variance);
	s.error = mem_array((size_t)s.nout * (size_t)n, sizeof *s.error);
	for (int i = 0; good && i <= n; i++) {
		Module *copy = module_clone(m);
		if (i < n)
			work_store(copy, &w[i]);
		good = (r[i] = runner_open(copy, &plain, d)) != 0;
		module_free(copy);
		damage[i < n ? i : 0] = 0;
	}
	good = good && run_all(&s, r, m, opt, d);
	for (int i = 0; i <= n; i++)
		runner_close(r[i]);
	free(r), free(s.variance), free(s.error), free(s.skip), free(s.p);
	return good;
}

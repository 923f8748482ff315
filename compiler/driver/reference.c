/* reference.c: the float model's outputs on calibration data, and how far another module's are from them.
 *
 * Where the calibration data have labels, the scored output is a classification and the loss is the
 * divergence of the distributions, sum p log(p / q), mean over rows: what cross-entropy rises by, if the
 * float model is right. Otherwise it is the squared error of all outputs relative to their power. */
#include "data/runner.h"
#include "driver/sensitivity.h"
#include "driver/metric.h"
#include "util/mem.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* of kept outputs, where --limit says nothing */
enum { CHUNK = 64, STEPS = 4096, MOST_NUMBERS = 5000000 };

struct Reference {
	const Command *c;
	Dataset *set;
	int out, nout;
	bool divergence, probabilities;
	Tensor **want;          /* sample by sample, outputs in order */
	int nsample;
	int64_t limit, steps, numbers;
};

static int outputs_of(const Module *m)
{
	int n = 0;
	for (const Port *p = m->out; p; p = p->next)
		n++;
	return n;
}

static bool is_compared(const Reference *r, int i)
{
	return !r->divergence || i == r->out;
}

static bool keep(Reference *r, Runner *runner, int n, double *sums)
{
	(void)sums;
	r->want = mem_grow(r->want, sizeof *r->want * (size_t)((n + 1) * r->nout));
	for (int i = 0; i < r->nout; i++) {
		Tensor *t = is_compared(r, i) ? tensor_copy(runner_output(runner, i)) : 0;
		r->want[n * r->nout + i] = t;
		r->numbers += t ? t->count : 0;
	}
	r->nsample = n + 1;
	return true;
}

/* Calls `use` for each sample within the limit. */
static bool run_samples(Reference *r, Runner *runner, bool (*use)(Reference *, Runner *, int, double *),
                        double *sums, Diag *d)
{
	Sample s;
	int n = 0;
	r->steps = 0;
	dataset_rewind(r->set);
	while (r->steps < r->limit && dataset_next(r->set, &s)) {
		if (!runner_run(runner, &s, d) || !use(r, runner, n++, sums))
			return false;
		r->steps += s.steps;
		if (use == keep && !r->c->limit && r->numbers > MOST_NUMBERS)
			r->limit = r->steps;
	}
	return n > 0;
}

/* ---- losses ------------------------------------------------------------------------------------- */

static double log_sum(const float *x, int64_t n)
{
	double most = x[0], sum = 0;
	for (int64_t i = 1; i < n; i++)
		most = fmax(most, x[i]);
	for (int64_t i = 0; i < n; i++)
		sum += exp(x[i] - most);
	return most + log(sum);
}

static double of_two(double p, double q)
{
	const double least = 1e-12;
	p = fmin(fmax(p, least), 1 - least), q = fmin(fmax(q, least), 1 - least);
	return p * log(p / q) + (1 - p) * log((1 - p) / (1 - q));
}

/* sum p log(p / q) of one row */
static double divergence(const Reference *r, const float *x, const float *y, int64_t n)
{
	double sum = 0;
	if (n == 1)
		return r->probabilities ? of_two(x[0], y[0]) : of_two(1 / (1 + exp(-x[0])), 1 / (1 + exp(-y[0])));
	double a = r->probabilities ? 0 : log_sum(x, n), b = r->probabilities ? 0 : log_sum(y, n);
	for (int64_t i = 0; i < n; i++) {
		double lp = r->probabilities ? log(fmax(x[i], 1e-12)) : x[i] - a;
		double lq = r->probabilities ? log(fmax(y[i], 1e-12)) : y[i] - b;
		sum += exp(lp) * (lp - lq);
	}
	return sum;
}

static bool compare(Reference *r, Runner *runner, int k, double *sums)
{
	for (int i = 0; i < r->nout; i++) {
		const Tensor *x = r->want[k * r->nout + i], *y = x ? runner_output(runner, i) : 0;
		if (!x || x->type != H_F32)
			continue;
		int64_t n = r->divergence && x->rank ? x->dim[x->rank - 1] : 1;
		for (int64_t at = 0; at < x->count; at += n) {
			const float *a = (const float *)x->bytes + at, *b = (const float *)y->bytes + at;
			sums[0] += r->divergence ? divergence(r, a, b, n) : (double)(*b - *a) * (*b - *a);
			sums[1] += r->divergence ? 1 : (double)*a * *a;
		}
	}
	return true;
}

/* ---- calls -------------------------------------------------------------------------------------- */

static Runner *open_module(const Reference *r, Module *m, bool integer, Diag *d)
{
	Options o = r->c->opt;
	o.integer = integer;
	return runner_open_as_is(m, &o, d);
}

Reference *reference_new(const Command *c, Module *m, Diag *d)
{
	Reference *r = mem_new(sizeof *r);
	*r = (Reference){.c = c, .nout = outputs_of(m), .limit = c->limit ? c->limit : STEPS};
	for (const Port *p = m->out; c->port && p && strcmp(p->name, c->port); p = p->next)
		r->out++;
	if (r->out >= r->nout)
		diag_error(d, "--port %s: the model has no such output", c->port);
	r->set = diag_errors(d) ? 0 : dataset_open(c->opt.calib, m, &c->opt, CHUNK, d);
	Runner *runner = r->set ? open_module(r, m, false, d) : 0;
	if (runner) {
		r->divergence = dataset_has_labels(r->set);
		r->probabilities = gives_probabilities(m, r->out);
		if (!run_samples(r, runner, keep, 0, d) && !diag_errors(d))
			diag_error(d, "the calibration data hold no sample");
	}
	runner_close(runner);
	if (!diag_errors(d))
		return r;
	reference_free(r);
	return 0;
}

bool reference_loss(Reference *r, Module *m, bool integer, double *loss, Diag *d)
{
	double sums[2] = {0};
	Runner *runner = open_module(r, m, integer, d);
	bool good = runner && run_samples(r, runner, compare, sums, d);
	*loss = sums[1] > 0 ? sums[0] / sums[1] : 0;
	runner_close(runner);
	return good;
}

bool reference_divergence(const Reference *r) { return r->divergence; }
int64_t reference_steps(const Reference *r) { return r->steps; }

void reference_free(Reference *r)
{
	if (!r)
		return;
	for (int i = 0; i < r->nsample * r->nout; i++)
		tensor_free(r->want[i]);
	dataset_close(r->set);
	free(r->want), free(r);
}

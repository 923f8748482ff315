/* metric.c: accuracy, cross-entropy, perplexity, signal to noise. */
#include "driver/metric.h"

#include <math.h>
#include <string.h>

static const double least_probability = 1e-30;

MetricKind metric_kind(const char *name)
{
	return !strcmp(name, "perplexity") ? PERPLEXITY : !strcmp(name, "cross-entropy") ? CROSS_ENTROPY
	       : !strcmp(name, "snr") ? SNR : ACCURACY;
}

bool gives_probabilities(const Module *m, int i)
{
	const Func *f = m->level == L_TENSOR ? func_find(m, "main") : 0;
	const Op *o = f ? f->body.last : 0;
	if (!o || o->kind != O_ret || i >= o->nin)
		return false;
	o = o->in[i] ? o->in[i]->def : 0;
	while (o && (o->kind == O_reshape || o->kind == O_transpose || o->kind == O_slice || o->kind == O_cast))
		o = o->in[0] ? o->in[0]->def : 0;
	return o && (o->kind == O_softmax || o->kind == O_sigmoid);
}

/* Nats that one answer costs. */
static double cost(const Metric *s, const float *x, int64_t n, int64_t label)
{
	if (n == 1) {
		double z = label ? x[0] : -x[0];
		if (s->probabilities)
			return -log(fmax(label ? x[0] : 1 - x[0], least_probability));
		return z > 0 ? log1p(exp(-z)) : log1p(exp(z)) - z;
	}
	if (s->probabilities)
		return -log(fmax(x[label], least_probability));
	double most = x[0], sum = 0;
	for (int64_t i = 1; i < n; i++)
		most = fmax(most, x[i]);
	for (int64_t i = 0; i < n; i++)
		sum += exp(x[i] - most);
	return most + log(sum) - x[label];
}

static bool is_right(const Metric *s, const float *x, int64_t n, int64_t label)
{
	if (n == 1)
		return (x[0] > (s->probabilities ? 0.5f : 0)) == (label != 0);
	int64_t best = 0;
	for (int64_t i = 1; i < n; i++)
		if (x[i] > x[best])
			best = i;
	return best == label;
}

bool metric_add(Metric *s, const Tensor *t, const int64_t *label, int nlabel, Diag *d)
{
	int64_t n = t->count == nlabel || !t->rank ? 1 : t->dim[t->rank - 1];
	if (t->type != H_F32 || n < 1 || t->count != n * nlabel) {
		diag_error(d, "--metric: output '%s' has %lld numbers, %lld a row, for %d labels; --port picks another output",
		           t->name, (long long)t->count, (long long)n, nlabel);
		return false;
	}
	for (int i = 0; i < nlabel; i++) {
		if (label[i] < 0 || label[i] >= (n == 1 ? 2 : n)) {
			diag_error(d, "labels: %lld is not one of %lld classes", (long long)label[i],
			           (long long)(n == 1 ? 2 : n));
			return false;
		}
		const float *x = (const float *)t->bytes + i * n;
		s->sum += s->kind == ACCURACY ? is_right(s, x, n, label[i]) : cost(s, x, n, label[i]);
	}
	s->n += nlabel;
	return true;
}

bool metric_compare(Metric *s, const Tensor *flt, const Tensor *fixed, Diag *d)
{
	if (flt->type != H_F32 || fixed->type != H_F32 || flt->count != fixed->count) {
		diag_error(d, "--metric snr: output '%s' has no real numbers to compare; --port picks another output",
		           flt->name);
		return false;
	}
	const float *a = flt->bytes, *b = fixed->bytes;
	for (int64_t i = 0; i < flt->count; i++) {
		s->sum += (double)a[i] * a[i];
		s->noise += ((double)a[i] - b[i]) * ((double)a[i] - b[i]);
	}
	return true;
}

double metric_value(const Metric *s)
{
	if (s->kind == SNR)
		return 10 * log10(s->sum / s->noise);
	double mean = s->n ? s->sum / (double)s->n : NAN;
	return s->kind == PERPLEXITY ? exp(mean) : mean;
}

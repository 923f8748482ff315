/* histogram.c: magnitudes counted, and what they say about the best range (histogram.h).
 *
 *	percentile	one number in 10,000 saturates
 *	mse		the squared error of rounding and saturating is least
 *	kl		the distribution loses least information (Migacz, 8-bit inference with TensorRT, 2017): that of the magnitudes
 *			below the clip, with what saturates put into the last bin, against the same in 2^(bits-1) levels
 * Only + - * / of doubles decide, in the logarithm of kl as well: the same clip on every machine. */
#include "passes/histogram.h"
#include "passes/formats.h"

#include <math.h>
#include <string.h>

static const double OUTSIDE = 1e-4;     /* percentile: the share that saturates */
enum { STEPS = 160, LEAST_STEPS = 24, OCTAVES = 6, KL_STEP = 16 };

/* ---- counting ---------------------------------------------------------------------------------------------------- */

static void halve(double *bin)
{
	for (int i = 0; i < HISTOGRAM_BINS / 2; i++)
		bin[i] = bin[2 * i] + bin[2 * i + 1];
	memset(bin + HISTOGRAM_BINS / 2, 0, sizeof *bin * (HISTOGRAM_BINS / 2));
}

/* Zeros count as the least magnitude at every width, so they may come before there is one. */
void histogram_add(Histogram *h, float x)
{
	double a = fabs((double)x);
	if (!isfinite(a))
		return;
	h->n++;
	h->most = a > h->most ? a : h->most;
	if (a > 0 && h->width == 0) {
		int e;
		frexp(a, &e);
		h->width = ldexp(1, e) / HISTOGRAM_BINS;
	}
	for (; a > 0 && a >= h->width * HISTOGRAM_BINS; h->width *= 2)
		halve(h->below), halve(h->above);
	int i = a > 0 ? (int)(a / h->width) : 0;
	(x < 0 ? h->below : h->above)[i]++;
}

/* ---- mse --------------------------------------------------------------------------------------------------------- */

static double side_error(const double *bin, double width, double step, double most)
{
	double sum = 0;
	for (int i = 0; i < HISTOGRAM_BINS; i++) {
		if (bin[i] == 0)
			continue;
		double x = (i + 0.5) * width, q = grid_round(x / step);
		double e = (q < most ? q : most) * step - x;
		sum += bin[i] * e * e;
	}
	return sum;
}

double histogram_error(const Histogram *h, double step, int bits)
{
	double q = ldexp(1, bits - 1);
	return side_error(h->above, h->width, step, q - 1) + side_error(h->below, h->width, step, q);
}

static double best_mse(const Histogram *h, int bits, bool pow2)
{
	double q = ldexp(1, bits - 1) - 1, best = h->most, least = INFINITY;
	int e = fit_exponent(h->most, bits, false);
	for (int i = 0; i < (pow2 ? OCTAVES : STEPS - LEAST_STEPS); i++) {
		double clip = pow2 ? ldexp(q, e - i) : h->most * (STEPS - i) / STEPS;
		double error = histogram_error(h, clip / q, bits);
		if (error < least)
			least = error, best = clip < h->most ? clip : h->most;
	}
	return best;
}

/* ---- percentile, kl ---------------------------------------------------------------------------------------------- */

static double percentile(const Histogram *h)
{
	double outside = 0;
	for (int i = HISTOGRAM_BINS - 1; i >= 0; i--) {
		outside += h->below[i] + h->above[i];
		if (outside > OUTSIDE * h->n)
			return fmin((i + 1) * h->width, h->most);
	}
	return h->most;
}

/* Natural logarithm of x > 0, to about 1e-12: 2 artanh((m - 1) / (m + 1)) of the mantissa m, and the exponent. */
static double logarithm(double x)
{
	int e;
	double m = frexp(x, &e), t = (m - 1) / (m + 1), sum = 0, power = t;
	for (int k = 1; k < 50; k += 2, power *= t * t)
		sum += power / k;
	return 2 * sum + e * 0.69314718055994530942;
}

/* sum p log(p / q) of the first n bins, the rest in the last of them, and the same bins levelled out in `levels` groups. */
static double divergence(const double *bin, int n, int levels, double all)
{
	double inside = 0, sum = 0;
	for (int i = 0; i < n; i++)
		inside += bin[i];
	for (int g = 0; g < levels; g++) {
		int from = (int)((int64_t)n * g / levels), to = (int)((int64_t)n * (g + 1) / levels), used = 0;
		double mass = 0;
		for (int i = from; i < to; i++)
			mass += bin[i], used += bin[i] > 0;
		for (int i = from; i < to; i++) {
			double p = bin[i] + (i == n - 1 ? all - inside : 0), q = used ? mass / used : 0;
			if (p > 0)
				sum += p / all * logarithm(p / all / (fmax(q, 1e-9) / fmax(inside, 1e-9)));
		}
	}
	return sum;
}

static double best_kl(const Histogram *h, int bits)
{
	double bin[HISTOGRAM_BINS], all = 0, least = INFINITY;
	int levels = 1 << (bits - 1), best = HISTOGRAM_BINS, last = 0;
	for (int i = 0; i < HISTOGRAM_BINS; i++) {
		bin[i] = h->below[i] + h->above[i];
		all += bin[i];
		last = bin[i] > 0 ? i + 1 : last;
	}
	for (int n = last; n >= levels && n >= last / 8; n -= KL_STEP) {
		double d = divergence(bin, n, levels, all);
		if (d < least)
			least = d, best = n;
	}
	return fmin(best * h->width, h->most);
}

double histogram_clip(const Histogram *h, RangeKind kind, int bits, bool pow2)
{
	if (h->n == 0 || h->most == 0)
		return h->most;
	switch (kind) {
	case RANGE_PERCENTILE: return percentile(h);
	case RANGE_MSE:        return best_mse(h, bits, pow2);
	case RANGE_KL:         return best_kl(h, bits);
	default:               return h->most;
	}
}

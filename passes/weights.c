/* weights.c: constants from real numbers to integers.
 *
 * Weights of b >= 2 bits use the symmetric grid -(2^(b-1)-1) .. 2^(b-1)-1: the kernels' byte products want
 * |w| <= 127, and a grid without its odd end has no bias.  One bit is -1 or +1 in an i2, which is packed as the bit it is.
 * Scales minimise the squared error, which is what perplexity follows (relative weight error and relative
 * loss are about equal for recurrent nets, says Xu 2018).  Clipping a few outliers pays at few bits, never
 * at many; the search finds out by itself. */
#include "passes/formats.h"

#include <math.h>
#include <string.h>

/* Rows much finer than the largest one would make sums of their products overflow 32 bits, for a precision
 * that nothing behind them can show: a row's scale is at least 2^-8 of the largest. */
enum { FINEST_ROW = 8 };
enum { SATURATING_STEPS = 4, REAL_STEPS = 40, NO_SEARCH_BITS = 9 };

void data_range(const Data *d, double *lo, double *hi)
{
	const float *x = d->bytes;
	size_t n = d->size / sizeof *x;
	*lo = *hi = n ? x[0] : 0;
	for (size_t i = 0; i < n; i++) {
		if (!isfinite(x[i])) {
			*lo = *hi = NAN;
			return;
		}
		*lo = x[i] < *lo ? x[i] : *lo;
		*hi = x[i] > *hi ? x[i] : *hi;
	}
}

double data_most(const Data *d)
{
	double lo, hi;
	data_range(d, &lo, &hi);
	return fabs(lo) > fabs(hi) || isnan(lo) ? fabs(lo) : fabs(hi);
}

static double clamp(double x, double lo, double hi)
{
	return x < lo ? lo : x > hi ? hi : x;
}

/* Squared error of x on the grid k * s, |k| <= q. */
static double grid_error(const float *x, size_t n, double s, double q)
{
	double sum = 0, inv = 1 / s;
	for (size_t i = 0; i < n; i++) {
		double e = clamp(grid_round(x[i] * inv), -q, q) * s - x[i];
		sum += e * e;
	}
	return sum;
}

static double best_scale(const float *x, size_t n, int bits, bool real)
{
	double q = ldexp(1, bits - 1) - 1, most = 0;
	for (size_t i = 0; i < n; i++)
		most = fmax(most, fabs((double)x[i]));
	if (most == 0)
		return 0;
	double start = real ? most / q : ldexp(1, fit_exponent(most, bits, true));
	if (bits >= NO_SEARCH_BITS)
		return real ? (float)start : start;
	double best = start, least = grid_error(x, n, start, q);
	int steps = real ? REAL_STEPS : SATURATING_STEPS;
	for (int i = 1; i <= steps; i++) {
		double s = real ? (float)(start * (1 - 0.02 * i)) : ldexp(start, -i);
		double e = grid_error(x, n, s, q);
		if (e < least)
			least = e, best = s;
		else if (!real)
			break;          /* each further halving only clips more */
	}
	return real ? (float)best : best;
}

/* For weights that are -s or +s the best s is the mean magnitude. */
static double best_sign_scale(const float *x, size_t n, bool real)
{
	double sum = 0;
	for (size_t i = 0; i < n; i++)
		sum += fabs((double)x[i]);
	double mean = n ? sum / (double)n : 0;
	if (mean == 0 || real)
		return (float)mean;
	double below = ldexp(1, ilogb(mean));
	return mean - below < 2 * below - mean ? below : 2 * below;
}

/* Weight decay leaves layers behind whose weights are all but 0.  A sum on a grid that fine could not hold
 * anything else that is added to it. */
static const double FINEST_WEIGHT = 0x1p-40;

static void choose_scales(const float *x, size_t rows, size_t n, WeightRule rule, float *scale)
{
	double most = 0;
	for (size_t i = 0; i < rows; i++) {
		int bits = rule.row_bits ? rule.row_bits[i] : rule.bits;
		double s = bits == 1 ? best_sign_scale(x + i * n, n, rule.real) : best_scale(x + i * n, n, bits, rule.real);
		scale[i] = (float)s;
		most = fmax(most, ldexp(s, bits - rule.bits));  /* as if all rows had that many */
	}
	float finest = (float)fmax(most > 0 ? ldexp(most, -FINEST_ROW) : ldexp(1, 1 - rule.bits), FINEST_WEIGHT);
	for (size_t i = 0; i < rows; i++)
		scale[i] = scale[i] < finest ? finest : scale[i];
}

static void put(void *bytes, Elem stored, size_t i, int64_t v)
{
	switch (elem_bits(stored)) {
	case 8:  ((int8_t *)bytes)[i] = (int8_t)v; break;
	case 16: ((int16_t *)bytes)[i] = (int16_t)v; break;
	case 32: ((int32_t *)bytes)[i] = (int32_t)v; break;
	default: ((int64_t *)bytes)[i] = v;
	}
}

static double weight_most(int bits)
{
	return ldexp(1, bits - 1) - 1;
}

/* Replace d's real numbers by integers lo .. hi on q's grid; weights of `bits` bits, or each row of row_bits: by those. */
static void store(Module *m, Data *d, const Quant *q, double lo, double hi, int bits, const uint8_t *row_bits)
{
	const float *x = d->bytes;
	size_t n = d->size / sizeof *x, row = n;
	if (q->rows && q->rows->size)
		row = n / (q->rows->size / sizeof(float));
	Elem stored = elem_stored(q->elem);
	size_t size = n * (size_t)elem_size(q->elem);
	void *to = arena_alloc(m->arena, size);
	for (size_t i = 0; i < n; i++) {
		double s = q->rows ? ((const float *)q->rows->bytes)[i / row] : q->scale;
		int b = row_bits ? row_bits[i / row] : bits;
		if (b)
			hi = weight_most(b), lo = -hi;
		put(to, stored, i, b == 1 ? (x[i] >= 0 ? 1 : -1) : (int64_t)clamp(grid_round(x[i] / s), lo, hi));
	}
	d->bytes = to;
	d->size = size;
	d->type = type_quant(m, q, d->type->rank, d->type->dim);
	if (d->val)
		d->val->type = d->type;
}

void data_quantize(Module *m, Data *d, const Quant *q)
{
	double most = ldexp(1, 62);     /* i64 is for biases; their bound is checked where their scale is chosen */
	store(m, d, q, fmax((double)elem_min(q->elem), -most), fmin((double)elem_max(q->elem), most), 0, 0);
}

static Data *float_list(Module *m, const char *name, int32_t n, const float *x)
{
	Data *d = data_new(m, name, type_tensor(m, E_f32, 1, &n));
	memcpy(d->bytes, x, (size_t)n * sizeof *x);
	return d;
}

const char *grid_name(Module *m, const Data *d) { return arena_printf(m->arena, "%s_grid", d->name); }

int weights_scales(Module *m, const Data *d, WeightRule rule, float **scale)
{
	size_t n = d->size / sizeof(float);
	const Data *grid = data_find(m, grid_name(m, d));
	bool by_row = (grid ? grid->size > sizeof(float) : rule.rows) && d->type->rank >= 2 && n;
	size_t rows = by_row ? (size_t)d->type->dim[0] : 1;
	*scale = NEWN(m->arena, float, rows);
	if (grid && grid->size == rows * sizeof(float))
		memcpy(*scale, grid->bytes, grid->size);
	else
		choose_scales(d->bytes, rows, n / rows, rule, *scale);
	return (int)rows;
}

/* Width of the integers that data on a grid hold. */
static int grid_bits(const Data *d, const float *scale, size_t rows)
{
	const float *x = d->bytes;
	size_t n = d->size / sizeof *x;
	double most = 0;
	for (size_t i = 0; i < n; i++)
		most = fmax(most, fabs(grid_round(x[i] / (double)scale[i / (n / rows)])));
	int bits = 2;
	while (bits < NO_SEARCH_BITS - 1 && most > ldexp(1, bits - 1) - 1)
		bits++;
	return bits;
}

void weights_quantize(Module *m, Data *d, WeightRule rule)
{
	float *scale;
	size_t rows = (size_t)weights_scales(m, d, rule, &scale);
	bool by_row = rows > 1 || (rule.rows && d->type->rank >= 2 && d->size);
	int needed = data_find(m, grid_name(m, d)) ? grid_bits(d, scale, rows) : 0;
	rule.bits = needed > rule.bits ? needed : rule.bits;

	Elem e = rule.bits == 1 ? (Elem)2 : (Elem)rule.bits;
	Quant *q = quant_new(m, d->name, e, by_row ? 1 : scale[0]);
	if (by_row)
		q->rows = float_list(m, arena_printf(m->arena, "%s_s", d->name), (int32_t)rows, scale);
	store(m, d, q, 0, 0, rule.bits, by_row ? rule.row_bits : 0);
}

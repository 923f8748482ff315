/* reconstruct_learn.c: parameters that learn.
 *
 * A weight's latent value lies in units of its row's step; the student computes with what it rounds to,
 * and the derivative passes straight through the rounding (Bengio 2013).  Adam (arXiv 1412.6980) makes
 * steps of one size in these units, so one rate fits all tensors.  Latent values start at the integers:
 * only a derivative that keeps its sign for many updates turns a weight, noise does not.  No row leaves
 * the integers it has: its width, and whether they are all odd (a grid without 0), are the storage's. */
#include "passes/reconstruct.h"
#include "passes/simd.h"
#include "storage/storage.h"
#include "util/mem.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

typedef struct Learn {
	float *latent, *mean, *square;          /* of derivatives, as Adam keeps them */
	float *scale;           /* by row; 0: plain numbers */
	float *most;            /* by row: greatest integer */
	uint8_t *odd;           /* by row */
	int64_t *age;           /* by row: updates it had */
	float *best;
	size_t count;
} Learn;

static const float MEAN_DECAY = 0.9f, SQUARE_DECAY = 0.99f;

static float *floats(size_t n) { return mem_array(n + 1, sizeof(float)); }

static Learn *learn_new(Param *p)
{
	Learn *l = mem_new(sizeof *l);
	l->count = (size_t)p->rows * (size_t)p->cols;
	l->latent = floats(l->count);
	l->mean = floats(l->count);
	l->square = floats(l->count);
	l->best = floats(l->count);
	l->age = mem_array((size_t)p->rows + 1, sizeof *l->age);
	p->grad = floats(l->count);
	p->learn = l;
	return l;
}

/* ---- grids ------------------------------------------------------------------------------------------ */

ANY_SIMD static void round_all(float *restrict now, const float *restrict latent, size_t n, float scale,
        float most, bool odd)
{
	for (size_t i = 0; i < n; i++) {
		float q = odd ? 2 * floorf(latent[i] * 0.5f) + 1 : floorf(latent[i] + 0.5f);
		q = q < -most ? -most : q > most ? most : q;
		now[i] = q * scale;
	}
}

/* The greatest integer of the width that holds `seen`: 2^k - 1, on all grids; a row of zeros stays one. */
static float width_most(float seen)
{
	float most = seen > 0;
	while (most < seen)
		most = 2 * most + 1;
	return most;
}

static void read_row(Learn *l, const Param *p, int r)
{
	const float *w = p->now + (size_t)r * (size_t)p->cols;
	bool odd = true;
	float most = 0;
	for (int k = 0; k < p->cols; k++) {
		float q = floorf(w[k] / l->scale[r] + 0.5f);
		odd &= fmodf(q, 2) != 0;
		most = fmaxf(most, fabsf(q));
	}
	l->odd[r] = odd;
	l->most[r] = width_most(most);
}

void learn_weights(Param *p, const float *scale, int nscale, bool by_row)
{
	Learn *l = learn_new(p);
	float most = 0;
	bool odd = true;
	l->scale = floats((size_t)p->rows);
	l->most = floats((size_t)p->rows);
	l->odd = mem_new((size_t)p->rows + 1);
	for (int r = 0; r < p->rows; r++) {
		l->scale[r] = scale[nscale > 1 ? r : 0];
		read_row(l, p, r);
		most = fmaxf(most, l->most[r]);
		odd &= l->odd[r] != 0;
	}
	for (int r = 0; r < p->rows; r++) {
		float *now = p->now + (size_t)r * (size_t)p->cols;
		if (!by_row)
			l->most[r] = most, l->odd[r] = odd;
		for (int k = 0; k < p->cols; k++)
			now[k] = floorf(now[k] / l->scale[r] + 0.5f) * l->scale[r];
	}
	memcpy(l->best, p->now, l->count * sizeof(float));
	learn_restart(p);
}

void learn_bias(Param *p)
{
	Learn *l = learn_new(p);
	memcpy(l->best, p->now, l->count * sizeof(float));
	learn_restart(p);
}

/* ---- updates ---------------------------------------------------------------------------------------- */

ANY_SIMD static void adam(float *restrict x, float *restrict mean, float *restrict square,
                          float *restrict g, size_t n, float rate, float by_mean, float by_square)
{
	for (size_t i = 0; i < n; i++) {
		mean[i] = MEAN_DECAY * mean[i] + (1 - MEAN_DECAY) * g[i];
		square[i] = SQUARE_DECAY * square[i] + (1 - SQUARE_DECAY) * g[i] * g[i];
		x[i] -= rate * (mean[i] * by_mean) / (sqrtf(square[i] * by_square) + 1e-12f);
		g[i] = 0;
	}
}

/* Nearer to 0 by `less`, and within the row's integers: half a step beyond them the derivative has no
 * effect. */
ANY_SIMD static void keep_within(float *x, size_t n, float less, float most)
{
	for (size_t i = 0; i < n; i++) {
		float y = x[i] > 0 ? x[i] - less : x[i] < 0 ? x[i] + less : 0;
		x[i] = y < -most ? -most : y > most ? most : y;
	}
}

/* a^n by repeated squaring: pow() differs between machines. */
static double power(double a, int64_t n)
{
	double y = 1;
	for (; n; n >>= 1, a *= a)
		y *= n & 1 ? a : 1;
	return y;
}

void learn_update(Param *p, const Rate *rate)
{
	Learn *l = p->learn;
	size_t C = (size_t)p->cols;
	for (int r = 0; l && r < p->rows; r++) {
		size_t at = (size_t)r * C;
		if (p->sparse && !p->touched[r])
			continue;
		l->age[r]++;
		float by_mean = (float)(1 / (1 - power(MEAN_DECAY, l->age[r])));
		float by_square = (float)(1 / (1 - power(SQUARE_DECAY, l->age[r])));
		float step = l->scale && l->odd[r] ? 2 : 1;
		adam(l->latent + at, l->mean + at, l->square + at, p->grad + at, C,
		     (float)(l->scale ? rate->weights : rate->biases) * step, by_mean, by_square);
		if (l->scale) {
			keep_within(l->latent + at, C, (float)(rate->weights * rate->less), l->most[r] + 0.5f * step);
			round_all(p->now + at, l->latent + at, C, l->scale[r], l->most[r], l->odd[r] != 0);
		} else {
			memcpy(p->now + at, l->latent + at, C * sizeof(float));
		}
		if (p->sparse)
			p->touched[r] = 0;
	}
	p->fresh[0] = p->fresh[1] = false;
}

/* ---- the best so far -------------------------------------------------------------------------------- */

void learn_keep(Param *p)
{
	if (p->learn)
		memcpy(p->learn->best, p->now, p->learn->count * sizeof(float));
}

void learn_restart(Param *p)
{
	Learn *l = p->learn;
	if (!l)
		return;
	memcpy(p->now, l->best, l->count * sizeof(float));
	for (size_t i = 0; i < l->count; i++)
		l->latent[i] = l->scale ? floorf(p->now[i] / l->scale[i / (size_t)p->cols] + 0.5f) : p->now[i];
	memset(l->mean, 0, l->count * sizeof(float));
	memset(l->square, 0, l->count * sizeof(float));
	memset(l->age, 0, (size_t)p->rows * sizeof *l->age);
	memset(p->grad, 0, l->count * sizeof(float));
	p->fresh[0] = p->fresh[1] = false;
}

size_t learn_bytes(const Param *p)
{
	const Learn *l = p->learn;
	if (!l || !l->scale)
		return 0;
	int8_t *q = mem_array(l->count + 1, 1);
	for (size_t i = 0; i < l->count; i++)
		q[i] = (int8_t)floorf(p->now[i] / l->scale[i / (size_t)p->cols] + 0.5f);
	size_t n = storage_bytes(q, l->scale, p->rows, p->cols, STORE_CODED);
	free(q);
	return n;
}

void learn_finish(Param *p)
{
	if (p->learn)
		memcpy(p->data->bytes, p->learn->best, p->learn->count * sizeof(float));
}

void learn_free(Param *p)
{
	Learn *l = p->learn;
	gemm_unpack(&p->forward);
	gemm_unpack(&p->backward);
	gemm_unpack(&p->teacher);
	free(p->grad);
	free(p->touched);
	p->grad = 0;
	p->touched = 0;
	p->learn = 0;
	if (!l)
		return;
	free(l->latent), free(l->mean), free(l->square), free(l->best), free(l->age);
	free(l->scale), free(l->most), free(l->odd);
	free(l);
}

/* feedback.c: weights rounded so that the layer's result, not the weight, comes out right.  Changes data.
 *
 * observe leaves the second moments H = sum v v' of what each linear's weights multiply, v = (x, 1).  Columns are rounded one
 * after the other, the most used first; the error of each is pushed into the columns not yet rounded, so that
 * (w - q) H (w - q)' grows least (optimal brain quantization; in the form of GPTQ, arXiv 2210.17323: the factors are the rows of
 * the Cholesky factor of the inverse of H).  What is left of the mean, (w - q) E[x], goes into the bias.
 *
 * The weights stay floats, now on the grid that `<W>_grid` names, where quantize finds their scales.  Only + - * / and square
 * roots of doubles: the same integers on every machine. */
#include "passes/feedback.h"
#include "passes/formats.h"
#include "passes/passes.h"
#include "passes/quantize.h"

#include <fnmatch.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_COLUMNS = 2048, PLAIN_BITS = 8 };
static const double DAMPING = 0.01;     /* of the mean of H's diagonal */

static int bits_of(const Data *W, const Options *opt)
{
	int bits = opt->weights ? opt->weights : DEFAULT_BITS;
	for (int i = 0; i < opt->nrule; i++)
		if (!fnmatch(opt->rule[i].pattern, W->name, 0))
			bits = opt->rule[i].bits;
	return bits;
}

bool feedback_wants(const Op *o, const Options *opt)
{
	if (o->kind != O_linear || !o->in[1]->data || !is_f32(o->in[1]) || o->in[1]->type->rank != 2 || !is_f32(o->in[0]))
		return false;
	int bits = bits_of(o->in[1]->data, opt);
	return bits > 1 && bits <= PLAIN_BITS && opt->effort > (bits == PLAIN_BITS) && o->in[1]->type->dim[1] <= MAX_COLUMNS;
}

const char *moments_name(Module *m, const Data *W) { return arena_printf(m->arena, "%s_moments", W->name); }

/* ---- linear algebra ------------------------------------------------------------------------------------------- */

/* In place: the lower Cholesky factor of a positive definite matrix.  false: it is not. */
static bool cholesky(double *a, int n)
{
	for (int j = 0; j < n; j++) {
		double *r = a + (size_t)j * n, d = r[j];
		for (int k = 0; k < j; k++)
			d -= r[k] * r[k];
		if (!(d > 0))
			return false;
		r[j] = sqrt(d);
		for (int i = j + 1; i < n; i++) {
			double *q = a + (size_t)i * n, s = q[j];
			for (int k = 0; k < j; k++)
				s -= q[k] * r[k];
			q[j] = s / r[j];
		}
	}
	return true;
}

/* inv = inverse of L L' */
static void inverse(const double *L, double *inv, int n)
{
	double *x = malloc(sizeof *x * (size_t)n);
	for (int c = 0; x && c < n; c++) {
		for (int i = 0; i < n; i++) {
			double s = i == c;
			for (int k = c; k < i; k++)
				s -= L[(size_t)i * n + k] * x[k];
			x[i] = i < c ? 0 : s / L[(size_t)i * n + i];
		}
		for (int i = n - 1; i >= 0; i--) {
			double s = x[i];
			for (int k = i + 1; k < n; k++)
				s -= L[(size_t)k * n + i] * inv[(size_t)k * n + c];
			inv[(size_t)i * n + c] = s / L[(size_t)i * n + i];
		}
	}
	free(x);
}

/* ---- one set of weights --------------------------------------------------------------------------------------- */

typedef struct {
	int K, *order;          /* columns, the most used first */
	double *U;              /* [K,K] in that order: U' U = inverse of the damped H, U upper */
	double *mean;           /* of x */
} Plan;

static int compare_use(const void *a, const void *b, void *diag)
{
	double x = ((const double *)diag)[*(const int *)a], y = ((const double *)diag)[*(const int *)b];
	return x > y ? -1 : x < y ? 1 : *(const int *)a - *(const int *)b;
}

static bool make_plan(Plan *p, const Data *moments)
{
	int K = p->K, K1 = K + 1;
	const float *s = moments->bytes;
	double n = s[(size_t)K * K1 + K], damp = 0, *diag = calloc((size_t)K, sizeof *diag);
	double *H = malloc(sizeof *H * (size_t)K * (size_t)K);
	if (!(n > 0) || !diag || !H) {
		free(diag);
		free(H);
		return false;
	}
	for (int k = 0; k < K; k++) {
		diag[k] = s[(size_t)k * K1 + k] / n;
		p->mean[k] = s[(size_t)K * K1 + k] / n;
		damp += DAMPING * diag[k] / K;
		p->order[k] = k;
	}
	qsort_r(p->order, (size_t)K, sizeof *p->order, compare_use, diag);
	for (int i = 0; i < K; i++)
		for (int j = 0; j < K; j++)
			H[(size_t)i * K + j] = s[(size_t)p->order[i] * K1 + p->order[j]] / n + (i == j ? damp : 0);
	bool good = damp > 0 && cholesky(H, K);
	if (good) {
		/* U is the transpose of the lower factor of the inverse */
		inverse(H, p->U, K);
		good = cholesky(p->U, K);
	}
	free(diag);
	free(H);
	return good;
}

static void round_row(const Plan *p, float *w, double scale, double most, double *lost)
{
	int K = p->K;
	double *left = malloc(sizeof *left * (size_t)K);
	*lost = 0;
	for (int i = 0; left && i < K; i++)
		left[i] = w[p->order[i]];
	for (int i = 0; left && i < K; i++) {
		double q = grid_round(left[i] / scale);
		q = q < -most ? -most : q > most ? most : q;
		double e = (left[i] - q * scale) / p->U[(size_t)i * K + i];
		for (int j = i + 1; j < K; j++)
			left[j] -= e * p->U[(size_t)j * K + i];
		*lost += (w[p->order[i]] - q * scale) * p->mean[p->order[i]];
		w[p->order[i]] = (float)(q * scale);
	}
	free(left);
}

/* ---- biases --------------------------------------------------------------------------------------------------- */

/* The op whose constant bias ends up in o's result, through addends used only there; it may have no bias yet. */
static Op *bias_holder(Func *f, Op *o)
{
	for (int i = 0; i < 8; i++) {
		Val *b = o->nin > 2 ? o->in[2] : 0;
		if (!b || b->data)
			return o;
		int uses = 0;
		each_op(u, &f->body)
			for (int k = 0; k < u->nin; k++)
				uses += u->in[k] == b;
		if (uses != 1 || !b->def || b->def->kind != O_linear)
			return 0;
		o = b->def;
	}
	return 0;
}

static void correct_bias(Module *m, Func *f, Op *o, const double *lost)
{
	Op *h = bias_holder(f, o);
	if (!h)
		return;
	int32_t M = o->in[1]->type->dim[0];
	Data *old = h->nin > 2 && h->in[2] ? h->in[2]->data : 0;
	if (old && type_count(old->type, 1) != M)
		return;
	Data *b = data_new(m, old ? old->name : arena_printf(m->arena, "%s_b", o->in[1]->data->name),
	                   type_tensor(m, E_f32, 1, &M));
	for (int32_t i = 0; i < M; i++)
		((float *)b->bytes)[i] = (float)((old ? ((const float *)old->bytes)[i] : 0) + lost[i]);
	if (h->nin > 2) {
		h->in[2] = val_data(m, b);
		return;
	}
	Val **in = NEWN(m->arena, Val *, 3);
	in[0] = h->in[0], in[1] = h->in[1], in[2] = val_data(m, b);
	h->in = in;
	h->nin = 3;
}

/* ---- the pass --------------------------------------------------------------------------------------------------- */

static double *round_weights(Module *m, Data *W, const Data *moments, const Options *opt)
{
	int K = W->type->dim[1], M = W->type->dim[0], bits = bits_of(W, opt);
	Plan p = {K, calloc((size_t)K + 1, sizeof(int)), calloc((size_t)K * (size_t)K + 1, sizeof(double)),
	          calloc((size_t)K + 1, sizeof(double))};
	double *lost = 0;
	if (p.order && p.U && p.mean && make_plan(&p, moments)) {
		float *scale;
		int rows = weights_scales(m, W, (WeightRule){bits, opt->per_row, opt->real_scales}, &scale);
		Data *grid = data_new(m, grid_name(m, W), type_tensor(m, E_f32, 1, (const int32_t[]){rows}));
		memcpy(grid->bytes, scale, grid->size);
		lost = NEWN(m->arena, double, M);
		for (int i = 0; i < M; i++)
			round_row(&p, (float *)W->bytes + (size_t)i * K, scale[rows > 1 ? i : 0], ldexp(1, bits - 1) - 1, &lost[i]);
	}
	free(p.order);
	free(p.U);
	free(p.mean);
	return lost;
}

static void drop_data(Module *m, const char *name)
{
	for (Data **d = &m->data; *d; d = &(*d)->next)
		if (!strcmp((*d)->name, name)) {
			*d = (*d)->next;
			return;
		}
}

bool pass_feedback(Module *m, const Options *opt, Diag *d)
{
	(void)d;
	if (!opt->integer || m->level != L_TENSOR || module_is_quantized(m))
		return true;
	each_func(f, m)
		each_op(o, &f->body) {
			if (o->kind != O_linear || !o->in[1]->data || !is_f32(o->in[1]))
				continue;
			Data *W = o->in[1]->data, *moments = data_find(m, moments_name(m, W));
			if (!moments)
				continue;
			double *lost = round_weights(m, W, moments, opt);
			drop_data(m, moments->name);
			if (lost)
				correct_bias(m, f, o, lost);
		}
	return true;
}

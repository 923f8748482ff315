/* classes.c: moments of an output layer's inputs, by groups of classes (classes.h). */
#include "passes/classes.h"

#include "passes/gemm.h"
#include "passes/linalg.h"
#include "passes/worth.h"
#include "util/mem.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { CHUNK = 256, ROUNDS = 8, FEWEST_GROUPS = 4, MOST_MOMENTS = 1 << 23 };    /* of doubles, for all groups */
static const double LITTLE = 1e-3;      /* of a sample's weight: not worth adding to a group's moments */

typedef struct {
	const Unit *u;
	const float *v;         /* [n,K] samples */
	int n, M, K, groups;
	float *p;               /* [CHUNK,M] p (1 - p) of the samples in hand */
	float *mean;            /* [M,K] sum of p (1 - p) v */
	double *weight;         /* [M] sum of p (1 - p) */
	float *centre;          /* [CLASS_GROUPS,K] */
	int *group;             /* [M] */
} Classes;

/* p (1 - p) of samples [from, from + m). */
static void probabilities(Classes *c, const Packed *W, int from, int m)
{
	const Op *o = c->u->op[0];
	const float *b = o->nin > 2 && o->in[2] && o->in[2]->data ? o->in[2]->data->bytes : 0;
	gemm(m, c->v + (size_t)from * (size_t)c->K, (size_t)c->K, 1, W, c->p, (size_t)c->M, false);
	for (int i = 0; i < m; i++) {
		float *y = c->p + (size_t)i * (size_t)c->M;
		double most = -INFINITY, sum = 0;
		for (int k = 0; k < c->M; k++) {
			y[k] += b ? b[k] : 0;
			most = fmax(most, y[k]);
		}
		for (int k = 0; k < c->M; k++)
			sum += y[k] = (float)exp_below(y[k] - most);
		for (int k = 0; k < c->M; k++)
			y[k] = (float)(y[k] / sum * (1 - y[k] / sum));
	}
}

static void add_means(Classes *c, int from, int m)
{
	Packed v = {0};
	gemm_pack(&v, m, c->K, c->v + (size_t)from * (size_t)c->K, (size_t)c->K, 1);
	gemm(c->M, c->p, 1, (size_t)c->M, &v, c->mean, (size_t)c->K, true);
	gemm_unpack(&v);
	for (int i = 0; i < m; i++)
		for (int k = 0; k < c->M; k++)
			c->weight[k] += c->p[(size_t)i * (size_t)c->M + (size_t)k];
}

/* ---- groups ------------------------------------------------------------------------------------------------------ */

/* Centres to begin with: of classes that stand at equal steps of the summed weight. */
static void first_centres(Classes *c)
{
	double all = 0, sum = 0;
	int g = 0;
	for (int k = 0; k < c->M; k++)
		all += c->weight[k];
	for (int k = 0; k < c->M; k++) {
		sum += c->weight[k];
		while (g < c->groups && sum >= all * (g + 0.5) / c->groups)
			memcpy(c->centre + (size_t)g++ * (size_t)c->K, c->mean + (size_t)k * (size_t)c->K, sizeof *c->mean * (size_t)c->K);
	}
}

static double distance(const float *a, const float *b, int n)
{
	float s[GEMM_LANES] = {0};
	double sum = 0;
	for (int i = 0; i < n; i++)
		s[i % GEMM_LANES] += (a[i] - b[i]) * (a[i] - b[i]);
	for (int i = 0; i < GEMM_LANES; i++)
		sum += s[i];
	return sum;
}

static void assign(Classes *c)
{
	for (int k = 0; k < c->M; k++) {
		double best = INFINITY;
		for (int g = 0; g < c->groups; g++) {
			double d = distance(c->mean + (size_t)k * (size_t)c->K, c->centre + (size_t)g * (size_t)c->K, c->K);
			if (d < best)
				best = d, c->group[k] = g;
		}
	}
}

static void move_centres(Classes *c)
{
	for (int g = 0; g < c->groups; g++) {
		float *to = c->centre + (size_t)g * (size_t)c->K;
		double sum = 0;
		for (int k = 0; k < c->M; k++)
			sum += c->group[k] == g ? c->weight[k] : 0;
		if (!(sum > 0))
			continue;
		memset(to, 0, sizeof *to * (size_t)c->K);
		for (int k = 0; k < c->M; k++)
			for (int j = 0; c->group[k] == g && j < c->K; j++)
				to[j] += (float)(c->weight[k] / sum) * c->mean[(size_t)k * (size_t)c->K + (size_t)j];
	}
}

static void find_groups(Classes *c)
{
	for (int k = 0; k < c->M; k++)
		for (int j = 0; j < c->K && c->weight[k] > 0; j++)
			c->mean[(size_t)k * (size_t)c->K + (size_t)j] /= (float)c->weight[k];
	first_centres(c);
	for (int i = 0; i < ROUNDS; i++) {
		assign(c);
		move_centres(c);
	}
	assign(c);
}

/* ---- their moments ------------------------------------------------------------------------------------------------- */

/* Adds samples [from, from + m), less `middle`, to each group's moments. */
static void add_moments(Classes *c, int from, int m, const double *middle, double *H, double *weight)
{
	size_t K = (size_t)c->K;
	double *part = mem_array((size_t)m * (size_t)c->groups, sizeof *part);
	float *row = mem_array((size_t)m * K, sizeof *row);
	for (int i = 0; i < m; i++)
		for (int k = 0; k < c->M; k++)
			part[i * c->groups + c->group[k]] += c->p[(size_t)i * (size_t)c->M + (size_t)k];
	for (int g = 0; g < c->groups; g++) {
		int n = 0;
		for (int i = 0; i < m; i++) {
			double w = part[i * c->groups + g], root = sqrt(w);
			const float *v = c->v + (size_t)(from + i) * K;
			weight[g] += w;
			for (size_t j = 0; j < K && w > LITTLE; j++)
				row[(size_t)n * K + j] = (float)(root * (v[j] - middle[j]));
			n += w > LITTLE;
		}
		moments_add(H + (size_t)g * K * K, c->K, row, n);
	}
	free(part), free(row);
}

static void measure_groups(Classes *c, const Packed *W, Moments *to)
{
	size_t K = (size_t)c->K;
	size_t groups = (size_t)c->groups;
	double *H = mem_array(groups * K * K, sizeof *H), *weight = mem_array(groups, sizeof *weight), *middle = mem_array(K, sizeof *middle);
	for (size_t j = 0; j < K; j++)
		middle[j] = to->count > 0 ? to->sum[j] / to->count : 0;
	for (int from = 0; from < c->n; from += CHUNK) {
		int m = c->n - from < CHUNK ? c->n - from : CHUNK;
		probabilities(c, W, from, m);
		add_moments(c, from, m, middle, H, weight);
	}
	for (int g = 0; g < c->groups; g++) {
		mirror(H + (size_t)g * K * K, c->K);
		for (size_t i = 0; i < K * K; i++)
			H[(size_t)g * K * K + i] /= weight[g] > 0 ? weight[g] : 1;
	}
	free(middle), free(weight);
	to->groups = c->groups;
	to->group = c->group;
	to->group_H = H;
}

void classes_measure(const Unit *u, const float *v, int n, Moments *to)
{
	size_t M = (size_t)u->M, K = (size_t)u->K;
	Classes c = {.u = u, .v = v, .n = n, .M = u->M, .K = u->K, .p = mem_array(CHUNK * M, sizeof(float)),
	             .weight = mem_array(M, sizeof(double)), .mean = mem_array(M * K, sizeof(float))};
	Packed W = {0};
	gemm_pack(&W, u->K, u->M, u->data[0]->bytes, 1, K);
	for (int from = 0; from < n; from += CHUNK) {
		int m = n - from < CHUNK ? n - from : CHUNK;
		probabilities(&c, &W, from, m);
		add_means(&c, from, m);
	}
	size_t room = MOST_MOMENTS / (K * K);
	c.groups = room < CLASS_GROUPS ? (int)room : CLASS_GROUPS;
	if (u->M >= FEWEST_CLASSES && c.groups >= FEWEST_GROUPS) {
		c.group = mem_array(M, sizeof *c.group);
		c.centre = mem_array((size_t)c.groups * K, sizeof *c.centre);
		find_groups(&c);
		measure_groups(&c, &W, to);
		free(c.centre);
	}
	gemm_unpack(&W);
	free(c.p), free(c.mean);
	to->weight = c.weight;
}

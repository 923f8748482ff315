/* moments.c: statistics for rounding, from one run of the calibration data each (moments.h). */
#include "passes/moments.h"

#include "passes/classes.h"
#include "passes/collect.h"
#include "passes/linalg.h"
#include "util/mem.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { CHUNK = 256, MAX_PLACES = 64 };

typedef struct {
	const MomentsWanted *w;
	Unit *const *u;
	int n;
	Moments *to;
	Probe *probe;
	int nprobe, *at;        /* at[i * MAX_PARTS + k]: probe of unit i's part k */
	Collector *now, *was;
	float *v;               /* rows side by side */
	size_t room;
	float **sample;         /* by unit: vectors kept for classes */
	int *nsample;
	int64_t *seen, all;     /* all: steps of the data */
} Run;

void moments_free(Moments *s)
{
	free(s->H), free(s->sum), free(s->diff), free(s->weight), free(s->group), free(s->group_H);
	*s = (Moments){0};
}

static int add_probe(Run *r, Probe p)
{
	for (int i = 0; i < r->nprobe; i++)
		if (probe_same(&r->probe[i], &p))
			return i;
	r->probe = mem_grow(r->probe, sizeof p * (size_t)(r->nprobe + 1));
	r->probe[r->nprobe] = p;
	return r->nprobe++;
}

static void choose_probes(Run *r)
{
	for (int i = 0; i < r->n; i++) {
		Unit *u = r->u[i];
		Moments *to = &r->to[i];
		for (int k = 0; k < u->n; k++)
			r->at[i * MAX_PARTS + k] = r->w->was ? add_probe(r, probe_of(u->func, u->op[u->n - 1], -1))
			                                      : add_probe(r, probe_of(u->func, u->op[k], 0));
		size_t K = (size_t)u->K;
		to->count = 0;
		if (r->w->was) {
			to->diff = mem_array((size_t)u->M, sizeof(double));
			continue;
		}
		to->H = mem_array(K * K, sizeof(double));
		to->sum = mem_array(K, sizeof(double));
	}
}

/* Rows of unit i's parts side by side: n rows of K floats; -1: no such place. */
static int gather_rows(Run *r, int i, int place)
{
	Unit *u = r->u[i];
	const float *part[MAX_PARTS];
	int n = -1;
	for (int k = 0; k < u->n; k++) {
		int some = collector_rows(r->now, r->at[i * MAX_PARTS + k], place, &part[k]);
		if (some < 0)
			return -1;
		n = n < 0 || some < n ? some : n;
	}
	size_t need = (size_t)n * (size_t)u->K + 1;
	if (need > r->room) {
		r->room = need;
		r->v = mem_grow(r->v, sizeof(float) * need);
	}
	for (int k = 0; k < u->n; k++) {
		int K = u->data[k]->type->dim[1];
		for (int j = 0; j < n; j++)
			memcpy(r->v + (size_t)j * (size_t)u->K + u->at[k], part[k] + (size_t)j * (size_t)K, sizeof(float) * (size_t)K);
	}
	return n;
}

static void keep_samples(Run *r, int i, const float *v, int n)
{
	Unit *u = r->u[i];
	int64_t all = r->w->steps < r->all ? r->w->steps : r->all, every = all / r->w->samples + 1;
	for (int j = 0; j < n; j++) {
		if (r->seen[i]++ % every || r->nsample[i] >= r->w->samples)
			continue;
		memcpy(r->sample[i] + (size_t)r->nsample[i]++ * (size_t)u->K, v + (size_t)j * (size_t)u->K, sizeof(float) * (size_t)u->K);
	}
}

static void take_diff(Run *r, int i, int place)
{
	const float *now, *was;
	Unit *u = r->u[i];
	int n = collector_rows(r->now, r->at[i * MAX_PARTS], place, &now);
	int nw = collector_rows(r->was, r->at[i * MAX_PARTS], place, &was);
	n = nw < n ? nw : n;
	for (int j = 0; j < n; j++)
		for (int k = 0; k < u->M; k++)
			r->to[i].diff[k] += (double)was[(size_t)j * (size_t)u->M + k] - now[(size_t)j * (size_t)u->M + k];
	r->to[i].count += n > 0 ? n : 0;
}

static void take_moments(Run *r, int i, int place)
{
	Moments *to = &r->to[i];
	Unit *u = r->u[i];
	int n = gather_rows(r, i, place);
	if (n <= 0)
		return;
	moments_add(to->H, u->K, r->v, n);
	for (int j = 0; j < n; j++)
		for (int k = 0; k < u->K; k++)
			to->sum[k] += r->v[(size_t)j * (size_t)u->K + k];
	to->count += n;
	if (r->sample[i])
		keep_samples(r, i, r->v, n);
}

static bool run_all(Run *r, const Module *m, const Options *opt, Diag *d)
{
	Dataset *set = dataset_open(opt->calib, m, opt, CHUNK, d);
	Sample s;
	bool good = set != 0;
	int64_t done = 0;
	r->all = set ? dataset_steps(set) : 0;
	while (good && done < r->w->steps && dataset_next(set, &s)) {
		good = collector_run(r->now, &s, d) && (!r->was || collector_run(r->was, &s, d));
		for (int i = 0; good && i < r->n; i++)
			for (int place = 0; place < MAX_PLACES; place++) {
				const float *any;
				if (collector_rows(r->now, r->at[i * MAX_PARTS], place, &any) < 0)
					break;
				(r->w->was ? take_diff : take_moments)(r, i, place);
			}
		done += s.steps;
	}
	dataset_close(set);
	return good;
}

bool moments_collect(Module *m, const Options *opt, Unit *const *u, int n, MomentsWanted w, Moments *to, Diag *d)
{
	Run r = {.w = &w, .u = u, .n = n, .to = to};
	r.at = mem_array((size_t)n * MAX_PARTS, sizeof *r.at);
	r.nsample = mem_array((size_t)n, sizeof *r.nsample);
	r.seen = mem_array((size_t)n, sizeof *r.seen);
	r.sample = mem_array((size_t)n, sizeof *r.sample);
	for (int i = 0; i < n; i++)
		if (w.samples && u[i]->classes && u[i]->n == 1)
			r.sample[i] = mem_array((size_t)w.samples * (size_t)u[i]->K, sizeof(float));
	choose_probes(&r);
	r.now = collector_open(m, opt, r.probe, r.nprobe, d);
	r.was = r.now && w.was ? collector_open(w.was, opt, r.probe, r.nprobe, d) : 0;
	bool good = r.now && (r.was || !w.was) && run_all(&r, m, opt, d);
	for (int i = 0; good && i < n; i++) {
		if (to[i].H)
			mirror(to[i].H, u[i]->K);
		if (r.nsample[i])
			classes_measure(u[i], r.sample[i], r.nsample[i], &to[i]);
	}
	collector_close(r.now);
	collector_close(r.was);
	for (int i = 0; i < n; i++)
		free(r.sample[i]);
	free(r.at), free(r.nsample), free(r.seen), free(r.sample), free(r.probe), free(r.v);
	return good;
}

/* ---- rows of tables ------------------------------------------------------------------------------------------ */

static void count_tensor(const Tensor *t, double *weight, int rows)
{
	for (int64_t i = 0; t && i < t->count; i++) {
		double x = tensor_get(t, i);
		x = x < 0 ? x + rows : x;
		if (x >= 0 && x < rows)
			weight[(int)x]++;
	}
}

bool moments_count_rows(Module *m, const Options *opt, Unit *const *u, int n, Moments *to, Diag *d)
{
	int *port = mem_array((size_t)n, sizeof *port);
	bool any = false;
	for (int i = 0; i < n; i++) {
		port[i] = u[i]->table ? units_port(m, u[i]->func, u[i]->op[0]->in[1]) : -1;
		if (port[i] >= 0)
			to[i].weight = mem_array((size_t)u[i]->M, sizeof(double));
		any |= port[i] >= 0;
	}
	Dataset *set = any ? dataset_open(opt->calib, m, opt, CHUNK, d) : 0;
	Sample s;
	while (set && dataset_next(set, &s))
		for (int i = 0; i < n; i++)
			if (port[i] >= 0)
				count_tensor(s.in[port[i]], to[i].weight, u[i]->M);
	dataset_close(set);
	free(port);
	return set || !any;
}

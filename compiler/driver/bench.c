/* bench.c: `gatefold bench MODEL`: microseconds a step, for each body that this machine can run.
 *
 * Time is the thread's own (CLOCK_THREAD_CPUTIME_ID), in many short windows; the least and the median of them are
 * told.  The least is what the code can do, their distance is the machine's noise. */
#include "data/runner.h"
#include "data/states.h"
#include "driver/driver.h"
#include "passes/passes.h"
#include "util/json.h"
#include "util/mem.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { WINDOWS = 40, SEQUENCE = 64, MAX_BODIES = 16 };
static const double WINDOW_SECONDS = 3e-3;

typedef struct { const char *body; double least, median; } Timing;      /* microseconds a step */

typedef struct {
	Exec *e;
	const void **in;
	void **out;
	int32_t steps;          /* of one call; 0: exec_step */
} Job;

static double cpu_seconds(void)
{
	struct timespec t;
	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* Anything but zeros and denormals: small integers, floats in [-1, 1). Indices are 0. */
static void fill(const Type *t, void *p, int64_t n, uint32_t seed)
{
	bool plain = !t->quant && t->elem != E_f32;
	for (int64_t i = 0; i < n && !plain; i++) {
		seed = seed * 1664525u + 1013904223u;
		int32_t v = (int32_t)(seed >> 24) - 128;
		if (t->elem == E_f32)
			((float *)p)[i] = (float)v / 128;
		else if (elem_size(t->elem) == 1)
			((int8_t *)p)[i] = (int8_t)v;
		else if (elem_size(t->elem) == 2)
			((int16_t *)p)[i] = (int16_t)(v * 64);
		else
			((int32_t *)p)[i] = v;
	}
}

static void **buffers(const Port *p, int32_t steps, uint64_t seed, bool filled)
{
	void **b = mem_array((size_t)nports(p) + 1, sizeof *b);
	for (int i = 0; p; p = p->next, i++) {
		size_t n = ((size_t)type_size(p->type, steps) + 64) / 64 * 64;
		b[i] = aligned_alloc(64, n);
		if (!b[i])
			abort();
		memset(b[i], 0, n);
		if (filled)
			fill(p->type, b[i], type_count(p->type, steps), (uint32_t)seed + (uint32_t)i);
	}
	return b;
}

static void free_buffers(void **b, int n)
{
	for (int i = 0; i < n; i++)
		free(b[i]);
	free(b);
}

static int32_t call(const Job *j, int n)
{
	int32_t status = 0;
	for (int i = 0; i < n; i++)
		status |= j->steps ? exec_run(j->e, j->in, j->out, j->steps) : exec_step(j->e, j->in, j->out);
	return status;
}

static int by_size(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;
	return (x > y) - (x < y);
}

static Timing measure(const Job *j)
{
	double window[WINDOWS], start;
	int n = 1, steps = j->steps ? j->steps : 1;
	for (;; n *= 2) {
		start = cpu_seconds();
		call(j, n);
		if (cpu_seconds() - start > WINDOW_SECONDS / 2)
			break;
	}
	for (int i = 0; i < WINDOWS; i++) {
		start = cpu_seconds();
		call(j, n);
		window[i] = 1e6 * (cpu_seconds() - start) / n / steps;
	}
	qsort(window, WINDOWS, sizeof *window, by_size);
	return (Timing){exec_body(j->e), window[0], window[WINDOWS / 2]};
}

/* false: this machine lacks the body's instructions */
static bool bench_body(const Command *c, const Module *m, const char *kind, const char *body, Timing *t)
{
	char err[512];
	Job j = {.e = exec_open(m, kind, body, err, sizeof err)};
	if (!j.e) {
		fprintf(stderr, "note: %s: skipped: %s\n", body ? body : kind, err);
		return false;
	}
	int32_t per_call = takes_any_steps(m) ? SEQUENCE : 1;
	j.steps = exec_has_step(j.e) ? 0 : per_call;
	j.in = (const void **)buffers(m->in, j.steps ? j.steps : 1, c->opt.seed, true);
	j.out = buffers(m->out, j.steps ? j.steps : 1, 0, false);
	exec_reset(j.e);
	bool good = call(&j, 1) >= 0;
	if (good) {
		*t = measure(&j);
		t->body = body ? body : kind;
	}
	free_buffers((void **)j.in, nports(m->in));
	free_buffers(j.out, nports(m->out));
	exec_close(j.e);
	return good;
}

static void print(const Command *c, const Module *m, const char *kind, const Timing *t, int n)
{
	int best = 0;
	for (int i = 1; i < n; i++)
		if (t[i].least < t[best].least)
			best = i;
	if (!c->opt.json) {
		printf("%-12s %14s %14s\n", "body", "us/step least", "median");
		for (int i = 0; i < n; i++)
			printf("%-12s %14.3f %14.3f%s\n", t[i].body, t[i].least, t[i].median, i == best && n > 1 ? "  best" : "");
		return;
	}
	cJSON *j = cJSON_CreateObject();
	cJSON_AddStringToObject(j, "model", c->arg[0]);
	cJSON_AddStringToObject(j, "exec", kind);
	cJSON_AddNumberToObject(j, "us_per_step", t[best].least);
	cJSON_AddNumberToObject(j, "us_per_step_median", t[best].median);
	cJSON_AddStringToObject(j, "body", t[best].body);
	cJSON_AddNumberToObject(j, "bytes_total", (double)portable_bytes(m));
	cJSON *list = cJSON_AddArrayToObject(j, "bodies");
	for (int i = 0; i < n; i++) {
		cJSON *row = cJSON_CreateObject();
		cJSON_AddStringToObject(row, "body", t[i].body);
		cJSON_AddNumberToObject(row, "us_per_step", t[i].least);
		cJSON_AddNumberToObject(row, "us_per_step_median", t[i].median);
		cJSON_AddItemToArray(list, row);
	}
	json_finish(j);
}

int command_bench(const Command *c, Diag *d)
{
	Module *m = model_read(c->arg[0], &c->opt, d);
	if (!m || !passes_run(m, &c->opt, 0, d)) {
		if (m)
			module_free(m);
		return EXIT_REFUSED;
	}
	const char *kind = c->opt.exec ? c->opt.exec : exec_available("jit") ? "jit" : "c";
	bool many = !strcmp(kind, "jit") && m->nbody > 0;
	Timing t[MAX_BODIES];
	int n = 0;
	for (int i = 0; i < (many ? m->nbody : 1) && n < MAX_BODIES; i++) {
		const char *body = many ? m->body[i] : c->opt.body;
		if (!c->opt.body || !body || !strcmp(body, c->opt.body))
			n += bench_body(c, m, kind, body, &t[n]);
	}
	if (n)
		print(c, m, kind, t, n);
	else
		diag_error(d, "there is nothing here that can run the model%s%s", c->opt.body ? " with --body " : "",
		           c->opt.body ? c->opt.body : "");
	module_free(m);
	return n ? EXIT_DONE : EXIT_REFUSED;
}

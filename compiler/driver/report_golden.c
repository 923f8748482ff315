/* report_golden.c: golden vectors: a few steps of calibration data through the integer model, all values
 * of the last one. */
#include "data/runner.h"
#include "driver/report.h"
#include "passes/tap.h"
#include "util/json.h"
#include "util/mem.h"

#include <string.h>

enum { STEPS = 8, BATCH = 100 };

typedef struct {
	Module *m;
	const Options *opt;
	const char *dir;
	cJSON *inputs, *outputs, *values;
	int32_t steps;
	Diag *d;
} Golden;

/* One list entry and its file.  From `stored`, skip `first` elements and take `count`. */
static void vector(Golden *g, cJSON *list, const char *prefix, int number, const char *name, const Type *t,
                   const uint8_t *stored,
                   int64_t first, int64_t count)
{
	char *file = *prefix ? text_new("%s%d_%s", prefix, number, name) : text_copy(name), *path;
	for (char *p = file; *p; p++)           /* ports have any names; inner values are identifiers */
		if (!strchr("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-", *p))
			*p = '_';
	path = report_path("golden", file);
	cJSON *j = cJSON_CreateObject();
	cJSON_AddStringToObject(j, "name", name);
	cJSON_AddItemToObject(j, "shape", report_shape(t));
	cJSON_AddItemToObject(j, "format", report_format(t));
	cJSON_AddStringToObject(j, "hex", path);
	cJSON_AddItemToArray(list, j);
	report_hex(g->dir, "golden", file, t, stored + first * elem_size(t->elem), count, g->d);
	free(file), free(path);
}

static const Port *port_at(const Port *p, int i)
{
	while (i--)
		p = p->next;
	return p;
}

static int input_of(const Module *m, const Tap *t)
{
	for (int i = 0; i < t->func->nparam; i++)
		if (!t->val->def && t->func->param[i] == t->val && !strcmp(t->func->name, "main"))
			return i;
	(void)m;
	return -1;
}

static void tap_vector(Golden *g, Runner *r, const Tap *t)
{
	size_t bytes;
	const uint8_t *stored = runner_raw(r, t->port, &bytes);
	const Type *type = t->val->type;
	int64_t n = type_count(type, g->steps), first = 0;
	int in = input_of(g->m, t);
	if (t->stepped)
		first = (int64_t)(bytes / (size_t)elem_size(type->elem)) - n;
	if (in >= 0)
		vector(g, g->inputs, "in", in, port_at(g->m->in, in)->name, type, stored, 0, n);
	else
		vector(g, g->values, "", 0, t->name, type, stored, first, n);
}

static bool one_batch(Golden *g, const char *const *names, int n, bool first, Sample *s)
{
	Tap *tap;
	int ntap;
	Module *copy = tap_module(g->m, names, n, &tap, &ntap);
	Runner *r = runner_open_as_is(copy, g->opt, g->d);
	bool good = r && runner_run(r, s, g->d);
	for (int i = 0; good && i < ntap; i++)
		tap_vector(g, r, &tap[i]);
	int out = 0;
	for (const Port *p = g->m->out; good && first && p; p = p->next, out++) {
		size_t bytes;
		const void *stored = runner_raw(r, out, &bytes);
		vector(g, g->outputs, "out", out, p->name, p->type, stored, 0, type_count(p->type, g->steps));
	}
	runner_close(r);
	module_free(copy);
	return good;
}

/* States as they are before the step, too. */
static const char **all_names(Module *m, int *n)
{
	int nstate = 0;
	const char **tapped = tapped_names(m, n);
	each_func(f, m)
		nstate += f->nstate;
	const char **names = NEWN(m->arena, const char *, *n + nstate + 1);
	memcpy(names, tapped, sizeof *names * (size_t)*n);
	each_func(f, m)
		for (int i = 0; i < f->nstate; i++)
			names[(*n)++] = arena_printf(m->arena, "%s.%s", f->name, f->state[i]->name);
	return names;
}

void report_golden(Module *m, const Options *opt, cJSON *to, const char *dir, Diag *d)
{
	Sample s;
	Dataset *set = dataset_open(opt->calib, m, opt, STEPS, d);
	if (!set)
		return;
	if (!dataset_next(set, &s)) {
		diag_error(d, "the calibration data hold no sample");
		dataset_close(set);
		return;
	}
	cJSON *j = cJSON_AddObjectToObject(to, "golden");
	Golden g = {m, opt, dir, cJSON_AddArrayToObject(j, "inputs"), cJSON_AddArrayToObject(j, "outputs"),
	            cJSON_AddArrayToObject(j, "values"), s.steps, d};
	cJSON_AddNumberToObject(j, "steps", s.steps);
	int n;
	const char **names = all_names(m, &n);
	for (int i = 0; i < n; i += BATCH)
		if (!one_batch(&g, names + i, n - i < BATCH ? n - i : BATCH, !i, &s))
			break;
	dataset_close(set);
}

/* observe.c: run calibration data through the float model and write on each value the range it took.
 *
 * A copy of the module gets, in each function, one more state `%obs f32[K,2]` of least and greatest values
 * and behind each value worth knowing an `observe %obs, %v, at=k`.  The copy is lowered and run like any
 * model; the states come back as `range=[lo, hi]` on the values of the original.  The ranges are text: they
 * can be read, edited and replayed, and quantize asks for nothing else.
 *
 * Another statistic is another op with a wider row (a histogram); collecting, merging over the places a function is called from,
 * and writing back stay as they are here.  Second moments, for rounding, are collected later (collect.c). */
#include <float.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "data/dataset.h"
#include "data/runner.h"
#include "passes/collect.h"
#include "passes/passes.h"
#include "passes/quantize.h"
#include "util/progress.h"

enum { CHUNK = 256 };           /* steps of a stream handed out at once */

/* What one function's state collects: row i belongs to val[i]. */
typedef struct { Func *func; Val **val; float *row; int n; } Watch;

/* ---- what is worth knowing --------------------------------------------------------------------------- */

/* Op results whose range does not follow from the op or from where they come from.  Of a function's
 * parameters and states only @main's parameters: the others receive values observed elsewhere. */
static bool is_watched(const Op *o)
{
	double lo, hi;
	switch (o->kind) {
	case O_reshape: case O_transpose: case O_slice: case O_expand: case O_scan: case O_call: case O_pick:
		return false;
	default:
		return !sure_range(o, &lo, &hi);
	}
}

static void watch(Module *m, Watch *w, Val *v)
{
	if (!is_f32(v))
		return;
	if (w->n % 16 == 0)
		w->val = memcpy(NEWN(m->arena, Val *, w->n + 16), w->val ? w->val : (Val *[1]){0},
		                sizeof(Val *) * (size_t)w->n);
	w->val[w->n++] = v;
}

static Watch watch_func(Module *m, Func *f)
{
	Watch w = {.func = f};
	for (int i = 0; i < f->nparam && !strcmp(f->name, "main"); i++)
		watch(m, &w, f->param[i]);
	each_op(o, &f->body)
		for (int i = 0; i < o->nout && is_watched(o); i++)
			watch(m, &w, o->out[i]);
	w.row = NEWN(m->arena, float, 2 * w.n);
	for (int i = 0; i < w.n; i++)
		w.row[2 * i] = FLT_MAX, w.row[2 * i + 1] = -FLT_MAX;
	return w;
}

static bool lacks_ranges(const Watch *w)
{
	for (int i = 0; i < w->n; i++)
		if (!w->val[i]->ranged)
			return true;
	return false;
}

/* ---- the instrumented copy ----------------------------------------------------------------------------- */

/* w tells how f, of the copy, is to be watched: the copy's values are found by their place in it. */
static void instrument(Module *copy, Func *f, const Watch *w)
{
	if (!w->n)
		return;
	const Type *t = type_tensor(copy, E_f32, 2, (const int32_t[]){w->n, 2});
	Data *init = data_new(copy, "obs", t);
	memcpy(init->bytes, w->row, init->size);
	Watch here = watch_func(copy, f);
	Val *obs = func_state(copy, f, "obs", t, init);
	for (int i = 0; i < here.n; i++) {
		Op *def = here.val[i]->def, *at = def ? def->next : f->body.first;
		Op *o = op_before(copy, &f->body, at, O_observe, 2, (Val *[]){obs, here.val[i]});
		attr_set_int(copy, o, "at", i);
	}
}

/* ---- running ------------------------------------------------------------------------------------------- */

/* Slots of a function's state: "step.obs", and "step.obs_1" for the second place it is called from. */
static bool is_slot_of(const char *slot, const char *func)
{
	size_t n = strlen(func);
	return !strncmp(slot, func, n) && !strncmp(slot + n, ".obs", 4) && (!slot[n + 4] || slot[n + 4] == '_');
}

/* Take what the states hold now; a reset would lose it. */
static void merge(Runner *r, Watch *w)
{
	for (const Slot *s = runner_module(r)->slots; s; s = s->next) {
		const Type *t;
		const float *row = is_slot_of(s->name, w->func->name) ? runner_slot(r, s->name, &t) : 0;
		if (!row || type_count(t, 1) != 2 * w->n)
			continue;
		for (int i = 0; i < w->n; i++) {
			w->row[2 * i] = fminf(w->row[2 * i], row[2 * i]);
			w->row[2 * i + 1] = fmaxf(w->row[2 * i + 1], row[2 * i + 1]);
		}
	}
}

static bool run_all(Runner *r, Dataset *set, Watch *w, int n, int64_t steps, Diag *d)
{
	Sample s;
	int64_t done = 0, all = steps < dataset_steps(set) ? steps : dataset_steps(set);
	Progress told = progress_start();
	bool good = true, any = false;
	while (good && done < steps && dataset_next(set, &s)) {
		for (int i = 0; s.fresh && any && i < n; i++)
			merge(r, &w[i]);
		good = runner_run(r, &s, d);
		any = true;
		done += s.steps;
		progress_tell(&told, "calibrating", done < all ? (double)done / (double)all : 1);
	}
	for (int i = 0; i < n && any; i++)
		merge(r, &w[i]);
	progress_end(&told);
	if (good && !any)
		diag_error(d, "the calibration data hold no sample");
	return good && any;
}

static bool calibrate(Module *m, const Options *opt, Watch *w, int n, Diag *d)
{
	Module *copy = module_clone(m);
	for (int i = 0; i < n; i++)
		instrument(copy, func_find(copy, w[i].func->name), &w[i]);
	Options plain = *opt;
	plain.integer = false;
	plain.calib = 0;
	Runner *r = runner_open(copy, &plain, d);
	Dataset *set = r ? dataset_open(opt->calib, m, opt, CHUNK, d) : 0;
	bool good = set && run_all(r, set, w, n, calibration_steps(m, opt), d);
	if (set)
		dataset_close(set);
	if (r)
		runner_close(r);
	module_free(copy);
	return good;
}

/* Rows that nothing widened belong to code the data never reached: no range. */
static void write_ranges(const Watch *w)
{
	for (int i = 0; i < w->n; i++) {
		float lo = w->row[2 * i], hi = w->row[2 * i + 1];
		if (w->val[i]->ranged || lo > hi)
			continue;
		w->val[i]->ranged = true;
		w->val[i]->lo = lo;
		w->val[i]->hi = hi;
	}
}

bool pass_observe(Module *m, const Options *opt, Diag *d)
{
	if (!opt->calib || !opt->integer || module_is_quantized(m))
		return true;
	int n = 0;
	bool lacking = false;
	each_func(f, m)
		n++;
	Watch *w = NEWN(m->arena, Watch, n);
	n = 0;
	each_func(f, m) {
		w[n] = watch_func(m, f);
		lacking |= lacks_ranges(&w[n++]);
	}
	if (!lacking)
		return true;
	if (!calibrate(m, opt, w, n, d))
		return false;
	for (int i = 0; i < n; i++)
		write_ranges(&w[i]);
	return true;
}

/* eval.c: `gatefold eval MODEL --data TEST.npz --metric M`: the float and the fixed-point model side by side. */
#include "data/runner.h"
#include "data/states.h"
#include "driver/eval.h"
#include "passes/passes.h"
#include "util/json.h"
#include "util/mem.h"
#include "util/progress.h"

#include <string.h>
#include <unistd.h>

enum {
	CHUNK = 64,             /* steps of a stream at a time */
	PROBE = 8,              /* steps that tell whether a stream may be cut */
};

/* The index of output --port, by default the first. */
static int scored_output(const Command *c, const Module *m, Diag *d)
{
	int i = 0;
	if (!c->port)
		return 0;
	for (const Port *p = m->out; p; p = p->next, i++)
		if (!strcmp(p->name, c->port))
			return i;
	diag_error(d, "--port %s: the model has no such output", c->port);
	return -1;
}

/* The first PROBE steps of the data in pieces of `chunk`: the scored output of the last piece. */
static Tensor *probe(Runner *r, Dataset *s, int out, int32_t chunk, Diag *d)
{
	Sample sample;
	Tensor *t = 0;
	dataset_chunk(s, chunk);
	for (int32_t done = 0; done < PROBE && dataset_next(s, &sample) && runner_run(r, &sample, d);
	     done += sample.steps) {
		tensor_free(t);
		t = tensor_copy(runner_output(r, out));
	}
	return t;
}

/* May one sequence be run in pieces?  A streaming model says so.  Others carry on only through their state
 * inputs, which would be wrong if a layer looks ahead: so that is tried on the data. */
static bool may_cut(Runner *r, Dataset *s, int out, Diag *d)
{
	if (exec_has_step(runner_exec(r)))
		return true;
	Tensor *whole = probe(r, s, out, PROBE, d), *half = probe(r, s, out, PROBE / 2, d);
	bool same = whole && half && half->count <= whole->count;
	for (int64_t i = 0; same && i < half->count; i++) {
		double a = tensor_get(whole, whole->count - half->count + i), b = tensor_get(half, i);
		same = a == b || (a - b < 1e-5 && b - a < 1e-5);
	}
	tensor_free(whole);
	tensor_free(half);
	return same;
}

static void progress(const char *what, int64_t done, int64_t all, double start, double *told)
{
	if (!isatty(STDERR_FILENO) || clock_seconds() - *told < 0.5)
		return;
	*told = clock_seconds();
	fprintf(stderr, "\r%s: %lld of %lld steps (%d %%), %.0f s left   ", what, (long long)done, (long long)all,
	        (int)(100.0 * (double)done / (double)all), (*told - start) * (double)(all - done) / (double)done);
}

static bool score(const Command *c, Runner *r, Dataset *s, int out, const char *what, Result *res, Diag *d)
{
	double start = clock_seconds(), told = start;
	Sample sample;
	int64_t done = 0, all = dataset_steps(s);
	if (c->limit && dataset_sequences(s) == 1 && c->limit < all)
		all = c->limit;
	dataset_chunk(s, 0);
	if (dataset_sequences(s) == 1 && dataset_steps(s) > CHUNK)
		dataset_chunk(s, may_cut(r, s, out, d) ? CHUNK : 0);
	while (dataset_next(s, &sample)) {
		if (!runner_run(r, &sample, d))
			return false;
		if (sample.nlabel && !metric_add(&res->metric, runner_output(r, out), sample.label, sample.nlabel, d))
			return false;
		done += sample.steps;
		progress(what, done, all, start, &told);
		if (c->limit && res->metric.n >= c->limit)
			break;
	}
	if (told != start)
		fputs("\r\033[K", stderr);
	res->samples = res->metric.n;
	res->seconds = clock_seconds() - start;
	const Module *lowered = runner_module(r);
	res->bytes = portable_bytes(lowered);
	res->ram = (int64_t)lowered->state_size + lowered->scratch_size + lowered->scratch_step;
	return true;
}

bool eval_one(const Command *c, const Module *m, bool integer, Result *res, Diag *d)
{
	Options opt = c->opt;
	opt.integer = integer;
	int out = scored_output(c, m, d);
	Runner *r = out < 0 ? 0 : runner_open(m, &opt, d);
	Dataset *s = r ? dataset_open(c->data, m, &opt, 0, d) : 0;
	bool good = s != 0;
	if (good && !dataset_has_labels(s)) {
		diag_error(d, "%s: there is no array 'labels'", c->data);
		good = false;
	}
	res->metric.kind = metric_kind(c->metric);
	res->metric.probabilities = good && gives_probabilities(m, out);
	good = good && score(c, r, s, out, integer ? "fixed" : "float", res, d);
	dataset_close(s);
	runner_close(r);
	return good;
}

/* Both models on the same samples, in step.  Seconds are of both. */
static bool compare(const Command *c, Runner *flt, Runner *fixed, Dataset *s, int out, Result *res, Diag *d)
{
	double start = clock_seconds(), told = start;
	Sample sample;
	int64_t done = 0;
	bool one = dataset_sequences(s) == 1;
	dataset_chunk(s, 0);
	if (one && dataset_steps(s) > CHUNK)
		dataset_chunk(s, may_cut(flt, s, out, d) ? CHUNK : 0);
	while (dataset_next(s, &sample) && !(c->limit && res->metric.n >= c->limit)) {
		if (!runner_run(flt, &sample, d) || !runner_run(fixed, &sample, d) ||
		    !metric_compare(&res->metric, runner_output(flt, out), runner_output(fixed, out), d))
			return false;
		res->metric.n += one ? sample.steps : sample.last;
		done += sample.steps;
		progress("comparing", done, dataset_steps(s), start, &told);
	}
	if (told != start)
		fputs("\r\033[K", stderr);
	res->samples = res->metric.n;
	res->seconds = clock_seconds() - start;
	return true;
}

static bool eval_snr(const Command *c, const Module *m, Result *flt, Result *fixed, Diag *d)
{
	Options opt = c->opt;
	int out = scored_output(c, m, d);
	if (module_is_quantized(m) || !opt.integer)
		diag_error(d, "--metric snr compares the float model with its fixed-point form: give a float model, and --calib");
	if (out < 0 || diag_errors(d))
		return false;
	Runner *b = runner_open(m, &opt, d);
	opt.integer = false;
	Runner *a = b ? runner_open(m, &opt, d) : 0;
	Dataset *s = a ? dataset_open(c->data, m, &opt, 0, d) : 0;
	fixed->metric.kind = SNR;
	bool good = s && compare(c, a, b, s, out, fixed, d);
	if (good) {
		flt->bytes = portable_bytes(runner_module(a));
		fixed->bytes = portable_bytes(runner_module(b));
	}
	dataset_close(s);
	runner_close(a);
	runner_close(b);
	return good;
}

static void print_json(const Command *c, const Module *m, const Result *flt, const Result *fixed, bool has_float,
                       bool has_fixed)
{
	const Result *any = has_fixed ? fixed : flt;
	cJSON *j = cJSON_CreateObject();
	cJSON_AddStringToObject(j, "model", c->arg[0]);
	cJSON_AddStringToObject(j, "metric", c->metric);
	if (has_float)
		json_number(j, "metric_float", metric_value(&flt->metric));
	if (has_fixed)
		json_number(j, "metric_fixed", metric_value(&fixed->metric));
	cJSON_AddNumberToObject(j, "bytes_total", (double)any->bytes);
	if (has_float)
		cJSON_AddNumberToObject(j, "bytes_float", (double)flt->bytes);
	cJSON_AddNumberToObject(j, "parameters", (double)count_parameters(m));
	cJSON_AddNumberToObject(j, "samples", (double)any->samples);
	json_number(j, "seconds", flt->seconds + fixed->seconds);
	json_finish(j);
}

static void print_text(const Command *c, const Module *m, const Result *flt, const Result *fixed, bool has_float,
                       bool has_fixed)
{
	printf("%s, %lld parameters, %lld samples\n", c->arg[0], (long long)count_parameters(m),
	       (long long)(has_fixed ? fixed : flt)->samples);
	printf("%-7s %14s %12s %9s\n", "", c->metric, "bytes", "seconds");
	if (has_float)
		printf("%-7s %14.6g %12lld %9.1f\n", "float", metric_value(&flt->metric), (long long)flt->bytes, flt->seconds);
	if (has_fixed)
		printf("%-7s %14.6g %12lld %9.1f\n", "fixed", metric_value(&fixed->metric), (long long)fixed->bytes,
		       fixed->seconds);
}

int command_eval(const Command *c, Diag *d)
{
	if (!c->data) {
		diag_error(d, "say what to score on: --data FILE.npz with arrays named like the inputs, and 'labels'");
		return EXIT_REFUSED;
	}
	Module *m = model_read(c->arg[0], &c->opt, d);
	if (!m)
		return EXIT_REFUSED;
	Result flt = {0}, fixed = {0};
	bool is_fixed = module_is_quantized(m);
	bool snr = metric_kind(c->metric) == SNR;
	bool has_float = !is_fixed && !snr, has_fixed = is_fixed || c->opt.integer || snr, good;
	if (snr)
		good = eval_snr(c, m, &flt, &fixed, d);
	else
		good = (!has_float || eval_one(c, m, false, &flt, d)) && (!has_fixed || eval_one(c, m, true, &fixed, d));
	if (good)
		(c->opt.json ? print_json : print_text)(c, m, &flt, &fixed, has_float, has_fixed);
	module_free(m);
	return good ? EXIT_DONE : EXIT_REFUSED;
}

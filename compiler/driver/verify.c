/* verify.c: `gatefold verify FOLDER...`: reference outputs against ours.
 *
 * A folder has model.onnx and test_data_set_0, _1, ...  For each data set the model's symbolic dimensions are
 * fixed to the shapes in it, the model is imported and run with each executor asked for, and every output is
 * compared.  An integer on which a branch depends that cannot be computed both ways is bound to its value in the data
 * set, as --set would, and the output says so.  A folder passes when all of that is right, fails when anything is wrong, and is refused when a data
 * set could not be run and nothing was wrong. */
#include "data/runner.h"
#include "data/states.h"
#include "driver/compare.h"
#include "driver/verify.h"
#include "onnx/onnx.h"
#include "util/file.h"
#include "util/mem.h"

#include <dirent.h>
#include <stdlib.h>
#include <string.h>

static const char *const all_kinds[] = {"interp", "jit", "c"};

/* ---- what is printed --------------------------------------------------------------------------- */

static void report(Verify *v, const Port *p, const char *kind, const Comparison *c, bool same)
{
	bool wrong = !c->shape || !same || (!v->c->opt.integer && !c->close);
	const char *verdict = !c->shape ? "FAIL: the shape differs" : !same ? "FAIL: the executors differ" :
	                      wrong ? "FAIL" : "ok";
	v->folder_failed |= wrong;
	v->outputs++;
	if (v->json) {
		cJSON *row = cJSON_CreateObject();
		cJSON_AddStringToObject(row, "model", v->folder);
		cJSON_AddStringToObject(row, "set", v->set);
		cJSON_AddStringToObject(row, "output", p->name);
		cJSON_AddStringToObject(row, "exec", kind);
		json_number(row, "max_error", c->max_error);
		json_number(row, "snr_db", c->snr_db);
		cJSON_AddBoolToObject(row, "ok", !wrong);
		if (v->bound)
			cJSON_AddStringToObject(row, "bound", v->bound);
		cJSON_AddItemToArray(v->rows, row);
		return;
	}
	printf("%s %s %s %s: ", v->folder, v->set, p->name, kind);
	if (v->c->opt.integer)
		printf("snr %.1f dB, ", c->snr_db);
	printf("max error %.3g %s", c->max_error, verdict);
	if (v->bound)
		printf(" (with --set %s)", v->bound);
	printf("\n");
}

static char *diag_text(const Diag *d)
{
	char *text = 0;
	size_t n = 0;
	FILE *f = open_memstream(&text, &n);
	diag_print(d, f);
	fclose(f);
	return text;
}

static void refused(Verify *v, const Diag *d)
{
	v->folder_refused = true;
	v->folder_failed |= diag_bugs(d) > 0;
	char *text = diag_text(d);
	bool again = v->reason && !strcmp(v->reason, text);     /* every data set finds the same fault */
	if (v->json && !again) {
		cJSON *row = cJSON_CreateObject();
		cJSON_AddStringToObject(row, "model", v->folder);
		cJSON_AddStringToObject(row, "set", v->set);
		cJSON_AddStringToObject(row, "refused", text);
		cJSON_AddItemToArray(v->rows, row);
	} else if (!again) {
		printf("%s %s: refused\n", v->folder, v->set);
		for (const char *line = text; *line; line += strcspn(line, "\n") + 1)
			printf("    %.*s\n", (int)strcspn(line, "\n"), line);
	}
	free(v->reason);
	v->reason = text;
}

/* ---- one data set -------------------------------------------------------------------------------- */

/* The symbols that import makes T: for --open-time these are not fixed. */
static void open_symbols(const char *model, const Options *opt, OnnxInput *in, int n)
{
	Diag *d = diag_new();
	Module *m = import_onnx(model, opt, d);
	int i = 0;
	for (const Port *p = m ? m->in : 0; p && i < n; p = p->next, i++)
		for (int k = 0; k < p->type->rank && k < in[i].rank; k++)
			if (p->type->dim[k] == DIM_T) {
				free(in[i].symbol[k]);
				in[i].symbol[k] = 0;
			}
	if (m)
		module_free(m);
	diag_free(d);
}

/* --dim for each symbolic dimension, from the shape of the input that has it. */
static bool fix_dims(Options *opt, const OnnxInput *in, int n, const char *set, Diag *d)
{
	for (int i = 0; i < n; i++) {
		char *file = text_new("%s/input_%d.pb", set, i);
		Tensor *t = is_file(file) ? read_tensor_pb(file, d) : 0;
		for (int k = 0; t && t->rank == in[i].rank && k < t->rank; k++) {
			if (!in[i].symbol[k])
				continue;
			opt->dim_name = mem_grow(opt->dim_name, sizeof *opt->dim_name * (size_t)(opt->ndim + 1));
			opt->dim_value = mem_grow(opt->dim_value, sizeof *opt->dim_value * (size_t)(opt->ndim + 1));
			opt->dim_name[opt->ndim] = in[i].symbol[k];
			opt->dim_value[opt->ndim++] = t->dim[k];
		}
		tensor_free(t);
		free(file);
	}
	return !diag_errors(d);
}

/* Run with one executor and compare.  `first`: what the first executor gave, to be equal byte for byte. */
static bool run_kind(Verify *v, const Module *m, const Options *base, const char *kind, Dataset *s, void **first,
                     Diag *d)
{
	Options opt = *base;
	opt.exec = kind;
	Sample sample;
	dataset_rewind(s);
	Runner *r = runner_open(m, &opt, d);
	bool good = r && dataset_next(s, &sample) && runner_run(r, &sample, d);
	const Port *p = m->out;
	for (int i = 0; good && p; p = p->next, i++) {
		const Tensor *ref = dataset_output(s, i);
		size_t n;
		const void *raw = runner_raw(r, i, &n);
		bool same = !first[i] || same_bytes(first[i], raw, n, p->type->elem == E_f32 && !v->c->opt.integer);
		if (!first[i])
			first[i] = memcpy(mem_new(n), raw, n);
		if (!ref)
			continue;
		Comparison c = compare(runner_output(r, i), ref, v->c->rtol, v->c->atol);
		report(v, p, kind, &c, same);
	}
	runner_close(r);
	return good;
}

static bool wanted(const Command *c, const char *kind)
{
	const char *list = c->opt.exec;
	if (!list)
		return !strcmp(kind, exec_available("jit") ? "jit" : "interp");
	if (strstr(list, "all"))
		return exec_available(kind);
	size_t n = strlen(kind);
	for (const char *p = list; (p = strstr(p, kind)); p += n)
		if ((p == list || p[-1] == ',') && (!p[n] || p[n] == ','))
			return true;
	return false;
}

/* Bind the inputs of one integer that the faults ask for.  false: there is none. */
static bool bind_inputs(Verify *v, Options *opt, const char *model, const char *set, const Diag *faults, Diag *d)
{
	int n = 0;
	OnnxInput *in = onnx_inputs(model, &n, d);
	if (in && v->c->open_time)
		open_symbols(model, &opt, in, n);
	char *text = diag_text(faults);
	for (int i = 0; i < n; i++) {
		char *hint = text_new("--set %s=", in[i].name), *file = text_new("%s/input_%d.pb", set, i);
		Tensor *t = strstr(text, hint) && is_file(file) ? read_tensor_pb(file, d) : 0;
		if (t && t->count == 1 && t->type != H_F32 && t->type != H_F64) {
			opt->set_name = mem_grow(opt->set_name, sizeof *opt->set_name * (size_t)(opt->nset + 1));
			opt->set_value = mem_grow(opt->set_value, sizeof *opt->set_value * (size_t)(opt->nset + 1));
			opt->set_name[opt->nset] = text_copy(in[i].name);
			opt->set_value[opt->nset] = text_new("%lld", (long long)tensor_get_int(t, 0));
			char *all = text_new("%s%s%s=%s", v->bound ? v->bound : "", v->bound ? "," : "", in[i].name,
			                     opt->set_value[opt->nset++]);
			free(v->bound);
			v->bound = all;
		}
		tensor_free(t);
		free(hint), free(file);
	}
	free(text);
	onnx_inputs_free(in, n);
	return v->bound != 0;
}

static Module *import_bound(Verify *v, Options *opt, const char *model, const char *set, Diag *d)
{
	Diag *first = diag_new();
	int given = opt->nset;
	Module *m = import_onnx(model, opt, first);
	bool again = !m && bind_inputs(v, opt, model, set, first, d);
	diag_free(first);
	if (m)
		return m;
	m = import_onnx(model, opt, d);
	if (!again || m)
		return m;
	for (int i = given; i < opt->nset; i++)         /* it did not help */
		free((char *)opt->set_name[i]), free((char *)opt->set_value[i]);
	opt->nset = given;
	return 0;
}

static bool run_set(Verify *v, Options *opt, const char *model, const char *set, Diag *d)
{
	Module *m = import_bound(v, opt, model, set, d);
	Dataset *s = m ? dataset_open(set, m, opt, 0, d) : 0;
	bool good = s != 0;
	if (s && !dataset_noutputs(s)) {
		diag_error(d, "%s: there are no output_N.pb of the model's outputs", set);
		good = false;
	}
	int nout = m ? nports(m->out) : 0;
	void **first = mem_array((size_t)nout, sizeof *first);
	for (size_t k = 0; good && k < sizeof all_kinds / sizeof *all_kinds; k++)
		if (wanted(v->c, all_kinds[k]))
			good = run_kind(v, m, opt, all_kinds[k], s, first, d);
	for (int i = 0; i < nout; i++)
		free(first[i]);
	free(first);
	dataset_close(s);
	if (m)
		module_free(m);
	return good;
}

static void verify_set(Verify *v, const char *model, const char *set)
{
	int n = 0;
	Diag *d = diag_new();
	Options opt = v->c->opt;
	opt.ndim = 0, opt.dim_name = 0, opt.dim_value = 0;
	for (int i = 0; i < v->c->opt.ndim; i++) {
		opt.dim_name = mem_grow(opt.dim_name, sizeof *opt.dim_name * (size_t)(i + 1));
		opt.dim_value = mem_grow(opt.dim_value, sizeof *opt.dim_value * (size_t)(i + 1));
		opt.dim_name[i] = v->c->opt.dim_name[i];
		opt.dim_value[i] = v->c->opt.dim_value[i];
	}
	opt.ndim = v->c->opt.ndim;
	int given = v->c->opt.nset;
	opt.set_name = mem_array((size_t)given + 1, sizeof *opt.set_name);
	opt.set_value = mem_array((size_t)given + 1, sizeof *opt.set_value);
	for (int i = 0; i < given; i++) {
		opt.set_name[i] = v->c->opt.set_name[i];
		opt.set_value[i] = v->c->opt.set_value[i];
	}
	opt.calib = set;
	v->set = path_base(set);
	OnnxInput *in = onnx_inputs(model, &n, d);
	if (in && v->c->open_time)
		open_symbols(model, &opt, in, n);
	if (!in || !fix_dims(&opt, in, n, set, d) || !run_set(v, &opt, model, set, d))
		refused(v, d);
	for (int i = given; i < opt.nset; i++)
		free((char *)opt.set_name[i]), free((char *)opt.set_value[i]);
	free(opt.set_name), free(opt.set_value), free(opt.dim_name), free(opt.dim_value);
	free(v->bound);
	v->bound = 0;
	onnx_inputs_free(in, n);
	diag_free(d);
}

/* ---- folders ---------------------------------------------------------------------------------------- */

static int is_set(const struct dirent *e)
{
	return !strncmp(e->d_name, "test_data_set_", 14);
}

static int is_visible(const struct dirent *e)
{
	return e->d_name[0] != '.';
}

static void verify_folder(Verify *v, const char *folder)
{
	char *model = text_new("%s/model.onnx", folder);
	struct dirent **set;
	int n = scandir(folder, &set, is_set, versionsort);
	v->folder = folder;
	v->folder_failed = v->folder_refused = false;
	for (int i = 0; i < n; i++) {
		char *path = text_new("%s/%s", folder, set[i]->d_name);
		verify_set(v, model, path);
		free(path);
		free(set[i]);
	}
	if (n >= 0)
		free(set);
	if (n <= 0) {
		Diag *d = diag_new();
		diag_error(d, "%s: there is no test_data_set_* in it", folder);
		v->set = "";
		refused(v, d);
		diag_free(d);
	}
	v->failed += v->folder_failed;
	v->refused += !v->folder_failed && v->folder_refused;
	v->passed += !v->folder_failed && !v->folder_refused;
	free(v->reason);
	v->reason = 0;
	free(model);
	fflush(stdout);
}

static bool has_model(const char *folder)
{
	char *model = text_new("%s/model.onnx", folder);
	bool has = is_file(model);
	free(model);
	return has;
}

/* A folder with a model, or one whose subfolders have models. */
static void verify_path(Verify *v, const char *path, Diag *d)
{
	struct dirent **sub = 0;
	if (has_model(path)) {
		verify_folder(v, path);
		return;
	}
	int n = scandir(path, &sub, is_visible, versionsort), found = 0;
	for (int i = 0; i < n; i++) {
		char *folder = text_new("%s/%s", path, sub[i]->d_name);
		if (has_model(folder)) {
			found++;
			verify_folder(v, folder);
		}
		free(folder);
		free(sub[i]);
	}
	free(sub);
	if (!found)
		diag_error(d, "%s: there is no model.onnx in it", path);
}

int command_verify(const Command *c, Diag *d)
{
	Verify v = {.c = c, .json = c->opt.json ? cJSON_CreateObject() : 0};
	if (v.json)
		v.rows = cJSON_AddArrayToObject(v.json, "results");
	for (int i = 0; i < c->narg; i++)
		verify_path(&v, c->arg[i], d);
	if (v.json) {
		cJSON_AddNumberToObject(v.json, "passed", v.passed);
		cJSON_AddNumberToObject(v.json, "failed", v.failed);
		cJSON_AddNumberToObject(v.json, "refused", v.refused);
		cJSON_AddNumberToObject(v.json, "outputs", v.outputs);
		json_finish(v.json);
	} else {
		printf("%d passed, %d failed, %d refused (models; %d outputs compared)\n", v.passed, v.failed, v.refused,
		       v.outputs);
	}
	return v.failed ? EXIT_WRONG : v.refused || diag_errors(d) ? EXIT_REFUSED : EXIT_DONE;
}

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
#include "util/file.h"
#include "util/mem.h"

#include <dirent.h>
#include <stdlib.h>
#include <string.h>

static const char *const all_kinds[] = {"interp", "jit", "c"};

/* ---- what is printed --------------------------------------------------------------------------- */

/* What compile takes to make the model that was run: the data set's --dim and --set. */
static void add_options(const Verify *v, cJSON *row)
{
	cJSON *list = cJSON_AddArrayToObject(row, "options");
	for (int i = 0; i < v->opt->ndim; i++) {
		char *text = text_new("--dim=%s=%lld", v->opt->dim_name[i], (long long)v->opt->dim_value[i]);
		cJSON_AddItemToArray(list, cJSON_CreateString(text));
		free(text);
	}
	for (int i = 0; i < v->opt->nset; i++) {
		char *text = text_new("--set=%s=%s", v->opt->set_name[i], v->opt->set_value[i]);
		cJSON_AddItemToArray(list, cJSON_CreateString(text));
		free(text);
	}
}

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
		add_options(v, row);
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

static bool run_set(Verify *v, const Module *m, const Options *opt, const char *set, Diag *d)
{
	Dataset *s = dataset_open(set, m, opt, 0, d);
	bool good = s != 0;
	if (s && !dataset_noutputs(s)) {
		diag_error(d, "%s: there are no output_N.pb of the model's outputs", set);
		good = false;
	}
	int nout = nports(m->out);
	void **first = mem_array((size_t)nout, sizeof *first);
	for (size_t k = 0; good && k < sizeof all_kinds / sizeof *all_kinds; k++)
		if (wanted(v->c, all_kinds[k]))
			good = run_kind(v, m, opt, all_kinds[k], s, first, d);
	for (int i = 0; i < nout; i++)
		free(first[i]);
	free(first);
	dataset_close(s);
	return good;
}

static void verify_set(Verify *v, const char *model, const char *set)
{
	Diag *d = diag_new();
	Options opt;
	v->set = path_base(set);
	v->opt = &opt;
	Module *m = import_for(v, &opt, model, set, d);
	if (!m || !run_set(v, m, &opt, set, d))
		refused(v, d);
	if (m)
		module_free(m);
	import_done(v, &opt);
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

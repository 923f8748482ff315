/* report.c: `compile --report DIR`. */
#include "driver/report.h"
#include "driver/driver.h"
#include "util/json.h"
#include "util/mem.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>

static bool make_folder(const char *dir, const char *name, Diag *d)
{
	char *path = *name ? text_new("%s/%s", dir, name) : text_copy(dir);
	bool good = !mkdir(path, 0777) || errno == EEXIST;
	if (!good)
		diag_error(d, "--report: %s: %s", path, strerror(errno));
	free(path);
	return good;
}

static void ports(const Port *p, const char *name, cJSON *to)
{
	cJSON *list = cJSON_AddArrayToObject(to, name);
	for (; p; p = p->next) {
		cJSON *j = cJSON_CreateObject();
		cJSON_AddStringToObject(j, "name", p->name);
		cJSON_AddItemToObject(j, "shape", report_shape(p->type));
		cJSON_AddItemToObject(j, "format", report_format(p->type));
		cJSON_AddItemToArray(list, j);
	}
}

/* The whole module as text: what the JSON calls "loops" is defined there. */
static void write_ir(const Module *m, const char *dir, Diag *d)
{
	char *path = text_new("%s/model.ir", dir);
	FILE *f = fopen(path, "w");
	if (f)
		module_print(m, f, 0, 0);
	if (!f || ferror(f) | fclose(f))
		diag_error(d, "--report: %s cannot be written", path);
	free(path);
}

/* Last, so that a report with a report.json is complete. */
static void write_json(const cJSON *j, const char *dir, Diag *d)
{
	char *path = text_new("%s/report.json", dir), *text = cJSON_Print(j);
	FILE *f = fopen(path, "w");
	if (f)
		fprintf(f, "%s\n", text);
	if (!f || ferror(f) | fclose(f))
		diag_error(d, "--report: %s cannot be written", path);
	free(path), free(text);
}

bool report_write(Module *m, const Options *opt, const char *dir, Diag *d)
{
	int before = diag_errors(d);
	if (!make_folder(dir, "", d) || !make_folder(dir, "data", d) || (opt->calib && !make_folder(dir, "golden",
	                                                                                            d)))
		return false;
	cJSON *j = cJSON_CreateObject();
	cJSON_AddStringToObject(j, "model", m->name);
	cJSON_AddStringToObject(j, "gatefold", GATEFOLD_VERSION);
	ports(m->in, "inputs", j);
	ports(m->out, "outputs", j);
	report_model(m, opt, j, dir, d);
	if (opt->calib && diag_errors(d) == before)
		report_golden(m, opt, j, dir, d);
	if (diag_errors(d) == before)
		write_ir(m, dir, d);
	if (diag_errors(d) == before)
		write_json(j, dir, d);
	cJSON_Delete(j);
	return diag_errors(d) == before;
}

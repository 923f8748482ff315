/* model.c: read a model; the suffix says how. */
#include "data/states.h"
#include "driver/driver.h"
#include "onnx/onnx.h"
#include "util/file.h"
#include "util/mem.h"

#include <stdlib.h>
#include <string.h>

static const size_t text_most = (size_t)1 << 30;        /* bytes of a .ir file */

static Module *read_ir(const char *path, const Options *opt, Diag *d)
{
	size_t n;
	char err[2048] = "";
	char *text = file_read(path, text_most, &n, d);
	if (!text)
		return 0;
	Module *m = module_parse(path, text, n, err, sizeof err);
	free(text);
	if (!m) {
		const char *fault = strstr(err, "error: ");     /* file:line:col: error: ... */
		if (fault)
			memmove(err + (fault - err), fault + 7, strlen(fault + 7) + 1);
		diag_error(d, "%s", err);
		return 0;
	}
	if (!module_verify(m, err, sizeof err)) {
		diag_error(d, "%s: %s", path, err);
		module_free(m);
		return 0;
	}
	if (opt->name)
		m->name = arena_strdup(m->arena, opt->name);
	return m;
}

static const struct {
	const char *suffix;
	Module *(*read)(const char *path, const Options *opt, Diag *d);
} readers[] = {
	{".onnx", import_onnx},
	{".ir", read_ir},
};

static Module *with_states(Module *m, const Options *opt, Diag *d)
{
	if (!m || states_of(m, opt, d))
		return m;
	module_free(m);
	return 0;
}

Module *model_read(const char *path, const Options *opt, Diag *d)
{
	const char *suffix = strcmp(path, "-") ? path_suffix(path) : ".ir";
	if (strcmp(path, "-") && !is_file(path)) {
		diag_error(d, "%s: %s", path, is_folder(path) ? "is a folder, not a model" : "there is no such file");
		return 0;
	}
	for (size_t i = 0; i < sizeof readers / sizeof *readers; i++)
		if (!strcmp(suffix, readers[i].suffix))
			return with_states(readers[i].read(path, opt, d), opt, d);
	diag_error(d, "%s: cannot tell what it is; models are .onnx or .ir files", path);
	return 0;
}

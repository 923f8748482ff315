/* model.c: read a model; the suffix says how. */
#include "data/states.h"
#include "driver/driver.h"
#include "onnx/onnx.h"
#include "util/file.h"
#include "util/mem.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

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

static double cpu_seconds(void)
{
	struct timespec t;
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* The most memory this process had so far, KiB; 0 where the system does not say.  (getrusage's figure would
 * hold that of the program that started us, too.) */
static long peak_kib(void)
{
	FILE *f = fopen("/proc/self/status", "r");
	char line[200];
	long kib = 0;
	while (f && fgets(line, sizeof line, f))
		if (sscanf(line, "VmHWM: %ld", &kib) == 1)
			break;
	if (f)
		fclose(f);
	return kib;
}

/* For --time-passes reading is the first pass: its processor time, and by how much the process grew. */
static Module *read_timed(Module *(*read)(const char *, const Options *, Diag *), const char *path,
                          const Options *opt, Diag *d)
{
	double start = cpu_seconds();
	long before = peak_kib();
	Module *m = read(path, opt, d);
	if (opt->time_passes)
		fprintf(stderr, "%-10s %9.3f ms %9.1f MB\n", "import", 1e3 * (cpu_seconds() - start),
		        1.024e-3 * (double)(peak_kib() - before));
	return m;
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
			return with_states(read_timed(readers[i].read, path, opt, d), opt, d);
	diag_error(d, "%s: cannot tell what it is; models are .onnx or .ir files", path);
	return 0;
}

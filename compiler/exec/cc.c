/* cc.c: run a module as the C that is emitted for it: written to a temporary folder, compiled by $CC or cc
 * into a shared object, loaded, and called through its gf_model as a program would. */
#include "exec/exec.h"

#include <dirent.h>
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "emit/c.h"
#include "gatefold.h"
#include "util/file.h"

/* Larger data stays in this process and is only pointed at: compilers take minutes and gigabytes for tens of
 * megabytes of numbers. */
enum { APART = 1 << 14 };

typedef struct {
	char folder[256];
	void *library;
	const gf_model *model;
} Cc;

static char *path_of(const Cc *x, const char *name, const char *suffix)
{
	char *s = 0;
	return asprintf(&s, "%s/%s%s", x->folder, name, suffix) < 0 ? 0 : s;
}

static bool write_file(const Cc *x, const Module *m, const char *suffix)
{
	EmitInfo info = { 0 };
	char *path = path_of(x, m->name, suffix);
	FILE *f = path ? fopen(path, "w") : 0;
	free(path);
	if (!f)
		return false;
	if (!strcmp(suffix, ".h"))
		emit_header(m, &info, f);
	else
		emit_c_apart(m, &info, APART, f);
	bool ok = !ferror(f);
	return !fclose(f) && ok;
}

/* The compiler's first complaint. */
static void first_line(const Cc *x, char *err, size_t nerr)
{
	char *path = path_of(x, "log", ""), line[300] = "";
	FILE *f = path ? fopen(path, "r") : 0;
	while (f && fgets(line, sizeof line, f) && !strstr(line, "error"))
		;
	line[strcspn(line, "\n")] = 0;
	snprintf(err, nerr, "the C compiler failed: %s", line[0] ? line : "is there a cc? ($CC names another)");
	if (f)
		fclose(f);
	free(path);
}

static bool compile(const Cc *x, const Module *m, char *err, size_t nerr)
{
	const char *cc = getenv("CC");
	char *command = 0;
	if (asprintf(&command, "{ cd '%s' && %s -std=c99 -O2 -w -shared -fPIC -I '%s' -o lib.so %s.c; } >'%s/log' 2>&1",
	             x->folder, cc && *cc ? cc : "cc", GATEFOLD_RUNTIME, m->name, x->folder) < 0)
		return false;
	int status = system(command);
	free(command);
	if (status == 0)
		return true;
	first_line(x, err, nerr);
	return false;
}

static void fill_apart(const Cc *x, const Module *m)
{
	const void **apart = dlsym(x->library, "gf_apart");
	if (apart)
		each_data(d, m)
			*apart++ = d->bytes;
}

static bool load(Cc *x, const Module *m, char *err, size_t nerr)
{
	char *path = path_of(x, "lib", ".so");
	x->library = path ? dlopen(path, RTLD_NOW | RTLD_LOCAL) : 0;
	free(path);
	x->model = x->library ? dlsym(x->library, m->name) : 0;
	if (!x->model) {
		const char *why = dlerror();
		snprintf(err, nerr, "the compiled C cannot be loaded: %s", why ? why : m->name);
		return false;
	}
	fill_apart(x, m);
	return true;
}

static void remove_folder(const Cc *x)
{
	DIR *d = opendir(x->folder);
	for (struct dirent *e; d && (e = readdir(d));) {
		char *path = path_of(x, e->d_name, "");
		if (path && e->d_name[0] != '.')
			unlink(path);
		free(path);
	}
	if (d)
		closedir(d);
	rmdir(x->folder);
}

static void cc_close(void *self)
{
	Cc *x = self;
	if (x->library)
		dlclose(x->library);
	free(x);
}

static bool make(Cc *x, const Module *m, char *err, size_t nerr)
{
	temporary_name(x->folder, sizeof x->folder);
	if (!mkdtemp(x->folder)) {
		snprintf(err, nerr, "cannot make a temporary folder");
		return false;
	}
	bool written = write_file(x, m, ".h") && write_file(x, m, ".c");
	if (!written)
		snprintf(err, nerr, "cannot write to %s", x->folder);
	bool ok = written && compile(x, m, err, nerr) && load(x, m, err, nerr);
	remove_folder(x);
	return ok;
}

static void *cc_open(const Module *m, const char *body, char *err, size_t nerr)
{
	if (body && strcmp(body, "portable")) {
		snprintf(err, nerr, "c: there is only the portable body in C, not '%s'", body);
		return 0;
	}
	Cc *x = calloc(1, sizeof *x);
	if (x && make(x, m, err, nerr))
		return x;
	if (x)
		cc_close(x);
	return 0;
}

static void cc_reset(void *self, uint8_t *state)
{
	((Cc *)self)->model->reset(state);
}

static int32_t cc_step(void *self, uint8_t *state, uint8_t *scratch, const void *const *in, void *const *out)
{
	return ((Cc *)self)->model->step(state, scratch, in, out);
}

static int32_t cc_run(void *self, uint8_t *state, uint8_t *scratch, const void *const *in, void *const *out,
                      int32_t steps)
{
	return ((Cc *)self)->model->run(state, scratch, in, out, steps);
}

static const char *cc_body(void *self)
{
	return ((Cc *)self)->model->body[0];
}

const ExecKind exec_c = {
	.name = "c",
	.open = cc_open,
	.reset = cc_reset,
	.step = cc_step,
	.run = cc_run,
	.body = cc_body,
	.close = cc_close,
};

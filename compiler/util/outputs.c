/* outputs.c: several files that appear together or not at all. */
#include "util/file.h"
#include "util/mem.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { MAX_OUTPUTS = 8 };

typedef struct {
	char *path, *part;      /* part: the temporary file; 0: straight to path (a device), or memory */
	FILE *f;
	char *text;             /* what goes to standard output */
	size_t n;
	bool moved;             /* from part to path */
} Output;

struct Outputs { Output o[MAX_OUTPUTS]; int n; };

Outputs *outputs_new(void)
{
	return mem_new(sizeof(Outputs));
}

/* A new file beside `path`, with the permissions it would have had. */
static FILE *open_part(Output *o)
{
	o->part = text_new("%s.XXXXXX", o->path);
	int fd = mkstemp(o->part);
	if (fd < 0)
		return 0;
	mode_t mask = umask(0);
	umask(mask);
	fchmod(fd, 0666 & ~mask);
	return fdopen(fd, "wb");
}

FILE *outputs_add(Outputs *os, const char *path, Diag *d)
{
	if (os->n == MAX_OUTPUTS) {
		diag_bug(d, "more than %d output files", MAX_OUTPUTS);
		return 0;
	}
	Output *o = &os->o[os->n];
	struct stat st;
	o->path = text_copy(path);
	bool exists = stat(path, &st) == 0;
	if (!strcmp(path, "-"))
		o->f = open_memstream(&o->text, &o->n);
	else if (exists && S_ISDIR(st.st_mode))
		errno = EISDIR;
	else if (exists && !S_ISREG(st.st_mode))
		o->f = fopen(path, "wb");
	else
		o->f = open_part(o);
	if (!o->f) {
		diag_error(d, "%s: cannot be written: %s", path, strerror(errno));
		free(o->path), free(o->part);
		memset(o, 0, sizeof *o);
		return 0;
	}
	os->n++;
	return o->f;
}

static bool finish(Output *o)
{
	bool good = !o->f || !ferror(o->f);
	if (o->f)
		good = fclose(o->f) == 0 && good;
	o->f = 0;
	return good;
}

static bool place(Output *o)
{
	if (o->part) {
		if (rename(o->part, o->path) != 0)
			return false;
		free(o->part), o->part = 0;
		o->moved = true;
		return true;
	}
	if (o->text)
		return fwrite(o->text, 1, o->n, stdout) == o->n && fflush(stdout) == 0;
	return true;
}

bool outputs_commit(Outputs *os, Diag *d)
{
	for (int i = 0; i < os->n; i++)
		if (!finish(&os->o[i])) {
			diag_error(d, "%s: cannot be written: %s", os->o[i].path, strerror(errno));
			return false;
		}
	for (int i = 0; i < os->n; i++) {
		if (place(&os->o[i]))
			continue;
		diag_error(d, "%s: cannot be written: %s", os->o[i].path, strerror(errno));
		while (i-- > 0)         /* those already in place are not left alone */
			if (os->o[i].moved)
				unlink(os->o[i].path);
		return false;
	}
	return true;
}

/* Forget o; a temporary file goes. */
static void drop(Output *o)
{
	if (o->f)
		fclose(o->f);
	if (o->part)
		unlink(o->part);
	free(o->part), free(o->path), free(o->text);
}

void outputs_drop(Outputs *os, FILE *f)
{
	for (int i = 0; i < os->n; i++)
		if (os->o[i].f == f) {
			drop(&os->o[i]);
			os->o[i] = (Output){0};         /* its place stays: a memory stream knows where its text is */
		}
}

void outputs_free(Outputs *os)
{
	for (int i = 0; os && i < os->n; i++)
		drop(&os->o[i]);
	free(os);
}

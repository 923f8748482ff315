/* file.c: reading whole files, and what paths are. */
#include "util/file.h"
#include "util/mem.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

bool is_folder(const char *path)
{
	struct stat st;
	return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

bool is_file(const char *path)
{
	struct stat st;
	return stat(path, &st) == 0 && !S_ISDIR(st.st_mode);
}

const char *path_base(const char *path)
{
	const char *slash = strrchr(path, '/');
	return slash ? slash + 1 : path;
}

const char *path_suffix(const char *path)
{
	const char *base = path_base(path), *dot = strrchr(base, '.');
	return dot && dot != base ? dot : "";
}

char *path_beside(const char *path, const char *suffix)
{
	return text_new("%.*s%s", (int)(strlen(path) - strlen(path_suffix(path))), path, suffix);
}

/* Read f to its end, but stop once there is more than `most`. */
static char *read_all(FILE *f, size_t most, size_t *n)
{
	size_t room = 65536, have = 0;
	char *p = mem_grow(0, room + 1);
	for (;;) {
		size_t got = fread(p + have, 1, room - have, f);
		have += got;
		if (got == 0 || have > most)
			break;
		if (have == room)
			p = mem_grow(p, (room *= 2) + 1);
	}
	p[have] = 0;
	*n = have;
	return p;
}

char *file_read(const char *path, size_t most, size_t *n, Diag *d)
{
	bool standard = !strcmp(path, "-");
	if (!standard && is_folder(path)) {
		diag_error(d, "%s: is a folder, not a file", path);
		return 0;
	}
	FILE *f = standard ? stdin : fopen(path, "rb");
	if (!f) {
		diag_error(d, "%s: %s", path, strerror(errno));
		return 0;
	}
	char *p = read_all(f, most, n);
	if (ferror(f)) {
		diag_error(d, "%s: cannot be read", path);
		free(p), p = 0;
	} else if (*n > most) {
		diag_error(d, "%s: is larger than %zu bytes", path, most);
		free(p), p = 0;
	}
	if (!standard)
		fclose(f);
	return p;
}

void temporary_name(char *buf, size_t n)
{
	const char *folder = getenv("TMPDIR");
	int len = folder && *folder ? snprintf(buf, n, "%s/gatefold-XXXXXX", folder) : -1;
	if (len < 0 || (size_t)len >= n)
		snprintf(buf, n, P_tmpdir "/gatefold-XXXXXX");
}

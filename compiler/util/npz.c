/* npz.c: zip files of .npy arrays, through libzip. */
#include "util/npz.h"
#include "util/file.h"
#include "util/mem.h"

#include <stdlib.h>
#include <string.h>
#include <zip.h>

enum { MAX_ARRAYS = 4096 };

static void add(Npz *z, Tensor *t)
{
	z->t = mem_grow(z->t, sizeof *z->t * (size_t)(z->n + 1));
	z->t[z->n++] = t;
}

const Tensor *npz_find(const Npz *z, const char *name)
{
	for (int i = 0; i < z->n; i++)
		if (!strcmp(z->t[i]->name, name))
			return z->t[i];
	return 0;
}

void npz_free(Npz *z)
{
	for (int i = 0; i < z->n; i++)
		tensor_free(z->t[i]);
	free(z->t);
	*z = (Npz){0};
}

/* Entry i.  `room`: bytes all further entries may still have. */
static bool read_entry(zip_t *zip, zip_uint64_t i, size_t *room, Npz *z, const char *path, Diag *d)
{
	zip_stat_t st;
	if (zip_stat_index(zip, i, 0, &st) != 0 || !(st.valid & ZIP_STAT_SIZE) || !st.name) {
		diag_error(d, "%s: the zip directory is damaged", path);
		return false;
	}
	size_t length = strlen(st.name);
	if (length < 4 || strcmp(st.name + length - 4, ".npy")) {
		diag_error(d, "%s: '%s' is no .npy array", path, st.name);
		return false;
	}
	char *name = text_new("%.*s", (int)length - 4, st.name);
	const char *err = 0;
	Tensor *t = 0;
	unsigned char *p = 0;
	if (npz_find(z, name)) {
		err = "it is there twice";
	} else if (st.size > *room) {
		err = "the arrays have more than 1 GB in all";
	} else {
		zip_file_t *f = zip_fopen_index(zip, i, 0);
		p = mem_new(st.size + 1);       /* a byte more: is that really all of it? */
		zip_int64_t got = f ? zip_fread(f, p, st.size + 1) : -1;
		if (got != (zip_int64_t)st.size || (f && zip_fclose(f) != 0))
			err = "it is cut off or damaged";
		else
			t = npy_parse(name, p, st.size, &err);
		*room -= st.size;
	}
	if (t)
		add(z, t);
	else
		diag_error(d, "%s: array '%s': %s", path, name, err);
	free(p);
	free(name);
	return t != 0;
}

static bool read_zip(const char *path, Npz *z, Diag *d)
{
	int code;
	zip_t *zip = zip_open(path, ZIP_RDONLY | ZIP_CHECKCONS, &code);
	if (!zip) {
		zip_error_t e;
		zip_error_init_with_code(&e, code);
		diag_error(d, "%s: is no .npz file: %s", path, zip_error_strerror(&e));
		zip_error_fini(&e);
		return false;
	}
	zip_int64_t n = zip_get_num_entries(zip, 0);
	size_t room = NPZ_MOST;
	bool good = n <= MAX_ARRAYS;
	if (!good)
		diag_error(d, "%s: has more than %d arrays", path, MAX_ARRAYS);
	for (zip_int64_t i = 0; good && i < n; i++)
		good = read_entry(zip, (zip_uint64_t)i, &room, z, path, d);
	zip_discard(zip);
	return good;
}

static bool read_npy(const char *path, Npz *z, Diag *d)
{
	size_t n;
	const char *err;
	char *p = file_read(path, NPZ_MOST, &n, d);
	if (!p)
		return false;
	Tensor *t = npy_parse("", (unsigned char *)p, n, &err);
	free(p);
	if (!t) {
		diag_error(d, "%s: %s", path, err);
		return false;
	}
	add(z, t);
	return true;
}

bool npz_read(const char *path, Npz *z, Diag *d)
{
	*z = (Npz){0};
	if (!is_file(path)) {
		diag_error(d, "%s: there is no such file", path);
		return false;
	}
	if (strcmp(path_suffix(path), ".npy") ? read_zip(path, z, d) : read_npy(path, z, d))
		return true;
	npz_free(z);
	return false;
}

/* ---- writing --------------------------------------------------------------------------------- */

static bool add_entry(zip_t *zip, const Tensor *t)
{
	size_t n;
	unsigned char *p = npy_bytes(t, &n);
	zip_source_t *source = zip_source_buffer(zip, p, n, 1);
	if (!source) {
		free(p);
		return false;
	}
	char *name = text_new("%s.npy", t->name);
	zip_int64_t i = zip_file_add(zip, name, source, ZIP_FL_ENC_UTF_8);
	free(name);
	if (i < 0) {
		zip_source_free(source);
		return false;
	}
	return zip_set_file_compression(zip, (zip_uint64_t)i, ZIP_CM_STORE, 0) == 0 &&
	       zip_file_set_dostime(zip, (zip_uint64_t)i, 0, 0x21, 0) == 0;     /* 1980-01-01 */
}

static bool copy_out(zip_source_t *all, FILE *f)
{
	char buf[65536];
	zip_int64_t n;
	if (zip_source_open(all) != 0)
		return false;
	while ((n = zip_source_read(all, buf, sizeof buf)) > 0)
		if (fwrite(buf, 1, (size_t)n, f) != (size_t)n)
			n = -1;
	zip_source_close(all);
	return n == 0;
}

bool npz_write(FILE *f, Tensor *const *t, int n, const char *path, Diag *d)
{
	zip_error_t e;
	zip_error_init(&e);
	zip_source_t *all = zip_source_buffer_create(0, 0, 0, &e);
	zip_t *zip = all ? zip_open_from_source(all, ZIP_TRUNCATE, &e) : 0;
	bool good = zip != 0;
	if (good)
		zip_source_keep(all);
	for (int i = 0; good && i < n; i++)
		good = add_entry(zip, t[i]);
	if (good)
		good = zip_close(zip) == 0;
	else if (zip)
		zip_discard(zip);
	good = good && copy_out(all, f);
	if (!good)
		diag_error(d, "%s: cannot be written", path);
	if (all)
		zip_source_free(all);
	zip_error_fini(&e);
	return good;
}

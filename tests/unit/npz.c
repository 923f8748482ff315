/* npz.c: numpy's array files: what is read, what is refused, and that writing is deterministic. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "util/mem.h"
#include "util/npz.h"

/* A .npy file: magic, version, header padded by one blank, elements. */
static unsigned char *npy(int version, const char *header, const void *elements, size_t size, size_t *n)
{
	size_t lead = version == 1 ? 10 : 12, length = strlen(header);
	unsigned char *p = mem_new(lead + length + size);
	memcpy(p, "\x93NUMPY", 6);
	p[6] = (unsigned char)version;
	p[8] = (unsigned char)(length & 255);
	p[9] = (unsigned char)(length >> 8);
	memcpy(p + lead, header, length);
	memcpy(p + lead + length, elements, size);
	*n = lead + length + size;
	return p;
}

static Tensor *parse(int version, const char *header, const void *elements, size_t size, const char **err)
{
	size_t n;
	unsigned char *p = npy(version, header, elements, size, &n);
	Tensor *t = npy_parse("a", p, n, err);
	free(p);
	return t;
}

static void reads_orders(void **state)
{
	(void)state;
	const char *err;
	const int16_t column_major[] = {1, 4, 2, 5, 3, 6};
	for (int version = 1; version <= 3; version++) {
		Tensor *t = parse(version, "{'descr': '<i2', 'fortran_order': True, 'shape': (2, 3), }\n", column_major, 12,
		                  &err);
		assert_non_null(t);
		assert_int_equal(t->rank, 2);
		for (int i = 0; i < 6; i++)
			assert_int_equal(tensor_get_int(t, i), i + 1);
		tensor_free(t);
	}
	const unsigned char big[] = {0, 0, 1, 0, 255, 255, 255, 254};
	Tensor *t = parse(1, "{\"shape\": (2,), \"descr\": \">i4\", \"fortran_order\": False}", big, 8, &err);
	assert_non_null(t);
	assert_int_equal(tensor_get_int(t, 0), 256);
	assert_int_equal(tensor_get_int(t, 1), -2);
	tensor_free(t);
}

static void reads_types(void **state)
{
	(void)state;
	static const struct { const char *descr; HostType type; } rows[] = {
		{"|b1", H_BOOL}, {"|i1", H_I8}, {"|u1", H_U8}, {"<i2", H_I16}, {"<u2", H_U16}, {"<i4", H_I32},
		{"<u4", H_U32}, {"<i8", H_I64}, {"<u8", H_U64}, {"<f2", H_F16}, {"<f4", H_F32}, {"<f8", H_F64},
	};
	const char zeros[8] = {0}, *err;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		char *header = text_new("{'descr': '%s', 'fortran_order': False, 'shape': (), }", rows[i].descr);
		Tensor *t = parse(1, header, zeros, host_size(rows[i].type), &err);
		assert_non_null(t);
		assert_int_equal(t->type, rows[i].type);
		assert_int_equal(t->count, 1);
		tensor_free(t);
		free(header);
	}
}

static void refuses(void **state)
{
	(void)state;
	static const char *const bad[] = {
		"", "{", "{}", "x",
		"{'descr': '<f4', 'fortran_order': False, 'shape': (2,), } x",
		"{'descr': '<f4', 'fortran_order': False, 'shape': (2 }",
		"{'descr': '<f4', 'fortran_order': False, 'shape': (2)}",
		"{'descr': '<f4', 'fortran_order': False, 'shape': (-2,)}",
		"{'descr': '<f4', 'fortran_order': Maybe, 'shape': (2,)}",
		"{'descr': '<f4', 'descr': '<f4', 'fortran_order': False, 'shape': (2,)}",
		"{'descr': '<f4', 'fortran_order': False}",
		"{'descr': '<c8', 'fortran_order': False, 'shape': (1,)}",
		"{'descr': [('a', '<f4'), ('b', '<f4')], 'fortran_order': False, 'shape': (1,)}",
		"{'descr': '|O', 'fortran_order': False, 'shape': (1,)}",
		"{'descr': '<f4', 'fortran_order': False, 'shape': (1,), }",            /* 8 bytes are there */
		"{'descr': '<f4', 'fortran_order': False, 'shape': (3,), }",
		"{'descr': '<f4', 'fortran_order': False, 'shape': (1,1,1,1,1,1,1,1,2), }",
		"{'descr': '<f4', 'fortran_order': False, 'shape': (4294967296, 4294967296, 2), }",
		"{'descr': '<f4', 'fortran_order': False, 'shape': (99999999999999999999,), }",
	};
	const char eight[8] = {0}, *err;
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		assert_null(parse(1, bad[i], eight, 8, &err));
		assert_non_null(err);
	}
	assert_null(npy_parse("a", (const unsigned char *)"\x93NUMPY\x01\x00\xff\xff{}", 12, &err));
	assert_null(npy_parse("a", (const unsigned char *)"", 0, &err));
}

static Tensor *numbers(const char *name, HostType type, int64_t n)
{
	Tensor *t = tensor_new(type, 1, &n);
	t->name = text_copy(name);
	for (int64_t i = 0; i < n; i++)
		tensor_set(t, i, (double)i - 3);
	return t;
}

static char *write_file(const char *path, Tensor *const *t, int n, size_t *size)
{
	Diag *d = diag_new();
	FILE *f = fopen(path, "wb+");
	assert_non_null(f);
	assert_true(npz_write(f, t, n, path, d));
	*size = (size_t)ftell(f);
	char *bytes = mem_new(*size);
	rewind(f);
	assert_int_equal(fread(bytes, 1, *size, f), *size);
	fclose(f);
	diag_free(d);
	return bytes;
}

static void files(void **state)
{
	(void)state;
	char path[] = "/tmp/npz_test_XXXXXX";
	int fd = mkstemp(path);
	assert_true(fd >= 0);
	close(fd);
	Tensor *t[] = {numbers("x", H_F32, 7), numbers("état/0", H_I16, 5), numbers("z", H_BOOL, 0)};
	size_t n, again;
	char *a = write_file(path, t, 3, &n), *b = write_file(path, t, 3, &again);
	assert_int_equal(n, again);
	assert_memory_equal(a, b, n);

	Npz z;
	Diag *d = diag_new();
	assert_true(npz_read(path, &z, d));
	assert_int_equal(z.n, 3);
	for (int i = 0; i < 3; i++) {
		const Tensor *got = npz_find(&z, t[i]->name);
		assert_non_null(got);
		assert_int_equal(got->count, t[i]->count);
		assert_int_equal(got->type, t[i]->type);
		if (got->count)
			assert_memory_equal(got->bytes, t[i]->bytes, (size_t)got->count * host_size(got->type));
	}
	npz_free(&z);

	/* every cut is refused, whatever it cuts */
	for (size_t cut = 0; cut < n; cut += 13) {
		assert_int_equal(truncate(path, 0), 0);
		FILE *f = fopen(path, "wb");
		fwrite(a, 1, cut, f);
		fclose(f);
		int before = diag_errors(d);
		assert_false(npz_read(path, &z, d));
		assert_true(diag_errors(d) > 0 && diag_errors(d) >= before);
	}
	unlink(path);
	free(a), free(b);
	for (int i = 0; i < 3; i++)
		tensor_free(t[i]);
	diag_free(d);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reads_orders), cmocka_unit_test(reads_types), cmocka_unit_test(refuses),
		cmocka_unit_test(files),
	};
	return cmocka_run_group_tests(tests, 0, 0);
}

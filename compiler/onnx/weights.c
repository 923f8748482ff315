/* weights.c: the tensors of ONNX files.  Sizes are checked against what the file really holds before anything
 * is allocated.  Elements written as raw bytes are not copied: a model's weights are in memory once. */
#include "onnx/model.h"
#include "util/file.h"
#include "util/mem.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const struct { const char *name; int host;
} types[] = {
	{"none", -1},           {"float32", H_F32},   {"uint8", H_U8},        {"int8", H_I8},
	{"uint16", H_U16},      {"int16", H_I16},     {"int32", H_I32},       {"int64", H_I64},
	{"string", -1},         {"bool", H_BOOL},     {"float16", H_F16},     {"float64", H_F64},
	{"uint32", H_U32},      {"uint64", H_U64},    {"complex64", -1},      {"complex128", -1},
	{"bfloat16", H_BF16},   {"float8e4m3fn", -1}, {"float8e4m3fnuz", -1}, {"float8e5m2", -1},
	{"float8e5m2fnuz", -1}, {"uint4", -1},        {"int4", -1},           {"float4e2m1", -1},
	{"float8e8m0", -1},     {"uint2", -1},        {"int2", -1},           {"float6e2m3", -1},
	{"float6e3m2", -1},
};
enum { N_TYPES = sizeof types / sizeof *types };

int host_type(int onnx)
{
	return onnx >= 0 && onnx < N_TYPES ? types[onnx].host : -1;
}

const char *onnx_type_name(int onnx)
{
	return onnx >= 0 && onnx < N_TYPES ? types[onnx].name : "of an unknown number";
}

/* ---- external data ------------------------------------------------------------------------- */

static bool is_plain_relative(const char *path)
{
	if (!*path || *path == '/')
		return false;
	for (const char *p = path; p; p = strchr(p, '/')) {
		p += *p == '/';
		if (!strncmp(p, "..", 2) && (p[2] == '/' || !p[2]))
			return false;
	}
	return !strchr(path, '\\');
}

static bool read_size(const char *text, uint64_t *v)
{
	char *end;
	if (*text < '0' || *text > '9')
		return false;
	errno = 0;
	*v = strtoull(text, &end, 10);
	return !errno && !*end && *v <= INT64_MAX;
}

/* The file that `location` names, when it really lies inside the folder (symbolic links followed). */
static int open_inside(const char *folder, const char *location)
{
	char *name = text_new("%s/%s", folder, location);
	char *root = realpath(folder, 0), *real = realpath(name, 0);
	int fd = -1;
	if (!root || !real) {
		errno = ENOENT;
	} else {
		size_t n = strlen(root);
		bool inside = !strncmp(real, root, n) && (real[n] == '/' || (n == 1 && *root == '/'));
		errno = EPERM;
		if (inside)
			fd = open(real, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	}
	int e = errno;
	free(name);
	free(root);
	free(real);
	errno = e;
	return fd;
}

static void *read_range(int fd, uint64_t offset, size_t size, Arena *a)
{
	char *bytes = arena_alloc(a, size);
	for (size_t done = 0; done < size; ) {
		ssize_t n = pread(fd, bytes + done, size - done, (off_t)(offset + done));
		if (n <= 0)
			return 0;
		done += (size_t)n;
	}
	return bytes;
}

const char *external_location(const Onnx__Tensor *p)
{
	for (size_t i = 0; i < p->n_external_data; i++)
		if (!strcmp(p->external_data[i]->key, "location"))
			return p->external_data[i]->value;
	return "";
}

int64_t external_size(const char *folder, const char *location)
{
	int fd = is_plain_relative(location) ? open_inside(folder, location) : -1;
	struct stat st;
	int64_t size = fd >= 0 && !fstat(fd, &st) && S_ISREG(st.st_mode) ? st.st_size : 0;
	if (fd >= 0)
		close(fd);
	return size;
}

static void *read_external(Arena *a, const char *folder, const Onnx__Tensor *p, size_t size, char *err,
			   size_t nerr)
{
	const char *location = external_location(p);
	uint64_t offset = 0, length = size;
	for (size_t i = 0; i < p->n_external_data; i++) {
		const char *key = p->external_data[i]->key, *value = p->external_data[i]->value;
		if ((!strcmp(key, "offset") && !read_size(value, &offset))
		    || (!strcmp(key, "length") && !read_size(value, &length))) {
			snprintf(err, nerr, "external data: %s \"%.50s\" is not a number", key, value);
			return 0;
		}
	}
	if (!folder) {
		snprintf(err, nerr, "external data is supported for initializers only");
		return 0;
	}
	if (!is_plain_relative(location)) {
		snprintf(err, nerr, "external data: \"%.80s\" is not a plain path inside the model's folder",
			 location);
		return 0;
	}
	if (length != size) {
		snprintf(err, nerr, "external data: length is %llu, but type and dimensions need %zu bytes",
			 (unsigned long long)length, size);
		return 0;
	}
	int fd = open_inside(folder, location);
	if (fd < 0) {
		snprintf(err, nerr, "external data \"%.80s\": %s", location,
			 errno == EPERM ? "lies outside the model's folder" : strerror(errno));
		return 0;
	}
	struct stat st;
	void *bytes = 0;
	if (fstat(fd, &st) || !S_ISREG(st.st_mode))
		snprintf(err, nerr, "external data \"%.80s\" is not a plain file", location);
	else if (offset > (uint64_t)st.st_size || size > (uint64_t)st.st_size - offset)
		snprintf(err, nerr,
			 "external data \"%.80s\" has %lld bytes; bytes %llu to %llu are asked for", location,
			 (long long)st.st_size, (unsigned long long)offset,
			 (unsigned long long)(offset + size));
	else if (!(bytes = read_range(fd, offset, size, a)))
		snprintf(err, nerr, "external data \"%.80s\" cannot be read", location);
	close(fd);
	return bytes;
}

/* ---- tensors ------------------------------------------------------------------------------- */

/* The typed array that holds elements of t, when there are no raw bytes; its length in *n. */
static const void *typed_array(const Onnx__Tensor *p, HostType t, size_t *n, size_t *size)
{
	switch (t) {
	case H_F32: *n = p->n_float_data, *size = 4; return p->float_data;
	case H_F64: *n = p->n_double_data, *size = 8; return p->double_data;
	case H_I64: *n = p->n_int64_data, *size = 8; return p->int64_data;
	case H_U32:
	case H_U64: *n = p->n_uint64_data, *size = 8; return p->uint64_data;
	default: *n = p->n_int32_data, *size = 4; return p->int32_data;
	}
}

/* Elements written as wider integers: the low bytes count (float16 is written as its bits). */
static void *narrowed(Arena *a, const char *from, size_t n, size_t wide, size_t narrow)
{
	char *to = arena_alloc(a, n * narrow);
	for (size_t i = 0; i < n; i++)
		memcpy(to + i * narrow, from + i * wide, narrow);
	return to;
}

static const void *read_elements(Arena *a, const char *folder, const Onnx__Tensor *p, const Tensor *t,
				 char *err, size_t nerr)
{
	size_t count = (size_t)t->count, size = count * host_size(t->type), n, wide;
	const void *typed = typed_array(p, t->type, &n, &wide);
	if (p->data_location == ONNX__TENSOR__LOCATION__EXTERNAL)
		return read_external(a, folder, p, size, err, nerr);
	if (p->raw_data.len && n) {
		snprintf(err, nerr, "holds its elements twice");
		return 0;
	}
	if (!n && p->raw_data.len == size)
		return size ? p->raw_data.data : arena_alloc(a, 1);
	if (!n) {
		snprintf(err, nerr, "type and dimensions need %zu bytes, the file holds %zu", size,
			 p->raw_data.len);
		return 0;
	}
	if (n != count) {
		snprintf(err, nerr, "dimensions need %zu elements, the file holds %zu", count, n);
		return 0;
	}
	return wide == host_size(t->type) ? typed : narrowed(a, typed, n, wide, host_size(t->type));
}

const Tensor *weight_read(Arena *a, const char *folder, const Onnx__Tensor *p, char *err, size_t nerr)
{
	int type = host_type(p->data_type);
	if (type < 0) {
		snprintf(err, nerr, "element type %s is not supported", onnx_type_name(p->data_type));
		return 0;
	}
	if (p->n_dims > HOST_RANK) {
		snprintf(err, nerr, "has %zu dimensions; %d are supported", p->n_dims, HOST_RANK);
		return 0;
	}
	Tensor *t = NEW(a, Tensor);
	t->name = p->name;
	t->type = (HostType)type;
	t->rank = (int)p->n_dims;
	t->count = 1;
	for (int i = 0; i < t->rank; i++) {
		t->dim[i] = p->dims[i];
		if (t->dim[i] < 0 || t->dim[i] > INT32_MAX
		    || __builtin_mul_overflow(t->count, t->dim[i], &t->count)
		    || t->count > INT64_MAX / (int64_t)host_size(t->type)) {
			snprintf(err, nerr, "dimension %d is %lld: the size overflows", i,
				 (long long)t->dim[i]);
			return 0;
		}
	}
	if (p->segment) {
		snprintf(err, nerr, "is split into segments, which is not supported");
		return 0;
	}
	t->bytes = (void *)read_elements(a, folder, p, t, err, nerr);
	return t->bytes ? t : 0;
}

Tensor *read_tensor_pb(const char *path, Diag *d)
{
	size_t n;
	char err[200];
	uint8_t *bytes = (uint8_t *)file_read(path, INT_MAX, &n, d);
	if (!bytes)
		return 0;
	Onnx__Tensor *p = 0;
	Tensor *copy = 0;
	if (wire_check(&onnx__tensor__descriptor, bytes, n, err, sizeof err)
	    && !(p = onnx__tensor__unpack(0, n, bytes)))
		snprintf(err, sizeof err, "its fields do not have the types they should");
	free(bytes);
	if (p) {
		Arena *a = arena_new();
		const Tensor *t = weight_read(a, 0, p, err, sizeof err);
		if (t && !(copy = tensor_copy(t)))
			snprintf(err, sizeof err, "too large");
		arena_free(a);
		onnx__tensor__free_unpacked(p, 0);
	}
	if (!copy)
		model_error(d, path, "not a readable tensor: %s", err);
	return copy;
}

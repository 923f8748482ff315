/* npy.c: numpy's array format: magic, version, length of the header, header, elements.
 *	"\x93NUMPY" 1 0 <u2 length> "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }   \n" ...
 * The header is a Python dictionary; only this exact form of it is read. */
#include "util/mem.h"
#include "util/npz.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

typedef struct { const char *p, *end; } Text;

typedef struct {
	HostType type;
	bool big_endian, fortran;
	int rank;
	int64_t dim[HOST_RANK];
	bool has_descr, has_order, has_shape;
} Header;

static void blanks(Text *t)
{
	while (t->p < t->end && isspace((unsigned char)*t->p))
		t->p++;
}

static bool take(Text *t, const char *s)
{
	size_t n = strlen(s);
	blanks(t);
	if ((size_t)(t->end - t->p) < n || memcmp(t->p, s, n))
		return false;
	t->p += n;
	return true;
}

/* 'text' or "text" without escapes */
static bool take_string(Text *t, char *buf, size_t n)
{
	blanks(t);
	if (t->p == t->end || (*t->p != '\'' && *t->p != '"'))
		return false;
	char quote = *t->p++;
	size_t k = 0;
	for (; t->p < t->end && *t->p != quote; t->p++) {
		if (k + 1 >= n || *t->p == '\\')
			return false;
		buf[k++] = *t->p;
	}
	buf[k] = 0;
	return take(t, (char[]){quote, 0});
}

static bool take_size(Text *t, int64_t *v)
{
	blanks(t);
	if (t->p == t->end || !isdigit((unsigned char)*t->p))
		return false;
	for (*v = 0; t->p < t->end && isdigit((unsigned char)*t->p); t->p++)
		if (__builtin_mul_overflow(*v, 10, v) || __builtin_add_overflow(*v, *t->p - '0', v))
			return false;
	return true;
}

static bool take_descr(Text *t, Header *h)
{
	static const struct { const char *name; HostType type; } types[] = {
		{"b1", H_BOOL}, {"i1", H_I8}, {"i2", H_I16}, {"i4", H_I32}, {"i8", H_I64}, {"u1", H_U8},
		{"u2", H_U16}, {"u4", H_U32}, {"u8", H_U64}, {"f2", H_F16}, {"f4", H_F32}, {"f8", H_F64},
	};
	char s[16];
	if (!take_string(t, s, sizeof s) || !s[0] || !strchr("<>|=", s[0]))
		return false;
	for (size_t i = 0; i < sizeof types / sizeof *types; i++)
		if (!strcmp(s + 1, types[i].name)) {
			h->type = types[i].type;
			h->big_endian = s[0] == '>';
			return s[0] != '|' || host_size(h->type) == 1;
		}
	return false;
}

static bool take_shape(Text *t, Header *h)
{
	if (!take(t, "("))
		return false;
	while (!take(t, ")")) {
		if (h->rank == HOST_RANK || !take_size(t, &h->dim[h->rank++]))
			return false;
		bool comma = take(t, ",");
		blanks(t);
		if (!comma && (h->rank == 1 || t->p == t->end || *t->p != ')'))
			return false;
	}
	return true;
}

static const char *parse_header(Text t, Header *h)
{
	if (!take(&t, "{"))
		return "its header is damaged";
	while (!take(&t, "}")) {
		char key[32];
		if (!take_string(&t, key, sizeof key) || !take(&t, ":"))
			return "its header is damaged";
		if (!strcmp(key, "descr") && !h->has_descr) {
			h->has_descr = true;
			if (!take_descr(&t, h))
				return "its elements are not booleans, integers or floats of 16, 32 or 64 bits";
		} else if (!strcmp(key, "fortran_order") && !h->has_order) {
			h->has_order = true;
			h->fortran = take(&t, "True");
			if (!h->fortran && !take(&t, "False"))
				return "its header is damaged";
		} else if (!strcmp(key, "shape") && !h->has_shape) {
			h->has_shape = true;
			if (!take_shape(&t, h))
				return "its shape is damaged or has more than 8 dimensions";
		} else {
			return "its header is damaged";
		}
		bool comma = take(&t, ",");
		blanks(&t);
		if (!comma && (t.p == t.end || *t.p != '}'))
			return "its header is damaged";
	}
	blanks(&t);
	if (t.p != t.end || !h->has_descr || !h->has_order || !h->has_shape)
		return "its header is damaged";
	return 0;
}

static void swap_bytes(unsigned char *p, size_t size, int64_t count)
{
	for (; count-- > 0; p += size)
		for (size_t i = 0; i < size / 2; i++) {
			unsigned char b = p[i];
			p[i] = p[size - 1 - i];
			p[size - 1 - i] = b;
		}
}

/* Column-major elements `from` to row-major `t`: walk t in order, following the strides of `from`. */
static void from_fortran(Tensor *t, const unsigned char *from)
{
	size_t size = host_size(t->type);
	int64_t stride[HOST_RANK] = {1}, at[HOST_RANK] = {0}, k = 0;
	for (int i = 1; i < t->rank; i++)
		stride[i] = stride[i - 1] * t->dim[i - 1];
	for (int64_t i = 0; i < t->count; i++) {
		memcpy((unsigned char *)t->bytes + (size_t)i * size, from + (size_t)k * size, size);
		for (int a = t->rank - 1; a >= 0; a--) {
			k += stride[a];
			if (++at[a] < t->dim[a])
				break;
			k -= stride[a] * t->dim[a];
			at[a] = 0;
		}
	}
}

Tensor *npy_parse(const char *name, const unsigned char *p, size_t n, const char **err)
{
	Header h = {0};
	size_t lead = n > 6 && p[6] == 1 ? 10 : 12;
	*err = "it is no .npy array";
	if (n < 12 || memcmp(p, "\x93NUMPY", 6) || p[6] < 1 || p[6] > 3 || p[7] != 0)
		return 0;
	size_t length = p[8] | (size_t)p[9] << 8;
	if (lead == 12)
		length |= (size_t)p[10] << 16 | (size_t)p[11] << 24;
	*err = "its header is cut off";
	if (length > n - lead)
		return 0;
	*err = parse_header((Text){(const char *)p + lead, (const char *)p + lead + length}, &h);
	if (*err)
		return 0;
	size_t size = host_size(h.type), want = size, have = n - lead - length;
	*err = "its shape is too large";
	for (int i = 0; i < h.rank; i++)
		if (__builtin_mul_overflow(want, (size_t)h.dim[i], &want))
			return 0;
	*err = want > have ? "it has fewer elements than its shape says" : "it has more elements than its shape says";
	if (want != have)
		return 0;
	Tensor *t = tensor_new(h.type, h.rank, h.dim);
	*err = "out of memory";
	if (!t)
		return 0;
	t->name = text_copy(name);
	if (h.fortran && h.rank > 1)
		from_fortran(t, p + lead + length);
	else if (want)
		memcpy(t->bytes, p + lead + length, want);
	if (h.big_endian)
		swap_bytes(t->bytes, size, t->count);
	*err = 0;
	return t;
}

unsigned char *npy_bytes(const Tensor *t, size_t *n)
{
	static const char *const descr[] = {
		[H_F32] = "<f4", [H_F64] = "<f8", [H_F16] = "<f2", [H_I8] = "|i1", [H_I16] = "<i2", [H_I32] = "<i4",
		[H_I64] = "<i8", [H_U8] = "|u1", [H_U16] = "<u2", [H_U32] = "<u4", [H_U64] = "<u8", [H_BOOL] = "|b1",
	};
	char shape[HOST_RANK * 24 + 4] = "(", header[512];
	size_t k = 1;
	for (int i = 0; i < t->rank; i++)
		k += (size_t)snprintf(shape + k, sizeof shape - k, "%lld%s", (long long)t->dim[i],
		                      i + 1 < t->rank ? ", " : t->rank == 1 ? "," : "");
	snprintf(shape + k, sizeof shape - k, ")");
	size_t text = (size_t)snprintf(header, sizeof header,
	                               "{'descr': '%s', 'fortran_order': False, 'shape': %s, }", descr[t->type], shape);
	size_t all = (10 + text + 1 + 63) / 64 * 64;    /* numpy aligns the elements to 64 bytes */
	size_t size = (size_t)t->count * host_size(t->type);
	unsigned char *p = mem_new(all + size);
	memset(p, ' ', all);
	memcpy(p, "\x93NUMPY\x01\x00", 8);
	p[8] = (unsigned char)((all - 10) & 255);
	p[9] = (unsigned char)((all - 10) >> 8);
	memcpy(p + 10, header, text);
	p[all - 1] = '\n';
	if (size)
		memcpy(p + all, t->bytes, size);
	*n = all + size;
	return p;
}

/* tensor.c: host tensors and their element types. */
#include "util/tensor.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static const struct { const char *name; size_t size;
} host_info[] = {
	[H_F32] = {"float32", 4},   [H_F64] = {"float64", 8}, [H_F16] = {"float16", 2},
	[H_BF16] = {"bfloat16", 2}, [H_I8] = {"int8", 1},     [H_I16] = {"int16", 2},
	[H_I32] = {"int32", 4},     [H_I64] = {"int64", 8},   [H_U8] = {"uint8", 1},
	[H_U16] = {"uint16", 2},    [H_U32] = {"uint32", 4},  [H_U64] = {"uint64", 8},
	[H_BOOL] = {"bool", 1},
};

size_t host_size(HostType t)
{
	return host_info[t].size;
}

const char *host_name(HostType t)
{
	return host_info[t].name;
}

Tensor *tensor_new(HostType type, int rank, const int64_t *dim)
{
	if (rank < 0 || rank > HOST_RANK)
		return 0;
	int64_t count = 1, size;
	for (int i = 0; i < rank; i++)
		if (dim[i] < 0 || __builtin_mul_overflow(count, dim[i], &count))
			return 0;
	if (__builtin_mul_overflow(count, (int64_t)host_size(type), &size) || size > PTRDIFF_MAX)
		return 0;
	Tensor *t = calloc(1, sizeof *t);
	void *bytes = calloc(1, size ? (size_t)size : 1);
	if (!t || !bytes) {
		free(t);
		free(bytes);
		return 0;
	}
	t->type = type;
	t->rank = rank;
	if (rank)
		memcpy(t->dim, dim, sizeof *dim * (size_t)rank);
	t->count = count;
	t->bytes = bytes;
	return t;
}

Tensor *tensor_copy(const Tensor *t)
{
	Tensor *c = tensor_new(t->type, t->rank, t->dim);
	if (!c)
		return 0;
	memcpy(c->bytes, t->bytes, (size_t)t->count * host_size(t->type));
	if (t->name && !(c->name = strdup(t->name))) {
		tensor_free(c);
		return 0;
	}
	return c;
}

void tensor_free(Tensor *t)
{
	if (!t)
		return;
	free(t->name);
	free(t->bytes);
	free(t);
}

/* ---- 16-bit floats ------------------------------------------------------------------------- */

static double half_value(uint16_t h)
{
	int exponent = h >> 10 & 31, fraction = h & 1023;
	double v = exponent == 31 ? (fraction ? NAN : INFINITY)
		: exponent ? ldexp(1024 + fraction, exponent - 25)
		: ldexp(fraction, -24);
	return h >> 15 ? -v : v;
}

/* The nearest 16-bit float with `bits` fraction bits and a greatest exponent of 2^most, ties to even. */
static uint16_t half_of(double v, int bits, int most)
{
	uint16_t sign = signbit(v) ? 0x8000 : 0;
	uint16_t infinity = (uint16_t)(((1 << (15 - bits)) - 1) << bits);
	if (isnan(v))
		return (uint16_t)(sign | infinity | 1 << (bits - 1));
	v = fabs(v);
	if (isinf(v))
		return sign | infinity;
	int e = v == 0 ? 1 - most : ilogb(v);
	if (e < 1 - most)
		e = 1 - most;                   /* subnormal: the spacing stays that of the least exponent */
	if (e > most)
		return sign | infinity;
	/* Counted in units of the last place, the encodings follow each other without gaps. */
	double units = rint(ldexp(v, bits - e));
	int64_t code = (int64_t)units + ((int64_t)(e + most - 1) << bits);
	return code >= infinity ? sign | infinity : (uint16_t)(sign | (uint16_t)code);
}

static double bfloat_value(uint16_t b)
{
	uint32_t bits = (uint32_t)b << 16;
	float f;
	memcpy(&f, &bits, sizeof f);
	return f;
}

/* ---- elements ------------------------------------------------------------------------------ */

double tensor_get(const Tensor *t, int64_t i)
{
	const void *p = t->bytes;
	switch (t->type) {
	case H_F32: return ((const float *)p)[i];
	case H_F64: return ((const double *)p)[i];
	case H_F16: return half_value(((const uint16_t *)p)[i]);
	case H_BF16: return bfloat_value(((const uint16_t *)p)[i]);
	case H_U64: return (double)((const uint64_t *)p)[i];
	default: return (double)tensor_get_int(t, i);
	}
}

static int64_t truncated(double v)
{
	return isnan(v) ? 0 : v >= 0x1p63 ? INT64_MAX : v < -0x1p63 ? INT64_MIN : (int64_t)v;
}

int64_t tensor_get_int(const Tensor *t, int64_t i)
{
	const void *p = t->bytes;
	switch (t->type) {
	case H_I8: return ((const int8_t *)p)[i];
	case H_I16: return ((const int16_t *)p)[i];
	case H_I32: return ((const int32_t *)p)[i];
	case H_I64: return ((const int64_t *)p)[i];
	case H_U8: return ((const uint8_t *)p)[i];
	case H_U16: return ((const uint16_t *)p)[i];
	case H_U32: return ((const uint32_t *)p)[i];
	case H_U64: {
		uint64_t v = ((const uint64_t *)p)[i];
		return v > INT64_MAX ? INT64_MAX : (int64_t)v;
	}
	case H_BOOL: return ((const uint8_t *)p)[i] != 0;
	default: return truncated(tensor_get(t, i));
	}
}

void tensor_set(Tensor *t, int64_t i, double v)
{
	void *p = t->bytes;
	switch (t->type) {
	case H_F32: ((float *)p)[i] = (float)v; break;
	case H_F64: ((double *)p)[i] = v; break;
	case H_F16: ((uint16_t *)p)[i] = half_of(v, 10, 15); break;
	case H_BF16: ((uint16_t *)p)[i] = half_of(v, 7, 127); break;
	case H_BOOL: ((uint8_t *)p)[i] = v != 0; break;
	case H_U64:
		v = rint(v);
		((uint64_t *)p)[i] = !(v > 0) ? 0 : v >= 0x1p64 ? UINT64_MAX : (uint64_t)v;
		break;
	default: tensor_set_int(t, i, truncated(rint(v)));
	}
}

static int64_t clamp(int64_t v, int64_t lo, int64_t hi)
{
	return v < lo ? lo : v > hi ? hi : v;
}

void tensor_set_int(Tensor *t, int64_t i, int64_t v)
{
	void *p = t->bytes;
	switch (t->type) {
	case H_I8: ((int8_t *)p)[i] = (int8_t)clamp(v, INT8_MIN, INT8_MAX); break;
	case H_I16: ((int16_t *)p)[i] = (int16_t)clamp(v, INT16_MIN, INT16_MAX); break;
	case H_I32: ((int32_t *)p)[i] = (int32_t)clamp(v, INT32_MIN, INT32_MAX); break;
	case H_I64: ((int64_t *)p)[i] = v; break;
	case H_U8: ((uint8_t *)p)[i] = (uint8_t)clamp(v, 0, UINT8_MAX); break;
	case H_U16: ((uint16_t *)p)[i] = (uint16_t)clamp(v, 0, UINT16_MAX); break;
	case H_U32: ((uint32_t *)p)[i] = (uint32_t)clamp(v, 0, UINT32_MAX); break;
	case H_U64: ((uint64_t *)p)[i] = v < 0 ? 0 : (uint64_t)v; break;
	case H_BOOL: ((uint8_t *)p)[i] = v != 0; break;
	case H_F32: ((float *)p)[i] = (float)v; break;
	default: tensor_set(t, i, (double)v);
	}
}

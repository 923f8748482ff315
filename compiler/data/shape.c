/* shape.c: do an array and an input fit, and the array's elements in the input's form. */
#include "data/shape.h"
#include "util/mem.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

int time_axis(const Type *t)
{
	for (int i = 0; i < t->rank; i++)
		if (t->dim[i] == DIM_T)
			return i;
	return -1;
}

void dims_at(const Type *t, int64_t steps, int64_t *dim)
{
	for (int i = 0; i < t->rank; i++)
		dim[i] = t->dim[i] == DIM_T ? steps : t->dim[i];
}

/* Walk both shapes at once; T takes any dimension, or none (one step). */
static bool fits(const int32_t *want, int nwant, const int64_t *have, int nhave, int64_t *steps)
{
	int64_t rest = *steps;
	if (nwant && *want == DIM_T) {
		if (nhave && *have > 0 && fits(want + 1, nwant - 1, have + 1, nhave - 1, &rest)) {
			*steps = *have;
			return true;
		}
		if (fits(want + 1, nwant - 1, have, nhave, &rest)) {
			*steps = 1;
			return true;
		}
		return false;
	}
	if (nwant && nhave && *want == *have && fits(want + 1, nwant - 1, have + 1, nhave - 1, steps))
		return true;
	if (nwant && *want == 1 && fits(want + 1, nwant - 1, have, nhave, steps))
		return true;
	if (nhave && *have == 1 && fits(want, nwant, have + 1, nhave - 1, steps))
		return true;
	return !nwant && !nhave;
}

bool shape_fits(const Type *t, int rank, const int64_t *dim, int64_t *steps)
{
	bool exact = rank == t->rank;
	for (int i = 0; exact && i < rank; i++)
		exact = t->dim[i] == DIM_T ? dim[i] > 0 : t->dim[i] == dim[i];
	if (exact && time_axis(t) >= 0)
		*steps = dim[time_axis(t)];
	return exact || fits(t->dim, t->rank, dim, rank, steps);
}

const char *shape_text(int rank, const int64_t *dim, char *buf, size_t n)
{
	size_t k = (size_t)snprintf(buf, n, "[");
	for (int i = 0; i < rank && k < n; i++) {
		const char *comma = i ? ", " : "";
		k += dim[i] == DIM_T ? (size_t)snprintf(buf + k, n - k, "%sT", comma)
		                     : (size_t)snprintf(buf + k, n - k, "%s%lld", comma, (long long)dim[i]);
	}
	if (k < n)
		snprintf(buf + k, n - k, "]");
	return buf;
}

static bool is_real(HostType t)
{
	return t == H_F32 || t == H_F64 || t == H_F16 || t == H_BF16;
}

Tensor *tensor_for(const Type *t, const Tensor *from, const char *what, Diag *d)
{
	bool reals = t->quant || t->elem == E_f32, from_reals = is_real(from->type);
	if (from_reals && !reals) {
		diag_error(d, "%s holds %s numbers; the input takes integers", what, host_name(from->type));
		return 0;
	}
	Tensor *to = tensor_new(reals ? H_F32 : H_I32, from->rank, from->dim);
	if (!to) {
		diag_error(d, "%s is too large", what);
		return 0;
	}
	for (int64_t i = 0; i < from->count; i++) {
		if (from_reals) {
			((float *)to->bytes)[i] = (float)tensor_get(from, i);
			continue;
		}
		int64_t v = tensor_get_int(from, i);
		int64_t most = reals ? 1 << 24 : INT32_MAX;     /* floats hold integers up to 2^24 */
		if (v > most || v < (reals ? -most : INT32_MIN)) {
			diag_error(d, "%s: element %lld is %lld, which a %s cannot hold", what, (long long)i, (long long)v,
			           reals ? "32-bit float" : "32-bit integer");
			tensor_free(to);
			return 0;
		}
		if (reals)
			((float *)to->bytes)[i] = (float)v;
		else
			((int32_t *)to->bytes)[i] = (int32_t)v;
	}
	return to;
}

Tensor *tensor_slice(const Tensor *t, int axis, int64_t at, int64_t n)
{
	int64_t dim[HOST_RANK], outer = 1;
	size_t inner = host_size(t->type);
	for (int i = 0; i < t->rank; i++) {
		dim[i] = i == axis ? n : t->dim[i];
		outer *= i < axis ? t->dim[i] : 1;
		inner *= i > axis ? (size_t)t->dim[i] : 1;
	}
	Tensor *s = tensor_new(t->type, t->rank, dim);
	for (int64_t o = 0; s && o < outer; o++)
		memcpy((char *)s->bytes + (size_t)(o * n) * inner,
		       (char *)t->bytes + (size_t)(o * t->dim[axis] + at) * inner, (size_t)n * inner);
	return s;
}

void tensor_reshape(Tensor *t, int rank, const int64_t *dim)
{
	t->rank = rank;
	memcpy(t->dim, dim, sizeof *dim * (size_t)rank);
}

/* host.c: tensors known while the model is read: making them, moving their elements. */
#include "onnx/import.h"

#include <string.h>

bool take_room(Node *n, int64_t size)
{
	if (size > n->im->room)
		return fail(n, "computing with constants takes too much memory: this step %lld bytes",
			    (long long)size);
	n->im->room -= size;
	return true;
}

Tensor *host_new(Node *n, HostType type, int rank, const int64_t *dim)
{
	Import *im = n->im;
	Tensor *t = NEW(im->arena, Tensor);
	t->type = type;
	t->rank = rank;
	t->count = 1;
	int64_t size;
	for (int i = 0; i < rank; i++) {
		t->dim[i] = dim[i];
		if (dim[i] < 0 || dim[i] > INT32_MAX || __builtin_mul_overflow(t->count, dim[i], &t->count)) {
			fail(n, "a constant's size overflows");
			return 0;
		}
	}
	/* Twice as much: integers may need as much again for their T parts. */
	if (__builtin_mul_overflow(t->count, 2 * (int64_t)host_size(type), &size))
		size = INT64_MAX;
	if (!take_room(n, size))
		return 0;
	t->bytes = arena_alloc(im->arena, (size_t)t->count * host_size(type));
	return t;
}

bool is_whole(HostType t)
{
	return t != H_F32 && t != H_F64 && t != H_F16 && t != H_BF16;
}

Sym host_sym(const Tensor *t, const int64_t *steps, int64_t i)
{
	return (Sym){ steps ? steps[i] : 0, tensor_get_int(t, i) };
}

int64_t *steps_new(Node *n, int64_t count)
{
	return NEWN(n->im->arena, int64_t, count);
}

void host_strides(const Tensor *t, int64_t *stride)
{
	int64_t s = 1;
	for (int i = t->rank - 1; i >= 0; i--) {
		stride[i] = s;
		s *= t->dim[i];
	}
}

/* Copy elements of `size` bytes; the last axis runs fastest. */
static void copy_view(char *to, const char *from, size_t size, int rank, const int64_t *dim,
		      const int64_t *stride, int64_t offset, int64_t count)
{
	int64_t at[2 * HOST_RANK] = { 0 };
	for (int64_t i = 0; i < count; i++) {
		memcpy(to + i * (int64_t)size, from + offset * (int64_t)size, size);
		for (int k = rank - 1; k >= 0; k--) {
			offset += stride[k];
			if (++at[k] < dim[k])
				break;
			offset -= stride[k] * dim[k];
			at[k] = 0;
		}
	}
}

bool host_view(Node *n, Value *to, const Value *from, int rank, const int64_t *dim, const int64_t *stride,
	       int64_t offset)
{
	Tensor *t = host_new(n, from->type, rank, dim);
	if (!t)
		return false;
	int64_t *steps = from->steps ? steps_new(n, t->count) : 0;
	copy_view(t->bytes, from->host->bytes, host_size(t->type), rank, dim, stride, offset, t->count);
	if (steps)
		copy_view((char *)steps, (const char *)from->steps, 8, rank, dim, stride, offset, t->count);
	value_set(to, t, steps);
	return true;
}

void host_reshaped(Node *n, Value *to, const Value *from, int rank, const int64_t *dim)
{
	Tensor *t = NEW(n->im->arena, Tensor);
	*t = *from->host;
	t->rank = rank;
	memset(t->dim, 0, sizeof t->dim);
	memcpy(t->dim, dim, sizeof *dim * (size_t)rank);
	value_set(to, t, from->steps);
}

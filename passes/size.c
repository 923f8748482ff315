/* size.c: bytes and parameters of a module.
 *
 * At tensor level a 4-bit weight counts half a byte, whatever a kernel's packing adds; at loop level data are
 * counted as they lie in memory.  A row's scale is shipped as an integer multiplier of 32 bits and a shift of
 * 8, or as a shift alone where all are powers of two. */
#include "passes/size.h"

enum { MULTIPLIER_BYTES = 4, SHIFT_BYTES = 1 };

static bool is_scale_or_book(const Module *m, const Data *d)
{
	for (const Quant *q = m->quants; q; q = q->next)
		if (q->rows == d || q->book == d)
			return true;
	return false;
}

/* Scales and books ship once, with the weights they belong to; biases and sums have scales that follow. */
static const Quant *weights_of(const Module *m, const Data *d)
{
	each_data(w, m)
		if (w->type->quant && elem_bits(w->type->elem) <= 16 &&
		    (w->type->quant->rows == d || w->type->quant->book == d))
			return w->type->quant;
	return 0;
}

static size_t scale_bytes(const Data *d)
{
	size_t n = d->size / sizeof(float);
	const float *s = d->bytes;
	int e;
	bool pow2 = true;
	for (size_t i = 0; i < n; i++)
		pow2 &= is_pow2(s[i], &e);
	return n * (pow2 ? SHIFT_BYTES : MULTIPLIER_BYTES + SHIFT_BYTES);
}

size_t module_bytes(const Module *m)
{
	size_t sum = 0;
	each_data(d, m) {
		size_t count = (size_t)type_count(d->type, 1);
		const Quant *of = weights_of(m, d);
		if (m->level == L_LOOP)
			sum += d->size;
		else if (!is_scale_or_book(m, d))
			sum += (count * (size_t)elem_bits(d->type->elem) + 7) / 8;
		else if (of)
			sum += of->book == d ? d->size : scale_bytes(d);
	}
	return sum;
}

int64_t module_parameters(const Module *m)
{
	int64_t sum = 0;
	each_data(d, m)
		if (!is_scale_or_book(m, d) && (d->type->quant || d->type->elem == E_f32))
			sum += type_count(d->type, 1);
	return sum;
}

/* pack.c: weights as kernels read them.  Packing stands beside the kernels that read it; backends know bytes only. */
#include "lower/linear.h"

#include <string.h>

static Data *fresh(Lower *l, const char *name, Elem e, int rank, const int32_t *dim, bool *made)
{
	Data *d = data_find(l->m, name);
	*made = !d;
	return d ? d : data_new(l->m, name, type_tensor(l->m, e, rank, dim));
}

Data *pack_plain(Lower *l, const Data *W)
{
	bool made;
	Elem e = elem_stored(W->type->elem);
	Data *d = fresh(l, arena_printf(l->m->arena, "%s_p", W->name), e, 2, W->type->dim, &made);
	if (made)
		memcpy(d->bytes, W->bytes, d->size);
	return d;
}

/* Field k of a row lies at bits [k * bits, (k+1) * bits) of the row, least significant bit first, two's
 * complement.  One spare byte per row lets a kernel read two bytes at any field. */
Data *pack_bits(Lower *l, const Data *W, int bits)
{
	int32_t M = W->type->dim[0], K = W->type->dim[1];
	int32_t dim[2] = {M, (K * bits + 7) / 8 + (8 % bits ? 1 : 0)};
	bool made;
	Data *d = fresh(l, arena_printf(l->m->arena, "%s_b%d", W->name, bits), E_u8, 2, dim, &made);
	uint8_t *p = d->bytes;
	for (int64_t i = 0; made && i < M; i++, p += dim[1])
		for (int64_t k = 0; k < K; k++) {
			unsigned w = (unsigned)data_int(W, i * K + k) & ((1u << bits) - 1);
			int64_t at = k * bits;
			p[at / 8] |= (uint8_t)(w << (at % 8));
			if (at % 8 + bits > 8)
				p[at / 8 + 1] |= (uint8_t)(w >> (8 - at % 8));
		}
	return d;
}

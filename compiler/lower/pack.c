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

enum { ODD_BITS = 4 };

bool pack_is_odd(const Data *W)
{
	int bits = elem_bits(W->type->elem);
	int64_t n = type_count(W->type, 1);
	if (bits < 2 || bits > ODD_BITS)
		return false;
	for (int64_t i = 0; i < n; i++)
		if (!(data_int(W, i) & 1))
			return false;
	return n > 0;
}

int pack_width(const Data *W) { return elem_bits(W->type->elem) - pack_is_odd(W); }

/* Field k of a row lies at bits [k * bits, (k+1) * bits) of the row, least significant bit first, two's
 * complement; of odd weights v: (v - 1) / 2.  One spare byte per row lets a kernel read two bytes at any field. */
Data *pack_bits(Lower *l, const Data *W, int bits)
{
	int32_t M = W->type->dim[0], K = W->type->dim[1];
	int32_t dim[2] = {M, (K * bits + 7) / 8 + (8 % bits ? 1 : 0)};
	bool made;
	Data *d = fresh(l, arena_printf(l->m->arena, "%s_b%d", W->name, bits), E_u8, 2, dim, &made);
	bool odd = pack_is_odd(W);
	uint8_t *p = d->bytes;
	for (int64_t i = 0; made && i < M; i++, p += dim[1])
		for (int64_t k = 0; k < K; k++) {
			int64_t v = data_int(W, i * K + k);
			unsigned w = (unsigned)(odd ? (v - 1) / 2 : v) & ((1u << bits) - 1);
			int64_t at = k * bits;
			p[at / 8] |= (uint8_t)(w << (at % 8));
			if (at % 8 + bits > 8)
				p[at / 8 + 1] |= (uint8_t)(w >> (8 - at % 8));
		}
	return d;
}

/* ---- cells of the x86 bodies: 16 rows (4 bits: 32) by 4 columns ---------------------------------------------------------
 * Groups of 64 rows, for each k-quad 4 (2) cells of 64 bytes; then single cells for the rest, the last of which ends with
 * the last row and may repeat some.  Columns are padded to whole quads with zeros. */

static uint8_t field(const Data *W, int64_t row, int64_t k, int bits)
{
	int64_t K = W->type->dim[1], w = k < K ? data_int(W, row * K + k) : 0;
	return bits == 4 ? (uint8_t)(w + 8) : (uint8_t)w;
}

static uint8_t *cell(uint8_t *p, const Data *W, int64_t row, int64_t k4, int bits)
{
	for (int r = 0; r < 16; r++)
		for (int j = 0; j < 4; j++)
			*p++ = bits == 8 ? field(W, row + r, 4 * k4 + j, 8)
			                 : (uint8_t)(field(W, row + r, 4 * k4 + j, 4) | field(W, row + r + 16, 4 * k4 + j, 4) << 4);
	return p;
}

Cells cells_of(const Data *W, int bits)
{
	Cells c = {.rows = bits == 8 ? 16 : 32, .M = W->type->dim[0], .quads = (W->type->dim[1] + 3) / 4};
	c.groups = c.M / 64;
	c.singles = (c.M - 64 * c.groups + c.rows - 1) / c.rows;
	c.group_bytes = (int64_t)64 * c.quads * (64 / c.rows);
	c.cell_bytes = (int64_t)64 * c.quads;
	c.bytes = c.groups * c.group_bytes + c.singles * c.cell_bytes;
	return c;
}

Data *pack_cells(Lower *l, const Data *W, int bits)
{
	Cells c = cells_of(W, bits);
	int32_t n = (int32_t)c.bytes;
	bool made;
	Data *d = fresh(l, arena_printf(l->m->arena, "%s_c%d", W->name, bits), bits == 8 ? E_i8 : E_u8, 1, &n, &made);
	uint8_t *p = d->bytes;
	if (!made)
		return d;
	for (int64_t g = 0; g < c.groups; g++)
		for (int64_t k = 0; k < c.quads; k++)
			for (int i = 0; i < 64 / c.rows; i++)
				p = cell(p, W, 64 * g + c.rows * i, k, bits);
	for (int64_t i = 0; i < c.singles; i++) {
		int64_t row = 64 * c.groups + c.rows * i, last = c.M - c.rows;
		for (int64_t k = 0; k < c.quads; k++)
			p = cell(p, W, row < last ? row : last, k, bits);
	}
	return d;
}

/* storage.c: what both forms have in common: scales, sizes, the way in. */
#include "storage/parts.h"

Column column_new(int32_t n, int size, bool is_signed)
{
	return (Column){mem_array((size_t)n + 1, (size_t)size), n, size, is_signed};
}

/* ---- scales ---------------------------------------------------------------------------------------------- */

enum { MAX_SCALES = 128 };

void scales_find(Stored *s, const float *row_scale)
{
	s->scale_of = mem_array((size_t)s->M, sizeof(int32_t));
	s->scale_row = mem_array(MAX_SCALES, sizeof(int32_t));
	s->nscale = 1;
	for (int32_t i = 1; row_scale && i < s->M; i++) {
		int32_t k = 0;
		while (k < s->nscale && row_scale[s->scale_row[k]] != row_scale[i])
			k++;
		if (k == MAX_SCALES) {
			s->nscale = 0;
			break;
		}
		if (k == s->nscale)
			s->scale_row[s->nscale++] = i;
		s->scale_of[i] = k;
	}
	if (s->nscale * 2 > s->M && s->M > 1)           /* carrying them saves nothing */
		s->nscale = 0;
	if (!s->nscale)
		memset(s->scale_of, 0, (size_t)s->M * sizeof(int32_t));
}

/* ---- sizes ----------------------------------------------------------------------------------------------- */

enum { COLUMNS = 18 };

static void columns(const Stored *s, const Column *out[COLUMNS])
{
	const Column *c[COLUMNS] = {&s->class_scale, &s->classes, &s->width, &s->step, &s->add, &s->book, &s->fields, &s->start,
	                            &s->class_table, &s->first, &s->cum, &s->lo, &s->stride, &s->base, &s->offset,
	                            &s->memory, &s->place, &s->order};
	memcpy(out, c, sizeof c);
}

size_t stored_size(const Stored *s)
{
	const Column *c[COLUMNS];
	columns(s, c);
	size_t n = (size_t)s->stream.n * (size_t)s->stream.size;
	for (int i = 0; i < COLUMNS; i++)
		n += (size_t)c[i]->n * (size_t)c[i]->size;
	return n + 4 * (size_t)(s->nscale ? s->nscale : s->M);  /* a multiplier for each scale */
}

static Stored *stored_new(const float *row_scale, int32_t M, int32_t K, StorageKind kind, bool reach)
{
	Stored *s = mem_new(sizeof *s);
	s->kind = kind, s->M = M, s->K = K, s->reach = reach;
	scales_find(s, row_scale);
	return s;
}

Stored *storage_pack(const int8_t *w, const float *row_scale, int32_t M, int32_t K, StorageKind kind, bool reach,
                     const StoreBooks *books)
{
	Stored *s = stored_new(row_scale, M, K, kind, reach);
	if (kind == STORE_ROWS)
		rows_pack(s, w, books);
	else
		coded_pack(s, w, false);
	s->bytes = stored_size(s);
	return s;
}

void storage_free(Stored *s)
{
	const Column *c[COLUMNS];
	if (!s)
		return;
	columns(s, c);
	for (int i = 0; i < COLUMNS; i++)
		free(c[i]->p);
	free(s->stream.p);
	free(s->scale_of), free(s->scale_row), free(s->class_of);
	free(s);
}

void storage_unpack(const Stored *s, int32_t row, int32_t n, int8_t *w)
{
	if (s->kind == STORE_ROWS)
		rows_unpack(s, row, n, w);
	else
		coded_unpack(s, row, n, w);
}

static size_t plain_bytes(const int8_t *w, const float *row_scale, int32_t M, int32_t K)
{
	int bits = 1;
	for (size_t i = 0; i < (size_t)M * (size_t)K; i++)
		while (w[i] < -(1 << (bits - 1)) || w[i] >= 1 << (bits - 1))
			bits++;
	return (size_t)M * (((size_t)K * (size_t)bits + 7) / 8) + 4 * (size_t)(row_scale ? M : 1);
}

size_t storage_bytes(const int8_t *w, const float *row_scale, int32_t M, int32_t K, StorageKind kind)
{
	if (kind == STORE_PLAIN)
		return plain_bytes(w, row_scale, M, K);
	Stored *s = stored_new(row_scale, M, K, kind, true);
	if (kind == STORE_ROWS) {
		rows_pack(s, w, 0);
		s->bytes = stored_size(s);
	} else {
		coded_pack(s, w, true);
	}
	size_t n = s->bytes;
	storage_free(s);
	return n;
}

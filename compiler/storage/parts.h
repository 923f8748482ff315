/* parts.h: what the files of compiler/storage share. */
#ifndef GATEFOLD_STORAGE_PARTS_H
#define GATEFOLD_STORAGE_PARTS_H

#include "storage/storage.h"
#include "util/mem.h"

#include <stdlib.h>
#include <string.h>

Column column_new(int32_t n, int size, bool is_signed);
static inline uint8_t *col_u8(const Column *c) { return c->p; }
static inline int8_t *col_i8(const Column *c) { return c->p; }
static inline int16_t *col_i16(const Column *c) { return c->p; }
static inline int32_t *col_i32(const Column *c) { return c->p; }

/* storage.c: numbers the rows' scales; more different ones than a class number should carry: nscale = 0. */
void scales_find(Stored *s, const float *row_scale);
size_t stored_size(const Stored *s);            /* of all columns */
/* rows.c, windows.c, coded.c */
typedef struct { int width, step, add, memory, place; } Shape;  /* of a row: the columns of its class */
Shape row_shape(const int8_t *w, int32_t K);       /* of a row without a book */
void rows_pack(Stored *s, const int8_t *w, const StoreBooks *books);
void rows_unpack(const Stored *s, int32_t row, int32_t n, int8_t *w);
void coded_pack(Stored *s, const int8_t *w, bool estimate);     /* estimate: only s->bytes */
void coded_unpack(const Stored *s, int32_t row, int32_t n, int8_t *w);

/* Rows as windows: shapes and the book that they read.  false: no row is one, or other rows take more than that saves.  fields
 * (of M K, to be freed) are in the order of the fields. */
typedef struct { int8_t *book; int32_t nbook; uint8_t *field; int64_t bits; } Windows;
bool windows_find(const Stored *s, const int8_t *w, const StoreBooks *books, Shape *shape, Windows *to);

/* cluster.c: rows sorted into tables by what their symbols would cost.  hist: M rows of `symbols` counts. */
typedef struct { int32_t n; int32_t *of_row; } Tables;
Tables cluster_rows(const int32_t *hist, int32_t M, int symbols, const int32_t *scale_of, int32_t nscale);
/* Frequencies that sum to 2^12, at least 1 for each count that is not 0. */
void quantize_counts(const int64_t *count, int n, uint16_t *freq);
/* log2(v) * 2^16, 1 <= v < 2^31, rounded down: integers only, so that every machine decides alike. */
uint32_t log2_fixed(uint32_t v);

#endif

/* storage.c: matrices of small integers come back from every form, any row alone, and take as few bytes as promised. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "storage/storage.h"
#include "util/mem.h"

static uint64_t rng = 1;

static int draw(int below)
{
	rng = rng * 6364136223846793005u + 1442695040888963407u;
	return (int)((rng >> 33) % (unsigned)below);
}

/* Sums of draws: near enough to weights. */
static int bell(int spread)
{
	int v = 0;
	for (int i = 0; i < 6; i++)
		v += draw(2 * spread + 1) - spread;
	return v / 4;
}

typedef struct { int8_t *w; float *scale; int32_t M, K; } Matrix;

static int8_t clamp(int v, int most) { return (int8_t)(v > most ? most : v < -most - 1 ? -most - 1 : v); }

/* One row of a kind: 0 constant, 1..8 bits, 9 odd, 10 few values, 11 mostly zero, 12 one sign */
static void fill_row(int8_t *w, int32_t K, int kind)
{
	int constant = draw(255) - 127, bits = 1 + draw(7);
	for (int32_t k = 0; k < K; k++)
		w[k] = kind == 0   ? (int8_t)constant
		       : kind <= 8 ? clamp(bell(1 << (kind - 1)), (1 << (kind - 1)) - 1)
		       : kind == 9 ? (int8_t)(2 * draw(1 << bits) - (1 << bits) + 1)
		       : kind == 10 ? (int8_t)((int[]){-90, -7, 0, 5, 100}[draw(5)])
		       : kind == 11 ? (int8_t)(draw(40) ? 0 : draw(3) - 1)
		                    : (int8_t)draw(100);
}

static Matrix random_matrix(int scales)
{
	Matrix m = {.M = 1 + draw(draw(2) ? 300 : 5), .K = 1 + draw(draw(2) ? 70 : 3)};
	int kind = draw(20);
	m.w = mem_new((size_t)m.M * (size_t)m.K);
	m.scale = mem_array((size_t)m.M, sizeof(float));
	for (int32_t i = 0; i < m.M; i++) {
		fill_row(m.w + i * m.K, m.K, kind < 13 ? kind : draw(13));
		m.scale[i] = ldexpf(1, -draw(scales));
	}
	return m;
}

static void free_matrix(Matrix m)
{
	free(m.w);
	free(m.scale);
}

static void check(Matrix m, StorageKind kind, bool reach, bool scales)
{
	Stored *s = storage_pack(m.w, scales ? m.scale : 0, m.M, m.K, kind, reach, 0);
	size_t n = (size_t)m.M * (size_t)m.K;
	int8_t *back = mem_new(n);
	storage_unpack(s, 0, m.M, back);
	assert_memory_equal(back, m.w, n);
	for (int i = 0; i < 10 && reach; i++) {
		int32_t row = draw(m.M);
		storage_unpack(s, row, 1, back);
		assert_memory_equal(back, m.w + row * m.K, (size_t)m.K);
	}
	for (int32_t i = 0; i < m.M && scales && s->nscale; i++)
		assert_true(m.scale[s->scale_row[s->scale_of[i]]] == m.scale[i]);
	double promised = (double)storage_bytes(m.w, scales ? m.scale : 0, m.M, m.K, kind);
	assert_true(!reach || fabs(promised - (double)s->bytes) <= 0.01 * (double)s->bytes + 8);
	free(back);
	storage_free(s);
}

static void every_form_comes_back(void **state)
{
	(void)state;
	for (int i = 0; i < 400; i++) {
		Matrix m = random_matrix(1 + draw(i % 3 ? 12 : 200));
		check(m, STORE_ROWS, i & 1, i & 2);
		check(m, STORE_CODED, i & 1, i & 2);
		free_matrix(m);
	}
}

/* Streams of rows so long that their places need more than 16 bits in one base. */
static void long_rows(void **state)
{
	(void)state;
	Matrix m = {.M = 70, .K = 5000};
	m.w = mem_new((size_t)m.M * (size_t)m.K);
	m.scale = mem_array((size_t)m.M, sizeof(float));
	for (int32_t i = 0; i < m.M; i++)
		fill_row(m.w + i * m.K, m.K, 8);
	check(m, STORE_CODED, true, true);
	check(m, STORE_ROWS, true, true);
	free_matrix(m);
}

/* Rows that are paths through books, and others between them: fields as wide as the books, any row alone. */
static void paths_through_books(void **state)
{
	(void)state;
	for (int i = 0; i < 60; i++) {
		enum { M = 200, K = 37 };
		static int8_t w[M * K], back[M * K], value[3][1 << 9];
		int32_t order[K];
		StoreBooks books = {.n = 3, .order = i % 2 ? order : 0};
		bool only = i % 3 == 0;
		for (int k = 0; k < K; k++) {           /* a permutation */
			int at = draw(k + 1);
			order[k] = order[at];
			order[at] = k;
		}
		for (int b = 0; b < 3; b++) {
			books.book[b] = (StoreBook){b + 1, draw(7), value[b]};
			for (int v = 0; v < 1 << 9; v++)
				value[b][v] = (int8_t)(draw(255) - 127);
		}
		int64_t bits = 0;
		for (int row = 0; row < M; row++) {
			const StoreBook *b = &books.book[draw(3)];
			unsigned at = 0;
			for (int k = 0; k < K; k++) {
				at = (at << b->width | (unsigned)draw(1 << b->width)) & ((1u << (b->width + b->memory)) - 1);
				w[row * K + (i % 2 ? order[k] : k)] = b->value[at];
			}
			if (!only && !draw(4))
				fill_row(w + row * K, K, draw(13));
			bits += K * b->width;
		}
		Stored *s = storage_pack(w, 0, M, K, STORE_ROWS, true, &books);
		assert_true(s->windows);
		assert_true(!only || s->fields.n <= (bits + 7) / 8 + 2);
		storage_unpack(s, 0, M, back);
		assert_memory_equal(back, w, M * K);
		for (int k = 0; k < 20; k++) {
			int32_t row = draw(M);
			storage_unpack(s, row, 1, back);
			assert_memory_equal(back, w + row * K, K);
		}
		storage_free(s);
	}
}

static size_t bytes_of(const int8_t *w, int32_t M, int32_t K, StorageKind kind)
{
	return storage_bytes(w, 0, M, K, kind);
}

static void rows_take_their_width(void **state)
{
	(void)state;
	enum { M = 64, K = 400 };
	static int8_t w[M * K];
	assert_in_range(bytes_of(w, M, K, STORE_ROWS), 1, 12);  /* all zero */
	for (int i = 0; i < M * K; i++)
		w[i] = draw(2) ? 1 : -1;
	assert_in_range(bytes_of(w, M, K, STORE_ROWS), M * K / 8, M * K / 8 + 12);
	for (int i = 0; i < M * K; i++)
		w[i] = (int8_t)(2 * draw(4) - 3);
	assert_in_range(bytes_of(w, M, K, STORE_ROWS), M * K / 4, M * K / 4 + 12);
	for (int i = 0; i < M * K; i++)
		w[i] = (int8_t[]){-100, -31, 0, 2, 9, 44, 99, 127}[draw(8)];
	assert_in_range(bytes_of(w, M, K, STORE_ROWS), M * K * 3 / 8, M * K * 3 / 8 + 20);
	for (int i = 0; i < M; i++)             /* half of the rows 2 bits, half 7 */
		for (int k = 0; k < K; k++)
			w[i * K + k] = (int8_t)(i % 2 ? draw(3) - 1 : draw(127) - 63);
	assert_in_range(bytes_of(w, M, K, STORE_ROWS), M * K * 9 / 16, M * K * 9 / 16 + 40);
}

/* As many bits as the entropy of 32 classes of rows, and 1.5 % more at most. */
static void coded_reaches_entropy(void **state)
{
	(void)state;
	enum { M = 3000, K = 300 };
	int8_t *w = mem_new((size_t)M * K);
	float *scale = mem_array(M, sizeof(float));
	for (int i = 0; i < M; i++) {
		scale[i] = (float)(1 + i / 200);
		for (int k = 0; k < K; k++)
			w[i * K + k] = (int8_t)(bell(1 + i / 200 + draw(2)) / (i < 1500 ? 2 : 1));
	}
	double ideal = storage_entropy(w, M, K, 32) / 8;
	Stored *s = storage_pack(w, scale, M, K, STORE_CODED, true, 0);
	assert_in_range(s->bytes, ideal * 0.97, ideal * 1.015);
	storage_free(s);
	memset(w, 0, (size_t)M * K);
	assert_in_range(bytes_of(w, M, K, STORE_CODED), 1, 200);
	free(w);
	free(scale);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_form_comes_back),
		cmocka_unit_test(long_rows),
		cmocka_unit_test(paths_through_books),
		cmocka_unit_test(rows_take_their_width),
		cmocka_unit_test(coded_reaches_entropy),
	};
	return cmocka_run_group_tests(tests, 0, 0);
}

/* gemm.c: see gemm.h.
 *
 * Blocks of A are packed, too, so that one tile of ROWS x GEMM_LANES elements of C reads two contiguous
 * streams and stays in registers: 6 rows of 16 lanes are 12 registers of AVX2, 6 of AVX-512.  No fused
 * multiply-add: machines without it would give other bits. */
#include "passes/gemm.h"
#include "passes/simd.h"
#include "util/mem.h"

#include <stdlib.h>
#include <string.h>

enum { ROWS = 6, BLOCK_ROWS = 40 * ROWS, BLOCK_COLUMNS = 24 * GEMM_LANES };

void gemm_pack(Packed *to, int k, int n, const float *b, size_t by_row, size_t by_column)
{
	int panels = (n + GEMM_LANES - 1) / GEMM_LANES;
	size_t need = (size_t)panels * (size_t)k * GEMM_LANES;
	if (need > to->room) {
		free(to->panel);
		to->panel = mem_array(need, sizeof(float));
		to->room = need;
	}
	to->k = k;
	to->n = n;
	for (int q = 0; q < panels; q++) {
		float *out = to->panel + (size_t)q * (size_t)k * GEMM_LANES;
		int first = q * GEMM_LANES, wide = n - first < GEMM_LANES ? n - first : GEMM_LANES;
		const float *from = b + (size_t)first * by_column;
		if (by_column == 1) {
			for (int p = 0; p < k; p++)
				memcpy(out + p * GEMM_LANES, from + (size_t)p * by_row, (size_t)wide * sizeof *out);
		} else {
			for (int j = 0; j < wide; j++)
				for (int p = 0; p < k; p++)
					out[p * GEMM_LANES + j] = from[(size_t)p * by_row + (size_t)j * by_column];
		}
		for (int p = 0; wide < GEMM_LANES && p < k; p++)
			memset(out + p * GEMM_LANES + wide, 0, (size_t)(GEMM_LANES - wide) * sizeof *out);
	}
}

void gemm_unpack(Packed *p)
{
	free(p->panel);
	*p = (Packed){0};
}

/* ROWS rows of A side by side, rows past m as zeros. */
static void pack_rows(float *to, int m, int k, const float *a, size_t by_row, size_t by_column)
{
	for (int i = 0; i < m; i += ROWS, to += (size_t)ROWS * (size_t)k)
		for (int r = 0; r < ROWS; r++) {
			const float *from = a + (size_t)(i + r) * by_row;
			for (int p = 0; p < k; p++)
				to[p * ROWS + r] = i + r < m ? from[(size_t)p * by_column] : 0;
		}
}

static inline __attribute__((always_inline)) void tile(int k, const float *a, const float *b, Lanes sum[ROWS])
{
	Lanes s0 = {0}, s1 = {0}, s2 = {0}, s3 = {0}, s4 = {0}, s5 = {0};
	for (int p = 0; p < k; p++, a += ROWS) {
		Lanes x = *(const Lanes *)(b + p * GEMM_LANES);
		s0 += x * a[0];
		s1 += x * a[1];
		s2 += x * a[2];
		s3 += x * a[3];
		s4 += x * a[4];
		s5 += x * a[5];
	}
	sum[0] = s0, sum[1] = s1, sum[2] = s2, sum[3] = s3, sum[4] = s4, sum[5] = s5;
}

/* One block: m rows of packed A by n columns of packed B, k deep; panels of B are `stride` floats apart. */
ANY_SIMD
static void block(int m, int n, int k, const float *a, const float *b, size_t stride, float *c, size_t ldc,
        bool add)
{
	for (int j = 0; j < n; j += GEMM_LANES, b += stride) {
		int wide = n - j < GEMM_LANES ? n - j : GEMM_LANES;
		for (int i = 0; i < m; i += ROWS) {
			Lanes sum[ROWS];
			tile(k, a + (size_t)i * (size_t)k, b, sum);
			int rows = m - i < ROWS ? m - i : ROWS;
			for (int r = 0; r < rows; r++) {
				float *to = c + (size_t)(i + r) * ldc + j;
				if (wide == GEMM_LANES) {
					if (add)
						sum[r] += *(Lanes *)to;
					*(Lanes *)to = sum[r];
					continue;
				}
				for (int l = 0; l < wide; l++)
					to[l] = add ? to[l] + sum[r][l] : sum[r][l];
			}
		}
	}
}

void gemm(int m, const float *a, size_t by_row, size_t by_column, const Packed *b, float *c, size_t ldc,
        bool add)
{
	int most_rows = m < BLOCK_ROWS ? (m + ROWS - 1) / ROWS * ROWS : BLOCK_ROWS, most_deep =
	        b->k < GEMM_DEPTH ? b->k : GEMM_DEPTH;
	float *rows = mem_array((size_t)most_rows * (size_t)most_deep + 1, sizeof *rows);
	size_t stride = (size_t)b->k * GEMM_LANES;
	for (int p = 0; p < b->k; p += GEMM_DEPTH) {
		int deep = b->k - p < GEMM_DEPTH ? b->k - p : GEMM_DEPTH;
		for (int i = 0; i < m; i += BLOCK_ROWS) {
			int high = m - i < BLOCK_ROWS ? m - i : BLOCK_ROWS;
			pack_rows(rows, high, deep, a + (size_t)i * by_row + (size_t)p * by_column, by_row, by_column);
			for (int j = 0; j < b->n; j += BLOCK_COLUMNS)
				block(high, b->n - j < BLOCK_COLUMNS ? b->n - j : BLOCK_COLUMNS, deep, rows,
				      b->panel + (size_t)(j / GEMM_LANES) * stride + (size_t)p * GEMM_LANES, stride,
				      c + (size_t)i * ldc + j, ldc, add || p > 0);
		}
	}
	free(rows);
}

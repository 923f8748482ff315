/* gemm.h: products of f32 matrices, the same bits on every machine.
 *
 * Each element is a sum over k in ascending order in one accumulator (in blocks of GEMM_DEPTH, each
 * block's sum then added to the element); vector registers run along the columns, so their width does not
 * show. */
#ifndef GATEFOLD_GEMM_H
#define GATEFOLD_GEMM_H

#include <stdbool.h>
#include <stddef.h>

enum { GEMM_LANES = 16, GEMM_DEPTH = 512 };

/* The right-hand matrix B[k,n] in panels of GEMM_LANES columns. */
typedef struct { int k, n; float *panel; size_t room; } Packed;

/* B[p,j] = b[p * by_row + j * by_column]; keeps the memory of an earlier packing.  Out of memory ends the
 * program. */
void gemm_pack(Packed *to, int k, int n, const float *b, size_t by_row, size_t by_column);
void gemm_unpack(Packed *p);                            /* frees it */

/* C[m,n] = A B, or with add: C + A B.  A[i,p] = a[i * by_row + p * by_column]; rows of C are ldc elements
 * apart. */
void gemm(int m, const float *a, size_t by_row, size_t by_column, const Packed *b, float *c, size_t ldc,
        bool add);

#endif

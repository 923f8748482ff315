/* linalg.h: the little linear algebra that rounding needs.  Row-major doubles; sums in a fixed order, + - * / and square
 * roots only: the same bits on every machine. */
#ifndef GATEFOLD_LINALG_H
#define GATEFOLD_LINALG_H

#include <stdbool.h>
#include <stddef.h>

/* sum[n,n] += X'X for `rows` rows of x, each of n floats; the lower triangle only. */
void moments_add(double *sum, int n, const float *x, int rows);
void mirror(double *sum, int n);                /* lower triangle -> upper */
/* In place of h, symmetric and positive definite: the upper U with U'U = inverse of h.  false: h is not definite. */
bool inverse_factor(double *h, int n);
/* y[rows] = w[rows,n] x + b (b may be 0), in floats: rough sums for statistics. */
void product_f32(const float *w, int rows, int n, const float *x, const float *b, float *y);
double dot(const double *a, const double *b, int n);
double rms(const double *x, size_t n);          /* root mean square */
void axpy(double *y, double a, const double *x, int n);         /* y += a x */

#endif

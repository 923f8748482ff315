/* reconstruct_math.h: functions of many floats, the same bits on every machine: only + - * / and square
 * roots, no libm. */
#ifndef GATEFOLD_RECONSTRUCT_MATH_H
#define GATEFOLD_RECONSTRUCT_MATH_H

#include <stddef.h>

/* Relative error of exp below 2e-7; arguments are cut to -87 .. 88.  sigmoid and tanh: absolute error
 * below 3e-7. */
void many_exp(float *y, const float *x, size_t n);
void many_sigmoid(float *y, const float *x, size_t n);
void many_tanh(float *y, const float *x, size_t n);

/* y = softmax(x) over n elements (y may be x); returns log of the sum of exp(x). */
double softmax_row(float *y, const float *x, size_t n);
double exact_log(double x);             /* x > 0; relative error below 1e-12 */

/* y += x, y += a * x, y += a * b */
void many_add(float *y, const float *x, size_t n);
void many_add_scaled(float *y, float a, const float *x, size_t n);
void many_add_products(float *y, const float *a, const float *b, size_t n);

/* What a product with integers of a given scale sees of x: round(x / scale) within lo .. hi, times scale. */
void many_round(float *y, const float *x, size_t n, float scale, float lo, float hi);

#endif

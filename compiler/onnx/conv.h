/* conv.h: convolutions as ops_conv.c emits them, and what others ask of them. */
#ifndef GATEFOLD_ONNX_CONV_H
#define GATEFOLD_ONNX_CONV_H

#include "onnx/import.h"

enum { MAX_SPACE = (MAX_RANK - 2) / 2 };        /* axes a window may have */

/* Attributes that Conv, ConvTranspose and the pools share: a number for each axis behind the first two. */
typedef struct {
	int n;
	int64_t kernel[MAX_SPACE], stride[MAX_SPACE], dilation[MAX_SPACE], lo[MAX_SPACE], hi[MAX_SPACE];
} Space;

/* kernel: the size of the weights' axes, or 0: attribute kernel_shape gives it.  Padding by auto_pad is
 * worked out for x, but for a transposed convolution. */
bool space_read(Node *n, const Shape *x, const int64_t *kernel, bool transposed, Space *s);
bool entries_read(Node *n, const char *name, int count, int64_t least, int64_t otherwise, int64_t *v);

/* One convolution.  The weights are kept as constants [M, C/groups, kernel..], for a transposed one too. */
typedef struct Conv {
	Value *x, *w;           /* w for its name */
	Space space;
	int64_t groups, C, M, K;        /* C: channels of one group; K: elements of the kernel */
	bool transposed;
	int64_t more[MAX_SPACE];        /* transposed: output_padding */
	float *weight, *bias;   /* bias 0: none */
	Val *val;               /* the result */
	Op *first;              /* the first op emitted for it, up to val's */
	struct Conv *next;
} Conv;

/* y = (conv of x) * scale[m] + shift[m], when x is the result of a convolution that nothing else reads;
 * 0: it is not (or fail() was called). */
Val *conv_scaled(Node *n, const Value *x, const float *scale, const float *shift);

/* ops_pad.c: v with elements around it; lo, hi < 0 take some away. */
Val *emit_pad(Node *n, Val *v, const int64_t *lo, const int64_t *hi, const char *mode, float value);

#endif

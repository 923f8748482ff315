/* infer.h: what the files of result types share. */
#ifndef GATEFOLD_IR_INFER_H
#define GATEFOLD_IR_INFER_H

#include "ir/ir.h"

typedef struct {
	Module *m;
	const Op *o;
	const Type **out;
	char *err;
	size_t nerr;
} Infer;

int infer_fail(const Infer *x, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
const Type *infer_in(const Infer *x, int i);    /* type of operand i; 0 when omitted */
Elem plain_elem(const Type *t);                 /* f32 for quantized values */
int infer_one(const Infer *x, Elem e, int rank, const int32_t *dim);
/* The common shape of n shapes, leading axes broadcast; rank -1 when there is none. */
int broadcast(const int32_t *a, int na, const int32_t *b, int nb, int32_t *to);
bool infer_axis(const Infer *x, const char *name, int64_t otherwise, int rank, int *axis);

int infer_recurrent(const Infer *x);
int infer_linear(const Infer *x);
int infer_matmul(const Infer *x);
int infer_scan(const Infer *x);
int infer_conv(const Infer *x);
int infer_pad(const Infer *x);
int infer_pick(const Infer *x);
int infer_argmax(const Infer *x);
int infer_call(const Infer *x);

#endif

/* linear.h: one integer linear op on its way to a kernel. */
#ifndef GATEFOLD_LINEAR_H
#define GATEFOLD_LINEAR_H

#include "lower/lower.h"

typedef struct {
	const Type *x, *y;      /* of the operand and the result */
	Data *W;                /* [M,K] integers, one weight an element */
	Val *b;                 /* bias data, addend value, or 0 */
	int64_t M, K;
	int bshift;             /* the addend's integers are shifted left by this into the accumulator */
	double bound;           /* of |accumulator|, at every partial sum */
	bool wide;              /* 64-bit accumulator */
	const double *ratio;    /* accumulator scale / result scale, for each row */
	const char *name;       /* for what is made on the way */
	/* stored weights (stored.h) */
	int32_t nscale;         /* fin's second argument is one of so many scales instead of a row; 0: a row */
	const int32_t *scale_row;       /* a row that has the scale */
	bool expanded;          /* W lies in the state: nothing to pack */
} Linear;

int64_t data_int(const Data *d, int64_t i);             /* element i of integer data */
/* From an op with integer operands x, W and perhaps a bias; false when the bias's scale does not fit, or 64 bits do not suffice. */
bool linear_init(Linear *n, const Op *o, const char *name);
Func *linear_kernel_f32(Frame *fr, int64_t M, int64_t K);
Val *linear_zero_bias(Frame *fr, Elem e, int32_t M);    /* for an op that has none */
/* acc, row -> stored result; on `lanes` rows at a time. */
Func *linear_fin(Lower *l, const Linear *n, int lanes);
/* How cells of the x86 bodies lie (pack.c). */
typedef struct { int rows; int64_t M, quads, groups, singles, group_bytes, cell_bytes, bytes; } Cells;
Cells cells_of(const Data *W, int bits);
Data *pack_cells(Lower *l, const Data *W, int bits);
/* linear_x86.c: the kernel in cells, or 0 when the op is none for them; *padded: columns x must have. */
Func *cells_kernel(Frame *fr, const Linear *n, Val **W, int64_t *padded);
bool cells_fit(Lower *l, const Linear *n);
/* Both products of a cell: (x row, W, b, h row, R, turn, y row). */
Func *pair_kernel(Frame *fr, const Linear *x, const Linear *h, Val **W, Val **R, int64_t *kx, int64_t *kh);
/* linear_pair.c: is o the first of a pair, to be emitted with the second?  Was o emitted as the second of one? */
bool linear_put_off(Frame *fr, Op *o);
bool linear_pair(Frame *fr, Op *o);
Val *padded_row(Frame *fr, Val *row, int64_t n);        /* linear.c */
/* linear_kernels.c: the kernel for these types and this body; *W becomes the packed weights.  Kernel
 * signature: (x row, packed W, b row, y row); *padded: how long a row of x it reads, zeros behind K.
 * 0 with a fault in l->d. */
Func *linear_kernel(Frame *fr, const Linear *n, Val **W, int64_t *padded);
/* pack.c: weights as kernels read them; the same packed data for the same source data. */
bool pack_is_odd(const Data *W);                        /* weights of few bits that are all odd: v is kept as (v - 1) / 2 */
int pack_width(const Data *W);                          /* bits of a field: the type's, or one less when all are odd */
/* linear_kernels.c: the function that reads W's packed fields. */
Func *field_function(Lower *l, const Data *W, int nsym, const Sym *sym);
Data *pack_bits(Lower *l, const Data *W, int bits);     /* rows of `bits`-wide fields, low bits first, u8[M, bytes+1] */
Data *pack_plain(Lower *l, const Data *W);              /* i8 or i16 elements as they are */

#endif

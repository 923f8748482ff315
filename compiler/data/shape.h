/* shape.h: an array of a data set beside the input it is for. */
#ifndef GATEFOLD_SHAPE_H
#define GATEFOLD_SHAPE_H

#include "ir/ir.h"
#include "util/diag.h"
#include "util/tensor.h"

/* Has an array with these dimensions the elements of a tensor of type t, in the same order?  Axes of one element
 * may be missing or be there in excess.  *steps: what T is; untouched when t has no T. */
bool shape_fits(const Type *t, int rank, const int64_t *dim, int64_t *steps);
int time_axis(const Type *t);                   /* the axis that is T; -1: none */
void dims_at(const Type *t, int64_t steps, int64_t *dim);      /* t's dimensions with T = steps */
const char *shape_text(int rank, const int64_t *dim, char *buf, size_t n);      /* "[3, 1]"; -1 is T */

/* All elements in the form that t's values have outside: f32 for reals (also those a quantized type stands
 * for), i32 for plain integers; same shape.  0 when an element would change, with the fault in d. */
Tensor *tensor_for(const Type *t, const Tensor *from, const char *what, Diag *d);
/* Elements at .. at + n - 1 along an axis. */
Tensor *tensor_slice(const Tensor *t, int axis, int64_t at, int64_t n);
void tensor_reshape(Tensor *t, int rank, const int64_t *dim);   /* as many elements */

#endif

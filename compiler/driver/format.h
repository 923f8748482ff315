/* format.h: types in words. */
#ifndef GATEFOLD_FORMAT_H
#define GATEFOLD_FORMAT_H

#include "ir/ir.h"

/* "i8 Q2.5" for powers of two, "i8 * 0.0123" for other scales, "i4 * rows", else the type itself.  Returns
 * buf. */
const char *format_text(const Type *t, char *buf, size_t n);
const char *dims_text(const Type *t, char *buf, size_t n);      /* "[1,T,16]" */

#endif

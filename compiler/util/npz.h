/* npz.h: numpy's arrays on disk: .npy is one array, .npz a zip file of them.  Both are untrusted input. */
#ifndef GATEFOLD_NPZ_H
#define GATEFOLD_NPZ_H

#include "util/diag.h"
#include "util/tensor.h"

#include <stdio.h>

typedef struct { Tensor **t; int n; } Npz;      /* named; a .npy has one named "" */

/* Booleans, integers and f2 f4 f8 of any byte order, C or Fortran order.  At most NPZ_MOST bytes of
 * elements in all.  false with the faults in d. */
#define NPZ_MOST ((size_t)1 << 30)
bool npz_read(const char *path, Npz *z, Diag *d);
const Tensor *npz_find(const Npz *z, const char *name);
void npz_free(Npz *z);

/* Stored without compression and without dates: same arrays, same bytes. */
bool npz_write(FILE *f, Tensor *const *t, int n, const char *path, Diag *d);

/* npy.c: one array.  p holds n bytes; the tensor gets `name`.  0 with a reason in err. */
Tensor *npy_parse(const char *name, const unsigned char *p, size_t n, const char **err);
/* header and elements, malloc'ed */
unsigned char *npy_bytes(const Tensor *t, size_t *n);

#endif

/* size.h: what a module's constants weigh. */
#ifndef GATEFOLD_SIZE_H
#define GATEFOLD_SIZE_H

#include "ir/ir.h"

/* Bytes of every constant that is shipped: elements packed at their width (the bytes as stored at loop level),
 * scales of rows, code books. */
size_t module_bytes(const Module *m);
/* Elements of the trained constants: everything ops read, scales and code books not counted. */
int64_t module_parameters(const Module *m);

#endif

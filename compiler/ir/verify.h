/* verify.h: what the verify*.c files share. */
#ifndef GATEFOLD_IR_VERIFY_H
#define GATEFOLD_IR_VERIFY_H

#include "ir/ir.h"

typedef struct {
	Module *m;              /* only types are added to it */
	Arena *tmp;
	const Func *f;          /* what is being looked at, for messages */
	const Op *o;
	Val **visible;          /* by id: the value that is in scope */
	const void **data;      /* every Data of the module, sorted by address */
	size_t ndata;
	const Func **funcs;     /* every Func, sorted by address */
	size_t nfuncs;
	char *err;
	size_t nerr;
} Verify;

/* Writes the first fault; always false. */
bool fault(Verify *v, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

bool verify_func(Verify *v, const Func *f);             /* verify_func.c */
bool verify_calls(Verify *v);                           /* verify_calls.c */
size_t func_index(const Verify *v, const Func *f);      /* in v->funcs */
bool verify_writes(Verify *v);                          /* verify_writes.c */
bool verify_tensor_op(Verify *v, const Op *o);          /* verify_tensor.c */
bool verify_loop_op(Verify *v, const Op *o, const Op *loop);    /* verify_loop.c; loop: the for around o */
bool verify_entries(Verify *v);                         /* verify_entry.c */
bool is_member(const void *p, const void *const *sorted, size_t n);
bool plain_floats(const Data *d);                       /* f32[n] */
const Val *time_param(const Func *f);                   /* %T, or 0 */
Elem memory_elem(const Type *t);                        /* of a reference, or of data used as one */

#endif

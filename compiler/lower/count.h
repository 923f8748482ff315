/* count.h: how many operations of the loop level a call executes. */
#ifndef GATEFOLD_COUNT_H
#define GATEFOLD_COUNT_H

#include "ir/ir.h"

/* Counted are loads, stores, arithmetic, views and calls, an op on n lanes as n, and each turn of a loop as one; not what
 * only names things: alloc, ret, yield. */
typedef struct {
	int64_t all, loads, stores, products;
	bool bound;             /* some loop's turns depend on data: these are the most there can be */
	bool unknown;           /* .. and for one of them nothing is known: do not use */
} OpCount;

/* f with everything it calls, T = steps. */
OpCount count_executed(const Func *f, int32_t steps);
/* A step of the portable program of a lowered module, or where it has none a run at T = 1. */
OpCount count_portable(const Module *m, bool *step);

bool op_is_counted(OpKind k);
void count_op(OpCount *n, OpKind k, int64_t often);     /* O_for: turns */

#endif

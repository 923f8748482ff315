/* explain.h: the integer arithmetic of single ops, for whoever builds the same elsewhere. */
#ifndef GATEFOLD_EXPLAIN_H
#define GATEFOLD_EXPLAIN_H

#include "ir/ir.h"
#include "options.h"
#include "util/diag.h"

typedef enum {
	EXPLAIN_MOVE,           /* elements are only moved */
	EXPLAIN_ELEMENT,        /* func: an element of each operand -> the element of the result */
	EXPLAIN_LINEAR,         /* func: accumulator, row -> the element of the result */
	EXPLAIN_OTHER           /* see the loops that lower makes of it */
} ExplainKind;

typedef struct {
	const Op *op;           /* of the module explained */
	ExplainKind kind;
	const Func *func;
	int accumulator_bits;   /* linear: 32 or 64 */
	double bound;           /* linear: of |accumulator|, at every partial sum */
	int addend_shift;       /* linear: the third operand's integers are shifted left by this */
} Explained;

/* What lower does, portable body, with the elements of each op of m (quantized, tensor level), in order of
 * functions and ops: *list, in the arena of the answer, a module of the loop functions named there, what
 * they call, and their data.  0 with the fault in d. */
Module *explain(const Module *m, const Options *opt, Explained **list, int *n, Diag *d);

#endif

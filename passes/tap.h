/* tap.h: look inside a module while it runs. */
#ifndef GATEFOLD_TAP_H
#define GATEFOLD_TAP_H

#include "ir/ir.h"

typedef struct {
	const char *name;       /* "step.lstm_0_c1": function and value; at a second call site: "..._1" */
	const Func *func;       /* of the module that was copied */
	const Val *val;
	bool stepped;           /* the output has one more axis, the first: steps */
	int port;               /* which output of the copy */
} Tap;

/* Is v worth looking at: a parameter of @main, or the result of an op that computes (not: scan, call,
 * reshape, transpose, slice, expand)? */
bool is_tapped(const Func *f, const Val *v);
bool only_moves(OpKind k);                      /* reshape transpose slice expand */
/* All of them by name, "step.lstm_0_c1", functions and ops in order; in m's arena. */
const char **tapped_names(Module *m, int *n);

/* A copy of m (tensor level) with the named values (any of a function: states, too, as they are before the
 * step) as further outputs: those of a scanned function stacked over its steps.  @step becomes part of
 * @main (the copy has no step entry).  *tap: in m's arena, in the order of the outputs. */
Module *tap_module(Module *m, const char *const *names, int nnames, Tap **tap, int *ntap);

#endif

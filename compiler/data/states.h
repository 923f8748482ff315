/* states.h: which input is the state that an output hands on?  Models exported for streaming take h0 and
 * give hn.  A pair has the same shape and element, and either was named with --state IN=OUT or its
 * names have one stem once these are taken off:
 *	inputs	initial_X init_X prev_X past_X in_X; X_initial X_init X_prev X_past X_in X_0 X0, or X alone
 *	outputs	final_X next_X new_X present_X out_X Y_X; X_final X_next X_new X_out X_n Xn XN X_1, or X alone
 * Data sets carry a pair's state only when they have no array for its input. */
#ifndef GATEFOLD_STATES_H
#define GATEFOLD_STATES_H

#include "ir/ir.h"
#include "options.h"
#include "util/diag.h"

/* pair[i]: the output that input i carries on from, or -1.  false when a --state does not fit. */
bool state_pairs(const Module *m, const Options *opt, int *pair, Diag *d);
/* The pairs that --state asks for become states of @main. */
bool states_of(Module *m, const Options *opt, Diag *d);
int nports(const Port *p);

#endif

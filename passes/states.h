/* states.h: state inputs and outputs become states. */
#ifndef GATEFOLD_STATES_BIND_H
#define GATEFOLD_STATES_BIND_H

#include "ir/ir.h"
#include "util/diag.h"

/* pair[i]: the output that input i carries on from, or -1.  States start from zeros. */
bool states_bind(Module *m, const int *pair, Diag *d);

#endif

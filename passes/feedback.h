/* feedback.h: which weights are rounded with error feedback, and the name of their moments. */
#ifndef GATEFOLD_FEEDBACK_H
#define GATEFOLD_FEEDBACK_H

#include "ir/ir.h"
#include "options.h"

bool feedback_wants(const Op *o, const Options *opt);           /* a linear whose weights it rounds */
const char *moments_name(Module *m, const Data *W);             /* f32[K+1,K+1], left by observe */

#endif

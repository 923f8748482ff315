/* runner.h: run a module on samples.  Real values go in and come out; quantizing at the boundary, state
 * inputs and outputs, and the passes that are still to run are taken care of here. */
#ifndef GATEFOLD_RUNNER_H
#define GATEFOLD_RUNNER_H

#include "data/dataset.h"
#include "exec/exec.h"
#include "ir/ir.h"
#include "options.h"
#include "util/diag.h"
#include "util/tensor.h"

typedef struct Runner Runner;

/* Clone m, run the passes it still needs (with opt->integer: observe and quantize, too) and open the
 * executor opt->exec.  -p, dumps and timing of opt are not for this run and are ignored.
 * 0 with the faults in d. */
Runner *runner_open(const Module *m, const Options *opt, Diag *d);
/* The same for a tensor level module that no further tensor pass is to touch: lower and plan only. */
Runner *runner_open_as_is(const Module *m, const Options *opt, Diag *d);
void runner_close(Runner *r);

const Module *runner_module(const Runner *r);   /* the lowered, planned clone */
Exec *runner_exec(Runner *r);

/* One sample; resets first when it is fresh.  false with the fault in d. */
bool runner_run(Runner *r, const Sample *s, Diag *d);
/* Output i of the last run: real values (f32) or plain integers (i32).  Belongs to r; valid until the next run. */
const Tensor *runner_output(Runner *r, int i);
/* The same as stored (elements of port i's type), *n bytes. */
const void *runner_raw(Runner *r, int i, size_t *n);
/* The bytes of a slot of the model's state, by name ("main.seen"); 0: there is none. */
void *runner_slot(Runner *r, const char *name, const Type **type);

#endif

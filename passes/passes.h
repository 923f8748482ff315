/* passes.h: run passes over a module.  passes.def lists them in pipeline order. */
#ifndef GATEFOLD_PASSES_H
#define GATEFOLD_PASSES_H

#include "ir/ir.h"
#include "options.h"
#include "util/diag.h"

typedef struct {
	const char *name;
	Level from, to;
	bool (*run)(Module *m, const Options *opt, Diag *d);    /* false: faults in d */
	const char *doc;
} Pass;

extern const Pass passes[];
extern const int npasses;
const Pass *pass_find(const char *name);

#define PASS(name, from, to, doc) bool pass_##name(Module *m, const Options *opt, Diag *d);
#include "passes.def"
#undef PASS

/* Run what opt asks for (all passes by default; observe and quantize only with opt->integer), verify after each, dump and time as asked.
 * stop: name of the last pass to run, or 0.  m->done-style bookkeeping is not needed: a pass that finds nothing to do changes nothing. */
bool passes_run(Module *m, const Options *opt, const char *stop, Diag *d);

/* The names of the pipeline's passes behind `after` (0: from the first) up to `last`, "a,b,c".  Returns buf. */
const char *passes_between(const char *after, const char *last, char *buf, size_t n);

bool module_is_quantized(const Module *m);

#endif

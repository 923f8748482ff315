/* output.h: the forms that compile writes. */
#ifndef GATEFOLD_OUTPUT_H
#define GATEFOLD_OUTPUT_H

#include "driver/driver.h"
#include "emit/emit.h"
#include "util/file.h"

typedef struct {
	const char *suffix;
	bool lowered;           /* needs the loop level, planned */
	bool header;            /* writes NAME.h beside, NAME being the module's */
	bool llvm;
	bool (*write)(const Module *m, const EmitInfo *info, const char *path, Outputs *o, Diag *d);
} OutputForm;

/* By the suffix of path, where "-.c" is C to standard output.  0 with the fault in d. */
const OutputForm *output_form(const char *path, Diag *d);
bool output_write(const OutputForm *form, const Module *m, const EmitInfo *info, const char *path, Diag *d);

#endif

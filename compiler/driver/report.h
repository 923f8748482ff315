/* report.h: a quantized model for whoever builds it in hardware: formats, arithmetic, weight images,
 * golden vectors. docs/report.md describes the files. */
#ifndef GATEFOLD_REPORT_H
#define GATEFOLD_REPORT_H

#include "ir/ir.h"
#include "options.h"
#include "util/diag.h"

typedef struct cJSON cJSON;

/* Write the report on m (quantized, tensor level; read only but for its arena) into the folder `dir`,
 * which is made. Golden vectors come from the first steps of opt->calib, if there is one.  false with the
 * faults in d. */
bool report_write(Module *m, const Options *opt, const char *dir, Diag *d);

/* report_hex.c: the integers of a tensor as $readmemh reads them: one element a line, two's complement in
 * as many hex digits as its bits need, row-major.  Elements are stored ones.  false: it cannot be written
 * (told in d). */
bool report_hex(const char *dir, const char *folder, const char *name, const Type *t, const void *stored,
                int64_t count,
                Diag *d);
char *report_path(const char *folder, const char *name);        /* "data/W.hex"; malloc'ed */

/* report_json.c: what is known without running */
cJSON *report_format(const Type *t);            /* bits, signed, scale, .. */
cJSON *report_shape(const Type *t);
void report_model(const Module *m, const Options *opt, cJSON *to, const char *dir, Diag *d);

/* report_golden.c */
void report_golden(Module *m, const Options *opt, cJSON *to, const char *dir, Diag *d);

#endif

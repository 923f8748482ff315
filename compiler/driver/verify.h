/* verify.h: what verify keeps while it goes through folders. */
#ifndef GATEFOLD_VERIFY_H
#define GATEFOLD_VERIFY_H

#include "driver/driver.h"
#include "util/json.h"

typedef struct {
	const Command *c;
	const char *folder, *set;       /* the current ones */
	const Options *opt;             /* the current data set's */
	char *bound;                    /* inputs bound to what the data set has: "sr=16000"; 0: none */
	char *reason;                   /* why the folder's last data set was refused */
	bool folder_failed, folder_refused;
	int passed, failed, refused;    /* folders */
	int outputs;                    /* compared */
	cJSON *json, *rows;             /* 0: plain text */
} Verify;

/* verify_import.c: the model with the data set's dimensions; opt becomes what it is to be run with, until
 * import_done.  0 with the faults in d. */
Module *import_for(Verify *v, Options *opt, const char *model, const char *set, Diag *d);
void import_done(Verify *v, Options *opt);
char *diag_text(const Diag *d);                 /* as printed; malloc'ed */

#endif

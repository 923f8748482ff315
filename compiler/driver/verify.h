/* verify.h: what verify keeps while it goes through folders. */
#ifndef GATEFOLD_VERIFY_H
#define GATEFOLD_VERIFY_H

#include "driver/driver.h"
#include "util/json.h"

typedef struct {
	const Command *c;
	const char *folder, *set;       /* the current ones */
	char *bound;                    /* inputs bound to what the data set has: "sr=16000"; 0: none */
	char *reason;                   /* why the folder's last data set was refused */
	bool folder_failed, folder_refused;
	int passed, failed, refused;    /* folders */
	int outputs;                    /* compared */
	cJSON *json, *rows;             /* 0: plain text */
} Verify;

#endif

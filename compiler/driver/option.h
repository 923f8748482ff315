/* option.h: the table that options.def becomes. */
#ifndef GATEFOLD_OPTION_H
#define GATEFOLD_OPTION_H

#include "driver/driver.h"

typedef struct {
	const char *name;
	char letter;                    /* -o; or 0 */
	const char *argument;           /* what follows; 0: nothing */
	bool (*set)(Command *c, void *field, const char *text);
	size_t field;
	int commands;
	const char *help;
} OptionRow;

extern const OptionRow options[];
extern const int noptions;

#endif

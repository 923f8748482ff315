/* widths.h: how many bits the rows of a weight matrix get. */
#ifndef GATEFOLD_WIDTHS_H
#define GATEFOLD_WIDTHS_H

#include "ir/ir.h"
#include "options.h"
#include "util/diag.h"

typedef struct {
	int least, most;
	const uint8_t *row;     /* of each row, where they differ; else 0 */
} Widths;

/* W's by --weights and its rules, the last match wins. */
Widths weights_widths(Module *m, const Options *opt, const Data *W);
/* The gates whose rows W holds, a letter for each equal part, by the `gates` of a linear that reads it: "iofc", "zr", "h"; or 0. */
const char *gates_of(const Module *m, const Data *W);
/* Is the pattern one of gates' rows, NAME:GATE?  Names of tensors and values have no colon. */
bool is_gate_rule(const char *pattern);
/* Faults where rules name rows that are not there, or widths that the rows cannot have. */
void widths_check(Module *m, const Options *opt, Diag *d);

#endif

/* budget.h: what the files of `gatefold explore --budget` share. */
#ifndef GATEFOLD_BUDGET_H
#define GATEFOLD_BUDGET_H

#include "driver/sensitivity.h"

enum { START_BITS = 8, LEAST_BITS = 2 };        /* of weights */

typedef struct { int64_t bytes, ram, ops; } Amounts;

/* Widths of everything but weights, and how stored weights are read. */
typedef struct {
	int activations, state, gates;  /* 0: the default */
	bool once;
} Values;

typedef struct {
	const Command *c;
	Module *base;           /* as imported */
	Module *floats;         /* with ranges: calibrated once for all */
	Reference *r;
	Amounts limit;          /* 0: none */
	/* what may have a width of its own: tensors, or gates' rows */
	const Sensitive **item;
	int n, *bits;
	bool *held;             /* the user's own rule says it */
	Values values;
	/* of the model that these give */
	Amounts has;
	bool ops_bound;         /* has.ops is the most there can be */
	double loss;            /* in integers, on calibration data */
	Diag *d;
} Budget;

/* budget_model.c */
Options budget_options(const Budget *b);        /* its rules are to be freed */
/* Compile: has, and the loss where asked for.  false with the faults in d. */
bool budget_compile(Budget *b, bool loss);
void budget_items(Budget *b, const Sensitivity *s, bool gates);
void budget_free_items(Budget *b);

/* budget_values.c: values that fit RAM and operations, those of the least loss first */
typedef struct { Values values; Amounts has; double loss; } Candidate;
Candidate *budget_values(const Budget *b, int *n);

/* budget_table.c */
typedef struct {
	int64_t bytes[START_BITS + 1], ops[START_BITS + 1];     /* by bits, beyond what is least */
	double loss[START_BITS + 1];
	bool may[START_BITS + 1];
} Choice;
/* Widths of the least loss in all whose sums stay within the limits (negative: no limit); false: there are none. */
bool choose_widths(const Choice *choice, int n, int64_t bytes, int64_t ops, int *bits);

/* budget_weights.c: widths of weights within bytes and operations, for the first of the candidates for which there are some */
bool budget_weights(Budget *b, const Candidate *list, int n);

#endif

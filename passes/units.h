/* units.h: weights that are rounded together.
 *
 *	sum	linears whose results are added up through their third operands, %gx = linear %x, $W, $b and
 *		%g = linear %h, $R, %gx: one matrix [W R] against v = (x, h), so that R takes up errors of W
 *	table	rows that a gather picks, against the sum of W'W of the linears that read them
 * A unit's level is one more than that of what its inputs are computed from; states count as 0: the order of the data flow. */
#ifndef GATEFOLD_UNITS_H
#define GATEFOLD_UNITS_H

#include "ir/ir.h"
#include "options.h"

enum { MAX_PARTS = 4, MAX_COLUMNS = 2048 };

typedef struct Unit {
	Func *func;
	int n;                  /* parts */
	Op *op[MAX_PARTS];      /* sum: linears, the one that holds the bias first; table: a gather */
	Data *data[MAX_PARTS];
	int at[MAX_PARTS];      /* first column of the part */
	int M, K;               /* rows; columns of all parts */
	int level;
	bool table;
	Op **reader;            /* table: the linears that read its rows; 0: others read them as well */
	int nreader;
	bool classes;           /* its rows are classes: the result is an output, or goes into softmax or argmax */
	struct Unit *next;      /* by level */
} Unit;

typedef int (*WidthOf)(const Data *d, const void *arg);        /* 0: these weights are not to be rounded here */
Unit *units_find(Module *m, WidthOf width, const void *arg);
/* The same unit in a copy of its module. */
Unit unit_in(Module *copy, const Unit *u);
/* The parameter of @main that index v of @f stands for (through reshape, slices of scans, calls), or -1. */
int units_port(const Module *m, const Func *f, const Val *v);

#endif

/* usage.h: what the executors ask about a loop level function before they write or run it. */
#ifndef GATEFOLD_USAGE_H
#define GATEFOLD_USAGE_H

#include "ir/ir.h"

typedef struct Usage Usage;

struct Usage {
	const Func *func;
	bool *live;             /* by value id: does an effect depend on it? */
	bool *written;          /* by value id, references: is it stored to, here or in a callee? */
	Usage *next;
};

/* The usage of f; those of f and all its callees are added at the end of *list, callees first, each once. */
Usage *usage_of(Usage **list, Arena *a, const Func *f);

bool is_live(const Usage *u, const Val *v);
bool op_is_live(const Usage *u, const Op *o);   /* has effects or live results: must be written out */
bool is_written(const Usage *u, const Val *v);

#endif

/* roll.h: a recurrence that was written out step by step, as roll.c finds it and roll_build.c writes it. */
#ifndef GATEFOLD_ROLL_H
#define GATEFOLD_ROLL_H

#include "passes/passes.h"

typedef enum { LEAF_SAME, LEAF_SLICE, LEAF_STACK } LeafKind;

/* One value for each step, v[0 .. steps). */
typedef struct Tuple {
	Val **v;
	enum { TUPLE_OP, TUPLE_STATE, TUPLE_LEAF } what;
	LeafKind leaf;
	struct Tuple **in;      /* TUPLE_OP: operand tuples (0: omitted) */
	struct Tuple *next_state;       /* TUPLE_STATE: the op tuple whose value at step i is this one's at i + 1 */
	Val *source;            /* LEAF_SLICE: v[i] is slice of source along axis at first + i * stride */
	int axis;
	int64_t first, stride;
	Val *made;              /* the value of the step function that stands for it */
	struct Tuple *next;
} Tuple;

typedef struct Roll {
	Module *m;
	Func *f;                /* @main */
	int steps;
	Tuple *tuples, *last;   /* in order of discovery */
	Val **first_state;      /* of the seed: v[0 .. steps] are its values before each step and after the last */
	Tuple *seed;
	const char *name;       /* of the weights that led here */
} Roll;

/* Replace the written-out steps by a scan.  false and nothing changed when that is not possible. */
bool roll_build(Roll *r, int number);

#endif

/* interp.h: a loop-level function made ready to be interpreted.
 *
 * There is no recursion at loop level, so every value of every function has one fixed cell, and an
 * instruction points straight at the cells it reads and writes. */
#ifndef GATEFOLD_INTERP_H
#define GATEFOLD_INTERP_H

#include "exec/exec.h"

typedef struct {                /* a reference: exactly the elements its type speaks of */
	uint8_t *p;
	int64_t size;           /* bytes */
	bool constant;          /* data or a model input: no stores */
} Ref;

typedef union {                 /* any value */
	int8_t b[MAX_LANE_BYTES];
	int16_t h[MAX_LANE_BYTES / 2];
	int32_t w[MAX_LANE_BYTES / 4];
	int64_t l[MAX_LANE_BYTES / 8];
	float s[MAX_LANE_BYTES / 4];
	Ref ref;
} Cell;

typedef struct Code Code;
typedef struct Insn Insn;

typedef struct {                /* how many elements a type has: dimensions point at a number or at %T */
	Elem elem;
	int size;               /* bytes of an element */
	int rank;
	const int32_t *dim[MAX_RANK];
} Shape;

typedef struct {                /* load, store, view: which element of in[0] */
	Shape shape;            /* of in[0] */
	Shape view;             /* of the result of a view */
	int nidx;
	const Cell *idx[MAX_RANK];
	bool gather;            /* the last index has a lane for each lane of the value */
	char klass;             /* of the value: b h w l s */
	bool aligned;           /* a view must be aligned to its elements */
} Place;

typedef struct {
	Insn *body;
	int ncarry;
	Cell *counter, **arg, **out, *hold;
	const Cell **init, **next;
} Loop;

typedef struct {
	Code *callee;
	const Cell **arg;
} Call;

struct Insn {                   /* a list of them ends with O_NONE */
	uint8_t kind, lanes, unit;
	uint8_t stride[3];      /* 0: one lane stands for all */
	Cell *out;
	const Cell *in[3];
	union { const Place *place; const Loop *loop; const Call *call; const Shape *alloc; } u;
	const Op *op;           /* for messages */
};

struct Code {
	const Func *func;
	Insn *first;
	Cell *cell;             /* of each value, by id */
	Shape *param;           /* of reference parameters */
	const bool *written;    /* of each value, by id: is it stored to? */
	const Cell *result;
	bool done;              /* false while it is being made: a call then is recursion */
	Code *next;
};

typedef struct Held Held;         /* interp_run.c */

typedef struct {
	const Module *m;
	Arena *arena;
	Code *codes;
	struct Usage *usage;
	Held *held;             /* what `alloc` gave out, newest first */
	Code *reset, *step, *run;
	const char *body;
	uint32_t body_index;
	char err[400];
	bool reset_failed;              /* err says why; nothing runs then */
	int64_t executed[N_OPS];        /* how often an op of each kind ran, each lane for itself; O_for: turns */
} Interp;

char reg_letter(const Type *t);         /* b h w l s */

/* decode.c.  0 with the reason in in->err. */
Code *decode(Interp *in, const Func *f);

/* interp_run.c.  Parameters are in their cells; false with the reason in in->err. */
bool interp_enter(Interp *in, Code *c);
int64_t shape_size(const Shape *s);     /* bytes */

#endif

/* gen.h: what the parts of the program generator share.
 *
 *	generate.c	modules, functions, loops, calls
 *	gen_values.c	registers and the rows of ops.def
 *	gen_memory.c	loads, stores, views */
#ifndef TEST_GEN_H
#define TEST_GEN_H

#include "random/generate.h"

enum {
	SINK = 256, STATE = SINK, SCRATCH = 2048, SCRATCH_STEP = 64,
	KERNELS = 4, MAX_REGS = 400, MAX_REFS = 64, MAX_COUNTERS = 16, MAX_PARAMS = 10,
	MAX_OPS = 14,           /* of a block */
	MAX_DEPTH = 3, MAX_CALLS = 6,
};

typedef struct { Val *v; int root; bool writable; } Memory;
typedef struct { Val *v; int bound; } Counter;          /* v < bound; DIM_T: v < %T */

typedef struct {
	Module *m;
	uint64_t rng;
	Func *kernel[KERNELS];
	bool writes[KERNELS][MAX_PARAMS];
	int nkernel;

	Func *f;                /* being made */
	Block *b;
	Val *T, *sink;
	Val *reg[MAX_REGS];     /* what the current block sees */
	Memory mem[MAX_REFS];
	Counter counter[MAX_COUNTERS];
	int nreg, nmem, ncounter, nroot, depth, calls;
} Gen;

/* gen_values.c */
int below(Gen *g, int n);                               /* 0 .. n - 1 */
const Type *reg_type(Gen *g, char klass, int lanes);    /* classes b h w l s */
char class_of(const Type *t);
bool lanes_fit(char klass, int lanes);
Val *keep(Gen *g, Val *v);                              /* later ops may use v */
void made(Gen *g, Val *v);                              /* keep; often added to the sink */
Val *literal(Gen *g, char klass);
Val *visible(Gen *g, const Type *t);                    /* a register of that type, 0 if there is none */
Val *exact(Gen *g, char klass, int lanes);              /* one of exactly those lanes, old or new */
Val *row2(Gen *g, OpKind k, const Type *t, Val *a, Val *b);
Val *no_nan(Gen *g, Val *v);                            /* 0 where a float is NaN */
void any_row(Gen *g);

/* gen_memory.c */
void add_memory(Gen *g, Val *v, int root, bool writable);
Elem elem_in(const Val *v);
void load(Gen *g);
void store(Gen *g);
void view(Gen *g);
/* A view of `mem` as t (no T in either), or 0 when none fits.  Bytes begin at a multiple of 8: they may be
 * seen as wider elements later, which must be aligned. */
Val *view_as(Gen *g, const Memory *mem, const Type *t);

#endif

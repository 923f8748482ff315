/* options.h: what the command line asked for.  Filled by driver/options.c, read by every stage. */
#ifndef GATEFOLD_OPTIONS_H
#define GATEFOLD_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>

typedef struct { const char *pattern; int bits; } BitsRule;     /* shell pattern on a tensor's name */

/* Where few bits saturate (passes/histogram.h). */
typedef enum { RANGE_DEFAULT, RANGE_MINMAX, RANGE_PERCENTILE, RANGE_MSE, RANGE_KL } RangeKind;
typedef struct { const char *pattern; RangeKind kind; } RangeRule;

typedef struct Options {
	/* import */
	const char **dim_name;          /* --dim NAME=N */
	int64_t *dim_value;
	int ndim;
	const char **set_name, **set_value;     /* --set NAME=VALUE,..: inputs that are constants */
	int nset;
	const char **state_in, **state_out;     /* --state IN=OUT: state inputs and the outputs they carry on from */
	int nstate;
	bool all_states;                /* --state auto: those that names pair, too */
	const char *name;               /* --name: C prefix; 0: from the file's name */
	/* numbers */
	bool integer;                   /* --precision int; false: f32 */
	int weights, activations, state, gates;         /* bits; 0: the default (8, 8, 16, 16) */
	BitsRule *rule;                 /* --weights 'NAME=4' and so on, the last match wins */
	int nrule;
	RangeKind ranges;               /* --ranges */
	RangeRule *range_rule;          /* --ranges NAME=mse, the last match wins */
	int nrange_rule;
	int effort;                     /* --effort: 0 nearest rounding, 1 error feedback below 8 bits, 2 at every width,
	                                 * 3 and then learned through time */
	bool real_scales;               /* --scales real */
	bool per_row;                   /* --granularity row */
	int grid;                       /* --grid: a GridKind (passes/feedback.h) */
	double size;                    /* --size: bits per parameter of the whole model; 0: not asked for */
	bool unit_exponents;            /* --unit-exponents: few bits with a step for each unit */
	bool value_book;                /* --value-grid book: few bits say which of a few trained numbers */
	bool pow2_scales;               /* --scales pow2 was asked for */
	int storage;                    /* --storage: a StorageKind (storage/storage.h) */
	bool decode_once;               /* --decode once */
	const char *calib;              /* --calib */
	/* target and execution */
	const char *target, *cpu;       /* LLVM triple and CPU; 0: this machine's kind */
	uint32_t least_state, least_scratch, least_scratch_step;        /* bytes that lower and plan give at least */
	const char *exec;               /* --exec interp|jit|c; 0: jit, or interp without LLVM */
	const char *body;               /* --body: force one instruction set; 0: best here */
	/* passes */
	const char *passes;             /* -p a,b,c: just these, in this order; 0: all that are left */
	const char *skip;               /* --skip a,b */
	const char *dump_after;         /* pass names, or "all" */
	const char *dump_dir;           /* where dumps go; 0: stderr */
	bool self_check;                /* after each pass: does the text come back as the same module? */
	bool time_passes, json, verbose;
	uint64_t seed;
} Options;

#endif

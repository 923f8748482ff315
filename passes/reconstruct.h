/* reconstruct.h: what the files of the pass `reconstruct` share.
 *
 * A Net runs the module's @main over N sequences side by side ("streams"), in segments of T steps, and
 * back: reverse-mode differentiation through time.  Each function that is called becomes a Frame, with room
 * for every run of it in a segment; values lie [run][stream][elements].  Two Nets share the Params: the
 * teacher computes with the float model's constants, the student with those on their grids and, where
 * activations have few bits, with rounded operands of its linears.
 *
 *	reconstruct.c		the pass: the schedule, what is kept
 *	reconstruct_net.c	frames and nodes from the module
 *	reconstruct_run.c	a segment forward and backward
 *	reconstruct_ops.c	each op and its derivative
 *	reconstruct_learn.c	parameters: grids, rounding, Adam
 *	reconstruct_loss.c	student's outputs against the teacher's
 *	reconstruct_block.c	the same before a wide output layer
 *	reconstruct_data.c	calibration data as batches of streams
 *	reconstruct_was.c	the float model's constants, formats of activations
 *	reconstruct_math.c, gemm.c	arithmetic */
#ifndef GATEFOLD_RECONSTRUCT_H
#define GATEFOLD_RECONSTRUCT_H

#include "ir/ir.h"
#include "options.h"
#include "passes/gemm.h"
#include "util/diag.h"

typedef struct Frame Frame;

typedef struct Param {          /* a constant that ops read */
	Data *data;
	const float *was;       /* the float model's */
	float *now;             /* the student's */
	float *grad;            /* 0: not learned */
	int rows, cols;
	bool idle;              /* not updated */
	bool sparse;            /* a table: only rows that were gathered have gradients */
	uint8_t *touched;       /* sparse: rows with gradients */
	Packed forward, backward, teacher;      /* now', now, was' */
	bool fresh[3];          /* are those packed as they are now? */
	struct Learn *learn;
	struct Param *next;
} Param;

typedef struct {                /* a value's numbers, or those of a function's state */
	float *x, *g;           /* g: derivatives of the loss; 0: not wanted */
	int32_t *i;             /* integers have this instead */
	size_t per;             /* elements for one run and stream */
	bool state;             /* one place more for each row of runs: before the first, after each */
	bool made;
} Buf;

typedef struct { Buf *buf; Param *param; } Operand;     /* neither: omitted */

typedef struct NetOp {           /* an op in a frame */
	const Op *op;
	Operand *in;
	Buf **out;
	int32_t *map[3];        /* of operands: element of it for each element of the result; 0: the same */
	Frame *callee;
	float *seen;            /* linear: its operand as rounded, [run][stream][elements]; 0: as it is */
	const float *scale;     /* of that rounding: one, or one for each of the last axis */
	int nscale;
	float lo, hi;
	const int8_t *level;    /* all integers that occur; 0: lo .. hi */
	int nlevel;
} NetOp;

struct Frame {
	const Func *func;
	int len, count;         /* runs in a row, runs in all: count / len rows */
	Buf *buf;               /* by value id */
	NetOp *node;
	int nnode;
	Operand *ret;
};

typedef struct {
	Module *m;
	int streams, steps;     /* N, T */
	bool student;
	const Op *left_out;     /* a linear that is not computed; 0: none */
	Frame *main;
	Param **params;         /* shared list */
	int nstate;             /* of all frames, for what persists */
	struct { Frame *frame; Buf *buf; const Data *init; float *kept; bool local; } *state;
	const int *pair;        /* output port that input port i carries on from, or -1 */
	float **carried;        /* by input port */
	char *err;              /* why it cannot be built */
	Arena *arena;
} Net;

/* What the operand of linear number k of a function is rounded to (quantize decides). */
typedef struct FakeQuant {
	const char *func;
	int number;             /* among the function's linears */
	const float *scale;
	int nscale;
	float lo, hi;
	const int8_t *level;    /* 0: all from lo to hi */
	int nlevel;
	struct FakeQuant *next;
} FakeQuant;

/* reconstruct_was.c */
FakeQuant *fake_quants(Module *m, const Options *opt);
void reconstruct_forget(Module *m);             /* drop what reconstruct_remember kept */

/* reconstruct_net.c.  units: runs of @main in a segment.  0 with the reason in err. */
Net *net_new(Module *m, Param **params, const FakeQuant *fake, const int *pair, int units,
             int streams, int steps, bool student, char *err, size_t nerr);
void net_free(Net *n);
Param *param_of(Net *n, Data *d);

/* reconstruct_run.c.  Inputs are in the buffers of @main's parameters. */
void net_reset(Net *n);                         /* every stream starts anew */
void net_forward(Net *n);
void net_clear(Net *n);                         /* derivatives to 0; then set those of @main's results */
void net_backward(Net *n);
Buf *net_output(Net *n, int port);              /* [unit][stream][elements] */

/* reconstruct_ops.c.  `run`: which of the frame's.  count rows at once are only asked for ops that need
 * none. */
const char *node_prepare(Net *n, Frame *f, NetOp *node);         /* 0, or why not */
void node_forward(Net *n, Frame *f, NetOp *node, int run);
void node_backward(Net *n, Frame *f, NetOp *node, int run);
/* derivatives of its constants, over all runs */
void linear_weights(Net *n, Frame *f, NetOp *node);
float *buf_at(const Net *n, const Frame *f, const Buf *b, int run);
float *grad_at(const Net *n, const Frame *f, const Buf *b, int run);
int32_t *ints_at(const Net *n, const Frame *f, const Buf *b, int run);
size_t run_place(const Frame *f, const Buf *b, int run);

/* reconstruct_learn.c.  A parameter learns as latent real numbers; `now` is what they round to. */
/* On its grid: scales of its rows (nscale 1: one for all).  by_row: each row keeps the width its integers
 * have, else the tensor does. */
void learn_weights(Param *p, const float *scale, int nscale, bool by_row);
void learn_bias(Param *p);
/* Learning rates (of weights in steps of their grids); a pull of weights towards 0, relative to their
 * rate. */
typedef struct { double weights, biases, less; } Rate;
void learn_update(Param *p, const Rate *rate);  /* one step of Adam down its gradient, which becomes 0 */
void learn_keep(Param *p);                      /* `now` is the best so far */
void learn_restart(Param *p);                   /* go on from the best, with nothing remembered */
size_t learn_bytes(const Param *p);             /* of `now`, entropy coded; 0: no weights */
void learn_finish(Param *p);                    /* the best goes into the data */
void learn_free(Param *p);

/* reconstruct_data.c: sequences cut into segments, as many side by side as the nets have streams. */
typedef struct { int track, segments; bool held_out; } Group;
typedef struct {
	int units, streams, steps;      /* for net_new */
	int ngroup;
	Group *group;
	bool classes;           /* labels are numbers of classes */
	int64_t most_label;
	const int *pair;
	struct BatchData *data;
} Batches;
/* false: faults in d, or too few data */
bool batches_open(Batches *b, Module *m, const Options *opt, Diag *d);
void batches_fill(const Batches *b, const Group *g, int segment, Net *n);
void batches_close(Batches *b);
int64_t batches_tokens(const Batches *b, bool held_out);        /* positions of all groups of a kind */

/* reconstruct_loss.c: how far the student's outputs are from the teacher's. */
typedef enum { LOSS_NONE, LOSS_CLASSES, LOSS_CHANCES, LOSS_LOGIT, LOSS_SQUARE } LossKind;
/* power: sum of squares seen */
typedef struct { LossKind kind; double weight; double power, count; } Target;
/* one for each output; their number that count */
int targets_find(const Module *m, const Batches *b, Target *t);
/* Both nets have run.  Mean loss of an element of the outputs; derivatives into the student. */
double loss_of(Net *teacher, Net *student, Target *t, int nout, bool derive);

/* The op that computes output `port`, behind moves, scans and calls. */
const Op *output_maker(const Module *m, int port);

/* reconstruct.c: the pass, and what it reached: mean loss on the data held out.  did: something was
 * learned. */
typedef struct { bool did; double first, least; } Reconstructed;
bool reconstruct(Module *m, const Options *opt, Diag *d, Reconstructed *result);

/* reconstruct_block.c: the input of a wide output layer as the target. */
typedef struct {
	Frame *teacher_frame, *student_frame;
	NetOp *teacher, *student;
	int K;
	float *F;               /* [K,K] */
	double *mean, seen;     /* probabilities, rows */
	Packed metric;
} OutBlock;
bool block_open(OutBlock *b, const Op *head, Net *teacher, Net *student);
void block_measure(OutBlock *b, Net *teacher);  /* a segment that ran whole */
void block_ready(OutBlock *b);
/* adds derivatives; the student was cleared */
double block_loss(OutBlock *b, Net *teacher, Net *student);
void block_close(OutBlock *b);

#endif

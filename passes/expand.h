/* expand.h: what the files of the pass `expand` share.
 *
 * A Layer is one lstm, gru or rnn op; each of its directions becomes a Cell: a step function and the
 * scan that calls it.  expand.c reads the op and joins the directions' results, expand_weights.c cuts
 * the operands into the pieces of a direction, expand_cells.c writes the equations. */
#ifndef GATEFOLD_EXPAND_H
#define GATEFOLD_EXPAND_H

#include "ir/ir.h"
#include "util/diag.h"

typedef struct { OpKind kind; float alpha, beta; } Activation;

/* Operands in ONNX's order. */
enum { X, W, R, B, LENS, H0, C0, P, MAX_OPERANDS };

typedef struct Layer {
	Module *m;
	Func *f;                        /* the function that holds op */
	Op *op;                         /* pieces are made before it */
	Diag *d;
	const char *name;               /* "lstm_0" */
	int gates;                      /* rows of W in units of hidden: 4, 3, 1 */
	int ndir, nact;                 /* directions; activation functions of each */
	bool reverse;                   /* the only direction */
	bool batch_first;               /* layout 1 */
	int32_t steps, batch, hidden;   /* steps may be DIM_T */
	bool input_forget, reset_after; /* reset_after: linear_before_reset */
	float clip;                     /* 0: none */
	Activation act[6];
	Val *in[MAX_OPERANDS];          /* 0: omitted */
	Val *lens;                      /* sequence lengths i32[N,1]; 0: all sequences are whole */
	Val *last;                      /* i32[1]: the index of the last step, where lens and reverse need it */
	Val *zero, *one;                /* f32[1], i32[1]: made when lens is there */
} Layer;

enum { MAX_STATES = 3, MAX_PIECES = 12 };

typedef struct Cell {
	Layer *l;
	int dir;
	bool reverse;
	const char *name;               /* "lstm_0", or "lstm_0_fwd" and "lstm_0_bwd" */
	Func *f;                        /* the step */
	Val *x;                         /* its input f32[N,I] */
	Val *h, *c;                     /* its states before the step */
	Val *h1, *c1;                   /* and after it */
	Val *init[MAX_STATES];          /* operands of the scan: initial states */
	Val *piece[MAX_PIECES];         /* and weights known only when the model runs */
	int ninit, npiece;
} Cell;

/* expand_weights.c */
/* Rows [first, first + n) of the cell's direction of operand k (W, R, B or P), as the step sees them:
 * data, or a parameter that the scan passes on.  What is omitted stays so: 0. */
Val *cell_rows(Cell *c, int k, int first, int n, const char *name);
/* Wb + Rb of these rows of B, to be added once. */
Val *cell_bias(Cell *c, int first, int n, const char *name);
/* The initial state f32[N,H] in operand k (H0, C0): zeros when omitted. */
Val *cell_init(Cell *c, int k, const char *name);
Val *layer_ints(Layer *l, const char *name, int32_t v);         /* data i32[1] */
Val *layer_floats(Layer *l, const char *name, float v);         /* data f32[1] */
/* Ops before l->op. */
Val *layer_op(Layer *l, OpKind k, const char *name, const Type *t, Val *a, Val *b);
Val *layer_slice(Layer *l, Val *v, int axis, int at, int n);
Val *layer_reshape(Layer *l, Val *v, const char *name, int rank, const int32_t *dim);
const Type *floats(Module *m, int rank, ...);           /* f32 of these dimensions */

/* expand_cells.c */
void cell_lstm(Cell *c);                        /* read x, h, c; set h1, c1 */
void cell_gru(Cell *c);
void cell_rnn(Cell *c);
Val *cell_op(Cell *c, OpKind k, const char *name, const Type *t, Val *a, Val *b, Val *d);

#endif

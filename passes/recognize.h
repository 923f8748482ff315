/* recognize.h: what a step's value is made of, as recognize.c reads it from plain ops. */
#ifndef GATEFOLD_RECOGNIZE_H
#define GATEFOLD_RECOGNIZE_H

#include "passes/passes.h"

enum { MAX_TERMS = 8 };

/* rows [row, row + count) of W v + bias: v a value, W data (0: v itself, its elements are the rows) */
typedef struct { Val *v; Data *W; int64_t row; } Product;
typedef struct {
	Product product[MAX_TERMS];
	int nproduct;
	struct { Data *d; int64_t row; } bias[MAX_TERMS];
	int nbias;
	int64_t count;
} Sum;

/* v as a sum of products and constants, looking through add, linear, slices of the last axis and reshapes that keep it. */
bool read_sum(Val *v, Sum *s);
/* v without reshapes */
Val *plain(Val *v);
const Op *def_of(Val *v, OpKind k);                     /* the op that makes v (reshapes aside), if of kind k */
/* the two operands of a commutative op, in either order: first is the one for which `is` holds */
bool split(const Op *o, bool (*is)(Val *, void *), void *arg, Val **first, Val **second);

/* A cell found in a step function. */
typedef struct {
	OpKind kind;            /* O_lstm, O_gru, O_rnn */
	int ngate, H;
	Sum gate[4];            /* in ONNX order: i o f c; z r h (input part for lbr); the one of an rnn */
	Sum reset;              /* GRU, linear_before_reset=1: what r multiplies */
	int lbr;
	Val *h, *c;             /* states */
	const char *activation; /* rnn */
} Cell;

bool match_lstm(const Func *f, Cell *c);
bool match_gru(const Func *f, Cell *c);
bool match_rnn(const Func *f, Cell *c);

#endif

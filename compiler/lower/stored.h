/* stored.h: weights in a stored form (compiler/storage): what lower makes of them once for a module. */
#ifndef GATEFOLD_STORED_H
#define GATEFOLD_STORED_H

#include "lower/linear.h"
#include "storage/storage.h"

struct StoredWeights {
	Data *W;
	const char *name;
	Stored *form;
	Func *next, *row;       /* stored.ir: NEXT, ROW */
	Data *view;             /* i8 elements with one scale, for kernels that read W expanded; never shipped */
	bool cells;             /* expanded into cells, else into rows */
	int64_t bytes, scales_at, at_at, row_at, all;   /* of the expanded form: integers, then scales, then what reset needs */
	StoredWeights *next_weights;
};

/* The form that W gets by the options, or 0: plain, because they say so or because nothing is smaller.  To be freed. */
Stored *stored_form(Module *m, const Options *opt, const Func *tensor, const Data *W);
/* The same, with its functions and data in the module; 0: plain.  Made once. */
StoredWeights *stored_weights(Frame *fr, Data *W);
void stored_end(Lower *l);
/* Biases of products whose integers all fit 16 bits become i16 data. */
void stored_biases(Module *m, Func *tensor);
/* A product with stored weights; false: they are plain. */
bool stored_linear(Frame *fr, Op *o);
/* In @reset: fill the place of expanded weights. */
void stored_expand(Frame *fr, const StoredWeights *w, Val *kept);
/* A row of a stored table: ROW(.., i, out) -> the index that its multiplier has. */
Val *stored_row(Frame *fr, const StoredWeights *w, Val *i, Val **row);

#endif

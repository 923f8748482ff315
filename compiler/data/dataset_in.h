/* dataset_in.h: what a data set is inside.
 *
 * A sequence is a row of units.  A unit is a step (`by_step`: arrays are cut along the T axis of their input, and
 * one sample may take many units), or what one run takes (arrays have the units along an extra first axis). */
#ifndef GATEFOLD_DATASET_IN_H
#define GATEFOLD_DATASET_IN_H

#include "data/dataset.h"

typedef struct {
	const char *name;
	Type type;
	Tensor *all;            /* f32 or i32; 0: a state that carries on */
	bool cut;               /* false: the same for every sample */
} Feed;

struct Dataset {
	Feed *feed;
	int nin;
	Tensor **in;            /* of the current sample */
	bool by_step;
	int32_t unit_steps;     /* not by_step: T of each unit, 1 without T */
	int64_t units;
	int64_t *length;        /* units of each sequence */
	int64_t nseq;
	int64_t *label;
	int64_t nlabel;
	bool label_each;        /* a label for each time step; else one for each sequence */
	Tensor **expect;        /* expected outputs, by port; entries may be 0 */
	int nexpect;
	int32_t chunk;
	int64_t seq, at;        /* the next sample: sequence, and unit in it */
	int64_t first;          /* unit that the sequence starts with */
};

/* dataset_npz.c */
bool dataset_from_npz(Dataset *s, const char *path, const Module *m, const int *pair, Diag *d);
/* dataset_folder.c */
bool dataset_from_folder(Dataset *s, const char *path, const Module *m, const Options *opt, const int *pair, Diag *d);
/* Keep `from` for input i, whole; its T in *steps.  false with the fault in d. */
bool feed_whole(Dataset *s, int i, const Tensor *from, const char *path, int64_t *steps, Diag *d);
bool has_time(const Dataset *s);
void one_sequence(Dataset *s);

#endif

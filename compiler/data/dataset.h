/* dataset.h: inputs for a model, and what is expected of it, one sample after the other.
 *
 * A data set is a `.npz` file whose arrays carry the inputs' names, or an ONNX test folder
 * (input_0.pb, output_0.pb, ...).  A sample is what one run takes.  Four forms, told apart by shapes:
 *	stream	an array has its input's whole shape, T being its length: one sequence, handed out in
 *		chunks of steps; only the first is fresh.  A model without T that has state inputs takes
 *		the steps along an extra first axis.
 *	ragged	`lengths [N]`: sample i is the next lengths[i] steps
 *	batch	arrays with N samples along the first axis, each run alone
 *	single	a test folder, or arrays that fit a model without T
 * A state input (see states.h) may be missing: it starts at zero and carries on from its output. */
#ifndef GATEFOLD_DATASET_H
#define GATEFOLD_DATASET_H

#include "ir/ir.h"
#include "options.h"
#include "util/diag.h"
#include "util/tensor.h"

typedef struct Dataset Dataset;

typedef struct {
	Tensor *const *in;      /* one for each input port, f32 or i32, shaped as the port with T = steps;
	                         * 0: a state input that carries on (zero when fresh) */
	int nin;
	int32_t steps;          /* what T stands for; 1 when the model has no T */
	bool fresh;             /* reset the model before this sample */
	bool last;              /* the sequence ends with this sample (the next is fresh) */
	int64_t number;         /* of the sequence, from 0 */
	const int64_t *label;   /* one for the sequence, or one for each step of this chunk */
	int nlabel;             /* 0: there are none (here) */
} Sample;

/* Open `path` for the inputs of m.  chunk: most steps of a stream in one sample; 0: all.  0 with the faults in d. */
Dataset *dataset_open(const char *path, const Module *m, const Options *opt, int32_t chunk, Diag *d);
bool dataset_next(Dataset *s, Sample *out);     /* false at the end; *out is valid until the next call */
void dataset_rewind(Dataset *s);
void dataset_chunk(Dataset *s, int32_t chunk);  /* change it; rewinds */
int64_t dataset_steps(const Dataset *s);        /* of all samples together: for progress */
int64_t dataset_sequences(const Dataset *s);
bool dataset_has_labels(const Dataset *s);
int dataset_noutputs(const Dataset *s);         /* expected outputs of a test folder */
const Tensor *dataset_output(const Dataset *s, int i);  /* in the order of the ports; 0: none for that port */
void dataset_close(Dataset *s);

#endif

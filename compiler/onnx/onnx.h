/* onnx.h: the way in.  Only this folder sees protobuf. */
#ifndef GATEFOLD_ONNX_H
#define GATEFOLD_ONNX_H

#include "ir/ir.h"
#include "options.h"
#include "util/diag.h"
#include "util/tensor.h"

/* Read an ONNX model and bring it to tensor-level IR with one function @main, whose parameters and results are
 * the ports.  Dynamic dimensions: those that --dim names are fixed; of the others the one that is the
 * time axis of a recurrent layer becomes T, the rest is taken as 1 (a note says so).  0 with all faults in d. */
Module *import_onnx(const char *path, const Options *opt, Diag *d);

/* What a model's file says about an input (graph inputs without an initializer, in order: input_0.pb belongs to
 * the first).  A dynamic dimension has the name that --dim takes: its own one, else "<input>_<axis>". */
typedef struct {
	char *name;
	HostType type;
	int rank;
	int64_t dim[HOST_RANK];         /* 0 where dynamic */
	char *symbol[HOST_RANK];        /* 0 where fixed */
} OnnxInput;

OnnxInput *onnx_inputs(const char *path, int *n, Diag *d);      /* 0 with the faults in d */
void onnx_inputs_free(OnnxInput *in, int n);

/* A TensorProto file (input_0.pb).  0 with the fault in d. */
Tensor *read_tensor_pb(const char *path, Diag *d);

#endif

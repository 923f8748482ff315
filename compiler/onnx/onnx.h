/* onnx.h: the way in.  Only this folder sees protobuf. */
#ifndef GATEFOLD_ONNX_H
#define GATEFOLD_ONNX_H

#include "ir/ir.h"
#include "options.h"
#include "util/diag.h"
#include "util/tensor.h"

/* Read an ONNX model and bring it to tensor-level IR with one function @main.  0 with all faults in d. */
Module *import_onnx(const char *path, const Options *opt, Diag *d);

/* A TensorProto file (input_0.pb).  0 with the fault in d. */
Tensor *read_tensor_pb(const char *path, Diag *d);

#endif

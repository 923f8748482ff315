/* tensor.h: a tensor in the compiler's own memory: what .pb, .npy and ONNX initializers hold. */
#ifndef GATEFOLD_TENSOR_H
#define GATEFOLD_TENSOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef enum { H_F32, H_F64, H_F16, H_BF16, H_I8, H_I16, H_I32, H_I64, H_U8, H_U16, H_U32, H_U64, H_BOOL } HostType;

enum { HOST_RANK = 8 };

typedef struct Tensor {
	char *name;
	HostType type;
	int rank;
	int64_t dim[HOST_RANK];
	int64_t count;          /* product of dims */
	void *bytes;            /* count elements, row-major; malloc'ed; 16 bits for F16 and BF16, 1 byte for BOOL */
} Tensor;

Tensor *tensor_new(HostType t, int rank, const int64_t *dim);   /* zeroed; 0 when the size overflows or memory is out */
Tensor *tensor_copy(const Tensor *t);
void tensor_free(Tensor *t);
size_t host_size(HostType t);                   /* bytes of one element */
const char *host_name(HostType t);              /* "float32", "int64", ... */
double tensor_get(const Tensor *t, int64_t i);          /* element as a real number */
int64_t tensor_get_int(const Tensor *t, int64_t i);     /* exact for integers; floats truncated and saturated */
void tensor_set(Tensor *t, int64_t i, double v);        /* rounds to nearest even; integers saturate */
void tensor_set_int(Tensor *t, int64_t i, int64_t v);

#endif

/* model.h: an ONNX file in memory, before any of its meaning is looked at. */
#ifndef GATEFOLD_ONNX_MODEL_H
#define GATEFOLD_ONNX_MODEL_H

#include "onnx.pb-c.h"
#include "onnx/onnx.h"

enum { NEWEST_OPSET = 28 };

typedef struct {
	const char *path, *file;        /* as given; without its folder, as in messages */
	char *folder;                   /* where external data lies */
	int64_t size;                   /* bytes of the file and of those with external data */
	Onnx__Model *proto;
	int opset;                      /* of ai.onnx */
	OnnxInput *input;
	int ninput;
} Model;

Model *model_open(const char *path, Diag *d);           /* 0 with the faults in d */
void model_close(Model *m);

/* A fault: "FILE: text".  Names in files may be any bytes; control characters are not passed on. */
void model_error(Diag *d, const char *file, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

/* wire.c: may these bytes be given to protobuf-c?  false with the reason in err. */
bool wire_check(const ProtobufCMessageDescriptor *type, const uint8_t *bytes, size_t n, char *err, size_t nerr);

/* weights.c: the tensor that p stands for.  Its bytes belong to p or to a; external data is looked up in
 * `folder` (0: not allowed).  0 with the reason in err. */
const Tensor *weight_read(Arena *a, const char *folder, const Onnx__Tensor *p, char *err, size_t nerr);
/* Of external data: the file's name as p has it, and its size (0: it cannot be used). */
const char *external_location(const Onnx__Tensor *p);
int64_t external_size(const char *folder, const char *location);
/* The element type as a HostType, or -1: not one we carry. */
int host_type(int onnx);
const char *onnx_type_name(int onnx);

/* ---- table.c: things by name ------------------------------------------------------------------------ */

typedef struct Table Table;

Table *table_new(Arena *a, size_t n);           /* n: names to expect */
void **table_at(Table *t, const char *name);    /* the place of name, until the next call; a new one holds 0 */
void *table_get(const Table *t, const char *name);

#endif

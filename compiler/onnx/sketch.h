/* sketch.h: an operator as a graph of other operators, walked in its place. */
#ifndef GATEFOLD_ONNX_SKETCH_H
#define GATEFOLD_ONNX_SKETCH_H

#include "onnx/import.h"

typedef struct Sketch Sketch;

enum { SKETCH_OPSET = 13 };             /* what its nodes are written for */

Sketch *sketch_new(Node *n);
/* Names for operands of its nodes; "" for an omitted one. */
const char *sketch_value(Sketch *s, Value *v);
const char *sketch_number(Sketch *s, float v);
const char *sketch_list(Sketch *s, int count, const int64_t *v);
/* A node; the name of its (first) result. */
const char *sketch_add(Sketch *s, const char *op, int nin, const char *const *in);
/* Attributes of the last node: one, or those of n itself. */
void sketch_int(Sketch *s, const char *name, int64_t v);
void sketch_ints(Sketch *s, const char *name, int count, const int64_t *v);
void sketch_attrs(Sketch *s);
/* Give the last node's results the values of n's. */
bool sketch_done(Sketch *s);

#define SKETCH(s, op, ...) sketch_add(s, op, (int)(sizeof (const char *[]){ __VA_ARGS__ } / sizeof(char *)), \
	(const char *[]){ __VA_ARGS__ })

#endif

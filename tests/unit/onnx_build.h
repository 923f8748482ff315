/* onnx_build.h: for tests of the import: small models put together in memory, written, and imported or
 * refused. */
#ifndef TEST_ONNX_BUILD_H
#define TEST_ONNX_BUILD_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "onnx.pb-c.h"
#include "onnx/onnx.h"

enum { MOST = 64 };     /* of anything in a model built here */

typedef struct {
	Arena *a;
	char *folder, *path;
	Options opt;
	const char *pin_name[8];
	int64_t pin_size[8];
	Onnx__Model m;
	Onnx__Graph g;
	Onnx__OperatorSetId set, *sets[1];
	char *message;          /* of the last import */
} Build;

static inline Build *build_new(int opset)
{
	Arena *a = arena_new();
	Build *b = NEW(a, Build);
	b->a = a;
	b->folder = arena_strdup(a, "/tmp/gatefold-import-XXXXXX");
	assert_non_null(mkdtemp(b->folder));
	b->path = arena_printf(a, "%s/t.onnx", b->folder);
	b->opt.dim_name = b->pin_name;
	b->opt.dim_value = b->pin_size;
	onnx__model__init(&b->m);
	onnx__graph__init(&b->g);
	onnx__operator_set_id__init(&b->set);
	b->set.version = opset;
	b->sets[0] = &b->set;
	b->m.ir_version = 8;
	b->m.n_opset_import = 1;
	b->m.opset_import = b->sets;
	b->m.graph = &b->g;
	b->g.node = NEWN(a, Onnx__Node *, MOST);
	b->g.initializer = NEWN(a, Onnx__Tensor *, MOST);
	b->g.input = NEWN(a, Onnx__ValueInfo *, MOST);
	b->g.output = NEWN(a, Onnx__ValueInfo *, MOST);
	return b;
}

static inline void build_free(Build *b)
{
	unlink(b->path);
	rmdir(b->folder);
	arena_free(b->a);
}

/* ---- parts --------------------------------------------------------------------------------- */

/* The words of "a b c"; `-` is an empty one. */
static inline char **words(Build *b, const char *text, size_t *n)
{
	char **w = NEWN(b->a, char *, MOST), *copy = arena_strdup(b->a, text);
	*n = 0;
	for (char *p = strtok(copy, " "); p; p = strtok(0, " "))
		w[(*n)++] = strcmp(p, "-") ? p : arena_strdup(b->a, "");
	return w;
}

/* A tensor input: "seq batch 16" names or sizes, `?` a dimension without either. */
static inline void add_input(Build *b, const char *name, int type, const char *dims)
{
	size_t n;
	char **w = words(b, dims, &n);
	Onnx__ValueInfo *v = NEW(b->a, Onnx__ValueInfo);
	Onnx__TypeInfo *t = NEW(b->a, Onnx__TypeInfo);
	Onnx__TypeInfo__OfTensor *tensor = NEW(b->a, Onnx__TypeInfo__OfTensor);
	Onnx__TensorShape *shape = NEW(b->a, Onnx__TensorShape);
	onnx__value_info__init(v);
	onnx__type_info__init(t);
	onnx__type_info__of_tensor__init(tensor);
	onnx__tensor_shape__init(shape);
	v->name = arena_strdup(b->a, name);
	v->type = t;
	t->value_case = ONNX__TYPE_INFO__VALUE_TENSOR_TYPE;
	t->tensor_type = tensor;
	tensor->elem_type = type;
	tensor->shape = shape;
	shape->dim = NEWN(b->a, Onnx__TensorShape__Dimension *, n);
	shape->n_dim = n;
	for (size_t i = 0; i < n; i++) {
		Onnx__TensorShape__Dimension *d = shape->dim[i] = NEW(b->a, Onnx__TensorShape__Dimension);
		onnx__tensor_shape__dimension__init(d);
		if (*w[i] >= '0' && *w[i] <= '9') {
			d->value_case = ONNX__TENSOR_SHAPE__DIMENSION__VALUE_DIM_VALUE;
			d->dim_value = atoll(w[i]);
		} else if (*w[i] != '?') {
			d->value_case = ONNX__TENSOR_SHAPE__DIMENSION__VALUE_DIM_PARAM;
			d->dim_param = w[i];
		}
	}
	b->g.input[b->g.n_input++] = v;
}

static inline void add_output(Build *b, const char *name)
{
	Onnx__ValueInfo *v = NEW(b->a, Onnx__ValueInfo);
	onnx__value_info__init(v);
	v->name = arena_strdup(b->a, name);
	b->g.output[b->g.n_output++] = v;
}

static inline Onnx__Tensor *new_tensor(Build *b, const char *name, int type, const char *dims)
{
	size_t n;
	char **w = words(b, dims, &n);
	Onnx__Tensor *t = NEW(b->a, Onnx__Tensor);
	onnx__tensor__init(t);
	t->name = arena_strdup(b->a, name);
	t->data_type = type;
	t->n_dims = n;
	t->dims = NEWN(b->a, int64_t, n);
	for (size_t i = 0; i < n; i++)
		t->dims[i] = atoll(w[i]);
	return t;
}

static inline Onnx__Tensor *add_tensor(Build *b, const char *name, int type, const char *dims)
{
	return b->g.initializer[b->g.n_initializer++] = new_tensor(b, name, type, dims);
}

/* Floats 1, 2, 3, ... */
static inline Onnx__Tensor *add_floats(Build *b, const char *name, const char *dims)
{
	Onnx__Tensor *t = add_tensor(b, name, ONNX__TENSOR__DATA_TYPE__FLOAT, dims);
	size_t count = 1;
	for (size_t i = 0; i < t->n_dims; i++)
		count *= (size_t)t->dims[i];
	t->n_float_data = count;
	t->float_data = NEWN(b->a, float, count);
	for (size_t i = 0; i < count; i++)
		t->float_data[i] = (float)(i + 1);
	return t;
}

static inline Onnx__Tensor *add_ints(Build *b, const char *name, const char *dims, const char *values)
{
	size_t n;
	char **w = words(b, values, &n);
	Onnx__Tensor *t = add_tensor(b, name, ONNX__TENSOR__DATA_TYPE__INT64, dims);
	t->n_int64_data = n;
	t->int64_data = NEWN(b->a, int64_t, n);
	for (size_t i = 0; i < n; i++)
		t->int64_data[i] = strtoll(w[i], 0, 10);
	return t;
}

static inline Onnx__Node *add_node(Build *b, const char *op, const char *in, const char *out)
{
	Onnx__Node *p = NEW(b->a, Onnx__Node);
	onnx__node__init(p);
	p->op_type = arena_strdup(b->a, op);
	p->name = arena_printf(b->a, "n%zu", b->g.n_node);
	p->input = words(b, in, &p->n_input);
	p->output = words(b, out, &p->n_output);
	p->attribute = NEWN(b->a, Onnx__Attribute *, MOST);
	return b->g.node[b->g.n_node++] = p;
}

static inline Onnx__Attribute *add_attr(Build *b, Onnx__Node *p, const char *name, Onnx__Attribute__Type type)
{
	Onnx__Attribute *a = NEW(b->a, Onnx__Attribute);
	onnx__attribute__init(a);
	a->name = arena_strdup(b->a, name);
	a->type = type;
	return p->attribute[p->n_attribute++] = a;
}

static inline void set_int(Build *b, Onnx__Node *p, const char *name, int64_t v)
{
	add_attr(b, p, name, ONNX__ATTRIBUTE__TYPE__INT)->i = v;
}

static inline void set_float(Build *b, Onnx__Node *p, const char *name, float v)
{
	add_attr(b, p, name, ONNX__ATTRIBUTE__TYPE__FLOAT)->f = v;
}

static inline void set_string(Build *b, Onnx__Node *p, const char *name, const char *v)
{
	Onnx__Attribute *a = add_attr(b, p, name, ONNX__ATTRIBUTE__TYPE__STRING);
	a->s.data = (uint8_t *)arena_strdup(b->a, v);
	a->s.len = strlen(v);
}

static inline void set_ints(Build *b, Onnx__Node *p, const char *name, const char *values)
{
	Onnx__Attribute *a = add_attr(b, p, name, ONNX__ATTRIBUTE__TYPE__INTS);
	char **w = words(b, values, &a->n_ints);
	a->ints = NEWN(b->a, int64_t, a->n_ints);
	for (size_t i = 0; i < a->n_ints; i++)
		a->ints[i] = strtoll(w[i], 0, 10);
}

static inline void set_floats(Build *b, Onnx__Node *p, const char *name, int n, const float *v)
{
	Onnx__Attribute *a = add_attr(b, p, name, ONNX__ATTRIBUTE__TYPE__FLOATS);
	a->n_floats = (size_t)n;
	a->floats = arena_copy(b->a, v, sizeof *v * (size_t)n);
}

static inline void set_strings(Build *b, Onnx__Node *p, const char *name, const char *values)
{
	Onnx__Attribute *a = add_attr(b, p, name, ONNX__ATTRIBUTE__TYPE__STRINGS);
	char **w = words(b, values, &a->n_strings);
	a->strings = NEWN(b->a, ProtobufCBinaryData, a->n_strings);
	for (size_t i = 0; i < a->n_strings; i++)
		a->strings[i] = (ProtobufCBinaryData){ strlen(w[i]), (uint8_t *)w[i] };
}

static inline void pin(Build *b, const char *name, int64_t size)
{
	b->pin_name[b->opt.ndim] = name;
	b->pin_size[b->opt.ndim++] = size;
}

/* ---- importing ----------------------------------------------------------------------------- */

static inline void write_bytes(Build *b, const char *path, const void *bytes, size_t n)
{
	FILE *f = fopen(path, "wb");
	assert_non_null(f);
	assert_int_equal(fwrite(bytes, 1, n, f), n);
	fclose(f);
}

static inline uint8_t *pack(Build *b, size_t *n)
{
	*n = onnx__model__get_packed_size(&b->m);
	uint8_t *bytes = arena_alloc(b->a, *n);
	onnx__model__pack(&b->m, bytes);
	return bytes;
}

/* Import the file as it stands; b->message has all that was said. */
static inline Module *import_file(Build *b)
{
	Diag *d = diag_new();
	Module *m = import_onnx(b->path, &b->opt, d);
	char *text, err[500];
	size_t n;
	FILE *f = open_memstream(&text, &n);
	diag_print(d, f);
	fclose(f);
	b->message = arena_strdup(b->a, text);
	free(text);
	assert_int_equal(!m, diag_errors(d) > 0);
	assert_int_equal(diag_bugs(d), 0);
	diag_free(d);
	if (m && !module_verify(m, err, sizeof err))
		fail_msg("%s", err);
	return m;
}

static inline Module *import(Build *b)
{
	size_t n;
	uint8_t *bytes = pack(b, &n);
	write_bytes(b, b->path, bytes, n);
	return import_file(b);
}

/* The text of the imported module, data inline. */
static inline char *imported(Build *b)
{
	Module *m = import(b);
	if (!m)
		fail_msg("%s", b->message);
	char *text, *copy;
	size_t n;
	FILE *f = open_memstream(&text, &n);
	module_print(m, f, 0, 0);
	fclose(f);
	copy = arena_strdup(b->a, text);
	free(text);
	module_free(m);
	return copy;
}

static inline void has(const char *text, const char *part)
{
	if (!strstr(text, part))
		fail_msg("not there: %s\nin:\n%s", part, text);
}

static inline void has_not(const char *text, const char *part)
{
	if (strstr(text, part))
		fail_msg("there: %s\nin:\n%s", part, text);
}

/* The model is refused, and this is part of what is said. */
static inline void refused(Build *b, const char *part)
{
	Module *m = import(b);
	if (m)
		fail_msg("imported, but should be refused: %s", part);
	has(b->message, part);
}

#endif

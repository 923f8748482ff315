/* model.c: read an ONNX file, check that it can be unpacked, and list its inputs. */
#include "onnx/model.h"
#include "util/file.h"
#include "util/mem.h"

#include <limits.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_FILE = INT_MAX };            /* protobuf's own limit */

void model_error(Diag *d, const char *file, const char *fmt, ...)
{
	char text[1500];
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	for (char *p = text; *p; p++)
		if ((unsigned char)*p < ' ' || *p == 127)
			*p = '?';
	diag_error(d, "%s: %s", file, text);
}

static bool is_ai_onnx(const char *domain)
{
	return !*domain || !strcmp(domain, "ai.onnx");
}

static bool read_opset(Model *m, Diag *d)
{
	for (size_t i = 0; i < m->proto->n_opset_import; i++) {
		const Onnx__OperatorSetId *s = m->proto->opset_import[i];
		if (!is_ai_onnx(s->domain))
			continue;
		if (s->version < 1 || s->version > NEWEST_OPSET) {
			model_error(d, m->file, "opset %lld of ai.onnx is not known; 1 to %d are",
				   (long long)s->version, NEWEST_OPSET);
			return false;
		}
		if (m->opset && m->opset != s->version) {
			model_error(d, m->file, "imports opset %d and opset %lld of ai.onnx", m->opset,
				   (long long)s->version);
			return false;
		}
		m->opset = (int)s->version;
	}
	if (!m->opset && m->proto->n_opset_import == 0)
		m->opset = 1; /* as the format defines it for files older than opset imports */
	if (!m->opset)
		m->opset = NEWEST_OPSET; /* only functions and other domains: nothing of ai.onnx to misread */
	return true;
}

static bool read_input(const Model *m, const Onnx__ValueInfo *v, OnnxInput *in, Diag *d)
{
	in->name = text_copy(v->name);
	if (!*v->name) {
		model_error(d, m->file, "an input has no name");
		return false;
	}
	if (!v->type || v->type->value_case != ONNX__TYPE_INFO__VALUE_TENSOR_TYPE) {
		model_error(d, m->file, "input '%s' is not a tensor", v->name);
		return false;
	}
	const Onnx__TypeInfo__OfTensor *t = v->type->tensor_type;
	int type = host_type(t->elem_type);
	if (type < 0) {
		model_error(d, m->file, "input '%s' has element type %s, which is not supported", v->name,
			   onnx_type_name(t->elem_type));
		return false;
	}
	in->type = (HostType)type;
	if (!t->shape) {
		model_error(d, m->file, "input '%s' has no shape; its rank must be known", v->name);
		return false;
	}
	if (t->shape->n_dim > HOST_RANK) {
		model_error(d, m->file, "input '%s' has %zu dimensions; %d are supported", v->name,
			   t->shape->n_dim, HOST_RANK);
		return false;
	}
	in->rank = (int)t->shape->n_dim;
	for (int k = 0; k < in->rank; k++) {
		const Onnx__TensorShape__Dimension *dim = t->shape->dim[k];
		if (dim->value_case == ONNX__TENSOR_SHAPE__DIMENSION__VALUE_DIM_VALUE && dim->dim_value > 0) {
			if (dim->dim_value > INT32_MAX) {
				model_error(d, m->file,
					    "input '%s': dimension %d is %lld, which is too large", v->name,
					    k, (long long)dim->dim_value);
				return false;
			}
			in->dim[k] = dim->dim_value;
		} else if (dim->value_case == ONNX__TENSOR_SHAPE__DIMENSION__VALUE_DIM_PARAM &&
			   *dim->dim_param) {
			in->symbol[k] = text_copy(dim->dim_param);
		} else {
			in->symbol[k] = text_new("%s_%d", v->name, k);
		}
	}
	return true;
}

static bool read_inputs(Model *m, Diag *d)
{
	const Onnx__Graph *g = m->proto->graph;
	bool good = true;
	Arena *a = arena_new();
	Table *known = table_new(a, g->n_initializer);
	for (size_t i = 0; i < g->n_initializer; i++)
		*table_at(known, g->initializer[i]->name) = g->initializer[i];
	m->input = mem_array(g->n_input, sizeof *m->input);
	for (size_t i = 0; i < g->n_input; i++)
		if (!table_get(known, g->input[i]->name))
			good &= read_input(m, g->input[i], &m->input[m->ninput++], d);
	arena_free(a);
	return good;
}

/* Each file with external data counts once, however many tensors lie in it. */
static void add_external_sizes(Model *m)
{
	const Onnx__Graph *g = m->proto->graph;
	Arena *a = arena_new();
	Table *known = table_new(a, 8);
	for (size_t i = 0; i < g->n_initializer; i++) {
		const char *location = external_location(g->initializer[i]);
		if (g->initializer[i]->data_location != ONNX__TENSOR__LOCATION__EXTERNAL ||
		    table_get(known, location))
			continue;
		*table_at(known, location) = m;
		int64_t size = external_size(m->folder, location);
		if (m->size < INT64_MAX / 32 && size < INT64_MAX / 32)
			m->size += size;
	}
	arena_free(a);
}

static char *folder_of(const char *path)
{
	const char *slash = strrchr(path, '/');
	if (!slash)
		return text_copy(".");
	return slash == path ? text_copy("/") : text_new("%.*s", (int)(slash - path), path);
}

static Onnx__Model *unpack(const Model *m, const char *bytes, size_t n, Diag *d)
{
	char err[200];
	if (!wire_check(&onnx__model__descriptor, (const uint8_t *)bytes, n, err, sizeof err)) {
		model_error(d, m->file, "not a readable ONNX model: %s", err);
		return 0;
	}
	Onnx__Model *p = onnx__model__unpack(0, n, (const uint8_t *)bytes);
	if (!p) {
		model_error(d, m->file,
			    "not a readable ONNX model: its fields do not have the types they should");
		return 0;
	}
	if (!p->graph) {
		model_error(d, m->file, "not an ONNX model: it holds no graph");
		onnx__model__free_unpacked(p, 0);
		return 0;
	}
	return p;
}

Model *model_open(const char *path, Diag *d)
{
	size_t n;
	char *bytes = file_read(path, MAX_FILE, &n, d);
	if (!bytes)
		return 0;
	Model *m = mem_new(sizeof *m);
	m->path = path;
	m->file = path_base(path);
	m->folder = folder_of(path);
	m->size = (int64_t)n;
	m->proto = unpack(m, bytes, n, d);
	free(bytes);
	if (m->proto && read_opset(m, d) && read_inputs(m, d)) {
		add_external_sizes(m);
		return m;
	}
	model_close(m);
	return 0;
}

void model_close(Model *m)
{
	if (!m)
		return;
	onnx_inputs_free(m->input, m->ninput);
	if (m->proto)
		onnx__model__free_unpacked(m->proto, 0);
	free(m->folder);
	free(m);
}

OnnxInput *onnx_inputs(const char *path, int *n, Diag *d)
{
	Model *m = model_open(path, d);
	if (!m)
		return 0;
	OnnxInput *in = m->input;
	*n = m->ninput;
	m->input = 0;
	m->ninput = 0;
	model_close(m);
	return in;
}

void onnx_inputs_free(OnnxInput *in, int n)
{
	for (int i = 0; i < n; i++) {
		free(in[i].name);
		for (int k = 0; k < HOST_RANK; k++)
			free(in[i].symbol[k]);
	}
	free(in);
}

/* sketch.c: build a small graph in memory and walk it. */
#include "onnx/sketch.h"

#include <string.h>

enum { MAX_NODES = 32 };

struct Sketch {
	Node *n;
	Onnx__Graph g;
	Onnx__Node *node[MAX_NODES], *last;
	Onnx__ValueInfo *input[MAX_NODES], *output[MAX_NODES];
	Value *in[MAX_NODES];
};

Sketch *sketch_new(Node *n)
{
	Sketch *s = NEW(n->im->arena, Sketch);
	s->n = n;
	onnx__graph__init(&s->g);
	s->g.node = s->node;
	s->g.input = s->input;
	s->g.output = s->output;
	return s;
}

static Onnx__ValueInfo *info(Sketch *s, const char *name)
{
	Onnx__ValueInfo *v = NEW(s->n->im->arena, Onnx__ValueInfo);
	onnx__value_info__init(v);
	v->name = (char *)name;
	return v;
}

const char *sketch_value(Sketch *s, Value *v)
{
	if (!v)
		return "";
	for (size_t i = 0; i < s->g.n_input; i++)
		if (s->in[i] == v)
			return s->input[i]->name;
	char *name = arena_printf(s->n->im->arena, "%s operand %zu", v->name, s->g.n_input);
	s->in[s->g.n_input] = v;
	s->input[s->g.n_input++] = info(s, name);
	return name;
}

static const char *constant(Sketch *s, HostType type, int rank, int64_t count, const void *bytes)
{
	Arena *a = s->n->im->arena;
	Tensor *t = NEW(a, Tensor);
	*t = (Tensor){ .type = type, .rank = rank, .dim = { count }, .count = count };
	t->bytes = arena_copy(a, bytes, (size_t)count * host_size(type));
	Value *v = NEW(a, Value);
	*v = (Value){ .name = "constant", .kind = V_HOST, .type = type, .host = t, .producer = -1 };
	return sketch_value(s, v);
}

const char *sketch_number(Sketch *s, float v)
{
	return constant(s, H_F32, 0, 1, &v);
}

const char *sketch_list(Sketch *s, int count, const int64_t *v)
{
	return constant(s, H_I64, 1, count, v);
}

const char *sketch_add(Sketch *s, const char *op, int nin, const char *const *in)
{
	Arena *a = s->n->im->arena;
	Onnx__Node *p = NEW(a, Onnx__Node);
	onnx__node__init(p);
	p->op_type = (char *)op;
	p->name = s->n->p->name;
	p->n_input = (size_t)nin;
	p->input = arena_copy(a, in, sizeof *in * (size_t)nin);
	p->n_output = 1;
	p->output = NEWN(a, char *, 1);
	p->output[0] = arena_printf(a, "%s %zu", op, s->g.n_node);
	p->attribute = NEWN(a, Onnx__Attribute *, MAX_NODES);
	s->last = s->node[s->g.n_node++] = p;
	return p->output[0];
}

static Onnx__Attribute *attribute(Sketch *s, const char *name)
{
	Onnx__Attribute *a = NEW(s->n->im->arena, Onnx__Attribute);
	onnx__attribute__init(a);
	a->name = (char *)name;
	return s->last->attribute[s->last->n_attribute++] = a;
}

void sketch_int(Sketch *s, const char *name, int64_t v)
{
	Onnx__Attribute *a = attribute(s, name);
	a->type = ONNX__ATTRIBUTE__TYPE__INT;
	a->i = v;
}

void sketch_ints(Sketch *s, const char *name, int count, const int64_t *v)
{
	Onnx__Attribute *a = attribute(s, name);
	a->type = ONNX__ATTRIBUTE__TYPE__INTS;
	a->n_ints = (size_t)count;
	a->ints = arena_copy(s->n->im->arena, v, sizeof *v * (size_t)count);
}

/* n's own were checked against its row, which has few. */
void sketch_attrs(Sketch *s)
{
	for (size_t i = 0; i < s->n->p->n_attribute && s->last->n_attribute < MAX_NODES; i++)
		s->last->attribute[s->last->n_attribute++] = s->n->p->attribute[i];
}

bool sketch_done(Sketch *s)
{
	Node *n = s->n;
	Import *im = n->im;
	Value *out[MAX_NODES];
	int nout = n->nout > 0 ? n->nout : 1;
	s->last->n_output = (size_t)nout;
	char *first = s->last->output[0];
	s->last->output = NEWN(im->arena, char *, nout);
	for (int i = 0; i < nout; i++) {
		s->last->output[i] = i ? arena_printf(im->arena, "%s result %d", first, i) : first;
		s->output[s->g.n_output++] = info(s, s->last->output[i]);
	}
	const Model *model = im->model;
	Model inside = *model;
	inside.opset = SKETCH_OPSET;
	im->model = &inside;
	bool good = graph_walk(im, 0, &(Walk){ .g = &s->g, .in = s->in }, out);
	im->model = model;
	for (int k = 0; good && k < n->nout; k++) {
		good = out[k]->kind != V_UNKNOWN;
		if (good)
			set_same(n, k, out[k]);
	}
	return good;
}

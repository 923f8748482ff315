/* function.c: the model's own functions (opset 15 and later): a node that calls one stands for the function's
 * nodes, with the attributes that they refer to taken from the call, or from the function's defaults. */
#include "onnx/import.h"

#include <string.h>

enum { MAX_DEPTH = 32 };

const Onnx__Function *function_find(const Model *m, const Onnx__Node *p)
{
	for (size_t i = 0; i < m->proto->n_functions; i++) {
		const Onnx__Function *f = m->proto->functions[i];
		if (!strcmp(f->name, p->op_type) && !strcmp(f->domain, p->domain))
			return f;
	}
	return 0;
}

static const Onnx__Attribute *given(const Node *n, const Onnx__Function *f, const char *name)
{
	const Onnx__Attribute *a = get_attr(n, name);
	for (size_t i = 0; !a && i < f->n_attribute_proto; i++)
		if (!strcmp(f->attribute_proto[i]->name, name))
			a = f->attribute_proto[i];
	return a;
}

static Onnx__Graph *filled_graph(Node *n, const Onnx__Function *f, const Onnx__Graph *g);

/* A copy of node p without references to f's attributes.  Those that are not given are left out. */
static Onnx__Node *filled_node(Node *n, const Onnx__Function *f, const Onnx__Node *p)
{
	Arena *a = n->im->arena;
	Onnx__Node *c = arena_copy(a, p, sizeof *p);
	c->input = NEWN(a, char *, p->n_input);
	for (size_t i = 0; i < p->n_input; i++)
		c->input[i] = p->input[i];
	c->attribute = NEWN(a, Onnx__Attribute *, p->n_attribute);
	c->n_attribute = 0;
	for (size_t i = 0; i < p->n_attribute; i++) {
		Onnx__Attribute *q = arena_copy(a, p->attribute[i], sizeof *q);
		if (*q->ref_attr_name) {
			const Onnx__Attribute *from = given(n, f, q->ref_attr_name);
			if (!from)
				continue;
			const char *name = q->name;
			*q = *from;
			q->name = (char *)name;
		} else if (q->g) {
			q->g = filled_graph(n, f, q->g);
		}
		c->attribute[c->n_attribute++] = q;
	}
	return c;
}

static Onnx__Graph *filled_graph(Node *n, const Onnx__Function *f, const Onnx__Graph *g)
{
	Onnx__Graph *c = arena_copy(n->im->arena, g, sizeof *g);
	c->node = NEWN(n->im->arena, Onnx__Node *, g->n_node);
	for (size_t i = 0; i < g->n_node; i++)
		c->node[i] = filled_node(n, f, g->node[i]);
	return c;
}

static Onnx__ValueInfo **names(Arena *a, char *const *name, size_t n)
{
	Onnx__ValueInfo **v = NEWN(a, Onnx__ValueInfo *, n);
	for (size_t i = 0; i < n; i++) {
		v[i] = NEW(a, Onnx__ValueInfo);
		onnx__value_info__init(v[i]);
		v[i]->name = name[i];
	}
	return v;
}

/* The function as a graph. */
static Onnx__Graph *graph_of(Node *n, const Onnx__Function *f)
{
	Onnx__Graph g = ONNX__GRAPH__INIT;
	g.node = f->node;
	g.n_node = f->n_node;
	Onnx__Graph *c = filled_graph(n, f, &g);
	c->n_input = f->n_input;
	c->n_output = f->n_output;
	c->input = names(n->im->arena, f->input, f->n_input);
	c->output = names(n->im->arena, f->output, f->n_output);
	return c;
}

/* The opset of ai.onnx that the function is written for. */
static int opset_of(const Onnx__Function *f, int otherwise)
{
	for (size_t i = 0; i < f->n_opset_import; i++)
		if (!*f->opset_import[i]->domain || !strcmp(f->opset_import[i]->domain, "ai.onnx"))
			return (int)f->opset_import[i]->version;
	return otherwise;
}

static bool check_call(Node *n, const Onnx__Function *f)
{
	if (n->im->depth == MAX_DEPTH)
		return fail(n, "functions call each other more than %d deep", MAX_DEPTH);
	if (n->nin > (int)f->n_input || n->nout > (int)f->n_output)
		return fail(n, "has %d operands and %d results; the model's function takes %zu and gives %zu",
			    n->nin, n->nout, f->n_input, f->n_output);
	for (size_t i = 0; i < n->p->n_attribute; i++) {
		const char *name = n->p->attribute[i]->name;
		bool known = false;
		for (size_t k = 0; k < f->n_attribute; k++)
			known |= !strcmp(f->attribute[k], name);
		for (size_t k = 0; k < f->n_attribute_proto; k++)
			known |= !strcmp(f->attribute_proto[k]->name, name);
		if (!known)
			return fail(n, "attribute '%s' is not one of the model's function", name);
	}
	int opset = opset_of(f, n->im->model->opset);
	return (opset > 0 && opset <= NEWEST_OPSET) ||
	       fail(n, "the model's function is written for opset %d; the newest supported is %d", opset,
		    NEWEST_OPSET);
}

/* An operand that the call leaves out is left out of the nodes inside, too. */
static void leave_out(Onnx__Graph *g, const char *name)
{
	for (size_t i = 0; i < g->n_node; i++)
		for (size_t k = 0; k < g->node[i]->n_input; k++)
			if (!strcmp(g->node[i]->input[k], name))
				g->node[i]->input[k] = (char *)"";
}

bool function_import(Node *n, const Onnx__Function *f)
{
	if (!check_call(n, f))
		return false;
	Import *im = n->im;
	Onnx__Graph *g = graph_of(n, f);
	Value **in = NEWN(im->arena, Value *, g->n_input), **out = NEWN(im->arena, Value *, g->n_output);
	for (size_t i = 0; i < g->n_input; i++) {
		in[i] = input(n, (int)i);
		if (!in[i])
			leave_out(g, g->input[i]->name);
	}
	const Model *model = im->model;
	Model inside = *model;
	inside.opset = opset_of(f, model->opset);
	im->model = &inside;
	im->depth++;
	bool good = graph_walk(im, 0, &(Walk){ .g = g, .in = in }, out);
	im->depth--;
	im->model = model;
	for (int k = 0; good && k < n->nout; k++)
		if (result(n, k) && out[k]->kind != V_UNKNOWN)
			set_same(n, k, out[k]);
	return good;
}

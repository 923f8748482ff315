/* graph.c: walk a graph.  First all names are put in order: who defines them, who uses them, which nodes an
 * output depends on.  Then the nodes that are needed are given to their operators, one after the other. */
#include "onnx/import.h"

#include <stdio.h>
#include <string.h>

struct Scope {
	Import *im;
	Scope *outer;
	const Onnx__Graph *g;
	const Walk *walk;
	Table *names;           /* Value * */
	bool good;
};

static bool graph_fail(Scope *s, const char *what, const char *name)
{
	model_error(s->im->d, s->im->model->file, "'%.100s' %s", name, what);
	return s->good = false;
}

static Value *find_here(const Scope *s, const char *name)
{
	return *name ? table_get(s->names, name) : 0;
}

static Value *find_any(const Scope *s, const char *name)
{
	for (; s; s = s->outer) {
		Value *v = find_here(s, name);
		if (v)
			return v;
	}
	return 0;
}

/* A value from around a loop's body, inside it; of a sequence each tensor. */
static Value *captured(const Scope *s, Value *v)
{
	if (v->kind != V_SEQUENCE)
		return body_capture(s->walk->body, v);
	Value *inside = NEW(s->im->arena, Value);
	*inside = *v;
	inside->item = NEWN(s->im->arena, Value *, v->nitem);
	for (int i = 0; i < v->nitem; i++)
		inside->item[i] = body_capture(s->walk->body, v->item[i]);
	return inside;
}

Value *scope_find(const Scope *s, const char *name)
{
	Value *v = find_here(s, name);
	if (!v) {
		v = s->outer ? scope_find(s->outer, name) : 0;
		return v && s->walk->body ? captured(s, v) : v;
	}
	while (v->same)
		v = v->same;
	return v;
}

/* ---- names --------------------------------------------------------------------------------- */

static Value *declare(Scope *s, const char *name, int producer)
{
	void **at = table_at(s->names, name);
	if (*at) {
		graph_fail(s, "is defined twice", name);
		return *at;
	}
	Value *v = NEW(s->im->arena, Value);
	v->name = name;
	v->producer = producer;
	return *at = v;
}

static void declare_all(Scope *s)
{
	const Onnx__Graph *g = s->g;
	size_t n = g->n_input + g->n_initializer;
	for (size_t i = 0; i < g->n_node; i++)
		n += g->node[i]->n_output;
	s->names = table_new(s->im->arena, n);
	for (size_t i = 0; i < g->n_initializer; i++)
		declare(s, g->initializer[i]->name, -1);
	Table *inputs = table_new(s->im->arena, g->n_input);
	for (size_t i = 0; i < g->n_input; i++) {
		void **seen = table_at(inputs, g->input[i]->name);
		if (*seen)
			graph_fail(s, "is an input twice", g->input[i]->name);
		*seen = s;
		if (!find_here(s, g->input[i]->name))           /* else the initializer is its value */
			declare(s, g->input[i]->name, -1);
	}
	for (size_t i = 0; i < g->n_node; i++)
		for (size_t k = 0; k < g->node[i]->n_output; k++)
			if (*g->node[i]->output[k])
				declare(s, g->node[i]->output[k], (int)i);
}

typedef void Visit(Scope *s, const char *name, int by);

/* What a node's subgraphs use of the graphs around them; names of their own may be met, too, which does no
 * harm. Subgraphs nest no deeper than wire_check allows. */
static void visit_inside(Scope *s, const Onnx__Node *p, int by, Visit *visit)
{
	for (size_t i = 0; i < p->n_attribute; i++) {
		const Onnx__Graph *g = p->attribute[i]->g;
		for (size_t k = 0; g && k < g->n_node; k++) {
			for (size_t j = 0; j < g->node[k]->n_input; j++)
				visit(s, g->node[k]->input[j], by);
			visit_inside(s, g->node[k], by, visit);
		}
		for (size_t k = 0; g && k < g->n_output; k++)
			visit(s, g->output[k]->name, by);
	}
}

static void visit_node(Scope *s, int i, Visit *visit)
{
	const Onnx__Node *p = s->g->node[i];
	for (size_t k = 0; k < p->n_input; k++)
		if (*p->input[k])
			visit(s, p->input[k], i);
	visit_inside(s, p, i, visit);
}

/* Is output i to be computed? */
static bool is_wanted(const Scope *s, size_t i)
{
	return !s->walk->want || s->walk->want[i];
}

static void count_use(Scope *s, const char *name, int by)
{
	Value *v = find_any(s, name);
	if (v)
		v->uses++;
}

static void check_order(Scope *s, int i)
{
	const Onnx__Node *p = s->g->node[i];
	char what[200];
	for (size_t k = 0; k < p->n_input; k++) {
		if (!*p->input[k])
			continue;
		Value *v = find_here(s, p->input[k]);
		if (!v && !find_any(s->outer, p->input[k])) {
			snprintf(what, sizeof what, "is used by node '%.80s' (%.40s) but defined nowhere",
				 p->name, p->op_type);
			graph_fail(s, what, p->input[k]);
		} else if (v && v->producer >= i) {
			snprintf(what, sizeof what,
				 "is used by node '%.80s' (%.40s) before it is computed: "
				 "a cycle, or nodes out of order", p->name, p->op_type);
			graph_fail(s, what, p->input[k]);
		}
	}
}

static void need(Scope *s, const char *name, int by)
{
	Value *v = find_any(s, name);
	if (v)
		v->needed = true;
}

static bool is_needed(Scope *s, int i)
{
	const Onnx__Node *p = s->g->node[i];
	for (size_t k = 0; k < p->n_output; k++) {
		Value *v = find_here(s, p->output[k]);
		if (v && v->needed)
			return true;
	}
	return false;
}

static void check_names(Scope *s)
{
	const Onnx__Graph *g = s->g;
	declare_all(s);
	for (size_t i = 0; i < g->n_node; i++) {
		check_order(s, (int)i);
		visit_node(s, (int)i, count_use);
	}
	for (size_t i = 0; i < g->n_output; i++) {
		if (!find_any(s, g->output[i]->name))
			graph_fail(s, "is an output but defined nowhere", g->output[i]->name);
		count_use(s, g->output[i]->name, 0);
		if (is_wanted(s, i))
			need(s, g->output[i]->name, 0);
	}
	for (size_t i = g->n_node; i-- > 0; )
		if (is_needed(s, (int)i))
			visit_node(s, (int)i, need);
}

/* ---- weights ------------------------------------------------------------------------------- */

/* Room for the bytes of p; what it has to say about its own size is checked by weight_read. */
static bool take_external(Import *im, const Onnx__Tensor *p)
{
	int64_t size = 8;
	for (size_t i = 0; i < p->n_dims; i++)
		if (__builtin_mul_overflow(size, p->dims[i], &size))
			return false;
	if (size > im->room)
		return false;
	im->room -= size > 0 ? size : 0;
	return true;
}

static void read_initializers(Scope *s)
{
	Import *im = s->im;
	char err[300];
	for (size_t i = 0; i < s->g->n_initializer; i++) {
		const Onnx__Tensor *p = s->g->initializer[i];
		Value *v = find_here(s, p->name);
		if (!v)
			continue;
		if (!v->needed && p->data_location == ONNX__TENSOR__LOCATION__EXTERNAL)
			continue;
		if (p->data_location == ONNX__TENSOR__LOCATION__EXTERNAL && !take_external(im, p)) {
			model_error(im->d, im->model->file,
				    "initializer '%.100s': tensors ask for more external data than there is",
				    p->name);
			continue;
		}
		v->host = weight_read(im->arena, im->model->folder, p, err, sizeof err);
		if (v->host) {
			v->kind = V_HOST;
			v->type = v->host->type;
		} else if (v->needed || host_type(p->data_type) >= 0) {
			model_error(im->d, im->model->file, "initializer '%.100s': %s", p->name, err);
		}
	}
	for (size_t i = 0; i < s->g->n_sparse_initializer; i++) {
		const Onnx__SparseTensor *p = s->g->sparse_initializer[i];
		model_error(im->d, im->model->file, "initializer '%.100s' is sparse, which is not supported",
			   p->values ? p->values->name : "");
	}
}

/* ---- nodes --------------------------------------------------------------------------------- */

static bool find_operator(Node *n)
{
	const Onnx__Node *p = n->p;
	bool standard = !*p->domain || !strcmp(p->domain, "ai.onnx");
	n->row = op_row(standard ? p->op_type : arena_printf(n->im->arena, "%s.%s", p->domain, p->op_type));
	if (!standard && !n->row)
		return fail(n, "operator %.60s of domain %.60s is not supported", p->op_type, p->domain);
	if (!n->row)
		diag_note(n->im->d, "%s: supported operators: %s", n->im->model->file,
			  op_names(n->im->arena));
	if (!n->row)
		return fail(n, "operator %.60s (ai.onnx, opset %d) is not supported", p->op_type,
			    n->im->model->opset);
	return true;
}

/* Most operators take tensors only. */
static bool no_sequences(Node *n)
{
	for (int k = 0; k < n->nin && !takes_sequence(n->row); k++)
		if (n->in[k] && n->in[k]->kind == V_SEQUENCE)
			return fail(n, "operand %d ('%s') is a sequence; it must be a tensor", k, n->in[k]->name);
	return true;
}

static void import_node(Scope *s, int i)
{
	const Onnx__Node *p = s->g->node[i];
	Import *im = s->im;
	Node n = {.im = im, .scope = s, .p = p, .index = i, .nin = (int)p->n_input, .nout = (int)p->n_output};
	while (n.nin && !*p->input[n.nin - 1])          /* omitted ones at the end were never given */
		n.nin--;
	while (n.nout && !*p->output[n.nout - 1])
		n.nout--;
	n.in = NEWN(im->arena, Value *, n.nin);
	n.out = NEWN(im->arena, Value *, n.nout);
	bool known = true;
	for (int k = 0; k < n.nin; k++) {
		n.in[k] = *p->input[k] ? scope_find(s, p->input[k]) : 0;
		known &= !n.in[k] || n.in[k]->kind == V_HOST || (n.in[k]->kind != V_UNKNOWN && !s->walk->constants);
	}
	for (int k = 0; k < n.nout; k++)
		n.out[k] = find_here(s, p->output[k]);
	const Onnx__Function *f = function_find(im->model, p);
	if (f) {
		if (known)
			function_import(&n, f);         /* its nodes see to sequences */
		return;
	}
	if (find_operator(&n) && node_check(&n) && known && no_sequences(&n) && n.row->import(&n))
		body_track(&n);
}

/* The names of the graph's inputs are other names of the values it is given. */
static void bind_inputs(Scope *s)
{
	for (size_t i = 0; i < s->g->n_input; i++) {
		Value *v = find_here(s, s->g->input[i]->name), *to = s->walk->in[i];
		if (!to)                /* its initializer is its value */
			continue;
		v->same = to;
		to->uses += v->uses;
	}
}

bool graph_walk(Import *im, Scope *outer, const Walk *w, Value **out)
{
	Scope s = { .im = im, .outer = outer, .g = w->g, .walk = w, .good = true };
	check_names(&s);
	if (!s.good)
		return false;
	read_initializers(&s);
	if (w->in)
		bind_inputs(&s);
	for (size_t i = 0; i < w->g->n_node; i++)
		if (is_needed(&s, (int)i))
			import_node(&s, (int)i);
	for (size_t i = 0; i < w->g->n_output; i++) {
		out[i] = scope_find(&s, w->g->output[i]->name);
		if (out[i]->kind == V_SEQUENCE && w->body) {
			graph_fail(&s, "is a sequence; a loop's results must be tensors", out[i]->name);
			out[i] = NEW(im->arena, Value);
		}
	}
	return true;
}

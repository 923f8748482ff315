/* ops_if.c: If.  Of a condition that is known now only the branch it chooses is walked, as if it stood here.
 * Else both branches are computed, which costs time but changes nothing as no operator has effects, and
 * `where` chooses. */
#include "onnx/operators.h"

#include <stdio.h>

static bool branch(Node *n, const char *name, Value ***out)
{
	const Onnx__Attribute *a = get_attr(n, name);
	if (!a)
		return fail(n, "attribute '%s' is missing", name);
	const Onnx__Graph *g = a->g;
	if (g->n_input || g->n_output != n->p->n_output)
		return fail(n, "its %s has %zu inputs and %zu results; it must have 0 and %zu", name,
			    g->n_input, g->n_output, n->p->n_output);
	*out = NEWN(n->im->arena, Value *, g->n_output);
	return graph_walk(n->im, n->scope, &(Walk){ .g = g }, *out);
}

static bool one_branch(Node *n, bool yes)
{
	Value **out;
	if (!branch(n, yes ? "then_branch" : "else_branch", &out))
		return false;
	for (int k = 0; k < n->nout; k++)
		set_same(n, k, out[k]);
	return true;
}

/* An input of the model that v is computed from; 0: there is none. */
static const char *source(const Import *im, const Val *v)
{
	for (const Op *o = v->def; o; o = v->def) {
		const Val *next = 0;
		for (int i = 0; i < o->nin && !next; i++)
			next = o->in[i] && !o->in[i]->data ? o->in[i] : 0;
		if (!next)
			return 0;
		v = next;
	}
	const Port *p = im->f == im->m->funcs ? im->m->in : 0;          /* a loop's step has parameters of its own */
	for (int i = 0; p && i < im->f->nparam; p = p->next, i++)
		if (im->f->param[i] == v)
			return p->name;
	return 0;
}

static bool differ(Node *n, const Value *c, const char *what)
{
	const char *name = source(n->im, c->val);
	if (name)
		return fail(n,
			    "its condition is computed from input '%s' when the model runs, and its branches "
			    "have %s; "
			    "bind the input: --set %s=VALUE",
			    name, what, name);
	return fail(n, "its condition '%s' is computed when the model runs, and its branches have %s",
		    c->name, what);
}

static bool choose(Node *n, int k, Value *c, Value *a, Value *b)
{
	char x[128], y[128], what[300];
	Value *v = result(n, k);
	if (!v || !v->needed || a == b) {
		if (v && a->kind != V_UNKNOWN)
			set_same(n, k, a);
		return true;
	}
	if (a->kind == V_UNKNOWN || b->kind == V_UNKNOWN)
		return false;
	if (a->kind == V_SEQUENCE || b->kind == V_SEQUENCE)
		return differ(n, c, "sequences as results");
	if (a->type != b->type)
		return differ(n, c, "different types");
	if (a->steps || b->steps)
		return differ(n, c, "shapes that depend on the number of steps");
	Val *in[] = { c->val, operand(n, a), operand(n, b) };
	if (!in[1] || !in[2])
		return false;
	if (in[1]->type != in[2]->type) {
		snprintf(what, sizeof what, "different shapes, %s and %s",
			 type_text(in[1]->type, x, sizeof x), type_text(in[2]->type, y, sizeof y));
		return differ(n, c, what);
	}
	Shape scalar = { 0 };
	in[0] = emit_reshape(n, in[0], &scalar);
	Val *y1 = op_end(n, op_begin(n, O_where, 3, in));
	if (y1)
		set_run(n, k, y1, a->type);
	return y1;
}

static bool unknown(const Node *n, Value *const *yes, Value *const *no)
{
	for (int k = 0; k < n->nout; k++)
		if (yes[k]->kind == V_UNKNOWN || no[k]->kind == V_UNKNOWN)
			return true;
	return false;
}

bool op_if(Node *n)
{
	Value *c = n->in[0], **yes, **no;
	Shape s = shape_of(c);
	int steps;
	if (c->type != H_BOOL || shape_const(&s, 0, s.rank, &steps) != 1 || steps)
		return fail(n, "its condition is no single bool");
	if (is_host(c))
		return one_branch(n, tensor_get_int(c->host, 0));
	bool good = branch(n, "then_branch", &yes);
	good &= branch(n, "else_branch", &no);
	if (!good || (diag_errors(n->im->d) && unknown(n, yes, no)))
		return differ(n, c, "no results that can be computed");
	for (int k = 0; good && k < n->nout; k++)
		good &= choose(n, k, c, yes[k], no[k]);
	return good;
}

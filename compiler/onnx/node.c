/* node.c: what an operator's function sees of its node: operands, attributes, results, and the way to refuse
 * it. */
#include "onnx/import.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- messages ------------------------------------------------------------------------------ */

bool fail(Node *n, const char *fmt, ...)
{
	char text[1000], where[200];
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	if (*n->p->name)
		snprintf(where, sizeof where, "node '%.100s'", n->p->name);
	else
		snprintf(where, sizeof where, "node #%d", n->index);
	model_error(n->im->d, n->im->model->file, "%s (%.60s): %s", where, n->p->op_type, text);
	return false;
}

bool fail_fixed(Node *n, const char *why)
{
	return fail(n, "dimension \"%s\" must be fixed: --dim %s=N (%s)", n->im->t_name, n->im->t_name, why);
}

/* ---- attributes ---------------------------------------------------------------------------- */

static const char kinds[] = "?fistgFISTG";      /* in the order of their numbers in the format */
static const char *const kind_names[] = {
	"unknown", "float", "int",     "string",  "tensor", "graph",
	"floats",  "ints",  "strings", "tensors", "graphs",
};

/* Files of the first format version do not say the kind; then the one that is wanted is taken. */
static char kind_of(const Onnx__Attribute *a, char wanted)
{
	if (a->type == ONNX__ATTRIBUTE__TYPE__UNDEFINED)
		return wanted;
	return a->type > 0 && a->type < (int)sizeof kinds - 1 ? kinds[a->type] : '?';
}

/* Find "name:k" or "name:k<13" or "name:k>=14" in the row's list, whose condition this opset meets.
 * The kind, 0 when there is none. */
static char wanted_kind(const Node *n, const char *name)
{
	int opset = n->im->model->opset;
	size_t len = strlen(name);
	for (const char *p = n->row->attrs; *p; p += strcspn(p, " "), p += strspn(p, " ")) {
		if (strncmp(p, name, len) || p[len] != ':')
			continue;
		const char *when = p + len + 2;
		if ((*when == '<' && opset >= atoi(when + 1)) || (*when == '>' && opset < atoi(when + 2)))
			continue;
		return p[len + 1];
	}
	return 0;
}

static bool check_attr(Node *n, const Onnx__Attribute *a)
{
	char wanted = wanted_kind(n, a->name), kind = kind_of(a, wanted);
	if (!wanted)
		return fail(n, "attribute '%s' is not known in opset %d", a->name, n->im->model->opset);
	if (*a->ref_attr_name)
		return fail(n, "attribute '%s' refers to one of a function", a->name);
	if (kind != wanted) {
		const char *w = strchr(kinds, wanted), *k = strchr(kinds, kind);
		return fail(n, "attribute '%s' is of kind %s; it must be %s", a->name, kind_names[k - kinds],
			    kind_names[w - kinds]);
	}
	if ((wanted == 't' && !a->t) || (wanted == 'g' && !a->g))
		return fail(n, "attribute '%s' is empty", a->name);
	return true;
}

bool node_check(Node *n)
{
	const Onnx__Node *p = n->p;
	const OpRow *row = n->row;
	bool good = true;
	for (size_t i = 0; i < p->n_attribute; i++) {
		good &= check_attr(n, p->attribute[i]);
		if (get_attr(n, p->attribute[i]->name) != p->attribute[i])
			good = fail(n, "attribute '%s' comes twice", p->attribute[i]->name);
	}
	if (n->nin < row->min_in || (row->max_in >= 0 && n->nin > row->max_in))
		good = fail(n,
			    row->max_in < 0              ? "has %d operands; at least %d are needed"
			    : row->min_in == row->max_in ? "has %d operands; it takes %d"
							 : "has %d operands; it takes %d to %d",
			    n->nin, row->min_in, row->max_in);
	for (int i = 0; i < row->min_in && i < n->nin; i++)
		if (!n->in[i])
			good = fail(n, "operand %d is missing", i);
	if (row->max_out >= 0 && n->nout > row->max_out)
		good = fail(n, "has %d results; it gives %d", n->nout, row->max_out);
	return good;
}

const Onnx__Attribute *get_attr(const Node *n, const char *name)
{
	for (size_t i = 0; i < n->p->n_attribute; i++)
		if (!strcmp(n->p->attribute[i]->name, name))
			return n->p->attribute[i];
	return 0;
}

int64_t get_int(const Node *n, const char *name, int64_t otherwise)
{
	const Onnx__Attribute *a = get_attr(n, name);
	return a ? a->i : otherwise;
}

float get_float(const Node *n, const char *name, float otherwise)
{
	const Onnx__Attribute *a = get_attr(n, name);
	return a ? a->f : otherwise;
}

const char *get_string(const Node *n, const char *name, const char *otherwise)
{
	const Onnx__Attribute *a = get_attr(n, name);
	if (!a)
		return otherwise;
	return arena_printf(n->im->arena, "%.*s", (int)(a->s.len < 1000 ? a->s.len : 1000),
			    (const char *)a->s.data);
}

bool in_axis(Node *n, int64_t a, int rank, int *axis)
{
	if (a < -rank || a >= rank)
		return fail(n, "axis %lld is not one of a tensor of rank %d", (long long)a, rank);
	*axis = (int)(a < 0 ? a + rank : a);
	return true;
}

bool get_axis(Node *n, const char *name, int64_t otherwise, int rank, int *axis)
{
	return in_axis(n, get_int(n, name, otherwise), rank, axis);
}

/* ---- operands ------------------------------------------------------------------------------ */

Value *input(const Node *n, int i)
{
	return i < n->nin ? n->in[i] : 0;
}

bool is_host(const Value *v)
{
	return v && v->kind == V_HOST;
}

bool all_host(const Node *n)
{
	for (int i = 0; i < n->nin; i++)
		if (n->in[i] && n->in[i]->kind != V_HOST)
			return false;
	return true;
}

Shape val_shape(const Val *v)
{
	Shape s = { .rank = v->type->rank };
	memcpy(s.dim, v->type->dim, sizeof s.dim);
	return s;
}

Shape shape_of(const Value *v)
{
	if (v->kind == V_RUN)
		return val_shape(v->val);
	Shape s = { .rank = v->host->rank };
	for (int i = 0; i < s.rank; i++)
		s.dim[i] = (int32_t)v->host->dim[i];
	return s;
}

bool input_syms(Node *n, int i, Sym *to, int most, int *count)
{
	const Value *v = input(n, i);
	if (!v)
		return fail(n, "operand %d is missing", i);
	if (!is_host(v))
		return fail(n, "operand %d ('%s') is computed from the model's inputs; it must be a constant",
			    i, v->name);
	if (!is_whole(v->type) || v->host->rank > 1)
		return fail(n, "operand %d ('%s') must be a list of integers", i, v->name);
	if (v->host->count > most)
		return fail(n, "operand %d ('%s') has %lld elements; at most %d make sense", i, v->name,
			    (long long)v->host->count, most);
	*count = (int)v->host->count;
	for (int k = 0; k < *count; k++)
		to[k] = host_sym(v->host, v->steps, k);
	return true;
}

bool input_ints(Node *n, int i, int64_t *to, int most, int *count)
{
	Sym *s = NEWN(n->im->arena, Sym, most);
	if (!input_syms(n, i, s, most, count))
		return false;
	for (int k = 0; k < *count; k++) {
		if (s[k].a)
			return fail_fixed(n, "an operand that must be constant depends on it");
		to[k] = s[k].b;
	}
	return true;
}

bool list_arg(Node *n, const char *name, int i, int64_t *to, int most, int *count)
{
	const Onnx__Attribute *a = get_attr(n, name);
	*count = -1;
	if (!a)
		return !input(n, i) || input_ints(n, i, to, most, count);
	if (a->n_ints > (size_t)most)
		return fail(n, "attribute '%s' has %zu elements; at most %d make sense", name, a->n_ints,
			    most);
	*count = (int)a->n_ints;
	for (int k = 0; k < *count; k++)
		to[k] = a->ints[k];
	return true;
}

/* ---- results ------------------------------------------------------------------------------- */

Value *result(const Node *n, int k)
{
	return k < n->nout ? n->out[k] : 0;
}

void value_set(Value *v, const Tensor *t, const int64_t *steps)
{
	if (!v)
		return;
	v->kind = V_HOST;
	v->type = t->type;
	v->host = t;
	v->steps = 0;
	for (int64_t i = 0; steps && i < t->count; i++)
		if (steps[i])
			v->steps = steps;
}

void set_host(Node *n, int k, const Tensor *t, const int64_t *steps)
{
	value_set(result(n, k), t, steps);
}

void set_run(Node *n, int k, Val *val, HostType type)
{
	Value *v = result(n, k);
	if (!v)
		return;
	v->kind = V_RUN;
	v->type = type;
	v->val = val;
}

void set_same(Node *n, int k, Value *from)
{
	Value *v = result(n, k);
	if (!v)
		return;
	v->same = from;
	from->uses += v->uses - 1;      /* less the one by this node */
}

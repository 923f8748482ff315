/* report_json.c: the model's functions, op by op, with formats and integer arithmetic. */
#include "driver/driver.h"
#include "driver/format.h"
#include "driver/report.h"
#include "lower/explain.h"
#include "util/json.h"
#include "util/mem.h"

#include <string.h>

/* ---- types -------------------------------------------------------------------------------------- */

cJSON *report_shape(const Type *t)
{
	cJSON *list = cJSON_CreateArray();
	for (int i = 0; i < t->rank; i++)
		cJSON_AddItemToArray(list, t->dim[i] == DIM_T ? cJSON_CreateString("T") : cJSON_CreateNumber(t->dim[i]));
	return list;
}

cJSON *report_format(const Type *t)
{
	const Quant *q = t->quant;
	int e, bits = elem_bits(t->elem);
	char text[64];
	cJSON *j = cJSON_CreateObject();
	cJSON_AddStringToObject(j, "text", format_text(t, text, sizeof text));
	cJSON_AddNumberToObject(j, "bits", bits);
	cJSON_AddBoolToObject(j, "signed", elem_is_signed(t->elem));
	if (elem_is_float(t->elem))
		cJSON_AddBoolToObject(j, "float", true);
	if (!q)
		return j;
	cJSON_AddNumberToObject(j, "zero_point", q->zero);
	if (q->rows)
		cJSON_AddStringToObject(j, "row_scales", q->rows->name);
	else
		cJSON_AddNumberToObject(j, "scale", (double)q->scale);
	if (!q->rows && is_pow2(q->scale, &e)) {
		cJSON_AddNumberToObject(j, "integer_bits", bits - elem_is_signed(t->elem) + e);
		cJSON_AddNumberToObject(j, "fraction_bits", -e);
	}
	if (q->book)
		cJSON_AddStringToObject(j, "code_book", q->book->name);
	if (q->levels)
		cJSON_AddStringToObject(j, "levels", q->levels->name);
	return j;
}

static void range(cJSON *to, const Val *v)
{
	if (!v->ranged)
		return;
	cJSON *r = cJSON_AddArrayToObject(to, "range");
	cJSON_AddItemToArray(r, cJSON_CreateNumber((double)v->lo));
	cJSON_AddItemToArray(r, cJSON_CreateNumber((double)v->hi));
}

static cJSON *value(const Val *v)
{
	cJSON *j = cJSON_CreateObject();
	cJSON_AddStringToObject(j, "name", v->name);
	cJSON_AddItemToObject(j, "shape", report_shape(v->type));
	cJSON_AddItemToObject(j, "format", report_format(v->type));
	range(j, v);
	return j;
}

/* ---- ops ---------------------------------------------------------------------------------------- */

/* Values by name, data with a `$` before it, null for an operand left out, numbers as they are. */
static cJSON *operand(const Val *v)
{
	char name[300];
	if (!v)
		return cJSON_CreateNull();
	if (!v->data && !v->name)
		return cJSON_CreateNumber(elem_is_float(v->type->elem) ? (double)v->lit.f : (double)v->lit.i);
	snprintf(name, sizeof name, "%s%s", v->data ? "$" : "", v->data ? v->data->name : v->name);
	return cJSON_CreateString(name);
}

static cJSON *operands(Val *const *v, int n)
{
	cJSON *list = cJSON_CreateArray();
	for (int i = 0; i < n; i++)
		cJSON_AddItemToArray(list, operand(v[i]));
	return list;
}

static cJSON *attribute(const Attr *a)
{
	cJSON *list = cJSON_CreateArray();
	for (int i = 0; i < a->n; i++)
		cJSON_AddItemToArray(list, a->kind == A_STRING ? cJSON_CreateString(a->v.s[i])
		                           : a->kind == A_INT  ? cJSON_CreateNumber((double)a->v.i[i])
		                                               : cJSON_CreateNumber((double)a->v.f[i]));
	if (a->list)
		return list;
	cJSON *one = cJSON_DetachItemFromArray(list, 0);
	cJSON_Delete(list);
	return one;
}

static cJSON *attributes(const Op *o)
{
	cJSON *j = cJSON_CreateObject();
	for (const Attr *a = o->attr; a; a = a->next)
		cJSON_AddItemToObject(j, a->name, attribute(a));
	return j;
}

static cJSON *arithmetic(const Explained *x)
{
	static const char *const kind[] = {"move", "element", "linear", "loops"};
	cJSON *j = cJSON_CreateObject();
	cJSON_AddStringToObject(j, "kind", kind[x->kind]);
	if (x->func)
		cJSON_AddStringToObject(j, "function", x->func->name);
	if (x->kind == EXPLAIN_LINEAR) {
		cJSON_AddNumberToObject(j, "accumulator_bits", x->accumulator_bits);
		cJSON_AddNumberToObject(j, "accumulator_most", x->bound);
		cJSON_AddNumberToObject(j, "addend_shift", x->addend_shift);
	}
	return j;
}

static cJSON *op(const Explained *x)
{
	const Op *o = x->op;
	cJSON *j = cJSON_CreateObject();
	cJSON_AddStringToObject(j, "op", op_info[o->kind].name);
	cJSON_AddItemToObject(j, "in", operands(o->in, o->nin));
	cJSON *out = cJSON_AddArrayToObject(j, "out");
	for (int i = 0; i < o->nout; i++)
		cJSON_AddItemToArray(out, value(o->out[i]));
	if (o->attr)
		cJSON_AddItemToObject(j, "attributes", attributes(o));
	if (o->callee)
		cJSON_AddStringToObject(j, "callee", o->callee->name);
	if (o->loc.node)
		cJSON_AddStringToObject(j, "node", o->loc.node);
	if (o->nout)
		cJSON_AddItemToObject(j, "arithmetic", arithmetic(x));
	return j;
}

static cJSON *function(const Func *f, const Explained **x)
{
	cJSON *j = cJSON_CreateObject(), *list;
	cJSON_AddStringToObject(j, "name", f->name);
	list = cJSON_AddArrayToObject(j, "parameters");
	for (int i = 0; i < f->nparam; i++)
		cJSON_AddItemToArray(list, value(f->param[i]));
	list = cJSON_AddArrayToObject(j, "states");
	for (int i = 0; i < f->nstate; i++) {
		cJSON *s = value(f->state[i]);
		if (f->init[i])
			cJSON_AddStringToObject(s, "initial", f->init[i]->name);
		cJSON_AddItemToArray(list, s);
	}
	list = cJSON_AddArrayToObject(j, "ops");
	each_op(o, &f->body)
		cJSON_AddItemToArray(list, op((*x)++));
	return j;
}

/* ---- code: functions of registers --------------------------------------------------------------- */

static cJSON *statements(const Block *b, bool *used)
{
	cJSON *list = cJSON_CreateArray();
	each_op(o, b) {
		cJSON *j = cJSON_CreateObject();
		used[o->kind] = true;
		cJSON_AddStringToObject(j, "op", op_info[o->kind].name);
		if (o->nout)
			cJSON_AddItemToObject(j, "out", operands(o->out, o->nout));
		if (o->nout)
			cJSON_AddNumberToObject(j, "bits", elem_bits(o->out[0]->type->elem));
		cJSON_AddItemToObject(j, "in", operands(o->in, o->nin));
		if (o->callee)
			cJSON_AddStringToObject(j, "callee", o->callee->name);
		if (o->body) {
			cJSON_AddItemToObject(j, "arguments", operands(o->body->arg, o->body->narg));
			cJSON_AddItemToObject(j, "body", statements(o->body, used));
		}
		cJSON_AddItemToArray(list, j);
	}
	return list;
}

static void code(const Module *m, cJSON *to)
{
	bool used[N_OPS] = {0};
	cJSON *list = cJSON_AddArrayToObject(to, "code"), *rows;
	each_func(f, m) {
		cJSON *j = cJSON_CreateObject();
		cJSON_AddStringToObject(j, "name", f->name);
		cJSON_AddItemToObject(j, "parameters", operands(f->param, f->nparam));
		cJSON_AddItemToObject(j, "statements", statements(&f->body, used));
		cJSON_AddItemToArray(list, j);
	}
	rows = cJSON_AddObjectToObject(to, "rows");
	for (int k = 0; k < N_OPS; k++)
		if (used[k])
			cJSON_AddStringToObject(rows, op_info[k].name, op_info[k].c ? op_info[k].c : op_info[k].doc);
}

/* ---- constants ---------------------------------------------------------------------------------- */

static void constant(const Data *c, cJSON *list, const char *dir, Diag *d)
{
	cJSON *j = cJSON_CreateObject();
	cJSON_AddStringToObject(j, "name", c->name);
	cJSON_AddItemToObject(j, "shape", report_shape(c->type));
	cJSON_AddItemToObject(j, "format", report_format(c->type));
	if (elem_is_float(c->type->elem)) {     /* scales: nothing that runs needs them */
		cJSON *v = cJSON_AddArrayToObject(j, "values");
		for (size_t i = 0; i < c->size / sizeof(float); i++)
			cJSON_AddItemToArray(v, cJSON_CreateNumber((double)((const float *)c->bytes)[i]));
	} else if (report_hex(dir, "data", c->name, c->type, c->bytes, type_count(c->type, 1), d)) {
		char *path = report_path("data", c->name);
		cJSON_AddStringToObject(j, "hex", path);
		free(path);
	}
	cJSON_AddItemToArray(list, j);
}

static bool is_scales(const Module *m, const Data *d)
{
	for (const Quant *q = m->quants; q; q = q->next)
		if (q->rows == d || q->book == d || q->levels == d)
			return true;
	return false;
}

static bool is_used(const Module *m, const Data *d)
{
	each_func(f, m) {
		each_op(o, &f->body)
			for (int i = 0; i < o->nin; i++)
				if (o->in[i] && o->in[i]->data == d)
					return true;
		for (int i = 0; i < f->nstate; i++)
			if (f->init[i] == d)
				return true;
	}
	return is_scales(m, d);
}

void report_model(const Module *m, const Options *opt, cJSON *to, const char *dir, Diag *d)
{
	Explained *list;
	int n;
	Module *loops = explain(m, opt, &list, &n, d);
	if (!loops)
		return;
	cJSON *data = cJSON_AddArrayToObject(to, "data"), *funcs;
	each_data(c, m)
		if (is_used(m, c))
			constant(c, data, dir, d);
	each_data(c, loops)
		if (!data_find(m, c->name))     /* tables, and multipliers of rows */
			constant(c, data, dir, d);
	funcs = cJSON_AddArrayToObject(to, "functions");
	const Explained *x = list;
	each_func(f, m)
		cJSON_AddItemToArray(funcs, function(f, &x));
	code(loops, to);
	module_free(loops);
}

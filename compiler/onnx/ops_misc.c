/* ops_misc.c: Constant, Identity, Dropout, Cast. */
#include "onnx/operators.h"

#include <math.h>
#include <string.h>

/* ---- Constant ------------------------------------------------------------------------------ */

bool op_constant(Node *n)
{
	if (n->p->n_attribute != 1)
		return fail(n, "has %zu values, not one", n->p->n_attribute);
	const Onnx__Attribute *a = n->p->attribute[0];
	char err[200];
	if (!strcmp(a->name, "value")) {
		const Tensor *t = weight_read(n->im->arena, 0, a->t, err, sizeof err);
		if (!t)
			return fail(n, "attribute 'value': %s", err);
		set_host(n, 0, t, 0);
		return true;
	}
	bool list = !strcmp(a->name, "value_floats") || !strcmp(a->name, "value_ints");
	bool real = !strcmp(a->name, "value_float") || !strcmp(a->name, "value_floats");
	if (!strncmp(a->name, "value_string", 12))
		return fail(n, "strings are not supported");
	int64_t count = (int64_t)(real ? a->n_floats : a->n_ints);
	Tensor *t = host_new(n, real ? H_F32 : H_I64, list, &count);
	for (int64_t i = 0; t && i < t->count; i++) {
		if (real)
			tensor_set(t, i, list ? a->floats[i] : a->f);
		else
			tensor_set_int(t, i, list ? a->ints[i] : a->i);
	}
	if (t)
		set_host(n, 0, t, 0);
	return t;
}

/* ---- Identity, Dropout --------------------------------------------------------------------- */

bool op_identity(Node *n)
{
	set_same(n, 0, n->in[0]);
	return true;
}

bool op_dropout(Node *n)
{
	const Value *training = input(n, 2), *mask = result(n, 1);
	if (n->im->model->opset < 7 && !get_int(n, "is_test", 0))
		return fail(n, "is in training mode");
	if (training && !is_host(training))
		return fail(n, "training_mode is computed from the model's inputs; it must be a constant false");
	if (training && (training->host->count != 1 || tensor_get(training->host, 0) != 0))
		return fail(n, "training_mode is on; export the model for inference");
	if (mask && mask->uses)
		return fail(n, "its mask is used, which is not supported");
	set_same(n, 0, n->in[0]);
	return true;
}

/* ---- Cast ---------------------------------------------------------------------------------- */

/* Integers that do not fit lose their high bits, as in C. */
static int64_t wrapped(int64_t v, HostType to)
{
	switch (to) {
	case H_I8: return (int8_t)(uint8_t)v;
	case H_I16: return (int16_t)(uint16_t)v;
	case H_I32: return (int32_t)(uint32_t)v;
	case H_U8: return (uint8_t)v;
	case H_U16: return (uint16_t)v;
	case H_U32: return (uint32_t)v;
	case H_BOOL: return v != 0;
	default: return v;
	}
}

static bool cast_host(Node *n, const Value *x, HostType to)
{
	if (x->steps && (!is_whole(to) || to == H_BOOL))
		return sym_fail(n, SYM_PIN);
	Tensor *t = host_new(n, to, x->host->rank, x->host->dim);
	for (int64_t i = 0; t && i < t->count; i++) {
		if (to == H_BOOL && !is_whole(x->type))
			tensor_set_int(t, i, tensor_get(x->host, i) != 0);
		else if (is_whole(to))
			tensor_set_int(t, i, wrapped(tensor_get_int(x->host, i), to));
		else
			tensor_set(t, i, tensor_get(x->host, i));
	}
	if (t)
		set_host(n, 0, t, x->steps);
	return t;
}

/* Does every number of type `from` have its like in `to`?  At run time integers are i32, whatever their type. */
static bool holds_all(HostType to, HostType from)
{
	if (from == H_BOOL || from == to)
		return true;
	bool wide = to == H_I32 || to == H_I64;
	return wide && (from != H_U32 && from != H_U64);
}

bool op_cast(Node *n)
{
	Value *x = n->in[0];
	int to = host_type((int)get_int(n, "to", 0));
	if (!get_attr(n, "to") || to < 0)
		return fail(n, "casts to %s are not supported", onnx_type_name((int)get_int(n, "to", 0)));
	if (is_host(x))
		return cast_host(n, x, (HostType)to);
	bool whole = is_whole(x->type), to_whole = is_whole((HostType)to);
	Val *v = x->val, *real = elem_of(x->type) == E_f32 ? v : x->real;
	if (to == H_BOOL && x->type != H_BOOL)
		v = emit1(n, O_not, emit2(n, O_eq, v, emit_scalar(n, x->type, 0)));
	else if (whole && to_whole && !holds_all((HostType)to, x->type))
		return fail(n, "casts from %s to %s are supported on constants only", host_name(x->type),
			    host_name((HostType)to));
	else if (!whole && to_whole && to != H_I32 && to != H_I64)
		return fail(n, "casts from %s to %s are supported on constants only", host_name(x->type),
			    host_name((HostType)to));
	else if (elem_of((HostType)to) == E_f32 && whole && real)
		v = real;
	else if (elem_of(x->type) != elem_of((HostType)to))
		v = emit_cast(n, v, (HostType)to);
	if (v && result(n, 0) && whole && elem_of((HostType)to) == E_i32)
		result(n, 0)->real = real;
	if (v)
		set_run(n, 0, v, (HostType)to);
	return v;
}

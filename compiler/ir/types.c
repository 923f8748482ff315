/* types.c: element types in a byte, interned types, quantizations. */
#include <limits.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "ir/ir.h"

static char elem_names[256][4];

const char *elem_name(Elem e)
{
	if (e == E_f32)
		return "f32";
	char *s = elem_names[e];
	if (!s[0]) {
		int bits = elem_bits(e);
		s[1] = (char)(bits < 10 ? '0' + bits : '0' + bits / 10);
		s[2] = (char)(bits < 10 ? 0 : '0' + bits % 10);
		s[0] = e <= 64 ? 'i' : 'u';
	}
	return s;
}

bool elem_parse(const char *s, Elem *e)
{
	if (!strcmp(s, "f32"))
		return *e = E_f32, true;
	if ((s[0] != 'i' && s[0] != 'u') || s[1] < '1' || s[1] > '9')
		return false;
	int bits = s[1] - '0';
	if (s[2]) {
		if (s[2] < '0' || s[2] > '9' || s[3])
			return false;
		bits = bits * 10 + s[2] - '0';
	}
	if (bits > (s[0] == 'i' ? 64 : 32))
		return false;
	*e = (Elem)(s[0] == 'i' ? bits : 64 + bits);
	return true;
}

int elem_bits(Elem e)
{
	return e == E_f32 ? 32 : e <= 64 ? e : e - 64;
}

bool elem_is_float(Elem e)
{
	return e == E_f32;
}

bool elem_is_signed(Elem e)
{
	return e <= 64 || e == E_f32;
}

Elem elem_stored(Elem e)
{
	if (e == E_f32)
		return e;
	if (e > 64 && e <= E_u8)
		return E_u8;
	int bits = elem_bits(e) + (e > 64);     /* of a signed type that holds it */
	return bits <= 8 ? E_i8 : bits <= 16 ? E_i16 : bits <= 32 ? E_i32 : E_i64;
}

int elem_size(Elem e)
{
	return elem_bits(elem_stored(e)) / 8;
}

int64_t elem_min(Elem e)
{
	return e > 64 ? 0 : -elem_max(e) - 1;
}

int64_t elem_max(Elem e)
{
	return e > 64 ? (INT64_C(1) << (e - 64)) - 1 : (int64_t)((UINT64_C(1) << (e - 1)) - 1);
}

/* The one type equal to t. */
static const Type *intern(Module *m, Type t)
{
	for (Type *p = m->types; p; p = p->next)
		if (p->form == t.form && p->elem == t.elem && p->lanes == t.lanes && p->quant == t.quant &&
		    type_same_shape(p, &t))
			return p;
	Type *p = arena_copy(m->arena, &t, sizeof t);
	p->next = m->types;
	return m->types = p;
}

static Type with_shape(Form form, Elem e, int rank, const int32_t *dim)
{
	Type t = { .form = form, .elem = e, .rank = (uint8_t)rank };
	if (rank)
		memcpy(t.dim, dim, sizeof t.dim[0] * (size_t)rank);
	return t;
}

const Type *type_reg(Module *m, Elem e, int lanes)
{
	return intern(m, (Type){ .form = T_REG, .elem = e, .lanes = (uint8_t)lanes });
}

const Type *type_tensor(Module *m, Elem e, int rank, const int32_t *dim)
{
	return intern(m, with_shape(T_TENSOR, e, rank, dim));
}

const Type *type_quant(Module *m, const Quant *q, int rank, const int32_t *dim)
{
	Type t = with_shape(T_TENSOR, q->elem, rank, dim);
	t.quant = q;
	return intern(m, t);
}

const Type *type_ref(Module *m, Elem e, int rank, const int32_t *dim)
{
	return intern(m, with_shape(T_REF, e, rank, dim));
}

const Type *type_like(Module *m, const Type *t, int rank, const int32_t *dim)
{
	Type u = with_shape(t->form, t->elem, rank, dim);
	u.lanes = t->lanes;
	u.quant = t->quant;
	return intern(m, u);
}

int64_t type_count(const Type *t, int32_t steps)
{
	if (t->form == T_REG)
		return t->lanes;
	bool zero = false;
	int64_t n = 1;
	for (int i = 0; i < t->rank; i++) {
		int64_t d = t->dim[i] == DIM_T ? steps : t->dim[i];
		zero |= d == 0;
		if (d > 0)
			n = n > INT64_MAX / 16 / d ? INT64_MAX / 16 : n * d;    /* and stays there */
	}
	return zero ? 0 : n;
}

int64_t type_size(const Type *t, int32_t steps)
{
	return type_count(t, steps) * elem_size(t->elem);
}

bool type_has_t(const Type *t)
{
	for (int i = 0; i < t->rank; i++)
		if (t->dim[i] == DIM_T)
			return true;
	return false;
}

bool type_same_shape(const Type *a, const Type *b)
{
	if (a->rank != b->rank)
		return false;
	for (int i = 0; i < a->rank; i++)
		if (a->dim[i] != b->dim[i])
			return false;
	return true;
}

static char reg_class(Elem e)
{
	return e == E_i8 ? 'b' : e == E_i16 ? 'h' : e == E_i32 ? 'w' : e == E_i64 ? 'l' : 's';
}

const char *type_text(const Type *t, char *buf, size_t n)
{
	if (!t || t->form == T_NONE) {
		snprintf(buf, n, "none");
		return buf;
	}
	if (t->form == T_REG) {
		if (t->lanes == 1)
			snprintf(buf, n, "%c", reg_class(t->elem));
		else
			snprintf(buf, n, "%c%d", reg_class(t->elem), t->lanes);
		return buf;
	}
	size_t at = (size_t)snprintf(buf, n, "%s%s%s[", t->form == T_REF ? "&" : "", t->quant ? ":" : "",
	                             t->quant ? t->quant->name : elem_name(t->elem));
	for (int i = 0; i < t->rank && at < n; i++)
		at += t->dim[i] == DIM_T ? (size_t)snprintf(buf + at, n - at, "%sT", i ? "," : "")
		                         : (size_t)snprintf(buf + at, n - at, "%s%d", i ? "," : "",
		                                            t->dim[i]);
	if (at < n)
		snprintf(buf + at, n - at, "]");
	return buf;
}

static bool quant_named(const Module *m, const char *name)
{
	for (Quant *q = m->quants; q; q = q->next)
		if (!strcmp(q->name, name))
			return true;
	return false;
}

Quant *quant_new(Module *m, const char *name, Elem e, float scale)
{
	Quant *q = NEW(m->arena, Quant);
	char *base = ident(m->arena, name);
	q->name = base;
	for (int i = 2; quant_named(m, q->name); i++)
		q->name = arena_printf(m->arena, "%s_%d", base, i);
	q->elem = e;
	q->scale = scale;
	Quant **at = &m->quants;
	while (*at)
		at = &(*at)->next;
	return *at = q;
}

bool is_pow2(float scale, int *exponent)
{
	int e;
	if (!(scale > 0) || isinf(scale) || frexpf(scale, &e) != 0.5f)
		return false;
	if (exponent)
		*exponent = e - 1;
	return true;
}

bool steps_are_octaves(const Data *steps, float *least, int *spread)
{
	const float *s = steps->bytes;
	size_t n = steps->size / sizeof *s;
	int e;
	*least = n ? s[0] : 0;
	for (size_t i = 1; i < n; i++)
		*least = s[i] < *least ? s[i] : *least;
	*spread = 0;
	for (size_t i = 0; i < n; i++) {
		if (!(*least > 0) || isinf(s[i]) || !is_pow2((float)((double)s[i] / *least), &e) || e > MAX_SPREAD)
			return false;
		*spread = e > *spread ? e : *spread;
	}
	return n > 0;
}

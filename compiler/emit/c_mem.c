/* c_mem.c: loads, stores and views in emitted C.
 *
 * A reference is a pointer to its first element and is indexed flat: x[i * 16 + k].  State and scratch are
 * bytes that are now one type and then another, which C forbids its own types; hence the mem_ types. */
#include "emit/c.h"

#include <inttypes.h>
#include <limits.h>
#include <string.h>

void c_memory_types(C *c)
{
	static const Elem elems[] = { E_i16, E_i32, E_i64, E_f32 };
	FILE *f = c->f;
	bool any = false;
	for (int i = 0; i < 4; i++)
		any |= c->memory[elems[i]];
	if (!any)
		return;
	fputs("/* Elements in memory.  State and scratch are bytes that hold one type after another, so these\n"
	      " * types must be allowed to alias. */\n"
	      "#ifdef __GNUC__\n#define GF_MAY_ALIAS __attribute__((__may_alias__))\n"
	      "#else\n#define GF_MAY_ALIAS\n#endif\n", f);
	for (int i = 0; i < 4; i++)
		if (c->memory[elems[i]])
			fprintf(f, "typedef %s GF_MAY_ALIAS %s;\n", c_plain_elem(elems[i]), c_elem(elems[i]));
	fputc('\n', f);
}

static void tabs(C *c, int depth)
{
	while (depth-- > 0)
		fputc('\t', c->f);
}

/* ---- subscripts ----------------------------------------------------------------------------- */

/* More elements than an int32_t can count, or a number of them that is known only when the model runs. */
static bool is_large(const Type *t)
{
	return type_has_t(t) || type_count(t, 1) > INT32_MAX;
}

/* The distance in elements between neighbours along axis k: a number, times T as often as *t says. */
static int64_t stride_of(const Type *t, int k, int *times)
{
	int64_t n = 1;
	*times = 0;
	for (int d = k + 1; d < t->rank; d++)
		if (t->dim[d] == DIM_T)
			++*times;
		else
			n *= t->dim[d];
	return n;
}

static const char *scaled(C *c, const char *index, int64_t stride, int times)
{
	if (stride != 1)
		index = arena_printf(c->arena, "%s * %" PRId64, index, stride);
	while (times-- > 0)
		index = arena_printf(c->arena, "%s * %s", index, c_value(c, c_time(c->u->func)));
	return index;
}

/* The number of the element that the indices name; a vector index stands for its lane `lane`. */
static const char *subscript(C *c, const Type *t, Val *const *idx, int n)
{
	const char *sum = 0;
	int64_t constant = 0;
	for (int k = 0; k < n; k++) {
		int times;
		int64_t stride = stride_of(t, k, &times);
		if (is_literal(idx[k]) && (!times || !idx[k]->lit.i)) {
			constant += idx[k]->lit.i * stride;
			continue;
		}
		const char *index = c_lane(c, idx[k]);
		if (is_large(t))
			index = arena_printf(c->arena, "(intptr_t)%s%s%s", *index == '-' ? "(" : "", index,
			                     *index == '-' ? ")" : "");
		index = scaled(c, index, stride, times);
		sum = sum ? arena_printf(c->arena, "%s + %s", sum, index) : index;
	}
	if (!sum)
		return arena_printf(c->arena, "%" PRId64, constant);
	if (!constant)
		return sum;
	return arena_printf(c->arena, "%s %c %" PRId64, sum, constant < 0 ? '-' : '+',
	                    constant < 0 ? -constant : constant);
}

static bool is_gather(Val *const *idx, int n)
{
	return n && idx[n - 1]->type->lanes > 1;
}

/* x[...], for lane `lane` if `lanes`. */
static void put_element(C *c, const Val *ref, Val *const *idx, int n, bool lanes)
{
	const char *at = subscript(c, ref->type, idx, n);
	if (!lanes || is_gather(idx, n))
		fprintf(c->f, "%s[%s]", c_value(c, ref), at);
	else if (!strcmp(at, "0"))
		fprintf(c->f, "%s[lane]", c_value(c, ref));
	else
		fprintf(c->f, "%s[%s + lane]", c_value(c, ref), at);
}

/* ---- statements ----------------------------------------------------------------------------- */

/* Widening needs no cast; reading bytes into signed lanes does. */
static const char *load_cast(C *c, Elem e, const Type *t)
{
	int wide = elem_size(e), reg = elem_size(t->elem);
	bool widens = reg > wide || (reg == wide && elem_stored(e) == t->elem) || (reg == wide && e != E_u8);
	return widens ? "" : arena_printf(c->arena, "(%s)", c_class(c_letter(t)));
}

void c_load(C *c, const Op *o, int depth)
{
	const Type *t = o->out[0]->type;
	const char *name = c_value_name(c, o->out[0]), *cast = load_cast(c, o->in[0]->type->elem, t);
	tabs(c, depth);
	if (t->lanes == 1) {
		fprintf(c->f, "%s %s = %s", c_reg(c, t), name, cast);
	} else {
		fprintf(c->f, "%s %s;\n", c_reg(c, t), name);
		tabs(c, depth);
		fprintf(c->f, "for (int lane = 0; lane < %d; lane++)\n", t->lanes);
		tabs(c, depth + 1);
		fprintf(c->f, "%s.v[lane] = %s", name, cast);
	}
	put_element(c, o->in[0], o->in + 1, o->nin - 1, t->lanes > 1);
	fputs(";\n", c->f);
}

/* A literal that the element can hold needs no cast. */
static bool needs_cast(const Val *v, Elem e)
{
	Elem stored = elem_stored(e);
	if (is_literal(v) && !elem_is_float(stored))
		return v->lit.i < elem_min(stored) || v->lit.i > elem_max(stored);
	return stored != v->type->elem;
}

void c_store(C *c, const Op *o, int depth)
{
	const Val *v = o->in[1];
	Elem e = o->in[0]->type->elem;
	tabs(c, depth);
	if (v->type->lanes > 1) {
		fprintf(c->f, "for (int lane = 0; lane < %d; lane++)\n", v->type->lanes);
		tabs(c, depth + 1);
	}
	put_element(c, o->in[0], o->in + 2, o->nin - 2, v->type->lanes > 1);
	const char *lane = c_lane(c, v);
	bool cast = needs_cast(v, e);
	if (cast)
		fprintf(c->f, *lane == '-' ? " = (%s)(%s);\n" : " = (%s)%s;\n", c_plain_elem(e), lane);
	else
		fprintf(c->f, " = %s;\n", lane);
}

void c_view(C *c, const Op *o, int depth)
{
	const Type *from = o->in[0]->type, *to = o->out[0]->type;
	const char *constant = is_written(c->u, o->out[0]) ? "" : "const ";
	const char *at = subscript(c, from, o->in + 1, o->nin - 1);
	bool zero = !strcmp(at, "0"), retyped = elem_stored(from->elem) != elem_stored(to->elem);
	const char *base = c_value(c, o->in[0]);
	const char *p = zero ? base : arena_printf(c->arena, *at == '-' ? "%s + (%s)" : "%s + %s", base, at);
	tabs(c, depth);
	fprintf(c->f, "%s%s *%s = ", constant, c_elem(to->elem), c_value_name(c, o->out[0]));
	if (retyped)
		fprintf(c->f, zero ? "(%s%s *)%s;\n" : "(%s%s *)(%s);\n", constant, c_elem(to->elem), p);
	else
		fprintf(c->f, "%s;\n", p);
}

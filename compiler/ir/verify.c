/* verify.c: is a module legal?  Here: its names, types, data, ports and slots. */
#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "ir/verify.h"

bool fault(Verify *v, const char *fmt, ...)
{
	char msg[400];
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(msg, sizeof msg, fmt, ap);
	va_end(ap);
	if (!v->nerr)
		return false;
	const Op *o = v->o;
	if (o)
		snprintf(v->err, v->nerr, "@%s: %s%s%s%s%s%s: %s", v->f->name, o->nout ? "%" : "",
		         o->nout ? o->out[0]->name : "", o->nout ? " = " : "", op_info[o->kind].name,
		         o->loc.node ? " from " : "", o->loc.node ? o->loc.node : "", msg);
	else if (v->f)
		snprintf(v->err, v->nerr, "@%s: %s", v->f->name, msg);
	else
		snprintf(v->err, v->nerr, "%s", msg);
	return false;
}

static int by_address(const void *a, const void *b)
{
	uintptr_t p = (uintptr_t)*(const void *const *)a, q = (uintptr_t)*(const void *const *)b;
	return p < q ? -1 : p > q;
}

bool is_member(const void *p, const void *const *sorted, size_t n)
{
	return n && bsearch(&p, sorted, n, sizeof *sorted, by_address);
}

const Val *time_param(const Func *f)
{
	const Val *last = f->nparam ? f->param[f->nparam - 1] : 0;
	return last && last->name && !strcmp(last->name, "T") && last->type->form == T_REG &&
	       last->type->elem == E_i32 && last->type->lanes == 1 ? last : 0;
}

Elem memory_elem(const Type *t)
{
	return elem_stored(t->elem);
}

/* ---- names ---------------------------------------------------------------------------------------- */

static int by_text(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static bool unique_names(Verify *v, const char **name, size_t n, const char *sigil)
{
	for (size_t i = 0; i < n; i++)
		if (!is_ident(name[i]))
			return fault(v, "'%s%s' is no C identifier", sigil, name[i] ? name[i] : "");
	qsort(name, n, sizeof *name, by_text);
	for (size_t i = 1; i < n; i++)
		if (!strcmp(name[i - 1], name[i]))
			return fault(v, "'%s%s' is defined twice", sigil, name[i]);
	return true;
}

static bool check_names(Verify *v)
{
	size_t nq = 0;
	for (const Quant *q = v->m->quants; q; q = q->next)
		nq++;
	v->ndata = v->nfuncs = 0;
	each_data(d, v->m)
		v->ndata++;
	each_func(f, v->m)
		v->nfuncs++;
	size_t most = nq > v->ndata ? nq : v->ndata;
	const char **name = NEWN(v->tmp, const char *, (most > v->nfuncs ? most : v->nfuncs) + 1);
	size_t n = 0;
	for (const Quant *q = v->m->quants; q; q = q->next)
		name[n++] = q->name;
	if (!unique_names(v, name, n, ":"))
		return false;
	v->data = NEWN(v->tmp, const void *, v->ndata);
	n = 0;
	each_data(d, v->m) {
		v->data[n] = d;
		name[n++] = d->name;
	}
	if (!unique_names(v, name, n, "$"))
		return false;
	v->funcs = NEWN(v->tmp, const Func *, v->nfuncs);
	n = 0;
	each_func(f, v->m) {
		v->funcs[n] = f;
		name[n++] = f->name;
	}
	if (v->ndata)
		qsort(v->data, v->ndata, sizeof *v->data, by_address);
	if (v->nfuncs)
		qsort(v->funcs, v->nfuncs, sizeof *v->funcs, by_address);
	return unique_names(v, name, n, "@");
}

/* ---- types and data ------------------------------------------------------------------------------- */

bool plain_floats(const Data *d)
{
	const Type *t = d->type;
	return t && t->form == T_TENSOR && t->elem == E_f32 && !t->quant && t->rank == 1;
}

/* Behind `of`: integers of i8, the lesser first. */
static bool check_levels(Verify *v, const Quant *q)
{
	const Data *d = q->levels;
	if (!d)
		return true;
	if (!is_member(d, v->data, v->ndata))
		return fault(v, ":%s: its levels are not in the module", q->name);
	const Type *t = d->type;
	const int8_t *level = d->bytes;
	bool fits = t && t->form == T_TENSOR && t->elem == E_i8 && !t->quant && t->rank == 1 && t->dim[0] > 0;
	for (int32_t i = 1; fits && i < t->dim[0]; i++)
		fits = level[i - 1] < level[i];
	if (!fits || q->elem != E_i8 || q->rows || q->book || q->zero)
		return fault(v, ":%s: levels are i8[n], each greater than the one before, of an i8 on one scale", q->name);
	return true;
}

static bool check_quant(Verify *v, const Quant *q)
{
	bool wide = elem_bits(q->elem) > 32 && q->elem != E_i64;        /* i64: biases at a fine scale */
	if (!q->elem || elem_is_float(q->elem) || wide)
		return fault(v, ":%s: stored as integers of at most 32 bits, or i64", q->name);
	if (!q->rows && (!(q->scale > 0) || isinf(q->scale)))
		return fault(v, ":%s: the scale is not a number greater than 0", q->name);
	if (q->rows && !is_member(q->rows, v->data, v->ndata))
		return fault(v, ":%s: its scales are not in the module", q->name);
	if (q->rows && !plain_floats(q->rows))
		return fault(v, ":%s: $%s should be f32[rows]", q->name, q->rows->name);
	if (!check_levels(v, q))
		return false;
	if (!q->book)
		return true;
	if (!is_member(q->book, v->data, v->ndata))
		return fault(v, ":%s: its code book is not in the module", q->name);
	if (elem_is_signed(q->elem) || elem_bits(q->elem) > 16 || q->zero || !plain_floats(q->book) ||
	    q->book->type->dim[0] != 1 << elem_bits(q->elem))
		return fault(v, ":%s: a code book is f32[2^bits], its indices unsigned, of at most 16 bits",
		             q->name);
	return true;
}

/* Narrow integers lie in wider memory: are they all in range? */
static bool check_range(Verify *v, const Data *d)
{
	Elem e = d->type->elem, s = elem_stored(e);
	if (elem_is_float(e) || e == s)
		return true;
	int64_t lo = elem_min(e), hi = elem_max(e);
	size_t size = (size_t)elem_size(e);
	for (size_t i = 0; i < d->size; i += size) {
		const char *p = (const char *)d->bytes + i;
		int64_t x;
		if (s == E_i8)
			x = *(const int8_t *)p;
		else if (s == E_u8)
			x = *(const uint8_t *)p;
		else if (s == E_i16)
			x = *(const int16_t *)p;
		else if (s == E_i32)
			x = *(const int32_t *)p;
		else
			x = *(const int64_t *)p;
		if (x < lo || x > hi)
			return fault(v, "$%s: element %zu is %lld, outside of %s", d->name, i / size,
			             (long long)x,
			             elem_name(e));
	}
	return true;
}

static bool check_data(Verify *v, const Data *d)
{
	const Type *t = d->type;
	if (!t || t->form != T_TENSOR || type_has_t(t))
		return fault(v, "$%s: data have a tensor type of known size", d->name);
	if (d->size != (size_t)type_size(t, 1) || (d->size && !d->bytes))
		return fault(v, "$%s: %zu bytes, but the type has %lld", d->name, d->size,
		             (long long)type_size(t, 1));
	if (d->val && d->val->type != t)
		return fault(v, "$%s: the value that stands for it has another type", d->name);
	if (t->quant && t->quant->rows && (t->rank < 1 || t->dim[0] != t->quant->rows->type->dim[0]))
		return fault(v, "$%s: axis 0 does not have one scale per index", d->name);
	if (t->quant && t->quant->levels)
		return fault(v, "$%s: data have no levels", d->name);
	return check_range(v, d);
}

static bool check_slots(Verify *v)
{
	for (const Slot *s = v->m->slots; s; s = s->next) {
		if (s->type->form != T_TENSOR || type_has_t(s->type))
			return fault(v, "slot \"%s\": a slot has a tensor type of known size", s->name);
		int64_t end = s->at + type_size(s->type, 1);
		if (s->at % (uint32_t)elem_size(s->type->elem))
			return fault(v, "slot \"%s\": byte %u is not aligned", s->name, s->at);
		if (v->m->planned && end > v->m->state_size)
			return fault(v, "slot \"%s\": ends at byte %lld of a state of %u", s->name,
			             (long long)end,
			             v->m->state_size);
		for (const Slot *r = v->m->slots; r != s; r = r->next)
			if (!strcmp(r->name, s->name) ||
			    (s->at < r->at + type_size(r->type, 1) && r->at < end))
				return fault(v, "slot \"%s\" has the name or the bytes of slot \"%s\"",
				             s->name, r->name);
	}
	return true;
}

/* At tensor level the ports are the parameters and results of @main. */
static bool check_ports(Verify *v)
{
	const Func *f = func_find(v->m, "main");
	if (v->m->level != L_TENSOR || !f || (!v->m->in && !v->m->out))
		return true;
	int i = 0;
	char a[128], b[128];
	for (const Port *p = v->m->in; p; p = p->next, i++)
		if (i >= f->nparam || f->param[i]->type != p->type)
			return fault(v, "input \"%s\" is %s, but parameter %d of @main is %s", p->name,
			             type_text(p->type, a, sizeof a), i + 1,
			             i < f->nparam ? type_text(f->param[i]->type, b, sizeof b) : "missing");
	if (i != f->nparam)
		return fault(v, "@main has more parameters than the module has inputs");
	i = 0;
	for (const Port *p = v->m->out; p; p = p->next, i++)
		if (i >= f->nret || f->ret[i] != p->type)
			return fault(v, "output \"%s\" is %s, but result %d of @main is %s", p->name,
			             type_text(p->type, a, sizeof a), i + 1,
			             i < f->nret ? type_text(f->ret[i], b, sizeof b) : "missing");
	return i == f->nret || fault(v, "@main has more results than the module has outputs");
}

static bool verify_all(Verify *v)
{
	if (!is_ident(v->m->name))
		return fault(v, "module \"%s\": the name is no C identifier", v->m->name);
	if (!check_names(v))
		return false;
	for (const Quant *q = v->m->quants; q; q = q->next)
		if (!check_quant(v, q))
			return false;
	each_data(d, v->m)
		if (!check_data(v, d))
			return false;
	if (!check_slots(v) || !verify_calls(v))
		return false;
	each_func(f, v->m) {
		v->f = f;
		v->o = 0;
		if (!verify_func(v, f))
			return false;
	}
	v->f = 0;
	v->o = 0;
	return check_ports(v) && verify_writes(v) && verify_entries(v);
}

bool module_verify(const Module *m, char *err, size_t nerr)
{
	Verify v = { .m = (Module *)m, .tmp = arena_new(), .err = err, .nerr = nerr };
	bool ok = verify_all(&v);
	arena_free(v.tmp);
	return ok;
}

/* print.c: a module as text, so that parsing the text gives the same module. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "ir/ir.h"

enum {
	INLINE_MAX = 256,       /* bytes; larger data goes to the binary file when there is one */
	PER_LINE = 16,          /* numbers of inline data on a line */
};

typedef struct {
	FILE *out, *bin;
	const char *bin_name;
} Printer;

static void put_type(FILE *f, const Type *t)
{
	char buf[256];
	fputs(type_text(t, buf, sizeof buf), f);
}

static void put_float(FILE *f, float v)
{
	if (isnan(v))
		fputs("nan", f);
	else if (isinf(v))
		fputs(v < 0 ? "-inf" : "inf", f);
	else
		fprintf(f, "%a", (double)v);
}

static void put_string(FILE *f, const char *s)
{
	fputc('"', f);
	for (; *s; s++) {
		unsigned char c = (unsigned char)*s;
		if (c == '"' || c == '\\')
			fprintf(f, "\\%c", c);
		else if (c < 32 || c > 126)
			fprintf(f, "\\x%02x", c);
		else
			fputc(c, f);
	}
	fputc('"', f);
}

static void put_val(FILE *f, const Val *v)
{
	if (!v)
		fputs("none", f);
	else if (v->data)
		fprintf(f, "$%s", v->data->name);
	else if (v->name)
		fprintf(f, "%%%s", v->name);
	else if (elem_is_float(v->type->elem))
		put_float(f, v->lit.f);
	else
		fprintf(f, "%lld", (long long)v->lit.i);
}

static void put_vals(FILE *f, Val *const *v, int n)
{
	for (int i = 0; i < n; i++) {
		if (i)
			fputs(", ", f);
		put_val(f, v[i]);
	}
}

static void put_bounds(FILE *f, const Val *v)
{
	if (!v->ranged) {
		fputs("none", f);
		return;
	}
	put_float(f, v->lo);
	fputs(", ", f);
	put_float(f, v->hi);
	if (v->clip > 0) {
		fputs(" clip ", f);
		put_float(f, v->clip);
	}
	if (v->steps)
		fprintf(f, " steps $%s", v->steps->name);
	if (v->levels)
		fprintf(f, " levels $%s", v->levels->name);
}

/* range=[lo, hi, none, ...] of values defined together; nothing when no one has a range. */
static void put_ranges(FILE *f, Val *const *v, int n)
{
	bool any = false;
	for (int i = 0; i < n; i++)
		any |= v[i]->ranged;
	if (!any)
		return;
	fputs(" range=[", f);
	for (int i = 0; i < n; i++) {
		if (i)
			fputs(", ", f);
		put_bounds(f, v[i]);
	}
	fputs("]", f);
}

/* ---- header lines --------------------------------------------------------------------------- */

static void put_module(FILE *f, const Module *m)
{
	fputs("module ", f);
	put_string(f, m->name);
	fprintf(f, " level=%s", m->level == L_LOOP ? "loop" : "tensor");
	if (m->state_size)
		fprintf(f, " state=%u", m->state_size);
	if (m->scratch_size)
		fprintf(f, " scratch=%u", m->scratch_size);
	if (m->scratch_step)
		fprintf(f, " scratch_step=%u", m->scratch_step);
	if (m->planned)
		fputs(" planned", f);
	if (m->nbody) {
		fputs(" bodies=[", f);
		for (int i = 0; i < m->nbody; i++)
			fprintf(f, "%s%s", i ? ", " : "", m->body[i]);
		fputs("]", f);
	}
	fputs("\n", f);
}

static void put_ports(FILE *f, const char *what, const Port *p)
{
	for (; p; p = p->next) {
		fprintf(f, "%s ", what);
		put_string(f, p->name);
		fputs(" ", f);
		put_type(f, p->type);
		fputs("\n", f);
	}
}

static void put_quant(FILE *f, const Quant *q)
{
	fprintf(f, "type :%s = ", q->name);
	if (q->book)
		fprintf(f, "$%s[%s]", q->book->name, elem_name(q->elem));
	else if (q->zero)
		fprintf(f, "(%s - %d)", elem_name(q->elem), q->zero);
	else
		fputs(elem_name(q->elem), f);
	fputs(" * ", f);
	if (q->rows)
		fprintf(f, "$%s", q->rows->name);
	else
		put_float(f, q->scale);
	if (q->levels)
		fprintf(f, " of $%s", q->levels->name);
	fputs("\n", f);
}

/* ---- data ----------------------------------------------------------------------------------- */

static void put_element(FILE *f, const Data *d, size_t i)
{
	union { int8_t b; uint8_t u; int16_t h; int32_t w; int64_t l; float s; } v;
	int size = elem_size(d->type->elem);
	memcpy(&v, (const char *)d->bytes + i * (size_t)size, (size_t)size);
	switch (elem_stored(d->type->elem)) {
	case E_i8:  fprintf(f, "%d", v.b); break;
	case E_u8:  fprintf(f, "%d", v.u); break;
	case E_i16: fprintf(f, "%d", v.h); break;
	case E_i32: fprintf(f, "%d", v.w); break;
	case E_i64: fprintf(f, "%lld", (long long)v.l); break;
	default:    put_float(f, v.s);
	}
}

static bool is_nan_at(const Data *d, size_t at)
{
	float v;
	memcpy(&v, (const char *)d->bytes + at, sizeof v);
	return isnan(v);
}

/* Do elements a and b, byte offsets of `size` bytes, read the same? */
static bool same_element(const Data *d, size_t a, size_t b, size_t size)
{
	const char *p = d->bytes;
	return !memcmp(p + a, p + b, size) ||
	       (d->type->elem == E_f32 && is_nan_at(d, a) && is_nan_at(d, b));
}

static bool is_splat(const Data *d)
{
	size_t size = (size_t)elem_size(d->type->elem);
	for (size_t at = size; at < d->size; at += size)
		if (!same_element(d, 0, at, size))
			return false;
	return d->size > 0;
}

static void put_data(Printer *p, const Data *d)
{
	FILE *f = p->out;
	fprintf(f, "data $%s ", d->name);
	put_type(f, d->type);
	fputs(" = ", f);
	if (is_splat(d)) {
		put_element(f, d, 0);
	} else if (p->bin && d->size > INLINE_MAX) {
		fputs("file ", f);
		put_string(f, p->bin_name);
		fprintf(f, " %ld", ftell(p->bin));
		fwrite(d->bytes, 1, d->size, p->bin);   /* hosts are little endian: parse.c */
	} else {
		size_t n = d->size / (size_t)elem_size(d->type->elem);
		fputs("[", f);
		for (size_t i = 0; i < n; i++) {
			if (i)
				fputs(i % PER_LINE ? ", " : ",\n\t", f);
			put_element(f, d, i);
		}
		fputs("]", f);
	}
	fputs("\n", f);
}

/* ---- functions ------------------------------------------------------------------------------ */

static void put_attr(FILE *f, const Attr *a)
{
	fprintf(f, "%s=%s", a->name, a->list ? "[" : "");
	for (int i = 0; i < a->n; i++) {
		if (i)
			fputs(", ", f);
		switch (a->kind) {
		case A_INT:    fprintf(f, "%lld", (long long)a->v.i[i]); break;
		case A_FLOAT:  put_float(f, a->v.f[i]); break;
		case A_STRING: put_string(f, a->v.s[i]); break;
		}
	}
	if (a->list)
		fputs("]", f);
}

static void put_results(FILE *f, const Op *o)
{
	if (!o->nout)
		return;
	put_vals(f, o->out, o->nout);
	fputs(" =", f);
	for (int i = 0; i < o->nout; i++) {
		if (i)
			fputs(", ", f);
		put_type(f, o->out[i]->type);
	}
	fputs(" ", f);
}

/* %x[%i, %j] */
static void put_element_of(FILE *f, const Val *ref, Val *const *index, int n)
{
	put_val(f, ref);
	fputs("[", f);
	put_vals(f, index, n);
	fputs("]", f);
}

static void put_carries(FILE *f, const Op *o)
{
	for (int i = 1; i < o->nin; i++) {
		fputs(i == 1 ? " carry " : ", ", f);
		put_val(f, o->body->arg[i]);
		fputs(" = ", f);
		put_val(f, o->in[i]);
	}
}

static void put_operands(FILE *f, const Op *o)
{
	const char *sep = " ";
	switch (o->kind) {
	case O_for:
		fputs(" ", f);
		put_val(f, o->body->arg[0]);
		fputs(" < ", f);
		put_val(f, o->in[0]);
		put_carries(f, o);
		sep = ", ";
		break;
	case O_load: case O_view:
		fputs(" ", f);
		put_element_of(f, o->in[0], o->in + 1, o->nin - 1);
		sep = ", ";
		break;
	case O_store:
		fputs(" ", f);
		put_element_of(f, o->in[0], o->in + 2, o->nin - 2);
		fputs(", ", f);
		put_val(f, o->in[1]);
		sep = ", ";
		break;
	case O_next:
		for (int i = 0; i + 1 < o->nin; i += 2, sep = ", ") {
			fputs(sep, f);
			put_val(f, o->in[i]);
			fputs(" = ", f);
			put_val(f, o->in[i + 1]);
		}
		break;
	default:
		if (o->callee) {
			fprintf(f, " @%s", o->callee->name);
			sep = ", ";
		}
		for (int i = 0; i < o->nin; i++, sep = ", ") {
			fputs(sep, f);
			put_val(f, o->in[i]);
		}
	}
	for (const Attr *a = o->attr; a; a = a->next, sep = ", ") {
		fputs(sep, f);
		put_attr(f, a);
	}
}

static void put_block(FILE *f, const Block *b, int depth)
{
	for (const Op *o = b->first; o; o = o->next) {
		for (int i = 0; i < depth; i++)
			fputc('\t', f);
		put_results(f, o);
		fputs(op_info[o->kind].name, f);
		put_operands(f, o);
		put_ranges(f, o->out, o->nout);
		if (o->loc.node) {
			fputs(" node=", f);
			put_string(f, o->loc.node);
		}
		if (o->body) {
			fputs(" {\n", f);
			put_block(f, o->body, depth + 1);
			for (int i = 0; i < depth; i++)
				fputc('\t', f);
			fputs("}", f);
		}
		fputs("\n", f);
	}
}

static void put_param(FILE *f, const Val *v)
{
	put_val(f, v);
	fputs(" ", f);
	put_type(f, v->type);
	put_ranges(f, (Val *const *)&v, 1);
}

void func_print(const Func *fn, FILE *f)
{
	fprintf(f, "func @%s(", fn->name);
	for (int i = 0; i < fn->nparam; i++) {
		if (i)
			fputs(", ", f);
		put_param(f, fn->param[i]);
	}
	fputs(")", f);
	for (int i = 0; i < fn->nstate; i++) {
		fputs(i ? ", " : " state(", f);
		put_val(f, fn->state[i]);
		fputs(" ", f);
		put_type(f, fn->state[i]->type);
		fprintf(f, " = %s%s", fn->init[i] ? "$" : "0", fn->init[i] ? fn->init[i]->name : "");
		put_ranges(f, &fn->state[i], 1);
	}
	fputs(fn->nstate ? ")" : "", f);
	for (int i = 0; i < fn->nret; i++) {
		fputs(i ? ", " : " ", f);
		put_type(f, fn->ret[i]);
	}
	if (fn->isa) {
		fputs(" isa=", f);
		put_string(f, fn->isa);
	}
	fputs(" {\n", f);
	put_block(f, &fn->body, 1);
	fputs("}\n", f);
}

void module_print(const Module *m, FILE *out, FILE *bin, const char *bin_name)
{
	Printer p = { out, bin, bin_name };
	put_module(out, m);
	put_ports(out, "input", m->in);
	put_ports(out, "output", m->out);
	for (const Slot *s = m->slots; s; s = s->next) {
		fputs("slot ", out);
		put_string(out, s->name);
		fputs(" ", out);
		put_type(out, s->type);
		fprintf(out, " at %u\n", s->at);
	}
	for (const Quant *q = m->quants; q; q = q->next)
		put_quant(out, q);
	each_data(d, m)
		put_data(&p, d);
	each_func(f, m) {
		fputs("\n", out);
		func_print(f, out);
	}
}

bool module_equal(const Module *a, const Module *b)
{
	const Module *m[2] = { a, b };
	char *text[2][2] = { { 0 } };   /* of each: the text, the large data */
	size_t n[2][2] = { { 0 } };
	for (int i = 0; i < 2; i++) {
		FILE *out = open_memstream(&text[i][0], &n[i][0]);
		FILE *bin = open_memstream(&text[i][1], &n[i][1]);
		if (out && bin)
			module_print(m[i], out, bin, "data");
		if (!out || fclose(out) || !bin || fclose(bin))
			abort();
	}
	bool equal = true;
	for (int k = 0; k < 2; k++) {
		equal &= n[0][k] == n[1][k] && !memcmp(text[0][k], text[1][k], n[0][k]);
		free(text[0][k]);
		free(text[1][k]);
	}
	return equal;
}

/* header.c: NAME.h, what a program includes to use a compiled model, whichever emitter made it. */
#include "emit/c.h"

#include <inttypes.h>
#include <string.h>

typedef struct {
	FILE *f;
	Arena *arena;
	const char *prefix;     /* NAME in capitals */
} Header;

/* "i16, Q3.12", "i8 * 0x1.9ap-6", "i32": how a port's numbers are stored and what they stand for. */
static void put_format(Header *h, const Type *t)
{
	const Quant *q = t->quant;
	int e = 0, bits = elem_bits(t->elem);
	fputs(elem_name(t->elem), h->f);
	if (elem_stored(t->elem) != t->elem)
		fprintf(h->f, " in %s", elem_name(elem_stored(t->elem)));
	if (!q)
		return;
	if (q->zero)
		fprintf(h->f, ", real = (stored - %d) * %a", q->zero, (double)q->scale);
	else if (is_pow2(q->scale, &e))
		fprintf(h->f, ", %sQ%d.%d: real = stored * 2^%d", elem_is_signed(t->elem) ? "" : "U",
		        bits - elem_is_signed(t->elem) + e, -e, e);
	else
		fprintf(h->f, ", real = stored * %a", (double)q->scale);
	int64_t least = elem_min(t->elem) - q->zero, most = elem_max(t->elem) - q->zero;
	fprintf(h->f, ", %g to %g", (double)q->scale * (double)least, (double)q->scale * (double)most);
}

static void put_shape(Header *h, const Type *t)
{
	for (int i = 0; i < t->rank; i++) {
		if (t->dim[i] == DIM_T)
			fputs(i ? ", T" : "[T", h->f);
		else
			fprintf(h->f, i ? ", %d" : "[%d", t->dim[i]);
	}
	fputs(t->rank ? "]" : "one number", h->f);
}

static void list_ports(Header *h, const char *what, const Port *p)
{
	for (int i = 0; p; p = p->next, i++) {
		fprintf(h->f, " *\t%s[%d] ", what, i);
		c_comment(h->f, p->name);
		fputs(": ", h->f);
		put_shape(h, p->type);
		fputs(", ", h->f);
		put_format(h, p->type);
		fputc('\n', h->f);
	}
}

static bool is_among(const char *name, const char *const *names, int n)
{
	while (n-- > 0)
		if (!strcmp(name, names[n]))
			return true;
	return false;
}

/* Port names as tails of macros: in capitals, each different from those before it. */
static const char **macro_names(Header *h, const Port *p, int n)
{
	const char **names = NEWN(h->arena, const char *, n + 1);
	for (int i = 0; i < n; i++, p = p->next) {
		const char *plain = upper(h->arena, ident(h->arena, p->name));
		names[i] = plain;
		for (int k = 2; is_among(names[i], names, i); k++)
			names[i] = arena_printf(h->arena, "%s_%d", plain, k);
	}
	return names;
}

static void port_macros(Header *h, const char *what, const Port *first)
{
	int n = 0, i = 0;
	for (const Port *p = first; p; p = p->next)
		n++;
	const char **name = macro_names(h, first, n);
	for (const Port *p = first; p; p = p->next, i++) {
		fprintf(h->f, "#define %s_%s_%s %d\n", h->prefix, what, name[i], i);
		fprintf(h->f, "#define %s_N_%s_%s %" PRId64 "%s\n", h->prefix, what, name[i], type_count(p->type, 1),
		        type_has_t(p->type) ? "     /* for each step */" : "");
	}
	if (first)
		fputc('\n', h->f);
}

/* What gf_io_size answers for check_steps. */
static uint64_t test_size(const Port *p, int32_t check_steps)
{
	uint64_t n = 0, size = 0;
	for (; p; p = p->next, n++)
		size += ((uint64_t)type_size(p->type, check_steps ? check_steps : 1) + 15) / 16 * 16;
	return (n * 8 + 15) / 16 * 16 + size;
}

/* C has no arrays of no bytes; gf_model has the true sizes. */
static uint32_t at_least_one(uint32_t n)
{
	return n ? n : 1;
}

static void about(Header *h, const Module *m, const EmitInfo *info)
{
	fprintf(h->f, "/* %s.h: a model compiled by gatefold", m->name);
	if (info->source) {
		fputs(" from ", h->f);
		c_comment(h->f, base_name(info->source));
	}
	fputs(".\n *\n", h->f);
	list_ports(h, "in", m->in);
	list_ports(h, "out", m->out);
	if (func_find(m, "step_portable"))
		fputs(" *\n * step takes the inputs of one time step (T = 1), run those of many.", h->f);
	else
		fputs(" *\n * The model needs whole sequences: it has run, but no step.", h->f);
	fputs("  gatefold.h says how to call them. */\n", h->f);
}

void emit_header(const Module *m, const EmitInfo *info, FILE *f)
{
	Header h = { .f = f, .arena = arena_new() };
	h.prefix = upper(h.arena, m->name);
	about(&h, m, info);
	fprintf(f, "#ifndef %s_H\n#define %s_H\n\n#include \"gatefold.h\"\n\n", h.prefix, h.prefix);
	fputs("#ifdef __cplusplus\nextern \"C\" {\n#endif\n\n", f);
	fprintf(f, "/* Bytes that the caller provides. */\n#define %s_STATE %u\n#define %s_SCRATCH %u\n", h.prefix,
	        at_least_one(m->state_size), h.prefix, at_least_one(m->scratch_size));
	if (m->scratch_step)
		fprintf(f, "#define %s_SCRATCH_STEP %u   /* more scratch for each step of run */\n", h.prefix,
		        m->scratch_step);
	fprintf(f, "\n/* Buffers for gf_selftest, if you call it. */\n#define %s_TEST_IN %" PRIu64 "\n", h.prefix,
	        test_size(m->in, info->check_steps));
	fprintf(f, "#define %s_TEST_OUT %" PRIu64 "\n", h.prefix, test_size(m->out, info->check_steps));
	fputs("\n/* Places in the arrays of inputs and outputs, and numbers of elements (_N_). */\n", f);
	port_macros(&h, "IN", m->in);
	port_macros(&h, "OUT", m->out);
	fprintf(f, "extern const gf_model %s;\n\n#ifdef __cplusplus\n}\n#endif\n#endif\n", m->name);
	arena_free(h.arena);
}

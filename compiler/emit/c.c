/* c.c: a module as one C99 file.
 *
 * It needs gatefold.h and <stdint.h>, no library, and has one external symbol, `const gf_model NAME`.  Only
 * what the portable body's entry functions reach is written, callees first. */
#include "emit/c.h"

#include <string.h>

/* ---- what is used --------------------------------------------------------------------------- */

static void use_memory(C *c, const Type *t)
{
	if (t->form != T_REG)
		c->memory[elem_stored(t->elem)] = true;
}

static void scan(C *c, const Usage *u, const Block *b)
{
	for (const Op *o = b->first; o; o = o->next) {
		if (!op_is_live(u, o))
			continue;
		for (int i = 0; i < o->nin; i++) {
			use_memory(c, o->in[i]->type);
			if (o->in[i]->data)
				c_use_data(c, o->in[i]->data);
		}
		for (int i = 0; i < o->nout; i++)
			use_memory(c, o->out[i]->type);
		c_use_row(c, o);
		if (o->body)
			scan(c, u, o->body);
	}
}

static void find_uses(C *c)
{
	static const char *const entries[] = { "reset", "step_portable", "run_portable" };
	for (int i = 0; i < 3; i++) {
		const Func *f = func_find(c->m, entries[i]);
		if (f)
			usage_of(&c->funcs, c->arena, f);
	}
	for (const Usage *u = c->funcs; u; u = u->next) {
		for (int i = 0; i < u->func->nparam; i++)
			use_memory(c, u->func->param[i]->type);
		scan(c, u, &u->func->body);
	}
}

/* ---- the file ------------------------------------------------------------------------------- */

/* The first two guards catch what changes the results of float arithmetic; the pragmas keep compilers from
 * fusing a product and a sum into one rounding, where they may. */
static const char float_guards[] =
	"/* Floats are IEEE singles, rounded at each operation. */\n"
	"#if defined(__FAST_MATH__) || defined(__ASSOCIATIVE_MATH__) || defined(__RECIPROCAL_MATH__) || \\\n"
	"\t(defined(__FINITE_MATH_ONLY__) && __FINITE_MATH_ONLY__)\n"
	"#error \"fast-math options change the results of this file: compile it without\"\n"
	"#endif\n"
	"#if defined(__FLT_EVAL_METHOD__) && __FLT_EVAL_METHOD__ != 0 && __FLT_EVAL_METHOD__ != 16\n"
	"#error \"float expressions must be evaluated as float (on 32-bit x86: -msse2 -mfpmath=sse)\"\n"
	"#endif\n"
	"#if defined(__GNUC__) && !defined(__clang__)\n"
	"#pragma GCC optimize (\"fp-contract=off\")\n"
	"#else\n"
	"#pragma STDC FP_CONTRACT OFF\n"
	"#endif\n"
	"#ifdef __GNUC__\n"
	"#define GF_INF __builtin_inff()\n"
	"#define GF_NAN __builtin_nanf(\"\")\n"
	"#else\n"
	"#define GF_INF (1.0f / 0.0f)\n"
	"#define GF_NAN (0.0f / 0.0f)\n"
	"#endif\n\n";

static void head(C *c)
{
	fprintf(c->f, "/* %s.c", c->m->name);
	if (c->info->source) {
		fputs(": made by gatefold from ", c->f);
		c_comment(c->f, base_name(c->info->source));
	}
	fputs(".  C99; needs no library.  Do not edit. */\n#include <stdint.h>\n\n", c->f);
	fprintf(c->f, "#include \"%s.h\"\n\n", c->m->name);
	if (c->floats)
		fputs(float_guards, c->f);
}

void emit_c_apart(const Module *m, const EmitInfo *info, size_t apart, FILE *f)
{
	C c = { .m = m, .info = info, .f = f, .arena = arena_new(), .apart = apart };
	find_uses(&c);
	head(&c);
	c_memory_types(&c);
	c_vector_types(&c);
	c_rows(&c);
	c_data(&c);
	for (const Usage *u = c.funcs; u; u = u->next)
		c_function(&c, u);
	c_model(&c);
	arena_free(c.arena);
}

void emit_c(const Module *m, const EmitInfo *info, FILE *f)
{
	emit_c_apart(m, info, 0, f);
}

/* c_model.c: what a program sees of a model in emitted C: `const gf_model NAME` and the functions it names,
 * which turn arrays of buffers into the parameters of the IR's entry functions. */
#include "emit/c.h"

#include <string.h>

const char *c_elem_code(Elem e)
{
	switch (elem_stored(e)) {
	case E_i8:  return "GF_I8";
	case E_u8:  return "GF_U8";
	case E_i16: return "GF_I16";
	case E_i64: return "GF_I64";
	case E_f32: return "GF_F32";
	default:    return "GF_I32";
	}
}

static int count(const Port *p)
{
	int n = 0;
	for (; p; p = p->next)
		n++;
	return n;
}

/* With several bodies the state begins with the number of the one to run; this file has number 0. */
static void clear_body(C *c)
{
	fputs("\tuint8_t *body = state;\n\tbody[0] = body[1] = body[2] = body[3] = 0;\n", c->f);
}

static void reset(C *c)
{
	fputs("static gf_status api_reset(void *state)\n{\n", c->f);
	fputs(func_find(c->m, "reset") ? "\tk_reset(state);\n" : "\t(void)state;\n", c->f);
	if (c->m->nbody > 1)
		clear_body(c);
	fputs("\treturn GF_OK;\n}\n\n", c->f);
}

static void call_entry(C *c, const Func *f, bool run)
{
	int nin = count(c->m->in), nout = count(c->m->out);
	fprintf(c->f, f->nret ? "\treturn k_%s(state, scratch" : "\tk_%s(state, scratch", f->name);
	if (f->nparam > 2 && !strcmp(f->param[2]->name, "scratch_t"))
		fprintf(c->f, ", (uint8_t *)scratch + %u", c->m->scratch_size);
	for (int i = 0; i < nin; i++)
		fprintf(c->f, ", in[%d]", i);
	for (int i = 0; i < nout; i++)
		fprintf(c->f, ", out[%d]", i);
	fputs(run && c_time(f) ? ", steps);\n" : ");\n", c->f);
	if (!f->nret)
		fputs("\treturn GF_OK;\n", c->f);
}

static void entry(C *c, const char *what, bool run)
{
	const Func *f = func_find(c->m, arena_printf(c->arena, "%s_portable", what));
	if (!f)
		return;
	fprintf(c->f, "static gf_status api_%s(void *state, void *scratch, const void *const *in,\n", what);
	fputs(run ? "\tvoid *const *out, int32_t steps)\n{\n" : "\tvoid *const *out)\n{\n", c->f);
	if (!c->m->in)
		fputs("\t(void)in;\n", c->f);
	if (!c->m->out)
		fputs("\t(void)out;\n", c->f);
	if (run)
		fputs("\tif (steps <= 0)\n\t\treturn GF_STEPS;\n", c->f);
	call_entry(c, f, run);
	fputs("}\n\n", c->f);
}

static void use(C *c)
{
	fputs("static gf_status api_use(void *state, uint16_t number)\n{\n"
	      "\tif (number != 0)\n\t\treturn GF_BODY;\n", c->f);
	if (c->m->nbody > 1)
		clear_body(c);
	else
		fputs("\t(void)state;\n", c->f);
	fputs("\treturn GF_OK;\n}\n\n", c->f);
}

static void tensors(C *c, const char *name, const Port *p)
{
	if (!p)
		return;
	fprintf(c->f, "static const gf_tensor %s[] = {\n", name);
	for (; p; p = p->next) {
		const Type *t = p->type;
		fputs("\t{ ", c->f);
		c_string(c->f, p->name);
		fprintf(c->f, ", %s, %d, %d, { ", c_elem_code(t->elem), t->rank, elem_bits(t->elem));
		for (int i = 0; i < t->rank; i++)
			fprintf(c->f, "%s%d", i ? ", " : "", t->dim[i] == DIM_T ? -1 : t->dim[i]);
		fprintf(c->f, "%s }, %s, %d },\n", t->rank ? "" : "0", t->quant ? c_float(c, t->quant->scale) : "0",
		        t->quant ? t->quant->zero : 0);
	}
	fputs("};\n\n", c->f);
}

void c_model(C *c)
{
	const Module *m = c->m;
	const EmitInfo *info = c->info;
	reset(c);
	entry(c, "step", false);
	entry(c, "run", true);
	use(c);
	tensors(c, "api_in", m->in);
	tensors(c, "api_out", m->out);
	fputs("static const char *const api_body[] = { \"portable\" };\n\n", c->f);
	fprintf(c->f, "const gf_model %s = {\n\t.abi = GF_ABI,\n\t.name = \"%s\",\n", m->name, m->name);
	fprintf(c->f, "\t.nin = %d,\n\t.nout = %d,\n", count(m->in), count(m->out));
	fprintf(c->f, "\t.in = %s,\n\t.out = %s,\n", m->in ? "api_in" : "0", m->out ? "api_out" : "0");
	fprintf(c->f, "\t.state_size = %uu,\n\t.scratch_size = %uu,\n", m->state_size, m->scratch_size);
	fprintf(c->f, "\t.scratch_step = %uu,\n\t.weight_size = %uu,\n", m->scratch_step, info->weight_size);
	fprintf(c->f, "\t.steps = %s,\n\t.reset = api_reset,\n", c_int(c, 'w', info->steps));
	if (func_find(m, "step_portable"))
		fputs("\t.step = api_step,\n", c->f);
	if (func_find(m, "run_portable"))
		fputs("\t.run = api_run,\n", c->f);
	fputs("\t.nbody = 1,\n\t.body = api_body,\n\t.use = api_use,\n", c->f);
	fprintf(c->f, "\t.check = 0x%08xu,\n\t.check_steps = %d,\n};\n", info->check, info->check_steps);
}

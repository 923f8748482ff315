/* interp.c: the interpreter as an executor: opens a module, enters its entry functions. */
#include <stdio.h>
#include <string.h>

#include "exec/interp.h"

enum { INTERNAL = -1 };         /* a status: see exec_error */

static Interp *interp_new(const Module *m)
{
	Arena *a = arena_new();
	Interp *in = NEW(a, Interp);
	in->m = m;
	in->arena = a;
	return in;
}

static void interp_close(void *self)
{
	arena_free(((Interp *)self)->arena);
}

/* An entry function ready to run; one that the module lacks leaves *c 0. */
static bool entry(Interp *in, const char *name, Code **c)
{
	const Func *f = func_find(in->m, name);
	return !f || (*c = decode(in, f));
}

static bool find_body(Interp *in, const char *body)
{
	in->body = body ? body : "portable";
	if (!in->m->nbody)
		return !strcmp(in->body, "portable");
	for (int i = 0; i < in->m->nbody; i++)
		if (!strcmp(in->m->body[i], in->body))
			return in->body_index = (uint32_t)i, true;
	return false;
}

static void *interp_open(const Module *m, const char *body, char *err, size_t nerr)
{
	Interp *in = interp_new(m);
	char step[100], run[100];
	if (!find_body(in, body)) {
		snprintf(err, nerr, "interp: the module has no body '%s'", body);
		interp_close(in);
		return 0;
	}
	snprintf(step, sizeof step, "step_%s", in->body);
	snprintf(run, sizeof run, "run_%s", in->body);
	if (!entry(in, "reset", &in->reset) || !entry(in, step, &in->step) || !entry(in, run, &in->run)) {
		snprintf(err, nerr, "interp: %s", in->err);
		interp_close(in);
		return 0;
	}
	return in;
}

/* The next reference parameter of c. */
static void give(Code *c, int *k, const void *p, bool constant)
{
	if (*k < c->func->nparam && c->func->param[*k]->type->form == T_REF) {
		c->cell[c->func->param[*k]->id].ref = (Ref){ (uint8_t *)p, shape_size(&c->param[*k]), constant };
		++*k;
	}
}

static bool next_is(const Code *c, int k, const char *name)
{
	return k < c->func->nparam && c->func->param[k]->name && !strcmp(c->func->param[k]->name, name);
}

static int32_t call_entry(Interp *in, Code *c, uint8_t *state, uint8_t *scratch, const void *const *inputs,
                          void *const *outputs, int32_t steps)
{
	int n = c->func->nparam, k = 0, i = 0;
	in->err[0] = 0;
	if (next_is(c, n - 1, "T"))
		c->cell[c->func->param[n - 1]->id].w[0] = steps;
	give(c, &k, state, false);
	give(c, &k, scratch, false);
	if (next_is(c, k, "scratch_t"))
		give(c, &k, scratch + in->m->scratch_size, false);
	for (const Port *p = in->m->in; p; p = p->next)
		give(c, &k, inputs[i++], true);
	i = 0;
	for (const Port *p = in->m->out; p; p = p->next)
		give(c, &k, outputs[i++], false);
	if (k + next_is(c, k, "T") != n) {
		snprintf(in->err, sizeof in->err, "@%s has not the parameters of an entry function", c->func->name);
		return INTERNAL;
	}
	if (!interp_enter(in, c))
		return INTERNAL;
	return c->result ? c->result->w[0] : 0;
}

static void interp_reset(void *self, uint8_t *state)
{
	Interp *in = self;
	Code *c = in->reset;
	in->err[0] = 0;
	if (c) {
		int k = 0;
		give(c, &k, state, false);
		in->reset_failed = !interp_enter(in, c);
	}
	if (in->m->nbody > 1)
		memcpy(state, &in->body_index, sizeof in->body_index);
}

/* Nothing survives in scratch: what it held before must not matter. */
static void spoil(uint8_t *scratch, size_t n)
{
	memset(scratch, 0xA5, n);
}

static int32_t interp_step(void *self, uint8_t *state, uint8_t *scratch, const void *const *in,
                           void *const *out)
{
	Interp *self_ = self;
	if (!self_->step || self_->reset_failed)
		return INTERNAL;
	spoil(scratch, self_->m->scratch_size);
	return call_entry(self_, self_->step, state, scratch, in, out, 1);
}

static int32_t interp_run(void *self, uint8_t *state, uint8_t *scratch, const void *const *in,
                          void *const *out, int32_t steps)
{
	Interp *self_ = self;
	if (!self_->run || self_->reset_failed)
		return INTERNAL;
	spoil(scratch, self_->m->scratch_size + (size_t)steps * self_->m->scratch_step);
	return call_entry(self_, self_->run, state, scratch, in, out, steps);
}

static const char *interp_body(void *self)
{
	return ((Interp *)self)->body;
}

static const char *interp_error(void *self)
{
	return ((Interp *)self)->err;
}

const ExecKind exec_interp = {
	.name = "interp",
	.open = interp_open,
	.reset = interp_reset,
	.step = interp_step,
	.run = interp_run,
	.body = interp_body,
	.close = interp_close,
	.error = interp_error,
};

/* ---- one function alone --------------------------------------------------------------------- */

static void set_arg(Code *c, int k, const ExecArg *a)
{
	const Type *t = c->func->param[k]->type;
	Cell *to = &c->cell[c->func->param[k]->id];
	if (t->form == T_REF) {
		to->ref = (Ref){ a->p, (int64_t)a->size, false };
		return;
	}
	switch (reg_letter(t)) {
	case 'l': to->l[0] = a->i; break;
	case 's': to->s[0] = a->f; break;
	default:  to->w[0] = (int32_t)a->i;
	}
}

static bool call_alone(Interp *in, Code *c, const ExecArg *arg, ExecArg *ret)
{
	for (int k = 0; k < c->func->nparam; k++)
		set_arg(c, k, &arg[k]);
	for (int k = 0; k < c->func->nparam; k++)
		if (c->func->param[k]->type->form == T_REF && shape_size(&c->param[k]) > (int64_t)arg[k].size) {
			snprintf(in->err, sizeof in->err, "@%s: argument %d is too small", c->func->name, k);
			return false;
		}
	if (!interp_enter(in, c))
		return false;
	if (ret && c->result)
		switch (reg_letter(c->func->ret[0])) {
		case 'l': ret->i = c->result->l[0]; break;
		case 's': ret->f = c->result->s[0]; break;
		default:  ret->i = c->result->w[0];
		}
	return true;
}

bool interp_call(const Module *m, const char *func, const ExecArg *arg, int narg, ExecArg *ret, char *err,
                 size_t nerr)
{
	Interp *in = interp_new(m);
	const Func *f = func_find(m, func);
	bool ok = false;
	if (!f || f->nparam != narg) {
		snprintf(in->err, sizeof in->err, "no function @%s of %d parameters", func, narg);
	} else {
		Code *c = decode(in, f);
		ok = c && call_alone(in, c, arg, ret);
	}
	snprintf(err, nerr, "%s", in->err);
	interp_close(in);
	return ok;
}

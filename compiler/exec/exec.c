/* exec.c: the kinds of executors, and the memory that a model's caller owes it. */
#include "exec/exec.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gatefold.h"

enum { ALIGN = 64, INTERNAL = -1 };

struct Exec {
	const ExecKind *kind;
	void *self;
	const Module *m;
	uint8_t *state, *scratch;
	size_t scratch_size;
	bool has_step;
	char err[100];          /* exec.c's own complaint */
};

static const ExecKind *const kinds[] = {
	&exec_interp,
	&exec_c,
#ifdef GATEFOLD_LLVM
	&exec_jit,
#endif
};

static const ExecKind *find_kind(const char *name)
{
	for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
		if (!strcmp(kinds[i]->name, name))
			return kinds[i];
	return 0;
}

bool exec_available(const char *kind)
{
	return find_kind(kind) != 0;
}

/* 0 when memory is out. */
static uint8_t *aligned(size_t n)
{
	uint8_t *p = n > SIZE_MAX / 2 ? 0 : aligned_alloc(ALIGN, (n | (ALIGN - 1)) + 1);
	if (p)
		memset(p, 0, (n | (ALIGN - 1)) + 1);
	return p;
}

Exec *exec_open(const Module *m, const char *kind, const char *body, char *err, size_t nerr)
{
	const ExecKind *k = find_kind(kind);
	if (!k) {
		snprintf(err, nerr, "this gatefold was built without the executor '%s'", kind);
		return 0;
	}
	if (m->level != L_LOOP || !m->planned) {
		snprintf(err, nerr, "%s: only a lowered and planned module can run", kind);
		return 0;
	}
	Exec *e = calloc(1, sizeof *e);
	uint8_t *state = aligned(m->state_size), *scratch = aligned(m->scratch_size);
	if (e && state && scratch)
		*e = (Exec){ .kind = k, .m = m, .state = state, .scratch = scratch,
		             .scratch_size = m->scratch_size, .has_step = func_find(m, "step_portable") != 0 };
	else
		snprintf(err, nerr, "out of memory");
	if (!e || !state || !scratch || !(e->self = k->open(m, body, err, nerr))) {
		free(e);
		free(state);
		free(scratch);
		return 0;
	}
	exec_reset(e);
	return e;
}

void exec_close(Exec *e)
{
	if (!e)
		return;
	e->kind->close(e->self);
	free(e->state);
	free(e->scratch);
	free(e);
}

void exec_reset(Exec *e)
{
	e->kind->reset(e->self, e->state);
}

bool exec_has_step(const Exec *e)
{
	return e->has_step;
}

static int32_t refuse(Exec *e, const char *why)
{
	snprintf(e->err, sizeof e->err, "%s", why);
	return INTERNAL;
}

int32_t exec_step(Exec *e, const void *const *in, void *const *out)
{
	e->err[0] = 0;
	if (!e->has_step)
		return refuse(e, "the model has no step: it needs whole sequences");
	return e->kind->step(e->self, e->state, e->scratch, in, out);
}

int32_t exec_run(Exec *e, const void *const *in, void *const *out, int32_t steps)
{
	e->err[0] = 0;
	if (steps <= 0)
		return GF_STEPS;
	size_t need = e->m->scratch_size + (size_t)steps * e->m->scratch_step;
	if (need > e->scratch_size) {
		uint8_t *p = aligned(need);
		if (!p)
			return refuse(e, "out of memory for scratch");
		free(e->scratch);
		e->scratch = p;
		e->scratch_size = need;
	}
	return e->kind->run(e->self, e->state, e->scratch, in, out, steps);
}

uint8_t *exec_state(Exec *e)
{
	return e->state;
}

const char *exec_body(const Exec *e)
{
	return e->kind->body(e->self);
}

const char *exec_error(const Exec *e)
{
	if (e->err[0])
		return e->err;
	return e->kind->error ? e->kind->error(e->self) : "";
}

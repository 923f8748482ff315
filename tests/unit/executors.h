/* executors.h: for tests that run one module in every executor at hand and want the same bytes. */
#ifndef TEST_EXECUTORS_H
#define TEST_EXECUTORS_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "exec/exec.h"
#include "passes/passes.h"

enum { MAX_PORTS = 8 };

typedef struct {
	void *out[MAX_PORTS];
	uint8_t *state;
	int32_t status;
} Outcome;

static inline Module *parse_planned(const char *text)
{
	char err[1000] = "";
	Module *m = module_parse("test.ir", text, strlen(text), err, sizeof err);
	if (!m)
		fail_msg("%s", err);
	if (!module_verify(m, err, sizeof err))
		fail_msg("%s", err);
	return m;
}

/* The text's module, lowered and planned for a target. */
static inline Module *lowered_for(const char *text, const char *target)
{
	char err[400] = "";
	Module *m = parse_planned(text);
	Options opt = {.integer = true, .target = target};
	Diag *d = diag_new();
	if (!pass_lower(m, &opt, d) || !pass_plan(m, &opt, d)) {
		diag_print(d, stderr);
		fail();
	}
	if (!module_verify(m, err, sizeof err))
		fail_msg("%s", err);
	diag_free(d);
	return m;
}

/* Run m with `kind` from reset: `steps` times step (when it has step), then run over `steps` steps. */
static inline Outcome run_with(const Module *m, const char *kind, const void *const *in, int32_t steps)
{
	char err[1000] = "";
	Outcome o = { .status = -1 };
	int n = 0;
	Exec *e = exec_open(m, kind, 0, err, sizeof err);
	if (!e)
		fail_msg("%s: %s", kind, err);
	for (const Port *p = m->out; p; p = p->next) {
		o.out[n] = calloc(1, (size_t)type_size(p->type, steps) + 1);
		memset(o.out[n++], 0x5A, (size_t)type_size(p->type, steps));
	}
	for (int32_t t = 0; exec_has_step(e) && t < steps; t++)
		assert_true(exec_step(e, in, o.out) >= 0);
	o.status = exec_run(e, in, o.out, steps);
	if (o.status < 0)
		fail_msg("%s: %s", kind, exec_error(e));
	o.state = malloc(m->state_size + 1);
	memcpy(o.state, exec_state(e), m->state_size);
	exec_close(e);
	return o;
}

static inline void free_outcome(Outcome *o)
{
	for (int i = 0; i < MAX_PORTS; i++)
		free(o->out[i]);
	free(o->state);
}

static inline bool same_outcome(const Module *m, const Outcome *a, const Outcome *b, int32_t steps)
{
	int n = 0;
	for (const Port *p = m->out; p; p = p->next, n++)
		if (memcmp(a->out[n], b->out[n], (size_t)type_size(p->type, steps)))
			return false;
	/* The state's first bytes may name the body. */
	uint32_t from = m->nbody > 1 ? 16 : 0;
	return a->status == b->status && !memcmp(a->state + from, b->state + from, m->state_size - from);
}

static const char *const other_kinds[] = { "c", "jit" };

/* The interpreter's outcome, after the others gave the same. */
static inline Outcome run_everywhere(const Module *m, const void *const *in, int32_t steps)
{
	Outcome want = run_with(m, "interp", in, steps);
	for (int i = 0; i < 2; i++) {
		if (!exec_available(other_kinds[i]))
			continue;
		Outcome got = run_with(m, other_kinds[i], in, steps);
		if (!same_outcome(m, &want, &got, steps))
			fail_msg("%s differs from the interpreter", other_kinds[i]);
		free_outcome(&got);
	}
	return want;
}

#endif

/* check.c: the hash that a compiled model's self-test must find (gatefold.h, gf_model.check). */
#include "exec/exec.h"

#include <stdio.h>
#include <stdlib.h>

#include "gatefold.h"

enum { SEQUENCE = 4 };          /* steps of the test of a model that has no single steps */

static int count(const Port *p)
{
	int n = 0;
	for (; p; p = p->next)
		n++;
	return n;
}

static void free_buffers(uint8_t **b, int n)
{
	while (b && n-- > 0)
		free(b[n]);
	free(b);
}

/* A buffer for each port, holding the test's pattern; 0 when memory is out. */
static uint8_t **buffers(const Port *p, int32_t steps)
{
	int n = 0;
	uint8_t **b = calloc((size_t)count(p) + 1, sizeof *b);
	for (; b && p; p = p->next, n++) {
		size_t size = (size_t)type_size(p->type, steps);
		b[n] = size < SIZE_MAX / 4 ? malloc(size + 1) : 0;
		if (!b[n]) {
			free_buffers(b, n);
			return 0;
		}
		for (size_t i = 0; i < size; i++)
			b[n][i] = (uint8_t)((i * 37 + 11) & 63);
	}
	return b;
}

static uint32_t fnv1a(const Port *p, int32_t steps, uint8_t *const *b)
{
	uint32_t hash = UINT32_C(2166136261);
	for (; p; p = p->next, b++)
		for (int64_t i = 0; i < type_size(p->type, steps); i++)
			hash = (hash ^ (*b)[i]) * UINT32_C(16777619);
	return hash;
}

bool exec_check(const Module *m, const char *kind, int32_t steps, uint32_t *check, int32_t *check_steps,
                char *err, size_t nerr)
{
	Exec *e = exec_open(m, kind ? kind : "interp", 0, err, nerr);
	if (!e)
		return false;
	*check_steps = exec_has_step(e) ? 0 : steps ? steps : SEQUENCE;
	int32_t n = *check_steps ? *check_steps : 1, status = -1;
	uint8_t **in = buffers(m->in, n), **out = buffers(m->out, n);
	snprintf(err, nerr, "self-test: out of memory");
	if (in && out) {
		const void *const *i = (const void *const *)in;
		status = *check_steps ? exec_run(e, i, (void *const *)out, n) : exec_step(e, i, (void *const *)out);
		snprintf(err, nerr, "self-test: status %d %s", (int)status, exec_error(e));
		*check = fnv1a(m->out, n, out);
	}
	free_buffers(in, count(m->in));
	free_buffers(out, count(m->out));
	exec_close(e);
	return status == GF_OK || status == GF_RANGE;
}

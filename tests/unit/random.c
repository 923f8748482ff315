/* random.c: random programs give the same bytes in every executor, and their text comes back as it went.
 *
 *	test_random [COUNT [SEED [KIND]]]
 *
 * C compilers are slow: unless KIND says "c", only every fourth program runs as C.  A program that differs is
 * written to random_SEED.ir; its own seed repeats it alone (COUNT 1). */
#include <inttypes.h>
#include <stdio.h>

#include "executors.h"
#include "random/generate.h"

enum { STEPS = 3 };

static const char *only_kind;

static void write_program(const Module *m, uint64_t seed)
{
	char name[64];
	snprintf(name, sizeof name, "random_%" PRIu64 ".ir", seed);
	FILE *f = fopen(name, "w");
	if (!f)
		return;
	module_print(m, f, 0, 0);
	fclose(f);
	printf("written to %s\n", name);
}

static bool text_returns(const Module *m, char *err, size_t nerr)
{
	char *text = 0;
	size_t n = 0;
	FILE *f = open_memstream(&text, &n);
	module_print(m, f, 0, 0);
	fclose(f);
	Module *again = module_parse("random.ir", text, n, err, nerr);
	bool same = again && module_equal(m, again);
	if (again && !same)
		snprintf(err, nerr, "parse(print(m)) is not m");
	if (again)
		module_free(again);
	free(text);
	return same;
}

/* Random bytes; floats of moderate size. */
static void *input(const Port *p, uint64_t *rng)
{
	size_t size = (size_t)type_size(p->type, STEPS);
	uint8_t *b = malloc(size);
	for (size_t i = 0; i < size; i++)
		b[i] = (uint8_t)random_next(rng);
	for (size_t i = 0; p->type->elem == E_f32 && i < size / 4; i++)
		((float *)b)[i] = (float)((int32_t)random_next(rng) >> 12) / 1024;
	return b;
}

static bool run_alone(const Module *m, const char *kind, const void *const *in, Outcome *o, char *err,
                      size_t nerr)
{
	Exec *e = exec_open(m, kind, 0, err, nerr);
	if (!e)
		return false;
	int n = 0;
	for (const Port *p = m->out; p; p = p->next, n++) {
		o->out[n] = malloc((size_t)type_size(p->type, STEPS));
		memset(o->out[n], 0x5A, (size_t)type_size(p->type, STEPS));
	}
	o->status = exec_step(e, in, o->out);
	if (o->status >= 0)
		o->status = exec_run(e, in, o->out, STEPS);
	o->state = malloc(m->state_size);
	memcpy(o->state, exec_state(e), m->state_size);
	snprintf(err, nerr, "%s", exec_error(e));
	exec_close(e);
	return o->status >= 0;
}

static bool is_wanted(const char *kind, uint64_t seed)
{
	if (only_kind)
		return !strcmp(kind, only_kind);
	return exec_available(kind) && (strcmp(kind, "c") || seed % 4 == 1);
}

static bool try_program(const Module *m, uint64_t seed, const void *const *in, char *err, size_t nerr)
{
	Outcome want = { .status = 0 };
	bool ok = module_verify(m, err, nerr) && text_returns(m, err, nerr) &&
	          run_alone(m, "interp", in, &want, err, nerr);
	for (int i = 0; i < 2 && ok; i++) {
		Outcome got = { .status = 0 };
		if (!is_wanted(other_kinds[i], seed))
			continue;
		ok = run_alone(m, other_kinds[i], in, &got, err, nerr);
		if (ok && !same_outcome(m, &want, &got, STEPS)) {
			snprintf(err, nerr, "%s differs from the interpreter", other_kinds[i]);
			ok = false;
		}
		free_outcome(&got);
	}
	free_outcome(&want);
	return ok;
}

static bool program(uint64_t seed)
{
	char err[1000] = "";
	Module *m = generate(seed);
	void *in[MAX_PORTS];
	uint64_t rng = seed;
	int n = 0;
	for (const Port *p = m->in; p; p = p->next)
		in[n++] = input(p, &rng);
	bool ok = try_program(m, seed, (const void *const *)in, err, sizeof err);
	if (!ok) {
		printf("seed %" PRIu64 ": %s\n", seed, err);
		write_program(m, seed);
	}
	while (n)
		free(in[--n]);
	module_free(m);
	return ok;
}

int main(int argc, char **argv)
{
	uint64_t count = argc > 1 ? strtoull(argv[1], 0, 0) : 40, seed = argc > 2 ? strtoull(argv[2], 0, 0) : 1;
	uint64_t differ = 0;
	only_kind = argc > 3 ? argv[3] : 0;
	for (uint64_t i = 0; i < count; i++)
		differ += !program(seed + i);
	printf("%" PRIu64 " programs, seed %" PRIu64 ", %" PRIu64 " differ\n", count, seed, differ);
	return differ != 0;
}

/* harness.c: run a compiled model on a machine without files or operating system, and say what it answered.
 *
 * The model, its inputs and their number of steps come from case.h, which case.c wrote.  Printed are
 *	out I HEX       all bytes of output I, after step by step (or, for a model without step, from run)
 *	run same        the whole sequence at once gives the same bytes
 *	body NAME same  so does each body of a model with several, if this machine can run it
 *	selftest ok     or gf_selftest's complaint
 *	state N, scratch N, weights N, stack N
 *	                bytes; stack: of one step (or run), where it can be measured
 * Exit code 0 if everything agrees.  The bytes are compared with the interpreter's by the script `run`. */
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "gatefold.h"
#include "case.h"

#define MOST 16         /* inputs or outputs */

static _Alignas(GF_ALIGN) uint8_t state[CASE_STATE], scratch[CASE_SCRATCH];
static _Alignas(GF_ALIGN) uint8_t step_in[CASE_STEP_IN], step_out[CASE_STEP_OUT];       /* of one step */
static _Alignas(GF_ALIGN) uint8_t all_out[CASE_OUT], run_out[CASE_OUT];         /* of all steps */

static const gf_model *const model = &CASE_MODEL;

/* icount.c counts the instructions between these two. */
__attribute__((noinline)) void count_begin(void)
{
	__asm volatile("");
}

__attribute__((noinline)) void count_end(void)
{
	__asm volatile("");
}

static uint32_t round_up(uint32_t n)
{
	return (n + (GF_ALIGN - 1)) & ~(uint32_t)(GF_ALIGN - 1);
}

/* Pointers to buffers of the given sizes, one behind the other. */
static void lay_out(uint8_t *p, const uint32_t *bytes, int n, void **at)
{
	for (int i = 0; i < n; i++) {
		at[i] = p;
		p += round_up(bytes[i]);
	}
}

/* ---- stack -------------------------------------------------------------------------------------------- */

#if defined(__arm__)
enum { PAINTED = 1024 };        /* words */
#define PAINT 0xa5a5a5a5u

static uint32_t *stack_pointer(void)
{
	uint32_t *sp;
	__asm volatile("mov %0, sp" : "=r"(sp));
	return sp;
}

/* Paint the free stack; after a call the lowest word that changed says how deep it went. */
__attribute__((noinline)) static void paint_stack(void)
{
	volatile uint32_t *sp = stack_pointer();
	for (int i = 1; i <= PAINTED; i++)
		sp[-i] = PAINT;
}

__attribute__((noinline)) static uint32_t painted_over(void)
{
	volatile uint32_t *sp = stack_pointer();
	int i = PAINTED;
	while (i > 0 && sp[-i] == PAINT)
		i--;
	return (uint32_t)i * 4;
}
#else
static void paint_stack(void) {}
static uint32_t painted_over(void) { return 0; }
#endif

/* ---- the two ways to run ------------------------------------------------------------------------------ */

enum { BEST = -1 };             /* body: the one that reset picks */

static gf_status start(int body)
{
	gf_status s = model->reset(state);
	return s || body == BEST ? s : model->use(state, (uint16_t)body);
}

static gf_status steps_one_by_one(int body, uint8_t *to, uint32_t *stack)
{
	const void *in[MOST];
	void *pin[MOST], *out[MOST], *all[MOST];
	gf_status s = start(body);
	lay_out(step_in, case_in_step, CASE_NIN, pin);
	lay_out(step_out, case_out_step, CASE_NOUT, out);
	lay_out(to, case_out, CASE_NOUT, all);
	for (uint32_t t = 0; t < CASE_STEPS && !s; t++) {
		for (int i = 0; i < CASE_NIN; i++) {
			memcpy(pin[i], case_in[i] + t * case_in_next[i], case_in_step[i]);
			in[i] = pin[i];
		}
		if (t == 0)
			paint_stack();
		count_begin();
		s = model->step(state, scratch, in, out);
		count_end();
		if (t == 0)
			*stack = painted_over();
		for (int i = 0; i < CASE_NOUT; i++)
			memcpy((uint8_t *)all[i] + t * case_out_next[i], out[i], case_out_step[i]);
	}
	return s;
}

static gf_status whole_sequence(int body, uint8_t *to, uint32_t *stack)
{
	const void *in[MOST];
	void *out[MOST];
	for (int i = 0; i < CASE_NIN; i++)
		in[i] = case_in[i];
	lay_out(to, case_out, CASE_NOUT, out);
	gf_status s = start(body);
	if (s || model->step)           /* the steps were counted */
		return s ? s : model->run(state, scratch, in, out, CASE_STEPS);
	paint_stack();
	count_begin();
	s = model->run(state, scratch, in, out, CASE_STEPS);
	count_end();
	*stack = painted_over();
	return s;
}

static gf_status by_steps_if_possible(int body, uint8_t *to, uint32_t *stack)
{
	return model->step ? steps_one_by_one(body, to, stack) : whole_sequence(body, to, stack);
}

static void print_outputs(void)
{
	void *all[MOST];
	lay_out(all_out, case_out, CASE_NOUT, all);
	for (int i = 0; i < CASE_NOUT; i++) {
		printf("out %d ", i);
		for (uint32_t k = 0; k < case_out[i]; k++)
			printf("%02x", ((const uint8_t *)all[i])[k]);
		printf("\n");
	}
}

/* Say whether run_out holds the bytes that were printed; 1 if not. */
static int compare(const char *what, const char *name, gf_status s)
{
	int same = !s && !memcmp(run_out, all_out, sizeof run_out);
	printf("%s%s %s\n", what, name, s ? gf_status_text(s) : same ? "same" : "differs");
	return !same && s != GF_BODY;
}

int main(void)
{
	static _Alignas(GF_ALIGN) uint8_t test_in[CASE_TEST_IN], test_out[CASE_TEST_OUT];
	uint32_t stack = 0, unused;
	gf_status s = by_steps_if_possible(BEST, all_out, &stack);
	if (s) {
		printf("failed: %s\n", gf_status_text(s));
		return 1;
	}
	print_outputs();

	int bad = compare("run", "", whole_sequence(BEST, run_out, &unused));
	for (int i = 0; i < model->nbody && model->nbody > 1; i++) {
		memset(run_out, 0, sizeof run_out);
		bad |= compare("body ", model->body[i], by_steps_if_possible(i, run_out, &unused));
	}
	s = gf_selftest(model, state, scratch, test_in, test_out);
	printf("selftest %s\n", gf_status_text(s));
	printf("state %u\nscratch %u\n", (unsigned)model->state_size, (unsigned)model->scratch_size);
	printf("weights %u\nstack %u\n", (unsigned)model->weight_size, (unsigned)stack);
	return bad || s;
}

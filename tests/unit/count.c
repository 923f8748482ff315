/* count.c: operations counted from the text are those that the interpreter executes. */
#include "executors.h"

#include <stdio.h>

#include "exec/interp.h"
#include "lower/count.h"
#include "passes/passes.h"
#include "storage/storage.h"

enum { WORDS = 300, MOST_STEPS = 5 };

/* An embedding, an LSTM and a layer behind it; ranges as calibration might have found them. */
static const char words[] =
	"module \"m\" level=tensor\n"
	"input \"word\" i32[T,1]\noutput \"y\" f32[T,1,5]\n"
	"data $E f32[300,12] = 0x0p+0\ndata $W f32[64,12] = 0x0p+0\ndata $R f32[64,16] = 0x0p+0\n"
	"data $b f32[64] = 0x0p+0\ndata $V f32[5,16] = 0x0p+0\ndata $vb f32[5] = 0x0p+0\n"
	"func @cell(%x f32[1,12]) state(%h f32[1,16] = 0, %c f32[1,16] = 0) f32[1,16] {\n"
	"\t%gx =f32[1,64] linear %x, $W, $b\n"
	"\t%g =f32[1,64] linear %h, $R, %gx range=[-0x1.4p+4, 0x1.4p+4]\n"
	"\t%i0 =f32[1,16] slice %g, axis=1, at=0\n\t%i =f32[1,16] sigmoid %i0\n"
	"\t%f0 =f32[1,16] slice %g, axis=1, at=32\n\t%f =f32[1,16] sigmoid %f0\n"
	"\t%u0 =f32[1,16] slice %g, axis=1, at=48\n\t%u =f32[1,16] tanh %u0\n"
	"\t%fc =f32[1,16] mul %f, %c\n\t%iu =f32[1,16] mul %i, %u\n"
	"\t%c1 =f32[1,16] add %fc, %iu range=[-0x1.8p+1, 0x1.4p+1]\n"
	"\t%o0 =f32[1,16] slice %g, axis=1, at=16\n\t%o =f32[1,16] sigmoid %o0\n"
	"\t%t =f32[1,16] tanh %c1\n\t%h1 =f32[1,16] mul %o, %t range=[-0x1.ep-1, 0x1.cp-1]\n"
	"\tnext %h = %h1, %c = %c1\n\tret %h1\n}\n"
	"func @main(%word i32[T,1]) f32[T,1,5] {\n"
	"\t%e =f32[T,1,12] gather $E, %word, axis=0 range=[-0x1p+0, 0x1p+0]\n"
	"\t%h =f32[T,1,16] scan @cell, %e, seq=1, axis=[0], out_axis=[0], keep=[\"all\"]\n"
	"\t%y =f32[T,1,5] linear %h, $V, $vb range=[-0x1p+3, 0x1p+3]\n"
	"\t%p =f32[T,1,5] softmax %y, axis=2\n\tret %p\n}\n";

static Module *lowered(const char *text, Options opt)
{
	char err[1000] = "";
	uint64_t rng = 3;
	Module *m = module_parse("m.ir", text, strlen(text), err, sizeof err);
	Diag *d = diag_new();
	if (!m)
		fail_msg("%s", err);
	each_data(data, m)
		for (size_t i = 0; i < data->size / sizeof(float); i++) {
			rng = rng * 6364136223846793005u + 1442695040888963407u;
			float x = (float)((int32_t)(rng >> 32)) * 0x1p-31f;
			((float *)data->bytes)[i] = x * x * x;          /* many small ones: coding pays */
		}
	opt.target = "any";
	if (!passes_run(m, &opt, 0, d)) {
		diag_print(d, stderr);
		fail_msg("not lowered");
	}
	diag_free(d);
	return m;
}

static OpCount executed(const Module *m, bool step, int32_t steps, int32_t word)
{
	char err[400] = "";
	Interp *in = exec_interp.open(m, 0, err, sizeof err);
	uint8_t *state = calloc(1, m->state_size + 1u);
	uint8_t *scratch = aligned_alloc(64, (m->scratch_size + (size_t)steps * m->scratch_step + 127) / 64 * 64);
	void *x = calloc(1, 4096), *y = calloc(1, 4096);
	OpCount n = {0};
	if (!in)
		fail_msg("%s", err);
	for (int i = 0; i < steps; i++)
		((int32_t *)x)[i] = word + i;
	exec_interp.reset(in, state);
	memset(in->executed, 0, sizeof in->executed);
	int32_t status = step ? exec_interp.step(in, state, scratch, (const void *[]){x}, (void *[]){y})
	                      : exec_interp.run(in, state, scratch, (const void *[]){x}, (void *[]){y}, steps);
	if (status)
		fail_msg("status %d: %s", status, exec_interp.error(in));
	for (int k = 0; k < N_OPS; k++)
		if (op_is_counted((OpKind)k) || k == O_for)
			count_op(&n, (OpKind)k, in->executed[k]);
	exec_interp.close(in);
	free(state), free(scratch), free(x), free(y);
	return n;
}

/* bound: some of the loops depend on data; rows are then looked for that make them longest. */
static void same(const Module *m, bool step, int32_t steps, bool bound)
{
	OpCount most = {0}, want = count_executed(func_find(m, step ? "step_portable" : "run_portable"), steps);
	assert_false(want.unknown);
	assert_int_equal(want.bound, bound);
	for (int32_t word = bound ? 0 : WORDS / 2; word < WORDS - steps; word += 3) {
		OpCount n = executed(m, step, steps, word);
		most = n.all > most.all ? n : most;
		if (!bound)
			break;
	}
	if (bound) {
		assert_in_range(most.all, want.all / 3, want.all);
		return;
	}
	assert_int_equal(most.all, want.all);
	assert_int_equal(most.loads, want.loads);
	assert_int_equal(most.stores, want.stores);
	assert_int_equal(most.products, want.products);
	assert_in_range(want.loads + want.stores + want.products, 1, want.all);
}

static void words_as_counted(void **state)
{
	static const Options how[] = {
		{.integer = false}, {.integer = true}, {.integer = true, .weights = 4}, {.integer = true, .weights = 3},
		{.integer = true, .weights = 2, .per_row = true, .real_scales = true}, {.integer = true, .weights = 1},
		{.integer = true, .weights = 16, .activations = 16}, {.integer = true, .state = 8, .gates = 8},
		{.integer = true, .weights = 3, .storage = STORE_ROWS},
		{.integer = true, .weights = 3, .storage = STORE_ROWS, .decode_once = true},
		{.integer = true, .weights = 3, .storage = STORE_ROWS, .per_row = true},
		{.integer = true, .weights = 4, .storage = STORE_CODED},
		{.integer = true, .weights = 4, .storage = STORE_CODED, .decode_once = true},
	};
	int nbound = 0;
	(void)state;
	for (size_t i = 0; i < sizeof how / sizeof *how; i++) {
		Module *m = lowered(words, how[i]);
		bool bound = data_find(m, "E_start") || data_find(m, "E_stream");
		nbound += bound;
		same(m, true, 1, bound || data_find(m, "W_stream"));
		same(m, false, 1, bound || data_find(m, "W_stream"));
		same(m, false, MOST_STEPS, bound || data_find(m, "W_stream"));
		module_free(m);
	}
	assert_int_equal(nbound, 5);            /* where a row of E is looked for */
}

/* Backward in time there is no step: a run is as long as its steps and what is around them. */
static void backward_as_counted(void **state)
{
	(void)state;
	char *text = strdup(words), *at = strstr(text, "keep=[\"all\"]");
	memcpy(at, "reverse=1   ", 12);
	Module *m = lowered(text, (Options){.integer = true});
	OpCount n[4];
	bool step;
	for (int T = 1; T <= MOST_STEPS; T++)
		same(m, false, T, false);
	for (int T = 1; T < 4; T++)
		n[T] = count_executed(func_find(m, "run_portable"), T);
	assert_int_equal(n[3].all - n[2].all, n[2].all - n[1].all);
	assert_int_equal(count_portable(m, &step).all, n[1].all);
	assert_false(step);
	module_free(m);
	free(text);
}

/* A loop whose turns nobody knows is not taken for one that never runs. */
static void unknown_turns(void **state)
{
	static const char text[] =
		"module \"m\" level=loop\nfunc @f(%x &i32[4]) w {\n\t%n =w load %x[0]\n\t%s =w for %i < %n carry %a = 0 {\n"
		"\t\t%b =w addw %a, %i\n\t\tyield %b\n\t}\n\tret %s\n}\n"
		"func @g(%x &i32[4]) {\n\tfor %i < -3 {\n\t\tstore %x[0], 1\n\t}\n\tfor %i2 < 3 {\n\t\tstore %x[%i2], 1\n\t}\n"
		"\t%n =w load %x[0]\n\t%k =w andw %n, 3\n\tfor %j < %k {\n\t\tstore %x[%j], 2\n\t}\n}\n";
	(void)state;
	Module *m = parse_planned(text);
	OpCount f = count_executed(func_find(m, "f"), 1), g = count_executed(func_find(m, "g"), 1);
	assert_true(f.unknown);
	assert_false(g.unknown);
	assert_true(g.bound);
	assert_int_equal(g.stores, 6);
	assert_int_equal(g.loads, 1);
	assert_int_equal(g.all, 6 + 6 + 2);
	module_free(m);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(words_as_counted),
		cmocka_unit_test(backward_as_counted),
		cmocka_unit_test(unknown_turns),
	};
	return cmocka_run_group_tests(tests, 0, 0);
}

/* states.c: inputs that carry on from outputs as states of the model. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "data/states.h"
#include "passes/passes.h"

static const char text[] =
	"input \"x\" f32[1,2]\n"
	"input \"h0\" f32[1,2]\n"
	"output \"y\" f32[1,2]\n"
	"output \"hn\" f32[1,2]\n"
	"data $W f32[2,2] = [1, 2, 3, 4]\n"
	"func @main(%x f32[1,2], %h0 f32[1,2]) f32[1,2], f32[1,2] {\n"
	"	%xs =f32[1,1,2] reshape %x\n"
	"	%ys, %h1 =f32[1,1,2], f32[1,2] scan @cell, %xs, %h0, seq=1, init=1, keep=[\"all\"]\n"
	"	%y =f32[1,2] reshape %ys\n"
	"	ret %y, %h1\n"
	"}\n"
	"func @cell(%x f32[1,2]) state(%h f32[1,2] = 0) f32[1,2] {\n"
	"	%h2 =f32[1,2] linear %h, $W, %x\n"
	"	next %h = %h2\n"
	"	ret %h2\n"
	"}\n";

static char *printed(const Module *m)
{
	char *t;
	size_t n;
	FILE *f = open_memstream(&t, &n);
	module_print(m, f, 0, 0);
	fclose(f);
	return t;
}

static Module *with_states(const Options *opt, Diag *d)
{
	char err[500];
	Module *m = module_parse("t.ir", text, strlen(text), err, sizeof err);
	assert_non_null(m);
	if (!states_of(m, opt, d))
		return 0;
	if (!module_verify(m, err, sizeof err))
		fail_msg("%s", err);
	return m;
}

static void has(const char *t, const char *part)
{
	if (!strstr(t, part))
		fail_msg("not there: %s\nin:\n%s", part, t);
}

static void pairs_become_states(void **state)
{
	Options named = {
		.state_in = (const char *[]){"h0"}, .state_out = (const char *[]){"hn"}, .nstate = 1};
	Options all = { .all_states = true };
	for (int i = 0; i < 2; i++) {
		Diag *d = diag_new();
		Module *m = with_states(i ? &named : &all, d);
		assert_non_null(m);
		char *t = printed(m);
		has(t, "input \"x\" f32[1,2]\noutput \"y\" f32[1,2]\ndata");
		has(t, "func @main(%x f32[1,2]) state(%h0 f32[1,2] = 0) f32[1,2] {");
		has(t, "next %h0 = %h1\n\tret %y\n");
		free(t);
		assert_true(passes_run(m, &all, "dce", d));
		t = printed(m);
		has(t, "func @step(%x f32[1,2]) state(%h0 f32[1,2] = 0) f32[1,2] {");
		has(t, "linear %h0, $W, %");
		has(t, "next %h0 = %cell_h2\n");
		free(t);
		module_free(m);
		diag_free(d);
	}
}

static void bad_pairs(void **state)
{
	static const struct { const char *in, *out, *message; } bad[] = {
		{ "h1", "h2", "--state h1=h2: the model has no such input and output" },
		{ "h0", "h2", "--state h0=h2: the model has no output 'h2'" },
		{ "h1", "hn", "--state h1=hn: the model has no input 'h1'" },
	};
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		Options opt = {.state_in = (const char **)&bad[i].in,
			       .state_out = (const char **)&bad[i].out,
			       .nstate = 1};
		Diag *d = diag_new();
		assert_null(with_states(&opt, d));
		char *t;
		size_t n;
		FILE *f = open_memstream(&t, &n);
		diag_print(d, f);
		fclose(f);
		has(t, bad[i].message);
		free(t);
		diag_free(d);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(pairs_become_states), cmocka_unit_test(bad_pairs),
	};
	return cmocka_run_group_tests(tests, 0, 0);
}

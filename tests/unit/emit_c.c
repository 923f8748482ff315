/* emit_c.c: emitted C compiles without a warning in every compiler at hand, is the same each time, and its
 * self-test finds the interpreter's hash. */
#include "executors.h"

#include <dlfcn.h>
#include <stdio.h>
#include <unistd.h>

#include "emit/emit.h"
#include "gatefold.h"

static char folder[] = "/tmp/gatefold-test-XXXXXX";

/* Integers of all sizes, vectors, floats and their odd values, T, state, names to be escaped. */
static const char model[] =
	"module \"Kws_1\" level=loop state=16 scratch=64 scratch_step=16 planned bodies=[portable]\n"
	"type :x = i8 * 0x1p-4\n"
	"type :u = (u4 - 3) * 0x1.9p-3\n"
	"input \"mel/x:0\" :x[1,T,4]\n"
	"input \"MEL x_0\" :u[4]\n"
	"output \"*/ \\\"y\\\\\" i16[1,T,4]\n"
	"output \"f\" f32[4]\n"
	"data $W i8[4,4] = [1, 2, 3, 4, -1, -2, -3, -4, 127, -128, 127, -128, 0, 1, 0, 1]\n"
	"data $b i32[4] = [100, -2147483648, 2147483647, 7]\n"
	"data $l i64[2] = [-9223372036854775808, 9223372036854775807]\n"
	"data $h i16[2] = [-32768, 32767]\n"
	"data $f f32[6] = [0x1p-1, -0x0p+0, -inf, inf, nan, 0x1.fffffep+127]\n"
	"data $unused i32[2] = 5\n"
	"func @reset(%state &u8[16]) {\n"
	"	for %i < 16 {\n		store %state[%i], 200\n	}\n"
	"}\n"
	"func @dead(%x &i8[1,T,4], %a w, %T w) w {\n"
	"	%unused =w load %x[0, 0, 0]\n"
	"	%n =w for %i < 3 carry %s = 0 {\n"
	"		%s1 =w addw %s, 1\n"
	"		yield %s1\n"
	"	}\n"
	"	ret -2147483648\n"
	"}\n"
	"func @dense(%x &i8[1,T,4], %y &i16[1,T,4], %T w) {\n"
	"	for %t < %T {\n"
	"		for %i < 4 {\n"
	"			%b0 =w load $b[%i]\n"
	"			%acc =w for %k < 4 carry %s = %b0 {\n"
	"				%w =w load $W[%i, %k]\n"
	"				%v =w load %x[0, %t, %k]\n"
	"				%p =w mulh %w, %v\n"
	"				%s1 =w addw %s, %p\n"
	"				yield %s1\n"
	"			}\n"
	"			%r =w sarw %acc, 2\n"
	"			store %y[0, %t, %i], %r\n"
	"		}\n"
	"	}\n"
	"}\n"
	"func @floats(%x &u8[4], %f &f32[4]) {\n"
	"	%m =s load $f[2]\n"
	"	for %i < 4 {\n"
	"		%v =w load %x[%i]\n"
	"		%s =s itof %v\n"
	"		%c =s load $f[%i]\n"
	"		%a =s muls %s, %c\n"
	"		%b =s adds %a, -0x1.8p-3\n"
	"		%n =s maxs %b, %m\n"
	"		%d =s mins %n, inf\n"
	"		%nan =w eqs %d, %d\n"
	"		%e =s sels %nan, %d, 0x0p+0\n"
	"		store %f[%i], %e\n"
	"	}\n"
	"	%q =s4 load %f[0]\n"
	"	%z =s4 for %k < 2 carry %zz = 0x1p+0 {\n"
	"		%z1 =s4 adds %zz, %q\n"
	"		yield %z1\n"
	"	}\n"
	"	store %f[0], %z\n"
	"}\n"
	"func @longs(%state &u8[16]) {\n"
	"	%l =&i64[1] view %state[8]\n"
	"	%a =l load %l[0]\n"
	"	%b =l load $l[1]\n"
	"	%h =w load $h[0]\n"
	"	%c =l mulwl %h, -2147483648\n"
	"	%d =l addl %a, %b\n"
	"	%e =l subl %d, -9223372036854775808\n"
	"	%g =l addl %e, %c\n"
	"	store %l[0], %g\n"
	"}\n"
	"func @run_portable(%state &u8[16], %scratch &u8[64], %scratch_t &u8[T,16], %x &i8[1,T,4], %u &u8[4], "
	"%y &i16[1,T,4], %f &f32[4], %T w) w {\n"
	"	%st =w call @dead, %x, 3, %T\n"
	"	call @dense, %x, %y, %T\n"
	"	call @floats, %u, %f\n"
	"	call @longs, %state\n"
	"	%s =w load %state[0]\n"
	"	%y0 =w load %y[0, 0, 0]\n"
	"	%y1 =w addw %y0, %s\n"
	"	store %y[0, 0, 0], %y1\n"
	"	ret 0\n"
	"}\n";

static void write_model(const Module *m, const EmitInfo *info)
{
	char path[200];
	snprintf(path, sizeof path, "%s/%s.h", folder, m->name);
	FILE *h = fopen(path, "w");
	snprintf(path, sizeof path, "%s/%s.c", folder, m->name);
	FILE *c = fopen(path, "w");
	assert_true(h && c);
	emit_header(m, info, h);
	emit_c(m, info, c);
	fclose(h);
	fclose(c);
}

static bool has_command(const char *cc)
{
	char command[300];
	snprintf(command, sizeof command, "command -v %.*s >/dev/null 2>&1", (int)strcspn(cc, " "), cc);
	return system(command) == 0;
}

static int compile(const char *cc, const char *rest)
{
	char command[1000];
	snprintf(command, sizeof command, "cd %s && %s -I '%s' %s", folder, cc, GATEFOLD_RUNTIME, rest);
	return system(command);
}

static void test_no_warnings(void **unused)
{
	static const char *const compilers[] = {
		"gcc", "gcc -m32 -msse2 -mfpmath=sse -ffreestanding", "clang", "clang-19",
		"arm-none-eabi-gcc -mcpu=cortex-m4", "arm-none-eabi-gcc -mcpu=cortex-m0",
		"clang-19 --target=avr -mmcu=atmega2560 -ffreestanding -Wno-error=macro-redefined",
	};
	static const char *const levels[] = { "-O0", "-Os", "-O3" };
	Module *m = parse_planned(model);
	EmitInfo info = { .source = "a/b/kws.onnx" };
	write_model(m, &info);
	for (size_t i = 0; i < sizeof compilers / sizeof *compilers; i++)
		for (int k = 0; k < 3; k++) {
			char rest[300];
			if (!has_command(compilers[i])) {
				printf("skipped: no %s\n", compilers[i]);
				break;
			}
			snprintf(rest, sizeof rest,
			         "-std=c99 %s -Wall -Wextra -Wconversion -Wshadow -Werror -pedantic -S -o out.s %s.c",
			         levels[k], m->name);
			if (compile(compilers[i], rest))
				fail_msg("%s %s", compilers[i], levels[k]);
		}
	if (has_command("g++"))
		assert_int_equal(compile("g++", "-Wall -Wextra -Werror -fsyntax-only -x c++ Kws_1.h"), 0);
	module_free(m);
}

static char *emitted(const Module *m, const EmitInfo *info,
                     void (*emit)(const Module *, const EmitInfo *, FILE *))
{
	char *text = 0;
	size_t n = 0;
	FILE *f = open_memstream(&text, &n);
	emit(m, info, f);
	fclose(f);
	return text;
}

static void test_deterministic(void **unused)
{
	EmitInfo a = { .source = "a/kws.onnx" }, b = { .source = "/b/c/kws.onnx" };
	Module *m = parse_planned(model), *again = parse_planned(model);
	char *c1 = emitted(m, &a, emit_c), *c2 = emitted(again, &b, emit_c);
	char *h1 = emitted(m, &a, emit_header), *h2 = emitted(again, &b, emit_header);
	assert_string_equal(c1, c2);
	assert_string_equal(h1, h2);
	assert_null(strstr(c1, "unused"));
	assert_non_null(strstr(h1, "#define KWS_1_STATE 16\n"));
	assert_non_null(strstr(h1, "#define KWS_1_SCRATCH_STEP 16 "));
	assert_non_null(strstr(h1, "#define KWS_1_IN_MEL_X_0 0\n"));
	assert_non_null(strstr(h1, "#define KWS_1_IN_MEL_X_0_2 1\n"));
	assert_non_null(strstr(h1, "#define KWS_1_N_IN_MEL_X_0 4 "));
	assert_non_null(strstr(h1, "[1, T, 4], i8, Q3.4: real = stored * 2^-4, -8 to 7.9375\n"));
	free(c1);
	free(c2);
	free(h1);
	free(h2);
	module_free(m);
	module_free(again);
}

/* The model in a shared object with the runtime; *library to be closed. */
static const gf_model *load(const Module *m, const EmitInfo *info, void **library)
{
	char path[200];
	write_model(m, info);
	assert_int_equal(compile("cc", "-O2 -shared -fPIC -o lib.so Kws_1.c '" GATEFOLD_RUNTIME "/gatefold.c'"), 0);
	snprintf(path, sizeof path, "%s/lib.so", folder);
	*library = dlopen(path, RTLD_NOW);
	assert_non_null(*library);
	return dlsym(*library, m->name);
}

static gf_status selftest(void *library, const gf_model *g)
{
	gf_status (*run)(const gf_model *, void *, void *, void *, void *) =
		(gf_status (*)(const gf_model *, void *, void *, void *, void *))dlsym(library, "gf_selftest");
	static _Alignas(GF_ALIGN) uint8_t state[64], scratch[256], in[256], out[256];
	assert_true(gf_io_size(g, 0, g->check_steps) <= sizeof in && gf_io_size(g, 1, g->check_steps) <= sizeof out);
	return run(g, state, scratch, in, out);
}

static void test_selftest(void **unused)
{
	char err[300] = "";
	Module *m = parse_planned(model);
	EmitInfo info = { .weight_size = 123 };
	for (int i = -1; i < 2; i++) {
		const char *kind = i < 0 ? 0 : other_kinds[i];
		uint32_t check = 0;
		if (kind && !exec_available(kind))
			continue;
		assert_true(exec_check(m, kind, 0, &check, &info.check_steps, err, sizeof err));
		assert_true(i < 0 || check == info.check);
		info.check = check;
	}
	assert_true(info.check_steps > 1);      /* the model has no step */
	void *library;
	const gf_model *g = load(m, &info, &library);
	assert_int_equal(selftest(library, g), GF_OK);
	char test_in[60], *h = emitted(m, &info, emit_header);
	snprintf(test_in, sizeof test_in, "#define KWS_1_TEST_IN %u\n", gf_io_size(g, 0, g->check_steps));
	assert_non_null(strstr(h, test_in));
	assert_string_equal(g->in[0].name, "mel/x:0");
	assert_string_equal(g->out[0].name, "*/ \"y\\");
	assert_true(g->in[1].elem == GF_U8 && g->in[1].bits == 4);
	assert_true(g->in[1].zero == 3 && g->in[1].scale == 0x1.9p-3f);
	assert_int_equal(g->in[0].dim[1], -1);
	assert_int_equal(g->weight_size, 123);
	assert_null(g->step);
	free(h);
	gf_model other = *g;
	other.check ^= 1;
	assert_int_equal(selftest(library, &other), GF_CHECK);
	other.abi++;
	assert_int_equal(selftest(library, &other), GF_ABI_MISMATCH);
	uint8_t state[16];
	assert_int_equal(g->use(state, 0), GF_OK);
	assert_int_equal(g->use(state, 1), GF_BODY);
	dlclose(library);
	module_free(m);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_no_warnings),
		cmocka_unit_test(test_deterministic),
		cmocka_unit_test(test_selftest),
	};
	if (!mkdtemp(folder))
		return 1;
	int failed = cmocka_run_group_tests(tests, 0, 0);
	char command[100];
	snprintf(command, sizeof command, "rm -r %s", folder);
	return system(command) ? 1 : failed;
}

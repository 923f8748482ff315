/* exec.c: hand-written loop level modules give known numbers in every executor, and the interpreter stops
 * at each access that is out of bounds. */
#include "executors.h"

#include <stdio.h>

#include "gatefold.h"

#define HEAD(state, scratch) "module \"t\" level=loop " state scratch "planned bodies=[portable]\n"
#define RESET(size) \
	"func @reset(%state &u8[" #size "]) {\n" \
	"	for %i < " #size " {\n		store %state[%i], 0\n	}\n" \
	"}\n"

/* ---- a layer and a state -------------------------------------------------------------------- */

static const char layer[] =
	HEAD("state=16 ", "scratch=64 ")
	"input \"x\" i8[4]\n"
	"output \"y\" i16[3]\n"
	"data $W i8[3,4] = [1, 2, 3, 4, -1, -2, -3, -4, 127, -128, 127, -128]\n"
	"data $b i32[3] = [100, -2147483648, 7]\n"
	"func @linear(%x &i8[4], %y &i32[3]) {\n"
	"	for %i < 3 {\n"
	"		%b0 =w load $b[%i]\n"
	"		%acc =w for %k < 4 carry %s = %b0 {\n"
	"			%w =w load $W[%i, %k]\n"
	"			%v =w load %x[%k]\n"
	"			%p =w mulh %w, %v\n"
	"			%s1 =w addw %s, %p\n"
	"			yield %s1\n"
	"		}\n"
	"		store %y[%i], %acc\n"
	"	}\n"
	"}\n"
	RESET(16)
	"func @step_portable(%state &u8[16], %scratch &u8[64], %x &i8[4], %y &i16[3]) w {\n"
	"	%acc =&i32[3] view %scratch[16]\n"
	"	call @linear, %x, %acc\n"
	"	%n =&i32[1] view %state[4]\n"
	"	%c =w load %n[0]\n"
	"	%c1 =w addw %c, 1000\n"
	"	store %n[0], %c1\n"
	"	for %i < 3 {\n"
	"		%a =w load %acc[%i]\n"
	"		%r =w sarw %a, 1\n"
	"		%s =w addw %r, %c\n"
	"		store %y[%i], %s\n"
	"	}\n"
	"	ret 0\n"
	"}\n"
	"func @run_portable(%state &u8[16], %scratch &u8[64], %x &i8[4], %y &i16[3], %T w) w {\n"
	"	%st =w for %t < %T carry %s = 0 {\n"
	"		%r =w call @step_portable, %state, %scratch, %x, %y\n"
	"		%z =w orw %s, %r\n"
	"		yield %z\n"
	"	}\n"
	"	ret %st\n"
	"}\n";

static void test_layer(void **unused)
{
	Module *m = parse_planned(layer);
	const int8_t x[4] = { 1, -1, 2, -2 };
	const void *in[] = { x };
	Outcome o = run_everywhere(m, in, 3);          /* 3 steps, and 3 by run: the last adds 5000 */
	const int16_t *y = o.out[0];
	assert_int_equal(y[0], (100 - 3) / 2 + 5000);
	assert_int_equal(y[1], (int16_t)((INT32_MIN + 3) / 2 - 1 + 5000));
	assert_int_equal(y[2], (7 + 127 + 128 + 254 + 256) / 2 + 5000);
	free_outcome(&o);
	module_free(m);
}

/* ---- loops ---------------------------------------------------------------------------------- */

static const char loops[] =
	HEAD("", "scratch=16 scratch_step=8 ")
	"input \"x\" i32[T,2]\n"
	"output \"y\" i32[T,2]\n"
	"output \"z\" i32[6]\n"
	RESET(0)
	"func @sum(%x &i32[T,2], %at w, %T w) w {\n"
	"	%r =w for %t < %T carry %s = 0 {\n"
	"		%v =w load %x[%t, %at]\n"
	"		%s1 =w addw %s, %v\n"
	"		yield %s1\n"
	"	}\n"
	"	ret %r\n"
	"}\n"
	"func @run_portable(%state &u8[0], %scratch &u8[16], %scratch_t &u8[T,8], %x &i32[T,2], %y &i32[T,2], "
	"%z &i32[6], %T w) w {\n"
	"	%h =&i32[T,2] view %scratch_t[0, 0]\n"
	"	for %t < %T {\n"
	"		%a =w load %x[%t, 0]\n"
	"		%b =w load %x[%t, 1]\n"
	"		store %h[%t, 1], %a\n"
	"		store %h[%t, 0], %b\n"
	"	}\n"
	"	%last =w subw %T, 1\n"
	"	for %t2 < %T {\n"
	"		%from =w subw %last, %t2\n"
	"		%row =&i32[2] view %h[%from, 0]\n"
	"		%c =w load %row[0]\n"
	"		%d =w load %row[1]\n"
	"		store %y[%t2, 0], %c\n"
	"		store %y[%t2, 1], %d\n"
	"	}\n"
	"	%p, %q, %same =w, w, w for %i < 5 carry %u = 1, %v = 2, %keep = 9 {\n"       /* a swap, a rotation */
	"		yield %v, %u, %keep\n"
	"	}\n"
	"	store %z[0], %p\n"
	"	store %z[1], %q\n"
	"	%none =w for %j < -3 carry %e = %same {\n"
	"		yield 77\n"
	"	}\n"
	"	store %z[2], %none\n"
	"	%fib, %dead =w, w for %k < 10 carry %f = 0, %g = 1 {\n"
	"		%fg =w addw %f, %g\n"
	"		yield %g, %fg\n"
	"	}\n"
	"	store %z[3], %fib\n"
	"	%s0 =w call @sum, %x, 0, %T\n"
	"	%s1 =w call @sum, %x, 1, %T\n"
	"	store %z[4], %s0\n"
	"	store %z[5], %s1\n"
	"	ret 1\n"
	"}\n";

static void test_loops(void **unused)
{
	Module *m = parse_planned(loops);
	int32_t x[10] = { 1, 2, 3, 4, 5, 6, 7, 8, 9, INT32_MIN };
	const void *in[] = { x };
	Outcome o = run_everywhere(m, in, 5);
	const int32_t want_y[10] = { INT32_MIN, 9, 8, 7, 6, 5, 4, 3, 2, 1 };
	const int32_t want_z[6] = { 2, 1, 9, 55, 25, INT32_MIN + 20 };
	assert_memory_equal(o.out[0], want_y, sizeof want_y);
	assert_memory_equal(o.out[1], want_z, sizeof want_z);
	assert_int_equal(o.status, GF_RANGE);
	free_outcome(&o);
	module_free(m);
}

/* ---- vectors -------------------------------------------------------------------------------- */

static const char vectors[] =
	HEAD("", "")
	"input \"x\" i8[64]\n"
	"output \"y\" i32[32]\n"
	"output \"f\" f32[4]\n"
	"data $table f32[5] = [0x1p-1, 0x1p+0, -inf, 0x1.8p+1, nan]\n"
	"data $big i32[4] = [2147483647, -2147483648, 0, 1]\n"
	"data $perm i32[4] = [3, 0, 2, 1]\n"
	RESET(0)
	"func @run_portable(%state &u8[0], %scratch &u8[0], %x &i8[64], %y &i32[32], %f &f32[4], %T w) w {\n"
	"	%a =b16 load %x[0]\n"
	"	%b =b16 load %x[16]\n"
	"	%ones =w4 load $big[0]\n"
	"	%d =w4 dp4 %ones, %a, %b\n"
	"	store %y[0], %d\n"
	"	%m =h8 madub %a, %b\n"
	"	%b8 =b8 load %x[40]\n"
	"	%one =h8 exth %b8\n"
	"	%mw =w4 madw %m, %one\n"
	"	store %y[4], %mw\n"
	"	%wide =w8 load %x[3]\n"                        /* unaligned, widened */
	"	%five =w8 addw %wide, 5\n"
	"	%low =w4 loww %five\n"
	"	store %y[8], %low\n"
	"	%perm =w4 load $perm[0]\n"
	"	%g =w4 load %x[%perm]\n"
	"	store %y[12], %g\n"
	"	%base =w4 addw %perm, 16\n"
	"	store %y[%base], %g\n"                         /* scatter */
	"	%sum =w4 for %i < 3 carry %s = 7 {\n"
	"		%s1 =w4 addw %s, %g\n"
	"		yield %s1\n"
	"	}\n"
	"	store %y[20], %sum\n"
	"	%neg =w4 ltw %g, 0\n"
	"	%pick =w4 selw %neg, -1, %g\n"
	"	store %y[24], %pick\n"
	"	%two =w8 load %y[0]\n"
	"	%hi =w4 highw %two\n"
	"	%by =b16 asb %hi\n"
	"	%sh =b16 shrb %by, 1\n"
	"	%back =w4 dp4 %g, %sh, %sh\n"
	"	store %y[28], %back\n"
	"	%t =s4 load $table[1]\n"
	"	%i4 =s4 load $table[%perm]\n"
	"	%fs =s4 maxs %i4, %t\n"
	"	store %f[0], %fs\n"
	"	ret 0\n"
	"}\n";

static void test_vectors(void **unused)
{
	Module *m = parse_planned(vectors);
	int8_t x[64];
	for (int i = 0; i < 64; i++)
		x[i] = (int8_t)(i * 37 - 100);
	const void *in[] = { x };
	Outcome o = run_everywhere(m, in, 1);
	const int32_t *y = o.out[0];
	const float *f = o.out[1];
	const int32_t perm[4] = { 3, 0, 2, 1 }, big[4] = { INT32_MAX, INT32_MIN, 0, 1 };
	for (int j = 0; j < 4; j++) {
		uint32_t dot = (uint32_t)big[j];
		for (int k = 4 * j; k < 4 * j + 4; k++)
			dot += (uint32_t)((uint8_t)x[k] * x[16 + k]);
		assert_int_equal(y[j], (int32_t)dot);
		assert_int_equal(y[8 + j], x[3 + j] + 5);
		assert_int_equal(y[12 + j], x[perm[j]]);
		assert_int_equal(y[16 + perm[j]], x[perm[j]]);
		assert_int_equal(y[20 + j], 7 + 3 * x[perm[j]]);
		assert_int_equal(y[24 + j], x[perm[j]] < 0 ? -1 : x[perm[j]]);
	}
	assert_true(f[0] == 3.0f && f[1] == 0.5f && f[2] == 3.0f && f[3] != f[3]);
	free_outcome(&o);
	module_free(m);
}

/* ---- names that mean something in C --------------------------------------------------------- */

static const char names[] =
	HEAD("state=4 ", "")
	"input \"int\" i32[1]\n"
	"output \"a \\\"b\\\" ?" "?/ */ \\\\\" i32[1]\n"
	"data $exp i32[1] = 1\n"
	"data $api_run i32[1] = 2\n"
	RESET(4)
	"func @exp(%op_addw w, %mem_linux w) w {\n"
	"	%int32_t =w addw %op_addw, %mem_linux\n"
	"	%k_exp =w mulw %int32_t, 3\n"
	"	ret %k_exp\n"
	"}\n"
	"func @api_run(%INT32_MIN w, %GF_OK w) w {\n"
	"	%d_exp =w load $exp[0]\n"
	"	%op_addw_ =w load $api_run[0]\n"
	"	%op_addw =w addw %d_exp, %op_addw_\n"
	"	%mem_i32 =w subw %INT32_MIN, %op_addw\n"
	"	%lane =w addw %mem_i32, %GF_OK\n"
	"	%x_next, %x =w, w for %T_STATE < 3 carry %y = 1, %y_next = %lane {\n"
	"		yield %y_next, %y\n"
	"	}\n"
	"	%w8_t =w subw %x_next, %x\n"
	"	ret %w8_t\n"
	"}\n"
	"func @run_portable(%state &u8[4], %scratch &u8[0], %body &i32[1], %steps &i32[1], %T w) w {\n"
	"	%in =w load %body[0]\n"
	"	%out =w call @exp, %in, 5\n"
	"	%v =w call @api_run, %out, -7\n"
	"	store %steps[0], %v\n"
	"	ret 0\n"
	"}\n";

static void test_names(void **unused)
{
	Module *m = parse_planned(names);
	const int32_t x[1] = { 10 };
	const void *in[] = { x };
	Outcome o = run_everywhere(m, in, 1);
	assert_int_equal(*(int32_t *)o.out[0], (10 + 5) * 3 - 3 - 7 - 1);
	free_outcome(&o);
	module_free(m);
}

/* ---- what must stop ------------------------------------------------------------------------- */

/* Runs `body`, with %i = 10 an index that the verifier cannot judge; the message must hold `want`. */
static void stops(const char *types, const char *body, const char *want)
{
	char text[4000], err[1000] = "";
	snprintf(text, sizeof text,
	         "module \"t\" level=loop\n"
	         "data $W i16[4,4] = 5\n"
	         "%s"
	         "func @f(%%x &i8[4,4], %%y &i32[8], %%u &u8[64], %%i w, %%T w) {\n%s}\n", types, body);
	Module *m = module_parse("stop.ir", text, strlen(text), err, sizeof err);
	if (!m || !module_verify(m, err, sizeof err))
		fail_msg("%s", err);
	int8_t x[16] = { 0 };
	int32_t y[8] = { 0 };
	_Alignas(16) uint8_t u[64] = { 0 };
	ExecArg arg[] = { { .p = x, .size = sizeof x }, { .p = y, .size = sizeof y }, { .p = u, .size = sizeof u },
	                  { .i = 10 }, { .i = 3 } };
	bool ok = interp_call(m, "f", arg, 5, 0, err, sizeof err);
	if (want ? ok : !ok)
		fail_msg("%s: %s", body, ok ? "did not stop" : err);
	if (want && !strstr(err, want))
		fail_msg("%s: '%s' has not '%s'", body, err, want);
	module_free(m);
}

static void test_bounds(void **unused)
{
	static const char two[] =
		"func @g(%a &i32[4], %b &i32[4]) {\n	%v =w load %a[0]\n	store %b[0], %v\n}\n"
		"func @r(%a &i32[4], %b &i32[4]) {\n	%v =w load %a[0]\n	%w =w load %b[0]\n}\n"
		"func @t(%a &i32[T], %T w) {\n	store %a[0], 1\n}\n";
	stops("", "	%v =w load %x[%i, 0]\n", "load of x: index 0 is 10, the dimension is 4");
	stops("", "	%m =w subw %i, 11\n	%v =w load %x[0, %m]\n", "index 1 is -1");
	stops("", "	%j =w subw %i, 6\n	%v =w load %x[1, %j]\n", "index 1 is 4");      /* inside the object */
	stops("", "	%j =w subw %i, 5\n	%v =w4 load %y[%j]\n", "lane 3");
	stops("", "	%j =w subw %i, 6\n	%v =w4 load %y[%j]\n", 0);
	stops("", "	%j =w4 addw %i, -4\n	%v =w4 load %y[%j]\n", 0);
	stops("", "	%j =w4 addw %i, -2\n	%v =w4 load %y[%j]\n", "index 0 is 8");
	stops("", "	store %y[%i], 1\n", "store of y");
	stops("", "	%z =&i16[4] view $W[%i, 0]\n", "view of W: 8 bytes at byte 80 of 32");
	stops("", "	%m =w subw %i, 11\n	%z =&i16[1] view $W[%m, 0]\n", "at byte -8");
	stops("", "	%z =&i32[2] view %u[%i]\n", "not aligned");
	stops("", "	%z =&u8[T,18] view %u[%i]\n", 0);
	stops("", "	%z =&u8[T,19] view %u[%i]\n", "57 bytes at byte 10 of 64");
	stops("", "	%h =w mulw %i, 214748364\n	%z =&i16[1] view $W[%h, %h]\n", "view of W");
	stops(two, "	%a =&i32[4] view %y[0]\n	%b =&i32[4] view %y[4]\n	call @g, %a, %b\n", 0);
	stops(two, "	%a =&i32[4] view %y[0]\n	%b =&i32[4] view %y[3]\n	call @g, %a, %b\n", "overlap");
	stops(two, "	%a =&i32[4] view %y[0]\n	%b =&i32[4] view %y[3]\n	call @r, %a, %b\n", 0);
	stops(two, "	%t =&i32[T] alloc\n	call @t, %t, %T\n", 0);
	stops("", "	%t =&i32[T,2] alloc\n	store %t[2, 1], 5\n	%v =w load %t[2, 1]\n	store %y[0], %v\n", 0);
	stops("", "	%t =&i32[T,2] alloc\n	%j =w subw %i, 7\n	store %t[%j, 1], 5\n", "index 0 is 3");
}

static void test_refusals(void **unused)
{
	char err[300] = "";
	Module *m = parse_planned(layer);
	assert_null(exec_open(m, "fortran", 0, err, sizeof err));
	assert_non_null(strstr(err, "fortran"));
	assert_null(exec_open(m, "interp", "avx9", err, sizeof err));
	assert_non_null(strstr(err, "avx9"));
	assert_null(exec_open(m, "c", "avx9", err, sizeof err));
	Exec *e = exec_open(m, "interp", 0, err, sizeof err);
	const void *in[1] = { 0 };
	void *out[1] = { 0 };
	assert_int_equal(exec_run(e, in, out, 0), GF_STEPS);
	assert_int_equal(exec_run(e, in, out, -5), GF_STEPS);
	assert_string_equal(exec_body(e), "portable");
	exec_close(e);
	m->planned = false;
	assert_null(exec_open(m, "interp", 0, err, sizeof err));
	module_free(m);
	setenv("CC", "/nonexistent/cc", 1);
	m = parse_planned(layer);
	assert_null(exec_open(m, "c", 0, err, sizeof err));
	assert_non_null(strstr(err, "C compiler"));
	unsetenv("CC");
	module_free(m);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_layer),    cmocka_unit_test(test_loops),  cmocka_unit_test(test_vectors),
		cmocka_unit_test(test_names),    cmocka_unit_test(test_bounds), cmocka_unit_test(test_refusals),
	};
	return cmocka_run_group_tests(tests, 0, 0);
}

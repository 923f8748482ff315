/* ir.c: the IR's text form comes back as it went, and what is wrong in it is told with its place. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "ir/ir.h"

static const char tensor_text[] =
	"module \"kws\" level=tensor\n"
	"input \"features \\xc3\\xa9\" f32[1,T,16]\n"
	"output \"logits\" f32[1,32]\n"
	"type :W = i4 * $W_s\n"
	"type :x = (i8 - 3) * 0x1.9p-6\n"
	"type :R = $book[u4] * $R_s\n"
	"type :h = i8 * 0x1p-7\n"
	"data $W :W[2,3] = [1, -8, 3, 4, 5, 7]\n"
	"data $W_s f32[2] = [0x1p+0, 0x1.8p-3]\n"
	"data $Rq :R[1,16] = 0\n"
	"data $R_s f32[1] = 0x1.8p+0\n"
	"data $book f32[16] = 0x0p+0\n"
	"data $odd f32[4] = [nan, -inf, inf, -0x0p+0]\n"
	"data $none i64[0] = []\n"
	"data $big i64[2] = [-9223372036854775808, 9223372036854775807]\n"
	"data $u u32[2] = [0, 4294967295]\n"
	"data $Wl f32[1,128,16] = 0x1p-4\n"
	"data $Rl f32[1,128,32] = -0x1p-4\n"
	"data $c0 f32[1,32] = 0x1p-1\n"
	"data $x_steps f32[16] = 0x1p-3\n"
	"data $x_l f32[2] = [-0x1p-1, 0x0p+0]\n"
	"\n"
	"func @main(%x f32[1,T,16] range=[-0x1p+0, 0x1p+0 clip 0x1p-1 steps $x_steps levels $x_l]) f32[1,32] {\n"
	"\t%t =f32[T,1,16] transpose %x, perm=[1, 0, 2]\n"
	"\t%y, %hn, %cn =f32[T,1,1,32], f32[1,1,32], f32[1,1,32] lstm %t, $Wl, $Rl, none, none, hidden=32, "
	"activations=[\"Sigmoid\", \"Tanh\", \"a\\\"b\\\\\"], clip=0x1p+1 range=[none, -0x1p+0, 0x1p+1, none] node=\"rnn/lstm 1\"\n"
	"\t%h =f32[1,32] reshape %hn\n"
	"\t%all, %last =f32[T,1,32], f32[1,32] scan @step, %y, %h, seq=1, init=1, axis=[0], keep=[\"all\"]\n"
	"\t%z =f32[1,32] call @twice, %last\n"
	"\t%o =f32[1,1,32] slice %all, axis=0, at=-1\n"
	"\t%p =f32[1,32] reshape %o\n"
	"\t%s =f32[1,32] clip %p, lo=-inf, hi=0x1.8p+2\n"
	"\t%r =f32[1,32] add %z, %s\n"
	"\tret %r\n"
	"}\n"
	"\n"
	"func @step(%x f32[1,1,32]) state(%h f32[1,32] = 0, %c f32[1,32] = $c0 range=[0x0p+0, inf]) f32[1,32] {\n"
	"\t%x1 =f32[1,32] reshape %x\n"
	"\t%h1 =f32[1,32] mul %x1, %h\n"
	"\t%c1 =f32[1,32] tanh %c\n"
	"\tnext %h = %h1, %c = %c1\n"
	"\tret %h1\n"
	"}\n"
	"\n"
	"func @twice(%x f32[1,32]) f32[1,32] {\n"
	"\t%y =f32[1,32] affine %x, alpha=0x1p+1\n"
	"\tret %y\n"
	"}\n";

static const char loop_text[] =
	"module \"kws\" level=loop state=64 scratch=128 scratch_step=16 planned bodies=[portable, avx2]\n"
	"input \"x\" i8[T,16]\n"
	"output \"y\" i16[T,128]\n"
	"slot \"step.h\" i16[1,16] at 16\n"
	"data $W i8[128,16] = 1\n"
	"data $b_0 i32[128] = -5\n"
	"data $f f32[4] = [0x1p+0, 0x1p+1, 0x1.8p+1, 0x1p+2]\n"
	"\n"
	"func @linear_0(%x &i8[16], %y &i16[128]) isa=\"avx2\" {\n"
	"\tfor %i < 128 {\n"
	"\t\t%b0 =w load $b_0[%i]\n"
	"\t\t%acc =w for %k < 16 carry %s = %b0 {\n"
	"\t\t\t%wv =w load $W[%i, %k]\n"
	"\t\t\t%xv =w load %x[%k]\n"
	"\t\t\t%t =w mulh %wv, %xv\n"
	"\t\t\t%s1 =w addw %s, %t\n"
	"\t\t\tyield %s1\n"
	"\t\t}\n"
	"\t\tstore %y[%i], %acc\n"
	"\t}\n"
	"\t%p, %q =w8, s for %n < 4 carry %a = 0, %e = -0x1p+0, unroll=2 {\n"
	"\t\t%m =w8 addw %a, -1\n"
	"\t\t%g =s load $f[%n]\n"
	"\t\tyield %m, %g\n"
	"\t}\n"
	"\t%v =b16 load %x[0]\n"
	"\t%long =&i64[2,3] alloc\n"
	"\tstore %long[1, 2], 9223372036854775807\n"
	"\t%wide =&i32[2,8] alloc\n"
	"\tstore %wide[1, 0], %p\n"
	"\t%d =w4 orw 0, 0\n"
	"\t%u =w4 dp4 %d, %v, %v\n"
	"}\n";

/* ---- helpers ---------------------------------------------------------------------------------------- */

static Module *parse(const char *text, char *err)
{
	return module_parse("t.ir", text, strlen(text), err, 400);
}

static Module *parse_ok(const char *text)
{
	char err[400] = "";
	Module *m = parse(text, err);
	if (!m)
		fail_msg("%s", err);
	return m;
}

static char *printed(const Module *m)
{
	char *s;
	size_t n;
	FILE *f = open_memstream(&s, &n);
	module_print(m, f, 0, 0);
	fclose(f);
	return s;
}

static void check_round_trip(const char *text, bool legal)
{
	char err[400] = "";
	Module *m = parse_ok(text), *c = module_clone(m);
	char *again = printed(m);
	assert_string_equal(again, text);
	Module *m2 = parse_ok(again);
	assert_true(module_equal(m, m2));
	assert_true(module_equal(m, c));
	if (legal && !module_verify(m, err, sizeof err))
		fail_msg("%s", err);
	if (legal && !module_verify(c, err, sizeof err))
		fail_msg("clone: %s", err);
	each_func(f, c)
		func_renumber(f);
	if (legal && !module_verify(c, err, sizeof err))
		fail_msg("renumbered: %s", err);
	module_free(m);
	module_free(m2);
	module_free(c);
	free(again);
}

/* ---- tests ------------------------------------------------------------------------------------------ */

static void round_trip_tensor(void **state)
{
	check_round_trip(tensor_text, true);
}

static void round_trip_loop(void **state)
{
	check_round_trip(loop_text, false);     /* planned, but without entry functions */
}

static void data_in_a_file(void **state)
{
	char name[] = "ir_test_XXXXXX";
	int fd = mkstemp(name);
	assert_true(fd >= 0);
	FILE *bin = fdopen(fd, "wb+");
	Module *m = parse_ok("data $a i16[4] = [1, 2, 3, 4]\n");
	Data *d = data_new(m, "big", type_tensor(m, E_f32, 1, (int32_t[]){ 100 }));
	Data *e = data_new(m, "big", type_tensor(m, 4, 1, (int32_t[]){ 300 }));
	for (int i = 0; i < 100; i++)
		((float *)d->bytes)[i] = (float)i / 7;
	for (int i = 0; i < 300; i++)
		((int8_t *)e->bytes)[i] = (int8_t)(i % 16 - 8);
	char *text;
	size_t n;
	FILE *f = open_memstream(&text, &n);
	module_print(m, f, bin, name);
	fclose(f);
	fclose(bin);
	assert_non_null(strstr(text, "data $big_2 i4[300] = file \""));
	Module *m2 = parse_ok(text);
	assert_true(module_equal(m, m2));
	char err[400], *cut = strstr(text, "i4[300]");
	memcpy(cut, "i4[999]", 7);
	assert_null(parse(text, err));
	assert_non_null(strstr(err, "ends before these data: 999 bytes at 400 wanted, the file has 700"));
	unlink(name);
	free(text);
	module_free(m);
	module_free(m2);
}

static void comments_and_forms(void **state)
{
	Module *m = parse_ok("# comment\nmodule \"m\" // another\n"
	                     "data $a f32[2,2] = [1, 0.5,  # over lines\n\t2e1, -1]\ndata $h i32[1] = 0x10\n"
	                     "func @f(%x f32[2],\n\t%y f32[2]) f32[2] { ret %x }\n");
	char *s = printed(m);
	assert_string_equal(s,
	                    "module \"m\" level=tensor\ndata $a f32[2,2] = [0x1p+0, 0x1p-1, 0x1.4p+4, -0x1p+0]\n"
	                    "data $h i32[1] = 16\n\nfunc @f(%x f32[2], %y f32[2]) f32[2] {\n\tret %x\n}\n");
	free(s);
	module_free(m);
}

static void parse_errors(void **state)
{
	static const struct { const char *text, *message; } bad[] = {
		{ "foo",
		 "t.ir:1:1: error: module, input, output, slot, type, data or func is missing here\nfoo\n^" },
		{ "func @f(%x f32[2]) f32[2] {\n\t%y =f32[2] add %x, %z\n}\n",
		  "t.ir:2:21: error: '%z' is not defined before\n\t%y =f32[2] add %x, %z\n\t                   ^" },
		{ "func @f() {\n\t%y =w load $q[0]\n}", "there is no data '$q'" },
		{ "func @f() {\n\tcall @g\n}", "there is no function '@g'" },
		{ "func @f() {\n\t%y =w frob 1\n}", "there is no op 'frob'" },
		{ "func @f() {\n\t%y =w addw 1, 2147483648\n}", "is not in -2147483648 .. 2147483647" },
		{ "func @f() {\n\t%y =f32[1] add 1, 2\n}", "a number cannot stand here" },
		{ "func @f() {\n\t%y =w addw 1, 2 3\n}", "the statement should end here" },
		{ "func @f() {\n\tfor %i < 3 {\n\t\t%a =w addw %i, 1\n\t}\n\t%b =w addw %a, 1\n}",
		  "'%a' is defined in a block that has ended" },
		{ "func @f() {\n\t%a =w addw 1, 1\n\t%a =w addw 1, 1\n}", "'a' is defined twice" },
		{ "func @f() {\n\t%a =w for %i < 3 {\n\t}\n}", "0 carries, but 1 results" },
		{ "func @f() {\n", "this block does not end" },
		{ "func @f() {}\nfunc @f() {}", "'f' is defined twice" },
		{ "func @f(%x :q[2]) {}", "there is no type ':q'" },
		{ "func @f(%x w3) {}", "'w3' is no type" },
		{ "func @f(%x w32) {}", "'w32' is no type" },
		{ "func @f(%x f32[1,2,3,4,5,6,7,8,9]) {}", "more than 8 dimensions" },
		{ "func @f(%x f32[99999,99999]) {}", "more than 2147483647 elements" },
		{ "func @f(%x f32[-1]) {}", "is not in 0 .. 2147483647" },
		{ "data $a i4[2] = [7, 8]", "is not in -8 .. 7" },
		{ "data $a i4[2] = [7]", "1 numbers, but the type wants 2" },
		{ "data $a i4[2] = [7, 7, 7]", "more than the 2 numbers" },
		{ "data $a i8[2000000000] = [7]", "the type wants 2000000000 numbers" },
		{ "data $a i8[2000000000] = 7", "limited to" },
		{ "data $a f32[T] = 0", "data have a tensor type of known size" },
		{ "data $a f32[1] = 1e99", "too large for f32" },
		{ "data $a f32[1] = 0x", "this is no number" },
		{ "data $a f32[1] = file \"no such file\" 0", "cannot open 'no such file'" },
		{ "type :a = i8 * 0", "a scale is a number greater than 0" },
		{ "type :a = f32 * 1", "an integer type" },
		{ "module \"a b\"", "C identifier" },
		{ "module \"a\" level=high", "a level is tensor or loop" },
		{ "input \"a\\q\" f32[1]", "can stand in a string" },
		{ "input \"a", "a string does not end" },
		{ "slot \"a\" w at 0", "a slot has a tensor type" },
		{ "data $ f32[1] = 0", "a name is missing" },
		{ "func @f(%x f32[1]) f32[1] {\n\t%y =f32[1] elu %x, alpha=1, alpha=2\n}", "given twice" },
		{ "func @f(%x f32[1]) f32[1] {\n\t%y =f32[1] elu %x, alpha=[1, \"a\"]\n}",
		 "values of one kind" },
		{ "data $a f32[1] = 0 0", "the line should end here" },
		{ "~", "this character has no meaning here" },
	};
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		char err[400] = "";
		Module *m = parse(bad[i].text, err);
		if (m || !strstr(err, bad[i].message) || strncmp(err, "t.ir:", 5))
			fail_msg("%s\n-> %s\nwanted: %s", bad[i].text, m ? "accepted" : err, bad[i].message);
	}
}

static void deep_nesting(void **state)
{
	enum { DEEP = 2000 };
	char *text = malloc(32 * DEEP), *p = text, err[400];
	p += sprintf(p, "func @f() {\n");
	for (int i = 0; i < DEEP; i++)
		p += sprintf(p, "for %%i%d < 2 {\n", i);
	assert_null(parse(text, err));
	assert_non_null(strstr(err, "nested deeper than 64"));
	free(text);
}

/* Bodies of functions of one level with a fault each. */
static void verify_errors(void **state)
{
#define F(params, ret, body) "func @f(" params ")" ret " {\n" body "}\n"
	static const struct { int loop; const char *text, *message; } bad[] = {
		{ 0, F("%x f32[2]", " f32[2]", "%y =f32[3] tanh %x\nret %y\n"),
		 "result 1 is f32[3], but should be f32[2]" },
		{ 0, F("%x f32[2]", " f32[2]", "%y =i32[2] tanh %x\nret %y\n"), "should be f32[2]" },
		{ 0, F("%x f32[2]", " f32[2]", "%y =f32[2] tanh %x, axis=1\nret %y\n"),
		 "has no attribute 'axis'" },
		{ 0, F("%x f32[2]", " f32[2]", "%y =f32[2] softmax %x, axis=0x1p+0\nret %y\n"),
		 "should be an integer" },
		{ 0, F("%x f32[2]", " f32[2]", "%y =f32[2] softmax %x, axis=1\nret %y\n"), "axis=1, but" },
		{ 0, F("%x f32[2]", " f32[2]", "%y =f32[2] tanh %x, %x\nret %y\n"),
		 "2 operands, but the op has 1 to 1" },
		{ 0, F("%x f32[2], %z f32[3]", " f32[2]", "%y =f32[2] add %x, %z\nret %y\n"),
		 "do not broadcast" },
		{ 0, F("%x f32[2], %z i32[2]", " f32[2]", "%y =f32[2] add %x, %z\nret %y\n"),
		 "one kind of element" },
		{ 0, F("%x f32[T]", " f32[2]", "%y =f32[2] reshape %x\nret %y\n"),
		 "differ in their number of elements" },
		{ 0, F("%x f32[4]", " f32[2]", "%y =f32[2] slice %x, at=3\nret %y\n"),
		 "outside of the operand" },
		{ 0, F("%x f32[2]", " f32[3]", "ret %x\n"),
		 "result 1 is f32[2], but the function's is f32[3]" },
		{ 0, F("%x f32[2]", " f32[2]", ""), "does not end with ret" },
		{ 0, F("%x f32[2]", " f32[2]", "ret %x\nret %x\n"), "not the last op" },
		{ 0, F("%x f32[2]", " f32[2]", "next %x = %x\nret %x\n"), "is no state of the function" },
		{ 0, F("%x w", "", ""), "which is not of this level" },
		{ 0, F("%x f32[2]", "", "%y =f32[2] call @f, %x\n"), "calls itself" },
		{ 0, F("%int f32[2]", "", ""), "'%int' is no C identifier" },
		{ 0, F("%x f32[2]", " f32[2]", "%y =f32[2] addw %x, %x\nret %y\n"),
		 "not an op of the tensor level" },
		{ 0, F("%x f32[2,3], %w f32[4,2]", "", "%y =f32[2,4] linear %x, %w\n"),
		 "differ in their last dimension" },
		{ 0, F("%x f32[2,3], %w f32[4,3], %b f32[3]", "", "%y =f32[2,4] linear %x, %w, %b\n"),
		 "bias [4]" },
		{ 0, F("%x f32[2,1,3], %w f32[1,8,3], %r f32[1,8,3]", "",
		       "%y =f32[2,1,1,2] lstm %x, %w, %r\n"),
		  "W is f32[1,8,3]; its shape should be that of f32[1,12,3]" },
		{ 0, F("%x f32[2]", "", "%y =f32[2] scan @g, %x\n") "func @g(%x f32[1]) f32[1] { ret %x }",
		 "seq=0" },
		{ 0, F("%x f32[2]", "",
		       "%y =f32[2] scan @g, %x, seq=1\n") "func @g(%x f32[2]) f32[2] { ret %x }",
		  "a step of @g takes f32[2]" },
		{ 0, "type :q = i8 * $s\ndata $s f32[3] = 1\n" F("%x :q[2]", "", ""), "one scale per index" },
		{ 0, "data $s i32[2] = 1\n" F("%x f32[2] range=[0, 1 steps $s]", "", ""), "steps stand behind a range" },
		{ 0, "data $l i8[2] = 1\n" F("%x f32[2] range=[0, 1 levels $l]", "", ""), "levels stand behind a range" },
		{ 0, "type :q = i8 * 1 of $l\ndata $l i8[2] = [1, 1]\n", "each greater than the one before" },
		{ 0, "type :q = i4 * 1 of $l\ndata $l i8[2] = [0, 1]\n", "of an i8 on one scale" },
		{ 0, "type :q = i8 * 1 of $l\ndata $l i8[2] = [0, 1]\ndata $d :q[2] = 1\n", "data have no levels" },
		{ 0, "type :q = i8 * 1 of $l\ndata $l i8[2] = [0, 1]\n" F("%x :q[2]", " :q[2]", "%y =:q[2] neg %x\nret %y\n"),
		 "only a cast rounds to" },
		{ 0, "type :q = $s[u4] * 1\ndata $s f32[3] = 1\n", "a code book is f32[2^bits]" },
		{ 1, F("%x w8", " w", "%y =w addw %x, 1\nret %y\n"), "operand 1 has 8 lanes, not 1" },
		{ 1, F("%x l", " w", "%y =w addw %x, 1\nret %y\n"), "operand 1 should be of class w" },
		{ 1, F("%x w8, %b b16", "", "%y =w8 dp4 %x, %b, %b\n"), "operand 2 has 16 lanes, not 32" },
		{ 1, F("%x w", "", "%y =w addw %x\n"), "1 operands and 1 results" },
		{ 1, F("%x &i8[4]", "", "%y =w load %x[0, 0]\n"),
		 "2 indices, but the reference has 1 dimensions" },
		{ 1, F("%x &i8[4]", "", "%y =w load %x[4]\n"), "index 1 is 4, outside of 0 .. 3" },
		{ 1, F("%x &i8[4]", "", "%y =l load %x[0]\n"), "memory of i8 does not go with a register l" },
		{ 1, F("%x &i8[4], %y l", "", "store %x[0], %y\n"),
		 "memory of i8 does not go with a register l" },
		{ 1, F("%x &i8[4,2]", "", "store %x[0], 5\n"),
		 "1 indices, but the reference has 2 dimensions" },
		{ 1, F("%x &i8[4,2]", "", "store %x[3, 2], 5\n"), "index 2 is 2, outside of 0 .. 1" },
		{ 1, F("%x &i16[64]", "", "%y =b8 load %x[0]\n"), "memory of i16 does not go" },
		{ 1, F("%x &i16[64], %i w4", "", "%y =w8 load %x[%i]\n"), "4 indices for 8 lanes" },
		{ 1, F("%x &i16[64]", "", "%y =&i32[4] view %x[0]\n"), "cannot be seen as i32" },
		{ 1, F("%x &i4[64]", "", ""), "memory does not hold i4" },
		{ 1, F("%x &i8[T]", "", ""), "the function's last parameter is not %T w" },
		{ 1, "data $d i8[4] = 0\n" F("", "", "store $d[0], 1\n"), "$d is constant" },
		{ 1, "data $d i8[4] = 0\n" F("", "", "%v =&i8[2] view $d[1]\nstore %v[0], 1\n"),
		 "$d is constant" },
		{ 1, "data $d i8[4] = 0\n" F("", "",
		                             "call @g, $d\n") "func @g(%x &i8[4]) {\n%v =&i8[2] view %x[1]\n"
		  "store %v[0], 1\n}\n", "@f: call: $d is constant, but is stored to" },
		{ 1, F("", "", "%a =w for %i < 3 carry %s = 0 {\n}\n"), "does not end with yield" },
		{ 1, "data $d i8[4] = 0\n" F("", "",
		                             "call @g, $d\n") "func @g(%x &i8[4]) {\n%v =&i8[2] view %x[1]\n"
		  "store %v[0], 1\n}\n", "@f: call: $d is constant, but is stored to" },
		{ 1, F("", "", "%a =w for %i < 3 carry %s = 0 {\nyield %i, %i\n}\n"),
		 "2 values for 1 carries" },
		{ 1, F("%x w4", "", "%a =w for %i < 3 carry %s = %x {\nyield %i\n}\n"),
		 "first value 1 is w4" },
		{ 1, F("%x &i8[4]", "", "call @g, %x\n") "func @g(%x &i8[5]) {}",
		 "argument 1 is &i8[4], but %x of @g is &i8[5]" },
		{ 1, F("%x &i8[4]", "", "call @g, %x, 3\n") "func @g(%x &i8[T], %T w) {}",
		 "argument 1 is &i8[4]" },
		{ 1, F("%x b", "", ""), "b and h stand in vectors only" },
		{ 1, F("%x w", "", "%y =f32[2] tanh %x\n"), "not an op of the loop level" },
	};
#undef F
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		char err[400] = "", text[1000];
		snprintf(text, sizeof text, "module \"m\" level=%s\n%s", bad[i].loop ? "loop" : "tensor",
		         bad[i].text);
		Module *m = parse(text, err);
		bool legal = m && module_verify(m, err, sizeof err);
		if (!m || legal || !strstr(err, bad[i].message))
			fail_msg("%s-> %s\nwanted: %s", text, legal ? "accepted" : err, bad[i].message);
		module_free(m);
	}
}

static void planned_module(void **state)
{
	static const char head[] = "module \"m\" level=loop state=4 scratch=16 planned bodies=[portable]\n"
	                           "input \"x\" i8[T,2]\noutput \"y\" i8[T,2]\n";
	static const char reset[] = "func @reset(%s &u8[4]) { store %s[0], 0 }\n";
	static const char step[] = "func @step_portable(%s &u8[4], %t &u8[16], %x &i8[1,2], %y &i8[1,2]) w { ret 0 }\n";
	static const char run[] =
		"func @run_portable(%s &u8[4], %t &u8[16], %x &i8[T,2], %y &i8[T,2], %T w) w {\n"
		"\t%r =w for %i < %T carry %q = 0 {\n"
		"\t\t%xi =&i8[1,2] view %x[%i, 0]\n\t\t%yi =&i8[1,2] view %y[%i, 0]\n"
		"\t\t%q1 =w call @step_portable, %s, %t, %xi, %yi\n\t\t%q2 =w orw %q, %q1\n\t\tyield %q2\n\t}\n\tret %r\n}\n";
	char text[2000], err[400] = "";
	snprintf(text, sizeof text, "%s%s%s%s", head, reset, step, run);
	Module *m = parse_ok(text);
	if (!module_verify(m, err, sizeof err))
		fail_msg("%s", err);
	module_free(m);
	snprintf(text, sizeof text, "%s%s%s", head, reset, step);
	m = parse_ok(text);
	assert_false(module_verify(m, err, sizeof err));
	assert_string_equal(err, "there is no @run_portable");
	module_free(m);
	snprintf(text, sizeof text, "%s%s%s%s", head, reset, run, step);
	memcpy(strstr(text, "&i8[1,2]) w"), "&i8[1,3]", 8);     /* the output of @step_portable */
	m = parse_ok(text);
	assert_false(module_verify(m, err, sizeof err));
	assert_string_equal(err,
	                    "@run_portable: %q1 = call: argument 4 is &i8[1,2], but %y of @step_portable is &i8[1,3]");
	module_free(m);
}

static void names(void **state)
{
	Module *m = module_new("3 kws/net");
	assert_string_equal(m->name, "v3_kws_net");
	Func *f = func_new(m, "main"), *g = func_new(m, "main");
	assert_string_equal(g->name, "main_2");
	const Type *t = type_tensor(m, E_f32, 1, (int32_t[]){ 4 });
	Val *x = func_param(m, f, "x", t);
	Val *y = op1(m, f, &f->body, O_tanh, t, "x", 1, x);
	Val *z = op1(m, f, &f->body, O_tanh, t, "x", 1, y);
	Val *w = op1(m, f, &f->body, O_tanh, t, "x_2", 1, y);
	Val *n = op1(m, f, &f->body, O_tanh, t, 0, 1, y), *n2 = op1(m, f, &f->body, O_tanh, t, 0, 1, y);
	Val *k = op1(m, f, &f->body, O_tanh, t, "while", 1, y);
	assert_string_equal(y->name, "x_2");
	assert_string_equal(z->name, "x_3");
	assert_string_equal(w->name, "x_4");
	assert_string_equal(n->name, "v1");
	assert_string_equal(n2->name, "v2");
	assert_string_equal(k->name, "while_");
	assert_string_equal(quant_new(m, "h", 8, 1)->name, "h");
	assert_string_equal(quant_new(m, "h", 8, 1)->name, "h_2");
	module_free(m);
}

static void editing(void **state)
{
	Module *m = parse_ok(tensor_text);
	Func *f = func_find(m, "twice");
	Val *x = f->param[0], *y = f->body.first->out[0];
	Val *z = op1(m, f, &f->body, O_neg, x->type, "z", 1, x);
	Op *neg = z->def;
	op_move_before(&f->body, neg, f->body.first);
	val_replace(f, y, z);
	op_remove(&f->body, y->def);
	func_renumber(f);
	attr_set_int(m, neg, "a", 5);
	attr_set_float(m, neg, "a", 0.5f);
	assert_true(attr_float(neg, "a", 0) == 0.5f && attr_int(neg, "a", 7) == 7 && !neg->attr->next);
	char *s;
	size_t n;
	FILE *out = open_memstream(&s, &n);
	func_print(f, out);
	fclose(out);
	assert_string_equal(s,
	                    "func @twice(%x f32[1,32]) f32[1,32] {\n\t%z =f32[1,32] neg %x, a=0x1p-1\n\tret %z\n}\n");
	assert_int_equal(f->nval, 2);
	free(s);
	module_free(m);
}

static void elements(void **state)
{
	Elem e;
	for (int bits = 1; bits <= 64; bits++) {
		assert_true(elem_parse(elem_name((Elem)bits), &e) && e == bits);
		assert_true(bits > 32 || (elem_parse(elem_name((Elem)(64 + bits)), &e) && e == 64 + bits));
	}
	assert_false(elem_parse("i65", &e) || elem_parse("u33", &e) || elem_parse("i08", &e) ||
	             elem_parse("f64", &e));
	assert_true(elem_stored(4) == E_i8 && elem_stored(64 + 4) == E_u8 && elem_stored(12) == E_i16);
	assert_true(elem_stored(64 + 16) == E_i32 && elem_stored(33) == E_i64 && elem_stored(E_f32) == E_f32);
	assert_true(elem_min(64) == INT64_MIN && elem_max(64) == INT64_MAX &&
	            elem_max(64 + 32) == UINT32_MAX);
	int k;
	assert_true(is_pow2(0x1p-149f, &k) && k == -149 && is_pow2(1, &k) && k == 0 && !is_pow2(0.75f, &k));
	assert_false(is_pow2(0, &k) || is_pow2(-2, &k) || is_pow2(1.0f / 0.0f, &k));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(round_trip_tensor), cmocka_unit_test(round_trip_loop), cmocka_unit_test(data_in_a_file),
		cmocka_unit_test(comments_and_forms), cmocka_unit_test(parse_errors), cmocka_unit_test(deep_nesting),
		cmocka_unit_test(verify_errors), cmocka_unit_test(planned_module), cmocka_unit_test(names),
		cmocka_unit_test(editing), cmocka_unit_test(elements),
	};
	return cmocka_run_group_tests(tests, 0, 0);
}

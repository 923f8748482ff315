/* dataset.c: the forms of a data set, told apart by shapes; what is refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "data/dataset.h"
#include "data/states.h"
#include "util/mem.h"
#include "util/npz.h"

static char path[] = "/tmp/dataset_test_XXXXXX.npz";

static const char text_model[] = "module \"m\" level=tensor\ninput \"x\" f32[1,T,2]\noutput \"y\" f32[1,2]\n";
static const char stream_model[] =
	"module \"m\" level=tensor\ninput \"tokens\" i32[T,1]\ninput \"h0\" f32[1,1,3]\n"
	"output \"y\" f32[T,1,3]\noutput \"hn\" f32[1,1,3]\n";
static const char step_model[] =
	"module \"m\" level=tensor\ninput \"x\" f32[1,2]\ninput \"rate\" i32[]\ninput \"state_in\" f32[1,3]\n"
	"output \"y\" f32[1,2]\noutput \"state_out\" f32[1,3]\n";

static Module *model(const char *text)
{
	char err[512] = "";
	Module *m = module_parse("m.ir", text, strlen(text), err, sizeof err);
	if (!m)
		fail_msg("%s", err);
	return m;
}

/* Elements 0, 1, 2, ... */
static Tensor *counting(const char *name, HostType type, int rank, const int64_t *dim)
{
	Tensor *t = tensor_new(type, rank, dim);
	t->name = text_copy(name);
	for (int64_t i = 0; i < t->count; i++)
		tensor_set(t, i, (double)i);
	return t;
}
#define ARRAY(name, type, ...) \
	counting(name, type, sizeof((int64_t[]){__VA_ARGS__}) / sizeof(int64_t), (int64_t[]){__VA_ARGS__})

static Dataset *open_with(const Module *m, int32_t chunk, Diag *d, int n, ...)
{
	Tensor *t[8];
	va_list ap;
	va_start(ap, n);
	for (int i = 0; i < n; i++)
		t[i] = va_arg(ap, Tensor *);
	va_end(ap);
	FILE *f = fopen(path, "wb");
	assert_true(npz_write(f, t, n, path, d));
	fclose(f);
	for (int i = 0; i < n; i++)
		tensor_free(t[i]);
	Options opt = {0};
	return dataset_open(path, m, &opt, chunk, d);
}

static void batch(void **state)
{
	(void)state;
	Module *m = model(text_model);
	Diag *d = diag_new();
	Dataset *s = open_with(m, 0, d, 2, ARRAY("x", H_F64, 3, 4, 2), ARRAY("labels", H_I64, 3));
	assert_non_null(s);
	assert_int_equal(dataset_sequences(s), 3);
	assert_int_equal(dataset_steps(s), 12);
	Sample a;
	for (int i = 0; i < 3; i++) {
		assert_true(dataset_next(s, &a));
		assert_int_equal(a.steps, 4);
		assert_true(a.fresh && a.last);
		assert_int_equal(a.in[0]->rank, 3);
		assert_int_equal(a.in[0]->dim[0], 1);
		assert_int_equal((int)tensor_get(a.in[0], 0), 8 * i);
		assert_int_equal(a.nlabel, 1);
		assert_int_equal(a.label[0], i);
	}
	assert_false(dataset_next(s, &a));
	dataset_close(s);
	diag_free(d);
	module_free(m);
}

static void stream_in_chunks(void **state)
{
	(void)state;
	Module *m = model(stream_model);
	Diag *d = diag_new();
	Dataset *s = open_with(m, 4, d, 2, ARRAY("tokens", H_U16, 10, 1), ARRAY("labels", H_I32, 10));
	assert_non_null(s);
	assert_int_equal(dataset_sequences(s), 1);
	Sample a;
	for (int round = 0; round < 2; round++) {
		for (int at = 0, n; at < 10; at += n) {
			assert_true(dataset_next(s, &a));
			n = at < 8 ? 4 : 2;
			assert_int_equal(a.steps, n);
			assert_int_equal(a.fresh, at == 0);
			assert_int_equal(a.last, at == 8);
			assert_null(a.in[1]);
			assert_int_equal(a.in[0]->type, H_I32);
			assert_int_equal(tensor_get_int(a.in[0], 0), at);
			assert_int_equal(a.nlabel, n);
			assert_int_equal(a.label[0], at);
		}
		assert_false(dataset_next(s, &a));
		dataset_rewind(s);
	}
	dataset_close(s);
	diag_free(d);
	module_free(m);
}

static void ragged(void **state)
{
	(void)state;
	Module *m = model(text_model);
	Diag *d = diag_new();
	Tensor *lengths = ARRAY("lengths", H_I32, 3);           /* 1, 2, 3 */
	for (int i = 0; i < 3; i++)
		tensor_set(lengths, i, i + 1);
	Dataset *s = open_with(m, 2, d, 3, ARRAY("x", H_F32, 6, 2), lengths, ARRAY("labels", H_I8, 3));
	assert_non_null(s);
	static const struct { int steps, first; bool fresh, last; } want[] = {
		{1, 0, true, true}, {2, 1, true, true}, {2, 3, true, false}, {1, 5, false, true},
	};
	Sample a;
	for (int i = 0; i < 4; i++) {
		assert_true(dataset_next(s, &a));
		assert_int_equal(a.steps, want[i].steps);
		assert_int_equal((int)tensor_get(a.in[0], 0), 2 * want[i].first);
		assert_int_equal(a.fresh, want[i].fresh);
		assert_int_equal(a.last, want[i].last);
		assert_int_equal(a.nlabel, want[i].last);       /* the label comes with the end */
	}
	assert_false(dataset_next(s, &a));
	dataset_close(s);
	diag_free(d);
	module_free(m);
}

/* A model of one step with its state outside: the samples are the steps of one sequence; a scalar is for all. */
static void steps_of_one(void **state)
{
	(void)state;
	Module *m = model(step_model);
	Diag *d = diag_new();
	Tensor *rate = tensor_new(H_I64, 0, 0);
	rate->name = text_copy("rate");
	tensor_set_int(rate, 0, 16000);
	Dataset *s = open_with(m, 0, d, 2, ARRAY("x", H_F32, 5, 2), rate);
	assert_non_null(s);
	assert_int_equal(dataset_sequences(s), 1);
	Sample a;
	for (int i = 0; i < 5; i++) {
		assert_true(dataset_next(s, &a));
		assert_int_equal(a.steps, 1);
		assert_int_equal(a.fresh, i == 0);
		assert_int_equal((int)tensor_get(a.in[0], 1), 2 * i + 1);
		assert_int_equal(tensor_get_int(a.in[1], 0), 16000);
		assert_null(a.in[2]);
	}
	assert_false(dataset_next(s, &a));
	dataset_close(s);
	diag_free(d);
	module_free(m);
}

static void refused(const Module *m, const char *why, int n, Tensor *a, Tensor *b)
{
	Diag *d = diag_new();
	char text[2048] = "";
	assert_null(open_with(m, 0, d, n, a, b));
	FILE *f = fmemopen(text, sizeof text - 1, "w");
	diag_print(d, f);
	fclose(f);
	if (!strstr(text, why))
		fail_msg("wanted '%s', got: %s", why, text);
	diag_free(d);
}

static void refusals(void **state)
{
	(void)state;
	Module *m = model(text_model), *t = model(stream_model);
	refused(m, "no array for input 'x'", 1, ARRAY("X", H_F32, 3, 4, 2), 0);
	refused(m, "has shape [3, 4, 5]; input 'x' takes [1, T, 2]", 1, ARRAY("x", H_F32, 3, 4, 5), 0);
	refused(m, "2 labels for 3 samples", 2, ARRAY("x", H_F32, 3, 4, 2), ARRAY("labels", H_I32, 2));
	refused(m, "lengths[0] is 0", 2, ARRAY("x", H_F32, 6, 2), counting("lengths", H_I32, 1, (int64_t[]){1}));
	refused(t, "takes integers", 1, ARRAY("tokens", H_F32, 5, 1), 0);
	Tensor *big = ARRAY("tokens", H_I64, 5, 1);
	tensor_set_int(big, 3, INT64_C(1) << 40);
	refused(t, "element 3 is 1099511627776", 1, big, 0);
	Tensor *fine = ARRAY("x", H_I32, 1, 1, 2);
	tensor_set_int(fine, 1, (1 << 24) + 1);
	refused(m, "32-bit float", 1, fine, 0);
	module_free(m);
	module_free(t);
}

static void pairs(void **state)
{
	(void)state;
	static const struct { const char *in, *out; bool pair; } rows[] = {
		{"h0", "hn", true}, {"state", "stateN", true}, {"h_0", "h_n", true}, {"conv_cache", "conv_cache_out", true},
		{"initial_h", "Y_h", true}, {"h_in", "h_out", true}, {"c", "cn", true}, {"h0", "cn", false},
		{"x", "y", false}, {"0", "n", false},
	};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		char *text = text_new("module \"m\" level=tensor\ninput \"%s\" f32[1,3]\noutput \"%s\" f32[1,3]\n", rows[i].in,
		                      rows[i].out);
		Module *m = model(text);
		Diag *d = diag_new();
		Options opt = {0};
		int pair[1];
		assert_true(state_pairs(m, &opt, pair, d));
		if ((pair[0] == 0) != rows[i].pair)
			fail_msg("%s and %s", rows[i].in, rows[i].out);
		diag_free(d);
		module_free(m);
		free(text);
	}
}

static int make_path(void **state)
{
	(void)state;
	int fd = mkstemps(path, 4);
	return fd < 0 ? -1 : close(fd);
}

static int remove_path(void **state)
{
	(void)state;
	return unlink(path);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(batch), cmocka_unit_test(stream_in_chunks), cmocka_unit_test(ragged),
		cmocka_unit_test(steps_of_one), cmocka_unit_test(refusals), cmocka_unit_test(pairs),
	};
	return cmocka_run_group_tests(tests, make_path, remove_path);
}

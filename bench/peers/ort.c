/* ort.c: microseconds for each time step of a recurrent model in ONNX Runtime, one thread.
 *
 *	ort LIBRARY MODEL lstm|gru H STEPS...
 *
 * MODEL is one of make_models.py's: inputs X [T,1,H] and states, outputs Y and the new states.  For each STEPS the
 * model is called with that many steps at a time (1: streaming), the states carried on from call to call: their
 * tensors are bound as inputs and as outputs, so that nothing is copied or looked up between calls.  This is the C
 * interface used as fast as it goes.  Prints one JSON object a line:
 *	{"steps": 1, "us_per_step": 13.1, "median": 13.4}
 * us_per_step is the least of 40 windows of at least 3 ms, in the thread's own processor time, as in `gatefold bench`.
 *
 * The library of the Python package comes without headers.  What is used of it is declared here: its functions are
 * members of a table, and their places in the table never change. */
#include <dlfcn.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* ---- the library's side ------------------------------------------------------------------------------- */

typedef void *const *Table;
typedef struct { Table (*get)(uint32_t version); const char *(*version)(void); } ApiBase;
typedef struct Status Status;           /* 0: ok */
enum { API_VERSION = 4 };               /* the oldest with bindings */
enum { FLOAT_ELEMENTS = 1, ARENA = 1, DEFAULT_MEMORY = 0, WARNINGS = 2 };

/* Places in the table. */
enum {
	GET_ERROR_MESSAGE = 2, CREATE_ENV = 3, CREATE_SESSION = 7, CREATE_SESSION_OPTIONS = 10,
	SET_INTRA_OP_THREADS = 24, SET_INTER_OP_THREADS = 25, CREATE_TENSOR_WITH_DATA = 49, CREATE_CPU_MEMORY_INFO = 69,
	RUN_WITH_BINDING = 133, CREATE_BINDING = 134, BIND_INPUT = 136, BIND_OUTPUT = 137,
};

static Table api;

static void check(Status *s, const char *what)
{
	if (!s)
		return;
	const char *(*message)(const Status *) = (const char *(*)(const Status *))api[GET_ERROR_MESSAGE];
	fprintf(stderr, "ort: %s: %s\n", what, message(s));
	exit(1);
}

/* Call a function of the table: CALL(place, (types of the parameters), arguments...) */
#define CALL(place, types, ...) check(((Status *(*) types)api[place])(__VA_ARGS__), #place)

typedef void *Object;

static void load(const char *library)
{
	void *lib = dlopen(library, RTLD_NOW);
	const ApiBase *(*base)(void) = lib ? (const ApiBase *(*)(void))dlsym(lib, "OrtGetApiBase") : 0;
	api = base ? base()->get(API_VERSION) : 0;
	if (!api) {
		fprintf(stderr, "ort: cannot use %s: %s\n", library, base ? "unknown version" : dlerror());
		exit(1);
	}
}

/* ---- the model ---------------------------------------------------------------------------------------- */

static Object session, memory;

static void open_session(const char *model)
{
	Object env, options;
	CALL(CREATE_ENV, (int, const char *, Object *), WARNINGS, "bench", &env);
	CALL(CREATE_SESSION_OPTIONS, (Object *), &options);
	CALL(SET_INTRA_OP_THREADS, (Object, int), options, 1);
	CALL(SET_INTER_OP_THREADS, (Object, int), options, 1);
	CALL(CREATE_SESSION, (Object, const char *, Object, Object *), env, model, options, &session);
	CALL(CREATE_CPU_MEMORY_INFO, (int, int, Object *), ARENA, DEFAULT_MEMORY, &memory);
}

static Object tensor(float *data, const int64_t *dim, int rank)
{
	Object value;
	size_t n = 1;
	for (int i = 0; i < rank; i++)
		n *= (size_t)dim[i];
	CALL(CREATE_TENSOR_WITH_DATA, (Object, void *, size_t, const int64_t *, size_t, int, Object *), memory, data,
	     n * sizeof *data, dim, (size_t)rank, FLOAT_ELEMENTS, &value);
	return value;
}

static void bind(int how, Object binding, const char *name, Object value)
{
	CALL(how, (Object, const char *, Object), binding, name, value);
}

/* Bind X, Y and the states for calls of `steps` steps. */
static Object make_binding(int64_t steps, int64_t h, int has_cell)
{
	Object b;
	CALL(CREATE_BINDING, (Object, Object *), session, &b);
	float *x = malloc(sizeof *x * (size_t)(steps * h)), *y = calloc((size_t)(steps * h), sizeof *y);
	uint32_t random = 1;
	for (int64_t i = 0; i < steps * h; i++) {
		random = random * 1664525u + 1013904223u;
		x[i] = (float)(int32_t)random / (float)(1 << 30);        /* -2 .. 2 */
	}
	bind(BIND_INPUT, b, "X", tensor(x, (int64_t[]){ steps, 1, h }, 3));
	bind(BIND_OUTPUT, b, "Y", tensor(y, (int64_t[]){ steps, 1, 1, h }, 4));
	static const char *const names[2][2] = { { "h0", "hn" }, { "c0", "cn" } };
	for (int i = 0; i <= has_cell; i++) {
		Object state = tensor(calloc((size_t)h, sizeof(float)), (int64_t[]){ 1, 1, h }, 3);
		bind(BIND_INPUT, b, names[i][0], state);
		bind(BIND_OUTPUT, b, names[i][1], state);
	}
	return b;
}

/* ---- time --------------------------------------------------------------------------------------------- */

enum { WINDOWS = 40 };
static const double window = 3e-3;      /* seconds */

static double now(void)
{
	struct timespec t;
	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static void run(Object binding)
{
	CALL(RUN_WITH_BINDING, (Object, const void *, Object), session, 0, binding);
}

static double seconds(Object binding, long calls)
{
	double start = now();
	for (long i = 0; i < calls; i++)
		run(binding);
	return now() - start;
}

static int by_size(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;
	return (x > y) - (x < y);
}

static void measure(int64_t steps, int64_t h, int has_cell)
{
	Object b = make_binding(steps, h, has_cell);
	double t[WINDOWS];
	long calls = 1;
	seconds(b, 3);          /* the first calls allocate */
	while (seconds(b, calls) < window)
		calls *= 2;
	for (int i = 0; i < WINDOWS; i++)
		t[i] = seconds(b, calls) / (double)calls / (double)steps * 1e6;
	qsort(t, WINDOWS, sizeof *t, by_size);
	printf("{\"steps\": %d, \"us_per_step\": %.4f, \"median\": %.4f}\n", (int)steps, t[0], t[WINDOWS / 2]);
	fflush(stdout);
}

int main(int argc, char **argv)
{
	if (argc < 6) {
		fprintf(stderr, "usage: ort LIBRARY MODEL lstm|gru H STEPS...\n");
		return 2;
	}
	load(argv[1]);
	open_session(argv[2]);
	for (int i = 5; i < argc; i++)
		measure(atol(argv[i]), atol(argv[4]), !strcmp(argv[3], "lstm"));
	return 0;
}

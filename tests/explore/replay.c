/* replay.c: a step of a model computed from its report alone (docs/report.md): report.json, the memory
 * images and the golden vectors.  Knows nothing of the compiler: links cJSON only.  What a hardware
 * simulation would do.
 *
 *	replay DIR	computes @step op by op from the golden inputs and states; compares every value with the golden one
 * Prints how many elements of how many values agree; exit 1 at the first that does not. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cjson/cJSON.h>

typedef struct Tensor { char name[200]; int rank, dim[8]; long n; int64_t *x; } Tensor;

static const char *dir;
static cJSON *report;
static Tensor values[4000];
static int nvalues;

static _Noreturn void fail(const char *what, const char *name)
{
	fprintf(stderr, "replay: %s %s\n", what, name);
	exit(1);
}

static const char *text(const cJSON *j, const char *key)
{
	const char *s = cJSON_GetStringValue(cJSON_GetObjectItem(j, key));
	return s ? s : "";
}

static long number(const cJSON *j, const char *key)
{
	return (long)cJSON_GetNumberValue(cJSON_GetObjectItem(j, key));
}

static cJSON *named(const cJSON *list, const char *name)
{
	cJSON *j;
	cJSON_ArrayForEach(j, list)
		if (!strcmp(text(j, "name"), name))
			return j;
	return 0;
}

/* ---- memory images ------------------------------------------------------------------------------ */

static long shape_of(const cJSON *j, Tensor *t)
{
	const cJSON *d;
	t->rank = 0;
	t->n = 1;
	cJSON_ArrayForEach(d, cJSON_GetObjectItem(j, "shape")) {
		t->dim[t->rank] = cJSON_IsString(d) ? (int)number(cJSON_GetObjectItem(report, "golden"), "steps")
			: d->valueint;
		t->n *= t->dim[t->rank++];
	}
	return t->n;
}

static Tensor image(const cJSON *j)
{
	char path[1000], line[1000];
	Tensor t = {0};
	const cJSON *format = cJSON_GetObjectItem(j, "format");
	int bits = (int)number(format, "bits"), is_signed = cJSON_IsTrue(cJSON_GetObjectItem(format, "signed"));
	shape_of(j, &t);
	t.x = calloc((size_t)t.n + 1, sizeof *t.x);
	snprintf(path, sizeof path, "%s/%s", dir, text(j, "hex"));
	FILE *f = fopen(path, "r");
	if (!f)
		fail("cannot read", path);
	long i = 0;
	while (fgets(line, sizeof line, f)) {
		if (!strncmp(line, "//", 2))
			continue;
		if (i == t.n)
			fail("too long:", path);
		uint64_t u = strtoull(line, 0, 16);
		if (is_signed && bits < 64 && u >> (bits - 1) & 1)
			u |= ~(uint64_t)0 << bits;
		t.x[i++] = (int64_t)u;
	}
	fclose(f);
	if (i != t.n)
		fail("too short:", path);
	return t;
}

static const Tensor *data(const char *name)
{
	char key[199];
	snprintf(key, sizeof key, "$%s", name);
	for (int i = 0; i < nvalues; i++)
		if (!strcmp(values[i].name, key))
			return &values[i];
	cJSON *j = named(cJSON_GetObjectItem(report, "data"), name);
	if (!j)
		fail("no data", name);
	values[nvalues] = image(j);
	snprintf(values[nvalues].name, sizeof values[0].name, "%s", key);
	return &values[nvalues++];
}

static const Tensor *value(const char *name)
{
	if (*name == '$')
		return data(name + 1);
	for (int i = 0; i < nvalues; i++)
		if (!strcmp(values[i].name, name))
			return &values[i];
	fail("no value", name);
}

static Tensor *new_value(const cJSON *j)
{
	Tensor *t = &values[nvalues++];
	snprintf(t->name, sizeof t->name, "%s", text(j, "name"));
	shape_of(j, t);
	t->x = calloc((size_t)t->n + 1, sizeof *t->x);
	return t;
}

/* ---- code: rows on registers -------------------------------------------------------------------- */

static int64_t sar(int64_t a, int64_t n) { return a < 0 ? ~(~a >> n) : a >> n; }

static int64_t row(const char *op, int64_t a, int64_t b, int64_t c)
{
	int32_t wa = (int32_t)a, wb = (int32_t)b;
	uint32_t ua = (uint32_t)wa, ub = (uint32_t)wb;
	if (!strcmp(op, "addw")) return (int32_t)(ua + ub);
	if (!strcmp(op, "subw")) return (int32_t)(ua - ub);
	if (!strcmp(op, "mulw")) return (int32_t)(ua * ub);
	if (!strcmp(op, "mulh")) return (int32_t)(int16_t)wa * (int16_t)wb;
	if (!strcmp(op, "andw")) return wa & wb;
	if (!strcmp(op, "orw")) return wa | wb;
	if (!strcmp(op, "xorw")) return wa ^ wb;
	if (!strcmp(op, "shlw")) return (int32_t)(ua << (wb & 31));
	if (!strcmp(op, "shrw")) return (int32_t)(ua >> (wb & 31));
	if (!strcmp(op, "sarw")) return sar(wa, wb & 31);
	if (!strcmp(op, "minw") || !strcmp(op, "minl")) return a < b ? a : b;
	if (!strcmp(op, "maxw") || !strcmp(op, "maxl")) return a > b ? a : b;
	if (!strcmp(op, "ltw")) return a < b;
	if (!strcmp(op, "lew")) return a <= b;
	if (!strcmp(op, "eqw")) return a == b;
	if (!strcmp(op, "selw")) return a ? b : c;
	if (!strcmp(op, "addl")) return (int64_t)((uint64_t)a + (uint64_t)b);
	if (!strcmp(op, "subl")) return (int64_t)((uint64_t)a - (uint64_t)b);
	if (!strcmp(op, "mull")) return (int64_t)((uint64_t)a * (uint64_t)b);
	if (!strcmp(op, "mulwl")) return (int64_t)wa * wb;
	if (!strcmp(op, "shll")) return (int64_t)((uint64_t)a << (b & 63));
	if (!strcmp(op, "sarl")) return sar(a, b & 63);
	if (!strcmp(op, "extl")) return wa;
	if (!strcmp(op, "truncw")) return (int32_t)(uint32_t)(uint64_t)a;
	fail("replay has no row", op);
}

typedef struct { const char *name; int64_t v; } Register;

static int64_t read_register(const Register *r, int n, const cJSON *j)
{
	if (cJSON_IsNumber(j))
		return (int64_t)j->valuedouble;
	while (n--)
		if (!strcmp(r[n].name, j->valuestring))
			return r[n].v;
	fail("no register", j->valuestring);
}

static int64_t run(const char *function, const int64_t *arg)
{
	const cJSON *f = named(cJSON_GetObjectItem(report, "code"), function), *p, *s;
	Register r[300];
	int n = 0;
	if (!f)
		fail("no code", function);
	cJSON_ArrayForEach(p, cJSON_GetObjectItem(f, "parameters")) {
		r[n] = (Register){p->valuestring, arg[n]};
		n++;
	}
	cJSON_ArrayForEach(s, cJSON_GetObjectItem(f, "statements")) {
		const cJSON *in = cJSON_GetObjectItem(s, "in");
		const char *op = text(s, "op");
		int64_t a[3] = {0}, v;
		int is_load = !strcmp(op, "load");
		for (int i = 0; i < cJSON_GetArraySize(in) && i < 3; i++)
			a[i] = is_load && !i ? 0 : read_register(r, n, cJSON_GetArrayItem(in, i));
		if (!strcmp(op, "ret"))
			return a[0];
		if (is_load)
			v = data(cJSON_GetArrayItem(in, 0)->valuestring + 1)->x[a[1]];
		else if (!strcmp(op, "call"))
			v = run(text(s, "callee"), a);
		else
			v = row(op, a[0], a[1], a[2]);
		r[n++] = (Register){cJSON_GetArrayItem(cJSON_GetObjectItem(s, "out"), 0)->valuestring, v};
	}
	fail("no ret in", function);
}

/* ---- ops ---------------------------------------------------------------------------------------- */

/* Element of t that stands at index i of a result of this shape: axes of size 1 are broadcast. */
static int64_t broadcast(const Tensor *t, const Tensor *y, long i)
{
	long at = 0, step = 1;
	for (int d = y->rank - 1, k = t->rank - 1; d >= 0; d--, k--) {
		long index = i % y->dim[d];
		i /= y->dim[d];
		if (k < 0)
			continue;
		at += (t->dim[k] == 1 ? 0 : index) * step;
		step *= t->dim[k];
	}
	return t->x[at];
}

static const Tensor *operand(const cJSON *op, int i)
{
	const cJSON *j = cJSON_GetArrayItem(cJSON_GetObjectItem(op, "in"), i);
	return cJSON_IsString(j) ? value(j->valuestring) : 0;
}

static void element(const cJSON *op, Tensor *y)
{
	const char *f = text(cJSON_GetObjectItem(op, "arithmetic"), "function");
	int nin = cJSON_GetArraySize(cJSON_GetObjectItem(op, "in"));
	for (long i = 0; i < y->n; i++) {
		int64_t a[4] = {0};
		for (int k = 0; k < nin; k++)
			a[k] = broadcast(operand(op, k), y, i);
		a[nin] = y->rank ? i % y->dim[y->rank - 1] : 0;      /* the unit, where the function asks for it */
		y->x[i] = run(f, a);
	}
}

static void linear(const cJSON *op, Tensor *y)
{
	const cJSON *how = cJSON_GetObjectItem(op, "arithmetic");
	const Tensor *x = operand(op, 0), *w = operand(op, 1), *b = operand(op, 2);
	long rows = w->dim[0], columns = w->dim[1];
	for (long i = 0; i < y->n; i++) {
		long m = i % rows;
		int64_t acc = !b ? 0 : b->rank == 1 ? b->x[m] : broadcast(b, y, i);
		acc *= (int64_t)1 << number(how, "addend_shift");
		for (long k = 0; k < columns; k++) {
			acc += w->x[m * columns + k] * x->x[i / rows * columns + k];
			if (number(how, "accumulator_bits") == 32 && acc != (int32_t)acc)
				fail("the accumulator overflows in", y->name);
		}
		y->x[i] = run(text(how, "function"), (int64_t[]){acc, m});
	}
}

static void concat(const cJSON *op, Tensor *y)
{
	int axis = (int)number(cJSON_GetObjectItem(op, "attributes"),
	                       "axis"), nin = cJSON_GetArraySize(cJSON_GetObjectItem(op, "in"));
	long inner = 1, at = 0;
	for (int d = (axis < 0 ? axis + y->rank : axis) + 1; d < y->rank; d++)
		inner *= y->dim[d];
	long row = inner * y->dim[axis < 0 ? axis + y->rank : axis];
	for (int k = 0; k < nin; k++) {
		const Tensor *x = operand(op, k);
		long part = inner * x->dim[axis < 0 ? axis + y->rank : axis];
		for (long i = 0; i < x->n; i++)
			y->x[i / part * row + at + i % part] = x->x[i];
		at += part;
	}
}

static void move(const cJSON *op, Tensor *y)
{
	if (!strcmp(text(op, "op"), "concat")) {
		concat(op, y);
		return;
	}
	const cJSON *attr = cJSON_GetObjectItem(op, "attributes");
	const Tensor *x = operand(op, 0);
	const char *kind = text(op, "op");
	if (!strcmp(kind, "reshape")) {
		memcpy(y->x, x->x, (size_t)y->n * sizeof *y->x);
		return;
	}
	int axis = (int)number(attr, "axis"), at = (int)number(attr, "at"), step = cJSON_GetObjectItem(attr,
	                                                                                               "step")
		? (int)number(attr, "step") : 1;
	for (long i = 0; i < y->n; i++) {
		int index[8], from[8];
		long rest = i, place = 0;
		for (int d = y->rank - 1; d >= 0; d--)
			index[d] = (int)(rest % y->dim[d]), rest /= y->dim[d];
		memcpy(from, index, sizeof from);
		if (!strcmp(kind, "transpose"))
			for (int d = 0; d < y->rank; d++)
				from[cJSON_GetArrayItem(cJSON_GetObjectItem(attr, "perm"), d)->valueint] = index[d];
		else if (!strcmp(kind, "slice"))
			from[axis] = (at < 0 ? at + x->dim[axis] : at) + step * index[axis];
		else
			fail("replay has no op", kind);
		for (int d = 0; d < x->rank; d++)
			place = place * x->dim[d] + from[d];
		y->x[i] = x->x[place];
	}
}

/* ---- the step ----------------------------------------------------------------------------------- */

static long compare(const char *function, const Tensor *t)
{
	char name[400];
	snprintf(name, sizeof name, "%s.%s", function, t->name);
	const cJSON *j = named(cJSON_GetObjectItem(cJSON_GetObjectItem(report, "golden"), "values"), name);
	if (!j)
		return 0;
	Tensor want = image(j);
	for (long i = 0; i < want.n; i++)
		if (i >= t->n || t->x[i] != want.x[i]) {
			fprintf(stderr, "replay: %s[%ld] is %lld, should be %lld\n", name, i, (long long)t->x[i],
			        (long long)want.x[i]);
			exit(1);
		}
	free(want.x);
	return want.n;
}

/* The last step's slice of each input; states as they were before it. */
static void start(const cJSON *step)
{
	const cJSON *golden = cJSON_GetObjectItem(report, "golden"), *p, *in = cJSON_GetObjectItem(golden,
	                                                                                           "inputs")->child;
	cJSON_ArrayForEach(p, cJSON_GetObjectItem(step, "parameters")) {
		if (!in)
			fail("no golden input for", text(p, "name"));
		Tensor whole = image(in), *t = new_value(p);
		long steps = whole.n / t->n, inner = whole.n;   /* elements behind the axis of steps */
		const cJSON *dim = cJSON_GetObjectItem(in, "shape")->child;
		for (int k = 0; steps > 1 && k < whole.rank; k++, dim = dim->next) {
			inner /= whole.dim[k];
			if (cJSON_IsString(dim))
				break;
		}
		for (long i = 0; i < t->n; i++)
			t->x[i] = whole.x[(i / inner * steps + steps - 1) * inner + i % inner];
		free(whole.x);
		in = in->next;
	}
	cJSON_ArrayForEach(p, cJSON_GetObjectItem(step, "states")) {
		char name[400];
		snprintf(name, sizeof name, "step.%s", text(p, "name"));
		const cJSON *j = named(cJSON_GetObjectItem(golden, "values"), name);
		if (!j)
			fail("no golden state", name);
		values[nvalues] = image(j);
		snprintf(values[nvalues++].name, sizeof values[0].name, "%s", text(p, "name"));
	}
}

int main(int argc, char **argv)
{
	static char path[1000], json[1 << 24];
	if (argc != 2)
		fail("usage: replay", "DIR");
	dir = argv[1];
	snprintf(path, sizeof path, "%s/report.json", dir);
	FILE *f = fopen(path, "r");
	size_t size = f ? fread(json, 1, sizeof json - 1, f) : 0;
	report = size ? cJSON_Parse(json) : 0;
	if (!report)
		fail("cannot read", path);
	fclose(f);
	const cJSON *step = named(cJSON_GetObjectItem(report, "functions"), "step"), *op;
	if (!step)
		fail("no function", "step");
	start(step);
	long elements = 0, compared = 0;
	cJSON_ArrayForEach(op, cJSON_GetObjectItem(step, "ops")) {
		const char *kind = text(cJSON_GetObjectItem(op, "arithmetic"), "kind");
		if (!*kind)
			continue;       /* next, ret */
		Tensor *y = new_value(cJSON_GetObjectItem(op, "out")->child);
		if (!strcmp(kind, "element"))
			element(op, y);
		else if (!strcmp(kind, "linear"))
			linear(op, y);
		else if (!strcmp(kind, "move"))
			move(op, y);
		else
			fail("replay has no", text(op, "op"));
		long n = compare("step", y);
		elements += n;
		compared += n > 0;
	}
	printf("%ld values, %ld elements agree\n", compared, elements);
	return compared ? 0 : 1;
}

/* test_conformance: each operator of the import, in its forms, in float and in fixed point.
 *
 *	test_conformance [--page] [--update] [--write FOLDER]
 *
 * tests/onnx/conformance.txt holds models of an operator each (the first node's, or that behind `?`) with
 * the results wanted, behind `=`.
 * In float they must come out to 1e-5.  In fixed point, with weights and activations of 16 bits calibrated
 * on the same inputs, the signal to quantization noise is measured; integer results must be the same.  A
 * form that fixed point refuses is no fault, but the page says it.  No operator of the import may be without
 * a model.
 *	--page		print the operators' table (docs/conformance.md)
 *	--update	write the results that come out into the table
 *	--write		write each model as ONNX, with its inputs, for a comparison with another program */
#include "data/runner.h"
#include "onnx/import.h"
#include "unit/onnx_text.h"
#include "util/npz.h"

#include <math.h>

#define TABLE GATEFOLD_SOURCE "/tests/onnx/conformance.txt"
enum { MOST_OPS = 200, MOST_OUT = 4, LEAST_DB = 30 };

typedef struct {
	char name[60];
	int cases, folded, fixed, exact, opset[8], nopset;
	double least;                   /* dB */
	char refused[300];              /* why fixed point refuses a form; "": it does not */
} Row;


static Row rows[MOST_OPS];
static int nrows, passed, failed, nresults;
static TextSaid results[1000];
static const char *write_folder;
static bool updating;

static void complain(const TextModel *t, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	fprintf(stderr, "FAIL conformance.txt:%d: ", t->line);
	vfprintf(stderr, fmt, ap);
	fprintf(stderr, "\n");
	va_end(ap);
	failed++;
}

static Row *row_of(const char *name)
{
	for (int i = 0; i < nrows; i++)
		if (!strcmp(rows[i].name, name))
			return &rows[i];
	Row *r = &rows[nrows++];
	snprintf(r->name, sizeof r->name, "%s", name);
	r->least = INFINITY;
	return r;
}

/* ---- inputs ---------------------------------------------------------------------------------------- */

/* Numbers that fill the range evenly, the same on every machine. */
static Tensor *make_input(const TextModel *t, int k, const OnnxInput *in)
{
	Tensor *x = tensor_new(in->type, in->rank, in->dim);
	x->name = strdup(in->name);
	for (int64_t i = 0; i < x->count; i++) {
		double u = fmod((double)((i + 1) * 137 + 31 * k) * 0.0078125, 1);
		double v = t->lo[k] + (t->hi[k] - t->lo[k]) * u;
		bool real = x->type == H_F32 || x->type == H_F64 || x->type == H_F16;
		tensor_set(x, i, real ? floor(v * 256) / 256 : floor(t->lo[k] + (t->hi[k] - t->lo[k] + 1) * u));
	}
	return x;
}

static int make_inputs(const TextModel *t, Tensor **in, Diag *d)
{
	int n = 0;
	OnnxInput *port = onnx_inputs(t->b->path, &n, d);
	for (int i = 0; i < n; i++)
		in[i] = make_input(t, i, &port[i]);
	onnx_inputs_free(port, n);
	return n;
}

/* ---- running ---------------------------------------------------------------------------------------- */

/* As ports take it: floats, small integers too, or 32-bit integers. */
static Tensor *as_port(const Tensor *x)
{
	bool whole = x->type == H_I32 || x->type == H_I64 || x->type == H_BOOL;
	Tensor *y = tensor_new(whole ? H_I32 : H_F32, x->rank, x->dim);
	for (int64_t i = 0; i < x->count; i++)
		tensor_set(y, i, tensor_get(x, i));
	return y;
}

static bool run(const Module *m, const Options *opt, Tensor **in, int nin, Tensor **out, Diag *d)
{
	Runner *r = runner_open(m, opt, d);
	Tensor *port[8] = {0};
	for (int i = 0; i < nin; i++)
		port[i] = as_port(in[i]);
	Sample s = {.in = port, .nin = nin, .steps = 1, .fresh = true, .last = true};
	bool good = r && runner_run(r, &s, d);
	int n = 0;
	for (const Port *p = m->out; good && p && n < MOST_OUT; p = p->next, n++)
		out[n] = tensor_copy(runner_output(r, n));
	if (r)
		runner_close(r);
	for (int i = 0; i < nin; i++)
		tensor_free(port[i]);
	return good;
}

static bool has_ops(const Module *m)
{
	return m->funcs->body.first->kind != O_ret;
}

static char *numbers(const Tensor *x)
{
	char *text = calloc(1, (size_t)x->count * 20 + 1);
	for (int64_t i = 0; i < x->count; i++)
		sprintf(text + strlen(text), "%s%.8g", i ? " " : "", tensor_get(x, i));
	return text;
}

static void check_float(const TextModel *t, int k, const Tensor *x)
{
	int at = k + (t->nmarked && *t->marked[0] == '?');
	if (at >= t->nmarked) {
		complain(t, "no result %d is wanted", k);
		return;
	}
	char *p = t->marked[at] + 1;
	for (int64_t i = 0; i < x->count; i++) {
		char *end;
		double want = strtod(p, &end), have = tensor_get(x, i);
		if (end == p || !(fabs(want - have) <= 1e-5 * fmax(1, fabs(want)))) {
			complain(t, "result %d, element %d is %.8g, not %.8g", k, (int)i, have, want);
			return;
		}
		p = end;
	}
	if (p[strspn(p, " ")])
		complain(t, "result %d has more elements", k);
	else
		passed++;
}

/* dB of signal to noise of all results together; integers must be equal. */
static bool check_fixed(const TextModel *t, Tensor **ref, Tensor **out, double *db)
{
	double signal = 0, noise = 0;
	for (int k = 0; k < MOST_OUT && ref[k]; k++)
		for (int64_t i = 0; i < ref[k]->count; i++) {
			double r = tensor_get(ref[k], i), e = tensor_get(out[k], i) - r;
			if (ref[k]->type != H_F32 && e != 0) {
				complain(t, "in fixed point result %d, element %d is %g, not %g", k, (int)i, r + e, r);
				return false;
			}
			signal += r * r;
			noise += e * e;
		}
	*db = noise > 0 ? 10 * log10(signal / noise) : INFINITY;
	if (*db < LEAST_DB)
		complain(t, "in fixed point %.1f dB", *db);
	return true;
}

static void fixed_case(TextModel *t, Row *row, const Module *m, Tensor **in, int nin, Tensor **ref)
{
	char path[] = "conformance-XXXXXX.npz", *text;
	int fd = mkstemps(path, 4);
	FILE *f = fdopen(fd, "wb");
	Diag *d = diag_new();
	Options opt = {.integer = true, .weights = 16, .activations = 16, .exec = "interp", .calib = path};
	Tensor *out[MOST_OUT] = {0};
	double db = 0;
	bool good = npz_write(f, in, nin, path, d);
	fclose(f);
	if (good && run(m, &opt, in, nin, out, d)) {
		row->fixed += check_fixed(t, ref, out, &db);
		row->least = fmin(row->least, db);
		passed++;
	} else {
		size_t n;
		f = open_memstream(&text, &n);
		diag_print(d, f);
		fclose(f);
		if (diag_bugs(d) || strncmp(text, "error: ", 7))
			complain(t, "%s", text);
		const char *why = strstr(text, "): ");          /* behind file, node and operator */
		snprintf(row->refused, sizeof row->refused, "%.*s", why ? (int)strcspn(why + 3, "\n") : 0, why ? why + 3 : "");
		free(text);
	}
	unlink(path);
	for (int k = 0; k < MOST_OUT; k++)
		tensor_free(out[k]);
	diag_free(d);
}

/* ---- one model ----------------------------------------------------------------------------------- */

static const char *operator_of(const TextModel *t)
{
	static char name[60];
	if (t->nmarked && *t->marked[0] == '?')
		return t->marked[0] + 2;
	const Onnx__Node *p = t->b->g.node[0];
	snprintf(name, sizeof name, "%s%s%s", p->domain, *p->domain ? "." : "", p->op_type);
	return name;
}

static void add_opset(Row *r, int opset)
{
	for (int i = 0; i < r->nopset; i++)
		if (r->opset[i] == opset)
			return;
	r->opset[r->nopset++] = opset;
}

static void write_model(const TextModel *t, Tensor **in, int nin)
{
	char path[300];
	size_t n;
	uint8_t *bytes = pack(t->b, &n);
	snprintf(path, sizeof path, "%s/%d.onnx", write_folder, t->line);
	write_bytes(t->b, path, bytes, n);
	snprintf(path, sizeof path, "%s/%d.npz", write_folder, t->line);
	FILE *f = fopen(path, "wb");
	Diag *d = diag_new();
	npz_write(f, in, nin, path, d);
	fclose(f);
	diag_free(d);
}

static void run_case(TextModel *t)
{
	Diag *d = diag_new();
	Module *m = import(t->b);
	Tensor *in[8] = {0}, *ref[MOST_OUT] = {0};
	Options opt = {.exec = "interp"};
	Row *row = row_of(operator_of(t));
	int nin = m ? make_inputs(t, in, d) : 0;
	if (!m) {
		complain(t, "%s", t->b->message);
	} else if (!run(m, &opt, in, nin, ref, d)) {
		diag_print(d, stderr);
		complain(t, "%s does not run", row->name);
	} else if (write_folder) {
		write_model(t, in, nin);
	} else {
		char *all = calloc(1, 1 << 16);
		row->cases++;
		row->folded += !has_ops(m);
		add_opset(row, (int)t->b->set.version);
		for (int k = 0; k < MOST_OUT && ref[k]; k++) {
			char *text = numbers(ref[k]);
			strcat(strcat(strcat(all, "\t= "), text), "\n");
			free(text);
			if (!updating)
				check_float(t, k, ref[k]);
		}
		results[nresults++] = (TextSaid){t->line, all};
		fixed_case(t, row, m, in, nin, ref);
	}
	for (int i = 0; i < 8; i++)
		tensor_free(in[i]);
	for (int k = 0; k < MOST_OUT; k++)
		tensor_free(ref[k]);
	module_free(m);
	diag_free(d);
	build_free(t->b);
	free(t->head);
}

/* ---- all ----------------------------------------------------------------------------------------- */

static void check_complete(void)
{
	Arena *a = arena_new();
	char *names = arena_strdup(a, op_names(a)), *save = 0;
	for (char *p = strtok_r(names, " ", &save); p; p = strtok_r(0, " ", &save))
		if (!row_of(p)->cases) {
			fprintf(stderr, "FAIL conformance.txt: no model of %s\n", p);
			failed++;
		} else {
			passed++;
		}
	arena_free(a);
}

static int by_name(const void *a, const void *b)
{
	return strcmp(((const Row *)a)->name, ((const Row *)b)->name);
}

static void print_page(void)
{
	qsort(rows, (size_t)nrows, sizeof *rows, by_name);
	printf("| operator | opsets tried | forms | float | fixed point, 16 bits |\n|---|---|---|---|---|\n");
	for (int i = 0; i < nrows; i++) {
		const Row *r = &rows[i];
		printf("| %s | ", r->name);
		for (int k = 0; k < r->nopset; k++)
			printf("%s%d", k ? ", " : "", r->opset[k]);
		printf(" | %d | right | ", r->cases);
		if (r->fixed == r->cases)
			printf(isinf(r->least) ? "exact" : "%.0f dB", floor(r->least));
		else if (r->fixed)
			printf(isinf(r->least) ? "%d forms exact" : "%d forms %.0f dB", r->fixed, floor(r->least));
		printf("%s%s%s |\n", r->fixed && *r->refused ? "; else " : "", *r->refused ? "refused: " : "", r->refused);
	}
}

int main(int argc, char **argv)
{
	bool page = argc > 1 && !strcmp(argv[1], "--page");
	updating = argc > 1 && !strcmp(argv[1], "--update");
	write_folder = argc > 2 && !strcmp(argv[1], "--write") ? argv[2] : 0;
	TextFile file = text_open(TABLE);
	TextModel t;
	while (text_next(&file, &t, "=?"))
		run_case(&t);
	free(file.text);
	if (updating)
		text_update(TABLE, "=", nresults, results);
	if (write_folder || updating)
		return 0;
	check_complete();
	if (page)
		print_page();
	else
		printf("conformance: %d passed, %d failed\n", passed, failed);
	return failed != 0;
}

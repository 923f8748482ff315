/* test_rnn: random recurrent layers through the whole compiler against rnn_reference.h.
 *
 *	test_rnn [--count N] [--seed S] [--case K] [--exec interp|jit|c] [--fixed] [--page] [-v]
 * Each case draws operator, directions, layout, shapes, which operands are there and which of them are known
 * only when the model runs, activation functions and their numbers, clip, and which results are wanted.  It
 * is expanded, streamed where that is possible, lowered and run in f32, and must agree with double precision
 * to 1e-5 (relative above 1).  Cases that float cannot follow (within a hair of ThresholdedRelu's jump, or
 * exploding) are drawn again.  --fixed: calibrated on the inputs and run in fixed point with 16-bit weights
 * and activations instead, to 2^-10 of each result's range, which is that of a gate, 1, at the least.
 * Without options: both.
 * --page: both, and which attribute came how often (rnn_tally.h). */
#include "data/runner.h"
#include "exec/exec.h"
#include "passes/passes.h"
#include "rnn_case.h"
#include "rnn_tally.h"
#include "util/npz.h"

#include <stdio.h>
#include <unistd.h>

/* ---- the case as a module ---------------------------------------------------------------------- */

static const Type *operand_type(Module *m, const Case *c, int k)
{
	const Rnn *o = &c->rnn;
	int G = gates_of[o->kind], D = o->ndir, H = o->hidden, T = c->dynamic ? DIM_T : o->steps;
	int a = o->layout ? o->batch : D, b = o->layout ? D : o->batch;
	switch (k) {
	case NX: return type_tensor(m, E_f32, 3, o->layout ? (int32_t[]){o->batch, T, o->width}
	                                                   : (int32_t[]){T, o->batch, o->width});
	case NW: return type_tensor(m, E_f32, 3, (int32_t[]){D, G * H, o->width});
	case NR: return type_tensor(m, E_f32, 3, (int32_t[]){D, G * H, H});
	case NB: return type_tensor(m, E_f32, 2, (int32_t[]){D, 2 * G * H});
	case NLENS: return type_tensor(m, E_i32, 1, (int32_t[]){o->batch});
	case NP: return type_tensor(m, E_f32, 2, (int32_t[]){D, 3 * H});
	default: return type_tensor(m, E_f32, 3, (int32_t[]){a, b, H});
	}
}

static const Type *result_type(Module *m, const Case *c, int k)
{
	const Rnn *o = &c->rnn;
	int D = o->ndir, H = o->hidden, N = o->batch, T = c->dynamic ? DIM_T : o->steps;
	if (k == 0)
		return type_tensor(m, E_f32, 4, o->layout ? (int32_t[]){N, T, D, H} : (int32_t[]){T, D, N, H});
	return type_tensor(m, E_f32, 3, o->layout ? (int32_t[]){N, D, H} : (int32_t[]){D, N, H});
}

static void add_port(Module *m, Port **at, const char *name, const Type *t)
{
	while (*at)
		at = &(*at)->next;
	*at = NEW(m->arena, Port);
	(*at)->name = name;
	(*at)->type = t;
}

static void set_attributes(Module *m, Op *op, const Case *c)
{
	const Rnn *o = &c->rnn;
	attr_set_int(m, op, "hidden", o->hidden);
	attr_set_string(m, op, "direction", o->ndir == 2 ? "bidirectional" : o->reverse ? "reverse" : "forward");
	if (!c->default_acts)
		attr_set_strings(m, op, "activations", acts_of[o->kind] * o->ndir, o->act);
	if (c->nalpha)
		attr_set_floats(m, op, "alpha", c->nalpha, c->alpha);
	if (c->nbeta)
		attr_set_floats(m, op, "beta", c->nbeta, c->beta);
	if (o->clip > 0)
		attr_set_float(m, op, "clip", (float)o->clip);
	if (o->layout)
		attr_set_int(m, op, "layout", 1);
	if (o->input_forget)
		attr_set_int(m, op, "input_forget", 1);
	if (o->linear_before_reset)
		attr_set_int(m, op, "linear_before_reset", 1);
}

static Module *build(const Case *c)
{
	static const char *const names[NOPERANDS] = {"X", "W", "R", "B", "lens", "H0", "C0", "P"};
	static const char *const results[3] = {"Y", "Y_h", "Y_c"};
	static const OpKind kinds[] = {O_lstm, O_gru, O_rnn};
	Module *m = module_new("t");
	Func *f = func_new(m, "main");
	int nin = c->rnn.kind == LSTM ? NOPERANDS : NC0, nout = c->rnn.kind == LSTM ? 3 : 2;
	Val *in[NOPERANDS] = {0}, *out[3];
	for (int k = 0; k < nin; k++) {
		if (!c->count[k])
			continue;
		const Type *t = operand_type(m, c, k);
		if (!c->inner[k]) {
			in[k] = func_param(m, f, names[k], t);
			add_port(m, &m->in, names[k], t);
			continue;
		}
		Data *d = data_new(m, names[k], t);
		memcpy(d->bytes, k == NLENS ? (const void *)c->lens : c->value[k], d->size);
		in[k] = val_data(m, d);
	}
	Op *op = op_new(m, &f->body, kinds[c->rnn.kind], nin, in);
	set_attributes(m, op, c);
	int n = 0;
	for (int k = 0; k < nout; k++) {
		Val *v = op_out(m, f, op, results[k], result_type(m, c, k));
		if (!c->want[k])
			continue;
		out[n++] = v;
		func_ret(m, f, v->type);
		add_port(m, &m->out, results[k], v->type);
	}
	op_new(m, &f->body, O_ret, n, out);
	return m;
}

/* ---- compile and run ---------------------------------------------------------------------------- */

static bool round_trip(Module *m, const char *after, char *err, size_t nerr)
{
	char *text;
	size_t n;
	FILE *f = open_memstream(&text, &n);
	module_print(m, f, 0, 0);
	fclose(f);
	Module *back = module_parse("case.ir", text, n, err, nerr);
	bool same = back && module_equal(m, back);
	if (back && !same)
		snprintf(err, nerr, "after %s: parse(print(m)) is not m", after);
	module_free(back);
	free(text);
	return same;
}

static bool compile(Module *m, const Case *c, Diag *d, char *err, size_t nerr)
{
	static const char *const order[] = {"expand", "stream", "dce", "lower", "plan"};
	Options opt = {0};
	for (size_t i = 0; i < sizeof order / sizeof *order; i++) {
		const Pass *p = pass_find(order[i]);
		if (i == 1 && !c->stream)
			continue;
		if (!module_verify(m, err, nerr) || (m->level == L_TENSOR && !round_trip(m, order[i], err, nerr)))
			return false;
		if (!p->run(m, &opt, d)) {
			snprintf(err, nerr, "%s failed", p->name);
			diag_print(d, stdout);
			return false;
		}
		m->level = p->to;
	}
	return module_verify(m, err, nerr);
}

typedef struct { float *got[3]; const void *in[NOPERANDS]; void *out[3]; } Buffers;

static void make_buffers(const Case *c, Buffers *b)
{
	const Rnn *o = &c->rnn;
	size_t state = (size_t)o->ndir * o->batch * o->hidden;
	int nin = 0, nout = 0;
	for (int k = 0; k < NOPERANDS; k++)
		if (c->count[k] && !c->inner[k])
			b->in[nin++] = k == NLENS ? (const void *)c->lens : c->value[k];
	for (int k = 0; k < 3; k++) {
		b->got[k] = calloc(k ? state : state * (size_t)o->steps, sizeof(float));
		if (c->want[k])
			b->out[nout++] = b->got[k];
	}
}

static bool near(const double *want, const float *got, size_t n, const char *name, char *err, size_t nerr)
{
	for (size_t i = 0; i < n; i++)
		if (!(fabs(want[i] - got[i]) <= 1e-5 * fmax(1, fabs(want[i])))) {
			snprintf(err, nerr, "%s[%zu] is %.9g, should be %.9g", name, i, got[i], want[i]);
			return false;
		}
	return true;
}

static bool compare(const Case *c, const Buffers *b, char *err, size_t nerr)
{
	const Rnn *o = &c->rnn;
	size_t state = (size_t)o->ndir * o->batch * o->hidden;
	return (!c->want[0] || near(o->y, b->got[0], state * (size_t)o->steps, "Y", err, nerr))
	       && (!c->want[1] || near(o->yh, b->got[1], state, "Y_h", err, nerr))
	       && (!c->want[2] || near(o->yc, b->got[2], state, "Y_c", err, nerr));
}

/* The same step by step; batch 1 or time first, so that a step's elements lie together. */
static bool run_steps(const Case *c, Exec *e, const Buffers *b, char *err, size_t nerr)
{
	const Rnn *o = &c->rnn;
	exec_reset(e);
	for (int t = 0; t < o->steps; t++) {
		const void *in[NOPERANDS];
		memcpy(in, b->in, sizeof in);
		in[0] = o->x + (size_t)t * o->batch * o->width;
		void *out[3];
		int n = 0;
		for (int k = 0; k < 3; k++)
			if (c->want[k])
				out[n++] = b->got[k] + (k ? 0 : (size_t)t * o->ndir * o->batch * o->hidden);
		int32_t status = exec_step(e, in, out);
		if (status) {
			snprintf(err, nerr, "step %d returned %d", t, status);
			return false;
		}
	}
	return compare(c, b, err, nerr);
}

static bool run(const Module *m, const Case *c, const char *kind, int *streamed, char *err, size_t nerr)
{
	Exec *e = exec_open(m, kind, 0, err, nerr);
	if (!e)
		return false;
	Buffers b = {{0}, {0}, {0}};
	make_buffers(c, &b);
	exec_reset(e);
	bool timed = false;             /* a model of a fixed length runs one whole sequence a call */
	for (const Port *p = m->in; p; p = p->next)
		timed |= type_has_t(p->type);
	int32_t status = exec_run(e, b.in, b.out, timed ? c->rnn.steps : 1);
	bool ok = status == 0;
	if (!ok)
		snprintf(err, nerr, "run returned %d", status);
	ok = ok && compare(c, &b, err, nerr);
	if (ok && exec_has_step(e)) {
		++*streamed;
		ok = (c->rnn.layout && c->rnn.batch > 1) || run_steps(c, e, &b, err, nerr);
	}
	exec_close(e);
	for (int k = 0; k < 3; k++)
		free(b.got[k]);
	return ok;
}

/* ---- fixed point ---------------------------------------------------------------------------------- */

static Tensor *operand_tensor(Module *m, const Case *c, int k, const char *name)
{
	const Type *t = operand_type(m, c, k);
	int64_t dim[HOST_RANK];
	for (int d = 0; d < t->rank; d++)
		dim[d] = t->dim[d] == DIM_T ? c->rnn.steps : t->dim[d];
	Tensor *x = tensor_new(k == NLENS ? H_I32 : H_F32, t->rank, dim);
	x->name = strdup(name);
	memcpy(x->bytes, k == NLENS ? (const void *)c->lens : c->value[k], (size_t)x->count * 4);
	return x;
}

static bool near_fixed(const double *want, const Tensor *got, const char *name, double *worst, char *err, size_t nerr)
{
	double most = 1;
	for (int64_t i = 0; i < got->count; i++)
		most = fmax(most, fabs(want[i]));
	for (int64_t i = 0; i < got->count; i++) {
		double e = fabs(want[i] - tensor_get(got, i));
		*worst = most > 0 ? fmax(*worst, e / most) : *worst;
		if (!(e <= most / 1024)) {
			snprintf(err, nerr, "%s[%d] is %.6g, should be %.6g; %.2g of the greatest, %.6g", name, (int)i,
			         tensor_get(got, i), want[i], e / most, most);
			return false;
		}
	}
	return true;
}

/* On the grid of 16-bit numbers up to the greatest one. */
static float *on_grid(const float *x, int n)
{
	float *y = malloc(sizeof *y * (size_t)(n ? n : 1)), most = 0;
	for (int i = 0; i < n; i++)
		most = fmaxf(most, fabsf(x[i]));
	double step = most > 0 ? ldexp(1, ilogb(most) - 14) : 1;
	for (int i = 0; i < n; i++)
		y[i] = (float)(floor(x[i] / step + 0.5) * step);
	return y;
}

static double farthest(const double *a, const double *b, size_t n)
{
	double far = 0, most = 1;
	for (size_t i = 0; i < n; i++) {
		far = fmax(far, fabs(a[i] - b[i]));
		most = fmax(most, fabs(a[i]));
	}
	return far / most;
}

/* Does the exact layer on 16-bit operands already stray by a sixteenth of what is allowed, or, with gates
 * and states of 16 bits and whichever way they are rounded, by half?  Then the recurrence amplifies (states
 * that grow, gates without bound), and 16-bit arithmetic cannot follow, whoever does it. */
static double stray(const Case *c, Rnn *o)
{
	size_t state = (size_t)o->ndir * o->batch * o->hidden;
	rnn_reference(o);
	double far = fmax(farthest(c->rnn.y, o->y, state * (size_t)o->steps), farthest(c->rnn.yh, o->yh, state));
	return fmax(far, farthest(c->rnn.yc, o->yc, state));
}

static bool is_shaky(const Case *c)
{
	Rnn o = c->rnn, coarse = c->rnn;
	size_t state = (size_t)o.ndir * o.batch * o.hidden;
	float *g[NOPERANDS] = {0};
	for (int k = 0; k < NOPERANDS; k++)
		if (c->value[k])
			g[k] = on_grid(c->value[k], c->count[k]);
	o.x = g[NX], o.w = g[NW], o.r = g[NR], o.b = g[NB], o.h0 = g[NH0], o.c0 = g[NC0], o.p = g[NP];
	o.y = coarse.y = calloc(state * (size_t)o.steps, sizeof *o.y);
	o.yh = coarse.yh = calloc(state, sizeof *o.yh);
	o.yc = coarse.yc = calloc(state, sizeof *o.yc);
	bool shaky = stray(c, &o) > 1.0 / 16384;
	for (int way = 1; way <= 3 && !shaky; way++) {
		coarse.coarse = way;
		shaky = stray(c, &coarse) > 1.0 / 2048;
	}
	for (int k = 0; k < NOPERANDS; k++)
		free(g[k]);
	free(o.y);
	free(o.yh);
	free(o.yc);
	return shaky;
}

static bool run_fixed(const Case *c, const char *kind, double *worst, Diag *d, char *err, size_t nerr)
{
	static const char *const names[NOPERANDS] = {"X", "W", "R", "B", "lens", "H0", "C0", "P"};
	char path[] = "rnn-XXXXXX.npz";
	Module *m = build(c);
	Tensor *in[NOPERANDS];
	int nin = 0;
	for (int k = 0; k < NOPERANDS; k++)
		if (c->count[k] && !c->inner[k])
			in[nin++] = operand_tensor(m, c, k, names[k]);
	int fd = mkstemps(path, 4);
	FILE *f = fd < 0 ? 0 : fdopen(fd, "wb");
	bool ok = f && npz_write(f, in, nin, path, d);
	if (f)
		fclose(f);
	Options opt = {.integer = true, .weights = 16, .activations = 16, .exec = kind, .calib = path};
	Runner *r = ok ? runner_open(m, &opt, d) : 0;
	Sample s = {.in = in, .nin = nin, .steps = c->dynamic ? c->rnn.steps : 1, .fresh = true, .last = true};
	const double *want[3] = {c->rnn.y, c->rnn.yh, c->rnn.yc};
	static const char *const results[3] = {"Y", "Y_h", "Y_c"};
	ok = r && runner_run(r, &s, d);
	for (int k = 0, n = 0; k < 3 && ok; k++)
		if (c->want[k])
			ok = near_fixed(want[k], runner_output(r, n++), results[k], worst, err, nerr);
	if (diag_errors(d))
		diag_print(d, stdout);
	if (r)
		runner_close(r);
	if (fd >= 0)
		unlink(path);
	for (int i = 0; i < nin; i++)
		tensor_free(in[i]);
	module_free(m);
	return ok;
}

/* ---- what was tried --------------------------------------------------------------------------------- */

static void tally_case(const Case *c, bool fixed, bool right)
{
	static const char *const operands[NOPERANDS] = {
		"X", "W", "R", "B", "sequence_lens", "initial_h", "initial_c", "P",
	};
	static const char *const results[3] = {"Y", "Y_h", "Y_c"};
	const Rnn *o = &c->rnn;
	const struct { bool is; const char *name; } is[] = {
		{o->ndir == 1 && !o->reverse, "direction = forward"}, {o->reverse, "direction = reverse"},
		{o->ndir == 2, "direction = bidirectional"}, {!o->layout, "layout = 0"}, {o->layout, "layout = 1"},
		{o->clip > 0, "clip"}, {o->input_forget, "input_forget = 1"},
		{o->linear_before_reset, "linear_before_reset = 1"},
		{o->kind == GRU && !o->linear_before_reset, "linear_before_reset = 0"}, {c->nalpha, "activation_alpha"},
		{c->nbeta, "activation_beta"}, {c->default_acts, "activations by default"},
		{o->batch == 1, "batch of 1"}, {o->batch > 1, "batch of 2 to 4"}, {c->dynamic, "any number of steps"},
		{!c->dynamic, "a fixed number of steps"},
	};
	char name[64];
	for (size_t i = 0; i < sizeof is / sizeof *is; i++)
		if (is[i].is)
			tally(is[i].name, o->kind, fixed, right);
	for (int k = NW; k < NOPERANDS; k++)
		if (c->count[k] && (k > NR || !c->inner[k])) {
			snprintf(name, sizeof name, "operand %s, %s", operands[k], c->inner[k] ? "constant" : "computed");
			tally(name, o->kind, fixed, right);
		}
	for (int k = 0; k < 3; k++)
		if (c->want[k]) {
			snprintf(name, sizeof name, "result %s", results[k]);
			tally(name, o->kind, fixed, right);
		}
	for (int i = 0; i < acts_of[o->kind] * o->ndir && !c->default_acts; i++) {
		bool again = false;
		for (int k = 0; k < i; k++)
			again |= !strcmp(o->act[k], o->act[i]);
		snprintf(name, sizeof name, "activation %s", o->act[i]);
		if (!again)
			tally(name, o->kind, fixed, right);
	}
}

/* ---- all cases ------------------------------------------------------------------------------------ */

typedef struct { long count, only; unsigned long long seed; const char *kind; bool verbose, page; } Asked;

static void draw_fit_case(const Asked *a, long k, bool fixed, Case *c, long *again)
{
	rng = a->seed * 1000003u + (uint64_t)k * 7919u;
	for (;; ++*again, free_case(c)) {
		draw_case(c);
		c->rnn.hair = fixed ? 1e-2 : 1e-4;
		rnn_reference(&c->rnn);
		if (!c->rnn.unfit && !(fixed && is_shaky(c)))
			return;
	}
}

static long run_cases(const Asked *a, bool fixed)
{
	long bad = 0, again = 0, first = a->only >= 0 ? a->only : 0, last = a->only >= 0 ? a->only + 1 : a->count;
	int streamed = 0;
	double worst = 0;
	for (long k = first; k < last; k++) {
		Case c;
		char err[1000] = "";
		draw_fit_case(a, k, fixed, &c, &again);
		Module *m = build(&c);
		Diag *d = diag_new();
		if (a->verbose)
			module_print(m, stdout, 0, 0);
		bool ok = fixed ? run_fixed(&c, a->kind, &worst, d, err, sizeof err)
		                : compile(m, &c, d, err, sizeof err) && run(m, &c, a->kind, &streamed, err, sizeof err);
		tally_case(&c, fixed, ok);
		if (!ok) {
			printf("%s case %ld: %s\n", fixed ? "fixed-point" : "float", k, err);
			bad++;
		}
		diag_free(d);
		module_free(m);
		free_case(&c);
	}
	if (a->page)
		return bad;
	printf("%s: seed %llu, %s, %ld cases, %ld drawn again, ", fixed ? "fixed point" : "float", a->seed, a->kind,
	       last - first, again);
	if (fixed)
		printf("farthest %.2g of the range\n", worst);
	else
		printf("%d streaming\n", streamed);
	return bad;
}

int main(int argc, char **argv)
{
	Asked a = {2000, -1, 1, "interp", false, false};
	bool fixed = false;
	for (int i = 1; i < argc; i++) {
		const char *v = i + 1 < argc ? argv[i + 1] : "";
		if (!strcmp(argv[i], "-v")) a.verbose = true;
		else if (!strcmp(argv[i], "--fixed")) fixed = true;
		else if (!strcmp(argv[i], "--page")) a.page = true;
		else if (!strcmp(argv[i], "--count")) a.count = atol(v), i++;
		else if (!strcmp(argv[i], "--seed")) a.seed = strtoull(v, 0, 0), i++;
		else if (!strcmp(argv[i], "--case")) a.only = atol(v), i++;
		else if (!strcmp(argv[i], "--exec")) a.kind = v, i++;
		else return fprintf(stderr, "usage: test_rnn [--count N] [--seed S] [--case K] [--exec KIND] [--fixed] "
		                    "[--page] [-v]\n"), 2;
	}
	bool both = argc == 1 || a.page;
	long bad = (fixed ? 0 : run_cases(&a, false)) + (fixed || both ? run_cases(&a, true) : 0);
	long ran = (a.only >= 0 ? 1 : a.count) * (both ? 2 : 1);
	if (a.page)
		return tally_page(), bad != 0;
	printf("test_rnn: %ld passed, %ld failed\n", ran - bad, bad);
	return bad != 0;
}

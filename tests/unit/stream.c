/* test_stream: random networks, whole and step by step.
 *
 *	test_stream [--count N] [--seed S] [--case K] [-v]
 * Each case strings random tensor ops and recurrent layers together, with an eye to what looks streamable
 * and is not: ops along the time axis, reshapes that merge it, constants that differ from step to step,
 * layers over another axis.  The network is compiled without the pass `stream` and with it; where the pass
 * makes a @step, whole runs and steps must give what the network without it gives. */
#include "exec/exec.h"
#include "passes/passes.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_VALUES = 64, MAX_OUT = 3 };

static uint64_t rng;

static int draw(int below)
{
	rng = rng * 6364136223846793005u + 1442695040888963407u;
	return (int)((rng >> 33) % (uint32_t)below);
}

static bool one_in(int n)
{
	return draw(n) == 0;
}

static float real(float range)
{
	return range * ((float)draw(1 << 20) / (1 << 19) - 1);
}

/* ---- a random network ---------------------------------------------------------------------------- */

typedef struct Net {
	Module *m;
	Func *f;
	Val *v[MAX_VALUES];
	int n;
	int32_t steps;          /* of the run; dynamic: T in the types */
	bool dynamic;
} Net;

static Val *constant(Net *g, int rank, const int32_t *dim)
{
	Data *d = data_new(g->m, "k", type_tensor(g->m, E_f32, rank, dim));
	for (size_t i = 0; i < d->size / 4; i++)
		((float *)d->bytes)[i] = real(0.8f);
	return val_data(g->m, d);
}

static Op *begin(Net *g, OpKind k, int nin, Val *const *in)
{
	return op_new(g->m, &g->f->body, k, nin, in);
}

/* The op's results are inferred; when it has none, its shapes did not fit and it goes. */
static Val *finish(Net *g, Op *o)
{
	const Type *t[3];
	char err[300];
	int n = infer_types(g->m, o, t, err, sizeof err);
	if (n < 1) {
		op_remove(&g->f->body, o);
		return 0;
	}
	for (int i = 0; i < n; i++)
		op_out(g->m, g->f, o, 0, t[i]);
	return o->out[0];
}

static Val *shaped(Net *g, OpKind k, Val *v, int rank, const int32_t *dim)
{
	Op *o = begin(g, k, 1, &v);
	return op_out(g->m, g->f, o, 0, type_tensor(g->m, E_f32, rank, dim));
}

static Val *make_linear(Net *g, Val *v)
{
	int32_t k = v->type->dim[v->type->rank - 1], dim[2] = {1 + draw(4), k};
	if (k < 0)
		return 0;
	if (one_in(3)) {
		dim[0] = k, dim[1] = 1 + draw(4);
		return finish(g, begin(g, O_matmul, 2, (Val *[]){v, constant(g, 2, dim)}));
	}
	return finish(g, begin(g, O_linear, 2, (Val *[]){v, constant(g, 2, dim)}));
}

static Val *make_binary(Net *g, Val *v)
{
	Val *w = g->v[draw(g->n)];
	if (one_in(3)) {        /* constants of its shape, or broadcast along some axes; not along T */
		int32_t dim[MAX_RANK];
		for (int i = 0; i < v->type->rank; i++)
			dim[i] = v->type->dim[i] == DIM_T || one_in(2) ? 1 : v->type->dim[i];
		w = constant(g, v->type->rank, dim);
	}
	return finish(g, begin(g, one_in(2) ? O_add : O_mul, 2, one_in(2) ? (Val *[]){v, w} : (Val *[]){w, v}));
}

static Val *make_along(Net *g, Val *v)
{
	static const OpKind kinds[] = {O_softmax, O_reducemean, O_reducemax};
	int64_t axis = draw(v->type->rank);
	OpKind k = kinds[draw(3)];
	Op *o = begin(g, k, 1, &v);
	if (k == O_softmax) {
		attr_set_int(g->m, o, "axis", axis);
	} else {
		attr_set_ints(g->m, o, "axes", 1, &axis);
		attr_set_int(g->m, o, "keepdims", v->type->rank == 1 || one_in(2));
	}
	return finish(g, o);
}

static Val *make_transpose(Net *g, Val *v)
{
	int64_t perm[MAX_RANK];
	int n = v->type->rank;
	for (int i = 0; i < n; i++)
		perm[i] = i;
	for (int i = n - 1; i > 0; i--) {
		int k = draw(i + 1);
		int64_t t = perm[i];
		perm[i] = perm[k], perm[k] = t;
	}
	Op *o = begin(g, O_transpose, 1, &v);
	attr_set_ints(g->m, o, "perm", n, perm);
	return finish(g, o);
}

static Val *make_reshape(Net *g, Val *v)
{
	int32_t dim[MAX_RANK + 1];
	int n = v->type->rank, at = draw(n);
	memcpy(dim, v->type->dim, sizeof *dim * (size_t)n);
	if (n < 4 && one_in(2)) {                               /* one more axis of size 1 */
		memmove(dim + at + 1, dim + at, sizeof *dim * (size_t)(n - at));
		dim[at] = 1;
		return shaped(g, O_reshape, v, n + 1, dim);
	}
	if (n > 1 && at + 1 < n && ((dim[at] > 0 && dim[at + 1] > 0) || dim[at] == 1 || dim[at + 1] == 1)) {
		dim[at] = dim[at] == 1 ? dim[at + 1] : dim[at + 1] == 1 ? dim[at] : dim[at] * dim[at + 1];
		memmove(dim + at + 1, dim + at + 2, sizeof *dim * (size_t)(n - at - 2));
		return shaped(g, O_reshape, v, n - 1, dim);     /* two axes merged */
	}
	return 0;
}

static Val *make_slice(Net *g, Val *v)
{
	int32_t dim[MAX_RANK];
	int axis = draw(v->type->rank), at = -1, n = 1, step = 1;
	memcpy(dim, v->type->dim, sizeof dim);
	if (dim[axis] > 0 && one_in(4)) {                       /* the other way round */
		n = dim[axis], at = n - 1, step = -1;
	} else if (dim[axis] > 0 && !one_in(3)) {
		at = draw(dim[axis]);
		n = 1 + draw(dim[axis] - at);
	}
	dim[axis] = n;
	Val *s = shaped(g, O_slice, v, v->type->rank, dim);
	attr_set_int(g->m, s->def, "axis", axis);
	attr_set_int(g->m, s->def, "at", at);
	if (step != 1)
		attr_set_int(g->m, s->def, "step", step);
	return s;
}

/* A constant, or an axis of size 1 of v, spread out; the constant perhaps over T. */
static Val *make_expand(Net *g, Val *v)
{
	int32_t dim[MAX_RANK];
	int n = v->type->rank, axis = draw(n);
	memcpy(dim, v->type->dim, sizeof dim);
	if (dim[axis] == 1) {
		dim[axis] = 2;
		return shaped(g, O_expand, v, n, dim);
	}
	int32_t size = dim[n - 1];
	return size > 0 ? shaped(g, O_expand, constant(g, 1, &size), n, dim) : 0;
}

static Val *make_gather(Net *g, Val *v)
{
	int axis = draw(v->type->rank);
	int32_t one = 1, size = v->type->dim[axis];
	Data *d = data_new(g->m, "index", type_tensor(g->m, E_i32, 1, &one));
	*(int32_t *)d->bytes = size < 0 || one_in(2) ? -1 : draw(size);
	Op *o = begin(g, O_gather, 2, (Val *[]){v, val_data(g->m, d)});
	attr_set_int(g->m, o, "axis", axis);
	return finish(g, o);
}

static Val *make_concat(Net *g, Val *v)
{
	Op *o = begin(g, O_concat, 2, (Val *[]){v, one_in(2) ? v : g->v[draw(g->n)]});
	attr_set_int(g->m, o, "axis", draw(v->type->rank));
	return finish(g, o);
}

/* A layer over axis 0 of a value with three, whichever that is. */
static Val *make_layer(Net *g, Val *v)
{
	static const struct { OpKind kind; int gates; } kinds[] = {{O_lstm, 4}, {O_gru, 3}, {O_rnn, 1}};
	int k = draw(3), h = 1 + draw(3), gates = kinds[k].gates;
	const Type *t = v->type;
	if (t->rank != 3 || t->dim[1] < 0 || t->dim[2] < 0)
		return 0;
	Val *in[6] = {v};
	in[1] = constant(g, 3, (int32_t[]){1, gates * h, t->dim[2]});
	in[2] = constant(g, 3, (int32_t[]){1, gates * h, h});
	in[3] = one_in(2) ? constant(g, 2, (int32_t[]){1, 2 * gates * h}) : 0;
	in[5] = one_in(3) ? constant(g, 3, (int32_t[]){1, t->dim[1], h}) : 0;
	Op *o = begin(g, kinds[k].kind, 6, in);
	attr_set_int(g->m, o, "hidden", h);
	if (one_in(10))
		attr_set_string(g->m, o, "direction", "reverse");
	if (!finish(g, o))
		return 0;
	return o->out[one_in(3)];
}

static Val *make_value(Net *g)
{
	Val *v = g->v[one_in(3) ? draw(g->n) : g->n - 1];
	switch (draw(12)) {
	case 0: case 1: return make_linear(g, v);
	case 2: case 3: return make_binary(g, v);
	case 4: return one_in(4) ? make_along(g, v) : finish(g, begin(g, O_tanh, 1, &v));
	case 5: return make_transpose(g, v);
	case 6: return make_reshape(g, v);
	case 7: return one_in(2) ? make_slice(g, v) : make_gather(g, v);
	case 8: return one_in(3) ? make_expand(g, v) : make_concat(g, v);
	default: return make_layer(g, v);
	}
}

static void draw_net(Net *g)
{
	*g = (Net){.m = module_new("t"), .steps = one_in(5) ? 1 : 2 + draw(4), .dynamic = one_in(2)};
	g->f = func_new(g->m, "main");
	int32_t dim[3] = {1 + (int32_t)one_in(3), 1 + (int32_t)one_in(3), 1 + draw(4)};
	dim[draw(2)] = g->dynamic ? DIM_T : g->steps;
	g->v[g->n++] = func_param(g->m, g->f, "x", type_tensor(g->m, E_f32, 3, dim));
	g->m->in = NEW(g->m->arena, Port);
	*g->m->in = (Port){.name = "x", .type = g->v[0]->type};
	for (int tries = 3 + draw(15); tries > 0; tries--) {
		Val *v = make_value(g);
		if (v && type_count(v->type, g->steps) < 500 && g->n < MAX_VALUES)
			g->v[g->n++] = v;
	}
	Port **at = &g->m->out;
	Val *out[MAX_OUT];
	int n = 1 + draw(MAX_OUT);
	for (int i = 0; i < n; i++) {
		out[i] = i ? g->v[draw(g->n)] : g->v[g->n - 1];
		func_ret(g->m, g->f, out[i]->type);
		*at = NEW(g->m->arena, Port);
		(*at)->name = arena_printf(g->m->arena, "y%d", i);
		(*at)->type = out[i]->type;
		at = &(*at)->next;
	}
	op_new(g->m, &g->f->body, O_ret, n, out);
}

/* ---- compile, run, compare ------------------------------------------------------------------------ */

static bool compile(Module *m, bool stream, char *err, size_t nerr)
{
	static const char *const order[] = {"expand", "stream", "dce", "lower", "plan"};
	Options opt = {0};
	Diag *d = diag_new();
	bool good = module_verify(m, err, nerr);
	for (int i = 0; good && i < 5; i++) {
		const Pass *p = pass_find(order[i]);
		if (i == 1 && !stream)
			continue;
		if (!p->run(m, &opt, d)) {
			snprintf(err, nerr, "%s refuses", p->name);
			good = false;
		}
		m->level = p->to;
		good = good && module_verify(m, err, nerr);
	}
	diag_free(d);
	return good;
}

typedef struct { float *v[MAX_OUT]; } Outputs;

static Outputs outputs_new(const Module *m, int32_t steps)
{
	Outputs o = {{0}};
	int i = 0;
	for (const Port *p = m->out; p; p = p->next)
		o.v[i++] = calloc((size_t)type_count(p->type, steps), 4);
	return o;
}

static void outputs_free(Outputs o)
{
	for (int i = 0; i < MAX_OUT; i++)
		free(o.v[i]);
}

static bool same(const Module *m, int32_t steps, const Outputs *a, const Outputs *b, char *err, size_t nerr)
{
	int i = 0;
	for (const Port *p = m->out; p; p = p->next, i++)
		for (int64_t k = 0; k < type_count(p->type, steps); k++)
			if (!(fabsf(a->v[i][k] - b->v[i][k]) <= 1e-5f * fmaxf(1, fabsf(a->v[i][k])))) {
				snprintf(err, nerr, "%s[%lld] is %g, should be %g", p->name, (long long)k, b->v[i][k], a->v[i][k]);
				return false;
			}
	return true;
}

static bool has_t(const Module *m)
{
	return type_has_t(m->in->type);
}

/* Which axis of a fixed shape is time, the scans say: what T stands for in m, where `plain` has a number. */
static int32_t steps_of(const Net *g, const Module *plain, const Module *m)
{
	for (int i = 0; !g->dynamic && i < m->in->type->rank; i++)
		if (m->in->type->dim[i] == DIM_T)
			return plain->in->type->dim[i];
	return g->steps;
}

/* One step's part of a whole tensor (out: the other way round). A type without T is all of it. */
static void step_part(const Type *t, int32_t steps, int32_t at, float *whole, float *part, bool out)
{
	size_t inner = 1, outer = 1, n = 1;
	for (int i = 0; i < t->rank; i++) {
		if (t->dim[i] == DIM_T)
			n = (size_t)steps, outer = inner, inner = 1;
		else
			inner *= (size_t)t->dim[i];
	}
	for (size_t i = 0; i < outer; i++) {
		float *w = whole + (i * n + (n > 1 ? (size_t)at : 0)) * inner;
		memcpy(out ? w : part + i * inner, out ? part + i * inner : w, inner * 4);
	}
}

static bool run_whole(const Module *m, int32_t steps, const float *x, Outputs *y, char *err, size_t nerr)
{
	Exec *e = exec_open(m, "interp", 0, err, nerr);
	if (!e)
		return false;
	exec_reset(e);
	int32_t status = exec_run(e, (const void *[]){x}, (void *const *)y->v, has_t(m) ? steps : 1);
	exec_close(e);
	snprintf(err, nerr, "run returned %d", status);
	return status == 0;
}

static bool run_steps(const Module *m, int32_t steps, float *x, Outputs *y, char *err, size_t nerr)
{
	Exec *e = exec_open(m, "interp", 0, err, nerr);
	if (!e)
		return false;
	float *in = calloc((size_t)type_count(m->in->type, 1), 4);
	Outputs part = outputs_new(m, 1);
	int32_t status = 0;
	exec_reset(e);
	for (int32_t t = 0; !status && t < (has_t(m) ? steps : 1); t++) {
		step_part(m->in->type, steps, t, x, in, false);
		status = exec_step(e, (const void *[]){in}, (void *const *)part.v);
		int i = 0;
		for (const Port *p = m->out; p; p = p->next, i++)
			step_part(p->type, steps, t, y->v[i], part.v[i], true);
	}
	exec_close(e);
	free(in);
	outputs_free(part);
	snprintf(err, nerr, "step returned %d", status);
	return status == 0;
}

typedef struct { int streams, whole, refused; } Tally;

static bool try_case(bool verbose, Tally *tally, char *err, size_t nerr)
{
	Net g;
	draw_net(&g);
	Module *plain = module_clone(g.m), *streamed = g.m;
	bool good = true;
	if (verbose)
		module_print(plain, stdout, 0, 0);
	if (!compile(plain, false, err, nerr)) {
		tally->refused++;
	} else if ((good = compile(streamed, true, err, nerr))) {
		int32_t n = steps_of(&g, plain, streamed);
		float *x = calloc((size_t)type_count(plain->in->type, g.steps), 4);
		for (int64_t i = 0; i < type_count(plain->in->type, g.steps); i++)
			x[i] = real(1.5f);
		Outputs want = outputs_new(plain, g.steps), got = outputs_new(plain, g.steps);
		good = run_whole(plain, g.steps, x, &want, err, nerr) && run_whole(streamed, n, x, &got, err, nerr)
		       && same(plain, g.steps, &want, &got, err, nerr);
		Exec *e = exec_open(streamed, "interp", 0, err, nerr);
		bool steps = e && exec_has_step(e);
		exec_close(e);
		*(steps ? &tally->streams : &tally->whole) += 1;
		if (good && steps)
			good = run_steps(streamed, n, x, &got, err, nerr)
			       && same(plain, g.steps, &want, &got, err, nerr);
		outputs_free(want);
		outputs_free(got);
		free(x);
	}
	module_free(plain);
	module_free(streamed);
	return good;
}

int main(int argc, char **argv)
{
	long count = 2000, only = -1, bad = 0;
	unsigned long long seed = 1;
	bool verbose = false;
	for (int i = 1; i < argc; i++) {
		const char *v = i + 1 < argc ? argv[i + 1] : "";
		if (!strcmp(argv[i], "-v")) verbose = true;
		else if (!strcmp(argv[i], "--count")) count = atol(v), i++;
		else if (!strcmp(argv[i], "--seed")) seed = strtoull(v, 0, 0), i++;
		else if (!strcmp(argv[i], "--case")) only = atol(v), i++;
		else return fprintf(stderr, "usage: test_stream [--count N] [--seed S] [--case K] [-v]\n"), 2;
	}
	Tally tally = {0, 0, 0};
	long first = only >= 0 ? only : 0, end = only >= 0 ? only + 1 : count;
	for (long k = first; k < end; k++) {
		char err[1000] = "";
		rng = seed * 1000003u + (uint64_t)k * 7919u;
		if (try_case(verbose, &tally, err, sizeof err))
			continue;
		printf("case %ld: %s\n", k, err);
		bad++;
	}
	printf("test_stream: seed %llu, %d streaming, %d whole, %d refused either way: %ld passed, %ld failed\n",
	       seed, tally.streams, tally.whole, tally.refused, end - first - bad, bad);
	return bad != 0;
}

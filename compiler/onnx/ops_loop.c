/* ops_loop.c: Loop: its body becomes the step function of a `scan`, once the number of iterations is known.
 *
 * Values that the body hands on are of three kinds: those it never changes (weights, often), which are the
 * outer values inside, too; integers it adds a constant to, whose value in each iteration is known; and
 * states.  The condition is followed with what is known of counters, iteration by iteration, before anything
 * is built.  A condition that depends on the model's inputs becomes a state: once it is false, the states
 * stay what they are. */
#include "onnx/body.h"
#include "onnx/operators.h"

#include <string.h>

enum { MAX_FOLLOWED = 100000 };         /* iterations */

typedef enum { R_SAME, R_COUNT, R_STATE } Role;

typedef struct {
	Role role;
	int64_t start, step;    /* R_COUNT */
} Carried;

typedef struct {
	Node *n;
	const Onnx__Graph *g;
	int nstate, nout;       /* values handed on, stacked results */
	Value **init;
	Carried *c;
	Sym trip;
	bool endless;           /* no trip count */
	bool masked;            /* the condition is a state */
} LoopOp;

/* ---- the body, looked at without walking it ----------------------------------------------------- */

static const Onnx__Node *producer(const Onnx__Graph *g, const char *name)
{
	for (size_t i = 0; i < g->n_node; i++)
		for (size_t k = 0; k < g->node[i]->n_output; k++)
			if (!strcmp(g->node[i]->output[k], name))
				return g->node[i];
	return 0;
}

/* The name behind Identity nodes. */
static const char *trace(const Onnx__Graph *g, const char *name)
{
	const Onnx__Node *p = producer(g, name);
	for (size_t i = 0; i < g->n_node && p && !strcmp(p->op_type, "Identity") && p->n_input == 1; i++) {
		name = p->input[0];
		p = producer(g, name);
	}
	return name;
}

/* Is `name` in the body one whole number that is known now? */
static bool known_number(LoopOp *l, const char *name, int64_t *v)
{
	Import *im = l->n->im;
	const Onnx__Tensor *p = 0;
	const Onnx__Node *from = producer(l->g, name);
	char err[200];
	for (size_t i = 0; i < l->g->n_initializer; i++)
		if (!strcmp(l->g->initializer[i]->name, name))
			p = l->g->initializer[i];
	if (from && !strcmp(from->op_type, "Constant") && from->n_attribute == 1)
		p = from->attribute[0]->t;
	const Tensor *t = 0;
	if (p && p->data_location != ONNX__TENSOR__LOCATION__EXTERNAL) {
		t = weight_read(im->arena, 0, p, err, sizeof err);
	} else if (!from) {
		const Value *o = scope_find(l->n->scope, name);
		t = is_host(o) && !o->steps ? o->host : 0;
	}
	if (!t || !is_whole(t->type) || t->count != 1)
		return false;
	*v = tensor_get_int(t, 0);
	return true;
}

/* Is the value handed on as `to` what came in as `from`, plus a constant? */
static bool find_step(LoopOp *l, const char *from, const char *to, int64_t *step)
{
	const Onnx__Node *p = producer(l->g, trace(l->g, to));
	bool add = p && !strcmp(p->op_type, "Add"), sub = p && !strcmp(p->op_type, "Sub");
	if ((!add && !sub) || p->n_input != 2)
		return false;
	if (!strcmp(trace(l->g, p->input[0]), from) && known_number(l, trace(l->g, p->input[1]), step)) {
		*step = sub ? -*step : *step;
		return true;
	}
	return add && !strcmp(trace(l->g, p->input[1]), from) &&
	       known_number(l, trace(l->g, p->input[0]), step);
}

static void classify(LoopOp *l, int i)
{
	const char *from = l->g->input[2 + i]->name, *to = l->g->output[1 + i]->name;
	const Value *init = l->init[i];
	Carried *c = &l->c[i];
	c->role = R_STATE;
	if (!strcmp(trace(l->g, to), from)) {
		c->role = R_SAME;
	} else if (is_host(init) && !init->steps && is_whole(init->type) && init->type != H_BOOL
		   && init->host->rank == 0 && find_step(l, from, to, &c->step)) {
		c->role = R_COUNT;
		c->start = tensor_get_int(init->host, 0);
	}
}

static bool read_loop(LoopOp *l)
{
	Node *n = l->n;
	const Onnx__Attribute *body = get_attr(n, "body");
	if (!body)
		return fail(n, "attribute 'body' is missing");
	l->g = body->g;
	l->nstate = n->nin > 2 ? n->nin - 2 : 0;
	l->nout = (int)l->g->n_output - 1 - l->nstate;
	l->init = n->in + 2;
	if (l->g->n_input != (size_t)l->nstate + 2 || l->nout < 0 || n->nout > l->nstate + l->nout)
		return fail(n,
			    "its body has %zu inputs and %zu results, which do not fit %d operands and %d "
			    "results",
			    l->g->n_input, l->g->n_output, n->nin, n->nout);
	for (int i = 2; i < n->nin; i++)
		if (!n->in[i])
			return fail(n, "operand %d is missing", i);
	l->c = NEWN(n->im->arena, Carried, l->nstate);
	for (int i = 0; i < l->nstate; i++)
		classify(l, i);
	return true;
}

/* ---- how often ----------------------------------------------------------------------------- */

static Value *host_number(Import *im, const char *name, HostType type, int64_t v)
{
	Tensor *t = NEW(im->arena, Tensor);
	t->type = type;
	t->count = 1;
	t->bytes = arena_alloc(im->arena, 8);
	tensor_set_int(t, 0, v);
	Value *y = NEW(im->arena, Value);
	*y = (Value){ .name = name, .kind = V_HOST, .type = type, .host = t, .producer = -1 };
	return y;
}

/* The condition after iteration k (-1: after any): 0, 1; -1: not known. */
static int condition_after(LoopOp *l, int64_t k)
{
	Import *im = l->n->im;
	Import keep = *im;
	Diag *quiet = diag_new();
	im->arena = arena_new();
	im->copies = table_new(im->arena, 8);
	im->d = quiet;
	Value **in = NEWN(im->arena, Value *, l->g->n_input),
	      **out = NEWN(im->arena, Value *, l->g->n_output);
	bool *want = NEWN(im->arena, bool, l->g->n_output);
	want[0] = true;
	for (size_t i = 0; i < l->g->n_input; i++) {
		const Carried *c = i >= 2 ? &l->c[i - 2] : 0;
		in[i] = NEW(im->arena, Value);
		in[i]->name = l->g->input[i]->name;
		in[i]->producer = -1;
		if (i == 1)
			in[i] = host_number(im, in[i]->name, H_BOOL, 1);
		else if (i == 0 && k >= 0)
			in[i] = host_number(im, in[i]->name, H_I64, k);
		else if (c && c->role == R_COUNT && k >= 0)
			in[i] = host_number(im, in[i]->name, l->init[i - 2]->type, c->start + c->step * k);
		else if (c && c->role == R_SAME && is_host(l->init[i - 2]))
			*in[i] = *l->init[i - 2];
	}
	Walk w = { .g = l->g, .in = in, .want = want, .constants = true };
	int known = -1;
	if (graph_walk(im, l->n->scope, &w, out) && is_host(out[0]) && out[0]->host->count == 1 &&
	    !out[0]->steps)
		known = tensor_get_int(out[0]->host, 0) != 0;
	arena_free(im->arena);
	diag_free(quiet);
	keep.last_data = im->last_data;
	*im = keep;
	return known;
}

static bool read_trip_count(LoopOp *l)
{
	const Value *m = input(l->n, 0);
	l->endless = !m;
	if (!m)
		return true;
	if (!is_host(m))
		return fail(l->n,
			    "its trip count '%s' is computed from the model's inputs; bind the input it "
			    "comes from "
			    "with --set NAME=VALUE",
			    m->name);
	if (!is_whole(m->type) || m->host->count != 1)
		return fail(l->n, "its trip count is no whole number");
	l->trip = host_sym(m->host, m->steps, 0);
	if (l->trip.a && (l->trip.a != 1 || l->trip.b))
		return fail_fixed(l->n, "the trip count is computed from it");
	if (!l->trip.a && l->trip.b < 0)
		l->trip.b = 0;
	l->endless = !l->trip.a && l->trip.b >= INT32_MAX;
	return true;
}

/* The condition becomes a state. */
static bool mask_condition(LoopOp *l)
{
	if (l->endless)
		return fail(
			l->n,
			"ends by a condition that is computed when the model runs, and has no trip count");
	for (int i = l->nstate; i < l->n->nout; i++)
		if (result(l->n, i) && result(l->n, i)->needed)
			return fail(l->n, "stacks results, but its condition is computed when the model "
					  "runs: how many there "
					  "are would not be known");
	return l->masked = true;
}

static bool follow_condition(LoopOp *l)
{
	int always = condition_after(l, -1);
	if (always == 1)
		return !l->endless ||
		       fail(l->n, "never ends: it has no trip count and its condition stays true");
	if (always == 0) {
		l->trip = (Sym){ 0, !l->endless && !l->trip.a && !l->trip.b ? 0 : 1 };
		return true;
	}
	if (l->trip.a)
		return condition_after(l, 0) < 0 ? mask_condition(l)
			: fail_fixed(l->n, "its condition is computed from the loop's counter");
	for (int64_t k = 0; l->endless || k < l->trip.b; k++) {
		int next = condition_after(l, k);
		if (next < 0)
			return mask_condition(l);
		if (k == MAX_FOLLOWED)
			return fail(l->n, "its condition is still true after %d iterations", MAX_FOLLOWED);
		if (!next) {
			l->trip = (Sym){ 0, k + 1 };
			return true;
		}
	}
	return true;
}

static bool count_iterations(LoopOp *l)
{
	const Value *c = input(l->n, 1);
	if (!read_trip_count(l))
		return false;
	if (c && (c->type != H_BOOL || shape_of(c).rank > 1))
		return fail(l->n, "its condition is no single bool");
	if (is_host(c) && !tensor_get_int(c->host, 0)) {
		l->trip = (Sym){ 0, 0 };
		return true;
	}
	return c && c->kind == V_RUN ? mask_condition(l) : follow_condition(l);
}

/* ---- the body as a step function ----------------------------------------------------------------- */

/* What it hands on stays what it was. */
static bool no_iteration(LoopOp *l)
{
	for (int i = 0; i < l->nstate; i++)
		set_same(l->n, i, l->init[i]);
	for (int i = l->nstate; i < l->n->nout; i++)
		if (result(l->n, i) && result(l->n, i)->needed)
			return fail(l->n, "never runs its body, but its stacked results are used");
	return true;
}

static bool bind_inputs(LoopOp *l, Body *b, Value **in)
{
	Import *im = l->n->im;
	in[0] = body_counter(b, H_I64, 0, 1);
	in[1] = host_number(im, l->g->input[1]->name, H_BOOL, 1);
	if (!in[0])
		return false;
	for (int i = 0; i < l->nstate; i++) {
		const Carried *c = &l->c[i];
		Value *init = l->init[i];
		in[2 + i] = c->role == R_SAME ? body_capture(b, init)
			: c->role == R_COUNT ? body_counter(b, init->type, c->start, c->step)
			: body_state(b, l->g->input[2 + i]->name, init);
		if (!in[2 + i])
			return false;
	}
	return true;
}

/* While the condition holds v, then what it was. */
static Value *masked(LoopOp *l, Value *on, Value *v, Value *old)
{
	Val *in[] = { on->val, operand(l->n, v), old->val };
	if (!in[1])
		return 0;
	Value *y = NEW(l->n->im->arena, Value);
	*y = *old;
	y->val = op_end(l->n, op_begin(l->n, O_where, 3, in));
	return y->val ? y : 0;
}

static bool mask_states(LoopOp *l, Body *b, Value *on, Value *const *in, Value **out)
{
	for (int i = 0; i < l->nstate; i++)
		if (l->c[i].role == R_COUNT)
			return fail(
				l->n,
				"its condition is computed when the model runs, and it counts: how far would "
				"not be known");
	for (int i = 0; i < l->nstate; i++)
		if (l->c[i].role == R_STATE && !(out[1 + i] = masked(l, on, out[1 + i], in[2 + i])))
			return false;
	Val *c = operand(l->n, out[0]);
	Shape scalar = { 0 };
	Value next = *on;
	next.val = c ? emit2(l->n, O_and, on->val, emit_reshape(l->n, c, &scalar)) : 0;
	return next.val && body_next(b, on, &next);
}

static Value *condition_state(LoopOp *l, Body *b)
{
	Value *c = input(l->n, 1);
	if (c && shape_of(c).rank)
		return 0;
	return body_state(b, "on", c ? c : host_number(l->n->im, "on", H_BOOL, 1));
}

static bool set_results(LoopOp *l, const Op *o, int nret, Value *const *in, Value *const *out)
{
	Node *n = l->n;
	int s = nret + l->masked;
	for (int i = 0; i < l->nstate; i++) {
		const Carried *c = &l->c[i];
		if (c->role == R_SAME) {
			set_same(n, i, l->init[i]);
		} else if (c->role == R_COUNT) {
			Tensor *t = host_new(n, l->init[i]->type, 0, 0);
			int64_t *steps = steps_new(n, 1);
			if (!t)
				return false;
			tensor_set_int(t, 0, c->start + c->step * l->trip.b);
			steps[0] = c->step * l->trip.a;
			set_host(n, i, t, steps);
		} else {
			set_run(n, i, o->out[s++], in[2 + i]->type);
		}
	}
	for (int i = l->nstate, k = 0; i < n->nout; i++)
		if (result(n, i) && result(n, i)->needed)
			set_run(n, i, o->out[k++], out[1 + i]->type);
	return true;
}

/* Results that nobody wants are not computed. */
static bool *wanted(LoopOp *l)
{
	bool *want = NEWN(l->n->im->arena, bool, l->g->n_output);
	for (size_t i = 0; i < l->g->n_output; i++) {
		const Value *v = i ? result(l->n, (int)i - 1) : 0;
		want[i] = i == 0                   ? l->masked
			  : i <= (size_t)l->nstate ? l->c[i - 1].role == R_STATE
						   : v && v->needed;
	}
	return want;
}

static bool run_body(LoopOp *l, Body *b, Value **in, Value **out, int *nret)
{
	bool *want = wanted(l);
	Value *on = 0;
	if (l->masked && !(on = condition_state(l, b)))
		return fail(l->n, "its condition is no scalar");
	if (!bind_inputs(l, b, in) ||
	    !graph_walk(l->n->im, l->n->scope, &(Walk){.g = l->g, .in = in, .want = want, .body = b}, out))
		return false;
	for (size_t i = 0; i < l->g->n_output; i++)
		if (want[i] && out[i]->kind == V_UNKNOWN)
			return false;
	if (on && !mask_states(l, b, on, in, out))
		return false;
	for (int i = 0; i < l->nstate; i++)
		if (l->c[i].role == R_STATE && !body_next(b, in[2 + i], out[1 + i]))
			return false;
	for (int i = l->nstate; i < l->nstate + l->nout; i++)
		if (want[1 + i]) {
			body_result(b, out[1 + i], 0);
			++*nret;
		}
	return true;
}

bool op_loop(Node *n)
{
	LoopOp l = { .n = n };
	if (!read_loop(&l) || !count_iterations(&l))
		return false;
	if (!l.trip.a && !l.trip.b)
		return no_iteration(&l);
	Body *b = body_begin(n, "loop", l.trip.a ? DIM_T : (int32_t)l.trip.b);
	Value **in = NEWN(n->im->arena, Value *, l.g->n_input),
	      **out = NEWN(n->im->arena, Value *, l.g->n_output);
	int nret = 0;
	if (!run_body(&l, b, in, out, &nret)) {
		body_abandon(b);
		return false;
	}
	Op *o = body_finish(b, false);
	return o && set_results(&l, o, nret, in, out);
}

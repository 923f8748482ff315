/* expand.c: lstm, gru and rnn ops -> scans over step functions of plain ops.
 *
 * Each direction of a layer is a scan of its own over the same input, forward or reverse; layout 1 only
 * changes along which axis.  Results are joined along the axis of directions as ONNX wants them.  What ONNX
 * says of ragged batches (sequence_lens) becomes a third state that counts the steps: past its sequence's
 * end a row holds its states, and its output is 0.  Walking backwards, that lets each sequence start at its
 * own last step. */
#include "passes/expand.h"
#include "passes/passes.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

static bool fault(Layer *l, const char *fmt, ...)
{
	char text[300];
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	const Loc *at = &l->op->loc;
	diag_error(l->d, "%s: node '%s' (%s): %s", at->file ? at->file : l->m->name, at->node ? at->node : l->name,
	           op_info[l->op->kind].name, text);
	return false;
}

/* ---- attributes ---------------------------------------------------------------------------- */

static const struct { const char *name; OpKind kind; int args; float alpha, beta; } functions[] = {
	{"Sigmoid", O_sigmoid, 0, 0, 0},
	{"Tanh", O_tanh, 0, 0, 0},
	{"Relu", O_relu, 0, 0, 0},
	{"Softsign", O_softsign, 0, 0, 0},
	{"Softplus", O_softplus, 0, 0, 0},
	{"LeakyRelu", O_leakyrelu, 1, 0.01f, 0},
	{"ThresholdedRelu", O_thresholdedrelu, 1, 1, 0},
	{"Elu", O_elu, 1, 1, 0},
	{"HardSigmoid", O_hardsigmoid, 2, 0.2f, 0.5f},
	{"Affine", O_affine, -2, 0, 0},         /* negative: ONNX names no default */
	{"ScaledTanh", O_scaledtanh, -2, 0, 0},
};

/* The next number of list a, which the functions that take one use up in order. */
static bool next_number(const Attr *a, int *used, float *v)
{
	if (!a || *used >= a->n)
		return false;
	*v = a->v.f[(*used)++];
	return true;
}

static bool read_activations(Layer *l)
{
	static const char *const usual[3] = {"Sigmoid", "Tanh", "Tanh"};
	const Attr *names = attr_find(l->op, "activations");
	const Attr *alpha = attr_find(l->op, "alpha"), *beta = attr_find(l->op, "beta");
	int total = l->ndir * l->nact, nalpha = 0, nbeta = 0;
	if (names && (names->kind != A_STRING || names->n != total))
		return fault(l, "'activations' must name %d functions", total);
	if ((alpha && alpha->kind != A_FLOAT) || (beta && beta->kind != A_FLOAT))
		return fault(l, "'activation_alpha' and 'activation_beta' must be lists of floats");
	for (int i = 0; i < total; i++) {
		const char *want = names ? names->v.s[i] : l->gates == 1 ? "Tanh" : usual[i % l->nact];
		size_t k = 0, n = sizeof functions / sizeof *functions;
		while (k < n && strcasecmp(want, functions[k].name))
			k++;
		if (k == n)
			return fault(l, "activation function '%s' is not known", want);
		int args = functions[k].args;
		Activation *a = &l->act[i];
		*a = (Activation){functions[k].kind, functions[k].alpha, functions[k].beta};
		bool given = !args || next_number(alpha, &nalpha, &a->alpha);
		if (abs(args) == 2 && !next_number(beta, &nbeta, &a->beta))
			given = false;
		if (!given && args < 0)
			return fault(l, "activation function '%s' needs 'activation_alpha' and 'activation_beta'", want);
	}
	return true;
}

static bool read_attributes(Layer *l)
{
	const char *direction = attr_string(l->op, "direction", "forward");
	l->reverse = !strcmp(direction, "reverse");
	l->ndir = strcmp(direction, "bidirectional") ? 1 : 2;
	l->gates = l->op->kind == O_lstm ? 4 : l->op->kind == O_gru ? 3 : 1;
	l->nact = l->op->kind == O_lstm ? 3 : l->op->kind == O_gru ? 2 : 1;
	l->clip = attr_float(l->op, "clip", 0);
	if (attr_find(l->op, "clip") && !(l->clip > 0))
		return fault(l, "'clip' must be positive");
	int64_t layout = attr_int(l->op, "layout", 0);
	if (layout != 0 && layout != 1)
		return fault(l, "'layout' must be 0 or 1");
	l->batch_first = layout == 1;
	l->input_forget = attr_int(l->op, "input_forget", 0) != 0;
	l->reset_after = attr_int(l->op, "linear_before_reset", 0) != 0;
	return read_activations(l);
}

/* ---- operands ------------------------------------------------------------------------------ */

/* Their shapes fit together: the verifier saw to that. */
static bool read_operands(Layer *l)
{
	for (int i = 0; i < l->op->nin; i++)
		l->in[i] = l->op->in[i];
	const Type *x = l->in[X]->type;
	l->steps = x->dim[l->batch_first ? 1 : 0];
	l->batch = x->dim[l->batch_first ? 0 : 1];
	l->hidden = l->in[R]->type->dim[2];
	if (l->batch <= 0 || x->dim[2] <= 0 || l->hidden <= 0)
		return fault(l, "batch, input size and hidden size must be above 0");
	return true;
}

/* ---- ragged batches ------------------------------------------------------------------------ */

static bool all_whole(Layer *l)
{
	const Val *v = l->in[LENS];
	if (!v)
		return true;
	if (!v->data || l->steps == DIM_T)
		return false;
	for (int i = 0; i < l->batch; i++)
		if (((const int32_t *)v->data->bytes)[i] < l->steps)
			return false;
	return true;
}

/* The index of the last step where T is known only when the model runs: a scan that counts. */
static Val *count_steps(Layer *l)
{
	Module *m = l->m;
	const Type *x = l->in[X]->type, *i32 = l->one->type;
	Func *f = func_new(m, arena_printf(m->arena, "%s_steps", l->name));
	func_param(m, f, "x", floats(m, 2, l->batch, x->dim[2]));
	Val *k = func_state(m, f, "k", i32, 0);
	Val *k1 = op1(m, f, &f->body, O_add, i32, "k1", 2, k, l->one);
	op_new(m, &f->body, O_next, 2, (Val *[]){k, k1});
	op_new(m, &f->body, O_ret, 0, 0);

	Val *in[2] = {l->in[X], layer_ints(l, "before", -1)};
	Op *scan = op_before(m, &l->f->body, l->op, O_scan, 2, in);
	scan->callee = f;
	scan->loc = l->op->loc;
	attr_set_int(m, scan, "seq", 1);
	attr_set_int(m, scan, "init", 1);
	attr_set_ints(m, scan, "axis", 1, (int64_t[]){l->batch_first});
	return op_out(m, l->f, scan, 0, i32);
}

static void prepare_lens(Layer *l)
{
	if (all_whole(l))
		return;
	const int32_t dim[2] = {l->batch, 1};
	l->lens = layer_reshape(l, l->in[LENS], 0, 2, dim);
	l->zero = layer_floats(l, "zero", 0);
	l->one = layer_ints(l, "one", 1);
	if (l->ndir == 2 || l->reverse)
		l->last = l->steps == DIM_T ? count_steps(l) : layer_ints(l, "last", l->steps - 1);
}

/* An empty sequence ends in zeros, whatever its initial state was. */
static Val *init_of(Cell *c, int k, const char *name)
{
	Layer *l = c->l;
	Val *v = cell_init(c, k, name);
	if (!l->lens || !l->in[k])
		return v;
	Val *some = layer_op(l, O_less, 0, l->lens->type, layer_ints(l, "none", 0), l->lens);
	Op *o = op_before(l->m, &l->f->body, l->op, O_where, 3, (Val *[]){some, v, l->zero});
	o->loc = l->op->loc;
	return op_out(l->m, l->f, o, 0, v->type);
}

/* ---- one direction ------------------------------------------------------------------------- */

static Val *keep_while(Cell *c, const char *name, Val *on, Val *v, Val *otherwise)
{
	return cell_op(c, O_where, name, v->type, on, v, otherwise);
}

static Val *add_state(Cell *c, const char *name, Val *init)
{
	c->init[c->ninit++] = init;
	return func_state(c->l->m, c->f, name, init->type, 0);
}

/* The step function: states, equations, mask, next.  want_y: it returns h1. */
static void build_step(Cell *c, bool want_y)
{
	Layer *l = c->l;
	Module *m = l->m;
	c->f = func_new(m, c->name);
	c->name = c->f->name;
	c->x = func_param(m, c->f, "x", floats(m, 2, l->batch, l->in[X]->type->dim[2]));
	c->h = add_state(c, "h", init_of(c, H0, "h0"));
	if (l->op->kind == O_lstm)
		c->c = add_state(c, "c", init_of(c, C0, "c0"));
	Val *k = l->lens ? add_state(c, "k", c->reverse ? l->last : layer_ints(l, "first", 0)) : 0;

	if (l->op->kind == O_lstm)
		cell_lstm(c);
	else if (l->op->kind == O_gru)
		cell_gru(c);
	else
		cell_rnn(c);

	Val *y = c->h1, *k1 = 0;
	if (l->lens) {
		Val *lens = l->lens;
		if (!lens->data) {
			c->piece[c->npiece++] = lens;
			lens = func_param(m, c->f, "lens", lens->type);
		}
		Val *on = cell_op(c, O_less, "on", lens->type, k, lens, 0);
		y = want_y ? keep_while(c, "y", on, c->h1, l->zero) : 0;
		c->h1 = keep_while(c, "h2", on, c->h1, c->h);
		c->c1 = c->c ? keep_while(c, "c2", on, c->c1, c->c) : 0;
		k1 = cell_op(c, c->reverse ? O_sub : O_add, "k1", k->type, k, l->one, 0);
	}
	Val *next[2 * MAX_STATES] = {c->h, c->h1};
	int n = 2;
	if (c->c)
		next[n++] = c->c, next[n++] = c->c1;
	if (k)
		next[n++] = k, next[n++] = k1;
	op_new(m, &c->f->body, O_next, n, next);
	op_new(m, &c->f->body, O_ret, want_y, &y);
	if (want_y)
		func_ret(m, c->f, y->type);
}

/* The scan of it.  out: Y (when wanted), Y_h, Y_c of this direction. */
static void build_scan(Cell *c, bool want_y, Val *out[3])
{
	Layer *l = c->l;
	Module *m = l->m;
	Val *in[1 + MAX_STATES + MAX_PIECES] = {l->in[X]};
	memcpy(in + 1, c->init, sizeof *in * c->ninit);
	memcpy(in + 1 + c->ninit, c->piece, sizeof *in * c->npiece);
	Op *o = op_before(m, &l->f->body, l->op, O_scan, 1 + c->ninit + c->npiece, in);
	o->callee = c->f;
	o->loc = l->op->loc;
	int64_t axis = l->batch_first;
	attr_set_int(m, o, "seq", 1);
	attr_set_int(m, o, "init", c->ninit);
	attr_set_ints(m, o, "axis", 1, &axis);
	if (want_y) {
		attr_set_ints(m, o, "out_axis", 1, &axis);
		attr_set_strings(m, o, "keep", 1, (const char *[]){"all"});
	}
	if (c->reverse)
		attr_set_int(m, o, "reverse", 1);
	if (want_y) {
		int a = l->batch_first ? l->batch : l->steps, b = l->batch_first ? l->steps : l->batch;
		out[0] = op_out(m, l->f, o, 0, floats(m, 3, a, b, l->hidden));
	}
	for (int i = 0; i < c->ninit; i++) {
		Val *v = op_out(m, l->f, o, 0, c->init[i]->type);
		if (i == 0 || (i == 1 && c->c))
			out[1 + i] = v;
	}
}

/* ---- one layer ----------------------------------------------------------------------------- */

static bool is_used(const Func *f, const Val *v)
{
	for (const Op *o = f->body.first; o; o = o->next)
		for (int i = 0; i < o->nin; i++)
			if (o->in[i] == v)
				return true;
	return false;
}

/* The directions' results, each with an axis of size 1 put in, side by side along it: takes the place of
 * result k of the op. */
static void join(Layer *l, int k, Val *const *part)
{
	Val *old = l->op->out[k], *v = part[0], *with_axis[2];
	const Type *t = part[0]->type;
	int axis = k == 0 ? t->rank - 1 : l->batch_first ? 1 : 0;
	if (k == 0 && !l->batch_first)
		axis = 1;       /* [T,D,N,H]; batch first [N,T,D,H] */
	int32_t dim[MAX_RANK];
	for (int i = 0, j = 0; i <= t->rank; i++)
		dim[i] = i == axis ? 1 : t->dim[j++];
	for (int d = 0; d < l->ndir; d++)
		v = with_axis[d] = layer_reshape(l, part[d], 0, t->rank + 1, dim);
	if (l->ndir == 2) {
		dim[axis] = 2;
		v = layer_op(l, O_concat, 0, type_like(l->m, t, t->rank + 1, dim), with_axis[0], with_axis[1]);
		attr_set_int(l->m, v->def, "axis", axis);
	}
	val_replace(l->f, old, v);
	v->name = old->name;
}

static bool expand_op(Module *m, Func *f, Op *op, int number, Diag *d)
{
	Layer l = {.m = m, .f = f, .op = op, .d = d};
	l.name = arena_printf(m->arena, "%s_%d", op_info[op->kind].name, number);
	if (!read_attributes(&l) || !read_operands(&l))
		return false;
	prepare_lens(&l);
	bool want_y = op->nout > 0 && is_used(f, op->out[0]);
	Val *out[3][2] = {{0}};
	for (int dir = 0; dir < l.ndir; dir++) {
		Cell c = {.l = &l, .dir = dir, .reverse = l.reverse || dir == 1, .name = l.name};
		if (l.ndir == 2)
			c.name = arena_printf(m->arena, "%s_%s", l.name, dir ? "bwd" : "fwd");
		Val *part[3] = {0};
		build_step(&c, want_y);
		build_scan(&c, want_y, part);
		for (int k = 0; k < 3; k++)
			out[k][dir] = part[k];
	}
	for (int k = 0; k < op->nout; k++)
		if (out[k][0] && is_used(f, op->out[k]))
			join(&l, k, out[k]);
	op_remove(&f->body, op);
	return true;
}

bool pass_expand(Module *m, const Options *opt, Diag *d)
{
	int number[N_OPS] = {0};
	bool ok = true;
	each_func(f, m) {
		each_op(o, &f->body)
			if (o->kind == O_lstm || o->kind == O_gru || o->kind == O_rnn)
				ok &= expand_op(m, f, o, number[o->kind]++, d);
		func_renumber(f);
	}
	return ok;
}

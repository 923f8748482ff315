/* ops_rnn.c: LSTM, GRU and RNN.  All sizes are held against each other here, and attributes are brought to
 * one form: activations in their canonical spelling, for all directions; alpha and beta for each function
 * that takes one. */
#include "onnx/import.h"
#include "onnx/operators.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

struct Layer { OpKind op; int gates, functions; const char *const *defaults; bool peepholes; };

static const char *const lstm_functions[] = { "Sigmoid", "Tanh", "Tanh" };
const Layer layer_lstm = { O_lstm, 4, 3, lstm_functions, true };
const Layer layer_gru = { O_gru, 3, 2, lstm_functions, false };
const Layer layer_rnn = { O_rnn, 1, 1, lstm_functions + 1, false };

/* ---- activations --------------------------------------------------------------------------- */

/* Functions without alpha or beta in the format's list have `has` 0; Affine and ScaledTanh have no
 * defaults: a layer must say theirs. */
static const struct { const char *name; bool has_alpha, has_beta, must; float alpha, beta; } functions[] = {
	{ "Relu", 0, 0, 0, 0, 0 }, { "Tanh", 0, 0, 0, 0, 0 }, { "Sigmoid", 0, 0, 0, 0, 0 },
	{ "Affine", 1, 1, 1, 0, 0 }, { "LeakyRelu", 1, 0, 0, 0.01f, 0 }, { "ThresholdedRelu", 1, 0, 0, 1, 0 },
	{ "ScaledTanh", 1, 1, 1, 0, 0 }, { "HardSigmoid", 1, 1, 0, 0.2f, 0.5f }, { "Elu", 1, 0, 0, 1, 0 },
	{ "Softsign", 0, 0, 0, 0, 0 }, { "Softplus", 0, 0, 0, 0, 0 },
};
enum { N_FUNCTIONS = sizeof functions / sizeof *functions };

static int find_function(const char *name, size_t n)
{
	for (int i = 0; i < N_FUNCTIONS; i++)
		if (strlen(functions[i].name) == n && !strncasecmp(functions[i].name, name, n))
			return i;
	return -1;
}

/* The next value of a list that is used up, in order, by the functions that take one. */
static bool next_value(Node *n, const Onnx__Attribute *list, size_t *used, int f, float otherwise, float *to)
{
	*to = otherwise;
	if (list && *used < list->n_floats)
		*to = list->floats[(*used)++];
	else if (functions[f].must)
		return fail(n, "activation %s has no value in activation_alpha or activation_beta",
			    functions[f].name);
	return true;
}

static bool set_activations(Node *n, Op *o, const Layer *l, int dirs)
{
	enum { MOST = 6 };
	const Onnx__Attribute *a = get_attr(n, "activations");
	const Onnx__Attribute *alphas = get_attr(n, "activation_alpha"),
			      *betas = get_attr(n, "activation_beta");
	const char *name[MOST];
	float alpha[MOST], beta[MOST];          /* of the functions that take one, in order */
	size_t count = (size_t)(dirs * l->functions);
	size_t na = 0, nb = 0, used_a = 0, used_b = 0;
	bool good = true;
	if (a && a->n_strings != count)
		return fail(n, "attribute 'activations' has %zu names; %zu are needed", a->n_strings, count);
	for (size_t i = 0; i < count; i++) {
		const char *d = l->defaults[i % (size_t)l->functions];
		int f = a ? find_function((char *)a->strings[i].data, a->strings[i].len)
			  : find_function(d, strlen(d));
		if (f < 0) {
			good = fail(n,
				    "attribute 'activations'[%zu] = \"%.*s\" is not supported; supported: "
				    "Relu, Tanh, Sigmoid, Affine, LeakyRelu, ThresholdedRelu, ScaledTanh, "
				    "HardSigmoid, Elu, Softsign, Softplus",
				    i, (int)(a->strings[i].len < 100 ? a->strings[i].len : 100),
				    (char *)a->strings[i].data);
			continue;
		}
		name[i] = functions[f].name;
		if (functions[f].has_alpha)
			good &= next_value(n, alphas, &used_a, f, functions[f].alpha, &alpha[na++]);
		if (functions[f].has_beta)
			good &= next_value(n, betas, &used_b, f, functions[f].beta, &beta[nb++]);
	}
	if (!good)
		return false;
	if ((alphas && alphas->n_floats > used_a) || (betas && betas->n_floats > used_b))
		return fail(n,
			    "activation_alpha or activation_beta has more values than the activations take");
	attr_set_strings(n->im->m, o, "activations", (int)count, name);
	if (na)
		attr_set_floats(n->im->m, o, "alpha", (int)na, alpha);
	if (nb)
		attr_set_floats(n->im->m, o, "beta", (int)nb, beta);
	return true;
}

/* ---- sizes --------------------------------------------------------------------------------- */

typedef struct { int dirs, hidden, layout; int32_t seq, batch, input; } Sizes;

static const char *shape_text(const Shape *s, char *to, size_t size)
{
	size_t at = (size_t)snprintf(to, size, "[");
	for (int i = 0; i < s->rank && at < size; i++)
		at += (size_t)(s->dim[i] == DIM_T ? snprintf(to + at, size - at, "%sT", i ? "," : "")
			       : snprintf(to + at, size - at, "%s%d", i ? "," : "", s->dim[i]));
	if (at < size)
		snprintf(to + at, size - at, "]");
	return to;
}

/* Operand i, if there is one, has this shape and kind of element. */
static bool fits(Node *n, const Sizes *z, int i, const char *name, bool whole, int rank, const int32_t *dim)
{
	const Value *v = input(n, i);
	if (!v)
		return true;
	if (is_whole(v->type) != whole)
		return fail(n, "%s ('%s') is %s", name, v->name, host_name(v->type));
	Shape have = shape_of(v), want = { .rank = rank };
	bool same = have.rank == rank;
	for (int k = 0; k < rank; k++) {
		want.dim[k] = dim[k];
		same &= have.dim[k] == dim[k];
	}
	if (same)
		return true;
	char a[100], b[100], x[100];
	Shape xs = shape_of(n->in[0]);
	return fail(n, "%s ('%s') is %s; with X %s, hidden size %d and %d direction%s it must be %s", name,
		    v->name, shape_text(&have, a, sizeof a), shape_text(&xs, x, sizeof x), z->hidden, z->dirs,
		    z->dirs == 1 ? "" : "s", shape_text(&want, b, sizeof b));
}

static bool read_sizes(Node *n, Sizes *z)
{
	Shape x = shape_of(n->in[0]), r = shape_of(n->in[2]);
	const char *direction = get_string(n, "direction", "forward");
	char text[100];
	z->layout = get_int(n, "layout", 0) != 0;
	z->dirs = strcmp(direction, "bidirectional") ? 1 : 2;
	if (z->dirs == 1 && strcmp(direction, "forward") && strcmp(direction, "reverse"))
		return fail(n, "attribute 'direction' = \"%.100s\" is not supported; supported: forward, "
			    "reverse, bidirectional", direction);
	if (x.rank != 3 || is_whole(n->in[0]->type))
		return fail(n, "X ('%s') is %s %s; it must be real, with 3 dimensions", n->in[0]->name,
			    host_name(n->in[0]->type), shape_text(&x, text, sizeof text));
	z->seq = x.dim[z->layout];
	z->batch = x.dim[!z->layout];
	z->input = x.dim[2];
	if (z->batch == DIM_T || z->input == DIM_T)
		return fail_fixed(n, z->batch == DIM_T ? "it is the batch size of a recurrent layer"
				  : "it is the number of features of a recurrent layer");
	int64_t hidden = get_int(n, "hidden_size", r.rank == 3 ? r.dim[2] : 0);
	if (hidden < 1 || hidden > 1 << 24)
		return fail(n, "hidden size %lld: 1 to %d make sense", (long long)hidden, 1 << 24);
	z->hidden = (int)hidden;
	return true;
}

static bool check_lens(Node *n, const Sizes *z)
{
	const Value *v = input(n, 4);
	for (int64_t i = 0; is_host(v) && !v->steps && i < v->host->count; i++) {
		int64_t len = tensor_get_int(v->host, i);
		if (len < 0 || (z->seq != DIM_T && len > z->seq))
			return fail(n, "sequence_lens[%lld] is %lld, but X has %d steps", (long long)i,
				    (long long)len, z->seq);
		if (z->seq == DIM_T)
			return fail_fixed(n, "sequence_lens is constant");
	}
	return true;
}

static bool check_shapes(Node *n, const Layer *l, const Sizes *z)
{
	int32_t rows = l->gates * z->hidden;
	const int32_t w[] = {z->dirs, rows, z->input}, r[] = {z->dirs, rows, z->hidden},
		      b[] = {z->dirs, 2 * rows};
	const int32_t p[] = { z->dirs, 3 * z->hidden };
	const int32_t state[] = { z->layout ? z->batch : z->dirs, z->layout ? z->dirs : z->batch, z->hidden };
	bool good = fits(n, z, 1, "W", false, 3, w);
	good &= fits(n, z, 2, "R", false, 3, r);
	good &= fits(n, z, 3, "B", false, 2, b);
	good &= fits(n, z, 4, "sequence_lens", true, 1, &z->batch);
	good &= fits(n, z, 5, "initial_h", false, 3, state);
	if (l->peepholes) {
		good &= fits(n, z, 6, "initial_c", false, 3, state);
		good &= fits(n, z, 7, "P", false, 2, p);
	}
	return good && check_lens(n, z);
}

/* ---- the layer ----------------------------------------------------------------------------- */

static bool set_attributes(Node *n, Op *o, const Layer *l, const Sizes *z)
{
	Module *m = n->im->m;
	float clip = get_float(n, "clip", 0);
	attr_set_int(m, o, "hidden", z->hidden);
	attr_set_string(m, o, "direction", get_string(n, "direction", "forward"));
	if (!set_activations(n, o, l, z->dirs))
		return false;
	if (get_attr(n, "clip") && !(clip > 0))
		return fail(n, "attribute 'clip' is %g; it must be positive", clip);
	if (clip > 0)
		attr_set_float(m, o, "clip", clip);
	static const char *const flags[] = { "input_forget", "linear_before_reset", "layout" };
	for (int i = 0; i < 3; i++) {
		int64_t v = get_int(n, flags[i], 0);
		if (v != 0 && v != 1)
			return fail(n, "attribute '%s' is %lld; it must be 0 or 1", flags[i], (long long)v);
		if (v)
			attr_set_int(m, o, flags[i], v);
	}
	return true;
}

bool op_layer(Node *n)
{
	const Layer *l = n->row->arg;
	Sizes z = { 0 };
	Val *in[8] = { 0 };
	if (!read_sizes(n, &z) || !check_shapes(n, l, &z))
		return false;
	if (z.seq == DIM_T)
		n->im->time_seen = true;
	for (int i = 0; i < n->nin; i++)
		if (n->in[i] && !(in[i] = operand(n, n->in[i])))
			return false;
	Op *o = op_begin(n, l->op, n->nin, in);
	if (!set_attributes(n, o, l, &z)) {
		op_remove(&n->im->f->body, o);
		return false;
	}
	if (!op_end(n, o))
		return false;
	for (int k = 0; k < n->nout; k++)
		set_run(n, k, o->out[k], n->in[0]->type);
	return true;
}

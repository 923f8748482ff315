/* quantize_classes.c: which values share a type, and what is asked of it. */
#include "passes/quantize.h"

#include <math.h>

const uint8_t op_role[N_OPS] = {
	[O_linear] = R_LINEAR, [O_conv] = R_LINEAR, [O_matmul] = R_MATMUL,
	[O_softmax] = R_SOFTMAX, [O_logsoftmax] = R_SOFTMAX,
	[O_add] = R_ARITH, [O_sub] = R_ARITH, [O_mul] = R_ARITH, [O_div] = R_ARITH, [O_neg] = R_ARITH,
	[O_abs] = R_ARITH, [O_relu] = R_ARITH, [O_affine] = R_ARITH, [O_leakyrelu] = R_ARITH,
	[O_thresholdedrelu] = R_ARITH, [O_clip] = R_ARITH,
	[O_sigmoid] = R_TABLE, [O_tanh] = R_TABLE, [O_hardsigmoid] = R_TABLE, [O_elu] = R_TABLE,
	[O_softsign] = R_TABLE, [O_softplus] = R_TABLE, [O_scaledtanh] = R_TABLE,
	[O_exp] = R_TABLE, [O_log] = R_TABLE, [O_sqrt] = R_TABLE, [O_pow] = R_TABLE, [O_erf] = R_TABLE,
	[O_floor] = R_TABLE, [O_round] = R_TABLE,
	[O_where] = R_PICK, [O_min] = R_PICK, [O_max] = R_PICK,
	[O_eq] = R_COMPARE, [O_less] = R_COMPARE, [O_lesseq] = R_COMPARE,
	[O_argmax] = R_COMPARE,
	[O_reshape] = R_MOVE, [O_transpose] = R_MOVE, [O_slice] = R_MOVE, [O_expand] = R_MOVE,
	[O_pad] = R_MOVE, [O_pick] = R_MOVE,
	[O_concat] = R_CONCAT, [O_gather] = R_GATHER,
	[O_reducesum] = R_REDUCE, [O_reducemean] = R_REDUCE, [O_reducemax] = R_REDUCE, [O_reducemin] = R_REDUCE,
	[O_cast] = R_CAST, [O_scan] = R_FLOW, [O_call] = R_FLOW, [O_next] = R_FLOW, [O_ret] = R_FLOW,
};

bool is_f32(const Val *v)
{
	return v && v->type->form == T_TENSOR && v->type->elem == E_f32 && !v->type->quant;
}

static int func_index(const Quantizer *q, const Func *f)
{
	int i = 0;
	while (q->func[i] != f)
		i++;
	return i;
}

int node_of(const Quantizer *q, const Func *f, const Val *v)
{
	return is_f32(v) && v->name && !v->data ? q->first[func_index(q, f)] + (int)v->id : -1;
}

int ret_node(const Quantizer *q, const Func *f, int i)
{
	return f->ret[i]->elem == E_f32 ? q->first[func_index(q, f)] + q->nval[func_index(q, f)] + i : -1;
}

int class_of(const Quantizer *q, int n)
{
	while (q->node[n].class_up != n)
		n = q->node[n].class_up = q->node[q->node[n].class_up].class_up;
	return n;
}

int group_of(const Quantizer *q, int n)
{
	while (q->node[n].group_up != n)
		n = q->node[n].group_up = q->node[q->node[n].group_up].group_up;
	return n;
}

static void join_groups(Quantizer *q, int a, int b)
{
	if (a >= 0 && b >= 0)
		q->node[group_of(q, b)].group_up = group_of(q, a);
}

static void join(Quantizer *q, int a, int b)
{
	if (a < 0 || b < 0)
		return;
	q->node[class_of(q, b)].class_up = class_of(q, a);
	join_groups(q, a, b);
}

/* ---- classes, groups, links ----------------------------------------------------------------------- */

/* scan: slices and invariants are parameters, initial and final values are states (ARCHITECTURE.md). */
static void join_scan(Quantizer *q, Func *f, Op *o)
{
	Func *g = o->callee;
	int seq = (int)attr_int(o, "seq", 0), init = (int)attr_int(o, "init", 0), own = o->nout - init;
	for (int i = 0; i < o->nin; i++) {
		Val *in = i >= seq && i < seq + init ? g->state[i - seq] : g->param[i < seq ? i : i - init];
		join(q, node_of(q, g, in), node_of(q, f, o->in[i]));
	}
	for (int i = 0; i < o->nout; i++)
		join(q, i < own ? ret_node(q, g, i) : node_of(q, g, g->state[i - own]), node_of(q, f, o->out[i]));
}

static void join_call(Quantizer *q, Func *f, Op *o)
{
	for (int i = 0; i < o->nin; i++)
		join(q, node_of(q, o->callee, o->callee->param[i]), node_of(q, f, o->in[i]));
	for (int i = 0; i < o->nout; i++)
		join(q, ret_node(q, o->callee, i), node_of(q, f, o->out[i]));
}

static void add_link(Quantizer *q, Func *f, Op *o, int operand, int to)
{
	int from = node_of(q, f, o->in[operand]);
	if (from < 0 || to < 0)
		return;
	q->link[q->nlink++] = (Link){f, o, operand, from, to};
	join_groups(q, from, to);
}

/* relu and clip of a value that nothing else reads: saturation does their work, so the operand needs no more
 * range than the result. */
static bool absorbs(const Quantizer *q, Func *f, const Op *o)
{
	int n = node_of(q, f, o->in[0]);
	if ((o->kind != O_relu && o->kind != O_clip) || n < 0 || q->node[n].uses != 1)
		return false;
	const Op *def = o->in[0]->def;
	return def && (op_role[def->kind] == R_LINEAR || op_role[def->kind] == R_MATMUL);
}

static void join_op(Quantizer *q, Func *f, Op *o)
{
	int out = o->nout ? node_of(q, f, o->out[0]) : -1, first = o->nin ? node_of(q, f, o->in[0]) : -1;
	switch ((Role)op_role[o->kind]) {
	case R_MOVE:
		join(q, out, first);
		break;
	case R_PICK:
		for (int i = o->kind == O_where; i < o->nin; i++)
			join(q, out, node_of(q, f, o->in[i]));
		break;
	case R_COMPARE:
		for (int i = 1; i < o->nin; i++)
			join(q, first, node_of(q, f, o->in[i]));
		break;
	case R_GATHER:          /* of a value, not a table */
		join(q, out, first);
		break;
	case R_ARITH:
		if (absorbs(q, f, o)) {
			join(q, out, first);
			q->node[first].silent = true;
		}
		break;
	case R_FLOW:
		if (o->kind == O_scan)
			join_scan(q, f, o);
		if (o->kind == O_call)
			join_call(q, f, o);
		for (int i = 0; o->kind == O_next && i < o->nin; i += 2)
			add_link(q, f, o, i + 1, node_of(q, f, o->in[i]));
		for (int i = 0; o->kind == O_ret && i < o->nin; i++)
			add_link(q, f, o, i, ret_node(q, f, i));
		break;
	default:
		break;
	}
}

/* ---- facts ------------------------------------------------------------------------------------------- */

/* Beyond these magnitudes the function is flat to 2^-16: sigmoid(11.1), tanh(5.6); lower's tables end at 16
 * and 8.  0: it never is. */
static double squash_limit(const Op *o)
{
	float alpha = attr_float(o, "alpha", 0.2f), beta = attr_float(o, "beta", 0.5f);
	switch (o->kind) {
	case O_sigmoid:     return 16;
	case O_tanh:        return 8;
	case O_hardsigmoid: return alpha != 0 ? fmax(fabs(beta / alpha), fabs((1 - beta) / alpha)) : 0;
	default:            return 0;
	}
}

static void use_fact(Quantizer *q, const Op *o, int operand, int n)
{
	Node *c = &q->node[class_of(q, n)];
	double limit;
	switch ((Role)op_role[o->kind]) {
	case R_LINEAR:  *(operand == 2 ? &c->n_addend : &c->n_linear) += 1; break;
	case R_MATMUL:  c->n_linear++; break;
	case R_SOFTMAX: c->n_softmax++; break;
	case R_MOVE: case R_FLOW: case R_PICK: case R_GATHER: break;
	case R_ARITH:
		if (q->node[n].silent)
			break;
		/* fall through */
	case R_REDUCE: case R_COMPARE: c->n_arith++; break;
	case R_TABLE:
		limit = squash_limit(o);
		*(limit > 0 ? &c->n_squash : &c->n_arith) += 1;
		c->limit = fmax(c->limit, limit);
		break;
	default:        c->n_other++; break;
	}
}

static void def_fact(Quantizer *q, Op *o, int n)
{
	Node *c = &q->node[class_of(q, n)];
	switch ((Role)op_role[o->kind]) {
	case R_GATHER:
		c->odd_def |= c->table && c->table != o->in[0]->data;
		c->table = o->in[0]->data ? o->in[0]->data : c->table;
		break;
	case R_SOFTMAX: c->softmax_def = c->odd_def = true; break;
	case R_MOVE:
		c->odd_def |= o->in[0]->data != 0;
		break;
	case R_FLOW: break;
	case R_ARITH: case R_TABLE: case R_REDUCE: c->arith_def = true; /* fall through */
	default:        c->odd_def = true; break;
	}
}

/* The type gets the name of the value a reader knows best: an input, a state, else the first one. */
static void name_fact(Quantizer *q, int n, int rank, const char *name)
{
	Node *c = &q->node[class_of(q, n)];
	if (rank > c->rank)
		c->rank = rank, c->name = name;
}

enum { NAME_RESULT = 1, NAME_VALUE, NAME_STATE, NAME_INPUT };

static void func_facts(Quantizer *q, Func *f, bool is_main)
{
	for (int i = 0; i < f->nparam; i++) {
		int n = node_of(q, f, f->param[i]);
		if (n < 0)
			continue;
		q->node[class_of(q, n)].port_in |= is_main;
		name_fact(q, n, is_main ? NAME_INPUT : NAME_VALUE, f->param[i]->name);
	}
	for (int i = 0; i < f->nstate; i++) {
		int n = node_of(q, f, f->state[i]);
		if (n < 0)
			continue;
		q->node[class_of(q, n)].state = true;
		name_fact(q, n, NAME_STATE, f->state[i]->name);
	}
	each_op(o, &f->body) {
		for (int i = 0; i < o->nin; i++) {
			int n = node_of(q, f, o->in[i]);
			if (n >= 0)
				use_fact(q, o, i, n);
		}
		for (int i = 0; i < o->nout; i++) {
			int n = node_of(q, f, o->out[i]);
			if (n < 0)
				continue;
			def_fact(q, o, n);
			name_fact(q, n, NAME_VALUE, o->out[i]->name);
		}
	}
	for (int i = 0; i < f->nret; i++) {
		int n = ret_node(q, f, i);
		if (n < 0)
			continue;
		q->node[class_of(q, n)].port_out |= is_main;
		name_fact(q, n, NAME_RESULT, arena_printf(q->m->arena, "%s_y", f->name));
	}
}

/* Group facts come last: they read the classes'. */
static void state_facts(Quantizer *q)
{
	for (int i = 0; i < q->nlink; i++) {
		q->node[class_of(q, q->link[i].from)].n_link++;
		q->node[class_of(q, q->link[i].to)].n_link++;
	}
	for (int n = 0; n < q->n; n++) {
		const Node *c = &q->node[n];
		if (c->class_up != n || !c->state)
			continue;
		q->node[group_of(q, n)].cell_state = true;
		q->node[group_of(q, n)].free_state |= c->n_linear == 0;
	}
}

/* ---- deep values ------------------------------------------------------------------------------------- */

static bool asks_deep(const Op *o, int operand)
{
	return ((o->kind == O_sqrt || o->kind == O_log || o->kind == O_pow) && operand == 0) ||
	       (o->kind == O_div && operand == 1);
}

/* Sums hand on what they are asked. */
static bool is_sum(const Op *o)
{
	return o->kind == O_add || o->kind == O_sub || o->kind == O_affine || o->kind == O_reducesum ||
	       o->kind == O_reducemean || o->kind == O_max || o->kind == O_clip || o->kind == O_sqrt;
}

/* Only what element-wise ops and reductions make and read may be so wide. */
static bool may_be_deep(const Node *c)
{
	return !c->deep && !c->n_linear && !c->n_addend && !c->n_softmax && !c->n_squash && !c->n_link &&
	       !c->state && !c->port_in && !c->port_out && !c->softmax_def && !c->table && c->arith_def;
}

static void deepen(Quantizer *q)
{
	for (bool more = true; more;) {
		more = false;
		for (int i = 0; i < q->nfunc; i++)
			each_op(o, &q->func[i]->body)
				for (int k = 0; k < o->nin; k++) {
					int n = node_of(q, q->func[i], o->in[k]);
					int out = o->nout ? node_of(q, q->func[i], o->out[0]) : -1;
					bool sum = is_sum(o) && out >= 0 && q->node[class_of(q, out)].deep;
					if (n < 0 || !(asks_deep(o, k) || sum) || !may_be_deep(&q->node[class_of(q, n)]))
						continue;
					q->node[class_of(q, n)].deep = more = true;
				}
	}
}

/* ---- building ---------------------------------------------------------------------------------------- */

static void number(Quantizer *q)
{
	int links = 0;
	each_func(f, q->m)
		q->nfunc++;
	q->func = NEWN(q->m->arena, Func *, q->nfunc);
	q->first = NEWN(q->m->arena, int, q->nfunc);
	q->nval = NEWN(q->m->arena, int, q->nfunc);
	int k = 0;
	each_func(f, q->m) {
		func_renumber(f);
		q->func[k] = f;
		q->nval[k] = (int)f->nval;
		q->first[k++] = q->n;
		q->n += (int)f->nval + f->nret;
		links += f->nstate + f->nret;
	}
	q->node = NEWN(q->m->arena, Node, q->n);
	q->link = NEWN(q->m->arena, Link, links);
	for (int i = 0; i < q->n; i++)
		q->node[i].class_up = q->node[i].group_up = i;
}

static void note(Quantizer *q, Func *f, Val *v)
{
	int n = node_of(q, f, v);
	if (n >= 0)
		q->node[n].func = f, q->node[n].val = v;
}

static void fill(Quantizer *q, Func *f)
{
	for (int i = 0; i < f->nparam; i++)
		note(q, f, f->param[i]);
	for (int i = 0; i < f->nstate; i++)
		note(q, f, f->state[i]);
	for (int i = 0; i < f->nret; i++)
		if (ret_node(q, f, i) >= 0)
			q->node[ret_node(q, f, i)].func = f, q->node[ret_node(q, f, i)].result = i;
	each_op(o, &f->body) {
		for (int i = 0; i < o->nout; i++)
			note(q, f, o->out[i]);
		for (int i = 0; i < o->nin; i++)
			if (node_of(q, f, o->in[i]) >= 0) {
				Node *x = &q->node[node_of(q, f, o->in[i])];
				x->uses++;
				x->user = o;
			}
	}
}

void classes_build(Quantizer *q)
{
	number(q);
	for (int i = 0; i < q->nfunc; i++)
		fill(q, q->func[i]);
	for (int i = 0; i < q->nfunc; i++)
		each_op(o, &q->func[i]->body)
			join_op(q, q->func[i], o);
	Func *main = func_find(q->m, "main");
	for (int i = 0; i < q->nfunc; i++)
		func_facts(q, q->func[i], q->func[i] == main);
	state_facts(q);
	deepen(q);
}

/* quantize_ranges.c: the range of every group.
 *
 * Three sources, in this order: what the op guarantees (a sigmoid is in 0..1, whatever was seen: such bounds
 * are exact and make all gates alike), what calibration wrote on the values (range=[lo, hi]), and, where both
 * are silent, interval arithmetic on the operands of simple ops. */
#include "passes/quantize.h"

#include <math.h>

bool sure_range(const Op *o, double *lo, double *hi)
{
	double alpha;
	switch (o->kind) {
	case O_sigmoid: case O_hardsigmoid: case O_softmax:
		*lo = 0, *hi = 1;
		return true;
	case O_tanh: case O_softsign:
		*lo = -1, *hi = 1;
		return true;
	case O_scaledtanh:
		alpha = fabs(attr_float(o, "alpha", 1));
		*lo = -alpha, *hi = alpha;
		return true;
	default:
		return false;
	}
}

static void widen(Quantizer *q, int n, double lo, double hi)
{
	Node *g = &q->node[group_of(q, n)];
	g->lo = g->ranged ? fmin(g->lo, lo) : lo;
	g->hi = g->ranged ? fmax(g->hi, hi) : hi;
	g->ranged = true;
}

static void widen_by_data(Quantizer *q, int n, const Val *v)
{
	double lo, hi;
	if (n < 0 || !v || !v->data || !is_f32(v))
		return;
	data_range(v->data, &lo, &hi);
	if (isnan(lo))
		diag_error(q->d, "data $%s holds numbers that are not finite: no fixed-point form", v->data->name);
	else
		widen(q, n, lo, hi);
}

static void known(Quantizer *q, Node *x, int n)
{
	double lo, hi;
	const Val *v = x->val;
	if (!v || x->silent || x->masked)
		return;
	q->node[group_of(q, n)].clip = fmax(q->node[group_of(q, n)].clip, v->clip);
	if (v->steps)
		q->node[group_of(q, n)].steps = v->steps;
	if (v->levels)
		q->node[group_of(q, n)].levels = v->levels;
	if (v->def && sure_range(v->def, &lo, &hi)) {
		widen(q, n, lo, hi);
	} else if (v->ranged && isfinite(v->lo) && isfinite(v->hi) && v->lo <= v->hi) {
		widen(q, n, v->lo, v->hi);
		q->node[group_of(q, n)].seen = true;
	} else if (v->ranged) {
		diag_error(q->d, "%%%s in @%s: range [%g, %g] is no range; calibration data or model overflow?",
		           v->name, x->func->name, (double)v->lo, (double)v->hi);
	}
}

/* Constants that flow into a class. */
static void known_data(Quantizer *q, Func *f, Op *o)
{
	int out = o->nout ? node_of(q, f, o->out[0]) : -1;
	int seq = (int)attr_int(o, "seq", 0), init = (int)attr_int(o, "init", 0);
	switch (o->kind) {
	case O_where: case O_min: case O_max: case O_reshape: case O_transpose: case O_slice: case O_expand:
	case O_pad: case O_pick:
		for (int i = o->kind == O_where; i < o->nin; i++)
			widen_by_data(q, out, o->in[i]);
		break;
	case O_scan:
		for (int i = 0; i < o->nin; i++) {
			Func *g = o->callee;
			Val *to = i >= seq && i < seq + init ? g->state[i - seq] : g->param[i < seq ? i : i - init];
			widen_by_data(q, node_of(q, g, to), o->in[i]);
		}
		break;
	case O_call:
		for (int i = 0; i < o->nin; i++)
			widen_by_data(q, node_of(q, o->callee, o->callee->param[i]), o->in[i]);
		break;
	case O_ret:
		for (int i = 0; i < o->nin; i++)
			widen_by_data(q, ret_node(q, f, i), o->in[i]);
		break;
	case O_next:
		for (int i = 0; i < o->nin; i += 2)
			widen_by_data(q, node_of(q, f, o->in[i]), o->in[i + 1]);
		break;
	default:
		break;
	}
}

/* ---- what follows from the operands ------------------------------------------------------------------- */

typedef struct { double lo, hi; } Range;

static bool range_of(const Quantizer *q, Func *f, const Val *v, Range *r)
{
	int n = node_of(q, f, v);
	if (n >= 0) {
		const Node *g = &q->node[group_of(q, n)];
		*r = (Range){g->lo, g->hi};
		return g->ranged;
	}
	if (!is_f32(v) || !v->data)
		return false;
	data_range(v->data, &r->lo, &r->hi);
	return !isnan(r->lo);
}

static Range product(Range a, Range b)
{
	double p[4] = {a.lo * b.lo, a.lo * b.hi, a.hi * b.lo, a.hi * b.hi};
	Range r = {p[0], p[0]};
	for (int i = 1; i < 4; i++)
		r.lo = fmin(r.lo, p[i]), r.hi = fmax(r.hi, p[i]);
	return r;
}

static bool derive(const Op *o, Range a, Range b, Range *r)
{
	double k = attr_float(o, "alpha", 1), c = attr_float(o, "beta", 0);
	switch (o->kind) {
	case O_add: *r = (Range){a.lo + b.lo, a.hi + b.hi}; return true;
	case O_sub: *r = (Range){a.lo - b.hi, a.hi - b.lo}; return true;
	case O_mul: *r = product(a, b); return true;
	case O_neg: *r = (Range){-a.hi, -a.lo}; return true;
	case O_abs: *r = (Range){0, fmax(fabs(a.lo), fabs(a.hi))}; return true;
	case O_relu: *r = (Range){fmax(a.lo, 0), fmax(a.hi, 0)}; return true;
	case O_affine:
		*r = product(a, (Range){k, k});
		r->lo += c, r->hi += c;
		return true;
	case O_clip:
		*r = (Range){fmax(a.lo, attr_float(o, "lo", 0)), fmin(a.hi, attr_float(o, "hi", 0))};
		return r->lo <= r->hi;
	case O_concat: case O_gather: *r = (Range){fmin(a.lo, b.lo), fmax(a.hi, b.hi)}; return true;
	default: return false;
	}
}

/* Range of o's result by interval arithmetic, where the result is all that its group holds. */
static bool operand_range(Quantizer *q, Func *f, Op *o, const int *ndef, Range *r)
{
	int n = o->nout == 1 ? node_of(q, f, o->out[0]) : -1;
	if (n < 0 || !o->nin || ndef[group_of(q, n)] != 1)
		return false;
	Range a, b;
	if (!range_of(q, f, o->in[0], &a))
		return false;
	b = a;
	for (int i = 1; i < o->nin; i++) {
		Range c;
		if (o->kind == O_gather)
			break;
		if (!range_of(q, f, o->in[i], &c))
			return false;
		b = i == 1 && o->kind != O_concat ? c : (Range){fmin(b.lo, c.lo), fmax(b.hi, c.hi)};
	}
	return derive(o, a, b, r);
}

static bool derive_op(Quantizer *q, Func *f, Op *o, const int *ndef)
{
	Range r;
	int n = o->nout == 1 ? node_of(q, f, o->out[0]) : -1;
	if (n < 0 || q->node[group_of(q, n)].ranged || !operand_range(q, f, o, ndef, &r))
		return false;
	widen(q, n, r.lo, r.hi);
	return true;
}

static void bound_op(Quantizer *q, Func *f, Op *o, const int *ndef)
{
	Range r;
	if (op_role[o->kind] == R_ARITH && operand_range(q, f, o, ndef, &r))
		q->node[group_of(q, node_of(q, f, o->out[0]))].bound = fmax(fabs(r.lo), fabs(r.hi));
}

/* How many values of a group bring numbers into it. */
static int *count_defs(Quantizer *q)
{
	int *ndef = NEWN(q->m->arena, int, q->n);
	for (int n = 0; n < q->n; n++) {
		const Node *x = &q->node[n];
		if (!x->val || x->silent)
			continue;
		const Op *def = x->val->def;
		Role r = def ? (Role)op_role[def->kind] : R_NONE;
		bool joined = r == R_MOVE || r == R_PICK || r == R_FLOW;
		bool is_param = !def && !q->node[class_of(q, n)].state && !q->node[class_of(q, n)].port_in;
		if (!joined && !is_param)
			ndef[group_of(q, n)]++;
	}
	return ndef;
}

void ranges_build(Quantizer *q)
{
	for (int n = 0; n < q->n; n++)
		known(q, &q->node[n], n);
	for (int i = 0; i < q->nfunc; i++) {
		Func *f = q->func[i];
		for (int k = 0; k < f->nstate; k++)
			if (f->init[k])
				widen_by_data(q, node_of(q, f, f->state[k]), val_data(q->m, f->init[k]));
		each_op(o, &f->body)
			known_data(q, f, o);
	}
	int *ndef = count_defs(q);
	for (bool more = true; more;) {
		more = false;
		for (int i = 0; i < q->nfunc; i++)
			each_op(o, &q->func[i]->body)
				more |= derive_op(q, q->func[i], o, ndef);
	}
	for (int i = 0; i < q->nfunc; i++)
		each_op(o, &q->func[i]->body)
			bound_op(q, q->func[i], o, ndef);
}

/* quantize_types.c: how many bits each class has, and its scale.
 *
 * Bits.  Narrow integers (`activations`) pay where values are multiplied by weights: inputs of linears, which
 * are also what memory and bandwidth go to.  Everything else is a vector of the layer's size, computed once a
 * step, so it is kept at 16 bits: gates and what element-wise ops pass to each other (`gates`), states that
 * element-wise ops read (`state`: an LSTM's c, a GRU's h), outputs of the model.  On Penn Treebank 8-bit
 * states and gates cost 0.3 %, 8-bit h and x nothing.
 *
 * Scales are powers of two from the range.  With real scales only classes that linears read, and that no
 * element-wise op touches, get a real one: it costs nothing there, the sum is multiplied anyway. */
#include "passes/quantize.h"

#include <math.h>
#include <string.h>

/* Calibration is finite; a state adds up, and once saturated it stays wrong.  So states have a quarter more
 * than was seen.  The states of gated cells that linears read (h) lie between -1 and 1 by construction, so
 * the margin stops there; an LSTM's c has no such bound. */
static const double STATE_MARGIN = 1.25;
/* Values with 16 bits can afford the same; sums and products even the bound that their operands' ranges
 * give, if it costs two bits at most: then they never saturate. */
static const double WIDE_MARGIN = 1.25, BOUND_COST = 4;

int width(int asked, int otherwise)
{
	return asked ? asked : otherwise;
}

const char *name_with_bits(Quantizer *q, const char *name, int bits)
{
	char end = name[strlen(name) - 1];
	return arena_printf(q->m->arena, "%s%s%d", name, end >= '0' && end <= '9' ? "_" : "", bits);
}

double group_most(const Quantizer *q, int n)
{
	const Node *g = &q->node[group_of(q, n)];
	double most = fmax(fabs(g->lo), fabs(g->hi));
	if (!g->cell_state)
		return most;
	double wide = most * STATE_MARGIN;
	return !g->free_state && most <= 1 && wide > 1 ? 1 : wide;
}

bool only_addend(const Node *c)
{
	return c->n_addend && !c->n_linear && !c->n_squash && !c->n_arith && !c->n_softmax && !c->n_other &&
	       !c->n_link && !c->state && !c->port_in && !c->ruled;
}

bool only_added(const Quantizer *q, int n)
{
	const Node *x = &q->node[n];
	return x->val && x->val->def && x->val->def->kind == O_mul && x->uses == 1 &&
	       (x->user->kind == O_add || x->user->kind == O_sub) && !q->node[class_of(q, n)].ruled;
}

bool only_scaled(const Quantizer *q, int n)
{
	const Node *x = &q->node[n];
	return x->val && x->val->def && (x->val->def->kind == O_add || x->val->def->kind == O_sub) && x->uses == 1 &&
	       x->user->kind == O_mul && !q->node[class_of(q, n)].ruled;
}

static bool only_squashed(const Node *c)
{
	return c->n_squash && !c->n_linear && !c->n_addend && !c->n_arith && !c->n_softmax && !c->n_other &&
	       !c->n_link && !c->state && !c->port_in;
}

/* ---- bits -------------------------------------------------------------------------------------------- */

static void rule(Quantizer *q, int n, const char *in, const char *name)
{
	int bits = n >= 0 ? rule_bits(q, in, name) : 0;
	if (bits)
		q->node[class_of(q, n)].bits = bits, q->node[class_of(q, n)].ruled = true;
}

/* The user's patterns match names of values, and those of the model's inputs and outputs. */
static void rules(Quantizer *q)
{
	Func *main = func_find(q->m, "main");
	int i = 0;
	for (const Port *p = q->m->in; main && p && i < main->nparam; p = p->next, i++)
		rule(q, node_of(q, main, main->param[i]), "main", p->name);
	i = 0;
	for (const Port *p = q->m->out; main && p && i < main->nret; p = p->next, i++)
		rule(q, ret_node(q, main, i), "main", p->name);
	for (int n = 0; n < q->n; n++)
		if (q->node[n].val)
			rule(q, n, q->node[n].func->name, q->node[n].val->name);
}

static int wanted_bits(const Quantizer *q, const Node *c)
{
	int act = width(q->opt->activations, DEFAULT_BITS), gates = width(q->opt->gates, WIDE_BITS);
	bool mixed = c->n_arith || c->n_squash;
	if (c->ruled)
		return c->bits;
	if (c->deep)
		return DEEP_BITS;
	if (c->state)
		return mixed ? width(q->opt->state, WIDE_BITS) : act;
	if (c->port_in)
		return act;
	if (c->softmax_def || c->n_softmax || c->port_out)
		return WIDE_BITS;
	if (mixed)
		return gates;
	return c->n_link && !c->n_linear ? 0 : act;
}

/* A value handed on by next or ret is computed as precisely as the one that asks most; what it is handed to
 * never has more bits than it can fill. */
static void settle_links(Quantizer *q)
{
	for (bool more = true; more;) {
		more = false;
		for (int i = 0; i < q->nlink; i++) {
			Node *from = &q->node[class_of(q, q->link[i].from)], *to = &q->node[class_of(q, q->link[i].to)];
			if (from->ruled || from->state || from->port_in || from->bits >= to->bits)
				continue;
			from->bits = to->bits;
			more = true;
		}
	}
	for (int i = 0; i < q->nlink; i++) {
		Node *from = &q->node[class_of(q, q->link[i].from)], *to = &q->node[class_of(q, q->link[i].to)];
		if (to->port_out && !to->ruled && to->bits > from->bits && !from->table)
			to->bits = from->bits;
	}
}

/* What a program hands in may be any bytes: an input has all the bits of the integer it is stored in, and a
 * narrower copy is made for the linears.  A state that is handed in is wide, so that its copies are rounded once. */
static void whole_port(Node *c)
{
	if (!c->port_in || c->bits == DEFAULT_BITS || c->bits == WIDE_BITS)
		return;
	c->narrow_bits = c->bits;
	c->bits = c->bits < DEFAULT_BITS && !c->state ? DEFAULT_BITS : WIDE_BITS;
}

void bits_choose(Quantizer *q)
{
	rules(q);
	for (int n = 0; n < q->n; n++)
		if (q->node[n].class_up == n) {
			q->node[n].bits = wanted_bits(q, &q->node[n]);
			whole_port(&q->node[n]);
		}
	units_widen(q);
	levels_widen(q);
	settle_links(q);
	for (int n = 0; n < q->n; n++)
		if (q->node[n].class_up == n && !q->node[n].bits)
			q->node[n].bits = width(q->opt->activations, DEFAULT_BITS);
}

int narrow_bits(const Quantizer *q, int n)
{
	const Node *c = &q->node[class_of(q, n)];
	int bits = width(c->narrow_bits, width(q->opt->activations, DEFAULT_BITS));
	return (c->ruled && !c->narrow_bits) || c->bits < bits ? c->bits : bits;
}

/* ---- scales ------------------------------------------------------------------------------------------ */

/* The group's type of these bits and scale; classes of a group that need the same share it. */
static const Quant *shared(Quantizer *q, int n, int bits, float scale, const char *name)
{
	int g = group_of(q, n);
	for (int i = 0; i < q->n; i++) {
		const Quant *k = q->node[i].quant;
		if (k && group_of(q, i) == g && k->elem == bits && k->scale == scale && !k->rows && !k->levels)
			return k;
	}
	const Quant *k = q->node[g].narrow;
	if (k && k->elem == bits && k->scale == scale)
		return k;
	return quant_new(q->m, name, (Elem)bits, scale);
}

static bool wants_real(const Quantizer *q, const Node *c)
{
	return q->opt->real_scales && (c->n_linear || c->port_in) && !c->n_arith && !c->n_squash && !c->n_softmax &&
	       !c->n_other && !c->n_link && !c->state && !c->arith_def;
}

double class_most(const Quantizer *q, int n, int bits)
{
	const Node *g = &q->node[group_of(q, n)];
	double most = group_most(q, n);
	if (g->cell_state || !g->seen || bits < WIDE_BITS)
		return most;
	return g->bound >= most && g->bound <= BOUND_COST * most ? g->bound : most * WIDE_MARGIN;
}

/* Nothing but linears reads the class, in the bits that `clip` was chosen for. */
static bool takes_clip(const Quantizer *q, int n, int bits)
{
	const Node *c = &q->node[class_of(q, n)];
	return q->node[group_of(q, n)].clip > 0 && bits <= narrow_bits(q, n) && !c->n_arith && !c->n_squash &&
	       !c->n_softmax && !c->n_other && !c->n_addend;
}

static float clip_scale(const Quantizer *q, int n, int bits)
{
	double clip = q->node[group_of(q, n)].clip;
	return q->opt->real_scales ? (float)(clip / (ldexp(1, bits - 1) - 1)) : ldexpf(1, fit_exponent(clip, bits, false));
}

static float class_scale(Quantizer *q, int n, int bits)
{
	const Node *c = &q->node[class_of(q, n)];
	if (takes_clip(q, n, bits))
		return clip_scale(q, n, bits);
	double most = class_most(q, n, bits);
	if (only_squashed(c)) {         /* 2^-13 at 16 bits: a step moves the result by less than 2^-15 */
		bool ranged = q->node[group_of(q, n)].ranged;
		int e = fit_exponent(ranged && most < c->limit ? most : c->limit, bits, false);
		return ldexpf(1, e < 3 - bits ? 3 - bits : e);
	}
	if (wants_real(q, c) && most > 0)
		return (float)(most / (ldexp(1, bits - 1) - 1));
	return ldexpf(1, fit_exponent(most, bits, c->port_in && !c->state));
}

static void no_range(Quantizer *q, int n)
{
	const Node *x = &q->node[n];
	if (q->node[group_of(q, n)].reported)
		return;
	q->node[group_of(q, n)].reported = true;
	for (int i = 0; i < q->n && !x->val; i++)
		if (class_of(q, i) == n && q->node[i].val)
			x = &q->node[i];
	const Op *def = x->val ? x->val->def : 0;
	if (!x->val)
		diag_error(q->d, "result %d of @%s has no range: calibrate with --calib", x->result, x->func->name);
	else
		diag_error(q->d, "%%%s in @%s%s%s%s has no range: calibrate with --calib on data that reaches it, "
		           "or write range=[lo, hi] behind it", x->val->name, x->func->name,
		           def && def->loc.node ? " (node '" : "", def && def->loc.node ? def->loc.node : "",
		           def && def->loc.node ? "')" : "");
}

static bool is_used(const Node *c)
{
	return c->n_linear || c->n_addend || c->n_squash || c->n_arith || c->n_softmax || c->n_other || c->n_link;
}

/* Embeddings: the row of the table is the value, if one scale serves the whole table. */
static const Quant *table_quant(Quantizer *q, const Node *c)
{
	if (!c->table || c->odd_def || c->state || c->port_in || c->ruled)
		return 0;
	const Quant *k = data_weights(q, c->table, true)->type->quant;
	return k->rows || k->book || k->elem > c->bits ? 0 : k;
}

static void choose_class(Quantizer *q, int n)
{
	Node *c = &q->node[n];
	if (only_addend(c) || only_added(q, n) || only_scaled(q, n))
		return;
	c->quant = holds_units(q, n) ? unit_quant(q, n) : holds_levels(q, n) ? levels_quant(q, n) : table_quant(q, c);
	if (c->quant)
		return;
	if (!q->node[group_of(q, n)].ranged && !only_squashed(c) && is_used(c))
		no_range(q, n);
	c->quant = shared(q, n, c->bits, class_scale(q, n, c->bits), c->name);
}

const Quant *class_quant(Quantizer *q, int n)
{
	return q->node[class_of(q, n)].quant;
}

const Quant *narrow_quant(Quantizer *q, int n)
{
	Node *c = &q->node[class_of(q, n)], *g = &q->node[group_of(q, n)];
	int bits = narrow_bits(q, n);
	if (reads_units(q, n))
		return level_quant(q, n);
	if (c->bits <= bits || (c->table && c->quant == c->table->type->quant && c->quant->elem <= bits))
		return c->quant;
	if (c->has_levels)
		return levels_quant(q, n);
	if (!g->narrow) {
		float s = g->clip > 0 ? clip_scale(q, n, bits) : ldexpf(1, fit_exponent(group_most(q, n), bits, false));
		g->narrow = shared(q, n, bits, s, name_with_bits(q, c->name, bits));
	}
	return g->narrow;
}

const Quant *value_quant(Quantizer *q, Func *f, const Val *v)
{
	int n = node_of(q, f, v);
	return n >= 0 ? class_quant(q, n) : 0;
}

/* A concat of parts in one format has it too: nothing is rounded twice. */
static void choose_concats(Quantizer *q)
{
	for (int i = 0; i < q->nfunc; i++)
		each_op(o, &q->func[i]->body) {
			int n = o->kind == O_concat ? node_of(q, q->func[i], o->out[0]) : -1;
			const Quant *k = n >= 0 ? value_quant(q, q->func[i], o->in[0]) : 0;
			Node *c = n >= 0 ? &q->node[class_of(q, n)] : 0;
			if (!k || k->rows || k->levels || !c->quant || k->elem != c->quant->elem || c->n_link || only_squashed(c))
				continue;
			bool same = true;
			for (int j = 1; j < o->nin; j++) {
				const Quant *p = value_quant(q, q->func[i], o->in[j]);
				same &= p && p->elem == k->elem && p->scale == k->scale && !p->rows && !p->levels;
			}
			if (same)
				c->quant = k;
		}
}

void types_choose(Quantizer *q)
{
	bits_choose(q);
	for (int rank = 4; rank >= 0; rank--)   /* best names first: a group's types are named by the first */
		for (int n = 0; n < q->n; n++)
			if (q->node[n].class_up == n && q->node[n].rank == rank && q->node[n].func)
				choose_class(q, n);
	choose_concats(q);
}

/* budget_model.c: the model that a choice of widths gives: bytes, RAM, operations, loss. */
#include "driver/budget.h"
#include "lower/count.h"
#include "passes/passes.h"
#include "passes/widths.h"
#include "util/mem.h"

#include <fnmatch.h>
#include <stdlib.h>

/* The width that a rule of the user's gives all of an item; 0: none does. */
static int ruled(const Options *o, const Sensitive *t)
{
	int bits = 0;
	for (int i = 0; i < o->nrule; i++)
		if (!fnmatch(o->rule[i].pattern, is_gate_rule(o->rule[i].pattern) ? t->name : t->data->name, 0))
			bits = o->rule[i].bits;
	return bits;
}

static bool has_gates(const Sensitivity *s, const Sensitive *t)
{
	for (int i = 0; i < s->n; i++)
		if (s->tensor[i].data == t->data && s->tensor[i].gate)
			return true;
	return false;
}

/* gates: where a tensor's rows are those of gates, the gates take its place. */
void budget_items(Budget *b, const Sensitivity *s, bool gates)
{
	b->n = 0;
	b->item = mem_array((size_t)s->n + 1, sizeof *b->item);
	b->bits = mem_array((size_t)s->n + 1, sizeof *b->bits);
	b->held = mem_array((size_t)s->n + 1, sizeof *b->held);
	for (int i = 0; i < s->n; i++) {
		const Sensitive *t = &s->tensor[i];
		if (gates && has_gates(s, t) ? !t->gate : t->gate != 0)
			continue;
		int bits = ruled(&b->c->opt, t);
		b->held[b->n] = bits != 0;
		b->bits[b->n] = bits ? bits : START_BITS;
		b->item[b->n++] = t;
	}
}

void budget_free_items(Budget *b)
{
	free(b->item), free(b->bits), free(b->held);
	b->item = 0, b->bits = 0, b->held = 0;
}

Options budget_options(const Budget *b)
{
	Options o = b->c->opt;
	o.integer = true;
	o.activations = b->values.activations, o.state = b->values.state, o.gates = b->values.gates;
	o.decode_once = b->values.once;
	o.rule = mem_array((size_t)(o.nrule + b->n) + 1, sizeof *o.rule);
	o.nrule = 0;
	for (int i = 0; i < b->n; i++)
		if (!b->held[i])
			o.rule[o.nrule++] = (BitsRule){b->item[i]->name, b->bits[i]};
	for (int i = 0; i < b->c->opt.nrule; i++)       /* the user's own come later: the last match wins */
		o.rule[o.nrule++] = b->c->opt.rule[i];
	return o;
}

bool budget_compile(Budget *b, bool loss)
{
	Options o = budget_options(b);
	Module *m = module_clone(b->floats);
	char behind[200];
	bool step;
	o.passes = passes_between("observe", "quantize", behind, sizeof behind);
	bool good = passes_run(m, &o, 0, b->d);
	if (good && loss)
		good = reference_loss(b->r, m, true, &b->loss, b->d);
	o.target = "any";
	o.passes = "lower,plan";
	good = good && passes_run(m, &o, 0, b->d);
	OpCount n = count_portable(m, &step);
	b->has = (Amounts){portable_bytes(m), (int64_t)m->state_size + m->scratch_size + m->scratch_step, n.all};
	b->ops_bound = n.bound;
	if (good && n.unknown && b->limit.ops) {
		diag_error(b->d, "--budget ops=%lld: how many operations this model executes depends on its data", (long long)b->limit.ops);
		good = false;
	}
	module_free(m);
	free(o.rule);
	return good;
}

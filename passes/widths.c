/* widths.c: how many bits the rows of a weight matrix get: rules name tensors, or a gate's rows of them (`lstm_0_R:f=8`). */
#include "passes/widths.h"
#include "passes/quantize.h"

#include <fnmatch.h>
#include <string.h>

enum { MOST_GATES = 4 };

bool is_gate_rule(const char *pattern)
{
	bool in_set = false;            /* [[:alpha:]] has colons, too */
	for (const char *p = pattern; *p; p++) {
		if (*p == '\\' && p[1])
			p++;
		else if (*p == '[' && !in_set)
			in_set = true;
		else if (*p == '[' && p[1] == ':')
			p = strstr(p, ":]") ? strstr(p, ":]") + 1 : p;
		else if (*p == ']')
			in_set = false;
		else if (*p == ':' && !in_set)
			return true;
	}
	return false;
}

const char *gates_of(const Module *m, const Data *W)
{
	each_func(f, m)
		each_op(o, &f->body) {
			const char *gates = o->kind == O_linear && o->in[1]->data == W ? attr_string(o, "gates", 0) : 0;
			if (gates && *gates && strlen(gates) <= MOST_GATES && W->type->dim[0] % (int)strlen(gates) == 0)
				return gates;
		}
	return 0;
}

static bool names_gate(const char *pattern, const Data *W, char gate)
{
	char name[300];
	int n = snprintf(name, sizeof name, "%s:%c", W->name, gate);
	return n > 0 && (size_t)n < sizeof name && !fnmatch(pattern, name, 0);
}

Widths weights_widths(Module *m, const Options *opt, const Data *W)
{
	bool by_gate = false;
	for (int i = 0; i < opt->nrule; i++)
		by_gate |= is_gate_rule(opt->rule[i].pattern);
	const char *gates = by_gate ? gates_of(m, W) : 0;
	int n = gates ? (int)strlen(gates) : 1, bits[MOST_GATES] = {0};
	for (int g = 0; g < n; g++) {
		bits[g] = width(opt->weights, DEFAULT_BITS);
		for (int i = 0; i < opt->nrule; i++) {
			const BitsRule *r = &opt->rule[i];
			if (is_gate_rule(r->pattern) ? gates && names_gate(r->pattern, W, gates[g]) : !fnmatch(r->pattern, W->name, 0))
				bits[g] = r->bits;
		}
	}
	Widths w = {bits[0], bits[0], 0};
	for (int g = 1; g < n; g++) {
		w.least = bits[g] < w.least ? bits[g] : w.least;
		w.most = bits[g] > w.most ? bits[g] : w.most;
	}
	if (w.least == w.most)
		return w;
	int rows = W->type->dim[0];
	uint8_t *row = NEWN(m->arena, uint8_t, rows);
	for (int i = 0; i < rows; i++)
		row[i] = (uint8_t)bits[i / (rows / n)];
	w.row = row;
	return w;
}

/* The last of the rules for gates that names rows of W, or -1. */
static int last_gate_rule(const Module *m, const Options *opt, const Data *W)
{
	const char *gates = gates_of(m, W);
	for (int i = opt->nrule - 1; gates && i >= 0; i--)
		for (const char *g = gates; *g; g++)
			if (is_gate_rule(opt->rule[i].pattern) && names_gate(opt->rule[i].pattern, W, *g))
				return i;
	return -1;
}

static bool names_any(const Module *m, const char *pattern)
{
	each_data(W, m) {
		const char *gates = gates_of(m, W);
		for (const char *g = gates; g && *g; g++)
			if (names_gate(pattern, W, *g))
				return true;
	}
	return false;
}

void widths_check(Module *m, const Options *opt, Diag *d)
{
	bool any = false;
	for (int i = 0; i < opt->nrule; i++) {
		const BitsRule *r = &opt->rule[i];
		if (!is_gate_rule(r->pattern))
			continue;
		any = true;
		if (!names_any(m, r->pattern))
			diag_error(d, "--weights %s=%d: there are no such rows; explore --sensitivity lists what gates are called, "
			           "like lstm_0_R:f", r->pattern, r->bits);
		else if (opt->size > 0)
			diag_error(d, "--weights %s=%d: --size chooses the widths of rows itself", r->pattern, r->bits);
	}
	if (!any || opt->per_row || opt->size > 0)
		return;
	each_data(W, m) {
		int i = last_gate_rule(m, opt, W);
		if (i >= 0 && weights_widths(m, opt, W).row)
			diag_error(d, "--weights %s=%d: rows of one matrix (%s) with different widths need --granularity row",
			           opt->rule[i].pattern, opt->rule[i].bits, W->name);
	}
}

/* states.c: pair state inputs with the outputs they carry on from; the rule is in states.h. */
#include "data/states.h"
#include "passes/states.h"

#include <stdlib.h>
#include <string.h>

static const char *const in_prefix[] = {"initial_", "init_", "prev_", "past_", "in_", 0};
static const char *const in_suffix[] = {"_initial", "_init", "_prev", "_past", "_in", "_0", "0", 0};
static const char *const out_prefix[] = {"final_", "next_", "new_", "present_", "out_", "Y_", 0};
static const char *const out_suffix[] = {"_final", "_next", "_new", "_out", "_n", "n", "N", "_1", 0};

typedef struct { const char *p; size_t n; } Stem;

int nports(const Port *p)
{
	int n = 0;
	for (; p; p = p->next)
		n++;
	return n;
}

static bool same(Stem a, Stem b)
{
	return a.n == b.n && a.n > 0 && !memcmp(a.p, b.p, a.n);
}

/* Stem i of name: 0 the whole name, then without each prefix and suffix that it has.  false: no more. */
static bool stem(const char *name, const char *const *prefix, const char *const *suffix, int i, Stem *s)
{
	size_t n = strlen(name);
	*s = (Stem){name, n};
	if (i == 0)
		return true;
	for (; *prefix; prefix++)
		if (!strncmp(name, *prefix, strlen(*prefix)) && --i == 0) {
			*s = (Stem){name + strlen(*prefix), n - strlen(*prefix)};
			return true;
		}
	for (; *suffix; suffix++)
		if (n > strlen(*suffix) && !strcmp(name + n - strlen(*suffix), *suffix) && --i == 0) {
			*s = (Stem){name, n - strlen(*suffix)};
			return true;
		}
	return false;
}

static bool names_pair(const char *in, const char *out)
{
	Stem a, b;
	for (int i = 0; stem(in, in_prefix, in_suffix, i, &a); i++)
		for (int k = 0; stem(out, out_prefix, out_suffix, k, &b); k++)
			if (same(a, b))
				return true;
	return false;
}

/* Quantizing may change the integers of one side only, so real values are what is handed on. */
static bool types_pair(const Type *a, const Type *b)
{
	bool reals = (a->quant || a->elem == E_f32) && (b->quant || b->elem == E_f32);
	return type_same_shape(a, b) && !type_has_t(a) && (reals || a == b);
}

static const Port *find_port(const Port *p, const char *name, int *at)
{
	for (*at = 0; p; p = p->next, ++*at)
		if (!strcmp(p->name, name))
			return p;
	return 0;
}

static bool asked_pairs(const Module *m, const Options *opt, int *pair, Diag *d)
{
	for (int i = 0; i < opt->nstate; i++) {
		int a, b;
		const char *in_name = opt->state_in[i], *out_name = opt->state_out[i];
		const Port *in = find_port(m->in, in_name, &a), *out = find_port(m->out, out_name, &b);
		if (!in && !out)
			continue;       /* a state already: see states_of */
		if (!in || !out)
			diag_error(d, "--state %s=%s: the model has no %s '%s'", in_name, out_name,
				   in ? "output" : "input", in ? out_name : in_name);
		else if (!types_pair(in->type, out->type))
			diag_error(d, "--state %s=%s: their types differ", in_name, out_name);
		else
			pair[a] = b;
	}
	return !diag_errors(d);
}

/* A name that neither side has was meant to be one of them. */
static bool check_names(const Module *m, const Options *opt, Diag *d)
{
	int at;
	for (int i = 0; i < opt->nstate; i++)
		if (!find_port(m->in, opt->state_in[i], &at) && !find_port(m->out, opt->state_out[i], &at))
			diag_error(d, "--state %s=%s: the model has no such input and output",
				   opt->state_in[i], opt->state_out[i]);
	return !diag_errors(d);
}

bool states_of(Module *m, const Options *opt, Diag *d)
{
	if (!opt->nstate && !opt->all_states)
		return true;
	int n = nports(m->in), *pair = calloc((size_t)n + 1, sizeof *pair);
	for (int i = 0; pair && i < n; i++)
		pair[i] = -1;
	bool good = pair && check_names(m, opt, d);
	if (good)
		good = opt->all_states ? state_pairs(m, opt, pair, d) : asked_pairs(m, opt, pair, d);
	good = good && states_bind(m, pair, d);
	free(pair);
	return good;
}

bool state_pairs(const Module *m, const Options *opt, int *pair, Diag *d)
{
	int n = nports(m->in), nout = nports(m->out), at = 0;
	bool *taken = calloc((size_t)nout + 1, sizeof *taken);
	for (int i = 0; i < n; i++)
		pair[i] = -1;
	bool good = taken && asked_pairs(m, opt, pair, d);
	for (int i = 0; good && i < n; i++)
		if (pair[i] >= 0)
			taken[pair[i]] = true;
	for (const Port *in = m->in; good && in; in = in->next, at++) {
		int k = 0;
		for (const Port *out = m->out; out && pair[at] < 0; out = out->next, k++)
			if (!taken[k] && types_pair(in->type, out->type) && names_pair(in->name, out->name)) {
				pair[at] = k;
				taken[k] = true;
			}
	}
	free(taken);
	return good;
}

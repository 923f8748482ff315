/* options.c: from argv to a Command, by the rows of options.def. */
#include "driver/driver.h"
#include "driver/option.h"
#include "driver/sensitivity.h"
#include "passes/widths.h"
#include "storage/storage.h"
#include "util/mem.h"

#include <ctype.h>
#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

/* ---- ways to set a field: false when the text is not what the option takes -------------------- */

static bool set_flag(Command *c, void *field, const char *text)
{
	(void)c, (void)text;
	*(bool *)field = true;
	return true;
}

static bool set_text(Command *c, void *field, const char *text)
{
	(void)c;
	*(const char **)field = text;
	return *text != 0;
}

static bool whole_number(const char *text, int64_t least, int64_t most, int64_t *v)
{
	char *end;
	errno = 0;
	*v = strtoll(text, &end, 10);
	return end != text && !*end && !errno && !isspace((unsigned char)*text) && *v >= least && *v <= most;
}

/* One of "a|b"; *second tells which. */
static bool one_of(const char *text, const char *a, const char *b, bool *second)
{
	*second = !strcmp(text, b);
	return *second || !strcmp(text, a);
}

static bool set_precision(Command *c, void *field, const char *text)
{
	c->precision_given = true;
	return one_of(text, "f32", "int", field);
}

static bool set_scales(Command *c, void *field, const char *text)
{
	(void)c;
	c->opt.pow2_scales = !strcmp(text, "pow2");
	return one_of(text, "pow2", "real", field);
}

static bool set_granularity(Command *c, void *field, const char *text)
{
	(void)c;
	return one_of(text, "tensor", "row", field);
}

/* The number of the word in a list that 0 ends, or -1. */
static int find_word(const char *const *list, const char *text)
{
	for (int i = 0; list[i]; i++)
		if (!strcmp(text, list[i]))
			return i;
	return -1;
}

static bool set_grid(Command *c, void *field, const char *text)
{
	static const char *const kinds[] = {"uniform", "book", "trellis", 0};
	(void)field;
	c->opt.grid = 1 + find_word(kinds, text);       /* GRID_DEFAULT is none of them */
	return c->opt.grid > 0;
}

static bool set_value_grid(Command *c, void *field, const char *text)
{
	(void)c;
	return one_of(text, "uniform", "book", field);
}

static bool set_storage(Command *c, void *field, const char *text)
{
	static const char *const kinds[] = {"plain", "rows", "coded", 0};
	int i = find_word(kinds, text);
	(void)c;
	if (i >= 0)
		*(int *)field = i;
	return i >= 0;
}

static bool set_decode(Command *c, void *field, const char *text)
{
	(void)c;
	return one_of(text, "row", "once", field);
}

/* The text before the last `=`, as a new string; 0: there is none.  *value: the text behind it. */
static char *before_equals(const char *text, const char **value)
{
	const char *eq = strrchr(text, '=');
	if (!eq || eq == text || !eq[1])
		return 0;
	*value = eq + 1;
	return text_new("%.*s", (int)(eq - text), text);
}

static void add_rule(Options *opt, const char *pattern, int bits)
{
	opt->rule = mem_grow(opt->rule, sizeof *opt->rule * (size_t)(opt->nrule + 1));
	opt->rule[opt->nrule++] = (BitsRule){pattern, bits};
}

/* An activation of one bit has no zero and no sign of its own: two are the least. */
enum { LEAST_WEIGHT = 1, LEAST_ACTIVATION = 2, MOST_BITS = 16 };

/* BITS or NAME=BITS, from `least` on; NAME:GATE names rows of weights */
static bool set_bits(Command *c, int *field, const char *text, int least)
{
	const char *number = text;
	char *pattern = before_equals(text, &number);
	int64_t bits;
	if (!whole_number(number, least, MOST_BITS, &bits)) {
		free(pattern);
		return false;
	}
	if (pattern)
		add_rule(&c->opt, pattern, (int)bits);
	else
		*field = (int)bits;
	return true;
}

static bool set_weights(Command *c, void *field, const char *text)
{
	return set_bits(c, field, text, LEAST_WEIGHT);
}

static bool set_activations(Command *c, void *field, const char *text)
{
	return !is_gate_rule(text) && set_bits(c, field, text, LEAST_ACTIVATION);
}

static bool set_wide_bits(Command *c, void *field, const char *text)
{
	(void)c;
	int64_t bits;
	bool good = whole_number(text, LEAST_ACTIVATION, MOST_BITS, &bits);
	*(int *)field = (int)bits;
	return good;
}

static bool set_ranges(Command *c, void *field, const char *text)
{
	static const char *const names[] = {"", "minmax", "percentile", "mse", "kl"};
	const char *name = text;
	char *pattern = before_equals(text, &name);
	Options *o = &c->opt;
	for (int i = RANGE_MINMAX; i <= RANGE_KL; i++) {
		if (strcmp(name, names[i]))
			continue;
		if (pattern) {
			o->range_rule = mem_grow(o->range_rule, sizeof *o->range_rule * (size_t)(o->nrange_rule + 1));
			o->range_rule[o->nrange_rule++] = (RangeRule){pattern, (RangeKind)i};
		} else {
			*(RangeKind *)field = (RangeKind)i;
		}
		return true;
	}
	free(pattern);
	return false;
}

static bool set_name(Command *c, void *field, const char *text)
{
	(void)c;
	*(const char **)field = text;
	return is_ident(text);
}

static bool set_dim(Command *c, void *field, const char *text)
{
	(void)field;
	const char *number;
	int64_t v;
	char *name = before_equals(text, &number);
	if (!name || !whole_number(number, 1, INT32_MAX, &v)) {
		free(name);
		return false;
	}
	Options *o = &c->opt;
	o->dim_name = mem_grow(o->dim_name, sizeof *o->dim_name * (size_t)(o->ndim + 1));
	o->dim_value = mem_grow(o->dim_value, sizeof *o->dim_value * (size_t)(o->ndim + 1));
	o->dim_name[o->ndim] = name;
	o->dim_value[o->ndim++] = v;
	return true;
}

static bool set_input(Command *c, void *field, const char *text)
{
	(void)field;
	const char *value;
	char *name = before_equals(text, &value);
	Options *o = &c->opt;
	if (!name)
		return false;
	o->set_name = mem_grow(o->set_name, sizeof *o->set_name * (size_t)(o->nset + 1));
	o->set_value = mem_grow(o->set_value, sizeof *o->set_value * (size_t)(o->nset + 1));
	o->set_name[o->nset] = name;
	o->set_value[o->nset++] = value;
	return true;
}

static bool set_state(Command *c, void *field, const char *text)
{
	(void)field;
	const char *out;
	if (!strcmp(text, "auto"))
		return c->opt.all_states = true;
	char *in = before_equals(text, &out);
	if (!in)
		return false;
	Options *o = &c->opt;
	o->state_in = mem_grow(o->state_in, sizeof *o->state_in * (size_t)(o->nstate + 1));
	o->state_out = mem_grow(o->state_out, sizeof *o->state_out * (size_t)(o->nstate + 1));
	o->state_in[o->nstate] = in;
	o->state_out[o->nstate++] = out;
	return true;
}

static bool set_exec(Command *c, void *field, const char *text)
{
	bool list = c->is == VERIFY;
	char *copy = text_copy(text), *rest = copy, *kind;
	bool good = true;
	int n = 0;
	while ((kind = strsep(&rest, ","))) {
		n++;
		good = good && (!strcmp(kind, "interp") || !strcmp(kind, "jit") || !strcmp(kind, "c") ||
		                (list && !strcmp(kind, "all")));
	}
	free(copy);
	*(const char **)field = text;
	return good && (n == 1 || list);
}

static bool set_metric(Command *c, void *field, const char *text)
{
	*(const char **)field = text;
	return !strcmp(text, "accuracy") || !strcmp(text, "perplexity") || !strcmp(text, "cross-entropy") ||
	       (c->is == EVAL && !strcmp(text, "snr"));
}

static bool set_limit(Command *c, void *field, const char *text)
{
	(void)c;
	return whole_number(text, 1, INT64_MAX, field);
}

static bool set_budget(Command *c, void *field, const char *text)
{
	(void)c;
	int64_t bytes, ram, ops;
	*(const char **)field = text;
	return budget_parse(text, &bytes, &ram, &ops);
}

static bool set_jobs(Command *c, void *field, const char *text)
{
	(void)c;
	return whole_number(text, 1, 64, field);
}

static bool set_effort(Command *c, void *field, const char *text)
{
	(void)c;
	int64_t v;
	bool good = whole_number(text, 0, 3, &v);
	*(int *)field = (int)v;
	return good;
}

static bool set_seed(Command *c, void *field, const char *text)
{
	(void)c;
	int64_t v;
	bool good = whole_number(text, 0, INT64_MAX, &v);
	*(uint64_t *)field = (uint64_t)v;
	return good;
}

static bool set_size(Command *c, void *field, const char *text)
{
	(void)c;
	char *end;
	double v = strtod(text, &end);
	*(double *)field = v;
	return end != text && !*end && v >= 0.1 && v <= 16;
}

static bool set_tolerance(Command *c, void *field, const char *text)
{
	(void)c;
	char *end;
	double v = strtod(text, &end);
	*(double *)field = v;
	return end != text && !*end && v >= 0 && v < 1e30;
}

const OptionRow options[] = {
#define OPTION(name, letter, argument, set, field, commands, help) \
	{name, letter, argument, set, offsetof(Command, field), commands, help},
#include "driver/options.def"
};
const int noptions = sizeof options / sizeof *options;

/* ---- argv -------------------------------------------------------------------------------------- */

/* How many letters to change, add or drop to get from a to b; only small numbers matter. */
static int distance(const char *a, const char *b)
{
	if (!*a || !*b)
		return (int)(strlen(a) + strlen(b));
	if (*a == *b)
		return distance(a + 1, b + 1);
	if (strlen(a) > 16 || strlen(b) > 16)
		return 99;
	if (a[1] && !strcmp(a + 1, b + 1))
		return 1;
	if (!strcmp(a + 1, b) || !strcmp(a, b + 1))
		return 1;
	return a[1] == b[0] && a[0] == b[1] ? 1 + distance(a + 2, b + 2) : 99;
}

static const OptionRow *find_option(const char *name, size_t n)
{
	for (int i = 0; i < noptions; i++)
		if (strlen(options[i].name) == n && !strncmp(options[i].name, name, n))
			return &options[i];
	return 0;
}

static void unknown_option(const char *text, size_t n, const CommandRow *row, Diag *d)
{
	char *name = text_new("%.*s", (int)n, text);
	const char *near = 0;
	for (int i = 0; i < noptions && !near; i++)
		if ((options[i].commands & row->is) && distance(name, options[i].name) <= 2)
			near = options[i].name;
	if (near)
		diag_error(d, "there is no option --%s; did you mean --%s?", name, near);
	else
		diag_error(d, "there is no option --%s; see: gatefold %s --help", name, row->name);
	free(name);
}

static void apply(const OptionRow *o, const char *value, const CommandRow *row, Command *c, Diag *d)
{
	if (!(o->commands & row->is))
		diag_error(d, "--%s has no meaning for %s", o->name, row->name);
	else if (!o->set(c, (char *)c + o->field, value))
		diag_error(d, "--%s takes %s, not '%s': %s", o->name, o->argument, value, o->help);
}

/* The option at argv[i], of the form --name, --name=value, --name value, -l value or -lvalue.  Returns how many of
 * argv it took. */
static int one_option(const CommandRow *row, int argc, char **argv, int i, Command *c, Diag *d)
{
	const char *text = argv[i], *value = 0;
	const OptionRow *o = 0;
	if (text[1] == '-') {
		size_t n = strcspn(text + 2, "=");
		o = find_option(text + 2, n);
		if (!o) {
			unknown_option(text + 2, n, row, d);
			return 1;
		}
		value = text[2 + n] ? text + 3 + n : 0;
	} else {
		for (int k = 0; k < noptions; k++)
			if (options[k].letter == text[1])
				o = &options[k];
		if (!o) {
			diag_error(d, "there is no option %s; see: gatefold %s --help", text, row->name);
			return 1;
		}
		value = text[2] ? text + 2 : 0;
	}
	if (!o->argument) {
		if (value)
			diag_error(d, "--%s takes no value", o->name);
		else
			apply(o, "", row, c, d);
		return 1;
	}
	if (value) {
		apply(o, value, row, c, d);
		return 1;
	}
	if (i + 1 >= argc) {
		diag_error(d, "--%s needs a value: %s", o->name, o->argument);
		return 1;
	}
	apply(o, argv[i + 1], row, c, d);
	return 2;
}

bool options_parse(const CommandRow *row, int argc, char **argv, Command *c, bool *help, Diag *d)
{
	bool only_operands = false;
	*c = (Command){.is = row->is, .rtol = 1e-3, .metric = "accuracy", .opt.effort = 1};
	c->arg = mem_array((size_t)argc, sizeof *c->arg);
	*help = false;
	for (int i = 0; i < argc;) {
		const char *text = argv[i];
		if (only_operands || text[0] != '-' || !text[1] || !strncmp(text, "-.", 2)) {
			c->arg[c->narg++] = text;
			i++;
		} else if (!strcmp(text, "--")) {
			only_operands = true;
			i++;
		} else if (!strcmp(text, "--help") || !strcmp(text, "-h")) {
			*help = true;
			i++;
		} else {
			i += one_option(row, argc, argv, i, c, d);
		}
	}
	if (!c->precision_given)
		c->opt.integer = c->opt.calib || c->opt.weights || c->opt.activations || c->opt.nrule || c->opt.size > 0;
	if (c->opt.size > 0 && !c->opt.storage)
		c->opt.storage = STORE_ROWS;
	if (c->opt.grid > 1 && (c->opt.storage != STORE_ROWS || (!(c->opt.size > 0) && (!c->opt.effort || !c->opt.calib))))
		diag_error(d, "--grid book and trellis need --storage rows, and --size or (with --calib) an --effort of at least 1");
	if (!*help && (c->narg < row->least || (row->most >= 0 && c->narg > row->most)))
		diag_error(d, "usage: gatefold %s %s [OPTION]...; see: gatefold %s --help", row->name, row->operands,
		           row->name);
	return !diag_errors(d);
}

bool options_text(const CommandRow *row, const char *text, Command *c, Diag *d)
{
	char *copy = text_copy(text), *rest = copy, *word, *argv[64];
	int n = 0, before = diag_errors(d);
	while (n < 63 && (word = strsep(&rest, " ")))
		if (*word)
			argv[n++] = word;
	for (int i = 0; i < n && diag_errors(d) == before;)
		i += one_option(row, n, argv, i, c, d);
	return diag_errors(d) == before;        /* options keep parts of the copy */
}

void command_free(Command *c)
{
	for (int i = 0; i < c->opt.ndim; i++)
		free((char *)c->opt.dim_name[i]);
	for (int i = 0; i < c->opt.nset; i++)
		free((char *)c->opt.set_name[i]);
	for (int i = 0; i < c->opt.nstate; i++)
		free((char *)c->opt.state_in[i]);
	for (int i = 0; i < c->opt.nrule; i++)
		free((char *)c->opt.rule[i].pattern);
	for (int i = 0; i < c->opt.nrange_rule; i++)
		free((char *)c->opt.range_rule[i].pattern);
	free(c->opt.set_name), free(c->opt.set_value), free(c->opt.dim_name), free(c->opt.dim_value);
	free(c->opt.state_in), free(c->opt.state_out);
	free(c->opt.rule), free(c->opt.range_rule), free(c->arg);
}

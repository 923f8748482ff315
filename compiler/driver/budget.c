/* budget.c: widths that fit: `explore --budget bytes=N,ram=N,ops=N`.
 *
 * ram, ops: every combination of the widths of values that the compiler takes is compiled; those that fit are kept, the one
 * with the least loss in integers first.
 * bytes, ops: of weights, the widths that lose least by the table of sensitivities; for the first of those combinations with
 * which the model fits.
 * Where rows are stored by what they hold, gates may get widths of their own, too: if the model is the better for it. */
#include "driver/budget.h"
#include "driver/eval.h"
#include "passes/passes.h"
#include "storage/storage.h"
#include "util/mem.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

bool budget_parse(const char *text, int64_t *bytes, int64_t *ram, int64_t *ops)
{
	char *copy = text_copy(text), *rest = copy, *word;
	bool good = true;
	*bytes = *ram = *ops = 0;
	while (good && (word = strsep(&rest, ","))) {
		char *end = 0, *value = strchr(word, '=');
		int64_t *to = !strncmp(word, "bytes=", 6) ? bytes : !strncmp(word, "ram=", 4) ? ram :
		              !strncmp(word, "ops=", 4) ? ops : 0;
		good = to && value;
		if (good)
			*to = strtoll(value + 1, &end, 10);
		good = good && end != value + 1 && !*end && *to > 0;
	}
	free(copy);
	return good;
}

/* ---- output ------------------------------------------------------------------------------------- */

static void add_option(char **text, const char *format, const char *name, int bits)
{
	char *one = text_new(format, name, bits), *longer = text_new("%s%s%s", *text, **text ? " " : "", one);
	free(*text), free(one);
	*text = longer;
}

/* Gates of one tensor that all have the width of the i-th item, which is the first of them. */
static bool gates_alike(const Budget *b, int i)
{
	int n = 0;
	for (int k = 0; k < b->n; k++)
		if (b->item[k]->data == b->item[i]->data) {
			if (k < i || b->bits[k] != b->bits[i] || b->held[k])
				return false;
			n += b->item[k]->rows;
		}
	return n == b->item[i]->data->type->dim[0];
}

static bool told_with_first(const Budget *b, int i)
{
	int first = i;
	while (first > 0 && b->item[first - 1]->data == b->item[i]->data)
		first--;
	return first < i && gates_alike(b, first);
}

/* As options of a command line. */
static char *chosen(const Budget *b)
{
	char *text = text_copy("");
	for (int i = 0; i < b->n; i++)
		if (!b->held[i] && !told_with_first(b, i))
			add_option(&text, "--weights %s=%d", gates_alike(b, i) ? b->item[i]->data->name : b->item[i]->name, b->bits[i]);
	const struct { const char *option; int bits, was; } value[] = {
		{"--activations", b->values.activations, b->c->opt.activations}, {"--state-bits", b->values.state, b->c->opt.state},
		{"--gate-bits", b->values.gates, b->c->opt.gates},
	};
	for (int k = 0; k < 3; k++)
		if (value[k].bits && value[k].bits != value[k].was)
			add_option(&text, "%s %d", value[k].option, value[k].bits);
	if (b->values.once && !b->c->opt.decode_once)
		add_option(&text, "%s", "--decode once", 0);
	return text;
}

static bool evaluate(const Budget *b, Result *res)
{
	Command c = *b->c;
	c.opt = budget_options(b);
	bool good = eval_one(&c, b->base, true, res, b->d);
	free(c.opt.rule);
	return good;
}

static void print(const Budget *b, const Sensitivity *s, const Result *res)
{
	char *rules = chosen(b);
	double value = res ? metric_value(&res->metric) : NAN;
	if (b->c->opt.json) {
		cJSON *j = cJSON_CreateObject();
		sensitivity_print(s, j);
		cJSON_AddStringToObject(j, "options", rules);
		cJSON_AddNumberToObject(j, "bytes", (double)b->has.bytes);
		cJSON_AddNumberToObject(j, "ram_bytes", (double)b->has.ram);
		cJSON_AddNumberToObject(j, "operations", (double)b->has.ops);
		cJSON_AddBoolToObject(j, "operations_are_exact", !b->ops_bound);
		json_number(j, "loss_fixed", b->loss);
		if (res)
			json_number(j, "metric_fixed", value);
		json_finish(j);
	} else {
		sensitivity_print(s, 0);
		printf("options  %s\n", rules);
		printf("bytes    %lld\nRAM      %lld\nops      %lld%s\nloss     %.3g in fixed point on calibration data\n",
		       (long long)b->has.bytes, (long long)b->has.ram, (long long)b->has.ops, b->ops_bound ? " at most" : "", b->loss);
		if (res)
			printf("%-8s %.6g\n", b->c->metric, value);
	}
	free(rules);
}

/* ---- the search ---------------------------------------------------------------------------------- */

/* gates: with widths for each gate's rows. */
static bool search(Budget *b, const Sensitivity *s, bool gates)
{
	int n = 0;
	budget_items(b, s, gates);
	bool good = budget_compile(b, false);
	Candidate *list = good ? budget_values(b, &n) : 0;
	good = n > 0 && budget_weights(b, list, n);
	free(list);
	return good;
}

/* Gates of their own where that loses less. */
static void search_gates(Budget *b, const Sensitivity *s)
{
	Budget fine = *b;
	fine.d = diag_new();
	bool better = search(&fine, s, true) && fine.loss < b->loss;
	diag_free(fine.d);
	fine.d = b->d;
	budget_free_items(better ? b : &fine);
	if (better)
		*b = fine;
}

int command_budget(const Command *c, Diag *d)
{
	Budget b = {.c = c, .d = d};
	Options opt = c->opt;
	Result res = {0};
	Sensitivity s = {0};
	opt.integer = true;
	b.values = (Values){opt.activations, opt.state, opt.gates, opt.decode_once};
	budget_parse(c->budget, &b.limit.bytes, &b.limit.ram, &b.limit.ops);
	if (opt.size > 0)
		diag_error(d, "--size chooses widths itself: it does not go with --budget");
	b.base = diag_errors(d) ? 0 : model_read(c->arg[0], &opt, d);
	if (b.base && (b.base->level != L_TENSOR || module_is_quantized(b.base)))
		diag_error(d, "%s: --budget chooses widths for a model that is not quantized yet", c->arg[0]);
	b.floats = b.base ? module_clone(b.base) : 0;
	bool by_gate = opt.per_row && opt.storage != STORE_PLAIN && b.limit.bytes;      /* else narrow rows save nothing */
	bool good = !diag_errors(d) && passes_run(b.floats, &opt, "observe", d);
	good = good && sensitivity_measure(c, b.floats, by_gate, &s, d);
	b.r = good ? reference_new(c, b.floats, d) : 0;
	good = b.r && search(&b, &s, false);
	if (good && by_gate)
		search_gates(&b, &s);
	good = good && (!c->data || evaluate(&b, &res));
	if (good)
		print(&b, &s, c->data ? &res : 0);
	reference_free(b.r);
	budget_free_items(&b);
	sensitivity_free(&s);
	if (b.floats)
		module_free(b.floats), module_free(b.base);
	return good ? EXIT_DONE : EXIT_REFUSED;
}

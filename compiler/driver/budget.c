/* budget.c: widths that fit: `explore --budget bytes=N`, `--budget ram=N`.
 *
 * bytes: all weight tensors start at START bits; the one whose next narrower width costs least loss for
 * each byte saved is narrowed, by the table of sensitivities, until the sum fits.  The sum is of packed
 * weights; the compiled model says what it really takes, and narrowing goes on until that fits.
 *
 * ram: every combination of the widths of values that the compiler takes is compiled; of those that fit
 * the one with the least loss in integers stays.  RAM is chosen first: it does not depend on the widths of weights. */
#include "driver/eval.h"
#include "driver/sensitivity.h"
#include "passes/passes.h"
#include "util/mem.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { START = 8, LEAST = 2 };

typedef struct {
	const Command *c;
	Module *base;           /* as imported */
	Sensitivity s;
	int *bits;              /* by tensor */
	int64_t bytes, ram;     /* budgets; 0: none */
	int64_t has_bytes, has_ram;     /* of the model chosen */
	double loss;            /* of the integer model, on calibration data */
	int activations, state, gates;
	Diag *d;
} Budget;

bool budget_parse(const char *text, int64_t *bytes, int64_t *ram)
{
	char *copy = text_copy(text), *rest = copy, *word;
	bool good = true;
	*bytes = *ram = 0;
	while (good && (word = strsep(&rest, ","))) {
		char *end = 0, *value = strchr(word, '=');
		int64_t *to = !strncmp(word, "bytes=", 6) ? bytes : !strncmp(word, "ram=", 4) ? ram : 0;
		good = to && value;
		if (good)
			*to = strtoll(value + 1, &end, 10);
		good = good && end != value + 1 && !*end && *to > 0;
	}
	free(copy);
	return good;
}

/* ---- one choice, compiled ----------------------------------------------------------------------- */

static Options options_of(const Budget *b)
{
	Options o = b->c->opt;
	o.integer = true;
	o.activations = b->activations, o.state = b->state, o.gates = b->gates;
	o.rule = mem_array((size_t)(o.nrule + b->s.n) + 1, sizeof *o.rule);
	for (int i = 0; i < b->s.n; i++)        /* the user's own come later: the last match wins */
		o.rule[i] = (BitsRule){b->s.tensor[i].data->name, b->bits[i]};
	for (int i = 0; i < o.nrule; i++)
		o.rule[b->s.n + i] = b->c->opt.rule[i];
	o.nrule += b->s.n;
	return o;
}

/* Bytes and RAM of the model with these widths; its loss, when r is given. */
static bool compile(Budget *b, Reference *r)
{
	Options o = options_of(b);
	Module *m = module_clone(b->base);
	bool good = passes_run(m, &o, "quantize", b->d);
	if (good && r)
		good = reference_loss(r, m, true, &b->loss, b->d);
	o.target = "any";
	o.passes = "lower,plan";
	good = good && passes_run(m, &o, 0, b->d);
	b->has_bytes = portable_bytes(m);
	b->has_ram = (int64_t)m->state_size + m->scratch_size + m->scratch_step;
	module_free(m);
	free(o.rule);
	return good;
}

/* ---- RAM ---------------------------------------------------------------------------------------- */

/* Widths, from the most to the least. */
static const int value_bits[] = {16, 8, 6, 4}, wide_bits[] = {16, 8};

static bool search_ram(Budget *b, Reference *r)
{
	Budget best = *b;
	double least = INFINITY;
	int64_t smallest = INT64_MAX;
	for (size_t a = 0; a < sizeof value_bits / sizeof *value_bits; a++)
		for (size_t s = 0; s < sizeof wide_bits / sizeof *wide_bits; s++)
			for (size_t g = 0; g < sizeof wide_bits / sizeof *wide_bits; g++) {
				Diag *quiet = diag_new();
				Budget t = *b;
				t.d = quiet;
				t.activations = value_bits[a], t.state = wide_bits[s], t.gates = wide_bits[g];
				bool good = compile(&t, r);
				diag_free(quiet);
				if (!good)      /* not every model and version takes every width */
					continue;
				smallest = t.has_ram < smallest ? t.has_ram : smallest;
				if (t.has_ram <= b->ram && t.loss < least)
					least = t.loss, best = t;
			}
	best.d = b->d;
	if (least == INFINITY) {
		diag_error(b->d, "--budget ram=%lld: the least that widths of values give is %lld bytes", (long long)b->ram,
		           (long long)smallest);
		return false;
	}
	*b = best;
	return true;
}

/* ---- bytes -------------------------------------------------------------------------------------- */

static double bytes_at(const Sensitive *t, int bits)
{
	return (double)type_count(t->data->type, 1) * bits / 8;
}

/* The tensor that gives a byte for the least loss, and the width it goes to; -1: all are at the least. */
static int cheapest(const Budget *b, int *to)
{
	int best = -1;
	double least = INFINITY;
	for (int i = 0; i < b->s.n; i++) {
		const Sensitive *t = &b->s.tensor[i];
		/* a step of several may be the better one */
		for (int bits = b->bits[i] - 1; bits >= LEAST; bits--) {
			double more = t->loss[bits] - t->loss[b->bits[i]];
			double rate = fmax(more, 0) / (bytes_at(t, b->bits[i]) - bytes_at(t, bits));
			if (rate < least)
				least = rate, best = i, *to = bits;
		}
	}
	return best;
}

static double packed_bytes(const Budget *b)
{
	double sum = 0;
	for (int i = 0; i < b->s.n; i++)
		sum += bytes_at(&b->s.tensor[i], b->bits[i]);
	return sum;
}

/* What narrowing in large steps left over: the widths that lose least for each byte are taken back while
 * they fit. */
static bool widen(Budget *b)
{
	bool *full = mem_array((size_t)b->s.n + 1, sizeof *full), good = true;
	for (;;) {
		int best = -1;
		double most = 0;
		for (int i = 0; i < b->s.n; i++) {
			const Sensitive *t = &b->s.tensor[i];
			double more = b->bits[i] < START ? bytes_at(t, b->bits[i] + 1) - bytes_at(t, b->bits[i]) : 0;
			double rate = more > 0 ? (t->loss[b->bits[i]] - t->loss[b->bits[i] + 1]) / more : 0;
			if (!full[i] && rate > most && (double)b->has_bytes + more <= (double)b->bytes)
				most = rate, best = i;
		}
		if (best < 0)
			break;
		b->bits[best]++;
		good = compile(b, 0);
		if (!good)
			break;
		if (b->has_bytes > b->bytes) {
			b->bits[best]--;
			full[best] = true;
			good = compile(b, 0);
		}
	}
	free(full);
	return good;
}

static bool search_bytes(Budget *b, Reference *r)
{
	for (;;) {
		if (!compile(b, 0))
			return false;
		if (b->has_bytes <= b->bytes)
			return widen(b) && compile(b, r);
		double aim = packed_bytes(b) - (double)(b->has_bytes - b->bytes);
		do {
			int to = 0, i = cheapest(b, &to);
			if (i < 0) {
				diag_error(b->d, "--budget bytes=%lld: with all weights at %d bits the model has %lld bytes",
				           (long long)b->bytes,
				           LEAST, (long long)b->has_bytes);
				return false;
			}
			b->bits[i] = to;
		} while (packed_bytes(b) > aim);
	}
}

/* ---- output ------------------------------------------------------------------------------------- */

static char *chosen(const Budget *b)
{
	char *text = text_copy("");
	for (int i = 0; i < b->s.n + 3; i++) {
		int k = i - b->s.n, bits = k == 0 ? b->activations : k == 1 ? b->state : b->gates;
		static const char *const option[] = {"--activations", "--state-bits", "--gate-bits"};
		char *longer = i < b->s.n ? text_new("%s%s--weights %s=%d", text, *text ? " " : "",
		                                     b->s.tensor[i].data->name, b->bits[i])
		               : bits     ? text_new("%s%s%s %d", text, *text ? " " : "", option[k], bits)
		                          : text_copy(text);
		free(text);
		text = longer;
	}
	return text;
}

static bool evaluate(const Budget *b, Result *res)
{
	Command c = *b->c;
	c.opt = options_of(b);
	bool good = eval_one(&c, b->base, true, res, b->d);
	free(c.opt.rule);
	return good;
}

static void print(const Budget *b, const Result *res)
{
	char *rules = chosen(b);
	double value = res ? metric_value(&res->metric) : NAN;
	if (b->c->opt.json) {
		cJSON *j = cJSON_CreateObject();
		sensitivity_print(&b->s, j);
		cJSON_AddStringToObject(j, "options", rules);
		cJSON_AddNumberToObject(j, "bytes", (double)b->has_bytes);
		cJSON_AddNumberToObject(j, "ram_bytes", (double)b->has_ram);
		json_number(j, "loss_fixed", b->loss);
		if (res)
			json_number(j, "metric_fixed", value);
		json_finish(j);
	} else {
		sensitivity_print(&b->s, 0);
		printf("options  %s\n", rules);
		printf("bytes    %lld\nRAM      %lld\nloss     %.3g in fixed point on calibration data\n",
		       (long long)b->has_bytes,
		       (long long)b->has_ram, b->loss);
		if (res)
			printf("%-8s %.6g\n", b->c->metric, value);
	}
	free(rules);
}

int command_budget(const Command *c, Diag *d)
{
	Budget b = {.c = c, .d = d};
	Options opt = c->opt;
	Result res = {0};
	opt.integer = true;
	budget_parse(c->budget, &b.bytes, &b.ram);
	b.base = model_read(c->arg[0], &opt, d);
	Module *floats = b.base ? module_clone(b.base) : 0;
	bool good = floats && passes_run(floats, &opt, "observe", d);
	good = good && sensitivity_measure(c, floats, false, &b.s, d);
	Reference *r = good ? reference_new(c, floats, d) : 0;
	b.bits = mem_array((size_t)b.s.n + 1, sizeof *b.bits);
	for (int i = 0; i < b.s.n; i++)
		b.bits[i] = START;
	good = r && (!b.ram || search_ram(&b, r)) && (!b.bytes || search_bytes(&b, r));
	good = good && (!c->data || evaluate(&b, &res));
	if (good)
		print(&b, c->data ? &res : 0);
	reference_free(r);
	sensitivity_free(&b.s);
	free(b.bits);
	if (floats)
		module_free(floats), module_free(b.base);
	return good ? EXIT_DONE : EXIT_REFUSED;
}

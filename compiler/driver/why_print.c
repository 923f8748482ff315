/* why_print.c: what why.c collected, as a table or as JSON. */
#include "driver/format.h"
#include "driver/why.h"
#include "util/json.h"

#include <string.h>

enum { MOST_BITS_SHOWN = 16, FIRST_STEPS_SHOWN = 10 };

/* "  41.2", or "exact" */
static const char *db_text(double db, char *buf, size_t n)
{
	if (isfinite(db))
		snprintf(buf, n, "%.1f", db);
	else
		snprintf(buf, n, "%s", db > 0 ? "exact" : "none");
	return buf;
}

/* One character for each number of bits, from 0 to the format's magnitude bits: how many stored integers take
 * that many, on a scale from rare to half of them. */
static const char *histogram(const WhyValue *v, char *buf)
{
	static const char shade[] = " .:-=+*#%@";
	const Quant *q = v->val->type->quant;
	int bits = elem_bits(q->elem) - elem_is_signed(q->elem), n = 0, from = 0;
	if (bits >= WHY_BITS)
		bits = WHY_BITS - 1;
	if (bits >= MOST_BITS_SHOWN)
		from = bits - MOST_BITS_SHOWN + 1;
	for (int b = from; b <= bits; b++) {
		double part = v->count ? (double)v->used[b] / (double)v->count : 0;
		int k = part == 0 ? 0 : 1 + (int)(16 * part);
		buf[n++] = shade[k > 9 ? 9 : k];
	}
	buf[n] = 0;
	return buf;
}

static void value_line(const WhyValue *v)
{
	char format[64], db[32], lost[32] = "", bar[40];
	double here = v->in - power_db(v->all);
	if (isfinite(here))
		snprintf(lost, sizeof lost, "%.1f", here > 0.05 ? here : 0.0);
	format_text(v->val->type, format, sizeof format);
	printf("  %-28s %-9s %-12s %8s %9s %9.3f%% %10.2g  |%s|\n", v->name,
	       v->val->def ? op_info[v->val->def->kind].name : "input", format, db_text(power_db(v->all), db,
	                                                                                sizeof db), lost,
	       100.0 * (double)v->saturated / (double)v->count, v->worst, v->val->type->quant ? histogram(v, bar)
		: "");
}

static bool has_spans(const WhyValue *v)
{
	return v->stepped && v->all.error > 0;
}

/* What grows over time steps: states and results show it. */
static void span_table(const Why *w)
{
	char db[32];
	int last = 0;
	for (int i = 0; i < w->nvalue; i++)
		for (int s = 0; s < WHY_SPANS; s++)
			if (has_spans(&w->value[i]) && w->value[i].span[s].signal > 0 && s > last)
				last = s;
	if (!last)
		return;
	printf("signal to noise over steps since the reset, dB\n  %-28s", "from step");
	for (int s = 0; s <= last; s++)
		printf(" %6d", 1 << s);
	printf("\n");
	int shown = 0;
	for (int i = 0; i < w->nvalue && shown < FIRST_STEPS_SHOWN; i++) {
		const WhyValue *v = &w->value[i];
		if (!has_spans(v))
			continue;
		printf("  %-28s", v->name);
		for (int s = 0; s <= last; s++)
			printf(" %6s", v->span[s].signal > 0 ? db_text(power_db(v->span[s]), db, sizeof db) : "");
		printf("\n");
		shown++;
	}
}

static void print_text(const Why *w)
{
	char format[64], db[32];
	printf("why: floats and integers side by side, %lld steps of %lld sequence%s, the worst first\n",
	       (long long)w->steps, (long long)w->sequences, w->sequences == 1 ? "" : "s");
	printf("  %-28s %-9s %-12s %8s %9s %10s %10s  %s\n", "value", "op", "format", "SNR dB", "lost here",
	       "saturated",
	       "greatest", "share of integers by their bits");
	for (int i = 0; i < w->nvalue; i++)
		value_line(&w->value[i]);
	printf("  %-38s %-12s %8s\n", "constant", "format", "SNR dB");
	for (int i = 0; i < w->nweight; i++)
		printf("  %-38s %-12s %8s\n", w->weight[i].data->name,
		       format_text(w->weight[i].data->type, format, sizeof format),
		       db_text(power_db(w->weight[i].all), db, sizeof db));
	span_table(w);
}

static void value_json(const WhyValue *v, cJSON *list)
{
	char format[64];
	cJSON *row = cJSON_CreateObject(), *used, *span;
	cJSON_AddItemToArray(list, row);
	cJSON_AddStringToObject(row, "name", v->name);
	cJSON_AddStringToObject(row, "op", v->val->def ? op_info[v->val->def->kind].name : "input");
	cJSON_AddStringToObject(row, "format", format_text(v->val->type, format, sizeof format));
	json_number(row, "snr_db", power_db(v->all));
	json_number(row, "operands_snr_db", v->in);
	json_number(row, "greatest_error", v->worst);
	cJSON_AddNumberToObject(row, "elements", (double)v->count);
	cJSON_AddNumberToObject(row, "saturated", (double)v->saturated);
	used = cJSON_AddArrayToObject(row, "by_bits");
	for (int b = 0, bits = elem_bits(v->val->type->elem); v->val->type->quant && b < bits && b < WHY_BITS; b++)
		cJSON_AddItemToArray(used, cJSON_CreateNumber((double)v->used[b]));
	span = cJSON_AddArrayToObject(row, "snr_db_from_step");
	int last = WHY_SPANS;
	while (last && !(v->span[last - 1].signal > 0))
		last--;
	for (int s = 0; s < last; s++) {
		double db = power_db(v->span[s]);
		cJSON_AddItemToArray(span, isfinite(db) ? cJSON_CreateNumber(db) : cJSON_CreateNull());
	}
}

static void print_json(const Why *w, cJSON *json)
{
	char format[64];
	cJSON *why = cJSON_AddObjectToObject(json, "why"), *list;
	cJSON_AddNumberToObject(why, "sequences", (double)w->sequences);
	cJSON_AddNumberToObject(why, "steps", (double)w->steps);
	list = cJSON_AddArrayToObject(why, "values");
	for (int i = 0; i < w->nvalue; i++)
		value_json(&w->value[i], list);
	list = cJSON_AddArrayToObject(why, "constants");
	for (int i = 0; i < w->nweight; i++) {
		cJSON *row = cJSON_CreateObject();
		cJSON_AddStringToObject(row, "name", w->weight[i].data->name);
		cJSON_AddStringToObject(row, "format", format_text(w->weight[i].data->type, format, sizeof format));
		json_number(row, "snr_db", power_db(w->weight[i].all));
		cJSON_AddItemToArray(list, row);
	}
}

void why_print(const Why *w, cJSON *json)
{
	if (json)
		print_json(w, json);
	else
		print_text(w);
}

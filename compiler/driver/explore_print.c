/* explore_print.c: the points as a table, as JSON, as CSV. */
#include "driver/explore.h"
#include "util/file.h"
#include "util/json.h"

#include <string.h>

int metric_sense(const char *metric)
{
	return strcmp(metric, "accuracy") ? -1 : 1;
}

double metric_change(const char *metric, double value, double reference)
{
	return strcmp(metric, "accuracy") ? 100 * (value / reference - 1) : 100 * (value - reference);
}

const char *metric_change_unit(const char *metric)
{
	return strcmp(metric, "accuracy") ? "%" : "points";
}

static const char *const state_text[] = {"open", "claimed", "done", "refused", "failed"};

/* ---- text --------------------------------------------------------------------------------------- */

/* Each reason once, with how many points it stands for. */
static void reason_line(const Explore *e, int i)
{
	const Point *p = &e->point[i];
	int n = 0;
	if (p->score.state == POINT_DONE)
		return;
	for (int k = 0; k < e->npoint; k++) {
		const Point *q = &e->point[k];
		if (q->score.state != p->score.state || strcmp(q->score.reason, p->score.reason))
			continue;
		if (k < i)
			return;
		n++;
	}
	printf("  %3d %s: %s (%s)\n", n, state_text[p->score.state], p->score.reason, p->settings);
}

static void text(const Explore *e)
{
	const Command *c = e->c;
	const Point *f = explore_float(e);
	int left_out = 0;
	printf("%s: %s on %s\n", c->arg[0], c->metric, c->data);
	printf("  %11s %12s %12s %10s %12s  settings (*: nothing smaller is as good)\n", "bits/param", "bytes",
	       c->metric,
	       f ? metric_change_unit(c->metric) : "", "RAM");
	for (int i = 0; i < e->npoint; i++) {
		const Point *p = &e->point[i];
		char change[32] = "";
		if (p->score.state != POINT_DONE) {
			left_out++;
			continue;
		}
		if (f)
			snprintf(change, sizeof change, "%+.2f", metric_change(c->metric, p->score.metric, f->score.metric));
		printf("%s %11.3f %12lld %12.6g %10s %12lld  %s\n", p->front ? "*" : " ", p->score.bits,
		       (long long)p->score.bytes,
		       p->score.metric, change, (long long)p->score.ram, p->settings);
	}
	if (left_out)
		printf("not scored: %d\n", left_out);
	for (int i = 0; i < e->npoint; i++)
		reason_line(e, i);
}

/* ---- JSON, CSV ---------------------------------------------------------------------------------- */

static void json(const Explore *e)
{
	const Command *c = e->c;
	const Point *f = explore_float(e);
	cJSON *j = cJSON_CreateObject(), *list;
	cJSON_AddStringToObject(j, "model", c->arg[0]);
	cJSON_AddStringToObject(j, "metric", c->metric);
	if (f)
		json_number(j, "metric_float", f->score.metric);
	list = cJSON_AddArrayToObject(j, "points");
	for (int i = 0; i < e->npoint; i++) {
		const Point *p = &e->point[i];
		cJSON *row = cJSON_CreateObject();
		cJSON_AddItemToArray(list, row);
		cJSON_AddStringToObject(row, "settings", p->settings);
		cJSON_AddStringToObject(row, "group", p->group);
		cJSON_AddStringToObject(row, "state", state_text[p->score.state]);
		if (p->score.state != POINT_DONE) {
			cJSON_AddStringToObject(row, "reason", p->score.reason);
			continue;
		}
		cJSON_AddNumberToObject(row, "bytes", (double)p->score.bytes);
		cJSON_AddNumberToObject(row, "bits_per_parameter", p->score.bits);
		json_number(row, "metric", p->score.metric);
		if (f)
			json_number(row, "change", metric_change(c->metric, p->score.metric, f->score.metric));
		cJSON_AddNumberToObject(row, "ram_bytes", (double)p->score.ram);
		cJSON_AddNumberToObject(row, "macs", (double)p->score.macs);
		cJSON_AddNumberToObject(row, "samples", (double)p->score.samples);
		cJSON_AddNumberToObject(row, "seconds", p->score.seconds);
		cJSON_AddBoolToObject(row, "front", p->front);
	}
	json_finish(j);
}

void explore_print(const Explore *e)
{
	(e->c->opt.json ? json : text)(e);
}

static void quoted(const char *s, FILE *f)
{
	putc('"', f);
	for (; *s; s++) {
		if (*s == '"')
			putc('"', f);
		putc(*s == '\n' ? ' ' : *s, f);
	}
	putc('"', f);
}

/* No times: the same points give the same file. */
bool explore_csv(const Explore *e, const char *path, Diag *d)
{
	const Point *f = explore_float(e);
	Outputs *o = outputs_new();
	FILE *out = outputs_add(o, path, d);
	if (out)
		fprintf(out, "group,settings,state,bits_per_parameter,bytes,%s,change,ram_bytes,macs,front,reason\n",
		        e->c->metric);
	for (int i = 0; out && i < e->npoint; i++) {
		const Point *p = &e->point[i];
		quoted(p->group, out), putc(',', out), quoted(p->settings, out);
		fprintf(out, ",%s,", state_text[p->score.state]);
		if (p->score.state == POINT_DONE) {
			fprintf(out, "%.6g,%lld,%.9g,", p->score.bits, (long long)p->score.bytes, p->score.metric);
			if (f)
				fprintf(out, "%.6g", metric_change(e->c->metric, p->score.metric, f->score.metric));
			fprintf(out, ",%lld,%lld,%d,\n", (long long)p->score.ram, (long long)p->score.macs, p->front);
		} else {
			fprintf(out, ",,,,,,,");
			quoted(p->score.reason, out);
			putc('\n', out);
		}
	}
	bool good = out && outputs_commit(o, d);
	outputs_free(o);
	return good;
}

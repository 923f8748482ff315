/* explore.c: `gatefold explore MODEL --calib C --data D`: memory against loss.
 *
 * A point is a text of options; its score is what `gatefold eval` with these options would say. */
#include "driver/explore.h"
#include "driver/sensitivity.h"
#include "util/file.h"
#include "util/mem.h"

#include <fnmatch.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* ---- the list of points ------------------------------------------------------------------------- */

static void add_point(Explore *e, const char *group, const char *weights, const char *values)
{
	Point p = {.group = text_copy(group), .weights = text_copy(weights), .values = text_copy(values)};
	p.settings = text_new("%s%s%s", weights, *weights && *values ? " " : "", values);
	e->point = mem_grow(e->point, sizeof p * (size_t)(e->npoint + 1));
	e->point[e->npoint++] = p;
}

static void points_of_table(Explore *e, const char *pattern)
{
	static const struct { const char *group, *weights, *values; } table[] = {
#define POINT(group, weights, values) {group, weights, values},
#include "driver/explore_points.def"
	};
	for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
		char *settings = text_new("%s%s%s", table[i].weights, *table[i].values ? " " : "", table[i].values);
		if (!pattern || !fnmatch(pattern, settings, 0))
			add_point(e, table[i].group, table[i].weights, table[i].values);
		free(settings);
	}
}

/* One a line.  Each is calibrated for itself: what it says about values is not known. */
static bool points_of_file(Explore *e, const char *path, Diag *d)
{
	size_t n;
	char *text = file_read(path, 1 << 20, &n, d), *rest = text, *line;
	while (text && (line = strsep(&rest, "\n")))
		if (*line && *line != '#')
			add_point(e, "given", "", line);
	free(text);
	return text != 0;
}

static bool same_twice(const Explore *e, Diag *d)
{
	for (int i = 0; i < e->npoint; i++)
		for (int k = 0; k < i; k++)
			if (!strcmp(e->point[i].settings, e->point[k].settings)) {
				diag_error(d, "--points: '%s' stands there twice", e->point[i].settings);
				return true;
			}
	return false;
}

/* ---- what is explored --------------------------------------------------------------------------- */

/* FNV-1a, 64 bits */
static uint64_t hash_file(const char *path, Diag *d)
{
	uint64_t h = UINT64_C(14695981039346656037);
	FILE *f = fopen(path, "rb");
	if (!f) {
		diag_error(d, "%s: cannot be read", path);
		return 0;
	}
	for (int ch; (ch = getc(f)) != EOF;)
		h = (h ^ (unsigned char)ch) * UINT64_C(1099511628211);
	fclose(f);
	return h;
}

static void add_text(char **to, const char *what, const char *name, const char *value)
{
	char *longer = text_new("%s %s %s%s%s", *to, what, name, *value ? "=" : "", value);
	free(*to);
	*to = longer;
}

/* Options of the command line itself, which every point starts from. */
static char *base_of(const Options *o)
{
	char *base = text_copy(""), number[32];
	for (int i = 0; i < o->ndim; i++)
		snprintf(number, sizeof number, "%lld", (long long)o->dim_value[i]), add_text(&base, "dim", o->dim_name[i],
		                                                                              number);
	for (int i = 0; i < o->nset; i++)
		add_text(&base, "set", o->set_name[i], o->set_value[i]);
	for (int i = 0; i < o->nstate; i++)
		add_text(&base, "state", o->state_in[i], o->state_out[i]);
	if (o->all_states)
		add_text(&base, "state", "auto", "");
	for (int i = 0; i < o->nrule; i++)
		snprintf(number, sizeof number, "%d", o->rule[i].bits), add_text(&base, "bits", o->rule[i].pattern, number);
	snprintf(number, sizeof number, "%llu", (unsigned long long)o->seed);
	add_text(&base, "seed", number, "");
	return base;
}

/* Options that points set themselves. */
static bool leaves_points_alone(const Options *o, Diag *d)
{
	if (o->weights || o->activations || o->state || o->gates || o->real_scales || o->per_row || o->unit_exponents ||
	    o->value_book || o->size || o->storage || o->decode_once)
		diag_error(d, "--weights BITS, --activations BITS and the like are what the points vary; "
		           "--points @FILE has points of your own, "
		           "NAME=BITS holds for all points");
	if (o->skip)
		diag_error(d, "--skip is not for explore");
	return !diag_errors(d);
}

static char *study_of(const Command *c, Diag *d)
{
	char *base = base_of(&c->opt);
	char *study = text_new("%s %016llx, calibrated on %016llx, %s of %016llx%s%s, limit %lld,%s",
	                       path_base(c->arg[0]),
	                (unsigned long long)hash_file(c->arg[0], d), (unsigned long long)hash_file(c->opt.calib, d),
	                c->metric, (unsigned long long)hash_file(c->data, d), c->port ? " port " : "", c->port
		? c->port : "",
	                (long long)c->limit, base);
	free(base);
	return study;
}

static bool usable(const Command *c, Diag *d)
{
	if (!c->opt.calib || !is_file(c->opt.calib))
		diag_error(d, "say what to calibrate on: --calib FILE.npz");
	if (!c->data || !is_file(c->data))
		diag_error(d, "say what to score on: --data FILE.npz with arrays named like the inputs, and 'labels'");
	return !diag_errors(d);
}

/* ---- the front ---------------------------------------------------------------------------------- */

static bool beats(const Point *a, const Point *b, int sense)
{
	double better = sense * (a->score.metric - b->score.metric);
	return a->score.bytes <= b->score.bytes && better >= 0 && (a->score.bytes < b->score.bytes || better > 0);
}

static void mark_front(Explore *e)
{
	int sense = metric_sense(e->c->metric);
	for (int i = 0; i < e->npoint; i++) {
		e->point[i].front = e->point[i].score.state == POINT_DONE;
		for (int k = 0; k < e->npoint && e->point[i].front; k++)
			e->point[i].front = e->point[k].score.state != POINT_DONE || !beats(&e->point[k], &e->point[i], sense);
	}
}

const Point *explore_float(const Explore *e)
{
	for (int i = 0; i < e->npoint; i++)
		if (strstr(e->point[i].settings, "--precision f32") && e->point[i].score.state == POINT_DONE)
			return &e->point[i];
	return 0;
}

/* Smaller ones first. */
static int by_size(const void *a, const void *b)
{
	const Point *p = a, *q = b;
	bool pd = p->score.state == POINT_DONE, qd = q->score.state == POINT_DONE;
	if (pd != qd)
		return pd ? -1 : 1;
	if (pd && p->score.bytes != q->score.bytes)
		return p->score.bytes < q->score.bytes ? -1 : 1;
	return strcmp(p->settings, q->settings);
}

static void explore_free(Explore *e)
{
	for (int i = 0; i < e->npoint; i++) {
		free(e->point[i].group), free(e->point[i].weights);
		free(e->point[i].values), free(e->point[i].settings);
	}
	free(e->point), free(e->study);
}

int command_explore(const Command *c, Diag *d)
{
	if (c->sensitivity || c->budget) {
		if (!c->opt.calib)
			diag_error(d, "say what to calibrate on: --calib FILE.npz");
		return diag_errors(d) ? EXIT_REFUSED : c->budget ? command_budget(c, d) : command_sensitivity(c, d);
	}
	if (!usable(c, d) || !leaves_points_alone(&c->opt, d))
		return EXIT_REFUSED;
	Explore e = {.c = c, .study = study_of(c, d)};
	char temporary[256];
	const char *path = c->store;
	bool good = !diag_errors(d);
	if (good && c->points && *c->points == '@')
		good = points_of_file(&e, c->points + 1, d);
	else if (good)
		points_of_table(&e, c->points);
	if (good && !e.npoint) {
		diag_error(d, "--points %s: no settings match", c->points);
		good = false;
	}
	good = good && !same_twice(&e, d);
	if (good && !path) {    /* the processes of one run share a file, too */
		temporary_name(temporary, sizeof temporary);
		int fd = mkstemp(temporary);
		good = fd >= 0;
		if (good) {
			close(fd);
			path = temporary;
		} else {
			diag_error(d, "%s: cannot make a temporary file", temporary);
		}
	}
	good = good && explore_work(&e, path, d);
	if (good) {
		mark_front(&e);
		qsort(e.point, (size_t)e.npoint, sizeof *e.point, by_size);
		explore_print(&e);
		good = (!c->csv || explore_csv(&e, c->csv, d)) && (!c->svg || explore_svg(&e, c->svg, d));
	}
	if (path == temporary)
		unlink(temporary);
	explore_free(&e);
	return good ? EXIT_DONE : EXIT_REFUSED;
}

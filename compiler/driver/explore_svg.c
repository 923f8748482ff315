/* explore_svg.c: bits per parameter against loss, as a picture.
 *
 * Size goes on a logarithmic axis, the change from the float model on one that is linear near zero and
 * logarithmic far from it (asinh), so that curves of good and of bad methods both show their form. */
#include "driver/explore.h"
#include "util/file.h"

#include <math.h>
#include <string.h>

enum { WIDTH = 860, HEIGHT = 520, LEFT = 70, RIGHT = 230, TOP = 40, BOTTOM = 55, MOST_GROUPS = 16 };

static const char *const colour[] = {"#4e79a7", "#f28e2b", "#e15759", "#76b7b2", "#59a14f", "#b07aa1",
                                     "#9c755f",
                                     "#edc948", "#ff9da7", "#7f7f7f"};
static const double ticks_x[] = {0.5, 1, 1.5, 2, 3, 4, 6, 8, 12, 16, 24, 32};
static const double ticks_y[] = {-50, -20, -10, -5, -2, -1, -.5, 0, .5, 1, 2, 5, 10, 20, 50, 100, 200, 500,
                                 1000};

typedef struct {
	const Explore *e;
	const Point *flt;
	double x0, x1, y0, y1;          /* in units of the scales below */
	const char *group[MOST_GROUPS];
	int ngroup;
} Plot;

static double scale_x(double bits) { return log2(bits); }
static double scale_y(double change) { return asinh(change); }

static double change(const Plot *p, const Point *q)
{
	double v = metric_change(p->e->c->metric, q->score.metric, p->flt ? p->flt->score.metric : 1);
	return metric_sense(p->e->c->metric) > 0 ? -v : v;      /* upward is worse */
}

static bool is_shown(const Plot *p, const Point *q)
{
	return q->score.state == POINT_DONE && q->score.bits > 0 && isfinite(change(p, q));
}

static double px(const Plot *p, double bits)
{
	return LEFT + (WIDTH - LEFT - RIGHT) * (scale_x(bits) - p->x0) / (p->x1 - p->x0);
}

static double py(const Plot *p, double loss)
{
	return HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * (scale_y(loss) - p->y0) / (p->y1 - p->y0);
}

static int group_of(Plot *p, const char *name)
{
	for (int i = 0; i < p->ngroup; i++)
		if (!strcmp(p->group[i], name))
			return i;
	if (p->ngroup < MOST_GROUPS)
		p->group[p->ngroup++] = name;
	return p->ngroup - 1;
}

static void text_in(FILE *f, double x, double y, const char *anchor, const char *s)
{
	fprintf(f, "<text x=\"%.1f\" y=\"%.1f\" text-anchor=\"%s\">", x, y, anchor);
	for (; *s; s++)
		switch (*s) {
		case '<': fputs("&lt;", f); break;
		case '>': fputs("&gt;", f); break;
		case '&': fputs("&amp;", f); break;
		default: putc(*s, f);
		}
	fputs("</text>\n", f);
}

static void bounds(Plot *p)
{
	p->x0 = p->y0 = INFINITY;
	p->x1 = p->y1 = -INFINITY;
	for (int i = 0; i < p->e->npoint; i++) {
		const Point *q = &p->e->point[i];
		if (!is_shown(p, q))
			continue;
		double x = scale_x(q->score.bits), y = scale_y(change(p, q));
		p->x0 = fmin(p->x0, x), p->x1 = fmax(p->x1, x);
		p->y0 = fmin(p->y0, y), p->y1 = fmax(p->y1, y);
	}
	if (!(p->x0 <= p->x1))
		p->x0 = p->x1 = p->y0 = p->y1 = 0;
	p->x0 -= 0.1, p->x1 += 0.1, p->y0 -= 0.2, p->y1 += 0.2;
}

static void axes(FILE *f, const Plot *p)
{
	char s[64];
	for (size_t i = 0; i < sizeof ticks_x / sizeof *ticks_x; i++) {
		double x = px(p, ticks_x[i]);
		if (x < LEFT || x > WIDTH - RIGHT)
			continue;
		fprintf(f, "<line x1=\"%.1f\" y1=\"%d\" x2=\"%.1f\" y2=\"%d\" class=\"grid\"/>\n", x, TOP, x,
		        HEIGHT - BOTTOM);
		snprintf(s, sizeof s, "%g", ticks_x[i]);
		text_in(f, x, HEIGHT - BOTTOM + 16, "middle", s);
	}
	for (size_t i = 0; i < sizeof ticks_y / sizeof *ticks_y; i++) {
		double y = py(p, ticks_y[i]);
		if (y < TOP || y > HEIGHT - BOTTOM)
			continue;
		fprintf(f, "<line x1=\"%d\" y1=\"%.1f\" x2=\"%d\" y2=\"%.1f\" class=\"%s\"/>\n", LEFT, y, WIDTH - RIGHT, y,
		        ticks_y[i] == 0 ? "zero" : "grid");
		snprintf(s, sizeof s, "%+g", metric_sense(p->e->c->metric) > 0 ? -ticks_y[i] : ticks_y[i]);
		text_in(f, LEFT - 6, y + 4, "end", ticks_y[i] == 0 ? "float" : s);
	}
	text_in(f, LEFT + (WIDTH - LEFT - RIGHT) / 2.0, HEIGHT - 14, "middle",
	        "bits per parameter, every byte of the model counted");
	snprintf(s, sizeof s, "%s, change in %s", p->e->c->metric, metric_change_unit(p->e->c->metric));
	text_in(f, LEFT, TOP - 12, "start", s);
}

/* Points come sorted by size, so the front is a line from left to right. */
static void front(FILE *f, const Plot *p)
{
	fputs("<polyline class=\"front\" points=\"", f);
	for (int i = 0; i < p->e->npoint; i++)
		if (p->e->point[i].front && is_shown(p, &p->e->point[i]))
			fprintf(f, "%.1f,%.1f ", px(p, p->e->point[i].score.bits), py(p, change(p, &p->e->point[i])));
	fputs("\"/>\n", f);
}

static void points(FILE *f, Plot *p)
{
	for (int i = 0; i < p->e->npoint; i++) {
		const Point *q = &p->e->point[i];
		if (!is_shown(p, q))
			continue;
		int g = group_of(p, q->group);
		fprintf(f, "<circle cx=\"%.1f\" cy=\"%.1f\" r=\"%s\" fill=\"%s\"><title>%s: %.3f bits, %+.2f %s</title></circle>\n",
		        px(p, q->score.bits), py(p, change(p, q)), q->front ? "4.5" : "3.2",
		        colour[g % (int)(sizeof colour / sizeof *colour)], q->settings, q->score.bits,
		        metric_sense(p->e->c->metric) * -change(p, q), metric_change_unit(p->e->c->metric));
	}
}

static void legend(FILE *f, const Plot *p)
{
	for (int g = 0; g < p->ngroup; g++) {
		double y = TOP + 12 + 20 * g;
		fprintf(f, "<circle cx=\"%d\" cy=\"%.1f\" r=\"4\" fill=\"%s\"/>\n", WIDTH - RIGHT + 18, y - 4,
		        colour[g % (int)(sizeof colour / sizeof *colour)]);
		text_in(f, WIDTH - RIGHT + 30, y, "start", p->group[g]);
	}
}

bool explore_svg(const Explore *e, const char *path, Diag *d)
{
	Plot p = {.e = e, .flt = explore_float(e)};
	Outputs *o = outputs_new();
	FILE *f = outputs_add(o, path, d);
	if (f) {
		bounds(&p);
		fprintf(f, "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%d\" height=\"%d\" font-family=\"sans-serif\" "
		        "font-size=\"12\">\n<style>.grid{stroke:#ddd}.zero{stroke:#888}.front{stroke:#333;fill:none;"
		        "stroke-dasharray:4 3}</style>\n<rect width=\"100%%\" height=\"100%%\" fill=\"#fff\"/>\n", WIDTH, HEIGHT);
		text_in(f, WIDTH - RIGHT, TOP - 12, "end", path_base(e->c->arg[0]));
		axes(f, &p);
		front(f, &p);
		points(f, &p);
		legend(f, &p);
		fputs("</svg>\n", f);
	}
	bool good = f && outputs_commit(o, d);
	outputs_free(o);
	return good;
}

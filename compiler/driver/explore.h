/* explore.h: what the files of `gatefold explore` share. */
#ifndef GATEFOLD_EXPLORE_H
#define GATEFOLD_EXPLORE_H

#include "driver/driver.h"

typedef enum { POINT_OPEN, POINT_CLAIMED, POINT_DONE, POINT_REFUSED, POINT_FAILED } PointState;

typedef struct {
	PointState state;
	double metric, bits, seconds;   /* bits: per parameter, every byte of the model counted */
	int64_t bytes, ram, macs, samples;
	char reason[300];               /* why it is refused, or failed */
} Score;

typedef struct {
	char *group, *weights, *values; /* settings: about weights, about everything else */
	char *settings;                 /* both: what a command line takes */
	Score score;
	bool front;                     /* no other point is smaller and no worse */
} Point;

typedef struct {
	const Command *c;
	char *study;                    /* model, data, metric and limit, by their contents */
	Point *point;
	int npoint;
} Explore;

/* explore_store.c: points in a SQLite data base; all calls end the program's work with a fault in d,
 * answering false */
typedef struct Store Store;
Store *store_open(const char *path, Diag *d);
void store_close(Store *s);
/* points not there yet; refused ones are tried again */
bool store_add(Store *s, const Explore *e, Diag *d);
/* Take point i for this process: false when it is done or someone else's who lives. */
bool store_claim(Store *s, const Explore *e, int i, Diag *d);
bool store_renew(Store *s, const Explore *e, int i, Diag *d);
bool store_finish(Store *s, const Explore *e, int i, const Score *score, Diag *d);
bool store_read(Store *s, Explore *e, Diag *d);                 /* all scores and states */

/* explore_work.c: score all points that are open, with c->jobs processes */
bool explore_work(Explore *e, const char *store, Diag *d);

/* explore_print.c, explore_svg.c */
int metric_sense(const char *metric);                           /* 1: more is better, -1: less is */
double metric_change(const char *metric, double value, double reference);       /* points, or percent */
const char *metric_change_unit(const char *metric);
void explore_print(const Explore *e);                           /* c->opt.json: as JSON */
bool explore_csv(const Explore *e, const char *path, Diag *d);
bool explore_svg(const Explore *e, const char *path, Diag *d);
const Point *explore_float(const Explore *e);                   /* 0: not scored */

#endif

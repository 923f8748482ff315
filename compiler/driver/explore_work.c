/* explore_work.c: processes that take points and score them.
 *
 * The program forks c->jobs workers; a worker claims a point and forks once more to score it, so whatever
 * happens there (a crash, memory that runs out) costs that point only and leaves nothing behind.  Between
 * points a worker keeps the module with the ranges that calibration wrote, as long as the settings about
 * values stay the same.  A score depends on the settings alone: not on order, neighbours or the number of
 * workers. */
#include "driver/eval.h"
#include "driver/explore.h"
#include "passes/passes.h"
#include "util/mem.h"
#include "util/progress.h"

#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

enum { RENEW_MS = 10000, WAIT_US = 100000 };

typedef struct {
	Explore *e;
	Store *store;
	Module *m;              /* as imported */
	Module *observed;       /* with ranges, for `values`; 0: none yet */
	const char *values;
	Diag *d;
} Worker;

/* ---- one point ---------------------------------------------------------------------------------- */

/* The command line with more options behind it. */
static bool with_options(const Command *c, const char *text, Command *to, Diag *d)
{
	const CommandRow *row = commands;
	while (row->is != EXPLORE)
		row++;
	*to = *c;
	to->opt.rule = mem_array((size_t)c->opt.nrule + 1, sizeof *to->opt.rule);
	if (c->opt.nrule)
		memcpy(to->opt.rule, c->opt.rule, sizeof *to->opt.rule * (size_t)c->opt.nrule);
	to->precision_given = false;
	to->opt.integer = true;
	return options_text(row, text, to, d);
}

static void first_line(const Diag *d, char *buf, size_t n)
{
	char *text;
	size_t size;
	FILE *f = open_memstream(&text, &size);
	if (!f)
		return;
	diag_print(d, f);
	fclose(f);
	snprintf(buf, n, "%.*s", (int)strcspn(text, "\n"), text);
	free(text);
}

/* Calibrate for these settings, unless that is what was done last. */
static bool observe(Worker *w, const char *values, Diag *d)
{
	Command c;
	if (w->observed && !strcmp(w->values, values))
		return true;
	if (w->observed)
		module_free(w->observed);
	w->observed = 0;
	if (!with_options(w->e->c, values, &c, d) || !c.opt.integer)
		return !diag_errors(d);
	w->observed = module_clone(w->m);
	w->values = values;
	if (passes_run(w->observed, &c.opt, "observe", d))
		return true;
	module_free(w->observed);
	w->observed = 0;
	return false;
}

static void score(const Worker *w, const Point *p, Score *x)
{
	Diag *d = diag_new();
	Command c;
	Result r = {0};
	double start = clock_seconds();
	bool good = with_options(w->e->c, p->settings, &c, d);
	char done[300];
	if (good && c.opt.integer && w->observed)
		c.opt.skip = passes_between(0, "observe", done, sizeof done);
	good = good && eval_one(&c, c.opt.integer && w->observed ? w->observed : w->m, c.opt.integer, &r, d);
	int64_t parameters = count_parameters(w->m);
	x->state = good ? POINT_DONE : diag_bugs(d) ? POINT_FAILED : POINT_REFUSED;
	x->metric = good ? metric_value(&r.metric) : 0;
	x->bytes = r.bytes, x->ram = r.ram, x->samples = r.samples;
	x->bits = parameters ? 8.0 * (double)r.bytes / (double)parameters : 0;
	x->macs = count_macs(w->m);
	x->seconds = clock_seconds() - start;
	if (!good)
		first_line(d, x->reason, sizeof x->reason);
	diag_free(d);
}

/* In a process of its own; the lease is renewed meanwhile. */
static void score_apart(Worker *w, int i, Score *x)
{
	int end[2];
	*x = (Score){.state = POINT_FAILED};
	snprintf(x->reason, sizeof x->reason, "the process that scored it ended");
	if (pipe(end))
		return;
	fflush(0);
	pid_t parent = getpid(), child = fork();
	if (child == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (getppid() != parent)
			_exit(1);
		Score y = {0};
		(void)!freopen("/dev/null", "w", stderr);       /* progress of single points would only mix */
		score(w, &w->e->point[i], &y);
		_exit(write(end[1], &y, sizeof y) != sizeof y);
	}
	close(end[1]);
	struct pollfd wait = {.fd = end[0], .events = POLLIN};
	while (child > 0 && !poll(&wait, 1, RENEW_MS))
		store_renew(w->store, w->e, i, w->d);
	Score y;
	if (child > 0 && read(end[0], &y, sizeof y) == (ssize_t)sizeof y)
		*x = y;
	close(end[0]);
	if (child > 0)
		waitpid(child, 0, 0);
}

/* ---- workers ------------------------------------------------------------------------------------ */

static bool work_on(Worker *w, int i)
{
	Score x = {0};
	Diag *d = diag_new();
	double start = clock_seconds();
	if (observe(w, w->e->point[i].values, d)) {
		score_apart(w, i, &x);
	} else {
		x.state = diag_bugs(d) ? POINT_FAILED : POINT_REFUSED;
		first_line(d, x.reason, sizeof x.reason);
	}
	diag_free(d);
	x.seconds = clock_seconds() - start;
	return store_finish(w->store, w->e, i, &x, w->d);
}

static bool is_open(const Explore *e)
{
	for (int i = 0; i < e->npoint; i++)
		if (e->point[i].score.state == POINT_OPEN || e->point[i].score.state == POINT_CLAIMED)
			return true;
	return false;
}

/* Until every point has a score, by this process or another.  What others hold may come free when they
 * die. */
static bool work(Worker *w)
{
	bool good = true;
	while (good && (good = store_read(w->store, w->e, w->d)) && is_open(w->e)) {
		bool took = false;
		for (int i = 0; i < w->e->npoint && good; i++) {
			PointState s = w->e->point[i].score.state;
			if ((s != POINT_OPEN && s != POINT_CLAIMED) || !store_claim(w->store, w->e, i, w->d))
				continue;
			took = true;
			good = work_on(w, i);
		}
		good = good && !diag_errors(w->d);
		if (!took)
			usleep(WAIT_US);
	}
	return good;
}

static int worker(Explore *e, Module *m, const char *path)
{
	Worker w = {.e = e, .m = m, .d = diag_new()};
	w.store = store_open(path, w.d);
	bool good = w.store && work(&w);
	diag_print(w.d, stderr);
	return good ? 0 : 1;
}

static void progress(const Explore *e)
{
	int n = 0;
	if (!isatty(STDERR_FILENO))
		return;
	for (int i = 0; i < e->npoint; i++)
		n += e->point[i].score.state >= POINT_DONE;
	fprintf(stderr, "\rexplore: %d of %d points \x1b[K", n, e->npoint);
}

/* Wait for the workers, showing how far they are. */
static bool wait_all(Explore *e, Store *s, int n, Diag *d)
{
	bool good = true;
	while (n) {
		int status;
		pid_t p = waitpid(-1, &status, WNOHANG);
		if (p > 0) {
			n--;
			good = good && WIFEXITED(status) && !WEXITSTATUS(status);
			continue;
		}
		if (isatty(STDERR_FILENO) && store_read(s, e, d))
			progress(e);
		usleep(WAIT_US);
	}
	if (isatty(STDERR_FILENO))
		fputs("\r\x1b[K", stderr);
	if (!good)
		diag_error(d, "a worker ended early; start again to go on with the points that are left");
	return good;
}

bool explore_work(Explore *e, const char *path, Diag *d)
{
	Module *m = model_read(e->c->arg[0], &e->c->opt, d);
	Store *s = m ? store_open(path, d) : 0;
	bool good = s && store_add(s, e, d) && store_read(s, e, d);
	int n = 0, jobs = e->c->jobs ? (int)e->c->jobs : 1;
	store_close(s);         /* a connection must not live in two processes */
	fflush(0);
	pid_t parent = getpid();
	while (good && is_open(e) && n < jobs) {
		pid_t child = fork();
		if (child == 0) {
			prctl(PR_SET_PDEATHSIG, SIGKILL);
			_exit(getppid() == parent ? worker(e, m, path) : 1);
		}
		good = child > 0;
		n += good;
	}
	s = good ? store_open(path, d) : 0;
	good = s && wait_all(e, s, n, d) && store_read(s, e, d);
	store_close(s);
	if (m)
		module_free(m);
	return good;
}

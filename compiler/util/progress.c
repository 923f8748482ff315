/* progress.c: how long something takes yet (progress.h). */
#include "util/progress.h"

#include <stdio.h>
#include <time.h>
#include <unistd.h>

static const double QUIET_SECONDS = 2, TELL_SECONDS = 0.5;

double clock_seconds(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

Progress progress_start(void)
{
	return (Progress){.start = clock_seconds()};
}

void progress_tell(Progress *p, const char *what, double done)
{
	double now = clock_seconds();
	if (!isatty(STDERR_FILENO) || now - p->start < QUIET_SECONDS || now - p->told < TELL_SECONDS || !(done > 0))
		return;
	p->told = now;
	fprintf(stderr, "\r%s: %d%%, %.0f s left \x1b[K", what, (int)(100 * done), (now - p->start) * (1 - done) / done);
}

void progress_end(const Progress *p)
{
	if (p->told > 0)
		fputs("\r\x1b[K", stderr);
}

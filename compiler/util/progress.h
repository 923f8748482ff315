/* progress.h: the clock, and how long something takes yet, told on a terminal. */
#ifndef GATEFOLD_PROGRESS_H
#define GATEFOLD_PROGRESS_H

double clock_seconds(void);             /* since some moment; never goes back */

typedef struct { double start, told; } Progress;

Progress progress_start(void);
/* On a terminal, after two quiet seconds and at most twice a second: "what: 40%, 12 s left".  done: share, 0..1. */
void progress_tell(Progress *p, const char *what, double done);
void progress_end(const Progress *p);   /* takes the line away if there is one */

#endif

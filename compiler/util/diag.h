/* diag.h: faults found in what the user gave us.  All of a stage's faults are collected and shown
 * together; the driver prints them on stderr and exits with 2. */
#ifndef GATEFOLD_DIAG_H
#define GATEFOLD_DIAG_H

#include <stdbool.h>
#include <stdio.h>

typedef struct Diag Diag;

Diag *diag_new(void);
void diag_free(Diag *d);
/* One whole message, without newline: "kws.onnx: node 'lstm_1' (LSTM): clip must be positive".  The same text
 * is kept once.  Past 100 messages only their number is kept. */
void diag_error(Diag *d, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void diag_note(Diag *d, const char *fmt, ...) __attribute__((format(printf, 2, 3)));    /* a hint or notice; no fault */
/* A fault of ours: the driver exits with 1. */
void diag_bug(Diag *d, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
int diag_bugs(const Diag *d);
int diag_errors(const Diag *d);                 /* bugs included */
void diag_print(const Diag *d, FILE *f);        /* "error: ..." and "note: ..." lines, in order */

#endif

/* file.h: whole files in, whole files out. */
#ifndef GATEFOLD_FILE_H
#define GATEFOLD_FILE_H

#include "util/diag.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

/* All of a file ("-": standard input), malloc'ed and with a 0 byte behind it.  0 when it cannot be read
 * or has more than `most` bytes, with the fault in d. */
char *file_read(const char *path, size_t most, size_t *n, Diag *d);
bool is_folder(const char *path);
bool is_file(const char *path);
/* A name for mkstemp or mkdtemp to fill in, in the system's folder for such things ($TMPDIR, else its default). */
void temporary_name(char *buf, size_t n);
const char *path_base(const char *path);                /* what follows the last slash */
const char *path_suffix(const char *path);              /* ".onnx", or "" */
char *path_beside(const char *path, const char *suffix);        /* path with another suffix; malloc'ed */

/* The files one command writes: all of them appear, complete, or none.  Each is written to a temporary file
 * beside its place (standard output: to memory) and moved there by outputs_commit. */
typedef struct Outputs Outputs;

Outputs *outputs_new(void);
FILE *outputs_add(Outputs *o, const char *path, Diag *d);       /* "-": standard output */
void outputs_drop(Outputs *o, FILE *f);                         /* one of them is not wanted after all */
bool outputs_commit(Outputs *o, Diag *d);                       /* false: nothing was written */
void outputs_free(Outputs *o);                                  /* drops what was not committed */

#endif

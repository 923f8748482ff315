/* driver.h: the command line.  main.c picks a command, options.c fills a Command, each subcommand is a file.
 *
 * Exit codes: 0 done and right; 1 a comparison failed, or a fault of ours; 2 the model, an input or an option
 * is refused, with the reason on stderr. */
#ifndef GATEFOLD_DRIVER_H
#define GATEFOLD_DRIVER_H

#include "lower/account.h"
#include "ir/ir.h"
#include "options.h"
#include "util/diag.h"

enum { COMPILE = 1, RUN = 2, VERIFY = 4, EVAL = 8, BENCH = 16, INSPECT = 32, PASSES = 64, EXPLORE = 128 };        /* commands, as bits */
enum { EXIT_DONE, EXIT_WRONG, EXIT_REFUSED };

typedef struct {
	int is;                         /* COMPILE, ... */
	Options opt;
	const char **arg;               /* what is no option */
	int narg;
	bool precision_given;
	const char *out;                /* -o */
	const char *report;             /* --report */
	bool raw;
	const char *data, *metric, *port;
	int64_t limit;                  /* 0: none */
	double rtol, atol;
	bool open_time;
	const char *store, *points, *svg, *csv;         /* explore */
	bool sensitivity;
	const char *budget;
	int64_t jobs;
} Command;

typedef struct {
	const char *name, *operands, *doc;
	int is;
	int least, most;                /* operands; most -1: any number */
	int (*run)(const Command *c, Diag *d);          /* an exit code; faults in d make it 2 */
} CommandRow;

extern const CommandRow commands[];
extern const int ncommands;

/* options.c: false with the faults in d; *help: --help was among them */
bool options_parse(const CommandRow *row, int argc, char **argv, Command *c, bool *help, Diag *d);
void command_free(Command *c);
/* More options for c, from words with blanks between them: "--weights 4 --effort 2".  The text is kept for ever. */
bool options_text(const CommandRow *row, const char *text, Command *c, Diag *d);
/* help.c */
void help_all(FILE *f);
void help_command(const CommandRow *row, FILE *f);

/* model.c: read a model, whatever its suffix.  0 with the faults in d. */
Module *model_read(const char *path, const Options *opt, Diag *d);
char *model_name(const char *path);             /* "kws" of "models/kws.onnx" */

int command_compile(const Command *c, Diag *d);
int command_run(const Command *c, Diag *d);
int command_verify(const Command *c, Diag *d);
int command_eval(const Command *c, Diag *d);
int command_bench(const Command *c, Diag *d);
int command_inspect(const Command *c, Diag *d);
int command_explore(const Command *c, Diag *d);
int command_passes(const Command *c, Diag *d);

#endif

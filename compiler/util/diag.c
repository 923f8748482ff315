/* diag.c: a list of messages. */
#include "util/diag.h"
#include "util/mem.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_MESSAGES = 100 };

typedef enum { ERROR, NOTE, BUG } Kind;
static const char *const kind_name[] = {"error", "note", "internal error"};

typedef struct { Kind kind; char *text; } Message;

struct Diag {
	Message message[MAX_MESSAGES];
	int n, count[3], dropped;
};

Diag *diag_new(void)
{
	return mem_new(sizeof(Diag));
}

void diag_free(Diag *d)
{
	if (!d)
		return;
	for (int i = 0; i < d->n; i++)
		free(d->message[i].text);
	free(d);
}

static void add(Diag *d, Kind kind, const char *fmt, va_list ap)
{
	char *text;
	if (vasprintf(&text, fmt, ap) < 0)
		abort();
	for (int i = 0; i < d->n; i++)
		if (d->message[i].kind == kind && !strcmp(d->message[i].text, text)) {
			free(text);
			return;
		}
	d->count[kind]++;
	if (d->n < MAX_MESSAGES) {
		d->message[d->n++] = (Message){kind, text};
		return;
	}
	d->dropped += kind != NOTE;
	free(text);
}

#define ADD(name, kind) \
	void name(Diag *d, const char *fmt, ...) \
	{ \
		va_list ap; \
		va_start(ap, fmt); \
		add(d, kind, fmt, ap); \
		va_end(ap); \
	}
ADD(diag_error, ERROR)
ADD(diag_note, NOTE)
ADD(diag_bug, BUG)

int diag_errors(const Diag *d)
{
	return d->count[ERROR] + d->count[BUG];
}

int diag_bugs(const Diag *d)
{
	return d->count[BUG];
}

void diag_print(const Diag *d, FILE *f)
{
	for (int i = 0; i < d->n; i++)
		fprintf(f, "%s: %s\n", kind_name[d->message[i].kind], d->message[i].text);
	if (d->dropped)
		fprintf(f, "error: and %d more\n", d->dropped);
}

/* test_refusals: every message by which the import refuses a model, exactly.
 *
 *	test_refusals [--update]
 *
 * tests/onnx/refusals.txt holds small models (unit/onnx_text.h) with all that is said of each, behind `!`.
 * Then the texts of all refusals are taken out of the sources of compiler/onnx: each must be among the
 * messages that came, or have a line `= FILE: TEXT` in the table (a test in tests/unit/FILE has it).  So
 * there is no refusal without a test, and none that cannot happen.
 * --update writes what is said into the file. */
#include "unit/onnx_text.h"

#include <ctype.h>
#include <dirent.h>

#define TABLE GATEFOLD_SOURCE "/tests/onnx/refusals.txt"
#define SOURCES GATEFOLD_SOURCE "/compiler/onnx"
enum { MOST_CASES = 2000 };

typedef struct { int line; char *said; } Case;

static Case cases[MOST_CASES];
static int ncases, passed, failed;
static char *said, *elsewhere[200];     /* all messages, one a line */
static size_t nsaid;
static int nelsewhere;

static void complain(const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	printf("FAIL ");
	vprintf(fmt, ap);
	va_end(ap);
	failed++;
}

/* ---- the table ----------------------------------------------------------------------------------- */

/* The lines of b->message that are errors, without what all have. */
static char *errors_of(const Build *b)
{
	static const char *const head = "error: t.onnx: ";
	char *text = calloc(1, strlen(b->message) + 1);
	for (const char *p = b->message; *p; p += strcspn(p, "\n") + 1) {
		size_t n = strcspn(p, "\n");
		if (strncmp(p, "error: ", 7))
			continue;
		size_t skip = strncmp(p, head, strlen(head)) ? 0 : strlen(head);
		strncat(text, p + skip, n - skip);
		strcat(text, "\n");
	}
	return text;
}

static void run_case(TextModel *t)
{
	Module *m = import(t->b);
	char *have = errors_of(t->b), *want = calloc(1, 1 << 16);
	for (int i = 0; i < t->nmarked; i++)
		strcat(strcat(want, t->marked[i] + 2), "\n");
	if (m)
		complain("refusals.txt:%d: it is not refused\n", t->line);
	else if (strcmp(have, want))
		complain("refusals.txt:%d: it is said\n%snot\n%s", t->line, have, want);
	else
		passed++;
	nsaid += (size_t)snprintf(said + nsaid, (1 << 22) - nsaid, "%s", have);
	cases[ncases++] = (Case){t->line, have};
	module_free(m);
	build_free(t->b);
	free(t->head);
	free(want);
}

static void run_table(void)
{
	TextFile file = text_open(TABLE);
	char *line, *copy = file.at;
	TextModel t;
	while (*copy == '=' || *copy == '#') {          /* the list of texts that other tests have comes first */
		line = text_line(&file);
		copy = file.at;
		if (*line == '=')
			elsewhere[nelsewhere++] = line + 2;
	}
	while (text_next(&file, &t, "!"))
		run_case(&t);
}

static void update_table(void)
{
	TextSaid *now = calloc((size_t)ncases + 1, sizeof *now);
	for (int k = 0; k < ncases; k++) {
		now[k].line = cases[k].line;
		size_t n;
		FILE *f = open_memstream(&now[k].text, &n);
		for (char *p = cases[k].said; *p; p += strcspn(p, "\n") + 1)
			fprintf(f, "\t! %.*s\n", (int)strcspn(p, "\n"), p);
		fclose(f);
	}
	text_update(TABLE, "!", (int)ncases, now);
	for (int k = 0; k < ncases; k++)
		free(now[k].text);
	free(now);
}

/* ---- the texts in the sources ---------------------------------------------------------------------- */

/* Does `text` match `p`, a format string whose conversions stand for anything?  In full. */
static bool matches(const char *p, const char *text)
{
	if (!*p)
		return !*text;
	if (*p == '%' && p[1] != '%') {
		p += strcspn(p, "dsugzcx");
		p += *p == 'z' ? 2 : 1;
		for (;; text++) {
			if (matches(p, text))
				return true;
			if (!*text)
				return false;
		}
	}
	p += *p == '%';
	return *p == *text && matches(p + 1, text + 1);
}

static bool is_said(const char *format)
{
	char *pattern = 0;
	if (asprintf(&pattern, "%%s%s%%s", format) < 0)
		abort();
	bool found = false;
	for (char *p = said, *next; *p && !found; p = next) {
		char *end = p + strcspn(p, "\n"), keep = *end;
		next = end + (keep != 0);
		*end = 0;
		found = matches(pattern, p);
		*end = keep;
	}
	free(pattern);
	return found;
}

/* Is a piece of the format between two conversions in that test's source? */
static bool is_in_source(const char *format, const char *file)
{
	char path[400], piece[300];
	snprintf(path, sizeof path, GATEFOLD_SOURCE "/tests/unit/%s", file);
	TextFile source = text_open(path);
	bool found = false;
	for (const char *p = format; *p && !found; p += strcspn(p, "%\"")) {
		if (*p == '%')
			p += 1 + strcspn(p + 1, "dsugz");
		p += *p != 0 && p != format;
		snprintf(piece, sizeof piece, "%.*s", (int)strcspn(p, "%\""), p);
		found = strlen(piece) >= 6 && strstr(source.text, piece);
	}
	free(source.text);
	return found;
}

/* `= FILE: TEXT` */
static bool is_elsewhere(const char *format)
{
	for (int i = 0; i < nelsewhere; i++) {
		char *colon = strchr(elsewhere[i], ':');
		if (!colon || strcmp(colon + 2, format))
			continue;
		char *file = strndup(elsewhere[i], (size_t)(colon - elsewhere[i]));
		bool found = is_in_source(format, file);
		free(file);
		return found;
	}
	return false;
}

/* One string literal and those that follow it with nothing between; *s moves behind. */
static void literal(const char **s, char *to)
{
	do {
		for (++*s; **s != '"'; ++*s) {
			*to++ = **s;
			if (**s == '\\') {
				to[-1] = (*s)[1];
				++*s;
			}
		}
		++*s;
		const char *p = *s + strspn(*s, " \t\n");
		if (*p == '"')
			*s = p;
	} while (**s == '"');
	*to = 0;
}

/* The texts among the arguments that begin at s. */
static void call(const char *s, const char *file, int line)
{
	char text[1000];
	for (int depth = 1; depth; s++) {
		depth += (*s == '(') - (*s == ')');
		if (*s == '\'' && s[2] == '\'')
			s += 2;
		if (*s != '"')
			continue;
		literal(&s, text);
		s--;
		if (!strchr(text, ' ') || !strcmp(text, "%s: %s") || !strcmp(text, "%s (%.60s): %s"))
			continue;               /* the name of something, or a frame */
		if (is_said(text) || is_elsewhere(text))
			passed++;
		else
			complain("%s:%d: no test has the refusal \"%s\"\n", file, line, text);
	}
}

static void scan(const char *file)
{
	static const char *const calls[] = {"fail(", "fail_fixed(", "model_error(", "snprintf("};
	TextFile t = text_open(file);
	int line = 1;
	for (char *p = t.text; *p; p++) {
		line += *p == '\n';
		for (size_t k = 0; k < sizeof calls / sizeof *calls; k++) {
			size_t n = strlen(calls[k]);
			if (!strncmp(p, calls[k], n) && (p == t.text || (!isalnum((unsigned char)p[-1]) && p[-1] != '_')))
				call(p + n, file + sizeof SOURCES, line);
		}
	}
	free(t.text);
}

int main(int argc, char **argv)
{
	said = calloc(1, 1 << 22);
	run_table();
	if (argc > 1 && !strcmp(argv[1], "--update")) {
		update_table();
		return 0;
	}
	struct dirent **file;
	int n = scandir(SOURCES, &file, 0, alphasort);
	for (int i = 0; i < n; i++) {
		char path[400];
		snprintf(path, sizeof path, SOURCES "/%s", file[i]->d_name);
		size_t len = strlen(path);
		if (!strcmp(path + len - 2, ".c"))
			scan(path);
		free(file[i]);
	}
	free(file);
	printf("refusals: %d passed, %d failed\n", passed, failed);
	return failed != 0;
}

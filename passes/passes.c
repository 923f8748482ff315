/* passes.c: run the passes of passes.def over a module.
 *
 * Normally all that are still to run, in the table's order: a module from a .ir file may be anywhere on its
 * way, and its level, its types and `planned` say where.  With -p exactly the passes named, in that order.
 * After each one the module is verified, and dumped and timed when asked. */
#include "passes/passes.h"
#include "util/progress.h"
#include "util/mem.h"

#include <stdlib.h>
#include <string.h>

const Pass passes[] = {
#define PASS(name, from, to, doc) {#name, from, to, pass_##name, doc},
#include "passes.def"
#undef PASS
};
const int npasses = sizeof passes / sizeof *passes;

enum { MAX_NAMES = 64 };
typedef struct { const Pass *pass[MAX_NAMES]; int n; bool all; } Names;

const Pass *pass_find(const char *name)
{
	for (int i = 0; i < npasses; i++)
		if (!strcmp(passes[i].name, name))
			return &passes[i];
	return 0;
}

static bool has(const Names *names, const Pass *p)
{
	for (int i = 0; i < names->n; i++)
		if (names->pass[i] == p)
			return true;
	return names->all;
}

static void unknown(const char *option, const char *name, Diag *d)
{
	char known[1024] = "";
	for (int i = 0; i < npasses; i++) {
		strcat(known, i ? ", " : "");
		strcat(known, passes[i].name);
	}
	diag_error(d, "%s: there is no pass '%s'; the passes are %s", option, name, known);
}

/* "a,b,c" */
static bool names_parse(const char *option, const char *list, Names *names, Diag *d)
{
	*names = (Names){0};
	if (!list)
		return true;
	char *copy = text_copy(list), *rest = copy, *name;
	bool good = true;
	while ((name = strsep(&rest, ","))) {
		const Pass *p = pass_find(name);
		if (!strcmp(name, "all"))
			names->all = true;
		else if (!strcmp(name, "none"))
			continue;
		else if (!p)
			unknown(option, name, d), good = false;
		else if (names->n < MAX_NAMES)
			names->pass[names->n++] = p;
	}
	free(copy);
	return good;
}

const char *passes_between(const char *after, const char *last, char *buf, size_t n)
{
	bool in = !after;
	size_t k = 0;
	*buf = 0;
	for (int i = 0; i < npasses; i++) {
		if (in && k < n)
			k += (size_t)snprintf(buf + k, n - k, "%s%s", k ? "," : "", passes[i].name);
		in = in || !strcmp(passes[i].name, after);
		if (!strcmp(passes[i].name, last))
			break;
	}
	return buf;
}

bool module_is_quantized(const Module *m)
{
	for (const Port *p = m->in; p; p = p->next)
		if (p->type->quant)
			return true;
	for (const Port *p = m->out; p; p = p->next)
		if (p->type->quant)
			return true;
	each_data(data, m)
		if (data->type->quant)
			return true;
	return false;
}

/* Is this pass of the pipeline still to run? */
static bool is_due(const Pass *p, const Module *m, const Options *opt)
{
	if (p->run == pass_computed || p->run == pass_observe || p->run == pass_feedback ||
	    p->run == pass_reconstruct || p->run == pass_quantize)
		return opt->integer && m->level == L_TENSOR && !module_is_quantized(m);
	if (p->run == pass_plan)
		return m->level == L_LOOP && !m->planned;
	return m->level == p->from;
}

typedef struct { char *text; size_t n; } Dump;

static Dump dump_text(const Module *m)
{
	Dump dump = {0};
	FILE *f = open_memstream(&dump.text, &dump.n), *null = fopen("/dev/null", "wb");
	if (!f || !null)
		abort();
	module_print(m, f, null, "large-data-is-left-out");
	fclose(f);
	fclose(null);
	return dump;
}

/* In a folder a dump is a .ir file with its data; on stderr large data is left out. */
static void dump_file(const Module *m, const char *dir, int number, const char *name, Diag *d)
{
	char *path = text_new("%s/%02d-%s.ir", dir, number, name);
	FILE *f = fopen(path, "w");
	if (f) {
		module_print(m, f, 0, 0);
		fclose(f);
	} else {
		diag_error(d, "--dump-dir: %s cannot be written", path);
	}
	free(path);
}

static void dump(const Module *m, const Options *opt, int number, const char *name, Dump *before, Diag *d)
{
	Dump now = dump_text(m);
	bool same = before->text && before->n == now.n && !memcmp(before->text, now.text, now.n);
	if (opt->dump_dir)
		dump_file(m, opt->dump_dir, number, name, d);
	else if (same)
		fprintf(stderr, "# after %s: unchanged\n", name);
	else
		fprintf(stderr, "# after %s\n%s", name, now.text);
	free(before->text);
	*before = now;
}

/* The law parse(print(m)) == m. */
static bool comes_back(const Module *m, const char *pass, Diag *d)
{
	char *text, err[1024];
	size_t n;
	FILE *f = open_memstream(&text, &n);
	if (!f)
		abort();
	module_print(m, f, 0, 0);
	fclose(f);
	Module *again = module_parse("self-check", text, n, err, sizeof err);
	bool same = again && module_equal(m, again);
	if (!again)
		diag_bug(d, "after pass %s: the module's text is refused: %s", pass, err);
	else if (!same)
		diag_bug(d, "after pass %s: the module's text is another module", pass);
	if (again)
		module_free(again);
	free(text);
	return same;
}

/* One pass and the check of what it made. */
static bool run_pass(const Pass *p, Module *m, const Options *opt, Diag *d)
{
	char err[1024];
	double start = clock_seconds();
	if (m->level != p->from) {
		diag_error(d, "-p: %s works on %s, but here the module has %s", p->name,
		           p->from == L_TENSOR ? "tensors" : "loops", m->level == L_TENSOR ? "tensors" : "loops");
		return false;
	}
	if (!p->run(m, opt, d)) {
		if (!diag_errors(d))
			diag_bug(d, "pass %s failed and gave no reason", p->name);
		return false;
	}
	if (opt->time_passes)
		fprintf(stderr, "%-10s %9.3f ms\n", p->name, 1e3 * (clock_seconds() - start));
	if (m->level != p->to) {
		diag_bug(d, "pass %s left the module at the wrong level", p->name);
		return false;
	}
	if (!module_verify(m, err, sizeof err)) {
		diag_bug(d, "after pass %s: %s", p->name, err);
		return false;
	}
	return !opt->self_check || comes_back(m, p->name, d);
}

bool passes_run(Module *m, const Options *opt, const char *stop, Diag *d)
{
	Names asked, skip, dumps;
	if (!names_parse("-p", opt->passes, &asked, d) | !names_parse("--skip", opt->skip, &skip, d) |
	    !names_parse("--dump-after", opt->dump_after, &dumps, d))
		return false;
	bool pipeline = !opt->passes || asked.all, good = true;
	int n = pipeline ? npasses : asked.n;
	Dump before = {0};
	if (dumps.all || dumps.n)
		before = dump_text(m);
	for (int i = 0; good && i < n; i++) {
		const Pass *p = pipeline ? &passes[i] : asked.pass[i];
		if (!has(&skip, p) && (!pipeline || is_due(p, m, opt))) {
			good = run_pass(p, m, opt, d);
			if ((good || diag_bugs(d)) && has(&dumps, p))   /* what a bug left behind, too */
				dump(m, opt, i + 1, p->name, &before, d);
		}
		if (stop && !strcmp(p->name, stop))
			break;
	}
	free(before.text);
	return good;
}

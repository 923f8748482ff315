/* inspect.c: `gatefold inspect MODEL`: what a model is made of and what it will need.
 *
 * Layers come from the model as imported; formats and constants from the last tensor-level stage; RAM and
 * flash from the loops. */
#include "driver/driver.h"
#include "driver/format.h"
#include "driver/why.h"
#include "lower/count.h"
#include "lower/stored.h"
#include "passes/passes.h"
#include "util/json.h"
#include "util/mem.h"

#include <string.h>

enum { WHY_STEPS = 4096 };      /* compared, where --limit says nothing */

typedef struct {
	const Command *c;
	cJSON *json;            /* 0: plain text */
} Report;

/* ---- layers ------------------------------------------------------------------------------------- */

static bool is_layer(const Op *o)
{
	return o->kind == O_lstm || o->kind == O_gru || o->kind == O_rnn || o->kind == O_linear || o->kind == O_matmul ||
	       o->kind == O_gather || o->kind == O_scan || o->kind == O_call;
}

static int64_t op_parameters(const Op *o)
{
	int64_t n = 0;
	for (int i = 0; i < o->nin; i++)
		if (o->in[i] && o->in[i]->data)
			n += type_count(o->in[i]->data->type, 1);
	return n;
}

static void layer(Report *r, const Op *o)
{
	char in[128] = "", out[128] = "";
	const char *name = o->loc.node ? o->loc.node : o->nout && o->out[0] && o->out[0]->name ? o->out[0]->name : "";
	if (o->nin && o->in[o->kind == O_gather])
		dims_text(o->in[o->kind == O_gather]->type, in, sizeof in);
	if (o->nout && o->out[0])
		dims_text(o->out[0]->type, out, sizeof out);
	if (!r->json) {
		printf("  %-8s %-14s -> %-14s %11lld %11lld  %s\n", op_info[o->kind].name, in, out, (long long)op_parameters(o),
		       (long long)op_macs(o), name);
		return;
	}
	cJSON *row = cJSON_CreateObject();
	cJSON_AddStringToObject(row, "op", op_info[o->kind].name);
	cJSON_AddStringToObject(row, "node", name);
	cJSON_AddStringToObject(row, "in", in);
	cJSON_AddStringToObject(row, "out", out);
	cJSON_AddNumberToObject(row, "parameters", (double)op_parameters(o));
	cJSON_AddNumberToObject(row, "macs", (double)op_macs(o));
	cJSON_AddItemToArray(cJSON_GetObjectItem(r->json, "layers"), row);
}

static void layers(Report *r, const Module *m)
{
	const Func *f = func_find(m, "main");
	int others = 0;
	if (r->json)
		cJSON_AddArrayToObject(r->json, "layers");
	else
		printf("layers\n  %-8s %-14s    %-14s %11s %11s\n", "", "in", "out", "parameters", "MACs/step");
	if (!f || m->level != L_TENSOR)
		return;
	each_op(o, &f->body) {
		if (is_layer(o))
			layer(r, o);
		else
			others += o->kind != O_ret && o->kind != O_next;
	}
	if (!r->json && others)
		printf("  and %d other%s\n", others, others > 1 ? "s" : "");
}

/* ---- formats ------------------------------------------------------------------------------------ */

static void described(Report *r, const char *list, const char *name, const Type *t, int64_t bytes, const char *form)
{
	char dims[128], format[64];
	dims_text(t, dims, sizeof dims);
	format_text(t, format, sizeof format);
	if (!r->json) {
		printf("  %-22s %-16s %-14s", name, dims, format);
		if (bytes)
			printf(" %10lld bytes", (long long)bytes);
		printf(*form ? "  %s\n" : "\n", form);
		return;
	}
	cJSON *row = cJSON_CreateObject();
	cJSON_AddStringToObject(row, "name", name);
	cJSON_AddStringToObject(row, "shape", dims);
	cJSON_AddStringToObject(row, "format", format);
	if (bytes)
		cJSON_AddNumberToObject(row, "bytes", (double)bytes);
	if (*form)
		cJSON_AddStringToObject(row, "storage", form);
	cJSON_AddItemToArray(cJSON_GetObjectItem(r->json, list), row);
}

static void begin(Report *r, const char *list)
{
	if (r->json)
		cJSON_AddArrayToObject(r->json, list);
	else
		printf("%s\n", list);
}

/* Bytes of a constant when its elements are packed. */
static int64_t packed_size(const Type *t)
{
	return (type_count(t, 1) * elem_bits(t->elem) + 7) / 8;
}

/* What a stored form looks like, in a few words. */
static const char *form_text(const Stored *s, char *buf, size_t n)
{
	if (s->windows)
		snprintf(buf, n, "rows, %d classes, books of %d integers", s->nclass, s->book.n);
	else if (s->kind == STORE_ROWS)
		snprintf(buf, n, s->book.n ? "rows, a book of %d" : "rows, %d classes", s->book.n ? s->book.n : s->nclass);
	else
		snprintf(buf, n, "coded, %d classes, %d tables, groups of %d rows", s->nclass, s->first.n - 2, s->group);
	return buf;
}

static void constant(Report *r, Module *m, const Data *d)
{
	char form[100] = "";
	int64_t bytes = packed_size(d->type);
	Stored *s = stored_form(m, &r->c->opt, m->funcs, d);
	if (s) {
		bytes = (int64_t)s->bytes;
		form_text(s, form, sizeof form);
	}
	described(r, "constants", d->name, d->type, bytes, form);
	storage_free(s);
}

static void formats(Report *r, Module *m)
{
	begin(r, "inputs");
	for (const Port *p = m->in; p; p = p->next)
		described(r, "inputs", p->name, p->type, 0, "");
	begin(r, "outputs");
	for (const Port *p = m->out; p; p = p->next)
		described(r, "outputs", p->name, p->type, 0, "");
	begin(r, "constants");
	each_data(data, m)
		constant(r, m, data);
	begin(r, "states");
	each_func(f, m)
		for (int i = 0; i < f->nstate; i++) {
			char *name = text_new("%s.%s", f->name, f->state[i]->name);
			described(r, "states", name, f->state[i]->type, 0, "");
			free(name);
		}
}

/* ---- sums --------------------------------------------------------------------------------------- */

static void number(Report *r, const char *key, const char *text, int64_t v)
{
	if (r->json)
		cJSON_AddNumberToObject(r->json, key, (double)v);
	else
		printf("%-34s %12lld\n", text, (long long)v);
}

/* Of the program for any machine, unless a target is named: what C compilers and LLVM make of it is their own matter. */
static bool operations(Report *r, const Module *quantized, Diag *d)
{
	Options opt = r->c->opt;
	opt.target = opt.target ? opt.target : "any";
	opt.time_passes = opt.self_check = false;
	Module *m = module_clone(quantized);
	bool good = passes_run(m, &opt, 0, d), step;
	OpCount n = count_portable(m, &step);
	module_free(m);
	if (!good || n.unknown)
		return good;
	const char *per = step ? "a step" : takes_any_steps(quantized) ? "a run, T = 1" : "a run", *most = n.bound ? ", at most" : "";
	struct { const char *key, *what; int64_t n; } row[] = {
		{"operations", "operations", n.all}, {"loads", "  loads", n.loads}, {"stores", "  stores", n.stores},
		{"multiplications", "  multiplications", n.products},
	};
	for (int i = 0; i < 4; i++) {
		char text[80];
		snprintf(text, sizeof text, "%s, %s%s", row[i].what, per, most);
		number(r, row[i].key, text, row[i].n);
	}
	if (r->json)
		cJSON_AddBoolToObject(r->json, "operations_are_exact", !n.bound);
	return true;
}

/* Why did it get worse: floats beside integers, on --data or the calibration data. */
static bool why(Report *r, Module *floats, Module *quantized, Diag *d)
{
	const Command *c = r->c;
	Why w;
	bool good = why_collect(floats, quantized, &c->opt, c->data ? c->data : c->opt.calib, c->limit ? c->limit : WHY_STEPS,
	                        &w, d);
	if (good)
		why_print(&w, r->json);
	why_free(&w);
	return good;
}

/* All passes up to quantize. */
static bool quantized_stage(Report *r, Module *m, Diag *d)
{
	const Options *opt = &r->c->opt;
	if (!opt->integer || !opt->calib || opt->skip || m->level != L_TENSOR || module_is_quantized(m))
		return passes_run(m, opt, "quantize", d);
	if (!passes_run(m, opt, "observe", d))
		return false;
	Module *floats = module_clone(m);
	Options rest = *opt;
	char behind[200];
	rest.passes = passes_between("observe", "quantize", behind, sizeof behind);     /* none again: names stay */
	bool good = passes_run(m, &rest, 0, d) && why(r, floats, m, d);
	module_free(floats);
	return good;
}

static bool inspect(Report *r, Module *m, Diag *d)
{
	const Options *opt = &r->c->opt;
	int64_t parameters = count_parameters(m), macs;
	layers(r, m);
	if (!quantized_stage(r, m, d))
		return false;
	macs = count_macs(m);
	formats(r, m);
	Module *quantized = module_clone(m);
	bool good = passes_run(m, opt, 0, d);
	if (!good) {
		module_free(quantized);
		return false;
	}
	number(r, "parameters", "parameters", parameters);
	number(r, "macs", "MACs per step", macs);
	number(r, "flash_bytes", "flash: weights and tables, bytes", portable_bytes(m));
	number(r, "state_bytes", "RAM: state, bytes", m->state_size);
	number(r, "scratch_bytes", "RAM: scratch, bytes", m->scratch_size);
	number(r, "scratch_bytes_per_step", "RAM: scratch for each step, bytes", m->scratch_step);
	good = operations(r, quantized, d);
	module_free(quantized);
	return good;
}

int command_inspect(const Command *c, Diag *d)
{
	Report r = {.c = c};
	Module *m = model_read(c->arg[0], &c->opt, d);
	if (!m)
		return EXIT_REFUSED;
	if (c->opt.json) {
		r.json = cJSON_CreateObject();
		cJSON_AddStringToObject(r.json, "model", c->arg[0]);
		cJSON_AddStringToObject(r.json, "name", m->name);
	} else {
		printf("model %s\n", m->name);
	}
	bool good = inspect(&r, m, d);
	if (r.json && good)
		json_finish(r.json);
	else
		cJSON_Delete(r.json);
	module_free(m);
	return good ? EXIT_DONE : EXIT_REFUSED;
}

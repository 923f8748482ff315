/* import.c: from an ONNX file to a module, once it is known what its dynamic dimensions stand for.
 *
 * At most one dimension can be T.  Which one shows only when the graph has been walked, so each candidate is
 * tried: the first that becomes the time axis of a recurrent layer without a fault is taken.  When there is
 * none, all are 1.  Walks are quick (weights are not copied until an op needs them). */
#include "onnx/import.h"
#include "util/file.h"
#include "util/mem.h"

#include <stdlib.h>
#include <string.h>

enum { MAX_TRIES = 16, FOLD_ROOM = 64 << 20, MAX_BOUND = 4096 };

typedef struct {
	const Model *model;
	const Options *opt;
	const char **symbol;    /* distinct dynamic dimensions that --dim leaves open */
	int nsymbol;
} Job;

/* ---- dimensions ---------------------------------------------------------------------------- */

static bool is_pinned(const Options *opt, const char *symbol, int64_t *size)
{
	for (int i = opt->ndim - 1; i >= 0; i--)
		if (!strcmp(opt->dim_name[i], symbol)) {
			*size = opt->dim_value[i];
			return true;
		}
	return false;
}

static bool add_symbols(Job *j, const OnnxInput *in)
{
	int64_t ignored;
	for (int k = 0; k < in->rank; k++) {
		bool known = !in->symbol[k] || is_pinned(j->opt, in->symbol[k], &ignored);
		for (int i = 0; !known && i < j->nsymbol; i++)
			known = !strcmp(j->symbol[i], in->symbol[k]);
		if (known)
			continue;
		if (j->nsymbol == MAX_TRIES)
			return false;
		j->symbol[j->nsymbol++] = in->symbol[k];
	}
	return true;
}

static bool has_symbol(const Model *m, const char *name)
{
	for (int i = 0; i < m->ninput; i++)
		for (int k = 0; k < m->input[i].rank; k++)
			if (m->input[i].symbol[k] && !strcmp(m->input[i].symbol[k], name))
				return true;
	return false;
}

/* Every --dim must name a dimension and give it a size. */
static bool check_pins(const Model *m, const Options *opt, Diag *d)
{
	bool good = true;
	for (int i = 0; i < opt->ndim; i++) {
		if (!has_symbol(m, opt->dim_name[i])) {
			char *list = text_copy("");
			for (int k = 0; k < m->ninput; k++)
				for (int j = 0; j < m->input[k].rank; j++) {
					const char *s = m->input[k].symbol[j];
					if (!s || strlen(list) > 300)
						continue;
					char *longer = text_new("%s%s\"%s\"", list, *list ? ", " : "", s);
					free(list);
					list = longer;
				}
			model_error(d, m->file, "--dim: there is no dynamic dimension \"%s\"; there is %s",
				   opt->dim_name[i], *list ? list : "none");
			free(list);
			good = false;
		} else if (opt->dim_value[i] < 1 || opt->dim_value[i] > INT32_MAX) {
			model_error(d, m->file, "--dim %s=%lld: a size from 1 to %d is needed",
				    opt->dim_name[i], (long long)opt->dim_value[i], INT32_MAX);
			good = false;
		}
	}
	return good;
}

/* ---- inputs bound by --set ------------------------------------------------------------------- */

static const char *is_bound(const Options *opt, const char *name)
{
	for (int i = opt->nset - 1; i >= 0; i--)
		if (!strcmp(opt->set_name[i], name))
			return opt->set_value[i];
	return 0;
}

static bool check_bound(const Model *m, const Options *opt, Diag *d)
{
	bool good = true;
	for (int i = 0; i < opt->nset; i++) {
		bool known = false;
		for (int k = 0; k < m->ninput; k++)
			known |= !strcmp(m->input[k].name, opt->set_name[i]);
		if (!known)
			model_error(d, m->file, "--set: there is no input \"%s\"", opt->set_name[i]);
		good &= known;
	}
	return good;
}

/* v, of shape s, is the numbers of --set: one for each element, or one for all. */
static void bound_input(Import *im, Value *v, const Shape *s)
{
	const char *text = is_bound(im->opt, v->name);
	Tensor *t = NEW(im->arena, Tensor);
	t->type = v->type;
	t->rank = s->rank;
	t->count = 1;
	for (int i = 0; i < s->rank; i++) {
		t->dim[i] = s->dim[i] == DIM_T ? 1 : s->dim[i];
		t->count = t->count * t->dim[i] > MAX_BOUND ? MAX_BOUND + 1 : t->count * t->dim[i];
	}
	if (t->count > MAX_BOUND) {
		model_error(im->d, im->model->file, "--set %s: the input has more than %d elements", v->name,
			    MAX_BOUND);
		return;
	}
	t->bytes = arena_alloc(im->arena, (size_t)t->count * host_size(t->type));
	int64_t n = 0;
	char *end = (char *)text;
	for (; *text && n <= t->count; text = *end == ',' ? end + 1 : end, n++) {
		double real = strtod(text, &end);
		int64_t whole = strtoll(text, &end, 10);
		if (!is_whole(t->type))
			strtod(text, &end);
		if (end == text || (*end && *end != ','))
			break;
		if (n < t->count && is_whole(t->type))
			tensor_set_int(t, n, whole);
		else if (n < t->count)
			tensor_set(t, n, real);
	}
	if (*text || (n != t->count && n != 1)) {
		model_error(im->d, im->model->file,
			    "--set %s=%s: %lld numbers of type %s are needed, or one for all", v->name,
			    is_bound(im->opt, v->name), (long long)t->count, host_name(t->type));
		return;
	}
	for (int64_t i = n; i < t->count; i++)
		memcpy((char *)t->bytes + (size_t)i * host_size(t->type), t->bytes, host_size(t->type));
	value_set(v, t, 0);
}

/* ---- one walk ------------------------------------------------------------------------------ */

static void add_port(Module *m, Port **list, const char *name, const Type *t)
{
	while (*list)
		list = &(*list)->next;
	Port *p = NEW(m->arena, Port);
	p->name = arena_strdup(m->arena, name);
	p->type = t;
	*list = p;
}

static Value *input_value(Import *im, const OnnxInput *in)
{
	Shape s = { .rank = in->rank };
	for (int k = 0; k < in->rank; k++) {
		int64_t size = in->dim[k] ? in->dim[k] : 1;
		if (in->symbol[k] && im->t_name && !strcmp(in->symbol[k], im->t_name))
			size = DIM_T;
		else if (in->symbol[k])
			is_pinned(im->opt, in->symbol[k], &size);
		s.dim[k] = (int32_t)size;
	}
	Value *v = NEW(im->arena, Value);
	*v = (Value){ .name = in->name, .type = in->type, .producer = -1 };
	if (is_bound(im->opt, in->name)) {
		bound_input(im, v, &s);
		return v;
	}
	const Type *t = type_of(im, in->type, &s);
	v->kind = V_RUN;
	v->val = add_param(im, in->name, t);
	add_port(im->m, &im->m->in, in->name, t);
	return v;
}

/* By the graph's inputs; 0 for those that have an initializer. */
static Value **add_inputs(Import *im)
{
	const Onnx__Graph *g = im->model->proto->graph;
	Value **in = NEWN(im->arena, Value *, g->n_input);
	for (size_t i = 0, k = 0; i < g->n_input; i++)
		if ((int)k < im->model->ninput && !strcmp(g->input[i]->name, im->model->input[k].name))
			in[i] = input_value(im, &im->model->input[k++]);
	return in;
}

static void add_outputs(Import *im, Value *const *out)
{
	const Onnx__Graph *g = im->model->proto->graph;
	static const OpRow row = { .attrs = "" };
	Onnx__Node p = ONNX__NODE__INIT;
	p.op_type = (char *)"output";
	Op *ret = op_new(im->m, &im->f->body, O_ret, (int)g->n_output, 0);
	for (size_t i = 0; i < g->n_output; i++) {
		Node n = { .im = im, .p = &p, .row = &row };
		p.name = g->output[i]->name;
		if (out[i]->kind == V_UNKNOWN) {
			if (!diag_errors(im->d))
				diag_bug(im->d, "output '%s' could not be computed, and nothing says why", p.name);
			continue;
		}
		if (out[i]->kind == V_SEQUENCE) {
			fail(&n, "is a sequence; the model's results must be tensors");
			continue;
		}
		Val *v = operand(&n, out[i]);
		if (!v)
			continue;
		ret->in[i] = v;
		func_ret(im->m, im->f, v->type);
		add_port(im->m, &im->m->out, g->output[i]->name, v->type);
	}
	if (!g->n_output)
		model_error(im->d, im->model->file, "the graph has no output");
}

static char *default_name(const Model *m)
{
	return text_new("%.*s", (int)(strlen(m->file) - strlen(path_suffix(m->file))), m->file);
}

/* With `t` as T (0: no T).  0 with the faults in d. */
static Module *walk(const Job *j, const char *t, bool *time_seen, Diag *d)
{
	char *name = j->opt->name ? text_copy(j->opt->name) : default_name(j->model);
	Import im = { .model = j->model, .opt = j->opt, .d = d, .arena = arena_new(), .t_name = t };
	im.room = FOLD_ROOM + 8 * (int64_t)j->model->size;
	im.m = module_new(name);
	im.f = func_new(im.m, "main");
	im.val_names = table_new(im.arena, 64);
	im.data_names = table_new(im.arena, 64);
	im.copies = table_new(im.arena, 64);
	im.file = arena_strdup(im.m->arena, j->model->file);
	free(name);
	const Onnx__Graph *g = j->model->proto->graph;
	Walk all = { .g = g, .in = add_inputs(&im) };
	Value **out = NEWN(im.arena, Value *, g->n_output);
	if (graph_walk(&im, 0, &all, out))
		add_outputs(&im, out);
	func_renumber(im.f);
	*time_seen = im.time_seen;
	arena_free(im.arena);
	if (!diag_errors(d))
		return im.m;
	module_free(im.m);
	return 0;
}

/* ---- choosing T ---------------------------------------------------------------------------- */

/* Try symbol k (-1: none) without a word; the number of faults in *faults. */
static Module *try(const Job *j, int k, bool *time_seen, int *faults)
{
	Diag *quiet = diag_new();
	Module *m = walk(j, k < 0 ? 0 : j->symbol[k], time_seen, quiet);
	*faults = diag_errors(quiet);
	diag_free(quiet);
	return m;
}

static void note_ones(const Job *j, int t, Diag *d)
{
	for (int i = 0; i < j->nsymbol; i++)
		if (i != t)
			diag_note(d, "%s: dimension \"%s\" taken as 1; --dim %s=N for another",
				  j->model->file, j->symbol[i], j->symbol[i]);
}

static Module *choose(const Job *j, Diag *d)
{
	int best = -1, least = 0;
	for (int k = 0; k < j->nsymbol; k++) {
		int faults;
		bool time_seen;
		Module *m = try(j, k, &time_seen, &faults);
		if (m && time_seen) {
			note_ones(j, k, d);
			return m;
		}
		module_free(m);
		if (time_seen && (best < 0 || faults < least)) {
			best = k;
			least = faults;
		}
	}
	/* A time axis that was found but does not work is no reason to fix it at 1 unasked: its faults are
	 * told. */
	bool time_seen;
	Module *m = walk(j, best < 0 ? 0 : j->symbol[best], &time_seen, d);
	note_ones(j, best, d);          /* of a model that is refused this may be the cause */
	return m;
}

Module *import_onnx(const char *path, const Options *opt, Diag *d)
{
	Model *model = model_open(path, d);
	if (!model)
		return 0;
	Job j = { .model = model, .opt = opt, .symbol = mem_array(MAX_TRIES, sizeof *j.symbol) };
	bool few = true;
	for (int i = 0; i < model->ninput; i++)
		few &= add_symbols(&j, &model->input[i]);
	if (!few)
		model_error(d, model->file, "more than %d dynamic dimensions; fix some with --dim NAME=N",
			    MAX_TRIES);
	bool good = check_pins(model, opt, d) & check_bound(model, opt, d);
	Module *m = good && few ? choose(&j, d) : 0;
	free(j.symbol);
	model_close(model);
	return m;
}

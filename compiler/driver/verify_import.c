/* verify_import.c: import a model for one data set: its symbolic dimensions are what the data set's shapes say,
 * and an integer that decides a branch may be bound to its value there. */
#include "driver/verify.h"
#include "onnx/onnx.h"
#include "util/file.h"
#include "util/mem.h"

#include <stdlib.h>
#include <string.h>

char *diag_text(const Diag *d)
{
	char *text = 0;
	size_t n = 0;
	FILE *f = open_memstream(&text, &n);
	diag_print(d, f);
	fclose(f);
	return text;
}

/* The symbols that import makes T: for --open-time these are not fixed. */
static void open_symbols(const char *model, const Options *opt, OnnxInput *in, int n)
{
	Diag *d = diag_new();
	Module *m = import_onnx(model, opt, d);
	int i = 0;
	for (const Port *p = m ? m->in : 0; p && i < n; p = p->next, i++)
		for (int k = 0; k < p->type->rank && k < in[i].rank; k++)
			if (p->type->dim[k] == DIM_T) {
				free(in[i].symbol[k]);
				in[i].symbol[k] = 0;
			}
	if (m)
		module_free(m);
	diag_free(d);
}

/* --dim for each symbolic dimension, from the shape of the input that has it. */
static bool fix_dims(Options *opt, const OnnxInput *in, int n, const char *set, Diag *d)
{
	for (int i = 0; i < n; i++) {
		char *file = text_new("%s/input_%d.pb", set, i);
		Tensor *t = is_file(file) ? read_tensor_pb(file, d) : 0;
		for (int k = 0; t && t->rank == in[i].rank && k < t->rank; k++) {
			if (!in[i].symbol[k])
				continue;
			opt->dim_name = mem_grow(opt->dim_name, sizeof *opt->dim_name * (size_t)(opt->ndim + 1));
			opt->dim_value = mem_grow(opt->dim_value, sizeof *opt->dim_value * (size_t)(opt->ndim + 1));
			opt->dim_name[opt->ndim] = text_copy(in[i].symbol[k]);
			opt->dim_value[opt->ndim++] = t->dim[k];
		}
		tensor_free(t);
		free(file);
	}
	return !diag_errors(d);
}

/* Bind the inputs of one integer that the faults ask for.  false: there is none. */
static bool bind_inputs(Verify *v, Options *opt, const char *model, const char *set, const Diag *faults, Diag *d)
{
	int n = 0;
	OnnxInput *in = onnx_inputs(model, &n, d);
	char *text = diag_text(faults);
	for (int i = 0; i < n; i++) {
		char *hint = text_new("--set %s=", in[i].name), *file = text_new("%s/input_%d.pb", set, i);
		Tensor *t = strstr(text, hint) && is_file(file) ? read_tensor_pb(file, d) : 0;
		if (t && t->count == 1 && t->type != H_F32 && t->type != H_F64) {
			opt->set_name = mem_grow(opt->set_name, sizeof *opt->set_name * (size_t)(opt->nset + 1));
			opt->set_value = mem_grow(opt->set_value, sizeof *opt->set_value * (size_t)(opt->nset + 1));
			opt->set_name[opt->nset] = text_copy(in[i].name);
			opt->set_value[opt->nset] = text_new("%lld", (long long)tensor_get_int(t, 0));
			char *all = text_new("%s%s%s=%s", v->bound ? v->bound : "", v->bound ? "," : "", in[i].name,
			                     opt->set_value[opt->nset++]);
			free(v->bound);
			v->bound = all;
		}
		tensor_free(t);
		free(hint), free(file);
	}
	free(text);
	onnx_inputs_free(in, n);
	return v->bound != 0;
}

static Module *import_bound(Verify *v, Options *opt, const char *model, const char *set, Diag *d)
{
	Diag *first = diag_new();
	int given = opt->nset;
	Module *m = import_onnx(model, opt, first);
	bool again = !m && bind_inputs(v, opt, model, set, first, d);
	diag_free(first);
	if (m)
		return m;
	m = import_onnx(model, opt, d);
	if (!again || m)
		return m;
	for (int i = given; i < opt->nset; i++)         /* it did not help */
		free((char *)opt->set_name[i]), free((char *)opt->set_value[i]);
	opt->nset = given;
	return 0;
}

/* The lists that grow here are this data set's own. */
static void own_lists(Options *opt, const Options *given)
{
	*opt = *given;
	opt->dim_name = mem_array((size_t)given->ndim + 1, sizeof *opt->dim_name);
	opt->dim_value = mem_array((size_t)given->ndim + 1, sizeof *opt->dim_value);
	opt->set_name = mem_array((size_t)given->nset + 1, sizeof *opt->set_name);
	opt->set_value = mem_array((size_t)given->nset + 1, sizeof *opt->set_value);
	for (int i = 0; i < given->ndim; i++) {
		opt->dim_name[i] = text_copy(given->dim_name[i]);
		opt->dim_value[i] = given->dim_value[i];
	}
	for (int i = 0; i < given->nset; i++) {
		opt->set_name[i] = text_copy(given->set_name[i]);
		opt->set_value[i] = text_copy(given->set_value[i]);
	}
}

Module *import_for(Verify *v, Options *opt, const char *model, const char *set, Diag *d)
{
	int n = 0;
	own_lists(opt, &v->c->opt);
	opt->calib = set;
	OnnxInput *in = onnx_inputs(model, &n, d);
	if (in && v->c->open_time)
		open_symbols(model, opt, in, n);
	Module *m = in && fix_dims(opt, in, n, set, d) ? import_bound(v, opt, model, set, d) : 0;
	onnx_inputs_free(in, n);
	return m;
}

void import_done(Verify *v, Options *opt)
{
	for (int i = 0; i < opt->ndim; i++)
		free((char *)opt->dim_name[i]);
	for (int i = 0; i < opt->nset; i++)
		free((char *)opt->set_name[i]), free((char *)opt->set_value[i]);
	free(opt->dim_name), free(opt->dim_value), free(opt->set_name), free(opt->set_value);
	free(v->bound);
	v->bound = 0;
}

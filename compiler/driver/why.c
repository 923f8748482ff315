/* why.c: why did it get worse?  Signal and error of each value and each constant, collected from runs of
 * the float and the integer model over the same data.
 *
 * Both modules have the same names at tensor level; what only the integer one has are casts, compared with
 * what they cast.  Values are outputs of copies (passes/tap.c), BATCH at a time, so memory stays bounded. */
#include "driver/why.h"
#include "data/runner.h"
#include "passes/tap.h"
#include "util/mem.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { BATCH = 100, CHUNK = 64 };

double power_db(Power p)
{
	return p.error > 0 ? 10 * log10(p.signal / p.error) : INFINITY;
}

/* ---- one batch of values ------------------------------------------------------------------------ */

/* What v of the quantized module is in the other one: the value of its name, or of what it is cast from. */
static const Val *float_value(Module *floats, const char *func, const Val *v)
{
	const Func *f = func_find(floats, func);
	for (; f && v; v = v->def && v->def->kind == O_cast ? v->def->in[0] : 0) {
		for (int i = 0; i < f->nparam; i++)
			if (!strcmp(f->param[i]->name, v->name))
				return f->param[i];
		for (int i = 0; i < f->nstate; i++)
			if (!strcmp(f->state[i]->name, v->name))
				return f->state[i];
		each_op(o, &f->body)
			for (int i = 0; i < o->nout; i++)
				if (o->out[i]->name && !strcmp(o->out[i]->name, v->name))
					return o->out[i];
	}
	return 0;
}

typedef struct {
	Runner *f, *q;
	Tap *tap;
	int n;
	int *port;              /* by tap: output of the float copy; -1: nothing to compare with */
	WhyValue *value;        /* by tap */
} Pair;

static int bits_of(double magnitude)
{
	int e = 0;
	frexp(magnitude, &e);
	return e < 0 ? 0 : e >= WHY_BITS ? WHY_BITS - 1 : e;
}

static int span_of(int64_t step)
{
	int s = bits_of((double)step + 1) - 1;
	return s < WHY_SPANS ? s : WHY_SPANS - 1;
}

/* The stored integer, from the real (of more than 24 bits: its leading ones). */
static void count_element(WhyValue *v, const Quant *q, double real, int64_t row)
{
	double s = q->rows ? (double)((const float *)q->rows->bytes)[row] : (double)q->scale;
	double stored = floor(real / s + 0.5) + q->zero;
	v->used[bits_of(fabs(stored))]++;
	v->saturated += stored <= (double)elem_min(q->elem) || stored >= (double)elem_max(q->elem);
}

static void add_tensors(WhyValue *v, const Tensor *f, const Tensor *q, bool stepped, int64_t at)
{
	const Quant *k = v->val->type->quant;
	int64_t row = stepped && q->dim[0] ? q->count / q->dim[0] : q->count;
	int64_t rows = k && k->rows ? (int64_t)(k->rows->size / sizeof(float)) : 1;
	for (int64_t i = 0; i < q->count && i < f->count; i++) {
		double x = tensor_get(f, i), y = tensor_get(q, i), e = y - x;
		v->all.signal += x * x;
		v->all.error += e * e;
		v->worst = fmax(v->worst, fabs(e));
		if (stepped) {
			Power *p = &v->span[span_of(at + i / row)];
			p->signal += x * x;
			p->error += e * e;
		}
		if (k)
			count_element(v, k, y, i % rows);
	}
	v->count += q->count;
	v->stepped = stepped;
}

static bool run_pair(Pair *p, Dataset *s, int64_t limit, Why *w, Diag *d)
{
	Sample sample;
	int64_t at = 0, done = 0, sequences = 0;
	dataset_rewind(s);
	while ((!limit || done < limit) && dataset_next(s, &sample)) {
		if (sample.fresh)
			at = 0, sequences++;
		if (!runner_run(p->f, &sample, d) || !runner_run(p->q, &sample, d))
			return false;
		for (int i = 0; i < p->n; i++)
			if (p->port[i] >= 0)
				add_tensors(&p->value[i], runner_output(p->f, p->port[i]), runner_output(p->q, p->tap[i].port),
				            p->tap[i].stepped, at);
		at += sample.steps;
		done += sample.steps;
	}
	w->steps = done;
	w->sequences = sequences;
	if (!done)
		diag_error(d, "the data hold no sample");
	return done > 0;
}

/* Where one function has several call sites, the k-th tap of a value belongs to the k-th one of the other
 * module. */
static void match_taps(Pair *p, Module *floats, const Tap *ftap, int nf)
{
	for (int i = 0; i < p->n; i++) {
		const Val *v = float_value(floats, p->tap[i].func->name, p->tap[i].val);
		int same = 0, k = 0;
		for (int j = 0; j < i; j++)
			same += p->tap[j].val == p->tap[i].val;
		p->port[i] = -1;
		for (int j = 0; v && j < nf; j++)
			if (ftap[j].val == v && k++ == same)
				p->port[i] = ftap[j].port;
	}
}

static bool compare_batch(Module *floats, Module *quantized, const Options *opt, Dataset *s, int64_t limit,
                          const char *const *names, int n, Why *w, Diag *d)
{
	Pair p = {0};
	Tap *ftap;
	int nf, nother = 0;
	Module *q = tap_module(quantized, names, n, &p.tap, &p.n);
	const char **other = NEWN(floats->arena, const char *, p.n);
	for (int i = 0; i < p.n; i++) {
		const Val *v = float_value(floats, p.tap[i].func->name, p.tap[i].val);
		if (v)
			other[nother++] = arena_printf(floats->arena, "%s.%s", p.tap[i].func->name, v->name);
	}
	Module *f = tap_module(floats, other, nother, &ftap, &nf);
	p.port = mem_array((size_t)p.n, sizeof *p.port);
	p.value = mem_array((size_t)p.n, sizeof *p.value);
	match_taps(&p, floats, ftap, nf);
	for (int i = 0; i < p.n; i++)
		p.value[i] = (WhyValue){.name = p.tap[i].name, .func = p.tap[i].func, .val = p.tap[i].val, .in = INFINITY};
	Options plain = *opt;
	plain.integer = false;
	p.f = runner_open_as_is(f, &plain, d);
	p.q = p.f ? runner_open_as_is(q, opt, d) : 0;
	bool good = p.q && run_pair(&p, s, limit, w, d);
	for (int i = 0; good && i < p.n; i++)
		if (p.port[i] >= 0 && p.value[i].count) {
			w->value = mem_grow(w->value, sizeof *w->value * (size_t)(w->nvalue + 1));
			w->value[w->nvalue++] = p.value[i];
		}
	runner_close(p.f), runner_close(p.q);
	module_free(f), module_free(q);
	free(p.port), free(p.value);
	return good;
}

/* ---- constants ---------------------------------------------------------------------------------- */

static double stored_at(const Data *d, int64_t i)
{
	switch (elem_size(d->type->elem)) {
	case 1:
		return elem_is_signed(d->type->elem) ? ((const int8_t *)d->bytes)[i]
		                                     : ((const uint8_t *)d->bytes)[i];
	case 2:  return ((const int16_t *)d->bytes)[i];
	case 4:  return ((const int32_t *)d->bytes)[i];
	default: return (double)((const int64_t *)d->bytes)[i];
	}
}

static void compare_data(const Module *floats, const Module *quantized, Why *w)
{
	each_data(q, quantized) {
		const Data *f = data_find(floats, q->name);
		const Quant *k = q->type->quant;
		int64_t n = type_count(q->type, 1);
		if (!k || !f || f->type->elem != E_f32 || type_count(f->type, 1) != n || !n)
			continue;
		int64_t row = k->rows ? n / (int64_t)(k->rows->size / sizeof(float)) : n;
		WhyWeight v = {.data = q};
		for (int64_t i = 0; i < n; i++) {
			double s = stored_at(q, i), x = ((const float *)f->bytes)[i];
			double y = k->book ? ((const float *)k->book->bytes)[(int)s] : s - k->zero;
			double e = y * (k->rows ? (double)((const float *)k->rows->bytes)[i / row] : (double)k->scale) - x;
			v.all.signal += x * x;
			v.all.error += e * e;
		}
		w->weight = mem_grow(w->weight, sizeof *w->weight * (size_t)(w->nweight + 1));
		w->weight[w->nweight++] = v;
	}
}

/* ---- where it is lost --------------------------------------------------------------------------- */

/* What a function's parameter is at its first call. */
static const Val *argument(const Module *m, const Func *f, const Val *param, const Func **caller)
{
	int i = 0;
	while (i < f->nparam && f->param[i] != param)
		i++;
	each_func(g, m)
		each_op(o, &g->body) {
			int seq = (int)attr_int(o, "seq", 0), init = (int)attr_int(o, "init", 0);
			int at = o->kind == O_scan && i >= seq ? i + init : i;
			if (o->callee != f || i >= f->nparam || at >= o->nin)
				continue;
			*caller = g;
			return o->in[at];
		}
	return 0;
}

static const Val *next_of(const Func *f, const Val *state)
{
	const Op *o = f->body.last ? f->body.last->prev : 0;
	for (int i = 0; o && o->kind == O_next && i + 1 < o->nin; i += 2)
		if (o->in[i] == state)
			return o->in[i + 1];
	return 0;
}

/* What the callee returns as this result of a call or scan; 0: a final state. */
static const Val *returned(const Val *v, const Func **f)
{
	const Op *o = v->def, *ret = o->callee->body.last;
	int i = 0;
	while (o->out[i] != v)
		i++;
	*f = o->callee;
	return i < ret->nin ? ret->in[i] : 0;
}

/* The SNR of an operand: of the value behind moves, parameters and states, or of the constant. */
static double operand_db(const Why *w, const Module *m, const Func *f, const Val *v)
{
	for (int hop = 0; v && hop < 50; hop++) {
		if (v->data) {
			for (int i = 0; i < w->nweight; i++)
				if (w->weight[i].data == v->data)
					return power_db(w->weight[i].all);
			return INFINITY;
		}
		for (int i = 0; i < w->nvalue; i++)
			if (w->value[i].val == v && w->value[i].func == f)
				return power_db(w->value[i].all);
		const Val *state = 0;
		for (int i = 0; i < f->nstate; i++)
			state = f->state[i] == v ? v : state;
		if (v->def && (only_moves(v->def->kind) || v->def->kind == O_cast))
			v = v->def->in[0];
		else if (v->def && v->def->callee)
			v = returned(v, &f);
		else if (state)
			v = next_of(f, state);
		else if (!v->def)
			v = argument(m, f, v, &f);
		else
			return INFINITY;
	}
	return INFINITY;
}

static int by_value(const void *a, const void *b)
{
	double x = power_db(((const WhyValue *)a)->all), y = power_db(((const WhyValue *)b)->all);
	return x < y ? -1 : x > y ? 1 : strcmp(((const WhyValue *)a)->name, ((const WhyValue *)b)->name);
}

static int by_weight(const void *a, const void *b)
{
	const WhyWeight *u = a, *v = b;
	double x = power_db(u->all), y = power_db(v->all);
	return x < y ? -1 : x > y ? 1 : strcmp(u->data->name, v->data->name);
}

bool why_collect(Module *floats, Module *quantized, const Options *opt, const char *data, int64_t limit,
                 Why *w, Diag *d)
{
	*w = (Why){0};
	int n;
	const char **names = tapped_names(quantized, &n);
	Dataset *s = dataset_open(data, floats, opt, CHUNK, d);
	bool good = s != 0;
	for (int i = 0; good && i < n; i += BATCH)
		good = compare_batch(floats, quantized, opt, s, limit, names + i, n - i < BATCH ? n - i : BATCH, w, d);
	dataset_close(s);
	if (!good)
		return false;
	compare_data(floats, quantized, w);
	for (int i = 0; i < w->nvalue; i++) {
		WhyValue *v = &w->value[i];
		for (int k = 0; v->val->def && k < v->val->def->nin; k++)
			if (v->val->def->in[k])
				v->in = fmin(v->in, operand_db(w, quantized, v->func, v->val->def->in[k]));
	}
	qsort(w->value, (size_t)w->nvalue, sizeof *w->value, by_value);
	qsort(w->weight, (size_t)w->nweight, sizeof *w->weight, by_weight);
	return true;
}

void why_free(Why *w)
{
	free(w->value), free(w->weight);
	*w = (Why){0};
}

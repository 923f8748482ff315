/* quantize_data.c: constants in fixed point.
 *
 * What a datum becomes depends on who reads it: weights and tables get scales of their own, biases and
 * initial states their reader's, other constants 16 bits.  A datum read in two ways becomes two data. */
#include "passes/quantize.h"
#include "passes/widths.h"

#include <fnmatch.h>
#include <math.h>
#include <string.h>

int rule_bits(const Quantizer *q, const char *in, const char *name)
{
	int bits = 0;
	if (!name)
		return 0;
	const char *full = q->opt->nrule && in ? arena_printf(q->m->arena, "%s.%s", in, name) : name;
	for (int i = 0; i < q->opt->nrule; i++) {
		const char *p = q->opt->rule[i].pattern;
		if (!fnmatch(p, name, 0) || !fnmatch(p, full, 0))
			bits = q->opt->rule[i].bits;
	}
	return bits;
}

/* Types are the same when they have the same name; of biases, which no one else's type must match, the format
 * counts. */
static bool same_grid(const Quant *a, const Quant *b)
{
	bool bias = elem_bits(a->elem) >= 32 && !a->rows && !b->rows;
	return a == b || (bias && a->elem == b->elem && a->scale == b->scale);
}

static DataForm *find_form(Quantizer *q, const Data *d, bool weights, bool rows, const Quant *grid)
{
	for (DataForm *f = q->form; f; f = f->next) {
		const Quant *k = f->to->type->quant;
		if (f->from == d && f->weights == weights && (weights ? rows || !k->rows : same_grid(k, grid)))
			return f;
	}
	return 0;
}

static const DataForm *any_form(const Quantizer *q, const Data *d)
{
	for (const DataForm *f = q->form; f; f = f->next)
		if (f->from == d)
			return f;
	return 0;
}

bool is_real_data(const Quantizer *q, const Val *v)
{
	return v->data && (is_f32(v) || any_form(q, v->data));
}

double data_was(const Quantizer *q, const Data *d)
{
	const DataForm *f = any_form(q, d);
	Data was = f ? (Data){.bytes = f->bytes, .size = f->size} : *d;
	return data_most(&was);
}

/* A datum to convert for one more use: itself the first time, then copies of what it was. */
static DataForm *new_form(Quantizer *q, Data *d, bool weights)
{
	DataForm *f = NEW(q->m->arena, DataForm);
	const DataForm *old = any_form(q, d);
	*f = (DataForm){d, d, d->bytes, d->size, d->type, weights, q->form};
	if (old) {
		f->bytes = old->bytes, f->size = old->size, f->type = old->type;
		f->to = data_new(q->m, d->name, old->type);
		f->to->bytes = old->bytes;
	}
	return q->form = f;
}

static bool is_finite_data(Quantizer *q, const Data *d)
{
	if (!isnan(data_most(d)))
		return true;
	diag_error(q->d, "data $%s holds numbers that are not finite: no fixed-point form", d->name);
	return false;
}

Val *data_weights(Quantizer *q, Data *d, bool rows)
{
	DataForm *f = find_form(q, d, true, rows, 0);
	if (!f) {
		f = new_form(q, d, true);
		is_finite_data(q, f->to);
		Widths w = weights_widths(q->m, q->opt, d);
		WeightRule rule = {w.most, rows && q->opt->per_row, q->opt->real_scales, w.row};
		weights_quantize(q->m, f->to, rule);
	}
	return val_data(q->m, f->to);
}

Val *data_on(Quantizer *q, Data *d, const Quant *grid)
{
	DataForm *f = find_form(q, d, false, false, grid);
	if (!f) {
		f = new_form(q, d, false);
		is_finite_data(q, f->to);
		data_quantize(q->m, f->to, grid);
	}
	return val_data(q->m, f->to);
}

Val *data_constant(Quantizer *q, Data *d)
{
	for (DataForm *f = q->form; f; f = f->next)     /* its own grid, of an earlier use */
		if (f->from == d && !f->weights && !strcmp(f->to->type->quant->name, f->to->name))
			return val_data(q->m, f->to);
	DataForm *f = new_form(q, d, false);
	if (!is_finite_data(q, f->to))
		return val_data(q->m, f->to);
	int bits = rule_bits(q, 0, d->name);
	bits = bits > 1 ? bits : WIDE_BITS;
	float s = ldexpf(1, fit_exponent(data_most(f->to), bits, true));
	data_quantize(q->m, f->to, quant_new(q->m, f->to->name, (Elem)bits, s));
	return val_data(q->m, f->to);
}

/* reconstruct_was.c: the float model, kept beside the one that is being rounded, and what quantize will do
 * to activations. */
#include "passes/feedback.h"
#include "passes/passes.h"
#include "passes/reconstruct.h"

#include <string.h>

enum { MOST_SIMULATED_BITS = 8 };       /* finer rounding of activations is not felt */

static void remember(Module *m, const Data *as, bool bias, const Data *what, const Type *t)
{
	const char *name = arena_printf(m->arena, bias ? "%s_bias_was" : "%s_was", as->name);
	if (data_find(m, name))
		return;
	Data *d = data_new(m, name, t);
	if (what && what->size == d->size)
		memcpy(d->bytes, what->bytes, d->size);
}

void reconstruct_remember(Module *m, const Options *opt)
{
	if (!opt->integer || opt->effort < 3 || !opt->calib)
		return;
	each_func(f, m)
		each_op(o, &f->body) {
			const Data *W = o->kind == O_linear ? o->in[1]->data : o->kind == O_gather ? o->in[0]->data : 0;
			if (!W || W->type->elem != E_f32 || W->type->quant || W->type->rank < 1)
				continue;
			remember(m, W, false, W, W->type);
			const Val *b = o->nin > 2 ? o->in[2] : 0;
			if (o->kind == O_linear && (!b || b->data))
				remember(m, W, true, b ? b->data : 0,
				         type_tensor(m, E_f32, 1, (const int32_t[]){W->type->dim[0]}));
		}
}

void reconstruct_forget(Module *m)
{
	for (Data **d = &m->data; *d;) {
		size_t n = strlen((*d)->name);
		if (n > 4 && !strcmp((*d)->name + n - 4, "_was"))
			*d = (*d)->next;
		else
			d = &(*d)->next;
	}
}

static FakeQuant *fake_of(Module *m, const Func *f, int number, const Quant *q, FakeQuant *rest)
{
	FakeQuant *k = NEW(m->arena, FakeQuant);
	int n = q->rows ? (int)(q->rows->size / sizeof(float)) : 1;
	*k = (FakeQuant){arena_strdup(m->arena, f->name), number,
	                 arena_copy(m->arena, q->rows ? q->rows->bytes : &q->scale, (size_t)n * sizeof(float)), n,
	                 (float)elem_min(q->elem), (float)elem_max(q->elem), 0, 0, rest};
	if (q->levels) {
		k->level = arena_copy(m->arena, q->levels->bytes, q->levels->size);
		k->nlevel = (int)q->levels->size;
	}
	return k;
}

/* How the operand of a linear is rounded: a copy with steps for each unit is brought to one scale without rounding. */
static const Quant *rounding(const Val *x)
{
	const Op *def = x->def;
	const Quant *from = def && def->kind == O_cast ? def->in[0]->type->quant : 0;
	return from && from->rows ? from : x->type->quant;
}

/* Quantize a copy and read off the types of what linears multiply. */
FakeQuant *fake_quants(Module *m, const Options *opt)
{
	FakeQuant *list = 0;
	Module *copy = module_clone(m);
	Diag *quiet = diag_new();
	if (pass_quantize(copy, opt, quiet))
		each_func(f, copy) {
			int number = 0;
			each_op(o, &f->body) {
				const Quant *q = o->kind == O_linear ? rounding(o->in[0]) : 0;
				if (q && !q->zero && !q->book && elem_bits(q->elem) <= MOST_SIMULATED_BITS)
					list = fake_of(m, f, number, q, list);
				number += o->kind == O_linear;
			}
		}
	diag_free(quiet);
	module_free(copy);
	return list;
}

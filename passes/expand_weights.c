/* expand_weights.c: cut W, R, B, P and the initial states of an RNN op into the pieces of one direction.
 *
 * Constants are cut now, into data of their own: $lstm_0_W.  What is known only when the model runs is cut
 * by ops before the scan and handed to every step. */
#include "passes/expand.h"

#include <assert.h>
#include <stdarg.h>
#include <string.h>

const Type *floats(Module *m, int rank, ...)
{
	int32_t dim[MAX_RANK];
	va_list ap;
	va_start(ap, rank);
	for (int i = 0; i < rank; i++)
		dim[i] = va_arg(ap, int);
	va_end(ap);
	return type_tensor(m, E_f32, rank, dim);
}

Val *layer_op(Layer *l, OpKind k, const char *name, const Type *t, Val *a, Val *b)
{
	Val *in[2] = {a, b};
	Op *o = op_before(l->m, &l->f->body, l->op, k, b ? 2 : 1, in);
	o->loc = l->op->loc;
	return op_out(l->m, l->f, o, name, t);
}

Val *layer_slice(Layer *l, Val *v, int axis, int at, int n)
{
	if (v->type->dim[axis] == n)
		return v;
	int32_t dim[MAX_RANK];
	memcpy(dim, v->type->dim, sizeof dim);
	dim[axis] = n;
	Val *s = layer_op(l, O_slice, 0, type_like(l->m, v->type, v->type->rank, dim), v, 0);
	attr_set_int(l->m, s->def, "axis", axis);
	attr_set_int(l->m, s->def, "at", at);
	return s;
}

Val *layer_reshape(Layer *l, Val *v, const char *name, int rank, const int32_t *dim)
{
	const Type *t = type_like(l->m, v->type, rank, dim);
	return t == v->type ? v : layer_op(l, O_reshape, name, t, v, 0);
}

static Data *layer_data(Layer *l, const char *name, const Type *t)
{
	return data_new(l->m, arena_printf(l->m->arena, "%s_%s", l->name, name), t);
}

Val *layer_ints(Layer *l, const char *name, int32_t v)
{
	Data *d = layer_data(l, name, type_tensor(l->m, E_i32, 1, (int32_t[]){1}));
	memcpy(d->bytes, &v, sizeof v);
	return val_data(l->m, d);
}

Val *layer_floats(Layer *l, const char *name, float v)
{
	Data *d = layer_data(l, name, floats(l->m, 1, 1));
	memcpy(d->bytes, &v, sizeof v);
	return val_data(l->m, d);
}

static Data *cell_data(Cell *c, const char *name, const Type *t)
{
	return data_new(c->l->m, arena_printf(c->l->m->arena, "%s_%s", c->name, name), t);
}

/* The step sees a value of the outer function as a parameter. */
static Val *hand_in(Cell *c, Val *v, const char *name)
{
	assert(c->npiece < MAX_PIECES);
	c->piece[c->npiece++] = v;
	return func_param(c->l->m, c->f, name, v->type);
}

static const float *data_row(const Cell *c, const Data *d, int first)
{
	int64_t width = d->type->rank == 3 ? d->type->dim[2] : 1;
	return (const float *)d->bytes + ((int64_t)c->dir * d->type->dim[1] + first) * width;
}

/* The same of a run-time operand. */
static Val *cut(Cell *c, Val *v, int first, int n)
{
	const int32_t dim[2] = {n, v->type->dim[2]};
	int rank = v->type->rank - 1;
	v = layer_slice(c->l, v, 0, c->dir, 1);
	v = layer_slice(c->l, v, 1, first, n);
	return layer_reshape(c->l, v, 0, rank, dim);
}

Val *cell_rows(Cell *c, int k, int first, int n, const char *name)
{
	Val *v = c->l->in[k];
	if (!v)
		return 0;
	if (!v->data)
		return hand_in(c, cut(c, v, first, n), name);
	const int32_t dim[2] = {n, v->type->dim[2]};
	Data *d = cell_data(c, name, type_tensor(c->l->m, E_f32, v->type->rank - 1, dim));
	memcpy(d->bytes, data_row(c, v->data, first), d->size);
	return val_data(c->l->m, d);
}

Val *cell_bias(Cell *c, int first, int n, const char *name)
{
	Layer *l = c->l;
	Val *v = l->in[B];
	if (!v)
		return 0;
	int half = v->type->dim[1] / 2;
	if (!v->data) {
		Val *wb = cut(c, v, first, n), *rb = cut(c, v, half + first, n);
		return hand_in(c, layer_op(l, O_add, 0, wb->type, wb, rb), name);
	}
	Data *d = cell_data(c, name, floats(l->m, 1, n));
	const float *wb = data_row(c, v->data, first), *rb = data_row(c, v->data, half + first);
	for (int i = 0; i < n; i++)
		((float *)d->bytes)[i] = wb[i] + rb[i];
	return val_data(l->m, d);
}

Val *cell_init(Cell *c, int k, const char *name)
{
	Layer *l = c->l;
	Val *v = l->in[k];
	const int32_t dim[2] = {l->batch, l->hidden};
	if (v && !v->data) {
		v = layer_slice(l, v, l->batch_first ? 1 : 0, c->dir, 1);
		return layer_reshape(l, v, 0, 2, dim);
	}
	Data *d = cell_data(c, name, floats(l->m, 2, l->batch, l->hidden));
	for (int n = 0; v && n < l->batch; n++) {
		int row = l->batch_first ? n * l->ndir + c->dir : c->dir * l->batch + n;
		memcpy((float *)d->bytes + (int64_t)n * l->hidden,
		       (const float *)v->data->bytes + (int64_t)row * l->hidden, sizeof(float) * l->hidden);
	}
	return val_data(l->m, d);
}

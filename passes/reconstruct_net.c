/* reconstruct_net.c: frames and nodes from the module: what is computed on what, and memory for all of it. */
#include "passes/reconstruct.h"
#include "util/mem.h"

#include <stdlib.h>
#include <string.h>

static Frame *frame_new(Net *n, const Func *f, int rows, int len, int depth, const FakeQuant *fake);

static bool fail(Net *n, const char *why, const char *what)
{
	if (!n->err)
		n->err = arena_printf(n->arena, "%s%s%s", why, what ? " " : "", what ? what : "");
	return false;
}

Param *param_of(Net *n, Data *d)
{
	Param **p = n->params;
	while (*p && (*p)->data != d)
		p = &(*p)->next;
	if (!*p) {
		const Data *was = data_find(n->m, arena_printf(n->arena, "%s_was", d->name));
		size_t count = d->type->elem == E_f32 ? d->size / sizeof(float) : 0;
		*p = NEW(n->m->arena, Param);
		(*p)->data = d;
		(*p)->rows = d->type->rank ? d->type->dim[0] : 1;
		(*p)->cols = (*p)->rows ? (int)(type_count(d->type, 1) / (*p)->rows) : 0;
		(*p)->now = arena_copy(n->m->arena, d->bytes, d->size);
		(*p)->was = was && was->size == count * sizeof(float) ? was->bytes : d->bytes;
	}
	return *p;
}

/* ---- values ----------------------------------------------------------------------------------------- */

static void buf_make(Net *n, const Frame *f, Buf *b, const Type *t)
{
	if (b->made)
		return;
	b->made = true;
	b->per = (size_t)type_count(t, n->steps);
	size_t runs = (size_t)f->count + (b->state ? (size_t)(f->count / f->len) : 0);
	size_t all = runs * (size_t)n->streams * b->per;
	if (t->elem == E_i32 && !t->quant)
		b->i = NEWN(n->arena, int32_t, all);
	else if (t->elem == E_f32)
		b->x = NEWN(n->arena, float, all);
	else
		fail(n, "a value is neither f32 nor i32:", elem_name(t->elem));
	if (b->x && n->student)
		b->g = NEWN(n->arena, float, all);
}

static Operand operand_of(Net *n, Frame *f, Val *v)
{
	if (!v)
		return (Operand){0};
	if (v->data)
		return (Operand){.param = param_of(n, v->data)};
	buf_make(n, f, &f->buf[v->id], v->type);
	return (Operand){.buf = &f->buf[v->id]};
}

static void states_make(Net *n, Frame *f, int local)
{
	for (int i = 0; i < f->func->nstate; i++) {
		const Val *v = f->func->state[i];
		Buf *b = &f->buf[v->id];
		b->state = true;
		buf_make(n, f, b, v->type);
		if (b->i)
			fail(n, "a state of integers", v->name);
		n->state = mem_grow(n->state, sizeof *n->state * (size_t)(n->nstate + 1));
		n->state[n->nstate].frame = f;
		n->state[n->nstate].buf = b;
		n->state[n->nstate].init = f->func->init[i];
		n->state[n->nstate].kept = NEWN(n->arena, float, (size_t)n->streams * b->per);
		n->state[n->nstate].local = i < local;
		n->nstate++;
	}
}

/* ---- ops -------------------------------------------------------------------------------------------- */

static int dim_at(const Net *n, int32_t d) { return d == DIM_T ? n->steps : d; }

static bool scan_len(Net *n, const Op *o, int *len)
{
	if (o->kind == O_call) {
		*len = 1;
		return true;
	}
	const Attr *axis = attr_find(o, "axis");
	if (attr_int(o, "seq", 0) < 1)
		return fail(n, "a scan without a sequence", 0);
	*len = dim_at(n, o->in[0]->type->dim[axis && axis->n ? axis->v.i[0] : 0]);
	return *len > 0 || fail(n, "a scan of no step", 0);
}

static void take_fake(NetOp *node, const Func *f, int number, const FakeQuant *fake)
{
	for (; fake; fake = fake->next)
		if (fake->number == number && !strcmp(fake->func, f->name)) {
			node->scale = fake->scale;
			node->nscale = fake->nscale;
			node->lo = fake->lo;
			node->hi = fake->hi;
			node->level = fake->level;
			node->nlevel = fake->nlevel;
		}
}

/* Feedback may have given the layer another bias, or its first. */
static void was_bias(Net *n, const Param *w, Param *b)
{
	const Data *was = data_find(n->m, arena_printf(n->arena, "%s_bias_was", w->data->name));
	if (was && was->size == b->data->size)
		b->was = was->bytes;
}

static bool node_make(Net *n, Frame *f, NetOp *node, const Op *o, int depth, const FakeQuant *fake)
{
	node->op = o;
	node->in = NEWN(n->arena, Operand, o->nin + 1);
	node->out = NEWN(n->arena, Buf *, o->nout + 1);
	for (int i = 0; i < o->nin; i++)
		node->in[i] = operand_of(n, f, o->in[i]);
	for (int i = 0; i < o->nout; i++) {
		buf_make(n, f, &f->buf[o->out[i]->id], o->out[i]->type);
		node->out[i] = &f->buf[o->out[i]->id];
	}
	if (o->kind == O_scan || o->kind == O_call) {
		int len;
		if (!scan_len(n, o, &len))
			return false;
		node->callee = frame_new(n, o->callee, f->count, len, depth + 1, fake);
		if (node->callee)
			states_make(n, node->callee, (int)attr_int(o, "init", 0));
		return node->callee && !n->err;
	}
	if (o->kind == O_linear && node->in[1].param && o->nin > 2 && node->in[2].param)
		was_bias(n, node->in[1].param, node->in[2].param);
	const char *why = node_prepare(n, f, node);
	return !why || fail(n, why, op_info[o->kind].name);
}

/* States are places of their own in operands' buffers, so they are marked before any op takes them. */
static Frame *frame_new(Net *n, const Func *f, int rows, int len, int depth, const FakeQuant *fake)
{
	enum { MAX_DEPTH = 16 };
	if (depth > MAX_DEPTH)
		return fail(n, "calls too deep", 0), (Frame *)0;
	Frame *fr = NEW(n->arena, Frame);
	fr->func = f;
	fr->len = len;
	fr->count = rows * len;
	fr->buf = NEWN(n->arena, Buf, f->nval + 1);
	for (int i = 0; i < f->nstate; i++)
		fr->buf[f->state[i]->id].state = true;
	for (int i = 0; i < f->nparam; i++)
		buf_make(n, fr, &fr->buf[f->param[i]->id], f->param[i]->type);
	each_op(o, &f->body)
		fr->nnode += o->kind != O_ret;
	fr->node = NEWN(n->arena, NetOp, fr->nnode + 1);
	int i = 0, linears = 0;
	each_op(o, &f->body) {
		if (o->kind == O_ret) {
			fr->ret = NEWN(n->arena, Operand, o->nin + 1);
			for (int k = 0; k < o->nin; k++)
				fr->ret[k] = operand_of(n, fr, o->in[k]);
			continue;
		}
		if (o->kind == O_linear && n->student)
			take_fake(&fr->node[i], f, linears, fake);
		linears += o->kind == O_linear;
		if (!node_make(n, fr, &fr->node[i++], o, depth, fake))
			return 0;
	}
	return n->err ? 0 : fr;
}

Net *net_new(Module *m, Param **params, const FakeQuant *fake, const int *pair, int units,
             int streams, int steps, bool student, char *err, size_t nerr)
{
	Arena *arena = arena_new();
	Net *n = NEW(arena, Net);
	*n = (Net){.m = m, .streams = streams, .steps = steps, .student = student, .params = params, .pair = pair,
	           .arena = arena};
	Func *f = func_find(m, "main");
	if (f)
		n->main = frame_new(n, f, 1, units, 0, fake);
	else
		fail(n, "no @main", 0);
	if (n->main)
		states_make(n, n->main, 0);
	n->carried = NEWN(arena, float *, f ? f->nparam + 1 : 1);
	for (int i = 0; n->main && i < f->nparam; i++)
		if (pair[i] >= 0)
			n->carried[i] = NEWN(arena, float, (size_t)streams * n->main->buf[f->param[i]->id].per);
	if (n->main && !n->err)
		return n;
	snprintf(err, nerr, "%s", n->err ? n->err : "unknown");
	net_free(n);
	return 0;
}

void net_free(Net *n)
{
	if (!n)
		return;
	free(n->state);
	arena_free(n->arena);
}

/* account.c: how much a module holds, and how much it computes. */
#include "lower/account.h"
#include "util/mem.h"

#include <stdlib.h>
#include <string.h>

typedef struct { const void **p; int n; } Set;

/* false: it was there already */
static bool set_add(Set *s, const void *p)
{
	for (int i = 0; i < s->n; i++)
		if (s->p[i] == p)
			return false;
	s->p = mem_grow(s->p, sizeof *s->p * (size_t)(s->n + 1));
	s->p[s->n++] = p;
	return true;
}

typedef struct { Set data, funcs; } Use;

static void use_func(const Func *f, Use *u);

static void use_block(const Block *b, Use *u)
{
	each_op(o, b) {
		for (int i = 0; i < o->nin; i++)
			if (o->in[i] && o->in[i]->data)
				set_add(&u->data, o->in[i]->data);
		if (o->body)
			use_block(o->body, u);
		if (o->callee)
			use_func(o->callee, u);
	}
}

static void use_func(const Func *f, Use *u)
{
	if (!set_add(&u->funcs, f))
		return;
	use_block(&f->body, u);
	for (int i = 0; i < f->nstate; i++)
		if (f->init[i])
			set_add(&u->data, f->init[i]);
}

static int64_t bytes_of(Use *u)
{
	int64_t n = 0;
	for (int i = 0; i < u->data.n; i++)
		n += (int64_t)((const Data *)u->data.p[i])->size;
	free(u->data.p), free(u->funcs.p);
	return n;
}

int64_t used_bytes(const Module *m)
{
	Use u = {0};
	each_func(f, m)
		use_func(f, &u);
	return bytes_of(&u);
}

int64_t portable_bytes(const Module *m)
{
	Use u = {0};
	each_func(f, m)
		if (!strcmp(f->name, "reset") || !strcmp(f->name, "step_portable") || !strcmp(f->name, "run_portable"))
			use_func(f, &u);
	return u.funcs.n ? bytes_of(&u) : used_bytes(m);
}

static bool is_zero(const Data *d)
{
	const unsigned char *p = d->bytes;
	for (size_t i = 0; i < d->size; i++)
		if (p[i])
			return false;
	return true;
}

/* Exporters write out the zeros that a recurrent layer starts from; nobody trained them. */
static bool is_start(const Op *o, int operand)
{
	return (o->kind == O_lstm || o->kind == O_gru || o->kind == O_rnn) && (operand == 5 || operand == 6) &&
	       is_zero(o->in[operand]->data);
}

int64_t count_parameters(const Module *m)
{
	Set seen = {0};
	int64_t n = 0;
	each_func(f, m)
		each_op(o, &f->body)
			for (int i = 0; i < o->nin; i++) {
				const Data *d = o->in[i] ? o->in[i]->data : 0;
				if (d && (d->type->elem == E_f32 || d->type->quant) && !is_start(o, i) && set_add(&seen, d))
					n += type_count(d->type, 1);
			}
	free(seen.p);
	return n;
}

bool takes_any_steps(const Module *m)
{
	for (const Port *p = m->in; p; p = p->next)
		if (type_has_t(p->type))
			return true;
	return false;
}

/* ---- multiply-accumulates ------------------------------------------------------------------------ */

static int64_t func_macs(const Func *f);

static int last_dim(const Val *v)
{
	return v->type->rank ? v->type->dim[v->type->rank - 1] : 1;
}

/* How often a scan calls its step at T = 1: the length of its first sequence. */
static int64_t scan_length(const Op *o)
{
	const Attr *axis = attr_find(o, "axis");
	int at = axis && axis->n ? (int)axis->v.i[0] : 0;
	if (attr_int(o, "seq", 0) < 1 || at >= o->in[0]->type->rank)
		return 1;
	int32_t n = o->in[0]->type->dim[at];
	return n == DIM_T ? 1 : n;
}

int64_t op_macs(const Op *o)
{
	switch (o->kind) {
	case O_linear:
	case O_matmul:
		return type_count(o->out[0]->type, 1) * last_dim(o->in[0]);
	case O_conv:
		return type_count(o->out[0]->type, 1) * last_dim(o->in[1]);
	case O_lstm:
	case O_gru:
	case O_rnn: {   /* every element of W and R once for each row of the input */
		int64_t rows = type_count(o->in[0]->type, 1) / last_dim(o->in[0]);
		return rows * (type_count(o->in[1]->type, 1) + type_count(o->in[2]->type, 1));
	}
	case O_scan:
		return scan_length(o) * func_macs(o->callee);
	case O_call:
		return func_macs(o->callee);
	}
	return 0;
}

static int64_t func_macs(const Func *f)
{
	int64_t n = 0;
	each_op(o, &f->body)
		n += op_macs(o);
	return n;
}

int64_t count_macs(const Module *m)
{
	const Func *f = func_find(m, "main");
	return f && m->level == L_TENSOR ? func_macs(f) : 0;
}

/* bias.c: the constant that ends up in a unit's results. */
#include "passes/feedback.h"

enum { CHAIN = 8 };

/* The op whose constant bias ends up in o's result, through addends used only there; it may have no bias yet. */
static Op *holder(Func *f, Op *o)
{
	for (int i = 0; i < CHAIN; i++) {
		Val *b = o->nin > 2 ? o->in[2] : 0;
		if (!b || b->data)
			return o;
		int uses = 0;
		each_op(u, &f->body)
			for (int k = 0; k < u->nin; k++)
				uses += u->in[k] == b;
		if (uses != 1 || !b->def || b->def->kind != O_linear)
			return 0;
		o = b->def;
	}
	return 0;
}

static Op *free_holder(const Unit *u)
{
	Op *h = u->table ? 0 : holder(u->func, u->op[0]);
	Val *b = h && h->nin > 2 ? h->in[2] : 0;
	if (b && (b->type->elem != E_f32 || b->type->quant || type_count(b->type, 1) != u->M))
		return 0;
	return h;
}

static bool is_alone(const Module *m, const Data *d)
{
	int n = 0;
	each_func(f, m)
		each_op(o, &f->body)
			for (int i = 0; i < o->nin; i++)
				n += o->in[i] && o->in[i]->data == d;
	return n == 1;
}

bool bias_is_free(Module *m, const Unit *u)
{
	(void)m;
	return free_holder(u) != 0;
}

void bias_add(Module *m, const Unit *u, const double *what)
{
	Op *h = free_holder(u);
	if (!h)
		return;
	int32_t M = u->M;
	Data *old = h->nin > 2 && h->in[2] ? h->in[2]->data : 0;
	if (old && is_alone(m, old)) {
		for (int32_t i = 0; i < M; i++)
			((float *)old->bytes)[i] = (float)(((float *)old->bytes)[i] + what[i]);
		return;
	}
	Data *b = data_new(m, old ? old->name : arena_printf(m->arena, "%s_b", h->in[1]->data->name),
	                   type_tensor(m, E_f32, 1, &M));
	for (int32_t i = 0; i < M; i++)
		((float *)b->bytes)[i] = (float)((old ? ((const float *)old->bytes)[i] : 0) + what[i]);
	if (h->nin > 2) {
		h->in[2] = val_data(m, b);
		return;
	}
	Val **in = NEWN(m->arena, Val *, 3);
	in[0] = h->in[0], in[1] = h->in[1], in[2] = val_data(m, b);
	h->in = in;
	h->nin = 3;
}

/* states.c: an input that carries on from an output becomes a state of @main: both ports go, and what the
 * output gave is what the input reads in the next run. */
#include "passes/states.h"

#include <string.h>

static Port *port_at(Port *p, int i)
{
	while (i--)
		p = p->next;
	return p;
}

static void drop_ports(Port **at, const bool *gone)
{
	for (int i = 0; *at; i++)
		if (gone[i])
			*at = (*at)->next;
		else
			at = &(*at)->next;
}

/* The parameters that are states now leave the list of parameters. */
static void move_params(Module *m, Func *f, const bool *gone, int count)
{
	Val **state = NEWN(m->arena, Val *, f->nstate + count);
	Data **init = NEWN(m->arena, Data *, f->nstate + count);
	int n = 0, k = f->nstate;
	for (int i = 0; i < f->nstate; i++) {
		state[i] = f->state[i];
		init[i] = f->init[i];
	}
	for (int i = 0; i < f->nparam; i++)
		if (gone[i])
			state[k++] = f->param[i];
		else
			f->param[n++] = f->param[i];
	f->nparam = n;
	f->state = state;
	f->init = init;
	f->nstate = k;
}

static void drop_results(Func *f, Op *ret, const bool *gone)
{
	int n = 0;
	for (int i = 0; i < f->nret; i++)
		if (!gone[i]) {
			f->ret[n] = f->ret[i];
			ret->in[n++] = ret->in[i];
		}
	f->nret = n;
	ret->nin = (uint16_t)n;
}

/* `next`, with what it had before. */
static void write_next(Module *m, Func *f, Val *const *pair, int n)
{
	Op *ret = f->body.last, *old = ret->prev && ret->prev->kind == O_next ? ret->prev : 0;
	int had = old ? old->nin : 0;
	Val **in = NEWN(m->arena, Val *, had + n);
	if (had)
		memcpy(in, old->in, sizeof *in * (size_t)had);
	memcpy(in + had, pair, sizeof *in * (size_t)n);
	if (old)
		op_remove(&f->body, old);
	op_before(m, &f->body, ret, O_next, had + n, in);
}

bool states_bind(Module *m, const int *pair, Diag *d)
{
	Func *f = func_find(m, "main");
	Op *ret = f ? f->body.last : 0;
	if (!ret || ret->kind != O_ret || m->level != L_TENSOR || func_find(m, "step")) {
		diag_error(d, "%s: --state wants a model that no pass has changed yet", m->name);
		return false;
	}
	bool *in = NEWN(m->arena, bool, f->nparam + 1), *out = NEWN(m->arena, bool, f->nret + 1);
	Val **next = NEWN(m->arena, Val *, 2 * f->nparam);
	int n = 0;
	for (int i = 0; i < f->nparam; i++) {
		if (pair[i] < 0)
			continue;
		in[i] = out[pair[i]] = true;
		next[2 * n] = f->param[i];
		next[2 * n++ + 1] = ret->in[pair[i]];
		if (f->param[i]->type != ret->in[pair[i]]->type) {
			diag_error(d, "%s: input '%s' and output '%s' differ in type", m->name,
				   port_at(m->in, i)->name, port_at(m->out, pair[i])->name);
			return false;
		}
	}
	if (!n)
		return true;
	if (n == f->nret || n == f->nparam) {
		diag_error(d, "%s: with all %s states, nothing is left to %s", m->name,
			   n == f->nret ? "outputs" : "inputs", n == f->nret ? "give" : "read");
		return false;
	}
	write_next(m, f, next, 2 * n);
	move_params(m, f, in, n);
	drop_results(f, ret, out);
	drop_ports(&m->in, in);
	drop_ports(&m->out, out);
	func_renumber(f);
	return true;
}

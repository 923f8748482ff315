/* lower.c: the pass that takes a module from tensors to loops: every function for every body, then the entry
 * functions around them, and the layout of the model's state. */
#include "lower/stored.h"
#include "passes/passes.h"

#include <string.h>

/* The x86-64 bodies stand side by side in one object; other targets have one. */
static bool dispatches(const Options *opt)
{
	return opt->integer && (!opt->target || !strncmp(opt->target, "x86_64", 6));
}

static const struct { const char *name, *isa; } bodies[] = {{"portable", 0}, {"avx2", "avx2"}, {"avx512vnni", "avx512vnni"}};

/* ---- state ------------------------------------------------------------------------------------------------------ */

static Slot *find_slot(const Module *m, const char *name)
{
	for (Slot *s = m->slots; s; s = s->next)
		if (!strcmp(s->name, name))
			return s;
	return 0;
}

/* Bodies and entry functions share slots by name. Large ones are aligned for vectors. */
static void add_slots(Module *m, const Place *p)
{
	Slot **end = &m->slots;
	while (*end)
		end = &(*end)->next;
	for (; p; p = p->next) {
		if (find_slot(m, p->name))
			continue;
		Slot *s = NEW(m->arena, Slot);
		uint32_t size = (uint32_t)type_size(p->type, 1), align = size >= 64 ? 16 : 4;
		s->name = p->name;
		s->type = type_tensor(m, elem_stored(p->type->elem), p->type->rank, p->type->dim);
		s->at = m->state_size = (m->state_size + align - 1) / align * align;
		m->state_size += size;
		*end = s;
		end = &s->next;
	}
}

static Val *slot_view(Frame *fr, Val *state, const Slot *s)
{
	return e_op(fr, O_view, type_ref(fr->l->m, s->type->elem, s->type->rank, s->type->dim), 2, state, e_w(fr, s->at));
}

static Frame entry_frame(Lower *l, Func *f)
{
	return (Frame){.l = l, .src = f, .f = f, .b = &f->body};
}

static void store_reset(Frame *fr, Val *state, const Slot *s, const Data *init)
{
	Access to = access_whole(fr, slot_view(fr, state, s), s->type);
	if (init) {
		Access from = access_whole(fr, init->val ? init->val : val_data(fr->l->m, (Data *)init), s->type);
		e_copy(fr, access_broadcast(fr, from, s->type), to);
		return;
	}
	Val *idx[MAX_RANK], *zero = s->type->elem == E_f32 ? e_s(fr, 0) : s->type->elem == E_i64 ? e_l(fr, 0) : e_w(fr, 0);
	Block *outer[MAX_RANK];
	Op *loop[MAX_RANK];
	int n = 0;
	for (int d = 0; d < s->type->rank; d++) {
		if (s->type->dim[d] == 1) {
			idx[d] = e_w(fr, 0);
			continue;
		}
		outer[n] = fr->b;
		loop[n] = e_for(fr, e_w(fr, s->type->dim[d]), "i", 0, 0);
		idx[d] = loop[n++]->body->arg[0];
	}
	access_store(fr, &to, idx, zero);
	while (n--)
		e_end(fr, loop[n], outer[n], 0);
}

static void make_reset(Lower *l, const Place *place)
{
	Module *m = l->m;
	Func *f = func_new(m, "reset");
	Frame fr = entry_frame(l, f);
	int32_t size = (int32_t)m->state_size;
	Val *state = func_param(m, f, "state", type_ref(m, E_u8, 1, &size));
	for (const Place *p = place; p; p = p->next) {
		const Slot *s = find_slot(m, p->name);
		if (p->stored)
			stored_expand(&fr, p->stored, slot_view(&fr, state, s));
		else
			store_reset(&fr, state, s, p->init);
	}
}

/* ---- entry functions --------------------------------------------------------------------------------------------- */

/* @step_B / @run_B (state, inputs.., outputs.., [T]): plan adds the scratch.  A model of a fixed length checks T. */
static void make_entry(Lower *l, const struct Lowered *d, const char *what)
{
	Module *m = l->m;
	bool run = !strcmp(what, "run");
	Func *f = func_new(m, arena_printf(m->arena, "%s_%s", what, l->body));
	f->isa = l->isa;
	Frame fr = entry_frame(l, f);
	int32_t size = (int32_t)m->state_size;
	Val *state = func_param(m, f, "state", type_ref(m, E_u8, 1, &size));
	Val *arg[600];
	int n = 0, nio = d->src->nparam + d->src->nret, own = d->src->nstate;
	Val *io[300];
	if (nio > 290) {
		diag_error(l->d, "%s: more than 290 inputs and outputs", m->name);
		return;
	}
	for (int i = 0; i < nio; i++) {
		const Val *p = d->dst->param[own + i];
		bool in = i < d->src->nparam;
		io[i] = func_param(m, f, in ? p->name : arena_printf(m->arena, "y%d", i - d->src->nparam), p->type);
	}
	if (run)
		fr.T = func_param(m, f, "T", reg_w(&fr));
	const Place *p = d->place;
	for (; n < own; p = p->next)
		arg[n++] = slot_view(&fr, state, find_slot(m, p->name));
	for (int i = 0; i < nio; i++)
		arg[n++] = io[i];
	for (; p; p = p->next)
		arg[n++] = slot_view(&fr, state, find_slot(m, p->name));
	if (d->dst->nparam > n)
		arg[n++] = fr.T;
	e_call(&fr, d->dst, n, arg);
	Val *status = fr.status ? fr.status : e_w(&fr, 0);
	if (run) {      /* GF_STEPS is 2; a model without T runs one whole sequence a call */
		bool timed = false;
		for (int i = 0; i < nio; i++)
			timed |= type_has_t(io[i]->type);
		Val *bad = timed ? e_op(&fr, O_ltw, reg_w(&fr), 2, fr.T, e_w(&fr, 1))
		                 : e_op(&fr, O_xorw, reg_w(&fr), 2, fr.T, e_w(&fr, 1));
		status = e_op(&fr, O_selw, reg_w(&fr), 3, bad, e_w(&fr, 2), status);
	}
	func_ret(m, f, reg_w(&fr));
	op_new(m, fr.b, O_ret, 1, &status);
}

/* ---- the pass ---------------------------------------------------------------------------------------------------- */

static void mark_block(const Block *b, bool *used, Data *const *all, int n)
{
	for (const Op *o = b->first; o; o = o->next) {
		for (int i = 0; i < o->nin; i++)
			for (int k = 0; o->in[i] && o->in[i]->data && k < n; k++)
				used[k] |= all[k] == o->in[i]->data;
		if (o->body)
			mark_block(o->body, used, all, n);
	}
}

/* Tensor level data that kernels replaced by packed forms goes; what stays is plain stored elements. */
static void settle_data(Module *m)
{
	int n = 0;
	each_data(d, m)
		n++;
	Data **all = NEWN(m->arena, Data *, n + 1);
	bool *used = NEWN(m->arena, bool, n + 1);
	n = 0;
	each_data(d, m)
		all[n++] = d;
	each_func(f, m)
		mark_block(&f->body, used, all, n);
	for (const Port *p = m->out; p; p = p->next)    /* inner values as outputs (passes/tap.c) may have row scales */
		for (int k = 0; p->type->quant && k < n; k++)
			used[k] |= all[k] == p->type->quant->rows || all[k] == p->type->quant->levels;
	Data **end = &m->data;
	for (int k = 0; k < n; k++) {
		if (!used[k])
			continue;
		Data *d = all[k];
		d->type = type_tensor(m, elem_stored(d->type->elem), d->type->rank, d->type->dim);
		if (d->val)
			d->val->type = d->type;
		*end = d;
		end = &d->next;
	}
	*end = 0;
}

static void mark_callees(const Block *b, Func *const *all, bool *used, int n)
{
	for (const Op *o = b->first; o; o = o->next) {
		for (int k = 0; o->callee && k < n; k++)
			if (all[k] == o->callee && !used[k]) {
				used[k] = true;
				mark_callees(&all[k]->body, all, used, n);
			}
		if (o->body)
			mark_callees(o->body, all, used, n);
	}
}

/* Kernels that were instantiated for others but are not called. */
static void settle_funcs(Module *m)
{
	int n = 0;
	each_func(f, m)
		n++;
	Func **all = NEWN(m->arena, Func *, n + 1);
	bool *used = NEWN(m->arena, bool, n + 1);
	n = 0;
	each_func(f, m)
		all[n++] = f;
	for (int k = 0; k < n; k++)
		if (!strcmp(all[k]->name, "reset") || !strncmp(all[k]->name, "step_", 5) || !strncmp(all[k]->name, "run_", 4)) {
			used[k] = true;
			mark_callees(&all[k]->body, all, used, n);
		}
	Func **end = &m->funcs;
	for (int k = 0; k < n; k++)
		if (used[k]) {
			*end = all[k];
			end = &all[k]->next;
		}
	*end = 0;
}

static void settle_quants(Module *m)
{
	Quant **q = &m->quants;
	while (*q) {
		bool used = false;
		for (const Port *p = m->in; p; p = p->next)
			used |= p->type->quant == *q;
		for (const Port *p = m->out; p; p = p->next)
			used |= p->type->quant == *q;
		if (used)
			q = &(*q)->next;
		else
			*q = (*q)->next;
	}
}

static void lower_body(Lower *l, int k)
{
	l->body = bodies[k].name;
	l->isa = bodies[k].isa;
	Func *step = tensor_func(l, "step"), *main = tensor_func(l, "main");
	struct Lowered *run = lower_func(l, main), *one = step ? lower_func(l, step) : 0;
	if (diag_errors(l->d))
		return;
	if (k == 0) {
		add_slots(l->m, run->place);
		if (one)
			add_slots(l->m, one->place);
		l->m->state_size = (l->m->state_size + 3) / 4 * 4;
		if (!l->m->state_size)
			l->m->state_size = 4;   /* so that every model's state is an array of something */
		if (l->m->state_size < l->opt->least_state)
			l->m->state_size = l->opt->least_state;
		make_reset(l, run->place);
	}
	if (one)
		make_entry(l, one, "step");
	make_entry(l, run, "run");
}

bool pass_lower(Module *m, const Options *opt, Diag *d)
{
	if (m->level == L_LOOP)
		return true;
	if (!func_find(m, "main")) {
		diag_error(d, "%s: no function @main", m->name);
		return false;
	}
	Lower l = {.m = m, .opt = opt, .d = d, .tensor = m->funcs};
	m->funcs = 0;
	if (opt->integer && opt->storage)
		stored_biases(m, l.tensor);
	m->nbody = dispatches(opt) ? (int)(sizeof bodies / sizeof *bodies) : 1;
	m->body = NEWN(m->arena, const char *, m->nbody);
	m->state_size = m->nbody > 1 ? 16 : 0;
	for (int i = 0; i < m->nbody && !diag_errors(d); i++) {
		m->body[i] = bodies[i].name;
		lower_body(&l, i);
	}
	stored_end(&l);
	if (diag_errors(d))
		return false;
	m->level = L_LOOP;
	settle_funcs(m);
	settle_data(m);
	settle_quants(m);
	return true;
}

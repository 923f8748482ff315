/* func.c: one tensor level function becomes one loop level function.
 *
 * Parameters: own states, inputs, outputs, states of callees, %T.  Results go straight into the output
 * references, new states into the state's own memory, wherever nobody can still read the old contents. */
#include "lower/lower.h"

#include <stdlib.h>
#include <string.h>

Func *tensor_func(Lower *l, const char *name)
{
	for (Func *f = l->tensor; f; f = f->next)
		if (!strcmp(f->name, name))
			return f;
	return 0;
}

static void count_uses(Frame *fr)
{
	each_op(o, &fr->src->body)
		for (int i = 0; i < o->nin; i++)
			if (o->in[i] && o->in[i]->def)
				fr->uses[o->in[i]->id]++;
}

static bool is_view(OpKind k) { return k == O_reshape || k == O_transpose || k == O_slice || k == O_expand; }

/* May the new value v of state s be written over s?  Only if v comes out of a chain of element-wise ops and
 * every reader of s stands before v or takes just the element that is replaced. */
static bool safe_in_place(const Frame *fr, const Val *s, const Val *v)
{
	if (!v->def || !is_elementwise(v->def->kind) || !type_same_shape(s->type, v->type)
	    || elem_stored(s->type->elem) != elem_stored(v->type->elem))
		return false;
	bool behind = false;
	for (const Op *o = fr->src->body.first; o; o = o->next) {
		for (int i = 0; i < o->nin; i++) {
			if (o->in[i] != s || (o->kind == O_next && i % 2 == 0))
				continue;
			bool same = is_elementwise(o->kind) && type_same_shape(o->out[0]->type, s->type);
			if (is_view(o->kind) || behind || (is_elementwise(o->kind) && !same))
				return false;
		}
		behind |= o == v->def;
	}
	return true;
}

/* Give results and new states their home. A result that is a reshape of a value hands its home on. */
static void choose_homes(Frame *fr, Val *const *out)
{
	Op *ret = fr->src->body.last, *next = ret ? ret->prev : 0;
	for (int i = 0; ret && ret->kind == O_ret && i < ret->nin; i++) {
		Val *v = ret->in[i], *ref = out[i];
		if (v && v->def && v->def->kind == O_reshape && fr->uses[v->id] == 1 && v->def->in[0]->def) {
			Val *u = v->def->in[0];
			if (is_view(u->def->kind) || fr->home[u->id])
				continue;
			Access a = access_whole(fr, ref, v->type);
			Val *zero[MAX_RANK], *in[1 + MAX_RANK];
			for (int d = 0; d < MAX_RANK; d++)
				zero[d] = e_w(fr, 0);
			in[0] = ref;
			access_subscript(fr, &a, zero, in + 1);
			Op *view = op_new(fr->l->m, fr->b, O_view, 1 + ref->type->rank, in);
			fr->home[u->id] = op_out(fr->l->m, fr->f, view, 0, ref_type(fr->l->m, u->type));
		} else if (v && v->def && !is_view(v->def->kind) && !fr->home[v->id]) {
			fr->home[v->id] = ref;
		}
	}
	for (int i = 0; next && next->kind == O_next && i < next->nin; i += 2) {
		Val *s = next->in[i], *v = next->in[i + 1];
		if (!fr->home[v->id] && v->def && safe_in_place(fr, s, v))
			fr->home[v->id] = fr->acc[s->id].base;
	}
}

/* The reference that a chain of views starts from. */
static Val *root(Val *ref)
{
	while (ref->def && ref->def->kind == O_view)
		ref = ref->def->in[0];
	return ref;
}

/* All new states at once: what would be overwritten before it is read goes through scratch. */
static void lower_next(Frame *fr, Op *o)
{
	Access from[64];
	int n = o->nin / 2;
	if (n > 64) {
		e_fail(fr, o, "more than 64 states in one function");
		return;
	}
	for (int i = 0; i < n; i++) {
		Val *v = o->in[2 * i + 1];
		from[i] = access_of(fr, v);
		bool is_state = false;
		for (int k = 0; k < n; k++)
			is_state |= k != i && root(from[i].base) == fr->acc[o->in[2 * k]->id].base;
		if (is_state) {
			Val *copy = e_alloc(fr, 0, v->type);
			Access a = access_whole(fr, copy, v->type);
			e_copy(fr, from[i], a);
			from[i] = a;
		}
	}
	for (int i = 0; i < n; i++) {
		Access to = fr->acc[o->in[2 * i]->id];
		if (from[i].base != to.base)
			e_copy(fr, from[i], to);
	}
}

static void lower_ret(Frame *fr, Op *o, Val *const *out)
{
	for (int i = 0; i < o->nin; i++) {
		Access a = access_of(fr, o->in[i]);
		if (root(a.base) != out[i])
			e_copy(fr, a, access_whole(fr, out[i], o->in[i]->type));
	}
}

static void lower_op(Frame *fr, Op *o, Val *const *out)
{
	if (is_elementwise(o->kind)) {
		map_add(fr, o);
		return;
	}
	for (int i = 0; i < o->nin; i++)
		if (o->in[i] && map_pending(fr, o->in[i])) {
			map_flush(fr);
			break;
		}
	if (o->kind == O_ret || o->kind == O_next)
		map_flush(fr);
	switch (o->kind) {
	case O_next: lower_next(fr, o); break;
	case O_ret: lower_ret(fr, o, out); break;
	case O_linear: lower_linear(fr, o); break;
	case O_matmul: lower_matmul(fr, o); break;
	case O_softmax: case O_logsoftmax: lower_softmax(fr, o); break;
	case O_reducesum: case O_reducemean: case O_reducemax: case O_reducemin: case O_reduceprod:
		lower_reduce(fr, o);
		break;
	case O_conv: lower_conv(fr, o); break;
	case O_pad: lower_pad(fr, o); break;
	case O_pick: lower_pick(fr, o); break;
	case O_argmax: lower_argmax(fr, o); break;
	case O_scan: lower_scan(fr, o); break;
	case O_call: lower_call(fr, o); break;
	case O_observe: lower_observe(fr, o); break;
	case O_record: lower_record(fr, o); break;
	default:
		if (!lower_move(fr, o))
			e_fail(fr, o, "no lowering");
	}
}

static void append_param(Lower *l, Func *f, Val *v)
{
	Val **p = NEWN(l->m->arena, Val *, f->nparam + 1);
	if (f->nparam)
		memcpy(p, f->param, sizeof *p * (size_t)f->nparam);
	p[f->nparam++] = v;
	f->param = p;
}

static bool block_has(const Block *b, const Val *v)
{
	for (const Op *o = b->first; o; o = o->next) {
		for (int i = 0; i < o->nin; i++)
			if (o->in[i] == v)
				return true;
		if (o->body && block_has(o->body, v))
			return true;
	}
	return false;
}

static bool mentions_t(const Func *f, const Val *T)
{
	for (int i = 0; i < f->nparam; i++)
		if (type_has_t(f->param[i]->type))
			return true;
	return block_has(&f->body, T);
}

static bool types_have_t(const Block *b)
{
	for (const Op *o = b->first; o; o = o->next) {
		for (int i = 0; i < o->nout; i++)
			if (type_has_t(o->out[i]->type))
				return true;
		if (o->body && types_have_t(o->body))
			return true;
	}
	return false;
}

static void run_ops(Frame *fr)
{
	Func *src = fr->src, *f = fr->f;
	Lower *l = fr->l;
	for (int i = 0; i < src->nstate; i++) {
		Val *p = func_param(l->m, f, src->state[i]->name, ref_type(l->m, src->state[i]->type));
		set_access(fr, src->state[i], access_whole(fr, p, src->state[i]->type));
		Place *place = NEW(l->m->arena, Place), **end = &fr->place;
		*place = (Place){arena_printf(l->m->arena, "%s.%s", src->name, src->state[i]->name), src->state[i]->type,
		                 src->init[i], 0, 0, 0};
		while (*end)
			end = &(*end)->next;
		*end = place;
	}
	for (int i = 0; i < src->nparam; i++) {
		Val *p = func_param(l->m, f, src->param[i]->name, ref_type(l->m, src->param[i]->type));
		set_access(fr, src->param[i], access_whole(fr, p, src->param[i]->type));
	}
	Val **out = NEWN(l->m->arena, Val *, src->nret);
	for (int i = 0; i < src->nret; i++) {
		char name[20];
		snprintf(name, sizeof name, src->nret > 1 ? "out%d" : "out", i);
		out[i] = func_param(l->m, f, name, ref_type(l->m, src->ret[i]));
	}
	fr->T = val_new(l->m, f, "T", reg_w(fr));
	count_uses(fr);
	choose_homes(fr, out);
	each_op(o, &src->body)
		if (!fr->failed)
			lower_op(fr, o, out);
	map_flush(fr);
}

struct Lowered *lower_func(Lower *l, Func *src)
{
	for (struct Lowered *d = l->done; d; d = d->next)
		if (d->src == src && d->body == l->body)
			return d;
	func_renumber(src);
	size_t n = src->nval + 1;
	Module *m = l->m;
	/* @step and @main give their names to the entry functions */
	bool top = !strcmp(src->name, "step") || !strcmp(src->name, "main");
	char *name = arena_printf(m->arena, "%s%s%s%s", top ? "net_" : "", src->name, l->isa ? "_" : "", l->isa ? l->body : "");
	Func *f = func_new(m, name);
	f->isa = l->isa;
	Frame fr = {.l = l, .src = src, .f = f, .b = &f->body, .acc = calloc(n, sizeof(Access)), .known = calloc(n, 1),
	            .uses = calloc(n, sizeof(int)), .home = calloc(n, sizeof(Val *))};
	if (!fr.acc || !fr.known || !fr.uses || !fr.home)
		abort();
	run_ops(&fr);
	if (fr.status) {
		func_ret(m, f, type_reg(m, E_i32, 1));
		op_new(m, &f->body, O_ret, 1, &fr.status);
	}
	if (mentions_t(f, fr.T) || types_have_t(&f->body))
		append_param(l, f, fr.T);
	struct Lowered *d = NEW(m->arena, struct Lowered);
	*d = (struct Lowered){src, f, l->body, fr.place, l->done};
	l->done = d;
	free(fr.acc);
	free(fr.known);
	free(fr.uses);
	free(fr.home);
	free(fr.pending);
	return d;
}

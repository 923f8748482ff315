/* gen_memory.c: loads, stores and views whose indices are in bounds by how they are made. */
#include "random/gen.h"

void add_memory(Gen *g, Val *v, int root, bool writable)
{
	if (g->nmem < MAX_REFS)
		g->mem[g->nmem++] = (Memory){ v, root, writable };
}

/* A w below n >= 1, or a vector of them. */
static Val *index_below(Gen *g, int n, int lanes)
{
	int bits = 0;
	while (2 << bits <= n)
		bits++;
	const Type *w = reg_type(g, 'w', lanes);
	if (lanes > 1)
		return row2(g, O_andw, w, exact(g, 'w', lanes), val_int(g->m, reg_type(g, 'w', 1), (1 << bits) - 1));
	for (int i = 0; i < g->ncounter && below(g, 3); i++) {
		const Counter *c = &g->counter[below(g, g->ncounter)];
		if (c->bound >= 0 && c->bound <= n)
			return c->v;
	}
	if (below(g, 2))
		return val_int(g->m, w, below(g, n));
	Val *v = row2(g, O_andw, w, exact(g, 'w', 1), val_int(g->m, w, (1 << bits) - 1));
	int spare = n - (1 << bits);
	return spare && below(g, 2) ? row2(g, O_addw, w, v, val_int(g->m, w, below(g, spare + 1))) : v;
}

/* A w below T. */
static Val *index_below_t(Gen *g)
{
	for (int i = 0; i < g->ncounter; i++)
		if (g->counter[i].bound == DIM_T && below(g, 4))
			return g->counter[i].v;
	return val_int(g->m, reg_type(g, 'w', 1), 0);
}

Elem elem_in(const Val *v)
{
	return elem_stored(v->type->elem);
}

/* Indices of an access of `lanes` lanes; false if it does not fit.  A vector as the last index gathers. */
static bool indices(Gen *g, const Type *t, int lanes, Val **idx)
{
	bool gather = lanes > 1 && lanes_fit('w', lanes) && below(g, 2);
	for (int d = 0; d < t->rank; d++) {
		bool last = d == t->rank - 1;
		int width = last && !gather ? lanes : 1;
		if (t->dim[d] == DIM_T) {
			if (last && lanes > 1)
				return false;
			idx[d] = index_below_t(g);
		} else if (t->dim[d] < width) {
			return false;
		} else {
			idx[d] = index_below(g, t->dim[d] - width + 1, last && gather ? lanes : 1);
		}
	}
	return t->rank > 0 || lanes == 1;
}

static char class_for(Gen *g, Elem e, int *lanes)
{
	char klass = e == E_f32 ? 's' : e == E_i64 ? 'l' : 'w';
	if (e != E_f32 && elem_size(e) < 4 && !below(g, 3))
		klass = e == E_i16 ? 'h' : 'b';
	do
		*lanes = below(g, 2) && lanes_fit(klass, 1) ? 1 : 1 << below(g, 7);
	while (!lanes_fit(klass, *lanes));
	return klass;
}

void load(Gen *g)
{
	const Memory *mem = &g->mem[below(g, g->nmem)];
	Val *in[1 + MAX_RANK] = { mem->v };
	int lanes;
	char klass = class_for(g, elem_in(mem->v), &lanes);
	if (indices(g, mem->v->type, lanes, in + 1))
		made(g, op_out(g->m, g->f, op_new(g->m, g->b, O_load, 1 + mem->v->type->rank, in), 0,
		               reg_type(g, klass, lanes)));
}

void store(Gen *g)
{
	const Memory *mem = &g->mem[below(g, g->nmem)];
	Val *in[2 + MAX_RANK] = { mem->v };
	int lanes;
	char klass = class_for(g, elem_in(mem->v), &lanes);
	if (!mem->writable || !indices(g, mem->v->type, lanes, in + 2))
		return;
	in[1] = lanes == 1 && !below(g, 6) ? literal(g, klass) : exact(g, klass, lanes);
	if (klass == 's' && in[1]->name)
		in[1] = no_nan(g, in[1]);
	op_new(g->m, g->b, O_store, 2 + mem->v->type->rank, in);
}

Val *view_as(Gen *g, const Memory *mem, const Type *t)
{
	const Type *from = mem->v->type;
	Elem e = elem_in(mem->v);
	bool retyped = e != t->elem;
	if (type_has_t(from) || (retyped && e != E_u8 && !(e == E_i8 && t->elem == E_u8)) || !from->rank)
		return 0;
	int spare = (int)((type_size(from, 1) - type_size(t, 1)) / elem_size(t->elem));
	if (type_size(from, 1) < type_size(t, 1))
		return 0;
	int at = below(g, spare + 1) * (elem_size(t->elem) / elem_size(e));
	if (elem_size(t->elem) == 1)
		at &= ~7;
	Val *in[1 + MAX_RANK] = { mem->v };
	for (int d = from->rank - 1; d >= 0; d--) {
		in[d + 1] = val_int(g->m, reg_type(g, 'w', 1), d ? at % from->dim[d] : at);
		at /= from->dim[d];
	}
	return op_out(g->m, g->f, op_new(g->m, g->b, O_view, 1 + from->rank, in), 0, t);
}

void view(Gen *g)
{
	static const Elem elems[] = { E_i8, E_u8, E_i16, E_i32, E_i64, E_f32 };
	const Memory mem = g->mem[below(g, g->nmem)];
	int32_t dim[2] = { 1 + below(g, 4), 1 + below(g, 16) };
	Elem e = below(g, 2) ? elems[below(g, 6)] : elem_in(mem.v);
	Val *v = view_as(g, &mem, type_ref(g->m, e, 2, dim));
	if (v)
		add_memory(g, v, mem.root, mem.writable);
}

/* generate.c: random programs.
 *
 * Every index is in bounds by how it is made: a literal, a loop counter below the dimension, or a value
 * masked to fewer bits.  References given to one call come from different roots (parameters of the caller, or data),
 * unless both are only read.  NaNs may differ in their bits between executors, so a float becomes 0 if it is
 * NaN before it is stored or seen as an integer.
 *
 * Most values would be overwritten or never used.  So that a wrong one shows, every function has a sink,
 * bytes that many values are added to as soon as they are made; that of the entry functions is the model's
 * state. */
#include <string.h>

#include "random/gen.h"

/* ---- loops and calls ------------------------------------------------------------------------ */

static void block(Gen *g, int nops);

static Block *new_body(Gen *g, int ncarry)
{
	Block *b = NEW(g->m->arena, Block);
	b->arg = NEWN(g->m->arena, Val *, ncarry + 1);
	return b;
}

static Val *block_arg(Gen *g, Block *b, const Type *t)
{
	Val *v = val_new(g->m, g->f, 0, t);
	return b->arg[b->narg++] = v;
}

static void loop(Gen *g)
{
	int ncarry = below(g, 4), count = below(g, 6);
	bool by_t = g->T && !below(g, 3);
	Val *in[4], *next[3], *outs[3];
	in[0] = by_t ? g->T : val_int(g->m, reg_type(g, 'w', 1), count - !below(g, 6));
	for (int i = 0; i < ncarry; i++) {
		in[i + 1] = g->nreg ? g->reg[below(g, g->nreg)] : exact(g, 'w', 1);
		if (i && below(g, 2))   /* carries of one type can change places */
			in[i + 1] = exact(g, class_of(in[i]->type), in[i]->type->lanes);
	}
	Op *o = op_new(g->m, g->b, O_for, ncarry + 1, in);
	Gen saved = *g;
	o->body = new_body(g, ncarry);
	block_arg(g, o->body, reg_type(g, 'w', 1));
	if (g->ncounter < MAX_COUNTERS)
		g->counter[g->ncounter++] = (Counter){ o->body->arg[0], by_t ? DIM_T : count };
	keep(g, o->body->arg[0]);
	for (int i = 0; i < ncarry; i++) {
		outs[i] = op_out(g->m, g->f, o, 0, in[i + 1]->type);
		keep(g, block_arg(g, o->body, in[i + 1]->type));
	}
	g->b = o->body;
	g->depth++;
	block(g, 1 + below(g, MAX_OPS));
	for (int i = 0; i < ncarry; i++) {
		Val *other = o->body->arg[1 + below(g, ncarry)];
		next[i] = other->type == in[i + 1]->type && below(g, 2) ? other : visible(g, in[i + 1]->type);
	}
	if (ncarry)
		op_new(g->m, g->b, O_yield, ncarry, next);
	saved.rng = g->rng;
	saved.calls = g->calls;
	*g = saved;
	for (int i = 0; i < ncarry; i++)
		made(g, outs[i]);
}

/* A root for a reference parameter, apart from those in use if either is stored to. */
static Val *reference_argument(Gen *g, const Type *t, bool written, const Memory *used, int nused,
                               Memory *out)
{
	for (int tries = 0; tries < 20; tries++) {
		Memory mem = g->mem[below(g, g->nmem)];
		bool clash = written && !mem.writable;
		for (int i = 0; i < nused; i++)
			clash |= used[i].root == mem.root && (written || used[i].writable);
		if (clash)
			continue;
		*out = (Memory){ mem.v, mem.root, written };
		if (type_has_t(t) || mem.v->type == t) {
			if (mem.v->type->rank == t->rank && elem_in(mem.v) == t->elem && type_same_shape(mem.v->type, t))
				return mem.v;
			continue;
		}
		Val *v = view_as(g, &mem, t);
		if (v)
			return v;
	}
	return 0;
}

static void call(Gen *g, int which)
{
	Func *f = g->kernel[which];
	Val *in[MAX_PARAMS];
	Memory used[MAX_PARAMS];
	int nused = 1;
	in[0] = g->sink;
	used[0] = g->mem[0];
	for (int i = 1; i < f->nparam; i++) {
		const Type *t = f->param[i]->type;
		if (t->form == T_REG) {
			bool time = i == f->nparam - 1 && !strcmp(f->param[i]->name, "T");
			bool constant = t->lanes == 1 && !below(g, 5);
			in[i] = time ? g->T : constant ? literal(g, class_of(t)) : exact(g, class_of(t), t->lanes);
			if (!in[i])
				return;
			continue;
		}
		in[i] = reference_argument(g, t, g->writes[which][i], used, nused, &used[nused]);
		if (!in[i])
			return;
		nused++;
	}
	Op *o = op_new(g->m, g->b, O_call, f->nparam, in);
	o->callee = f;
	if (f->nret)
		made(g, op_out(g->m, g->f, o, 0, f->ret[0]));
	g->calls++;
}

static void block(Gen *g, int nops)
{
	for (int i = 0; i < nops; i++) {
		int what = below(g, 20);
		if (what < 9)
			any_row(g);
		else if (what < 12)
			load(g);
		else if (what < 16)
			store(g);
		else if (what < 17)
			view(g);
		else if (what < 19 && g->depth < MAX_DEPTH)
			loop(g);
		else if (g->nkernel && g->calls < MAX_CALLS)
			call(g, below(g, g->nkernel));
	}
}

/* ---- functions ------------------------------------------------------------------------------ */

static void begin(Gen *g, const char *name)
{
	g->f = func_new(g->m, name);
	g->b = &g->f->body;
	g->T = 0;
	g->nreg = g->nmem = g->ncounter = g->nroot = g->depth = g->calls = 0;
}

static Val *memory_param(Gen *g, const char *name, Elem e, int rank, const int32_t *dim, bool writable)
{
	Val *v = func_param(g->m, g->f, name, type_ref(g->m, e, rank, dim));
	add_memory(g, v, g->nroot++, writable);
	return v;
}

/* The first parameter, state or sink, and then what all functions see. */
static void sink_param(Gen *g, const char *name)
{
	g->sink = memory_param(g, name, E_u8, 1, (int32_t[]){ SINK }, true);
	each_data(d, g->m)
		add_memory(g, val_data(g->m, d), -1, false);
}

static Val *time_param(Gen *g)
{
	g->T = func_param(g->m, g->f, "T", reg_type(g, 'w', 1));
	keep(g, g->T);
	return g->T;
}

/* A function of random parameters. */
static void kernel(Gen *g)
{
	static const Elem elems[] = { E_i8, E_u8, E_i16, E_i32, E_i64, E_f32 };
	static const char classes[] = "wlsbh";
	char name[16] = { 'k', 'e', 'r', 'n', 'e', 'l', '_', (char)('a' + g->nkernel) };
	bool timed = below(g, 2);
	int n = g->nkernel, refs = 1 + below(g, 4), regs = below(g, 3);
	begin(g, name);
	sink_param(g, "sink");
	for (int i = 1; i <= refs; i++) {
		int32_t dim[3] = { 1 + below(g, 3), 1 + below(g, 4), 2 + below(g, 7) };
		bool by_t = timed && !below(g, 3);
		g->writes[n][i] = below(g, 2);
		if (by_t)
			memory_param(g, 0, E_i16, 2, (int32_t[]){ DIM_T, 8 }, g->writes[n][i]);
		else
			memory_param(g, 0, elems[below(g, 6)], 1 + below(g, 3), dim, g->writes[n][i]);
	}
	for (int i = 0; i < regs; i++) {
		char klass = classes[below(g, 5)];
		int lanes = klass == 'b' || klass == 'h' ? 16 : 1 << below(g, 3);
		keep(g, func_param(g->m, g->f, 0, reg_type(g, klass, lanes)));
	}
	if (timed)
		time_param(g);
	block(g, MAX_OPS);
	store(g);
	if (g->nreg && below(g, 3)) {
		Val *r = g->reg[below(g, g->nreg)];
		func_ret(g->m, g->f, r->type);
		op_new(g->m, g->b, O_ret, 1, &r);
	}
	g->kernel[g->nkernel++] = g->f;
}

/* for %i < n { store v[.., %i], i * 37 + add } over bytes. */
static void fill(Gen *g, Val *v, int n, int add)
{
	const Type *w = reg_type(g, 'w', 1);
	Val *count = val_int(g->m, w, n), *zero = val_int(g->m, w, 0);
	Op *o = op_new(g->m, g->b, O_for, 1, &count);
	Block *outer = g->b;
	o->body = g->b = new_body(g, 0);
	Val *i = block_arg(g, g->b, w);
	Val *x = row2(g, O_addw, w, row2(g, O_mulw, w, i, val_int(g->m, w, 37)), val_int(g->m, w, add));
	Val *in[4] = { v, row2(g, O_andw, w, x, val_int(g->m, w, 63)), v->type->rank > 1 ? zero : i, i };
	op_new(g->m, g->b, O_store, 2 + v->type->rank, in);
	g->b = outer;
}

static void fill_by_t(Gen *g, Val *v)
{
	const Type *w = reg_type(g, 'w', 1);
	Op *o = op_new(g->m, g->b, O_for, 1, &g->T);
	Block *outer = g->b;
	o->body = g->b = new_body(g, 0);
	Val *t = block_arg(g, g->b, w), *in[] = { v, t, val_int(g->m, w, 0) };
	Val *row = op_out(g->m, g->f, op_new(g->m, g->b, O_view, 3, in), 0,
	                  type_ref(g->m, E_u8, 1, (int32_t[]){ SCRATCH_STEP }));
	fill(g, row, SCRATCH_STEP, 5);
	g->b = outer;
}

/* Typed pieces of scratch, each a root of its own. */
static void divide_scratch(Gen *g, Val *scratch)
{
	static const Elem elems[] = { E_i8, E_u8, E_i16, E_i32, E_i64, E_f32, E_i32, E_f32 };
	for (int i = 0; i < 8; i++) {
		int32_t n = SCRATCH / 8 / elem_size(elems[i]);
		Val *in[] = { scratch, val_int(g->m, reg_type(g, 'w', 1), i * (SCRATCH / 8)) };
		Val *v = op_out(g->m, g->f, op_new(g->m, g->b, O_view, 2, in), 0, type_ref(g->m, elems[i], 1, &n));
		add_memory(g, v, g->nroot++, true);
	}
}

static void entry(Gen *g, const char *name, bool run)
{
	int32_t t = run ? DIM_T : 1;
	begin(g, name);
	sink_param(g, "state");
	Val *scratch = func_param(g->m, g->f, "scratch", type_ref(g->m, E_u8, 1, (int32_t[]){ SCRATCH }));
	Val *by_step = 0;
	if (run)
		by_step = func_param(g->m, g->f, "scratch_t", type_ref(g->m, E_u8, 2, (int32_t[]){ DIM_T, SCRATCH_STEP }));
	for (const Port *p = g->m->in; p; p = p->next)
		memory_param(g, p->name, p->type->elem, p->type->rank,
		             (int32_t[]){ p->type->dim[0] == DIM_T ? t : p->type->dim[0], p->type->dim[1] }, false);
	for (const Port *p = g->m->out; p; p = p->next)
		memory_param(g, p->name, p->type->elem, p->type->rank,
		             (int32_t[]){ p->type->dim[0] == DIM_T ? t : p->type->dim[0], p->type->dim[1] }, true);
	func_ret(g->m, g->f, reg_type(g, 'w', 1));
	if (run)
		time_param(g);
	fill(g, scratch, SCRATCH, 11);
	if (by_step) {
		fill_by_t(g, by_step);
		add_memory(g, by_step, g->nroot++, true);
	}
	divide_scratch(g, scratch);
	for (int i = 0; i < 2; i++) {
		block(g, MAX_OPS / 2);
		for (int k = 0; k < g->nkernel; k++)
			call(g, k);
		for (int k = 0; k < 8; k++)
			store(g);
	}
	Val *zero = val_int(g->m, reg_type(g, 'w', 1), 0);
	op_new(g->m, g->b, O_ret, 1, &zero);
}

/* ---- modules -------------------------------------------------------------------------------- */

static void data(Gen *g, const char *name, Elem e, int32_t n)
{
	int32_t dim[2] = { 4, n / 4 };
	Data *d = data_new(g->m, name, type_tensor(g->m, e, below(g, 2) ? 2 : 1, (int32_t[]){ n, 0 }));
	if (below(g, 2))
		d = data_new(g->m, name, type_tensor(g->m, e, 2, dim));
	float *f = d->bytes;
	for (size_t i = 0; i < d->size; i++)
		((uint8_t *)d->bytes)[i] = (uint8_t)random_next(&g->rng);
	for (size_t i = 0; e == E_f32 && i < d->size / 4; i++)
		f[i] = ((float)below(g, 20001) - 10000) / 256;
}

static Port *port(Gen *g, Port ***at, const char *name, Elem e, int32_t a, int32_t b)
{
	Port *p = NEW(g->m->arena, Port);
	p->name = name;
	p->type = type_tensor(g->m, e, b ? 2 : 1, (int32_t[]){ a, b });
	**at = p;
	*at = &p->next;
	return p;
}

static void ports(Gen *g)
{
	Port **in = &g->m->in, **out = &g->m->out;
	port(g, &in, "xb", E_i8, 64, 0);
	port(g, &in, "xf", E_f32, 4, 8);
	port(g, &in, "xt", E_i16, DIM_T, 8);
	port(g, &out, "yw", E_i32, 8, 16);
	port(g, &out, "yf", E_f32, 64, 0);
	port(g, &out, "yt", E_i16, DIM_T, 8);
	port(g, &out, "yb", E_i8, 128, 0);
}

Module *generate(uint64_t seed)
{
	Gen g = { .m = module_new("rnd"), .rng = seed };
	Module *m = g.m;
	static const char *portable[] = { "portable" };
	m->level = L_LOOP;
	m->planned = true;
	m->state_size = STATE;
	m->scratch_size = SCRATCH;
	m->scratch_step = SCRATCH_STEP;
	m->body = portable;
	m->nbody = 1;
	ports(&g);
	data(&g, "tb", E_i8, 64);
	data(&g, "tu", E_u8, 32);
	data(&g, "th", E_i16, 32);
	data(&g, "tw", E_i32, 32);
	data(&g, "tl", E_i64, 16);
	data(&g, "tf", E_f32, 32);
	begin(&g, "reset");
	fill(&g, memory_param(&g, "state", E_u8, 1, (int32_t[]){ STATE }, true), STATE, 3);
	while (g.nkernel < KERNELS)
		kernel(&g);
	entry(&g, "step_portable", false);
	entry(&g, "run_portable", true);
	return m;
}

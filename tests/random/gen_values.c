/* gen_values.c: registers, literals and the rows of ops.def. */
#include "random/gen.h"

uint64_t random_next(uint64_t *state)
{
	uint64_t z = *state += UINT64_C(0x9E3779B97F4A7C15);
	z = (z ^ z >> 30) * UINT64_C(0xBF58476D1CE4E5B9);
	z = (z ^ z >> 27) * UINT64_C(0x94D049BB133111EB);
	return z ^ z >> 31;
}

int below(Gen *g, int n)
{
	return (int)(random_next(&g->rng) >> 33) % n;
}

static Elem elem_of(char klass)
{
	return klass == 'b' ? E_i8 : klass == 'h' ? E_i16 : klass == 'w' ? E_i32 : klass == 'l' ? E_i64 : E_f32;
}

const Type *reg_type(Gen *g, char klass, int lanes)
{
	return type_reg(g->m, elem_of(klass), lanes);
}

bool lanes_fit(char klass, int lanes)
{
	bool narrow = klass == 'b' || klass == 'h';
	return lanes >= (narrow ? 2 : 1) && lanes * elem_size(elem_of(klass)) <= MAX_LANE_BYTES;
}

Val *keep(Gen *g, Val *v)
{
	if (g->nreg < MAX_REGS)
		g->reg[g->nreg++] = v;
	return v;
}

Val *literal(Gen *g, char klass)
{
	static const int64_t ints[] = { 0, 1, -1, 2, 7, 31, 127, -128, 32767, -32768, INT32_MAX, INT32_MIN };
	static const float floats[] = { 0, -0.0f, 1, -1, 0.5f, -3.25f, 1e10f, 1e-40f, 3e38f, 1.0f / 3,
	                                2147483648.0f };
	const Type *t = reg_type(g, klass, 1);
	if (klass == 's')
		return val_float(g->m, t, below(g, 20) ? floats[below(g, 11)] : __builtin_inff());
	int64_t i = below(g, 3) ? ints[below(g, 12)] : (int64_t)random_next(&g->rng);
	if (klass == 'l' && !below(g, 4))
		i = below(g, 2) ? INT64_MIN : INT64_MAX;
	i = klass == 'b' ? (int8_t)i : klass == 'h' ? (int16_t)i : klass == 'w' ? (int32_t)i : i;
	return val_int(g->m, t, i);
}

/* A visible register of that type, 0 if there is none. */
Val *visible(Gen *g, const Type *t)
{
	for (int tries = 0, at = g->nreg ? below(g, g->nreg) : 0; tries < g->nreg; tries++, at = (at + 1) % g->nreg)
		if (g->reg[at]->type == t)
			return g->reg[at];
	return 0;
}

Val *row2(Gen *g, OpKind k, const Type *t, Val *a, Val *b)
{
	Val *in[] = { a, b };
	return op_out(g->m, g->f, op_new(g->m, g->b, k, 2, in), 0, t);
}

static OpKind add_of(char klass)
{
	switch (klass) {
	case 'b': return O_addb;
	case 'h': return O_addh;
	case 'w': return O_addw;
	case 'l': return O_addl;
	default:  return O_adds;
	}
}

char class_of(const Type *t)
{
	switch (t->elem) {
	case E_i8:  return 'b';
	case E_i16: return 'h';
	case E_i32: return 'w';
	case E_i64: return 'l';
	default:    return 's';
	}
}

/* A register of exactly those lanes: a visible one, or a new one with a literal on all lanes. */
Val *exact(Gen *g, char klass, int lanes)
{
	const Type *t = reg_type(g, klass, lanes);
	Val *v = below(g, 8) ? visible(g, t) : 0;
	return v ? v : keep(g, row2(g, add_of(klass), t, literal(g, klass), literal(g, klass)));
}

/* An operand of a scalar row: those lanes, or one for all. */
static Val *operand(Gen *g, char klass, int lanes)
{
	if (!below(g, 5))
		return literal(g, klass);
	if (lanes_fit(klass, 1) && !below(g, 4))
		lanes = 1;
	return lanes_fit(klass, lanes) ? exact(g, klass, lanes) : literal(g, klass);
}

/* 0 where a float is NaN. */
Val *no_nan(Gen *g, Val *v)
{
	const Type *w = type_reg(g->m, E_i32, v->type->lanes), *s = v->type;
	Val *in[] = { row2(g, O_eqs, w, v, v), v, val_float(g->m, reg_type(g, 's', 1), 0) };
	return op_out(g->m, g->f, op_new(g->m, g->b, O_sels, 3, in), 0, s);
}

/* Adds v to what lies somewhere in the sink. */
static void record(Gen *g, Val *v)
{
	int32_t n = v->type->lanes;
	const Type *w = reg_type(g, 'w', 1);
	if (class_of(v->type) == 's') {
		Val *x = no_nan(g, v);
		v = op_out(g->m, g->f, op_new(g->m, g->b, O_bits, 1, &x), 0, reg_type(g, 'w', n));
	}
	Val *in[] = { g->sink, val_int(g->m, w, below(g, (SINK - MAX_LANE_BYTES) / 8) * 8) };
	const Type *t = type_ref(g->m, v->type->elem, 1, &n);
	Val *at = op_out(g->m, g->f, op_new(g->m, g->b, O_view, 2, in), 0, t);
	Val *first[] = { at, val_int(g->m, w, 0) };
	Val *old = op_out(g->m, g->f, op_new(g->m, g->b, O_load, 2, first), 0, v->type);
	Val *sum[] = { at, row2(g, add_of(class_of(v->type)), v->type, old, v), first[1] };
	op_new(g->m, g->b, O_store, 3, sum);
}

/* A new value that later ops may use. */
void made(Gen *g, Val *v)
{
	keep(g, v);
	if (below(g, 3))
		record(g, v);
}

static void scalar_row(Gen *g, OpKind k)
{
	const OpInfo *t = &op_info[k];
	int lanes = 1 << below(g, 7);
	bool fits = lanes_fit(t->res, lanes);
	for (int i = 0; i < 3 && t->arg[i]; i++)        /* an operand that does not fit may still stand for all */
		fits &= lanes_fit(t->arg[i], lanes) || t->arg[i] == 'w';
	if (!fits)
		return;
	Val *in[3];
	int n = 0;
	for (; n < 3 && t->arg[n]; n++)
		in[n] = operand(g, t->arg[n], lanes_fit(t->arg[n], lanes) ? lanes : 1);
	if (k == O_bits)
		in[0] = in[0]->name ? no_nan(g, in[0]) : literal(g, 's');
	made(g, op_out(g->m, g->f, op_new(g->m, g->b, k, n, in), 0, reg_type(g, t->res, lanes)));
}

static void vector_row(Gen *g, OpKind k)
{
	const OpInfo *t = &op_info[k];
	int unit = 1 << below(g, 5), n = 0;
	bool fits = lanes_fit(t->res, unit * t->rres);
	for (int i = 0; i < 3 && t->arg[i]; i++)
		fits &= lanes_fit(t->arg[i], unit * t->rarg[i]);
	if (!fits)
		return;
	Val *in[3];
	for (; n < 3 && t->arg[n]; n++)
		in[n] = exact(g, t->arg[n], unit * t->rarg[n]);
	made(g, op_out(g->m, g->f, op_new(g->m, g->b, k, n, in), 0, reg_type(g, t->res, unit * t->rres)));
}

void any_row(Gen *g)
{
	OpKind k;
	do
		k = (OpKind)(1 + below(g, N_OPS - 1));
	while (op_info[k].klass != OC_SCALAR && op_info[k].klass != OC_VECTOR);
	if (op_info[k].klass == OC_SCALAR)
		scalar_row(g, k);
	else
		vector_row(g, k);
}

/* quantize_apply.c: write the chosen types into the module.
 *
 * First the operands, while every value is still f32: casts where an op wants a narrower copy or a link
 * joins two formats, and data in the form their readers ask for.  Then all types at once. */
#include "passes/quantize.h"

#include <math.h>

typedef struct { Quantizer *q; Func *f; Op *o; } Site;

/* `%h8 = cast %h` before the op; one for all later readers of the same type.  Between next and ret there is
 * no place for it. */
static Val *cast_to(Site s, Val *v, const Quant *k)
{
	Op *at = s.o->kind == O_ret && s.o->prev && s.o->prev->kind == O_next ? s.o->prev : s.o;
	for (Op *p = s.f->body.first; p != at; p = p->next)
		if (p->kind == O_cast && p->in[0] == v && p->out[0]->type->quant == k)
			return p->out[0];
	Op *c = op_before(s.q->m, &s.f->body, at, O_cast, 1, &v);
	c->loc = s.o->loc;
	const char *name = name_with_bits(s.q, v->name, k->levels ? levels_bits(k->levels) : elem_bits(k->elem));
	return op_out(s.q->m, s.f, c, name, type_quant(s.q->m, k, v->type->rank, v->type->dim));
}

/* v rounded to the steps of its units, on one scale. */
static Val *unit_copy(Site s, Val *v, int n)
{
	const Quant *k = unit_quant(s.q, n);
	return cast_to(s, class_quant(s.q, n) == k ? v : cast_to(s, v, k), level_quant(s.q, n));
}

static bool same_format(const Quant *a, const Quant *b)
{
	if (a == b)
		return true;
	return a && b && a->elem == b->elem && a->scale == b->scale && !a->rows && !b->rows && !a->book && !b->book &&
	       !a->levels && !b->levels;
}

/* ---- linear ------------------------------------------------------------------------------------------ */

static const Quant *multiplicand(Site s, int i, bool rows)
{
	Val *v = s.o->in[i];
	int n = node_of(s.q, s.f, v);
	if (n < 0) {
		s.o->in[i] = data_weights(s.q, v->data, rows);
		return s.o->in[i]->type->quant;
	}
	const Quant *k = narrow_quant(s.q, n);
	if (reads_units(s.q, n))
		s.o->in[i] = unit_copy(s, v, n);
	else if (k != class_quant(s.q, n))
		s.o->in[i] = cast_to(s, v, k);
	return k;
}

static float scale_at(const Quant *k, int row)
{
	return k->rows ? ((const float *)k->rows->bytes)[row] : k->scale;
}

/* Is `sum` scale(x) * scale(w) * 2^k in every row, for one k >= 0? */
static bool addable(const Quant *sum, const Quant *x, const Quant *w)
{
	if (elem_bits(sum->elem) > 32 || !sum->rows != !w->rows || (w->rows && sum->rows->size != w->rows->size))
		return false;
	int rows = w->rows ? (int)(w->rows->size / sizeof(float)) : 1, e;
	double ratio = scale_at(sum, 0) / (double)(float)((double)x->scale * scale_at(w, 0));
	if (ratio < 1 || !is_pow2((float)ratio, &e))
		return false;
	for (int i = 0; i < rows; i++)
		if (scale_at(sum, i) != (float)ldexp((double)x->scale * scale_at(w, i), e))
			return false;
	return true;
}

enum { SHORT_SHIFT = 6 };       /* as many bits of the sum as a bias may lack so that it is stored in 16 */

/* Where size counts: the least power of two, if it is small, on which every element of b fits 16 bits; else 0. */
static int short_shift(const Quantizer *q, const Data *b, const Quant *x, const Quant *w)
{
	double most = 0;
	if (!(q->opt->size > 0) || b->type->elem != E_f32)
		return 0;
	int rows = w->rows ? (int)(w->rows->size / sizeof(float)) : 1, n = (int)(b->size / sizeof(float)), shift = 0;
	for (int i = 0; i < n; i++)
		most = fmax(most, fabs((double)((const float *)b->bytes)[i]) / ((double)x->scale * scale_at(w, rows > 1 ? i : 0)));
	while (shift <= SHORT_SHIFT && most > INT16_MAX * ldexp(1, shift))
		shift++;
	return shift <= SHORT_SHIFT ? shift : 0;
}

/* A bias has the exact scale of the sum, or a coarser one.  64 bits where it would take more than half of 32. */
static Val *bias(Site s, Data *b, const Quant *x, const Quant *w)
{
	bool fits = sum_shift(x, w, data_was(s.q, b)) == 0;
	return data_on(s.q, b, sum_quant(s.q, x, w, b->name, fits ? E_i32 : E_i64, fits ? short_shift(s.q, b, x, w) : 0));
}

static void apply_linear(Site s)
{
	const Quant *x = multiplicand(s, 0, false), *w = multiplicand(s, 1, true);
	Val *a = s.o->nin > 2 ? s.o->in[2] : 0;
	if (!a || !x || !w)
		return;
	if (is_real_data(s.q, a)) {
		s.o->in[2] = bias(s, a->data, x, w);
		return;
	}
	int n = node_of(s.q, s.f, a);
	if (n < 0 || addable(class_quant(s.q, n), x, w))
		return;
	const char *name = arena_printf(s.q->m->arena, "%s_sum", a->name);
	s.o->in[2] = cast_to(s, a, addend_quant(s.q, x, w, name, 2 * group_most(s.q, n)));
}

/* ---- other operands ------------------------------------------------------------------------------------ */

/* The type an operand that is data must take. */
static const Quant *wanted(Site s, int i)
{
	Quantizer *q = s.q;
	Op *o = s.o;
	Func *g = o->callee;
	int seq = (int)attr_int(o, "seq", 0), init = (int)attr_int(o, "init", 0);
	switch (o->kind) {
	case O_scan:
		return value_quant(q, g, i >= seq && i < seq + init ? g->state[i - seq] : g->param[i < seq ? i : i - init]);
	case O_call:    return value_quant(q, g, g->param[i]);
	case O_next:    return i % 2 ? value_quant(q, s.f, o->in[i - 1]) : 0;
	case O_ret:     return ret_node(q, s.f, i) < 0 ? 0 : class_quant(q, ret_node(q, s.f, i));
	case O_where: case O_min: case O_max: case O_concat:
	case O_reshape: case O_transpose: case O_slice: case O_expand: case O_pad: case O_pick:
		return value_quant(q, s.f, o->out[0]);
	case O_eq: case O_less: case O_lesseq:
		return value_quant(q, s.f, o->in[!i]);
	default:
		return 0;
	}
}

static void apply_data(Site s)
{
	for (int i = 0; i < s.o->nin; i++) {
		Val *v = s.o->in[i];
		if (!v || !is_real_data(s.q, v))
			continue;
		const Quant *k = wanted(s, i);
		if (s.o->kind == O_gather && i == 0)
			s.o->in[i] = data_weights(s.q, v->data, attr_int(s.o, "axis", 0) == 0);
		else
			s.o->in[i] = k ? data_on(s.q, v->data, k) : data_constant(s.q, v->data);
	}
}

/* Element-wise readers of states of few bits. */
static void apply_reads(Site s)
{
	Role r = (Role)op_role[s.o->kind];
	bool moves = r == R_MOVE || r == R_PICK || r == R_GATHER || r == R_FLOW || r == R_NONE;
	for (int i = 0; i < s.o->nin && !moves; i++) {
		int n = node_of(s.q, s.f, s.o->in[i]);
		if (n >= 0 && read_quant(s.q, n) != class_quant(s.q, n))
			s.o->in[i] = unit_copy(s, s.o->in[i], n);
	}
}

static void apply_links(Quantizer *q)
{
	for (int i = 0; i < q->nlink; i++) {
		Link l = q->link[i];
		const Quant *from = class_quant(q, l.from), *to = class_quant(q, l.to);
		if (!same_format(from, to))
			l.op->in[l.operand] = cast_to((Site){q, l.func, l.op}, l.op->in[l.operand], to);
		else if (from != to)            /* as alike as two types with two names can be: one will do */
			for (int n = 0; n < q->n; n++)
				if (q->node[n].quant == to)
					q->node[n].quant = from;
	}
}

/* ---- types ------------------------------------------------------------------------------------------- */

static void type_func(Quantizer *q, Func *f)
{
	for (int i = 0; i < f->nret; i++)
		if (ret_node(q, f, i) >= 0)
			f->ret[i] = type_quant(q->m, class_quant(q, ret_node(q, f, i)), f->ret[i]->rank, f->ret[i]->dim);
	for (int i = 0; i < f->nstate; i++) {
		const Quant *k = value_quant(q, f, f->state[i]);
		if (k && f->init[i])
			f->init[i] = data_on(q, f->init[i], k)->data;
	}
}

static void type_ports(Quantizer *q)
{
	Func *main = func_find(q->m, "main");
	int i = 0;
	for (Port *p = q->m->in; main && p; p = p->next, i++)
		p->type = main->param[i]->type;
	i = 0;
	for (Port *p = q->m->out; main && p; p = p->next, i++)
		p->type = main->ret[i];
}

void types_apply(Quantizer *q)
{
	for (int i = 0; i < q->nfunc; i++)
		each_op(o, &q->func[i]->body) {
			Site s = {q, q->func[i], o};
			if (op_role[o->kind] == R_LINEAR)
				apply_linear(s);
			else if (o->kind == O_matmul)
				multiplicand(s, 0, false), multiplicand(s, 1, false);
			else
				apply_reads(s), apply_data(s);
		}
	apply_links(q);
	for (int i = 0; i < q->nfunc; i++)
		type_func(q, q->func[i]);
	for (int n = 0; n < q->n; n++) {
		Val *v = q->node[n].val;
		if (v)
			v->type = type_quant(q->m, class_quant(q, n), v->type->rank, v->type->dim);
	}
	type_ports(q);
}

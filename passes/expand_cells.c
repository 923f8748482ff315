/* expand_cells.c: one step of LSTM, GRU and RNN as plain ops.
 *
 * Rows of W and R keep ONNX's order: i o f c and z r h.  The sums that enter the gates are
 *	g = x W' + (Wb + Rb) + h R'
 * computed as two linear ops, the second with the first as its addend. */
#include "passes/expand.h"

Val *cell_op(Cell *c, OpKind k, const char *name, const Type *t, Val *a, Val *b, Val *d)
{
	Val *in[3] = {a, b, d};
	Op *o = op_new(c->l->m, &c->f->body, k, d ? 3 : b ? 2 : 1, in);
	o->loc = c->l->op->loc;
	return op_out(c->l->m, c->f, o, name, t);
}

/* An op whose result is f32[N, units]. */
static Val *put(Cell *c, OpKind k, const char *name, int units, Val *a, Val *b, Val *d)
{
	return cell_op(c, k, name, floats(c->l->m, 2, c->l->batch, units), a, b, d);
}

static Val *unit(Cell *c, OpKind k, const char *name, Val *a, Val *b)
{
	return put(c, k, name, c->l->hidden, a, b, 0);
}

/* Gate number i of the sums g. */
static Val *gate(Cell *c, Val *g, int i, const char *name)
{
	Val *v = unit(c, O_slice, name, g, 0);
	attr_set_int(c->l->m, v->def, "axis", 1);
	attr_set_int(c->l->m, v->def, "at", (int64_t)i * c->l->hidden);
	return v;
}

/* Activation function number i of the direction (f, g or h). */
static Val *activate(Cell *c, int i, const char *name, Val *v)
{
	Layer *l = c->l;
	Activation a = l->act[c->dir * l->nact + i];
	v = unit(c, a.kind, name, v, 0);
	bool has_alpha = false, has_beta = false;
	switch (a.kind) {
	case O_affine: case O_scaledtanh: case O_hardsigmoid:
		has_beta = true; /* fall through */
	case O_leakyrelu: case O_thresholdedrelu: case O_elu:
		has_alpha = true;
		break;
	default:
		break;
	}
	if (has_alpha)
		attr_set_float(l->m, v->def, "alpha", a.alpha);
	if (has_beta)
		attr_set_float(l->m, v->def, "beta", a.beta);
	return v;
}

/* The same with the layer's clip on what enters; not for the cell state's way out (h of an LSTM). */
static Val *squash(Cell *c, int i, const char *name, Val *v)
{
	Layer *l = c->l;
	if (l->clip > 0) {
		v = unit(c, O_clip, 0, v, 0);
		attr_set_float(l->m, v->def, "lo", -l->clip);
		attr_set_float(l->m, v->def, "hi", l->clip);
	}
	return activate(c, i, name, v);
}

/* Peephole number i (i o f): sum + P * cell. */
static Val *peephole(Cell *c, Val *sum, int i, const char *name, Val *cell)
{
	if (!c->l->in[P])
		return sum;
	int h = c->l->hidden;
	Val *p = cell_rows(c, P, i * h, h, name);
	Val *pc = unit(c, O_mul, 0, p, cell);
	return unit(c, O_add, 0, sum, pc);
}

static const char *suffixed(Cell *c, const char *name, const char *suffix)
{
	return arena_printf(c->l->m->arena, "%s%s", name, suffix);
}

/* Says which gates' rows a linear's weights are, a letter each (widths.c). */
static Val *of_gates(Cell *c, Val *v, const char *gates)
{
	if (gates)
		attr_set_string(c->l->m, v->def, "gates", gates);
	return v;
}

/* The sums of the gates in rows 0 .. n. */
static Val *sums(Cell *c, int n, const char *suffix, const char *gates)
{
	Val *w = cell_rows(c, W, 0, n, suffixed(c, "W", suffix));
	Val *b = cell_bias(c, 0, n, suffixed(c, "b", suffix));
	Val *r = cell_rows(c, R, 0, n, suffixed(c, "R", suffix));
	Val *gx = of_gates(c, put(c, O_linear, suffixed(c, "gx", suffix), n, c->x, w, b), gates);
	return of_gates(c, put(c, O_linear, suffixed(c, "g", suffix), n, c->h, r, gx), gates);
}

void cell_lstm(Cell *c)
{
	Layer *l = c->l;
	Val *g = sums(c, 4 * l->hidden, "", "iofc");
	Val *i = squash(c, 0, "i", peephole(c, gate(c, g, 0, "i0"), 0, "Pi", c->c));
	Val *f;
	if (l->input_forget) {          /* coupled: the forget gate's own rows do not count */
		f = unit(c, O_affine, "f", i, 0);
		attr_set_float(l->m, f->def, "alpha", -1);
		attr_set_float(l->m, f->def, "beta", 1);
	} else {
		f = squash(c, 0, "f", peephole(c, gate(c, g, 2, "f0"), 2, "Pf", c->c));
	}
	Val *u = squash(c, 1, "u", gate(c, g, 3, "u0"));
	Val *fc = unit(c, O_mul, "fc", f, c->c);
	Val *iu = unit(c, O_mul, "iu", i, u);
	c->c1 = unit(c, O_add, "c1", fc, iu);
	Val *o = squash(c, 0, "o", peephole(c, gate(c, g, 1, "o0"), 1, "Po", c->c1));
	Val *t = activate(c, 2, "t", c->c1);
	c->h1 = unit(c, O_mul, "h1", o, t);
}

/* What enters the new gate n: the reset gate acts on R h + Rb (reset_after), or on h itself. */
static Val *gru_new(Cell *c, Val *r)
{
	int h = c->l->hidden;
	Val *w = cell_rows(c, W, 2 * h, h, "W_n");
	Val *u = cell_rows(c, R, 2 * h, h, "R_n");
	if (!c->l->reset_after) {
		Val *b = cell_bias(c, 2 * h, h, "b_n");
		Val *gx = of_gates(c, put(c, O_linear, "gx_n", h, c->x, w, b), "h");
		Val *rh = unit(c, O_mul, "rh", r, c->h);
		return of_gates(c, put(c, O_linear, "n0", h, rh, u, gx), "h");
	}
	Val *wb = cell_rows(c, B, 2 * h, h, "Wb_n");
	Val *rb = cell_rows(c, B, 5 * h, h, "Rb_n");    /* B: Wb of z r h, then Rb */
	Val *gx = of_gates(c, put(c, O_linear, "gx_n", h, c->x, w, wb), "h");
	Val *gh = of_gates(c, put(c, O_linear, "gh_n", h, c->h, u, rb), "h");
	Val *rn = unit(c, O_mul, "rn", r, gh);
	return unit(c, O_add, "n0", gx, rn);
}

void cell_gru(Cell *c)
{
	Val *g = sums(c, 2 * c->l->hidden, "_zr", "zr");
	Val *z = squash(c, 0, "z", gate(c, g, 0, "z0"));
	Val *r = squash(c, 0, "r", gate(c, g, 1, "r0"));
	Val *n = squash(c, 1, "n", gru_new(c, r));
	Val *d = unit(c, O_sub, "d", c->h, n);          /* (1 - z) n + z h = n + z (h - n) */
	Val *zd = unit(c, O_mul, "zd", z, d);
	c->h1 = unit(c, O_add, "h1", n, zd);
}

void cell_rnn(Cell *c)
{
	c->h1 = squash(c, 0, "h1", sums(c, c->l->hidden, "", 0));
}

/* recognize_match.c: is this step function an LSTM, a GRU or a simple RNN?
 *
 * Read from the new states backward, by what is computed, not by how it is written:
 *	lstm	c' = f c + i u, h' = o tanh c'; i f o sigmoids, u tanh of sums of products
 *	gru	h' = z h + (1 - z) n, or n + z (h - n); n = tanh(.. + r (R h + b)) or tanh(.. + R (r h))
 *	rnn	h' = tanh or relu of a sum of products */
#include "passes/recognize.h"

#include <string.h>

Val *plain(Val *v)
{
	while (v && v->def && v->def->kind == O_reshape)
		v = v->def->in[0];
	return v;
}

const Op *def_of(Val *v, OpKind k)
{
	v = plain(v);
	return v && v->def && v->def->kind == k ? v->def : 0;
}

static int64_t last_dim(const Val *v) { return v->type->rank ? v->type->dim[v->type->rank - 1] : 1; }

/* ---- sums ---------------------------------------------------------------------------------------------------- */

static bool add_bias(Sum *s, Val *v, int64_t row)
{
	if (s->nbias == MAX_TERMS || !v->data || v->type->elem != E_f32 || type_count(v->type, 1) != last_dim(v))
		return false;
	s->bias[s->nbias].d = v->data;
	s->bias[s->nbias++].row = row;
	return true;
}

static bool add_product(Sum *s, Val *v, Data *W, int64_t row)
{
	if (s->nproduct == MAX_TERMS)
		return false;
	s->product[s->nproduct++] = (Product){v, W, row};
	return true;
}

static bool terms(Val *v, Sum *s, int64_t row, int depth)
{
	const Op *o = v->def;
	if (v->data)
		return add_bias(s, v, row);
	if (!o || depth > 20)
		return add_product(s, v, 0, row);
	switch (o->kind) {
	case O_reshape:
		return last_dim(o->in[0]) == last_dim(v) ? terms(o->in[0], s, row, depth + 1) : add_product(s, v, 0, row);
	case O_slice:
		if (attr_int(o, "axis", 0) != v->type->rank - 1 || attr_int(o, "step", 1) != 1 || attr_int(o, "at", 0) < 0)
			return add_product(s, v, 0, row);
		return terms(o->in[0], s, row + attr_int(o, "at", 0), depth + 1);
	case O_add:
		return last_dim(o->in[0]) == last_dim(v) && last_dim(o->in[1]) == last_dim(v)
		       && terms(o->in[0], s, row, depth + 1) && terms(o->in[1], s, row, depth + 1);
	case O_linear:
		if (!o->in[1]->data || o->in[1]->type->elem != E_f32)
			return false;
		return add_product(s, o->in[0], o->in[1]->data, row) && (o->nin < 3 || !o->in[2] || terms(o->in[2], s, row, depth + 1));
	default:
		return add_product(s, v, 0, row);
	}
}

bool read_sum(Val *v, Sum *s)
{
	*s = (Sum){.count = last_dim(v)};
	return terms(v, s, 0, 0);
}

/* ---- small patterns ------------------------------------------------------------------------------------------ */

bool split(const Op *o, bool (*is)(Val *, void *), void *arg, Val **first, Val **second)
{
	for (int i = 0; i < 2; i++)
		if (is(o->in[i], arg)) {
			*first = o->in[i];
			*second = o->in[1 - i];
			return true;
		}
	return false;
}

static bool is_this(Val *v, void *arg) { return plain(v) == arg; }
static bool is_sigmoid(Val *v, void *arg) { (void)arg; return def_of(v, O_sigmoid) != 0; }
static bool is_tanh(Val *v, void *arg) { (void)arg; return def_of(v, O_tanh) != 0; }

static bool sum_of_gate(Val *v, OpKind k, Sum *s)
{
	const Op *o = def_of(v, k);
	return o && read_sum(o->in[0], s);
}

static Val *next_of(const Func *f, const Val *state)
{
	const Op *o = f->body.last ? f->body.last->prev : 0;
	for (int i = 0; o && o->kind == O_next && i < o->nin; i += 2)
		if (o->in[i] == state)
			return o->in[i + 1];
	return 0;
}

/* ---- the cells ----------------------------------------------------------------------------------------------- */

static bool lstm_with(const Func *f, Val *h, Val *c, Cell *cell)
{
	Val *h1 = next_of(f, h), *c1 = next_of(f, c), *fg, *ig, *og, *t, *a;
	const Op *mul = h1 ? def_of(h1, O_mul) : 0, *sum = c1 ? def_of(c1, O_add) : 0;
	if (!mul || !sum || !split(mul, is_tanh, 0, &t, &og) || plain(def_of(t, O_tanh)->in[0]) != plain(c1))
		return false;
	const Op *fc = 0, *iu = 0;
	for (int i = 0; i < 2 && !fc; i++) {
		const Op *m = def_of(sum->in[i], O_mul);
		if (m && split(m, is_this, c, &a, &fg)) {
			fc = m;
			iu = def_of(sum->in[1 - i], O_mul);
		}
	}
	Val *u;
	if (!fc || !iu || !split(iu, is_tanh, 0, &u, &ig))
		return false;
	*cell = (Cell){.kind = O_lstm, .ngate = 4, .H = (int)last_dim(h), .h = h, .c = c};
	return sum_of_gate(ig, O_sigmoid, &cell->gate[0]) && sum_of_gate(og, O_sigmoid, &cell->gate[1])
	       && sum_of_gate(fg, O_sigmoid, &cell->gate[2]) && sum_of_gate(u, O_tanh, &cell->gate[3]);
}

bool match_lstm(const Func *f, Cell *c)
{
	return f->nstate == 2 && (lstm_with(f, f->state[0], f->state[1], c) || lstm_with(f, f->state[1], f->state[0], c));
}

/* 1 - z */
static bool is_rest(Val *v, void *z)
{
	const Op *o = def_of(v, O_sub);
	if (!o || plain(o->in[1]) != plain(z) || !o->in[0]->data || o->in[0]->type->elem != E_f32)
		return false;
	const float *p = o->in[0]->data->bytes;
	for (int64_t i = 0; i < type_count(o->in[0]->type, 1); i++)
		if (p[i] != 1)
			return false;
	return true;
}

/* h' = z h + (1 - z) n in its two spellings */
static bool gru_mix(Val *h1, Val *h, Val **z, Val **n)
{
	const Op *sum = def_of(h1, O_add);
	Val *a;
	for (int i = 0; sum && i < 2; i++) {
		const Op *m = def_of(sum->in[i], O_mul), *other = def_of(sum->in[1 - i], O_mul);
		if (!m)
			continue;
		if (other && split(m, is_this, h, &a, z) && split(other, is_rest, *z, &a, n))
			return true;
		for (int k = 0; k < 2; k++) {   /* n + z (h - n) */
			const Op *d = def_of(m->in[k], O_sub);
			if (d && plain(d->in[0]) == h && plain(d->in[1]) == plain(sum->in[1 - i])) {
				*z = m->in[1 - k];
				*n = sum->in[1 - i];
				return true;
			}
		}
	}
	return false;
}

/* Take r * (R h + b) out of the sum under the tanh: a product without weights whose value is such a mul. */
static bool take_reset(Cell *cell, Val *h)
{
	Sum *n = &cell->gate[2];
	for (int i = 0; i < n->nproduct; i++) {
		Product *p = &n->product[i];
		const Op *m = p->W ? def_of(p->v, O_mul) : p->row ? 0 : def_of(p->v, O_mul);
		Val *r, *rest;
		if (!m || !split(m, is_sigmoid, 0, &r, &rest) || !sum_of_gate(r, O_sigmoid, &cell->gate[1]))
			continue;
		if (p->W) {             /* R (r h) */
			if (plain(rest) != h)
				return false;
			p->v = h;
			cell->lbr = 0;
			return true;
		}
		cell->lbr = 1;
		*p = n->product[--n->nproduct];
		return read_sum(rest, &cell->reset);
	}
	return false;
}

bool match_gru(const Func *f, Cell *c)
{
	if (f->nstate != 1)
		return false;
	Val *h = f->state[0], *h1 = next_of(f, h), *z, *n;
	*c = (Cell){.kind = O_gru, .ngate = 3, .H = (int)last_dim(h), .h = h};
	return h1 && gru_mix(h1, h, &z, &n) && sum_of_gate(z, O_sigmoid, &c->gate[0]) && sum_of_gate(n, O_tanh, &c->gate[2])
	       && take_reset(c, h);
}

bool match_rnn(const Func *f, Cell *c)
{
	if (f->nstate != 1)
		return false;
	Val *h1 = next_of(f, f->state[0]);
	*c = (Cell){.kind = O_rnn, .ngate = 1, .H = (int)last_dim(f->state[0]), .h = f->state[0]};
	for (int i = 0; h1 && i < 3; i++) {
		static const struct { OpKind k; const char *name; } act[] = {{O_tanh, "Tanh"}, {O_relu, "Relu"}, {O_sigmoid, "Sigmoid"}};
		c->activation = act[i].name;
		if (sum_of_gate(h1, act[i].k, &c->gate[0]))
			return true;
	}
	return false;
}

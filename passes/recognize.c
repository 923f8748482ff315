/* recognize.c: scans whose step is a cell's plain ops become the lstm, gru or rnn op that they are.
 *
 * Rolled-up exports, Loop and Scan bodies and cells taken apart all end as scans of plain ops; as layers they get the cell's
 * usual order of operations (expand), weights joined and biases summed.  A product with the input that was taken out of the
 * loop (x W for the whole sequence at once) is taken back in. */
#include "passes/recognize.h"

#include <stdlib.h>
#include <string.h>

typedef struct {
	Module *m;
	Func *main, *step;
	Op *scan;
	Cell cell;
	int nseq, seq;          /* which sequence is the input */
	const Op *outside;      /* the linear in front of the scan, or 0: products with x are inside */
	int64_t I, N, T;
	Val *X;
	int y[8];               /* result of the scan -> 0 unused, 1 new h of all steps, 2 of the last; -1 something else */
} Layer;

static int param_index(const Func *f, const Val *v)
{
	for (int i = 0; i < f->nparam; i++)
		if (f->param[i] == v)
			return i;
	return -1;
}

/* ---- which operands ---------------------------------------------------------------------------------------------- */

/* Every gate: one product with h, one with the same sequence. */
static bool check_products(Layer *l)
{
	Cell *c = &l->cell;
	l->seq = -1;
	for (int g = 0; g < c->ngate; g++) {
		int nh = 0, nx = 0;
		for (int i = 0; i < c->gate[g].nproduct; i++) {
			const Product *p = &c->gate[g].product[i];
			Val *v = plain(p->v);
			int k = param_index(l->step, v);
			if (p->W && v == c->h) {
				nh++;
			} else if (k >= 0 && k < l->nseq && (l->seq < 0 || l->seq == k)) {
				l->seq = k;
				nx++;
			} else {
				return false;
			}
		}
		bool apart = c->kind == O_gru && g == 2 && c->lbr;
		if (nx != 1 || nh != !apart || c->gate[g].count != c->H)
			return false;
	}
	if (c->lbr && (c->reset.nproduct != 1 || !c->reset.product[0].W || plain(c->reset.product[0].v) != c->h))
		return false;
	return l->seq >= 0;
}

static const Product *product_of(const Layer *l, const Sum *s, bool with_h)
{
	for (int i = 0; i < s->nproduct; i++)
		if ((plain(s->product[i].v) == l->cell.h) == with_h)
			return &s->product[i];
	return 0;
}

static int64_t axis_of(const Op *scan, int i)
{
	const Attr *a = attr_find(scan, "axis");
	return a && i < a->n ? a->v.i[i] : 0;
}

/* The sequence as [T,N,I], if it is that but for the order of axes. */
static Val *as_input(Layer *l, Val *v, int axis)
{
	const Type *t = v->type;
	int32_t dim[3] = {t->dim[axis], (int32_t)l->N, (int32_t)l->I};
	const Type *want = type_like(l->m, t, 3, dim);
	Func *f = l->main;
	if (t->rank == 3 && axis == 0 && t->dim[1] == l->N && t->dim[2] == l->I)
		return v;
	if (t->rank == 3 && axis == 1 && t->dim[0] == l->N && t->dim[2] == l->I) {
		Op *o = op_before(l->m, &f->body, l->scan, O_transpose, 1, &v);
		attr_set_ints(l->m, o, "perm", 3, (int64_t[]){1, 0, 2});
		return op_out(l->m, f, o, 0, want);
	}
	for (int d = 0; d < axis; d++)
		if (t->dim[d] != 1)
			return 0;
	int64_t rest = 1;
	for (int d = axis + 1; d < t->rank; d++)
		rest *= t->dim[d];
	if (rest != l->N * l->I)
		return 0;
	return op_out(l->m, f, op_before(l->m, &f->body, l->scan, O_reshape, 1, &v), 0, want);
}

static bool find_input(Layer *l)
{
	const Product *x = product_of(l, &l->cell.gate[0], false);
	Val *seq = l->scan->in[l->seq];
	int axis = (int)axis_of(l->scan, l->seq);
	l->N = type_count(l->cell.h->type, 1) / l->cell.H;      /* rows, however many axes they lie along */
	if (x->W) {
		l->I = x->W->type->dim[1];
	} else {
		l->outside = def_of(seq, O_linear);
		if (!l->outside || !l->outside->in[1]->data || l->outside->out[0]->type->rank < 2)
			return false;
		if (l->outside->nin > 2 && l->outside->in[2] && !l->outside->in[2]->data)
			return false;
		/* reshapes between must not have moved the steps to another axis */
		if (plain(seq) != seq && seq->type->dim[axis] != l->outside->out[0]->type->dim[axis])
			return false;
		l->I = l->outside->in[1]->type->dim[1];
		seq = l->outside->in[0];
		if (axis >= seq->type->rank - 1)
			return false;
	}
	l->T = seq->type->dim[axis];
	l->X = as_input(l, seq, axis);
	return l->X != 0;
}

/* ---- results ----------------------------------------------------------------------------------------------------- */

static bool is_used(const Func *f, const Val *v)
{
	for (const Op *o = f->body.first; o; o = o->next)
		for (int i = 0; i < o->nin; i++)
			if (o->in[i] == v)
				return true;
	return false;
}

static Val *next_of(const Func *f, const Val *state)
{
	const Op *o = f->body.last->prev;
	for (int i = 0; o && o->kind == O_next && i < o->nin; i += 2)
		if (o->in[i] == state)
			return o->in[i + 1];
	return 0;
}

static bool check_results(Layer *l)
{
	const Attr *keep = attr_find(l->scan, "keep"), *axis = attr_find(l->scan, "out_axis");
	int nret = l->step->nret;
	if (nret > 8)
		return false;
	for (int i = 0; i < nret; i++) {
		Val *v = l->step->body.last->in[i];
		bool last = keep && i < keep->n && !strcmp(keep->v.s[i], "last");
		if (!is_used(l->main, l->scan->out[i]))
			continue;
		if (plain(v) != plain(next_of(l->step, l->cell.h)) || (!last && axis && i < axis->n && axis->v.i[i] != 0))
			return false;
		l->y[i] = last ? 2 : 1;
	}
	return true;
}

/* ---- weights ----------------------------------------------------------------------------------------------------- */

static void copy_rows(float *to, const Data *W, int64_t row, int64_t n, int64_t width)
{
	memcpy(to, (const float *)W->bytes + row * width, sizeof *to * (size_t)(n * width));
}

static void add_biases(float *to, const Sum *s, int64_t H)
{
	for (int i = 0; i < s->nbias; i++)
		for (int64_t k = 0; k < H; k++)
			to[k] += ((const float *)s->bias[i].d->bytes)[s->bias[i].row + k];
}

static Data *weight_data(Layer *l, const char *what, int rank, const int32_t *dim)
{
	return data_new(l->m, arena_printf(l->m->arena, "%s_%s", op_info[l->cell.kind].name, what),
	                type_tensor(l->m, E_f32, rank, dim));
}

static bool fits(const Data *W, int64_t row, int64_t n, int64_t width)
{
	return W->type->rank == 2 && W->type->dim[1] == width && row >= 0 && row + n <= W->type->dim[0];
}

static bool make_weights(Layer *l, Data *d[3])
{
	Cell *c = &l->cell;
	int64_t H = c->H, G = c->ngate;
	int32_t w[3] = {1, (int32_t)(G * H), (int32_t)l->I}, r[3] = {1, (int32_t)(G * H), (int32_t)H}, b[2] = {1, (int32_t)(2 * G * H)};
	d[0] = weight_data(l, "W", 3, w);
	d[1] = weight_data(l, "R", 3, r);
	d[2] = weight_data(l, "B", 2, b);
	float *W = d[0]->bytes, *R = d[1]->bytes, *B = d[2]->bytes;
	for (int64_t g = 0; g < G; g++) {
		bool apart = c->lbr && g == 2;
		const Product *x = product_of(l, &c->gate[g], false), *h = apart ? &c->reset.product[0] : product_of(l, &c->gate[g], true);
		const Data *from = l->outside ? l->outside->in[1]->data : x->W;
		if (!from || (l->outside && x->W) || !fits(from, x->row, H, l->I) || !fits(h->W, h->row, H, H))
			return false;
		copy_rows(W + g * H * l->I, from, x->row, H, l->I);
		copy_rows(R + g * H * H, h->W, h->row, H, H);
		add_biases(B + g * H, &c->gate[g], H);
		if (apart)
			add_biases(B + (G + g) * H, &c->reset, H);
		if (l->outside && l->outside->nin > 2 && l->outside->in[2])
			for (int64_t k = 0; k < H; k++)
				B[g * H + k] += ((const float *)l->outside->in[2]->data->bytes)[x->row + k];
	}
	return true;
}

/* ---- the op ------------------------------------------------------------------------------------------------------ */

static bool all_zero(const Val *v)
{
	if (!v->data)
		return false;
	const uint8_t *p = v->data->bytes;
	for (size_t i = 0; i < v->data->size; i++)
		if (p[i])
			return false;
	return true;
}

static Val *shaped(Layer *l, Val *v, const Type *t)
{
	return v->type == t ? v : op_out(l->m, l->main, op_before(l->m, &l->main->body, l->scan, O_reshape, 1, &v), 0, t);
}

static Val *first_state(Layer *l, const Val *state)
{
	if (!state)
		return 0;
	int i = l->step->state[0] == state ? 0 : 1;
	Val *v = l->scan->in[l->nseq + i];
	int32_t dim[3] = {1, (int32_t)l->N, l->cell.H};
	return all_zero(v) ? 0 : shaped(l, v, type_like(l->m, v->type, 3, dim));
}

static void set_attrs(Layer *l, Op *o)
{
	static const char *const usual[] = {"Sigmoid", "Tanh", "Tanh"};
	const Cell *c = &l->cell;
	attr_set_int(l->m, o, "hidden", c->H);
	attr_set_string(l->m, o, "direction", attr_int(l->scan, "reverse", 0) ? "reverse" : "forward");
	if (c->kind == O_rnn)
		attr_set_strings(l->m, o, "activations", 1, &c->activation);
	else
		attr_set_strings(l->m, o, "activations", c->kind == O_gru ? 2 : 3, usual);
	if (c->lbr)
		attr_set_int(l->m, o, "linear_before_reset", 1);
}

static void build(Layer *l, Data *const d[3])
{
	Cell *c = &l->cell;
	Module *m = l->m;
	Val *in[8] = {l->X, val_data(m, d[0]), val_data(m, d[1]), val_data(m, d[2]), 0, first_state(l, c->h), first_state(l, c->c), 0};
	int nin = c->kind == O_lstm ? 8 : 6;
	Op *o = op_before(m, &l->main->body, l->scan, c->kind, nin, in);
	o->loc = l->scan->loc;
	set_attrs(l, o);
	int32_t yd[4] = {(int32_t)l->T, 1, (int32_t)l->N, c->H};
	const Type *last = type_tensor(m, E_f32, 3, yd + 1);
	Val *Y = op_out(m, l->main, o, 0, type_tensor(m, E_f32, 4, yd)), *Yh = op_out(m, l->main, o, 0, last);
	Val *Yc = c->kind == O_lstm ? op_out(m, l->main, o, 0, last) : 0;
	for (int i = 0; i < l->step->nret; i++)
		if (l->y[i])
			val_replace(l->main, l->scan->out[i], shaped(l, l->y[i] == 1 ? Y : Yh, l->scan->out[i]->type));
	for (int i = 0; i < l->step->nstate && l->step->nret + i < l->scan->nout; i++) {
		Val *was = l->scan->out[l->step->nret + i];
		if (is_used(l->main, was))
			val_replace(l->main, was, shaped(l, l->step->state[i] == c->h ? Yh : Yc, was->type));
	}
	op_remove(&l->main->body, l->scan);
}

static bool recognize(Module *m, Func *f, Op *scan, Diag *d, bool verbose)
{
	Layer l = {.m = m, .main = f, .step = scan->callee, .scan = scan, .nseq = (int)attr_int(scan, "seq", 0)};
	Func *s = l.step;
	if (attr_int(scan, "init", 0) != s->nstate || !s->body.last || s->body.last->kind != O_ret || !s->body.last->prev)
		return false;
	for (int i = 0; i < s->nstate; i++)
		if (s->state[i]->type->elem != E_f32)
			return false;
	if (!match_lstm(s, &l.cell) && !match_gru(s, &l.cell) && !match_rnn(s, &l.cell))
		return false;
	Data *w[3];
	if (!check_products(&l) || !check_results(&l) || !find_input(&l) || !make_weights(&l, w))
		return false;
	build(&l, w);
	if (verbose)
		diag_note(d, "%s: %s layer of %d units found in '%s'", m->name, op_info[l.cell.kind].name, l.cell.H,
		          scan->loc.node ? scan->loc.node : s->name);
	return true;
}

bool pass_recognize(Module *m, const Options *opt, Diag *d)
{
	Func *f = m->level == L_TENSOR ? func_find(m, "main") : 0;
	if (!f)
		return true;
	each_op(o, &f->body)
		if (o->kind == O_scan)
			recognize(m, f, o, d, opt->verbose);
	func_renumber(f);
	return true;
}

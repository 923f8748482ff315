/* reconstruct_run.c: a segment forward and backward, through calls, scans and what is carried from run to
 * run. */
#include "passes/reconstruct.h"
#include "passes/reconstruct_math.h"

#include <string.h>

static void frame_forward(Net *n, Frame *f, int run);
static void frame_backward(Net *n, Frame *f, int run);

/* ---- operands of any kind --------------------------------------------------------------------------- */

/* Copy an operand at a run, stream by stream. */
static void read_operand(const Net *n, const Frame *f, Operand from, int run, float *to, size_t per)
{
	if (from.buf) {
		memcpy(to, buf_at(n, f, from.buf, run), (size_t)n->streams * per * sizeof *to);
		return;
	}
	const float *x = n->student ? from.param->now : from.param->was;
	for (int s = 0; s < n->streams; s++)
		memcpy(to + (size_t)s * per, x, per * sizeof *to);
}

static void add_gradient(const Net *n, const Frame *f, Operand to, int run, const float *g, size_t per)
{
	if (to.buf && to.buf->g)
		many_add(grad_at(n, f, to.buf, run), g, (size_t)n->streams * per);
}

/* ---- scans ------------------------------------------------------------------------------------------ */

typedef struct { size_t outer, inner, len; } Cut;      /* an axis between what is before and behind it */

static Cut cut_at(const Net *n, const Type *t, int axis)
{
	Cut c = {1, 1, 1};
	for (int i = 0; i < t->rank; i++) {
		size_t d = (size_t)(t->dim[i] == DIM_T ? n->steps : t->dim[i]);
		*(i < axis ? &c.outer : i > axis ? &c.inner : &c.len) *= d;
	}
	return c;
}

/* One step of a sequence: from the whole to the slice, or with `back` added the other way. */
static void slice_step(const Net *n, Cut c, float *whole, float *slice, int at, bool back)
{
	size_t per = c.outer * c.inner;
	for (size_t k = 0; k < (size_t)n->streams * c.outer; k++) {
		float *w = whole + (k * c.len + (size_t)at) * c.inner, *s = slice + k * c.inner;
		if (back)
			many_add(w, s, c.inner);
		else
			memcpy(s, w, c.inner * sizeof *s);
	}
	(void)per;
}

static void slice_ints(const Net *n, Cut c, const int32_t *whole, int32_t *slice, int at)
{
	for (size_t k = 0; k < (size_t)n->streams * c.outer; k++)
		memcpy(slice + k * c.inner, whole + (k * c.len + (size_t)at) * c.inner, c.inner * sizeof *slice);
}

static int attr_at(const Op *o, const char *name, int i)
{
	const Attr *a = attr_find(o, name);
	return a && i < a->n ? (int)a->v.i[i] : 0;
}

typedef struct { int seq, init, inv; bool call, reverse; } ScanForm;

static ScanForm form_of(const Op *o)
{
	if (o->kind == O_call)
		return (ScanForm){.call = true};
	return (ScanForm){(int)attr_int(o, "seq", 0), (int)attr_int(o, "init", 0), 0, false,
	                  attr_int(o, "reverse", 0) != 0};
}

static bool keeps_last(const Op *o, int i)
{
	const Attr *a = attr_find(o, "keep");
	return a && i < a->n && !strcmp(a->v.s[i], "last");
}

static Buf *param_buf(const Frame *f, int i) { return &f->buf[f->func->param[i]->id]; }
static Buf *state_buf(const Frame *f, int i) { return &f->buf[f->func->state[i]->id]; }

/* What the callee sees at its run: slices of sequences, and invariants (of a call: everything). */
static void give_params(Net *n, Frame *f, NetOp *node, int run, int inner, int at)
{
	Frame *c = node->callee;
	ScanForm form = form_of(node->op);
	for (int i = 0; i < c->func->nparam; i++) {
		Buf *b = param_buf(c, i);
		int k = i < form.seq ? i : i + form.init;
		Operand from = node->in[k];
		if (i < form.seq && from.buf) {
			Cut cut = cut_at(n, node->op->in[k]->type, attr_at(node->op, "axis", i));
			if (b->i)
				slice_ints(n, cut, ints_at(n, f, from.buf, run), ints_at(n, c, b, inner), at);
			else
				slice_step(n, cut, buf_at(n, f, from.buf, run), buf_at(n, c, b, inner), at, false);
		} else if (b->i) {
			for (int s = 0; s < n->streams; s++)
				memcpy(ints_at(n, c, b, inner) + (size_t)s * b->per,
				       from.buf ? ints_at(n, f, from.buf, run) + (size_t)s * b->per : from.param->data->bytes,
				       b->per * sizeof(int32_t));
		} else {
			read_operand(n, f, from, run, buf_at(n, c, b, inner), b->per);
		}
	}
}

static void take_params(Net *n, Frame *f, NetOp *node, int run, int inner, int at)
{
	Frame *c = node->callee;
	ScanForm form = form_of(node->op);
	for (int i = 0; i < c->func->nparam; i++) {
		Buf *b = param_buf(c, i);
		int k = i < form.seq ? i : i + form.init;
		Operand to = node->in[k];
		if (!b->g || !to.buf || !to.buf->g)
			continue;
		if (i < form.seq)
			slice_step(n, cut_at(n, node->op->in[k]->type, attr_at(node->op, "axis", i)),
			           grad_at(n, f, to.buf, run), grad_at(n, c, b, inner), at, true);
		else
			add_gradient(n, f, to, run, grad_at(n, c, b, inner), b->per);
	}
}

/* Results of the callee's run into those of the scan, and their derivatives back. */
static void take_results(Net *n, Frame *f, NetOp *node, int run, int inner, int at, bool last)
{
	Frame *c = node->callee;
	ScanForm form = form_of(node->op);
	for (int i = 0; i < c->func->nret; i++) {
		Buf *to = node->out[i];
		Operand from = c->ret[i];
		if (!to->x || (keeps_last(node->op, i) && !last))
			continue;
		if (form.call || keeps_last(node->op, i)) {
			read_operand(n, c, from, inner, buf_at(n, f, to, run), to->per);
			continue;
		}
		Cut cut = cut_at(n, node->op->out[i]->type, attr_at(node->op, "out_axis", i));
		for (int s = 0; s < n->streams; s++) {
			size_t per = cut.outer * cut.inner;
			const float *x = from.buf ? buf_at(n, c, from.buf, inner) + (size_t)s * per
			                          : n->student ? from.param->now : from.param->was;
			float *y = buf_at(n, f, to, run) + (size_t)s * to->per;
			for (size_t k = 0; k < cut.outer; k++)
				memcpy(y + (k * cut.len + (size_t)at) * cut.inner, x + k * cut.inner, cut.inner * sizeof *y);
		}
	}
}

static void give_results(Net *n, Frame *f, NetOp *node, int run, int inner, int at, bool last)
{
	Frame *c = node->callee;
	ScanForm form = form_of(node->op);
	for (int i = 0; i < c->func->nret; i++) {
		Buf *from = node->out[i];
		Operand to = c->ret[i];
		if (!from->g || !to.buf || !to.buf->g || (keeps_last(node->op, i) && !last))
			continue;
		float *g = grad_at(n, f, from, run), *h = grad_at(n, c, to.buf, inner);
		if (form.call || keeps_last(node->op, i)) {
			many_add(h, g, (size_t)n->streams * from->per);
			continue;
		}
		Cut cut = cut_at(n, node->op->out[i]->type, attr_at(node->op, "out_axis", i));
		for (size_t k = 0; k < (size_t)n->streams * cut.outer; k++)
			many_add(h + k * cut.inner, g + (k * cut.len + (size_t)at) * cut.inner, cut.inner);
	}
}

static size_t state_size(const Net *n, const Buf *b) { return (size_t)n->streams * b->per; }

static void scan_forward(Net *n, Frame *f, NetOp *node, int run)
{
	Frame *c = node->callee;
	ScanForm form = form_of(node->op);
	int first = run * c->len;
	for (int i = 0; i < c->func->nstate; i++) {
		Buf *b = state_buf(c, i);
		if (i < form.init)
			read_operand(n, f, node->in[form.seq + i], run, buf_at(n, c, b, first), b->per);
		else if (run > 0)
			memcpy(buf_at(n, c, b, first), buf_at(n, c, b, first) - state_size(n, b),
			       state_size(n, b) * sizeof(float));
	}
	for (int k = 0; k < c->len; k++) {
		int at = form.reverse ? c->len - 1 - k : k;
		give_params(n, f, node, run, first + k, at);
		frame_forward(n, c, first + k);
		take_results(n, f, node, run, first + k, at, k == c->len - 1);
	}
	for (int i = 0; i < form.init; i++) {
		Buf *b = state_buf(c, i);
		memcpy(buf_at(n, f, node->out[c->func->nret + i], run),
		       buf_at(n, c, b, first + c->len - 1) + state_size(n, b),
		       state_size(n, b) * sizeof(float));
	}
}

static void scan_backward(Net *n, Frame *f, NetOp *node, int run)
{
	Frame *c = node->callee;
	ScanForm form = form_of(node->op);
	int first = run * c->len;
	for (int i = 0; i < form.init; i++) {
		Buf *b = state_buf(c, i);
		many_add(grad_at(n, c, b, first + c->len - 1) + state_size(n, b),
		         grad_at(n, f, node->out[c->func->nret + i], run), state_size(n, b));
	}
	for (int k = c->len - 1; k >= 0; k--) {
		int at = form.reverse ? c->len - 1 - k : k;
		give_results(n, f, node, run, first + k, at, k == c->len - 1);
		frame_backward(n, c, first + k);
		take_params(n, f, node, run, first + k, at);
	}
	for (int i = 0; i < c->func->nstate; i++) {
		Buf *b = state_buf(c, i);
		if (i < form.init)
			add_gradient(n, f, node->in[form.seq + i], run, grad_at(n, c, b, first), b->per);
		else if (run > 0)
			many_add(grad_at(n, c, b, first) - state_size(n, b), grad_at(n, c, b, first), state_size(n, b));
	}
}

/* ---- one run of a function -------------------------------------------------------------------------- */

static void next_forward(Net *n, Frame *f, NetOp *node, int run)
{
	for (int i = 0; i + 1 < node->op->nin; i += 2) {
		Buf *b = node->in[i].buf;
		read_operand(n, f, node->in[i + 1], run, buf_at(n, f, b, run) + state_size(n, b), b->per);
	}
}

static void next_backward(Net *n, Frame *f, NetOp *node, int run)
{
	for (int i = 0; i + 1 < node->op->nin; i += 2) {
		Buf *b = node->in[i].buf;
		add_gradient(n, f, node->in[i + 1], run, grad_at(n, f, b, run) + state_size(n, b), b->per);
	}
}

static bool is_set(const Frame *f, const Buf *b)
{
	for (int i = 0; i < f->nnode; i++)
		for (int k = 0; f->node[i].op->kind == O_next && k < f->node[i].op->nin; k += 2)
			if (f->node[i].in[k].buf == b)
				return true;
	return false;
}

static void frame_forward(Net *n, Frame *f, int run)
{
	for (int i = 0; i < f->func->nstate; i++) {
		Buf *b = state_buf(f, i);
		float *x = buf_at(n, f, b, run);
		memcpy(x + state_size(n, b), x, state_size(n, b) * sizeof *x);
	}
	for (int i = 0; i < f->nnode; i++) {
		NetOp *node = &f->node[i];
		if (node->op == n->left_out)
			continue;
		if (node->callee)
			scan_forward(n, f, node, run);
		else if (node->op->kind == O_next)
			next_forward(n, f, node, run);
		else
			node_forward(n, f, node, run);
	}
}

static void frame_backward(Net *n, Frame *f, int run)
{
	for (int i = 0; i < f->func->nstate; i++) {
		Buf *b = state_buf(f, i);
		if (b->g && !is_set(f, b))
			many_add(grad_at(n, f, b, run), grad_at(n, f, b, run) + state_size(n, b), state_size(n, b));
	}
	for (int i = f->nnode - 1; i >= 0; i--) {
		NetOp *node = &f->node[i];
		if (node->op == n->left_out)
			continue;
		if (node->callee)
			scan_backward(n, f, node, run);
		else if (node->op->kind == O_next)
			next_backward(n, f, node, run);
		else
			node_backward(n, f, node, run);
	}
}

/* ---- a segment -------------------------------------------------------------------------------------- */

Buf *net_output(Net *n, int port) { return n->main->ret[port].buf; }

void net_reset(Net *n)
{
	for (int i = 0; i < n->nstate; i++) {
		size_t per = n->state[i].buf->per;
		for (int s = 0; s < n->streams; s++)
			if (n->state[i].init)
				memcpy(n->state[i].kept + (size_t)s * per, n->state[i].init->bytes, per * sizeof(float));
			else
				memset(n->state[i].kept + (size_t)s * per, 0, per * sizeof(float));
	}
	for (int i = 0; i < n->main->func->nparam; i++)
		if (n->carried[i])
			memset(n->carried[i], 0, state_size(n, param_buf(n->main, i)) * sizeof(float));
}

void net_forward(Net *n)
{
	Frame *f = n->main;
	for (int i = 0; i < n->nstate; i++)
		if (!n->state[i].local)
			memcpy(n->state[i].buf->x, n->state[i].kept, state_size(n, n->state[i].buf) * sizeof(float));
	for (int u = 0; u < f->count; u++) {
		for (int i = 0; i < f->func->nparam; i++)
			if (n->pair[i] >= 0) {
				Buf *b = param_buf(f, i);
				if (u)
					read_operand(n, f, f->ret[n->pair[i]], u - 1, buf_at(n, f, b, u), b->per);
				else
					memcpy(b->x, n->carried[i], state_size(n, b) * sizeof(float));
			}
		frame_forward(n, f, u);
	}
	for (int i = 0; i < f->func->nparam; i++)
		if (n->pair[i] >= 0)
			read_operand(n, f, f->ret[n->pair[i]], f->count - 1, n->carried[i], param_buf(f, i)->per);
	for (int i = 0; i < n->nstate; i++) {
		Buf *b = n->state[i].buf;
		const Frame *at = n->state[i].frame;
		if (!n->state[i].local)
			memcpy(n->state[i].kept, buf_at(n, at, b, at->count - 1) + state_size(n, b), state_size(n,
			        b) * sizeof(float));
	}
}

static void frame_clear(Net *n, Frame *f)
{
	for (uint32_t i = 0; i < f->func->nval; i++) {
		Buf *b = &f->buf[i];
		size_t runs = (size_t)f->count + (b->state ? (size_t)(f->count / f->len) : 0);
		if (b->g)
			memset(b->g, 0, runs * state_size(n, b) * sizeof *b->g);
	}
	for (int i = 0; i < f->nnode; i++)
		if (f->node[i].callee)
			frame_clear(n, f->node[i].callee);
}

void net_clear(Net *n) { frame_clear(n, n->main); }

/* Derivatives of weights: one product over all runs. */
static void frame_weights(Net *n, Frame *f)
{
	for (int i = 0; i < f->nnode; i++)
		if (f->node[i].callee)
			frame_weights(n, f->node[i].callee);
		else if (f->node[i].op->kind == O_linear && f->node[i].op != n->left_out)
			linear_weights(n, f, &f->node[i]);
}

void net_backward(Net *n)
{
	Frame *f = n->main;
	for (int u = f->count - 1; u >= 0; u--) {
		frame_backward(n, f, u);
		for (int i = 0; u && i < f->func->nparam; i++)
			if (n->pair[i] >= 0)
				add_gradient(n, f, f->ret[n->pair[i]], u - 1, grad_at(n, f, param_buf(f, i), u), param_buf(f, i)->per);
	}
	frame_weights(n, f);
}

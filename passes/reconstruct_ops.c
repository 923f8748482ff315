/* reconstruct_ops.c: each op on all streams of one run, and its derivative. */
#include "passes/reconstruct.h"
#include "passes/reconstruct_math.h"
#include "passes/simd.h"

#include <math.h>
#include <string.h>

/* ---- places ----------------------------------------------------------------------------------------- */

size_t run_place(const Frame *f, const Buf *b, int run)
{
	return (size_t)run + (b->state ? (size_t)(run / f->len) : 0);
}

float *buf_at(const Net *n, const Frame *f, const Buf *b, int run)
{
	return b->x + run_place(f, b, run) * (size_t)n->streams * b->per;
}

float *grad_at(const Net *n, const Frame *f, const Buf *b, int run)
{
	return b->g + run_place(f, b, run) * (size_t)n->streams * b->per;
}

int32_t *ints_at(const Net *n, const Frame *f, const Buf *b, int run)
{
	return b->i + run_place(f, b, run) * (size_t)n->streams * b->per;
}

/* An operand at a run: where stream 0 lies, and how far the streams are apart. */
typedef struct { const float *x; float *g; size_t stride; } View;

static View view_of(const Net *n, const Frame *f, Operand o, int run)
{
	if (o.param)
		return (View){n->student ? o.param->now : o.param->was, 0, 0};
	return (View){buf_at(n, f, o.buf, run), o.buf->g ? grad_at(n, f, o.buf, run) : 0, o.buf->per};
}

/* ---- shapes ----------------------------------------------------------------------------------------- */

static size_t dim_of(const Net *n, const Type *t, int i)
{
	return (size_t)(t->dim[i] == DIM_T ? n->steps : t->dim[i]);
}

/* For each element of `to` the element of `from` that broadcasting, or an op that moves elements, puts there.
 * axis[i] of from runs along i of to (-1: it does not), starting at `at` with `step`. */
static int32_t *move_map(Net *n, const Type *from, const Type *to, const int *axis, const int64_t *at,
        const int64_t *step)
{
	size_t count = (size_t)type_count(to, n->steps), stride[MAX_RANK], s = 1;
	int32_t *map = NEWN(n->arena, int32_t, count + 1);
	for (int i = from->rank - 1; i >= 0; i--) {
		stride[i] = s;
		s *= dim_of(n, from, i);
	}
	for (size_t e = 0; e < count; e++) {
		size_t rest = e;
		int64_t place = 0;
		for (int i = to->rank - 1; i >= 0; i--) {
			size_t d = dim_of(n, to, i), k = rest % d;
			rest /= d;
			int a = axis[i];
			if (a >= 0 && (dim_of(n, from, a) > 1 || at[i]))
				place += (at[i] + step[i] * (int64_t)k) * (int64_t)stride[a];
		}
		map[e] = (int32_t)place;
	}
	return map;
}

static int32_t *broadcast_map(Net *n, const Type *from, const Type *to)
{
	int axis[MAX_RANK];
	int64_t at[MAX_RANK] = {0}, step[MAX_RANK];
	bool same = type_count(from, n->steps) == type_count(to, n->steps);
	for (int i = 0; i < to->rank; i++) {
		axis[i] = i - (to->rank - from->rank);
		step[i] = 1;
	}
	return same ? 0 : move_map(n, from, to, axis, at, step);
}

static const char *prepare_move(Net *n, NetOp *node)
{
	const Op *o = node->op;
	const Type *from = o->in[0]->type, *to = o->out[0]->type;
	int axis[MAX_RANK];
	int64_t at[MAX_RANK] = {0}, step[MAX_RANK];
	for (int i = 0; i < to->rank; i++)
		axis[i] = i, step[i] = 1;
	if (o->kind == O_slice) {
		int64_t a = attr_int(o, "axis", 0), first = attr_int(o, "at", 0);
		a += a < 0 ? from->rank : 0;
		at[a] = first < 0 ? first + (int64_t)dim_of(n, from, (int)a) : first;
		step[a] = attr_int(o, "step", 1);
	}
	const Attr *perm = attr_find(o, "perm");
	for (int i = 0; o->kind == O_transpose && i < to->rank; i++)
		axis[i] = perm ? (int)perm->v.i[i] : to->rank - 1 - i;
	if (o->kind == O_expand)
		node->map[0] = broadcast_map(n, from, to);
	else if (o->kind != O_reshape && o->kind != O_cast)
		node->map[0] = move_map(n, from, to, axis, at, step);
	return 0;
}

static const char *prepare_linear(Net *n, Frame *f, NetOp *node)
{
	const Op *o = node->op;
	if (!node->in[1].param || o->in[1]->type->rank != 2 || !node->in[0].buf || !node->in[0].buf->x)
		return "computed weights:";
	if (o->nin > 2 && node->in[2].param && node->in[2].param->rows != o->in[1]->type->dim[0])
		return "a constant addend:";
	if (o->nin > 2 && node->in[2].buf && node->in[2].buf->per != node->out[0]->per)
		return "a broadcast addend:";
	if (n->student && node->scale)
		node->seen = NEWN(n->arena, float, (size_t)f->count * (size_t)n->streams * node->in[0].buf->per);
	return node->in[0].buf->per % (size_t)o->in[1]->type->dim[1] ? "operand shapes:" : 0;
}

static bool is_binary(OpKind k) { return k == O_add || k == O_sub || k == O_mul; }

static bool is_unary(OpKind k)
{
	switch (k) {
	case O_sigmoid: case O_tanh: case O_relu: case O_neg: case O_affine: case O_leakyrelu:
	case O_hardsigmoid: case O_clip:
		return true;
	default:
		return false;
	}
}

const char *node_prepare(Net *n, Frame *f, NetOp *node)
{
	const Op *o = node->op;
	bool ints = o->nout && node->out[0]->i;
	switch (o->kind) {
	case O_next:
		return 0;
	case O_reshape: case O_slice: case O_transpose: case O_expand:
		return node->in[0].buf ? prepare_move(n, node) : "a constant operand:";
	case O_cast:
		return node->in[0].buf && !ints && node->in[0].buf->x ? 0 : "a cast of integers:";
	case O_linear:
		return prepare_linear(n, f, node);
	case O_gather:
		return node->in[0].param && node->in[1].buf && node->in[1].buf->i && !ints && !attr_int(o, "axis", 0)
		               ? 0 : "another form than rows of a constant table:";
	case O_softmax: case O_logsoftmax: {
		int64_t axis = attr_int(o, "axis", -1);
		const Type *t = o->out[0]->type;
		for (int i = (int)(axis < 0 ? axis + t->rank : axis) + 1; i < t->rank; i++)
			if (dim_of(n, t, i) != 1)
				return "an axis that is not the last:";
		return node->in[0].buf ? 0 : "a constant operand:";
	}
	case O_concat:
		for (int i = 0; i < o->nin; i++)
			if (!node->in[i].buf || ints)
				return "a constant or integers:";
		return 0;
	default:
		if (ints || !(is_binary(o->kind) || is_unary(o->kind)))
			return "no derivative of";
		for (int i = 0; i < o->nin; i++) {
			if (node->in[i].param ? node->in[i].param->data->type->elem != E_f32 : !node->in[i].buf->x)
				return "integer operands:";
			node->map[i] = broadcast_map(n, o->in[i]->type, o->out[0]->type);
		}
		return is_unary(o->kind) && !node->in[0].buf ? "a constant operand:" : 0;
	}
}

/* ---- element by element ----------------------------------------------------------------------------- */

static float unary(const Op *o, float x)
{
	float alpha = attr_float(o, "alpha", o->kind == O_hardsigmoid ? 0.2f : o->kind == O_leakyrelu ? 0.01f : 1);
	float beta = attr_float(o, "beta", o->kind == O_hardsigmoid ? 0.5f : 0);
	switch (o->kind) {
	case O_relu: return x > 0 ? x : 0;
	case O_neg: return -x;
	case O_affine: return alpha * x + beta;
	case O_leakyrelu: return x < 0 ? alpha * x : x;
	case O_hardsigmoid: return fminf(fmaxf(alpha * x + beta, 0), 1);
	default: return fminf(fmaxf(x, attr_float(o, "lo", -INFINITY)), attr_float(o, "hi", INFINITY));
	}
}

static float unary_slope(const Op *o, float x)
{
	switch (o->kind) {
	case O_relu: return x > 0;
	case O_neg: return -1;
	case O_affine: return attr_float(o, "alpha", 1);
	case O_leakyrelu: return x < 0 ? attr_float(o, "alpha", 0.01f) : 1;
	case O_hardsigmoid: {
		float alpha = attr_float(o, "alpha", 0.2f), y = alpha * x + attr_float(o, "beta", 0.5f);
		return y > 0 && y < 1 ? alpha : 0;
	}
	default: return x > attr_float(o, "lo", -INFINITY) && x < attr_float(o, "hi", INFINITY);
	}
}

static void unary_forward(const Op *o, float *y, const float *x, size_t count)
{
	if (o->kind == O_sigmoid)
		many_sigmoid(y, x, count);
	else if (o->kind == O_tanh)
		many_tanh(y, x, count);
	else
		for (size_t i = 0; i < count; i++)
			y[i] = unary(o, x[i]);
}

ANY_SIMD static void squash_backward(bool is_tanh, float *restrict gx, const float *restrict gy,
                                     const float *restrict y,
                                     size_t count)
{
	for (size_t i = 0; i < count; i++)
		gx[i] += gy[i] * (is_tanh ? 1 - y[i] * y[i] : y[i] * (1 - y[i]));
}

static void unary_backward(const Op *o, float *gx, const float *gy, const float *y, const float *x,
        size_t count)
{
	if (o->kind == O_sigmoid || o->kind == O_tanh)
		squash_backward(o->kind == O_tanh, gx, gy, y, count);
	else
		for (size_t i = 0; i < count; i++)
			gx[i] += gy[i] * unary_slope(o, x[i]);
}

static float binary(OpKind k, float a, float b)
{
	return k == O_add ? a + b : k == O_sub ? a - b : a * b;
}

static void binary_forward(const Net *n, const NetOp *node, View a, View b, float *y)
{
	size_t per = node->out[0]->per;
	for (int s = 0; s < n->streams; s++, a.x += a.stride, b.x += b.stride, y += per)
		for (size_t e = 0; e < per; e++) {
			float p = a.x[node->map[0] ? (size_t)node->map[0][e] : e];
			float q = b.x[node->map[1] ? (size_t)node->map[1][e] : e];
			y[e] = binary(node->op->kind, p, q);
		}
}

static void binary_backward(const Net *n, const NetOp *node, View a, View b, const float *gy)
{
	size_t per = node->out[0]->per;
	OpKind kind = node->op->kind;
	for (int s = 0; s < n->streams; s++, gy += per) {
		for (size_t e = 0; e < per; e++) {
			size_t p = node->map[0] ? (size_t)node->map[0][e] : e, q = node->map[1] ? (size_t)node->map[1][e] : e;
			if (a.g)
				a.g[p] += kind == O_mul ? gy[e] * b.x[q] : gy[e];
			if (b.g)
				b.g[q] += kind == O_mul ? gy[e] * a.x[p] : kind == O_sub ? -gy[e] : gy[e];
		}
		a.x += a.stride, b.x += b.stride;
		a.g = a.g ? a.g + a.stride : 0;
		b.g = b.g ? b.g + b.stride : 0;
	}
}

/* ---- linear ----------------------------------------------------------------------------------------- */

static const Packed *packed(const Net *n, Param *w, int which)
{
	Packed *p[] = {&w->forward, &w->backward, &w->teacher};
	(void)n;
	if (!w->fresh[which]) {
		bool back = which == 1;
		gemm_pack(p[which], back ? w->rows : w->cols, back ? w->cols : w->rows, which == 2 ? w->was : w->now,
		          back ? (size_t)w->cols : 1, back ? 1 : (size_t)w->cols);
		w->fresh[which] = true;
	}
	return p[which];
}

static float *linear_operand(const Net *n, const Frame *f, const NetOp *node, int run)
{
	if (node->seen)
		return node->seen + (size_t)run * (size_t)n->streams * node->in[0].buf->per;
	return buf_at(n, f, node->in[0].buf, run);
}

/* The nearest level, halfway the greater. */
static void round_to_levels(float *y, const float *x, size_t n, const NetOp *node)
{
	for (size_t i = 0; i < n; i++) {
		float twice = 2 * x[i] / node->scale[0];
		int k = 0;
		for (int j = 1; j < node->nlevel; j++)
			k += twice >= (float)(node->level[j - 1] + node->level[j]);
		y[i] = (float)node->level[k] * node->scale[0];
	}
}

static void see(const Net *n, const Frame *f, const NetOp *node, int run)
{
	size_t all = (size_t)n->streams * node->in[0].buf->per;
	const float *x = buf_at(n, f, node->in[0].buf, run);
	float *y = linear_operand(n, f, node, run);
	if (node->level) {
		round_to_levels(y, x, all, node);
		return;
	}
	if (node->nscale == 1) {
		many_round(y, x, all, node->scale[0], node->lo, node->hi);
		return;
	}
	for (size_t i = 0; i < all; i++)
		many_round(y + i, x + i, 1, node->scale[i % (size_t)node->nscale], node->lo, node->hi);
}

static void linear_forward(Net *n, Frame *f, NetOp *node, int run)
{
	Param *w = node->in[1].param;
	size_t rows = (size_t)n->streams * node->in[0].buf->per / (size_t)w->cols, M = (size_t)w->rows;
	float *y = buf_at(n, f, node->out[0], run);
	bool has = node->op->nin > 2 && (node->in[2].buf || node->in[2].param);
	if (node->seen)
		see(n, f, node, run);
	if (has && node->in[2].buf)
		memcpy(y, buf_at(n, f, node->in[2].buf, run), rows * M * sizeof *y);
	const float *b = has && node->in[2].param ? view_of(n, f, node->in[2], run).x : 0;
	for (size_t i = 0; b && i < rows; i++)
		memcpy(y + i * M, b, M * sizeof *y);
	gemm((int)rows, linear_operand(n, f, node, run), (size_t)w->cols, 1, packed(n, w, n->student ? 0 : 2), y,
	        M, has);
}

static void linear_backward(Net *n, Frame *f, NetOp *node, int run)
{
	Param *w = node->in[1].param;
	Buf *x = node->in[0].buf;
	size_t rows = (size_t)n->streams * x->per / (size_t)w->cols;
	const float *g = grad_at(n, f, node->out[0], run);
	if (x->g)
		gemm((int)rows, g, (size_t)w->rows, 1, packed(n, w, 1), grad_at(n, f, x, run), (size_t)w->cols, true);
	if (node->op->nin > 2 && node->in[2].buf && node->in[2].buf->g)
		many_add(grad_at(n, f, node->in[2].buf, run), g, (size_t)n->streams * node->in[2].buf->per);
}

void linear_weights(Net *n, Frame *f, NetOp *node)
{
	Param *w = node->in[1].param, *b = node->op->nin > 2 ? node->in[2].param : 0;
	size_t per_run = (size_t)n->streams * node->in[0].buf->per / (size_t)w->cols, M = (size_t)w->rows;
	Packed x = {0};
	/* Runs of one row lie in one piece, also where the operand is a state. */
	for (int run = 0; run < f->count; run += f->len) {
		size_t rows = per_run * (size_t)f->len;
		const float *g = grad_at(n, f, node->out[0], run);
		if (w->grad) {
			gemm_pack(&x, (int)rows, w->cols, linear_operand(n, f, node, run), (size_t)w->cols, 1);
			gemm((int)M, g, 1, M, &x, w->grad, (size_t)w->cols, true);
		}
		for (size_t i = 0; b && b->grad && i < rows; i++)
			many_add(b->grad, g + i * M, M);
	}
	gemm_unpack(&x);
}

/* ---- the rest --------------------------------------------------------------------------------------- */

static size_t table_row(const Param *p, int32_t i)
{
	i += i < 0 ? p->rows : 0;
	return (size_t)(i < 0 ? 0 : i >= p->rows ? p->rows - 1 : i);
}

static void gather(Net *n, Frame *f, NetOp *node, int run, bool back)
{
	Param *p = node->in[0].param;
	const int32_t *index = ints_at(n, f, node->in[1].buf, run);
	size_t rows = (size_t)n->streams * node->in[1].buf->per, C = (size_t)p->cols;
	const float *from = n->student ? p->now : p->was;
	for (size_t i = 0; i < rows; i++) {
		size_t k = table_row(p, index[i]);
		if (!back) {
			memcpy(buf_at(n, f, node->out[0], run) + i * C, from + k * C, C * sizeof *from);
		} else if (p->grad) {
			many_add(p->grad + k * C, grad_at(n, f, node->out[0], run) + i * C, C);
			if (p->touched)
				p->touched[k] = 1;
		}
	}
}

static void concat(Net *n, Frame *f, NetOp *node, int run, bool back)
{
	const Op *o = node->op;
	int64_t axis = attr_int(o, "axis", 0);
	axis += axis < 0 ? o->out[0]->type->rank : 0;
	size_t outer = (size_t)n->streams, wide = 1, done = 0;
	for (int i = 0; i < o->out[0]->type->rank; i++)
		*(i < axis ? &outer : &wide) *= dim_of(n, o->out[0]->type, i);
	for (int k = 0; k < o->nin; k++) {
		Buf *b = node->in[k].buf;
		size_t part = b->per * (size_t)n->streams / outer;
		for (size_t i = 0; i < outer; i++)
			if (back && b->g)
				many_add(grad_at(n, f, b, run) + i * part, grad_at(n, f, node->out[0], run) + i * wide + done, part);
			else if (!back)
				memcpy(buf_at(n, f, node->out[0], run) + i * wide + done, buf_at(n, f, b, run) + i * part,
				       part * sizeof(float));
		done += part;
	}
}

static void move_forward(Net *n, Frame *f, NetOp *node, int run)
{
	Buf *x = node->in[0].buf, *y = node->out[0];
	for (int s = 0; s < n->streams; s++)
		for (size_t e = 0; e < y->per; e++) {
			size_t from = (size_t)s * x->per + (node->map[0] ? (size_t)node->map[0][e] : e);
			size_t to = (size_t)s * y->per + e;
			if (y->i)
				ints_at(n, f, y, run)[to] = ints_at(n, f, x, run)[from];
			else
				buf_at(n, f, y, run)[to] = buf_at(n, f, x, run)[from];
		}
}

static void move_backward(Net *n, Frame *f, NetOp *node, int run)
{
	Buf *x = node->in[0].buf, *y = node->out[0];
	if (!x->g || !y->g)
		return;
	float *gx = grad_at(n, f, x, run);
	const float *gy = grad_at(n, f, y, run);
	for (int s = 0; s < n->streams; s++, gx += x->per, gy += y->per)
		for (size_t e = 0; e < y->per; e++)
			gx[node->map[0] ? (size_t)node->map[0][e] : e] += gy[e];
}

static size_t row_length(const Net *n, const Op *o)
{
	const Type *t = o->out[0]->type;
	int64_t axis = attr_int(o, "axis", -1);
	return dim_of(n, t, (int)(axis < 0 ? axis + t->rank : axis));
}

static void softmax(Net *n, Frame *f, NetOp *node, int run, bool back)
{
	size_t D = row_length(n, node->op), rows = (size_t)n->streams * node->out[0]->per / D;
	bool is_log = node->op->kind == O_logsoftmax;
	const float *x = buf_at(n, f, node->in[0].buf, run);
	float *y = buf_at(n, f, node->out[0], run);
	float *gx = back ? grad_at(n, f, node->in[0].buf, run) : 0;
	float *gy = back ? grad_at(n, f, node->out[0], run) : 0;
	for (size_t r = 0; r < rows; r++, x += D, y += D) {
		if (!back) {
			double sum = softmax_row(y, x, D);
			for (size_t k = 0; is_log && k < D; k++)
				y[k] = (float)(x[k] - sum);
			continue;
		}
		double sum = 0;
		for (size_t k = 0; k < D; k++)
			sum += is_log ? gy[k] : (double)gy[k] * y[k];
		for (size_t k = 0; k < D; k++) {
			float p = y[k];
			if (is_log)
				many_exp(&p, y + k, 1);
			gx[k] += is_log ? gy[k] - p * (float)sum : y[k] * (gy[k] - (float)sum);
		}
		gx += D, gy += D;
	}
}

void node_forward(Net *n, Frame *f, NetOp *node, int run)
{
	const Op *o = node->op;
	switch (o->kind) {
	case O_linear: linear_forward(n, f, node, run); return;
	case O_gather: gather(n, f, node, run, false); return;
	case O_concat: concat(n, f, node, run, false); return;
	case O_softmax: case O_logsoftmax: softmax(n, f, node, run, false); return;
	case O_reshape: case O_slice: case O_transpose: case O_expand: case O_cast:
		move_forward(n, f, node, run);
		return;
	default:
		if (is_unary(o->kind))
			unary_forward(o, buf_at(n, f, node->out[0], run), view_of(n, f, node->in[0], run).x,
			              (size_t)n->streams * node->out[0]->per);
		else
			binary_forward(n, node, view_of(n, f, node->in[0], run), view_of(n, f, node->in[1], run),
			               buf_at(n, f, node->out[0], run));
	}
}

void node_backward(Net *n, Frame *f, NetOp *node, int run)
{
	const Op *o = node->op;
	if (!node->out[0]->g)
		return;
	switch (o->kind) {
	case O_linear: linear_backward(n, f, node, run); return;
	case O_gather: gather(n, f, node, run, true); return;
	case O_concat: concat(n, f, node, run, true); return;
	case O_softmax: case O_logsoftmax: softmax(n, f, node, run, true); return;
	case O_reshape: case O_slice: case O_transpose: case O_expand: case O_cast:
		move_backward(n, f, node, run);
		return;
	default:
		if (is_unary(o->kind))
			unary_backward(o, grad_at(n, f, node->in[0].buf, run), grad_at(n, f, node->out[0], run),
			               buf_at(n, f, node->out[0], run), view_of(n, f, node->in[0], run).x,
			               (size_t)n->streams * node->out[0]->per);
		else
			binary_backward(n, node, view_of(n, f, node->in[0], run), view_of(n, f, node->in[1], run),
			                grad_at(n, f, node->out[0], run));
	}
}

/* ops_conv.c: Conv and ConvTranspose.
 *
 * A transposed convolution of stride 1 is a convolution with the kernel the other way round.  With stride s
 * result s * q + r depends on the kernel's elements r, r + s, r + 2s, .. only: it is one convolution of
 * stride 1 for each r, and their results in turn. */
#include "onnx/conv.h"
#include "onnx/operators.h"

#include <string.h>

/* ---- the op ---------------------------------------------------------------------------------- */

/* A window's place along one axis, for one convolution of stride 1 or more. */
typedef struct { int64_t kernel, stride, dilation, lo, hi; } Axis;

static Val *bias_data(Node *n, const Conv *c)
{
	Tensor t = { .type = H_F32, .rank = 1, .dim = { c->M }, .count = c->M, .bytes = c->bias };
	return operand_data(n, "bias", H_F32, &t);
}

static Val *emit_conv(Node *n, const Conv *c, Val *x, const float *weight, const Axis *axis)
{
	int64_t kernel[MAX_SPACE], stride[MAX_SPACE], dilation[MAX_SPACE], pads[2 * MAX_SPACE], K = c->C;
	int m = c->space.n;
	for (int i = 0; i < m; i++) {
		K *= kernel[i] = axis[i].kernel;
		stride[i] = axis[i].stride;
		dilation[i] = axis[i].dilation;
		pads[i] = axis[i].lo;
		pads[m + i] = axis[i].hi;
		int64_t span = dilation[i] * (kernel[i] - 1), size = x->type->dim[2 + i];
		if (size == DIM_T && (stride[i] != 1 || pads[i] + pads[m + i] != span)) {
			fail_fixed(n, "a convolution changes its length");
			return 0;
		}
		if (size != DIM_T && size + pads[i] + pads[m + i] <= span) {
			fail(n, "the operand has %lld elements along axis %d, fewer than the kernel",
			     (long long)(size + pads[i] + pads[m + i]), 2 + i);
			return 0;
		}
	}
	Tensor w = { .type = H_F32, .rank = 2, .dim = { c->M, K }, .count = c->M * K,
		    .bytes = (void *)weight };
	Val *in[] = { x, operand_data(n, c->w->name, H_F32, &w), c->bias ? bias_data(n, c) : 0 };
	if (!in[1] || (c->bias && !in[2]))
		return 0;
	Op *o = op_begin(n, O_conv, c->bias ? 3 : 2, in);
	attr_set_ints(n->im->m, o, "kernel", m, kernel);
	attr_set_ints(n->im->m, o, "stride", m, stride);
	attr_set_ints(n->im->m, o, "dilation", m, dilation);
	attr_set_ints(n->im->m, o, "pads", 2 * m, pads);
	if (c->groups > 1)
		attr_set_int(n->im->m, o, "groups", c->groups);
	return op_end(n, o);
}

/* ---- transposed ------------------------------------------------------------------------------ */

/* Along one axis: results wanted, and q for which they are computed. */
typedef struct { int64_t size, q; } Extent;

static bool extent_of(Node *n, const Conv *c, int i, int64_t size, Extent *e)
{
	const Space *s = &c->space;
	int64_t span = s->dilation[i] * (s->kernel[i] - 1) + 1;
	if (size == DIM_T) {
		*e = (Extent){ DIM_T, DIM_T };
		return s->stride[i] == 1 && s->lo[i] + s->hi[i] - c->more[i] == span - 1
		       ? true : fail_fixed(n, "a convolution changes its length");
	}
	e->size = s->stride[i] * (size - 1) + c->more[i] + span - s->lo[i] - s->hi[i];
	if (s->stride[i] > 1 && s->dilation[i] > 1)
		return fail(n, "a stride of %lld together with a dilation of %lld is not supported",
			    (long long)s->stride[i], (long long)s->dilation[i]);
	if (e->size < 1 || e->size > INT32_MAX)
		return fail(n, "the result has %lld elements along axis %d", (long long)e->size, 2 + i);
	e->q = (e->size + s->lo[i] + s->stride[i] - 1) / s->stride[i];
	return true;
}

/* The kernel's elements r, r + s, .. along each axis, the other way round. */
static float *phase_weights(Node *n, const Conv *c, const int64_t *r, const Axis *axis)
{
	const Space *s = &c->space;
	int64_t K = 1, index[MAX_SPACE] = { 0 };
	for (int i = 0; i < s->n; i++)
		K *= axis[i].kernel;
	float *w = NEWN(n->im->arena, float, c->M * c->C * K);
	for (int64_t row = 0, to = 0; row < c->M * c->C; row++)
		for (int64_t k = 0; k < K; k++, to++) {
			int64_t from = 0;
			bool none = false;
			for (int i = 0; i < s->n; i++) {
				int64_t at = r[i] + s->stride[i] * (axis[i].kernel - 1 - index[i]);
				none |= at >= s->kernel[i];
				from = from * s->kernel[i] + at;
			}
			w[to] = none ? 0 : c->weight[row * c->K + from];
			for (int i = s->n - 1; i >= 0 && ++index[i] == axis[i].kernel; i--)
				index[i] = 0;
		}
	return w;
}

/* The convolution that gives the results s * q + r. */
static Val *emit_phase(Node *n, const Conv *c, Val *x, const Extent *e, const int64_t *r)
{
	const Space *s = &c->space;
	Axis axis[MAX_SPACE];
	for (int i = 0; i < s->n; i++) {
		int64_t size = x->type->dim[2 + i], d = s->dilation[i], span = d * (s->kernel[i] - 1);
		if (s->stride[i] == 1) {
			axis[i] = (Axis){ s->kernel[i], 1, d, span - s->lo[i], span - s->hi[i] + c->more[i] };
		} else {
			int64_t rest = s->kernel[i] - r[i];
			int64_t taps = rest > 0 ? (rest + s->stride[i] - 1) / s->stride[i] : 1;
			axis[i] = (Axis){ taps, 1, 1, taps - 1, e[i].q - size };
		}
		int64_t from = axis[i].lo < 0 ? -axis[i].lo : 0, to = axis[i].hi < 0 ? -axis[i].hi : 0;
		if (from + to && size == DIM_T) {
			fail_fixed(n, "a convolution shifts along it");
			return 0;
		}
		if (from + to)
			x = emit_slice(n, x, 2 + i, from, 1, (int32_t)(size - from - to));
		axis[i].lo += from;
		axis[i].hi += to;
	}
	return emit_conv(n, c, x, phase_weights(n, c, r, axis), axis);
}

/* [.., q, ..] for each r -> [.., q * s + r, ..], and of these those that are wanted. */
static Val *interleave(Node *n, const Conv *c, Val **part, const Extent *e, int i)
{
	int axis = 2 + i;
	int64_t stride = c->space.stride[i];
	Shape s = val_shape(part[0]), apart = s;
	apart.rank++;
	memmove(&apart.dim[axis + 2], &s.dim[axis + 1], sizeof *s.dim * (size_t)(s.rank - axis - 1));
	apart.dim[axis + 1] = 1;
	for (int64_t r = 0; r < stride; r++)
		part[r] = emit_reshape(n, part[r], &apart);
	Op *o = op_begin(n, O_concat, (int)stride, part);
	attr_set_int(n->im->m, o, "axis", axis + 1);
	Val *v = op_end(n, o);
	s.dim[axis] = (int32_t)(s.dim[axis] * stride);
	return v ? emit_slice(n, emit_reshape(n, v, &s), axis, c->space.lo[i], 1, (int32_t)e[i].size) : 0;
}

static Val *emit_phases(Node *n, const Conv *c, Val *x, const Extent *e, int64_t *r, int i)
{
	if (i == c->space.n)
		return emit_phase(n, c, x, e, r);
	int64_t stride = c->space.stride[i];
	Val **part = NEWN(n->im->arena, Val *, stride);
	for (r[i] = 0; r[i] < stride; r[i]++)
		if (!(part[r[i]] = emit_phases(n, c, x, e, r, i + 1)))
			return 0;
	return stride == 1 ? part[0] : interleave(n, c, part, e, i);
}

static Val *emit_transposed(Node *n, const Conv *c, Val *x)
{
	Extent e[MAX_SPACE];
	int64_t r[MAX_SPACE] = { 0 }, phases = 1;
	for (int i = 0; i < c->space.n; i++) {
		if (!extent_of(n, c, i, x->type->dim[2 + i], &e[i]))
			return 0;
		phases *= c->space.stride[i];
	}
	if (phases > 64 || x->type->rank == MAX_RANK) {
		fail(n, "strides of more than 64 altogether are not supported");
		return 0;
	}
	return emit_phases(n, c, x, e, r, 0);
}

/* ---- one convolution, and again with other weights ------------------------------------------- */

static Val *emit(Node *n, Conv *c)
{
	Val *x = operand(n, c->x);
	if (!x)
		return 0;
	Op *last = n->im->f->body.last;
	if (c->transposed) {
		c->val = emit_transposed(n, c, x);
	} else {
		Axis axis[MAX_SPACE];
		const Space *s = &c->space;
		for (int i = 0; i < s->n; i++)
			axis[i] = (Axis){ s->kernel[i], s->stride[i], s->dilation[i], s->lo[i], s->hi[i] };
		c->val = emit_conv(n, c, x, c->weight, axis);
	}
	c->first = last ? last->next : n->im->f->body.first;
	return c->val;
}

Val *conv_scaled(Node *n, const Value *x, const float *scale, const float *shift)
{
	Import *im = n->im;
	Conv *c = im->convs;
	while (c && c->val != x->val)
		c = c->next;
	if (x->kind != V_RUN || x->uses != 1 || !c)
		return 0;
	float *w = NEWN(im->arena, float, c->M * c->C * c->K), *b = NEWN(im->arena, float, c->M);
	for (int64_t m = 0; m < c->M; m++) {
		for (int64_t k = 0; k < c->C * c->K; k++)
			w[m * c->C * c->K + k] = c->weight[m * c->C * c->K + k] * scale[m];
		b[m] = (c->bias ? c->bias[m] * scale[m] : 0) + shift[m];
	}
	Conv *new = NEW(im->arena, Conv);
	*new = *c;
	new->weight = w;
	new->bias = b;
	new->next = im->convs;
	im->convs = new;
	Op *end = c->val->def->next;
	for (Op *o = c->first, *next; o != end; o = next) {
		next = o->next;
		op_remove(&im->f->body, o);
	}
	c->val = 0;
	return emit(n, new);
}

/* ---- operators ------------------------------------------------------------------------------- */

static float *floats_of(Node *n, const Tensor *t)
{
	float *f = NEWN(n->im->arena, float, t->count);
	for (int64_t i = 0; i < t->count; i++)
		f[i] = (float)tensor_get(t, i);
	return f;
}

/* [C, M/groups, kernel] -> [M, C/groups, kernel] */
static float *swapped(Node *n, const Tensor *t, int64_t groups, int64_t K)
{
	int64_t C = t->dim[0] / groups, M = t->dim[1];
	float *f = NEWN(n->im->arena, float, t->count);
	for (int64_t g = 0; g < groups; g++)
		for (int64_t m = 0; m < M; m++)
			for (int64_t c = 0; c < C; c++)
				for (int64_t k = 0; k < K; k++)
					f[((g * M + m) * C + c) * K + k] =
						(float)tensor_get(t, ((g * C + c) * M + m) * K + k);
	return f;
}

static bool check_weights(Node *n, const Shape *x)
{
	const Value *w = n->in[1], *b = input(n, 2);
	for (int i = 0; i < n->nin; i++)
		if (n->in[i] && (is_whole(n->in[i]->type) || n->in[i]->type != n->in[0]->type))
			return fail(n, "operands are %s and %s", host_name(n->in[0]->type),
				    host_name(n->in[i]->type));
	if (!is_host(w) || (b && !is_host(b)))
		return fail(n, "operand '%s' is computed from the model's inputs; it must be a constant",
			    is_host(w) ? b->name : w->name);
	if (w->host->rank != x->rank)
		return fail(n, "the operand has %d dimensions, the weights %d", x->rank, w->host->rank);
	return true;
}

/* auto_pad and output_shape say how large the result is; the padding follows. */
static bool transposed_pads(Node *n, Conv *c, const Shape *x)
{
	Space *s = &c->space;
	const char *mode = get_string(n, "auto_pad", "NOTSET");
	bool same = !strncmp(mode, "SAME", 4), given = get_attr(n, "output_shape");
	int64_t size[MAX_SPACE];
	if (!entries_read(n, "output_padding", s->n, 0, 0, c->more)
	    || !entries_read(n, "output_shape", s->n, 1, 1, size))
		return false;
	for (int i = 0; i < s->n && (same || given); i++) {
		if (x->dim[2 + i] == DIM_T)
			return fail_fixed(n, "the size of the result is given");
		int64_t want = given ? size[i] : x->dim[2 + i] * s->stride[i];
		int64_t span = s->dilation[i] * (s->kernel[i] - 1) + 1;
		int64_t rest = s->stride[i] * (x->dim[2 + i] - 1) + c->more[i] + span - want;
		if (rest < 0)
			return fail(n, "a result of %lld elements along axis %d is more than there are",
				    (long long)want, 2 + i);
		s->lo[i] = !strcmp(mode, "SAME_UPPER") ? rest / 2 : rest - rest / 2;
		s->hi[i] = rest - s->lo[i];
	}
	return true;
}

static bool convolution(Node *n, bool transposed)
{
	Shape x = shape_of(n->in[0]);
	if (!check_weights(n, &x))
		return false;
	const Tensor *w = n->in[1]->host;
	const Value *b = input(n, 2);
	Conv *c = NEW(n->im->arena, Conv);
	*c = (Conv){ .x = n->in[0], .w = n->in[1], .transposed = transposed, .K = 1 };
	c->groups = get_int(n, "group", 1);
	if (!space_read(n, &x, w->dim + 2, transposed, &c->space))
		return false;
	bool some = c->groups >= 1 && x.dim[1] >= 1 && w->dim[0] >= 1 && w->dim[1] >= 1;
	if (!some || x.dim[1] % c->groups || w->dim[0] % c->groups)
		return fail(n, "%lld groups of %d channels", (long long)c->groups, x.dim[1]);
	c->C = x.dim[1] / c->groups;
	c->M = transposed ? w->dim[1] * c->groups : w->dim[0];
	if ((transposed ? w->dim[0] : w->dim[1]) != (transposed ? x.dim[1] : c->C))
		return fail(n, "the operand has %d channels; the weights do not fit", x.dim[1]);
	for (int i = 0; i < c->space.n; i++)
		c->K *= c->space.kernel[i];
	if (b && (b->host->rank != 1 || b->host->dim[0] != c->M))
		return fail(n, "the bias does not have one element for each of %lld channels",
			    (long long)c->M);
	if (transposed && !transposed_pads(n, c, &x))
		return false;
	if (!take_room(n, w->count * 4))
		return false;
	c->weight = transposed ? swapped(n, w, c->groups, c->K) : floats_of(n, w);
	c->bias = b ? floats_of(n, b->host) : 0;
	c->next = n->im->convs;
	n->im->convs = c;
	if (!emit(n, c))
		return false;
	set_run(n, 0, c->val, n->in[0]->type);
	return true;
}

bool op_conv(Node *n) { return convolution(n, false); }
bool op_conv_transpose(Node *n) { return convolution(n, true); }

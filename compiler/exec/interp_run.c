/* interp_run.c: the meaning of the loop level.  Slow and obvious: every access is checked, the arithmetic is
 * the C column of ops.def, compiled here. */
#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "exec/interp.h"

struct Held {                   /* memory of an `alloc`; lives until the function that made it returns */
	Held *next;
	_Alignas(MAX_LANE_BYTES) uint8_t bytes[];
};

static bool fail(Interp *in, const Op *o, const char *fmt, ...)
{
	char text[300];
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	const char *what = o->nin && o->in[0]->data ? o->in[0]->data->name : o->nin ? o->in[0]->name : 0;
	int n = o->loc.file ? snprintf(in->err, sizeof in->err, "%s:%d: ", o->loc.file, o->loc.line) : 0;
	if (n < 0 || (size_t)n >= sizeof in->err)
		n = 0;
	snprintf(in->err + n, sizeof in->err - (size_t)n, "%s%s%s: %s", op_info[o->kind].name, what ? " of " : "",
	         what ? what : "", text);
	return false;
}

/* ---- memory --------------------------------------------------------------------------------- */

int64_t shape_size(const Shape *s)
{
	int64_t n = s->size;
	for (int k = 0; k < s->rank; k++)
		if (*s->dim[k] <= 0 || __builtin_mul_overflow(n, (int64_t)*s->dim[k], &n))
			return *s->dim[k] <= 0 ? 0 : INT64_MAX;
	return n;
}

static int64_t get_int(const uint8_t *p, Elem e)
{
	union { int16_t h; int32_t w; int64_t l; } v;
	switch (e) {
	case E_i8:  return (int8_t)*p;
	case E_u8:  return *p;
	case E_i16: memcpy(&v.h, p, sizeof v.h); return v.h;
	case E_i64: memcpy(&v.l, p, sizeof v.l); return v.l;
	default:    memcpy(&v.w, p, sizeof v.w); return v.w;    /* i32, and the bits of f32 */
	}
}

static void put_int(uint8_t *p, Elem e, int64_t x)
{
	int16_t h = (int16_t)x;
	int32_t w = (int32_t)x;
	switch (e) {
	case E_i8: case E_u8: *p = (uint8_t)x; break;
	case E_i16: memcpy(p, &h, sizeof h); break;
	case E_i64: memcpy(p, &x, sizeof x); break;
	default:    memcpy(p, &w, sizeof w);
	}
}

static void load_lane(Cell *c, char klass, int lane, const uint8_t *p, Elem e)
{
	int64_t x = get_int(p, e);
	switch (klass) {
	case 'b': c->b[lane] = (int8_t)x; break;
	case 'h': c->h[lane] = (int16_t)x; break;
	case 'l': c->l[lane] = x; break;
	default:  c->w[lane] = (int32_t)x;      /* w, and s by its bits */
	}
}

static void store_lane(const Cell *c, char klass, int lane, uint8_t *p, Elem e)
{
	switch (klass) {
	case 'b': put_int(p, e, c->b[lane]); break;
	case 'h': put_int(p, e, c->h[lane]); break;
	case 'l': put_int(p, e, c->l[lane]); break;
	default:  put_int(p, e, c->w[lane]);
	}
}

/* The element that the indices name, `lane` of the last one.  Each index must be inside its dimension. */
static bool locate(Interp *in, const Insn *i, int lane, int64_t *at)
{
	const Place *p = i->u.place;
	int64_t n = 0;
	for (int k = 0; k < p->nidx; k++) {
		int32_t x = p->idx[k]->w[p->gather && k == p->nidx - 1 ? lane : 0];
		int32_t dim = *p->shape.dim[k];
		if (x < 0 || x >= dim)
			return fail(in, i->op, "index %d is %" PRId32 ", the dimension is %" PRId32, k, x, dim);
		n = n * dim + x;
	}
	for (int k = p->nidx; k < p->shape.rank; k++)
		n *= *p->shape.dim[k];
	*at = n * p->shape.size;
	return true;
}

/* Where the value's lanes lie: consecutive from the element named, or each where its index says. */
static bool lane_at(Interp *in, const Insn *i, int lane, int64_t *at)
{
	const Place *p = i->u.place;
	const Ref *r = &i->in[0]->ref;
	if ((lane == 0 || p->gather) && !locate(in, i, lane, at))
		return false;
	if (lane > 0 && !p->gather)
		*at += p->shape.size;
	if (*at + p->shape.size > r->size)
		return fail(in, i->op, "lane %d is at byte %" PRId64 " of %" PRId64, lane, *at, r->size);
	return true;
}

static bool load(Interp *in, const Insn *i)
{
	const Place *p = i->u.place;
	int64_t at = 0;
	for (int j = 0; j < i->lanes; j++) {
		if (!lane_at(in, i, j, &at))
			return false;
		load_lane(i->out, p->klass, j, i->in[0]->ref.p + at, p->shape.elem);
	}
	return true;
}

static bool store(Interp *in, const Insn *i)
{
	const Place *p = i->u.place;
	int64_t at = 0;
	if (i->in[0]->ref.constant)
		return fail(in, i->op, "a store to data or to an input");
	for (int j = 0; j < i->lanes; j++) {
		if (!lane_at(in, i, j, &at))
			return false;
		store_lane(i->in[1], p->klass, j, i->in[0]->ref.p + at, p->shape.elem);
	}
	return true;
}

static bool view(Interp *in, const Insn *i)
{
	const Place *p = i->u.place;
	const Ref *r = &i->in[0]->ref;
	int64_t at = 0, size = shape_size(&p->view);
	bool over = false;
	for (int k = 0; k < p->shape.rank; k++) {
		over |= __builtin_mul_overflow(at, (int64_t)*p->shape.dim[k], &at);
		over |= k < p->nidx && __builtin_add_overflow(at, (int64_t)p->idx[k]->w[0], &at);
	}
	over |= __builtin_mul_overflow(at, (int64_t)p->shape.size, &at);
	if (over || at < 0 || at > r->size || size > r->size - at)
		return fail(in, i->op, "%" PRId64 " bytes at byte %" PRId64 " of %" PRId64, size, at, r->size);
	if (p->aligned && (uintptr_t)(r->p + at) % (size_t)p->view.size)
		return fail(in, i->op, "byte %" PRId64 " is not aligned to its elements", at);
	i->out->ref = (Ref){ r->p + at, size, r->constant };
	return true;
}

static bool alloc(Interp *in, const Insn *i)
{
	int64_t size = shape_size(i->u.alloc);
	Held *h = size < INT64_C(1) << 40 ? aligned_alloc(MAX_LANE_BYTES, sizeof *h + (size_t)(size | 63) + 1) : 0;
	if (!h)
		return fail(in, i->op, "out of memory: %" PRId64 " bytes", size);
	memset(h->bytes, 0xA5, (size_t)size);
	h->next = in->held;
	in->held = h;
	i->out->ref = (Ref){ h->bytes, size, false };
	return true;
}

/* ---- control -------------------------------------------------------------------------------- */

static bool run(Interp *in, const Insn *i);

static bool loop(Interp *in, const Insn *i)
{
	const Loop *l = i->u.loop;
	int32_t n = i->in[0]->w[0];
	for (int k = 0; k < l->ncarry; k++)
		*l->arg[k] = *l->init[k];
	in->executed[O_for] += n > 0 ? n - 1 : -1;      /* run() counted one */
	for (int32_t t = 0; t < n; t++) {
		l->counter->w[0] = t;
		if (!run(in, l->body))
			return false;
		for (int k = 0; k < l->ncarry; k++)     /* all are read before any changes */
			l->hold[k] = *l->next[k];
		for (int k = 0; k < l->ncarry; k++)
			*l->arg[k] = l->hold[k];
	}
	for (int k = 0; k < l->ncarry; k++)
		*l->out[k] = *l->arg[k];
	return true;
}

/* A function's references must not overlap if one of them is stored to: backends tell their compilers so. */
static bool apart(const Code *c, int n)
{
	for (int k = 0; k < n; k++) {
		const Val *v = c->func->param[k];
		if (v->type->form != T_REF || !c->written[v->id])
			continue;
		const Ref *a = &c->cell[v->id].ref;
		for (int j = 0; j < n; j++) {
			const Ref *b = &c->cell[c->func->param[j]->id].ref;
			if (j != k && c->func->param[j]->type->form == T_REF && a->size && b->size &&
			    a->p < b->p + b->size && b->p < a->p + a->size)
				return false;
		}
	}
	return true;
}

static bool call(Interp *in, const Insn *i)
{
	Code *c = i->u.call->callee;
	int n = c->func->nparam;
	bool refs = false;
	for (int k = 0; k < n; k++)
		c->cell[c->func->param[k]->id] = *i->u.call->arg[k];
	for (int k = 0; k < n; k++) {
		if (c->func->param[k]->type->form != T_REF)
			continue;
		Ref *r = &c->cell[c->func->param[k]->id].ref;
		int64_t size = shape_size(&c->param[k]);
		if (size > r->size)
			return fail(in, i->op, "argument %d of @%s has %" PRId64 " bytes, %" PRId64 " are wanted", k,
			            c->func->name, r->size, size);
		r->size = size;
		refs = true;
	}
	if (refs && !apart(c, n))
		return fail(in, i->op, "arguments of @%s overlap and one is stored to", c->func->name);
	if (!interp_enter(in, c))
		return false;
	if (i->out)
		*i->out = *c->result;
	return true;
}

static bool run(Interp *in, const Insn *i)
{
	for (;; i++) {
		in->executed[i->kind] += i->lanes;
		switch (i->kind) {
#define T_b int8_t
#define T_h int16_t
#define T_w int32_t
#define T_l int64_t
#define T_s float
#define LANE(n, k, R)   T_##R n = i->in[k]->R[j * i->stride[k]];
#define LANE_b(n, k)    LANE(n, k, b)
#define LANE_h(n, k)    LANE(n, k, h)
#define LANE_w(n, k)    LANE(n, k, w)
#define LANE_l(n, k)    LANE(n, k, l)
#define LANE_s(n, k)    LANE(n, k, s)
#define LANE_x(n, k)
#define SCALAR(name, R, A, B, C, c_text, ...) \
		case O_##name: \
			for (int j = 0; j < i->lanes; j++) { \
				LANE_##A(a, 0) LANE_##B(b, 1) LANE_##C(c, 2) \
				i->out->R[j] = c_text; \
			} \
			continue;
#define LANES(n, k, R)  const T_##R *n = i->in[k]->R;
#define LANES_b(n, k)   LANES(n, k, b)
#define LANES_h(n, k)   LANES(n, k, h)
#define LANES_w(n, k)   LANES(n, k, w)
#define LANES_l(n, k)   LANES(n, k, l)
#define LANES_s(n, k)   LANES(n, k, s)
#define LANES_x(n, k)
#define VECTOR(name, R, r, A, la, B, lb, C, lc, c_text, ...) \
		case O_##name: { \
			LANES_##A(a, 0) LANES_##B(b, 1) LANES_##C(c, 2) \
			const int n = i->unit; \
			(void)n; \
			for (int j = 0; j < i->lanes; j++) \
				i->out->R[j] = c_text; \
			continue; \
		}
#include "ir/ops.def"
		case O_load:  if (!load(in, i)) return false; continue;
		case O_store: if (!store(in, i)) return false; continue;
		case O_view:  if (!view(in, i)) return false; continue;
		case O_alloc: if (!alloc(in, i)) return false; continue;
		case O_for:   if (!loop(in, i)) return false; continue;
		case O_call:  if (!call(in, i)) return false; continue;
		case O_ret:   continue;
		default:      return true;      /* O_NONE */
		}
	}
}

bool interp_enter(Interp *in, Code *c)
{
	Held *before = in->held;
	bool ok = run(in, c->first);
	while (in->held != before) {
		Held *h = in->held;
		in->held = h->next;
		free(h);
	}
	return ok;
}

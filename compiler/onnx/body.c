/* body.c: the step function of a Loop or Scan: what it takes from the function around it, and the op that
 * calls it. */
#include "onnx/body.h"

#include <string.h>

typedef struct Part Part;

/* A parameter or state of the step function, and what the scan gives for it. */
struct Part {
	Value *inside, *whole;
	Val *outside;
	int axis;
	int64_t at, step;       /* sequences: where they are sliced */
	Val *next;              /* states */
	bool counter;           /* a state that counts: next is made when it is needed */
	Part *link;
};

typedef struct { Val *val; int64_t axis; } Result;

struct Body {
	Node *n;
	Import *im;
	Func *f, *around;
	Table *names_around;
	int32_t steps;
	Part *seq, *state, *inv;
	Result *result;
	int nresult;
};

/* ---- inside and outside -------------------------------------------------------------------- */

static Table *go_outside(Body *b)
{
	Table *names = b->im->val_names;
	b->im->f = b->around;
	b->im->val_names = b->names_around;
	return names;
}

static void go_inside(Body *b, Table *names)
{
	b->im->f = b->f;
	b->im->val_names = names;
}

Body *body_begin(Node *n, const char *name, int32_t steps)
{
	Import *im = n->im;
	Body *b = NEW(im->arena, Body);
	*b = (Body){ .n = n, .im = im, .around = im->f, .names_around = im->val_names, .steps = steps };
	b->f = func_new(im->m, name);
	go_inside(b, table_new(im->arena, 64));
	im->time_seen |= steps == DIM_T;
	return b;
}

void body_abandon(Body *b)
{
	go_outside(b);
}

static Part *add_part(Body *b, Part **list, const char *name, HostType type, Val *v)
{
	Part *p = NEW(b->im->arena, Part);
	p->inside = NEW(b->im->arena, Value);
	*p->inside = (Value){.name = name, .kind = V_RUN, .type = type, .val = v, .uses = 2, .producer = -1};
	while (*list)
		list = &(*list)->link;
	return *list = p;
}

Value *body_capture(Body *b, Value *v)
{
	if (v->kind != V_RUN || v->val->data)
		return v;
	for (Part *p = b->inv; p; p = p->link)
		if (p->whole == v)
			return p->inside;
	Part *p = add_part(b, &b->inv, v->name, v->type, add_param(b->im, v->name, v->val->type));
	p->whole = p->inside->outer = v;
	p->outside = v->val;
	return p->inside;
}

/* ---- sequences ----------------------------------------------------------------------------- */

/* Can `count` steps be taken from an axis of this size? */
static bool in_range(int32_t size, int64_t at, int64_t step, int32_t count)
{
	if (size == DIM_T || count == DIM_T)
		return size == count && ((at == 0 && step == 1) || (at == -1 && step == -1));
	int64_t last;
	return !__builtin_mul_overflow(step, (int64_t)count - 1, &last) &&
	       !__builtin_add_overflow(last, at, &last) && step && at >= 0 && at < size && last >= 0 &&
	       last < size;
}

Value *body_sequence(Body *b, Value *whole, int axis, int64_t at, int64_t step)
{
	for (Part *p = b->seq; p; p = p->link)
		if (p->whole == whole && p->axis == axis && p->at == at && p->step == step)
			return p->inside;
	Shape s = shape_of(whole);
	if (!in_range(s.dim[axis], at, step, b->steps))
		return 0;
	Table *names = go_outside(b);
	Val *x = operand(b->n, whole);
	if (x)
		x = emit_slice(b->n, x, axis, at, step, b->steps);
	go_inside(b, names);
	if (!x)
		return 0;
	memmove(&s.dim[axis], &s.dim[axis + 1], sizeof *s.dim * (size_t)(s.rank - axis - 1));
	s.rank--;
	Val *v = add_param(b->im, whole->name, type_like(b->im->m, x->type, s.rank, s.dim));
	Part *p = add_part(b, &b->seq, whole->name, whole->type, v);
	p->whole = whole;
	p->outside = x;
	p->axis = axis;
	p->at = at;
	p->step = step;
	return p->inside;
}

/* ---- counters ------------------------------------------------------------------------------ */

static Val *scalar_data(Body *b, HostType type, int64_t v)
{
	Tensor *t = host_new(b->n, type, 0, 0);
	if (t)
		tensor_set_int(t, 0, v);
	return t ? operand_data(b->n, "count", type, t) : 0;
}

static Part *add_state(Body *b, const char *name, HostType type, Val *init)
{
	Val *v = func_state(b->im->m, b->f, name, init->type, 0);
	*table_at(b->im->val_names, v->name) = (void *)1;
	Part *p = add_part(b, &b->state, name, type, v);
	p->outside = init;
	return p;
}

/* Of a known number of steps the sequence of its values; else a state that counts. */
Value *body_counter(Body *b, HostType type, int64_t start, int64_t step)
{
	Part *p;
	if (b->steps == DIM_T) {
		Val *init = scalar_data(b, type, start);
		if (!init)
			return 0;
		p = add_state(b, "count", type, init);
		p->counter = true;
	} else {
		Tensor *t = host_new(b->n, H_I64, 1, &(int64_t){ b->steps });
		for (int64_t i = 0; t && i < b->steps; i++)
			tensor_set_int(t, i, start + step * i);
		Val *all = t ? operand_data(b->n, "count", H_I64, t) : 0;
		if (!all)
			return 0;
		p = add_part(b, &b->seq, "count", type,
			     add_param(b->im, "count", type_tensor(b->im->m, E_i32, 0, 0)));
		p->outside = all;
	}
	p->step = step;
	LoopCount *c = NEW(b->im->arena, LoopCount);
	*c = (LoopCount){ b, start, step };
	p->inside->count = c;
	return p->inside;
}

static const Value *one_known(const Value *v)
{
	return is_host(v) && !v->steps && is_whole(v->type) && v->host->count == 1 ? v : 0;
}

static bool is_op(const Node *n, const char *name)
{
	return !strcmp(n->p->op_type, name);
}

/* i + 1, and i in other shapes or types. */
void body_track(Node *n)
{
	Value *y = result(n, 0), *a = input(n, 0), *b = input(n, 1);
	if (!y || y->same || y->kind != V_RUN || !is_whole(y->type) || !a || n->nout != 1)
		return;
	LoopCount c = { 0 };
	bool shape = is_op(n, "Reshape") || is_op(n, "Squeeze") || is_op(n, "Unsqueeze") || is_op(n, "Cast");
	if (a->count && shape)
		c = *a->count;
	else if (a->count && (is_op(n, "Add") || is_op(n, "Sub")) && one_known(b)) {
		int64_t by = tensor_get_int(b->host, 0);
		c = *a->count;
		c.start += is_op(n, "Add") ? by : -by;
	} else if (b && b->count && is_op(n, "Add") && one_known(a)) {
		c = *b->count;
		c.start += tensor_get_int(a->host, 0);
	} else if (b && b->count && is_op(n, "Sub") && one_known(a)) {
		c = *b->count;
		c.start = tensor_get_int(a->host, 0) - c.start;
		c.step = -c.step;
	} else {
		return;
	}
	LoopCount *keep = NEW(n->im->arena, LoopCount);
	*keep = c;
	y->count = keep;
}

bool body_gather(Node *n, int axis, bool *done)
{
	Value *x = n->in[0], *index = n->in[1];
	const LoopCount *c = index->count;
	*done = false;
	if (!c || c->body->f != n->im->f || (x->kind == V_RUN && !x->outer))
		return true;
	Shape s = shape_of(index), xs = shape_of(x);
	int64_t at = c->start, size = xs.dim[axis];
	int steps;
	if (shape_const(&s, 0, s.rank, &steps) != 1 || steps)
		return true;
	if (size != DIM_T && at < 0 && at + size >= 0)
		at += size;
	Value *v = body_sequence(c->body, x->outer ? x->outer : x, axis, at, c->step);
	if (!v)
		return true;
	xs.dim[axis] = 1;
	memmove(&xs.dim[axis + s.rank], &xs.dim[axis + 1], sizeof *xs.dim * (size_t)(xs.rank - axis - 1));
	for (int i = 0; i < s.rank; i++)
		xs.dim[axis + i] = 1;
	xs.rank += s.rank - 1;
	set_run(n, 0, emit_reshape(n, v->val, &xs), x->type);
	*done = true;
	return true;
}

/* ---- states and results -------------------------------------------------------------------- */

Value *body_state(Body *b, const char *name, Value *init)
{
	Table *names = go_outside(b);
	Val *v = operand(b->n, init);
	go_inside(b, names);
	return v ? add_state(b, name, init->type, v)->inside : 0;
}

bool body_next(Body *b, Value *state, Value *v)
{
	char from[128], to[128];
	Val *next = operand(b->n, v);
	if (!next)
		return false;
	if (next->type != state->val->type || v->type != state->type)
		return fail(b->n, "state '%s' is %s before a step and %s after it; it must keep its type",
			    state->name, type_text(state->val->type, from, sizeof from),
			    type_text(next->type, to, sizeof to));
	for (Part *p = b->state; p; p = p->link)
		if (p->inside == state)
			p->next = next;
	return true;
}

void body_result(Body *b, Value *v, int axis)
{
	Result *r = NEWN(b->im->arena, Result, b->nresult + 1);
	if (b->nresult)
		memcpy(r, b->result, sizeof *r * (size_t)b->nresult);
	r[b->nresult++] = (Result){ operand(b->n, v), axis };
	b->result = r;
}

/* ---- finish -------------------------------------------------------------------------------- */

static bool is_used(const Body *b, const Val *v)
{
	for (int i = 0; i < b->nresult; i++)
		if (b->result[i].val == v)
			return true;
	for (const Part *p = b->state; p; p = p->link)
		if (p->next == v)
			return true;
	for (const Op *o = b->f->body.first; o; o = o->next)
		for (int i = 0; i < o->nin; i++)
			if (o->in[i] == v)
				return true;
	return false;
}

/* Counters that are needed count on; the others go. */
static void settle_counters(Body *b)
{
	int n = 0;
	for (Part **at = &b->state; *at; ) {
		Part *p = *at;
		if (p->counter && !is_used(b, p->inside->val)) {
			*at = p->link;
			continue;
		}
		if (p->counter)
			p->next =
				emit2(b->n, O_add, p->inside->val, scalar_data(b, p->inside->type, p->step));
		b->f->state[n++] = p->inside->val;
		at = &p->link;
	}
	b->f->nstate = n;
}

static void drop_unused(Body *b, Part **list)
{
	for (Part **at = list; *at; )
		if (!is_used(b, (*at)->inside->val))
			*at = (*at)->link;
		else
			at = &(*at)->link;
}

static int count_parts(const Part *p)
{
	int n = 0;
	for (; p; p = p->link)
		n++;
	return n;
}

/* next and ret, and the parameters in the order that scan has them. */
static void close_function(Body *b)
{
	Module *m = b->im->m;
	int nstate = b->f->nstate, k = 0;
	Val **next = NEWN(b->im->arena, Val *, 2 * nstate);
	for (Part *p = b->state; p; p = p->link) {
		next[k++] = p->inside->val;
		next[k++] = p->next;
	}
	if (k)
		op_new(m, &b->f->body, O_next, k, next);
	Op *ret = op_new(m, &b->f->body, O_ret, b->nresult, 0);
	for (int i = 0; i < b->nresult; i++) {
		ret->in[i] = b->result[i].val;
		func_ret(m, b->f, ret->in[i]->type);
	}
	k = 0;
	for (Part *p = b->seq; p; p = p->link)
		b->f->param[k++] = p->inside->val;
	for (Part *p = b->inv; p; p = p->link)
		b->f->param[k++] = p->inside->val;
	b->f->nparam = k;
	func_renumber(b->f);
}

static Op *call_function(Body *b, bool reverse)
{
	Module *m = b->im->m;
	int nseq = count_parts(b->seq), nstate = b->f->nstate, n = 0;
	Val **in = NEWN(b->im->arena, Val *, nseq + nstate + b->f->nparam);
	int64_t *axis = NEWN(b->im->arena, int64_t, nseq),
		*out_axis = NEWN(b->im->arena, int64_t, b->nresult);
	const char **keep = NEWN(b->im->arena, const char *, b->nresult);
	for (Part *p = b->seq; p; p = p->link) {
		axis[n] = p->axis;
		in[n++] = p->outside;
	}
	for (Part *p = b->state; p; p = p->link)
		in[n++] = p->outside;
	for (Part *p = b->inv; p; p = p->link)
		in[n++] = p->outside;
	for (int i = 0; i < b->nresult; i++) {
		out_axis[i] = b->result[i].axis;
		keep[i] = "all";
	}
	Op *o = op_begin(b->n, O_scan, n, in);
	o->callee = b->f;
	attr_set_int(m, o, "seq", nseq);
	attr_set_int(m, o, "init", nstate);
	attr_set_ints(m, o, "axis", nseq, axis);
	if (b->nresult) {
		attr_set_ints(m, o, "out_axis", b->nresult, out_axis);
		attr_set_strings(m, o, "keep", b->nresult, keep);
	}
	if (reverse)
		attr_set_int(m, o, "reverse", 1);
	return b->nresult + nstate == 0 || op_end(b->n, o) ? o : 0;
}

Op *body_finish(Body *b, bool reverse)
{
	settle_counters(b);
	Part *first = b->seq;
	drop_unused(b, &b->seq);
	drop_unused(b, &b->inv);
	if (!b->seq && first) {         /* something must say how many steps there are */
		b->seq = first;
		first->link = 0;
	}
	for (int i = 0; i < b->nresult; i++)
		if (!b->result[i].val) {
			body_abandon(b);
			return 0;
		}
	close_function(b);
	go_outside(b);
	if (!b->seq) {
		fail(b->n, "it reads no sequence step by step, so that the number of steps must be fixed");
		return 0;
	}
	return call_function(b, reverse);
}

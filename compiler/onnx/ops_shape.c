/* ops_shape.c: the shape of a tensor, and operators that change nothing else. */
#include "onnx/operators.h"

#include <string.h>

/* ---- Shape, Size --------------------------------------------------------------------------- */

static Sym dim_sym(int32_t d)
{
	return d == DIM_T ? (Sym){ 1, 0 } : (Sym){ 0, d };
}

bool op_shape(Node *n)
{
	Shape s = shape_of(n->in[0]);
	int64_t from = get_int(n, "start", 0), to = get_int(n, "end", s.rank);
	from = from < -s.rank ? 0 : from < 0 ? from + s.rank : from > s.rank ? s.rank : from;
	to = to < -s.rank ? 0 : to < 0 ? to + s.rank : to > s.rank ? s.rank : to;
	int64_t count = to > from ? to - from : 0;
	Tensor *t = host_new(n, H_I64, 1, &count);
	if (!t)
		return false;
	int64_t *steps = steps_new(n, count);
	for (int64_t i = 0; i < count; i++) {
		Sym d = dim_sym(s.dim[from + i]);
		steps[i] = d.a;
		tensor_set_int(t, i, d.b);
	}
	set_host(n, 0, t, steps);
	return true;
}

bool op_size(Node *n)
{
	Shape s = shape_of(n->in[0]);
	Sym size = { 0, 1 };
	for (int i = 0; i < s.rank; i++)
		if (!sym_fail(n, sym_mul(size, dim_sym(s.dim[i]), &size)))
			return false;
	Tensor *t = host_new(n, H_I64, 0, 0);
	if (!t)
		return false;
	int64_t *steps = steps_new(n, 1);
	steps[0] = size.a;
	tensor_set_int(t, 0, size.b);
	set_host(n, 0, t, steps);
	return true;
}

/* ---- the same elements, another shape ------------------------------------------------------- */

static bool same_elements(Node *n, Value *x, const Shape *s)
{
	if (s->rank > MAX_RANK)
		return fail(n, "the result has %d dimensions; %d are supported", s->rank, MAX_RANK);
	if (is_host(x)) {
		int64_t dim[MAX_RANK];
		for (int i = 0; i < s->rank; i++)
			dim[i] = s->dim[i];
		host_reshaped(n, result(n, 0), x, s->rank, dim);
		return true;
	}
	set_run(n, 0, emit_reshape(n, x->val, s), x->type);
	return true;
}

/* A number of elements c * T^p. */
typedef struct { int64_t c; int p; } Count;

static bool count_dim(Count *k, Sym d)
{
	k->p += d.a != 0;
	return !(d.a && d.b) && !__builtin_mul_overflow(k->c, d.a ? d.a : d.b, &k->c);
}

/* Replace 0 (as in the operand) and -1 (what is left) in the wanted shape. */
static bool complete_shape(Node *n, const Shape *have, Sym *want, int rank)
{
	Count all = { 1, 0 }, known = { 1, 0 };
	int open = -1;
	bool allow_zero = get_int(n, "allowzero", 0);
	for (int i = 0; i < have->rank; i++)
		if (!count_dim(&all, dim_sym(have->dim[i])))
			return fail(n, "the operand's size overflows");
	for (int i = 0; i < rank; i++) {
		if (!want[i].a && !want[i].b && !allow_zero) {
			if (i >= have->rank)
				return fail(n, "the shape takes dimension %d from an operand that has %d", i,
					    have->rank);
			want[i] = dim_sym(have->dim[i]);
		}
		if (!want[i].a && want[i].b == -1) {
			if (open >= 0)
				return fail(n, "the shape leaves two dimensions open (-1)");
			open = i;
			continue;
		}
		if (!want[i].a && want[i].b < 0)
			return fail(n, "dimension %d of the shape is %lld", i, (long long)want[i].b);
		if (!count_dim(&known, want[i]))
			return want[i].a ? fail_fixed(n, "a shape is a sum with it")
					 : fail(n, "the shape's size overflows");
	}
	if (open >= 0) {
		int p = all.p - known.p;
		if (known.c == 0)
			return fail(n, "the shape leaves a dimension open beside one of size 0");
		if (p < 0 || p > 1 || all.c % known.c)
			return all.p || known.p ? fail_fixed(n, "whether the shape fits depends on it")
						: fail(n, "%lld elements cannot be arranged in rows of %lld",
						       (long long)all.c, (long long)known.c);
		want[open] = p ? (Sym){ all.c / known.c, 0 } : (Sym){ 0, all.c / known.c };
		return true;
	}
	if (all.c == known.c && all.p == known.p)
		return true;
	if (all.p || known.p)
		return fail_fixed(n, "whether the shape fits depends on it");
	return fail(n, "the operand has %lld elements, the shape %lld", (long long)all.c, (long long)known.c);
}

bool shape_from(Node *n, const Sym *dim, int rank, Shape *s)
{
	s->rank = rank;
	for (int i = 0; i < rank; i++) {
		if (dim[i].a == 1 && dim[i].b == 0) {
			s->dim[i] = DIM_T;
		} else if (dim[i].a) {
			return fail_fixed(n, "a dimension is a multiple of it or a sum with it");
		} else if (dim[i].b < 0 || dim[i].b > INT32_MAX) {
			return fail(n, "dimension %d would be %lld", i, (long long)dim[i].b);
		} else {
			s->dim[i] = (int32_t)dim[i].b;
		}
	}
	return true;
}

bool op_reshape(Node *n)
{
	Sym want[MAX_RANK];
	int rank;
	Shape have = shape_of(n->in[0]), s;
	const Onnx__Attribute *old = get_attr(n, "shape");
	if (old) {
		if (old->n_ints > MAX_RANK)
			return fail(n, "the shape has %zu dimensions; %d are supported", old->n_ints,
				    MAX_RANK);
		rank = (int)old->n_ints;
		for (int i = 0; i < rank; i++)
			want[i] = (Sym){ 0, old->ints[i] };
	} else if (!input_syms(n, 1, want, MAX_RANK, &rank)) {
		return false;
	}
	return complete_shape(n, &have, want, rank) && shape_from(n, want, rank, &s) &&
	       same_elements(n, n->in[0], &s);
}

bool op_squeeze(Node *n)
{
	Shape have = shape_of(n->in[0]), s = { 0 };
	int64_t axes[MAX_RANK];
	int count, axis;
	bool drop[MAX_RANK] = { 0 };
	if (!list_arg(n, "axes", 1, axes, MAX_RANK, &count))
		return false;
	for (int i = 0; i < count; i++) {
		if (!in_axis(n, axes[i], have.rank, &axis))
			return false;
		if (have.dim[axis] == DIM_T)
			return fail_fixed(n, "its axis is dropped, which is right for one step only");
		if (have.dim[axis] != 1)
			return fail(n, "axis %d has size %d; only axes of size 1 can be dropped", axis,
				    have.dim[axis]);
		drop[axis] = true;
	}
	for (int i = 0; i < have.rank; i++) {
		if (count < 0 && have.dim[i] == DIM_T)
			return fail_fixed(n, "axes of size 1 are dropped, whichever they are");
		if (count < 0 ? have.dim[i] != 1 : !drop[i])
			s.dim[s.rank++] = have.dim[i];
	}
	return same_elements(n, n->in[0], &s);
}

bool op_unsqueeze(Node *n)
{
	Shape have = shape_of(n->in[0]), s = { 0 };
	int64_t axes[MAX_RANK];
	int count, axis, from = 0;
	bool add[MAX_RANK] = { 0 };
	if (!list_arg(n, "axes", 1, axes, MAX_RANK, &count))
		return false;
	if (count < 0)
		return fail(n, "has no axes");
	s.rank = have.rank + count;
	if (s.rank > MAX_RANK)
		return fail(n, "the result has %d dimensions; %d are supported", s.rank, MAX_RANK);
	for (int i = 0; i < count; i++) {
		if (!in_axis(n, axes[i], s.rank, &axis))
			return false;
		if (add[axis])
			return fail(n, "axis %d comes twice", axis);
		add[axis] = true;
	}
	for (int i = 0; i < s.rank; i++)
		s.dim[i] = add[i] ? 1 : have.dim[from++];
	return same_elements(n, n->in[0], &s);
}

bool op_flatten(Node *n)
{
	Shape have = shape_of(n->in[0]), s = { .rank = 2 };
	int64_t a = get_int(n, "axis", 1);
	int axis = (int)a, cut[] = { 0, 0, have.rank };
	if (a != have.rank && !in_axis(n, a, have.rank, &axis))
		return false;
	cut[1] = axis;
	for (int i = 0; i < 2; i++) {
		int t;
		s.dim[i] = shape_const(&have, cut[i], cut[i + 1], &t);
		if (s.dim[i] < 0)
			return fail(n, "the result's size overflows");
		if (t > 1 || (t && s.dim[i] != 1))
			return fail_fixed(n, "it is joined with other dimensions");
		if (t)
			s.dim[i] = DIM_T;
	}
	return same_elements(n, n->in[0], &s);
}

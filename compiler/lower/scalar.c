/* scalar.c: the arithmetic of each element-wise op on registers, in float, plain integers and fixed point. */
#include "lower/lower.h"

#include <math.h>
#include <string.h>

/* ---- float -------------------------------------------------------------------------------------------------- */

static Func *math_f32(Frame *fr, const char *name)
{
	Lower *l = fr->l;
	bool plain = !strcmp(name, "exp_s") || !strcmp(name, "log_s") || !strcmp(name, "sqrt_s");
	if (plain)
		return kernel_get(l, name, l->isa, 0, 0);
	Func *e = math_f32(fr, "exp_s"), *g = math_f32(fr, "log_s"), *r = math_f32(fr, "sqrt_s");
	if (!e || !g || !r)
		return 0;
	Sym sym[] = {{"EXP", e->name}, {"LOG", g->name}, {"SQRT", r->name}};
	return kernel_get(l, name, l->isa, 3, sym);
}

static Val *call_f32(Frame *fr, const char *name, Val *a, Val *b)
{
	Func *f = math_f32(fr, name);
	if (!f) {
		fr->failed = true;
		return a;
	}
	Val *in[2] = {a, b};
	Op *o = op_new(fr->l->m, fr->b, O_call, b ? 2 : 1, in);
	o->callee = f;
	return op_out(fr->l->m, fr->f, o, 0, reg_s(fr));
}

static Val *s2(Frame *fr, OpKind k, Val *a, Val *b) { return e_op(fr, k, reg_s(fr), 2, a, b); }
static Val *sc(Frame *fr, OpKind k, Val *a, float b) { return s2(fr, k, a, e_s(fr, b)); }
static Val *sel(Frame *fr, Val *c, Val *a, Val *b) { return e_op(fr, O_sels, reg_s(fr), 3, c, a, b); }
static Val *lt(Frame *fr, Val *a, Val *b) { return e_op(fr, O_lts, reg_w(fr), 2, a, b); }
static Val *fabs_s(Frame *fr, Val *a)
{
	Val *b = e_op(fr, O_bits, reg_w(fr), 1, a);
	return e_op(fr, O_fbits, reg_s(fr), 1, e_op(fr, O_andw, reg_w(fr), 2, b, e_w(fr, 0x7fffffff)));
}
static Val *clamp_s(Frame *fr, Val *a, float lo, float hi) { return sc(fr, O_mins, sc(fr, O_maxs, a, lo), hi); }

/* log(1 + e^a) without overflow: max(a, 0) + log(1 + e^-|a|). */
static Val *softplus_s(Frame *fr, Val *a)
{
	Val *e = call_f32(fr, "exp_s", sc(fr, O_muls, fabs_s(fr, a), -1), 0);
	return s2(fr, O_adds, sc(fr, O_maxs, a, 0), call_f32(fr, "log_s", sc(fr, O_adds, e, 1), 0));
}

static Val *elu_s(Frame *fr, Val *a, float alpha)
{
	Val *e = sc(fr, O_subs, call_f32(fr, "exp_s", sc(fr, O_mins, a, 0), 0), 1);
	return sel(fr, lt(fr, a, e_s(fr, 0)), sc(fr, O_muls, e, alpha), a);
}

/* y where |a| < 2^23; larger ones are whole already. */
static Val *if_small(Frame *fr, Val *a, Val *y)
{
	return sel(fr, lt(fr, fabs_s(fr, a), e_s(fr, 0x1p23f)), y, a);
}

static Val *floor_s(Frame *fr, Val *a)
{
	Val *t = e_op(fr, O_itof, reg_s(fr), 1, e_op(fr, O_ftoi, reg_w(fr), 1, a));
	return if_small(fr, a, sel(fr, lt(fr, a, t), sc(fr, O_subs, t, 1), t));
}

/* Adding 2^23 leaves no room for a fraction: the addition itself rounds, halves to even. */
static Val *round_s(Frame *fr, Val *a)
{
	Val *r = sc(fr, O_subs, sc(fr, O_adds, fabs_s(fr, a), 0x1p23f), 0x1p23f);
	return if_small(fr, a, sel(fr, lt(fr, a, e_s(fr, 0)), sc(fr, O_muls, r, -1), r));
}

static Val *op_f32(Frame *fr, const Op *o, Val *a, Val *b, Val *c)
{
	float alpha = attr_float(o, "alpha", 0), beta = attr_float(o, "beta", 0);
	switch (o->kind) {
	case O_add: return s2(fr, O_adds, a, b);
	case O_sub: return s2(fr, O_subs, a, b);
	case O_mul: return s2(fr, O_muls, a, b);
	case O_div: return s2(fr, O_divs, a, b);
	case O_min: return s2(fr, O_mins, a, b);
	case O_max: return s2(fr, O_maxs, a, b);
	case O_pow: return call_f32(fr, "pow_s", a, b);
	case O_neg: return sc(fr, O_muls, a, -1);
	case O_abs: return fabs_s(fr, a);
	case O_relu: return sc(fr, O_maxs, a, 0);
	case O_sigmoid: return call_f32(fr, "sigmoid_s", a, 0);
	case O_tanh: return call_f32(fr, "tanh_s", a, 0);
	case O_exp: return call_f32(fr, "exp_s", a, 0);
	case O_log: return call_f32(fr, "log_s", a, 0);
	case O_sqrt: return call_f32(fr, "sqrt_s", a, 0);
	case O_erf: return call_f32(fr, "erf_s", a, 0);
	case O_affine: return sc(fr, O_adds, sc(fr, O_muls, a, alpha), beta);
	case O_leakyrelu: return sel(fr, lt(fr, a, e_s(fr, 0)), sc(fr, O_muls, a, alpha), a);
	case O_thresholdedrelu: return sel(fr, lt(fr, e_s(fr, alpha), a), a, e_s(fr, 0));
	case O_scaledtanh: return sc(fr, O_muls, call_f32(fr, "tanh_s", sc(fr, O_muls, a, beta), 0), alpha);
	case O_hardsigmoid: return clamp_s(fr, sc(fr, O_adds, sc(fr, O_muls, a, alpha), beta), 0, 1);
	case O_elu: return elu_s(fr, a, alpha);
	case O_softsign: return s2(fr, O_divs, a, sc(fr, O_adds, fabs_s(fr, a), 1));
	case O_softplus: return softplus_s(fr, a);
	case O_floor: return floor_s(fr, a);
	case O_round: return round_s(fr, a);
	case O_clip: return clamp_s(fr, a, attr_float(o, "lo", -INFINITY), attr_float(o, "hi", INFINITY));
	case O_eq: return e_op(fr, O_eqs, reg_w(fr), 2, a, b);
	case O_less: return lt(fr, a, b);
	case O_lesseq: return e_op(fr, O_les, reg_w(fr), 2, a, b);
	case O_where: return sel(fr, a, b, c);
	default: return 0;
	}
}

/* ---- plain integers ----------------------------------------------------------------------------------------- */

static Val *w2(Frame *fr, OpKind k, Val *a, Val *b) { return e_op(fr, k, lane_w(fr), 2, a, b); }

/* Truncating division out of the unsigned one; x / 0 is 0. */
static Val *div_w(Frame *fr, Val *a, Val *b)
{
	Val *sa = w2(fr, O_sarw, a, e_w(fr, 31)), *sb = w2(fr, O_sarw, b, e_w(fr, 31));
	Val *ua = w2(fr, O_subw, w2(fr, O_xorw, a, sa), sa), *ub = w2(fr, O_subw, w2(fr, O_xorw, b, sb), sb);
	Val *q = w2(fr, O_divuw, ua, ub), *s = w2(fr, O_xorw, sa, sb);
	Val *r = w2(fr, O_subw, w2(fr, O_xorw, q, s), s);
	return e_op(fr, O_selw, lane_w(fr), 3, b, r, e_w(fr, 0));
}

static Val *op_int(Frame *fr, const Op *o, Val *a, Val *b, Val *c)
{
	switch (o->kind) {
	case O_add: return w2(fr, O_addw, a, b);
	case O_sub: return w2(fr, O_subw, a, b);
	case O_mul: return w2(fr, O_mulw, a, b);
	case O_div: return div_w(fr, a, b);
	case O_min: return w2(fr, O_minw, a, b);
	case O_max: case O_relu: return w2(fr, O_maxw, a, o->kind == O_relu ? e_w(fr, 0) : b);
	case O_neg: return w2(fr, O_subw, e_w(fr, 0), a);
	case O_abs: return w2(fr, O_maxw, a, w2(fr, O_subw, e_w(fr, 0), a));
	case O_eq: return w2(fr, O_eqw, a, b);
	case O_less: return w2(fr, O_ltw, a, b);
	case O_lesseq: return w2(fr, O_lew, a, b);
	case O_and: return w2(fr, O_andw, a, b);
	case O_or: return w2(fr, O_orw, a, b);
	case O_not: return w2(fr, O_eqw, a, e_w(fr, 0));
	case O_where: return e_op(fr, O_selw, lane_w(fr), 3, a, b, c);
	default: return 0;
	}
}

/* ---- fixed point -------------------------------------------------------------------------------------------- */

/* 16 lanes: the kernel of this body that keeps the table in registers. */
static Func *tanh_vector(Lower *l, int nsym, Sym *sym)
{
	bool avx2 = !strcmp(l->isa, "avx2");
	Sym *coeff = &sym[nsym], *end = &sym[nsym + 1];
	Func *c = kernel_get(l, avx2 ? "coeff_avx2" : "coeff_avx512vnni", l->isa, nsym, sym);
	Func *e = kernel_get(l, "tanh_end", l->isa, 0, 0);
	if (!c || !e)
		return 0;
	*coeff = (Sym){"COEFF", c->name};
	*end = (Sym){"ENDFN", e->name};
	return kernel_get(l, avx2 ? "tanh_q_avx2" : "tanh_q_avx512vnni", l->isa, nsym + 2, sym);
}

/* tanh(a * 2^down): Q15, through the table of [-8, 8]. */
static Num tanh_num(Frame *fr, Num a, int down)
{
	int e;
	if (!exact_log2(a.scale, &e) || -e - down > 18 || -e - down < 4)
		a = num_rescale(fr, a, ldexp(1, -12 - down)), e = -12 - down;
	int seg = -e - down - 3;        /* bits below 1/8 */
	a.v = num_saturate(fr, a, -2147483647.0, 2147483647.0);
	Lower *l = fr->l;
	Sym sym[7] = {{"SEG", sym_int(l, seg)}, {"LIMIT", sym_int(l, ((int64_t)64 << seg) - 1)},
	              {"MASK", sym_int(l, ((int64_t)1 << seg) - 1)}, {"UP", sym_int(l, 15 - seg)}, {"DOWN", "0"}};
	Func *f = fr->lanes > 1 ? tanh_vector(l, 5, sym) : kernel_get(l, "tanh_q", l->isa, 5, sym);
	if (!f) {
		fr->failed = true;
		return a;
	}
	Op *o = op_new(l->m, fr->b, O_call, 1, &a.v);
	o->callee = f;
	return (Num){op_out(l->m, fr->f, o, 0, lane_w(fr)), -32767, 32767, ldexp(1, -15)};
}

/* (1 + tanh(a / 2)) / 2 */
static Num sigmoid_num(Frame *fr, Num a)
{
	Num t = tanh_num(fr, a, -1);
	t.v = w2(fr, O_addw, t.v, e_w(fr, 32768));
	t.lo = 1, t.hi = 65535, t.scale = ldexp(1, -16);
	return t;
}

static Num clamp_num(Frame *fr, Num a, double lo, double hi)
{
	double l = fmax(floor(lo / a.scale + 0.5), -2147483648.0), h = fmin(floor(hi / a.scale + 0.5), 2147483647.0);
	a.v = num_saturate(fr, a, l, h);
	a.lo = fmax(a.lo, l);
	a.hi = fmin(a.hi, h);
	return a;
}

static Num choose(Frame *fr, Val *c, Num a, Num b)
{
	Num y = {.lo = fmin(a.lo, b.lo), .hi = fmax(a.hi, b.hi), .scale = a.scale};
	y.v = e_op(fr, O_selw, lane_w(fr), 3, c, a.v, b.v);
	return y;
}

/* Rescaled to the result's scale and kept to 32 bits, for choosing between two. */
static Num to_result(Frame *fr, Num a, const Type *t)
{
	a = num_rescale(fr, a, t->quant->scale);
	a.v = num_saturate(fr, a, -2147483648.0, 2147483647.0);
	a.lo = fmax(a.lo, -2147483648.0);
	a.hi = fmin(a.hi, 2147483647.0);
	return a;
}

static Num sum(Frame *fr, const Op *o, Num a, Num b)
{
	Term t[2] = {{a, 1}, {b, o->kind == O_sub ? -1 : 1}};
	return num_lincomb(fr, 2, t, 0, o->out[0]->type->quant->scale);
}

static Num linear_of(Frame *fr, Num a, double k, double c, double scale)
{
	Term t = {a, k};
	return num_lincomb(fr, 1, &t, c, scale);
}

static Num compare(Frame *fr, const Op *o, Num a, Num b)
{
	double s = fmin(a.scale, b.scale);
	a = num_rescale(fr, a, s), b = num_rescale(fr, b, s);
	bool wide = a.v->type->elem == E_i64 || b.v->type->elem == E_i64;
	if (wide) {
		a.v = num_saturate(fr, a, -2147483648.0, 2147483647.0);
		b.v = num_saturate(fr, b, -2147483648.0, 2147483647.0);
	}
	OpKind k = o->kind == O_eq ? O_eqw : o->kind == O_less ? O_ltw : O_lew;
	return (Num){w2(fr, k, a.v, b.v), 0, 1, 0};
}

static bool fixed(Frame *fr, const Op *o, Num *in, Num *y)
{
	const Type *t = o->out[0]->type;
	double alpha = attr_float(o, "alpha", 0), beta = attr_float(o, "beta", 0), so = t->quant ? t->quant->scale : 0;
	Num a = in[0], b = o->nin > 1 ? in[1] : a;
	switch (o->kind) {
	case O_add: case O_sub: *y = sum(fr, o, a, b); return true;
	case O_mul: *y = num_mul(fr, a, b); return true;
	case O_min: case O_max:
		a = to_result(fr, a, t), b = to_result(fr, b, t);
		y->v = w2(fr, o->kind == O_min ? O_minw : O_maxw, a.v, b.v);
		y->lo = fmin(a.lo, b.lo), y->hi = fmax(a.hi, b.hi), y->scale = a.scale;
		return true;
	case O_neg: *y = linear_of(fr, a, -1, 0, so); return true;
	case O_abs:
		b = to_result(fr, linear_of(fr, a, -1, 0, so), t), a = to_result(fr, a, t);
		*y = (Num){w2(fr, O_maxw, a.v, b.v), 0, fmax(a.hi, b.hi), so};
		return true;
	case O_relu: *y = clamp_num(fr, a, 0, INFINITY); return true;
	case O_clip: *y = clamp_num(fr, a, attr_float(o, "lo", -INFINITY), attr_float(o, "hi", INFINITY)); return true;
	case O_sigmoid: *y = sigmoid_num(fr, a); return true;
	case O_tanh: *y = tanh_num(fr, a, 0); return true;
	case O_scaledtanh:
		a.scale *= beta;        /* the same integers stand for beta * a */
		if (a.scale < 0)
			a.scale = -a.scale, alpha = -alpha;
		*y = tanh_num(fr, a, 0);
		*y = linear_of(fr, *y, alpha, 0, so);
		return true;
	case O_affine: *y = linear_of(fr, a, alpha, beta, so); return true;
	case O_hardsigmoid: *y = clamp_num(fr, linear_of(fr, a, alpha, beta, so), 0, 1); return true;
	case O_leakyrelu:
		b = to_result(fr, linear_of(fr, a, alpha, 0, so), t);
		*y = choose(fr, w2(fr, O_ltw, a.v, e_w(fr, 0)), b, to_result(fr, a, t));
		return true;
	case O_thresholdedrelu:
		*y = choose(fr, w2(fr, O_ltw, e_w(fr, (int64_t)floor(alpha / a.scale)), a.v), to_result(fr, a, t),
		            (Num){e_w(fr, 0), 0, 0, so});
		return true;
	case O_eq: case O_less: case O_lesseq: *y = compare(fr, o, a, b); return true;
	case O_where: *y = choose(fr, a.v, to_result(fr, b, t), to_result(fr, in[2], t)); return true;
	default: return scalar_function(fr, o, in, y);
	}
}

static Num cast_num(Frame *fr, Num a, const Type *from, const Type *to)
{
	bool ff = elem_is_float(from->elem), tf = elem_is_float(to->elem);
	if (ff && tf)
		return a;
	if (ff && !to->quant)   /* ONNX: toward zero */
		a.v = e_op(fr, O_ftoi, lane_w(fr), 1, a.v), a.lo = -2147483648.0, a.hi = 2147483647.0;
	else if (tf && !from->quant)
		a.v = e_op(fr, O_itof, reg_s(fr), 1, a.v);
	return a;
}

static bool is_quantized(const Op *o, const Type *const *type)
{
	if (o->out[0]->type->quant)
		return true;
	for (int i = 0; i < o->nin; i++)
		if (type[i]->quant)
			return true;
	return false;
}

/* A value is what its type holds: rescaled, rounded once, saturated. */
static Num stored(Frame *fr, Num y, const Type *t)
{
	if (elem_is_float(t->elem))
		return y;
	if (t->quant && t->quant->levels)
		return levels_round(fr, y, t);
	Num r = {.lo = (double)elem_min(t->elem), .hi = (double)elem_max(t->elem), .scale = t->quant ? t->quant->scale : 0};
	if (t->quant)
		y = num_rescale(fr, y, t->quant->scale);
	r.lo = fmax(r.lo, fmin(y.lo, r.hi));
	r.hi = fmin(r.hi, fmax(y.hi, r.lo));
	r.v = num_saturate(fr, y, (double)elem_min(t->elem), (double)elem_max(t->elem));
	return r;
}

/* To or from steps of each unit's own (units.c). */
static Num cast_units(Frame *fr, Num a, const Type *from, const Type *to)
{
	int spread;
	if (fr->from_up)
		a = units_level(fr, a, from);
	if (!fr->to_up)
		return stored(fr, a, to);
	double least = units_scale(to, &spread);
	a = num_rescale_up(fr, a, least, fr->to_up, spread);
	Num y = {.lo = fmax(a.lo, (double)elem_min(to->elem)), .hi = fmin(a.hi, (double)elem_max(to->elem)), .scale = least};
	y.v = num_saturate(fr, a, (double)elem_min(to->elem), (double)elem_max(to->elem));
	return y;
}

/* One cast between a quantized type and one with units: plain integers have no units to go by. */
static bool casts_units(const Op *o, const Type *from)
{
	const Type *to = o->out[0]->type;
	return o->kind == O_cast && from->quant && to->quant && (has_units(from) || has_units(to)) &&
	       (has_units(from) || (!from->quant->rows && !from->quant->zero)) &&
	       (has_units(to) || (!to->quant->rows && !to->quant->zero));
}

static bool has_rows(const Op *o, const Type *const *type)
{
	for (int i = 0; i < o->nin; i++)
		if (type[i]->quant && (type[i]->quant->rows || type[i]->quant->book || type[i]->quant->zero))
			return true;
	const Quant *q = o->out[0]->type->quant;
	return q && (q->rows || q->book || q->zero);
}

Num scalar_op(Frame *fr, const Op *o, Num *in, const Type *const *type)
{
	const Type *t = o->out[0]->type;
	Num y = {0};
	if (casts_units(o, type[0]))
		return cast_units(fr, in[0], type[0], t);
	if (has_rows(o, type)) {
		e_fail(fr, o, "row scales, code books and zero points are not supported here");
		return in[0];
	}
	if (o->kind == O_cast) {
		if ((type[0]->quant && elem_is_float(t->elem)) || (elem_is_float(type[0]->elem) && t->quant)) {
			e_fail(fr, o, "no cast between these types");
			return in[0];
		}
		if (type[0]->quant && !t->quant)
			return stored(fr, scalar_whole_part(fr, in[0]), t);
		if (!type[0]->quant && t->quant)
			in[0].scale = 1;
		return stored(fr, cast_num(fr, in[0], type[0], t), t);
	}
	Val *a = in[0].v, *b = o->nin > 1 ? in[1].v : 0, *c = o->nin > 2 ? in[2].v : 0;
	bool ok = true;
	if (is_quantized(o, type))
		ok = fixed(fr, o, in, &y);
	else if (elem_is_float(t->elem) || elem_is_float(type[0]->elem))
		ok = (y.v = op_f32(fr, o, a, b, c)) != 0;
	else
		ok = (y.v = op_int(fr, o, a, b, c)) != 0, y.lo = -2147483648.0, y.hi = 2147483647.0;
	if (!ok) {
		e_fail(fr, o, "no lowering for these types");
		return in[0];
	}
	return stored(fr, y, t);
}

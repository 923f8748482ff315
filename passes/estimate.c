/* estimate.c: where the inputs of linears saturate when they have few bits.
 *
 * The least and the greatest value that observe saw are the right range where nothing may saturate: states that add up, gates,
 * whatever has bits to spare.  What weights multiply is different.  At 4 bits a step is as large as most of the numbers, and
 * it pays to saturate a few of them for the sake of the others.  So the float model is run once more, as far as linears need it;
 * the numbers each one reads are counted (histogram.c); and the values they come from get `clip` behind their range, the
 * magnitude from which their narrow copies saturate:
 *
 *	%h1 =f32[1,300] mul %o, %t range=[-0x1.fap-1, 0x1.f8p-1 clip 0x1.94p-1]
 *
 * With --value-grid book, up to 6 bits, the numbers that the copies may be are trained on the same counts and written, too
 * (levels.c):
 *
 *	range=[-0x1.fap-1, 0x1.f8p-1 clip 0x1.94p-1 levels $main_h1_levels]
 *
 * Where --ranges says nothing, below 8 bits the squared error decides, and from 8 bits on nothing saturates.
 *
 * With --unit-exponents each unit (last axis) of the inputs of linears, below 8 bits, and of states that only element-wise ops
 * read, below 16, is counted by itself, and `steps` of their own are written behind the ranges (estimate_units.c). */
#include "passes/collect.h"
#include "passes/estimate.h"
#include "passes/histogram.h"
#include "passes/levels.h"
#include "passes/passes.h"
#include "passes/quantize.h"
#include "util/mem.h"

#include <fnmatch.h>
#include <stdlib.h>
#include <string.h>

enum { CHUNK = 256, QUICK = 1, MOST_UNITS = 2048 };

typedef struct {
	Quantizer q;
	int n;
	Probe *probe;
	int *value;             /* node of the value that probe i reads */
	Histogram **seen;       /* by group; 0: not looked at */
	UnitSteps **units;      /* by group; 0: one step for all */
} Estimate;

/* ---- what is asked for ------------------------------------------------------------------------------------------- */

/* By the last rule that fits any of the group's values, else by --ranges, else by the bits. */
static RangeKind kind_of(const Estimate *s, int g, int bits)
{
	const Options *opt = s->q.opt;
	for (int i = opt->nrange_rule - 1; i >= 0; i--)
		for (int n = 0; n < s->q.n; n++) {
			const Node *x = &s->q.node[n];
			if (!x->val || group_of(&s->q, n) != g)
				continue;
			const char *full = arena_printf(s->q.m->arena, "%s.%s", x->func->name, x->val->name);
			if (!fnmatch(opt->range_rule[i].pattern, x->val->name, 0) ||
			    !fnmatch(opt->range_rule[i].pattern, full, 0))
				return opt->range_rule[i].kind;
		}
	return opt->ranges ? opt->ranges : bits < DEFAULT_BITS ? RANGE_MSE : RANGE_MINMAX;
}

/* A clip that is written already stays, and so do steps. */
static bool has_clip(const Estimate *s, int g)
{
	for (int n = 0; n < s->q.n; n++) {
		const Val *v = s->q.node[n].val;
		if (v && (v->clip > 0 || v->steps || v->levels) && group_of(&s->q, n) == g)
			return true;
	}
	return false;
}

static void look(Estimate *s, Func *f, const Op *o, int operand, int n)
{
	for (int i = 0; i < s->n; i++)
		if (s->value[i] == n)
			return;
	s->probe = mem_grow(s->probe, sizeof *s->probe * (size_t)(s->n + 1));
	s->value = mem_grow(s->value, sizeof *s->value * (size_t)(s->n + 1));
	s->probe[s->n] = probe_of(f, o, operand);
	s->value[s->n++] = n;
}

/* The group's statistics for each unit; 0: its values do not have the same units, or too many. */
static UnitSteps *units_of(Estimate *s, int g, int32_t K, int bits, int most_bits, bool pow2)
{
	UnitSteps *u = s->units[g];
	if (!u) {
		u = s->units[g] = unit_steps_new(s->q.m->arena, K <= MOST_UNITS ? K : 0);
		u->bits = bits, u->most_bits = most_bits, u->pow2 = pow2;
		u->kind = kind_of(s, g, 0);
	}
	if (u->K != K || u->bits != bits)
		u->K = 0;
	return u->K ? u : 0;
}

/* What a unit's error does: it is multiplied by a column of the weights. */
static void weigh(UnitSteps *u, const Data *W)
{
	const float *w = W->bytes;
	for (int32_t i = 0; i < W->type->dim[0]; i++)
		for (int32_t k = 0; k < u->K; k++)
			u->weight[k] += (double)w[(int64_t)i * u->K + k] * w[(int64_t)i * u->K + k];
}

static void look_at_linear(Estimate *s, Func *f, const Op *o)
{
	int n = o->kind == O_linear && o->in[1]->data ? node_of(&s->q, f, o->in[0]) : -1;
	const Type *t = o->nin ? o->in[0]->type : 0;
	if (n < 0 || !t->rank || t->dim[t->rank - 1] < 1)
		return;
	int g = group_of(&s->q, n), bits = narrow_bits(&s->q, n);
	bool units = s->q.opt->unit_exponents && bits < DEFAULT_BITS && !s->q.node[g].free_state;
	bool levels = s->q.opt->value_book && bits <= LEVEL_BITS;
	if ((kind_of(s, g, bits) == RANGE_MINMAX && !units && !levels) || has_clip(s, g))
		return;
	look(s, f, o, 0, n);
	if (!s->seen[g])
		s->seen[g] = NEW(s->q.m->arena, Histogram);
	UnitSteps *u = units ? units_of(s, g, t->dim[t->rank - 1], bits, DEFAULT_BITS, !s->q.opt->real_scales) : 0;
	if (u)
		weigh(u, o->in[1]->data);
}

/* States that element-wise ops read, and only those. */
static void look_at_state(Estimate *s, Func *f, const Op *o, int operand)
{
	int n = node_of(&s->q, f, o->in[operand]);
	const Node *c = n < 0 ? 0 : &s->q.node[class_of(&s->q, n)];
	Role r = (Role)op_role[o->kind];
	if (!c || !c->state || !s->q.node[group_of(&s->q, n)].free_state || !(r == R_ARITH || r == R_TABLE))
		return;
	const Type *t = o->in[operand]->type;
	int g = group_of(&s->q, n), bits = c->narrow_bits ? c->narrow_bits : c->bits;
	if (bits >= WIDE_BITS || !t->rank || t->dim[t->rank - 1] < 1 || has_clip(s, g))
		return;
	UnitSteps *u = units_of(s, g, t->dim[t->rank - 1], bits, WIDE_BITS, true);
	if (!u)
		return;
	look(s, f, o, operand, n);
	for (int32_t k = 0; k < u->K; k++)
		u->weight[k] = 1;
}

static void look_at(Estimate *s, Func *f, const Op *o)
{
	look_at_linear(s, f, o);
	for (int i = 0; s->q.opt->unit_exponents && i < o->nin; i++)
		look_at_state(s, f, o, i);
}

/* ---- counting ------------------------------------------------------------------------------------------------------ */

static void count(Estimate *s, const Collector *c)
{
	const float *rows;
	for (int i = 0; i < s->n; i++)
		for (int k = 0, n; (n = collector_rows(c, i, k, &rows)) >= 0; k++) {
			int g = group_of(&s->q, s->value[i]);
			for (int64_t j = 0; s->seen[g] && j < (int64_t)n * s->probe[i].K; j++)
				histogram_add(s->seen[g], rows[j]);
			if (s->units[g] && s->units[g]->K)
				unit_steps_count(s->units[g], rows, n);
		}
}

static bool run(Estimate *s, Diag *d)
{
	Options quick = *s->q.opt;
	quick.effort = QUICK;           /* a range needs fewer steps than rounding does */
	int64_t most = calibration_steps(s->q.m, &quick), done = 0;
	Collector *c = collector_open(s->q.m, s->q.opt, s->probe, s->n, d);
	Dataset *set = c ? dataset_open(s->q.opt->calib, s->q.m, s->q.opt, CHUNK, d) : 0;
	bool good = set != 0;
	Sample sample;
	while (good && done < most && dataset_next(set, &sample)) {
		good = collector_run(c, &sample, d);
		done += sample.steps;
		if (good)
			count(s, c);
	}
	dataset_close(set);
	collector_close(c);
	return good;
}

/* ---- writing ------------------------------------------------------------------------------------------------------- */

/* Has v a range to write it behind?  A result whose range is sure (tanh) has none so far: it gets what was seen. */
static bool takes_clip(Val *v, double most)
{
	double lo, hi;
	if (!v->ranged && v->def && sure_range(v->def, &lo, &hi)) {
		v->ranged = true;
		v->hi = (float)most;
		v->lo = lo < 0 ? -v->hi : 0;
	}
	return v->ranged;
}

static void write_clips(Estimate *s)
{
	for (int i = 0; i < s->n; i++) {
		int g = group_of(&s->q, s->value[i]), bits = narrow_bits(&s->q, s->value[i]);
		const Histogram *h = s->seen[g];
		if (!h || kind_of(s, g, bits) == RANGE_MINMAX)
			continue;
		double clip = histogram_clip(h, kind_of(s, g, bits), bits, !s->q.opt->real_scales);
		for (int n = 0; n < s->q.n; n++) {
			Val *v = s->q.node[n].val;
			if (v && clip > 0 && group_of(&s->q, n) == g && takes_clip(v, h->most))
				v->clip = (float)clip;
		}
	}
}

/* Of each reader the first says how many. */
static void write_levels(Estimate *s)
{
	for (int i = 0; i < s->n; i++) {
		int g = group_of(&s->q, s->value[i]), bits = narrow_bits(&s->q, s->value[i]), n = 1 << bits;
		const Histogram *h = s->seen[g];
		if (!s->q.opt->value_book || bits > LEVEL_BITS || !h || h->most == 0)
			continue;
		Data *levels = 0;
		for (int k = 0; k < s->q.n; k++) {
			Val *v = s->q.node[k].val;
			if (!v || group_of(&s->q, k) != g || v->levels || !takes_clip(v, h->most))
				continue;
			if (!levels) {
				float level[1 << LEVEL_BITS];
				int32_t have = levels_train(h, n, level);
				levels = data_new(s->q.m, arena_printf(s->q.m->arena, "%s_%s_levels", s->q.node[k].func->name, v->name),
				                  type_tensor(s->q.m, E_f32, 1, &have));
				memcpy(levels->bytes, level, levels->size);
			}
			v->levels = levels;
		}
	}
}

/* Behind every range of the group, so that it does not matter which of them a reader knows. */
static void write_steps(Estimate *s)
{
	for (int g = 0; g < s->q.n; g++) {
		const UnitSteps *u = s->units[g];
		Data *steps = 0;
		if (!u || !u->K)
			continue;
		float *step = NEWN(s->q.m->arena, float, u->K);
		bool worth = unit_steps_choose(u, step);
		if (!worth && s->seen[g])        /* the clip that linears have says it */
			continue;
		for (int n = 0; n < s->q.n; n++) {
			Val *v = s->q.node[n].val;
			if (!v || !v->ranged || group_of(&s->q, n) != g)
				continue;
			if (!steps) {
				steps = data_new(s->q.m, arena_printf(s->q.m->arena, "%s_%s_steps", s->q.node[n].func->name, v->name),
				                 type_tensor(s->q.m, E_f32, 1, &u->K));
				memcpy(steps->bytes, step, steps->size);
			}
			v->steps = steps;
		}
	}
}

bool pass_estimate(Module *m, const Options *opt, Diag *d)
{
	if (!opt->calib || !opt->integer || module_is_quantized(m))
		return true;
	Estimate s = {.q = {.m = m, .opt = opt, .d = d}};
	classes_build(&s.q);
	bits_choose(&s.q);
	s.seen = NEWN(m->arena, Histogram *, s.q.n);
	s.units = NEWN(m->arena, UnitSteps *, s.q.n);
	each_func(f, m)
		each_op(o, &f->body)
			look_at(&s, f, o);
	bool good = !s.n || run(&s, d);
	if (good && s.n)
		write_clips(&s), write_steps(&s), write_levels(&s);
	free(s.probe), free(s.value);
	return good;
}

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
 * Where --ranges says nothing, below 8 bits the squared error decides, and from 8 bits on nothing saturates. */
#include "passes/collect.h"
#include "passes/histogram.h"
#include "passes/passes.h"
#include "passes/quantize.h"

#include <fnmatch.h>

enum { CHUNK = 256, QUICK = 1 };

typedef struct {
	Quantizer q;
	int n;
	Probe *probe;
	int *value;             /* node of the value that probe i reads */
	Histogram **seen;       /* by group; 0: not looked at */
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

/* A clip that is written already stays. */
static bool has_clip(const Estimate *s, int g)
{
	for (int n = 0; n < s->q.n; n++)
		if (s->q.node[n].val && s->q.node[n].val->clip > 0 && group_of(&s->q, n) == g)
			return true;
	return false;
}

static void look_at(Estimate *s, Func *f, const Op *o)
{
	int n = o->kind == O_linear && o->in[1]->data ? node_of(&s->q, f, o->in[0]) : -1;
	const Type *t = o->nin ? o->in[0]->type : 0;
	if (n < 0 || !t->rank || t->dim[t->rank - 1] < 1)
		return;
	int g = group_of(&s->q, n), bits = narrow_bits(&s->q, n);
	if (kind_of(s, g, bits) == RANGE_MINMAX || has_clip(s, g))
		return;
	for (int i = 0; i < s->n; i++)
		if (s->value[i] == n)
			return;
	s->probe[s->n] = probe_of(f, o, 0);
	s->value[s->n++] = n;
	if (!s->seen[g])
		s->seen[g] = NEW(s->q.m->arena, Histogram);
}

/* ---- counting ------------------------------------------------------------------------------------------------------ */

static void count(Estimate *s, const Collector *c)
{
	const float *rows;
	for (int i = 0; i < s->n; i++)
		for (int k = 0, n; (n = collector_rows(c, i, k, &rows)) >= 0; k++)
			for (int64_t j = 0; j < (int64_t)n * s->probe[i].K; j++)
				histogram_add(s->seen[group_of(&s->q, s->value[i])], rows[j]);
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
		double clip = histogram_clip(h, kind_of(s, g, bits), bits, !s->q.opt->real_scales);
		for (int n = 0; n < s->q.n; n++) {
			Val *v = s->q.node[n].val;
			if (v && clip > 0 && group_of(&s->q, n) == g && takes_clip(v, h->most))
				v->clip = (float)clip;
		}
	}
}

bool pass_estimate(Module *m, const Options *opt, Diag *d)
{
	if (!opt->calib || !opt->integer || module_is_quantized(m))
		return true;
	Estimate s = {.q = {.m = m, .opt = opt, .d = d}};
	int linears = 0;
	classes_build(&s.q);
	bits_choose(&s.q);
	each_func(f, m)
		each_op(o, &f->body)
			linears += o->kind == O_linear;
	s.probe = NEWN(m->arena, Probe, linears);
	s.value = NEWN(m->arena, int, linears);
	s.seen = NEWN(m->arena, Histogram *, s.q.n);
	each_func(f, m)
		each_op(o, &f->body)
			look_at(&s, f, o);
	if (!s.n)
		return true;
	if (!run(&s, d))
		return false;
	write_clips(&s);
	return true;
}

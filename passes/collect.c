/* collect.c: probes into a copy of the module (collect.h). */
#include "passes/collect.h"

#include "data/runner.h"
#include "data/states.h"
#include "passes/passes.h"
#include "util/mem.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { CALLS = 512, MOST_ROWS = 4096, MOST_ELEMENTS = 1 << 22, MAX_PLACES = 64 };

static const int64_t QUICK_PRODUCTS = 64000000000, LEAST_STEPS = 4096;

struct Collector {
	Runner *r;
	int n;
	Probe *probe;
	float **where;                  /* of probe i at place k: where[i * MAX_PLACES + k] */
	int32_t *cap;
};

Probe probe_of(const Func *f, const Op *o, int operand)
{
	Probe p = {f, 0, operand, 0};
	const Val *v = operand < 0 ? o->out[0] : o->in[operand];
	for (const Op *q = f->body.first; q != o; q = q->next)
		p.place++;
	p.K = v->type->rank ? v->type->dim[v->type->rank - 1] : 1;
	return p;
}

bool probe_same(const Probe *a, const Probe *b)
{
	return a->func == b->func && a->place == b->place && a->operand == b->operand;
}

/* ---- the copy ------------------------------------------------------------------------------------------- */

static Op *op_number(Func *f, int n)
{
	Op *o = f->body.first;
	while (o && n--)
		o = o->next;
	return o;
}

/* Rows one call of the function brings, T taken as one. */
static int64_t rows_of(const Type *t)
{
	int64_t n = 1;
	for (int i = 0; i + 1 < t->rank; i++)
		n *= t->dim[i] == DIM_T ? 1 : t->dim[i];
	return n;
}

static int32_t capacity(const Type *t, int32_t K)
{
	int64_t n = rows_of(t) * CALLS;
	n = n < MOST_ROWS ? n : MOST_ROWS;
	return (int32_t)(n * K < MOST_ELEMENTS ? n : MOST_ELEMENTS / K + 1);
}

typedef struct { Val *val; Op *at; } Spot;

static void instrument(Module *copy, const Probe *p, int n, int32_t *cap)
{
	Spot *spot = mem_array((size_t)n, sizeof *spot);
	for (int i = 0; i < n; i++) {
		Op *o = op_number(func_find(copy, p[i].func->name), p[i].place);
		spot[i] = (Spot){p[i].operand < 0 ? o->out[0] : o->in[p[i].operand], p[i].operand < 0 ? o->next : o};
		cap[i] = capacity(spot[i].val->type, p[i].K);
	}
	for (int i = 0; i < n; i++) {
		Func *f = func_find(copy, p[i].func->name);
		const Type *t = type_tensor(copy, E_f32, 2, (const int32_t[]){cap[i] + 1, p[i].K});
		Val *state = func_state(copy, f, arena_printf(copy->arena, "rec%d", i), t, 0);
		op_before(copy, &f->body, spot[i].at, O_record, 2, (Val *[]){state, spot[i].val});
	}
	free(spot);
}

/* Outputs that no state carries on from are not looked at; one stays, the smallest. */
static void drop_outputs(Module *copy, const Options *opt, Diag *d)
{
	Func *main = func_find(copy, "main");
	int nin = nports(copy->in), nout = nports(copy->out), pair[nin + 1];
	bool keep[nout + 1], any = false;
	Op *ret = main->body.last;
	if (!state_pairs(copy, opt, pair, d) || !ret || ret->kind != O_ret || ret->nin != nout)
		return;
	for (int i = 0; i < nout; i++)
		keep[i] = false;
	for (int i = 0; i < nin; i++)
		if (pair[i] >= 0)
			keep[pair[i]] = any = true;
	int least = 0;
	for (int i = 1; i < nout; i++)
		if (type_count(main->ret[i], 1) < type_count(main->ret[least], 1))
			least = i;
	if (!any)
		keep[least] = true;
	Port **at = &copy->out;
	int n = 0;
	for (int i = 0; i < nout; i++) {
		if (keep[i]) {
			ret->in[n] = ret->in[i];
			main->ret[n++] = main->ret[i];
			at = &(*at)->next;
		} else {
			*at = (*at)->next;
		}
	}
	ret->nin = (uint16_t)n;
	main->nret = n;
}

/* ---- running ---------------------------------------------------------------------------------------------- */

static void find_slots(Collector *c)
{
	for (int i = 0; i < c->n; i++) {
		char stem[300];
		int len = snprintf(stem, sizeof stem, "%s.rec%d", c->probe[i].func->name, i), k = 0;
		for (const Slot *s = runner_module(c->r)->slots; s && k < MAX_PLACES; s = s->next)
			if (!strncmp(s->name, stem, (size_t)len) && (!s->name[len] || s->name[len] == '_'))
				c->where[i * MAX_PLACES + k++] = runner_slot(c->r, s->name, 0);
	}
}

Collector *collector_open(const Module *m, const Options *opt, const Probe *p, int n, Diag *d)
{
	Collector *c = mem_new(sizeof *c);
	Module *copy = module_clone(m);
	c->n = n;
	c->probe = mem_array((size_t)n, sizeof *p);
	memcpy(c->probe, p, sizeof *p * (size_t)n);
	c->where = mem_array((size_t)n * MAX_PLACES, sizeof *c->where);
	c->cap = mem_array((size_t)n, sizeof *c->cap);
	instrument(copy, p, n, c->cap);
	drop_outputs(copy, opt, d);
	Options plain = *opt;
	plain.integer = false;
	plain.calib = 0;
	if (pass_dce(copy, opt, d))
		c->r = runner_open(copy, &plain, d);
	module_free(copy);
	if (!c->r) {
		collector_close(c);
		return 0;
	}
	find_slots(c);
	return c;
}

bool collector_run(Collector *c, const Sample *s, Diag *d)
{
	for (int i = 0; i < c->n * MAX_PLACES; i++)
		if (c->where[i])
			*c->where[i] = 0;
	return runner_run(c->r, s, d);
}

int collector_rows(const Collector *c, int i, int k, const float **rows)
{
	float *rec = k < MAX_PLACES ? c->where[i * MAX_PLACES + k] : 0;
	if (!rec)
		return -1;
	*rows = rec + c->probe[i].K;
	return *rec < (float)c->cap[i] ? (int)*rec : c->cap[i];
}

void collector_close(Collector *c)
{
	if (!c)
		return;
	runner_close(c->r);
	free(c->probe), free(c->where), free(c->cap);
	free(c);
}

int64_t calibration_steps(const Module *m, const Options *opt)
{
	int64_t weights = 1;
	if (opt->effort > 1)
		return INT64_MAX;
	each_func(f, m)
		each_op(o, &f->body)
			if (o->kind == O_linear && o->in[1]->data)
				weights += type_count(o->in[1]->type, 1);
	int64_t n = QUICK_PRODUCTS / weights;
	return n > LEAST_STEPS ? n : LEAST_STEPS;
}

/* stream.c: does the whole network work step by step?  Then make @step, and @main a scan of it.
 *
 * First the time axis of every value of @main is found, from the inputs on; an op that needs more than one
 * step of the time axis at once ends the attempt, and @main stays as it is.  So do inputs without a time
 * axis, and scans that go backwards or do not start from constants.  Taking the last step of a sequence is
 * fine: what follows from it is worked out at every step, and the last one counts.
 *
 * States of @main (its state inputs, paired with outputs) become @step's where there is just one step; else
 * @main stays as it is.  A network of one step that hands states in and out has them all: what starts from a
 * constant there does so in every step.
 *
 * A fixed number of steps above one becomes T: a network that works step by step takes any number. */
#include "passes/passes.h"
#include "passes/stream.h"

#include <string.h>

static bool refuse(Stream *s, const Op *o, const char *why)
{
	const char *name = o->loc.node ? o->loc.node : o->callee ? o->callee->name : o->nout ? o->out[0]->name : "?";
	snprintf(s->why, sizeof s->why, "node '%.80s' (%s) %s", name, op_info[o->kind].name, why);
	return false;
}

static int64_t list_at(const Op *o, const char *name, int i)
{
	const Attr *a = attr_find(o, name);
	return a && a->kind == A_INT && i < a->n ? a->v.i[i] : 0;
}

static bool kept_last(const Op *o, int i)
{
	const Attr *a = attr_find(o, "keep");
	return a && a->kind == A_STRING && i < a->n && !strcmp(a->v.s[i], "last");
}

/* ---- how many steps, and where they are in the inputs --------------------------------------------- */

static int32_t scan_length(const Op *o)
{
	return attr_int(o, "seq", 0) > 0 ? o->in[0]->type->dim[list_at(o, "axis", 0)] : 0;
}

/* T, or the length of the scans: 1 where one has just that (others then go along another axis), or that of
 * the first.  What keeps states from run to run makes a step a run.  0: there is no time. */
static int32_t find_steps(const Func *main)
{
	for (int i = 0; i < main->nparam; i++)
		if (type_has_t(main->param[i]->type))
			return DIM_T;
	int32_t steps = main->nstate > 0;
	for (const Op *o = main->body.first; o; o = o->next)
		if (o->kind == O_scan && (!steps || scan_length(o) == 1))
			steps = scan_length(o);
	return steps;
}

static int axis_of_size(const Type *t, int32_t n)
{
	for (int i = 0; i < t->rank; i++)
		if (t->dim[i] == n)
			return i;
	return CONSTANT;
}

/* Where the number of steps is fixed, the scans say which axis it is: follow their sequences back. */
static void trace_back(Stream *s)
{
	for (const Op *o = s->main->body.last; o; o = o->prev) {
		int nseq = o->kind == O_scan ? (int)attr_int(o, "seq", 0) : 0;
		for (int i = 0; i < nseq; i++)
			if (!o->in[i]->data)
				s->time[o->in[i]->id] = (int)list_at(o, "axis", i);
		if (o->nout != 1 || o->kind == O_scan || s->time[o->out[0]->id] < 0)
			continue;
		for (int k = 0; k < o->nin; k++)
			for (int a = 0; o->in[k] && !o->in[k]->data && a < o->in[k]->type->rank; a++)
				if (o->in[k]->type->dim[a] == s->steps
				    && axis_through(o, k, a, s->steps) == s->time[o->out[0]->id])
					s->time[o->in[k]->id] = a;
	}
}

static bool find_input_axes(Stream *s)
{
	for (uint32_t i = 0; i < s->main->nval; i++)
		s->time[i] = CONSTANT;
	if (s->steps > 1)
		trace_back(s);
	for (int i = 0; i < s->main->nparam; i++) {
		const Val *p = s->main->param[i];
		int *time = &s->time[p->id];
		if (s->steps == DIM_T || s->steps == 1)
			*time = axis_of_size(p->type, s->steps);
		if (*time == CONSTANT) {
			snprintf(s->why, sizeof s->why, "input '%.80s' has no time axis", p->name);
			return false;
		}
		if (s->steps == 1)
			*time = LAST;
	}
	for (int i = 0; i < s->main->nstate; i++)
		s->time[s->main->state[i]->id] = LAST;
	return true;
}

/* ---- does each op work step by step? --------------------------------------------------------- */

bool scan_streams(const Stream *s, const Op *o)
{
	int nseq = (int)attr_int(o, "seq", 0);
	for (int i = 0; i < nseq; i++)
		if (s->steps == 1 ? o->in[i]->type->dim[list_at(o, "axis", i)] != 1 : operand_time(s, o->in[i]) < 0)
			return false;
	return nseq > 0;
}

/* A scan over another axis, within a step: only where the types need no change. */
static bool inner_scan(Stream *s, const Op *o)
{
	if (s->steps != 1 || o->callee->nstate != attr_int(o, "init", 0))
		return refuse(s, o, "is a recurrence of its own");
	for (int i = 0; i < o->nout; i++)
		s->time[o->out[i]->id] = LAST;
	return true;
}

static bool time_scan(Stream *s, const Op *o)
{
	int nseq = (int)attr_int(o, "seq", 0), ninit = (int)attr_int(o, "init", 0);
	if (attr_int(o, "reverse", 0))
		return refuse(s, o, "walks backwards");
	for (int i = 0; i < o->nin; i++) {
		if (i < nseq && s->steps != 1 && operand_time(s, o->in[i]) != list_at(o, "axis", i))
			return refuse(s, o, "steps along another axis than time");
		if (i >= nseq && i < nseq + ninit && !o->in[i]->data) {
			if (s->steps != 1)
				return refuse(s, o, "starts from a state that is not constant");
			s->carried = true;
		}
		if (i >= nseq + ninit && operand_time(s, o->in[i]) != CONSTANT)
			return refuse(s, o, "has weights or lengths that are not constant");
	}
	for (int i = 0; i < o->nout; i++) {
		bool last = s->steps == 1 || i >= o->callee->nret || kept_last(o, i);
		s->time[o->out[i]->id] = last ? LAST : (int)list_at(o, "out_axis", i);
	}
	return true;
}

static bool check_op(Stream *s, const Op *o)
{
	if (o->kind == O_scan)
		return scan_streams(s, o) ? time_scan(s, o) : inner_scan(s, o);
	if (o->kind == O_next)
		return true;
	if (o->kind == O_ret) {
		for (int i = 0; i < o->nin; i++)
			if (operand_time(s, o->in[i]) == CONSTANT)
				return refuse(s, o, "has a constant output");
		return true;
	}
	if (o->nout != 1)
		return refuse(s, o, "cannot be taken apart into steps");
	int time = result_time(s, o);
	s->time[o->out[0]->id] = time;
	return time != WHOLE || refuse(s, o, "needs the whole sequence");
}

static bool analyse(Stream *s)
{
	if (!find_input_axes(s))
		return false;
	for (const Op *o = s->main->body.first; o; o = o->next)
		if (!check_op(s, o))
			return false;
	return true;
}

/* ---- @main as a scan -------------------------------------------------------------------------- */

/* What works step by step works for any number of steps, also where the file says just one number. */
static const Type *any_length(Stream *s, const Type *t, int time)
{
	int32_t dim[MAX_RANK];
	memcpy(dim, t->dim, sizeof dim);
	if (time >= 0)
		dim[time] = DIM_T;
	return type_like(s->m, t, t->rank, dim);
}

static void free_length(Stream *s, Val *const *out)
{
	Func *f = s->main;
	Port *p = s->m->in;
	for (int i = 0; i < f->nparam; i++) {
		f->param[i]->type = any_length(s, f->param[i]->type, s->time[f->param[i]->id]);
		if (p)
			p->type = f->param[i]->type, p = p->next;
	}
	p = s->m->out;
	for (int i = 0; i < f->nret; i++) {
		f->ret[i] = any_length(s, f->ret[i], operand_time(s, out[i]));
		if (p)
			p->type = f->ret[i], p = p->next;
	}
}

static void rewrite_main(Stream *s, Func *step)
{
	Module *m = s->m;
	Func *f = s->main;
	int nin = f->nparam, nout = f->nret;
	int64_t *axis = NEWN(m->arena, int64_t, nin), *out_axis = NEWN(m->arena, int64_t, nout);
	const char **keep = NEWN(m->arena, const char *, nout);
	Val **out = f->body.last->in;
	for (int i = 0; i < nin; i++) {
		const Val *p = f->param[i];
		axis[i] = s->steps == 1 ? axis_of_size(p->type, 1) : s->time[p->id];
	}
	for (int i = 0; i < nout; i++) {
		int time = operand_time(s, out[i]);
		keep[i] = time < 0 ? "last" : "all";
		out_axis[i] = time < 0 ? 0 : time;
	}
	free_length(s, out);
	f->body = (Block){0};
	f->nstate = 0;          /* they are @step's */
	Op *scan = op_new(m, &f->body, O_scan, nin, f->param);
	scan->callee = step;
	attr_set_int(m, scan, "seq", nin);
	attr_set_int(m, scan, "init", 0);
	attr_set_ints(m, scan, "axis", nin, axis);
	attr_set_ints(m, scan, "out_axis", nout, out_axis);
	attr_set_strings(m, scan, "keep", nout, keep);
	for (int i = 0; i < nout; i++)
		op_out(m, f, scan, out[i]->name, f->ret[i]);
	op_new(m, &f->body, O_ret, nout, scan->out);
	func_renumber(f);
}

bool pass_stream(Module *m, const Options *opt, Diag *d)
{
	Stream s = {.m = m, .main = func_find(m, "main")};
	if (!s.main || func_find(m, "step") || !s.main->nparam)
		return true;
	pass_dce(m, opt, d);            /* what nobody needs shall not stand in the way */
	s.steps = find_steps(s.main);
	if ((s.steps <= 0 && s.steps != DIM_T) || (s.main->nstate && s.steps != 1))
		return true;
	s.time = NEWN(m->arena, int, s.main->nval);
	if (analyse(&s))
		rewrite_main(&s, build_step(&s));
	else if (opt && opt->verbose)
		diag_note(d, "%s: runs on whole sequences only, not step by step: %s", m->name, s.why);
	return true;
}

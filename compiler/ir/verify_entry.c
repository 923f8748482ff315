/* verify_entry.c: a planned module has entry functions of the shape its callers rely on:
 *	@reset(%state &u8[S])
 *	@step_B(%state, %scratch &u8[C], inputs.., outputs..) w			(streaming models)
 *	@run_B(%state, %scratch, [%scratch_t &u8[T,P]], inputs.., outputs.., %T w) w
 * for each body B; in step_B the ports have one time step. */
#include <string.h>

#include "ir/verify.h"

static bool is_bytes(const Val *p, int rank, int32_t first, uint32_t last)
{
	const Type *t = p->type;
	return t->form == T_REF && t->elem == E_u8 && t->rank == rank && t->dim[rank - 1] == (int32_t)last &&
	       (rank == 1 || t->dim[0] == first);
}

static bool is_port(const Val *p, const Port *port, int32_t steps)
{
	const Type *t = p->type;
	if (t->form != T_REF || t->elem != elem_stored(port->type->elem) || t->rank != port->type->rank)
		return false;
	for (int i = 0; i < t->rank; i++)
		if (t->dim[i] != (port->type->dim[i] == DIM_T ? steps : port->type->dim[i]))
			return false;
	return true;
}

static bool check_ports(Verify *v, const Func *f, const Port *p, int *at, int32_t steps)
{
	for (; p; p = p->next, ++*at)
		if (*at >= f->nparam || !is_port(f->param[*at], p, steps))
			return fault(v, "parameter %d should be the memory of \"%s\"", *at + 1, p->name);
	return true;
}

static bool check_entry(Verify *v, const Func *f, int32_t steps)
{
	const Module *m = v->m;
	bool run = steps == DIM_T;
	int at = 0;
	v->f = f;
	if (f->nparam < 2 || !is_bytes(f->param[at++], 1, 0, m->state_size))
		return fault(v, "parameter 1 should be the state, &u8[%u]", m->state_size);
	if (!is_bytes(f->param[at++], 1, 0, m->scratch_size))
		return fault(v, "parameter 2 should be the scratch memory, &u8[%u]", m->scratch_size);
	if (run && m->scratch_step && (f->nparam < 3 || !is_bytes(f->param[at++], 2, DIM_T, m->scratch_step)))
		return fault(v, "parameter 3 should be the scratch memory of each step, &u8[T,%u]",
		             m->scratch_step);
	if (!check_ports(v, f, m->in, &at, steps) || !check_ports(v, f, m->out, &at, steps))
		return false;
	if (run && (at >= f->nparam || f->param[at++] != time_param(f)))
		return fault(v, "the last parameter should be %%T w");
	if (at != f->nparam)
		return fault(v, "%d parameters, but should have %d", f->nparam, at);
	if (f->nret != 1 || f->ret[0] != type_reg(v->m, E_i32, 1))
		return fault(v, "the result should be w, a gf_status");
	return true;
}

bool verify_entries(Verify *v)
{
	const Module *m = v->m;
	if (!m->planned)
		return true;
	if (m->level != L_LOOP)
		return fault(v, "only a module of the loop level is planned");
	if (m->nbody < 1 || strcmp(m->body[0], "portable"))
		return fault(v, "a planned module has bodies, \"portable\" first");
	const Func *reset = func_find(m, "reset");
	if (!reset)
		return fault(v, "there is no @reset");
	v->f = reset;
	if (reset->nparam != 1 || reset->nret || !is_bytes(reset->param[0], 1, 0, m->state_size))
		return fault(v, "should be @reset(%%state &u8[%u])", m->state_size);
	bool steps = false;
	for (int i = 0; i < m->nbody; i++) {
		const Func *run = func_find(m, arena_printf(v->tmp, "run_%s", m->body[i]));
		const Func *step = func_find(m, arena_printf(v->tmp, "step_%s", m->body[i]));
		v->f = 0;
		if (!is_ident(m->body[i]))
			return fault(v, "body \"%s\" is no C identifier", m->body[i]);
		if (!run)
			return fault(v, "there is no @run_%s", m->body[i]);
		if (i && steps != (step != 0))
			return fault(v, "some bodies have a step function and some do not");
		steps = step != 0;
		if (!check_entry(v, run, DIM_T) || (step && !check_entry(v, step, 1)))
			return false;
	}
	v->f = 0;
	return true;
}

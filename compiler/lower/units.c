/* units.c: values whose units (last axis) have steps of their own, octaves apart: `i4 * $h_steps`.
 *
 * Only a cast makes or reads such a value.  In registers it has one scale, that of the finest unit, and beside it the exponent of
 * the element's unit: rounding to a unit is a shift by a number that is loaded, no multiplication more. */
#include "lower/lower.h"

#include <math.h>
#include <string.h>

bool has_units(const Type *t)
{
	float least;
	int spread;
	return t->quant && t->quant->rows && !t->quant->book && !t->quant->zero &&
	       steps_are_octaves(t->quant->rows, &least, &spread);
}

double units_scale(const Type *t, int *spread)
{
	float least;
	steps_are_octaves(t->quant->rows, &least, spread);
	return least;
}

/* u8[K], shared by the bodies. */
Data *units_exponents(Lower *l, const Type *t)
{
	const Data *steps = t->quant->rows;
	const char *name = arena_printf(l->m->arena, "%s_up", steps->name);
	int spread, e;
	double least = units_scale(t, &spread);
	int32_t n = steps->type->dim[0];
	uint8_t *up = NEWN(l->m->arena, uint8_t, n);
	for (int32_t i = 0; i < n; i++) {
		exact_log2(((const float *)steps->bytes)[i] / least, &e);
		up[i] = (uint8_t)e;
	}
	return shared_data(l, name, E_u8, n, up);
}

/* The exponent of element idx of a value of type t, in a loop over `shape`. */
Val *units_load(Frame *fr, const Type *t, const Type *shape, Val *const *idx)
{
	Data *d = units_exponents(fr->l, t);
	Access a = access_broadcast(fr, access_whole(fr, val_data(fr->l->m, d), d->type), shape);
	return access_load(fr, &a, idx);
}

/* What v * 2^up is on the finest unit's scale. */
Num units_level(Frame *fr, Num a, const Type *t)
{
	int spread;
	a.scale = units_scale(t, &spread);
	a.v = e_op(fr, O_shlw, lane_w(fr), 2, a.v, fr->from_up);
	a.lo = ldexp(a.lo, spread);
	a.hi = ldexp(a.hi, spread);
	return a;
}

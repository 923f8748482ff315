/* levels.c: values that are one of a few integers: `i8 * 0x1p-7 of $h4_levels`.
 *
 * Rounding to the nearest of them is one look-up.  Halfway between two integers may be an integer or a half, so the number is
 * brought to half steps, rounded down: that says on which side of every threshold it lies, and nothing is rounded twice. */
#include "lower/lower.h"

#include <math.h>
#include <string.h>

/* i8[2 (last - first) + 1], by half steps from the first level; shared by the bodies. */
static Data *look_up(Lower *l, const Data *levels)
{
	const int8_t *level = levels->bytes;
	const char *name = arena_printf(l->m->arena, "%s_at", levels->name);
	int n = (int)levels->size, first = level[0], k = 0;
	int32_t size = 2 * (level[n - 1] - first) + 1;
	int8_t *at = NEWN(l->m->arena, int8_t, size);
	for (int32_t i = 0; i < size; i++) {
		while (k + 1 < n && 2 * first + i >= level[k] + level[k + 1])
			k++;
		at[i] = level[k];
	}
	return shared_data(l, name, E_i8, size, at);
}

Num levels_round(Frame *fr, Num a, const Type *t)
{
	const Data *levels = t->quant->levels;
	const int8_t *level = levels->bytes;
	double scale = t->quant->scale, lo = level[0], hi = level[levels->size - 1];
	Term x = {a, 1};
	Num half = num_lincomb(fr, 1, &x, -scale / 4, scale / 2);       /* halves go upward: a half less is rounding down */
	Val *v = num_saturate(fr, half, 2 * lo, 2 * hi);
	Val *i = e_op(fr, O_subw, lane_w(fr), 2, v, e_w(fr, (int64_t)(2 * lo)));
	Val *data = val_data(fr->l->m, look_up(fr->l, levels));
	return (Num){e_op(fr, O_load, lane_w(fr), 2, data, i), lo, hi, scale};
}

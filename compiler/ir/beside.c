/* beside.c: data that nothing names but that stand beside weights: how quantization made them, for storage to use.
 *
 *	<W>_book<b>	i8[2^(b + memory)]: integers that fields of b bits stand for (passes/book.h)
 *	<W>_order	i32[K]: the columns in the order of the fields
 * They live as long as their weights, and change nothing that a model computes. */
#include "ir/ir.h"

#include <string.h>

const char *book_name(Module *m, const Data *d, int width)
{
	return arena_printf(m->arena, "%s_book%d", d->name, width);
}

const char *order_name(Module *m, const Data *d) { return arena_printf(m->arena, "%s_order", d->name); }

Data *data_owner(const Module *m, const Data *what)
{
	const char *end = strrchr(what->name, '_');
	bool beside = end && (!strcmp(end, "_order") || (!strncmp(end, "_book", 5) && end[5] >= '1' && end[5] <= '9' && !end[6]));
	size_t n = beside ? (size_t)(end - what->name) : 0;
	each_data(d, m)
		if (beside && !strncmp(d->name, what->name, n) && !d->name[n])
			return d;
	return 0;
}

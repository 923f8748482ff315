/* budget_values.c: widths of activations, states and gates: all that the compiler takes are compiled.
 *
 * A width that the command line gives stays.  Where weights are stored and operations count, they may also be expanded
 * once, into RAM, instead of row by row in every step. */
#include "driver/budget.h"
#include "util/mem.h"

#include <stdlib.h>

/* From the most to the least. */
static const int value_bits[] = {16, 8, 6, 4, 0}, wide_bits[] = {16, 8, 0};

/* The widths to try: the one given, or those of the list. */
static const int *widths(int given, const int *list, int *room)
{
	if (!given)
		return list;
	room[0] = given, room[1] = 0;
	return room;
}

static void try_values(const Budget *b, Values v, Candidate *list, int *n)
{
	Budget t = *b;
	bool row = !v.once, both = row && b->limit.ops && b->c->opt.storage;
	t.d = diag_new();
	t.values = v;
	if (budget_compile(&t, true)) {         /* not every model and version takes every width */
		list[(*n)++] = (Candidate){v, t.has, t.loss};
		t.values.once = true;           /* the same results */
		if (both && budget_compile(&t, false))
			list[(*n)++] = (Candidate){t.values, t.has, t.loss};
	}
	diag_free(t.d);
}

/* The least loss first; of equals the least RAM. */
static int by_loss(const void *x, const void *y)
{
	const Candidate *a = x, *b = y;
	if (a->loss != b->loss)
		return a->loss < b->loss ? -1 : 1;
	if (a->has.ram != b->has.ram)
		return a->has.ram < b->has.ram ? -1 : 1;
	return a->has.ops < b->has.ops ? -1 : a->has.ops > b->has.ops;
}

Candidate *budget_values(const Budget *b, int *n)
{
	const Options *o = &b->c->opt;
	int given[3][2];
	Candidate *list = mem_array(64, sizeof *list);
	*n = 0;
	if (!b->limit.ram && !b->limit.ops) {
		list[(*n)++] = (Candidate){b->values, b->has, 0};
		return list;
	}
	for (const int *a = widths(o->activations, value_bits, given[0]); *a; a++)
		for (const int *s = widths(o->state, wide_bits, given[1]); *s; s++)
			for (const int *g = widths(o->gates, wide_bits, given[2]); *g; g++)
				try_values(b, (Values){*a, *s, *g, o->decode_once}, list, n);
	int64_t least = INT64_MAX;
	int kept = 0;
	for (int i = 0; i < *n; i++) {
		least = list[i].has.ram < least ? list[i].has.ram : least;
		if (!b->limit.ram || list[i].has.ram <= b->limit.ram)
			list[kept++] = list[i];
	}
	if (!*n)
		diag_error(b->d, "--budget: no widths of values that this model takes");
	else if (!kept)
		diag_error(b->d, "--budget ram=%lld: the least that widths of values give is %lld bytes", (long long)b->limit.ram,
		           (long long)least);
	*n = kept;
	qsort(list, (size_t)kept, sizeof *list, by_loss);
	return list;
}

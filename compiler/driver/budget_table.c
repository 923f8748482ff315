/* budget_table.c: one width for each item, so that the losses' sum is least and two other sums stay within limits.
 *
 * Items come one after the other; a table over both sums keeps the best choice for each of its cells so far.  Cells stand
 * for a range of sums, which are exact all the same: what is chosen keeps to the limits, and loses next to nothing. */
#include "driver/budget.h"
#include "util/mem.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { ALONE = 4096, FIRST = 512, SECOND = 64 };        /* cells: of one sum, of two */

typedef struct { double loss; int64_t bytes, ops; bool full; } Cell;
typedef struct { int32_t from; uint8_t bits; } Step;

static int cell_of(int64_t sum, int64_t limit, int n)
{
	return limit <= 0 || n == 1 ? 0 : (int)((double)sum / (double)limit * (n - 1));
}

static bool better(const Cell *a, const Cell *b)
{
	if (!b->full || a->loss != b->loss)
		return !b->full || a->loss < b->loss;
	return a->bytes != b->bytes ? a->bytes < b->bytes : a->ops < b->ops;
}

bool choose_widths(const Choice *choice, int n, int64_t bytes, int64_t ops, int *bits)
{
	int nb = bytes < 0 ? 1 : ops < 0 ? ALONE : FIRST, no = ops < 0 ? 1 : bytes < 0 ? ALONE : SECOND;
	size_t cells = (size_t)nb * (size_t)no;
	Cell *now = mem_array(cells, sizeof *now), *next = mem_array(cells, sizeof *next);
	Step *step = mem_array(cells * (size_t)(n + 1), sizeof *step);
	now[0] = (Cell){0, 0, 0, true};
	for (int i = 0; i < n; i++) {
		memset(next, 0, cells * sizeof *next);
		for (size_t k = 0; k < cells; k++)
			for (int w = LEAST_BITS; w <= START_BITS && now[k].full; w++) {
				Cell c = {now[k].loss + choice[i].loss[w], now[k].bytes + choice[i].bytes[w], now[k].ops + choice[i].ops[w],
				          true};
				if (!choice[i].may[w] || (bytes >= 0 && c.bytes > bytes) || (ops >= 0 && c.ops > ops))
					continue;
				size_t to = (size_t)cell_of(c.bytes, bytes, nb) * (size_t)no + (size_t)cell_of(c.ops, ops, no);
				if (!better(&c, &next[to]))
					continue;
				next[to] = c;
				step[(size_t)i * cells + to] = (Step){(int32_t)k, (uint8_t)w};
			}
		Cell *swap = now;
		now = next, next = swap;
	}
	size_t best = 0;
	for (size_t k = 1; k < cells; k++)
		if (now[k].full && better(&now[k], &now[best]))
			best = k;
	bool good = now[best].full;
	for (int i = n - 1; good && i >= 0; i--) {
		Step s = step[(size_t)i * cells + best];
		bits[i] = s.bits;
		best = (size_t)s.from;
	}
	free(now), free(next), free(step);
	return good;
}

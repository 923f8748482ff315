/* budget_weights.c: widths of weights.
 *
 * Losses are taken from the table of sensitivities as if they added up, bytes as if weights were packed at their width;
 * what each width does to the number of operations is counted, one item at a time.  The widths that lose least by these are
 * compiled; what the model really has then moves the limits, until it fits and little room is left.  Of those that fit, the one
 * that really loses least stays. */
#include "driver/budget.h"
#include "util/mem.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { ROUNDS = 24, FINEST = 500 };     /* looks; of the bytes, the part that may stay unused */

typedef struct {
	Budget *b;
	Choice *choice;
	int64_t packed, executed;       /* at the first widths, beyond the least: what choices' sums are counted from */
} Search;

/* ---- what each width costs -------------------------------------------------------------------------------------- */

static int64_t bytes_at(const Sensitive *t, int bits)
{
	return ((int64_t)t->rows * t->data->type->dim[1] * bits + 7) / 8;
}

/* Wider ones lose no more: what is measured on few data may say so. */
static void fill_choices(Search *s)
{
	for (int i = 0; i < s->b->n; i++) {
		const Sensitive *t = s->b->item[i];
		Choice *c = &s->choice[i];
		c->may[START_BITS] = true;
		for (int w = START_BITS - 1; w >= LEAST_BITS && !s->b->held[i]; w--) {
			c->may[w] = true;
			c->loss[w] = fmax(t->loss[w] - t->loss[START_BITS], c->loss[w + 1]);
		}
		for (int w = LEAST_BITS; w <= START_BITS && !s->b->held[i]; w++)
			c->bytes[w] = bytes_at(t, w) - bytes_at(t, LEAST_BITS);
	}
}

/* Operations with item i at each width, all others at the first one.  How weights are rounded does not matter. */
static bool count_choices(Search *s, bool once)
{
	Command quick = *s->b->c;
	Budget t = *s->b;
	bool good = true;
	quick.opt.effort = 0;
	t.c = &quick;
	t.values.once = once;
	for (int i = 0; good && i < t.n; i++) {
		int64_t *ops = s->choice[i].ops, least = INT64_MAX;
		for (int w = LEAST_BITS; good && w <= START_BITS && !t.held[i]; w++) {
			t.bits[i] = w;
			good = budget_compile(&t, false);
			ops[w] = t.has.ops;
			least = ops[w] < least ? ops[w] : least;
		}
		for (int w = LEAST_BITS; w <= START_BITS && !t.held[i]; w++)
			ops[w] -= least;
		t.bits[i] = START_BITS;
	}
	return good;
}

static void add_up(Search *s)
{
	s->packed = s->executed = 0;
	for (int i = 0; i < s->b->n; i++) {
		s->packed += s->choice[i].bytes[START_BITS];
		s->executed += s->choice[i].ops[START_BITS];
	}
}

/* ---- for one choice of values ----------------------------------------------------------------------------------- */

static int64_t no_less(int64_t x)
{
	return x < 0 ? 0 : x;
}

/* The limits of the choices' sums, where the model has c->has at the first widths; below 0 for no limit. */
static void room_of(const Search *s, const Candidate *c, int64_t *bytes, int64_t *ops)
{
	const Amounts *limit = &s->b->limit;
	*bytes = limit->bytes ? no_less(limit->bytes - (c->has.bytes - s->packed)) : -1;
	*ops = limit->ops ? no_less(limit->ops - (c->has.ops - s->executed)) : -1;
}

/* Where the limits of the choices' sums go: down by what is too much, up by what is left, halfway between what was too little
 * and too much once both are known. */
typedef struct { int64_t bytes, ops, fits, over; } Limits;

/* false: there is nothing more to look for. */
static bool move_limits(const Budget *b, Limits *l)
{
	if (b->limit.ops && b->has.ops > b->limit.ops) {
		bool more = l->ops > 0;
		l->ops = no_less(l->ops - (b->has.ops - b->limit.ops));
		return more;
	}
	if (!b->limit.bytes)
		return false;
	int64_t left = b->limit.bytes - b->has.bytes;
	if (left < 0) {
		if (!l->bytes)
			return false;
		l->over = l->bytes < l->over ? l->bytes : l->over;
		l->bytes = l->fits >= 0 ? (l->fits + l->over) / 2 : no_less(l->bytes + left);
	} else {
		l->fits = l->bytes;
		l->bytes = l->over < INT64_MAX ? (l->fits + l->over) / 2 : l->bytes + left;
	}
	int64_t little = b->limit.bytes / FINEST;
	return (left < 0 || left > little) && (l->fits < 0 || l->over - l->fits > little);
}

static bool within(const Budget *b)
{
	return (!b->limit.ops || b->has.ops <= b->limit.ops) && (!b->limit.bytes || b->has.bytes <= b->limit.bytes);
}

/* false: no widths that fit, or faults. */
static bool fit(Search *s, const Candidate *c)
{
	Budget *b = s->b;
	size_t size = (size_t)b->n * sizeof *b->bits;
	int *best = mem_array((size_t)b->n + 1, sizeof *best);
	Limits l = {.fits = -1, .over = INT64_MAX};
	double least = INFINITY;
	bool good = true, more = true;
	room_of(s, c, &l.bytes, &l.ops);
	b->values = c->values;
	for (int i = 0; more && i < ROUNDS && choose_widths(s->choice, b->n, l.bytes, l.ops, b->bits); i++) {
		bool again = least < INFINITY && !memcmp(best, b->bits, size);
		if (again && l.over == INT64_MAX)       /* more room changes nothing */
			break;
		good = budget_compile(b, true);
		if (good && within(b) && b->loss < least) {
			least = b->loss;
			memcpy(best, b->bits, size);
		}
		more = good && move_limits(b, &l);
	}
	if (least < INFINITY)
		memcpy(b->bits, best, size);
	free(best);
	return good && least < INFINITY;
}

/* ---- what is hardly possible, and what is not --------------------------------------------------------------------- */

/* The fewest operations that this choice of values and any widths within the bytes give; INT64_MAX: none are within. */
static int64_t fewest(Search *s, const Candidate *c)
{
	Budget *b = s->b;
	Choice *by_ops = mem_array((size_t)b->n + 1, sizeof *by_ops);
	int64_t bytes, ops;
	bool found = false, more = true;
	room_of(s, c, &bytes, &ops);
	for (int i = 0; i < b->n; i++) {
		by_ops[i] = s->choice[i];
		for (int w = LEAST_BITS; w <= START_BITS; w++)
			by_ops[i].loss[w] = (double)by_ops[i].ops[w];
	}
	b->values = c->values;
	for (int i = 0; more && i < ROUNDS && choose_widths(by_ops, b->n, bytes, -1, b->bits) && budget_compile(b, false); i++) {
		int64_t left = b->limit.bytes ? b->limit.bytes - b->has.bytes : 0;
		found = left >= 0;
		more = !found && bytes > 0;
		bytes = no_less(bytes + left);
	}
	free(by_ops);
	return found ? b->has.ops : INT64_MAX;
}

/* The fewest of all; values differ little, so of each way of decoding only those with the fewest themselves are looked at. */
static int64_t fewest_of_all(Search *s, const Candidate *list, int n)
{
	int64_t least = INT64_MAX;
	for (int once = 0; once < 2; once++) {
		const Candidate *c = 0;
		for (int i = 0; i < n; i++)
			if (list[i].values.once == once && (!c || list[i].has.ops < c->has.ops))
				c = &list[i];
		if (!c || !count_choices(s, once))
			continue;
		add_up(s);
		int64_t ops = fewest(s, c);
		least = ops < least ? ops : least;
		if (least <= s->b->limit.ops)
			break;
	}
	return least;
}

static void refuse_bytes(Budget *b)
{
	for (int i = 0; i < b->n; i++)
		b->bits[i] = LEAST_BITS;
	if (budget_compile(b, false))
		diag_error(b->d, "--budget bytes=%lld: with all weights at %d bits the model has %lld bytes", (long long)b->limit.bytes,
		           LEAST_BITS, (long long)b->has.bytes);
}

static void refuse_ops(Budget *b, int64_t least)
{
	const Amounts *l = &b->limit;
	char also[80] = "";
	if (l->bytes && l->ram)
		snprintf(also, sizeof also, " within %lld bytes and %lld of RAM", (long long)l->bytes, (long long)l->ram);
	else if (l->bytes || l->ram)
		snprintf(also, sizeof also, " within %lld bytes%s", (long long)(l->bytes ? l->bytes : l->ram), l->ram ? " of RAM" : "");
	diag_error(b->d, "--budget ops=%lld: the least that widths give%s is %lld operations a step", (long long)l->ops, also,
	           (long long)least);
}

bool budget_weights(Budget *b, const Candidate *list, int n)
{
	Search s = {.b = b, .choice = mem_array((size_t)b->n + 1, sizeof *s.choice)};
	bool found = false, good = true;
	int counted = -1;
	int before = diag_errors(b->d);
	fill_choices(&s);
	for (int i = 0; i < n && good && !found; i++) {
		if (b->limit.ops && counted != list[i].values.once) {
			counted = list[i].values.once;
			good = count_choices(&s, counted);
		}
		add_up(&s);
		found = good && fit(&s, &list[i]);
		good = diag_errors(b->d) == before;
	}
	int64_t least = good && !found && b->limit.ops ? fewest_of_all(&s, list, n) : INT64_MAX;
	found |= least <= b->limit.ops && b->limit.ops;
	if (good && !found && least == INT64_MAX)
		refuse_bytes(b);
	else if (good && !found)
		refuse_ops(b, least);
	free(s.choice);
	return found && budget_compile(b, true);
}

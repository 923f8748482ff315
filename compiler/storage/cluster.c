/* cluster.c: which rows share a table of frequencies.
 *
 * Rows start sorted by how far their symbols spread, in up to 32 tables; then each row goes where it costs least, a few
 * times over; then tables are joined as long as a table costs more than it saves.  Costs are code lengths in 2^-16
 * bits, computed in integers. */
#include "storage/parts.h"

enum { MAX_TABLES = 32, ROUNDS = 4, TABLE_BITS = 56, SYMBOL_BITS = 16, CLASS_BITS = 32 };

uint32_t log2_fixed(uint32_t v)
{
	uint32_t whole = 31 - (uint32_t)__builtin_clz(v), out = whole << 16;
	uint64_t x = (uint64_t)v << (31 - whole);       /* in [2^31, 2^32): 1 .. 2 */
	for (int b = 15; b >= 0; b--) {
		x = x * x >> 31;
		if (x >> 32) {
			x >>= 1;
			out |= 1u << b;
		}
	}
	return out;
}

static int64_t n_log_n(int64_t n)
{
	int up = 0;
	int64_t v = n;
	for (; v >> 31; v >>= 1)
		up++;
	return n ? n * (log2_fixed((uint32_t)v) + ((int64_t)up << 16)) : 0;
}

typedef struct {
	const int32_t *hist;
	const int32_t *scale_of;
	int32_t M, nscale;
	int A, C;
	int32_t *of_row;
	int16_t *lo, *hi;       /* range of each row's symbols */
	int64_t *count;         /* [C][A] */
	int64_t *total;         /* [C] */
	int64_t *pair;          /* [nscale][MAX_TABLES]: rows */
	uint32_t *cost;         /* [C][A] */
	uint32_t *head;         /* [nscale][MAX_TABLES] */
} Cluster;

typedef struct { int64_t key; int32_t row; } Spread;

static int by_key(const void *a, const void *b)
{
	const Spread *x = a, *y = b;
	return x->key != y->key ? (x->key > y->key) - (x->key < y->key) : (x->row > y->row) - (x->row < y->row);
}

static void start(Cluster *u)
{
	int64_t *sum = mem_array((size_t)u->A, sizeof *sum);
	Spread *s = mem_array((size_t)u->M, sizeof *s);
	int middle = 0;
	for (int32_t i = 0; i < u->M; i++)
		for (int v = u->lo[i]; v <= u->hi[i]; v++)
			sum[v] += u->hist[(int64_t)i * u->A + v];
	for (int v = 1; v < u->A; v++)
		middle = sum[v] > sum[middle] ? v : middle;
	for (int32_t i = 0; i < u->M; i++) {
		s[i].row = i;
		for (int v = u->lo[i]; v <= u->hi[i]; v++)
			s[i].key += (int64_t)u->hist[(int64_t)i * u->A + v] * (v < middle ? middle - v : v - middle);
	}
	qsort(s, (size_t)u->M, sizeof *s, by_key);
	u->C = u->M < 4 * MAX_TABLES ? (u->M + 3) / 4 : MAX_TABLES;
	for (int32_t i = 0; i < u->M; i++)
		u->of_row[s[i].row] = (int32_t)((int64_t)i * u->C / u->M);
	free(sum);
	free(s);
}

static void add_up(Cluster *u)
{
	memset(u->count, 0, sizeof *u->count * (size_t)(MAX_TABLES * u->A));
	memset(u->total, 0, sizeof *u->total * MAX_TABLES);
	memset(u->pair, 0, sizeof *u->pair * (size_t)(MAX_TABLES * u->nscale));
	for (int32_t i = 0; i < u->M; i++) {
		const int32_t *h = u->hist + (int64_t)i * u->A;
		int c = u->of_row[i];
		for (int v = u->lo[i]; v <= u->hi[i]; v++) {
			u->count[c * u->A + v] += h[v];
			u->total[c] += h[v];
		}
		u->pair[u->scale_of[i] * MAX_TABLES + c]++;
	}
}

/* log2 of a sum of counts in 16ths, so that what was not seen is dear but not impossible. */
static uint32_t log_count(int64_t n, int64_t more)
{
	int64_t v = 16 * n + more;
	int up = 0;
	for (; v >> 31; v >>= 1)
		up++;
	return log2_fixed((uint32_t)v) + ((uint32_t)up << 16);
}

static void set_costs(Cluster *u)
{
	for (int c = 0; c < u->C; c++) {
		uint32_t all = log_count(u->total[c], u->A);
		for (int v = 0; v < u->A; v++)
			u->cost[c * u->A + v] = all - log_count(u->count[c * u->A + v], 1);
	}
	for (int32_t s = 0; s < u->nscale; s++) {
		int64_t n = 0;
		for (int c = 0; c < u->C; c++)
			n += u->pair[s * MAX_TABLES + c];
		for (int c = 0; c < u->C; c++)
			u->head[s * MAX_TABLES + c] = log_count(n, 4 * u->C) - log_count(u->pair[s * MAX_TABLES + c], 4);
	}
}

static void assign(Cluster *u)
{
	set_costs(u);
	for (int32_t i = 0; i < u->M; i++) {
		const int32_t *h = u->hist + (int64_t)i * u->A;
		int64_t best = INT64_MAX;
		for (int c = 0; c < u->C; c++) {
			int64_t bits = u->head[u->scale_of[i] * MAX_TABLES + c];
			const uint32_t *cost = u->cost + c * u->A;
			for (int v = u->lo[i]; v <= u->hi[i]; v++)
				bits += (int64_t)h[v] * cost[v];
			if (bits < best) {
				best = bits;
				u->of_row[i] = c;
			}
		}
	}
	add_up(u);
}

/* ---- joining ---------------------------------------------------------------------------------------------------- */

/* What a table of the sum of one or two tables costs, with its values and its rows' class numbers. */
static int64_t cost_of(const Cluster *u, int c, int d)
{
	int64_t bits = n_log_n(u->total[c] + (d < 0 ? 0 : u->total[d])), pairs = 0;
	int lo = -1, hi = -1;
	for (int v = 0; v < u->A; v++) {
		int64_t n = u->count[c * u->A + v] + (d < 0 ? 0 : u->count[d * u->A + v]);
		if (!n)
			continue;
		lo = lo < 0 ? v : lo;
		hi = v;
		bits -= n_log_n(n);
	}
	for (int32_t s = 0; s < u->nscale; s++) {
		int64_t n = u->pair[s * MAX_TABLES + c] + (d < 0 ? 0 : u->pair[s * MAX_TABLES + d]);
		pairs += n != 0;
		bits -= n_log_n(n);
	}
	return bits + (((int64_t)SYMBOL_BITS * (hi - lo + 1) + TABLE_BITS + CLASS_BITS * pairs) << 16);
}

static void drop(Cluster *u, int c)
{
	int last = --u->C;
	for (int32_t i = 0; i < u->M; i++)
		if (u->of_row[i] == last)
			u->of_row[i] = c;
	add_up(u);
}

static void drop_empty(Cluster *u)
{
	for (int c = u->C - 1; c >= 0; c--)
		if (!u->total[c])
			drop(u, c);
}

static void join(Cluster *u)
{
	int64_t alone[MAX_TABLES], both[MAX_TABLES][MAX_TABLES];
	for (int c = 0; c < u->C; c++) {
		alone[c] = cost_of(u, c, -1);
		for (int d = 0; d < c; d++)
			both[c][d] = cost_of(u, c, d);
	}
	for (;;) {
		int64_t best = 0;
		int bc = 0, bd = 0;
		for (int c = 0; c < u->C; c++)
			for (int d = 0; d < c; d++)
				if (both[c][d] - alone[c] - alone[d] < best) {
					best = both[c][d] - alone[c] - alone[d];
					bc = c, bd = d;
				}
		if (!best)
			return;
		for (int32_t i = 0; i < u->M; i++)
			if (u->of_row[i] == bc)
				u->of_row[i] = bd;
		int last = u->C - 1;
		drop(u, bc);
		for (int d = 0; d < u->C && bc != last; d++) {  /* the last one is bc now */
			int64_t was = d == bc ? 0 : both[last][d];
			if (d < bc)
				both[bc][d] = was;
			else if (d > bc)
				both[d][bc] = was;
		}
		alone[bc] = bc != last ? alone[last] : 0;
		alone[bd] = cost_of(u, bd, -1);
		for (int d = 0; d < u->C; d++)
			if (d != bd)
				both[d > bd ? d : bd][d > bd ? bd : d] = cost_of(u, bd, d);
	}
}

Tables cluster_rows(const int32_t *hist, int32_t M, int symbols, const int32_t *scale_of, int32_t nscale)
{
	size_t A = (size_t)symbols;
	nscale = nscale < 1 ? 1 : nscale;
	Cluster u = {.hist = hist, .scale_of = scale_of, .M = M, .nscale = nscale, .A = symbols,
	             .of_row = mem_array((size_t)M, sizeof(int32_t)), .lo = mem_array((size_t)M, sizeof(int16_t)),
	             .hi = mem_array((size_t)M, sizeof(int16_t)), .count = mem_array(MAX_TABLES * A, sizeof(int64_t)),
	             .total = mem_array(MAX_TABLES, sizeof(int64_t)), .cost = mem_array(MAX_TABLES * A, sizeof(uint32_t)),
	             .pair = mem_array(MAX_TABLES * (size_t)nscale, sizeof(int64_t)),
	             .head = mem_array(MAX_TABLES * (size_t)nscale, sizeof(uint32_t))};
	for (int32_t i = 0; i < M; i++) {
		const int32_t *h = hist + (int64_t)i * symbols;
		while (!h[u.lo[i]])
			u.lo[i]++;
		for (u.hi[i] = (int16_t)(symbols - 1); !h[u.hi[i]];)
			u.hi[i]--;
	}
	start(&u);
	add_up(&u);
	for (int r = 0; r < ROUNDS; r++)
		assign(&u);
	drop_empty(&u);
	join(&u);
	assign(&u);
	drop_empty(&u);
	join(&u);
	free(u.lo), free(u.hi), free(u.count), free(u.total), free(u.cost), free(u.pair), free(u.head);
	return (Tables){u.C, u.of_row};
}

/* ---- frequencies ------------------------------------------------------------------------------------------------- */

/* What one more (or one less) of 2^12 changes for a symbol that comes `count` times. */
static int64_t change(int64_t count, int from, int to)
{
	int64_t d = (int64_t)log2_fixed((uint32_t)(from > to ? from : to)) - log2_fixed((uint32_t)(from > to ? to : from));
	return count * d;
}

void quantize_counts(const int64_t *count, int n, uint16_t *freq)
{
	int64_t total = 0;
	int left = 1 << STORE_BITS;
	for (int v = 0; v < n; v++)
		total += count[v];
	for (int v = 0; v < n; v++) {
		int64_t f = ((count[v] << (STORE_BITS + 1)) / total + 1) / 2;
		freq[v] = (uint16_t)(f < 1 && count[v] ? 1 : f);
		left -= freq[v];
	}
	while (left) {
		int best = -1, step = left > 0 ? 1 : -1;
		int64_t gain = 0;
		for (int v = 0; v < n; v++) {
			if (!count[v] || freq[v] + step < 1)
				continue;
			int64_t g = step * change(count[v], freq[v], freq[v] + step);
			if (best < 0 || g > gain)
				best = v, gain = g;
		}
		freq[best] = (uint16_t)(freq[best] + step);
		left -= step;
	}
}

/* coded.c: rows as symbols of an entropy coder.
 *
 * rANS (J. Duda, arXiv 1311.2540) with frequencies of 12 bits and a 32-bit state that takes 16 bits at a time.  A row is
 * its class, then its K values in the class's table.  Rows in groups: each group is a stream of its own, so that a row is found by
 * decoding at most a group.  The encoder works backward. */
#include "storage/parts.h"

enum { GROUP_BYTES = 850, GROUP_MOST = 128, FLUSH_BITS = 24 };

typedef struct {
	int lo, step, n;        /* symbols of the whole matrix */
	int32_t *hist;          /* [M][n] */
} Symbols;

static int gcd(int a, int b)
{
	while (b) {
		int r = a % b;
		a = b, b = r;
	}
	return a;
}

static Symbols find_symbols(const Stored *s, const int8_t *w)
{
	size_t n = (size_t)s->M * (size_t)s->K;
	int lo = w[0], hi = w[0], step = 0;
	for (size_t i = 0; i < n; i++) {
		lo = w[i] < lo ? w[i] : lo;
		hi = w[i] > hi ? w[i] : hi;
	}
	for (size_t i = 0; i < n && step != 1; i++)
		step = gcd(step, w[i] - lo);
	step = step ? step : 1;
	Symbols y = {lo, step, (hi - lo) / step + 1, 0};
	y.hist = mem_array((size_t)s->M * (size_t)y.n, sizeof(int32_t));
	for (int32_t i = 0; i < s->M; i++)
		for (int32_t k = 0; k < s->K; k++)
			y.hist[(int64_t)i * y.n + (w[(int64_t)i * s->K + k] - lo) / step]++;
	return y;
}

/* ---- classes: pairs of a scale and a table ------------------------------------------------------------------ */

static bool number_classes(Stored *s, const Tables *t)
{
	int32_t scales = s->nscale ? s->nscale : 1;
	int32_t *number = mem_array((size_t)scales * (size_t)t->n, sizeof *number), n = 0;
	for (int32_t i = 0; i < s->M; i++)
		number[s->scale_of[i] * t->n + t->of_row[i]] = 1;
	for (int32_t p = 0; p < scales * t->n; p++)
		number[p] = number[p] ? n++ : -1;
	s->nclass = n;
	if (n <= STORE_MAX_CLASSES) {
		s->class_table = column_new(n, 1, false);
		if (s->nscale > 1)
			s->class_scale = column_new(n, 1, false);
		for (int32_t p = 0; p < scales * t->n; p++)
			if (number[p] >= 0) {
				col_u8(&s->class_table)[number[p]] = (uint8_t)(p % t->n + 1);
				if (s->nscale > 1)
					col_u8(&s->class_scale)[number[p]] = (uint8_t)(p / t->n);
			}
		for (int32_t i = 0; i < s->M; i++)
			s->class_of[i] = number[s->scale_of[i] * t->n + t->of_row[i]];
	}
	free(number);
	return n <= STORE_MAX_CLASSES;
}

/* ---- tables ---------------------------------------------------------------------------------------------------- */

static void add_table(Stored *s, int32_t t, const int64_t *count, int n, int lo, int step, int32_t *at)
{
	uint16_t freq[256];
	int a = 0, b = n - 1, g = 0;
	while (!count[a])
		a++;
	while (!count[b])
		b--;
	for (int v = a; v <= b; v++)
		g = count[v] ? gcd(g, v - a) : g;
	g = g ? g : 1;
	int64_t tight[256];
	int m = (b - a) / g + 1, sum = 0;
	for (int v = 0; v < m; v++)
		tight[v] = count[a + v * g];
	quantize_counts(tight, m, freq);
	col_i8(&s->lo)[t] = (int8_t)(t ? lo + step * a : 0);
	col_u8(&s->stride)[t] = (uint8_t)(step * g);
	col_i16(&s->first)[t] = (int16_t)*at;
	for (int v = 0; v < m; v++) {
		col_i16(&s->cum)[(*at)++] = (int16_t)sum;
		sum += freq[v];
	}
	s->most = m > s->most ? m : s->most;
}

static void make_tables(Stored *s, const Symbols *y, const Tables *t)
{
	int64_t *count = mem_array((size_t)(t->n + 1) * 256, sizeof *count);
	for (int32_t i = 0; i < s->M; i++) {
		count[s->class_of[i]]++;
		for (int v = 0; v < y->n; v++)
			count[256 * (t->of_row[i] + 1) + v] += y->hist[(int64_t)i * y->n + v];
	}
	s->first = column_new(t->n + 2, 2, true);
	s->lo = column_new(t->n + 1, 1, true);
	s->stride = column_new(t->n + 1, 1, false);
	s->cum = column_new(256 * (t->n + 1) + 1, 2, true);
	int32_t at = 0;
	bool strides = false;
	for (int32_t k = 0; k <= t->n; k++) {
		add_table(s, k, count + 256 * k, k ? y->n : s->nclass, y->lo, k ? y->step : 1, &at);
		strides |= col_u8(&s->stride)[k] != 1;
	}
	col_i16(&s->first)[t->n + 1] = (int16_t)at;
	s->cum.n = at + 1;
	if (!strides)
		s->stride.n = 0;
	free(count);
}

typedef struct { uint32_t from, freq; } Range;

/* The part of 0 .. 2^12 that symbol v of table t has. */
static Range range_of(const Stored *s, int t, int v)
{
	const int16_t *cum = col_i16(&s->cum) + col_i16(&s->first)[t] + v;
	return (Range){(uint32_t)cum[0], (((uint32_t)cum[1] - (uint32_t)cum[0] - 1) & ((1u << STORE_BITS) - 1)) + 1};
}

static int stride_of(const Stored *s, int t) { return s->stride.n ? col_u8(&s->stride)[t] : 1; }

/* Bits of all symbols, times 2^16. */
static int64_t code_length(const Stored *s, const Symbols *y)
{
	int64_t bits = 0;
	for (int32_t i = 0; i < s->M; i++) {
		int t = col_u8(&s->class_table)[s->class_of[i]];
		bits += (STORE_BITS << 16) - log2_fixed(range_of(s, 0, s->class_of[i]).freq);
		for (int v = 0; v < y->n; v++) {
			int32_t n = y->hist[(int64_t)i * y->n + v];
			if (n) {
				int symbol = (y->lo + y->step * v - col_i8(&s->lo)[t]) / stride_of(s, t);
				bits += (int64_t)n * ((STORE_BITS << 16) - log2_fixed(range_of(s, t, symbol).freq));
			}
		}
	}
	return bits;
}

/* ---- the stream -------------------------------------------------------------------------------------------------- */

typedef struct { uint16_t *word; int32_t n; uint32_t x; } Coder;        /* words lie in reverse order */

static void encode(Coder *c, Range r)
{
	if (c->x >= (uint64_t)r.freq << (32 - STORE_BITS)) {
		c->word[c->n++] = (uint16_t)c->x;
		c->x >>= STORE_LOW;
	}
	c->x = (c->x / r.freq << STORE_BITS) + c->x % r.freq + r.from;
}

static void encode_row(const Stored *s, Coder *c, const int8_t *w, int32_t row)
{
	int class = s->class_of[row], t = col_u8(&s->class_table)[class];
	for (int32_t k = s->K; k--;)
		encode(c, range_of(s, t, (w[k] - col_i8(&s->lo)[t]) / stride_of(s, t)));
	encode(c, range_of(s, 0, class));
}

/* Groups so large that what each costs beside its symbols is below 0.6 %. */
static void choose_groups(Stored *s, int64_t bits)
{
	int64_t row_bits = (bits >> 16) / s->M + 1, g = (8 * GROUP_BYTES + row_bits - 1) / row_bits;
	g = g > GROUP_MOST ? GROUP_MOST : g;
	s->group = s->reach && g < s->M ? (int32_t)g : s->M;
	int64_t most = s->group * ((int64_t)s->K + 1) * STORE_BITS / STORE_LOW + 4;     /* words in a group, at worst */
	s->super = most * STORE_SUPER < 65536 || (row_bits * s->group / STORE_LOW + 64) * STORE_SUPER < 32768 ? STORE_SUPER : 1;
}

static int32_t group_count(const Stored *s) { return (s->M + s->group - 1) / s->group; }

static bool encode_groups(Stored *s, const int8_t *w)
{
	int32_t groups = group_count(s), n = 0;
	size_t room = (size_t)s->M * ((size_t)s->K + 1) + 2 * (size_t)groups + 2;
	uint16_t *out = mem_array(room, 2);
	Coder c = {.word = mem_array(room, 2)};
	bool fits = true;
	for (int32_t g = 0; g < groups; g++) {
		int32_t end = (g + 1) * s->group < s->M ? (g + 1) * s->group : s->M;
		c.n = 0, c.x = 1u << STORE_LOW;
		for (int32_t i = end; i-- > g * s->group;)
			encode_row(s, &c, w + (int64_t)i * s->K, i);
		if (s->base.n && g % s->super == 0)
			col_i32(&s->base)[g / s->super] = n;
		if (s->offset.n) {
			fits &= n - col_i32(&s->base)[g / s->super] < 65536;
			((uint16_t *)s->offset.p)[g] = (uint16_t)(n - col_i32(&s->base)[g / s->super]);
		}
		out[n++] = (uint16_t)(c.x >> STORE_LOW);
		out[n++] = (uint16_t)c.x;
		while (c.n)
			out[n++] = c.word[--c.n];
	}
	free(c.word);
	s->stream = column_new(n + 2, 2, true);
	memcpy(s->stream.p, out, 2 * (size_t)n);
	free(out);
	return fits;
}

static void directory(Stored *s)
{
	int32_t groups = group_count(s);
	free(s->base.p), free(s->offset.p), free(s->stream.p);
	s->base = s->offset = s->stream = (Column){0};
	if (groups > 1)
		s->base = column_new((groups + s->super - 1) / s->super, 4, true);
	if (groups > 1 && s->super > 1)
		s->offset = column_new(groups, 2, true);
}

void coded_pack(Stored *s, const int8_t *w, bool estimate)
{
	Symbols y = find_symbols(s, w);
	s->class_of = mem_array((size_t)s->M, sizeof(int32_t));
	Tables t = cluster_rows(y.hist, s->M, y.n, s->scale_of, s->nscale);
	if (!number_classes(s, &t)) {   /* too many pairs: scales stand beside */
		s->nscale = 0;
		memset(s->scale_of, 0, (size_t)s->M * sizeof(int32_t));
		free(t.of_row);
		t = cluster_rows(y.hist, s->M, y.n, s->scale_of, 0);
		number_classes(s, &t);
	}
	make_tables(s, &y, &t);
	int64_t bits = code_length(s, &y);
	choose_groups(s, bits);
	directory(s);
	if (estimate) {
		s->bytes = stored_size(s) + (size_t)((bits >> 16) + (int64_t)FLUSH_BITS * group_count(s) + 32) / 8;
	} else if (!encode_groups(s, w)) {
		s->super = 1;
		directory(s);
		encode_groups(s, w);
	}
	free(y.hist);
	free(t.of_row);
}

/* ---- back ---------------------------------------------------------------------------------------------------------- */

static int decode(const Stored *s, int t, uint32_t *x, int32_t *at)
{
	uint32_t slot = *x & ((1u << STORE_BITS) - 1);
	int n = col_i16(&s->first)[t + 1] - col_i16(&s->first)[t], v = 0;
	while (v + 1 < n && (uint32_t)col_i16(&s->cum)[col_i16(&s->first)[t] + v + 1] <= slot)
		v++;
	Range r = range_of(s, t, v);
	*x = r.freq * (*x >> STORE_BITS) + slot - r.from;
	if (!(*x >> STORE_LOW))
		*x = *x << STORE_LOW | ((uint16_t *)s->stream.p)[(*at)++];
	return v;
}

void coded_unpack(const Stored *s, int32_t row, int32_t n, int8_t *w)
{
	const uint16_t *word = s->stream.p;
	int32_t g = row / s->group, at = 0;
	uint32_t x = 0;
	if (s->base.n)
		at = col_i32(&s->base)[g / s->super] + (s->offset.n ? ((uint16_t *)s->offset.p)[g] : 0);
	for (int32_t i = g * s->group; i < row + n; i++) {
		if (i % s->group == 0) {
			x = (uint32_t)word[at] << STORE_LOW | word[at + 1];
			at += 2;
		}
		int class = decode(s, 0, &x, &at), t = col_u8(&s->class_table)[class];
		for (int32_t k = 0; k < s->K; k++) {
			int v = col_i8(&s->lo)[t] + stride_of(s, t) * decode(s, t, &x, &at);
			if (i >= row)
				*w++ = (int8_t)v;
		}
	}
}

double storage_entropy(const int8_t *w, int32_t M, int32_t K, int classes)
{
	Stored s = {.M = M, .K = K};
	Symbols y = find_symbols(&s, w);
	int64_t *key = mem_array((size_t)M, sizeof *key), bits = 0;
	int64_t *count = mem_array((size_t)y.n, sizeof *count);
	int32_t *order = mem_array((size_t)M, sizeof *order), n = 0;
	for (int32_t i = 0; i < M; i++)
		for (int32_t k = 0; k < K; k++)
			key[i] += w[(int64_t)i * K + k] < 0 ? -w[(int64_t)i * K + k] : w[(int64_t)i * K + k];
	for (int64_t v = 0; n < M; v++)         /* counting sort: keys are small */
		for (int32_t i = 0; i < M; i++)
			if (key[i] == v)
				order[n++] = i;
	for (int c = 0; c < classes; c++) {
		int32_t from = (int32_t)((int64_t)M * c / classes), to = (int32_t)((int64_t)M * (c + 1) / classes);
		int64_t all = (int64_t)(to - from) * K;
		memset(count, 0, sizeof *count * (size_t)y.n);
		for (int32_t i = from; i < to; i++)
			for (int v = 0; v < y.n; v++)
				count[v] += y.hist[(int64_t)order[i] * y.n + v];
		for (int v = 0; v < y.n; v++)
			if (count[v])
				bits += count[v] * ((int64_t)log2_fixed((uint32_t)all) - log2_fixed((uint32_t)count[v]));
	}
	free(y.hist), free(key), free(count), free(order);
	return (double)bits / 65536;
}

/* reconstruct_data.c: calibration data as segments of many streams side by side.
 *
 * Sequences are cut into tracks, whole numbers of segments; tracks of about one length stand side by side
 * and are walked segment after segment, with the states carried on.  A position is a time step, or for a
 * model without T one run.  A tenth is held out: it decides which state of the parameters is best. */
#include "data/dataset.h"
#include "data/shape.h"
#include "data/states.h"
#include "passes/reconstruct.h"
#include "util/mem.h"

#include <stdlib.h>
#include <string.h>

enum { STREAMS = 32, SEGMENT = 32, HELD_OUT = 10, MOST_HELD_OUT = 16384 };

typedef struct { int64_t first; int segments; bool held_out; } Track;

typedef struct {
	Type type;
	int axis;               /* of T; -1 */
	size_t outer, inner;    /* around T; without T all is inner */
	bool carried, fixed;    /* fixed: one for a whole sequence */
	uint32_t *all;          /* by position (fixed: by sequence), elements of 4 bytes */
	size_t room;
} Feed;

typedef struct { int64_t first, length; } Sequence;

typedef struct BatchData {
	Feed *feed;
	int nin, nseq, ntrack;
	int64_t positions;
	Sequence *seq;
	Track *track;
	int *seq_of;            /* by track */
	int *pair;
	bool by_step;
	int64_t segment;        /* positions */
	int streams;
} BatchData;

static size_t per_position(const Feed *f) { return f->outer * f->inner; }

static void put(Feed *f, int64_t at, const uint32_t *x, int64_t steps, int64_t k)
{
	size_t per = per_position(f), need = ((size_t)at + 1) * per;
	if (need > f->room) {
		f->room = need * 2;
		f->all = mem_grow(f->all, f->room * sizeof *f->all);
	}
	for (size_t o = 0; o < f->outer; o++)
		memcpy(f->all + (size_t)at * per + o * f->inner,
		       x + (o * (size_t)(f->axis < 0 ? 1 : steps) + (size_t)k) * f->inner, f->inner * sizeof *x);
}

static void feeds_make(BatchData *b, const Module *m)
{
	int i = 0;
	for (const Port *p = m->in; p; p = p->next, i++) {
		Feed *f = &b->feed[i];
		*f = (Feed){.type = *p->type, .axis = time_axis(p->type), .outer = 1, .inner = 1,
		            .carried = b->pair[i] >= 0};
		for (int k = 0; k < f->type.rank; k++)
			if (k != f->axis)
				*(k < f->axis ? &f->outer : &f->inner) *= (size_t)f->type.dim[k];
		b->by_step |= f->axis >= 0;
	}
}

static void take(BatchData *b, Batches *out, const Sample *s)
{
	int64_t steps = b->by_step ? s->steps : 1;
	if (s->fresh || !b->nseq) {
		b->seq = mem_grow(b->seq, sizeof *b->seq * (size_t)(b->nseq + 1));
		b->seq[b->nseq++] = (Sequence){b->positions, 0};
	}
	for (int i = 0; i < b->nin; i++) {
		Feed *f = &b->feed[i];
		if (!s->in[i])
			continue;
		f->carried = false;
		f->fixed = b->by_step && f->axis < 0;
		if (f->fixed && !s->fresh)
			continue;
		for (int64_t k = 0; k < (f->fixed ? 1 : steps); k++)
			put(f, f->fixed ? b->nseq - 1 : b->positions + k, s->in[i]->bytes, s->steps, k);
	}
	for (int i = 0; i < s->nlabel; i++)
		if (s->label[i] > out->most_label)
			out->most_label = s->label[i];
	out->classes |= s->nlabel > 0;
	b->positions += steps;
	b->seq[b->nseq - 1].length += steps;
}

/* ---- tracks ----------------------------------------------------------------------------------------- */

static int compare_length(const void *a, const void *b)
{
	int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
	return x < y ? -1 : x > y;
}

/* Segments are at most SEGMENT positions, and no longer than three quarters of the sequences. */
static int64_t segment_length(const BatchData *b)
{
	int64_t *length = mem_array((size_t)b->nseq, sizeof *length), short_one;
	for (int i = 0; i < b->nseq; i++)
		length[i] = b->seq[i].length;
	qsort(length, (size_t)b->nseq, sizeof *length, compare_length);
	short_one = length[b->nseq / 4];
	free(length);
	return short_one < SEGMENT ? short_one : SEGMENT;
}

static void add_track(BatchData *b, int64_t first, int64_t segments, bool held_out)
{
	if (segments < 1)
		return;
	b->track = mem_grow(b->track, sizeof *b->track * (size_t)(b->ntrack + 1));
	b->track[b->ntrack++] = (Track){first, (int)segments, held_out};
}

/* The positions first .. first + length - 1 in tracks of `piece` segments, or one of less; what is over is
 * left out in front, so that ends of sequences stay ends. */
static void cut(BatchData *b, int64_t first, int64_t length, int64_t piece, bool held_out)
{
	int64_t n = length / b->segment, each = n < piece ? n : piece, over = each ? n % each : 0;
	first += length % b->segment + over * b->segment;
	for (int64_t at = 0; at + over < n; at += each)
		add_track(b, first + at * b->segment, each, held_out);
}

static void cut_all(BatchData *b)
{
	bool many = b->nseq >= 2 * b->streams;
	int64_t held = b->positions / HELD_OUT, piece = INT64_MAX / 2, held_piece = piece;
	if (!many) {
		piece = (b->positions - held) / b->streams / b->segment;
		held_piece = held / b->streams / b->segment;
		piece = piece < 1 ? 1 : piece;
		held_piece = held_piece < 1 ? 1 : held_piece;
	}
	for (int i = 0; i < b->nseq; i++) {
		Sequence s = b->seq[i];
		int64_t tail = many ? 0 : s.length / HELD_OUT;
		if (!many && b->nseq == 1 && tail < b->segment)
			tail = b->segment;
		cut(b, s.first, s.length - tail, piece, many && i % HELD_OUT == HELD_OUT - 1);
		if (tail)
			cut(b, s.first + s.length - tail, tail, held_piece, true);
	}
}

static int compare_tracks(const void *a, const void *b)
{
	const Track *x = a, *y = b;
	if (x->held_out != y->held_out)
		return x->held_out - y->held_out;
	if (x->segments != y->segments)
		return x->segments - y->segments;
	return x->first < y->first ? -1 : x->first > y->first;
}

/* Groups of `streams` neighbours, all cut to the shortest; the last group of a kind is filled up with
 * tracks before it. */
static void group_tracks(Batches *out)
{
	BatchData *b = out->data;
	qsort(b->track, (size_t)b->ntrack, sizeof *b->track, compare_tracks);
	int64_t held = 0;
	for (int first = 0, last; first < b->ntrack; first = last) {
		for (last = first; last < b->ntrack && b->track[last].held_out == b->track[first].held_out; last++)
			continue;
		for (int at = first; at < last; at += b->streams) {
			bool out_too = b->track[at].held_out;
			int from = at + b->streams <= last ? at : last - b->streams < first ? first : last - b->streams;
			if (out_too && held >= MOST_HELD_OUT)
				break;
			out->group = mem_grow(out->group, sizeof *out->group * (size_t)(out->ngroup + 1));
			out->group[out->ngroup++] = (Group){from, b->track[from].segments, out_too};
			held += out_too ? b->track[from].segments * b->segment * b->streams : 0;
		}
	}
}

static bool has_both(const Batches *b)
{
	bool seen[2] = {false, false};
	for (int i = 0; i < b->ngroup; i++)
		seen[b->group[i].held_out] = true;
	return seen[0] && seen[1];
}

bool batches_open(Batches *out, Module *m, const Options *opt, Diag *d)
{
	BatchData *b = mem_new(sizeof *b);
	*out = (Batches){.data = b};
	b->nin = nports(m->in);
	b->pair = mem_array((size_t)b->nin + 1, sizeof *b->pair);
	b->feed = mem_array((size_t)b->nin + 1, sizeof *b->feed);
	Dataset *set = state_pairs(m, opt, b->pair, d) ? dataset_open(opt->calib, m, opt, 0, d) : 0;
	if (!set)
		return false;
	feeds_make(b, m);
	Sample s;
	while (dataset_next(set, &s))
		take(b, out, &s);
	dataset_close(set);
	if (!b->positions)
		return false;
	for (int i = 0; i < b->nin; i++)
		if (!b->feed[i].carried)
			b->pair[i] = -1;
	b->segment = segment_length(b);
	int64_t streams = b->segment ? b->positions / (4 * b->segment) : 0;
	b->streams = streams < 1 ? 1 : streams > STREAMS ? STREAMS : (int)streams;
	if (!b->segment)
		return false;
	cut_all(b);
	group_tracks(out);
	out->pair = b->pair;
	out->streams = b->streams;
	out->units = b->by_step ? 1 : (int)b->segment;
	out->steps = b->by_step ? (int)b->segment : 1;
	return has_both(out);
}

/* ---- segments --------------------------------------------------------------------------------------- */

static int sequence_at(const BatchData *b, int64_t position)
{
	int low = 0, high = b->nseq - 1;
	while (low < high) {
		int mid = (low + high + 1) / 2;
		if (b->seq[mid].first <= position)
			low = mid;
		else
			high = mid - 1;
	}
	return low;
}

static void fill(const BatchData *b, const Feed *f, int64_t position, uint32_t *to, int steps)
{
	size_t per = per_position(f);
	if (f->fixed) {
		memcpy(to, f->all + (size_t)sequence_at(b, position) * per, per * sizeof *to);
		return;
	}
	for (int k = 0; k < steps; k++)
		for (size_t o = 0; o < f->outer; o++)
			memcpy(to + (o * (size_t)(f->axis < 0 ? 1 : steps) + (size_t)k) * f->inner,
			       f->all + ((size_t)position + (size_t)k) * per + o * f->inner, f->inner * sizeof *to);
}

void batches_fill(const Batches *batches, const Group *g, int segment, Net *n)
{
	const BatchData *b = batches->data;
	for (int i = 0; i < b->nin; i++) {
		const Feed *f = &b->feed[i];
		Buf *buf = &n->main->buf[n->main->func->param[i]->id];
		uint32_t *all = buf->i ? (uint32_t *)buf->i : (uint32_t *)buf->x;
		if (f->carried)
			continue;
		for (int u = 0; u < batches->units; u++)
			for (int s = 0; s < b->streams; s++) {
				int last = b->ntrack - 1, at = g->track + s > last ? last : g->track + s;
				const Track *t = &b->track[at];
				if (t->held_out != g->held_out || t->segments <= segment)
					t = &b->track[g->track];
				int64_t position = t->first + segment * b->segment + u;
				fill(b, f, position, all + ((size_t)u * (size_t)b->streams + (size_t)s) * buf->per, batches->steps);
			}
	}
}

int64_t batches_tokens(const Batches *b, bool held_out)
{
	int64_t n = 0;
	for (int i = 0; i < b->ngroup; i++)
		if (b->group[i].held_out == held_out)
			n += b->group[i].segments * b->data->segment * b->streams;
	return n;
}

void batches_close(Batches *out)
{
	BatchData *b = out->data;
	for (int i = 0; b && i < b->nin; i++)
		free(b->feed[i].all);
	if (b) {
		free(b->feed), free(b->seq), free(b->track), free(b->pair);
		free(b);
	}
	free(out->group);
	*out = (Batches){0};
}

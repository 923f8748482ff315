/* dataset.c: hand out the samples of an opened data set. */
#include "data/dataset_in.h"
#include "data/shape.h"
#include "data/states.h"
#include "util/file.h"
#include "util/mem.h"

#include <stdlib.h>
#include <string.h>

bool has_time(const Dataset *s)
{
	for (int i = 0; i < s->nin; i++)
		if (time_axis(&s->feed[i].type) >= 0)
			return true;
	return false;
}

void one_sequence(Dataset *s)
{
	s->nseq = 1;
	s->length = mem_array(1, sizeof *s->length);
	s->length[0] = s->units;
}

static Dataset *dataset_new(const Module *m, int32_t chunk)
{
	Dataset *s = mem_new(sizeof *s);
	s->nin = nports(m->in);
	s->nexpect = nports(m->out);
	s->feed = mem_array((size_t)s->nin, sizeof *s->feed);
	s->in = mem_array((size_t)s->nin, sizeof *s->in);
	s->expect = mem_array((size_t)s->nexpect, sizeof *s->expect);
	s->chunk = chunk;
	s->unit_steps = 1;
	int i = 0;
	for (const Port *p = m->in; p; p = p->next, i++) {
		s->feed[i].name = text_copy(p->name);
		s->feed[i].type = *p->type;     /* m may go before the data set does */
	}
	return s;
}

Dataset *dataset_open(const char *path, const Module *m, const Options *opt, int32_t chunk, Diag *d)
{
	Dataset *s = dataset_new(m, chunk);
	int *pair = mem_array((size_t)s->nin, sizeof *pair);
	bool good = state_pairs(m, opt, pair, d);
	if (good)
		good = is_folder(path) ? dataset_from_folder(s, path, m, opt, pair, d) : dataset_from_npz(s, path, m, pair, d);
	free(pair);
	if (good)
		return s;
	dataset_close(s);
	return 0;
}

static void drop_sample(Dataset *s)
{
	for (int i = 0; i < s->nin; i++) {
		tensor_free(s->in[i]);
		s->in[i] = 0;
	}
}

void dataset_close(Dataset *s)
{
	if (!s)
		return;
	drop_sample(s);
	for (int i = 0; i < s->nin; i++) {
		tensor_free(s->feed[i].all);
		free((char *)s->feed[i].name);
	}
	for (int i = 0; i < s->nexpect; i++)
		tensor_free(s->expect[i]);
	free(s->feed), free(s->in), free(s->expect), free(s->length), free(s->label);
	free(s);
}

void dataset_rewind(Dataset *s)
{
	s->seq = s->at = s->first = 0;
}

void dataset_chunk(Dataset *s, int32_t chunk)
{
	s->chunk = chunk;
	dataset_rewind(s);
}

int64_t dataset_steps(const Dataset *s)
{
	return s->units * (s->by_step ? 1 : s->unit_steps);
}

int64_t dataset_sequences(const Dataset *s)
{
	return s->nseq;
}

bool dataset_has_labels(const Dataset *s)
{
	return s->nlabel > 0;
}

int dataset_noutputs(const Dataset *s)
{
	int n = 0;
	for (int i = 0; i < s->nexpect; i++)
		n += s->expect[i] != 0;
	return n;
}

const Tensor *dataset_output(const Dataset *s, int i)
{
	return i < s->nexpect ? s->expect[i] : 0;
}

/* Units at .. at + n - 1 of a feed, in the shape of its input. */
static Tensor *cut(const Dataset *s, const Feed *f, int64_t at, int64_t n)
{
	if (!f->all)
		return 0;
	if (!f->cut)
		return tensor_copy(f->all);
	if (s->by_step)
		return tensor_slice(f->all, time_axis(&f->type), at, n);
	Tensor *t = tensor_slice(f->all, 0, at, 1);
	int64_t dim[MAX_RANK];
	dims_at(&f->type, s->unit_steps, dim);
	if (t)
		tensor_reshape(t, f->type.rank, dim);
	return t;
}

/* The labels that belong to units at .. at + n - 1; one for the whole sequence comes with its last sample. */
static void give_labels(const Dataset *s, int64_t at, int64_t n, Sample *out)
{
	if (!s->nlabel)
		return;
	if (s->label_each) {
		int64_t each = s->nlabel / s->units;
		out->label = s->label + at * each;
		out->nlabel = (int)(n * each);
	} else if (out->last) {
		out->label = s->label + s->seq;
		out->nlabel = 1;
	}
}

bool dataset_next(Dataset *s, Sample *out)
{
	drop_sample(s);
	if (s->seq >= s->nseq)
		return false;
	int64_t length = s->length[s->seq], n = 1;
	if (s->by_step) {
		n = length - s->at;
		if (s->chunk > 0 && n > s->chunk)
			n = s->chunk;
	}
	for (int i = 0; i < s->nin; i++)
		s->in[i] = cut(s, &s->feed[i], s->first + s->at, n);
	*out = (Sample){
		.in = s->in, .nin = s->nin,
		.steps = s->by_step ? (int32_t)n : s->unit_steps,
		.fresh = s->at == 0, .last = s->at + n == length,
		.number = s->seq,
	};
	give_labels(s, s->first + s->at, n, out);
	s->at += n;
	if (out->last) {
		s->first += length;
		s->at = 0;
		s->seq++;
	}
	return true;
}

/* dataset_npz.c: a data set from the arrays of a .npz file.  Which form it has is told by the shapes. */
#include "data/dataset_in.h"
#include "data/shape.h"
#include "data/states.h"
#include "util/mem.h"
#include "util/npz.h"

#include <stdlib.h>
#include <string.h>

typedef struct {
	const char *path;
	Npz z;
	const Tensor **array;           /* by input; 0: none */
	int64_t *steps;                 /* what T is in it; 0: the input has no T */
	bool *whole;                    /* it is its input; else it has samples along the first axis */
	bool any_state;                 /* some state input has no array */
} Arrays;

/* The rest of an array's shape behind its first axis. */
static bool fits_as_samples(const Type *t, const Tensor *a, int64_t *steps)
{
	return a->rank > 0 && shape_fits(t, a->rank - 1, a->dim + 1, steps);
}

static void no_array(const Arrays *a, const char *name, Diag *d)
{
	char *list = text_copy("");
	for (int i = 0; i < a->z.n; i++) {
		char *longer = text_new("%s%s%s", list, i ? ", " : "", a->z.t[i]->name);
		free(list);
		list = longer;
	}
	diag_error(d, "%s: there is no array for input '%s'; the file has: %s", a->path, name, a->z.n ? list : "none");
	free(list);
}

static void misfit(const Arrays *a, const Feed *f, const Tensor *array, Diag *d)
{
	char want[128], have[128];
	int64_t dim[MAX_RANK];
	for (int i = 0; i < f->type.rank; i++)
		dim[i] = f->type.dim[i];
	diag_error(d, "%s: array '%s' has shape %s; input '%s' takes %s, or samples of it along a first axis", a->path,
	           array->name, shape_text(array->rank, array->dim, have, sizeof have), f->name,
	           shape_text(f->type.rank, dim, want, sizeof want));
}

/* Match each input with its array and see how it fits.  A .npy file is the only input's array. */
static bool match(Dataset *s, Arrays *a, const int *pair, Diag *d)
{
	bool nameless = a->z.n == 1 && !*a->z.t[0]->name && s->nin == 1;
	bool good = true;
	for (int i = 0; i < s->nin; i++) {
		const Feed *f = &s->feed[i];
		const Tensor *t = a->array[i] = nameless ? a->z.t[0] : npz_find(&a->z, f->name);
		if (t) {
			a->whole[i] = shape_fits(&f->type, t->rank, t->dim, &a->steps[i]);
			if (!a->whole[i] && !fits_as_samples(&f->type, t, &a->steps[i]))
				misfit(a, f, t, d), good = false;
		} else if (pair[i] >= 0) {
			a->any_state = true;
		} else {
			no_array(a, f->name, d);
			good = false;
		}
	}
	return good;
}

/* All arrays that have a T must have the same. */
static bool common_steps(const Dataset *s, const Arrays *a, int64_t *steps, Diag *d)
{
	int first = -1;
	for (int i = 0; i < s->nin; i++) {
		if (!a->array[i] || time_axis(&s->feed[i].type) < 0)
			continue;
		if (first < 0) {
			first = i;
			*steps = a->steps[i];
		} else if (a->steps[i] != *steps) {
			diag_error(d, "%s: array '%s' has %lld time steps, '%s' has %lld", a->path, a->array[first]->name,
			           (long long)*steps, a->array[i]->name, (long long)a->steps[i]);
			return false;
		}
	}
	if (*steps > INT32_MAX) {
		diag_error(d, "%s: more than %d time steps", a->path, INT32_MAX);
		return false;
	}
	return true;
}

bool feed_whole(Dataset *s, int i, const Tensor *from, const char *path, int64_t *steps, Diag *d)
{
	Feed *f = &s->feed[i];
	int64_t dim[MAX_RANK];
	char *what = text_new("%s: array '%s'", path, from->name ? from->name : f->name);
	f->all = tensor_for(&f->type, from, what, d);
	free(what);
	if (!f->all)
		return false;
	dims_at(&f->type, *steps, dim);
	tensor_reshape(f->all, f->type.rank, dim);
	return true;
}

/* Every array is its input's whole: one sequence, or with `lengths` several. */
static bool take_whole(Dataset *s, const Arrays *a, Diag *d)
{
	int64_t steps = 1;
	if (!common_steps(s, a, &steps, d))
		return false;
	s->by_step = has_time(s);
	s->units = s->by_step ? steps : 1;
	for (int i = 0; i < s->nin; i++) {
		s->feed[i].cut = s->by_step && time_axis(&s->feed[i].type) >= 0;
		if (a->array[i] && !feed_whole(s, i, a->array[i], a->path, &steps, d))
			return false;
	}
	return true;
}

/* The first axis counts runs; whole arrays are the same in each.  Runs are sequences of their own, unless the model has
 * no T and its state carries on: then they are the steps of one. */
static bool take_samples(Dataset *s, const Arrays *a, Diag *d)
{
	int64_t steps = 1;
	int first = -1;
	if (!common_steps(s, a, &steps, d))
		return false;
	s->unit_steps = (int32_t)steps;
	for (int i = 0; i < s->nin; i++) {
		const Tensor *t = a->array[i];
		if (!t || a->whole[i]) {
			if (t && !feed_whole(s, i, t, a->path, &steps, d))
				return false;
			continue;
		}
		if (first >= 0 && t->dim[0] != s->units) {
			diag_error(d, "%s: array '%s' has %lld samples, '%s' has %lld", a->path, a->array[first]->name,
			           (long long)s->units, t->name, (long long)t->dim[0]);
			return false;
		}
		first = i;
		s->units = t->dim[0];
		char *what = text_new("%s: array '%s'", a->path, t->name);
		s->feed[i].all = tensor_for(&s->feed[i].type, t, what, d);
		s->feed[i].cut = true;
		free(what);
		if (!s->feed[i].all)
			return false;
	}
	return true;
}

static bool integers(const Arrays *a, const char *name, int64_t **v, int64_t *n, Diag *d)
{
	const Tensor *t = npz_find(&a->z, name);
	*n = 0;
	if (!t)
		return true;
	if (t->type == H_F16 || t->type == H_F32 || t->type == H_F64) {
		diag_error(d, "%s: array '%s' holds %s numbers, not integers", a->path, name, host_name(t->type));
		return false;
	}
	*n = t->count;
	*v = mem_array((size_t)t->count, sizeof **v);
	for (int64_t i = 0; i < t->count; i++)
		(*v)[i] = tensor_get_int(t, i);
	return true;
}

/* `lengths` cut the units into sequences. */
static bool take_lengths(Dataset *s, const Arrays *a, bool each_alone, Diag *d)
{
	if (!integers(a, "lengths", &s->length, &s->nseq, d))
		return false;
	if (s->length) {
		int64_t sum = 0;
		for (int64_t i = 0; i < s->nseq; i++)
			if (s->length[i] < 1 || __builtin_add_overflow(sum, s->length[i], &sum)) {
				diag_error(d, "%s: lengths[%lld] is %lld", a->path, (long long)i, (long long)s->length[i]);
				return false;
			}
		if (sum != s->units)
			diag_error(d, "%s: 'lengths' add up to %lld, but the arrays have %lld steps", a->path, (long long)sum,
			           (long long)s->units);
		return sum == s->units;
	}
	if (!each_alone) {
		one_sequence(s);
		return true;
	}
	s->nseq = s->units;
	s->length = mem_array((size_t)s->nseq, sizeof *s->length);
	for (int64_t i = 0; i < s->nseq; i++)
		s->length[i] = 1;
	return true;
}

/* One label for each sequence, or one for each time step. */
static bool take_labels(Dataset *s, const Arrays *a, Diag *d)
{
	if (!integers(a, "labels", &s->label, &s->nlabel, d))
		return false;
	if (!s->label)
		return true;
	s->label_each = s->nlabel != s->nseq;
	if (s->label_each && s->nlabel != dataset_steps(s)) {
		diag_error(d, "%s: %lld labels for %lld samples of %lld steps in all", a->path, (long long)s->nlabel,
		           (long long)s->nseq, (long long)dataset_steps(s));
		return false;
	}
	return true;
}

bool dataset_from_npz(Dataset *s, const char *path, const Module *m, const int *pair, Diag *d)
{
	Arrays a = {.path = path};
	if (!npz_read(path, &a.z, d))
		return false;
	size_t n = (size_t)s->nin;
	a.array = mem_array(n, sizeof *a.array);
	a.steps = mem_array(n, sizeof *a.steps);
	a.whole = mem_array(n, sizeof *a.whole);
	bool good = match(s, &a, pair, d), all_whole = true;
	for (int i = 0; i < s->nin; i++)
		all_whole = all_whole && (a.whole[i] || !a.array[i]);
	const Func *main = func_find(m, "main");
	a.any_state |= main && main->nstate;
	if (good)
		good = all_whole ? take_whole(s, &a, d) : take_samples(s, &a, d);
	bool each_alone = !all_whole && (has_time(s) || !a.any_state);
	good = good && take_lengths(s, &a, each_alone, d) && take_labels(s, &a, d);
	if (good && s->units == 0) {
		diag_error(d, "%s: there are no samples in it", path);
		good = false;
	}
	free(a.array), free(a.steps), free(a.whole);
	npz_free(&a.z);
	return good;
}

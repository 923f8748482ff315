/* run.c: `gatefold run MODEL INPUTS -o OUT.npz`.
 * The outputs of one sequence have the outputs' shapes.  Of several, those that have a T are joined along it and
 * the others stacked along a new first axis. */
#include "data/runner.h"
#include "data/shape.h"
#include "data/states.h"
#include "driver/driver.h"
#include "util/file.h"
#include "util/mem.h"
#include "util/npz.h"

#include <stdlib.h>
#include <string.h>

enum { SHOWN = 8 };             /* elements printed of each output when there is no -o */

typedef struct { Tensor **part; int n, room; } Parts;           /* of one output */

static HostType stored_type(Elem e)
{
	switch (e) {
	case E_i8: return H_I8;
	case E_u8: return H_U8;
	case E_i16: return H_I16;
	case E_i64: return H_I64;
	case E_f32: return H_F32;
	}
	return H_I32;
}

/* Output i of the last run: reals, or with --raw what is stored. */
static Tensor *take_output(Runner *r, const Port *p, int i, int32_t steps, bool raw)
{
	if (!raw)
		return tensor_copy(runner_output(r, i));
	size_t n;
	int64_t dim[MAX_RANK];
	const void *bytes = runner_raw(r, i, &n);
	dims_at(p->type, steps, dim);
	Tensor *t = tensor_new(stored_type(elem_stored(p->type->elem)), p->type->rank, dim);
	if (t) {
		t->name = text_copy(p->name);
		memcpy(t->bytes, bytes, n);
	}
	return t;
}

/* One tensor of all parts. */
static Tensor *join(const Parts *p, int axis)
{
	const Tensor *a = p->part[0];
	if (p->n == 1)
		return tensor_copy(a);
	int64_t dim[HOST_RANK] = {0}, outer = 1;
	int rank = axis < 0 ? a->rank + 1 : a->rank;
	if (rank > HOST_RANK)
		return 0;
	for (int i = 0; i < a->rank; i++)
		dim[axis < 0 ? i + 1 : i] = a->dim[i];
	if (axis < 0) {
		dim[0] = p->n;
		axis = 0;
	} else {
		dim[axis] = 0;
		for (int k = 0; k < p->n; k++)
			dim[axis] += p->part[k]->dim[axis];
	}
	Tensor *t = tensor_new(a->type, rank, dim);
	if (!t)
		return 0;
	for (int i = 0; i < axis; i++)
		outer *= dim[i];
	char *to = t->bytes;
	for (int64_t o = 0; o < outer; o++)
		for (int k = 0; k < p->n; k++) {
			size_t n = (size_t)(p->part[k]->count / outer) * host_size(a->type);
			memcpy(to, (char *)p->part[k]->bytes + (size_t)o * n, n);
			to += n;
		}
	t->name = text_copy(a->name);
	return t;
}

static void show(const Tensor *t)
{
	char shape[128];
	printf("%s %s %s:", t->name, host_name(t->type), shape_text(t->rank, t->dim, shape, sizeof shape));
	for (int64_t i = 0; i < t->count && i < SHOWN; i++)
		printf(" %.9g", tensor_get(t, i));
	puts(t->count > SHOWN ? " ..." : "");
}

static bool write_all(const Command *c, Tensor *const *t, int n, Diag *d)
{
	if (!c->out) {
		for (int i = 0; i < n; i++)
			show(t[i]);
		return true;
	}
	Outputs *o = outputs_new();
	FILE *f = outputs_add(o, c->out, d);
	bool good = f && npz_write(f, t, n, c->out, d) && outputs_commit(o, d);
	outputs_free(o);
	return good;
}

static bool run_all(const Command *c, Runner *r, Dataset *s, Parts *parts, int n, Diag *d)
{
	Sample sample;
	while (dataset_next(s, &sample)) {
		if (!runner_run(r, &sample, d))
			return false;
		const Port *p = runner_module(r)->out;
		for (int i = 0; i < n; i++, p = p->next) {
			Parts *to = &parts[i];
			if (to->n == to->room)
				to->part = mem_grow(to->part, sizeof *to->part * (size_t)(to->room = to->room * 2 + 8));
			Tensor *t = take_output(r, p, i, sample.steps, c->raw);
			if (!t) {
				diag_error(d, "output '%s': out of memory", p->name);
				return false;
			}
			to->part[to->n++] = t;
		}
	}
	return true;
}

static bool finish(const Command *c, const Module *m, const Parts *parts, int n, Diag *d)
{
	Tensor **t = mem_array((size_t)n, sizeof *t);
	bool good = true;
	const Port *p = m->out;
	for (int i = 0; i < n; i++, p = p->next)
		if (!(t[i] = join(&parts[i], time_axis(p->type)))) {
			diag_error(d, "output '%s' is too large", p->name);
			good = false;
		}
	good = good && write_all(c, t, n, d);
	for (int i = 0; i < n; i++)
		tensor_free(t[i]);
	free(t);
	return good;
}

static bool run_model(const Command *c, const Module *m, Diag *d)
{
	int n = nports(m->out);
	Dataset *s = dataset_open(c->arg[1], m, &c->opt, 0, d);
	Runner *r = s ? runner_open(m, &c->opt, d) : 0;
	Parts *parts = mem_array((size_t)n, sizeof *parts);
	bool good = r && run_all(c, r, s, parts, n, d) && finish(c, m, parts, n, d);
	for (int i = 0; i < n; i++) {
		for (int k = 0; k < parts[i].n; k++)
			tensor_free(parts[i].part[k]);
		free(parts[i].part);
	}
	free(parts);
	runner_close(r);
	dataset_close(s);
	return good;
}

int command_run(const Command *c, Diag *d)
{
	if (c->out && strcmp(path_suffix(c->out), ".npz")) {
		diag_error(d, "-o %s: run writes .npz files", c->out);
		return EXIT_REFUSED;
	}
	Module *m = model_read(c->arg[0], &c->opt, d);
	bool good = m && run_model(c, m, d);
	if (m)
		module_free(m);
	return good ? EXIT_DONE : EXIT_REFUSED;
}

/* dataset_folder.c: a data set from an ONNX test folder: input_0.pb, ..., and the outputs expected of them.
 * A file belongs to the port whose name it carries, or to that of its number. */
#include "data/dataset_in.h"
#include "data/shape.h"
#include "onnx/onnx.h"
#include "util/file.h"
#include "util/mem.h"

#include <stdlib.h>
#include <string.h>

enum { MAX_FILES = 1000 };

static const Port *port_at(const Port *p, int i)
{
	while (p && i-- > 0)
		p = p->next;
	return p;
}

/* The port that tensor number k is for; -1: none. */
static int port_of(const Port *ports, const Tensor *t, int k)
{
	int i = 0;
	for (const Port *p = ports; p; p = p->next, i++)
		if (t->name && !strcmp(p->name, t->name))
			return i;
	return port_at(ports, k) ? k : -1;
}

/* Inputs that --set or --state binds are no ports: numbers alone would not say which is which. */
static bool is_bound(const Options *opt, const Port *ports, const Tensor *t, const char *file, Diag *d)
{
	if ((opt->nset || opt->nstate || opt->all_states) && (!t->name || !*t->name))
		diag_error(d, "%s: has no name; with --set and --state it must say which it is", file);
	for (; ports && t->name; ports = ports->next)
		if (!strcmp(t->name, ports->name))
			return false;
	for (int i = 0; i < opt->nset; i++)
		if (t->name && !strcmp(t->name, opt->set_name[i]))
			return true;
	return opt->nstate || opt->all_states;
}

/* Read `kind`_0.pb, _1.pb, ... into place[]; files without a port are passed over. */
static bool read_files(const char *path, const char *kind, const Port *ports, const Options *opt,
		       Tensor **place, Diag *d)
{
	for (int k = 0; k < MAX_FILES; k++) {
		char *file = text_new("%s/%s_%d.pb", path, kind, k);
		if (!is_file(file)) {
			free(file);
			break;
		}
		Tensor *t = read_tensor_pb(file, d);
		bool bound = t && is_bound(opt, ports, t, file, d);
		free(file);
		if (!t)
			return false;
		int i = bound ? -1 : port_of(ports, t, k);
		if (i < 0 || place[i])
			tensor_free(t);
		else
			place[i] = t;
	}
	return true;
}

static bool take(Dataset *s, int i, const Tensor *t, const char *path, int64_t *steps, Diag *d)
{
	Feed *f = &s->feed[i];
	int64_t own = 0;
	if (!shape_fits(&f->type, t->rank, t->dim, &own)) {
		char want[128], have[128];
		int64_t dim[MAX_RANK];
		for (int a = 0; a < f->type.rank; a++)
			dim[a] = f->type.dim[a];
		diag_error(d, "%s: input_%d.pb has shape %s; input '%s' takes %s", path, i,
		           shape_text(t->rank, t->dim, have, sizeof have), f->name,
		           shape_text(f->type.rank, dim, want, sizeof want));
		return false;
	}
	if (time_axis(&f->type) >= 0) {
		if (*steps && *steps != own) {
			diag_error(d, "%s: its inputs have different numbers of time steps", path);
			return false;
		}
		*steps = own;
	}
	f->cut = time_axis(&f->type) >= 0;
	return feed_whole(s, i, t, path, &own, d);
}

bool dataset_from_folder(Dataset *s, const char *path, const Module *m, const Options *opt, const int *pair,
			 Diag *d)
{
	Tensor **in = mem_array((size_t)s->nin, sizeof *in);
	int64_t steps = 0;
	bool good = read_files(path, "input", m->in, opt, in, d) &&
		    read_files(path, "output", m->out, opt, s->expect, d) && !diag_errors(d);
	for (int i = 0; good && i < s->nin; i++) {
		if (in[i])
			good = take(s, i, in[i], path, &steps, d);
		else if (pair[i] < 0) {
			diag_error(d, "%s: there is no input_%d.pb for input '%s'", path, i, s->feed[i].name);
			good = false;
		}
	}
	s->by_step = has_time(s);
	s->units = s->by_step && steps ? steps : 1;
	one_sequence(s);
	for (int i = 0; i < s->nin; i++)
		tensor_free(in[i]);
	free(in);
	return good;
}

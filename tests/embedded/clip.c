/* clip.c: one sample of a .npz file in the batch form (N samples along the first axis), as a .npz file.
 *
 *	clip IN.npz NUMBER OUT.npz
 *
 * Labels are left out: what remains are inputs. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "util/npz.h"

/* Sample i of t, [1, ...]; 0 when there is none. */
static Tensor *sample(const Tensor *t, int64_t i)
{
	if (!t->rank || i < 0 || i >= t->dim[0])
		return 0;
	int64_t dim[HOST_RANK];
	memcpy(dim, t->dim, sizeof dim);
	dim[0] = 1;
	Tensor *s = tensor_new(t->type, t->rank, dim);
	if (!s)
		return 0;
	s->name = strdup(t->name);
	size_t n = (size_t)s->count * host_size(t->type);
	memcpy(s->bytes, (const char *)t->bytes + (size_t)i * n, n);
	return s;
}

int main(int argc, char **argv)
{
	Npz in = {0};
	Diag *d = diag_new();
	if (argc != 4 || !npz_read(argv[1], &in, d)) {
		diag_print(d, stderr);
		fprintf(stderr, "usage: clip IN.npz NUMBER OUT.npz\n");
		return 1;
	}
	Tensor **out = calloc((size_t)in.n + 1, sizeof *out);
	int n = 0, bad = 0;
	for (int i = 0; i < in.n; i++) {
		if (!strcmp(in.t[i]->name, "labels"))
			continue;
		out[n] = sample(in.t[i], atoll(argv[2]));
		if (!out[n++]) {
			fprintf(stderr, "clip: %s has no sample %s\n", in.t[i]->name, argv[2]);
			return 1;
		}
	}
	FILE *f = fopen(argv[3], "wb");
	bad = !f || !npz_write(f, out, n, argv[3], d);
	bad |= f && fclose(f);
	diag_print(d, stderr);
	while (n > 0)
		tensor_free(out[--n]);
	free(out);
	npz_free(&in);
	diag_free(d);
	return bad;
}

/* ops.c: ops.def as a table of facts for the parser, the printer and the verifier. */
#include <string.h>

#include "ir/ir.h"

#define CLASS(x) (#x[0] == 'x' ? 0 : #x[0])

const OpInfo op_info[N_OPS] = {
#define SCALAR(n, R, A, B, C, cexpr, ...) [O_##n] = { .name = #n, .klass = OC_SCALAR, .res = CLASS(R), \
	.arg = { CLASS(A), CLASS(B), CLASS(C) }, .c = #cexpr },
#define VECTOR(n, R, r, A, a, B, b, C, c_, cexpr, ...) [O_##n] = { .name = #n, .klass = OC_VECTOR, \
	.res = CLASS(R), .arg = { CLASS(A), CLASS(B), CLASS(C) }, .rres = r, .rarg = { a, b, c_ }, \
	.c = #cexpr },
#define TENSOR(n, min, max, text) [O_##n] = { .name = #n, .klass = OC_TENSOR, .min_in = min, .max_in = max, \
	.doc = text },
#define CONTROL(n, text) [O_##n] = { .name = #n, .klass = OC_CONTROL, .doc = text },
#include "ir/ops.def"
};

OpKind op_find(const char *name)
{
	for (int k = 1; k < N_OPS; k++)
		if (!strcmp(op_info[k].name, name))
			return k;
	return O_NONE;
}

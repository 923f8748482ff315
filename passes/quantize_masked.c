/* quantize_masked.c: values that count only where a `where` takes them.
 *
 * Past a sequence's end (sequence_lens, a Loop's condition) the step function goes on computing, and `where`
 * drops what comes out.  What it drops must not widen the range that the kept values share with it: the
 * state of an LSTM whose activations have no bound lost five bits to steps that were never seen.  A value is
 * masked by a condition when nothing but that side of its wheres depends on it; then those wheres' results
 * say the range, and the rest may saturate. */
#include "passes/quantize.h"

enum { DEEPEST = 12 };

typedef struct { const Val *condition; int side; int depth; } Mask;

static bool is_mask(const Op *o, const Val *v, const Mask *m)
{
	return o->kind == O_where && o->in[0] == m->condition && o->in[m->side] == v && o->in[3 - m->side] != v;
}

/* Does all that is computed from v in f go into such wheres?  *direct: into one without another op between.
 * */
static bool is_masked(const Func *f, const Val *v, Mask m, bool *direct)
{
	if (m.depth++ == DEEPEST)
		return false;
	for (const Op *o = f->body.first; o; o = o->next)
		for (int i = 0; i < o->nin; i++) {
			bool ignored;
			if (o->in[i] != v)
				continue;
			if (is_mask(o, v, &m)) {
				*direct = true;
				continue;
			}
			if (o->callee || has_effect(o))
				return false;
			for (int k = 0; k < o->nout; k++)
				if (!is_masked(f, o->out[k], m, &ignored))
					return false;
		}
	return true;
}

void masked_find(Quantizer *q)
{
	for (int i = 0; i < q->nfunc; i++)
		each_op(o, &q->func[i]->body)
			for (int side = 1; o->kind == O_where && side < 3; side++) {
				int n = node_of(q, q->func[i], o->in[side]);
				bool direct = false;
				if (n >= 0 && o->in[side]->def &&
				    is_masked(q->func[i], o->in[side], (Mask){o->in[0], side, 0}, &direct))
					q->node[n].masked |= direct;
			}
}

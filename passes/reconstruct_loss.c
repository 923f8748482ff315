/* reconstruct_loss.c: how far the student's outputs are from the teacher's, and which way is nearer.
 *
 * Outputs that choose among classes are compared by the Kullback-Leibler divergence of their
 * distributions, others by squares, each output over its mean square.  What carries on as state is no
 * target. */
#include "passes/reconstruct.h"
#include "passes/reconstruct_math.h"

#include <math.h>
#include <string.h>

enum { MANY_CLASSES = 256 };            /* so wide a result of a linear is a choice, labels or not */

/* The op that computes what f returns as `v`, behind ops that only move elements. */
static const Op *maker(const Val *v)
{
	for (int i = 0; i < 16 && v && v->def; i++) {
		const Op *o = v->def;
		if (o->kind == O_reshape || o->kind == O_transpose || o->kind == O_cast) {
			v = o->in[0];
			continue;
		}
		if (o->kind != O_scan && o->kind != O_call)
			return o;
		int k = 0;
		while (k < o->nout && o->out[k] != v)
			k++;
		const Op *last = o->callee->body.last;
		if (k >= o->callee->nret || !last || last->kind != O_ret)
			return 0;
		v = last->in[k];
	}
	return 0;
}

const Op *output_maker(const Module *m, int port)
{
	const Func *f = func_find(m, "main");
	return maker(f->body.last->in[port]);
}

static LossKind kind_of(const Val *v, bool first, const Batches *b)
{
	const Op *o = maker(v);
	int32_t wide = v->type->rank ? v->type->dim[v->type->rank - 1] : 1;
	if (o && o->kind == O_logsoftmax)
		return LOSS_CLASSES;
	if (o && o->kind == O_softmax)
		return LOSS_CHANCES;
	if (!o || o->kind != O_linear)
		return LOSS_SQUARE;
	if (wide >= MANY_CLASSES || (first && b->classes && wide > 1 && b->most_label < wide))
		return LOSS_CLASSES;
	return first && b->classes && wide == 1 && b->most_label == 1 ? LOSS_LOGIT : LOSS_SQUARE;
}

int targets_find(const Module *m, const Batches *b, Target *t)
{
	const Func *f = func_find(m, "main");
	const Op *ret = f ? f->body.last : 0;
	int count = 0;
	for (int i = 0; ret && i < f->nret; i++) {
		bool carried = false;
		for (int k = 0; k < f->nparam; k++)
			carried |= b->pair[k] == i;
		const Val *v = ret->in[i];
		bool real = !v->data && v->type->elem == E_f32 && v->def;
		t[i] = (Target){.kind = carried || !real ? LOSS_NONE : kind_of(v, count == 0, b), .weight = 1};
		count += t[i].kind != LOSS_NONE;
	}
	return count;
}

static double dot_difference(const float *p, const float *t, const float *y, size_t n)
{
	double sum[8] = {0}, all = 0;
	for (size_t i = 0; i < n; i++)
		sum[i % 8] += (double)p[i] * ((double)t[i] - y[i]);
	for (int l = 0; l < 8; l++)
		all += sum[l];
	return all;
}

/* p: room for a row; the teacher's logits t, the student's y.  Derivatives are those of the divergence's
 * second-order form, half the variance of y - t under p: noise that is left makes a student that follows
 * the divergence itself too sure of what the calibration text says, and worse on other text. */
static double classes(float *p, const float *t, const float *y, float *g, size_t n, float weight)
{
	double lt = softmax_row(p, t, n), ly = softmax_row(g, y, n);
	double mean = dot_difference(p, t, y, n);
	for (size_t i = 0; i < n; i++)
		g[i] = weight * p[i] * (y[i] - t[i] + (float)mean);
	return mean - lt + ly;
}

static double chances(const float *t, const float *y, float *g, size_t n, float weight)
{
	double loss = 0;
	for (size_t i = 0; i < n; i++) {
		double q = y[i] > 1e-9f ? y[i] : 1e-9;
		loss += t[i] > 1e-9f ? t[i] * (exact_log(t[i]) - exact_log(q)) : 0;
		g[i] = (float)(-weight * t[i] / q);
	}
	return loss;
}

/* log(1 + exp(x)) */
static double soft_plus(double x)
{
	float e, a = (float)-fabs(x);
	many_exp(&e, &a, 1);
	return (x > 0 ? x : 0) + exact_log(1 + (double)e);
}

static double logits(const float *t, const float *y, float *g, size_t n, float weight)
{
	double loss = 0;
	for (size_t i = 0; i < n; i++) {
		float p, q;
		many_sigmoid(&p, t + i, 1);
		many_sigmoid(&q, y + i, 1);
		loss += (double)p * ((double)t[i] - y[i]) - soft_plus(t[i]) + soft_plus(y[i]);
		g[i] = weight * (q - p);
	}
	return loss;
}

static double squares(Target *k, const float *t, const float *y, float *g, size_t n, float weight)
{
	double loss = 0;
	for (size_t i = 0; i < n; i++) {
		double e = (double)y[i] - t[i];
		k->power += (double)t[i] * t[i];
		loss += e * e;
	}
	k->count += (double)n;
	double mean = k->power / k->count, by = mean > 0 ? 1 / mean : 1;
	for (size_t i = 0; i < n; i++)
		g[i] = (float)(2 * weight * by * ((double)y[i] - t[i]));
	return loss * by;
}

double loss_of(Net *teacher, Net *student, Target *target, int nout, bool derive)
{
	double all = 0;
	for (int o = 0; o < nout; o++) {
		Target *k = &target[o];
		Buf *t = net_output(teacher, o), *y = net_output(student, o);
		if (k->kind == LOSS_NONE || !t || !y)
			continue;
		const Type *type = student->main->func->body.last->in[o]->type;
		int32_t wide = type->rank ? type->dim[type->rank - 1] : 1;
		size_t row = wide == DIM_T ? 1 : (size_t)wide;
		size_t count = (size_t)student->main->count * (size_t)student->streams * y->per, rows = count / row;
		bool by_row = k->kind == LOSS_CLASSES || k->kind == LOSS_CHANCES;
		float weight = (float)(k->weight / (double)(by_row ? rows : count));
		Arena *a = arena_new();
		float *p = NEWN(a, float, row + 1), *waste = NEWN(a, float, row + 1);
		double sum = 0;
		for (size_t r = 0; r < rows; r++) {
			const float *from = t->x + r * row, *to = y->x + r * row;
			float *g = derive ? y->g + r * row : waste;
			switch (k->kind) {
			case LOSS_CLASSES: sum += classes(p, from, to, g, row, weight); break;
			case LOSS_CHANCES: sum += chances(from, to, g, row, weight); break;
			case LOSS_LOGIT: sum += logits(from, to, g, row, weight); break;
			default: sum += squares(k, from, to, g, row, weight);
			}
		}
		all += k->weight * sum / (double)(by_row ? rows : count);
		arena_free(a);
	}
	return all;
}

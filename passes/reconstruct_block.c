/* reconstruct_block.c: a wide output layer stands for its inputs.
 *
 * A choice among thousands of classes costs more than all layers before it.  For small errors e of its
 * input the divergence of the distributions is e' F e / 2, F = W' (diag(p) - p p') W: the Fisher metric.
 * Its mean over calibration data, from the float model, is one small matrix; the layers before are learned
 * with it and the output layer is left out of every segment (the diagonal form of this is BRECQ's, arXiv
 * 2102.05426). */
#include "passes/reconstruct.h"
#include "passes/reconstruct_math.h"
#include "util/mem.h"

#include <stdlib.h>
#include <string.h>

static NetOp *find(Frame *f, const Op *o, Frame **in, int *count)
{
	NetOp *found = 0;
	for (int i = 0; i < f->nnode; i++) {
		NetOp *k = f->node[i].callee ? find(f->node[i].callee, o, in, count) : &f->node[i];
		if (!f->node[i].callee && k->op == o)
			*in = f, ++*count;
		if (k && (f->node[i].callee || k->op == o))
			found = k;
	}
	return found;
}

bool block_open(OutBlock *b, const Op *head, Net *teacher, Net *student)
{
	int count = 0;
	*b = (OutBlock){0};
	b->teacher = find(teacher->main, head, &b->teacher_frame, &count);
	b->student = find(student->main, head, &b->student_frame, &count);
	if (count != 2)
		return false;
	b->K = b->teacher->in[1].param->cols;
	b->F = mem_array((size_t)b->K * (size_t)b->K, sizeof *b->F);
	b->mean = mem_array((size_t)b->teacher->in[1].param->rows, sizeof *b->mean);
	return true;
}

static size_t rows_of(const Net *n, const NetOp *node, int K)
{
	return (size_t)n->streams * node->in[0].buf->per / (size_t)K;
}

/* Add one segment of the teacher, which ran whole: F - sum of m m', m = W'p; and p to the mean. */
void block_measure(OutBlock *b, Net *teacher)
{
	const Param *w = b->teacher->in[1].param;
	size_t M = (size_t)w->rows, K = (size_t)b->K, rows = rows_of(teacher, b->teacher, b->K);
	Packed by_class = {0}, sums = {0};
	float *p = mem_array(rows * M, sizeof *p), *m = mem_array(rows * K, sizeof *m);
	gemm_pack(&by_class, w->rows, w->cols, w->was, K, 1);
	for (int run = 0; run < b->teacher_frame->count; run++) {
		const float *y = buf_at(teacher, b->teacher_frame, b->teacher->out[0], run);
		for (size_t r = 0; r < rows; r++) {
			softmax_row(p + r * M, y + r * M, M);
			for (size_t i = 0; i < M; i++)
				b->mean[i] += p[r * M + i];
		}
		gemm((int)rows, p, M, 1, &by_class, m, K, false);
		gemm_pack(&sums, (int)rows, b->K, m, K, 1);
		for (size_t i = 0; i < rows * K; i++)
			m[i] = -m[i];
		gemm(b->K, m, 1, K, &sums, b->F, K, true);
		b->seen += (double)rows;
	}
	free(p), free(m);
	gemm_unpack(&by_class), gemm_unpack(&sums);
}

/* F += W' diag(sum of p) W, then the mean of all. */
void block_ready(OutBlock *b)
{
	const Param *w = b->teacher->in[1].param;
	size_t M = (size_t)w->rows, K = (size_t)b->K;
	float *scaled = mem_array(M * K, sizeof *scaled), by = (float)(1 / b->seen);
	Packed pw = {0};
	for (size_t i = 0; i < M; i++)
		for (size_t k = 0; k < K; k++)
			scaled[i * K + k] = (float)b->mean[i] * w->was[i * K + k];
	gemm_pack(&pw, w->rows, w->cols, scaled, K, 1);
	gemm(b->K, w->was, 1, K, &pw, b->F, K, true);
	for (size_t i = 0; i < K * K; i++)
		b->F[i] *= by;
	gemm_pack(&b->metric, b->K, b->K, b->F, K, 1);
	gemm_unpack(&pw);
	free(scaled);
}

double block_loss(OutBlock *b, Net *teacher, Net *student)
{
	size_t K = (size_t)b->K, rows = rows_of(student, b->student, b->K), all = rows * K;
	float *e = mem_array(all, sizeof *e), *g = mem_array(all, sizeof *g);
	float by = (float)(1 / ((double)rows * b->student_frame->count));
	double sum = 0;
	for (int run = 0; run < b->student_frame->count; run++) {
		const float *t = buf_at(teacher, b->teacher_frame, b->teacher->in[0].buf, run);
		const float *x = buf_at(student, b->student_frame, b->student->in[0].buf, run);
		for (size_t i = 0; i < all; i++)
			e[i] = x[i] - t[i];
		gemm((int)rows, e, K, 1, &b->metric, g, K, false);
		for (size_t i = 0; i < all; i++)
			sum += (double)e[i] * g[i];
		many_add_scaled(grad_at(student, b->student_frame, b->student->in[0].buf, run), by, g, all);
	}
	free(e), free(g);
	return 0.5 * sum * by;
}

void block_close(OutBlock *b)
{
	free(b->F), free(b->mean);
	gemm_unpack(&b->metric);
	*b = (OutBlock){0};
}

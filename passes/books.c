/* books.c: books for the rows of a unit (book.h): trained when first asked for, named beside the weights. */
#include "passes/feedback.h"
#include "passes/formats.h"
#include "passes/linalg.h"
#include "storage/storage.h"
#include "util/mem.h"

#include <stdlib.h>
#include <string.h>

/* A book is trained on so many weights, and takes at most this part of what the matrix does. */
enum { TRAINING = 60000, BOOK_SHARE = 64 };

GridKind grid_kind(const Options *opt)
{
	return opt->grid ? (GridKind)opt->grid : opt->size > 0 && opt->storage == STORE_ROWS ? GRID_TRELLIS : GRID_UNIFORM;
}

/* Rows from all over the matrix, in the order of the metric, each of root mean square 1. */
static float *training_rows(const Work *w, int k, int *rows)
{
	const Unit *u = w->u;
	int K = u->data[k]->type->dim[1], n = TRAINING / K + 1;
	n = n < u->M ? n : u->M;
	float *x = mem_array((size_t)n * (size_t)K, sizeof *x);
	*rows = 0;
	for (int i = 0; i < n; i++) {
		const double *row = w->x + (size_t)((int64_t)i * u->M / n) * (size_t)u->K;
		double r = rms(row + u->at[k], (size_t)K);
		for (int j = 0; j < K; j++)
			x[(size_t)*rows * (size_t)K + (size_t)j] = (float)(r > 0 ? row[w->metric->order[u->at[k] + j]] / r : 0);
		*rows += r > 0;
	}
	return x;
}

static Book *train(const Work *w, const Options *opt, int k, int width)
{
	int rows, K = w->u->data[k]->type->dim[1];
	size_t bytes = (size_t)w->u->M * (size_t)K * (size_t)width / 8;
	float *x = training_rows(w, k, &rows);
	int from = w->u->at[k], stride = w->metric->K, memory = grid_kind(opt) == GRID_BOOK ? 0 : book_memory(width, bytes / BOOK_SHARE);
	TrellisMetric m = {w->metric->push + (size_t)from * (size_t)stride + from, stride, w->metric->weight + from};
	Book *b = rows ? book_train(x, rows, K, width, memory, m) : 0;
	free(x);
	return b;
}

Grid book_grid(Work *w, const Options *opt, int k, const double *x, int width)
{
	double r = rms(x, (size_t)w->u->data[k]->type->dim[1]);
	Book **b = &w->book[k][width];
	if (!(r > 0x1p-100))
		return (Grid){.step = 1};
	if (!*b)
		*b = train(w, opt, k, width);
	StepKind kind = opt->pow2_scales || (!opt->size && !opt->real_scales) ? STEP_POW2 : STEP_LIST;
	return (Grid){.step = step_near(kind, r * (*b)->step), .most = 127, .book = *b};
}

/* Data of that name, or new ones: of another name where a model has one like it, which storage then does not find. */
static Data *put(Module *m, const char *name, Elem e, int32_t n)
{
	Data *d = data_find(m, name);
	const Type *t = type_tensor(m, e, 1, &n);
	return d && d->type == t ? d : data_new(m, name, t);
}

void books_store(Module *m, const Work *w, const Unit *u)
{
	for (int k = 0; k < u->n; k++) {
		int32_t K = u->data[k]->type->dim[1];
		bool any = false;
		for (int b = 1; b <= BOOK_WIDTH; b++) {
			const Book *book = w->book[k][b];
			if (!book)
				continue;
			memcpy(put(m, book_name(m, u->data[k], b), E_i8, book->n)->bytes, book->value, (size_t)book->n);
			any = true;
		}
		int32_t *order = any ? put(m, order_name(m, u->data[k]), E_i32, K)->bytes : 0;
		for (int32_t j = 0; any && j < K; j++)
			order[j] = w->metric->order[u->at[k] + j] - u->at[k];
	}
}

void books_free(Work *w)
{
	for (int k = 0; k < MAX_PARTS; k++)
		for (int b = 0; b <= BOOK_WIDTH; b++)
			book_free(w->book[k][b]);
}

/* reconstruct.c: effort 3: rounding and biases learned so that the quantized model's outputs follow the
 * float model's.
 *
 * Error feedback makes each layer's sums right on average; what errors do when they come back through the
 * recurrence it does not see.  Here the whole model runs over calibration data beside the float model, in
 * segments of many steps, and the derivative of the difference of their outputs through time moves the
 * weights' rounding and the biases (block reconstruction, arXiv 2004.10568 and 2102.05426, with the whole
 * model as the block and straight-through rounding).  Labels are not used.
 *
 * A part of the data is held out.  Learning goes in cycles whose rate fades to 0; each starts from the
 * parameters with the least loss on the data held out, and at a lower rate when the last one did not
 * better it.  What is kept is the best, which may be what effort 2 left: it is never worse there.  How
 * long it takes follows from the model's and the data's size, not from a clock: the same integers on every
 * machine. */
#include "passes/reconstruct.h"
#include "passes/feedback.h"
#include "passes/formats.h"
#include "passes/passes.h"
#include "storage/storage.h"
#include "util/mem.h"
#include "util/progress.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { METRIC_SEGMENTS = 16, CYCLES = 4, MOST_EPOCHS = 6, LEAST_UPDATES = 200, MOST_OUTPUTS = 64 };
/* Multiply-adds that are spent: a machine that does 10^10 a second takes ten minutes. */
static const double BUDGET = 6e12;
static const double WEIGHT_RATE = 0.02, BIAS_RATE = 0.001, SLOWER = 0.25;
static const double LEAST_PULL = 0.02, MORE_BYTES = 1.002;      /* coded weights may not grow */
enum { SOME_BYTES = 64 };

typedef struct {
	Module *m;
	const Options *opt;
	Batches batches;
	Param *params;
	Net *teacher, *student;
	Target target[MOST_OUTPUTS];
	int nout;
	OutBlock block;
	const Op *head;         /* the layer the block stands for; 0: none */
	int64_t segments, done, all;    /* of an epoch; of all epochs */
	Progress progress;
} Reconstruct;

static void say(const Options *opt, const char *what, const char *why)
{
	if (opt->verbose)
		fprintf(stderr, "reconstruct: %s%s%s\n", what, *why ? ": " : "", why);
}

/* ---- what learns ------------------------------------------------------------------------------------ */

/* Weights that feedback put on a grid; the others stay. */
static void weights_learn(Reconstruct *r, Param *p)
{
	const Data *grid = data_find(r->m, grid_name(r->m, p->data));
	int n = grid && !data_find(r->m, order_name(r->m, p->data)) ? (int)(grid->size / sizeof(float)) : 0;   /* paths stay */
	if (!p->learn && p->data->type->rank == 2 && (n == 1 || n == p->rows))
		learn_weights(p, grid->bytes, n, r->opt->storage == STORE_ROWS);
}

static void frame_learn(Reconstruct *r, Frame *f)
{
	for (int i = 0; i < f->nnode; i++) {
		NetOp *node = &f->node[i];
		if (node->callee)
			frame_learn(r, node->callee);
		if (node->op->kind == O_gather) {
			Param *p = node->in[0].param;
			bool first = !p->learn;
			weights_learn(r, p);
			p->sparse |= first && p->learn;
			p->touched = p->sparse && !p->touched ? mem_new((size_t)p->rows + 1) : p->touched;
		}
	}
	for (int i = 0; i < f->nnode; i++) {
		NetOp *node = &f->node[i];
		if (node->op->kind != O_linear)
			continue;
		weights_learn(r, node->in[1].param);
		node->in[1].param->sparse = false;      /* a table that is a layer's weights, too */
		if (node->op->nin > 2 && node->in[2].param && !node->in[2].param->learn)
			learn_bias(node->in[2].param);
	}
}

/* ---- what is compared ------------------------------------------------------------------------------- */

/* One output that is a choice from a layer wider than deep: the layers before it learn by their effect on
 * it. */
static const Op *wide_head(const Reconstruct *r)
{
	const Op *head = 0;
	for (int i = 0; i < r->nout; i++)
		if (r->target[i].kind != LOSS_NONE) {
			const Op *o = head ? 0 : output_maker(r->m, i);
			if (!o || o->kind != O_linear || r->target[i].kind != LOSS_CLASSES ||
			    o->in[1]->type->dim[0] < 2 * o->in[1]->type->dim[1])
				return 0;
			head = o;
		}
	return head;
}

static void open_block(Reconstruct *r)
{
	const Op *head = wide_head(r);
	if (!head || !block_open(&r->block, head, r->teacher, r->student))
		return;
	for (int i = 0, n = 0; i < r->batches.ngroup && n < METRIC_SEGMENTS; i++) {
		const Group *g = &r->batches.group[i];
		net_reset(r->teacher);
		for (int k = 0; !g->held_out && k < g->segments && n < METRIC_SEGMENTS; k++, n++) {
			batches_fill(&r->batches, g, k, r->teacher);
			net_forward(r->teacher);
			block_measure(&r->block, r->teacher);
		}
	}
	block_ready(&r->block);
	r->head = head;
	r->block.student->in[1].param->idle = true;
	if (head->nin > 2 && r->block.student->in[2].param)
		r->block.student->in[2].param->idle = true;
}

static double segment(Reconstruct *r, const Group *g, int number, bool derive)
{
	r->teacher->left_out = r->student->left_out = derive ? r->head : 0;
	batches_fill(&r->batches, g, number, r->teacher);
	batches_fill(&r->batches, g, number, r->student);
	net_forward(r->teacher);
	net_forward(r->student);
	if (!derive)
		return loss_of(r->teacher, r->student, r->target, r->nout, false);
	net_clear(r->student);
	double loss = r->head ? block_loss(&r->block, r->teacher, r->student)
	                      : loss_of(r->teacher, r->student, r->target, r->nout, true);
	net_backward(r->student);
	return loss;
}

static double held_out_loss(Reconstruct *r)
{
	double sum = 0;
	int n = 0;
	for (int i = 0; i < r->batches.ngroup; i++) {
		const Group *g = &r->batches.group[i];
		if (!g->held_out)
			continue;
		net_reset(r->teacher);
		net_reset(r->student);
		for (int k = 0; k < g->segments; k++, n++)
			sum += segment(r, g, k, false);
	}
	return sum / n;
}

static size_t coded_bytes(const Reconstruct *r)
{
	size_t n = 0;
	for (const Param *p = r->params; p; p = p->next)
		n += p->idle ? 0 : learn_bytes(p);
	return n;
}

/* ---- the schedule ----------------------------------------------------------------------------------- */

static double frame_macs(const Reconstruct *r, const Frame *f)
{
	double sum = 0;
	for (int i = 0; i < f->nnode; i++) {
		const NetOp *node = &f->node[i];
		if (node->callee)
			sum += frame_macs(r, node->callee);
		else if (node->op->kind == O_linear && node->op != r->head)
			sum += (double)f->count * r->batches.streams * (double)node->in[0].buf->per * node->in[1].param->rows;
	}
	return sum;
}

/* From 1 to 0, level at both ends. */
static double fade(double x) { return 1 - 3 * x * x + 2 * x * x * x; }

static void cycle(Reconstruct *r, int epochs, double by, double pull)
{
	int64_t first = r->done, n = epochs * r->segments;
	for (int e = 0; e < epochs; e++)
		for (int i = 0; i < r->batches.ngroup; i++) {
			const Group *g = &r->batches.group[i];
			if (g->held_out)
				continue;
			net_reset(r->teacher);
			net_reset(r->student);
			for (int k = 0; k < g->segments; k++) {
				segment(r, g, k, true);
				double now = by * fade((double)(r->done++ - first) / (double)n);
				Rate rate = {WEIGHT_RATE * now, BIAS_RATE * now, pull};
				for (Param *p = r->params; p; p = p->next)
					if (p->learn && !p->idle)
						learn_update(p, &rate);
				progress_tell(&r->progress, "reconstructing", (double)r->done / (double)r->all);
			}
		}
}

/* Epochs of a cycle: one at least; of few data so many that there are updates enough. */
static int plan(Reconstruct *r)
{
	for (int i = 0; i < r->batches.ngroup; i++)
		r->segments += r->batches.group[i].held_out ? 0 : r->batches.group[i].segments;
	double cost = 4 * frame_macs(r, r->student->main) * (double)r->segments * CYCLES;
	double most = fmax(MOST_EPOCHS, (double)(LEAST_UPDATES / r->segments));
	int epochs = (int)fmin(fmax(BUDGET / fmax(cost, 1), 1), most);
	r->all = (int64_t)CYCLES * epochs * r->segments;
	return epochs;
}

static void learn(Reconstruct *r, Reconstructed *result)
{
	int epochs = plan(r);
	bool coded = r->opt->storage == STORE_CODED;
	size_t bytes = coded ? coded_bytes(r) : 0;
	double by = 1, pull = 0;
	char line[200];
	*result = (Reconstructed){.did = true, .first = held_out_loss(r)};
	result->least = result->first;
	snprintf(line, sizeof line, "%d cycles of %d epochs of %lld segments, %d sequences of %d steps; loss %.6g",
	         CYCLES, epochs, (long long)r->segments, r->batches.streams, r->batches.steps * r->batches.units,
	         result->first);
	say(r->opt, line, "");
	for (int c = 0; c < CYCLES; c++) {
		cycle(r, epochs, by, pull);
		double loss = held_out_loss(r);
		double room = (r->opt->size > 0 ? 1 : MORE_BYTES) * (double)bytes + (r->opt->size > 0 ? 0 : SOME_BYTES);
		bool grew = coded && (double)coded_bytes(r) > room;
		bool better = loss < result->least && !grew;
		snprintf(line, sizeof line, "cycle %d: loss %.6g%s%s, %.0f s", c + 1, loss, better ? "" : ", not kept",
		         grew ? ": more bytes" : "", clock_seconds() - r->progress.start);
		say(r->opt, line, "");
		result->least = better ? loss : result->least;
		if (grew)
			pull = pull > 0 ? 2 * pull : LEAST_PULL;
		else if (!better)
			by *= SLOWER;
		for (Param *p = r->params; p; p = p->next) {
			if (better)
				learn_keep(p);
			learn_restart(p);
		}
	}
	progress_end(&r->progress);
	for (Param *p = r->params; p; p = p->next)
		learn_finish(p);
}

/* ---- the pass --------------------------------------------------------------------------------------- */

static bool open_nets(Reconstruct *r)
{
	char err[200];
	Batches *b = &r->batches;
	const FakeQuant *fake = fake_quants(r->m, r->opt);
	r->student = net_new(r->m, &r->params, fake, b->pair, b->units, b->streams, b->steps, true, err, sizeof err);
	if (r->student)
		r->teacher = net_new(r->m, &r->params, 0, b->pair, b->units, b->streams, b->steps, false, err, sizeof err);
	if (!r->teacher)
		say(r->opt, "left out", err);
	return r->teacher != 0;
}

bool reconstruct(Module *m, const Options *opt, Diag *d, Reconstructed *result)
{
	*result = (Reconstructed){0};
	const Func *f = func_find(m, "main");
	if (!f || f->nret > MOST_OUTPUTS)
		return true;
	Reconstruct *r = mem_new(sizeof *r);
	*r = (Reconstruct){.m = m, .opt = opt, .nout = f->nret, .progress = progress_start()};
	int before = diag_errors(d);
	if (!batches_open(&r->batches, m, opt, d))
		say(opt, "left out", "too few calibration data");
	else if (!targets_find(m, &r->batches, r->target))
		say(opt, "left out", "no output to compare");
	else if (open_nets(r)) {
		frame_learn(r, r->student->main);
		open_block(r);
		learn(r, result);
	}
	for (Param *p = r->params; p; p = p->next)
		learn_free(p);
	block_close(&r->block);
	net_free(r->student);
	net_free(r->teacher);
	batches_close(&r->batches);
	free(r);
	return diag_errors(d) == before;
}

bool pass_reconstruct(Module *m, const Options *opt, Diag *d)
{
	Reconstructed result;
	bool due = opt->integer && opt->effort > 2 && opt->calib && !module_is_quantized(m);
	bool good = !due || reconstruct(m, opt, d, &result);
	if (due)
		reconstruct_forget(m);
	return good;
}

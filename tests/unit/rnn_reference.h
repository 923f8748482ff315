/* rnn_reference.h: LSTM, GRU and RNN in double precision, straight from the text of ONNX's operators.
 *
 * Shares nothing with the compiler: no gate rows are regrouped, no biases are summed, each sequence of the
 * batch is walked alone from its own first to its own last step (or back). */
#ifndef RNN_REFERENCE_H
#define RNN_REFERENCE_H

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_ACT = 6, MAX_HIDDEN = 16, MAX_GATES = 4 };
typedef enum { LSTM, GRU, RNN } RnnKind;
/* What integer arithmetic would keep. */
enum { GATE, CANDIDATE, OUTPUT, SUM, CANDIDATE_SUM, CELL, HIDDEN, KEPT };

typedef struct Rnn {
	RnnKind kind;
	int ndir;
	bool reverse;                   /* the only direction */
	int layout, steps, batch, width, hidden;
	bool input_forget, linear_before_reset;
	double clip;                    /* 0: none */
	const char *act[MAX_ACT];
	double alpha[MAX_ACT], beta[MAX_ACT];   /* of each function, as it ends up with */
	/* ONNX's operands; 0: omitted */
	const float *x, *w, *r, *b, *h0, *c0, *p;
	const int *lens;
	double *y, *yh, *yc;            /* results; all are computed */
	double hair;                    /* arguments nearer than this to a jump are unfit */
	double most[2][KEPT];           /* the greatest of each value below, for each direction */
	int coarse;                     /* 1, 2, 3: these values are rounded to 16 bits, downward, to nearest,
	                                 * upward: power-of-two steps, a quarter more room than the greatest takes */
	bool unfit;                     /* float cannot follow: an argument near a jump, a value that grew large */
} Rnn;

static const int gates_of[] = {4, 3, 1}, acts_of[] = {3, 2, 1};

static double activation(Rnn *o, int i, double v)
{
	const char *f = o->act[i];
	double a = o->alpha[i], b = o->beta[i];
	if (!strcmp(f, "Sigmoid")) return 1 / (1 + exp(-v));
	if (!strcmp(f, "Tanh")) return tanh(v);
	if (!strcmp(f, "Relu")) return v > 0 ? v : 0;
	if (!strcmp(f, "Affine")) return a * v + b;
	if (!strcmp(f, "LeakyRelu")) return v >= 0 ? v : a * v;
	if (!strcmp(f, "ThresholdedRelu")) {
		if (fabs(v - a) < o->hair)
			o->unfit = true;
		return v > a ? v : 0;
	}
	if (!strcmp(f, "ScaledTanh")) return a * tanh(b * v);
	if (!strcmp(f, "HardSigmoid")) return fmin(fmax(a * v + b, 0), 1);
	if (!strcmp(f, "Elu")) return v >= 0 ? v : a * (exp(v) - 1);
	if (!strcmp(f, "Softsign")) return v / (1 + fabs(v));
	if (!strcmp(f, "Softplus")) return log(1 + exp(v));
	abort();
}

/* v, one of the values above. */
static double kept(Rnn *o, int d, int what, double v)
{
	double *most = &o->most[d][what];
	if (!o->coarse || !(*most > 0)) {
		*most = fmax(*most, fabs(v));
		return v;
	}
	double step = ldexp(1, ilogb(*most * 1.25) - 14);
	return floor(v / step + 0.5 * (o->coarse - 1)) * step;
}

static double gate(Rnn *o, int d, int i, int what, double sum)
{
	return kept(o, d, what, activation(o, i, kept(o, d, what == GATE ? SUM : CANDIDATE_SUM, sum)));
}

static double clipped(const Rnn *o, double v)
{
	return o->clip > 0 ? fmin(fmax(v, -o->clip), o->clip) : v;
}

/* Row `row` of W, R or a half of B for direction d. */
static double times_w(const Rnn *o, int d, int row, const double *x)
{
	double s = 0;
	for (int k = 0; k < o->width; k++)
		s += o->w[((size_t)d * gates_of[o->kind] * o->hidden + row) * o->width + k] * x[k];
	return s;
}

static double times_r(const Rnn *o, int d, int row, const double *h)
{
	double s = 0;
	for (int k = 0; k < o->hidden; k++)
		s += o->r[((size_t)d * gates_of[o->kind] * o->hidden + row) * o->hidden + k] * h[k];
	return s;
}

static double bias_w(const Rnn *o, int d, int row)
{
	return o->b ? o->b[(size_t)d * 2 * gates_of[o->kind] * o->hidden + row] : 0;
}

static double bias_r(const Rnn *o, int d, int row)
{
	int n = gates_of[o->kind] * o->hidden;
	return o->b ? o->b[(size_t)d * 2 * n + n + row] : 0;
}

/* The sum that enters gate g of unit j. */
static double gate_sum(const Rnn *o, int d, int g, int j, const double *x, const double *h)
{
	int row = g * o->hidden + j;
	return times_w(o, d, row, x) + times_r(o, d, row, h) + bias_w(o, d, row) + bias_r(o, d, row);
}

static double peep(const Rnn *o, int d, int gate, int j, double c)
{
	return o->p ? o->p[((size_t)d * 3 + gate) * o->hidden + j] * c : 0;
}

static void lstm_step(Rnn *o, int d, const double *x, double *h, double *c)
{
	double was[MAX_HIDDEN];
	memcpy(was, h, sizeof was);
	int f = d * 3;
	for (int j = 0; j < o->hidden; j++) {
		double it = gate(o, d, f, GATE, clipped(o, gate_sum(o, d, 0, j, x, was) + peep(o, d, 0, j, c[j])));
		double ft = o->input_forget ? 1 - it :
			gate(o, d, f, GATE, clipped(o, gate_sum(o, d, 2, j, x, was) + peep(o, d, 2, j, c[j])));
		double ct = gate(o, d, f + 1, CANDIDATE, clipped(o, gate_sum(o, d, 3, j, x, was)));
		c[j] = kept(o, d, CELL, ft * c[j] + it * ct);
		double ot = gate(o, d, f, GATE, clipped(o, gate_sum(o, d, 1, j, x, was) + peep(o, d, 1, j, c[j])));
		h[j] = kept(o, d, HIDDEN, ot * kept(o, d, OUTPUT, activation(o, f + 2, c[j])));
	}
}

static void gru_step(Rnn *o, int d, const double *x, double *h)
{
	int H = o->hidden, f = d * 2;
	double was[MAX_HIDDEN], reset[MAX_HIDDEN], rh[MAX_HIDDEN];
	memcpy(was, h, sizeof was);
	for (int j = 0; j < H; j++) {
		reset[j] = gate(o, d, f, GATE, clipped(o, gate_sum(o, d, 1, j, x, was)));
		rh[j] = reset[j] * was[j];
	}
	for (int j = 0; j < H; j++) {
		double z = gate(o, d, f, GATE, clipped(o, gate_sum(o, d, 0, j, x, was)));
		int row = 2 * H + j;
		double n = times_w(o, d, row, x) + bias_w(o, d, row);
		if (o->linear_before_reset)
			n += reset[j] * (times_r(o, d, row, was) + bias_r(o, d, row));
		else
			n += times_r(o, d, row, rh) + bias_r(o, d, row);
		n = gate(o, d, f + 1, CANDIDATE, clipped(o, n));
		h[j] = kept(o, d, HIDDEN, (1 - z) * n + z * was[j]);
	}
}

static void rnn_step(Rnn *o, int d, const double *x, double *h)
{
	double was[MAX_HIDDEN];
	memcpy(was, h, sizeof was);
	for (int j = 0; j < o->hidden; j++)
		h[j] = kept(o, d, HIDDEN, activation(o, d, clipped(o, gate_sum(o, d, 0, j, x, was))));
}

static size_t at_x(const Rnn *o, int t, int n)
{
	return (o->layout ? (size_t)n * o->steps + t : (size_t)t * o->batch + n) * o->width;
}

static size_t at_y(const Rnn *o, int t, int d, int n)
{
	size_t i = o->layout ? ((size_t)n * o->steps + t) * o->ndir + d : ((size_t)t * o->ndir + d) * o->batch + n;
	return i * o->hidden;
}

static size_t at_state(const Rnn *o, int d, int n)
{
	return (o->layout ? (size_t)n * o->ndir + d : (size_t)d * o->batch + n) * o->hidden;
}

static void one_sequence(Rnn *o, int d, int n)
{
	int H = o->hidden, length = o->lens ? o->lens[n] : o->steps;
	double h[MAX_HIDDEN] = {0}, c[MAX_HIDDEN] = {0}, x[64];
	for (int j = 0; length > 0 && j < H; j++) {
		h[j] = kept(o, d, HIDDEN, o->h0 ? o->h0[at_state(o, d, n) + j] : 0);
		c[j] = kept(o, d, CELL, o->c0 ? o->c0[at_state(o, d, n) + j] : 0);
	}
	for (int t = 0; t < o->steps; t++)
		for (int j = 0; j < H; j++)
			o->y[at_y(o, t, d, n) + j] = 0;
	bool backwards = o->reverse || d == 1;
	for (int i = 0; i < length; i++) {
		int t = backwards ? length - 1 - i : i;
		for (int k = 0; k < o->width; k++)
			x[k] = o->x[at_x(o, t, n) + k];
		if (o->kind == LSTM)
			lstm_step(o, d, x, h, c);
		else if (o->kind == GRU)
			gru_step(o, d, x, h);
		else
			rnn_step(o, d, x, h);
		memcpy(o->y + at_y(o, t, d, n), h, sizeof *h * H);
		for (int j = 0; j < H; j++)
			if (!(fabs(h[j]) < 50 && fabs(c[j]) < 50))
				o->unfit = true;
	}
	memcpy(o->yh + at_state(o, d, n), h, sizeof *h * H);
	memcpy(o->yc + at_state(o, d, n), c, sizeof *c * H);
}

static void rnn_reference(Rnn *o)
{
	o->unfit = false;
	for (int d = 0; d < o->ndir; d++)
		for (int n = 0; n < o->batch; n++)
			one_sequence(o, d, n);
}

#endif

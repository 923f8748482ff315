/* rnn_case.h: a random recurrent layer: operator, directions, layout, shapes, which operands are there and
 * which of them are known only when the model runs, activation functions and their numbers, clip, and which
 * results are wanted. */
#ifndef TEST_RNN_CASE_H
#define TEST_RNN_CASE_H

#include "rnn_reference.h"

#include <stdint.h>

enum { NX, NW, NR, NB, NLENS, NH0, NC0, NP, NOPERANDS };

typedef struct Case {
	Rnn rnn;
	bool dynamic;                   /* T is known only when the model runs */
	bool inner[NOPERANDS];          /* the operand is data of the model */
	float *value[NOPERANDS];        /* 0: omitted */
	int count[NOPERANDS];
	int lens[8];
	float alpha[MAX_ACT], beta[MAX_ACT];    /* the attributes' lists */
	int nalpha, nbeta;
	bool default_acts, want[3], stream;
} Case;

/* ---- random numbers: the same on every machine ------------------------------------------------ */

static uint64_t rng;

static uint32_t draw(uint32_t below)
{
	rng = rng * 6364136223846793005u + 1442695040888963407u;
	return (uint32_t)((rng >> 33) % below);
}

static bool one_in(uint32_t n)
{
	return draw(n) == 0;
}

static float real(float lo, float hi)
{
	return lo + (hi - lo) * (float)draw(1 << 20) / (1 << 20);
}

static float *reals(int n, float range)
{
	float *v = malloc(sizeof *v * (size_t)(n + 1));
	for (int i = 0; i < n; i++)
		v[i] = real(-range, range);
	return v;
}

/* ---- a case ------------------------------------------------------------------------------------ */

static void draw_activations(Case *c)
{
	static const struct { const char *name; int args; double alpha, beta; } all[] = {
		{"Sigmoid", 0, 0, 0}, {"Tanh", 0, 0, 0}, {"Relu", 0, 0, 0}, {"Softsign", 0, 0, 0}, {"Softplus", 0, 0, 0},
		{"LeakyRelu", 1, 0.01f, 0}, {"ThresholdedRelu", 1, 1, 0}, {"Elu", 1, 1, 0},
		{"HardSigmoid", 2, 0.2f, 0.5}, {"Affine", -2, 0, 0}, {"ScaledTanh", -2, 0, 0},
	};
	static const char *const usual[3] = {"Sigmoid", "Tanh", "Tanh"};
	Rnn *o = &c->rnn;
	int n = acts_of[o->kind] * o->ndir;
	c->default_acts = one_in(3);
	bool give_alpha = !one_in(3), give_beta = !one_in(3);
	for (int i = 0; i < n; i++) {
		if (c->default_acts) {
			o->act[i] = o->kind == RNN ? "Tanh" : usual[i % acts_of[o->kind]];
			continue;
		}
		give_alpha = give_alpha && !one_in(6);  /* lists may end early: the rest have defaults */
		give_beta = give_beta && !one_in(6);
		int k = (int)draw(give_alpha && give_beta ? 11 : 9), args = abs(all[k].args);
		o->act[i] = all[k].name;
		o->alpha[i] = all[k].alpha;
		o->beta[i] = all[k].beta;
		if (args >= 1 && give_alpha)
			o->alpha[i] = c->alpha[c->nalpha++] = real(0.1f, 0.9f);
		if (args == 2 && give_beta)
			o->beta[i] = c->beta[c->nbeta++] = real(0.1f, 0.9f);
	}
}

static void add_operand(Case *c, int k, int count, float range)
{
	c->count[k] = count;
	c->value[k] = reals(count, range);
	c->inner[k] = k != NX && !one_in(4);
}

static void draw_operands(Case *c)
{
	Rnn *o = &c->rnn;
	int G = gates_of[o->kind], D = o->ndir, H = o->hidden, N = o->batch;
	add_operand(c, NX, o->steps * N * o->width, 1.5f);
	add_operand(c, NW, D * G * H * o->width, 0.8f);
	add_operand(c, NR, D * G * H * H, 0.8f);
	if (!one_in(3))
		add_operand(c, NB, D * 2 * G * H, 0.8f);
	if (one_in(3)) {
		c->count[NLENS] = N;
		c->inner[NLENS] = one_in(3);
		for (int i = 0; i < N; i++)
			c->lens[i] = (int)draw((uint32_t)o->steps + 1);
		o->lens = c->lens;
	}
	if (one_in(2))
		add_operand(c, NH0, D * N * H, 0.9f);
	if (o->kind == LSTM && one_in(2))
		add_operand(c, NC0, D * N * H, 0.9f);
	if (o->kind == LSTM && one_in(3))
		add_operand(c, NP, D * 3 * H, 0.8f);
	o->x = c->value[NX], o->w = c->value[NW], o->r = c->value[NR], o->b = c->value[NB];
	o->h0 = c->value[NH0], o->c0 = c->value[NC0], o->p = c->value[NP];
}

static void draw_case(Case *c)
{
	*c = (Case){0};
	Rnn *o = &c->rnn;
	o->kind = (RnnKind)draw(3);
	o->ndir = 1 + (int)one_in(3);
	o->reverse = o->ndir == 1 && one_in(3);
	o->layout = (int)one_in(3);
	o->steps = 1 + (int)draw(6);
	o->batch = one_in(2) ? 1 : 1 + (int)draw(4);
	o->width = 1 + (int)draw(9);
	o->hidden = 1 + (int)draw(9);
	o->clip = one_in(3) ? real(0.2f, 1.5f) : 0;
	o->input_forget = o->kind == LSTM && one_in(4);
	o->linear_before_reset = o->kind == GRU && one_in(2);
	c->dynamic = one_in(2);
	c->stream = !one_in(4);
	do {
		for (int i = 0; i < 3; i++)
			c->want[i] = one_in(2) && (i < 2 || o->kind == LSTM);
	} while (!c->want[0] && !c->want[1] && !c->want[2]);
	draw_activations(c);
	draw_operands(c);
	size_t state = (size_t)o->ndir * o->batch * o->hidden;
	o->y = calloc(state * (size_t)o->steps, sizeof *o->y);
	o->yh = calloc(state, sizeof *o->yh);
	o->yc = calloc(state, sizeof *o->yc);
}

static void free_case(Case *c)
{
	for (int k = 0; k < NOPERANDS; k++)
		free(c->value[k]);
	free(c->rnn.y);
	free(c->rnn.yh);
	free(c->rnn.yc);
}

#endif

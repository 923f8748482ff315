/* sensitivity.h: what each weight tensor's width costs, and widths that fit a budget. */
#ifndef GATEFOLD_SENSITIVITY_H
#define GATEFOLD_SENSITIVITY_H

#include "driver/driver.h"
#include "util/json.h"

enum { WIDEST = 16 };

typedef struct {
	const Data *data;
	const char *name;       /* as --weights takes it: lstm_0_R, or lstm_0_R:f */
	char gate;              /* rows of one gate; 0: all rows */
	int32_t from, rows;
	double loss[WIDEST + 1];     /* by bits, of the model with just this rounded; [0] is not used */
} Sensitive;

typedef struct {
	Module *m;              /* floats, with ranges */
	Sensitive *tensor;
	int n;
	bool divergence;        /* loss is the mean Kullback-Leibler divergence of the outputs, in nats;
	                         * else their squared error relative to their power */
	int64_t steps;
} Sensitivity;

/* Measure on calibration data (c->limit steps, by default some thousand, fewer where outputs are large):
 * nearest rounding on the scales that c asks for, everything else in floats.  gates: rows of single gates,
 * too.  false with the faults in d. */
bool sensitivity_measure(const Command *c, Module *m, bool gates, Sensitivity *s, Diag *d);
void sensitivity_print(const Sensitivity *s, cJSON *json);
void sensitivity_free(Sensitivity *s);

/* reference.c: how far the outputs of a module are from those of the float model */
typedef struct Reference Reference;
/* the float model's outputs on calibration data */
Reference *reference_new(const Command *c, Module *m, Diag *d);
/* The loss of a module at the stage of `m`: floats, or quantized (integer). */
bool reference_loss(Reference *r, Module *m, bool integer, double *loss, Diag *d);
bool reference_divergence(const Reference *r);
int64_t reference_steps(const Reference *r);
void reference_free(Reference *r);

/* budget.c: `--budget bytes=N,ram=N,ops=N` */
bool budget_parse(const char *text, int64_t *bytes, int64_t *ram, int64_t *ops);
int command_budget(const Command *c, Diag *d);
int command_sensitivity(const Command *c, Diag *d);

#endif

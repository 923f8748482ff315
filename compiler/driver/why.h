/* why.h: the float and the integer model side by side, value by value. */
#ifndef GATEFOLD_WHY_H
#define GATEFOLD_WHY_H

#include "ir/ir.h"
#include "options.h"
#include "util/diag.h"

enum {
	WHY_SPANS = 16,         /* of steps since the reset: 1, 2-3, 4-7, .. */
	WHY_BITS = 33,          /* bits of a stored magnitude: 0 .. 32 */
};

/* sums of squares: of what floats give, of the difference */
typedef struct { double signal, error; } Power;

typedef struct {
	const char *name;       /* "step.lstm_0_c1" */
	const Func *func;       /* of the quantized module */
	const Val *val;
	Power all, span[WHY_SPANS];
	bool stepped;           /* span is filled */
	double worst;           /* greatest difference */
	double in;              /* SNR of the worst operand, dB; infinite: none was compared */
	int64_t count, saturated;       /* elements, and those at an end of the format */
	int64_t used[WHY_BITS]; /* elements by the bits of their stored magnitude */
} WhyValue;

typedef struct { const Data *data; Power all; } WhyWeight;      /* data of the quantized module */

typedef struct {
	WhyValue *value;        /* the worst first */
	WhyWeight *weight;      /* the worst first */
	int nvalue, nweight;
	int64_t sequences, steps;
} Why;

/* Both models run over `data` (at most `limit` steps, 0: all; whole sequences).  `floats` has names,
 * shapes and ops as the pass quantize saw them, `quantized` is what it made of them.  false with the
 * faults in d. */
bool why_collect(Module *floats, Module *quantized, const Options *opt, const char *data, int64_t limit,
                 Why *w, Diag *d);
void why_free(Why *w);
double power_db(Power p);                       /* infinite without an error */

/* why_print.c */
typedef struct cJSON cJSON;
void why_print(const Why *w, cJSON *json);      /* json 0: text on standard output */

#endif

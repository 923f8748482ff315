/* metric.h: what a model's outputs are worth. */
#ifndef GATEFOLD_METRIC_H
#define GATEFOLD_METRIC_H

#include "ir/ir.h"
#include "util/diag.h"
#include "util/tensor.h"

typedef enum { ACCURACY, PERPLEXITY, CROSS_ENTROPY, SNR } MetricKind;

typedef struct {
	MetricKind kind;
	bool probabilities;     /* the output went through a softmax or sigmoid; else logits */
	double sum;             /* right answers, or cross-entropy in nats; snr: squares of the float model's numbers */
	double noise;           /* snr: squares of the differences */
	int64_t n;              /* labels; snr: samples, or steps of one sequence */
} Metric;

MetricKind metric_kind(const char *name);
/* Does the op that makes output i of @main give probabilities?  m at tensor level. */
bool gives_probabilities(const Module *m, int i);
/* Score t against labels: the last axis are the classes, what is before them must be as many as the labels.  As
 * many elements as labels: each decides between label 0 and 1.  false with the fault in d. */
bool metric_add(Metric *s, const Tensor *t, const int64_t *label, int nlabel, Diag *d);
/* Signal to quantization noise: the numbers of the float model, and what became of them.  Both f32 and of one size. */
bool metric_compare(Metric *s, const Tensor *flt, const Tensor *fixed, Diag *d);
/* snr: dB; no noise at all is infinite. */
double metric_value(const Metric *s);

#endif

/* metric.h: what a model's outputs are worth. */
#ifndef GATEFOLD_METRIC_H
#define GATEFOLD_METRIC_H

#include "ir/ir.h"
#include "util/diag.h"
#include "util/tensor.h"

typedef enum { ACCURACY, PERPLEXITY, CROSS_ENTROPY } MetricKind;

typedef struct {
	MetricKind kind;
	bool probabilities;     /* the output went through a softmax or sigmoid; else logits */
	double sum;             /* right answers, or cross-entropy in nats */
	int64_t n;              /* labels */
} Metric;

MetricKind metric_kind(const char *name);
/* Does the op that makes output i of @main give probabilities?  m at tensor level. */
bool gives_probabilities(const Module *m, int i);
/* Score t against labels: the last axis are the classes, what is before them must be as many as the labels.  As
 * many elements as labels: each decides between label 0 and 1.  false with the fault in d. */
bool metric_add(Metric *s, const Tensor *t, const int64_t *label, int nlabel, Diag *d);
double metric_value(const Metric *s);

#endif

/* rnn_tally.h: which attribute, operand and function came in how many random layers, and in how many of them
 * the results were right, in float and in fixed point.  test_rnn --page prints it (docs/conformance.md). */
#ifndef TEST_RNN_TALLY_H
#define TEST_RNN_TALLY_H

#include <stdio.h>
#include <string.h>

enum { MOST_FEATURES = 64 };

typedef struct {
	char name[64];
	int of;                         /* which operators: 1 << kind */
	long cases[2], right[2];        /* float, fixed point */
} Feature;

static Feature features[MOST_FEATURES];
static int nfeatures;

/* A layer of this kind has the feature `name`, and came out right or not. */
static void tally(const char *name, int kind, bool fixed, bool right)
{
	int i = 0;
	while (i < nfeatures && strcmp(features[i].name, name))
		i++;
	if (i == nfeatures)
		snprintf(features[nfeatures++].name, sizeof features[0].name, "%s", name);
	features[i].of |= 1 << kind;
	features[i].cases[fixed]++;
	features[i].right[fixed] += right;
}

static int by_feature(const void *a, const void *b)
{
	return strcmp(((const Feature *)a)->name, ((const Feature *)b)->name);
}

static void tally_page(void)
{
	static const char *const kinds[] = {"LSTM", "GRU", "RNN"};
	qsort(features, (size_t)nfeatures, sizeof *features, by_feature);
	printf("| attribute, operand, form | of | float | fixed point, 16 bits |\n|---|---|---|---|\n");
	for (int i = 0; i < nfeatures; i++) {
		const Feature *f = &features[i];
		printf("| %s | ", f->name);
		for (int k = 0, n = 0; k < 3; k++)
			if (f->of >> k & 1)
				printf("%s%s", n++ ? ", " : "", kinds[k]);
		for (int k = 0; k < 2; k++)
			printf(" | %ld of %ld", f->right[k], f->cases[k]);
		printf(" |\n");
	}
}

#endif

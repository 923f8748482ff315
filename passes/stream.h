/* stream.h: what the files of the pass `stream` share: where a value's time axis is.
 *
 * stream.c decides and rewrites @main, stream_axis.c says how the time axis passes through an op,
 * stream_step.c writes @step. */
#ifndef GATEFOLD_STREAM_H
#define GATEFOLD_STREAM_H

#include "ir/ir.h"

/* How a value of @main depends on time: the axis that counts the steps (0, 1, ..), or one of these. */
enum {
	CONSTANT = -1,          /* the same at all steps */
	LAST = -2,              /* what the last step gives; also all values where there is just one step */
	WHOLE = -3,             /* needs the whole sequence */
};

typedef struct Stream {
	Module *m;
	Func *main;
	int32_t steps;          /* DIM_T, or a fixed number */
	bool carried;           /* a scan of one step starts from a value: the network's user carries the states */
	int *time;              /* of each value of main, by id */
	char why[200];          /* where the first op stands that needs the whole sequence */
} Stream;

/* stream_axis.c */
int operand_time(const Stream *s, const Val *v);
/* The time axis of o's result, were that of operand k the axis a. */
int axis_through(const Op *o, int k, int a, int32_t steps);
/* The time of o's only result from its operands'.  For scan see stream.c. */
int result_time(const Stream *s, const Op *o);
bool is_slice_along(const Op *o, int a);

/* stream_step.c: @step, one step of @main. */
Func *build_step(const Stream *s);
bool scan_streams(const Stream *s, const Op *o);        /* over time, not over another axis */

#endif

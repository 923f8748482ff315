/* body.h: the step function that the body of a Loop or Scan becomes, and the `scan` op that calls it.
 *
 * body_begin turns the walk to a new function; its parameters and states come up while the body is walked:
 * sequences that are sliced step by step, counters, states, and values of the function around it that are the
 * same in each step (body_capture).  Those that nothing reads are dropped by body_finish. */
#ifndef GATEFOLD_ONNX_BODY_H
#define GATEFOLD_ONNX_BODY_H

#include "onnx/import.h"

Body *body_begin(Node *n, const char *name, int32_t steps);     /* steps: constant, or DIM_T */
/* start + step * (number of the iteration) inside; 0 after fail() */
Value *body_counter(Body *b, HostType type, int64_t start, int64_t step);
/* For step i element at + i * step along axis of a value of the function around; that axis is dropped. */
Value *body_sequence(Body *b, Value *whole, int axis, int64_t at, int64_t step);
Value *body_state(Body *b, const char *name, Value *init);
/* What the state that body_state gave is after the step; its shape must be the state's. */
bool body_next(Body *b, Value *state, Value *v);
/* Inside values stacked along axis[i], in the order of the steps. */
void body_result(Body *b, Value *v, int axis);
/* The op in the function around: its results are the stacked ones, then the states at the end.  The walk goes
 * on behind it.  0 after fail(). */
Op *body_finish(Body *b, bool reverse);
void body_abandon(Body *b);                     /* after a fault: the walk goes on in the function around */

#endif

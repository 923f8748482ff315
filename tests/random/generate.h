/* generate.h: random loop level programs that the verifier accepts and that stay in bounds. */
#ifndef TEST_GENERATE_H
#define TEST_GENERATE_H

#include "ir/ir.h"

/* A planned module with @reset, @step_portable and @run_portable; the same seed gives the same module.  All
 * rows, nested loops with carries, loads, stores, gathers, scatters, views, calls, sizes that depend on T. */
Module *generate(uint64_t seed);

uint64_t random_next(uint64_t *state);          /* splitmix64 */

#endif

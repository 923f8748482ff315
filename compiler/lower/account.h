/* account.h: how much a module holds, and how much it computes. */
#ifndef GATEFOLD_ACCOUNT_H
#define GATEFOLD_ACCOUNT_H

#include "ir/ir.h"

int64_t count_parameters(const Module *m);      /* numbers in the constants of a tensor-level module */
int64_t used_bytes(const Module *m);            /* bytes of the data that functions use */
int64_t portable_bytes(const Module *m);        /* the same without what only bodies for one instruction set use */
int64_t count_macs(const Module *m);            /* multiply-accumulates of @main at T = 1 */
int64_t op_macs(const Op *o);
bool takes_any_steps(const Module *m);          /* an input has a T */

#endif

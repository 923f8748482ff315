/* match.h: finding equal ops: what simplify and roll share. */
#ifndef GATEFOLD_MATCH_H
#define GATEFOLD_MATCH_H

#include "ir/ir.h"

bool attrs_equal(const Attr *a, const Attr *b);         /* same names and values in any order; `except` ignored */
bool attrs_equal_but(const Attr *a, const Attr *b, const char *except);

/* Ops by kind, operands, attributes and type of the first result. */
typedef struct OpTable OpTable;
OpTable *optable_new(Module *m);
void optable_add(OpTable *t, Op *o);
Op *optable_find(const OpTable *t, OpKind k, const Attr *attr, int nin, Val *const *in, const Type *type);

/* Order the ops of a tensor level function so that definitions come first, otherwise as they stand.
 * false and nothing changed when there is a cycle. */
bool func_sort(Module *m, Func *f);

#endif

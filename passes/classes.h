/* classes.h: what the rows of an output layer of many classes are worth, and where.
 *
 * An error of a class's logit matters where the class is likely: by p (1 - p) (the diagonal of cross-entropy's second
 * derivative).  So each class has second moments of its own, of what its row multiplies, weighted by that.  Classes that are
 * likely in the same places share them: groups, found by k-means on the weighted means of what their rows multiply. */
#ifndef GATEFOLD_CLASSES_H
#define GATEFOLD_CLASSES_H

#include "passes/moments.h"

enum { CLASS_GROUPS = 32, FEWEST_CLASSES = 4 * CLASS_GROUPS };

/* From n samples v[n,K] of what u, a layer of classes, multiplies: to->weight; with FEWEST_CLASSES classes or more also to->group,
 * to->groups, to->group_H (about v's mean). */
void classes_measure(const Unit *u, const float *v, int n, Moments *to);

#endif

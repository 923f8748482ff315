/* quantize.h: what the files of the pass `quantize` share.
 *
 * Three relations between values decide the types:
 *	class	values that must have the same type, because some op only moves elements between them (reshape,
 *		the operand of a scan and its parameter, both sides of a where, a state and its final value)
 *	group	classes that hold the same numbers, perhaps in two precisions: a new state and the state, a result
 *		and what the function returns.  A group has one range.
 *	link	an edge between two classes of a group (`next`, `ret`): where their types differ, a cast goes in
 * Facts about uses and definitions are collected for each class; they give its bits, the group's range gives
 * its scale.  Two kinds of values get their scale from their neighbours instead: addends of a linear, and
 * products that are only added. */
#ifndef GATEFOLD_QUANTIZE_H
#define GATEFOLD_QUANTIZE_H

#include "ir/ir.h"
#include "options.h"
#include "passes/formats.h"
#include "util/diag.h"

/* What an op asks of its operands and result. */
typedef enum {
	R_NONE,         /* no fixed-point form yet */
	R_LINEAR, R_MATMUL, R_SOFTMAX, R_ARITH, R_PICK, R_TABLE, R_MOVE, R_CONCAT, R_GATHER, R_REDUCE, R_COMPARE,
	R_CAST, R_FLOW  /* scan, call, next, ret */
} Role;

typedef struct Node {           /* a value of a function, or a result a function returns */
	Func *func;
	Val *val;               /* 0: result number `result` of func */
	int result;
	int class_up, group_up; /* union-find parents */
	int uses;               /* operands that are this value */
	Op *user;               /* the last of them */
	bool silent;            /* does not add to the group's range */
	bool masked;            /* nor this one: wheres drop what it has beyond (quantize_masked.c) */

	/* of a class, at its root */
	int n_linear, n_addend, n_squash, n_arith, n_softmax, n_other;  /* uses, by what they ask */
	int n_link;             /* links at either end */
	bool state, port_in, port_out, arith_def, softmax_def, odd_def;
	bool deep;              /* what a function sees relative to its size (root, logarithm, divisor), or sums
	                         * into that: small numbers count, so it has 32 bits */
	double limit;           /* greatest magnitude any of the squashing uses can tell apart */
	Data *table;            /* gathered from this table only */
	int bits;               /* 0: free until a link asks */
	int narrow_bits;        /* of the copies that linears read; 0: the default */
	bool ruled;             /* bits set by the user */
	bool has_levels;        /* its copies of few bits are levels of the group's, or it is such a copy */
	int unit_bits;          /* of copies whose units have steps of their own; 0: none (quantize_units.c) */
	const Quant *unit, *level;      /* the types of such a copy: as rounded, as read */
	int rank;               /* of the node whose name the type gets */
	const char *name;
	const Quant *quant;

	/* of a group, at its root */
	bool ranged, reported;
	bool cell_state, free_state;    /* holds a state; one that no linear reads (c) */
	bool seen;              /* the range was observed, not guaranteed */
	double clip;            /* magnitude where copies for linears saturate; 0: the range */
	double lo, hi, bound;   /* bound: of the magnitude, from the operands' ranges; 0: none */
	const Quant *narrow;    /* its copy for the inputs of linears, where the class is wider */
	Data *steps;            /* of its units, in copies of few bits; 0: one step for all */
	Data *levels;           /* all that copies of few bits may be; 0: a grid */
	const Quant *leveled;   /* the type of such a copy */
} Node;

typedef struct { Func *func; Op *op; int operand, from, to; } Link;

/* A datum as it was, and one fixed-point form of it that some op asked for. */
typedef struct DataForm {
	Data *from, *to;        /* the first form takes the place of the datum itself */
	void *bytes;            /* of from, as f32 */
	size_t size;
	const Type *type;
	bool weights;           /* on scales of its own */
	struct DataForm *next;
} DataForm;

typedef struct Quantizer {
	Module *m;
	const Options *opt;
	Diag *d;
	int nfunc, n, nlink;
	Func **func;
	int *first, *nval;      /* of a function: node of the value with id 0, count; results follow */
	Node *node;
	Link *link;
	DataForm *form;
} Quantizer;

extern const uint8_t op_role[N_OPS];

/* quantize_classes.c */
void classes_build(Quantizer *q);
int node_of(const Quantizer *q, const Func *f, const Val *v);   /* -1: no f32 value (data, integer, none) */
int ret_node(const Quantizer *q, const Func *f, int i);
int class_of(const Quantizer *q, int n);
int group_of(const Quantizer *q, int n);
bool is_f32(const Val *v);

/* quantize_masked.c: marks values that only one side of wheres takes */
void masked_find(Quantizer *q);

/* quantize_ranges.c: the range of every group */
void ranges_build(Quantizer *q);
bool sure_range(const Op *o, double *lo, double *hi);     /* what the op alone guarantees */

/* quantize_types.c: bits and scales of classes */
void types_choose(Quantizer *q);
bool only_addend(const Node *c);                /* all its uses are third operands of linear */
bool only_added(const Quantizer *q, int n);     /* a product whose only use is an add or sub */
bool only_scaled(const Quantizer *q, int n);    /* a sum whose only use is a mul */
double group_most(const Quantizer *q, int n);   /* greatest magnitude the group must hold */
double class_most(const Quantizer *q, int n, int bits);         /* the one its type is made for */
const Quant *class_quant(Quantizer *q, int n);
const Quant *narrow_quant(Quantizer *q, int n); /* as an operand of linear or matmul */
const Quant *value_quant(Quantizer *q, Func *f, const Val *v);  /* 0: not a value of this pass */
void bits_choose(Quantizer *q);                 /* types_choose begins with it */
int narrow_bits(const Quantizer *q, int n);     /* of n as an operand of linear */
int width(int asked, int otherwise);            /* an option's bits, or its default */
const char *name_with_bits(Quantizer *q, const char *name, int bits);   /* h, 8: h8; h1, 8: h1_8 */
enum { DEFAULT_BITS = 8, WIDE_BITS = 16, DEEP_BITS = 32, LEVEL_BITS = 6 };      /* LEVEL_BITS: at most, of levels */

/* quantize_units.c: steps for each unit (last axis) */
void units_widen(Quantizer *q);                 /* classes with such copies have wide bits themselves */
bool holds_units(Quantizer *q, int n);          /* may class n itself have unit steps? */
bool reads_units(const Quantizer *q, int n);    /* do readers of n take such a copy? */
const Quant *unit_quant(Quantizer *q, int n);   /* with a step for each unit: what is rounded to */
const Quant *level_quant(Quantizer *q, int n);  /* the same numbers on the finest unit's step: what is read */
const Quant *read_quant(Quantizer *q, int n);   /* of n as an operand of an element-wise op */

/* quantize_levels.c: copies that are one of a few trained numbers */
void levels_widen(Quantizer *q);                /* what such copies are made of has wide bits */
bool holds_levels(const Quantizer *q, int n);   /* may class n itself be such a copy? */
const Quant *levels_quant(Quantizer *q, int n);
int levels_bits(const Data *levels);            /* that say which of them */

/* quantize_data.c: each datum in the forms its uses ask for */
Val *data_weights(Quantizer *q, Data *d, bool rows);            /* its own scales; made once */
Val *data_constant(Quantizer *q, Data *d);                      /* 16 bits, for arithmetic */
Val *data_on(Quantizer *q, Data *d, const Quant *grid);         /* on a given grid */
bool is_real_data(const Quantizer *q, const Val *v);            /* f32 before this pass */
double data_was(const Quantizer *q, const Data *d);             /* its greatest magnitude then */
int rule_bits(const Quantizer *q, const char *in, const char *name);    /* 0: no rule of the user's */

/* quantize_exact.c: scales that follow from others */
void exact_choose(Quantizer *q);
/* The scale of sums of x w products, times 2^shift. */
const Quant *sum_quant(Quantizer *q, const Quant *x, const Quant *w, const char *name, Elem e, int shift);
int sum_shift(const Quant *x, const Quant *w, double most);     /* so that `most` takes half of i32 */

/* For sums up to `most` that another sum starts from: a shift that makes them fit, and a width. */
const Quant *addend_quant(Quantizer *q, const Quant *x, const Quant *w, const char *name, double most);

/* quantize_apply.c: write types, casts and integers */
void types_apply(Quantizer *q);

#endif

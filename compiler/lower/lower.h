/* lower.h: tensor ops -> loops, inside one module.
 *
 * Each tensor level function F becomes one loop level function per body:
 *	@F(states.., inputs.., outputs.., [%T]) [w]	references; the result is a gf_status where F can fail
 * and the entry functions @reset, @step_B, @run_B hand it views of the model's state.  A value lives in a
 * buffer and is seen through an Access; slices, transposes and broadcasts only change the Access.  Chains of
 * element-wise ops of one shape become one loop nest (map.c).  Everything with an inner product is a kernel:
 * a text of compiler/kernels, instantiated (kernel.c). */
#ifndef GATEFOLD_LOWER_H
#define GATEFOLD_LOWER_H

#include "ir/ir.h"
#include "options.h"
#include "util/diag.h"

/* An index: c + t * T + dyn. */
typedef struct { int64_t c, t; Val *dyn; } Index;

/* How the elements of a tensor are found in a buffer: element (i0, i1, ..) of the tensor is element
 * (.., at[d] + step[d] * i[from[d]], ..) of base; from[d] < 0: no index, just at[d]. */
typedef struct Access {
	Val *base;              /* a reference */
	const Type *type;       /* the tensor: shape, element, quantization */
	int8_t from[MAX_RANK];
	int32_t step[MAX_RANK];
	Index at[MAX_RANK];
} Access;

typedef struct Frame Frame;
typedef struct Lower Lower;
typedef struct Place Place;
typedef struct StoredWeights StoredWeights;

struct Lower {
	Module *m;
	const Options *opt;
	Diag *d;
	const char *isa;        /* body being lowered: 0 portable, "avx2", "avx512vnni" */
	const char *body;       /* its name */
	Func *tensor;           /* the tensor level functions, taken out of m */
	struct Lowered { Func *src, *dst; const char *body; Place *place; struct Lowered *next; } *done;
	struct Instance { const char *key; Func *f; struct Instance *next; } *instances;
	StoredWeights *stored;
};

/* A state of a function or of something it calls: which reference parameter stands for it. */
struct Place {
	const char *name;
	const Type *type;
	Data *init;
	Place *next;
	StoredWeights *stored;  /* these weights, expanded by @reset: one place for all that use them; else 0 */
	Val *ref;               /* of such a place in this function */
};

struct Frame {                  /* one function being lowered */
	Lower *l;
	Func *src, *f;
	Block *b;               /* where ops go */
	Access *acc;            /* by id of the src value */
	bool *known;
	int *uses;              /* by id: how many operands of src it is */
	Val *turn;              /* linear_pair.c: direction of this step, once asked for */
	Val *T, *status;        /* status 0: nothing can fail so far */
	Op **pending;           /* element-wise ops waiting to be emitted as one loop nest (map.c) */
	int npending, cap;
	Val **home;             /* by id: the reference a value should be stored in (state, output), or 0 */
	Place *place;           /* states of callees, as further parameters */
	int lanes;              /* of the registers that map.c fills: 1, or VECTOR_LANES */
	Val *from_up, *to_up;   /* where scalar_op's operand or result has units (units.c): the exponent of this element's */
	bool failed;
};

enum { VECTOR_LANES = 16 };     /* elements at once in chains of a body with an isa */

/* ---- emit.c: short ways to build loop level ops in fr->b ------------------------------------------- */
Val *e_op(Frame *fr, OpKind k, const Type *t, int n, ...);              /* Val * ... */
Val *e_w(Frame *fr, int64_t i);                                         /* literals */
Val *e_l(Frame *fr, int64_t i);
Val *e_s(Frame *fr, float x);
const Type *reg_w(Frame *fr);
const Type *reg_l(Frame *fr);
const Type *lane_w(Frame *fr);                                          /* w, or w16 inside a vector chain */
const Type *reg_s(Frame *fr);
Val *e_index(Frame *fr, Index at, int32_t step, Val *i);                /* at + step * i; i may be 0 */
Val *e_dim(Frame *fr, int32_t dim);                                     /* literal, or %T */
Op *e_for(Frame *fr, Val *n, const char *counter, int ncarry, Val *const *init);   /* opens: fr->b is its body */
void e_end(Frame *fr, Op *loop, Block *outer, Val *const *yield);       /* closes */
void e_call(Frame *fr, Func *f, int n, Val *const *arg);                /* folds a w result into the status */
Val *e_alloc(Frame *fr, const char *name, const Type *tensor);
void e_fail(Frame *fr, const Op *o, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
Val *e_or_status(Frame *fr, Val *status);

/* ---- access.c ----------------------------------------------------------------------------------------- */
Access access_of(Frame *fr, Val *v);                    /* of an operand of src: parameter, op result, data */
Access access_whole(Frame *fr, Val *ref, const Type *t);/* ref holds exactly t */
Access access_slice(Access a, const Type *t, int axis, Index at, int32_t step);
Access access_drop(Access a, const Type *t, int axis, Index at);        /* fixes an axis and removes it */
Access access_permute(Access a, const Type *t, const int64_t *perm);
Access access_broadcast(Frame *fr, Access a, const Type *t);       /* to the shape of t (elements stay a's) */
bool access_contiguous(const Access *a);
Val *access_ref(Frame *fr, Access a);                   /* a reference with exactly a's shape: a view, or a copy */
Val *access_row(Frame *fr, const Access *a, Val *const *lead);  /* &elem[K] at leading indices lead (rank-1 of them) */
bool access_rows_contiguous(const Access *a);
void access_subscript(Frame *fr, const Access *a, Val *const *idx, Val **out);  /* indices of base for element idx */
Val *access_load(Frame *fr, const Access *a, Val *const *idx);          /* w, l or s; fr->lanes elements side by side */
bool access_lanes(const Access *a);                     /* are elements along the last axis side by side (or all one)? */
void access_store(Frame *fr, const Access *a, Val *const *idx, Val *v);
const Type *ref_type(Module *m, const Type *t);         /* reference to the stored form of t */
Access place_result(Frame *fr, Val *v);                 /* where op result v of src goes; registers it */
void set_access(Frame *fr, Val *v, Access a);
/* for each index of t's shape, calls body with fr->b inside the loops */
typedef void (*NestBody)(Frame *fr, Val *const *idx, void *arg);
void e_nest(Frame *fr, const Type *t, int rank, NestBody body, void *arg);      /* over the first `rank` axes */
void e_copy(Frame *fr, Access from, Access to);         /* same types */

/* ---- num.c: fixed-point arithmetic on registers --------------------------------------------------------- */
typedef struct Num {
	Val *v;                 /* w, l or s register, any lanes */
	double lo, hi;          /* bounds of the integer */
	double scale;           /* real = v * scale; 0: plain integer or float */
} Num;
typedef struct { Num x; double k; } Term;
Num num_load(Frame *fr, Val *v, const Type *t);
Num num_lincomb(Frame *fr, int n, const Term *term, double c, double scale);    /* round((sum k x + c) / scale) */
Num num_mul(Frame *fr, Num a, Num b);                   /* exact */
Num num_rescale(Frame *fr, Num a, double scale);
Num num_rescale_up(Frame *fr, Num a, double scale, Val *up, int spread);        /* to scale * 2^up, up 0..spread */
Val *num_saturate(Frame *fr, Num a, double lo, double hi);              /* to w (or l when the range needs it) */
Val *num_store(Frame *fr, Num a, const Type *t);        /* rescale and saturate to t */
int num_lanes(const Num *a);
bool exact_log2(double x, int *e);

/* linear.c: n elements as data; those that are there already, under a name that begins so, as bodies share what they need. */
Data *shared_data(Lower *l, const char *name, Elem e, int32_t n, const void *bytes);

/* ---- units.c: values whose units have steps of their own ------------------------------------------------- */
bool has_units(const Type *t);                          /* row scales that are octaves of the least */
double units_scale(const Type *t, int *spread);         /* the least */
Data *units_exponents(Lower *l, const Type *t);
Val *units_load(Frame *fr, const Type *t, const Type *shape, Val *const *idx);
Num units_level(Frame *fr, Num a, const Type *t);       /* a, with exponent fr->from_up, on the least unit's scale */

/* ---- levels.c: values that are one of a few integers ---------------------------------------------------- */
Num levels_round(Frame *fr, Num a, const Type *t);      /* to the nearest of t's levels, halfway to the greater */

/* ---- kernel.c -------------------------------------------------------------------------------------------- */
typedef struct { const char *name, *value; } Sym;
/* The function `kernel` of the kernel texts with symbols replaced; the same instance for the same text. */
Func *kernel_get(Lower *l, const char *kernel, const char *isa, int nsym, const Sym *sym);
const char *sym_int(Lower *l, int64_t v);

/* ---- map.c: element-wise ops -------------------------------------------------------------------------- */
bool is_elementwise(OpKind k);
void map_add(Frame *fr, Op *o);                         /* joins or opens the pending group */
void map_flush(Frame *fr);
bool map_pending(const Frame *fr, const Val *v);        /* is v computed by the pending group? */
/* ---- scalar.c: the arithmetic of one element-wise op on registers ---------------------------------------- */
Num scalar_op(Frame *fr, const Op *o, Num *in, const Type *const *type);
/* scalar_func.c: quotients, roots, exponentials, .. of fixed-point numbers; false: not one of them */
bool scalar_function(Frame *fr, const Op *o, const Num *in, Num *y);
Num scalar_whole_part(Frame *fr, Num a);                /* as a plain integer */

/* ---- one function per family of ops ------------------------------------------------------------------------ */
void lower_linear(Frame *fr, Op *o);                    /* linear.c */
void lower_matmul(Frame *fr, Op *o);                    /* matmul.c */
void lower_softmax(Frame *fr, Op *o);                   /* softmax.c */
void lower_reduce(Frame *fr, Op *o);                    /* reduce.c */
bool lower_move(Frame *fr, Op *o);                      /* move.c: reshape transpose slice concat gather expand */
void lower_conv(Frame *fr, Op *o);                      /* conv.c */
void lower_pad(Frame *fr, Op *o);                       /* pad.c */
void lower_pick(Frame *fr, Op *o);                      /* pick.c */
void lower_argmax(Frame *fr, Op *o);
/* move.c: an index of an axis of n elements: negative ones count from the end; outside ones are clamped, *bad is 1 */
Val *clamp_index(Frame *fr, Val *i, Val *n, Val **bad);
void lower_scan(Frame *fr, Op *o);                      /* scan.c */
void lower_call(Frame *fr, Op *o);
void lower_observe(Frame *fr, Op *o);                   /* observe.c */
void lower_record(Frame *fr, Op *o);

/* ---- func.c -------------------------------------------------------------------------------------------------- */
struct Lowered *lower_func(Lower *l, Func *src);        /* for l->body; made once */
Func *tensor_func(Lower *l, const char *name);

#endif

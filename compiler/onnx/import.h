/* import.h: what the files of this folder share while a graph is walked.
 *
 * A graph is walked once, in its own order.  Each ONNX value is either known now (V_HOST: weights, shapes and
 * all that is computed from them; folded here, never seen by the IR unless an op needs it) or known when
 * the model runs (V_RUN: a value of @main).  Integers known now may depend on the number of time steps:
 * element i of such a tensor is steps[i] * T + host[i].
 *
 * An ONNX operator is a row of operators.c and a function that gives its node's outputs a meaning.  The function returns
 * false after fail(); then its outputs stay V_UNKNOWN and nodes that read them are passed over in
 * silence, so that each fault is told once. */
#ifndef GATEFOLD_ONNX_IMPORT_H
#define GATEFOLD_ONNX_IMPORT_H

#include "onnx/model.h"

typedef struct Body Body;
typedef struct Import Import;
typedef struct Node Node;
typedef struct OpRow OpRow;
typedef struct Scope Scope;
typedef struct Value Value;

typedef struct { int rank; int32_t dim[MAX_RANK]; } Shape;      /* DIM_T: the number of steps */
typedef struct { int64_t a, b; } Sym;                           /* a*T + b */

/* ---- values -------------------------------------------------------------------------------- */

typedef enum { V_UNKNOWN, V_HOST, V_RUN, V_SEQUENCE } ValueKind;

/* An integer of a loop: start + step * (number of the iteration, from 0). */
typedef struct { Body *body; int64_t start, step; } LoopCount;

struct Value {
	const char *name;
	ValueKind kind;
	HostType type;          /* of its elements, as ONNX has it */
	const Tensor *host;     /* V_HOST */
	const int64_t *steps;   /* V_HOST, integers: how often T is in each element; 0: in none */
	Val *val;               /* V_RUN; V_HOST once an op has needed it */
	Value **item;           /* V_SEQUENCE: its tensors */
	int nitem;
	Value *same;            /* another name of this value: look there */
	const LoopCount *count;     /* V_RUN, in the body of a loop: what is known of it; 0: nothing */
	Val *real;              /* V_RUN, an integer: the same numbers as reals; 0: not at hand */
	Value *outer;           /* V_RUN, in the body of a loop: the value around it that this stands for */
	int uses;               /* by nodes and as an output */
	int producer;           /* index of the node; -1: input or initializer */
	bool needed;            /* an output depends on it */
};

struct Import {
	const Model *model;
	const Options *opt;
	Diag *d;
	Arena *arena;           /* of this attempt */
	Module *m;
	Func *f;                /* @main, or the step function of a loop */
	const char *file;       /* the model's file name, as long as m lives */
	const char *t_name;     /* the dimension that is T in this attempt; 0: none */
	bool time_seen;         /* T is the time axis of a recurrent layer */
	int depth;              /* of functions that call functions */
	int64_t room;           /* bytes that constants may still take: a bound by the file's size */
	Table *copies;                  /* weights that are in the module already, by their elements */
	Table *val_names, *data_names;  /* of f and m */
	Data *last_data;
	struct Conv *convs;     /* convolutions, so that a normalization behind one can go into its weights */
};

struct Node {
	Import *im;
	Scope *scope;
	const Onnx__Node *p;
	const OpRow *row;
	int index, nin, nout;
	Value **in, **out;      /* 0: omitted */
};

/* An operator.  attrs lists the attributes and their kinds, "axis:i axes:I<13 layout:i>=14": i int, f float,
 * s string, t tensor, g graph, capitals for lists; with the opsets that have it. */
struct OpRow {
	const char *name;
	int min_in, max_in, max_out;    /* -1: any number */
	const char *attrs;
	bool (*import)(Node *n);        /* gets tensors only, unless takes_sequence() knows it */
	const void *arg;                /* what the function needs to know about this operator */
};

bool takes_sequence(const OpRow *r);
const OpRow *op_row(const char *name);          /* operators.c; 0: not supported */
const char *op_names(Arena *a);                  /* all rows' names, for messages */

/* ---- node.c: messages, operands, attributes, results ------------------------------------------- */

bool fail(Node *n, const char *fmt, ...) __attribute__((format(printf, 2, 3)));         /* returns false */
bool fail_fixed(Node *n, const char *why);      /* T must be given: --dim */
bool node_check(Node *n);                       /* attributes and numbers of operands against the row */

const Onnx__Attribute *get_attr(const Node *n, const char *name);
int64_t get_int(const Node *n, const char *name, int64_t otherwise);
float get_float(const Node *n, const char *name, float otherwise);
const char *get_string(const Node *n, const char *name, const char *otherwise);
bool get_axis(Node *n, const char *name, int64_t otherwise, int rank, int *axis);
bool in_axis(Node *n, int64_t a, int rank, int *axis);          /* a may count from the end */

Value *input(const Node *n, int i);             /* 0: omitted */
bool is_host(const Value *v);
bool all_host(const Node *n);                   /* every operand is known now */
Shape shape_of(const Value *v);
/* Operand i as a list of integers known now, with and without T in them. */
bool input_syms(Node *n, int i, Sym *to, int most, int *count);
bool input_ints(Node *n, int i, int64_t *to, int most, int *count);
/* The list that is attribute `name` in old opsets and operand i in newer ones; *count -1 when there is neither. */
bool list_arg(Node *n, const char *name, int i, int64_t *to, int most, int *count);

Value *result(const Node *n, int k);            /* 0: nobody wants it */
void value_set(Value *v, const Tensor *t, const int64_t *steps);        /* v is known now; v 0: nothing */
void set_host(Node *n, int k, const Tensor *t, const int64_t *steps);
void set_run(Node *n, int k, Val *v, HostType type);
void set_same(Node *n, int k, Value *v);

/* ---- emit.c: IR ops and their operands ------------------------------------------------------------ */

bool is_small(HostType t);                      /* integers of 8 and 16 bits: carried as reals */
Elem elem_of(HostType t);                       /* f32 or i32 */
const Type *type_of(Import *im, HostType t, const Shape *s);
Val *operand(Node *n, Value *v);                /* as an operand of an op; 0 after fail() */
Val *operand_data(Node *n, const char *name, HostType type, const Tensor *t);
Val *add_param(Import *im, const char *name, const Type *t);
Op *op_begin(Node *n, OpKind k, int nin, Val *const *in);
Val *op_end(Node *n, Op *o);                    /* with the types that infer.c finds; 0 after fail() */
Val *op_end_as(Node *n, Op *o, const Shape *s); /* elements of operand 0, shape as told */
Val *emit1(Node *n, OpKind k, Val *x);
Val *emit2(Node *n, OpKind k, Val *a, Val *b);
Val *emit_cast(Node *n, Val *x, HostType to);
Val *emit_scalar(Node *n, HostType t, double v);                /* a constant of rank 0 */
Val *emit_reshape(Node *n, Val *x, const Shape *s);
Val *emit_slice(Node *n, Val *x, int axis, int64_t at, int64_t step, int32_t count);
Val *emit_transpose(Node *n, Val *x, const int64_t *perm);
Shape val_shape(const Val *v);
bool broadcast_shapes(Node *n, const Shape *a, const Shape *b, Shape *out);
int32_t shape_const(const Shape *s, int from, int to, int *steps);      /* product; *steps: how often T is in it */

/* ---- sym.c: integers a*T + b, T >= 1 ------------------------------------------------------------- */

typedef enum { SYM_OK, SYM_PIN, SYM_OVERFLOW, SYM_ZERO } SymStatus;     /* PIN: depends on what T is */

typedef SymStatus SymOp(Sym x, Sym y, Sym *z);
SymOp sym_add, sym_sub, sym_mul, sym_div, sym_mod, sym_min, sym_max, sym_equal, sym_less, sym_lesseq, sym_and, sym_or,
	sym_xor, sym_pow;
bool sym_fail(Node *n, SymStatus s);            /* the message for it; true when SYM_OK */

/* ---- host.c: tensors known now -------------------------------------------------------------------- */

bool take_room(Node *n, int64_t size);          /* for a constant of so many bytes */
Tensor *host_new(Node *n, HostType t, int rank, const int64_t *dim);    /* 0 after fail() */
bool is_whole(HostType t);                      /* integers and bool */
Sym host_sym(const Tensor *t, const int64_t *steps, int64_t i);
int64_t *steps_new(Node *n, int64_t count);
/* to[i0, i1, ..] = from[offset + i0 * stride[0] + ...], in a new tensor. */
bool host_view(Node *n, Value *to, const Value *from, int rank, const int64_t *dim, const int64_t *stride,
	       int64_t offset);
void host_strides(const Tensor *t, int64_t *stride);
/* The same elements with another shape. */
void host_reshaped(Node *n, Value *to, const Value *from, int rank, const int64_t *dim);

/* ---- graph.c -------------------------------------------------------------------------------------- */

typedef struct {
	const Onnx__Graph *g;
	Value *const *in;       /* by its inputs: their values (0: there is an initializer); 0: it has none */
	const bool *want;       /* by its outputs: which are to be computed; 0: all */
	Body *body;             /* the step function that it becomes; 0: its nodes go where im->f ends */
	bool constants;         /* only see what is known now: others stay V_UNKNOWN */
} Walk;

/* Walk a graph, whose names may refer to those of `outer` (0: none), and give its outputs. */
bool graph_walk(Import *im, Scope *outer, const Walk *w, Value **out);
Value *scope_find(const Scope *s, const char *name);

/* ---- function.c: the model's own functions ---------------------------------------------------------- */

const Onnx__Function *function_find(const Model *m, const Onnx__Node *p);       /* 0: p is none */
bool function_import(Node *n, const Onnx__Function *f);

/* ---- body.c: what the walk of a loop's body needs of it (see body.h) ---------------------------------- */

Value *body_capture(Body *b, Value *v);         /* v, of the function around it, inside */
void body_track(Node *n);                       /* is a result a LoopCount? */
bool body_gather(Node *n, int axis, bool *done);        /* Gather with a LoopCount as index: a sequence, if it can be */

#endif

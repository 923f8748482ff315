/* ir.h: the whole program, at every stage.
 *
 * A module holds data (constants), functions and the model's public inputs and outputs.  A function
 * is a block of ops; an op defines values; a value is visible from its definition to the end of its
 * block.  Nothing points back: uses are found by walking.  All of it lives in one arena.
 *
 * Two levels share these structs, the parser and the printer; ops.def says the level of each op:
 *	tensor level	values are tensors (f32[T,16], :h[32]); ops are lstm, linear, add, scan, ...
 *	loop level	values are registers (w l s, vectors w8 b32 ...) and references (&i8[32,16]);
 *			ops are for, load, store, view, alloc, call and the scalar and vector rows
 * Quantization is carried by types: a quantized value has a named type `:h` that says how its
 * integers stand for real numbers, and the op that makes it stays the same. */
#ifndef GATEFOLD_IR_H
#define GATEFOLD_IR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

typedef struct Arena Arena;
typedef struct Attr Attr;
typedef struct Block Block;
typedef struct Data Data;
typedef struct Func Func;
typedef struct Module Module;
typedef struct Op Op;
typedef struct Port Port;
typedef struct Slot Slot;
typedef struct Quant Quant;
typedef struct Type Type;
typedef struct Val Val;

/* An element type in one byte: signed integers of 1..64 bits are their width, unsigned ones of
 * 1..32 bits are 64 + width, float is 160.  Memory holds only i8 u8 i16 i32 i64 f32 (is_stored);
 * other widths are logical, and the packer beside a kernel says how they lie in bytes. */
typedef uint8_t Elem;
enum { E_i8 = 8, E_i16 = 16, E_i32 = 32, E_i64 = 64, E_u8 = 72, E_f32 = 160 };

enum { MAX_RANK = 8, MAX_LANE_BYTES = 64 };
enum { DIM_T = -1 };            /* the number of time steps, known when the model runs */

/* real value = (book ? book[q] : q - zero) * scale */
struct Quant {
	const char *name;       /* "h" for :h; unique in the module */
	Elem elem;              /* of q */
	float scale;            /* > 0; one for the whole tensor, unless rows */
	Data *rows;             /* f32[M]: a scale for each index of axis 0 of data, of the last axis of other
	                         * values; or 0 */
	Data *book;             /* f32[2^bits] code book, or 0 */
	Data *levels;           /* i8[n], ascending: the only integers that values take; 0: all of elem */
	int32_t zero;           /* 0 for weights */
	Quant *next;
};

typedef enum { T_NONE, T_REG, T_TENSOR, T_REF } Form;

struct Type {                   /* interned by the module: equal types are equal pointers */
	Form form;
	Elem elem;              /* register: i8 b, i16 h, i32 w, i64 l, f32 s */
	uint8_t lanes;          /* of a register: 1, 2, 4 .. 64 */
	uint8_t rank;
	int32_t dim[MAX_RANK];  /* >= 0, or DIM_T */
	const Quant *quant;     /* 0: plain numbers */
	Type *next;
};

struct Val {
	const Type *type;
	const char *name;       /* a C identifier, unique in its function; 0: literal or data */
	Data *data;             /* $name; 0: not data */
	union { int64_t i; float f; } lit;      /* when neither name nor data; f for s registers */
	Op *def;                /* 0: parameter, state, block argument, literal, data */
	bool ranged;            /* lo and hi hold what calibration saw */
	float lo, hi;
	float clip;             /* > 0: magnitude where narrow copies for linears saturate; 0: at lo and hi */
	Data *steps;            /* f32[K]: the step of each unit (last axis) in copies of few bits; 0: one for all */
	Data *levels;           /* f32[n], ascending: all that narrow copies for linears may be; 0: a grid */
	uint32_t id;            /* dense in its function: index into side tables; ~0u for literals, data */
};

typedef enum { A_INT, A_FLOAT, A_STRING } AttrKind;

struct Attr {                   /* name=value; lists in brackets */
	const char *name;
	AttrKind kind;
	bool list;              /* printed in brackets */
	int n;
	union { int64_t *i; float *f; const char **s; } v;
	Attr *next;
};

typedef struct { const char *file; int line; const char *node; } Loc;    /* where an op comes from */

struct Op {
	uint8_t kind;           /* O_..., ops.def */
	uint16_t nin, nout;
	Val **in, **out;        /* a null operand is an omitted one: `none`.  Order of operands:
	                         * load, view: reference, indices; store: reference, value, indices;
	                         * for: count, initial carries; next: state, value, state, value, ... */
	Attr *attr;             /* in order of writing */
	Block *body;            /* for */
	Func *callee;           /* call, scan */
	Loc loc;
	Op *prev, *next;
};

struct Block {
	Val **arg;              /* for: the counter, then the carries */
	int narg;
	Op *first, *last;
};

struct Func {
	const char *name;
	Val **param;
	int nparam;
	Val **state;            /* kept from call to call; changed by `next` only */
	Data **init;            /* what reset puts there; 0: zeros */
	int nstate;
	const Type **ret;
	int nret;
	const char *isa;        /* instruction set the kernels in it need, or 0: portable */
	Block body;
	uint32_t nval;
	long numbered;          /* values without names of their own are v0 .. less than this; 0: look (build.c) */
	Func *next;
};

struct Data {
	const char *name;
	const Type *type;       /* tensor type; bytes hold storage elements, logical ones one per byte or
	                         * two bytes (i16 when wider than 8 bits) */
	void *bytes;            /* row-major, little endian in files */
	size_t size;            /* bytes */
	Val *val;               /* the one value that stands for it */
	Data *next;
};

struct Port {                   /* a public input or output, in the order of @main */
	const char *name;       /* as in the ONNX file: any text */
	const Type *type;
	Port *next;
};

struct Slot {                   /* where a function's state lies in the model's state; set by lower and plan */
	const char *name;       /* "step.h" */
	const Type *type;
	uint32_t at;            /* byte offset */
	Slot *next;
};

typedef enum { L_TENSOR, L_LOOP } Level;

struct Module {
	const char *name;       /* C identifier: prefix of every emitted symbol */
	Level level;
	Port *in, *out;
	Slot *slots;
	uint32_t state_size, scratch_size, scratch_step;        /* bytes; set by plan */
	bool planned;
	const char **body;      /* isa names the loop level holds entry functions for; [0] = "portable" */
	int nbody;
	Type *types;
	Quant *quants;
	Data *data;
	Func *funcs;
	Arena *arena;
};

/* ---- ops.def ------------------------------------------------------------------------------- */

typedef enum {
	O_NONE,
#define SCALAR(name, ...) O_##name,
#define VECTOR(name, ...) O_##name,
#define TENSOR(name, ...) O_##name,
#define CONTROL(name, ...) O_##name,
#include "ops.def"
	N_OPS
} OpKind;

typedef enum { OC_NONE, OC_SCALAR, OC_VECTOR, OC_TENSOR, OC_CONTROL } OpClass;

typedef struct {
	const char *name;
	OpClass klass;
	char res, arg[3];       /* scalar, vector: classes b h w l s, 0: none */
	uint8_t rres, rarg[3];  /* vector: lanes of each as a multiple of the row's unit; 0: one lane */
	int min_in, max_in;     /* tensor: operands; max_in -1: any number */
	const char *c;          /* C meaning, as text */
	const char *doc;
} OpInfo;

extern const OpInfo op_info[N_OPS];
OpKind op_find(const char *name);               /* O_NONE when there is none */

#define each_op(o, b)   for (Op *o = (b)->first, *o##_; o && (o##_ = o->next, 1); o = o##_)  /* safe to remove o */
#define each_func(f, m) for (Func *f = (m)->funcs; f; f = f->next)
#define each_data(d, m) for (Data *d = (m)->data; d; d = d->next)

/* ---- arena.c ------------------------------------------------------------------------------- */

/* Memory that lives until the arena is freed.  Never fails: out of memory ends the program. */
Arena *arena_new(void);
void arena_free(Arena *a);
void *arena_alloc(Arena *a, size_t n);                          /* zeroed, aligned to 16 */
void *arena_copy(Arena *a, const void *p, size_t n);
char *arena_strdup(Arena *a, const char *s);
char *arena_printf(Arena *a, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
#define NEW(a, type)     ((type *)arena_alloc(a, sizeof(type)))
#define NEWN(a, type, n) ((type *)arena_alloc(a, sizeof(type) * (size_t)(n)))

/* ---- types.c ------------------------------------------------------------------------------- */

const char *elem_name(Elem e);                  /* "i8", "u4", "f32"; static storage */
bool elem_parse(const char *s, Elem *e);
int elem_bits(Elem e);
bool elem_is_float(Elem e);
bool elem_is_signed(Elem e);                    /* true for f32 */
Elem elem_stored(Elem e);                       /* the memory element that holds it: i5 -> i8, u4 -> u8, i12 -> i16 */
int elem_size(Elem e);                          /* bytes of elem_stored(e) */
int64_t elem_min(Elem e);                       /* least and greatest value of an integer element */
int64_t elem_max(Elem e);

const Type *type_reg(Module *m, Elem e, int lanes);
const Type *type_tensor(Module *m, Elem e, int rank, const int32_t *dim);
const Type *type_quant(Module *m, const Quant *q, int rank, const int32_t *dim);
const Type *type_ref(Module *m, Elem e, int rank, const int32_t *dim);
const Type *type_like(Module *m, const Type *t, int rank, const int32_t *dim);   /* same element, other shape */
int64_t type_count(const Type *t, int32_t steps);               /* elements; DIM_T taken as steps */
int64_t type_size(const Type *t, int32_t steps);                /* bytes as stored */
bool type_has_t(const Type *t);
bool type_same_shape(const Type *a, const Type *b);
const char *type_text(const Type *t, char *buf, size_t n);      /* as printed; returns buf */
Quant *quant_new(Module *m, const char *name, Elem e, float scale);      /* name is made unique */
bool is_pow2(float scale, int *exponent);                       /* scale == 2^exponent */
/* Is every step the least one times a power of two, up to 2^MAX_SPREAD?  *spread: the greatest exponent. */
bool steps_are_octaves(const Data *steps, float *least, int *spread);
enum { MAX_SPREAD = 14 };

/* ---- build.c ------------------------------------------------------------------------------- */

Module *module_new(const char *name);           /* its own arena */
void module_free(Module *m);
Module *module_clone(const Module *m);          /* deep; shares nothing but data bytes (copied too) */
Data *data_new(Module *m, const char *name, const Type *t);             /* zeroed; name is made unique */
Data *data_find(const Module *m, const char *name);
/* beside.c: books and orders of stored weights, by their names. */
const char *book_name(Module *m, const Data *d, int width);
const char *order_name(Module *m, const Data *d);
Data *data_owner(const Module *m, const Data *what);    /* beside which data `what` stands; 0: it is none of these */
Func *func_new(Module *m, const char *name);    /* appended; name is made unique */
Func *func_find(const Module *m, const char *name);
Val *func_param(Module *m, Func *f, const char *name, const Type *t);
Val *func_state(Module *m, Func *f, const char *name, const Type *t, Data *init);
void func_ret(Module *m, Func *f, const Type *t);                       /* one more result */
Val *val_new(Module *m, Func *f, const char *name, const Type *t);      /* name made unique; 0: numbered */
Val *val_int(Module *m, const Type *t, int64_t i);                      /* literals */
Val *val_float(Module *m, const Type *t, float f);
Val *val_data(Module *m, Data *d);
bool is_literal(const Val *v);
/* An op with nin operands (from in, may be 0 to fill later) at the end of b. Results are added by op_out. */
Op *op_new(Module *m, Block *b, OpKind k, int nin, Val *const *in);
Op *op_before(Module *m, Block *b, Op *at, OpKind k, int nin, Val *const *in);  /* before `at`; 0: at the end */
Val *op_out(Module *m, Func *f, Op *o, const char *name, const Type *t);
Val *op1(Module *m, Func *f, Block *b, OpKind k, const Type *t, const char *name, int nin, ...);        /* Val * ... */
void op_remove(Block *b, Op *o);
void op_move_before(Block *b, Op *o, Op *at);
void val_replace(Func *f, Val *from, Val *to);                          /* in every operand of f */
void func_renumber(Func *f);                                            /* dense ids after removals */
const Attr *attr_find(const Op *o, const char *name);
int64_t attr_int(const Op *o, const char *name, int64_t otherwise);
float attr_float(const Op *o, const char *name, float otherwise);
const char *attr_string(const Op *o, const char *name, const char *otherwise);
void attr_set_int(Module *m, Op *o, const char *name, int64_t v);
void attr_set_ints(Module *m, Op *o, const char *name, int n, const int64_t *v);
void attr_set_float(Module *m, Op *o, const char *name, float v);
void attr_set_floats(Module *m, Op *o, const char *name, int n, const float *v);
void attr_set_string(Module *m, Op *o, const char *name, const char *v);
void attr_set_strings(Module *m, Op *o, const char *name, int n, const char *const *v);
bool has_effect(const Op *o);                   /* store, next, ret, yield, call, observe: never dropped */
bool is_ident(const char *s);                   /* a C identifier that is no C keyword */
char *ident(Arena *a, const char *text);        /* any text -> a C identifier that is no C keyword */

/* ---- infer.c: result types of tensor ops from operands and attributes --------------------------- */

/* Compute the plain (f32 or integer) result types of o into out[0..] (3, for scan and call the callee's results
 * and states); returns their number, or -1 with a message in err.  scan and call take them from the callee.
 * reshape, expand, cast and slice read the type their result has already. */
int infer_types(Module *m, const Op *o, const Type **out, char *err, size_t nerr);

/* ---- parse.c, print.c, verify.c ------------------------------------------------------------- */

/* Text -> module.  `path` names the text in messages and is the folder that file= data is looked up in.
 * 0 with a message "file:line:col: error: ..." and a caret line in err. */
Module *module_parse(const char *path, const char *text, size_t n, char *err, size_t nerr);
/* Module -> text.  Data larger than 256 bytes goes to `bin` (a growing file opened by the caller,
 * named bin_name in the text); bin 0: everything inline. */
void module_print(const Module *m, FILE *out, FILE *bin, const char *bin_name);
void func_print(const Func *f, FILE *out);
/* Is m legal at its level?  false with the first fault in err. */
bool module_verify(const Module *m, char *err, size_t nerr);
bool module_equal(const Module *a, const Module *b);            /* same text, same data */

#endif

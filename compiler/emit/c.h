/* c.h: what the files of the C emitter share.
 *
 *	c.c		the file as a whole: what is used, in which order it is written
 *	c_names.c	names, literals, text in comments and strings
 *	c_ops.c		vector types, and the rows of ops.def as small functions
 *	c_data.c	weights and tables
 *	c_func.c	functions and statements; c_mem.c: loads, stores and views
 *	c_model.c	the descriptor `const gf_model NAME` and its functions
 *
 * Kinds of names are told apart by prefixes, so that no name out of a model can meet another: k_ kernels,
 * d_ data, op_ rows, mem_ elements in memory, api_ what the descriptor points at.  Values keep the IR's
 * names. */
#ifndef GATEFOLD_EMIT_C_H
#define GATEFOLD_EMIT_C_H

#include "emit/emit.h"
#include "emit/usage.h"

typedef struct RowUse RowUse;
typedef struct DataUse DataUse;

struct RowUse {                 /* a row of ops.def with certain lanes */
	OpKind kind;
	int lanes[4];           /* of the result and the operands */
	RowUse *next;
};

struct DataUse {
	const Data *data;
	int index;
	DataUse *next;
};

typedef struct {
	const Module *m;
	const EmitInfo *info;
	FILE *f;
	Arena *arena;
	Usage *funcs;           /* callees first */
	RowUse *rows;
	DataUse *data;
	bool vector[5][7];      /* class b h w l s, log2 of the lanes: is there such a value? */
	bool memory[256];       /* by Elem */
	bool floats;
	size_t apart;           /* data of more bytes is not written out but found through a table; 0: none is */
	const Usage *u;         /* of the function being written */
} C;

/* As emit_c; but data of more than `apart` bytes is reached through `const void *gf_apart[]`, which the
 * loader fills with the bytes of all data in the order of m->data.  For exec/cc.c. */
void emit_c_apart(const Module *m, const EmitInfo *info, size_t apart, FILE *f);

/* c_names.c */
const char *c_value_name(C *c, const Val *v);           /* of a value that has a name */
const char *c_value(C *c, const Val *v);                /* name or literal; data: its array */
const char *c_value_as(C *c, const Val *v, const Type *t);      /* a literal on all lanes of t */
const char *c_lane(C *c, const Val *v);                 /* lane `lane` of a vector, or the one lane */
const char *c_reg(C *c, const Type *t);                 /* int32_t, float, w8_t, ... */
const char *c_class(char klass);                        /* int8_t .. float, of b h w l s */
const char *c_elem(Elem e);                             /* int8_t, mem_i16, ...: as references see memory */
const char *c_plain_elem(Elem e);                       /* int8_t, int16_t, ... */
const char *c_int(C *c, char klass, int64_t i);
const char *c_float(C *c, float x);
void c_comment(FILE *f, const char *text);              /* with nothing that would end the comment */
void c_string(FILE *f, const char *text);               /* in quotes */
char c_letter(const Type *t);                           /* b h w l s */
const Val *c_time(const Func *f);                       /* %T, or 0 */
const char *base_name(const char *path);                /* output must not depend on where files lie */
const char *upper(Arena *a, const char *text);

/* c_ops.c */
void c_use_row(C *c, const Op *o);
void c_vector_types(C *c);
void c_rows(C *c);
const char *c_row_name(C *c, const Op *o);

/* c_data.c */
void c_use_data(C *c, const Data *d);
void c_data(C *c);

/* c_mem.c: whole statements, indented by depth tabs */
void c_memory_types(C *c);
void c_load(C *c, const Op *o, int depth);
void c_store(C *c, const Op *o, int depth);
void c_view(C *c, const Op *o, int depth);

/* c_func.c */
void c_function(C *c, const Usage *u);
bool c_is_entry(const C *c, const Func *f);

/* c_model.c */
void c_model(C *c);
const char *c_elem_code(Elem e);                        /* GF_I8, ... */

#endif

/* llvm.h: what the files of the LLVM emitter share.
 *
 * One translation of one module, on its way through
 *	llvm_target.c	triple, CPU and features -> target machine, data layout
 *	llvm_func.c	functions and statements; llvm_mem.c: loads, stores, views, data
 *	llvm_ops.c	the rows of ops.def
 *	llvm_model.c	the descriptor `const gf_model NAME` and its functions; llvm_dispatch.c: CPUID
 *	llvm.c		passes and output */
#ifndef GATEFOLD_EMIT_LLVM_H
#define GATEFOLD_EMIT_LLVM_H

#include "emit/emit.h"

#include <llvm-c/Core.h>
#include <llvm-c/Target.h>
#include <llvm-c/TargetMachine.h>

/* An instruction set a function can ask for by name, beyond the base of its target. */
typedef enum { ISA_BASE, ISA_AVX2, ISA_AVX512VNNI, N_ISA } Isa;

typedef struct {
	char triple[96], cpu[64], features[256];
	bool x86_64;
	bool pic;               /* the object may end up in a position independent program */
	bool no_fp_regs;        /* a core without vectors: floats' registers are no place for integers */
	bool sign_extend;       /* the C ABI extends 32-bit results to a whole register */
} LlvmTarget;

typedef struct {
	const Module *m;
	const LlvmTarget *target;
	LLVMContextRef ctx;
	LLVMModuleRef mod;
	LLVMBuilderRef b;
	LLVMTargetMachineRef tm;
	LLVMTypeRef none, i1, i8, i16, i32, i64, f32, ptr;
	LLVMTypeRef word;       /* an integer as wide as a pointer */
	bool big_endian;
	bool in_place;          /* JIT: data stays where the compiler has it */

	const Func **todo;      /* functions asked for so far, in order; the first `done` are translated */
	int ntodo, done;

	const Func *f;          /* the function being translated */
	LLVMValueRef fn;
	LLVMValueRef *val;      /* by value id */
	Isa isa;

	char err[256];          /* the first fault; empty: none */
} Llvm;

void llvm_fail(Llvm *e, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* ---- llvm_target.c */
void llvm_init(void);                           /* once; all targets */
/* What `triple` and `cpu` (either may be 0) mean.  cpu is a name, then ",+feature,-feature". */
bool llvm_target_find(LlvmTarget *t, const char *triple, const char *cpu, bool floats, char *err,
                      size_t nerr);
LLVMTargetMachineRef llvm_target_machine(const LlvmTarget *t);
bool llvm_isa_find(const char *name, Isa *isa);                 /* 0 and "portable" are ISA_BASE */
const char *llvm_isa_features(Isa isa);

/* ---- llvm_func.c */
LLVMValueRef llvm_func(Llvm *e, const Func *f);         /* declares f; its body follows later */
void llvm_bodies(Llvm *e);                              /* until no declared function lacks its body */
LLVMTypeRef llvm_func_type(Llvm *e, const Func *f);
void llvm_func_attributes(Llvm *e, LLVMValueRef fn, Isa isa);
void llvm_attribute(Llvm *e, LLVMValueRef fn, LLVMAttributeIndex at, const char *name);
void llvm_attribute_text(Llvm *e, LLVMValueRef fn, const char *name, const char *value);
LLVMValueRef llvm_value(Llvm *e, const Val *v);
LLVMTypeRef llvm_type(Llvm *e, const Type *t);                  /* of a register or a reference */
LLVMTypeRef llvm_lanes(LLVMTypeRef one, int lanes);
LLVMValueRef llvm_splat(Llvm *e, LLVMValueRef v, int lanes);    /* a one-lane value on all lanes */
LLVMValueRef llvm_int(LLVMTypeRef t, int64_t i);                /* a constant, on all lanes of t */
LLVMValueRef llvm_intrinsic(Llvm *e, const char *name, LLVMTypeRef overload0, LLVMTypeRef overload1,
                            int n, LLVMValueRef *arg);          /* 0: this LLVM has no such one */

/* ---- llvm_mem.c */
LLVMTypeRef llvm_elem(Llvm *e, Elem elem);
LLVMValueRef llvm_data(Llvm *e, const Data *d);
LLVMValueRef llvm_load(Llvm *e, const Op *o);
void llvm_store(Llvm *e, const Op *o);
LLVMValueRef llvm_view(Llvm *e, const Op *o);

/* ---- llvm_ops.c */
LLVMValueRef llvm_row(Llvm *e, const Op *o, const LLVMValueRef *in);

/* ---- llvm_model.c */
/* The C functions `reset`, `step` and `run` of one body, as external symbols (JIT). */
void llvm_entries(Llvm *e, const char *body);
/* The descriptor of all bodies the target can have, and the functions it names. */
void llvm_model(Llvm *e, const EmitInfo *info);
const Func *llvm_entry(const Module *m, const char *what, const char *body);

/* ---- llvm_dispatch.c */
/* Call from within a function: a mask of 1 << isa for what the machine can run. */
LLVMValueRef llvm_machine_mask(Llvm *e);

/* ---- llvm.c */
/* For the JIT: an object file of one body for the machine this program runs on. */
bool llvm_object_in_place(const Module *m, const char *body, const LlvmTarget *t, LLVMMemoryBufferRef *out,
                          char *err, size_t nerr);

#endif

/* llvm_model.c: what a program sees of a model: `const gf_model NAME`, field by field as in
 * runtime/gatefold.h, and the C functions it names.
 *
 * LLVM lays a plain struct out as the target's C compiler does, because both follow the same data layout
 * (two-byte pointers on AVR, say).  The functions turn C's arrays of buffers into the parameters of the
 * IR's entry functions, and choose the body where there are several. */
#include "emit/llvm.h"
#include "gatefold.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_BODIES = 8 };

typedef struct {
	int n;
	const char *name[MAX_BODIES];
	Isa isa[MAX_BODIES];
} Bodies;

/* The bodies of m that the target can have; "portable" is the first. */
static Bodies bodies_of(Llvm *e)
{
	Bodies b = {.n = 1, .name = {"portable"}};
	for (int i = 1; i < e->m->nbody && b.n < MAX_BODIES; i++) {
		Isa isa;
		if (!llvm_isa_find(e->m->body[i], &isa))
			llvm_fail(e, "body %s is unknown", e->m->body[i]);
		else if (e->target->x86_64)
			b.name[b.n] = e->m->body[i], b.isa[b.n++] = isa;
	}
	return b;
}

const Func *llvm_entry(const Module *m, const char *what, const char *body)
{
	char name[128];
	snprintf(name, sizeof name, "%s%s%s", what, body ? "_" : "", body ? body : "");
	return func_find(m, name);
}

/* ---- the functions ---------------------------------------------------------------------------- */

static LLVMValueRef begin(Llvm *e, const char *what, int n, LLVMTypeRef *param)
{
	char name[256];
	LLVMTypeRef t = LLVMFunctionType(e->i32, param, (unsigned)n, 0);
	snprintf(name, sizeof name, e->in_place ? "%s%s" : "%s.api.%s", e->in_place ? "" : e->m->name, what);
	LLVMValueRef fn = LLVMAddFunction(e->mod, name, t);
	if (!e->in_place)
		LLVMSetLinkage(fn, LLVMInternalLinkage);
	llvm_func_attributes(e, fn, ISA_BASE);
	if (e->target->sign_extend)
		llvm_attribute(e, fn, LLVMAttributeReturnIndex, "signext");
	e->fn = fn;
	LLVMPositionBuilderAtEnd(e->b, LLVMAppendBasicBlockInContext(e->ctx, fn, "entry"));
	return fn;
}

static LLVMValueRef status(Llvm *e, int s)
{
	return llvm_int(e->i32, s);
}

/* Pointer i of the array of buffers `list`. */
static LLVMValueRef buffer(Llvm *e, LLVMValueRef list, int i)
{
	LLVMValueRef at = llvm_int(e->i32, i);
	return LLVMBuildLoad2(e->b, e->ptr, LLVMBuildInBoundsGEP2(e->b, e->ptr, list, &at, 1, ""), "");
}

static int count_ports(const Port *p)
{
	int n = 0;
	for (; p; p = p->next)
		n++;
	return n;
}

static bool is_param(const Func *f, int i, const char *name)
{
	return i >= 0 && i < f->nparam && f->param[i]->name && !strcmp(f->param[i]->name, name);
}

/* Calls an entry function with the parameters of the C function being built; returns its status. */
static void call_entry(Llvm *e, const Func *f, bool run)
{
	int nin = count_ports(e->m->in), nout = count_ports(e->m->out), n = 0;
	bool steps = is_param(f, f->nparam - 1, "T"), growing = is_param(f, 2, "scratch_t");
	if (f->nparam != 2 + growing + nin + nout + steps || (steps && !run)) {
		llvm_fail(e, "@%s has not the parameters of an entry function", f->name);
		LLVMBuildUnreachable(e->b);
		return;
	}
	LLVMValueRef *arg = malloc(sizeof *arg * (size_t)f->nparam), scratch = LLVMGetParam(e->fn, 1);
	arg[n++] = LLVMGetParam(e->fn, 0);
	arg[n++] = scratch;
	if (growing) {                  /* memory that grows with the number of steps */
		LLVMValueRef at = llvm_int(e->word, e->m->scratch_size);
		arg[n++] = LLVMBuildInBoundsGEP2(e->b, e->i8, scratch, &at, 1, "");
	}
	for (int i = 0; i < nin; i++)
		arg[n++] = buffer(e, LLVMGetParam(e->fn, 2), i);
	for (int i = 0; i < nout; i++)
		arg[n++] = buffer(e, LLVMGetParam(e->fn, 3), i);
	if (steps)
		arg[n++] = LLVMGetParam(e->fn, 4);
	LLVMValueRef s = LLVMBuildCall2(e->b, llvm_func_type(e, f), llvm_func(e, f), arg, (unsigned)n, "");
	LLVMBuildRet(e->b, f->nret ? s : status(e, GF_OK));
	free(arg);
}

/* Continues in a new block if the comparison holds, else the C function returns s. */
static void require(Llvm *e, LLVMIntPredicate p, LLVMValueRef v, int than, int s)
{
	LLVMValueRef c = LLVMBuildICmp(e->b, p, v, llvm_int(e->i32, than), "");
	LLVMBasicBlockRef yes = LLVMAppendBasicBlockInContext(e->ctx, e->fn, "");
	LLVMBasicBlockRef no = LLVMAppendBasicBlockInContext(e->ctx, e->fn, "");
	LLVMBuildCondBr(e->b, c, yes, no);
	LLVMPositionBuilderAtEnd(e->b, no);
	LLVMBuildRet(e->b, status(e, s));
	LLVMPositionBuilderAtEnd(e->b, yes);
}

/* step or run: one call for each body, chosen by the index reset left in the state. */
static LLVMValueRef entry(Llvm *e, const char *what, const Bodies *b)
{
	bool run = !strcmp(what, "run");
	LLVMTypeRef param[] = {e->ptr, e->ptr, e->ptr, e->ptr, e->i32};
	const Func *f[MAX_BODIES];
	for (int i = 0; i < b->n; i++)
		if (!(f[i] = llvm_entry(e->m, what, b->name[i]))) {
			if (i)
				llvm_fail(e, "entry function @%s_%s is missing", what, b->name[i]);
			return 0;
		}
	LLVMValueRef fn = begin(e, what, run ? 5 : 4, param);
	if (run)
		require(e, LLVMIntSGT, LLVMGetParam(fn, 4), 0, GF_STEPS);
	if (b->n > 1) {
		LLVMBasicBlockRef first = LLVMAppendBasicBlockInContext(e->ctx, fn, b->name[0]);
		LLVMValueRef index = LLVMBuildLoad2(e->b, e->i32, LLVMGetParam(fn, 0), "body");
		LLVMValueRef choice = LLVMBuildSwitch(e->b, index, first, (unsigned)b->n - 1);
		for (int i = 1; i < b->n; i++) {
			LLVMBasicBlockRef to = LLVMAppendBasicBlockInContext(e->ctx, fn, b->name[i]);
			LLVMAddCase(choice, llvm_int(e->i32, i), to);
			LLVMPositionBuilderAtEnd(e->b, to);
			call_entry(e, f[i], run);
		}
		LLVMPositionBuilderAtEnd(e->b, first);
	}
	call_entry(e, f[0], run);
	return fn;
}

/* chosen >= 0: the body's index is known. */
static LLVMValueRef reset(Llvm *e, const Bodies *b, int chosen)
{
	const Func *f = llvm_entry(e->m, "reset", 0);
	LLVMValueRef fn = begin(e, "reset", 1, &e->ptr), state = LLVMGetParam(fn, 0);
	if (f)
		LLVMBuildCall2(e->b, llvm_func_type(e, f), llvm_func(e, f), &state, 1, "");
	if (e->m->nbody > 1) {
		LLVMValueRef best = llvm_int(e->i32, chosen < 0 ? 0 : chosen);
		LLVMValueRef mask = b->n > 1 && chosen < 0 ? llvm_machine_mask(e) : 0;
		for (int i = 1; mask && i < b->n; i++) {
			LLVMValueRef bit = LLVMBuildAnd(e->b, mask, llvm_int(e->i32, 1 << b->isa[i]), "");
			LLVMValueRef can = LLVMBuildICmp(e->b, LLVMIntNE, bit, llvm_int(e->i32, 0), "");
			best = LLVMBuildSelect(e->b, can, llvm_int(e->i32, i), best, "");
		}
		LLVMBuildStore(e->b, best, state);
	}
	LLVMBuildRet(e->b, status(e, GF_OK));
	return fn;
}

/* use(state, body): GF_BODY where the machine, or the model, has no such body. */
static LLVMValueRef use(Llvm *e, const Bodies *b)
{
	LLVMTypeRef param[] = {e->ptr, e->i16};
	LLVMValueRef fn = begin(e, "use", 2, param);
	LLVMValueRef body = LLVMBuildZExt(e->b, LLVMGetParam(fn, 1), e->i32, "body");
	require(e, LLVMIntULT, body, b->n, GF_BODY);
	if (b->n > 1) {
		LLVMValueRef bit = llvm_int(e->i32, 1 << b->isa[0]);
		for (int i = 1; i < b->n; i++) {
			LLVMValueRef it = LLVMBuildICmp(e->b, LLVMIntEQ, body, llvm_int(e->i32, i), "");
			bit = LLVMBuildSelect(e->b, it, llvm_int(e->i32, 1 << b->isa[i]), bit, "");
		}
		bit = LLVMBuildAnd(e->b, llvm_machine_mask(e), bit, "");
		require(e, LLVMIntNE, bit, 0, GF_BODY);
	}
	if (e->m->nbody > 1)
		LLVMBuildStore(e->b, body, LLVMGetParam(fn, 0));
	LLVMBuildRet(e->b, status(e, GF_OK));
	return fn;
}

void llvm_entries(Llvm *e, const char *body)
{
	Bodies one = {.n = 1, .name = {body}};
	int index = 0;
	for (int i = 0; i < e->m->nbody; i++)
		if (!strcmp(e->m->body[i], body))
			index = i;
	reset(e, &one, index);
	entry(e, "step", &one);
	entry(e, "run", &one);
}

/* ---- the descriptor --------------------------------------------------------------------------- */

/* When one of these fails, a field was added: write it below, too. */
_Static_assert(sizeof(void *) != 8 || sizeof(gf_tensor) == 56, "gf_tensor");
_Static_assert(sizeof(void *) != 8 || sizeof(gf_model) == 120, "gf_model");

static LLVMValueRef constant(Llvm *e, const char *what, LLVMValueRef value)
{
	char name[256];
	snprintf(name, sizeof name, "%s.%s", e->m->name, what);
	LLVMValueRef g = LLVMAddGlobal(e->mod, LLVMTypeOf(value), name);
	LLVMSetInitializer(g, value);
	LLVMSetLinkage(g, LLVMInternalLinkage);
	LLVMSetGlobalConstant(g, 1);
	LLVMSetUnnamedAddress(g, LLVMGlobalUnnamedAddr);
	return g;
}

static LLVMValueRef text(Llvm *e, const char *s)
{
	return constant(e, "text", LLVMConstStringInContext(e->ctx, s, (unsigned)strlen(s), 0));
}

static uint8_t elem_code(Elem e)
{
	switch (elem_stored(e)) {
	case E_i8: return GF_I8;
	case E_u8: return GF_U8;
	case E_i16: return GF_I16;
	case E_i32: return GF_I32;
	case E_i64: return GF_I64;
	}
	return GF_F32;
}

static LLVMValueRef tensor(Llvm *e, const Port *p)
{
	const Type *t = p->type;
	union { float f; uint32_t bits; } scale = {.f = t->quant ? t->quant->scale : 0};
	LLVMValueRef dim[GF_RANK];
	for (int i = 0; i < GF_RANK; i++)
		dim[i] = llvm_int(e->i32, i >= t->rank ? 0 : t->dim[i] == DIM_T ? -1 : t->dim[i]);
	LLVMValueRef field[] = {
		text(e, p->name), llvm_int(e->i8, elem_code(t->elem)), llvm_int(e->i8, t->rank),
		llvm_int(e->i8, elem_bits(t->elem)),
		llvm_int(e->i8, elem_bits(t->elem)),
		LLVMConstArray(e->i32, dim, GF_RANK),
		LLVMConstBitCast(llvm_int(e->i32, (int32_t)scale.bits), e->f32),
		llvm_int(e->i32, t->quant ? t->quant->zero : 0),
	};
	return LLVMConstStructInContext(e->ctx, field, sizeof field / sizeof *field, 0);
}

static LLVMValueRef tensors(Llvm *e, const char *name, const Port *p)
{
	int n = count_ports(p), i = 0;
	if (!n)
		return LLVMConstNull(e->ptr);
	LLVMValueRef *v = malloc(sizeof *v * (size_t)n);
	for (; p; p = p->next)
		v[i++] = tensor(e, p);
	LLVMValueRef g = constant(e, name, LLVMConstArray(LLVMTypeOf(v[0]), v, (unsigned)n));
	free(v);
	return g;
}

static LLVMValueRef body_names(Llvm *e, const Bodies *b)
{
	LLVMValueRef v[MAX_BODIES];
	for (int i = 0; i < b->n; i++)
		v[i] = text(e, b->name[i]);
	return constant(e, "bodies", LLVMConstArray(e->ptr, v, (unsigned)b->n));
}

void llvm_model(Llvm *e, const EmitInfo *info)
{
	const Module *m = e->m;
	Bodies b = bodies_of(e);
	LLVMValueRef f_reset = reset(e, &b, -1), f_step = entry(e, "step", &b), f_run = entry(e, "run", &b);
	LLVMValueRef f_use = use(e, &b);
	if (e->err[0])
		return;
	LLVMValueRef none = LLVMConstNull(LLVMTypeOf(f_reset));
	LLVMValueRef field[] = {
		llvm_int(e->i32, GF_ABI), text(e, m->name),
		llvm_int(e->i16, count_ports(m->in)), llvm_int(e->i16, count_ports(m->out)),
		tensors(e, "in", m->in), tensors(e, "out", m->out),
		llvm_int(e->i32, m->state_size), llvm_int(e->i32, m->scratch_size),
		llvm_int(e->i32, m->scratch_step), llvm_int(e->i32, info->weight_size),
		llvm_int(e->i32, info->steps),
		f_reset, f_step ? f_step : none, f_run ? f_run : none,
		llvm_int(e->i16, b.n), body_names(e, &b), f_use,
		llvm_int(e->i32, info->check), llvm_int(e->i32, info->check_steps),
	};
	LLVMValueRef value = LLVMConstStructInContext(e->ctx, field, sizeof field / sizeof *field, 0);
	LLVMValueRef g = LLVMAddGlobal(e->mod, LLVMTypeOf(value), m->name);
	LLVMSetInitializer(g, value);
	LLVMSetGlobalConstant(g, 1);
}

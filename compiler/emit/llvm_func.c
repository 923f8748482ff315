/* llvm_func.c: functions and statements in LLVM.
 *
 * Registers are LLVM values, references are pointers; a loop keeps its counter and carries in phis, tested
 * at the end (with a test before it when it might not run at all).  A function is declared when something
 * asks for it and translated later, so what no entry function reaches is left out. */
#include "emit/llvm.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void llvm_fail(Llvm *e, const char *fmt, ...)
{
	if (e->err[0])
		return;
	va_list ap;
	va_start(ap, fmt);
	int n = e->f ? snprintf(e->err, sizeof e->err, "@%s: ", e->f->name) : 0;
	vsnprintf(e->err + n, sizeof e->err - (size_t)n, fmt, ap);
	va_end(ap);
}

/* ---- types and constants ---------------------------------------------------------------------- */

LLVMTypeRef llvm_lanes(LLVMTypeRef one, int lanes)
{
	return lanes == 1 ? one : LLVMVectorType(one, (unsigned)lanes);
}

LLVMTypeRef llvm_elem(Llvm *e, Elem elem)
{
	switch (elem_stored(elem)) {
	case E_i8: case E_u8: return e->i8;
	case E_i16: return e->i16;
	case E_i32: return e->i32;
	case E_i64: return e->i64;
	case E_f32: return e->f32;
	}
	llvm_fail(e, "element type %s is not stored in memory", elem_name(elem));
	return e->i8;
}

LLVMTypeRef llvm_type(Llvm *e, const Type *t)
{
	return t->form == T_REG ? llvm_lanes(llvm_elem(e, t->elem), t->lanes) : e->ptr;
}

LLVMValueRef llvm_splat(Llvm *e, LLVMValueRef v, int lanes)
{
	if (lanes == 1)
		return v;
	LLVMTypeRef t = llvm_lanes(LLVMTypeOf(v), lanes);
	LLVMValueRef none = LLVMGetPoison(t);
	LLVMValueRef first = LLVMBuildInsertElement(e->b, none, v, llvm_int(e->i32, 0), "");
	return LLVMBuildShuffleVector(e->b, first, none, LLVMConstNull(llvm_lanes(e->i32, lanes)), "");
}

static LLVMValueRef constant_lanes(LLVMValueRef one, int lanes)
{
	LLVMValueRef lane[MAX_LANE_BYTES];
	for (int j = 0; j < lanes; j++)
		lane[j] = one;
	return lanes == 1 ? one : LLVMConstVector(lane, (unsigned)lanes);
}

LLVMValueRef llvm_int(LLVMTypeRef t, int64_t i)
{
	if (LLVMGetTypeKind(t) != LLVMVectorTypeKind)
		return LLVMConstInt(t, (unsigned long long)i, 1);
	return constant_lanes(llvm_int(LLVMGetElementType(t), i), (int)LLVMGetVectorSize(t));
}

static LLVMValueRef literal(Llvm *e, const Val *v)
{
	if (v->type->elem != E_f32)
		return llvm_int(llvm_type(e, v->type), v->lit.i);
	/* By its bits, so that every NaN and -0 survives. */
	union { float f; uint32_t bits; } u = {.f = v->lit.f};
	LLVMValueRef one = LLVMConstBitCast(LLVMConstInt(e->i32, u.bits, 0), e->f32);
	return constant_lanes(one, v->type->lanes);
}

LLVMValueRef llvm_value(Llvm *e, const Val *v)
{
	if (v->data)
		return llvm_data(e, v->data);
	return is_literal(v) ? literal(e, v) : e->val[v->id];
}

/* v where t is wanted: a one-lane carry of a vector stands for all lanes. */
static LLVMValueRef spread(Llvm *e, const Val *v, const Type *t)
{
	LLVMValueRef x = llvm_value(e, v);
	bool one = LLVMGetTypeKind(LLVMTypeOf(x)) != LLVMVectorTypeKind;
	return one ? llvm_splat(e, x, t->lanes) : x;
}

LLVMValueRef llvm_intrinsic(Llvm *e, const char *name, LLVMTypeRef overload0, LLVMTypeRef overload1,
                            int n, LLVMValueRef *arg)
{
	LLVMTypeRef over[2] = {overload0, overload1}, param[8];
	size_t nover = overload1 ? 2 : overload0 ? 1 : 0;
	unsigned id = LLVMLookupIntrinsicID(name, strlen(name));
	if (!id)
		return 0;
	LLVMTypeRef t = LLVMIntrinsicGetType(e->ctx, id, over, nover);
	LLVMGetParamTypes(t, param);
	for (int i = 0; i < n; i++)     /* LLVM releases differ in the lanes they write for the same bits */
		if (LLVMTypeOf(arg[i]) != param[i])
			arg[i] = LLVMBuildBitCast(e->b, arg[i], param[i], "");
	LLVMValueRef fn = LLVMGetIntrinsicDeclaration(e->mod, id, over, nover);
	return LLVMBuildCall2(e->b, t, fn, arg, (unsigned)n, "");
}

/* ---- functions -------------------------------------------------------------------------------- */

void llvm_attribute(Llvm *e, LLVMValueRef fn, LLVMAttributeIndex at, const char *name)
{
	unsigned kind = LLVMGetEnumAttributeKindForName(name, strlen(name));
	if (kind)
		LLVMAddAttributeAtIndex(fn, at, LLVMCreateEnumAttribute(e->ctx, kind, 0));
}

void llvm_attribute_text(Llvm *e, LLVMValueRef fn, const char *name, const char *value)
{
	unsigned n = (unsigned)strlen(name), nvalue = (unsigned)strlen(value);
	LLVMAttributeRef a = LLVMCreateStringAttribute(e->ctx, name, n, value, nvalue);
	LLVMAddAttributeAtIndex(fn, (LLVMAttributeIndex)LLVMAttributeFunctionIndex, a);
}

/* What holds for all our functions: they end, and call nothing that we did not emit.  "no-builtins" keeps
 * LLVM from making memcpy and memset calls of loops: an object must link without a C library. */
void llvm_func_attributes(Llvm *e, LLVMValueRef fn, Isa isa)
{
	static const char *const always[] = {"nounwind", "willreturn", "norecurse", "nofree", "nosync"};
	LLVMAttributeIndex self = (LLVMAttributeIndex)LLVMAttributeFunctionIndex;
	for (size_t i = 0; i < sizeof always / sizeof *always; i++)
		llvm_attribute(e, fn, self, always[i]);
	llvm_attribute_text(e, fn, "no-builtins", "");
	if (e->target->no_fp_regs)
		llvm_attribute(e, fn, self, "noimplicitfloat");
	if (isa == ISA_BASE)
		return;
	char features[512];
	snprintf(features, sizeof features, "%s%s%s", e->target->features, e->target->features[0] ? "," : "",
	         llvm_isa_features(isa));
	llvm_attribute_text(e, fn, "target-cpu", e->target->cpu);
	llvm_attribute_text(e, fn, "target-features", features);
	if (isa == ISA_AVX512VNNI)
		llvm_attribute_text(e, fn, "prefer-vector-width", "512");
}

LLVMTypeRef llvm_func_type(Llvm *e, const Func *f)
{
	LLVMTypeRef *param = malloc(sizeof *param * (size_t)(f->nparam + 1));
	for (int i = 0; i < f->nparam; i++)
		param[i] = llvm_type(e, f->param[i]->type);
	LLVMTypeRef ret = f->nret ? llvm_type(e, f->ret[0]) : e->none;
	LLVMTypeRef t = LLVMFunctionType(ret, param, (unsigned)f->nparam, 0);
	free(param);
	return t;
}

static bool is_entry(const Func *f)
{
	return !strcmp(f->name, "reset") || !strncmp(f->name, "step_", 5) || !strncmp(f->name, "run_", 4);
}

static bool has_loop(const Func *f)
{
	for (const Op *o = f->body.first; o; o = o->next)
		if (o->kind == O_for)
			return true;
	return false;
}

LLVMValueRef llvm_func(Llvm *e, const Func *f)
{
	char name[256];
	Isa isa = ISA_BASE;
	snprintf(name, sizeof name, "%s.%s", e->m->name, f->name);
	LLVMValueRef fn = LLVMGetNamedFunction(e->mod, name);
	if (fn)
		return fn;
	fn = LLVMAddFunction(e->mod, name, llvm_func_type(e, f));
	LLVMSetLinkage(fn, LLVMInternalLinkage);
	if (!llvm_isa_find(f->isa, &isa) || (isa != ISA_BASE && !e->target->x86_64))
		llvm_fail(e, "@%s needs %s, which the target does not have", f->name, f->isa);
	llvm_func_attributes(e, fn, isa);
	/* References of a function overlap only when both are only read; the user's buffers may overlap. */
	for (int i = 0; i < f->nparam; i++)
		if (f->param[i]->type->form == T_REF && !is_entry(f))
			llvm_attribute(e, fn, (LLVMAttributeIndex)(i + 1), "noalias");
	/* A loop nest is worth a call; all of them inlined would be a function too large for the passes. */
	if (has_loop(f))
		llvm_attribute(e, fn, (LLVMAttributeIndex)LLVMAttributeFunctionIndex, "noinline");
	if (!(e->ntodo & (e->ntodo + 1)))
		e->todo = realloc(e->todo, sizeof *e->todo * (size_t)(2 * e->ntodo + 2));
	e->todo[e->ntodo++] = f;
	return fn;
}

/* ---- statements ------------------------------------------------------------------------------- */

static void block(Llvm *e, const Block *b);

static LLVMBasicBlockRef new_block(Llvm *e, const char *name)
{
	return LLVMAppendBasicBlockInContext(e->ctx, e->fn, name);
}

static LLVMValueRef phi(Llvm *e, const Val *v, LLVMValueRef from, LLVMBasicBlockRef pre)
{
	LLVMValueRef p = LLVMBuildPhi(e->b, llvm_type(e, v->type), v->name ? v->name : "");
	LLVMAddIncoming(p, &from, &pre, 1);
	return e->val[v->id] = p;
}

static void loop(Llvm *e, const Op *o)
{
	int n = o->nout;
	const Val *count = o->in[0];
	bool known = is_literal(count);
	for (int i = 0; i < n; i++)
		e->val[o->out[i]->id] = spread(e, o->in[i + 1], o->out[i]->type);
	if (known && count->lit.i <= 0)
		return;
	LLVMValueRef limit = llvm_value(e, count), zero = llvm_int(e->i32, 0), next;
	LLVMValueRef *end = calloc((size_t)n + 1, sizeof *end);
	LLVMBasicBlockRef pre = LLVMGetInsertBlock(e->b), latch;
	LLVMBasicBlockRef body = new_block(e, "loop"), done = new_block(e, "done");
	if (known)
		LLVMBuildBr(e->b, body);
	else
		LLVMBuildCondBr(e->b, LLVMBuildICmp(e->b, LLVMIntSGT, limit, zero, ""), body, done);
	LLVMPositionBuilderAtEnd(e->b, body);
	LLVMValueRef counter = phi(e, o->body->arg[0], zero, pre);
	for (int i = 0; i < n; i++)
		phi(e, o->body->arg[i + 1], e->val[o->out[i]->id], pre);
	block(e, o->body);
	next = LLVMBuildNSWAdd(e->b, counter, llvm_int(e->i32, 1), "");
	LLVMSetNUW(next, 1);
	latch = LLVMGetInsertBlock(e->b);
	for (int i = 0; i < n; i++) {
		end[i] = spread(e, o->body->last->in[i], o->out[i]->type);
		LLVMAddIncoming(e->val[o->body->arg[i + 1]->id], &end[i], &latch, 1);
	}
	LLVMAddIncoming(counter, &next, &latch, 1);
	LLVMBuildCondBr(e->b, LLVMBuildICmp(e->b, LLVMIntSLT, next, limit, ""), body, done);
	LLVMPositionBuilderAtEnd(e->b, done);
	for (int i = 0; i < n; i++) {
		LLVMValueRef skipped = e->val[o->out[i]->id];
		if (!known)
			LLVMAddIncoming(phi(e, o->out[i], skipped, pre), &end[i], &latch, 1);
		else
			e->val[o->out[i]->id] = end[i];
	}
	free(end);
}

static LLVMValueRef call(Llvm *e, const Op *o)
{
	const Func *f = o->callee;
	LLVMValueRef fn = llvm_func(e, f), *arg = malloc(sizeof *arg * ((size_t)o->nin + 1));
	Isa isa = ISA_BASE;
	llvm_isa_find(f->isa, &isa);
	bool wide = f->nret && f->ret[0]->lanes > 1;
	for (int i = 0; i < o->nin; i++) {
		arg[i] = llvm_value(e, o->in[i]);
		wide |= o->in[i]->type->form == T_REG && o->in[i]->type->lanes > 1;
	}
	if (wide && isa != e->isa)      /* how vectors are passed depends on the instruction set */
		llvm_fail(e, "a vector cannot be passed to @%s, which has another instruction set", f->name);
	LLVMValueRef v = LLVMBuildCall2(e->b, llvm_func_type(e, f), fn, arg, o->nin, "");
	free(arg);
	if (!has_loop(f) && isa <= e->isa) {
		unsigned kind = LLVMGetEnumAttributeKindForName("alwaysinline", 12);
		LLVMAddCallSiteAttribute(v, (LLVMAttributeIndex)LLVMAttributeFunctionIndex,
		                         LLVMCreateEnumAttribute(e->ctx, kind, 0));
	}
	return v;
}

static LLVMValueRef row(Llvm *e, const Op *o)
{
	LLVMValueRef in[3];
	for (int i = 0; i < o->nin && i < 3; i++)
		in[i] = llvm_value(e, o->in[i]);
	return llvm_row(e, o, in);
}

static void block(Llvm *e, const Block *b)
{
	for (const Op *o = b->first; o; o = o->next) {
		LLVMValueRef v = 0;
		switch (o->kind) {
		case O_for: loop(e, o); continue;
		case O_yield: return;
		case O_load: v = llvm_load(e, o); break;
		case O_store: llvm_store(e, o); break;
		case O_view: v = llvm_view(e, o); break;
		case O_call: v = call(e, o); break;
		case O_ret:
			if (o->nin)
				LLVMBuildRet(e->b, llvm_value(e, o->in[0]));
			else
				LLVMBuildRetVoid(e->b);
			return;
		case O_alloc: llvm_fail(e, "alloc is left after plan"); return;
		default: v = row(e, o);
		}
		if (o->nout)
			e->val[o->out[0]->id] = v;
		if (e->err[0])
			return;
	}
}

static void translate(Llvm *e, const Func *f)
{
	e->fn = llvm_func(e, f);
	e->f = f;
	e->val = calloc(f->nval + 1, sizeof *e->val);
	llvm_isa_find(f->isa, &e->isa);
	for (int i = 0; i < f->nparam; i++)
		e->val[f->param[i]->id] = LLVMGetParam(e->fn, (unsigned)i);
	LLVMPositionBuilderAtEnd(e->b, new_block(e, "entry"));
	block(e, &f->body);
	if (!LLVMGetBasicBlockTerminator(LLVMGetInsertBlock(e->b)))
		LLVMBuildRetVoid(e->b);
	free(e->val);
	e->f = 0;
}

void llvm_bodies(Llvm *e)
{
	while (e->done < e->ntodo && !e->err[0])
		translate(e, e->todo[e->done++]);
}

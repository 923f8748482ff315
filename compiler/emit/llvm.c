/* llvm.c: a module through LLVM to an object file, assembly, LLVM's own text or bitcode. */
#include "emit/llvm.h"

#include <llvm-c/Analysis.h>
#include <llvm-c/BitWriter.h>
#include <llvm-c/Error.h>
#include <llvm-c/Transforms/PassBuilder.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LARGE_FUNCTION = 2500 };         /* ops; above it the default passes take quadratic time */

#define FEW_PASSES "always-inline,function(instcombine<no-verify-fixpoint>,early-cse<memssa>,simplifycfg," \
	"loop-mssa(licm),adce),globaldce"

/* ---- beginning and end ------------------------------------------------------------------------ */

/* LLVM's own complaints (an instruction the target cannot do, say) become ours. */
static void on_diagnostic(LLVMDiagnosticInfoRef info, void *arg)
{
	Llvm *e = arg;
	if (LLVMGetDiagInfoSeverity(info) != LLVMDSError)
		return;
	char *text = LLVMGetDiagInfoDescription(info);
	llvm_fail(e, "LLVM: %s", text);
	LLVMDisposeMessage(text);
}

static bool begin(Llvm *e, const Module *m, const LlvmTarget *t, const char *source)
{
	*e = (Llvm){.m = m, .target = t};
	if (m->level != L_LOOP || !m->planned) {
		llvm_fail(e, "the module is not lowered and planned yet");
		return false;
	}
	e->tm = llvm_target_machine(t);
	e->ctx = LLVMContextCreate();
	LLVMContextSetDiagnosticHandler(e->ctx, on_diagnostic, e);
	e->mod = LLVMModuleCreateWithNameInContext(source, e->ctx);
	e->b = LLVMCreateBuilderInContext(e->ctx);
	LLVMTargetDataRef layout = LLVMCreateTargetDataLayout(e->tm);
	LLVMSetModuleDataLayout(e->mod, layout);
	LLVMSetTarget(e->mod, t->triple);
	e->none = LLVMVoidTypeInContext(e->ctx);
	e->i1 = LLVMInt1TypeInContext(e->ctx);
	e->i8 = LLVMInt8TypeInContext(e->ctx);
	e->i16 = LLVMInt16TypeInContext(e->ctx);
	e->i32 = LLVMInt32TypeInContext(e->ctx);
	e->i64 = LLVMInt64TypeInContext(e->ctx);
	e->f32 = LLVMFloatTypeInContext(e->ctx);
	e->ptr = LLVMPointerTypeInContext(e->ctx, 0);
	e->word = LLVMIntPtrTypeInContext(e->ctx, layout);
	e->big_endian = LLVMByteOrder(layout) == LLVMBigEndian;
	LLVMDisposeTargetData(layout);
	return true;
}

static void end(Llvm *e)
{
	free(e->todo);
	if (!e->ctx)
		return;
	LLVMDisposeBuilder(e->b);
	LLVMDisposeModule(e->mod);
	LLVMContextDispose(e->ctx);
	LLVMDisposeTargetMachine(e->tm);
}

/* ---- passes ----------------------------------------------------------------------------------- */

static int count_ops(const Block *b)
{
	int n = 0;
	for (const Op *o = b->first; o; o = o->next)
		n += 1 + (o->body ? count_ops(o->body) : 0);
	return n;
}

static bool verified(Llvm *e)
{
	char *why = 0;
	bool bad = LLVMVerifyModule(e->mod, LLVMReturnStatusAction, &why);
	if (bad)
		llvm_fail(e, "internal error, LLVM's verifier says: %s", why);
	LLVMDisposeMessage(why);
	return !bad;
}

/* The kernels are written as they should run; LLVM has to clean up, not to discover. */
static bool optimise(Llvm *e)
{
	bool large = false;
	for (int i = 0; i < e->ntodo; i++)
		large |= count_ops(&e->todo[i]->body) > LARGE_FUNCTION;
	const char *passes = large ? FEW_PASSES : "default<O2>";
	LLVMPassBuilderOptionsRef o = LLVMCreatePassBuilderOptions();
	LLVMErrorRef bad = LLVMRunPasses(e->mod, passes, e->tm, o);
	LLVMDisposePassBuilderOptions(o);
	if (bad) {
		char *text = LLVMGetErrorMessage(bad);
		llvm_fail(e, "LLVM: %s", text);
		LLVMDisposeErrorMessage(text);
	}
	return !e->err[0];
}

static bool finish(Llvm *e)
{
	llvm_bodies(e);
	return !e->err[0] && verified(e) && optimise(e);
}

/* ---- output ----------------------------------------------------------------------------------- */

/* Emission changes the module; it is the last thing done with it. */
static LLVMMemoryBufferRef machine_code(Llvm *e, LLVMCodeGenFileType form)
{
	LLVMMemoryBufferRef buf = 0;
	char *why = 0;
	if (LLVMTargetMachineEmitToMemoryBuffer(e->tm, e->mod, form, &why, &buf)) {
		llvm_fail(e, "LLVM: %s", why);
		LLVMDisposeMessage(why);
		return 0;
	}
	return buf;
}

static void take(LLVMMemoryBufferRef buf, void **out, size_t *n)
{
	if (!buf)
		return;
	*n = LLVMGetBufferSize(buf);
	*out = malloc(*n + 1);
	memcpy(*out, LLVMGetBufferStart(buf), *n);
	LLVMDisposeMemoryBuffer(buf);
}

static void write_form(Llvm *e, LlvmForm form, void **out, size_t *n)
{
	char *text;
	switch (form) {
	case EMIT_OBJECT: take(machine_code(e, LLVMObjectFile), out, n); break;
	case EMIT_ASM: take(machine_code(e, LLVMAssemblyFile), out, n); break;
	case EMIT_BITCODE: take(LLVMWriteBitcodeToMemoryBuffer(e->mod), out, n); break;
	case EMIT_IR:
		text = LLVMPrintModuleToString(e->mod);
		*out = strdup(text);
		*n = strlen(text);
		LLVMDisposeMessage(text);
	}
}

static bool has_floats(const Block *b)
{
	for (const Op *o = b->first; o; o = o->next) {
		for (int i = 0; i < o->nout; i++)
			if (o->out[i]->type->form == T_REG && o->out[i]->type->elem == E_f32)
				return true;
		if (o->body && has_floats(o->body))
			return true;
	}
	return false;
}

bool emit_llvm(const Module *m, const EmitInfo *info, LlvmForm form, void **out, size_t *n, char *err,
               size_t nerr)
{
	LlvmTarget target;
	bool floats = false;
	each_func(f, m)
		floats |= has_floats(&f->body);
	*out = 0;
	if (!llvm_target_find(&target, info->target, info->cpu, floats, err, nerr))
		return false;
	Llvm e;
	if (begin(&e, m, &target, info->source ? info->source : m->name)) {
		llvm_model(&e, info);
		if (!e.err[0] && finish(&e))
			write_form(&e, form, out, n);
	}
	if (e.err[0]) {
		snprintf(err, nerr, "%s", e.err);
		free(*out);
		*out = 0;
	}
	end(&e);
	return *out != 0;
}

bool llvm_object_in_place(const Module *m, const char *body, const LlvmTarget *t, LLVMMemoryBufferRef *out,
                          char *err, size_t nerr)
{
	Llvm e;
	*out = 0;
	if (begin(&e, m, t, m->name)) {
		e.in_place = true;
		llvm_entries(&e, body);
		if (!e.err[0] && finish(&e))
			*out = machine_code(&e, LLVMObjectFile);
	}
	if (e.err[0])
		snprintf(err, nerr, "%s", e.err);
	end(&e);
	return *out && !e.err[0];
}

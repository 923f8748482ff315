/* llvm_dispatch.c: which instruction sets the machine that runs the model has, asked with CPUID and XGETBV.
 * No library and no global is involved: the answer goes into the model's state (llvm_model.c). */
#include "emit/llvm.h"

#include <string.h>

/* Registers CPUID answers in. */
enum { EAX, EBX, ECX, EDX };

static LLVMValueRef assembly(Llvm *e, LLVMTypeRef result, const char *text, const char *constraints,
                             unsigned n, LLVMValueRef *arg)
{
	LLVMTypeRef param[2] = {e->i32, e->i32}, t = LLVMFunctionType(result, param, n, 0);
	LLVMValueRef a = LLVMGetInlineAsm(t, (char *)text, strlen(text), (char *)constraints,
	                                  strlen(constraints), 1, 0, LLVMInlineAsmDialectATT, 0);
	return LLVMBuildCall2(e->b, t, a, arg, n, "");
}

/* rbx may be the base pointer, so it is not named as an output. */
static LLVMValueRef cpuid(Llvm *e, int leaf)
{
	LLVMTypeRef r[] = {e->i32, e->i32, e->i32, e->i32}, result = LLVMStructTypeInContext(e->ctx, r, 4, 0);
	LLVMValueRef arg[] = {llvm_int(e->i32, leaf), llvm_int(e->i32, 0)};
	return assembly(e, result, "xchgq %rbx, ${1:q}\n\tcpuid\n\txchgq %rbx, ${1:q}",
	                "={ax},=&r,={cx},={dx},{ax},{cx},~{dirflag},~{fpsr},~{flags}", 2, arg);
}

/* Low half of XCR0: the registers the operating system saves. */
static LLVMValueRef xgetbv(Llvm *e)
{
	LLVMTypeRef two[] = {e->i32, e->i32};
	LLVMValueRef zero = llvm_int(e->i32, 0);
	LLVMValueRef v = assembly(e, LLVMStructTypeInContext(e->ctx, two, 2, 0), "xgetbv",
	                          "={ax},={dx},{cx},~{dirflag},~{fpsr},~{flags}", 1, &zero);
	return LLVMBuildExtractValue(e->b, v, 0, "");
}

static LLVMValueRef reg(Llvm *e, LLVMValueRef answer, unsigned which)
{
	return LLVMBuildExtractValue(e->b, answer, which, "");
}

/* Are all these bits set? */
static LLVMValueRef has(Llvm *e, LLVMValueRef v, uint32_t bits)
{
	LLVMValueRef want = llvm_int(e->i32, (int32_t)bits);
	return LLVMBuildICmp(e->b, LLVMIntEQ, LLVMBuildAnd(e->b, v, want, ""), want, "");
}

static LLVMValueRef both(Llvm *e, LLVMValueRef a, LLVMValueRef b)
{
	return LLVMBuildAnd(e->b, a, b, "");
}

/* Goes on in a new block if c holds; else to `no`. */
static void need(Llvm *e, LLVMValueRef fn, LLVMValueRef c, LLVMBasicBlockRef no)
{
	LLVMBasicBlockRef yes = LLVMAppendBasicBlockInContext(e->ctx, fn, "");
	LLVMBuildCondBr(e->b, c, yes, no);
	LLVMPositionBuilderAtEnd(e->b, yes);
}

/* The masks below are Intel's manual, volume 2, CPUID leaves 1 and 7, and XCR0. */
static void machine_mask_body(Llvm *e, LLVMValueRef fn)
{
	LLVMPositionBuilderAtEnd(e->b, LLVMAppendBasicBlockInContext(e->ctx, fn, "entry"));
	LLVMBasicBlockRef no = LLVMAppendBasicBlockInContext(e->ctx, fn, "base");
	LLVMValueRef top = reg(e, cpuid(e, 0), EAX);
	need(e, fn, LLVMBuildICmp(e->b, LLVMIntUGE, top, llvm_int(e->i32, 7), ""), no);
	LLVMValueRef c1 = reg(e, cpuid(e, 1), ECX);
	need(e, fn, has(e, c1, 1u << 27 | 1u << 28), no);                       /* OSXSAVE, AVX */
	LLVMValueRef seven = cpuid(e, 7), b = reg(e, seven, EBX), c = reg(e, seven, ECX);
	LLVMValueRef saved = xgetbv(e);
	LLVMValueRef avx2 = both(e, has(e, b, 1u << 5), has(e, saved, 0x06));   /* xmm, ymm */
	LLVMValueRef vnni = both(e, has(e, b, 1u << 16 | 1u << 30 | 1u << 31),  /* AVX512 F, BW, VL */
	                         both(e, has(e, c, 1u << 11), has(e, saved, 0xe6)));    /* VNNI; k, zmm */
	LLVMValueRef mask = LLVMBuildSelect(e->b, avx2, llvm_int(e->i32, 1 << ISA_BASE | 1 << ISA_AVX2),
	                                    llvm_int(e->i32, 1 << ISA_BASE), "");
	LLVMValueRef more = LLVMBuildSelect(e->b, both(e, avx2, vnni), llvm_int(e->i32, 1 << ISA_AVX512VNNI),
	                                    llvm_int(e->i32, 0), "");
	LLVMBuildRet(e->b, LLVMBuildOr(e->b, mask, more, ""));
	LLVMPositionBuilderAtEnd(e->b, no);
	LLVMBuildRet(e->b, llvm_int(e->i32, 1 << ISA_BASE));
}

LLVMValueRef llvm_machine_mask(Llvm *e)
{
	static const char name[] = "machine.mask";
	LLVMTypeRef t = LLVMFunctionType(e->i32, 0, 0, 0);
	LLVMValueRef fn = LLVMGetNamedFunction(e->mod, name);
	if (!fn) {
		LLVMBasicBlockRef here = LLVMGetInsertBlock(e->b);
		fn = LLVMAddFunction(e->mod, name, t);
		LLVMSetLinkage(fn, LLVMInternalLinkage);
		llvm_func_attributes(e, fn, ISA_BASE);
		machine_mask_body(e, fn);
		LLVMPositionBuilderAtEnd(e->b, here);
	}
	return LLVMBuildCall2(e->b, t, fn, 0, 0, "");
}

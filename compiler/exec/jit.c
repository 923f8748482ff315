/* jit.c: the LLVM emitter's code, run in this process.
 *
 * The object file is the one emit_llvm would write but for two things: it holds one body only, and data are
 * not copied into it; the code uses them where the module has them.  What the processor can do is asked of
 * the processor, never looked up by its name. */
#include "emit/llvm.h"
#include "exec/exec.h"

#include <llvm-c/Error.h>
#include <llvm-c/LLJIT.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#if defined(__x86_64__)
#include <cpuid.h>
#endif

enum { NO_ENTRY = -1 };         /* a status: see exec_error */

typedef struct {
	LLVMOrcLLJITRef jit;
	const char *body;
	int32_t (*reset)(void *state);
	int32_t (*step)(void *state, void *scratch, const void *const *in, void *const *out);
	int32_t (*run)(void *state, void *scratch, const void *const *in, void *const *out, int32_t steps);
} Jit;

/* ---- this machine ----------------------------------------------------------------------------- */

/* A mask of 1 << isa, by the same questions that emitted code asks (emit/llvm_dispatch.c). */
static unsigned machine_mask(void)
{
	unsigned mask = 1 << ISA_BASE;
#if defined(__x86_64__)
	unsigned a, b, c, d, saved, high;
	if (!__get_cpuid(1, &a, &b, &c, &d) || (c & (1u << 27 | 1u << 28)) != (1u << 27 | 1u << 28))
		return mask;
	if (!__get_cpuid_count(7, 0, &a, &b, &c, &d))
		return mask;
	__asm__ volatile("xgetbv" : "=a"(saved), "=d"(high) : "c"(0));
	if ((saved & 6) != 6 || !(b & 1u << 5))
		return mask;
	mask |= 1 << ISA_AVX2;
	unsigned f_bw_vl = 1u << 16 | 1u << 30 | 1u << 31;
	if ((saved & 0xe6) == 0xe6 && (b & f_bw_vl) == f_bw_vl && (c & 1u << 11))
		mask |= 1 << ISA_AVX512VNNI;
#endif
	return mask;
}

/* The body asked for, or the last one that runs here. */
static const char *choose_body(const Module *m, const char *body, char *err, size_t nerr)
{
	const char *best = "portable";
	unsigned mask = machine_mask();
	for (int i = 0; i < m->nbody; i++) {
		Isa isa;
		bool runs = llvm_isa_find(m->body[i], &isa) && mask >> isa & 1;
		if (body && !strcmp(body, m->body[i]) && !runs) {
			snprintf(err, nerr, "this machine lacks the instructions of body %s", body);
			return 0;
		}
		if (runs && (!body || !strcmp(body, m->body[i])))
			best = m->body[i];
	}
	if (body && strcmp(body, best)) {
		snprintf(err, nerr, "the module has no body %s", body);
		return 0;
	}
	return best;
}

/* ---- loading ---------------------------------------------------------------------------------- */

static bool took(LLVMErrorRef e, char *err, size_t nerr)
{
	if (!e)
		return true;
	char *text = LLVMGetErrorMessage(e);
	snprintf(err, nerr, "LLVM: %s", text);
	LLVMDisposeErrorMessage(text);
	return false;
}

static void *lookup(Jit *j, const char *name)
{
	LLVMOrcExecutorAddress at = 0;
	LLVMErrorRef e = LLVMOrcLLJITLookup(j->jit, &at, name);
	if (e)
		LLVMConsumeError(e);
	return (void *)(uintptr_t)at;
}

static void close_jit(void *self)
{
	Jit *j = self;
	if (j->jit) {
		LLVMErrorRef e = LLVMOrcDisposeLLJIT(j->jit);
		if (e)
			LLVMConsumeError(e);
	}
	free(j);
}

/* A body is asked for: its code just as it would be emitted.  None is: code that may use AVX2 anywhere. */
static bool this_machine(LlvmTarget *t, const char *body, char *err, size_t nerr)
{
	char cpu[160] = "";
	LlvmTarget plain;
	if (!llvm_target_find(&plain, 0, 0, true, err, nerr))
		return false;
	if (plain.x86_64 && !body && machine_mask() >> ISA_AVX2 & 1)
		snprintf(cpu, sizeof cpu, "%s,%s", plain.cpu, llvm_isa_features(ISA_AVX2));
	return llvm_target_find(t, 0, cpu, true, err, nerr);
}

static bool load(Jit *j, const Module *m, const LlvmTarget *t, char *err, size_t nerr)
{
	LLVMMemoryBufferRef object;
	if (!llvm_object_in_place(m, j->body, t, &object, err, nerr))
		return false;
	LLVMOrcLLJITBuilderRef b = LLVMOrcCreateLLJITBuilder();
	LLVMTargetMachineRef tm = llvm_target_machine(t);
	LLVMOrcLLJITBuilderSetJITTargetMachineBuilder(
		b, LLVMOrcJITTargetMachineBuilderCreateFromTargetMachine(tm));
	if (!took(LLVMOrcCreateLLJIT(&j->jit, b), err, nerr)) {
		LLVMDisposeMemoryBuffer(object);
		return false;
	}
	LLVMOrcJITDylibRef lib = LLVMOrcLLJITGetMainJITDylib(j->jit);
	if (!took(LLVMOrcLLJITAddObjectFile(j->jit, lib, object), err, nerr))
		return false;
	*(void **)&j->reset = lookup(j, "reset");
	*(void **)&j->run = llvm_entry(m, "run", j->body) ? lookup(j, "run") : 0;
	*(void **)&j->step = llvm_entry(m, "step", j->body) ? lookup(j, "step") : 0;
	if (!j->reset)
		snprintf(err, nerr, "internal error: the code could not be loaded");
	return j->reset != 0;
}

static void *open_jit(const Module *m, const char *body, char *err, size_t nerr)
{
	LlvmTarget t;
	const char *chosen = choose_body(m, body, err, nerr);
	if (!chosen || !this_machine(&t, body, err, nerr))
		return 0;
	Jit *j = calloc(1, sizeof *j);
	j->body = chosen;
	if (load(j, m, &t, err, nerr))
		return j;
	close_jit(j);
	return 0;
}

/* ---- calls ------------------------------------------------------------------------------------ */

static void reset_jit(void *self, uint8_t *state)
{
	((Jit *)self)->reset(state);
}

static int32_t step_jit(void *self, uint8_t *state, uint8_t *scratch, const void *const *in,
                        void *const *out)
{
	Jit *j = self;
	return j->step ? j->step(state, scratch, in, out) : NO_ENTRY;
}

static int32_t run_jit(void *self, uint8_t *state, uint8_t *scratch, const void *const *in, void *const *out,
                       int32_t steps)
{
	Jit *j = self;
	return j->run ? j->run(state, scratch, in, out, steps) : NO_ENTRY;
}

static const char *error_jit(void *self)
{
	(void)self;
	return "the module has no such entry function";
}

static const char *body_jit(void *self)
{
	return ((Jit *)self)->body;
}

const ExecKind exec_jit = {
	.name = "jit", .open = open_jit, .reset = reset_jit, .step = step_jit, .run = run_jit,
	.body = body_jit, .close = close_jit, .error = error_jit,
};

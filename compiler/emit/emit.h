/* emit.h: the way out.  Every emitter reads a lowered, planned module and writes bytes; it knows nothing of
 * quantization or layers. */
#ifndef GATEFOLD_EMIT_H
#define GATEFOLD_EMIT_H

#include "ir/ir.h"

typedef struct {
	const char *source;     /* name of the model file, for a comment */
	int32_t steps;          /* gf_model.steps */
	uint32_t weight_size;   /* bytes of data the emitted functions use */
	uint32_t check;         /* gf_model.check */
	int32_t check_steps;
	const char *target, *cpu;       /* LLVM triple and CPU, or 0 */
} EmitInfo;

void emit_header(const Module *m, const EmitInfo *info, FILE *f);       /* the same bytes for .c and .o of one target */
void emit_c(const Module *m, const EmitInfo *info, FILE *f);            /* portable body only */

typedef enum { EMIT_OBJECT, EMIT_ASM, EMIT_IR, EMIT_BITCODE } LlvmForm;
/* The whole result in *out (malloc'ed).  false with the reason in err. */
bool emit_llvm(const Module *m, const EmitInfo *info, LlvmForm form, void **out, size_t *n, char *err, size_t nerr);

#endif

/* exec.h: run a lowered, planned module: interpreter (the definition), JIT, or C through the system's
 * compiler.  All give the same bytes. */
#ifndef GATEFOLD_EXEC_H
#define GATEFOLD_EXEC_H

#include "ir/ir.h"

typedef struct Exec Exec;

/* kind: "interp", "jit", "c".  body: a name out of m->body, or 0 for the best this machine runs (interp:
 * any body runs; its default is "portable").  m must outlive the Exec.  0 with the reason in err. */
Exec *exec_open(const Module *m, const char *kind, const char *body, char *err, size_t nerr);
void exec_reset(Exec *e);
/* Buffers as the entry functions take them: stored elements, in the order of the ports.  A gf_status; a
 * negative one is an internal error (the interpreter's checks), told by exec_error. */
bool exec_has_step(const Exec *e);
int32_t exec_step(Exec *e, const void *const *in, void *const *out);
int32_t exec_run(Exec *e, const void *const *in, void *const *out, int32_t steps);
uint8_t *exec_state(Exec *e);                   /* m->state_size bytes */
const char *exec_body(const Exec *e);
const char *exec_error(const Exec *e);          /* of a call that answered a negative status; else "" */
void exec_close(Exec *e);
bool exec_available(const char *kind);

/* The self-test's hash, as gatefold.h defines it (gf_model.check and check_steps), computed by `kind` (0: the
 * interpreter).  steps: gf_model.steps.  false with the reason in err. */
bool exec_check(const Module *m, const char *kind, int32_t steps, uint32_t *check, int32_t *check_steps,
                char *err, size_t nerr);

/* One call of any loop level function in the interpreter, `alloc` included: for kernels not yet planned.
 * Arguments: the memory of references, the value of registers (integers in i, floats in f). */
typedef struct { void *p; size_t size; int64_t i; float f; } ExecArg;
bool interp_call(const Module *m, const char *func, const ExecArg *arg, int narg, ExecArg *ret, char *err,
                 size_t nerr);

/* What each kind implements; registered in exec.c's table. */
typedef struct {
	const char *name;
	void *(*open)(const Module *m, const char *body, char *err, size_t nerr);
	void (*reset)(void *self, uint8_t *state);
	int32_t (*step)(void *self, uint8_t *state, uint8_t *scratch, const void *const *in, void *const *out);
	int32_t (*run)(void *self, uint8_t *state, uint8_t *scratch, const void *const *in, void *const *out,
	               int32_t steps);
	const char *(*body)(void *self);
	void (*close)(void *self);
	const char *(*error)(void *self);       /* 0: never answers a negative status */
} ExecKind;

extern const ExecKind exec_interp, exec_c, exec_jit;    /* exec_jit only with GATEFOLD_LLVM */

#endif

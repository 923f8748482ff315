/* gatefold.h: run a compiled model.
 *
 * A model is const data and functions; the caller owns every byte that changes: `state` (what a
 * recurrent model remembers between steps) and `scratch` (nothing survives a call in it), both
 * aligned to GF_ALIGN.  No function here or in a compiled model allocates, prints, exits, keeps a
 * global or calls libm.  The same model may run in several threads, each with its own state and
 * scratch.
 *
 *	static _Alignas(GF_ALIGN) uint8_t state[KWS_STATE], scratch[KWS_SCRATCH];
 *	kws.reset(state);
 *	for (;;) { fill(x); kws.step(state, scratch, in, out); use(y); }
 */
#ifndef GATEFOLD_H
#define GATEFOLD_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define GF_ABI   1u             /* changes when a struct below changes */
#define GF_ALIGN 16             /* bytes; of state, scratch and every input and output */
#define GF_RANK  8              /* most dimensions of a tensor */

/* What a call answers.  OK is 0. */
#define GF_STATUS(X) \
	X(OK,    "ok") \
	X(RANGE, "an index input is outside its table; the nearest entry was used") \
	X(STEPS, "the number of steps is not one this model runs") \
	X(ABI_MISMATCH, "the model was built for another version of gatefold.h") \
	X(CHECK, "self-test failed: the build changed the arithmetic") \
	X(BODY,  "this machine lacks the instructions of that body")
#define X(name, text) GF_##name,
enum { GF_STATUS(X) GF_NSTATUS };
#undef X
typedef int32_t gf_status;

/* Stored element of a tensor (gf_tensor.elem). */
enum { GF_I8 = 1, GF_U8, GF_I16, GF_I32, GF_I64, GF_F32 };

typedef struct {                /* real value = (stored - zero) * scale; scale 0: plain integers */
	const char *name;       /* as in the ONNX file */
	uint8_t elem;           /* GF_I8 .. GF_F32 */
	uint8_t rank;           /* 0 .. GF_RANK */
	uint8_t bits;           /* of the stored integer that count: gf_quantize saturates to them */
	int32_t dim[GF_RANK];   /* row-major; -1: the number of steps */
	float scale;
	int32_t zero;
} gf_tensor;

typedef struct gf_model {
	uint32_t abi;           /* GF_ABI */
	const char *name;
	uint16_t nin, nout;
	const gf_tensor *in, *out;
	uint32_t state_size;    /* bytes */
	uint32_t scratch_size;  /* bytes, whatever the number of steps */
	uint32_t scratch_step;  /* bytes more for each step of run; 0 for streaming models */
	uint32_t weight_size;   /* bytes of weights, scales, biases and tables */
	int32_t steps;          /* the only number of steps run takes; 0: any number > 0 */

	/* Put `state` back to the start of a sequence and pick the fastest body for this machine. */
	gf_status (*reset)(void *state);
	/* One time step: inputs and outputs have their -1 dimension taken as 1.  0: the model needs
	 * the whole sequence at once (a bidirectional layer, say).  An output's memory overlaps no other
	 * output, no input, state or scratch. */
	gf_status (*step)(void *state, void *scratch, const void *const *in, void *const *out);
	/* `steps` time steps, carrying on from `state`. */
	gf_status (*run)(void *state, void *scratch, const void *const *in, void *const *out,
	                 int32_t steps);

	/* Bodies: the same arithmetic for different instruction sets. reset picks the last one the
	 * machine can run; use() forces one afterwards (tests, benchmarks), GF_BODY if it cannot. */
	uint16_t nbody;
	const char *const *body;
	gf_status (*use)(void *state, uint16_t body);

	/* Self-test: `check` is the FNV-1a hash of all outputs of one step (or run of check_steps)
	 * from reset on inputs whose byte i is (i * 37 + 11) & 63 (i counts from 0 in each input, low
	 * bytes first), as the compiler's interpreter computed it. check_steps 0: step is tested. */
	uint32_t check;
	int32_t check_steps;
} gf_model;

/* Text of a status; "unknown status" for numbers outside the list. */
const char *gf_status_text(gf_status s);

/* Run the model's self-test.  `in` and `out` are buffers for it, gf_io_size bytes for check_steps
 * (NAME_TEST_IN and NAME_TEST_OUT in the model's header); the state is reset before and after.
 * GF_OK, GF_ABI_MISMATCH or GF_CHECK. */
gf_status gf_selftest(const gf_model *m, void *state, void *scratch, void *in, void *out);

/* Bytes of all inputs (which = 0) or outputs (1) of `steps` steps, each rounded up to GF_ALIGN, and
 * of an array of pointers to them (8 bytes each, rounded up) in front. */
uint32_t gf_io_size(const gf_model *m, int which, int32_t steps);

/* Elements of a tensor for `steps` steps. */
uint32_t gf_count(const gf_tensor *t, int32_t steps);

/* n real values to stored ones and back; rounds halves upward and saturates, NaN becomes `zero`.
 * For GF_F32 copies.  Uses float arithmetic (runtime/quantize.c): leave it out of the link where there
 * is none. */
void gf_quantize(const gf_tensor *t, const float *x, void *q, uint32_t n);
void gf_dequantize(const gf_tensor *t, const void *q, float *x, uint32_t n);

#ifdef __cplusplus
}
#endif
#endif

/* compile.c: `gatefold compile MODEL -o OUT`. */
#include "driver/output.h"
#include "driver/report.h"
#include "exec/exec.h"
#include "passes/passes.h"
#include "util/mem.h"

#include <stdlib.h>
#include <string.h>

/* The self-test's result comes from the interpreter, which defines it; of a model with more multiplications than that takes
 * seconds for, from the JIT or C: the same bytes. */
static const char *check_with(int64_t macs)
{
	enum { MOST_INTERPRETED = 200000000 };
	return macs <= MOST_INTERPRETED ? 0 : exec_available("jit") ? "jit" : "c";
}

static bool emit(const Command *c, const OutputForm *form, Module *m, int64_t macs, Diag *d)
{
	EmitInfo info = {
		.steps = takes_any_steps(m) ? 0 : 1,    /* without T a whole sequence is one step */
		.source = strcmp(c->arg[0], "-") ? path_base(c->arg[0]) : "standard input",
		.target = c->opt.target,
		.cpu = c->opt.cpu,
	};
	if (form->lowered) {
		if (m->level != L_LOOP || !m->planned) {
			diag_error(d, "-o %s needs loops in place: leave -p out, or end it with lower,plan", c->out);
			return false;
		}
		info.weight_size = (uint32_t)(form->llvm ? used_bytes(m) : portable_bytes(m));      /* C has the one body */
		char err[512];
		if (!exec_check(m, check_with(macs), info.steps, &info.check, &info.check_steps, err, sizeof err)) {
			diag_bug(d, "the self-test's run fails: %s", err);
			return false;
		}
	}
	return output_write(form, m, &info, c->out, d);
}

/* C without --target is for any machine: row-major kernels, one body.  The object that the same options give has bodies for
 * x86-64; state and scratch are as large as that one's, so that a program may link either. */
static bool run_portable(const Command *c, Module *m, Diag *d)
{
	if (!passes_run(m, &c->opt, "quantize", d))
		return false;
	Module *object = module_clone(m);
	Options opt = c->opt;
	bool good = passes_run(object, &opt, 0, d);
	opt.least_state = object->state_size;
	opt.least_scratch = object->scratch_size;
	opt.least_scratch_step = object->scratch_step;
	opt.target = "any";
	module_free(object);
	return good && passes_run(m, &opt, 0, d);
}

/* The report is on the quantized stage; from there on the usual way. */
static bool report(const Command *c, Module *m, Diag *d)
{
	if (c->opt.passes || c->opt.skip) {
		diag_error(d, "--report wants all passes: leave out -p and --skip");
		return false;
	}
	if (m->level != L_TENSOR || !passes_run(m, &c->opt, "quantize", d))
		return m->level == L_TENSOR ? false : (diag_error(d, "--report wants a model that is not lowered yet"), false);
	if (!module_is_quantized(m)) {
		diag_error(d, "--report is on fixed-point models: give --calib FILE");
		return false;
	}
	return report_write(m, &c->opt, c->report, d);
}

/* All passes that are left; after a report lower and plan only, so that it speaks of just this module. */
static bool run_passes(const Command *c, Module *m, bool portable, Diag *d)
{
	Options opt = c->opt;
	if (c->report)
		opt.passes = "lower,plan";
	return portable ? run_portable(c, m, d) : passes_run(m, &opt, 0, d);
}

int command_compile(const Command *c, Diag *d)
{
	const OutputForm *form = output_form(c->out, d);
	if (!form)
		return EXIT_REFUSED;
#ifndef GATEFOLD_LLVM
	if (form->llvm) {
		diag_error(d, "-o %s: this gatefold was built without LLVM; write a .c file", c->out);
		return EXIT_REFUSED;
	}
#endif
	if (!form->llvm && c->opt.cpu)
		diag_note(d, "--cpu changes nothing in a %s file", form->suffix);
	Module *m = model_read(c->arg[0], &c->opt, d);
	if (!m)
		return EXIT_REFUSED;
	bool quantized = module_is_quantized(m) || m->level == L_LOOP;
	if (form->lowered && !c->opt.integer && !c->precision_given && !quantized)
		diag_note(d, "compiled in 32-bit floats; --calib FILE makes it fixed point");
	int64_t macs = count_macs(m);
	bool portable = form->lowered && !form->llvm && !c->opt.target && !c->opt.passes && m->level == L_TENSOR;
	bool good = (!c->report || report(c, m, d)) && run_passes(c, m, portable, d) && emit(c, form, m, macs, d);
	module_free(m);
	return good ? EXIT_DONE : EXIT_REFUSED;
}

/* quantize.c: f32 values become integers with a scale.
 *
 * The pass changes types and data, and adds no op but `cast`: the equations stay readable, and what the
 * integers mean is in their types (ARCHITECTURE.md, Fixed point).  It needs a range on every value whose
 * scale is free; the pass observe writes them, or whoever edits the text.
 *
 *	quantize_classes.c	which values share a type, what their uses ask
 *	quantize_masked.c	values whose junk past a sequence's end does not count
 *	quantize_ranges.c	the range of each
 *	quantize_types.c	bits and scales
 *	quantize_units.c	steps for each unit, where values have few bits
 *	quantize_levels.c	a few trained numbers instead of a grid
 *	quantize_exact.c	sums and products: scales that follow
 *	quantize_data.c		constants
 *	quantize_apply.c	types, casts and integers into the module */
#include "passes/quantize.h"
#include "passes/widths.h"

#include "passes/passes.h"

static bool touches_f32(const Op *o)
{
	for (int i = 0; i < o->nin; i++)
		if (is_f32(o->in[i]))
			return true;
	for (int i = 0; i < o->nout; i++)
		if (is_f32(o->out[i]))
			return true;
	return false;
}

/* Why o has no fixed-point form; 0: it has. */
static const char *refusal(const Op *o)
{
	if (o->kind == O_pow && is_f32(o->in[0]) && !o->in[1]->data)
		return "has a fixed-point form for constant exponents only; --precision f32 compiles it in floats";
	if (!touches_f32(o) || (op_role[o->kind] != R_NONE && op_role[o->kind] != R_LINEAR))
		return 0;
	if (op_role[o->kind] == R_LINEAR)
		return o->in[1]->data ? 0 : "weights that are not constants have no fixed-point form yet";
	return "has no fixed-point form yet; --precision f32 compiles it in floats";
}

static void check_ops(Module *m, Diag *d)
{
	each_func(f, m)
		each_op(o, &f->body) {
			const char *why = refusal(o);
			if (why)
				diag_error(d, "%s%snode '%s' (%s): %s", o->loc.file ? o->loc.file : "",
				           o->loc.file ? ": " : "", o->loc.node ? o->loc.node : f->name,
				           op_info[o->kind].name, why);
		}
}

/* Asked for where it would change nothing. */
static void check_units(const Options *opt, Diag *d)
{
	if (!opt->unit_exponents)
		return;
	if (!opt->calib)
		diag_error(d, "--unit-exponents: how large each unit is shows in calibration data; --calib is missing");
	if (width(opt->activations, DEFAULT_BITS) >= DEFAULT_BITS && width(opt->state, WIDE_BITS) >= WIDE_BITS && !opt->nrule)
		diag_error(d, "--unit-exponents: for activations below %d bits (--activations) and states below %d (--state-bits)",
		           DEFAULT_BITS, WIDE_BITS);
}

static bool any_few(const Options *opt)
{
	int bits = width(opt->activations, DEFAULT_BITS);
	for (int i = 0; i < opt->nrule; i++)
		bits = opt->rule[i].bits < bits ? opt->rule[i].bits : bits;
	return bits <= LEVEL_BITS;
}

static void check_levels(const Options *opt, Diag *d)
{
	if (!opt->value_book)
		return;
	if (!opt->calib)
		diag_error(d, "--value-grid book: the numbers are trained on calibration data; --calib is missing");
	if (!any_few(opt))
		diag_error(d, "--value-grid book: for activations of 2 to %d bits (--activations)", LEVEL_BITS);
	if (opt->unit_exponents)
		diag_error(d, "--value-grid book: not with --unit-exponents, which spaces numbers evenly for each unit");
}

static void check_bits(const Options *opt, Diag *d)
{
	struct { const char *what; int bits, least; } asked[] = {
		{"--weights", opt->weights, 1}, {"--activations", opt->activations, 2},
		{"--state", opt->state, 2}, {"--gates", opt->gates, 2},
	};
	for (int i = 0; i < 4; i++)
		if (asked[i].bits && (asked[i].bits < asked[i].least || asked[i].bits > WIDE_BITS))
			diag_error(d, "%s %d: %d to %d bits", asked[i].what, asked[i].bits, asked[i].least, WIDE_BITS);
	for (int i = 0; i < opt->nrule; i++)
		if (opt->rule[i].bits < 1 || opt->rule[i].bits > WIDE_BITS)
			diag_error(d, "%s=%d: 1 to %d bits", opt->rule[i].pattern, opt->rule[i].bits, WIDE_BITS);
	check_units(opt, d);
	check_levels(opt, d);
}

bool pass_quantize(Module *m, const Options *opt, Diag *d)
{
	int before = diag_errors(d);
	if (!opt->integer || module_is_quantized(m))
		return true;
	check_bits(opt, d);
	widths_check(m, opt, d);
	check_ops(m, d);
	if (diag_errors(d) > before)
		return false;
	Quantizer q = {.m = m, .opt = opt, .d = d};
	classes_build(&q);
	masked_find(&q);
	ranges_build(&q);
	if (diag_errors(d) > before)
		return false;
	types_choose(&q);
	exact_choose(&q);
	if (diag_errors(d) > before)
		return false;
	types_apply(&q);
	return diag_errors(d) == before;
}

/* runner.c: run a module on samples. */
#include "data/runner.h"
#include "data/shape.h"
#include "data/states.h"
#include "gatefold.h"
#include "passes/passes.h"
#include "util/mem.h"

#include <stdlib.h>
#include <string.h>

enum { BUFFER_ALIGN = 64 };

typedef struct {
	const Type *type;
	gf_tensor gf;           /* how its elements stand for reals */
	void *stored;           /* as the model takes or gives them */
	size_t room;            /* bytes of stored */
} Buffer;

struct Runner {
	Module *m;
	Exec *exec;
	Buffer *in, *out;
	int nin, nout;
	int *pair;              /* by input: the output that it carries on from, or -1 */
	Tensor **real;          /* by output: real values of the last run, made when asked for */
	int32_t steps;          /* of the last run */
};

/* ---- ports -------------------------------------------------------------------------------------- */

static int gf_elem(Elem e)
{
	switch (e) {
	case E_i8: return GF_I8;
	case E_u8: return GF_U8;
	case E_i16: return GF_I16;
	case E_i32: return GF_I32;
	case E_i64: return GF_I64;
	case E_f32: return GF_F32;
	}
	return 0;
}

/* What the runtime's gf_quantize wants to know.  false: no element of a public port.  Outputs may have more than
 * public ones have: row scales, and widths that memory does not know (passes/tap.c). */
static bool describe(const Port *p, bool out, Buffer *b)
{
	const Quant *q = p->type->quant;
	Elem e = q ? q->elem : p->type->elem;
	b->type = p->type;
	b->gf = (gf_tensor){.name = p->name, .elem = (uint8_t)gf_elem(out ? elem_stored(e) : e), .rank = p->type->rank,
	                  .bits = (uint8_t)elem_bits(e)};
	for (int i = 0; i < p->type->rank; i++)
		b->gf.dim[i] = p->type->dim[i];
	if (q) {
		b->gf.scale = q->rows ? 1 : q->scale;
		b->gf.zero = q->zero;
	}
	return b->gf.elem && !(q && ((q->rows && !out) || q->book));
}

static Buffer *describe_all(const Port *p, int n, bool out, Diag *d)
{
	Buffer *b = mem_array((size_t)n, sizeof *b);
	for (int i = 0; i < n; i++, p = p->next)
		if (!describe(p, out, &b[i]))
			diag_bug(d, "port '%s' has a type that no input or output may have", p->name);
	return b;
}

static bool make_room(Buffer *b, int32_t steps, Diag *d)
{
	size_t need = (size_t)type_size(b->type, steps);
	if (b->stored && need <= b->room)
		return true;
	void *p = aligned_alloc(BUFFER_ALIGN, (need + BUFFER_ALIGN) / BUFFER_ALIGN * BUFFER_ALIGN);
	if (!p) {
		diag_error(d, "out of memory for %d steps of '%s'", steps, b->gf.name);
		return false;
	}
	memset(p, 0, need);
	if (b->stored)
		memcpy(p, b->stored, b->room);
	free(b->stored);
	b->stored = p;
	b->room = need;
	return true;
}

static bool is_reals(const Buffer *b)
{
	return b->type->quant || b->type->elem == E_f32;
}

static void put(Buffer *b, const Tensor *t)
{
	if (is_reals(b))
		gf_quantize(&b->gf, t->bytes, b->stored, (uint32_t)t->count);
	else
		memcpy(b->stored, t->bytes, (size_t)t->count * host_size(t->type));
}

/* A scale for each index of the last axis; t was made with scale 1. */
static void scale_rows(const Data *rows, Tensor *t)
{
	float *x = t->bytes;
	int64_t n = (int64_t)(rows->size / sizeof(float));
	for (int64_t i = 0; i < t->count; i++)
		x[i] *= ((const float *)rows->bytes)[i % n];
}

static Tensor *get(const Buffer *b, int32_t steps)
{
	int64_t dim[MAX_RANK];
	dims_at(b->type, steps, dim);
	Tensor *t = tensor_new(is_reals(b) ? H_F32 : H_I32, b->type->rank, dim);
	if (!t)
		return 0;
	t->name = text_copy(b->gf.name);
	if (is_reals(b))
		gf_dequantize(&b->gf, b->stored, t->bytes, (uint32_t)t->count);
	else
		memcpy(t->bytes, b->stored, (size_t)t->count * sizeof(int32_t));
	if (b->type->quant && b->type->quant->rows)
		scale_rows(b->type->quant->rows, t);
	return t;
}

/* ---- opening ------------------------------------------------------------------------------------ */

/* --skip without lower and plan, which nothing runs without. */
static char *needed_skip(const char *skip)
{
	char *kept = text_copy(""), *copy = text_copy(skip ? skip : ""), *rest = copy, *name;
	while ((name = strsep(&rest, ",")))
		if (*name && strcmp(name, "lower") && strcmp(name, "plan")) {
			char *longer = text_new("%s%s%s", kept, *kept ? "," : "", name);
			free(kept);
			kept = longer;
		}
	free(copy);
	return kept;
}

static Module *finish(const Module *m, const Options *opt, Diag *d)
{
	Options quiet = *opt;
	char *skip = needed_skip(opt->skip);
	quiet.skip = *skip ? skip : 0;
	quiet.passes = quiet.dump_after = quiet.dump_dir = 0;
	quiet.time_passes = false;
	Module *clone = module_clone(m);
	bool good = passes_run(clone, &quiet, 0, d);
	free(skip);
	if (good)
		return clone;
	module_free(clone);
	return 0;
}

static const char *kind_of(const Options *opt)
{
	return opt->exec ? opt->exec : exec_available("jit") ? "jit" : "interp";
}

Runner *runner_open(const Module *m, const Options *opt, Diag *d)
{
	char err[1024] = "";
	Runner *r = mem_new(sizeof *r);
	r->nin = nports(m->in);
	r->nout = nports(m->out);
	r->pair = mem_array((size_t)r->nin, sizeof *r->pair);
	r->real = mem_array((size_t)r->nout, sizeof *r->real);
	if (state_pairs(m, opt, r->pair, d) && (r->m = finish(m, opt, d))) {
		r->in = describe_all(r->m->in, r->nin, false, d);
		r->out = describe_all(r->m->out, r->nout, true, d);
		r->exec = exec_open(r->m, kind_of(opt), opt->body, err, sizeof err);
		if (!r->exec)
			diag_error(d, "%s", err);
	}
	if (r->exec && !diag_errors(d))
		return r;
	runner_close(r);
	return 0;
}

static void drop_outputs(Runner *r)
{
	for (int i = 0; i < r->nout; i++) {
		tensor_free(r->real[i]);
		r->real[i] = 0;
	}
}

Runner *runner_open_as_is(const Module *m, const Options *opt, Diag *d)
{
	Options o = *opt;
	char skip[512];
	o.skip = passes_between(0, "quantize", skip, sizeof skip);
	return runner_open(m, &o, d);
}

void runner_close(Runner *r)
{
	if (!r)
		return;
	drop_outputs(r);
	exec_close(r->exec);
	for (int i = 0; r->in && i < r->nin; i++)
		free(r->in[i].stored);
	for (int i = 0; r->out && i < r->nout; i++)
		free(r->out[i].stored);
	free(r->in), free(r->out), free(r->pair), free(r->real);
	if (r->m)
		module_free(r->m);
	free(r);
}

const Module *runner_module(const Runner *r)
{
	return r->m;
}

Exec *runner_exec(Runner *r)
{
	return r->exec;
}

/* ---- running ------------------------------------------------------------------------------------ */

/* A state input without a tensor: zeros at first, then what its output gave in the last run. */
static void carry(Runner *r, int i, bool fresh)
{
	Buffer *to = &r->in[i], *from = &r->out[r->pair[i]];
	uint32_t n = (uint32_t)type_count(to->type, 1);
	if (!fresh && from->type == to->type) {
		memcpy(to->stored, from->stored, (size_t)type_size(to->type, 1));
		return;
	}
	float *x = mem_array(n, sizeof *x);
	if (!fresh && is_reals(from))
		gf_dequantize(&from->gf, from->stored, x, n);
	if (is_reals(to))
		gf_quantize(&to->gf, x, to->stored, n);
	else
		memset(to->stored, 0, (size_t)type_size(to->type, 1));
	free(x);
}

/* The steps that the lowered module's own ports see: the stream pass may have made a fixed length a T. */
static int32_t steps_of(const Runner *r, const Sample *s)
{
	for (int i = 0; i < r->nin; i++)
		for (int k = 0; s->in[i] && k < r->in[i].type->rank; k++)
			if (r->in[i].type->dim[k] == DIM_T && s->in[i]->rank == r->in[i].type->rank)
				return (int32_t)s->in[i]->dim[k];
	return s->steps;
}

static bool fill_inputs(Runner *r, const Sample *s, int32_t steps, Diag *d)
{
	for (int i = 0; i < r->nin; i++) {
		if (!make_room(&r->in[i], steps, d))
			return false;
		if (s->in[i] && s->in[i]->count != type_count(r->in[i].type, steps)) {
			diag_bug(d, "sample %lld: input '%s' has %lld elements", (long long)s->number, r->in[i].gf.name,
			         (long long)s->in[i]->count);
			return false;
		}
		if (s->in[i])
			put(&r->in[i], s->in[i]);
		else if (r->pair[i] >= 0)
			carry(r, i, s->fresh);
	}
	return true;
}

bool runner_run(Runner *r, const Sample *s, Diag *d)
{
	const void *in[r->nin + 1];
	void *out[r->nout + 1];
	drop_outputs(r);
	int32_t steps = steps_of(r, s);
	if (!fill_inputs(r, s, steps, d))
		return false;
	for (int i = 0; i < r->nin; i++)
		in[i] = r->in[i].stored;
	for (int i = 0; i < r->nout; i++) {
		if (!make_room(&r->out[i], steps, d))
			return false;
		out[i] = r->out[i].stored;
	}
	if (s->fresh)
		exec_reset(r->exec);
	int32_t status = exec_run(r->exec, in, out, steps);
	r->steps = steps;
	if (status == GF_OK)
		return true;
	if (status < 0)
		diag_bug(d, "sample %lld: %s", (long long)s->number, exec_error(r->exec));
	else
		diag_error(d, "sample %lld: %s", (long long)s->number, gf_status_text(status));
	return false;
}

const Tensor *runner_output(Runner *r, int i)
{
	if (!r->real[i])
		r->real[i] = get(&r->out[i], r->steps);
	return r->real[i];
}

const void *runner_raw(Runner *r, int i, size_t *n)
{
	*n = (size_t)type_size(r->out[i].type, r->steps);
	return r->out[i].stored;
}

void *runner_slot(Runner *r, const char *name, const Type **type)
{
	for (const Slot *s = r->m->slots; s; s = s->next)
		if (!strcmp(s->name, name)) {
			if (type)
				*type = s->type;
			return exec_state(r->exec) + s->at;
		}
	return 0;
}

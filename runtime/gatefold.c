/* gatefold.c: what every compiled model shares.  C99, no library, no globals, no float. */
#include "gatefold.h"

const char *gf_status_text(gf_status s)
{
#define X(name, text) case GF_##name: return text;
	switch (s) {
	GF_STATUS(X)
	default: return "unknown status";
	}
#undef X
}

static uint8_t elem_size(uint8_t elem)
{
	switch (elem) {
	case GF_I8: case GF_U8: return 1;
	case GF_I16: return 2;
	case GF_I64: return 8;
	default: return 4;
	}
}

uint32_t gf_count(const gf_tensor *t, int32_t steps)
{
	uint32_t n = 1;
	for (uint8_t i = 0; i < t->rank; i++)
		n *= (uint32_t)(t->dim[i] < 0 ? steps : t->dim[i]);
	return n;
}

static uint32_t round_up(uint32_t n)
{
	return (n + (GF_ALIGN - 1)) & ~(uint32_t)(GF_ALIGN - 1);
}

static uint32_t tensor_size(const gf_tensor *t, int32_t steps)
{
	return gf_count(t, steps) * elem_size(t->elem);
}

/* Bytes of the array of pointers that begins a buffer: the same on every machine. */
static uint32_t pointers_size(uint16_t n)
{
	return round_up((uint32_t)n * 8);
}

uint32_t gf_io_size(const gf_model *m, int which, int32_t steps)
{
	const gf_tensor *t = which ? m->out : m->in;
	uint16_t n = which ? m->nout : m->nin;
	uint32_t size = pointers_size(n);
	for (uint16_t i = 0; i < n; i++)
		size += round_up(tensor_size(&t[i], steps));
	return size;
}

/* ---- self-test ------------------------------------------------------------------------------ */

/* Where byte i of an array of little endian elements lies on this machine. */
static uint32_t byte_at(uint32_t i, uint8_t size)
{
	const uint16_t one = 1;
	return *(const uint8_t *)&one ? i : i ^ (uint32_t)(size - 1);
}

static void fill(const gf_tensor *t, int32_t steps, uint8_t *p)
{
	uint32_t n = tensor_size(t, steps);
	for (uint32_t i = 0; i < n; i++)
		p[byte_at(i, elem_size(t->elem))] = (uint8_t)((i * 37 + 11) & 63);
}

static uint32_t fnv1a(const gf_tensor *t, int32_t steps, const uint8_t *p, uint32_t hash)
{
	uint32_t n = tensor_size(t, steps);
	for (uint32_t i = 0; i < n; i++)
		hash = (hash ^ p[byte_at(i, elem_size(t->elem))]) * UINT32_C(16777619);
	return hash;
}

gf_status gf_selftest(const gf_model *m, void *state, void *scratch, void *in, void *out)
{
	const void **pin = in;
	void **pout = out;
	if (m->abi != GF_ABI)
		return GF_ABI_MISMATCH;
	int32_t steps = m->check_steps ? m->check_steps : 1;
	uint8_t *p = (uint8_t *)in + pointers_size(m->nin);
	for (uint16_t i = 0; i < m->nin; i++) {
		pin[i] = p;
		fill(&m->in[i], steps, p);
		p += round_up(tensor_size(&m->in[i], steps));
	}
	p = (uint8_t *)out + pointers_size(m->nout);
	for (uint16_t i = 0; i < m->nout; i++) {
		pout[i] = p;
		p += round_up(tensor_size(&m->out[i], steps));
	}
	m->reset(state);
	gf_status s = m->check_steps ? m->run(state, scratch, pin, pout, steps) : m->step(state, scratch, pin, pout);
	m->reset(state);
	if (s != GF_OK && s != GF_RANGE)        /* the test's indices may be outside their tables */
		return GF_CHECK;
	uint32_t hash = UINT32_C(2166136261);
	for (uint16_t i = 0; i < m->nout; i++)
		hash = fnv1a(&m->out[i], steps, pout[i], hash);
	return hash == m->check ? GF_OK : GF_CHECK;
}

/* c_data.c: weights and tables as constant arrays. */
#include "emit/c.h"

#include <inttypes.h>
#include <string.h>

enum { LINE = 100 };            /* columns */

void c_use_data(C *c, const Data *d)
{
	DataUse **at = &c->data;
	int index = 0;
	for (const Data *e = c->m->data; e && e != d; e = e->next)
		index++;
	while (*at && (*at)->index < index)
		at = &(*at)->next;
	if (*at && (*at)->data == d)
		return;
	DataUse *u = NEW(c->arena, DataUse);
	*u = (DataUse){ d, index, *at };
	*at = u;
	c->memory[elem_stored(d->type->elem)] = true;
	c->floats |= elem_is_float(d->type->elem);
}

/* Faster than printf: models have millions of weights.  Returns the end. */
static char *decimal(char *p, int64_t x)
{
	char digits[20];
	uint64_t u = x < 0 ? 0 - (uint64_t)x : (uint64_t)x;
	int n = 0;
	do {
		digits[n++] = (char)('0' + u % 10);
	} while (u /= 10);
	if (x < 0)
		*p++ = '-';
	while (n)
		*p++ = digits[--n];
	return p;
}

static char *element(C *c, char *p, const Data *d, size_t i)
{
	union { int8_t b; uint8_t u; int16_t h; int32_t w; int64_t l; float s; } v;
	size_t size = (size_t)elem_size(d->type->elem);
	memcpy(&v, (const char *)d->bytes + i * size, size);
	switch (elem_stored(d->type->elem)) {
	case E_i8:  return decimal(p, v.b);
	case E_u8:  return decimal(p, v.u);
	case E_i16: return decimal(p, v.h);
	case E_i32: return v.w == INT32_MIN ? p + sprintf(p, "INT32_MIN") : decimal(p, v.w);
	case E_i64: return p + sprintf(p, "%s", c_int(c, 'l', v.l));
	default:    return p + sprintf(p, v.s == 0 && 1 / v.s > 0 ? "0" : "%s", c_float(c, v.s));
	}
}

/* 0 elements cannot be declared: one stands for none. */
static void array(C *c, const Data *d)
{
	size_t n = d->size / (size_t)elem_size(d->type->elem);
	char line[LINE + 64], *p = line;
	fprintf(c->f, "static const %s d_%s[%zu] GF_ALIGNED = {\n", c_plain_elem(d->type->elem), d->name, n ? n : 1);
	if (!n)
		fputs("\t0,\n", c->f);
	for (size_t i = 0; i < n; i++) {
		p = element(c, p, d, i);
		*p++ = ',';
		if (p - line > LINE - 20 || i + 1 == n) {
			fputc('\t', c->f);
			fwrite(line, 1, (size_t)(p - line), c->f);
			fputc('\n', c->f);
			p = line;
		} else {
			*p++ = ' ';
		}
	}
	fputs("};\n\n", c->f);
}

static int count_data(const Module *m)
{
	int n = 0;
	each_data(d, m)
		n++;
	return n;
}

void c_data(C *c)
{
	bool apart = false;
	if (!c->data)
		return;
	fputs("/* Weights and tables. */\n"
	      "#ifdef __GNUC__\n#define GF_ALIGNED __attribute__((__aligned__(16)))\n"
	      "#else\n#define GF_ALIGNED\n#endif\n\n", c->f);
	for (const DataUse *u = c->data; u; u = u->next) {
		if (!c->apart || u->data->size <= c->apart) {
			array(c, u->data);
			continue;
		}
		if (!apart)
			fprintf(c->f, "extern const void *gf_apart[];\nconst void *gf_apart[%d];\n", count_data(c->m));
		apart = true;
		fprintf(c->f, "#define d_%s ((const %s *)gf_apart[%d])\n", u->data->name,
		        c_plain_elem(u->data->type->elem), u->index);
	}
}

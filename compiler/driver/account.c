/* account.c: how much a module holds. */
#include "driver/driver.h"
#include "util/mem.h"

#include <stdlib.h>

typedef struct { const Data **d; int n; } Set;

static void set_add(Set *s, const Data *d)
{
	for (int i = 0; i < s->n; i++)
		if (s->d[i] == d)
			return;
	s->d = mem_grow(s->d, sizeof *s->d * (size_t)(s->n + 1));
	s->d[s->n++] = d;
}

static void collect_block(const Block *b, Set *s)
{
	each_op(o, b) {
		for (int i = 0; i < o->nin; i++)
			if (o->in[i] && o->in[i]->data)
				set_add(s, o->in[i]->data);
		if (o->body)
			collect_block(o->body, s);
	}
}

/* The data that functions read: operands and initial states. */
static Set used_data(const Module *m)
{
	Set s = {0};
	each_func(f, m) {
		collect_block(&f->body, &s);
		for (int i = 0; i < f->nstate; i++)
			if (f->init[i])
				set_add(&s, f->init[i]);
	}
	return s;
}

int64_t used_bytes(const Module *m)
{
	Set s = used_data(m);
	int64_t n = 0;
	for (int i = 0; i < s.n; i++)
		n += (int64_t)s.d[i]->size;
	free(s.d);
	return n;
}

int64_t count_parameters(const Module *m)
{
	Set s = used_data(m);
	int64_t n = 0;
	for (int i = 0; i < s.n; i++)
		if (s.d[i]->type->elem == E_f32 || s.d[i]->type->quant)
			n += type_count(s.d[i]->type, 1);
	free(s.d);
	return n;
}

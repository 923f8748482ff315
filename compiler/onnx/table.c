/* table.c: a hash table from names to pointers, of a size known when it is made. */
#include "onnx/model.h"

#include <string.h>

struct Table {
	size_t mask;
	struct { const char *name; void *what; } *slot;
};

Table *table_new(Arena *a, size_t n)
{
	size_t size = 8;
	while (size < 2 * n)
		size *= 2;
	Table *t = NEW(a, Table);
	t->mask = size - 1;
	t->slot = arena_alloc(a, size * sizeof *t->slot);
	return t;
}

static size_t slot_of(const Table *t, const char *name)
{
	uint64_t h = 0xcbf29ce484222325;
	for (const char *p = name; *p; p++)
		h = (h ^ (unsigned char)*p) * 0x100000001b3;
	size_t i = (size_t)(h ^ h >> 32) & t->mask;
	while (t->slot[i].name && strcmp(t->slot[i].name, name))
		i = (i + 1) & t->mask;
	return i;
}

void **table_at(Table *t, const char *name)
{
	size_t i = slot_of(t, name);
	t->slot[i].name = name;
	return &t->slot[i].what;
}

void *table_get(const Table *t, const char *name)
{
	return t->slot[slot_of(t, name)].what;
}

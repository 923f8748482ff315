/* table.c: a hash table from names to pointers. */
#include "onnx/model.h"

#include <string.h>

typedef struct { const char *name; void *what; } Entry;

struct Table {
	Arena *arena;
	size_t mask, used;
	Entry *slot;
};

Table *table_new(Arena *a, size_t n)
{
	size_t size = 8;
	while (size < 2 * n)
		size *= 2;
	Table *t = NEW(a, Table);
	t->arena = a;
	t->mask = size - 1;
	t->slot = NEWN(a, Entry, size);
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

static void grow(Table *t)
{
	Table old = *t;
	t->mask = 2 * old.mask + 1;
	t->slot = NEWN(t->arena, Entry, t->mask + 1);
	for (size_t i = 0; i <= old.mask; i++)
		if (old.slot[i].name)
			t->slot[slot_of(t, old.slot[i].name)] = old.slot[i];
}

void **table_at(Table *t, const char *name)
{
	if (2 * t->used > t->mask)
		grow(t);
	size_t i = slot_of(t, name);
	t->used += !t->slot[i].name;
	t->slot[i].name = name;
	return &t->slot[i].what;
}

void *table_get(const Table *t, const char *name)
{
	return t->slot[slot_of(t, name)].what;
}

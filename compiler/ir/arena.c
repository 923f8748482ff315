/* arena.c: memory that lives until its arena is freed; nothing is freed alone.
 * Small requests share chunks; a large one gets a chunk of its own. */
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "ir/ir.h"

/* Large blocks start on a cache line: weights are among them, and vector loads that cross lines are slow. */
enum { CHUNK = 1 << 16, ALIGN = 16, LINE = 64, LARGE = 1024 };

typedef struct Chunk {
	struct Chunk *next;
	size_t pad;             /* the header keeps the alignment */
} Chunk;

struct Arena {
	Chunk *chunks;
	char *at;               /* free bytes of the shared chunk */
	size_t left;
};

static void out_of_memory(void)
{
	fputs("gatefold: out of memory\n", stderr);
	exit(3);
}

static void *chunk_new(Arena *a, size_t n)
{
	Chunk *c = n > SIZE_MAX - sizeof(Chunk) ? 0 : calloc(1, sizeof(Chunk) + n);
	if (!c)
		out_of_memory();
	c->next = a->chunks;
	a->chunks = c;
	return c + 1;
}

Arena *arena_new(void)
{
	Arena *a = calloc(1, sizeof *a);
	if (!a)
		out_of_memory();
	return a;
}

void arena_free(Arena *a)
{
	if (!a)
		return;
	for (Chunk *c = a->chunks, *next; c; c = next) {
		next = c->next;
		free(c);
	}
	free(a);
}

static char *line_up(void *p)
{
	return (char *)p + (LINE - (uintptr_t)p % LINE) % LINE;
}

void *arena_alloc(Arena *a, size_t n)
{
	if (n > SIZE_MAX - 2 * LINE)
		out_of_memory();
	n = n ? (n + ALIGN - 1) / ALIGN * ALIGN : ALIGN;
	if (n > CHUNK / 4)
		return line_up(chunk_new(a, n + LINE));
	if (n >= LARGE && a->at) {
		size_t skip = (size_t)(line_up(a->at) - a->at);
		skip = skip < a->left ? skip : a->left;
		a->at += skip;
		a->left -= skip;
	}
	if (n > a->left) {
		a->at = line_up(chunk_new(a, CHUNK + LINE));
		a->left = CHUNK;
	}
	void *p = a->at;
	a->at += n;
	a->left -= n;
	return p;
}

void *arena_copy(Arena *a, const void *p, size_t n)
{
	void *q = arena_alloc(a, n);
	if (n)
		memcpy(q, p, n);
	return q;
}

char *arena_strdup(Arena *a, const char *s)
{
	return s ? arena_copy(a, s, strlen(s) + 1) : 0;
}

char *arena_printf(Arena *a, const char *fmt, ...)
{
	va_list ap, again;
	va_start(ap, fmt);
	va_copy(again, ap);
	int n = vsnprintf(0, 0, fmt, ap);
	char *s = arena_alloc(a, (size_t)n + 1);
	vsnprintf(s, (size_t)n + 1, fmt, again);
	va_end(again);
	va_end(ap);
	return s;
}

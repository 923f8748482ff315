/* mem.c: malloc that does not fail. */
#include "util/mem.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void *checked(void *p)
{
	if (!p) {
		fputs("gatefold: error: out of memory\n", stderr);
		exit(2);
	}
	return p;
}

void *mem_new(size_t n)
{
	return checked(calloc(1, n ? n : 1));
}

void *mem_array(size_t n, size_t size)
{
	return checked(calloc(n ? n : 1, size ? size : 1));
}

void *mem_grow(void *p, size_t n)
{
	return checked(realloc(p, n ? n : 1));
}

char *text_new(const char *fmt, ...)
{
	char *s;
	va_list ap;
	va_start(ap, fmt);
	if (vasprintf(&s, fmt, ap) < 0)
		s = 0;
	va_end(ap);
	return checked(s);
}

char *text_copy(const char *s)
{
	return checked(strdup(s));
}

/* mem.h: heap memory for things that outlive no arena.  Out of memory ends the program. */
#ifndef GATEFOLD_MEM_H
#define GATEFOLD_MEM_H

#include <stddef.h>

void *mem_new(size_t n);                        /* zeroed */
void *mem_array(size_t n, size_t size);         /* zeroed; n * size is checked */
void *mem_grow(void *p, size_t n);
char *text_new(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
char *text_copy(const char *s);

#endif

/* simd.h: 16 floats at a time, the same bits whatever the registers' width. */
#ifndef GATEFOLD_SIMD_H
#define GATEFOLD_SIMD_H

#include <stdint.h>
#include <string.h>

/* The unaligned forms may point into any array of floats. */
typedef float Lanes __attribute__((vector_size(64), aligned(4), may_alias));
typedef int32_t IntLanes __attribute__((vector_size(64), aligned(4), may_alias));

/* Compiled for each width of registers, chosen when the program starts. */
#if defined __x86_64__ && defined __gnu_linux__ && !defined __SANITIZE_ADDRESS__
#define ANY_SIMD __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")))
#else
#define ANY_SIMD
#endif

#endif

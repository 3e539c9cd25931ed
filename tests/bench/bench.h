/* What the benchmarks share. */
#ifndef BENCH_H
#define BENCH_H

#include <stdint.h>

/* One round of each benchmark. The result is a check value, a pure function of nothing: every round on every machine
 * that runs the same binary gives the same. What a benchmark needs beforehand it makes in its first round, which is
 * never measured. */
#define BENCH(group, name, what) uint64_t bench_##name(void);
#include "list.h"
#undef BENCH

/* Ends the program with a sentence: a benchmark could not do what it measures. */
_Noreturn void fail(const char *what);

/* The compiler must assume that `x` was looked at and changed, and that memory was. */
#define OPAQUE(x) __asm__ volatile("" : "+r"(x) : : "memory")

/* A small generator (Marsaglia's xorshift64), so that data are the same everywhere. */
static inline uint64_t next_random(uint64_t *state)
{
    uint64_t x = *state;
    x ^= x << 13;
    x ^= x >> 7;
    x ^= x << 17;
    return *state = x;
}

#endif

/* Vectors of bytes, as image and text code uses them; written with the compiler's vectors, so that the instructions do
 * not depend on what a compiler can see in a loop. */
#include "bench.h"

#include <string.h>

typedef uint8_t bytes __attribute__((vector_size(16)));

static bytes load(const uint8_t *p)
{
    bytes v;
    memcpy(&v, p, sizeof v);
    return v;
}

uint64_t bench_simd8(void)
{
    enum { SIZE = 64 << 10 };
    static uint8_t one[SIZE], other[SIZE];
    static int made;
    uint64_t seed = 88172645463325252u;
    for (int i = 0; !made && i < SIZE; i++) {
        uint64_t r = next_random(&seed);
        one[i] = (uint8_t)r;
        other[i] = (uint8_t)(r >> 8);
    }
    made = 1;
    static const bytes table = {7, 0, 14, 3, 9, 12, 1, 5, 11, 2, 15, 8, 4, 13, 6, 10};
    bytes sum = {0}, most = {0};
    for (int i = 0; i < SIZE; i += 16) {
        bytes a = load(one + i), b = load(other + i);
        bytes greater = (bytes)(a > b);
        bytes difference = ((a - b) & greater) | ((b - a) & ~greater);
        bytes mean = (a & b) + ((a ^ b) >> 1);
        bytes looked_up = __builtin_shuffle(table, mean & 15);
        bytes product = difference * looked_up;
        most = ((bytes)(product > most) & product) | ((bytes)(product <= most) & most);
        sum += (product ^ mean) + (bytes)(difference < looked_up);
    }
    uint64_t words[4];
    memcpy(words, &sum, 16);
    memcpy(words + 2, &most, 16);
    return words[0] ^ words[1] * 3 ^ words[2] * 5 ^ words[3] * 7;
}

/* The C library's functions on memory and strings, and atomic operations. */
#include "bench.h"

#include <string.h>

uint64_t bench_memcpy(void)
{
    static uint8_t from[64 << 10], to[64 << 10];
    static const uint32_t sizes[] = {16, 100, 512, 4 << 10, 64 << 10};
    uint64_t sum = 0;
    for (unsigned s = 0; s < sizeof sizes / sizeof sizes[0]; s++) {
        uint32_t size = sizes[s], at = 0;
        /* The same share of the 4 MiB for each size; at odd places for the odd size. */
        for (uint32_t done = 0; done < (4u << 20) / 5; done += size) {
            void *target = to + at;
            OPAQUE(target);
            memcpy(target, from + at, size);
            at = at + 2 * size <= sizeof to ? at + size : 0;
        }
        from[size - 1]++;
        sum = sum * 31 + at;
    }
    return sum;
}

uint64_t bench_strings(void)
{
    enum { SIZE = 128 << 10 };
    static char text[SIZE];
    static const uint32_t lengths[] = {5, 20, 90, 400, 4000};
    uint64_t sum = 0;
    for (unsigned s = 0; s < sizeof lengths / sizeof lengths[0]; s++) {
        uint32_t length = lengths[s], share = SIZE / 5;
        memset(text, 'a', share);
        for (uint32_t i = length; i < share; i += length + 1)
            text[i] = 0;
        text[share - 1] = 0;
        const char *p = text, *end = text + share;
        OPAQUE(p);
        while (p < end) {
            size_t n = strlen(p);
            const char *found = memchr(p, 0, (size_t)(end - p));
            OPAQUE(found);
            sum += n * 3 + (uint64_t)(found - p);
            p = found + 1;
        }
    }
    return sum;
}

uint64_t bench_atomics(void)
{
    static uint64_t words[4];
    uint64_t sum = 0;
    memset(words, 0, sizeof words);
    for (uint64_t i = 0; i < 50000; i++) {
        uint64_t *word = &words[i & 3];
        uint64_t before = __atomic_fetch_add(word, i, __ATOMIC_SEQ_CST);
        sum += __atomic_exchange_n(word, before ^ i, __ATOMIC_ACQ_REL);
        uint64_t expected = before ^ i;
        sum += __atomic_compare_exchange_n(word, &expected, sum, 0, __ATOMIC_ACQUIRE, __ATOMIC_RELAXED);
        sum += __atomic_load_n(&words[(i + 1) & 3], __ATOMIC_ACQUIRE);
    }
    return sum;
}

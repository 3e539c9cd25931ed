/* Run-time code generation, as a language's JIT compiler does it: functions are written over older ones, made visible
 * to instruction fetches, and called a few times. */
#include "bench.h"

#include <string.h>
#include <sys/mman.h>

enum { FUNCTIONS = 256, ROOM = 64, CALLS = 4 };

/* Writes a function that adds `n` to its argument twelve times. */
#if defined(__aarch64__)
static void emit(uint8_t *at, uint32_t n)
{
    uint32_t words[13];
    for (int i = 0; i < 12; i++)
        words[i] = 0x91000000u | (n & 0xfff) << 10; /* add x0, x0, #n */
    words[12] = 0xd65f03c0u;                        /* ret */
    memcpy(at, words, sizeof words);
}
#elif defined(__x86_64__)
static void emit(uint8_t *at, uint32_t n)
{
    static const uint8_t lea[4] = {0x48, 0x8d, 0x7f, 0}; /* lea rdi, [rdi + byte] */
    static const uint8_t end[4] = {0x48, 0x89, 0xf8, 0xc3}; /* mov rax, rdi; ret */
    for (int i = 0; i < 12; i++, at += sizeof lea) {
        memcpy(at, lea, sizeof lea);
        at[3] = (uint8_t)(n & 0x7f);
    }
    memcpy(at, end, sizeof end);
}
#else
static void emit(uint8_t *at, uint32_t n)
{
    (void)at, (void)n;
    fail("no code can be generated for this processor");
}
#endif

uint64_t bench_codegen(void)
{
    static uint8_t *code;
    if (!code) {
        code = mmap(NULL, FUNCTIONS * ROOM, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (code == MAP_FAILED)
            fail("there is no memory for the benchmark codegen");
    }
    /* Other constants in every round, so that the code really changes; the sum does not depend on them. */
    static uint32_t salt;
    salt = (salt + 1) & 63;
    uint64_t sum = 0;
    for (uint32_t i = 0; i < FUNCTIONS; i++) {
        uint8_t *at = code + i * ROOM;
        emit(at, (i & 63) ^ salt);
        __builtin___clear_cache((char *)at, (char *)at + ROOM);
        uint64_t (*function)(uint64_t);
        memcpy(&function, &at, sizeof at);
        for (int k = 0; k < CALLS; k++)
            sum += function((uint64_t)k);
    }
    return sum;
}

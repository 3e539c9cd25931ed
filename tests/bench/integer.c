/* Integer arithmetic, branches and loads. */
#include "bench.h"

#include <stdlib.h>
#include <string.h>

uint64_t bench_sieve(void)
{
    enum { LIMIT = 128 << 10 };
    static uint8_t composite[LIMIT];
    uint64_t primes = 0;
    memset(composite, 0, sizeof composite);
    for (uint32_t i = 2; i < LIMIT; i++) {
        if (composite[i])
            continue;
        primes++;
        for (uint32_t j = 2 * i; j < LIMIT; j += i)
            composite[j] = 1;
    }
    return primes;
}

static int by_value(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

uint64_t bench_qsort(void)
{
    enum { COUNT = 8 << 10 };
    static uint32_t words[COUNT];
    uint64_t seed = 88172645463325252u, sum = 0;
    for (int i = 0; i < COUNT; i++)
        words[i] = (uint32_t)next_random(&seed);
    qsort(words, COUNT, sizeof words[0], by_value);
    for (int i = 0; i < COUNT; i++)
        sum = sum * 31 + words[i];
    return sum;
}

/* 8 MiB, one node in each line of 64 bytes, linked in one cycle through all of them (Sattolo's shuffle). */
struct node {
    struct node *next;
    uint64_t number;
    uint64_t pad[6];
};

uint64_t bench_chase(void)
{
    enum { NODES = (8 << 20) / sizeof(struct node) };
    static struct node *nodes;
    if (!nodes) {
        uint32_t *order = malloc(NODES * sizeof *order);
        nodes = aligned_alloc(64, NODES * sizeof *nodes);
        if (!nodes || !order)
            fail("there is no memory for the benchmark chase");
        uint64_t seed = 2463534242u;
        for (uint32_t i = 0; i < NODES; i++)
            order[i] = i;
        for (uint32_t i = NODES - 1; i > 0; i--) {
            uint32_t j = (uint32_t)(next_random(&seed) % i), t = order[i];
            order[i] = order[j];
            order[j] = t;
        }
        for (uint32_t i = 0; i < NODES; i++) {
            nodes[i].number = i;
            nodes[i].next = &nodes[order[i]];
        }
        free(order);
    }
    const struct node *at = nodes;
    uint64_t sum = 0;
    for (int i = 0; i < NODES; i++) {
        sum = sum * 3 + at->number;
        at = at->next;
    }
    return sum;
}

/* A machine with an accumulator and four variables; its program computes a sum over two nested loops. */
enum opcode { LOADI, LOAD, STORE, ADD, SUB, XOR, SHR, MULI, JNZ, END };

struct bytecode {
    uint8_t op, variable;
    int16_t operand;
};

static const struct bytecode program[] = {
    {LOADI, 0, 150}, {STORE, 0, 0},                                   /* outer = 150 */
    {LOADI, 0, 200}, {STORE, 1, 0},                                   /* 2: inner = 200 */
    {LOAD, 2, 0},    {MULI, 0, 31},  {ADD, 1, 0},                     /* 4: sum = (sum * 31 + inner) ... */
    {XOR, 0, 0},     {STORE, 3, 0},  {SHR, 0, 7},  {XOR, 3, 0}, {STORE, 2, 0},
    {LOAD, 1, 0},    {LOADI, 0, -1}, {ADD, 1, 0},  {STORE, 1, 0}, {JNZ, 0, 4},
    {LOADI, 0, -1},  {ADD, 0, 0},    {STORE, 0, 0}, {JNZ, 0, 2},
    {END, 0, 0},
};

uint64_t bench_bytecode(void)
{
    uint64_t variables[4] = {0, 0, 0, 0}, a = 0;
    const struct bytecode *code = program;
    OPAQUE(code);
    for (const struct bytecode *pc = code;;) {
        struct bytecode b = *pc++;
        switch ((enum opcode)b.op) {
        case LOADI: a = (uint64_t)(int64_t)b.operand; break;
        case LOAD: a = variables[b.variable & 3]; break;
        case STORE: variables[b.variable & 3] = a; break;
        case ADD: a += variables[b.variable & 3]; break;
        case SUB: a -= variables[b.variable & 3]; break;
        case XOR: a ^= variables[b.variable & 3]; break;
        case SHR: a >>= b.operand & 63; break;
        case MULI: a *= (uint64_t)(int64_t)b.operand; break;
        case JNZ: if (a) pc = code + b.operand; break;
        case END: return variables[2];
        }
    }
}

uint64_t bench_mul128(void)
{
    uint64_t x = 0x9e3779b97f4a7c15u, sum = 0;
    for (uint64_t i = 0; i < 100000; i++) {
        unsigned __int128 p = (unsigned __int128)(x ^ i) * (sum | 0xe7037ed1a0b428dbu);
        x = (uint64_t)p ^ (uint64_t)(p >> 64);
        p = (unsigned __int128)(x + sum) * 0xa0761d6478bd642fu;
        sum += (uint64_t)p ^ (uint64_t)(p >> 64);
    }
    return sum;
}

uint64_t bench_divide(void)
{
    uint64_t x = 0xfedcba9876543210u, sum = 0;
    for (uint64_t i = 1; i <= 30000; i++) {
        uint64_t d = (i << (i & 31)) | 1;
        sum += x / d + x % d;
        sum += (uint64_t)((int64_t)~x / (int64_t)(i + 1)) ^ (uint64_t)((int64_t)~x % (int64_t)(i + 1));
        x += sum;
    }
    return sum;
}

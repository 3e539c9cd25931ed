/* Records what an AArch64 machine makes of SIMD instructions, for the test beside this file. Build and use:
 *
 *   cargo test -p emu-cpu --test simd -- --ignored --nocapture words | grep '^word ' > words.txt
 *   aarch64-linux-gnu-gcc -O1 -static -o record record.c
 *   ./record < words.txt > ../data/simd.bin        (on an AArch64 Linux with every feature of the words, or its emulator)
 *
 * The initial state of a case comes from a generator that the test has too (inputs.rs). The output is, for each word:
 * the word (4 bytes, little-endian), the number of cases (0: UNDEFINED), and for each case what changed:
 * number of V registers, { index, 16 bytes }...; number of X registers, { index, 8 bytes }...; QC;
 * number of bytes of memory, and if not 0 the offset of the first and the bytes.
 */
#define _GNU_SOURCE
#include <setjmp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#define MEM_ADDR 0x50000000ul
#define MEM_SIZE 160

struct state {
    uint64_t v[64];
    uint64_t x[16];
    uint64_t fpsr;
    uint8_t mem[MEM_SIZE];
};

static uint64_t seed;

static uint64_t next(void)
{
    uint64_t z = seed += 0x9e3779b97f4a7c15ul;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ul;
    z = (z ^ z >> 27) * 0x94d049bb133111ebul;
    return z ^ z >> 31;
}

/* 64 bits full of elements of one size, many of them at the ends of its range or small. */
static uint64_t elements(void)
{
    uint64_t kind = next() % 5, out = 0;
    if (kind == 4)
        return next();
    unsigned bits = 8u << kind;
    uint64_t mask = ~0ul >> (64 - bits), top = 1ul << (bits - 1);
    for (unsigned i = 0; i < 64; i += bits) {
        uint64_t s = next(), x;
        switch (s % 8) {
        case 0: x = 0; break;
        case 1: x = 1; break;
        case 2: x = ~0ul; break;
        case 3: x = top; break;
        case 4: x = top - 1; break;
        case 5: x = (s >> 8) % (2 * bits); break;
        case 6: x = -((s >> 8) % (2 * bits)); break;
        default: x = s >> 8; break;
        }
        out |= (x & mask) << i;
    }
    return out;
}

static void initial(struct state *s, uint32_t word, unsigned set)
{
    seed = (uint64_t)word << 8 | set;
    for (int i = 0; i < 64; i++)
        s->v[i] = elements();
    for (int i = 0; i < 16; i++)
        s->x[i] = next();
    s->fpsr = 0;
    for (int i = 0; i < MEM_SIZE; i += 8) {
        uint64_t v = next();
        memcpy(s->mem + i, &v, 8);
    }
    if ((word & 0xbe000000) == 0x0c000000) /* a structure load or store: Xn points into the memory */
        s->x[word >> 5 & 15] = MEM_ADDR + 32 + next() % 16;
}

/* run(v, x, fpsr, code): loads the registers, calls the code, which comes back by x27, stores the registers. */
extern void run(uint64_t *v, uint64_t *x, uint64_t *fpsr, void *code);
#define EACH_PAIR(op) \
    #op " q0, q1, [x25, #0]\n" #op " q2, q3, [x25, #32]\n" #op " q4, q5, [x25, #64]\n" #op " q6, q7, [x25, #96]\n" \
    #op " q8, q9, [x25, #128]\n" #op " q10, q11, [x25, #160]\n" #op " q12, q13, [x25, #192]\n" \
    #op " q14, q15, [x25, #224]\n" #op " q16, q17, [x25, #256]\n" #op " q18, q19, [x25, #288]\n" \
    #op " q20, q21, [x25, #320]\n" #op " q22, q23, [x25, #352]\n" #op " q24, q25, [x25, #384]\n" \
    #op " q26, q27, [x25, #416]\n" #op " q28, q29, [x25, #448]\n" #op " q30, q31, [x25, #480]\n"
#define EACH_X(op) \
    #op " x0, x1, [x26, #0]\n" #op " x2, x3, [x26, #16]\n" #op " x4, x5, [x26, #32]\n" #op " x6, x7, [x26, #48]\n" \
    #op " x8, x9, [x26, #64]\n" #op " x10, x11, [x26, #80]\n" #op " x12, x13, [x26, #96]\n" \
    #op " x14, x15, [x26, #112]\n"
__asm__("run:\n"
        "stp x29, x30, [sp, #-160]!\nstp x19, x20, [sp, #16]\nstp x21, x22, [sp, #32]\nstp x23, x24, [sp, #48]\n"
        "stp x25, x26, [sp, #64]\nstp x27, x28, [sp, #80]\n"
        "stp d8, d9, [sp, #96]\nstp d10, d11, [sp, #112]\nstp d12, d13, [sp, #128]\nstp d14, d15, [sp, #144]\n"
        "mov x25, x0\nmov x26, x1\nmov x24, x2\nmov x28, x3\n"
        "ldr x20, [x24]\nmsr fpsr, x20\n" EACH_PAIR(ldp) EACH_X(ldp)
        "adr x27, 1f\nbr x28\n1:\n" EACH_PAIR(stp) EACH_X(stp)
        "mrs x20, fpsr\nstr x20, [x24]\n"
        "ldp d8, d9, [sp, #96]\nldp d10, d11, [sp, #112]\nldp d12, d13, [sp, #128]\nldp d14, d15, [sp, #144]\n"
        "ldp x19, x20, [sp, #16]\nldp x21, x22, [sp, #32]\nldp x23, x24, [sp, #48]\n"
        "ldp x25, x26, [sp, #64]\nldp x27, x28, [sp, #80]\nldp x29, x30, [sp], #160\nret\n");

static sigjmp_buf undefined;

static void on_sigill(int sig)
{
    (void)sig;
    siglongjmp(undefined, 1);
}

static void put_changes(const struct state *a, const struct state *b)
{
    int n = 0;
    for (int i = 0; i < 32; i++)
        n += memcmp(a->v + 2 * i, b->v + 2 * i, 16) != 0;
    putchar(n);
    for (int i = 0; i < 32; i++)
        if (memcmp(a->v + 2 * i, b->v + 2 * i, 16)) {
            putchar(i);
            fwrite(b->v + 2 * i, 16, 1, stdout);
        }
    n = 0;
    for (int i = 0; i < 16; i++)
        n += a->x[i] != b->x[i];
    putchar(n);
    for (int i = 0; i < 16; i++)
        if (a->x[i] != b->x[i]) {
            putchar(i);
            fwrite(b->x + i, 8, 1, stdout);
        }
    putchar(b->fpsr >> 27 & 1);
    int first = 0, end = MEM_SIZE;
    while (first < end && a->mem[first] == b->mem[first])
        first++;
    while (end > first && a->mem[end - 1] == b->mem[end - 1])
        end--;
    putchar(end - first);
    if (end > first) {
        putchar(first);
        fwrite(b->mem + first, end - first, 1, stdout);
    }
}

int main(void)
{
    uint32_t *code = mmap(0, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    uint8_t *mem = mmap((void *)MEM_ADDR, 4096, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
    if (code == MAP_FAILED || mem == MAP_FAILED)
        return 1;
    signal(SIGILL, on_sigill);
    uint32_t word;
    unsigned sets;
    while (scanf(" word %x %u", &word, &sets) == 2) {
        code[0] = word;
        code[1] = 0xd61f0360; /* br x27 */
        __builtin___clear_cache((char *)code, (char *)(code + 2));
        fwrite(&word, 4, 1, stdout);
        for (volatile unsigned set = 0; set < sets; set++) {
            struct state before, after;
            initial(&before, word, set);
            after = before;
            memcpy(mem, before.mem, MEM_SIZE);
            if (sigsetjmp(undefined, 1)) {
                putchar(0);
                break;
            }
            run(after.v, after.x, &after.fpsr, code);
            memcpy(after.mem, mem, MEM_SIZE);
            if (set == 0)
                putchar(sets);
            put_changes(&before, &after);
        }
    }
    return 0;
}

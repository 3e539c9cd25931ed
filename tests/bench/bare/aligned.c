/*
 * A loop at EL2 with the MMU on and SCTLR_EL2.A set, as some hypervisors run: every access must be aligned. It is a program
 * without anything below it, entered at EL2 with the MMU off, and says what `../main.c` says, by the first serial port.
 *
 * MILLISECONDS is how long it measures.
 */
#include <stdint.h>

#ifndef MILLISECONDS
#define MILLISECONDS 500
#endif

/* Of the board: RAM starts at the second gigabyte, all devices are in the first. */
#define UART 0x9000000ul
#define UART_DATA 0x00
#define UART_FLAGS 0x18
#define UART_CONTROL 0x30
#define UART_FULL (1u << 5)

#define NUMBERS 2048

__attribute__((aligned(4096))) static uint64_t table[512];
__attribute__((aligned(16))) uint8_t stack[4096];
static uint64_t numbers[NUMBERS];

/* The stack, then C. */
__asm__(".section .text.start, \"ax\"\n"
        ".global _start\n"
        "_start: adrp x0, stack\n"
        "add x0, x0, :lo12:stack\n"
        "add sp, x0, #4096\n"
        "bl run\n");

static volatile uint32_t *uart(uint64_t at)
{
    return (volatile uint32_t *)(UART + at);
}

static void put(char c)
{
    while (*uart(UART_FLAGS) & UART_FULL) {
    }
    *uart(UART_DATA) = (uint8_t)c;
}

static void say(const char *text)
{
    while (*text) {
        put(*text++);
    }
}

static void number(uint64_t n, unsigned base)
{
    char digits[24];
    unsigned count = 0;

    do {
        digits[count++] = "0123456789abcdef"[n % base];
        n /= base;
    } while (n);
    while (count) {
        put(digits[--count]);
    }
}

static uint64_t ticks(void)
{
    uint64_t t;

    __asm__ volatile("isb; mrs %0, cntpct_el0" : "=r"(t) : : "memory");
    return t;
}

static uint64_t frequency(void)
{
    uint64_t f;

    __asm__("mrs %0, cntfrq_el0" : "=r"(f));
    return f;
}

/* Devices and RAM at their own addresses; every access is checked for alignment. */
static void mmu_on(void)
{
    /* TCR_EL2: 39 bits, walks are write-back and shareable, 40 bits of output; RES1. */
    const uint64_t tcr = 1ul << 31 | 1ul << 23 | 2ul << 16 | 3ul << 12 | 1ul << 10 | 1ul << 8 | 25;
    /* SCTLR_EL2: RES1, I, C, A, M. */
    const uint64_t sctlr = 0x30c50830ul | 1ul << 12 | 1ul << 2 | 1ul << 1 | 1;

    /* Blocks of a gigabyte: Device memory that is not executed; Normal memory. AF, AP[1]. */
    table[0] = 1ul << 54 | 1ul << 10 | 1ul << 6 | 1ul << 2 | 1;
    table[1] = 1ul << 30 | 1ul << 10 | 3ul << 8 | 1ul << 6 | 1;
    __asm__ volatile("dsb sy; msr mair_el2, %0; msr tcr_el2, %1; msr ttbr0_el2, %2; isb; tlbi alle2; dsb sy; isb;"
                     "msr sctlr_el2, %3; isb"
                     :
                     : "r"(0x00fful), "r"(tcr), "r"(table), "r"(sctlr)
                     : "memory");
}

/* Sorts numbers (Shell's way) and adds them up in their places. */
static uint64_t sorted(void)
{
    uint64_t state = 0x9e3779b97f4a7c15ul, sum = 0;

    for (unsigned i = 0; i < NUMBERS; i++) {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        numbers[i] = state;
    }
    for (unsigned gap = NUMBERS / 2; gap; gap /= 2) {
        for (unsigned i = gap; i < NUMBERS; i++) {
            uint64_t n = numbers[i];
            unsigned at = i;

            while (at >= gap && numbers[at - gap] > n) {
                numbers[at] = numbers[at - gap];
                at -= gap;
            }
            numbers[at] = n;
        }
    }
    for (unsigned i = 0; i < NUMBERS; i++) {
        sum = sum * 31 + numbers[i];
    }
    return sum;
}

__attribute__((used)) _Noreturn void run(void)
{
    uint64_t hz = frequency(), wanted = hz / 1000 * MILLISECONDS, start, end, check = 0, rounds = 0;

    mmu_on();
    *uart(UART_CONTROL) = 0x301;
    say("TRY aligned\n");
    start = ticks();
    do {
        check = sorted();
    } while (ticks() - start < wanted / 8);
    say("START aligned\n");
    start = ticks();
    do {
        if (sorted() != check) {
            say("FAIL a round gave something else\n");
        }
        rounds++;
        end = ticks();
    } while (end - start < wanted);
    say("BENCH aligned ");
    number((end - start) * (1000000000 / 1000) / (hz / 1000) / rounds, 10);
    say(" ");
    number(rounds, 10);
    say(" ");
    number(check, 16);
    say("\nDONE\n");
    for (;;) {
        /* PSCI SYSTEM_OFF */
        register uint64_t x0 __asm__("x0") = 0x84000008;

        __asm__ volatile("smc #0" : "+r"(x0) : : "memory");
    }
}

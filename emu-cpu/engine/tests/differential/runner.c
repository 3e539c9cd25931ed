/* Runs programs on an AArch64 machine for the test beside this file, which sends them and reads what they leave:
 *
 *   aarch64-linux-gnu-gcc -O1 -static -o runner runner.c
 *
 * Input: records of struct request; output: a struct outcome for each. A program starts with the registers of the state,
 * X28 pointing to STATE, and ends by running past its last instruction or by a signal.
 */
#define _GNU_SOURCE
#include <setjmp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <ucontext.h>

#define ENTRY 0x50000000ul
#define CODE 0x50001000ul
#define EXIT 0x50003000ul
#define BUFFER 0x50010000ul
#define BUFFER_SIZE 1024
#define STATE 0x50020000ul
#define MAX_WORDS 96

struct state {
    uint64_t x[31], sp;
    uint64_t v[64];
    uint64_t nzcv, fpcr, fpsr;
};

struct request {
    uint32_t count, same; /* instructions; the program is that of the last request */
    uint32_t words[MAX_WORDS];
    struct state state;
    uint8_t buffer[BUFFER_SIZE];
};

struct outcome {
    uint64_t status; /* 0, or the signal with the faulting instruction's offset above it */
    struct state state;
    uint8_t buffer[BUFFER_SIZE];
};

/* At STATE. */
struct shared {
    struct state state;
    uint64_t host[12], host_sp, host_v[8];
};

#define PAIRS(op, base) \
    #op " q0, q1, [" base "]\n" #op " q2, q3, [" base ", #32]\n" #op " q4, q5, [" base ", #64]\n" \
    #op " q6, q7, [" base ", #96]\n" #op " q8, q9, [" base ", #128]\n" #op " q10, q11, [" base ", #160]\n" \
    #op " q12, q13, [" base ", #192]\n" #op " q14, q15, [" base ", #224]\n" #op " q16, q17, [" base ", #256]\n" \
    #op " q18, q19, [" base ", #288]\n" #op " q20, q21, [" base ", #320]\n" #op " q22, q23, [" base ", #352]\n" \
    #op " q24, q25, [" base ", #384]\n" #op " q26, q27, [" base ", #416]\n" #op " q28, q29, [" base ", #448]\n" \
    #op " q30, q31, [" base ", #480]\n"
#define XPAIRS(op) \
    #op " x2, x3, [x28, #16]\n" #op " x4, x5, [x28, #32]\n" #op " x6, x7, [x28, #48]\n" #op " x8, x9, [x28, #64]\n" \
    #op " x10, x11, [x28, #80]\n" #op " x12, x13, [x28, #96]\n" #op " x14, x15, [x28, #112]\n" \
    #op " x16, x17, [x28, #128]\n" #op " x18, x19, [x28, #144]\n" #op " x20, x21, [x28, #160]\n" \
    #op " x22, x23, [x28, #176]\n" #op " x24, x25, [x28, #192]\n" #op " x26, x27, [x28, #208]\n"

/* Both are copied to their pages; each ends in a branch, of which the first's is patched. */
extern char entry_code[], entry_end[], exit_code[], exit_end[];
/* Volatile, so that no compiler reasons about distances between objects. */
static char *volatile bounds[] = {entry_code, entry_end, exit_code, exit_end};
__asm__(".text\nentry_code:\n"
        "mov x9, #0x50020000\n"
        "add x10, x9, #792\n"
        "stp x19, x20, [x10]\nstp x21, x22, [x10, #16]\nstp x23, x24, [x10, #32]\nstp x25, x26, [x10, #48]\n"
        "stp x27, x28, [x10, #64]\nstp x29, x30, [x10, #80]\nmov x11, sp\nstr x11, [x10, #96]\n"
        "stp d8, d9, [x10, #104]\nstp d10, d11, [x10, #120]\nstp d12, d13, [x10, #136]\nstp d14, d15, [x10, #152]\n"
        "mov x28, x9\n"
        "ldr x0, [x28, #768]\nmsr nzcv, x0\nldr x0, [x28, #776]\nmsr fpcr, x0\nldr x0, [x28, #784]\nmsr fpsr, x0\n"
        "add x0, x28, #256\n" PAIRS(ldp, "x0")
        "ldr x0, [x28, #248]\nmov sp, x0\n"
        XPAIRS(ldp) "ldr x29, [x28, #232]\nldr x30, [x28, #240]\nldp x0, x1, [x28]\nclrex\n"
        "entry_end:\n"
        "exit_code:\n"
        "stp x0, x1, [x28]\n" XPAIRS(stp) "str x29, [x28, #232]\nstr x30, [x28, #240]\n"
        "mov x0, sp\nstr x0, [x28, #248]\n"
        "mrs x0, nzcv\nstr x0, [x28, #768]\nmrs x0, fpcr\nstr x0, [x28, #776]\nmrs x0, fpsr\nstr x0, [x28, #784]\n"
        "add x0, x28, #256\n" PAIRS(stp, "x0")
        "add x10, x28, #792\nldr x11, [x10, #96]\nmov sp, x11\nmsr fpcr, xzr\n"
        "ldp d8, d9, [x10, #104]\nldp d10, d11, [x10, #120]\nldp d12, d13, [x10, #136]\nldp d14, d15, [x10, #152]\n"
        "ldp x19, x20, [x10]\nldp x21, x22, [x10, #16]\nldp x23, x24, [x10, #32]\nldp x25, x26, [x10, #48]\n"
        "ldp x29, x30, [x10, #80]\nldp x27, x28, [x10, #64]\nret\n"
        "exit_end:\n");

static sigjmp_buf back;
static volatile uint64_t fault;

static void caught(int sig, siginfo_t *info, void *context)
{
    (void)info;
    fault = (((ucontext_t *)context)->uc_mcontext.pc - CODE) << 8 | (unsigned)sig;
    siglongjmp(back, 1);
}

static void *map(uint64_t at, size_t size, int prot)
{
    void *p = mmap((void *)at, size, prot, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
    if (p != (void *)at)
        exit(2);
    return p;
}

static uint32_t branch(uint64_t from, uint64_t to)
{
    return 0x14000000 | ((to - from) >> 2 & 0x3ffffff);
}

int main(void)
{
    map(ENTRY, 0x4000, PROT_READ | PROT_WRITE | PROT_EXEC);
    uint8_t *buffer = map(BUFFER, 0x1000, PROT_READ | PROT_WRITE);
    struct shared *shared = map(STATE, 0x1000, PROT_READ | PROT_WRITE);
    size_t entry_size = bounds[1] - bounds[0], exit_size = bounds[3] - bounds[2];
    memcpy((void *)ENTRY, bounds[0], entry_size);
    *(uint32_t *)(ENTRY + entry_size) = branch(ENTRY + entry_size, CODE);
    memcpy((void *)EXIT, bounds[2], exit_size);
    __builtin___clear_cache((char *)ENTRY, (char *)ENTRY + 0x4000);

    static uint8_t stack[65536];
    sigaltstack(&(stack_t){.ss_sp = stack, .ss_size = sizeof stack}, 0);
    struct sigaction action = {.sa_sigaction = caught, .sa_flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER};
    sigaction(SIGILL, &action, 0);
    sigaction(SIGSEGV, &action, 0);
    sigaction(SIGBUS, &action, 0);
    sigaction(SIGTRAP, &action, 0);

    static struct request request;
    static struct outcome outcome;
    while (fread(&request, sizeof request, 1, stdin) == 1) {
        if (!request.same) {
            uint32_t *code = (uint32_t *)CODE;
            memcpy(code, request.words, 4 * request.count);
            code[request.count] = branch((uint64_t)(code + request.count), EXIT);
            __builtin___clear_cache((char *)code, (char *)(code + request.count + 1));
        }
        shared->state = request.state;
        memcpy(buffer, request.buffer, BUFFER_SIZE);
        fault = 0;
        if (!sigsetjmp(back, 1))
            ((void (*)(void))ENTRY)();
        else
            __asm__ volatile("msr fpcr, xzr");
        outcome.status = fault;
        outcome.state = shared->state;
        memcpy(outcome.buffer, buffer, BUFFER_SIZE);
        fwrite(&outcome, sizeof outcome, 1, stdout);
    }
    return 0;
}

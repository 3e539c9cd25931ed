/*
 * Runs benchmarks and says how long a round takes:
 *
 *     bench MILLISECONDS NAME...
 *
 * As the first process of a guest it gets these words from the kernel's command line, after "--", and turns the machine
 * off at the end. It prints, one line each:
 *
 *     TRY name                                    the first round, and finding out how many fit into the time
 *     START name                                  the measured rounds begin now
 *     BENCH name ns_per_round rounds check        they are over
 *     SKIP name                                   this benchmark cannot be built for this processor
 *     DONE
 */
#include "bench.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/reboot.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

static const struct benchmark {
    const char *name;
    uint64_t (*round)(void);
} benchmarks[] = {
#define BENCH(group, name, what) {#name, bench_##name},
#include "list.h"
#undef BENCH
};

static void leave(int status)
{
    if (getpid() == 1) {
        tcdrain(STDOUT_FILENO);
        reboot(RB_POWER_OFF);
    }
    exit(status);
}

_Noreturn void fail(const char *what)
{
    printf("FAIL %s\n", what);
    leave(1);
    abort();
}

static uint64_t now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

static uint64_t time_rounds(const struct benchmark *b, uint64_t rounds, uint64_t *check)
{
    uint64_t begun = now_ns();
    for (uint64_t i = 0; i < rounds; i++)
        *check = b->round();
    return now_ns() - begun;
}

/* Doubles the rounds until they take an eighth of the time wanted; translators have seen the code often by then. */
static uint64_t calibrate(const struct benchmark *b, uint64_t wanted_ns)
{
    uint64_t check, rounds = 1, took;
    time_rounds(b, 1, &check);
    while ((took = time_rounds(b, rounds, &check)) < wanted_ns / 8)
        rounds *= 2;
    uint64_t fit = (uint64_t)((double)wanted_ns / (double)took * (double)rounds);
    return fit > 0 ? fit : 1;
}

static void measure(const struct benchmark *b, uint64_t wanted_ns)
{
    printf("TRY %s\n", b->name);
    uint64_t rounds = calibrate(b, wanted_ns);
    printf("START %s\n", b->name);
    tcdrain(STDOUT_FILENO); /* no interrupts of the serial port while the clock runs */
    uint64_t check = 0;
    uint64_t took = time_rounds(b, rounds, &check);
    printf("BENCH %s %.2f %llu %016llx\n", b->name, (double)took / (double)rounds, (unsigned long long)rounds,
           (unsigned long long)check);
}

static const struct benchmark *find(const char *name)
{
    for (size_t i = 0; i < sizeof benchmarks / sizeof benchmarks[0]; i++)
        if (strcmp(benchmarks[i].name, name) == 0)
            return &benchmarks[i];
    return NULL;
}

int main(int argc, char **argv)
{
    setvbuf(stdout, NULL, _IOLBF, 0);
    uint64_t wanted_ns = argc > 1 ? strtoull(argv[1], NULL, 10) * 1000000 : 0;
    if (wanted_ns == 0)
        fail("usage: bench MILLISECONDS NAME...");
    for (int i = 2; i < argc; i++) {
        const struct benchmark *b = find(argv[i]);
        if (!b)
            fail("there is no such benchmark");
#if !defined(__aarch64__) && !defined(__x86_64__)
        if (b->round == bench_codegen) {
            printf("SKIP %s\n", b->name);
            continue;
        }
#endif
        measure(b, wanted_ns);
    }
    printf("DONE\n");
    leave(0);
}

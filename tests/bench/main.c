/*
 * Runs benchmarks and says how long a round takes:
 *
 *     bench MILLISECONDS NAME...
 *
 * A name with "*2" behind it means two processes, a processor each, that run the same benchmark at the same time; their
 * rounds count together. It says nothing about benchmarks that fork themselves. What is behind "@" says to others in what
 * kind of guest this is.
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
#define _GNU_SOURCE /* cpu_set_t */
#include "bench.h"

#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/reboot.h>
#include <sys/wait.h>
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

/* What the two processes of "*2" know of each other. */
struct together {
    atomic_int ready;
    volatile uint64_t check;
};

static struct together *share_page(void)
{
    void *page = mmap(NULL, sizeof(struct together), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    return page == MAP_FAILED ? NULL : page;
}

/* The first or the second one of those that this process may use. */
static int use_processor(const cpu_set_t *all, int second)
{
    for (int i = 0; i < CPU_SETSIZE; i++) {
        if (!CPU_ISSET(i, all) || second-- > 0)
            continue;
        cpu_set_t one;
        CPU_ZERO(&one);
        CPU_SET(i, &one);
        return sched_setaffinity(0, sizeof one, &one) == 0;
    }
    return 0;
}

/* Both processes start their rounds at the same time, and it is over when both are through. */
static uint64_t time_two(const struct benchmark *b, uint64_t rounds, uint64_t *check)
{
    static struct together *t;
    if (!t && !(t = share_page()))
        fail("there is no memory that two processes share");
    cpu_set_t all;
    if (sched_getaffinity(0, sizeof all, &all))
        fail("the processors are not known");
    atomic_store(&t->ready, 0);
    t->check = 0;
    pid_t child = fork();
    if (child < 0)
        fail("there is no second process");
    if (!use_processor(&all, child == 0)) {
        if (child == 0)
            _exit(1);
        fail("there is no second processor");
    }
    b->round(); /* after a fork, memory is copied when it is written for the first time */
    atomic_fetch_add(&t->ready, 1);
    while (atomic_load(&t->ready) != 2)
        ;
    uint64_t begun = now_ns();
    time_rounds(b, rounds, check);
    if (child == 0) {
        t->check = *check;
        _exit(0);
    }
    int status = 0;
    if (waitpid(child, &status, 0) != child || status != 0)
        fail("the second process did not end well");
    uint64_t took = now_ns() - begun;
    sched_setaffinity(0, sizeof all, &all);
    if (t->check != *check)
        fail("the two processes do not compute the same");
    return took;
}

static void measure(const struct benchmark *b, const char *name, int processes, uint64_t wanted_ns)
{
    printf("TRY %s\n", name);
    uint64_t rounds = calibrate(b, wanted_ns);
    printf("START %s\n", name);
    tcdrain(STDOUT_FILENO); /* no interrupts of the serial port while the clock runs */
    uint64_t check = 0;
    uint64_t took = processes == 2 ? time_two(b, rounds, &check) : time_rounds(b, rounds, &check);
    rounds *= (uint64_t)processes;
    printf("BENCH %s %.2f %llu %016llx\n", name, (double)took / (double)rounds, (unsigned long long)rounds,
           (unsigned long long)check);
}

/* The benchmark of this name, and how many processes are to run it. */
static const struct benchmark *find(const char *word, int *processes)
{
    char name[32] = "";
    snprintf(name, sizeof name, "%.*s", (int)strcspn(word, "@"), word);
    char *star = strstr(name, "*2");
    *processes = star && star[2] == 0 ? 2 : 1;
    if (*processes == 2)
        *star = 0;
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
        int processes;
        const struct benchmark *b = find(argv[i], &processes);
        if (!b)
            fail("there is no such benchmark");
#if !defined(__aarch64__) && !defined(__x86_64__)
        if (b->round == bench_codegen) {
            printf("SKIP %s\n", argv[i]);
            continue;
        }
#endif
        measure(b, argv[i], processes, wanted_ns);
    }
    printf("DONE\n");
    leave(0);
}

/* What the kernel does for a program: system calls, page faults, signals, switches, processes. */
#include "bench.h"

#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

uint64_t bench_syscall(void)
{
    uint64_t sum = 0;
    for (int i = 0; i < 1000; i++)
        sum += syscall(SYS_getppid) >= 0;
    return sum;
}

uint64_t bench_pagefault(void)
{
    enum { PAGES = 256, PAGE = 4096 };
    volatile uint8_t *p = mmap(NULL, PAGES * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    uint64_t sum = 0;
    if (p == MAP_FAILED)
        fail("there is no memory for the benchmark pagefault");
    for (int i = 0; i < PAGES; i++) {
        p[i * PAGE] = (uint8_t)i;
        sum += p[i * PAGE] + p[i * PAGE + 1];
    }
    munmap((void *)p, PAGES * PAGE);
    return sum;
}

static volatile sig_atomic_t signals;

static void count_signal(int number)
{
    (void)number;
    signals++;
}

uint64_t bench_signal(void)
{
    struct sigaction action = {.sa_handler = count_signal};
    sigaction(SIGUSR1, &action, NULL);
    signals = 0;
    for (int i = 0; i < 200; i++)
        kill(getpid(), SIGUSR1);
    return (uint64_t)signals;
}

/* The other process sends every byte back, plus one. It ends when this one does: its pipe is at its end then. */
static void echo(int from, int to)
{
    uint8_t byte;
    while (read(from, &byte, 1) == 1) {
        byte++;
        if (write(to, &byte, 1) != 1)
            break;
    }
    _exit(0);
}

uint64_t bench_pipe(void)
{
    static int to[2], from[2], started;
    if (!started) {
        if (pipe(to) || pipe(from))
            fail("there is no pipe for the benchmark pipe");
        pid_t child = fork();
        if (child == 0) {
            close(to[1]);
            close(from[0]);
            echo(to[0], from[1]);
        }
        if (child < 0)
            fail("there is no process for the benchmark pipe");
        close(to[0]);
        close(from[1]);
        started = 1;
    }
    uint64_t sum = 0;
    uint8_t byte = 0;
    for (int i = 0; i < 100; i++) {
        if (write(to[1], &byte, 1) != 1 || read(from[0], &byte, 1) != 1)
            fail("the other process of the benchmark pipe is gone");
        sum = sum * 3 + byte;
    }
    return sum;
}

uint64_t bench_fork(void)
{
    uint64_t sum = 0;
    for (int i = 0; i < 4; i++) {
        int status = 0;
        pid_t child = fork();
        if (child == 0)
            _exit(i + 1);
        if (child < 0 || waitpid(child, &status, 0) != child)
            fail("there is no process for the benchmark fork");
        sum = sum * 10 + (uint64_t)WEXITSTATUS(status);
    }
    return sum;
}

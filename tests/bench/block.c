/* Direct reads and writes of a disk, one or 32 of them in flight, as fio makes them with the host's asynchronous interface
 * (io_submit). Every 4 KiB of the disk begin with their number; what is written is what was there, so that each round finds the same. */
#define _GNU_SOURCE /* O_DIRECT */
#include "bench.h"

#include <fcntl.h>
#include <linux/aio_abi.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { DISK = 128 << 20, SMALL = 4 << 10, LARGE = 1 << 20, DEPTH = 32, SMALL_OPS = 512, LARGE_OPS = 64 };

static int disk = -1;
static aio_context_t context;
static char *buffers;
static uint64_t random_state;

static void begin(void)
{
    if (disk >= 0)
        return;
    disk = open("/dev/vda", O_RDWR | O_DIRECT);
    if (disk < 0 && (disk = open("/dev/nvme0n1", O_RDWR | O_DIRECT)) < 0 && (disk = open("/dev/sda", O_RDWR | O_DIRECT)) < 0)
        fail("there is no disk");
    void *memory;
    if (posix_memalign(&memory, SMALL, (size_t)DEPTH * LARGE))
        fail("there is no memory for buffers");
    buffers = memory;
    memset(buffers, 0, (size_t)DEPTH * LARGE);
    if (syscall(SYS_io_setup, DEPTH, &context))
        fail("there is no asynchronous I/O");
}

static void start(struct iocb *one, int slot, int write, size_t size, uint64_t n)
{
    uint64_t places = DISK / size, place = size == SMALL ? next_random(&random_state) % places : n % places;
    char *buffer = buffers + (size_t)slot * LARGE;
    if (write)
        for (size_t at = 0; at < size; at += SMALL)
            *(uint64_t *)(buffer + at) = place * (size / SMALL) + at / SMALL;
    memset(one, 0, sizeof *one);
    one->aio_data = (uint64_t)slot;
    one->aio_lio_opcode = write ? IOCB_CMD_PWRITE : IOCB_CMD_PREAD;
    one->aio_fildes = (uint32_t)disk;
    one->aio_buf = (uint64_t)(uintptr_t)buffer;
    one->aio_nbytes = size;
    one->aio_offset = (int64_t)(place * size);
    if (syscall(SYS_io_submit, context, 1L, &one) != 1)
        fail("a request cannot be submitted");
}

static uint64_t run(int write, size_t size, int depth)
{
    static struct iocb requests[DEPTH];
    begin();
    random_state = 88172645463325252;
    uint64_t check = 0, total = size == SMALL ? SMALL_OPS : LARGE_OPS, begun = 0, ended = 0;
    while (begun < (uint64_t)depth)
        start(&requests[begun], (int)begun, write, size, begun), begun++;
    while (ended < total) {
        struct io_event events[DEPTH];
        long n = syscall(SYS_io_getevents, context, 1L, (long)DEPTH, events, NULL);
        if (n < 1)
            fail("no request ends");
        for (long i = 0; i < n; i++, ended++) {
            int slot = (int)events[i].data;
            if (events[i].res != (int64_t)size)
                fail("the disk cannot be used");
            for (size_t at = 0; at < size; at += SMALL)
                check += *(const uint64_t *)(buffers + (size_t)slot * LARGE + at) + 1;
            if (begun < total)
                start(&requests[slot], slot, write, size, begun), begun++;
        }
    }
    return check;
}

uint64_t bench_read4k(void) { return run(0, SMALL, 1); }
uint64_t bench_read4kx32(void) { return run(0, SMALL, DEPTH); }
uint64_t bench_write4k(void) { return run(1, SMALL, 1); }
uint64_t bench_write4kx32(void) { return run(1, SMALL, DEPTH); }
uint64_t bench_read1m(void) { return run(0, LARGE, 1); }
uint64_t bench_read1mx32(void) { return run(0, LARGE, DEPTH); }
uint64_t bench_write1m(void) { return run(1, LARGE, 1); }
uint64_t bench_write1mx32(void) { return run(1, LARGE, DEPTH); }

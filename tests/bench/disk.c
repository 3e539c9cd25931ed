/* Direct reads of the whole disk, as dd with iflag=direct makes them: each has its pages mapped for the device before and
 * unmapped afterwards. */
#define _GNU_SOURCE /* O_DIRECT */
#include "bench.h"

#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

enum { SIZE = 1 << 20, SECTOR = 512, LARGEST = 256 << 10 };

static uint64_t read_disk(size_t block)
{
    static int disk = -1;
    static void *buffer;
    if (disk < 0 && (disk = open("/dev/vda", O_RDONLY | O_DIRECT)) < 0)
        fail("there is no disk");
    if (!buffer && posix_memalign(&buffer, 4096, LARGEST))
        fail("there is no memory for a buffer");
    uint64_t check = 0;
    for (size_t at = 0; at < SIZE; at += block) {
        if (pread(disk, buffer, block, (off_t)at) != (ssize_t)block)
            fail("the disk cannot be read");
        /* Every sector says its number there. */
        for (size_t i = 0; i < block; i += SECTOR)
            check = check * 31 + *(const uint64_t *)((const char *)buffer + i + 16);
    }
    return check;
}

uint64_t bench_disk4k(void)
{
    return read_disk(4 << 10);
}

uint64_t bench_disk256k(void)
{
    return read_disk(LARGEST);
}

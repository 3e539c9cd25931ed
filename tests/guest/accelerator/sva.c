// SPDX-License-Identifier: MIT OR GPL-2.0
/*
 * sva ROUNDS [MIB]: an unprivileged process gives the accelerator memory that it has allocated and not touched. Each round fills
 * and copies, and looks at what is there. Now and then a child with a context of its own gives a wild pointer away, in a command
 * or as a ring: that is to end that command, or that queue, alone. Another process uses MIB MiB meanwhile, so that pages go.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "accelerator.h"

#define ENTRIES 16
#define BYTES (32 << 10)
#define WILD 0x123456789000ul

struct command { unsigned char operation, flags; unsigned short tag; unsigned length;
	unsigned long source, destination, pattern, reserved[4]; };
struct completion { unsigned short tag; unsigned char status, phase; unsigned reserved;
	unsigned long done, result, address; };
enum { NOTHING, COPY, FILL, CRC32, COMPARE };

struct context {
	int fd;
	volatile unsigned *bell;
	struct command *commands;
	struct completion *completions;
	unsigned head;
};

static void check(int good, const char *what)
{
	if (!good) {
		printf("FAILED: %s (%s)\n", what, strerror(errno));
		exit(1);
	}
}

/* Memory that nobody has touched. */
static void *fresh(size_t bytes)
{
	void *at = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	check(at != MAP_FAILED, "there is memory");
	return at;
}

static struct context *new_context(int wild_ring)
{
	struct context *c = calloc(1, sizeof(*c));
	struct accelerator_start start = { .size = 4 };

	c->fd = open("/dev/accelerator", O_RDWR);
	check(c->fd >= 0, "open");
	c->bell = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, c->fd, 0);
	check(c->bell != MAP_FAILED, "the doorbell page");
	c->commands = fresh(4096);
	c->completions = fresh(4096);
	start.commands = wild_ring ? WILD : (unsigned long)c->commands;
	start.completions = (unsigned long)c->completions;
	check(ioctl(c->fd, ACCELERATOR_START, &start) == 0, "start");
	return c;
}

static struct completion run(struct context *c, struct command command)
{
	unsigned slot = c->head % ENTRIES, phase = !(c->head & ENTRIES);
	struct completion *done = &c->completions[slot];

	c->commands[slot] = command;
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	c->bell[0] = ++c->head;
	while (__atomic_load_n(&done->phase, __ATOMIC_ACQUIRE) != phase)
		;
	c->bell[1] = c->head;
	return *done;
}

static unsigned long address(const void *at)
{
	return (unsigned long)at;
}

static void wild(int ring)
{
	struct context *c = new_context(ring);

	if (ring) {
		c->bell[0] = 1;
		while (!(ioctl(c->fd, ACCELERATOR_STATUS) & 8))
			;
		exit(0);
	}
	struct completion done = run(c, (struct command){ .operation = FILL, .length = 8, .destination = WILD });
	check(done.status == 3 && done.address == WILD, "a wild pointer ends the command");
	/* Memory that can only be read is none to be written. */
	void *constant = mmap(NULL, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	done = run(c, (struct command){ .operation = FILL, .length = 8, .destination = address(constant) });
	check(done.status == 3, "memory that cannot be written");
	check(run(c, (struct command){ .operation = NOTHING }).status == 0, "the context goes on");
	exit(0);
}

static void hog(size_t bytes)
{
	char *all = fresh(bytes);

	for (;;)
		for (size_t at = 0; at < bytes; at += 4096)
			all[at]++;
}

int main(int argc, char **argv)
{
	int rounds = argc > 1 ? atoi(argv[1]) : 100, children = 0;
	pid_t hogging = 0;

	check(setgid(65534) == 0 && setuid(65534) == 0 && getuid() == 65534, "without privileges");
	if (argc > 2 && !(hogging = fork()))
		hog((size_t)atoi(argv[2]) << 20);
	struct context *c = new_context(0);
	for (int n = 0; n < rounds; n++) {
		unsigned long pattern = 0x0101010101010101ul * (n % 255 + 1);
		unsigned long *to = fresh(BYTES), *copy = fresh(BYTES);
		struct completion done = run(c, (struct command){ .operation = FILL, .length = BYTES,
			.destination = address(to), .pattern = pattern });
		check(done.status == 0 && done.done == BYTES, "fill");
		done = run(c, (struct command){ .operation = COPY, .length = BYTES, .source = address(to),
			.destination = address(copy) });
		check(done.status == 0 && done.done == BYTES, "copy");
		for (int i = 0; i < BYTES / 8; i++)
			check(to[i] == pattern && copy[i] == pattern, "the bytes are there");
		munmap(to, BYTES);
		munmap(copy, BYTES);
		if (n % 100 == 99) {
			int status;
			pid_t child = fork();

			if (!child)
				wild(n / 100 % 2);
			check(waitpid(child, &status, 0) == child && status == 0, "the child");
			children++;
		}
		if (n % 1000 == 999)
			printf("%d rounds\n", n + 1), fflush(stdout);
	}
	if (hogging)
		kill(hogging, SIGKILL);
	printf("PASSED: %d rounds of %d KiB, %d wild pointers\n", rounds, 2 * BYTES >> 10, children);
	return 0;
}

/* SPDX-License-Identifier: MIT OR GPL-2.0 */
/* What /dev/accelerator takes. */
#include <linux/ioctl.h>
#include <linux/types.h>

struct accelerator_start {
	__u64 commands;
	__u64 completions;
	/* The rings have two to this number of entries. */
	__u32 size;
	__u32 reserved;
};

#define ACCELERATOR_START _IOW('a', 0, struct accelerator_start)
/* Gives ACC_STATUS. */
#define ACCELERATOR_STATUS _IO('a', 1)

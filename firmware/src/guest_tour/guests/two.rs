//! Guest two has a disk of its own: a virtio device (virtio 1.2, 4.2 for the registers, 2.7 for the queue, 5.2 for the
//! disk). Stage 2 maps its registers, so that the driver and the device talk without the hypervisor.
//!
//! The device reads and writes the queue and the buffers by DMA, and at first no stage 2 is in its way: what the driver
//! writes into the queue as addresses are physical addresses for the device. With the guest's RAM mapped 1:1 this is the
//! same. It also means that this guest can let the disk write anywhere in the machine: what an SMMU is for. When that is
//! on, nothing changes in the driver but that any of its memory will do.

use dynasmrt::{DynasmApi, DynasmError, DynasmLabelApi};

use super::{BUFFER, VAR_INTERRUPTS};
use crate::guest_tour::asm::{Asm, asm, load, say};
use crate::guest_tour::hypercall::WRITE;
use crate::guest_tour::layout::{PAGE, SCATTERED_IPA, TWO_PA, VIRTIO_INTID};
use crate::guest_tour::passthrough::{FORBIDDEN, LATE_BUFFER};
use crate::guest_tour::{SECTOR, SECTORS};

/// Registers of a virtio-mmio transport (4.2.2).
mod reg {
    pub(super) const MAGIC_VALUE: u32 = 0x00;
    pub(super) const VERSION: u32 = 0x04;
    pub(super) const DEVICE_ID: u32 = 0x08;
    pub(super) const DEVICE_FEATURES: u32 = 0x10;
    pub(super) const DEVICE_FEATURES_SEL: u32 = 0x14;
    pub(super) const DRIVER_FEATURES: u32 = 0x20;
    pub(super) const DRIVER_FEATURES_SEL: u32 = 0x24;
    pub(super) const QUEUE_SEL: u32 = 0x30;
    pub(super) const QUEUE_NUM_MAX: u32 = 0x34;
    pub(super) const QUEUE_NUM: u32 = 0x38;
    pub(super) const QUEUE_READY: u32 = 0x44;
    pub(super) const QUEUE_NOTIFY: u32 = 0x50;
    pub(super) const INTERRUPT_STATUS: u32 = 0x60;
    pub(super) const INTERRUPT_ACK: u32 = 0x64;
    pub(super) const STATUS: u32 = 0x70;
    pub(super) const QUEUE_DESC: u32 = 0x80;
    pub(super) const QUEUE_DRIVER: u32 = 0x90;
    pub(super) const QUEUE_DEVICE: u32 = 0xa0;
}

/// "virt", as a little-endian number.
const MAGIC: u64 = 0x7472_6976;
/// A block device.
const BLOCK: u32 = 2;
/// Device status (2.1).
const ACKNOWLEDGE: u32 = 1;
const DRIVER: u32 = 2;
const DRIVER_OK: u32 = 4;
const FEATURES_OK: u32 = 8;
/// The bit of FEATURES_OK.
const FEATURES_OK_BIT: u32 = 3;
/// VIRTIO_F_VERSION_1 is feature 32, and VIRTIO_F_ACCESS_PLATFORM 33: bits 0 and 1 of the second word.
const VERSION_1: u32 = 1 << 0;
const ACCESS_PLATFORM: u32 = 1 << 1;
const FEATURES: u32 = VERSION_1 | ACCESS_PLATFORM;

/// Entries of the queue.
const QUEUE_SIZE: u64 = 8;
/// Where the parts of the queue are, and of a request, from the place of the queue on. The header is 16 bytes.
const DESCRIPTORS: u64 = 0;
const AVAILABLE: u64 = PAGE;
const USED: u64 = 2 * PAGE;
const HEADER: u64 = 3 * PAGE;
const STATUS_BYTE: u64 = HEADER + 16;
/// A queue in the guest's RAM, and then one on pages that are scattered, with a buffer where sectors are across their
/// boundaries.
const QUEUE: u64 = TWO_PA + 0x3_0000;
const SCATTERED_QUEUE: u64 = SCATTERED_IPA;
const SCATTERED_BUFFER: u64 = SCATTERED_IPA + 4 * PAGE + 0x100;
/// Where the length of the data is in the table of descriptors.
const DATA_LENGTH: u32 = 16 + 8;
/// The status VIRTIO_BLK_S_IOERR (5.2.6).
const IO_ERROR: u32 = 1;
/// Descriptor flags (2.7.5).
const NEXT: u64 = 1;
const WRITTEN_BY_DEVICE: u64 = 2;

pub(in super::super) fn assemble() -> Result<Vec<u8>, DynasmError> {
    let mut program = Asm::new(TWO_PA as usize);
    let a = &mut program;
    asm!(a ; mov x20, x0);
    super::begin(a, TWO_PA);
    super::stage1(a, TWO_PA);
    say(a, "Hello from EL1, with my MMU on.");
    find(a);
    negotiate(a);
    say(a, "We agreed on features: VIRTIO_F_VERSION_1, VIRTIO_F_ACCESS_PLATFORM; FEATURES_OK stays set.");
    set_up_queue(a, QUEUE);
    say(a, "Queue 0 is in my RAM: 8 descriptors. DRIVER_OK.");
    super::interrupts_on(a);
    super::done(a);
    read_all(a, TWO_PA + BUFFER);
    super::done(a);
    say(a, "The disk says:");
    asm!(a
        ;; load(a, 6, TWO_PA + BUFFER)
        ; bl ->say_at
        ;; super::checksum(a, TWO_PA + BUFFER)
        ;; super::done(a)
    );
    on_scattered_pages(a);
    super::count(a);
    say(a, "I was interrupted, and stop.");
    super::off(a);
    routines(a);
    super::vectors(a);
    program.finalize()
}

/// Is there a block device? X20 points to its registers from here on.
fn find(a: &mut Asm) {
    asm!(a
        ; ldr w1, [x20, reg::MAGIC_VALUE]
        ;; load(a, 2, MAGIC)
        ; cmp w1, w2
        ; b.ne >no
        ; ldr w1, [x20, reg::VERSION]
        ; cmp w1, #2
        ; b.ne >no
        ; ldr w1, [x20, reg::DEVICE_ID]
        ; cmp w1, BLOCK
        ; b.eq >yes
        ; no:
    );
    say(a, "There is no virtio disk of version 1 at the last transport.");
    super::fail(a, 10);
    asm!(a ; yes:);
    say(a, "I found a virtio disk: MagicValue \"virt\", Version 2, DeviceID 2.");
}

/// The conversation of virtio 1.2, 3.1.1, which begins with a reset: this driver wants no feature but that the device
/// follows the standard, and that its addresses go the way that the platform has for them.
fn negotiate(a: &mut Asm) {
    asm!(a
        ; str wzr, [x20, reg::STATUS]
        ; mov w1, ACKNOWLEDGE
        ; str w1, [x20, reg::STATUS]
        ; mov w1, ACKNOWLEDGE | DRIVER
        ; str w1, [x20, reg::STATUS]
        ; mov w2, #1
        ; str w2, [x20, reg::DEVICE_FEATURES_SEL]
        ; ldr w1, [x20, reg::DEVICE_FEATURES]
        ; and w1, w1, FEATURES
        ; cmp w1, FEATURES
        ; b.ne >refused
        ; str wzr, [x20, reg::DRIVER_FEATURES_SEL]
        ; str wzr, [x20, reg::DRIVER_FEATURES]
        ; str w2, [x20, reg::DRIVER_FEATURES_SEL]
        ; mov w1, FEATURES
        ; str w1, [x20, reg::DRIVER_FEATURES]
        ; mov w1, ACKNOWLEDGE | DRIVER | FEATURES_OK
        ; str w1, [x20, reg::STATUS]
        ; ldr w1, [x20, reg::STATUS]
        ; tbnz w1, FEATURES_OK_BIT, >agreed
        ; refused:
        ;; super::fail(a, 11)
        ; agreed:
    );
}

/// Queue 0, at `queue`, and its three descriptors: they stay the same for all requests, but for the place of the data. X23
/// to X26 are its parts from here on, X21 how many requests there were, X22 where the data go, and X27 the sector.
fn set_up_queue(a: &mut Asm, queue: u64) {
    asm!(a
        ; str wzr, [x20, reg::QUEUE_SEL]
        ; ldr w1, [x20, reg::QUEUE_NUM_MAX]
        ; cmp w1, QUEUE_SIZE as u32
        ; b.hs >large
        ;; super::fail(a, 12)
        ; large:
        ; mov w1, QUEUE_SIZE as u32
        ; str w1, [x20, reg::QUEUE_NUM]
    );
    let areas = [(reg::QUEUE_DESC, DESCRIPTORS), (reg::QUEUE_DRIVER, AVAILABLE), (reg::QUEUE_DEVICE, USED)];
    for (register, address) in areas {
        asm!(a
            ;; load(a, 1, queue + address)
            ; str w1, [x20, register]
            ; str wzr, [x20, register + 4]
        );
    }
    // Address; length in bits 31:0, flags in 47:32, next in 63:48.
    let descriptors = [
        (queue + HEADER, 16 | NEXT << 32 | 1 << 48),
        (0, SECTOR | (NEXT | WRITTEN_BY_DEVICE) << 32 | 2 << 48),
        (queue + STATUS_BYTE, 1 | WRITTEN_BY_DEVICE << 32),
    ];
    load(a, 1, queue + DESCRIPTORS);
    for (address, rest) in descriptors {
        asm!(a
            ;; load(a, 2, address)
            ;; load(a, 3, rest)
            ; stp x2, x3, [x1], #16
        );
    }
    asm!(a
        ; dsb sy
        ; mov w1, #1
        ; str w1, [x20, reg::QUEUE_READY]
        ; mov w1, ACKNOWLEDGE | DRIVER | FEATURES_OK | DRIVER_OK
        ; str w1, [x20, reg::STATUS]
        ;; load(a, 23, queue + DESCRIPTORS)
        ;; load(a, 24, queue + AVAILABLE)
        ;; load(a, 25, queue + USED)
        ;; load(a, 26, queue + HEADER)
        ; mov x21, xzr
        ; str xzr, [x28, VAR_INTERRUPTS]
    );
}

/// Reads all sectors, one request after the other, to `buffer`.
fn read_all(a: &mut Asm, buffer: u64) {
    asm!(a
        ;; load(a, 22, buffer)
        ; mov x27, xzr
        ; sector:
        ; bl ->request
        ; cbz w1, >ok
        ;; super::fail(a, 13)
        ; ok:
        ; add x22, x22, SECTOR as u32
        ; add w27, w27, #1
        ; cmp w27, SECTORS as u32
        ; b.lo <sector
    );
}

/// The same disk when there is an SMMU: queue and buffers on whatever pages there are; then an address that is not this
/// guest's, and one of a page that it was promised.
fn on_scattered_pages(a: &mut Asm) {
    negotiate(a);
    set_up_queue(a, SCATTERED_QUEUE);
    say(a, &format!("I reset the disk; its queue and my buffers are at {SCATTERED_IPA:#x} now."));
    super::done(a);
    read_all(a, SCATTERED_BUFFER);
    super::done(a);
    super::checksum(a, SCATTERED_BUFFER);
    super::done(a);

    say(a, &format!("Disk, write sector 0 to {FORBIDDEN:#x}. That memory is not mine, but who will know?"));
    asm!(a
        ;; load(a, 22, FORBIDDEN)
        ; mov x27, xzr
        ; bl ->request
        ; cmp w1, IO_ERROR
        ; b.eq >refused
        ;; super::fail(a, 15)
        ; refused:
    );
    say(a, "The disk says VIRTIO_BLK_S_IOERR: it could not.");
    super::done(a);

    say(a, &format!("Disk, write sectors 0 to 15 to {LATE_BUFFER:#x}: two pages of mine."));
    asm!(a
        ;; load(a, 22, LATE_BUFFER)
        ; mov w1, (2 * PAGE) as u32
        ; str w1, [x23, DATA_LENGTH]
        ; bl ->request
        ; cbz w1, >ok
        ;; super::fail(a, 16)
        ; ok:
    );
    say(a, "It took the disk a while.");
    super::done(a);
}

fn routines(a: &mut Asm) {
    asm!(a
        // The text behind the call, as a line, with one hypercall.
        ; ->say:
        ; mov x6, x30
        ; bl ->say_at
        ; add x6, x6, #3
        ; and x6, x6, #0xffff_ffff_ffff_fffc
        ; br x6
        // Prints from X6 up to a zero; X6 is then behind it. RAM is at its IPA in this guest's address space.
        ; ->say_at:
        ; mov x1, x6
        ; next:
        ; ldrb w2, [x6], #1
        ; cbnz w2, <next
        ; sub x2, x6, x1
        ; sub x2, x2, #1
        ;; load(a, 0, WRITE)
        ; hvc #0
        ; ret

        // A request: the sector X27 to X22, or more of them, as the descriptor says. Gives its status in W1. The header: type
        // IN (0), a reserved word, the sector. A status that the device never gives.
        ; ->request:
        ; stp xzr, x27, [x26]
        ; mov w1, #0xff
        ; strb w1, [x26, (STATUS_BYTE - HEADER) as u32]
        ; str x22, [x23, #16]
        // The chain begins with descriptor 0, and every entry of the ring says so: it was zero before. The index is what
        // tells the device; it must not be seen before the request.
        ; add w21, w21, #1
        ; dmb sy
        ; strh w21, [x24, #2]
        ; dsb sy
        ; str wzr, [x20, reg::QUEUE_NOTIFY]
        // Each request has an interrupt of its own. They are masked while it is decided whether to wait.
        ; wait:
        ; msr daifset, #2
        ; ldr x1, [x28, VAR_INTERRUPTS]
        ; cmp x1, x21
        ; b.hs >came
        ; wfi
        ; msr daifclr, #2
        ; b <wait
        ; came:
        ; msr daifclr, #2
        ; dmb sy
        ; ldrh w1, [x25, #2]
        ; cmp w1, w21
        ; b.eq >used
        ;; super::fail(a, 17)
        ; used:
        ; ldrb w1, [x26, (STATUS_BYTE - HEADER) as u32]
        ; ret

        // The disk's interrupt: what it is about is read and acknowledged, and those that tell of a request are counted.
        ; ->device_interrupt:
        ; cmp w0, VIRTIO_INTID
        ; b.ne >other
        ; ldr w1, [x20, reg::INTERRUPT_STATUS]
        ; str w1, [x20, reg::INTERRUPT_ACK]
        ; and x1, x1, #1
        ; ldr x2, [x28, VAR_INTERRUPTS]
        ; add x2, x2, x1
        ; str x2, [x28, VAR_INTERRUPTS]
        // The device has to have lowered its line before the interrupt ends.
        ; dsb sy
        ; ret
        ; other:
        ;; super::fail(a, 14)
    );
}

//! The guests: each is a program of its own, assembled for its own addresses. It begins at the first byte of its RAM with
//! the MMU off and knows nothing of EL2, but for the hypercalls by which it tells that a step is done.

pub(super) mod one;
pub(super) mod two;

use dynasmrt::{DynasmApi, DynasmLabelApi};

use super::asm::{Asm, asm, load};
use super::hypercall::{DONE, FAIL};
use super::layout::STOP_INTID;
use super::psci::SYSTEM_OFF;
use super::sysreg::{
    ICC_EOIR1_EL1, ICC_IAR1_EL1, ICC_IGRPEN1_EL1, ICC_PMR_EL1, ICC_SRE_EL1, MAIR_EL1, SCTLR_EL1, TCR_EL1,
    TTBR0_EL1, VBAR_EL1,
};
use super::{SECTOR, SECTORS};

/// Offsets in a guest's RAM, behind its program: the table of stage 1,
const TABLE: u64 = 0x1_0000;
/// the end of the stack,
const STACK: u64 = 0x2_0000;
/// the variables, to which X28 points:
const VARIABLES: u64 = 0x2_0000;
/// a number that grows while the guest has nothing to do but count,
pub(super) const COUNTER: u64 = VARIABLES + VAR_COUNTER as u64;
const VAR_COUNTER: u32 = 0;
/// whether it was asked to stop,
const VAR_STOP: u32 = 8;
/// how many interrupts of its device came,
const VAR_INTERRUPTS: u32 = 16;
/// and the contents of the disk.
const BUFFER: u64 = 0x2_1000;

/// Where stage 1 shows the guest's RAM a second time, if that is at [`super::layout::ONE_IPA`].
const ALIAS: u64 = 0x8000_0000;

/// Puts the programs into the hypervisor's image, and the disk that it emulates.
pub(super) fn embed(a: &mut Asm, one: &[u8], two: &[u8]) {
    asm!(a
        ; .align 16, 0
        ; ->one_program:
        ; .bytes one
        ; .align 16, 0
        ; ->one_program_end:
        ; ->two_program:
        ; .bytes two
        ; .align 16, 0
        ; ->two_program_end:
        ; ->disk_bytes:
        ; .bytes super::disk()
    );
}

/// The first instructions: a stack, vectors, and X28. Keeps X0.
fn begin(a: &mut Asm, ram: u64) {
    asm!(a
        ;; load(a, 1, ram + STACK)
        ; mov sp, x1
        ;; load(a, 28, ram + VARIABLES)
        ; adr x1, ->vectors
        ; msr VBAR_EL1, x1
        ; isb
    );
}

/// Turns the guest's own MMU on: stage 1, by a table of three 1 GiB blocks. Changes X1 to X3.
fn stage1(a: &mut Asm, ram: u64) {
    // Valid block, AF; Normal memory (attribute 1, inner shareable) or Device memory (attribute 0, no code in it).
    const NORMAL: u64 = 1 | 1 << 2 | 0b11 << 8 | 1 << 10;
    const DEVICE: u64 = 1 | 1 << 10 | 0b11 << 53;
    const GIB: u64 = 0x4000_0000;
    asm!(a
        ;; load(a, 1, ram + TABLE)
        ;; load(a, 2, DEVICE)
        ;; load(a, 3, GIB | NORMAL)
        ; stp x2, x3, [x1]
        ; str x3, [x1, (ALIAS / GIB * 8) as u32]
        ; dsb ish
        ; msr TTBR0_EL1, x1
        ;; load(a, 1, 0xff04)
        ; msr MAIR_EL1, x1
        // 39-bit virtual addresses, cached walks, no TTBR1, 40-bit output.
        ;; load(a, 1, 2 << 32 | 0x0080_3519)
        ; msr TCR_EL1, x1
        ; tlbi vmalle1
        ; dsb ish
        ; isb
        ;; load(a, 1, 0x30d0_1805)
        ; msr SCTLR_EL1, x1
        ; isb
    );
}

/// Turns the CPU interface on. At EL1 the ICC names reach the *virtual* interface, and no exit is needed for it.
fn interrupts_on(a: &mut Asm) {
    asm!(a
        ; mov x1, #7
        ; msr ICC_SRE_EL1, x1
        ; isb
        ; mov x1, #0xf8
        ; msr ICC_PMR_EL1, x1
        ; mov x1, #1
        ; msr ICC_IGRPEN1_EL1, x1
        ; isb
        ; msr daifclr, #2
    );
}

/// Tells the hypervisor that a step is done, with X1 as its result.
fn done(a: &mut Asm) {
    asm!(a
        ;; load(a, 0, DONE)
        ; hvc #0
    );
}

/// Gives up.
fn fail(a: &mut Asm, place: u64) {
    asm!(a
        ;; load(a, 0, FAIL)
        ; mov x1, place
        ; hvc #0
    );
}

/// X1 = a checksum of the disk's contents at `buffer`. Changes X1 to X5.
fn checksum(a: &mut Asm, buffer: u64) {
    asm!(a
        ; mov x1, xzr
        ;; load(a, 2, buffer)
        ;; load(a, 3, buffer + SECTORS * SECTOR)
        ; mov x4, #31
        ; next:
        ; ldr w5, [x2], #4
        ; madd x1, x1, x4, x5
        ; cmp x2, x3
        ; b.lo <next
    );
}

/// Counts until the hypervisor asks to stop.
fn count(a: &mut Asm) {
    asm!(a
        ; next:
        ; ldr x1, [x28, VAR_COUNTER]
        ; add x1, x1, #1
        ; str x1, [x28, VAR_COUNTER]
        ; ldr x1, [x28, VAR_STOP]
        ; cbz x1, <next
    );
}

/// Turns the guest off, as it would turn off a machine.
fn off(a: &mut Asm) {
    asm!(a
        ;; load(a, 0, SYSTEM_OFF)
        ; smc #0
        ;; fail(a, 1)
    );
}

/// The vectors and the part of the interrupt handler that is the same for both. `->device_interrupt` handles what W0
/// names; it may change X1 to X3.
fn vectors(a: &mut Asm) {
    /// The entry for an IRQ at EL1 with its own stack pointer.
    const IRQ: u32 = 5;
    asm!(a ; .align 2048, 0 ; ->vectors:);
    for entry in 0..16 {
        asm!(a ; .align 128, 0);
        match entry {
            IRQ => asm!(a ; b ->irq),
            _ => fail(a, 100 + u64::from(entry)),
        }
    }
    asm!(a
        ; ->irq:
        ; stp x0, x1, [sp, #-48]!
        ; stp x2, x3, [sp, #16]
        ; str x30, [sp, #32]
        ; mrs x0, ICC_IAR1_EL1
        ; cmp w0, STOP_INTID
        ; b.eq >stop
        ; bl ->device_interrupt
        ; b >end
        ; stop:
        ; mov x1, #1
        ; str x1, [x28, VAR_STOP]
        ; end:
        ; msr ICC_EOIR1_EL1, x0
        ; ldr x30, [sp, #32]
        ; ldp x2, x3, [sp, #16]
        ; ldp x0, x1, [sp], #48
        ; eret
    );
}

//! A guest's CPU while it does not run: its context. Entering and leaving a guest moves the context into the registers and
//! back. That is the world switch, and its price is what virtualization costs at the least.

use dynasmrt::{DynasmApi, DynasmLabelApi};

use super::asm::{Asm, asm, load};
use super::layout::GUEST_RAM;
use super::sysreg::{
    CNTV_CTL_EL0, CNTV_CVAL_EL0, CNTVOFF_EL2, CPACR_EL1, ELR_EL1, ELR_EL2, ESR_EL1, FAR_EL1, ICH_AP1R0_EL2,
    ICH_LR0_EL2, ICH_LR1_EL2, ICH_LR2_EL2, ICH_LR3_EL2, ICH_VMCR_EL2, MAIR_EL1, PAR_EL1, SCTLR_EL1, SP_EL1,
    SPSR_EL1, SPSR_EL2, TCR_EL1, TPIDR_EL1, TPIDR_EL2, TTBR0_EL1, TTBR1_EL1, VBAR_EL1, VTTBR_EL2,
};

/// System registers of a guest. EL2 does not use any of them, so they are moved only when the guest changes. The
/// virtual timer's control comes last: it must not fire with somebody else's value.
const SWITCHED: [u32; 24] = [
    SCTLR_EL1,
    CPACR_EL1,
    TTBR0_EL1,
    TTBR1_EL1,
    TCR_EL1,
    MAIR_EL1,
    VBAR_EL1,
    SPSR_EL1,
    ELR_EL1,
    ESR_EL1,
    FAR_EL1,
    PAR_EL1,
    TPIDR_EL1,
    SP_EL1,
    VTTBR_EL2,
    ICH_VMCR_EL2,
    ICH_AP1R0_EL2,
    ICH_LR0_EL2,
    ICH_LR1_EL2,
    ICH_LR2_EL2,
    ICH_LR3_EL2,
    CNTVOFF_EL2,
    CNTV_CVAL_EL0,
    CNTV_CTL_EL0,
];

/// Offsets in a context. X0 to X30 come first.
pub(super) const GPRS: u32 = 0;
/// Where the guest goes on (ELR_EL2).
pub(super) const PC: u32 = 31 * 8;
/// Its PSTATE (SPSR_EL2).
pub(super) const PSTATE: u32 = 32 * 8;
/// First IPA of its RAM.
pub(super) const RAM_IPA: u32 = 33 * 8;
/// First PA of its RAM.
pub(super) const RAM_PA: u32 = 34 * 8;
/// What it reported with its last STEP hypercall.
pub(super) const REPORT: u32 = 35 * 8;
/// [`SWITCHED`].
const SYSTEM: u32 = 36 * 8;

/// The offset of a system register in a context.
pub(super) fn system(register: u32) -> u32 {
    let index = SWITCHED.iter().position(|r| *r == register);
    SYSTEM + 8 * index.expect("a register that is switched") as u32
}

/// Why `run_guest` returns.
pub(super) const CONTINUE: u64 = 0;
/// The guest has done a step.
pub(super) const STEP: u64 = 1;
/// The time slice is over.
pub(super) const SLICE_OVER: u64 = 2;
/// The guest turned itself off.
pub(super) const OFF: u64 = 3;
/// The SMMU has an event.
pub(super) const SMMU_EVENT: u64 = 4;

/// PSTATE of a guest's first instruction: EL1 with its own stack pointer (EL1h), all interrupts masked.
const PSTATE_AT_RESET: u32 = 0x3c5;
/// SCTLR_EL1 of a guest at its start: the MMU and the caches are off, RES1 bits.
const SCTLR_AT_RESET: u64 = 0x30d0_0800;

pub(super) fn emit(a: &mut Asm) {
    guest_init(a);
    run_guest(a);
}

/// Makes a guest: X0 is its context, which is zero; X1 its VTTBR_EL2, X2 and X3 the IPA and PA of its RAM, X4 and X5
/// its program and where that ends. Changes X0 to X9.
fn guest_init(a: &mut Asm) {
    asm!(a
        ; ->guest_init:
        ; str x1, [x0, system(VTTBR_EL2)]
        ; str x2, [x0, RAM_IPA]
        ; str x3, [x0, RAM_PA]
        // It starts at the first byte of its RAM.
        ; str x2, [x0, PC]
        ; mov w6, PSTATE_AT_RESET
        ; str x6, [x0, PSTATE]
        ;; load(a, 6, SCTLR_AT_RESET)
        ; str x6, [x0, system(SCTLR_EL1)]
        // Its virtual counter is 0 now: CNTVCT_EL0 is CNTPCT_EL0 minus CNTVOFF_EL2.
        ; isb
        ; mrs x6, super::sysreg::CNTPCT_EL0
        ; str x6, [x0, system(CNTVOFF_EL2)]
        // Its RAM is clean: nothing of somebody else's is in it. A guest begins without caches, so that what is
        // written here has to go to memory.
        ;; load(a, 7, GUEST_RAM)
        ; add x7, x3, x7
        ; mov x6, x3
        ; clear:
        ; stp xzr, xzr, [x6]
        ; dc civac, x6
        ; add x6, x6, #16
        ; cmp x6, x7
        ; b.lo <clear
        // Its program, 16 bytes at a time.
        ; copy:
        ; ldp x6, x7, [x4], #16
        ; stp x6, x7, [x3]
        ; dc civac, x3
        ; add x3, x3, #16
        ; cmp x4, x5
        ; b.lo <copy
        ; dsb ish
        ; ic ialluis
        ; dsb ish
        ; isb
        ; ret
    );
}

/// Runs the guest whose context X0 is, until there is something to decide: gives the reason in X0. Keeps X19 to X30.
fn run_guest(a: &mut Asm) {
    asm!(a
        ; ->run_guest:
        ; stp x19, x20, [sp, #-96]!
        ; stp x21, x22, [sp, #16]
        ; stp x23, x24, [sp, #32]
        ; stp x25, x26, [sp, #48]
        ; stp x27, x28, [sp, #64]
        ; stp x29, x30, [sp, #80]
        ; mov x19, x0
        // The next exception finds the context here.
        ; msr TPIDR_EL2, x19
    );
    for register in SWITCHED {
        asm!(a ; ldr x1, [x19, system(register)] ; msr register, x1);
    }
    // The exception return below orders these writes before the guest's first instruction.
    asm!(a
        // Back into the guest; X19 is its context.
        ; ->resume:
        ; ldr x0, [x19, PC]
        ; ldr x1, [x19, PSTATE]
        ; msr ELR_EL2, x0
        ; msr SPSR_EL2, x1
    );
    for n in (0..30u8).step_by(2).filter(|n| *n != 18) {
        asm!(a ; ldp X(n), X(n + 1), [x19, 8 * i32::from(n)]);
    }
    asm!(a
        ; ldr x30, [x19, 30 * 8]
        ; ldr x18, [x19, 18 * 8]
        ; ldr x19, [x19, 19 * 8]
        ; eret

        // Out of the guest, to the caller of `run_guest`; X19 is the context, X20 the reason.
        ; ->leave:
    );
    for register in SWITCHED {
        asm!(a ; mrs x1, register ; str x1, [x19, system(register)]);
    }
    asm!(a
        // Its timer is stopped until it runs again.
        ; msr CNTV_CTL_EL0, xzr
        ; isb
        ; mov x0, x20
        ; ldp x21, x22, [sp, #16]
        ; ldp x23, x24, [sp, #32]
        ; ldp x25, x26, [sp, #48]
        ; ldp x27, x28, [sp, #64]
        ; ldp x29, x30, [sp, #80]
        ; ldp x19, x20, [sp], #96
        ; ret
    );
}

/// The first thing after an exception: every register of the guest goes to its context. Then X19 is the context. EL2's
/// stack lends a place for one register, until TPIDR_EL2 has said where the context is.
pub(super) fn save_guest(a: &mut Asm) {
    asm!(a
        ; str x19, [sp, #-16]!
        ; mrs x19, TPIDR_EL2
        ; str x18, [x19, 18 * 8]
    );
    for n in (0..30u8).step_by(2).filter(|n| *n != 18) {
        asm!(a ; stp X(n), X(n + 1), [x19, 8 * i32::from(n)]);
    }
    asm!(a
        ; str x30, [x19, 30 * 8]
        ; ldr x0, [sp], #16
        ; str x0, [x19, 19 * 8]
        ; mrs x0, ELR_EL2
        ; mrs x1, SPSR_EL2
        ; str x0, [x19, PC]
        ; str x1, [x19, PSTATE]
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_in_a_context_are_distinct() {
        assert_eq!(system(SCTLR_EL1), SYSTEM);
        assert_eq!(system(CNTV_CTL_EL0), SYSTEM + 8 * 23);
        const { assert!(PSTATE < RAM_IPA && REPORT < SYSTEM && SYSTEM + 8 * 24 < 4096) };
    }
}

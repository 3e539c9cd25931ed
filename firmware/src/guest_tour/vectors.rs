//! EL2's exception vectors, and the first question of every exit: why did the guest come here? (Arm ARM, D1.3)

use dynasmrt::{DynasmApi, DynasmLabelApi};

use super::asm::{Asm, asm, load, say};
use super::layout::EXIT_COUNTS;
use super::sysreg::{ELR_EL2, ESR_EL2, FAR_EL2, HPFAR_EL2};
use super::vcpu::{PC, save_guest};

/// Exception classes: ESR_EL2 bits 31:26 (Arm ARM, D24.2.40).
pub(super) mod class {
    /// WFI or WFE, because of HCR_EL2.TWI or TWE.
    pub(in super::super) const WFX: u32 = 0x01;
    /// HVC.
    pub(in super::super) const HVC: u32 = 0x16;
    /// SMC, because of HCR_EL2.TSC.
    pub(in super::super) const SMC: u32 = 0x17;
    /// A data access that stage 2 did not let through.
    pub(in super::super) const DATA_ABORT: u32 = 0x24;
}

/// Entries of the table for exceptions from a guest in AArch64 state: synchronous, and IRQ.
const GUEST_SYNC: u32 = 8;
const GUEST_IRQ: u32 = 9;

pub(super) fn emit(a: &mut Asm) {
    // Sixteen entries of 32 instructions: from EL2 with SP_EL0, EL2, a lower level in AArch64, in AArch32; and for each
    // of them synchronous, IRQ, FIQ, SError.
    asm!(a ; .align 2048, 0 ; ->vectors:);
    for entry in 0..16 {
        asm!(a ; .align 128, 0);
        match entry {
            GUEST_SYNC => asm!(a ; b ->guest_sync),
            GUEST_IRQ => asm!(a ; b ->guest_irq),
            _ => asm!(a ; mov x19, entry as u64 ; b ->unexpected_vector),
        }
    }
    exits(a);
    unexpected(a);
}

/// From a guest. Whoever handles the exit goes to `resume` or, with a reason in X20, to `leave`.
fn exits(a: &mut Asm) {
    asm!(a
        ; ->guest_sync:
        ;; save_guest(a)
        ; mrs x1, ESR_EL2
        ; lsr x2, x1, #26
        ;; load(a, 3, EXIT_COUNTS)
        ; ldr x4, [x3, x2, lsl #3]
        ; add x4, x4, #1
        ; str x4, [x3, x2, lsl #3]
        ; cmp x2, class::DATA_ABORT
        ; b.eq ->data_abort
        ; cmp x2, class::HVC
        ; b.eq ->hypercall
        ; cmp x2, class::WFX
        ; b.eq >waits
        ; cmp x2, class::SMC
        ; b.eq ->guest_smc
        ; b ->unexpected_exit

        // The guest has nothing to do until an interrupt. Nor has EL2, so it is EL2 that waits. Interrupts are masked here,
        // but a pending one ends WFI all the same.
        ; waits:
        ; ldr x0, [x19, PC]
        ; add x0, x0, #4
        ; str x0, [x19, PC]
        ; dsb sy
        ; wfi
        ; b >interrupt

        ; ->guest_irq:
        ;; save_guest(a)
        ; interrupt:
        ; bl ->take_interrupt
        ; cbz x0, ->resume
        ; mov x20, x0
        ; b ->leave
    );
}

/// Whatever is not foreseen ends the machine with all that EL2 knows about it.
fn unexpected(a: &mut Asm) {
    asm!(a
        ; ->unexpected_vector:
        ;; say(a, "\n   an exception that should not happen, vector ")
        ; mov x0, x19
        ; bl ->print_dec
        ; b >syndrome
        ; ->unexpected_exit:
        ;; say(a, "\n   a guest came to EL2 for a reason that is not handled")
        ; syndrome:
    );
    for (register, name) in
        [(ESR_EL2, "ESR_EL2"), (ELR_EL2, "ELR_EL2"), (FAR_EL2, "FAR_EL2"), (HPFAR_EL2, "HPFAR_EL2")]
    {
        say(a, &format!(", {name} "));
        asm!(a ; mrs x0, register ; bl ->print_hex);
    }
    asm!(a
        ;; say(a, "\n")
        ; b ->machine_off
        ; ->no_list_register:
        ;; say(a, "\n   all list registers are in use\n")
        ; b ->machine_off
    );
}

//! What guests ask for: HVC is a call to the hypervisor by choice; SMC would be one to the firmware, and is trapped. Both
//! follow the SMC calling convention (Arm DEN 0028): a function in X0, arguments from X1 on, a result in X0.

use dynasmrt::{DynasmApi, DynasmLabelApi};

use super::asm::{Asm, asm, load, say};
use super::layout::GUEST_RAM;
use super::psci::SYSTEM_OFF;
use super::sysreg::PAR_EL1;
use super::vcpu::{GPRS, OFF, PC, RAM_IPA, RAM_PA, REPORT, STEP};

/// Functions: fast calls with 64-bit arguments, of the range that is the hypervisor's own.
const BASE: u64 = 0xc600_0000;
/// Does nothing: what a call costs.
pub(super) const NOTHING: u64 = BASE;
/// Prints X2 bytes from IPA X1 as a line.
pub(super) const WRITE: u64 = BASE + 1;
/// A step of the tour is done; X1 is its result.
pub(super) const DONE: u64 = BASE + 2;
/// Shows how the virtual address X1 of the guest is translated.
pub(super) const TRANSLATE: u64 = BASE + 3;
/// The guest cannot go on; X1 says where.
pub(super) const FAIL: u64 = BASE + 4;
/// NOT_SUPPORTED.
const NOT_SUPPORTED: i64 = -1;

pub(super) fn emit(a: &mut Asm) {
    asm!(a
        ; ->hypercall:
        ; ldr x2, [x19, GPRS]
        ;; load(a, 3, BASE)
        ; sub x2, x2, x3
        ; cbz x2, >nothing
        ; cmp x2, (WRITE - BASE) as u32
        ; b.eq ->call_write
        ; cmp x2, (DONE - BASE) as u32
        ; b.eq >done
        ; cmp x2, (TRANSLATE - BASE) as u32
        ; b.eq ->call_translate
        ; cmp x2, (FAIL - BASE) as u32
        ; b.eq ->call_fail
        ; ->call_refused:
        ;; load(a, 0, NOT_SUPPORTED as u64)
        ; str x0, [x19, GPRS]
        ; b ->resume
        // ELR_EL2 of an HVC is already the instruction behind it.
        ; nothing:
        ; str xzr, [x19, GPRS]
        ; b ->resume
        ; done:
        ; ldr x1, [x19, GPRS + 8]
        ; str x1, [x19, REPORT]
        ; str xzr, [x19, GPRS]
        ; mov x20, STEP
        ; b ->leave

        // The guest cannot be allowed to turn the machine off. It may turn itself off.
        ; ->guest_smc:
        ; ldr x2, [x19, GPRS]
        ;; load(a, 3, SYSTEM_OFF)
        ; cmp x2, x3
        ; b.eq >off
        // ELR_EL2 of a trapped SMC is the SMC itself.
        ; ldr x0, [x19, PC]
        ; add x0, x0, #4
        ; str x0, [x19, PC]
        ; b ->call_refused
        ; off:
        ; mov x20, OFF
        ; b ->leave
    );
    write(a);
    translate(a);
    fail(a);
}

/// A guest's pointer is an IPA, and may be wrong by mistake or on purpose: it must lie in the guest's own RAM.
fn write(a: &mut Asm) {
    asm!(a
        ; ->call_write:
        ; ldp x22, x23, [x19, GPRS as i32 + 8]
        ; ldr x2, [x19, RAM_IPA]
        ; ldr x3, [x19, RAM_PA]
        ; sub x22, x22, x2
        ;; load(a, 4, GUEST_RAM)
        ; cmp x22, x4
        ; b.hs ->call_refused
        ; sub x4, x4, x22
        ; cmp x23, x4
        ; b.hi ->call_refused
        ; add x22, x22, x3
        ; add x23, x22, x23
        ;; say(a, "      two| ")
        ; next:
        ; cmp x22, x23
        ; b.eq >end
        ; ldrb w0, [x22], #1
        ; bl ->putc
        ; b <next
        ; end:
        ;; say(a, "\n")
        ; str xzr, [x19, GPRS]
        ; b ->resume
    );
}

/// The CPU itself can be asked: AT does a translation and leaves the result in PAR_EL1, stage 1 alone or both stages.
fn translate(a: &mut Asm) {
    asm!(a
        ; ->call_translate:
        ; ldr x22, [x19, GPRS + 8]
        ; mrs x23, PAR_EL1
        ;; say(a, "   AT: its VA ")
        ; mov x0, x22
        ; bl ->print_hex
        ;; say(a, " is IPA ")
        ; at s1e1r, x22
        ; bl >print_par
        ;; say(a, " by its stage 1, and PA ")
        ; at s12e1r, x22
        ; bl >print_par
        ;; say(a, " by ours\n")
        // The guest may be using PAR_EL1, too.
        ; msr PAR_EL1, x23
        ; str xzr, [x19, GPRS]
        ; b ->resume

        ; print_par:
        ; mov x24, x30
        ; isb
        ; mrs x0, PAR_EL1
        // PAR_EL1.F: no translation.
        ; tbnz x0, #0, ->unexpected_exit
        ; and x0, x0, #0xffff_ffff_f000
        ; and x1, x22, #0xfff
        ; orr x0, x0, x1
        ; bl ->print_hex
        ; br x24
    );
}

fn fail(a: &mut Asm) {
    asm!(a
        ; ->call_fail:
        ;; say(a, "   a guest cannot go on, at place ")
        ; ldr x0, [x19, GPRS + 8]
        ; bl ->print_dec
        ;; say(a, "\n")
        ; b ->machine_off
    );
}

//! PSCI, the standard for CPU and machine power (Arm DEN 0022). The machine serves it to EL2 by SMC.

use dynasmrt::DynasmLabelApi;

use super::asm::{Asm, asm, load, say};

/// Function SYSTEM_OFF.
pub(super) const SYSTEM_OFF: u64 = 0x8400_0008;

pub(super) fn emit(a: &mut Asm) {
    asm!(a
        // Turns the machine off. Does not return, but for a machine that cannot do it.
        ; ->machine_off:
        ;; load(a, 0, SYSTEM_OFF)
        ; smc #0
        ;; say(a, "the machine does not want to go off\n")
        ; forever:
        ; wfi
        ; b <forever
    );
}

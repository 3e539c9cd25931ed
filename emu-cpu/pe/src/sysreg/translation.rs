//! What translation knows of system registers and system instructions: where blocks end.
//!
//! A block runs without looking at interrupts, and is made for one [`emu_a64::mode::Mode`]. So what may change translation,
//! the Exception level, masks, pending interrupts or traps ends it. What only later instructions read, explicitly or when
//! an exception is taken, does not.

use emu_a64::features::FeatureSet;
use emu_a64::ir::SysEnc;
use emu_a64::lower::Implementation;

/// What translation knows of a PE with these features.
#[must_use]
pub const fn implementation(features: FeatureSet) -> Implementation {
    Implementation { features, ends_block }
}

/// True if a block ends behind a read (MRS), or else a write (MSR) or an execution (SYS).
#[must_use]
pub fn ends_block(enc: SysEnc, read: bool) -> bool {
    match (enc.parts(), read) {
        (_, true) => counts_instructions(enc),
        ((1, ..), false) => !is_harmless(enc),
        _ => !write_is_harmless(enc),
    }
}

/// Reads whose value includes the number of instructions executed, which is known at the end of a block: PMOVSCLR_EL0
/// and PMOVSSET_EL0, PMXEVCNTR_EL0, PMEVCNTR<n>_EL0, and with them PMCCNTR_EL0.
fn counts_instructions(enc: SysEnc) -> bool {
    matches!(enc.parts(), (3, 3, 9, 12, 3) | (3, 3, 9, 13, 0 | 2) | (3, 3, 9, 14, 3) | (3, 3, 14, 8..=11, _))
}

/// Writes after which a block can go on, because running code depends on none of these registers.
fn write_is_harmless(enc: SysEnc) -> bool {
    matches!(
        enc.parts(),
        // TPIDR_EL0, TPIDRRO_EL0, TPIDR_EL1, TPIDR_EL2; CONTEXTIDR_EL1, _EL2, _EL12.
        (3, 3, 13, 0, 2 | 3) | (3, 0 | 4, 13, 0, 4 | 1) | (3, 4, 13, 0, 2) | (3, 5, 13, 0, 1)
        // FPSR: cumulative bits only. (FPCR chooses how FP operations are translated.)
        | (3, 3, 4, 4, 1)
        // SPSR_EL1, ELR_EL1 and their _EL2 and _EL12 names; SP_EL0 and SP_EL1, which cannot be named while in use.
        | (3, 0 | 4 | 5, 4, 0, 0 | 1) | (3, 0 | 4, 4, 1, 0)
        // AFSR0, AFSR1, ESR, FAR, and HPFAR_EL2.
        | (3, 0 | 4 | 5, 5, 1, 0 | 1) | (3, 0 | 4 | 5, 5, 2, 0) | (3, 0 | 4 | 5, 6, 0, 0) | (3, 4, 6, 0, 4)
        // VBAR, PAR_EL1, CSSELR_EL1.
        | (3, 0 | 4 | 5, 12, 0, 0) | (3, 0, 7, 4, 0) | (3, 2, 0, 0, 0)
        // ICH_LR<n>_EL2: EL2, where they are written, takes no virtual interrupt.
        | (3, 4, 12, 12 | 13, _)
    )
}

/// System instructions after which a block can go on: data cache maintenance and DC ZVA.
fn is_harmless(enc: SysEnc) -> bool {
    matches!(enc.parts(), (1, 0, 7, 6 | 10 | 14, _) | (1, 3, 7, 4 | 10 | 11 | 12 | 13 | 14, _))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_end_behind_what_changes_how_code_runs() {
        let ends = |word: u32| ends_block(SysEnc::from_insn(word), word >> 21 & 1 != 0);
        for word in [
            0xd51b_d040, /* msr tpidr_el0, x0 */
            0xd518_4020, /* msr elr_el1, x0 */
            0xd518_4100, /* msr sp_el0, x0 */
            0xd51b_4420, /* msr fpsr, x0 */
            0xd51c_c000, /* msr vbar_el2, x0 */
            0xd51c_cc60, /* msr s3_4_c12_c12_3, x0 */
            0xd50b_7e20, /* dc civac, x0 */
            0xd50b_7420, /* dc zva, x0 */
            0xd53b_4220, /* mrs x0, daif */
            0xd53b_9ca0, /* mrs x0, pmselr_el0 */
            0xd518_d020, /* msr contextidr_el1, x0 */
            0xd51d_4000, /* msr spsr_el12, x0 */
            0xd51c_6080, /* msr hpfar_el2, x0 */
            0xd518_5120, /* msr afsr1_el1, x0 */
        ] {
            assert!(!ends(word), "{word:08x}");
        }
        for word in [
            0xd51b_4400, /* msr fpcr, x0 */
            0xd518_1000, /* msr sctlr_el1, x0 */
            0xd518_2000, /* msr ttbr0_el1, x0 */
            0xd51b_4220, /* msr daif, x0 */
            0xd51c_1100, /* msr hcr_el2, x0 */
            0xd508_871f, /* tlbi vmalle1 */
            0xd508_751f, /* ic iallu */
            0xd508_7800, /* at s1e1r, x0 */
            0xd51b_e320, /* msr cntv_ctl_el0, x0 */
            0xd53b_9d00, /* mrs x0, pmccntr_el0 */
        ] {
            assert!(ends(word), "{word:08x}");
        }
    }
}

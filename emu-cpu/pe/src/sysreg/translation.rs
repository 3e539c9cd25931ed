//! What translation knows of system registers and system instructions: where blocks end.
//!
//! A block runs without looking at interrupts, and is made for one [`emu_a64::mode::Mode`]. So what may change translation,
//! the Exception level, masks, pending interrupts or traps ends it ([`super::Effect`]), and so does what is asked for the
//! number of instructions executed ([`super::Source`]).

use emu_a64::features::FeatureSet;
use emu_a64::ir::SysEnc;
use emu_a64::lower::Implementation;

use super::table::row;

/// What translation knows of a PE with these features.
#[must_use]
pub const fn implementation(features: FeatureSet) -> Implementation {
    Implementation { features, ends_block }
}

/// True if a block ends behind a read (MRS), or else a write (MSR) or an execution (SYS). What is not there raises an
/// exception, which ends it anyway.
fn ends_block(enc: SysEnc, read: bool) -> bool {
    row(enc).map_or(!read, |row| row.ends_block(read))
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

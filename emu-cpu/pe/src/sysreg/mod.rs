//! The table of system registers and system instructions, their access rules and effects.
//!
//! Every register and instruction is one [`Row`]: encoding, name, feature, who may access it, what traps an access,
//! where the value lives and what a write does; and what an engine asks: where blocks end, what can be done twice, what host
//! code does by itself. MRS, MSR and SYS ask the same rows, and so do translation, lockstep, reset, the debugger and
//! documentation.

mod access;
pub use access::Direct;
mod bits;
mod fine;
mod insn;
mod permits;
pub use permits::{DCZID, Permits};
mod row;
mod special;
mod state;
mod table;
mod table_control;
mod table_debug;
mod table_gic;
mod table_id;
mod table_impdef;
mod table_insn;
mod table_pmu;
mod table_pstate;
mod table_timer;
#[cfg(test)]
mod tests;
mod translation;
mod trap;

pub use bits::{cptr, hcr, hcrx, mdcr, sctlr};
pub use fine::{Fine, Group};
pub use insn::{AtOp, DcOp, IcOp, Reach, SysInsn, TlbiOp};
pub use row::{Cell, Effect, InLine, Moved, Perm, Perms, ReadFn, ResetFn, Row, Source, WriteFn};
pub use state::{Reg, SysState};
pub use table::{row, rows};
pub use translation::implementation;
pub use trap::Trap;

use emu_a64::features::{Feat, FeatureSet};
use emu_a64::level::{El, Levels};

/// The value of HCR_EL2 that the PE acts on, which is not always the one that it reads back (Arm ARM, HCR_EL2).
#[must_use]
pub fn effective_hcr(stored: u64, levels: Levels, features: FeatureSet) -> u64 {
    /// What a host ({E2H, TGE} = {1, 1}) keeps.
    const HOST: u64 =
        hcr::E2H | hcr::TGE | hcr::HCD | hcr::APK | hcr::API | hcr::FWB | hcr::TEA | hcr::FIEN | hcr::ENSCXT;
    if !levels.contains(El::El2) {
        return hcr::RW;
    }
    // EL1 is AArch64 only: RW is RAO/WI.
    let mut h = stored | hcr::RW;
    if !features.has(Feat::Vhe) {
        h &= !hcr::E2H;
    }
    match (h & hcr::E2H != 0, h & hcr::TGE != 0) {
        (true, true) => h & HOST | hcr::RW,
        (false, true) => h | hcr::FMO | hcr::IMO | hcr::AMO,
        _ => h,
    }
}

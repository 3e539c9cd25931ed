//! PAR_EL1, the result of an AT instruction (Arm ARM D24.2.146, AArch64.AT).
//!
//! The caller turns the instruction into a regime and a [`crate::Request`] with [`Access::AtRead`] or
//! [`Access::AtWrite`] (`stage1_only` for AT S1*), translates, and gives the outcome to [`par`].
//!
//! [`Access::AtRead`]: crate::Access::AtRead
//! [`Access::AtWrite`]: crate::Access::AtWrite

use emu_core::Security;

use crate::attributes::MemAttrs;
use crate::fault::{Fault, FaultKind, Stage};
use crate::walker::Translation;

/// PAR_EL1 bit 11 in the 64-bit format.
const RES1: u64 = 1 << 11;
/// PAR_EL1.NS.
const NS: u64 = 1 << 9;

/// The value of PAR_EL1, or the fault that the AT instruction itself takes: an external abort on the walk, or, executed
/// at EL1, a stage 2 fault on the walk of stage 1.
pub fn par(result: &Result<Translation, Fault>, executed_at_el1: bool) -> Result<u64, Fault> {
    match result {
        Ok(t) => Ok(success(t)),
        Err(f) if f.kind == FaultKind::ExternalAbortOnWalk || executed_at_el1 && f.s1ptw => Err(*f),
        Err(f) => Ok(failure(f)),
    }
}

fn success(t: &Translation) -> u64 {
    let page = t.pa.0 & 0x00ff_ffff_ffff_f000;
    let ns = if t.pa.space() == Security::NonSecure { NS } else { 0 };
    u64::from(t.attrs.mair()) << 56 | page | RES1 | ns | shareability(t.attrs) << 7
}

fn shareability(attrs: MemAttrs) -> u64 {
    u64::from(attrs.effective().sh.bits())
}

fn failure(f: &Fault) -> u64 {
    let stage2 = u64::from(f.stage == Stage::S2) << 9;
    RES1 | stage2 | u64::from(f.s1ptw) << 8 | u64::from(f.status_code()) << 1 | 1
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::attributes::Shareability;
    use crate::permissions::Permissions;
    use emu_core::{Ipa, Pa};

    fn translation(attr: u8, sh: Shareability) -> Translation {
        Translation {
            pa: Pa(0x1_4020_1234),
            ipa: Ipa(0),
            s1_bits: 12,
            s2_bits: 64,
            s1_level: Some(3),
            s2_level: None,
            attrs: MemAttrs::from_mair(attr, sh, false),
            permissions: Permissions::all(),
            write_needs_update: false,
            not_global: false,
            contiguous: false,
            guarded: false,
        }
    }

    #[test]
    fn success_values() {
        assert_eq!(par(&Ok(translation(0xff, Shareability::Inner)), true), Ok(0xff00_0001_4020_1b80));
        assert_eq!(par(&Ok(translation(0x04, Shareability::Inner)), true), Ok(0x0400_0001_4020_1b00));
        assert_eq!(par(&Ok(translation(0xbb, Shareability::Non)), true), Ok(0xbb00_0001_4020_1a00));
        let t = translation(0xff, Shareability::Inner);
        let secure = Translation { pa: t.pa.in_space(Security::Secure), ..t };
        assert_eq!(par(&Ok(secure), true), Ok(0xff00_0001_4020_1980));
    }

    #[test]
    fn fault_values() {
        let f = Fault {
            kind: FaultKind::Translation,
            level: 2,
            stage: Stage::S1,
            s1ptw: false,
            va: 0,
            ipa: None,
            write: true,
            descriptor: None,
            update: false,
        };
        assert_eq!(par(&Err(f), true), Ok(0x80d));
        let s2 = Fault { stage: Stage::S2, kind: FaultKind::Permission, level: 3, ..f };
        assert_eq!(par(&Err(s2), true), Ok(0xa1f));
        let ptw = Fault { s1ptw: true, ..s2 };
        assert_eq!(par(&Err(ptw), false), Ok(0xb1f));
        assert_eq!(par(&Err(ptw), true), Err(ptw));
        let abort = Fault { kind: FaultKind::ExternalAbortOnWalk, ..f };
        assert_eq!(par(&Err(abort), false), Err(abort));
    }
}

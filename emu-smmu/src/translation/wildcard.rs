//! VMID wildcards (Arm IHI 0070, 3.17.6): VMIDs that differ in their lowest bits alone are a group, and what an invalidation names of
//! one of them it names of all. Lookups know nothing of that.

use emu_mmu::{Regime, TlbiScope};

/// The most bits that can be ignored (CR0.VMW).
pub(super) const MOST: u8 = 4;

/// An invalidation, of each VMID of the group that it names one of, if it names one.
pub(super) fn of_group(scope: &TlbiScope, ignored: u8) -> impl Iterator<Item = TlbiScope> {
    let scope = *scope;
    let members = match vmid(&scope) {
        Some(_) => 1 << ignored.min(MOST),
        None => 1,
    };
    (0..members).map(move |n: u16| {
        let mut scope = scope;
        if let TlbiScope::Context { vmid, .. }
        | TlbiScope::Asid { vmid, .. }
        | TlbiScope::Va { vmid, .. }
        | TlbiScope::Ipa { vmid, .. } = &mut scope
        {
            *vmid ^= n;
        }
        scope
    })
}

/// The VMID that is named. EL2 has none.
const fn vmid(scope: &TlbiScope) -> Option<u16> {
    match scope {
        TlbiScope::Context { regime: Regime::El10, vmid }
        | TlbiScope::Asid { regime: Regime::El10, vmid, .. }
        | TlbiScope::Va { regime: Regime::El10, vmid, .. }
        | TlbiScope::Ipa { vmid, .. } => Some(*vmid),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn vmids(scope: TlbiScope, ignored: u8) -> Vec<u16> {
        let mut all: Vec<u16> = of_group(&scope, ignored).map(|s| vmid(&s).unwrap()).collect();
        all.sort_unstable();
        all
    }

    /// 6.3.9, VMW: VMID[N:1] to VMID[N:4].
    #[test]
    fn the_lowest_bits_of_a_vmid_are_ignored() {
        let ipa = |vmid| TlbiScope::Ipa { vmid, start: 0x1000, end: 0x1fff };
        assert_eq!(vmids(ipa(0x20), 0), [0x20]);
        assert_eq!(vmids(ipa(0x21), 1), [0x20, 0x21]);
        assert_eq!(vmids(ipa(0xfffe), 2), [0xfffc, 0xfffd, 0xfffe, 0xffff]);
        let regime = Regime::El10;
        for scope in [
            ipa(0x2b),
            TlbiScope::Context { regime, vmid: 0x2b },
            TlbiScope::Asid { regime, vmid: 0x2b, asid: 9 },
            TlbiScope::Va { regime, vmid: 0x2b, asid: None, start: 0, end: 0xfff },
        ] {
            assert_eq!(vmids(scope, 3), Vec::from_iter(0x28..0x30));
            assert_eq!(vmids(scope, 4), Vec::from_iter(0x20..0x30));
        }
    }

    #[test]
    fn what_names_no_vmid_has_no_group() {
        for scope in [
            TlbiScope::AllEl1,
            TlbiScope::AllEl2,
            TlbiScope::Context { regime: Regime::El2, vmid: 0 },
            TlbiScope::Asid { regime: Regime::El20, vmid: 0, asid: 9 },
        ] {
            assert_eq!(Vec::from_iter(of_group(&scope, 4)), [scope]);
        }
    }
}

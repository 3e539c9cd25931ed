//! Faults of translation and their syndrome (Arm ARM D8.15, D1.3.6, EncodeLDFSC).

use std::fmt;

use emu_core::Pa;

/// A stage of translation.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Stage {
    /// VA to IPA.
    S1,
    /// IPA to PA.
    S2,
}

/// What went wrong.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum FaultKind {
    /// An invalid descriptor, or an address that the tables do not cover.
    Translation,
    /// The access flag is clear and hardware does not set it.
    AccessFlag,
    /// The access is not allowed.
    Permission,
    /// An address in a table base, a descriptor or the output is too large.
    AddressSize,
    /// An unaligned access to Device memory.
    Alignment,
    /// Reading or updating a descriptor met an external abort.
    ExternalAbortOnWalk,
    /// More than one TLB entry matched; made by TLBs that can see it.
    TlbConflict,
    /// A descriptor lies in memory that has no atomic updates.
    UnsupportedAtomicUpdate,
}

/// A translation that failed, with everything that its syndrome needs.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Fault {
    /// What went wrong.
    pub kind: FaultKind,
    /// Lookup level, -1..=3.
    pub level: i8,
    /// The stage that faulted: which exception level takes it.
    pub stage: Stage,
    /// A stage 2 fault on the walk of stage 1 (ESR_ELx.S1PTW).
    pub s1ptw: bool,
    /// The faulting virtual address, with its tag (FAR_ELx).
    pub va: u64,
    /// For stage 2: the intermediate physical address (HPFAR_EL2 has bits 12 and up).
    pub ipa: Option<u64>,
    /// ESR_ELx.WnR: a write, cache maintenance or address translation; for an atomic access, a write whose read
    /// would have succeeded. A fault on a walk has the value of the access that caused the walk.
    pub write: bool,
    /// Where the descriptor is that an external abort was met at.
    pub descriptor: Option<Pa>,
    /// What failed was the update of a descriptor by hardware, not a read: at stage 2 with [`Fault::s1ptw`], or with an
    /// external abort.
    pub update: bool,
}

impl Fault {
    /// The 6-bit DFSC, IFSC or PAR_EL1.FST.
    #[must_use]
    pub const fn status_code(&self) -> u8 {
        let level = (self.level & 3) as u8;
        let minus_one = self.level < 0;
        match self.kind {
            FaultKind::AddressSize if minus_one => 0b10_1001,
            FaultKind::AddressSize => level,
            FaultKind::Translation if minus_one => 0b10_1011,
            FaultKind::Translation => 0b00_0100 | level,
            FaultKind::AccessFlag => 0b00_1000 | level,
            FaultKind::Permission => 0b00_1100 | level,
            FaultKind::ExternalAbortOnWalk if minus_one => 0b01_0011,
            FaultKind::ExternalAbortOnWalk => 0b01_0100 | level,
            FaultKind::Alignment => 0b10_0001,
            FaultKind::TlbConflict => 0b11_0000,
            FaultKind::UnsupportedAtomicUpdate => 0b11_0001,
        }
    }

    /// HPFAR_EL2 for this fault: FIPA in bits 47:4. Of a fault of stage 2 the address is always known; the architecture
    /// (D24.2.67) leaves it out where software can find it by itself.
    #[must_use]
    pub fn hpfar(&self) -> Option<u64> {
        self.ipa.filter(|_| self.stage == Stage::S2).map(|ipa| (ipa >> 12) << 4)
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match self.kind {
            FaultKind::Translation => "translation fault",
            FaultKind::AccessFlag => "access flag fault",
            FaultKind::Permission => "permission fault",
            FaultKind::AddressSize => "address size fault",
            FaultKind::Alignment => "alignment fault",
            FaultKind::ExternalAbortOnWalk => "external abort on walk",
            FaultKind::TlbConflict => "TLB conflict",
            FaultKind::UnsupportedAtomicUpdate => "unsupported atomic update of a descriptor",
        };
        let stage = if self.stage == Stage::S1 { 1 } else { 2 };
        write!(f, "stage {stage} {kind}, level {}, VA {:#x}", self.level, self.va)?;
        if let Some(ipa) = self.ipa {
            write!(f, ", IPA {ipa:#x}")?;
        }
        if self.s1ptw { f.write_str(", on the walk of stage 1") } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const F: Fault = Fault {
        kind: FaultKind::Translation,
        level: 0,
        stage: Stage::S1,
        s1ptw: false,
        va: 0,
        ipa: None,
        write: false,
        descriptor: None,
        update: false,
    };

    #[test]
    fn status_codes() {
        let code = |kind, level| Fault { kind, level, ..F }.status_code();
        assert_eq!(code(FaultKind::Translation, 0), 0x04);
        assert_eq!(code(FaultKind::Translation, 3), 0x07);
        assert_eq!(code(FaultKind::Translation, -1), 0x2b);
        assert_eq!(code(FaultKind::AddressSize, 0), 0x00);
        assert_eq!(code(FaultKind::AddressSize, -1), 0x29);
        assert_eq!(code(FaultKind::AccessFlag, 1), 0x09);
        assert_eq!(code(FaultKind::Permission, 3), 0x0f);
        assert_eq!(code(FaultKind::ExternalAbortOnWalk, 2), 0x16);
        assert_eq!(code(FaultKind::ExternalAbortOnWalk, -1), 0x13);
        assert_eq!(code(FaultKind::Alignment, 3), 0x21);
        assert_eq!(code(FaultKind::TlbConflict, 0), 0x30);
        assert_eq!(code(FaultKind::UnsupportedAtomicUpdate, 0), 0x31);
    }

    #[test]
    fn hpfar() {
        let s2 = Fault { stage: Stage::S2, ipa: Some(0x4_1234_5678), ..F };
        assert_eq!(s2.hpfar(), Some(0x0412_3450));
        assert_eq!(Fault { kind: FaultKind::Permission, ..s2 }.hpfar(), Some(0x0412_3450));
        assert!(Fault { kind: FaultKind::Permission, s1ptw: true, ..s2 }.hpfar().is_some());
        assert_eq!(F.hpfar(), None);
    }
}

//! Registers that do something when they are written (Arm IHI 0062): TLB maintenance, address translation operations,
//! synchronization and RESUME.

use emu_core::Security;
use emu_core::bus::BusView;
use emu_core::dma::MemoryType;
use emu_core::table::TableBus;
use emu_mmu::{Fault, Features, Regime, Stage, Stage1, Translation, translate_and_commit};
use std::sync::Arc;

use super::fault::status;
use super::registers::{Bank, VMID16EN};
use crate::translation::{Access, Context, Scope, Transaction};

/// What a write of a register does.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Command {
    /// TLBI*: takes translations away.
    Invalidate(Tlbi),
    /// sTLBGSYNC, CBn_TLBSYNC: waits until that has an effect.
    Sync,
    /// CBn_RESUME: answers the stalled transaction.
    Resume,
    /// GATS*, CBn_ATS*: translates an address.
    Translate(Translate),
}

/// What a TLBI register invalidates. The last-level forms are the same: no intermediate levels are kept.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Tlbi {
    /// Everything of a VMID: TLBIVMID, TLBIVMIDS1.
    Vmid,
    /// All that is not EL2's: TLBIALLNSNH.
    AllNsnh,
    /// All that is EL2's: TLBIALLH.
    AllH,
    /// An address of EL2, in bits 31:12: TLBIVAH.
    VaH32,
    /// An address of EL2, in units of 4 KiB: TLBIVAH64, TLBIVALH64.
    VaH,
    /// An address and an ASID, of the context bank's VMID.
    Va,
    /// An address of whatever ASID.
    Vaa,
    /// An ASID.
    Asid,
    /// All of the context bank's VMID.
    All,
    /// An intermediate physical address.
    Ipa,
}

/// An address translation operation.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Translate {
    pub(super) write: bool,
    pub(super) privileged: bool,
    /// Of both stages, rather than of stage 1.
    pub(super) both: bool,
}

/// The page of 4 KiB whose number is in the lower bits of `operand`, as an inclusive range.
const fn page(operand: u64, bits: u32) -> (u64, u64) {
    let start = (operand & ((1 << bits) - 1)) << 12;
    (start, start | 0xfff)
}

/// The same of a virtual address, whose bit 55 is its sign in a regime with two halves.
const fn virtual_page(operand: u64, regime: Regime) -> (u64, u64) {
    let (start, end) = page(operand, 44);
    let sign = if regime.has_unprivileged() && start >> 55 == 1 { 0xff << 56 } else { 0 };
    (start | sign, end | sign)
}

/// A page of EL2, whose number has so many bits.
const fn hypervisor_page(number: u64, bits: u32) -> Scope {
    let (start, end) = page(number, bits);
    Scope::Va { regime: Regime::El2, vmid: 0, asid: None, start, end }
}

impl Tlbi {
    /// What it names, of a global register.
    pub(super) const fn global(self, operand: u64, cr0: u32) -> Option<Scope> {
        Some(match self {
            Self::Vmid => {
                let mask = if cr0 & VMID16EN != 0 { 0xffff } else { 0xff };
                Scope::Context { regime: Regime::El10, vmid: operand as u16 & mask }
            }
            Self::AllNsnh => Scope::AllEl1,
            Self::AllH => Scope::AllEl2,
            Self::VaH32 => hypervisor_page(operand >> 12, 20),
            Self::VaH => hypervisor_page(operand, 44),
            _ => return None,
        })
    }

    /// What it names, of a context bank's register.
    pub(super) fn of(self, bank: &Bank, operand: u64, cr0: u32) -> Option<Scope> {
        let regime = bank.regime();
        let vmid = if regime.has_stage2() { bank.vmid(cr0) } else { 0 };
        let va = |asid| {
            let (start, end) = virtual_page(operand, regime);
            Scope::Va { regime, vmid, asid, start, end }
        };
        Some(match self {
            Self::Va if regime.has_asids() => va(Some(bank.asid((operand >> 48) as u16))),
            Self::Va | Self::Vaa => va(None),
            Self::Asid if regime.has_asids() => Scope::Asid { regime, vmid, asid: bank.asid(operand as u16) },
            Self::Asid | Self::All => Scope::Context { regime, vmid },
            Self::Ipa => {
                let (start, end) = page(operand, 36);
                Scope::Ipa { vmid, start, end }
            }
            _ => return None,
        })
    }
}

impl Translate {
    /// The address of an operand, and the context bank that a global operation names in its lower bits.
    pub(super) const fn target(self, operand: u64, bank: Option<usize>) -> (usize, u64) {
        let n = match bank {
            Some(n) => n,
            None => operand as usize & 0xff,
        };
        (n, operand & !0xfff)
    }

    /// PAR, or GPAR: where an address goes under a context.
    pub(super) fn run(
        self,
        address: u64,
        context: &Context,
        features: &Features,
        memory: &TableBus<Arc<BusView>>,
    ) -> u64 {
        let transaction = Transaction {
            stream: 0,
            substream: None,
            address,
            access: if self.write { Access::Write } else { Access::Read },
            privileged: self.privileged,
            instruction: false,
            security: Security::NonSecure,
            memory: MemoryType::WriteBack,
            translated: false,
            may_stall: false,
        };
        let stage1 = context.stage1.unwrap_or_else(|| Stage1::bypass(features, Security::NonSecure));
        let mut request = context.request(&transaction);
        request.stage1_only = !self.both;
        result(&translate_and_commit(&stage1, context.stage2.as_ref(), features, &request, memory))
    }
}

/// PAR in its form of 64 bits. An address has ATTR, NS, SH and PA; a fault has F and the bits of FSR, PLVL in 33:32 and STAGE in 35.
fn result(translation: &Result<Translation, Fault>) -> u64 {
    match translation {
        Ok(t) => {
            let attributes = t.attrs.effective();
            let page = t.pa.0 & 0xffff_ffff_f000;
            u64::from(t.attrs.mair()) << 56 | page | 1 << 9 | u64::from(attributes.sh.bits()) << 7
        }
        Err(fault) => {
            let stage = u64::from(fault.stage == Stage::S2) << 35;
            stage | (fault.level as u64 & 3) << 32 | u64::from(status(fault.kind)) | 1
        }
    }
}

/// PAR of an operation on a context bank that is not there, or has nothing to translate by.
pub(super) const NO_CONTEXT: u64 = 1;

#[cfg(test)]
mod tests {
    use super::*;

    fn bank(cbar: u32, tcr2: u32) -> Bank {
        Bank { cbar, cba2r: 0x1234_0001, tcr2, ..Bank::default() }
    }

    #[test]
    fn global_registers_name_vmids_and_regimes() {
        let context = |vmid| Some(Scope::Context { regime: Regime::El10, vmid });
        assert_eq!(Tlbi::Vmid.global(0xabcd, 0), context(0xcd));
        assert_eq!(Tlbi::Vmid.global(0xabcd, 1 << 31), context(0xabcd));
        assert_eq!(Tlbi::AllNsnh.global(0, 0), Some(Scope::AllEl1));
        assert_eq!(Tlbi::AllH.global(0, 0), Some(Scope::AllEl2));
        let el2 = |start, end| Some(Scope::Va { regime: Regime::El2, vmid: 0, asid: None, start, end });
        assert_eq!(Tlbi::VaH32.global(0x1234_5678, 0), el2(0x1234_5000, 0x1234_5fff));
        assert_eq!(Tlbi::VaH.global(0x1_2345_6789, 0), el2(0x1234_5678_9000, 0x1234_5678_9fff));
        assert_eq!(Tlbi::Ipa.global(0, 0), None);
    }

    #[test]
    fn registers_of_a_bank_name_what_is_of_its_vmid() {
        let (b, regime) = (bank(0x0001_0007, 1 << 4), Regime::El10);
        let va = |vmid, asid, start| Some(Scope::Va { regime, vmid, asid, start, end: start | 0xfff });
        let operand = 0x0105_0000_0001_2345;
        assert_eq!(Tlbi::Va.of(&b, operand, 0), va(7, Some(0x105), 0x1234_5000));
        assert_eq!(Tlbi::Va.of(&bank(0x0001_0007, 0), operand, 0), va(7, Some(5), 0x1234_5000));
        assert_eq!(Tlbi::Vaa.of(&b, operand, 1 << 31), va(0x1234, None, 0x1234_5000));
        assert_eq!(
            Tlbi::Vaa.of(&b, 0x0fff_ffff_ffff, 0),
            va(7, None, 0xffff_ffff_ffff_f000),
            "the upper half"
        );
        assert_eq!(Tlbi::Asid.of(&b, 0x105, 0), Some(Scope::Asid { regime, vmid: 7, asid: 0x105 }));
        assert_eq!(Tlbi::All.of(&b, 0, 0), Some(Scope::Context { regime, vmid: 7 }));
        let ipa = Tlbi::Ipa.of(&bank(9, 0), 0x8_0000, 0);
        assert_eq!(ipa, Some(Scope::Ipa { vmid: 9, start: 0x8000_0000, end: 0x8000_0fff }));
        assert_eq!(Tlbi::AllNsnh.of(&b, 0, 0), None);
    }

    #[test]
    fn registers_of_a_hypervisors_bank_name_el2() {
        let (b, regime) = (bank(0x0001_0407, 0), Regime::El2);
        let va = Scope::Va { regime, vmid: 0, asid: None, start: 0x5000, end: 0x5fff };
        assert_eq!(Tlbi::Va.of(&b, 0x0009_0000_0000_0005, 0), Some(va));
        assert_eq!(Tlbi::All.of(&b, 0, 0), Some(Scope::Context { regime, vmid: 0 }));
    }

    #[test]
    fn a_global_translation_names_its_bank_in_the_lower_bits() {
        let op = Translate { write: false, privileged: true, both: true };
        assert_eq!(op.target(0x1234_5006, None), (6, 0x1234_5000));
        assert_eq!(op.target(0x1234_5678, Some(2)), (2, 0x1234_5000));
    }
}

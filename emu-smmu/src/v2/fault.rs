//! Faults and their syndromes (Arm IHI 0062): of a context bank (SMMU_CBn_FSR, FSYNR0, FAR), and global
//! ones (SMMU_sGFSR, GFSYNR0, GFAR).

use emu_mmu::{Fault, FaultKind, Stage};

use super::registers::{Bank, Registers};
use crate::translation::{Access, Context, Transaction};

/// MULTI, of both kinds: another fault came while one was recorded.
pub(super) const MULTI: u32 = 1 << 31;

/// CBn_FSR.SS: a transaction is stalled.
pub(super) const SS: u32 = 1 << 30;
/// CBn_FSR: TF, AFF, PF, EF, TLBMCF, TLBLKF, ASF and UUT.
pub(super) const FAULTS: u32 = 0x1fe;
/// CBn_FSR.FORMAT, and its value for VMSAv8-64 tables.
const FORMAT: u32 = 3 << 9;
const FORMAT_AARCH64: u32 = 2 << 9;
/// What there is of CBn_FSR.
pub(super) const FSR: u32 = MULTI | SS | FORMAT | FAULTS;

/// sGFSR: ICF to UUT.
pub(super) const GFSR: u32 = MULTI | 0x1ff;

/// A global fault, by the number of its bit in sGFSR.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u32)]
pub(super) enum GlobalFault {
    /// ICF: the stream, or its context, is one that faults, or one that cannot be.
    InvalidContext = 0,
    /// USF: the stream matches no group.
    UnidentifiedStream = 1,
    /// SMCF: it matches several.
    StreamMatchConflict = 2,
    /// UCBF: it leads to a context bank that is not there.
    UnimplementedContextBank = 3,
}

impl Registers {
    /// Records a global fault; of a second one, only that it came. `nested` says that a context led to it, not the stream.
    pub(super) fn record_global(&mut self, fault: GlobalFault, nested: bool, t: &Transaction) {
        if self.gfsr != 0 {
            self.gfsr |= MULTI;
            return;
        }
        self.gfsr = 1 << fault as u32;
        self.gfar = t.address;
        // Nested, WNR, PNU, IND, NSATTR.
        self.gfsynr0 = u32::from(nested)
            | u32::from(t.access != Access::Read) << 1
            | u32::from(t.privileged) << 2
            | u32::from(t.instruction) << 3
            | 1 << 5;
        self.gfsynr1 = t.stream & 0xffff;
    }

    /// Software clears faults by writing ones.
    pub(super) fn clear_global(&mut self, ones: u32) {
        self.gfsr &= !ones;
    }
}

/// CBn_FSR's bit of a fault.
pub(super) const fn status(kind: FaultKind) -> u32 {
    match kind {
        FaultKind::Translation => 1 << 1,
        FaultKind::AccessFlag => 1 << 2,
        FaultKind::Permission => 1 << 3,
        FaultKind::ExternalAbortOnWalk | FaultKind::UnsupportedAtomicUpdate => 1 << 4,
        FaultKind::TlbConflict => 1 << 5,
        FaultKind::AddressSize => 1 << 7,
        FaultKind::Alignment => 1 << 8,
    }
}

/// The fault came with a walk of tables: stage 2 refused a table of stage 1, or it could not be read.
const fn on_walk(fault: &Fault) -> bool {
    fault.s1ptw || matches!(fault.kind, FaultKind::ExternalAbortOnWalk | FaultKind::UnsupportedAtomicUpdate)
}

/// CBn_FSYNR0: PLVL, WNR, PNU, IND, NSATTR, PTWF and S1CBNDX.
fn syndrome(t: &Transaction, context: &Context, fault: &Fault) -> u32 {
    let [stage1, stage2] = context.banks;
    let through = if fault.stage == Stage::S2 && stage1 != stage2 { stage1 } else { 0 };
    (fault.level as u32 & 3)
        | u32::from(t.access != Access::Read) << 4
        | u32::from(t.privileged) << 5
        | u32::from(t.instruction) << 6
        | 1 << 8
        | u32::from(on_walk(fault)) << 10
        | u32::from(through) << 16
}

impl Bank {
    /// A fault is recorded that software has not cleared, or a transaction is stalled.
    pub(super) const fn has_fault(&self) -> bool {
        self.fsr & (MULTI | SS | FAULTS) != 0
    }

    /// Records a fault of a transaction that has the attributes of the context. False if there is one already: then only that
    /// another one came.
    pub(super) fn record(&mut self, t: &Transaction, context: &Context, fault: &Fault) -> bool {
        if self.has_fault() {
            self.fsr |= MULTI;
            return false;
        }
        self.fsr = FORMAT_AARCH64 | status(fault.kind);
        self.fsynr0 = syndrome(t, context, fault);
        self.far = fault.va;
        self.ipafar = fault.ipa.unwrap_or(0);
        self.cbfrsynra = t.stream & 0xffff;
        true
    }

    /// Software clears faults by writing ones. SS goes with a write of RESUME only.
    pub(super) fn clear(&mut self, ones: u32) {
        self.fsr &= !(ones & (MULTI | FAULTS));
        if !self.has_fault() {
            self.fsr = 0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::v2::Profile;
    use emu_core::Security;
    use emu_core::dma::MemoryType;

    const T: Transaction = Transaction {
        stream: 0x4321,
        substream: None,
        address: 0x1234_5678,
        access: Access::Write,
        privileged: true,
        instruction: false,
        security: Security::NonSecure,
        memory: MemoryType::WriteBack,
        translated: false,
        may_stall: false,
    };

    const F: Fault = Fault {
        kind: FaultKind::Translation,
        level: 3,
        stage: Stage::S1,
        s1ptw: false,
        va: 0x1234_5678,
        ipa: None,
        write: true,
        descriptor: None,
        update: false,
    };

    #[test]
    fn every_kind_has_its_bit_of_fsr() {
        use FaultKind::*;
        let bits =
            [Translation, AccessFlag, Permission, ExternalAbortOnWalk, TlbConflict, AddressSize, Alignment];
        assert_eq!(bits.map(status), [0x2, 0x4, 0x8, 0x10, 0x20, 0x80, 0x100]);
    }

    #[test]
    fn a_fault_of_stage_1_is_recorded_with_its_syndrome() {
        let mut bank = Bank::default();
        assert!(bank.record(&T, &Context { banks: [5, 5], ..Context::default() }, &F));
        // FORMAT 2, TF; level 3, WNR, PNU, NSATTR.
        assert_eq!((bank.fsr, bank.fsynr0), (0x402, 0x133));
        assert_eq!((bank.far, bank.ipafar, bank.cbfrsynra), (0x1234_5678, 0, 0x4321));
    }

    #[test]
    fn a_fault_of_stage_2_names_its_ipa_and_the_bank_of_stage_1() {
        let mut bank = Bank::default();
        let fault = Fault {
            kind: FaultKind::Permission,
            level: 2,
            stage: Stage::S2,
            s1ptw: true,
            ipa: Some(0x8000_1008),
            ..F
        };
        let read = Transaction { access: Access::Read, privileged: false, instruction: true, ..T };
        bank.record(&read, &Context { banks: [5, 6], ..Context::default() }, &fault);
        // Level 2, IND, NSATTR, PTWF, S1CBNDX 5.
        assert_eq!((bank.fsr, bank.fsynr0, bank.ipafar), (0x408, 0x5_0542, 0x8000_1008));
    }

    #[test]
    fn of_a_second_fault_there_is_only_that_it_came() {
        let mut bank = Bank::default();
        let context = Context::default();
        bank.record(&T, &context, &F);
        let second = Fault { kind: FaultKind::Permission, va: 0x9000, ..F };
        assert!(!bank.record(&T, &context, &second));
        assert_eq!((bank.fsr, bank.far), (0x8000_0402, 0x1234_5678));
        bank.clear(2);
        assert_eq!(bank.fsr, 0x8000_0400, "MULTI stays");
        bank.clear(MULTI);
        assert_eq!(bank.fsr, 0);
    }

    #[test]
    fn that_a_transaction_is_stalled_is_not_cleared_by_writing_ones() {
        let mut bank = Bank { fsr: SS | 0x402, ..Bank::default() };
        bank.clear(u32::MAX);
        assert_eq!(bank.fsr, 0x4000_0400);
    }

    #[test]
    fn a_global_fault_has_its_bit_and_its_syndrome() {
        let mut r = Registers::new(&Profile::MMU500);
        r.record_global(GlobalFault::StreamMatchConflict, false, &T);
        assert_eq!((r.gfsr, r.gfar, r.gfsynr0, r.gfsynr1), (4, 0x1234_5678, 0x26, 0x4321));
        r.record_global(GlobalFault::UnidentifiedStream, false, &T);
        assert_eq!(r.gfsr, 0x8000_0004);
        r.clear_global(4);
        assert_eq!(r.gfsr, 0x8000_0000);
        r.clear_global(MULTI);
        let fetch = Transaction { access: Access::Read, privileged: false, instruction: true, ..T };
        r.record_global(GlobalFault::InvalidContext, true, &fetch);
        assert_eq!((r.gfsr, r.gfsynr0), (1, 0x29));
    }
}

//! Context faults and what is recorded of them (Arm IHI 0062; SMMU_CBn_FSR, FSYNR0, FAR, IPAFAR, SMMU_CBFRSYNRAn, and CFRE, CFIE and
//! HUPCF of SMMU_CBn_SCTLR).

use crate::guest_tests::interrupts::NOTHING;
use crate::guest_tests::layout::{NOWHERE, SMMU_V2_CONTEXT_SPI};
use crate::guest_tests::program::Program;
use crate::guest_tests::smmu_v2::{
    BANK_NESTED, BANK1, BANK2, Bank, ContextFault, IOVA, IPA, Rig, cb, fsr, s2cr, sctlr, stream,
};
use crate::guest_tests::tables::desc;
use crate::guest_tests::test_master::attributes::{INSTRUCTION, PRIVILEGED};
use crate::guest_tests::test_master::{Dma, End};

use stream::{NESTED, SPARE, STAGE1, STAGE2};

/// A page that no case maps, with its neighbours mapped by the same table of level 3.
const ABSENT: u64 = IOVA + 0x1_0000;
/// An IPA that stage 2 does not have.
const ABSENT_IPA: u64 = IPA + 0x1_0000;
const READ: Dma = Dma::read(STAGE1, ABSENT);

/// A translation fault of stage 1 at level 3.
pub(super) fn translation(dma: &Dma) -> ContextFault {
    ContextFault::of(BANK1, fsr::TF, 3, dma)
}

/// A permission fault of stage 1 at level 3.
pub(super) fn permission(dma: &Dma) -> ContextFault {
    ContextFault::of(BANK1, fsr::PF, 3, dma)
}

/// TF, at each level, and of addresses that no table has.
pub(super) fn translation_faults(p: &mut Program) {
    let rig = Rig::started(p);
    let rows = [(ABSENT, 3), (IOVA + (1 << 22), 2), (IOVA + (1 << 31), 1), (1 << 39, 0), (1 << 63, 0)];
    for (address, level) in rows {
        let dma = Dma::read(STAGE1, address + 0x18);
        rig.faults(p, "nothing", &dma, &ContextFault::of(BANK1, fsr::TF, level, &dma));
    }
}

/// FSYNR0: WNR, PNU and IND.
pub(super) fn syndrome(p: &mut Program) {
    let rig = Rig::started(p);
    for attributes in [0, PRIVILEGED, INSTRUCTION, PRIVILEGED | INSTRUCTION] {
        let dma = READ.with(attributes);
        rig.faults(p, "a read", &dma, &translation(&dma));
    }
    let dma = Dma::write(STAGE1, ABSENT + 0x123).bytes(1).with(PRIVILEGED);
    rig.faults(p, "a write of a byte", &dma, &translation(&dma));
}

/// AFF.
pub(super) fn access_flag(p: &mut Program) {
    let rig = Rig::new(p);
    p.page(rig.s1, ABSENT, rig.frame, desc::SH | desc::EL0);
    rig.start(p);
    rig.faults(p, "AF is 0", &READ, &ContextFault::of(BANK1, fsr::AFF, 3, &READ));
}

/// PF.
pub(super) fn permission_fault(p: &mut Program) {
    let rig = Rig::new(p);
    p.page(rig.s1, ABSENT, rig.frame, desc::EL0_RW | desc::RO);
    rig.start(p);
    let dma = Dma::write(STAGE1, ABSENT);
    rig.faults(p, "read-only", &dma, &permission(&dma));
    rig.reads(p, "a read", &READ);
}

/// ASF: an output beyond TCR2.PASize.
pub(super) fn address_size(p: &mut Program) {
    let rig = Rig::new(p);
    p.page(rig.s1, ABSENT, 1 << 41, desc::EL0_RW);
    rig.start(p);
    rig.faults(p, "41 bits", &READ, &ContextFault::of(BANK1, fsr::ASF, 3, &READ));
}

/// EF: a table where nothing answers.
pub(super) fn external_abort(p: &mut Program) {
    let rig = Rig::new(p);
    p.put(rig.s1, 0x40_0000_0000, 1, NOWHERE | desc::PAGE);
    rig.start(p);
    let dma = Dma::read(STAGE1, 0x40_0000_0000);
    rig.faults(p, "no table", &dma, &ContextFault::of(BANK1, fsr::EF, 2, &dma).on_a_walk());
}

/// An abort of the transaction itself is none of the SMMU's.
pub(super) fn abort_of_the_transaction(p: &mut Program) {
    let rig = Rig::new(p);
    p.page(rig.s1, ABSENT, NOWHERE, desc::EL0_RW);
    rig.start(p);
    p.dma("nobody answers", &READ, End::Aborted(0));
    rig.expect_no_fault(p, "nothing is recorded", BANK1);
}

/// Each kind of fault of stage 2 alone.
pub(super) fn stage2(p: &mut Program) {
    let rig = Rig::new(p);
    let page = |n: u64| ABSENT_IPA + 0x1000 * n;
    p.page(rig.s2, page(1), rig.frame, desc::S2_RW & !desc::AF);
    p.page(rig.s2, page(2), rig.frame, desc::S2_RW & !desc::S2_W);
    p.page(rig.s2, page(3), 1 << 41, desc::S2_RW);
    rig.start(p);
    for (n, kind) in [(0, fsr::TF), (1, fsr::AFF), (2, fsr::PF), (3, fsr::ASF)] {
        let dma = Dma::write(STAGE2, page(n) + 0x18);
        rig.faults(p, "a write", &dma, &ContextFault::of(BANK2, kind, 3, &dma).at(page(n)));
    }
}

/// EF of stage 2.
pub(super) fn external_abort_of_stage2(p: &mut Program) {
    let rig = Rig::new(p);
    p.put(rig.s2, 0x40_0000_0000, 1, NOWHERE | desc::PAGE);
    rig.start(p);
    let dma = Dma::read(STAGE2, 0x40_0000_0000);
    let fault = ContextFault::of(BANK2, fsr::EF, 2, &dma).at(dma.address).on_a_walk();
    rig.faults(p, "no table", &dma, &fault);
}

/// A fault of the bank of stage 1 in a nested context.
pub(super) fn stage1_of_nested(p: &mut Program) {
    let rig = Rig::started(p);
    let dma = Dma::read(NESTED, ABSENT);
    rig.faults(p, "stage 1", &dma, &ContextFault::of(BANK_NESTED, fsr::TF, 3, &dma));
    rig.expect_no_fault(p, "stage 2", BANK2);
}

/// The output of stage 1 is refused by stage 2: recorded by its bank, with the address of stage 1, the IPA, and the bank of stage 1.
pub(super) fn stage2_of_nested(p: &mut Program) {
    let rig = Rig::new(p);
    p.page(rig.inner, ABSENT, ABSENT_IPA, desc::EL0_RW | desc::NG);
    p.page(rig.inner, ABSENT + 0x1000, ABSENT_IPA + 0x1000, desc::EL0_RW | desc::NG);
    p.page(rig.s2, ABSENT_IPA + 0x1000, rig.frame, desc::S2_RW & !desc::S2_W);
    rig.start(p);
    let dma = Dma::read(NESTED, ABSENT + 0x28);
    let fault = ContextFault::of(BANK2, fsr::TF, 3, &dma).at(ABSENT_IPA).through(BANK_NESTED);
    rig.faults(p, "not there", &dma, &fault);
    let dma = Dma::write(NESTED, ABSENT + 0x1000);
    let fault = ContextFault::of(BANK2, fsr::PF, 3, &dma).at(ABSENT_IPA + 0x1000).through(BANK_NESTED);
    rig.faults(p, "read-only", &dma, &fault);
    rig.expect_no_fault(p, "stage 1", BANK_NESTED);
}

/// So is a table of stage 1: PTWF.
pub(super) fn walk_of_nested(p: &mut Program) {
    let rig = Rig::new(p);
    p.put(rig.inner, 0x40_0000_0000, 1, ABSENT_IPA | desc::PAGE);
    rig.start(p);
    let dma = Dma::write(NESTED, 0x40_0000_0000);
    let fault = ContextFault::of(BANK2, fsr::TF, 3, &dma).at(ABSENT_IPA).through(BANK_NESTED).on_a_walk();
    rig.faults(p, "a table", &dma, &fault);
}

/// SCTLR.CFRE = 0: RAZ/WI rather than an abort, and recorded all the same.
pub(super) fn not_reported(p: &mut Program) {
    let mut rig = Rig::new(p);
    rig.bank(BANK1, |b| b.without(sctlr::CFRE));
    rig.start(p);
    p.dma_reads("a read", &READ, 0);
    rig.expect_fault(p, "a read", &translation(&READ));
    rig.clear(p, BANK1);
    let dma = Dma::write(STAGE1, ABSENT);
    p.dma("a write", &dma, End::Done);
    rig.expect_fault(p, "a write", &translation(&dma));
}

/// SCTLR.HUPCF = 1: while a fault is recorded others of the context go on, and another fault is MULTI.
pub(super) fn hit_under_fault(p: &mut Program) {
    let mut rig = Rig::new(p);
    rig.bank(BANK1, |b| b.with(sctlr::HUPCF));
    rig.start(p);
    p.dma("a fault", &READ, End::Aborted(0));
    rig.reads(p, "a page", &Dma::read(STAGE1, IOVA));
    rig.expect_fault(p, "that was none", &translation(&READ));
    p.dma("another fault", &Dma::write(STAGE1, ABSENT + 0x1000), End::Aborted(0));
    rig.expect_fault(p, "the first one", &translation(&READ).multiple());
    rig.clear(p, BANK1);
    rig.expect_no_fault(p, "cleared", BANK1);
}

/// SCTLR.HUPCF = 0: they are terminated until software has cleared FSR, and that is no other fault.
pub(super) fn no_hit_under_fault(p: &mut Program) {
    let rig = Rig::started(p);
    rig.reads(p, "before", &Dma::read(STAGE1, IOVA));
    p.dma("a fault", &READ, End::Aborted(0));
    p.dma("a page", &Dma::read(STAGE1, IOVA), End::Aborted(0));
    rig.faults(p, "the next page", &READ, &translation(&READ));
    rig.reads(p, "cleared", &Dma::read(STAGE1, IOVA));
}

/// MULTI is cleared on its own.
pub(super) fn write_one_to_clear(p: &mut Program) {
    let mut rig = Rig::new(p);
    rig.bank(BANK1, |b| b.with(sctlr::HUPCF));
    rig.start(p);
    p.dma("a fault", &READ, End::Aborted(0));
    p.dma("another one", &READ, End::Aborted(0));
    let at = rig.at(BANK1, cb::FSR);
    p.poke32(at, fsr::AFF as u32);
    p.expect_word("a bit that is not set", at, u64::MAX, fsr::AARCH64 | fsr::TF | fsr::MULTI);
    p.poke32(at, fsr::TF as u32);
    p.expect_word("TF", at, !fsr::FORMAT, fsr::MULTI);
    p.poke32(at, fsr::MULTI as u32);
    rig.expect_no_fault(p, "MULTI", BANK1);
}

/// A fault of one context holds no other one back.
pub(super) fn other_contexts(p: &mut Program) {
    let mut rig = Rig::new(p);
    let bank = Bank::stage1(rig.s1, 1);
    rig.bank(6, |_| bank);
    rig.start(p);
    p.smmu_group(SPARE, SPARE, s2cr::translate(6));
    p.dma("a fault", &READ, End::Aborted(0));
    rig.reads(p, "another context", &Dma::read(SPARE, IOVA));
    rig.reads(p, "stage 2", &Dma::read(STAGE2, IPA));
    rig.expect_no_fault(p, "another context", 6);
    rig.expect_fault(p, "the first one", &translation(&READ));
}

/// FSRRESTORE sets what it is given, as a hypervisor that switches contexts does.
pub(super) fn restore(p: &mut Program) {
    let rig = Rig::started(p);
    p.poke32(rig.at(BANK1, cb::FSRRESTORE), (fsr::AARCH64 | fsr::PF) as u32);
    p.expect_word("FSR", rig.at(BANK1, cb::FSR), u64::MAX, fsr::AARCH64 | fsr::PF);
    p.dma("it counts", &Dma::read(STAGE1, IOVA), End::Aborted(0));
    rig.clear(p, BANK1);
    rig.reads(p, "cleared", &Dma::read(STAGE1, IOVA));
}

/// The INTID of a context bank.
const fn intid(bank: u32) -> u64 {
    32 + (SMMU_V2_CONTEXT_SPI + bank) as u64
}

/// A rig with a GIC in which a context bank's interrupt is enabled.
fn with_gic(p: &mut Program, bank: u32) -> Rig {
    let rig = Rig::new(p);
    p.start_gic();
    p.start_level_spi(intid(bank));
    rig
}

/// The interrupt of a context bank: a level, until FSR is cleared.
pub(super) fn interrupt(p: &mut Program) {
    let rig = with_gic(p, BANK1);
    rig.start(p);
    p.dma("a fault", &READ, End::Aborted(0));
    p.take_and_acknowledge("INTID", intid(BANK1));
    p.end_of_interrupt(intid(BANK1));
    p.take_and_acknowledge("it is a level", intid(BANK1));
    rig.clear(p, BANK1);
    p.end_of_interrupt(intid(BANK1));
    p.open_for_a_while();
    p.acknowledge("cleared", NOTHING);
}

/// Each context bank has its own.
pub(super) fn interrupt_of_its_bank(p: &mut Program) {
    let rig = with_gic(p, BANK2);
    rig.start(p);
    p.dma("of another bank", &READ, End::Aborted(0));
    p.open_for_a_while();
    p.acknowledge("another bank", NOTHING);
    let dma = Dma::read(STAGE2, ABSENT_IPA);
    p.dma("of this one", &dma, End::Aborted(0));
    p.take_and_acknowledge("INTID", intid(BANK2));
    rig.clear(p, BANK2);
    p.end_of_interrupt(intid(BANK2));
}

/// SCTLR.CFIE = 0: no interrupt, until it is set.
pub(super) fn interrupt_off(p: &mut Program) {
    let mut rig = with_gic(p, BANK1);
    rig.bank(BANK1, |b| b.without(sctlr::CFIE));
    rig.start(p);
    p.dma("a fault", &READ, End::Aborted(0));
    rig.expect_fault(p, "recorded", &translation(&READ));
    p.open_for_a_while();
    p.acknowledge("CFIE is 0", NOTHING);
    p.poke32(rig.at(BANK1, cb::SCTLR), sctlr::USUAL);
    p.take_and_acknowledge("CFIE is 1", intid(BANK1));
    rig.clear(p, BANK1);
    p.end_of_interrupt(intid(BANK1));
}

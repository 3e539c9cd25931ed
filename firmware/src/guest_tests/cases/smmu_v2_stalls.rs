//! Transactions that wait for software (Arm IHI 0062; SMMU_CBn_SCTLR.CFCFG, SMMU_CBn_FSR.SS, SMMU_CBn_RESUME).

use super::smmu_v2_faults::{permission, translation};
use crate::guest_tests::interrupts::NOTHING;
use crate::guest_tests::layout::SMMU_V2_CONTEXT_SPI;
use crate::guest_tests::program::Program;
use crate::guest_tests::smmu_v2::{
    BANK_NESTED, BANK1, BANK2, ContextFault, DATA, IOVA, IPA, Rig, VALID, cb, cr0, fsr, reg, s2cr, sctlr,
    stream,
};
use crate::guest_tests::tables::{Tables, desc};
use crate::guest_tests::test_master::{Atomic, Dma, End, UNSTALLABLE};

use stream::{NESTED, SPARE, STAGE1};

const ABSENT: u64 = IOVA + 0x1_0000;
const READ: Dma = Dma::read(STAGE1, ABSENT);
const RETRY: bool = false;
const TERMINATE: bool = true;

/// A rig in which faults of stage 1 stall, with other bits of SCTLR.
fn stalling_with(p: &mut Program, bits: u32) -> Rig {
    let mut rig = Rig::new(p);
    rig.bank(BANK1, |b| b.with(sctlr::CFCFG | bits));
    rig.start(p);
    rig
}

fn stalling(p: &mut Program) -> Rig {
    stalling_with(p, 0)
}

/// Maps a page to the frame.
fn map(p: &mut Program, rig: &Rig, tables: Tables, address: u64, attributes: u64) {
    let slot = p.slot(tables, address, 3);
    p.poke(slot, rig.frame | attributes | desc::PAGE);
}

/// What software does about a fault of stage 1: it maps the page, and clears FSR.
fn repair(p: &mut Program, rig: &Rig) {
    map(p, rig, rig.s1, ABSENT, desc::EL0_RW | desc::NG);
    rig.clear(p, BANK1);
}

/// A retry: the transaction goes on.
pub(super) fn retry(p: &mut Program) {
    let rig = stalling(p);
    rig.stalls(p, "a read", &READ, &translation(&READ));
    repair(p, &rig);
    rig.resume(p, BANK1, RETRY);
    p.end_dma("resumed", &READ, End::Done);
    p.expect_buffer("the bytes", &READ, DATA);
    rig.expect_no_fault(p, "resumed", BANK1);
}

/// A write: it has an effect once it goes on, and none before.
pub(super) fn retry_of_a_write(p: &mut Program) {
    let rig = stalling(p);
    let slot = p.slot(rig.s1, ABSENT, 3);
    p.poke(slot, rig.frame | desc::EL0_RW | desc::RO | desc::NG | desc::PAGE);
    let dma = Dma::write(STAGE1, ABSENT);
    p.fill_buffer(&dma, 0, 0x77);
    rig.stalls(p, "a write", &dma, &permission(&dma));
    p.expect_double("not yet", rig.frame, DATA);
    p.poke(slot, rig.frame | desc::EL0_RW | desc::NG | desc::PAGE);
    p.poke(rig.at(BANK1, cb::TLBIVA), ABSENT >> 12 | 1 << 48);
    p.smmu_sync();
    rig.clear(p, BANK1);
    rig.resume(p, BANK1, RETRY);
    p.end_dma("resumed", &dma, End::Done);
    p.expect_double("written", rig.frame, 0x77);
}

/// An atomic access is a write that is made once, of what is there when it goes on.
pub(super) fn retry_of_an_atomic_access(p: &mut Program) {
    let rig = stalling(p);
    let dma = Dma::atomic(STAGE1, ABSENT, Atomic::FetchAdd);
    p.fill_buffer(&dma, 0, 3);
    rig.stalls(p, "an atomic access", &dma, &translation(&dma));
    p.poke(rig.frame, 40);
    repair(p, &rig);
    rig.resume(p, BANK1, RETRY);
    p.end_dma("resumed", &dma, End::Done);
    p.expect_buffer("what was there", &dma, 40);
    p.expect_double("what is there", rig.frame, 43);
    rig.expect_no_fault(p, "resumed", BANK1);
}

/// A retry in vain: it faults again, and is recorded again.
pub(super) fn retry_in_vain(p: &mut Program) {
    let rig = stalling(p);
    rig.stalls(p, "a read", &READ, &translation(&READ));
    for _ in 0..3 {
        rig.clear(p, BANK1);
        rig.resume(p, BANK1, RETRY);
        p.end_dma("again", &READ, End::Waiting);
        rig.expect_fault(p, "again", &translation(&READ).stalled());
    }
    repair(p, &rig);
    rig.resume(p, BANK1, RETRY);
    p.end_dma("at last", &READ, End::Done);
}

/// Terminated, with CFRE: an abort.
pub(super) fn terminate(p: &mut Program) {
    let rig = stalling(p);
    rig.stalls(p, "a read", &READ, &translation(&READ));
    rig.clear(p, BANK1);
    rig.resume(p, BANK1, TERMINATE);
    p.end_dma("terminated", &READ, End::Aborted(0));
    rig.expect_no_fault(p, "terminated", BANK1);
}

/// Terminated, without CFRE: RAZ/WI.
pub(super) fn terminate_as_zero(p: &mut Program) {
    let mut rig = Rig::new(p);
    rig.bank(BANK1, |b| b.with(sctlr::CFCFG).without(sctlr::CFRE));
    rig.start(p);
    p.fill_buffer(&READ, 0, 0x1234);
    rig.stalls(p, "a read", &READ, &translation(&READ));
    rig.clear(p, BANK1);
    rig.resume(p, BANK1, TERMINATE);
    p.end_dma("terminated", &READ, End::Done);
    p.expect_buffer("zeroes", &READ, 0);
}

/// FSR.SS is not cleared by a write of FSR, only by RESUME.
pub(super) fn stall_status(p: &mut Program) {
    let rig = stalling(p);
    rig.stalls(p, "a read", &READ, &translation(&READ));
    p.poke32(rig.at(BANK1, cb::FSR), u32::MAX);
    p.expect_word("FSR.SS", rig.at(BANK1, cb::FSR), !fsr::FORMAT, fsr::SS);
    p.end_dma("it waits", &READ, End::Waiting);
    rig.resume(p, BANK1, TERMINATE);
    rig.expect_no_fault(p, "resumed", BANK1);
    p.end_dma("terminated", &READ, End::Aborted(0));
}

/// HUPCF = 0: others of the context wait behind the one that is stalled, and go on after it, in whatever way it ended.
pub(super) fn others_wait(p: &mut Program) {
    let rig = stalling(p);
    let behind = Dma::read(STAGE1, IOVA).by(2);
    for terminated in [TERMINATE, RETRY] {
        rig.stalls(p, "a read", &READ, &translation(&READ));
        p.dma("behind it", &behind, End::Waiting);
        rig.expect_fault(p, "that is no fault", &translation(&READ).stalled());
        if terminated {
            rig.clear(p, BANK1);
        } else {
            repair(p, &rig);
        }
        rig.resume(p, BANK1, terminated);
        p.end_dma("the first", &READ, if terminated { End::Aborted(0) } else { End::Done });
        p.end_dma("the one behind it", &behind, End::Done);
        p.expect_buffer("its bytes", &behind, DATA);
    }
}

/// HUPCF = 1: others go on, several stall, and software is told of them one after the other.
pub(super) fn several(p: &mut Program) {
    let rig = stalling_with(p, sctlr::HUPCF);
    let second = Dma::read(STAGE1, ABSENT + 0x1000).by(2);
    rig.stalls(p, "the first", &READ, &translation(&READ));
    rig.reads(p, "a page", &Dma::read(STAGE1, IOVA).by(3));
    p.dma("the second", &second, End::Waiting);
    rig.expect_fault(p, "both", &translation(&READ).multiple().stalled());
    rig.clear(p, BANK1);
    rig.resume(p, BANK1, TERMINATE);
    p.end_dma("the first", &READ, End::Aborted(0));
    p.end_dma("the second", &second, End::Waiting);
    rig.expect_fault(p, "the second", &translation(&second).stalled());
    map(p, &rig, rig.s1, ABSENT + 0x1000, desc::EL0_RW | desc::NG);
    rig.clear(p, BANK1);
    rig.resume(p, BANK1, RETRY);
    p.end_dma("the second goes on", &second, End::Done);
}

/// Two contexts: each has its stall, and is resumed on its own.
pub(super) fn of_two_contexts(p: &mut Program) {
    let mut rig = Rig::new(p);
    let absent = IPA + 0x1_0000;
    rig.bank(BANK1, |b| b.with(sctlr::CFCFG));
    rig.bank(BANK2, |b| b.with(sctlr::CFCFG));
    rig.start(p);
    let other = Dma::read(stream::STAGE2, absent).by(2);
    rig.stalls(p, "stage 1", &READ, &translation(&READ));
    rig.stalls(p, "stage 2", &other, &ContextFault::of(BANK2, fsr::TF, 3, &other).at(absent));
    map(p, &rig, rig.s2, absent, desc::S2_RW);
    rig.clear(p, BANK2);
    rig.resume(p, BANK2, RETRY);
    p.end_dma("stage 2", &other, End::Done);
    p.end_dma("stage 1", &READ, End::Waiting);
    rig.expect_fault(p, "stage 1", &translation(&READ).stalled());
    rig.clear(p, BANK1);
    rig.resume(p, BANK1, TERMINATE);
    p.end_dma("stage 1", &READ, End::Aborted(0));
}

/// In a nested context it is the bank of the stage that faulted that stalls, and that is resumed.
pub(super) fn stage2_of_nested(p: &mut Program) {
    let mut rig = Rig::new(p);
    let absent = IPA + 0x1_0000;
    p.page(rig.inner, ABSENT, absent, desc::EL0_RW | desc::NG);
    rig.bank(BANK2, |b| b.with(sctlr::CFCFG));
    rig.start(p);
    let dma = Dma::read(NESTED, ABSENT);
    let fault = ContextFault::of(BANK2, fsr::TF, 3, &dma).at(absent).through(BANK_NESTED);
    rig.stalls(p, "stage 2", &dma, &fault);
    rig.expect_no_fault(p, "stage 1", BANK_NESTED);
    rig.resume(p, BANK_NESTED, TERMINATE);
    p.end_dma("the bank of stage 1 is resumed", &dma, End::Waiting);
    map(p, &rig, rig.s2, absent, desc::S2_RW);
    rig.clear(p, BANK2);
    rig.resume(p, BANK2, RETRY);
    p.end_dma("that of stage 2", &dma, End::Done);
    p.expect_buffer("the bytes", &dma, DATA);
}

/// A master that cannot wait: terminated as CFRE says, without SS.
pub(super) fn master_that_cannot_wait(p: &mut Program) {
    let rig = stalling(p);
    p.smmu_group(20, UNSTALLABLE, s2cr::translate(BANK1));
    let dma = Dma::read(UNSTALLABLE, ABSENT);
    rig.faults(p, "aborted", &dma, &translation(&dma));
    rig.reads(p, "a page that is there", &Dma::read(UNSTALLABLE, IOVA));
}

/// sCR0.STALLD: nothing stalls, whatever context banks say.
pub(super) fn disabled(p: &mut Program) {
    let mut rig = Rig::new(p);
    rig.cr0 |= cr0::STALLD;
    rig.bank(BANK1, |b| b.with(sctlr::CFCFG));
    rig.start(p);
    rig.faults(p, "aborted", &READ, &translation(&READ));
}

/// RESUME where nothing is stalled has no effect.
pub(super) fn resume_of_nothing(p: &mut Program) {
    let rig = stalling(p);
    for terminate in [RETRY, TERMINATE] {
        rig.resume(p, BANK1, terminate);
        rig.resume(p, 31, terminate);
    }
    rig.expect_no_fault(p, "nothing", BANK1);
    rig.stalls(p, "a read", &READ, &translation(&READ));
    rig.resume(p, BANK2, TERMINATE);
    p.end_dma("of another bank", &READ, End::Waiting);
    rig.clear(p, BANK1);
    rig.resume(p, BANK1, TERMINATE);
    p.end_dma("of its own", &READ, End::Aborted(0));
}

/// A transfer that stalls half way goes on from there: what is done is not done again.
pub(super) fn from_where_it_stalled(p: &mut Program) {
    let rig = Rig::new(p);
    let list = p.frame(0x1000);
    p.page(rig.s1, IOVA + 0x1000, list, desc::EL0_RW | desc::NG);
    let mut rig = rig;
    rig.bank(BANK1, |b| b.with(sctlr::CFCFG));
    rig.start(p);
    for (n, word) in (0..).zip([IOVA + 0x100, 8, ABSENT + 0x200, 8, IOVA + 0x300, 8]) {
        p.poke(list + 8 * n, word);
    }
    let dma = Dma { list: 3, ..Dma::write(STAGE1, IOVA + 0x1000) };
    for n in 0..3 {
        p.fill_buffer(&dma, n, 0xa0 + n);
    }
    let stalled = Dma::write(STAGE1, ABSENT + 0x200);
    rig.stalls(p, "the second segment", &dma, &translation(&stalled));
    p.poke(rig.frame + 0x100, 0x55);
    repair(p, &rig);
    rig.resume(p, BANK1, RETRY);
    p.end_dma("resumed", &dma, End::Done);
    for (at, value) in [(0x100, 0x55), (0x200, 0xa1), (0x300, 0xa2)] {
        p.expect_double("a segment", rig.frame + at, value);
    }
}

/// The interrupt stays while the transaction is stalled, also when the fault is cleared (MMU-500).
pub(super) fn interrupt(p: &mut Program) {
    const INTID: u64 = 32 + (SMMU_V2_CONTEXT_SPI + BANK1) as u64;
    p.start_gic();
    p.start_level_spi(INTID);
    let rig = stalling(p);
    p.dma("a read", &READ, End::Waiting);
    p.take_and_acknowledge("INTID", INTID);
    repair(p, &rig);
    p.end_of_interrupt(INTID);
    p.take_and_acknowledge("it is stalled still", INTID);
    rig.resume(p, BANK1, RETRY);
    p.end_of_interrupt(INTID);
    p.end_dma("resumed", &READ, End::Done);
    p.open_for_a_while();
    p.acknowledge("resumed", NOTHING);
}

/// The stream of a stalled transaction loses its group: a retry is dealt with as the stream is then.
pub(super) fn group_goes(p: &mut Program) {
    let rig = stalling(p);
    p.smmu_group(SPARE, SPARE, s2cr::translate(BANK1));
    let dma = Dma::read(SPARE, ABSENT);
    rig.stalls(p, "a read", &dma, &translation(&dma));
    p.poke32(reg::SMR + 4 * u64::from(SPARE), SPARE & !VALID);
    rig.clear(p, BANK1);
    rig.resume(p, BANK1, RETRY);
    p.end_dma("it is unidentified", &dma, End::Aborted(0));
    p.expect_word("sGFSR.USF", reg::GFSR, u64::MAX, 2);
}

/// A transaction that its master has given up may be resumed all the same.
pub(super) fn given_up(p: &mut Program) {
    let rig = stalling(p);
    rig.stalls(p, "a read", &READ, &translation(&READ));
    p.stop_dma(&READ);
    repair(p, &rig);
    rig.resume(p, BANK1, RETRY);
    rig.expect_no_fault(p, "resumed", BANK1);
    rig.reads(p, "the next one", &READ);
}

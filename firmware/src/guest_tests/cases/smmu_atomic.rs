//! Atomic accesses of masters (Arm IHI 0070, 13.1.1, 16.7.6).

use crate::guest_tests::program::{Level, Program};
use crate::guest_tests::smmu::structures::{Event, cd, class, ste};
use crate::guest_tests::smmu::{DATA, IOVA, IPA, Rig, VMID, stream};
use crate::guest_tests::tables::{Granule, desc};
use crate::guest_tests::test_master::attributes::INSTRUCTION;
use crate::guest_tests::test_master::{Atomic, Dma, End};

const STREAM: u32 = stream::STAGE1;
const ADD: Dma = Dma::atomic(STREAM, IOVA, Atomic::FetchAdd);

/// Each operation gives what was there.
pub(super) fn operations(p: &mut Program) {
    let mut rig = Rig::new(p);
    rig.start(p);
    p.dma_adds("FetchAdd", &ADD, rig.frame, DATA);
    let step = |p: &mut Program, what, [first, second]: [u64; 2], old, new| {
        let dma = Dma::atomic(STREAM, IOVA, what);
        p.fill_buffer(&dma, 0, first);
        p.fill_buffer(&dma, 1, second);
        p.dma(&format!("{what:?}"), &dma, End::Done);
        p.expect_buffer(&format!("{what:?}: what was there"), &dma, old);
        p.expect_double(&format!("{what:?}: what is there"), rig.frame, new);
    };
    p.poke(rig.frame, 5);
    step(p, Atomic::Swap, [6, 0], 5, 6);
    step(p, Atomic::CompareAndSwap, [5, 7], 6, 6);
    step(p, Atomic::CompareAndSwap, [6, 7], 6, 7);
    // What is not aligned does not come to the SMMU.
    rig.aborts_silently(p, "not aligned", &Dma::atomic(STREAM, IOVA + 4, Atomic::Swap));
    p.expect_double("as it was", rig.frame, 7);
}

/// Without write permission: RnW is 0, and InD is ignored.
pub(super) fn not_writable(p: &mut Program) {
    let mut rig = Rig::new(p);
    p.page(rig.s1, IOVA, rig.frame, desc::EL0_RW | desc::RO | desc::NG);
    rig.start(p);
    rig.faults(p, "read-only", &ADD.with(INSTRUCTION), &Event::fault(Event::PERMISSION, &ADD));
    p.expect_double("as it was", rig.frame, DATA);
}

/// Stage 2 with these permissions, and hardware updates; gives where the descriptor is.
fn with_stage2(p: &mut Program, permissions: u64) -> (Rig, u64) {
    let mut rig = Rig::new(p);
    p.page(rig.s2, IPA, rig.frame, permissions);
    let updating = ste::stage2(rig.s2, VMID).with(ste::S2HA, 1).with(ste::S2HD, 1);
    rig.put_ste(p, stream::STAGE2, updating);
    rig.start(p);
    let slot = p.slot(rig.s2, IPA, 3);
    (rig, slot)
}

/// Expects an atomic access to be refused as one of `like`.
fn refused_by_stage2(p: &mut Program, permissions: u64, like: &Dma) {
    let (mut rig, slot) = with_stage2(p, permissions);
    let dma = Dma::atomic(stream::STAGE2, IPA, Atomic::FetchAdd);
    let event = Event::fault(Event::PERMISSION, like).stage2(class::IN, IPA);
    rig.faults(p, "an atomic access", &dma, &event);
    p.expect_double("the descriptor", slot, rig.frame | permissions | desc::PAGE);
    p.expect_double("as it was", rig.frame, DATA);
}

/// Writable and not readable: RnW is 1.
pub(super) fn not_readable(p: &mut Program) {
    refused_by_stage2(p, desc::S2_RW & !desc::S2_R, &Dma::read(stream::STAGE2, IPA));
}

/// Writable-clean and not readable: RnW is 1, and the page stays clean.
pub(super) fn not_readable_and_clean(p: &mut Program) {
    let clean = desc::S2_RW & !(desc::S2_R | desc::S2_W) | desc::DBM;
    refused_by_stage2(p, clean, &Dma::read(stream::STAGE2, IPA));
}

/// Neither: RnW is 0.
pub(super) fn no_access(p: &mut Program) {
    refused_by_stage2(p, desc::S2_RW & !(desc::S2_R | desc::S2_W), &Dma::write(stream::STAGE2, IPA));
}

/// A writable-clean page becomes dirty.
pub(super) fn dirty_state(p: &mut Program) {
    let clean = desc::S2_RW & !desc::S2_W | desc::DBM;
    let (rig, slot) = with_stage2(p, clean);
    let dma = Dma::atomic(stream::STAGE2, IPA, Atomic::FetchAdd);
    p.dma_adds("an atomic access", &dma, rig.frame, DATA);
    p.expect_double("the descriptor", slot, rig.frame | clean | desc::S2_W | desc::PAGE);
}

/// It stalls for want of write permission, is resumed, and is made once, of what is there then.
pub(super) fn stalled(p: &mut Program) {
    let mut rig = Rig::new(p);
    rig.put_cd(p, 0, cd::of(rig.s1, 1).with(cd::S, 1));
    let absent = IOVA + 0x1_0000;
    let dma = Dma::atomic(STREAM, absent, Atomic::FetchAdd);
    rig.start(p);
    p.fill_buffer(&dma, 0, 3);
    rig.stalls(p, "an atomic access", &dma, &Event::fault(Event::TRANSLATION, &dma));
    let slot = p.slot(rig.s1, absent, 3);
    p.poke(slot, rig.frame | desc::EL0_RW | desc::RO | desc::NG | desc::PAGE);
    rig.smmu.resume(p, STREAM, 1);
    p.end_dma("again", &dma, End::Waiting);
    rig.smmu.expect_event(p, "again", &Event::fault(Event::PERMISSION, &dma).stalled());
    p.expect_double("nothing yet", rig.frame, DATA);
    p.poke(rig.frame, 40);
    p.poke(slot, rig.frame | desc::EL0_RW | desc::NG | desc::PAGE);
    rig.smmu.resume(p, STREAM, 1);
    p.end_dma("resumed", &dma, End::Done);
    p.expect_buffer("what was there", &dma, 40);
    p.expect_double("what is there", rig.frame, 43);
    rig.smmu.expect_no_event(p, "resumed");
}

/// Where a PE has the word.
const VA: u64 = 0x30_0000_0000;
const ROUNDS: u64 = 500;

/// A PE and a master add to one word at the same time: nothing is lost.
pub(super) fn beside_a_cpu(p: &mut Program) {
    let mut rig = Rig::new(p);
    let tables = p.stage1(Granule::K4);
    p.page(tables, VA, rig.frame, desc::EL1_RW);
    rig.start(p);
    p.poke(rig.frame, 0);
    p.start_second(0, |p| {
        p.use_stage1(tables);
        p.enter(Level::El1h, |p| {
            p.mov(1, VA);
            p.mov(2, 1 << 32);
            p.mov(13, 8 * ROUNDS);
            a64!(p ; again: ; ldadd x2, x3, [x1] ; sub x13, x13, 1 ; cbnz x13, <again);
        });
    });
    let again = p.label();
    // Rounds, and accesses that were not made.
    p.mov(13, ROUNDS);
    p.mov(14, 0);
    p.bind(again);
    p.fill_buffer(&ADD, 0, 1);
    p.begin_dma(&ADD);
    p.dma_result(0, 1, &ADD);
    a64!(p ; cmp x0, 4 ; cinc x14, x14, ne ; sub x13, x13, 1 ; cbnz x13, =>again);
    p.join();
    p.expect("not made", 14, 0);
    p.expect_double("the sum", rig.frame, (8 * ROUNDS) << 32 | ROUNDS);
}

//! Several transactions that wait for software, and what happens to the SMMU meanwhile (Arm IHI 0070, 3.12.2, 4.7).

use crate::guest_tests::layout::SMMU_SPI;
use crate::guest_tests::program::Program;
use crate::guest_tests::smmu::structures::{Event, cd, class, command, ste};
use crate::guest_tests::smmu::{CMDQEN, DATA, EVENTQEN, IOVA, IPA, Rig, SMMUEN, Smmu, VMID, reg, stream};
use crate::guest_tests::tables::desc;
use crate::guest_tests::test_master::{Dma, End};

use stream::{NESTED, SPARE, STAGE1};

/// The streams of the third and the fourth master alone.
const THIRD: u32 = 0x20;
const FOURTH: u32 = 0x21;
/// A page that is not there at first, and those behind it.
const ABSENT: u64 = IOVA + 0x1_0000;
const READ: Dma = Dma::read(STAGE1, ABSENT);

/// Actions of CMD_RESUME: Ac, Ab, and neither.
const RETRY: u64 = 1;
const ABORT: u64 = 2;
const ZERO: u64 = 0;

fn event(dma: &Dma) -> Event {
    Event::fault(Event::TRANSLATION, dma)
}

/// A rig in which faults of stage 1 stall, with streams for all masters.
pub(super) fn stalling(p: &mut Program) -> Rig {
    let mut rig = Rig::new(p);
    rig.put_cd(p, 0, cd::of(rig.s1, 1).with(cd::S, 1));
    for stream in [THIRD, FOURTH] {
        rig.put_ste(p, stream, rig.stage1());
    }
    rig.start(p);
    rig
}

/// Maps a page to the frame.
fn map(p: &mut Program, rig: &Rig, address: u64) {
    let slot = p.slot(rig.s1, address, 3);
    p.poke(slot, rig.frame | desc::EL0_RW | desc::PAGE);
}

/// Three of three streams, answered in another order and in three ways.
pub(super) fn of_three_streams(p: &mut Program) {
    let mut rig = stalling(p);
    let [first, second, third] =
        [READ, Dma::read(THIRD, ABSENT + 0x1000), Dma::read(FOURTH, ABSENT + 0x2000)];
    rig.stalls(p, "the first", &first, &event(&first));
    a64!(p ; mov x5, x10);
    rig.stalls(p, "the second", &second, &event(&second));
    a64!(p ; mov x6, x10);
    p.fill_buffer(&third, 0, 0x77);
    rig.stalls(p, "the third", &third, &event(&third));
    rig.smmu.resume(p, FOURTH, ZERO);
    p.end_dma("the third: zeroes", &third, End::Done);
    p.expect_buffer("the third: zeroes", &third, 0);
    p.end_dma("the first waits", &first, End::Waiting);
    p.end_dma("the second waits", &second, End::Waiting);
    map(p, &rig, ABSENT);
    a64!(p ; mov x10, x5);
    rig.smmu.resume(p, STAGE1, RETRY);
    p.end_dma("the first goes on", &first, End::Done);
    p.expect_buffer("the first goes on", &first, DATA);
    p.end_dma("the second still waits", &second, End::Waiting);
    a64!(p ; mov x10, x6);
    rig.smmu.resume(p, THIRD, ABORT);
    p.end_dma("the second is aborted", &second, End::Aborted(0));
    rig.smmu.expect_no_event(p, "all");
}

/// Two of one stream: they have different STAGs, and the later one may be answered first.
pub(super) fn of_one_stream(p: &mut Program) {
    let mut rig = stalling(p);
    let other = Dma::read(STAGE1, ABSENT + 0x1000).by(2);
    rig.stalls(p, "the first", &READ, &event(&READ));
    a64!(p ; mov x5, x10);
    rig.stalls(p, "the second", &other, &event(&other));
    a64!(p ; cmp x5, x10 ; cset x0, ne);
    p.expect("two STAGs", 0, 1);
    map(p, &rig, ABSENT + 0x1000);
    rig.smmu.resume(p, STAGE1, RETRY);
    p.end_dma("the second goes on", &other, End::Done);
    p.end_dma("the first waits", &READ, End::Waiting);
    a64!(p ; mov x10, x5);
    rig.smmu.resume(p, STAGE1, ABORT);
    p.end_dma("the first is aborted", &READ, End::Aborted(0));
}

/// A STAG names a transaction together with its StreamID alone.
pub(super) fn with_the_stag_of_another(p: &mut Program) {
    let mut rig = stalling(p);
    let other = Dma::read(THIRD, ABSENT);
    rig.stalls(p, "the first", &READ, &event(&READ));
    a64!(p ; mov x5, x10);
    rig.stalls(p, "the second", &other, &event(&other));
    a64!(p ; mov x6, x10 ; cmp x5, x6 ; csinc x10, x5, x5, ne);
    // A STAG that the stream does not have: that of the first one, or another one if they have the same.
    rig.smmu.resume(p, THIRD, ABORT);
    p.end_dma("the first waits", &READ, End::Waiting);
    p.end_dma("the second waits", &other, End::Waiting);
    for (stream, dma) in [(STAGE1, READ), (THIRD, other)] {
        rig.smmu.complete(p, command::of_stream(0x45, stream));
        p.end_dma("terminated", &dma, End::Aborted(0));
    }
}

/// While one waits, others of its stream and of others go on.
pub(super) fn others_go_on(p: &mut Program) {
    let mut rig = stalling(p);
    rig.stalls(p, "it waits", &READ, &event(&READ));
    rig.reads(p, "its stream", &Dma::read(STAGE1, IOVA).by(2));
    rig.reads(p, "another stream", &Dma::read(FOURTH, IOVA));
    rig.reads(p, "stage 2", &Dma::read(stream::STAGE2, IPA).by(2));
    p.end_dma("it still waits", &READ, End::Waiting);
    rig.smmu.resume(p, STAGE1, ABORT);
    p.end_dma("it is aborted", &READ, End::Aborted(0));
}

/// CMD_STALL_TERM aborts all of its stream, and none of another.
pub(super) fn terminated_by_stream(p: &mut Program) {
    let mut rig = stalling(p);
    let same = Dma::write(STAGE1, ABSENT + 0x1000).by(2);
    let other = Dma::read(FOURTH, ABSENT);
    for dma in [READ, same, other] {
        rig.stalls(p, "a transaction", &dma, &event(&dma));
    }
    rig.smmu.complete(p, command::of_stream(0x45, STAGE1));
    p.end_dma("the first", &READ, End::Aborted(0));
    p.end_dma("the second", &same, End::Aborted(0));
    p.end_dma("another stream's", &other, End::Waiting);
    map(p, &rig, ABSENT);
    rig.smmu.resume(p, FOURTH, RETRY);
    p.end_dma("it goes on", &other, End::Done);
    rig.smmu.expect_no_event(p, "all");
}

/// SMMUEN = 0 aborts all; the SMMU can be enabled again, and stalls as before.
pub(super) fn disabled(p: &mut Program) {
    let mut rig = stalling(p);
    let all = [READ, Dma::read(THIRD, ABSENT), Dma::write(FOURTH, ABSENT)];
    for _ in 0..2 {
        for dma in &all {
            rig.stalls(p, "a transaction", dma, &event(dma));
        }
        Smmu::control(p, CMDQEN | EVENTQEN);
        for dma in &all {
            p.end_dma("SMMUEN is 0", dma, End::Aborted(0));
        }
        // Nobody waits for this any more.
        rig.smmu.resume(p, FOURTH, RETRY);
        Smmu::control(p, CMDQEN | EVENTQEN | SMMUEN);
    }
    rig.reads(p, "enabled again", &Dma::read(STAGE1, IOVA));
    rig.smmu.expect_no_event(p, "enabled again");
}

/// The event of a substream's transaction has the SubstreamID; CMD_RESUME needs none.
pub(super) fn of_a_substream(p: &mut Program) {
    let mut rig = Rig::new(p);
    rig.put_cd(p, 4 + 3, cd::of(rig.s1, 1).with(cd::S, 1));
    rig.put_ste(p, SPARE[0], ste::stage1(rig.cd(4)).with(ste::S1CDMAX, 2));
    rig.start(p);
    let dma = Dma::read(SPARE[0], ABSENT).of(3);
    rig.stalls(p, "a substream", &dma, &event(&dma));
    map(p, &rig, ABSENT);
    rig.smmu.resume(p, SPARE[0], RETRY);
    p.end_dma("it goes on", &dma, End::Done);
    p.expect_buffer("the bytes", &dma, DATA);
}

/// The event queue is off when a transaction stalls: it waits, and is told of when the queue is on.
pub(super) fn without_a_queue(p: &mut Program) {
    let mut rig = stalling(p);
    Smmu::control(p, SMMUEN | CMDQEN);
    p.dma("nobody is told", &READ, End::Waiting);
    p.peek32(0, reg::EVENTQ_PROD);
    p.expect("EVENTQ_PROD", 0, 0);
    Smmu::control(p, SMMUEN | CMDQEN | EVENTQEN);
    rig.smmu.expect_event(p, "the queue is on", &event(&READ).stalled());
    p.end_dma("it waits still", &READ, End::Waiting);
    map(p, &rig, ABSENT);
    rig.smmu.resume(p, STAGE1, RETRY);
    p.end_dma("it goes on", &READ, End::Done);
}

/// The same, and the cause is gone by then: it goes on with no event.
pub(super) fn repaired_before_it_is_told(p: &mut Program) {
    let rig = stalling(p);
    Smmu::control(p, SMMUEN | CMDQEN);
    p.dma("nobody is told", &READ, End::Waiting);
    map(p, &rig, ABSENT);
    Smmu::control(p, SMMUEN | CMDQEN | EVENTQEN);
    p.end_dma("the queue is on", &READ, End::Done);
    p.expect_buffer("the bytes", &READ, DATA);
    rig.smmu.expect_no_event(p, "it has not stalled");
}

/// A retry is as though the transaction had just arrived: by a configuration that has changed meanwhile.
pub(super) fn configuration_changes(p: &mut Program) {
    let mut rig = stalling(p);
    for (name, entry, end, bytes) in [
        ("the stream aborts", ste::ABORT, End::Aborted(0), None),
        ("another context", ste::stage1(rig.cd(2)), End::Done, Some(DATA)),
    ] {
        p.write_entry(rig.smmu.ste(STAGE1), rig.stage1());
        rig.smmu.complete(p, command::cfgi_ste(STAGE1));
        rig.stalls(p, name, &READ, &event(&READ));
        p.write_entry(rig.cd(2), cd::of(rig.inner, 9));
        let slot = p.slot(rig.inner, ABSENT, 3);
        p.poke(slot, rig.frame | desc::EL0_RW | desc::NG | desc::PAGE);
        p.write_entry(rig.smmu.ste(STAGE1), entry);
        rig.smmu.complete(p, command::cfgi_ste(STAGE1));
        p.end_dma(&format!("{name}: not by itself"), &READ, End::Waiting);
        rig.smmu.resume(p, STAGE1, RETRY);
        p.end_dma(name, &READ, end);
        if let Some(bytes) = bytes {
            p.expect_buffer(name, &READ, bytes);
        }
        rig.smmu.expect_no_event(p, name);
    }
}

/// Ac and Ab both set: a retry.
pub(super) fn retry_before_abort(p: &mut Program) {
    let mut rig = stalling(p);
    rig.stalls(p, "a read", &READ, &event(&READ));
    map(p, &rig, ABSENT);
    rig.smmu.resume(p, STAGE1, RETRY | ABORT);
    p.end_dma("Ac and Ab", &READ, End::Done);
}

/// A CD at an IPA that stage 2 does not have: CLASS = CD; it goes on when it is there.
pub(super) fn at_a_context(p: &mut Program) {
    let mut rig = Rig::new(p);
    let ipa = IPA + 0x10_0000;
    let entry = ste::nested(ipa + 0x40, rig.s2, VMID).with(ste::S2S, 1);
    rig.put_ste(p, SPARE[0], entry);
    rig.start(p);
    let dma = Dma::read(SPARE[0], IOVA);
    rig.stalls(p, "a CD", &dma, &event(&dma).stage2(class::CD, ipa));
    let slot = p.slot(rig.s2, ipa, 3);
    p.poke(slot, rig.contexts | desc::S2_RW | desc::PAGE);
    rig.smmu.resume(p, SPARE[0], RETRY);
    p.end_dma("it is there", &dma, End::Done);
    p.expect_buffer("the bytes", &dma, DATA);
}

/// A table of stage 1 at such an IPA: CLASS = TT; when it is there it is empty, which is a fault of stage 1 and its policy.
pub(super) fn at_a_table(p: &mut Program) {
    let mut rig = Rig::new(p);
    let ipa = IPA + 0x10_0000;
    let address = 0x40_0000_0000;
    rig.put_ste(p, NESTED, rig.nested().with(ste::S2S, 1));
    p.put(rig.inner, address, 1, ipa | desc::PAGE);
    rig.start(p);
    let dma = Dma::read(NESTED, address);
    rig.stalls(p, "a table", &dma, &event(&dma).stage2(class::TT, ipa));
    let empty = p.frame(0x1000);
    let slot = p.slot(rig.s2, ipa, 3);
    p.poke(slot, empty | desc::S2_RW | desc::PAGE);
    rig.smmu.resume(p, NESTED, RETRY);
    p.end_dma("it is empty", &dma, End::Aborted(0));
    rig.smmu.expect_event(p, "it is empty", &event(&dma));
    rig.smmu.expect_no_event(p, "it is empty");
}

/// The event queue's interrupt tells of the stall, the master's own one of the end.
pub(super) fn interrupts(p: &mut Program) {
    const EVENTQ: u64 = 32 + SMMU_SPI as u64;
    let mut rig = Rig::new(p);
    rig.put_cd(p, 0, cd::of(rig.s1, 1).with(cd::S, 1));
    p.start_gic();
    p.start_spi(EVENTQ);
    p.start_level_spi(READ.intid());
    rig.start(p);
    p.poke32(reg::IRQ_CTRL, 1 << 2);
    p.enable_dma_interrupt(&READ);
    for action in [RETRY, ABORT] {
        p.dma("a read", &READ, End::Waiting);
        p.take_and_acknowledge("the event queue's", EVENTQ);
        p.end_of_interrupt(EVENTQ);
        rig.smmu.expect_event(p, "a read", &event(&READ).stalled());
        if action == RETRY {
            map(p, &rig, ABSENT);
        }
        rig.smmu.resume(p, STAGE1, action);
        p.take_and_acknowledge("the master's", READ.intid());
        p.end_dma("the end", &READ, if action == RETRY { End::Done } else { End::Aborted(0) });
        p.acknowledge_dma_interrupt(&READ);
        p.end_of_interrupt(READ.intid());
        // Not there any more, for the second round.
        let slot = p.slot(rig.s1, ABSENT, 3);
        p.poke(slot, 0);
        rig.smmu.complete(p, command::TLBI_NSNH_ALL);
    }
}

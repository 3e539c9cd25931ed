//! Transactions that wait for software (Arm IHI 0070, 3.12.2, 4.7).

use crate::guest_tests::layout::NOWHERE;
use crate::guest_tests::program::Program;
use crate::guest_tests::smmu::structures::{Event, cd, class, command, ste};
use crate::guest_tests::smmu::{CMDQEN, DATA, EVENTQEN, IOVA, IPA, Rig, SMMUEN, Smmu, VMID, stream};
use crate::guest_tests::tables::desc;
use crate::guest_tests::test_master::{Dma, End};

const STREAM: u32 = stream::STAGE1;
/// A page that is not there at first.
const ABSENT: u64 = IOVA + 0x1_0000;
const READ: Dma = Dma::read(STREAM, ABSENT);

/// Actions of CMD_RESUME: Ac, Ab, and neither.
const RETRY: u64 = 1;
const ABORT: u64 = 2;
const ZERO: u64 = 0;

/// A rig in which faults of stage 1 stall.
fn stalling(p: &mut Program) -> Rig {
    let mut rig = Rig::new(p);
    // S, beside R and A.
    rig.put_cd(p, 0, cd::of(rig.s1, 1).with(cd::S, 1));
    rig.start(p);
    rig
}

fn event(dma: &Dma) -> Event {
    Event::fault(Event::TRANSLATION, dma)
}

/// Maps a page to the frame.
fn map(p: &mut Program, rig: &Rig, address: u64) {
    let slot = p.slot(rig.s1, address, 3);
    p.poke(slot, rig.frame | desc::EL0_RW | desc::PAGE);
}

/// The page is mapped, and the transaction goes on.
pub(super) fn retry(p: &mut Program) {
    let mut rig = stalling(p);
    rig.stalls(p, "a read", &READ, &event(&READ));
    map(p, &rig, ABSENT);
    rig.smmu.resume(p, STREAM, RETRY);
    p.end_dma("resumed", &READ, End::Done);
    p.expect_buffer("the bytes", &READ, DATA);
    rig.smmu.expect_no_event(p, "resumed");
}

/// The page is not mapped: it stalls again, and says so.
pub(super) fn retry_in_vain(p: &mut Program) {
    let mut rig = stalling(p);
    rig.stalls(p, "a read", &READ, &event(&READ));
    for _ in 0..3 {
        rig.smmu.resume(p, STREAM, RETRY);
        p.end_dma("again", &READ, End::Waiting);
        rig.smmu.expect_event(p, "again", &event(&READ).stalled());
    }
    map(p, &rig, ABSENT);
    rig.smmu.resume(p, STREAM, RETRY);
    p.end_dma("at last", &READ, End::Done);
}

/// Terminated with an abort.
pub(super) fn abort(p: &mut Program) {
    let mut rig = stalling(p);
    rig.stalls(p, "a read", &READ, &event(&READ));
    rig.smmu.resume(p, STREAM, ABORT);
    p.end_dma("terminated", &READ, End::Aborted(0));
    rig.smmu.expect_no_event(p, "terminated");
}

/// Terminated as RAZ/WI.
pub(super) fn zero(p: &mut Program) {
    let mut rig = stalling(p);
    p.fill_buffer(&READ, 0, 0x1234);
    rig.stalls(p, "a read", &READ, &event(&READ));
    rig.smmu.resume(p, STREAM, ZERO);
    p.end_dma("terminated", &READ, End::Done);
    p.expect_buffer("zeroes", &READ, 0);
    // That was for this transaction alone.
    rig.stalls(p, "another one", &READ, &event(&READ));
    rig.smmu.resume(p, STREAM, ABORT);
    p.end_dma("terminated, too", &READ, End::Aborted(0));
}

/// CMD_STALL_TERM aborts what is stalled of its stream, and nothing else.
pub(super) fn stall_term(p: &mut Program) {
    let mut rig = stalling(p);
    rig.stalls(p, "a read", &READ, &event(&READ));
    rig.smmu.give(p, command::of_stream(0x45, stream::STAGE2));
    p.end_dma("another stream", &READ, End::Waiting);
    rig.smmu.complete(p, command::of_stream(0x45, STREAM));
    p.end_dma("this one", &READ, End::Aborted(0));
}

/// SMMUEN = 0 leaves nothing stalled.
pub(super) fn disabled(p: &mut Program) {
    let mut rig = stalling(p);
    rig.stalls(p, "a read", &READ, &event(&READ));
    Smmu::control(p, CMDQEN | EVENTQEN);
    p.end_dma("SMMUEN is 0", &READ, End::Aborted(0));
    Smmu::control(p, CMDQEN | EVENTQEN | SMMUEN);
    rig.reads(p, "enabled again", &Dma::read(STREAM, IOVA));
}

/// A STAG or a StreamID that names nothing has no effect.
pub(super) fn resume_of_nothing(p: &mut Program) {
    let mut rig = stalling(p);
    rig.stalls(p, "a read", &READ, &event(&READ));
    rig.smmu.resume(p, stream::STAGE2, RETRY);
    rig.smmu.resume(p, 0x1234_5678, ABORT);
    a64!(p ; mov x9, x10 ; eor x10, x10, 0x7000);
    rig.smmu.resume(p, STREAM, ABORT);
    p.end_dma("it waits", &READ, End::Waiting);
    a64!(p ; mov x10, x9);
    rig.smmu.resume(p, STREAM, ABORT);
    p.end_dma("the right one", &READ, End::Aborted(0));
    // Nor has one that is answered already.
    rig.smmu.resume(p, STREAM, ABORT);
    rig.smmu.expect_no_event(p, "twice");
}

/// A transfer that stalls half way goes on from there: what is done is not done again.
pub(super) fn from_where_it_stalled(p: &mut Program) {
    let mut rig = stalling(p);
    let list = p.frame(0x1000);
    // The list is in the page behind the one that all cases have, and bytes go to it, then to one that is absent, and back.
    p.page(rig.s1, IOVA + 0x1000, list, desc::EL0_RW);
    for (n, word) in (0..).zip([IOVA + 0x100, 8, ABSENT + 0x200, 8, IOVA + 0x300, 8]) {
        p.poke(list + 8 * n, word);
    }
    let dma = Dma { list: 3, ..Dma::write(STREAM, IOVA + 0x1000) };
    for n in 0..3 {
        p.fill_buffer(&dma, n, 0xa0 + n);
    }
    let stalled = Dma::write(STREAM, ABSENT + 0x200);
    rig.stalls(p, "the second segment", &dma, &event(&stalled));
    // What the first one has written is overwritten: were it written again, it would be seen.
    p.poke(rig.frame + 0x100, 0x55);
    map(p, &rig, ABSENT);
    rig.smmu.resume(p, STREAM, RETRY);
    p.end_dma("resumed", &dma, End::Done);
    for (at, value) in [(0x100, 0x55), (0x200, 0xa1), (0x300, 0xa2)] {
        p.mov(18, rig.frame + at);
        a64!(p ; ldr x0, [x18]);
        p.expect("a segment", 0, value);
    }
}

/// A transaction that its master has given up may be answered all the same.
pub(super) fn given_up(p: &mut Program) {
    let mut rig = stalling(p);
    rig.stalls(p, "a read", &READ, &event(&READ));
    p.stop_dma(&READ);
    map(p, &rig, ABSENT);
    rig.smmu.resume(p, STREAM, RETRY);
    rig.smmu.expect_no_event(p, "answered");
    rig.reads(p, "the next one", &READ);
}

/// Faults of stage 2 stall as S2S says.
pub(super) fn stage2(p: &mut Program) {
    let mut rig = Rig::new(p);
    let absent = IPA + 0x1_0000;
    rig.put_ste(p, stream::STAGE2, ste::stage2(rig.s2, VMID).with(ste::S2S, 1));
    rig.start(p);
    let dma = Dma::read(stream::STAGE2, absent);
    rig.stalls(p, "a read", &dma, &event(&dma).stage2(class::IN, absent));
    let slot = p.slot(rig.s2, absent, 3);
    p.poke(slot, rig.frame | desc::S2_RW | desc::PAGE);
    rig.smmu.resume(p, stream::STAGE2, RETRY);
    p.end_dma("resumed", &dma, End::Done);
    p.expect_buffer("the bytes", &dma, DATA);
}

/// Of both stages, the one that faults decides: stage 2 has a policy of its own.
pub(super) fn stage2_of_both(p: &mut Program) {
    let mut rig = Rig::new(p);
    rig.put_ste(p, stream::NESTED, rig.nested().with(ste::S2S, 1));
    let (inner, absent) = (rig.inner, IPA + 0x1_0000);
    p.page(inner, ABSENT, absent, desc::EL0_RW);
    rig.start(p);
    let dma = Dma::read(stream::NESTED, ABSENT + 0x1000);
    rig.faults(p, "stage 1", &dma, &event(&dma));
    let dma = Dma::read(stream::NESTED, ABSENT);
    rig.stalls(p, "stage 2", &dma, &event(&dma).stage2(class::IN, absent));
    rig.smmu.resume(p, stream::NESTED, ABORT);
    p.end_dma("terminated", &dma, End::Aborted(0));
}

/// A fault of permission stalls as well, and a write goes on when it is allowed.
pub(super) fn permission(p: &mut Program) {
    let mut rig = stalling(p);
    let slot = p.slot(rig.s1, ABSENT, 3);
    p.poke(slot, rig.frame | desc::EL0_RW | desc::RO | desc::PAGE);
    let dma = Dma::write(STREAM, ABSENT + 8);
    p.fill_buffer(&dma, 0, 0x77);
    rig.stalls(p, "a write", &dma, &Event::fault(Event::PERMISSION, &dma));
    map(p, &rig, ABSENT);
    rig.smmu.complete(p, command::tlbi(0x12, 0, 1, ABSENT));
    rig.smmu.resume(p, STREAM, RETRY);
    p.end_dma("resumed", &dma, End::Done);
    p.mov(18, rig.frame + 8);
    a64!(p ; ldr x0, [x18]);
    p.expect("the word", 0, 0x77);
}

/// Faults of the access flag and of the size of an address stall like others.
pub(super) fn other_faults(p: &mut Program) {
    let mut rig = Rig::new(p);
    let (s1, frame) = (rig.s1, rig.frame);
    rig.put_cd(p, 0, cd::of(s1, 1).with(cd::S, 1));
    p.page(s1, ABSENT, frame, desc::SH | desc::EL0);
    p.page(s1, ABSENT + 0x1000, 1 << 41, desc::EL0_RW);
    rig.start(p);
    for (address, number) in [(ABSENT, Event::ACCESS), (ABSENT + 0x1000, Event::ADDR_SIZE)] {
        let dma = Dma::read(STREAM, address);
        rig.stalls(p, "a read", &dma, &Event::fault(number, &dma));
        rig.smmu.resume(p, STREAM, ABORT);
        p.end_dma("terminated", &dma, End::Aborted(0));
    }
}

/// An abort on a walk never stalls.
pub(super) fn walk_aborts_do_not(p: &mut Program) {
    let mut rig = Rig::new(p);
    let s1 = rig.s1;
    rig.put_cd(p, 0, cd::of(s1, 1).with(cd::S, 1));
    p.put(s1, 0x40_0000_0000, 1, NOWHERE | desc::PAGE);
    rig.start(p);
    let dma = Dma::read(STREAM, 0x40_0000_0000);
    let event = Event::fault(Event::WALK_EABT, &dma).class(class::TT).fetching(NOWHERE);
    rig.faults(p, "no table", &dma, &event);
}

/// A list that is behind a page that is absent: its reading stalls, and then the transfer goes on.
pub(super) fn list(p: &mut Program) {
    let mut rig = stalling(p);
    p.poke(rig.frame + 0x800, IOVA);
    p.poke(rig.frame + 0x808, 8);
    let dma = Dma { list: 1, ..Dma::read(STREAM, ABSENT + 0x800) };
    rig.stalls(p, "the list", &dma, &event(&dma));
    map(p, &rig, ABSENT);
    rig.smmu.resume(p, STREAM, RETRY);
    p.end_dma("resumed", &dma, End::Done);
    p.expect_buffer("the bytes", &dma, DATA);
}

/// Invalidations leave what is stalled as it is.
pub(super) fn invalidation(p: &mut Program) {
    let mut rig = stalling(p);
    rig.stalls(p, "a read", &READ, &event(&READ));
    for words in [command::TLBI_NSNH_ALL, command::CFGI_ALL, command::cfgi_ste(STREAM)] {
        rig.smmu.complete(p, words);
        p.end_dma("it waits", &READ, End::Waiting);
    }
    map(p, &rig, ABSENT);
    rig.smmu.resume(p, STREAM, RETRY);
    p.end_dma("resumed", &READ, End::Done);
    rig.smmu.expect_no_event(p, "resumed");
}

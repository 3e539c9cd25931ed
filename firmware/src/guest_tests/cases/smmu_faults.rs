//! Faults of stage 1, and what becomes of the transaction (Arm IHI 0070, 3.12, 5.5, 7.3).

use crate::guest_tests::layout::NOWHERE;
use crate::guest_tests::program::Program;
use crate::guest_tests::smmu::structures::{Event, cd, class, command, ste};
use crate::guest_tests::smmu::{DATA, IOVA, IPA, Rig, stream};
use crate::guest_tests::tables::desc;
use crate::guest_tests::test_master::attributes::{INSTRUCTION, PRIVILEGED};
use crate::guest_tests::test_master::{Dma, End, UNSTALLABLE};

const STREAM: u32 = stream::STAGE1;
/// A page that no case maps.
const ABSENT: u64 = IOVA + 0x1_0000;

/// A rig whose page has these attributes.
fn with_page(p: &mut Program, attributes: u64) -> Rig {
    let rig = Rig::new(p);
    let (s1, frame) = (rig.s1, rig.frame);
    p.page(s1, IOVA, frame, attributes);
    rig
}

/// F_TRANSLATION: an invalid descriptor at each level, and an address beyond T0SZ.
pub(super) fn translation(p: &mut Program) {
    let mut rig = Rig::new(p);
    rig.start(p);
    for address in [ABSENT, IOVA + (1 << 22), IOVA + (1 << 31), 1 << 39, 1 << 63] {
        for dma in [Dma::read(STREAM, address), Dma::write(STREAM, address).with(PRIVILEGED)] {
            rig.faults(p, "nothing", &dma, &Event::fault(Event::TRANSLATION, &dma));
        }
    }
}

/// InputAddr has all bits of the address, and says where a transfer had come to.
pub(super) fn input_address(p: &mut Program) {
    let mut rig = Rig::new(p);
    rig.start(p);
    let dma = Dma::read(STREAM, ABSENT + 0x123).bytes(1);
    rig.faults(p, "a byte", &dma, &Event::fault(Event::TRANSLATION, &dma));
}

/// F_ACCESS, unless CD.AFFD says otherwise.
pub(super) fn access_flag(p: &mut Program) {
    let mut rig = with_page(p, desc::SH | desc::EL0);
    rig.put_cd(p, 2, cd::of(rig.s1, 7).with(cd::AFFD, 1));
    rig.put_ste(p, stream::SPARE[0], ste::stage1(rig.cd(2)));
    rig.start(p);
    let dma = Dma::read(STREAM, IOVA);
    rig.faults(p, "AF is 0", &dma, &Event::fault(Event::ACCESS, &dma));
    rig.reads(p, "AFFD", &Dma::read(stream::SPARE[0], IOVA));
}

/// AP\[1\] = 0: for privileged transactions alone.
pub(super) fn unprivileged(p: &mut Program) {
    let mut rig = with_page(p, desc::EL1_RW);
    rig.start(p);
    for dma in [Dma::read(STREAM, IOVA), Dma::write(STREAM, IOVA)] {
        rig.faults(p, "unprivileged", &dma, &Event::fault(Event::PERMISSION, &dma));
    }
    rig.reads(p, "privileged", &Dma::read(STREAM, IOVA).with(PRIVILEGED));
}

/// AP\[2\] = 1: read-only.
pub(super) fn read_only(p: &mut Program) {
    let mut rig = with_page(p, desc::EL0_RW | desc::RO);
    rig.start(p);
    for privilege in [0, PRIVILEGED] {
        let dma = Dma::write(STREAM, IOVA).with(privilege);
        rig.faults(p, "a write", &dma, &Event::fault(Event::PERMISSION, &dma));
        rig.reads(p, "a read", &Dma::read(STREAM, IOVA).with(privilege));
    }
}

/// UXN and PXN.
pub(super) fn execute_never(p: &mut Program) {
    let mut rig = with_page(p, desc::EL0_RW | desc::RO | desc::UXN);
    let (s1, frame) = (rig.s1, rig.frame);
    p.page(s1, ABSENT, frame, desc::EL0_RW | desc::RO | desc::PXN);
    rig.start(p);
    let user = Dma::read(STREAM, IOVA).with(INSTRUCTION);
    rig.faults(p, "UXN", &user, &Event::fault(Event::PERMISSION, &user));
    rig.reads(p, "UXN, privileged", &user.with(PRIVILEGED));
    let privileged = Dma::read(STREAM, ABSENT).with(INSTRUCTION | PRIVILEGED);
    rig.faults(p, "PXN", &privileged, &Event::fault(Event::PERMISSION, &privileged));
    rig.reads(p, "PXN, user", &Dma::read(STREAM, ABSENT).with(INSTRUCTION));
}

/// WXN: what is writable is no code.
pub(super) fn wxn(p: &mut Program) {
    let mut rig = with_page(p, desc::EL0_RW);
    rig.put_cd(p, 0, cd::of(rig.s1, 1).with(cd::WXN, 1));
    rig.start(p);
    let dma = Dma::read(STREAM, IOVA).with(INSTRUCTION);
    rig.faults(p, "WXN", &dma, &Event::fault(Event::PERMISSION, &dma));
    rig.reads(p, "data", &Dma::read(STREAM, IOVA));
}

/// CD.PAN: privileged data accesses do not reach what unprivileged ones do.
pub(super) fn pan(p: &mut Program) {
    let mut rig = with_page(p, desc::EL0_RW);
    rig.put_cd(p, 0, cd::of(rig.s1, 1).with(cd::PAN, 1));
    rig.start(p);
    let dma = Dma::read(STREAM, IOVA).with(PRIVILEGED);
    rig.faults(p, "privileged", &dma, &Event::fault(Event::PERMISSION, &dma));
    rig.reads(p, "unprivileged", &Dma::read(STREAM, IOVA));
}

/// F_ADDR_SIZE: an output beyond CD.IPS.
pub(super) fn address_size(p: &mut Program) {
    let mut rig = Rig::new(p);
    let s1 = rig.s1;
    p.page(s1, ABSENT, 1 << 41, desc::EL0_RW);
    rig.start(p);
    let dma = Dma::read(STREAM, ABSENT);
    rig.faults(p, "41 bits", &dma, &Event::fault(Event::ADDR_SIZE, &dma));
}

/// F_WALK_EABT: a table where nothing answers.
pub(super) fn walk_abort(p: &mut Program) {
    let mut rig = Rig::new(p);
    let s1 = rig.s1;
    p.put(s1, 0x40_0000_0000, 1, NOWHERE | desc::PAGE);
    rig.start(p);
    let dma = Dma::read(STREAM, 0x40_0000_0000 + (3 << 21));
    let event = Event::fault(Event::WALK_EABT, &dma).class(class::TT).fetching(NOWHERE + 8 * 3);
    rig.faults(p, "no table", &dma, &event);
}

/// An abort of the transaction itself is none of the SMMU's.
pub(super) fn external_abort(p: &mut Program) {
    let mut rig = Rig::new(p);
    let s1 = rig.s1;
    p.page(s1, ABSENT, NOWHERE, desc::EL0_RW);
    rig.start(p);
    rig.aborts_silently(p, "nobody answers", &Dma::read(STREAM, ABSENT));
    rig.aborts_silently(p, "nor to a bypass", &Dma::read(stream::BYPASS, NOWHERE));
}

/// A, R and S of a CD, for a master that can wait: what becomes of a fault.
pub(super) fn policies_of_stage1(p: &mut Program) {
    let mut rig = Rig::new(p);
    rig.start(p);
    let dma = Dma::read(STREAM, ABSENT);
    let event = Event::fault(Event::TRANSLATION, &dma);
    for ars in 0..8 {
        let [a, r, s] = [ars >> 2, ars >> 1 & 1, ars & 1];
        let name = format!("A{a} R{r} S{s}");
        p.write_entry(rig.cd(0), cd::of(rig.s1, 1).with(cd::A, a).with(cd::R, r).with(cd::S, s));
        rig.smmu.complete(p, command::cfgi_cd(STREAM, 0));
        if s == 1 {
            // Recorded whatever R says.
            rig.stalls(p, &name, &dma, &event);
            rig.smmu.resume(p, STREAM, 2);
            p.end_dma(&name, &dma, End::Aborted(0));
        } else if a == 1 {
            p.dma(&name, &dma, End::Aborted(0));
        } else {
            rig.reads_value(p, &name, &dma, 0);
        }
        if s == 0 && r == 1 {
            rig.smmu.expect_event(p, &name, &event);
        }
        rig.smmu.expect_no_event(p, &name);
    }
}

/// Writes that are terminated as RAZ/WI have no effect.
pub(super) fn writes_are_ignored(p: &mut Program) {
    let mut rig = with_page(p, desc::EL0_RW | desc::RO);
    rig.put_cd(p, 0, cd::of(rig.s1, 1).with(cd::A, 0));
    rig.start(p);
    let dma = Dma::write(STREAM, IOVA);
    p.fill_buffer(&dma, 0, 0x77);
    p.dma("a write", &dma, End::Done);
    rig.smmu.expect_event(p, "a write", &Event::fault(Event::PERMISSION, &dma));
    rig.reads(p, "nothing was written", &Dma::read(STREAM, IOVA));
}

/// S2R and S2S of an STE: faults of stage 2 are aborted, unless they stall.
pub(super) fn policies_of_stage2(p: &mut Program) {
    let mut rig = Rig::new(p);
    rig.start(p);
    let dma = Dma::read(stream::STAGE2, IPA + 0x1_0000);
    let event = Event::fault(Event::TRANSLATION, &dma).stage2(class::IN, dma.address);
    for rs in 0..4 {
        let [r, s] = [rs >> 1, rs & 1];
        let name = format!("S2R{r} S2S{s}");
        let entry = ste::stage2(rig.s2, 3).with(ste::S2R, r).with(ste::S2S, s);
        p.write_entry(rig.smmu.ste(stream::STAGE2), entry);
        rig.smmu.complete(p, command::cfgi_ste(stream::STAGE2));
        if s == 1 {
            rig.stalls(p, &name, &dma, &event);
            rig.smmu.resume(p, stream::STAGE2, 2);
            p.end_dma(&name, &dma, End::Aborted(0));
        } else {
            p.dma(&name, &dma, End::Aborted(0));
            if r == 1 {
                rig.smmu.expect_event(p, &name, &event);
            }
        }
        rig.smmu.expect_no_event(p, &name);
    }
}

/// A stall is configured, and the master cannot wait: an abort, recorded without STALL.
pub(super) fn master_that_cannot_wait(p: &mut Program) {
    let mut rig = Rig::new(p);
    rig.put_cd(p, 0, cd::of(rig.s1, 1).with(cd::S, 1));
    rig.put_ste(p, UNSTALLABLE, rig.stage1());
    rig.start(p);
    let dma = Dma::read(UNSTALLABLE, ABSENT);
    rig.faults(p, "aborted", &dma, &Event::fault(Event::TRANSLATION, &dma));
    rig.reads(p, "a page that is there", &Dma::read(UNSTALLABLE, IOVA));
}

/// What is wrong with the configuration never stalls.
pub(super) fn configuration_errors_never_stall(p: &mut Program) {
    let mut rig = Rig::new(p);
    rig.put_cd(p, 0, cd::of(rig.s1, 1).with(cd::S, 1).with(cd::TG0, 3));
    rig.start(p);
    let dma = Dma::read(STREAM, IOVA);
    rig.faults(p, "C_BAD_CD", &dma, &Event::of(Event::BAD_CD, &dma));
}

/// A transfer that faults half way has transferred what is before.
pub(super) fn half_way(p: &mut Program) {
    let mut rig = Rig::new(p);
    rig.start(p);
    let list = p.frame(0x1000);
    let whole = Dma { list: 2, ..Dma::read(stream::BYPASS, list) };
    for (n, word) in (0..).zip([rig.frame, 16, NOWHERE, 16]) {
        p.poke(list + 8 * n, word);
    }
    p.dma("the second segment", &whole, End::Aborted(16));
    p.expect_buffer("the first one", &whole, DATA);
}

/// The event of a substream has its SubstreamID.
pub(super) fn substream(p: &mut Program) {
    let mut rig = Rig::new(p);
    rig.put_cd(p, 4 + 3, cd::of(rig.s1, 1));
    let entry = ste::stage1(rig.cd(4)).with(ste::S1CDMAX, 2);
    rig.put_ste(p, stream::SPARE[0], entry);
    rig.start(p);
    let dma = Dma::write(stream::SPARE[0], ABSENT).of(3);
    rig.faults(p, "a substream", &dma, &Event::fault(Event::TRANSLATION, &dma));
}

/// Each kind of fault of stage 2 alone.
pub(super) fn faults_of_stage2(p: &mut Program) {
    let mut rig = Rig::new(p);
    let (s2, frame) = (rig.s2, rig.frame);
    let page = |n: u64| IPA + 0x1_0000 + 0x1000 * n;
    p.page(s2, page(1), frame, desc::S2_RW & !desc::AF);
    p.page(s2, page(2), frame, desc::S2_RW & !desc::S2_W);
    p.page(s2, page(3), 1 << 41, desc::S2_RW);
    // XN.
    p.page(s2, page(4), frame, desc::S2_RW | desc::UXN);
    rig.start(p);
    for (n, number) in
        [(0, Event::TRANSLATION), (1, Event::ACCESS), (2, Event::PERMISSION), (3, Event::ADDR_SIZE)]
    {
        let dma = Dma::write(stream::STAGE2, page(n) + 0x18);
        rig.faults(p, "a write", &dma, &Event::fault(number, &dma).stage2(class::IN, page(n)));
    }
    rig.reads(p, "data", &Dma::read(stream::STAGE2, page(4)));
    let dma = Dma::read(stream::STAGE2, page(4)).with(INSTRUCTION);
    rig.faults(p, "code", &dma, &Event::fault(Event::PERMISSION, &dma).stage2(class::IN, page(4)));
}

/// F_WALK_EABT at stage 2: the table that was to be read.
pub(super) fn walk_abort_of_stage2(p: &mut Program) {
    let mut rig = Rig::new(p);
    let s2 = rig.s2;
    p.put(s2, 0x40_0000_0000, 1, NOWHERE | desc::PAGE);
    rig.start(p);
    let dma = Dma::read(stream::STAGE2, 0x40_0000_0000 + (5 << 21));
    p.dma("no table", &dma, End::Aborted(0));
    let event = Event::fault(Event::WALK_EABT, &dma).stage2(class::IN, 0).fetching(NOWHERE + 8 * 5);
    rig.smmu.expect_event(p, "no table", &event);
}

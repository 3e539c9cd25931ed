//! Both stages (Arm IHI 0070, 3.3.2, 7.3.12 to 7.3.16): addresses of CDs and of tables of stage 1 are IPAs.

use crate::guest_tests::layout::NOWHERE;
use crate::guest_tests::program::Program;
use crate::guest_tests::smmu::structures::{Event, cd, class, command, ste};
use crate::guest_tests::smmu::{DATA, IOVA, IPA, OTHER, Rig, VMID, stream};
use crate::guest_tests::tables::desc;
use crate::guest_tests::test_master::Dma;

const STREAM: u32 = stream::NESTED;
/// An IPA that stage 2 does not have.
const ABSENT: u64 = IPA + 0x10_0000;

/// One after the other.
pub(super) fn both(p: &mut Program) {
    let mut rig = Rig::new(p);
    rig.start(p);
    rig.reads(p, "a read", &Dma::read(STREAM, IOVA));
    rig.writes(p, "a write", &Dma::write(STREAM, IOVA));
}

/// A fault of stage 1 is one of stage 1.
pub(super) fn stage1_faults(p: &mut Program) {
    let mut rig = Rig::new(p);
    rig.start(p);
    let dma = Dma::read(STREAM, IOVA + 0x1000);
    rig.faults(p, "stage 1", &dma, &Event::fault(Event::TRANSLATION, &dma));
}

/// CLASS = IN: the output of stage 1, by kind of fault.
pub(super) fn class_in(p: &mut Program) {
    let mut rig = Rig::new(p);
    let (inner, s2, frame) = (rig.inner, rig.s2, rig.frame);
    let rows = [
        (Event::TRANSLATION, None),
        (Event::ACCESS, Some(frame | desc::S2_RW & !desc::AF)),
        (Event::PERMISSION, Some(frame | desc::S2_RW & !desc::S2_R)),
        // S2PS is 40 bits.
        (Event::ADDR_SIZE, Some(1 << 41 | desc::S2_RW)),
    ];
    for (n, (_, descriptor)) in (1..).zip(rows) {
        p.page(inner, IOVA + 0x1000 * n, ABSENT + 0x1000 * n, desc::EL0_RW);
        if let Some(descriptor) = descriptor {
            p.put(s2, ABSENT + 0x1000 * n, 3, descriptor | desc::PAGE);
        }
    }
    rig.start(p);
    for (n, (number, _)) in (1..).zip(rows) {
        let dma = Dma::read(STREAM, IOVA + 0x1000 * n + 0x28);
        let event = Event::fault(number, &dma).stage2(class::IN, ABSENT + 0x1000 * n);
        rig.faults(p, "stage 2", &dma, &event);
    }
}

/// CLASS = TT: a table of stage 1.
pub(super) fn class_tt(p: &mut Program) {
    let mut rig = Rig::new(p);
    let (inner, s2, frame) = (rig.inner, rig.s2, rig.frame);
    p.put(inner, 0x40_0000_0000, 1, ABSENT | desc::PAGE);
    p.put(inner, 0x41_0000_0000, 1, (ABSENT + 0x1000) | desc::PAGE);
    p.put(s2, ABSENT + 0x1000, 3, frame | desc::S2_RW & !desc::S2_R | desc::PAGE);
    rig.start(p);
    let dma = Dma::write(STREAM, 0x40_0000_0000);
    let event = Event::fault(Event::TRANSLATION, &dma).stage2(class::TT, ABSENT);
    rig.faults(p, "a table that is not there", &dma, &event);
    let dma = Dma::write(STREAM, 0x41_0000_0000);
    let event = Event::fault(Event::PERMISSION, &dma).stage2(class::TT, ABSENT + 0x1000).table_read();
    rig.faults(p, "a table that cannot be read", &dma, &event);
}

/// CLASS = CD: the CD, and an L1CD.
pub(super) fn class_cd(p: &mut Program) {
    let mut rig = Rig::new(p);
    rig.put_ste(p, stream::SPARE[0], ste::nested(ABSENT + 0x40, rig.s2, VMID));
    let two = ste::nested(ABSENT, rig.s2, VMID).with(ste::S1CDMAX, 12).with(ste::S1FMT, 1);
    rig.put_ste(p, stream::SPARE[1], two);
    rig.start(p);
    let dma = Dma::read(stream::SPARE[0], IOVA);
    let event = Event::fault(Event::TRANSLATION, &dma).stage2(class::CD, ABSENT);
    rig.faults(p, "a CD", &dma, &event);
    let dma = Dma::read(stream::SPARE[1], IOVA).of(70);
    let event = Event::fault(Event::TRANSLATION, &dma).stage2(class::CD, ABSENT);
    rig.faults(p, "an L1CD", &dma, &event);
}

/// A page that stage 2 lets only be read, or only be written.
pub(super) fn stage2_permissions(p: &mut Program) {
    let mut rig = Rig::new(p);
    let (inner, s2, frame) = (rig.inner, rig.s2, rig.frame);
    p.page(inner, IOVA + 0x1000, ABSENT, desc::EL0_RW);
    p.put(s2, ABSENT, 3, frame | desc::S2_RW & !desc::S2_W | desc::PAGE);
    p.put(s2, IPA, 3, frame | desc::S2_RW & !desc::S2_R | desc::PAGE);
    rig.start(p);
    rig.reads(p, "read-only, a read", &Dma::read(STREAM, IOVA + 0x1000));
    let dma = Dma::write(STREAM, IOVA + 0x1000);
    let event = Event::fault(Event::PERMISSION, &dma).stage2(class::IN, ABSENT);
    rig.faults(p, "read-only, a write", &dma, &event);
    rig.writes(p, "write-only, a write", &Dma::write(STREAM, IOVA));
    let dma = Dma::read(STREAM, IOVA);
    let event = Event::fault(Event::PERMISSION, &dma).stage2(class::IN, IPA);
    rig.faults(p, "write-only, a read", &dma, &event);
}

/// A block of stage 1 over pages of stage 2: each page is translated as stage 2 has it.
pub(super) fn block_over_pages(p: &mut Program) {
    let (va, block) = (0x50_0000_0000, 0x24_0000_0000);
    let mut rig = Rig::new(p);
    let (inner, s2, frame, other) = (rig.inner, rig.s2, rig.frame, rig.other);
    p.put(inner, va, 2, block | desc::EL0_RW | desc::BLOCK);
    p.page(s2, block, frame, desc::S2_RW);
    p.page(s2, block + 0x1000, other, desc::S2_RW);
    rig.start(p);
    for _ in 0..2 {
        rig.reads_value(p, "the first page", &Dma::read(STREAM, va), DATA);
        rig.reads_value(p, "the second page", &Dma::read(STREAM, va + 0x1000), OTHER);
    }
    let dma = Dma::read(STREAM, va + 0x2000);
    let event = Event::fault(Event::TRANSLATION, &dma).stage2(class::IN, block + 0x2000);
    rig.faults(p, "the third page", &dma, &event);
}

/// S2PTW: tables of stage 1 are not read from what stage 2 says is a device.
pub(super) fn protected_walks(p: &mut Program) {
    let mut rig = Rig::new(p);
    let (inner, s2) = (rig.inner, rig.s2);
    // The first table of stage 1, as Device-nGnRnE.
    let device = desc::AF | desc::S2_R | desc::S2_W;
    p.page(s2, inner.root, inner.root, device);
    // With a VMID of its own: walks are not cached for both.
    rig.put_ste(p, stream::SPARE[0], ste::nested(rig.cd(1), s2, VMID + 1).with(ste::S2PTW, 1));
    rig.start(p);
    rig.reads(p, "S2PTW is 0", &Dma::read(STREAM, IOVA));
    let dma = Dma::read(stream::SPARE[0], IOVA);
    let event = Event::fault(Event::PERMISSION, &dma).stage2(class::TT, inner.root).table_read();
    rig.faults(p, "S2PTW is 1", &dma, &event);
}

/// A CD that is not valid is C_BAD_CD, wherever stage 2 has it.
pub(super) fn bad_cd(p: &mut Program) {
    let mut rig = Rig::new(p);
    rig.put_cd(p, 1, cd::of(rig.inner, 2).with(cd::V, 0));
    rig.start(p);
    let dma = Dma::read(STREAM, IOVA);
    rig.faults(p, "V is 0", &dma, &Event::of(Event::BAD_CD, &dma));
}

/// The output of stage 1 is beyond what stage 2 takes.
pub(super) fn beyond_stage2(p: &mut Program) {
    let mut rig = Rig::new(p);
    let inner = rig.inner;
    p.page(inner, IOVA + 0x1000, 1 << 39, desc::EL0_RW);
    rig.start(p);
    let dma = Dma::read(STREAM, IOVA + 0x1000);
    let event = Event::fault(Event::TRANSLATION, &dma).stage2(class::IN, 1 << 39);
    rig.faults(p, "39 bits", &dma, &event);
}

/// CLASS = CD, by kind of fault.
pub(super) fn kinds_at_a_context(p: &mut Program) {
    let mut rig = Rig::new(p);
    let rows = [
        (Event::ACCESS, rig.contexts | desc::S2_RW & !desc::AF),
        (Event::PERMISSION, rig.contexts | desc::S2_RW & !desc::S2_R),
        (Event::ADDR_SIZE, 1 << 41 | desc::S2_RW),
    ];
    rig.put_ste(p, stream::SPARE[0], ste::nested(ABSENT, rig.s2, VMID));
    let slot = p.slot(rig.s2, ABSENT, 3);
    rig.start(p);
    let dma = Dma::write(stream::SPARE[0], IOVA);
    for (number, descriptor) in rows {
        p.poke(slot, descriptor | desc::PAGE);
        rig.smmu.complete(p, command::TLBI_NSNH_ALL);
        rig.faults(p, "a CD", &dma, &Event::fault(number, &dma).stage2(class::CD, ABSENT));
    }
}

/// CLASS = TT, by kind of fault.
pub(super) fn kinds_at_a_table(p: &mut Program) {
    let mut rig = Rig::new(p);
    let rows =
        [(Event::ACCESS, rig.frame | desc::S2_RW & !desc::AF), (Event::ADDR_SIZE, 1 << 41 | desc::S2_RW)];
    p.put(rig.inner, 0x40_0000_0000, 1, ABSENT | desc::PAGE);
    let slot = p.slot(rig.s2, ABSENT, 3);
    rig.start(p);
    let dma = Dma::read(STREAM, 0x40_0000_0000);
    for (number, descriptor) in rows {
        p.poke(slot, descriptor | desc::PAGE);
        rig.smmu.complete(p, command::TLBI_NSNH_ALL);
        rig.faults(p, "a table", &dma, &Event::fault(number, &dma).stage2(class::TT, ABSENT));
    }
}

/// A table of stage 1 that stage 2 leads to where nothing answers: a fault of stage 1, with the physical address.
pub(super) fn walk_aborts(p: &mut Program) {
    let mut rig = Rig::new(p);
    p.put(rig.inner, 0x40_0000_0000, 1, ABSENT | desc::PAGE);
    p.page(rig.s2, ABSENT, NOWHERE, desc::S2_RW);
    rig.start(p);
    let dma = Dma::read(STREAM, 0x40_0000_0000 + (3 << 21));
    let event = Event::fault(Event::WALK_EABT, &dma).class(class::TT).fetching(NOWHERE + 8 * 3);
    rig.faults(p, "a table of stage 1", &dma, &event);
}

/// A table of stage 2 where nothing answers, by what was to be translated: the CD, a table of stage 1, the output of stage 1.
pub(super) fn walk_aborts_of_stage2(p: &mut Program) {
    let far = 0x40_0000_0000;
    let mut rig = Rig::new(p);
    p.put(rig.s2, far, 1, NOWHERE | desc::PAGE);
    p.put(rig.inner, far, 1, (far + (2 << 21)) | desc::PAGE);
    p.page(rig.inner, IOVA + 0x1000, far + (4 << 21), desc::EL0_RW);
    rig.put_ste(p, stream::SPARE[0], ste::nested(far + (6 << 21), rig.s2, VMID));
    rig.start(p);
    let rows = [
        (Dma::read(stream::SPARE[0], IOVA), class::CD, 6),
        (Dma::read(STREAM, far), class::TT, 2),
        (Dma::read(STREAM, IOVA + 0x1000), class::IN, 4),
    ];
    for (dma, class, index) in rows {
        let event = Event::fault(Event::WALK_EABT, &dma).stage2(class, 0).fetching(NOWHERE + 8 * index);
        rig.faults(p, "a table of stage 2", &dma, &event);
    }
}

/// A CD that stage 2 leads to where nothing answers: F_CD_FETCH, with the physical address.
pub(super) fn cd_fetch_aborts(p: &mut Program) {
    let mut rig = Rig::new(p);
    rig.put_ste(p, stream::SPARE[0], ste::nested(ABSENT + 0x80, rig.s2, VMID));
    p.page(rig.s2, ABSENT, NOWHERE, desc::S2_RW);
    rig.start(p);
    let dma = Dma::read(stream::SPARE[0], IOVA);
    rig.faults(p, "a CD", &dma, &Event::of(Event::CD_FETCH, &dma).fetching(NOWHERE + 0x80));
}

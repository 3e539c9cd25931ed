//! Stream tables and STEs (Arm IHI 0070, 3.3.1, 5.1, 5.2).

use crate::guest_tests::layout::NOWHERE;
use crate::guest_tests::program::Program;
use crate::guest_tests::smmu::structures::{Entry, Event, Field, cd, command, ste};
use crate::guest_tests::smmu::{
    CMDQEN, DATA, EVENTQEN, IOVA, IPA, OTHER, PTM, Rig, SMMUEN, Smmu, reg, stream,
};
use crate::guest_tests::tables::desc;
use crate::guest_tests::test_master::{Dma, attributes};

use stream::SPARE;

/// STRTAB_BASE_CFG.FMT: two levels, with 6 bits of the StreamID in the second one.
const TWO_LEVEL: u32 = 1 << 16 | 6 << 6;
/// A stream of the second level: 5 in the first one, 9 in the second one.
const FAR: u32 = 0x149;

/// A physical address that no SMMU of 52 bits has.
const TOO_LARGE: u64 = 1 << 52;

fn started(p: &mut Program) -> Rig {
    let mut rig = Rig::new(p);
    rig.start(p);
    rig
}

/// Config 0b100: the address is used as it is.
pub(super) fn bypass(p: &mut Program) {
    let rig = started(p);
    let frame = rig.frame;
    rig.reads(p, "a read", &Dma::read(stream::BYPASS, frame));
    rig.writes(p, "a write", &Dma::write(stream::BYPASS, frame));
}

/// An address beyond OAS is a fault of stage 1.
pub(super) fn bypass_beyond_oas(p: &mut Program) {
    let mut rig = started(p);
    let dma = Dma::read(stream::BYPASS, TOO_LARGE);
    rig.faults(p, "beyond OAS", &dma, &Event::fault(Event::ADDR_SIZE, &dma));
}

/// Config 0b0xx: an abort, and nothing is told.
pub(super) fn abort(p: &mut Program) {
    let mut rig = Rig::new(p);
    for (stream, config) in [(SPARE[0], 0b011), (SPARE[1], 0b001)] {
        rig.put_ste(p, stream, ste::ABORT.with(ste::CONFIG, config));
    }
    rig.start(p);
    for stream in [stream::ABORT, SPARE[0], SPARE[1]] {
        rig.aborts_silently(p, "an abort", &Dma::read(stream, IOVA));
    }
}

/// A StreamID beyond the table.
pub(super) fn beyond_the_table(p: &mut Program) {
    let mut rig = started(p);
    let dma = Dma::read(0x40, IOVA);
    rig.faults(p, "beyond LOG2SIZE", &dma, &Event::of(Event::BAD_STREAMID, &dma));
}

/// CR2.RECINVSID = 0: the transaction is aborted, and nothing is told.
pub(super) fn recinvsid(p: &mut Program) {
    let mut rig = Rig::new(p);
    rig.smmu.cr2 = PTM;
    rig.start(p);
    rig.aborts_silently(p, "beyond LOG2SIZE", &Dma::read(0x40, IOVA));
    let dma = Dma::read(stream::INVALID, IOVA);
    rig.faults(p, "another event", &dma, &Event::of(Event::BAD_STE, &dma));
}

/// The table is no larger than IDR1.SIDSIZE allows.
pub(super) fn beyond_sidsize(p: &mut Program) {
    let mut rig = Rig::new(p);
    // In memory, what would be its STE lets everything pass: the table is at an address that is aligned to its size.
    rig.smmu.stream_table_cfg = 17;
    rig.start(p);
    let dma = Dma::read(0x1_0001, IOVA);
    rig.faults(p, "beyond SIDSIZE", &dma, &Event::of(Event::BAD_STREAMID, &dma));
}

/// V = 0.
pub(super) fn not_valid(p: &mut Program) {
    let mut rig = started(p);
    for dma in [Dma::read(stream::INVALID, IOVA), Dma::write(stream::INVALID, IOVA).of(5)] {
        rig.faults(p, "V is 0", &dma, &Event::of(Event::BAD_STE, &dma));
    }
}

/// Each of these is C_BAD_STE.
fn illegal(p: &mut Program, base: impl Fn(&Rig) -> Entry, rows: &[(&str, &[(Field, u64)])]) {
    let mut rig = Rig::new(p);
    rig.start(p);
    let dma = Dma::read(SPARE[0], IOVA);
    for (name, changes) in rows {
        let entry = changes.iter().fold(base(&rig), |entry, (field, value)| entry.with(*field, *value));
        p.write_entry(rig.smmu.ste(SPARE[0]), entry);
        rig.smmu.complete(p, command::cfgi_ste(SPARE[0]));
        rig.faults(p, name, &dma, &Event::of(Event::BAD_STE, &dma));
    }
}

/// Rules about stage 1.
pub(super) fn illegal_stage1(p: &mut Program) {
    let rows: &[(&str, &[_])] = &[
        ("a StreamWorld that is reserved", &[(ste::STRW, 0b01)]),
        ("another one", &[(ste::STRW, 0b11)]),
        ("more substreams than SSIDSIZE", &[(ste::S1CDMAX, 21)]),
    ];
    illegal(p, Rig::stage1, rows);
}

/// Rules about stage 2.
pub(super) fn illegal_stage2(p: &mut Program) {
    let rows: &[(&str, &[_])] = &[
        ("AArch32 tables", &[(ste::S2AA64, 0)]),
        ("a granule that is reserved", &[(ste::S2TG, 3)]),
        ("too large an input", &[(ste::S2T0SZ, 11)]),
        ("too small an input", &[(ste::S2T0SZ, 40)]),
        ("a level that does not fit", &[(ste::S2SL0, 0)]),
        ("a level that is reserved", &[(ste::S2SL0, 3)]),
        ("big-endian tables", &[(ste::S2ENDI, 1)]),
        ("tables beyond S2PS", &[(ste::S2PS, 0), (ste::S2TTB, 1 << (33 - 4))]),
    ];
    illegal(p, |rig| ste::stage2(rig.s2, 3), rows);
}

/// STRTAB_BASE where nothing answers: the event has the address of the STE.
pub(super) fn fetch_aborts(p: &mut Program) {
    let mut rig = Rig::new(p);
    rig.smmu.stream_table = NOWHERE;
    rig.start(p);
    let dma = Dma::read(stream::BYPASS, IOVA);
    let event = Event::of(Event::STE_FETCH, &dma).fetching(NOWHERE + 64 * 4);
    rig.faults(p, "no STE", &dma, &event);
}

/// A rig whose stream table has two levels, with this descriptor for the tables of [`FAR`]; the table behind it lets everything
/// pass.
fn two_level(p: &mut Program, span: u64) -> Rig {
    let mut rig = Rig::new(p);
    let [first, second] = [p.frame(0x1000), p.frame(0x1000)];
    (rig.smmu.stream_table, rig.smmu.stream_table_cfg) = (first, TWO_LEVEL | 10);
    rig.start(p);
    p.write_entry(second + 64 * 9, ste::BYPASS);
    p.poke(first + 8 * 5, second | span);
    rig
}

/// Two levels.
pub(super) fn two_levels(p: &mut Program) {
    for span in [5, 7] {
        let rig = two_level(p, span);
        rig.reads(p, "the tenth of several", &Dma::read(FAR, rig.frame));
    }
}

/// A StreamID beyond Span is C_BAD_STREAMID, not C_BAD_STE; so is one for which there is no second level.
pub(super) fn span(p: &mut Program) {
    for (name, span) in [("eight", 4), ("none", 0), ("more than SPLIT", 8), ("reserved", 12)] {
        let mut rig = two_level(p, span);
        let dma = Dma::read(FAR, IOVA);
        rig.faults(p, name, &dma, &Event::of(Event::BAD_STREAMID, &dma));
    }
}

/// The first level where nothing answers.
pub(super) fn first_level_aborts(p: &mut Program) {
    let mut rig = Rig::new(p);
    (rig.smmu.stream_table, rig.smmu.stream_table_cfg) = (NOWHERE, TWO_LEVEL | 10);
    rig.start(p);
    let dma = Dma::read(FAR, IOVA);
    rig.faults(p, "no descriptor", &dma, &Event::of(Event::STE_FETCH, &dma).fetching(NOWHERE + 8 * 5));
}

/// FMT can be switched back to a linear table.
pub(super) fn back_to_linear(p: &mut Program) {
    let mut rig = Rig::new(p);
    let linear = (rig.smmu.stream_table, rig.smmu.stream_table_cfg);
    let first = p.frame(0x1000);
    (rig.smmu.stream_table, rig.smmu.stream_table_cfg) = (first, TWO_LEVEL | 10);
    rig.start(p);
    let dma = Dma::read(stream::STAGE1, IOVA);
    rig.faults(p, "no second level", &dma, &Event::of(Event::BAD_STREAMID, &dma));
    Smmu::control(p, CMDQEN | EVENTQEN);
    (rig.smmu.stream_table, rig.smmu.stream_table_cfg) = linear;
    rig.smmu.point_at_streams(p);
    rig.smmu.complete(p, command::CFGI_ALL);
    Smmu::control(p, CMDQEN | EVENTQEN | SMMUEN);
    rig.reads(p, "a linear table", &dma);
}

/// STRTAB_BASE cannot be written while SMMUEN is 1.
pub(super) fn guarded(p: &mut Program) {
    let rig = started(p);
    p.poke(reg::STRTAB_BASE, NOWHERE);
    p.poke32(reg::STRTAB_BASE_CFG, 0);
    p.mov(18, reg::STRTAB_BASE);
    a64!(p ; ldr x0, [x18]);
    p.expect("STRTAB_BASE", 0, rig.smmu.stream_table);
    rig.reads(p, "as before", &Dma::read(stream::STAGE1, IOVA));
}

/// An STE whose doublewords change one by one, with no moment at which it is not valid: from bypass to stage 1 and back.
pub(super) fn hitless_update(p: &mut Program) {
    let mut rig = Rig::new(p);
    rig.put_ste(p, SPARE[0], ste::BYPASS);
    rig.start(p);
    let (at, frame) = (rig.smmu.ste(SPARE[0]), rig.frame);
    rig.reads(p, "bypass", &Dma::read(SPARE[0], frame));
    for _ in 0..2 {
        p.poke(at, rig.stage1().0[0]);
        rig.smmu.complete(p, command::cfgi_ste(SPARE[0]));
        rig.reads(p, "stage 1", &Dma::read(SPARE[0], IOVA));
        p.poke(at, ste::BYPASS.0[0]);
        rig.smmu.complete(p, command::cfgi_ste(SPARE[0]));
        rig.reads(p, "bypass again", &Dma::read(SPARE[0], frame));
    }
}

/// PRIVCFG replaces what the transaction says of its privilege, also in the event.
pub(super) fn privcfg(p: &mut Program) {
    let mut rig = Rig::new(p);
    let (s1, frame) = (rig.s1, rig.frame);
    // For EL1 only.
    p.page(s1, IOVA, frame, desc::EL1_RW);
    rig.put_ste(p, SPARE[0], rig.stage1().with(ste::PRIVCFG, 0b11));
    rig.put_ste(p, SPARE[1], rig.stage1().with(ste::PRIVCFG, 0b10));
    rig.start(p);
    rig.reads(p, "always privileged", &Dma::read(SPARE[0], IOVA));
    let never = Dma::read(SPARE[1], IOVA);
    let event = Event::fault(Event::PERMISSION, &never);
    rig.faults(p, "never privileged", &never.with(attributes::PRIVILEGED), &event);
}

/// INSTCFG replaces what a read says of instructions; writes are always of data.
pub(super) fn instcfg(p: &mut Program) {
    let mut rig = Rig::new(p);
    let (s1, frame) = (rig.s1, rig.frame);
    p.page(s1, IOVA, frame, desc::EL0_RW | desc::UXN | desc::PXN);
    rig.put_ste(p, SPARE[0], rig.stage1().with(ste::INSTCFG, 0b11));
    rig.put_ste(p, SPARE[1], rig.stage1().with(ste::INSTCFG, 0b10));
    rig.start(p);
    let always = Dma::read(SPARE[0], IOVA);
    let event = Event::fault(Event::PERMISSION, &always.with(attributes::INSTRUCTION));
    rig.faults(p, "always instructions", &always, &event);
    rig.writes(p, "a write", &Dma::write(SPARE[0], IOVA));
    rig.reads(p, "always data", &Dma::read(SPARE[1], IOVA).with(attributes::INSTRUCTION));
}

/// SMMUEN = 0: GBPA lets everything pass, or nothing, and no event tells of that. GBPA is written with Update alone.
pub(super) fn disabled(p: &mut Program) {
    let mut rig = started(p);
    Smmu::control(p, CMDQEN | EVENTQEN);
    let dma = Dma::read(stream::STAGE1, rig.frame);
    rig.reads(p, "GBPA.ABORT is 0", &dma);
    p.poke32(reg::GBPA, 1 << 20);
    rig.reads(p, "a write without Update", &dma);
    p.poke32(reg::GBPA, 1 << 31 | 1 << 20);
    p.until(15, |p| {
        p.peek32(15, reg::GBPA);
        a64!(p ; tst x15, 1 << 31 ; cset x15, eq);
    });
    rig.aborts_silently(p, "GBPA.ABORT is 1", &dma);
    p.poke32(reg::GBPA, 1 << 31);
    rig.smmu.sync(p);
    Smmu::control(p, CMDQEN | EVENTQEN | SMMUEN);
    rig.reads(p, "enabled again", &Dma::read(stream::STAGE1, IOVA));
}

/// Stage 2 alone.
pub(super) fn stage2(p: &mut Program) {
    let rig = started(p);
    rig.reads(p, "a read", &Dma::read(stream::STAGE2, IPA));
    rig.writes(p, "a write", &Dma::write(stream::STAGE2, IPA));
}

/// STRTAB_BASE_CFG.LOG2SIZE: the last stream that there is, and the first that there is not.
pub(super) fn end_of_the_table(p: &mut Program) {
    let mut rig = Rig::new(p);
    rig.put_ste(p, 7, ste::BYPASS);
    rig.put_ste(p, 8, ste::BYPASS);
    rig.smmu.stream_table_cfg = 3;
    rig.start(p);
    rig.reads(p, "the eighth of eight", &Dma::read(7, rig.frame));
    let dma = Dma::read(8, rig.frame);
    rig.faults(p, "the ninth", &dma, &Event::of(Event::BAD_STREAMID, &dma));
}

/// SPLIT = 8 and 10.
pub(super) fn splits(p: &mut Program) {
    for split in [8, 10] {
        let mut rig = Rig::new(p);
        let [first, second] = [p.frame(0x1000), p.frame(0x1_0000)];
        (rig.smmu.stream_table, rig.smmu.stream_table_cfg) = (first, 1 << 16 | split << 6 | 12);
        rig.start(p);
        p.write_entry(second + 64 * u64::from(FAR & ((1 << split) - 1)), ste::BYPASS);
        p.poke(first + 8 * u64::from(FAR >> split), second | u64::from(split + 1));
        rig.reads(p, "a stream", &Dma::read(FAR, rig.frame));
    }
}

/// Structures that are nothing but ones, or nearly: an event and an abort for their stream, and others go on.
pub(super) fn garbage(p: &mut Program) {
    const ONES: Entry = Entry([u64::MAX; 8]);
    let mut rig = Rig::new(p);
    rig.put_ste(p, SPARE[0], ONES);
    // With EPD0 and EPD1 nothing would be wrong with the ranges.
    rig.put_cd(p, 2, ONES.with(cd::EPD0, 0));
    rig.put_ste(p, SPARE[1], ste::stage1(rig.cd(2)));
    p.put(rig.s1, 0x40_0000_0000, 1, u64::MAX);
    rig.start(p);
    let [entry, context, table] = [(SPARE[0], IOVA), (SPARE[1], IOVA), (stream::STAGE1, 0x40_0000_0000)]
        .map(|(s, at)| Dma::write(s, at));
    for (dma, event) in [
        (entry, Event::of(Event::BAD_STE, &entry)),
        (context, Event::of(Event::BAD_CD, &context)),
        (table, Event::fault(Event::ADDR_SIZE, &table)),
    ] {
        rig.faults(p, "ones", &dma, &event);
        rig.reads(p, "another stream", &Dma::read(stream::NESTED, IOVA));
    }
}

/// An STE changes while transactions come: each is dealt with by the old doubleword or by the new one.
pub(super) fn hitless_update_under_load(p: &mut Program) {
    let mut rig = Rig::new(p);
    p.page(rig.inner, IOVA, rig.other, desc::EL0_RW | desc::NG);
    rig.put_cd(p, 2, cd::of(rig.inner, 9));
    rig.put_ste(p, SPARE[0], rig.stage1());
    rig.start(p);
    let dma = Dma::read(SPARE[0], IOVA);
    p.start_second(0, |p| {
        let again = p.label();
        // Rounds, and transfers that were not complete or gave something else.
        p.mov(13, 500);
        p.mov(14, 0);
        p.mov(8, DATA);
        p.mov(9, OTHER);
        p.bind(again);
        p.begin_dma(&dma);
        p.dma_result(0, 1, &dma);
        a64!(p
            ; cmp x0, 4 ; cinc x14, x14, ne
            ; cmp x1, x8 ; ccmp x1, x9, 4, ne ; cinc x14, x14, ne
            ; sub x13, x13, 1 ; cbnz x13, =>again
        );
        p.expect("wrong ones", 14, 0);
    });
    for _ in 0..12 {
        for entry in [ste::stage1(rig.cd(2)), rig.stage1()] {
            p.poke(rig.smmu.ste(SPARE[0]), entry.0[0]);
            rig.smmu.complete(p, command::cfgi_ste(SPARE[0]));
        }
    }
    p.join();
    rig.smmu.expect_no_event(p, "all");
    rig.reads(p, "the last one", &dma);
}

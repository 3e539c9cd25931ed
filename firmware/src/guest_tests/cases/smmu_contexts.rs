//! Context descriptors and substreams (Arm IHI 0070, 3.3.2, 5.3, 5.4).

use crate::guest_tests::layout::NOWHERE;
use crate::guest_tests::program::Program;
use crate::guest_tests::smmu::structures::{Entry, Event, Field, cd, command, ste};
use crate::guest_tests::smmu::{IOVA, IPA, Rig, stream};
use crate::guest_tests::tables::{Granule, Tables, desc};
use crate::guest_tests::test_master::Dma;

use stream::SPARE;

const STREAM: u32 = SPARE[0];
/// An address of the upper half.
const UPPER: u64 = 0xffff_ff80_0000_0000;

/// Stage 1 alone.
pub(super) fn stage1(p: &mut Program) {
    let mut rig = Rig::new(p);
    rig.start(p);
    rig.reads(p, "a read", &Dma::read(stream::STAGE1, IOVA));
    rig.writes(p, "a write", &Dma::write(stream::STAGE1, IOVA));
}

/// V = 0.
pub(super) fn not_valid(p: &mut Program) {
    let mut rig = Rig::new(p);
    rig.put_cd(p, 0, Entry::INVALID);
    rig.start(p);
    let dma = Dma::read(stream::STAGE1, IOVA);
    rig.faults(p, "V is 0", &dma, &Event::of(Event::BAD_CD, &dma));
}

/// F_CD_FETCH: the address is in the last doubleword.
pub(super) fn fetch_aborts(p: &mut Program) {
    let mut rig = Rig::new(p);
    rig.put_ste(p, STREAM, ste::stage1(NOWHERE + 0x40));
    rig.start(p);
    let dma = Dma::read(STREAM, IOVA);
    rig.faults(p, "no CD", &dma, &Event::of(Event::CD_FETCH, &dma).fetching(NOWHERE + 0x40));
}

/// Each of these is C_BAD_CD.
pub(super) fn illegal(p: &mut Program) {
    let rows: &[(&str, &[(Field, u64)])] = &[
        ("AArch32 tables", &[(cd::AA64, 0)]),
        ("too large a range", &[(cd::T0SZ, 11)]),
        ("too small a range", &[(cd::T0SZ, 40)]),
        ("a granule that is reserved", &[(cd::TG0, 3)]),
        ("big-endian tables", &[(cd::ENDI, 1)]),
        ("tables beyond IPS", &[(cd::IPS, 0), (cd::TTB0, 1 << (33 - 4))]),
        ("a granule of the upper half that is reserved", &[(cd::EPD1, 0), (cd::T1SZ, 25), (cd::TG1, 0)]),
        ("too large an upper half", &[(cd::EPD1, 0), (cd::T1SZ, 11), (cd::TG1, 2)]),
    ];
    let mut rig = Rig::new(p);
    rig.start(p);
    let dma = Dma::read(stream::STAGE1, IOVA);
    for (name, changes) in rows {
        let entry =
            changes.iter().fold(cd::of(rig.s1, 1), |entry, (field, value)| entry.with(*field, *value));
        p.write_entry(rig.cd(0), entry);
        rig.smmu.complete(p, command::cfgi_cd(stream::STAGE1, 0));
        rig.faults(p, name, &dma, &Event::of(Event::BAD_CD, &dma));
    }
}

/// CD.S with STE.S1STALLD is illegal.
pub(super) fn s1stalld(p: &mut Program) {
    let mut rig = Rig::new(p);
    rig.put_ste(p, STREAM, rig.stage1().with(ste::S1STALLD, 1));
    rig.start(p);
    let dma = Dma::read(STREAM, IOVA);
    rig.reads(p, "faults do not stall", &dma);
    p.write_entry(rig.cd(0), cd::of(rig.s1, 1).with(cd::S, 1));
    rig.smmu.complete(p, command::cfgi_cd(STREAM, 0));
    rig.faults(p, "faults stall", &dma, &Event::of(Event::BAD_CD, &dma));
}

/// What a half that is not used says does not matter.
pub(super) fn half_not_used(p: &mut Program) {
    let mut rig = Rig::new(p);
    let upper = cd::of(rig.s1, 1).with(cd::T1SZ, 63).with(cd::TG1, 0).with(cd::TTB1, 1 << 47);
    rig.put_cd(p, 0, upper);
    rig.start(p);
    rig.reads(p, "the lower half", &Dma::read(stream::STAGE1, IOVA));
    let dma = Dma::read(stream::STAGE1, UPPER);
    rig.faults(p, "EPD1", &dma, &Event::fault(Event::TRANSLATION, &dma));
}

/// TTB1.
pub(super) fn upper_half(p: &mut Program) {
    let mut rig = Rig::new(p);
    let (s1, frame) = (rig.s1, rig.frame);
    let both = cd::of(s1, 1).with(cd::EPD1, 0).with(cd::T1SZ, 25).with(cd::TG1, 2).at(cd::TTB1, s1.root);
    rig.put_cd(p, 0, both);
    p.page(s1, UPPER + 0x5000, frame, desc::EL0_RW);
    rig.start(p);
    rig.reads(p, "the upper half", &Dma::read(stream::STAGE1, UPPER + 0x5000));
    rig.reads(p, "the lower half", &Dma::read(stream::STAGE1, IOVA));
    let between = Dma::read(stream::STAGE1, 1 << 40);
    rig.faults(p, "between them", &between, &Event::fault(Event::TRANSLATION, &between));
}

/// EPD0.
pub(super) fn epd0(p: &mut Program) {
    let mut rig = Rig::new(p);
    rig.put_cd(p, 0, cd::of(rig.s1, 1).with(cd::EPD0, 1));
    rig.start(p);
    let dma = Dma::read(stream::STAGE1, IOVA);
    rig.faults(p, "EPD0", &dma, &Event::fault(Event::TRANSLATION, &dma));
}

/// TBI0: the top byte is ignored, and shows in the event all the same.
pub(super) fn top_byte(p: &mut Program) {
    let tag = 0x5a << 56;
    let mut rig = Rig::new(p);
    rig.put_cd(p, 2, cd::of(rig.s1, 1).with(cd::TBI0, 1));
    rig.put_ste(p, STREAM, ste::stage1(rig.cd(2)));
    rig.start(p);
    rig.reads(p, "ignored", &Dma::read(STREAM, IOVA | tag));
    let absent = Dma::read(STREAM, (IOVA + 0x1000) | tag);
    rig.faults(p, "a page that is not there", &absent, &Event::fault(Event::TRANSLATION, &absent));
    let dma = Dma::read(stream::STAGE1, IOVA | tag);
    rig.faults(p, "not ignored", &dma, &Event::fault(Event::TRANSLATION, &dma));
}

/// The other granules.
pub(super) fn granules(p: &mut Program) {
    for granule in [Granule::K16, Granule::K64] {
        let mut rig = Rig::with(p, granule);
        rig.start(p);
        let page = |va: u64| va & !(granule.size() - 1);
        rig.reads(p, "stage 1", &Dma::read(stream::STAGE1, page(IOVA)));
        rig.reads(p, "stage 2", &Dma::read(stream::STAGE2, page(IPA)));
        rig.reads(p, "both", &Dma::read(stream::NESTED, page(IOVA)));
    }
}

/// Blocks of levels 1 and 2.
pub(super) fn blocks(p: &mut Program) {
    let mut rig = Rig::new(p);
    let (s1, frame) = (rig.s1, rig.frame);
    for (va, level, size) in [(0x30_0000_0000, 1, 1 << 30), (0x31_0000_0000, 2, 1 << 21)] {
        p.put(s1, va, level, (frame / size * size) | desc::EL0_RW | desc::BLOCK);
    }
    rig.start(p);
    rig.reads(p, "a GiB", &Dma::read(stream::STAGE1, 0x30_0000_0000 + (frame & 0x3fff_ffff)));
    rig.reads(p, "two MiB", &Dma::read(stream::STAGE1, 0x31_0000_0000 + (frame & 0x1f_ffff)));
}

// Substreams.

/// A stream with 2^`bits` substreams, in a linear table of CDs from the fourth one on; `s1dss` is about transactions without one.
/// Substream 2 is translated by the tables of the rig, all others by none.
fn substreams(p: &mut Program, bits: u64, s1dss: u64) -> Rig {
    let rig = Rig::new(p);
    rig.put_cd(p, 4 + 2, cd::of(rig.s1, 5));
    let entry = ste::stage1(rig.cd(4)).with(ste::S1CDMAX, bits).with(ste::S1DSS, s1dss);
    rig.put_ste(p, STREAM, entry);
    rig
}

/// Each substream has its CD.
pub(super) fn linear(p: &mut Program) {
    let mut rig = substreams(p, 2, 0);
    let (other, frame) = (Tables { root: p.table(Granule::K4), granule: Granule::K4 }, rig.frame);
    p.page(other, IOVA + 0x4000, frame, desc::EL0_RW);
    rig.put_cd(p, 4 + 3, cd::of(other, 6));
    rig.start(p);
    rig.reads(p, "substream 2", &Dma::read(STREAM, IOVA).of(2));
    rig.reads(p, "substream 3", &Dma::read(STREAM, IOVA + 0x4000).of(3));
    let dma = Dma::read(STREAM, IOVA).of(3);
    rig.faults(p, "what the other one has", &dma, &Event::fault(Event::TRANSLATION, &dma));
    let none = Dma::read(STREAM, IOVA).of(1);
    rig.faults(p, "no CD", &none, &Event::of(Event::BAD_CD, &none));
}

/// A SubstreamID beyond S1CDMax.
pub(super) fn out_of_range(p: &mut Program) {
    let mut rig = substreams(p, 2, 0);
    rig.start(p);
    for id in [4, 0xf_ffff] {
        let dma = Dma::read(STREAM, IOVA).of(id);
        rig.faults(p, "beyond S1CDMax", &dma, &Event::bad_substream(&dma));
    }
}

/// A SubstreamID where there are none: S1CDMax is 0, or there is no stage 1.
pub(super) fn none_expected(p: &mut Program) {
    let mut rig = Rig::new(p);
    rig.start(p);
    for stream in [stream::STAGE1, stream::STAGE2, stream::NESTED, stream::BYPASS] {
        let dma = Dma::read(stream, IOVA).of(1);
        rig.faults(p, "a substream", &dma, &Event::bad_substream(&dma));
    }
    rig.aborts_silently(p, "Config is 0", &Dma::read(stream::ABORT, IOVA).of(1));
}

/// S1DSS = 0: without a SubstreamID there is no translation.
pub(super) fn s1dss_terminates(p: &mut Program) {
    let mut rig = substreams(p, 2, 0);
    rig.start(p);
    let dma = Dma::read(STREAM, IOVA);
    rig.faults(p, "no substream", &dma, &Event::stream_disabled(&dma));
    rig.reads(p, "substream 2", &dma.of(2));
}

/// S1DSS = 1: without one, stage 1 is bypassed.
pub(super) fn s1dss_bypasses(p: &mut Program) {
    let mut rig = substreams(p, 2, 1);
    rig.start(p);
    let frame = rig.frame;
    rig.reads(p, "no substream", &Dma::read(STREAM, frame));
    rig.reads(p, "substream 2", &Dma::read(STREAM, IOVA).of(2));
}

/// The same with stage 2, which is not bypassed.
pub(super) fn s1dss_bypasses_to_stage2(p: &mut Program) {
    let mut rig = Rig::new(p);
    let entry = ste::nested(rig.cd(4), rig.s2, 3).with(ste::S1CDMAX, 2).with(ste::S1DSS, 1);
    rig.put_ste(p, STREAM, entry);
    rig.start(p);
    rig.reads(p, "no substream", &Dma::read(STREAM, IPA));
    let dma = Dma::read(STREAM, IOVA);
    let event = Event::fault(Event::TRANSLATION, &dma).stage2(2, IOVA);
    rig.faults(p, "what stage 2 has not", &dma, &event);
}

/// S1DSS = 2: without one, the first CD is used, and nobody may name it.
pub(super) fn s1dss_substream_0(p: &mut Program) {
    let mut rig = substreams(p, 2, 2);
    rig.put_cd(p, 4, cd::of(rig.s1, 5));
    rig.start(p);
    rig.reads(p, "no substream", &Dma::read(STREAM, IOVA));
    rig.reads(p, "substream 2", &Dma::read(STREAM, IOVA).of(2));
    let dma = Dma::read(STREAM, IOVA).of(0);
    rig.faults(p, "substream 0", &dma, &Event::stream_disabled(&dma));
}

/// Tables of two levels, by a format of S1Fmt: the CD of a substream in the second of the tables of the second level.
fn two_levels(p: &mut Program, format: u64, split: u32) {
    let mut rig = Rig::new(p);
    let [first, second] = [p.frame(0x1000), p.frame(0x1_0000)];
    let entry = ste::stage1(first).with(ste::S1CDMAX, 12).with(ste::S1FMT, format);
    rig.put_ste(p, STREAM, entry);
    rig.start(p);
    p.write_entry(second + 64 * 3, cd::of(rig.s1, 5));
    p.poke(first + 8, second | 1);
    let id = 1 << split | 3;
    rig.reads(p, "the fourth one", &Dma::read(STREAM, IOVA).of(id));
    let none = Dma::read(STREAM, IOVA).of(3);
    rig.faults(p, "a first level that is not valid", &none, &Event::bad_substream(&none));
    let bad = Dma::read(STREAM, IOVA).of(id + 1);
    rig.faults(p, "a CD that is not valid", &bad, &Event::of(Event::BAD_CD, &bad));
}

/// 64 CDs in each.
pub(super) fn two_levels_4k(p: &mut Program) {
    two_levels(p, 1, 6);
}

/// 1024.
pub(super) fn two_levels_64k(p: &mut Program) {
    two_levels(p, 2, 10);
}

/// An L1CD, and a CD behind one, where nothing answers.
pub(super) fn two_levels_abort(p: &mut Program) {
    let mut rig = Rig::new(p);
    let first = p.frame(0x1000);
    let entry = |at| ste::stage1(at).with(ste::S1CDMAX, 12).with(ste::S1FMT, 1);
    rig.put_ste(p, SPARE[0], entry(first));
    rig.put_ste(p, SPARE[1], entry(NOWHERE));
    rig.start(p);
    p.poke(first + 8, (NOWHERE + 0x1000) | 1);
    let cd = Dma::read(SPARE[0], IOVA).of(65);
    rig.faults(p, "the CD", &cd, &Event::of(Event::CD_FETCH, &cd).fetching(NOWHERE + 0x1040));
    let pointer = Dma::read(SPARE[1], IOVA).of(65);
    rig.faults(p, "the L1CD", &pointer, &Event::of(Event::CD_FETCH, &pointer).fetching(NOWHERE + 8));
}

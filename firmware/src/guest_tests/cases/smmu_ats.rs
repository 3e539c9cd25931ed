//! ATS: translation requests, translated transactions, invalidation of what functions keep (Arm IHI 0070, 3.9.1, 4.5, 13.6, 13.7).

use crate::guest_tests::layout::NOWHERE;
use crate::guest_tests::program::Program;
use crate::guest_tests::smmu::structures::{Entry, Event, cd, class, command, ste};
use crate::guest_tests::smmu::{
    ATSCHK, CERROR_ATC_INV_SYNC, CERROR_ILL, CMDQEN, DATA, EVENTQEN, IOVA, IPA, ON, OTHER, Rig, Smmu, gerror,
    stream,
};
use crate::guest_tests::tables::desc;
use crate::guest_tests::test_master::granted::{self, ABORT, EXECUTE, PRIVILEGED, READ, UNSUPPORTED, WRITE};
use crate::guest_tests::test_master::{Dma, End, attributes, request};

const STREAM: u32 = stream::STAGE1;
const DMA: Dma = Dma::read(STREAM, IOVA);
/// An entry that holds, of one page.
const BOTH: u64 = granted::page(READ | WRITE);
const SYNC_OF: u64 = 0x46;

/// A stream of stage 1 with ATS.
fn with_ats(p: &mut Program) -> Rig {
    let rig = Rig::new(p);
    rig.put_ste(p, STREAM, rig.stage1().with(ste::EATS, 1));
    rig
}

fn started(p: &mut Program) -> Rig {
    let mut rig = with_ats(p);
    rig.start(p);
    rig
}

/// The same address, as one that was translated.
fn of_address(address: u64) -> Dma {
    Dma::read(STREAM, address).with(attributes::TRANSLATED)
}

/// A page that may be read and written: the frame's address.
pub(super) fn granted(p: &mut Program) {
    let rig = started(p);
    p.expect_translation("NW", &DMA, 0, BOTH);
    p.expect_translation("for writing", &DMA, request::WRITE, BOTH);
    p.expect_translated("where to", &DMA, rig.frame);
    rig.smmu.expect_no_event(p, "granted");
}

/// What is not granted is not an error.
pub(super) fn read_only(p: &mut Program) {
    let rig = with_ats(p);
    p.page(rig.s1, IOVA, rig.frame, desc::EL0_RW | desc::RO | desc::NG);
    let mut rig = rig;
    rig.start(p);
    p.expect_translation("for writing", &DMA, request::WRITE, granted::page(READ));
    rig.smmu.expect_no_event(p, "read-only");
}

/// No page, one of EL1, and one without the access flag: R = W = 0, and nothing is recorded.
pub(super) fn no_access(p: &mut Program) {
    let mut rig = with_ats(p);
    let (s1, frame) = (rig.s1, rig.frame);
    p.page(s1, IOVA + 0x1000, frame, desc::EL1_RW | desc::NG);
    p.page(s1, IOVA + 0x2000, frame, desc::SH | desc::EL0 | desc::NG);
    rig.start(p);
    for page in 1..4 {
        let dma = Dma::read(STREAM, IOVA + 0x1000 * page);
        p.expect_translation("no access", &dma, request::WRITE, granted::page(0));
    }
    rig.smmu.expect_no_event(p, "no access");
}

/// A block of 2 MiB is one region.
pub(super) fn region_of_a_block(p: &mut Program) {
    let mut rig = with_ats(p);
    let at = 0x40_0000_0000;
    let block = rig.frame & !0x1f_ffff;
    p.put(rig.s1, at, 2, block | desc::EL0_RW | desc::BLOCK | desc::NG);
    rig.start(p);
    let dma = Dma::read(STREAM, at + 0x12_3456);
    p.expect_translation("a block", &dma, request::WRITE, granted::region(21, READ | WRITE));
    p.expect_translated("where to", &dma, block + 0x12_3456);
}

/// Both stages: the smaller region, and what both allow.
pub(super) fn nested(p: &mut Program) {
    let mut rig = Rig::new(p);
    let (s2, other) = (rig.s2, rig.other);
    rig.put_ste(p, stream::NESTED, rig.nested().with(ste::EATS, 1));
    p.page(s2, IPA + 0x1000, other, desc::AF | desc::SH | desc::S2_NORMAL | desc::S2_R);
    p.page(rig.inner, IOVA + 0x1000, IPA + 0x1000, desc::EL0_RW | desc::NG);
    p.page(rig.inner, IOVA + 0x2000, IPA + 0x2000, desc::EL0_RW | desc::NG);
    rig.start(p);
    let dma = |page: u64| Dma::read(stream::NESTED, IOVA + 0x1000 * page);
    p.expect_translation("both allow it", &dma(0), request::WRITE, BOTH);
    p.expect_translated("both allow it", &dma(0), rig.frame);
    p.expect_translation("stage 2 lets it be read", &dma(1), request::WRITE, granted::page(READ));
    p.expect_translated("stage 2 lets it be read", &dma(1), other);
    p.expect_translation("stage 2 has no page", &dma(2), request::WRITE, granted::page(0));
    rig.smmu.expect_no_event(p, "nested");
}

/// With a PASID: its tables, its privilege, execution.
pub(super) fn substream(p: &mut Program) {
    let mut rig = Rig::new(p);
    rig.put_ste(p, STREAM, rig.stage1().with(ste::S1CDMAX, 2).with(ste::EATS, 1));
    let (s1, frame, other) = (rig.s1, rig.frame, rig.other);
    rig.put_cd(p, 3, cd::of(s1, 7));
    p.page(s1, IOVA + 0x1000, other, desc::EL1_RW | desc::NG);
    p.page(s1, IOVA + 0x2000, frame, desc::EL0_RW | desc::UXN | desc::RO | desc::NG);
    rig.start(p);
    let dma = |page: u64| Dma::read(STREAM, IOVA + 0x1000 * page).of(3);
    p.expect_translation("unprivileged", &dma(1), request::WRITE, granted::page(0));
    let privileged = dma(1).with(attributes::PRIVILEGED);
    p.expect_translation("privileged", &privileged, request::WRITE, granted::page(READ | WRITE | PRIVILEGED));
    p.expect_translated("privileged", &privileged, other);
    let executes = |page| dma(page).with(attributes::INSTRUCTION);
    p.expect_translation("executable", &executes(0), 0, granted::page(READ | WRITE | EXECUTE));
    p.expect_translation("not executable", &executes(2), 0, granted::page(READ));
    // S1DSS = 0: there is nothing without a SubstreamID, and the CD of another one is not valid.
    p.expect_translation("without a PASID", &DMA, 0, ABORT);
    p.expect_translation("another PASID", &DMA.of(2), 0, ABORT);
    p.expect_translation("too large a PASID", &DMA.of(4), 0, ABORT);
    rig.smmu.expect_no_event(p, "substreams");
}

/// S1DSS = 1 without stage 2: addresses stay as they are, all of them.
pub(super) fn skipped_stage(p: &mut Program) {
    let mut rig = Rig::new(p);
    rig.put_ste(p, STREAM, rig.stage1().with(ste::S1CDMAX, 2).with(ste::S1DSS, 1).with(ste::EATS, 1));
    rig.start(p);
    p.expect_translation("identity", &DMA, request::WRITE, granted::region(52, READ | WRITE));
    p.expect_translated("identity", &DMA, IOVA);
}

/// The request is all that the SMMU sees of an access: so the flags are set by it.
pub(super) fn dirty_state(p: &mut Program) {
    let mut rig = with_ats(p);
    let (s1, frame) = (rig.s1, rig.frame);
    rig.put_cd(p, 0, cd::of(s1, 1).with(cd::HA, 1).with(cd::HD, 1));
    let attributes = desc::SH | desc::EL0 | desc::RO | desc::DBM | desc::NG;
    p.page(s1, IOVA, frame, attributes);
    rig.start(p);
    let slot = p.slot(s1, IOVA, 3);
    let descriptor = |p: &mut Program, name, value| {
        p.mov(18, slot);
        a64!(p ; ldr x0, [x18]);
        p.expect(name, 0, frame | value | desc::PAGE);
    };
    p.expect_translation("NW", &DMA, 0, granted::page(READ));
    descriptor(p, "NW: the access flag", attributes | desc::AF);
    p.expect_translation("for writing", &DMA, request::WRITE, BOTH);
    descriptor(p, "for writing: dirty", (attributes | desc::AF) & !desc::RO);
}

/// EATS = 0, and a stream without stages: UR, and F_BAD_ATS_TREQ.
pub(super) fn not_enabled_for_the_stream(p: &mut Program) {
    let mut rig = Rig::new(p);
    rig.put_ste(p, stream::BYPASS, ste::BYPASS.with(ste::EATS, 1));
    rig.put_ste(p, stream::STAGE2, ste::stage2(rig.s2, 3).with(ste::EATS, 3));
    rig.start(p);
    for (name, stream) in [("EATS = 0", STREAM), ("bypass", stream::BYPASS), ("EATS = 3", stream::STAGE2)] {
        let dma = Dma::read(stream, IOVA + 0x123);
        p.expect_translation(name, &dma, 0, UNSUPPORTED);
        rig.smmu.expect_event(p, name, &Event::bad_translation_request(&dma));
    }
    rig.smmu.expect_no_event(p, "no more");
}

/// SMMUEN = 0.
pub(super) fn smmu_not_enabled(p: &mut Program) {
    let mut rig = started(p);
    Smmu::control(p, CMDQEN | EVENTQEN);
    p.expect_translation("SMMUEN = 0", &DMA, 0, UNSUPPORTED);
    rig.smmu.expect_event(p, "SMMUEN = 0", &Event::bad_translation_request(&DMA));
}

/// Config = 0: UR, and nothing is recorded.
pub(super) fn aborted_stream(p: &mut Program) {
    let rig = started(p);
    p.expect_translation("Config = 0", &Dma::read(stream::ABORT, IOVA), 0, UNSUPPORTED);
    rig.smmu.expect_no_event(p, "Config = 0");
}

/// What is C_BAD_* or an abort for others is a Completer Abort, and nothing is recorded.
pub(super) fn wrong_configuration(p: &mut Program) {
    let mut rig = with_ats(p);
    let [no_cd, bad_cd] = stream::SPARE;
    rig.put_ste(p, no_cd, ste::stage1(NOWHERE).with(ste::EATS, 1));
    rig.put_ste(p, bad_cd, ste::stage1(rig.cd(5)).with(ste::EATS, 1));
    rig.put_cd(p, 5, Entry::INVALID);
    p.put(rig.s1, 0x40_0000_0000, 1, NOWHERE | desc::PAGE);
    rig.start(p);
    let rows = [
        ("an STE that is not valid", stream::INVALID, IOVA),
        ("a StreamID beyond the table", 0x40, IOVA),
        ("a CD where nothing answers", no_cd, IOVA),
        ("a CD that is not valid", bad_cd, IOVA),
        ("a table where nothing answers", STREAM, 0x40_0000_0000),
    ];
    for (name, stream, address) in rows {
        p.expect_translation(name, &Dma::read(stream, address), 0, ABORT);
    }
    rig.smmu.expect_no_event(p, "none of them");
}

/// Without ATSCHK a translated address passes, whatever the stream.
pub(super) fn translated(p: &mut Program) {
    let rig = started(p);
    p.expect_translation("a request", &DMA, request::WRITE, BOTH);
    let (frame, other) = (rig.frame, rig.other);
    rig.reads(p, "the frame", &of_address(frame));
    rig.writes(p, "the frame", &of_address(frame).with(attributes::WRITE));
    let of = |stream| Dma { stream, ..of_address(other) };
    rig.reads_value(p, "a stream that is aborted", &of(stream::ABORT), OTHER);
    rig.reads_value(p, "a stream that bypasses", &of(stream::BYPASS), OTHER);
    rig.aborts_silently(p, "an address that there is not", &of_address(1 << 52));
}

/// With ATSCHK it passes for a stream with ATS.
pub(super) fn translated_and_checked(p: &mut Program) {
    let rig = started(p);
    Smmu::control(p, ON | ATSCHK);
    rig.reads(p, "EATS = 1", &of_address(rig.frame));
    // The PASID, and what goes with it, is ignored.
    rig.reads(p, "with a PASID", &of_address(rig.frame).of(9).with(attributes::PRIVILEGED));
    let of = |stream| Dma { stream, ..of_address(rig.frame) };
    rig.aborts_silently(p, "Config = 0", &of(stream::ABORT));
    rig.aborts_silently(p, "an STE that is not valid", &of(stream::INVALID));
    rig.aborts_silently(p, "a StreamID beyond the table", &of(0x40));
}

/// A stream without ATS.
pub(super) fn forbidden(p: &mut Program) {
    let mut rig = Rig::new(p);
    rig.start(p);
    Smmu::control(p, ON | ATSCHK);
    let frame = rig.frame;
    for stream in [STREAM, stream::BYPASS] {
        let dma = Dma { stream, ..of_address(frame) };
        rig.faults(p, "a read", &dma, &Event::translation_forbidden(&dma));
        let dma = dma.with(attributes::WRITE).of(5);
        rig.faults(p, "a write", &dma, &Event::translation_forbidden(&dma));
    }
    Smmu::control(p, ON);
    rig.reads(p, "not checked", &of_address(frame));
}

/// SMMUEN = 0: nothing is translated, so nothing can have been.
pub(super) fn forbidden_while_not_enabled(p: &mut Program) {
    let mut rig = started(p);
    Smmu::control(p, CMDQEN | EVENTQEN);
    let dma = of_address(rig.frame);
    rig.faults(p, "SMMUEN = 0", &dma, &Event::translation_forbidden(&dma));
}

/// EATS = 2: the answer is an IPA, which stage 2 translates when it is used.
pub(super) fn split_stage(p: &mut Program) {
    let mut rig = Rig::new(p);
    rig.put_ste(p, stream::NESTED, rig.nested().with(ste::EATS, 2));
    rig.start(p);
    let dma = Dma::read(stream::NESTED, IOVA);
    p.expect_translation("not checked", &dma, 0, UNSUPPORTED);
    rig.smmu.expect_event(p, "not checked", &Event::bad_translation_request(&dma));
    Smmu::control(p, ON | ATSCHK);
    rig.smmu.complete(p, command::cfgi_ste(stream::NESTED));
    p.expect_translation("checked", &dma, request::WRITE, BOTH);
    p.expect_translated("an IPA", &dma, IPA);
    let of = |address| Dma::read(stream::NESTED, address).with(attributes::TRANSLATED);
    rig.reads(p, "the IPA", &of(IPA));
    let absent = of(IPA + 0x5000);
    let event = Event::fault(Event::TRANSLATION, &absent).stage2(class::IN, IPA + 0x5000);
    rig.faults(p, "one that stage 2 does not have", &absent, &event);
}

/// Each of these is C_BAD_STE.
pub(super) fn illegal_eats(p: &mut Program) {
    let mut rig = Rig::new(p);
    rig.start(p);
    let rows = [
        ("Split-stage without stage 2", STREAM, rig.stage1().with(ste::EATS, 2)),
        ("Split-stage without stage 1", stream::STAGE2, ste::stage2(rig.s2, 3).with(ste::EATS, 2)),
        ("Split-stage that stalls", stream::NESTED, rig.nested().with(ste::EATS, 2).with(ste::S2S, 1)),
        ("Full ATS that stalls", stream::NESTED, rig.nested().with(ste::EATS, 1).with(ste::S2S, 1)),
    ];
    for (name, stream, entry) in rows {
        p.write_entry(rig.smmu.ste(stream), entry);
        rig.smmu.complete(p, command::cfgi_ste(stream));
        let dma = Dma::read(stream, IOVA);
        rig.faults(p, name, &dma, &Event::of(Event::BAD_STE, &dma));
        p.expect_translation(name, &dma, 0, ABORT);
    }
    rig.smmu.expect_no_event(p, "translation requests");
}

/// CMD_ATC_INV reaches the function: it forgets what is in the span, which is aligned, and nothing else.
pub(super) fn invalidation(p: &mut Program) {
    let mut rig = started(p);
    let next = IOVA + 0x1000;
    p.expect_translation("a request", &DMA, request::WRITE, BOTH);
    rig.smmu.complete(p, command::atc_inv(STREAM, next, 0));
    p.expect_invalidation("the next page", &DMA, 1, (next, next + 0xfff), 0);
    p.expect_cache("the next page", &DMA, BOTH);
    rig.smmu.complete(p, command::atc_inv(stream::BYPASS, IOVA, 0));
    p.expect_cache("another stream", &DMA, BOTH);
    let start = IOVA & !0xffff;
    rig.smmu.complete(p, command::atc_inv(STREAM, IOVA, 4));
    p.expect_invalidation("64 KiB", &DMA, 3, (start, start + 0xffff), 0);
    p.expect_cache("64 KiB", &DMA, BOTH & !granted::VALID);
    // After the tables have changed: TLB, then ATC.
    p.expect_translation("again", &DMA, request::WRITE, BOTH);
    let slot = p.slot(rig.s1, IOVA, 3);
    p.poke(slot, 0);
    rig.smmu.complete(p, command::tlbi(0x12, 0, 1, IOVA));
    rig.smmu.complete(p, command::atc_inv(STREAM, 0, 52));
    p.expect_invalidation("all", &DMA, 4, (0, u64::MAX), 0);
    p.expect_cache("all", &DMA, BOTH & !granted::VALID);
    p.expect_translation("no page any more", &DMA, request::WRITE, granted::page(0));
}

/// SSV and Global.
pub(super) fn invalidation_of_substreams(p: &mut Program) {
    let mut rig = Rig::new(p);
    rig.put_ste(p, STREAM, rig.stage1().with(ste::S1CDMAX, 2).with(ste::EATS, 1));
    rig.put_cd(p, 3, cd::of(rig.s1, 7));
    rig.start(p);
    let (dma, valid) = (DMA.of(3), 1 << 31);
    p.expect_translation("a request", &dma, 0, BOTH);
    rig.smmu.complete(p, command::atc_inv(STREAM, IOVA, 0));
    p.expect_cache("without a PASID", &dma, BOTH);
    rig.smmu.complete(p, command::atc_inv_of(STREAM, 2, false, IOVA, 0));
    p.expect_invalidation("another PASID", &dma, 2, (IOVA, IOVA + 0xfff), valid | 2);
    p.expect_cache("another PASID", &dma, BOTH);
    rig.smmu.complete(p, command::atc_inv_of(STREAM, 2, true, IOVA, 0));
    p.expect_invalidation("all PASIDs", &dma, 3, (IOVA, IOVA + 0xfff), valid | 1 << 30 | 2);
    p.expect_cache("all PASIDs", &dma, BOTH & !granted::VALID);
    p.expect_translation("again", &dma, 0, BOTH);
    rig.smmu.complete(p, command::atc_inv_of(STREAM, 3, false, IOVA, 0));
    p.expect_cache("its own", &dma, BOTH & !granted::VALID);
}

/// CMD_ATC_INV is consumed at once; the CMD_SYNC behind it is when the function has forgotten.
pub(super) fn sync_waits(p: &mut Program) {
    let mut rig = started(p);
    p.hold_invalidations(&DMA, true);
    rig.smmu.give(p, command::atc_inv(STREAM, IOVA, 0));
    p.expect_invalidation("it has come", &DMA, 1, (IOVA, IOVA + 0xfff), 0);
    rig.smmu.post(p, [SYNC_OF, 0]);
    rig.smmu.expect_standing(p, "CMD_SYNC waits", 0);
    rig.reads(p, "transactions go on", &DMA);
    rig.smmu.expect_standing(p, "it still waits", 0);
    p.complete_invalidations(&DMA);
    rig.smmu.until_consumed(p);
    p.hold_invalidations(&DMA, false);
    rig.smmu.complete(p, command::atc_inv(STREAM, IOVA, 0));
    gerror(p, 0, 0);
    p.expect("no error", 0, 0);
}

/// A function that never answers, as it is gone: the CMD_SYNC is an error, and can be tried again.
pub(super) fn lost_invalidation(p: &mut Program) {
    let mut rig = started(p);
    p.hold_invalidations(&DMA, true);
    rig.smmu.give(p, command::atc_inv(STREAM, IOVA, 0));
    rig.smmu.post(p, [SYNC_OF, 0]);
    rig.smmu.expect_standing(p, "CMD_SYNC waits", 0);
    p.lose_invalidations(&DMA);
    p.until(15, |p| gerror(p, 15, 0));
    rig.smmu.expect_standing(p, "lost", CERROR_ATC_INV_SYNC);
    Smmu::acknowledge_errors(p);
    rig.smmu.until_consumed(p);
    gerror(p, 0, 0);
    p.expect("it is told once", 0, 0);
}

/// SMMUEN = 0: ignored.
pub(super) fn invalidation_while_not_enabled(p: &mut Program) {
    let mut rig = started(p);
    p.expect_translation("a request", &DMA, 0, BOTH);
    Smmu::control(p, CMDQEN | EVENTQEN);
    rig.smmu.complete(p, command::atc_inv(STREAM, IOVA, 0));
    p.expect_invalidation("none has come", &DMA, 0, (0, 0), 0);
    p.expect_cache("none has come", &DMA, BOTH);
    Smmu::control(p, ON);
    rig.reads_value(p, "the page", &DMA, DATA);
}

/// Each of these is CERROR_ILL.
pub(super) fn illegal(p: &mut Program) {
    let mut rig = started(p);
    let secure = |[first, second]: [u64; 2]| [first | 1 << 10, second];
    let rows = [
        ("Size = 53", command::atc_inv(STREAM, 0, 53)),
        ("CMD_ATC_INV of a Secure stream", secure(command::atc_inv(STREAM, IOVA, 0))),
        ("Resp = 3", command::pri_resp(STREAM, 1, 3)),
        ("CMD_PRI_RESP of a Secure stream", secure(command::pri_resp(STREAM, 1, 2))),
    ];
    for (name, words) in rows {
        rig.smmu.refused(p, name, words, CERROR_ILL);
    }
    p.expect_invalidation("none has come", &DMA, 0, (0, 0), 0);
    p.expect_responses("none has come", &DMA, 0, 0, 0);
    p.dma("transactions go on", &DMA, End::Done);
}

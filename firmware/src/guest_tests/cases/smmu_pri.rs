//! Page requests: the PRI queue, its interrupts, and what functions are answered (Arm IHI 0070, chapter 8, 4.5.2).

use crate::guest_tests::interrupts::NOTHING;
use crate::guest_tests::layout::{NOWHERE, SMMU_SPI};
use crate::guest_tests::program::Program;
use crate::guest_tests::smmu::structures::{command, ste};
use crate::guest_tests::smmu::{
    CMDQEN, EVENTQEN, IOVA, ON, PRIQEN, PageRecord, PageRequests, Rig, Smmu, gerror, reg, stream,
};
use crate::guest_tests::test_master::request::{LAST, READ, WRITE};
use crate::guest_tests::test_master::{Dma, answered as answer, attributes};

const STREAM: u32 = stream::STAGE1;
const DMA: Dma = Dma::read(STREAM, IOVA);
/// A request that ends its group.
const WHOLE: u32 = READ | LAST;
/// INTID.
const PRIQ: u64 = 32 + SMMU_SPI as u64 + 1;
/// IRQ_CTRL.
const GERROR_IRQEN: u32 = 1;
const PRIQ_IRQEN: u32 = 1 << 1;
/// Global errors.
const PRIQ_ABORT: u32 = 3;
const MSI_PRIQ_ABORT: u32 = 6;
/// Response codes.
const SUCCESS: u64 = 0;
const INVALID: u64 = 1;
const FAILURE: u64 = 15;
/// PRIQ_IRQ_CFG2.LO.
const LAST_ONLY: u32 = 1 << 31;

fn started(p: &mut Program, bits: u32) -> (Rig, PageRequests) {
    let mut rig = Rig::new(p);
    let pages = PageRequests::new(p, bits);
    rig.start(p);
    pages.start(p);
    (rig, pages)
}

/// A request comes to the queue, software answers, and the function has the answer.
pub(super) fn answered(p: &mut Program) {
    let (mut rig, mut pages) = started(p, 4);
    for (n, what) in (0..).zip([READ, WRITE, READ | WRITE | LAST]) {
        let dma = Dma::read(STREAM, IOVA + 0x1000 * n + 0x123);
        p.request_page(&dma, what, 0x1a5);
        pages.expect(p, "a page", &PageRecord::of(&dma, what, 0x1a5));
    }
    pages.expect_records(p, "no more", 0, false);
    p.expect_responses("not yet", &DMA, 0, 0, 0);
    rig.smmu.complete(p, command::pri_resp(STREAM, 0x1a5, 2));
    p.expect_responses("success", &DMA, 1, answer(SUCCESS, 0x1a5), 0);
    rig.smmu.expect_no_event(p, "page requests");
}

/// The other answers; and none while SMMUEN = 0, or of another stream.
pub(super) fn answered_otherwise(p: &mut Program) {
    let (mut rig, mut pages) = started(p, 4);
    p.request_page(&DMA, WHOLE, 1);
    pages.expect(p, "a page", &PageRecord::of(&DMA, WHOLE, 1));
    rig.smmu.complete(p, command::pri_resp(0x10, 1, 2));
    p.expect_responses("another stream", &DMA, 0, 0, 0);
    rig.smmu.complete(p, command::pri_resp(STREAM, 1, 1));
    p.expect_responses("invalid request", &DMA, 1, answer(INVALID, 1), 0);
    rig.smmu.complete(p, command::pri_resp(STREAM, 2, 0));
    p.expect_responses("response failure", &DMA, 2, answer(FAILURE, 2), 0);
    rig.smmu.complete(p, command::pri_resp_of(STREAM, 0xabcde, 3, 2));
    p.expect_responses("with a PASID", &DMA, 3, answer(SUCCESS, 3), 1 << 31 | 0xabcde);
    Smmu::control(p, CMDQEN | EVENTQEN);
    rig.smmu.complete(p, command::pri_resp(STREAM, 4, 2));
    p.expect_responses("SMMUEN = 0", &DMA, 3, answer(SUCCESS, 3), 1 << 31 | 0xabcde);
}

/// With a PASID: SSV, SubstreamID, Priv and X.
pub(super) fn substream(p: &mut Program) {
    let (_rig, mut pages) = started(p, 4);
    let dma = DMA.of(0xabcde);
    let rows = [
        dma,
        dma.with(attributes::PRIVILEGED),
        dma.with(attributes::INSTRUCTION),
        // Without one neither is said.
        DMA.with(attributes::PRIVILEGED | attributes::INSTRUCTION),
    ];
    for dma in rows {
        p.request_page(&dma, WHOLE, 7);
        pages.expect(p, "a page", &PageRecord::of(&dma, WHOLE, 7));
    }
}

/// PRIQEN = 0, and SMMUEN = 0 with PRIQEN = 1: Response Failure, without a PASID.
pub(super) fn not_enabled(p: &mut Program) {
    let (_rig, mut pages) = started(p, 4);
    let rows = [("PRIQEN = 0", ON), ("SMMUEN = 0", CMDQEN | EVENTQEN | PRIQEN)];
    for (n, (name, cr0)) in (1..).zip(rows) {
        Smmu::control(p, cr0);
        p.request_page(&DMA.of(3), READ, 9);
        p.expect_responses(name, &DMA, n, answer(FAILURE, 9), 0);
        pages.expect_records(p, name, 0, false);
    }
    Smmu::control(p, ON | PRIQEN);
    p.request_page(&DMA, WHOLE, 9);
    pages.expect(p, "enabled again", &PageRecord::of(&DMA, WHOLE, 9));
}

/// A full queue: OVFLG changes, and nothing comes in before it is acknowledged; last requests are answered, and are to come again.
pub(super) fn overflow(p: &mut Program) {
    let (_rig, mut pages) = started(p, 1);
    for _ in 0..2 {
        p.request_page(&DMA, READ, 1);
    }
    pages.expect_records(p, "full", 2, false);
    p.request_page(&DMA, READ, 1);
    pages.expect_records(p, "overflow", 2, true);
    p.expect_responses("not the last", &DMA, 0, 0, 0);
    p.request_page(&DMA, WHOLE, 1);
    pages.expect_records(p, "once", 2, true);
    p.expect_responses("the last", &DMA, 1, answer(SUCCESS, 1), 0);
    pages.expect(p, "the first", &PageRecord::of(&DMA, READ, 1));
    p.request_page(&DMA, WHOLE, 2);
    p.expect_responses("there is room, and no acknowledgement", &DMA, 2, answer(SUCCESS, 2), 0);
    pages.expect(p, "the second", &PageRecord::of(&DMA, READ, 1));
    pages.acknowledge_overflow(p);
    pages.expect_records(p, "acknowledged", 0, false);
    p.request_page(&DMA, WHOLE, 3);
    pages.expect(p, "it goes on", &PageRecord::of(&DMA, WHOLE, 3));
    p.peek32(0, reg::GERROR);
    p.expect("no global error", 0, 0);
}

/// STE.PPAR says if the automatic answer has the PASID; without an STE it is a failure.
pub(super) fn overflow_of_a_substream(p: &mut Program) {
    let mut rig = Rig::new(p);
    rig.put_ste(p, stream::STAGE2, ste::stage2(rig.s2, 3).with(ste::PPAR, 1));
    let pages = PageRequests::new(p, 0);
    rig.start(p);
    pages.start(p);
    p.request_page(&DMA, WHOLE, 0);
    let rows = [
        ("PPAR = 0", STREAM, SUCCESS, 0),
        ("PPAR = 1", stream::STAGE2, SUCCESS, 1 << 31 | 5),
        ("an STE that is not valid", stream::INVALID, FAILURE, 0),
        ("a StreamID beyond the table", 0x40, FAILURE, 0),
    ];
    for (n, (name, stream, status, pasid)) in (1..).zip(rows) {
        p.request_page(&Dma::read(stream, IOVA).of(5), WHOLE, 6);
        p.expect_responses(name, &DMA, n, answer(status, 6), pasid);
    }
    rig.smmu.expect_no_event(p, "none of them is recorded");
}

/// A Stop Marker is a record as others, and is never answered.
pub(super) fn stop_marker(p: &mut Program) {
    let (_rig, mut pages) = started(p, 0);
    let dma = DMA.of(5);
    p.request_page(&dma, LAST, 0);
    pages.expect(p, "a record", &PageRecord::of(&dma, LAST, 0));
    p.request_page(&DMA, WHOLE, 1);
    p.request_page(&dma, LAST, 0);
    pages.expect_records(p, "no room", 1, true);
    Smmu::control(p, ON);
    p.request_page(&dma, LAST, 0);
    p.expect_responses("no answer", &DMA, 0, 0, 0);
}

// Interrupts.

fn with_gic(p: &mut Program) -> (Rig, PageRequests) {
    p.start_gic();
    p.start_spi(PRIQ);
    let (rig, pages) = started(p, 4);
    p.poke32(reg::PRIQ_IRQ_CFG2, 0);
    (rig, pages)
}

fn expect_interrupt(p: &mut Program) {
    p.take_and_acknowledge("INTID", PRIQ);
    p.end_of_interrupt(PRIQ);
}

fn expect_none(p: &mut Program, name: &str) {
    p.open_for_a_while();
    p.acknowledge(name, NOTHING);
}

/// The queue is no longer empty: an edge, by wire.
pub(super) fn interrupt(p: &mut Program) {
    let (_rig, mut pages) = with_gic(p);
    p.request_page(&DMA, WHOLE, 1);
    pages.expect(p, "not enabled", &PageRecord::of(&DMA, WHOLE, 1));
    expect_none(p, "not enabled");
    p.poke32(reg::IRQ_CTRL, PRIQ_IRQEN);
    p.request_page(&DMA, READ, 1);
    expect_interrupt(p);
    p.request_page(&DMA, WHOLE, 1);
    expect_none(p, "it was not empty");
}

/// LO: the last request of a group, whatever is in the queue.
pub(super) fn interrupt_of_the_last(p: &mut Program) {
    let (_rig, _pages) = with_gic(p);
    p.poke32(reg::PRIQ_IRQ_CFG2, LAST_ONLY);
    p.poke32(reg::IRQ_CTRL, PRIQ_IRQEN);
    p.request_page(&DMA, READ, 1);
    expect_none(p, "not the last");
    for _ in 0..2 {
        p.request_page(&DMA, WHOLE, 1);
        expect_interrupt(p);
    }
}

fn describe_message(p: &mut Program, address: u64, data: u32) {
    p.poke(reg::PRIQ_IRQ_CFG0, address);
    p.poke32(reg::PRIQ_IRQ_CFG0 + 8, data);
    p.poke32(reg::PRIQ_IRQ_CFG2, 0x3f);
}

/// The same by message.
pub(super) fn message(p: &mut Program) {
    let (rig, mut pages) = started(p, 4);
    let word = rig.frame + 0x80;
    describe_message(p, word, 0xcafe_f00d);
    p.poke32(reg::IRQ_CTRL, PRIQ_IRQEN);
    p.request_page(&DMA, READ, 1);
    p.mov(12, word);
    p.until(15, |p| a64!(p ; ldr w15, [x12]));
    p.peek32(0, word);
    p.expect("the word", 0, 0xcafe_f00d);
    p.poke32(word, 0);
    p.request_page(&DMA, WHOLE, 1);
    p.peek32(0, word);
    p.expect("it was not empty", 0, 0);
    pages.expect(p, "the first", &PageRecord::of(&DMA, READ, 1));
    pages.expect(p, "the second", &PageRecord::of(&DMA, WHOLE, 1));
}

/// A message that is aborted is a global error.
pub(super) fn message_aborts(p: &mut Program) {
    let (_rig, mut pages) = started(p, 4);
    describe_message(p, NOWHERE, 1);
    p.poke32(reg::IRQ_CTRL, PRIQ_IRQEN | GERROR_IRQEN);
    p.request_page(&DMA, WHOLE, 1);
    p.until(15, |p| gerror(p, 15, MSI_PRIQ_ABORT));
    gerror(p, 0, MSI_PRIQ_ABORT);
    p.expect("MSI_PRIQ_ABT_ERR", 0, 1);
    pages.expect(p, "the record is there", &PageRecord::of(&DMA, WHOLE, 1));
}

/// A queue where nothing answers: PRIQ_ABT_ERR, and the queue is closed until it is acknowledged.
pub(super) fn abort(p: &mut Program) {
    let mut rig = Rig::new(p);
    let mut pages = PageRequests::new(p, 4);
    let queue = pages.queue;
    pages.queue = NOWHERE;
    rig.start(p);
    pages.start(p);
    p.request_page(&DMA, WHOLE, 1);
    p.until(15, |p| gerror(p, 15, PRIQ_ABORT));
    p.expect_responses("the request that aborted", &DMA, 1, answer(FAILURE, 1), 0);
    pages.expect_records(p, "the index stays", 0, false);
    Smmu::control(p, ON);
    pages.queue = queue;
    pages.start(p);
    p.request_page(&DMA, WHOLE, 2);
    p.expect_responses("not acknowledged", &DMA, 2, answer(FAILURE, 2), 0);
    Smmu::acknowledge_errors(p);
    p.request_page(&DMA, WHOLE, 3);
    pages.expect(p, "acknowledged", &PageRecord::of(&DMA, WHOLE, 3));
}

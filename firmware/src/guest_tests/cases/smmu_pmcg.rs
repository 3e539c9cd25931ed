//! The counter group beside the SMMU (Arm IHI 0070, chapter 10): what it counts, of whom, and what it does at an overflow.

use crate::guest_tests::interrupts::NOTHING;
use crate::guest_tests::layout::{SMMU_PMCG, SMMU_PMCG_SPI};
use crate::guest_tests::program::Program;
use crate::guest_tests::report::{Taken, from, kind};
use crate::guest_tests::smmu::structures::command;
use crate::guest_tests::smmu::{IOVA, Rig, stream};
use crate::guest_tests::test_master::{Dma, End};

const STREAM: u32 = stream::STAGE1;
const SPI: u64 = 32 + SMMU_PMCG_SPI as u64;
const IRQ: Taken = Taken::to(2, from::SPX | kind::IRQ);

// Registers (10.5.1).
const PAGE_1: u64 = SMMU_PMCG + 0x1_0000;
const CNTENSET: u64 = SMMU_PMCG + 0xc00;
const CNTENCLR: u64 = SMMU_PMCG + 0xc20;
const INTENSET: u64 = SMMU_PMCG + 0xc40;
const INTENCLR: u64 = SMMU_PMCG + 0xc60;
const CFGR: u64 = SMMU_PMCG + 0xe00;
const CR: u64 = SMMU_PMCG + 0xe04;
const CEID0: u64 = SMMU_PMCG + 0xe20;
const IRQ_CTRL: u64 = SMMU_PMCG + 0xe50;
const IRQ_CFG0: u64 = SMMU_PMCG + 0xe58;
const AIDR: u64 = SMMU_PMCG + 0xe70;
const PMDEVARCH: u64 = SMMU_PMCG + 0xfbc;
const OVSCLR: u64 = PAGE_1 + 0xc80;
const OVSSET: u64 = PAGE_1 + 0xcc0;
const CAPR: u64 = PAGE_1 + 0xd88;

const fn evcntr(n: u64) -> u64 {
    PAGE_1 + 8 * n
}
const fn svr(n: u64) -> u64 {
    PAGE_1 + 0x600 + 8 * n
}

/// EVTYPER.OVFCAP and FILTER_SID_SPAN.
const OVFCAP: u32 = 1 << 31;
const SPAN: u32 = 1 << 29;
/// SMR: all streams.
const ALL: u32 = u32::MAX;
// Events (10.3).
const TRANSACTION: u32 = 1;
const TLB_MISS: u32 = 2;
const CONFIGURATION_MISS: u32 = 3;
const WALK_ACCESS: u32 = 4;
const CONFIGURATION_ACCESS: u32 = 5;

const READ: Dma = Dma::read(STREAM, IOVA);

/// A rig, with the counters off.
fn rig(p: &mut Program) -> Rig {
    let mut rig = Rig::new(p);
    rig.start(p);
    p.poke32(CR, 0);
    p.poke(CNTENCLR, u64::MAX);
    p.poke(INTENCLR, u64::MAX);
    p.poke(OVSCLR, u64::MAX);
    rig
}

/// Has a counter count from a value on.
fn set(p: &mut Program, n: u64, kind: u32, streams: u32, from: u64) {
    p.poke32(SMMU_PMCG + 0x400 + 4 * n, kind);
    p.poke32(SMMU_PMCG + 0xa00 + 4 * n, streams);
    p.poke(evcntr(n), from);
    p.poke(CNTENSET, 1 << n);
}

fn expect(p: &mut Program, name: &str, register: u64, value: u64) {
    p.mov(18, register);
    a64!(p ; ldr x0, [x18]);
    p.expect(name, 0, value);
}

fn expect32(p: &mut Program, name: &str, register: u64, mask: u64, value: u64) {
    p.peek32(0, register);
    p.expect_bits(name, 0, mask, value);
}

fn times(p: &mut Program, n: usize, dma: &Dma) {
    (0..n).for_each(|_| p.dma("a transfer", dma, End::Done));
}

/// CFGR, CEID0, AIDR, PMDEVARCH.
pub(super) fn identification(p: &mut Program) {
    // Eight counters of 64 bits, two pages, messages, captures, a filter for each.
    expect32(p, "CFGR", CFGR, u64::MAX, 7 | 63 << 8 | 1 << 20 | 1 << 21 | 1 << 22);
    p.mov(18, CEID0);
    a64!(p ; ldr x0, [x18] ; ldr x1, [x18, 8]);
    p.expect_bits("CEID0", 0, !0xc0, 0x3f);
    p.expect("CEID1", 1, 0);
    expect32(p, "AIDR", AIDR, u64::MAX, 2);
    expect32(p, "PMDEVARCH", PMDEVARCH, u64::MAX, 0x4770_2a56);
    // There are no counters beyond those, and none in page 0.
    p.poke(evcntr(8), 5);
    expect(p, "a ninth counter", evcntr(8), 0);
    expect(p, "page 0", SMMU_PMCG, 0);
    p.poke(CNTENSET, u64::MAX);
    expect(p, "CNTENSET0", CNTENSET, 0xff);
    p.poke(CNTENCLR, 0xf0);
    expect(p, "CNTENCLR0", CNTENCLR, 0x0f);
}

/// Each transaction of a stream, also when its page is known; none of another stream.
pub(super) fn transactions(p: &mut Program) {
    let _ = rig(p);
    set(p, 0, TRANSACTION, STREAM, 0);
    set(p, 1, TRANSACTION, stream::BYPASS, 100);
    p.poke32(CR, 1);
    times(p, 5, &READ);
    expect(p, "the stream", evcntr(0), 5);
    expect(p, "another stream", evcntr(1), 100);
}

/// Also those that are not translated, and those that are terminated.
pub(super) fn other_transactions(p: &mut Program) {
    let rig = rig(p);
    set(p, 0, TRANSACTION | SPAN, ALL, 0);
    p.poke32(CR, 1);
    times(p, 2, &Dma::read(stream::BYPASS, rig.frame));
    expect(p, "not translated", evcntr(0), 2);
    rig.aborts_silently(p, "not let through", &Dma::read(stream::ABORT, IOVA));
    expect(p, "terminated", evcntr(0), 3);
    // Over the end of a page.
    times(p, 1, &Dma::read(stream::BYPASS, rig.frame + 0xffc));
    expect(p, "two pages", evcntr(0), 5);
}

/// FILTER_SID_SPAN: streams 0 to 3, 4 and 5, all.
pub(super) fn spans(p: &mut Program) {
    let rig = rig(p);
    set(p, 0, TRANSACTION | SPAN, 0b001, 0);
    set(p, 1, TRANSACTION | SPAN, 0b100, 0);
    set(p, 2, TRANSACTION | SPAN, 0x7fff, 0);
    set(p, 3, TRANSACTION | SPAN, ALL, 0);
    p.poke32(CR, 1);
    times(p, 3, &READ);
    times(p, 2, &Dma::read(stream::BYPASS, rig.frame));
    expect(p, "0 to 3", evcntr(0), 3);
    expect(p, "4 and 5", evcntr(1), 2);
    expect(p, "all of one Security state", evcntr(2), 5);
    expect(p, "all", evcntr(3), 5);
}

/// TLB misses and accesses to tables: three levels, once.
pub(super) fn walks(p: &mut Program) {
    let mut rig = rig(p);
    rig.smmu.complete(p, command::TLBI_NSNH_ALL);
    set(p, 0, TLB_MISS, STREAM, 0);
    set(p, 1, WALK_ACCESS, STREAM, 0);
    p.poke32(CR, 1);
    times(p, 3, &READ);
    expect(p, "misses", evcntr(0), 1);
    expect(p, "accesses", evcntr(1), 3);
    rig.smmu.complete(p, command::TLBI_NSNH_ALL);
    times(p, 2, &READ);
    expect(p, "misses after an invalidation", evcntr(0), 2);
    expect(p, "accesses after an invalidation", evcntr(1), 6);
}

/// Configuration that is not known: an STE and a CD, once; an STE alone.
pub(super) fn configuration(p: &mut Program) {
    let mut rig = rig(p);
    rig.smmu.complete(p, command::CFGI_ALL);
    for (n, id) in [(0, STREAM), (2, stream::BYPASS)] {
        set(p, n, CONFIGURATION_MISS, id, 0);
        set(p, n + 1, CONFIGURATION_ACCESS, id, 0);
    }
    p.poke32(CR, 1);
    times(p, 3, &READ);
    times(p, 2, &Dma::read(stream::BYPASS, rig.frame));
    expect(p, "misses of stage 1", evcntr(0), 1);
    expect(p, "STE and CD", evcntr(1), 2);
    expect(p, "misses of a bypass", evcntr(2), 1);
    expect(p, "STE", evcntr(3), 1);
    rig.smmu.complete(p, command::cfgi_cd(STREAM, 0));
    times(p, 1, &READ);
    expect(p, "after CMD_CFGI_CD", evcntr(0), 2);
}

/// CR.E and CNTENCLR0: a counter stands, and goes on from where it stood.
pub(super) fn enables(p: &mut Program) {
    let _ = rig(p);
    set(p, 0, TRANSACTION, STREAM, 7);
    times(p, 2, &READ);
    expect(p, "CR.E is 0", evcntr(0), 7);
    p.poke32(CR, 1);
    times(p, 2, &READ);
    p.poke(CNTENCLR, 1);
    times(p, 2, &READ);
    expect(p, "CNTEN is 0", evcntr(0), 9);
    p.poke(CNTENSET, 1);
    times(p, 1, &READ);
    expect(p, "both", evcntr(0), 10);
}

/// OVSSET0 and OVSCLR0; a counter goes on.
pub(super) fn overflow(p: &mut Program) {
    let _ = rig(p);
    set(p, 3, TRANSACTION, STREAM, u64::MAX - 1);
    p.poke32(CR, 1);
    times(p, 1, &READ);
    expect(p, "the largest value", OVSSET, 0);
    times(p, 2, &READ);
    expect(p, "an overflow", OVSSET, 8);
    expect(p, "the counter", evcntr(3), 1);
    p.poke(OVSCLR, !8);
    expect(p, "others cleared", OVSCLR, 8);
    p.poke(OVSCLR, 8);
    expect(p, "cleared", OVSCLR, 0);
}

/// An edge on the wire, if INTEN and IRQEN are both set.
pub(super) fn overflow_interrupt(p: &mut Program) {
    p.start_gic();
    p.start_spi(SPI);
    let _ = rig(p);
    set(p, 0, TRANSACTION, STREAM, u64::MAX);
    p.poke(INTENSET, 1);
    p.poke32(CR, 1);
    p.poke32(IRQ_CTRL, 0);
    times(p, 1, &READ);
    p.open_for_a_while();
    p.acknowledge("IRQEN is 0", NOTHING);
    p.poke32(IRQ_CTRL, 1);
    for _ in 0..2 {
        p.poke(evcntr(0), u64::MAX);
        times(p, 1, &READ);
        expect_interrupt(p);
    }
    p.poke(INTENCLR, 1);
    p.poke(evcntr(0), u64::MAX);
    times(p, 1, &READ);
    p.open_for_a_while();
    p.acknowledge("INTEN is 0", NOTHING);
    p.poke32(IRQ_CTRL, 0);
}

fn expect_interrupt(p: &mut Program) {
    p.expect_taken(IRQ);
    p.take_interrupt();
    p.acknowledge("INTID", SPI);
    p.end_of_interrupt(SPI);
}

/// IRQ_CFG0, 1 and 2, which cannot be changed while IRQEN is set.
pub(super) fn message(p: &mut Program) {
    let rig = rig(p);
    let word = rig.other + 0x80;
    set(p, 0, TRANSACTION, STREAM, u64::MAX);
    p.poke(INTENSET, 1);
    p.poke(IRQ_CFG0, word);
    p.poke32(IRQ_CFG0 + 8, 0xcafe_f00d);
    p.poke32(IRQ_CFG0 + 12, 0x3f);
    p.poke32(IRQ_CTRL, 1);
    p.poke(IRQ_CFG0, 0);
    expect(p, "guarded", IRQ_CFG0, word);
    p.poke32(CR, 1);
    times(p, 1, &READ);
    expect32(p, "the message", word, u64::MAX, 0xcafe_f00d);
    expect32(p, "IRQ_STATUS", SMMU_PMCG + 0xe68, u64::MAX, 0);
    p.poke32(IRQ_CTRL, 0);
    p.poke(IRQ_CFG0, 0);
}

/// CAPR, and EVTYPER.OVFCAP: all counters at one moment, after the overflow.
pub(super) fn capture(p: &mut Program) {
    let _ = rig(p);
    set(p, 0, TRANSACTION | OVFCAP, STREAM, u64::MAX - 2);
    set(p, 1, TRANSACTION, STREAM, 0);
    p.poke32(CR, 1);
    times(p, 2, &READ);
    p.poke32(CAPR, 1);
    times(p, 1, &READ);
    expect(p, "by software", svr(0), 0);
    expect(p, "the other counter", svr(1), 3);
    times(p, 2, &READ);
    expect(p, "it stays", svr(1), 3);
    p.poke32(CAPR, 0);
    expect(p, "a zero", svr(1), 3);
    p.poke32(CAPR, 1);
    expect(p, "a one", svr(1), 5);
    expect(p, "a one, the first counter", svr(0), 2);
}

/// Event 0: whatever the stream. The interrupt comes while nobody looks.
pub(super) fn clock(p: &mut Program) {
    p.start_gic();
    p.start_spi(SPI);
    let _ = rig(p);
    set(p, 5, 0, 0x1234, u64::MAX - 100_000);
    p.poke(INTENSET, 1 << 5);
    p.poke32(IRQ_CTRL, 1);
    expect(p, "it stands", evcntr(5), u64::MAX - 100_000);
    p.poke32(CR, 1);
    expect_interrupt(p);
    expect(p, "OVSSET0", OVSSET, 1 << 5);
    // It goes on from zero.
    p.mov(18, evcntr(5));
    a64!(p ; ldr x1, [x18] ; ldr x2, [x18] ; cmp x2, x1 ; cset x0, hs ; lsr x1, x1, 40);
    p.expect("it goes up", 0, 1);
    p.expect("it is small", 1, 0);
    p.poke32(IRQ_CTRL, 0);
    p.poke32(CR, 0);
}

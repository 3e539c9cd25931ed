//! The event queue, global errors and interrupts (Arm IHI 0070, 3.18, 7.2, 7.4, 7.5).

use super::its::{Its, LPI, expect_lpi};
use crate::guest_tests::interrupts::NOTHING;
use crate::guest_tests::layout::{ITS, NOWHERE, SMMU_DEVICE, SMMU_SPI};
use crate::guest_tests::program::Program;
use crate::guest_tests::smmu::structures::command::of_stream;
use crate::guest_tests::smmu::structures::{Event, cd, ste};
use crate::guest_tests::smmu::{CMDQEN, EVENTQEN, IOVA, Rig, SMMUEN, Smmu, gerror, reg, stream};
use crate::guest_tests::test_master::attributes::{INSTRUCTION, PRIVILEGED};
use crate::guest_tests::test_master::{Dma, End};

/// INTIDs.
const EVENTQ: u64 = 32 + SMMU_SPI as u64;
const CMDQ_SYNC: u64 = EVENTQ + 2;
const GERROR: u64 = EVENTQ + 3;
/// IRQ_CTRL.
const GERROR_IRQEN: u32 = 1;
const EVENTQ_IRQEN: u32 = 1 << 2;
/// Global errors.
const EVENTQ_ABORT: u32 = 2;
const MSI_EVENTQ_ABORT: u32 = 5;
const MSI_GERROR_ABORT: u32 = 7;
/// The DeviceID of the SMMU, and GITS_TRANSLATER.
const OWN_DEVICE: u64 = SMMU_DEVICE as u64;
const DOORBELL: u64 = ITS + 0x1_0040;

const BAD: Dma = Dma::read(stream::INVALID, IOVA);

fn bad() -> Event {
    Event::of(Event::BAD_STE, &BAD)
}

/// A fault in another page, which no other one is like.
const fn absent(n: u64) -> Dma {
    Dma::read(stream::STAGE1, IOVA + 0x1_0000 + 0x1000 * n)
}

fn fault(n: u64) -> Event {
    Event::fault(Event::TRANSLATION, &absent(n))
}

fn aborts(p: &mut Program, n: u64) {
    p.dma("a fault", &absent(n), End::Aborted(0));
}

/// A full queue: OVFLG changes once, and it is no global error; what is in the queue stays.
pub(super) fn overflow(p: &mut Program) {
    let mut rig = Rig::new(p);
    rig.smmu.event_bits = 1;
    rig.start(p);
    for n in 0..4 {
        aborts(p, n);
        rig.smmu.expect_events(p, "so far", (n + 1).min(2), n >= 2);
    }
    p.peek32(0, reg::GERROR);
    p.expect("GERROR", 0, 0);
    for n in 0..2 {
        rig.smmu.expect_event(p, "what there was room for", &fault(n));
    }
    rig.smmu.acknowledge_overflow(p);
    rig.smmu.expect_no_event(p, "acknowledged");
    rig.faults(p, "the next one", &absent(7), &fault(7));
}

/// The second time OVFLG changes back.
pub(super) fn overflow_twice(p: &mut Program) {
    let mut rig = Rig::new(p);
    rig.smmu.event_bits = 0;
    rig.start(p);
    for _ in 0..2 {
        aborts(p, 1);
        aborts(p, 2);
        rig.smmu.expect_events(p, "one, and one lost", 1, true);
        rig.smmu.expect_event(p, "the first", &fault(1));
        rig.smmu.acknowledge_overflow(p);
        rig.smmu.expect_no_event(p, "acknowledged");
    }
}

/// There is room again before software acknowledges: events are recorded.
pub(super) fn room_before_acknowledgement(p: &mut Program) {
    let mut rig = Rig::new(p);
    rig.smmu.event_bits = 1;
    rig.start(p);
    for n in 0..3 {
        aborts(p, n);
    }
    rig.smmu.expect_event(p, "the first", &fault(0));
    aborts(p, 5);
    rig.smmu.expect_events(p, "two again", 2, true);
    rig.smmu.expect_event(p, "the second", &fault(1));
    rig.smmu.expect_event(p, "one that came later", &fault(5));
}

/// Indexes wrap.
pub(super) fn wraps(p: &mut Program) {
    let mut rig = Rig::new(p);
    rig.smmu.event_bits = 1;
    rig.start(p);
    for n in 0..5 {
        rig.faults(p, "a fault", &absent(n), &fault(n));
    }
}

/// EVENTQEN = 0: nothing is recorded, and nothing is lost that OVFLG would tell of.
pub(super) fn off(p: &mut Program) {
    let mut rig = Rig::new(p);
    rig.start(p);
    Smmu::control(p, SMMUEN | CMDQEN);
    aborts(p, 1);
    Smmu::control(p, SMMUEN | CMDQEN | EVENTQEN);
    rig.smmu.expect_no_event(p, "while it was off");
    rig.faults(p, "on again", &BAD, &bad());
}

/// Without STE.MEV each fault has a record.
pub(super) fn not_merged(p: &mut Program) {
    let mut rig = Rig::new(p);
    rig.start(p);
    aborts(p, 1);
    aborts(p, 1);
    rig.smmu.expect_event(p, "the first", &fault(1));
    rig.smmu.expect_event(p, "the second", &fault(1));
    rig.smmu.expect_no_event(p, "no more");
}

/// A stall for whose record there is no room is told of when there is.
pub(super) fn stall_without_room(p: &mut Program) {
    let mut rig = Rig::new(p);
    rig.smmu.event_bits = 0;
    rig.put_cd(p, 0, cd::of(rig.s1, 1).with(cd::S, 1));
    rig.start(p);
    p.dma("it fills the queue", &BAD, End::Aborted(0));
    p.dma("a stall", &absent(1), End::Waiting);
    rig.smmu.expect_event(p, "what was there", &bad());
    rig.smmu.expect_event(p, "the stall", &fault(1).stalled());
    rig.smmu.resume(p, stream::STAGE1, 2);
    p.end_dma("terminated", &absent(1), End::Aborted(0));
}

/// A queue where nothing answers: EVENTQ_ABT_ERR.
pub(super) fn abort(p: &mut Program) {
    let mut rig = Rig::new(p);
    rig.smmu.events = NOWHERE;
    rig.start(p);
    aborts(p, 1);
    p.until(15, |p| gerror(p, 15, EVENTQ_ABORT));
    gerror(p, 0, EVENTQ_ABORT);
    p.expect("EVENTQ_ABT_ERR", 0, 1);
    Smmu::acknowledge_errors(p);
    gerror(p, 0, EVENTQ_ABORT);
    p.expect("acknowledged", 0, 0);
}

// Interrupts.

fn expect_interrupt(p: &mut Program, intid: u64) {
    p.take_and_acknowledge("INTID", intid);
    p.end_of_interrupt(intid);
}

fn with_gic(p: &mut Program, intid: u64, enables: u32) -> Rig {
    let mut rig = Rig::new(p);
    p.start_gic();
    p.start_spi(intid);
    rig.start(p);
    p.poke32(reg::IRQ_CTRL, enables);
    rig
}

/// The queue is no longer empty: an edge, by wire.
pub(super) fn event_interrupt(p: &mut Program) {
    let mut rig = with_gic(p, EVENTQ, EVENTQ_IRQEN);
    for _ in 0..2 {
        p.dma("a fault", &BAD, End::Aborted(0));
        expect_interrupt(p, EVENTQ);
        rig.smmu.expect_event(p, "its event", &bad());
    }
    p.open_for_a_while();
    p.acknowledge("no more", NOTHING);
}

/// IRQ_CTRL.EVENTQ_IRQEN = 0.
pub(super) fn event_interrupt_off(p: &mut Program) {
    let mut rig = with_gic(p, EVENTQ, GERROR_IRQEN);
    rig.faults(p, "a fault", &BAD, &bad());
    p.open_for_a_while();
    p.acknowledge("none", NOTHING);
}

/// A global error.
pub(super) fn error_interrupt(p: &mut Program) {
    let mut rig = with_gic(p, GERROR, GERROR_IRQEN);
    rig.smmu.refused(p, "an illegal command", [0xff, 0], 1);
    expect_interrupt(p, GERROR);
}

/// CMD_SYNC with CS = 1 and no message.
pub(super) fn sync_interrupt(p: &mut Program) {
    let mut rig = with_gic(p, CMDQ_SYNC, 0);
    rig.smmu.sync(p);
    p.open_for_a_while();
    p.acknowledge("without a signal", NOTHING);
    rig.smmu.give(p, [0x46 | 1 << 12, 0]);
    expect_interrupt(p, CMDQ_SYNC);
}

/// Describes the message of the event queue, and enables it.
fn event_message(p: &mut Program, address: u64, data: u32) {
    p.poke(reg::EVENTQ_IRQ_CFG0, address);
    p.poke32(reg::EVENTQ_IRQ_CFG0 + 8, data);
    p.poke32(reg::EVENTQ_IRQ_CFG0 + 12, 0x3f);
    p.poke32(reg::IRQ_CTRL, EVENTQ_IRQEN);
}

/// The same by message, once until the queue is empty.
pub(super) fn event_messages(p: &mut Program) {
    let mut rig = Rig::new(p);
    rig.start(p);
    let word = rig.frame + 0x80;
    event_message(p, word, 0xcafe_f00d);
    aborts(p, 1);
    p.mov(12, word);
    p.until(15, |p| a64!(p ; ldr w15, [x12]));
    p.peek32(0, word);
    p.expect("the word", 0, 0xcafe_f00d);
    p.poke32(word, 0);
    aborts(p, 2);
    p.peek32(0, word);
    p.expect("not empty before", 0, 0);
    rig.smmu.expect_event(p, "the first", &fault(1));
    rig.smmu.expect_event(p, "the second", &fault(2));
}

/// A message that is aborted is a global error, whose message comes.
pub(super) fn event_message_aborts(p: &mut Program) {
    let mut rig = Rig::new(p);
    rig.start(p);
    let word = rig.frame + 0x80;
    p.poke(reg::GERROR_IRQ_CFG0, word);
    p.poke32(reg::GERROR_IRQ_CFG0 + 8, 0x55);
    event_message(p, NOWHERE, 1);
    p.poke32(reg::IRQ_CTRL, EVENTQ_IRQEN | GERROR_IRQEN);
    aborts(p, 1);
    p.mov(12, word);
    p.until(15, |p| a64!(p ; ldr w15, [x12]));
    p.peek32(0, word);
    p.expect("the message of the error", 0, 0x55);
    gerror(p, 0, MSI_EVENTQ_ABORT);
    p.expect("MSI_EVENTQ_ABT_ERR", 0, 1);
    rig.smmu.expect_event(p, "the event is there", &fault(1));
}

/// Where to, and what, cannot be written while the interrupt is enabled.
pub(super) fn guarded_message(p: &mut Program) {
    let mut rig = Rig::new(p);
    rig.start(p);
    event_message(p, rig.frame + 0x80, 0x77);
    p.poke(reg::EVENTQ_IRQ_CFG0, rig.frame + 0x100);
    p.mov(18, reg::EVENTQ_IRQ_CFG0);
    a64!(p ; ldr x0, [x18]);
    p.expect("EVENTQ_IRQ_CFG0", 0, rig.frame + 0x80);
    p.poke32(reg::IRQ_CTRL, 0);
    p.poke(reg::EVENTQ_IRQ_CFG0, rig.frame + 0x100);
    p.mov(18, reg::EVENTQ_IRQ_CFG0);
    a64!(p ; ldr x0, [x18]);
    p.expect("EVENTQ_IRQ_CFG0, not enabled", 0, rig.frame + 0x100);
}

// Merging.

/// A rig whose stream lets its events be merged (STE.MEV).
fn merging(p: &mut Program) -> Rig {
    let mut rig = Rig::new(p);
    rig.put_ste(p, stream::STAGE1, rig.stage1().with(ste::MEV, 1));
    rig.start(p);
    rig
}

/// Faults of one page are one record while it is there to be read.
pub(super) fn merged(p: &mut Program) {
    let mut rig = merging(p);
    for _ in 0..3 {
        aborts(p, 1);
    }
    p.dma("another word of it", &Dma::read(stream::STAGE1, absent(1).address + 0x40), End::Aborted(0));
    rig.smmu.expect_event(p, "one for all", &fault(1));
    rig.smmu.expect_no_event(p, "one for all");
    rig.faults(p, "when it has been read, another one", &absent(1), &fault(1));
}

/// What differs is not merged: another page, a write, another kind of access.
pub(super) fn merged_if_alike(p: &mut Program) {
    let mut rig = merging(p);
    let page = absent(1).address;
    let all = [
        absent(1),
        absent(2),
        Dma::write(stream::STAGE1, page),
        absent(1).with(PRIVILEGED),
        absent(1).with(INSTRUCTION),
    ];
    for dma in &all {
        p.dma("a fault", dma, End::Aborted(0));
    }
    for dma in &all {
        rig.smmu.expect_event(p, "a record for each", &Event::fault(Event::TRANSLATION, dma));
    }
    rig.smmu.expect_no_event(p, "a record for each");
}

/// Stalls never are.
pub(super) fn stalls_are_not_merged(p: &mut Program) {
    let mut rig = Rig::new(p);
    rig.put_ste(p, stream::STAGE1, rig.stage1().with(ste::MEV, 1));
    rig.put_cd(p, 0, cd::of(rig.s1, 1).with(cd::S, 1));
    rig.start(p);
    for master in [0, 2, 3] {
        p.dma("a stall", &absent(1).by(master), End::Waiting);
    }
    for _ in 0..3 {
        rig.smmu.expect_event(p, "a record for each", &fault(1).stalled());
    }
    rig.smmu.expect_no_event(p, "a record for each");
    rig.smmu.complete(p, of_stream(0x45, stream::STAGE1));
    for master in [0, 2, 3] {
        p.end_dma("terminated", &absent(1).by(master), End::Aborted(0));
    }
}

/// The interrupt of the event queue is an LPI: its message is the SMMU's own, with its own DeviceID.
pub(super) fn event_lpi(p: &mut Program) {
    let mut rig = Rig::new(p);
    Its::for_device(p, OWN_DEVICE);
    rig.start(p);
    event_message(p, DOORBELL, 3);
    aborts(p, 1);
    expect_lpi(p, LPI);
    rig.smmu.expect_event(p, "its event", &fault(1));
}

/// So is that of a global error.
pub(super) fn error_lpi(p: &mut Program) {
    let mut rig = Rig::new(p);
    Its::for_device(p, OWN_DEVICE);
    rig.start(p);
    p.poke(reg::GERROR_IRQ_CFG0, DOORBELL);
    p.poke32(reg::GERROR_IRQ_CFG0 + 8, 3);
    p.poke32(reg::IRQ_CTRL, GERROR_IRQEN);
    rig.smmu.refused(p, "an illegal command", [0xff, 0], 1);
    expect_lpi(p, LPI);
}

/// And that of a CMD_SYNC.
pub(super) fn sync_lpi(p: &mut Program) {
    let mut rig = Rig::new(p);
    Its::for_device(p, OWN_DEVICE);
    rig.start(p);
    rig.smmu.give(p, [0x46 | 1 << 12 | 3 << 32, DOORBELL]);
    expect_lpi(p, LPI);
}

/// The message of a global error is aborted: MSI_GERROR_ABT_ERR, of which no message is sent.
pub(super) fn error_message_aborts(p: &mut Program) {
    let mut rig = Rig::new(p);
    rig.start(p);
    p.poke(reg::GERROR_IRQ_CFG0, NOWHERE);
    p.poke32(reg::GERROR_IRQ_CFG0 + 8, 1);
    p.poke32(reg::IRQ_CTRL, GERROR_IRQEN);
    rig.smmu.post(p, [0xff, 0]);
    p.until(15, |p| gerror(p, 15, MSI_GERROR_ABORT));
    for (n, name) in [(0, "CMDQ_ERR"), (MSI_GERROR_ABORT, "MSI_GERROR_ABT_ERR")] {
        gerror(p, 0, n);
        p.expect(name, 0, 1);
    }
}

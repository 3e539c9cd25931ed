//! Messages of masters (Arm IHI 0070, 3.18; IHI 0069, 5.1): a write to a doorbell is a transaction like all others, and its DeviceID is the
//! StreamID.

use super::its::{Its, LPI, expect_lpi};
use crate::guest_tests::interrupts::NOTHING;
use crate::guest_tests::layout::ITS;
use crate::guest_tests::program::Program;
use crate::guest_tests::smmu::structures::{Event, cd};
use crate::guest_tests::smmu::{Rig, stream};
use crate::guest_tests::tables::desc;
use crate::guest_tests::test_master::{Dma, End};

/// The frame that GITS_TRANSLATER is in, and its offset there.
const DOORBELL: u64 = ITS + 0x1_0000;
const TRANSLATER: u64 = 0x40;
/// Where Linux has the window.
const WINDOW: u64 = 0x0800_0000;
const STREAM: u32 = stream::STAGE1;
/// The event that is mapped to an LPI.
const EVENT: u64 = 3;

fn message(p: &mut Program, dma: &Dma) {
    p.fill_buffer(dma, 0, EVENT);
    p.begin_dma(dma);
}

/// By way of a page that leads to the doorbell.
pub(super) fn translated(p: &mut Program) {
    let mut rig = Rig::new(p);
    let s1 = rig.s1;
    p.page(s1, WINDOW, DOORBELL, desc::EL0_RW | desc::DEVICE);
    Its::for_device(p, STREAM.into());
    rig.start(p);
    let dma = Dma::write(STREAM, WINDOW + TRANSLATER).bytes(4);
    message(p, &dma);
    p.end_dma("a message", &dma, End::Done);
    expect_lpi(p, LPI);
    rig.smmu.expect_no_event(p, "a message");
}

/// The doorbell's own address is not mapped: an event, and no interrupt.
pub(super) fn not_mapped(p: &mut Program) {
    let mut rig = Rig::new(p);
    Its::for_device(p, STREAM.into());
    rig.start(p);
    let dma = Dma::write(STREAM, DOORBELL + TRANSLATER).bytes(4);
    message(p, &dma);
    p.end_dma("a message", &dma, End::Aborted(0));
    rig.smmu.expect_event(p, "a message", &Event::fault(Event::TRANSLATION, &dma));
    p.open_for_a_while();
    p.acknowledge("no interrupt", NOTHING);
}

/// The StreamID is the DeviceID: one of another stream is of a device that is not mapped.
pub(super) fn device_id(p: &mut Program) {
    let mut rig = Rig::new(p);
    Its::for_device(p, STREAM.into());
    rig.start(p);
    let dma = Dma::write(stream::BYPASS, DOORBELL + TRANSLATER).bytes(4);
    message(p, &dma);
    p.end_dma("a message of another device", &dma, End::Done);
    p.open_for_a_while();
    p.acknowledge("no interrupt", NOTHING);
}

/// A doorbell behind both stages.
pub(super) fn nested(p: &mut Program) {
    let mut rig = Rig::new(p);
    p.page(rig.inner, WINDOW, DOORBELL, desc::EL0_RW | desc::DEVICE | desc::NG);
    p.page(rig.s2, DOORBELL, DOORBELL, desc::AF | desc::S2_R | desc::S2_W);
    Its::for_device(p, stream::NESTED.into());
    rig.start(p);
    let dma = Dma::write(stream::NESTED, WINDOW + TRANSLATER).bytes(4);
    message(p, &dma);
    p.end_dma("a message", &dma, End::Done);
    expect_lpi(p, LPI);
}

/// A doorbell that may only be read: an event, and no interrupt.
pub(super) fn read_only(p: &mut Program) {
    let mut rig = Rig::new(p);
    p.page(rig.s1, WINDOW, DOORBELL, desc::EL0_RW | desc::RO | desc::DEVICE);
    Its::for_device(p, STREAM.into());
    rig.start(p);
    let dma = Dma::write(STREAM, WINDOW + TRANSLATER).bytes(4);
    message(p, &dma);
    p.end_dma("a message", &dma, End::Aborted(0));
    rig.smmu.expect_event(p, "a message", &Event::fault(Event::PERMISSION, &dma));
    p.open_for_a_while();
    p.acknowledge("no interrupt", NOTHING);
}

/// A message that stalls is sent once, when its window is there.
pub(super) fn stalled(p: &mut Program) {
    let mut rig = Rig::new(p);
    rig.put_cd(p, 0, cd::of(rig.s1, 1).with(cd::S, 1));
    let slot = p.slot(rig.s1, WINDOW, 3);
    Its::for_device(p, STREAM.into());
    rig.start(p);
    let dma = Dma::write(STREAM, WINDOW + TRANSLATER).bytes(4);
    message(p, &dma);
    p.end_dma("a message", &dma, End::Waiting);
    rig.smmu.expect_event(p, "a message", &Event::fault(Event::TRANSLATION, &dma).stalled());
    a64!(p ; mov x9, x10);
    p.open_for_a_while();
    p.acknowledge("no interrupt yet", NOTHING);
    p.poke(slot, DOORBELL | desc::EL0_RW | desc::DEVICE | desc::PAGE);
    a64!(p ; mov x10, x9);
    rig.smmu.resume(p, STREAM, 1);
    p.end_dma("resumed", &dma, End::Done);
    expect_lpi(p, LPI);
    p.open_for_a_while();
    p.acknowledge("once", NOTHING);
}

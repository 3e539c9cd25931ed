//! The ITS: commands, what they change, and what happens with wrong ones (IHI 0069, chapter 5).

use crate::guest_tests::interrupts::NOTHING;
use crate::guest_tests::layout::{GICR, GICR_STRIDE, ITS};
use crate::guest_tests::program::Program;
use crate::guest_tests::registers as r;
use crate::guest_tests::report::{Taken, from, kind};

const IRQ: Taken = Taken::to(2, from::SPX | kind::IRQ);
const VALID: u64 = 1 << 63;
/// GITS_CTLR, GITS_CBASER, GITS_CWRITER, GITS_CREADR, GITS_BASER0.
const CTLR: u64 = ITS;
const CBASER: u64 = ITS + 0x80;
const CWRITER: u64 = ITS + 0x88;
const CREADR: u64 = ITS + 0x90;
const BASER: u64 = ITS + 0x100;
/// GICR_PROPBASER, GICR_PENDBASER.
const PROPBASER: u64 = 0x70;
const PENDBASER: u64 = 0x78;
/// Bytes of the command queue.
const QUEUE: u64 = 0x1000;
/// A device and an LPI of the cases.
const DEVICE: u64 = 0x18;
pub(super) const LPI: u64 = 8200;

/// Commands (5.3).
mod command {
    use super::VALID;

    pub(super) fn mapd(device: u64, itt: u64, valid: bool) -> [u64; 4] {
        // 5 bits of EventID.
        [device << 32 | 0x08, 4, itt | if valid { VALID } else { 0 }, 0]
    }
    pub(super) fn mapc(collection: u64, pe: u64) -> [u64; 4] {
        [0x09, 0, VALID | pe << 16 | collection, 0]
    }
    pub(super) fn mapti(device: u64, event: u64, lpi: u64, collection: u64) -> [u64; 4] {
        [device << 32 | 0x0a, lpi << 32 | event, collection, 0]
    }
    /// INT 3, CLEAR 4, INV 0xc, DISCARD 0xf; MOVI 1 with its collection.
    pub(super) fn event(number: u64, device: u64, event: u64, collection: u64) -> [u64; 4] {
        [device << 32 | number, event, collection, 0]
    }
    pub(super) fn movall(from: u64, to: u64) -> [u64; 4] {
        [0x0e, 0, from << 16, to << 16]
    }
    pub(super) fn invall(collection: u64) -> [u64; 4] {
        [0x0d, 0, collection, 0]
    }
}
use command::{event, invall, mapc, mapd, mapti, movall};

const INT: u64 = 3;
const CLEAR: u64 = 4;
const MOVI: u64 = 1;
const INV: u64 = 0xc;
const DISCARD: u64 = 0xf;

/// An ITS with its memory.
pub(super) struct Its {
    queue: u64,
    /// Where the next command goes.
    next: u64,
    configuration: u64,
    itt: u64,
}

impl Its {
    /// From EL2: the GIC, LPIs on both PEs, an ITS that is on; all LPIs enabled with priority 0xa0.
    fn start(p: &mut Program) -> Self {
        p.start_gic();
        let [queue, devices, collections, configuration, itt] = [(); 5].map(|()| p.frame(0x1_0000));
        for i in 0..8 {
            p.poke(configuration + 8 * i, 0xa3a3_a3a3_a3a3_a3a3);
        }
        for pe in 0..2 {
            let frame = GICR + pe * GICR_STRIDE;
            let pending = p.frame(0x1_0000);
            p.poke(frame + PROPBASER, configuration | 13);
            p.poke(frame + PENDBASER, pending | 1 << 62);
            p.poke32(frame, 1);
        }
        // 64 KiB of 4 KiB pages; what is read-only in GITS_BASER stays.
        p.poke(BASER, VALID | devices | 15);
        p.poke(BASER + 8, VALID | collections | 15);
        p.poke(CBASER, VALID | queue);
        p.poke(CWRITER, 0);
        p.poke32(CTLR, 1);
        Self { queue, next: 0, configuration, itt }
    }

    /// With a device of 32 events, collections 0 and 1 for the two PEs, and event 3 as [`LPI`] in collection 0.
    fn with_device(p: &mut Program) -> Self {
        Self::for_device(p, DEVICE)
    }

    /// The same with the device of this DeviceID.
    pub(super) fn for_device(p: &mut Program, device: u64) -> Self {
        let mut its = Self::start(p);
        let itt = its.itt;
        for c in [mapd(device, itt, true), mapc(0, 0), mapc(1, 1), mapti(device, 3, LPI, 0)] {
            its.give(p, c);
        }
        its
    }

    /// Gives a command, and waits until it is done.
    fn give(&mut self, p: &mut Program, command: [u64; 4]) {
        for (i, word) in (0..).zip(command) {
            p.poke(self.queue + self.next + 8 * i, word);
        }
        self.next = (self.next + 32) % QUEUE;
        p.poke(CWRITER, self.next);
        p.mov(11, self.next);
        p.mov(12, CREADR);
        p.until(15, |p| a64!(p ; ldr x15, [x12] ; cmp x15, x11 ; cset x15, eq));
    }

    fn int(&mut self, p: &mut Program) {
        self.give(p, event(INT, DEVICE, 3, 0));
    }

    /// The configuration byte of an LPI.
    fn configure(&self, p: &mut Program, lpi: u64, byte: u64) {
        p.mov(18, self.configuration + lpi - 8192);
        p.mov(27, byte);
        a64!(p ; strb w27, [x18] ; dsb sy);
    }
}

pub(super) fn expect_lpi(p: &mut Program, lpi: u64) {
    p.expect_taken(IRQ);
    p.take_interrupt();
    p.acknowledge("INTID", lpi);
    p.end_of_interrupt(lpi);
}

/// MAPD, MAPC, MAPTI, INT: the LPI arrives.
pub(super) fn int(p: &mut Program) {
    let mut its = Its::with_device(p);
    its.int(p);
    expect_lpi(p, LPI);
    p.open_for_a_while();
    p.acknowledge("nothing more", NOTHING);
}

/// MAPI: the EventID is the LPI.
pub(super) fn mapi(p: &mut Program) {
    let mut its = Its::start(p);
    let itt = p.frame(0x2_0000);
    // 14 bits of EventID, 8 bytes each.
    its.give(p, [DEVICE << 32 | 0x08, 13, itt | VALID, 0]);
    its.give(p, mapc(0, 0));
    its.give(p, [DEVICE << 32 | 0x0b, 8210, 0, 0]);
    its.give(p, event(INT, DEVICE, 8210, 0));
    expect_lpi(p, 8210);
}

/// CLEAR takes a pending LPI back.
pub(super) fn clear(p: &mut Program) {
    let mut its = Its::with_device(p);
    its.int(p);
    its.give(p, event(CLEAR, DEVICE, 3, 0));
    p.open_for_a_while();
    p.acknowledge("nothing", NOTHING);
    its.int(p);
    expect_lpi(p, LPI);
}

/// DISCARD unmaps an event and takes its pending state away.
pub(super) fn discard(p: &mut Program) {
    let mut its = Its::with_device(p);
    its.int(p);
    its.give(p, event(DISCARD, DEVICE, 3, 0));
    p.open_for_a_while();
    its.int(p);
    p.open_for_a_while();
    p.acknowledge("nothing", NOTHING);
    its.give(p, mapti(DEVICE, 3, LPI + 1, 0));
    its.int(p);
    expect_lpi(p, LPI + 1);
}

/// MAPD with V clear unmaps a device.
pub(super) fn unmap_device(p: &mut Program) {
    let mut its = Its::with_device(p);
    let itt = its.itt;
    its.give(p, mapd(DEVICE, itt, false));
    its.int(p);
    p.open_for_a_while();
    p.acknowledge("nothing", NOTHING);
}

/// A configuration is read again with INV; an LPI that was pending while disabled arrives then.
pub(super) fn inv(p: &mut Program) {
    let mut its = Its::with_device(p);
    its.configure(p, LPI, 0xa2);
    its.give(p, event(INV, DEVICE, 3, 0));
    its.int(p);
    p.open_for_a_while();
    p.acknowledge("disabled", NOTHING);
    its.configure(p, LPI, 0xa3);
    its.give(p, event(INV, DEVICE, 3, 0));
    expect_lpi(p, LPI);
}

/// INVALL does it for a collection; priorities are read again, too.
pub(super) fn inv_all(p: &mut Program) {
    let mut its = Its::with_device(p);
    its.give(p, mapti(DEVICE, 4, LPI + 1, 0));
    its.configure(p, LPI + 1, 0x23);
    its.give(p, invall(0));
    its.int(p);
    its.give(p, event(INT, DEVICE, 4, 0));
    p.expect_taken(IRQ.intid(LPI + 1));
    p.expect_taken(IRQ.intid(LPI));
    p.open_for_a_while();
}

/// LPIs have no active state: EOIR only drops the priority, and the next one comes at once.
pub(super) fn no_active_state(p: &mut Program) {
    let mut its = Its::with_device(p);
    // EOImode 1: no DIR follows.
    p.set_now(r::ICC_CTLR_EL1, 2);
    for _ in 0..2 {
        its.int(p);
        its.int(p);
        p.expect_taken(IRQ);
        p.take_interrupt();
        p.acknowledge("INTID", LPI);
        p.acknowledge("two are one", NOTHING);
        p.end_of_interrupt(LPI);
        p.expect_reg("RPR", r::ICC_RPR_EL1, u64::MAX, 0xff);
    }
}

/// The second PE takes one LPI and says which.
fn second_takes(p: &mut Program, mailbox: u64, lpi: u64) {
    p.start_second(mailbox, |p| {
        a64!(p ; mov x10, x0);
        p.start_gic();
        a64!(p ; movz x1, 1 ; str x1, [x10] ; dsb sy);
        expect_lpi(p, lpi);
    });
    p.mov(10, mailbox);
    p.until(15, |p| a64!(p ; yield ; ldr x15, [x10]));
}

/// MOVI moves an event to the other PE, with its pending state.
pub(super) fn movi(p: &mut Program) {
    let mut its = Its::with_device(p);
    let mailbox = p.frame(0x1000);
    second_takes(p, mailbox, LPI);
    its.int(p);
    its.give(p, event(MOVI, DEVICE, 3, 1));
    p.open_for_a_while();
    p.acknowledge("nothing here", NOTHING);
    p.join();
}

/// MOVALL moves what is pending; the event's collection stays.
pub(super) fn move_all(p: &mut Program) {
    let mut its = Its::with_device(p);
    let mailbox = p.frame(0x1000);
    second_takes(p, mailbox, LPI);
    its.int(p);
    its.give(p, movall(0, 1));
    p.open_for_a_while();
    p.acknowledge("nothing here", NOTHING);
    p.join();
    its.int(p);
    expect_lpi(p, LPI);
}

/// Wrong commands do not stop the queue, where GITS_TYPER.SEIS is 0 and they are not stalled: an unmapped device and event,
/// an LPI and an EventID out of range, a collection that is not mapped.
pub(super) fn errors(p: &mut Program) {
    let mut its = Its::with_device(p);
    let wrong = [
        event(INT, DEVICE + 1, 3, 0),
        event(INT, DEVICE, 9, 0),
        event(CLEAR, DEVICE, 77, 0),
        mapti(DEVICE, 5, 100, 0),
        mapti(DEVICE, 40, LPI, 0),
        mapti(DEVICE, 6, LPI + 6, 77),
        event(INT, DEVICE, 6, 0),
        event(DISCARD, DEVICE, 9, 0),
        mapc(2, 99),
    ];
    for c in wrong {
        its.give(p, c);
    }
    p.open_for_a_while();
    p.acknowledge("nothing", NOTHING);
    its.int(p);
    expect_lpi(p, LPI);
}

/// The queue wraps round: commands 127, 128 and 1 of it.
pub(super) fn queue_wraps(p: &mut Program) {
    let mut its = Its::with_device(p);
    // SYNC for PE 0, as filler: one write of the pointer for all of them.
    let filler = QUEUE / 32 - 2 - its.next / 32;
    p.mov(11, its.queue + its.next);
    p.mov(12, filler);
    a64!(p ; movz x13, 5 ; again: ; stp x13, xzr, [x11], 16 ; stp xzr, xzr, [x11], 16 ; sub x12, x12, 1 ; cbnz x12, <again);
    its.next = QUEUE - 64;
    p.poke(CWRITER, its.next);
    for _ in 0..3 {
        its.int(p);
        expect_lpi(p, LPI);
    }
    p.mov(12, CREADR);
    a64!(p ; ldr x0, [x12]);
    p.expect("CREADR", 0, 32);
}

/// While GITS_CTLR.Enabled is 0 commands wait.
pub(super) fn disabled(p: &mut Program) {
    let mut its = Its::with_device(p);
    p.poke32(CTLR, 0);
    p.mov(12, CTLR);
    p.until(15, |p| a64!(p ; ldr w15, [x12] ; lsr w15, w15, 31));
    for (i, word) in (0..).zip(event(INT, DEVICE, 3, 0)) {
        p.poke(its.queue + its.next + 8 * i, word);
    }
    its.next += 32;
    p.poke(CWRITER, its.next);
    p.open_for_a_while();
    p.acknowledge("nothing", NOTHING);
    p.poke32(CTLR, 1);
    expect_lpi(p, LPI);
}

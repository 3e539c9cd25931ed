//! Stalls, resets, saved states, and software that does what makes no sense.

use emu_core::lifecycle;

use super::*;

#[test]
fn a_stalled_queue_stands_still_alone() {
    let rig = Rig::new();
    rig.up(RECEIVE);
    let bytes = frame(MAC.0, 64);
    rig.set_bytes(TX_BUFFERS, &bytes);
    rig.port.arm(RAM + TX_BUFFERS);
    rig.transmit(&[(RAM + TX_BUFFERS, 64 | END)]);
    assert_eq!((rig.sent().len(), rig.get(0x3810)), (0, 0));
    rig.nic.receive(&bytes);
    assert_eq!(rig.get(0x2810), 1, "the other one goes on");
    let tag = rig.port.stalled.lock().pop().unwrap();
    rig.port.answer_to(tag, true);
    assert_eq!((rig.sent(), rig.get(0x3810)), (vec![bytes.clone()], 1));
    // One that software aborts is lost, and those behind it are sent.
    rig.port.arm(RAM + TX_BUFFERS);
    rig.transmit(&[(RAM + TX_BUFFERS, 64 | END), (RAM + TX_BUFFERS, 64 | END)]);
    let tag = rig.port.stalled.lock().pop().unwrap();
    rig.port.answer_to(tag, false);
    assert_eq!((rig.sent().len(), rig.get(0x3810), rig.anomalies()), (1, 3, 1));
    // The same of a frame that comes.
    rig.port.arm(RAM + RX_BUFFERS + 0x1000);
    rig.nic.receive(&bytes);
    assert_eq!(rig.get(0x2810), 1);
    let tag = rig.port.stalled.lock().pop().unwrap();
    rig.port.answer_to(tag, true);
    assert_eq!((rig.get(0x2810), rig.bytes(RX_BUFFERS + 0x1000, 64)), (2, bytes));
}

#[test]
fn a_reset_forgets_what_is_under_way() {
    for kind in 0..3 {
        let rig = Rig::new();
        rig.up(RECEIVE);
        rig.set(0xd0, 0x84);
        rig.set(0x14, 1);
        rig.set(0x102c, 0x5555_0000 | 6 << 2 | 1);
        rig.port.arm(RAM + TX_BUFFERS);
        rig.transmit(&[(RAM + TX_BUFFERS, 64 | END)]);
        match kind {
            0 => rig.set(0, 1 << 26),
            1 => rig.nic.reset(),
            _ => {
                let mut at = rig.host.config_read(AT, 0x34, Size::B1) as u16;
                while rig.host.config_read(AT, at, Size::B1) != 0x10 {
                    at = rig.host.config_read(AT, at + 1, Size::B1) as u16;
                }
                rig.host.config_write(AT, at + 8, Size::B2, 0x8000);
            }
        }
        rig.enable();
        let tag = rig.port.stalled.lock().pop().unwrap();
        rig.port.answer_to(tag, true);
        assert_eq!((rig.sent().len(), rig.wires.level(INTX)), (0, false));
        assert_eq!((rig.get(0), rig.get(0xd0), rig.get(0x3818), rig.get(0x5400)), (0x241, 0, 0, 0x1200_5452));
        rig.set(0x14, 6 << 2 | 1);
        assert_eq!(rig.get(0x14) >> 16, 0x5555, "the EEPROM stays");
        rig.up(RECEIVE);
        rig.transmit(&[(RAM + TX_BUFFERS, 64 | END)]);
        assert_eq!(rig.sent().len(), 1, "and it works");
    }
}

#[test]
fn a_saved_state_goes_on() {
    let rig = Rig::new();
    rig.up(RECEIVE);
    rig.set(0xd0, 0x80);
    rig.set(0x2818, 0);
    rig.nic.receive(&frame(MAC.0, 70));
    rig.port.arm(RAM + TX_BUFFERS);
    rig.transmit(&[(RAM + TX_BUFFERS, 64 | END)]);
    let saved = rig.nic.save();
    let other = Rig::new();
    lifecycle::prepare(&*other.nic, saved.clone()).unwrap().apply();
    assert_eq!((other.get(0xd0), other.get(0x3818), other.get(8) & 2), (0x80, 1, 2));
    other.set_ram(TX, RAM + TX_BUFFERS);
    other.set_ram(TX + 8, 64 | END);
    other.set_ram(RX, RAM + RX_BUFFERS);
    Component::resume(&*other.nic);
    assert_eq!((other.sent().len(), other.get(0x3810)), (1, 1), "what was under way is begun again");
    other.set(0x2818, RING - 1);
    assert_eq!(
        (other.get(0x2810), other.bytes(RX_BUFFERS, 70)),
        (1, frame(MAC.0, 70)),
        "and what waited is there"
    );
    let again = Rig::new();
    lifecycle::prepare(&*again.nic, saved).unwrap().apply();
    assert_eq!(again.nic.save().blob("x", vec![]).name, "nic");
}

#[test]
fn nothing_happens_while_it_is_paused() {
    let rig = Rig::new();
    rig.up(RECEIVE);
    rig.nic.pause();
    rig.transmit(&[(RAM + TX_BUFFERS, 64 | END)]);
    assert_eq!(rig.sent().len(), 0);
    Component::resume(&*rig.nic);
    assert_eq!(rig.sent().len(), 1);
}

#[test]
fn rings_that_cannot_be_do_nothing() {
    let rig = Rig::new();
    rig.up(RECEIVE);
    for (at, value) in [(0x2818, 0xffff), (0x3818, 16), (0x3810, 0xffff), (0x3808, 0), (0x2808, 0)] {
        rig.set(at, value);
        rig.nic.receive(&frame(MAC.0, 60));
        assert_eq!(rig.sent().len(), 0);
    }
    assert_eq!(rig.get(0x2810), 0);
}

#[test]
fn descriptors_that_make_no_sense_are_passed_over() {
    let rig = Rig::new();
    rig.up(RECEIVE);
    let data = 1 << 20 | 1 << 29;
    // Nothing at all, a frame without bytes, one that is not in memory, one of its own registers, and no context for cutting.
    rig.transmit(&[
        (0, 0),
        (RAM, END),
        (0x10, 64 | END),
        (BAR, 64 | END),
        (RAM, 1000 | data | END | 1 << 26),
        (RAM, 0xf_ffff | data | END),
        (RAM + TX_BUFFERS, 64 | END),
    ]);
    assert_eq!((rig.sent().len(), rig.get(0x3810), rig.anomalies()), (1, 7, 5));
    // A ring that is one frame without an end.
    rig.set(0x400, 0);
    rig.set(0x3810, 0);
    rig.set(0x3818, 0);
    rig.set(0x400, 0xa);
    rig.transmit(&[(RAM, 14); 15]);
    rig.transmit(&[(RAM, 14); 1]);
    assert_eq!((rig.sent().len(), rig.get(0x3810)), (0, 0));
    // Its own registers as a receive buffer, and a ring there.
    rig.set_ram(RX, BAR);
    rig.nic.receive(&frame(MAC.0, 60));
    assert_eq!(rig.get(0x2810), 1);
    rig.set(0x2800, BAR);
    rig.nic.receive(&frame(MAC.0, 60));
    assert_eq!(rig.get(0x2810), 2);
    rig.set(0x3800, BAR);
    rig.set(0x3810, 0);
    rig.set(0x3818, 5);
    assert_eq!(rig.get(0x3810), 5);
}

#[test]
fn registers_behind_io_ports() {
    let rig = Rig::new();
    rig.nic.bar_write(2, 0, Size::B4, 0x38);
    assert_eq!(rig.nic.bar_read(2, 4, Size::B4), 0x8100);
    rig.nic.bar_write(2, 4, Size::B4, 0x88a8);
    assert_eq!((rig.get(0x38), rig.nic.bar_read(2, 0, Size::B4)), (0x88a8, 0x38));
    rig.nic.bar_write(2, 0, Size::B4, 0xffff_ffff);
    assert_eq!((rig.nic.bar_read(2, 4, Size::B4), rig.nic.bar_read(1, 0, Size::B4)), (0, 0xffff_ffff));
}

//! Enabling, disabling, interrupts, stalled transactions, resets and saved states.

use emu_core::addr::Size;
use emu_core::lifecycle::Component;

use super::rig::{AT, BUFFER, INTX, RAM, Rig, SIZE, Sqe, cq, read, sq, write};

#[test]
fn it_says_what_it_is() {
    let rig = Rig::new();
    assert_eq!(rig.host.config_read(AT, 0, Size::B4), 0x0010_1b36);
    assert_eq!(rig.host.config_read(AT, 8, Size::B4) >> 8, 0x01_0802);
    assert_eq!(
        rig.get(0, Size::B8),
        0x0040_0020_0f01_07ff,
        "64 KiB pages, NVM commands, 7.5 s, CQR, 2048 entries"
    );
    assert_eq!((rig.get(8, Size::B4), rig.get(4, Size::B4)), (0x1_0400, 0x40_0020));
    assert_eq!((rig.get(0x14, Size::B4), rig.csts(), rig.get(0x1000, Size::B4)), (0, 0, 0));
    rig.set(0x28, Size::B8, u64::MAX);
    assert_eq!(rig.get(0x28, Size::B8), !0xfff);
    rig.set(0x0c, Size::B4, 0x11);
    rig.set(0x10, Size::B4, 0x01);
    assert_eq!((rig.get(0x0c, Size::B4), rig.get(0x10, Size::B4)), (0x10, 0x10));
    assert_eq!(rig.anomalies(), 0);
    rig.set(8, Size::B4, 1);
    rig.set(0x1ffc, Size::B4, 1);
    rig.set(0x1000, Size::B4, 1);
    assert_eq!(rig.anomalies(), 3, "constants, nothing, and a doorbell before it is ready");
}

#[test]
fn a_configuration_that_there_is_not_is_fatal() {
    // Page sizes, command sets, arbitration, admin queues.
    for (aqa, asq, cc) in [
        (0x7_0007, sq(0), 0x46_0281),
        (0x7_0007, sq(0), 0x46_0011),
        (0x7_0007, sq(0), 0x46_0801),
        (0x7_0000, sq(0), 0x46_0001),
        (0x0_0007, sq(0), 0x46_0001),
        (0x7_0007, sq(0) + 0x1000, 0x46_0081),
    ] {
        let rig = Rig::new();
        rig.set(0x24, Size::B4, aqa);
        rig.set(0x28, Size::B8, asq);
        rig.set(0x30, Size::B8, cq(0) & !0x1fff);
        rig.set(0x14, Size::B4, cc);
        assert_eq!(rig.csts(), 2, "{cc:#x}");
        rig.set(0x14, Size::B4, 0);
        assert_eq!(rig.csts(), 0);
        rig.enable();
    }
}

#[test]
fn a_queue_that_cannot_be_reached_is_fatal() {
    let rig = Rig::new();
    rig.set(0x24, Size::B4, 0x7_0007);
    // Its own registers.
    rig.set(0x28, Size::B8, 0x1000_0000);
    rig.set(0x30, Size::B8, cq(0));
    rig.set(0x14, Size::B4, 0x46_0001);
    rig.ring(0, 1);
    assert_eq!(rig.csts(), 3);
    rig.ring(0, 2);
    rig.set(0x14, Size::B4, 0x46_0000);
    assert_eq!(rig.csts(), 0);
    rig.set(0x28, Size::B8, sq(0));
    rig.set(0x30, Size::B8, 0x1000_0000);
    rig.set(0x14, Size::B4, 0x46_0001);
    rig.put(sq(0), &[6; 64]);
    rig.ring(0, 1);
    assert_eq!(rig.csts(), 3);
}

#[test]
fn a_shutdown_makes_all_stable_and_says_so() {
    let rig = Rig::with_queue();
    assert_eq!(rig.io(write().blocks(0, 0)), 0);
    rig.set(0x14, Size::B4, 0x46_4001);
    assert_eq!((rig.csts(), rig.disks[0].flushes(), rig.disks[1].flushes()), (9, 1, 1));
    rig.set(0x14, Size::B4, 0x46_0000);
    assert_eq!(rig.csts(), 0);
    // The admin queues stay where they are.
    assert_eq!((rig.get(0x24, Size::B4), rig.get(0x30, Size::B8)), (0x7_0007, cq(0)));
    rig.enable();
}

/// The head that completions tell, and phase tags: the queues go round several times.
#[test]
fn queues_go_round() {
    let rig = Rig::with_queue();
    for n in 0..5 * u32::from(SIZE) + 3 {
        let end = rig.run(1, read().id(n as u16).blocks(n.into(), 0));
        let head = (n as u16 + 1) % SIZE;
        assert_eq!((end.status, end.id, end.queue, end.head), (0, n as u16, 1, head));
    }
}

#[test]
fn completions_wait_for_room() {
    let rig = Rig::with_queue();
    // A queue of two entries holds one.
    let create = Sqe::new(5).prp1(cq(2)).word(10, 1 << 16 | 2).word(11, 1);
    assert_eq!(rig.admin(create).status, 0);
    rig.forget(2);
    let create = Sqe::new(1).prp1(sq(2)).word(10, u32::from(SIZE - 1) << 16 | 2).word(11, 1 | 2 << 16);
    assert_eq!(rig.admin(create).status, 0);
    for id in 1..4 {
        rig.submit(2, read().id(id).blocks(0, 0));
    }
    let id = |at: u64| rig.bytes(cq(2) + at, 16)[12..15].to_vec();
    assert_eq!((id(0), id(16)), (vec![1, 0, 1], vec![0, 0, 0]));
    rig.ring(5, 1);
    assert_eq!((id(0), id(16)), (vec![1, 0, 1], vec![2, 0, 1]));
    rig.ring(5, 0);
    assert_eq!(id(0), [3, 0, 0], "the phase is the other one");
}

#[test]
fn interrupts_by_pin_and_by_message() {
    let rig = Rig::with_queue();
    rig.submit(1, read().blocks(0, 0));
    assert!(rig.wires.level(INTX));
    rig.set(0x0c, Size::B4, 1);
    assert!(!rig.wires.level(INTX), "it is masked");
    rig.set(0x10, Size::B4, 1);
    assert!(rig.wires.level(INTX));
    assert!(rig.next(1).is_some() && !rig.wires.level(INTX), "all is taken");
    rig.use_msix();
    rig.make_queue(2);
    assert_eq!(rig.message(0), 0x100);
    let create = Sqe::new(5).prp1(cq(3)).word(10, 7 << 16 | 3);
    assert_eq!(rig.admin(create.word(11, 3 | 5 << 16)).status, 0x4108);
    assert_eq!(rig.admin(create.word(11, 3 | 4 << 16)).status, 0);
    rig.forget(3);
    assert_eq!(rig.admin(Sqe::new(1).prp1(sq(3)).word(10, 7 << 16 | 3).word(11, 1 | 3 << 16)).status, 0);
    rig.submit(3, read().blocks(0, 0));
    assert_eq!((rig.message(4), rig.wires.level(INTX)), (0x104, false));
}

/// A stalled transaction holds up its command, and no other.
#[test]
fn a_stalled_transaction_parks_its_command_alone() {
    let rig = Rig::with_queue();
    rig.port.arm(BUFFER + 0x1000);
    rig.submit(1, read().id(1).prp1(BUFFER + 0x1000).blocks(0, 0));
    let tags = rig.stalled();
    assert_eq!(tags.len(), 1);
    rig.submit(1, read().id(2).blocks(0, 0));
    assert_eq!(rig.next(1).map(|end| (end.id, end.status)), Some((2, 0)), "out of order");
    assert_eq!(rig.next(1), None);
    rig.port.answer_to(tags[0], true);
    assert_eq!(rig.next(1).map(|end| (end.id, end.status)), Some((1, 0)));
    // One that is terminated fails.
    rig.port.arm(BUFFER);
    rig.submit(1, read().id(3).blocks(0, 0));
    rig.port.answer_to(rig.stalled()[0], false);
    assert_eq!(rig.next(1).map(|end| (end.id, end.status)), Some((3, 4)));
    // So do lists, entries of the queue, and completions.
    for (place, id) in [(sq(1) + 64 * 3, 4), (cq(1) + 16 * 4, 5)] {
        rig.port.arm(place);
        rig.submit(1, read().id(id).blocks(0, 0));
        assert_eq!(rig.next(1), None);
        assert_eq!(rig.admin(Sqe::new(10).word(10, 6)).status, 0, "other queues go on");
        rig.port.answer_to(rig.stalled()[0], true);
        assert_eq!(rig.next(1).map(|end| (end.id, end.status)), Some((id, 0)));
    }
}

#[test]
fn nothing_of_an_old_life_reaches_memory() {
    type Reset = fn(&Rig);
    let resets: [Reset; 2] = [
        |rig| rig.set(0x14, Size::B4, 0x46_0000),
        |rig| {
            rig.flr();
            rig.plug();
        },
    ];
    for reset in resets {
        let rig = Rig::with_queue();
        rig.fill(BUFFER, 0x99, 512);
        rig.port.arm(BUFFER);
        rig.submit(1, read().blocks(0, 0));
        let tags = rig.stalled();
        reset(&rig);
        assert_eq!(rig.csts(), 0);
        rig.enable();
        rig.make_queue(1);
        rig.port.answer_to(tags[0], true);
        assert_eq!((rig.bytes(BUFFER, 512), rig.next(1)), (vec![0x99; 512], None));
        assert_eq!(rig.io(read().blocks(0, 0)), 0);
    }
}

#[test]
fn the_commands_of_a_queue_that_is_deleted_end_first() {
    let rig = Rig::with_queue();
    rig.port.arm(BUFFER);
    rig.submit(1, read().id(1).blocks(0, 0));
    assert_eq!(rig.admin(Sqe::new(0).word(10, 1)).status, 0);
    let end = cq(1);
    assert_eq!(rig.bytes(end + 12, 4), [1, 0, 1 | 8 << 1, 0]);
    rig.port.answer_to(rig.stalled()[0], true);
    assert_eq!(rig.bytes(end + 16, 16), [0; 16]);
}

/// Commands in flight begin again, and end once.
#[test]
fn a_state_is_saved_with_commands_in_flight() {
    let rig = Rig::with_queue();
    rig.fill(BUFFER, 0x31, 1024);
    rig.submit(0, Sqe::new(0xc).id(9));
    assert_eq!(rig.io(read().prp1(BUFFER + 0x1000).blocks(0, 0)), 0);
    rig.port.arm(BUFFER);
    rig.submit(1, write().id(2).blocks(5, 1));
    rig.host.pause();
    rig.ring(9, 3);
    let saved = rig.host.save();
    assert_eq!(rig.disk(0, 5 * 512, 4), [0; 4]);
    rig.host.reset();
    rig.host.restore(saved.clone()).unwrap();
    assert!(rig.host.save() == saved);
    rig.host.resume();
    assert_eq!(rig.next(1).map(|end| (end.id, end.status)), Some((2, 0)));
    assert_eq!((rig.next(1), rig.disk(0, 5 * 512, 1024)), (None, vec![0x31; 1024]));
    rig.ring(6, 1);
    assert_eq!(rig.next(0).map(|end| end.id), Some(9), "the request for an event waits still");
    // A state of another machine is refused.
    let other = Rig::new();
    let mut payload = rig.nvme.save();
    payload.state = payload.state.replace("\"size\":8", "\"size\":1");
    assert!(other.nvme.restore(payload).is_err());
}

/// Whatever the registers say, the controller neither hangs nor crashes.
#[test]
fn hostile_queues() {
    let rig = Rig::ready();
    // A queue that reads itself: completions are written over commands.
    rig.set(0x14, Size::B4, 0);
    rig.set(0x24, Size::B4, 0xfff_0fff);
    rig.set(0x28, Size::B8, RAM);
    rig.set(0x30, Size::B8, RAM);
    rig.set(0x14, Size::B4, 0x46_0001);
    for tail in [0xfff, 1, 0, 0x800, 0xfff] {
        rig.ring(0, tail);
        rig.ring(1, tail);
    }
    rig.set(0x14, Size::B4, 0);
    assert_eq!(rig.csts(), 0);
    rig.enable();
    assert_eq!(rig.admin(Sqe::new(10).word(10, 6)).result, 1);
}

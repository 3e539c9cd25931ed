//! Frames in both directions.

use super::*;

#[test]
fn legacy_descriptors_gather_a_frame() {
    let rig = Rig::new();
    rig.up(RECEIVE);
    let bytes = frame([0xff; 6], 100);
    rig.set_bytes(TX_BUFFERS, &bytes);
    rig.set(0xd0, 1);
    rig.transmit(&[(RAM + TX_BUFFERS, 40), (RAM + TX_BUFFERS + 40, 60 | END)]);
    assert_eq!(rig.sent(), [bytes]);
    assert_eq!(
        (rig.get(0x3810), rig.ram(TX + 8) >> 32, rig.ram(TX + 24) >> 32),
        (2, 0, 1),
        "the last one is done"
    );
    assert_eq!((rig.wires.level(INTX), rig.get(0xc0) & 0x7fff_ffff), (true, 0x40_0003));
    assert_eq!((rig.get(0x4080), rig.get(0x4080), rig.get(0x40dc), rig.get(0x40f4)), (1, 0, 1, 1));
    // A short one is padded; a checksum goes where it is asked for.
    rig.set_bytes(TX_BUFFERS, &frame([0xff; 6], 20));
    rig.transmit(&[(RAM + TX_BUFFERS, 20 | 10 << 16 | 14 << 40 | 13 << 24)]);
    let sent = rig.sent();
    assert_eq!((sent[0].len(), &sent[0][10..12]), (60, &[0xcf, 0xcc][..]), "of 0e0f, 1011, 1213");
    assert_eq!(rig.anomalies(), 0);
}

#[test]
fn a_frame_is_sent_when_its_end_is_there() {
    let rig = Rig::new();
    rig.up(RECEIVE);
    rig.transmit(&[(RAM + TX_BUFFERS, 64)]);
    assert_eq!((rig.sent().len(), rig.get(0x3810)), (0, 0));
    rig.transmit(&[(RAM + TX_BUFFERS, 64 | END)]);
    assert_eq!((rig.sent()[0].len(), rig.get(0x3810)), (128, 2));
}

#[test]
fn data_descriptors_with_checksums_segments_and_tags() {
    let rig = Rig::new();
    rig.up(RECEIVE);
    rig.set(0, 0x4000_0041);
    let bytes = tcp(2500);
    rig.set_bytes(TX_BUFFERS, &bytes);
    let (low, high) = context(1000);
    let data = 1 << 20 | 1 << 29 | 1 << 26 | 3 << 40 | 1 << 30 | 0x123 << 48;
    rig.transmit(&[(low, high), (RAM + TX_BUFFERS, 54 | data), (RAM + TX_BUFFERS + 54, 2500 | data | END)]);
    let sent = rig.sent();
    assert_eq!(sent.iter().map(Vec::len).collect::<Vec<_>>(), [1058, 1058, 558]);
    for segment in &sent {
        assert_eq!(segment[12..16], [0x81, 0x00, 0x01, 0x23]);
        let parts = crate::net::intel::frame::Parts::of(segment, 0x8100);
        assert_eq!(
            (parts.ip_checksum(segment), parts.transport_checksum(segment)),
            (Some(true), Some((6, true)))
        );
    }
    assert_eq!((rig.get(0x40f8), rig.anomalies()), (1, 0));
    // The same without cutting: checksums alone, by the context that is there.
    let mut whole = bytes[..154].to_vec();
    whole[16..18].copy_from_slice(&140u16.to_be_bytes());
    let pseudo = crate::net::intel::offload::sum(&[10, 0, 2, 15, 10, 0, 2, 2], 6 + 120);
    whole[50..52].copy_from_slice(&pseudo.to_be_bytes());
    rig.set_bytes(TX_BUFFERS, &whole);
    rig.transmit(&[(RAM + TX_BUFFERS, 154 | 1 << 20 | 1 << 29 | 3 << 40 | END)]);
    let sent = rig.sent().remove(0);
    let parts = crate::net::intel::frame::Parts::of(&sent, 0x8100);
    assert_eq!((parts.ip_checksum(&sent), parts.transport_checksum(&sent)), (Some(true), Some((6, true))));
    assert_eq!(sent[54..], whole[54..]);
}

#[test]
fn frames_come_into_legacy_descriptors() {
    let rig = Rig::new();
    rig.up(RECEIVE | 3 << 16);
    rig.set(0xd0, 0x80);
    let bytes = frame(MAC.0, 300);
    assert_eq!(rig.nic.receive(&bytes), Receipt::Taken);
    // Buffers of 256 bytes.
    assert_eq!(rig.bytes(RX_BUFFERS, 256), bytes[..256]);
    assert_eq!(rig.bytes(RX_BUFFERS + 0x1000, 44), bytes[256..]);
    assert_eq!(
        (rig.ram(RX), rig.ram(RX + 8), rig.ram(RX + 24)),
        (RAM + RX_BUFFERS, 1 << 32 | 256, 3 << 32 | 44)
    );
    assert_eq!((rig.get(0x2810), rig.wires.level(INTX), rig.get(0x4074)), (2, true, 1));
    // With its check sequence, if that is not stripped.
    rig.set(0x100, RECEIVE & 0xffff);
    rig.nic.receive(&bytes);
    assert_eq!(
        (rig.ram(RX + 40) & 0xffff, rig.bytes(RX_BUFFERS + 0x2000 + 300, 4)),
        (304, check_sequence(&bytes).to_vec())
    );
}

#[test]
fn extended_descriptors_tell_of_checksums_tags_and_hashes() {
    let rig = Rig::new();
    rig.up(RECEIVE | 8);
    rig.set(0x5008, 0x8000);
    rig.set(0x5000, 0x2300);
    rig.set(0, 0x4000_0041);
    rig.set(0x5818, 1 << 16 | 1);
    rig.set(0x5c80, 0xda56_5a6d);
    let mut bytes = tcp(100);
    crate::net::intel::offload::tag(&mut bytes, 0x8100, 0x2064);
    rig.set_bytes(RX_BUFFERS, &[0; 160]);
    rig.nic.receive(&bytes);
    // A datagram of no length has nothing that could be looked at.
    assert_eq!(rig.ram(RX + 8), 0x2064_u64 << 48 | 154 << 32 | 0xb);
    assert_eq!(rig.bytes(RX_BUFFERS, 154), [&bytes[..12], &bytes[16..]].concat());
    // The segments that the controller makes itself are right.
    let (low, high) = context(1000);
    let context = crate::net::intel::offload::Context::of(low, high);
    let mut segment =
        crate::net::intel::offload::segments(&tcp(100), &context, true, true).unwrap().remove(0);
    rig.nic.receive(&segment);
    assert_eq!(rig.ram(RX + 24), 154 << 32 | 0x63, "IP and TCP were checked");
    assert_ne!(rig.ram(RX + 16) >> 32, 0, "a hash");
    assert_eq!(rig.ram(RX + 16) & 15, 1, "of TCP over IPv4");
    segment[60] ^= 1;
    rig.nic.receive(&segment);
    assert_eq!(rig.ram(RX + 40), 154 << 32 | 0x2000_0063, "TCP is wrong");
    segment[22] ^= 1;
    rig.nic.receive(&segment);
    assert_eq!(rig.ram(RX + 56) & 0xffff_ffff, 0x6000_0063, "and IP");
}

#[test]
fn split_descriptors_have_four_buffers() {
    let rig = Rig::new();
    rig.up(RECEIVE | 1 << 10 | 0x20);
    rig.set(0x100, 0);
    rig.set(0x5008, 0x8000);
    rig.set(0x2170, 1 | 1 << 8 | 1 << 16 | 1 << 24);
    for i in 0..4 {
        rig.set_ram(RX + 8 * i, RAM + RX_BUFFERS + 0x1000 * i);
    }
    rig.set(0x2818, 4);
    rig.set(0x100, RECEIVE | 1 << 10 | 0x20);
    let bytes = frame(MAC.0, 2000);
    rig.nic.receive(&bytes);
    assert_eq!(rig.ram(RX + 8), 128 << 32 | 3);
    assert_eq!(rig.ram(RX + 16), 1024 << 16 | 848 << 32);
    assert_eq!(rig.bytes(RX_BUFFERS + 0x2000, 848), bytes[1152..]);
    assert_eq!(rig.get(0x2810), 1);
}

#[test]
fn filters_let_through_what_they_say() {
    let rig = Rig::new();
    let taken = |bytes: &[u8]| {
        let before = rig.get(0x2810);
        rig.nic.receive(bytes);
        rig.set(0x2818, (rig.get(0x2810) + RING - 1) % RING);
        rig.get(0x2810) != before
    };
    let (other, group) = ([2, 0, 0, 0, 0, 9], [1, 0, 0x5e, 0, 0, 0xfb]);
    rig.up(0x0400_0002);
    assert!(taken(&frame(MAC.0, 60)));
    for to in [other, group, [0xff; 6]] {
        assert!(!taken(&frame(to, 60)), "{to:x?}");
    }
    rig.set(0x100, 0x0400_801a);
    for to in [other, group, [0xff; 6]] {
        assert!(taken(&frame(to, 60)), "{to:x?}");
    }
    // The multicast table: bits 47:36 of the address.
    rig.set(0x100, RECEIVE);
    rig.set(0x5200 + 4 * (0xfb0 >> 5), 1 << (0xfb0 & 31));
    assert!(taken(&frame(group, 60)) && !taken(&frame([1, 0, 0x5e, 0, 0, 0xfc], 60)));
    rig.set(0x5408, u32::from_le_bytes([2, 0, 0, 0]).into());
    rig.set(0x540c, 0x8000_0900);
    assert!(taken(&frame(other, 60)), "a second address");
    // VLANs.
    rig.set(0x100, RECEIVE | 1 << 18);
    rig.set(0x5600 + 4 * (0x123 >> 5), 1 << (0x123 & 31));
    for (id, passes) in [(0x123, true), (0x124, false)] {
        let mut tagged = frame(MAC.0, 60);
        crate::net::intel::offload::tag(&mut tagged, 0x8100, id);
        assert_eq!(taken(&tagged), passes);
    }
    // Lengths.
    assert!(taken(&frame(MAC.0, 1514)) && !taken(&frame(MAC.0, 1515)));
    assert_eq!(rig.get(0x40ac), 1);
    rig.set(0x100, RECEIVE | 0x20);
    assert!(taken(&frame(MAC.0, 4000)) && !taken(&frame(MAC.0, 17_000)));
    rig.set(0x100, 0);
    assert!(!taken(&frame(MAC.0, 60)));
}

#[test]
fn what_is_looped_comes_back() {
    for phy in [true, false] {
        let rig = Rig::new();
        rig.up(if phy { RECEIVE } else { RECEIVE | 0x40 });
        if phy {
            rig.set(0x20, 1 << 26 | 1 << 21 | 0x4140);
        }
        let bytes = frame(MAC.0, 64);
        rig.set_bytes(TX_BUFFERS, &bytes);
        rig.transmit(&[(RAM + TX_BUFFERS, 64 | END)]);
        assert_eq!((rig.sent().len(), rig.bytes(RX_BUFFERS, 64), rig.get(0x2810)), (0, bytes.clone(), 1));
        rig.nic.receive(&bytes);
        assert_eq!(rig.get(0x2810), 1, "nothing comes from outside");
    }
}

#[test]
fn frames_wait_for_buffers_and_the_cable_for_room() {
    let rig = Rig::new();
    rig.up(RECEIVE);
    rig.set(0x2818, 1);
    let mut taken = 0;
    while rig.nic.receive(&frame(MAC.0, 60 + taken)) == Receipt::Taken {
        taken += 1;
        assert!(taken < 1000);
    }
    assert_eq!((taken, rig.get(0x2810)), (65, 1));
    rig.set(0x2818, 3);
    assert_eq!((*rig.cable.rooms.lock(), rig.get(0x2810)), (1, 3));
    assert_eq!(rig.bytes(RX_BUFFERS + 0x2000, 62), frame(MAC.0, 62), "in order");
}

#[test]
fn what_comes_back_without_room_is_missed() {
    let rig = Rig::new();
    rig.up(RECEIVE | 0x40);
    rig.set(0x2818, 0);
    rig.set_bytes(TX_BUFFERS, &frame(MAC.0, 64));
    for _ in 0..66 {
        rig.transmit(&[(RAM + TX_BUFFERS, 64 | END)]);
    }
    assert_eq!((rig.get(0x4010), rig.get(0xc0) & 0x40), (2, 0x40), "MPC, RXO");
}

/// What one sends the other has: buses, rings and drivers of their own, and one cable.
#[test]
fn two_controllers_are_joined_by_a_cable() {
    let (a, b) = crate::net::pair();
    let rigs = [a, b].map(Rig::on);
    for rig in &rigs {
        rig.nic.start().unwrap();
        rig.up(RECEIVE);
    }
    for (from, to, len) in [(0, 1, 100), (1, 0, 300)] {
        let bytes = frame([0xff; 6], len);
        rigs[from].set_bytes(TX_BUFFERS, &bytes);
        rigs[from].transmit(&[(RAM + TX_BUFFERS, len as u64 | END)]);
        assert_eq!(rigs[to].bytes(RX_BUFFERS, len), bytes);
        assert_eq!((rigs[from].get(0x3810), rigs[to].get(0x2810)), (1, 1));
    }
    assert!(rigs.iter().all(|rig| rig.anomalies() == 0));
}

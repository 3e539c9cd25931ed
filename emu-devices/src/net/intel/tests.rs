//! Tests of the parts, with values of the specifications.

use super::frame::{Parts, check_sequence, toeplitz};
use super::nvm::Nvm;
use super::offload::{self, Context};
use super::phy::Phy;
use crate::net::MacAddress;

#[test]
fn the_words_of_the_eeprom_add_up() {
    let mac = MacAddress([0x52, 0x54, 0, 1, 2, 3]);
    let mut nvm = Nvm::new(mac, 0x8086, 0x10d3);
    let word = |nvm: &Nvm, at: u32| nvm.read(at << 2 | 1) >> 16;
    let sum = (0..64).fold(0, |sum, at| sum + word(&nvm, at));
    assert_eq!(sum & 0xffff, 0xbaba);
    assert_eq!((word(&nvm, 0), word(&nvm, 2), word(&nvm, 0xd)), (0x5452, 0x0302, 0x10d3));
    assert_eq!(nvm.read(1 << 2 | 1) & 2, 2, "done");
    assert_eq!((nvm.read(1 << 2), word(&nvm, 0x3fff)), (4, 0xffff), "not begun; not there");
    assert_eq!(nvm.write(0xabcd_0000 | 5 << 2 | 1) & 3, 2);
    assert_eq!(word(&nvm, 5), 0xabcd);
    nvm.write(0x1234_0000 | 0x3fff << 2 | 1);
    assert_eq!(nvm.mac(), mac);
}

#[test]
fn the_phy_answers_at_its_address() {
    let mut phy = Phy::new(0x0141_0cb1);
    let read = |phy: &mut Phy, at: u32, link| phy.command(2 << 26 | 1 << 21 | at << 16, link);
    assert_eq!(read(&mut phy, 2, true) & 0x5000_ffff, 0x1000_0141);
    assert_eq!(read(&mut phy, 3, true) & 0xffff, 0x0cb1);
    assert_eq!(
        (read(&mut phy, 1, false) & 0x24, read(&mut phy, 1, true) & 0x24),
        (0, 0x24),
        "link, negotiated"
    );
    assert_eq!(phy.command(2 << 26 | 2 << 21 | 2 << 16, true) & 0x5000_ffff, 0x5000_ffff, "nobody is there");
    let write = |phy: &mut Phy, at: u32, value: u32| phy.command(1 << 26 | 1 << 21 | at << 16 | value, true);
    write(&mut phy, 0, 0x4140);
    assert!(phy.loops() && phy.is_awake());
    write(&mut phy, 0, 0x0940);
    assert!(!phy.is_awake());
    write(&mut phy, 2, 0);
    write(&mut phy, 0, 0x8000);
    assert_eq!((read(&mut phy, 0, true) & 0xffff, read(&mut phy, 2, true) & 0xffff), (0x1140, 0x0141));
    write(&mut phy, 22, 5);
    assert_eq!((read(&mut phy, 2, true) & 0xffff, read(&mut phy, 22, true) & 0xffff), (0, 5), "another page");
}

/// The examples of Microsoft's specification of receive side scaling.
#[test]
fn hashes() {
    let key = [
        0x6d, 0x5a, 0x56, 0xda, 0x25, 0x5b, 0x0e, 0xc2, 0x41, 0x67, 0x25, 0x3d, 0x43, 0xa3, 0x8f, 0xb0, 0xd0,
        0xca, 0x2b, 0xcb, 0xae, 0x7b, 0x30, 0xb4, 0x77, 0xcb, 0x2d, 0xa3, 0x80, 0x30, 0xf2, 0x0c, 0x6a, 0x42,
        0xb7, 0x3b, 0xbe, 0xac, 0x01, 0xfa,
    ];
    // From 66.9.149.187:2794 to 161.142.100.80:1766.
    let input = [66, 9, 149, 187, 161, 142, 100, 80, 0x0a, 0xea, 0x06, 0xe6];
    assert_eq!(toeplitz(&key, &input), 0x51cc_c178);
    assert_eq!(toeplitz(&key, &input[..8]), 0x323e_8fc2);
}

#[test]
fn the_check_sequence_of_nine_digits() {
    assert_eq!(u32::from_le_bytes(check_sequence(b"123456789")), 0xcbf4_3926);
}

/// Headers of Ethernet, IPv4 and TCP, with what software sums before a frame is cut, and `payload` bytes.
pub(crate) fn tcp(payload: usize) -> Vec<u8> {
    let mut frame = vec![0x52, 0x54, 0, 0, 0, 1, 0x52, 0x54, 0, 0, 0, 2, 8, 0];
    frame.extend([0x45, 0, 0, 0, 0x12, 0xff, 0x40, 0, 64, 6, 0, 0, 10, 0, 2, 15, 10, 0, 2, 2]);
    let mut header =
        vec![0x30, 0x39, 0, 80, 0, 0, 0xff, 0xff, 0, 0, 0, 1, 0x50, 0x19, 0xff, 0xff, 0, 0, 0, 0];
    let pseudo = offload::sum(&[10, 0, 2, 15, 10, 0, 2, 2], 6);
    header[16..18].copy_from_slice(&pseudo.to_be_bytes());
    frame.extend(header);
    frame.extend((0..payload).map(|i| i as u8));
    frame
}

/// The context for such a frame.
pub(crate) fn context(mss: u64) -> (u64, u64) {
    let low = 14 | 24 << 8 | 33 << 16 | 34 << 32 | 50 << 40;
    (low, 0x27 << 24 | 54 << 40 | mss << 48)
}

#[test]
fn a_frame_is_cut_into_segments_that_are_right() {
    let (low, high) = context(1000);
    let context = Context::of(low, high);
    assert_eq!((context.ip, context.transport), ((14, 24, 33), (34, 50, 0)));
    let frame = tcp(2500);
    let segments = offload::segments(&frame, &context, true, true).unwrap();
    assert_eq!(segments.iter().map(Vec::len).collect::<Vec<_>>(), [1054, 1054, 554]);
    let payload: Vec<u8> = segments.iter().flat_map(|s| s[54..].to_vec()).collect();
    assert_eq!(payload, frame[54..]);
    for (i, segment) in segments.iter().enumerate() {
        let parts = Parts::of(segment, 0x8100);
        assert_eq!(parts.ip_checksum(segment), Some(true));
        assert_eq!(parts.transport_checksum(segment), Some((6, true)));
        let half = |at: usize| u32::from(segment[at]) << 8 | u32::from(segment[at + 1]);
        assert_eq!(
            (half(16) as usize, half(18)),
            (segment.len() - 14, 0x12ff + i as u32),
            "length, identification"
        );
        assert_eq!(half(38) << 16 | half(40), 0xffff + 1000 * i as u32, "sequence number");
        assert_eq!(segment[47], if i == 2 { 0x19 } else { 0x10 }, "FIN and PSH are the last one's");
    }
}

#[test]
fn contexts_that_make_no_sense_cut_nothing() {
    let frame = tcp(100);
    assert!(Context::of(u64::MAX, u64::MAX).is_possible());
    assert!(!Context { header: 256, ..Context::default() }.is_possible());
    assert!(!Context { ip: (0, 0, 0x1_0000), ..Context::default() }.is_possible());
    let good = Context::of(context(10).0, context(10).1);
    for bad in [
        Context { mss: 0, ..good },
        Context { header: 53, ..good },
        Context { header: 200, ..good },
        Context { header: 154, ..good },
        Context { transport: (255, 50, 0), ..good },
    ] {
        assert_eq!(offload::segments(&frame, &bad, true, true), None, "{bad:?}");
    }
    let mut short = frame.clone();
    offload::checksums(
        &mut short,
        &Context { ip: (250, 250, 0), transport: (34, 255, 9), ..good },
        true,
        true,
    );
    assert_eq!(short, frame);
}

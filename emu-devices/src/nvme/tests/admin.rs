//! The admin command set.

use emu_core::addr::Size;

use super::rig::{BUFFER, Rig, SIZE, Sqe, cq, read, sq};

const DNR: u16 = 0x4000;

fn identify(rig: &Rig, cns: u32, nsid: u32) -> Result<Vec<u8>, u16> {
    rig.fill(BUFFER, 0xee, 4096);
    match rig.admin(Sqe::new(6).nsid(nsid).prp1(BUFFER).word(10, cns)).status {
        0 => Ok(rig.bytes(BUFFER, 4096)),
        status => Err(status),
    }
}

#[test]
fn the_controller_says_what_it_is() {
    let rig = Rig::ready();
    let page = identify(&rig, 1, 0).unwrap();
    assert_eq!(page[..4], [0x36, 0x1b, 0xf4, 0x1a]);
    assert_eq!(&page[4..24], b"SERIAL              ");
    assert_eq!((page[77], &page[80..84]), (5, &[0, 4, 1, 0][..]));
    assert_eq!((page[512], page[513], page[525]), (0x66, 0x44, 7));
    assert!(page[768..].starts_with(b"nqn.2019-08.org.qemu:SERIAL\0"));
    let page = identify(&rig, 0, 3).unwrap();
    assert_eq!((&page[..8], &page[128..132]), (&[0, 1, 0, 0, 0, 0, 0, 0][..], &[0, 0, 12, 0][..]));
    assert_eq!(identify(&rig, 0, 2), Ok(vec![0; 4096]), "it is not active");
    assert_eq!(identify(&rig, 2, 0).unwrap()[..12], [1, 0, 0, 0, 3, 0, 0, 0, 0, 0, 0, 0]);
    assert_eq!(identify(&rig, 2, 1).unwrap()[..8], [3, 0, 0, 0, 0, 0, 0, 0]);
    let list = identify(&rig, 3, 1).unwrap();
    assert_eq!(list[..16], [1, 8, 0, 0, 0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0x77, 0x88, 3, 16, 0, 0]);
    for (cns, nsid, status) in
        [(0, 0, 0x0b), (0, u32::MAX, 0x0b), (2, u32::MAX - 1, 0x0b), (3, 2, 2), (3, 0, 0x0b), (0x55, 0, 2)]
    {
        assert_eq!(identify(&rig, cns, nsid), Err(DNR | status), "{cns:#x} {nsid:#x}");
    }
    assert_eq!(rig.admin(Sqe::new(6).prp1(BUFFER + 1).word(10, 1)).status, DNR | 0x13);
    assert_eq!(rig.admin(Sqe::new(6).sgl(BUFFER, 4096, 0).word(10, 1)).status, DNR | 2);
    assert_eq!(rig.admin(Sqe::new(0xc0)).status, DNR | 1);
}

#[test]
fn queues_are_created_and_deleted_as_they_may_be() {
    let rig = Rig::ready();
    let size = 7 << 16;
    let create_cq = |id: u32| Sqe::new(5).prp1(cq(1)).word(10, size | id).word(11, 1);
    let create_sq = |id: u32, cq: u32| Sqe::new(1).prp1(sq(1)).word(10, size | id).word(11, 1 | cq << 16);
    for (sqe, status) in [
        (create_cq(0), 0x101),
        (create_cq(5), 0x101),
        (create_cq(1).word(10, 1), 0x102),
        (create_cq(1).word(10, 0x800 << 16 | 1), 0x102),
        (create_cq(1).word(11, 0), 2),
        (create_cq(1).prp1(cq(1) + 0x40), 0x13),
        // Without MSI-X there is one vector.
        (create_cq(1).word(11, 3 | 1 << 16), 0x108),
        (create_sq(1, 0), 0x100),
        (create_sq(1, 1), 0x100),
    ] {
        assert_eq!(rig.admin(sqe).status, DNR | status);
    }
    assert_eq!(rig.admin(create_cq(1)).status, 0);
    for (sqe, status) in [
        (create_cq(1), 0x101),
        (create_sq(0, 1), 0x101),
        (create_sq(5, 1), 0x101),
        (create_sq(1, 2), 0x100),
        (create_sq(1, 1).word(10, 1), 0x102),
        (create_sq(1, 1).word(11, 1 << 16), 2),
        (create_sq(1, 1).prp1(0x8), 0x13),
    ] {
        assert_eq!(rig.admin(sqe).status, DNR | status);
    }
    assert_eq!(rig.admin(create_sq(1, 1)).status, 0);
    for (opcode, id, status) in [
        (4, 1, DNR | 0x10c),
        (4, 0, DNR | 0x101),
        (4, 3, DNR | 0x101),
        (0, 0, DNR | 0x101),
        (0, 3, DNR | 0x101),
        (0, 1, 0),
        (0, 1, DNR | 0x101),
        (4, 1, 0),
    ] {
        assert_eq!(rig.admin(Sqe::new(opcode).word(10, id)).status, status);
    }
    // The number of queues limits them; it cannot change while there are some.
    let queues = Sqe::new(9).word(10, 7);
    assert_eq!(rig.admin(queues.word(11, 0xffff)).status, DNR | 2);
    assert_eq!(rig.admin(queues.word(11, 9 << 16)).result, 3 << 16);
    assert_eq!(rig.admin(create_cq(2)).status, 0);
    assert_eq!(rig.admin(create_sq(2, 2)).status, DNR | 0x101);
    assert_eq!(rig.admin(queues.word(11, 0)).status, DNR | 0x0c);
}

#[test]
fn features() {
    let rig = Rig::ready();
    let set = |id: u32, word: u32| rig.admin(Sqe::new(9).nsid(1).word(10, id).word(11, word)).status;
    let get = |id: u32, word: u32| {
        let end = rig.admin(Sqe::new(10).nsid(1).word(10, id).word(11, word));
        (end.status, end.result)
    };
    for (id, default, value) in [
        (1, 7, 0x0203_0405),
        (5, 0, 9),
        (6, 1, 0),
        (8, 0, 0x1203),
        (9, 0, 0x1_0000),
        (0xa, 0, 1),
        (0xb, 0, 0x1f),
    ] {
        assert_eq!(
            (get(id, 0), set(id, value), get(id, 0)),
            ((0, default), 0, (0, value)),
            "feature {id:#x}"
        );
        assert_eq!((get(id | 1 << 8, 0), get(id | 3 << 8, 0).1 & 5), ((0, default), 4));
    }
    // Thresholds: over, then under.
    assert_eq!((get(4, 0), set(4, 0x150), set(4, 0x100 | 1 << 20)), ((0, 0x157), 0, 0));
    assert_eq!((get(4, 0), get(4, 1 << 20)), ((0, 0x150), (0, 0x100)));
    assert_eq!(get(2, 0), (0, 0));
    for (id, word, status) in
        [(2, 1, 2), (4, 1 << 16, 2), (5, 1 << 16, 2), (9, 9, 2), (0x55, 0, 2), (1 | 1 << 31, 0, 0x10d)]
    {
        assert_eq!(set(id, word), DNR | status, "feature {id:#x}");
    }
    assert_eq!((get(0x55, 0).0, get(1 | 5 << 8, 0).0), (DNR | 2, DNR | 2));
    rig.set(0x14, Size::B4, 0x46_0000);
    rig.enable();
    assert_eq!(rig.admin(Sqe::new(10).word(10, 6)).result, 1, "a reset makes them what they were");
}

fn log(id: u32, dwords: u32) -> Sqe {
    Sqe::new(2).nsid(u32::MAX).prp1(BUFFER).word(10, id | (dwords - 1) << 16)
}

#[test]
fn log_pages() {
    let rig = Rig::with_queue();
    assert_eq!(rig.io(read().blocks(0, 7)), 0);
    assert_eq!(rig.admin(log(2, 128)).status, 0);
    let page = rig.bytes(BUFFER, 512);
    assert_eq!((&page[..6], page[32], page[64]), (&[0, 0x43, 1, 100, 0, 0][..], 1, 1));
    assert_eq!(rig.admin(log(3, 128)).status, 0);
    assert_eq!(rig.bytes(BUFFER, 16), *b"\x01\0\0\0\0\0\0\x001.0     ");
    assert_eq!(rig.admin(log(5, 1024)).status, 0);
    assert_eq!((rig.bytes(BUFFER + 4 * 6, 1), rig.bytes(BUFFER + 1024 + 4, 1)), (vec![1], vec![3]));
    assert_eq!(rig.admin(log(4, 1024)).status, 0);
    // The error information log, from an offset on.
    assert_eq!(rig.admin(log(1, 16).word(12, 64)).status, 0);
    for (sqe, status) in [
        (log(0x55, 1), 0x109),
        (log(1, 1).word(12, 2), 2),
        (log(1, 1).word(12, 1024), 2),
        (log(1, 1).word(13, 1), 2),
        (log(2, 1).nsid(1), 2),
        // 256 KiB, and 16 GiB.
        (log(2, 0x1_0000), 2),
        (log(2, 1).word(10, 2 | 0xffff << 16).word(11, 0xffff), 2),
    ] {
        assert_eq!(rig.admin(sqe).status, DNR | status);
    }
}

#[test]
fn events_are_told_of_once_until_their_log_is_read() {
    let rig = Rig::ready();
    let request = |id| rig.submit(0, Sqe::new(0xc).id(id));
    (1..=4).for_each(request);
    assert_eq!(rig.next(0), None, "they wait");
    request(5);
    let end = rig.next(0).unwrap();
    assert_eq!((end.id, end.status), (5, DNR | 0x105));
    // A storm of doorbells of queues that there are not: one event.
    for _ in 0..100 {
        rig.ring(4, 1);
    }
    let end = rig.next(0).unwrap();
    assert_eq!((end.id, end.status, end.result), (1, 0, 0x01_0000));
    // A value that there is not is of the same type.
    rig.ring(0, SIZE.into());
    rig.ring(1, 0xffff_ffff);
    assert_eq!((rig.next(0), rig.anomalies()), (None, 102));
    assert_eq!(rig.admin(log(1, 16)).status, 0);
    rig.ring(0, SIZE.into());
    assert_eq!(rig.next(0).map(|end| (end.id, end.result)), Some((2, 0x01_0100)));
    // The temperature: asked for, and beyond the threshold.
    assert_eq!(rig.admin(Sqe::new(9).word(10, 0xb).word(11, 2)).status, 0);
    rig.submit(0, Sqe::new(9).word(10, 4).word(11, 0x100));
    let ends: Vec<_> = [rig.next(0), rig.next(0)].map(|end| end.map(|e| (e.id, e.result))).into();
    assert!(ends.contains(&Some((0x77, 0))) && ends.contains(&Some((3, 0x02_0101))), "{ends:x?}");
    // Abort: the one that is left, and what there is not.
    let abort = |queue: u32, id: u32| Sqe::new(8).word(10, queue | id << 16);
    rig.submit(0, abort(0, 4));
    let ends: Vec<_> = [rig.next(0), rig.next(0)].map(|end| end.map(|e| (e.id, e.status, e.result))).into();
    assert!(ends.contains(&Some((4, 7, 0))) && ends.contains(&Some((0x77, 0, 0))), "{ends:x?}");
    assert_eq!(rig.admin(abort(0, 4)).result, 1);
    assert_eq!(rig.admin(abort(9, 4)).status, DNR | 2);
}

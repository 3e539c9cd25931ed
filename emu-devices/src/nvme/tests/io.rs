//! The NVM command set, PRPs and SGLs.

use super::rig::{BUFFER, LIST, Rig, Sqe, read, write};

const DNR: u16 = 0x4000;

#[test]
fn blocks_are_written_and_read() {
    let rig = Rig::with_queue();
    rig.fill(BUFFER, 0x5a, 1024);
    assert_eq!(rig.io(write().blocks(3, 1)), 0);
    assert_eq!(rig.disk(0, 3 * 512, 1024), vec![0x5a; 1024]);
    assert_eq!(rig.disk(0, 2 * 512, 512), vec![0; 512]);
    rig.fill(BUFFER, 0, 1024);
    assert_eq!(rig.io(read().blocks(4, 0)), 0);
    assert_eq!((rig.bytes(BUFFER, 512), rig.bytes(BUFFER + 512, 4)), (vec![0x5a; 512], vec![0; 4]));
    // Namespace 3 has blocks of 4 KiB.
    rig.fill(BUFFER, 0x77, 4096);
    assert_eq!(rig.io(write().nsid(3).blocks(1, 0)), 0);
    assert_eq!(rig.disk(1, 4096, 4096), vec![0x77; 4096]);
    assert_eq!(rig.anomalies(), 0);
}

#[test]
fn a_write_that_is_to_be_stable_is_flushed_and_so_is_all_without_a_cache() {
    let rig = Rig::with_queue();
    assert_eq!((rig.io(write().blocks(0, 0)), rig.disks[0].flushes()), (0, 0));
    assert_eq!((rig.io(write().blocks(0, 1 << 30)), rig.disks[0].flushes()), (0, 1));
    assert_eq!((rig.io(Sqe::new(0).nsid(1)), rig.disks[0].flushes()), (0, 2));
    assert_eq!(rig.io(Sqe::new(0).nsid(u32::MAX)), 0);
    assert_eq!((rig.disks[0].flushes(), rig.disks[1].flushes()), (3, 1), "a Flush of all");
    assert_eq!(rig.admin(Sqe::new(9).word(10, 6)).status, 0);
    assert_eq!((rig.io(write().blocks(0, 0)), rig.disks[0].flushes()), (0, 4));
}

#[test]
fn what_is_not_there_is_refused() {
    let rig = Rig::with_queue();
    for (sqe, status) in [
        (read().nsid(0), 0x0b),
        (read().nsid(257), 0x0b),
        (read().nsid(u32::MAX), 0x0b),
        (read().nsid(2), 0x02),
        (Sqe::new(0x7f).nsid(1), 0x01),
        (Sqe::new(4).nsid(1), 0x01),
        (read().blocks(2048, 0), 0x80),
        (read().blocks(2047, 1), 0x80),
        (read().blocks(u64::MAX, 0), 0x80),
        (write().blocks(u64::MAX - 5, 7), 0x80),
        (Sqe::new(8).nsid(1).blocks(2040, 0xffff), 0x80),
        (Sqe::new(12).nsid(1).blocks(2040, 8), 0x80),
        // Beyond the largest transfer: 128 KiB.
        (read().blocks(0, 256), 0x02),
        (read().word(0, 2 | 1 << 8), 0x02),
        (read().word(0, 2 | 3 << 14), 0x02),
    ] {
        assert_eq!(rig.io(sqe), DNR | status);
    }
    assert_eq!(rig.io(read().blocks(2047, 0)), 0);
}

#[test]
fn compare_verify_zeroes_and_deallocation() {
    let rig = Rig::with_queue();
    rig.fill(BUFFER, 0x11, 2048);
    assert_eq!(rig.io(write().blocks(8, 3)), 0);
    assert_eq!(rig.io(Sqe::new(5).nsid(1).prp1(BUFFER).blocks(8, 3)), 0);
    assert_eq!(rig.io(Sqe::new(5).nsid(1).prp1(BUFFER).blocks(9, 3)), DNR | 0x285);
    assert_eq!(rig.io(Sqe::new(12).nsid(1).blocks(0, 2047)), 0);
    assert_eq!(rig.io(Sqe::new(8).nsid(1).blocks(9, 0)), 0);
    assert_eq!((rig.disk(0, 9 * 512, 512), rig.disk(0, 10 * 512, 512)), (vec![0; 512], vec![0x11; 512]));
    // Dataset Management: ranges of attributes, length, first block.
    rig.doubles(BUFFER, &[1 << 32, 10, 1 << 32, 11]);
    let dsm = Sqe::new(9).nsid(1).prp1(BUFFER).word(10, 1);
    assert_eq!((rig.io(dsm), rig.disk(0, 10 * 512, 512)), (0, vec![0x11; 512]), "a hint");
    assert_eq!(rig.io(dsm.word(11, 4)), 0);
    rig.doubles(BUFFER, &[1 << 32, 10, 2 << 32, 2047]);
    assert_eq!(rig.io(dsm.word(11, 4)), DNR | 0x80);
}

/// PRP entry 1 may begin anywhere in a page, all others at its beginning.
#[test]
fn prp_offsets() {
    let rig = Rig::with_queue();
    rig.put(BUFFER + 0xe00, &[1; 512]);
    rig.put(BUFFER + 0x3000, &[2; 4096]);
    let two = |first: u64, second: u64| write().prp1(first).prp2(second).blocks(0, 7);
    assert_eq!(rig.io(two(BUFFER + 0xe00, BUFFER + 0x3000)), 0);
    assert_eq!(rig.disk(0, 0, 513)[510..], [1, 1, 2]);
    for (first, second) in [(BUFFER + 2, 0), (BUFFER + 1, 0), (BUFFER + 0x800, BUFFER + 0x2004)] {
        assert_eq!(rig.io(two(first, second)), DNR | 0x13);
    }
    // A list of qwords; and its entries.
    let three = write().prp1(BUFFER).blocks(0, 23);
    assert_eq!(rig.io(three.prp2(LIST + 4)), DNR | 0x13);
    rig.doubles(LIST + 0x18, &[BUFFER + 0x3000, BUFFER + 0x1000]);
    assert_eq!(rig.io(three.prp2(LIST + 0x18)), 0);
    assert_eq!(rig.disk(0, 4096, 4), [2; 4]);
    rig.doubles(LIST, &[BUFFER + 0x3000, BUFFER + 0x1008]);
    assert_eq!(rig.io(three.prp2(LIST)), DNR | 0x13);
    assert_eq!(rig.io(three.prp2(0)), 4, "nothing is there: it may go better another time");
}

/// The last entry of a page says where the list goes on, unless it is the last of all.
#[test]
fn a_prp_list_goes_on_in_another_page() {
    let rig = Rig::with_queue();
    for n in 0..5 {
        rig.fill(BUFFER + 0x1000 * n, 0x10 + n as u8, 4096);
    }
    let four = write().blocks(0, 39).prp2(LIST + 0xff0);
    rig.doubles(LIST + 0xff0, &[BUFFER + 0x1000, LIST + 0x1000]);
    rig.doubles(LIST + 0x1000, &[BUFFER + 0x2000, BUFFER + 0x3000, BUFFER + 0x4000]);
    assert_eq!(rig.io(four), 0);
    for n in 0..5 {
        assert_eq!(rig.disk(0, 4096 * n, 4096), vec![0x10 + n as u8; 4096]);
    }
    // Two entries fit.
    rig.doubles(LIST + 0xff0, &[BUFFER + 0x4000, BUFFER + 0x3000]);
    assert_eq!(rig.io(write().blocks(0, 23).prp2(LIST + 0xff0)), 0);
    assert_eq!(rig.disk(0, 8192, 4), [0x13; 4]);
    rig.doubles(LIST + 0xff0, &[BUFFER + 0x1000, LIST + 0x1008]);
    assert_eq!(rig.io(four), DNR | 0x13);
    // One that goes on in itself ends with the data.
    rig.doubles(LIST + 0xff8, &[LIST]);
    rig.doubles(LIST, &[BUFFER; 511]);
    assert_eq!(rig.io(write().blocks(0, 255).prp2(LIST + 0xff8)), 0);
}

/// A descriptor in memory.
fn descriptor(addr: u64, len: u64, kind: u64) -> [u64; 2] {
    [addr, len | kind << 56]
}

#[test]
fn sgls() {
    let rig = Rig::with_queue();
    rig.fill(BUFFER, 0x21, 300);
    rig.fill(BUFFER + 0x801, 0x22, 212);
    assert_eq!(rig.io(write().sgl(BUFFER, 512, 0).blocks(0, 0)), 0);
    // A segment that says where the last one is. Data of no bytes is data.
    let list = [descriptor(BUFFER, 300, 0), descriptor(LIST + 0x800, 32, 0x30)];
    rig.doubles(LIST, list.as_flattened());
    let last = [descriptor(0, 0, 0), descriptor(BUFFER + 0x801, 212, 0)];
    rig.doubles(LIST + 0x800, last.as_flattened());
    assert_eq!(rig.io(write().sgl(LIST, 32, 0x20).blocks(0, 0)), 0);
    assert_eq!(rig.disk(0, 298, 4), [0x21, 0x21, 0x22, 0x22]);
    for (sqe, status) in [
        (write().sgl(BUFFER, 511, 0), 0x0f),
        (write().sgl(BUFFER, 513, 0), 0x0f),
        (write().sgl(BUFFER, u32::MAX, 0), 0x0f),
        (write().sgl(BUFFER, 512, 0x10), 0x11),
        (write().sgl(BUFFER, 512, 0x01), 0x11),
        (write().sgl(BUFFER, 512, 0x40), 0x11),
        (write().sgl(LIST, 0, 0x30), 0x0d),
        (write().sgl(LIST, 24, 0x30), 0x0d),
        (write().sgl(LIST, !15, 0x30), 0x0e),
        // A last segment that goes on, and another one that does not.
        (write().sgl(LIST, 32, 0x30), 0x0d),
        (write().sgl(LIST, 16, 0x20), 0x0d),
    ] {
        assert_eq!(rig.io(sqe.blocks(0, 0)), DNR | status);
    }
    // A segment that is its own next.
    rig.doubles(LIST, &descriptor(LIST, 16, 0x20));
    assert_eq!(rig.io(write().sgl(LIST, 16, 0x20).blocks(0, 0)), DNR | 0x0e);
}

#[test]
fn data_that_cannot_be_reached_fails_its_command_alone() {
    let rig = Rig::with_queue();
    assert_eq!(rig.io(read().prp1(0x1000).blocks(0, 0)), 4);
    // Its own BAR.
    assert_eq!(rig.io(read().prp1(0x1000_0000).blocks(0, 0)), 4);
    assert_eq!(rig.io(read().prp1(u64::MAX - 3).blocks(0, 0)), 4);
    assert_eq!((rig.io(read().blocks(0, 0)), rig.csts()), (0, 1));
}

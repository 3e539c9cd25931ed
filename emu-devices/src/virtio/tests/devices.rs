//! The devices' own behaviour.

use emu_core::metrics::Metric;

use super::driver::*;
use super::*;
use crate::block::{DiskQueue, ReadOnly};
use crate::virtio::{
    Console, ConsoleBackend, EntropySource, Rng, SeededEntropy, VirtioDevice, VirtioOptions,
};

const OK: u8 = 0;
const IOERR: u8 = 1;
const UNSUPP: u8 = 2;

fn range(rig: &Rig, index: u64, sector: u64, sectors: u32, flags: u32) {
    rig.put(BUFFER + 16 * index, Size::B8, sector);
    rig.put(BUFFER + 16 * index + 8, Size::B8, u64::from(flags) << 32 | u64::from(sectors));
}

#[test]
fn block_config_and_errors() {
    let rig = Rig::new(Transport::Mmio, blk(disk()), VirtioOptions::default());
    let ring = &mut rig.initialise(1, u64::MAX)[0];
    assert_eq!(
        (rig.config(0, Size::B8), rig.config(12, Size::B4), rig.config(20, Size::B4)),
        (128, 254, 512)
    );
    assert_eq!(block(&rig, ring, 0, 127, 1024, true), IOERR, "beyond the end");
    assert_eq!(block(&rig, ring, 0, u64::MAX, 512, true), IOERR);
    assert_eq!(block(&rig, ring, 1, u64::MAX / 512, 512, false), IOERR);
    assert_eq!(block(&rig, ring, 1, 0, 100, false), IOERR, "part of a sector");
    assert_eq!(block(&rig, ring, 99, 0, 512, true), UNSUPP);
    // Data outside memory fails the request, not the device.
    header(&rig, 1, 0);
    rig.request(ring, &[(HEADER, 16, false), (0x10, 512, false), (STATUS, 1, true)]);
    assert_eq!(rig.get(STATUS, Size::B1), u64::from(IOERR));
    assert_eq!(block(&rig, ring, 0, 0, 512, true), OK);
}

/// Virtio 1.3, 5.2.4: a capacity that changes is a change of the configuration.
#[test]
fn a_disk_of_another_size_tells_its_driver() {
    let dir = tempfile::tempfile().unwrap();
    dir.set_len(4096).unwrap();
    let queue =
        DiskQueue::new(Arc::new(crate::block::RawFile::new("raw", dir, 4096, false, false)), 0).unwrap();
    let blk = Blk::new(queue.clone(), "", BlkOptions::default(), &Arc::default());
    let rig = Rig::new(Transport::Pci { msix: true }, blk, VirtioOptions::default());
    let ring = &mut rig.initialise(1, u64::MAX)[0];
    assert_eq!((rig.config(0, Size::B8), block(&rig, ring, 0, 8, 512, true)), (8, IOERR));
    queue.resize(5000).unwrap();
    assert!(rig.interrupted(None));
    assert_eq!((rig.config(0, Size::B8), block(&rig, ring, 0, 9, 512, true)), (10, OK));
    assert_eq!(block(&rig, ring, 0, 10, 512, true), IOERR);
    queue.resize(512).unwrap();
    assert_eq!((rig.config(0, Size::B8), block(&rig, ring, 1, 1, 512, false)), (1, IOERR));
}

#[test]
fn discard_and_write_zeroes() {
    let disk = disk();
    let rig = Rig::new(Transport::Pci { msix: true }, blk(disk.clone()), VirtioOptions::default());
    let ring = &mut rig.initialise(1, u64::MAX)[0];
    range(&rig, 0, 10, 2, 0);
    range(&rig, 1, 20, 1, 1);
    assert_eq!(block(&rig, ring, 13, 0, 32, false), OK);
    let first = |sector: u64| {
        let mut b = [0];
        disk.read_at(sector * 512, &mut b).unwrap();
        b[0]
    };
    assert_eq!([9, 10, 11, 12, 20, 21].map(first), [9, 0, 0, 12, 0, 21]);
    range(&rig, 0, 30, 1, 0);
    assert_eq!((block(&rig, ring, 11, 0, 16, false), first(30)), (OK, 0));
    range(&rig, 0, 31, 1, 1);
    assert_eq!(block(&rig, ring, 11, 0, 16, false), UNSUPP, "a discard with flags");
    range(&rig, 0, 31, 1, 2);
    assert_eq!(block(&rig, ring, 13, 0, 16, false), UNSUPP);
    range(&rig, 0, 31, 0xffff_ffff, 0);
    assert_eq!(block(&rig, ring, 13, 0, 16, false), IOERR);
    range(&rig, 0, 127, 2, 0);
    assert_eq!(block(&rig, ring, 13, 0, 16, false), IOERR);
    assert_eq!(block(&rig, ring, 13, 0, 17, false), IOERR);
    assert_eq!(block(&rig, ring, 13, 0, 33 * 16, false), IOERR);
    assert_eq!([31, 127].map(first), [31, 127]);
    let ring = &mut rig.initialise(1, !(1 << 13 | 1 << 14))[0];
    range(&rig, 0, 31, 1, 0);
    assert_eq!(block(&rig, ring, 13, 0, 16, false), UNSUPP, "not negotiated");
}

#[test]
fn cache_modes() {
    let disk = disk();
    let rig = Rig::new(Transport::Mmio, blk(disk.clone()), VirtioOptions::default());
    let ring = &mut rig.initialise(1, u64::MAX)[0];
    block(&rig, ring, 1, 0, 512, false);
    assert_eq!((disk.flushes(), rig.config(32, Size::B1)), (0, 1), "write-back");
    rig.set_config(32, Size::B1, 0);
    block(&rig, ring, 1, 0, 512, false);
    assert_eq!((disk.flushes(), rig.config(32, Size::B1)), (1, 0), "write-through");
    // A driver that cannot flush gets write-through.
    let ring = &mut rig.initialise(1, !(1 << 9 | 1 << 11))[0];
    assert_eq!(rig.config(32, Size::B1), 1);
    block(&rig, ring, 1, 0, 512, false);
    assert_eq!(disk.flushes(), 2);
}

#[test]
fn read_only_disk() {
    let disk = Arc::new(ReadOnly(MemoryDisk::new("ro", vec![4; 4096])));
    let rig = Rig::new(Transport::Mmio, blk(disk), VirtioOptions::default());
    assert_eq!(rig.features() & (1 << 5 | 1 << 13 | 1 << 14), 1 << 5);
    let ring = &mut rig.initialise(1, u64::MAX)[0];
    assert_eq!(block(&rig, ring, 1, 0, 512, false), IOERR);
    assert_eq!(block(&rig, ring, 0, 0, 512, true), OK);
    assert_eq!(rig.bytes(BUFFER, 1), [4]);
}

#[test]
fn large_requests_are_cut_into_pieces() {
    let disk = Arc::new(MemoryDisk::new("big", (0..600_000_u32).map(|i| (i / 1000) as u8).collect()));
    let counters = Arc::new(Counters::default());
    let dev = Blk::new(DiskQueue::new(disk.clone(), 1).unwrap(), "s", BlkOptions::default(), &counters);
    let rig = Rig::new(Transport::Mmio, dev, VirtioOptions::default());
    let ring = &mut rig.initialise(1, u64::MAX)[0];
    header(&rig, 0, 0);
    // 400 KiB onto the same 100 KiB four times: the last part stays.
    let part = 100 << 10;
    let buffers: Vec<_> = [(HEADER, 16, false)]
        .into_iter()
        .chain([(BUFFER, part, true); 4])
        .chain([(STATUS, 1, true)])
        .collect();
    assert_eq!(rig.request(ring, &buffers), 4 * part + 1);
    let mut expected = vec![0; part as usize];
    disk.read_at(3 * u64::from(part), &mut expected).unwrap();
    assert_eq!(rig.bytes(BUFFER, part as usize), expected);
    assert_eq!(counters.get(Metric::BlockBytesRead), 4 * u64::from(part));
}

#[derive(Default)]
struct Paper(Mutex<Vec<u8>>);
impl ConsoleBackend for Paper {
    fn write(&self, bytes: &[u8]) {
        self.0.lock().extend(bytes);
    }
}

#[test]
fn console_prints_and_reads() {
    for transport in ALL {
        let paper = Arc::new(Paper::default());
        let console = Console::new(paper.clone());
        let rig = Rig::new(transport, console.clone(), VirtioOptions::default());
        assert_eq!(console.input(0, b"early "), 6);
        let rings = &mut rig.initialise(2, u64::MAX);
        rig.set_bytes(DATA, b"hello, world");
        rig.request(&mut rings[1], &[(DATA, 5, false), (DATA + 5, 7, false)]);
        assert_eq!(*paper.0.lock(), b"hello, world");
        // Input waits for buffers, buffers wait for input.
        assert_eq!(rig.request(&mut rings[0], &[(BUFFER, 4, true)]), 4);
        assert_eq!(rig.request(&mut rings[0], &[(BUFFER + 4, 64, true)]), 2);
        assert_eq!(rig.bytes(BUFFER, 6), b"early ");
        rig.chain(Rig::rings(0)[0], 0, &[(BUFFER, 64, true)]);
        rig.publish(&mut rings[0], 0);
        rig.notify(0);
        console.input(0, b"typed");
        assert_eq!(rig.wait_used(&mut rings[0]), (0, 5));
        assert_eq!(rig.bytes(BUFFER, 5), b"typed");
        rig.interrupted(Some(0));
        console.resize(132, 50);
        assert_eq!(rig.config(0, Size::B4), 50 << 16 | 132);
        until(|| rig.interrupted(None));
        rig.set_config(8, Size::B4, u64::from(b'!'));
        assert_eq!(paper.0.lock().last(), Some(&b'!'));
        assert_eq!(console.input(0, &[b'x'; 100_000]), 64 << 10, "input is bounded");
    }
}

#[test]
fn console_output_that_stalls_is_printed_once() {
    let paper = Arc::new(Paper::default());
    let rig = Rig::new(Transport::Mmio, Console::new(paper.clone()), VirtioOptions::default());
    let rings = &mut rig.initialise(2, u64::MAX);
    rig.set_bytes(DATA, b"once only");
    for place in [DATA + 5, Rig::rings(1)[2] + 2] {
        rig.port.arm(place);
        rig.chain(Rig::rings(1)[0], 0, &[(DATA, 4, false), (DATA + 4, 5, false)]);
        rig.publish(&mut rings[1], 0);
        rig.notify(1);
        rig.answer(true);
        rig.wait_used(&mut rings[1]);
    }
    assert_eq!(*paper.0.lock(), b"once onlyonce only");
}

#[test]
fn console_asks_for_more_input_when_there_is_room_again() {
    for deterministic in [false, true] {
        let console = Console::new(Arc::new(Paper::default()));
        let options = VirtioOptions { deterministic, ..VirtioOptions::default() };
        let rig = Rig::new(Transport::Mmio, console.clone(), options);
        let sent: Vec<u8> = (0..200_000_u32).map(|i| (i.wrapping_mul(i) >> 7) as u8).collect();
        // Whoever has the rest offers it again when, and only when, the console says so.
        let rest = Arc::new(Mutex::new(sent[console.input(0, &sent)..].to_vec()));
        let (weak, offered) = (Arc::downgrade(&console), rest.clone());
        console.set_room_callback(
            0,
            Box::new(move || {
                let mut rest = offered.lock();
                let taken = weak.upgrade().map_or(0, |c| c.input(0, &rest));
                assert!(taken > 0, "there is room");
                rest.drain(..taken);
            }),
        );
        let rings = &mut rig.initialise(2, u64::MAX);
        let mut got = Vec::new();
        while got.len() < sent.len() {
            let n = rig.request(&mut rings[0], &[(BUFFER, 4096, true)]);
            got.extend(rig.bytes(BUFFER, n as usize));
        }
        assert!(got == sent && rest.lock().is_empty());
    }
}

#[test]
fn console_input_is_saved() {
    let rig = || {
        let console = Console::new(Arc::new(Paper::default()));
        (Rig::new(Transport::Mmio, console.clone(), VirtioOptions::default()), console)
    };
    let ((rig, console), (other_rig, other)) = (rig(), rig());
    console.input(0, b"pending");
    other_rig.component.restore(rig.component.save()).unwrap();
    assert_eq!(other.save("console"), console.save("console"));
    assert!(other.ready(0));
}

#[test]
fn entropy_is_repeatable_with_a_seed() {
    for transport in ALL {
        let rig = Rig::new(transport, Rng::new(Arc::new(SeededEntropy::new(1))), VirtioOptions::default());
        let ring = &mut rig.initialise(1, u64::MAX)[0];
        assert_eq!(rig.request(ring, &[(BUFFER, 100, true)]), 100);
        let mut expected = [0; 100];
        let source = SeededEntropy::new(1);
        source.fill(&mut expected);
        assert_eq!(rig.bytes(BUFFER, 100), expected);
        assert_eq!(rig.request(ring, &[(BUFFER, 1 << 16, true)]), 4096);
        let again = SeededEntropy::new(0);
        again.restore(source.save().unwrap());
        let mut next = [0; 100];
        source.fill(&mut expected);
        again.fill(&mut next);
        assert_eq!(next, expected);
    }
}

#[test]
fn splitmix_reference_values() {
    // The generator's published first outputs for seed 1234567.
    let source = SeededEntropy::new(1_234_567);
    let mut out = [0; 16];
    source.fill(&mut out);
    let words = [6_457_827_717_110_365_317_u64, 3_203_168_211_198_807_973];
    assert_eq!(out[..], words.map(u64::to_le_bytes).concat());
}

/// A request goes on where its transaction stalled: what came before is neither made nor transferred again.
#[test]
fn what_a_request_did_before_it_stalled_is_done_once() {
    for transport in ALL {
        let rig = Rig::new(transport, Rng::new(Arc::new(SeededEntropy::new(1))), VirtioOptions::default());
        let ring = &mut rig.initialise(1, u64::MAX)[0];
        rig.port.done.lock().clear();
        rig.port.arm(BUFFER + 60);
        rig.chain(Rig::rings(0)[0], 0, &[(BUFFER, 40, true), (BUFFER + 40, 60, true)]);
        rig.publish(ring, 0);
        rig.notify(0);
        rig.answer(true);
        assert_eq!(rig.wait_used(ring), (0, 100));
        let mut expected = [0; 100];
        SeededEntropy::new(1).fill(&mut expected);
        assert_eq!(rig.bytes(BUFFER, 100), expected);
        let done = rig.port.done.lock();
        let data: Vec<_> = done.iter().filter(|(at, _)| (BUFFER..BUFFER + 100).contains(at)).collect();
        assert_eq!(data, [&(BUFFER, 40), &(BUFFER + 40, 60)]);
    }
}

/// A device that is reset while its request stands still forgets it.
#[test]
fn a_reset_cancels_what_is_stalled() {
    for transport in ALL {
        let rig = Rig::new(transport, Rng::new(Arc::new(SeededEntropy::new(1))), VirtioOptions::default());
        let ring = &mut rig.initialise(1, u64::MAX)[0];
        rig.port.arm(BUFFER);
        rig.chain(Rig::rings(0)[0], 0, &[(BUFFER, 8, true)]);
        rig.publish(ring, 0);
        rig.notify(0);
        until(|| !rig.port.stalled.lock().is_empty());
        rig.set_bytes(BUFFER, &[0; 8]);
        let ring = &mut rig.initialise(1, u64::MAX)[0];
        rig.answer(true);
        assert_eq!((rig.used_index(ring), rig.bytes(BUFFER, 8)), (0, vec![0; 8]));
        assert_eq!(rig.request(ring, &[(BUFFER, 8, true)]), 8);
    }
}

//! A virtio disk behind the SMMU, and as little of a driver as there can be: all that it will ever ask for lies in the queue, and
//! is mapped, from the beginning. What it then does for a request is to move the index and to notify.

use std::sync::Arc;
use std::time::Duration;

use emu_core::Pa;
use emu_core::addr::{PAGE_SIZE, Size};
use emu_core::bus::{MmioDevice, Requester};
use emu_core::irq::IrqLine;
use emu_core::metrics::Counters;
use emu_devices::block::{DiskQueue, MemoryDisk, SECTOR};
use emu_devices::virtio::{Blk, BlkOptions, VirtioMmio, VirtioOptions, feature};

use super::{BYPASSED, DATA, IOVA, Machine, Measured, TRANSLATED, Unwired, measure, ran};

/// Pages that data is read into; the disk has as many.
const BUFFERS: u64 = 256;
/// Entries of the queue.
const QUEUE: u64 = 256;

// What lies in which page, from that of the queue on; tables of descriptors take as many as they need.
const DESCRIPTORS: u64 = 0;
const AVAILABLE: u64 = 1;
const USED: u64 = 2;
const HEADERS: u64 = 3;
const STATUS: u64 = 4;
const FIRST_BUFFER: u64 = 5;
const TABLES: u64 = FIRST_BUFFER + BUFFERS;

/// Pages that are read in a batch: the disk several times.
const BATCH_PAGES: u64 = 16 * BUFFERS;

/// Registers that are written (virtio 1.2, 4.2.2).
const DRIVER_FEATURES: u64 = 0x20;
const DRIVER_FEATURES_SEL: u64 = 0x24;
const QUEUE_SIZE: u64 = 0x38;
const QUEUE_READY: u64 = 0x44;
const QUEUE_NOTIFY: u64 = 0x50;
const STATUS_REGISTER: u64 = 0x70;
const QUEUE_DESC: u64 = 0x80;
const QUEUE_DRIVER: u64 = 0x90;
const QUEUE_DEVICE: u64 = 0xa0;

/// Descriptor flags (virtio 1.2, 2.7.5).
const NEXT: u64 = 1;
const WRITE: u64 = 2;
const INDIRECT: u64 = 4;

/// One benchmark: reads of a disk, one request at a time.
pub(super) struct Reads {
    pub(super) name: &'static str,
    stream: u32,
    /// Address of the first page, as the device says it.
    base: u64,
    /// Buffers of a request, a page each: a power of two.
    pages: u64,
}

const fn reads(name: &'static str, pages: u64) -> Reads {
    Reads { name, stream: BYPASSED, base: DATA, pages }
}

const fn translated(reads: Reads) -> Reads {
    Reads { stream: TRANSLATED, base: IOVA, ..reads }
}

pub(super) const BENCHMARKS: [Reads; 4] = [
    reads("blk4k", 1),
    translated(reads("blk4ks1", 1)),
    reads("blk256k", 64),
    translated(reads("blk256ks1", 64)),
];

/// The buffer of a page of the disk: neighbours on the disk are none in memory.
fn buffer(page: u64) -> u64 {
    FIRST_BUFFER + page * 149 % BUFFERS
}

/// What a page of the disk begins with.
fn content(page: u64) -> u64 {
    (page + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15)
}

impl Reads {
    /// Different requests: they read all of the disk.
    fn requests(&self) -> u64 {
        BUFFERS / self.pages
    }

    /// A page, as the device says it.
    fn address(&self, page: u64) -> u64 {
        self.base + page * PAGE_SIZE
    }

    /// A disk, whose requests are executed by the thread that notifies.
    fn disk(&self, machine: &Machine) -> Arc<VirtioMmio> {
        let mut data = vec![0; (BUFFERS * PAGE_SIZE) as usize];
        for (page, bytes) in data.chunks_exact_mut(PAGE_SIZE as usize).enumerate() {
            bytes[..8].copy_from_slice(&content(page as u64).to_le_bytes());
        }
        let counters = Arc::<Counters>::default();
        let backend = DiskQueue::new(Arc::new(MemoryDisk::new("disk", data)), 0).expect("it has no threads");
        let blk = Blk::new(backend, "bench", BlkOptions::default(), &counters);
        let options = VirtioOptions { iommu_platform: true, deterministic: true, ..VirtioOptions::default() };
        let irq = IrqLine::new(Arc::new(Unwired), 0);
        VirtioMmio::new("disk", Some(blk), irq, (&*machine.smmu, self.stream), options, &counters)
    }

    /// Writes the queue: one indirect table for each request, in as many slots as the ring has.
    fn fill(&self, machine: &Machine) {
        let put = |page: u64, at: u64, words: &[u64]| machine.put(DATA + page * PAGE_SIZE + at, words);
        for page in DESCRIPTORS..FIRST_BUFFER {
            put(page, 0, &[0; PAGE_SIZE as usize / 8]);
        }
        let descriptor = |addr: u64, len: u64, flags: u64, next: u64| [addr, len | flags << 32 | next << 48];
        let stride = (16 * (self.pages + 2)).next_power_of_two();
        for n in 0..self.requests() {
            let table = TABLES * PAGE_SIZE + n * stride;
            // A read (type 0), of this sector.
            put(HEADERS, 16 * n, &[0, n * self.pages * PAGE_SIZE / SECTOR]);
            put(DESCRIPTORS, 16 * n, &descriptor(self.base + table, 16 * (self.pages + 2), INDIRECT, 0));
            put(0, table, &descriptor(self.address(HEADERS) + 16 * n, 16, NEXT, 1));
            for page in 0..self.pages {
                let data = self.address(buffer(n * self.pages + page));
                put(0, table + 16 * (page + 1), &descriptor(data, PAGE_SIZE, NEXT | WRITE, page + 2));
            }
            put(0, table + 16 * (self.pages + 1), &descriptor(self.address(STATUS) + n, 1, WRITE, 0));
        }
        let ring: Vec<u8> =
            (0..QUEUE).flat_map(|slot| ((slot % self.requests()) as u16).to_le_bytes()).collect();
        let entries = Pa(DATA + AVAILABLE * PAGE_SIZE + 4);
        machine.bus.write_bytes(entries, &ring, Requester::Machine).expect("memory is there");
    }

    /// What a driver does before the first request.
    fn start(&self, machine: &Machine, disk: &VirtioMmio) {
        self.fill(machine);
        let set = |register, value| {
            disk.write(register, Size::B4, value, Requester::Cpu(0)).expect("a register");
        };
        let features =
            feature::VERSION_1 | feature::ACCESS_PLATFORM | feature::INDIRECT_DESC | feature::EVENT_IDX;
        for status in [0, 1, 3] {
            set(STATUS_REGISTER, status);
        }
        for half in 0..2 {
            set(DRIVER_FEATURES_SEL, half);
            set(DRIVER_FEATURES, features >> (32 * half) & 0xffff_ffff);
        }
        set(STATUS_REGISTER, 0xb);
        set(QUEUE_SIZE, QUEUE);
        for (register, page) in [(QUEUE_DESC, DESCRIPTORS), (QUEUE_DRIVER, AVAILABLE), (QUEUE_DEVICE, USED)] {
            set(register, self.address(page) & 0xffff_ffff);
            set(register + 4, self.address(page) >> 32);
        }
        set(QUEUE_READY, 1);
        set(STATUS_REGISTER, 0xf);
    }

    /// What has been read, after it has been compared with the disk; nothing of it is left for the next time.
    fn take(machine: &Machine) -> u64 {
        let mut sum = 0_u64;
        for page in 0..BUFFERS {
            let at = DATA + buffer(page) * PAGE_SIZE;
            let word = machine.bus.read(Pa(at), Size::B8, Requester::Machine).expect("memory is there");
            assert_eq!(word, content(page), "page {page} of the disk");
            machine.put(at, &[0]);
            sum = sum.wrapping_add(word);
        }
        sum
    }

    /// Reads all of the disk again and again.
    pub(super) fn run(&self, machine: &Machine, time: Duration) -> Measured {
        let disk = self.disk(machine);
        self.start(machine, &disk);
        let index = |page| Pa(DATA + page * PAGE_SIZE + 2);
        let rounds = BATCH_PAGES / self.pages;
        let mut made = 0_u16;
        measure(time, rounds, || {
            let before = ran();
            for _ in 0..rounds {
                made = made.wrapping_add(1);
                let cpu = Requester::Cpu(0);
                machine.bus.write(index(AVAILABLE), Size::B2, made.into(), cpu).expect("memory is there");
                disk.write(QUEUE_NOTIFY, Size::B4, 0, cpu).expect("a register");
                assert_eq!(machine.bus.read(index(USED), Size::B2, cpu), Ok(made.into()), "it is done");
            }
            (ran() - before, Self::take(machine))
        })
    }
}

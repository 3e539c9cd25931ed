//! A driver for tests, as the specification describes one.

use emu_core::addr::Pa;
use emu_core::bus::{Backing, Bus, Requester};
use emu_core::dma::Ports;
use emu_core::irq::IrqLine;
use emu_core::lifecycle::Component;
use emu_core::ram::GuestRam;
use test_kit::wires::Wires;

use super::*;
use crate::block::{BlockBackend, DiskQueue, MemoryDisk};
use crate::pci::{Bdf, PciHost};
use crate::stalling_port::{OnlyPort, StallingPort};

const CPU: Requester = Requester::Cpu(0);
pub(super) const RAM: u64 = 0x4000_0000;
const RAM_SIZE: u64 = 4 << 20;
/// Where its registers are put.
const BAR: u64 = 0x1000_0000;
pub(super) const AT: Bdf = Bdf::new(0, 1, 0);
/// Where the INTA# of device 1 ends.
pub(super) const INTX: u32 = 4;
/// Places in memory: queues by number, buffers.
pub(super) const fn sq(id: u16) -> u64 {
    RAM + 0x1_0000 + 0x2000 * id as u64
}
pub(super) const fn cq(id: u16) -> u64 {
    sq(id) + 0x1000
}
pub(super) const BUFFER: u64 = RAM + 0x10_0000;
pub(super) const LIST: u64 = RAM + 0x8000;
/// Entries of the queues that the rig makes.
pub(super) const SIZE: u16 = 8;

/// How a command ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct End {
    pub(super) result: u32,
    pub(super) head: u16,
    pub(super) queue: u16,
    pub(super) id: u16,
    pub(super) status: u16,
}

/// Heads, tails and phases as the driver knows them.
#[derive(Clone, Copy, Default)]
struct Pair {
    tail: u16,
    head: u16,
    flipped: bool,
}

pub(super) struct Rig {
    bus: Arc<Bus>,
    pub(super) host: Arc<PciHost>,
    pub(super) nvme: Arc<Nvme>,
    pub(super) port: Arc<StallingPort>,
    pub(super) wires: Arc<Wires>,
    pub(super) counters: Arc<Counters>,
    pub(super) disks: Vec<Arc<MemoryDisk>>,
    pairs: Mutex<BTreeMap<u16, Pair>>,
}

impl Rig {
    /// Of a controller that is not enabled: namespaces 1 (512 bytes a block) and 3 (4 KiB), of 1 MiB.
    pub(super) fn new() -> Self {
        let bus = Arc::new(Bus::new());
        bus.map(Pa(RAM), RAM_SIZE, Backing::Ram(GuestRam::new(RAM_SIZE).unwrap(), 0)).unwrap();
        let (wires, counters) = (Arc::new(Wires::default()), Arc::new(Counters::default()));
        let port = StallingPort::new(bus.clone());
        let ports: Arc<dyn Ports> = Arc::new(OnlyPort(port.clone()));
        let host = PciHost::new([3, 4, 5, 6].map(|l| IrqLine::new(wires.clone(), l)), ports, &counters);
        bus.map(Pa(BAR), 0x1000_0000, Backing::Mmio(host.memory_window("window", BAR))).unwrap();
        let disks: Vec<_> = (0..2).map(|_| Arc::new(MemoryDisk::new("disk", vec![0; 1 << 20]))).collect();
        let namespace = |id, n: usize, block_size| {
            let disk: Arc<dyn BlockBackend> = disks[n].clone();
            let disk = DiskQueue::new(disk, 0).unwrap();
            NamespaceOptions { id, disk, block_size, eui64: 0x1122_3344_5566_7788, uuid: [7; 16] }
        };
        let options = NvmeOptions {
            serial: "SERIAL".to_owned(),
            queues: 4,
            vectors: 5,
            mdts: 5,
            events: 3,
            inline: true,
        };
        let namespaces = vec![namespace(1, 0, 512), namespace(3, 1, 4096)];
        let nvme = Nvme::new("nvme", options, namespaces, &counters);
        assert_eq!(host.add(Some(1), nvme.clone()), Ok(AT));
        let rig = Self { bus, host, nvme, port, wires, counters, disks, pairs: Mutex::default() };
        rig.plug();
        rig
    }

    /// The BAR has its place, and the function may be a master.
    pub(super) fn plug(&self) {
        self.host.config_write(AT, 0x10, Size::B4, BAR as u32);
        self.host.config_write(AT, 4, Size::B2, 6);
    }

    /// One that is ready, with the admin queues.
    pub(super) fn ready() -> Self {
        let rig = Self::new();
        rig.enable();
        rig
    }

    pub(super) fn enable(&self) {
        self.set(0x24, Size::B4, u64::from(SIZE - 1) << 16 | u64::from(SIZE - 1));
        self.set(0x28, Size::B8, sq(0));
        self.set(0x30, Size::B8, cq(0));
        self.set(0x14, Size::B4, 0x46_0001);
        assert_eq!(self.csts(), 1);
        self.forget(0);
    }

    /// The queues of `id` are new ones.
    pub(super) fn forget(&self, id: u16) {
        self.pairs.lock().insert(id, Pair::default());
        self.fill(sq(id), 0, 0x2000);
    }

    /// The same with an I/O queue pair.
    pub(super) fn with_queue() -> Self {
        let rig = Self::ready();
        rig.make_queue(1);
        rig
    }

    pub(super) fn make_queue(&self, id: u16) {
        self.forget(id);
        let size = u32::from(SIZE - 1) << 16;
        assert_eq!(self.admin(Sqe::new(5).prp1(cq(id)).word(10, size | u32::from(id)).word(11, 3)).status, 0);
        let sqe = Sqe::new(1).prp1(sq(id)).word(10, size | u32::from(id)).word(11, 1 | u32::from(id) << 16);
        assert_eq!(self.admin(sqe).status, 0);
    }

    pub(super) fn get(&self, at: u64, size: Size) -> u64 {
        self.bus.read(Pa(BAR + at), size, CPU).unwrap()
    }
    pub(super) fn set(&self, at: u64, size: Size, value: u64) {
        self.bus.write(Pa(BAR + at), size, value, CPU).unwrap();
    }
    pub(super) fn csts(&self) -> u64 {
        self.get(0x1c, Size::B4)
    }
    pub(super) fn bytes(&self, at: u64, len: usize) -> Vec<u8> {
        let mut bytes = vec![0; len];
        self.bus.read_bytes(Pa(at), &mut bytes, CPU).unwrap();
        bytes
    }
    pub(super) fn put(&self, at: u64, bytes: &[u8]) {
        self.bus.write_bytes(Pa(at), bytes, CPU).unwrap();
    }
    pub(super) fn fill(&self, at: u64, byte: u8, len: usize) {
        self.put(at, &vec![byte; len]);
    }
    pub(super) fn doubles(&self, at: u64, values: &[u64]) {
        self.put(at, &values.iter().flat_map(|v| v.to_le_bytes()).collect::<Vec<_>>());
    }
    pub(super) fn anomalies(&self) -> u64 {
        self.counters.get(Metric::Anomalies)
    }
    pub(super) fn ring(&self, index: u64, value: u64) {
        self.set(0x1000 + 4 * index, Size::B4, value);
    }

    /// Puts a command into a queue, and tells of it.
    pub(super) fn submit(&self, queue: u16, sqe: Sqe) {
        let tail = {
            let mut pairs = self.pairs.lock();
            let pair = pairs.get_mut(&queue).unwrap();
            self.put(sq(queue) + 64 * u64::from(pair.tail), &sqe.bytes());
            pair.tail = (pair.tail + 1) % SIZE;
            pair.tail
        };
        self.ring(2 * u64::from(queue), tail.into());
    }

    /// The next completion, if it is there.
    pub(super) fn next(&self, queue: u16) -> Option<End> {
        let mut pairs = self.pairs.lock();
        let pair = pairs.get_mut(&queue).unwrap();
        let entry = self.bytes(cq(queue) + 16 * u64::from(pair.head), 16);
        let word = |n: usize| u32::from_le_bytes(*entry[4 * n..].first_chunk().unwrap());
        if (word(3) >> 16 & 1 != 0) == pair.flipped {
            return None;
        }
        pair.head = (pair.head + 1) % SIZE;
        pair.flipped ^= pair.head == 0;
        let head = pair.head;
        drop(pairs);
        self.ring(2 * u64::from(queue) + 1, head.into());
        Some(End {
            result: word(0),
            head: word(2) as u16,
            queue: (word(2) >> 16) as u16,
            id: word(3) as u16,
            status: (word(3) >> 17) as u16,
        })
    }

    /// Executes a command that nothing holds up.
    pub(super) fn run(&self, queue: u16, sqe: Sqe) -> End {
        self.submit(queue, sqe);
        self.next(queue).expect("it has ended")
    }
    pub(super) fn admin(&self, sqe: Sqe) -> End {
        self.run(0, sqe)
    }
    pub(super) fn io(&self, sqe: Sqe) -> u16 {
        self.run(1, sqe).status
    }

    pub(super) fn stalled(&self) -> Vec<StallTag> {
        std::mem::take(&mut *self.port.stalled.lock())
    }

    pub(super) fn use_msix(&self) {
        let mut at = self.host.config_read(AT, 0x34, Size::B1) as u16;
        while self.host.config_read(AT, at, Size::B1) != 0x11 {
            at = self.host.config_read(AT, at + 1, Size::B1) as u16;
        }
        for vector in 0..5 {
            self.set(0x2000 + 16 * vector, Size::B4, RAM + 8 * vector);
            self.set(0x2000 + 16 * vector + 8, Size::B4, 0x100 + vector);
            self.set(0x2000 + 16 * vector + 12, Size::B4, 0);
        }
        self.host.config_write(AT, at + 2, Size::B2, 1 << 15);
    }
    /// The message of a vector, if it was sent since this was last asked.
    pub(super) fn message(&self, vector: u64) -> u32 {
        let bytes = self.bytes(RAM + 8 * vector, 4);
        self.fill(RAM + 8 * vector, 0, 4);
        u32::from_le_bytes(*bytes.first_chunk().unwrap())
    }

    pub(super) fn disk(&self, n: usize, offset: u64, len: usize) -> Vec<u8> {
        let mut bytes = vec![0; len];
        self.disks[n].read_at(offset, &mut bytes).unwrap();
        bytes
    }

    pub(super) fn flr(&self) {
        self.nvme.reset();
    }
}

/// A command that is being made.
#[derive(Clone, Copy)]
pub(super) struct Sqe([u32; 16]);

impl Sqe {
    pub(super) fn new(opcode: u32) -> Self {
        let mut words = [0; 16];
        words[0] = opcode | 0x77 << 16;
        Self(words)
    }
    pub(super) fn word(mut self, n: usize, value: u32) -> Self {
        self.0[n] = value;
        self
    }
    pub(super) fn id(self, id: u16) -> Self {
        self.word(0, self.0[0] & 0xffff | u32::from(id) << 16)
    }
    pub(super) fn nsid(self, id: u32) -> Self {
        self.word(1, id)
    }
    pub(super) fn prp1(self, at: u64) -> Self {
        self.word(6, at as u32).word(7, (at >> 32) as u32)
    }
    pub(super) fn prp2(self, at: u64) -> Self {
        self.word(8, at as u32).word(9, (at >> 32) as u32)
    }
    /// With an SGL whose first descriptor is this.
    pub(super) fn sgl(self, at: u64, len: u32, kind: u32) -> Self {
        self.prp1(at).word(8, len).word(9, kind << 24).word(0, self.0[0] | 1 << 14)
    }
    /// Blocks of a namespace, the number of them 0's based.
    pub(super) fn blocks(self, lba: u64, count: u32) -> Self {
        self.word(10, lba as u32).word(11, (lba >> 32) as u32).word(12, count)
    }
    fn bytes(self) -> Vec<u8> {
        self.0.iter().flat_map(|w| w.to_le_bytes()).collect()
    }
}

pub(super) fn write() -> Sqe {
    Sqe::new(1).nsid(1).prp1(BUFFER)
}
pub(super) fn read() -> Sqe {
    Sqe::new(2).nsid(1).prp1(BUFFER)
}

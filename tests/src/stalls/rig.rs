//! The SMMUv3 under stress, its tables in memory, and the registers and queues as software uses them.

use std::sync::Arc;

use emu_core::Pa;
use emu_core::addr::Size;
use emu_core::bus::{Backing, Bus, Requester};
use emu_core::clock::{Clock, Mode};
use emu_core::dma::{DirectPort, Master, Stalls};
use emu_core::irq::{IrqLine, Unconnected};
use emu_core::lifecycle::Component;
use emu_core::ram::GuestRam;
use emu_smmu::v3::profile::Profile;
use emu_smmu::v3::{Config, Smmuv3, WINDOW as REGISTERS};
use parking_lot::{Mutex, MutexGuard};

/// Masters, with StreamIDs from 0 on. Every third one has stage 1, stage 2 and both.
pub(super) const STREAMS: u32 = 9;
/// Pages of each that come and go.
pub(super) const PAGES: u64 = 8;
pub(super) const PAGE: u64 = 0x1000;
/// The first of them as masters see it, and under two stages also the IPA. Nothing is there in memory: what passes an SMMU that
/// translates nothing is aborted.
pub(super) const WINDOW: u64 = 0x4020_0000;

const SMMU: u64 = 0x0905_0000;
const RAM: u64 = 0x4000_0000;
const RAM_SIZE: u64 = 1 << 20;
const STREAM_TABLE: u64 = RAM;
const CONTEXTS: u64 = RAM + 0x1000;
const COMMANDS: u64 = RAM + 0x2000;
const COMMAND_BITS: u64 = 8;
const EVENTS: u64 = RAM + 0x3000;
/// Six tables of each stream: three levels of stage 1, three of stage 2.
const TABLES: u64 = RAM + 0x1_0000;
const DATA: u64 = RAM + 0x8_0000;

/// Fewer than masters could have.
const STALL_MAX: u16 = 14;

/// CR0: queues, and translation.
const CMDQEN: u64 = 8;
const EVENTQEN: u64 = 4;
const SMMUEN: u64 = 1;

const CPU: Requester = Requester::Cpu(0);

/// See the module's head.
pub(super) struct Rig {
    bus: Arc<Bus>,
    pub(super) ram: &'static GuestRam,
    pub(super) smmu: Arc<Smmuv3>,
    /// Whose turn it is with the command queue, and with the registers.
    commands: Mutex<()>,
    /// With the event queue.
    events: Mutex<()>,
}

/// An event as its record says.
#[derive(Clone, Copy)]
pub(super) struct Event {
    pub(super) code: u8,
    pub(super) stream: u32,
    /// It is a stall's, with this STAG.
    pub(super) stag: Option<u64>,
    pub(super) address: u64,
}

/// The stages of a stream.
const fn stages(stream: u32) -> (bool, bool) {
    (stream % 3 != 1, !stream.is_multiple_of(3))
}

const fn table(stream: u32, n: u64) -> u64 {
    TABLES + (stream as u64 * 6 + n) * PAGE
}

/// The physical page behind a page of a stream: pages are scattered.
pub(super) const fn physical(stream: u32, page: u64) -> u64 {
    DATA - RAM + (stream as u64 * PAGES + (page * 5 + 3) % PAGES) * PAGE
}

/// AF, inner shareable, and at stage 1 nG and unprivileged; at stage 2 write-back, to be read and written.
const S1_PAGE: u64 = 1 << 11 | 1 << 10 | 3 << 8 | 1 << 6 | 3;
const S2_PAGE: u64 = 1 << 10 | 3 << 8 | 3 << 6 | 0xf << 2 | 3;

impl Rig {
    pub(super) fn new() -> Self {
        let ram = GuestRam::new(RAM_SIZE).expect("the host has a MiB of address space");
        let bus = Arc::new(Bus::new());
        bus.map(Pa(RAM), RAM_SIZE, Backing::Ram(ram, 0)).expect("it is the first region");
        let smmu = Smmuv3::new(Config {
            name: "smmuv3".to_owned(),
            profile: Profile { stall_max: STALL_MAX, ..Profile::FULL },
            bus: bus.clone(),
            clock: Clock::new(Mode::Counted),
            wires: [0, 1, 2, 3].map(|line| IrqLine::new(Arc::new(Unconnected), line)),
            messages: Arc::new(DirectPort::new(bus.clone(), Master::new(0xff00, Stalls::Never))),
            send_event: None,
            counters: Arc::default(),
        });
        bus.map(Pa(SMMU), REGISTERS, Backing::Mmio(smmu.clone())).expect("the place is free");
        let rig = Self { bus, ram, smmu, commands: Mutex::new(()), events: Mutex::new(()) };
        rig.fill_memory();
        rig
    }

    /// Tables that lack their last descriptors, and data that tells where it is.
    fn fill_memory(&self) {
        for at in (DATA - RAM..RAM_SIZE).step_by(8) {
            self.put(RAM + at, at.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        }
        let index = |level: u64| 8 * (WINDOW >> (39 - 9 * level) & 511);
        for stream in 0..STREAMS {
            for (first, present) in [(0, stages(stream).0), (3, stages(stream).1)] {
                if present {
                    self.put(table(stream, first) + index(1), table(stream, first + 1) | 3);
                    self.put(table(stream, first + 1) + index(2), table(stream, first + 2) | 3);
                }
            }
            if stages(stream) == (true, true) {
                // Stage 1 is always there; its tables and CDs are in a block of stage 2 that is, too.
                (0..PAGES).for_each(|page| {
                    self.put(table(stream, 2) + 8 * page, (WINDOW + PAGE * page) | S1_PAGE);
                });
                self.put(table(stream, 4) + 8 * (RAM >> 21 & 511), RAM | S2_PAGE & !2);
            }
            self.configure(stream);
        }
    }

    /// An STE, which is valid, and its CD.
    fn configure(&self, stream: u32) {
        let id = u64::from(stream);
        let (one, two) = stages(stream);
        // T0SZ, EPD1, V, IPS 48, AA64, S, R, ASET, ASID. A is 0 in every second stream: what is terminated so reads zeroes.
        let dw0 = 25 | 1 << 30 | 1 << 31 | 5 << 32 | 1 << 41 | 1 << 44 | 1 << 45 | (id & 1) << 46 | id << 48;
        for (n, dw) in [dw0, table(stream, 0), 0, 0xff].into_iter().enumerate() {
            self.put(CONTEXTS + 64 * id + 8 * n as u64, dw);
        }
        // VMID, S2T0SZ, S2SL0 = 1, S2PS 48, S2AA64, S2S, S2R.
        let s2 = id | 25 << 32 | 1 << 38 | 5 << 48 | 1 << 51 | 1 << 57 | 1 << 58;
        let at = STREAM_TABLE + 64 * id;
        self.put(at + 16, if two { s2 } else { id });
        self.put(at + 24, table(stream, 3));
        let config = 4 | u64::from(two) << 1 | u64::from(one);
        self.put(at, 1 | config << 1 | (CONTEXTS + 64 * id));
    }

    fn put(&self, at: u64, value: u64) {
        self.ram.store_u64(at - RAM, value).expect("it is in memory");
    }

    fn get(&self, at: u64) -> u64 {
        self.ram.load_u64(at - RAM).expect("it is in memory")
    }

    /// Maps a page of a stream, or takes it away, where it comes and goes: at the last stage.
    pub(super) fn map(&self, stream: u32, page: u64, present: bool) {
        let (_, two) = stages(stream);
        let (last, attributes) = if two { (5, S2_PAGE) } else { (2, S1_PAGE) };
        let descriptor = if present { (RAM + physical(stream, page)) | attributes } else { 0 };
        self.put(table(stream, last) + 8 * page, descriptor);
    }

    fn r(&self, offset: u64) -> u64 {
        self.bus.read(Pa(SMMU + offset), Size::B4, CPU).expect("a register")
    }

    fn w(&self, offset: u64, size: Size, value: u64) {
        self.bus.write(Pa(SMMU + offset), size, value, CPU).expect("a register");
    }

    /// The registers and the command queue.
    pub(super) fn lock(&self) -> Driver<'_> {
        Driver { rig: self, _turn: self.commands.lock(), _events: None }
    }

    /// And the event queue.
    pub(super) fn lock_all(&self) -> Driver<'_> {
        let events = self.events.lock();
        Driver { rig: self, _turn: self.commands.lock(), _events: Some(events) }
    }

    /// The next event, which is consumed.
    pub(super) fn event(&self) -> Option<Event> {
        let _turn = self.events.lock();
        let (prod, cons) = (self.r(0x1_00a8), self.r(0x1_00ac));
        let size = 1 << (self.r(0xa0) & 0x1f);
        if (prod ^ cons) & (2 * size - 1) == 0 {
            return None;
        }
        let at = EVENTS + 32 * (cons & (size - 1));
        let [first, second, address] = [0, 8, 16].map(|n| self.get(at + n));
        // An overflow is acknowledged in passing.
        self.w(0x1_00ac, Size::B4, prod & 1 << 31 | (cons + 1) & (2 * size - 1));
        let stag = (second >> 31 & 1 != 0).then_some(second & 0xffff);
        Some(Event { code: first as u8, stream: (first >> 32) as u32, stag, address })
    }
}

/// A processor at its turn.
pub(super) struct Driver<'a> {
    rig: &'a Rig,
    _turn: MutexGuard<'a, ()>,
    _events: Option<MutexGuard<'a, ()>>,
}

impl Driver<'_> {
    /// Has commands executed, with a CMD_SYNC behind them.
    pub(super) fn commands(&self, commands: &[[u64; 2]]) -> Result<(), String> {
        let rig = self.rig;
        let mut prod = rig.r(0x98);
        for [first, second] in commands.iter().chain(&[[0x46, 0]]) {
            let at = COMMANDS + 16 * (prod & ((1 << COMMAND_BITS) - 1));
            rig.put(at, *first);
            rig.put(at + 8, *second);
            prod = (prod + 1) & ((2 << COMMAND_BITS) - 1);
        }
        rig.w(0x98, Size::B4, prod);
        match (rig.r(0x9c) == prod, rig.r(0x60)) {
            (true, 0) => Ok(()),
            (_, gerror) => Err(format!("commands stand, GERROR is {gerror:#x}: {commands:x?}")),
        }
    }

    /// Translates, or not. While it does not, nothing passes: GBPA says so.
    pub(super) fn enable(&self, on: bool) {
        self.rig.w(0x20, Size::B4, CMDQEN | EVENTQEN | if on { SMMUEN } else { 0 });
    }

    /// Puts a stream's STE out of force, or into it again.
    pub(super) fn attach(&self, stream: u32, valid: bool) {
        let at = STREAM_TABLE + 64 * u64::from(stream);
        self.rig.put(at, self.rig.get(at) & !1 | u64::from(valid));
    }

    pub(super) fn reset(&self) {
        Component::reset(&*self.rig.smmu);
    }

    /// After reset: everything on, with room for 2^`bits` events.
    pub(super) fn set_up(&self, bits: u64) {
        let w = |offset, value| self.rig.w(offset, Size::B4, value);
        let w64 = |offset, value| self.rig.w(offset, Size::B8, value);
        w(0x44, 1 << 31 | 1 << 20);
        w64(0x80, STREAM_TABLE);
        w(0x88, 4);
        w64(0x90, COMMANDS | COMMAND_BITS);
        w64(0xa0, EVENTS | bits);
        // RECINVSID, and TLB maintenance of CPUs is taken part in.
        w(0x2c, 2);
        self.enable(true);
    }
}

//! Streams under a core, with their tables in memory and a queue that may be full.

mod atos;
mod ats;
mod configuration;
mod explain;
mod faults;
mod oracle;

use std::sync::atomic::{AtomicBool, Ordering::SeqCst};

use super::super::bench::{Bench, FULL, RAM, words};
use super::super::event::Queued;
use super::*;
use crate::translation::{Access, Answer, Config};
use emu_core::Security;
use emu_core::clock::{Clock, Mode};
use emu_core::dma::{DmaAttrs, DmaClient, DmaFault, DmaPort, Master, MemoryType, StallTag, Stalls};
use emu_mmu::TlbiScope;
use parking_lot::Mutex;

const TABLE: u64 = RAM + 0x1_0000;
const CDS: u64 = RAM + 0x2_0000;
const PT: u64 = RAM + 0x3_0000;
const S2PT: u64 = RAM + 0x4_0000;
const DATA: u64 = RAM + 0x8_0000;
const STREAM: u32 = 2;

/// A page at `DATA`: Normal memory, readable and writable at both privileges, accessed, not global.
const PAGE: u64 = DATA | 0xc43;

struct Queue {
    events: Mutex<Vec<Event>>,
    full: AtomicBool,
    /// What becomes of page requests.
    pages: Mutex<Queued>,
}

impl Recorder for Queue {
    fn record(&self, event: &Event) -> bool {
        let room = !self.full.load(SeqCst);
        if room {
            self.events.lock().push(*event);
        }
        room
    }
    fn page_request(&self, _: u32, _: &PageRequest) -> Queued {
        *self.pages.lock()
    }
}

#[derive(Default)]
struct Told(Mutex<Vec<bool>>);

impl DmaClient for Told {
    fn resume(&self, _: StallTag, retry: bool) {
        self.0.lock().push(retry);
    }
}

struct Rig {
    bench: Bench,
    queue: Arc<Queue>,
    streams: Arc<Streams>,
    core: Arc<Core>,
    told: Arc<Told>,
}

/// Linear, 16 streams.
const ENABLED: Settings = Settings {
    enabled: true,
    ats_check: false,
    bypass_aborts: false,
    strtab_base: TABLE,
    strtab_base_cfg: 4,
    record_bad_stream: true,
    e2h: false,
    private_tlb: true,
    vmid_wildcard: 0,
};

impl Rig {
    fn new(profile: Profile) -> Self {
        let bench = Bench::new();
        let queue = Arc::new(Queue {
            events: Mutex::default(),
            full: AtomicBool::new(false),
            pages: Mutex::new(Queued::Recorded),
        });
        let streams = Streams::new(bench.bus.clone(), profile, queue.clone());
        let config = Config { features: profile.features(), stall_max: profile.stall_max };
        let core = Core::new(streams.clone(), bench.bus.clone(), Clock::new(Mode::Counted), config);
        streams.attach(&core);
        streams.set(ENABLED);
        Self { bench, queue, streams, core, told: Arc::default() }
    }

    fn full() -> Self {
        Self::new(FULL)
    }

    fn ste(&self, bits: &[(u16, u64)]) {
        self.bench.put(TABLE + u64::from(STREAM) * 64, &words(&[&[(0, 1)], bits].concat()));
        self.streams.invalidate_ste(STREAM);
    }

    fn cd(&self, index: u64, bits: &[(u16, u64)]) {
        self.bench.put(CDS + index * 64, &words(&[&CD[..], bits].concat()));
        self.streams.invalidate_cd(STREAM, index as u32);
    }

    /// Stage 1 alone, its page at 0x1000 being `leaf`.
    fn stage1(&self, leaf: u64, ste: &[(u16, u64)], cd: &[(u16, u64)]) {
        self.ste(&[&[(1, 5), (0, CDS)], ste].concat());
        self.cd(0, cd);
        map(&self.bench, PT, 0x1000, leaf);
    }

    /// Stage 2, whose tables map the first 2 MiB of RAM to itself with `ram`; with the Config in `ste`.
    fn stage2(&self, ram: u64, ste: &[(u16, u64)]) {
        self.ste(&[&S2[..], ste].concat());
        self.bench.put(S2PT + 8, &[(S2PT + 0x1000) | 3]);
        self.bench.put(S2PT + 0x1000, &[ram]);
    }

    fn port(&self) -> Arc<dyn DmaPort> {
        self.core.port(Master::new(STREAM, Stalls::Never))
    }

    fn stallable(&self) -> Arc<dyn DmaPort> {
        let told: Arc<dyn DmaClient> = self.told.clone();
        self.core.port(Master::new(STREAM, Stalls::Notify(Arc::downgrade(&told))))
    }

    /// What was recorded since the last call.
    fn events(&self) -> Vec<Event> {
        std::mem::take(&mut *self.queue.events.lock())
    }

    fn names(&self) -> Vec<&'static str> {
        self.events().iter().map(|e| e.kind.name().1).collect()
    }

    fn read(&self, at: u64) -> Result<u8, DmaFault> {
        let mut byte = [0];
        self.port().read(DmaAttrs::default(), at, &mut byte).map(|()| byte[0])
    }

    /// The one event of a read that is aborted.
    fn event(&self, at: u64) -> Event {
        assert_eq!(self.read(at), Err(DmaFault::Abort));
        let events = self.events();
        assert_eq!(events.len(), 1, "{events:?}");
        events[0]
    }
}

/// V, T0SZ 25, EPD1, 48 bits, AA64, R, A, TTB0.
const CD: [(u16, u64); 8] = [(0, 25), (30, 1), (31, 1), (32, 5), (41, 1), (45, 1), (46, 1), (68, PT >> 4)];
/// VMID 7, T0SZ 25 from level 1, 48 bits, AA64, R, S2TTB.
const S2: [(u16, u64); 7] = [(128, 7), (160, 25), (166, 1), (176, 5), (179, 1), (186, 1), (196, S2PT >> 4)];
/// The RAM's block at stage 2.
const BLOCK2: u64 = RAM | 0x7fd;

/// Maps a page of the first 2 MiB by tables at `root`.
fn map(bench: &Bench, root: u64, at: u64, leaf: u64) {
    bench.put(root, &[(root + 0x1000) | 3]);
    bench.put(root + 0x1000, &[(root + 0x2000) | 3]);
    bench.put(root + 0x2000 + (at >> 12) * 8, &[leaf]);
}

const READ: Transaction = Transaction {
    stream: STREAM,
    substream: None,
    address: 0x1000,
    access: Access::Read,
    privileged: false,
    instruction: false,
    security: Security::NonSecure,
    memory: MemoryType::WriteBack,
    translated: false,
    may_stall: false,
};

fn aborted(verdict: &Verdict) -> bool {
    matches!(verdict, Verdict::Refuse(Refusal::Abort))
}

fn record(kind: Kind) -> TranslationRecord {
    match kind {
        Kind::WalkAbort(r, _) => r,
        Kind::Translation(r) | Kind::AddressSize(r) | Kind::AccessFlag(r) | Kind::Permission(r) => r,
        other => panic!("{other:?}"),
    }
}

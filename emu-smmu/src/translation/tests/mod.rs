//! Tests of the core, with a front that says what it is told to, and tables of one root at level 1 for 4 GiB of addresses.

mod invalidation;
mod paths;
mod sanitize;
mod stalls;
mod stress;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::sync::{Arc, OnceLock, Weak};

use emu_core::Pa;
use emu_core::bus::{Backing, Bus};
use emu_core::clock::{Clock, Mode};
use emu_core::dma::{Dma, DmaAttrs, DmaClient, DmaFault, DmaPort, Master, StallTable, StallTag, Stalls};
use emu_core::ram::GuestRam;
use emu_mmu::{Features, Regime, Stage1, Stage1Regs, Stage2, Stage2Regs};
use parking_lot::{Condvar, Mutex};

use super::*;

const RAM: u64 = 0x4000_0000;
const RAM_SIZE: u64 = 64 << 20;
/// Tables are in the upper half of the memory, data is in the lower one.
const TABLES: u64 = RAM + RAM_SIZE / 2;

/// Descriptor bits: AF, AP[1] (unprivileged too), a page; nG.
const PAGE: u64 = 1 << 10 | 1 << 6 | 3;
const NOT_GLOBAL: u64 = 1 << 11;
const READ_ONLY: u64 = 1 << 7;
/// A block of level 2.
const BLOCK: u64 = PAGE & !2;
/// Of stage 2: AF, S2AP read and write, MemAttr Normal write-back, a page.
const PAGE2: u64 = 1 << 10 | 3 << 6 | 0xf << 2 | 3;

/// What the front does with faults.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum OnFault {
    Refuse(Refusal),
    /// Stalls, or aborts if that cannot be.
    Stall,
    /// Stalls, and software answers before the front has returned; the page is mapped before.
    StallAnswered(Answer),
}

/// The front: contexts by stream, what becomes of faults, and what was asked and recorded.
pub(super) struct Said {
    verdicts: Mutex<BTreeMap<u32, Verdict>>,
    on_fault: Mutex<OnFault>,
    core: OnceLock<Weak<Core>>,
    ram: Memory,
    asked: AtomicU64,
    faults: Mutex<Vec<(Transaction, Faulted)>>,
    external: Mutex<Vec<(u64, Pa)>>,
    /// Stalls, as software finds them.
    events: Mutex<Vec<(u32, u16, u64)>>,
    event: Condvar,
    /// Writes that software had ignored: stream, address, STAG.
    ignored: Mutex<BTreeSet<(u32, u64, u16)>>,
}

impl Front for Said {
    fn verdict(&self, t: &Transaction) -> Verdict {
        self.asked.fetch_add(1, SeqCst);
        self.verdicts.lock().get(&t.stream).cloned().unwrap_or(Verdict::Refuse(Refusal::Abort))
    }

    fn fault(&self, t: &Transaction, context: &Context, faulted: &Faulted) -> Refusal {
        self.faults.lock().push((*t, *faulted));
        let core = || self.core.get().unwrap().upgrade().unwrap();
        let on_fault = *self.on_fault.lock();
        let stall = || core().stall(t).map_or(Refusal::Abort, Refusal::Stall);
        match on_fault {
            OnFault::Refuse(refusal) => refusal,
            OnFault::Stall => {
                let refusal = stall();
                if let Refusal::Stall(tag) = refusal {
                    self.events.lock().push((t.stream, stag(tag), t.address));
                    self.event.notify_all();
                }
                refusal
            }
            OnFault::StallAnswered(answer) => {
                let refusal = stall();
                let Refusal::Stall(tag) = refusal else { return refusal };
                let root = context.stage1.unwrap().halves[0].ttbr & 0xffff_ffff_f000;
                self.ram.map(root, 3, t.address & !0xfff, DATA | PAGE);
                assert!(core().resume(t.stream, stag(tag), answer));
                refusal
            }
        }
    }

    fn external_abort(&self, t: &Transaction, output: Pa) {
        self.external.lock().push((t.address, output));
    }
}

/// Where tests map pages to.
const DATA: u64 = RAM + 0x10_0000;

/// The memory of the machine, and the tables in it.
#[derive(Clone)]
struct Memory {
    ram: &'static GuestRam,
    /// The page after the last table.
    next: Arc<AtomicU64>,
}

impl Memory {
    fn table(&self) -> u64 {
        let at = self.next.fetch_add(0x1000, SeqCst);
        assert!(at < RAM + RAM_SIZE);
        at
    }

    fn load(&self, at: u64) -> u64 {
        self.ram.load_u64(at - RAM).unwrap()
    }

    fn store(&self, at: u64, value: u64) {
        self.ram.store_u64(at - RAM, value).unwrap();
    }

    /// Where the descriptor of `va` at `level` is, with the tables above it.
    fn descriptor(&self, root: u64, level: u32, va: u64) -> u64 {
        (1..level).fold(root, |table, level| {
            let at = table + (va >> (39 - 9 * level) & 0x1ff) * 8;
            if self.load(at) & 1 == 0 {
                self.store(at, self.table() | 3);
            }
            self.load(at) & 0xffff_ffff_f000
        }) + (va >> (39 - 9 * level) & 0x1ff) * 8
    }

    fn map(&self, root: u64, level: u32, va: u64, descriptor: u64) {
        self.store(self.descriptor(root, level, va), descriptor);
    }
}

const FEATURES: Features = Features::neoverse_n1();

/// A stage 1 of EL1&0 with tables at `root`.
fn stage1(root: u64, asid: u16) -> Stage1 {
    // 32-bit addresses, no upper half, 40-bit output, 16-bit ASIDs.
    let tcr = 32 | 1 << 23 | 2 << 32 | 1 << 36;
    let regs = Stage1Regs {
        sctlr: 5,
        tcr,
        ttbr0: u64::from(asid) << 48 | root,
        mair: 0xff,
        ..Stage1Regs::default()
    };
    Stage1::from_regs(&FEATURES, Regime::El10, &regs)
}

fn stage2(root: u64, vmid: u16) -> Stage2 {
    // 32-bit addresses from level 1 on, 40-bit output, 16-bit VMIDs.
    let vtcr = 32 | 1 << 6 | 2 << 16 | 1 << 19;
    Stage2::from_regs(&FEATURES, &Stage2Regs { vtcr, vttbr: u64::from(vmid) << 48 | root, hcr: 1 })
}

fn context(stage1: Option<Stage1>, stage2: Option<Stage2>) -> Context {
    Context { stage1, stage2, vmid: stage2.map_or(0, |s| s.vmid), ..Context::default() }
}

struct Rig {
    memory: Memory,
    front: Arc<Said>,
    core: Arc<Core>,
    clock: Arc<Clock>,
    attrs: DmaAttrs,
}

impl Rig {
    fn new() -> Self {
        let memory = Memory { ram: GuestRam::new(RAM_SIZE).unwrap(), next: Arc::new(AtomicU64::new(TABLES)) };
        let bus = Arc::new(Bus::new());
        bus.map(Pa(RAM), RAM_SIZE, Backing::Ram(memory.ram, 0)).unwrap();
        let front = Arc::new(Said {
            verdicts: Mutex::default(),
            on_fault: Mutex::new(OnFault::Refuse(Refusal::Abort)),
            core: OnceLock::new(),
            ram: memory.clone(),
            asked: AtomicU64::new(0),
            faults: Mutex::default(),
            external: Mutex::default(),
            events: Mutex::default(),
            event: Condvar::new(),
            ignored: Mutex::default(),
        });
        let clock = Clock::new(Mode::Counted);
        let core = Core::new(front.clone(), bus, clock.clone(), Config { features: FEATURES, stall_max: 16 });
        assert!(front.core.set(Arc::downgrade(&core)).is_ok());
        Self { memory, front, core, clock, attrs: DmaAttrs::default() }
    }

    fn say(&self, stream: u32, verdict: Verdict) {
        self.front.verdicts.lock().insert(stream, verdict);
        self.core.forget_contexts();
    }

    /// Stream `stream` is translated by stage 1 alone; gives the root of its tables.
    fn translate(&self, stream: u32, asid: u16) -> u64 {
        let root = self.memory.table();
        self.say(stream, Verdict::Translate(Arc::new(context(Some(stage1(root, asid)), None))));
        root
    }

    fn port(&self, stream: u32) -> Arc<dyn DmaPort> {
        self.core.port(Master::new(stream, Stalls::Never))
    }

    fn read(&self, port: &Arc<dyn DmaPort>, addr: u64, len: usize) -> Result<Vec<u8>, DmaFault> {
        let mut buf = vec![0xee; len];
        port.read(self.attrs, addr, &mut buf).map(|()| buf)
    }

    fn write(&self, port: &Arc<dyn DmaPort>, addr: u64, bytes: &[u8]) -> Result<(), DmaFault> {
        port.write(self.attrs, addr, bytes)
    }

    fn count(&self, stream: u32) -> StreamCount {
        self.core.counts().into_iter().find(|(id, _)| *id == stream).unwrap().1
    }

    fn bytes(&self, pa: u64, len: usize) -> Vec<u8> {
        let mut out = vec![0; len];
        self.memory.ram.read(pa - RAM, &mut out).unwrap();
        out
    }
}

/// A master that can wait, with a task or more.
#[derive(Default)]
struct Patient {
    stalls: Arc<StallTable>,
    told: Mutex<Vec<(StallTag, bool)>>,
    resumed: Condvar,
}

impl DmaClient for Patient {
    fn resume(&self, tag: StallTag, retry: bool) {
        let mut told = self.told.lock();
        self.stalls.resume(tag, retry);
        told.push((tag, retry));
        self.resumed.notify_all();
    }
}

impl Patient {
    fn port(self: &Arc<Self>, core: &Arc<Core>, stream: u32) -> Arc<dyn DmaPort> {
        let client: Weak<dyn DmaClient> = Arc::<Self>::downgrade(self);
        core.port(Master::new(stream, Stalls::Notify(client)))
    }

    fn dma(&self, port: &Arc<dyn DmaPort>) -> Dma {
        Dma::new(port.clone(), self.stalls.clone(), 0, DmaAttrs::default())
    }
}

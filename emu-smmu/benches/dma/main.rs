//! What translation costs, in processor time of the thread that it is done on: `cargo xtask bench` runs this, by its own protocol.
//!
//!     dma MILLISECONDS NAME...
//!
//! It prints what `tests/bench/main.c` prints. A round is one access, of 8 bytes or a page, or one request
//! to a disk.

mod disk;

use std::hint::black_box;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use emu_core::Pa;
use emu_core::addr::{PAGE_SIZE, Size};
use emu_core::bus::{Backing, Bus, MmioDevice, Requester};
use emu_core::clock::{Clock, Mode};
use emu_core::dma::{DirectPort, DmaAttrs, DmaPort, Master, Ports, Stalls};
use emu_core::irq::{IrqLine, IrqSink};
use emu_core::ram::GuestRam;
use emu_smmu::v3::profile::Profile;
use emu_smmu::v3::{Config, Smmuv3};
use nix::time::{ClockId, clock_gettime};
use parking_lot::Mutex;

const RAM: u64 = 0x4000_0000;
const RAM_SIZE: u64 = 64 << 20;
const STREAM_TABLE: u64 = RAM;
const COMMANDS: u64 = RAM + 0x1_0000;
const DESCRIPTOR: u64 = RAM + 0x2_0000;
const LEVEL1: u64 = RAM + 0x3_0000;
const LEVEL2: u64 = RAM + 0x3_1000;
const LEVEL3: u64 = RAM + 0x4_0000;
const DATA: u64 = RAM + (32 << 20);
/// Input addresses of the stream that is translated.
const IOVA: u64 = 0x8000_0000;
const ASID: u64 = 1;

/// StreamIDs: of the SMMU's own messages, of what is translated, of what bypasses.
const MESSAGES: u32 = 0;
const TRANSLATED: u32 = 1;
const BYPASSED: u32 = 2;

/// Pages: those of a master with some buffers, and those of one with many.
const FEW: u64 = 128;
const MANY: u64 = 4096;

/// Accesses that are measured together.
const BATCH: u64 = 4096;

/// Registers that are written (Arm IHI 0070, 6.3).
const CR0: u64 = 0x20;
const STRTAB_BASE: u64 = 0x80;
const STRTAB_BASE_CFG: u64 = 0x88;
const CMDQ_BASE: u64 = 0x90;
const CMDQ_PROD: u64 = 0x98;
const CMDQ_CONS: u64 = 0x9c;

struct Unwired;

impl IrqSink for Unwired {
    fn set_level(&self, _: u32, _: bool) {}
}

/// An SMMU in front of memory, in which [`MANY`] pages are mapped for one stream.
struct Machine {
    bus: Arc<Bus>,
    smmu: Arc<Smmuv3>,
    /// Held by who fills the command queue.
    commands: Mutex<()>,
}

impl Machine {
    fn new() -> Self {
        let bus = Arc::new(Bus::new());
        let ram = GuestRam::new(RAM_SIZE).expect("memory");
        bus.map(Pa(RAM), RAM_SIZE, Backing::Ram(ram, 0)).expect("an empty bus");
        let wires = Arc::new(Unwired);
        let smmu = Smmuv3::new(Config {
            name: "smmuv3".to_owned(),
            profile: Profile::FULL,
            bus: bus.clone(),
            clock: Clock::new(Mode::Counted),
            wires: [0, 1, 2, 3].map(|line| IrqLine::new(wires.clone(), line)),
            messages: Arc::new(DirectPort::new(bus.clone(), Master::new(MESSAGES, Stalls::Never))),
            send_event: None,
            counters: Arc::default(),
        });
        let machine = Self { bus, smmu, commands: Mutex::default() };
        machine.fill();
        machine.enable();
        machine
    }

    fn port(&self, stream: u32) -> Arc<dyn DmaPort> {
        self.smmu.port(Master::new(stream, Stalls::Never))
    }

    fn put(&self, at: u64, words: &[u64]) {
        for (n, word) in words.iter().enumerate() {
            let at = Pa(at + 8 * n as u64);
            self.bus.write(at, Size::B8, *word, Requester::Machine).expect("memory is there");
        }
    }

    fn set(&self, register: u64, size: Size, value: u64) {
        self.smmu.write(register, size, value, Requester::Cpu(0)).expect("a register");
    }

    /// Tables of streams and of translations, and data that tells its page.
    fn fill(&self) {
        self.put(LEVEL1 + 8 * (IOVA >> 30), &[LEVEL2 | 3]);
        for n in 0..MANY / 512 {
            self.put(LEVEL2 + 8 * n, &[(LEVEL3 + n * PAGE_SIZE) | 3]);
        }
        for n in 0..MANY {
            // A page that is accessed, inner shareable, unprivileged, of this ASID.
            let page = DATA + n * PAGE_SIZE;
            self.put(LEVEL3 + 8 * n, &[page | 1 << 11 | 1 << 10 | 3 << 8 | 1 << 6 | 3]);
            self.put(page, &[n]);
        }
        // T0SZ of 39 bits, EPD1, V, IPS, AA64, R, A, ASET, ASID; TTB0; MAIR.
        let context = 25 | 1 << 30 | 1 << 31 | 4 << 32 | 1 << 41 | 7 << 45 | ASID << 48;
        self.put(DESCRIPTOR, &[context, LEVEL1, 0, 0xff]);
        let entry = |stream: u32| STREAM_TABLE + 64 * u64::from(stream);
        // V; Config: stage 1, or bypass.
        self.put(entry(TRANSLATED), &[1 | 5 << 1 | DESCRIPTOR]);
        self.put(entry(BYPASSED), &[1 | 4 << 1]);
    }

    fn enable(&self) {
        self.set(STRTAB_BASE, Size::B8, STREAM_TABLE);
        self.set(STRTAB_BASE_CFG, Size::B4, 5);
        // A queue of two: a command and its CMD_SYNC.
        self.set(CMDQ_BASE, Size::B8, COMMANDS | 1);
        self.set(CR0, Size::B4, 1 << 3 | 1);
    }

    /// Before each pass another page is taken away, after which ports ask the main TLB again.
    fn have_ports_forget(&self, page: u64) {
        if page == 0 {
            self.take_away(MANY);
        }
    }

    /// CMD_TLBI_NH_VA for a page, and CMD_SYNC: what unmapping a page is, for a driver that is strict.
    fn take_away(&self, page: u64) {
        let _one = self.commands.lock();
        self.put(COMMANDS, &[0x12 | ASID << 48, (IOVA + page * PAGE_SIZE) | 1, 0x46, 0]);
        let at = self.smmu.read(CMDQ_CONS, Size::B4, Requester::Cpu(0)).expect("a register");
        self.set(CMDQ_PROD, Size::B4, at ^ 2);
        let consumed = self.smmu.read(CMDQ_CONS, Size::B4, Requester::Cpu(0));
        assert_eq!(consumed, Ok(at ^ 2), "both commands are consumed");
    }
}

/// One benchmark.
struct Benchmark {
    name: &'static str,
    /// Threads that do the same at the same time.
    threads: u32,
    /// The way to memory, and the address of page 0 there.
    port: fn(&Machine) -> (Arc<dyn DmaPort>, u64),
    /// How many pages: a power of two.
    pages: u64,
    /// Bytes of an access.
    len: usize,
    /// What is done with a page before it is accessed.
    before: fn(&Machine, u64),
}

fn translated(machine: &Machine) -> (Arc<dyn DmaPort>, u64) {
    (machine.port(TRANSLATED), IOVA)
}

fn bypassed(machine: &Machine) -> (Arc<dyn DmaPort>, u64) {
    (machine.port(BYPASSED), DATA)
}

fn direct(machine: &Machine) -> (Arc<dyn DmaPort>, u64) {
    let master = Master::new(TRANSLATED, Stalls::Never);
    (Arc::new(DirectPort::new(machine.bus.clone(), master)), DATA)
}

fn nothing(_: &Machine, _: u64) {}

const fn hits(name: &'static str, port: fn(&Machine) -> (Arc<dyn DmaPort>, u64), pages: u64) -> Benchmark {
    Benchmark { name, threads: 1, port, pages, len: 8, before: nothing }
}

const BENCHMARKS: [Benchmark; 11] = [
    hits("direct", direct, FEW),
    hits("bypass", bypassed, FEW),
    hits("hit", translated, FEW),
    Benchmark { threads: 2, ..hits("hit2", translated, FEW) },
    Benchmark { len: PAGE_SIZE as usize, ..hits("hit4k", translated, FEW) },
    hits("directmany", direct, MANY),
    hits("hitmany", translated, MANY),
    Benchmark { threads: 2, ..hits("hitmany2", translated, MANY) },
    Benchmark { before: Machine::have_ports_forget, ..hits("mainhit", translated, MANY) },
    Benchmark { before: Machine::have_ports_forget, threads: 2, ..hits("mainhit2", translated, MANY) },
    Benchmark { before: Machine::take_away, ..hits("rewalk", translated, FEW) },
];

/// What one thread measured.
struct Measured {
    /// Nanoseconds of a round: the median of the batches.
    ns: f64,
    rounds: u64,
    check: u64,
}

/// The time for which this thread has run: what others do on its processor does not count.
fn ran() -> Duration {
    clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID).expect("the thread's clock").into()
}

impl Benchmark {
    /// Reads all pages round and round; every page says its number.
    fn run(&self, machine: &Machine, time: Duration) -> Measured {
        let (port, base) = (self.port)(machine);
        let mut n = 0;
        measure(time, BATCH, || {
            let (mut buf, mut sum) = (vec![0; self.len], 0);
            let before = ran();
            for _ in 0..BATCH {
                let page = n & (self.pages - 1);
                (self.before)(machine, page);
                port.read(DmaAttrs::default(), black_box(base + page * PAGE_SIZE), &mut buf)
                    .expect("the page is mapped");
                sum += buf[..8].iter().rev().fold(0, |word, byte| word << 8 | u64::from(*byte));
                n += 1;
            }
            (ran() - before, sum)
        })
    }
}

/// Runs batches of so many rounds, after one that does not count: each says how long it took and its check value.
fn measure(time: Duration, rounds: u64, mut batch: impl FnMut() -> (Duration, u64)) -> Measured {
    let check = batch().1;
    let begun = Instant::now();
    let mut batches = Vec::new();
    while batches.is_empty() || begun.elapsed() < time {
        let (took, sum) = batch();
        assert_eq!(sum, check, "a page has other data");
        batches.push(took.as_nanos() as f64 / rounds as f64);
    }
    batches.sort_by(f64::total_cmp);
    Measured { ns: batches[batches.len() / 2], rounds: batches.len() as u64 * rounds, check }
}

/// Measures on so many threads at once, and prints what came of it.
fn report(name: &str, threads: u32, run: impl Fn() -> Measured + Sync) {
    println!("TRY {name}");
    println!("START {name}");
    let all: Vec<Measured> = thread::scope(|s| {
        let threads: Vec<_> = (0..threads).map(|_| s.spawn(&run)).collect();
        threads.into_iter().map(|t| t.join().expect("a thread that has measured")).collect()
    });
    let ns = all.iter().map(|m| m.ns).sum::<f64>() / all.len() as f64;
    let rounds: u64 = all.iter().map(|m| m.rounds).sum();
    println!("BENCH {name} {ns:.2} {rounds} {:016x}", all[0].check);
}

fn main() {
    // Cargo adds words of its own.
    let words: Vec<String> = std::env::args().skip(1).filter(|word| !word.starts_with("--")).collect();
    let time = words.first().and_then(|ms| ms.parse().ok()).map(Duration::from_millis);
    let Some(time) = time else {
        println!("FAIL usage: dma MILLISECONDS NAME...");
        return;
    };
    for word in &words[1..] {
        let machine = Machine::new();
        if let Some(access) = BENCHMARKS.iter().find(|b| b.name == word) {
            report(word, access.threads, || access.run(&machine, time));
        } else if let Some(reads) = disk::BENCHMARKS.iter().find(|b| b.name == word) {
            report(word, 1, || reads.run(&machine, time));
        } else {
            println!("FAIL there is no such benchmark");
            return;
        }
    }
    println!("DONE");
}

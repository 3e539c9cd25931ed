//! Garbage for the SMMUv3: registers, commands, tables that other software overwrites, and masters whose transactions go
//! wherever that leads.

use std::cell::OnceCell;
use std::sync::{Arc, Weak};

use emu_core::Pa;
use emu_core::addr::Size;
use emu_core::bus::{Backing, Bus, MmioDevice, Requester};
use emu_core::clock::{Clock, Mode};
use emu_core::dma::{
    DirectPort, DmaAttrs, DmaClient, DmaFault, DmaPort, Master, MemoryType, Ports, StallTag, Stalls,
};
use emu_core::irq::{IrqLine, Unconnected};
use emu_core::lifecycle::Component;
use emu_core::ram::GuestRam;
use emu_mmu::{Regime, TlbiListener, TlbiScope};
use emu_smmu::v3::profile::Profile;
use emu_smmu::v3::{Config, Smmuv3};
use parking_lot::Mutex;

use super::source::Source;

const RAM: u64 = 0x4000_0000;
const RAM_SIZE: u64 = 1 << 20;
const STREAM_TABLE: u64 = RAM;
const CONTEXTS: u64 = RAM + 0x1_0000;
const COMMANDS: u64 = RAM + 0x2_0000;
const EVENTS: u64 = RAM + 0x3_0000;
const TABLES: u64 = RAM + 0x4_0000;
const STREAMS: u64 = 4;
const STEPS: usize = 400;

/// Masters whose stalled transactions software has answered.
#[derive(Default)]
struct Answered(Mutex<Vec<(StallTag, bool)>>);

impl DmaClient for Answered {
    fn resume(&self, tag: StallTag, retry: bool) {
        self.0.lock().push((tag, retry));
    }
}

struct Rig {
    /// What is in RAM at first.
    image: Vec<u8>,
    ram: &'static GuestRam,
    smmu: Arc<Smmuv3>,
    ports: Vec<Arc<dyn DmaPort>>,
    answered: Arc<Answered>,
}

impl Rig {
    fn new() -> Self {
        let bus = Arc::new(Bus::new());
        let ram = GuestRam::new(RAM_SIZE).expect("the host has a MiB of address space");
        bus.map(Pa(RAM), RAM_SIZE, Backing::Ram(ram, 0)).expect("it is the only region");
        let answered = Arc::<Answered>::default();
        let client: Weak<dyn DmaClient> = Arc::<Answered>::downgrade(&answered);
        let smmu = Smmuv3::new(Config {
            name: "smmuv3".to_owned(),
            profile: Profile { stall_max: 8, ..Profile::FULL },
            bus: bus.clone(),
            clock: Clock::new(Mode::Counted),
            wires: [0, 1, 2, 3].map(|line| IrqLine::new(Arc::new(Unconnected), line)),
            messages: Arc::new(DirectPort::new(bus, Master::new(0xff00, Stalls::Never))),
            send_event: Some(Arc::new(|| {})),
            counters: Arc::default(),
        });
        // The last one cannot wait.
        let stalls = |stream| {
            if stream + 1 == STREAMS { Stalls::Never } else { Stalls::Notify(client.clone()) }
        };
        let ports = (0..STREAMS).map(|s| smmu.port(Master::new(s as u32, stalls(s)))).collect();
        let mut image = vec![0; RAM_SIZE as usize];
        image[(TABLES - RAM) as usize..][..16 * 0x1000].copy_from_slice(&tables());
        Self { image, ram, smmu, ports, answered }
    }

    fn write(&self, offset: u64, size: Size, value: u64) {
        let _ = MmioDevice::write(&*self.smmu, offset, size, value, Requester::Cpu(0));
    }
    fn read(&self, offset: u64) -> u64 {
        MmioDevice::read(&*self.smmu, offset, Size::B4, Requester::Cpu(0)).unwrap_or(0)
    }
    fn poke(&self, pa: u64, value: u64) {
        let _ = self.ram.store_u64(pa.wrapping_sub(RAM), value);
    }
}

/// A value that is mostly right.
fn mostly(s: &mut Source, right: u64) -> u64 {
    match s.u8() % 64 {
        0 => s.value(),
        1 => right ^ 1 << s.below(64),
        _ => right,
    }
}

/// As software sets an SMMU up, with some of it wrong.
fn set_up(rig: &Rig, s: &mut Source) {
    rig.write(0x20, Size::B4, 0);
    let two_level = u64::from(s.one_in(4)) << 16;
    let words = [
        (0x80, mostly(s, STREAM_TABLE)),
        (0x90, mostly(s, COMMANDS | 4)),
        // Events have room, or mostly have not.
        (0xa0, mostly(s, EVENTS | if two_level == 0 { 2 } else { 0 })),
        (0x68, mostly(s, RAM + 0xf_0000)),
        (0xb0, mostly(s, RAM + 0xf_0010)),
    ];
    for (offset, value) in words {
        rig.write(offset, Size::B8, value);
    }
    rig.write(0x88, Size::B4, mostly(s, two_level | 6 << 6 | 3));
    rig.write(0x2c, Size::B4, s.below(8));
    rig.write(0x50, Size::B4, 5);
    for stream in 0..STREAMS {
        configure(rig, s, stream);
    }
    rig.write(0x20, Size::B4, 0xd);
}

/// Tables that lead to each other, and at the last level map themselves: so that walks have an end in memory, and masters write
/// into what the SMMU reads.
fn tables() -> Vec<u8> {
    // AF, inner shareable, and every second one read-only at stage 1 or writable at stage 2.
    let entry =
        |n: u64| (TABLES + ((n / 512 + n) % 16) * 0x1000) | (n & 1) << 7 | 1 << 10 | 3 << 8 | 1 << 6 | 3;
    (0..16 * 512).flat_map(|n| entry(n).to_le_bytes()).collect()
}

/// An STE and a CD.
fn configure(rig: &Rig, s: &mut Source, stream: u64) {
    let (ste, cd) = (STREAM_TABLE + 64 * stream, CONTEXTS + 64 * s.below(8));
    let config = s.pick(&[0, 4, 5, 5, 6, 6, 7, 7]);
    let substreams = u64::from(s.one_in(4)) * 3;
    let s2 = 25 | 1 << 6 | s.below(4) << 14 | 5 << 16 | 1 << 19 | s.below(0x400) << 22;
    let table = TABLES + s.below(16) * 0x1000;
    let fields = [
        1 | config << 1 | cd | substreams << 59,
        s.below(4) | s.below(4) << 30 | 1 << 44,
        s.below(3) | s2 << 32,
        table,
    ];
    for (n, field) in (0..).zip(fields) {
        rig.poke(ste + 8 * n, mostly(s, field));
    }
    let tcr = 25 | s.below(4) << 6 | 25 << 16 | s.below(2) << 30 | 1 << 31 | 5 << 32 | 1 << 41;
    let context = [tcr | s.below(16) << 42 | 1 << 45 | s.below(3) << 48, table, table, 0xff44];
    for (n, field) in (0..).zip(context) {
        rig.poke(cd + 8 * n, mostly(s, field));
    }
}

/// A descriptor: another table, a block, or a page.
fn descriptor(rig: &Rig, s: &mut Source) {
    let at = TABLES + s.below(16) * 0x1000 + s.below(512) * 8;
    let target = s.pick(&[TABLES, TABLES, RAM]) + s.below(16) * 0x1000;
    let attributes = s.u64() & 0x00f8_0000_0000_0ffc;
    rig.poke(at, mostly(s, target | attributes | 3));
}

/// A command, with operands that often fit others.
fn command(rig: &Rig, s: &mut Source) {
    let any = s.u8().into();
    let opcode = s.pick(&[
        1, 3, 4, 5, 6, 0x10, 0x11, 0x12, 0x13, 0x20, 0x21, 0x22, 0x23, 0x28, 0x2a, 0x30, 0x44, 0x44, 0x45,
        0x46, any,
    ]);
    let operands = s.below(STREAMS) << 32 | (s.u64() & 0x3ff_f000) | s.below(3) << 48;
    let second = match s.u8() % 3 {
        0 => s.value(),
        1 => s.below(16),
        _ => s.below(16) << 12 | s.below(4) << 10 | s.below(4) << 8,
    };
    let prod = rig.read(0x98);
    let at = COMMANDS + 16 * (prod & 15);
    rig.poke(at, opcode | operands);
    rig.poke(at + 8, second);
    rig.write(0x98, Size::B4, (prod + 1) & 31);
    // What is wrong is skipped, as drivers do.
    if rig.read(0x60) != rig.read(0x64) {
        rig.poke(at, 0x46);
        rig.write(0x64, Size::B4, rig.read(0x60));
    }
}

/// A transaction; a second time if it was stalled and has been answered.
fn transaction(rig: &Rig, s: &mut Source) {
    let port = &rig.ports[s.below(STREAMS) as usize];
    let attrs = DmaAttrs {
        substream: s.one_in(8).then(|| s.below(10) as u32),
        privileged: s.one_in(2),
        instruction: s.one_in(4),
        memory: s.pick(&[MemoryType::WriteBack, MemoryType::Device]),
        translated: s.one_in(16),
        ..DmaAttrs::default()
    };
    let addr = if s.one_in(8) { s.value() } else { s.below(1 << 16) << 2 };
    let (length, writes) = (s.below(40) as usize, s.one_in(2));
    let mut bytes = vec![0xa5; length];
    for _ in 0..2 {
        let done = if writes { port.write(attrs, addr, &bytes) } else { port.read(attrs, addr, &mut bytes) };
        let Err(DmaFault::Stalled(tag)) = done else { return };
        if !rig.answered.0.lock().contains(&(tag, true)) {
            return;
        }
    }
}

fn invalidate(rig: &Rig, s: &mut Source) {
    let start = s.value();
    let end = start.saturating_add(s.value());
    let regime = s.pick(&[Regime::El10, Regime::El20, Regime::El2]);
    let (vmid, asid) = (s.below(4) as u16, s.below(3) as u16);
    let scope = match s.u8() % 6 {
        0 => TlbiScope::AllEl1,
        1 => TlbiScope::AllEl2,
        2 => TlbiScope::Context { regime, vmid },
        3 => TlbiScope::Asid { regime, vmid, asid },
        4 => TlbiScope::Va { regime, vmid, asid: s.one_in(2).then_some(asid), start, end },
        _ => TlbiScope::Ipa { vmid, start, end },
    };
    TlbiListener::invalidate(&*rig.smmu, &scope);
}

fn steps(rig: &Rig, s: &mut Source) {
    set_up(rig, s);
    for _ in 0..STEPS {
        if s.is_empty() {
            return;
        }
        match s.u8() % 16 {
            0..=3 => command(rig, s),
            4..=8 => transaction(rig, s),
            9 | 10 => descriptor(rig, s),
            11 => {
                let stream = s.below(STREAMS);
                configure(rig, s, stream);
            }
            12 => rig.write(0x1_00ac, Size::B4, rig.read(0x1_00a8)),
            13 => invalidate(rig, s),
            14 => {
                let offset =
                    s.pick(&[0x20, 0x28, 0x2c, 0x44, 0x50, 0x64, 0x68, 0x80, 0x88, 0x90, 0x98, 0x9c, 0xa0]);
                rig.write(offset, s.pick(&[Size::B4, Size::B8]), s.value());
            }
            _ => set_up(rig, s),
        }
    }
}

thread_local! {
    static RIG: OnceCell<Rig> = const { OnceCell::new() };
}

/// Garbage for the SMMUv3.
pub(super) fn run(data: &[u8]) {
    RIG.with(|cell| {
        let rig = cell.get_or_init(Rig::new);
        rig.smmu.reset();
        rig.answered.0.lock().clear();
        rig.ram.write(0, &rig.image).expect("it is as large as RAM");
        steps(rig, &mut Source::new(data));
        assert!(rig.smmu.core().stalled().len() <= 8, "more is stalled than there is room for");
        let saved = rig.smmu.save();
        rig.smmu.restore(saved).unwrap_or_else(|e| panic!("{e}"));
    });
}

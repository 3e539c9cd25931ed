//! Garbage for the SMMUv3 and its counter group: registers, commands, tables that other software overwrites, and masters whose
//! transactions go wherever that leads.

use std::cell::OnceCell;
use std::sync::Arc;

use emu_core::addr::Size;
use emu_core::bus::{MmioDevice, Requester};
use emu_core::clock::{Clock, Mode};
use emu_core::dma::{DirectPort, DmaAttrs, Master, MemoryType, Stalls};
use emu_core::irq::{IrqLine, Unconnected};
use emu_core::lifecycle::Component;
use emu_mmu::{Regime, TlbiListener, TlbiScope};
use emu_smmu::v3::pmcg::{self, Pmcg};
use emu_smmu::v3::profile::Profile;
use emu_smmu::v3::{Config, Smmuv3};

use super::smmu::{Masters, Memory, RAM, STREAMS, TABLES, mostly};
use super::source::Source;

const STREAM_TABLE: u64 = RAM;
const CONTEXTS: u64 = RAM + 0x1_0000;
const COMMANDS: u64 = RAM + 0x2_0000;
const EVENTS: u64 = RAM + 0x3_0000;
const PAGES: u64 = RAM + 0x3_8000;
const STEPS: usize = 400;

struct Rig {
    memory: Memory,
    smmu: Arc<Smmuv3>,
    pmcg: Arc<Pmcg>,
    clock: Arc<Clock>,
    masters: Masters,
}

impl Rig {
    fn new() -> Self {
        let (memory, bus) = Memory::new();
        let clock = Clock::new(Mode::Counted);
        let messages = Arc::new(DirectPort::new(bus.clone(), Master::new(0xff00, Stalls::Never)));
        let smmu = Smmuv3::new(Config {
            name: "smmuv3".to_owned(),
            profile: Profile { stall_max: 8, ..Profile::FULL },
            bus,
            clock: clock.clone(),
            wires: [0, 1, 2, 3].map(|line| IrqLine::new(Arc::new(Unconnected), line)),
            messages: messages.clone(),
            send_event: Some(Arc::new(|| {})),
            counters: Arc::default(),
        });
        let counters = pmcg::Config {
            name: "pmcg".to_owned(),
            clock: clock.clone(),
            wire: IrqLine::new(Arc::new(Unconnected), 0),
            messages,
            counters: Arc::default(),
        };
        let pmcg = Pmcg::beside(&smmu, counters).expect("the profile has one");
        let masters = Masters::new(&*smmu);
        Self { memory, smmu, pmcg, clock, masters }
    }

    fn write(&self, offset: u64, size: Size, value: u64) {
        let _ = MmioDevice::write(&*self.smmu, offset, size, value, Requester::Cpu(0));
    }
    fn read(&self, offset: u64) -> u64 {
        MmioDevice::read(&*self.smmu, offset, Size::B4, Requester::Cpu(0)).unwrap_or(0)
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
        (0xc0, mostly(s, PAGES | 1)),
        (0xd0, mostly(s, RAM + 0xf_0020)),
        (0x68, mostly(s, RAM + 0xf_0000)),
        (0xb0, mostly(s, RAM + 0xf_0010)),
    ];
    for (offset, value) in words {
        rig.write(offset, Size::B8, value);
    }
    rig.write(0x88, Size::B4, mostly(s, two_level | 6 << 6 | 3));
    rig.write(0x2c, Size::B4, s.below(8));
    rig.write(0x50, Size::B4, 7);
    for stream in 0..STREAMS {
        configure(rig, s, stream);
    }
    let checked = s.below(2) << 4;
    rig.write(0x20, Size::B4, checked | 0xf);
}

/// An STE and a CD.
fn configure(rig: &Rig, s: &mut Source, stream: u64) {
    let (ste, cd) = (STREAM_TABLE + 64 * stream, CONTEXTS + 64 * s.below(8));
    let config = s.pick(&[0, 4, 5, 5, 6, 6, 7, 7]);
    let eats = s.pick(&[0, 1, 1, 1, 2, 3]);
    let substreams = u64::from(s.one_in(4)) * 3;
    let s2 = 25 | 1 << 6 | s.below(4) << 14 | 5 << 16 | 1 << 19 | s.below(0x400) << 22;
    let table = TABLES + s.below(16) * 0x1000;
    let fields = [
        1 | config << 1 | cd | substreams << 59,
        s.below(4) | s.below(2) << 18 | eats << 28 | s.below(4) << 30 | 1 << 44,
        s.below(3) | s2 << 32,
        table,
    ];
    for (n, field) in (0..).zip(fields) {
        rig.memory.poke(ste + 8 * n, mostly(s, field));
    }
    let tcr = 25 | s.below(4) << 6 | 25 << 16 | s.below(2) << 30 | 1 << 31 | 5 << 32 | 1 << 41;
    let context = [tcr | s.below(16) << 42 | 1 << 45 | s.below(3) << 48, table, table, 0xff44];
    for (n, field) in (0..).zip(context) {
        rig.memory.poke(cd + 8 * n, mostly(s, field));
    }
}

/// A command, with operands that often fit others.
fn command(rig: &Rig, s: &mut Source) {
    let any = s.u8().into();
    let opcode = s.pick(&[
        1, 3, 4, 5, 6, 0x10, 0x11, 0x12, 0x13, 0x20, 0x21, 0x22, 0x23, 0x28, 0x2a, 0x30, 0x40, 0x41, 0x44,
        0x44, 0x45, 0x46, any,
    ]);
    let operands = s.below(STREAMS) << 32 | (s.u64() & 0x3ff_fa00) | s.below(3) << 48;
    let second = match s.u8() % 3 {
        0 => s.value(),
        1 => s.below(16),
        _ => s.below(16) << 12 | s.below(4) << 10 | s.below(4) << 8,
    };
    let prod = rig.read(0x98);
    let at = COMMANDS + 16 * (prod & 15);
    rig.memory.poke(at, opcode | operands);
    rig.memory.poke(at + 8, second);
    rig.write(0x98, Size::B4, (prod + 1) & 31);
    // What is wrong is skipped, as drivers do.
    if rig.read(0x60) != rig.read(0x64) {
        rig.memory.poke(at, 0x46);
        rig.write(0x64, Size::B4, rig.read(0x60));
    }
}

fn attributes(s: &mut Source) -> DmaAttrs {
    DmaAttrs {
        substream: s.one_in(8).then(|| s.below(10) as u32),
        privileged: s.one_in(2),
        instruction: s.one_in(4),
        memory: s.pick(&[MemoryType::WriteBack, MemoryType::Device]),
        translated: s.one_in(16),
        ..DmaAttrs::default()
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
    TlbiListener::invalidate(&**rig.smmu.core(), &scope);
}

/// SMMU_GATOS_SID, ADDR and CTRL.
fn look_up(rig: &Rig, s: &mut Source) {
    let sid = u64::from(s.one_in(4)) << 52 | s.below(10) << 32 | s.below(STREAMS);
    let addr = s.value() & !0xfff | s.below(64) << 6;
    rig.write(0x108, Size::B8, mostly(s, sid));
    rig.write(0x110, Size::B8, mostly(s, addr));
    rig.write(0x100, Size::B4, 1);
}

/// A register of the counter group, or time passes.
fn count(rig: &Rig, s: &mut Source) {
    let write = |offset, size, value| {
        let _ = MmioDevice::write(&*rig.pmcg, offset, size, value, Requester::Cpu(0));
    };
    let (n, any) = (s.below(9), s.below(9));
    match s.u8() % 8 {
        0 | 1 => {
            let kind = any | s.below(8) << 29;
            write(0x400 + 4 * n, Size::B4, mostly(s, kind));
        }
        2 => write(0xa00 + 4 * n, Size::B4, mostly(s, any)),
        3 => write(0x1_0000 + 8 * n, Size::B8, mostly(s, any.wrapping_neg())),
        4 => rig.clock.advance(s.below(1 << 40)),
        5 => {
            // Enables, mostly all of them.
            for (offset, value) in [(0xc00, 0xff), (0xc40, 0xff), (0xe04, 1), (0xe50, 1)] {
                write(offset, Size::B4, mostly(s, value));
            }
        }
        _ => {
            let offsets = [0xc20, 0xc60, 0xe04, 0xe50, 0xe58, 0xe60, 0x1_0c80, 0x1_0cc0, 0x1_0d88];
            write(s.pick(&offsets), s.pick(&[Size::B4, Size::B8]), s.value());
        }
    }
}

fn steps(rig: &Rig, s: &mut Source) {
    set_up(rig, s);
    for _ in 0..STEPS {
        if s.is_empty() {
            return;
        }
        match s.u8() % 24 {
            0..=3 => command(rig, s),
            4..=8 => rig.masters.transact(s, attributes),
            9 | 10 => rig.memory.descriptor(s),
            11 => {
                let stream = s.below(STREAMS);
                configure(rig, s, stream);
            }
            12 => {
                rig.write(0x1_00ac, Size::B4, rig.read(0x1_00a8));
                rig.write(0x1_00cc, Size::B4, rig.read(0x1_00c8));
            }
            13 => invalidate(rig, s),
            14 => {
                let offset = s.pick(&[
                    0x20, 0x28, 0x2c, 0x44, 0x50, 0x64, 0x68, 0x80, 0x88, 0x90, 0x98, 0x9c, 0xa0, 0xc0, 0xc8,
                    0xcc, 0xd0, 0xdc,
                ]);
                rig.write(offset, s.pick(&[Size::B4, Size::B8]), s.value());
            }
            15..=17 => rig.masters.ask(s),
            18 => {
                let complete = !s.one_in(4);
                rig.masters.settle(complete);
            }
            19 => look_up(rig, s),
            20..=22 => count(rig, s),
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
        rig.pmcg.reset();
        rig.masters.reset();
        rig.memory.reset();
        steps(rig, &mut Source::new(data));
        assert!(rig.smmu.core().stalled().len() <= 8, "more is stalled than there is room for");
        let saved = rig.smmu.save();
        rig.smmu.restore(saved).unwrap_or_else(|e| panic!("{e}"));
        rig.pmcg.restore(rig.pmcg.save()).unwrap_or_else(|e| panic!("{e}"));
    });
}

//! Garbage for the SMMUv2: registers of any value, tables of any contents, and masters whose transactions go wherever that leads.

use std::cell::OnceCell;
use std::sync::Arc;

use emu_core::addr::Size;
use emu_core::bus::{MmioDevice, Requester};
use emu_core::clock::{Clock, Mode};
use emu_core::dma::DmaAttrs;
use emu_core::irq::{IrqLine, Unconnected};
use emu_core::lifecycle::Component;
use emu_mmu::{Regime, TlbiListener, TlbiScope};
use emu_smmu::v2::{Config, Profile, Smmuv2};

use super::smmu::{Masters, Memory, STREAMS, TABLES, mostly};
use super::source::Source;

const BANKS: u64 = 4;
const STEPS: usize = 400;

const PROFILE: Profile =
    Profile { groups: 6, banks: BANKS as u8, large_pages: false, stall_max: 8, ..Profile::FULL };

struct Rig {
    memory: Memory,
    smmu: Arc<Smmuv2>,
    masters: Masters,
}

impl Rig {
    fn new() -> Self {
        let (memory, bus) = Memory::new();
        let wire = |line| IrqLine::new(Arc::new(Unconnected), line);
        let smmu = Smmuv2::new(Config {
            name: "smmuv2".to_owned(),
            profile: PROFILE,
            bus,
            clock: Clock::new(Mode::Counted),
            global: wire(0),
            contexts: (1..=BANKS as u32).map(wire).collect(),
            counters: Arc::default(),
        });
        let masters = Masters::new(&*smmu);
        Self { memory, smmu, masters }
    }

    fn write(&self, offset: u64, size: Size, value: u64) {
        let _ = MmioDevice::write(&*self.smmu, offset, size, value, Requester::Cpu(0));
    }
}

/// The page of a context bank.
fn page(bank: u64) -> u64 {
    (PROFILE.pages() + bank) * PROFILE.page()
}

/// A stream's group, with more or less of a mask, and where it leads.
fn stream(rig: &Rig, s: &mut Source) {
    let n = s.below(6);
    let (mask, id, kind) = (s.pick(&[0, 0, 0, 1, 3]), s.below(STREAMS), s.pick(&[0, 0, 0, 0, 1, 2]));
    let s2cr = kind << 16 | s.below(BANKS) | s.below(16) << 24 | 1 << 10;
    rig.write(0xc00 + 4 * n, Size::B4, mostly(s, s2cr));
    rig.write(0x800 + 4 * n, Size::B4, mostly(s, 1 << 31 | mask << 16 | id));
}

/// A context bank of some type.
fn bank(rig: &Rig, s: &mut Source) {
    let n = s.below(BANKS);
    let (kind, second, vmid) = (s.pick(&[0, 0, 1, 1, 2, 3, 3, 3]), s.below(BANKS), s.below(3));
    let attributes = PROFILE.page();
    rig.write(attributes + 0x800 + 4 * n, Size::B4, mostly(s, 1 | vmid << 16));
    rig.write(attributes + 4 * n, Size::B4, mostly(s, kind << 16 | second << 8 | vmid));
    let at = page(n);
    let (tcr2, tcr) = (5 | s.below(8) << 4 | 7 << 15, 25 | 1 << 6 | s.below(4) << 14 | 5 << 16);
    rig.write(at + 0x10, Size::B4, mostly(s, tcr2));
    rig.write(at + 0x30, Size::B4, mostly(s, tcr));
    let asid = s.below(3);
    for offset in [0x20, 0x28] {
        let table = TABLES + s.below(16) * 0x1000;
        rig.write(at + offset, Size::B8, mostly(s, table | asid << 48));
    }
    let sctlr = s.below(16) << 5 | 1;
    rig.write(at, Size::B4, mostly(s, sctlr));
}

/// As software sets an SMMU up, with some of it wrong.
fn set_up(rig: &Rig, s: &mut Source) {
    for _ in 0..6 {
        stream(rig, s);
        bank(rig, s);
    }
    let cr0 = 0x0020_0436 | s.below(2) << 12 | s.below(2) << 3 | s.below(2) << 31;
    rig.write(0, Size::B4, mostly(s, cr0));
}

/// Operations of a context bank, and answers of software to its faults.
fn operate(rig: &Rig, s: &mut Source) {
    let at = page(s.below(BANKS));
    let offset = s.pick(&[
        0x8, 0x8, 0x58, 0x58, 0x5c, 0x600, 0x604, 0x608, 0x610, 0x618, 0x620, 0x628, 0x630, 0x638, 0x7f0,
        0x800, 0x808, 0x810, 0x818,
    ]);
    let (small, page, any) = (s.below(16), s.below(3) << 48 | s.below(1 << 20), s.value());
    let value = s.pick(&[0, 1, 0xffff_ffff, small, page, any]);
    rig.write(at + offset, s.pick(&[Size::B4, Size::B4, Size::B8]), value);
}

/// The same of the global registers.
fn operate_globally(rig: &Rig, s: &mut Source) {
    let offset = s.pick(&[
        0x0, 0x10, 0x48, 0x4c, 0x64, 0x68, 0x6c, 0x70, 0x78, 0xb0, 0xb8, 0xc0, 0x100, 0x118, 0x120, 0x138,
        0x180,
    ]);
    let (small, page, any) = (s.below(256), s.below(1 << 20) << 12 | s.below(5), s.value());
    let value = s.pick(&[1, 0xffff_ffff, small, page, any]);
    rig.write(offset, s.pick(&[Size::B4, Size::B8]), value);
}

fn attributes(s: &mut Source) -> DmaAttrs {
    DmaAttrs { privileged: s.one_in(2), instruction: s.one_in(4), ..DmaAttrs::default() }
}

fn broadcast(rig: &Rig, s: &mut Source) {
    let (vmid, asid) = (s.below(3) as u16, s.below(3) as u16);
    let regime = s.pick(&[Regime::El10, Regime::El20, Regime::El2]);
    let scope = match s.u8() % 4 {
        0 => TlbiScope::AllEl1,
        1 => TlbiScope::AllEl2,
        2 => TlbiScope::Context { regime, vmid },
        _ => TlbiScope::Asid { regime, vmid, asid },
    };
    TlbiListener::invalidate(&**rig.smmu.core(), &scope);
}

fn steps(rig: &Rig, s: &mut Source) {
    set_up(rig, s);
    for _ in 0..STEPS {
        if s.is_empty() {
            return;
        }
        match s.u8() % 16 {
            0..=6 => rig.masters.transact(s, attributes),
            7..=9 => operate(rig, s),
            10 => operate_globally(rig, s),
            11 => rig.memory.descriptor(s),
            12 => stream(rig, s),
            13 => bank(rig, s),
            14 => broadcast(rig, s),
            _ => set_up(rig, s),
        }
    }
}

/// Software that clears all faults and resumes every context leaves nothing stalled, whatever was before.
fn answer_all(rig: &Rig) {
    for n in 0..BANKS {
        rig.write(page(n) + 0x58, Size::B4, 0xffff_ffff);
        rig.write(page(n) + 0x8, Size::B4, n & 1);
    }
    let left = rig.smmu.core().stalled();
    assert!(left.is_empty(), "nobody can answer {left:?}");
}

thread_local! {
    static RIG: OnceCell<Rig> = const { OnceCell::new() };
}

/// Garbage for the SMMUv2.
pub(super) fn run(data: &[u8]) {
    RIG.with(|cell| {
        let rig = cell.get_or_init(Rig::new);
        rig.smmu.reset();
        rig.masters.reset();
        rig.memory.reset();
        steps(rig, &mut Source::new(data));
        assert!(rig.smmu.core().stalled().len() <= 8, "more is stalled than there is room for");
        let saved = rig.smmu.save();
        answer_all(rig);
        rig.smmu.restore(saved).unwrap_or_else(|e| panic!("{e}"));
    });
}

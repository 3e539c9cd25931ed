//! An SMMU over a bus with memory, programmed in the order in which drivers do it, and masters behind it.

mod drivers;
mod faults;
mod invalidation;
mod shown;
mod stalls;
mod stress;

use std::sync::Weak;

use emu_core::Pa;
use emu_core::bus::Backing;
use emu_core::clock::Mode;
use emu_core::dma::{DmaAttrs, DmaClient, DmaFault, StallTag, Stalls};
use emu_core::irq::IrqSink;
use emu_core::ram::GuestRam;
use parking_lot::Mutex;

use super::*;

const SMMU: u64 = 0x0900_0000;
const RAM: u64 = 0x4000_0000;
/// Tables of stage 1 (levels 1 to 3) and of stage 2.
const S1: u64 = RAM + 0x1_0000;
const S2: u64 = RAM + 0x2_0000;
const DATA: u64 = RAM + 0x8_0000;
const STREAM: u32 = 0x18;
const CPU: Requester = Requester::Cpu(0);

/// Offsets of pages of context banks.
const fn cb(n: u64) -> u64 {
    0x2_0000 + n * 0x1000
}

const SCTLR: u64 = 0x0;
const RESUME: u64 = 0x8;
const TCR2: u64 = 0x10;
const TTBR0: u64 = 0x20;
const TCR: u64 = 0x30;
const PAR: u64 = 0x50;
const FSR: u64 = 0x58;
const FAR: u64 = 0x60;
const FSYNR0: u64 = 0x68;
const IPAFAR: u64 = 0x70;

/// SCTLR: M, TRE, AFE, CFRE, CFIE; and CFCFG, HUPCF.
const USUAL: u64 = 0x67;
const CFCFG: u64 = 0x80;
const HUPCF: u64 = 0x100;

/// A page of stage 1: AF, inner shareable, unprivileged, not global.
const PAGE: u64 = 1 << 11 | 1 << 10 | 3 << 8 | 1 << 6 | 3;
/// A page of stage 2: AF, read and write, write-back.
const PAGE2: u64 = 1 << 10 | 3 << 6 | 0xf << 2 | 3;
/// The same, of 2 MiB.
const BLOCK2: u64 = PAGE2 & !2;

/// The wires: 100 is that of global faults.
const GLOBAL: u32 = 100;

#[derive(Default)]
struct Levels(Mutex<std::collections::BTreeMap<u32, bool>>);

impl IrqSink for Levels {
    fn set_level(&self, line: u32, level: bool) {
        self.0.lock().insert(line, level);
    }
}

/// A master that notes what it is told.
#[derive(Default)]
struct Told(Mutex<Vec<(StallTag, bool)>>);

impl DmaClient for Told {
    fn resume(&self, tag: StallTag, retry: bool) {
        self.0.lock().push((tag, retry));
    }
}

struct Machine {
    bus: Arc<Bus>,
    smmu: Arc<Smmuv2>,
    levels: Arc<Levels>,
    told: Arc<Told>,
    counters: Arc<Counters>,
}

impl Machine {
    fn new() -> Self {
        Self::with(Profile::MMU500)
    }

    fn with(profile: Profile) -> Self {
        let ram = GuestRam::new(0x10_0000).unwrap();
        let bus = Arc::new(Bus::new());
        bus.map(Pa(RAM), 0x10_0000, Backing::Ram(ram, 0)).unwrap();
        let levels = Arc::new(Levels::default());
        let counters = Arc::<Counters>::default();
        let smmu = Smmuv2::new(Config {
            name: "smmuv2".to_owned(),
            profile,
            bus: bus.clone(),
            clock: Clock::new(Mode::Counted),
            global: IrqLine::new(levels.clone(), GLOBAL),
            contexts: (0..profile.banks.into()).map(|n| IrqLine::new(levels.clone(), n)).collect(),
            counters: counters.clone(),
        });
        bus.map(Pa(SMMU), profile.window(), Backing::Mmio(smmu.clone())).unwrap();
        Self { bus, smmu, levels, told: Arc::default(), counters }
    }

    fn r(&self, offset: u64) -> u64 {
        self.bus.read(Pa(SMMU + offset), Size::B4, CPU).unwrap()
    }
    fn r64(&self, offset: u64) -> u64 {
        self.bus.read(Pa(SMMU + offset), Size::B8, CPU).unwrap()
    }
    fn w(&self, offset: u64, value: u64) {
        self.bus.write(Pa(SMMU + offset), Size::B4, value, CPU).unwrap();
    }
    fn w64(&self, offset: u64, value: u64) {
        self.bus.write(Pa(SMMU + offset), Size::B8, value, CPU).unwrap();
    }
    fn put(&self, at: u64, value: u64) {
        self.bus.write(Pa(at), Size::B8, value, CPU).unwrap();
    }
    fn level(&self, line: u32) -> bool {
        self.levels.0.lock().get(&line).copied().unwrap_or(false)
    }

    /// GFRE, GFIE, GCFGFRE, GCFGFIE, USFCFG, VMIDPNE, PTM, SMCFCFG: on, as drivers do it.
    fn enable(&self) {
        self.w(0, 0x0020_1c36);
    }

    /// Stream-to-context: a group for the stream with an S2CR.
    fn stream(&self, group: u64, stream: u32, s2cr: u64) {
        self.w(0xc00 + 4 * group, s2cr);
        self.w(0x800 + 4 * group, 1 << 31 | u64::from(stream));
    }

    /// Bank `n` with stage 1 of 39 bits from the tables at `S1`, ASID 5, and a CBAR.
    fn stage1(&self, n: u64, cbar: u64, sctlr: u64) {
        self.w(0x1800 + 4 * n, 1);
        self.w(0x1000 + 4 * n, cbar);
        // PASize 48 bits, AS, SEP of the upstream bus.
        self.w(cb(n) + TCR2, 5 | 1 << 4 | 7 << 15);
        // T0SZ 25, 4 KiB, EPD1.
        self.w(cb(n) + TCR, 25 | 1 << 8 | 1 << 10 | 3 << 12 | 1 << 23);
        self.w64(cb(n) + TTBR0, S1 | 5 << 48);
        self.w64(cb(n) + 0x28, 5 << 48);
        self.w(cb(n) + 0x38, 0xff);
        self.w(cb(n) + SCTLR, sctlr);
    }

    /// Bank `n` with stage 2 of 39 bits from the tables at `S2`, VMID 9.
    fn stage2(&self, n: u64, sctlr: u64) {
        self.w(0x1800 + 4 * n, 1);
        self.w(0x1000 + 4 * n, 9);
        // T0SZ 25 from level 1 on, PASize 48 bits.
        self.w(cb(n) + TCR, 25 | 1 << 6 | 1 << 8 | 1 << 10 | 3 << 12 | 5 << 16 | 1 << 31);
        self.w64(cb(n) + TTBR0, S2);
        self.w(cb(n) + SCTLR, sctlr);
    }

    /// Maps the page at `at` (below 2 MiB) by tables at a root.
    fn map(&self, root: u64, at: u64, leaf: u64) {
        self.put(root, (root + 0x1000) | 3);
        self.put(root + 0x1000, (root + 0x2000) | 3);
        self.put(root + 0x2000 + (at >> 12) * 8, leaf);
    }

    /// Maps the RAM to itself by the tables of stage 2.
    fn identity2(&self) {
        self.put(S2 + 8, (S2 + 0x3000) | 3);
        self.put(S2 + 0x3000, RAM | BLOCK2);
    }

    fn port(&self, stream: u32) -> Arc<dyn DmaPort> {
        self.smmu.port(Master::new(stream, Stalls::Never))
    }

    fn stallable(&self, stream: u32) -> Arc<dyn DmaPort> {
        let client: Weak<dyn DmaClient> = Arc::<Told>::downgrade(&self.told);
        self.smmu.port(Master::new(stream, Stalls::Notify(client)))
    }

    fn told(&self) -> Vec<bool> {
        std::mem::take(&mut *self.told.0.lock()).into_iter().map(|(_, retry)| retry).collect()
    }
}

fn read(port: &Arc<dyn DmaPort>, at: u64) -> Result<u64, DmaFault> {
    let mut bytes = [0xee; 8];
    port.read(DmaAttrs::default(), at, &mut bytes)?;
    Ok(u64::from_le_bytes(bytes))
}

fn write(port: &Arc<dyn DmaPort>, at: u64, value: u64) -> Result<(), DmaFault> {
    port.write(DmaAttrs::default(), at, &value.to_le_bytes())
}

#[test]
fn the_smmu_has_no_effect_after_reset() {
    let m = Machine::new();
    m.put(DATA, 0x1234);
    assert_eq!(m.r(0), 1, "CLIENTPD");
    assert_eq!(read(&m.port(STREAM), DATA), Ok(0x1234));
    assert_eq!((m.r(0x3c) >> 4 & 0xf, m.r(0x74), m.r(cb(3) + 0x7f4)), (2, 0, 0));
}

#[test]
fn registers_are_for_cpus_and_what_is_not_there_is_zero() {
    let m = Machine::new();
    assert!(m.smmu.cpu_only());
    for offset in [0x2000, 0x1e00, cb(5) + 0x100, 0x400] {
        m.w(offset, 0xffff_ffff);
        assert_eq!(m.r(offset), 0);
    }
    assert!(m.counters.get(Metric::Anomalies) > 0);
    let listed = m.smmu.registers(CPU);
    assert_eq!(listed.iter().filter(|l| l.name == "SMMU_SMR").count(), 64);
    assert_eq!(listed.iter().filter(|l| l.name == "SMMU_CBn_FSR").count(), 32);
}

#[test]
fn it_is_saved_and_restored_without_what_was_stalled() {
    let m = Machine::new();
    m.enable();
    m.stream(0, STREAM, 3);
    m.stage1(3, 0x0001_0007, USUAL | CFCFG);
    m.map(S1, 0x5000, DATA | PAGE);
    assert!(matches!(read(&m.stallable(STREAM), 0x6000), Err(DmaFault::Stalled(_))));
    assert_eq!(m.r(cb(3) + FSR), 0x4000_0402);
    let saved = m.smmu.save();
    m.smmu.reset();
    assert_eq!((m.told(), m.level(3)), (vec![false], false), "reset leaves nothing parked");
    assert_eq!((m.r(cb(3) + SCTLR), m.r(cb(3) + FSR)), (0, 0));

    m.smmu.restore(saved.clone()).unwrap();
    assert_eq!((m.r(cb(3) + FSR), m.r(cb(3) + FAR)), (0x402, 0x6000));
    assert!(m.level(3));
    m.w(cb(3) + FSR, 0xffff_ffff);
    m.put(DATA, 99);
    assert_eq!(read(&m.port(STREAM), 0x5000), Ok(99));
    assert!(Machine::with(Profile::FULL).smmu.restore(saved).is_err());
}

/// PAR has what a translation gives, or the fault; nothing is recorded.
#[test]
fn address_translation_operations_give_an_address_or_a_fault() {
    let m = Machine::new();
    m.stage1(3, 0x0003_0409, USUAL);
    m.stage2(4, USUAL);
    m.identity2();
    m.map(S1, 0x5000, DATA | PAGE | 1 << 7);
    m.map(S1, 0x6000, (RAM + 0x40_0000) | PAGE);
    let par = |op: u64, at: u64| {
        m.w64(cb(3) + op, at);
        assert_eq!(m.r(cb(3) + 0x8f0), 0);
        m.r64(cb(3) + PAR)
    };
    // ATTR of MAIR0's first byte, inner shareable, NS.
    assert_eq!(par(0x800, 0x5000), 0xff << 56 | DATA | 1 << 9 | 3 << 7);
    // Writing what is read-only: PF of level 3.
    assert_eq!(par(0x808, 0x5000), 3 << 32 | 1 << 3 | 1);
    assert_eq!(par(0x818, 0x7000), 3 << 32 | 1 << 1 | 1);
    assert_eq!(par(0x810, 0x6000) & 0xffff_ffff_f001, RAM + 0x40_0000, "stage 1 alone");
    // Both stages, by a bank that is named: a fault of stage 2.
    m.w64(0x120, 0x6000 | 3);
    assert_eq!(m.r64(0x180), 1 << 35 | 2 << 32 | 1 << 1 | 1);
    m.w64(0x130, 0x5000 | 3);
    assert_eq!(m.r64(0x180) & 0xffff_ffff_f001, DATA);
    m.w64(0x110, 0x5000 | 99);
    assert_eq!(m.r64(0x180), 1, "no such bank");
    assert_eq!((m.r(cb(3) + FSR), m.r(cb(4) + FSR), m.r(0x48)), (0, 0, 0));
    // As two words, the upper one first.
    m.w(cb(3) + 0x804, 0);
    m.w(cb(3) + 0x800, 0x5000);
    assert_eq!(m.r(cb(3) + PAR) & !0xfff, DATA);
}

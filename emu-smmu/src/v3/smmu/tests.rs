//! An SMMU over a bus with memory, programmed in the order in which Linux's driver does it, and a master behind it.

mod atos;
mod caches;
mod pmcg;
mod stress;
mod wildcards;

use std::sync::Weak;

use emu_core::Pa;
use emu_core::bus::Backing;
use emu_core::clock::Mode;
use emu_core::dma::{DirectPort, DmaAttrs, DmaClient, DmaFault, StallTag, Stalls};
use emu_core::irq::IrqSink;
use emu_core::ram::GuestRam;
use emu_mmu::{Regime, TlbiListener};
use parking_lot::Mutex;

use super::*;

const SMMU: u64 = 0x0905_0000;
const RAM: u64 = 0x4000_0000;
const STRTAB: u64 = RAM + 0x1_0000;
const CMDQ: u64 = RAM + 0x2_0000;
const EVENTQ: u64 = RAM + 0x3_0000;
const PRIQ: u64 = RAM + 0x3_8000;
const CD: u64 = RAM + 0x4_0000;
/// Translation tables of level 1, 2 and 3.
const TABLES: [u64; 3] = [RAM + 0x5_0000, RAM + 0x5_1000, RAM + 0x5_2000];
const BUFFER: u64 = RAM + 0x8_0000;
/// log2 of the entries of the queues.
const BITS: u64 = 4;
const STREAM: u32 = 0x18;
const ASID: u64 = 5;
const IOVA: u64 = 0x1_2345_6000;

const CPU: Requester = Requester::Cpu(0);

#[derive(Default)]
struct Edges(Mutex<[u32; 4]>);

impl IrqSink for Edges {
    fn set_level(&self, line: u32, level: bool) {
        self.0.lock()[line as usize] += u32::from(level);
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
    clock: Arc<Clock>,
    smmu: Arc<Smmuv3>,
    edges: Arc<Edges>,
    told: Arc<Told>,
    port: Arc<dyn DmaPort>,
    counters: Arc<Counters>,
}

impl Machine {
    fn new(profile: Profile) -> Self {
        let ram = GuestRam::new(0x10_0000).unwrap();
        let bus = Arc::new(Bus::new());
        bus.map(Pa(RAM), 0x10_0000, Backing::Ram(ram, 0)).unwrap();
        let edges = Arc::new(Edges::default());
        let counters = Arc::<Counters>::default();
        let clock = Clock::new(Mode::Counted);
        let smmu = Smmuv3::new(Config {
            name: "smmuv3".to_owned(),
            profile,
            bus: bus.clone(),
            clock: clock.clone(),
            wires: [0, 1, 2, 3].map(|line| IrqLine::new(edges.clone(), line)),
            messages: Arc::new(DirectPort::new(bus.clone(), Master::new(0xff00, Stalls::Never))),
            send_event: None,
            counters: counters.clone(),
        });
        bus.map(Pa(SMMU), super::super::registers::WINDOW, Backing::Mmio(smmu.clone())).unwrap();
        let told = Arc::new(Told::default());
        let client: Weak<dyn DmaClient> = Arc::<Told>::downgrade(&told);
        let port = smmu.port(Master::new(STREAM, Stalls::Notify(client)));
        Self { bus, clock, smmu, edges, told, port, counters }
    }

    fn r(&self, offset: u64) -> u64 {
        self.bus.read(Pa(SMMU + offset), Size::B4, CPU).unwrap()
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
    fn get(&self, at: u64) -> u64 {
        self.bus.read(Pa(at), Size::B8, CPU).unwrap()
    }

    /// Writes a register that is acknowledged in another one.
    fn w_sync(&self, offset: u64, ack: u64, value: u64) {
        self.w(offset, value);
        assert_eq!(self.r(ack), value);
    }

    /// Submits commands with a CMD_SYNC behind them, whose message goes into its own slot where there are messages.
    fn commands(&self, commands: &[[u64; 2]]) {
        let mut prod = self.r(0x98);
        let slot = |prod: u64| CMDQ + 16 * (prod & ((1 << BITS) - 1));
        let msi = self.r(0) >> 13 & 1 != 0;
        let mut sync = [0x46, 0];
        for n in 0..=commands.len() {
            let at = slot(prod);
            if n == commands.len() && msi {
                sync = [0x46 | 1 << 12 | 3 << 22 | 0xf << 24, at];
            }
            let [first, second] = *commands.get(n).unwrap_or(&sync);
            self.put(at, first);
            self.put(at + 8, second);
            prod = (prod + 1) & ((2 << BITS) - 1);
        }
        self.w(0x98, prod);
        assert_eq!(self.r(0x9c), prod, "GERROR {:#x}", self.r(0x60));
        if msi {
            assert_eq!(
                self.get(slot(prod.wrapping_sub(1))) as u32,
                0,
                "the message has overwritten the command"
            );
        }
    }

    /// What Linux's driver does when it finds the SMMU (`arm_smmu_device_reset` in its order).
    fn reset_by_linux(&self) {
        if self.r(0x20) & 1 != 0 {
            // GBPA.ABORT: nothing gets through meanwhile.
            self.w(0x44, 1 << 31 | 1 << 20);
        }
        self.w_sync(0x20, 0x24, 0);
        // Tables and queues in the caches, inner shareable.
        self.w(0x28, 3 << 10 | 1 << 8 | 1 << 6 | 3 << 4 | 1 << 2 | 1);
        // PTM and RECINVSID.
        self.w(0x2c, 4 | 2);
        self.w64(0x80, 1 << 62 | STRTAB);
        self.w(0x88, 5);
        self.w64(0x90, 1 << 62 | CMDQ | BITS);
        self.w(0x98, 0);
        self.w(0x9c, 0);
        self.w_sync(0x20, 0x24, 8);
        self.commands(&[[0x04, 31]]);
        self.commands(&[[0x30, 0]]);
        self.w64(0xa0, 1 << 62 | EVENTQ | BITS);
        self.w(0x1_00a8, 0);
        self.w(0x1_00ac, 0);
        self.w_sync(0x20, 0x24, 0xc);
        // PRIQEN, where there is PRI.
        let pri = (self.r(0) >> 16 & 1) << 1;
        if pri != 0 {
            self.w64(0xc0, 1 << 62 | PRIQ | BITS);
            self.w(0x1_00c8, 0);
            self.w(0x1_00cc, 0);
            self.w_sync(0x20, 0x24, 0xc | pri);
        }
        self.w_sync(0x50, 0x54, 0);
        for address in [0x68, 0xb0, 0xd0] {
            self.w64(address, 0);
        }
        self.w_sync(0x50, 0x54, 5 | pri);
        self.w_sync(0x20, 0x24, 0xd | pri);
    }

    /// An STE with stage 1 alone, and its CD: 39 bits of 4 KiB pages, R and A, and the bits given.
    fn attach(&self, stalls: bool) {
        let [l1, l2, l3] = TABLES;
        self.put(l1 + 8 * (IOVA >> 30), l2 | 3);
        self.put(l2 + 8 * (IOVA >> 21 & 511), l3 | 3);
        // T0SZ, WBWA inner shareable, EPD1, V, IPS 44, AA64, S, R, A, ASET, ASID.
        let s = u64::from(stalls) << 44;
        let attributes = 1 << 8 | 1 << 10 | 3 << 12;
        let dw0 = 25 | attributes | 1 << 30 | 1 << 31 | 4 << 32 | 1 << 41 | s | 7 << 45 | ASID << 48;
        for (n, dw) in [dw0, l1, 0, 0xff, 0, 0, 0, 0].into_iter().enumerate() {
            self.put(CD + 8 * n as u64, dw);
        }
        let ste = STRTAB + 64 * u64::from(STREAM);
        // S1CIR, S1COR, S1CSH, SHCFG of a cacheable, shareable stream.
        self.put(ste + 8, 1 << 2 | 1 << 4 | 3 << 6 | 1 << 44);
        self.put(ste, 1 | 5 << 1 | CD);
        self.commands(&[[0x03 | u64::from(STREAM) << 32, 1]]);
    }

    /// Maps pages of the window at [`IOVA`] one after the other, or takes the first ones away.
    fn map(&self, page: u64, target: Option<u64>) {
        // AF, inner shareable, unprivileged, nG.
        let descriptor = target.map_or(0, |pa| pa | 1 << 11 | 1 << 10 | 3 << 8 | 1 << 6 | 3);
        self.put(TABLES[2] + 8 * ((IOVA >> 12 & 511) + page), descriptor);
    }

    fn invalidate(&self, page: u64) {
        self.commands(&[[0x12 | ASID << 48, (IOVA + (page << 12)) | 1]]);
    }

    fn read(&self, addr: u64, n: usize) -> Result<Vec<u8>, DmaFault> {
        let mut buf = vec![0; n];
        self.port.read(DmaAttrs::default(), addr, &mut buf)?;
        Ok(buf)
    }
    fn write(&self, addr: u64, bytes: &[u8]) -> Result<(), DmaFault> {
        self.port.write(DmaAttrs::default(), addr, bytes)
    }

    /// The next event record, which is consumed.
    fn event(&self) -> Option<[u64; 4]> {
        let (prod, cons) = (self.r(0x1_00a8), self.r(0x1_00ac));
        let size = 1 << (self.r(0xa0) & 0x1f);
        if (prod ^ cons) & (2 * size - 1) == 0 {
            return None;
        }
        let at = EVENTQ + 32 * (cons & (size - 1));
        let record = [0, 8, 16, 24].map(|n| self.get(at + n));
        self.w(0x1_00ac, cons & 1 << 31 | (cons + 1) & (2 * size - 1));
        Some(record)
    }

    fn edges(&self) -> [u32; 4] {
        std::mem::take(&mut *self.edges.0.lock())
    }
    fn told(&self) -> Vec<(StallTag, bool)> {
        std::mem::take(&mut *self.told.0.lock())
    }

    /// With a stream that stalls, as a profile without TERM_MODEL allows.
    fn stalling() -> Self {
        let m = Self::new(Profile::FULL);
        m.reset_by_linux();
        m.attach(true);
        m
    }

    /// A read that stalls: its tag, and the STAG of its record.
    fn stalled_read(&self) -> (StallTag, u64) {
        let Err(DmaFault::Stalled(tag)) = self.read(IOVA, 4) else { panic!("it does not stall") };
        let record = self.event().unwrap();
        assert_eq!((record[0] as u8, record[1] >> 31 & 1, record[2]), (0x10, 1, IOVA));
        (tag, record[1] & 0xffff)
    }
}

#[test]
fn linux_programs_it_and_a_master_is_translated() {
    for profile in [Profile::QEMU, Profile::MMU600, Profile::FULL] {
        let m = Machine::new(profile);
        m.reset_by_linux();
        m.attach(false);
        m.map(0, Some(BUFFER + 0x3000));
        m.map(1, Some(BUFFER));
        // Over the end of a page, into scattered memory.
        m.write(IOVA + 0xffe, b"abcd").unwrap();
        assert_eq!((m.get(BUFFER + 0x3ff8) >> 48, m.get(BUFFER) as u16), (0x6261, 0x6463));
        assert_eq!(m.read(IOVA + 0xffe, 4).as_deref(), Ok(&b"abcd"[..]));
        // What is unmapped is gone when the CMD_SYNC is consumed.
        m.map(0, None);
        m.invalidate(0);
        assert_eq!(m.read(IOVA, 4), Err(DmaFault::Abort));
        let record = m.event().unwrap();
        // F_TRANSLATION of an unprivileged read of data at stage 1.
        assert_eq!(record, [0x10 | u64::from(STREAM) << 32, 1 << 35 | 2 << 40, IOVA, 0]);
        assert_eq!(m.event(), None);
        let [eventq, priq, _, gerror] = m.edges();
        assert_eq!((eventq, priq, gerror), (1, 0, 0));
        assert_eq!(m.counters.get(Metric::Anomalies), 0);
    }
}

#[test]
fn while_it_is_off_gbpa_says_what_happens() {
    let m = Machine::new(Profile::QEMU);
    m.write(BUFFER, b"abcd").unwrap();
    m.w(0x44, 1 << 31 | 1 << 20 | 1 << 12);
    assert_eq!(m.read(BUFFER, 4), Err(DmaFault::Abort));
    m.w(0x44, 1 << 31 | 1 << 12);
    assert_eq!(m.read(BUFFER, 4).as_deref(), Ok(&b"abcd"[..]));
    assert_eq!(m.event(), None);
}

#[test]
fn a_bad_stream_is_recorded_as_cr2_says() {
    let m = Machine::new(Profile::QEMU);
    m.reset_by_linux();
    let other = m.smmu.port(Master::new(0x40, Stalls::Never));
    assert_eq!(other.write(DmaAttrs::default(), BUFFER, b"x"), Err(DmaFault::Abort));
    assert_eq!(m.event(), Some([0x02 | 0x40 << 32, 0, 0, 0]));
    m.w(0x20, 0xc);
    m.w(0x2c, 0);
    m.w(0x20, 0xd);
    assert_eq!(other.write(DmaAttrs::default(), BUFFER, b"x"), Err(DmaFault::Abort));
    assert_eq!(m.event(), None);
    // An STE that is not valid.
    assert_eq!(m.write(BUFFER, b"x"), Err(DmaFault::Abort));
    assert_eq!(m.event(), Some([0x04 | u64::from(STREAM) << 32, 0, 0, 0]));
}

#[test]
fn a_stalled_read_is_resumed_when_the_page_is_there() {
    let m = Machine::stalling();
    let (tag, stag) = m.stalled_read();
    assert_eq!((m.event(), m.told()), (None, vec![]));
    m.map(0, Some(BUFFER));
    m.put(BUFFER, 0x6463_6261);
    // Neither another stream's nor another tag.
    m.commands(&[[0x44 | 1 << 12 | 0x19 << 32, stag], [0x44 | 1 << 12 | 0x18 << 32, stag + 1]]);
    assert_eq!(m.told(), []);
    m.commands(&[[0x44 | 1 << 12 | 0x18 << 32, stag]]);
    assert_eq!(m.told(), [(tag, true)]);
    assert_eq!(m.read(IOVA, 4).as_deref(), Ok(&b"abcd"[..]));
}

#[test]
fn a_stalled_transaction_is_terminated_as_software_says() {
    let m = Machine::stalling();
    let (tag, stag) = m.stalled_read();
    m.commands(&[[0x44 | 1 << 13 | 0x18 << 32, stag]]);
    assert_eq!(m.told(), [(tag, false)]);
    // With RAZ/WI it is to be tried again, and then reads zeroes.
    let (tag, stag) = m.stalled_read();
    m.commands(&[[0x44 | 0x18 << 32, stag]]);
    assert_eq!(m.told(), [(tag, true)]);
    assert_eq!((m.read(IOVA, 4), m.event()), (Ok(vec![0; 4]), None));
    let (tag, _) = m.stalled_read();
    m.commands(&[[0x45 | 0x18 << 32, 0]]);
    assert_eq!(m.told(), [(tag, false)]);
    // SMMUEN = 0, and reset.
    for how in [|m: &Machine| m.w(0x20, 0xc), |m: &Machine| m.smmu.reset()] {
        m.reset_by_linux();
        let (tag, _) = m.stalled_read();
        how(&m);
        assert_eq!((m.told(), m.smmu.core().stalled().len()), (vec![(tag, false)], 0));
    }
}

#[test]
fn a_stall_is_told_of_when_the_queue_has_room() {
    let m = Machine::stalling();
    m.attach(false);
    m.commands(&[[0x05 | u64::from(STREAM) << 32, 1]]);
    for _ in 0..16 {
        assert_eq!(m.read(IOVA, 4), Err(DmaFault::Abort));
    }
    m.attach(true);
    let Err(DmaFault::Stalled(tag)) = m.read(IOVA + 8, 4) else { panic!("it does not stall") };
    assert_eq!((m.r(0x1_00a8), m.told()), (0x10, vec![]), "no overflow");
    // Room for one: it is to try again, and so tells.
    m.event().unwrap();
    assert_eq!(m.told(), [(tag, true)]);
    assert!(matches!(m.read(IOVA + 8, 4), Err(DmaFault::Stalled(_))));
    assert_eq!(m.r(0x1_00a8), 0x11);
}

/// IDR0.BTM and CR2.PTM.
#[test]
fn tlb_maintenance_of_cpus_reaches_it_unless_it_keeps_out() {
    let m = Machine::new(Profile::FULL);
    m.reset_by_linux();
    m.attach(false);
    m.map(0, Some(BUFFER));
    let reads = || m.read(IOVA, 4).is_ok();
    let start = IOVA;
    let scope = TlbiScope::Va { regime: Regime::El10, vmid: 0, asid: Some(5), start, end: start | 0xfff };
    assert!(reads());
    m.map(0, None);
    TlbiListener::invalidate(&**m.smmu.core(), &scope);
    assert!(reads(), "PTM is set");
    m.w(0x20, 0xc);
    m.w(0x2c, 2);
    m.w(0x20, 0xd);
    assert!(reads());
    TlbiListener::invalidate(&**m.smmu.core(), &scope);
    assert!(!reads());
}

#[test]
fn devices_do_not_reach_its_registers() {
    let m = Machine::new(Profile::QEMU);
    assert_eq!(m.write(SMMU + 0x20, &[1, 0, 0, 0]), Err(DmaFault::Abort));
    assert_eq!((m.r(0x20), m.smmu.cpu_only()), (0, true));
}

#[test]
fn accesses_that_no_driver_makes_are_counted() {
    let m = Machine::new(Profile::QEMU);
    m.w(0x0, 1);
    m.w(0x200, 1);
    assert_eq!(m.bus.read(Pa(SMMU + 0x20), Size::B8, CPU), Ok(0));
    assert_eq!(m.counters.get(Metric::Anomalies), 3);
}

#[test]
fn its_state_is_saved_and_restored() {
    let m = Machine::new(Profile::FULL);
    m.reset_by_linux();
    m.attach(false);
    m.map(0, Some(BUFFER));
    m.write(IOVA, b"abcd").unwrap();
    let saved = m.smmu.save();
    let listed = m.smmu.registers(CPU);
    m.smmu.reset();
    assert_eq!(m.read(BUFFER, 4).as_deref(), Ok(&b"abcd"[..]), "bypass");
    m.smmu.restore(saved.clone()).unwrap();
    assert_eq!((m.smmu.save(), m.smmu.registers(CPU)), (saved.clone(), listed));
    assert_eq!(m.read(IOVA, 4).as_deref(), Ok(&b"abcd"[..]));
    // Not into one that has less.
    let small = Machine::new(Profile::QEMU);
    let before = small.smmu.save();
    assert!(small.smmu.restore(saved).is_err());
    assert_eq!(small.smmu.save(), before);
}

/// Whatever is written where, it ends, and registers keep to their bits.
#[test]
fn any_write_of_any_register_ends() {
    let m = Machine::new(Profile::FULL);
    let mut seed = 0x9e37_79b9_7f4a_7c15_u64;
    let mut next = || {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        seed
    };
    for _ in 0..20_000 {
        let (offset, value) = (next() % 0x38 * 4 + (next() & 1) * 0x1_0000, next());
        // Small queues, so that most of the time is not spent in the largest.
        let value = if matches!(offset, 0x90 | 0xa0) { value & 0xfff4 | RAM } else { value };
        m.w(offset, value & 0xffff_ffff);
        let _ = m.write(RAM + value % 0x10_0000, b"abcd");
    }
    assert!(m.smmu.interface.registers().is_possible(m.smmu.profile()));
}

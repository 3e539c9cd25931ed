//! The counter group beside an SMMU, programmed as Linux's driver does it.

use emu_core::dma::ats::TranslationRequest;

use super::super::super::pmcg::{self, Pmcg};
use super::*;

const PMCG: u64 = 0x0b00_0000;
const PAGE_1: u64 = 0x1_0000;
const CFGR: u64 = 0xe00;
const CR: u64 = 0xe04;
const CEID: u64 = 0xe20;
const IRQ_CTRL: u64 = 0xe50;
const IRQ_CFG0: u64 = 0xe58;
const IRQ_STATUS: u64 = 0xe68;
const CNTENSET: u64 = 0xc00;
const CNTENCLR: u64 = 0xc20;
const INTENSET: u64 = 0xc40;
const OVSCLR: u64 = PAGE_1 + 0xc80;
const OVSSET: u64 = PAGE_1 + 0xcc0;
const CAPR: u64 = PAGE_1 + 0xd88;
/// EVTYPER: OVFCAP, FILTER_SID_SPAN.
const OVFCAP: u64 = 1 << 31;
const SPAN: u64 = 1 << 29;
const ALL: u64 = 0xffff_ffff;

/// An SMMU that translates one stream, and its counter group.
struct Monitored {
    m: Machine,
    pmcg: Arc<Pmcg>,
    edges: Arc<Edges>,
}

impl Monitored {
    fn new(profile: Profile) -> Self {
        let m = Machine::new(profile);
        m.reset_by_linux();
        m.attach(false);
        m.map(0, Some(BUFFER));
        let edges = Arc::new(Edges::default());
        let pmcg = Pmcg::beside(
            &m.smmu,
            pmcg::Config {
                name: "pmcg".to_owned(),
                clock: m.clock.clone(),
                wire: IrqLine::new(edges.clone(), 0),
                messages: Arc::new(DirectPort::new(m.bus.clone(), Master::new(0xfffe, Stalls::Never))),
                counters: m.counters.clone(),
            },
        )
        .unwrap();
        m.bus.map(Pa(PMCG), 0x2_0000, Backing::Mmio(pmcg.clone())).unwrap();
        Self { m, pmcg, edges }
    }

    fn r(&self, offset: u64) -> u64 {
        self.m.bus.read(Pa(PMCG + offset), Size::B8, CPU).unwrap()
    }
    fn r32(&self, offset: u64) -> u64 {
        self.m.bus.read(Pa(PMCG + offset), Size::B4, CPU).unwrap()
    }
    fn w(&self, offset: u64, value: u64) {
        self.m.bus.write(Pa(PMCG + offset), Size::B8, value, CPU).unwrap();
    }
    fn w32(&self, offset: u64, value: u64) {
        self.m.bus.write(Pa(PMCG + offset), Size::B4, value, CPU).unwrap();
    }

    /// Counter n, of 64 bits.
    fn count(&self, n: u64) -> u64 {
        self.r(PAGE_1 + 8 * n)
    }

    /// Has counter n count an event of some streams from a value on.
    fn set(&self, n: u64, kind: u64, streams: u64, from: u64) {
        self.w(CNTENCLR, 1 << n);
        self.w32(0x400 + 4 * n, kind);
        self.w32(0xa00 + 4 * n, streams);
        self.w(PAGE_1 + 8 * n, from);
        self.w(CNTENSET, 1 << n);
    }

    fn enable(&self) {
        self.w32(IRQ_CTRL, 1);
        self.w32(CR, 1);
    }

    fn edges(&self) -> u32 {
        std::mem::take(&mut self.edges.0.lock()[0])
    }
}

#[test]
fn groups_say_what_they_have() {
    // NCTR, SIZE, RELOC_CTRS, MSI, CAPTURE, SID_FILTER_TYPE.
    let full = Monitored::new(Profile::FULL);
    assert_eq!(full.r32(CFGR), 7 | 63 << 8 | 1 << 20 | 1 << 21 | 1 << 22);
    let mmu600 = Monitored::new(Profile::MMU600);
    assert_eq!(mmu600.r32(CFGR), 3 | 31 << 8 | 1 << 20 | 1 << 21 | 1 << 22 | 1 << 23);
    for (group, version) in [(&full, 2), (&mmu600, 1)] {
        let ats = group.m.smmu.profile().ats;
        assert_eq!((group.r(CEID), group.r(CEID + 8)), (if ats { 0xff } else { 0x3f }, 0));
        assert_eq!(group.r32(0xe70), version);
    }
    assert!(Profile::QEMU.pmcg.is_none());
}

#[test]
fn each_event_is_counted_where_it_happens() {
    let g = Monitored::new(Profile::FULL);
    for event in 1..6 {
        g.set(event, event | SPAN, ALL, 0);
    }
    g.m.read(IOVA, 4).unwrap();
    assert_eq!([1, 2, 3, 4, 5].map(|n| g.count(n)), [0; 5], "CR.E is 0");
    g.m.commands(&[[0x04, 31], [0x30, 0]]);
    g.enable();
    // An STE, a CD, tables of level 1, 2 and 3.
    g.m.read(IOVA, 4).unwrap();
    assert_eq!([1, 2, 3, 4, 5].map(|n| g.count(n)), [1, 1, 1, 3, 2]);
    // All is known.
    for _ in 0..3 {
        g.m.read(IOVA + 8, 4).unwrap();
    }
    assert_eq!([1, 2, 3, 4, 5].map(|n| g.count(n)), [4, 1, 1, 3, 2]);
    // Two pages are two transactions, of which one is terminated by a fault.
    assert_eq!(g.m.read(IOVA + 0xffe, 4), Err(DmaFault::Abort));
    assert_eq!([1, 2, 3, 4, 5].map(|n| g.count(n)), [6, 2, 1, 6, 2]);
    // The configuration alone.
    g.m.commands(&[[0x03 | u64::from(STREAM) << 32, 1]]);
    g.m.read(IOVA, 4).unwrap();
    assert_eq!([1, 2, 3, 4, 5].map(|n| g.count(n)), [7, 2, 2, 6, 4]);
    g.w32(CR, 0);
    g.m.read(IOVA, 4).unwrap();
    assert_eq!(g.count(1), 7);
}

/// Events 6 and 7.
#[test]
fn translation_services_are_counted() {
    let g = Monitored::new(Profile::FULL);
    // EATS = 1.
    let ste = STRTAB + 64 * u64::from(STREAM);
    g.m.put(ste + 8, g.m.get(ste + 8) | 1 << 28);
    g.m.commands(&[[0x03 | u64::from(STREAM) << 32, 1]]);
    for event in [1, 6, 7] {
        g.set(event, event, STREAM.into(), 0);
    }
    g.enable();
    let request = TranslationRequest { address: IOVA, units: 1, no_write: true, pasid: None };
    let granted = g.m.port.translate(&request).unwrap();
    assert_eq!(granted.first().map(|grant| grant.address), Some(BUFFER));
    assert_eq!([1, 6, 7].map(|n| g.count(n)), [1, 1, 0]);
    let translated = DmaAttrs { translated: true, ..DmaAttrs::default() };
    for _ in 0..3 {
        g.m.port.read(translated, BUFFER, &mut [0; 4]).unwrap();
    }
    assert_eq!([1, 6, 7].map(|n| g.count(n)), [4, 1, 3]);
}

#[test]
fn a_stream_that_is_not_counted_is_as_quick_as_before() {
    let g = Monitored::new(Profile::FULL);
    let quick = || g.m.smmu.core().counts()[0].1.quick;
    g.set(0, 1, u64::from(STREAM) + 1, 0);
    g.enable();
    let before = quick();
    (0..5).for_each(|_| assert!(g.m.read(IOVA, 4).is_ok()));
    assert_eq!((g.count(0), quick() - before), (0, 4), "the port knows the way after the first time");
    // Counted: none is missed, though the port knew the way.
    g.set(0, 1, STREAM.into(), 0);
    let before = quick();
    (0..5).for_each(|_| assert!(g.m.read(IOVA, 4).is_ok()));
    assert_eq!((g.count(0), quick() - before), (5, 0));
    // And after it.
    g.w(CNTENCLR, 1);
    let before = quick();
    (0..5).for_each(|_| assert!(g.m.read(IOVA, 4).is_ok()));
    assert_eq!((g.count(0), quick() - before), (5, 4));
}

#[test]
fn an_overflow_interrupts_at_the_transaction_that_makes_it() {
    let g = Monitored::new(Profile::FULL);
    g.set(2, 1 | OVFCAP, STREAM.into(), u64::MAX - 1);
    g.set(3, 1, STREAM.into(), 10);
    g.w(INTENSET, 4);
    g.enable();
    g.m.read(IOVA, 4).unwrap();
    assert_eq!((g.edges(), g.r(OVSSET)), (0, 0));
    g.m.read(IOVA, 4).unwrap();
    assert_eq!((g.edges(), g.r(OVSSET)), (1, 4));
    // Captured with it: counter 3 as it was then, and counter 2 after the overflow.
    g.m.read(IOVA, 4).unwrap();
    assert_eq!((g.count(2), g.r(PAGE_1 + 0x600 + 16)), (1, 0));
    assert_eq!(g.r(PAGE_1 + 0x600 + 24), 12);
    g.w32(CAPR, 1);
    assert_eq!((g.r(PAGE_1 + 0x600 + 24), g.r32(CAPR)), (13, 0));
    // The status is no condition, and is cleared by ones.
    g.w(PAGE_1 + 16, u64::MAX);
    g.m.read(IOVA, 4).unwrap();
    assert_eq!(g.edges(), 1);
    g.w(OVSCLR, !4);
    assert_eq!(g.r(OVSCLR), 4);
    g.w(OVSCLR, 4);
    assert_eq!(g.r(OVSSET), 0);
    g.w(OVSSET, 8);
    assert_eq!((g.r(OVSCLR), g.edges()), (8, 0), "software's own bit does not interrupt");
    // IRQEN is above INTEN.
    g.w32(IRQ_CTRL, 0);
    g.w(PAGE_1 + 16, u64::MAX);
    g.m.read(IOVA, 4).unwrap();
    assert_eq!((g.edges(), g.r(OVSSET)), (0, 12));
}

#[test]
fn the_clock_overflows_in_time() {
    let g = Monitored::new(Profile::MMU600);
    let counter = PAGE_1 + 4;
    // Event 0, whatever the stream.
    g.w32(counter, 0xffff_ff00);
    g.w(CNTENSET, 2);
    g.w(INTENSET, 2);
    g.m.clock.advance(500);
    assert_eq!(g.r32(counter), 0xffff_ff00);
    g.enable();
    g.m.clock.advance(255);
    assert_eq!((g.r32(counter), g.edges()), (0xffff_ffff, 0));
    g.m.clock.advance(1);
    assert_eq!((g.edges(), g.r(OVSSET), g.r32(counter)), (1, 2, 0), "nobody has looked");
    g.m.clock.advance(1 << 32);
    assert_eq!((g.edges(), g.r32(counter)), (1, 0));
    g.w32(CR, 0);
    assert_eq!(g.m.clock.next_deadline(), None);
    g.w32(CR, 1);
    g.m.clock.advance(u64::MAX);
    assert_eq!(g.r(OVSSET), 2, "the end of time");
}

#[test]
fn messages_go_where_software_says() {
    let g = Monitored::new(Profile::FULL);
    g.set(0, 1 | SPAN, ALL, u64::MAX);
    g.w(INTENSET, 1);
    g.w(IRQ_CFG0, BUFFER + 0x800);
    g.w32(IRQ_CFG0 + 8, 0xcafe);
    g.enable();
    g.w(IRQ_CFG0, BUFFER);
    assert_eq!(g.r(IRQ_CFG0), BUFFER + 0x800, "guarded by IRQEN");
    g.m.read(IOVA, 4).unwrap();
    assert_eq!((g.m.get(BUFFER + 0x800), g.edges(), g.r32(IRQ_STATUS)), (0xcafe, 1, 0));
    // Where nothing answers, IRQ_ABT tells, until IRQEN is set anew.
    g.w32(IRQ_CTRL, 0);
    g.w(IRQ_CFG0, 0x7000_0000);
    g.w32(IRQ_CTRL, 1);
    g.w(PAGE_1, u64::MAX);
    g.m.read(IOVA, 4).unwrap();
    assert_eq!((g.edges(), g.r32(IRQ_STATUS)), (1, 1));
    g.w32(IRQ_CTRL, 0);
    assert_eq!(g.r32(IRQ_STATUS), 1);
    g.w32(IRQ_CTRL, 1);
    assert_eq!(g.r32(IRQ_STATUS), 0);
}

#[test]
fn one_filter_is_for_all_counters_of_mmu_600() {
    let g = Monitored::new(Profile::MMU600);
    g.w32(0x404, ALL);
    assert_eq!(g.r32(0x404), OVFCAP | 0xffff, "there is no span beside the first counter");
    g.w32(0x404, 1);
    g.w32(0xa00, u64::from(STREAM) + 1);
    g.w(CNTENSET, 2);
    g.enable();
    g.m.read(IOVA, 4).unwrap();
    assert_eq!(g.r32(PAGE_1 + 4), 0);
    g.w32(0xa00, STREAM.into());
    g.m.read(IOVA, 4).unwrap();
    assert_eq!(g.r32(PAGE_1 + 4), 1);
}

#[test]
fn a_saved_group_goes_on_counting_where_it_was() {
    let (g, other) = (Monitored::new(Profile::FULL), Monitored::new(Profile::FULL));
    g.set(0, 0, 0, 100);
    g.set(1, 1, STREAM.into(), u64::MAX);
    g.w(INTENSET, 3);
    g.enable();
    g.m.clock.advance(50);
    other.m.clock.advance(1_000);
    other.pmcg.restore(g.pmcg.save()).unwrap();
    other.m.clock.set_now(50);
    assert_eq!((other.count(0), other.count(1)), (150, u64::MAX));
    other.m.read(IOVA, 4).unwrap();
    assert_eq!((other.r(OVSSET), other.edges()), (2, 1));
    other.pmcg.reset();
    assert_eq!((other.r(CNTENSET), other.r(OVSSET), other.r32(CR), other.count(0)), (0, 0, 0, 0));
    // A group of another shape does not take it.
    assert!(Monitored::new(Profile::MMU600).pmcg.restore(g.pmcg.save()).is_err());
    assert_eq!(g.m.counters.get(Metric::Anomalies), 0);
}

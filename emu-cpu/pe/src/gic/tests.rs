//! The CPU interfaces as software sees them.

use std::collections::BTreeMap;

use parking_lot::Mutex;

use super::GicReg::*;
use super::*;

/// A redistributor of the simplest kind, which writes down what it is asked.
#[derive(Default)]
struct Fake(Mutex<Inner>);

#[derive(Default)]
struct Inner {
    pending: BTreeMap<u32, (u8, u8)>,
    deactivated: Vec<u32>,
    sgis: Vec<Sgi>,
    ppis: Vec<(u32, bool)>,
    enables: Option<(bool, bool)>,
    /// Acknowledgements to refuse, as if another PE had been faster.
    refuse: u32,
}

impl GicPort for Fake {
    fn highest_pending(&self) -> Option<Pending> {
        let s = self.0.lock();
        let (&intid, &(priority, group)) = s.pending.iter().min_by_key(|(_, p)| p.0)?;
        Some(Pending { intid, priority, group: if group == 0 { Group::G0 } else { Group::G1 } })
    }
    fn acknowledge(&self, intid: u32) -> bool {
        let mut s = self.0.lock();
        s.pending.remove(&intid);
        s.refuse = s.refuse.saturating_sub(1);
        s.refuse == 0
    }
    fn deactivate(&self, intid: u32) {
        self.0.lock().deactivated.push(intid);
    }
    fn send_sgi(&self, sgi: Sgi) {
        self.0.lock().sgis.push(sgi);
    }
    fn set_ppi(&self, intid: u32, level: bool) {
        self.0.lock().ppis.push((intid, level));
    }
    fn set_group_enables(&self, g0: bool, g1: bool) {
        self.0.lock().enables = Some((g0, g1));
    }
}

const LEVELS: Levels = Levels::BASE.with(El::El2);
const EL1: Env = Env { el: El::El1, hcr_el2: 0, levels: LEVELS };
const GUEST: Env = Env { el: El::El1, hcr_el2: HCR_IMO | HCR_FMO, levels: LEVELS };
const EL2: Env = Env { el: El::El2, hcr_el2: HCR_IMO | HCR_FMO, levels: LEVELS };

/// All registers, with op1 of their encodings.
fn registers() -> impl Iterator<Item = (GicReg, u8)> {
    crate::sysreg::rows().iter().filter_map(|row| match row.cell {
        crate::sysreg::Cell::Gic(reg) => Some((reg, row.enc.parts().1)),
        _ => None,
    })
}

const NONE: Signals = Signals { irq: false, fiq: false, virq: false, vfiq: false };

struct Rig {
    cpu: CpuInterface,
    gic: Arc<Fake>,
}

impl Rig {
    fn new() -> Self {
        let gic = Arc::new(Fake::default());
        Self { cpu: CpuInterface::new(gic.clone(), 4), gic }
    }
    /// Both groups on, everything unmasked.
    fn open(env: &Env) -> Self {
        let mut rig = Self::new();
        rig.cpu.write(ICH_HCR_EL2, 1, &EL2);
        for (reg, value) in [(ICC_PMR_EL1, 0xff), (ICC_IGRPEN0_EL1, 1), (ICC_IGRPEN1_EL1, 1)] {
            rig.cpu.write(reg, value, env);
        }
        rig
    }
    fn pend(&self, intid: u32, priority: u8, group: u8) {
        self.gic.0.lock().pending.insert(intid, (priority, group));
    }
    fn deactivated(&self) -> Vec<u32> {
        std::mem::take(&mut self.gic.0.lock().deactivated)
    }
    fn ppis(&self) -> Vec<(u32, bool)> {
        std::mem::take(&mut self.gic.0.lock().ppis)
    }
    fn lr(&mut self, n: u8, value: u64) {
        self.cpu.write(ICH_LR_EL2(n), value, &EL2);
    }
    fn get(&mut self, reg: GicReg) -> u64 {
        self.cpu.read(reg, &EL2)
    }
}

/// A pending virtual interrupt of Group 1.
const fn virtual_irq(intid: u64, priority: u64) -> u64 {
    1 << 62 | 1 << 60 | priority << 48 | intid
}

#[test]
fn constants() {
    let mut rig = Rig::new();
    assert_eq!(rig.get(ICH_VTR_EL2), 0x9038_0003, "4 list registers, 5 + 5 bits, A3V, nV4, TDS");
    assert_eq!(rig.get(ICC_CTLR_EL1), 0x4_8400, "RSS, A3V, PRIbits 4");
    assert_eq!(rig.get(ICC_SRE_EL2), 0b0111);
    assert_eq!(rig.get(ICC_SRE_EL1), 0b0111);
    assert_eq!(rig.get(ICC_RPR_EL1), 0xff);
    rig.cpu.write(ICC_PMR_EL1, 0xff, &EL2);
    assert_eq!(rig.get(ICC_PMR_EL1), 0xf8);
    rig.cpu.write(ICH_HCR_EL2, !0, &EL2);
    assert_eq!(rig.get(ICH_HCR_EL2), 0xf800_5cff);
    rig.lr(0, !0);
    assert_eq!(rig.get(ICH_LR_EL2(0)), 0xf0f8_1fff_0000_ffff);
    rig.cpu.write(ICH_VMCR_EL2, 0xff90_0213 | 3 << 18, &EL2);
    assert_eq!(rig.get(ICH_VMCR_EL2), 0xf89c_021b);
    rig.cpu.write(ICH_VMCR_EL2, 0, &EL2);
    assert_eq!(rig.get(ICH_VMCR_EL2), 3 << 18 | 2 << 21 | 1 << 3, "the least binary points");
}

/// What every register reads after reset (IHI 0069, 12.2 to 12.4; values that it leaves open are ours).
const AFTER_RESET: &[(GicReg, u64)] = &[
    (ICC_PMR_EL1, 0),
    (ICC_IAR0_EL1, 1023),
    (ICC_IAR1_EL1, 1023),
    (ICC_HPPIR0_EL1, 1023),
    (ICC_HPPIR1_EL1, 1023),
    // The least that 5 bits of preemption allow: 7 less 5, and one more for Group 1.
    (ICC_BPR0_EL1, 2),
    (ICC_BPR1_EL1, 3),
    (ICC_AP0R_EL1(0), 0),
    (ICC_AP1R_EL1(0), 0),
    (ICC_RPR_EL1, 0xff),
    // RSS, A3V, PRIbits; EOImode and CBPR are 0.
    (ICC_CTLR_EL1, 0x4_8400),
    (ICC_SRE_EL1, 0b0111),
    (ICC_SRE_EL2, 0b0111),
    (ICC_IGRPEN0_EL1, 0),
    (ICC_IGRPEN1_EL1, 0),
    (ICH_AP0R_EL2(0), 0),
    (ICH_AP1R_EL2(0), 0),
    (ICH_HCR_EL2, 0),
    (ICH_VTR_EL2, 0x9038_0003),
    (ICH_MISR_EL2, 0),
    (ICH_EISR_EL2, 0),
    (ICH_ELRSR_EL2, 0xf),
    (ICH_VMCR_EL2, 3 << 18 | 2 << 21 | 1 << 3),
    (ICH_LR_EL2(0), 0),
    (ICH_LR_EL2(3), 0),
];

#[test]
fn after_reset() {
    let mut rig = Rig::new();
    for (reg, value) in AFTER_RESET {
        assert_eq!(rig.get(*reg), *value, "{reg:?} at first");
    }
    for (reg, _) in registers().filter(|(reg, _)| reg.direction() == Direction::ReadWrite) {
        rig.cpu.write(reg, 0x0f0f_0f0f, &EL2);
    }
    rig.cpu.reset();
    for (reg, value) in AFTER_RESET {
        assert_eq!(rig.get(*reg), *value, "{reg:?} later");
    }
    let readable = registers().map(|(reg, _)| reg).filter(|reg| reg.direction() != Direction::WriteOnly);
    let allowed = readable.filter(|reg| rig.cpu.access(*reg, false, &EL2) == RegisterAccess::Allowed);
    let missing: Vec<_> = allowed.filter(|reg| !AFTER_RESET.iter().any(|(known, _)| known == reg)).collect();
    assert!(missing.iter().all(|reg| matches!(reg, ICH_LR_EL2(_))), "{missing:?}");
}

#[test]
fn accesses() {
    use RegisterAccess::{Allowed, TrapToEl2, Undefined};
    let mut rig = Rig::new();
    let el0 = Env { el: El::El0, ..EL1 };
    let no_el2 = Env { levels: Levels::BASE, ..EL1 };
    let check = |rig: &Rig, reg, write, env: &Env, want| {
        assert_eq!(rig.cpu.access(reg, write, env), want, "{reg:?} {write} {env:?}");
    };
    check(&rig, ICC_PMR_EL1, false, &el0, Undefined);
    check(&rig, ICC_IAR1_EL1, true, &EL1, Undefined);
    check(&rig, ICC_EOIR1_EL1, false, &EL1, Undefined);
    check(&rig, ICC_AP1R_EL1(0), true, &EL1, Allowed);
    check(&rig, ICC_AP1R_EL1(1), true, &EL2, Undefined);
    check(&rig, ICH_LR_EL2(3), true, &EL2, Allowed);
    check(&rig, ICH_LR_EL2(4), true, &EL2, Undefined);
    check(&rig, ICH_VTR_EL2, false, &EL1, Undefined);
    check(&rig, ICH_VTR_EL2, true, &EL2, Undefined);
    check(&rig, ICH_HCR_EL2, false, &no_el2, Undefined);
    check(&rig, ICC_SGI1R_EL1, true, &EL1, Allowed);
    for reg in [ICC_SGI0R_EL1, ICC_SGI1R_EL1, ICC_ASGI1R_EL1] {
        check(&rig, reg, true, &Env { hcr_el2: HCR_IMO, ..EL1 }, TrapToEl2);
        check(&rig, reg, true, &Env { hcr_el2: HCR_FMO, ..EL1 }, TrapToEl2);
        check(&rig, reg, true, &EL2, Allowed);
    }
    check(&rig, ICC_SRE_EL1, false, &EL1, TrapToEl2);
    check(&rig, ICC_SRE_EL1, false, &no_el2, Allowed);
    rig.cpu.write(ICC_SRE_EL2, 0xf, &EL2);
    assert_eq!(rig.get(ICC_SRE_EL2), 0xf);
    check(&rig, ICC_SRE_EL1, true, &EL1, Allowed);

    let groups: [(u32, &[GicReg]); 4] = [
        (10, &[ICC_PMR_EL1, ICC_RPR_EL1, ICC_CTLR_EL1, ICC_DIR_EL1, ICC_SGI1R_EL1]),
        (11, &[ICC_IAR0_EL1, ICC_EOIR0_EL1, ICC_HPPIR0_EL1, ICC_BPR0_EL1, ICC_AP0R_EL1(0), ICC_IGRPEN0_EL1]),
        (12, &[ICC_IAR1_EL1, ICC_EOIR1_EL1, ICC_HPPIR1_EL1, ICC_BPR1_EL1, ICC_AP1R_EL1(0), ICC_IGRPEN1_EL1]),
        (14, &[ICC_DIR_EL1]),
    ];
    for (bit, trapped) in groups {
        rig.cpu.write(ICH_HCR_EL2, 1 << bit, &EL2);
        for (reg, _) in registers().filter(|(reg, op1)| *op1 == 0 && *reg != ICC_SRE_EL1) {
            let write = reg.direction() != Direction::ReadOnly;
            let common = matches!(reg, ICC_SGI0R_EL1 | ICC_ASGI1R_EL1) && bit == 10;
            let want = match rig.cpu.access(reg, write, &EL2) {
                Undefined => Undefined,
                _ if trapped.contains(&reg) || common => TrapToEl2,
                _ => Allowed,
            };
            check(&rig, reg, write, &EL1, want);
        }
    }
}

#[test]
fn acknowledge_and_end() {
    let mut rig = Rig::open(&EL1);
    assert_eq!(rig.gic.0.lock().enables, Some((true, true)));
    assert_eq!(rig.cpu.read(ICC_IAR1_EL1, &EL1), 1023);
    rig.pend(40, 0xa0, 1);
    assert_eq!(rig.cpu.signals(), Signals { irq: true, ..NONE });
    assert_eq!(rig.cpu.read(ICC_HPPIR1_EL1, &EL1), 40);
    assert_eq!(rig.cpu.read(ICC_HPPIR0_EL1, &EL1), 1023);
    assert_eq!(rig.cpu.read(ICC_IAR0_EL1, &EL1), 1023, "of the other group");
    assert_eq!(rig.cpu.look(ICC_IAR1_EL1, false), 40, "a debugger's look changes nothing");
    assert_eq!(rig.cpu.read(ICC_IAR1_EL1, &EL1), 40);
    assert_eq!(rig.cpu.read(ICC_RPR_EL1, &EL1), 0xa0);
    assert_eq!(rig.cpu.read(ICC_AP1R_EL1(0), &EL1), 1 << 20);
    assert_eq!(rig.cpu.signals(), NONE);
    rig.cpu.write(ICC_EOIR1_EL1, 1023, &EL1);
    rig.cpu.write(ICC_EOIR0_EL1, 40, &EL1);
    assert_eq!(rig.cpu.read(ICC_RPR_EL1, &EL1), 0xa0, "neither was its EOI");
    rig.cpu.write(ICC_EOIR1_EL1, 40, &EL1);
    assert_eq!(rig.cpu.read(ICC_RPR_EL1, &EL1), 0xff);
    assert_eq!(rig.deactivated(), [40]);
}

#[test]
fn masks_and_enables() {
    let mut rig = Rig::open(&EL1);
    rig.pend(8200, 0x80, 1);
    rig.cpu.write(ICC_PMR_EL1, 0x80, &EL1);
    assert_eq!(rig.cpu.signals(), NONE, "not higher than the mask");
    assert_eq!(rig.cpu.read(ICC_IAR1_EL1, &EL1), 1023);
    assert_eq!(rig.cpu.read(ICC_HPPIR1_EL1, &EL1), 8200, "HPPIR does not look at the mask");
    rig.cpu.write(ICC_PMR_EL1, 0x88, &EL1);
    assert_eq!(rig.cpu.signals(), Signals { irq: true, ..NONE });
    rig.cpu.write(ICC_IGRPEN1_EL1, 0, &EL1);
    assert_eq!(rig.gic.0.lock().enables, Some((true, false)));
    assert_eq!((rig.cpu.signals(), rig.cpu.read(ICC_HPPIR1_EL1, &EL1)), (NONE, 1023));
    rig.cpu.write(ICC_IGRPEN1_EL1, 1, &EL1);
    assert_eq!(rig.cpu.read(ICC_IAR1_EL1, &EL1), 8200);
    rig.cpu.write(ICC_EOIR1_EL1, 8200, &EL1);
    assert_eq!((rig.deactivated(), rig.get(ICC_RPR_EL1)), (vec![], 0xff), "an LPI is never active");
}

#[test]
fn preemption() {
    let mut rig = Rig::open(&EL1);
    rig.pend(40, 0xa0, 1);
    assert_eq!(rig.cpu.read(ICC_IAR1_EL1, &EL1), 40);
    rig.pend(41, 0xa0, 1);
    assert_eq!(rig.cpu.signals(), NONE, "equal priority");
    rig.pend(42, 0x98, 0);
    assert_eq!(rig.cpu.signals(), Signals { fiq: true, ..NONE });
    assert_eq!(rig.cpu.read(ICC_IAR1_EL1, &EL1), 1023);
    assert_eq!(rig.cpu.read(ICC_IAR0_EL1, &EL1), 42);
    assert_eq!(rig.cpu.read(ICC_RPR_EL1, &EL1), 0x98);
    rig.cpu.write(ICC_EOIR0_EL1, 42, &EL1);
    assert_eq!((rig.cpu.read(ICC_RPR_EL1, &EL1), rig.cpu.signals()), (0xa0, NONE));
    rig.cpu.write(ICC_EOIR1_EL1, 40, &EL1);
    assert_eq!(rig.cpu.read(ICC_IAR1_EL1, &EL1), 41);
    rig.cpu.write(ICC_EOIR1_EL1, 41, &EL1);
    // Binary point 7: for Group 1, bit 7 alone counts.
    rig.cpu.write(ICC_BPR1_EL1, 7, &EL1);
    rig.pend(43, 0xf0, 1);
    assert_eq!(rig.cpu.read(ICC_IAR1_EL1, &EL1), 43);
    assert_eq!(rig.cpu.read(ICC_RPR_EL1, &EL1), 0x80, "the group priority");
    rig.pend(44, 0x80, 1);
    assert_eq!(rig.cpu.signals(), NONE);
    rig.pend(45, 0x78, 1);
    assert_eq!(rig.cpu.signals(), Signals { irq: true, ..NONE });
    rig.cpu.write(ICC_CTLR_EL1, 1, &EL1);
    rig.cpu.write(ICC_BPR0_EL1, 7, &EL1);
    assert_eq!(rig.cpu.signals(), NONE, "CBPR: nothing preempts with BPR0 = 7");
}

#[test]
fn eoi_mode_1() {
    let mut rig = Rig::open(&EL1);
    rig.cpu.write(ICC_CTLR_EL1, 2, &EL1);
    rig.pend(40, 0xa0, 1);
    assert_eq!(rig.cpu.read(ICC_IAR1_EL1, &EL1), 40);
    rig.cpu.write(ICC_EOIR1_EL1, 40, &EL1);
    assert_eq!((rig.get(ICC_RPR_EL1), rig.deactivated()), (0xff, vec![]));
    rig.cpu.write(ICC_DIR_EL1, 40, &EL1);
    assert_eq!(rig.deactivated(), [40]);
    rig.cpu.write(ICC_CTLR_EL1, 0, &EL1);
    rig.cpu.write(ICC_DIR_EL1, 41, &EL1);
    assert_eq!(rig.deactivated(), [0; 0], "only in EOImode 1");
}

#[test]
fn an_interrupt_that_another_pe_took() {
    let mut rig = Rig::open(&EL1);
    rig.gic.0.lock().refuse = 2;
    rig.pend(40, 0x20, 1);
    rig.pend(41, 0x30, 1);
    assert_eq!(rig.cpu.read(ICC_IAR1_EL1, &EL1), 41);
    assert_eq!(rig.get(ICC_RPR_EL1), 0x30);
}

#[test]
fn sgi_fields() {
    let mut rig = Rig::open(&EL1);
    rig.cpu.write(ICC_SGI1R_EL1, 0x0012_3056_0578_8001, &EL2);
    let want = Sgi {
        intid: 5,
        group: Group::G1,
        all_others: false,
        aff: [0x12, 0x56, 0x78],
        range: 3,
        targets: 0x8001,
    };
    assert_eq!(rig.gic.0.lock().sgis, [want]);
    rig.cpu.write(ICC_SGI0R_EL1, 1 << 40 | 0xf << 24, &EL2);
    let last = rig.gic.0.lock().sgis.pop();
    assert_eq!(last.map(|s| (s.group, s.all_others, s.intid)), Some((Group::G0, true, 15)));
}

#[test]
fn list_register_life() {
    let mut rig = Rig::open(&GUEST);
    assert_eq!(rig.gic.0.lock().enables, None, "the virtual enables are not the redistributor's");
    assert_eq!(rig.get(ICH_VMCR_EL2) & 3, 3);
    rig.lr(1, virtual_irq(27, 0xa0) | 1 << 61 | 30 << 32);
    assert_eq!(rig.cpu.signals(), Signals { virq: true, ..NONE });
    assert_eq!(rig.get(ICH_ELRSR_EL2), 0b1101);
    assert_eq!(rig.cpu.read(ICC_HPPIR1_EL1, &GUEST), 27);
    assert_eq!(rig.cpu.read(ICC_IAR1_EL1, &GUEST), 27);
    assert_eq!(rig.get(ICH_LR_EL2(1)) >> 62, 0b10, "active");
    assert_eq!((rig.get(ICH_AP1R_EL2(0)), rig.cpu.read(ICC_RPR_EL1, &GUEST)), (1 << 20, 0xa0));
    assert_eq!(rig.get(ICC_RPR_EL1), 0xff, "the physical one is idle");
    assert_eq!(rig.cpu.signals(), NONE);
    rig.cpu.write(ICC_EOIR1_EL1, 27, &GUEST);
    assert_eq!(rig.get(ICH_LR_EL2(1)) >> 62, 0);
    assert_eq!(rig.deactivated(), [30], "the physical interrupt");
    assert_eq!((rig.get(ICH_AP1R_EL2(0)), rig.get(ICH_ELRSR_EL2)), (0, 0b1111));
}

#[test]
fn pending_and_active_virtual_interrupt() {
    let mut rig = Rig::open(&GUEST);
    rig.lr(0, virtual_irq(40, 0xa0) | 1 << 63);
    assert_eq!(rig.cpu.signals(), NONE, "not signalled while active");
    rig.cpu.write(ICH_AP1R_EL2(0), 1 << 20, &EL2);
    rig.cpu.write(ICC_EOIR1_EL1, 40, &GUEST);
    assert_eq!(rig.get(ICH_LR_EL2(0)) >> 62, 0b01);
    assert_eq!(rig.cpu.signals(), Signals { virq: true, ..NONE });
    assert_eq!(rig.deactivated(), [0; 0], "HW is 0");
}

#[test]
fn virtual_priorities() {
    let mut rig = Rig::open(&GUEST);
    rig.lr(0, virtual_irq(40, 0xa0));
    rig.lr(1, virtual_irq(41, 0x60));
    rig.lr(2, virtual_irq(42, 0x60));
    rig.lr(3, virtual_irq(43, 0x20) & !(1 << 60));
    assert_eq!(rig.cpu.signals(), Signals { vfiq: true, ..NONE });
    assert_eq!(rig.cpu.read(ICC_IAR1_EL1, &GUEST), 1023);
    assert_eq!(rig.cpu.read(ICC_IAR0_EL1, &GUEST), 43);
    rig.cpu.write(ICC_EOIR0_EL1, 43, &GUEST);
    assert_eq!(rig.cpu.read(ICC_IAR1_EL1, &GUEST), 41, "of equals, the first list register");
    assert_eq!(rig.cpu.read(ICC_IAR1_EL1, &GUEST), 1023, "42 does not preempt it");
    rig.cpu.write(ICC_EOIR1_EL1, 41, &GUEST);
    rig.cpu.write(ICC_PMR_EL1, 0x60, &GUEST);
    assert_eq!(rig.cpu.signals(), NONE);
    assert_eq!(rig.get(ICH_VMCR_EL2) >> 24, 0x60);
    rig.cpu.write(ICC_PMR_EL1, 0xf0, &GUEST);
    rig.cpu.write(ICH_HCR_EL2, 0, &EL2);
    assert_eq!(rig.cpu.signals(), NONE, "En");
}

#[test]
fn virtual_lpis_and_split_eoi() {
    let mut rig = Rig::open(&GUEST);
    rig.cpu.write(ICC_CTLR_EL1, 2, &GUEST);
    assert_eq!(rig.get(ICH_VMCR_EL2) >> 9 & 1, 1);
    rig.lr(0, virtual_irq(8192, 0x40));
    assert_eq!(rig.cpu.read(ICC_IAR1_EL1, &GUEST), 8192);
    assert_eq!((rig.get(ICH_LR_EL2(0)) >> 62, rig.get(ICH_AP1R_EL2(0))), (0, 1 << 8));
    rig.cpu.write(ICC_EOIR1_EL1, 8192, &GUEST);
    assert_eq!((rig.get(ICH_AP1R_EL2(0)), rig.get(ICH_HCR_EL2)), (0, 1), "no EOIcount");
    rig.lr(0, virtual_irq(33, 0x40));
    assert_eq!(rig.cpu.read(ICC_IAR1_EL1, &GUEST), 33);
    rig.cpu.write(ICC_EOIR1_EL1, 33, &GUEST);
    assert_eq!((rig.get(ICH_LR_EL2(0)) >> 62, rig.get(ICH_AP1R_EL2(0))), (0b10, 0));
    rig.cpu.write(ICC_DIR_EL1, 33, &GUEST);
    assert_eq!(rig.get(ICH_LR_EL2(0)) >> 62, 0);
}

#[test]
fn eoi_count() {
    let mut rig = Rig::open(&GUEST);
    rig.cpu.write(ICH_HCR_EL2, 1 | 1 << 2, &EL2);
    rig.cpu.write(ICC_EOIR1_EL1, 50, &GUEST);
    assert_eq!(rig.get(ICH_HCR_EL2) >> 27, 0, "no active priority: not counted");
    for n in 1..=33 {
        rig.cpu.write(ICH_AP1R_EL2(0), 1 << 20, &EL2);
        rig.cpu.write(ICC_EOIR1_EL1, 50, &GUEST);
        assert_eq!(rig.get(ICH_HCR_EL2) >> 27, n % 32);
        assert_eq!(rig.get(ICH_MISR_EL2), if n % 32 == 0 { 0 } else { 1 << 2 }, "LRENP");
    }
    assert_eq!(rig.ppis(), [(25, true), (25, false), (25, true)]);
    rig.cpu.write(ICH_HCR_EL2, 0, &EL2);
    assert_eq!(rig.ppis(), [(25, false)], "En");
}

#[test]
fn maintenance_conditions() {
    let mut rig = Rig::open(&GUEST);
    // EOI of a list register that asks for it.
    rig.lr(0, virtual_irq(40, 0xa0) | 1 << 41);
    assert_eq!(rig.cpu.read(ICC_IAR1_EL1, &GUEST), 40);
    assert_eq!(rig.ppis(), []);
    rig.cpu.write(ICC_EOIR1_EL1, 40, &GUEST);
    assert_eq!((rig.get(ICH_EISR_EL2), rig.get(ICH_MISR_EL2), rig.get(ICH_ELRSR_EL2)), (1, 1, 0b1110));
    assert_eq!(rig.ppis(), [(25, true)]);
    rig.lr(0, 0);
    assert_eq!(rig.ppis(), [(25, false)]);
    // Underflow: none or one valid.
    rig.cpu.write(ICH_HCR_EL2, 1 | 1 << 1, &EL2);
    assert_eq!(rig.get(ICH_MISR_EL2), 1 << 1);
    rig.lr(0, virtual_irq(40, 0xa0));
    assert_eq!(rig.get(ICH_MISR_EL2), 1 << 1);
    rig.lr(1, virtual_irq(41, 0xa0));
    assert_eq!(rig.get(ICH_MISR_EL2), 0);
    assert_eq!(rig.ppis(), [(25, true), (25, false)]);
    // No pending.
    rig.cpu.write(ICH_HCR_EL2, 1 | 1 << 3, &EL2);
    assert_eq!(rig.get(ICH_MISR_EL2), 0);
    rig.lr(0, 1 << 63 | 40);
    rig.lr(1, 0);
    assert_eq!(rig.get(ICH_MISR_EL2), 1 << 3);
    assert_eq!(rig.ppis(), [(25, true)]);
    // Group enables, each for enabled and disabled.
    for (hcr, vmcr, misr) in [
        (1 << 4, 0b01, 1 << 4),
        (1 << 4, 0b10, 0),
        (1 << 5, 0b10, 1 << 5),
        (1 << 6, 0b10, 1 << 6),
        (1 << 7, 0b10, 0),
        (0xf << 4, 0b01, 1 << 4 | 1 << 7),
    ] {
        rig.cpu.write(ICH_VMCR_EL2, vmcr, &EL2);
        rig.cpu.write(ICH_HCR_EL2, 1 | hcr, &EL2);
        assert_eq!(rig.get(ICH_MISR_EL2), misr, "{hcr:#x} {vmcr:#b}");
    }
    // A guest that turns its group on.
    rig.cpu.write(ICH_VMCR_EL2, 0, &EL2);
    rig.cpu.write(ICH_HCR_EL2, 1 | 1 << 6, &EL2);
    rig.ppis();
    rig.cpu.write(ICC_IGRPEN1_EL1, 1, &GUEST);
    assert_eq!(rig.ppis(), [(25, true)]);
}

#[test]
fn one_group_can_be_virtual_alone() {
    let mut rig = Rig::open(&EL1);
    let imo = Env { hcr_el2: HCR_IMO, ..EL1 };
    rig.cpu.write(ICC_IGRPEN1_EL1, 0, &imo);
    assert_eq!((rig.get(ICC_IGRPEN1_EL1), rig.get(ICH_VMCR_EL2) & 3), (1, 0));
    rig.cpu.write(ICC_IGRPEN0_EL1, 0, &imo);
    assert_eq!(rig.get(ICC_IGRPEN0_EL1), 0, "Group 0 is physical still");
    rig.cpu.write(ICC_PMR_EL1, 0x40, &imo);
    assert_eq!((rig.get(ICC_PMR_EL1), rig.get(ICH_VMCR_EL2) >> 24), (0xf8, 0x40));
}

#[test]
fn reset_save_restore() {
    let mut rig = Rig::open(&EL1);
    rig.pend(40, 0xa0, 1);
    rig.cpu.read(ICC_IAR1_EL1, &EL1);
    rig.lr(2, virtual_irq(27, 0x80));
    rig.cpu.write(ICH_VMCR_EL2, 0xf000_0003, &EL2);
    rig.cpu.write(ICH_HCR_EL2, 1 | 1 << 1, &EL2);
    let saved = rig.cpu.save();
    let text = serde_json::to_string(&saved).unwrap();
    let mut other = Rig::new();
    let state = serde_json::from_str(&text).unwrap();
    assert!(other.cpu.fits(&state));
    other.cpu.restore(state);
    assert_eq!(other.cpu.save(), saved);
    assert_eq!(other.cpu.signals(), Signals { virq: true, ..NONE });
    assert_eq!(other.get(ICC_RPR_EL1), 0xa0);
    assert!(!CpuInterface::new(other.gic.clone(), 16).fits(&saved));
    rig.ppis();
    rig.cpu.reset();
    assert_eq!(rig.cpu.save(), Rig::new().cpu.save());
    assert_eq!((rig.ppis(), rig.gic.0.lock().enables), (vec![(25, false)], Some((false, false))));
}

#[test]
fn nothing_a_guest_writes_panics() {
    let mut rig = Rig::open(&EL1);
    for value in [0, !0, 0x5555_5555_5555_5555, 0xaaaa_aaaa_aaaa_aaaa, 1 << 63] {
        for env in [EL1, GUEST, EL2] {
            for (reg, _) in registers() {
                rig.cpu.write(reg, value, &env);
                rig.cpu.read(reg, &env);
                let _ = rig.cpu.signals();
            }
        }
    }
}

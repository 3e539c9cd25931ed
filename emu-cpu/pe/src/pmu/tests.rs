//! Numbers from the Arm ARM's definitions.

use emu_a64::ir::{ExcOp, SysEnc};
use emu_a64::level::El;
use emu_core::metrics::Metric;

use crate::exception::{Exception, Stop};
use crate::model::Model;
use crate::sysreg::{Reg, mdcr, rows};
use crate::test_pe::{Bench, bench, max};

fn enc(name: &str) -> SysEnc {
    rows().iter().find(|r| r.name == name).unwrap_or_else(|| panic!("{name}")).enc
}

fn set(b: &mut Bench, name: &str, v: u64) {
    b.cpu.msr(enc(name), 0, v).unwrap();
}

fn get(b: &mut Bench, name: &str) -> u64 {
    b.cpu.mrs(enc(name), 0).unwrap()
}

fn execute(b: &Bench, n: u64) {
    b.cpu.counters.bump_by(Metric::Instructions, n);
}

/// Counter 0 counts INST_RETIRED at EL1 and EL0, the cycle counter cycles.
fn counting(model: Model) -> Bench {
    let mut b = bench(model);
    b.cpu.set_level(El::El1, true);
    set(&mut b, "PMEVTYPER0_EL0", 8);
    set(&mut b, "PMCNTENSET_EL0", 1 << 31 | 1);
    set(&mut b, "PMCR_EL0", 1);
    b
}

#[test]
fn instructions_and_cycles() {
    let mut b = counting(Model::max());
    execute(&b, 10);
    b.clock.advance(70);
    assert_eq!((get(&mut b, "PMEVCNTR0_EL0"), get(&mut b, "PMCCNTR_EL0")), (10, 70));
    set(&mut b, "PMCNTENCLR_EL0", 1);
    execute(&b, 5);
    set(&mut b, "PMCNTENSET_EL0", 1);
    execute(&b, 2);
    assert_eq!(get(&mut b, "PMEVCNTR0_EL0"), 12);
    set(&mut b, "PMCR_EL0", 0);
    execute(&b, 2);
    b.clock.advance(30);
    assert_eq!((get(&mut b, "PMEVCNTR0_EL0"), get(&mut b, "PMCCNTR_EL0")), (12, 70));
    // P and C.
    set(&mut b, "PMCR_EL0", 6);
    assert_eq!((get(&mut b, "PMEVCNTR0_EL0"), get(&mut b, "PMCCNTR_EL0")), (0, 0));
}

#[test]
fn levels_are_filtered() {
    let mut b = counting(Model::max());
    // NSH for EL2, U excludes EL0, P excludes EL1.
    for (filter, expected) in [(0, 0b011), (1 << 27, 0b111), (1 << 30, 0b010), (1 << 31, 0b001)] {
        b.cpu.set_level(El::El1, true);
        set(&mut b, "PMEVTYPER0_EL0", 8 | filter);
        set(&mut b, "PMEVCNTR0_EL0", 0);
        for el in [El::El0, El::El1, El::El2] {
            b.cpu.set_level(el, el.is_privileged());
            execute(&b, 1 << el as u8);
        }
        b.cpu.set_level(El::El2, true);
        assert_eq!(get(&mut b, "PMEVCNTR0_EL0"), expected, "{filter:#x}");
    }
    // HPMD prohibits EL2 whatever NSH says.
    set(&mut b, "PMEVTYPER0_EL0", 8 | 1 << 27);
    set(&mut b, "PMEVCNTR0_EL0", 0);
    set(&mut b, "MDCR_EL2", mdcr::HPMD | 6);
    execute(&b, 4);
    assert_eq!(get(&mut b, "PMEVCNTR0_EL0"), 0);
}

#[test]
fn overflow_interrupts_and_chains() {
    let mut b = counting(Model::cortex_a72());
    set(&mut b, "PMEVTYPER1_EL0", 0x1e);
    set(&mut b, "PMCNTENSET_EL0", 2);
    set(&mut b, "PMEVCNTR0_EL0", 0x1_ffff_fffe);
    assert_eq!(get(&mut b, "PMEVCNTR0_EL0"), 0xffff_fffe, "32 bits");
    execute(&b, 3);
    assert_eq!((get(&mut b, "PMEVCNTR0_EL0"), get(&mut b, "PMEVCNTR1_EL0")), (1, 1));
    assert_eq!(get(&mut b, "PMOVSSET_EL0"), 1);
    assert!(!b.port.ppi(23));
    set(&mut b, "PMINTENSET_EL1", 1);
    assert!(b.port.ppi(23));
    set(&mut b, "PMOVSCLR_EL0", 1);
    assert!(!b.port.ppi(23));
    // The alarm finds an overflow that nobody reads.
    set(&mut b, "PMCCNTR_EL0", 1_000_000u64.wrapping_neg());
    set(&mut b, "PMINTENSET_EL1", 1 << 31);
    b.clock.advance(1_000_000);
    assert_ne!(b.cpu.wires.doorbell().take(), 0);
    b.cpu.update_pmu();
    assert!(b.port.ppi(23));
    assert_eq!(get(&mut b, "PMOVSCLR_EL0"), 1 << 31);
    set(&mut b, "PMCR_EL0", 0);
    assert!(!b.port.ppi(23), "E gates the interrupt");
}

/// An overflow that the alarm has not found yet interrupts before a write that would take its interrupt away.
#[test]
fn an_overflow_comes_before_the_write_that_stops_it() {
    for (name, value) in [("PMCR_EL0", 0), ("PMOVSCLR_EL0", 1), ("PMINTENCLR_EL1", 1)] {
        let mut b = counting(Model::cortex_a72());
        set(&mut b, "PMINTENSET_EL1", 1);
        set(&mut b, "PMEVCNTR0_EL0", 0xffff_fffe);
        // The second instruction overflows; the third is the write.
        execute(&b, 3);
        assert_eq!(b.cpu.msr(enc(name), 0, value), Err(Stop::Interrupted), "{name}");
        assert!(b.port.ppi(23), "{name}");
        // It is taken back, and executed again.
        execute(&b, 1u64.wrapping_neg());
        assert_eq!(get(&mut b, "PMOVSSET_EL0"), 1, "{name}");
        execute(&b, 1);
        set(&mut b, name, value);
        assert!(!b.port.ppi(23), "{name}");
        assert_eq!(b.cpu.sys[Reg::PMEVCNTR0_EL0], 1, "{name}: it counts itself once");
    }
}

/// The same for what is not one of the PMU's registers: EL2's own counters stop by MDCR_EL2, and the GIC masks an interrupt.
#[test]
fn an_overflow_comes_before_other_writes_that_take_it_away() {
    for (name, value) in [("MDCR_EL2", 0), ("ICC_PMR_EL1", 0)] {
        let mut b = max();
        set(&mut b, "MDCR_EL2", mdcr::HPME);
        set(&mut b, "PMEVTYPER0_EL0", 8 | 1 << 27);
        set(&mut b, "PMINTENSET_EL1", 1);
        set(&mut b, "PMCNTENSET_EL0", 1);
        set(&mut b, "PMEVCNTR0_EL0", 0xffff_fffe);
        execute(&b, 1);
        execute(&b, 2);
        assert_eq!(b.cpu.msr(enc(name), 0, value), Err(Stop::Interrupted), "{name}");
        assert!(b.port.ppi(23), "{name}");
        execute(&b, 1u64.wrapping_neg());
        execute(&b, 1);
        set(&mut b, name, value);
    }
}

/// The instruction that overflows a counter is not the one before it.
#[test]
fn a_write_that_overflows_a_counter_itself_is_done() {
    let mut b = counting(Model::cortex_a72());
    set(&mut b, "PMINTENSET_EL1", 1);
    set(&mut b, "PMEVCNTR0_EL0", 0xffff_fffe);
    execute(&b, 2);
    set(&mut b, "PMCR_EL0", 0);
    assert_eq!((b.cpu.sys[Reg::PMEVCNTR0_EL0], b.cpu.sys[Reg::PMOVSSET_EL0]), (0, 1));
}

#[test]
fn long_counters_do_not_chain() {
    let mut b = counting(Model::max());
    set(&mut b, "PMEVTYPER1_EL0", 0x1e);
    set(&mut b, "PMCNTENSET_EL0", 2);
    set(&mut b, "PMCR_EL0", 0x81);
    set(&mut b, "PMEVCNTR0_EL0", 0xffff_ffff);
    execute(&b, 1);
    assert_eq!((get(&mut b, "PMEVCNTR0_EL0"), get(&mut b, "PMOVSSET_EL0")), (1 << 32, 0));
    set(&mut b, "PMEVCNTR0_EL0", u64::MAX);
    execute(&b, 1);
    assert_eq!((get(&mut b, "PMEVCNTR0_EL0"), get(&mut b, "PMOVSSET_EL0")), (0, 1));
    assert_eq!(get(&mut b, "PMEVCNTR1_EL0"), 0);
}

#[test]
fn software_increment_and_selection() {
    let mut b = counting(Model::max());
    set(&mut b, "PMSELR_EL0", 2);
    set(&mut b, "PMXEVTYPER_EL0", 0);
    set(&mut b, "PMSWINC_EL0", 4);
    set(&mut b, "PMCNTENSET_EL0", 4);
    set(&mut b, "PMSWINC_EL0", 4 | 1);
    assert_eq!((get(&mut b, "PMXEVCNTR_EL0"), get(&mut b, "PMEVCNTR0_EL0")), (1, 0));
    set(&mut b, "PMSELR_EL0", 31);
    set(&mut b, "PMXEVTYPER_EL0", 1 << 31);
    assert_eq!(get(&mut b, "PMCCFILTR_EL0"), 1 << 31);
    set(&mut b, "PMSELR_EL0", 9);
    assert_eq!(get(&mut b, "PMXEVCNTR_EL0"), 0);
}

#[test]
fn counters_of_el2() {
    let mut b = max();
    set(&mut b, "MDCR_EL2", mdcr::HPME | 4);
    set(&mut b, "PMEVTYPER4_EL0", 8);
    set(&mut b, "PMCNTENSET_EL0", 0x30);
    assert_eq!(get(&mut b, "PMCR_EL0") >> 11 & 31, 6);
    b.cpu.set_level(El::El1, true);
    assert_eq!(get(&mut b, "PMCR_EL0") >> 11 & 31, 4);
    assert_eq!(get(&mut b, "PMCNTENSET_EL0"), 0);
    set(&mut b, "PMCNTENCLR_EL0", !0);
    set(&mut b, "PMCR_EL0", 2);
    execute(&b, 3);
    assert!(matches!(
        b.cpu.mrs(enc("PMEVCNTR4_EL0"), 0),
        Err(Exception::Trap { target: El::El2, ec: 0x18, .. })
    ));
    b.cpu.set_level(El::El2, true);
    assert_eq!((get(&mut b, "PMEVCNTR4_EL0"), get(&mut b, "PMCNTENSET_EL0")), (3, 0x30));
}

#[test]
fn traps() {
    let target = |b: &mut Bench, name: &str| match b.cpu.mrs(enc(name), 0) {
        Err(Exception::Trap { target, ec: 0x18, .. }) => Some(target),
        _ => None,
    };
    let mut b = max();
    b.cpu.set_level(El::El0, false);
    for (allowed, name) in
        [(1, "PMCR_EL0"), (4, "PMCCNTR_EL0"), (8, "PMEVCNTR3_EL0"), (8, "PMSELR_EL0"), (1, "PMCCFILTR_EL0")]
    {
        b.cpu.sys[Reg::PMUSERENR_EL0] = 15 & !allowed & !1;
        assert_eq!(target(&mut b, name), Some(El::El1), "{name}");
        b.cpu.sys[Reg::PMUSERENR_EL0] = allowed;
        assert_eq!(target(&mut b, name), None, "{name}");
    }
    b.cpu.sys[Reg::PMUSERENR_EL0] = 2;
    assert!(b.cpu.msr(enc("PMSWINC_EL0"), 0, 0).is_ok());
    assert_eq!(b.cpu.mrs(enc("PMINTENSET_EL1"), 0), Err(Exception::Insn(ExcOp::Undefined)));
    b.cpu.set_level(El::El1, true);
    b.cpu.sys[Reg::MDCR_EL2] = mdcr::TPMCR | 6;
    assert_eq!((target(&mut b, "PMCR_EL0"), target(&mut b, "PMCCNTR_EL0")), (Some(El::El2), None));
    b.cpu.sys[Reg::MDCR_EL2] = mdcr::TPM | 6;
    assert_eq!(
        (target(&mut b, "PMMIR_EL1"), target(&mut b, "PMUSERENR_EL0")),
        (Some(El::El2), Some(El::El2))
    );
}

#[test]
fn identification() {
    let mut b = bench(Model::cortex_a72());
    assert_eq!(get(&mut b, "PMCR_EL0"), 0x4102_3040, "IMP, IDCODE, N = 6, LC");
    assert_eq!(get(&mut b, "PMCEID0_EL0"), 0x400a_0701);
    assert_eq!(get(&mut b, "PMCEID1_EL0"), 0);
    assert_eq!(get(&mut b, "MDCR_EL2"), 6);
    let mut b = max();
    assert_eq!(get(&mut b, "PMCEID1_EL0"), 1 << 3 | 1 << 4 | 1 << 28);
}

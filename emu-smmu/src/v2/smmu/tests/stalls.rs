//! Transactions that wait for software: SCTLR.CFCFG, FSR.SS and RESUME.

use super::*;

fn machine(sctlr: u64) -> (Machine, Arc<dyn DmaPort>) {
    let m = Machine::new();
    m.enable();
    m.stream(0, STREAM, 3);
    m.stage1(3, 0x0001_0000, sctlr | CFCFG);
    m.map(S1, 0x5000, DATA | PAGE);
    let port = m.stallable(STREAM);
    (m, port)
}

fn is_stalled<T>(result: Result<T, DmaFault>) -> bool {
    matches!(result, Err(DmaFault::Stalled(_)))
}

/// What software does: maps the page, clears the fault, and then has the transaction tried again.
fn repair(m: &Machine, at: u64) {
    m.map(S1, at, DATA | PAGE);
    m.w(cb(3) + FSR, 0x1fe);
    m.w(cb(3) + RESUME, 0);
}

#[test]
fn a_fault_stalls_and_the_transaction_is_retried() {
    let (m, port) = machine(USUAL);
    m.put(DATA + 8, 0x1122);
    assert!(is_stalled(read(&port, 0x6008)));
    assert_eq!((m.r(cb(3) + FSR), m.r64(cb(3) + FAR)), (0x4000_0402, 0x6008));
    assert!(m.level(3));
    // Clearing the fault does not clear SS, which interrupts as well (MMU-500).
    m.map(S1, 0x6000, DATA | PAGE);
    m.w(cb(3) + FSR, 0xffff_ffff);
    assert_eq!((m.r(cb(3) + FSR) & 0x4000_01fe, m.level(3)), (1 << 30, true));
    assert_eq!(m.told(), [false; 0]);
    m.w(cb(3) + RESUME, 0);
    assert_eq!((m.told(), m.r(cb(3) + FSR), m.level(3)), (vec![true], 0, false));
    assert_eq!(read(&port, 0x6008), Ok(0x1122));
    assert!(m.smmu.core().stalled().is_empty());
}

#[test]
fn a_stalled_transaction_is_terminated_by_an_abort() {
    let (m, port) = machine(USUAL);
    assert!(is_stalled(write(&port, 0x6000, 1)));
    m.w(cb(3) + FSR, 0x1fe);
    m.w(cb(3) + RESUME, 1);
    assert_eq!((m.told(), m.r(cb(3) + FSR)), (vec![false], 0));
}

#[test]
fn without_cfre_a_terminated_read_gives_zeroes() {
    let (m, port) = machine(USUAL & !0x20);
    assert!(is_stalled(read(&port, 0x6000)));
    m.w(cb(3) + FSR, 0x1fe);
    m.w(cb(3) + RESUME, 1);
    assert_eq!(m.told(), [true]);
    assert_eq!(read(&port, 0x6000), Ok(0), "as it finds when it tries again");
    assert!(is_stalled(read(&port, 0x6000)), "and once only");
}

#[test]
fn others_of_the_context_wait_behind_a_stalled_transaction() {
    let (m, port) = machine(USUAL);
    assert!(is_stalled(read(&port, 0x6000)));
    assert!(is_stalled(read(&port, 0x5000)), "mapped, and behind the other one");
    assert_eq!(m.r(cb(3) + FSR), 0x4000_0402, "which is no fault");
    assert_eq!(m.smmu.core().stalled().len(), 2);
    repair(&m, 0x6000);
    assert_eq!(m.told(), [true, true]);
    assert_eq!((read(&port, 0x6000), read(&port, 0x5000)), (Ok(0), Ok(0)));
}

#[test]
fn those_behind_a_terminated_transaction_go_on() {
    let (m, port) = machine(USUAL);
    assert!(is_stalled(read(&port, 0x6000)) && is_stalled(read(&port, 0x5000)));
    m.w(cb(3) + FSR, 0x1fe);
    assert_eq!(m.told(), [false; 0], "SS is set");
    m.w(cb(3) + RESUME, 1);
    assert_eq!(m.told(), [false, true]);
}

#[test]
fn a_resume_before_the_fault_is_cleared_lets_nothing_pass_and_loses_nothing() {
    let (m, port) = machine(USUAL);
    assert!(is_stalled(read(&port, 0x6000)));
    m.map(S1, 0x6000, DATA | PAGE);
    m.w(cb(3) + RESUME, 0);
    assert_eq!((m.told(), m.r(cb(3) + FSR)), (vec![true], 0x402));
    assert!(is_stalled(read(&port, 0x6000)), "the fault is still there");
    m.w(cb(3) + FSR, 0x1fe);
    assert_eq!((m.told(), read(&port, 0x6000)), (vec![true], Ok(0)));
}

#[test]
fn with_hupcf_several_stall_and_are_told_of_one_after_the_other() {
    let (m, port) = machine(USUAL | HUPCF);
    assert!(is_stalled(read(&port, 0x6000)) && is_stalled(read(&port, 0x7000)));
    assert_eq!(read(&port, 0x5000), Ok(0));
    assert_eq!((m.r(cb(3) + FSR), m.r64(cb(3) + FAR)), (0xc000_0402, 0x6000));
    m.w(cb(3) + FSR, 0xffff_ffff);
    m.w(cb(3) + RESUME, 1);
    // The first is aborted, the second tries again, and its fault is recorded now.
    assert!(m.told().contains(&false));
    assert!(is_stalled(read(&port, 0x7000)));
    assert_eq!((m.r(cb(3) + FSR), m.r64(cb(3) + FAR)), (0x4000_0402, 0x7000));
}

#[test]
fn with_hupcf_a_second_fault_is_recorded_after_resume_and_not_when_the_first_is_cleared() {
    let (m, port) = machine(USUAL | HUPCF);
    assert!(is_stalled(read(&port, 0x6000)) && is_stalled(read(&port, 0x7000)));
    m.w(cb(3) + FSR, 0xffff_ffff);
    // It would be MULTI again, and its address lost.
    assert_eq!((m.told(), m.r(cb(3) + FSR)), (vec![], 0x4000_0400));
    m.w(cb(3) + RESUME, 1);
    assert_eq!((m.told(), m.r(cb(3) + FSR)), (vec![false, true], 0));
    // The other way round: it waits until the fault is cleared.
    assert!(is_stalled(read(&port, 0x6000)) && is_stalled(read(&port, 0x7000)));
    m.w(cb(3) + RESUME, 1);
    assert_eq!((m.told(), m.r(cb(3) + FSR)), (vec![false], 0x8000_0402));
    m.w(cb(3) + FSR, 0xffff_ffff);
    assert_eq!((m.told(), m.r(cb(3) + FSR)), (vec![true], 0));
    // Nor does it wait when nothing is held back any more.
    let (m, port) = machine(USUAL);
    assert!(is_stalled(read(&port, 0x6000)) && is_stalled(read(&port, 0x5000)));
    m.w(cb(3) + SCTLR, USUAL | CFCFG | HUPCF);
    assert_eq!((m.told(), read(&port, 0x5000)), (vec![true], Ok(0)));
}

#[test]
fn a_master_that_cannot_wait_is_terminated() {
    let (m, _) = machine(USUAL);
    assert_eq!(read(&m.port(STREAM), 0x6000), Err(DmaFault::Abort));
    assert_eq!(m.r(cb(3) + FSR), 0x402, "not SS");
}

#[test]
fn stalld_forbids_stalls() {
    let (m, port) = machine(USUAL);
    m.w(0, 0x0020_1d36);
    assert_eq!(read(&port, 0x6000), Err(DmaFault::Abort));
    assert_eq!(m.r(cb(3) + FSR), 0x402);
}

#[test]
fn stalls_are_bounded() {
    let (m, port) = machine(USUAL);
    let stalled = (0..200).filter(|n| is_stalled(read(&port, 0x6000 + 8 * n))).count();
    assert_eq!((stalled, m.smmu.core().stalled().len()), (128, 128));
    repair(&m, 0x6000);
    assert_eq!((m.told().len(), m.smmu.core().stalled().len()), (128, 0));
}

#[test]
fn a_resume_with_nothing_stalled_has_no_effect() {
    let (m, port) = machine(USUAL);
    m.w(cb(3) + RESUME, 0);
    m.w(cb(3) + RESUME, 1);
    assert_eq!((m.told(), read(&port, 0x5000)), (vec![], Ok(0)));
}

#[test]
fn a_fault_of_stage_2_stalls_by_the_bank_of_stage_2() {
    let m = Machine::new();
    m.enable();
    m.stream(0, STREAM, 3);
    m.stage1(3, 0x0003_0409, USUAL);
    m.stage2(4, USUAL | CFCFG);
    m.identity2();
    m.map(S1, 0x6000, (RAM + 0x40_0000) | PAGE);
    let port = m.stallable(STREAM);
    assert!(is_stalled(read(&port, 0x6000)));
    assert_eq!((m.r(cb(3) + FSR), m.r(cb(4) + FSR)), (0, 0x4000_0402));
    assert!(is_stalled(read(&port, 0x6000)), "behind it");
    m.w(cb(3) + RESUME, 0);
    assert_eq!(m.told(), [false; 0], "the wrong bank");
    m.put(S2 + 0x3000 + 16, RAM | BLOCK2);
    m.w(cb(4) + FSR, 0x1fe);
    m.w(cb(4) + RESUME, 0);
    assert_eq!(m.told(), [true, true]);
    assert_eq!(read(&port, 0x6000), m.bus.read(Pa(RAM), Size::B8, CPU).map_err(Into::into));
}

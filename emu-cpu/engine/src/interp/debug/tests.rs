//! Debugging, by the guest itself and from outside: programs on one PE, MMU off.

use emu_a64::level::El;
use emu_core::metrics::Metric;
use emu_core::ram::GuestRam;
use emu_pe::mem::watch::{WatchHit, WatchKind, Watchpoint};
use emu_pe::sysreg::Reg;

use super::DebugStop;
use crate::interp::tests::{RAM, vcpu};
use crate::interp::vcpu::Vcpu;

/// Data of the programs.
const DATA: u64 = RAM + 0x8000;
/// MDSCR_EL1: software step, kernel debug, monitor debug.
const SS: u64 = 1;
const KDE: u64 = 1 << 13;
const MDE: u64 = 1 << 15;
/// SPSR_ELx.SS.
const SPSR_SS: u64 = 1 << 21;

/// Exception classes (ESR_ELx.EC) from a lower Exception level; from the same one they are one more.
const SVC: u64 = 0x15;
const DATA_ABORT: u64 = 0x24;
const BREAKPOINT: u64 = 0x30;
const STEP: u64 = 0x32;
const WATCHPOINT: u64 = 0x34;
const BRK: u64 = 0x3c;

/// DBGBCR: enabled, at EL1 and EL0, all bytes.
const BREAK_EL10: u64 = 1 | 3 << 1 | 0xf << 5;
/// DBGWCR for the doubleword: enabled, stores by EL1 and EL0.
const WATCH_STORES: u64 = 1 | 3 << 1 | 2 << 3 | 0xff << 5;
/// The same, loads.
const WATCH_LOADS: u64 = 1 | 3 << 1 | 1 << 3 | 0xff << 5;

/// A program at EL1 with debug exceptions enabled there (the OS lock open, PSTATE.D clear), or at EL0 below it.
fn below(el: El, mdscr: u64, program: &[u32]) -> (Vcpu, &'static GuestRam) {
    let (mut v, ram) = vcpu(program);
    v.cpu.sys[Reg::OSLAR_EL1] = 0;
    v.cpu.sys[Reg::MDSCR_EL1] = mdscr;
    v.cpu.sys[Reg::VBAR_EL1] = RAM + 0x4000;
    assert!(v.cpu.set_spsr(if el == El::El1 { 0x1c5 } else { 0 }));
    v.cpu.regs.x[0] = DATA;
    (v, ram)
}

/// Runs to an exception that EL1 or EL2 takes; gives its class, SPSR.SS and the offset of its return address.
fn exception(v: &mut Vcpu) -> (u64, bool, u64) {
    let taken = |v: &Vcpu| {
        let c = &v.cpu.counters;
        c.get(Metric::ExcToEl1) + c.get(Metric::ExcToEl2)
    };
    let before = taken(v);
    for _ in 0..1000 {
        v.run_turns(1);
        if taken(v) != before {
            break;
        }
    }
    let two = v.cpu.pstate.el == El::El2;
    let reg = |at1, at2| v.cpu.sys[if two { at2 } else { at1 }];
    let spsr = reg(Reg::SPSR_EL1, Reg::SPSR_EL2);
    (reg(Reg::ESR_EL1, Reg::ESR_EL2) >> 26, spsr & SPSR_SS != 0, reg(Reg::ELR_EL1, Reg::ELR_EL2) - RAM)
}

/// EC of the HVC at the end of a program.
const END: u64 = 0x16;

/// Lets EL2 take debug exceptions from itself: MDCR_EL2.TDE, MDSCR_EL1.{KDE, MDE}, PSTATE.D clear, OS lock open.
fn with_debug_exceptions(program: &[u32]) -> (Vcpu, &'static GuestRam) {
    let (mut v, ram) = vcpu(program);
    v.cpu.sys[Reg::MDCR_EL2] = 1 << 8;
    v.cpu.sys[Reg::MDSCR_EL1] = 1 << 15 | 1 << 13;
    v.cpu.sys[Reg::OSLAR_EL1] = 0;
    v.cpu.pstate.daif = 7;
    (v, ram)
}

/// Arm ARM, D2.8: the instruction is not executed; ESR_EL2.EC 0x31 from the same Exception level.
#[test]
fn a_breakpoint_of_the_guest() {
    // mov x0, #1; mov x1, #2; mov x2, #3
    let (mut v, _) = with_debug_exceptions(&[0xd280_0020, 0xd280_0041, 0xd280_0062]);
    v.cpu.sys[Reg::DBGBVR0_EL1] = RAM + 4;
    // E, PMC, BAS, HMC: also EL2.
    v.cpu.sys[Reg::DBGBCR0_EL1] = 0x1e7 | 1 << 13;
    v.run_turns(1);
    assert_eq!((v.cpu.sys[Reg::ESR_EL2] >> 26, v.cpu.sys[Reg::ELR_EL2]), (0x31, RAM + 4));
    assert_eq!(v.cpu.regs.x[..2], [1, 0]);
}

/// Arm ARM, D2.9: the store is not made; ESR_EL2.EC 0x35 from the same Exception level, WnR, FAR_EL2.
#[test]
fn a_watchpoint_of_the_guest() {
    // mov x0, #0x40008000 (movz, movk); mov x1, #7; str x1, [x0, #8]; str x1, [x0]
    let program = [0xd2a8_0000, 0xf290_0000, 0xd280_00e1, 0xf900_0401, 0xf900_0001];
    let (mut v, ram) = with_debug_exceptions(&program);
    v.cpu.sys[Reg::DBGWVR0_EL1] = RAM + 0x8000;
    // E, PAC, LSC = stores, BAS = all, HMC.
    v.cpu.sys[Reg::DBGWCR0_EL1] = 1 | 1 << 1 | 2 << 3 | 0xff << 5 | 1 << 13;
    v.run_turns(1);
    let s = &v.cpu.sys;
    assert_eq!((s[Reg::ESR_EL2] >> 26, s[Reg::ESR_EL2] >> 6 & 1), (0x35, 1));
    assert_eq!((s[Reg::ELR_EL2], s[Reg::FAR_EL2]), (RAM + 16, RAM + 0x8000));
    assert_eq!((ram.load_u64(0x8000), ram.load_u64(0x8008)), (Some(0), Some(7)));
}

/// A guest arms its breakpoint: the registers are seen by the instructions that follow, be they in the same block or not.
const ARMS_ITSELF: [u32; 8] = [
    0xd510_109f, // msr oslar_el1, xzr
    0xd510_0245, // msr mdscr_el1, x5
    0xd510_0081, // msr dbgbvr0_el1, x1
    0xd510_00a2, // msr dbgbcr0_el1, x2
    0xd503_3fdf, // isb
    0xd503_48ff, // msr daifclr, #8
    0xd280_0023, // mov x3, #1
    0xd280_0044, // mov x4, #2
];

#[test]
fn a_breakpoint_that_the_program_sets() {
    let (mut v, _) = below(El::El1, 0, &ARMS_ITSELF);
    v.cpu.pstate.daif = 0xf;
    v.cpu.sys[Reg::OSLAR_EL1] = 1;
    (v.cpu.regs.x[5], v.cpu.regs.x[1], v.cpu.regs.x[2]) = (MDE | KDE, RAM + 28, BREAK_EL10);
    assert_eq!(exception(&mut v), (BREAKPOINT + 1, false, 28));
    assert_eq!(v.cpu.regs.x[3..5], [1, 0]);
    assert_eq!(v.cpu.sys[Reg::ESR_EL1] & 0x1ff_ffff, 0x22, "IFSC: debug exception");
}

/// Arm ARM, D2.3: none of these lets a breakpoint of EL1 through.
#[test]
fn what_masks_a_breakpoint() {
    let masked = |change: fn(&mut Vcpu)| {
        let (mut v, _) = below(El::El1, MDE | KDE, &[0xd280_0023, 0xd280_0044]);
        v.cpu.sys[Reg::DBGBVR0_EL1] = RAM + 4;
        v.cpu.sys[Reg::DBGBCR0_EL1] = BREAK_EL10;
        change(&mut v);
        exception(&mut v).0
    };
    assert_eq!(masked(|_| {}), BREAKPOINT + 1);
    assert_eq!(masked(|v| v.cpu.sys[Reg::OSLAR_EL1] = 1), END, "the OS lock");
    assert_eq!(masked(|v| v.cpu.sys[Reg::OSDLR_EL1] = 1), END, "the OS double lock");
    assert_eq!(masked(|v| v.cpu.sys[Reg::MDSCR_EL1] = KDE), END, "MDSCR_EL1.MDE");
    assert_eq!(masked(|v| v.cpu.sys[Reg::MDSCR_EL1] = MDE), END, "MDSCR_EL1.KDE");
    assert_eq!(masked(|v| v.cpu.pstate.daif = 8), END, "PSTATE.D");
    assert_eq!(masked(|v| v.cpu.sys[Reg::DBGBCR0_EL1] &= !1), END, "DBGBCR.E");
    assert_eq!(masked(|v| v.cpu.sys[Reg::MDCR_EL2] = 1 << 8), BREAKPOINT, "MDCR_EL2.TDE: to EL2");
}

/// BRK is never masked (Arm ARM, D2.7).
#[test]
fn a_brk_under_the_os_lock() {
    let (mut v, _) = below(El::El1, 0, &[0xd420_00e0]);
    v.cpu.pstate.daif = 0xf;
    v.cpu.sys[Reg::OSLAR_EL1] = 1;
    assert_eq!(exception(&mut v), (BRK, false, 0));
    assert_eq!(v.cpu.sys[Reg::ESR_EL1] & 0x1ff_ffff, 7);
}

/// One access at EL1 under one watchpoint on the doubleword at [`DATA`], with X0 a little off it.
fn watched(control: u64, offset: i64, insn: u32) -> (u64, u64, u64) {
    let (mut v, _) = below(El::El1, MDE | KDE, &[insn]);
    v.cpu.sys[Reg::DBGWVR0_EL1] = DATA;
    v.cpu.sys[Reg::DBGWCR0_EL1] = control;
    v.cpu.regs.x[0] = DATA.wrapping_add_signed(offset);
    let (class, _, _) = exception(&mut v);
    (class, v.cpu.sys[Reg::ESR_EL1] & 0x1ff_ffff, v.cpu.sys[Reg::FAR_EL1])
}

/// Arm ARM, D2.9. DFSC 0x22; WnR is bit 6, CM bit 8.
#[test]
fn which_accesses_meet_a_watchpoint() {
    const WNR: u64 = 1 << 6 | 0x22;
    const CM: u64 = 1 << 8 | WNR;
    let hit = |iss| (WATCHPOINT + 1, iss, DATA);
    let (ldr, str, ldtr) = (0xf940_0001, 0xf900_0001, 0xf840_0801);
    assert_eq!(watched(WATCH_LOADS, 0, ldr), hit(0x22));
    assert_eq!(watched(WATCH_LOADS, 0, str).0, END);
    assert_eq!(watched(WATCH_STORES, 0, str), hit(WNR));
    assert_eq!(watched(WATCH_STORES, -8, str).0, END);
    assert_eq!(watched(WATCH_STORES, 0, 0xa93f_8801), hit(WNR), "stp x1, x2, [x0, #-8]: its second half");
    assert_eq!(watched(WATCH_STORES, 0, 0xf821_0002), hit(WNR), "ldadd x1, x2, [x0]");
    assert_eq!(watched(WATCH_LOADS, 0, 0xf821_0002), hit(0x22));
    assert_eq!(watched(WATCH_STORES, 40, 0xd508_7620), hit(CM), "dc ivac, x0");
    assert_eq!(watched(WATCH_STORES, 40, 0xd50b_7e20).0, END, "dc civac, x0");
    // PAC: EL0 only. LDTR counts as EL0's.
    let user = WATCH_LOADS & !(1 << 1);
    assert_eq!(watched(user, 0, ldr).0, END);
    assert_eq!(watched(user, 0, ldtr), hit(0x22));
    let kernel = WATCH_LOADS & !(1 << 2);
    assert_eq!(watched(kernel, 0, ldtr).0, END);
}

/// A watchpoint counts although the page was in the fast TLB before, and no longer when it is gone.
#[test]
fn a_watchpoint_comes_and_goes() {
    // ldr x1, [x0] five times, with the control register written in between: msr dbgwcr0_el1, x2 and x3.
    let (ldr, on, off) = (0xf940_0001, 0xd510_00e2, 0xd510_00e3);
    let program = [ldr, ldr, on, off, ldr, on, 0xd503_3fdf, ldr];
    let (mut v, _) = below(El::El1, MDE | KDE, &program);
    v.cpu.sys[Reg::DBGWVR0_EL1] = DATA;
    v.cpu.regs.x[2] = WATCH_LOADS;
    assert_eq!(exception(&mut v), (WATCHPOINT + 1, false, 28));
}

/// Steps one instruction at EL0 from EL1; gives class, ISS, SPSR.SS and the offset of the return address.
fn stepped(insn: u32) -> (u64, u64, bool, u64) {
    let (mut v, _) = below(El::El0, SS, &[insn, 0xd503_201f]);
    v.cpu.pstate.ss = true;
    let (class, ss, at) = exception(&mut v);
    (class, v.cpu.sys[Reg::ESR_EL1] & 0x1ff_ffff, ss, at)
}

/// Arm ARM, D2.12. An instruction that completes is followed by the exception, with ISV; one that does not is to be
/// stepped again, so its SPSR.SS is set; a call has completed.
#[test]
fn software_step_of_one_instruction() {
    const ISV: u64 = 1 << 24;
    const EX: u64 = 1 << 6;
    assert_eq!(stepped(0x9100_0421), (STEP, ISV | 0x22, false, 4), "add");
    assert_eq!(stepped(0xc85f_7c01), (STEP, ISV | EX | 0x22, false, 4), "ldxr");
    assert_eq!(stepped(0xc87f_8402), (STEP, ISV | EX | 0x22, false, 4), "ldaxp");
    assert_eq!(stepped(0x4860_7c02), (STEP, ISV | 0x22, false, 4), "caspa");
    assert_eq!(stepped(0x1400_0004), (STEP, ISV | 0x22, false, 16), "b");
    assert_eq!(stepped(0xd400_00a1), (SVC, 5, false, 4));
    let (class, _, ss, at) = stepped(0xd420_00e0);
    assert_eq!((class, ss, at), (BRK, true, 0));
    // ldr x1, [x9]: nothing is at address 0.
    let (class, _, ss, at) = stepped(0xf940_0121);
    assert_eq!((class, ss, at), (DATA_ABORT, true, 0));
}

/// EL1 steps EL0 by exception returns: PSTATE.SS comes from SPSR.SS, and without it nothing is executed.
#[test]
fn software_step_by_exception_return() {
    // eret; at 16: add x1, x1, #1 twice
    let nop = 0xd503_201f;
    let (mut v, _) = below(El::El1, SS, &[0xd69f_03e0, nop, nop, nop, 0x9100_0421, 0x9100_0421]);
    v.cpu.sys[Reg::ELR_EL1] = RAM + 16;
    v.cpu.sys[Reg::SPSR_EL1] = SPSR_SS;
    let again = |v: &mut Vcpu| {
        v.cpu.regs.pc = RAM;
        let (class, ss, at) = exception(v);
        (class, v.cpu.sys[Reg::ESR_EL1] >> 24 & 1, ss, at, v.cpu.regs.x[1])
    };
    assert_eq!(again(&mut v), (STEP, 1, false, 20, 1));
    assert_eq!(
        again(&mut v),
        (STEP, 0, false, 20, 1),
        "SPSR.SS is clear: the exception comes at once, without ISV"
    );
    v.cpu.sys[Reg::SPSR_EL1] |= SPSR_SS;
    assert_eq!(again(&mut v), (STEP, 1, false, 24, 2));
    // The OS lock ends it: EL0 runs on to its end, an HVC that is UNDEFINED there.
    v.cpu.sys[Reg::OSLAR_EL1] = 1;
    v.cpu.sys[Reg::ELR_EL1] = RAM + 16;
    v.cpu.sys[Reg::SPSR_EL1] |= SPSR_SS;
    assert_eq!(again(&mut v), (0, 0, false, 24, 4));
}

/// A breakpoint and a watchpoint come before the step of their instruction, which is yet to be made.
#[test]
fn a_breakpoint_under_software_step() {
    let (mut v, _) = below(El::El0, SS | MDE, &[0xf900_0001]);
    v.cpu.sys[Reg::DBGBVR0_EL1] = RAM;
    v.cpu.sys[Reg::DBGBCR0_EL1] = BREAK_EL10;
    v.cpu.pstate.ss = true;
    assert_eq!(exception(&mut v), (BREAKPOINT, true, 0));
    let (mut v, _) = below(El::El0, SS | MDE, &[0xf900_0001]);
    v.cpu.sys[Reg::DBGWVR0_EL1] = DATA;
    v.cpu.sys[Reg::DBGWCR0_EL1] = WATCH_STORES;
    v.cpu.pstate.ss = true;
    assert_eq!(exception(&mut v), (WATCHPOINT, true, 0));
}

#[test]
fn a_debugger_stops_before_instructions_and_accesses() {
    // mov x0, #0x40008000 (movz, movk); mov x1, #7; ldr x2, [x0]; str x1, [x0]; wfi
    let program = [0xd2a8_0000, 0xf290_0000, 0xd280_00e1, 0xf940_0002, 0xf900_0001, 0xd503_207f];
    let (mut v, ram) = vcpu(&program);
    let point = Watchpoint { va: RAM + 0x8004, bytes: 1, kind: WatchKind::Write };
    let stop = |v: &mut Vcpu| {
        v.run();
        (v.take_debug_stop(), v.cpu.regs.pc - RAM)
    };
    v.step_once(false);
    assert_eq!(stop(&mut v), (Some(DebugStop::Stepped), 4));
    v.set_breakpoints(&[RAM + 8, RAM + 4]);
    assert_eq!(stop(&mut v), (Some(DebugStop::Breakpoint(RAM + 4)), 4));
    v.step_once(false);
    assert_eq!(stop(&mut v), (Some(DebugStop::Stepped), 8));
    v.set_breakpoints(&[]);
    v.set_watchpoints(&[point]);
    let hit = WatchHit { va: RAM + 0x8004, point };
    assert_eq!(stop(&mut v), (Some(DebugStop::Watchpoint(hit)), 16), "the load is not watched");
    assert_eq!(ram.load_u64(0x8000), Some(0));
    v.set_watchpoints(&[]);
    v.set_breakpoints(&[RAM + 20]);
    assert_eq!(stop(&mut v), (Some(DebugStop::Breakpoint(RAM + 20)), 20));
    assert_eq!(ram.load_u64(0x8000), Some(7));
    v.step_once(false);
    assert_eq!(stop(&mut v), (Some(DebugStop::Stepped), 24), "a step does not wait");
}

/// A store-exclusive that a debugger's watchpoint stops succeeds when it is executed after all.
#[test]
fn a_watched_store_exclusive() {
    // ldxr x1, [x0]; add x1, x1, #1; stxr w2, x1, [x0]; cbnz w2, -12
    let (mut v, ram) = below(El::El1, 0, &[0xc85f_7c01, 0x9100_0421, 0xc802_7c01, 0x35ff_ffa2]);
    let point = Watchpoint { va: DATA, bytes: 8, kind: WatchKind::Write };
    v.set_watchpoints(&[point]);
    v.run();
    assert_eq!(
        (v.take_debug_stop(), v.cpu.regs.pc),
        (Some(DebugStop::Watchpoint(WatchHit { va: DATA, point })), RAM + 8)
    );
    v.set_watchpoints(&[]);
    v.step_once(false);
    v.run();
    assert_eq!(
        (v.take_debug_stop(), v.cpu.regs.x[2], ram.load_u64(0x8000)),
        (Some(DebugStop::Stepped), 0, Some(1))
    );
}

/// A debugger's step is not the guest's: the guest's machine goes on as if nobody looked.
#[test]
fn a_debugger_steps_over_a_software_step() {
    let (mut v, _) = below(El::El0, SS, &[0x9100_0421, 0x9100_0421]);
    v.cpu.pstate.ss = true;
    let step = |v: &mut Vcpu| {
        v.step_once(false);
        v.run();
        assert_eq!(v.take_debug_stop(), Some(DebugStop::Stepped));
        v.cpu.regs.pc
    };
    assert_eq!((step(&mut v), v.cpu.pstate.ss), (RAM + 4, false));
    assert_eq!(step(&mut v), RAM + 0x4400, "the vector of EL1, for exceptions from below");
    assert_eq!((v.cpu.sys[Reg::ESR_EL1] >> 26, v.cpu.sys[Reg::ESR_EL1] >> 24 & 1), (STEP, 1));
}

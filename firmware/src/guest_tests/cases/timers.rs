//! The generic timers (Arm ARM, D12).

use crate::guest_tests::interrupts::gicr;
use crate::guest_tests::program::{Level, Program};
use crate::guest_tests::registers::{self as r, SysReg};
use crate::guest_tests::report::{Taken, from, kind};

/// CNTx_CTL: ENABLE, IMASK, ISTATUS.
const ENABLE: u64 = 1;
const IMASK: u64 = 2;
const ISTATUS: u64 = 4;
const RW: u64 = 1 << 31;
const E2H: u64 = 1 << 34;
/// Trapped MSR or MRS.
const MSR: u64 = 0x18;

/// Control, compare value, timer value of one timer.
struct Timer {
    ctl: SysReg,
    cval: SysReg,
    tval: SysReg,
    count: SysReg,
    ppi: u64,
}

const PHYSICAL: Timer = Timer {
    ctl: r::CNTP_CTL_EL0,
    cval: r::CNTP_CVAL_EL0,
    tval: r::CNTP_TVAL_EL0,
    count: r::CNTPCT_EL0,
    ppi: 30,
};
const VIRTUAL: Timer = Timer {
    ctl: r::CNTV_CTL_EL0,
    cval: r::CNTV_CVAL_EL0,
    tval: r::CNTV_TVAL_EL0,
    count: r::CNTVCT_EL0,
    ppi: 27,
};
const HYP_PHYSICAL: Timer = Timer {
    ctl: r::CNTHP_CTL_EL2,
    cval: r::CNTHP_CVAL_EL2,
    tval: r::CNTHP_TVAL_EL2,
    count: r::CNTPCT_EL0,
    ppi: 26,
};
const HYP_VIRTUAL: Timer = Timer {
    ctl: r::CNTHV_CTL_EL2,
    cval: r::CNTHV_CVAL_EL2,
    tval: r::CNTHV_TVAL_EL2,
    count: r::CNTPCT_EL0,
    ppi: 28,
};

/// ISTATUS says whether the compare value is reached, masked or not; a disabled timer's is UNKNOWN.
fn conditions(p: &mut Program, t: &Timer) {
    p.set(t.cval, 0);
    p.set_now(t.ctl, ENABLE | IMASK);
    p.expect_reg("reached, masked", t.ctl, 7, ENABLE | IMASK | ISTATUS);
    p.set_now(t.ctl, ENABLE);
    p.expect_reg("reached", t.ctl, 7, ENABLE | ISTATUS);
    p.set_now(t.cval, u64::MAX >> 1);
    p.expect_reg("not reached", t.ctl, 7, ENABLE);
    // The comparison is unsigned: the largest value is not reached either.
    p.set_now(t.cval, u64::MAX);
    p.expect_reg("the largest", t.ctl, 7, ENABLE);
    p.set_now(t.ctl, 0);
}

/// TVAL is a signed 32-bit distance from the count.
fn timer_values(p: &mut Program, t: &Timer) {
    p.set(t.tval, 0x7fff_ffff);
    p.set_now(t.ctl, ENABLE | IMASK);
    p.expect_reg("a distance ahead", t.ctl, 7, ENABLE | IMASK);
    p.mrs(0, t.cval);
    p.mrs(1, t.count);
    // CVAL - count is just below 2^31.
    a64!(p ; sub x0, x0, x1 ; lsr x0, x0, 28);
    p.expect("CVAL - count", 0, 7);
    p.set_now(t.tval, 0xffff_ffff);
    p.expect_reg("a distance behind", t.ctl, 7, ENABLE | IMASK | ISTATUS);
    p.mrs(0, t.tval);
    // Negative, in 32 bits.
    a64!(p ; lsr x0, x0, 31);
    p.expect("TVAL goes on", 0, 1);
    p.set_now(t.ctl, 0);
}

/// The timer's interrupt arrives at EL2 as its PPI; disabling the timer withdraws it.
fn interrupts(p: &mut Program, t: &Timer) {
    p.set(t.tval, 100);
    p.set_now(t.ctl, ENABLE);
    p.expect_taken(Taken::to(2, from::SPX | kind::IRQ));
    p.take_interrupt();
    p.acknowledge("INTID", t.ppi);
    p.expect_reg("CTL", t.ctl, 7, ENABLE | ISTATUS);
    p.set_now(t.ctl, 0);
    p.end_of_interrupt(t.ppi);
    p.open_for_a_while();
}

fn for_timers(p: &mut Program, timers: &[Timer], what: fn(&mut Program, &Timer)) {
    timers.iter().for_each(|t| what(p, t));
}

/// All of it for CNTP, CNTV and CNTHP.
pub(super) fn status(p: &mut Program) {
    for_timers(p, &[PHYSICAL, VIRTUAL, HYP_PHYSICAL], conditions);
}

/// TVAL views.
pub(super) fn values(p: &mut Program) {
    for_timers(p, &[PHYSICAL, VIRTUAL, HYP_PHYSICAL], timer_values);
}

/// PPIs 30, 27 and 26.
pub(super) fn interrupts_to_el2(p: &mut Program) {
    p.start_gic();
    for_timers(p, &[PHYSICAL, VIRTUAL, HYP_PHYSICAL], interrupts);
}

/// CNTHV: the EL2 virtual timer of FEAT_VHE, PPI 28.
pub(super) fn hyp_virtual(p: &mut Program) {
    p.start_gic();
    conditions(p, &HYP_VIRTUAL);
    timer_values(p, &HYP_VIRTUAL);
    interrupts(p, &HYP_VIRTUAL);
}

/// IMASK keeps the interrupt back, and lets it go.
pub(super) fn imask(p: &mut Program) {
    p.start_gic();
    p.set(r::CNTP_CVAL_EL0, 0);
    p.set_now(r::CNTP_CTL_EL0, ENABLE | IMASK);
    p.open_for_a_while();
    p.acknowledge("nothing", 1023);
    p.set_now(r::CNTP_CTL_EL0, ENABLE);
    p.expect_taken(Taken::to(2, from::SPX | kind::IRQ));
    p.take_interrupt();
    p.acknowledge("INTID", 30);
    p.set_now(r::CNTP_CTL_EL0, 0);
    p.end_of_interrupt(30);
}

/// Emits a check that `inner` read between two reads of `outer`, plus `x9`, lies between them.
fn between(p: &mut Program, name: &str, outer: SysReg, inner: SysReg) {
    a64!(p ; isb);
    p.mrs(0, outer);
    a64!(p ; isb);
    p.mrs(1, inner);
    a64!(p ; isb);
    p.mrs(2, outer);
    a64!(p ; add x1, x1, x9 ; cmp x1, x0 ; cset x3, hs ; cmp x1, x2 ; cset x4, ls ; and x3, x3, x4);
    p.expect(name, 3, 1);
}

/// CNTVCT is CNTPCT less CNTVOFF_EL2, at EL2 (without E2H) and EL1; CNTV compares with it.
pub(super) fn virtual_offset(p: &mut Program) {
    let offset = 0x1234_5678_9abc;
    p.set_now(r::CNTVOFF_EL2, offset);
    p.mov(9, offset);
    between(p, "at EL2", r::CNTPCT_EL0, r::CNTVCT_EL0);
    p.enter(Level::El1h, |p| {
        between(p, "at EL1", r::CNTPCT_EL0, r::CNTVCT_EL0);
        // The count is negative, that is: large. Zero is reached.
        p.set(r::CNTV_CVAL_EL0, 0);
        p.set_now(r::CNTV_CTL_EL0, ENABLE | IMASK);
        p.expect_reg("CNTV", r::CNTV_CTL_EL0, 7, ENABLE | IMASK | ISTATUS);
        p.mrs(0, r::CNTPCT_EL0);
        p.mov(1, 0x1000_0000);
        a64!(p ; sub x0, x0, x9 ; add x0, x0, x1);
        p.msr(r::CNTV_CVAL_EL0, 0);
        a64!(p ; isb);
        p.expect_reg("CNTV ahead", r::CNTV_CTL_EL0, 7, ENABLE | IMASK);
    });
}

/// In the host (E2H at EL2) CNTVCT has no offset; EL1 still has it.
pub(super) fn no_offset_in_host(p: &mut Program) {
    p.set(r::CNTVOFF_EL2, 0x1234_5678_9abc);
    p.set_now(r::HCR_EL2, RW | E2H);
    p.mov(9, 0);
    between(p, "at EL2", r::CNTPCT_EL0, r::CNTVCT_EL0);
    // EL1PCTEN in its place with E2H.
    p.set_now(r::CNTHCTL_EL2, 3 << 10);
    p.mov(9, 0x1234_5678_9abc);
    p.enter(Level::El1h, |p| between(p, "at EL1", r::CNTPCT_EL0, r::CNTVCT_EL0));
    p.set_now(r::HCR_EL2, RW);
}

/// With E2H the names of the EL1 timers mean the EL2 timers at EL2; `_EL02` names mean those of EL1.
pub(super) fn vhe_redirection(p: &mut Program) {
    p.set(r::CNTP_CVAL_EL0, 0x111);
    p.set(r::CNTV_CVAL_EL0, 0x222);
    p.set(r::CNTHP_CVAL_EL2, 0x333);
    p.set_now(r::HCR_EL2, RW | E2H);
    p.set(r::CNTHV_CVAL_EL2, 0x444);
    a64!(p ; isb);
    let all = u64::MAX;
    p.expect_reg("CNTP_CVAL_EL0 is CNTHP", r::CNTP_CVAL_EL0, all, 0x333);
    p.expect_reg("CNTV_CVAL_EL0 is CNTHV", r::CNTV_CVAL_EL0, all, 0x444);
    p.expect_reg("CNTP_CVAL_EL02", r::CNTP_CVAL_EL02, all, 0x111);
    p.expect_reg("CNTV_CVAL_EL02", r::CNTV_CVAL_EL02, all, 0x222);
    p.set_now(r::CNTP_CVAL_EL0, 0x555);
    p.expect_reg("CNTHP_CVAL_EL2", r::CNTHP_CVAL_EL2, all, 0x555);
    p.set_now(r::HCR_EL2, RW);
}

fn read_trapped(p: &mut Program, el: u8, reg: SysReg) {
    p.faulting(Taken::lower(el).class(MSR, reg.iss(3, true)), |p| p.mrs(3, reg));
}

/// CNTKCTL_EL1: what EL0 may read.
pub(super) fn el0_access(p: &mut Program) {
    p.enter(Level::El0, |p| {
        for reg in [r::CNTPCT_EL0, r::CNTVCT_EL0, r::CNTFRQ_EL0, r::CNTP_CTL_EL0, r::CNTV_CVAL_EL0] {
            read_trapped(p, 1, reg);
        }
    });
    // EL0PCTEN: the frequency, too.
    p.set_now(r::CNTKCTL_EL1, 1);
    p.enter(Level::El0, |p| {
        p.mrs(3, r::CNTPCT_EL0);
        p.mrs(3, r::CNTFRQ_EL0);
        read_trapped(p, 1, r::CNTVCT_EL0);
    });
    // EL0VCTEN, EL0VTEN.
    p.set_now(r::CNTKCTL_EL1, 2 | 1 << 8);
    p.enter(Level::El0, |p| {
        p.mrs(3, r::CNTVCT_EL0);
        p.mrs(3, r::CNTFRQ_EL0);
        p.mrs(3, r::CNTV_CTL_EL0);
        read_trapped(p, 1, r::CNTPCT_EL0);
        read_trapped(p, 1, r::CNTP_CVAL_EL0);
    });
    // EL0PTEN.
    p.set_now(r::CNTKCTL_EL1, 1 << 9);
    p.enter(Level::El0, |p| {
        p.mrs(3, r::CNTP_CTL_EL0);
        read_trapped(p, 1, r::CNTV_CTL_EL0);
    });
}

/// CNTHCTL_EL2 without E2H: EL1PCTEN, EL1PCEN. The virtual counter and timer are not its business.
pub(super) fn el1_access(p: &mut Program) {
    for (cnthctl, count, timer) in [(0, true, true), (1, false, true), (2, true, false), (3, false, false)] {
        p.set_now(r::CNTHCTL_EL2, cnthctl);
        el1_reads(p, count, timer);
    }
    p.set_now(r::CNTHCTL_EL2, 1 << 1);
    p.set_now(r::CNTKCTL_EL1, 3);
    p.enter(Level::El0, |p| read_trapped(p, 2, r::CNTPCT_EL0));
}

/// CNTHCTL_EL2 with E2H: EL1PCTEN is bit 10, EL1PTEN bit 11.
pub(super) fn el1_access_with_e2h(p: &mut Program) {
    p.set_now(r::HCR_EL2, RW | E2H);
    for (cnthctl, count, timer) in [(3, true, true), (1 << 10, false, true), (1 << 11, true, false)] {
        p.set_now(r::CNTHCTL_EL2, cnthctl);
        el1_reads(p, count, timer);
    }
    p.set_now(r::HCR_EL2, RW);
}

fn el1_reads(p: &mut Program, count: bool, timer: bool) {
    p.enter(Level::El1h, |p| {
        for (reg, traps) in [(r::CNTPCT_EL0, count), (r::CNTP_CTL_EL0, timer), (r::CNTP_CVAL_EL0, timer)] {
            if traps {
                read_trapped(p, 2, reg);
            } else {
                p.mrs(3, reg);
            }
        }
        p.mrs(3, r::CNTVCT_EL0);
        p.mrs(3, r::CNTV_CTL_EL0);
    });
}

/// The interrupt is a level: it goes with the condition, without anyone's acknowledgement.
pub(super) fn level(p: &mut Program) {
    p.start_gic();
    let pending = p.gicr(gicr::ISPENDR0);
    for t in [PHYSICAL, VIRTUAL, HYP_PHYSICAL] {
        p.set(t.cval, 0);
        p.set_now(t.ctl, ENABLE);
        p.peek32(0, pending);
        p.expect_bits("pending", 0, 1 << t.ppi, 1 << t.ppi);
        p.set_now(t.cval, u64::MAX);
        p.peek32(0, pending);
        p.expect_bits("not any more", 0, 1 << t.ppi, 0);
        p.set_now(t.cval, 0);
        p.set_now(t.ctl, ENABLE | IMASK);
        p.peek32(0, pending);
        p.expect_bits("masked", 0, 1 << t.ppi, 0);
        p.set_now(t.ctl, 0);
    }
}

/// EL1 takes its timers' interrupts itself without HCR_EL2.IMO.
pub(super) fn interrupts_to_el1(p: &mut Program) {
    p.start_gic();
    p.set_now(r::HCR_EL2, RW);
    p.enter(Level::El1h, |p| {
        for t in [PHYSICAL, VIRTUAL] {
            p.set(t.tval, 100);
            p.set_now(t.ctl, ENABLE);
            p.expect_taken(Taken::to(1, from::SPX | kind::IRQ));
            p.take_interrupt();
            p.acknowledge("INTID", t.ppi);
            p.set_now(t.ctl, 0);
            p.end_of_interrupt(t.ppi);
        }
    });
}

/// CNTV with an offset: TVAL counts from the virtual count, and the interrupt comes by it.
pub(super) fn virtual_timer_with_offset(p: &mut Program) {
    p.start_gic();
    // The virtual count is far ahead of the physical one.
    p.set_now(r::CNTVOFF_EL2, (1_u64 << 40).wrapping_neg());
    p.set(r::CNTV_TVAL_EL0, 100);
    p.mrs(0, r::CNTV_CVAL_EL0);
    a64!(p ; lsr x0, x0, 40);
    p.expect("CVAL", 0, 1);
    p.set_now(r::CNTV_CTL_EL0, ENABLE);
    p.expect_taken(Taken::to(2, from::SPX | kind::IRQ));
    p.take_interrupt();
    p.acknowledge("INTID", VIRTUAL.ppi);
    // The condition follows the offset.
    p.set_now(r::CNTVOFF_EL2, 0);
    p.expect_reg("CTL without", r::CNTV_CTL_EL0, 7, ENABLE);
    p.set_now(r::CNTV_CTL_EL0, 0);
    p.end_of_interrupt(VIRTUAL.ppi);
}

/// The physical and hypervisor timers have no offset.
pub(super) fn no_offset(p: &mut Program) {
    p.set_now(r::CNTVOFF_EL2, (1_u64 << 40).wrapping_neg());
    for t in [PHYSICAL, HYP_PHYSICAL] {
        p.set(t.tval, 100);
        p.mrs(0, t.cval);
        a64!(p ; lsr x0, x0, 40);
        p.expect("CVAL", 0, 0);
    }
    p.set_now(r::CNTVOFF_EL2, 0);
}

/// In a host's EL0 the names of EL1's timers mean EL2's, and the virtual count has no offset.
pub(super) fn host_el0(p: &mut Program) {
    p.set(r::CNTVOFF_EL2, 0x1234_5678_9abc);
    p.set(r::CNTP_CVAL_EL0, 0x111);
    p.set(r::CNTHP_CVAL_EL2, 0x333);
    p.set_now(r::HCR_EL2, RW | E2H | 1 << 27);
    p.set(r::CNTHV_CVAL_EL2, 0x444);
    p.set_now(r::CNTHCTL_EL2, 0x303);
    p.enter(Level::El0, |p| {
        p.mrs(5, r::CNTP_CVAL_EL0);
        p.mrs(6, r::CNTV_CVAL_EL0);
        p.mrs(7, r::CNTPCT_EL0);
        p.mrs(8, r::CNTVCT_EL0);
    });
    p.expect("CNTP_CVAL_EL0 is CNTHP", 5, 0x333);
    p.expect("CNTV_CVAL_EL0 is CNTHV", 6, 0x444);
    a64!(p ; sub x8, x8, x7 ; lsr x8, x8, 32);
    p.expect("CNTVCT - CNTPCT", 8, 0);
    p.set_now(r::HCR_EL2, RW);
    p.set_now(r::CNTHCTL_EL2, 3);
}

/// EL2's own timers and the offset are undefined at EL1.
pub(super) fn undefined_at_el1(p: &mut Program) {
    p.enter(Level::El1h, |p| {
        for reg in [r::CNTHP_CTL_EL2, r::CNTHP_TVAL_EL2, r::CNTVOFF_EL2, r::CNTHCTL_EL2] {
            p.faulting(Taken::same(1).class(0, 0), |p| p.mrs(3, reg));
        }
        // CNTFRQ_EL0 is written at the highest level only.
        p.faulting(Taken::same(1).class(0, 0), |p| p.msr(r::CNTFRQ_EL0, 3));
    });
}

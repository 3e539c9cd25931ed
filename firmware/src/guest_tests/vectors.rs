//! The vector tables of EL2 and EL1, and the handler behind them: it records the exception, then goes on as X26 says.

use super::cases::Gic;
use super::gicv2::{self, Interface};
use super::layout;
use super::program::{Program, SYSTEM_OFF};
use super::registers::{self as r, SysReg};
use super::report::{COUNT_AT, LOG, LOG_ENTRY, MAX_LOG};

/// The table of EL2 (Arm ARM, D1.3.1: 2 KiB, aligned).
pub(super) const EL2_TABLE: u64 = layout::IMAGE + 0x800;
/// The table of EL1.
pub(super) const EL1_TABLE: u64 = layout::IMAGE + 0x1000;

/// Immediate of an SVC or HVC that is not an exception of the case, but its way up to EL2 (to the address in X25).
pub(super) const LEAVE_TO_EL2: u32 = 0xffff;
/// The same to EL1 (to the address in X24).
pub(super) const LEAVE_TO_EL1: u32 = 0xfffe;

/// The registers of one Exception level.
struct Bank {
    el: u32,
    esr: SysReg,
    elr: SysReg,
    far: SysReg,
    spsr: SysReg,
}

const EL2: Bank = Bank { el: 2, esr: r::ESR_EL2, elr: r::ELR_EL2, far: r::FAR_EL2, spsr: r::SPSR_EL2 };
const EL1: Bank = Bank { el: 1, esr: r::ESR_EL1, elr: r::ELR_EL1, far: r::FAR_EL1, spsr: r::SPSR_EL1 };

/// Both tables and handlers. The tables are where the constants say.
pub(super) fn emit(p: &mut Program) {
    let handlers = [p.label(), p.label()];
    for (bank, handler) in [EL2, EL1].iter().zip(handlers) {
        p.align(0x800);
        for vector in 0..16 {
            p.align(0x80);
            a64!(p ; movz x19, bank.el << 12 | vector << 7 ; b =>handler);
        }
    }
    for (bank, handler) in [EL2, EL1].iter().zip(handlers) {
        p.bind(handler);
        handle(p, bank);
    }
}

/// Another table, in which `handler` is asked first about what comes to the vector at `offset`: it returns, or goes to the label
/// it is given. That and all other vectors are those of `suite`, one of the two tables. Gives its address.
pub(super) fn emit_over(
    p: &mut Program,
    suite: u64,
    offset: u64,
    handler: impl Fn(&mut Program, dynasmrt::DynamicLabel),
) -> u64 {
    let after = p.label();
    a64!(p ; b =>after);
    p.align(0x800);
    let table = p.here();
    for vector in (0..0x800).step_by(0x80) {
        p.align(0x80);
        let others = p.label();
        if vector == offset {
            handler(p, others);
        }
        p.bind(others);
        p.mov(19, suite + vector);
        a64!(p ; br x19);
    }
    p.align(0x80);
    p.bind(after);
    table
}

fn handle(p: &mut Program, bank: &Bank) {
    let (record, land, give_up, back, interrupt) = (p.label(), p.label(), p.label(), p.label(), p.label());
    p.mrs(20, bank.esr);
    leave(p, bank, record);
    p.bind(record);
    a64!(p
        ; ldr x21, [x28, COUNT_AT as u32]
        ; cmp x21, MAX_LOG as u32
        ; b.hs =>give_up
        ; add x22, x21, 1
        ; str x22, [x28, COUNT_AT as u32]
        ; add x22, x28, (LOG >> 12) as u32, lsl 12
        ; add x22, x22, x21, lsl LOG_ENTRY.trailing_zeros()
        ; stp x19, x20, [x22]
    );
    p.mrs(21, bank.elr);
    p.mrs(23, bank.far);
    a64!(p ; stp x21, x23, [x22, 16]);
    p.mrs(21, bank.spsr);
    if bank.el == 2 {
        p.mrs(23, r::HPFAR_EL2);
    } else {
        a64!(p ; mov x23, xzr);
    }
    a64!(p ; stp x23, x21, [x22, 32] ; cbnz x26, =>land ; tst x19, 0x180 ; b.ne =>interrupt);
    // Synchronous: behind the instruction. SVC and HVC already return there.
    a64!(p ; lsr x21, x20, 26 ; sub x21, x21, 0x15 ; cmp x21, 1 ; b.ls =>back);
    p.mrs(21, bank.elr);
    a64!(p ; add x21, x21, 4);
    p.msr(bank.elr, 21);
    p.bind(back);
    a64!(p ; eret);
    p.bind(interrupt);
    serve(p, bank, back);
    p.bind(land);
    a64!(p ; mov x23, x26 ; mov x26, xzr ; br x23);
    p.bind(give_up);
    p.mov(0, SYSTEM_OFF);
    a64!(p ; smc 0 ; forever: ; b <forever);
}

/// The calls that bring code back up are not exceptions of the case.
fn leave(p: &mut Program, bank: &Bank, record: dynasmrt::DynamicLabel) {
    let next = p.label();
    a64!(p
        // An interrupt leaves the syndrome of an earlier exception in place.
        ; tst x19, 0x180
        ; b.ne =>record
        ; lsr x21, x20, 26
        ; sub x21, x21, 0x15
        ; cmp x21, 1
        ; b.hi =>record
        ; and x21, x20, 0xffff
        ; movz x22, LEAVE_TO_EL2
        ; cmp x21, x22
        ; b.ne =>next
    );
    if bank.el == 2 {
        a64!(p ; br x25);
    } else {
        a64!(p ; hvc LEAVE_TO_EL2);
    }
    p.bind(next);
    a64!(p ; movz x22, LEAVE_TO_EL1 ; cmp x21, x22 ; b.ne =>record ; br x24);
}

/// IRQ and FIQ: acknowledge, record the INTID, drop the priority. SError: nothing to do.
fn serve(p: &mut Program, bank: &Bank, back: dynasmrt::DynamicLabel) {
    let fiq = p.label();
    a64!(p ; and x21, x19, 0x180 ; cmp x21, 0x100 ; b.hi =>back);
    if p.gic == Gic::V2 {
        // EL2 has the physical CPU interface, EL1 the virtual one.
        let interface = if bank.el == 2 { gicv2::PHYSICAL } else { gicv2::VIRTUAL };
        p.mov(21, interface.at(0));
        a64!(p
            ; ldr w23, [x21, Interface::IAR as u32]
            ; str x23, [x22, 48]
            ; str w23, [x21, Interface::EOIR as u32]
            ; dsb sy
            ; b =>back
        );
        p.bind(fiq);
        return;
    }
    a64!(p ; b.eq =>fiq);
    p.mrs(23, r::ICC_IAR1_EL1);
    a64!(p ; str x23, [x22, 48]);
    p.msr(r::ICC_EOIR1_EL1, 23);
    a64!(p ; b =>back);
    p.bind(fiq);
    p.mrs(23, r::ICC_IAR0_EL1);
    a64!(p ; str x23, [x22, 48]);
    p.msr(r::ICC_EOIR0_EL1, 23);
    a64!(p ; b =>back);
}

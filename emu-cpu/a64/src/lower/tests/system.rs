//! Branches, exceptions, hints, barriers and system registers.

use super::{ALL, EL1, El, Feat, FeatureSet, Implementation, Mode, Next, PC, lower, run, translate};
use crate::ir::{BarrierKind, Block, ExcOp, LeaveKind, Link, Op, PacOp, PstateField, SysEnc, Term};

fn next(word: u32, x1: u64, nzcv: u32) -> u64 {
    let (_, next) = run(&[word], |m| {
        m.regs.x[1] = x1;
        m.regs.nzcv = nzcv << 28;
    });
    let Next::At(addr) = next else { panic!("{next:?}") };
    addr.wrapping_sub(PC)
}

fn at(mode: Mode, features: &[Feat], word: u32) -> Block {
    let mut word = Some(word);
    let features = FeatureSet::of(features).union(FeatureSet::of(&[Feat::Base]));
    translate(|_| word.take(), Implementation { features, ..ALL }, mode, 1)
}

const UNDEFINED: Term = Term::Exception(ExcOp::Undefined);

#[test]
fn direct_branches() {
    assert_eq!(next(0x17ff_fffe /* b .-8 */, 0, 0), 8u64.wrapping_neg());
    assert_eq!(next(0x5400_0041 /* b.ne .+8 */, 0, 0b0100), 4);
    assert_eq!(next(0x5400_0041 /* b.ne .+8 */, 0, 0), 8);
    assert_eq!(next(0x5400_004e /* b.al .+8 */, 0, 0), 8);
    assert_eq!(next(0x3400_0041 /* cbz w1, .+8 */, 1 << 32, 0), 8);
    assert_eq!(next(0xb400_0041 /* cbz x1, .+8 */, 1 << 32, 0), 4);
    assert_eq!(next(0xb5ff_ffe1 /* cbnz x1, .-4 */, 1 << 32, 0), 4u64.wrapping_neg());
    assert_eq!(next(0xb608_0041 /* tbz x1, #33, .+8 */, 1 << 33, 0), 4);
    assert_eq!(next(0xb708_0041 /* tbnz x1, #33, .+8 */, 1 << 33, 0), 8);
    assert_eq!(next(0x3618_0041 /* tbz w1, #3, .+8 */, 0, 0), 8);
}

#[test]
fn calls_and_returns() {
    let (m, to) = run(&[0xd503_201f /* nop */, 0x9400_0040 /* bl .+0x100 */], |_| {});
    assert_eq!((to, m.regs.x[30]), (Next::At(PC + 0x104), PC + 8));
    let (m, to) = run(&[0xd63f_03c0 /* blr x30 */], |m| m.regs.x[30] = 0x1234);
    assert_eq!((to, m.regs.x[30]), (Next::At(0x1234), PC + 4));
    let link = |word| match lower(&[word]).term {
        Term::Indirect { link, .. } | Term::Goto { link, .. } => link,
        other => panic!("{other}"),
    };
    assert_eq!(link(0xd61f_0020 /* br x1 */), Link::Jump);
    assert_eq!(link(0xd63f_0020 /* blr x1 */), Link::Call);
    assert_eq!(link(0xd65f_03c0 /* ret */), Link::Return);
    assert_eq!(link(0x9400_0000 /* bl . */), Link::Call);
}

#[test]
fn exceptions() {
    let term = |word| lower(&[word]).term;
    assert_eq!(term(0xd400_00e1 /* svc #7 */), Term::Exception(ExcOp::Svc(7)));
    assert_eq!(term(0xd41f_ffe2 /* hvc #0xffff */), Term::Exception(ExcOp::Hvc(0xffff)));
    assert_eq!(term(0xd400_0023 /* smc #1 */), Term::Exception(ExcOp::Smc(1)));
    assert_eq!(term(0xd420_0040 /* brk #2 */), Term::Exception(ExcOp::Brk(2)));
    assert_eq!(term(0xd45e_0000 /* hlt #0xf000 */), Term::Exception(ExcOp::Hlt(0xf000)));
    assert_eq!(term(0xd4a0_0001 /* dcps1 */), UNDEFINED);
    assert_eq!(term(0xd6bf_03e0 /* drps */), UNDEFINED);
    assert_eq!(term(0xd69f_03e0 /* eret */), Term::Leave { kind: LeaveKind::Eret, next: 4 });
    let el0 = Mode { el: El::El0, ..EL1 };
    for word in [
        0xd400_0002, /* hvc #0 */
        0xd400_0003, /* smc #0 */
        0xd69f_03e0, /* eret */
        0xd500_40bf, /* msr spsel, #0 */
    ] {
        assert_eq!(at(el0, &[], word).term, UNDEFINED, "{word:08x}");
    }
    assert_eq!(at(el0, &[], 0xd400_0001 /* svc #0 */).term, Term::Exception(ExcOp::Svc(0)));
}

#[test]
fn features_and_fp_access() {
    assert_eq!(at(EL1, &[], 0xf820_0041 /* ldadd x0, x1, [x2] */).term, UNDEFINED);
    let off = Mode { fp_enabled: false, ..EL1 };
    let block = at(off, &[Feat::AdvSimd], 0x3dc0_0020 /* ldr q0, [x1] */);
    assert_eq!((block.term, block.insts.len()), (Term::Exception(ExcOp::FpAccess), 0));
    assert_eq!(at(off, &[], 0x3dc0_0020 /* ldr q0, [x1] */).term, UNDEFINED);
    // Option 0 of the register offset is not allocated, so no FP access is made.
    assert_eq!(at(off, &[Feat::AdvSimd], 0x3ce2_0820).term, UNDEFINED);
}

#[test]
fn hints_and_waiting() {
    let kind = |word| match lower(&[word]).term {
        Term::Leave { kind, next: 4 } => Some(kind),
        _ => None,
    };
    assert_eq!(kind(0xd503_207f /* wfi */), Some(LeaveKind::Wfi(31)));
    assert_eq!(kind(0xd503_205f /* wfe */), Some(LeaveKind::Wfe(31)));
    assert_eq!(kind(0xd503_1023 /* wfit x3 */), Some(LeaveKind::Wfi(3)));
    assert_eq!(kind(0xd503_1003 /* wfet x3 */), Some(LeaveKind::Wfe(3)));
    assert_eq!(kind(0xd503_103f /* wfit xzr */), None);
    assert_eq!(kind(0xd503_203f /* yield */), Some(LeaveKind::Yield));
    assert_eq!(kind(0xd503_221f /* esb */), Some(LeaveKind::Esb));
    assert_eq!(at(EL1, &[], 0xd503_221f /* esb */).term, Term::Goto { rel: 4, link: Link::Jump });
    for word in [
        0xd503_201f, /* nop */
        0xd503_233f, /* paciasp */
        0xd503_23bf, /* autiasp */
        0xd503_245f, /* bti c */
        0xd503_2fff, /* hint #127 */
        0xd503_20df, /* dgh */
    ] {
        let block = at(EL1, &[], word);
        let goes_on = block.term == Term::Goto { rel: 4, link: Link::Jump };
        assert!(goes_on && block.insts.is_empty(), "{word:08x}");
    }
    let op = |word| lower(&[word]).insts[0].op;
    assert_eq!(op(0xd503_209f /* sev */), Op::SendEvent { all: true });
    assert_eq!(op(0xd503_20bf /* sevl */), Op::SendEvent { all: false });
}

#[test]
fn barriers() {
    let kind = |word| match lower(&[word]).insts[0].op {
        Op::Barrier(kind) => kind,
        other => panic!("{other}"),
    };
    assert_eq!(kind(0xd503_3bbf /* dmb ish */), BarrierKind::DmbFull);
    assert_eq!(kind(0xd503_39bf /* dmb ishld */), BarrierKind::DmbLoad);
    assert_eq!(kind(0xd503_32bf /* dmb oshst */), BarrierKind::DmbStore);
    assert_eq!(kind(0xd503_3f9f /* dsb sy */), BarrierKind::Dsb);
    assert_eq!(kind(0xd503_309f /* ssbb */), BarrierKind::Speculation);
    assert_eq!(kind(0xd503_349f /* pssbb */), BarrierKind::Speculation);
    assert_eq!(kind(0xd503_30ff /* sb */), BarrierKind::Speculation);
    assert_eq!(kind(0xd503_229f /* csdb */), BarrierKind::Speculation);
    assert_eq!(lower(&[0xd503_3fdf /* isb */]).term, Term::Leave { kind: LeaveKind::Context, next: 4 });
}

#[test]
fn system_registers() {
    let (m, _) = run(&[0xd53b_4200 /* mrs x0, nzcv */, 0xd51b_4201 /* msr nzcv, x1 */], |m| {
        m.regs.nzcv = 0xa000_0000;
        m.regs.x[1] = u64::MAX;
    });
    assert_eq!((m.regs.x[0], m.regs.nzcv, m.effects.len()), (0xa000_0000, 0xf000_0000, 0));
    let ctr = SysEnc::new(3, 3, 0, 0, 1);
    assert_eq!(lower(&[0xd53b_0025 /* mrs x5, ctr_el0 */]).insts[0].op, Op::Mrs { enc: ctr, rt: 5 });
    let goes_on = |word| lower(&[word]).term == Term::Goto { rel: 4, link: Link::Jump };
    for word in [
        0xd51b_d040, /* msr tpidr_el0, x0 */
        0xd503_42df, /* msr daifset, #2 */
        0xd53b_4220, /* mrs x0, daif */
    ] {
        assert!(goes_on(word), "{word:08x}");
    }
    for word in [
        0xd518_1000, /* msr sctlr_el1, x0 */
        0xd503_42ff, /* msr daifclr, #2 */
        0xd500_41bf, /* msr spsel, #1 */
        0xd508_871f, /* tlbi vmalle1 */
    ] {
        assert_eq!(lower(&[word]).term, Term::Leave { kind: LeaveKind::Context, next: 4 }, "{word:08x}");
    }
    let set = Op::MsrImm { field: PstateField::DaifSet, imm: 0xf };
    assert_eq!(lower(&[0xd503_4fdf /* msr daifset, #0xf */]).insts[0].op, set);
    assert_eq!(at(EL1, &[], 0xd500_419f /* msr pan, #1 */).term, UNDEFINED);
    // SYSL is a read with op0 = 1.
    let sysl = lower(&[0xd52b_7422 /* sysl x2, #3, c7, c4, #1 */]).insts[0].op;
    assert_eq!(sysl, Op::Mrs { enc: SysEnc::new(1, 3, 7, 4, 1), rt: 2 });
}

#[test]
fn pointer_authentication() {
    let pac = |word| {
        let block = lower(&[word]);
        let find = |i: &crate::ir::Inst| match i.op {
            Op::Pac { op, ptr, modifier } => {
                Some((op, block.insts[ptr.0 as usize].op, block.insts[modifier.0 as usize].op))
            }
            _ => None,
        };
        (block.insts.iter().find_map(find).unwrap(), block.term)
    };
    let x = Op::GetX;
    let zero = Op::Const(crate::ir::Ty::I64, 0);
    let next = Term::Goto { rel: 4, link: Link::Jump };
    assert_eq!(pac(0xd503_233f /* paciasp */), ((PacOp::PacIa, x(30), x(31)), next));
    assert_eq!(pac(0xd503_23df /* autibz */), ((PacOp::AutIb, x(30), zero), next));
    assert_eq!(pac(0xd503_215f /* pacib1716 */), ((PacOp::PacIb, x(17), x(16)), next));
    assert_eq!(pac(0xdac1_0be1 /* pacda x1, sp */), ((PacOp::PacDa, x(1), x(31)), next));
    assert_eq!(pac(0xdac1_3fe1 /* autdzb x1 */), ((PacOp::AutDb, x(1), zero), next));
    assert_eq!(pac(0xdac1_43e1 /* xpaci x1 */), ((PacOp::XpacI, x(1), zero), next));
    assert_eq!(pac(0x9ac3_3041 /* pacga x1, x2, x3 */).0, (PacOp::PacGa, x(2), x(3)));
    assert_eq!(pac(0xf8a0_0441 /* ldrab x1, [x2] */).0, (PacOp::AutDb, x(2), zero));
    let link = |word| match pac(word) {
        (op, Term::Indirect { link, .. }) => (op, link),
        other => panic!("{other:?}"),
    };
    assert_eq!(link(0xd71f_0822 /* braa x1, x2 */), ((PacOp::AutIa, x(1), x(2)), Link::Jump));
    assert_eq!(link(0xd63f_0c3f /* blrabz x1 */), ((PacOp::AutIb, x(1), zero), Link::Call));
    assert_eq!(link(0xd65f_0fff /* retab */), ((PacOp::AutIb, x(30), x(31)), Link::Return));
    let eret = lower(&[0xd69f_0fff /* eretab */]).term;
    assert_eq!(eret, Term::Leave { kind: LeaveKind::EretA(1), next: 4 });
    assert_eq!(at(EL1, &[], 0xdac1_43e1 /* xpaci x1 */).term, UNDEFINED);
}

//! AdvSIMD instructions that move elements: copy, permute, extract, table, modified immediate (Arm ARM, C4.1.96).

use super::simd_shape::{BHSD, Form};
use super::{Flow, Lower, Lowered, Undefined};
use crate::ir::{Op, Ty, Val};
use crate::simd::{Elem, LogicOp, PermuteOp, VecOp};

/// The element size by the lowest bit of imm5, and the index above it.
fn imm5(l: &Lower<'_>) -> Result<(Elem, u32), Undefined> {
    let imm = l.bits(20, 16);
    let size = imm.trailing_zeros();
    if size > 3 { Err(Undefined) } else { Ok((Elem::from_log2(size), imm >> (size + 1))) }
}

/// DUP (element), vector.
pub(crate) fn dup_element(l: &mut Lower<'_>) -> Lowered {
    let (e, index) = imm5(l)?;
    l.arrangement(Form::Vector, e.log2(), BHSD)?;
    let n = l.vn();
    let r = l.vec(VecOp::Dup { e, q: l.q() }, index, [n]);
    l.set_vd(r)
}

/// DUP (element), scalar.
pub(crate) fn dup_scalar(l: &mut Lower<'_>) -> Lowered {
    let (e, index) = imm5(l)?;
    let n = l.vn();
    let x = l.b.push(Op::VLane(e as u8, index as u8, n));
    let r = l.b.push(Op::VFromInt(x));
    l.set_vd(r)
}

/// DUP (general).
pub(crate) fn dup_general(l: &mut Lower<'_>) -> Lowered {
    let (e, _) = imm5(l)?;
    l.arrangement(Form::Vector, e.log2(), BHSD)?;
    let n = l.rn();
    let n = l.b.x(Ty::I64, n);
    let r = l.b.push(Op::VDup(e as u8, if l.q() { 16 } else { 8 }, n));
    l.set_vd(r)
}

/// INS (general).
pub(crate) fn ins_general(l: &mut Lower<'_>) -> Lowered {
    let (e, index) = imm5(l)?;
    let (d, n) = (l.rd(), l.rn());
    let (d, n) = (l.b.v(d), l.b.x(Ty::I64, n));
    let r = l.b.push(Op::VSetLane(e as u8, index as u8, d, n));
    l.set_vd(r)
}

/// INS (element).
pub(crate) fn ins_element(l: &mut Lower<'_>) -> Lowered {
    let (e, index) = imm5(l)?;
    let from = l.bits(14, 11) >> e.log2();
    let [d, n] = l.dn();
    let x = l.b.push(Op::VLane(e as u8, from as u8, n));
    let r = l.b.push(Op::VSetLane(e as u8, index as u8, d, x));
    l.set_vd(r)
}

/// SMOV to W (bytes, halfwords) or X (also words).
pub(crate) fn smov(l: &mut Lower<'_>) -> Lowered {
    let (e, index) = imm5(l)?;
    let to = if l.q() { Ty::I64 } else { Ty::I32 };
    if e.bits() >= if l.q() { 64 } else { 32 } {
        return Err(Undefined);
    }
    let n = l.vn();
    let x = l.b.push(Op::VLane(e as u8, index as u8, n));
    let x = l.b.sext(e.bits() as u8, to, x);
    let d = l.rd();
    l.b.set_x(d, x);
    Ok(Flow::Next)
}

/// UMOV to W (bytes to words) or X (doublewords).
pub(crate) fn umov(l: &mut Lower<'_>) -> Lowered {
    let (e, index) = imm5(l)?;
    if (e == Elem::D) != l.q() {
        return Err(Undefined);
    }
    let n = l.vn();
    let x = l.b.push(Op::VLane(e as u8, index as u8, n));
    let d = l.rd();
    l.b.set_x(d, x);
    Ok(Flow::Next)
}

/// ZIP, UZP, TRN.
pub(crate) fn permute(l: &mut Lower<'_>, op: PermuteOp) -> Lowered {
    let e = l.elem(Form::Vector, BHSD)?;
    let nm = l.nm();
    let r = l.vec(VecOp::Permute { op, e, q: l.q() }, 0, nm);
    l.set_vd(r)
}

/// EXT.
pub(crate) fn ext(l: &mut Lower<'_>) -> Lowered {
    let at = l.bits(14, 11);
    if !l.q() && at >= 8 {
        return Err(Undefined);
    }
    let nm = l.nm();
    let r = l.vec(VecOp::Extract { q: l.q() }, at, nm);
    l.set_vd(r)
}

/// TBL (what no register of the table has is zero), TBX (it stays as in Vd): one step per register of the table.
pub(crate) fn table(l: &mut Lower<'_>, keep: bool) -> Lowered {
    let (first, count) = (l.rn(), l.bits(14, 13) + 1);
    let (d, m) = (l.rd(), l.rm());
    let m = l.b.v(m);
    let mut r = if keep { l.b.v(d) } else { Val::NONE };
    for i in 0..count {
        let t = l.b.v((first + i) % 32);
        r = l.vec(VecOp::Table { q: l.q() }, 16 * i, [t, m, r]);
    }
    l.set_vd(r)
}

/// What a modified immediate is for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum ImmUse {
    /// MOVI.
    Move,
    /// MVNI.
    MoveNot,
    /// ORR.
    Or,
    /// BIC.
    Clear,
}

/// AdvSIMDExpandImm, but for the floating-point forms: the 64 bits that fill the vector.
fn expand(op: u32, cmode: u32, imm8: u64) -> u64 {
    const BYTES: u64 = 0x0101_0101_0101_0101;
    const HALVES: u64 = 0x0001_0001_0001_0001;
    const WORDS: u64 = 0x0000_0001_0000_0001;
    match cmode {
        0..=7 => (imm8 << (8 * (cmode >> 1))) * WORDS,
        8..=11 => (imm8 << (8 * (cmode >> 1 & 1))) * HALVES,
        12 => (imm8 << 8 | 0xff) * WORDS,
        13 => (imm8 << 16 | 0xffff) * WORDS,
        _ if op == 0 => imm8 * BYTES,
        _ => (0..8).filter(|i| imm8 >> i & 1 != 0).fold(0, |v, i| v | 0xff << (8 * i)),
    }
}

/// MOVI, MVNI, ORR, BIC (vector, immediate).
pub(crate) fn immediate(l: &mut Lower<'_>, what: ImmUse) -> Lowered {
    let imm8 = u64::from(l.bits(18, 16) << 5 | l.bits(9, 5));
    let imm = expand(l.bits(29, 29), l.bits(15, 12), imm8);
    let value = if what == ImmUse::MoveNot { !imm } else { imm };
    let c = l.b.c64(value);
    // A doubleword MOVI with Q = 0 is a scalar of 64 bits: the same.
    let v = l.b.push(Op::VDup(3, if l.q() { 16 } else { 8 }, c));
    let d = l.rd();
    let r = match what {
        ImmUse::Move | ImmUse::MoveNot => v,
        ImmUse::Or | ImmUse::Clear => {
            let d = l.b.v(d);
            let op = if what == ImmUse::Or { LogicOp::Or } else { LogicOp::AndNot };
            l.logic(op, [d, v])
        }
    };
    l.set_vd(r)
}

#[cfg(test)]
mod tests {
    use super::expand;

    #[test]
    fn immediates_of_the_manual() {
        assert_eq!(expand(0, 0, 0xab), 0x0000_00ab_0000_00ab);
        assert_eq!(expand(0, 6, 0xab), 0xab00_0000_ab00_0000);
        assert_eq!(expand(0, 10, 0xab), 0xab00_ab00_ab00_ab00);
        assert_eq!(expand(0, 12, 0xab), 0x0000_abff_0000_abff);
        assert_eq!(expand(0, 13, 0xab), 0x00ab_ffff_00ab_ffff);
        assert_eq!(expand(0, 14, 0xab), 0xabab_abab_abab_abab);
        assert_eq!(expand(1, 14, 0xa5), 0xff00_ff00_00ff_00ff);
    }
}

//! What the lowerings of AdvSIMD share: sizes, widths, and steps of vector operations.

use super::{Lower, Lowered, Undefined};
use crate::ir::{Op, Val};
use crate::simd::{Elem, LaneOp, LogicOp, PermuteOp, VecOp};

/// Vector or scalar form of an instruction.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Form {
    /// Q (bit 30) says whether all 128 bits are used.
    Vector,
    /// One element in the low bits of the register.
    Scalar,
}

/// The element sizes that an instruction has, as a set of bits 0 (B) to 3 (D).
pub(crate) type Sizes = u32;
/// Bytes only.
pub(crate) const B: Sizes = 1;
/// Doublewords only.
pub(crate) const D: Sizes = 8;
/// Halfwords and words.
pub(crate) const HS: Sizes = 6;
/// All but doublewords.
pub(crate) const BHS: Sizes = 7;
/// All.
pub(crate) const BHSD: Sizes = 15;

impl Lower<'_> {
    /// Q: the instruction works on 128-bit vectors.
    pub(crate) const fn q(&self) -> bool {
        self.bit(30)
    }

    /// The element size in bits 23:22, if it is one of `sizes`. A vector of one doubleword is not allocated.
    pub(crate) const fn elem(&self, form: Form, sizes: Sizes) -> Result<Elem, Undefined> {
        self.arrangement(form, self.bits(23, 22), sizes)
    }

    /// As [`Lower::elem`], for a size found elsewhere.
    pub(crate) const fn arrangement(&self, form: Form, size: u32, sizes: Sizes) -> Result<Elem, Undefined> {
        let one_doubleword = matches!(form, Form::Vector) && size == 3 && !self.q();
        if size > 3 || sizes >> size & 1 == 0 || one_doubleword {
            return Err(Undefined);
        }
        Ok(Elem::from_log2(size))
    }

    /// A vector operation with up to three operands.
    pub(crate) fn vec<const N: usize>(&mut self, op: VecOp, imm: u32, operands: [Val; N]) -> Val {
        let mut args = [Val::NONE; 3];
        for (a, v) in args.iter_mut().zip(operands) {
            *a = v;
        }
        self.b.push(Op::Vec { op, imm, args })
    }

    /// A lane-wise operation in the instruction's form. A scalar is a vector whose other elements are zero, before (so
    /// that they do not saturate) and after.
    pub(crate) fn lane<const N: usize>(
        &mut self,
        form: Form,
        op: LaneOp,
        e: Elem,
        imm: u32,
        operands: [Val; N],
    ) -> Val {
        match form {
            Form::Vector => self.vec(VecOp::Lane { op, e, q: self.q() }, imm, operands),
            Form::Scalar if e == Elem::D => self.vec(VecOp::Lane { op, e, q: false }, imm, operands),
            Form::Scalar => {
                let operands = operands.map(|v| self.low(e, v));
                let r = self.vec(VecOp::Lane { op, e, q: false }, imm, operands);
                self.low(e, r)
            }
        }
    }

    /// A lane-wise operation on all 128 bits, whatever Q is: the middle of a long or narrowing instruction.
    pub(crate) fn full<const N: usize>(&mut self, op: LaneOp, e: Elem, imm: u32, operands: [Val; N]) -> Val {
        self.vec(VecOp::Lane { op, e, q: true }, imm, operands)
    }

    /// A bitwise operation.
    pub(crate) fn logic<const N: usize>(&mut self, op: LogicOp, operands: [Val; N]) -> Val {
        self.vec(VecOp::Logic { op, q: self.q() }, 0, operands)
    }

    /// The lowest element, the rest zero.
    pub(crate) fn low(&mut self, e: Elem, v: Val) -> Val {
        self.b.push(Op::VLow(e.bytes() as u8, v))
    }

    /// Writes what a narrowing instruction made (in the low half) to the half of Vd that Q names.
    pub(crate) fn set_vd_half(&mut self, v: Val) -> Lowered {
        if !self.q() {
            return self.set_vd(v);
        }
        let rd = self.rd();
        let d = self.b.v(rd);
        let r = self.vec(VecOp::Permute { op: PermuteOp::Zip1, e: Elem::D, q: true }, 0, [d, v]);
        self.set_vd(r)
    }

    /// Vd, Vn, Vm.
    pub(crate) fn dnm(&mut self) -> [Val; 3] {
        let (d, [n, m]) = (self.rd(), self.nm());
        [self.b.v(d), n, m]
    }

    /// Vn, Vm.
    pub(crate) fn nm(&mut self) -> [Val; 2] {
        let (n, m) = (self.rn(), self.rm());
        [self.b.v(n), self.b.v(m)]
    }

    /// Vd, Vn.
    pub(crate) fn dn(&mut self) -> [Val; 2] {
        let (d, n) = (self.rd(), self.rn());
        [self.b.v(d), self.b.v(n)]
    }
}

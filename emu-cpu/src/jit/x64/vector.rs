//! Moves between, into and out of vector slots.

use dynasmrt::{DynasmApi, DynasmLabelApi};

use super::{Emitter, RAX, RCX, e, v};
use crate::interp::uop::Uop;

/// Where vector slots live. Code for an operation may use xmm0 to xmm4 as it likes; the others belong to slots.
impl Emitter<'_> {
    /// The register of a vector slot, if it has one.
    pub(super) fn vassigned(&self, slot: u8) -> Option<u8> {
        self.assignment.vector(slot)
    }

    /// All of a slot in a register, which must not be changed: its own, or `scratch`. Keeps the host's flags.
    pub(super) fn vread(&mut self, slot: u8, scratch: u8) -> u8 {
        if let Some(r) = self.vassigned(slot) {
            return r;
        }
        self.vload(scratch, slot);
        scratch
    }

    /// A copy of a slot in this register. Keeps the host's flags.
    pub(super) fn vload(&mut self, r: u8, slot: u8) {
        match self.vassigned(slot) {
            Some(p) if p == r => {}
            Some(p) if self.host.avx => e!(self; vmovaps Rx(r), Rx(p)),
            Some(p) => e!(self; movaps Rx(r), Rx(p)),
            None if self.host.avx => e!(self; vmovaps Rx(r), [r15 + v(slot)]),
            None => e!(self; movaps Rx(r), [r15 + v(slot)]),
        }
    }

    /// Where to compute a result for a slot: its register, or `scratch`. What is written there is in the slot at once, so
    /// not for an operation that can still go to a slow path which reads the slot as an operand.
    pub(super) fn vresult(&self, slot: u8, scratch: u8) -> u8 {
        self.vassigned(slot).unwrap_or(scratch)
    }

    /// Puts a register into a slot. Keeps the host's flags.
    pub(super) fn vstore(&mut self, slot: u8, r: u8) {
        match self.vassigned(slot) {
            Some(p) if p == r => {}
            Some(p) if self.host.avx => e!(self; vmovaps Rx(p), Rx(r)),
            Some(p) => e!(self; movaps Rx(p), Rx(r)),
            None if self.host.avx => e!(self; vmovaps [r15 + v(slot)], Rx(r)),
            None => e!(self; movaps [r15 + v(slot)], Rx(r)),
        }
    }
}

impl Emitter<'_> {
    /// Vector operations; false if it is something else, or one that has no code in line.
    pub(super) fn vector(&mut self, uop: Uop) -> bool {
        match uop {
            Uop::VMov { d, a } => e!(self; movaps xmm0, [r15 + v(a)] ; movaps [r15 + v(d)], xmm0),
            Uop::VFromInt { d, a } => {
                let a = self.read(a, RAX);
                e!(self; movq xmm0, Rq(a) ; movaps [r15 + v(d)], xmm0);
            }
            Uop::VFromPair { d, a, b } => {
                let (a, b) = (self.read(a, RAX), self.read(b, RCX));
                e!(self; movq xmm0, Rq(a) ; pinsrq xmm0, Rq(b), 1 ; movaps [r15 + v(d)], xmm0);
            }
            Uop::VLow { d, a, bytes: 8 } => e!(self; movq xmm0, [r15 + v(a)] ; movaps [r15 + v(d)], xmm0),
            Uop::VLow { d, a, bytes: 4 } => e!(self; movd xmm0, [r15 + v(a)] ; movaps [r15 + v(d)], xmm0),
            Uop::VLane { d, a, esize, lane } => {
                let r = self.result(d, RAX);
                let bytes = 1i32 << (esize & 3);
                let at = v(a) + ((bytes * i32::from(lane)) & 15);
                match bytes {
                    1 => e!(self; movzx Rd(r), BYTE [r15 + at]),
                    2 => e!(self; movzx Rd(r), WORD [r15 + at]),
                    4 => e!(self; mov Rd(r), [r15 + at]),
                    _ => e!(self; mov Rq(r), [r15 + at]),
                }
                self.store(d, r);
            }
            Uop::VSetLane { d, a, b, esize, lane } => {
                let b = self.read(b, RAX);
                let lane = lane as i8;
                e!(self; movaps xmm0, [r15 + v(a)]);
                match esize & 3 {
                    0 => e!(self; pinsrb xmm0, Rd(b), lane & 15),
                    1 => e!(self; pinsrw xmm0, Rd(b), lane & 7),
                    2 => e!(self; pinsrd xmm0, Rd(b), lane & 3),
                    _ => e!(self; pinsrq xmm0, Rq(b), lane & 1),
                }
                e!(self; movaps [r15 + v(d)], xmm0);
            }
            Uop::VDup { d, a, esize, bytes } => {
                let a = self.read(a, RAX);
                e!(self; movq xmm0, Rq(a));
                match esize & 3 {
                    0 => e!(self; pxor xmm1, xmm1 ; pshufb xmm0, xmm1),
                    1 => e!(self; pshuflw xmm0, xmm0, 0 ; punpcklqdq xmm0, xmm0),
                    2 => e!(self; pshufd xmm0, xmm0, 0),
                    _ => e!(self; punpcklqdq xmm0, xmm0),
                }
                if bytes == 8 {
                    e!(self; movq xmm0, xmm0);
                }
                e!(self; movaps [r15 + v(d)], xmm0);
            }
            Uop::VSelect { d, c, a, b } => {
                let c = self.read(c, RAX);
                e!(self
                    ; movaps xmm0, [r15 + v(a)]
                    ; test Rq(c), Rq(c)
                    ; jne >keep
                    ; movaps xmm0, [r15 + v(b)]
                    ; keep:
                    ; movaps [r15 + v(d)], xmm0
                );
            }
            _ => return false,
        }
        true
    }
}

//! Loads and stores of pairs (Arm ARM, C4.1.95).
//!
//! A pair of up to 16 bytes in all is one access whose elements are its halves: one translation, and the fault address and
//! FEAT_LSE2's atomicity come out right. Only pairs of Q registers are two accesses.

use super::{Flow, Lower, Lowered, Undefined};
use crate::ir::{Acc, MemSize, Op, Ty, Val};

/// What the halves are.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Half {
    W,
    /// LDPSW: words, sign-extended.
    Sw,
    X,
    /// A SIMD&FP register of this size.
    V(MemSize),
}

impl Half {
    const fn size(self) -> MemSize {
        match self {
            Self::W | Self::Sw => MemSize::B4,
            Self::X => MemSize::B8,
            Self::V(size) => size,
        }
    }
}

fn half(l: &Lower<'_>) -> Result<Half, Undefined> {
    Ok(match (l.bits(31, 30), l.bit(26), l.bit(22)) {
        (0, false, _) => Half::W,
        (1, false, true) => Half::Sw,
        (2, false, _) => Half::X,
        (opc @ 0..=2, true, _) => Half::V(MemSize::from_log2(opc + 2)),
        _ => return Err(Undefined),
    })
}

/// The base and the base moved by the scaled offset.
fn addresses(l: &mut Lower<'_>, half: Half) -> (Val, Val) {
    let base = l.base();
    let offset = l.signed(21, 15) << half.size() as u32;
    (base, l.b.add_const(base, offset))
}

/// LDP, STP, LDPSW, LDNP, STNP with an offset.
pub(crate) fn offset(l: &mut Lower<'_>) -> Lowered {
    let half = half(l)?;
    let (_, addr) = addresses(l, half);
    transfer(l, half, addr, None)
}

/// The same, pre- and post-index.
pub(crate) fn indexed(l: &mut Lower<'_>) -> Lowered {
    let half = half(l)?;
    let (base, moved) = addresses(l, half);
    transfer(l, half, if l.bit(24) { moved } else { base }, Some(moved))
}

/// The transfer, then the writeback. CONSTRAINED UNPREDICTABLE cases: with Rt = Rt2 a load leaves the second value; with
/// the base among the loaded registers the writeback is suppressed; a store stores values from before the writeback.
fn transfer(l: &mut Lower<'_>, half: Half, addr: Val, writeback: Option<Val>) -> Lowered {
    let acc = Acc { elem_align: Some(half.size()), ..l.base_acc() };
    let loaded = if l.bit(22) {
        Some(load(l, half, acc, addr))
    } else {
        store(l, half, acc, addr);
        None
    };
    if let Some(moved) = writeback {
        l.b.set_x_or_sp(l.rn(), moved);
    }
    if let Some([first, second]) = loaded {
        for (r, v) in [(l.rd(), first), (l.ra(), second)] {
            if matches!(half, Half::V(_)) { l.b.set_v(r, v) } else { l.b.set_x(r, v) }
        }
    }
    Ok(Flow::Next)
}

fn load(l: &mut Lower<'_>, half: Half, acc: Acc, addr: Val) -> [Val; 2] {
    match half {
        Half::W | Half::Sw => {
            let signed = half == Half::Sw;
            let both = l.b.load(Ty::I64, MemSize::B8, false, acc, addr);
            let first = l.b.push(Op::Ext { bits: 32, signed, to: Ty::I64, a: both });
            [first, l.b.push(Op::Bfx { ty: Ty::I64, signed, lsb: 32, width: 32, a: both })]
        }
        Half::X => {
            let both = l.b.load(Ty::V, MemSize::B16, false, acc, addr);
            [0, 1].map(|lane| l.b.push(Op::VLane(3, lane, both)))
        }
        Half::V(MemSize::B16) => {
            let first = l.b.load(Ty::V, MemSize::B16, false, acc, addr);
            let next = l.b.add_const(addr, 16);
            [first, l.b.load(Ty::V, MemSize::B16, false, acc, next)]
        }
        Half::V(size) => {
            let esize = size as u8;
            let both = l.b.load(Ty::V, MemSize::from_log2(size as u32 + 1), false, acc, addr);
            let first = l.b.push(Op::VLow(1 << esize, both));
            let second = l.b.push(Op::VLane(esize, 1, both));
            [first, l.b.push(Op::VFromInt(second))]
        }
    }
}

fn store(l: &mut Lower<'_>, half: Half, acc: Acc, addr: Val) {
    let (rt, rt2) = (l.rd(), l.ra());
    match half {
        Half::W | Half::Sw => {
            let both = l.word_pair(rt, rt2);
            l.b.store(MemSize::B8, acc, addr, both);
        }
        Half::X => {
            let both = l.doubleword_pair(rt, rt2);
            l.b.store(MemSize::B16, acc, addr, both);
        }
        Half::V(MemSize::B16) => {
            let (first, second) = (l.b.v(rt), l.b.v(rt2));
            l.b.store(MemSize::B16, acc, addr, first);
            let next = l.b.add_const(addr, 16);
            l.b.store(MemSize::B16, acc, next, second);
        }
        Half::V(size) => {
            let esize = size as u8;
            let (first, second) = (l.b.v(rt), l.b.v(rt2));
            let second = l.b.push(Op::VLane(esize, 0, second));
            let both = l.b.push(Op::VSetLane(esize, 1, first, second));
            l.b.store(MemSize::from_log2(size as u32 + 1), acc, addr, both);
        }
    }
}

impl Lower<'_> {
    /// Two W registers as an I64, the first in the low half, as they lie in memory.
    pub(super) fn word_pair(&mut self, first: u32, second: u32) -> Val {
        let dst = self.b.x(Ty::I64, first);
        let src = self.b.x(Ty::I64, second);
        self.b.push(Op::Bfi { ty: Ty::I64, lsb: 32, width: 32, dst, src })
    }
    /// Two X registers as a vector.
    pub(super) fn doubleword_pair(&mut self, first: u32, second: u32) -> Val {
        let (lo, hi) = (self.b.x(Ty::I64, first), self.b.x(Ty::I64, second));
        self.b.push(Op::VFromPair(lo, hi))
    }
    /// Writes the halves of what [`Self::word_pair`] or [`Self::doubleword_pair`] makes back to two registers.
    pub(super) fn set_pair(&mut self, doublewords: bool, first: u32, second: u32, both: Val) {
        let (lo, hi) = if doublewords {
            (self.b.push(Op::VLane(3, 0, both)), self.b.push(Op::VLane(3, 1, both)))
        } else {
            let lo = self.b.zext(32, Ty::I64, both);
            (lo, self.b.push(Op::Bfx { ty: Ty::I64, signed: false, lsb: 32, width: 32, a: both }))
        };
        self.b.set_x(first, lo);
        self.b.set_x(second, hi);
    }
}

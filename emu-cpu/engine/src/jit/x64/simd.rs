//! Integer vector operations, by the host's: what works on corresponding elements.

use dynasmrt::{DynasmApi, DynasmLabelApi};
use emu_a64::simd::{Elem, LaneOp, LogicOp, VecOp};

use super::sse::{
    self, ADD, ANDPS, EQUAL, GREATER, Insn, MAX, MAX_UNSIGNED, MEAN_UNSIGNED, MIN, MIN_UNSIGNED, PADDB, PAND,
    PANDN, PCMPEQB, POR, PXOR, SUB, Shift, Src,
};
use super::{Emitter, RAX, asm, constant, state};
use crate::jit::state::JitState;

/// Halfwords: high halves of signed and unsigned products, and of doubled ones with rounding.
pub(super) const PMULHW: Insn = Insn::float(0xe5, 1);
pub(super) const PMULHUW: Insn = Insn::float(0xe4, 1);

/// The sign of each element.
fn signs(e: Elem) -> Src {
    Src::Mem(match e {
        Elem::B => constant!(sign8),
        Elem::H => constant!(sign16),
        Elem::S => constant!(sign32),
        Elem::D => constant!(sign64),
    })
}

const ONES: Src = Src::Mem(constant!(ones));

impl Emitter<'_> {
    /// An integer vector operation; false, with nothing emitted that matters, if it has no code in line.
    pub(super) fn simd(&mut self, op: VecOp, imm: u32, s: [u8; 4]) -> bool {
        let [d, a, b, c] = s;
        match op {
            VecOp::Logic { op, q } => {
                let t = self.logic(op, [d, a, b, c]);
                // Zeros stay zeros in most of them.
                let keeps = !matches!(op, LogicOp::OrNot | LogicOp::Not);
                let third = op != LogicOp::Select || self.vfits(c, 8);
                self.finish(d, t, q, keeps && self.vfits(a, 8) && self.vfits(b, 8) && third);
                true
            }
            VecOp::Lane { op, e, q } => self.lane(op, e, q, imm, s),
            _ => self.reshape(op, imm, s),
        }
    }

    /// A result, or its low half, to a slot; `zeros`: its high half is zero.
    pub(super) fn finish(&mut self, d: u8, t: u8, q: bool, zeros: bool) {
        match (q, zeros) {
            (true, _) => self.vstore(d, t),
            (false, true) => self.vstore_sized(d, t, 8),
            (false, false) => self.vstore_low(d, t, 8),
        }
    }

    /// a op b in one instruction.
    pub(super) fn simple(&mut self, insn: Insn, d: u8, a: u8, b: u8) -> u8 {
        let x = self.vread(a, 0);
        let t = self.vresult(d, &[], 0);
        let y = self.vsrc(b);
        self.op3(insn, t, x, y);
        t
    }

    fn logic(&mut self, op: LogicOp, s: [u8; 4]) -> u8 {
        let [d, a, b, c] = s;
        let t = self.vresult(d, &[], 0);
        match op {
            LogicOp::And => return self.simple(PAND, d, a, b),
            LogicOp::Or => return self.simple(POR, d, a, b),
            LogicOp::Xor => return self.simple(PXOR, d, a, b),
            // The host negates the first operand.
            LogicOp::AndNot => return self.simple(PANDN, d, b, a),
            LogicOp::OrNot => {
                let x = self.vread(b, 0);
                self.op3(PXOR, 1, x, ONES);
                let a = self.vsrc(a);
                self.op3(POR, t, 1, a);
            }
            LogicOp::Not => {
                let x = self.vread(a, 0);
                self.op3(PXOR, t, x, ONES);
            }
            LogicOp::Select => {
                let x = self.vread(a, 0);
                let (b, c) = (self.vsrc(b), self.vsrc(c));
                self.op3(PAND, 1, x, b);
                self.op3(PANDN, 2, x, c);
                self.op3(POR, t, 1, Src::Reg(2));
            }
        }
        t
    }

    /// The same word in all elements of a register. Changes eax.
    pub(super) fn splat(&mut self, r: u8, word: u32) {
        asm!(self; mov eax, word as i32 ; movd Rx(r), eax);
        self.op2i(sse::PSHUFD, r, Src::Reg(r), 0);
    }

    /// The same element in all elements of a register. Changes rax.
    fn splat_elem(&mut self, r: u8, e: Elem, value: u64) {
        match e {
            Elem::B => self.splat(r, (value as u32 & 0xff) * 0x0101_0101),
            Elem::H => self.splat(r, (value as u32 & 0xffff) * 0x1_0001),
            Elem::S => self.splat(r, value as u32),
            Elem::D => {
                asm!(self; mov rax, QWORD value as i64 ; movq Rx(r), rax);
                self.op3(sse::PUNPCKLQDQ, r, r, Src::Reg(r));
            }
        }
    }

    /// An operation on corresponding elements. The low half of the result is right in any case.
    fn lane(&mut self, op: LaneOp, e: Elem, q: bool, imm: u32, s: [u8; 4]) -> bool {
        use LaneOp as L;
        let [d, a, b, _] = s;
        let n = e.log2();
        let narrow = self.vfits(a, 8) && self.vfits(b, 8);
        let family = match op {
            L::Add => Self::of(ADD, n),
            L::Sub => Self::of(SUB, n),
            L::Mul => Self::of(sse::MUL, n),
            L::Max(true) => Self::of(MAX, n),
            L::Max(false) => Self::of(MAX_UNSIGNED, n),
            L::Min(true) => Self::of(MIN, n),
            L::Min(false) => Self::of(MIN_UNSIGNED, n),
            L::Eq => Self::of(EQUAL, n),
            L::Gt(true) => Self::of(GREATER, n),
            L::RoundHalfAdd(false) => Self::of(MEAN_UNSIGNED, n),
            _ => None,
        };
        if let Some(insn) = family {
            let t = self.simple(insn, d, a, b);
            let keeps = !matches!(op, L::Eq);
            self.finish(d, t, q, keeps && narrow);
            return true;
        }
        let t = match op {
            L::ShlImm | L::ShrImm { .. } | L::ShlInsert | L::ShrInsert | L::RorImm => {
                if matches!(op, L::ShlImm | L::ShrImm { signed: false, round: false }) {
                    let t = self.vresult(d, &[], 0);
                    let x = self.vread(a, 0);
                    self.shift_logical(e, op != L::ShlImm, t, x, imm.min(e.bits()) as u8);
                    t
                } else if self.shift_immediate(op, e, imm, [a, b]) {
                    0
                } else {
                    return false;
                }
            }
            L::SatAdd(_) | L::SatSub(_) if matches!(e, Elem::B | Elem::H) => {
                self.saturating(op, e, q, [a, b]);
                0
            }
            L::SatAdd(_) | L::SatSub(_) if e == Elem::S => {
                self.saturating_words(op, q, [a, b]);
                0
            }
            L::SatDoubleMulHigh { round } if e == Elem::H => {
                self.double_multiply_high(round, q, [a, b]);
                0
            }
            L::Abs if e != Elem::D => {
                let t = self.vresult(d, &[], 0);
                let a = self.vsrc(a);
                let Some(insn) = Self::of(sse::ABS, n) else { return false };
                self.op2(insn, t, a);
                t
            }
            L::Abs => {
                let x = self.vread(a, 0);
                self.clear(1);
                self.op3(sse::PCMPGTQ, 1, 1, Src::Reg(x));
                self.op3(PXOR, 0, x, Src::Reg(1));
                self.op3(sse::PSUBQ, 0, 0, Src::Reg(1));
                0
            }
            L::Neg => {
                let Some(insn) = Self::of(SUB, n) else { return false };
                self.clear(1);
                let t = self.vresult(d, &[], 0);
                let a = self.vsrc(a);
                self.op3(insn, t, 1, a);
                t
            }
            L::Popcount if e == Elem::B => self.popcount(d, a),
            _ => {
                let x = self.vread(a, 0);
                let y = self.vread(b, 1);
                if !self.lane_pair(op, e, x, y) {
                    return false;
                }
                0
            }
        };
        self.finish(d, t, q, false);
        true
    }

    /// Operations on elements of xmm `x` (a; may be xmm0) and xmm `y` (b; may be xmm1) in several instructions, to xmm0.
    fn lane_pair(&mut self, op: LaneOp, e: Elem, x: u8, y: u8) -> bool {
        use LaneOp as L;
        let n = e.log2();
        let (Some(add), Some(sub)) = (Self::of(ADD, n), Self::of(SUB, n)) else { return false };
        match op {
            L::Mul if e == Elem::B => {
                // Odd bytes in the high halves of products, even ones in the low halves.
                self.op3(sse::PMULLW, 2, x, Src::Reg(y));
                self.op3(PAND, 2, 2, Src::Mem(constant!(low_bytes)));
                self.half_shift(true, 3, x, 8);
                self.half_shift(true, 1, y, 8);
                self.op3(sse::PMULLW, 0, 3, Src::Reg(1));
                self.half_shift(false, 0, 0, 8);
                self.op3(POR, 0, 0, Src::Reg(2));
            }
            L::AbsDiff(false) if matches!(e, Elem::B | Elem::H) => {
                let Some(sub) = Self::of(sse::SAT_SUB_UNSIGNED, n) else { return false };
                self.op3(sub, 2, x, Src::Reg(y));
                self.op3(sub, 0, y, Src::Reg(x));
                self.op3(POR, 0, 0, Src::Reg(2));
            }
            L::AbsDiff(signed) => {
                let (max, min) = if signed { (MAX, MIN) } else { (MAX_UNSIGNED, MIN_UNSIGNED) };
                let (Some(max), Some(min)) = (Self::of(max, n), Self::of(min, n)) else { return false };
                self.op3(max, 2, x, Src::Reg(y));
                self.op3(min, 3, x, Src::Reg(y));
                self.op3(sub, 0, 2, Src::Reg(3));
            }
            L::HalfAdd(signed) | L::RoundHalfAdd(signed) | L::HalfSub(signed) if e == Elem::B => {
                // The host has the rounded mean of unsigned bytes. Signed ones are moved to that range and back.
                let (mut x, mut y) = (x, y);
                if signed {
                    self.op3(PXOR, 2, x, signs(e));
                    self.op3(PXOR, 3, y, signs(e));
                    (x, y) = (2, 3);
                }
                if let L::HalfSub(_) = op {
                    // a + (255 - b) + 1 is a - b + 256.
                    self.op3(PXOR, 1, y, ONES);
                    self.op3(sse::PAVGB, 0, x, Src::Reg(1));
                    self.op3(PXOR, 0, 0, signs(e));
                    return true;
                }
                if let L::HalfAdd(_) = op {
                    // Less the bit that rounding added.
                    let odd = if signed { 1 } else { 2 };
                    self.op3(PXOR, odd, x, Src::Reg(y));
                    self.op3(PAND, odd, odd, Src::Mem(constant!(ones8)));
                    self.op3(sse::PAVGB, 0, x, Src::Reg(y));
                    self.op3(sse::PSUBB, 0, 0, Src::Reg(odd));
                } else {
                    self.op3(sse::PAVGB, 0, x, Src::Reg(y));
                }
                if signed {
                    self.op3(PXOR, 0, 0, signs(e));
                }
            }
            L::HalfAdd(signed) | L::RoundHalfAdd(signed) | L::HalfSub(signed) => {
                let right = if signed { Shift::right_signed(n) } else { Shift::right(n) };
                let Some(right) = right else { return false };
                self.op3(PXOR, 2, x, Src::Reg(y));
                self.shift(right, 2, 2, 1);
                match op {
                    L::HalfAdd(_) => {
                        self.op3(PAND, 0, x, Src::Reg(y));
                        self.op3(add, 0, 0, Src::Reg(2));
                    }
                    L::RoundHalfAdd(_) => {
                        self.op3(POR, 0, x, Src::Reg(y));
                        self.op3(sub, 0, 0, Src::Reg(2));
                    }
                    _ => {
                        self.op3(PANDN, 0, x, Src::Reg(y));
                        self.op3(sub, 0, 2, Src::Reg(0));
                    }
                }
            }
            L::Ge(true) => {
                let Some(greater) = Self::of(GREATER, n) else { return false };
                // Not b > a.
                self.op3(greater, 0, y, Src::Reg(x));
                self.op3(PXOR, 0, 0, ONES);
            }
            L::Ge(false) | L::Gt(false) if e != Elem::D => {
                // The greater of both is a, or is not b.
                let (Some(max), Some(equal)) = (Self::of(MAX_UNSIGNED, n), Self::of(EQUAL, n)) else {
                    return false;
                };
                self.op3(max, 2, x, Src::Reg(y));
                if op == L::Ge(false) {
                    self.op3(equal, 0, 2, Src::Reg(x));
                } else {
                    self.op3(equal, 0, 2, Src::Reg(y));
                    self.op3(PXOR, 0, 0, ONES);
                }
            }
            L::Ge(false) | L::Gt(false) => {
                self.op3(PXOR, 2, x, signs(e));
                self.op3(PXOR, 3, y, signs(e));
                if op == L::Gt(false) {
                    self.op3(sse::PCMPGTQ, 0, 2, Src::Reg(3));
                } else {
                    self.op3(sse::PCMPGTQ, 0, 3, Src::Reg(2));
                    self.op3(PXOR, 0, 0, ONES);
                }
            }
            L::Test => {
                let Some(equal) = Self::of(EQUAL, n) else { return false };
                self.op3(PAND, 0, x, Src::Reg(y));
                self.clear(1);
                self.op3(equal, 0, 0, Src::Reg(1));
                self.op3(PXOR, 0, 0, ONES);
            }
            _ => return false,
        }
        true
    }

    /// Halfwords shifted.
    fn half_shift(&mut self, right: bool, d: u8, a: u8, n: u8) {
        let shift = if right { Shift::right(1) } else { Shift::left(1) };
        if let Some(shift) = shift {
            self.shift(shift, d, a, n);
        }
    }

    /// d = a shifted logically; of bytes, too. Changes rax, xmm3.
    fn shift_logical(&mut self, e: Elem, right: bool, d: u8, a: u8, n: u8) {
        let by = if right { Shift::right(e.log2()) } else { Shift::left(e.log2()) };
        if let Some(by) = by {
            return self.shift(by, d, a, n);
        }
        self.half_shift(right, d, a, n);
        let kept = if n > 7 {
            0
        } else if right {
            0xff >> n
        } else {
            0xff << n & 0xff
        };
        self.splat_elem(3, e, kept);
        self.op3(PAND, d, d, Src::Reg(3));
    }

    /// Shifts by an immediate, to xmm0.
    fn shift_immediate(&mut self, op: LaneOp, e: Elem, imm: u32, s: [u8; 2]) -> bool {
        let [a, b] = s;
        let bits = e.bits();
        let n = imm.min(bits) as u8;
        let x = self.vread(a, 0);
        match op {
            LaneOp::ShlImm => self.shift_logical(e, false, 0, x, n),
            LaneOp::ShrImm { signed, round } => {
                if round {
                    // The last bit that goes out is added.
                    if n == 0 {
                        return false;
                    }
                    self.shift_logical(e, true, 2, x, n - 1);
                    self.splat_elem(1, e, 1);
                    self.op3(PAND, 2, 2, Src::Reg(1));
                }
                match (signed, Shift::right_signed(e.log2())) {
                    (false, _) => self.shift_logical(e, true, 0, x, n),
                    (true, Some(by)) => self.shift(by, 0, x, n),
                    (true, None) => {
                        // The sign comes down as a bit; the bits above it become as it is.
                        let n = n.min(bits as u8 - 1);
                        self.shift_logical(e, true, 0, x, n);
                        self.splat_elem(1, e, 1 << (bits - 1 - u32::from(n)));
                        self.op3(PXOR, 0, 0, Src::Reg(1));
                        let Some(sub) = Self::of(SUB, e.log2()) else { return false };
                        self.op3(sub, 0, 0, Src::Reg(1));
                    }
                }
                if round {
                    let Some(add) = Self::of(ADD, e.log2()) else { return false };
                    self.op3(add, 0, 0, Src::Reg(2));
                }
            }
            LaneOp::ShlInsert | LaneOp::ShrInsert => {
                let right = op == LaneOp::ShrInsert;
                self.shift_logical(e, right, 2, x, n);
                let all = u64::MAX >> (64 - bits);
                let shifted = match (right, u32::from(n) < bits) {
                    (_, false) => 0,
                    (true, _) => all >> n,
                    (false, _) => all << n & all,
                };
                self.splat_elem(1, e, shifted);
                let b = self.vsrc(b);
                self.op3(PANDN, 1, 1, b);
                self.op3(POR, 0, 2, Src::Reg(1));
            }
            _ => {
                let n = n % bits as u8;
                self.shift_logical(e, true, 1, x, n);
                self.shift_logical(e, false, 0, x, bits as u8 - n);
                self.op3(POR, 0, 0, Src::Reg(1));
            }
        }
        true
    }

    /// Notes FPSR.QC unless all bytes of xmm `mask` are ones, of its low half if not `q`. Changes eax.
    pub(super) fn saturated_unless(&mut self, mask: u8, q: bool) {
        let all = self.ops.new_dynamic_label();
        asm!(self; pmovmskb eax, Rx(mask));
        if q {
            asm!(self; cmp eax, 0xffff);
        } else {
            asm!(self; cmp al, -1);
        }
        asm!(self; je =>all ; mov DWORD [r15 + state!(saturated)], 1 ; =>all);
    }

    /// Saturating sums and differences of bytes and halfwords to xmm0: where they are not the plain ones, they saturated.
    fn saturating(&mut self, op: LaneOp, e: Elem, q: bool, s: [u8; 2]) {
        let [a, b] = s;
        let n = e.log2();
        let (saturating, plain) = match op {
            LaneOp::SatAdd(true) => (sse::SAT_ADD, ADD),
            LaneOp::SatAdd(false) => (sse::SAT_ADD_UNSIGNED, ADD),
            LaneOp::SatSub(true) => (sse::SAT_SUB, SUB),
            _ => (sse::SAT_SUB_UNSIGNED, SUB),
        };
        let (Some(saturating), Some(plain)) = (Self::of(saturating, n), Self::of(plain, n)) else { return };
        let x = self.vread(a, 0);
        let y = self.vsrc(b);
        self.op3(plain, 1, x, y);
        self.op3(saturating, 0, x, y);
        self.op3(PCMPEQB, 1, 1, Src::Reg(0));
        self.saturated_unless(1, q);
    }

    /// The same of words, which the host does not have.
    fn saturating_words(&mut self, op: LaneOp, q: bool, s: [u8; 2]) {
        let [a, b] = s;
        let x = self.vread(a, 0);
        let y = self.vread(b, 1);
        match op {
            LaneOp::SatAdd(false) => {
                // Less than an operand: all ones instead.
                self.op3(sse::PADDD, 2, x, Src::Reg(y));
                self.op3(sse::PMAXUD, 3, 2, Src::Reg(x));
                self.op3(sse::PCMPEQD, 3, 3, Src::Reg(2));
                self.op3(PXOR, 0, 3, ONES);
                self.op3(POR, 0, 0, Src::Reg(2));
            }
            LaneOp::SatSub(false) => {
                // The subtrahend is greater: zero instead.
                self.op3(sse::PMAXUD, 3, x, Src::Reg(y));
                self.op3(sse::PCMPEQD, 3, 3, Src::Reg(x));
                self.op3(sse::PSUBD, 0, x, Src::Reg(y));
                self.op3(PAND, 0, 0, Src::Reg(3));
            }
            _ => {
                // Overflow: the sign of the result is not that of a, though those of the operands are alike (for a sum) or
                // unlike (for a difference).
                let Some(sign) = Shift::right_signed(2) else { return };
                self.op3(PXOR, 3, x, Src::Reg(y));
                if op == LaneOp::SatAdd(true) {
                    self.op3(sse::PADDD, 2, x, Src::Reg(y));
                    self.op3(PXOR, 1, 2, Src::Reg(x));
                    self.op3(PANDN, 3, 3, Src::Reg(1));
                } else {
                    self.op3(sse::PSUBD, 2, x, Src::Reg(y));
                    self.op3(PXOR, 1, 2, Src::Reg(x));
                    self.op3(PAND, 3, 3, Src::Reg(1));
                }
                self.shift(sign, 3, 3, 31);
                // What replaces it: the greatest or least word, by the sign of the wrong result.
                self.shift(sign, 1, 2, 31);
                self.op3(PXOR, 1, 1, signs(Elem::S));
                self.op3(PAND, 1, 1, Src::Reg(3));
                self.op3(PANDN, 0, 3, Src::Reg(2));
                self.op3(POR, 0, 0, Src::Reg(1));
                self.op3(PXOR, 3, 3, ONES);
            }
        }
        self.saturated_unless(3, q);
    }

    /// SQDMULH, SQRDMULH of halfwords to xmm0. Only the product of the least halfword with itself saturates.
    fn double_multiply_high(&mut self, round: bool, q: bool, s: [u8; 2]) {
        const PMULHRSW: Insn = sse::map2(0x0b);
        let [a, b] = s;
        let x = self.vread(a, 0);
        let y = self.vread(b, 1);
        if round {
            self.op3(PMULHRSW, 2, x, Src::Reg(y));
        } else {
            self.op3(PMULHW, 2, x, Src::Reg(y));
            self.op3(sse::PMULLW, 3, x, Src::Reg(y));
            self.half_shift(false, 2, 2, 1);
            self.half_shift(true, 3, 3, 15);
            self.op3(POR, 2, 2, Src::Reg(3));
        }
        self.op3(sse::PCMPEQW, 1, 2, signs(Elem::H));
        self.op3(PXOR, 0, 2, Src::Reg(1));
        self.op3(PXOR, 1, 1, ONES);
        self.saturated_unless(1, q);
    }

    /// The number of ones in each byte.
    fn popcount(&mut self, d: u8, a: u8) -> u8 {
        const FIFTEEN: Src = Src::Mem(constant!(fifteen));
        let x = self.vread(a, 0);
        self.half_shift(true, 1, x, 4);
        self.op3(ANDPS, 1, 1, FIFTEEN);
        self.op3(ANDPS, 0, x, FIFTEEN);
        self.op2(sse::MOVAPS, 2, Src::Mem(constant!(ones_in)));
        self.op3(sse::PSHUFB, 3, 2, Src::Reg(0));
        self.op3(sse::PSHUFB, 2, 2, Src::Reg(1));
        let t = self.vresult(d, &[], 0);
        self.op3(PADDB, t, 2, Src::Reg(3));
        t
    }

    /// A word of a slot to eax.
    pub(super) fn low_word(&mut self, a: u8) {
        let x = self.vread(a, 0);
        self.move_to_general(RAX, x, false);
    }
}

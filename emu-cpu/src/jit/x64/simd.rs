//! Integer vector operations, by the host's.

use dynasmrt::DynasmApi;

use super::{Emitter, c, e, v};
use crate::simd::{CryptoOp, Elem, LaneOp, LogicOp, NarrowOp, PermuteOp, ReduceOp, VecOp};

/// An instruction for bytes, halfwords, words or doublewords, on xmm0 and xmm1.
macro_rules! by_elem {
    ($s:ident, $e:expr, $b:ident, $h:ident, $w:ident, $d:ident) => {
        by_elem!($s, $e, $b, $h, $w, $d, xmm0, xmm1)
    };
    ($s:ident, $e:expr, $b:ident, $h:ident, $w:ident, $d:ident, $x:tt, $y:tt) => {
        match $e {
            Elem::B => e!($s; $b $x, $y),
            Elem::H => e!($s; $h $x, $y),
            Elem::S => e!($s; $w $x, $y),
            Elem::D => e!($s; $d $x, $y),
        }
    };
}

/// The same for those that the host has for up to words; leaves with false for doublewords.
macro_rules! up_to_words {
    ($s:ident, $e:expr, $b:ident, $h:ident, $w:ident) => {
        match $e {
            Elem::B => e!($s; $b xmm0, xmm1),
            Elem::H => e!($s; $h xmm0, xmm1),
            Elem::S => e!($s; $w xmm0, xmm1),
            Elem::D => return false,
        }
    };
}

impl Emitter<'_> {
    /// An integer vector operation; false, with nothing emitted that matters, if it has no code in line.
    pub(super) fn simd(&mut self, op: VecOp, imm: u32, s: [u8; 4]) -> bool {
        let [d, a, b, c] = s;
        match op {
            VecOp::Logic { op, q } => {
                self.logic(op, [a, b, c]);
                self.vector_result(d, q);
                true
            }
            VecOp::Lane { op, e, q } => {
                if !self.lane(op, e, imm, [a, b]) {
                    return false;
                }
                self.vector_result(d, q);
                true
            }
            VecOp::Widen { signed, e, hi } if e != Elem::D => {
                self.widen(0, a, signed, e, hi);
                self.vector_result(d, true);
                true
            }
            VecOp::MulLong { signed, e, hi } => self.multiply_long(signed, e, hi, [d, a, b]),
            VecOp::Narrow { op: NarrowOp::Truncate, e } => {
                e!(self; movaps xmm0, [r15 + v(a)]);
                match e {
                    Elem::B => e!(self; pand xmm0, [r15 + c!(low_bytes)] ; packuswb xmm0, xmm0),
                    Elem::H => e!(self; pand xmm0, [r15 + c!(low_halves)] ; packusdw xmm0, xmm0),
                    Elem::S => e!(self; pshufd xmm0, xmm0, 8),
                    Elem::D => return false,
                }
                self.vector_result(d, false);
                true
            }
            VecOp::Reduce { op, e, q } => self.reduce(op, e, q, [d, a]),
            VecOp::Permute { op, e, q } => self.permute(op, e, q, [d, a, b]),
            VecOp::Dup { e, q } => {
                let at = v(a) + ((imm << e.log2()) & 15) as i32;
                match e {
                    Elem::B => {
                        e!(self; movzx eax, BYTE [r15 + at] ; movd xmm0, eax ; pxor xmm1, xmm1 ; pshufb xmm0, xmm1)
                    }
                    Elem::H => {
                        e!(self; movzx eax, WORD [r15 + at] ; movd xmm0, eax ; pshuflw xmm0, xmm0, 0 ; punpcklqdq xmm0, xmm0)
                    }
                    Elem::S => e!(self; movd xmm0, [r15 + at] ; pshufd xmm0, xmm0, 0),
                    Elem::D => e!(self; movq xmm0, [r15 + at] ; punpcklqdq xmm0, xmm0),
                }
                self.vector_result(d, q);
                true
            }
            VecOp::Extract { q: true } => {
                e!(self; movaps xmm0, [r15 + v(b)] ; palignr xmm0, [r15 + v(a)], (imm & 15) as i8);
                self.vector_result(d, true);
                true
            }
            VecOp::Extract { q: false } => {
                e!(self; movq xmm0, [r15 + v(a)] ; movhps xmm0, [r15 + v(b)] ; psrldq xmm0, (imm & 7) as i8);
                self.vector_result(d, false);
                true
            }
            VecOp::Table { q } => {
                self.table(imm, [a, b, c]);
                self.vector_result(d, q);
                true
            }
            VecOp::Reverse { e: Elem::B, q } => {
                e!(self; movaps xmm0, [r15 + v(a)]);
                match imm {
                    1 => e!(self; pshufb xmm0, [r15 + c!(reverse2)]),
                    2 => e!(self; pshufb xmm0, [r15 + c!(reverse4)]),
                    3 => e!(self; pshufb xmm0, [r15 + c!(reverse8)]),
                    _ => return false,
                }
                self.vector_result(d, q);
                true
            }
            VecOp::Crypto(op) if self.host.aes => self.aes(op, [d, a, b]),
            _ => false,
        }
    }

    /// xmm0, or its low half, to a slot.
    fn vector_result(&mut self, d: u8, q: bool) {
        if !q {
            e!(self; movq xmm0, xmm0);
        }
        e!(self; movaps [r15 + v(d)], xmm0);
    }

    fn logic(&mut self, op: LogicOp, s: [u8; 3]) {
        let [a, b, c] = s;
        match op {
            LogicOp::And => e!(self; movaps xmm0, [r15 + v(a)] ; pand xmm0, [r15 + v(b)]),
            LogicOp::Or => e!(self; movaps xmm0, [r15 + v(a)] ; por xmm0, [r15 + v(b)]),
            LogicOp::Xor => e!(self; movaps xmm0, [r15 + v(a)] ; pxor xmm0, [r15 + v(b)]),
            LogicOp::AndNot => e!(self; movaps xmm0, [r15 + v(b)] ; pandn xmm0, [r15 + v(a)]),
            LogicOp::OrNot => {
                e!(self; movaps xmm0, [r15 + v(b)] ; pxor xmm0, [r15 + c!(ones)] ; por xmm0, [r15 + v(a)]);
            }
            LogicOp::Not => e!(self; movaps xmm0, [r15 + v(a)] ; pxor xmm0, [r15 + c!(ones)]),
            LogicOp::Select => e!(self
                ; movaps xmm1, [r15 + v(a)]
                ; movaps xmm0, xmm1
                ; pandn xmm0, [r15 + v(c)]
                ; pand xmm1, [r15 + v(b)]
                ; por xmm0, xmm1
            ),
        }
    }

    /// An operation on elements of xmm0 (a) and xmm1 (b), to xmm0.
    fn lane(&mut self, op: LaneOp, e: Elem, imm: u32, s: [u8; 2]) -> bool {
        use LaneOp as L;
        let [a, b] = s;
        e!(self; movaps xmm0, [r15 + v(a)]);
        let shift = imm.min(255) as i8;
        match op {
            L::ShlImm => match e {
                Elem::B => return false,
                Elem::H => e!(self; psllw xmm0, shift),
                Elem::S => e!(self; pslld xmm0, shift),
                Elem::D => e!(self; psllq xmm0, shift),
            },
            L::ShrImm { signed, round: false } => match (e, signed) {
                (Elem::H, false) => e!(self; psrlw xmm0, shift),
                (Elem::S, false) => e!(self; psrld xmm0, shift),
                (Elem::D, false) => e!(self; psrlq xmm0, shift),
                (Elem::H, true) => e!(self; psraw xmm0, shift),
                (Elem::S, true) => e!(self; psrad xmm0, shift),
                _ => return false,
            },
            L::Abs => match e {
                Elem::B => e!(self; pabsb xmm0, xmm0),
                Elem::H => e!(self; pabsw xmm0, xmm0),
                Elem::S => e!(self; pabsd xmm0, xmm0),
                Elem::D => return false,
            },
            L::Neg => {
                e!(self; movaps xmm1, xmm0 ; pxor xmm0, xmm0);
                by_elem!(self, e, psubb, psubw, psubd, psubq);
            }
            L::Popcount if e == Elem::B => self.popcount(),
            _ => {
                e!(self; movaps xmm1, [r15 + v(b)]);
                return self.lane_pair(op, e);
            }
        }
        true
    }

    fn lane_pair(&mut self, op: LaneOp, e: Elem) -> bool {
        use LaneOp as L;
        match op {
            L::Add => by_elem!(self, e, paddb, paddw, paddd, paddq),
            L::Sub => by_elem!(self, e, psubb, psubw, psubd, psubq),
            L::Mul => match e {
                Elem::H => e!(self; pmullw xmm0, xmm1),
                Elem::S => e!(self; pmulld xmm0, xmm1),
                _ => return false,
            },
            L::Max(true) => up_to_words!(self, e, pmaxsb, pmaxsw, pmaxsd),
            L::Max(false) => up_to_words!(self, e, pmaxub, pmaxuw, pmaxud),
            L::Min(true) => up_to_words!(self, e, pminsb, pminsw, pminsd),
            L::Min(false) => up_to_words!(self, e, pminub, pminuw, pminud),
            L::AbsDiff(signed) => {
                e!(self; movaps xmm2, xmm0);
                if signed {
                    up_to_words!(self, e, pmaxsb, pmaxsw, pmaxsd);
                } else {
                    up_to_words!(self, e, pmaxub, pmaxuw, pmaxud);
                }
                e!(self; movaps xmm3, xmm0 ; movaps xmm0, xmm2);
                if signed {
                    up_to_words!(self, e, pminsb, pminsw, pminsd);
                } else {
                    up_to_words!(self, e, pminub, pminuw, pminud);
                }
                e!(self; movaps xmm1, xmm0 ; movaps xmm0, xmm3);
                by_elem!(self, e, psubb, psubw, psubd, psubq);
            }
            L::RoundHalfAdd(false) => match e {
                Elem::B => e!(self; pavgb xmm0, xmm1),
                Elem::H => e!(self; pavgw xmm0, xmm1),
                _ => return false,
            },
            L::Eq => by_elem!(self, e, pcmpeqb, pcmpeqw, pcmpeqd, pcmpeqq),
            L::Gt(true) => by_elem!(self, e, pcmpgtb, pcmpgtw, pcmpgtd, pcmpgtq),
            L::Ge(true) => {
                // Not b > a.
                by_elem!(self, e, pcmpgtb, pcmpgtw, pcmpgtd, pcmpgtq, xmm1, xmm0);
                e!(self; movaps xmm0, xmm1 ; pxor xmm0, [r15 + c!(ones)]);
            }
            L::Ge(false) => {
                e!(self; movaps xmm2, xmm0);
                up_to_words!(self, e, pmaxub, pmaxuw, pmaxud);
                by_elem!(self, e, pcmpeqb, pcmpeqw, pcmpeqd, pcmpeqq, xmm0, xmm2);
            }
            L::Gt(false) => {
                // Not b >= a.
                up_to_words!(self, e, pmaxub, pmaxuw, pmaxud);
                by_elem!(self, e, pcmpeqb, pcmpeqw, pcmpeqd, pcmpeqq);
                e!(self; pxor xmm0, [r15 + c!(ones)]);
            }
            L::Test => {
                e!(self; pand xmm0, xmm1 ; pxor xmm1, xmm1);
                by_elem!(self, e, pcmpeqb, pcmpeqw, pcmpeqd, pcmpeqq);
                e!(self; pxor xmm0, [r15 + c!(ones)]);
            }
            _ => return false,
        }
        true
    }

    /// The number of ones in each byte of xmm0.
    fn popcount(&mut self) {
        e!(self
            ; movaps xmm1, xmm0
            ; psrlw xmm1, 4
            ; pand xmm0, [r15 + c!(fifteen)]
            ; pand xmm1, [r15 + c!(fifteen)]
            ; movaps xmm2, [r15 + c!(ones_in)]
            ; movaps xmm3, xmm2
            ; pshufb xmm2, xmm0
            ; pshufb xmm3, xmm1
            ; paddb xmm2, xmm3
            ; movaps xmm0, xmm2
        );
    }

    /// Half of a slot, each element twice as wide, to xmm0 or xmm1.
    fn widen(&mut self, r: u8, a: u8, signed: bool, e: Elem, hi: bool) {
        let at = v(a) + if hi { 8 } else { 0 };
        match (e, signed) {
            (Elem::B, true) => e!(self; pmovsxbw Rx(r), [r15 + at]),
            (Elem::B, false) => e!(self; pmovzxbw Rx(r), [r15 + at]),
            (Elem::H, true) => e!(self; pmovsxwd Rx(r), [r15 + at]),
            (Elem::H, false) => e!(self; pmovzxwd Rx(r), [r15 + at]),
            (_, true) => e!(self; pmovsxdq Rx(r), [r15 + at]),
            (_, false) => e!(self; pmovzxdq Rx(r), [r15 + at]),
        }
    }

    fn multiply_long(&mut self, signed: bool, e: Elem, hi: bool, s: [u8; 3]) -> bool {
        let [d, a, b] = s;
        self.widen(0, a, signed, e, hi);
        self.widen(1, b, signed, e, hi);
        match e {
            Elem::B => e!(self; pmullw xmm0, xmm1),
            Elem::H => e!(self; pmulld xmm0, xmm1),
            Elem::S if signed => e!(self; pmuldq xmm0, xmm1),
            Elem::S => e!(self; pmuludq xmm0, xmm1),
            Elem::D => return false,
        }
        self.vector_result(d, true);
        true
    }

    /// All elements put together, two halves at a time.
    fn reduce(&mut self, op: ReduceOp, e: Elem, q: bool, s: [u8; 2]) -> bool {
        let [d, a] = s;
        if matches!(op, ReduceOp::AddLong { .. }) || e == Elem::D {
            return false;
        }
        e!(self; movaps xmm0, [r15 + v(a)]);
        let mut half = if q { 8 } else { 4 };
        while half >= e.bytes() as i8 {
            e!(self; movaps xmm1, xmm0 ; psrldq xmm1, half);
            match op {
                ReduceOp::Add => by_elem!(self, e, paddb, paddw, paddd, paddq),
                ReduceOp::Max { signed: true } => up_to_words!(self, e, pmaxsb, pmaxsw, pmaxsd),
                ReduceOp::Max { signed: false } => up_to_words!(self, e, pmaxub, pmaxuw, pmaxud),
                ReduceOp::Min { signed: true } => up_to_words!(self, e, pminsb, pminsw, pminsd),
                ReduceOp::Min { signed: false } => up_to_words!(self, e, pminub, pminuw, pminud),
                ReduceOp::AddLong { .. } => return false,
            }
            half /= 2;
        }
        e!(self; movd eax, xmm0);
        match e {
            Elem::B => e!(self; movzx eax, al),
            Elem::H => e!(self; movzx eax, ax),
            _ => {}
        }
        e!(self; movd xmm0, eax);
        self.vector_result(d, true);
        true
    }

    fn permute(&mut self, op: PermuteOp, e: Elem, q: bool, s: [u8; 3]) -> bool {
        use PermuteOp as P;
        let [d, a, b] = s;
        match op {
            P::Zip1 | P::Zip2 if !q || op == P::Zip1 => {
                e!(self; movaps xmm0, [r15 + v(a)] ; movaps xmm1, [r15 + v(b)]);
                by_elem!(self, e, punpcklbw, punpcklwd, punpckldq, punpcklqdq);
                if op == P::Zip2 {
                    e!(self; psrldq xmm0, 8);
                }
            }
            P::Zip1 | P::Zip2 => {
                e!(self; movaps xmm0, [r15 + v(a)] ; movaps xmm1, [r15 + v(b)]);
                by_elem!(self, e, punpckhbw, punpckhwd, punpckhdq, punpckhqdq);
            }
            P::Uzp1 | P::Uzp2 => return self.unzip(op == P::Uzp2, e, q, d, [a, b]),
            P::Trn1 | P::Trn2 => return self.transpose(op == P::Trn2, e, q, d, [a, b]),
        }
        self.vector_result(d, q);
        true
    }

    fn unzip(&mut self, odd: bool, e: Elem, q: bool, d: u8, s: [u8; 2]) -> bool {
        let [a, b] = s;
        if !q {
            // Both operands are one vector of twice the number of elements.
            e!(self; movq xmm0, [r15 + v(a)] ; movhps xmm0, [r15 + v(b)]);
        } else {
            e!(self; movaps xmm0, [r15 + v(a)] ; movaps xmm1, [r15 + v(b)]);
        }
        let order = match (e, odd) {
            (Elem::B, false) => c!(even_bytes),
            (Elem::B, true) => c!(odd_bytes),
            (Elem::H, false) => c!(even_halves),
            (Elem::H, true) => c!(odd_halves),
            _ => 0,
        };
        match (e, q) {
            (Elem::B | Elem::H, false) => e!(self; pshufb xmm0, [r15 + order]),
            (Elem::B | Elem::H, true) => {
                e!(self; pshufb xmm0, [r15 + order] ; pshufb xmm1, [r15 + order] ; punpcklqdq xmm0, xmm1);
            }
            (Elem::S, false) => e!(self; pshufd xmm0, xmm0, if odd { 0x0d } else { 0x08 }),
            (Elem::S, true) if odd => e!(self; shufps xmm0, xmm1, 0xddu8 as i8),
            (Elem::S, true) => e!(self; shufps xmm0, xmm1, 0x88u8 as i8),
            (Elem::D, true) if odd => e!(self; punpckhqdq xmm0, xmm1),
            (Elem::D, true) => e!(self; punpcklqdq xmm0, xmm1),
            (Elem::D, false) => return false,
        }
        self.vector_result(d, q);
        true
    }

    fn transpose(&mut self, odd: bool, e: Elem, q: bool, d: u8, s: [u8; 2]) -> bool {
        let [a, b] = s;
        e!(self; movaps xmm0, [r15 + v(a)] ; movaps xmm1, [r15 + v(b)]);
        let low = match e {
            Elem::B => c!(low_bytes),
            Elem::H => c!(low_halves),
            Elem::S => c!(low_words),
            Elem::D if !q => return false,
            Elem::D => {
                if odd {
                    e!(self; punpckhqdq xmm0, xmm1);
                } else {
                    e!(self; punpcklqdq xmm0, xmm1);
                }
                self.vector_result(d, q);
                return true;
            }
        };
        if odd {
            // The odd elements of a come down, those of b stay.
            match e {
                Elem::B => e!(self; psrlw xmm0, 8),
                Elem::H => e!(self; psrld xmm0, 16),
                _ => e!(self; psrlq xmm0, 32),
            }
            e!(self; movaps xmm2, [r15 + low] ; pandn xmm2, xmm1 ; por xmm0, xmm2);
        } else {
            match e {
                Elem::B => e!(self; psllw xmm1, 8),
                Elem::H => e!(self; pslld xmm1, 16),
                _ => e!(self; psllq xmm1, 32),
            }
            e!(self; pand xmm0, [r15 + low] ; por xmm0, xmm1);
        }
        self.vector_result(d, q);
        true
    }

    /// A step of TBL or TBX.
    fn table(&mut self, imm: u32, s: [u8; 3]) {
        let [a, b, c] = s;
        let first = imm & 0xff;
        e!(self; movaps xmm1, [r15 + v(b)]);
        if first != 0 {
            e!(self
                ; mov eax, (first * 0x0101_0101) as i32
                ; movd xmm2, eax
                ; pshufd xmm2, xmm2, 0
                ; psubb xmm1, xmm2
            );
        }
        e!(self
            // Ones where the index is in this part of the table.
            ; movaps xmm2, xmm1
            ; pminub xmm2, [r15 + c!(fifteen)]
            ; pcmpeqb xmm2, xmm1
            ; movaps xmm0, [r15 + v(a)]
            ; pshufb xmm0, xmm1
            ; pand xmm0, xmm2
            ; pandn xmm2, [r15 + v(c)]
            ; por xmm0, xmm2
        );
    }

    fn aes(&mut self, op: CryptoOp, s: [u8; 3]) -> bool {
        let [d, a, b] = s;
        e!(self; movaps xmm0, [r15 + v(a)] ; pxor xmm1, xmm1);
        match op {
            CryptoOp::AesE => e!(self; pxor xmm0, [r15 + v(b)] ; aesenclast xmm0, xmm1),
            CryptoOp::AesD => e!(self; pxor xmm0, [r15 + v(b)] ; aesdeclast xmm0, xmm1),
            // What the one undoes, the other has done before it mixes.
            CryptoOp::AesMc => e!(self; aesdeclast xmm0, xmm1 ; aesenc xmm0, xmm1),
            CryptoOp::AesImc => e!(self; aesimc xmm0, xmm0),
            _ => return false,
        }
        self.vector_result(d, true);
        true
    }
}

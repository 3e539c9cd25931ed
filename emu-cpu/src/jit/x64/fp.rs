//! Floating point in single and double precision on the host's FPU, where FPCR asks for nothing but the defaults.
//!
//! A result is kept if it is neither infinite nor a NaN and, where the operation can underflow, clearly above the
//! smallest normal number (the two architectures find tininess at different moments). Then the only flag that can be
//! raised is IXC, which MXCSR collects exactly so. Everything else is computed again by the exact function.

use dynasmrt::{DynamicLabel, DynasmApi, DynasmLabelApi};

use super::memory::Call;
use super::{Emitter, RAX, c, e, v};
use crate::fp::{BinFp, Fmt, FoldFp, FpOp, FusedFp, IntFmt, Lanes, Rounding, UnFp};
use crate::interp::uop::{Exact, Uop};

/// An SSE instruction in the form for the elements of a register.
macro_rules! lanes {
    ($s:ident, $lanes:expr, $ss:ident, $sd:ident, $ps:ident, $pd:ident, $a:tt, $b:tt) => {
        match $lanes {
            Lanes::S1 => e!($s; $ss $a, $b),
            Lanes::D1 => e!($s; $sd $a, $b),
            Lanes::S2 | Lanes::S4 => e!($s; $ps $a, $b),
            _ => e!($s; $pd $a, $b),
        }
    };
}

/// Which results are kept.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Keep {
    /// Finite ones: an operation that cannot underflow inexactly.
    Finite,
    /// Finite ones that are not near zero.
    Ordinary,
}

/// Bits of MOVMSKPS or MOVMSKPD that belong to elements.
const fn mask(lanes: Lanes) -> i8 {
    (1 << lanes.count()) - 1
}

const fn is_double(lanes: Lanes) -> bool {
    matches!(lanes.fmt(), Fmt::D)
}

impl Emitter<'_> {
    /// Calls of exact functions; false if it is something else.
    pub(super) fn exact(&mut self, uop: Uop) -> bool {
        let Uop::Call { d, a, b, c, call } = uop else { return false };
        let Some(call) = self.input.code.calls.get(call as usize).copied() else { return false };
        match call.op {
            Exact::Fp(op) if self.input.mode.fp_plain => {
                let start = self.ops.new_dynamic_label();
                if self.float(op, call.imm, [d, a, b, c], start) {
                    let back = self.put_off(start, Call::Exact { n: self.number });
                    self.resume(back);
                    return true;
                }
            }
            Exact::Vec(op) if self.simd(op, call.imm, [d, a, b, c]) => return true,
            _ => {}
        }
        self.call_exact(self.number);
        true
    }

    /// A floating-point operation; false if it has no code in line. `slow` is where it is done exactly.
    fn float(&mut self, op: FpOp, imm: u32, s: [u8; 4], slow: DynamicLabel) -> bool {
        let [d, a, b, c] = s;
        match op {
            FpOp::Bin(op, lanes) if lanes.fmt() != Fmt::H => self.float_binary(op, lanes, [d, a, b], slow),
            FpOp::Fused(op, lanes) if lanes.fmt() != Fmt::H && self.host.fma => {
                self.float_load(0, c, lanes);
                self.float_load(1, a, lanes);
                self.float_load(2, b, lanes);
                match op {
                    FusedFp::MulAdd => self.fused(lanes, false, false),
                    FusedFp::MulSub => self.fused(lanes, true, false),
                    FusedFp::NMulAdd => self.fused(lanes, true, true),
                    FusedFp::NMulSub => self.fused(lanes, false, true),
                }
                self.check(lanes, Keep::Ordinary, slow);
                self.float_store(d, lanes);
                true
            }
            FpOp::Un(op, lanes) if lanes.fmt() != Fmt::H => self.float_unary(op, imm, lanes, [d, a], slow),
            FpOp::Pair(FoldFp::Add, lanes @ (Lanes::S4 | Lanes::D2)) => {
                self.float_load(0, a, lanes);
                self.float_load(1, b, lanes);
                if lanes == Lanes::S4 {
                    e!(self; haddps xmm0, xmm1);
                } else {
                    e!(self; haddpd xmm0, xmm1);
                }
                self.check(lanes, Keep::Finite, slow);
                self.float_store(d, lanes);
                true
            }
            FpOp::Reduce(FoldFp::Add, Lanes::D2) => {
                e!(self; movsd xmm0, [r15 + v(a)] ; addsd xmm0, [r15 + (v(a) + 8)]);
                self.check(Lanes::D1, Keep::Finite, slow);
                self.float_store(d, Lanes::D1);
                true
            }
            FpOp::Reduce(FoldFp::Add, Lanes::S2) => {
                e!(self; movss xmm0, [r15 + v(a)] ; addss xmm0, [r15 + (v(a) + 4)]);
                self.check(Lanes::S1, Keep::Finite, slow);
                self.float_store(d, Lanes::S1);
                true
            }
            FpOp::Cmp { fmt, .. } if fmt != Fmt::H => {
                self.compare(fmt, [d, a, b], slow);
                true
            }
            FpOp::Convert { from, to } => self.convert(from, to, imm, [d, a], slow),
            FpOp::ToInt { from, to } => self.float_to_int(from, to, imm, [d, a], slow),
            FpOp::FromInt { from, to } => self.float_from_int(from, to, imm, [d, a]),
            _ => false,
        }
    }

    /// Operands in xmm1 and up never have anything in the bits that are not theirs.
    fn float_load(&mut self, r: u8, slot: u8, lanes: Lanes) {
        match lanes {
            Lanes::S1 => e!(self; movss Rx(r), [r15 + v(slot)]),
            Lanes::D1 => e!(self; movsd Rx(r), [r15 + v(slot)]),
            Lanes::S2 => e!(self; movq Rx(r), [r15 + v(slot)]),
            _ => e!(self; movaps Rx(r), [r15 + v(slot)]),
        }
    }

    /// xmm0 to a slot.
    fn float_store(&mut self, d: u8, lanes: Lanes) {
        if lanes == Lanes::S2 {
            e!(self; movq xmm0, xmm0);
        }
        e!(self; movaps [r15 + v(d)], xmm0);
    }

    /// Goes to `slow` unless every element of xmm0 is to be kept. Changes rax, xmm4, xmm5.
    fn check(&mut self, lanes: Lanes, keep: Keep, slow: DynamicLabel) {
        let (exponent, least) =
            if is_double(lanes) { (c!(exponent64), c!(least64)) } else { (c!(exponent32), c!(least32)) };
        e!(self
            ; movaps xmm4, [r15 + exponent]
            ; andps xmm4, xmm0
            ; movaps xmm5, xmm4
            ; pcmpeqd xmm4, [r15 + exponent]
        );
        if keep == Keep::Ordinary {
            e!(self; movaps xmm3, [r15 + least] ; pcmpgtd xmm3, xmm5 ; orps xmm4, xmm3);
        }
        if is_double(lanes) {
            e!(self; movmskpd eax, xmm4);
        } else {
            e!(self; movmskps eax, xmm4);
        }
        e!(self; test al, mask(lanes) ; jne =>slow);
    }

    fn float_binary(&mut self, op: BinFp, lanes: Lanes, s: [u8; 3], slow: DynamicLabel) -> bool {
        use BinFp as F;
        let [d, a, b] = s;
        let (a, b) = match op {
            // b <= a, b < a.
            F::CmpGe | F::CmpGt | F::AcGe | F::AcGt => (b, a),
            F::Add | F::Sub | F::Mul | F::Div | F::Max | F::Min | F::MaxNm | F::MinNm | F::Abd | F::CmpEq => {
                (a, b)
            }
            _ => return false,
        };
        self.float_load(0, a, lanes);
        self.float_load(1, b, lanes);
        match op {
            F::Add => {
                lanes!(self, lanes, addss, addsd, addps, addpd, xmm0, xmm1);
                self.check(lanes, Keep::Finite, slow);
            }
            F::Sub | F::Abd => {
                lanes!(self, lanes, subss, subsd, subps, subpd, xmm0, xmm1);
                self.check(lanes, Keep::Finite, slow);
                if op == F::Abd {
                    self.absolute(lanes);
                }
            }
            F::Mul => {
                lanes!(self, lanes, mulss, mulsd, mulps, mulpd, xmm0, xmm1);
                self.check(lanes, Keep::Ordinary, slow);
            }
            F::Div => {
                lanes!(self, lanes, divss, divsd, divps, divpd, xmm0, xmm1);
                self.check(lanes, Keep::Ordinary, slow);
            }
            F::Max | F::MaxNm | F::Min | F::MinNm => {
                self.none_unordered_or_equal(lanes, slow);
                if matches!(op, F::Max | F::MaxNm) {
                    lanes!(self, lanes, maxss, maxsd, maxps, maxpd, xmm0, xmm1);
                } else {
                    lanes!(self, lanes, minss, minsd, minps, minpd, xmm0, xmm1);
                }
            }
            _ => {
                if matches!(op, F::AcGe | F::AcGt) {
                    let sign = if is_double(lanes) { c!(absolute64) } else { c!(absolute32) };
                    e!(self; andps xmm0, [r15 + sign] ; andps xmm1, [r15 + sign]);
                }
                self.none_unordered(lanes, slow);
                match op {
                    F::CmpEq => self.compare_lanes(lanes, 0),
                    F::CmpGe | F::AcGe => self.compare_lanes(lanes, 2),
                    _ => self.compare_lanes(lanes, 1),
                }
            }
        }
        self.float_store(d, lanes);
        true
    }

    /// xmm0 compared with xmm1: all ones or zero. 0 equal, 1 less, 2 less or equal.
    fn compare_lanes(&mut self, lanes: Lanes, how: i8) {
        match lanes {
            Lanes::S1 => e!(self; cmpss xmm0, xmm1, how),
            Lanes::D1 => e!(self; cmpsd xmm0, xmm1, how),
            Lanes::S2 | Lanes::S4 => e!(self; cmpps xmm0, xmm1, how),
            _ => e!(self; cmppd xmm0, xmm1, how),
        }
    }

    fn none_unordered(&mut self, lanes: Lanes, slow: DynamicLabel) {
        e!(self; movaps xmm4, xmm0);
        self.leave_if_any(lanes, 3, slow);
    }

    fn none_unordered_or_equal(&mut self, lanes: Lanes, slow: DynamicLabel) {
        self.none_unordered(lanes, slow);
        e!(self; movaps xmm4, xmm0);
        self.leave_if_any(lanes, 0, slow);
    }

    /// To `slow` if the comparison of xmm4 with xmm1 is true of any element.
    fn leave_if_any(&mut self, lanes: Lanes, how: i8, slow: DynamicLabel) {
        if is_double(lanes) {
            e!(self; cmppd xmm4, xmm1, how ; movmskpd eax, xmm4);
        } else {
            e!(self; cmpps xmm4, xmm1, how ; movmskps eax, xmm4);
        }
        e!(self; test al, mask(lanes) ; jne =>slow);
    }

    /// xmm0 = +-xmm0 +- xmm1 * xmm2, rounded once.
    fn fused(&mut self, lanes: Lanes, minus_product: bool, minus_addend: bool) {
        macro_rules! by_lanes {
            ($ss:ident, $sd:ident, $ps:ident, $pd:literal) => {
                match lanes {
                    Lanes::S1 => e!(self; $ss xmm0, xmm1, xmm2),
                    Lanes::D1 => e!(self; $sd xmm0, xmm1, xmm2),
                    Lanes::S2 | Lanes::S4 => e!(self; $ps xmm0, xmm1, xmm2),
                    // The assembler leaves VEX.W out of the forms for packed doubles, which makes them singles.
                    _ => self.ops.extend([0xc4, 0xe2, 0xf1, $pd, 0xc2]),
                }
            };
        }
        match (minus_product, minus_addend) {
            (false, false) => by_lanes!(vfmadd231ss, vfmadd231sd, vfmadd231ps, 0xb8),
            (true, false) => by_lanes!(vfnmadd231ss, vfnmadd231sd, vfnmadd231ps, 0xbc),
            (true, true) => by_lanes!(vfnmsub231ss, vfnmsub231sd, vfnmsub231ps, 0xbe),
            (false, true) => by_lanes!(vfmsub231ss, vfmsub231sd, vfmsub231ps, 0xba),
        }
    }

    fn absolute(&mut self, lanes: Lanes) {
        let sign = if is_double(lanes) { c!(absolute64) } else { c!(absolute32) };
        e!(self; andps xmm0, [r15 + sign]);
    }

    fn float_unary(&mut self, op: UnFp, imm: u32, lanes: Lanes, s: [u8; 2], slow: DynamicLabel) -> bool {
        let [d, a] = s;
        match op {
            UnFp::Abs => {
                self.float_load(0, a, lanes);
                self.absolute(lanes);
            }
            UnFp::Neg => {
                let sign = match lanes {
                    Lanes::S1 => c!(sign_s1),
                    Lanes::D1 => c!(sign_d1),
                    Lanes::S2 | Lanes::S4 => c!(sign32),
                    _ => c!(sign64),
                };
                self.float_load(0, a, lanes);
                e!(self; xorps xmm0, [r15 + sign]);
            }
            UnFp::Sqrt => {
                self.float_load(1, a, lanes);
                e!(self; xorps xmm0, xmm0);
                lanes!(self, lanes, sqrtss, sqrtsd, sqrtps, sqrtpd, xmm0, xmm1);
                self.check(lanes, Keep::Ordinary, slow);
            }
            UnFp::RInt | UnFp::RIntExact => {
                let quiet = if op == UnFp::RInt { 8 } else { 0 };
                let mode = match imm & 7 {
                    m if m == Rounding::TieEven as u32 || m == Rounding::BY_FPCR => quiet,
                    m if m == Rounding::PlusInf as u32 => quiet | 2,
                    m if m == Rounding::MinusInf as u32 => quiet | 1,
                    m if m == Rounding::Zero as u32 => quiet | 3,
                    _ => return false,
                };
                self.float_load(1, a, lanes);
                e!(self; xorps xmm0, xmm0);
                match lanes {
                    Lanes::S1 => e!(self; roundss xmm0, xmm1, mode),
                    Lanes::D1 => e!(self; roundsd xmm0, xmm1, mode),
                    Lanes::S2 | Lanes::S4 => e!(self; roundps xmm0, xmm1, mode),
                    _ => e!(self; roundpd xmm0, xmm1, mode),
                }
                self.check(lanes, Keep::Finite, slow);
            }
            _ => return false,
        }
        self.float_store(d, lanes);
        true
    }

    /// N, Z, C, V of a comparison of scalars.
    fn compare(&mut self, fmt: Fmt, s: [u8; 3], slow: DynamicLabel) {
        let [d, a, b] = s;
        if fmt == Fmt::D {
            e!(self; movsd xmm0, [r15 + v(a)] ; movsd xmm1, [r15 + v(b)] ; ucomisd xmm0, xmm1);
        } else {
            e!(self; movss xmm0, [r15 + v(a)] ; movss xmm1, [r15 + v(b)] ; ucomiss xmm0, xmm1);
        }
        e!(self
            ; jp =>slow
            ; mov eax, 0x2000_0000
            ; mov ecx, 0x8000_0000u32 as i32
            ; cmovb eax, ecx
            ; mov ecx, 0x6000_0000
            ; cmove eax, ecx
            ; movd xmm0, eax
            ; movaps [r15 + v(d)], xmm0
        );
    }

    fn convert(&mut self, from: Fmt, to: Fmt, imm: u32, s: [u8; 2], slow: DynamicLabel) -> bool {
        let [d, a] = s;
        if !(imm & 7 == Rounding::BY_FPCR || imm & 7 == Rounding::TieEven as u32) {
            return false;
        }
        e!(self; xorps xmm0, xmm0);
        match (from, to) {
            (Fmt::S, Fmt::D) => {
                e!(self; cvtss2sd xmm0, [r15 + v(a)]);
                self.check(Lanes::D1, Keep::Finite, slow);
                self.float_store(d, Lanes::D1);
            }
            (Fmt::D, Fmt::S) => {
                e!(self; cvtsd2ss xmm0, [r15 + v(a)]);
                self.check(Lanes::S1, Keep::Ordinary, slow);
                self.float_store(d, Lanes::S1);
            }
            _ => return false,
        }
        true
    }

    /// To an integer, towards zero. The host's answer for what does not fit is its least integer.
    fn float_to_int(&mut self, from: Fmt, to: IntFmt, imm: u32, s: [u8; 2], slow: DynamicLabel) -> bool {
        let [d, a] = s;
        if imm != Rounding::Zero as u32 {
            return false;
        }
        let wide = match to {
            IntFmt::I32 => false,
            IntFmt::I64 => true,
            _ => return false,
        };
        match (from, wide) {
            (Fmt::D, true) => e!(self; cvttsd2si rax, QWORD [r15 + v(a)]),
            (Fmt::D, false) => e!(self; cvttsd2si eax, QWORD [r15 + v(a)]),
            (Fmt::S, true) => e!(self; cvttss2si rax, DWORD [r15 + v(a)]),
            (Fmt::S, false) => e!(self; cvttss2si eax, DWORD [r15 + v(a)]),
            _ => return false,
        }
        match to {
            // Only the least integer overflows when 1 is taken from it.
            IntFmt::I32 => e!(self; mov ecx, eax ; sub ecx, 1 ; jo =>slow),
            _ => e!(self; mov rcx, rax ; sub rcx, 1 ; jo =>slow),
        }
        e!(self; movq xmm0, rax ; movaps [r15 + v(d)], xmm0);
        true
    }

    fn float_from_int(&mut self, from: IntFmt, to: Fmt, imm: u32, s: [u8; 2]) -> bool {
        let [d, a] = s;
        if imm >> 8 != 0 || to == Fmt::H {
            return false;
        }
        match from {
            IntFmt::I32 => e!(self; movsxd rax, DWORD [r15 + v(a)]),
            IntFmt::U32 => e!(self; mov eax, [r15 + v(a)]),
            IntFmt::I64 => e!(self; mov rax, [r15 + v(a)]),
            _ => return false,
        }
        e!(self; xorps xmm0, xmm0);
        if to == Fmt::D {
            e!(self; cvtsi2sd xmm0, Rq(RAX));
        } else {
            e!(self; cvtsi2ss xmm0, Rq(RAX));
        }
        e!(self; movaps [r15 + v(d)], xmm0);
        true
    }
}

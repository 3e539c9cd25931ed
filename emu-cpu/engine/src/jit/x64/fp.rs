//! Floating point in single and double precision on the host's FPU, where FPCR asks for nothing but the defaults.
//!
//! Results are then the same on both architectures, and so are the exceptions that MXCSR collects, but for two cases,
//! which are computed again by the exact function:
//! - a NaN: which operand's NaN it is, and the sign of the default NaN, differ;
//! - the smallest normal number, from an operation that can underflow: the host finds tininess after rounding, Arm before.
//!
//! **Invariant: what a host instruction raises before its result is given up is raised by the exact function as well.**
//! It is so for all operations here; where it would not be (a conversion to an integer that rounds first), the operand is
//! looked at before anything is computed.

use dynasmrt::{DynamicLabel, DynasmApi, DynasmLabelApi};
use emu_a64::fp::{BinFp, Fmt, FoldFp, FpOp, FusedFp, Lanes, Rounding, UnFp};

use super::memory::Call;
use super::sse::{self, ANDPS, Insn, Src};
use super::{Emitter, asm, constant};
use crate::interp::uop::{Exact, Uop};

/// Which results are kept.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Keep {
    /// All but NaNs: of an operation that cannot underflow inexactly.
    Numbers,
    /// All but NaNs and the smallest normal number.
    UnlessTiny,
}

/// How an operation was emitted.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Done {
    /// It has no code in line; nothing that matters was emitted.
    Not,
    /// Whole.
    Whole,
    /// With jumps to its exact function.
    Checked,
}

pub(super) const fn is_double(lanes: Lanes) -> bool {
    matches!(lanes.fmt(), Fmt::D)
}

pub(super) const fn is_scalar(lanes: Lanes) -> bool {
    lanes.count() == 1
}

/// The instruction of an arithmetic family for these elements.
pub(super) const fn arith(op: u8, lanes: Lanes) -> Insn {
    Insn::float(op, (if is_scalar(lanes) { 2 } else { 0 }) + is_double(lanes) as u8)
}

const SQRT: u8 = 0x51;
const ADD: u8 = 0x58;
const MUL: u8 = 0x59;
const SUB: u8 = 0x5c;
const MIN: u8 = 0x5d;
const DIV: u8 = 0x5e;
const MAX: u8 = 0x5f;
const CMP: u8 = 0xc2;

/// Predicates of CMP: EQ and UNORD are quiet, LT and LE signal invalid operation for any NaN, as Arm's do.
const EQ: u8 = 0;
const LT: u8 = 1;
const LE: u8 = 2;
const UNORD: u8 = 3;
/// Not less than.
pub(super) const NLT: u8 = 5;
/// Equal or unordered, quiet; only with VEX.
const EQ_UQ: u8 = 8;

impl Emitter<'_> {
    /// Calls of exact functions; false if it is something else.
    pub(super) fn exact(&mut self, uop: Uop) -> bool {
        let Uop::Call { d, a, b, c, call } = uop else { return false };
        let Some(call) = self.input.code.calls.get(call as usize).copied() else { return false };
        match call.op {
            Exact::Fp(op) if self.input.mode.fp_plain => {
                if self.fused_to_int(op, call.imm, d, a) {
                    return true;
                }
                let start = self.ops.new_dynamic_label();
                match self.float(op, call.imm, [d, a, b, c], start) {
                    Done::Not => {}
                    Done::Whole => return true,
                    Done::Checked => {
                        let back = self.defer(start, Call::Exact { n: self.uop_index });
                        self.resume(back);
                        return true;
                    }
                }
            }
            Exact::Vec(op) if self.simd(op, call.imm, [d, a, b, c]) => return true,
            _ => {}
        }
        self.call_exact(self.uop_index);
        self.forget_vector_sizes();
        true
    }

    /// A floating-point operation. `slow` is where it is done exactly.
    fn float(&mut self, op: FpOp, imm: u32, s: [u8; 4], slow: DynamicLabel) -> Done {
        let [d, a, b, _] = s;
        match op {
            FpOp::Bin(op, lanes) if lanes.fmt() != Fmt::H => self.float_binary(op, lanes, [d, a, b], slow),
            FpOp::Fused(op, lanes) if lanes.fmt() != Fmt::H && self.host.fma => {
                self.fused(op, lanes, s, slow);
                Done::Checked
            }
            FpOp::Un(op, lanes) if lanes.fmt() != Fmt::H => self.float_unary(op, imm, lanes, [d, a], slow),
            FpOp::Pair(FoldFp::Add, lanes @ (Lanes::S2 | Lanes::S4 | Lanes::D2)) => {
                self.add_pairs(lanes, [d, a, b], slow);
                Done::Checked
            }
            FpOp::Reduce(FoldFp::Add, Lanes::D2 | Lanes::S2) => {
                let (lanes, bytes) =
                    if op == FpOp::Reduce(FoldFp::Add, Lanes::D2) { (Lanes::D1, 8) } else { (Lanes::S1, 4) };
                // The second element, with zeros above.
                self.vload_low(0, a, 2 * bytes);
                self.shift(sse::Shift::BYTES_RIGHT, 0, 0, bytes);
                let a = self.vsrc(a);
                self.op3(arith(ADD, lanes), 0, 0, a);
                self.check(lanes, Keep::Numbers, 0, slow);
                self.vstore_sized(d, 0, bytes);
                Done::Checked
            }
            FpOp::Cmp { fmt, signalling } if fmt != Fmt::H => {
                self.compare(fmt, signalling, [d, a, b]);
                Done::Whole
            }
            FpOp::Convert { from, to } => self.convert(from, to, imm, [d, a], slow),
            FpOp::Widen { from: Fmt::S, upper } => {
                let half = self.vhalf(a, upper, 0);
                let t = self.vresult(d, &[a], 0);
                self.op2(sse::CVTPS2PD, t, half);
                self.check(Lanes::D2, Keep::Numbers, t, slow);
                self.vstore(d, t);
                Done::Checked
            }
            FpOp::Narrow { to: Fmt::S, upper } if nearest(imm) => {
                let from = self.vsrc(a);
                let t = if upper { 0 } else { self.vresult(d, &[a], 0) };
                self.op2(sse::CVTPD2PS, t, from);
                self.check(Lanes::S4, Keep::UnlessTiny, t, slow);
                if upper {
                    self.vload_low(1, b, 8);
                    self.op3(sse::PUNPCKLQDQ, 0, 1, Src::Reg(0));
                    self.vstore(d, 0);
                } else {
                    self.vstore_sized(d, t, 8);
                }
                Done::Checked
            }
            FpOp::ToInt { from, to } => self.float_to_int(from, to, imm, [d, a], slow),
            FpOp::FromInt { from, to } => self.float_from_int(from, to, imm, [d, a]),
            FpOp::ToIntVec { lanes, signed } => self.ints_from(lanes, signed, imm, [d, a], slow),
            FpOp::FromIntVec { lanes, signed } => self.ints_to(lanes, signed, imm, [d, a]),
            _ => Done::Not,
        }
    }

    /// An operand in a register that must not be changed, with zeros above its elements.
    pub(super) fn first(&mut self, slot: u8, lanes: Lanes, scratch: u8) -> u8 {
        self.vread_low(slot, lanes.bytes(), scratch)
    }

    /// An operand of which an instruction for these elements reads nothing that could raise an exception.
    fn other(&mut self, slot: u8, lanes: Lanes, scratch: u8) -> Src {
        if lanes == Lanes::S2 { Src::Reg(self.first(slot, lanes, scratch)) } else { self.vsrc(slot) }
    }

    /// Goes to `slow` unless every element of xmm `t` is to be kept. Changes eax, xmm1, xmm2.
    pub(super) fn check(&mut self, lanes: Lanes, keep: Keep, t: u8, slow: DynamicLabel) {
        let (absolute, least, ucomis) = if is_double(lanes) {
            (Src::Mem(constant!(absolute64)), Src::Mem(constant!(least64)), sse::UCOMISD)
        } else {
            (Src::Mem(constant!(absolute32)), Src::Mem(constant!(least32)), sse::UCOMISS)
        };
        let cmp = arith(CMP, lanes);
        match (is_scalar(lanes), keep) {
            (true, Keep::Numbers) => {
                self.op2(ucomis, t, Src::Reg(t));
                asm!(self; jp =>slow);
                return;
            }
            (true, Keep::UnlessTiny) => {
                self.op3(ANDPS, 1, t, absolute);
                self.op2(ucomis, 1, least);
                // Equal or unordered.
                asm!(self; je =>slow);
                return;
            }
            (false, Keep::Numbers) => self.op3i(cmp, 1, t, Src::Reg(t), UNORD),
            (false, Keep::UnlessTiny) if self.host.avx => {
                self.op3(ANDPS, 1, t, absolute);
                self.op3i(cmp, 1, 1, least, EQ_UQ);
            }
            (false, Keep::UnlessTiny) => {
                self.op3(ANDPS, 1, t, absolute);
                self.op3i(cmp, 1, 1, least, EQ);
                self.op3i(cmp, 2, t, Src::Reg(t), UNORD);
                self.op3(sse::POR, 1, 1, Src::Reg(2));
            }
        }
        self.leave_if_any(lanes, 1, slow);
    }

    /// Goes to `slow` if the sign of any element of xmm `t` is set.
    pub(super) fn leave_if_any(&mut self, lanes: Lanes, t: u8, slow: DynamicLabel) {
        if is_double(lanes) {
            asm!(self; movmskpd eax, Rx(t));
        } else {
            asm!(self; movmskps eax, Rx(t));
        }
        asm!(self; test eax, eax ; jne =>slow);
    }

    fn float_binary(&mut self, op: BinFp, lanes: Lanes, s: [u8; 3], slow: DynamicLabel) -> Done {
        use BinFp as F;
        let [d, mut a, mut b] = s;
        let bytes = lanes.bytes();
        let (insn, keep) = match op {
            F::Add => (ADD, Keep::Numbers),
            F::Sub | F::Abd => (SUB, Keep::Numbers),
            F::Mul | F::NMul => (MUL, Keep::UnlessTiny),
            F::Div => (DIV, Keep::UnlessTiny),
            F::Max | F::MaxNm | F::Min | F::MinNm => {
                self.max_min(matches!(op, F::Max | F::MaxNm), lanes, s, slow);
                return Done::Checked;
            }
            F::CmpEq | F::CmpGe | F::CmpGt | F::AcGe | F::AcGt => {
                self.compare_lanes(op, lanes, s);
                return Done::Whole;
            }
            F::MulX | F::RecpS | F::RsqrtS => return Done::Not,
        };
        // What is above the element of a scalar comes from the first operand: better one that has zeros there.
        if is_scalar(lanes)
            && matches!(insn, ADD | MUL)
            && self.has_zeros(b, bytes)
            && !self.has_zeros(a, bytes)
        {
            (a, b) = (b, a);
        }
        let t = self.vresult(d, &[a, b], 0);
        if lanes == Lanes::S2 && insn == DIV {
            // Zero by zero would be invalid: divide the same elements twice.
            self.vload_twice(0, a);
            self.vload_twice(1, b);
            self.op3(arith(DIV, lanes), 0, 0, Src::Reg(1));
            self.check(lanes, keep, 0, slow);
            self.vstore_low(d, 0, bytes);
            return Done::Checked;
        }
        let x = self.first(a, lanes, 0);
        let y = self.other(b, lanes, 1);
        self.op3(arith(insn, lanes), t, x, y);
        self.check(lanes, keep, t, slow);
        match op {
            F::Abd => {
                let absolute = absolute(lanes);
                self.op3(ANDPS, t, t, absolute);
            }
            F::NMul => {
                let sign = sign(lanes);
                self.op3(sse::XORPS, t, t, sign);
            }
            _ => {}
        }
        self.vstore_sized(d, t, bytes);
        Done::Checked
    }

    /// True if a slot is in a register, with zeros above its low `bytes`.
    fn has_zeros(&self, slot: u8, bytes: u8) -> bool {
        self.vcurrent(slot).is_some() && self.vfits(slot, bytes)
    }

    /// The host's maximum is its second operand if the two are equal: of zeros of unlike signs it may be the wrong one.
    /// Taken both ways, the two results differ in nothing but the sign of zero. It signals every NaN, so there must be none.
    fn max_min(&mut self, max: bool, lanes: Lanes, s: [u8; 3], slow: DynamicLabel) {
        let [d, a, b] = s;
        let x = self.first(a, lanes, 0);
        let y = self.first(b, lanes, 1);
        if is_scalar(lanes) {
            let ucomis = if is_double(lanes) { sse::UCOMISD } else { sse::UCOMISS };
            self.op2(ucomis, x, Src::Reg(y));
            asm!(self; jp =>slow);
        } else {
            self.op3i(arith(CMP, lanes), 2, x, Src::Reg(y), UNORD);
            self.leave_if_any(lanes, 2, slow);
        }
        let (insn, both) = if max { (MAX, sse::PAND) } else { (MIN, sse::POR) };
        let t = self.vresult(d, &[], 0);
        self.op3(arith(insn, lanes), 2, x, Src::Reg(y));
        self.op3(arith(insn, lanes), 3, y, Src::Reg(x));
        self.op3(both, t, 2, Src::Reg(3));
        self.vstore_sized(d, t, lanes.bytes());
    }

    /// Comparisons to all ones or zero. Of NaNs they are false, and raise what Arm's raise.
    fn compare_lanes(&mut self, op: BinFp, lanes: Lanes, s: [u8; 3]) {
        let [d, a, b] = s;
        let (how, a, b) = match op {
            BinFp::CmpEq => (EQ, a, b),
            // b <= a, b < a.
            BinFp::CmpGe | BinFp::AcGe => (LE, b, a),
            _ => (LT, b, a),
        };
        let mut x = self.first(a, lanes, 0);
        let mut y = self.other(b, lanes, 1);
        if matches!(op, BinFp::AcGe | BinFp::AcGt) {
            let absolute = absolute(lanes);
            let whole = self.vread(b, 1);
            self.op3(ANDPS, 0, x, absolute);
            self.op3(ANDPS, 1, whole, absolute);
            (x, y) = (0, Src::Reg(1));
        }
        let t = self.vresult(d, &[], 0);
        self.op3i(arith(CMP, lanes), t, x, y, how);
        if lanes == Lanes::S2 {
            self.vstore_low(d, t, 8);
        } else {
            self.vstore_sized(d, t, lanes.bytes());
        }
    }

    fn fused(&mut self, op: FusedFp, lanes: Lanes, s: [u8; 4], slow: DynamicLabel) {
        let [d, a, b, c] = s;
        // The addend is the destination: +-xmm +- a * b, rounded once.
        let opcode = match op {
            FusedFp::MulAdd => 0xb8,
            FusedFp::MulSub => 0xbc,
            FusedFp::NMulAdd => 0xbe,
            FusedFp::NMulSub => 0xba,
        };
        let insn = Insn::fma(opcode + u8::from(is_scalar(lanes)), is_double(lanes));
        let t = self.vresult(d, &[a, b, c], 0);
        self.vload_low(t, c, lanes.bytes());
        let x = if lanes == Lanes::S2 { self.first(a, lanes, 1) } else { self.vread(a, 1) };
        let y = self.other(b, lanes, 2);
        self.op3(insn, t, x, y);
        self.check(lanes, Keep::UnlessTiny, t, slow);
        self.vstore_sized(d, t, lanes.bytes());
    }

    fn add_pairs(&mut self, lanes: Lanes, s: [u8; 3], slow: DynamicLabel) {
        let [d, a, b] = s;
        let t = self.vresult(d, &[a, b], 0);
        if lanes == Lanes::S2 {
            self.vload_low(0, a, 8);
            let b = self.vread(b, 1);
            self.op3(sse::PUNPCKLQDQ, 0, 0, Src::Reg(b));
            self.op3(sse::HADDPS, 0, 0, Src::Reg(0));
            self.check(lanes, Keep::Numbers, 0, slow);
            return self.vstore_low(d, 0, 8);
        }
        let x = self.vread(a, 0);
        let y = self.vsrc(b);
        self.op3(if lanes == Lanes::S4 { sse::HADDPS } else { sse::HADDPD }, t, x, y);
        self.check(lanes, Keep::Numbers, t, slow);
        self.vstore(d, t);
    }

    /// An operation with one operand, of an instruction that takes what is above a scalar from another one.
    pub(super) fn float_insn(&mut self, insn: Insn, imm: Option<u8>, lanes: Lanes, t: u8, a: u8) {
        if is_scalar(lanes) {
            let x = if self.has_zeros(a, lanes.bytes()) {
                self.vread(a, 1)
            } else {
                self.clear(1);
                1
            };
            let a = self.vsrc(a);
            self.op3(insn, t, x, a);
        } else {
            let a = self.other(a, lanes, 1);
            self.op2(insn, t, a);
        }
        self.ops.extend(imm);
    }

    fn float_unary(&mut self, op: UnFp, imm: u32, lanes: Lanes, s: [u8; 2], slow: DynamicLabel) -> Done {
        let [d, a] = s;
        match op {
            UnFp::Abs => {
                let x = self.vread(a, 0);
                let t = self.vresult(d, &[], 0);
                self.op3(ANDPS, t, x, absolute(lanes));
                self.vstore_sized(d, t, lanes.bytes());
                return Done::Whole;
            }
            UnFp::Neg => {
                let x = self.first(a, lanes, 0);
                let t = self.vresult(d, &[], 0);
                self.op3(sse::XORPS, t, x, sign(lanes));
                self.vstore_sized(d, t, lanes.bytes());
                return Done::Whole;
            }
            _ => {}
        }
        let t = self.vresult(d, &[a], 0);
        match op {
            UnFp::Sqrt => {
                // Never tiny: the root of the least number is far from it.
                self.float_insn(arith(SQRT, lanes), None, lanes, t, a);
            }
            UnFp::RInt | UnFp::RIntExact => {
                let quiet = if op == UnFp::RInt { 8 } else { 0 };
                let Some(mode) = host_rounding(imm) else {
                    if imm & 7 != Rounding::TieAway as u32 {
                        return Done::Not;
                    }
                    let x = self.first(a, lanes, 0);
                    self.leave_if_whole(lanes, x, slow);
                    self.round_away(lanes, x, quiet);
                    self.vstore_sized(d, 1, lanes.bytes());
                    return Done::Checked;
                };
                let round = match lanes {
                    Lanes::S1 => sse::ROUNDSS,
                    Lanes::D1 => sse::ROUNDSD,
                    Lanes::S2 | Lanes::S4 => sse::ROUNDPS,
                    _ => sse::ROUNDPD,
                };
                self.float_insn(round, Some(quiet | mode), lanes, t, a);
            }
            _ => return Done::Not,
        }
        self.check(lanes, Keep::Numbers, t, slow);
        self.vstore_sized(d, t, lanes.bytes());
        Done::Checked
    }

    fn convert(&mut self, from: Fmt, to: Fmt, imm: u32, s: [u8; 2], slow: DynamicLabel) -> Done {
        let [d, a] = s;
        if !nearest(imm) {
            return Done::Not;
        }
        let t = self.vresult(d, &[a], 0);
        let from_slot = self.vsrc(a);
        let (insn, lanes, keep) = match (from, to) {
            (Fmt::S, Fmt::D) => (sse::CVTSS2SD, Lanes::D1, Keep::Numbers),
            (Fmt::D, Fmt::S) => (sse::CVTSD2SS, Lanes::S1, Keep::UnlessTiny),
            _ => return Done::Not,
        };
        self.clear(1);
        self.op3(insn, t, 1, from_slot);
        self.check(lanes, keep, t, slow);
        self.vstore_sized(d, t, lanes.bytes());
        Done::Checked
    }

    /// Goes to `slow` if an element is so large that it has no fraction, or is infinite or a NaN. Changes eax, xmm1.
    pub(super) fn leave_if_whole(&mut self, lanes: Lanes, x: u8, slow: DynamicLabel) {
        match lanes {
            Lanes::D1 => {
                asm!(self; movq rax, Rx(x) ; add rax, rax ; shr rax, 53 ; cmp eax, 1023 + 52 ; jae =>slow)
            }
            Lanes::S1 => {
                asm!(self; movd eax, Rx(x) ; add eax, eax ; shr eax, 24 ; cmp eax, 127 + 23 ; jae =>slow)
            }
            _ => {
                self.op3(ANDPS, 1, x, absolute(lanes));
                let (insn, most) = if is_double(lanes) {
                    (sse::PCMPGTQ, constant!(fraction64))
                } else {
                    (sse::PCMPGTD, constant!(fraction32))
                };
                self.op3(insn, 1, 1, Src::Mem(most));
                self.leave_if_any(lanes, 1, slow);
            }
        }
    }

    /// xmm1 = xmm `x` rounded to integral values, ties away from zero, where all have a fraction. `quiet` is 8, or 0 to
    /// raise inexact. Changes xmm2, xmm3; `x` is not one of these.
    pub(super) fn round_away(&mut self, lanes: Lanes, x: u8, quiet: u8) {
        let (half, one) = if is_double(lanes) {
            (constant!(half64), constant!(one64))
        } else {
            (constant!(half32), constant!(one32))
        };
        let towards_zero = 3 | quiet;
        match lanes {
            Lanes::S1 => self.op3i(sse::ROUNDSS, 1, x, Src::Reg(x), towards_zero),
            Lanes::D1 => self.op3i(sse::ROUNDSD, 1, x, Src::Reg(x), towards_zero),
            Lanes::S2 | Lanes::S4 => self.op2i(sse::ROUNDPS, 1, Src::Reg(x), towards_zero),
            _ => self.op2i(sse::ROUNDPD, 1, Src::Reg(x), towards_zero),
        }
        // The fraction, and one more where it is a half or greater; these are exact.
        self.op3(arith(SUB, lanes), 2, x, Src::Reg(1));
        self.op3(ANDPS, 2, 2, absolute(lanes));
        self.op3i(arith(CMP, lanes), 2, 2, Src::Mem(half), NLT);
        self.op3(ANDPS, 3, x, sign(lanes));
        self.op3(ANDPS, 2, 2, Src::Mem(one));
        self.op3(sse::POR, 2, 2, Src::Reg(3));
        self.op3(arith(ADD, lanes), 1, 1, Src::Reg(2));
        // Zero keeps its sign.
        self.op3(sse::POR, 1, 1, Src::Reg(3));
        if lanes == Lanes::S2 {
            self.low(1, 1, 8);
        }
    }
}

/// True if a rounding mode in an immediate is to nearest even, as far as host code is concerned.
pub(super) const fn nearest(imm: u32) -> bool {
    imm & 7 == Rounding::BY_FPCR || imm & 7 == Rounding::TieEven as u32
}

/// The immediate of ROUNDSD for a rounding mode.
pub(super) fn host_rounding(imm: u32) -> Option<u8> {
    match imm & 7 {
        _ if nearest(imm) => Some(0),
        m if m == Rounding::PlusInf as u32 => Some(2),
        m if m == Rounding::MinusInf as u32 => Some(1),
        m if m == Rounding::Zero as u32 => Some(3),
        _ => None,
    }
}

/// All but the signs of the elements; zero above them.
pub(super) const fn absolute(lanes: Lanes) -> Src {
    Src::Mem(match lanes {
        Lanes::S1 => constant!(absolute_s1),
        Lanes::D1 => constant!(absolute_d1),
        Lanes::S2 => constant!(absolute_s2),
        Lanes::D2 => constant!(absolute64),
        _ => constant!(absolute32),
    })
}

/// The signs of the elements; zero above them.
pub(super) const fn sign(lanes: Lanes) -> Src {
    Src::Mem(match lanes {
        Lanes::S1 => constant!(sign_s1),
        Lanes::D1 => constant!(sign_d1),
        Lanes::S2 => constant!(sign_s2),
        Lanes::D2 => constant!(sign64),
        _ => constant!(sign32),
    })
}

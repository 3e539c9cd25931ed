//! Floating-point comparisons and conversions that give or take integers: NZCV, general registers, elements.

use dynasmrt::{DynamicLabel, DynasmApi, DynasmLabelApi};
use emu_a64::fp::{Fmt, FpOp, IntFmt, Lanes, Rounding};

use super::fp::{Done, arith, host_rounding, is_double, nearest};
use super::memory::Call;
use super::sse::{self, Insn, Src};
use super::{Emitter, RAX, asm};
use crate::interp::uop::{Exact, FIRST_TEMP, Uop};

const ADD: u8 = 0x58;
const MUL: u8 = 0x59;
/// Conversion to an integer as MXCSR says.
const CVTPS2DQ: Insn = Insn::float(0x5b, 1);

/// Width and signedness.
const fn parts(int: IntFmt) -> Option<(bool, bool)> {
    match int {
        IntFmt::I32 => Some((false, true)),
        IntFmt::U32 => Some((false, false)),
        IntFmt::I64 => Some((true, true)),
        IntFmt::U64 => Some((true, false)),
        _ => None,
    }
}

impl Emitter<'_> {
    /// The operation after this one and `n - 1` others.
    fn ahead(&self, n: usize) -> Option<Uop> {
        self.input.code.uops.get(self.uop_index + n).copied()
    }

    /// N, Z, C, V of a comparison of scalars: its result, or at once the flags that are made of it.
    ///
    /// The flags of less, equal, greater, unordered are those of comparing 0, 1, 2, -2^31 with 1.
    pub(super) fn compare(&mut self, fmt: Fmt, signalling: bool, s: [u8; 3]) {
        let [d, a, b] = s;
        let insn = match (fmt, signalling) {
            (Fmt::D, false) => sse::UCOMISD,
            (Fmt::D, true) => sse::COMISD,
            (_, false) => sse::UCOMISS,
            (_, true) => sse::COMISS,
        };
        let a = self.vread(a, 0);
        let b = self.vsrc(b);
        if let Some(Uop::VLane { d: lane, a: of, esize: 2, lane: 0 }) = self.ahead(1)
            && of == d
            && let Some(Uop::Nzcv { d: flags, a: from }) = self.ahead(2)
            && from == lane
            && lane >= FIRST_TEMP
        {
            self.preserve_operand(lane);
            asm!(self; xor eax, eax ; mov ecx, i32::MIN);
            self.op2(insn, a, b);
            asm!(self; seta al ; cmovp eax, ecx ; sbb eax, -1);
            self.store(lane, RAX);
            self.next_uop = self.uop_index + 3;
            return self.operation(Uop::FlagsSubI32 { d: flags, a: lane, imm: 1 });
        }
        self.op2(insn, a, b);
        asm!(self
            ; mov eax, 0x2000_0000
            ; mov ecx, 0x8000_0000u32 as i32
            ; cmovb eax, ecx
            ; mov ecx, 0x6000_0000
            ; cmove eax, ecx
            ; mov ecx, 0x3000_0000
            ; cmovp eax, ecx
        );
        self.vstore_general(d, RAX, 4);
    }

    /// A conversion whose result only goes on to a general register; false if it is something else.
    pub(super) fn fused_to_int(&mut self, op: FpOp, imm: u32, d: u8, a: u8) -> bool {
        let FpOp::ToInt { from, to } = op else { return false };
        let Some(Uop::VLane { d: result, a: of, esize: esize @ (2 | 3), lane: 0 }) = self.ahead(1) else {
            return false;
        };
        let Some((wide, _)) = parts(to) else { return false };
        if of != d || d < FIRST_TEMP || wide != (esize == 3) {
            return false;
        }
        let slow = self.ops.new_dynamic_label();
        self.preserve_operand(result);
        if !self.integer_in_rax(from, to, imm, a, slow) {
            return false;
        }
        self.next_uop = self.uop_index + 2;
        self.store(result, RAX);
        let back = self.defer(slow, Call::ExactLane { n: self.uop_index, v: d, d: result, wide });
        self.resume(back);
        true
    }

    pub(super) fn float_to_int(
        &mut self,
        from: Fmt,
        to: IntFmt,
        imm: u32,
        s: [u8; 2],
        slow: DynamicLabel,
    ) -> Done {
        let [d, a] = s;
        if !self.integer_in_rax(from, to, imm, a, slow) {
            return Done::Not;
        }
        self.vstore_general(d, RAX, 8);
        Done::Checked
    }

    /// A scalar as an integer in rax, zero-extended; false, with nothing emitted, if there is no code for it.
    ///
    /// Out of range the host raises invalid operation alone, as Arm does, and gives its least integer; where it would
    /// raise inexact before that is known, the exponent is looked at first.
    fn integer_in_rax(&mut self, from: Fmt, to: IntFmt, imm: u32, a: u8, slow: DynamicLabel) -> bool {
        let Some((wide, signed)) = parts(to) else { return false };
        if imm >> 8 != 0 || from == Fmt::H {
            return false;
        }
        let away = imm & 7 == Rounding::TieAway as u32;
        let towards_zero = imm == Rounding::Zero as u32;
        let direct = signed && (towards_zero || nearest(imm));
        let Some(mode) = host_rounding(imm).or(away.then_some(3)) else { return false };
        let lanes = from.scalar();
        let bits = if wide { 64 } else { 32 };
        let mut x = self.vsrc(a);
        if !direct {
            // Less than 2^most in magnitude, and not negative if the integer is unsigned.
            let most = match (towards_zero, signed, wide) {
                (true, false, false) => 32,
                (true, false, true) => 63,
                _ => bits - 2,
            };
            let r = self.first(a, lanes, 0);
            self.move_to_general(RAX, r, from == Fmt::D);
            match (from, signed) {
                (Fmt::D, true) => asm!(self; add rax, rax ; shr rax, 53 ; cmp eax, 1023 + most),
                (Fmt::D, false) => asm!(self; shr rax, 52 ; cmp eax, 1023 + most),
                (_, true) => asm!(self; add eax, eax ; shr eax, 24 ; cmp eax, 127 + most),
                (_, false) => asm!(self; shr eax, 23 ; cmp eax, 127 + most),
            }
            asm!(self; jae =>slow);
            if away {
                self.round_away(lanes, r, 0);
                x = Src::Reg(1);
            } else if !towards_zero {
                let round = if from == Fmt::D { sse::ROUNDSD } else { sse::ROUNDSS };
                self.op3i(round, 1, r, Src::Reg(r), mode);
                x = Src::Reg(1);
            } else {
                x = Src::Reg(r);
            }
        }
        // What is in range of an unsigned word is in range of a doubleword.
        let wide_host = wide || !signed;
        let opcode = if direct && !towards_zero { 0x2d } else { 0x2c };
        self.float_to_general(opcode, from, wide_host, x);
        if direct {
            // Only the least integer overflows when 1 is taken from it.
            if wide {
                asm!(self; mov rcx, rax ; sub rcx, 1 ; jo =>slow);
            } else {
                asm!(self; mov ecx, eax ; sub ecx, 1 ; jo =>slow);
            }
        }
        true
    }

    /// CVTTSD2SI and its kin, to rax or eax.
    fn float_to_general(&mut self, opcode: u8, from: Fmt, wide: bool, x: Src) {
        match (opcode == 0x2c, from, wide, x) {
            (true, Fmt::D, true, Src::Reg(x)) => asm!(self; cvttsd2si rax, Rx(x)),
            (true, Fmt::D, true, Src::Mem(at)) => asm!(self; cvttsd2si rax, QWORD [r15 + at]),
            (true, Fmt::D, false, Src::Reg(x)) => asm!(self; cvttsd2si eax, Rx(x)),
            (true, Fmt::D, false, Src::Mem(at)) => asm!(self; cvttsd2si eax, QWORD [r15 + at]),
            (true, _, true, Src::Reg(x)) => asm!(self; cvttss2si rax, Rx(x)),
            (true, _, true, Src::Mem(at)) => asm!(self; cvttss2si rax, DWORD [r15 + at]),
            (true, _, false, Src::Reg(x)) => asm!(self; cvttss2si eax, Rx(x)),
            (true, _, false, Src::Mem(at)) => asm!(self; cvttss2si eax, DWORD [r15 + at]),
            (false, Fmt::D, true, Src::Reg(x)) => asm!(self; cvtsd2si rax, Rx(x)),
            (false, Fmt::D, true, Src::Mem(at)) => asm!(self; cvtsd2si rax, QWORD [r15 + at]),
            (false, Fmt::D, false, Src::Reg(x)) => asm!(self; cvtsd2si eax, Rx(x)),
            (false, Fmt::D, false, Src::Mem(at)) => asm!(self; cvtsd2si eax, QWORD [r15 + at]),
            (false, _, true, Src::Reg(x)) => asm!(self; cvtss2si rax, Rx(x)),
            (false, _, true, Src::Mem(at)) => asm!(self; cvtss2si rax, DWORD [r15 + at]),
            (false, _, false, Src::Reg(x)) => asm!(self; cvtss2si eax, Rx(x)),
            (false, _, false, Src::Mem(at)) => asm!(self; cvtss2si eax, DWORD [r15 + at]),
        }
    }

    /// A move of a general register that only goes on to a conversion, together with that; false if it is something else.
    pub(super) fn fused_from_int(&mut self, d: u8, a: u8) -> bool {
        let Some(Uop::Call { d: result, a: of, call, .. }) = self.ahead(1) else { return false };
        let Some(call) = self.input.code.calls.get(call as usize).copied() else { return false };
        let Exact::Fp(FpOp::FromInt { from, to }) = call.op else { return false };
        if of != d || d < FIRST_TEMP || !self.input.mode.fp_plain || parts(from).is_none() || to == Fmt::H {
            return false;
        }
        let r = self.read(a, RAX);
        self.next_uop = self.uop_index + 2;
        self.general_to_float(from, to, call.imm >> 8, result, r);
        true
    }

    pub(super) fn float_from_int(&mut self, from: IntFmt, to: Fmt, imm: u32, s: [u8; 2]) -> Done {
        let [d, a] = s;
        if to == Fmt::H || parts(from).is_none() {
            return Done::Not;
        }
        let a = self.vread(a, 0);
        self.move_to_general(RAX, a, true);
        self.general_to_float(from, to, imm >> 8, d, RAX);
        Done::Whole
    }

    /// An integer with `fraction` bits in a general register, to slot `d`.
    fn general_to_float(&mut self, from: IntFmt, to: Fmt, fraction: u32, d: u8, r: u8) {
        let lanes = to.scalar();
        let t = self.vresult(d, &[], 0);
        self.clear(t);
        let convert = |s: &mut Self, r: u8, wide: bool| match (to, wide) {
            (Fmt::D, true) => asm!(s; cvtsi2sd Rx(t), Rq(r)),
            (Fmt::D, false) => asm!(s; cvtsi2sd Rx(t), Rd(r)),
            (_, true) => asm!(s; cvtsi2ss Rx(t), Rq(r)),
            (_, false) => asm!(s; cvtsi2ss Rx(t), Rd(r)),
        };
        match from {
            IntFmt::I64 => convert(self, r, true),
            IntFmt::U64 => {
                let (large, done) = (self.ops.new_dynamic_label(), self.ops.new_dynamic_label());
                asm!(self; test Rq(r), Rq(r) ; js =>large);
                convert(self, r, true);
                // Half of it, the lost bit kept in the last one, so that rounding is the same.
                asm!(self
                    ; jmp =>done
                    ; =>large
                    ; mov rcx, Rq(r)
                    ; mov rdx, Rq(r)
                    ; shr rcx, 1
                    ; and edx, 1
                    ; or rcx, rdx
                );
                convert(self, super::RCX, true);
                self.op3(arith(ADD, lanes), t, t, Src::Reg(t));
                asm!(self; =>done);
            }
            IntFmt::U32 => {
                asm!(self; mov eax, Rd(r));
                convert(self, RAX, true);
            }
            _ => convert(self, r, false),
        }
        if fraction != 0 {
            // Exact: the result is far from the ends of the range.
            if to == Fmt::D {
                asm!(self; mov rax, QWORD (1023 - i64::from(fraction)) << 52 ; movq xmm1, rax);
            } else {
                asm!(self; mov eax, (127 - fraction as i32) << 23 ; movd xmm1, eax);
            }
            self.op3(arith(MUL, lanes), t, t, Src::Reg(1));
        }
        self.vstore_sized(d, t, lanes.bytes());
    }

    /// Elements to integers of the same width.
    pub(super) fn ints_from(
        &mut self,
        lanes: Lanes,
        signed: bool,
        imm: u32,
        s: [u8; 2],
        slow: DynamicLabel,
    ) -> Done {
        let [d, a] = s;
        match lanes {
            Lanes::S1 | Lanes::D1 => {
                let to = IntFmt::as_wide_as(lanes.fmt(), signed);
                if !self.integer_in_rax(lanes.fmt(), to, imm, a, slow) {
                    return Done::Not;
                }
                self.vstore_general(d, RAX, lanes.bytes());
            }
            Lanes::S2 | Lanes::S4 if signed && imm >> 8 == 0 => {
                let insn = match imm & 7 {
                    _ if nearest(imm) => CVTPS2DQ,
                    m if m == Rounding::Zero as u32 => sse::CVTTPS2DQ,
                    _ => return Done::Not,
                };
                let t = self.vresult(d, &[a], 0);
                self.float_insn(insn, None, lanes, t, a);
                let least = super::fp::sign(Lanes::S4);
                self.op3(sse::PCMPEQD, 1, t, least);
                self.leave_if_any(lanes, 1, slow);
                self.vstore_sized(d, t, lanes.bytes());
            }
            Lanes::D2 if signed && imm >> 8 == 0 => {
                let opcode = match imm & 7 {
                    _ if nearest(imm) => 0x2d,
                    m if m == Rounding::Zero as u32 => 0x2c,
                    _ => return Done::Not,
                };
                for high in [false, true] {
                    let x = self.vhalf(a, high, 1);
                    self.float_to_general(opcode, Fmt::D, true, x);
                    asm!(self; mov rcx, rax ; sub rcx, 1 ; jo =>slow);
                    if high {
                        asm!(self; pinsrq xmm0, rax, 1);
                    } else {
                        asm!(self; movq xmm0, rax);
                    }
                }
                self.vstore(d, 0);
            }
            _ => return Done::Not,
        }
        Done::Checked
    }

    /// Elements from integers of the same width.
    pub(super) fn ints_to(&mut self, lanes: Lanes, signed: bool, imm: u32, s: [u8; 2]) -> Done {
        let [d, a] = s;
        match lanes {
            Lanes::S1 | Lanes::D1 => {
                let from = IntFmt::as_wide_as(lanes.fmt(), signed);
                return self.float_from_int(from, lanes.fmt(), imm, [d, a]);
            }
            Lanes::S2 | Lanes::S4 if signed && imm >> 8 == 0 => {
                let t = self.vresult(d, &[], 0);
                self.float_insn(sse::CVTDQ2PS, None, lanes, t, a);
                self.vstore_sized(d, t, lanes.bytes());
            }
            Lanes::D2 if imm >> 8 == 0 && signed => {
                let a = self.vread(a, 0);
                asm!(self; movq rax, Rx(a) ; pextrq rcx, Rx(a), 1);
                self.clear(0);
                self.clear(1);
                asm!(self; cvtsi2sd xmm0, rax ; cvtsi2sd xmm1, rcx);
                debug_assert!(is_double(lanes));
                self.op3(sse::UNPCKLPD, 0, 0, Src::Reg(1));
                self.vstore(d, 0);
            }
            _ => return Done::Not,
        }
        Done::Whole
    }
}

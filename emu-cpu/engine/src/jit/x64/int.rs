//! Integer arithmetic, logic and shifts.

use dynasmrt::{DynasmApi, DynasmLabelApi};

use super::{Emitter, RAX, RCX, RDX, asm, int_disp, state};
use crate::interp::uop::{FIRST_TEMP, Uop};
use crate::jit::state::JitState;

/// An instruction with two operands, the second one a slot.
macro_rules! two {
    ($s:ident, $op:ident, $wide:expr, $r:expr, $slot:expr) => {
        match ($s.reg($slot), $wide) {
            (Some(b), true) => asm!($s; $op Rq($r), Rq(b)),
            (Some(b), false) => asm!($s; $op Rd($r), Rd(b)),
            (None, true) => asm!($s; $op Rq($r), [r15 + int_disp($slot)]),
            (None, false) => asm!($s; $op Rd($r), [r15 + int_disp($slot)]),
        }
    };
}

/// d = a op b.
macro_rules! binary {
    ($s:ident, $op:ident, $wide:expr, $commutes:expr, $d:expr, $a:expr, $b:expr) => {{
        let (d, mut a, mut b) = ($d, $a, $b);
        if $commutes && $s.reg(d).is_some() && d == b {
            (a, b) = (b, a);
        }
        // Where the result would overwrite the second operand, it is made elsewhere.
        let r = if d == b && d != a { RAX } else { $s.result(d, RAX) };
        $s.load(r, a);
        two!($s, $op, $wide, r, b);
        $s.store(d, r);
    }};
}

/// d = a op constant.
macro_rules! immediate {
    ($s:ident, $op:ident, $d:expr, $a:expr, $imm:expr) => {{
        let r = $s.result($d, RAX);
        $s.load(r, $a);
        match i32::try_from(($imm) as i64) {
            Ok(imm) => asm!($s; $op Rq(r), imm),
            Err(_) => asm!($s; mov rcx, QWORD ($imm) as i64 ; $op Rq(r), rcx),
        }
        $s.store($d, r);
    }};
}

macro_rules! immediate32 {
    ($s:ident, $op:ident, $d:expr, $a:expr, $imm:expr) => {{
        let r = $s.result($d, RAX);
        $s.load32(r, $a);
        asm!($s; $op Rd(r), ($imm) as i32);
        $s.store($d, r);
    }};
}

/// d = a shifted by a constant.
macro_rules! shift {
    ($s:ident, $op:ident, $wide:expr, $d:expr, $a:expr, $n:expr) => {{
        let r = $s.result($d, RAX);
        if $wide {
            $s.load(r, $a);
            asm!($s; $op Rq(r), ($n) as i8);
        } else {
            $s.load32(r, $a);
            asm!($s; $op Rd(r), ($n) as i8);
        }
        $s.store($d, r);
    }};
}

/// d = a shifted by b, modulo the width, as the host's shifts do.
macro_rules! shift_by {
    ($s:ident, $op:ident, $wide:expr, $d:expr, $a:expr, $b:expr) => {{
        $s.load(RCX, $b);
        $s.load(RAX, $a);
        if $wide {
            asm!($s; $op rax, cl);
        } else {
            asm!($s; $op eax, cl);
        }
        $s.store($d, RAX);
    }};
    ($s:ident, $op:ident, $flagless:ident, $wide:expr, $d:expr, $a:expr, $b:expr) => {{
        if $s.host.bmi2 {
            let n = $s.read($b, RCX);
            let a = $s.read($a, RAX);
            let r = $s.result($d, RAX);
            if $wide {
                asm!($s; $flagless Rq(r), Rq(a), Rq(n));
            } else {
                asm!($s; $flagless Rd(r), Rd(a), Rd(n));
            }
            $s.store($d, r);
        } else {
            shift_by!($s, $op, $wide, $d, $a, $b)
        }
    }};
}

/// d = a op NOT b.
macro_rules! inverted {
    ($s:ident, $op:ident, $wide:expr, $d:expr, $a:expr, $b:expr) => {{
        $s.load(RAX, $b);
        asm!($s; not rax);
        two!($s, $op, $wide, RAX, $a);
        $s.store($d, RAX);
    }};
}

/// d = op a, in place.
macro_rules! unary {
    ($s:ident, $op:ident, $wide:expr, $d:expr, $a:expr) => {{
        let r = $s.result($d, RAX);
        if $wide {
            $s.load(r, $a);
            asm!($s; $op Rq(r));
        } else {
            $s.load32(r, $a);
            asm!($s; $op Rd(r));
        }
        $s.store($d, r);
    }};
}

/// d = a extended.
macro_rules! extend {
    ($s:ident, $op:ident, $to:ident, $from:ident, $size:ident, $d:expr, $a:expr) => {{
        let r = $s.result($d, RAX);
        match $s.reg($a) {
            Some(a) => asm!($s; $op $to(r), $from(a)),
            None => asm!($s; $op $to(r), $size [r15 + int_disp($a)]),
        }
        $s.store($d, r);
    }};
}

impl Emitter<'_> {
    /// What has instructions of the host that leave its flags alone; false if it is something else.
    pub(super) fn moves(&mut self, uop: Uop) -> bool {
        match uop {
            Uop::Mov { d, a } => {
                let r = match self.reg(d) {
                    Some(r) => {
                        self.load(r, a);
                        r
                    }
                    None => self.read(a, RAX),
                };
                self.store(d, r);
            }
            Uop::Const { d, imm } => self.constant(d, imm),
            Uop::AddI64 { d, a, imm } => self.add_immediate(d, a, imm),
            Uop::AddI32 { d, a, imm } => {
                let a = self.read(a, RAX);
                let r = self.result(d, RAX);
                asm!(self; lea Rd(r), [Rq(a) + imm as i32]);
                self.store(d, r);
            }
            Uop::Not64 { d, a } => unary!(self, not, true, d, a),
            Uop::Not32 { d, a } => unary!(self, not, false, d, a),
            Uop::Zext8 { d, a } => extend!(self, movzx, Rd, Rb, BYTE, d, a),
            Uop::Zext16 { d, a } => extend!(self, movzx, Rd, Rw, WORD, d, a),
            Uop::Zext32 { d, a } => {
                let r = self.result(d, RAX);
                self.load32(r, a);
                self.store(d, r);
            }
            Uop::Sext8To32 { d, a } => extend!(self, movsx, Rd, Rb, BYTE, d, a),
            Uop::Sext16To32 { d, a } => extend!(self, movsx, Rd, Rw, WORD, d, a),
            Uop::Sext8 { d, a } => extend!(self, movsx, Rq, Rb, BYTE, d, a),
            Uop::Sext16 { d, a } => extend!(self, movsx, Rq, Rw, WORD, d, a),
            Uop::Sext32 { d, a } => extend!(self, movsxd, Rq, Rd, DWORD, d, a),
            _ => return false,
        }
        true
    }

    /// Arithmetic and logic; false if it is something else.
    pub(super) fn integer(&mut self, uop: Uop) -> bool {
        match uop {
            Uop::PcRel { d, rel } => self.page_relative(d, rel.wrapping_add(i64::from(self.input.offset))),
            Uop::PcPage { d, rel } => self.page_relative(d, rel),

            Uop::Add64 { d, a, b } => self.add(d, a, b),
            Uop::Add32 { d, a, b } => self.add32(d, a, b),
            Uop::Sub64 { d, a, b } => binary!(self, sub, true, false, d, a, b),
            Uop::Sub32 { d, a, b } => binary!(self, sub, false, false, d, a, b),
            Uop::And64 { d, a, b } => binary!(self, and, true, true, d, a, b),
            Uop::And32 { d, a, b } => binary!(self, and, false, true, d, a, b),
            Uop::Or64 { d, a, b } => binary!(self, or, true, true, d, a, b),
            Uop::Or32 { d, a, b } => binary!(self, or, false, true, d, a, b),
            Uop::Xor64 { d, a, b } => binary!(self, xor, true, true, d, a, b),
            Uop::Xor32 { d, a, b } => binary!(self, xor, false, true, d, a, b),
            Uop::AndNot64 { d, a, b } if self.host.bmi2 => self.and_not(true, d, a, b),
            Uop::AndNot32 { d, a, b } if self.host.bmi2 => self.and_not(false, d, a, b),
            Uop::AndNot64 { d, a, b } => inverted!(self, and, true, d, a, b),
            Uop::AndNot32 { d, a, b } => inverted!(self, and, false, d, a, b),
            Uop::OrNot64 { d, a, b } => inverted!(self, or, true, d, a, b),
            Uop::OrNot32 { d, a, b } => inverted!(self, or, false, d, a, b),
            Uop::XorNot64 { d, a, b } => inverted!(self, xor, true, d, a, b),
            Uop::XorNot32 { d, a, b } => inverted!(self, xor, false, d, a, b),
            Uop::Mul64 { d, a, b } => binary!(self, imul, true, true, d, a, b),
            Uop::Mul32 { d, a, b } => binary!(self, imul, false, true, d, a, b),
            Uop::SMulH { d, a, b } => {
                self.load(RAX, a);
                let b = self.read(b, RCX);
                asm!(self; imul Rq(b));
                self.store(d, RDX);
            }
            Uop::UMulH { d, a, b } => {
                self.load(RAX, a);
                let b = self.read(b, RCX);
                asm!(self; mul Rq(b));
                self.store(d, RDX);
            }
            Uop::SDiv64 { d, a, b } => self.divide(true, true, d, a, b),
            Uop::SDiv32 { d, a, b } => self.divide(true, false, d, a, b),
            Uop::UDiv64 { d, a, b } => self.divide(false, true, d, a, b),
            Uop::UDiv32 { d, a, b } => self.divide(false, false, d, a, b),
            Uop::Shl64 { d, a, b } => shift_by!(self, shl, shlx, true, d, a, b),
            Uop::Shl32 { d, a, b } => shift_by!(self, shl, shlx, false, d, a, b),
            Uop::Lsr64 { d, a, b } => shift_by!(self, shr, shrx, true, d, a, b),
            Uop::Lsr32 { d, a, b } => shift_by!(self, shr, shrx, false, d, a, b),
            Uop::Asr64 { d, a, b } => shift_by!(self, sar, sarx, true, d, a, b),
            Uop::Asr32 { d, a, b } => shift_by!(self, sar, sarx, false, d, a, b),
            Uop::Ror64 { d, a, b } => shift_by!(self, ror, true, d, a, b),
            Uop::Ror32 { d, a, b } => shift_by!(self, ror, false, d, a, b),
            _ => return self.immediates(uop) || self.unary(uop),
        }
        true
    }

    fn immediates(&mut self, uop: Uop) -> bool {
        match uop {
            Uop::AndI64 { d, a, imm } => immediate!(self, and, d, a, imm),
            Uop::AndI32 { d, a, imm } => immediate32!(self, and, d, a, imm),
            Uop::OrI64 { d, a, imm } => immediate!(self, or, d, a, imm),
            Uop::OrI32 { d, a, imm } => immediate32!(self, or, d, a, imm),
            Uop::XorI64 { d, a, imm } => immediate!(self, xor, d, a, imm),
            Uop::XorI32 { d, a, imm } => immediate32!(self, xor, d, a, imm),
            Uop::ShlI64 { d, a, n } => shift!(self, shl, true, d, a, n & 63),
            Uop::ShlI32 { d, a, n } => shift!(self, shl, false, d, a, n & 31),
            Uop::LsrI64 { d, a, n } => shift!(self, shr, true, d, a, n & 63),
            Uop::LsrI32 { d, a, n } => shift!(self, shr, false, d, a, n & 31),
            Uop::AsrI64 { d, a, n } => shift!(self, sar, true, d, a, n & 63),
            Uop::AsrI32 { d, a, n } => shift!(self, sar, false, d, a, n & 31),
            Uop::RorI64 { d, a, n } if self.host.bmi2 && d != a => {
                let r = self.result(d, RAX);
                self.rotate(r, a, (n & 63) as i8, true);
                self.store(d, r);
            }
            Uop::RorI32 { d, a, n } if self.host.bmi2 => {
                let r = self.result(d, RAX);
                self.rotate(r, a, (n & 31) as i8, false);
                self.store(d, r);
            }
            Uop::RorI64 { d, a, n } => shift!(self, ror, true, d, a, n & 63),
            Uop::RorI32 { d, a, n } => shift!(self, ror, false, d, a, n & 31),
            Uop::AddShl64 { d, a, b, n } => self.add_shifted(d, a, b, n & 63),
            _ => return false,
        }
        true
    }

    fn unary(&mut self, uop: Uop) -> bool {
        match uop {
            Uop::Neg64 { d, a } => unary!(self, neg, true, d, a),
            Uop::Neg32 { d, a } => unary!(self, neg, false, d, a),
            Uop::Rev64 { d, a } => unary!(self, bswap, true, d, a),
            Uop::Rev32 { d, a } => unary!(self, bswap, false, d, a),
            _ => return false,
        }
        true
    }

    fn constant(&mut self, d: u8, imm: u64) {
        let r = self.result(d, RAX);
        if u32::try_from(imm).is_ok() {
            asm!(self; mov Rd(r), imm as i32);
        } else if let Ok(imm) = i32::try_from(imm as i64) {
            asm!(self; mov Rq(r), imm);
        } else {
            asm!(self; mov Rq(r), QWORD imm as i64);
        }
        self.store(d, r);
    }

    /// An address relative to the current page.
    fn page_relative(&mut self, d: u8, rel: i64) {
        if self.page_is_known() {
            return self.constant(d, self.input.page.wrapping_add(rel as u64));
        }
        let r = self.result(d, RAX);
        asm!(self; mov Rq(r), [r15 + state!(page)]);
        match i32::try_from(rel) {
            Ok(0) => {}
            Ok(rel) => asm!(self; add Rq(r), rel),
            Err(_) => asm!(self; mov rcx, QWORD rel ; add Rq(r), rcx),
        }
        self.store(d, r);
    }

    fn add(&mut self, d: u8, a: u8, b: u8) {
        match (self.reg(d), self.reg(a), self.reg(b)) {
            (Some(r), Some(a), Some(b)) if r != a && r != b => asm!(self; lea Rq(r), [Rq(a) + Rq(b)]),
            _ => binary!(self, add, true, true, d, a, b),
        }
    }

    fn add32(&mut self, d: u8, a: u8, b: u8) {
        match (self.reg(d), self.reg(a), self.reg(b)) {
            (Some(r), Some(a), Some(b)) if r != a && r != b => asm!(self; lea Rd(r), [Rq(a) + Rq(b)]),
            _ => binary!(self, add, false, true, d, a, b),
        }
    }

    /// ANDN.
    fn and_not(&mut self, wide: bool, d: u8, a: u8, b: u8) {
        let r = self.result(d, RAX);
        let b = self.read(b, RAX);
        match (self.reg(a), wide) {
            (Some(a), true) => asm!(self; andn Rq(r), Rq(b), Rq(a)),
            (Some(a), false) => asm!(self; andn Rd(r), Rd(b), Rd(a)),
            (None, true) => asm!(self; andn Rq(r), Rq(b), [r15 + int_disp(a)]),
            (None, false) => asm!(self; andn Rd(r), Rd(b), [r15 + int_disp(a)]),
        }
        self.store(d, r);
    }

    fn add_immediate(&mut self, d: u8, a: u8, imm: u64) {
        if d >= FIRST_TEMP && d != a && self.span() {
            return;
        }
        let r = self.result(d, RAX);
        match i32::try_from(imm as i64) {
            Ok(imm) if self.reg(d).is_some() && self.reg(a).is_some() => {
                // What X29 was stored from may be SP's register, and SP what this changes.
                let held = self.held_now().filter(|held| held.register != r);
                let a = self.read(a, RAX);
                asm!(self; lea Rq(r), [Rq(a) + imm]);
                return self.hold_again(held);
            }
            Ok(imm) => {
                let a = self.read(a, RAX);
                asm!(self; lea Rq(r), [Rq(a) + imm]);
            }
            Err(_) => {
                self.flags.clobber_host();
                let a = self.read(a, RAX);
                asm!(self; mov rcx, QWORD imm as i64 ; lea Rq(r), [Rq(a) + rcx]);
            }
        }
        self.store(d, r);
    }

    fn add_shifted(&mut self, d: u8, a: u8, b: u8, n: u8) {
        let r = self.result(d, RAX);
        if n <= 3 {
            let b = self.read(b, RCX);
            let a = self.read(a, RAX);
            match n {
                0 => asm!(self; lea Rq(r), [Rq(a) + Rq(b)]),
                1 => asm!(self; lea Rq(r), [Rq(a) + Rq(b) * 2]),
                2 => asm!(self; lea Rq(r), [Rq(a) + Rq(b) * 4]),
                _ => asm!(self; lea Rq(r), [Rq(a) + Rq(b) * 8]),
            }
        } else {
            self.load(RCX, b);
            let a = self.read(a, RAX);
            asm!(self; shl rcx, n as i8 ; lea Rq(r), [Rq(a) + rcx]);
        }
        self.store(d, r);
    }

    /// x / 0 = 0, and the least number / -1 is itself.
    fn divide(&mut self, signed: bool, wide: bool, d: u8, a: u8, b: u8) {
        if wide {
            self.load(RCX, b);
            self.load(RAX, a);
        } else {
            self.load32(RCX, b);
            self.load32(RAX, a);
        }
        match (signed, wide) {
            (false, false) => asm!(self; test ecx, ecx ; jz >zero ; xor edx, edx ; div ecx ; jmp >done),
            (false, true) => asm!(self
                ; test rcx, rcx ; jz >zero
                // The host divides short numbers much faster.
                ; mov rdx, rax ; or rdx, rcx ; shr rdx, 32 ; jz >short
                ; xor edx, edx ; div rcx ; jmp >done
                ; short: ; xor edx, edx ; div ecx ; jmp >done
            ),
            (true, false) => asm!(self
                ; test ecx, ecx ; jz >zero
                ; cmp ecx, -1 ; jne >divide
                ; neg eax ; jmp >done
                ; divide: ; cdq ; idiv ecx ; jmp >done
            ),
            (true, true) => asm!(self
                ; test rcx, rcx ; jz >zero
                ; mov rdx, rax ; or rdx, rcx ; shr rdx, 31 ; jz >short
                ; cmp rcx, -1 ; jne >divide
                ; neg rax ; jmp >done
                ; short: ; xor edx, edx ; div ecx ; jmp >done
                ; divide: ; cqo ; idiv rcx ; jmp >done
            ),
        }
        asm!(self; zero: ; xor eax, eax ; done:);
        self.store(d, RAX);
    }
}

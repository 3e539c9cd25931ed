//! Bit fields and counting.

use dynasmrt::DynasmApi;

use super::{Emitter, RAX, RCX, RDX, asm};
use crate::interp::uop::Uop;

impl Emitter<'_> {
    /// Operations on bits; false if it is something else.
    pub(super) fn bits(&mut self, uop: Uop) -> bool {
        match uop {
            Uop::Ubfx { d, a, lsb, width } => self.unsigned_field(d, a, lsb & 63, width),
            Uop::Sbfx64 { d, a, lsb, width } => {
                let r = self.result(d, RAX);
                self.load(r, a);
                let up = (64u8.wrapping_sub(lsb.wrapping_add(width)) & 63) as i8;
                if up != 0 {
                    asm!(self; shl Rq(r), up);
                }
                asm!(self; sar Rq(r), (64u8.wrapping_sub(width) & 63) as i8);
                self.store(d, r);
            }
            Uop::Sbfx32 { d, a, lsb, width } => {
                let r = self.result(d, RAX);
                self.load(r, a);
                let up = (64u8.wrapping_sub(lsb.wrapping_add(width)) & 63) as i8;
                if up != 0 {
                    asm!(self; shl Rq(r), up);
                }
                asm!(self; sar Rq(r), (64u8.wrapping_sub(width) & 63) as i8 ; mov Rd(r), Rd(r));
                self.store(d, r);
            }
            Uop::Bfi { d, a, b, lsb, width, word } => {
                let mask = (u64::MAX >> (64 - u32::from(width))) << (lsb & 63);
                self.load(RAX, b);
                let a = self.read(a, RDX);
                if lsb & 63 != 0 {
                    asm!(self; shl rax, (lsb & 63) as i8);
                }
                // (b ^ a) & mask ^ a
                asm!(self; mov rcx, QWORD mask as i64 ; xor rax, Rq(a) ; and rax, rcx ; xor rax, Rq(a));
                if word {
                    asm!(self; mov eax, eax);
                }
                self.store(d, RAX);
            }
            Uop::Extr64 { d, a, b, lsb } => {
                let high = self.read(a, RCX);
                self.load(RAX, b);
                asm!(self; shrd rax, Rq(high), (lsb & 63) as i8);
                self.store(d, RAX);
            }
            Uop::Extr32 { d, a, b, lsb } => {
                let high = self.read(a, RCX);
                self.load32(RAX, b);
                asm!(self; shrd eax, Rd(high), (lsb & 31) as i8);
                self.store(d, RAX);
            }
            Uop::Clz64 { d, a } if self.host.lzcnt => {
                let a = self.read(a, RAX);
                let r = self.result(d, RAX);
                asm!(self; lzcnt Rq(r), Rq(a));
                self.store(d, r);
            }
            Uop::Clz32 { d, a } if self.host.lzcnt => {
                let a = self.read(a, RAX);
                let r = self.result(d, RAX);
                asm!(self; lzcnt Rd(r), Rd(a));
                self.store(d, r);
            }
            Uop::Cls64 { d, a } if self.host.lzcnt => {
                self.load(RAX, a);
                asm!(self; mov rcx, rax ; sar rcx, 63 ; xor rax, rcx ; lzcnt rax, rax ; dec eax);
                self.store(d, RAX);
            }
            Uop::Cls32 { d, a } if self.host.lzcnt => {
                self.load32(RAX, a);
                asm!(self; mov ecx, eax ; sar ecx, 31 ; xor eax, ecx ; lzcnt eax, eax ; dec eax);
                self.store(d, RAX);
            }
            Uop::Rbit64 { d, a } if self.then_counts(d, true) => self.trailing_zeros(d, a, true),
            Uop::Rbit32 { d, a } if self.then_counts(d, false) => self.trailing_zeros(d, a, false),
            Uop::Rbit64 { d, a } => {
                self.load(RAX, a);
                asm!(self; bswap rax);
                self.reverse_in_bytes();
                self.store(d, RAX);
            }
            Uop::Rbit32 { d, a } => {
                self.load32(RAX, a);
                asm!(self; bswap eax);
                self.reverse_in_bytes();
                self.store(d, RAX);
            }
            Uop::Rev16 { d, a } => {
                self.load(RAX, a);
                self.swap_groups(8, 0x00ff_00ff_00ff_00ff);
                self.store(d, RAX);
            }
            Uop::RevW { d, a } => {
                self.load(RAX, a);
                asm!(self; bswap rax ; rol rax, 32);
                self.store(d, RAX);
            }
            _ => return self.truths(uop),
        }
        true
    }

    /// True if the next operation counts the zeros of slot `d` and puts their number there.
    fn then_counts(&self, d: u8, wide: bool) -> bool {
        match self.input.code.uops.get(self.uop_index + 1) {
            Some(Uop::Clz64 { d: to, a }) => wide && (*to, *a) == (d, d),
            Some(Uop::Clz32 { d: to, a }) => !wide && (*to, *a) == (d, d),
            _ => false,
        }
    }

    /// RBIT and CLZ count the zeros at the low end: the reversed value itself is never seen.
    fn trailing_zeros(&mut self, d: u8, a: u8, wide: bool) {
        self.next_uop = self.uop_index + 2;
        let a = self.read(a, RAX);
        match (self.host.bmi2, wide) {
            (true, _) => {
                let r = self.result(d, RAX);
                if wide {
                    asm!(self; tzcnt Rq(r), Rq(a));
                } else {
                    asm!(self; tzcnt Rd(r), Rd(a));
                }
                self.store(d, r);
            }
            // The host's older instruction has no result for 0.
            (false, true) => {
                asm!(self; mov ecx, 64 ; bsf rax, Rq(a) ; cmovz rax, rcx);
                self.store(d, RAX);
            }
            (false, false) => {
                asm!(self; mov ecx, 32 ; bsf eax, Rd(a) ; cmovz eax, ecx);
                self.store(d, RAX);
            }
        }
    }

    /// Reverses the bits in each byte of rax.
    fn reverse_in_bytes(&mut self) {
        self.swap_groups(1, 0x5555_5555_5555_5555);
        self.swap_groups(2, 0x3333_3333_3333_3333);
        self.swap_groups(4, 0x0f0f_0f0f_0f0f_0f0f);
    }

    /// Exchanges neighbouring groups of `n` bits in rax; `low` has ones in the lower one of each two.
    fn swap_groups(&mut self, n: i8, low: u64) {
        asm!(self
            ; mov rcx, QWORD low as i64
            ; mov rdx, rax ; shr rdx, n ; and rdx, rcx
            ; and rax, rcx ; shl rax, n ; or rax, rdx
        );
    }

    fn unsigned_field(&mut self, d: u8, a: u8, lsb: u8, width: u8) {
        let r = self.result(d, RAX);
        if lsb + width <= 32 && lsb + width > 0 {
            self.load32(r, a);
            if lsb + width == 32 {
                asm!(self; shr Rd(r), lsb as i8);
            } else {
                if lsb != 0 {
                    asm!(self; shr Rd(r), lsb as i8);
                }
                asm!(self; and Rd(r), ((1u64 << width) - 1) as i32);
            }
            return self.store(d, r);
        }
        self.load(r, a);
        let up = 64u8.saturating_sub(lsb + width);
        if up != 0 {
            asm!(self; shl Rq(r), up as i8);
        }
        if lsb + up != 0 {
            asm!(self; shr Rq(r), (64 - width) as i8);
        }
        self.store(d, r);
    }

    /// Truth values.
    fn truths(&mut self, uop: Uop) -> bool {
        match uop {
            Uop::IsZero64 { d, a } => self.zero_test(d, a, true, 4),
            Uop::IsZero32 { d, a } => self.zero_test(d, a, false, 4),
            Uop::NonZero64 { d, a } => self.zero_test(d, a, true, 5),
            Uop::NonZero32 { d, a } => self.zero_test(d, a, false, 5),
            Uop::Bit { d, a, n } => {
                let r = self.result(d, RAX);
                self.load(r, a);
                if n & 63 != 0 {
                    asm!(self; shr Rq(r), (n & 63) as i8);
                }
                asm!(self; and Rd(r), 1);
                self.store(d, r);
            }
            Uop::NotI1 { d, a } => {
                let r = self.result(d, RAX);
                self.load(r, a);
                asm!(self; xor Rq(r), 1);
                self.store(d, r);
            }
            Uop::Crc32 { d, a, b, size, castagnoli: true } => {
                // The host's instruction is CRC-32C as well.
                self.load32(RAX, a);
                let data = self.read(b, RCX);
                match size.bytes() {
                    1 => asm!(self; mov rcx, Rq(data) ; crc32 eax, cl),
                    2 => asm!(self; crc32 eax, Rw(data)),
                    4 => asm!(self; crc32 eax, Rd(data)),
                    _ => asm!(self; crc32 rax, Rq(data)),
                }
                self.store(d, RAX);
            }
            _ => return false,
        }
        true
    }

    fn zero_test(&mut self, d: u8, a: u8, wide: bool, cc: u8) {
        let a = self.read(a, RAX);
        if wide {
            asm!(self; test Rq(a), Rq(a));
        } else {
            asm!(self; test Rd(a), Rd(a));
        }
        self.set_al(cc);
        asm!(self; movzx eax, al);
        self.store(d, RAX);
    }
}

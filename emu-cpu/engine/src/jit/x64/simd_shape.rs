//! Integer vector operations that change the size, number or order of elements.

use emu_a64::simd::{Elem, NarrowOp, PermuteOp, ReduceOp, VecOp};

use super::simd::{PMULHUW, PMULHW};
use super::sse::{
    self, ADD, EXTEND_SIGN, EXTEND_ZERO, Insn, MAX, MAX_UNSIGNED, MIN, MIN_UNSIGNED, PAND, PANDN, POR,
    PSHUFB, PSHUFD, Shift, Src, UNPACK_HIGH, UNPACK_LOW,
};
use super::{Emitter, RAX, asm, constant};

const PSADBW: Insn = Insn::float(0xf6, 1);
const PSHUFHW: Insn = Insn::float(0x70, 2);
const LOW_BYTES: Src = Src::Mem(constant!(low_bytes));
const LOW_HALVES: Src = Src::Mem(constant!(low_halves));
const LOW_WORDS: Src = Src::Mem(constant!(low_words));

impl Emitter<'_> {
    /// As `simd`.
    pub(super) fn reshape(&mut self, op: VecOp, imm: u32, s: [u8; 4]) -> bool {
        let [d, a, b, c] = s;
        match op {
            VecOp::Widen { signed, e, hi } if e != Elem::D => {
                let t = self.vresult(d, &[], 0);
                self.widen(t, a, signed, e, hi);
                self.vstore(d, t);
                true
            }
            VecOp::MulLong { signed, e, hi } => self.multiply_long(signed, e, hi, [d, a, b]),
            VecOp::PolyMulLong { e: Elem::D, hi } if self.host.pclmul => {
                let x = self.vread(a, 0);
                let y = self.vsrc(b);
                let t = self.vresult(d, &[], 0);
                self.op3i(sse::PCLMULQDQ, t, x, y, if hi { 0x11 } else { 0 });
                self.vstore(d, t);
                true
            }
            VecOp::Narrow { op, e } => self.narrow(op, e, [d, a]),
            VecOp::AddPairs { signed, e, q } => self.widening_sums(signed, e, q, [d, a]),
            VecOp::Reduce { op, e, q } => self.reduce(op, e, q, [d, a]),
            VecOp::Permute { op, e, q } => self.permute(op, e, q, [d, a, b]),
            VecOp::Dup { e, q } => {
                self.duplicate(e, imm, a);
                self.finish(d, 0, q, false);
                true
            }
            VecOp::Extract { q: true } => {
                let x = self.vread(b, 0);
                let y = self.vsrc(a);
                let t = self.vresult(d, &[], 0);
                self.op3i(sse::PALIGNR, t, x, y, (imm & 15) as u8);
                self.vstore(d, t);
                true
            }
            VecOp::Extract { q: false } => {
                let x = self.vread(a, 0);
                let y = self.vread(b, 1);
                self.op3(sse::PUNPCKLQDQ, 0, x, Src::Reg(y));
                self.shift(Shift::BYTES_RIGHT, 0, 0, (imm & 7) as u8);
                self.vstore_low(d, 0, 8);
                true
            }
            VecOp::Table { q } => {
                self.table(imm, [a, b, c]);
                self.finish(d, 0, q, false);
                true
            }
            VecOp::Reverse { e: Elem::B, q } => {
                let order = match imm {
                    1 => constant!(reverse2),
                    2 => constant!(reverse4),
                    3 => constant!(reverse8),
                    _ => return false,
                };
                let x = self.vread(a, 0);
                let t = self.vresult(d, &[], 0);
                self.op3(PSHUFB, t, x, Src::Mem(order));
                self.finish(d, t, q, false);
                true
            }
            VecOp::Reverse { e, q } => self.reverse(e, imm, q, [d, a]),
            VecOp::Dot { a_signed, b_signed, q } => {
                self.dot(a_signed, b_signed, [a, b, c]);
                self.finish(d, 0, q, false);
                true
            }
            VecOp::Crypto(op) => self.crypto(op, s),
            _ => false,
        }
    }

    /// Half of a slot, each element twice as wide, to a register. Changes xmm4.
    fn widen(&mut self, r: u8, a: u8, signed: bool, e: Elem, hi: bool) {
        let family = if signed { EXTEND_SIGN } else { EXTEND_ZERO };
        if let Some(insn) = Self::of(family, e.log2()) {
            let half = self.vhalf(a, hi, 4);
            self.op2(insn, r, half);
        }
    }

    fn multiply_long(&mut self, signed: bool, e: Elem, hi: bool, s: [u8; 3]) -> bool {
        let [d, a, b] = s;
        let t = self.vresult(d, &[], 0);
        match e {
            Elem::B => {
                self.widen(0, a, signed, e, hi);
                self.widen(1, b, signed, e, hi);
                self.op3(sse::PMULLW, t, 0, Src::Reg(1));
            }
            Elem::H => {
                let x = self.vread(a, 0);
                let y = self.vsrc(b);
                self.op3(sse::PMULLW, 1, x, y);
                self.op3(if signed { PMULHW } else { PMULHUW }, 2, x, y);
                let unpack = if hi { sse::PUNPCKHWD } else { sse::PUNPCKLWD };
                self.op3(unpack, t, 1, Src::Reg(2));
            }
            Elem::S => {
                // The elements to where the host takes them from: the low words of doublewords.
                let order = if hi { 0xfa } else { 0x50 };
                let (x, y) = (self.vsrc(a), self.vsrc(b));
                self.op2i(PSHUFD, 0, x, order);
                self.op2i(PSHUFD, 1, y, order);
                self.op3(if signed { sse::PMULDQ } else { sse::PMULUDQ }, t, 0, Src::Reg(1));
            }
            Elem::D => return false,
        }
        self.vstore(d, t);
        true
    }

    fn narrow(&mut self, op: NarrowOp, e: Elem, s: [u8; 2]) -> bool {
        let [d, a] = s;
        let x = self.vread(a, 0);
        match (op, e) {
            (_, Elem::D) => return false,
            (NarrowOp::Truncate, Elem::S) => {
                self.op2i(PSHUFD, 0, Src::Reg(x), 8);
                self.vstore_low(d, 0, 8);
                return true;
            }
            (NarrowOp::Truncate, _) => {
                let order = if e == Elem::B { constant!(even_bytes) } else { constant!(even_halves) };
                let t = self.vresult(d, &[], 0);
                self.op3(PSHUFB, t, x, Src::Mem(order));
                self.vstore_sized(d, t, 8);
                return true;
            }
            (_, Elem::S) => return false,
            _ => {
                let words = e == Elem::H;
                let (pack, extend) = match (op, words) {
                    (NarrowOp::SatSigned, false) => (sse::PACKSSWB, sse::PMOVSXBW),
                    (NarrowOp::SatSigned, true) => (sse::PACKSSDW, sse::PMOVSXWD),
                    (_, false) => (sse::PACKUSWB, sse::PMOVZXBW),
                    (_, true) => (sse::PACKUSDW, sse::PMOVZXWD),
                };
                let mut from = x;
                if op == NarrowOp::SatUnsigned {
                    // The host takes the elements as signed: what it could mistake is made small enough before.
                    let (min, most) =
                        if words { (sse::PMINUD, LOW_HALVES) } else { (sse::PMINUW, LOW_BYTES) };
                    self.op3(min, 2, x, most);
                    from = 2;
                }
                self.clear(1);
                self.op3(pack, 3, from, Src::Reg(1));
                self.op2(extend, 1, Src::Reg(3));
                self.op3(if words { sse::PCMPEQD } else { sse::PCMPEQW }, 1, 1, Src::Reg(x));
                self.saturated_unless(1, true);
                self.copy(0, 3);
            }
        }
        self.vstore_sized(d, 0, 8);
        true
    }

    /// Sums of neighbours, twice as wide.
    fn widening_sums(&mut self, signed: bool, e: Elem, q: bool, s: [u8; 2]) -> bool {
        let [d, a] = s;
        let ones8 = Src::Mem(constant!(ones8));
        match (e, signed) {
            (Elem::B, false) => {
                let x = self.vread(a, 0);
                self.op3(sse::PMADDUBSW, 0, x, ones8);
            }
            (Elem::B, true) => {
                self.op2(sse::MOVAPS, 1, ones8);
                let y = self.vsrc(a);
                self.op3(sse::PMADDUBSW, 0, 1, y);
            }
            (Elem::H, true) => {
                let x = self.vread(a, 0);
                self.op3(sse::PMADDWD, 0, x, Src::Mem(constant!(ones16)));
            }
            (Elem::H | Elem::S, false) => {
                let x = self.vread(a, 0);
                let (mask, add, log2) =
                    if e == Elem::H { (LOW_HALVES, sse::PADDD, 2) } else { (LOW_WORDS, sse::PADDQ, 3) };
                let Some(right) = Shift::right(log2) else { return false };
                self.op3(PAND, 1, x, mask);
                self.shift(right, 0, x, e.bits() as u8);
                self.op3(add, 0, 0, Src::Reg(1));
            }
            _ => return false,
        }
        self.finish(d, 0, q, false);
        true
    }

    /// All elements put together, two halves at a time.
    fn reduce(&mut self, op: ReduceOp, e: Elem, q: bool, s: [u8; 2]) -> bool {
        let [d, a] = s;
        let bytes = if q { 16 } else { 8 };
        if op == (ReduceOp::AddLong { signed: false }) && e == Elem::B {
            self.clear(1);
            let x = self.vread_low(a, bytes, 0);
            self.op3(PSADBW, 0, x, Src::Reg(1));
            if q {
                self.op2i(PSHUFD, 1, Src::Reg(0), 0xee);
                self.op3(sse::PADDD, 0, 0, Src::Reg(1));
            }
            self.vstore_low(d, 0, 4);
            return true;
        }
        let family = match op {
            ReduceOp::AddLong { .. } => return false,
            ReduceOp::Add => ADD,
            ReduceOp::Max { signed: true } => MAX,
            ReduceOp::Max { signed: false } => MAX_UNSIGNED,
            ReduceOp::Min { signed: true } => MIN,
            ReduceOp::Min { signed: false } => MIN_UNSIGNED,
        };
        let Some(insn) = Self::of(family, e.log2()).filter(|_| e != Elem::D) else { return false };
        let mut x = self.vread(a, 0);
        let mut half = bytes / 2;
        while half >= e.bytes() as u8 {
            match half {
                8 => self.op2i(PSHUFD, 1, Src::Reg(x), 0xee),
                4 => self.op2i(PSHUFD, 1, Src::Reg(x), 0x55),
                _ => {
                    if let Some(right) = Shift::right(2) {
                        self.shift(right, 1, x, 8 * half);
                    }
                }
            }
            self.op3(insn, 0, x, Src::Reg(1));
            x = 0;
            half /= 2;
        }
        if e == Elem::S {
            self.vstore_low(d, 0, 4);
        } else {
            self.move_to_general(RAX, 0, false);
            if e == Elem::B {
                asm!(self; movzx eax, al);
            } else {
                asm!(self; movzx eax, ax);
            }
            self.vstore_general(d, RAX, 4);
        }
        true
    }

    /// Element `imm` in all elements of xmm0.
    fn duplicate(&mut self, e: Elem, imm: u32, a: u8) {
        let from = self.vsrc(a);
        match e {
            Elem::D => self.op2i(PSHUFD, 0, from, if imm & 1 == 0 { 0x44 } else { 0xee }),
            Elem::S => self.op2i(PSHUFD, 0, from, (imm & 3) as u8 * 0x55),
            Elem::H => {
                let (n, high) = ((imm & 3) as u8 * 0x55, imm & 4 != 0);
                self.op2i(if high { PSHUFHW } else { sse::PSHUFLW }, 0, from, n);
                let unpack = if high { sse::PUNPCKHQDQ } else { sse::PUNPCKLQDQ };
                self.op3(unpack, 0, 0, Src::Reg(0));
            }
            Elem::B => {
                let x = self.vread(a, 0);
                self.shift(Shift::BYTES_RIGHT, 0, x, (imm & 15) as u8);
                self.broadcast(0);
            }
        }
    }

    fn permute(&mut self, op: PermuteOp, e: Elem, q: bool, s: [u8; 3]) -> bool {
        use PermuteOp as P;
        let [d, a, b] = s;
        let n = e.log2();
        match op {
            P::Zip1 | P::Zip2 => {
                let high = q && op == P::Zip2;
                let Some(insn) = Self::of(if high { UNPACK_HIGH } else { UNPACK_LOW }, n) else {
                    return false;
                };
                let mut t = self.simple(insn, d, a, b);
                if op == P::Zip2 && !q {
                    self.shift(Shift::BYTES_RIGHT, 0, t, 8);
                    t = 0;
                }
                self.finish(d, t, q, false);
                true
            }
            P::Uzp1 | P::Uzp2 => self.unzip(op == P::Uzp2, e, q, d, [a, b]),
            P::Trn1 | P::Trn2 => self.transpose(op == P::Trn2, e, q, d, [a, b]),
        }
    }

    fn unzip(&mut self, odd: bool, e: Elem, q: bool, d: u8, s: [u8; 2]) -> bool {
        let [a, b] = s;
        let mut x = self.vread(a, 0);
        if a == b && matches!(e, Elem::B | Elem::H) {
            let order = match (e, odd) {
                (Elem::B, false) => constant!(even_bytes_twice),
                (Elem::B, true) => constant!(odd_bytes_twice),
                (_, false) => constant!(even_halves_twice),
                (_, true) => constant!(odd_halves_twice),
            };
            let t = self.vresult(d, &[], 0);
            if q {
                self.op3(PSHUFB, t, x, Src::Mem(order));
            } else {
                self.op3(sse::PUNPCKLQDQ, 0, x, Src::Reg(x));
                self.op3(PSHUFB, t, 0, Src::Mem(order));
            }
            self.finish(d, t, q, false);
            return true;
        }
        let mut y = if a == b { x } else { self.vread(b, 1) };
        if !q {
            // Both operands are one vector of twice the number of elements.
            self.op3(sse::PUNPCKLQDQ, 0, x, Src::Reg(y));
            (x, y) = (0, 0);
        }
        match e {
            Elem::B | Elem::H => {
                let (mask, pack) =
                    if e == Elem::B { (LOW_BYTES, sse::PACKUSWB) } else { (LOW_HALVES, sse::PACKUSDW) };
                let Some(right) = Shift::right(e.log2() + 1) else { return false };
                for (r, from) in [(2, x), (3, y)] {
                    if r == 3 && x == y {
                        break;
                    }
                    if odd {
                        self.shift(right, r, from, e.bits() as u8);
                    } else {
                        self.op3(PAND, r, from, mask);
                    }
                }
                self.op3(pack, 0, 2, Src::Reg(if x == y { 2 } else { 3 }));
            }
            Elem::S => self.op3i(sse::SHUFPS, 0, x, Src::Reg(y), if odd { 0xdd } else { 0x88 }),
            Elem::D if q => {
                let insn = if odd { sse::PUNPCKHQDQ } else { sse::PUNPCKLQDQ };
                self.op3(insn, 0, x, Src::Reg(y));
            }
            Elem::D => return false,
        }
        self.finish(d, 0, q, false);
        true
    }

    fn transpose(&mut self, odd: bool, e: Elem, q: bool, d: u8, s: [u8; 2]) -> bool {
        let [a, b] = s;
        let x = self.vread(a, 0);
        let y = self.vread(b, 1);
        let low = match e {
            Elem::B => LOW_BYTES,
            Elem::H => LOW_HALVES,
            Elem::S => LOW_WORDS,
            Elem::D if !q => return false,
            Elem::D => {
                let insn = if odd { sse::PUNPCKHQDQ } else { sse::PUNPCKLQDQ };
                self.op3(insn, 0, x, Src::Reg(y));
                self.vstore(d, 0);
                return true;
            }
        };
        let (Some(right), Some(left)) = (Shift::right(e.log2() + 1), Shift::left(e.log2() + 1)) else {
            return false;
        };
        let bits = e.bits() as u8;
        if odd {
            // The odd elements of a come down, those of b stay.
            self.shift(right, 3, x, bits);
            self.op2(sse::MOVAPS, 2, low);
            self.op3(PANDN, 2, 2, Src::Reg(y));
        } else {
            self.op3(PAND, 3, x, low);
            self.shift(left, 2, y, bits);
        }
        self.op3(POR, 0, 2, Src::Reg(3));
        self.finish(d, 0, q, false);
        true
    }

    /// Halfwords or words in the opposite order inside words or doublewords.
    fn reverse(&mut self, e: Elem, imm: u32, q: bool, s: [u8; 2]) -> bool {
        let [d, a] = s;
        let from = self.vsrc(a);
        match (e, imm) {
            (Elem::S, 3) => self.op2i(PSHUFD, 0, from, 0xb1),
            (Elem::H, 2 | 3) => {
                let order = if imm == 2 { 0xb1 } else { 0x1b };
                self.op2i(sse::PSHUFLW, 0, from, order);
                self.op2i(PSHUFHW, 0, Src::Reg(0), order);
            }
            _ => return false,
        }
        self.finish(d, 0, q, false);
        true
    }

    /// A step of TBL or TBX.
    fn table(&mut self, imm: u32, s: [u8; 3]) {
        let [a, b, c] = s;
        let first = imm & 0xff;
        let table = self.vread(a, 0);
        let mut index = self.vread(b, 1);
        if first != 0 {
            self.splat(2, first * 0x0101_0101);
            self.op3(sse::PSUBB, 1, index, Src::Reg(2));
            index = 1;
        }
        if self.vfits(c, 0) {
            // Indices from 16 on get the bit that makes zeros.
            self.op2(sse::MOVAPS, 2, Src::Mem(constant!(to_high_bit)));
            self.op3(sse::PADDUSB, 2, 2, Src::Reg(index));
            return self.op3(PSHUFB, 0, table, Src::Reg(2));
        }
        // Ones where the index is in this part of the table.
        self.op3(sse::PMINUB, 2, index, Src::Mem(constant!(fifteen)));
        self.op3(sse::PCMPEQB, 2, 2, Src::Reg(index));
        self.op3(PSHUFB, 3, table, Src::Reg(index));
        self.op3(PAND, 3, 3, Src::Reg(2));
        let c = self.vsrc(c);
        self.op3(PANDN, 2, 2, c);
        self.op3(POR, 0, 2, Src::Reg(3));
    }

    /// Products of bytes, four at a time, added to c: to xmm0.
    fn dot(&mut self, a_signed: bool, b_signed: bool, s: [u8; 3]) {
        let [a, b, c] = s;
        for (r, hi) in [(0, false), (1, true)] {
            self.widen(r, a, a_signed, Elem::B, hi);
            self.widen(2, b, b_signed, Elem::B, hi);
            self.op3(sse::PMADDWD, r, r, Src::Reg(2));
        }
        self.op3(sse::PHADDD, 0, 0, Src::Reg(1));
        let c = self.vsrc(c);
        self.op3(sse::PADDD, 0, 0, c);
    }
}

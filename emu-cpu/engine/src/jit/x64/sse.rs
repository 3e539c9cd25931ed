//! Instructions on vector registers: encoded by VEX, with three operands, where the host has AVX; else in their first form,
//! with a copy of the first operand if the result goes elsewhere.

use dynasmrt::DynasmApi;

use super::{Emitter, asm};

/// An instruction.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Insn {
    /// The mandatory prefix, as VEX numbers them: none, 66, F3, F2.
    pp: u8,
    /// The opcode map, as VEX numbers them: 0F, 0F 38, 0F 3A.
    map: u8,
    op: u8,
    /// VEX.W (only of instructions that have no other form).
    w: bool,
}

const fn new(pp: u8, map: u8, op: u8) -> Insn {
    Insn { pp, map, op, w: false }
}

/// An instruction with prefix 66 in the map 0F 38.
pub(super) const fn map2(op: u8) -> Insn {
    new(1, 2, op)
}

/// An instruction without a mandatory prefix, and without a form with VEX.
pub(super) const fn plain(map: u8, op: u8) -> Insn {
    new(0, map, op)
}

impl Insn {
    /// One of a family of arithmetic instructions: packed singles (0), packed doubles, a single, a double.
    pub(super) const fn float(op: u8, form: u8) -> Self {
        new(form, 1, op)
    }
    /// One of FMA3: `w` for doubles.
    pub(super) const fn fma(op: u8, w: bool) -> Self {
        Self { pp: 1, map: 2, op, w }
    }
}

/// Four instructions for bytes, halfwords, words, doublewords.
pub(super) type ByElem = [Option<Insn>; 4];

macro_rules! insns {
    ($($name:ident = $pp:literal $map:literal $op:literal;)*) => {
        $(pub(super) const $name: Insn = new($pp, $map, $op);)*
    };
}

macro_rules! families {
    ($($name:ident = $($insn:ident)*;)*) => {
        $(pub(super) const $name: ByElem = [$(families!(@ $insn)),*];)*
    };
    (@ NONE) => { None };
    (@ $insn:ident) => { Some($insn) };
}

insns! {
    MOVAPS = 0 1 0x28;
    MOVSS = 2 1 0x10;
    MOVSD = 3 1 0x10;
    MOVDDUP = 3 1 0x12;
    MOVQ = 2 1 0x7e;
    INSERTPS = 1 3 0x21;
    ANDPS = 0 1 0x54;
    XORPS = 0 1 0x57;
    UCOMISS = 0 1 0x2e;
    UCOMISD = 1 1 0x2e;
    COMISS = 0 1 0x2f;
    COMISD = 1 1 0x2f;
    ROUNDPS = 1 3 0x08;
    ROUNDPD = 1 3 0x09;
    ROUNDSS = 1 3 0x0a;
    ROUNDSD = 1 3 0x0b;
    CVTSS2SD = 2 1 0x5a;
    CVTSD2SS = 3 1 0x5a;
    CVTPS2PD = 0 1 0x5a;
    CVTPD2PS = 1 1 0x5a;
    CVTDQ2PS = 0 1 0x5b;
    CVTTPS2DQ = 2 1 0x5b;
    HADDPS = 3 1 0x7c;
    HADDPD = 1 1 0x7c;
    UNPCKLPD = 1 1 0x14;
    SHUFPS = 0 1 0xc6;
    PAND = 1 1 0xdb;
    PANDN = 1 1 0xdf;
    POR = 1 1 0xeb;
    PXOR = 1 1 0xef;
    PADDB = 1 1 0xfc;
    PADDW = 1 1 0xfd;
    PADDD = 1 1 0xfe;
    PADDQ = 1 1 0xd4;
    PSUBB = 1 1 0xf8;
    PSUBW = 1 1 0xf9;
    PSUBD = 1 1 0xfa;
    PSUBQ = 1 1 0xfb;
    PADDSB = 1 1 0xec;
    PADDSW = 1 1 0xed;
    PADDUSB = 1 1 0xdc;
    PADDUSW = 1 1 0xdd;
    PSUBSB = 1 1 0xe8;
    PSUBSW = 1 1 0xe9;
    PSUBUSB = 1 1 0xd8;
    PSUBUSW = 1 1 0xd9;
    PAVGB = 1 1 0xe0;
    PAVGW = 1 1 0xe3;
    PMULLW = 1 1 0xd5;
    PMULLD = 1 2 0x40;
    PMULUDQ = 1 1 0xf4;
    PMULDQ = 1 2 0x28;
    PMADDWD = 1 1 0xf5;
    PMADDUBSW = 1 2 0x04;
    PMAXSB = 1 2 0x3c;
    PMAXSW = 1 1 0xee;
    PMAXSD = 1 2 0x3d;
    PMAXUB = 1 1 0xde;
    PMAXUW = 1 2 0x3e;
    PMAXUD = 1 2 0x3f;
    PMINSB = 1 2 0x38;
    PMINSW = 1 1 0xea;
    PMINSD = 1 2 0x39;
    PMINUB = 1 1 0xda;
    PMINUW = 1 2 0x3a;
    PMINUD = 1 2 0x3b;
    PCMPEQB = 1 1 0x74;
    PCMPEQW = 1 1 0x75;
    PCMPEQD = 1 1 0x76;
    PCMPEQQ = 1 2 0x29;
    PCMPGTB = 1 1 0x64;
    PCMPGTW = 1 1 0x65;
    PCMPGTD = 1 1 0x66;
    PCMPGTQ = 1 2 0x37;
    PABSB = 1 2 0x1c;
    PABSW = 1 2 0x1d;
    PABSD = 1 2 0x1e;
    PSHUFB = 1 2 0x00;
    PSHUFD = 1 1 0x70;
    PSHUFLW = 3 1 0x70;
    PALIGNR = 1 3 0x0f;
    PUNPCKLBW = 1 1 0x60;
    PUNPCKLWD = 1 1 0x61;
    PUNPCKLDQ = 1 1 0x62;
    PUNPCKLQDQ = 1 1 0x6c;
    PUNPCKHBW = 1 1 0x68;
    PUNPCKHWD = 1 1 0x69;
    PUNPCKHDQ = 1 1 0x6a;
    PUNPCKHQDQ = 1 1 0x6d;
    PACKSSWB = 1 1 0x63;
    PACKSSDW = 1 1 0x6b;
    PACKUSWB = 1 1 0x67;
    PACKUSDW = 1 2 0x2b;
    PMOVSXBW = 1 2 0x20;
    PMOVSXWD = 1 2 0x23;
    PMOVSXDQ = 1 2 0x25;
    PMOVZXBW = 1 2 0x30;
    PMOVZXWD = 1 2 0x33;
    PMOVZXDQ = 1 2 0x35;
    PHADDD = 1 2 0x02;
    AESENC = 1 2 0xdc;
    AESENCLAST = 1 2 0xdd;
    AESDECLAST = 1 2 0xdf;
    AESIMC = 1 2 0xdb;
    PCLMULQDQ = 1 3 0x44;
}

families! {
    ADD = PADDB PADDW PADDD PADDQ;
    SUB = PSUBB PSUBW PSUBD PSUBQ;
    MUL = NONE PMULLW PMULLD NONE;
    SAT_ADD = PADDSB PADDSW NONE NONE;
    SAT_ADD_UNSIGNED = PADDUSB PADDUSW NONE NONE;
    SAT_SUB = PSUBSB PSUBSW NONE NONE;
    SAT_SUB_UNSIGNED = PSUBUSB PSUBUSW NONE NONE;
    MEAN_UNSIGNED = PAVGB PAVGW NONE NONE;
    MAX = PMAXSB PMAXSW PMAXSD NONE;
    MAX_UNSIGNED = PMAXUB PMAXUW PMAXUD NONE;
    MIN = PMINSB PMINSW PMINSD NONE;
    MIN_UNSIGNED = PMINUB PMINUW PMINUD NONE;
    EQUAL = PCMPEQB PCMPEQW PCMPEQD PCMPEQQ;
    GREATER = PCMPGTB PCMPGTW PCMPGTD PCMPGTQ;
    ABS = PABSB PABSW PABSD NONE;
    UNPACK_LOW = PUNPCKLBW PUNPCKLWD PUNPCKLDQ PUNPCKLQDQ;
    UNPACK_HIGH = PUNPCKHBW PUNPCKHWD PUNPCKHDQ PUNPCKHQDQ;
    EXTEND_SIGN = PMOVSXBW PMOVSXWD PMOVSXDQ NONE;
    EXTEND_ZERO = PMOVZXBW PMOVZXWD PMOVZXDQ NONE;
}

/// Shifts by an immediate: opcode, and the number in the place of a register.
#[derive(Clone, Copy)]
pub(super) struct Shift(u8, u8);

impl Shift {
    /// Halfwords, words or doublewords to the left; `None` for bytes.
    pub(super) fn left(log2: u32) -> Option<Self> {
        (log2 != 0).then_some(Self(0x70 + log2 as u8, 6))
    }
    /// To the right, zeros coming in.
    pub(super) fn right(log2: u32) -> Option<Self> {
        (log2 != 0).then_some(Self(0x70 + log2 as u8, 2))
    }
    /// To the right, signs coming in: halfwords and words.
    pub(super) fn right_signed(log2: u32) -> Option<Self> {
        matches!(log2, 1 | 2).then_some(Self(0x70 + log2 as u8, 4))
    }
    /// All bytes of the register to the right, by a number of bytes.
    pub(super) const BYTES_RIGHT: Self = Self(0x73, 3);
    /// The same to the left.
    pub(super) const BYTES_LEFT: Self = Self(0x73, 7);
}

/// The last operand of an instruction.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Src {
    /// An xmm register.
    Reg(u8),
    /// In the frame: displacement from r15.
    Mem(i32),
}

/// The register that copies go through when the forms without VEX need one: not for operands of [`Emitter::op3`].
const COPY: u8 = 4;

impl Emitter<'_> {
    /// d = a op b.
    pub(super) fn op3(&mut self, i: Insn, d: u8, a: u8, b: Src) {
        self.three(i, d, a, b, None);
    }

    /// d = a op b, with an immediate.
    pub(super) fn op3i(&mut self, i: Insn, d: u8, a: u8, b: Src, imm: u8) {
        self.three(i, d, a, b, Some(imm));
    }

    /// d = op a, of an instruction with two operands.
    pub(super) fn op2(&mut self, i: Insn, d: u8, a: Src) {
        if self.host.avx {
            self.vex(i, d, 0, a);
        } else {
            self.legacy(i, d, a);
        }
    }

    /// d = op a, with an immediate.
    pub(super) fn op2i(&mut self, i: Insn, d: u8, a: Src, imm: u8) {
        self.op2(i, d, a);
        self.ops.push(imm);
    }

    /// d = a shifted.
    pub(super) fn shift(&mut self, shift: Shift, d: u8, a: u8, n: u8) {
        let i = new(1, 1, shift.0);
        if self.host.avx {
            self.vex(i, shift.1, d, Src::Reg(a));
        } else {
            self.copy(d, a);
            self.legacy(i, shift.1, Src::Reg(d));
        }
        self.ops.push(n);
    }

    /// d = a.
    pub(super) fn copy(&mut self, d: u8, a: u8) {
        if d != a {
            self.op2(MOVAPS, d, Src::Reg(a));
        }
    }

    /// d = 0.
    pub(super) fn clear(&mut self, d: u8) {
        self.op3(XORPS, d, d, Src::Reg(d));
    }

    fn three(&mut self, i: Insn, d: u8, a: u8, b: Src, imm: Option<u8>) {
        if self.host.avx {
            self.vex(i, d, a, b);
        } else if d == a || b != Src::Reg(d) {
            self.copy(d, a);
            self.legacy(i, d, b);
        } else {
            self.legacy(MOVAPS, COPY, b);
            self.copy(d, a);
            self.legacy(i, d, Src::Reg(COPY));
        }
        self.ops.extend(imm);
    }

    /// ModRM, and a displacement.
    fn operands(&mut self, reg: u8, rm: Src) {
        let reg = (reg & 7) << 3;
        match rm {
            Src::Reg(r) => self.ops.push(0xc0 | reg | r & 7),
            Src::Mem(at) => match i8::try_from(at) {
                Ok(at) => {
                    self.ops.push(0x47 | reg);
                    self.ops.push_i8(at);
                }
                Err(_) => {
                    self.ops.push(0x87 | reg);
                    self.ops.push_i32(at);
                }
            },
        }
    }

    /// The form with VEX: `reg`, `vvvv` (0 if the instruction has none), `rm`.
    fn vex(&mut self, i: Insn, reg: u8, vvvv: u8, rm: Src) {
        let far = match rm {
            Src::Reg(r) => r >= 8,
            Src::Mem(_) => true,
        };
        let (not_r, not_b) = (u8::from(reg < 8) << 7, u8::from(!far) << 5);
        let rest = (!vvvv & 15) << 3 | i.pp;
        if i.map == 1 && !far && !i.w {
            self.ops.extend([0xc5, not_r | rest]);
        } else {
            self.ops.extend([0xc4, not_r | 0x40 | not_b | i.map, u8::from(i.w) << 7 | rest]);
        }
        self.ops.push(i.op);
        self.operands(reg, rm);
    }

    /// The form without.
    pub(super) fn legacy(&mut self, i: Insn, reg: u8, rm: Src) {
        debug_assert!(!i.w, "no such form");
        if i.pp != 0 {
            self.ops.push([0, 0x66, 0xf3, 0xf2][i.pp as usize]);
        }
        let far = match rm {
            Src::Reg(r) => r >= 8,
            Src::Mem(_) => true,
        };
        let rex = u8::from(reg >= 8) << 2 | u8::from(far);
        if rex != 0 {
            self.ops.push(0x40 | rex);
        }
        self.ops.push(0x0f);
        match i.map {
            2 => self.ops.push(0x38),
            3 => self.ops.push(0x3a),
            _ => {}
        }
        self.ops.push(i.op);
        self.operands(reg, rm);
    }

    /// MOVQ or MOVD to a general register.
    pub(super) fn move_to_general(&mut self, d: u8, a: u8, wide: bool) {
        if wide {
            asm!(self; movq Rq(d), Rx(a));
        } else {
            asm!(self; movd Rd(d), Rx(a));
        }
    }
}

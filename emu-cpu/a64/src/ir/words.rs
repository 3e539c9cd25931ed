//! What operations are made of beside values: most of it lists of names.

use super::text::words;
use super::value::Ty;

words! {
    /// Condition codes (Arm ARM, C1.2.4).
    #[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
    #[repr(u8)]
    #[allow(missing_docs, reason = "the architecture's names")]
    pub enum Cond {
        Eq,
        Ne,
        Cs,
        Cc,
        Mi,
        Pl,
        Vs,
        Vc,
        Hi,
        Ls,
        Ge,
        Lt,
        Gt,
        Le,
        Al,
        Nv,
    }
}

impl Cond {
    /// From the 4-bit field.
    #[must_use]
    pub const fn from_bits(bits: u32) -> Self {
        use Cond::*;
        [Eq, Ne, Cs, Cc, Mi, Pl, Vs, Vc, Hi, Ls, Ge, Lt, Gt, Le, Al, Nv][(bits & 15) as usize]
    }

    /// True if flags `nzcv` (bits 31:28) satisfy the condition.
    #[inline(always)]
    #[must_use]
    pub const fn holds(self, nzcv: u32) -> bool {
        HOLDS[self as usize] >> (nzcv >> 28) & 1 != 0
    }

    /// The definition (Arm ARM, ConditionHolds).
    const fn evaluate(self, nzcv: u32) -> bool {
        let (n, z, c, v) =
            (nzcv >> 31 & 1 != 0, nzcv >> 30 & 1 != 0, nzcv >> 29 & 1 != 0, nzcv >> 28 & 1 != 0);
        let base = match self as u32 >> 1 {
            0 => z,
            1 => c,
            2 => n,
            3 => v,
            4 => c && !z,
            5 => n == v,
            6 => n == v && !z,
            _ => return true,
        };
        base != (self as u32 & 1 != 0)
    }
}

/// For each condition, one bit for each value of N, Z, C, V.
const HOLDS: [u16; 16] = {
    let mut table = [0; 16];
    let mut cond = 0;
    while cond < 16 {
        let mut nzcv = 0;
        while nzcv < 16 {
            if Cond::from_bits(cond).evaluate(nzcv << 28) {
                table[cond as usize] |= 1 << nzcv;
            }
            nzcv += 1;
        }
        cond += 1;
    }
    table
};

words! {
    /// Operations on two integers of one type.
    #[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
    #[allow(missing_docs, reason = "named for what they do")]
    pub enum BinOp {
        Add,
        Sub,
        Mul,
        /// High half of the signed product; I64 only.
        SMulH,
        /// High half of the unsigned product; I64 only.
        UMulH,
        /// Signed division, x / 0 = 0, MIN / -1 = MIN.
        SDiv,
        /// Unsigned division, x / 0 = 0.
        UDiv,
        And,
        Or,
        Xor,
        /// a AND NOT b.
        AndNot,
        /// a OR NOT b.
        OrNot,
        /// a XOR NOT b.
        XorNot,
        /// Shift left; the amount is taken modulo the width, as for all shifts.
        Shl,
        Lsr,
        Asr,
        Ror,
    }
}

words! {
    /// Operations on one integer.
    #[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
    #[allow(missing_docs, reason = "named for what they do")]
    pub enum UnOp {
        Not,
        Neg,
        Clz,
        Cls,
        Rbit,
        /// Reverses all bytes.
        Rev,
        /// Reverses the bytes of each halfword.
        Rev16,
        /// Reverses the bytes of each word.
        Rev32,
    }
}

words! {
    /// Read-modify-write operations of FEAT_LSE.
    #[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
    #[allow(missing_docs, reason = "named for what they do")]
    pub enum AtomicOp {
        Swp,
        Add,
        /// mem AND NOT operand.
        Clr,
        Eor,
        Set,
        Smax,
        Smin,
        Umax,
        Umin,
    }
}

words! {
    /// The size of a memory access.
    #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
    #[repr(u8)]
    #[allow(missing_docs, reason = "the number of bytes")]
    pub enum MemSize {
        B1 = 0,
        B2 = 1,
        B4 = 2,
        B8 = 3,
        B16 = 4,
    }
}

impl MemSize {
    /// From log2 of the number of bytes, 0 to 4.
    #[must_use]
    pub const fn from_log2(n: u32) -> Self {
        match n {
            0 => Self::B1,
            1 => Self::B2,
            2 => Self::B4,
            3 => Self::B8,
            _ => Self::B16,
        }
    }
    /// Number of bytes.
    #[must_use]
    pub const fn bytes(self) -> u64 {
        1 << self as u32
    }
    /// The type of a value that fills all of it: I64, or a vector for sixteen bytes.
    pub(super) const fn whole(self) -> Ty {
        if matches!(self, Self::B16) { Ty::V } else { Ty::I64 }
    }
}

words! {
    /// Ordering of a memory access.
    #[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
    pub enum Order {
        /// None.
        #[default]
        Plain,
        /// Load-acquire (LDAR, LDAXR).
        Acquire,
        /// Load-acquire RCpc (LDAPR).
        AcquirePc,
        /// Store-release.
        Release,
        /// Both (LSE with A and R).
        AcqRel,
    }
}

impl Order {
    /// From the acquire and release bits of an LSE encoding.
    #[must_use]
    pub const fn from_bits(acquire: bool, release: bool) -> Self {
        match (acquire, release) {
            (false, false) => Self::Plain,
            (true, false) => Self::Acquire,
            (false, true) => Self::Release,
            (true, true) => Self::AcqRel,
        }
    }
}

/// How a load or store is made.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub struct Acc {
    /// Ordering. Anything but plain must be aligned (within 16 bytes with FEAT_LSE2), or it is an alignment fault.
    pub order: Order,
    /// LDTR, STTR: made as if at EL0 (subject to PSTATE.UAO and HCR_EL2).
    pub unpriv: bool,
    /// The address comes from SP: the stack pointer alignment check applies if it is enabled.
    pub sp_base: bool,
    /// Elements of a SIMD structure access or halves of a pair are aligned to the element, not to the whole.
    pub elem_align: Option<MemSize>,
}

impl Acc {
    /// A plain access.
    pub const PLAIN: Self = Self { order: Order::Plain, unpriv: false, sp_base: false, elem_align: None };
}

words! {
    /// Barriers that do not end a block.
    #[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
    pub enum BarrierKind {
        /// DMB with any option but LD/ST-only forms.
        DmbFull,
        /// DMB xLD.
        DmbLoad,
        /// DMB xST.
        DmbStore,
        /// DSB, any option; also waits for broadcast TLB maintenance.
        Dsb,
        /// SSBB, PSSBB, CSDB, SB and the like: no effect on what a program can see.
        Speculation,
    }
}

/// The encoding of a system register or system instruction: op0(2) op1(3) CRn(4) CRm(4) op2(3), as 16 bits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SysEnc(pub u16);

impl SysEnc {
    /// From its five parts.
    #[must_use]
    pub const fn new(op0: u32, op1: u32, crn: u32, crm: u32, op2: u32) -> Self {
        Self(((op0 & 3) << 14 | (op1 & 7) << 11 | (crn & 15) << 7 | (crm & 15) << 3 | op2 & 7) as u16)
    }
    /// From bits 20:5 of MRS, MSR (register), SYS and SYSL.
    #[must_use]
    pub const fn from_insn(insn: u32) -> Self {
        Self((insn >> 5) as u16)
    }
    /// op0, op1, CRn, CRm, op2.
    #[must_use]
    pub const fn parts(self) -> (u8, u8, u8, u8, u8) {
        let v = self.0;
        ((v >> 14) as u8, (v >> 11 & 7) as u8, (v >> 7 & 15) as u8, (v >> 3 & 15) as u8, (v & 7) as u8)
    }
}

impl std::fmt::Debug for SysEnc {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (op0, op1, crn, crm, op2) = self.parts();
        write!(f, "S{op0}_{op1}_C{crn}_C{crm}_{op2}")
    }
}

words! {
    /// Pointer authentication (FEAT_PAuth): the instructions, but for those that combine one of these with another.
    #[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
    #[allow(missing_docs, reason = "the architecture's names")]
    pub enum PacOp {
        PacIa,
        PacIb,
        PacDa,
        PacDb,
        AutIa,
        AutIb,
        AutDa,
        AutDb,
        XpacI,
        XpacD,
        PacGa,
    }
}

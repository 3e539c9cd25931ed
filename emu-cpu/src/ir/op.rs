//! Operations and their types.

use crate::fp::FpOp;
use crate::mem::mops::MopsInsn;
use crate::simd::VecOp;

/// A value: the number of the operation that makes it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Val(pub u16);

impl Val {
    /// Stands for an operand that an operation does not have.
    pub const NONE: Self = Self(u16::MAX);
    /// True unless this is [`Val::NONE`].
    #[must_use]
    pub const fn is_some(self) -> bool {
        self.0 != u16::MAX
    }
}

/// The type of a value.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Ty {
    /// No value.
    None,
    /// A truth value.
    I1,
    /// 32 bits.
    I32,
    /// 64 bits.
    I64,
    /// 128 bits.
    V128,
    /// N, Z, C, V.
    Flags,
}

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
}

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

/// Fields of MSR (immediate).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[allow(missing_docs, reason = "the architecture's names")]
pub enum PstateField {
    SpSel,
    DaifSet,
    DaifClr,
    Pan,
    Uao,
    Dit,
    Ssbs,
    Tco,
}

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

/// An operation.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Op {
    /// A constant of an integer type.
    Const(Ty, u64),
    /// Address of the block's first instruction plus this: I64.
    PcRel(i64),
    /// Address of the block's 4 KiB page plus this: I64 (ADRP).
    PcPage(i64),

    /// X0..X30, or 31 for the current SP: I64.
    GetX(u8),
    /// Writes X0..X30 or (31) the current SP; the value is I64 or (zero-extended) I32.
    SetX(u8, Val),
    /// V0..V31: V128.
    GetV(u8),
    /// Writes all 128 bits of V0..V31.
    SetV(u8, Val),
    /// PSTATE.NZCV: Flags.
    GetFlags,
    /// Writes PSTATE.NZCV.
    SetFlags(Val),

    /// Two operands, one type.
    Bin(BinOp, Ty, Val, Val),
    /// One operand.
    Un(UnOp, Ty, Val),
    /// The low `bits` (8, 16, 32) of an integer, extended to `to`.
    Ext {
        /// Width taken.
        bits: u8,
        /// Sign-extended rather than zero-extended.
        signed: bool,
        /// Result type.
        to: Ty,
        /// Operand, I32 or I64.
        a: Val,
    },
    /// Bits `lsb + width - 1 : lsb`, zero- or sign-extended.
    Bfx {
        /// I32 or I64.
        ty: Ty,
        /// Sign-extended.
        signed: bool,
        /// Lowest bit.
        lsb: u8,
        /// Number of bits, at least 1.
        width: u8,
        /// Operand.
        a: Val,
    },
    /// `dst` with `width` bits at `lsb` replaced by the low bits of `src`.
    Bfi {
        /// I32 or I64.
        ty: Ty,
        /// Lowest bit.
        lsb: u8,
        /// Number of bits.
        width: u8,
        /// Where to insert.
        dst: Val,
        /// What to insert.
        src: Val,
    },
    /// The low half of (hi:lo) >> lsb.
    Extr {
        /// I32 or I64.
        ty: Ty,
        /// Shift, less than the width.
        lsb: u8,
        /// High part.
        hi: Val,
        /// Low part.
        lo: Val,
    },
    /// a + b + C.
    AddCarry(Ty, Val, Val, Val),
    /// Flags of a + b.
    FlagsAdd(Ty, Val, Val),
    /// Flags of a - b (C = no borrow).
    FlagsSub(Ty, Val, Val),
    /// Flags of a + b + C; the last operand is Flags.
    FlagsAdc(Ty, Val, Val, Val),
    /// N and Z of a value, C = V = 0.
    FlagsLogic(Ty, Val),
    /// Constant flags, in bits 3:0 as N Z C V.
    FlagsConst(u8),
    /// Flags from bits 31:28 of an integer.
    FlagsFromNzcv(Val),
    /// Flags in bits 31:28 of an I64, the rest zero.
    NzcvFromFlags(Val),
    /// Whether flags satisfy a condition: I1.
    Test(Cond, Val),
    /// a == 0: I1.
    IsZero(Ty, Val),
    /// a != 0: I1.
    NonZero(Ty, Val),
    /// Bit n of a: I1.
    Bit(u8, Val),
    /// The negation of an I1.
    NotI1(Val),
    /// c ? a : b, of type I1, I32, I64, Flags or V128.
    Select(Ty, Val, Val, Val),
    /// CRC32 or CRC32C of `size` bytes of data into acc: I32 (Arm ARM, C6.2 CRC32B...).
    Crc32 {
        /// CRC-32C polynomial.
        castagnoli: bool,
        /// Bytes of data.
        size: MemSize,
        /// I32.
        acc: Val,
        /// I32 or I64.
        data: Val,
    },

    /// V128 from an integer, zero-extended.
    VFromInt(Val),
    /// V128 from two I64: low, high.
    VFromPair(Val, Val),
    /// Element `lane` of 1 << `esize` bytes, zero-extended to I64.
    VLane(u8, u8, Val),
    /// `v` with element `lane` of 1 << `esize` bytes replaced by the low bits of an integer: (esize, lane, v, a).
    VSetLane(u8, u8, Val, Val),
    /// All elements of 1 << `esize` bytes in the low `bytes` (8 or 16) set to an integer: (esize, bytes, a).
    VDup(u8, u8, Val),
    /// The low `bytes` (1, 2, 4, 8) of a vector, the rest zero.
    VLow(u8, Val),
    /// An integer vector operation; may set FPSR.QC.
    Vec {
        /// What to do.
        op: VecOp,
        /// Its immediate, as the operation defines it.
        imm: u32,
        /// Up to three operands of type V128, unused ones [`Val::NONE`].
        args: [Val; 3],
    },
    /// A floating-point operation (scalar or vector) under FPCR; accumulates into FPSR. Result: V128.
    Fp {
        /// What to do.
        op: FpOp,
        /// Its immediate, as the operation defines it.
        imm: u32,
        /// Up to three operands of type V128, unused ones [`Val::NONE`].
        args: [Val; 3],
    },

    /// Loads `size` bytes; zero- or sign-extended to `ty` (V128: zero-extended; B16 only V128).
    Load {
        /// Result type.
        ty: Ty,
        /// Bytes.
        size: MemSize,
        /// Sign-extended.
        signed: bool,
        /// How.
        acc: Acc,
        /// I64.
        addr: Val,
    },
    /// Stores the low `size` bytes of a value (I32, I64 or V128).
    Store {
        /// Bytes.
        size: MemSize,
        /// How.
        acc: Acc,
        /// I64.
        addr: Val,
        /// What.
        val: Val,
    },
    /// Load-exclusive; I64, or V128 for 16 bytes. Opens the monitor for the `size` bytes (a pair is one access).
    LoadEx {
        /// Bytes.
        size: MemSize,
        /// How.
        acc: Acc,
        /// I64.
        addr: Val,
    },
    /// Store-exclusive: I32, 0 if stored, 1 if not.
    StoreEx {
        /// Bytes.
        size: MemSize,
        /// How.
        acc: Acc,
        /// I64.
        addr: Val,
        /// The low `size` bytes of an integer, or V128 for 16 bytes.
        val: Val,
    },
    /// CLREX.
    ClearEx,
    /// Atomic read-modify-write; the old value, zero-extended: I64.
    Rmw {
        /// What.
        op: AtomicOp,
        /// Bytes, up to 8.
        size: MemSize,
        /// How.
        acc: Acc,
        /// I64.
        addr: Val,
        /// Operand: the low `size` bytes of an integer.
        val: Val,
    },
    /// Atomic compare and swap; the old value, I64, or V128 for 16 bytes.
    Cas {
        /// Bytes.
        size: MemSize,
        /// How.
        acc: Acc,
        /// I64.
        addr: Val,
        /// Compared with memory: the low `size` bytes of an integer, or V128 for 16 bytes.
        expected: Val,
        /// Stored if equal, as `expected`.
        new: Val,
    },
    /// Orders memory accesses.
    Barrier(BarrierKind),

    /// Reads a system register: I64. `rt` is for the syndrome of a trap.
    Mrs {
        /// Which.
        enc: SysEnc,
        /// Register named in the instruction.
        rt: u8,
    },
    /// Writes a system register.
    Msr {
        /// Which.
        enc: SysEnc,
        /// Register named in the instruction.
        rt: u8,
        /// I64.
        val: Val,
    },
    /// SYS: cache, TLB and address translation instructions.
    Sys {
        /// Which.
        enc: SysEnc,
        /// Register named in the instruction.
        rt: u8,
        /// I64.
        val: Val,
    },
    /// MSR (immediate).
    MsrImm {
        /// Field.
        field: PstateField,
        /// CRm.
        imm: u8,
    },
    /// Pointer authentication: I64.
    Pac {
        /// What.
        op: PacOp,
        /// I64.
        ptr: Val,
        /// I64; not used by XPACI and XPACD.
        modifier: Val,
    },
    /// FEAT_MOPS: raises the exception of a main or epilogue instruction that does not continue what went before.
    MopsCheck {
        /// Xn: I64.
        size: Val,
        /// The flags, as MRS reads them: I64.
        nzcv: Val,
        /// Which.
        insn: MopsInsn,
    },
    /// FEAT_MOPS: a main instruction moves some bytes; the new Xn: I64. Unless that is zero it has to come again.
    MopsMove {
        /// Xd: I64.
        to: Val,
        /// Xs: I64.
        from: Val,
        /// Xn: I64.
        size: Val,
        /// Which.
        insn: MopsInsn,
    },
    /// SEV (true) or SEVL (false).
    SendEvent {
        /// To all PEs.
        all: bool,
    },
    /// The instruction has made so many memory accesses, and the performance monitors count them (MEM_ACCESS).
    CountAccesses(u8),
}

impl Op {
    /// The type of the value that the operation makes.
    #[must_use]
    pub const fn ty(&self) -> Ty {
        match *self {
            Self::Const(t, _)
            | Self::Bin(_, t, ..)
            | Self::Un(_, t, _)
            | Self::Ext { to: t, .. }
            | Self::Bfx { ty: t, .. }
            | Self::Bfi { ty: t, .. }
            | Self::Extr { ty: t, .. }
            | Self::AddCarry(t, ..)
            | Self::Select(t, ..)
            | Self::Load { ty: t, .. } => t,
            Self::PcRel(_)
            | Self::PcPage(_)
            | Self::GetX(_)
            | Self::NzcvFromFlags(_)
            | Self::VLane(..)
            | Self::Rmw { .. }
            | Self::Mrs { .. }
            | Self::Pac { .. }
            | Self::MopsMove { .. } => Ty::I64,
            Self::GetV(_)
            | Self::VFromInt(_)
            | Self::VFromPair(..)
            | Self::VSetLane(..)
            | Self::VDup(..)
            | Self::VLow(..)
            | Self::Vec { .. }
            | Self::Fp { .. } => Ty::V128,
            Self::GetFlags
            | Self::FlagsAdd(..)
            | Self::FlagsSub(..)
            | Self::FlagsAdc(..)
            | Self::FlagsLogic(..)
            | Self::FlagsConst(_)
            | Self::FlagsFromNzcv(_) => Ty::Flags,
            Self::Test(..) | Self::IsZero(..) | Self::NonZero(..) | Self::Bit(..) | Self::NotI1(_) => Ty::I1,
            Self::Crc32 { .. } | Self::StoreEx { .. } => Ty::I32,
            Self::LoadEx { size, .. } | Self::Cas { size, .. } => {
                if matches!(size, MemSize::B16) {
                    Ty::V128
                } else {
                    Ty::I64
                }
            }
            Self::SetX(..)
            | Self::SetV(..)
            | Self::SetFlags(_)
            | Self::Store { .. }
            | Self::ClearEx
            | Self::Barrier(_)
            | Self::Msr { .. }
            | Self::Sys { .. }
            | Self::MsrImm { .. }
            | Self::MopsCheck { .. }
            | Self::SendEvent { .. }
            | Self::CountAccesses(_) => Ty::None,
        }
    }

    /// The values that the operation uses; unused places hold [`Val::NONE`].
    #[must_use]
    pub const fn args(&self) -> [Val; 3] {
        const N: Val = Val::NONE;
        match *self {
            Self::Const(..)
            | Self::PcRel(_)
            | Self::PcPage(_)
            | Self::GetX(_)
            | Self::GetV(_)
            | Self::GetFlags
            | Self::FlagsConst(_)
            | Self::ClearEx
            | Self::Barrier(_)
            | Self::Mrs { .. }
            | Self::MsrImm { .. }
            | Self::SendEvent { .. }
            | Self::CountAccesses(_) => [N, N, N],
            Self::SetX(_, a)
            | Self::SetV(_, a)
            | Self::SetFlags(a)
            | Self::Un(_, _, a)
            | Self::Ext { a, .. }
            | Self::Bfx { a, .. }
            | Self::FlagsLogic(_, a)
            | Self::FlagsFromNzcv(a)
            | Self::NzcvFromFlags(a)
            | Self::Test(_, a)
            | Self::IsZero(_, a)
            | Self::NonZero(_, a)
            | Self::Bit(_, a)
            | Self::NotI1(a)
            | Self::VFromInt(a)
            | Self::VLane(_, _, a)
            | Self::VDup(_, _, a)
            | Self::VLow(_, a)
            | Self::Load { addr: a, .. }
            | Self::LoadEx { addr: a, .. }
            | Self::Msr { val: a, .. }
            | Self::Sys { val: a, .. } => [a, N, N],
            Self::Bin(_, _, a, b)
            | Self::Bfi { dst: a, src: b, .. }
            | Self::Extr { hi: a, lo: b, .. }
            | Self::FlagsAdd(_, a, b)
            | Self::FlagsSub(_, a, b)
            | Self::Crc32 { acc: a, data: b, .. }
            | Self::VFromPair(a, b)
            | Self::VSetLane(_, _, a, b)
            | Self::Store { addr: a, val: b, .. }
            | Self::StoreEx { addr: a, val: b, .. }
            | Self::Rmw { addr: a, val: b, .. }
            | Self::Pac { ptr: a, modifier: b, .. }
            | Self::MopsCheck { size: a, nzcv: b, .. } => [a, b, N],
            Self::AddCarry(_, a, b, c)
            | Self::FlagsAdc(_, a, b, c)
            | Self::Select(_, a, b, c)
            | Self::Cas { addr: a, expected: b, new: c, .. }
            | Self::MopsMove { to: a, from: b, size: c, .. } => [a, b, c],
            Self::Vec { args, .. } | Self::Fp { args, .. } => args,
        }
    }

    /// True if the operation reads or writes memory that its operands name.
    #[must_use]
    pub const fn accesses_memory(&self) -> bool {
        matches!(
            self,
            Self::Load { .. }
                | Self::Store { .. }
                | Self::LoadEx { .. }
                | Self::StoreEx { .. }
                | Self::Rmw { .. }
                | Self::Cas { .. }
                | Self::MopsMove { .. }
        )
    }

    /// True if the operation can raise a synchronous exception.
    #[must_use]
    pub const fn can_fault(&self) -> bool {
        matches!(
            self,
            Self::Load { .. }
                | Self::Store { .. }
                | Self::LoadEx { .. }
                | Self::StoreEx { .. }
                | Self::Rmw { .. }
                | Self::Cas { .. }
                | Self::Mrs { .. }
                | Self::Msr { .. }
                | Self::Sys { .. }
                | Self::Pac { .. }
                | Self::MopsCheck { .. }
                | Self::MopsMove { .. }
                | Self::MsrImm { .. }
        )
    }
}

//! Blocks from text, in the form that printing gives them.

use std::fmt::Debug;

use thiserror::Error;

use super::block::{Block, ExcOp, InsnInfo, Inst, LeaveKind, Link, Term};
use super::op::{
    Acc, AtomicOp, BarrierKind, BinOp, Cond, MemSize, Op, Order, PacOp, PstateField, SysEnc, Ty, UnOp, Val,
};
use super::print::name;
use crate::mem::mops::MopsInsn;

/// Text that is not a block.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error("line {line}: cannot read {text:?}")]
pub struct ParseError {
    /// Line, from 1; one after the last if the end of the block is missing.
    pub line: usize,
    /// What is not understood.
    pub text: String,
}

/// Reads a block; empty lines and comments (`#` at the start of a line) are skipped. Blocks with vector and
/// floating-point operations ([`Op::Vec`], [`Op::Fp`]) cannot be read: their operations are not known by name.
pub fn parse(text: &str) -> Result<Block, ParseError> {
    let mut block = Block { insts: Vec::new(), insns: Vec::new(), term: Term::Exception(ExcOp::Undefined) };
    let mut ended = false;
    let mut lines = 0;
    for (n, full) in text.lines().enumerate() {
        lines = n + 1;
        let line = full.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let read = if ended { None } else { parse_line(&mut block, line) };
        ended = read.ok_or_else(|| ParseError { line: lines, text: line.to_owned() })?;
    }
    if ended { Ok(block) } else { Err(ParseError { line: lines + 1, text: String::new() }) }
}

/// One line; true if it is the block's end.
fn parse_line(block: &mut Block, line: &str) -> Option<bool> {
    if let Some((at, word)) = line.strip_prefix('+').and_then(|l| l.split_once(": ")) {
        if number(at)? != block.insns.len() as i64 * 4 {
            return None;
        }
        let word = u32::from_str_radix(word, 16).ok()?;
        block.insns.push(InsnInfo { word, first: u16::try_from(block.insts.len()).ok()? });
        return Some(false);
    }
    if let Some(term) = parse_term(line) {
        block.term = term;
        return Some(true);
    }
    let (ty, text) = match line.split_once(" = ") {
        Some((result, text)) => {
            let (val, ty) = result.split_once(": ")?;
            if parse_val(val)?.0 as usize != block.insts.len() {
                return None;
            }
            (named(&[Ty::I1, Ty::I32, Ty::I64, Ty::V128, Ty::Flags], ty)?, text)
        }
        None => (Ty::None, line),
    };
    let op = Text::new(text)?.op(ty)?;
    if op.ty() != ty {
        return None;
    }
    block.insts.push(Inst { op, insn: block.insns.len().saturating_sub(1) as u16 });
    Some(false)
}

/// The member of `all` with this printed name.
fn named<T: Copy + Debug>(all: &[T], text: &str) -> Option<T> {
    all.iter().copied().find(|v| name(v) == text)
}

/// A number, decimal or hexadecimal, with a sign or without.
fn number(text: &str) -> Option<i64> {
    let (negative, digits) = match text.strip_prefix('-') {
        Some(digits) => (true, digits),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let n = match digits.strip_prefix("0x") {
        Some(hex) => u64::from_str_radix(hex, 16).ok()?,
        None => digits.parse().ok()?,
    };
    Some(if negative { (n as i64).wrapping_neg() } else { n as i64 })
}

fn parse_val(text: &str) -> Option<Val> {
    text.strip_prefix('%')?.parse().ok().map(Val)
}

fn parse_sysenc(text: &str) -> Option<SysEnc> {
    let f: Vec<u32> = text
        .strip_prefix('S')?
        .split('_')
        .map(|p| p.trim_start_matches('C').parse().ok())
        .collect::<Option<_>>()?;
    let [op0, op1, crn, crm, op2] = *f.as_slice() else { return None };
    Some(SysEnc::new(op0, op1, crn, crm, op2))
}

fn parse_acc(text: &str) -> Option<Acc> {
    let mut acc = Acc::PLAIN;
    for word in text.split(' ') {
        match word {
            "unpriv" => acc.unpriv = true,
            "sp" => acc.sp_base = true,
            _ => match named(SIZES, word) {
                Some(size) => acc.elem_align = Some(size),
                None => acc.order = named(ORDERS, word)?,
            },
        }
    }
    Some(acc)
}

const SIZES: &[MemSize] = &[MemSize::B1, MemSize::B2, MemSize::B4, MemSize::B8, MemSize::B16];
const ORDERS: &[Order] = &[Order::Acquire, Order::AcquirePc, Order::Release, Order::AcqRel];
const LINKS: &[Link] = &[Link::Jump, Link::Call, Link::Return];
const BIN_OPS: &[BinOp] = {
    use BinOp::*;
    &[Add, Sub, Mul, SMulH, UMulH, SDiv, UDiv, And, Or, Xor, AndNot, OrNot, XorNot, Shl, Lsr, Asr, Ror]
};
const UN_OPS: &[UnOp] = {
    use UnOp::*;
    &[Not, Neg, Clz, Cls, Rbit, Rev, Rev16, Rev32]
};
const ATOMIC_OPS: &[AtomicOp] = {
    use AtomicOp::*;
    &[Swp, Add, Clr, Eor, Set, Smax, Smin, Umax, Umin]
};
const BARRIERS: &[BarrierKind] = {
    use BarrierKind::*;
    &[DmbFull, DmbLoad, DmbStore, Dsb, Speculation]
};
const PAC_OPS: &[PacOp] = {
    use PacOp::*;
    &[PacIa, PacIb, PacDa, PacDb, AutIa, AutIb, AutDa, AutDb, XpacI, XpacD, PacGa]
};
const FIELDS: &[PstateField] = {
    use PstateField::*;
    &[SpSel, DaifSet, DaifClr, Pan, Uao, Dit, Ssbs, Tco]
};

/// `word(n)` as a word and a number, 0 without one.
fn with_number(text: &str) -> Option<(&str, u16)> {
    match text.strip_suffix(')').and_then(|t| t.split_once('(')) {
        Some((word, n)) => Some((word, n.parse().ok()?)),
        None => Some((text, 0)),
    }
}

fn parse_term(line: &str) -> Option<Term> {
    let (head, rest) = line.split_once(' ')?;
    let mut parts = rest.split(", ");
    let first = parts.next()?;
    let mut rel = || number(parts.next()?);
    Some(match head {
        "if" => Term::If { cond: parse_val(first)?, then_rel: rel()?, else_rel: rel()? },
        "exception" => Term::Exception(match with_number(first)? {
            ("undefined", _) => ExcOp::Undefined,
            ("fpaccess", _) => ExcOp::FpAccess,
            ("branchtarget", _) => ExcOp::BranchTarget,
            ("svc", n) => ExcOp::Svc(n),
            ("hvc", n) => ExcOp::Hvc(n),
            ("smc", n) => ExcOp::Smc(n),
            ("brk", n) => ExcOp::Brk(n),
            ("hlt", n) => ExcOp::Hlt(n),
            _ => return None,
        }),
        "leave" => {
            let kind = match with_number(first)? {
                ("context", _) => LeaveKind::Context,
                ("wfi", n) => LeaveKind::Wfi(n as u8),
                ("wfe", n) => LeaveKind::Wfe(n as u8),
                ("yield", _) => LeaveKind::Yield,
                ("esb", _) => LeaveKind::Esb,
                ("eret", _) => LeaveKind::Eret,
                ("ereta", n) => LeaveKind::EretA(n as u8),
                _ => return None,
            };
            Term::Leave { kind, next: rel()? }
        }
        _ => {
            let link = named(LINKS, head)?;
            match parse_val(first) {
                Some(target) => {
                    let btype = parts.next().map_or(Some(0), |n| n.parse().ok())?;
                    Term::Indirect { target, link, btype }
                }
                None => Term::Goto { rel: number(first)?, link },
            }
        }
    })
}

/// The text of an operation, taken apart: `head.suffix.suffix args {acc}`.
struct Text<'a> {
    head: &'a str,
    suffixes: Vec<&'a str>,
    args: Vec<&'a str>,
    acc: Acc,
}

impl<'a> Text<'a> {
    fn new(text: &'a str) -> Option<Self> {
        let (text, acc) = match text.strip_suffix('}').and_then(|t| t.split_once(" {")) {
            Some((text, acc)) => (text, parse_acc(acc)?),
            None => (text, Acc::PLAIN),
        };
        let (head, args) = text.split_once(' ').unwrap_or((text, ""));
        let mut suffixes = head.split('.');
        let head = suffixes.next()?;
        let args = if args.is_empty() { Vec::new() } else { args.split(", ").collect() };
        Some(Self { head, suffixes: suffixes.collect(), args, acc })
    }
    fn val(&self, n: usize) -> Option<Val> {
        parse_val(self.args.get(n)?)
    }
    fn num(&self, n: usize) -> Option<i64> {
        number(self.args.get(n)?)
    }
    fn byte(&self, n: usize) -> Option<u8> {
        u8::try_from(self.num(n)?).ok()
    }
    fn mops(&self, n: usize) -> Option<MopsInsn> {
        u32::try_from(self.num(n)?).ok().map(MopsInsn)
    }
    fn suffix<T: Copy + Debug>(&self, n: usize, all: &[T]) -> Option<T> {
        named(all, self.suffixes.get(n)?)
    }
    /// The type of the operands, where it is not the result's.
    fn ty(&self) -> Option<Ty> {
        self.suffix(0, &[Ty::I32, Ty::I64])
    }

    fn op(&self, ty: Ty) -> Option<Op> {
        self.register_op()
            .or_else(|| self.integer_op(ty))
            .or_else(|| self.memory_op(ty))
            .or_else(|| self.other_op())
    }

    fn register_op(&self) -> Option<Op> {
        let (file, n) = match *self.args.first()? {
            "sp" => ("x", 31),
            "nzcv" => ("nzcv", 0),
            r => (r.get(..1)?, r.get(1..)?.parse().ok().filter(|n| *n < 32)?),
        };
        Some(match (self.head, file) {
            ("get", "x") => Op::GetX(n),
            ("get", "v") => Op::GetV(n),
            ("get", "nzcv") => Op::GetFlags,
            ("set", "x") => Op::SetX(n, self.val(1)?),
            ("set", "v") => Op::SetV(n, self.val(1)?),
            ("set", "nzcv") => Op::SetFlags(self.val(1)?),
            _ => return None,
        })
    }

    fn integer_op(&self, ty: Ty) -> Option<Op> {
        let v = |n| self.val(n);
        Some(match self.head {
            "const" => Op::Const(ty, self.num(0)? as u64),
            "pcrel" => Op::PcRel(self.num(0)?),
            "pcpage" => Op::PcPage(self.num(0)?),
            "zext" | "sext" => {
                let bits = self.suffixes.first()?.parse().ok()?;
                Op::Ext { bits, signed: self.head == "sext", to: ty, a: v(0)? }
            }
            "ubfx" | "sbfx" => {
                let (lsb, width) = (self.byte(0)?, self.byte(1)?);
                Op::Bfx { ty, signed: self.head == "sbfx", lsb, width, a: v(2)? }
            }
            "bfi" => Op::Bfi { ty, lsb: self.byte(0)?, width: self.byte(1)?, dst: v(2)?, src: v(3)? },
            "extr" => Op::Extr { ty, lsb: self.byte(0)?, hi: v(1)?, lo: v(2)? },
            "adc" => Op::AddCarry(ty, v(0)?, v(1)?, v(2)?),
            "flags_add" => Op::FlagsAdd(self.ty()?, v(0)?, v(1)?),
            "flags_sub" => Op::FlagsSub(self.ty()?, v(0)?, v(1)?),
            "flags_adc" => Op::FlagsAdc(self.ty()?, v(0)?, v(1)?, v(2)?),
            "flags_logic" => Op::FlagsLogic(self.ty()?, v(0)?),
            "flags_const" => Op::FlagsConst(self.byte(0)?),
            "flags_from_nzcv" => Op::FlagsFromNzcv(v(0)?),
            "nzcv_from_flags" => Op::NzcvFromFlags(v(0)?),
            "test" => {
                let cond =
                    (0..16).map(Cond::from_bits).find(|c| self.suffixes.first() == Some(&&*name(c)))?;
                Op::Test(cond, v(0)?)
            }
            "is_zero" => Op::IsZero(self.ty()?, v(0)?),
            "non_zero" => Op::NonZero(self.ty()?, v(0)?),
            "bit" => Op::Bit(self.byte(0)?, v(1)?),
            "not_i1" => Op::NotI1(v(0)?),
            "select" => Op::Select(ty, v(0)?, v(1)?, v(2)?),
            "crc32" | "crc32c" => {
                let castagnoli = self.head == "crc32c";
                Op::Crc32 { castagnoli, size: self.suffix(0, SIZES)?, acc: v(0)?, data: v(1)? }
            }
            head => match named(BIN_OPS, head) {
                Some(op) => Op::Bin(op, ty, v(0)?, v(1)?),
                None => Op::Un(named(UN_OPS, head)?, ty, v(0)?),
            },
        })
    }

    fn memory_op(&self, ty: Ty) -> Option<Op> {
        let acc = self.acc;
        let v = |n| self.val(n);
        let size = || self.suffix(0, SIZES);
        Some(match self.head {
            "load" => Op::Load { ty, size: size()?, signed: false, acc, addr: v(0)? },
            "load_signed" => Op::Load { ty, size: size()?, signed: true, acc, addr: v(0)? },
            "store" => Op::Store { size: size()?, acc, addr: v(0)?, val: v(1)? },
            "load_ex" => Op::LoadEx { size: size()?, acc, addr: v(0)? },
            "store_ex" => Op::StoreEx { size: size()?, acc, addr: v(0)?, val: v(1)? },
            "rmw" => {
                let (op, size) = (self.suffix(0, ATOMIC_OPS)?, self.suffix(1, SIZES)?);
                Op::Rmw { op, size, acc, addr: v(0)?, val: v(1)? }
            }
            "cas" => Op::Cas { size: size()?, acc, addr: v(0)?, expected: v(1)?, new: v(2)? },
            "clear_ex" => Op::ClearEx,
            "barrier" => Op::Barrier(self.suffix(0, BARRIERS)?),
            _ => return None,
        })
    }

    fn other_op(&self) -> Option<Op> {
        let v = |n| self.val(n);
        let enc = || parse_sysenc(self.args.first()?);
        Some(match self.head {
            "v_from_int" => Op::VFromInt(v(0)?),
            "v_from_pair" => Op::VFromPair(v(0)?, v(1)?),
            "v_lane" => Op::VLane(self.byte(0)?, self.byte(1)?, v(2)?),
            "v_set_lane" => Op::VSetLane(self.byte(0)?, self.byte(1)?, v(2)?, v(3)?),
            "v_dup" => Op::VDup(self.byte(0)?, self.byte(1)?, v(2)?),
            "v_low" => Op::VLow(self.byte(0)?, v(1)?),
            "mrs" => Op::Mrs { enc: enc()?, rt: self.byte(1)? },
            "msr" => Op::Msr { enc: enc()?, rt: self.byte(1)?, val: v(2)? },
            "sys" => Op::Sys { enc: enc()?, rt: self.byte(1)?, val: v(2)? },
            "pac" => Op::Pac { op: self.suffix(0, PAC_OPS)?, ptr: v(0)?, modifier: v(1)? },
            "mops_check" => Op::MopsCheck { size: v(0)?, nzcv: v(1)?, insn: self.mops(2)? },
            "mops_move" => Op::MopsMove { to: v(0)?, from: v(1)?, size: v(2)?, insn: self.mops(3)? },
            "msr_imm" => Op::MsrImm { field: self.suffix(0, FIELDS)?, imm: self.byte(0)? },
            "sev" => Op::SendEvent { all: true },
            "sevl" => Op::SendEvent { all: false },
            "count_accesses" => Op::CountAccesses(self.byte(0)?),
            _ => return None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refuses_what_is_not_a_block() {
        assert_eq!(parse("").map_err(|e| e.line), Err(1));
        assert_eq!(parse("+0x0: d503201f\n").map_err(|e| e.line), Err(2));
        assert_eq!(parse("+0x4: d503201f\n    jump +0x4\n").map_err(|e| e.line), Err(1));
        assert_eq!(parse("    %1: i64 = get x0\n    jump +0x4\n").map_err(|e| e.line), Err(1));
        assert_eq!(parse("    %0: i32 = get x0\n    jump +0x4\n").map_err(|e| e.line), Err(1));
        assert_eq!(parse("    jump +0x4\n    jump +0x4\n").map_err(|e| e.line), Err(2));
        assert!(parse("# nothing\n    jump -0x4\n").is_ok());
    }
}

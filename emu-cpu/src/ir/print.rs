//! The IR as text; [`super::parse`] reads it back.
//!
//! One line per guest instruction (`+0x4: 8b020020`), then its operations (`    %3: i64 = add %1, %2`), at last the end.
//! A suffix names what the result's type does not: `flags_sub.i32`, `load.b4`, `zext.8`.

use std::fmt::{self, Debug, Display, Formatter};

use super::block::{Block, Term};
use super::op::{Acc, Op, Order, Ty, Val};

/// The Debug name of an enum's variant in lower case.
pub(super) fn name(v: impl Debug) -> String {
    format!("{v:?}").to_lowercase()
}

/// A signed number in hexadecimal.
struct Rel(i64);

impl Display for Rel {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{}{:#x}", if self.0 < 0 { '-' } else { '+' }, self.0.unsigned_abs())
    }
}

impl Display for Val {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        if self.is_some() { write!(f, "%{}", self.0) } else { f.write_str("_") }
    }
}

impl Display for Ty {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(&name(self))
    }
}

/// What is not plain about an access, in braces after it.
impl Display for Acc {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        if *self == Self::PLAIN {
            return Ok(());
        }
        let mut words = Vec::new();
        if self.order != Order::Plain {
            words.push(name(self.order));
        }
        if self.unpriv {
            words.push("unpriv".into());
        }
        if self.sp_base {
            words.push("sp".into());
        }
        words.extend(self.elem_align.map(name));
        write!(f, " {{{}}}", words.join(" "))
    }
}

impl Display for Block {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let mut insns = self.insns.iter().enumerate().peekable();
        for (n, inst) in self.insts.iter().enumerate() {
            while let Some((i, info)) = insns.next_if(|(_, info)| info.first as usize <= n) {
                writeln!(f, "+{:#x}: {:08x}", i * 4, info.word)?;
            }
            match inst.op.ty() {
                Ty::None => writeln!(f, "    {}", inst.op)?,
                ty => writeln!(f, "    %{n}: {ty} = {}", inst.op)?,
            }
        }
        for (i, info) in insns {
            writeln!(f, "+{:#x}: {:08x}", i * 4, info.word)?;
        }
        writeln!(f, "    {}", self.term)
    }
}

impl Display for Op {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let sign = |signed| if signed { 's' } else { 'u' };
        match *self {
            Self::Const(_, v) => write!(f, "const {v:#x}"),
            Self::PcRel(n) => write!(f, "pcrel {}", Rel(n)),
            Self::PcPage(n) => write!(f, "pcpage {}", Rel(n)),
            Self::GetX(31) => f.write_str("get sp"),
            Self::GetX(r) => write!(f, "get x{r}"),
            Self::SetX(31, v) => write!(f, "set sp, {v}"),
            Self::SetX(r, v) => write!(f, "set x{r}, {v}"),
            Self::GetV(r) => write!(f, "get v{r}"),
            Self::SetV(r, v) => write!(f, "set v{r}, {v}"),
            Self::GetFlags => f.write_str("get nzcv"),
            Self::SetFlags(v) => write!(f, "set nzcv, {v}"),
            Self::Bin(op, _, a, b) => write!(f, "{} {a}, {b}", name(op)),
            Self::Un(op, _, a) => write!(f, "{} {a}", name(op)),
            Self::Ext { bits, signed, a, .. } => {
                write!(f, "{}ext.{bits} {a}", if signed { 's' } else { 'z' })
            }
            Self::Bfx { signed, lsb, width, a, .. } => write!(f, "{}bfx {lsb}, {width}, {a}", sign(signed)),
            Self::Bfi { lsb, width, dst, src, .. } => write!(f, "bfi {lsb}, {width}, {dst}, {src}"),
            Self::Extr { lsb, hi, lo, .. } => write!(f, "extr {lsb}, {hi}, {lo}"),
            Self::AddCarry(_, a, b, c) => write!(f, "adc {a}, {b}, {c}"),
            Self::FlagsAdd(ty, a, b) => write!(f, "flags_add.{ty} {a}, {b}"),
            Self::FlagsSub(ty, a, b) => write!(f, "flags_sub.{ty} {a}, {b}"),
            Self::FlagsAdc(ty, a, b, c) => write!(f, "flags_adc.{ty} {a}, {b}, {c}"),
            Self::FlagsLogic(ty, a) => write!(f, "flags_logic.{ty} {a}"),
            Self::FlagsConst(n) => write!(f, "flags_const {n:#x}"),
            Self::FlagsFromNzcv(a) => write!(f, "flags_from_nzcv {a}"),
            Self::NzcvFromFlags(a) => write!(f, "nzcv_from_flags {a}"),
            Self::Test(cond, a) => write!(f, "test.{} {a}", name(cond)),
            Self::IsZero(ty, a) => write!(f, "is_zero.{ty} {a}"),
            Self::NonZero(ty, a) => write!(f, "non_zero.{ty} {a}"),
            Self::Bit(n, a) => write!(f, "bit {n}, {a}"),
            Self::NotI1(a) => write!(f, "not_i1 {a}"),
            Self::Select(_, c, a, b) => write!(f, "select {c}, {a}, {b}"),
            Self::Crc32 { castagnoli, size, acc, data } => {
                write!(f, "crc32{}.{} {acc}, {data}", if castagnoli { "c" } else { "" }, name(size))
            }
            _ => self.fmt_vector(f),
        }
    }
}

impl Op {
    fn fmt_vector(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match *self {
            Self::VFromInt(a) => write!(f, "v_from_int {a}"),
            Self::VFromPair(lo, hi) => write!(f, "v_from_pair {lo}, {hi}"),
            Self::VLane(esize, lane, v) => write!(f, "v_lane {esize}, {lane}, {v}"),
            Self::VSetLane(esize, lane, v, a) => write!(f, "v_set_lane {esize}, {lane}, {v}, {a}"),
            Self::VDup(esize, bytes, a) => write!(f, "v_dup {esize}, {bytes}, {a}"),
            Self::VLow(bytes, v) => write!(f, "v_low {bytes}, {v}"),
            Self::Vec { op, imm, args: [a, b, c] } => write!(f, "vec {op:?}, {imm:#x}, {a}, {b}, {c}"),
            Self::Fp { op, imm, args: [a, b, c] } => write!(f, "fp {op:?}, {imm:#x}, {a}, {b}, {c}"),
            _ => self.fmt_memory(f),
        }
    }

    fn fmt_memory(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Load { size, signed, acc, addr, .. } => {
                write!(f, "load{}.{} {addr}{acc}", if signed { "_signed" } else { "" }, name(size))
            }
            Self::Store { size, acc, addr, val } => write!(f, "store.{} {addr}, {val}{acc}", name(size)),
            Self::LoadEx { size, acc, addr } => write!(f, "load_ex.{} {addr}{acc}", name(size)),
            Self::StoreEx { size, acc, addr, val } => {
                write!(f, "store_ex.{} {addr}, {val}{acc}", name(size))
            }
            Self::Rmw { op, size, acc, addr, val } => {
                write!(f, "rmw.{}.{} {addr}, {val}{acc}", name(op), name(size))
            }
            Self::Cas { size, acc, addr, expected, new } => {
                write!(f, "cas.{} {addr}, {expected}, {new}{acc}", name(size))
            }
            Self::ClearEx => f.write_str("clear_ex"),
            Self::Barrier(kind) => write!(f, "barrier.{}", name(kind)),
            Self::Mrs { enc, rt } => write!(f, "mrs {enc:?}, {rt}"),
            Self::Msr { enc, rt, val } => write!(f, "msr {enc:?}, {rt}, {val}"),
            Self::Sys { enc, rt, val } => write!(f, "sys {enc:?}, {rt}, {val}"),
            Self::Pac { op, ptr, modifier } => write!(f, "pac.{} {ptr}, {modifier}", name(op)),
            Self::MopsCheck { size, nzcv, insn } => write!(f, "mops_check {size}, {nzcv}, {:#x}", insn.0),
            Self::MopsMove { to, from, size, insn } => {
                write!(f, "mops_move {to}, {from}, {size}, {:#x}", insn.0)
            }
            Self::MsrImm { field, imm } => write!(f, "msr_imm.{} {imm}", name(field)),
            Self::SendEvent { all } => f.write_str(if all { "sev" } else { "sevl" }),
            Self::CountAccesses(n) => write!(f, "count_accesses {n}"),
            // The other groups are printed by the functions that lead here.
            _ => Ok(()),
        }
    }
}

impl Display for Term {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Goto { rel, link } => write!(f, "{} {}", name(link), Rel(rel)),
            Self::If { cond, then_rel, else_rel } => {
                write!(f, "if {cond}, {}, {}", Rel(then_rel), Rel(else_rel))
            }
            Self::Indirect { target, link, btype: 0 } => write!(f, "{} {target}", name(link)),
            Self::Indirect { target, link, btype } => write!(f, "{} {target}, {btype}", name(link)),
            Self::Exception(e) => write!(f, "exception {}", name(e)),
            Self::Leave { kind, next } => write!(f, "leave {}, {}", name(kind), Rel(next)),
        }
    }
}

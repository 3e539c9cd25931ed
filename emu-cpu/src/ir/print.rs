//! The IR as text.

use std::fmt;

use super::block::{Block, Term};
use super::op::{Op, Ty, Val};

impl fmt::Display for Val {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_some() { write!(f, "%{}", self.0) } else { f.write_str("_") }
    }
}

impl fmt::Display for Block {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut insns = self.insns.iter().enumerate().peekable();
        for (n, inst) in self.insts.iter().enumerate() {
            while let Some((i, info)) = insns.next_if(|(_, info)| info.first as usize <= n) {
                writeln!(f, "+{:#x}: {:08x}", i * 4, info.word)?;
            }
            if inst.op.ty() == Ty::None {
                writeln!(f, "    {}", inst.op)?;
            } else {
                writeln!(f, "    %{n}: {:?} = {}", inst.op.ty(), inst.op)?;
            }
        }
        for (i, info) in insns {
            writeln!(f, "+{:#x}: {:08x}", i * 4, info.word)?;
        }
        writeln!(f, "    {}", self.term)
    }
}

impl fmt::Display for Op {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Const(_, v) => write!(f, "const {v:#x}"),
            Self::PcRel(n) => write!(f, "pcrel {n:+#x}"),
            Self::PcPage(n) => write!(f, "pcpage {n:+#x}"),
            Self::GetX(31) => f.write_str("get sp"),
            Self::GetX(r) => write!(f, "get x{r}"),
            Self::SetX(31, v) => write!(f, "set sp, {v}"),
            Self::SetX(r, v) => write!(f, "set x{r}, {v}"),
            Self::GetV(r) => write!(f, "get v{r}"),
            Self::SetV(r, v) => write!(f, "set v{r}, {v}"),
            Self::GetFlags => f.write_str("get nzcv"),
            Self::SetFlags(v) => write!(f, "set nzcv, {v}"),
            Self::Bin(op, _, a, b) => write!(f, "{op:?} {a}, {b}"),
            Self::Un(op, _, a) => write!(f, "{op:?} {a}"),
            ref other => {
                let text = format!("{other:?}");
                f.write_str(&text.replace("Val(65535)", "_").replace("Val(", "%(").replace("%(", "%"))
            }
        }
    }
}

impl fmt::Display for Term {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Goto { rel, link } => write!(f, "goto {rel:+#x} ({link:?})"),
            Self::If { cond, then_rel, else_rel } => {
                write!(f, "if {cond} goto {then_rel:+#x} else {else_rel:+#x}")
            }
            Self::Indirect { target, link } => write!(f, "goto {target} ({link:?})"),
            Self::Exception(e) => write!(f, "exception {e:?}"),
            Self::Leave { kind, next } => write!(f, "leave {kind:?}, next {next:+#x}"),
        }
    }
}

//! The IR as text; [`super::parse`] reads it back.
//!
//! One line per guest instruction (`+0x4: 8b020020`), then its operations (`    %3: i64 = add %1, %2`), at last the end.
//! A suffix names what the result's type does not: `flags_sub.i32`, `load.b4`, `zext.8`. The text of each operation is in
//! its row of the table.

use std::fmt::{self, Display, Formatter};

use super::block::{Block, Term};
use super::text::Shown;
use super::value::Ty;

impl Display for Block {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let mut insns = self.insns.iter().enumerate().peekable();
        for (n, inst) in self.insts.iter().enumerate() {
            while let Some((i, info)) = insns.next_if(|(_, info)| info.first as usize <= n) {
                writeln!(f, "+{:#x}: {:08x}", i * 4, info.word)?;
            }
            match inst.op.ty() {
                Ty::None => writeln!(f, "    {}", inst.op)?,
                ty => writeln!(f, "    %{n}: {} = {}", Shown(ty), inst.op)?,
            }
        }
        for (i, info) in insns {
            writeln!(f, "+{:#x}: {:08x}", i * 4, info.word)?;
        }
        writeln!(f, "    {}", self.term)
    }
}

impl Display for Term {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Goto { rel, link } => write!(f, "{} {}", Shown(link), Shown(rel)),
            Self::If { cond, then_rel, else_rel } => {
                write!(f, "if {}, {}, {}", Shown(cond), Shown(then_rel), Shown(else_rel))
            }
            Self::Indirect { target, link, btype: 0 } => write!(f, "{} {}", Shown(link), Shown(target)),
            Self::Indirect { target, link, btype } => {
                write!(f, "{} {}, {btype}", Shown(link), Shown(target))
            }
            Self::Exception(e) => write!(f, "exception {}", Shown(e)),
            Self::Leave { kind, next } => write!(f, "leave {}, {}", Shown(kind), Shown(next)),
        }
    }
}

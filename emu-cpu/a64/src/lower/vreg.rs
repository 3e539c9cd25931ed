//! The SIMD&FP registers that an instruction names.

use super::{Flow, Lower, Lowered};
use crate::ir::{Op, Val};

impl Lower<'_> {
    /// Vector register Rn.
    pub(crate) fn vn(&mut self) -> Val {
        let r = self.rn();
        self.b.v(r)
    }
    /// Vector register Rm.
    pub(crate) fn vm(&mut self) -> Val {
        let r = self.rm();
        self.b.v(r)
    }
    /// Vector register Rd, read.
    pub(crate) fn vd(&mut self) -> Val {
        let r = self.rd();
        self.b.v(r)
    }
    /// Writes vector register Rd and goes on.
    pub(crate) fn set_vd(&mut self, v: Val) -> Lowered {
        let r = self.rd();
        self.b.set_v(r, v);
        Ok(Flow::Next)
    }
    /// A vector register's worth of zero.
    pub(crate) fn vzero(&mut self) -> Val {
        let zero = self.b.c64(0);
        self.b.push(Op::VFromInt(zero))
    }
}

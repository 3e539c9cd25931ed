//! Calls of the exact functions.

use emu_a64::ir::Val;

use super::{Predecoder, TooBig};
use crate::interp::uop::{Call, Uop, ZERO};

impl Predecoder<'_> {
    /// A call of an exact function.
    pub(super) fn call(&mut self, i: usize, call: Call, args: [Val; 3]) -> Result<(), TooBig> {
        self.code.calls.push(call);
        let call = (self.code.calls.len() - 1) as u16;
        let mut slots = [ZERO; 3];
        for (slot, v) in slots.iter_mut().zip(args) {
            if v.is_some() {
                *slot = self.any(v)?;
            }
        }
        let [a, b, c] = slots;
        let d = self.dest(i)?;
        self.emit(Uop::Call { d, a, b, c, call });
        Ok(())
    }
}

//! Memory as the program that runs could access it, for who serves its calls. A fault is a value, and no exception.

use emu_core::Pa;
use emu_mmu::{Access, Request};

use super::{Mem, inspect};

impl Mem {
    /// Reads memory as the program could: by its translation and with its permissions, but nothing of a device. Gives how
    /// many bytes could be read.
    pub fn read_as_program(&self, va: u64, out: &mut [u8]) -> usize {
        inspect::pieces(
            out.len(),
            va,
            |at| self.place(at, Access::Read),
            |pa, range| self.read_piece(pa, &mut out[range]),
        )
        .unwrap_or(0)
    }

    /// Writes memory as the program could. Gives how many bytes could be written.
    pub fn write_as_program(&self, va: u64, bytes: &[u8]) -> usize {
        inspect::pieces(
            bytes.len(),
            va,
            |at| self.place(at, Access::Write),
            |pa, range| self.write_piece(pa, &bytes[range]),
        )
        .unwrap_or(0)
    }

    /// Where an access of the program's at `va` goes. Descriptors are updated, and nothing is kept, as by AT.
    fn place(&self, va: u64, access: Access) -> Result<Pa, inspect::Unreachable> {
        let context = self.fast.context();
        let request = Request {
            va,
            access,
            privileged: context.privileged(),
            pan: context.pan(),
            unaligned: false,
            stage1_only: false,
        };
        self.walk_only(&context, &request).map(|t| t.pa).map_err(inspect::Unreachable::Fault)
    }
}

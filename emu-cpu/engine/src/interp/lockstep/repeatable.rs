//! Which operations can be done twice.

use emu_a64::ir::BarrierKind;
use emu_pe::cpu::Cpu;
use emu_pe::sysreg::row;

use crate::interp::uop::{Repeat, Uop};

/// True if an operation depends on nothing but registers and memory, and changes nothing else: then it may be done by
/// host code, taken back, and done by the interpreter. The others are done once, and are not compared.
pub(crate) fn is_repeatable(uop: &Uop, cpu: &Cpu) -> bool {
    match uop.facts().repeat {
        Repeat::Always => true,
        Repeat::Never => false,
        Repeat::Read(enc) => row(enc).is_some_and(|row| row.is_repeatable(true)),
        Repeat::Write(enc) => row(enc).is_some_and(|row| row.is_repeatable(false)),
        Repeat::Field(field) => field.row().repeatable,
        // It waits for others, who may wait for us.
        Repeat::Barrier(BarrierKind::Dsb) => !cpu.mem.has_peers(),
        Repeat::Barrier(_) => true,
    }
}

//! Loads and stores.

use crate::cpu::Cpu;
use crate::exception::Exception;
use crate::sysreg::SysInsn;

/// What a vCPU keeps for its memory accesses.
#[derive(Default)]
pub struct Mem {}

/// Executes a cache, TLB or address translation instruction.
pub fn maintenance(_cpu: &mut Cpu, _insn: SysInsn, _val: u64) -> Result<(), Exception> {
    Ok(())
}

/// Clears the exclusive monitor.
pub fn clear_exclusive(_cpu: &mut Cpu) {}

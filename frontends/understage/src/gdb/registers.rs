//! The registers a debugger sees, and the numbers they go by in its protocol.
//!
//! | number | register |
//! |---|---|
//! | 0 to 30 | X0 to X30 |
//! | 31, 32, 33 | SP, PC, PSTATE in the layout of SPSR_ELx |
//! | 34 to 65 | V0 to V31 |
//! | 66, 67 | FPSR, FPCR |
//! | 68 on | the table of system registers, row by row |

use std::num::NonZeroUsize;

use emu_a64::regs::SP;
use emu_pe::cpu::Cpu;
use emu_pe::sysreg::{Row, rows};
use gdbstub::arch::{Arch, RegId, Registers};

/// Number of the first row of the table of system registers.
pub const FIRST_SYSTEM: usize = 68;
const FIRST_VECTOR: usize = 34;

/// AArch64 as the debugger's protocol has it.
pub enum Aarch64 {}

impl Arch for Aarch64 {
    type Usize = u64;
    type Registers = CoreRegs;
    type BreakpointKind = usize;
    type RegId = Register;
}

/// One register.
#[derive(Clone, Copy, Debug)]
pub enum Register {
    /// X0 to X30.
    X(usize),
    /// The current stack pointer.
    Sp,
    /// The program counter.
    Pc,
    /// PSTATE.
    Pstate,
    /// V0 to V31.
    V(usize),
    /// FPSR.
    Fpsr,
    /// FPCR.
    Fpcr,
    /// A system register, by its row in the table.
    System(usize),
}

impl Register {
    /// Bytes in its value.
    #[must_use]
    pub fn size(self) -> usize {
        match self {
            Self::Pstate | Self::Fpsr | Self::Fpcr => 4,
            Self::V(_) => 16,
            _ => 8,
        }
    }

    /// The register of a number.
    #[must_use]
    pub fn of(number: usize) -> Option<Self> {
        Some(match number {
            0..=30 => Self::X(number),
            31 => Self::Sp,
            32 => Self::Pc,
            33 => Self::Pstate,
            FIRST_VECTOR..66 => Self::V(number - FIRST_VECTOR),
            66 => Self::Fpsr,
            67 => Self::Fpcr,
            _ if number - FIRST_SYSTEM < rows().len() => Self::System(number - FIRST_SYSTEM),
            _ => return None,
        })
    }

    /// The value, in the low bytes; `None` if the register is not there in the CPU's present state.
    #[must_use]
    pub fn read(self, cpu: &mut Cpu) -> Option<u128> {
        let r = &cpu.regs;
        Some(match self {
            Self::X(n) => r.x[n].into(),
            Self::Sp => r.x[SP].into(),
            Self::Pc => r.pc.into(),
            Self::Pstate => cpu.spsr().into(),
            Self::V(n) => r.v[n],
            Self::Fpsr => r.fpsr.into(),
            Self::Fpcr => r.fpcr.into(),
            Self::System(n) => cpu.peek(rows().get(n)?)?.into(),
        })
    }

    /// Writes the register; false if it cannot have this value, or none.
    pub fn write(self, cpu: &mut Cpu, value: u128) -> bool {
        let word = value as u64;
        match self {
            Self::X(n) => cpu.regs.x[n] = word,
            Self::Sp => cpu.regs.x[SP] = word,
            Self::Pc => cpu.regs.pc = word,
            Self::Pstate => return cpu.set_spsr(word),
            Self::V(n) => cpu.regs.v[n] = value,
            Self::Fpsr => return named("FPSR").is_some_and(|row| cpu.poke(row, word)),
            Self::Fpcr => return named("FPCR").is_some_and(|row| cpu.poke(row, word)),
            Self::System(n) => return rows().get(n).is_some_and(|row| cpu.poke(row, word)),
        }
        true
    }
}

/// The row of a system register by its name in whatever case.
#[must_use]
pub fn named(name: &str) -> Option<&'static Row> {
    rows().iter().find(|row| row.name.eq_ignore_ascii_case(name))
}

impl RegId for Register {
    fn from_raw_id(id: usize) -> Option<(Self, Option<NonZeroUsize>)> {
        let register = Self::of(id)?;
        Some((register, NonZeroUsize::new(register.size())))
    }
}

/// The registers that go over the wire together (`g` and `G`): all but the system registers.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct CoreRegs {
    /// By number.
    values: Vec<u128>,
}

impl CoreRegs {
    /// Those of a CPU.
    #[must_use]
    pub fn of(cpu: &mut Cpu) -> Self {
        let values = Self::all().map(|r| r.read(cpu).unwrap_or(0)).collect();
        Self { values }
    }

    /// Writes them; false if the CPU refused one.
    pub fn put(&self, cpu: &mut Cpu) -> bool {
        // PSTATE comes before SP, for it says which stack pointer is meant.
        let order = |r: &Register| !matches!(r, Register::Pstate);
        let mut all: Vec<_> = Self::all().zip(&self.values).collect();
        all.sort_by_key(|(r, _)| order(r));
        all.into_iter().all(|(r, value)| r.read(cpu) == Some(*value) || r.write(cpu, *value))
    }

    fn all() -> impl Iterator<Item = Register> {
        (0..FIRST_SYSTEM).filter_map(Register::of)
    }
}

impl Registers for CoreRegs {
    type ProgramCounter = u64;

    fn pc(&self) -> u64 {
        self.values.get(32).map_or(0, |pc| *pc as u64)
    }

    fn gdb_serialize(&self, mut write_byte: impl FnMut(Option<u8>)) {
        for (r, value) in Self::all().zip(&self.values) {
            value.to_le_bytes()[..r.size()].iter().for_each(|b| write_byte(Some(*b)));
        }
    }

    fn gdb_deserialize(&mut self, mut bytes: &[u8]) -> Result<(), ()> {
        self.values.clear();
        for r in Self::all() {
            let (value, rest) = bytes.split_at_checked(r.size()).ok_or(())?;
            self.values.push(from_le(value));
            bytes = rest;
        }
        Ok(())
    }
}

/// A little-endian value of up to 16 bytes.
#[must_use]
pub fn from_le(bytes: &[u8]) -> u128 {
    bytes.iter().rev().fold(0, |value, b| value << 8 | u128::from(*b))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers() {
        let size: usize = (0..FIRST_SYSTEM).filter_map(Register::of).map(Register::size).sum();
        // What gdb calls the size of its 'g' packet for core and FPU.
        assert_eq!(size, 33 * 8 + 4 + 32 * 16 + 8);
        assert!(matches!(Register::of(FIRST_SYSTEM), Some(Register::System(0))));
        assert!(Register::of(FIRST_SYSTEM + rows().len()).is_none());
        assert_eq!(named("hcr_el2").map(|r| r.name), Some("HCR_EL2"));
    }

    #[test]
    fn the_wire_form_comes_back() {
        let mut regs = CoreRegs { values: (0..FIRST_SYSTEM as u128).collect() };
        let mut bytes = Vec::new();
        regs.gdb_serialize(|b| bytes.push(b.unwrap()));
        let before = regs.clone();
        assert_eq!(regs.gdb_deserialize(&bytes), Ok(()));
        assert_eq!((&regs, regs.pc()), (&before, 32));
        assert_eq!(regs.gdb_deserialize(&bytes[1..]), Err(()));
    }
}

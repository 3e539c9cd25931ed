//! What a CPU says of what it does, if somebody listens: exceptions, blocks, instructions, walks, resets.
//!
//! Lines are events of `tracing`, whose target is the category; nobody listens unless the program's log has that target.
//! Exceptions, walks and resets ask whether somebody does each time; blocks are only told to a vCPU that was asked to
//! ([`Trace`]), for the loop that runs them must not ask.

use std::ops::RangeInclusive;

use emu_a64::level::El;
use emu_a64::regs::SP;
use emu_core::ledger::TIMELINE;
use emu_mmu::{Access, Fault, Translation};

use crate::cpu::Cpu;
use crate::exception::Vector;
use crate::level::Banked;

/// Exceptions, interrupts and returns from them.
pub const INT: &str = "int";
/// Each block of instructions before it runs.
pub const EXEC: &str = "exec";
/// The general registers before each block.
pub const CPU: &str = "cpu";
/// With [`CPU`], the SIMD&FP registers, too.
pub const FPU: &str = "fpu";
/// Instructions when they are first looked at to be executed.
pub const IN_ASM: &str = "in_asm";
/// Walks of translation tables.
pub const MMU: &str = "mmu";
/// Resets of a CPU.
pub const CPU_RESET: &str = "cpu_reset";
/// Encodings that the CPU does not have.
pub const UNIMP: &str = "unimp";

/// What a vCPU is asked to tell of blocks.
#[derive(Clone, Debug, Default)]
pub struct Trace {
    /// Say which block is run, or with which registers.
    pub blocks: bool,
    /// Say which instructions a new block has.
    pub code: bool,
    /// Only of blocks in these ranges of virtual addresses; of all, if there are none.
    pub ranges: Vec<RangeInclusive<u64>>,
}

impl Trace {
    fn covers(&self, pc: u64) -> bool {
        self.ranges.is_empty() || self.ranges.iter().any(|r| r.contains(&pc))
    }
}

/// A block at `pc` is about to run.
#[cold]
pub fn block(cpu: &Cpu, pc: u64, instructions: usize) {
    if !cpu.trace.covers(pc) {
        return;
    }
    let (index, el) = (cpu.identity.index(), cpu.pstate.el);
    tracing::trace!(target: EXEC, "CPU {index} {el} {pc:016x} {instructions} instructions");
    if tracing::enabled!(target: CPU, tracing::Level::TRACE) {
        tracing::trace!(target: CPU, "CPU {index} {el} PC={pc:016x}{}", registers(cpu));
    }
}

/// General registers and PSTATE, and the SIMD&FP registers if they are asked for.
fn registers(cpu: &Cpu) -> String {
    use std::fmt::Write;
    let mut text = String::new();
    for (n, x) in cpu.regs.x.iter().take(31).enumerate() {
        let end = if n % 4 == 0 { '\n' } else { ' ' };
        let _ = write!(text, "{end}X{n:02}={x:016x}");
    }
    let _ = write!(text, " SP ={:016x}\nPSTATE={:08x}", cpu.regs.x[SP], cpu.spsr());
    if tracing::enabled!(target: FPU, tracing::Level::TRACE) {
        for (n, v) in cpu.regs.v.iter().enumerate() {
            let end = if n % 2 == 0 { '\n' } else { ' ' };
            let _ = write!(text, "{end}Q{n:02}={v:032x}");
        }
    }
    text
}

/// A block at `pc` was made of these instructions.
pub fn code(cpu: &Cpu, pc: u64, words: &[u32]) {
    if cpu.trace.code && cpu.trace.covers(pc) {
        tracing::trace!(target: IN_ASM, "CPU {} {}{}", cpu.identity.index(), cpu.pstate.el, listing(pc, words));
    }
}

/// A line for each instruction: address, word, and its text.
fn listing(pc: u64, words: &[u32]) -> String {
    let line = |(n, word): (usize, &u32)| {
        format!("\n{:016x}: {word:08x}  {}", pc.wrapping_add(4 * n as u64), disassembled(*word))
    };
    words.iter().enumerate().map(line).collect()
}

/// The text of an instruction; targets of branches are relative to it.
fn disassembled(word: u32) -> String {
    let text = disarm64::decoder::decode(word).map(|opcode| opcode.to_string());
    let text = text.unwrap_or_else(|| format!(".inst 0x{word:08x}"));
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// An exception was taken from `from`: by now the registers say everything else.
pub(crate) fn exception(cpu: &Cpu, from: El, vector: Vector) {
    if tracing::enabled!(target: TIMELINE, tracing::Level::TRACE) {
        let (index, to) = (cpu.identity.index() as u64, cpu.pstate.el);
        let esr = cpu.sys[Banked::ESR.at(to)];
        let cause = match vector {
            Vector::Synchronous => class_name((esr >> 26) as u8),
            Vector::SError => "SError",
            Vector::Irq => "IRQ",
            Vector::Fiq => "FIQ",
        };
        tracing::trace!(target: TIMELINE, cpu = index, from = from as u64, to = to as u64, cause);
    }
    if !tracing::enabled!(target: INT, tracing::Level::TRACE) {
        return;
    }
    let to = cpu.pstate.el;
    let [elr, spsr, esr, far] =
        [Banked::ELR, Banked::SPSR, Banked::ESR, Banked::FAR].map(|bank| cpu.sys[bank.at(to)]);
    let (index, pc) = (cpu.identity.index(), cpu.regs.pc);
    let syndrome = match vector {
        Vector::Synchronous | Vector::SError => {
            format!(", ESR {:#x} ({}), FAR {far:#x}", esr, class_name((esr >> 26) as u8))
        }
        Vector::Irq | Vector::Fiq => String::new(),
    };
    tracing::trace!(
        target: INT,
        "CPU {index} {vector:?} from {from} to {to}: ELR {elr:#x}, SPSR {spsr:#x}{syndrome}, PC {pc:#x}"
    );
}

/// An exception return from `from` has happened.
pub(crate) fn exception_return(cpu: &Cpu, from: El) {
    let (index, el, pc) = (cpu.identity.index(), cpu.pstate.el, cpu.regs.pc);
    tracing::trace!(target: TIMELINE, cpu = index as u64, from = from as u64, to = el as u64);
    tracing::trace!(target: INT, "CPU {index} exception return from {from} to {el}: PC {pc:#x}");
}

/// A call to the firmware that the machine stands for was served.
pub(crate) fn firmware_call(cpu: &Cpu, function: u64) {
    let (index, pc, result) = (cpu.identity.index(), cpu.regs.pc, cpu.regs.x[0]);
    tracing::trace!(target: INT, "CPU {index} PSCI call {function:#x}: gives {result:#x}, PC {pc:#x}");
}

/// An encoding that this CPU does not have, or not here, is about to be UNDEFINED.
pub(crate) fn undefined(cpu: &Cpu, pc: u64, word: u32) {
    if tracing::enabled!(target: UNIMP, tracing::Level::TRACE) {
        let (index, el, text) = (cpu.identity.index(), cpu.pstate.el, disassembled(word));
        tracing::trace!(target: UNIMP, "CPU {index} {el} {pc:#x}: undefined instruction {word:08x} ({text})");
    }
}

/// The tables were walked for an access to `va`.
pub(crate) fn walk(index: usize, access: Access, va: u64, result: &Result<Translation, Fault>) {
    if !tracing::enabled!(target: MMU, tracing::Level::TRACE) {
        return;
    }
    let outcome = match result {
        Ok(t) => format!("{:#x}, {:?}, {:?}", t.pa.0, t.permissions, t.attrs),
        Err(f) => format!("{:?} fault of {:?} at level {}", f.kind, f.stage, f.level),
    };
    tracing::trace!(target: MMU, "CPU {index} walk for {access:?} of {va:#x}: {outcome}");
}

/// The CPU has been reset.
pub(crate) fn reset(cpu: &Cpu) {
    if tracing::enabled!(target: CPU_RESET, tracing::Level::TRACE) {
        let (index, el, pc) = (cpu.identity.index(), cpu.pstate.el, cpu.regs.pc);
        tracing::trace!(target: CPU_RESET, "CPU {index} {el} PC={pc:016x}{}", registers(cpu));
    }
}

/// The name of an exception class (Arm ARM, ESR_ELx.EC).
#[must_use]
pub fn class_name(ec: u8) -> &'static str {
    let known = CLASSES.iter().find(|(n, _)| *n == ec);
    known.map_or("reserved", |(_, name)| name)
}

/// Exception classes (Arm ARM, D24.2.40, ESR_ELx.EC).
const CLASSES: &[(u8, &str)] = &[
    (0x00, "unknown reason"),
    (0x01, "WFI or WFE"),
    (0x07, "access to SIMD or floating-point"),
    (0x09, "pointer authentication trap"),
    (0x0d, "branch target"),
    (0x0e, "illegal execution state"),
    (0x15, "SVC"),
    (0x16, "HVC"),
    (0x17, "SMC"),
    (0x18, "MSR, MRS or system instruction"),
    (0x1a, "ERET trap"),
    (0x1c, "pointer authentication failure"),
    (0x20, "instruction abort from a lower EL"),
    (0x21, "instruction abort"),
    (0x22, "PC alignment"),
    (0x24, "data abort from a lower EL"),
    (0x25, "data abort"),
    (0x26, "SP alignment"),
    (0x27, "memory copy or set"),
    (0x2c, "floating-point exception"),
    (0x2f, "SError"),
    (0x30, "breakpoint from a lower EL"),
    (0x31, "breakpoint"),
    (0x32, "software step from a lower EL"),
    (0x33, "software step"),
    (0x34, "watchpoint from a lower EL"),
    (0x35, "watchpoint"),
    (0x3c, "BRK"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_select() {
        let all = Trace::default();
        let some = Trace { ranges: vec![0x1000..=0x1fff, 0x8000..=0x8000], ..Trace::default() };
        assert!(all.covers(0) && some.covers(0x1000) && some.covers(0x1fff) && some.covers(0x8000));
        assert!(!some.covers(0x2000) && !some.covers(0));
    }

    #[test]
    fn listings_have_address_word_and_text() {
        assert_eq!(
            listing(0x4000_0000, &[0xd503_201f, 0xd400_0002, 0xf940_0421]),
            "\n0000000040000000: d503201f  nop\
             \n0000000040000004: d4000002  hvc #0x0\
             \n0000000040000008: f9400421  ldr x1, [x1, #0x8]"
        );
    }

    #[test]
    fn classes_are_in_order_and_named_once() {
        assert!(CLASSES.windows(2).all(|w| w[0].0 < w[1].0));
        assert_eq!((class_name(0x16), class_name(0x3f)), ("HVC", "reserved"));
    }
}

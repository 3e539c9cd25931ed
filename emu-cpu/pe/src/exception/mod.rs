//! Exceptions: what can be raised, where it is taken, what it reports.
//!
//! | file | what |
//! |---|---|
//! | `entry` | taking an exception: vector, SPSR, ELR, PSTATE |
//! | `route` | which Exception level a synchronous exception goes to, and its syndrome |
//! | `syndrome` | the parts of ESR_ELx that are decoded from the instruction |
//! | `interrupt` | asynchronous exceptions: masking, routing, WFI and WFE |
//! | `eret` | exception return |
//! | `endless` | exceptions that nobody deals with |
//! | `inspect` | PSTATE as a debugger writes it |

mod endless;
mod entry;
mod eret;
mod inspect;
mod interrupt;
mod route;
mod stop;
pub mod syndrome;
#[cfg(test)]
mod tests;

pub use endless::EndlessException;
pub(crate) use endless::Repeats;
pub(crate) use entry::Vector;
pub use interrupt::WaitKind;
pub use stop::Stop;
pub use syndrome::ec;

use emu_a64::ir::ExcOp;
use emu_a64::level::El;

/// Why a memory access was aborted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Abort {
    /// Faulting virtual address.
    pub va: u64,
    /// DFSC or IFSC: six bits (Arm ARM, ESR_ELx, ISS encoding for an exception from a Data Abort).
    pub status: u8,
    /// The stage 2 translation faulted: taken to EL2.
    pub stage2: bool,
    /// A stage 2 fault on a stage 1 table walk.
    pub s1ptw: bool,
    /// The IPA, for stage 2 faults.
    pub ipa: Option<u64>,
    /// WnR.
    pub write: bool,
    /// CM: a cache maintenance or address translation instruction.
    pub maintenance: bool,
}

/// A synchronous exception raised by an instruction.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Exception {
    /// Asked for by the instruction itself.
    Insn(ExcOp),
    /// A trap whose target and syndrome are known: system register, WFx, ERET and other configurable traps.
    Trap {
        /// Exception level that it goes to (EL1: subject to HCR_EL2.TGE).
        target: El,
        /// ESR_ELx.EC.
        ec: u8,
        /// ESR_ELx.ISS, 25 bits.
        iss: u32,
    },
    /// A sequence of FEAT_MOPS that does not fit together.
    MemoryCopy {
        /// ESR_ELx.ISS.
        iss: u32,
    },
    /// Instruction abort.
    Fetch(Abort),
    /// Data abort.
    Data(Abort),
    /// PC alignment fault.
    PcAlignment(u64),
    /// SP alignment fault.
    SpAlignment,
    /// Execution with PSTATE.IL set.
    IllegalState,
    /// A breakpoint register matched the instruction.
    Breakpoint,
    /// A watchpoint register matched the access.
    Watchpoint {
        /// Address that matched.
        va: u64,
        /// WnR.
        write: bool,
        /// CM.
        maintenance: bool,
    },
    /// The software step exception, before an instruction (Arm ARM, D2.12).
    SoftwareStep {
        /// EX: the instruction stepped was a load-exclusive; `None` if it is not known (ISV = 0).
        exclusive: Option<bool>,
    },
}

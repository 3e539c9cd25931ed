//! What host code keeps in the frame beside the registers.

use std::sync::Arc;

use emu_pe::exception::Stop;

use super::constants::Constants;
use super::profile::Profile;

/// Entries of the table of indirect branches.
pub const TARGETS: usize = 32768;

/// Where an indirect branch to an address leads.
#[derive(Clone, Copy)]
#[repr(C, align(32))]
pub struct IndirectTarget {
    /// The address; odd if there is none.
    pub pc: u64,
    /// The [`JitState::key`] under which it was found.
    pub key: u64,
    /// Checked entry of the block there.
    pub entry: u64,
}

impl IndirectTarget {
    /// No address.
    pub const NONE: Self = Self { pc: 1, key: 0, entry: 0 };

    /// The entry for an address in the context of a [`JitState::salt`].
    #[must_use]
    pub const fn index(pc: u64, salt: u32) -> usize {
        (pc >> 2 ^ salt as u64 >> 5) as usize % TARGETS
    }
}

/// How flags that were not computed yet follow from [`JitState::flag_a`] and [`JitState::flag_b`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u32)]
#[allow(missing_docs, reason = "operation and width")]
pub enum FlagKind {
    /// They are in their slot.
    None,
    Sub64,
    Sub32,
    Add64,
    Add32,
    /// N and Z of `flag_a`.
    Logic64,
    Logic32,
    /// The host's flags after a difference are in `flag_a`: what LAHF gives in bits 15:8, overflow in bit 0.
    Host,
}

impl FlagKind {
    /// The host's carry is a borrow, the opposite of Arm's.
    #[must_use]
    pub const fn borrows(self) -> bool {
        matches!(self, Self::Sub64 | Self::Sub32 | Self::Host)
    }

    /// From its number.
    #[must_use]
    pub const fn from_number(n: u32) -> Self {
        match n {
            1 => Self::Sub64,
            2 => Self::Sub32,
            3 => Self::Add64,
            4 => Self::Add32,
            5 => Self::Logic64,
            6 => Self::Logic32,
            7 => Self::Host,
            _ => Self::None,
        }
    }
}

/// See the module's head. Host addresses are plain numbers: they are written before each entry of host code.
#[repr(C)]
pub struct JitState {
    /// Operands.
    pub constants: Constants,
    /// Address of the current page of code.
    pub page: u64,
    /// What cross-page links and [`IndirectTarget`]s depend on: the context's serial, and the mode.
    pub key: u64,
    /// What the place of an [`IndirectTarget`] depends on beside the address: contexts that take turns do not overwrite each
    /// other's. A multiple of the size of a target.
    pub salt: u32,
    /// Host address of the fast TLB's current tables.
    pub tlb: u64,
    /// Host address of the table of indirect branches: [`TARGETS`] times an [`IndirectTarget`].
    pub targets: u64,
    /// Host address of the [`emu_pe::cpu::Cpu`].
    pub cpu: u64,
    /// Host address of the [`crate::interp::cache::Cache`].
    pub cache: u64,
    /// Instructions executed.
    pub count: u64,
    /// How much of `count` is in the counters of the CPU.
    pub counted: u64,
    /// In lockstep: the `count` from which on checks stop.
    pub limit: u64,
    /// `count` at the last indirect branch that set PSTATE.BTYPE ...
    pub btype_set_at: u64,
    /// ... and to what: it holds as long as the target has not begun, and for its first instruction.
    pub btype_on_entry: u32,
    /// The target of an indirect branch that left host code.
    pub target: u64,
    /// Results of a function of the runtime that has two.
    pub out: [u64; 2],
    /// Flags that are not in their slot yet: how to find them, as [`FlagKind`].
    pub flag_kind: u32,
    /// Not 0: the last call of the runtime was given up.
    pub faulted: u32,
    /// First operand of the flags.
    pub flag_a: u64,
    /// Second operand of the flags.
    pub flag_b: u64,
    /// Operands of flags that are not in the frame, saved before they were overwritten.
    pub saved_a: u64,
    /// See `saved_a`.
    pub saved_b: u64,
    /// Behind a join in a unit: the number of the form that the flags are in; 0 if they are in the frame.
    pub flag_form: u32,
    /// The block and its instruction that called the runtime.
    pub at_block: u32,
    /// See `at_block`.
    pub at_insn: u32,
    /// MXCSR of host code, with the flags of FPSR that it has collected.
    pub mxcsr: u32,
    /// Not 0: an operation has saturated, which is not in FPSR.QC yet.
    pub saturated: u32,
    /// MXCSR of the host.
    pub host_mxcsr: u32,
    /// Not 0: host code has put `mxcsr` into the register. Blocks with floating point do when they begin; others leave it
    /// alone, as reading it waits for everything before.
    pub fp_on: u32,
    /// Why the last call that did not succeed was given up.
    pub fault: Option<Stop>,
    /// Where the runtime counts what it is called for, while somebody asks.
    pub profile: Option<Arc<Profile>>,
}

impl Default for JitState {
    fn default() -> Self {
        Self {
            constants: Constants::ALL,
            page: 0,
            key: 0,
            salt: 0,
            tlb: 0,
            targets: 0,
            cpu: 0,
            cache: 0,
            count: 0,
            counted: 0,
            limit: 0,
            btype_set_at: 0,
            btype_on_entry: 0,
            target: 0,
            out: [0; 2],
            flag_kind: 0,
            faulted: 0,
            flag_a: 0,
            flag_b: 0,
            saved_a: 0,
            saved_b: 0,
            flag_form: 0,
            at_block: 0,
            at_insn: 0,
            mxcsr: 0x1f80,
            saturated: 0,
            host_mxcsr: 0x1f80,
            fp_on: 0,
            fault: None,
            profile: None,
        }
    }
}

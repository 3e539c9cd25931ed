//! The registers that instructions name directly: general, SIMD&FP, flags and the parts of PSTATE.

use serde::{Deserialize, Serialize};

use crate::ir::Vector;
use crate::level::El;

/// PSTATE.NZCV as bits 31:28 of a word, in the layout of the NZCV register.
pub mod nzcv {
    /// Negative.
    pub const N: u32 = 1 << 31;
    /// Zero.
    pub const Z: u32 = 1 << 30;
    /// Carry.
    pub const C: u32 = 1 << 29;
    /// Overflow.
    pub const V: u32 = 1 << 28;
}

/// Number of the stack pointer in [`Regs::x`].
pub const SP: usize = 31;

/// What running code changes all the time.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[repr(C)]
pub struct Regs {
    /// X0..X30; element 31 is the *current* stack pointer (the others are in [`Pstate`]'s bank).
    pub x: [u64; 32],
    /// V0..V31.
    pub v: [Vector; 32],
    /// The program counter.
    pub pc: u64,
    /// Flags, in bits 31:28.
    pub nzcv: u32,
    /// FPCR.
    pub fpcr: u32,
    /// FPSR.
    pub fpsr: u32,
    /// Memory accesses that were made while the performance monitors counted them.
    pub accesses: u64,
}

/// PSTATE but for the flags (Arm ARM, D1.4).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pstate {
    /// Current Exception level.
    pub el: El,
    /// SPSel: true if SP_ELx is in use rather than SP_EL0.
    pub sp_sel: bool,
    /// D, A, I, F as bits 3, 2, 1, 0.
    pub daif: u8,
    /// Privileged access never.
    pub pan: bool,
    /// User access override.
    pub uao: bool,
    /// Data independent timing.
    pub dit: bool,
    /// Speculative store bypass safe.
    pub ssbs: bool,
    /// Tag check override.
    pub tco: bool,
    /// Branch type, two bits.
    pub btype: u8,
    /// Software step.
    pub ss: bool,
    /// Illegal execution state.
    pub il: bool,
}

impl Pstate {
    /// D mask bit.
    pub const D: u8 = 8;
    /// A mask bit.
    pub const A: u8 = 4;
    /// I mask bit.
    pub const I: u8 = 2;
    /// F mask bit.
    pub const F: u8 = 1;
}

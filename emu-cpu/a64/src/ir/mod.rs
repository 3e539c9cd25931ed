//! The intermediate representation: what an A64 instruction means.
//!
//! A [`Block`] is a straight line of operations in SSA form, made from the instructions of (part of) one 4 KiB page, and
//! ends in one [`Term`]. There is no hidden state: guest registers are read and written by explicit operations.
//!
//! # Invariants
//! - A value is defined once, before its uses. Its number is the index of the operation that makes it.
//! - An `I32` value is held zero-extended, an `I1` value is 0 or 1, so widening to 64 bits costs nothing.
//! - An instruction's register writes come after all its operations that can fault ([`Op::can_fault`]), so that a fault
//!   leaves the architectural state as before the instruction. (Guest memory may have been written in part, as the
//!   architecture allows for multi-part stores.)
//! - A block is position-independent: addresses are relative to its first instruction.

mod block;
mod builder;
#[cfg(test)]
pub(crate) mod eval;
pub mod mops;
mod op;
mod parse;
mod print;
mod pstate;
mod table;
mod text;
mod value;
mod verify;
mod words;

pub use block::{Block, ExcOp, InsnInfo, Inst, LeaveKind, Link, Term};
pub use builder::Builder;
pub use op::Op;
pub use parse::{ParseError, parse};
pub use pstate::{PSTATE_FIELDS, PstateField, PstateRow};
pub use table::{Facts, Memory, Register, Want};
pub use value::{Ty, VECTOR_BITS, Val, Vector};
pub use verify::{VerifyError, verify};
pub use words::{Acc, AtomicOp, BarrierKind, BinOp, Cond, MemSize, Order, PacOp, SysEnc, UnOp};

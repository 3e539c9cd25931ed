//! The debugger's side: a stub that speaks gdb's remote protocol over TCP.
//!
//! | module | what lives there |
//! |---|---|
//! | [`registers`] | which registers there are, and their numbers |
//! | [`description`] | the same as XML, for the debugger |
//! | [`target`] | threads, memory, breakpoints, resuming: what the protocol asks of the machine |
//! | [`monitor`] | the commands behind `monitor` |
//! | [`held`] | who may look at the CPUs |
//! | [`server`] | listening, and one session after the other |
//! | [`session`] | a conversation, while the machine is stopped and while it runs |
//! | [`incoming`], [`wire`] | receiving and sending packets |
//! | [`packets`] | those that are not left to the protocol's library |
//!
//! All CPUs stop together and go on together. While they are stopped the clock of the machine stands still, so that no
//! timer of the guest runs out because somebody looks at it.

pub mod description;
mod held;
mod incoming;
pub mod monitor;
mod packets;
pub mod registers;
pub mod server;
mod session;
pub mod target;
mod wire;

/// A packet with all core registers, or a piece of memory; no longer one is taken, or sent.
const PACKET_BYTES: usize = 16384;

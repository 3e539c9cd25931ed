//! The interpreter: predecoded IR blocks, and the loop that runs them.
//!
//! [`predecode`] turns an IR block into [`uop`]s, [`exec`] runs one block, [`cache`] finds and keeps blocks, `turn` is the
//! loop over blocks, [`vcpu`] the thread's loop around that, [`debug`] what stops at breakpoints.

pub mod block;
pub mod cache;
pub mod debug;
pub mod exec;
mod liveness;
pub mod lockstep;
pub mod predecode;
mod rounds;
mod run;
mod turn;
pub mod uop;
pub mod vcpu;

#[cfg(test)]
pub(crate) mod tests;

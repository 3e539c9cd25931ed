//! The interpreter: predecoded IR blocks, and the loop that runs them.
//!
//! [`predecode`] turns an IR block into [`uop`]s, [`exec`] runs one block, [`cache`] finds and keeps blocks, [`vcpu`] is
//! the thread's loop around them.

pub mod block;
pub mod cache;
pub mod exec;
mod liveness;
pub mod predecode;
mod run;
pub mod uop;
pub mod vcpu;

#[cfg(test)]
mod tests;
#[cfg(test)]
mod tests_lse2;
#[cfg(test)]
mod tests_mops;

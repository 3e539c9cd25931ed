//! The interpreter: predecoded IR blocks, and the loop that runs them.
//!
//! [`predecode`] turns an IR block into [`uop`]s, [`exec`] runs one block, [`cache`] finds and keeps blocks, `block_loop` is the
//! loop over blocks, `loop_recorder` finds the loops of the guest in it, [`vcpu`] is the thread's loop around that, [`debug`]
//! stops at breakpoints, `counted` lets time pass with instructions.

pub mod block;
mod block_loop;
pub mod cache;
mod counted;
pub mod debug;
pub mod exec;
mod liveness;
pub mod lockstep;
mod loop_recorder;
pub mod predecode;
mod run;
#[cfg_attr(
    not(all(target_arch = "x86_64", target_os = "linux")),
    allow(dead_code, unused_imports, reason = "facts for the code generator")
)]
pub mod uop;
pub mod vcpu;

#[cfg(test)]
pub(crate) mod tests;

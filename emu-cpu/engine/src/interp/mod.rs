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
mod debug_tests;
#[cfg(test)]
pub(crate) mod tests;
#[cfg(test)]
mod tests_accesses;
#[cfg(test)]
mod tests_alignment;
#[cfg(test)]
mod tests_calls;
#[cfg(all(test, target_arch = "x86_64", target_os = "linux"))]
mod tests_code_cache;
#[cfg(test)]
mod tests_exclusives;
#[cfg(test)]
mod tests_lse2;
#[cfg(test)]
mod tests_mops;
#[cfg(test)]
mod tests_semihosting;
#[cfg(test)]
mod tests_spans;
#[cfg(all(test, target_arch = "x86_64", target_os = "linux"))]
mod tests_stale_code;
#[cfg(test)]
mod tests_system;

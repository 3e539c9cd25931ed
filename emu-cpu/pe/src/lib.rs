//! One AArch64 processing element: its registers and memory accesses, system registers, exceptions, timers and the GIC CPU
//! interface. What its instructions mean is in `emu-a64`; what makes it execute them is `emu-engine`.
//!
//! | module | what lives there |
//! |---|---|
//! | [`mem`] | loads and stores: fast TLB, the walk, MMIO, exclusive monitor |
//! | [`sysreg`] | the table of system registers, their access rules and effects |
//! | [`exception`] | exception entry and return, syndromes, routing, interrupts |
//! | [`debug`] | self-hosted debug: software step, breakpoints, watchpoints |
//! | [`timer`] | the generic timer |
//! | `pauth` | pointer authentication |
//! | [`pmu`] | the performance monitors |
//! | [`gic`] | the GIC CPU interface and virtual CPU interface |
//! | [`psci`] | PSCI and SMCCC calls, served in place of firmware |
//! | [`semihosting`] | calls of a program to whoever runs the machine |
//! | [`model`] | CPU models: ID registers and features |
//! | [`random`] | random numbers |
//! | [`offset`] | where host code finds parts of a PE |
//! | [`cpu`] | one PE: all of the above together |

pub mod cpu;
pub mod debug;
pub mod derived;
pub mod doorbell;
pub mod exception;
pub mod gic;
mod host;
pub mod identity;
mod level;
pub mod mem;
pub mod model;
pub mod offset;
pub mod pauth;
pub mod pmu;
pub mod psci;
mod random;
pub mod requests;
pub mod saved;
pub mod semihosting;
pub mod sysreg;
#[cfg(test)]
mod test_pe;
pub mod timer;
pub mod trace;
pub mod wires;

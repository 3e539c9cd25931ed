//! One AArch64 processing element: decoding, the IR that gives each instruction its meaning, the interpreter that runs
//! it, exceptions, system registers, timers and the GIC CPU interface.
//!
//! | module | what lives there |
//! |---|---|
//! | [`decode`] | the table of A64 encodings |
//! | [`lower`] | the meaning of each encoding, as IR; one file per encoding class |
//! | [`mode`] | what translated code depends on beside its instructions |
//! | [`ir`] | the IR: operations, blocks, builder, verifier, printer |
//! | [`fp`], [`simd`] | exact functions behind the FP and vector operations of the IR |
//! | [`interp`] | predecoded IR blocks and the loop that runs them |
//! | [`jit`] | the translator of blocks to host code, and the glue around that code |
//! | [`mem`] | loads and stores: fast TLB, the walk, MMIO, exclusive monitor |
//! | [`sysreg`] | the table of system registers, their access rules and effects |
//! | [`exception`] | exception entry and return, syndromes, routing, interrupts |
//! | [`timer`] | the generic timer |
//! | [`pac`] | the algorithms of pointer authentication |
//! | `pauth` | pointer authentication |
//! | [`pmu`] | the performance monitors |
//! | [`gic`] | the GIC CPU interface and virtual CPU interface |
//! | [`psci`] | PSCI and SMCCC calls, served in place of firmware |
//! | [`semihosting`] | calls of a program to whoever runs the machine |
//! | [`model`] | CPU models: ID registers and features |
//! | [`random`] | random numbers |
//! | [`cpu`] | one PE: all of the above together |

pub mod cpu;
pub mod decode;
pub mod doorbell;
pub mod exception;
pub mod features;
pub mod fp;
pub mod gic;
mod host;
pub mod interp;
pub mod ir;
pub mod jit;
pub mod lower;
pub mod mem;
pub mod mode;
pub mod model;
pub mod pac;
mod pauth;
pub mod pmu;
pub mod psci;
pub mod random;
pub mod regs;
mod saved;
pub mod semihosting;
pub mod simd;
pub mod sysreg;
#[cfg(test)]
mod test_pe;
pub mod timer;
pub mod trace;

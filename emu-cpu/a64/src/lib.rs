//! The A64 instruction set: its encodings, and what each means, as a small intermediate language. Nothing here knows of a
//! processing element's state; `emu-pe` has that, and `emu-engine` executes the one on the other.
//!
//! | module | what lives there |
//! |---|---|
//! | [`features`] | the architecture's features, and sets of them |
//! | [`regs`] | the registers that instructions name, and PSTATE |
//! | [`level`] | Exception levels |
//! | [`mode`] | what translated code depends on beside its instructions |
//! | [`decode`] | the table of A64 encodings |
//! | [`lower`] | the meaning of each encoding, as IR; one file per encoding class |
//! | [`ir`] | the IR: operations, blocks, builder, verifier, printer |
//! | [`fp`], [`simd`] | exact functions behind the FP and vector operations of the IR |
//! | [`pac`] | the algorithms of pointer authentication |
#![forbid(unsafe_code)]

pub mod decode;
pub mod features;
pub mod fp;
pub mod ir;
pub mod level;
pub mod lower;
pub mod mode;
pub mod pac;
pub mod regs;
pub mod simd;

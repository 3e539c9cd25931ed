//! What executes A64 code on a processing element: blocks of the IR are predecoded and interpreted, and translated to host
//! code where they run often.
//!
//! | module | what lives there |
//! |---|---|
//! | [`interp`] | predecoded blocks, and the loop of a vCPU that runs them |
//! | [`jit`] | the translator of blocks to host code, and the glue around that code |

pub mod interp;
pub mod jit;

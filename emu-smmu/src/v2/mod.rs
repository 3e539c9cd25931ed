//! SMMUv2 (Arm IHI 0062). The issues of the specification count their sections differently: places are cited by the names of
//! registers.

mod bank;
mod commands;
mod fault;
pub mod profile;
mod registers;
mod routing;
mod shown;
mod smmu;
mod streams;

pub use profile::Profile;
pub use shown::Walk;
pub use smmu::{Config, Smmuv2};

//! SMMUv3 (Arm IHI 0070).

pub mod cd;
pub mod event;
mod identification;
pub mod layout;
pub mod profile;
pub mod settings;
pub mod ste;

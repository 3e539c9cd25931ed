//! SMMUv3 (Arm IHI 0070).

pub mod event;
pub mod profile;
pub mod settings;

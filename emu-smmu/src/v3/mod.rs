//! SMMUv3 (Arm IHI 0070).

#[cfg(test)]
mod bench;
mod cache;
pub mod cd;
pub mod event;
mod identification;
pub mod layout;
pub mod profile;
pub mod settings;
pub mod ste;
pub mod streams;
pub mod tables;

//! .

pub mod block;
pub mod pci;
pub mod virtio;

//! The `virt` board.

pub mod map;
pub mod slots;

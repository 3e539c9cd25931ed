//! Devicetrees (Devicetree Specification 0.4): a tree that can be built, read from a blob, changed and written.
//!
//! | module | what lives there |
//! |---|---|
//! | [`tree`] | nodes and properties, and writing them (with vm-fdt) |
//! | [`read`] | reading a blob, which is not trusted |
//! | [`nodes`] | nodes that several modules make |
//! | [`boot`] | what a loader puts into any devicetree: `/chosen` and `/memory` |

pub mod boot;
pub mod nodes;
pub mod read;
pub mod tree;

pub use boot::{BootInfo, Seeds};
pub use tree::{Node, Tree};

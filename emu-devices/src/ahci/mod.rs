//! AHCI (Serial ATA AHCI 1.3.1): an HBA with six ports for disks, as a PCI function like that of an ICH9. There is no command completion coalescing, no port multiplier and no enclosure management.
//!
//! # Invariants
//! - Memory is reached in turns only, by tasks, with no lock held that a register access takes.
//! - A reset of the port or of the HBA is done (PxCMD.CR or GHC.HR says so) when nothing of the old commands can reach memory or
//!   the disk any more.

mod hba;
mod link;
mod pci;
mod registers;
#[cfg(test)]
mod tests;

pub(crate) use link::{Broken, Link};
pub use pci::AhciFunction;
pub use registers::PORTS;

use std::sync::Arc;

use crate::ata::Disk;

/// The register maps, for the test of all of them.
#[cfg(test)]
pub(crate) const MAPS: &[&dyn emu_core::registers::AnyMap] = &[&registers::MAP];

/// What is connected to the ports.
pub type Disks = [Option<Arc<Disk>>; PORTS];

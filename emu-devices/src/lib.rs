//! The devices of the machine.

#![forbid(unsafe_code)]

pub mod accelerator;
pub mod ahci;
pub mod ata;
pub mod block;
pub mod flash;
pub mod fwcfg;
pub mod gic;
pub mod gicv2;
pub mod gicv2m;
pub mod gpio;
pub mod hostfile;
pub mod net;
pub mod nvme;
pub mod pci;
pub mod pl330;
pub mod registers;
pub mod rtc;
#[cfg(test)]
mod stalling_port;
pub mod test_master;
mod turns;
pub mod uart;
pub mod virtio;
mod worker;

/// The target of what the log says about accesses that no sane guest makes.
pub const GUEST_ERRORS: &str = "guest_errors";

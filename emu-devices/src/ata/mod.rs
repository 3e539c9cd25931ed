//! ATA devices (ATA8-ACS): what they do with a command, whatever brings it to them.

mod commands;
mod disk;
mod identify;

pub(crate) use disk::DiskState;
pub use disk::{Disk, DiskOptions};

/// Bits of the status.
pub(crate) mod status {
    /// Ready, and the seek is complete.
    pub(crate) const READY: u8 = 0x50;
    pub(crate) const ERR: u8 = 1;
}

/// Bits of the error.
pub(crate) mod error {
    pub(crate) const ABRT: u8 = 0x04;
    pub(crate) const IDNF: u8 = 0x10;
    pub(crate) const UNC: u8 = 0x40;
}

/// The bit of the device register that says that the address is a block's number.
pub(crate) const LBA: u8 = 0x40;

/// A command: the registers as the host has written them.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Command {
    pub(crate) code: u8,
    pub(crate) features: u16,
    pub(crate) lba: u64,
    pub(crate) device: u8,
    pub(crate) count: u16,
}

impl Command {
    /// The one in a host-to-device register FIS (SATA 3.x, 10.5.5).
    pub(crate) fn from_fis(fis: &[u8]) -> Self {
        let at = |n: usize| fis.get(n).copied().unwrap_or(0);
        let lba = [at(4), at(5), at(6), at(8), at(9), at(10), 0, 0];
        Self {
            code: at(2),
            features: u16::from_le_bytes([at(3), at(11)]),
            lba: u64::from_le_bytes(lba),
            device: at(7),
            count: u16::from_le_bytes([at(12), at(13)]),
        }
    }
}

/// The registers as the device has written them.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct TaskFile {
    pub(crate) status: u8,
    pub(crate) error: u8,
    pub(crate) lba: u64,
    pub(crate) device: u8,
    pub(crate) count: u16,
}

impl TaskFile {
    pub(crate) fn failed(&self) -> bool {
        self.status & status::ERR != 0
    }

    /// Error and status as PxTFD has them.
    pub(crate) fn pair(&self) -> u16 {
        u16::from(self.error) << 8 | u16::from(self.status)
    }

    /// As PxSIG has it after a reset.
    pub(crate) fn signature(&self) -> u32 {
        (self.lba as u32 & 0xff_ffff) << 8 | u32::from(self.count & 0xff)
    }

    /// A device-to-host register FIS (SATA 3.x, 10.5.6).
    pub(crate) fn register_fis(&self, interrupt: bool) -> Vec<u8> {
        let [a, b, c, d, e, f, ..] = self.lba.to_le_bytes();
        let [low, high] = self.count.to_le_bytes();
        let head = [0x34, u8::from(interrupt) << 6, self.status, self.error];
        let mut fis = head.to_vec();
        fis.extend([a, b, c, self.device, d, e, f, 0, low, high, 0, 0, 0, 0, 0, 0]);
        fis
    }
}

/// How a command ends.
pub(crate) enum Ending {
    /// With a register FIS.
    Registers(TaskFile),
    /// With a Set Device Bits FIS.
    Queued(TaskFile),
    /// With its last data: a PIO command that read.
    Data(TaskFile),
}

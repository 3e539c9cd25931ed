//! What disks and flash keep their contents in, and what a disk offers its driver beside them.

use super::HostFile;
use crate::error::{UserError, user_error};

/// Format of a disk image.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum DiskFormat {
    /// The bytes of the disk.
    Raw,
    /// QEMU's copy-on-write format.
    Qcow2,
}

impl DiskFormat {
    /// The format called `name`.
    pub fn from_name(name: &str) -> Result<Self, UserError> {
        match name {
            "raw" => Ok(Self::Raw),
            "qcow2" => Ok(Self::Qcow2),
            _ => Err(user_error!("there is no disk format '{name}' (there are raw, qcow2)")),
        }
    }
}

/// A disk's contents.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Disk {
    /// The image.
    pub file: HostFile,
    /// Its format. Without one the magic number of the file says, and a file without a magic number is raw.
    pub format: Option<DiskFormat>,
    /// The guest cannot write.
    pub readonly: bool,
    /// The guest's writes are kept in memory and lost at the end.
    pub snapshot: bool,
    /// What the device answers to VIRTIO_BLK_T_GET_ID; at most 20 bytes.
    pub serial: String,
    /// What it offers its driver.
    pub tuning: BlockTuning,
}

/// The contents of a flash bank.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Flash {
    /// The image.
    pub file: HostFile,
    /// The guest cannot program the flash.
    pub readonly: bool,
    /// What the guest programs is lost at the end; otherwise it is written to the file.
    pub snapshot: bool,
}

/// A disk's serial number: what virtio-blk can answer (virtio 1.2, 5.2.6, VIRTIO_BLK_T_GET_ID).
pub fn disk_serial(text: &str) -> Result<String, UserError> {
    match text.len() {
        0..=20 => Ok(text.to_owned()),
        _ => Err(user_error!("the serial number '{text}' is longer than 20 bytes")),
    }
}

/// The sizes and offers of a virtio-blk device.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct BlockTuning {
    /// Descriptors of the queue.
    pub queue_size: u16,
    /// Logical block size in bytes.
    pub logical: u32,
    /// Physical block size in bytes.
    pub physical: u32,
    /// It offers DISCARD and WRITE_ZEROES.
    pub discard: bool,
}

impl Default for BlockTuning {
    fn default() -> Self {
        Self { queue_size: 256, logical: 512, physical: 512, discard: true }
    }
}

/// The largest physical block: what block layers take.
const LARGEST_BLOCK: u64 = 2 << 20;

impl BlockTuning {
    /// Sets the size of a logical block.
    pub fn logical(&mut self, bytes: u64) -> Result<(), UserError> {
        match bytes {
            512 | 4096 => self.logical = bytes as u32,
            _ => return Err(user_error!("logical_block_size={bytes} is neither 512 nor 4096")),
        }
        Ok(())
    }

    /// Sets the size of a physical block.
    pub fn physical(&mut self, bytes: u64) -> Result<(), UserError> {
        if !bytes.is_power_of_two() || !(512..=LARGEST_BLOCK).contains(&bytes) {
            return Err(user_error!("physical_block_size={bytes} is no power of two from 512 to 2097152"));
        }
        self.physical = bytes as u32;
        Ok(())
    }

    /// Sets the size of the queue.
    pub fn queue(&mut self, size: u64) -> Result<(), UserError> {
        if !size.is_power_of_two() || !(4..=1024).contains(&size) {
            return Err(user_error!("queue-size={size} is no power of two from 4 to 1024"));
        }
        self.queue_size = size as u16;
        Ok(())
    }

    /// Whether the sizes go together; `whose` is for the message.
    pub fn check(&self, whose: &str) -> Result<(), UserError> {
        match self.physical >= self.logical || self.physical == Self::default().physical {
            true => Ok(()),
            false => Err(user_error!(
                "physical_block_size={} of {whose} is smaller than logical_block_size={}",
                self.physical,
                self.logical
            )),
        }
    }

    /// log2 of logical blocks in a physical one.
    #[must_use]
    pub fn physical_exponent(&self) -> u8 {
        (self.physical / self.logical).max(1).ilog2() as u8
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_what_the_device_can_say() {
        let mut t = BlockTuning::default();
        assert_eq!((t.logical(4096), t.physical(16384)), (Ok(()), Ok(())));
        assert_eq!((t.physical_exponent(), t.check("x")), (2, Ok(())));
        assert_eq!(
            t.physical(1024).and_then(|()| t.check("a disk")).unwrap_err().to_string(),
            "physical_block_size=1024 of a disk is smaller than logical_block_size=4096"
        );
        for wrong in [t.logical(1024), t.physical(3000), t.physical(4 << 20), t.queue(3), t.queue(2048)] {
            assert!(wrong.is_err());
        }
    }
}

//! What a disk offers its driver beside its contents.

use crate::error::UserError;
use crate::user_error;

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

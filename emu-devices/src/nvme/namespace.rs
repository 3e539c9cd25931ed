//! A namespace: blocks on a disk.

use std::sync::Arc;

use crate::block::DiskQueue;

/// What a board says of a namespace.
pub struct NamespaceOptions {
    /// Namespace Identifier, from 1 to [`Namespace::MAX`]; no other of the controller has it.
    pub id: u32,
    /// The disk.
    pub disk: Arc<DiskQueue>,
    /// Bytes of a logical block, a power of two from 512 to 4096.
    pub block_size: u32,
    /// IEEE Extended Unique Identifier; 0 is none.
    pub eui64: u64,
    /// UUID; zeros are none.
    pub uuid: [u8; 16],
}

/// See the module's head.
pub struct Namespace {
    pub(super) id: u32,
    pub(super) disk: Arc<DiskQueue>,
    /// log2 of the bytes of a block.
    pub(super) shift: u32,
    pub(super) eui64: u64,
    pub(super) uuid: [u8; 16],
}

impl Namespace {
    /// The largest Namespace Identifier.
    pub const MAX: u32 = 256;

    pub(super) fn new(options: NamespaceOptions) -> Arc<Self> {
        let NamespaceOptions { id, disk, block_size, eui64, uuid } = options;
        Arc::new(Self { id, disk, shift: block_size.trailing_zeros(), eui64, uuid })
    }

    /// Its size in blocks.
    pub(super) fn blocks(&self) -> u64 {
        self.disk.backend().len() >> self.shift
    }

    /// The first byte of `count` blocks from `lba` on, if it has them.
    pub(super) fn offset(&self, lba: u64, count: u64) -> Option<u64> {
        lba.checked_add(count).filter(|end| *end <= self.blocks()).map(|_| lba << self.shift)
    }
}

//! virtio-blk.

use std::path::Path;
use std::sync::Arc;

use emu_core::clock::Mode;
use emu_devices::block::{
    self, Accounted, BlockBackend, DiskQueue, Format, MemoryDisk, NullDisk, OpenOptions,
};
use emu_devices::virtio::{Blk, BlkOptions, VirtioDevice};

use super::kind::{Given, Model, Reference, Row, RunOption, Takes, To};
use super::site::Site;
use crate::config::{Disk, DiskFormat, Settings};
use crate::error::{UserError, reason, user_error};
use crate::property::Value::{Number, Only, Switch, Text};
use crate::property::{Property, on_or_off, property, shown};

/// A disk.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Block {
    /// Its contents.
    pub contents: Contents,
    /// What the device answers to VIRTIO_BLK_T_GET_ID; at most 20 bytes.
    pub serial: String,
    /// What it offers its driver.
    pub tuning: Tuning,
}

impl Settings for Block {}

/// What is on a disk.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Contents {
    /// An image.
    Image(Disk),
    /// These bytes, in memory; changes are gone at the end.
    Memory(Vec<u8>),
}

impl Default for Contents {
    fn default() -> Self {
        Self::Memory(Vec::new())
    }
}

impl Block {
    /// A disk that is only its image.
    #[must_use]
    pub fn image(disk: Disk) -> Self {
        Self { contents: Contents::Image(disk), ..Self::default() }
    }

    /// A disk in memory.
    #[must_use]
    pub fn memory(bytes: Vec<u8>) -> Self {
        Self { contents: Contents::Memory(bytes), ..Self::default() }
    }

    /// Its image, if it has one.
    #[must_use]
    pub fn disk(&self) -> Option<&Disk> {
        match &self.contents {
            Contents::Image(disk) => Some(disk),
            Contents::Memory(_) => None,
        }
    }
}

/// The row.
pub static DISK: Row<Block> = Row {
    name: "virtio-blk",
    about: "disk",
    given: Given::Anywhere,
    option: Some(RunOption {
        name: "--disk",
        about: "Add a virtio disk (repeatable): FILE[,format=raw|qcow2][,snapshot][,readonly][,bus=pci|mmio][,serial=TEXT]; \
                a comma in the file's name is written twice",
        takes: Takes::Properties { first: "drive", called: "file", device: "a disk", value: "FILE[,...]" },
    }),
    properties: PROPERTIES,
    references: &[
        Reference {
            name: "drive",
            to: To::Drive(|b, disk| b.contents = Contents::Image(disk)),
            required: true,
        },
        Reference { name: "iothread", to: To::Thread, required: false },
    ],
    check: |block, name| block.tuning.check(name),
    model: Model::Virtio(build),
};

const PROPERTIES: &[Property<Block>] = &[
    shown(property("serial", Text(set_serial), "serial number, at most 20 bytes"), |b| {
        (!b.serial.is_empty()).then(|| b.serial.clone())
    }),
    shown(property("logical_block_size", Number(|b, n| b.tuning.set_logical(n)), "512 or 4096"), |b| {
        Some(b.tuning.logical.to_string())
    }),
    shown(
        property(
            "physical_block_size",
            Number(|b, n| b.tuning.set_physical(n)),
            "a multiple of logical_block_size",
        ),
        |b| Some(b.tuning.physical.to_string()),
    ),
    shown(
        property(
            "queue-size",
            Number(|b, n| b.tuning.set_queue_size(n)),
            "descriptors of each queue: a power of two, 4 to 1024",
        ),
        |b| Some(b.tuning.queue_size.to_string()),
    ),
    shown(property("discard", Switch(|b, on| b.tuning.discard = on), "offer VIRTIO_BLK_F_DISCARD"), |b| {
        Some(on_or_off(b.tuning.discard))
    }),
    shown(
        property("num-queues", Number(|b, n| b.tuning.set_queues(n)), "number of its queues, 1 to 64"),
        |b| Some(b.tuning.queues.to_string()),
    ),
    property("write-cache", Only(&["on", "auto"]), "the disk has a write cache, and the guest flushes it"),
    property("config-wce", Only(&["off"]), "the guest cannot turn the write cache off"),
    property("share-rw", Only(&["off"]), "an image has one writer"),
    property("scsi", Only(&["off"]), "there is no pass-through of SCSI commands"),
];

/// What virtio-blk can answer (virtio 1.2, 5.2.6, VIRTIO_BLK_T_GET_ID).
fn set_serial(block: &mut Block, text: &str) -> Result<(), UserError> {
    match text.len() {
        0..=20 => text.clone_into(&mut block.serial),
        _ => return Err(user_error!("the serial number '{text}' is longer than 20 bytes")),
    }
    Ok(())
}

/// Threads of a disk: how many requests can wait for the host's storage at a time.
const THREADS: usize = 8;

/// As many, or none in counted time: then nothing is done beside the CPUs, so that a run is repeatable.
pub fn threads(site: &dyn Site) -> usize {
    if site.clock().mode() == Mode::Counted { 0 } else { THREADS }
}

fn build(block: &Block, site: &mut dyn Site) -> Result<Arc<dyn VirtioDevice>, UserError> {
    Ok(Blk::new(
        queue(&block.contents, site, "virtio-pci")?,
        &block.serial,
        block.tuning.options(),
        site.counters(),
    ))
}

/// Opens what is on a disk of a device of this kind.
pub fn queue(contents: &Contents, site: &dyn Site, kind: &str) -> Result<Arc<DiskQueue>, UserError> {
    match contents {
        Contents::Image(disk) => image(disk, site, kind, threads(site)),
        Contents::Memory(bytes) => {
            let memory: Arc<dyn BlockBackend> = Arc::new(MemoryDisk::new("memory", bytes.clone()));
            with_threads(accounted(memory, site, kind), threads(site))
        }
    }
}

/// Opens an image, which monitors see, for a device of this kind and with so many threads.
pub fn image(disk: &Disk, site: &dyn Site, kind: &str, threads: usize) -> Result<Arc<DiskQueue>, UserError> {
    let queue = with_threads(accounted(open(disk)?, site, kind), threads)?;
    site.disks().add(disk, &queue);
    Ok(queue)
}

/// A disk, with an account of its requests if the machine keeps a ledger.
fn accounted(disk: Arc<dyn BlockBackend>, site: &dyn Site, kind: &str) -> Arc<dyn BlockBackend> {
    match site.account(kind) {
        Some(account) => Arc::new(Accounted::new(disk, account, site.clock().clone())),
        None => disk,
    }
}

/// The queue of a disk, with so many threads.
fn with_threads(contents: Arc<dyn BlockBackend>, threads: usize) -> Result<Arc<DiskQueue>, UserError> {
    DiskQueue::new(contents, threads)
        .map_err(|e| user_error!("cannot start the threads of a disk: {}", reason(&e)))
}

/// Opens an image.
fn open(disk: &Disk) -> Result<Arc<dyn BlockBackend>, UserError> {
    let format = match disk.format {
        Some(DiskFormat::Null(size)) => return Ok(Arc::new(NullDisk::new(size, disk.readonly))),
        Some(DiskFormat::Raw) => Some(Format::Raw),
        Some(DiskFormat::Qcow2) => Some(Format::Qcow2),
        None => None,
    };
    let options = OpenOptions { format, read_only: disk.readonly, snapshot: disk.snapshot };
    block::open(Path::new(&disk.file.value), options)
        .map_err(|e| user_error!("{e} (given with {})", disk.file.option))
}

/// The sizes and offers of a virtio-blk device.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Tuning {
    /// Descriptors of each queue.
    pub queue_size: u16,
    /// Number of queues.
    pub queues: u16,
    /// Logical block size in bytes.
    pub logical: u32,
    /// Physical block size in bytes.
    pub physical: u32,
    /// It offers DISCARD and WRITE_ZEROES.
    pub discard: bool,
}

impl Default for Tuning {
    fn default() -> Self {
        Self { queue_size: 256, queues: 1, logical: 512, physical: 512, discard: true }
    }
}

/// The largest physical block: what block layers take.
const LARGEST_BLOCK: u64 = 2 << 20;

impl Tuning {
    /// Sets the size of a logical block.
    fn set_logical(&mut self, bytes: u64) -> Result<(), UserError> {
        match bytes {
            512 | 4096 => self.logical = bytes as u32,
            _ => return Err(user_error!("logical_block_size={bytes} is neither 512 nor 4096")),
        }
        Ok(())
    }

    /// Sets the size of a physical block.
    fn set_physical(&mut self, bytes: u64) -> Result<(), UserError> {
        if !bytes.is_power_of_two() || !(512..=LARGEST_BLOCK).contains(&bytes) {
            return Err(user_error!("physical_block_size={bytes} is no power of two from 512 to 2097152"));
        }
        self.physical = bytes as u32;
        Ok(())
    }

    /// Sets the size of the queue.
    fn set_queue_size(&mut self, size: u64) -> Result<(), UserError> {
        if !size.is_power_of_two() || !(4..=1024).contains(&size) {
            return Err(user_error!("queue-size={size} is no power of two from 4 to 1024"));
        }
        self.queue_size = size as u16;
        Ok(())
    }

    /// Sets the number of queues.
    fn set_queues(&mut self, n: u64) -> Result<(), UserError> {
        if !(1..=BlkOptions::MAX_QUEUES.into()).contains(&n) {
            return Err(user_error!("num-queues={n} is not from 1 to {}", BlkOptions::MAX_QUEUES));
        }
        self.queues = n as u16;
        Ok(())
    }

    /// Whether the sizes go together; `whose` is for the message.
    fn check(&self, whose: &str) -> Result<(), UserError> {
        match self.physical >= self.logical || self.physical == Self::default().physical {
            true => Ok(()),
            false => Err(user_error!(
                "physical_block_size={} of {whose} is smaller than logical_block_size={}",
                self.physical,
                self.logical
            )),
        }
    }

    /// What the device is told.
    fn options(&self) -> BlkOptions {
        BlkOptions {
            queue_size: self.queue_size,
            queues: self.queues,
            block_size: self.logical,
            physical_block_exp: self.physical_exponent(),
            discard: self.discard,
        }
    }

    /// log2 of logical blocks in a physical one.
    fn physical_exponent(&self) -> u8 {
        (self.physical / self.logical).max(1).ilog2() as u8
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_what_the_device_can_say() {
        let mut t = Tuning::default();
        assert_eq!((t.set_logical(4096), t.set_physical(16384)), (Ok(()), Ok(())));
        assert_eq!((t.physical_exponent(), t.check("x")), (2, Ok(())));
        assert_eq!(
            t.set_physical(1024).and_then(|()| t.check("a disk")).unwrap_err().to_string(),
            "physical_block_size=1024 of a disk is smaller than logical_block_size=4096"
        );
        for wrong in [
            t.set_logical(1024),
            t.set_physical(3000),
            t.set_physical(4 << 20),
            t.set_queue_size(3),
            t.set_queue_size(2048),
            t.set_queues(0),
            t.set_queues(65),
        ] {
            assert!(wrong.is_err());
        }
    }
}

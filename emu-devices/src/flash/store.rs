//! Where the contents of a flash are kept.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

/// Takes what is programmed and erased, in the order in which the guest did it.
pub trait FlashStore: Send + Sync {
    /// Writes `bytes` at `offset`.
    fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<()>;
    /// Makes everything written so far durable.
    fn flush(&self) -> io::Result<()>;
}

/// What becomes of what the guest programs.
pub enum Programming {
    /// The write-protect pin is low: there is none.
    Protected,
    /// It is lost with the machine.
    Lost,
    /// It is kept, and the image must be complete.
    Kept(Box<dyn FlashStore>),
}

impl FlashStore for File {
    fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.write_all_at(bytes, offset)
    }
    fn flush(&self) -> io::Result<()> {
        self.sync_data()
    }
}

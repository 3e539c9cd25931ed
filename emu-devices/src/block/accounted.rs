//! A disk whose requests are accounted for.

use std::io;
use std::sync::Arc;

use emu_core::clock::Clock;
use emu_core::ledger::{Account, Cause};

use super::BlockBackend;

/// Another disk, with an account of what is asked of it, and of how long that took by the machine's clock.
pub struct Accounted {
    disk: Arc<dyn BlockBackend>,
    account: Arc<Account>,
    clock: Arc<Clock>,
}

impl Accounted {
    /// Of `disk`.
    #[must_use]
    pub fn new(disk: Arc<dyn BlockBackend>, account: Arc<Account>, clock: Arc<Clock>) -> Self {
        Self { disk, account, clock }
    }

    /// A request is a begin and an end, also if it is refused; one that was not tried is none.
    fn request(
        &self,
        moved: Option<(Cause, usize)>,
        run: impl FnOnce() -> Option<io::Result<()>>,
    ) -> Option<io::Result<()>> {
        let begun = self.clock.now_ns();
        let result = run()?;
        self.account.add(Cause::RequestsBegun, 1);
        self.account.add(Cause::StorageNs, self.clock.now_ns().saturating_sub(begun));
        if result.is_err() {
            self.account.add(Cause::RequestsFailed, 1);
            return Some(result);
        }
        self.account.add(Cause::RequestsCompleted, 1);
        if let Some((cause, bytes)) = moved {
            self.account.add(cause, bytes as u64);
        }
        Some(result)
    }

    fn whole(&self, moved: Option<(Cause, usize)>, run: impl FnOnce() -> io::Result<()>) -> io::Result<()> {
        self.request(moved, || Some(run())).unwrap_or(Ok(()))
    }
}

impl BlockBackend for Accounted {
    fn name(&self) -> &str {
        self.disk.name()
    }
    fn resize(&self, len: u64) -> io::Result<()> {
        self.disk.resize(len)
    }
    fn len(&self) -> u64 {
        self.disk.len()
    }
    fn read_only(&self) -> bool {
        self.disk.read_only()
    }
    fn read_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<()> {
        self.whole(Some((Cause::StorageBytesRead, buf.len())), || self.disk.read_at(offset, buf))
    }
    fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.whole(Some((Cause::StorageBytesWritten, bytes.len())), || self.disk.write_at(offset, bytes))
    }
    fn read_now(&self, offset: u64, buf: &mut [u8]) -> Option<io::Result<()>> {
        self.request(Some((Cause::StorageBytesRead, buf.len())), || self.disk.read_now(offset, buf))
    }
    fn write_now(&self, offset: u64, bytes: &[u8]) -> Option<io::Result<()>> {
        self.request(Some((Cause::StorageBytesWritten, bytes.len())), || self.disk.write_now(offset, bytes))
    }
    fn flush(&self) -> io::Result<()> {
        self.whole(None, || self.disk.flush())
    }
    fn discard(&self, offset: u64, len: u64) -> io::Result<()> {
        self.whole(None, || self.disk.discard(offset, len))
    }
    fn write_zeroes(&self, offset: u64, len: u64, may_unmap: bool) -> io::Result<()> {
        self.whole(None, || self.disk.write_zeroes(offset, len, may_unmap))
    }
}

#[cfg(test)]
mod tests {
    use emu_core::clock::Mode;
    use emu_core::ledger::Subject;

    use super::*;
    use crate::block::MemoryDisk;

    #[test]
    fn requests_that_end_well_or_badly_are_counted_with_what_they_moved() {
        let account = Arc::new(Account::new(Subject::Device("disk".into())));
        let memory = Arc::new(MemoryDisk::new("memory", vec![0; 4096]));
        let disk = Accounted::new(memory, account.clone(), Clock::new(Mode::Counted));
        disk.write_at(512, &[1; 1024]).unwrap();
        disk.read_at(1024, &mut [0; 512]).unwrap();
        disk.read_at(4096, &mut [0; 512]).unwrap_err();
        disk.flush().unwrap();
        let counted = [
            Cause::RequestsBegun,
            Cause::RequestsCompleted,
            Cause::RequestsFailed,
            Cause::StorageBytesRead,
            Cause::StorageBytesWritten,
        ];
        assert_eq!(counted.map(|cause| account.get(cause)), [4, 3, 1, 512, 1024]);
    }
}

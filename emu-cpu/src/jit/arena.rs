//! Memory for code. It is mapped twice: where it is written it cannot be executed, and the other way round.

use std::fs::File;
use std::io;
use std::os::fd::FromRawFd;

use memmap2::{Mmap, MmapMut, MmapOptions};

/// Code of one vCPU, filled from the start to the end.
pub(super) struct Arena {
    write: MmapMut,
    execute: Mmap,
    used: usize,
}

impl Arena {
    /// Of `bytes`, a multiple of the page size.
    pub(super) fn new(bytes: usize) -> io::Result<Self> {
        // SAFETY: the name is a C string; the call touches nothing else.
        let fd = unsafe { libc::memfd_create(c"understage-code".as_ptr(), libc::MFD_CLOEXEC) };
        if fd < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: the descriptor is new and nobody else's.
        let file = unsafe { File::from_raw_fd(fd) };
        file.set_len(bytes as u64)?;
        // SAFETY: the file is anonymous: no other process changes or truncates it.
        let write = unsafe { MmapOptions::new().len(bytes).map_mut(&file)? };
        // SAFETY: as above. This side is only executed, by the thread that wrote the other one.
        let execute = unsafe { MmapOptions::new().len(bytes).map_exec(&file)? };
        Ok(Self { write, execute, used: 0 })
    }

    /// The host address at which the next code will run.
    pub(super) fn next(&self) -> u64 {
        self.execute.as_ptr() as u64 + self.used as u64
    }

    /// Bytes in use.
    pub(super) fn used(&self) -> usize {
        self.used
    }

    /// Bytes left.
    pub(super) fn left(&self) -> usize {
        self.write.len() - self.used
    }

    /// Puts code at [`Arena::next`]; false if there is no room.
    pub(super) fn push(&mut self, code: &[u8]) -> bool {
        let end = self.used + code.len();
        let Some(place) = self.write.get_mut(self.used..end) else { return false };
        place.copy_from_slice(code);
        self.used = end.next_multiple_of(16).min(self.write.len());
        true
    }

    /// The `n` bytes at host address `at`; none if they are not all in use.
    pub(super) fn bytes(&self, at: u64, n: usize) -> &[u8] {
        let start = at.wrapping_sub(self.execute.as_ptr() as u64) as usize;
        let end = start.checked_add(n).filter(|end| *end <= self.used);
        end.and_then(|end| self.execute.get(start..end)).unwrap_or_default()
    }

    /// Overwrites bytes at host address `at`.
    pub(super) fn patch(&mut self, at: u64, bytes: &[u8]) {
        let start = at.wrapping_sub(self.execute.as_ptr() as u64) as usize;
        if let Some(place) = start.checked_add(bytes.len()).and_then(|end| self.write.get_mut(start..end)) {
            place.copy_from_slice(bytes);
        }
    }

    /// Forgets everything after the first `keep` bytes.
    pub(super) fn truncate(&mut self, keep: usize) {
        self.used = keep;
    }
}

//! Memory for code. It is mapped twice: where it is written it cannot be executed, and the other way round.
//!
//! The memory is shared and anonymous, and the second mapping is made of the first one: perf looks names of code up in
//! its map file only if the code is in anonymous memory.

use std::io;
use std::ops::Range;
use std::ptr::NonNull;

/// Code of one vCPU, filled from the start to the end.
pub(super) struct Arena {
    write: Mapping,
    execute: Mapping,
    used: usize,
}

/// Pages of ours.
struct Mapping {
    start: NonNull<u8>,
    bytes: usize,
}

// SAFETY: the pages belong to the mapping alone, and are reached only through it.
unsafe impl Send for Mapping {}

impl Mapping {
    /// What mmap and mremap gave.
    fn new(start: *mut libc::c_void, bytes: usize) -> io::Result<Self> {
        match NonNull::new(start.cast::<u8>()) {
            Some(at) if start != libc::MAP_FAILED => Ok(Self { start: at, bytes }),
            _ => Err(io::Error::last_os_error()),
        }
    }

    /// Of new memory, to be written.
    fn of_memory(bytes: usize) -> io::Result<Self> {
        let protection = libc::PROT_READ | libc::PROT_WRITE;
        let flags = libc::MAP_SHARED | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE;
        // SAFETY: a mapping at an address that the kernel chooses changes no memory that is in use.
        Self::new(unsafe { libc::mmap(std::ptr::null_mut(), bytes, protection, flags, -1, 0) }, bytes)
    }

    /// The same memory once more, to be executed.
    fn to_execute(&self) -> io::Result<Self> {
        let start = self.start.as_ptr().cast();
        // SAFETY: with an old size of zero the old mapping, which is a shared one, stays as it is (mremap(2)).
        let again = unsafe { libc::mremap(start, 0, self.bytes, libc::MREMAP_MAYMOVE) };
        let again = Self::new(again, self.bytes)?;
        // SAFETY: the pages are those that were just mapped, and nothing refers to them yet.
        let done = unsafe {
            libc::mprotect(again.start.as_ptr().cast(), again.bytes, libc::PROT_READ | libc::PROT_EXEC)
        };
        if done == 0 { Ok(again) } else { Err(io::Error::last_os_error()) }
    }

    fn address(&self) -> u64 {
        self.start.as_ptr() as u64
    }

    /// Copies bytes to an offset; false if they do not fit.
    fn put(&mut self, at: usize, bytes: &[u8]) -> bool {
        let fits = at.checked_add(bytes.len()).is_some_and(|end| end <= self.bytes);
        if fits {
            // SAFETY: the range is inside the mapping, which is to be written; a slice of somebody else's cannot overlap.
            unsafe { self.start.as_ptr().add(at).copy_from_nonoverlapping(bytes.as_ptr(), bytes.len()) };
        }
        fits
    }

    fn get(&self, range: Range<usize>) -> &[u8] {
        if range.start > range.end || range.end > self.bytes {
            return &[];
        }
        // SAFETY: the range is inside the mapping, which can be read, and is written only with `&mut self`.
        unsafe { std::slice::from_raw_parts(self.start.as_ptr().add(range.start), range.len()) }
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: the pages are ours; who had the mapping has given it up.
        unsafe { libc::munmap(self.start.as_ptr().cast(), self.bytes) };
    }
}

impl Arena {
    /// Of `bytes`, a multiple of the page size.
    pub(super) fn new(bytes: usize) -> io::Result<Self> {
        let write = Mapping::of_memory(bytes)?;
        let execute = write.to_execute()?;
        Ok(Self { write, execute, used: 0 })
    }

    /// The host address at which the first code runs.
    pub(super) fn start(&self) -> u64 {
        self.execute.address()
    }

    /// The host address at which the next code will run.
    pub(super) fn next(&self) -> u64 {
        self.start() + self.used as u64
    }

    /// The first bytes.
    pub(super) fn written(&self, bytes: usize) -> &[u8] {
        self.write.get(0..bytes)
    }

    /// Bytes in use.
    pub(super) fn used(&self) -> usize {
        self.used
    }

    /// Bytes left.
    pub(super) fn remaining(&self) -> usize {
        self.write.bytes - self.used
    }

    /// Puts code at [`Arena::next`]; false if there is no room.
    pub(super) fn push(&mut self, code: &[u8]) -> bool {
        let done = self.write.put(self.used, code);
        if done {
            self.used = (self.used + code.len()).next_multiple_of(16).min(self.write.bytes);
        }
        done
    }

    /// The `n` bytes at host address `at`; none if they are not all in use.
    pub(super) fn bytes(&self, at: u64, n: usize) -> &[u8] {
        let start = at.wrapping_sub(self.start()) as usize;
        let end = start.checked_add(n).filter(|end| *end <= self.used);
        end.map(|end| self.execute.get(start..end)).unwrap_or_default()
    }

    /// Overwrites bytes at host address `at`.
    pub(super) fn patch(&mut self, at: u64, bytes: &[u8]) {
        self.write.put(at.wrapping_sub(self.start()) as usize, bytes);
    }

    /// Forgets everything after the first `keep` bytes.
    pub(super) fn truncate(&mut self, keep: usize) {
        self.used = keep;
    }
}

#[cfg(test)]
mod tests {
    use super::Arena;

    #[test]
    fn what_is_written_is_seen_where_it_runs() {
        let mut arena = Arena::new(8192).unwrap();
        assert!(arena.push(&[1, 2, 3]));
        assert_eq!((arena.used(), arena.remaining(), arena.next()), (16, 8176, arena.start() + 16));
        arena.patch(arena.start() + 1, &[9]);
        assert_eq!(arena.execute.get(0..4), [1, 9, 3, 0]);
        assert_eq!(arena.written(3), [1, 9, 3]);
        assert!(!arena.push(&[7; 8177]), "there is less room");
        assert!(arena.push(&[7; 8176]));
        arena.patch(arena.start() + 8191, &[1, 2]);
        assert_eq!(arena.execute.get(8190..8192), [7, 7], "a patch that does not fit changes nothing");
    }

    #[test]
    fn no_page_can_be_written_and_executed() {
        let arena = Arena::new(8192).unwrap();
        let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
        let protection = |at: u64| {
            let line = maps.lines().find(|l| l.starts_with(&format!("{at:x}-"))).unwrap();
            line.split(' ').nth(1).unwrap().to_owned()
        };
        assert_eq!(protection(arena.start()), "r-xs");
        assert_eq!(protection(arena.write.address()), "rw-s");
    }
}

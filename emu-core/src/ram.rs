//! Guest memory: RAM, and the arrays of ROM and flash.
//!
//! # The rules
//! 1. A block is mapped once and never unmapped: a [`GuestRam`] is leaked when it is made, so a host address
//!    inside it is valid for the life of the process. One machine lives in one process; tests make small blocks.
//! 2. Guest RAM is shared by vCPU threads, device threads and host-side tools without a lock. Every access is
//!    therefore atomic (relaxed) at its natural size, or, for unaligned and bulk accesses, a sequence of such
//!    accesses: torn values are possible exactly where the architecture allows them, undefined behaviour is not.
//! 3. No Rust reference to the contents ever exists.
//! 4. A block is followed by an inaccessible guard region, so an access that starts inside the block and is at most
//!    16 bytes long never touches other memory of the host.
//! 5. A block knows who wrote it: each page has a version ([`crate::page`], with the protocol). Whatever changes the contents
//!    ends in [`GuestRam::wrote`], which nobody has to call.

use std::fs::File;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::fs::FileExt;
use std::sync::atomic::{AtomicU8, AtomicU16, AtomicU32, AtomicU64, Ordering, fence};
use std::sync::{Arc, Weak};

use memmap2::{MmapOptions, MmapRaw};
use parking_lot::RwLock;
use thiserror::Error;

use crate::addr::{PAGE_SHIFT, PAGE_SIZE};
use crate::atomic::{Atomic, Operation};
use crate::page::{DirectWriters, PageVersion, Place, is_same};

/// Why a block of guest RAM could not be made.
#[derive(Debug, Error)]
pub enum RamError {
    /// The host refused the mapping.
    #[error("cannot map {size} bytes of guest RAM: {source}")]
    Map {
        /// Bytes asked for.
        size: u64,
        /// What the host said.
        source: std::io::Error,
    },
    /// The size is zero or not a whole number of pages.
    #[error("guest RAM of {0} bytes is not a whole number of 4 KiB pages")]
    Size(u64),
}

/// What the host can map at once where it has large pages.
const LARGE_PAGE: u64 = 2 << 20;

/// Bytes of the file that [`GuestRam::filled`] maps again and again.
const SHARED_PIECE: u64 = 1 << 20;

/// A file that lives in memory and has no name.
fn memory_file() -> std::io::Result<File> {
    // SAFETY: the name is a C string; the call has no other requirement.
    let fd = unsafe { libc::memfd_create(c"fill".as_ptr(), libc::MFD_CLOEXEC) };
    if fd < 0 {
        return Err(std::io::Error::last_os_error());
    }
    // SAFETY: the descriptor was just made, and nobody else owns it.
    Ok(File::from(unsafe { OwnedFd::from_raw_fd(fd) }))
}

/// A block of guest memory, zeroed at first, touched page by page on demand.
#[derive(Debug)]
pub struct GuestRam {
    base: *mut u8,
    size: u64,
    versions: &'static [PageVersion],
    /// Who keeps host addresses to write by.
    writers: RwLock<Vec<Weak<dyn DirectWriters>>>,
}

/// Versions of so many pages: zeros that the host has not given memory for yet.
fn versions(pages: usize) -> &'static [PageVersion] {
    let words: &'static mut [u32] = vec![0; pages].leak();
    // SAFETY: the words live for ever and nobody else has them; a PageVersion is an atomic word of the same size and
    // alignment, and has no invalid values.
    unsafe { std::slice::from_raw_parts(words.as_mut_ptr().cast(), pages) }
}

// SAFETY: the block is only accessed through atomics (see the rules at the head of the module), `base` and `size` never
// change, and the other fields are shared by themselves.
unsafe impl Send for GuestRam {}
// SAFETY: as for Send.
unsafe impl Sync for GuestRam {}

/// How many of the `len` bytes (not 0) that start at `at` are accessed in one way: a byte, an aligned halfword or word, or all
/// the aligned doublewords that there are.
fn natural_piece(at: u64, len: usize) -> usize {
    match [8, 4, 2].into_iter().find(|&n| at.is_multiple_of(n as u64) && n <= len) {
        Some(8) => len & !7,
        Some(n) => n,
        None => 1,
    }
}

macro_rules! update {
    ($update:ident, $ty:ty, $atomic:ty) => {
        /// Changes an aligned value in one action; gives what it was. `None` if it is unaligned or outside.
        fn $update(&self, offset: u64, operation: Operation<$ty>) -> Option<$ty> {
            const N: u64 = size_of::<$ty>() as u64;
            self.check(offset, N)?;
            if !offset.is_multiple_of(N) {
                return None;
            }
            // SAFETY: in bounds and aligned, as just checked, and mapped for ever; atomics may race.
            let cell = unsafe { <$atomic>::from_ptr(self.base.add(offset as usize).cast()) };
            let new = |old| operation.over(<$ty>::from_le(old), <$ty>::wrapping_add).map(<$ty>::to_le);
            let done = cell.fetch_update(Ordering::SeqCst, Ordering::SeqCst, new);
            if done.is_ok() {
                self.wrote(offset, N);
            }
            Some(<$ty>::from_le(done.unwrap_or_else(|seen| seen)))
        }
    };
}

macro_rules! word {
    ($load:ident, $store:ident, $put:ident, $ty:ty, $atomic:ty) => {
        /// Reads a little-endian value at byte `offset`; aligned ones are single-copy atomic. `None` outside the block.
        #[must_use]
        pub fn $load(&self, offset: u64) -> Option<$ty> {
            const N: u64 = size_of::<$ty>() as u64;
            self.check(offset, N)?;
            if offset.is_multiple_of(N) {
                // SAFETY: in bounds (checked), aligned, and mapped for ever; atomics may race.
                let cell = unsafe { <$atomic>::from_ptr(self.base.add(offset as usize).cast()) };
                Some(<$ty>::from_le(cell.load(Ordering::Relaxed)))
            } else {
                let mut bytes = [0; N as usize];
                self.read(offset, &mut bytes)?;
                Some(<$ty>::from_le_bytes(bytes))
            }
        }
        /// Writes a little-endian value at byte `offset`; aligned ones are single-copy atomic. `None` outside the block.
        pub fn $store(&self, offset: u64, value: $ty) -> Option<()> {
            const N: u64 = size_of::<$ty>() as u64;
            if !offset.is_multiple_of(N) {
                return self.write(offset, &value.to_le_bytes());
            }
            self.$put(offset, value)?;
            self.wrote(offset, N);
            Some(())
        }
        /// Writes an aligned value, which is yet to be told of.
        fn $put(&self, offset: u64, value: $ty) -> Option<()> {
            self.check(offset, size_of::<$ty>() as u64)?;
            // SAFETY: in bounds (checked), aligned (by the callers above and below), and mapped for ever; atomics may race.
            let cell = unsafe { <$atomic>::from_ptr(self.base.add(offset as usize).cast()) };
            cell.store(value.to_le(), Ordering::Relaxed);
            Some(())
        }
    };
}

impl GuestRam {
    /// Maps `size` bytes of zeroed RAM (a multiple of 4 KiB). The mapping lasts as long as the process.
    pub fn new(size: u64) -> Result<&'static Self, RamError> {
        if size == 0 || !size.is_multiple_of(PAGE_SIZE) {
            return Err(RamError::Size(size));
        }
        // Room for the guard, and for a start at a large page of the host.
        let slack = if size >= LARGE_PAGE { LARGE_PAGE } else { 0 };
        let total = size.checked_add(PAGE_SIZE + slack).and_then(|n| usize::try_from(n).ok());
        let total = total.ok_or(RamError::Size(size))?;
        let map: MmapRaw = MmapOptions::new()
            .len(total)
            .no_reserve_swap()
            .map_anon()
            .map(Into::into)
            .map_err(|source| RamError::Map { size, source })?;
        let start = map.as_mut_ptr();
        let base = start.wrapping_add(start.align_offset((slack as usize).max(1)));
        std::mem::forget(map);
        if slack != 0 {
            // A guest with a large working set would otherwise spend its time in the host's page walks. It is advice:
            // a host without large pages says no, and nothing depends on it.
            // SAFETY: the range lies inside the mapping that was just made, and its contents do not change.
            unsafe { libc::madvise(base.cast(), size as usize, libc::MADV_HUGEPAGE) };
        }
        let versions = versions((size >> PAGE_SHIFT) as usize);
        Ok(Box::leak(Box::new(Self { base, size, versions, writers: RwLock::default() })))
    }

    /// As [`GuestRam::new`], with every byte `byte` at first (erased flash). Pages that are never written share a small
    /// file in memory, so that an empty 64 MiB bank costs next to nothing.
    pub fn filled(size: u64, byte: u8) -> Result<&'static Self, RamError> {
        let ram = Self::new(size)?;
        let failed = |source| RamError::Map { size, source };
        let piece = SHARED_PIECE.min(size);
        let file = memory_file().map_err(failed)?;
        file.write_all_at(&vec![byte; piece as usize], 0).map_err(failed)?;
        for at in (0..size).step_by(piece as usize) {
            let len = piece.min(size - at) as usize;
            // SAFETY: the range lies inside the block's own mapping, which nobody has seen yet, and is replaced by a
            // private (copy-on-write) mapping of a file that has at least `len` bytes and never shrinks.
            let mapped = unsafe {
                libc::mmap(
                    ram.base.add(at as usize).cast(),
                    len,
                    libc::PROT_READ | libc::PROT_WRITE,
                    libc::MAP_PRIVATE | libc::MAP_FIXED,
                    file.as_raw_fd(),
                    0,
                )
            };
            if mapped == libc::MAP_FAILED {
                return Err(failed(std::io::Error::last_os_error()));
            }
        }
        Ok(ram)
    }

    /// As [`GuestRam::new`], with the bytes of `file`, which must have at least `size` of them and keep them as long as
    /// the process lives. If it is `shared`, what is written goes to the file and comes from there; otherwise the file is
    /// not changed. Who else writes to it is not noticed as a CPU or a device is: code that was translated stays.
    pub fn over_file(size: u64, file: &File, shared: bool) -> Result<&'static Self, RamError> {
        let ram = Self::new(size)?;
        let kind = if shared { libc::MAP_SHARED } else { libc::MAP_PRIVATE };
        // SAFETY: the range is the block's own, which nobody has seen yet; it is replaced by a mapping of the same
        // length. Whether the file has so many bytes is the caller's to see to: else the host ends the process.
        let mapped = unsafe {
            libc::mmap(
                ram.base.cast(),
                size as usize,
                libc::PROT_READ | libc::PROT_WRITE,
                kind | libc::MAP_FIXED,
                file.as_raw_fd(),
                0,
            )
        };
        match mapped == libc::MAP_FAILED {
            true => Err(RamError::Map { size, source: std::io::Error::last_os_error() }),
            false => Ok(ram),
        }
    }

    fn advise(&self, advice: i32) -> std::io::Result<()> {
        // SAFETY: the range is the block's, and what is advised changes no contents.
        match unsafe { libc::madvise(self.base.cast(), self.size as usize, advice) } {
            0 => Ok(()),
            _ => Err(std::io::Error::last_os_error()),
        }
    }

    /// Keeps the block out of core dumps.
    pub fn hide_from_core_dumps(&self) -> std::io::Result<()> {
        self.advise(libc::MADV_DONTDUMP)
    }

    /// Lets the host keep one page for several that are the same.
    pub fn allow_merging(&self) -> std::io::Result<()> {
        self.advise(libc::MADV_MERGEABLE)
    }

    /// Takes all pages from the host now rather than when they are used.
    pub fn populate(&self) -> std::io::Result<()> {
        self.advise(libc::MADV_POPULATE_WRITE)
    }

    /// The size in bytes.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.size
    }

    /// The byte at `offset`.
    #[must_use]
    pub fn place(&'static self, offset: u64) -> Option<Place> {
        Place::new(self, offset)
    }

    /// The host address of byte `offset`, which is in the block. It stays valid for ever; to be used with atomic accesses that
    /// stay in the same 4 KiB page (or run at most 16 bytes past it).
    pub(crate) fn host(&self, offset: u64) -> *const u8 {
        debug_assert!(offset < self.size);
        self.base.wrapping_add(offset as usize)
    }

    /// Of all pages.
    pub(crate) fn versions(&self) -> &'static [PageVersion] {
        self.versions
    }

    /// `writers` keep host addresses to write by: they are asked to give them back, and told of what is written.
    pub fn attach(&self, writers: &Arc<dyn DirectWriters>) {
        let mut all = self.writers.write();
        // A block may outlive the machines that it is used in.
        all.retain(|w| w.strong_count() != 0);
        if !all.iter().any(|w| is_same(writers, w)) {
            all.push(Arc::downgrade(writers));
        }
    }

    pub(crate) fn for_writers(&self, each: impl Fn(&dyn DirectWriters)) {
        self.writers.read().iter().filter_map(Weak::upgrade).for_each(|w| each(&*w));
    }

    /// `len` bytes at `offset`, which are in the block, were written: see [`crate::page`].
    #[inline]
    pub(crate) fn wrote(&self, offset: u64, len: u64) {
        if len == 0 {
            return;
        }
        // Pairs with the one in `Page::watch`.
        fence(Ordering::SeqCst);
        let [first, last] = [offset, offset + (len - 1)].map(|at| (at >> PAGE_SHIFT) as usize);
        let written = self.versions.get(first..=last).unwrap_or_default();
        if written.iter().filter(|page| page.is_watched() && page.advance()).count() != 0 {
            self.for_writers(|w| w.wrote());
        }
    }

    fn check(&self, offset: u64, len: u64) -> Option<()> {
        (offset.checked_add(len)? <= self.size).then_some(())
    }

    word!(load_u8, store_u8, put_u8, u8, AtomicU8);
    word!(load_u16, store_u16, put_u16, u16, AtomicU16);
    word!(load_u32, store_u32, put_u32, u32, AtomicU32);
    word!(load_u64, store_u64, put_u64, u64, AtomicU64);

    /// The doublewords of `len` bytes at byte `at`; none if that is not aligned, or they are not in the block.
    #[inline]
    fn words(&self, at: u64, len: usize) -> &[AtomicU64] {
        if !at.is_multiple_of(8) || self.check(at, len as u64).is_none() {
            return &[];
        }
        // SAFETY: in bounds and aligned, as just checked, and mapped for ever; atomics may race.
        unsafe { std::slice::from_raw_parts(self.base.add(at as usize).cast(), len / 8) }
    }

    /// Copies bytes out of the block; `None` (and nothing copied) if they are not all inside it. What is naturally
    /// aligned is read as halfwords, words and doublewords: an aligned 2-byte ring index is never torn.
    pub fn read(&self, offset: u64, out: &mut [u8]) -> Option<()> {
        self.check(offset, out.len() as u64)?;
        let mut at = offset;
        let mut rest = out;
        while !rest.is_empty() {
            let n = natural_piece(at, rest.len());
            let (piece, tail) = rest.split_at_mut(n);
            match piece {
                [a] => *a = self.load_u8(at)?,
                [a, b] => [*a, *b] = self.load_u16(at)?.to_le_bytes(),
                [a, b, c, d] => [*a, *b, *c, *d] = self.load_u32(at)?.to_le_bytes(),
                [a, b, c, d, e, f, g, h] => {
                    [*a, *b, *c, *d, *e, *f, *g, *h] = self.load_u64(at)?.to_le_bytes();
                }
                _ => {
                    for (word, out) in self.words(at, n).iter().zip(piece.as_chunks_mut().0) {
                        *out = word.load(Ordering::Relaxed).to_ne_bytes();
                    }
                }
            }
            rest = tail;
            at += n as u64;
        }
        Some(())
    }

    /// Copies bytes into the block; `None` (and nothing copied) if they do not all fit. Pieces as in
    /// [`GuestRam::read`].
    pub fn write(&self, offset: u64, bytes: &[u8]) -> Option<()> {
        self.check(offset, bytes.len() as u64)?;
        let mut at = offset;
        let mut rest = bytes;
        while !rest.is_empty() {
            let n = natural_piece(at, rest.len());
            let (piece, tail) = rest.split_at(n);
            match *piece {
                [a] => self.put_u8(at, a)?,
                [a, b] => self.put_u16(at, u16::from_le_bytes([a, b]))?,
                [a, b, c, d] => self.put_u32(at, u32::from_le_bytes([a, b, c, d]))?,
                [a, b, c, d, e, f, g, h] => self.put_u64(at, u64::from_le_bytes([a, b, c, d, e, f, g, h]))?,
                _ => {
                    for (word, bytes) in self.words(at, n).iter().zip(piece.as_chunks().0) {
                        word.store(u64::from_ne_bytes(*bytes), Ordering::Relaxed);
                    }
                }
            }
            rest = tail;
            at += n as u64;
        }
        self.wrote(offset, bytes.len() as u64);
        Some(())
    }

    update!(update_u32, u32, AtomicU32);
    update!(update_u64, u64, AtomicU64);

    /// An atomic access at byte `offset`; gives what was there. `None` if it is unaligned or outside.
    pub fn atomic(&self, offset: u64, atomic: Atomic) -> Option<u64> {
        match atomic {
            Atomic::Word(operation) => self.update_u32(offset, operation).map(u64::from),
            Atomic::Doubleword(operation) => self.update_u64(offset, operation),
        }
    }

    /// Atomically replaces the aligned doubleword at `offset` if it holds `expected`; gives what it held.
    /// `None` if it is unaligned or outside. Used for descriptor updates (access flag, dirty state).
    pub fn compare_exchange_u64(&self, offset: u64, expected: u64, new: u64) -> Option<u64> {
        self.update_u64(offset, Operation::CompareAndSwap { expected, new })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ram_over_a_file_is_shared_or_a_copy() {
        let file = memory_file().unwrap();
        file.set_len(8192).unwrap();
        file.write_all_at(b"abcd", 4096).unwrap();
        let (copy, shared) = (
            GuestRam::over_file(8192, &file, false).unwrap(),
            GuestRam::over_file(8192, &file, true).unwrap(),
        );
        let at = |offset: u64| {
            let mut b = [0; 4];
            file.read_exact_at(&mut b, offset).unwrap();
            b
        };
        assert_eq!(copy.load_u32(4096), Some(u32::from_le_bytes(*b"abcd")));
        copy.write(4096, b"copy").unwrap();
        assert_eq!(at(4096), *b"abcd", "the file keeps what it has");
        shared.write(4096, b"mine").unwrap();
        assert_eq!(at(4096), *b"mine");
        file.write_all_at(b"host", 0).unwrap();
        assert_eq!(shared.load_u32(0), Some(u32::from_le_bytes(*b"host")));
    }

    #[test]
    fn ram_can_be_taken_at_once() {
        let ram = GuestRam::new(1 << 20).unwrap();
        ram.hide_from_core_dumps().unwrap();
        ram.write(0, b"x").unwrap();
        match ram.populate() {
            Ok(()) => assert_eq!(ram.load_u8(0), Some(b'x'), "what was there stays"),
            // Hosts before Linux 5.14.
            Err(e) => assert_eq!(e.raw_os_error(), Some(libc::EINVAL)),
        }
    }

    #[test]
    fn words_and_bulk_agree() {
        let ram = GuestRam::new(8192).unwrap();
        ram.store_u64(8, 0x0102_0304_0506_0708).unwrap();
        assert_eq!(ram.load_u8(8), Some(8));
        assert_eq!(ram.load_u32(10), Some(0x0304_0506));
        let mut b = [0; 11];
        ram.read(5, &mut b).unwrap();
        assert_eq!(b, [0, 0, 0, 8, 7, 6, 5, 4, 3, 2, 1]);
        ram.write(4093, &[1, 2, 3, 4, 5]).unwrap();
        assert_eq!(ram.load_u32(4094), Some(0x0504_0302));
    }

    #[test]
    fn a_long_copy_is_the_same_from_any_byte_to_any_other() {
        let ram = GuestRam::new(4096).unwrap();
        let pattern: Vec<u8> = (1..=64).collect();
        for at in 0..16 {
            for len in 0..=40 {
                ram.write(0, &[0; 64]).unwrap();
                ram.write(at as u64, &pattern[..len]).unwrap();
                let mut there = [0; 64];
                ram.read(0, &mut there).unwrap();
                let before = vec![0; at];
                assert_eq!(there[..], [&before[..], &pattern[..len], &vec![0; 64 - at - len]].concat());
                let mut part = vec![0; len];
                ram.read(at as u64, &mut part).unwrap();
                assert_eq!(part, pattern[..len]);
            }
        }
    }

    #[test]
    fn large_blocks_start_at_a_large_page() {
        for size in [LARGE_PAGE, 3 * LARGE_PAGE + PAGE_SIZE] {
            let ram = GuestRam::new(size).unwrap();
            assert_eq!(ram.host(0) as u64 % LARGE_PAGE, 0);
            ram.store_u64(size - 8, 5).unwrap();
            assert_eq!((ram.load_u64(0), ram.load_u64(size - 8)), (Some(0), Some(5)));
        }
    }

    #[test]
    fn filled_blocks_can_be_written() {
        let ram = GuestRam::filled((1 << 20) + 8192, 0xff).unwrap();
        assert_eq!(ram.load_u64((1 << 20) + 8184), Some(u64::MAX));
        ram.store_u8(0, 1).unwrap();
        assert_eq!(
            (ram.load_u8(0), ram.load_u8(1 << 20)),
            (Some(1), Some(0xff)),
            "the shared file stays as it is"
        );
    }

    #[test]
    fn bounds_are_refused() {
        let ram = GuestRam::new(4096).unwrap();
        assert_eq!(ram.load_u64(4089), None);
        assert_eq!(ram.store_u8(4096, 0), None);
        assert_eq!(ram.read(u64::MAX, &mut [0; 2]), None);
        assert!(GuestRam::new(100).is_err());
    }

    #[test]
    fn compare_exchange() {
        let ram = GuestRam::new(4096).unwrap();
        assert_eq!(ram.compare_exchange_u64(16, 0, 7), Some(0));
        assert_eq!(ram.compare_exchange_u64(16, 0, 9), Some(7));
        assert_eq!(ram.load_u64(16), Some(7));
        assert_eq!(ram.compare_exchange_u64(17, 0, 9), None);
    }
}

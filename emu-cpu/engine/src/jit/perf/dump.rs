//! `jit-PID.dump`, for `perf inject --jit` (tools/perf/Documentation/jitdump-specification.txt).

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use memmap2::{Mmap, MmapOptions};
use parking_lot::Mutex;

use super::{Records, create, symbol};
use crate::jit::observe::{CodeOrigin, Listener};

const MAGIC: u32 = 0x4a69_5444;
const VERSION: u32 = 1;
const HEADER_BYTES: u32 = 40;
/// ELF's number for the host.
const EM_HOST: u32 = if cfg!(target_arch = "aarch64") { 183 } else { 62 };
/// Record: code was made.
const CODE_LOAD: u32 = 0;
/// Record: there is no more.
const CODE_CLOSE: u32 = 3;

/// How long the end waits for a record that is being written.
const PATIENCE: Duration = Duration::from_secs(1);

/// See the module's head.
pub struct Dump {
    records: Records,
    /// The number of the next piece of code: perf makes an object file of each. Locked from the time of a record to its
    /// end, so that times ascend.
    /// None after the last record.
    next: Mutex<Option<u64>>,
    /// The first page, mapped to be executed, though it never is: perf finds the file by the event of this mapping.
    _marker: Mmap,
}

/// What the timestamps of `perf record -k mono` count: nanoseconds of CLOCK_MONOTONIC.
fn now() -> u64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the call fills in the structure, which is ours. It cannot fail for this clock.
    unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, &raw mut time) };
    (time.tv_sec as u64).wrapping_mul(1_000_000_000).wrapping_add(time.tv_nsec as u64)
}

/// A thread's number for the kernel.
fn thread() -> u32 {
    // SAFETY: the call has no arguments and always succeeds.
    (unsafe { libc::gettid() }) as u32
}

/// A record's head: what it is, its whole length, and when it was made.
fn head(kind: u32, bytes: usize) -> Vec<u8> {
    let mut record = Vec::with_capacity(bytes);
    record.extend(kind.to_le_bytes());
    record.extend((bytes as u32).to_le_bytes());
    record.extend(now().to_le_bytes());
    record
}

impl Dump {
    /// The file's name: perf takes it from there that this is a dump, and whose.
    #[must_use]
    pub fn path() -> PathBuf {
        PathBuf::from(format!("jit-{}.dump", std::process::id()))
    }

    /// Begins the file.
    pub fn create(path: &Path) -> io::Result<Self> {
        let file = create(path)?;
        let mut header = Vec::with_capacity(HEADER_BYTES as usize);
        for word in [MAGIC, VERSION, HEADER_BYTES, EM_HOST, 0, std::process::id()] {
            header.extend(word.to_le_bytes());
        }
        header.extend(now().to_le_bytes());
        header.extend(0u64.to_le_bytes());
        // SAFETY: nothing is ever read through the mapping or executed in it, so it does not matter what becomes of
        // the file.
        let marker = unsafe { MmapOptions::new().len(4096).map_exec(&file)? };
        let records = Records::new(file);
        records.write(&header);
        Ok(Self { records, next: Mutex::new(Some(0)), _marker: marker })
    }
}

impl Listener for Dump {
    fn made(&self, at: u64, bytes: &[u8], what: CodeOrigin) {
        let name = symbol(what);
        let mut next = self.next.lock();
        let Some(number) = *next else { return };
        let mut record = head(CODE_LOAD, 16 + 40 + name.len() + 1 + bytes.len());
        record.extend(std::process::id().to_le_bytes());
        record.extend(thread().to_le_bytes());
        for field in [at, at, bytes.len() as u64, number] {
            record.extend(field.to_le_bytes());
        }
        *next = Some(number + 1);
        record.extend(name.as_bytes());
        record.push(0);
        record.extend(bytes);
        self.records.write(&record);
    }

    /// The closing record. After it there is no other.
    fn finish(&self) {
        // A thread that died in the middle of a record keeps the lock.
        let Some(mut next) = self.next.try_lock_for(PATIENCE) else { return };
        if next.take().is_some() {
            self.records.write(&head(CODE_CLOSE, 16));
        }
    }
}

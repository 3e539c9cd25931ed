//! What a port remembers of translations: pages, looked up without a lock.
//!
//! An entry holds for one *epoch*: see [`super::Core::port_epoch`]. Another one begins whenever anything is invalidated, and when
//! the bus changes. So nothing is ever searched for in here, and a table may be small: what it lacks the main TLB has. It begins
//! small, for most masters have their rings and a few buffers. One that replaces what it needs again gets a large one, so that
//! masters with many pages do not meet at the locks of the main TLB.
//!
//! # Invariant
//! An entry is read as it was written: its version is odd while it is changed, and another one afterwards.

use std::sync::OnceLock;
use std::sync::atomic::{
    AtomicU32, AtomicU64, Ordering::Acquire, Ordering::Relaxed, Ordering::Release, fence,
};

use emu_core::dma::DmaAttrs;

use super::Access;
use super::output::Output;

/// Entries of the small table: powers of two, as is the other. Half of them are for reads.
const SMALL: usize = 256;
/// Of the large one: 8,192 pages each way.
const LARGE: usize = 16_384;
/// Entries replaced within their epoch, for which there is a large table.
const CROWDED: u32 = 256;
/// SubstreamIDs have 20 bits (Arm IHI 0070, 3.2), epochs the rest of a word.
const SUBSTREAM_BITS: u32 = 20;

/// Everything about a transaction that its verdict and its translation can depend on, but for the port that it comes from and
/// for the place in the page.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Key {
    /// The page, and the attributes below it.
    page: u64,
    substream: u32,
}

impl Key {
    /// `None` if it is not to be remembered: there is no such substream.
    #[inline]
    pub(super) fn of(attrs: &DmaAttrs, address: u64, access: Access) -> Option<Self> {
        let substream = attrs.substream.unwrap_or(0);
        if substream >> SUBSTREAM_BITS != 0 {
            return None;
        }
        let attributes = access as u64
            | u64::from(attrs.privileged) << 2
            | u64::from(attrs.instruction) << 3
            | u64::from(attrs.translated) << 4
            | u64::from(attrs.substream.is_some()) << 5
            | (attrs.security as u64) << 6
            | (attrs.memory as u64) << 8;
        Some(Self { page: address & !0xfff | attributes, substream })
    }

    /// Where it is kept, in a table of so many entries. Reads and writes of one page are far apart.
    #[inline]
    fn index(self, entries: usize) -> usize {
        let page = (self.page >> 12) as usize;
        let write = (self.page & 1) as usize * (entries / 2);
        page.wrapping_add(write + self.substream as usize * 37) & (entries - 1)
    }

    #[inline]
    fn context(self, epoch: u64) -> u64 {
        epoch << SUBSTREAM_BITS | u64::from(self.substream)
    }
}

/// Two of them fill a line of the host's cache.
#[derive(Default)]
#[repr(align(32))]
struct Entry {
    version: AtomicU32,
    page: AtomicU64,
    context: AtomicU64,
    output: AtomicU64,
}

/// With nothing in it: epochs begin with 1.
fn table(entries: usize) -> Box<[Entry]> {
    (0..entries).map(|_| Entry::default()).collect()
}

/// The pages that a port remembers.
pub(super) struct MicroTlb {
    small: Box<[Entry]>,
    /// Used instead, once it is there.
    large: OnceLock<Box<[Entry]>>,
    /// Entries that were replaced within their epoch.
    replaced: AtomicU32,
}

impl MicroTlb {
    pub(super) fn new() -> Self {
        Self { small: table(SMALL), large: OnceLock::new(), replaced: AtomicU32::new(0) }
    }

    #[inline]
    fn entry(&self, key: Key) -> &Entry {
        let table = self.large.get().unwrap_or(&self.small);
        &table[key.index(table.len())]
    }

    /// One more entry has been replaced that was still good.
    #[cold]
    fn crowded(&self) {
        if self.replaced.fetch_add(1, Relaxed) == CROWDED {
            self.large.get_or_init(|| table(LARGE));
        }
    }

    /// The first byte of the page that `key` leads to in `epoch`.
    #[inline]
    pub(super) fn get(&self, key: Key, epoch: u64) -> Option<Output> {
        let entry = self.entry(key);
        let version = entry.version.load(Acquire);
        let page = entry.page.load(Relaxed);
        let context = entry.context.load(Relaxed);
        let output = entry.output.load(Relaxed);
        fence(Acquire);
        let whole = version & 1 == 0 && entry.version.load(Relaxed) == version;
        (whole && page == key.page && context == key.context(epoch)).then(|| Output::of_word(output))
    }

    /// Remembers a page, unless somebody else is about to change the same entry.
    pub(super) fn put(&self, key: Key, epoch: u64, output: Output) {
        let entry = self.entry(key);
        let version = entry.version.load(Relaxed);
        let changing = version | 1;
        if version == changing || entry.version.compare_exchange(version, changing, Acquire, Relaxed).is_err()
        {
            return;
        }
        fence(Release);
        let context = key.context(epoch);
        let was_good = entry.context.load(Relaxed) == context && entry.page.load(Relaxed) != key.page;
        entry.page.store(key.page, Relaxed);
        entry.context.store(context, Relaxed);
        entry.output.store(output.page_word(), Relaxed);
        entry.version.store(changing.wrapping_add(1), Release);
        if was_good {
            self.crowded();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::thread;

    use emu_core::dma::MemoryType;
    use emu_core::{Pa, Security};

    use super::*;

    const PLAIN: DmaAttrs = DmaAttrs {
        substream: None,
        privileged: false,
        instruction: false,
        security: Security::NonSecure,
        memory: MemoryType::WriteBack,
        translated: false,
    };

    fn read(address: u64) -> Key {
        Key::of(&PLAIN, address, Access::Read).unwrap()
    }

    #[test]
    fn whatever_differs_is_another_key() {
        let with = |attrs| Key::of(&attrs, 0x1234, Access::Read).unwrap();
        let others = [
            Key::of(&PLAIN, 0x1234, Access::Write).unwrap(),
            Key::of(&PLAIN, 0x1234, Access::Atomic).unwrap(),
            with(DmaAttrs { privileged: true, ..PLAIN }),
            with(DmaAttrs { instruction: true, ..PLAIN }),
            with(DmaAttrs { translated: true, ..PLAIN }),
            with(DmaAttrs { substream: Some(0), ..PLAIN }),
            with(DmaAttrs { substream: Some(0xf_ffff), ..PLAIN }),
            with(DmaAttrs { security: Security::Root, ..PLAIN }),
            with(DmaAttrs { memory: MemoryType::Device, ..PLAIN }),
            with(DmaAttrs { memory: MemoryType::NonCacheable, ..PLAIN }),
            read(0x2234),
            read(1 << 63 | 0x1234),
        ];
        for (i, a) in others.iter().enumerate() {
            let micro = MicroTlb::new();
            micro.put(*a, 1, Output::At(Pa(0x5678)));
            assert_eq!(micro.get(*a, 1), Some(Output::At(Pa(0x5000))));
            assert_eq!((micro.get(*a, 2), micro.get(read(0x1234), 1)), (None, None));
            assert!(others.iter().enumerate().all(|(j, b)| i == j || *a != *b));
        }
        assert!(read(0x1fff) == read(0x1234), "one page");
        assert!(Key::of(&DmaAttrs { substream: Some(0x10_0000), ..PLAIN }, 0, Access::Read).is_none());
        assert_eq!(MicroTlb::new().get(read(0), 1), None, "it begins empty");
    }

    #[test]
    fn who_needs_many_pages_gets_a_large_table() {
        let micro = MicroTlb::new();
        let known = |epoch| (0..4096).filter(|n| micro.get(read(n << 12), epoch).is_some()).count();
        let pass = |epoch| (0..4096).for_each(|n| micro.put(read(n << 12), epoch, Output::At(Pa(n << 20))));
        // Each page in an epoch of its own: nothing is replaced that is good.
        for n in 1..4096 {
            micro.put(read(n << 12), n, Output::At(Pa(0)));
        }
        assert!(micro.large.get().is_none());
        pass(5000);
        pass(5000);
        assert_eq!((known(5000), known(5001)), (4096, 0));
        assert_eq!(micro.get(read(77 << 12), 5000), Some(Output::At(Pa(77 << 20))));
    }

    #[test]
    fn an_entry_is_never_seen_half_written() {
        // All pages here share one entry, in either table; each leads to an output that tells which it is.
        let page = |n: u64| read(n * LARGE as u64 * 0x1000);
        let micro = MicroTlb::new();
        thread::scope(|s| {
            for t in 0..3 {
                let micro = &micro;
                s.spawn(move || {
                    for n in (0..20_000).map(|n| (n + t) % 7) {
                        micro.put(page(n), 1, Output::At(Pa(n << 20)));
                        let other = (n + 1) % 7;
                        assert!(micro.get(page(other), 1).is_none_or(|at| at == Output::At(Pa(other << 20))));
                    }
                });
            }
        });
    }
}

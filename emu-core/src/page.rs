//! Pages of guest memory: which of them somebody relies on, and whether they were written since.
//!
//! A page has a *version*. Who makes something of what is in a page (translated code, a walk that is remembered, what an
//! exclusive load saw, an image that is saved) first [`Page::watch`]es it: the next write begins a new version, and is
//! the last one that is looked for. So pages that nobody watches cost nothing, and those that are watched cost one write.
//!
//! # Invariants
//! - **Every write is known.** There are two ways to write: the functions of [`GuestRam`] and [`Place`], all of which end in
//!   `GuestRam::wrote`; and *directly*, by a host address that [`Page::direct`] gave.
//! - **Nobody writes directly to a watched page.** `direct` gives no address of one, and who keeps such addresses (as tags in
//!   a TLB) is attached as [`DirectWriters`], whom [`Page::watch`] asks to give them back. A writer that had one when it
//!   is asked says [`Page::wrote`], for it may have written since the page was watched. Between the call of `direct` and the
//!   keeping of its address a writer takes back nothing, so no address is kept that was asked for before.
//! - **A write and a watch see each other.** A writer writes and then looks whether the page is watched; a watcher watches
//!   and then reads. With a full barrier in both between the two steps, either the writer sees the watch and begins a new
//!   version, or the watcher reads what was written.
//! - **A watch ends with a write.** Versions are compared for equality: [`Watched::holds`].

use std::hash::{Hash, Hasher};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering, fence};

use crate::addr::{PAGE_SHIFT, PAGE_SIZE};
use crate::bus::Requester;
use crate::ram::GuestRam;

/// In the word of a page: it is watched. The bits above are the version.
const WATCHED: u32 = 1;

/// The version of a page, and whether it is watched.
#[derive(Debug, Default)]
#[repr(transparent)]
pub struct PageVersion(AtomicU32);

impl PageVersion {
    fn get(&self) -> u32 {
        self.0.load(Ordering::Acquire) >> 1
    }

    #[inline]
    pub(crate) fn is_watched(&self) -> bool {
        self.0.load(Ordering::Acquire) & WATCHED != 0
    }

    /// Begins a new version if the page is watched; true if it was.
    pub(crate) fn advance(&self) -> bool {
        let next = |v: u32| (v & WATCHED != 0).then_some((v & !WATCHED).wrapping_add(2));
        self.0.fetch_update(Ordering::AcqRel, Ordering::Acquire, next).is_ok()
    }
}

/// Those who write to guest memory by its host addresses: the CPUs of a machine.
pub trait DirectWriters: Send + Sync {
    /// `page` is watched from now on: all of them but `except`, which sees to it by itself, are to give up what they write to it
    /// with, before they execute anything that is ordered behind this.
    fn revoke(&self, page: Page, except: Requester);
    /// A page that was watched has been written: who uses what was made of any page is to look whether it holds.
    fn wrote(&self);
}

/// A page of 4 KiB.
#[derive(Clone, Copy, Debug)]
pub struct Page {
    ram: &'static GuestRam,
    index: usize,
}

impl PartialEq for Page {
    fn eq(&self, other: &Self) -> bool {
        std::ptr::eq(self.ram, other.ram) && self.index == other.index
    }
}

impl Eq for Page {}

impl Hash for Page {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.host().hash(state);
    }
}

impl Page {
    /// The block that it is part of.
    #[must_use]
    pub fn ram(self) -> &'static GuestRam {
        self.ram
    }

    /// Its number in the block.
    #[must_use]
    pub fn index(self) -> usize {
        self.index
    }

    /// Its first byte.
    #[must_use]
    pub fn start(self) -> Place {
        Place { page: self, at: 0 }
    }

    fn offset(self) -> u64 {
        (self.index as u64) << PAGE_SHIFT
    }

    fn state(self) -> &'static PageVersion {
        &self.ram.versions()[self.index]
    }

    /// The host address of its first byte, to read from.
    #[must_use]
    pub fn host(self) -> *const u8 {
        self.ram.host(self.offset())
    }

    /// The word at byte `at` (a multiple of 4 below 4096), as an instruction is fetched.
    #[must_use]
    pub fn word(self, at: u64) -> u32 {
        self.ram.load_u32(self.offset() + (at & (PAGE_SIZE - 4))).unwrap_or(0)
    }

    /// Somebody relies on what it holds.
    #[must_use]
    pub fn is_watched(self) -> bool {
        self.state().is_watched()
    }

    /// Has the next write to the page noticed, whoever makes it. True if the page was not watched before: then other direct
    /// writers may go on for as long as they need to obey, and `who`, if it is one, takes its own addresses away.
    ///
    /// To be called before the page is read.
    #[must_use]
    pub fn watch(self, who: Requester) -> (bool, Watched) {
        let state = self.state();
        // The version is that of the very moment of the marking: a write in between would end the watch, and what is made of
        // the page under the version after it would never be out of date again.
        let before = state.0.fetch_or(WATCHED, Ordering::SeqCst);
        let news = before & WATCHED == 0;
        if news {
            self.ram.for_writers(|w| w.revoke(self, who));
        }
        fence(Ordering::SeqCst);
        (news, Watched { page: state, version: before >> 1 })
    }

    /// The host address of its first byte, to write by for as long as nobody takes it back ([`DirectWriters`]). `None` while
    /// the page is watched.
    #[must_use]
    pub fn direct(self) -> Option<*mut u8> {
        (!self.is_watched()).then(|| self.host().cast_mut())
    }

    /// It was written, or may have been, by an address that [`Page::direct`] gave.
    pub fn wrote(self) {
        self.ram.wrote(self.offset(), 1);
    }
}

/// A page as it was when it was watched.
#[derive(Clone, Copy, Debug)]
pub struct Watched {
    page: &'static PageVersion,
    version: u32,
}

impl Watched {
    /// Nobody has written to the page since.
    #[inline]
    #[must_use]
    pub fn holds(&self) -> bool {
        self.page.get() == self.version
    }

    /// For host code: the host address of a word of four bytes, and its value as long as [`Watched::holds`].
    #[must_use]
    pub fn word(&self) -> (u64, u32) {
        let address = self.page.0.as_ptr().expose_provenance() as u64;
        (address, self.version << 1 | WATCHED)
    }
}

impl PartialEq for Watched {
    fn eq(&self, other: &Self) -> bool {
        std::ptr::eq(self.page, other.page) && self.version == other.version
    }
}

impl Eq for Watched {}

/// A byte of guest memory.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Place {
    page: Page,
    /// Below 4096.
    at: u16,
}

impl Place {
    /// The byte at `offset` of a block.
    #[must_use]
    pub fn new(ram: &'static GuestRam, offset: u64) -> Option<Self> {
        (offset < ram.size()).then_some(Self {
            page: Page { ram, index: (offset >> PAGE_SHIFT) as usize },
            at: (offset & (PAGE_SIZE - 1)) as u16,
        })
    }

    /// The page that it is in.
    #[must_use]
    pub fn page(self) -> Page {
        self.page
    }

    /// The block, and where it is there.
    #[must_use]
    pub fn in_block(self) -> (&'static GuestRam, u64) {
        (self.page.ram, self.page.offset() + u64::from(self.at))
    }

    /// Its host address, to read from.
    #[must_use]
    pub fn host(self) -> *const u8 {
        self.page.host().wrapping_add(usize::from(self.at))
    }

    /// Writes by `act`, which gets the host address and stays in the page, and with atomic accesses of the host's.
    pub fn write<T>(self, act: impl FnOnce(*mut u8) -> T) -> T {
        let done = act(self.host().cast_mut());
        self.page.wrote();
        done
    }
}

/// The same object, whatever its type is known as.
pub(crate) fn is_same<T: ?Sized>(a: &Arc<T>, b: &std::sync::Weak<T>) -> bool {
    std::ptr::addr_eq(Arc::as_ptr(a), b.as_ptr())
}

#[cfg(test)]
mod tests {
    use parking_lot::Mutex;

    use super::*;

    const ME: Requester = Requester::Cpu(0);

    #[derive(Default)]
    struct Told(Mutex<Vec<String>>);

    impl DirectWriters for Told {
        fn revoke(&self, page: Page, except: Requester) {
            self.0.lock().push(format!("revoke {} {except:?}", page.index()));
        }
        fn wrote(&self) {
            self.0.lock().push("wrote".to_owned());
        }
    }

    fn block() -> (&'static GuestRam, Arc<Told>) {
        let (ram, told) = (GuestRam::new(4 * PAGE_SIZE).unwrap(), Arc::new(Told::default()));
        let writers: Arc<dyn DirectWriters> = told.clone();
        ram.attach(&writers);
        ram.attach(&writers);
        (ram, told)
    }

    fn page(ram: &'static GuestRam, index: u64) -> Page {
        Place::new(ram, index * PAGE_SIZE).unwrap().page()
    }

    /// Each way to write to the second page.
    #[test]
    fn every_write_to_a_watched_page_is_seen_once() {
        let ways: [fn(&'static GuestRam); 9] = [
            |ram| ram.store_u8(PAGE_SIZE, 1).unwrap(),
            |ram| ram.store_u16(2 * PAGE_SIZE - 2, 1).unwrap(),
            |ram| ram.store_u32(PAGE_SIZE - 1, 1).unwrap(),
            |ram| ram.store_u64(PAGE_SIZE + 8, 1).unwrap(),
            |ram| ram.write(0, &[1; 3 * PAGE_SIZE as usize]).unwrap(),
            |ram| ram.write(2 * PAGE_SIZE - 1, &[1]).unwrap(),
            |ram| {
                let old = ram.load_u64(PAGE_SIZE).unwrap();
                assert_eq!(ram.compare_exchange_u64(PAGE_SIZE, old, 7), Some(old));
            },
            |ram| Place::new(ram, PAGE_SIZE + 5).unwrap().write(|_| ()),
            |ram| page(ram, 1).wrote(),
        ];
        for (n, way) in ways.into_iter().enumerate() {
            let (ram, told) = block();
            way(ram);
            let (news, watched) = page(ram, 1).watch(ME);
            assert!(news && watched.holds() && page(ram, 1).is_watched());
            ram.store_u8(2 * PAGE_SIZE, 1).unwrap();
            ram.write(PAGE_SIZE, &[]).unwrap();
            assert!(watched.holds(), "{n}: nobody has written to the page");
            ram.store_u64(PAGE_SIZE, 0).unwrap();
            let (_, watched) = page(ram, 1).watch(ME);
            way(ram);
            assert!(!watched.holds() && !page(ram, 1).is_watched(), "{n}");
            way(ram);
            let seen = ["revoke 1 Cpu(0)", "wrote", "revoke 1 Cpu(0)", "wrote"];
            assert_eq!(*told.0.lock(), seen, "{n}: told once by each watch");
        }
    }

    #[test]
    fn a_watched_page_is_not_written_directly() {
        let (ram, _told) = block();
        let page = page(ram, 2);
        assert_eq!(page.direct().map(<*mut u8>::cast_const), Some(page.host()));
        let (first, watched) = page.watch(ME);
        let (second, again) = page.watch(Requester::Cpu(1));
        assert!(first && !second && watched == again && page.direct().is_none());
        page.wrote();
        assert!(page.direct().is_some() && !watched.holds());
        let (_, later) = page.watch(ME);
        assert!(later != watched && later.holds());
    }

    #[test]
    fn a_write_right_after_the_watch_ends_it() {
        let (ram, _told) = block();
        for _ in 0..3 {
            let (news, watched) = page(ram, 0).watch(ME);
            assert!(news);
            // Somebody writes before the page is read.
            ram.store_u8(0, 1).unwrap();
            assert!(!watched.holds(), "what was made is out of date");
        }
    }

    /// A writer and a watcher meet: either the writer is noticed, or what it wrote is read.
    #[test]
    fn a_write_that_is_not_noticed_is_read() {
        let (ram, _told) = block();
        let (begun, done) = (AtomicU32::new(0), AtomicU32::new(0));
        let wait = |for_whom: &AtomicU32, n| {
            while for_whom.load(Ordering::Acquire) < n {
                std::thread::yield_now();
            }
        };
        std::thread::scope(|scope| {
            scope.spawn(|| {
                for n in 1..=5000 {
                    wait(&begun, n);
                    ram.store_u32(0, n).unwrap();
                    done.store(n, Ordering::Release);
                }
            });
            for n in 1..=5000 {
                begun.store(n, Ordering::Release);
                let (_, watched) = page(ram, 0).watch(ME);
                let read = ram.load_u32(0).unwrap();
                wait(&done, n);
                assert!(read == n || !watched.holds(), "{n}");
                page(ram, 0).wrote();
            }
        });
    }

    #[test]
    fn host_code_sees_what_holds() {
        let (ram, _told) = block();
        let (_, watched) = page(ram, 3).watch(ME);
        let (address, value) = watched.word();
        // SAFETY: the word is that of a block, which lives for ever.
        let now = || unsafe { AtomicU32::from_ptr(std::ptr::with_exposed_provenance_mut(address as usize)) };
        assert_eq!(now().load(Ordering::Relaxed), value);
        page(ram, 3).wrote();
        assert_ne!(now().load(Ordering::Relaxed), value);
    }
}

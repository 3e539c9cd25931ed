//! Address translation services and page requests (PCI Express Base Specification 6.0, chapter 10), as the two ends see them: a
//! function that keeps translations (its ATC), and what translates for it.
//!
//! Upstream, a function asks its [`super::DmaPort`] for translations and for pages, and uses what it was granted in transactions
//! whose attributes say `translated`. Downstream, a [`TranslationCache`] is told what it must forget, and what became of pages.

use std::fmt;

use thiserror::Error;

/// log2 of the smallest unit that is translated or asked for (STU): 4 KiB.
pub const UNIT_BITS: u8 = 12;

/// A process address space of a function, and what only requests in one can say (the PASID TLP prefix).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Pasid {
    /// 20 bits.
    pub id: u32,
    /// Privileged Mode Requested.
    pub privileged: bool,
    /// Execute Requested.
    pub execute: bool,
}

/// A Translation Request.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct TranslationRequest {
    /// The first address. It begins a unit.
    pub address: u64,
    /// Units, one after the other, that are asked about. The answer may be of fewer.
    pub units: u16,
    /// The function does not mean to write (NW).
    pub no_write: bool,
    /// The address space, if it is not the function's own.
    pub pasid: Option<Pasid>,
}

/// An entry of a Translation Completion: where a region leads, and what for. One that grants neither reads nor writes says that there
/// is no access.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Grant {
    /// The first translated address; the region is as much aligned as it is large.
    pub address: u64,
    /// log2 of its bytes.
    pub bits: u8,
    /// R.
    pub read: bool,
    /// W.
    pub write: bool,
    /// Execute Permitted.
    pub execute: bool,
    /// Privileged Mode Access: as it was asked for.
    pub privileged: bool,
}

impl Grant {
    /// No access.
    #[must_use]
    pub const fn none(privileged: bool) -> Self {
        Self { address: 0, bits: UNIT_BITS, read: false, write: false, execute: false, privileged }
    }
}

/// Why a request has no entries.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
pub enum Refused {
    /// UR: translations are not for this function.
    #[error("unsupported request")]
    Unsupported,
    /// CA: what describes them is wrong.
    #[error("completer abort")]
    Abort,
}

/// A Translation Completion: at least one entry, in the order of addresses.
pub type Completion = Result<Vec<Grant>, Refused>;

/// A Page Request message: one page of a group.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct PageRequest {
    /// The page. It begins a unit.
    pub address: u64,
    /// R.
    pub read: bool,
    /// W.
    pub write: bool,
    /// L: nothing more comes of the group.
    pub last: bool,
    /// Page Request Group Index, 9 bits.
    pub group: u16,
    /// The address space, if it is not the function's own.
    pub pasid: Option<Pasid>,
}

impl PageRequest {
    /// It asks for nothing and only says that nothing more comes of an address space (a Stop Marker); it has no answer.
    #[must_use]
    pub const fn is_stop_marker(&self) -> bool {
        self.pasid.is_some() && self.last && !self.read && !self.write
    }

    /// The answer to it, without a PASID.
    #[must_use]
    pub const fn answer(&self, status: PageStatus) -> PageResponse {
        PageResponse { group: self.group, pasid: None, status }
    }

    /// What there is to be said where nobody serves page requests.
    #[must_use]
    pub fn unserved(&self) -> Option<PageResponse> {
        (!self.is_stop_marker()).then(|| self.answer(PageStatus::Failure))
    }
}

/// Response codes of a Page Request Group, with their numbers.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum PageStatus {
    /// The pages are there.
    Success = 0b0000,
    /// One of them does not exist, or not for what it was wanted for.
    Invalid = 0b0001,
    /// Nothing comes of page requests any more.
    Failure = 0b1111,
}

/// A Page Request Group Response message.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct PageResponse {
    /// Page Request Group Index.
    pub group: u16,
    /// The PASID, if the message says it.
    pub pasid: Option<u32>,
    /// What became of the pages.
    pub status: PageStatus,
}

/// An Invalidate Request message: what a function must not use any more.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Invalidation {
    /// The address space; without one it is the function's own.
    pub pasid: Option<u32>,
    /// Of all address spaces with a PASID (Global Invalidate).
    pub global: bool,
    /// First address.
    pub start: u64,
    /// Last address.
    pub end: u64,
}

impl Invalidation {
    /// It names something of a region of an address space.
    #[must_use]
    pub const fn concerns(&self, pasid: Option<u32>, start: u64, end: u64) -> bool {
        let same = match (self.pasid, pasid) {
            (None, None) => true,
            (Some(a), Some(b)) => a == b || self.global,
            _ => false,
        };
        same && start <= self.end && self.start <= end
    }
}

type Callback = Box<dyn FnOnce(bool) + Send>;

/// How a function says that an invalidation is complete. One that is dropped will never be: what a link that is down, or a function
/// that was reset, leaves behind.
///
/// Saying so may make whoever waits for it go on at once, and ask the function for more. So it must be said without a lock that
/// [`TranslationCache`]'s functions take, and not from within a transaction.
pub struct InvalidationDone(Option<Callback>);

impl InvalidationDone {
    /// Calls `then` once: true if the invalidation is complete, false if it will never be.
    #[must_use]
    pub fn new(then: impl FnOnce(bool) + Send + 'static) -> Self {
        Self(Some(Box::new(then)))
    }

    /// Nothing is used any more that was to be forgotten, and what was done by it before has been done.
    pub fn complete(mut self) {
        self.say(true);
    }

    fn say(&mut self, complete: bool) {
        if let Some(then) = self.0.take() {
            then(complete);
        }
    }
}

impl Drop for InvalidationDone {
    fn drop(&mut self) {
        self.say(false);
    }
}

impl fmt::Debug for InvalidationDone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("InvalidationDone")
    }
}

/// A function that keeps translations: see [`super::Master::with_cache`].
///
/// What it was granted it must have noted before an invalidation is answered that came after the grant: so it asks and notes under the
/// lock that [`TranslationCache::invalidate`] takes.
pub trait TranslationCache: Send + Sync {
    /// Something is to be forgotten. `done` may be called later.
    fn invalidate(&self, what: &Invalidation, done: InvalidationDone);
    /// A group of page requests has been dealt with.
    fn page_response(&self, response: PageResponse);
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::mpsc;

    use parking_lot::Mutex;

    use super::*;
    use crate::bus::Bus;
    use crate::dma::{DirectPort, DmaPort, Master, Stalls};

    const PAGE: PageRequest =
        PageRequest { address: 0x1000, read: true, write: false, last: true, group: 5, pasid: None };
    const PASID: Pasid = Pasid { id: 7, privileged: false, execute: false };

    #[test]
    fn an_invalidation_concerns_its_own_address_space_or_all_with_a_pasid() {
        let of = |pasid, global| Invalidation { pasid, global, start: 0x4000, end: 0x5fff };
        assert!(of(None, false).concerns(None, 0x5000, 0x8fff));
        assert!(
            !of(None, false).concerns(None, 0x6000, 0x6fff) && !of(None, false).concerns(None, 0, 0x3fff)
        );
        assert!(!of(None, true).concerns(Some(1), 0x4000, 0x4fff), "without a PASID there is no Global");
        assert!(of(Some(1), false).concerns(Some(1), 0x4000, 0x4fff));
        assert!(!of(Some(1), false).concerns(Some(2), 0x4000, 0x4fff));
        assert!(of(Some(1), true).concerns(Some(2), 0x4000, 0x4fff));
        assert!(!of(Some(1), true).concerns(None, 0x4000, 0x4fff));
    }

    #[test]
    fn an_invalidation_is_complete_or_lost_and_either_once() {
        let (told, heard) = mpsc::channel();
        let done = || {
            let told = told.clone();
            InvalidationDone::new(move |complete| told.send(complete).unwrap())
        };
        done().complete();
        drop(done());
        assert_eq!(heard.try_iter().collect::<Vec<_>>(), [true, false]);
    }

    #[test]
    fn a_stop_marker_is_a_last_request_of_nothing_in_an_address_space() {
        let marker = PageRequest { read: false, pasid: Some(PASID), ..PAGE };
        assert!(marker.is_stop_marker() && marker.unserved().is_none());
        let others = [
            PageRequest { pasid: None, ..marker },
            PageRequest { last: false, ..marker },
            PageRequest { write: true, ..marker },
            PAGE,
        ];
        assert!(others.iter().all(|request| !request.is_stop_marker()));
    }

    #[test]
    fn with_nothing_that_translates_nothing_is_granted() {
        let port = DirectPort::new(Arc::new(Bus::new()), Master::new(0, Stalls::Never));
        let request = TranslationRequest { address: 0x1000, units: 1, no_write: false, pasid: None };
        assert_eq!(port.translate(&request), Err(Refused::Unsupported));
        let failure = PageResponse { group: 5, pasid: None, status: PageStatus::Failure };
        assert_eq!(port.request_page(&PAGE), Some(failure));
    }

    #[derive(Default)]
    struct Cache(Mutex<Vec<PageResponse>>);

    impl TranslationCache for Cache {
        fn invalidate(&self, _: &Invalidation, done: InvalidationDone) {
            done.complete();
        }
        fn page_response(&self, response: PageResponse) {
            self.0.lock().push(response);
        }
    }

    #[test]
    fn a_master_leads_to_its_cache_while_there_is_one() {
        let cache = Arc::<Cache>::default();
        let weak = Arc::<Cache>::downgrade(&cache);
        let master = Master::new(3, Stalls::Never).with_cache(weak);
        let response = PAGE.answer(PageStatus::Invalid);
        master.cache().unwrap().page_response(response);
        assert_eq!(*cache.0.lock(), [response]);
        drop(cache);
        assert!(master.cache().is_none() && Master::new(3, Stalls::Never).cache().is_none());
    }
}

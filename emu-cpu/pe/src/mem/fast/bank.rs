//! The pages that one translation context has used.

use emu_mmu::TlbiScope;

use super::super::Fetched;
use super::super::context::{Context, Key};
use super::super::filters::{Banks, UNTAGGED};
use super::super::tables::{EMPTY, Entry, Tables};
use super::super::upper::{UpperId, is_upper};
use super::{Allowed, DEVICE_TAG, NO_TAG, PAGE, PAGE_MASK, concerns};

/// Entries for unprivileged accesses.
const USER_ENTRIES: usize = 64;
/// Entries for instruction pages.
const FETCH_ENTRIES: usize = 256;

/// An instruction page.
#[derive(Clone, Copy)]
struct FetchEntry {
    va: u64,
    fetched: Fetched,
}

/// What is kept for a context.
pub(super) struct Bank {
    /// No two banks have the same.
    number: u8,
    context: Option<Context>,
    tables: Box<Tables>,
    user: Box<[Entry; USER_ENTRIES]>,
    fetch: Box<[Option<FetchEntry>; FETCH_ENTRIES]>,
    /// Of code in the lower half; that of the upper half is with its [`super::Uppers`].
    serial: u64,
    upper: UpperId,
    last_used: u64,
}

impl Bank {
    /// An empty one, for no context yet.
    pub(super) fn new(number: u8, serial: u64) -> Self {
        Self {
            number,
            context: None,
            tables: Tables::new(),
            user: Box::new([EMPTY; USER_ENTRIES]),
            fetch: Box::new([None; FETCH_ENTRIES]),
            serial,
            upper: UpperId::default(),
            last_used: 0,
        }
    }

    #[inline]
    pub(super) fn number(&self) -> u8 {
        self.number
    }

    /// True if the bank is one of a set.
    pub(super) fn is_in(&self, banks: Banks) -> bool {
        banks >> self.number & 1 != 0
    }

    #[inline]
    pub(super) fn context(&self) -> Option<&Context> {
        self.context.as_ref()
    }

    pub(super) fn is_for(&self, key: &Key) -> bool {
        self.context.as_ref().is_some_and(|c| c.key == *key)
    }

    /// It may hold something that the TLBI names.
    pub(super) fn is_named(&self, scope: &TlbiScope) -> bool {
        self.context.as_ref().is_some_and(|c| concerns(scope, c.regime(), c.vmid, Some(c.asid)))
    }

    /// Forgets everything, and is that of `context` from now on.
    pub(super) fn begin(&mut self, context: Context, serial: u64) {
        self.clear(serial);
        self.context = Some(context);
        self.upper = UpperId::default();
    }

    /// Forgets its pages.
    pub(super) fn clear(&mut self, serial: u64) {
        self.tables.clear();
        self.user.fill(EMPTY);
        self.fetch.fill(None);
        self.serial = serial;
    }

    #[inline]
    pub(super) fn serial(&self) -> u64 {
        self.serial
    }

    #[inline]
    pub(super) fn upper(&self) -> UpperId {
        self.upper
    }

    /// The upper half is this one. `new`: nothing is noted there of the instruction pages of this bank.
    pub(super) fn set_upper(&mut self, upper: UpperId, new: bool) {
        self.upper = upper;
        if new {
            self.fetch.fill(None);
        }
    }

    pub(super) fn last_used(&self) -> u64 {
        self.last_used
    }

    pub(super) fn use_at(&mut self, time: u64) {
        self.last_used = time;
    }

    /// The entry in which the page of `va` would be.
    #[inline(always)]
    pub(super) fn entry(&self, va: u64) -> &Entry {
        self.tables.entry(va)
    }

    /// The same for unprivileged accesses.
    #[inline(always)]
    pub(super) fn user_entry(&self, va: u64) -> &Entry {
        &self.user[user_index(va)]
    }

    /// The instruction page of `va`.
    #[inline]
    pub(super) fn fetch(&self, va: u64) -> Option<Fetched> {
        self.fetch[fetch_index(va)].filter(|e| e.va == va & PAGE_MASK).map(|e| e.fetched)
    }

    /// Host address of the tables.
    pub(super) fn tables_address(&mut self) -> u64 {
        std::ptr::from_mut(&mut *self.tables).expose_provenance() as u64
    }

    /// Keeps a page: `va` anywhere in it, `host` the start of its memory.
    pub(super) fn keep(&mut self, va: u64, host: *const u8, allowed: Allowed) {
        self.tables.keep(va, entry(va, host, allowed));
    }

    /// As [`Bank::keep`], for unprivileged accesses.
    pub(super) fn keep_user(&mut self, va: u64, host: *const u8, allowed: Allowed) {
        self.user[user_index(va)] = entry(va, host, allowed);
    }

    /// Keeps an instruction page.
    pub(super) fn keep_fetched(&mut self, va: u64, fetched: Fetched) {
        self.fetch[fetch_index(va)] = Some(FetchEntry { va: va & PAGE_MASK, fetched });
    }

    /// Forgets some pages of data.
    pub(super) fn drop_data(&mut self, start: u64, pages: u64) {
        self.tables.forget(start, pages, UNTAGGED);
        for va in addresses(start, pages) {
            let same = |tag: u64| tag != NO_TAG && (tag ^ va) & UNTAGGED == 0;
            let e = &mut self.user[user_index(va)];
            if same(e.read) || same(e.write) {
                *e = EMPTY;
            }
        }
    }

    /// Forgets some instruction pages. Those of the lower half were found under the serial, which becomes another one.
    pub(super) fn drop_code(&mut self, start: u64, pages: u64, serial: impl FnOnce() -> u64) {
        for va in addresses(start, pages) {
            let page = &mut self.fetch[fetch_index(va)];
            if page.is_some_and(|e| (e.va ^ va) & UNTAGGED == 0) {
                *page = None;
            }
        }
        if !is_upper(start) {
            self.serial = serial();
        }
    }

    /// Forgets the instruction pages of the upper half.
    pub(super) fn drop_upper_code(&mut self) {
        for page in self.fetch.iter_mut().filter(|p| p.is_some_and(|p| is_upper(p.va))) {
            *page = None;
        }
    }

    /// Takes the write tags of the page at host address `host` away, which has no other address than `va`; true if there was
    /// one.
    pub(super) fn revoke_at(&mut self, va: u64, host: usize) -> bool {
        self.tables.revoke_at(va, host) | self.user[user_index(va)].revoke(host)
    }

    /// The same of a page that may have any address.
    pub(super) fn revoke(&mut self, host: usize) -> bool {
        let found = self.tables.revoke(host);
        self.user.iter_mut().fold(found, |found, e| found | e.revoke(host))
    }

    /// Takes all write tags away.
    pub(super) fn revoke_all(&mut self) {
        self.tables.revoke_writes();
        self.user.iter_mut().for_each(|e| e.write = NO_TAG);
    }
}

#[inline(always)]
fn fetch_index(va: u64) -> usize {
    (va >> 12) as usize % FETCH_ENTRIES
}

#[inline(always)]
fn user_index(va: u64) -> usize {
    (va >> 12) as usize % USER_ENTRIES
}

/// The addresses of some pages.
fn addresses(start: u64, pages: u64) -> impl Iterator<Item = u64> {
    (0..pages).map(move |n| (start & PAGE_MASK).wrapping_add(n * PAGE))
}

/// A page as an entry.
fn entry(va: u64, host: *const u8, allowed: Allowed) -> Entry {
    let page = va & PAGE_MASK;
    let tag = if allowed.device { page | DEVICE_TAG } else { page };
    Entry {
        addend: (host as usize).wrapping_sub(page as usize),
        read: if allowed.read { tag } else { NO_TAG },
        write: if allowed.write { tag } else { NO_TAG },
    }
}

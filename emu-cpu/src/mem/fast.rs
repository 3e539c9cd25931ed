//! The fast TLB: from a virtual page straight to host memory.
//!
//! Direct-mapped entries with one tag for reads and one for writes; a tag is the page's virtual address exactly as the
//! program writes it (with any tag byte), so the check is one comparison. A tag is present only if an access needs
//! nothing more: RAM, permitted, no descriptor update due, no code in the page (writes). Bit 0 of a tag marks memory of
//! Device type, which the comparison never matches: such accesses take the slow path, where alignment is checked.
//!
//! Banks belong to contexts (translation registers, privilege, PAN), so that a switch between user, kernel and
//! hypervisor exchanges two boxes.

use std::sync::atomic::{AtomicU8, AtomicU16, AtomicU32, AtomicU64, Ordering::Relaxed};

use emu_mmu::TlbiScope;

use super::Fetched;
use super::context::{Context, Key};

/// Entries in a bank.
const ENTRIES: usize = 1024;
/// Entries for instruction pages in a bank.
const FETCH_ENTRIES: usize = 64;
/// Banks kept.
const BANKS: usize = 12;
/// Pages of a range invalidation that are dropped one by one; a longer range drops the bank.
const MAX_PAGES: u64 = 64;

const PAGE: u64 = 4096;
const PAGE_MASK: u64 = !(PAGE - 1);
/// Never equal to the page part of an address.
const NO_TAG: u64 = 2;
/// The bits of an address that a TLBI compares: not the tag byte.
const UNTAGGED: u64 = 0x00ff_ffff_ffff_f000;

#[derive(Clone, Copy)]
struct Entry {
    read: u64,
    write: u64,
    /// Host address of the page minus its virtual address.
    addend: usize,
}

const EMPTY: Entry = Entry { read: NO_TAG, write: NO_TAG, addend: 0 };

/// An instruction page.
#[derive(Clone, Copy, Debug)]
pub struct FetchEntry {
    va: u64,
    /// Physical page number.
    pub page: u64,
    /// Its memory.
    pub host: HostPage,
    /// It is a guarded page (FEAT_BTI).
    pub guarded: bool,
}

/// The host address of a page of guest RAM. Guest RAM is never unmapped, so the address stays good.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct HostPage(*mut u8);

// SAFETY: the address names guest RAM, which all threads may access through atomics (see `emu_core::ram`).
unsafe impl Send for HostPage {}

impl HostPage {
    /// From an address that [`emu_core::ram::GuestRam::host_ptr`] gave.
    #[must_use]
    pub fn new(p: *mut u8) -> Self {
        Self(p)
    }

    /// The instruction at byte `offset` (a multiple of 4 below 4096).
    #[must_use]
    pub fn word(self, offset: u64) -> u32 {
        let offset = (offset & (PAGE - 4)) as usize;
        // SAFETY: `self.0` is the start of a page of guest RAM and the offset stays inside it, aligned to 4.
        u32::from_le(unsafe { AtomicU32::from_ptr(self.0.add(offset).cast()) }.load(Relaxed))
    }
}

struct Bank {
    context: Option<Context>,
    entries: Box<[Entry; ENTRIES]>,
    fetch: Box<[Option<FetchEntry>; FETCH_ENTRIES]>,
    serial: u64,
    /// Instruction pages used under this serial, as a filter by page number: a TLBI of one of them ends the serial.
    code_pages: [u64; 64],
    /// The lowest and highest address of pages that came from blocks larger than 4 KiB.
    large: Option<(u64, u64)>,
    last_used: u64,
}

impl Bank {
    fn new() -> Self {
        Self {
            context: None,
            entries: vec![EMPTY; ENTRIES]
                .into_boxed_slice()
                .try_into()
                .unwrap_or_else(|_| Box::new([EMPTY; ENTRIES])),
            fetch: Box::new([None; FETCH_ENTRIES]),
            serial: 0,
            code_pages: [0; 64],
            large: None,
            last_used: 0,
        }
    }

    fn is_for(&self, key: &Key) -> bool {
        self.context.as_ref().is_some_and(|c| c.key == *key)
    }

    fn clear(&mut self) {
        self.entries.fill(EMPTY);
        self.fetch.fill(None);
        self.code_pages = [0; 64];
        self.large = None;
    }
}

/// See the module's head.
pub struct FastTlb {
    current: Bank,
    others: Vec<Bank>,
    next_serial: u64,
    clock: u64,
    /// Bits of an address that must be clear: size - 1 while SCTLR_ELx.A is set, else 0.
    align: u64,
}

/// Host memory that an access may use, checked for its whole size.
#[derive(Clone, Copy)]
pub struct HostPtr(*mut u8);

macro_rules! word {
    ($load:ident, $store:ident, $ty:ty, $atomic:ty) => {
        /// Loads a little-endian value; atomic if aligned.
        #[inline(always)]
        pub fn $load(self) -> $ty {
            if self.0 as usize % size_of::<$ty>() == 0 {
                // SAFETY: points to guest RAM that holds the whole value, aligned; guest RAM is accessed by atomics.
                <$ty>::from_le(unsafe { <$atomic>::from_ptr(self.0.cast()) }.load(Relaxed))
            } else {
                let mut bytes = [0; size_of::<$ty>()];
                for (i, b) in bytes.iter_mut().enumerate() {
                    // SAFETY: inside the value, which is inside guest RAM.
                    *b = unsafe { AtomicU8::from_ptr(self.0.add(i)) }.load(Relaxed);
                }
                <$ty>::from_le_bytes(bytes)
            }
        }
        /// Stores a little-endian value; atomic if aligned.
        #[inline(always)]
        pub fn $store(self, value: $ty) {
            if self.0 as usize % size_of::<$ty>() == 0 {
                // SAFETY: points to guest RAM that holds the whole value, aligned; guest RAM is accessed by atomics.
                unsafe { <$atomic>::from_ptr(self.0.cast()) }.store(value.to_le(), Relaxed);
            } else {
                for (i, b) in value.to_le_bytes().into_iter().enumerate() {
                    // SAFETY: inside the value, which is inside guest RAM.
                    unsafe { AtomicU8::from_ptr(self.0.add(i)) }.store(b, Relaxed);
                }
            }
        }
    };
}

impl HostPtr {
    /// From the address of guest RAM that holds the whole access.
    #[must_use]
    pub(super) fn new(p: *mut u8) -> Self {
        Self(p)
    }

    /// The address, for atomic operations on it.
    pub(super) fn raw(self) -> *mut u8 {
        self.0
    }

    word!(load_u16, store_u16, u16, AtomicU16);
    word!(load_u32, store_u32, u32, AtomicU32);
    word!(load_u64, store_u64, u64, AtomicU64);

    /// Loads a byte.
    #[inline(always)]
    pub fn load_u8(self) -> u8 {
        // SAFETY: points to a byte of guest RAM.
        unsafe { AtomicU8::from_ptr(self.0) }.load(Relaxed)
    }
    /// Stores a byte.
    #[inline(always)]
    pub fn store_u8(self, value: u8) {
        // SAFETY: points to a byte of guest RAM.
        unsafe { AtomicU8::from_ptr(self.0) }.store(value, Relaxed);
    }
    /// The second doubleword of a 16-byte access.
    #[inline(always)]
    pub fn high(self) -> Self {
        // SAFETY: callers use this for accesses of 16 bytes, all inside guest RAM.
        Self(unsafe { self.0.add(8) })
    }
    /// Loads `N` bytes, 1 to 8, zero-extended.
    #[inline(always)]
    pub fn load<const N: u64>(self) -> u64 {
        match N {
            1 => u64::from(self.load_u8()),
            2 => u64::from(self.load_u16()),
            4 => u64::from(self.load_u32()),
            _ => self.load_u64(),
        }
    }
    /// Stores the low `N` bytes, 1 to 8.
    #[inline(always)]
    pub fn store<const N: u64>(self, value: u64) {
        match N {
            1 => self.store_u8(value as u8),
            2 => self.store_u16(value as u16),
            4 => self.store_u32(value as u32),
            _ => self.store_u64(value),
        }
    }
}

/// What a page may be used for without asking again.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Allowed {
    /// Reads.
    pub read: bool,
    /// Writes.
    pub write: bool,
    /// Device memory: only the slow path may use the entry.
    pub device: bool,
    /// The translation covers more than this 4 KiB page.
    pub large: bool,
}

impl FastTlb {
    pub(super) fn new() -> Self {
        Self {
            current: Bank { serial: 1, ..Bank::new() },
            others: Vec::new(),
            next_serial: 2,
            clock: 0,
            align: 0,
        }
    }

    fn fresh_serial(&mut self) -> u64 {
        let serial = self.next_serial;
        self.next_serial += 1;
        serial
    }

    /// See [`super::Mem::serial`].
    #[inline]
    pub fn serial(&self) -> u64 {
        self.current.serial
    }

    /// Alignment checking as SCTLR_ELx.A says.
    pub(super) fn set_alignment_check(&mut self, on: bool) {
        self.align = if on { 15 } else { 0 };
    }

    #[inline(always)]
    fn index(va: u64) -> usize {
        (va >> 12) as usize % ENTRIES
    }

    /// Host memory for a read of `N` bytes.
    #[inline(always)]
    pub fn read<const N: u64>(&self, va: u64) -> Option<HostPtr> {
        let e = &self.current.entries[Self::index(va)];
        let last = va.wrapping_add(N - 1);
        // The page of the last byte must be that of the tag, and the entry is that of the first byte's page.
        let probe = last & PAGE_MASK | va & self.align & (N - 1);
        (probe == e.read).then(|| HostPtr(e.addend.wrapping_add(va as usize) as *mut u8))
    }

    /// Host memory for a write, or a read and write, of `N` bytes.
    #[inline(always)]
    pub fn write<const N: u64>(&self, va: u64) -> Option<HostPtr> {
        let e = &self.current.entries[Self::index(va)];
        let last = va.wrapping_add(N - 1);
        let probe = last & PAGE_MASK | va & self.align & (N - 1);
        (probe == e.write).then(|| HostPtr(e.addend.wrapping_add(va as usize) as *mut u8))
    }

    /// Host memory for an aligned access to RAM that is mapped as Device.
    pub(super) fn device(&self, va: u64, bytes: u64, write: bool) -> Option<HostPtr> {
        let e = &self.current.entries[Self::index(va)];
        let tag = if write { e.write } else { e.read };
        let hit = tag == va & PAGE_MASK | 1 && va & (bytes - 1) == 0;
        hit.then(|| HostPtr(e.addend.wrapping_add(va as usize) as *mut u8))
    }

    /// Keeps a page: `va` anywhere in it, `host` the start of its memory.
    pub(super) fn fill(&mut self, va: u64, host: *mut u8, allowed: Allowed) {
        let page = va & PAGE_MASK;
        let tag = page | u64::from(allowed.device);
        let e = &mut self.current.entries[Self::index(va)];
        let addend = (host as usize).wrapping_sub(page as usize);
        let same = e.addend == addend && (e.read & !1 == page || e.write & !1 == page);
        if !same {
            *e = Entry { addend, ..EMPTY };
        }
        e.read = if allowed.read { tag } else { NO_TAG };
        e.write = if allowed.write { tag } else { NO_TAG };
        if allowed.large {
            self.note_large(page);
        }
    }

    fn note_large(&mut self, page: u64) {
        let page = page & UNTAGGED;
        let (lo, hi) = self.current.large.unwrap_or((page, page));
        self.current.large = Some((lo.min(page), hi.max(page)));
    }

    /// The instruction page of `va`.
    #[inline]
    pub(super) fn fetch(&self, va: u64) -> Option<FetchEntry> {
        self.current.fetch[(va >> 12) as usize % FETCH_ENTRIES].filter(|e| e.va == va & PAGE_MASK)
    }

    /// Keeps an instruction page.
    pub(super) fn fill_fetch(&mut self, va: u64, fetched: Fetched, large: bool) {
        let Fetched { page, host, guarded } = fetched;
        let n = code_page(va);
        self.current.code_pages[n / 64] |= 1 << (n % 64);
        self.current.fetch[(va >> 12) as usize % FETCH_ENTRIES] =
            Some(FetchEntry { va: va & PAGE_MASK, page, host, guarded });
        if large {
            self.note_large(va & PAGE_MASK);
        }
    }

    /// Makes the bank of the context with `key` the current one; `decode` makes the context if there is none yet.
    pub(super) fn select(&mut self, key: &Key, decode: impl FnOnce() -> Context) {
        if self.current.is_for(key) {
            return;
        }
        self.clock += 1;
        self.current.last_used = self.clock;
        let found = self.others.iter().position(|b| b.is_for(key));
        let mut next = match found {
            Some(i) => self.others.swap_remove(i),
            None => {
                let mut bank = if self.others.len() + 1 < BANKS { Bank::new() } else { self.oldest() };
                bank.clear();
                bank.context = Some(decode());
                bank.serial = self.fresh_serial();
                bank
            }
        };
        std::mem::swap(&mut self.current, &mut next);
        self.others.push(next);
    }

    /// The context of the current bank.
    pub(crate) fn context(&self) -> Context {
        self.current.context.unwrap_or_default()
    }

    fn oldest(&mut self) -> Bank {
        let oldest = self.others.iter().enumerate().min_by_key(|(_, b)| b.last_used).map(|(i, _)| i);
        oldest.map_or_else(Bank::new, |i| self.others.swap_remove(i))
    }

    /// Forgets everything.
    pub(super) fn flush_all(&mut self) {
        self.others.clear();
        self.flush_current();
    }

    fn flush_current(&mut self) {
        self.current.clear();
        self.current.serial = self.fresh_serial();
    }

    /// Forgets what a TLBI names.
    pub(super) fn invalidate(&mut self, scope: &TlbiScope) {
        let named = |b: &Bank| b.context.as_ref().is_some_and(|c| hits(c, scope));
        self.others.retain_mut(|b| !named(b) || !drop_from(b, scope));
        if named(&self.current) && drop_from(&mut self.current, scope) {
            self.flush_current();
        }
        if let TlbiScope::Va { start, end, .. } = *scope {
            let serials = &mut self.next_serial;
            for bank in self.others.iter_mut().chain([&mut self.current]) {
                if drop_code_pages(bank, start, end) {
                    bank.serial = *serials;
                    *serials += 1;
                }
            }
        }
    }

    /// Takes the write tags of the page at host address `host` away; true if there was one.
    pub(super) fn revoke(&mut self, host: *mut u8) -> bool {
        let mut found = false;
        for bank in self.others.iter_mut().chain([&mut self.current]) {
            for e in bank.entries.iter_mut() {
                if e.write != NO_TAG && e.addend.wrapping_add((e.write & PAGE_MASK) as usize) == host as usize
                {
                    e.write = NO_TAG;
                    found = true;
                }
            }
        }
        found
    }
}

/// The filter bit of an instruction page.
fn code_page(va: u64) -> usize {
    (va >> 12) as usize % (64 * 64)
}

/// Drops instruction pages in a range; true if blocks may have been found through one of them.
fn drop_code_pages(bank: &mut Bank, start: u64, end: u64) -> bool {
    let pages = (end >> 12).wrapping_sub(start >> 12).wrapping_add(1);
    let used = |n: u64| {
        let bit = code_page(start.wrapping_add(n << 12));
        bank.code_pages[bit / 64] >> (bit % 64) & 1 != 0
    };
    if pages <= MAX_PAGES && !(0..pages).any(used) {
        return false;
    }
    for e in bank.fetch.iter_mut() {
        if e.is_some_and(|e| in_range(e.va, start, end)) {
            *e = None;
        }
    }
    true
}

fn in_range(va: u64, start: u64, end: u64) -> bool {
    let (va, start, end) = (va & UNTAGGED, start & UNTAGGED, end & UNTAGGED);
    start <= va && va <= end
}

/// True if a bank of this context may hold something that the TLBI names.
fn hits(c: &Context, scope: &TlbiScope) -> bool {
    use emu_mmu::Regime;
    match *scope {
        TlbiScope::AllEl1 => c.regime() == Regime::El10,
        TlbiScope::AllEl2 => c.regime() != Regime::El10,
        TlbiScope::Context { regime, vmid } | TlbiScope::Va { regime, vmid, .. } => {
            c.regime() == regime && (regime != Regime::El10 || c.vmid == vmid)
        }
        TlbiScope::Asid { regime, vmid, asid } => {
            c.regime() == regime && c.asid == asid && (regime != Regime::El10 || c.vmid == vmid)
        }
        TlbiScope::Ipa { vmid, .. } => c.regime() == Regime::El10 && c.vmid == vmid,
    }
}

/// Drops what a TLBI names from a bank; true if the whole bank must go.
fn drop_from(bank: &mut Bank, scope: &TlbiScope) -> bool {
    let TlbiScope::Va { start, end, .. } = *scope else { return true };
    let pages = (end >> 12).wrapping_sub(start >> 12).wrapping_add(1);
    let (lo, hi) = (start & UNTAGGED, end & UNTAGGED);
    if pages > MAX_PAGES || pages == 0 || bank.large.is_some_and(|(l, h)| l <= hi && lo <= h) {
        return true;
    }
    for n in 0..pages {
        let va = (start & PAGE_MASK).wrapping_add(n * PAGE);
        let e = &mut bank.entries[FastTlb::index(va)];
        let same = |tag: u64| tag != NO_TAG && (tag ^ va) & UNTAGGED == 0;
        if same(e.read) || same(e.write) {
            *e = EMPTY;
        }
    }
    false
}

//! The fast TLB: from a virtual page straight to host memory.
//!
//! Direct-mapped entries with one tag for reads and one for writes; a tag is the page's virtual address exactly as the
//! program writes it (with any tag byte), so the check is one comparison. A tag is present only if an access needs
//! nothing more: RAM, permitted, no descriptor update due, no code in the page (writes). A bit of a tag ([`DEVICE_TAG`])
//! marks memory of Device type, which the comparison never matches: such accesses take the slow path, where alignment is
//! checked.
//!
//! Banks belong to contexts (translation registers, privilege, PAN), so that a switch between user, kernel and
//! hypervisor exchanges two boxes. A bank has a few entries of its own for unprivileged accesses (LDTR, STTR): a kernel
//! copies from and to its users with nothing else.

#[cfg(target_arch = "x86_64")]
use std::arch::asm;
use std::sync::atomic::{AtomicU8, AtomicU16, AtomicU32, AtomicU64, Ordering::Relaxed};

use emu_core::page::{Page, Watched};
use emu_mmu::{Regime, TlbiScope};

use super::Fetched;
use super::context::{Context, Key};
use super::filters::{Banks, Blocks, Pages, UNTAGGED, page_count};
use super::tables::{EMPTY, Entry, Tables};
use super::upper::{UpperId, Uppers, is_upper};

/// Entries for unprivileged accesses in a bank.
const USER_ENTRIES: usize = 64;
/// Entries for instruction pages in a bank.
const FETCH_ENTRIES: usize = 256;
/// Banks kept. A process has three under a kernel (its own, and the kernel's with PAN set and clear), a guest has its
/// own under each of its processes, and a hypervisor at EL2 with VHE some more.
const BANKS: usize = 32;

pub(super) const PAGE: u64 = 4096;
pub(super) const PAGE_MASK: u64 = !(PAGE - 1);
/// What is compared with a tag is the page of an address and, while alignment is checked, its misalignment: bits 3:0,
/// for no access has more than 16 bytes. The two marks lie above them, so that they never match.
const MISALIGNMENT: u64 = 15;
/// There is no page.
pub(super) const NO_TAG: u64 = 1 << 5;
/// The page is memory of Device type.
pub(super) const DEVICE_TAG: u64 = 1 << 4;

/// An instruction page.
#[derive(Clone, Copy, Debug)]
pub struct FetchEntry {
    va: u64,
    /// Physical page number.
    pub page: u64,
    /// Its memory.
    pub memory: Page,
    /// It is a guarded page (FEAT_BTI).
    pub guarded: bool,
}

struct Bank {
    /// No two banks have the same.
    number: u8,
    context: Option<Context>,
    tables: Box<Tables>,
    user: Box<[Entry; USER_ENTRIES]>,
    fetch: Box<[Option<FetchEntry>; FETCH_ENTRIES]>,
    /// Of code in the lower half; that of the upper half is with its [`Uppers`].
    serial: u64,
    upper: UpperId,
    last_used: u64,
}

impl Bank {
    fn new(number: u8) -> Self {
        Self {
            number,
            context: None,
            tables: Tables::new(),
            user: Box::new([EMPTY; USER_ENTRIES]),
            fetch: Box::new([None; FETCH_ENTRIES]),
            serial: 0,
            upper: UpperId::default(),
            last_used: 0,
        }
    }

    fn is_for(&self, key: &Key) -> bool {
        self.context.as_ref().is_some_and(|c| c.key == *key)
    }

    fn clear(&mut self) {
        self.tables.clear();
        self.user.fill(EMPTY);
        self.fetch.fill(None);
    }

    /// It may hold something that the TLBI names.
    fn is_named(&self, scope: &TlbiScope) -> bool {
        self.context.as_ref().is_some_and(|c| concerns(scope, c.regime(), c.vmid, Some(c.asid)))
    }

    fn drop_data(&mut self, start: u64, pages: u64) {
        self.tables.forget(start, pages, UNTAGGED);
        for va in addresses(start, pages) {
            let same = |tag: u64| tag != NO_TAG && (tag ^ va) & UNTAGGED == 0;
            let e = &mut self.user[FastTlb::user_index(va)];
            if same(e.read) || same(e.write) {
                *e = EMPTY;
            }
        }
    }

    fn drop_code(&mut self, start: u64, pages: u64) {
        for va in addresses(start, pages) {
            let page = &mut self.fetch[FastTlb::fetch_index(va)];
            if page.is_some_and(|e| (e.va ^ va) & UNTAGGED == 0) {
                *page = None;
            }
        }
    }
}

/// The addresses of some pages.
fn addresses(start: u64, pages: u64) -> impl Iterator<Item = u64> {
    (0..pages).map(move |n| (start & PAGE_MASK).wrapping_add(n * PAGE))
}

/// See the module's head.
pub struct FastTlb {
    current: Box<Bank>,
    #[allow(clippy::vec_box, reason = "a switch exchanges pointers, not kilobytes")]
    others: Vec<Box<Bank>>,
    uppers: Uppers,
    /// Pages of data, unprivileged ones too.
    data_pages: Pages,
    /// Instruction pages used under the banks' serials: a TLBI of one of them ends the serial.
    code_pages: Pages,
    /// The stage 1 blocks larger than 4 KiB that pages came from.
    blocks: Blocks,
    next_serial: u64,
    clock: u64,
    /// Bits of an address that must be clear: size - 1 while SCTLR_ELx.A is set, else 0.
    align: u64,
}

/// Host memory that may be read, checked for the whole access.
#[derive(Clone, Copy)]
pub struct HostPtr(*const u8);

/// Host memory that may be written, too: directly, by a write tag, or inside [`emu_core::page::Place::write`].
#[derive(Clone, Copy)]
pub struct HostMut(HostPtr);

impl std::ops::Deref for HostMut {
    type Target = HostPtr;
    #[inline(always)]
    fn deref(&self) -> &HostPtr {
        &self.0
    }
}

macro_rules! word {
    ($load:ident, $store:ident, $ty:ty, $atomic:ty) => {
        impl HostPtr {
            /// Loads a little-endian value; atomic if aligned, or as FEAT_LSE2 asks ([`super::wide`]).
            #[inline(always)]
            pub fn $load(self) -> $ty {
                if self.0 as usize % size_of::<$ty>() == 0 {
                    // SAFETY: points to guest RAM that holds the whole value, aligned; guest RAM is accessed by atomics.
                    <$ty>::from_le(unsafe { <$atomic>::from_ptr(self.0.cast_mut().cast()) }.load(Relaxed))
                } else {
                    self.unaligned_load(size_of::<$ty>()) as $ty
                }
            }
        }

        impl HostMut {
            /// Stores a little-endian value; atomic if aligned, or as FEAT_LSE2 asks.
            #[inline(always)]
            pub fn $store(self, value: $ty) {
                if self.raw() as usize % size_of::<$ty>() == 0 {
                    // SAFETY: points to guest RAM that holds the whole value, aligned; guest RAM is accessed by atomics.
                    unsafe { <$atomic>::from_ptr(self.raw().cast()) }.store(value.to_le(), Relaxed);
                } else {
                    self.unaligned_store(size_of::<$ty>(), value as u64);
                }
            }
        }
    };
}

word!(load_u16, store_u16, u16, AtomicU16);
word!(load_u32, store_u32, u32, AtomicU32);
word!(load_u64, store_u64, u64, AtomicU64);

impl HostPtr {
    /// From the address of guest memory that holds the whole access.
    #[must_use]
    pub(super) fn new(p: *const u8) -> Self {
        Self(p)
    }

    /// The address.
    pub(super) fn raw(self) -> *const u8 {
        self.0
    }

    /// Loads `bytes` (2, 4 or 8), zero-extended: one access of the host, which atomics of Rust cannot make unaligned.
    #[cfg(target_arch = "x86_64")]
    #[inline(always)]
    fn unaligned_load(self, bytes: usize) -> u64 {
        let value: u64;
        // SAFETY: the value is inside guest RAM and is only read; writing 32 bits of a register clears the rest.
        unsafe {
            match bytes {
                2 => {
                    asm!("movzx {:e}, word ptr [{}]", out(reg) value, in(reg) self.0, options(nostack, preserves_flags, readonly))
                }
                4 => {
                    asm!("mov {:e}, dword ptr [{}]", out(reg) value, in(reg) self.0, options(nostack, preserves_flags, readonly))
                }
                _ => {
                    asm!("mov {}, qword ptr [{}]", out(reg) value, in(reg) self.0, options(nostack, preserves_flags, readonly))
                }
            }
        }
        value
    }

    /// Loads `bytes`, zero-extended, one by one.
    #[cfg(not(target_arch = "x86_64"))]
    fn unaligned_load(self, bytes: usize) -> u64 {
        (0..bytes).fold(0, |value, i| value | u64::from(self.offset(i as i64).load_u8()) << (8 * i))
    }

    /// Loads a byte.
    #[inline(always)]
    pub fn load_u8(self) -> u8 {
        // SAFETY: points to a byte of guest RAM.
        unsafe { AtomicU8::from_ptr(self.0.cast_mut()) }.load(Relaxed)
    }
    /// The second doubleword of a 16-byte access.
    #[inline(always)]
    pub fn high(self) -> Self {
        // SAFETY: callers use this for accesses of 16 bytes, all inside guest RAM.
        Self(unsafe { self.0.add(8) })
    }
    /// The byte `n` further on.
    pub(super) fn offset(self, n: i64) -> Self {
        Self(self.0.wrapping_offset(n as isize))
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
}

impl HostMut {
    /// From an address that may be written (see the type), and that holds the whole access.
    #[must_use]
    #[inline(always)]
    pub(super) fn new(p: *mut u8) -> Self {
        Self(HostPtr(p))
    }

    /// The address, for atomic operations on it.
    #[inline(always)]
    pub(super) fn raw(self) -> *mut u8 {
        self.0.0.cast_mut()
    }

    /// Stores the low `bytes` (2, 4 or 8).
    #[cfg(target_arch = "x86_64")]
    #[inline(always)]
    fn unaligned_store(self, bytes: usize, value: u64) {
        let p = self.raw();
        // SAFETY: the value is inside guest RAM.
        unsafe {
            match bytes {
                2 => {
                    asm!("mov word ptr [{}], {:x}", in(reg) p, in(reg) value, options(nostack, preserves_flags))
                }
                4 => {
                    asm!("mov dword ptr [{}], {:e}", in(reg) p, in(reg) value, options(nostack, preserves_flags))
                }
                _ => {
                    asm!("mov qword ptr [{}], {}", in(reg) p, in(reg) value, options(nostack, preserves_flags))
                }
            }
        }
    }

    /// Stores the low `bytes`, one by one.
    #[cfg(not(target_arch = "x86_64"))]
    fn unaligned_store(self, bytes: usize, value: u64) {
        (0..bytes).for_each(|i| self.offset(i as i64).store_u8((value >> (8 * i)) as u8));
    }

    /// Stores a byte.
    #[inline(always)]
    pub fn store_u8(self, value: u8) {
        // SAFETY: points to a byte of guest RAM.
        unsafe { AtomicU8::from_ptr(self.raw()) }.store(value, Relaxed);
    }
    /// The second doubleword of a 16-byte access.
    #[inline(always)]
    pub fn high(self) -> Self {
        Self(self.0.high())
    }
    /// The byte `n` further on.
    pub(super) fn offset(self, n: i64) -> Self {
        Self(self.0.offset(n))
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
    /// log2 of the stage 1 block that the page is part of.
    pub block_bits: u8,
}

impl FastTlb {
    pub(super) fn new() -> Self {
        let mut this = Self {
            current: Box::new(Bank { serial: 1, ..Bank::new(0) }),
            others: Vec::new(),
            uppers: Uppers::default(),
            data_pages: Pages::new(),
            code_pages: Pages::new(),
            blocks: Blocks::new(),
            next_serial: 2,
            clock: 0,
            align: 0,
        };
        this.find_upper();
        this
    }

    fn fresh_serial(&mut self) -> u64 {
        count(&mut self.next_serial)
    }

    /// See [`super::Mem::serial`].
    #[inline]
    pub fn serial(&self, pc: u64) -> u64 {
        if is_upper(pc) { self.uppers.serial(self.current.upper) } else { self.current.serial }
    }

    /// Number of the current bank: no other one has the same.
    pub(super) fn bank(&self) -> u8 {
        self.current.number
    }

    /// Finds the upper half of the current context.
    fn find_upper(&mut self) {
        let context = self.context();
        let serials = &mut self.next_serial;
        let (which, new) = self.uppers.find(self.current.upper, &context, || count(serials));
        self.current.upper = which;
        if new {
            self.current.fetch.fill(None);
        }
    }

    /// Alignment checking as SCTLR_ELx.A says.
    pub(super) fn set_alignment_check(&mut self, on: bool) {
        self.align = if on { MISALIGNMENT } else { 0 };
    }

    /// Host memory for a read of `N` bytes.
    #[inline(always)]
    pub fn read<const N: u64>(&self, va: u64) -> Option<HostPtr> {
        let e = self.current.tables.entry(va);
        let last = va.wrapping_add(N - 1);
        // The page of the last byte must be that of the tag, and the entry is that of the first byte's page.
        let probe = last & PAGE_MASK | va & self.align & (N - 1);
        (probe == e.read).then(|| HostPtr::new(e.host(va)))
    }

    /// Host memory for a write, or a read and write, of `N` bytes.
    #[inline(always)]
    pub fn write<const N: u64>(&self, va: u64) -> Option<HostMut> {
        let e = self.current.tables.entry(va);
        let last = va.wrapping_add(N - 1);
        let probe = last & PAGE_MASK | va & self.align & (N - 1);
        (probe == e.write).then(|| HostMut::new(e.host(va)))
    }

    /// Host memory for an aligned read of RAM that is mapped as Device.
    pub(super) fn device_read(&self, va: u64, bytes: u64) -> Option<HostPtr> {
        let e = self.current.tables.entry(va);
        Self::is_device(e.read, va, bytes).then(|| HostPtr::new(e.host(va)))
    }

    /// The same for a write.
    pub(super) fn device_write(&self, va: u64, bytes: u64) -> Option<HostMut> {
        let e = self.current.tables.entry(va);
        Self::is_device(e.write, va, bytes).then(|| HostMut::new(e.host(va)))
    }

    fn is_device(tag: u64, va: u64, bytes: u64) -> bool {
        tag == va & PAGE_MASK | DEVICE_TAG && va & (bytes - 1) == 0
    }

    /// Host memory for an unprivileged read of `bytes` (a power of two up to 16) that needs nothing more.
    pub(super) fn user_read(&self, va: u64, bytes: u64) -> Option<HostPtr> {
        let e = &self.current.user[Self::user_index(va)];
        (self.user_probe(va, bytes) == e.read).then(|| HostPtr::new(e.host(va)))
    }

    /// The same for a write.
    pub(super) fn user_write(&self, va: u64, bytes: u64) -> Option<HostMut> {
        let e = &self.current.user[Self::user_index(va)];
        (self.user_probe(va, bytes) == e.write).then(|| HostMut::new(e.host(va)))
    }

    fn user_probe(&self, va: u64, bytes: u64) -> u64 {
        va.wrapping_add(bytes - 1) & PAGE_MASK | va & self.align & (bytes - 1)
    }

    #[inline(always)]
    fn fetch_index(va: u64) -> usize {
        (va >> 12) as usize % FETCH_ENTRIES
    }

    #[inline(always)]
    fn user_index(va: u64) -> usize {
        (va >> 12) as usize % USER_ENTRIES
    }

    /// Keeps a page: `va` anywhere in it, `host` the start of its memory.
    pub(super) fn fill(&mut self, va: u64, host: *const u8, allowed: Allowed) {
        self.current.tables.keep(va, entry(va, host, allowed));
        self.data_pages.add(va, self.current.number);
        self.note_block(va, allowed.block_bits);
    }

    /// As [`FastTlb::fill`], for unprivileged accesses under the current context.
    pub(super) fn fill_user(&mut self, va: u64, host: *const u8, allowed: Allowed) {
        self.current.user[Self::user_index(va)] = entry(va, host, allowed);
        self.data_pages.add(va, self.current.number);
        self.note_block(va, allowed.block_bits);
    }

    fn note_block(&mut self, va: u64, bits: u8) {
        // With stage 1 off there is no block that a TLBI by address could name.
        if (13..64).contains(&bits) {
            self.blocks.add(va, bits, self.current.number);
        }
    }

    /// Host address of the current [`Tables`]. It is good until the next [`FastTlb::select`]; host code writes the slots.
    pub fn tables(&mut self) -> u64 {
        std::ptr::from_mut(&mut *self.current.tables).expose_provenance() as u64
    }

    /// Alignment of all accesses is checked (SCTLR_ELx.A).
    #[inline]
    pub(crate) fn checks_alignment(&self) -> bool {
        self.align != 0
    }

    /// The instruction page of `va`.
    #[inline]
    pub(super) fn fetch(&self, va: u64) -> Option<FetchEntry> {
        self.current.fetch[Self::fetch_index(va)].filter(|e| e.va == va & PAGE_MASK)
    }

    /// True if code at `va` was found under the present serial of the upper half.
    pub(super) fn has_upper(&self, va: u64) -> bool {
        self.uppers.has(self.current.upper, va)
    }

    /// What is found in the current upper half depends on these pages of tables, which are watched.
    pub(super) fn watch_upper(&mut self, tables: &[Watched]) {
        self.uppers.watch(self.current.upper, tables);
    }

    /// Keeps an instruction page. `unwatched`: see [`Uppers::note`].
    pub(super) fn fill_fetch(&mut self, va: u64, fetched: Fetched, block_bits: u8, unwatched: bool) {
        let Fetched { page, memory, guarded } = fetched;
        self.code_pages.add(va, self.current.number);
        if is_upper(va) {
            self.uppers.note(self.current.upper, va, block_bits, unwatched);
        }
        self.current.fetch[Self::fetch_index(va)] =
            Some(FetchEntry { va: va & PAGE_MASK, page, memory, guarded });
        self.note_block(va, block_bits);
    }

    /// Makes the bank of the context with `key` the current one; `decode` makes the context if there is none yet.
    pub(super) fn select(&mut self, key: &Key, decode: impl FnOnce() -> Context) {
        if self.current.is_for(key) {
            return;
        }
        self.clock += 1;
        self.current.last_used = self.clock;
        // The last ones used are at the end.
        let found = self.others.iter().rposition(|b| b.is_for(key));
        let mut next = match found {
            Some(i) => self.others.remove(i),
            None => {
                let mut bank = if self.others.len() + 1 < BANKS {
                    Box::new(Bank::new(self.free_number()))
                } else {
                    self.oldest()
                };
                bank.clear();
                self.forget_filters(bank.number);
                bank.context = Some(decode());
                bank.serial = self.fresh_serial();
                bank
            }
        };
        std::mem::swap(&mut self.current, &mut next);
        self.others.push(next);
        self.find_upper();
    }

    fn free_number(&self) -> u8 {
        let used = self.others.iter().chain([&self.current]).fold(0u64, |used, b| used | 1 << b.number);
        used.trailing_ones() as u8
    }

    /// See [`Context::code_field`]; of the current context.
    #[inline]
    pub(crate) fn code_field(&self, upper: bool, data: bool) -> u64 {
        self.current.context.as_ref().map_or(0, |c| c.code_field(upper, data))
    }

    /// The context of the current bank.
    pub(super) fn context(&self) -> Context {
        self.current.context.unwrap_or_default()
    }

    fn oldest(&mut self) -> Box<Bank> {
        let oldest = self.others.iter().enumerate().min_by_key(|(_, b)| b.last_used).map(|(i, _)| i);
        match oldest {
            Some(i) => self.others.swap_remove(i),
            None => Box::new(Bank::new(self.free_number())),
        }
    }

    /// Forgets everything.
    pub(super) fn flush_all(&mut self) {
        self.others.clear();
        self.flush_current();
        let serials = &mut self.next_serial;
        self.uppers.clear(|| count(serials));
    }

    /// A bank is empty.
    fn forget_filters(&mut self, bank: u8) {
        self.data_pages.forget(bank);
        self.code_pages.forget(bank);
        self.blocks.forget(bank);
    }

    fn flush_current(&mut self) {
        self.current.clear();
        self.forget_filters(self.current.number);
        self.current.serial = self.fresh_serial();
    }

    /// Forgets what a TLBI names.
    pub(super) fn invalidate(&mut self, scope: &TlbiScope) {
        match *scope {
            TlbiScope::Va { start, end, .. } => self.invalidate_pages(scope, start, end),
            _ => self.drop_banks(scope, Banks::MAX),
        }
        let serials = &mut self.next_serial;
        if self.uppers.invalidate(scope, || count(serials)) {
            for bank in self.others.iter_mut().chain([&mut self.current]) {
                for page in bank.fetch.iter_mut().filter(|p| p.is_some_and(|p| is_upper(p.va))) {
                    *page = None;
                }
            }
        }
    }

    /// Drops those of some banks whose contexts a TLBI names.
    fn drop_banks(&mut self, scope: &TlbiScope, banks: Banks) {
        let named = |b: &Bank| banks >> b.number & 1 != 0 && b.is_named(scope);
        self.others.retain(|b| !named(b));
        if named(&self.current) {
            self.flush_current();
        }
    }

    /// Drops pages from the banks whose contexts a TLBI names.
    fn invalidate_pages(&mut self, scope: &TlbiScope, start: u64, end: u64) {
        let (data, code) = (self.data_pages.between(start, end), self.code_pages.between(start, end));
        let blocks = self.blocks.touched(start, end);
        if data | code | blocks == 0 {
            return;
        }
        let Some(pages) = page_count(start, end) else { return self.drop_banks(scope, data | code | blocks) };
        self.drop_banks(scope, blocks);
        let serials = &mut self.next_serial;
        for bank in self.others.iter_mut().chain([&mut self.current]) {
            let (data, code) = (data >> bank.number & 1 != 0, code >> bank.number & 1 != 0);
            if !(data || code) || !bank.is_named(scope) {
                continue;
            }
            if data {
                bank.drop_data(start, pages);
            }
            if code {
                bank.drop_code(start, pages);
                if !is_upper(start) {
                    bank.serial = count(serials);
                }
            }
        }
    }

    /// Serials of the current context's two halves: code that is found is found under one of them.
    pub(super) fn serials(&self) -> [u64; 2] {
        [self.current.serial, self.uppers.serial(self.current.upper)]
    }

    /// Takes the write tags of the page at host address `host` away, which are in these banks and for `va` only; true if
    /// there was one.
    pub(super) fn revoke_at(&mut self, host: *const u8, banks: Banks, va: u64) -> bool {
        let host = host as usize;
        let all = self.others.iter_mut().chain([&mut self.current]);
        all.filter(|b| banks >> b.number & 1 != 0).fold(false, |found, bank| {
            found | bank.tables.revoke_at(va, host) | bank.user[Self::user_index(va)].revoke(host)
        })
    }

    /// Takes all write tags of the current context away.
    pub(super) fn revoke_writes(&mut self) {
        self.current.tables.revoke_writes();
        self.current.user.iter_mut().for_each(|e| e.write = NO_TAG);
    }

    /// Takes the write tags of the page at host address `host` away; true if there was one.
    pub(super) fn revoke(&mut self, host: *const u8) -> bool {
        let mut found = false;
        for bank in self.others.iter_mut().chain([&mut self.current]) {
            found |= bank.tables.revoke(host as usize);
            for e in bank.user.iter_mut() {
                found |= e.revoke(host as usize);
            }
        }
        found
    }
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

fn count(next: &mut u64) -> u64 {
    *next += 1;
    *next - 1
}

/// True if the TLBI names something of this regime, VMID and (if one is given) ASID.
pub(super) fn concerns(scope: &TlbiScope, r: Regime, v: u16, a: Option<u16>) -> bool {
    match *scope {
        TlbiScope::AllEl1 => r == Regime::El10,
        TlbiScope::AllEl2 => r != Regime::El10,
        TlbiScope::Context { regime, vmid } | TlbiScope::Va { regime, vmid, .. } => {
            r == regime && (regime != Regime::El10 || v == vmid)
        }
        TlbiScope::Asid { regime, vmid, asid } => {
            r == regime && a.is_none_or(|a| a == asid) && (regime != Regime::El10 || v == vmid)
        }
        TlbiScope::Ipa { vmid, .. } => r == Regime::El10 && v == vmid,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: Allowed = Allowed { read: true, write: true, device: false, block_bits: 12 };

    fn tlb() -> FastTlb {
        let mut tlb = FastTlb::new();
        tlb.select(&Context::default().key, Context::default);
        tlb
    }

    fn page(tlb: &mut FastTlb, va: u64) {
        let scope =
            TlbiScope::Va { regime: Regime::El10, vmid: 0, asid: None, start: va, end: va | (PAGE - 1) };
        tlb.invalidate(&scope);
    }

    /// Never dereferenced.
    fn host(n: usize) -> *const u8 {
        std::ptr::without_provenance(n << 12)
    }

    #[test]
    fn an_address_drops_every_page_of_its_block_and_no_other() {
        let mut tlb = tlb();
        // Pages of a 2 MiB block of stage 1, of a 1 GiB one, and one of its own.
        tlb.fill(0x20_0000, host(1), Allowed { block_bits: 21, ..ALL });
        tlb.fill(0x4000_0000, host(2), Allowed { block_bits: 30, ..ALL });
        tlb.fill(0x60_1000, host(3), ALL);
        let serial = tlb.serial(0);
        page(&mut tlb, 0x60_0000);
        page(&mut tlb, 0x1f_f000);
        page(&mut tlb, 0x8000_0000);
        for va in [0x20_0000, 0x4000_0000, 0x60_1000] {
            assert!(tlb.read::<8>(va).is_some(), "{va:#x}");
        }
        assert_eq!(tlb.serial(0), serial, "no code is found anew");
        page(&mut tlb, 0x60_1000);
        assert!(tlb.read::<8>(0x60_1000).is_none() && tlb.read::<8>(0x20_0000).is_some());
        page(&mut tlb, 0x3f_f000);
        assert!(tlb.read::<8>(0x20_0000).is_none(), "another page of the block");
        tlb.fill(0x4000_0000, host(2), Allowed { block_bits: 30, ..ALL });
        page(&mut tlb, 0x7fff_f000);
        assert!(tlb.read::<8>(0x4000_0000).is_none());
    }

    #[test]
    fn a_misaligned_access_matches_no_mark() {
        let mut tlb = tlb();
        tlb.set_alignment_check(true);
        // The first page, whose number adds nothing to the comparison: empty, read-only, of Device type.
        let none = |tlb: &FastTlb| {
            (1..16).all(|va| {
                tlb.read::<16>(va).is_none()
                    && tlb.write::<16>(va).is_none()
                    && tlb.user_write(va, 16).is_none()
            })
        };
        assert!(none(&tlb));
        tlb.fill(0, host(1), Allowed { write: false, ..ALL });
        assert!(none(&tlb) && tlb.read::<16>(0).is_some());
        tlb.fill(0, host(1), Allowed { device: true, ..ALL });
        assert!(none(&tlb) && tlb.read::<16>(0).is_none());
        assert!(tlb.device_write(16, 16).is_some() && tlb.device_read(1, 2).is_none());
    }

    #[test]
    fn unprivileged_entries_are_their_own() {
        let mut tlb = tlb();
        tlb.fill_user(0x5000, host(5), ALL);
        assert!(tlb.read::<8>(0x5000).is_none() && tlb.write::<8>(0x5000).is_none());
        assert!(tlb.user_read(0x5ff8, 8).is_some() && tlb.user_write(0x5000, 1).is_some());
        assert!(tlb.user_read(0x5ff9, 8).is_none(), "crosses into the next page");
        tlb.set_alignment_check(true);
        assert!(tlb.user_read(0x5001, 2).is_none() && tlb.user_read(0x5001, 1).is_some());
        tlb.set_alignment_check(false);
        assert!(tlb.revoke(host(5)));
        assert!(tlb.user_write(0x5000, 8).is_none() && tlb.user_read(0x5000, 8).is_some());
        page(&mut tlb, 0x5000);
        assert!(tlb.user_read(0x5000, 8).is_none());
        tlb.fill_user(0x5000, host(5), Allowed { device: true, ..ALL });
        assert!(tlb.user_read(0x5000, 8).is_none(), "Device memory takes the slow path");
        tlb.flush_all();
        tlb.fill_user(0x5000, host(5), Allowed { write: false, ..ALL });
        assert!(tlb.user_write(0x5000, 8).is_none() && tlb.user_read(0x5000, 8).is_some());
    }
}

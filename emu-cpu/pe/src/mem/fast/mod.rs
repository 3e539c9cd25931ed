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

mod bank;
mod forget;
#[cfg(test)]
mod tests;

use emu_core::page::Watched;
use emu_mmu::{Regime, TlbiScope};

use super::Fetched;
use super::context::{Context, Key};
use super::filters::{Blocks, Pages};
use super::pointer::{HostMut, HostPtr};
use super::upper::{Uppers, is_upper};
use bank::Bank;

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

/// See the module's head.
pub(super) struct FastTlb {
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

/// What a page may be used for without asking again.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Allowed {
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
            current: Box::new(Bank::new(0, 1)),
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
    pub(super) fn serial(&self, pc: u64) -> u64 {
        if is_upper(pc) { self.uppers.serial(self.current.upper()) } else { self.current.serial() }
    }

    /// Number of the current bank: no other one has the same.
    pub(super) fn bank(&self) -> u8 {
        self.current.number()
    }

    /// Finds the upper half of the current context.
    fn find_upper(&mut self) {
        let context = self.context();
        let serials = &mut self.next_serial;
        let (which, new) = self.uppers.find(self.current.upper(), &context, || count(serials));
        self.current.set_upper(which, new);
    }

    /// Alignment checking as SCTLR_ELx.A says.
    pub(super) fn set_alignment_check(&mut self, on: bool) {
        self.align = if on { MISALIGNMENT } else { 0 };
    }

    /// Host memory for a read of `N` bytes.
    #[inline(always)]
    pub(super) fn read<const N: u64>(&self, va: u64) -> Option<HostPtr> {
        let e = self.current.entry(va);
        let last = va.wrapping_add(N - 1);
        // The page of the last byte must be that of the tag, and the entry is that of the first byte's page.
        let probe = last & PAGE_MASK | va & self.align & (N - 1);
        (probe == e.read).then(|| HostPtr::new(e.host(va)))
    }

    /// Host memory for a write, or a read and write, of `N` bytes.
    #[inline(always)]
    pub(super) fn write<const N: u64>(&self, va: u64) -> Option<HostMut> {
        let e = self.current.entry(va);
        let last = va.wrapping_add(N - 1);
        let probe = last & PAGE_MASK | va & self.align & (N - 1);
        (probe == e.write).then(|| HostMut::new(e.host(va)))
    }

    /// Host memory for an aligned read of RAM that is mapped as Device.
    pub(super) fn device_read(&self, va: u64, bytes: u64) -> Option<HostPtr> {
        let e = self.current.entry(va);
        Self::is_device(e.read, va, bytes).then(|| HostPtr::new(e.host(va)))
    }

    /// The same for a write.
    pub(super) fn device_write(&self, va: u64, bytes: u64) -> Option<HostMut> {
        let e = self.current.entry(va);
        Self::is_device(e.write, va, bytes).then(|| HostMut::new(e.host(va)))
    }

    fn is_device(tag: u64, va: u64, bytes: u64) -> bool {
        tag == va & PAGE_MASK | DEVICE_TAG && va & (bytes - 1) == 0
    }

    /// Host memory for an unprivileged read of `bytes` (a power of two up to 16) that needs nothing more.
    pub(super) fn user_read(&self, va: u64, bytes: u64) -> Option<HostPtr> {
        let e = self.current.user_entry(va);
        (self.user_probe(va, bytes) == e.read).then(|| HostPtr::new(e.host(va)))
    }

    /// The same for a write.
    pub(super) fn user_write(&self, va: u64, bytes: u64) -> Option<HostMut> {
        let e = self.current.user_entry(va);
        (self.user_probe(va, bytes) == e.write).then(|| HostMut::new(e.host(va)))
    }

    fn user_probe(&self, va: u64, bytes: u64) -> u64 {
        va.wrapping_add(bytes - 1) & PAGE_MASK | va & self.align & (bytes - 1)
    }

    /// Keeps a page: `va` anywhere in it, `host` the start of its memory.
    pub(super) fn fill(&mut self, va: u64, host: *const u8, allowed: Allowed) {
        self.current.keep(va, host, allowed);
        self.data_pages.add(va, self.current.number());
        self.note_block(va, allowed.block_bits);
    }

    /// As [`FastTlb::fill`], for unprivileged accesses under the current context.
    pub(super) fn fill_user(&mut self, va: u64, host: *const u8, allowed: Allowed) {
        self.current.keep_user(va, host, allowed);
        self.data_pages.add(va, self.current.number());
        self.note_block(va, allowed.block_bits);
    }

    fn note_block(&mut self, va: u64, bits: u8) {
        // With stage 1 off there is no block that a TLBI by address could name.
        if (13..64).contains(&bits) {
            self.blocks.add(va, bits, self.current.number());
        }
    }

    /// Host address of the current [`super::tables::Tables`]. It is good until the next [`FastTlb::select`]; host code writes
    /// the slots.
    pub(super) fn tables_address(&mut self) -> u64 {
        self.current.tables_address()
    }

    /// Alignment of all accesses is checked (SCTLR_ELx.A).
    #[inline]
    pub(super) fn checks_alignment(&self) -> bool {
        self.align != 0
    }

    /// The instruction page of `va`.
    #[inline]
    pub(super) fn fetch(&self, va: u64) -> Option<Fetched> {
        self.current.fetch(va)
    }

    /// True if code at `va` was found under the present serial of the upper half.
    pub(super) fn has_upper(&self, va: u64) -> bool {
        self.uppers.has(self.current.upper(), va)
    }

    /// What is found in the current upper half depends on these pages of tables, which are watched.
    pub(super) fn watch_upper(&mut self, tables: &[Watched]) {
        self.uppers.watch(self.current.upper(), tables);
    }

    /// Keeps an instruction page. `unwatched`: see [`Uppers::note`].
    pub(super) fn fill_fetch(&mut self, va: u64, fetched: Fetched, block_bits: u8, unwatched: bool) {
        self.code_pages.add(va, self.current.number());
        if is_upper(va) {
            self.uppers.note(self.current.upper(), va, block_bits, unwatched);
        }
        self.current.keep_fetched(va, fetched);
        self.note_block(va, block_bits);
    }

    /// Makes the bank of the context with `key` the current one; `decode` makes the context if there is none yet.
    pub(super) fn select(&mut self, key: &Key, decode: impl FnOnce() -> Context) {
        if self.current.is_for(key) {
            return;
        }
        self.clock += 1;
        self.current.use_at(self.clock);
        // The last ones used are at the end.
        let found = self.others.iter().rposition(|b| b.is_for(key));
        let mut next = match found {
            Some(i) => self.others.remove(i),
            None => {
                let mut bank =
                    if self.others.len() + 1 < BANKS { self.additional_bank() } else { self.oldest() };
                bank.begin(decode(), self.fresh_serial());
                self.forget_filters(bank.number());
                bank
            }
        };
        std::mem::swap(&mut self.current, &mut next);
        self.others.push(next);
        self.find_upper();
    }

    fn additional_bank(&self) -> Box<Bank> {
        let used = self.others.iter().chain([&self.current]).fold(0u64, |used, b| used | 1 << b.number());
        Box::new(Bank::new(used.trailing_ones() as u8, 0))
    }

    /// See [`Context::code_field`]; of the current context.
    #[inline]
    pub(super) fn code_field(&self, upper: bool, data: bool) -> u64 {
        self.current.context().map_or(0, |c| c.code_field(upper, data))
    }

    /// The context of the current bank.
    pub(super) fn context(&self) -> Context {
        self.current.context().copied().unwrap_or_default()
    }

    fn oldest(&mut self) -> Box<Bank> {
        let oldest = self.others.iter().enumerate().min_by_key(|(_, b)| b.last_used()).map(|(i, _)| i);
        match oldest {
            Some(i) => self.others.swap_remove(i),
            None => self.additional_bank(),
        }
    }

    /// Serials of the current context's two halves: code that is found is found under one of them.
    pub(super) fn serials(&self) -> [u64; 2] {
        [self.current.serial(), self.uppers.serial(self.current.upper())]
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

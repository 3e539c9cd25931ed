//! What the fast TLB forgets: what a TLBI names, and write tags.

use emu_mmu::TlbiScope;

use super::super::filters::{Banks, page_count};
use super::bank::Bank;
use super::{FastTlb, count};

impl FastTlb {
    fn banks(&mut self) -> impl Iterator<Item = &mut Bank> {
        self.others.iter_mut().chain([&mut self.current]).map(|bank| &mut **bank)
    }

    /// Forgets everything.
    pub(in super::super) fn flush_all(&mut self) {
        self.others.clear();
        self.flush_current();
        let serials = &mut self.next_serial;
        self.uppers.clear(|| count(serials));
    }

    /// A bank is empty.
    pub(super) fn forget_filters(&mut self, bank: u8) {
        self.data_pages.forget(bank);
        self.code_pages.forget(bank);
        self.blocks.forget(bank);
    }

    fn flush_current(&mut self) {
        let serial = self.fresh_serial();
        self.current.clear(serial);
        self.forget_filters(self.current.number());
    }

    /// Forgets what a TLBI names.
    pub(in super::super) fn invalidate(&mut self, scope: &TlbiScope) {
        match *scope {
            TlbiScope::Va { start, end, .. } => self.invalidate_pages(scope, start, end),
            _ => self.drop_banks(scope, Banks::MAX),
        }
        let serials = &mut self.next_serial;
        if self.uppers.invalidate(scope, || count(serials)) {
            self.banks().for_each(Bank::drop_upper_code);
        }
    }

    /// Drops those of some banks whose contexts a TLBI names.
    fn drop_banks(&mut self, scope: &TlbiScope, banks: Banks) {
        let named = |b: &Bank| b.is_in(banks) && b.is_named(scope);
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
            let (data, code) = (bank.is_in(data), bank.is_in(code));
            if !(data || code) || !bank.is_named(scope) {
                continue;
            }
            if data {
                bank.drop_data(start, pages);
            }
            if code {
                bank.drop_code(start, pages, || count(serials));
            }
        }
    }

    /// Takes the write tags of the page at host address `host` away, which are in these banks and for `va` only; true if
    /// there was one.
    pub(in super::super) fn revoke_at(&mut self, host: *const u8, banks: Banks, va: u64) -> bool {
        self.banks()
            .filter(|b| b.is_in(banks))
            .fold(false, |found, bank| found | bank.revoke_at(va, host as usize))
    }

    /// Takes the write tags of the page at host address `host` away; true if there was one.
    pub(in super::super) fn revoke(&mut self, host: *const u8) -> bool {
        self.banks().fold(false, |found, bank| found | bank.revoke(host as usize))
    }

    /// Takes all write tags of the current context away.
    pub(in super::super) fn revoke_writes(&mut self) {
        self.current.revoke_all();
    }
}

//! Write tags that are taken away, because writes to a page are to be noticed from now on.

use emu_core::Pa;
use emu_core::page::{Page, Watched};
use emu_mmu::{Request, walk_observed};

use super::Mem;
use super::context::Context;
use super::translate::Target;
use super::writers::TagPlaces;

impl Mem {
    /// Drops write tags of a page that somebody has watched; if there were any, the page counts as written, for it may have
    /// been until now.
    pub(super) fn revoke_write(&mut self, page: Page) {
        if self.revoke(page) {
            page.wrote();
        }
    }

    /// Drops all write tags. A page that had some counts as written, if it is watched: it may have been since the request that
    /// is lost among others.
    pub(super) fn revoke_all(&mut self) {
        self.fast.flush_all();
        self.writers.take_all(Page::wrote);
    }

    /// Takes the write tags of a page away; true if there were any.
    fn revoke(&mut self, page: Page) -> bool {
        let host = page.host();
        match self.writers.take(page) {
            TagPlaces::Nowhere => false,
            TagPlaces::At { addresses, banks } => addresses
                .iter()
                .flatten()
                .fold(false, |found, va| found | self.fast.revoke_at(host, banks, *va)),
            TagPlaces::Anywhere => self.fast.revoke(host),
        }
    }

    /// Has writes to the tables noticed that translate an instruction address in the upper half ([`super::upper`]), by the
    /// means that notice writes to code. False if that cannot be.
    pub(super) fn watch_tables(&mut self, context: &Context, request: &Request) -> bool {
        let tables_of = |mem: &Self| {
            let mut steps = Vec::new();
            let s2 = context.stage2.as_ref();
            walk_observed(&context.stage1, s2, &mem.translation, request, &mem.tables(), &mut steps);
            steps
        };
        let steps = tables_of(self);
        let mut addresses: Vec<Pa> = steps.iter().map(|s| s.address.page_base()).collect();
        addresses.sort_unstable();
        addresses.dedup();
        let mut news = false;
        let mut watched = Vec::with_capacity(addresses.len());
        for pa in addresses {
            let Some(Target::Ram(place) | Target::Rom(place, _)) = self.target(pa) else { return false };
            let (marked, page) = self.watch_page(place.page());
            news |= marked;
            watched.push(page);
        }
        if news && self.shared.has_peers() {
            // From now on their writes are noticed, too.
            self.wait_served();
        }
        let same = tables_of(self) == steps;
        if same {
            self.fast.watch_upper(&watched);
        }
        same
    }

    /// Has writes to a page noticed from now on, because something will be made of what it holds. True if that is news: then
    /// other vCPUs may have write tags until they have served what was posted.
    pub fn watch_page(&mut self, page: Page) -> (bool, Watched) {
        let (news, watched) = page.watch(self.requester());
        if news {
            self.revoke(page);
        }
        (news, watched)
    }
}

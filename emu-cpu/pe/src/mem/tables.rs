//! The part of a bank of the fast TLB that host code reads, too: a table of pages that grows, and in front of it one slot
//! for each place in the code that accesses memory.
//!
//! An access site mostly stays on one page. Its slot has that page, so that a hit costs one comparison whose operands do not
//! depend on the loaded address's way through a table. Slots are numbered when code is made; several sites may share one,
//! but a site that reads never shares one with a site that writes.

use super::fast::{DEVICE_TAG, NO_TAG, PAGE, PAGE_MASK};

/// Entries of a new table. A power of two.
const FEWEST: usize = 1024;
/// Entries of the largest table: 64 MiB of pages.
const MOST: usize = 16384;
/// Slots for sites that read, and as many for sites that write.
pub(crate) const SLOTS: usize = 256;

/// A page. Host code reads the fields, and counts on the size.
#[derive(Clone, Copy)]
#[repr(C, align(32))]
pub(super) struct Entry {
    pub read: u64,
    pub write: u64,
    /// Host address of the page minus its virtual address.
    pub addend: usize,
}

/// No page.
pub(super) const EMPTY: Entry = Entry { read: NO_TAG, write: NO_TAG, addend: 0 };

/// The page that a site used last.
#[derive(Clone, Copy)]
#[repr(C)]
struct Slot {
    tag: u64,
    addend: usize,
}

const NO_PAGE: Slot = Slot { tag: NO_TAG, addend: 0 };

/// See the module's head.
#[repr(C, align(64))]
pub(crate) struct Tables {
    /// Selects the entry of an address shifted right by 7, as the offset of its bytes.
    mask: u64,
    /// Host address of the entries.
    start: u64,
    /// Of reads, of writes.
    slots: [[Slot; SLOTS]; 2],
    entries: Box<[Entry]>,
    /// Pages kept since the last clearing.
    kept: usize,
    /// Pages that had to make room for others since the table has its size.
    displaced: usize,
}

/// Offsets for host code, from the address of the [`Tables`].
pub mod offset {
    use std::mem::offset_of;

    use super::{Entry, SLOTS, Slot, Tables};

    /// Of the mask.
    pub const MASK: i32 = offset_of!(Tables, mask) as i32;
    /// Of the entries' address.
    pub const START: i32 = offset_of!(Tables, start) as i32;
    /// Of a slot, `n` taken modulo their number.
    pub const fn slot(write: bool, n: usize) -> i32 {
        let n = n % SLOTS + if write { SLOTS } else { 0 };
        (offset_of!(Tables, slots) + n * size_of::<Slot>()) as i32
    }
    /// In a slot.
    pub const SLOT_TAG: i32 = offset_of!(Slot, tag) as i32;
    /// In a slot.
    pub const SLOT_ADDEND: i32 = offset_of!(Slot, addend) as i32;
    /// In an entry.
    pub const fn tag(write: bool) -> i32 {
        (if write { offset_of!(Entry, write) } else { offset_of!(Entry, read) }) as i32
    }
    /// In an entry.
    pub const ADDEND: i32 = offset_of!(Entry, addend) as i32;
}

impl Tables {
    pub(super) fn new() -> Box<Self> {
        let mut this = Box::new(Self {
            mask: 0,
            start: 0,
            slots: [[NO_PAGE; SLOTS]; 2],
            entries: Box::default(),
            kept: 0,
            displaced: 0,
        });
        this.resize(FEWEST);
        this
    }

    /// An empty table of `n` entries, a power of two.
    fn resize(&mut self, n: usize) {
        self.entries = vec![EMPTY; n].into();
        self.start = self.entries.as_mut_ptr().expose_provenance() as u64;
        self.mask = ((n - 1) << 5) as u64;
        self.displaced = 0;
    }

    #[inline(always)]
    fn index(&self, va: u64) -> usize {
        (va >> 12) as usize & (self.entries.len() - 1)
    }

    /// The entry of the page of `va`.
    #[inline(always)]
    pub(super) fn entry(&self, va: u64) -> &Entry {
        &self.entries[self.index(va)]
    }

    /// Keeps a page of which `entry` says everything.
    pub(super) fn keep(&mut self, va: u64, entry: Entry) {
        let old = *self.entry(va);
        let other = |tag: u64| tag != NO_TAG && (tag ^ va) & PAGE_MASK != 0;
        self.kept += 1;
        if other(old.read) || other(old.write) {
            self.displaced += 1;
            if self.displaced > self.entries.len() / 2 && self.entries.len() < MOST {
                self.grow();
            }
        }
        let at = self.index(va);
        self.entries[at] = entry;
    }

    fn grow(&mut self) {
        let old = std::mem::take(&mut self.entries);
        self.resize(old.len() * 2);
        for entry in old {
            if let Some(tag) = [entry.read, entry.write].into_iter().find(|tag| *tag != NO_TAG) {
                let at = self.index(tag);
                self.entries[at] = entry;
            }
        }
    }

    /// Forgets everything.
    pub(super) fn clear(&mut self) {
        if self.kept == 0 {
            return;
        }
        let fits = (self.kept * 2).next_power_of_two().clamp(FEWEST, MOST);
        if fits < self.entries.len() {
            self.resize(fits);
        } else {
            self.entries.fill(EMPTY);
            self.displaced = 0;
        }
        self.slots = [[NO_PAGE; SLOTS]; 2];
        self.kept = 0;
    }

    fn forget_slots(slots: &mut [Slot], mut named: impl FnMut(u64, usize) -> bool) {
        for slot in slots {
            if slot.tag != NO_TAG && named(slot.tag, slot.addend) {
                *slot = NO_PAGE;
            }
        }
    }

    /// Forgets the `pages` pages from that of `start` on, if they are named by addresses that differ in no bit of
    /// `compared`.
    pub(super) fn forget(&mut self, start: u64, pages: u64, compared: u64) {
        for n in 0..pages {
            let va = (start & PAGE_MASK).wrapping_add(n * PAGE);
            let same = |tag: u64| tag != NO_TAG && (tag ^ va) & compared == 0;
            let at = self.index(va);
            let e = &mut self.entries[at];
            if same(e.read) || same(e.write) {
                *e = EMPTY;
            }
        }
        let first = start & compared;
        let slots = self.slots.as_flattened_mut();
        Self::forget_slots(slots, |tag, _| ((tag & compared).wrapping_sub(first) & compared) / PAGE < pages);
    }

    /// Takes all write tags away.
    pub(super) fn revoke_writes(&mut self) {
        self.entries.iter_mut().for_each(|e| e.write = NO_TAG);
        self.slots[1] = [NO_PAGE; SLOTS];
    }

    /// Takes the write tags of the page at host address `host` away; true if there was one.
    pub(super) fn revoke(&mut self, host: usize) -> bool {
        let found = self.entries.iter_mut().fold(false, |found, e| found | e.revoke(host));
        self.revoke_slots(host) | found
    }

    /// As [`Tables::revoke`], where the page has no other address than `va`.
    pub(super) fn revoke_at(&mut self, va: u64, host: usize) -> bool {
        let at = self.index(va);
        self.entries[at].revoke(host) | self.revoke_slots(host)
    }

    fn revoke_slots(&mut self, host: usize) -> bool {
        let mut found = false;
        // A slot can have outlived the entry that it was filled from.
        Self::forget_slots(&mut self.slots[1], |tag, addend| {
            let named = addend.wrapping_add(tag as usize) == host;
            found |= named;
            named
        });
        found
    }
}

impl Entry {
    /// The host address of `va`, which is in the page.
    #[inline(always)]
    pub(super) fn host(&self, va: u64) -> *mut u8 {
        std::ptr::with_exposed_provenance_mut(self.addend.wrapping_add(va as usize))
    }

    /// Takes the write tag away if the page is at host address `host`; true if there was one.
    pub(super) fn revoke(&mut self, host: usize) -> bool {
        let page = (self.write & PAGE_MASK) as usize;
        let found = self.write != NO_TAG && self.addend.wrapping_add(page) == host;
        if found {
            self.write = NO_TAG;
        }
        found
    }
}

const _: () = assert!(NO_TAG & DEVICE_TAG == 0 && size_of::<Entry>() == 32, "entries are found by shifting");

#[cfg(test)]
mod tests {
    use super::*;

    fn page(va: u64) -> Entry {
        Entry { read: va, write: va, addend: 0x7000_0000 }
    }

    #[test]
    fn a_table_with_too_few_entries_grows_and_keeps_what_it_has() {
        let mut t = Tables::new();
        for n in 0..4096 {
            t.keep(n * PAGE, page(n * PAGE));
        }
        assert!(t.entries.len() >= 4096, "{}", t.entries.len());
        for n in 3072..4096 {
            assert_eq!(t.entry(n * PAGE).read, n * PAGE);
        }
        assert_eq!(t.start, t.entries.as_ptr() as u64);
        assert_eq!(t.mask as usize, (t.entries.len() - 1) << 5);
        t.clear();
        t.keep(0, page(0));
        t.clear();
        assert_eq!(t.entries.len(), FEWEST, "it shrinks when it is not used");
    }

    #[test]
    fn slots_forget_what_entries_forget() {
        let fill = |t: &mut Tables| {
            for (n, slot) in t.slots.as_flattened_mut().iter_mut().enumerate() {
                *slot = Slot { tag: 0x1000 * n as u64, addend: 0x7000_0000 };
            }
        };
        let count = |t: &Tables| t.slots.as_flattened().iter().filter(|s| s.tag == NO_TAG).count();
        let mut t = Tables::new();
        fill(&mut t);
        t.forget(0x5000, 3, PAGE_MASK);
        assert_eq!(count(&t), 3);
        fill(&mut t);
        t.forget(0xff00_0000_0000_5000, 1, PAGE_MASK >> 8);
        assert_eq!(count(&t), 1, "whatever the tag byte is");
        fill(&mut t);
        t.slots[1][0] = t.slots[0][7];
        t.keep(0x7000, page(0x7000));
        assert!(t.revoke(0x7000_7000) && !t.revoke(0x7000_7000));
        assert_eq!(t.entry(0x7000).write, NO_TAG);
        assert_eq!(t.entry(0x7000).read, 0x7000);
        assert_eq!((count(&t), t.slots[1][0].tag), (1, NO_TAG), "only writes are revoked");
    }
}

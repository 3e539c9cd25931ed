//! Taking back what code did to memory, so that it can be run again: for the lockstep check of an engine.
//!
//! While a journal *records*, the first write to a page is seen, because no write tag is given out before it; the page
//! is kept as it was, and then gets its tag like any other, so that what host code writes in line is checked, too. What
//! cannot be taken back (registers of devices, stores to pages that code was made from) *stops* the instruction before
//! it does anything ([`Stop::NotReplayable`]).

use std::collections::HashMap;

use emu_core::Pa;
use emu_core::page::{Page, Place};
use emu_mmu::Access;

use super::Mem;
use super::pointer::{HostMut, HostPtr};
use super::translate::Target;
use crate::exception::Stop;

const WORDS: usize = 512;

type Image = Box<[u64; WORDS]>;

#[derive(Clone, Copy, PartialEq, Eq, Default)]
enum Phase {
    /// There is no lockstep check.
    #[default]
    Off,
    /// Between two stretches: every write takes the slow path, and nothing is kept.
    Idle,
    /// The first write to each page is seen.
    Recording,
}

struct KeptPage {
    page: Page,
    /// Its physical address.
    pa: Pa,
    before: Image,
    /// What it held when it was taken back.
    first: Option<Image>,
}

/// A byte that two runs left different.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct DifferentByte {
    /// Where.
    pub pa: Pa,
    /// Before both.
    pub before: u8,
    /// After the first run.
    pub first: u8,
    /// After the second one.
    pub second: u8,
}

/// See the module's head.
#[derive(Default)]
pub(super) struct Journal {
    phase: Phase,
    /// See [`Mem::is_inconclusive`].
    updated: bool,
    kept: Vec<KeptPage>,
    index: HashMap<Page, usize>,
}

impl Journal {
    #[inline]
    fn is_on(&self) -> bool {
        self.phase != Phase::Off
    }

    #[inline]
    pub(super) fn is_recording(&self) -> bool {
        self.phase == Phase::Recording
    }

    /// True if the page may have a write tag.
    #[inline]
    pub(super) fn permits(&self, page: Page) -> bool {
        match self.phase {
            Phase::Off => true,
            Phase::Idle => false,
            Phase::Recording => self.index.contains_key(&page),
        }
    }

    /// An access was not allowed by the TLB entry of its page, which was out of date without a TLBI: it went by the tables, and
    /// so do those after it.
    #[cold]
    pub(super) fn entry_replaced(&mut self) {
        self.updated = true;
    }

    /// A walk has written a descriptor.
    #[cold]
    pub(super) fn descriptor(&mut self, place: Place, value: u64) {
        self.updated = true;
        if let Some(&n) = self.index.get(&place.page())
            && let Some(kept) = self.kept.get_mut(n)
        {
            let word = (place.in_block().1 >> 3) as usize % WORDS;
            kept.before[word] = value;
            if let Some(first) = &mut kept.first {
                first[word] = value;
            }
        }
    }
}

fn copy(page: Page) -> Image {
    let host = HostPtr::new(page.host());
    let mut image = Box::new([0; WORDS]);
    for (at, word) in (0..).step_by(8).zip(image.iter_mut()) {
        *word = host.offset(at).load_u64();
    }
    image
}

impl Mem {
    /// There is a lockstep check: code is made so that it can be stopped.
    #[inline]
    #[must_use]
    pub fn has_journal(&self) -> bool {
        self.journal.is_on()
    }

    /// What is done will be taken back.
    #[inline]
    #[must_use]
    pub fn is_recording(&self) -> bool {
        self.journal.is_recording()
    }

    /// From now on no write is possible without the slow path. Forgets everything that is cached.
    pub fn begin_journal(&mut self) {
        self.reset();
        self.journal.phase = Phase::Idle;
    }

    /// A comparison of the two runs would prove nothing, for they did not begin alike: a walk has updated a descriptor, or
    /// replaced an entry of the TLB, and neither is taken back.
    #[must_use]
    pub fn is_inconclusive(&self) -> bool {
        self.journal.updated
    }

    /// Starts to record.
    pub fn record(&mut self) {
        self.journal.phase = Phase::Recording;
        self.journal.updated = false;
    }

    /// Before the first write to a page of RAM, which is not in the fast TLB yet: keeps the page as it is. Refuses what
    /// cannot be taken back.
    pub(super) fn record_first_write(&mut self, target: &Target, pa: Pa, access: Access) -> Result<(), Stop> {
        match *target {
            Target::Ram(..) | Target::Rom(..) if access == Access::Read => return Ok(()),
            // A store to code would make it another page; one that was kept may hold code by now.
            Target::Ram(place) if !place.page().is_watched() => {
                let page = place.page();
                if !self.journal.index.contains_key(&page) {
                    self.journal.index.insert(page, self.journal.kept.len());
                    let pa = pa.page_base();
                    self.journal.kept.push(KeptPage { page, pa, before: copy(page), first: None });
                }
                return Ok(());
            }
            _ => {}
        }
        Err(Stop::NotReplayable)
    }

    /// Puts memory back to what it was when recording began, and goes on recording.
    pub fn take_back(&mut self) {
        self.fast.revoke_writes();
        for k in &mut self.journal.kept {
            k.first.get_or_insert_with(|| copy(k.page));
            // A write like any other: code that was made meanwhile is out of date, and the page, whose writes are to be seen
            // again, is not watched.
            k.page.start().write(|host| {
                for (at, word) in (0..).step_by(8).zip(k.before.iter()) {
                    let place = HostMut::new(host).offset(at);
                    // Words that did not change are not written, be it only not to make the host copy pages.
                    if place.load_u64() != *word {
                        place.store_u64(*word);
                    }
                }
            });
        }
    }

    /// As [`Mem::take_back`], and begins anew.
    pub fn rewind(&mut self) {
        self.take_back();
        self.journal.kept.clear();
        self.journal.index.clear();
        self.record();
    }

    /// The bytes that differ from what the first run left, at most `most` of them.
    pub fn different_bytes(&self, most: usize) -> Vec<DifferentByte> {
        let mut found = Vec::new();
        for k in &self.journal.kept {
            let host = HostPtr::new(k.page.host());
            // A page without an image was not written by the first run.
            let first = k.first.as_ref().unwrap_or(&k.before);
            for n in 0..WORDS {
                let second = host.offset(8 * n as i64).load_u64();
                if second == first[n] {
                    continue;
                }
                for i in 0..8 {
                    let [before, a, b] = [k.before[n], first[n], second].map(|w| w.to_le_bytes()[i]);
                    if a != b && found.len() < most {
                        let pa = k.pa.offset((8 * n + i) as u64);
                        found.push(DifferentByte { pa, before, first: a, second: b });
                    }
                }
            }
        }
        found
    }

    /// Ends recording; memory stays as it is.
    pub fn accept(&mut self) {
        self.fast.revoke_writes();
        self.journal.kept.clear();
        self.journal.index.clear();
        self.journal.phase = Phase::Idle;
    }
}

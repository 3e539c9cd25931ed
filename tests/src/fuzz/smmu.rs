//! What the targets of both SMMUs have: memory with tables that lead to each other, and masters whose stalls are answered.

use std::collections::VecDeque;
use std::sync::{Arc, Weak};

use emu_core::Pa;
use emu_core::bus::{Backing, Bus};
use emu_core::dma::ats::{
    Invalidation, InvalidationDone, PageRequest, PageResponse, Pasid, TranslationCache, TranslationRequest,
    UNIT_BITS,
};
use emu_core::dma::{DmaAttrs, DmaClient, DmaFault, DmaPort, Master, Ports, StallTag, Stalls};
use emu_core::ram::GuestRam;
use parking_lot::Mutex;

use super::source::Source;

pub(super) const RAM: u64 = 0x4000_0000;
const RAM_SIZE: u64 = 1 << 20;
/// Sixteen translation tables of 4 KiB.
pub(super) const TABLES: u64 = RAM + 0x4_0000;
/// Masters, with the StreamIDs from 0 on. The last one cannot wait.
pub(super) const STREAMS: u64 = 4;

/// The memory behind an SMMU.
pub(super) struct Memory {
    /// What is in it at first.
    image: Vec<u8>,
    ram: &'static GuestRam,
}

impl Memory {
    /// On a bus of its own.
    pub(super) fn new() -> (Self, Arc<Bus>) {
        let bus = Arc::new(Bus::new());
        let ram = GuestRam::new(RAM_SIZE).expect("the host has a MiB of address space");
        bus.map(Pa(RAM), RAM_SIZE, Backing::Ram(ram, 0)).expect("it is the only region");
        let mut image = vec![0; RAM_SIZE as usize];
        image[(TABLES - RAM) as usize..][..16 * 0x1000].copy_from_slice(&tables());
        (Self { image, ram }, bus)
    }

    pub(super) fn reset(&self) {
        self.ram.write(0, &self.image).expect("it is as large as RAM");
    }

    pub(super) fn poke(&self, pa: u64, value: u64) {
        let _ = self.ram.store_u64(pa.wrapping_sub(RAM), value);
    }

    /// Changes a descriptor: to another table, a block, or a page.
    pub(super) fn descriptor(&self, s: &mut Source) {
        let at = TABLES + s.below(16) * 0x1000 + s.below(512) * 8;
        let target = s.pick(&[TABLES, TABLES, RAM]) + s.below(16) * 0x1000;
        let attributes = s.u64() & 0x00f8_0000_0000_0ffc;
        self.poke(at, mostly(s, target | attributes | 3));
    }
}

/// Tables that lead to each other, and at the last level map themselves: so that walks have an end in memory, and masters write
/// into what the SMMU reads.
fn tables() -> Vec<u8> {
    // AF, inner shareable, and every second one read-only at stage 1 or writable at stage 2.
    let entry =
        |n: u64| (TABLES + ((n / 512 + n) % 16) * 0x1000) | (n & 1) << 7 | 1 << 10 | 3 << 8 | 1 << 6 | 3;
    (0..16 * 512).flat_map(|n| entry(n).to_le_bytes()).collect()
}

/// A value that is mostly right.
pub(super) fn mostly(s: &mut Source, right: u64) -> u64 {
    match s.u8() % 64 {
        0 => s.value(),
        1 => right ^ 1 << s.below(64),
        _ => right,
    }
}

/// Stalled transactions that software has answered.
#[derive(Default)]
struct Answered(Mutex<Vec<(StallTag, bool)>>);

impl DmaClient for Answered {
    fn resume(&self, tag: StallTag, retry: bool) {
        self.0.lock().push((tag, retry));
    }
}

/// Invalidations that are not complete: all masters keep translations, and are told of them here.
#[derive(Default)]
struct Held(Mutex<VecDeque<InvalidationDone>>);

impl TranslationCache for Held {
    fn invalidate(&self, what: &Invalidation, done: InvalidationDone) {
        // What has a PASID takes its time.
        match what.pasid {
            None => done.complete(),
            Some(_) => self.0.lock().push_back(done),
        }
    }
    fn page_response(&self, _: PageResponse) {}
}

/// Those of a master that can be under way.
const TAGS: u64 = 32;

/// The masters behind an SMMU.
pub(super) struct Masters {
    ports: Vec<Arc<dyn DmaPort>>,
    answered: Arc<Answered>,
    held: Arc<Held>,
}

impl Masters {
    pub(super) fn new(smmu: &dyn Ports) -> Self {
        let answered = Arc::<Answered>::default();
        let client: Weak<dyn DmaClient> = Arc::<Answered>::downgrade(&answered);
        let stalls = |stream| {
            if stream + 1 == STREAMS { Stalls::Never } else { Stalls::Notify(client.clone()) }
        };
        let held = Arc::<Held>::default();
        let cache: Weak<dyn TranslationCache> = Arc::<Held>::downgrade(&held);
        let master = |s| Master::new(s as u32, stalls(s)).with_cache(cache.clone());
        let ports = (0..STREAMS).map(|s| smmu.port(master(s))).collect();
        Self { ports, answered, held }
    }

    pub(super) fn reset(&self) {
        self.answered.0.lock().clear();
        while self.settle(false) {}
    }

    /// Completes the oldest invalidation that is held, or loses it. False if there is none.
    pub(super) fn settle(&self, complete: bool) -> bool {
        let (oldest, left) = {
            let mut held = self.held.0.lock();
            (held.pop_front(), held.len() as u64)
        };
        assert!(left < STREAMS * TAGS, "more invalidations than functions have tags for");
        // Without the lock: the queue may go on, and tell of the next.
        match oldest {
            Some(done) if complete => done.complete(),
            Some(done) => drop(done),
            None => return false,
        }
        true
    }

    /// A translation request, and a use of what is granted; or a page request.
    pub(super) fn ask(&self, s: &mut Source) {
        let port = &self.ports[s.below(STREAMS) as usize];
        let pasid = s.one_in(3).then(|| Pasid {
            id: s.below(10) as u32,
            privileged: s.one_in(2),
            execute: s.one_in(2),
        });
        let address = if s.one_in(8) { s.value() } else { s.below(1 << 16) << 2 } & !0xfff;
        if s.one_in(3) {
            let (read, write, last) = (s.one_in(2), s.one_in(2), s.one_in(2));
            let group = s.below(512) as u16;
            port.request_page(&PageRequest { address, read, write, last, group, pasid });
            return;
        }
        let (units, no_write) = (s.below(20) as u16, s.one_in(2));
        let request = TranslationRequest { address, units, no_write, pasid };
        let Ok(grants) = port.translate(&request) else { return };
        assert!(!grants.is_empty() && grants.len() <= 16, "{grants:?}");
        for grant in grants {
            let within = grant.address & ((1 << grant.bits) - 1);
            assert!(grant.bits >= UNIT_BITS && within == 0, "{grant:?}");
            assert!(grant.read || !grant.execute, "{grant:?}");
            assert_eq!(grant.privileged, pasid.is_some_and(|pasid| pasid.privileged), "{grant:?}");
            let attrs = DmaAttrs { translated: true, ..DmaAttrs::default() };
            let _ = port.read(attrs, grant.address, &mut [0; 8]);
        }
    }

    /// A transaction of one of them; a second time if it was stalled and has been answered.
    pub(super) fn transact(&self, s: &mut Source, attrs: impl FnOnce(&mut Source) -> DmaAttrs) {
        let port = &self.ports[s.below(STREAMS) as usize];
        let attrs = attrs(s);
        let addr = if s.one_in(8) { s.value() } else { s.below(1 << 16) << 2 };
        let (length, writes) = (s.below(40) as usize, s.one_in(2));
        let mut bytes = vec![0xa5; length];
        for _ in 0..2 {
            let done =
                if writes { port.write(attrs, addr, &bytes) } else { port.read(attrs, addr, &mut bytes) };
            let Err(DmaFault::Stalled(tag)) = done else { return };
            if !self.answered.0.lock().contains(&(tag, true)) {
                return;
            }
        }
    }
}

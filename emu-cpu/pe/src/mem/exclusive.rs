//! The exclusive monitor (Arm ARM, B2.12): load-exclusive and store-exclusive.
//!
//! A store-exclusive must fail if another PE has stored to the location since the load-exclusive, also if it has stored what was
//! there. To look for monitors at every store would make all stores slow, so a store-exclusive mostly compares the location
//! with what the load-exclusive saw, by one atomic operation of the host. Where the PE accesses no other memory in between,
//! nobody can tell the difference: if another PE has stored the same value, everything is as if the load-exclusive had read
//! that one.
//!
//! Where other accesses stand between the two, they can be what tells. Code that does that has no promise of ever succeeding
//! (B2.12.5), and is seldom; for it the load-exclusive *watches* the page ([`emu_core::page`]): whoever stores to the page then
//! begins a new version of it.
//!
//! The caller says whether there may be any: it looks for them in the blocks of the two instructions, not in blocks between
//! them. On a machine with one PE there is nobody to watch.

use std::mem::offset_of;
use std::sync::atomic::{Ordering, fence};

use emu_a64::ir::{Acc, MemSize, Order};
use emu_core::page::Watched;
use emu_mmu::Access;

use super::Mem;
use super::access::load_vector;
use super::atomic::{atomically, exchange_if, load_atomic};
use super::translate::{AccessRequest, Target, data};
use crate::cpu::Cpu;
use crate::exception::Stop;

/// How often a page is marked anew because somebody has stored to it meanwhile, before the monitor is left closed.
const TRIES: usize = 4;
/// After so many refusals of one address in a row a store-exclusive compares values all the same: a loop that stores to the
/// watched page itself would never end.
const REFUSALS: u32 = 256;
/// In [`Exclusive::bytes`]: the page is watched, which host code must not take for a size.
const WATCHED: u64 = 0x100;

/// What the last load-exclusive saw. Host code reads and writes the first three fields.
#[derive(Clone, Copy, Debug, Default)]
#[repr(C)]
pub struct Exclusive {
    /// Address.
    va: u64,
    /// Size of the access; 0 while the monitor is closed.
    bytes: u64,
    /// What was loaded, zero-extended.
    value: u128,
    /// The page, if it is watched.
    page: Option<Watched>,
}

/// Versions are not architectural.
impl PartialEq for Exclusive {
    fn eq(&self, other: &Self) -> bool {
        (self.va, self.bytes, self.value) == (other.va, other.bytes, other.value)
    }
}

impl Eq for Exclusive {}

impl Exclusive {
    pub(crate) const VA: usize = offset_of!(Self, va);
    pub(crate) const BYTES: usize = offset_of!(Self, bytes);
    pub(crate) const VALUE: usize = offset_of!(Self, value);

    /// It is open: a load-exclusive was done, and no store-exclusive since.
    const fn is_open(&self) -> bool {
        self.bytes != 0
    }

    /// Closes it. The rest stays, for it means nothing.
    pub(super) fn close(&mut self) {
        self.bytes = 0;
    }
}

/// Store-exclusives in a row that failed although the location held what the load-exclusive saw.
#[derive(Default)]
pub(super) struct Refused {
    va: u64,
    times: u32,
}

impl Mem {
    /// Clears the exclusive monitor: CLREX, and every exception return.
    pub fn clear_exclusive(&mut self) {
        self.exclusive.close();
    }

    /// The exclusive monitor.
    #[must_use]
    pub fn monitor(&self) -> Exclusive {
        self.exclusive
    }

    /// Puts the exclusive monitor back to what it was.
    pub fn set_monitor(&mut self, monitor: Exclusive) {
        self.exclusive = monitor;
    }

    /// True while the exclusive monitor is open: a WFE now waits for a store of another PE.
    #[must_use]
    pub fn monitor_is_open(&self) -> bool {
        self.exclusive.is_open()
    }

    /// While a journal records: what depends on stores of other PEs cannot be replayed.
    fn refuse_replay(&self) -> Result<(), Stop> {
        if self.journal.is_recording() { Err(Stop::NotReplayable) } else { Ok(()) }
    }
}

/// A load-exclusive: remembers what it saw. `interleaved`: the PE makes other accesses before the store-exclusive.
pub fn load_exclusive(
    cpu: &mut Cpu,
    va: u64,
    size: MemSize,
    acc: Acc,
    interleaved: bool,
) -> Result<u128, Stop> {
    let bytes = size.bytes();
    cpu.mem.check_atomic(va, bytes, false)?;
    let watched = if interleaved && cpu.mem.shared.has_peers() {
        cpu.mem.refuse_replay()?;
        watch_page(cpu, va, bytes)?
    } else {
        None
    };
    let value = if size == MemSize::B16 { load_atomic(cpu, va)? } else { load_vector(cpu, va, size, size)? };
    if acc.order != Order::Plain {
        fence(Ordering::Acquire);
    }
    let bytes = if watched.is_some() { bytes | WATCHED } else { bytes };
    cpu.mem.exclusive = Exclusive { va, bytes, value, page: watched };
    Ok(value)
}

/// Has stores to the page of an address noticed from now on. `None` if it is not RAM.
fn watch_page(cpu: &mut Cpu, va: u64, bytes: u64) -> Result<Option<Watched>, Stop> {
    let asked =
        AccessRequest { access: Access::Read, unprivileged: false, unaligned: va & (bytes - 1) != 0, bytes };
    let mut watched = None;
    for _ in 0..TRIES {
        let Target::Ram(place) = data(cpu, va, asked)? else { return Ok(None) };
        let (news, page) = cpu.mem.watch_page(place.page());
        watched = Some(page);
        if !news {
            break;
        }
        let changed = cpu.mem.wait_and_compare();
        cpu.derived.note_change_if(changed);
        if page.holds() {
            break;
        }
    }
    Ok(watched)
}

/// A store-exclusive; true if it stored. It stores if the monitor is open for this address and size, and nobody else has
/// stored to the location since. `interleaved`: the PE made other accesses after the load-exclusive, if that was in another
/// block.
pub fn store_exclusive(
    cpu: &mut Cpu,
    va: u64,
    size: MemSize,
    (acc, interleaved): (Acc, bool),
    value: u128,
) -> Result<bool, Stop> {
    let bytes = size.bytes();
    cpu.mem.check_atomic(va, bytes, true)?;
    let seen = cpu.mem.exclusive;
    let watched = seen.page.filter(|_| seen.bytes & WATCHED != 0);
    let interleaved = interleaved && cpu.mem.shared.has_peers();
    if watched.is_some() || interleaved {
        cpu.mem.refuse_replay()?;
    }
    cpu.mem.exclusive.close();
    if (seen.va, seen.bytes & !WATCHED) != (va, bytes) {
        return Ok(false);
    }
    let doubtful = watched.map_or(interleaved, |page| !page.holds());
    if doubtful && refuses(&mut cpu.mem.refused, va) {
        return Ok(false);
    }
    let exchange = |p| {
        if acc.order != Order::Plain {
            fence(Ordering::SeqCst);
        }
        exchange_if(p, size, seen.value, value) == seen.value
    };
    let stored = atomically(cpu, va, bytes, Access::Write, exchange).inspect_err(|stop| {
        // A debugger's watchpoint must not make the instruction fail when it is executed after all: the guest would go
        // around its loop and meet the watchpoint again, for ever.
        if !matches!(stop, Stop::Exception(_)) {
            cpu.mem.exclusive = seen;
        }
    })?;
    if stored && (watched.is_some() || interleaved) {
        cpu.mem.refused = Refused::default();
    }
    Ok(stored)
}

/// Counts a refusal; false if there were too many in a row.
fn refuses(refused: &mut Refused, va: u64) -> bool {
    let times = if refused.va == va { refused.times + 1 } else { 1 };
    let refuses = times <= REFUSALS;
    *refused = Refused { va, times: if refuses { times } else { 0 } };
    refuses
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use emu_core::Pa;
    use emu_core::bus::{Backing, Bus};
    use emu_core::ram::GuestRam;

    use super::*;
    use crate::mem::context;
    use crate::mem::shared::Shared;
    use crate::test_pe::{Bench, on};

    const RAM: u64 = 0x4000_0000;

    /// A PE of a machine with `pes`; the others sleep.
    fn one_of(pes: usize) -> (Bench, &'static GuestRam) {
        let (bus, ram) = (Arc::new(Bus::new()), GuestRam::new(0x10000).unwrap());
        bus.map(Pa(RAM), 0x10000, Backing::Ram(ram, 0)).unwrap();
        let mut b = on(bus, Arc::new(Shared::new(pes)));
        context::select(&mut b.cpu);
        (b, ram)
    }

    /// Somebody else stores what is there.
    fn store_again(ram: &GuestRam, offset: u64) {
        ram.store_u64(offset, ram.load_u64(offset).unwrap()).unwrap();
    }

    fn load(cpu: &mut Cpu, va: u64, interleaved: bool) -> u128 {
        load_exclusive(cpu, va, MemSize::B8, Acc::PLAIN, interleaved).unwrap()
    }

    fn store(cpu: &mut Cpu, va: u64, interleaved: bool) -> bool {
        store_exclusive(cpu, va, MemSize::B8, (Acc::PLAIN, interleaved), 5).unwrap()
    }

    #[test]
    fn a_store_of_the_same_value_is_noticed_where_others_stand_between() {
        let (mut b, ram) = one_of(2);
        for n in 0..3 * u64::from(REFUSALS) {
            // Each time at another address, so that this is no loop.
            let va = RAM + 8 * (n % 2);
            load(&mut b.cpu, va, true);
            store_again(ram, va - RAM);
            assert!(!store(&mut b.cpu, va, false), "{n}");
        }
        load(&mut b.cpu, RAM, true);
        store_again(ram, 0x1000);
        assert!(store(&mut b.cpu, RAM, true), "that was another page");
        assert!(!store(&mut b.cpu, RAM, true), "the monitor is closed");
        // With nothing in between it is as if the new value had been loaded.
        load(&mut b.cpu, RAM, false);
        store_again(ram, 0);
        assert!(store(&mut b.cpu, RAM, false));
        // On a machine of one PE there is nobody else.
        let (mut b, ram) = one_of(1);
        load(&mut b.cpu, RAM, true);
        store_again(ram, 0);
        assert!(store(&mut b.cpu, RAM, true));
    }

    #[test]
    fn a_loop_that_stores_between_ends() {
        let (mut b, ram) = one_of(2);
        let mut tries = 0;
        loop {
            load(&mut b.cpu, RAM, true);
            crate::mem::access::store::<8>(&mut b.cpu, RAM + 0x100, tries).unwrap();
            tries += 1;
            if store(&mut b.cpu, RAM, true) {
                break;
            }
        }
        assert_eq!(tries, u64::from(REFUSALS) + 1);
        // Accesses of the block that only the store-exclusive is in: nobody has watched.
        let failed = (0..).take_while(|_| {
            load(&mut b.cpu, RAM, false);
            !store(&mut b.cpu, RAM, true)
        });
        assert_eq!(failed.count(), REFUSALS as usize);
        // A success begins the row anew.
        for n in 0..3 * REFUSALS {
            load(&mut b.cpu, RAM, true);
            if n % 2 == 0 {
                store_again(ram, 0);
            }
            assert_eq!(store(&mut b.cpu, RAM, true), n % 2 != 0, "{n}");
        }
    }
}

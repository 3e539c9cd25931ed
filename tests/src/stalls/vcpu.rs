//! What a processor does with the SMMU: answers to stalls, and everything that may come between.

use std::sync::atomic::Ordering;

use emu_mmu::{Regime, TlbiListener, TlbiScope};

use crate::fuzz::Random;

use super::rig::{Event, PAGE, PAGES, STREAMS, WINDOW};
use super::{Run, count};

/// Stalls that a processor puts aside, to answer them later.
const HELD: usize = 6;

/// F_TRANSLATION, and C_BAD_STE of a stream that is detached.
const F_TRANSLATION: u8 = 0x10;
const C_BAD_STE: u8 = 0x04;

/// Works until there are no masters any more.
pub(super) fn work(run: &Run, mut random: Random) -> Result<(), String> {
    let mut held = Vec::new();
    while run.left.load(Ordering::SeqCst) != 0 && !run.is_over() {
        match random.below(4000) {
            0 => reset(run, &mut random),
            1..8 => disable(run),
            8..20 => detach(run, stream(&mut random))?,
            20..50 => terminate(run, stream(&mut random))?,
            50..600 => unmap(run, &mut random)?,
            600..800 => forget(run, &mut random)?,
            _ => events(run, &mut random, &mut held)?,
        }
    }
    Ok(())
}

fn stream(random: &mut Random) -> u32 {
    random.below(STREAMS.into()) as u32
}

/// The next event, or one of those that were put aside.
fn events(run: &Run, random: &mut Random, held: &mut Vec<Event>) -> Result<(), String> {
    let next = run.rig.event();
    if let Some(event) = next.filter(|e| (e.code, e.stag) != (C_BAD_STE, None)) {
        if event.code != F_TRANSLATION || page_of(&event).is_none() {
            return Err(format!(
                "event {:#x} of stream {} at {:#x}",
                event.code, event.stream, event.address
            ));
        }
        // Without a STAG there was no room for one more stall.
        if event.stag.is_some() {
            held.push(event);
        }
    }
    // With nothing to do for a while there are too many pages.
    if next.is_none() && held.is_empty() {
        std::thread::yield_now();
        return if random.below(8) == 0 { unmap(run, random) } else { Ok(()) };
    }
    let waits = held.len() < HELD && random.below(3) == 0;
    if held.is_empty() || waits && next.is_some() {
        return Ok(());
    }
    let event = held.swap_remove(random.below(held.len() as u64) as usize);
    answer(run, random, &event)
}

/// The page of a stream that an event is about.
fn page_of(event: &Event) -> Option<u64> {
    let page = event.address.checked_sub(WINDOW)? / PAGE;
    (page < PAGES && event.stream < STREAMS).then_some(page)
}

/// CMD_RESUME with one answer or another.
fn answer(run: &Run, random: &mut Random, event: &Event) -> Result<(), String> {
    let (Some(page), Some(stag)) = (page_of(event), event.stag) else { return Ok(()) };
    let counts = &run.counts;
    let ac_ab = match random.below(16) {
        0..11 => {
            run.rig.map(event.stream, page, true);
            count(&counts.mapped);
            count(&counts.retried);
            1
        }
        11 | 12 => {
            count(&counts.retried);
            1
        }
        13 | 14 => {
            count(&counts.refused);
            2
        }
        _ => {
            run.zeroed[event.stream as usize].note(page);
            count(&counts.zeroed);
            0
        }
    };
    run.rig.lock().commands(&[[0x44 | ac_ab << 12 | u64::from(event.stream) << 32, stag]])
}

fn terminate(run: &Run, stream: u32) -> Result<(), String> {
    count(&run.counts.terminated);
    run.rig.lock().commands(&[[0x45 | u64::from(stream) << 32, 0]])
}

/// Takes pages of a stream away, one or all, and what was made of their descriptors.
fn unmap(run: &Run, random: &mut Random) -> Result<(), String> {
    let (stream, page) = (stream(random), random.below(PAGES));
    count(&run.counts.unmapped);
    let all = random.below(2) == 0;
    for page in if all { 0..PAGES } else { page..page + 1 } {
        run.rig.map(stream, page, false);
    }
    let (asid, vmid) = (u64::from(stream) << 48, u64::from(stream) << 32);
    let address = WINDOW + page * PAGE;
    let both_stages = [[0x2a | vmid, address], [0x10 | vmid, 0]];
    let command = match if all { 3 + random.below(2) } else { random.below(6) } {
        0 => [0x11 | asid | vmid, 0],
        1 => [0x12 | asid | vmid, address],
        2 => [0x13 | vmid, address],
        3 => [0x30, 0],
        4 => {
            let (vmid, regime) = (stream as u16, Regime::El10);
            TlbiListener::invalidate(&**run.rig.smmu.core(), &TlbiScope::Context { regime, vmid });
            return Ok(());
        }
        _ => return run.rig.lock().commands(&both_stages),
    };
    run.rig.lock().commands(&[command])
}

/// Invalidates an STE, a CD, or all configuration.
fn forget(run: &Run, random: &mut Random) -> Result<(), String> {
    count(&run.counts.forgotten);
    let id = u64::from(stream(random)) << 32;
    let command = match random.below(5) {
        0 => [0x03 | id, 1],
        1 => [0x05 | id, 1],
        2 => [0x06 | id, 0],
        3 => [0x04 | id, random.below(4)],
        _ => [0x04, 31],
    };
    run.rig.lock().commands(&[command])
}

/// As a driver takes a device from an address space: nothing passes any more, and nothing of it waits.
fn detach(run: &Run, stream: u32) -> Result<(), String> {
    count(&run.counts.detached);
    let id = u64::from(stream) << 32;
    let driver = run.rig.lock();
    driver.attach(stream, false);
    driver.commands(&[[0x03 | id, 1]])?;
    driver.commands(&[[0x45 | id, 0]])?;
    driver.attach(stream, true);
    driver.commands(&[[0x03 | id, 1]])
}

fn disable(run: &Run) {
    count(&run.counts.disabled);
    let driver = run.rig.lock();
    driver.enable(false);
    driver.enable(true);
}

fn reset(run: &Run, random: &mut Random) {
    count(&run.counts.reset);
    let driver = run.rig.lock_all();
    driver.reset();
    driver.set_up(random.below(8));
}

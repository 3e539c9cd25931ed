//! Address spaces that mostly make sense: tables of any granule, of either stage, with some pages and blocks.

use super::super::Random;
use super::entries::{bits, span};
use super::memory::{Memory, RAM, RAM_SIZE};
use super::walk::{has_block, start1};

/// Tables of stage 1, of two groups.
const TABLES1: u64 = RAM + 0x1_0000;
const GROUP: u64 = 0x4_0000;
/// Tables of stage 2.
const TABLES2: u64 = TABLES1 + 2 * GROUP;
/// What masters are to reach.
pub(super) const DATA: u64 = RAM + 0xd_0000;
pub(super) const DATA_SIZE: u64 = RAM + RAM_SIZE - DATA;
/// Where stage 2 has it; memory is where it is, too.
pub(super) const DATA_IPA: u64 = 0x8000_0000;

/// Granules: the page's log2, TG0 (and S2TG), TG1.
pub(super) const GRANULES: [(u32, u64, u64); 3] = [(12, 0, 2), (14, 2, 1), (16, 1, 3)];

pub(super) fn one_in(r: &mut Random, n: u64) -> bool {
    r.below(n) == 0
}

pub(super) fn pick<T: Copy>(r: &mut Random, of: &[T]) -> T {
    of[r.below(of.len() as u64) as usize]
}

/// A bit, set once in `n` times.
pub(super) fn flag(r: &mut Random, n: u64, at: u32) -> u64 {
    u64::from(one_in(r, n)) << at
}

/// One of the pages and blocks of a space: mostly one of few, so that what is changed is used.
pub(super) fn hot(r: &mut Random, leaves: &[Leaf]) -> Option<Leaf> {
    let few = if one_in(r, 4) { leaves.len() } else { leaves.len().min(4) };
    leaves.get(r.below(few as u64) as usize).copied()
}

/// Room for tables.
pub(super) struct Pool {
    next: u64,
    end: u64,
}

impl Pool {
    pub(super) fn of_stage1(group: u64) -> Self {
        let next = TABLES1 + GROUP * group;
        Self { next, end: next + GROUP }
    }
    pub(super) fn of_stage2() -> Self {
        Self { next: TABLES2, end: DATA }
    }
    fn take(&mut self, size: u64) -> Option<u64> {
        let at = self.next.next_multiple_of(size);
        (at + size <= self.end).then(|| self.next = at + size).map(|()| at)
    }
}

/// A page or a block: an address that leads to data, and where its descriptor is.
#[derive(Clone, Copy)]
pub(super) struct Leaf {
    pub(super) address: u64,
    pub(super) at: u64,
    pub(super) level: u32,
}

/// An address space of one stage.
pub(super) struct Space {
    two: bool,
    pub(super) granule: (u32, u64, u64),
    start: u32,
    pub(super) input: u32,
    pub(super) table: u64,
    pub(super) leaves: Vec<Leaf>,
}

impl Space {
    /// One of stage 1, whose pages are of `target`: data, or where stage 2 has it.
    pub(super) fn of_stage1(memory: &mut Memory, pool: &mut Pool, r: &mut Random, target: u64) -> Self {
        let granule = pick(r, &GRANULES);
        let page = granule.0;
        // Three levels of 64 KiB are too much for most.
        let most = if page != 16 {
            48
        } else if one_in(r, 4) {
            52
        } else {
            42
        };
        let input = 25 + r.below(most - 24) as u32;
        let mut space = Self::new(pool, false, granule, start1(page, input), input);
        for _ in 0..if page == 16 { 1 } else { 2 } {
            let region = bits(r.next(), input - 1, 0) >> span(page, 2) << span(page, 2);
            for _ in 0..2 + r.below(5) {
                let address = region | r.below(8) << page;
                let output = target + (r.below(DATA_SIZE >> page) << page);
                space.map(memory, pool, r, address, output, 3);
            }
        }
        let level = 1 + r.below(2) as u32;
        if has_block(page, level) && level >= space.start && span(page, level) < input {
            let low = span(page, level);
            let place = target + (r.below(DATA_SIZE >> 12) << 12);
            let address = bits(r.next(), input - 1, 0) >> low << low | bits(place, low - 1, 0);
            space.map(memory, pool, r, address, place, level);
        }
        space
    }

    /// One of stage 2: memory with the tables where it is, and data, which is scattered.
    pub(super) fn of_stage2(memory: &mut Memory, pool: &mut Pool, r: &mut Random) -> Self {
        let granule = pick(r, &GRANULES);
        let page = granule.0;
        let (first, input) = loop {
            let (level, input) = (r.below(4) as u32, 33 + r.below(16) as u32);
            let exists = if page == 12 { level < 3 } else { level > 0 };
            let resolved = input.saturating_sub(span(page, level));
            // Tables that are concatenated are not to take all the room.
            if exists && (1..=(page + 1).min(13)).contains(&resolved) {
                break (level, input);
            }
        };
        let mut space = Self::new(pool, true, granule, first, input);
        let low = span(page, 2);
        if first <= 2 && (page == 16 || one_in(r, 2)) {
            space.map(memory, pool, r, RAM >> low << low, RAM >> low << low, 2);
        } else {
            (RAM..DATA).step_by(1 << page).for_each(|at| space.map(memory, pool, r, at, at, 3));
        }
        // What is so far is not for masters.
        space.leaves.clear();
        for at in (0..DATA_SIZE).step_by(1 << page) {
            let output = DATA + (r.below(DATA_SIZE >> page) << page);
            space.map(memory, pool, r, DATA_IPA + at, output, 3);
        }
        space
    }

    fn new(pool: &mut Pool, two: bool, granule: (u32, u64, u64), start: u32, input: u32) -> Self {
        let size = 8 << (input - span(granule.0, start));
        // Without room it shares a table.
        let table = pool.take(size.max(64)).unwrap_or(pool.end - size.max(0x1_0000));
        Self { two, granule, start, input, table, leaves: Vec::new() }
    }

    /// STE.S2SL0.
    pub(super) fn sl0(&self) -> u64 {
        u64::from(if self.granule.0 == 12 { 2 - self.start } else { 3 - self.start })
    }

    /// Maps a page or a block.
    fn map(
        &mut self,
        memory: &mut Memory,
        pool: &mut Pool,
        r: &mut Random,
        address: u64,
        output: u64,
        leaf: u32,
    ) {
        let page = self.granule.0;
        let (mut table, mut high) = (self.table, self.input - 1);
        for level in self.start..4 {
            let low = span(page, level);
            let at = table + (bits(address, high, low) << 3);
            let d = memory.get(at);
            if level == leaf {
                // Where tables are, nearly all is allowed.
                let sound = self.two && output < DATA && !one_in(r, 100);
                let attributes =
                    if sound { 0x7fd | u64::from(level == 3) << 1 } else { self.attributes(r, level) };
                memory.put(at, output >> low << low | attributes);
                return self.leaves.push(Leaf { address, at, level });
            }
            let next = match d & 3 {
                3 => bits(d, 47, page) << page,
                0 => match pool.take(1 << page) {
                    Some(next) => next,
                    None => return,
                },
                _ => return,
            };
            if d & 3 == 0 {
                let above = if !self.two && one_in(r, 6) { r.next() & 15 << 59 } else { 0 };
                memory.put(at, next | above | 3);
            }
            (table, high) = (next, low - 1);
        }
    }

    /// The bits of a leaf beside its address: mostly one that allows much. The Contiguous bit would have to be right.
    pub(super) fn attributes(&self, r: &mut Random, level: u32) -> u64 {
        let kind = if one_in(r, 60) { 0 } else { 1 | u64::from(level == 3) << 1 };
        let accessed = if one_in(r, 16) { 0 } else { 1 << 10 };
        let common = kind | accessed | r.below(4) << 8 | flag(r, 3, 51) | r.below(16) << 55;
        if self.two {
            let memory = if one_in(r, 8) { r.below(16) } else { 0xf };
            let allowed = if one_in(r, 8) { r.below(4) } else { 3 };
            let never = if one_in(r, 4) { r.below(4) } else { 0 };
            return common | memory << 2 | allowed << 6 | never << 53;
        }
        let user = u64::from(!one_in(r, 10)) << 6;
        let local = u64::from(!one_in(r, 4)) << 11;
        common | r.below(16) << 2 | user | flag(r, 6, 7) | local | flag(r, 4, 53) | flag(r, 4, 54)
    }
}

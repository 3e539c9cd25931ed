//! What software has set up: streams, contexts and address spaces, which mostly fit each other; and where a master's transactions
//! get through, mostly.

use super::super::Random;
use super::memory::{Memory, RAM};
use super::spaces::{DATA, DATA_IPA, DATA_SIZE, Pool, Space, flag, hot, one_in, pick};

/// A linear stream table, or the L1STDs of one of two levels.
pub(super) const STREAM_TABLE: u64 = RAM;
/// Tables of the second level, of 64 STEs.
const STES: u64 = RAM + 0x1000;
/// L1CDs, and a table of 64 CDs for each group of contexts.
const POINTERS: u64 = RAM + 0x4000;
const CONTEXTS: u64 = RAM + 0x5000;

/// StreamIDs of masters. The last one is of the second table of STEs, if it is there.
pub(super) const STREAMS: [u32; 6] = [0, 1, 2, 5, 12, 0x41];
/// STRTAB_BASE_CFG.SPLIT.
const SPLIT: u64 = 6;

/// Groups of contexts: of stage 1 alone, and under stage 2.
const GROUPS: usize = 2;
const SPACES: usize = 2;
/// CDs of a group.
const INDEXES: u32 = 4;

/// A context descriptor.
#[derive(Clone, Copy, Default)]
pub(super) struct Context {
    /// The address spaces of both halves, by number in their group.
    halves: [Option<usize>; 2],
    tbi: [bool; 2],
    pub(super) asid: u64,
}

/// What a stream is for.
#[derive(Clone, Copy, Default)]
pub(super) struct Plan {
    config: u64,
    group: usize,
    /// The address space of stage 2.
    two: usize,
    pub(super) vmid: u64,
    /// S1CDMax, S1DSS.
    max: u64,
    dss: u64,
}

/// A master: the last one is rare, for it is often beyond the stream table.
pub(super) fn master(r: &mut Random) -> usize {
    let last = STREAMS.len() as u64 - 1;
    let rare = u64::from(one_in(r, 8));
    r.below(last + rare) as usize
}

/// See the module's head.
pub(super) struct World {
    /// By group.
    pub(super) one: [Vec<Space>; GROUPS],
    pub(super) two: Vec<Space>,
    pub(super) contexts: [[Context; INDEXES as usize]; GROUPS],
    pub(super) plans: [Plan; STREAMS.len()],
    two_level: bool,
}

impl World {
    /// Fills memory, which is as after reset.
    pub(super) fn new(memory: &mut Memory, r: &mut Random) -> Self {
        let mut pool2 = Pool::of_stage2();
        let one = [(0, DATA), (1, DATA_IPA)].map(|(group, at)| {
            let mut pool = Pool::of_stage1(group);
            (0..SPACES).map(|_| Space::of_stage1(memory, &mut pool, r, at)).collect()
        });
        let two = (0..2).map(|_| Space::of_stage2(memory, &mut pool2, r)).collect();
        let mut world = Self {
            one,
            two,
            contexts: Default::default(),
            plans: Default::default(),
            two_level: one_in(r, 2),
        };
        for group in 0..GROUPS {
            (0..INDEXES as usize).for_each(|index| world.context(memory, r, group, index));
            for n in 0..2 {
                memory.put(POINTERS + 64 * group as u64 + 8 * n, table(group) | 1);
            }
        }
        if world.two_level {
            let spans = [7, pick(r, &[7, 7, 7, 7, 2, 1, 0])];
            for (n, span) in (0..).zip(spans) {
                memory.put(STREAM_TABLE + 8 * n, (STES + 0x1000 * n) | span);
            }
        }
        (0..STREAMS.len()).for_each(|n| world.stream(memory, r, n));
        world
    }

    /// STRTAB_BASE_CFG.
    pub(super) fn shape(&self, r: &mut Random) -> u64 {
        let log2size = pick(r, &[7, 7, 7, 7, 7, 7, 6, 3]);
        if self.two_level { 1 << 16 | SPLIT << 6 | log2size } else { log2size.min(6) }
    }

    /// Where the STE of a master's stream is, of a table that is long enough.
    pub(super) fn ste(&self, n: usize) -> u64 {
        let stream = u64::from(STREAMS[n]);
        if self.two_level { STES + 64 * stream } else { STREAM_TABLE + 64 * (stream & 63) }
    }

    /// Where a CD is.
    pub(super) fn cd(group: usize, index: usize) -> u64 {
        table(group) + 64 * index as u64
    }

    /// Writes a CD anew.
    pub(super) fn context(&mut self, memory: &mut Memory, r: &mut Random, group: usize, index: usize) {
        let mut halves = [(); 2].map(|()| (!one_in(r, 4)).then(|| r.below(SPACES as u64) as usize));
        if halves == [None, None] {
            halves[0] = Some(0);
        }
        let tbi = [(); 2].map(|()| one_in(r, 3));
        let asid = if one_in(r, 6) { 1 } else { (4 * group + index) as u64 + 1 };
        self.contexts[group][index] = Context { halves, tbi, asid };
        // IPS, V, AA64, R.
        let ips = pick(r, &[5, 5, 6, 6, 4]);
        let mut dw0 = ips << 32 | 1 << 31 | 1 << 41 | 1 << 45 | asid << 48;
        dw0 |= flag(r, 4, 35) | flag(r, 6, 36) | flag(r, 5, 40) | flag(r, 5, 44) | flag(r, 2, 46);
        dw0 |= if one_in(r, 2) { 1 << 43 | flag(r, 2, 42) } else { 0 };
        dw0 |= u64::from(tbi[0]) << 38 | u64::from(tbi[1]) << 39;
        let mut words = [0; 2];
        for (n, half) in halves.iter().enumerate() {
            let Some(space) = half.map(|h| &self.one[group][h]) else {
                dw0 |= [1 << 14, 1 << 30][n];
                continue;
            };
            let (_, tg0, tg1) = space.granule;
            let tsz = 64 - u64::from(space.input);
            dw0 |= [tsz | tg0 << 6, tsz << 16 | tg1 << 22][n];
            words[n] = space.table | flag(r, 3, 1);
        }
        let at = Self::cd(group, index);
        for (n, word) in (1..).zip([words[0], words[1], 0xff44_0c04]) {
            memory.put(at + 8 * n, word);
        }
        memory.put(at, dw0);
    }

    /// Writes the STE of a stream anew.
    pub(super) fn stream(&mut self, memory: &mut Memory, r: &mut Random, n: usize) {
        let config = if one_in(r, 20) { 4 * r.below(2) } else { pick(r, &[5, 5, 5, 6, 7, 7, 7]) };
        let group = if one_in(r, 12) { r.below(2) as usize } else { usize::from(config == 7) };
        let two = r.below(2) as usize;
        let vmid = if config == 5 || one_in(r, 8) { r.below(3) } else { two as u64 + 1 };
        let max = if one_in(r, 2) { 1 + r.below(7) } else { 0 };
        let plan = Plan { config, group, two, vmid, max, dss: r.below(3) };
        self.plans[n] = plan;
        // A table of two levels has more than 64 CDs; a linear one has no more.
        let levels = u64::from(max == 7 || one_in(r, 3));
        let pointer = if levels != 0 && max != 0 { POINTERS + 64 * group as u64 } else { table(group) };
        let dw0 = 1 | config << 1 | levels << 4 | pointer | max << 59;
        let world = if config == 5 && one_in(r, 3) { 2 } else { 0 };
        let over = if one_in(r, 4) { r.below(16) } else { 0 };
        let dw1 = plan.dss | flag(r, 2, 19) | flag(r, 5, 25) | world << 30 | 1 << 44 | over << 48;
        let space = &self.two[two];
        let (page, tg, _) = space.granule;
        let t0sz = 64 - u64::from(space.input);
        let ps = if page == 16 { pick(r, &[5, 6]) } else { 5 };
        let mut dw2 = vmid | t0sz << 32 | space.sl0() << 38 | tg << 46 | ps << 48 | 1 << 51 | 1 << 58;
        dw2 |= flag(r, 4, 53) | flag(r, 4, 54) | flag(r, 5, 57);
        dw2 |= if one_in(r, 2) { 1 << 56 | flag(r, 2, 55) } else { 0 };
        let at = self.ste(n);
        for (n, word) in (1..).zip([dw1, dw2, space.table]) {
            memory.put(at + 8 * n, word);
        }
        memory.put(at, dw0);
    }

    /// A SubstreamID that fits a stream, mostly.
    pub(super) fn substream(&self, r: &mut Random, n: usize) -> Option<u32> {
        let plan = self.plans[n];
        match (plan.max, plan.dss) {
            _ if one_in(r, 24) => Some(r.below(1 << 7) as u32),
            (0, _) => None,
            _ if !matches!(plan.config, 5 | 7) => None,
            (_, 1 | 2) if one_in(r, 2) => None,
            (max, dss) => {
                let id = r.below((1 << max).min(INDEXES.into())) as u32;
                Some(if dss == 2 { id.max(1) } else { id })
            }
        }
    }

    /// An address of a stream that leads somewhere, mostly: of the first byte of a page of 4 KiB.
    pub(super) fn aim(&self, r: &mut Random, n: usize, substream: Option<u32>) -> u64 {
        let plan = self.plans[n];
        if one_in(r, 24) {
            return r.next() >> r.below(40) & !0xfff;
        }
        let bypasses = plan.max != 0 && substream.is_none() && plan.dss == 1;
        match plan.config {
            5 | 7 if !bypasses => {
                let index = substream.unwrap_or(0) % INDEXES;
                self.aim1(r, plan.group, &self.contexts[plan.group][index as usize])
            }
            6 | 7 => {
                let leaves = &self.two[plan.two].leaves;
                hot(r, leaves).map_or(DATA_IPA, |l| l.address & !0xfff)
            }
            _ => DATA + (r.below(DATA_SIZE) & !0xfff),
        }
    }

    fn aim1(&self, r: &mut Random, group: usize, context: &Context) -> u64 {
        let half = match context.halves {
            [Some(_), Some(_)] => r.below(2) as usize,
            [None, _] => 1,
            _ => 0,
        };
        let Some(space) = context.halves[half].map(|h| &self.one[group][h]) else { return 0 };
        let Some(leaf) = hot(r, &space.leaves) else { return 0 };
        let within = r.below(1 << (space.granule.0 - 12)) << 12;
        let within = if leaf.level == 3 { within } else { 0 };
        let high = if half == 1 { u64::MAX << space.input } else { 0 };
        let tag = if context.tbi[half] && one_in(r, 2) { r.below(256) << 56 } else { 0 };
        (leaf.address & !0xfff | within | high) ^ tag
    }
}

/// The table of CDs of a group.
const fn table(group: usize) -> u64 {
    CONTEXTS + 0x1000 * group as u64
}

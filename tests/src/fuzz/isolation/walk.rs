//! Tables by the bits of the Arm ARM (D8) and of the SMMU's STEs and CDs: one stage and one level after the other.

use super::entries::{
    OUTPUT_BITS, Words, World, bits, config, format, granule0, half, has_stage2, set, size, span, start2,
};
use super::memory::Mirror;

const AF: u64 = 1 << 10;
/// AP[2] at stage 1: read-only. S2AP[1] at stage 2: writable.
const AP2: u64 = 1 << 7;
const DBM: u32 = 51;

/// How a transaction ends.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum End {
    /// At this address.
    Through(u64),
    Abort,
    /// A read gives zeroes, a write is ignored.
    Zero,
    /// It waits for software.
    Stall,
}

/// What a transaction is, with the attributes that the STE gives it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Access {
    pub(super) write: bool,
    pub(super) privileged: bool,
    pub(super) instruction: bool,
}

/// What it is translated under.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Setting {
    pub(super) ste: Words,
    /// None: it bypasses stage 1.
    pub(super) cd: Option<Words>,
    pub(super) world: World,
}

/// A descriptor that hardware may change (HTTU), and the bits that differ then; if the transaction gets through, it must.
#[derive(Clone, Copy, Debug)]
pub(super) struct Update {
    pub(super) at: u64,
    pub(super) old: u64,
    pub(super) may: u64,
}

/// A leaf of stage 1: descriptor, and what the tables above it say: APTable[1], APTable[0], UXNTable, PXNTable.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Leaf1 {
    d: u64,
    above: (u64, u64, u64, u64),
    bits: u32,
    pub(super) page: u32,
    input: u64,
    output: u64,
}

/// A leaf of stage 2.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Leaf2 {
    d: u64,
    bits: u32,
    pub(super) page: u32,
    input: u64,
    output: u64,
}

/// A translation as a TLB keeps it: of both stages together.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Translation {
    setting: Setting,
    pub(super) leaf1: Option<Leaf1>,
    pub(super) leaf2: Option<Leaf2>,
}

impl Leaf1 {
    /// The first address and the last one of the block or page.
    pub(super) fn range(&self) -> (u64, u64) {
        let first = self.input >> self.bits << self.bits;
        (first, first | ((1 << self.bits) - 1))
    }
    pub(super) fn is_global(&self) -> bool {
        !set(self.d, 11)
    }
}

impl Leaf2 {
    pub(super) fn range(&self) -> (u64, u64) {
        let first = self.input >> self.bits << self.bits;
        (first, first | ((1 << self.bits) - 1))
    }
}

impl Translation {
    /// Where an input address goes, if the translation is of it.
    pub(super) fn output(&self, va: u64) -> Option<u64> {
        let within = |(first, last): (u64, u64), address| first <= address && address <= last;
        let ipa = match &self.leaf1 {
            Some(l) if !within(l.range(), va) => return None,
            Some(l) => l.output | (va & ((1 << l.bits) - 1)),
            None => va,
        };
        match &self.leaf2 {
            Some(l) if !within(l.range(), ipa) => None,
            Some(l) => Some(l.output | (ipa & ((1 << l.bits) - 1))),
            None => Some(ipa),
        }
    }

    /// An access is allowed, without that a descriptor must be changed first. CD.PAN is that of `pan`.
    pub(super) fn allows(&self, access: Access, pan: bool) -> bool {
        let s = &self.setting;
        let one = self.leaf1.is_none_or(|l| {
            let cd = s.cd.unwrap_or_default();
            let clean = access.write && set(l.d, 7);
            stage1_allows(&l, &cd, s.world, access, pan) && !clean
        });
        let two = self.leaf2.is_none_or(|l| {
            let clean = access.write && !set(l.d, 7);
            stage2_allows(l.d, &s.ste, access) && !clean
        });
        one && two
    }
}

/// What stage 2 is asked for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum For {
    Output,
    /// A descriptor of stage 1, or a CD, is read.
    Table,
    /// A descriptor of stage 1 is changed.
    Update,
}

/// One way through the tables, as they are in memory.
pub(super) struct Walk<'a> {
    pub(super) memory: &'a Mirror,
    pub(super) setting: Setting,
    pub(super) access: Access,
    pub(super) updates: Vec<Update>,
}

/// Blocks exist at these levels, with 52 bits of output.
pub(super) fn has_block(page: u32, level: u32) -> bool {
    if page == 14 { level == 2 } else { level == 1 || level == 2 }
}

/// The address in a descriptor, of `low` bits of granularity.
fn address(d: u64, page: u32, low: u32) -> u64 {
    let high = if page == 16 { bits(d, 15, 12) << 48 } else { 0 };
    bits(d, 47, 0) >> low << low | high
}

/// The first level of a walk of `input` bits at stage 1.
pub(super) fn start1(page: u32, input: u32) -> u32 {
    4 - (input - page).div_ceil(page - 3)
}

/// Where a table is that has 2^`entries` bits of index at its first level.
fn base(table: u64, entries: u32, wide: bool) -> u64 {
    let align = (entries + 3).max(if wide { 6 } else { 0 });
    table >> align << align
}

/// What a descriptor is.
enum Kind {
    Invalid,
    Table(u64),
    Leaf(u64),
}

fn kind(d: u64, page: u32, level: u32) -> Kind {
    match (set(d, 0), set(d, 1)) {
        (true, true) if level == 3 => Kind::Leaf(address(d, page, page)),
        (true, true) => Kind::Table(address(d, page, page)),
        (true, false) if level < 3 && has_block(page, level) => {
            Kind::Leaf(address(d, page, span(page, level)))
        }
        _ => Kind::Invalid,
    }
}

/// An address as TLBs and tables see it: without a tag in its top byte.
pub(super) fn canonical(setting: &Setting, va: u64) -> u64 {
    let Some(cd) = &setting.cd else { return va };
    let upper = setting.world != World::El2 && set(va, 55);
    match (half(cd, setting.world, upper).tbi, upper) {
        (true, true) => va | 0xff << 56,
        (true, false) => va & !(0xff << 56),
        (false, _) => va,
    }
}

impl Walk<'_> {
    /// Both stages.
    pub(super) fn run(&mut self, va: u64) -> Result<Translation, End> {
        let va = canonical(&self.setting, va);
        let leaf1 = match self.setting.cd {
            Some(cd) => Some(self.stage1(&cd, va)?),
            None => None,
        };
        let ipa = leaf1.map_or(va, |l| l.output | (va & ((1 << l.bits) - 1)));
        let leaf2 = if has_stage2(&self.setting.ste) { Some(self.stage2(ipa, For::Output)?) } else { None };
        Ok(Translation { setting: self.setting, leaf1, leaf2 })
    }

    /// CD.S, A: a fault of stage 1.
    fn fault1(&self) -> End {
        let c = self.setting.cd.map_or(0, |cd| cd[0]);
        match (set(c, 44), set(c, 46)) {
            (true, _) => End::Stall,
            (false, true) => End::Abort,
            (false, false) => End::Zero,
        }
    }

    /// STE.S2S: one of stage 2.
    fn fault2(&self) -> End {
        if set(self.setting.ste[2], 57) { End::Stall } else { End::Abort }
    }

    /// Where a structure of stage 1 is in memory.
    pub(super) fn table(&mut self, at: u64) -> Result<u64, End> {
        if !has_stage2(&self.setting.ste) {
            return Ok(at);
        }
        let leaf = self.stage2(at, For::Table)?;
        Ok(leaf.output | (at & ((1 << leaf.bits) - 1)))
    }

    fn stage1(&mut self, cd: &Words, va: u64) -> Result<Leaf1, End> {
        let (c, world) = (cd[0], self.setting.world);
        let upper = world != World::El2 && set(va, 55);
        let h = half(cd, world, upper);
        let Some(page) = h.page.filter(|_| !h.disabled) else { return Err(self.fault1()) };
        if bits(va, 63, h.input) != if upper { bits(u64::MAX, 63, h.input) } else { 0 } {
            return Err(self.fault1());
        }
        let output = size(bits(c, 34, 32)).min(format(page));
        let mut level = start1(page, h.input);
        let mut table = base(h.table, h.input - span(page, level), output == 52);
        let (mut above, mut high) = ((0, 0, 0, 0), h.input - 1);
        loop {
            let low = span(page, level);
            let at = table + (bits(va, high, low) << 3);
            let pa = self.table(at)?;
            let d = self.memory.get(pa).ok_or(End::Abort)?;
            match kind(d, page, level) {
                Kind::Invalid => return Err(self.fault1()),
                Kind::Table(next) | Kind::Leaf(next) if next >> output != 0 => return Err(self.fault1()),
                Kind::Table(next) => {
                    if !h.had {
                        let (ro, no_user, uxn, pxn) = above;
                        let of = |bit| bits(d, bit, bit);
                        above = (ro | of(62), no_user | of(61), uxn | of(60), pxn | of(59));
                    }
                    (table, high, level) = (next, low - 1, level + 1);
                }
                Kind::Leaf(output) => {
                    let leaf = Leaf1 { d, above, bits: low, page, input: va, output };
                    return self.leaf1(cd, leaf, at, pa);
                }
            }
        }
    }

    /// The access flag, permissions and the dirty state of a leaf of stage 1.
    fn leaf1(&mut self, cd: &Words, mut leaf: Leaf1, at: u64, pa: u64) -> Result<Leaf1, End> {
        let (c, d) = (cd[0], leaf.d);
        let ha = set(c, 43);
        if d & AF == 0 && !ha && !set(c, 35) {
            return Err(self.fault1());
        }
        if !stage1_allows(&leaf, cd, self.setting.world, self.access, set(c, 40)) {
            return Err(self.fault1());
        }
        let accessed = if d & AF == 0 && ha { AF } else { 0 };
        let dirty = if self.access.write { d & AP2 } else { 0 };
        if accessed | dirty != 0 {
            if has_stage2(&self.setting.ste) {
                self.stage2(at, For::Update)?;
            }
            self.updates.push(Update { at: pa, old: d, may: accessed | dirty });
            leaf.d ^= dirty;
        }
        Ok(leaf)
    }

    fn stage2(&mut self, ipa: u64, what: For) -> Result<Leaf2, End> {
        let (ste, s) = (self.setting.ste, self.setting.ste[2]);
        let input = 64 - bits(s, 37, 32) as u32;
        let start = granule0(bits(s, 47, 46)).zip(start2(&ste)).filter(|_| ipa >> input == 0);
        let Some((page, mut level)) = start else { return Err(self.fault2()) };
        let output = size(bits(s, 50, 48)).min(format(page));
        let entries = input - span(page, level);
        let (mut table, mut high) = (base(bits(ste[3], 51, 4) << 4, entries, output == 52), input - 1);
        loop {
            let low = span(page, level);
            let at = table + (bits(ipa, high, low) << 3);
            let d = self.memory.get(at).ok_or(End::Abort)?;
            match kind(d, page, level) {
                Kind::Invalid => return Err(self.fault2()),
                Kind::Table(next) | Kind::Leaf(next) if next >> output != 0 => return Err(self.fault2()),
                Kind::Table(next) => (table, high, level) = (next, low - 1, level + 1),
                Kind::Leaf(output) => {
                    let leaf = Leaf2 { d, bits: low, page, input: ipa, output };
                    return self.leaf2(leaf, at, what);
                }
            }
        }
    }

    /// The access flag, permissions and the dirty state of a leaf of stage 2.
    fn leaf2(&mut self, mut leaf: Leaf2, at: u64, what: For) -> Result<Leaf2, End> {
        let (s, d) = (self.setting.ste[2], leaf.d);
        let (ha, hd) = (set(s, 56), set(s, 56) && set(s, 55));
        if d & AF == 0 && !ha && !set(s, 53) {
            return Err(self.fault2());
        }
        let writable = set(d, 7) || hd && set(d, DBM);
        // S2FWB has another encoding of Device memory.
        let device = if set(self.setting.ste[1], 25) { !set(d, 4) } else { bits(d, 5, 4) == 0 };
        let protected = config(&self.setting.ste) == 7 && set(s, 54) && device;
        let allowed = match what {
            For::Output => stage2_allows(d, &self.setting.ste, self.access),
            For::Table => set(d, 6) && !protected,
            For::Update => set(d, 6) && writable && !protected,
        };
        let accessed = if d & AF == 0 && ha { AF } else { 0 };
        if !allowed {
            // Whether it counts as accessed is UNKNOWN (3.13.2).
            self.updates.extend((accessed != 0).then_some(Update { at, old: d, may: accessed }));
            return Err(self.fault2());
        }
        let writes = what == For::Update || what == For::Output && self.access.write;
        let dirty = if writes { !d & AP2 } else { 0 };
        if accessed | dirty != 0 {
            self.updates.push(Update { at, old: d, may: accessed | dirty });
            leaf.d ^= dirty;
        }
        Ok(leaf)
    }
}

/// AP, the execute-nevers, WXN and PAN, under what the tables above say. What hardware makes writable counts as that.
fn stage1_allows(leaf: &Leaf1, cd: &Words, world: World, access: Access, pan: bool) -> bool {
    let (c, d) = (cd[0], leaf.d);
    let (ro, no_user, uxn, pxn) = leaf.above;
    let dirty = set(c, 43) && set(c, 42) && set(d, DBM);
    let writable = (!set(d, 7) || dirty) && ro == 0;
    let wxn = set(c, 36);
    if world == World::El2 {
        return match (access.write, access.instruction) {
            (true, _) => writable,
            (false, true) => !set(d, 54) && uxn == 0 && !(wxn && writable),
            (false, false) => true,
        };
    }
    let user = set(d, 6) && no_user == 0;
    let user_writes = user && writable;
    match (access.write, access.instruction, access.privileged) {
        (true, _, false) => user_writes,
        (true, _, true) => writable && !(pan && user),
        (false, true, false) => !set(d, 54) && uxn == 0 && !(wxn && user_writes),
        (false, true, true) => !(set(d, 53) || pxn != 0 || user_writes || wxn && writable),
        (false, false, false) => user,
        (false, false, true) => !(pan && user),
    }
}

/// S2AP and XN. What hardware makes writable counts as that.
fn stage2_allows(d: u64, ste: &Words, access: Access) -> bool {
    let dirty = set(ste[2], 56) && set(ste[2], 55) && set(d, DBM);
    match (access.write, access.instruction) {
        (true, _) => set(d, 7) || dirty,
        (false, false) => set(d, 6),
        (false, true) => match bits(d, 54, 53) {
            0 => true,
            1 => !access.privileged,
            2 => false,
            _ => access.privileged,
        },
    }
}

/// An address that is translated by no stage must be one that there is.
pub(super) fn bypass(address: u64) -> End {
    if address >> OUTPUT_BITS != 0 { End::Abort } else { End::Through(address) }
}

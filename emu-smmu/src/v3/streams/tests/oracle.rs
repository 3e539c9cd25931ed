//! Random configurations and tables against a slow checker that knows nothing of the code under test: it reads STE, CD and
//! descriptors by the bits of the specification, one stage and one level after the other.

use super::*;

/// What the specification says of a transaction: where it goes, or event, S2 and CLASS.
type Answer = Result<u64, (&'static str, bool, Class)>;

/// What a walk is for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum For {
    Table,
    Output,
}

/// One transaction under one STE and one CD.
struct Oracle<'a> {
    bench: &'a Bench,
    ste: [u64; 8],
    cd: [u64; 8],
    write: bool,
    privileged: bool,
    instruction: bool,
}

const fn bits(value: u64, hi: u32, lo: u32) -> u64 {
    value << (63 - hi) >> (63 - hi + lo)
}

const fn set(value: u64, at: u32) -> bool {
    value >> at & 1 != 0
}

/// log2 of the page, of TG0 and S2TG.
fn granule0(tg: u64) -> u32 {
    [12, 16, 14][tg as usize]
}

/// log2 of the page, of TG1.
fn granule1(tg: u64) -> u32 {
    [0, 14, 12, 16][tg as usize]
}

fn size(ps: u64) -> u32 {
    [32, 36, 40, 42, 44, 48, 52, 52][ps as usize]
}

/// What a table maps at a level: log2.
fn span(page: u32, level: u32) -> u32 {
    page + (page - 3) * (3 - level)
}

/// Blocks exist here, with 52 bits of output.
fn has_block(page: u32, level: u32) -> bool {
    match page {
        12 => level == 1 || level == 2,
        14 => level == 2,
        _ => level == 1 || level == 2,
    }
}

/// The address in a descriptor, of `low` bits of granularity.
fn address(d: u64, page: u32, low: u32) -> u64 {
    let high = if page == 16 { bits(d, 15, 12) << 48 } else { 0 };
    bits(d, 47, 0) >> low << low | high
}

/// The level at which a walk of `input` bits begins at stage 1.
fn start_of(page: u32, input: u32) -> u32 {
    4 - (input - page).div_ceil(page - 3)
}

impl Oracle<'_> {
    fn descriptor(&self, at: u64) -> Option<u64> {
        (RAM..RAM + (1 << 20)).contains(&at).then(|| self.bench.get(at))
    }

    fn nested(&self) -> bool {
        bits(self.ste[0], 3, 1) == 7
    }

    fn answer(&self, va: u64) -> Answer {
        match bits(self.ste[0], 3, 1) {
            5 => self.stage1(va),
            6 if va >> 52 != 0 => Err(("F_ADDR_SIZE", false, Class::In)),
            6 => self.stage2(va, For::Output),
            _ => self.stage1(va).and_then(|ipa| self.stage2(ipa, For::Output)),
        }
    }

    fn stage1(&self, va: u64) -> Answer {
        let c = self.cd[0];
        let fault = |name| Err((name, false, Class::In));
        let upper = set(va, 55);
        let (tsz, page, epd, tbi, ttb, had) = if upper {
            (
                bits(c, 21, 16),
                granule1(bits(c, 23, 22)),
                set(c, 30),
                set(c, 39),
                self.cd[2],
                set(self.cd[2], 1),
            )
        } else {
            (bits(c, 5, 0), granule0(bits(c, 7, 6)), set(c, 14), set(c, 38), self.cd[1], set(self.cd[1], 1))
        };
        let input = 64 - tsz as u32;
        let top = if tbi { 55 } else { 63 };
        let outside = bits(va, top, input) != if upper { bits(u64::MAX, top, input) } else { 0 };
        if epd || outside {
            return fault("F_TRANSLATION");
        }
        let output = size(bits(c, 34, 32)).min(if page == 16 { 52 } else { 48 });
        let wide = page == 16 && output == 52;
        let mut level = start_of(page, input);
        let align = (input - span(page, level) + 3).max(if wide { 6 } else { 0 });
        let mut table = bits(ttb, 51, 4) << 4 >> align << align;
        let mut above = (0, 0, 0, 0);
        let mut high = input - 1;
        loop {
            let low = span(page, level);
            let at = table + (bits(va, high, low) << 3);
            let pa = if self.nested() { self.stage2(at, For::Table)? } else { at };
            let Some(d) = self.descriptor(pa) else { return Err(("F_WALK_EABT", false, Class::Tt)) };
            let leaf = if level == 3 { set(d, 1) } else { !set(d, 1) && has_block(page, level) };
            if !set(d, 0) || !leaf && (level == 3 || !set(d, 1)) {
                return fault("F_TRANSLATION");
            }
            let next = address(d, page, if leaf { low } else { page });
            if next >> output != 0 {
                return fault("F_ADDR_SIZE");
            }
            if leaf {
                if !set(d, 10) && !set(c, 35) {
                    return fault("F_ACCESS");
                }
                return if self.stage1_allows(d, above) {
                    Ok(next | bits(va, low - 1, 0))
                } else {
                    fault("F_PERMISSION")
                };
            }
            if !had {
                let (ro, no_user, uxn, pxn) = above;
                above = (
                    ro | bits(d, 62, 62),
                    no_user | bits(d, 61, 61),
                    uxn | bits(d, 60, 60),
                    pxn | bits(d, 59, 59),
                );
            }
            (table, high, level) = (next, low - 1, level + 1);
        }
    }

    /// AP, the execute-nevers, WXN and PAN, under what the tables above say: APTable[1], APTable[0], UXNTable and PXNTable.
    fn stage1_allows(&self, d: u64, (ro, no_user, uxn, pxn): (u64, u64, u64, u64)) -> bool {
        let c = self.cd[0];
        let writable = !set(d, 7) && ro == 0;
        let user = set(d, 6) && no_user == 0;
        let user_writes = user && writable;
        let wxn = set(c, 36);
        match (self.write, self.instruction, self.privileged) {
            (true, _, false) => user_writes,
            (true, _, true) => writable && !(set(c, 40) && user),
            (false, true, false) => !set(d, 54) && uxn == 0 && !(wxn && user_writes),
            (false, true, true) => !(set(d, 53) || pxn != 0 || user_writes || wxn && writable),
            (false, false, false) => user,
            (false, false, true) => !(set(c, 40) && user),
        }
    }

    fn stage2(&self, ipa: u64, what: For) -> Answer {
        let s = self.ste[2];
        let class = if what == For::Table { Class::Tt } else { Class::In };
        let fault = |name| Err((name, true, class));
        let page = granule0(bits(s, 47, 46));
        let input = 64 - bits(s, 37, 32) as u32;
        if ipa >> input != 0 {
            return fault("F_TRANSLATION");
        }
        let output = size(bits(s, 50, 48)).min(if page == 16 { 52 } else { 48 });
        let sl0 = bits(s, 39, 38) as u32;
        let mut level = if page == 12 { 2 - sl0 } else { 3 - sl0 };
        let wide = page == 16 && output == 52;
        let align = (input - span(page, level) + 3).max(if wide { 6 } else { 0 });
        let mut table = bits(self.ste[3], 51, 4) << 4 >> align << align;
        let mut high = input - 1;
        loop {
            let low = span(page, level);
            let at = table + (bits(ipa, high, low) << 3);
            let Some(d) = self.descriptor(at) else { return fault("F_WALK_EABT") };
            let leaf = if level == 3 { set(d, 1) } else { !set(d, 1) && has_block(page, level) };
            if !set(d, 0) || !leaf && (level == 3 || !set(d, 1)) {
                return fault("F_TRANSLATION");
            }
            let next = address(d, page, if leaf { low } else { page });
            if next >> output != 0 {
                return fault("F_ADDR_SIZE");
            }
            if leaf {
                if !set(d, 10) && !set(s, 53) {
                    return fault("F_ACCESS");
                }
                let device = !set(d, 5) && !set(d, 4);
                let protected = what == For::Table && device && self.nested() && set(s, 54);
                let allowed = !protected && self.stage2_allows(d, what);
                return if allowed { Ok(next | bits(ipa, low - 1, 0)) } else { fault("F_PERMISSION") };
            }
            (table, high, level) = (next, low - 1, level + 1);
        }
    }

    fn stage2_allows(&self, d: u64, what: For) -> bool {
        match (what, self.write, self.instruction) {
            (For::Table, ..) | (For::Output, false, false) => set(d, 6),
            (For::Output, true, _) => set(d, 7),
            (For::Output, false, true) => match bits(d, 54, 53) {
                0 => true,
                1 => !self.privileged,
                2 => false,
                _ => self.privileged,
            },
        }
    }
}

struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, n: u64) -> u64 {
        self.next() % n
    }

    /// True in one of `n` cases.
    fn one_in(&mut self, n: u64) -> bool {
        self.below(n) == 0
    }

    /// The bits of a leaf beside the address: valid, mostly accessed, and anything else.
    fn attributes(&mut self, page: bool) -> u64 {
        let any = self.next() & (7 << 52 | 0xbc0 | 0x3c);
        let accessed = if self.one_in(6) { 0 } else { 1 << 10 };
        let valid = if self.one_in(12) { 0 } else { 1 };
        // Neither DBM nor the Contiguous bit is part of this.
        any & !(1 << 52) | accessed | valid | u64::from(page) << 1
    }
}

/// The tables of one stage: where they begin, log2 of the page, the first level and the bits of the input.
struct Tables {
    at: u64,
    page: u32,
    start: u32,
    input: u32,
    stage1: bool,
}

/// Writes the path of an address down to a leaf.
fn path(bench: &Bench, random: &mut Random, tables: &Tables, address: u64) {
    let Tables { at: first, page, start, input, stage1 } = *tables;
    let (mut table, mut high) = (first, input - 1);
    for level in start..4 {
        let low = span(page, level);
        let at = table + (bits(address, high, low) << 3);
        if !(RAM..RAM + (1 << 20)).contains(&at) {
            return;
        }
        let ends = level == 3 || has_block(page, level) && random.one_in(3);
        let next = first + 0x1_0000 * u64::from(level - start + 1);
        let word = if ends {
            // Sometimes an address beyond what there is, which needs no memory to be judged.
            let output = if random.one_in(8) { random.next() } else { DATA };
            bits(output, 47, 0) >> low << low | random.attributes(level == 3)
        } else {
            let hierarchy = if stage1 && random.one_in(4) { random.next() & 15 << 59 } else { 0 };
            let nowhere = if random.one_in(20) { 1 << 33 } else { 0 };
            next | nowhere | hierarchy | 3
        };
        bench.put(at, &[word]);
        if ends {
            return;
        }
        (table, high) = (next, low - 1);
    }
}

/// Granules: the page's log2, TG0 (and S2TG), TG1.
const GRANULES: [(u32, u64, u64); 3] = [(12, 0, 2), (14, 2, 1), (16, 1, 3)];

#[test]
fn translations_are_what_the_specification_says() {
    let rig = Rig::full();
    let port = rig.port();
    let mut random = Random(0x2545_f491_4f6c_dd1d);
    let mut ends = std::collections::BTreeMap::<String, u32>::new();
    for round in 0..3_000 {
        let config = 5 + random.below(3);
        let (page, tg0, tg1) = GRANULES[random.below(3) as usize];
        let tsz = if page == 16 { 12 + random.below(28) } else { 16 + random.below(24) };
        let ips = random.below(7);
        let upper = random.one_in(3);
        let input = 64 - tsz as u32;
        let mut va = bits(random.next(), input - 1, 0) & !0xfff;
        if upper {
            va |= !0 << input;
        }
        if random.one_in(10) {
            va ^= 1 << (40 + random.below(24));
        }
        let flags = random.next() & (1 << 35 | 1 << 36 | 3 << 38 | 1 << 40);
        let epd = if random.one_in(16) { 1 << 14 } else { 0 };
        let cd0 =
            tsz | tg0 << 6 | tsz << 16 | tg1 << 22 | 1 << 31 | ips << 32 | 1 << 41 | 3 << 45 | flags | epd;
        let had = random.below(2) << 1;
        let ttb = RAM + 0x4_0000;
        let cd = [cd0, ttb | had, ttb | had, 0xff, 0, 0, 0, 0];
        let tables = Tables { at: ttb, page, start: start_of(page, input), input, stage1: true };
        path(&rig.bench, &mut random, &tables, va);

        // Under stage 1, stage 2 maps the first gigabytes by blocks; alone it has a path of its own.
        let (s2page, s2tg, _) = if config == 7 { GRANULES[0] } else { GRANULES[random.below(3) as usize] };
        let s2ttb = RAM + 0xa_0000;
        let (t0sz, sl0) = match s2page {
            12 => (25, 1),
            14 => (17 + random.below(8), 2),
            _ => (22 + random.below(12), 1),
        };
        let s2 =
            random.next() & (1 << 53 | 1 << 54) | t0sz << 32 | sl0 << 38 | s2tg << 46 | 1 << 51 | 1 << 58;
        let s2ps = 2 + random.below(5);
        let ste0 = 1 | config << 1 | CDS;
        let ste = [ste0, 0, s2 | s2ps << 48, s2ttb, 0, 0, 0, 0];
        let address = if config == 6 { bits(random.next(), 63 - t0sz as u32, 0) & !0xfff } else { va };
        if config == 6 {
            let start = if s2page == 12 { 1 } else { 3 - sl0 as u32 };
            let input = 64 - t0sz as u32;
            let tables = Tables { at: s2ttb, page: s2page, start, input, stage1: false };
            path(&rig.bench, &mut random, &tables, address);
        } else {
            let leaf = RAM | random.attributes(false) | if random.one_in(4) { 0 } else { 0xfc };
            rig.bench.put(s2ttb + 8, &[leaf]);
        }

        rig.bench.put(TABLE + u64::from(STREAM) * 64, &ste);
        rig.bench.put(CDS, &cd);
        rig.streams.invalidate_ste(STREAM);
        rig.core.invalidate(&TlbiScope::AllEl1);
        let (write, privileged, instruction) = (random.one_in(3), random.one_in(2), random.one_in(4));
        let oracle =
            Oracle { bench: &rig.bench, ste, cd, write, privileged, instruction: instruction && !write };
        let t = Transaction {
            address,
            access: if write { Access::Write } else { Access::Read },
            privileged,
            instruction,
            ..READ
        };
        // A fault of stage 2 on the CD is another test's.
        if aborted(&rig.streams.verdict(&t)) {
            let events = rig.events();
            assert!(
                config == 7 && record(events[0].kind).class == Class::Cd,
                "{round}: {} {ste:x?}",
                events[0]
            );
            continue;
        }
        let expected = oracle.answer(address);
        let found = rig.streams.walk(&t).way.unwrap().result;
        let attrs = DmaAttrs { privileged, instruction, ..DmaAttrs::default() };
        let done = if write { port.write(attrs, address, b"x") } else { port.read(attrs, address, &mut [0]) };
        let events = rig.events();
        let event = events.first().map(|e| {
            let r = record(e.kind);
            (e.kind.name().1, r.stage2, r.class)
        });
        let what = format!("{round}: {address:#x} {ste:x?} {cd:x?} {expected:x?} {found:x?}");
        match expected {
            Ok(pa) => {
                assert_eq!((found.map(|t| t.pa.0), event), (Ok(pa), None), "{what}");
                assert_eq!(done.is_ok(), (RAM..RAM + (1 << 20)).contains(&pa), "{what}");
            }
            Err(fault) => assert_eq!((done, event), (Err(DmaFault::Abort), Some(fault)), "{what}"),
        }
        let end = expected
            .map_or_else(|(name, s2, class)| format!("{name} {s2} {class:?}"), |_| "passes".to_owned());
        *ends.entry(end).or_default() += 1;
    }
    // All that can happen did.
    assert!(ends["passes"] > 300 && ends.len() >= 12, "{ends:#?}");
}

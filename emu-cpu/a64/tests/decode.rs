//! The decode table against Arm's machine-readable list of A64 encodings.

use std::collections::{HashMap, HashSet};

use emu_a64::decode::{EncodingRow, TABLES, find};

const ENCODINGS: &str = include_str!("data/a64-encodings.tsv");
const UNIMPLEMENTED: &str = include_str!("data/a64-unimplemented.tsv");

/// A set of words: those whose bits under `mask` are `value`.
#[derive(Clone, Copy, PartialEq, Debug)]
struct Cube {
    mask: u32,
    value: u32,
}

impl Cube {
    fn contains(self, other: Self) -> bool {
        self.mask & other.mask == self.mask && other.value & self.mask == self.value
    }
    fn meets(self, other: Self) -> bool {
        (self.value ^ other.value) & self.mask & other.mask == 0
    }
    /// True if each of its words is in one of `parts`.
    fn is_covered_by(self, parts: &[Self]) -> bool {
        let parts: Vec<Self> = parts.iter().copied().filter(|p| p.meets(self)).collect();
        if parts.iter().any(|p| p.contains(self)) {
            return true;
        }
        let Some(split) = parts.first().map(|p| p.mask & !self.mask) else { return false };
        let bit = 1 << split.trailing_zeros();
        [0, bit]
            .into_iter()
            .all(|v| Self { mask: self.mask | bit, value: self.value | v }.is_covered_by(&parts))
    }
}

/// An encoding of the list. Bits that only SHOULD have a value are not fixed: instructions ignore them.
struct Encoding {
    name: &'static str,
    cube: Cube,
}

fn encodings() -> Vec<Encoding> {
    let hex = |s: &str| u32::from_str_radix(s, 16).unwrap();
    let mut list = Vec::new();
    for line in ENCODINGS.lines().filter(|l| !l.starts_with('#')) {
        let f: Vec<&str> = line.split('\t').collect();
        let mask = hex(f[1]) & !hex(f[3]);
        list.push(Encoding { name: f[0], cube: Cube { mask, value: hex(f[2]) & mask } });
    }
    list
}

fn rows() -> impl Iterator<Item = &'static EncodingRow> {
    TABLES.iter().copied().flatten()
}

fn cube(row: &EncodingRow) -> Cube {
    Cube { mask: row.mask, value: row.value }
}

#[test]
fn the_list_is_whole() {
    let list = encodings();
    assert_eq!(list.len(), 4431);
    assert_eq!(list.iter().map(|e| e.name).collect::<HashSet<_>>().len(), 4431);
}

/// A row has the name of an encoding that it contains, and its pattern is exactly the encodings that it stands for; or it
/// is a part of the encoding that it has the name of.
#[test]
fn rows_are_unions_of_encodings() {
    let list = encodings();
    let by_name: HashMap<_, _> = list.iter().map(|e| (e.name, e.cube)).collect();
    for row in rows() {
        let named = by_name.get(row.name).unwrap_or_else(|| panic!("{}: no such encoding", row.name));
        // A row may also be a part of its encoding: the fixed-point conversions are split by immh.
        if named.contains(cube(row)) {
            continue;
        }
        assert!(cube(row).contains(*named), "{}: the pattern does not contain the encoding's", row.name);
        let parts: Vec<Cube> = list.iter().map(|e| e.cube).filter(|c| cube(row).contains(*c)).collect();
        assert!(cube(row).is_covered_by(&parts), "{}: the pattern has words that no encoding has", row.name);
    }
}

/// Where two rows overlap, one has more fixed bits, so the choice does not hang on their order.
#[test]
fn overlapping_rows_differ_in_specificity() {
    let all: Vec<_> = rows().collect();
    for (i, a) in all.iter().enumerate() {
        for b in &all[i + 1..] {
            let same = a.mask.count_ones() == b.mask.count_ones();
            assert!(!(same && cube(a).meets(cube(b))), "{} and {} overlap", a.name, b.name);
        }
    }
}

#[test]
fn find_gives_the_most_specific_row() {
    // A fixed pseudo-random walk, through all rows: each row's free bits, filled in.
    let mut x = 0x9e37_79b9u32;
    for row in rows() {
        for _ in 0..64 {
            x ^= x << 13;
            x ^= x >> 17;
            x ^= x << 5;
            let word = row.value | x & !row.mask;
            let want = rows()
                .filter(|r| word & r.mask == r.value)
                .max_by_key(|r| r.mask.count_ones())
                .map(|r| r.name);
            assert_eq!(find(word).map(|r| r.name), want, "{word:08x}");
        }
    }
    assert!(find(0xffff_ffff).is_none());
    assert_eq!(find(0xd503_201f).map(|r| r.name), Some("NOP_HI_hints"));
    assert_eq!(find(0x8b02_0020).map(|r| r.name), Some("ADD_32_addsub_shift"));
}

/// True if the table executes words of the encoding by a row that stands for it, rather than by a more general one.
fn implemented(e: &Encoding, by_name: &HashMap<&str, Cube>) -> bool {
    let best = rows().filter(|r| cube(r).contains(e.cube)).max_by_key(|r| r.mask.count_ones());
    let in_parts = rows().any(|r| r.name == e.name && e.cube.contains(cube(r)));
    in_parts || best.is_some_and(|r| r.name == e.name || !by_name[r.name].contains(e.cube))
}

/// Every encoding is implemented or in the list of those that are not. With `UPDATE_GOLDEN=1` in the environment, entries of the
/// list that have become implemented are taken out of it.
#[test]
fn every_encoding_is_implemented_or_listed() {
    let list = encodings();
    let by_name: HashMap<_, _> = list.iter().map(|e| (e.name, e.cube)).collect();
    let done: HashSet<_> = list.iter().filter(|e| implemented(e, &by_name)).map(|e| e.name).collect();
    let entries =
        UNIMPLEMENTED.lines().filter(|l| !l.starts_with('#')).map(|l| l.split_once('\t').unwrap().1);
    let listed: HashSet<_> = entries.collect();

    let missing: Vec<_> =
        list.iter().map(|e| e.name).filter(|n| !done.contains(n) && !listed.contains(n)).collect();
    assert!(missing.is_empty(), "neither implemented nor listed: {missing:?}");
    let unknown: Vec<_> = listed.iter().filter(|n| !by_name.contains_key(*n)).collect();
    assert!(unknown.is_empty(), "listed, but there is no such encoding: {unknown:?}");
    let stale: Vec<_> = listed.iter().filter(|n| done.contains(*n)).collect();
    if !stale.is_empty() && std::env::var_os("UPDATE_GOLDEN").is_some() {
        let keep = |l: &&str| l.split_once('\t').is_none_or(|(_, n)| !done.contains(n));
        let text: String = UNIMPLEMENTED.lines().filter(keep).flat_map(|l| [l, "\n"]).collect();
        std::fs::write(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/a64-unimplemented.tsv"), text)
            .unwrap();
        return;
    }
    assert!(
        stale.is_empty(),
        "implemented, but listed as not (UPDATE_GOLDEN=1 corrects the list): {stale:?}"
    );
}

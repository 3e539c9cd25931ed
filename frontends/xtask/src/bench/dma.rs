//! The group `dma`: what the System MMU costs.
//!
//! Its first half is measured without a guest, by a benchmark of the crate that translates (`emu-smmu/benches/dma`), on our side
//! alone. The other half is reads of a disk in a guest whose kernel treats the SMMU in one way or another, on both emulators:
//! their names are `BENCHMARK@WAY`.

use super::report::{NONE, Row};
use super::results::{Figures, Results};
use super::statistics::ratio;
use super::suite::Benchmark;

/// The group's name.
pub(super) const GROUP: &str = "dma";

const fn one(name: &'static str, what: &'static str) -> Benchmark {
    Benchmark { group: GROUP, name, what }
}

/// What `emu-smmu/benches/dma` measures.
const NATIVE: [Benchmark; 15] = [
    one("direct", "a device reads 8 bytes of one of 128 pages, with no SMMU"),
    one("bypass", "the same through an SMMU that the stream bypasses"),
    one("hit", "the same translated, by what the port remembers"),
    one("hit2", "the same from two threads, a port each"),
    one("hit4k", "a device reads all of one of 128 pages, translated by what the port remembers"),
    one("directmany", "a device reads 8 bytes of one of 4,096 pages, with no SMMU"),
    one("hitmany", "the same translated"),
    one("hitmany2", "the same from two threads, a port each"),
    one(
        "mainhit",
        "the same from one, translated by the main TLB after what the port remembers was invalidated",
    ),
    one("mainhit2", "the same from two threads, a port each"),
    one("rewalk", "CMD_TLBI_NH_VA and CMD_SYNC for a page, and an access that walks the tables"),
    one(
        "blk4k",
        "a virtio disk reads 4 KiB, its queue and all buffers known beforehand, through an SMMU that it bypasses",
    ),
    one("blk4ks1", "the same translated, all of it mapped for good"),
    one("blk256k", "the disk reads 256 KiB into 64 pages, bypassing"),
    one("blk256ks1", "the same translated, all of it mapped for good"),
];

/// What the guest's program measures (`tests/bench/disk.c`), in one guest after the other.
const DISK: [Benchmark; 6] = [
    one("disk4k@bypass", "256 direct reads of 4 KiB from a virtio disk behind the SMMU, not translated"),
    one("disk256k@bypass", "4 direct reads of 256 KiB, not translated"),
    one("disk4k@lazy", "the reads of 4 KiB translated, what was mapped for them taken away at leisure"),
    one("disk256k@lazy", "the reads of 256 KiB translated, what was mapped for them taken away at leisure"),
    one("disk4k@strict", "the reads of 4 KiB translated, what was mapped for them taken away after each"),
    one("disk256k@strict", "the reads of 256 KiB translated, what was mapped for them taken away after each"),
];

/// Those of them that are translated, and the same bypassing.
const TRANSLATED: [(&str, &str); 2] = [("blk4ks1", "blk4k"), ("blk256ks1", "blk256k")];

/// How a guest's kernel uses the SMMU.
#[derive(Debug)]
pub(super) struct Way {
    name: &'static str,
    /// What says so on its command line.
    pub(super) append: &'static str,
}

/// What others are compared with.
const BYPASS: Way = Way { name: "bypass", append: "iommu.passthrough=1" };

/// All ways. The device and its driver take part in the SMMU in each.
pub(super) const WAYS: [Way; 3] = [
    BYPASS,
    Way { name: "lazy", append: "iommu.passthrough=0 iommu.strict=0" },
    Way { name: "strict", append: "iommu.passthrough=0 iommu.strict=1" },
];

impl Way {
    /// Whether the benchmark runs in such a guest.
    pub(super) fn has(&self, name: &str) -> bool {
        name.split_once('@').is_some_and(|(_, way)| way == self.name)
    }
}

/// The whole group.
pub(super) fn all() -> impl Iterator<Item = Benchmark> {
    NATIVE.into_iter().chain(DISK)
}

/// Whether the benchmark needs no guest.
pub(super) fn is_native(name: &str) -> bool {
    NATIVE.iter().any(|b| b.name == name)
}

/// Whether it needs a guest with a disk behind the SMMU.
pub(super) fn is_of_disk(name: &str) -> bool {
    DISK.iter().any(|b| b.name == name)
}

/// How fast reads are that are translated, against those that are not, on each machine: lines for below the table.
pub(super) fn shares(
    suite: &[Benchmark],
    machines: &[&'static str],
    results: &Results,
    columns: usize,
) -> Vec<Row> {
    let in_suite = |name: &str| suite.iter().any(|b| b.name == name);
    let row = |title: String, name: &str, base: &str, figure: fn(Figures) -> f64| {
        let share = |machine: &&'static str| {
            let of = |name| results.figures(machine, name).map(figure);
            ratio(of(base), of(name)).map_or(NONE.to_owned(), |r| format!("{:.0} %", 100.0 * r))
        };
        let mut row: Row = [title].into_iter().chain(machines.iter().map(share)).collect();
        row.resize(columns, String::new());
        row
    };
    let mut rows = Vec::new();
    for (name, base) in TRANSLATED.into_iter().filter(|(name, base)| in_suite(name) && in_suite(base)) {
        rows.push(row(format!("{base}: S1 against bypass"), name, base, |f| f.ns));
    }
    for name in suite.iter().map(|b| b.name).filter(|name| is_of_disk(name) && !BYPASS.has(name)) {
        let Some((program, _)) = name.split_once('@') else { continue };
        let base = format!("{program}@{}", BYPASS.name);
        if in_suite(&base) {
            rows.push(row(format!("{name} against {}", BYPASS.name), name, &base, |f| f.ns));
            rows.push(row(format!("{name} against {} by CPU", BYPASS.name), name, &base, |f| f.cpu_ns));
        }
    }
    rows
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::cpu_time::CpuTime;
    use crate::bench::measure::{Outcome, Sample};
    use crate::bench::suite;

    #[test]
    fn each_is_measured_in_one_place() {
        for b in all() {
            assert!(!crate::bench::block::has(b.name));
            let guests = WAYS.iter().filter(|way| way.has(b.name)).count();
            assert_eq!(
                (is_native(b.name), is_of_disk(b.name), guests),
                match b.name.contains('@') {
                    true => (false, true, 1),
                    false => (true, false, 0),
                }
            );
        }
        assert!(!is_native("fib") && !is_of_disk("fib") && !WAYS[0].has("fib"));
    }

    #[test]
    fn twice_as_long_is_half_as_fast() {
        let only = ["disk4k@bypass", "disk4k@strict", "disk256k@lazy", "blk4k", "blk4ks1", "blk256k"];
        let suite = suite::select(&only.map(str::to_owned));
        let mut results = Results::default();
        for (name, ns, user) in [
            ("disk4k@bypass", 100.0, 90.0),
            ("disk4k@strict", 200.0, 100.0),
            ("blk4k", 300.0, 0.0),
            ("blk4ks1", 400.0, 0.0),
        ] {
            let cpu = CpuTime { user, system: 0.0 };
            results.add("ours", name, Outcome::Measured(Sample { ns, cpu, rounds: 1, check: 1 }));
        }
        let rows = shares(&suite.unwrap(), &["ours", "peer"], &results, 5);
        assert_eq!(rows[0], ["blk4k: S1 against bypass", "75 %", "-", "", ""]);
        assert_eq!(rows[1], ["disk4k@strict against bypass", "50 %", "-", "", ""]);
        assert_eq!(rows[2], ["disk4k@strict against bypass by CPU", "90 %", "-", "", ""]);
        assert_eq!(rows.len(), 3, "there is nothing to compare the others with");
    }
}

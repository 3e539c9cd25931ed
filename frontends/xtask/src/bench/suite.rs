//! The benchmarks: what there is, and which of it is wanted.

use super::{block, dma};
use crate::process::Failure;

/// The list that the guest's program is compiled from, too.
const LIST: &str = include_str!("../../../../tests/bench/list.h");

/// One benchmark.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Benchmark {
    /// Benchmarks of a group have their geometric mean in the report.
    pub(crate) group: &'static str,
    /// Unique; also what the guest's program calls it.
    pub(crate) name: &'static str,
    /// What one round does.
    pub(crate) what: &'static str,
}

/// The one that has no kernel below it.
pub(crate) const ALIGNED: Benchmark = Benchmark {
    group: "bare",
    name: "aligned",
    what: "sort 2048 numbers at EL2 while SCTLR_EL2.A checks the alignment of every access",
};

/// The one that is no program in the guest: the start of the guest itself.
pub(crate) const BOOT: Benchmark = Benchmark {
    group: "boot",
    name: "boot",
    what: "Debian's kernel from the start of the emulator to a shell, the host's time",
};

/// All benchmarks, in the order of the report. Those of the list that are about the System MMU or about disks run in several kinds of guests.
pub(crate) fn all() -> Vec<Benchmark> {
    let listed = LIST.lines().filter_map(entry).filter(|b| ![dma::GROUP, block::GROUP].contains(&b.group));
    listed.chain([ALIGNED, BOOT]).chain(dma::all()).chain(block::all()).collect()
}

/// `BENCH(group, name, "what")`.
fn entry(line: &'static str) -> Option<Benchmark> {
    let inside = line.strip_prefix("BENCH(")?.strip_suffix(')')?;
    let (group, rest) = inside.split_once(", ")?;
    let (name, what) = rest.split_once(", ")?;
    Some(Benchmark { group, name, what: what.trim_matches('"') })
}

/// The benchmarks whose name or group is in `only`; all if that is empty.
pub(crate) fn select(only: &[String]) -> Result<Vec<Benchmark>, Failure> {
    let all = all();
    let wanted = |b: &Benchmark, word: &String| b.name == word || b.group == word;
    if let Some(word) = only.iter().find(|word| !all.iter().any(|b| wanted(b, word))) {
        let names: Vec<_> = all.iter().map(|b| format!("{}/{}", b.group, b.name)).collect();
        return Err(format!(
            "'{word}' given with --only is no benchmark and no group (there are {})",
            names.join(" ")
        ));
    }
    Ok(all.into_iter().filter(|b| only.is_empty() || only.iter().any(|word| wanted(b, word))).collect())
}

/// The benchmarks as a table for `--list`.
pub(crate) fn listing() -> String {
    all().iter().map(|b| format!("{:<9}{:<16}{}\n", b.group, b.name, b.what)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_of_the_list_is_understood() {
        let lines = LIST.lines().filter(|l| l.starts_with("BENCH"));
        let (of_block, lines): (Vec<_>, Vec<_>) = lines.partition(|l| l.starts_with("BENCH(block, "));
        let (of_disk, others): (Vec<_>, Vec<_>) =
            lines.into_iter().partition(|l| l.starts_with("BENCH(dma, "));
        let all = all();
        assert_eq!(all.len(), others.len() + 2 + dma::all().count() + block::all().count());
        for name in of_disk.into_iter().filter_map(entry).map(|b| b.name) {
            assert_eq!(
                all.iter().filter(|b| b.name.starts_with(&format!("{name}@"))).count(),
                dma::WAYS.len()
            );
        }
        for name in of_block.into_iter().filter_map(entry).map(|b| b.name) {
            let of = |b: &&Benchmark| b.group == block::GROUP && b.name.split('@').next() == Some(name);
            assert_eq!(all.iter().filter(of).count(), block::DEVICES.len(), "{name}");
        }
        for (i, b) in all.iter().enumerate() {
            assert!(!b.what.is_empty() && !b.what.contains('"'), "{b:?}");
            assert!(all[..i].iter().all(|other| other.name != b.name), "{b:?} is there twice");
        }
    }

    #[test]
    fn selection_by_name_and_by_group() {
        let only = |words: &[&str]| select(&words.iter().map(|w| (*w).to_owned()).collect::<Vec<_>>());
        let names = |words: &[&str]| only(words).unwrap().iter().map(|b| b.name).collect::<Vec<_>>();
        assert_eq!(names(&["fib", "memory"]), ["fib", "memcpy", "strings"]);
        assert_eq!(names(&[]).len(), all().len());
        assert!(only(&["fibb"]).unwrap_err().starts_with("'fibb' given with --only is no benchmark"));
    }
}

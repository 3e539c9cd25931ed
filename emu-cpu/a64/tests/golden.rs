//! The IR of chosen instructions as text, and text as IR.

use emu_a64::decode::TABLES;
use emu_a64::features::{Feat, FeatureSet};
use emu_a64::ir::{Block, Op, parse};
use emu_a64::level::El;
use emu_a64::lower::{Implementation, translate};
use emu_a64::mode::Mode;

const GOLDEN: &str = include_str!("golden/base.ir");

fn lower(words: &[u32]) -> Block {
    let mode = Mode { el: El::El1, fp_enabled: true, ..Mode::default() };
    let all = Implementation::cautious(FeatureSet::of(Feat::ALL));
    translate(|rel| words.get(rel as usize / 4).copied(), all, mode, 64)
}

/// The words of a section: those of its lines `+0x0: 8b020020`.
fn words(section: &str) -> Vec<u32> {
    let word = |line: &str| u32::from_str_radix(line.strip_prefix('+')?.split_once(": ")?.1, 16).ok();
    section.lines().filter_map(word).collect()
}

/// Sections are separated by empty lines and begin with a comment. `UPDATE_GOLDEN=1` in the environment writes them anew.
#[test]
fn lowerings_are_as_recorded() {
    let mut written = Vec::new();
    for section in GOLDEN.trim_end().split("\n\n") {
        let (comment, text) = section.split_once('\n').unwrap();
        let block = lower(&words(section));
        written.push(format!("{comment}\n{}", block.to_string().trim_end()));
        if std::env::var_os("UPDATE_GOLDEN").is_none() {
            assert_eq!(block.to_string().trim_end(), text.trim_end(), "{comment}");
            assert_eq!(parse(text).as_ref(), Ok(&block), "{comment}");
        }
    }
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/base.ir");
        std::fs::write(path, written.join("\n\n") + "\n").unwrap();
    }
}

/// What is printed is read back, for words of every row. (Vector and FP operations cannot be read.)
#[test]
fn text_is_read_back() {
    let mut x = 0x2545_f491u32;
    for row in TABLES.iter().copied().flatten() {
        for _ in 0..32 {
            x ^= x << 13;
            x ^= x >> 17;
            x ^= x << 5;
            let block = lower(&[row.value | x & !row.mask]);
            if block.insts.iter().any(|i| matches!(i.op, Op::Vec { .. } | Op::Fp { .. })) {
                continue;
            }
            let text = block.to_string();
            assert_eq!(parse(&text), Ok(block), "{}\n{text}", row.name);
        }
    }
}

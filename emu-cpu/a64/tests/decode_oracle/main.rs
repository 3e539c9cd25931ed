//! The decoder against independent decoders: which words are allocated, and as what.
//!
//! - `../data/a64-vectors.tsv.gz`: word and mnemonic of each case of `tests/test_cases.txt` of the crate bad64 0.13.0
//!   (Apache-2.0, https://github.com/yrp604/bad64).
//! - `../data/a64-random.txt.gz`: what a disassembler (GNU binutils 2.40, aliases off) calls the first words of [`Words`];
//!   `-` is unallocated, `!` after a mnemonic marks what it calls unpredictable.
//! - `../data/a64-mnemonics.tsv`: rows of the decode table whose words have other mnemonics than the row's name says:
//!   aliases, and the sizes and orderings that one row stands for.
//! - `../data/a64-disagreements.tsv`: words on which a decoder and ours do not agree, and why ours is right.
//!
//! The ignored test `random_words_live` runs the disassembler itself, named by `A64_OBJDUMP`, on `A64_WORDS` words;
//! `record_random` makes the recording anew.

mod expectations;
mod live;

use std::fs::File;
use std::io::{Read, Write};
use std::path::PathBuf;

use emu_a64::decode;
use emu_a64::features::{Feat, FeatureSet};
use emu_a64::ir::{ExcOp, Term};
use emu_a64::level::El;
use emu_a64::lower::{Implementation, translate};
use emu_a64::mode::Mode;
use emu_core::random::SplitMix64;
use expectations::{Expectations, Oracle};
use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;

/// The random words: high halves of SplitMix64's.
struct Words(SplitMix64);

impl Iterator for Words {
    type Item = u32;
    fn next(&mut self) -> Option<u32> {
        Some((self.0.number() >> 32) as u32)
    }
}

const SEED: u64 = 2026;
/// Words in the recording.
const RECORDED: usize = 400_000;

/// The row of a word that we execute; `None` if it is UNDEFINED.
fn ours(word: u32) -> Option<&'static str> {
    let mode = Mode { el: El::El2, fp_enabled: true, mops: true, ..Mode::default() };
    let block = translate(
        |rel| (rel == 0).then_some(word),
        Implementation::cautious(FeatureSet::of(Feat::ALL)),
        mode,
        1,
    );
    let undefined = block.term == Term::Exception(ExcOp::Undefined);
    decode::find(word).map(|row| row.name).filter(|_| !undefined)
}

fn unpack(name: &str) -> String {
    let mut text = String::new();
    GzDecoder::new(File::open(data(name)).unwrap()).read_to_string(&mut text).unwrap();
    text
}

/// Where a file of recorded data is; read when the test runs, so that a new recording needs no compiler.
fn data(name: &str) -> PathBuf {
    [env!("CARGO_MANIFEST_DIR"), "tests/data", name].iter().collect()
}

#[test]
fn vectors() {
    let text = unpack("a64-vectors.tsv.gz");
    let mut e = Expectations::read(Oracle::Vectors);
    for line in text.lines().filter(|l| !l.starts_with('#')) {
        let (word, mnemonic) = line.split_once('\t').unwrap();
        let word = u32::from_str_radix(word, 16).unwrap();
        e.check(word, ours(word), (mnemonic != "-").then_some(mnemonic));
    }
    e.finish(42_000);
}

#[test]
fn random_words() {
    let text = unpack("a64-random.txt.gz");
    let mut e = Expectations::read(Oracle::Disassembler);
    for (word, mnemonic) in Words(SplitMix64::new(SEED)).zip(text.lines()) {
        e.check(word, ours(word), (mnemonic != "-").then_some(mnemonic));
    }
    e.finish(RECORDED);
}

#[test]
#[ignore = "needs a disassembler"]
fn random_words_live() {
    let Some(tool) = std::env::var_os("A64_OBJDUMP") else {
        return println!("skipped: A64_OBJDUMP names no disassembler");
    };
    let total: usize = std::env::var("A64_WORDS").ok().and_then(|n| n.parse().ok()).unwrap_or(10_000_000);
    let mut e = Expectations::read(Oracle::Disassembler);
    let mut words = Words(SplitMix64::new(SEED));
    let mut left = total;
    while left > 0 {
        let chunk: Vec<u32> = words.by_ref().take(left.min(1 << 20)).collect();
        left -= chunk.len();
        live::disassemble(&tool, &chunk, |i, mnemonic| e.check(chunk[i], ours(chunk[i]), mnemonic));
    }
    e.finish(total);
}

#[test]
#[ignore = "used to make a new recording"]
fn record_random() {
    let Some(tool) = std::env::var_os("A64_OBJDUMP") else {
        return println!("skipped: A64_OBJDUMP names no disassembler");
    };
    let words: Vec<u32> = Words(SplitMix64::new(SEED)).take(RECORDED).collect();
    let mut out = GzEncoder::new(File::create(data("a64-random.txt.gz")).unwrap(), Compression::best());
    live::disassemble(&tool, &words, |_, m| writeln!(out, "{}", m.unwrap_or("-")).unwrap());
    out.finish().unwrap();
}

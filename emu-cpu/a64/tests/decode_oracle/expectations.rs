//! What is known about differences between our decoder and others.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

/// Fields of the lines of a list; they live as long as the test.
fn lines(name: &str) -> impl Iterator<Item = Vec<&'static str>> + use<'_> {
    let text: &'static str = std::fs::read_to_string(crate::data(name)).unwrap().leak();
    text.lines().filter(|l| !l.starts_with('#')).map(|l| l.split('\t').collect())
}

/// Who says.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Oracle {
    Vectors,
    Disassembler,
}

impl Oracle {
    fn name(self) -> &'static str {
        match self {
            Self::Vectors => "vectors",
            Self::Disassembler => "disassembler",
        }
    }
}

/// Words that the oracle and we decode differently.
struct Disagreement {
    mask: u32,
    value: u32,
    /// We have it, and the oracle has not; else the other way round.
    we_have: bool,
    reason: &'static str,
}

/// The lists, and what a run finds.
pub(crate) struct Expectations {
    /// Mask, value and name of Arm's encodings, the most specific first.
    encodings: Vec<(u32, u32, &'static str)>,
    unimplemented: HashSet<&'static str>,
    mnemonics: HashMap<&'static str, HashSet<&'static str>>,
    disagreements: Vec<Disagreement>,
    words: usize,
    agreed: usize,
    later: usize,
    explained: BTreeMap<&'static str, usize>,
    wrong: Vec<String>,
    kinds: BTreeMap<String, (u32, usize)>,
    /// Pairs of a row and a mnemonic that are not in the list.
    pairs: BTreeSet<(String, String)>,
}

fn hex(s: &str) -> u32 {
    u32::from_str_radix(s, 16).unwrap()
}

impl Expectations {
    pub(crate) fn read(oracle: Oracle) -> Self {
        let mut encodings: Vec<_> = lines("a64-encodings.tsv")
            .map(|f| (hex(f[1]) & !hex(f[3]), hex(f[2]) & hex(f[1]) & !hex(f[3]), f[0]))
            .collect();
        encodings.sort_by_key(|e| std::cmp::Reverse(e.0.count_ones()));
        let disagreements = lines("a64-disagreements.tsv")
            .filter(|f| f[0] == oracle.name() || f[0] == "all")
            .map(|f| Disagreement {
                mask: hex(f[1]),
                value: hex(f[2]),
                we_have: match f[3] {
                    "allocated" => true,
                    "undefined" => false,
                    other => panic!("ours is allocated or undefined, not {other}"),
                },
                reason: f[4],
            })
            .collect();
        Self {
            encodings,
            unimplemented: lines("a64-unimplemented.tsv").map(|f| f[1]).collect(),
            mnemonics: lines("a64-mnemonics.tsv").map(|f| (f[0], f[1].split(' ').collect())).collect(),
            disagreements,
            words: 0,
            agreed: 0,
            later: 0,
            explained: BTreeMap::new(),
            wrong: Vec::new(),
            kinds: BTreeMap::new(),
            pairs: BTreeSet::new(),
        }
    }

    fn same(&self, row: &str, mnemonic: &str) -> bool {
        let own = row.split('_').next().unwrap_or(row);
        own.eq_ignore_ascii_case(mnemonic) || self.mnemonics.get(row).is_some_and(|m| m.contains(mnemonic))
    }

    /// The encoding of a word in Arm's list.
    fn encoding(&self, word: u32) -> Option<&'static str> {
        self.encodings.iter().find(|(mask, value, _)| word & mask == *value).map(|e| e.2)
    }

    /// Compares what we and the oracle make of a word.
    pub(crate) fn check(&mut self, word: u32, ours: Option<&'static str>, oracle: Option<&str>) {
        self.words += 1;
        let mnemonic = oracle.map(|m| m.trim_end_matches('!'));
        match (ours, mnemonic) {
            (None, None) => self.agreed += 1,
            (Some(row), Some(m)) if self.same(row, m) => self.agreed += 1,
            (Some(row), Some(m)) => {
                self.pairs.insert((row.into(), m.into()));
                self.differ(word, format!("{row} is called {m}"));
            }
            _ => {
                let known = |d: &&Disagreement| word & d.mask == d.value && d.we_have == ours.is_some();
                if let Some(d) = self.disagreements.iter().find(known) {
                    *self.explained.entry(d.reason).or_default() += 1;
                } else if ours.is_none() && oracle.is_some_and(|m| m.ends_with('!')) {
                    *self
                        .explained
                        .entry("CONSTRAINED UNPREDICTABLE, UNDEFINED is one of the choices")
                        .or_default() += 1;
                } else if ours.is_none()
                    && self.encoding(word).is_some_and(|n| self.unimplemented.contains(n))
                {
                    self.later += 1;
                } else {
                    let encoding = self.encoding(word).unwrap_or("no encoding");
                    self.differ(
                        word,
                        format!(
                            "{} for us, {} for the oracle, {encoding}",
                            ours.unwrap_or("UNDEFINED"),
                            oracle.unwrap_or("unallocated")
                        ),
                    );
                }
            }
        }
    }

    fn differ(&mut self, word: u32, what: String) {
        let kind = self.kinds.entry(what).or_insert((word, 0));
        kind.1 += 1;
    }

    /// Prints the balance and fails if there is anything unexplained. With `UPDATE_GOLDEN=1`, prints the lines that the list of
    /// mnemonics lacks, to be read and added by hand.
    pub(crate) fn finish(mut self, at_least: usize) {
        println!("{} words: {} agree, {} of extensions not implemented", self.words, self.agreed, self.later);
        for (reason, n) in &self.explained {
            println!("{n:8} {reason}");
        }
        if std::env::var_os("UPDATE_GOLDEN").is_some() {
            self.pairs.iter().for_each(|(row, m)| println!("pair\t{row}\t{m}"));
        }
        self.wrong.extend(self.kinds.iter().map(|(k, (word, n))| format!("{word:08x} and {n} in all: {k}")));
        assert!(self.words >= at_least, "only {} words", self.words);
        assert!(
            self.wrong.is_empty(),
            "{} kinds of difference:\n{}",
            self.wrong.len(),
            self.wrong.join("\n")
        );
    }
}

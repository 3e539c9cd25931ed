//! The memory-model litmus set: what other PEs may see of a few instructions, and what they must not.
//!
//! A [`Litmus`] is a program for each of two to four PEs, the values that are looked at after one round of it, and all
//! outcomes: those of some interleaving of the instructions, those that only a relaxed memory model allows, and those that
//! the architecture forbids. Names are those of the herd tools: MP is message passing, SB store buffering, LB load buffering;
//! behind "+" is what orders the two accesses of each thread. `harness` runs many rounds of it, each on cache lines of
//! its own, and counts the outcomes; `cargo run --release -p understage-tests --bin litmus` prints them.
//!
//! # Reading a test
//! X10, X11, X12 hold the addresses of the locations x, y, z, which are 0 at first. X1 is 1 and X2 is 2. The results of a
//! thread are in X4 to X7, which are 0 at first; X0, X3 and X15 to X18 are for what is in between. An outcome is a digit
//! for each value that is observed, in this order (7: a value above 6).
//!
//! Sections are those of the Arm ARM (DDI 0487). Those of B2.3, the definition of the memory model, are given by the name of
//! the relation or requirement, since their numbers differ between issues.

mod harness;

mod atomics;
mod buffering;
mod causality;
mod code;
mod coherence;
mod exclusives;
mod message_passing;
mod overwriting;
mod single_copy;
mod translation;

use super::cases::Needs;
use super::program::Program;

pub use harness::{Assembled, BATCH};

/// What can be observed at most.
pub const MAX_OBSERVED: usize = 5;
/// An observed value above 6 counts as this.
pub const OTHER: u8 = 7;

/// Emits one round of one PE.
pub(super) type Thread = fn(&mut Program);

/// A location.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Location {
    /// At X10.
    X,
    /// At X11.
    Y,
    /// At X12.
    Z,
}

/// A value that belongs to the outcome.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Observed {
    /// A register (4 to 7) of a thread, at the end of its round.
    Reg(u8, u8),
    /// A location, when all threads are through.
    Final(Location),
}

/// What z is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Third {
    /// Memory.
    Data,
    /// A translation table descriptor: X29 is a virtual address that it translates to x. The doubleword behind it is a
    /// descriptor for y, in the place of which no address is used. A translation or permission fault sets X7 to 1 and goes on behind the
    /// instruction.
    Descriptor,
    /// A function that leaves X5 alone. With a branch (X3 is the instruction) at its start, it sets X5 to 1.
    Code,
}

/// A test that says nothing yet: what is the same in most tests.
const BLANK: Litmus = Litmus {
    name: "",
    section: "",
    needs: Needs::V80,
    third: Third::Data,
    threads: &[],
    observed: &[],
    allowed: &[],
    weak: &[],
    forbidden: &[],
};

/// A litmus test. See the module's head.
#[derive(Clone, Copy)]
pub struct Litmus {
    /// Unique.
    pub name: &'static str,
    /// The section of the Arm ARM that decides, and what it says there.
    pub section: &'static str,
    /// What it needs.
    pub needs: Needs,
    /// What z is.
    pub third: Third,
    /// The program of each PE.
    pub(super) threads: &'static [Thread],
    /// What an outcome consists of.
    pub observed: &'static [Observed],
    /// Outcomes of some interleaving. In all three lists `_` is 0 or 1.
    pub allowed: &'static [&'static str],
    /// More outcomes that the architecture allows.
    pub weak: &'static [&'static str],
    /// Outcomes that it forbids for the reason given; what is in no list is forbidden, too.
    pub forbidden: &'static [&'static str],
}

/// What an outcome is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// Of some interleaving.
    Allowed,
    /// Allowed, but of no interleaving.
    Weak,
    /// A violation of what the test is about.
    Forbidden,
    /// Nothing that the program could compute on any machine.
    Impossible,
}

/// How often an outcome was seen.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Count {
    /// The digits.
    pub outcome: String,
    /// What it is.
    pub kind: Kind,
    /// Rounds.
    pub rounds: u64,
}

impl Litmus {
    /// PEs that it needs.
    #[must_use]
    pub const fn pes(&self) -> usize {
        self.threads.len()
    }

    /// Assembles a program that runs at least so many rounds.
    #[must_use]
    pub fn assemble(&self, rounds: u64) -> Assembled {
        harness::assemble(self, rounds)
    }

    /// The same test with another opinion about the outcomes: those that `other` allows. With it, a test of the tests shows
    /// that they can fail.
    #[must_use]
    pub const fn judged_by(self, other: &Self) -> Self {
        Self { allowed: other.allowed, weak: other.weak, forbidden: other.forbidden, ..self }
    }

    /// What an outcome is. The more special list comes first, for patterns may overlap.
    #[must_use]
    pub fn judge(&self, outcome: &str) -> Kind {
        let is_in = |list: &[&str]| list.iter().any(|pattern| matches(pattern, outcome));
        if is_in(self.forbidden) {
            Kind::Forbidden
        } else if is_in(self.weak) {
            Kind::Weak
        } else if is_in(self.allowed) {
            Kind::Allowed
        } else {
            Kind::Impossible
        }
    }

    /// The outcomes that were seen, by the counters that an assembled program leaves behind.
    #[must_use]
    pub fn counts(&self, counters: &[u64]) -> Vec<Count> {
        let seen = counters.iter().enumerate().filter(|(_, rounds)| **rounds > 0);
        seen.map(|(key, &rounds)| {
            let digit = |i: usize| (b'0' + (key >> (3 * i) & 7) as u8) as char;
            let outcome: String = (0..self.observed.len()).rev().map(digit).collect();
            Count { kind: self.judge(&outcome), outcome, rounds }
        })
        .collect()
    }

    /// The observed values by name, in the order of the digits.
    #[must_use]
    pub fn legend(&self) -> String {
        let name = |o: &Observed| match o {
            Observed::Reg(pe, n) => format!("{pe}:X{n}"),
            Observed::Final(location) => format!("{location:?}").to_lowercase(),
        };
        self.observed.iter().map(name).collect::<Vec<_>>().join(" ")
    }
}

fn matches(pattern: &str, outcome: &str) -> bool {
    let same = |(p, o): (char, char)| p == o || (p == '_' && matches!(o, '0' | '1'));
    pattern.len() == outcome.len() && pattern.chars().zip(outcome.chars()).all(same)
}

/// The families of tests.
pub const FAMILIES: &[(&str, &[Litmus])] = &[
    ("message_passing", message_passing::TESTS),
    ("buffering", buffering::TESTS),
    ("overwriting", overwriting::TESTS),
    ("coherence", coherence::TESTS),
    ("causality", causality::TESTS),
    ("atomics", atomics::TESTS),
    ("exclusives", exclusives::TESTS),
    ("single_copy", single_copy::TESTS),
    ("translation", translation::TESTS),
    ("code", code::TESTS),
];

/// All tests.
pub fn all() -> impl Iterator<Item = &'static Litmus> {
    FAMILIES.iter().flat_map(|(_, tests)| *tests)
}

/// The test with this name.
#[must_use]
pub fn find(name: &str) -> Option<&'static Litmus> {
    all().find(|t| t.name == name)
}

/// Programs of PEs, a pair of braces for each.
macro_rules! threads {
    ($({ $($t:tt)* })*) => {
        &[$(|p: &mut $crate::guest_tests::program::Program| a64!(p ; $($t)*)),*]
    };
}
use threads;

/// Tests of the same form: the values that they observe and the outcomes are written once.
macro_rules! shape {
    ($what:ident: $name:literal, $section:literal, $needs:ident, $($threads:tt)*) => {
        $crate::guest_tests::litmus::Litmus {
            name: $name,
            section: $section,
            needs: $crate::guest_tests::cases::Needs::$needs,
            threads: $crate::guest_tests::litmus::threads!($($threads)*),
            ..$what
        }
    };
}
use shape;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tables_are_well_formed() {
        for (i, test) in all().enumerate() {
            assert!(all().skip(i + 1).all(|other| other.name != test.name), "{} is there twice", test.name);
            assert!((2..=super::super::layout::PES).contains(&test.pes()), "{}", test.name);
            assert!((1..=MAX_OBSERVED).contains(&test.observed.len()), "{}", test.name);
            for o in test.observed {
                let Observed::Reg(pe, n) = o else { continue };
                assert!(usize::from(*pe) < test.pes() && (4..=7).contains(n), "{} observes {o:?}", test.name);
            }
            assert!(!test.allowed.is_empty(), "{}", test.name);
            assert!(![test.weak, test.forbidden].concat().is_empty(), "{} says nothing", test.name);
            for outcome in [test.allowed, test.weak, test.forbidden].concat() {
                let digit = |c: char| matches!(c, '0'..='6' | '_');
                assert!(outcome.len() == test.observed.len() && outcome.chars().all(digit), "{}", test.name);
            }
            for outcome in test.allowed.iter().chain(test.weak).filter(|o| !o.contains('_')) {
                assert_ne!(test.judge(outcome), Kind::Forbidden, "{}: {outcome} is in two lists", test.name);
            }
        }
    }

    #[test]
    fn outcomes_and_their_names() {
        let test = find("SB").expect("it is there");
        assert_eq!(test.legend(), "0:X4 1:X4");
        let mut counters = vec![0; 64];
        (counters[0o00], counters[0o10], counters[0o17]) = (1, 2, 3);
        let seen: Vec<_> =
            test.counts(&counters).into_iter().map(|c| (c.outcome, c.kind, c.rounds)).collect();
        let want = [("00", Kind::Weak, 1), ("10", Kind::Allowed, 2), ("17", Kind::Impossible, 3)];
        assert_eq!(seen, want.map(|(o, k, n)| (o.to_owned(), k, n)));
        assert_eq!(find("SB+dmb.sys").map(|t| t.judge("00")), Some(Kind::Forbidden));
        assert!(matches("_1", "01") && matches("_1", "11") && !matches("_1", "21") && !matches("_", "01"));
    }

    #[test]
    fn all_assemble() {
        for test in all() {
            let made = test.assemble(1000);
            assert!(made.rounds >= 1000 && made.counters == 1 << (3 * test.observed.len()), "{}", test.name);
        }
    }
}

//! What CPUs and devices did, by cause, in phases that marks divide.
//!
//! | module | what lives there |
//! |---|---|
//! | [`statement`] | what all accounts say at one moment |
//! | [`mod@meaning`] | the keys of counts, and what each means |
//! | this file | the book: statements at marks, and the file that is made of them |
//!
//! What is counted by whom: [`emu_core::metrics`] on the CPUs, always; [`emu_core::ledger`] on devices, if a book is kept;
//! [`emu_smmu::translation::StreamCount`] in the SMMU, always.

mod meaning;
mod statement;

use std::collections::BTreeMap;
use std::fmt::Display;
use std::fs::File;
use std::io::Write;
use std::sync::{Arc, OnceLock};

use emu_core::ledger::{Ledger, TIMELINE};
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};

use crate::config::{self, HostFile};
use crate::error::{UserError, reason, user_error};

pub use self::meaning::meaning;
pub(crate) use self::statement::line_name;
pub use self::statement::{Sources, Statement, table};

/// Bytes of the longest name of a mark: of a longer one, the rest is left out.
pub const LONGEST_MARK: usize = 80;
/// Phases of a book: a guest that makes more marks is told that there is no room.
const MOST_PHASES: usize = 1000;
/// The name of what comes before the first mark.
pub(crate) const START: &str = "start";

/// What was done between two marks.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Phase {
    /// The mark that began it.
    pub name: String,
    /// The machine's time then, in nanoseconds.
    pub begin_ns: u64,
    /// What was done.
    #[serde(flatten)]
    pub done: Statement,
}

/// The book of a machine.
#[derive(Default)]
pub struct Book {
    ledger: Arc<Ledger>,
    sources: OnceLock<Sources>,
    pages: Mutex<Pages>,
}

#[derive(Default)]
struct Pages {
    phases: Vec<Phase>,
    /// The mark that began the present phase, and what the accounts said then.
    present: Option<(String, Statement)>,
}

impl Book {
    /// The accounts of devices.
    #[must_use]
    pub fn ledger(&self) -> &Arc<Ledger> {
        &self.ledger
    }

    /// From now on it has something to say: the machine is put together.
    pub(crate) fn open(&self, sources: Sources) {
        // A board is put together once.
        let _ = self.sources.set(sources);
    }

    /// The device that a stream is of.
    #[must_use]
    pub fn master(&self, stream: u32) -> String {
        self.sources.get().map_or_else(|| format!("stream {stream:#x}"), |sources| sources.master(stream))
    }

    /// What the accounts say.
    #[must_use]
    pub fn now(&self) -> Statement {
        self.sources.get().map(|sources| sources.state(&self.ledger)).unwrap_or_default()
    }

    /// A phase begins. False if there have been too many: then the present one goes on. What CPUs do meanwhile, other than the
    /// one that makes the mark, is in the one phase or the other.
    pub fn mark(&self, name: &str) -> bool {
        tracing::trace!(target: TIMELINE, mark = name);
        let now = self.now();
        self.pages.lock().turn(name, now)
    }

    /// All phases so far, with the present one, and what was done in all of them.
    #[must_use]
    pub fn close(&self) -> Closed {
        let now = self.now();
        let pages = self.pages.lock();
        let mut phases = pages.phases.clone();
        phases.push(pages.present(&now));
        Closed { phases, whole: now }
    }
}

impl Pages {
    fn turn(&mut self, name: &str, now: Statement) -> bool {
        if self.phases.len() + 1 >= MOST_PHASES {
            return false;
        }
        let ended = self.present(&now);
        self.phases.push(ended);
        self.present = Some((name.to_owned(), now));
        true
    }

    /// The present phase, if it ended now.
    fn present(&self, now: &Statement) -> Phase {
        match &self.present {
            None => Phase { name: START.to_owned(), begin_ns: 0, done: now.clone() },
            Some((name, begin)) => Phase { name: name.clone(), begin_ns: begin.ns, done: now.since(begin) },
        }
    }
}

/// What a book said.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Closed {
    /// By phase.
    pub phases: Vec<Phase>,
    /// From the start to the end.
    pub whole: Statement,
}

/// The file of a book.
#[derive(Serialize)]
struct Document<'a> {
    version: u32,
    meanings: BTreeMap<&'a str, String>,
    #[serde(flatten)]
    closed: &'a Closed,
}

/// The version of the file's form.
const VERSION: u32 = 1;

impl Closed {
    /// As JSON.
    #[must_use]
    pub fn json(&self) -> String {
        let keys = self.whole.accounts.values().flat_map(BTreeMap::keys);
        let meanings = keys.map(|key| (key.as_str(), meaning(key))).collect();
        let document = Document { version: VERSION, meanings, closed: self };
        // Plain data with text for keys has a form in JSON.
        serde_json::to_string_pretty(&document).unwrap_or_default() + "\n"
    }
}

/// What is looked at of a file before the rest.
#[derive(Deserialize)]
struct Version {
    version: u32,
}

/// Reads what a book said from its file.
pub fn read(given: &HostFile) -> Result<Closed, UserError> {
    let unfit = |why: &dyn Display| user_error!("{} is no ledger: {why}", given.describe());
    let text = std::fs::read(&given.value)
        .map_err(|e| user_error!("cannot read {}: {}", given.describe(), reason(&e)))?;
    let Version { version } = serde_json::from_slice(&text).map_err(|e| unfit(&e))?;
    if version != VERSION {
        return Err(unfit(&format!("it has version {version}, and {VERSION} is known here")));
    }
    serde_json::from_slice(&text).map_err(|e| unfit(&e))
}

/// A file for a book, still empty.
pub struct BookFile {
    file: File,
    given: HostFile,
}

/// Makes the file, if one is asked for. Not before all that can be refused has been looked at.
pub fn create(ledger: &config::Ledger) -> Result<Option<BookFile>, UserError> {
    let config::Ledger::File(given) = ledger else { return Ok(None) };
    let file = File::create(&given.value)
        .map_err(|e| user_error!("cannot write {}: {}", given.describe(), reason(&e)))?;
    Ok(Some(BookFile { file, given: given.clone() }))
}

impl BookFile {
    /// Writes what a book said.
    pub fn write(mut self, closed: &Closed) -> Result<(), UserError> {
        self.file
            .write_all(closed.json().as_bytes())
            .map_err(|e| user_error!("cannot write {}: {}", self.given.describe(), reason(&e)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn says(ns: u64, hvc: u64) -> Statement {
        let counts = BTreeMap::from([("hvc".to_owned(), hvc)]);
        Statement { ns, accounts: BTreeMap::from([("cpu0".to_owned(), counts)]) }
    }

    fn counts(phases: &[Phase]) -> Vec<(&str, u64, u64, u64)> {
        let hvc = |p: &Phase| p.done.get("cpu0", "hvc");
        phases.iter().map(|p| (p.name.as_str(), p.begin_ns, p.done.ns, hvc(p))).collect()
    }

    #[test]
    fn marks_divide_what_was_done() {
        let mut pages = Pages::default();
        assert!(pages.turn("emulated", says(10, 3)));
        assert!(pages.turn("virtio", says(30, 8)));
        let mut phases = pages.phases.clone();
        phases.push(pages.present(&says(35, 9)));
        assert_eq!(counts(&phases), [("start", 0, 10, 3), ("emulated", 10, 20, 5), ("virtio", 30, 5, 1)]);
    }

    #[test]
    fn a_guest_cannot_make_a_book_grow_without_end() {
        let mut pages = Pages::default();
        let marks = (0..5000).filter(|n| pages.turn("mark", says(*n, *n))).count();
        assert_eq!((marks, pages.phases.len()), (MOST_PHASES - 1, MOST_PHASES - 1));
    }

    #[test]
    fn the_file_says_what_its_keys_mean() {
        let whole = says(5, 1);
        let closed =
            Closed { phases: vec![Phase { name: "start".into(), begin_ns: 0, done: whole.clone() }], whole };
        let json: serde_json::Value = serde_json::from_str(&closed.json()).unwrap();
        assert_eq!(json["meanings"]["hvc"], "HVC calls");
        assert_eq!(json["phases"][0]["accounts"]["cpu0"]["hvc"], 1);
        assert_eq!((&json["version"], &json["whole"]["ns"]), (&1.into(), &5.into()));
    }
}

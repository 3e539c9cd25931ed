//! Semihosting: files, console, time and the end of the program, for programs that run on the bare machine (Arm,
//! "Semihosting for AArch32 and AArch64").
//!
//! | module | what lives there |
//! |---|---|
//! | [`call`] | a call: its parameters and memory |
//! | [`operations`] | the table of operations, and those that are about no file |
//! | [`files`] | what is open, and the operations on it |
//! | [`console`] | where the program's console is |
//!
//! Files are those of the host, relative to the directory in which this program was started: a guest that is given
//! semihosting may do with them what its user may.
//!
//! **Invariant: nothing here is as large as a guest says.** Data goes in pieces of a fixed size, names have the host's
//! longest length, and the number of open files has a limit.

mod call;
mod console;
mod files;
mod operations;

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use call::Call;
use emu_pe::cpu::Cpu;
use emu_pe::semihosting::{Semihosting, Served};
use parking_lot::Mutex;

use crate::config::MachineConfig;
use crate::ledger::Book;
use crate::map::Range;
use crate::power::Power;
pub use console::Console;
use files::Files;

/// Serves the calls of a machine's CPUs.
pub struct Host {
    user: bool,
    command_line: Vec<u8>,
    /// What heap and stack can have.
    heap: Range,
    console: Console,
    files: Mutex<Files>,
    /// The error number of the last operation that failed.
    errno: Mutex<i32>,
    /// Seconds from 1970 to when the machine's clock was at 0.
    epoch: u64,
    power: Arc<Power>,
    /// Where marks go.
    book: Option<Arc<Book>>,
}

impl Host {
    /// For the machine of `config`, with this part of RAM free.
    #[must_use]
    pub fn new(
        config: &MachineConfig,
        heap: Range,
        console: Console,
        power: Arc<Power>,
        book: Option<Arc<Book>>,
    ) -> Arc<Self> {
        Arc::new(Self {
            user: config.semihosting.as_ref().is_some_and(|s| s.user),
            command_line: config.program_arguments().join(" ").into_bytes(),
            heap,
            console,
            files: Mutex::default(),
            errno: Mutex::default(),
            epoch: SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_secs()),
            power,
            book,
        })
    }
}

impl Semihosting for Host {
    fn serves_el0(&self) -> bool {
        self.user
    }

    fn serve(&self, cpu: &mut Cpu) -> Served {
        operations::serve(self, &mut Call::new(cpu))
    }
}

/// The largest part of RAM that holds nothing which was loaded.
#[must_use]
pub fn largest_gap(ram: Range, loaded: impl Iterator<Item = Range>) -> Range {
    let end = ram.base.saturating_add(ram.size);
    let mut taken: Vec<(u64, u64)> = loaded
        .map(|r| (r.base.clamp(ram.base, end), r.base.saturating_add(r.size).clamp(ram.base, end)))
        .collect();
    taken.sort_unstable();
    let (mut best, mut from) = (Range { base: ram.base, size: 0 }, ram.base);
    for (start, stop) in taken.into_iter().chain([(end, end)]) {
        if start.saturating_sub(from) > best.size {
            best = Range { base: from, size: start - from };
        }
        from = from.max(stop);
    }
    best
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_largest_gap() {
        let range = |base, size| Range { base, size };
        let gap = |loaded: &[Range]| largest_gap(range(100, 100), loaded.iter().copied());
        assert_eq!(gap(&[]), range(100, 100));
        assert_eq!(gap(&[range(110, 10), range(180, 5)]), range(120, 60));
        assert_eq!(gap(&[range(110, 80), range(120, 5)]), range(100, 10), "one inside another");
        assert_eq!(gap(&[range(0, 50), range(90, 20)]), range(110, 90), "outside RAM");
        assert_eq!(gap(&[range(0, u64::MAX)]).size, 0);
    }
}

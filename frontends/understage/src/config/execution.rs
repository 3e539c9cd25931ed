//! How instructions are executed, and what is said and checked of it.

use std::ops::RangeInclusive;

use super::Given;
use crate::error::{UserError, user_error};

/// How instructions are executed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Accel {
    /// No CPU runs: devices are driven from outside.
    Qtest,
    /// The interpreter.
    Interp,
    /// What runs often is translated to host code.
    Jit {
        /// Bytes that all code costs that is kept, for all CPUs together.
        cache: Given<u64>,
    },
}

/// How the guest's time passes.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub enum Time {
    /// With the host's clock.
    #[default]
    Real,
    /// By instructions: each takes 2 to the power of this in nanoseconds.
    Counted(Given<u32>),
}

impl Time {
    /// The largest power.
    pub const MOST: u32 = 10;
}

impl Default for Accel {
    fn default() -> Self {
        Self::Jit { cache: Given::new("--code-cache", CODE_CACHE_BYTES) }
    }
}

/// What code costs if nobody says otherwise.
const CODE_CACHE_BYTES: u64 = 512 << 20;

impl Accel {
    /// Bytes of host code that each of so many CPUs keeps, and bytes of everything else that is kept of code: predecoded
    /// blocks, and tables. What is kept of a guest's instructions takes several times the host code of those that run often.
    #[must_use]
    pub fn code_bytes(&self, cpus: usize) -> (usize, usize) {
        let all = match self {
            Self::Interp | Self::Qtest => CODE_CACHE_BYTES,
            Self::Jit { cache } => **cache,
        };
        let each = usize::try_from(all / cpus.max(1) as u64).unwrap_or(usize::MAX);
        match self {
            Self::Interp | Self::Qtest => (0, each),
            Self::Jit { .. } => (each / 4, each - each / 4),
        }
    }
}

/// Something that a guest does which may end the machine.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum StopOn {
    /// A CPU takes an exception again and again, and nothing deals with it.
    EndlessException,
}

impl StopOn {
    /// All of them, with their names on the command line.
    pub const NAMES: [(&'static str, Self); 1] = [("endless-exception", Self::EndlessException)];

    /// The one called `name`.
    pub fn from_name(name: &str) -> Result<Self, UserError> {
        let known = Self::NAMES.iter().find(|(n, _)| *n == name);
        known.map(|(_, event)| *event).ok_or_else(|| {
            let names: Vec<_> = Self::NAMES.iter().map(|(n, _)| *n).collect();
            user_error!("there is no event '{name}' to stop on (there is {})", names.join(", "))
        })
    }
}

/// What is checked while the machine runs.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Check {
    /// Host code against the interpreter. The option that says so.
    Lockstep(&'static str),
}

/// The least and the most that code costs for a CPU: a single block needs some, and jumps reach 2 GiB.
pub const CODE_CACHE: RangeInclusive<u64> = 1 << 20..=1 << 30;

/// A file from which Linux's `perf` knows translated code.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum PerfFile {
    /// `/tmp/perf-PID.map`: names.
    Map,
    /// `jit-PID.dump` in the current directory: names and code, with times.
    Dump,
}

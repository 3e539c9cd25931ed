//! How much of the host's processors a process group has used, from `/proc` (proc_pid_stat(5)).

use std::fs;
use std::ops::Sub;

/// Linux counts these times in units of 10 ms for programs on all architectures that it still runs on but alpha.
const NS_PER_TICK: f64 = 1e7;

/// Processor time, in nanoseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct CpuTime {
    /// In programs.
    pub(crate) user: f64,
    /// In the host's kernel.
    pub(crate) system: f64,
}

impl Sub for CpuTime {
    type Output = Self;

    fn sub(self, before: Self) -> Self {
        Self { user: self.user - before.user, system: self.system - before.system }
    }
}

/// What the processes of a group have used since their beginnings, with the children that they have waited for.
pub(crate) fn of_group(group: i32) -> CpuTime {
    let mut sum = CpuTime::default();
    let Ok(entries) = fs::read_dir("/proc") else { return sum };
    let is_process = |name: &str| name.bytes().all(|b| b.is_ascii_digit());
    for entry in entries.flatten().filter(|e| e.file_name().to_str().is_some_and(is_process)) {
        // A process may end while we look: then its parent has its times, or soon has.
        let Ok(stat) = fs::read_to_string(entry.path().join("stat")) else { continue };
        if let Some((_, time)) = parse(&stat).filter(|(g, _)| *g == group) {
            sum.user += time.user;
            sum.system += time.system;
        }
    }
    sum
}

/// Process group and times. The second field is the program's name in parentheses, which may contain anything.
fn parse(stat: &str) -> Option<(i32, CpuTime)> {
    let fields: Vec<&str> = stat[stat.rfind(')')? + 1..].split_whitespace().collect();
    // Field 3 of the manual page is the first here: pgrp is 5, utime 14, stime 15, cutime 16, cstime 17.
    let number = |field: usize| fields.get(field - 3)?.parse::<i64>().ok();
    let ns = |field: usize| Some(number(field)? as f64 * NS_PER_TICK);
    let time = CpuTime { user: ns(14)? + ns(16)?, system: ns(15)? + ns(17)? };
    Some((i32::try_from(number(5)?).ok()?, time))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_after_a_name_with_anything_in_it() {
        let stat = "42 (a) b 1 (x)) S 1 77 42 0 -1 4194560 1 2 3 4 150 20 5 1 20 0 1 0 99 1000 10\n";
        assert_eq!(parse(stat), Some((77, CpuTime { user: 1.55e9, system: 2.1e8 })));
        assert_eq!(parse("42 (a"), None);
        assert_eq!(parse("42 (a) S 1"), None);
    }

    #[test]
    fn differences() {
        let early = CpuTime { user: 1.0, system: 2.0 };
        let late = CpuTime { user: 4.0, system: 8.0 };
        assert_eq!(late - early, CpuTime { user: 3.0, system: 6.0 });
    }
}

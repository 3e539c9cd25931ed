//! Where and when a run was made, for the report.

use std::fs;
use std::path::Path;
use std::process::Command;

use serde::Serialize;

use crate::process::output;

/// What a reader must know to judge the figures.
#[derive(Debug, Serialize)]
pub(crate) struct Host {
    /// Day of the run (UTC).
    pub(crate) date: String,
    /// The project's commit, with a mark if files were changed since.
    pub(crate) commit: String,
    /// The host's processor.
    pub(crate) processor: String,
    /// How many of them there are.
    pub(crate) processors: usize,
    /// How many programs wanted to run in the minute before, without ours.
    pub(crate) load: f64,
}

impl Host {
    /// Looks at this machine and at the work tree.
    pub(crate) fn look(workspace: &Path) -> Self {
        let unknown = || "unknown".to_owned();
        Self {
            date: first_line(Command::new("date").args(["-u", "+%Y-%m-%d"])).unwrap_or_else(unknown),
            commit: commit(workspace).unwrap_or_else(unknown),
            processor: fs::read_to_string("/proc/cpuinfo")
                .ok()
                .and_then(|t| processor(&t))
                .unwrap_or_else(unknown),
            processors: std::thread::available_parallelism().map_or(1, usize::from),
            load: fs::read_to_string("/proc/loadavg").ok().and_then(|t| load(&t)).unwrap_or(0.0),
        }
    }
}

/// The first line that a program prints, if it runs and prints one.
pub(crate) fn first_line(command: &mut Command) -> Option<String> {
    let text = output(command).ok()?;
    Some(String::from_utf8_lossy(&text).lines().next()?.trim().to_owned())
}

fn commit(workspace: &Path) -> Option<String> {
    let git = |args: &[&str]| output(Command::new("git").args(args).current_dir(workspace)).ok();
    let name = String::from_utf8_lossy(&git(&["rev-parse", "--short=12", "HEAD"])?).trim().to_owned();
    let changed = !git(&["--no-optional-locks", "status", "--porcelain", "--untracked-files=no"])?.is_empty();
    Some(if changed { format!("{name} with changes") } else { name })
}

fn processor(cpuinfo: &str) -> Option<String> {
    let line = cpuinfo.lines().find(|l| l.starts_with("model name"))?;
    Some(line.split_once(':')?.1.trim().to_owned())
}

fn load(loadavg: &str) -> Option<f64> {
    loadavg.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_kernel_says() {
        let info = "processor\t: 0\nmodel name\t: Some CPU @ 2.00GHz\nmodel name\t: Other\n";
        assert_eq!(processor(info).as_deref(), Some("Some CPU @ 2.00GHz"));
        assert_eq!(processor("CPU implementer : 0x41\n"), None);
        assert_eq!(load("6.60 5.72 6.24 3/300 1234\n"), Some(6.6));
    }
}

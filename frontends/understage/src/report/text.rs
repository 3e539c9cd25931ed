//! The table on the terminal.

use std::fmt::Write;

use super::costs::{Part, rows};
use super::{Clock, Report, Way};
use crate::tour::per;

/// Columns of a row's name.
const NAME: usize = 36;
/// Columns of a way, at least.
const CELL: usize = 16;

/// What a way cost for one operation, as it is shown.
pub(super) fn cell(way: &Way, key: &str) -> String {
    per(count(way, key), way.operations)
}

/// What it cost for all.
pub(super) fn count(way: &Way, key: &str) -> u64 {
    way.costs.iter().find(|cost| cost.key == key).map_or(0, |cost| cost.count)
}

/// In one sentence: how time was taken.
pub(super) fn about_time(time: Option<Clock>) -> &'static str {
    match time {
        None => "Times are the machine's.",
        Some(Clock::Counted) => {
            "The guest's time was counted: an instruction takes a nanosecond, and nothing else takes any. No figure here is of the host's clock."
        }
        Some(Clock::Real) => {
            "The guest's time was the host's: nanoseconds are of this host and this run, and waiting goes on beside devices. Other figures are counts."
        }
    }
}

/// Whether any way has something in a row.
pub(super) fn says_something(report: &Report, key: &str) -> bool {
    report.ways.iter().any(|way| count(way, key) != 0)
}

/// The whole.
pub(super) fn table(report: &Report) -> String {
    let mut out = String::from("What one operation costs\n\n");
    let cell_width = report.ways.iter().map(|way| way.title.chars().count() + 2).fold(CELL, usize::max);
    let mut line = |name: &str, cells: &mut dyn Iterator<Item = String>| {
        let mut text = format!("{name:<NAME$}");
        cells.for_each(|cell| {
            // Writing to a String does not fail.
            let _ = write!(text, "{cell:>cell_width$}");
        });
        out.push_str(text.trim_end());
        out.push('\n');
    };
    line("", &mut report.ways.iter().map(|way| way.title.clone()));
    line("", &mut report.ways.iter().map(|way| format!("1 {} of {}", way.unit, way.operations)));
    for part in Part::ALL {
        if !rows(part).any(|row| says_something(report, row.key)) {
            continue;
        }
        line(part.title(), &mut std::iter::empty());
        for row in rows(part).filter(|row| says_something(report, row.key)) {
            line(&format!("  {}", row.about), &mut report.ways.iter().map(|way| cell(way, row.key)));
        }
    }
    if report.ways.iter().any(|way| way.payload_bytes != 0) {
        line(
            "bytes that the guest wanted",
            &mut report.ways.iter().map(|way| per(way.payload_bytes, way.operations)),
        );
    }
    let _ = writeln!(out, "\n{}", about_time(report.time));
    if report.time.is_some() {
        out.push_str("Each column has the one hypercall that ends its measurement.\n");
    }
    out
}

#[cfg(test)]
mod tests {
    use super::super::tests::example;
    use super::*;

    #[test]
    fn a_row_is_shown_if_some_way_has_something_in_it() {
        let table = table(&example());
        let row = |name: &str| {
            let line = table.lines().find(|l| l.trim_start().starts_with(name))?;
            Some(line.trim_start()[name.len()..].split_whitespace().map(str::to_owned).collect::<Vec<_>>())
        };
        assert_eq!(row("by the hypervisor (EL2)").unwrap(), ["200", "10"]);
        assert_eq!(row("written by DMA").unwrap(), ["-", "512"]);
        assert_eq!(row("bytes that the guest wanted").unwrap(), ["512", "512"]);
        assert_eq!(row("SMC"), None);
        assert_eq!(row("System MMU"), None);
    }
}

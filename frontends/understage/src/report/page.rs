//! The page: one file, which needs no other and no network.

use std::fmt::Write;

use super::costs::{Part, Row, rows};
use super::plot::{bars, escaped};
use super::text::{about_time, cell, count, says_something};
use super::{Clock, Report, Way};
use crate::tour::per;

const STYLE: &str = "\
:root { color-scheme: light; }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 62rem; margin: 2rem auto; padding: 0 1rem; color: #1a1a1a; background: #fff; }
h1 { margin-bottom: 0; } h2 { margin-top: 2.5rem; border-bottom: 1px solid #ccc; }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; }
caption { text-align: left; padding: .5rem 0; color: #444; }
th, td { padding: .25rem .6rem; text-align: right; } th[scope=row] { text-align: left; font-weight: normal; padding-left: 1.5rem; }
thead th { border-bottom: 2px solid #333; } tbody th[scope=rowgroup] { text-align: left; padding-top: .8rem; }
tbody tr:nth-child(even) { background: #f6f6f6; }
svg { width: 100%; height: auto; font: 14px system-ui, sans-serif; fill: #1a1a1a; }
.wide { overflow-x: auto; } code { background: #f0f0f0; padding: 0 .2rem; }
details { margin: .3rem 0; }
";

/// What there is a plot of: its part, its title, what is to be seen in it.
const PLOTS: [(Part, &str, &str); 4] = [
    (
        Part::Instructions,
        "Who executes instructions",
        "Emulation is the hypervisor's work: each word that the guest reads is an exit, and EL2 finds out what the access was and does it.",
    ),
    (
        Part::Exits,
        "Why the guest was left",
        "An emulated register is a stage-2 abort for each access. A device of the guest's own leaves its interrupt, which the hypervisor puts into a list register.",
    ),
    (
        Part::Bytes,
        "Who moves the bytes",
        "What DMA reads are descriptors and requests, what it writes is the data. Bytes that a CPU copies from buffer to buffer are in its instructions.",
    ),
    (
        Part::Smmu,
        "What the system MMU does",
        "Before the guest is given its disk for good, transactions pass the SMMU as they are; then each is translated, and a page is walked for once.",
    ),
];

/// The whole page.
pub(super) fn page(report: &Report) -> String {
    // What is said of the tour is not of other guests.
    let own = report.time.is_some();
    let mut out = format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <title>What ways of I/O cost</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n<main>\n\
         <h1>What ways of I/O cost</h1>\n<p>understage {}: {}. {}</p>\n",
        env!("CARGO_PKG_VERSION"),
        if own {
            "a hypervisor at EL2 and its guests at EL1, one CPU"
        } else {
            "the phases that a guest has marked"
        },
        about_time(report.time)
    );
    if own {
        summary(&mut out, report);
    }
    for (n, (part, title, about)) in PLOTS.iter().enumerate() {
        // A transaction is of pages, which are the other rows of its part.
        let rows =
            rows(*part).filter(|row| row.key != "smmu_transactions" && says_something(report, row.key));
        let rows: Vec<&Row> = rows.collect();
        if !rows.is_empty() {
            let plot = bars(report, &rows, &format!("plot{n}"), title);
            let about = if own { about } else { "" };
            let _ = write!(out, "<h2>{title}</h2>\n<p>{about} For one operation:</p>\n{plot}");
        }
    }
    out.push_str("<h2>All figures</h2>\n");
    table(&mut out, report);
    accounts(&mut out, report);
    out + "</main>\n</body>\n</html>\n"
}

/// The ways that move something, in a sentence each.
fn summary(out: &mut String, report: &Report) {
    out.push_str("<ul>\n");
    for way in report.ways.iter().filter(|way| way.payload_bytes != 0) {
        let instructions =
            count(way, "instructions_guest").saturating_add(count(way, "instructions_hypervisor"));
        let exits = rows(Part::Exits).map(|row| count(way, row.key)).fold(0, u64::saturating_add);
        let _ = writeln!(
            out,
            "<li><strong>{}</strong>: {} instructions and {} exits for a {} of {} bytes.</li>",
            escaped(&way.title),
            per(instructions, way.operations),
            per(exits, way.operations),
            escaped(&way.unit),
            way.payload_bytes / way.operations.max(1)
        );
    }
    out.push_str("</ul>\n");
}

fn table(out: &mut String, report: &Report) {
    let ways = &report.ways;
    let heads = |text: &dyn Fn(&Way) -> String| -> String {
        ways.iter().map(|way| format!("<th scope=\"col\">{}</th>", escaped(&text(way)))).collect()
    };
    let _ = write!(
        out,
        "<div class=\"wide\"><table>\n<caption>For one operation{}. A dash is none at all.</caption>\n<thead><tr><td></td>{}</tr><tr><td></td>{}</tr></thead>\n<tbody>\n",
        if report.time.is_some() { ", with the one hypercall that ends each measurement" } else { "" },
        heads(&|way| way.title.clone()),
        heads(&|way| format!("1 {} of {}", way.unit, way.operations))
    );
    let cells = |text: &dyn Fn(&Way) -> String| -> String {
        ways.iter().map(|way| format!("<td>{}</td>", escaped(&text(way)))).collect()
    };
    for part in Part::ALL {
        let shown: Vec<&Row> = rows(part).filter(|row| says_something(report, row.key)).collect();
        if !shown.is_empty() {
            let _ = writeln!(
                out,
                "<tr><th scope=\"rowgroup\" colspan=\"{}\">{}</th></tr>",
                ways.len() + 1,
                part.title()
            );
        }
        for row in shown {
            let cells = cells(&|way| cell(way, row.key));
            let _ = writeln!(out, "<tr><th scope=\"row\">{}</th>{cells}</tr>", escaped(row.about));
        }
    }
    let wanted = cells(&|way| per(way.payload_bytes, way.operations));
    let _ = writeln!(
        out,
        "<tr><th scope=\"row\">bytes that the guest wanted</th>{wanted}</tr>\n</tbody></table></div>"
    );
}

/// What the ledger has of each way, to be opened.
fn accounts(out: &mut String, report: &Report) {
    out.push_str("<h2>The ledger</h2>\n<p>What each CPU and device did, for all operations together.</p>\n");
    for way in &report.ways {
        let _ = writeln!(out, "<details><summary>{}</summary>", escaped(&way.name));
        for (name, counts) in &way.ledger.accounts {
            let _ = writeln!(out, "<table><caption><code>{}</code></caption><tbody>", escaped(name));
            for (key, n) in counts {
                let meaning = crate::ledger::meaning(key);
                let n = crate::board::stats::grouped(*n);
                let _ = writeln!(out, "<tr><th scope=\"row\">{}</th><td>{n}</td></tr>", escaped(&meaning));
            }
            out.push_str("</tbody></table>\n");
        }
        out.push_str("</details>\n");
    }
    if report.time == Some(Clock::Counted) {
        out.push_str("<p>In counted time another report has the same figures.</p>\n");
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::example;
    use super::*;

    #[test]
    fn a_page_stands_by_itself_and_is_closed_where_it_is_opened() {
        let page = page(&example());
        for outside in ["<script", "<link", "src=", "url(", "@import"] {
            assert!(!page.contains(outside), "{outside}");
        }
        for element in ["main", "svg", "table", "tbody", "tr", "th", "td", "ul", "li", "details", "div", "p"]
        {
            let opened =
                page.matches(&format!("<{element}>")).count() + page.matches(&format!("<{element} ")).count();
            assert_eq!(opened, page.matches(&format!("</{element}>")).count(), "{element}");
        }
        assert!(page.contains(
            "<strong>emulated disk</strong>: 300 instructions and 2 exits for a sector of 512 bytes."
        ));
    }
}

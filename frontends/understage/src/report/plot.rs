//! Plots as SVG: for each way a bar of parts, one above the other, with what each part is in words for those who do not see it.

use std::fmt::Write;

use super::costs::Row;
use super::text::{cell, count};
use super::{Report, Way};

/// Fills that can be told from each other also without colours, for their lightness differs.
const FILLS: [&str; 8] =
    ["#1b4f72", "#d68910", "#76b5c5", "#7d3c98", "#196f3d", "#c0392b", "#aeb6bf", "#f4d03f"];

const WIDTH: u32 = 760;
/// Columns of text on the left and on the right of the bars.
const LEFT: u32 = 150;
const RIGHT: u32 = 110;
const BAR: u32 = 26;
const STEP: u32 = 40;
const LEGEND: u32 = 22;

/// Text as it may stand in a page.
pub(super) fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

/// As much of a title as there is room for beside a bar.
fn short(title: &str) -> String {
    const ROOM: usize = 18;
    match title.chars().count() > ROOM {
        true => title.chars().take(ROOM - 1).chain(['\u{2026}']).collect(),
        false => title.to_owned(),
    }
}

/// What all rows together are of a way, for one operation.
fn whole(way: &Way, rows: &[&Row]) -> f64 {
    rows.iter().map(|row| each(way, row)).sum()
}

fn each(way: &Way, row: &Row) -> f64 {
    count(way, row.key) as f64 / way.operations.max(1) as f64
}

/// A plot of `rows`, one operation of each way. `id` is its own on the page.
pub(super) fn bars(report: &Report, rows: &[&Row], id: &str, title: &str) -> String {
    let most = report.ways.iter().map(|way| whole(way, rows)).fold(0.0, f64::max).max(f64::MIN_POSITIVE);
    let bars_end = STEP * report.ways.len() as u32 + 10;
    let height = bars_end + LEGEND * rows.len() as u32 + 10;
    let mut out = format!(
        "<svg role=\"img\" aria-labelledby=\"{id}-t {id}-d\" viewBox=\"0 0 {WIDTH} {height}\" xmlns=\"http://www.w3.org/2000/svg\">\n\
         <title id=\"{id}-t\">{}</title>\n<desc id=\"{id}-d\">{}</desc>\n",
        escaped(title),
        escaped(&described(report, rows))
    );
    for (n, way) in report.ways.iter().enumerate() {
        let _ = writeln!(out, "{}", bar(way, rows, 10 + STEP * n as u32, most));
    }
    for (n, row) in rows.iter().enumerate() {
        let y = bars_end + LEGEND * n as u32;
        let _ = writeln!(
            out,
            "<rect x=\"{LEFT}\" y=\"{y}\" width=\"14\" height=\"14\" fill=\"{}\" stroke=\"#333\"/>\
             <text x=\"{}\" y=\"{}\">{}</text>",
            FILLS[n % FILLS.len()],
            LEFT + 22,
            y + 12,
            escaped(row.about)
        );
    }
    out + "</svg>\n"
}

fn bar(way: &Way, rows: &[&Row], y: u32, most: f64) -> String {
    let middle = y + BAR / 2 + 5;
    let mut out = format!(
        "<text x=\"{}\" y=\"{middle}\" text-anchor=\"end\">{}</text>",
        LEFT - 8,
        escaped(&short(&way.title))
    );
    let room = f64::from(WIDTH - LEFT - RIGHT);
    let mut x = f64::from(LEFT);
    for (n, row) in rows.iter().enumerate() {
        let width = each(way, row) / most * room;
        if width > 0.0 {
            let _ = write!(
                out,
                "<rect x=\"{x:.1}\" y=\"{y}\" width=\"{width:.1}\" height=\"{BAR}\" fill=\"{}\" stroke=\"#333\" stroke-width=\"0.5\">\
                 <title>{}: {}</title></rect>",
                FILLS[n % FILLS.len()],
                escaped(row.about),
                cell(way, row.key)
            );
            x += width;
        }
    }
    let sum: u64 = rows.iter().map(|row| count(way, row.key)).sum();
    let _ = write!(
        out,
        "<text x=\"{:.1}\" y=\"{middle}\">{}</text>",
        x + 6.0,
        crate::tour::per(sum, way.operations)
    );
    out
}

/// The same in words.
fn described(report: &Report, rows: &[&Row]) -> String {
    let of = |way: &Way| {
        let parts = rows.iter().filter(|row| count(way, row.key) != 0);
        let parts: Vec<String> = parts.map(|row| format!("{} {}", cell(way, row.key), row.about)).collect();
        let parts = if parts.is_empty() { "nothing".to_owned() } else { parts.join(", ") };
        format!("{}: {parts}.", way.title)
    };
    report.ways.iter().map(of).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::super::costs::{Part, rows};
    use super::super::tests::example;
    use super::*;

    #[test]
    fn bars_are_as_long_as_what_they_show() {
        let report = example();
        let rows: Vec<&Row> = rows(Part::Instructions).collect();
        let plot = bars(&report, &rows, "p", "Instructions & <levels>");
        let room = WIDTH - LEFT - RIGHT;
        // 300 a sector: a third by the guest. 20 a sector of the other way: half and half.
        assert!(plot.contains(&format!("width=\"{:.1}\"", f64::from(room) / 3.0)), "{plot}");
        assert_eq!(plot.matches(&format!("width=\"{:.1}\"", f64::from(room) / 30.0)).count(), 2);
        assert!(plot.contains("<title id=\"p-t\">Instructions &amp; &lt;levels&gt;</title>"));
        assert!(plot.contains("emulated disk: 100 by the guest (EL0, EL1), 200 by the hypervisor (EL2)."));
    }
}
